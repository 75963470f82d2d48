//! What a road says of a record that it carries, where the record is a vendor's and must stay as it is: the header of a
//! message of syslog, the frame of OTLP.

use sonic_rs::{JsonValueTrait, Value};

use super::moment;
use super::wrapper::Inner;
use crate::time::Timestamp;

/// Puts a record that came by such a road into the one document that [`normalise`](super::normalise) takes.
///
/// `time` becomes the event's time where the record has none of its own. `record` is the text of a JSON object: whoever
/// calls this has looked.
#[must_use]
pub fn carried(time: Timestamp, record: &[u8]) -> Vec<u8> {
    let head = format!("{{\"carried\":{{\"time\":\"{time}\"}},\"record\":");
    [head.as_bytes(), record, b"}"].concat()
}

/// The record inside, and what is said of its time.
pub(super) fn open(document: &Value) -> Option<Inner<'_>> {
    let said = document.get("carried").filter(|said| said.is_object())?;
    let record = document.get("record").filter(|record| record.is_object())?;
    Some(Inner::One { record, time: said.get("time").and_then(moment::read) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use crate::normalise::{Format, Limits, normalise};

    fn event(format: Format, record: &str) -> (Kind, String, String) {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        let time = "2026-11-20T09:14:03Z".parse().unwrap();
        let body = carried(time, record.as_bytes());
        normalise(format, &body, "s:1", &Limits::default(), &mut events, &mut rejects);
        assert_eq!(rejects, [], "{record}");
        let event = events.pop().expect("one event");
        (event.kind, event.time.to_string(), sonic_rs::to_string(&event.raw).unwrap())
    }

    #[test]
    fn a_record_stays_as_it_is_and_its_own_time_counts_before_that_of_the_road() {
        for (format, record, kind, time) in [
            (Format::Auto, r#"{"user":"ana"}"#, Kind::Json, "2026-11-20T09:14:03.000000Z"),
            (
                Format::Known(Kind::Json),
                r#"{"time":"2026-11-20T09:00:00Z"}"#,
                Kind::Json,
                "2026-11-20T09:00:00.000000Z",
            ),
            (
                Format::Known(Kind::VaultAudit),
                r#"{"type":"request","request":{"operation":"read"}}"#,
                Kind::VaultAudit,
                "2026-11-20T09:14:03.000000Z",
            ),
            (
                Format::Auto,
                r#"{"eventVersion":"1.11","eventSource":"s3","eventName":"X","eventTime":"2026-11-20T09:01:00Z"}"#,
                Kind::AwsCloudtrail,
                "2026-11-20T09:01:00.000000Z",
            ),
        ] {
            assert_eq!(event(format, record), (kind, time.to_owned(), record.to_owned()));
        }
    }
}
