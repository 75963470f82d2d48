//! Disks that are full, read-only, broken, or that lost the end of a file: nothing that was accepted is lost, no alert is
//! new, and once the disk works again so does the service, by itself.

mod harness;

#[path = "disk/faulty.rs"]
mod faulty;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use reqwest::StatusCode;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use faulty::{Failing, Fault, Small};
use harness::{Corpus, Home, Lapwing, Receiver, Told, until};

/// Requests that the corpus is pushed in.
const REQUESTS: usize = 120;

fn requests() -> Vec<String> {
    let records = Corpus::open().lines();
    records.chunks(records.len().div_ceil(REQUESTS)).map(|records| records.join("\n")).collect()
}

/// A short wait for commits, so that a sender hears soon that there was none.
fn configure(home: &Home, receiver: &Receiver, system: &str) {
    let sink = receiver.sink();
    home.configure(&format!(
        "ingest: {{ack_timeout: 500ms}}\nsources:\n  feed: {{kind: aws.cloudtrail, {system}}}\nsinks:\n  soc: {sink}"
    ));
}

/// What a run without any fault tells, however many tests ask.
async fn undisturbed() -> &'static Told {
    static ONCE: OnceCell<Told> = OnceCell::const_new();
    ONCE.get_or_init(|| async {
        let (home, receiver) = (Home::new(), Receiver::start().await);
        configure(&home, &receiver, "http: {}");
        let lapwing = home.start().await;
        for body in requests() {
            assert_eq!(push(&lapwing, &body).await, StatusCode::OK);
        }
        let told = Told::by(&lapwing, &receiver).await;
        let alerts = told.kept.len();
        assert!(alerts > 20, "the corpus raises alerts: {alerts}");
        told
    })
    .await
}

/// The status alone; a refusal must say when to come again.
async fn push(lapwing: &Lapwing, body: &str) -> StatusCode {
    let answer = lapwing.push("feed", body).await;
    let refused = [408, 429, 503].contains(&answer.status);
    assert!(answer.status == 200 || refused, "{answer:?}");
    assert!(!refused || answer.header("retry-after").parse::<u32>().is_ok(), "no Retry-After: {answer:?}");
    StatusCode::from_u16(answer.status).expect("a status is a status")
}

/// Pushes until it is accepted, as senders do.
async fn insist(lapwing: &Lapwing, body: &str) {
    until("a request to be accepted", async || (push(lapwing, body).await == StatusCode::OK).then_some(())).await;
}

/// Pushes on from `next` until the service accepts no more; answers which request that was.
async fn push_until_refused(lapwing: &Lapwing, requests: &[String], mut next: usize) -> usize {
    while push(lapwing, &requests[next]).await == StatusCode::OK {
        next += 1;
        assert!(next < requests.len(), "the service went on accepting");
    }
    next
}

/// A service whose disk refuses says so wherever somebody may look.
async fn says_that_it_accepts_nothing(lapwing: &Lapwing) {
    let ready = lapwing.hear("/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the disk refuses commits: see the log\n"));
    assert_eq!(lapwing.hear("/health").await.status, 200, "it is up all the same");
    assert_eq!(lapwing.status().await["committing"], false);
    assert!(lapwing.metric("lapwing_commit_failures_total").await > 0.0);
    assert_eq!(lapwing.metric("lapwing_committing").await, 0.0);
    assert!(lapwing.log_has("commit failed: accepting nothing until it works"));
    // As many as may wait for a commit do so; the others are told at once. Where the machine is busy those that wait may
    // have given up before the others are there.
    until("somebody to be told at once", async || {
        let mut waiting = JoinSet::new();
        for _ in 0..400 {
            waiting.spawn(lapwing.client().post(lapwing.url("/v1/events/feed")).body("{}").send());
        }
        let mut behind = 0;
        while let Some(answer) = waiting.join_next().await {
            let answer = answer.expect("a request does not panic").expect("the service answers");
            assert!([429, 503].contains(&answer.status().as_u16()), "{answer:?}");
            assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
            behind += usize::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        (behind > 0).then_some(())
    })
    .await;
}

/// All is told, and it is what a run without faults tells.
async fn ends_as_undisturbed(lapwing: Lapwing, receiver: &Receiver) {
    undisturbed().await.is_told_by(&ends(lapwing, receiver).await);
}

/// What it told when all is told.
async fn ends(lapwing: Lapwing, receiver: &Receiver) -> Told {
    let told = Told::by(&lapwing, receiver).await;
    assert_eq!(lapwing.status().await["sinks"][0]["dead"], 0, "a dead letter");
    assert_eq!(lapwing.status().await["committing"], true);
    assert_eq!(lapwing.metric("lapwing_committing").await, 1.0);
    let ended = lapwing.terminate().await;
    assert!(ended.success(), "after SIGTERM: {ended}");
    assert_eq!(receiver.faults(), Vec::<String>::new());
    told
}

#[tokio::test]
async fn a_full_disk_stops_acceptance_loses_nothing_and_goes_on_by_itself_when_there_is_room() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(disk) = Small::mount(&home.path("data"), 64) else { return };
    configure(&home, &receiver, "http: {}");
    let lapwing = home.start().await;
    let requests = requests();
    let mut next = 0;
    // Twice: the second time the store has been through it before.
    for half in [requests.len() / 4, requests.len() / 2] {
        for body in &requests[next..half] {
            insist(&lapwing, body).await;
        }
        disk.fill();
        next = push_until_refused(&lapwing, &requests, half).await;
        says_that_it_accepts_nothing(&lapwing).await;
        disk.empty();
        insist(&lapwing, &requests[next]).await;
        assert_eq!(lapwing.hear("/ready").await.status, 200);
    }
    for body in &requests[next..] {
        insist(&lapwing, body).await;
    }
    assert!(lapwing.log_has("commits work again"));
    ends_as_undisturbed(lapwing, &receiver).await;
}

#[tokio::test]
async fn a_service_killed_on_a_full_disk_starts_again_once_there_is_room_and_loses_nothing() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(disk) = Small::mount(&home.path("data"), 64) else { return };
    configure(&home, &receiver, "http: {}");
    let mut lapwing = home.start().await;
    let requests = requests();
    for body in &requests[..40] {
        insist(&lapwing, body).await;
    }
    disk.fill();
    let next = push_until_refused(&lapwing, &requests, 40).await;
    lapwing.kill();
    // Whether it has the little room that a start takes is chance; if not, it ends and its supervisor tries again.
    let full = home.spawn();
    until("a start on a full disk, or why there is none", async || {
        (full.log_has("listening") || full.log_has("the disk is full: make room")).then_some(())
    })
    .await;
    full.kill();
    disk.empty();
    lapwing = home.start().await;
    for body in &requests[next..] {
        insist(&lapwing, body).await;
    }
    ends_as_undisturbed(lapwing, &receiver).await;
}

#[tokio::test]
async fn a_start_on_a_disk_without_any_room_says_what_to_do() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(disk) = Small::mount(&home.path("data"), 4) else { return };
    configure(&home, &receiver, "http: {}");
    disk.fill();
    let said = home.refusal();
    assert!(said.contains("the disk is full: make room") || said.contains("No space left on device"), "{said}");
}

#[tokio::test]
async fn a_backup_for_which_there_is_no_room_is_refused_and_leaves_nothing() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(_disk) = Small::mount(&home.path("small"), 1) else { return };
    configure(&home, &receiver, "http: {}");
    let lapwing = home.start().await;
    for body in &requests() {
        insist(&lapwing, body).await;
    }
    // Room for a part of it.
    std::fs::write(home.path("small/other"), vec![b'x'; 800_000]).expect("there is room for that");
    let (target, data) = (home.path("small/backup"), home.path("data"));
    let backup = || {
        let mut command = std::process::Command::new(Lapwing::binary());
        command.args(["store", "backup"]).arg(&target).arg("--data").arg(&data).output().expect("the binary starts")
    };
    let output = backup();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("full") || said.contains("No space left"), "{said}");
    let left = std::fs::read_dir(home.path("small")).expect("the disk is there").count();
    assert_eq!(left, 1, "nothing of it stays");
    lapwing.everybody_told(&receiver).await;
}

#[tokio::test]
async fn a_disk_that_is_read_only_at_the_start_is_named_and_loses_nothing() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let Some(disk) = Small::mount(&home.path("data"), 64) else { return };
    configure(&home, &receiver, "http: {}");
    let lapwing = home.start().await;
    let requests = requests();
    for body in &requests[..40] {
        insist(&lapwing, body).await;
    }
    lapwing.kill();
    disk.read_only();
    let said = home.refusal();
    assert!(said.contains("Read-only file system") || said.contains("read-only"), "{said}");
    disk.writable();
    let lapwing = home.start().await;
    for body in &requests[40..] {
        insist(&lapwing, body).await;
    }
    ends_as_undisturbed(lapwing, &receiver).await;
}

async fn survives(failing: Failing) {
    let (mut home, receiver) = (Home::new(), Receiver::start().await);
    let Some(fault) = Fault::build(&mut home) else { return };
    configure(&home, &receiver, "http: {}");
    let lapwing = home.start().await;
    let requests = requests();
    for body in &requests[..40] {
        insist(&lapwing, body).await;
    }
    fault.begin(failing);
    let next = push_until_refused(&lapwing, &requests, 40).await;
    says_that_it_accepts_nothing(&lapwing).await;
    fault.end();
    for body in &requests[next..80] {
        insist(&lapwing, body).await;
    }
    // Killed in the middle of the next one, so that what a failed attempt left in the files is read.
    fault.begin(failing);
    let next = push_until_refused(&lapwing, &requests, 80).await;
    lapwing.kill();
    fault.end();
    let lapwing = home.start().await;
    for body in &requests[next..] {
        insist(&lapwing, body).await;
    }
    ends_as_undisturbed(lapwing, &receiver).await;
}

#[tokio::test]
async fn a_disk_that_cannot_sync_stops_acceptance_and_loses_nothing() {
    survives(Failing::Sync).await;
}

#[tokio::test]
async fn a_disk_that_turns_read_only_while_it_is_used_stops_acceptance_and_loses_nothing() {
    survives(Failing::Write).await;
}

/// Kills a service that follows a file, does something to its write-ahead log, and starts it again.
async fn survives_a_kill_and(harm: impl Fn(&Path)) {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let file = home.path("trail.jsonl");
    let records = Corpus::open().lines();
    let (first, rest) = records.split_at(records.len() / 2);
    std::fs::write(&file, first.join("\n") + "\n").expect("the file can be written");
    configure(&home, &receiver, &format!("file: {{path: {}}}", file.display()));
    let lapwing = home.start().await;
    lapwing.has_read("feed", first.len()).await;
    lapwing.kill();
    harm(&home.path("data/lapwing.db-wal"));
    let lapwing = home.start().await;
    let mut appended = std::fs::OpenOptions::new().append(true).open(&file).expect("the file is there");
    appended.write_all((rest.join("\n") + "\n").as_bytes()).expect("the file can grow");
    let known = undisturbed().await;
    until("the alerts of the whole corpus", async || (lapwing.rows().await.len() >= known.kept.len()).then_some(()))
        .await;
    lapwing.has_read("feed", rest.len()).await;
    known.is_told_in_any_order_by(&ends(lapwing, &receiver).await);
}

/// The receiver may have heard what the store forgot: it hears it again, the same.
#[tokio::test]
async fn a_store_that_lost_the_end_of_its_log_reads_the_file_again_from_where_it_stands() {
    survives_a_kill_and(|log| {
        let length = std::fs::metadata(log).expect("a killed service leaves its log").len();
        assert!(length > 100_000, "there is something to lose: {length} bytes");
        let log = std::fs::OpenOptions::new().write(true).open(log).expect("the log can be written");
        log.set_len(length * 2 / 3 + 1).expect("a file can be cut");
    })
    .await;
}

#[tokio::test]
async fn garbage_behind_the_end_of_the_stores_log_is_ignored() {
    survives_a_kill_and(|log| {
        let mut log = std::fs::OpenOptions::new().write(true).open(log).expect("the log can be written");
        log.seek(SeekFrom::End(0)).expect("a file has an end");
        let garbage: Vec<u8> =
            (0..200_003_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        log.write_all(&garbage).expect("the log can grow");
    })
    .await;
}
