use super::*;
use crate::sample;
use crate::store::{Commit, DeadRecord, Order, Settled, Verdict};

fn at(day: i64) -> Timestamp {
    Timestamp::from_millis(day * 86_400_000)
}

/// A store with one alert a day from day 0 on, each told to the sink `soc` in a lane of its own.
fn store(days: u32) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for day in 0..days {
        let (changes, now) = (sample::changes(&[sample::stop_logging(day)]), at(i64::from(day)));
        let record = DeadRecord {
            source: "push".to_owned(),
            position: String::new(),
            reason: engine::normalise::RejectReason::Syntax.name(),
            detail: String::new(),
            head: Vec::new(),
            at: now,
        };
        let number = u64::from(day) + 1;
        store.commit(&Commit { number, changes, dead: vec![record], now, ..Commit::default() }).unwrap();
        store.route(100, now, |alert| vec![("soc", alert.id.0.clone())]).unwrap();
    }
    (store, folder)
}

/// What became of the message about each day.
fn settle(store: &Store, verdict: impl Fn(u64) -> Verdict) {
    for message in store.hand("soc", 100, Order::Due, at(0)).unwrap().messages {
        // Rows count from 1, days from 0.
        let (row, now) = (message.ticket.row, at(i64::try_from(message.ticket.row).unwrap() - 1));
        let settled = Settled { row, verdict: verdict(row - 1), answer: String::new() };
        store.settle("soc", &[settled], None, now).unwrap();
    }
}

/// Walks to the end; what left.
fn sweep(store: &Store, limits: Limits) -> Left {
    let (reader, mut sweep, mut all) = (store.reader().unwrap(), Sweep::new(limits), Left::default());
    while !sweep.is_done() {
        let left = store.retain(&reader, &mut sweep).unwrap();
        all.alerts += left.alerts;
        all.deliveries += left.deliveries;
        all.dead_letters += left.dead_letters;
        all.dead_records += left.dead_records;
    }
    all
}

/// Limits that let nothing go.
fn lenient() -> Limits {
    Limits { alerts: at(-1), deliveries: at(-1), dead_letters: at(-1), bytes_max: u64::MAX }
}

fn days(store: &Store, table: &str) -> Vec<i64> {
    let writer = store.writer();
    let column = if table == "alerts" { "received" } else { "created" };
    let mut read = writer.prepare(&format!("SELECT {column} / 86400000000 FROM {table} ORDER BY 1")).unwrap();
    read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn within_the_limits_nothing_leaves() {
    let (store, _folder) = store(5);
    settle(&store, |_| Verdict::Delivered);
    assert_eq!(sweep(&store, lenient()), Left::default());
}

#[test]
fn old_alerts_leave_with_their_messages_and_an_alert_with_a_queued_message_never() {
    let (store, _folder) = store(50);
    settle(&store, |day| if day == 3 { Verdict::Kept } else { Verdict::Delivered });
    let left = sweep(&store, Limits { alerts: at(40), ..lenient() });
    assert_eq!(left, Left { alerts: 39, deliveries: 39, ..Left::default() });
    let stay: Vec<i64> = [3].into_iter().chain(40..50).collect();
    assert_eq!((days(&store, "alerts"), days(&store, "outbox")), (stay.clone(), stay));
    assert_eq!(store.hand("soc", 9, Order::Due, at(60)).unwrap().messages.len(), 1, "and it is still sent");
}

#[test]
fn an_alert_that_nobody_was_told_of_yet_never_leaves() {
    let (store, _folder) = store(2);
    let changes = sample::changes(&[sample::stop_logging(30)]);
    store.commit(&Commit { number: 9, changes, now: at(0), ..Commit::default() }).unwrap();
    let more = sample::changes(&[sample::stop_logging(31)]);
    store.commit(&Commit { number: 10, changes: more, now: at(9), ..Commit::default() }).unwrap();
    settle(&store, |_| Verdict::Delivered);
    assert_eq!(sweep(&store, Limits { alerts: at(8), ..lenient() }).alerts, 2);
    assert_eq!(days(&store, "alerts"), [0, 9], "one is not routed yet, one is new");
}

#[test]
fn the_newest_alert_stays_so_that_those_who_follow_keep_their_place() {
    let (store, _folder) = store(3);
    settle(&store, |_| Verdict::Delivered);
    let latest = store.reader().unwrap().latest().unwrap();
    sweep(&store, Limits { alerts: at(99), bytes_max: 0, ..lenient() });
    assert_eq!((days(&store, "alerts"), store.reader().unwrap().latest().unwrap()), (vec![2], latest));
}

#[test]
fn above_the_size_the_oldest_alerts_leave_and_no_more_than_needed() {
    let (store, _folder) = store(50);
    settle(&store, |_| Verdict::Delivered);
    let bytes_max = store.kept_bytes().unwrap() / 2;
    let left = sweep(&store, Limits { bytes_max, ..lenient() });
    let (kept, alerts) = (store.kept_bytes().unwrap(), i64::try_from(left.alerts).unwrap());
    let one = bytes_max / 25;
    assert!((bytes_max - one..=bytes_max).contains(&kept), "{kept} of {bytes_max}");
    assert_eq!(days(&store, "alerts"), (alerts..50).collect::<Vec<_>>());
}

#[test]
fn delivered_messages_and_dead_letters_leave_each_at_their_age_and_the_queue_stays() {
    let (store, _folder) = store(9);
    settle(&store, |day| match day % 3 {
        0 => Verdict::Delivered,
        1 => Verdict::Dead,
        _ => Verdict::Kept,
    });
    let left = sweep(&store, Limits { deliveries: at(4), dead_letters: at(7), ..lenient() });
    assert_eq!(left, Left { alerts: 0, deliveries: 2, dead_letters: 2, dead_records: 7 });
    assert_eq!(days(&store, "outbox"), [2, 5, 6, 7, 8]);
    assert_eq!(days(&store, "alerts"), (0..9).collect::<Vec<_>>());
}

#[test]
fn room_that_became_free_is_given_back_to_the_disk() {
    let (store, folder) = store(3);
    settle(&store, |_| Verdict::Delivered);
    let large = |rows: &str| format!("{rows} seen (number, ids) VALUES (1000, zeroblob(40000000))");
    store.writer().execute(&large("INSERT INTO"), []).unwrap();
    store.writer().execute("DELETE FROM seen", []).unwrap();
    let size = || {
        store.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::metadata(folder.path().join("lapwing.db")).unwrap().len()
    };
    assert!(size() > 40_000_000);
    sweep(&store, lenient());
    assert!(size() < 5_000_000, "{}", size());
}

#[test]
fn places_of_a_segment_are_forgotten_some_at_a_time() {
    let (store, _folder) = store(1);
    let add = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO archived SELECT 'json', i, '', 0, 1 + i / 200, 0, 0, 0 FROM n";
    store.writer().execute(add, []).unwrap();
    let forgotten: Vec<u64> = (0..3).map(|_| store.forget_places(1).unwrap()).collect();
    assert_eq!(forgotten, [128, 71, 0]);
    let rest: u32 = store.writer().query_row("SELECT count(*) FROM archived", [], |row| row.get(0)).unwrap();
    assert_eq!(rest, 101);
}
