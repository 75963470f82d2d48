//! Any JSON object that says when it happened.

use sonic_rs::{JsonValueTrait, Value};

use super::{Piece, Refusal, RejectReason, by_position, moment, text};
use crate::event::{Event, Facets, Kind, Uid};

/// Where the time is looked for; the first that can be read counts.
const TIMES: [&str; 7] =
    ["@timestamp", "timestamp", "time", "eventTime", "created_at", "published", "requestReceivedTimestamp"];

/// Where the id is looked for; the first non-empty string counts.
const IDS: [&str; 5] = ["id", "uid", "event_id", "eventID", "uuid"];

/// The event of a plain record.
pub(super) fn event(piece: &Piece) -> Result<Event, Refusal> {
    let document = &piece.document;
    let time =
        TIMES.iter().find_map(|name| moment::read(document.get(name)?)).or(piece.time).ok_or_else(|| {
            Refusal::new(RejectReason::Time, format!("no readable time of 1970 to 2200 in any of {}", TIMES.join(", ")))
        })?;
    let uid = match IDS.iter().find_map(|name| text(document, name)) {
        Some(id) => Uid { origin: String::new(), id: id.to_owned() },
        None => by_position(&piece.position),
    };
    Ok(Event { uid, time, kind: Kind::Json, raw: document.clone() })
}

/// Nothing is known about the fields of such a record, so nothing is claimed.
pub(super) fn facets(_document: &Value) -> Facets {
    Facets::default()
}
