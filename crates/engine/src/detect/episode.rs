//! Episodes: the time during which a condition held, short gaps included. One episode is one alert.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Shape;
use super::fold::Entry;
use crate::alert::Scene;
use crate::event::{Kind, Uid};
use crate::time::Timestamp;

/// How many event ids an episode names; the total is always exact.
const SAMPLE_MAX: usize = 50;

/// The time during which the condition held, short gaps included: one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// The event time at which the condition became true.
    pub(crate) crossed: Timestamp,
    pub(crate) first: Timestamp,
    pub(crate) last: (Timestamp, Uid),
    /// The condition stays true until here without another event.
    pub(super) hold: Timestamp,
    /// The highest count in one window.
    pub(crate) peak: u64,
    pub(crate) events_total: u64,
    /// The first ids, in (time, uid) order.
    pub(crate) sample: Vec<String>,
    /// The log of the first contributing event: a rule may count over several.
    pub(crate) kind: Kind,
    pub(crate) scene: Scene,
    /// Counts up each time people are told.
    pub(crate) revision: u64,
    /// `events_total` when they were last told.
    pub(super) told: u64,
}

/// What an episode was before its last event.
#[derive(Clone, Debug)]
pub(super) struct Before {
    last: (Timestamp, Uid),
    hold: Timestamp,
    peak: u64,
    events_total: u64,
    sample: usize,
    told: u64,
    revision: u64,
}

impl Episode {
    pub(super) fn new(now: Timestamp, recent: &VecDeque<Arc<Entry>>, count: u64, hold: Timestamp) -> Option<Self> {
        let (first, last) = (recent.front()?, recent.back()?);
        Some(Self {
            crossed: now,
            first: first.time,
            last: (last.time, last.uid.clone()),
            hold,
            peak: count,
            events_total: recent.len() as u64,
            sample: recent.iter().take(SAMPLE_MAX).map(|entry| entry.uid.id.clone()).collect(),
            kind: first.kind,
            scene: first.scene.clone(),
            revision: 1,
            told: recent.len() as u64,
        })
    }

    /// Whether a crossing at `now` belongs to this episode: it still holds, it has been false for no
    /// longer than the quiet time, or it would carry the same id.
    pub(super) fn lasts(&self, now: Timestamp, shape: &Shape) -> bool {
        now <= self.hold.plus(shape.quiet) || now.cell(shape.window) == self.crossed.cell(shape.window)
    }

    /// Takes in what came since its last event.
    pub(super) fn extend(&mut self, recent: &VecDeque<Arc<Entry>>, count: u64, hold: Timestamp) {
        let known = recent.partition_point(|entry| (entry.time, &entry.uid) <= (self.last.0, &self.last.1));
        for entry in recent.iter().skip(known) {
            self.events_total += 1;
            if self.sample.len() < SAMPLE_MAX {
                self.sample.push(entry.uid.id.clone());
            }
            self.last = (entry.time, entry.uid.clone());
        }
        self.peak = self.peak.max(count);
        self.hold = self.hold.max(hold);
    }

    pub(super) fn tell(&mut self) {
        self.revision += u64::from(self.told > 0);
        self.told = self.events_total;
    }

    /// What [`Episode::go_back`] needs.
    pub(super) fn before(&self) -> Before {
        Before {
            last: self.last.clone(),
            hold: self.hold,
            peak: self.peak,
            events_total: self.events_total,
            sample: self.sample.len(),
            told: self.told,
            revision: self.revision,
        }
    }

    /// Is again what it was.
    pub(super) fn go_back(&mut self, before: Before) {
        let Before { last, hold, peak, events_total, sample, told, revision } = before;
        self.sample.truncate(sample);
        (self.last, self.hold, self.peak, self.events_total) = (last, hold, peak, events_total);
        (self.told, self.revision) = (told, revision);
    }
}
