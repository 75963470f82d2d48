//! What records travel in: documents of many, CloudWatch Logs, EventBridge.
//!
//! Opened for CloudTrail and for `auto`, which then recognises what was inside; every other declared kind is
//! taken as it is, except that a JSON array always holds one record an element.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::scan::{Elements, begins_with_member};
use super::{Broken, Format, Limits, Piece, moment, parse, text, trim};
use crate::event::Kind;
use crate::time::Timestamp;

/// Wrappers inside each other that occur: array, subscription payload, EventBridge envelope, record.
const NESTING_MAX: usize = 4;

/// Opens the wrappers of one body.
struct Opening<'a> {
    /// Whether wrappers other than arrays count.
    wrapped: bool,
    limits: &'a Limits,
    take: &'a mut dyn FnMut(Result<Piece<'_>, Broken<'_>>),
}

/// Hands every record inside to `take`; a part that cannot be opened is a reject of its own.
pub(super) fn open(
    format: Format,
    body: &[u8],
    position: &str,
    limits: &Limits,
    take: &mut dyn FnMut(Result<Piece<'_>, Broken<'_>>),
) {
    let wrapped = match format {
        Format::Known(Kind::AwsCloudtrail) | Format::Auto => true,
        Format::Known(Kind::GithubAudit | Kind::GithubWebhook | Kind::Json) => false,
    };
    Opening { wrapped, limits, take }.bytes(body, position, None, NESTING_MAX);
}

impl Opening<'_> {
    fn bytes(&mut self, body: &[u8], position: &str, time: Option<Timestamp>, nesting: usize) {
        let many = if nesting > 0 { self.many(body) } else { None };
        if let Some(mut elements) = many {
            for (number, element) in elements.by_ref().enumerate() {
                self.bytes(element, &format!("{position}#{number}"), time, nesting - 1);
            }
            if let Some(refusal) = elements.fault() {
                (self.take)(Err(Broken { refusal, position, body }));
            }
            return;
        }
        match parse(body, self.limits) {
            Ok(document) => self.document(Piece { position, time, document }, nesting),
            Err(refusal) => (self.take)(Err(Broken { refusal, position, body })),
        }
    }

    /// Documents of many that are cut before they are parsed: arrays, the files that CloudTrail writes to S3,
    /// and whatever else is too long to be one record.
    fn many<'body>(&self, body: &'body [u8]) -> Option<Elements<'body>> {
        let cut = self.wrapped && (begins_with_member(body, "Records") || body.len() > self.limits.bytes);
        let of_member = || if cut { Elements::of_member(body, &["Records", "logEvents"]) } else { None };
        Elements::of_array(body).or_else(of_member)
    }

    fn document(&mut self, piece: Piece<'_>, nesting: usize) {
        let Piece { position, time, document } = &piece;
        let inner = if self.wrapped && nesting > 0 { look(document) } else { Inner::Record };
        match inner {
            Inner::Record => (self.take)(Ok(piece)),
            Inner::Nothing => {}
            Inner::Many(records) => {
                for (number, record) in records.iter().enumerate() {
                    let position = format!("{position}#{number}");
                    self.document(Piece { position: &position, time: *time, document: record.clone() }, nesting - 1);
                }
            }
            Inner::Detail(detail) => {
                let time = document.get("time").and_then(moment::read).or(*time);
                self.document(Piece { position, time, document: detail.clone() }, nesting - 1);
            }
            Inner::Message(message) => {
                let time = document.get("timestamp").and_then(moment::read).or(*time);
                self.bytes(trim(message.as_bytes()), position, time, nesting - 1);
            }
        }
    }
}

/// What a document turns out to hold.
enum Inner<'a> {
    /// It is a record itself.
    Record,
    /// A CloudWatch control message, sent to test a subscription.
    Nothing,
    /// The `logEvents` of a subscription payload, or `Records` behind other members.
    Many(&'a [Value]),
    /// The record of an EventBridge envelope.
    Detail(&'a Value),
    /// A CloudWatch log event, or one of LookupEvents: JSON in a string.
    Message(&'a str),
}

fn look(document: &Value) -> Inner<'_> {
    // A bare record is by far the most frequent, so it is told first.
    if text(document, "eventName").is_some() {
        return Inner::Record;
    }
    let array = |name| document.get(name).and_then(JsonContainerTrait::as_array);
    if let Some(records) = array("Records") {
        return Inner::Many(records);
    }
    match (text(document, "messageType"), array("logEvents")) {
        (Some("CONTROL_MESSAGE"), _) => return Inner::Nothing,
        (Some("DATA_MESSAGE"), Some(log_events)) => return Inner::Many(log_events),
        _ => {}
    }
    // EventBridge carries findings and state changes of all services; their envelope is the record.
    if let Some(detail) = document.get("detail")
        && text(document, "detail-type").is_some()
        && (text(detail, "eventName").is_some() || detail.get("insightDetails").is_some())
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
