use super::*;
use crate::sample;
use crate::store::{Commit, Hand, Order, Settled, Verdict};

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

fn first_events(hand: &Hand) -> Vec<&str> {
    hand.messages.iter().map(|message| message.alert.event_ids[0].as_str()).collect()
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
    assert_eq!((moved, store.reader().unwrap().queue("soc").unwrap().rows), (3, 2));
    assert!(METRICS.revisions_unreadable.get() > before);
}

#[test]
fn a_message_that_cannot_be_read_becomes_a_dead_letter_that_says_why() {
    let (store, _folder) = queue(&stop_logging(3));
    store.writer().execute("UPDATE revisions SET body = x'FF' WHERE sequence = 1", []).unwrap();
    let hand = store.hand("soc", 8, Order::Severity, at(1)).unwrap();
    assert_eq!(first_events(&hand), ["StopLogging-1", "StopLogging-2"]);
    store.settle("soc", &hand.unreadable, None, at(1)).unwrap();
    assert_eq!(store.reader().unwrap().queue("soc").unwrap().dead, 1);
    let answer: String =
        store.writer().query_row("SELECT answer FROM outbox WHERE row = 1", [], |row| row.get(0)).unwrap();
    assert!(answer.starts_with("the stored message cannot be read: "), "{answer}");
    assert_eq!(store.hand("soc", 8, Order::Severity, at(1)).unwrap().messages.len(), 2);
}

/// What came of each of these messages.
fn settled(hand: &Hand, verdict: &Verdict) -> Vec<Settled> {
    let settle = |row| Settled { row, verdict: verdict.clone(), answer: String::new() };
    hand.messages.iter().map(|message| settle(message.ticket.row)).collect()
}

#[test]
fn what_is_sent_is_the_text_that_was_stored() {
    let (store, _folder) = queue(&stop_logging(1));
    let hand = store.hand("soc", 8, Order::Severity, at(0)).unwrap();
    assert_eq!(hand.messages[0].text, serde_json::to_string(&hand.messages[0].alert).unwrap());
}

#[test]
fn a_text_is_kept_once_for_all_sinks_and_as_long_as_one_message_refers_to_it() {
    let (store, _folder) = told(&stop_logging(3));
    let sinks = |alert: &Alert| if alert.event_ids[0].ends_with('2') { vec![] } else { vec!["soc", "siem"] };
    store.route(9, at(0), |alert| sinks(alert).into_iter().map(|sink| (sink, alert.id.0.clone())).collect()).unwrap();
    let texts = || -> Vec<i64> {
        let writer = store.writer();
        let mut read = writer.prepare("SELECT sequence FROM revisions ORDER BY 1").unwrap();
        read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(texts(), [1, 2], "nobody is told the third");
    store.writer().execute("DELETE FROM outbox WHERE row IN (1, 3)", []).unwrap();
    assert_eq!(texts(), [1, 2]);
    store.writer().execute("DELETE FROM outbox WHERE row = 2", []).unwrap();
    assert_eq!(texts(), [2]);
}

#[test]
fn a_lane_that_waits_hides_no_other_however_much_is_queued_in_it() {
    let (store, _folder) = told(&stop_logging(3));
    store.route(1, at(0), |_| vec![("soc", "noisy".to_owned())]).unwrap();
    let hand = store.hand("soc", 8, Order::Severity, at(0)).unwrap();
    store.settle("soc", &settled(&hand, &Verdict::Again(at(60))), None, at(0)).unwrap();
    let copies = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO outbox (sink, lane, told, severity, state, head, attempts, tried, due, created, updated)
        SELECT sink, lane, told + 10 + i, severity, state, 0, 0, 0, 0, 0, 0 FROM outbox, n";
    store.writer().execute(copies, []).unwrap();
    store.route(2, at(0), |_| vec![("soc", "quiet".to_owned())]).unwrap();
    let hand = store.hand("soc", 8, Order::Severity, at(1)).unwrap();
    assert_eq!(first_events(&hand), ["StopLogging-1"]);
}

#[test]
fn a_lane_is_sent_in_order_one_message_at_a_time() {
    let (store, _folder) = told(&stop_logging(3));
    store.route(1_000, at(0), |_| vec![("soc", "lane".to_owned())]).unwrap();
    let mut seen = Vec::new();
    for verdict in [Verdict::Delivered, Verdict::Again(at(0)), Verdict::Dead, Verdict::Delivered] {
        let hand = store.hand("soc", 8, Order::Severity, at(0)).unwrap();
        seen.extend(hand.messages.iter().map(|message| message.alert.event_ids[0].clone()));
        store.settle("soc", &settled(&hand, &verdict), None, at(0)).unwrap();
    }
    assert_eq!(seen, ["StopLogging-0", "StopLogging-1", "StopLogging-1", "StopLogging-2"]);
    let redrive = "UPDATE outbox SET state = 'queued', due = 0 WHERE state IN ('dead', 'delivered') AND row < 3";
    store.writer().execute(redrive, []).unwrap();
    assert_eq!(first_events(&store.hand("soc", 8, Order::Severity, at(0)).unwrap()), ["StopLogging-0"]);
}

#[test]
fn the_most_severe_go_first_and_on_request_those_that_were_not_tried() {
    let records: Vec<String> = (0..2).map(|n| sample::read_secret(n, n)).chain(stop_logging(1)).collect();
    let (store, _folder) = queue(&records);
    let first = store.hand("soc", 1, Order::Severity, at(0)).unwrap();
    assert_eq!(first_events(&first), ["StopLogging-0"]);
    store.settle("soc", &settled(&first, &Verdict::Again(at(1))), None, at(0)).unwrap();
    let next = store.hand("soc", 1, Order::Due, at(2)).unwrap();
    assert_eq!(first_events(&next), ["GetSecretValue-0"]);
}

#[test]
fn the_age_of_a_message_counts_from_its_first_attempt_and_begins_anew_when_it_is_kept_or_redriven() {
    let (store, _folder) = queue(&stop_logging(1));
    let tried = |second| store.hand("soc", 1, Order::Severity, at(second)).unwrap().messages[0].ticket.tried;
    let settle = |verdict, second| {
        let settled = Settled { row: 1, verdict, answer: String::new() };
        store.settle("soc", &[settled], None, at(second)).unwrap();
    };
    assert_eq!(tried(10), None);
    settle(Verdict::Again(at(20)), 11);
    assert_eq!(tried(20), Some(at(11)));
    settle(Verdict::Again(at(30)), 21);
    assert_eq!(tried(30), Some(at(11)));
    settle(Verdict::Kept, 31);
    assert_eq!(tried(40), None);
    settle(Verdict::Again(at(50)), 41);
    settle(Verdict::Dead, 51);
    store.writer().execute("UPDATE outbox SET state = 'queued', due = 0 WHERE state = 'dead'", []).unwrap();
    assert_eq!(tried(60), None);
}

#[test]
fn a_message_whose_wait_lies_far_ahead_because_the_clock_was_set_back_is_due() {
    let (store, _folder) = queue(&stop_logging(1));
    let hand = store.hand("soc", 1, Order::Severity, at(100_000)).unwrap();
    store.settle("soc", &settled(&hand, &Verdict::Again(at(103_600))), None, at(100_000)).unwrap();
    for order in [Order::Severity, Order::Due] {
        assert!(store.hand("soc", 1, order, at(100_000)).unwrap().is_empty());
        assert_eq!(store.hand("soc", 1, order, at(50_000)).unwrap().messages.len(), 1);
    }
}

#[test]
fn what_a_receiver_asked_for_holds_its_whole_sink_across_a_restart() {
    let (store, folder) = queue(&stop_logging(2));
    let hand = store.hand("soc", 1, Order::Severity, at(0)).unwrap();
    store.settle("soc", &settled(&hand, &Verdict::Again(at(30))), Some(at(30)), at(0)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert!(store.hand("soc", 8, Order::Severity, at(29)).unwrap().is_empty());
    assert_eq!(store.hand("soc", 8, Order::Severity, at(30)).unwrap().messages.len(), 2);
    assert_eq!(store.hand("soc", 8, Order::Severity, at(-1)).unwrap().messages.len(), 2, "the clock was set back");
}

#[test]
fn what_is_queued_for_a_sink_that_is_no_longer_configured_becomes_dead_letters() {
    let (store, _folder) = told(&stop_logging(2));
    store.route(1_000, at(0), |_| vec![("old", "lane".to_owned()), ("soc", "lane".to_owned())]).unwrap();
    assert_eq!(store.abandon_others(&["soc", "new"], at(1)).unwrap(), 2);
    assert_eq!(store.abandon_others(&["soc", "new"], at(1)).unwrap(), 0);
    let (old, soc) = (store.reader().unwrap().queue("old").unwrap(), store.reader().unwrap().queue("soc").unwrap());
    assert_eq!((old.rows, old.dead, soc.rows, soc.dead), (0, 2, 2, 0));
    let answer: String =
        store.writer().query_row("SELECT answer FROM outbox WHERE sink = 'old'", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "the sink is no longer configured");
}
