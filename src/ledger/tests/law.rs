//! Promises 1 to 3 through the real stages: workers, ledger and a store on disk. In whatever order within the lateness
//! records come, by whichever of two sources, however often, in whatever batches, on however many threads, with whatever
//! silences, and wherever the process dies or is stopped: what stands in the store is what the sorted stream without
//! repeats leads to.

use std::collections::BTreeMap;
use std::path::Path;

use arc_swap::ArcSwap;
use connect::source::{Batch, Body, Record};
use engine::detect::{Register, sight};
use engine::normalise::{Limits, normalise};
use engine::notes::Readers;
use engine::rule::{RuleFile, Scratch};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::sync::{Notify, broadcast, mpsc};

use super::*;
use crate::feed::{Feed, Health, Manners};
use crate::store::Query;
use crate::workers::{self, Load};

/// Beside the sample's rules, about an event alone and many at once, one that waits for the end of a window.
const WAITS: &str = "---
title: Few secrets read
id: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b04
correlation:
  type: event_count
  rules: [secret_read]
  group-by: [userIdentity.arn]
  timespan: 4m
  condition: {lt: 3}
level: medium
";

const SOURCES: [&str; 2] = ["east", "west"];

/// How a life of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    BeforeCommit,
    AfterCommit,
    /// In order, as after SIGTERM.
    Stop,
}

/// After so many commits, and how many batches that were committed are then read again.
#[derive(Clone, Copy, Debug)]
struct Death {
    commits: usize,
    end: End,
    reread: usize,
}

/// How a stream comes.
#[derive(Clone, Debug)]
struct Plan {
    /// By how many minutes each record is held up, and by which source it comes.
    held: Vec<(u32, bool)>,
    /// Records that come a second time.
    again: Vec<Index>,
    /// Records in each batch, in turn.
    batches: Vec<usize>,
    threads: usize,
    deaths: Vec<Death>,
    /// Commits after which nothing comes for a minute.
    silences: Vec<usize>,
    /// Whether sources may read again what was committed.
    repeats: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let end = prop_oneof![Just(End::BeforeCommit), Just(End::AfterCommit), Just(End::Stop)];
    let death = (1usize..5, end, 0usize..3).prop_map(|(commits, end, reread)| Death { commits, end, reread });
    (
        proptest::collection::vec((0u32..15, any::<bool>()), 60),
        proptest::collection::vec(any::<Index>(), 0..20),
        proptest::collection::vec(1usize..9, 1..12),
        1usize..5,
        proptest::collection::vec(death, 0..4),
        proptest::collection::vec(1usize..9, 0..3),
        any::<bool>(),
    )
        .prop_map(|(held, again, batches, threads, deaths, silences, repeats)| Plan {
            held,
            again,
            batches,
            threads,
            deaths,
            silences,
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

fn rules() -> Arc<RuleSet> {
    let text = sample::text(2) + WAITS;
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "law.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    Arc::new(rules)
}

/// The batches as they come, each by one source.
fn batches(happenings: &BTreeMap<u32, Option<u32>>, plan: &Plan) -> Vec<(usize, Vec<String>)> {
    let mut minutes: Vec<u32> = happenings.keys().copied().collect();
    let again: Vec<u32> = plan.again.iter().map(|which| *which.get(&minutes)).collect();
    minutes.extend(again);
    let coming = |(place, &minute): (usize, &u32)| {
        let (held, source) = plan.held[place % 60];
        (minute + held, place, minute, usize::from(source))
    };
    let mut coming: Vec<(u32, usize, u32, usize)> = minutes.iter().enumerate().map(coming).collect();
    coming.sort_unstable();
    let mut lengths = plan.batches.iter().cycle();
    let mut batches: Vec<(usize, Vec<String>)> = Vec::new();
    let mut room = 0;
    for (_, _, minute, source) in coming {
        if room == 0 || batches.last().is_none_or(|(other, _)| *other != source) {
            batches.push((source, Vec::new()));
            room = *lengths.next().expect("it cycles");
        }
        room -= 1;
        batches.last_mut().expect("pushed above").1.push(record(minute, happenings[&minute]));
    }
    batches
}

/// What is running.
struct Life {
    ledger: Ledger,
    feeds: Vec<Arc<Feed>>,
    store: Arc<Store>,
    listeners: Listeners,
    /// How far each source was committed, as the number of the next batch.
    committed: Vec<usize>,
    now: Instant,
}

impl Life {
    fn begin(folder: &Path, plan: &Plan) -> Self {
        let store = Arc::new(Store::open(folder).unwrap());
        let recovered = store.recover().unwrap();
        let next = |source: &&str| {
            let position = recovered.marks.get(*source).and_then(|mark| mark.0.get(*source));
            position.map_or(0, |position| position.parse().expect("a number written below"))
        };
        let committed = SOURCES.iter().map(next).collect();
        let manners = Manners { delay: PACE.delay, repeats: plan.repeats, says_idle: false };
        let feed = |source: &&str| Feed::new((*source).to_owned(), Format::Auto, true).with(PACE, manners);
        let feeds: Vec<Arc<Feed>> = SOURCES.iter().map(feed).map(Arc::new).collect();
        let (roster, clock) = (Arc::new(Roster::new(feeds.clone())), Clock::Hand(Hand::at(Timestamp::default())));
        let ledger =
            Ledger::open(store.clone(), recovered, Arc::new(ArcSwap::new(rules())), roster, settings(folder), clock)
                .unwrap();
        let listeners = Listeners {
            router: Arc::new(Notify::new()),
            live: broadcast::channel(8).0,
            committing: Arc::new(std::sync::atomic::AtomicBool::new(true)),
        };
        Self { ledger, feeds, store, listeners, committed, now: Instant::now() }
    }

    /// Applies and commits; answers whether there was something to commit and it was not the moment to die.
    fn turn(&mut self, group: &mut [Matched], dies_before: bool) -> bool {
        let Some((commit, kept)) = self.ledger.apply(group, self.now) else { return true };
        if dies_before {
            return false;
        }
        self.ledger.commit(commit, &kept, &self.listeners, &CancellationToken::new()).unwrap();
        true
    }

    /// Nothing comes for a minute.
    fn silence(&mut self) {
        for _ in 0..60 {
            self.now += Duration::from_secs(1);
            self.turn(&mut [], false);
        }
    }

    /// There will be nothing more.
    fn finish(&mut self) {
        self.feeds.iter().for_each(|feed| feed.is(Health::Finished));
        self.turn(&mut [], false);
    }
}

/// One life of the process: until the stream ends, or until it dies.
fn live(folder: &Path, batches: &[(usize, Vec<String>)], plan: &Plan, death: Option<Death>) {
    let mut life = Life::begin(folder, plan);
    let (inbox, loads) = mpsc::channel(8);
    let rules = Arc::new(ArcSwap::new(rules()));
    let (mut matched, threads) =
        workers::start(plan.threads, loads, rules, Limits::default(), Readers::default()).unwrap();
    let reread = death.map_or(0, |death| if plan.repeats { death.reread } else { 0 });
    let mut sent: Vec<(usize, usize, Vec<String>)> = Vec::new();
    for (place, (source, records)) in batches.iter().enumerate() {
        if place + reread >= life.committed[*source] {
            sent.push((place, *source, records.clone()));
        }
    }
    let feeds = life.feeds.clone();
    let sender = std::thread::spawn(move || {
        for (place, source, records) in sent {
            let record = |(number, text): (usize, String)| Record {
                position: format!("{place}.{number}"),
                body: Body::Whole(text.into_bytes().into()),
            };
            let records = records.into_iter().enumerate().map(record).collect();
            let mark = Mark([(SOURCES[source].to_owned(), (place + 1).to_string())].into());
            let batch = Batch { records, mark, ..Batch::default() };
            if inbox.blocking_send(Load { feed: feeds[source].clone(), batch }).is_err() {
                return;
            }
        }
    });
    let mut commits = 0;
    let ends = loop {
        let mut group = match matched.within(Duration::from_secs(60)) {
            Waited::Batch(batch) => vec![*batch],
            Waited::Ended => break None,
            Waited::Nothing => panic!("the workers hang"),
        };
        while commits % 2 == 1
            && let Some(more) = matched.ready()
        {
            group.push(more);
        }
        commits += 1;
        let end = death.filter(|death| death.commits == commits).map(|death| death.end);
        life.turn(&mut group, end == Some(End::BeforeCommit));
        if end.is_some() {
            break end;
        }
        if plan.silences.contains(&commits) {
            life.silence();
        }
    };
    drop(matched);
    sender.join().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    match (ends, death) {
        (None, None) => life.finish(),
        (Some(End::Stop), _) => {
            let Ledger { snapshots, number, state, books, .. } = &mut life.ledger;
            snapshots.last(*number, state, books).and_then(|()| life.store.close_cleanly()).unwrap();
        }
        (Some(End::BeforeCommit | End::AfterCommit), _) | (None, Some(_)) => {}
    }
}

/// The stream in order, each event once, in one thread and one go.
fn expected(happenings: &BTreeMap<u32, Option<u32>>) -> Vec<String> {
    let (rules, mut scratch) = (rules(), Scratch::default());
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for (&minute, &secret) in happenings {
        let record = record(minute, secret);
        normalise(Format::Auto, record.as_bytes(), "law", &Limits::default(), &mut events, &mut rejects);
    }
    assert_eq!(rejects, []);
    let (mut state, mut changes) = (State::new(Caps::default()), Vec::new());
    for event in &events {
        let sighting = sight(&rules, event, &mut scratch).expect("every event matches");
        state.apply(&rules, &sighting, &mut changes);
    }
    state.finish(&rules, &mut changes);
    let mut alerts = Register::default();
    changes.into_iter().for_each(|change| alerts.take(change));
    sorted(alerts.into_alerts().iter())
}

/// What the store holds.
fn found(folder: &Path) -> Vec<String> {
    let store = Store::open(folder).unwrap();
    let page = store.reader().unwrap().alerts(&Query { limit: 1_000, ..Query::default() }).unwrap();
    sorted(page.rows.iter().filter(|row| row.state == "open").map(|row| &row.alert))
}

fn sorted<'a>(alerts: impl Iterator<Item = &'a engine::alert::Alert>) -> Vec<String> {
    let mut alerts: Vec<String> = alerts.map(|alert| serde_json::to_string(alert).unwrap()).collect();
    alerts.sort();
    alerts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_repeats_nor_batches_nor_threads_nor_silence_nor_deaths_change_what_stands(
        happenings in happenings(),
        plan in plan(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let batches = batches(&happenings, &plan);
        for death in &plan.deaths {
            live(folder.path(), &batches, &plan, Some(*death));
        }
        live(folder.path(), &batches, &plan, None);
        prop_assert_eq!(found(folder.path()), expected(&happenings));
    }
}
