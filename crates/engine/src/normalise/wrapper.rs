//! What records travel in: documents of many, CloudWatch Logs, envelopes of their vendor.
//!
//! Each kind says what its records come in; under `auto` all of them are looked for. A JSON array always holds one
//! record an element.

use std::borrow::Cow;

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::carried;
use super::ci_log::{self, Lines, Unread};
use super::kind::Reading;
use super::scan::{Elements, begins_with_member};
use super::{Broken, Format, Kind, Limits, Piece, moment, parse, text, trim};
use crate::time::Timestamp;

/// Wrappers inside each other that occur: array, subscription payload, EventBridge envelope, record.
const NESTING_MAX: usize = 4;

/// The first member of the files that CloudTrail writes to S3: they are cut without being parsed.
const RECORDS: &str = "Records";

/// What a document turns out to hold.
pub(super) enum Inner<'a> {
    /// It is a record itself.
    Record,
    /// None: a message that was sent to test a subscription, or a record that stands for one told elsewhere.
    Nothing,
    /// Several.
    Many(&'a [Value]),
    /// One, and what is said of its time.
    One { record: &'a Value, time: Option<Timestamp> },
    /// Text that holds any number, and what is said of their time.
    Text { text: Cow<'a, str>, time: Option<Timestamp> },
    /// Lines of a pipeline's log.
    Lines(Lines<'a>),
}

/// Opens the wrappers of one body.
struct Opening<'a> {
    format: Format,
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
    Opening { format, limits, take }.bytes(body, position, None, NESTING_MAX);
}

/// How the kinds are read that may come.
fn readings(format: Format) -> impl Iterator<Item = &'static Reading> {
    let (all, declared): (&[Kind], Option<Kind>) = match format {
        Format::Auto => (&Kind::ALL, None),
        Format::Known(kind) => (kind.reading().beside, Some(kind)),
    };
    all.iter().copied().chain(declared).map(Kind::reading)
}

impl Opening<'_> {
    fn bytes(&mut self, body: &[u8], position: &str, time: Option<Timestamp>, nesting: usize) {
        if self.is_text(body) {
            return self.lines(&ci_log::bare(body, time), position);
        }
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

    /// Whether it is a text whose lines are records. Records of all other kinds are objects.
    fn is_text(&self, body: &[u8]) -> bool {
        if is_json(body) {
            return false;
        }
        readings(self.format).filter_map(|reading| reading.is_text).any(|is_text| match self.format {
            Format::Known(_) => true,
            Format::Auto => is_text(body),
        })
    }

    fn lines(&mut self, lines: &Lines<'_>, position: &str) {
        let is_one = lines.is_one();
        lines.each(self.limits, &mut |number, line| {
            let numbered = || if is_one { position.to_owned() } else { format!("{position}#{number}") };
            let position = numbered();
            match line {
                Ok(document) => (self.take)(Ok(Piece { position: &position, time: None, document })),
                Err(Unread { refusal, text }) => {
                    (self.take)(Err(Broken { refusal, position: &position, body: text.as_bytes() }));
                }
            }
        });
    }

    /// Documents of many that are cut before they are parsed: arrays, the files that CloudTrail writes to S3,
    /// and whatever else is too long to be one record.
    fn many<'body>(&self, body: &'body [u8]) -> Option<Elements<'body>> {
        if let Some(elements) = Elements::of_array(body) {
            return Some(elements);
        }
        let cut = begins_with_member(body, RECORDS) || body.len() > self.limits.bytes;
        if !cut {
            return None;
        }
        let carried = readings(self.format).any(|reading| reading.carried).then_some(&LOG_EVENTS);
        let own = readings(self.format).flat_map(|reading| reading.lists);
        let names: Vec<&str> = own.chain(carried).copied().collect();
        if names.is_empty() { None } else { Elements::of_member(body, &names) }
    }

    fn document(&mut self, piece: Piece<'_>, nesting: usize) {
        let Piece { position, time, document } = &piece;
        let inner = if nesting > 0 { look(self.format, document) } else { Inner::Record };
        match inner {
            Inner::Record => (self.take)(Ok(piece)),
            Inner::Nothing => {}
            Inner::Many(records) => {
                for (number, record) in records.iter().enumerate() {
                    let position = format!("{position}#{number}");
                    self.document(Piece { position: &position, time: *time, document: record.clone() }, nesting - 1);
                }
            }
            Inner::One { record, time: own } => {
                self.document(Piece { position, time: own.or(*time), document: record.clone() }, nesting - 1);
            }
            Inner::Text { text, time: own } => {
                self.bytes(trim(text.as_bytes()), position, own.or(*time), nesting - 1);
            }
            Inner::Lines(lines) => self.lines(&lines, position),
        }
    }
}

/// Whether a body begins as an object does, or as an array of such: `[Container]` and `[2026-` do not.
fn is_json(body: &[u8]) -> bool {
    let second = |wanted: &[u8]| {
        let next = body.get(1..).unwrap_or_default().trim_ascii_start().first();
        next.is_none_or(|next| wanted.contains(next))
    };
    match body.first() {
        Some(b'{') => second(b"\"}"),
        Some(b'[') => second(b"{[]"),
        Some(_) | None => false,
    }
}

fn look(format: Format, document: &Value) -> Inner<'_> {
    // A bare record of CloudTrail is by far the most frequent, so it is told first.
    if text(document, "eventName").is_some() {
        return Inner::Record;
    }
    if let Some(inner) = carried::open(document) {
        return inner;
    }
    let mut from_logs = false;
    for reading in readings(format) {
        from_logs |= reading.carried;
        match (reading.open)(document) {
            Inner::Record => {}
            inner => return inner,
        }
    }
    if from_logs { log_event(document) } else { Inner::Record }
}

/// The member of a CloudWatch subscription payload that holds its log events.
const LOG_EVENTS: &str = "logEvents";

/// What CloudWatch Logs carries: a subscription payload, or one log event with JSON in a string.
fn log_event(document: &Value) -> Inner<'_> {
    let log_events = document.get(LOG_EVENTS).and_then(JsonContainerTrait::as_array);
    match (text(document, "messageType"), log_events) {
        (Some("CONTROL_MESSAGE"), _) => return Inner::Nothing,
        (Some("DATA_MESSAGE"), Some(log_events)) => return Inner::Many(log_events),
        _ => {}
    }
    let from_cloudwatch = ["eventId", "ingestionTime", "id"].iter().any(|name| document.get(name).is_some());
    match (text(document, "message"), document.get("timestamp")) {
        (Some(message), Some(time)) if from_cloudwatch => {
            Inner::Text { text: message.into(), time: moment::read(time) }
        }
        _ => Inner::Record,
    }
}
