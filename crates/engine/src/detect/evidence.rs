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
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Sighting;
use super::uuid::{packed, unpacked};
use crate::alert::{Part, Parts, Scene};
use crate::event::{ActorSort, Kind, Uid};
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
    /// Bytes of all segments.
    bytes: usize,
    /// Bases in the open segment, by the hash of what they have in common with those that are written against them.
    #[serde(skip)]
    bases: HashMap<u64, u16, Seed>,
    /// The base that was read last: mostly the next one too.
    #[serde(skip)]
    last: Option<Base>,
}

/// An event that others are written against.
#[derive(Debug)]
struct Base {
    place: u16,
    origin: u32,
    scene: Scene,
}

/// Some events, one behind the other.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Segment {
    bytes: Vec<u8>,
    /// How many window entries refer to events in here.
    references: u32,
}

/// What the first two bytes of an event say besides which parts of its scene are written.
const BASE: u16 = 1 << 15;
const UUID: u16 = 1 << 14;
const ORIGIN: u16 = 1 << 13;
const CLAMPED: u16 = 1 << 12;

/// In place of the number of bytes that a text shares with the base's.
const ABSENT: u8 = 0xff;
const ADDRESS: u8 = 0xfe;
const SHARED_MAX: usize = 0xf0;

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
        self.read(handle).is_some_and(|(_, read)| read.head & CLAMPED != 0)
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
            Some((_, read)) if read.head & UUID != 0 => {
                see(std::str::from_utf8(&unpacked(read.id)).unwrap_or_default())
            }
            Some((_, read)) => see(std::str::from_utf8(read.id).unwrap_or_default()),
        }
    }
}

/// An event that this one, which will stand at `place`, can be written against; this one becomes a base for the next
/// if there was none as near. So a base of a base has none. Hashes are keyed and of 64 bits: two that are not alike do
/// not meet.
fn base_of(sighting: &Sighting, place: u16, bases: &mut HashMap<u64, u16, Seed>) -> Option<u16> {
    use std::hash::BuildHasher;
    let Sighting { kind, scene, .. } = sighting;
    let alike = (kind, scene.sort() as u8, scene.action());
    let hash = bases.hasher().hash_one((alike, scene.get(Part::ActorId).or(scene.get(Part::ActorName))));
    if let Some(base) = bases.get(&hash) {
        return Some(*base);
    }
    bases.insert(hash, place);
    let hash = bases.hasher().hash_one((alike, "any"));
    let base = bases.get(&hash).copied();
    if base.is_none() {
        bases.insert(hash, place);
    }
    base
}

/// An event as it stands there.
#[derive(Clone, Copy)]
struct Read<'e> {
    head: u16,
    base: Option<u16>,
    /// Of an event without a base.
    kind: Kind,
    sort: ActorSort,
    origin: Option<u32>,
    id: &'e [u8],
    parts: [Written<'e>; Part::COUNT],
}

/// One part of a scene as it stands there.
#[derive(Clone, Copy)]
enum Written<'e> {
    /// As in the base.
    Same,
    Absent,
    Address(Ipv4Addr),
    /// So many bytes of the base's, and then these.
    Text(usize, &'e [u8]),
}

/// In the order of their numbers in a saved segment.
const SORTS: [ActorSort; 5] =
    [ActorSort::Unknown, ActorSort::Human, ActorSort::Role, ActorSort::Service, ActorSort::App];

impl Segment {
    fn read(&self, place: u16) -> Option<Read<'_>> {
        let mut reader = Reader(self.bytes.get(usize::from(place)..)?);
        let head = reader.number()?;
        let (mut base, mut kind, mut sort) = (None, Kind::Json, ActorSort::Unknown);
        if head & BASE != 0 {
            // It was there before: so a chain ends, whatever was read from disk.
            base = Some(reader.number().filter(|base| *base < place)?);
        } else {
            kind = *Kind::ALL.get(usize::from(reader.byte()?))?;
            sort = *SORTS.get(usize::from(reader.byte()?))?;
        }
        let origin = if head & ORIGIN != 0 { Some(u32::from_le_bytes(*reader.take()?)) } else { None };
        let length = if head & UUID != 0 { 16 } else { usize::from(reader.number()?) };
        let id = reader.some(length)?;
        let mut parts = [if base.is_some() { Written::Same } else { Written::Absent }; Part::COUNT];
        for (bit, part) in parts.iter_mut().enumerate() {
            if head >> bit & 1 == 1 {
                *part = reader.part()?;
            }
        }
        Some(Read { head, base, kind, sort, origin, id, parts })
    }

    fn base_at(&self, place: u16) -> Option<Base> {
        let read = self.read(place)?;
        Some(Base { place, origin: self.origin(&read), scene: self.scene(&read) })
    }

    fn base<'e>(&'e self, read: &Read<'e>) -> Option<Read<'e>> {
        self.read(read.base?)
    }

    /// The one at the bottom, which says what all above it have in common.
    fn first<'e>(&'e self, read: &Read<'e>) -> Read<'e> {
        self.base(read).map_or(*read, |base| self.first(&base))
    }

    fn origin(&self, read: &Read<'_>) -> u32 {
        read.origin.or_else(|| Some(self.origin(&self.base(read)?))).unwrap_or_default()
    }

    fn scene(&self, read: &Read<'_>) -> Scene {
        let mut text = Vec::with_capacity(256);
        let mut ends = [None; Part::COUNT];
        let base = self.base(read);
        let chain = [Some(*read), base, base.and_then(|base| self.base(&base))];
        for (place, end) in ends.iter_mut().enumerate() {
            *end = append(&chain, place, usize::MAX, &mut text).then_some(text.len());
        }
        let mut start = 0;
        let parts: Parts<'_> = ends.map(|end| {
            let part = text.get(start..end?)?;
            start = end?;
            std::str::from_utf8(part).ok()
        });
        Scene::new(self.first(read).sort, &parts)
    }

    fn write(&mut self, sighting: &Sighting, base: Option<&Base>) {
        let Sighting { uid, kind, scene, .. } = sighting;
        let place = self.bytes.len();
        self.bytes.extend([0; 2]);
        let mut head = if sighting.clamped { CLAMPED } else { 0 };
        if let Some(base) = base {
            head |= BASE;
            self.bytes.extend(base.place.to_le_bytes());
        } else {
            let number = |place: Option<usize>| u8::try_from(place.unwrap_or_default()).unwrap_or_default();
            let kind = number(Kind::ALL.iter().position(|other| other == kind));
            let sort = number(SORTS.iter().position(|sort| *sort == scene.sort()));
            self.bytes.extend([kind, sort]);
        }
        let origin = origin(uid);
        if base.is_none_or(|base| base.origin != origin) {
            head |= ORIGIN;
            self.bytes.extend(origin.to_le_bytes());
        }
        if let Some(packed) = packed(&uid.id) {
            head |= UUID;
            self.bytes.extend(packed);
        } else {
            let id = &uid.id[..uid.id.floor_char_boundary(ID_BYTES_MAX)];
            self.number(id.len());
            self.bytes.extend(id.as_bytes());
        }
        let before = base.map_or([None; Part::COUNT], |base| base.scene.parts());
        for (bit, (part, before)) in scene.parts().into_iter().zip(before).enumerate() {
            if part != before {
                head |= 1 << bit;
                self.part(part, before.unwrap_or_default(), bit == Part::Ip as usize);
            }
        }
        self.bytes[place..place + 2].copy_from_slice(&head.to_le_bytes());
    }

    fn part(&mut self, text: Option<&str>, base: &str, may_be_address: bool) {
        let Some(text) = text else { return self.bytes.push(ABSENT) };
        let address = text.parse::<Ipv4Addr>().ok().filter(|_| may_be_address);
        if let Some(address) = address {
            self.bytes.push(ADDRESS);
            return self.bytes.extend(address.octets());
        }
        let shared = text.bytes().zip(base.bytes()).take(SHARED_MAX).take_while(|(one, other)| one == other).count();
        self.bytes.push(u8::try_from(shared).unwrap_or_default());
        let rest = &text.as_bytes()[shared..];
        match u8::try_from(rest.len()) {
            Ok(length) if length < u8::MAX => self.bytes.push(length),
            _ => {
                self.bytes.push(u8::MAX);
                self.number(rest.len());
            }
        }
        self.bytes.extend(rest);
    }

    fn number(&mut self, number: usize) {
        let number = u16::try_from(number).expect("labels and ids are shorter than 64 KiB");
        self.bytes.extend(number.to_le_bytes());
    }
}

/// Writes the text of a part, at most so many bytes of it; whether there is any. `chain` is the event, its base and
/// the base's.
fn append(chain: &[Option<Read<'_>>], place: usize, most: usize, text: &mut Vec<u8>) -> bool {
    let Some((Some(read), bases)) = chain.split_first() else { return false };
    match read.parts[place] {
        Written::Same => append(bases, place, most, text),
        Written::Absent => false,
        Written::Address(address) => {
            let start = text.len();
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b'.');
                }
                // Formatting it costs as much as all the rest of an event.
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let zeros = digits[..2].iter().take_while(|digit| **digit == 0).count();
                text.extend(digits[zeros..].iter().map(|digit| b'0' + digit));
            }
            text.truncate(text.len().min(start.saturating_add(most)));
            true
        }
        Written::Text(shared, rest) => {
            if shared > 0 {
                append(bases, place, shared.min(most), text);
            }
            text.extend(&rest[..rest.len().min(most.saturating_sub(shared))]);
            true
        }
    }
}

/// Bytes that are read from the front.
struct Reader<'e>(&'e [u8]);

impl<'e> Reader<'e> {
    fn take<const N: usize>(&mut self) -> Option<&'e [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn some(&mut self, length: usize) -> Option<&'e [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| *byte)
    }

    fn number(&mut self) -> Option<u16> {
        self.take().map(|bytes| u16::from_le_bytes(*bytes))
    }

    fn part(&mut self) -> Option<Written<'e>> {
        Some(match self.byte()? {
            ABSENT => Written::Absent,
            ADDRESS => Written::Address(Ipv4Addr::from(*self.take::<4>()?)),
            shared => {
                let length = match self.byte()? {
                    u8::MAX => usize::from(self.number()?),
                    length => usize::from(length),
                };
                Written::Text(usize::from(shared), self.some(length)?)
            }
        })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::time::Timestamp;

    fn sighting(id: &str, scene: Scene) -> Sighting {
        let uid = Uid { origin: "account".to_owned(), id: id.to_owned() };
        Sighting {
            uid,
            time: Timestamp::default(),
            clamped: false,
            kind: Kind::GithubAudit,
            scene,
            findings: Vec::new(),
        }
    }

    fn scene(name: &str) -> Scene {
        let some = Some;
        let parts =
            [None, some(name), some("192.0.2.7"), None, None, some(name), some("a"), None, None, some("Denied")];
        Scene::new(ActorSort::App, &parts)
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

    fn any_scene() -> impl Strategy<Value = Scene> {
        let text = prop_oneof![
            select(vec!["10.0.0.1", "10.0.0.300", "arn:aws:iam::1:user/a", "arn:aws:iam::1:user/ab", "käse", "kä", ""])
                .prop_map(str::to_owned),
            "[aä]{0,300}",
        ];
        let parts = proptest::collection::vec(proptest::option::of(text), Part::COUNT);
        (parts, select(SORTS.to_vec()))
            .prop_map(|(parts, sort)| Scene::new(sort, &std::array::from_fn(|place| parts[place].as_deref())))
    }

    proptest! {
        #[test]
        fn every_event_is_read_back_whatever_it_was_written_against(
            events in proptest::collection::vec((any_scene(), "[a-f0-9]{0,3}", select(vec!["1", "2"])), 1..30),
        ) {
            let mut evidence = Evidence::default();
            let mut kept = Vec::new();
            for (scene, id, origin) in &events {
                let uid = Uid { origin: (*origin).to_owned(), id: id.clone() };
                let sighting = Sighting { uid: uid.clone(), ..sighting("", scene.clone()) };
                kept.push((evidence.keep(&sighting), uid, scene));
            }
            for (handle, uid, scene) in kept {
                prop_assert!(evidence.is(handle, &uid));
                prop_assert_eq!(evidence.scene(handle), (Kind::GithubAudit, scene.clone()));
            }
        }
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
