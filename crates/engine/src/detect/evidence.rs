//! What windows remember of events for the people who will read the alert: their ids and scenes.
//!
//! A window keeps a [`Handle`] of 4 bytes; the rest stands here once, whatever the number of rules that count the
//! event, and leaves when no window refers to it. An event costs 5 bytes and its id (a UUID is packed into 16);
//! one with a scene 2 bytes more and 2 for each value that this segment knows already.
//!
//! Events are written one behind the other into segments, and a segment leaves as a whole: windows that run out
//! at about the same time refer to events that came at about the same time. Tried before: an `Arc` an event
//! (16 bytes for counts and allocator alone, and 600 for a CloudTrail scene).

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use super::Sighting;
use crate::alert::Scene;
use crate::event::{Actor, ActorSort, Kind, Network, Outcome, Target, Uid};
use crate::hash::Seed;

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
    /// The words of the open segment by their hashes, only for writing.
    #[serde(skip)]
    known: HashMap<u64, u16, Seed>,
}

/// Some events, one behind the other.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Segment {
    bytes: Vec<u8>,
    /// Texts of scenes, each once, and where each ends.
    words: String,
    ends: Vec<u32>,
    /// How many window entries refer to events in here.
    references: u32,
}

/// What the first byte of an event says besides its kind.
const SCENE: u8 = 0x80;
const UUID: u8 = 0x40;

/// Places are 16 bits; the longest event is an id of a label's length and a scene.
const SEGMENT_BYTES_MAX: usize = (1 << 16) - (4 << 10);
const SEGMENTS_MAX: usize = 1 << 16;
const WORDS_MAX: usize = (1 << 16) - 16;

impl Handle {
    /// An event that nothing is remembered of, because memory for evidence is at its limit of 4 GiB.
    const LOST: Self = Self(u32::MAX);

    fn segment(self) -> usize {
        (self.0 >> 16) as usize
    }
}

impl Evidence {
    /// Remembers nothing yet; words are hashed under this key.
    pub(super) fn new(seed: Seed) -> Self {
        Self { known: HashMap::with_hasher(seed), ..Self::default() }
    }

    /// Words are hashed under this key from here on: what is saved holds no hashes.
    pub(super) fn seeded(self, seed: Seed) -> Self {
        Self { known: HashMap::with_hasher(seed), ..self }
    }

    /// Remembers an event; it stays for as long as somebody [`holds`](Self::hold) it.
    pub(super) fn keep(&mut self, sighting: &Sighting) -> Handle {
        let Some(number) = self.writable() else { return Handle::LOST };
        let Self { segments, known, .. } = self;
        let segment = &mut segments[number as usize];
        let place = segment.bytes.len();
        segment.write(sighting, known);
        let place = u32::try_from(place).expect("a segment is closed before its places are 16 bits");
        Handle(number << 16 | place)
    }

    /// One more window entry refers to it.
    pub(super) fn hold(&mut self, handle: Handle) {
        if let Some(segment) = self.segments.get_mut(handle.segment()) {
            segment.references += 1;
        }
    }

    /// One less. The last one of its segment frees it.
    pub(super) fn release(&mut self, handle: Handle) {
        let number = handle.segment();
        let Some(segment) = self.segments.get_mut(number) else { return };
        segment.references = segment.references.saturating_sub(1);
        let number = handle.0 >> 16;
        if segment.references == 0 && self.open != Some(number) {
            *segment = Segment::default();
            self.free.push(number);
        }
    }

    /// Whether it is this event.
    pub(super) fn is(&self, handle: Handle, uid: &Uid) -> bool {
        self.read(handle).is_some_and(|read| read.origin == origin(uid)) && self.with_id(handle, |id| id == uid.id)
    }

    /// Whether its id stands before this one.
    pub(super) fn is_before(&self, handle: Handle, uid: &Uid) -> bool {
        self.with_id(handle, |id| (id, self.read(handle).map(|read| read.origin)) < (&*uid.id, Some(origin(uid))))
    }

    /// What a person searches for.
    pub(super) fn id(&self, handle: Handle) -> String {
        self.with_id(handle, str::to_owned)
    }

    /// Which log it stood in and what it shows.
    pub(super) fn scene(&self, handle: Handle) -> (Kind, Scene) {
        match self.read(handle) {
            Some(read) => (read.kind, read.scene()),
            None => (Kind::Json, Scene::default()),
        }
    }

    /// Bytes that all of it takes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.segments.iter().map(|it| it.bytes.capacity() + it.words.capacity() + 4 * it.ends.capacity()).sum()
    }

    fn writable(&mut self) -> Option<u32> {
        if let Some(open) = self.open {
            let segment = &self.segments[open as usize];
            if segment.bytes.len() < SEGMENT_BYTES_MAX && segment.ends.len() < WORDS_MAX {
                return Some(open);
            }
            self.known.clear();
            self.open = None;
            // Nobody may have come to refer to what was written last.
            if self.segments[open as usize].references == 0 {
                self.segments[open as usize] = Segment::default();
                self.free.push(open);
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

    fn read(&self, handle: Handle) -> Option<Read<'_>> {
        let segment = self.segments.get(handle.segment())?;
        let event = segment.bytes.get((handle.0 & 0xffff) as usize..)?;
        let (&head, rest) = event.split_first()?;
        let (origin, rest) = rest.split_first_chunk::<4>()?;
        let length = if head & UUID != 0 { 16 } else { 0 };
        let (id, rest) = if length == 16 {
            rest.split_at_checked(length)?
        } else {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?
        };
        let kind = Kind::ALL.get(usize::from(head & 0x3f)).copied()?;
        Some(Read { segment, head, origin: u32::from_le_bytes(*origin), id, kind, scene: rest })
    }

    fn with_id<T>(&self, handle: Handle, see: impl FnOnce(&str) -> T) -> T {
        match self.read(handle) {
            None => see("(forgotten)"),
            Some(read) if read.head & UUID != 0 => see(std::str::from_utf8(&unpacked(read.id)).unwrap_or_default()),
            Some(read) => see(std::str::from_utf8(read.id).unwrap_or_default()),
        }
    }
}

/// An event as it is read back.
struct Read<'e> {
    segment: &'e Segment,
    head: u8,
    origin: u32,
    id: &'e [u8],
    kind: Kind,
    scene: &'e [u8],
}

impl Read<'_> {
    fn scene(&self) -> Scene {
        if self.head & SCENE == 0 {
            return Scene::default();
        }
        let mut numbers = self.scene.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let mask = numbers.next().unwrap_or_default();
        let mut bit = 1;
        let mut next = || {
            let present = mask & bit != 0;
            bit <<= 1;
            present.then(|| self.segment.word(numbers.next().unwrap_or_default()).to_owned())
        };
        let actor = Actor { id: next(), name: next(), sort: SORTS[usize::from(mask >> 13) % SORTS.len()] };
        let network = Network { ip: next(), user_agent: next() };
        let target = Target { kind: next(), id: next(), account: next(), region: next() };
        let action = next().unwrap_or_default();
        let outcome = next().map_or(Outcome::Success, Outcome::Failure);
        Scene { actor, network, target, action, outcome }
    }
}

/// In the order of their numbers in a saved segment.
const SORTS: [ActorSort; 5] =
    [ActorSort::Unknown, ActorSort::Human, ActorSort::Role, ActorSort::Service, ActorSort::App];

impl Segment {
    fn write(&mut self, sighting: &Sighting, known: &mut HashMap<u64, u16, Seed>) {
        let kind = Kind::ALL.iter().position(|kind| *kind == sighting.kind).unwrap_or_default();
        let packed = packed(&sighting.uid.id);
        let plain = sighting.scene == Scene::default();
        let head = u8::try_from(kind).unwrap_or_default()
            | if packed.is_some() { UUID } else { 0 }
            | if plain { 0 } else { SCENE };
        self.bytes.push(head);
        self.bytes.extend(origin(&sighting.uid).to_le_bytes());
        if let Some(packed) = packed {
            self.bytes.extend(packed);
        } else {
            let id = &sighting.uid.id;
            let id = &id[..id.floor_char_boundary(ID_BYTES_MAX)];
            let length = u16::try_from(id.len()).expect("it was cut to fewer bytes");
            self.bytes.extend(length.to_le_bytes());
            self.bytes.extend(id.as_bytes());
        }
        if !plain {
            self.write_scene(&sighting.scene, known);
        }
    }

    fn write_scene(&mut self, scene: &Scene, known: &mut HashMap<u64, u16, Seed>) {
        let Scene { actor, network, target, action, outcome } = scene;
        let failure = match outcome {
            Outcome::Success => None,
            Outcome::Failure(code) => Some(code),
        };
        let texts = [
            actor.id.as_ref(),
            actor.name.as_ref(),
            network.ip.as_ref(),
            network.user_agent.as_ref(),
            target.kind.as_ref(),
            target.id.as_ref(),
            target.account.as_ref(),
            target.region.as_ref(),
            Some(action),
            failure,
        ];
        let sort = SORTS.iter().position(|sort| *sort == actor.sort).unwrap_or_default();
        let mut mask = u16::try_from(sort).unwrap_or_default() << 13;
        for (bit, text) in texts.iter().enumerate() {
            mask |= u16::from(text.is_some()) << bit;
        }
        self.bytes.extend(mask.to_le_bytes());
        for text in texts.into_iter().flatten() {
            let number = self.number(text, known);
            self.bytes.extend(number.to_le_bytes());
        }
    }

    /// The number of a word, new or known.
    fn number(&mut self, text: &str, known: &mut HashMap<u64, u16, Seed>) -> u16 {
        use std::hash::BuildHasher;
        let hash = known.hasher().hash_one(text);
        // Another word of the same hash is written again each time, and that is all.
        if let Some(&number) = known.get(&hash)
            && self.word(number) == text
        {
            return number;
        }
        let number = u16::try_from(self.ends.len()).unwrap_or(u16::MAX);
        self.words.push_str(text);
        self.ends.push(u32::try_from(self.words.len()).unwrap_or(u32::MAX));
        known.insert(hash, number);
        number
    }

    fn word(&self, number: u16) -> &str {
        let number = usize::from(number);
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(number).copied().unwrap_or_default();
        self.words.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// Ids are labels, which are shorter.
const ID_BYTES_MAX: usize = 3 << 10;

/// Four bytes that tell equal ids of different accounts apart.
fn origin(uid: &Uid) -> u32 {
    use std::hash::BuildHasher;
    // Only what is equal by chance or by its vendor meets here, so the key need not be secret.
    (Seed::default().hash_one(&uid.origin) >> 32) as u32
}

/// A UUID as its vendors print it, in 16 bytes; nothing for any other text.
fn packed(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut digits = [0; 32];
    let mut filled = 0;
    for (place, &byte) in text.iter().enumerate() {
        match byte {
            b'-' if matches!(place, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' => digits[filled] = byte - b'0',
            b'a'..=b'f' => digits[filled] = byte - b'a' + 10,
            _ => return None,
        }
        filled += 1;
        if filled > 31 && place < 35 {
            return None;
        }
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

fn unpacked(bytes: &[u8]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut place = 0;
    for (number, byte) in bytes.iter().enumerate() {
        place += usize::from(matches!(number, 4 | 6 | 8 | 10));
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 15)];
        place += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn sighting(id: &str, scene: Scene) -> Sighting {
        let uid = Uid { origin: "account".to_owned(), id: id.to_owned() };
        Sighting { uid, time: Timestamp::default(), kind: Kind::GithubAudit, scene, findings: Vec::new() }
    }

    fn scene(name: &str) -> Scene {
        let some = |text: &str| Some(text.to_owned());
        Scene {
            actor: Actor { id: None, name: some(name), sort: ActorSort::App },
            network: Network { ip: some("192.0.2.7"), user_agent: None },
            target: Target { kind: None, id: some(name), account: some("a"), region: None },
            action: String::new(),
            outcome: Outcome::Failure("Denied".to_owned()),
        }
    }

    #[test]
    fn what_is_kept_is_read_back_even_by_the_next_run() {
        let mut evidence = Evidence::default();
        let ids = ["0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3c", "0F5C7F5E-54A0-4D4F-8F0B-9D7D0A6A1F3C", "käse", ""];
        let handles: Vec<Handle> = ids.iter().map(|id| evidence.keep(&sighting(id, scene(id)))).collect();
        let plain = evidence.keep(&sighting("x", Scene::default()));
        let evidence: Evidence = postcard::from_bytes(&postcard::to_stdvec(&evidence).unwrap()).unwrap();
        for (id, &handle) in ids.iter().zip(&handles) {
            assert_eq!(evidence.id(handle), *id);
            assert_eq!(evidence.scene(handle), (Kind::GithubAudit, scene(id)));
            assert!(evidence.is(handle, &sighting(id, Scene::default()).uid));
            assert!(!evidence.is(handle, &Uid { origin: "other".to_owned(), id: (*id).to_owned() }));
        }
        assert_eq!(evidence.scene(plain), (Kind::GithubAudit, Scene::default()));
    }

    #[test]
    fn segments_that_nobody_refers_to_are_used_again() {
        let mut evidence = Evidence::default();
        for round in 0..200_000 {
            let handle = evidence.keep(&sighting(&format!("event-{round}"), scene(&round.to_string())));
            evidence.hold(handle);
            assert_eq!(evidence.id(handle), format!("event-{round}"));
            evidence.release(handle);
        }
        assert!(evidence.bytes() < 1 << 20, "{}", evidence.bytes());
    }

    #[test]
    fn an_event_that_is_held_stays_whatever_comes_and_goes() {
        let mut evidence = Evidence::default();
        let first = evidence.keep(&sighting("first", scene("ana")));
        evidence.hold(first);
        for round in 0..20_000 {
            let handle = evidence.keep(&sighting(&format!("event-{round}"), Scene::default()));
            evidence.hold(handle);
            evidence.release(handle);
        }
        assert_eq!((evidence.id(first), evidence.scene(first).1), ("first".to_owned(), scene("ana")));
    }

    #[test]
    fn order_is_that_of_the_ids_as_text() {
        let mut evidence = Evidence::default();
        let ids = ["0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3c", "0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3d", "1", "a"];
        for (place, id) in ids.iter().enumerate() {
            let handle = evidence.keep(&sighting(id, Scene::default()));
            for (other, against) in ids.iter().enumerate() {
                assert_eq!(evidence.is_before(handle, &sighting(against, Scene::default()).uid), place < other);
            }
        }
    }
}
