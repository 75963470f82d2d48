//! From the bytes of a segment back to an event. They may come from disk, so nothing is taken for granted.

use std::net::Ipv4Addr;

use super::segment::{ABSENT, ADDRESS, BASE, CLAMPED, ORIGIN, SORTS, Segment, UUID};
use super::write::Base;
use crate::alert::{Part, Parts, Scene};
use crate::detect::uuid::unpacked;
use crate::event::{ActorSort, Kind};

/// An event as it stands there.
#[derive(Clone, Copy)]
pub(super) struct Read<'e> {
    head: u16,
    base: Option<u16>,
    /// Of an event without a base.
    pub(super) kind: Kind,
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

impl Read<'_> {
    /// Whether its time is not what it says itself.
    pub(super) fn is_clamped(&self) -> bool {
        self.head & CLAMPED != 0
    }

    /// Shows its id.
    pub(super) fn with_id<T>(&self, see: impl FnOnce(&str) -> T) -> T {
        if self.head & UUID != 0 {
            return see(std::str::from_utf8(&unpacked(self.id)).unwrap_or_default());
        }
        see(std::str::from_utf8(self.id).unwrap_or_default())
    }
}

impl Segment {
    /// The event at this place; nothing if none begins there.
    pub(super) fn read(&self, place: u16) -> Option<Read<'_>> {
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

    pub(super) fn base_at(&self, place: u16) -> Option<Base> {
        let read = self.read(place)?;
        Some(Base { place, origin: self.origin(&read), scene: self.scene(&read) })
    }

    fn base<'e>(&'e self, read: &Read<'e>) -> Option<Read<'e>> {
        self.read(read.base?)
    }

    /// The one at the bottom, which says what all above it have in common.
    pub(super) fn first<'e>(&'e self, read: &Read<'e>) -> Read<'e> {
        self.base(read).map_or(*read, |base| self.first(&base))
    }

    pub(super) fn origin(&self, read: &Read<'_>) -> u32 {
        read.origin.or_else(|| Some(self.origin(&self.base(read)?))).unwrap_or_default()
    }

    pub(super) fn scene(&self, read: &Read<'_>) -> Scene {
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
