//! The keys of one rule, by the way their events are kept.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::anomaly::{Learnt, Reliability};
use super::brief::{Brief, Halves, Mark};
use super::closed::Closed;
use super::episode::Episode;
use super::evidence::Evidence;
use super::table::{Hash, Table, Tick};
use super::window::{Arrival, Asked, Lasting, Ripple, TooLate};
use crate::time::{Span, Timestamp};

/// Windows by key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Keys {
    /// Of events that bring nothing but themselves.
    Bare(Table<Brief<()>>),
    /// Of events that bring a mark.
    Marked(Table<Brief<Halves>>),
    /// That are judged when all is there.
    Closed(Table<Closed>),
    /// That are judged by what was learnt of their key.
    Learnt(Box<Learnt>),
}

/// A key that is seen now: its hash, and the values of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed<'k> {
    pub(super) hash: Hash,
    pub(super) values: &'k [Option<String>],
    pub(super) now: Tick,
}

/// Whether something happened, or did not happen after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Happened,
    TakenBack,
}

/// A key that left.
#[derive(Debug)]
pub(super) struct Gone {
    /// When its next window could have been judged.
    pub(super) deadline: Option<(Timestamp, Hash)>,
}

impl Gone {
    fn brief<M: Mark>(brief: &Brief<M>, evidence: &mut Evidence) -> Self {
        brief.release(evidence);
        Self { deadline: None }
    }

    fn learnt((hash, deadline): (Hash, Option<Timestamp>)) -> Self {
        Self { deadline: deadline.map(|end| (end, hash)) }
    }

    fn closed(hash: Hash, closed: &Closed, window: Span, evidence: &mut Evidence) -> Self {
        closed.release(evidence);
        Self { deadline: closed.deadline(window).map(|end| (end, hash)) }
    }
}

impl Keys {
    pub(super) fn new(shape: &Shape) -> Self {
        if shape.learning.is_some() {
            return Self::Learnt(Box::default());
        }
        if shape.waits {
            return Self::Closed(Table::default());
        }
        if shape.counted.has_marks() { Self::Marked(Table::default()) } else { Self::Bare(Table::default()) }
    }

    /// Counts an event of this key in; the key is seen now.
    pub(super) fn count(
        &mut self,
        key: Keyed<'_>,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        scratch: &mut Lasting,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Result<(), TooLate> {
        match self {
            Self::Bare(table) => {
                table.touch(key.hash, key.now, |brief| brief.insert(arrival, asked, scratch, evidence, ripples))
            }
            Self::Marked(table) => {
                table.touch(key.hash, key.now, |brief| brief.insert(arrival, asked, scratch, evidence, ripples))
            }
            // One that is too late must not push another key out.
            Self::Closed(_) if arrival.time < asked.borders.settled() => Err(TooLate),
            Self::Closed(table) => table.touch(key.hash, key.now, |closed| {
                if closed.key.is_empty() {
                    closed.key = key.values.to_vec();
                }
                closed.insert(arrival, asked, evidence, ripples)
            }),
            Self::Learnt(learnt) => learnt.take(key, arrival, asked, evidence),
        }
    }

    /// Whether all that an event brings was looked at before, so that it teaches nothing.
    pub(super) fn has_looked(&self, hash: Hash, shape: &Shape, time: Timestamp, marks: &[u64]) -> bool {
        match self {
            Self::Bare(_) | Self::Marked(_) | Self::Closed(_) => false,
            Self::Learnt(learnt) => learnt.has_looked(hash, shape, time, marks),
        }
    }

    /// A key is there, though nothing was taken in of it: it is not the one to leave.
    pub(super) fn see(&mut self, hash: Hash, now: Tick) {
        match self {
            Self::Bare(_) | Self::Marked(_) | Self::Closed(_) => {}
            Self::Learnt(learnt) => learnt.see(hash, now),
        }
    }

    /// Counts an event out that did not happen after all; its key is seen now.
    pub(super) fn take_back(
        &mut self,
        hash: Hash,
        now: Tick,
        arrival: &Arrival<'_>,
        shape: &Shape,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) {
        match self {
            Self::Bare(table) => table.touch(hash, now, |brief| brief.remove(arrival, shape, evidence, ripples)),
            Self::Marked(table) => table.touch(hash, now, |brief| brief.remove(arrival, shape, evidence, ripples)),
            Self::Closed(table) => table.touch(hash, now, |closed| closed.remove(arrival, shape, evidence, ripples)),
            Self::Learnt(learnt) => learnt.take_back(arrival, evidence),
        }
    }

    /// What the ripples about this key speak of.
    pub(super) fn episodes<'k>(&'k self, hash: Hash, scratch: &'k Lasting) -> &'k [Episode] {
        match self {
            Self::Bare(table) => table.get(hash).map_or(&[], |brief| brief.window(scratch).episodes()),
            Self::Marked(table) => table.get(hash).map_or(&[], |brief| brief.window(scratch).episodes()),
            Self::Closed(table) => table.get(hash).map_or(&[], |closed| &closed.episodes),
            Self::Learnt(learnt) => learnt.episodes(hash),
        }
    }

    /// When the first window of this key can be judged.
    pub(super) fn deadline(&self, hash: Hash, window: Span) -> Option<Timestamp> {
        match self {
            Self::Bare(_) | Self::Marked(_) => None,
            Self::Closed(table) => table.get(hash)?.deadline(window),
            Self::Learnt(learnt) => learnt.deadline(hash),
        }
    }

    /// Judges the next window of this key, the newest event being of the moment `clock`; answers with the key's text.
    pub(super) fn judge(
        &mut self,
        hash: Hash,
        (asked, clock): (Asked<'_>, Timestamp),
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Option<Vec<Option<String>>> {
        match self {
            Self::Bare(_) | Self::Marked(_) => None,
            Self::Closed(table) => table.visit(hash, |closed| {
                closed.judge(asked, evidence, ripples);
                closed.key.clone()
            }),
            Self::Learnt(learnt) => learnt.judge(hash, (asked.shape, clock), evidence, ripples),
        }
    }

    /// Every key that has a window to be judged, and when; for a state that was just read.
    pub(super) fn deadlines(&self, window: Span) -> Vec<(Timestamp, Hash)> {
        match self {
            Self::Bare(_) | Self::Marked(_) => Vec::new(),
            Self::Closed(table) => {
                table.iter().filter_map(|(hash, closed)| Some((closed.deadline(window)?, hash))).collect()
            }
            Self::Learnt(learnt) => learnt.deadlines(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bare(table) => table.len(),
            Self::Marked(table) => table.len(),
            Self::Closed(table) => table.len(),
            Self::Learnt(learnt) => learnt.len(),
        }
    }

    /// Bytes of what is kept.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bare(table) => table.bytes(),
            Self::Marked(table) => table.bytes(),
            Self::Closed(table) => table.bytes(),
            Self::Learnt(learnt) => learnt.bytes(),
        }
    }

    /// What had to leave since the beginning beside keys.
    pub(super) fn evicted(&self) -> u64 {
        match self {
            Self::Bare(_) | Self::Marked(_) | Self::Closed(_) => 0,
            Self::Learnt(learnt) => learnt.evicted(),
        }
    }

    /// How far the ranks of a rule that learns keep what they promise, and how much is kept for it.
    pub(super) fn reliability(&self) -> Option<(&Reliability, usize)> {
        match self {
            Self::Bare(_) | Self::Marked(_) | Self::Closed(_) => None,
            Self::Learnt(learnt) => Some((learnt.reliability(), learnt.bytes())),
        }
    }

    pub(super) fn turn(&self) -> Option<Tick> {
        match self {
            Self::Bare(table) => table.turn(),
            Self::Marked(table) => table.turn(),
            Self::Closed(table) => table.turn(),
            Self::Learnt(learnt) => learnt.turn(),
        }
    }

    /// Lets the key go whose turn it is, if it was not seen after `border`.
    pub(super) fn expire(&mut self, border: Tick, window: Span, evidence: &mut Evidence) -> Option<Gone> {
        match self {
            Self::Bare(table) => table.expire(border, |_| true).map(|(_, brief)| Gone::brief(&brief, evidence)),
            Self::Marked(table) => table.expire(border, |_| true).map(|(_, brief)| Gone::brief(&brief, evidence)),
            Self::Closed(table) => {
                table.expire(border, |_| true).map(|(hash, closed)| Gone::closed(hash, &closed, window, evidence))
            }
            Self::Learnt(learnt) => learnt.expire(border).map(Gone::learnt),
        }
    }

    /// Lets the key go that was not seen for the longest time.
    pub(super) fn evict(&mut self, window: Span, evidence: &mut Evidence) -> Option<Gone> {
        match self {
            Self::Bare(table) => table.evict().map(|(_, brief)| Gone::brief(&brief, evidence)),
            Self::Marked(table) => table.evict().map(|(_, brief)| Gone::brief(&brief, evidence)),
            Self::Closed(table) => table.evict().map(|(hash, closed)| Gone::closed(hash, &closed, window, evidence)),
            Self::Learnt(learnt) => learnt.evict(evidence).map(Gone::learnt),
        }
    }

    pub(super) fn clear(&mut self, evidence: &mut Evidence) {
        match self {
            Self::Bare(table) => table.drain().for_each(|window| window.release(evidence)),
            Self::Marked(table) => table.drain().for_each(|window| window.release(evidence)),
            Self::Closed(table) => table.drain().for_each(|window| window.release(evidence)),
            Self::Learnt(learnt) => learnt.clear(evidence),
        }
    }
}
