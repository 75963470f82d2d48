//! Levels: how much of what a rule counts lies in the window that ends at each moment.
//!
//! The level of a moment is a function of the *set* of events in the window up to and with it, so equal times
//! share one, and their order does not matter. A late event changes the levels of one stretch of moments, from
//! its own on to at most a window later; nothing is taken back and counted again.

use serde::{Deserialize, Serialize};

use super::count;
use super::distinct::Distinct;
use super::shape::Counted;
use super::sum::Sum;
use super::temporal::{Matched, Question};
use crate::time::{Span, Timestamp};

/// The levels of a window, by the way its rule counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Levels {
    /// Every moment counts by itself.
    Moments,
    /// How many events.
    Events,
    /// How many distinct marks.
    Distinct(Distinct),
    /// What their numbers come to.
    Sum(Sum),
    /// Which rules matched.
    Matched(Matched),
}

impl Levels {
    pub(super) fn new(counted: &Counted) -> Self {
        match counted {
            Counted::Moments | Counted::Unusual => Self::Moments,
            Counted::Events => Self::Events,
            Counted::Values(_) | Counted::Rules(None) => Self::Distinct(Distinct::default()),
            Counted::Sum(_) => Self::Sum(Sum::default()),
            Counted::Rules(Some(formula)) => Self::Matched(Matched::new(Question::Formula(formula.clone()))),
            Counted::Sequence => Self::Matched(Matched::new(Question::Sequence)),
            // These are judged once, over a closed window.
            Counted::Average(_) | Counted::Percentile(..) => Self::Moments,
        }
    }

    /// Forgets everything, and keeps the memory for what comes next.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Moments | Self::Events => {}
            Self::Distinct(distinct) => distinct.clear(),
            Self::Sum(sum) => sum.clear(),
            Self::Matched(matched) => matched.clear(),
        }
    }

    /// An event has come to stand at `place` among `times`.
    pub(super) fn enter(&mut self, times: &[Timestamp], place: usize, marks: &[u64], window: Span) {
        match self {
            Self::Moments | Self::Events => {}
            Self::Distinct(distinct) => distinct.enter(times, place, marks, window),
            Self::Sum(sum) => sum.enter(times, place, marks, window),
            Self::Matched(matched) => matched.enter(times, place, marks, window),
        }
    }

    /// An event that stands among `times` already has brought these marks too. Answers whether any is new.
    pub(super) fn add(&mut self, times: &[Timestamp], time: Timestamp, marks: &[u64], window: Span) -> bool {
        match self {
            // An event brings its numbers once, whichever rule it is that matched.
            Self::Moments | Self::Events | Self::Sum(_) => false,
            Self::Distinct(distinct) => distinct.add(times, time, marks, window),
            Self::Matched(matched) => matched.add(times, time, marks, window),
        }
    }

    /// The level at the moment of the event at `place`, the last of its moment; the window begins at `start`.
    pub(super) fn at(&self, start: usize, place: usize) -> i128 {
        match self {
            Self::Moments => 1,
            Self::Events => count::at(start, place).into(),
            Self::Distinct(distinct) => distinct.at(place).into(),
            Self::Sum(sum) => sum.at(place),
            Self::Matched(matched) => matched.at(place).into(),
        }
    }

    /// The first `gone` events have left `times`; none of the moments that are left looks back to `border`.
    pub(super) fn forget(&mut self, gone: usize, border: Timestamp) {
        match self {
            Self::Moments | Self::Events => {}
            Self::Distinct(distinct) => distinct.forget(gone, border),
            Self::Sum(sum) => sum.forget(gone, border),
            Self::Matched(matched) => matched.forget(gone, border),
        }
    }

    /// Events have left although windows look back to them: the level of the last moment is what is left of it.
    pub(super) fn recount(&mut self, times: &[Timestamp], window: Span) {
        match self {
            Self::Moments | Self::Events => {}
            Self::Distinct(distinct) => distinct.recount(times, window),
            Self::Sum(sum) => sum.recount(times, window),
            Self::Matched(matched) => matched.recount(times, window),
        }
    }

    /// How much its events bring besides themselves.
    pub(super) fn marks(&self) -> usize {
        match self {
            Self::Moments | Self::Events | Self::Sum(_) | Self::Matched(_) => 0,
            Self::Distinct(distinct) => distinct.uses(),
        }
    }

    /// Whether one more event can make the level of a moment less.
    pub(super) fn can_fall(&self) -> bool {
        match self {
            Self::Moments | Self::Events | Self::Distinct(_) | Self::Matched(_) => false,
            Self::Sum(_) => true,
        }
    }

    /// Until when the level stays at `least` if nothing happens after the event at `place`, where it is reached.
    pub(super) fn holds(&self, times: &[Timestamp], place: usize, least: i128, window: Span) -> Timestamp {
        let count = u64::try_from(least).unwrap_or(1);
        match self {
            Self::Moments => times[place],
            Self::Events => count::holds(times, place, count, window),
            Self::Distinct(distinct) => distinct.holds(times[place], count, window),
            Self::Sum(sum) => sum.holds(times[place], least, window),
            Self::Matched(matched) => matched.holds(times[place], count, window),
        }
    }
}
