//! The windows that wait to be judged, by their ends.
//!
//! Rules that read the same kinds of log go by the same watermark, so their windows stand together: to know whether one is
//! due, a step looks at one window a set of kinds, and not at one a rule.

use std::collections::BTreeSet;

use crate::detect::table::Hash;
use crate::event::Kinds;
use crate::time::Timestamp;

/// A window that waits; the earliest first, and of equal ends that of the first rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// Its end.
    pub(super) end: Timestamp,
    /// The place of its rule.
    pub(super) place: usize,
    /// Its key.
    pub(super) hash: Hash,
}

/// All of them, by the kinds of log that their rules read: a few sets.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    groups: Vec<(Kinds, BTreeSet<Due>)>,
}

impl Deadlines {
    pub(super) fn insert(&mut self, kinds: Kinds, due: Due) {
        match self.groups.iter_mut().find(|(known, _)| *known == kinds) {
            Some((_, waiting)) => {
                waiting.insert(due);
            }
            None => self.groups.push((kinds, BTreeSet::from([due]))),
        }
    }

    pub(super) fn remove(&mut self, kinds: Kinds, due: Due) {
        if let Some((_, waiting)) = self.groups.iter_mut().find(|(known, _)| *known == kinds) {
            waiting.remove(&due);
        }
    }

    /// The first one of all whose end the watermark of its kinds has come to.
    pub(super) fn due(&self, watermark: impl Fn(Kinds) -> Timestamp) -> Option<Due> {
        let first = |(kinds, waiting): &(Kinds, BTreeSet<Due>)| {
            waiting.first().filter(|due| due.end <= watermark(*kinds)).copied()
        };
        self.groups.iter().filter_map(first).min()
    }

    /// The first end of those that wait for logs of these kinds.
    pub(super) fn first(&self, kinds: Kinds) -> Option<Timestamp> {
        let groups = self.groups.iter().filter(|(read, _)| read.meet(kinds));
        groups.filter_map(|(_, waiting)| waiting.first().map(|due| due.end)).min()
    }
}
