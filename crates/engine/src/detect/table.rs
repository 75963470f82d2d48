//! What is remembered of each key of a rule, and which keys leave.
//!
//! A key is 16 bytes of keyed hash: its text comes with each event, so it need not stand here. A key leaves when
//! the stream has gone on for so long after its last event that no event can be counted with those any more, or
//! earlier, the least recent first, when there are too many.
//!
//! Who may leave stands in a queue, by the moment it was put there. That does the work of a timer wheel: all keys
//! of a rule wait equally long, so the queue is in order of time by itself; a key that was seen again since is put
//! to the end when its turn comes. A list in order of the last event was tried on paper: two cache misses more an
//! event at a million keys, for the neighbours of the place that it leaves.

use std::collections::VecDeque;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A key's hash.
pub(super) type Hash = [u64; 2];

/// The keys of one rule.
#[derive(Debug)]
pub(super) struct Table<B> {
    /// Places by hash: 5 bytes a key and some air.
    places: HashTable<u32>,
    slots: Vec<Slot<B>>,
    free: Vec<u32>,
    /// When each key was put here, in ticks, oldest first.
    queue: VecDeque<(Tick, u32)>,
    /// What the bodies take beside their slots.
    bytes: usize,
}

/// What is kept of a key.
pub(super) trait Weigh {
    /// Bytes of its memory beside its slot, without what the allocator adds.
    fn bytes(&self) -> usize;
}

#[derive(Debug, Serialize, Deserialize)]
struct Slot<B> {
    hash: Hash,
    /// When it was last seen.
    seen: Tick,
    body: B,
}

/// A moment of the stream in units of 4.2 seconds: four bytes last for 570 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Tick(u32);

impl Tick {
    pub(super) fn of(time: Timestamp) -> Self {
        Self(u32::try_from(time.micros().max(0) >> 22).unwrap_or(u32::MAX))
    }

    /// The one before: what happened in it is over.
    pub(super) fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// About an hour later: who may not leave yet is not asked with each step.
    fn later(self) -> Self {
        Self(self.0.saturating_add(1 << 10))
    }
}

impl<B> Default for Table<B> {
    fn default() -> Self {
        Self { places: HashTable::new(), slots: Vec::new(), free: Vec::new(), queue: VecDeque::new(), bytes: 0 }
    }
}

impl<B: Default + Weigh> Table<B> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of all slots and what the bodies take beside them.
    pub(super) fn bytes(&self) -> usize {
        let one = size_of::<Slot<B>>() + size_of::<(Tick, u32)>() + size_of::<(u32, u8)>();
        self.len() * one + self.bytes
    }

    /// Changes what is remembered of this key, new or known, seen now.
    pub(super) fn touch<T>(&mut self, hash: Hash, now: Tick, change: impl FnOnce(&mut B) -> T) -> T {
        let Self { places, slots, free, queue, bytes } = self;
        let found = places.find(hash[0], |&place| slots[place as usize].hash == hash).copied();
        let place = found.unwrap_or_else(|| {
            let slot = Slot { hash, seen: now, body: B::default() };
            let place = match free.pop() {
                Some(place) => {
                    slots[place as usize] = slot;
                    place
                }
                None => {
                    slots.push(slot);
                    u32::try_from(slots.len() - 1).expect("keys are capped far below 2^32")
                }
            };
            places.insert_unique(hash[0], place, |&other| slots[other as usize].hash[0]);
            queue.push_back((now, place));
            place
        });
        let slot = &mut slots[place as usize];
        slot.seen = now;
        weighed(&mut slot.body, bytes, change)
    }

    /// This key, if it is known, is seen now.
    pub(super) fn see(&mut self, hash: Hash, now: Tick) {
        if let Some(&place) = self.places.find(hash[0], |&place| self.slots[place as usize].hash == hash) {
            self.slots[place as usize].seen = now;
        }
    }

    pub(super) fn get(&self, hash: Hash) -> Option<&B> {
        let place = *self.places.find(hash[0], |&place| self.slots[place as usize].hash == hash)?;
        Some(&self.slots[place as usize].body)
    }

    /// Changes what is remembered of this key, if anything is, without its being seen.
    pub(super) fn visit<T>(&mut self, hash: Hash, change: impl FnOnce(&mut B) -> T) -> Option<T> {
        let place = *self.places.find(hash[0], |&place| self.slots[place as usize].hash == hash)?;
        Some(weighed(&mut self.slots[place as usize].body, &mut self.bytes, change))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Hash, &B)> {
        self.queue.iter().map(|(_, place)| &self.slots[*place as usize]).map(|slot| (slot.hash, &slot.body))
    }

    /// When the key whose turn it is was put into the queue.
    pub(super) fn turn(&self) -> Option<Tick> {
        self.queue.front().map(|(since, _)| *since)
    }

    /// Takes out the key whose turn it is, if it was not seen after `border` and may leave; else it waits again.
    pub(super) fn expire(&mut self, border: Tick, may_leave: impl FnOnce(&B) -> bool) -> Option<(Hash, B)> {
        let (_, place) = self.queue.pop_front()?;
        let slot = &self.slots[place as usize];
        if slot.seen > border || !may_leave(&slot.body) {
            self.queue.push_back((slot.seen.max(border.later()), place));
            return None;
        }
        Some(self.take(place))
    }

    /// Takes out the key that was not seen for the longest time, as far as the queue knows.
    pub(super) fn evict(&mut self) -> Option<(Hash, B)> {
        while let Some((since, place)) = self.queue.pop_front() {
            let slot = &self.slots[place as usize];
            if slot.seen == since {
                return Some(self.take(place));
            }
            self.queue.push_back((slot.seen, place));
        }
        None
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = B> {
        let slots = std::mem::take(self).slots;
        slots.into_iter().map(|slot| slot.body)
    }

    fn take(&mut self, place: u32) -> (Hash, B) {
        let slot = &mut self.slots[place as usize];
        let body = std::mem::take(&mut slot.body);
        self.bytes -= body.bytes();
        let hash = slot.hash;
        if let Ok(entry) = self.places.find_entry(hash[0], |&other| other == place) {
            entry.remove();
        }
        self.free.push(place);
        (hash, body)
    }
}

/// Changes a body, and what all of them weigh.
fn weighed<B: Weigh, T>(body: &mut B, bytes: &mut usize, change: impl FnOnce(&mut B) -> T) -> T {
    let before = body.bytes();
    let answer = change(body);
    *bytes = *bytes + body.bytes() - before;
    answer
}

/// In the order of the queue.
impl<B: Serialize> Serialize for Table<B> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.queue.iter().map(|(since, place)| (since, &self.slots[*place as usize])))
    }
}

impl<'de, B: Deserialize<'de> + Default + Weigh> Deserialize<'de> for Table<B> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved: Vec<(Tick, Slot<B>)> = Deserialize::deserialize(deserializer)?;
        let mut table = Self::default();
        for (since, slot) in saved {
            let place = u32::try_from(table.slots.len()).map_err(serde::de::Error::custom)?;
            table.queue.push_back((since, place));
            table.bytes += slot.body.bytes();
            table.slots.push(slot);
            let Self { places, slots, .. } = &mut table;
            places.insert_unique(slots[place as usize].hash[0], place, |&other| slots[other as usize].hash[0]);
        }
        Ok(table)
    }
}
