//! How far one prefix has been read.
//!
//! All keys up to the floor are done for good. Behind it objects may still come under keys that sort before those that are
//! known, so that part is listed again and again, and what is done there is remembered. The floor follows once an object
//! is as old as the overlap, and never passes one that was not read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::list::{Listed, Page};

/// One prefix.
#[derive(Debug)]
pub(super) struct Partition {
    /// As marks name it.
    pub(super) name: String,
    pub(super) prefix: String,
    floor: String,
    /// What the last mark says of the floor.
    told: String,
    passed: BTreeMap<String, Passed>,
}

#[derive(Debug)]
struct Passed {
    etag: String,
    modified: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Under way, or its turn has not come.
    Reading,
    Done,
    /// Could not be read: the next listing tries again.
    Stuck,
}

/// The value of a mark for one prefix.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// The last key of which it and all before it are done.
    pub(super) after: String,
}

impl Partition {
    /// Reads on behind `floor`.
    pub(super) fn new(name: String, prefix: String, floor: String) -> Self {
        Self { name, prefix, told: floor.clone(), floor, passed: BTreeMap::new() }
    }

    /// The key behind which it is listed anew.
    pub(super) fn floor(&self) -> &str {
        &self.floor
    }

    /// Objects that are remembered.
    pub(super) fn count(&self) -> usize {
        self.passed.len()
    }

    /// Takes note of an object that was listed; whether it is to be read.
    pub(super) fn meet(&mut self, object: &Listed, is_wanted: bool) -> bool {
        let Listed { key, etag, modified } = object;
        let is_known = match self.passed.get(key) {
            Some(Passed { state: State::Reading, .. }) => true,
            Some(Passed { state: State::Done, etag: known, .. }) => known == etag,
            Some(Passed { state: State::Stuck, .. }) | None => false,
        };
        if is_known {
            return false;
        }
        let state = if is_wanted { State::Reading } else { State::Done };
        self.passed.insert(key.clone(), Passed { etag: etag.clone(), modified: *modified, state });
        is_wanted
    }

    /// Those that could not be read and that a listing behind `after` no longer names. They are to be asked for once more:
    /// who asks hears that they are gone.
    pub(super) fn vanished(&mut self, after: &str, page: &Page) -> Vec<String> {
        let end = match page.objects.last() {
            Some(last) if page.is_cut => Bound::Included(last.key.as_str()),
            Some(_) | None => Bound::Unbounded,
        };
        let named: BTreeSet<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
        let mut vanished = Vec::new();
        for (key, passed) in self.passed.range_mut::<str, _>((Bound::Excluded(after), end)) {
            if passed.state == State::Stuck && !named.contains(key.as_str()) {
                passed.state = State::Reading;
                vanished.push(key.clone());
            }
        }
        vanished
    }

    /// All of it was handed over.
    pub(super) fn finish(&mut self, key: &str) {
        self.set(key, State::Done);
    }

    /// It could not be read.
    pub(super) fn stick(&mut self, key: &str) {
        self.set(key, State::Stuck);
    }

    fn set(&mut self, key: &str, state: State) {
        if let Some(passed) = self.passed.get_mut(key) {
            passed.state = state;
        }
    }

    /// Whether some object waits to be tried again.
    pub(super) fn is_stuck(&self) -> bool {
        self.passed.values().any(|passed| passed.state == State::Stuck)
    }

    /// Moves the floor over what is done and was written before `horizon`.
    pub(super) fn advance(&mut self, horizon: Timestamp) {
        while let Some(first) = self.passed.first_entry() {
            let Passed { state: State::Done, modified, .. } = *first.get() else { return };
            if modified > horizon {
                return;
            }
            self.floor = first.remove_entry().0;
        }
    }

    /// What a mark is to say, if the floor has moved since the last one.
    pub(super) fn moved(&mut self) -> Option<Stored> {
        if self.floor == self.told {
            return None;
        }
        self.told.clone_from(&self.floor);
        Some(Stored { after: self.floor.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, second: i64) -> Listed {
        Listed { key: key.to_owned(), etag: "e".to_owned(), modified: Timestamp::from_millis(second * 1_000) }
    }

    fn partition() -> Partition {
        Partition::new("logs/p/".to_owned(), "p/".to_owned(), String::new())
    }

    fn after(partition: &mut Partition, horizon: i64) -> Option<String> {
        partition.advance(Timestamp::from_millis(horizon * 1_000));
        partition.moved().map(|stored| stored.after)
    }

    #[test]
    fn the_floor_follows_what_is_done_and_old_and_waits_for_what_is_not() {
        let mut partition = partition();
        for (key, second) in [("p/1", 1), ("p/2", 2), ("p/3", 3), ("p/4", 40)] {
            assert!(partition.meet(&listed(key, second), true), "{key}");
        }
        for key in ["p/2", "p/1", "p/4"] {
            partition.finish(key);
        }
        assert_eq!(after(&mut partition, 30).as_deref(), Some("p/2"), "the third is under way");
        partition.finish("p/3");
        assert_eq!(after(&mut partition, 30).as_deref(), Some("p/3"), "the fourth is young");
        assert_eq!(after(&mut partition, 30), None, "nothing new");
        assert_eq!(after(&mut partition, 40).as_deref(), Some("p/4"));
        assert_eq!(partition.count(), 0);
    }

    #[test]
    fn an_object_that_comes_late_or_is_written_anew_is_read_and_one_that_is_done_is_not() {
        let mut partition = partition();
        assert!(partition.meet(&listed("p/2", 10), true));
        assert!(!partition.meet(&listed("p/2", 10), true), "it is under way");
        partition.finish("p/2");
        assert!(partition.meet(&listed("p/1", 11), true), "late, before one that is done");
        assert!(!partition.meet(&listed("p/2", 10), true));
        let anew = Listed { etag: "f".to_owned(), ..listed("p/2", 12) };
        assert!(partition.meet(&anew, true));
        assert!(!partition.meet(&listed("p/0", 1), false), "not wanted, and so done");
        assert_eq!(after(&mut partition, 30).as_deref(), Some("p/0"));
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_and_never_passed() {
        let mut partition = partition();
        for key in ["p/1", "p/2"] {
            partition.meet(&listed(key, 1), true);
        }
        partition.stick("p/1");
        partition.finish("p/2");
        assert_eq!((after(&mut partition, 100), partition.is_stuck()), (None, true));
        assert!(partition.meet(&listed("p/1", 1), true));
        partition.finish("p/1");
        assert_eq!((after(&mut partition, 100).as_deref(), partition.is_stuck()), (Some("p/2"), false));
    }

    #[test]
    fn what_could_not_be_read_and_is_listed_no_more_is_asked_for_once_more() {
        let mut partition = partition();
        for key in ["p/1", "p/3", "p/5"] {
            partition.meet(&listed(key, 1), true);
            partition.stick(key);
        }
        let page = |keys: &[&str], is_cut| Page { objects: keys.iter().map(|key| listed(key, 1)).collect(), is_cut };
        assert_eq!(partition.vanished("", &page(&["p/3", "p/4"], true)), ["p/1"], "what follows is not listed yet");
        assert_eq!(partition.vanished("p/4", &page(&[], false)), ["p/5"]);
        assert_eq!(partition.vanished("", &page(&["p/3"], false)), [""; 0], "those are under way");
    }
}
