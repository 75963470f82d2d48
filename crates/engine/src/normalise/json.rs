//! Any JSON object that says when it happened.

use sonic_rs::{JsonValueTrait, Value};

use super::{Piece, Refusal, RejectReason, by_position, moment, text};
use crate::event::{Event, Facets, Kind, Uid};
use crate::time::Timestamp;

/// Where the time is looked for; the first that can be read counts.
const TIMES: [&str; 7] =
    ["@timestamp", "timestamp", "time", "eventTime", "created_at", "published", "requestReceivedTimestamp"];

/// Where the id of the event is looked for; the first non-empty string counts. Not in `id` or `uid`: those are as
/// often the id of what the event is about, and its second event would be taken for a repeat of the first.
const IDS: [&str; 3] = ["event_id", "eventID", "uuid"];

/// The event of a plain record.
pub(super) fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let document = &piece.document;
    let time = TIMES.iter().find_map(|name| moment::read(document.get(name)?)).or(piece.time).ok_or_else(|| {
        Refusal::new(RejectReason::Time, format!("no readable time of 1970 to 2200 in any of {}", TIMES.join(", ")))
    })?;
    let uid = identity(document, time).unwrap_or_else(|| by_position(piece.position));
    Ok(Event { uid, time, kind: Kind::Json, raw: document.clone() })
}

/// What says "this event", and not "what it is about"; nothing if the record does not.
fn identity(document: &Value, time: Timestamp) -> Option<Uid> {
    // In the envelopes of EventBridge and CloudEvents `id` is the event's, unique within `source`.
    if ["detail-type", "specversion"].iter().any(|name| text(document, name).is_some())
        && let (Some(source), Some(id)) = (text(document, "source"), text(document, "id"))
    {
        return Some(Uid { origin: format!("json {source}"), id: id.to_owned() });
    }
    // Nobody says who made the record, so the time stands in: a member that names the sort of event, not the
    // event, then makes duplicates of nothing but the same sort in the same microsecond.
    let (name, id) = IDS.iter().find_map(|name| Some((name, text(document, name)?)))?;
    Some(Uid { origin: format!("json {name} {time}"), id: id.to_owned() })
}

/// Nothing is known about the fields of such a record, so nothing is claimed.
pub(super) fn facets(_document: &Value) -> Facets {
    Facets::default()
}
