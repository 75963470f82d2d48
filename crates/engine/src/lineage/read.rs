//! Members of a record, borrowed: what traces are read from.

use chrono::NaiveDateTime;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::trace::Mark;
use crate::event::Event;
use crate::time::Timestamp;

/// The value at the end of a path such as `actor.id`; of a list on the way the first element counts.
pub(super) fn value<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(record, |value, name| {
        let next = value.get(name)?;
        next.as_array().map_or(Some(next), |list| list.first())
    })
}

/// The text there; nothing if it is empty or no text.
pub(super) fn text<'a>(record: &'a Value, path: &str) -> Option<&'a str> {
    value(record, path)?.as_str().filter(|text| !text.is_empty())
}

/// The same of its own, and a number as it is written: vendors write ids both ways.
pub(super) fn owned(record: &Value, path: &str) -> Option<String> {
    crate::field::scalar_text(value(record, path)?).filter(|text| !text.is_empty())
}

/// The first of these that is there.
pub(super) fn any(record: &Value, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| owned(record, path))
}

/// A time as RFC 3339, or as CloudTrail writes those of credentials: `Nov 20, 2026, 10:14:03 AM`, with or without the
/// second comma, and lately with a narrow space before the half of the day.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let plain = text.replace(['\u{202f}', '\u{a0}'], " ");
    let read = |form| NaiveDateTime::parse_from_str(&plain, form).ok();
    let found = read("%b %d, %Y, %I:%M:%S %p").or_else(|| read("%b %d, %Y %I:%M:%S %p"));
    found.or_else(|| read("%Y%m%dT%H%M%SZ")).map(|time| Timestamp::from_micros(time.and_utc().timestamp_micros()))
}

/// Where a trace was seen.
pub(super) fn mark(event: &Event, action: &str, network: Option<&str>, failed: bool) -> Mark {
    Mark {
        time: event.time,
        uid: event.uid.clone(),
        action: action.to_owned(),
        network: network.map(str::to_owned),
        failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_credentials_are_read_in_every_spelling() {
        for written in [
            "2026-11-20T10:14:03Z",
            "Nov 20, 2026, 10:14:03 AM",
            "Nov 20, 2026 10:14:03 AM",
            "Nov 20, 2026, 10:14:03\u{202f}AM",
            "20261120T101403Z",
        ] {
            assert_eq!(time(written).map(|time| time.to_string()).as_deref(), Some("2026-11-20T10:14:03.000000Z"));
        }
        assert_eq!(time("soon"), None);
    }
}
