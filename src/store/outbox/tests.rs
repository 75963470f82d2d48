use super::*;
use crate::sample;
use crate::store::Commit;

const LEASE: Duration = Duration::from_secs(120);

/// A store whose alerts wait for the router.
fn told(records: &[String]) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.commit(&Commit { number: 1, changes: sample::changes(records), ..Commit::default() }).unwrap();
    (store, folder)
}

/// A store with these alerts queued for the sink `soc`, each in a lane of its own.
fn queue(records: &[String]) -> (Store, tempfile::TempDir) {
    let (store, folder) = told(records);
    store.route(1_000, at(0), |alert| vec![("soc", alert.id.0.clone())]).unwrap();
    (store, folder)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn first_events(leased: &[Queued]) -> Vec<&str> {
    leased.iter().map(|message| message.alert.event_ids[0].as_str()).collect()
}

fn stop_logging(minutes: u32) -> Vec<String> {
    (0..minutes).map(sample::stop_logging).collect()
}

#[test]
fn a_revision_that_cannot_be_read_does_not_stop_those_behind_it() {
    let (store, _folder) = told(&stop_logging(3));
    store.writer().execute("UPDATE revisions SET body = '{' WHERE sequence = 1", []).unwrap();
    let before = METRICS.revisions_unreadable.get();
    let moved = store.route(1_000, at(0), |alert| vec![("soc", alert.id.0.clone())]).unwrap();
    assert_eq!((moved, store.queue("soc").unwrap().rows), (3, 2));
    assert!(METRICS.revisions_unreadable.get() > before);
}

#[test]
fn a_message_that_cannot_be_read_becomes_a_dead_letter_that_says_why() {
    let (store, _folder) = queue(&stop_logging(3));
    store.writer().execute("UPDATE outbox SET body = x'FF' WHERE row = 1", []).unwrap();
    let leased = store.lease("soc", 8, at(1), LEASE).unwrap();
    assert_eq!(first_events(&leased), ["StopLogging-1", "StopLogging-2"]);
    assert_eq!(store.queue("soc").unwrap().dead, 1);
    let answer: String =
        store.writer().query_row("SELECT answer FROM outbox WHERE row = 1", [], |row| row.get(0)).unwrap();
    assert!(answer.starts_with("the stored message cannot be read: "), "{answer}");
}
