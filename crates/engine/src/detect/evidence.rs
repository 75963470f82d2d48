//! What windows remember of events for the people who will read the alert: their ids and scenes.
//!
//! A window keeps a [`Handle`] of 4 bytes; the rest stands here once, whatever the number of rules that count the
//! event, and leaves when no window refers to it.
//!
//! Events are written one behind the other into segments, and a segment leaves as a whole: windows that run out
//! at about the same time refer to events that came at about the same time. Most of an event was said before by one
//! of the same action, or of the same action and actor: it is written as what differs from that one, its base, and
//! texts as the part behind what they share with the base's. Tried before: an `Arc` an event (16 bytes for counts and
//! allocator alone, and 600 for a CloudTrail scene); numbers of words in a dictionary of the segment (for a new actor
//! and address 110 bytes an event instead of 35, and ten words to hash).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Sighting;
use crate::alert::Scene;
use crate::event::{Kind, Uid};
use crate::hash::Seed;
use read::Read;
use segment::Segment;
use write::{Base, base_of};

mod read;
mod segment;
mod write;

/// Where an event stands: the number of its segment and the place in it, 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handle(u32);

/// All segments.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Evidence {
    segments: Vec<Segment>,
    /// Numbers of segments that were emptied.
    free: Vec<u32>,
    /// The segment that is written to.
    open: Option<u32>,
    /// Bytes of all segments.
    bytes: usize,
    /// Bases in the open segment, by the hash of what they have in common with those that are written against them.
    #[serde(skip)]
    bases: HashMap<u64, u16, Seed>,
    /// The base that was read last: mostly the next one too.
    #[serde(skip)]
    last: Option<Base>,
}

/// Places are 16 bits; behind the last event's may stand an id and ten labels of up to 2 KiB.
const SEGMENT_BYTES_MAX: usize = (1 << 16) - (32 << 10);
const SEGMENTS_MAX: usize = 1 << 16;

impl Handle {
    /// An event that nothing is remembered of, because there are no numbers left: at 2 GiB, far beyond any cap.
    const LOST: Self = Self(u32::MAX);

    fn segment(self) -> usize {
        (self.0 >> 16) as usize
    }

    fn place(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

impl Evidence {
    /// Remembers nothing yet; bases are hashed under this key.
    pub(super) fn new(seed: Seed) -> Self {
        Self { bases: HashMap::with_hasher(seed), ..Self::default() }
    }

    /// Bases are hashed under this key from here on: what is saved holds no hashes.
    pub(super) fn seeded(self, seed: Seed) -> Self {
        Self { bases: HashMap::with_hasher(seed), ..self }
    }

    /// Bytes that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Remembers an event; it stays for as long as somebody [`holds`](Self::hold) it.
    pub(super) fn keep(&mut self, sighting: &Sighting) -> Handle {
        let Some(number) = self.writable() else { return Handle::LOST };
        let Self { segments, bases, last, bytes, .. } = self;
        let segment = &mut segments[number as usize];
        let place = u16::try_from(segment.bytes.len()).expect("a segment is closed before its places are 16 bits");
        let base = base_of(sighting, place, bases);
        if let Some(place) = base
            && last.as_ref().is_none_or(|last| last.place != place)
        {
            *last = segment.base_at(place);
        }
        let before = segment.bytes.len();
        segment.write(sighting, last.as_ref().filter(|last| Some(last.place) == base));
        *bytes += segment.bytes.len() - before;
        Handle(number << 16 | u32::from(place))
    }

    /// One more window entry refers to it.
    pub(super) fn hold(&mut self, handle: Handle) {
        if let Some(segment) = self.segments.get_mut(handle.segment()) {
            segment.references += 1;
        }
    }

    /// One less. The last one of its segment frees it.
    pub(super) fn release(&mut self, handle: Handle) {
        let number = handle.0 >> 16;
        let Some(segment) = self.segments.get_mut(handle.segment()) else { return };
        segment.references = segment.references.saturating_sub(1);
        if segment.references == 0 && self.open != Some(number) {
            self.empty(number);
        }
    }

    /// Whether it is this event.
    pub(super) fn is(&self, handle: Handle, uid: &Uid) -> bool {
        self.origin(handle) == Some(origin(uid)) && self.with_id(handle, |id| id == uid.id)
    }

    /// Whether its id stands before this one.
    pub(super) fn is_before(&self, handle: Handle, uid: &Uid) -> bool {
        self.with_id(handle, |id| (id, self.origin(handle)) < (&*uid.id, Some(origin(uid))))
    }

    /// What a person searches for.
    pub(super) fn id(&self, handle: Handle) -> String {
        self.with_id(handle, str::to_owned)
    }

    /// Which log it stood in and what it shows.
    pub(super) fn scene(&self, handle: Handle) -> (Kind, Scene) {
        let Some((segment, read)) = self.read(handle) else { return (Kind::Json, Scene::default()) };
        (segment.first(&read).kind, segment.scene(&read))
    }

    /// Whether its time is not what it says itself.
    pub(super) fn is_clamped(&self, handle: Handle) -> bool {
        self.read(handle).is_some_and(|(_, read)| read.is_clamped())
    }

    fn writable(&mut self) -> Option<u32> {
        if let Some(open) = self.open {
            let segment = &mut self.segments[open as usize];
            if segment.bytes.len() < SEGMENT_BYTES_MAX {
                return Some(open);
            }
            segment.bytes.shrink_to_fit();
            self.bases.clear();
            self.last = None;
            self.open = None;
            // Nobody may have come to refer to what was written last.
            if self.segments[open as usize].references == 0 {
                self.empty(open);
            }
        }
        let number = match self.free.pop() {
            Some(number) => number,
            // The very last number is the lost handle's.
            None if self.segments.len() + 1 < SEGMENTS_MAX => {
                self.segments.push(Segment::default());
                u32::try_from(self.segments.len() - 1).expect("far fewer than 2^32")
            }
            None => return None,
        };
        self.open = Some(number);
        Some(number)
    }

    fn empty(&mut self, number: u32) {
        let gone = std::mem::take(&mut self.segments[number as usize]);
        self.bytes -= gone.bytes.len();
        self.free.push(number);
    }

    fn read(&self, handle: Handle) -> Option<(&Segment, Read<'_>)> {
        let segment = self.segments.get(handle.segment())?;
        Some((segment, segment.read(handle.place())?))
    }

    fn origin(&self, handle: Handle) -> Option<u32> {
        let (segment, read) = self.read(handle)?;
        Some(segment.origin(&read))
    }

    fn with_id<T>(&self, handle: Handle, see: impl FnOnce(&str) -> T) -> T {
        match self.read(handle) {
            None => see("(forgotten)"),
            Some((_, read)) => read.with_id(see),
        }
    }
}

/// Four bytes that tell equal ids of different accounts apart.
fn origin(uid: &Uid) -> u32 {
    use std::hash::BuildHasher;
    // Only what is equal by chance or by its vendor meets here, so the key need not be secret.
    (Seed::default().hash_one(&uid.origin) >> 32) as u32
}

#[cfg(test)]
mod tests;
