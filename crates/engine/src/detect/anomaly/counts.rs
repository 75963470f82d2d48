//! Counts of one key in windows that are open, and what they are usually like.

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Moments};
use super::peers::Group;
use super::sketch::Sketch;
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::window::Arrival;
use crate::time::{Span, Timestamp};

/// Events that a window names.
const SAMPLE_MAX: usize = 20;

/// One key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Earliest first: those that events may still come for.
    open: Vec<Window>,
    pub(super) baseline: Baseline,
}

/// All keys together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OfAll {
    moments: Moments,
    /// Of one moment: windows that end together do not see each other, so their order makes no difference.
    pending: Vec<f64>,
    moment: Timestamp,
}

/// A length of time that has its place whatever events there are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Window {
    cell: i64,
    due: Timestamp,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) events: u32,
    pub(super) values: Sketch,
    /// The group of its key in its first event, for rules that ask.
    pub(super) group: Option<Box<Group>>,
    /// The first of its events.
    sample: Vec<(Timestamp, Handle)>,
}

impl Counts {
    /// Counts an event in.
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, width: Span, wait: Span, evidence: &mut Evidence) {
        let cell = arrival.time.cell(width);
        let place = self.open.partition_point(|window| window.cell < cell);
        if self.open.get(place).is_none_or(|window| window.cell != cell) {
            self.open.insert(place, Window::new(cell, width, wait, arrival.time));
        }
        let window = &mut self.open[place];
        window.events = window.events.saturating_add(1);
        window.first = window.first.min(arrival.time);
        window.last = window.last.max(arrival.time);
        for mark in arrival.marks {
            window.values.add(*mark);
        }
        let before = |(time, handle): &(Timestamp, Handle)| {
            *time < arrival.time || *time == arrival.time && evidence.is_before(*handle, arrival.uid)
        };
        let place = window.sample.partition_point(before);
        if place < SAMPLE_MAX {
            evidence.hold(arrival.evidence);
            if place == 0 {
                window.group = arrival.group.cloned().map(Box::new);
            }
            window.sample.insert(place, (arrival.time, arrival.evidence));
            window.sample.drain(SAMPLE_MAX.min(window.sample.len())..).for_each(|(_, handle)| evidence.release(handle));
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.first().map(|window| window.due)
    }

    /// When that window ends which is judged next.
    pub(super) fn moment(&self, width: Span) -> Option<Timestamp> {
        self.open.first().map(|window| window.end(width))
    }

    /// The window that is to be judged next.
    pub(super) fn next(&mut self) -> Option<Window> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.open.iter().for_each(|window| window.release(evidence));
    }

    pub(super) fn bytes(&self) -> usize {
        let window = |window: &Window| {
            size_of::<Window>() + window.values.bytes() + window.sample.len() * size_of::<(Timestamp, Handle)>()
        };
        self.open.iter().map(window).sum()
    }
}

impl Window {
    fn new(cell: i64, width: Span, wait: Span, time: Timestamp) -> Self {
        let end = end(cell, width);
        let (values, sample) = (Sketch::default(), Vec::new());
        Self { cell, due: end.plus(wait), first: time, last: time, events: 0, values, group: None, sample }
    }

    pub(super) fn end(&self, width: Span) -> Timestamp {
        end(self.cell, width)
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        self.sample.iter().map(|(_, handle)| *handle).collect()
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.sample.iter().for_each(|(_, handle)| evidence.release(*handle));
    }
}

fn end(cell: i64, width: Span) -> Timestamp {
    Timestamp::from_micros(cell.saturating_add(1).saturating_mul(width.micros()))
}

impl OfAll {
    /// What was learnt of windows that ended before this moment.
    pub(super) fn before(&mut self, moment: Timestamp) -> Moments {
        if moment != self.moment {
            let passed = if self.moment == Timestamp::EARLIEST { Span::default() } else { moment.since(self.moment) };
            self.pending.sort_unstable_by(f64::total_cmp);
            for (place, count) in std::mem::take(&mut self.pending).into_iter().enumerate() {
                self.moments.of_all(count, if place == 0 { passed } else { Span::default() });
            }
            self.moment = moment;
        }
        self.moments
    }

    pub(super) fn learn(&mut self, count: f64) {
        self.pending.push(count);
    }
}
