//! What should arrive, beside what does: accounts, regions and kinds of log that an organisation counts on.
//!
//! Beside the road of events: workers say whose records were received and read, matched or not, and the ledger keeps the
//! last time of each with its commits. What never came within its grace, or has stopped, is an alert, which is settled
//! when it speaks. Pure: what is decided follows from what was heard and from the looks at the clock alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::event::Kind;
use engine::time::{Span, Timestamp};

mod cell;
mod listing;
mod watch;

pub(crate) use cell::{Cell, Heard, Spot, State, Told, Wanted};
pub(crate) use listing::Expected;
pub(crate) use watch::{Listing, Watch, check, watch};

/// Looks further apart mean that we did not listen: the service was down, or the disk refused.
const PAUSE: Span = Span::seconds(60);
/// Between two looks.
const LOOK: Span = Span::seconds(1);
/// At the start nothing is judged for so long, or for the grace if that is shorter: sources take up where they were, and
/// what they bring first says that all is well.
const SETTLES_IN: Span = Span::seconds(600);
/// A time that was heard is written down again once it is so much newer: a start knows it to the minute.
const WRITTEN_AGAIN: Span = Span::seconds(60);
/// That we listened is written down so often, though nothing was heard: a start takes the time since then for its own pause.
const NOTED_AGAIN: Span = Span::seconds(300);
/// What nobody expects is listed up to this number, as those who write logs name it.
const UNEXPECTED_MAX: usize = 1_000;
/// The longest name that is listed; none that anybody expects is longer.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// Everything that is expected, or arrives.
#[derive(Debug)]
pub(crate) struct Coverage {
    cells: BTreeMap<Spot, Cell>,
    grace: Span,
    started: Timestamp,
    looked: Timestamp,
    /// What is followed now.
    expected: Option<Arc<Expected>>,
    /// Kinds of log that somebody expects something of.
    kinds: BTreeSet<Kind>,
    /// How many of the cells are unexpected.
    unexpected: usize,
    /// Times that were heard as they were last written.
    written: BTreeMap<Spot, Timestamp>,
    /// What the store does not know yet.
    fresh: BTreeSet<Spot>,
    gone: BTreeSet<Spot>,
    /// When it was last written that we listened.
    noted: Timestamp,
}

/// What people are to hear of a spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Which.
    pub spot: Spot,
    /// What people call it.
    pub name: String,
    /// What is the matter, or was.
    pub told: Told,
    /// The last time that it was heard.
    pub last: Option<Timestamp>,
    /// What became of it.
    pub now: Became,
}

/// What a turn says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// Something is the matter.
    Bad,
    /// It speaks.
    Speaks,
    /// It does not speak, but has longer to: somebody raised what is silence, or the grace.
    Allowed,
    /// Nobody expects it any more.
    Left,
}

/// What is written of it in one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// New, or other than before.
    pub rows: Vec<(Spot, Cell)>,
    /// No longer there.
    pub gone: Vec<Spot>,
    /// When we last listened.
    pub looked: Timestamp,
    /// Whether that alone is worth a commit.
    pub is_due: bool,
}

impl Written {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.gone.is_empty() && !self.is_due
    }
}

impl Coverage {
    /// Takes up what the last run knew, which `looked` for the last time then.
    pub(crate) fn open(known: Vec<(Spot, Cell)>, looked: Option<Timestamp>, grace: Span, now: Timestamp) -> Self {
        let written = known.iter().filter_map(|(spot, cell)| Some((spot.clone(), cell.heard?.last))).collect();
        let cells: BTreeMap<Spot, Cell> = known.into_iter().collect();
        let unexpected = cells.values().filter(|cell| cell.wanted.is_none()).count();
        let kinds = cells.iter().filter(|(_, cell)| cell.wanted.is_some()).map(|(spot, _)| spot.kind).collect();
        Self {
            cells,
            grace,
            started: now,
            looked: looked.unwrap_or(now),
            expected: None,
            kinds,
            unexpected,
            written,
            fresh: BTreeSet::new(),
            gone: BTreeSet::new(),
            noted: looked.unwrap_or(now),
        }
    }

    /// From now on this is expected. What no longer is, is forgotten, unless the list may be without a part.
    pub(crate) fn expect(&mut self, expected: &Arc<Expected>, now: Timestamp) -> Vec<Turn> {
        if self.expected.as_ref().is_some_and(|known| Arc::ptr_eq(known, expected)) {
            return Vec::new();
        }
        self.expected = Some(expected.clone());
        for (spot, listed) in &expected.spots {
            let is_new = || Cell::wanted(&listed.name, listed.silent_after, now);
            let cell = self.cells.entry(spot.clone()).or_insert_with(is_new);
            let before = cell.clone();
            if cell.wanted.is_none() {
                self.unexpected -= 1;
                *cell = Cell { heard: cell.heard, ..is_new() };
            }
            if let Some(wanted) = &mut cell.wanted {
                wanted.silent_after = listed.silent_after;
            }
            cell.name.clone_from(&listed.name);
            if *cell != before || !self.written.contains_key(spot) && cell.state == State::Waiting {
                self.fresh.insert(spot.clone());
            }
        }
        if !expected.is_whole {
            self.kinds.extend(expected.spots.keys().map(|spot| spot.kind));
            return Vec::new();
        }
        self.kinds = expected.spots.keys().map(|spot| spot.kind).collect();
        self.forget(expected)
    }

    /// Lets go what is not expected, and what was heard of kinds of which nothing is, or is now in any region.
    fn forget(&mut self, expected: &Expected) -> Vec<Turn> {
        let kinds = std::mem::take(&mut self.kinds);
        let turns = self.leave(|spot, cell| match cell.wanted {
            Some(_) => !expected.spots.contains_key(spot),
            None => !kinds.contains(&spot.kind) || expected.spots.contains_key(&anywhere(spot)),
        });
        self.kinds = kinds;
        turns
    }

    /// Lets go what is to leave.
    fn leave(&mut self, leaves: impl Fn(&Spot, &Cell) -> bool) -> Vec<Turn> {
        let mut turns = Vec::new();
        self.cells.retain(|spot, cell| {
            let stays = !leaves(spot, cell);
            if !stays {
                turns.extend(cell.told.map(|told| turn(spot, cell, told, Became::Left)));
                self.unexpected -= usize::from(cell.wanted.is_none());
                self.fresh.remove(spot);
                self.written.remove(spot);
                self.gone.insert(spot.clone());
            }
            stays
        });
        turns
    }

    /// A record was received and read. False if nothing can be kept of it: too much that nobody expects is listed already.
    pub(crate) fn hear(&mut self, spot: &Spot, now: Timestamp) -> bool {
        if !self.kinds.contains(&spot.kind) {
            return true;
        }
        let spot = &Spot::of(spot.kind, &spot.account, &spot.region);
        let mut is_known = false;
        for known in [spot, &anywhere(spot)] {
            if let Some(cell) = self.cells.get_mut(known) {
                cell.hear(now);
                is_known |= cell.wanted.is_some() || *known == *spot;
                let written = self.written.get(known);
                if written.is_none_or(|written| now.since(*written) >= WRITTEN_AGAIN) {
                    self.fresh.insert(known.clone());
                }
            }
            if spot.region.is_empty() {
                break;
            }
        }
        if is_known {
            return true;
        }
        if self.unexpected >= UNEXPECTED_MAX || spot.account.len().max(spot.region.len()) > NAME_BYTES_MAX {
            return false;
        }
        self.unexpected += 1;
        let mut cell = Cell::unexpected();
        cell.hear(now);
        self.cells.insert(spot.clone(), cell);
        self.gone.remove(spot);
        self.fresh.insert(spot.clone());
        true
    }

    /// Looks at the clock, and answers what people are to hear.
    pub(crate) fn look(&mut self, now: Timestamp) -> Vec<Turn> {
        let passed = now.since(self.looked);
        if passed < LOOK {
            return Vec::new();
        }
        self.looked = now;
        if passed >= PAUSE {
            self.cells.values_mut().for_each(|cell| cell.pause(passed));
            self.fresh.extend(self.cells.keys().cloned());
        }
        let settled = now.since(self.started) >= SETTLES_IN.min(self.grace);
        let mut turns = self.leave(|_, cell| cell.is_stale(now));
        for (spot, cell) in &mut self.cells {
            let state = cell.judge(self.grace, now);
            if state == cell.state || state.is_bad() && !settled {
                continue;
            }
            cell.state = state;
            self.fresh.insert(spot.clone());
            if state.is_bad() {
                let began = cell.heard.map(|heard| heard.last).or(cell.wanted.map(|wanted| wanted.since));
                let told = Told { state, anchor: began.unwrap_or(now), at: now };
                cell.told = Some(told);
                turns.push(turn(spot, cell, told, Became::Bad));
            } else if let Some(told) = cell.told.take() {
                let became = if cell.speaks(told) { Became::Speaks } else { Became::Allowed };
                turns.push(turn(spot, cell, told, became));
            }
        }
        turns
    }

    /// What the next commit writes.
    pub(crate) fn take_written(&mut self) -> Written {
        let rows: Vec<(Spot, Cell)> = std::mem::take(&mut self.fresh)
            .into_iter()
            .filter_map(|spot| Some((spot.clone(), self.cells.get(&spot)?.clone())))
            .collect();
        let heard = rows.iter().filter_map(|(spot, cell)| Some((spot.clone(), cell.heard?.last)));
        self.written.extend(heard);
        let gone: Vec<Spot> = std::mem::take(&mut self.gone).into_iter().collect();
        let is_due = self.looked.since(self.noted) >= NOTED_AGAIN;
        let written = Written { rows, gone, looked: self.looked, is_due };
        if !written.is_empty() {
            self.noted = self.looked;
        }
        written
    }

    /// Whether something is to be written.
    pub(crate) fn is_fresh(&self) -> bool {
        !(self.fresh.is_empty() && self.gone.is_empty())
    }

    /// How many are in each state.
    pub(crate) fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts: BTreeMap<State, usize> = State::ALL.into_iter().map(|state| (state, 0)).collect();
        for cell in self.cells.values() {
            *counts.entry(cell.state).or_default() += 1;
        }
        counts
    }
}

/// The same in any region.
fn anywhere(spot: &Spot) -> Spot {
    Spot { region: String::new(), ..spot.clone() }
}

fn turn(spot: &Spot, cell: &Cell, told: Told, now: Became) -> Turn {
    Turn { spot: spot.clone(), name: cell.name.clone(), told, last: cell.heard.map(|heard| heard.last), now }
}

#[cfg(test)]
mod tests;
