//! A map that keeps only so many keys, and the same ones whatever order they come in.
//!
//! It keeps the smallest: one of the smallest in the end was among the smallest all along, so what is kept of it is whole.
//! Keeping the first or the most frequent would make the state depend on the order of arrival.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// At most `MAX` keys with what is known of each, and a count of what came under others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Few<V, const MAX: usize> {
    kept: BTreeMap<Box<str>, V>,
    over: u64,
}

/// How often a kept value came, so that what is dropped stays counted.
pub(super) trait Counted: Sized {
    /// How often.
    fn count(&self) -> u64;
    /// Takes in what another record of the same key knows.
    fn join(&mut self, other: Self);
}

impl<V, const MAX: usize> Default for Few<V, MAX> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), over: 0 }
    }
}

impl<V: Counted, const MAX: usize> Few<V, MAX> {
    /// Takes in one more value of a key. Answers whether the key is new.
    pub(super) fn add(&mut self, key: &str, value: V) -> bool {
        if let Some(known) = self.kept.get_mut(key) {
            known.join(value);
            return false;
        }
        self.kept.insert(key.into(), value);
        if self.kept.len() > MAX {
            self.over += self.kept.pop_last().map_or(0, |(_, dropped)| dropped.count());
        }
        true
    }

    /// Takes in all of another one.
    pub(super) fn join(&mut self, other: Self) {
        self.over += other.over;
        for (key, value) in other.kept {
            self.add(&key, value);
        }
    }

    /// What is kept, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.kept.iter().map(|(key, value)| (&**key, value))
    }

    /// How often keys came that are not kept.
    pub(super) fn over(&self) -> u64 {
        self.over
    }
}

impl Counted for u64 {
    fn count(&self) -> u64 {
        *self
    }

    fn join(&mut self, other: Self) {
        *self += other;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_does_not_depend_on_the_order(
            (keys, shuffled) in proptest::collection::vec(0_u8..20, 0..60)
                .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle())),
        ) {
            let build = |keys: &[u8]| {
                let mut few: Few<u64, 5> = Few::default();
                for key in keys {
                    few.add(&key.to_string(), 1);
                }
                few
            };
            prop_assert_eq!(build(&keys), build(&shuffled));
            let total = |few: &Few<u64, 5>| few.iter().map(|(_, count)| *count).sum::<u64>() + few.over();
            prop_assert_eq!(total(&build(&keys)), keys.len() as u64);
        }
    }
}
