//! Windows of rules whose condition one more event can make false: fewer than, exactly, averages, absence.
//!
//! Such a window is judged when all its events are to be expected there. The first event of a key opens a window; it
//! holds all events of the key from that moment on for the rule's timespan, its end excluded; the first event after
//! that opens the next one. A window is judged when the watermark has come to its end, which is the moment of its
//! finding. So each event lies in exactly one window, each window is judged on all of its events, and what is found
//! depends on the set of events alone. A key is only known by its events: a window without any is never judged.
//!
//! An event that comes after its window was judged, within the lateness, changes that window, or opens one of its own and
//! moves those behind it ([`Layout`]); what was found is read off again from there on, and revised. What lies further back
//! than the lateness is settled: only its last episode is kept, because the next window may join it.
//!
//! Windows that hold join one episode while the next one opens no later than the quiet time after the last.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::evidence::{Evidence, Handle};
use super::table::Weigh;
use super::window::{Arrival, Asked, MARKS_MAX, Ripple, TooLate, compare, grown};
use crate::rule::COUNT_MAX;
use crate::time::{Span, Timestamp};
use layout::{Is, Late, Layout, SMALL, Window};
use ordered::{Held, Ordered};

mod layout;
mod ordered;
mod tally;

/// What is kept of one key: about 60 bytes an event, and its text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Closed {
    /// The values of the key's fields: no event is at hand when a window is judged.
    pub(super) key: Vec<Option<String>>,
    /// Events of windows that are not settled.
    events: Ordered,
    /// How many marks they bring.
    marks: usize,
    /// So many of them lie in windows that were judged: all before this moment.
    judged: usize,
    judged_to: Timestamp,
    /// Where the last settled window ends.
    settled_to: Timestamp,
    /// The episode that stood when it was settled.
    settled: Option<Episode>,
    pub(super) episodes: Vec<Episode>,
    /// The windows that were judged, from the first late event on. Only for speed, so not saved.
    #[serde(skip)]
    layout: Option<Box<Layout>>,
}

impl Weigh for Closed {
    fn bytes(&self) -> usize {
        let texts: usize = self.key.iter().flatten().map(String::len).sum();
        let episodes: usize = self.settled.iter().chain(&self.episodes).map(Episode::bytes).sum();
        // What late events may need is counted before they come, or a restart would weigh otherwise.
        let late =
            if self.judged > SMALL { self.judged * size_of::<Window>() + self.marks * tally::MARK_BYTES } else { 0 };
        texts + episodes + self.events.bytes() + self.marks * size_of::<u64>() + late
    }
}

impl Closed {
    /// When its first window that was not judged yet can be.
    pub(super) fn deadline(&self, window: Span) -> Option<Timestamp> {
        // Mostly none is.
        let first = if self.judged == 0 { self.events.first() } else { self.events.since(self.judged_to).next() };
        first.map(|event| event.time.plus(window))
    }

    /// Counts an event in. An event that is already here brings only what is new; its numbers it brings once, whichever
    /// rule it is that matched. Costs a search, and for a late one what its window and those behind it cost: see
    /// [`Layout`].
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Result<(), TooLate> {
        self.settle(asked, evidence);
        let Asked { shape, borders } = asked;
        // So many events and marks of one key that can still change: those beyond are not counted, as if they were late.
        let full = self.events.len() >= 2 * COUNT_MAX || self.marks >= MARKS_MAX;
        if full || arrival.time < self.settled_to.max(borders.settled()) {
            return Err(TooLate);
        }
        if arrival.time < self.judged_to {
            self.lay_out(shape);
        }
        let place = self.events.place(arrival.time, arrival.uid, evidence);
        let mut late = Late { time: arrival.time, marks: arrival.marks, is: Is::New };
        let fresh: Vec<u64>;
        if let Some(known) = self.events.get_mut(place)
            && known.time == arrival.time
            && evidence.is(known.evidence, arrival.uid)
        {
            fresh = arrival.marks.iter().filter(|mark| !known.marks.contains(mark)).copied().collect();
            if shape.counted.is_number() || fresh.is_empty() {
                return Ok(());
            }
            known.marks.extend(&fresh);
            late = Late { marks: &fresh, is: Is::Known, ..late };
        } else {
            evidence.hold(arrival.evidence);
            let held = Held { time: arrival.time, evidence: arrival.evidence, marks: arrival.marks.to_vec() };
            self.events.insert(place, held);
        }
        self.marks += late.marks.len();
        if arrival.time < self.judged_to {
            self.judge_again(&late, shape, ripples);
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
        let place = self.events.place(arrival.time, arrival.uid, evidence);
        if !self.events.get_mut(place).is_some_and(|event| evidence.is(event.evidence, arrival.uid)) {
            return;
        }
        if arrival.time < self.judged_to {
            self.lay_out(shape);
        }
        let gone = self.events.remove(place);
        self.marks -= gone.marks.len();
        if arrival.time < self.judged_to {
            self.judge_again(&Late { time: gone.time, marks: &gone.marks, is: Is::Gone }, shape, ripples);
        }
        evidence.release(gone.evidence);
    }

    /// Judges the next window, all of whose events are to be expected there.
    pub(super) fn judge(&mut self, asked: Asked<'_>, evidence: &mut Evidence, ripples: &mut Vec<Ripple>) {
        self.settle(asked, evidence);
        let shape = asked.shape;
        let Some(open) = self.events.since(self.judged_to).next().map(|event| event.time) else { return };
        let window = Window::of(&self.events, open, shape);
        self.judged += window.events;
        self.judged_to = window.end(shape.window);
        if read(&mut self.episodes, &window, &self.events, shape) {
            ripples.extend(grown(&mut self.episodes, Some(&self.judged_to)));
        }
        if let Some(layout) = &mut self.layout {
            layout.windows.push_back(window);
        }
    }

    fn lay_out(&mut self, shape: &Shape) {
        if self.layout.is_none() {
            self.layout = Some(Box::new(Layout::of(&self.events, self.judged_to, shape)));
        }
    }

    /// A late event has come to the events that were judged, or left them: says what became of what was found.
    fn judge_again(&mut self, late: &Late<'_>, shape: &Shape, ripples: &mut Vec<Ripple>) {
        let Some(layout) = &mut self.layout else { return };
        let touched = layout.take(late, &self.events, self.judged_to, shape);
        self.judged = layout.events();
        self.judged_to = layout.end_before(layout.windows.len(), self.settled_to, shape.window);
        self.reread(touched, shape, ripples);
    }

    /// Reads the episodes off again: of these windows it is not known what they come to, those behind them are as they
    /// were.
    fn reread(&mut self, touched: Range<usize>, shape: &Shape, ripples: &mut Vec<Ripple>) {
        let Self { layout: Some(layout), episodes, settled, events, settled_to, .. } = self else { return };
        let border = layout.end_before(touched.start, *settled_to, shape.window);
        // The last episode that begins before them may change; those before that one cannot.
        let kept = episodes.partition_point(|episode| episode.crossed <= border).saturating_sub(1);
        let (mut after, from) = match episodes.get(kept).filter(|episode| episode.crossed <= border) {
            None => (Vec::new(), touched.start),
            Some(last) if last.held <= border => (vec![last.clone()], touched.start),
            Some(last) => match settled {
                Some(settled) if settled.crossed == last.crossed => (vec![settled.clone()], 0),
                Some(_) | None => {
                    let windows = &layout.windows;
                    (Vec::new(), windows.partition_point(|window| window.end(shape.window) < last.crossed))
                }
            },
        };
        let mut same = episodes.len();
        for (place, window) in layout.windows.iter().enumerate().skip(from) {
            let count = after.len();
            read(&mut after, window, events, shape);
            // An episode that begins with the same window as before, and all behind it, are what they were.
            if place >= touched.end
                && after.len() > count
                && let Ok(known) = episodes.binary_search_by_key(&window.end(shape.window), |known| known.crossed)
            {
                after.pop();
                same = known;
                break;
            }
        }
        let count = after.len();
        let before: Vec<Episode> = episodes.splice(kept..same, after).collect();
        let first = ripples.len();
        compare(before, &mut episodes[kept..kept + count], shape, ripples);
        ripples[first..].iter_mut().for_each(|ripple| ripple.shift(kept));
    }

    /// Windows that nobody can change any more leave; what an episode shows of their events it keeps itself.
    fn settle(&mut self, Asked { shape, borders }: Asked<'_>, evidence: &mut Evidence) {
        let border = borders.settled();
        while self.judged > 0
            && let Some(open) = self.events.first().map(|event| event.time)
            && open.plus(shape.window) <= border
        {
            let laid = self.layout.as_mut().and_then(|layout| layout.windows.pop_front());
            let window = laid.unwrap_or_else(|| Window::of(&self.events, open, shape));
            let end = window.end(shape.window);
            let mut episodes: Vec<Episode> = self.settled.take().into_iter().collect();
            read(&mut episodes, &window, &self.events, shape);
            self.settled = episodes.pop();
            let gone = self.events.take_before(end);
            let handles: Vec<Handle> = gone.iter().map(|event| event.evidence).collect();
            let shows = |episode: &&mut Episode| episode.first < end;
            for episode in self.settled.iter_mut().chain(self.episodes.iter_mut().take_while(shows)) {
                episode.forget(&handles, evidence);
            }
            handles.iter().for_each(|&handle| evidence.release(handle));
            self.marks -= gone.iter().map(|event| event.marks.len()).sum::<usize>();
            self.judged -= gone.len();
            self.settled_to = end;
        }
        if self.judged == 0 {
            self.layout = None;
        }
        // Episodes before the settled one can neither change nor move.
        if let Some(oldest) = self.settled.as_ref().map(|episode| episode.crossed) {
            let passed = self.episodes.partition_point(|episode| episode.crossed < oldest);
            self.episodes.drain(..passed);
        }
    }

    /// Nothing of it is remembered any more.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.events.iter().for_each(|event| evidence.release(event.evidence));
    }
}

/// Takes a window in; whether the condition holds of it. Then it joins the last episode, or begins one.
fn read(episodes: &mut Vec<Episode>, window: &Window, events: &Ordered, shape: &Shape) -> bool {
    let Some(shown) = window.verdict else { return false };
    let (open, end) = (window.open, window.end(shape.window));
    let lasts = |last: &Episode| {
        open <= last.held.plus(shape.quiet) || end.cell(shape.window) == last.crossed.cell(shape.window)
    };
    if !episodes.last().is_some_and(lasts) {
        episodes.push(Episode::begin(end, open, 0));
    }
    if let Some(episode) = episodes.last_mut() {
        episode.grow(end, shown, window.events, events.between(open, end).map(|event| event.evidence));
        // The last window says how it is now, not the highest one.
        episode.peak = shown;
        episode.last = window.last;
    }
    true
}

#[cfg(test)]
mod tests;
