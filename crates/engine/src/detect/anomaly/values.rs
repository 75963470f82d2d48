//! The values that a key has had, and those that wait to be looked at.

use serde::{Deserialize, Serialize};

use super::BETWEEN;
use super::first_seen::LEARNT_AFTER;
use super::peers::Group;
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::window::Arrival;
use crate::time::{Span, Timestamp};

/// Values of one key at most, 24 bytes each; the one that was not seen for the longest time leaves.
pub(super) const VALUES_MAX: usize = 256;

/// Values of one key that wait at most.
const WAITING_MAX: usize = 1_024;

/// A value is looked at once a cell of time: a day or an hour, however often it comes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Values {
    /// Earliest first.
    waiting: Vec<Look>,
    /// By hash.
    had: Vec<Had>,
    /// Whether some had to leave: then what is new may have been there before.
    pub(super) is_cut: bool,
}

/// The first event of a value in a cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) time: Timestamp,
    due: Timestamp,
    pub(super) evidence: Handle,
    pub(super) hash: u64,
    pub(super) value: Box<str>,
    /// The cell that it lies in.
    pub(super) cell: u32,
    /// The group of its key then, for rules that ask.
    pub(super) group: Option<Box<Group>>,
}

/// A value that the key has had.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Had {
    hash: u64,
    /// The last cell in which it was seen.
    pub(super) last: u32,
    /// In how many cells.
    pub(super) cells: u32,
    /// The same with past ones counted less, as of the last.
    pub(super) weight: f32,
}

impl Look {
    /// The value as people read it: several fields of one are told apart by a mark that no text holds.
    pub(super) fn shown(&self) -> String {
        self.value.replace(BETWEEN, ", ")
    }

    /// At a value that was made up from others.
    pub(super) fn of(hash: u64, cell: u32, time: Timestamp, evidence: Handle) -> Self {
        Self { time, due: time, evidence, hash, value: "".into(), cell, group: None }
    }
}

impl Values {
    /// Takes in the values of an event. One that was looked at in this cell already is nothing new.
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, width: Span, wait: Span, evidence: &mut Evidence) {
        let cell = u32::try_from(arrival.time.cell(width)).unwrap_or(0);
        for (&hash, value) in arrival.marks.iter().zip(arrival.values) {
            if self.had(hash).is_some_and(|had| had.last == cell) {
                continue;
            }
            let waiting = self.waiting.iter().position(|look| look.hash == hash && look.cell == cell);
            if let Some(place) = waiting {
                let look = &self.waiting[place];
                let is_later = look.time < arrival.time
                    || look.time == arrival.time && evidence.is_before(look.evidence, arrival.uid);
                if is_later || evidence.is(look.evidence, arrival.uid) {
                    continue;
                }
                evidence.release(self.waiting.remove(place).evidence);
            }
            let before = |look: &Look| {
                look.time < arrival.time || look.time == arrival.time && evidence.is_before(look.evidence, arrival.uid)
            };
            let place = self.waiting.partition_point(before);
            evidence.hold(arrival.evidence);
            let (time, due, value) = (arrival.time, arrival.time.plus(wait), value.as_str().into());
            let group = arrival.group.cloned().map(Box::new);
            self.waiting.insert(place, Look { time, due, evidence: arrival.evidence, hash, value, cell, group });
            // The last leave, whatever the order in which they came.
            if self.waiting.len() > WAITING_MAX
                && let Some(last) = self.waiting.pop()
            {
                evidence.release(last.evidence);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.first().map(|look| look.due)
    }

    /// When that happened which is looked at next.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.waiting.first().map(|look| look.time)
    }

    /// What is to be looked at next.
    pub(super) fn next(&mut self) -> Option<Look> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0))
    }

    /// What is known of a value.
    pub(super) fn had(&self, hash: u64) -> Option<Had> {
        self.place(hash).ok().map(|place| self.had[place])
    }

    /// Everything that it has had.
    pub(super) fn all(&self) -> &[Had] {
        &self.had
    }

    /// It has had this value in this cell; answers the hash of one that had to leave for it.
    pub(super) fn learn(&mut self, look: &Look, weight: f32) -> Option<u64> {
        match self.place(look.hash) {
            Ok(place) => {
                let had = &mut self.had[place];
                (had.last, had.cells, had.weight) = (had.last.max(look.cell), had.cells.saturating_add(1), weight);
                None
            }
            Err(_) => {
                let gone = (self.had.len() >= VALUES_MAX).then(|| self.forget_oldest()).flatten();
                let place = self.place(look.hash).unwrap_or_else(|place| place);
                self.had.insert(place, Had { hash: look.hash, last: look.cell, cells: 1, weight });
                gone
            }
        }
    }

    /// Forgets a value; whether it was there.
    pub(super) fn forget(&mut self, hash: u64) -> bool {
        let place = self.place(hash);
        if let Ok(place) = place {
            self.had.remove(place);
        }
        place.is_ok()
    }

    pub(super) fn forget_all(&mut self) {
        self.had = Vec::new();
        self.is_cut = false;
    }

    fn forget_oldest(&mut self) -> Option<u64> {
        // A burst of new values does not push out what is known.
        let rank = |had: &Had| (had.cells >= LEARNT_AFTER, had.last, had.hash);
        let (place, had) = self.had.iter().enumerate().min_by_key(|(_, had)| rank(had))?;
        let hash = had.hash;
        self.had.remove(place);
        self.is_cut = true;
        Some(hash)
    }

    fn place(&self, hash: u64) -> Result<usize, usize> {
        self.had.binary_search_by_key(&hash, |had| had.hash)
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.had.iter().map(|had| had.hash)
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.waiting.iter().for_each(|look| evidence.release(look.evidence));
    }

    pub(super) fn bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|look| size_of::<Look>() + look.value.len()).sum();
        waiting + self.had.len() * size_of::<Had>()
    }
}
