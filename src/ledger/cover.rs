//! What should arrive, beside the ledger: heard with its batches, written with its commits, told as its alerts are.

use std::sync::Arc;

use engine::time::{Span, Timestamp};

use super::changes::Changes;
use super::health;
use crate::coverage::{Became, Coverage, Listing, Spot, State, Turn, Written};
use crate::metrics::METRICS;
use crate::store::Covered;

/// The lists, and what became of them.
#[derive(Debug)]
pub(super) struct Cover {
    coverage: Coverage,
    listing: Arc<Listing>,
    /// What is to be said with the next look.
    turns: Vec<Turn>,
    /// Since when a list could not be read of which people were told so.
    told_unlisted: Option<Timestamp>,
}

impl Cover {
    pub(super) fn open(listing: Arc<Listing>, known: Covered, grace: Span, now: Timestamp) -> Self {
        let coverage = Coverage::open(known.cells, known.looked, grace, now);
        Self { coverage, listing, turns: Vec::new(), told_unlisted: None }
    }

    /// Records of these were received and read.
    pub(super) fn hear(&mut self, heard: &[Spot], now: Timestamp) {
        if !heard.is_empty() {
            self.follow(now);
        }
        for spot in heard {
            if !self.coverage.hear(spot, now) {
                METRICS.coverage_unlisted.inc();
            }
        }
    }

    /// Looks at the lists and at the clock, and says what people are to hear.
    pub(super) fn look(&mut self, changes: &mut Changes, now: Timestamp) {
        self.follow(now);
        let mut turns = std::mem::take(&mut self.turns);
        turns.extend(self.coverage.look(now));
        for turn in &turns {
            say(turn);
            changes.take(health::uncovered(turn, now));
        }
        if let Some(trouble) = self.listing.trouble().filter(|trouble| trouble.is_for_people(now))
            && self.told_unlisted != Some(trouble.since)
        {
            self.told_unlisted = Some(trouble.since);
            changes.take(health::unlisted(&trouble, now));
        }
        if !turns.is_empty() || self.coverage.is_fresh() {
            for (state, cells) in self.coverage.counts() {
                METRICS.coverage.with_label_values(&[state.name()]).set(i64::try_from(cells).unwrap_or(i64::MAX));
            }
        }
    }

    /// The lists may say something else than before, or for the first time: what is heard is heard by what they say now.
    fn follow(&mut self, now: Timestamp) {
        if let Some(expected) = self.listing.expected() {
            self.turns.extend(self.coverage.expect(&expected, now));
        }
    }

    pub(super) fn take_written(&mut self) -> Written {
        self.coverage.take_written()
    }
}

fn say(turn: &Turn) {
    let (kind, account, region) = (turn.spot.kind.name(), &turn.spot.account, &turn.spot.region);
    match (turn.now, turn.told.state) {
        (Became::Bad, State::Silent) => tracing::error!(kind, %account, %region, "log has fallen silent"),
        (Became::Bad, _) => tracing::error!(kind, %account, %region, "log does not arrive"),
        (Became::Speaks, _) => tracing::info!(kind, %account, %region, "log arrives again"),
        (Became::Allowed, _) => tracing::info!(kind, %account, %region, "log is given longer"),
        (Became::Left, _) => tracing::info!(kind, %account, %region, "log is no longer expected"),
    }
}
