//! `temporal` with a condition over rule names: which of the rules matched within a window.
//!
//! Without one it is a count of distinct rules, and [`Distinct`](super::distinct::Distinct) counts them.

use serde::{Deserialize, Serialize};

use super::sequence;
use crate::rule::Formula;
use crate::time::{Span, Timestamp};

/// What is asked of the moments at which rules matched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// Whether this holds of those that did.
    Formula(Formula),
    /// How many did one after the other.
    Sequence,
}

/// When each rule matched, and the level of each moment: how many rules answer the question, none if they do not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Matched {
    question: Question,
    levels: Vec<u64>,
    /// By rule: when it matched, in order, each moment once.
    times: Vec<Vec<Timestamp>>,
}

impl Matched {
    pub(super) fn new(question: Question) -> Self {
        Self { question, levels: Vec::new(), times: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.times.iter_mut().for_each(Vec::clear);
    }

    pub(super) fn at(&self, place: usize) -> u64 {
        self.levels[place]
    }

    pub(super) fn enter(&mut self, times: &[Timestamp], place: usize, marks: &[u64], window: Span) {
        self.levels.insert(place, 0);
        self.add(times, times[place], marks, window);
        self.levels[place] = self.level(times[place].minus(window), times[place]);
    }

    /// Looks again at all moments whose windows hold this one. There are few rules, so that costs little each.
    pub(super) fn add(&mut self, times: &[Timestamp], now: Timestamp, marks: &[u64], window: Span) -> bool {
        let mut fresh = false;
        for &mark in marks {
            let rule = usize::try_from(mark).unwrap_or(usize::MAX);
            if self.times.len() <= rule {
                self.times.resize(rule + 1, Vec::new());
            }
            let seen = &mut self.times[rule];
            let place = seen.partition_point(|time| *time < now);
            if seen.get(place) != Some(&now) {
                seen.insert(place, now);
                fresh = true;
            }
        }
        if fresh {
            let start = times.partition_point(|time| *time < now);
            let end = times.partition_point(|time| *time < now.plus(window));
            for (place, time) in times.iter().enumerate().take(end).skip(start) {
                self.levels[place] = self.level(time.minus(window), *time);
            }
        }
        fresh
    }

    /// The level of a window: open at its old end.
    fn level(&self, from: Timestamp, until: Timestamp) -> u64 {
        match &self.question {
            Question::Sequence => sequence::longest(&self.times, from, until),
            Question::Formula(formula) => {
                let inside = |times: &Vec<Timestamp>| {
                    times[..times.partition_point(|time| *time <= until)].last().is_some_and(|last| *last > from)
                };
                let matched = self.times.iter().map(inside).enumerate();
                let matched = matched.fold(0_u64, |bits, (rule, inside)| bits | u64::from(inside) << rule);
                if formula.holds(matched) { u64::from(matched.count_ones()) } else { 0 }
            }
        }
    }

    /// The first moment at which too much has left.
    pub(super) fn holds(&self, now: Timestamp, least: u64, window: Span) -> Timestamp {
        let within = |time: &&Timestamp| **time > now.minus(window) && **time <= now;
        let mut leaving: Vec<Timestamp> = self.times.iter().flatten().filter(within).copied().collect();
        leaving.sort_unstable();
        // What has left does not come back, so the level only falls.
        let first = leaving.partition_point(|time| self.level(*time, now) >= least);
        leaving.get(first).map_or(now, |time| time.plus(window))
    }

    pub(super) fn recount(&mut self, times: &[Timestamp], window: Span) {
        let Some(&now) = times.last() else { return };
        let moment = times.partition_point(|time| *time < now);
        let left = self.level(now.minus(window), now);
        self.levels[moment..].fill(left);
    }

    pub(super) fn forget(&mut self, gone: usize, border: Timestamp) {
        self.levels.drain(..gone);
        for times in &mut self.times {
            times.drain(..times.partition_point(|time| *time <= border));
        }
    }
}
