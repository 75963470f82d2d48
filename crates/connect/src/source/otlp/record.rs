//! What a log record becomes: the vendor's record that it carries, or an envelope with its parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::normalise::carried;
use engine::time::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What is said of all records of one resource and scope.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The attributes of the resource. They are read once, however many scopes and records it has.
    pub(super) resource: &'a Map<String, Value>,
    /// The name of the scope.
    pub(super) scope: &'a str,
}

/// A record that carries no vendor's.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    severity: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    event_name: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    resource: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    trace_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    span_id: String,
    message: Value,
}

/// The record of a log record. An object in its body, as a map or as text, is a vendor's; all else is told by its parts.
pub(super) fn record(log: LogRecord, around: Around<'_>) -> Bytes {
    // The time of the event, else that at which it was seen.
    let nanoseconds = [log.time_unix_nano, log.observed_time_unix_nano].into_iter().find(|time| *time > 0);
    let time = nanoseconds.map(|time| Timestamp::from_micros((time / 1_000).cast_signed()));
    let vendors = |object: &[u8]| match time {
        Some(time) => Bytes::from(carried(time, object)),
        None => Bytes::copy_from_slice(object),
    };
    let message = match log.body.and_then(|body| body.value) {
        Some(Any::StringValue(text)) if is_object(&text) => return vendors(text.trim().as_bytes()),
        Some(Any::KvlistValue(list)) => return vendors(Value::Object(map(list.values)).to_string().as_bytes()),
        body => any(AnyValue { value: body }),
    };
    let envelope = Envelope {
        time: time.map(|time| time.to_string()),
        severity: if log.severity_text.is_empty() { severity(log.severity_number) } else { &log.severity_text },
        event_name: &log.event_name,
        attributes: map(log.attributes),
        resource: around.resource,
        scope: around.scope,
        trace_id: hex(&log.trace_id),
        span_id: hex(&log.span_id),
        message,
    };
    serde_json::to_vec(&envelope).expect("texts and maps with names of text are JSON").into()
}

/// A message of OTLP in JSON. Absent ones are empty.
///
/// # Errors
/// When it is another message, or none.
pub(super) fn read<M: DeserializeOwned + Default>(json: Option<Value>) -> serde_json::Result<M> {
    let Some(mut json) = json else { return Ok(M::default()) };
    mend(&mut json);
    serde_json::from_value(json)
}

/// What protobuf's JSON may leave out or write otherwise than the reader of these messages takes it. A value is never
/// deeper than the reader of JSON goes.
fn mend(json: &mut Value) {
    match json {
        Value::Array(list) => list.iter_mut().for_each(mend),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for name in ["traceId", "spanId"] {
                let is_hex =
                    |text: &str| text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if members.get(name).is_some_and(|id| !id.as_str().is_some_and(is_hex)) {
                    members.remove(name);
                }
            }
            for name in ["arrayValue", "kvlistValue"] {
                if let Some(Value::Object(list)) = members.get_mut(name) {
                    list.entry("values").or_insert_with(|| Value::Array(Vec::new()));
                }
            }
            members.values_mut().for_each(mend);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Attributes by their names; of one that comes twice the last counts.
pub(super) fn map(list: Vec<KeyValue>) -> Map<String, Value> {
    list.into_iter().map(|KeyValue { key, value, .. }| (key, value.map_or(Value::Null, any))).collect()
}

/// Never deeper than the readers of messages go.
fn any(value: AnyValue) -> Value {
    match value.value {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(is)) => Value::Bool(is),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => double(number),
        Some(Any::ArrayValue(list)) => list.values.into_iter().map(any).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(map(list.values)),
        Some(Any::BytesValue(bytes)) => Value::String(STANDARD.encode(bytes)),
    }
}

/// The collector's parser of JSON makes a double of every number: a whole one is written as its vendor did.
fn double(number: f64) -> Value {
    /// All whole numbers up to here are doubles.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53")]
        let whole = number as i64;
        return whole.into();
    }
    serde_json::Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

/// The name of a range of severities.
fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(log: LogRecord) -> String {
        let resource = KeyValue { key: "host.name".to_owned(), value: text("web-1"), ..KeyValue::default() };
        let resource = map(vec![resource]);
        String::from_utf8(record(log, Around { resource: &resource, scope: "" }).to_vec()).unwrap()
    }

    fn text(text: &str) -> Option<AnyValue> {
        Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) })
    }

    #[test]
    fn an_object_in_the_body_is_the_vendors_record() {
        let (time, carried) =
            (1_795_166_043_000_000_999, r#"{"carried":{"time":"2026-11-20T09:14:03.000000Z"},"record":"#);
        let as_text = LogRecord { time_unix_nano: time, body: text(" {\"b\": 1.50}\n"), ..LogRecord::default() };
        assert_eq!(seen(as_text), format!(r#"{carried}{{"b": 1.50}}}}"#), "its text stays as it is");
        let number = |number: f64| Some(AnyValue { value: Some(Any::DoubleValue(number)) });
        let list = [("port", number(443.0)), ("share", number(0.5)), ("odd", number(f64::NAN)), ("user", text("ana"))];
        let values = list.map(|(key, value)| KeyValue { key: key.to_owned(), value, ..KeyValue::default() }).into();
        let list = opentelemetry_proto::tonic::common::v1::KeyValueList { values };
        let body = Some(AnyValue { value: Some(Any::KvlistValue(list)) });
        let as_map = LogRecord { observed_time_unix_nano: time, body, ..LogRecord::default() };
        let record = r#"{"odd":"NaN","port":443,"share":0.5,"user":"ana"}"#;
        assert_eq!(seen(as_map.clone()), format!("{carried}{record}}}"));
        assert_eq!(seen(LogRecord { observed_time_unix_nano: 0, ..as_map }), record, "nobody says when");
    }

    #[test]
    fn any_other_body_is_told_with_its_surroundings() {
        let log = LogRecord { severity_number: 18, body: text("{no object"), ..LogRecord::default() };
        assert_eq!(seen(log), r#"{"severity":"ERROR","resource":{"host.name":"web-1"},"message":"{no object"}"#);
    }
}
