//! Noticing: from single matches to findings over time.
//!
//! [`sight`] is pure and runs on every worker: it says what of an event must be remembered. [`State`] has
//! one owner, takes sightings in order and answers with [`Change`]s to alerts. State reads time only from
//! events, so the same sightings give the same changes, and a restored state goes on as if nothing happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::Scene;
use crate::event::{Kind, Uid};
use crate::rule::{RuleId, RuleNumber};
use crate::time::Timestamp;

mod anomaly;
mod brief;
mod budget;
mod change;
mod closed;
mod count;
mod decimal;
mod desk;
mod distinct;
mod episode;
mod evidence;
mod fold;
mod keys;
mod level;
mod progress;
mod risk;
mod seen;
mod sequence;
mod shape;
mod sight;
mod state;
mod sum;
mod table;
mod temporal;
mod uuid;
mod window;

pub(crate) use anomaly::{BETWEEN, Learning, Spot};
pub use anomaly::{Reliability, Way};
pub use budget::{Budget, BudgetError};
pub use change::{Change, Register, Standing};
pub use decimal::BILLIONTHS;
pub(crate) use decimal::text as decimal_text;
pub(crate) use episode::Account;
pub use progress::{Pace, Reach, Voice};
pub(crate) use shape::{Counted, Shape};
pub use sight::{Raw, Seen, sight, sight_raw};
pub use state::{Caps, Forgotten, Habits, RestoreError, State, Step};

/// The values that an alert is about, field by field.
pub type Key = BTreeMap<String, String>;

/// An event that some rule matched: all that later stages need of it. Small, serialisable, and all that
/// the journal keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which event.
    pub uid: Uid,
    /// When it happened.
    pub time: Timestamp,
    /// Whether that is not what it says itself, which lay in the future.
    pub clamped: bool,
    /// Which log.
    pub kind: Kind,
    /// Who, from where, to what: what an alert shows.
    pub scene: Scene,
    /// What the rules found.
    pub findings: Vec<Finding>,
}

impl Sighting {
    /// A time in the future, whoever wrote it, must neither close windows nor make keys leave: it is taken for `latest`,
    /// the moment of receipt and what clocks may be ahead, and flagged.
    pub fn clamp(&mut self, latest: Timestamp) {
        self.clamped = self.time > latest;
        self.time = self.time.min(latest);
    }
}

/// What one rule makes of one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that will raise the alert.
    pub rule: RuleId,
    /// Its number in the set that made the finding: where to look first.
    pub number: RuleNumber,
    /// How it counts this event.
    pub count: Count,
}

/// How an event counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Count {
    /// By itself: one event, one alert.
    Alone,
    /// Together with others of the same key.
    Within {
        /// A fingerprint of what was read, so that a rule which reads something else by now passes it over.
        reading: u64,
        /// Which of the rules that are counted matched, by its place among them.
        base: u16,
        /// The group: the values of its fields, in the rule's order; nothing for one that the event lacks. For a rule that asks
        /// for `peers`, behind them those of its fields.
        key: Vec<Option<String>>,
        /// Distinct values that it brings, for rules that count values.
        values: Vec<String>,
    },
}

#[cfg(test)]
mod tests;
