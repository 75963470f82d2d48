use engine::rule::Severity;

use super::*;
use crate::sample;

fn open() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(folder.path()).unwrap(), folder)
}

/// The engine's change of one alert: raised, grown or superseded.
fn change(revision: u64, open: bool) -> Change {
    let standing = if open { Standing::Open } else { Standing::Superseded { by: None } };
    Change { revision, standing, ..sample::changes(&[sample::stop_logging(0)]).remove(0) }
}

fn commit(store: &Store, changes: Vec<Change>) {
    store.commit(&Commit { changes, ..Commit::default() }).unwrap();
}

/// What the sink `soc` is told, all of it so far.
fn told(store: &Store) -> Vec<(i64, String)> {
    store.route(100, Timestamp::default(), |_| vec![("soc", "lane".to_owned())]).unwrap();
    let writer = store.writer();
    let mut read =
        writer.prepare("SELECT revision, action FROM outbox JOIN revisions ON sequence = told ORDER BY row").unwrap();
    read.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn an_alert_that_comes_back_after_it_was_superseded_is_raised_again() {
    let words = |told: &[(i64, String)]| {
        told.iter().map(|(revision, action)| format!("{revision} {action}")).collect::<Vec<_>>().join(", ")
    };
    let changes = [(1, true), (2, true), (3, false), (1, true), (2, true), (3, false)].map(|(n, open)| change(n, open));
    let expected = "1 raise, 2 update, 3 resolve, 4 raise, 5 update, 6 resolve";
    let (one, _folder) = open();
    commit(&one, changes.to_vec());
    assert_eq!(words(&told(&one)), expected);
    let (each, _folder) = open();
    for change in changes {
        commit(&each, vec![change]);
        told(&each);
    }
    assert_eq!(words(&told(&each)), expected, "whatever the borders of commits");
}

#[test]
fn changes_that_come_again_tell_nobody_again() {
    let (store, _folder) = open();
    for _ in 0..2 {
        commit(&store, vec![change(1, true), change(2, true)]);
        told(&store);
    }
    assert_eq!(told(&store), [(1, "raise".to_owned()), (2, "update".to_owned())]);
    for _ in 0..2 {
        commit(&store, vec![change(3, false)]);
    }
    assert_eq!(told(&store).len(), 3);
}

#[test]
fn an_alert_takes_the_severity_of_its_last_change() {
    let (store, _folder) = open();
    commit(&store, vec![change(1, true)]);
    let mut risen = change(2, true);
    risen.alert.severity = Severity::Critical;
    commit(&store, vec![risen]);
    assert_eq!(store.reader().unwrap().by_severity().unwrap(), [0, 0, 0, 0, 1]);
}

#[test]
fn a_partition_that_is_gone_leaves_with_its_position() {
    let (store, _folder) = open();
    let mark = |pairs: &[(&str, &str)]| {
        let mark = Mark(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        let marks = BTreeMap::from([("stream".to_owned(), mark)]);
        store.commit(&Commit { marks, ..Commit::default() }).unwrap();
    };
    mark(&[("shard-0", "7"), ("shard-1", "8")]);
    mark(&[("shard-0", ""), ("shard-2", "")]);
    assert_eq!(store.marks().unwrap()["stream"].0, BTreeMap::from([("shard-1".to_owned(), "8".to_owned())]));
}
