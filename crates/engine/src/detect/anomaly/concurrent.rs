//! `concurrent`: one credential live in two places at once: used here, and there, and here again within a window.
//!
//! A pair of places that goes on like that is learnt as any value is: two addresses of one gateway are a pair on two days, and
//! then usual. How new a pair is decides as for [`first_seen`](super::first_seen).

use serde::{Deserialize, Serialize};

use super::first_seen::{LEARNT_AFTER, days, share, surprise};
use super::values::{Look, Values};
use super::verdict::{Known, Note, Unusual, Weight, is_unusual, odds};
use super::{Learning, Shared};
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::window::Arrival;
use crate::time::{Span, Timestamp};

/// Places of one window at most: who is in more is not found by pairs.
const PLACES_MAX: usize = 16;

/// One key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Places {
    /// Earliest first.
    open: Vec<Window>,
    /// Pairs that it has had.
    pub(super) pairs: Values,
}

/// Where it was in one window.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Window {
    cell: i64,
    due: Timestamp,
    pub(super) last: Timestamp,
    places: Vec<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    hash: u64,
    value: Box<str>,
    first: Timestamp,
    last: Timestamp,
    /// The first event there.
    evidence: Handle,
}

impl Places {
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, width: Span, wait: Span, evidence: &mut Evidence) {
        let cell = arrival.time.cell(width);
        let at = self.open.partition_point(|window| window.cell < cell);
        if self.open.get(at).is_none_or(|window| window.cell != cell) {
            let due = end(cell, width).plus(wait);
            self.open.insert(at, Window { cell, due, last: arrival.time, places: Vec::new() });
        }
        let window = &mut self.open[at];
        window.last = window.last.max(arrival.time);
        for (&hash, value) in arrival.marks.iter().zip(arrival.values) {
            match window.places.binary_search_by_key(&hash, |place| place.hash) {
                Ok(known) => window.places[known].take(arrival, evidence),
                Err(new) => {
                    evidence.hold(arrival.evidence);
                    let (first, last, value) = (arrival.time, arrival.time, value.as_str().into());
                    window.places.insert(new, Place { hash, value, first, last, evidence: arrival.evidence });
                }
            }
        }
        // The highest hashes leave, whatever the order in which they came.
        window.places.drain(PLACES_MAX.min(window.places.len())..).for_each(|place| evidence.release(place.evidence));
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.first().map(|window| window.due)
    }

    /// When that window ends which is judged next.
    pub(super) fn moment(&self, width: Span) -> Option<Timestamp> {
        self.open.first().map(|window| window.end(width))
    }

    pub(super) fn next(&mut self) -> Option<Window> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.open.iter().for_each(|window| window.release(evidence));
    }

    pub(super) fn bytes(&self) -> usize {
        let place = |place: &Place| size_of::<Place>() + place.value.len();
        let window = |window: &Window| size_of::<Window>() + window.places.iter().map(place).sum::<usize>();
        self.open.iter().map(window).sum::<usize>() + self.pairs.bytes()
    }
}

impl Place {
    fn take(&mut self, arrival: &Arrival<'_>, evidence: &mut Evidence) {
        self.last = self.last.max(arrival.time);
        let is_first =
            arrival.time < self.first || arrival.time == self.first && !evidence.is_before(self.evidence, arrival.uid);
        if is_first {
            evidence.hold(arrival.evidence);
            evidence.release(self.evidence);
            (self.first, self.evidence) = (arrival.time, arrival.evidence);
        }
    }

    /// Whether it goes to and fro between these two.
    fn meets(&self, other: &Self) -> bool {
        self.first < other.last && other.first < self.last
    }
}

impl Window {
    pub(super) fn end(&self, width: Span) -> Timestamp {
        end(self.cell, width)
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.places.iter().for_each(|place| evidence.release(place.evidence));
    }

    /// Pairs that it goes to and fro between.
    fn pairs(&self) -> impl Iterator<Item = (&Place, &Place)> {
        let from = |(place, one)| self.places[place + 1..].iter().map(move |other| (one, other));
        self.places.iter().enumerate().flat_map(from).filter(|(one, other)| one.meets(other))
    }
}

pub(super) fn judge(
    places: &mut Places,
    window: &Window,
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    let moment = window.end(learning.window);
    let day = u32::try_from(moment.micros().max(0) / 86_400_000_000).unwrap_or(u32::MAX);
    let pairs: Vec<(Look, &Place, &Place)> = window
        .pairs()
        .map(|(one, other)| (Look::of(one.hash ^ other.hash.rotate_left(32), day, moment, one.evidence), one, other))
        .collect();
    let is_known = |look: &Look| {
        let had = places.pairs.had(look.hash).filter(|had| day.saturating_sub(had.last) <= days(learning));
        had.is_some_and(|had| had.cells >= LEARNT_AFTER)
    };
    // The one that the fewest have; hashes differ from place to place and decide nothing.
    let unknown = pairs.iter().filter(|(look, ..)| !is_known(look));
    let new = unknown.min_by_key(|(look, one, other)| {
        (shared.population.having(look.hash), one.first.min(other.first), one.value.as_ref().min(other.value.as_ref()))
    });
    let score = new.map_or(0.0, |(look, ..)| {
        let others = shared.population.having(look.hash);
        surprise(&places.pairs, look, known) - libm::log10(share(others, shared.population.all()))
    });
    let is_learnt = known.is_enough(learning);
    let rank = shared.calibration.rank(score, is_learnt, learning.limit(), moment);
    let found = new.filter(|_| is_learnt && is_unusual(score, rank, known, learning)).map(|(_, one, other)| {
        let what = format!("{} {:?} and {:?} at once, to and fro", learning.of, one.value, other.value);
        let mut against =
            format!("it had {} such pairs in {} days", places.pairs.all().len(), known.time.micros() / 86_400_000_000);
        odds(&mut against, rank);
        let (first, last) = (one.first.min(other.first), one.last.max(other.last));
        let sample = vec![one.evidence, other.evidence];
        let (note, weight) = (Note { what, against }, Weight::of(rank, learning, moment));
        Unusual { first, last, sample, events: 2, level: 2, note, weight }
    });
    for (look, ..) in &pairs {
        let had = places.pairs.had(look.hash);
        if had.is_some_and(|had| had.last == day) {
            continue;
        }
        if had.is_none() {
            shared.population.came(look.hash);
        }
        let gone = places.pairs.learn(look, 0.0);
        if !is_learnt && had.is_none() {
            places.pairs.learn(look, 0.0);
        }
        gone.into_iter().for_each(|gone| shared.population.left(gone));
    }
    found
}

fn end(cell: i64, width: Span) -> Timestamp {
    Timestamp::from_micros(cell.saturating_add(1).saturating_mul(width.micros()))
}
