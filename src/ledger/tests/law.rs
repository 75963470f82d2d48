//! Promises 1 to 3 through the real stages: workers, ledger and a store on disk. In whatever order within the lateness
//! records come, however often, in whatever batches, on however many threads, and wherever the process dies: what stands
//! in the store is what the sorted stream without repeats leads to.

use std::collections::BTreeMap;
use std::path::Path;

use arc_swap::ArcSwap;
use connect::source::{Batch, Body, Record};
use engine::detect::Ledger as Standing;
use engine::normalise::Limits;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::sync::{Notify, broadcast, mpsc};

use super::*;
use crate::feed::Manners;
use crate::store::Query;
use crate::workers::{self, Load};

/// How a stream comes and where the process dies.
#[derive(Clone, Debug)]
struct Course {
    /// By how many minutes each record is held up.
    held: Vec<u32>,
    /// Records that come a second time.
    again: Vec<Index>,
    /// Records in each batch, in turn.
    batches: Vec<usize>,
    threads: usize,
    /// Commits after which the process dies, or before which, with how many batches are then read again that were
    /// committed.
    deaths: Vec<(usize, bool, usize)>,
    /// Whether the source may read again what was committed.
    repeats: bool,
}

fn course() -> impl Strategy<Value = Course> {
    (
        proptest::collection::vec(0u32..20, 60),
        proptest::collection::vec(any::<Index>(), 0..20),
        proptest::collection::vec(1usize..9, 1..12),
        1usize..5,
        proptest::collection::vec((1usize..5, any::<bool>(), 0usize..3), 0..4),
        any::<bool>(),
    )
        .prop_map(|(held, again, batches, threads, deaths, repeats)| Course {
            held,
            again,
            batches,
            threads,
            deaths,
            repeats,
        })
}

/// What happens: at which minute, and which secret is read or, for none, logging stopped.
fn happenings() -> impl Strategy<Value = BTreeMap<u32, Option<u32>>> {
    proptest::collection::btree_map(0u32..59, proptest::option::weighted(0.8, 0u32..5), 1..40)
}

fn record(minute: u32, secret: Option<u32>) -> String {
    match secret {
        Some(secret) => sample::read_secret(minute, secret),
        None => sample::stop_logging(minute),
    }
}

/// The batches of the stream as it comes.
fn batches(happenings: &BTreeMap<u32, Option<u32>>, course: &Course) -> Vec<Vec<String>> {
    let mut minutes: Vec<u32> = happenings.keys().copied().collect();
    let again: Vec<u32> = course.again.iter().map(|which| *which.get(&minutes)).collect();
    minutes.extend(again);
    let mut coming: Vec<(u32, usize, u32)> =
        minutes.iter().enumerate().map(|(place, &minute)| (minute + course.held[place % 60], place, minute)).collect();
    coming.sort_unstable();
    let mut records = coming.into_iter().map(|(_, _, minute)| record(minute, happenings[&minute])).peekable();
    let mut lengths = course.batches.iter().cycle();
    let mut batches = Vec::new();
    while records.peek().is_some() {
        batches.push(records.by_ref().take(*lengths.next().expect("it cycles")).collect());
    }
    batches
}

/// One life of the process: until the stream ends, or until it dies. Answers whether it died.
fn live(folder: &Path, batches: &[Vec<String>], course: &Course, death: Option<(usize, bool, usize)>) -> bool {
    let store = Arc::new(Store::open(folder).unwrap());
    let recovered = store.recover().unwrap();
    let committed: usize =
        recovered.marks.get("west").map_or(0, |mark| mark.0["west"].parse().expect("a number written below"));
    let reread = if course.repeats { death.map_or(0, |(_, _, reread)| reread) } else { 0 };
    let manners = Manners { delay: PACE.delay, repeats: course.repeats, says_idle: false };
    let feed = Feed::new("west".to_owned(), Format::Auto, true).with(PACE, manners);
    let (feed, rules) = (Arc::new(feed), Arc::new(sample::rules()));
    let clock = Clock::Hand(Hand::at(Timestamp::default()));
    let feeds = std::slice::from_ref(&feed);
    let mut ledger = Ledger::open(store.clone(), recovered, rules.clone(), feeds, settings(folder), clock).unwrap();

    let (inbox, loads) = mpsc::channel(8);
    let rules = Arc::new(ArcSwap::new(rules));
    let (mut matched, threads) = workers::start(course.threads, loads, rules, Limits::default()).unwrap();
    let from = committed.saturating_sub(reread);
    let sent: Vec<(usize, Vec<String>)> = batches.iter().cloned().enumerate().skip(from).collect();
    let sender = std::thread::spawn(move || {
        for (place, records) in sent {
            let record = |(number, text): (usize, String)| Record {
                position: format!("{place}.{number}"),
                body: Body::Whole(text.into_bytes()),
            };
            let records = records.into_iter().enumerate().map(record).collect();
            let mark = Mark([("west".to_owned(), (place + 1).to_string())].into());
            let batch = Batch { records, mark, ..Batch::default() };
            if inbox.blocking_send(Load { feed: feed.clone(), batch }).is_err() {
                return;
            }
        }
    });
    let listeners = Listeners {
        router: Arc::new(Notify::new()),
        live: broadcast::channel(8).0,
        committing: Arc::new(std::sync::atomic::AtomicBool::new(true)),
    };
    let mut commits = 0;
    let died = loop {
        let mut group = match matched.within(Duration::from_secs(60)) {
            Waited::Batch(batch) => vec![*batch],
            Waited::Ended => break false,
            Waited::Nothing => panic!("the workers hang"),
        };
        while commits % 2 == 1
            && let Some(more) = matched.ready()
        {
            group.push(more);
        }
        commits += 1;
        let Some((commit, kept)) = ledger.apply(&mut group) else { continue };
        if death == Some((commits, false, reread)) {
            break true;
        }
        ledger.commit(commit, &kept, &listeners, &CancellationToken::new()).unwrap();
        if death == Some((commits, true, reread)) {
            break true;
        }
    };
    drop(matched);
    sender.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    died
}

/// The stream in order, each event once, in one thread and one go.
fn expected(happenings: &BTreeMap<u32, Option<u32>>) -> Vec<String> {
    let records: Vec<String> = happenings.iter().map(|(&minute, &secret)| record(minute, secret)).collect();
    let mut standing = Standing::default();
    sample::changes(&records).into_iter().for_each(|change| standing.take(change));
    let canonical = |alert| serde_json::to_string(&alert).unwrap();
    let mut alerts: Vec<String> = standing.into_alerts().into_iter().map(canonical).collect();
    alerts.sort();
    alerts
}

/// What the store holds.
fn found(folder: &Path) -> Vec<String> {
    let store = Store::open(folder).unwrap();
    let page = store.reader().unwrap().alerts(&Query { limit: 1_000, ..Query::default() }).unwrap();
    let open = page.rows.into_iter().filter(|row| row.state == "open");
    let mut alerts: Vec<String> = open.map(|row| serde_json::to_string(&row.alert).unwrap()).collect();
    alerts.sort();
    alerts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_repeats_nor_batches_nor_threads_nor_deaths_change_what_stands(
        happenings in happenings(),
        course in course(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let batches = batches(&happenings, &course);
        for death in &course.deaths {
            let reread = if course.repeats { death.2 } else { 0 };
            live(folder.path(), &batches, &course, Some((death.0, death.1, reread)));
        }
        prop_assert!(!live(folder.path(), &batches, &course, None));
        prop_assert_eq!(found(folder.path()), expected(&happenings));
    }
}
