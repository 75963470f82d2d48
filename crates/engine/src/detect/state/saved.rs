//! All that is remembered, as bytes.

use serde::{Deserialize, Serialize};

use super::{Caps, Remembered, State};
use crate::detect::evidence::Evidence;
use crate::detect::keys::Keys;
use crate::detect::level::Levels;
use crate::detect::progress::Progress;
use crate::detect::window::Lasting;
use crate::event::Kinds;
use crate::hash::Seed;
use crate::rule::{RuleId, RuleNumber};
use crate::time::{Span, Timestamp};

/// Written in front of every saved state; one that is not ours is refused.
const VERSION: u8 = 6;

/// A saved state that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error("saved state has version {found}, this build reads {VERSION}")]
    Version {
        /// Its version byte.
        found: u8,
    },
    /// Cut short or damaged.
    #[error("saved state is damaged")]
    Damaged(#[source] postcard::Error),
}

/// One rule of a state on disk: what [`Remembered`] holds, in its order.
type SavedRule = (RuleId, RuleNumber, (Span, Span), u64, Kinds, Levels, Keys);

/// A state on disk.
#[derive(Serialize, Deserialize)]
struct Saved<R, E, P> {
    seed: Seed,
    clock: Timestamp,
    progress: P,
    evidence: E,
    rules: R,
    evicted: u64,
    late: u64,
}

impl State {
    /// All that is remembered, as bytes that [`State::restore`] reads.
    ///
    /// # Errors
    /// Never in practice: memory is the only thing that serialising needs.
    pub fn save<'s>(&'s self) -> Result<Vec<u8>, postcard::Error> {
        let rule = |it: &'s Remembered| {
            let &Remembered { ref rule, number, window, memory, asked, kinds, ref keys, ref scratch, .. } = it;
            (rule, number, (window, memory), asked, kinds, scratch.kind(), keys)
        };
        let rules: Vec<_> = self.rules.iter().map(rule).collect();
        let Self { clock, progress, evidence, evicted, late, .. } = self;
        let (seed, clock, evicted, late) = (self.caps.seed, *clock, *evicted, *late);
        let saved = Saved { seed, clock, progress, evidence, rules, evicted, late };
        postcard::to_extend(&saved, vec![VERSION])
    }

    /// The state that was saved, exactly.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not one that this build wrote.
    pub fn restore(bytes: &[u8], caps: Caps) -> Result<Self, RestoreError> {
        let (&version, body) = bytes.split_first().ok_or(RestoreError::Version { found: 0 })?;
        if version != VERSION {
            return Err(RestoreError::Version { found: version });
        }
        let saved: Saved<Vec<SavedRule>, Evidence, Progress> =
            postcard::from_bytes(body).map_err(RestoreError::Damaged)?;
        let rules: Vec<Remembered> = saved.rules.into_iter().map(Remembered::from).collect();
        let (keys, bytes) =
            rules.iter().fold((0, 0), |(keys, bytes), rule| (keys + rule.keys.len(), bytes + rule.keys.bytes()));
        let evidence = saved.evidence.seeded(saved.seed);
        let Saved { clock, progress, evicted, late, .. } = saved;
        let mut fresh = Self::new(Caps { seed: saved.seed, ..caps });
        if let Some(only) = progress.of(&fresh.only.partition) {
            (fresh.only.newest, fresh.only.kinds) = (only.newest, only.kinds);
        }
        let mut state = Self { clock, progress, evidence, rules, keys, bytes, evicted, late, ..fresh };
        state.wait_again();
        Ok(state)
    }
}

impl From<SavedRule> for Remembered {
    fn from((rule, number, (window, memory), asked, kinds, levels, keys): SavedRule) -> Self {
        Self { rule, number, window, memory, asked, kinds, keys, scratch: Lasting::new(levels) }
    }
}
