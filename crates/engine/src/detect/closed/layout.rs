//! The windows of one key that were judged, as they lie one behind the other, each with what it comes to.
//!
//! A late event lies in one of them, and that one is judged again. Or it lies between two and opens one of its own: then
//! the windows behind it are moved, each by the events that come in at its beginning and leave at its end, until one
//! opens where it did before. There are no more of them than fit into the lateness, and none of this looks at all events.
//! Made for a key with its first late event: other keys need none.

use std::collections::VecDeque;
use std::ops::Range;

use super::ordered::{Held, Ordered};
use super::tally::Tally;
use crate::detect::Shape;
use crate::time::{Span, Timestamp};

/// A window of so many events is measured anew with each late one; a tally is only kept of larger ones.
pub(super) const SMALL: usize = if cfg!(test) { 2 } else { 64 };

/// A window whose end the watermark has passed.
#[derive(Debug)]
pub(super) struct Window {
    /// Its first event.
    pub(super) open: Timestamp,
    /// Its last event.
    pub(super) last: Timestamp,
    /// How many there are.
    pub(super) events: usize,
    /// What an alert shows of it, if the condition holds.
    pub(super) verdict: Option<i128>,
    /// What it comes to, once a late event has changed it.
    tally: Option<Box<Tally>>,
}

/// All of them that are not settled, by time.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) windows: VecDeque<Window>,
}

/// What a late event does to its window.
pub(super) struct Late<'m> {
    pub(super) time: Timestamp,
    pub(super) marks: &'m [u64],
    pub(super) is: Is,
}

/// What becomes of the number of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// One more.
    New,
    /// As many: one that was there brings more marks.
    Known,
    /// One less.
    Gone,
}

impl Window {
    /// The one that opens with the event at this moment, measured.
    pub(super) fn of(events: &Ordered, open: Timestamp, shape: &Shape) -> Self {
        let mut window = Self { open, last: open, events: 0, verdict: None, tally: None };
        window.measure(events, shape);
        window.tally = None;
        window
    }

    /// The first moment that does not lie in it.
    pub(super) fn end(&self, window: Span) -> Timestamp {
        self.open.plus(window)
    }

    /// Measures it anew, by all its events.
    fn measure(&mut self, events: &Ordered, shape: &Shape) {
        self.events = 0;
        let inside = events.between(self.open, self.end(shape.window)).inspect(|held| {
            self.events += 1;
            self.last = held.time;
        });
        let tally = Tally::of(&shape.counted, inside);
        self.verdict = tally.verdict(shape, self.events);
        self.tally = (self.events > SMALL).then(|| Box::new(tally));
    }

    /// Measures it again after this came to its events.
    fn take(&mut self, late: &Late<'_>, events: &Ordered, shape: &Shape) {
        let Some(tally) = &mut self.tally else { return self.measure(events, shape) };
        match late.is {
            Is::New | Is::Known => tally.add(late.time, late.marks),
            Is::Gone => tally.subtract(late.time, late.marks),
        }
        self.events = match late.is {
            Is::New => self.events + 1,
            Is::Known => self.events,
            Is::Gone => self.events - 1,
        };
        self.verdict = tally.verdict(shape, self.events);
        self.close(events, shape);
    }

    /// It opens at another moment from here on: some events come in, others leave.
    fn slide(&mut self, open: Timestamp, events: &Ordered, shape: &Shape) {
        let before = std::mem::replace(&mut self.open, open);
        let Some(tally) = &mut self.tally else { return self.measure(events, shape) };
        let (end, end_before) = (open.plus(shape.window), before.plus(shape.window));
        let (mut come, mut left) = (0, 0);
        let mut add = |held: &Held| {
            tally.add(held.time, &held.marks);
            come += 1;
        };
        events.between(open, before).for_each(&mut add);
        events.between(end_before, end).for_each(&mut add);
        let mut subtract = |held: &Held| {
            tally.subtract(held.time, &held.marks);
            left += 1;
        };
        events.between(before, open).for_each(&mut subtract);
        events.between(end, end_before).for_each(&mut subtract);
        self.events = self.events + come - left;
        self.verdict = tally.verdict(shape, self.events);
        self.close(events, shape);
    }

    fn close(&mut self, events: &Ordered, shape: &Shape) {
        self.last = events.last_before(self.end(shape.window)).map_or(self.open, |held| held.time);
    }
}

impl Layout {
    /// Of the events before `to`.
    pub(super) fn of(events: &Ordered, to: Timestamp, shape: &Shape) -> Self {
        let mut windows = VecDeque::new();
        let mut next = events.first().map(|first| first.time);
        while let Some(open) = next.filter(|open| *open < to) {
            let window = Window::of(events, open, shape);
            next = events.since(window.end(shape.window)).next().map(|held| held.time);
            windows.push_back(window);
        }
        Self { windows }
    }

    /// Where the windows before the one at `place` end; `settled` if there are none.
    pub(super) fn end_before(&self, place: usize, settled: Timestamp, window: Span) -> Timestamp {
        place.checked_sub(1).map_or(settled, |before| self.windows[before].end(window))
    }

    /// A late event has come to these events, or left them. Answers the windows that are not what they were; those
    /// behind them are. None ends after `to`: what would lie in such a one waits.
    pub(super) fn take(&mut self, late: &Late<'_>, events: &Ordered, to: Timestamp, shape: &Shape) -> Range<usize> {
        let behind = self.windows.partition_point(|window| window.open <= late.time);
        let inside = behind.checked_sub(1).filter(|&at| late.time < self.windows[at].end(shape.window));
        let Some(at) = inside else { return self.lay(behind, late.time, events, to, shape) };
        let window = &mut self.windows[at];
        window.take(late, events, shape);
        match late.is {
            Is::Gone if window.events == 0 => {
                self.windows.remove(at);
                at..at
            }
            Is::New | Is::Known | Is::Gone => match events.since(window.open).next() {
                // Its first event is another one.
                Some(first) if first.time > window.open => self.lay(at, first.time, events, to, shape),
                Some(_) | None => at..at + 1,
            },
        }
    }

    /// Lays the windows from `first` on out anew, the first of which opens now at `open`.
    fn lay(&mut self, first: usize, open: Timestamp, events: &Ordered, to: Timestamp, shape: &Shape) -> Range<usize> {
        let mut before = self.windows.split_off(first);
        let mut next = Some(open);
        while let Some(open) = next {
            let end = open.plus(shape.window);
            while before.front().is_some_and(|window| window.end(shape.window) <= open) {
                before.pop_front();
            }
            if before.front().is_some_and(|window| window.open == open) {
                let until = self.windows.len();
                self.windows.extend(before);
                return first..until;
            }
            if end > to {
                break;
            }
            // The one that it overlaps is moved: few events tell them apart.
            let heir = if before.front().is_some_and(|window| window.open < end) { before.pop_front() } else { None };
            self.windows.push_back(match heir {
                Some(mut window) => {
                    window.slide(open, events, shape);
                    window
                }
                None => Window::of(events, open, shape),
            });
            next = events.since(end).next().map(|held| held.time);
        }
        first..self.windows.len()
    }

    /// How many events lie in them.
    pub(super) fn events(&self) -> usize {
        self.windows.iter().map(|window| window.events).sum()
    }
}
