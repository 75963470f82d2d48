//! Boolean programs over shared predicates.

use std::collections::HashMap;

use super::matcher::Predicate;
use crate::hash::Seed;

/// A rule's condition. `AND` of nothing is true, `OR` of nothing is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Ask(PredicateNumber),
    And(Vec<Program>),
    Or(Vec<Program>),
    Not(Box<Program>),
    /// At least so many of these.
    AtLeast(u64, Vec<Program>),
}

/// A predicate's place in [`Predicates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PredicateNumber(pub(super) u32);

/// The predicates of all rules, each once.
#[derive(Debug, Default)]
pub(super) struct Predicates {
    list: Vec<Predicate>,
}

/// Predicates while rules are compiled: finds the number of one that is there already.
#[derive(Debug, Default)]
pub(super) struct Collector {
    numbers: HashMap<Predicate, u32, Seed>,
}

impl Program {
    /// All of these.
    pub(super) fn all(mut parts: Vec<Self>) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Self::And(parts.into_iter().chain(last).collect()),
        }
    }

    /// Any of these.
    pub(super) fn any(mut parts: Vec<Self>) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Self::Or(parts.into_iter().chain(last).collect()),
        }
    }

    /// How many steps it takes to write it down; see [`super::steps`].
    pub(super) fn steps(&self) -> usize {
        let sum = |parts: &[Self]| parts.iter().map(Self::steps).fold(0, usize::saturating_add);
        match self {
            Self::Ask(_) => 1,
            Self::Not(part) => part.steps(),
            Self::And(parts) | Self::Or(parts) => sum(parts),
            // A part stands once for each number that may still be missing.
            Self::AtLeast(least, parts) => {
                sum(parts).saturating_mul(usize::try_from(*least).unwrap_or(usize::MAX).min(parts.len()))
            }
        }
    }

    pub(super) fn not(part: Self) -> Self {
        Self::Not(Box::new(part))
    }
}

impl Collector {
    /// A program that asks this predicate.
    pub(super) fn ask(&mut self, predicate: Predicate) -> Program {
        let next = u32::try_from(self.numbers.len()).expect("fewer than 2^32 predicates fit into memory");
        Program::Ask(PredicateNumber(*self.numbers.entry(predicate).or_insert(next)))
    }

    pub(super) fn finish(self) -> Predicates {
        let mut numbered: Vec<_> = self.numbers.into_iter().map(|(predicate, number)| (number, predicate)).collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        Predicates { list: numbered.into_iter().map(|(_, predicate)| predicate).collect() }
    }
}

impl Predicates {
    pub(super) fn get(&self, number: PredicateNumber) -> &Predicate {
        &self.list[number.0 as usize]
    }
}
