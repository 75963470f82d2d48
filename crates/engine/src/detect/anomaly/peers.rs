//! `peers:` whether what is unusual for a key is unusual for its group as well: a team, the path of a role, the owner of a
//! repository.
//!
//! What is kept stands by group and not by key: how many members there are and how many of them have a value, or what their
//! counts are usually like. The score of a look against that has past scores of its own, so that its rank can be told as that of
//! the key itself; and whatever its rank is, what one in ten of the group does is usual. A group of fewer than eight is nobody to compare with.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Learning;
use super::baseline::{Baseline, Moments, Surprise};
use super::calibration::{Calibration, Rank};
use super::population::Population;
use super::verdict::{Known, is_unusual};
use crate::time::Timestamp;

/// Members that a group has at least, with the key itself, before anybody is compared with it.
const MEMBERS_LEAST: u32 = 8;

/// So many members more, who are as all keys are: a small group says less than a large one.
const SHRINKAGE: f64 = 10.0;

/// What more than one in so many does is usual for the group: in quiet times whatever is new has a high rank.
const FEW: f64 = 10.0;

/// Groups whose counts are kept at most, about 200 bytes each; the one that was not looked at for the longest time leaves.
const GROUPS_MAX: usize = if cfg!(test) { 64 } else { 4_096 };

/// The group that an event puts its key into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) struct Group {
    hash: u64,
    /// As people read it.
    name: Box<str>,
}

/// All groups of one rule.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Peers {
    /// Members under the hash of their group, and those that have a value under both hashes.
    having: Population,
    kin: BTreeMap<u64, Kin>,
    calibration: Calibration,
    /// Groups whose counts had to leave.
    left: u64,
}

/// The counts of one group.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kin {
    baseline: Baseline,
    /// Of one moment: windows that end together do not see each other, so their order makes no difference.
    pending: Vec<(Timestamp, u32)>,
    moment: Timestamp,
}

/// How a look stands against the group.
#[derive(Clone, Debug)]
pub(super) struct Against {
    name: Box<str>,
    /// Members without the key itself.
    others: u32,
    found: Found,
    /// Whether few of the group do so.
    few: bool,
    score: f64,
    rank: Rank,
}

/// What the group is like.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// So many of it have the value.
    Having(u32),
    /// So many are usual, and so many were the most.
    Usual { expected: f64, highest: u32 },
}

impl Group {
    /// Of the values of its fields; nobody's if one is missing.
    pub(in crate::detect) fn of(
        values: &[Option<String>],
        hash: impl FnOnce(&[Option<String>]) -> u64,
    ) -> Option<Self> {
        let parts = values.iter().map(Option::as_deref).collect::<Option<Vec<&str>>>()?;
        (!parts.is_empty()).then(|| Self { hash: hash(values), name: parts.join(", ").into() })
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }

    /// A value of this group.
    fn with(&self, value: u64) -> u64 {
        // Both are keyed hashes: nobody can aim at a third.
        (self.hash ^ value.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Peers {
    /// A look belongs to this moment, of a key in the group `now`, which was in the group `was` with these values.
    pub(super) fn look(
        &mut self,
        moment: Timestamp,
        was: Option<&Group>,
        now: Option<&Group>,
        values: impl Iterator<Item = u64>,
    ) {
        self.having.look(moment, false);
        if was == now {
            return;
        }
        let values: Vec<u64> = values.collect();
        if let Some(was) = was {
            self.forget(was, values.iter().copied());
        }
        if let Some(now) = now {
            self.having.came(now.hash);
            values.iter().for_each(|value| self.having.came(now.with(*value)));
        }
    }

    /// What came before this moment counts from here on.
    pub(super) fn at(&mut self, moment: Timestamp) {
        self.having.at(moment);
    }

    /// A member is no more, with these values.
    pub(super) fn forget(&mut self, group: &Group, values: impl Iterator<Item = u64>) {
        self.having.left(group.hash);
        values.for_each(|value| self.having.left(group.with(value)));
    }

    /// A member has this value, from the next moment on.
    pub(super) fn came(&mut self, group: &Group, value: u64) {
        self.having.came(group.with(value));
    }

    /// A member has it no more.
    pub(super) fn left(&mut self, group: &Group, value: u64) {
        self.having.left(group.with(value));
    }

    /// How a value stands against the group; `share` of all keys have it, and `own` is how much of a surprise it is that the key
    /// has anything new, nothing for what it knows.
    pub(super) fn value(
        &mut self,
        (group, moment): (&Group, Timestamp),
        (value, own, share): (u64, Option<f64>, f64),
        known: Known,
        learning: &Learning,
    ) -> Option<Against> {
        let others = self.others(group)?;
        let having = self.having.having(group.with(value)).min(others);
        let part = (f64::from(having) + SHRINKAGE * share) / (f64::from(others) + SHRINKAGE);
        let few = f64::from(having) * FEW <= f64::from(others);
        let score = own.map_or(0.0, |own| own - libm::log10(part.min(1.0)));
        let rank = self.calibration.rank(score, known.is_enough(learning), learning.limit(), moment);
        Some(Against { name: group.name.clone(), others, found: Found::Having(having), few, score, rank })
    }

    /// How a count in the window from `first` to `end` stands against the group, and what that teaches it.
    pub(super) fn count(
        &mut self,
        (group, end): (&Group, Timestamp),
        (count, first): (u32, Timestamp),
        (all, known): (&Moments, Known),
        learning: &Learning,
    ) -> Option<Against> {
        self.make_room(group);
        let others = self.others(group);
        let kin = self.kin.entry(group.hash).or_default();
        kin.settle(end, all);
        let surprise: Surprise = kin.baseline.surprise(all, count, first);
        let found = Found::Usual { expected: surprise.expected, highest: kin.baseline.highest };
        kin.pending.push((first, count));
        let rank = self.calibration.rank(surprise.score, known.is_enough(learning), learning.limit(), end);
        let (score, few) = (surprise.score, surprise.score >= libm::log10(FEW));
        Some(Against { name: group.name.clone(), others: others?, found, few, score, rank })
    }

    /// How many members there are without the key itself; nothing for a group that is too small.
    fn others(&self, group: &Group) -> Option<u32> {
        Some(self.having.having(group.hash)).filter(|members| *members >= MEMBERS_LEAST).map(|members| members - 1)
    }

    fn make_room(&mut self, group: &Group) {
        if self.kin.len() < GROUPS_MAX || self.kin.contains_key(&group.hash) {
            return;
        }
        let oldest = self.kin.iter().min_by_key(|(hash, kin)| (kin.moment, **hash)).map(|(hash, _)| *hash);
        if let Some(oldest) = oldest {
            self.kin.remove(&oldest);
            self.left += 1;
        }
    }

    /// Groups whose counts had to leave since the beginning.
    pub(super) fn evicted(&self) -> u64 {
        self.left
    }

    pub(super) fn bytes(&self) -> usize {
        // Asked with each event: what waits for the end of a moment is left out.
        self.having.bytes() + self.kin.len() * size_of::<(u64, Kin)>()
    }
}

impl Kin {
    /// Learns what ended before this moment.
    fn settle(&mut self, moment: Timestamp, all: &Moments) {
        if moment != self.moment {
            self.pending.sort_unstable();
            for (first, count) in self.pending.drain(..) {
                self.baseline.learn(all, count, first);
            }
            self.moment = moment;
        }
    }
}

impl Against {
    /// Whether it is unusual for the group as well.
    pub(super) fn is_unusual(&self, known: Known, learning: &Learning) -> bool {
        self.few && is_unusual(self.score, self.rank, known, learning)
    }

    /// `0 of 14 peers in payments` or `its 14 peers in payments usually 2.4, at most 9`
    pub(super) fn explain(&self, text: &mut String) {
        let Self { name, others, found, .. } = self;
        let written = match found {
            Found::Having(having) => write!(text, "{having} of {others} peers in {name}"),
            Found::Usual { expected, highest } => {
                write!(text, "its {others} peers in {name} usually {expected:.1}, at most {highest}")
            }
        };
        debug_assert!(written.is_ok(), "a text takes more");
    }
}
