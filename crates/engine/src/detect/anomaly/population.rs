//! How many keys there are and how many have a value: what is new to one and usual for others is less of a surprise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Values that are counted at most, 24 bytes each; of others nobody is known to have them.
const VALUES_MAX: usize = 1 << 18;

/// Keys by value.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Population {
    keys: BTreeMap<u64, u32>,
    /// Of one moment: the looks of a moment do not see each other, so their order makes no difference.
    pending: Vec<u64>,
    moment: Timestamp,
    /// Keys that were looked at, and those of this moment.
    all: usize,
    newcomers: usize,
}

impl Population {
    /// A look belongs to this moment, the first one at its key or not.
    pub(super) fn look(&mut self, moment: Timestamp, is_first: bool) {
        self.at(moment);
        self.newcomers += usize::from(is_first);
    }

    /// What came before this moment counts from here on.
    pub(super) fn at(&mut self, moment: Timestamp) {
        if moment != self.moment {
            self.moment = moment;
            self.all += std::mem::take(&mut self.newcomers);
            for value in std::mem::take(&mut self.pending) {
                if self.keys.len() < VALUES_MAX || self.keys.contains_key(&value) {
                    *self.keys.entry(value).or_default() += 1;
                }
            }
        }
    }

    /// How many keys were looked at before this moment.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// How many of them had this value.
    pub(super) fn having(&self, value: u64) -> u32 {
        self.keys.get(&value).copied().unwrap_or(0)
    }

    /// A key that was looked at is no more.
    pub(super) fn leaves(&mut self) {
        self.all = self.all.saturating_sub(1);
    }

    /// One more has it, from the next moment on.
    pub(super) fn came(&mut self, value: u64) {
        self.pending.push(value);
    }

    /// One fewer.
    pub(super) fn left(&mut self, value: u64) {
        if let Some(keys) = self.keys.get_mut(&value) {
            *keys -= 1;
            if *keys == 0 {
                self.keys.remove(&value);
            }
        } else if let Some(place) = self.pending.iter().position(|pending| *pending == value) {
            self.pending.swap_remove(place);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.len() * 2 * size_of::<(u64, u32)>()
    }
}
