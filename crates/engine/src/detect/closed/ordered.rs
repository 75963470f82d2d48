//! Events of one key by (time, id), in chunks, so that a late one moves few others: with all of them in one piece, 200,000
//! events are 8 MB to be moved.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detect::evidence::{Evidence, Handle};
use crate::event::Uid;
use crate::time::Timestamp;

/// Events in one chunk at most; half of them when it is split.
const CHUNK_MAX: usize = if cfg!(test) { 4 } else { 512 };

/// An event of a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) time: Timestamp,
    pub(super) evidence: Handle,
    /// What it brings, each once.
    pub(super) marks: Vec<u64>,
}

/// All events of a key that can still change something.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// None is empty.
    chunks: Vec<Vec<Held>>,
    len: usize,
    /// How many events were looked at one by one: what a late one may cost is tested.
    #[cfg(test)]
    pub(super) looks: std::cell::Cell<usize>,
}

/// Where an event stands, or would.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: usize,
    at: usize,
}

impl Ordered {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the events without their marks.
    pub(super) fn bytes(&self) -> usize {
        self.len * size_of::<Held>()
    }

    pub(super) fn first(&self) -> Option<&Held> {
        self.chunks.first()?.first()
    }

    /// The place of the event of this time and id.
    pub(super) fn place(&self, time: Timestamp, uid: &Uid, evidence: &Evidence) -> Place {
        self.search(|held| held.time < time || held.time == time && evidence.is_before(held.evidence, uid))
    }

    /// The first place of which this is not true; it is true of all before it.
    fn search(&self, is_before: impl Fn(&Held) -> bool) -> Place {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&is_before));
        Place { chunk, at: self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(is_before)) }
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Held> {
        self.chunks.get_mut(place.chunk)?.get_mut(place.at)
    }

    pub(super) fn insert(&mut self, place: Place, held: Held) {
        self.len += 1;
        // Behind the last event of all stands no chunk.
        let Place { chunk, at } = match place.chunk.checked_sub(1) {
            Some(last) if place.chunk == self.chunks.len() => Place { chunk: last, at: self.chunks[last].len() },
            Some(_) | None => place,
        };
        if self.chunks.is_empty() {
            self.chunks.push(vec![held]);
            return;
        }
        self.chunks[chunk].insert(at, held);
        if self.chunks[chunk].len() > CHUNK_MAX {
            // Whoever comes in order leaves full chunks behind.
            let half = if at == CHUNK_MAX { CHUNK_MAX } else { CHUNK_MAX / 2 };
            let rest = self.chunks[chunk].split_off(half);
            self.chunks.insert(chunk + 1, rest);
        }
    }

    pub(super) fn remove(&mut self, place: Place) -> Held {
        self.len -= 1;
        let gone = self.chunks[place.chunk].remove(place.at);
        if self.chunks[place.chunk].is_empty() {
            self.chunks.remove(place.chunk);
        }
        gone
    }

    /// All events from this moment on, in order.
    pub(super) fn since(&self, time: Timestamp) -> impl Iterator<Item = &Held> {
        let Place { chunk, at } = self.search(|held| held.time < time);
        let (first, more) = match self.chunks.get(chunk..) {
            Some([first, more @ ..]) => (&first[at..], more),
            Some([]) | None => (&[][..], &[][..]),
        };
        let events = first.iter().chain(more.iter().flatten());
        #[cfg(test)]
        let events = events.inspect(|_| self.looks.set(self.looks.get() + 1));
        events
    }

    /// All events from `from` on, those of `to` excluded.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Held> {
        self.since(from).take_while(move |held| held.time < to)
    }

    /// The newest event before this moment.
    pub(super) fn last_before(&self, time: Timestamp) -> Option<&Held> {
        let Place { chunk, at } = self.search(|held| held.time < time);
        match at.checked_sub(1) {
            Some(before) => self.chunks[chunk].get(before),
            None => self.chunks.get(chunk.checked_sub(1)?)?.last(),
        }
    }

    /// Takes out all events before this moment.
    pub(super) fn take_before(&mut self, time: Timestamp) -> Vec<Held> {
        let Place { chunk, at } = self.search(|held| held.time < time);
        let mut gone: Vec<Held> = self.chunks.drain(..chunk).flatten().collect();
        if at > 0 {
            gone.extend(self.chunks[0].drain(..at));
        }
        self.len -= gone.len();
        gone
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.chunks.iter().flatten()
    }
}

/// As one sequence: chunks are nobody else's business.
impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len))?;
        for held in self.iter() {
            sequence.serialize_element(held)?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all: Vec<Held> = Deserialize::deserialize(deserializer)?;
        let mut ordered = Self { len: all.len(), ..Self::default() };
        if all.len() <= CHUNK_MAX {
            ordered.chunks.extend((!all.is_empty()).then_some(all));
            return Ok(ordered);
        }
        let mut rest = all.into_iter().peekable();
        while rest.peek().is_some() {
            ordered.chunks.push(rest.by_ref().take(CHUNK_MAX).collect());
        }
        Ok(ordered)
    }
}
