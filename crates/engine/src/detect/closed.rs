//! Windows of rules whose condition one more event can make false: fewer than, exactly, averages, absence.
//!
//! Such a window is judged when all its events are to be expected there. The first event of a key opens a window; it
//! holds all events of the key from that moment on for the rule's timespan, its end excluded; the first event after
//! that opens the next one. A window is judged when the watermark has come to its end, which is the moment of its
//! finding. So each event lies in exactly one window, each window is judged on all of its events, and what is found
//! depends on the set of events alone. A key is only known by its events: a window without any is never judged.
//!
//! An event that comes after its window was judged, within the lateness, lays the windows of its key out anew from the
//! first one that can still change, and what was found is revised. What lies further back is settled: only its last
//! episode is kept, because the next window may join it.
//!
//! Windows that hold join one episode while the next one opens no later than the quiet time after the last.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::episode::Episode;
use super::evidence::{Evidence, Handle};
use super::progress::Borders;
use super::shape::Counted;
use super::table::Weigh;
use super::window::{Arrival, MARKS_MAX, Ripple, TooLate, compare, grown};
use super::{BILLIONTHS, Shape, sequence, statistics};
use crate::rule::COUNT_MAX;
use crate::time::{Span, Timestamp};

/// What is kept of one key: about 60 bytes an event, and its text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Closed {
    /// The values of the key's fields: no event is at hand when a window is judged.
    pub(super) key: Vec<Option<String>>,
    /// Events of windows that are not settled, by (time, id).
    events: Vec<Held>,
    /// How many marks they bring.
    marks: usize,
    /// So many of them lie in windows that were judged, up to this moment.
    judged: usize,
    judged_to: Timestamp,
    /// Where the last settled window ends.
    settled_to: Timestamp,
    /// The episode that stood when it was settled.
    settled: Option<Episode>,
    pub(super) episodes: Vec<Episode>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Held {
    time: Timestamp,
    evidence: Handle,
    marks: Vec<u64>,
}

impl Weigh for Closed {
    fn bytes(&self) -> usize {
        let texts: usize = self.key.iter().flatten().map(String::len).sum();
        let episodes: usize = self.settled.iter().chain(&self.episodes).map(Episode::bytes).sum();
        texts + episodes + self.events.capacity() * size_of::<Held>() + self.marks * size_of::<u64>()
    }
}

impl Closed {
    /// When its first window that was not judged yet can be.
    pub(super) fn deadline(&self, window: Span) -> Option<Timestamp> {
        self.events.get(self.judged).map(|event| event.time.plus(window))
    }

    /// Counts an event in. An event that is already here brings only what is new; its numbers it brings once, whichever
    /// rule it is that matched.
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        (shape, borders): (&Shape, Borders),
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Result<(), TooLate> {
        self.settle((shape, borders), evidence);
        // So many events and marks of one key that can still change: those beyond are not counted, as if they were late.
        let full = self.events.len() >= 2 * COUNT_MAX || self.marks >= MARKS_MAX;
        if full || arrival.time < self.settled_to.max(borders.settled()) {
            return Err(TooLate);
        }
        let place = self.place(arrival, evidence);
        if let Some(known) = self.events.get_mut(place)
            && known.time == arrival.time
            && evidence.is(known.evidence, arrival.uid)
        {
            let fresh: Vec<u64> = arrival.marks.iter().filter(|mark| !known.marks.contains(mark)).copied().collect();
            if shape.counted.is_number() || fresh.is_empty() {
                return Ok(());
            }
            self.marks += fresh.len();
            known.marks.extend(fresh);
        } else {
            self.marks += arrival.marks.len();
            evidence.hold(arrival.evidence);
            let held = Held { time: arrival.time, evidence: arrival.evidence, marks: arrival.marks.to_vec() };
            self.events.insert(place, held);
        }
        if arrival.time < self.judged_to {
            self.judge_again(shape, ripples);
        }
        Ok(())
    }

    /// An event that was counted in did not happen after all.
    pub(super) fn remove(
        &mut self,
        arrival: &Arrival<'_>,
        shape: &Shape,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) {
        let place = self.place(arrival, evidence);
        if self.events.get(place).is_some_and(|event| evidence.is(event.evidence, arrival.uid)) {
            let gone = self.events.remove(place);
            self.marks -= gone.marks.len();
            if arrival.time < self.judged_to {
                self.judge_again(shape, ripples);
            }
            evidence.release(gone.evidence);
        }
    }

    fn place(&self, arrival: &Arrival<'_>, evidence: &Evidence) -> usize {
        self.events.partition_point(|event| {
            event.time < arrival.time || event.time == arrival.time && evidence.is_before(event.evidence, arrival.uid)
        })
    }

    /// Judges the next window, all of whose events are to be expected there.
    pub(super) fn judge(&mut self, asked: (&Shape, Borders), evidence: &mut Evidence, ripples: &mut Vec<Ripple>) {
        self.settle(asked, evidence);
        let (shape, _) = asked;
        let Some((end, window)) = first_window(&self.events[self.judged..], shape) else { return };
        self.judged += window.len();
        self.judged_to = end;
        if take(&mut self.episodes, window, end, shape) {
            ripples.extend(grown(&mut self.episodes, Some(&end)));
        }
    }

    /// Lays the windows that were judged out anew, and says what became of what was found.
    fn judge_again(&mut self, shape: &Shape, ripples: &mut Vec<Ripple>) {
        let before = std::mem::replace(&mut self.episodes, self.settled.iter().cloned().collect());
        let to = self.judged_to;
        (self.judged, self.judged_to) = (0, self.settled_to);
        while let Some((end, window)) = first_window(&self.events[self.judged..], shape)
            && end <= to
        {
            take(&mut self.episodes, window, end, shape);
            self.judged += window.len();
            self.judged_to = end;
        }
        compare(before, &mut self.episodes, shape, ripples);
    }

    /// Windows that nobody can change any more leave; what an episode shows of their events it keeps itself.
    fn settle(&mut self, (shape, borders): (&Shape, Borders), evidence: &mut Evidence) {
        let border = borders.settled();
        while let Some((end, window)) = first_window(&self.events[..self.judged], shape)
            && end <= border
        {
            let mut episodes: Vec<Episode> = self.settled.take().into_iter().collect();
            take(&mut episodes, window, end, shape);
            self.settled = episodes.pop();
            let count = window.len();
            let gone: Vec<Held> = self.events.drain(..count).collect();
            let handles: Vec<Handle> = gone.iter().map(|event| event.evidence).collect();
            for episode in self.settled.iter_mut().chain(&mut self.episodes) {
                episode.forget(&handles, evidence);
            }
            handles.iter().for_each(|&handle| evidence.release(handle));
            self.marks -= gone.iter().map(|event| event.marks.len()).sum::<usize>();
            self.judged -= count;
            self.settled_to = end;
        }
        // Episodes before the settled one can neither change nor move.
        if let Some(oldest) = self.settled.as_ref().map(|episode| episode.crossed) {
            self.episodes.retain(|episode| episode.crossed >= oldest);
        }
    }

    /// Nothing of it is remembered any more.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.events.iter().for_each(|event| evidence.release(event.evidence));
    }
}

/// The window that the first of these events opens, and its end.
fn first_window<'e>(events: &'e [Held], shape: &Shape) -> Option<(Timestamp, &'e [Held])> {
    let end = events.first()?.time.plus(shape.window);
    Some((end, &events[..events.partition_point(|event| event.time < end)]))
}

/// Judges a window on all of its events; whether the condition holds. Then it joins the last episode, or begins one.
fn take(episodes: &mut Vec<Episode>, window: &[Held], end: Timestamp, shape: &Shape) -> bool {
    let (numerator, denominator) = measure(&shape.counted, window);
    let Some(open) = window.first().map(|event| event.time) else { return false };
    if !shape.threshold.holds(numerator, denominator) {
        return false;
    }
    let lasts = |last: &Episode| {
        open <= last.held.plus(shape.quiet) || end.cell(shape.window) == last.crossed.cell(shape.window)
    };
    if !episodes.last().is_some_and(lasts) {
        episodes.push(Episode::begin(end, open, 0));
    }
    if let Some(episode) = episodes.last_mut() {
        let handles: Vec<Handle> = window.iter().map(|event| event.evidence).collect();
        let shown = shown(&shape.counted, window, (numerator, denominator));
        episode.counted = 0;
        episode.take(end, shown, (0, handles.len()), &handles);
        // The last window says how it is now, not the highest one.
        episode.peak = shown;
        episode.last = window.last().map_or(end, |event| event.time);
    }
    true
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
