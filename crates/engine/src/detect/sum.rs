//! `value_sum`: at each moment, what the numbers of a field in the window come to.
//!
//! Means and percentiles can fall as well as rise and are judged once, over a closed window: see [`super::closed`].

use serde::{Deserialize, Serialize};

use super::decimal::unpacked;
use crate::time::{Span, Timestamp};

/// Sums, incrementally, in billionths.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sum {
    /// The level at each event; events of one moment share one.
    levels: Vec<i128>,
    /// Each number and when it came, by time.
    uses: Vec<(Timestamp, i128)>,
}

impl Sum {
    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.uses.clear();
    }

    pub(super) fn at(&self, place: usize) -> i128 {
        self.levels[place]
    }

    pub(super) fn enter(&mut self, times: &[Timestamp], place: usize, marks: &[u64], window: Span) {
        let now = times[place];
        let level = match place.checked_sub(1) {
            _ if times.get(place + 1) == Some(&now) => self.levels[place],
            None => 0,
            Some(before) if times[before] == now => self.levels[before],
            Some(before) => self.levels[before] - self.expired(times[before], now, window),
        };
        self.levels.insert(place, level);
        let from = self.uses.partition_point(|(time, _)| *time <= now);
        self.uses.splice(from..from, marks.iter().map(|&mark| (now, unpacked(mark))));
        let more: i128 = marks.iter().map(|&mark| unpacked(mark)).sum();
        let start = times.partition_point(|time| *time < now);
        let end = now.plus(window);
        for (level, _) in self.levels[start..].iter_mut().zip(&times[start..]).take_while(|(_, time)| **time < end) {
            *level += more;
        }
    }

    /// What left the window between these moments, between which nothing lies.
    fn expired(&self, before: Timestamp, now: Timestamp, window: Span) -> i128 {
        let from = self.uses.partition_point(|(time, _)| *time <= before.minus(window));
        let until = before.min(now.minus(window));
        self.uses[from..].iter().take_while(|(time, _)| *time <= until).map(|(_, number)| number).sum()
    }

    /// The first moment at which so much has left that less than `least` is there.
    pub(super) fn holds(&self, now: Timestamp, least: i128, window: Span) -> Timestamp {
        let from = self.uses.partition_point(|(time, _)| *time <= now.minus(window));
        let until = self.uses.partition_point(|(time, _)| *time <= now);
        let inside = &self.uses[from..until];
        let mut left: i128 = inside.iter().map(|(_, number)| number).sum();
        for moment in inside.chunk_by(|one, other| one.0 == other.0) {
            left -= moment.iter().map(|(_, number)| number).sum::<i128>();
            if left < least {
                return moment[0].0.plus(window);
            }
        }
        now.plus(window)
    }

    pub(super) fn recount(&mut self, times: &[Timestamp], window: Span) {
        let Some(&now) = times.last() else { return };
        let from = self.uses.partition_point(|(time, _)| *time <= now.minus(window));
        let left = self.uses[from..].iter().map(|(_, number)| number).sum();
        let moment = times.partition_point(|time| *time < now);
        self.levels[moment..].fill(left);
    }

    pub(super) fn forget(&mut self, gone: usize, border: Timestamp) {
        self.levels.drain(..gone);
        let old = self.uses.partition_point(|(time, _)| *time <= border);
        self.uses.drain(..old);
    }
}
