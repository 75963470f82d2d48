//! From an event to the bytes of a segment: against which other one, and what differs.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::origin;
use super::segment::{ABSENT, ADDRESS, BASE, CLAMPED, ORIGIN, SHARED_MAX, SORTS, Segment, UUID};
use crate::alert::{Part, Scene};
use crate::detect::Sighting;
use crate::detect::uuid::packed;
use crate::event::Kind;
use crate::hash::Seed;

/// Ids are labels, which are shorter.
const ID_BYTES_MAX: usize = 3 << 10;

/// An event that others are written against.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) place: u16,
    pub(super) origin: u32,
    pub(super) scene: Scene,
}

/// An event that this one, which will stand at `place`, can be written against; this one becomes a base for the next
/// if there was none as near. So a base of a base has none. Hashes are keyed and of 64 bits: two that are not alike do
/// not meet.
pub(super) fn base_of(sighting: &Sighting, place: u16, bases: &mut HashMap<u64, u16, Seed>) -> Option<u16> {
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

impl Segment {
    /// Writes an event behind the others, against this one if there is any.
    pub(super) fn write(&mut self, sighting: &Sighting, base: Option<&Base>) {
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
