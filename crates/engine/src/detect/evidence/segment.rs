//! A piece of memory with some events one behind the other, and what their bytes mean.
//!
//! An event is two bytes that say what follows, its base or its log and sort of actor, its origin unless that is the
//! base's, its id, and those parts of its scene that are not the base's.

use serde::{Deserialize, Serialize};

use crate::event::ActorSort;

/// Some events, one behind the other.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    /// How many window entries refer to events in here.
    pub(super) references: u32,
}

/// What the first two bytes of an event say besides which parts of its scene are written.
pub(super) const BASE: u16 = 1 << 15;
pub(super) const UUID: u16 = 1 << 14;
pub(super) const ORIGIN: u16 = 1 << 13;
pub(super) const CLAMPED: u16 = 1 << 12;

/// In place of the number of bytes that a text shares with the base's.
pub(super) const ABSENT: u8 = 0xff;
pub(super) const ADDRESS: u8 = 0xfe;
pub(super) const SHARED_MAX: usize = 0xf0;

/// In the order of their numbers in a saved segment.
pub(super) const SORTS: [ActorSort; 5] =
    [ActorSort::Unknown, ActorSort::Human, ActorSort::Role, ActorSort::Service, ActorSort::App];
