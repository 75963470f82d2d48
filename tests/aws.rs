//! Systems of AWS as moto has them: CloudWatch Logs and Kinesis, with the service killed in the middle.

#![cfg(feature = "aws")]

mod harness;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use harness::moto::{Moto, REGION};
use harness::{Home, Lapwing, Receiver, loudly, stopped, until};

/// Records that raise an alert each, with these numbers.
fn records(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|number| stopped(&format!("event-{number}"), &format!("user-{}", number % 50)))
}

/// A record that no rule matches.
fn harmless(number: usize) -> String {
    stopped(&format!("quiet-{number}"), &format!("user-{}", number % 500)).replace("StopLogging", "DescribeTrails")
}

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_millis())
        .expect("it is early enough")
}

/// The ids of all alerts that stand.
async fn ids(lapwing: &Lapwing) -> BTreeSet<String> {
    lapwing.rows().await.iter().map(|row| row["id"].as_str().expect("a row has an id").to_owned()).collect()
}

async fn all_are_told(receiver: &Receiver, count: usize) {
    until(&format!("{count} alerts at the receiver"), async || (receiver.alerts().len() >= count).then_some(())).await;
    assert_eq!((receiver.alerts().len(), receiver.faults()), (count, Vec::<String>::new()));
}

fn kinesis(moto: &Moto) -> String {
    format!("{{kind: auto, kinesis: {{stream: audit, region: {REGION}, endpoint_url: \"{}\"}}}}", moto.address)
}

#[tokio::test]
async fn records_of_a_stream_and_of_a_subscription_raise_their_alerts_once_through_a_kill() {
    let Some(moto) = Moto::start() else { return };
    moto.stream("audit", 3).await;
    moto.log_group("trail").await;
    moto.subscribe("trail", "audit").await;
    let (home, receiver) = (Home::new(), Receiver::start().await);
    home.configure(&format!("sources:\n  stream: {}\nsinks: {{soc: {}}}\n", kinesis(&moto), receiver.sink()));
    let lapwing = home.start().await;
    moto.put("audit", records(0..300)).await;
    all_are_told(&receiver, 300).await;
    lapwing.kill();
    moto.log("trail", records(300..500).map(|record| (now_ms(), record))).await;
    let lapwing = home.start().await;
    all_are_told(&receiver, 500).await;
    assert!(lapwing.terminate().await.success());
    let lapwing = home.start().await;
    moto.put("audit", records(500..501)).await;
    all_are_told(&receiver, 501).await;
    assert_eq!(lapwing.metric("lapwing_events_total{source=\"stream\"}").await, 1.0, "what counted is not read again");
    assert_eq!(lapwing.metric("lapwing_source_behind_seconds{source=\"stream\"}").await, 0.0);
    assert_eq!(lapwing.complaints(), Vec::<String>::new());
}

/// What `lapwing check --connect` says of a configuration with this source, and whether it is content.
fn check(source: &str) -> (bool, String) {
    let home = Home::new();
    home.configure(&format!("sources:\n  trail: {source}\n"));
    let mut check = std::process::Command::new(Lapwing::binary());
    check.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    let output = check.args(["check", "--connect"]).arg(home.path("lapwing.yaml")).output().expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_check_that_connects_says_which_stream_or_log_group_is_missing() {
    let Some(moto) = Moto::start() else { return };
    moto.stream("audit", 2).await;
    moto.log_group("trail").await;
    let (good, said) = check(&kinesis(&moto));
    assert!(good && said.contains("sources.trail: stream audit: 2 shards, keeps records for 24 h"), "{said}");
    let (good, said) = check(&kinesis(&moto).replace("audit", "audits"));
    assert!(!good && said.contains("stream audits: FAILS: ") && said.contains("mend its name, region"), "{said}");
    let cloudwatch = |groups: &str| {
        format!("{{cloudwatch: {{log_groups: [{groups}], region: {REGION}, endpoint_url: \"{}\"}}}}", moto.address)
    };
    let (good, said) = check(&cloudwatch("trail"));
    assert!(good && said.contains("sources.trail: log group trail: readable"), "{said}");
    let (good, said) = check(&cloudwatch("trail, trial"));
    assert!(
        !good && said.contains("log group trial: FAILS: ") && said.contains("create it, or mend its name"),
        "{said}"
    );
}

/// `make million` runs it, in a release build: a million records of CloudTrail in CloudWatch Logs, of which one in a thousand
/// raises an alert. `LAPWING_RECORDS` asks for another number.
#[ignore = "minutes in a release build: make million"]
#[tokio::test]
async fn a_million_records_in_cloudwatch_logs_raise_what_a_replay_finds_though_the_service_is_killed_in_their_middle() {
    const EACH: usize = 1_000;
    const GROUPS: usize = 10;
    const PUT: usize = 5_000;
    let Some(moto) = Moto::start() else { return };
    let given = std::env::var("LAPWING_RECORDS").ok().and_then(|text| text.parse::<usize>().ok());
    let all = given.unwrap_or(1_000_000) / (GROUPS * PUT) * (GROUPS * PUT);
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let mut file = BufWriter::new(File::create(home.path("all.jsonl")).expect("there is room for a file"));
    let (start, began_ms) = (Instant::now(), now_ms() - 3 * 3_600_000);
    for group in 0..GROUPS {
        moto.log_group(&format!("trail-{group}")).await;
    }
    for (place, from) in (0..all).step_by(PUT).enumerate() {
        let text = |number: usize| match number % EACH {
            0 => stopped(&format!("event-{number}"), &format!("user-{}", number % 50)),
            _ => harmless(number),
        };
        let texts: Vec<String> = (from..from + PUT).map(text).collect();
        texts.iter().for_each(|text| writeln!(file, "{text}").expect("there is room for a file"));
        // Each group has its part of two and a half hours.
        let at = |index: usize| began_ms + ((from + index) as i64 * 9_000_000) / all as i64;
        moto.log(
            &format!("trail-{}", place % GROUPS),
            texts.into_iter().enumerate().map(|(index, text)| (at(index), text)),
        )
        .await;
    }
    file.flush().expect("there is room for a file");
    loudly(&format!("{all} records put in {:.0} s", start.elapsed().as_secs_f64()));

    home.configure(&format!(
        "sources:\n  trail: {{kind: aws.cloudtrail, cloudwatch: {{log_group_prefixes: [trail-], region: {REGION}, endpoint_url: \
         \"{}\", start: 4h, requests_per_second: 100}}}}\nsinks: {{soc: {}}}\n",
        moto.address,
        receiver.sink()
    ));
    let start = Instant::now();
    let lapwing = home.start().await;
    let counted = async |lapwing: &Lapwing| lapwing.metric("lapwing_events_total{source=\"trail\"}").await as usize;
    patiently("a third to be counted", async || (counted(&lapwing).await > all / 3).then_some(())).await;
    let seconds = start.elapsed().as_secs_f64();
    let before = counted(&lapwing).await;
    loudly(&format!("before the kill: {before} events in {seconds:.1} s, {:.0} events/s", before as f64 / seconds));
    let lag = lapwing.metric("lapwing_source_behind_seconds{source=\"trail\"}").await;
    loudly(&format!("lag at the kill: {lag:.0} s"));
    lapwing.kill();
    let killed = Instant::now();
    let lapwing = home.start().await;
    patiently("all alerts", async || (receiver.alerts().len() >= all / EACH).then_some(())).await;
    let seconds = killed.elapsed().as_secs_f64();
    let after = counted(&lapwing).await;
    loudly(&format!("after it: {after} events in {seconds:.1} s, {:.0} events/s", after as f64 / seconds));
    patiently("the present", async || {
        let behind = lapwing.metric("lapwing_source_behind_seconds{source=\"trail\"}").await;
        (behind < 60.0).then_some(())
    })
    .await;
    loudly(&format!("at the present {:.1} s after the kill", killed.elapsed().as_secs_f64()));
    let replayed = Lapwing::replay(&home.path("all.jsonl"));
    let replayed: BTreeSet<String> =
        replayed.iter().map(|alert| alert["id"].as_str().expect("an alert has an id").to_owned()).collect();
    assert_eq!(replayed.len(), all / EACH);
    assert_eq!(ids(&lapwing).await, replayed, "0 lost, 0 new ids");
    assert_eq!(receiver.alerts().into_keys().collect::<BTreeSet<_>>(), replayed);
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

/// [`until`], for what takes minutes.
async fn patiently(awaited: &str, mut look: impl AsyncFnMut() -> Option<()>) {
    let start = Instant::now();
    while look().await.is_none() {
        assert!(start.elapsed() < Duration::from_secs(1_800), "waited half an hour for {awaited}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
