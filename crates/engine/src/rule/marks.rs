//! Sets of small numbers that are emptied for every event: nothing is cleared but what was set.
//!
//! A bit a number, so that all that is known of an event stays in the nearest cache. Tried before: the number of the
//! event as a stamp, four bytes a number; with 9,423 rules that made half a megabyte, from which each hit and each
//! answer had to come.

/// A set of numbers below a bound.
#[derive(Debug, Default)]
pub(super) struct Marks {
    words: Vec<u64>,
    /// What it holds, in the order in which it came.
    members: Vec<u32>,
}

impl Marks {
    /// Empties it and makes room for numbers below `bound`.
    pub(super) fn start(&mut self, bound: usize) {
        for member in self.members.drain(..) {
            // The whole word: its other bits stand for members too.
            self.words[member as usize / 64] = 0;
        }
        if self.words.len() * 64 < bound {
            self.words.resize(bound.div_ceil(64), 0);
        }
    }

    /// Whether it was not there before.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (&mut self.words[number as usize / 64], 1 << (number % 64));
        let new = *word & bit == 0;
        if new {
            *word |= bit;
            self.members.push(number);
        }
        new
    }

    pub(super) fn holds(&self, number: u32) -> bool {
        self.words[number as usize / 64] >> (number % 64) & 1 == 1
    }

    pub(super) fn members(&self) -> &[u32] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_hold_what_came_since_the_start_and_nothing_else(
            events in proptest::collection::vec((1..300_usize, proptest::collection::vec(0..300_u32, 0..20)), 1..6),
        ) {
            let mut marks = Marks::default();
            for (bound, numbers) in events {
                marks.start(bound);
                let mut held = BTreeSet::new();
                for number in numbers.into_iter().filter(|number| (*number as usize) < bound) {
                    prop_assert_eq!(marks.insert(number), held.insert(number));
                }
                prop_assert_eq!(marks.members().len(), held.len());
                prop_assert!((0..300).filter(|number| (*number as usize) < bound).all(|number| marks.holds(number) == held.contains(&number)));
            }
        }
    }
}
