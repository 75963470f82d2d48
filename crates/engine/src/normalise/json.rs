//! Any JSON object that says when it happened.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::glance::Look;
use super::kind::Reading;
use super::{DEPTH_CEILING, Kind, Piece, Refusal, RejectReason, by_position, moment, scan, text};
use crate::event::{Event, Uid};
use crate::time::Timestamp;

pub(super) static READING: Reading = Reading {
    addresses: &["source.ip", "client.ip", "src_endpoint.ip", "sourceIPAddress"],
    glance: Some(Look::Plain),
    ..Reading::PLAIN
};

/// Where the time is looked for; the first that can be read counts.
pub(super) const TIMES: [&str; 7] =
    ["@timestamp", "timestamp", "time", "eventTime", "created_at", "published", "requestReceivedTimestamp"];

/// Where the id of the event is looked for; the first non-empty string counts. Not in `id` or `uid`: those are as
/// often the id of what the event is about, and its second event would be taken for a repeat of the first.
const IDS: [&str; 3] = ["event_id", "eventID", "uuid"];

/// Whether an object says when it happened, so that it can be read, in any of the members that are looked at for that; also
/// if it is no object, as nobody can help that.
#[must_use]
pub fn says_time(object: &[u8]) -> bool {
    // What skips a value recurses.
    if scan::check(object, DEPTH_CEILING).is_err() {
        return true;
    }
    let is_time = |value: &str| sonic_rs::from_str(value).ok().and_then(|value| moment::read(&value)).is_some();
    // Lazily: no other value is looked into.
    sonic_rs::to_object_iter(object)
        .any(|member| member.map_or(true, |(name, value)| TIMES.contains(&&*name) && is_time(value.as_raw_str())))
}

/// An object with the time at which its carrier says that it happened, in the member that shippers use for that.
#[must_use]
pub fn with_time(object: &[u8], time: Timestamp) -> Vec<u8> {
    let object = object.trim_ascii();
    let Some(members) = object.strip_prefix(b"{").map(<[u8]>::trim_ascii_start) else { return object.to_vec() };
    let comma = if members.starts_with(b"}") { "" } else { "," };
    [format!("{{\"{}\":\"{time}\"{comma}", TIMES[0]).as_bytes(), members].concat()
}

/// What the envelopes of EventBridge and CloudEvents have.
pub(super) const WRAPPERS: [&str; 2] = ["detail-type", "specversion"];

/// What identity is read from: [`WRAPPERS`], then [`IDS`].
pub(super) const IDENTITY: [&str; 5] = [WRAPPERS[0], WRAPPERS[1], IDS[0], IDS[1], IDS[2]];

/// The event of a plain record.
pub(super) fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let document = &piece.document;
    let envelope = Envelope::of(document);
    let time = envelope.times.into_iter().flatten().find_map(moment::read).or(piece.time).ok_or_else(|| {
        Refusal::new(RejectReason::Time, format!("no readable time of 1970 to 2200 in any of {}", TIMES.join(", ")))
    })?;
    let uid = envelope.identity(document, time).unwrap_or_else(|| by_position(piece.position));
    Ok(Event { uid, time, kind: Kind::Json, raw: document.clone() })
}

/// What makes a record an event, found in one pass over its members: of names asked for one by one most are in
/// no record, and each would cost a pass.
#[derive(Default)]
struct Envelope<'a> {
    /// In the order of [`TIMES`].
    times: [Option<&'a Value>; TIMES.len()],
    /// In the order of [`IDS`].
    ids: [Option<&'a Value>; IDS.len()],
    /// Whether it is of EventBridge or CloudEvents.
    wrapped: bool,
}

impl<'a> Envelope<'a> {
    fn of(document: &'a Value) -> Self {
        let mut envelope = Self::default();
        let Some(members) = document.as_object() else { return envelope };
        for (name, value) in members {
            if let Some(place) = TIMES.iter().position(|known| *known == name) {
                envelope.times[place].get_or_insert(value);
            }
            if let Some(place) = IDS.iter().position(|known| *known == name) {
                envelope.ids[place].get_or_insert(value);
            }
            envelope.wrapped |= WRAPPERS.contains(&name);
        }
        envelope
    }

    /// What says "this event", and not "what it is about"; nothing if the record does not.
    fn identity(&self, document: &Value, time: Timestamp) -> Option<Uid> {
        // In those envelopes `id` is the event's, unique within `source`.
        if self.wrapped
            && WRAPPERS.iter().any(|name| text(document, name).is_some())
            && let (Some(source), Some(id)) = (text(document, "source"), text(document, "id"))
        {
            return Some(Uid { origin: format!("json {source}"), id: id.to_owned() });
        }
        let id = |value: &Option<&'a Value>| value.and_then(|value| value.as_str()).filter(|id| !id.is_empty());
        let (name, id) = IDS.iter().zip(&self.ids).find_map(|(name, value)| Some((name, id(value)?)))?;
        Some(uid(name, id, time))
    }
}

/// The identity of a record by one of its [`IDS`]. Nobody says who made it, so the time stands in: a member that names
/// the sort of event, not the event, then makes duplicates of nothing but the same sort in the same microsecond.
pub(super) fn uid(name: &str, id: &str, time: Timestamp) -> Uid {
    Uid { origin: format!("json {name} {time}"), id: id.to_owned() }
}
