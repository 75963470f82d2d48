//! Facts that are kept for a while: bounded, and the same set whatever order they came in.
//!
//! What is kept are the latest facts, by their own time and not by their arrival: those within [`Limits::kept`] of the
//! latest one, and of each shelf the last [`Limits::facts_max`]. Taking the greatest of a set does not depend on the
//! order of asking. A shelf remembers up to which time it had to let go, so that an absence there is never held against
//! a deploy.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fact::{Fact, Says};
use super::record::{DeployId, Record};
use crate::time::{Span, Timestamp};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Facts older than this before the latest one are let go.
    pub kept: Span,
    /// Most facts of a shelf, of which there are four. About 600 bytes each.
    pub facts_max: usize,
}

/// Facts about deploys, and what was said of each deploy so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploys {
    limits: Limits,
    latest: Timestamp,
    scm: Shelf,
    ci: Shelf,
    identity: Shelf,
    changes: Shelf,
    /// What was told of a deploy, and how often.
    pub(super) told: BTreeMap<DeployId, Told>,
}

/// Facts of one sort. One sort that comes in masses pushes no other out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shelf {
    pub(super) facts: BTreeSet<Fact>,
    /// Latest fact that left although it was not old.
    pub(super) lost: Option<Timestamp>,
}

/// What was last told of a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) revision: u32,
    /// Hash of the record without its revision.
    pub(super) hash: [u8; 16],
    pub(super) time: Timestamp,
}

/// A saved state that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Another version wrote it.
    #[error("deploys were saved by version {0} of their form, this is version {VERSION}")]
    Version(u32),
    /// It is cut or changed.
    #[error("deploys that were saved cannot be read")]
    Form(#[from] postcard::Error),
}

/// Of the saved form.
const VERSION: u32 = 1;

impl Default for Limits {
    /// 30 days, and at most 200,000 facts a shelf.
    fn default() -> Self {
        Self { kept: Span::seconds(30 * 86_400), facts_max: 200_000 }
    }
}

impl Deploys {
    /// Nothing known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a fact in; one that is known, or older than what is kept, changes nothing. Costs the logarithm of what is kept.
    ///
    /// Times in the future must have been clamped: one of them would make everything else old.
    pub fn take(&mut self, fact: Fact) {
        if fact.time < self.horizon() {
            return;
        }
        if fact.time > self.latest {
            self.latest = fact.time;
            let horizon = self.horizon();
            for shelf in [&mut self.scm, &mut self.ci, &mut self.identity, &mut self.changes] {
                shelf.forget(horizon);
            }
        }
        let limit = self.limits.facts_max;
        self.shelf(&fact.says).put(fact, limit);
    }

    /// Before this nothing is known.
    #[must_use]
    pub fn horizon(&self) -> Timestamp {
        self.latest.minus(self.limits.kept)
    }

    /// Deploys before this are not told anew: what explains them leaves before they do.
    pub(super) fn told_from(&self) -> Timestamp {
        let half = Span::from_micros(self.limits.kept.micros() / 2);
        self.latest.minus(half)
    }

    /// The same under other limits.
    #[must_use]
    pub fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// This was told before, as whoever keeps records knows: it is not told again, and the next one is the next revision.
    pub fn recall(&mut self, record: &Record) {
        if self.told.get(&record.id).is_none_or(|told| told.revision < record.revision) {
            let told = Told { revision: record.revision, hash: record.hash(), time: record.time };
            self.told.insert(record.id.clone(), told);
        }
    }

    /// How many facts are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelves().iter().map(|shelf| shelf.facts.len()).sum()
    }

    /// Whether no fact is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What [`Deploys::restore`] reads.
    ///
    /// # Errors
    /// None that could be told apart from a bug: all of it is plain data.
    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&(VERSION, self))
    }

    /// The state that was saved.
    ///
    /// # Errors
    /// If another version saved it, or it is damaged.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let (version, rest): (u32, &[u8]) = postcard::take_from_bytes(bytes)?;
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        Ok(postcard::from_bytes(rest)?)
    }

    /// Source control, pipelines, identities, changes.
    pub(super) fn shelves(&self) -> [&Shelf; 4] {
        [&self.scm, &self.ci, &self.identity, &self.changes]
    }

    /// What is told anew: which revision of its record this is, or nothing if the same was told before.
    pub(super) fn tell(&mut self, record: &mut Record) -> bool {
        let hash = record.hash();
        let revision = match self.told.get(&record.id) {
            Some(told) if told.hash == hash => return false,
            Some(told) => told.revision + 1,
            None => 1,
        };
        record.revision = revision;
        self.told.insert(record.id.clone(), Told { revision, hash, time: record.time });
        true
    }

    /// Lets go of what was told of deploys that are no longer known.
    pub(super) fn forget_told(&mut self) {
        let horizon = self.horizon();
        self.told.retain(|_, told| told.time >= horizon);
    }

    fn shelf(&mut self, says: &Says) -> &mut Shelf {
        match says {
            Says::Push(_) | Says::Merge(_) | Says::Update(_) | Says::Review(_) | Says::Guard(_) | Says::Check(_) => {
                &mut self.scm
            }
            Says::Run(_) | Says::Job(_) | Says::Action(_) | Says::Approval(_) | Says::Receipt(_) => &mut self.ci,
            Says::Session(_) | Says::Trust(_) => &mut self.identity,
            Says::Change(_) => &mut self.changes,
        }
    }
}

impl Shelf {
    fn put(&mut self, fact: Fact, limit: usize) {
        self.facts.insert(fact);
        while self.facts.len() > limit {
            let Some(oldest) = self.facts.pop_first() else { return };
            self.lost = self.lost.max(Some(oldest.time));
        }
    }

    /// Facts are ordered by time first.
    fn forget(&mut self, horizon: Timestamp) {
        while self.facts.first().is_some_and(|fact| fact.time < horizon) {
            self.facts.pop_first();
        }
    }
}
