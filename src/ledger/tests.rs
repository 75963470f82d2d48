use connect::clock::Hand;
use connect::source::{Gap, Mark};
use engine::detect::{Sighting, Step, Voice};
use engine::normalise::Format;
use engine::time::Timestamp;
use rusqlite::Connection;

use super::*;
use crate::feed::{Feed, Manners, PACE};
use crate::sample;

/// A ledger, and a second hand on its database that can make it fail.
struct Bench {
    ledger: Ledger,
    database: Connection,
    folder: tempfile::TempDir,
}

fn settings(folder: &std::path::Path) -> Settings {
    Settings { folder: folder.to_owned(), caps: Caps::default(), books: BookSettings::default() }
}

/// The step that a sighting makes in a stream of one partition.
fn step(sighting: Sighting) -> Step {
    let (newest, kinds) = (sighting.time, sighting.kind.into());
    let reach = Reach { newest, kinds, ..Reach::new("west", PACE) };
    Step { reached: vec![reach], sighting: Some(sighting) }
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::Hand(Hand::at(Timestamp::default()));
    let recovered = Recovered::default();
    let ledger = Ledger::open(
        store,
        recovered,
        Arc::new(ArcSwap::from_pointee(sample::rules())),
        Arc::default(),
        settings(folder.path()),
        clock,
    )
    .unwrap();
    let database = Connection::open(folder.path().join("lapwing.db")).unwrap();
    Bench { ledger, database, folder }
}

impl Bench {
    /// Lets every write to this table fail until [`Bench::mend`].
    fn refuse(&self, table: &str) {
        let text = format!("CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END");
        self.database.execute_batch(&text).unwrap();
    }

    fn mend(&self) {
        self.database.execute_batch("DROP TRIGGER refuse").unwrap();
    }

    fn archive_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path().join("archive")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }

    fn rows(&self, table: &str) -> u32 {
        self.database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

/// A commit about two secrets that were read, and what the archive is to keep of it.
fn work() -> (Commit, Vec<Kept>) {
    let records = [sample::read_secret(0, 0), sample::read_secret(1, 1)];
    let sightings = sample::sightings(&sample::rules(), &records);
    let kept = sightings
        .iter()
        .map(|it| Kept { kind: it.kind, uid: it.uid.clone(), time: it.time, json: "{}".to_owned() })
        .collect();
    let steps = sightings.into_iter().map(step).collect();
    (Commit { number: 1, steps, changes: sample::changes(&records), ..Commit::default() }, kept)
}

#[test]
fn a_commit_that_only_the_database_refuses_is_archived_once() {
    let mut bench = bench();
    let (mut commit, kept) = work();
    bench.refuse("alerts");
    bench.ledger.write(&mut commit, &kept).unwrap_err();
    let once = bench.archive_bytes();
    bench.ledger.write(&mut commit, &kept).unwrap_err();
    bench.mend();
    bench.ledger.write(&mut commit, &kept).unwrap();
    assert_eq!((bench.archive_bytes(), bench.rows("archived")), (once, 2));
}

#[test]
fn a_snapshot_takes_the_place_of_the_journal_and_one_that_is_refused_leaves_it() {
    let mut bench = bench();
    let (mut commit, kept) = work();
    bench.ledger.write(&mut commit, &kept).unwrap();
    let state = vec![7; 3_000_000];
    bench.refuse("snapshot");
    bench.ledger.store.snapshot(1, &state, &[]).unwrap_err();
    assert_eq!((bench.rows("snapshot"), bench.rows("journal"), bench.rows("alerts")), (0, 1, 1));
    assert_eq!(bench.ledger.store.recover().unwrap().snapshot, None, "parts without a head do not count");

    bench.mend();
    bench.ledger.store.snapshot(1, &state, &[]).unwrap();
    assert_eq!((bench.rows("snapshot_parts"), bench.rows("journal")), (3, 0));
    let later = vec![8; 10];
    bench.ledger.store.snapshot(2, &later, &[]).unwrap();
    assert_eq!((bench.rows("snapshot_parts"), bench.ledger.store.recover().unwrap().snapshot), (1, Some(later)));
}

#[test]
fn a_snapshot_of_a_commit_that_has_one_is_not_written_over() {
    let bench = bench();
    let state = vec![7; 3_000_000];
    for state in [state.clone(), vec![8; 10]] {
        bench.ledger.store.snapshot(1, &state, &[]).unwrap();
    }
    assert_eq!(bench.ledger.store.recover().unwrap().snapshot, Some(state));
}

#[test]
fn a_rule_that_asks_for_less_after_a_restart_tells_what_the_journal_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let strict = sample::rules_asking(9);
    let records: Vec<String> = (0..3).map(|n| sample::read_secret(n, n)).collect();
    let steps = sample::sightings(&strict, &records).into_iter().map(step).collect();
    store.commit(&Commit { number: 1, steps, ..Commit::default() }).unwrap();

    let open = |rules: RuleSet| {
        let recovered = store.recover().unwrap();
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        Ledger::open(store.clone(), recovered, rules, Arc::default(), settings(folder.path()), Clock::Wall).unwrap();
        let mut told = Vec::new();
        store
            .route(10, Timestamp::default(), |alert| {
                told.push(alert.title.clone());
                Vec::new()
            })
            .unwrap();
        told
    };
    assert_eq!(open(strict), Vec::<String>::new());
    assert_eq!(open(sample::rules_asking(3)), ["Many secrets read"]);
    assert_eq!(open(sample::rules_asking(3)), Vec::<String>::new(), "told once");
}

#[test]
fn of_very_many_unreadable_records_some_are_kept_and_the_rest_is_counted() {
    let reject = |place: usize| Reject {
        position: place.to_string(),
        reason: engine::normalise::RejectReason::Syntax,
        detail: "not JSON".to_owned(),
        head: Vec::new(),
    };
    let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, false));
    let mut batch = Matched::new(feed, Arc::new(sample::rules()), &[], Mark::default());
    batch.rejects = (0..DEAD_MAX + 50).map(reject).collect();
    let mut commit = Commit::default();
    apply::dead_records(&batch, &mut commit);
    apply::dead_records(&batch, &mut commit);
    assert_eq!(commit.dead.len(), DEAD_MAX);
    assert_eq!(commit.dead[DEAD_MAX - 1].detail, "not JSON; 50 more after it are only counted");
}

#[test]
fn records_that_are_missing_are_told_in_the_commit_that_goes_past_them_and_once_however_often_they_are_found() {
    let mut bench = bench();
    let gap = Gap { id: "events/0@7".to_owned(), what: "7 records were deleted before they were read".to_owned() };
    let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, true));
    for number in [1, 2] {
        let mut batch = Matched::new(feed.clone(), bench.ledger.rules.clone(), &[], Mark::default());
        batch.gaps = vec![gap.clone()];
        let (commit, _) = bench.ledger.apply(&mut [batch], Instant::now()).unwrap();
        bench.ledger.store.commit(&commit).unwrap();
        let [change] = commit.changes.as_slice() else { panic!("{:?}", commit.changes) };
        assert!(change.alert.why.starts_with("west: 7 records were deleted"), "{}", change.alert.why);
        assert_eq!((bench.rows("alerts"), bench.rows("revisions")), (1, 1), "found {number} times");
    }
}

#[test]
fn new_rules_go_by_time_though_nothing_comes_but_never_before_what_older_ones_have_matched() {
    let mut bench = bench();
    let before = bench.ledger.rules.clone();
    let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, false));
    let under_way = Matched::new(feed, before.clone(), &[], Mark::default());
    drop(before);
    bench.ledger.current.store(Arc::new(sample::rules_asking(9)));
    bench.ledger.apply(&mut [], Instant::now());
    assert!(Arc::ptr_eq(&bench.ledger.rules, &under_way.rules), "a batch is under way");
    drop(under_way);
    bench.ledger.apply(&mut [], Instant::now());
    assert!(Arc::ptr_eq(&bench.ledger.rules, &bench.ledger.current.load_full()));
}

#[test]
fn an_hour_in_which_the_process_was_down_has_passed_once_its_source_is_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let at = |second: i64| Timestamp::from_millis(second * 1_000);
    let open = |second| {
        let manners = Manners { delay: PACE.delay, repeats: true, says_idle: true };
        let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, true).with(PACE, manners));
        let (rules, clock) = (Arc::new(ArcSwap::from_pointee(sample::rules())), Clock::Hand(Hand::at(at(second))));
        let (recovered, roster) = (store.recover().unwrap(), Arc::new(Roster::new(vec![feed.clone()])));
        (Ledger::open(store.clone(), recovered, rules, roster, settings(folder.path()), clock).unwrap(), feed)
    };
    let (mut ledger, feed) = open(10_000);
    let mut batch = Matched::new(feed, ledger.rules.clone(), &[], Mark::default());
    batch.reached[0].newest = Some(at(9_990));
    let (commit, _) = ledger.apply(&mut [batch], Instant::now()).unwrap();
    store.commit(&commit).unwrap();
    drop(ledger);

    let (mut ledger, feed) = open(13_600);
    feed.says_it_is_at_its_end();
    let (commit, _) = ledger.apply(&mut [], Instant::now()).unwrap();
    let west = commit.steps[0].reached.iter().find(|reach| &*reach.partition == "west").unwrap();
    assert!(west.voice == Voice::Silent && west.newest >= at(13_590), "{west:?}");
}

mod law;
