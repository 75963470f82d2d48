//! `event_count`: how many events lie in the window. Places say it all, so nothing is kept.

use crate::rule::COUNT_MAX;
use crate::time::{Span, Timestamp};

/// The level at the event at `place`, whose window begins at `start`. Above the cap it stays there: older events
/// may have left early, and no rule may ask for more, so none is silenced.
pub(super) fn at(start: usize, place: usize) -> u64 {
    (place + 1 - start).min(COUNT_MAX) as u64
}

/// When the last of the `least` newest events leaves the window.
pub(super) fn holds(times: &[Timestamp], place: usize, least: u64, window: Span) -> Timestamp {
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    times[(place + 1).saturating_sub(least)].plus(window)
}
