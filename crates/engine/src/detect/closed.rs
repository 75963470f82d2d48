//! Windows of rules whose condition one more event can make false: fewer than, exactly, averages, absence.
//!
//! Such a window is judged once, when all its events are there. The first event of a key opens a window; it holds
//! all events of the key from that moment on for the rule's timespan, its end excluded; the first event after that
//! opens the next one. A window is judged when the watermark has come to its end, which is the moment of its
//! finding. So each event lies in exactly one window, each window is judged on all of its events, and what is found
//! depends on the set of events alone. A key is only known by its events: a window without any is never judged.
//!
//! Windows that hold join one episode while the next one opens no later than the quiet time after the last.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::episode::Episode;
use super::evidence::{Evidence, Handle};
use super::shape::Counted;
use super::window::{Arrival, MARKS_MAX, Ripple, TooLate};
use super::{BILLIONTHS, Shape, sequence, statistics};
use crate::rule::COUNT_MAX;
use crate::time::{Span, Timestamp};

/// What is kept of one key: about 60 bytes an event, and its text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Closed {
    /// The values of the key's fields: no event is at hand when a window is judged.
    pub(super) key: Vec<Option<String>>,
    /// Events of windows that were not judged yet, by (time, id).
    events: Vec<Held>,
    /// How many marks they bring.
    marks: usize,
    pub(super) episodes: Vec<Episode>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Held {
    time: Timestamp,
    evidence: Handle,
    marks: Vec<u64>,
}

impl Closed {
    /// When its first window can be judged.
    pub(super) fn deadline(&self, window: Span) -> Option<Timestamp> {
        self.events.first().map(|event| event.time.plus(window))
    }

    /// Counts an event in. An event that is already here brings only what is new; its numbers it brings once, whichever
    /// rule it is that matched.
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        (shape, watermark): (&Shape, Timestamp),
        evidence: &mut Evidence,
    ) -> Result<(), TooLate> {
        // So many events and marks of one key between two judgements: those beyond are not counted, as if they were late.
        if arrival.time < watermark || self.events.len() >= 2 * COUNT_MAX || self.marks >= MARKS_MAX {
            return Err(TooLate);
        }
        let place = self.place(arrival, evidence);
        if let Some(known) = self.events.get_mut(place)
            && known.time == arrival.time
            && evidence.is(known.evidence, arrival.uid)
        {
            if !shape.counted.is_number() {
                let fresh: Vec<u64> =
                    arrival.marks.iter().filter(|mark| !known.marks.contains(mark)).copied().collect();
                self.marks += fresh.len();
                known.marks.extend(fresh);
            }
            return Ok(());
        }
        self.marks += arrival.marks.len();
        evidence.hold(arrival.evidence);
        let held = Held { time: arrival.time, evidence: arrival.evidence, marks: arrival.marks.to_vec() };
        self.events.insert(place, held);
        Ok(())
    }

    /// An event that was counted in did not happen after all.
    pub(super) fn remove(&mut self, arrival: &Arrival<'_>, evidence: &mut Evidence) {
        let place = self.place(arrival, evidence);
        if self.events.get(place).is_some_and(|event| evidence.is(event.evidence, arrival.uid)) {
            let gone = self.events.remove(place);
            self.marks -= gone.marks.len();
            evidence.release(gone.evidence);
        }
    }

    fn place(&self, arrival: &Arrival<'_>, evidence: &Evidence) -> usize {
        self.events.partition_point(|event| {
            event.time < arrival.time || event.time == arrival.time && evidence.is_before(event.evidence, arrival.uid)
        })
    }

    /// Judges the first window, all of whose events are there.
    pub(super) fn judge(&mut self, shape: &Shape, evidence: &mut Evidence) -> Option<Ripple> {
        let open = self.events.first()?.time;
        let end = open.plus(shape.window);
        let count = self.events.partition_point(|event| event.time < end);
        let window: Vec<Held> = self.events.drain(..count).collect();
        self.marks -= window.iter().map(|event| event.marks.len()).sum::<usize>();
        let (numerator, denominator) = measure(&shape.counted, &window);
        let ripple = shape.threshold.holds(numerator, denominator).then(|| {
            let handles: Vec<Handle> = window.iter().map(|event| event.evidence).collect();
            let lasts = self.episodes.last().is_some_and(|last| {
                open <= last.held.plus(shape.quiet) || end.cell(shape.window) == last.crossed.cell(shape.window)
            });
            if !lasts {
                self.episodes = vec![Episode::begin(end, open, 0)];
            }
            let episode = &mut self.episodes[0];
            episode.counted = 0;
            let shown = shown(&shape.counted, &window, (numerator, denominator));
            episode.take(end, shown, (0, count), &handles);
            // The last window says how it is now, not the highest one.
            episode.peak = shown;
            episode.last = window.last().map_or(end, |event| event.time);
            episode.forget(&handles, evidence);
            if episode.doubled() {
                episode.tell();
                Ripple::Tell(0)
            } else {
                Ripple::Note(0)
            }
        });
        window.iter().for_each(|event| evidence.release(event.evidence));
        ripple
    }

    /// Nothing of it is remembered any more.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.events.iter().for_each(|event| evidence.release(event.evidence));
    }
}

/// What the rule measures of a window, in billionths, as a ratio.
fn measure(counted: &Counted, window: &[Held]) -> (i128, i128) {
    let marks = || window.iter().flat_map(|event| event.marks.iter().copied());
    let whole = |count: usize| (count as i128 * BILLIONTHS, 1);
    match counted {
        Counted::Moments | Counted::Events => whole(window.len()),
        Counted::Values(_) | Counted::Rules(None) => whole(marks().collect::<BTreeSet<u64>>().len()),
        Counted::Sum(_) => statistics::sum(marks()),
        Counted::Average(_) => statistics::average(marks()),
        Counted::Percentile(_, rank) => statistics::percentile(marks(), *rank),
        Counted::Rules(Some(formula)) => whole(usize::from(formula.holds(matched(window)))),
        Counted::Sequence => {
            let matches = window.iter().flat_map(|event| event.marks.iter().map(|&mark| (event.time, mark)));
            whole(usize::try_from(sequence::longest_of(matches)).unwrap_or(usize::MAX))
        }
    }
}

fn matched(window: &[Held]) -> u64 {
    window.iter().flat_map(|event| &event.marks).fold(0, |bits, mark| bits | 1 << (mark & 63))
}

/// The measure as an alert shows it: a whole number for what is counted, billionths for what is worked out.
fn shown(counted: &Counted, window: &[Held], (numerator, denominator): (i128, i128)) -> i128 {
    match counted {
        Counted::Moments | Counted::Events | Counted::Values(_) | Counted::Rules(None) | Counted::Sequence => {
            numerator / BILLIONTHS
        }
        Counted::Rules(Some(_)) => matched(window).count_ones().into(),
        Counted::Sum(_) | Counted::Average(_) | Counted::Percentile(..) => numerator / denominator.max(1),
    }
}
