//! The same records by every road give the same alerts, and people are told the same of them, byte by byte.

mod harness;

#[path = "roads/google.rs"]
mod google;
#[cfg(feature = "kafka")]
#[path = "roads/kafka.rs"]
mod kafka;
#[cfg(feature = "aws")]
#[path = "roads/moto.rs"]
mod moto;
#[cfg(feature = "aws")]
#[path = "roads/objects.rs"]
mod objects;

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::sync::OnceCell;

use harness::{Chance, Corpus, Home, Lapwing, Receiver};

/// What came out at the end of a road.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    /// Every notification by its id: the whole body.
    messages: BTreeMap<String, String>,
    /// Every alert that stands, without what the store adds, by its id.
    alerts: BTreeMap<String, String>,
}

/// The road that the others are held to: a plain file. Travelled once, however many tests ask.
async fn reference() -> &'static Outcome {
    static REFERENCE: OnceCell<Outcome> = OnceCell::const_new();
    REFERENCE.get_or_init(|| file_road("trail.jsonl", |lines| lines.join("\n").into_bytes())).await
}

async fn file_road(name: &str, write: impl FnOnce(&[String]) -> Vec<u8>) -> Outcome {
    let corpus = Corpus::open();
    let home = Home::new();
    let mut bytes = write(corpus.lines());
    if !name.ends_with(".gz") {
        bytes.push(b'\n');
    }
    std::fs::write(home.path(name), bytes).expect("the corpus can be written");
    let system = format!("file: {{path: {}, follow: false}}", home.path(name).display());
    travel(&home, &system, async |_| {}).await
}

/// Runs a service whose only source is `system`, feeds it, waits for the whole corpus to pass, and takes
/// what came out.
async fn travel(home: &Home, system: &str, feed: impl AsyncFnOnce(&Lapwing)) -> Outcome {
    let receiver = Receiver::start().await;
    home.configure(&format!(
        "sources:\n  road: {{kind: aws.cloudtrail, {system}}}\nsinks:\n  soc: {}",
        receiver.sink()
    ));
    let lapwing = home.start().await;
    feed(&lapwing).await;
    lapwing.has_read("road", Corpus::open().lines().len()).await;
    lapwing.everybody_told(&receiver).await;
    let alerts = lapwing.rows().await.into_iter().map(canonical).collect();
    assert_eq!(lapwing.complaints(), Vec::<String>::new(), "a quiet run complains of nothing");
    let status = lapwing.terminate().await;
    assert!(status.success(), "after SIGTERM: {status}");
    assert_eq!(receiver.faults(), Vec::<String>::new());
    Outcome { messages: receiver.messages(), alerts }
}

/// An alert's id and the alert as text, without what the store adds to it.
fn canonical(mut alert: Value) -> (String, String) {
    let members = alert.as_object_mut().expect("an alert is an object");
    for stored in ["revision", "state", "received", "updated"] {
        members.remove(stored);
    }
    let id = members["id"].as_str().expect("an alert has an id").to_owned();
    (id, alert.to_string())
}

#[track_caller]
fn same(road: &Outcome, reference: &Outcome) {
    assert!(!reference.messages.is_empty(), "the corpus raises alerts");
    differ("alert", &settled(&road.alerts), &settled(&reference.alerts));
    differ("message", &settled(&road.messages), &settled(&reference.messages));
}

/// Without sums of findings. They are added up when nothing before them can come any more: at the end of files, and when so much
/// time has gone on for a source that may say more. Until then a sum may grow.
fn settled(alerts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut settled = alerts.clone();
    settled.retain(|_, alert| !alert.contains("Several rules speak of one actor"));
    settled
}

/// Fails with the first few differences: whole maps would fill the screen.
#[track_caller]
fn differ(what: &str, road: &BTreeMap<String, String>, reference: &BTreeMap<String, String>) {
    let mut wrong = Vec::new();
    for (id, expected) in reference {
        match road.get(id) {
            None => wrong.push(format!("missing {id}: {expected}")),
            Some(found) if found != expected => wrong.push(format!("{id}:\n  {found}\n  not {expected}")),
            Some(_) => {}
        }
    }
    wrong.extend(
        road.iter().filter(|(id, _)| !reference.contains_key(*id)).map(|(id, found)| format!("new {id}: {found}")),
    );
    assert!(
        wrong.is_empty(),
        "{} of {} {what}s differ:\n{}",
        wrong.len(),
        reference.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes bytes");
    encoder.finish().expect("memory takes bytes")
}

#[tokio::test]
async fn a_gzip_file_leads_to_the_same_alerts_as_a_plain_one() {
    let road = file_road("trail.jsonl.gz", |lines| gzip((lines.join("\n") + "\n").as_bytes())).await;
    same(&road, reference().await);
}

#[tokio::test]
async fn the_api_lists_what_replay_prints() {
    let home = Home::new();
    let file = home.path("trail.jsonl");
    std::fs::write(&file, Corpus::open().lines().join("\n")).expect("the corpus can be written");
    let replayed: BTreeMap<String, String> = Lapwing::replay(&file).into_iter().map(canonical).collect();
    differ("alert", &settled(&reference().await.alerts), &settled(&replayed));
    // Growth is told at doublings, so the last message may be older than the alert; whom it is about is not.
    let told: Vec<String> = reference().await.messages.values().map(|body| alert_of(body)).collect();
    for id in replayed.keys() {
        assert!(told.contains(id), "nobody was told of {id}");
    }
    assert!(told.iter().all(|id| replayed.contains_key(id)), "people were told of alerts that replay does not know");
}

fn alert_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).expect("a webhook body is JSON");
    body["data"]["id"].as_str().expect("data is an alert").to_owned()
}

#[tokio::test]
async fn an_alert_is_first_told_as_raised_with_revision_one() {
    first_raised(&reference().await.messages);
}

#[track_caller]
fn first_raised(messages: &BTreeMap<String, String>) {
    let mut first: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for body in messages.values() {
        let body: Value = serde_json::from_str(body).expect("a webhook body is JSON");
        let revision = body["revision"].as_u64().expect("a body has a revision");
        let id = body["data"]["id"].as_str().expect("data is an alert").to_owned();
        let said = (revision, body["type"].as_str().expect("a body has a type").to_owned());
        let entry = first.entry(id).or_insert_with(|| said.clone());
        *entry = entry.clone().min(said);
    }
    let odd: Vec<_> = first.iter().filter(|(_, said)| **said != (1, "alert.raised".to_owned())).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[tokio::test]
async fn http_requests_of_any_size_lead_to_the_same_alerts_as_a_file() {
    let home = Home::new();
    let road = travel(&home, "http: {token: sesame}", async |lapwing| {
        let client = reqwest::Client::new();
        let corpus = Corpus::open();
        let mut left = corpus.lines();
        // 1, 2, 4 … 512 records and again from 1; every second request is compressed.
        for number in 0.. {
            let (records, rest) = left.split_at(left.len().min(1 << (number % 10)));
            if records.is_empty() {
                break;
            }
            left = rest;
            let body = records.join("\n").into_bytes();
            let request = client.post(lapwing.url("/v1/events/road")).bearer_auth("sesame");
            let request = if number % 2 == 0 {
                request.body(body)
            } else {
                request.header("content-encoding", "gzip").body(gzip(&body))
            };
            let answer = request.send().await.expect("the service answers");
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
        }
    })
    .await;
    same(&road, reference().await);
}

/// Records as they come late and out of order from a trail: each up to ten minutes after its place.
fn delayed(lines: &[String], chance: &mut Chance) -> Vec<String> {
    let mut arrivals: Vec<(i64, &String)> = lines
        .iter()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("a record is JSON");
            let time = record["eventTime"].as_str().expect("a record has a time");
            let time = chrono::DateTime::parse_from_rfc3339(time).expect("a record's time is RFC 3339").timestamp();
            (time + i64::try_from(chance.below(600)).expect("ten minutes fit"), line)
        })
        .collect();
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, line)| line.clone()).collect()
}

#[tokio::test]
async fn records_that_come_ten_minutes_late_in_any_order_lead_to_the_same_alerts() {
    let mut chance = Chance::seeded();
    let road = file_road("late.jsonl", |lines| delayed(lines, &mut chance).join("\n").into_bytes()).await;
    differ("alert", &road.alerts, &reference().await.alerts);
    first_raised(&road.messages);
}
