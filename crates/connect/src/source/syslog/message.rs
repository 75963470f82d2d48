//! What a message becomes: the JSON that it carries, or an envelope with its parts.

use std::net::IpAddr;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use engine::normalise::carried;
use engine::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use syslog_loose::{Message, Protocol, StructuredElement, Variant, parse_message_with_year_exact_tz};

use super::zone::{Zone, year};

/// Says that JSON follows, as rsyslog writes it, or Vault with such a `prefix`.
const COOKIE: &str = "@cee:";

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    /// When it came.
    pub(super) now: Timestamp,
    /// In which zone its time is, if that has none.
    pub(super) zone: Zone,
    /// Who sent it, or passed it on; nobody over a socket of this machine.
    pub(super) peer: Option<IpAddr>,
}

/// A message without JSON in it.
#[derive(Serialize)]
struct Envelope<'a> {
    /// The message's own, else when it came.
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    procid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msgid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    structured_data: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    message: &'a str,
}

/// The record that a message is. Whatever its bytes are, there is one: nothing is left out in silence.
pub(super) fn record(bytes: &Bytes, receipt: Receipt) -> Bytes {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(['\u{feff}', '\0', ' ', '\r', '\n']);
    // No syslog at all, as Vault's socket device writes. What is not JSON after all is refused further in.
    if let Some(json) = json(text) {
        return match std::str::from_utf8(bytes) {
            Ok(_) => bytes.slice_ref(json.as_bytes()),
            Err(_) => Bytes::copy_from_slice(bytes.trim_ascii()),
        };
    }
    let now = receipt.zone.local(moment(receipt.now));
    let parsed = parse_message_with_year_exact_tz(text, |date| year(date, now), Some(Utc), Variant::Either);
    let Ok(mut message) = parsed else { return plain(text, receipt) };
    repair(&mut message, text);
    let time = message.timestamp.map_or(receipt.now, |time| {
        let is_without_zone = message.protocol == Protocol::RFC3164 && is_dated_by_name(text);
        let time = if is_without_zone { receipt.zone.moment(time.naive_utc()) } else { time.to_utc() };
        Timestamp::from_micros(time.timestamp_micros())
    });
    if let Some(json) = json(message.msg).filter(|json| serde_json::from_str::<&RawValue>(json).is_ok()) {
        return carried(time, json.as_bytes()).into();
    }
    let envelope = Envelope {
        time: time.to_string(),
        host: message.hostname,
        app: message.appname,
        procid: message.procid.as_ref().map(ToString::to_string),
        msgid: message.msgid,
        facility: message.facility.map(syslog_loose::SyslogFacility::as_str),
        severity: message.severity.map(syslog_loose::SyslogSeverity::as_str),
        structured_data: structured(&message.structured_data),
        peer: receipt.peer.map(|peer| peer.to_string()),
        message: message.msg.trim_start_matches('\u{feff}'),
    };
    written(&envelope)
}

/// A text that has no header, or none that can be read: RFC 3164 asks receivers to take it all the same.
fn plain(text: &str, receipt: Receipt) -> Bytes {
    let priority = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let priority = priority.and_then(|(digits, rest)| Some((digits.parse::<u8>().ok().filter(|it| *it < 192)?, rest)));
    let (facility, severity) = priority.map_or((None, None), |(number, _)| syslog_loose::decompose_pri(number));
    let message = priority.map_or(text, |(_, rest)| rest.trim_start());
    if let Some(json) = json(message).filter(|json| serde_json::from_str::<&RawValue>(json).is_ok()) {
        return carried(receipt.now, json.as_bytes()).into();
    }
    written(&Envelope {
        time: receipt.now.to_string(),
        host: None,
        app: None,
        procid: None,
        msgid: None,
        facility: facility.map(syslog_loose::SyslogFacility::as_str),
        severity: severity.map(syslog_loose::SyslogSeverity::as_str),
        structured_data: Map::new(),
        peer: receipt.peer.map(|peer| peer.to_string()),
        message,
    })
}

fn written(envelope: &Envelope<'_>) -> Bytes {
    serde_json::to_vec(envelope).expect("texts and maps with names of text are JSON").into()
}

/// What begins as a JSON object does, behind what may stand in front of it.
fn json(text: &str) -> Option<&str> {
    let text = text.trim_start_matches('\u{feff}');
    let text = text.strip_prefix(COOKIE).map_or(text, str::trim_start);
    text.starts_with('{').then_some(text)
}

/// Where a header of RFC 3164 has no tag, the first word of the message is read as one: that tears JSON apart.
fn repair<'a>(message: &mut Message<&'a str>, text: &'a str) {
    let Some(app) = message.appname.filter(|_| message.protocol == Protocol::RFC3164) else { return };
    if app.starts_with('{') || app == COOKIE.trim_end_matches(':') {
        let start = app.as_ptr() as usize - text.as_ptr() as usize;
        (message.msg, message.appname) = (&text[start..], None);
    }
}

/// Whether the time in the header is `Nov 20 09:14:03`, and no RFC 3339.
fn is_dated_by_name(text: &str) -> bool {
    let header = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(text, |(_, rest)| rest);
    header.trim_start().starts_with(|letter: char| letter.is_ascii_alphabetic())
}

/// Elements by their names, and of each its parameters; what comes twice is a list.
fn structured(elements: &[StructuredElement<&str>]) -> Map<String, Value> {
    let mut all = Map::new();
    for element in elements {
        let mut parameters = Map::new();
        for (name, value) in element.params() {
            put(&mut parameters, name, Value::String(value));
        }
        put(&mut all, element.id, Value::Object(parameters));
    }
    all
}

fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    match map.get_mut(name) {
        None => drop(map.insert(name.to_owned(), value)),
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn moment(time: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.micros()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], zone: Zone) -> String {
        let now = "2026-11-20T09:14:05Z".parse().unwrap();
        let receipt = Receipt { now, zone, peer: Some([192, 0, 2, 7].into()) };
        String::from_utf8(record(&Bytes::copy_from_slice(text), receipt).to_vec()).unwrap()
    }

    fn seen(text: &str) -> String {
        read(text.as_bytes(), Zone::default())
    }

    #[test]
    fn a_message_of_rfc_5424_becomes_its_parts() {
        let text = "<165>1 2026-11-20T09:14:03.003Z web-1 shop 8710 ID47 \
             [origin ip=\"192.0.2.1\" ip=\"192.0.2.2\" note=\"a \\\"b\\\" \\]\"][meta@32473] \u{feff}user ana signed in";
        assert_eq!(
            seen(text),
            r#"{"time":"2026-11-20T09:14:03.003000Z","host":"web-1","app":"shop","procid":"8710","msgid":"ID47","#
                .to_owned()
                + r#""facility":"local4","severity":"notice","structured_data":{"meta@32473":{},"#
                + r#""origin":{"ip":["192.0.2.1","192.0.2.2"],"note":"a \"b\" ]"}},"peer":"192.0.2.7","#
                + r#""message":"user ana signed in"}"#
        );
        let bare = seen("<13>1 - - - - - - hello");
        assert!(bare.starts_with(r#"{"time":"2026-11-20T09:14:05.000000Z","facility":"user""#), "{bare}");
    }

    #[test]
    fn a_time_of_rfc_3164_gets_its_year_from_our_clock_and_its_zone_from_the_setting() {
        let berlin = Zone::Fixed("+01:00".parse().unwrap());
        for (text, zone, time, reason) in [
            ("<34>Nov 20 09:14:03 web-1 su: no", Zone::default(), "2026-11-20T09:14:03.000000Z", "in UTC"),
            ("<34>Nov 20 10:14:03 web-1 su: no", berlin, "2026-11-20T09:14:03.000000Z", "in the zone"),
            ("<34>Dec 31 23:59:59 web-1 su: no", Zone::default(), "2025-12-31T23:59:59.000000Z", "of last year"),
            (
                "<34>Nov 20 2026 10:14:03 web-1 su: no",
                berlin,
                "2026-11-20T09:14:03.000000Z",
                "with a year, in the zone",
            ),
            (
                "<34>2026-11-20T10:14:03+01:00 web-1 su: no",
                berlin,
                "2026-11-20T09:14:03.000000Z",
                "as rsyslog writes it",
            ),
            ("<34>2026-11-20T09:14:03Z web-1 su: no", berlin, "2026-11-20T09:14:03.000000Z", "which names its zone"),
            ("<34>1 2026-11-20T09:14:03Z web-1 su - - - no", berlin, "2026-11-20T09:14:03.000000Z", "as RFC 5424 does"),
            ("<34>su: no", berlin, "2026-11-20T09:14:05.000000Z", "without any: when it came"),
            ("no header", berlin, "2026-11-20T09:14:05.000000Z", "no syslog at all"),
            ("<34>1 2026-13-45T09:14:03Z web-1 su - - - no", berlin, "2026-11-20T09:14:05.000000Z", "no date"),
        ] {
            let record: Value = serde_json::from_str(&read(text.as_bytes(), zone)).unwrap();
            assert_eq!(record["time"], time, "{reason}: {record}");
        }
    }

    #[test]
    fn hosts_and_tags_of_rfc_3164_are_found_where_senders_leave_some_out() {
        for (text, host, app, procid, message) in [
            ("<34>Nov 20 09:14:03 web-1 su[7]: no", "web-1", "su", "7", "no"),
            ("<34>Nov 20 09:14:03 su[7]: no", "", "su", "7", "no"),
            ("<34>Nov  2 09:14:03 web-1 su: no", "web-1", "su", "", "no"),
            ("<34>su: no", "", "", "", "su: no"),
            ("<999>su: no", "", "", "", "<999>su: no"),
        ] {
            let record: Value = serde_json::from_str(&seen(text)).unwrap();
            let said = ["host", "app", "procid", "message"].map(|name| record[name].as_str().unwrap_or_default());
            assert_eq!(said, [host, app, procid, message], "{text}");
        }
    }

    #[test]
    fn json_in_a_message_is_the_record_and_keeps_its_text() {
        let carried = r#"{"carried":{"time":"2026-11-20T09:14:03.000000Z"},"record":{"type": "request", "b":[1,2]}}"#;
        for text in [
            r#"<38>1 2026-11-20T09:14:03Z web-1 vault 7 - - {"type": "request", "b":[1,2]}"#,
            "<38>1 2026-11-20T09:14:03Z web-1 vault 7 - - \u{feff}{\"type\": \"request\", \"b\":[1,2]}",
            r#"<38>1 2026-11-20T09:14:03Z web-1 vault 7 - - @cee: {"type": "request", "b":[1,2]}"#,
            r#"<38>Nov 20 09:14:03 vault[7]: {"type": "request", "b":[1,2]}"#,
            r#"<38>Nov 20 09:14:03 web-1 vault: @cee:{"type": "request", "b":[1,2]}"#,
            r#"<38>Nov 20 09:14:03 web-1 {"type": "request", "b":[1,2]}"#,
            r#"<38>Nov 20 09:14:03 web-1 @cee: {"type": "request", "b":[1,2]}"#,
        ] {
            assert_eq!(seen(text), carried, "{text}");
        }
        for text in [r#"{"type": "request"}"#, r#"@cee: {"type": "request"}"#, "\u{feff}{\"type\": \"request\"}\0"] {
            assert_eq!(seen(text), r#"{"type": "request"}"#, "as it came: {text:?}");
        }
        let torn: Value = serde_json::from_str(&seen(r#"<38>Nov 20 09:14:03 web-1 vault: {"type": "requ"#)).unwrap();
        assert_eq!(torn["message"], r#"{"type": "requ"#, "what is no JSON after all is text");
    }

    #[test]
    fn no_bytes_make_it_fail_or_say_nothing() {
        let mut seed = 7_u64;
        let begins: [&[u8]; 5] = [b"<34>Nov 20 09:14:03 ", b"<34>1 2026-11-20T09:14:03Z ", b"<", b"{", b""];
        for round in 0..20_000_usize {
            let mut text = begins[round % begins.len()].to_vec();
            for _ in 0..round % 40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let choice = b"<>[]{}\"\\= :-@1aZ\n\0\xff\xc3\xa9";
                text.push(choice[(seed >> 33) as usize % choice.len()]);
            }
            let now = Timestamp::from_millis(1_795_000_000_000);
            let record = record(&text.clone().into(), Receipt { now, zone: Zone::Local, peer: None });
            assert!(!record.is_empty() || text.trim_ascii().is_empty(), "{}", text.escape_ascii());
        }
    }
}
