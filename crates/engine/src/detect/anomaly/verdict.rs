//! Whether a score is so unusual that people are to hear of it, and in which words.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Learning;
use super::calibration::Rank;
use crate::detect::evidence::Handle;
use crate::time::{Span, Timestamp};

/// Unlikely by the model alone, in tens of orders: one in a hundred. While there are too few past scores to rank by, a score has to
/// be that high, and the highest so far.
const UNLIKELY: f64 = 2.0;

/// What is so many times less rare than what begins an alert still lets it grow.
pub(super) const GOES_ON: f64 = 10.0;

/// With fewer past scores than this people are told how few there are.
const RANKED_LEAST: f64 = 200.0;

/// What was unusual, as people read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// What happened; of whom stands behind it.
    pub(crate) what: String,
    /// Against what.
    pub(crate) against: String,
}

/// How unusual something is, for those who add it up or choose among it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weight {
    /// When it was judged, in event time.
    pub(crate) moment: Timestamp,
    /// In tens of orders: 3 is one in a thousand.
    pub(crate) strength: f64,
    /// How much was asked for: what the rule says, or less while there is less to rank among.
    pub(crate) asked: f64,
}

/// What was found unusual.
pub(super) struct Unusual {
    /// When it happened: its first and its last event.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The first events.
    pub(super) sample: Vec<Handle>,
    pub(super) events: usize,
    /// What is shown as the alert's count.
    pub(super) level: u32,
    pub(super) note: Note,
    pub(super) weight: Weight,
}

impl Weight {
    pub(super) fn of(rank: Rank, learning: &Learning, moment: Timestamp) -> Self {
        let asked = (-libm::log10(learning.limit())).min(libm::log10(1.0 + rank.among)).max(0.0);
        Self { moment, strength: -libm::log10(rank.p), asked }
    }

    /// Of what has no rank and is just as unusual as the rule asks.
    pub(super) fn at_limit(learning: &Learning, moment: Timestamp) -> Self {
        let asked = -libm::log10(learning.limit());
        Self { moment, strength: asked, asked }
    }
}

/// How well a key is known when it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) time: Span,
    pub(super) looks: u32,
    /// Something unusual goes on already.
    pub(super) goes_on: bool,
}

impl Known {
    /// Counts a look, and says how it was before.
    pub(super) fn of(since: &mut Timestamp, looks: &mut u32, now: Timestamp) -> Self {
        if *looks == 0 {
            *since = now;
        }
        let known = Self { time: now.since(*since), looks: *looks, goes_on: false };
        *looks = looks.saturating_add(1);
        known
    }

    pub(super) fn during(self, goes_on: bool) -> Self {
        Self { goes_on, ..self }
    }

    pub(super) fn is_enough(&self, learning: &Learning) -> bool {
        self.time >= learning.learn && self.looks >= learning.learn_count
    }
}

/// Whether a score is so unusual that people are to hear of it. What goes on already need not be as unusual.
pub(super) fn is_unusual(score: f64, rank: Rank, known: Known, learning: &Learning) -> bool {
    let can_be_ranked = (1.0 + rank.among) * learning.limit() > 1.0;
    match (can_be_ranked, known.goes_on) {
        (true, false) => rank.p < learning.limit(),
        (true, true) => rank.p < learning.limit() * GOES_ON,
        (false, goes_on) => score >= UNLIKELY && (goes_on || rank.p * (1.0 + rank.among) < 1.5),
    }
}

/// `; one in 4,000 looks is as unusual` as people read it.
pub(super) fn odds(text: &mut String, rank: Rank) {
    let written = if rank.among < RANKED_LEAST {
        write!(text, "; little is known yet: {} looks", rank.among.round())
    } else {
        write!(text, "; of {} looks at all keys one in {} was as unusual", rank.among.round(), (1.0 / rank.p).round())
    };
    debug_assert!(written.is_ok(), "a text takes more");
}
