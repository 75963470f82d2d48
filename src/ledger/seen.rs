//! Ids of counted events, for sources that may bring one again.
//!
//! The last [`SEEN_MAX`] of them, in whole commits: an event that comes again later than that is counted again if some
//! window still remembers its time. Sources in order need none of this: their marks say what was counted.

use std::collections::{HashSet, VecDeque};

use engine::event::{Kind, Uid};

use crate::store::SEEN_MAX;

/// Ids of counted events, the oldest commits forgotten first.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<u64>,
    commits: VecDeque<(u64, Vec<u64>)>,
}

impl Seen {
    /// Takes up what the last run remembered, oldest first.
    pub(super) fn recovered(commits: Vec<(u64, Vec<u64>)>) -> Self {
        let ids = commits.iter().flat_map(|(_, ids)| ids).copied().collect();
        Self { ids, commits: commits.into() }
    }

    /// Answers whether it is new.
    pub(super) fn insert(&mut self, id: u64) -> bool {
        self.ids.insert(id)
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The ids of a commit; those of the oldest commits leave for it.
    pub(super) fn remember(&mut self, number: u64, ids: &[u64]) {
        if !ids.is_empty() {
            self.commits.push_back((number, ids.to_vec()));
        }
        while self.ids.len() > SEEN_MAX
            && let Some((_, oldest)) = self.commits.pop_front()
        {
            for id in oldest {
                self.ids.remove(&id);
            }
        }
    }

    /// The oldest commit that is remembered.
    pub(super) fn first(&self) -> u64 {
        self.commits.front().map_or(0, |(number, _)| *number)
    }
}

/// Eight bytes suffice: among two million ids a collision has a chance of one in ten million.
pub(super) fn hash(kind: Kind, uid: &Uid) -> u64 {
    let mut hash = blake3::Hasher::new();
    for part in [kind.name(), &uid.origin, &uid.id] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut half = [0; 8];
    hash.finalize_xof().fill(&mut half);
    u64::from_le_bytes(half)
}
