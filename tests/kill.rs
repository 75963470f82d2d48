//! `kill -9` at twenty random moments of a run: every alert arrives, none is new, none is another.
//!
//! The feed is slow and the receiver moody, so that kills find the service reading, matching, committing,
//! routing, delivering and starting. `LAPWING_SEED` repeats the choices of a run, though not the machine's.

mod harness;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use harness::{Chance, Corpus, Home, Lapwing, Log, Receiver, Say, Told, push, until};

const KILLS: usize = 20;
/// What the file is appended in: so many pieces, cut anywhere, in the middle of records too.
const PIECES: usize = 800;
/// Event id of the record that is fed last: once its alert stands, all before it was read.
const LAST: &str = "00000000-1a57-4000-8000-000000000000";

/// The corpus, and after it a record that some shipped rule alerts on.
fn records() -> Vec<String> {
    let mut lines = Corpus::open().lines().to_vec();
    let newest: Value = serde_json::from_str(lines.last().expect("a corpus has records")).expect("a record is JSON");
    let last = json!({
        "eventID": LAST, "eventTime": newest["eventTime"], "eventVersion": "1.08", "eventType": "AwsApiCall",
        "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging", "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333", "sourceIPAddress": "192.0.2.7", "userAgent": "aws-cli/2",
        "userIdentity": {"type": "IAMUser", "userName": "mallory", "arn": "arn:aws:iam::111122223333:user/mallory"},
        "requestParameters": {"name": "trail"},
    });
    lines.push(last.to_string());
    lines
}

/// Runs once undisturbed, however many tests ask.
async fn undisturbed() -> &'static Told {
    static ONCE: OnceCell<Told> = OnceCell::const_new();
    ONCE.get_or_init(|| async {
        let (home, receiver, records) = (Home::new(), Receiver::start().await, records());
        let file = home.path("trail.jsonl");
        std::fs::write(&file, records.join("\n") + "\n").expect("the file can be written");
        configure(&home, &receiver, &format!("file: {{path: {}}}", file.display()));
        let lapwing = home.start().await;
        lapwing.has_read("feed", records.len()).await;
        let told = Told::by(&lapwing, &receiver).await;
        lapwing.kill();
        told
    })
    .await
}

fn configure(home: &Home, receiver: &Receiver, system: &str) {
    home.configure(&format!(
        "sources:\n  feed: {{kind: aws.cloudtrail, {system}}}\nsinks:\n  soc: {}",
        receiver.sink()
    ));
}

/// Mostly takes messages, sometimes late, sometimes not.
fn moody(receiver: &Receiver, mut chance: Chance) {
    receiver.say(move |_| match chance.below(20) {
        0 => Say::Now(500),
        1 => Say::After(Duration::from_millis(200), 503),
        2..12 => Say::After(Duration::from_millis(chance.below(100)), 200),
        _ => Say::Now(200),
    });
}

/// A moment that nobody can foresee: this is the test's subject, not a wait for anything.
async fn moment(chance: &mut Chance, millis_max: u64) {
    tokio::time::sleep(Duration::from_micros(chance.below(millis_max * 1_000))).await;
}

/// Twenty different places among `steps`, in order.
fn places(chance: &mut Chance, steps: usize) -> Vec<usize> {
    let mut places = std::collections::BTreeSet::new();
    while places.len() < KILLS.min(steps) {
        places.insert(usize::try_from(chance.below(steps as u64)).expect("a place fits"));
    }
    places.into_iter().collect()
}

/// Kills it, most often out of the blue, sometimes while it is stopping in order.
async fn kill(lapwing: Lapwing, chance: &mut Chance) {
    if chance.below(4) == 0 {
        lapwing.ask_to_stop();
        moment(chance, 30).await;
    }
    lapwing.kill();
}

/// Most often waited for; sometimes not, so that the next kill may find it starting; sometimes stopped in
/// order first, so that a saved state is taken up.
async fn start_again(home: &Home, chance: &mut Chance) -> Lapwing {
    match chance.below(6) {
        0 => {
            let lapwing = home.spawn();
            moment(chance, 400).await;
            lapwing
        }
        1 => {
            let ended = home.start().await.terminate().await;
            assert!(ended.success(), "after SIGTERM: {ended}");
            home.start().await
        }
        _ => home.start().await,
    }
}

/// Waits until the last run told all it has to tell, and compares with the undisturbed run.
async fn finish(lapwing: Lapwing, receiver: &Receiver) {
    let expected = undisturbed().await;
    let last = expected.about(LAST);
    until("the alert on the last record", async || {
        lapwing.rows().await.iter().any(|row| row["id"] == last).then_some(())
    })
    .await;
    let found = Told::by(&lapwing, receiver).await;
    lapwing.refused_nothing().await;
    let ended = lapwing.terminate().await;
    assert!(ended.success(), "after SIGTERM: {ended}");

    assert_eq!(receiver.faults(), Vec::<String>::new());
    expected.is_told_by(&found);
    let (alerts, messages) = (found.history.alerts().len(), found.history.messages(|it| it.taken).len());
    let arrivals = found.history.0;
    let taken = arrivals.iter().filter(|arrival| arrival.taken).count();
    eprintln!("{alerts} alerts, {messages} messages, {} arrivals, {taken} taken", arrivals.len());
}

#[tokio::test]
async fn twenty_kills_while_a_file_is_followed_and_rotated_lose_no_alert_and_make_none() {
    let mut chance = Chance::seeded();
    let (home, receiver) = (Home::new(), Receiver::start().await);
    moody(&receiver, chance.fork());
    let text = (records().join("\n") + "\n").into_bytes();
    let piece = text.len().div_ceil(PIECES);
    let mut log = Log::create(home.path("trail.jsonl"), text);
    configure(&home, &receiver, &format!("file: {{path: {}}}", log.path().display()));
    let mut kills = places(&mut chance, PIECES).into_iter().peekable();

    let mut lapwing = home.start().await;
    // Nobody looks for a file that rotation moves before the first position in it is stored.
    log.write(piece);
    lapwing.has_read("feed", 1).await;
    for number in 0..PIECES {
        log.write(piece);
        moment(&mut chance, 8).await;
        if kills.next_if_eq(&number).is_some() {
            let rotation = chance.below(6);
            if rotation == 0 {
                log.rotate();
            }
            kill(lapwing, &mut chance).await;
            if rotation == 1 {
                log.rotate();
            }
            lapwing = start_again(&home, &mut chance).await;
        }
    }
    assert_eq!(log.left(), 0, "the whole corpus was written");
    lapwing.listens().await;
    finish(lapwing, &receiver).await;
}

#[tokio::test]
async fn twenty_kills_while_a_client_pushes_and_repeats_lose_no_alert_and_make_none() {
    let mut chance = Chance::seeded();
    let (home, receiver) = (Home::new(), Receiver::start().await);
    moody(&receiver, chance.fork());
    configure(&home, &receiver, "http: {token: sesame}");
    let records = records();
    let requests: Vec<String> = records.chunks(records.len().div_ceil(300)).map(|records| records.join("\n")).collect();
    let mut kills = places(&mut chance, requests.len()).into_iter().peekable();

    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client can be made");
    let mut lapwing = home.start().await;
    let mut repeated = 0;
    for (number, body) in requests.into_iter().enumerate() {
        let mut pushing = tokio::spawn(push(client.clone(), lapwing.url("/v1/events/feed"), body.clone()));
        if kills.next_if_eq(&number).is_some() {
            moment(&mut chance, 15).await;
            kill(lapwing, &mut chance).await;
            lapwing = start_again(&home, &mut chance).await;
            if chance.below(3) == 0 {
                // Killed again before it was told anything.
                lapwing.kill();
                lapwing = home.spawn();
            }
            lapwing.listens().await;
        }
        while !pushing.await.expect("a push does not panic") {
            repeated += 1;
            pushing = tokio::spawn(push(client.clone(), lapwing.url("/v1/events/feed"), body.clone()));
        }
    }
    eprintln!("{repeated} requests had to be repeated");
    finish(lapwing, &receiver).await;
}
