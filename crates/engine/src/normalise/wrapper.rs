//! What records travel in: documents of many, CloudWatch Logs, EventBridge.
//!
//! Opened for CloudTrail and for `auto`, which then recognises what was inside; every other declared kind is
//! taken as it is, except that a JSON array always holds one record an element.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::{Format, Limits, Piece, Refusal, Reject, json_of, moment, parse, text};
use crate::event::Kind;

/// Wrappers inside each other that occur: array, subscription payload, EventBridge envelope, record.
const NESTING_MAX: usize = 4;

/// Hands every record inside to `take`; a part that cannot be opened is a reject of its own.
pub(super) fn open(format: Format, piece: Piece, limits: &Limits, take: &mut dyn FnMut(Result<Piece, Reject>)) {
    let wrapped = match format {
        Format::Known(Kind::AwsCloudtrail) | Format::Auto => true,
        Format::Known(Kind::GithubAudit | Kind::GithubWebhook | Kind::Json) => false,
    };
    unwrap(wrapped, piece, limits, NESTING_MAX, take);
}

fn unwrap(wrapped: bool, piece: Piece, limits: &Limits, nesting: usize, take: &mut dyn FnMut(Result<Piece, Reject>)) {
    let Piece { position, time, document } = &piece;
    let inner = if nesting == 0 { Inner::Record } else { look(wrapped, document) };
    let mut next = |piece| unwrap(wrapped, piece, limits, nesting - 1, take);
    match inner {
        Inner::Record => take(Ok(piece)),
        Inner::Nothing => {}
        Inner::Many(records) => {
            for (number, record) in records.iter().enumerate() {
                let position = format!("{position}#{number}");
                next(Piece { position, time: *time, document: record.clone() });
            }
        }
        Inner::Detail(detail) => {
            let time = document.get("time").and_then(moment::read).or(*time);
            next(Piece { position: position.clone(), time, document: detail.clone() });
        }
        Inner::Message(message) => {
            let time = document.get("timestamp").and_then(moment::read).or(*time);
            match parse(super::trim(message.as_bytes()), limits) {
                Ok(document) => next(Piece { position: position.clone(), time, document }),
                Err(Refusal { reason, detail }) => {
                    let refusal = Refusal::new(reason, format!("in the message: {detail}"));
                    take(Err(refusal.at(position, json_of(document).as_bytes())));
                }
            }
        }
    }
}

/// What a document turns out to hold.
enum Inner<'a> {
    /// It is a record itself.
    Record,
    /// A CloudWatch control message: sent to test a subscription.
    Nothing,
    /// `{"Records":[…]}`, a subscription payload's `logEvents`, a JSON array.
    Many(&'a [Value]),
    /// The record of an EventBridge envelope.
    Detail(&'a Value),
    /// A CloudWatch log event, or one of LookupEvents: JSON in a string.
    Message(&'a str),
}

fn look(wrapped: bool, document: &Value) -> Inner<'_> {
    if let Some(elements) = document.as_array() {
        return Inner::Many(elements);
    }
    // A bare record is by far the most frequent, so it is told first.
    if !wrapped || text(document, "eventName").is_some() {
        return Inner::Record;
    }
    let array = |name| document.get(name).and_then(JsonContainerTrait::as_array);
    if let Some(records) = array("Records") {
        return Inner::Many(records);
    }
    match text(document, "messageType") {
        Some("CONTROL_MESSAGE") => return Inner::Nothing,
        Some("DATA_MESSAGE") => {
            if let Some(log_events) = array("logEvents") {
                return Inner::Many(log_events);
            }
        }
        _ => {}
    }
    if let Some(detail) = document.get("detail").filter(|detail| detail.is_object())
        && text(document, "detail-type").is_some()
    {
        return Inner::Detail(detail);
    }
    if let Some(message) = text(document, "CloudTrailEvent") {
        return Inner::Message(message);
    }
    let from_cloudwatch = ["eventId", "ingestionTime", "id"].iter().any(|name| document.get(name).is_some());
    match text(document, "message") {
        Some(message) if from_cloudwatch && document.get("timestamp").is_some() => Inner::Message(message),
        _ => Inner::Record,
    }
}
