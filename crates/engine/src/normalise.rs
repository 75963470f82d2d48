//! Raw records in, events out: the first stage after the source.
//!
//! Whatever the bytes are, this answers with events and rejects and never panics; one bad record costs only
//! itself. Size and depth are looked at before anything is parsed, because the parser recurses and a deep
//! document would take the process with it.

mod azure;
mod azure_audit;
mod azure_signin;
mod carried;
mod ci_log;
mod cloudtrail;
mod eventbridge;
mod gcp;
mod github;
mod gitlab;
mod gitlab_audit;
pub(crate) mod glance;
mod guardduty;
pub(crate) mod home;
mod json;
mod kind;
mod kubernetes;
pub(crate) mod lead;
pub(crate) mod moment;
mod okta;
mod recognise;
mod scan;
mod vault;
mod webhook;
mod wrapper;

use std::borrow::Cow;

use sonic_rs::{Deserializer, JsonValueTrait, Value};

use crate::alert::redact::redact_unread;
use crate::event::{Event, Facets, Kinds, Uid};
use crate::field::Path;
use crate::time::Timestamp;

pub use self::carried::carried;
pub use self::home::{Home, home};
pub use self::json::{says_time, with_time};
pub use self::kind::Kind;
use self::kind::Told;
pub use self::webhook::delivery;

/// How a source declares its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// All of one kind.
    Known(Kind),
    /// `auto`: each record is recognised by its shape; `docs/kinds.md` has the order.
    Auto,
}

impl Format {
    /// The kind of all its records, if there is one.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Known(kind) => Some(kind),
            Self::Auto => None,
        }
    }

    /// The kinds that its records may be of.
    #[must_use]
    pub fn kinds(self) -> Kinds {
        match self {
            Self::Known(kind) => kind.reading().beside.iter().copied().chain([kind]).collect(),
            Self::Auto => Kind::ALL.into_iter().collect(),
        }
    }
}

/// What is refused unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arrays and objects inside each other, also in JSON that is held in a string. Never more than 255,
    /// whatever is asked for: beyond that the parser's own recursion is not safe on a small stack.
    pub depth: usize,
    /// Bytes of one record. A document of many may be longer: the limit is for each of its records.
    pub bytes: usize,
}

/// A record that became no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it was: the position that came with the body, and `#n` inside a wrapper.
    pub position: String,
    /// What sort of fault.
    pub reason: RejectReason,
    /// The fault in words.
    pub detail: String,
    /// How the record begins, without secrets; at most [`HEAD_BYTES`].
    pub head: Vec<u8>,
}

/// What is wrong with a rejected record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// Not JSON.
    Syntax,
    /// Nested deeper than [`Limits::depth`].
    Depth,
    /// Longer than [`Limits::bytes`].
    Size,
    /// A NUL byte or invalid UTF-8.
    Encoding,
    /// JSON, but not the declared kind of record.
    Shape,
    /// No time that can be read.
    Time,
    /// Turned away unread by a source, or one of too many bad records of one body.
    Refused,
}

/// Longest [`Reject::head`].
pub const HEAD_BYTES: usize = 2048;

/// Rejects of one body that are told one by one; the next says how many more there were. A body of 10 MiB may
/// hold five million records that are none.
const REJECTS_MAX: usize = 1_000;

/// What a head is cut from, so that a secret on the border of the head is seen whole and redacted.
const HEAD_READ_BYTES: usize = 4 * HEAD_BYTES;

/// Depth beyond which no setting goes.
const DEPTH_CEILING: usize = 255;

/// Why one record is refused; becomes a [`Reject`] where its position is known.
#[derive(Debug)]
struct Refusal {
    reason: RejectReason,
    detail: String,
}

/// A part of a body that cannot be opened.
struct Broken<'b> {
    refusal: Refusal,
    position: &'b str,
    body: &'b [u8],
}

/// One record out of whatever it was wrapped in.
struct Piece<'p> {
    /// Position of the body, and `#n` where the wrapper holds many.
    position: &'p str,
    /// What the wrapper says about the time.
    time: Option<Timestamp>,
    /// The record.
    document: Value,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, bytes: 1 << 20 }
    }
}

impl RejectReason {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Self; 7] =
        [Self::Size, Self::Encoding, Self::Depth, Self::Syntax, Self::Shape, Self::Time, Self::Refused];

    /// Its name in metrics and dead letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Depth => "depth",
            Self::Size => "size",
            Self::Encoding => "encoding",
            Self::Shape => "shape",
            Self::Time => "time",
            Self::Refused => "refused",
        }
    }
}

impl Refusal {
    fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn shape(detail: impl Into<String>) -> Self {
        Self::new(RejectReason::Shape, detail)
    }

    fn at(&self, position: &str, body: &[u8]) -> Reject {
        Reject { position: position.to_owned(), reason: self.reason, detail: self.detail.clone(), head: head(body) }
    }
}

/// One raw record in, zero or more events out: a `{"Records":[…]}` document, a CloudWatch payload or a JSON
/// array holds many.
///
/// `position` names the record in its source (such as `file:line`), becomes part of the identity of records
/// that carry no id of their own, and is what a reject points at. A blank body is nothing, a byte order
/// mark is skipped. Appends to `out` and `rejects`; never panics.
pub fn normalise(
    format: Format,
    body: &[u8],
    position: &str,
    limits: &Limits,
    out: &mut Vec<Event>,
    rejects: &mut Vec<Reject>,
) {
    let body = trim(body);
    if body.is_empty() {
        return;
    }
    let mut room = REJECTS_MAX;
    let mut untold = 0_u64;
    let mut take = |found: Result<Piece<'_>, Broken<'_>>| {
        // A reject is made only if it is told: of a body of millions of them, making each took most of the time.
        let mut refuse = |reject: &dyn Fn() -> Reject| match room.checked_sub(1) {
            None => untold += 1,
            Some(less) => {
                room = less;
                rejects.push(reject());
            }
        };
        match found {
            Ok(piece) => match event(format, &piece, limits) {
                Ok(event) => out.push(event),
                Err(refusal) => refuse(&|| refusal.at(piece.position, json_of(&piece.document).as_bytes())),
            },
            Err(Broken { refusal, position, body }) => refuse(&|| refusal.at(position, body)),
        }
    };
    wrapper::open(format, body, position, limits, &mut take);
    if untold > 0 {
        let refusal = Refusal::new(RejectReason::Refused, format!("{untold} more records of this body are as bad"));
        rejects.push(refusal.at(position, body));
    }
}

/// The members of a record that its facets are read from, however they were found.
pub(crate) trait Members {
    /// The first string that is not empty where this one of [`members`] leads.
    fn text(&self, member: usize) -> Option<Cow<'_, str>>;
}

/// Where the facets of a kind of record are read from; nothing for a kind whose facets need the whole document.
pub(crate) fn members(kind: Kind) -> &'static [&'static str] {
    match kind.reading().told {
        Told::Members => &cloudtrail::MEMBERS,
        Told::Document(_) | Told::Nothing => &[],
    }
}

/// Where the address stands that a record of this kind came from; the first that is one.
pub(crate) fn addresses(kind: Kind) -> &'static [&'static str] {
    kind.reading().addresses
}

/// What an event says in the words that all kinds share. Built on demand: only events that matched need it.
#[must_use]
pub fn facets(event: &Event) -> Facets {
    facets_of(event.kind, &Document(&event.raw), Some(&event.raw)).map(Cow::into_owned)
}

/// The same, from the [`members`] of its kind; `document` is needed for a kind that has none.
pub(crate) fn facets_of<'r>(kind: Kind, members: &'r impl Members, document: Option<&Value>) -> Facets<Cow<'r, str>> {
    match (kind.reading().told, document) {
        (Told::Members, _) => cloudtrail::facets(members),
        (Told::Document(read), Some(document)) => read(document).map(Cow::Owned),
        (Told::Document(_), None) | (Told::Nothing, _) => Facets::default(),
    }
}

/// The members of a document of CloudTrail, each looked up by itself.
struct Document<'e>(&'e Value);

impl Members for Document<'_> {
    fn text(&self, member: usize) -> Option<Cow<'_, str>> {
        let mut found = None;
        Path::new(cloudtrail::MEMBERS[member]).any(self.0, &mut |value| {
            found = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            found.is_some()
        });
        found.map(Cow::Owned)
    }
}

fn event(format: Format, piece: &Piece<'_>, limits: &Limits) -> Result<Event, Refusal> {
    if !piece.document.is_object() {
        return Err(Refusal::shape("a record is a JSON object"));
    }
    let kind = recognise::kind(format, &piece.document);
    (kind.reading().event)(piece, limits)
}

/// Bytes that come from outside, into a document that is safe to walk.
fn parse(body: &[u8], limits: &Limits) -> Result<Value, Refusal> {
    if body.len() > limits.bytes {
        let detail = format!("{} bytes, at most {} are read", body.len(), limits.bytes);
        return Err(Refusal::new(RejectReason::Size, detail));
    }
    scan::check(body, limits.depth.min(DEPTH_CEILING))?;
    let text = std::str::from_utf8(body).map_err(|error| Refusal::new(RejectReason::Encoding, error.to_string()))?;
    let parsed = document(text);
    // The parser's message quotes the input, which may be a secret: only its first line is told.
    parsed.map_err(|error| {
        let message = error.to_string();
        Refusal::new(RejectReason::Syntax, message.lines().next().unwrap_or("not JSON"))
    })
}

/// Text into a document.
///
/// With the texts of its numbers a document takes more time and memory, so only one that needs them is read so: an
/// integer beyond 64 bits would be rounded, and `1e400` is no fault of syntax.
pub(crate) fn document(text: &str) -> sonic_rs::Result<Value> {
    let read = |exact: bool| {
        // Half a surrogate pair in an escape is read as U+FFFD: one odd user agent must not hide a record.
        let reader = Deserializer::from_str(text).utf8_lossy();
        let mut reader = if exact { reader.use_rawnumber() } else { reader };
        reader.deserialize::<Value>().and_then(|document| reader.end().map(|()| document))
    };
    if scan::has_long_digits(text.as_bytes()) {
        return read(true);
    }
    read(false).or_else(|error| read(true).map_err(|_| error))
}

fn trim(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii()
}

fn head(body: &[u8]) -> Vec<u8> {
    let read = String::from_utf8_lossy(&body[..body.len().min(HEAD_READ_BYTES)]);
    let mut head = redact_unread(&read);
    head.truncate(head.floor_char_boundary(HEAD_BYTES));
    head.into_bytes()
}

fn json_of(document: &Value) -> String {
    sonic_rs::to_string(document).unwrap_or_default()
}

/// The string member of this name; nothing if it is absent, empty or of another type.
fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.get(name).and_then(JsonValueTrait::as_str).filter(|text| !text.is_empty())
}

/// The same, owned: what facets are made of.
fn owned(document: &Value, name: &str) -> Option<String> {
    text(document, name).map(str::to_owned)
}

/// A string or number member as text: vendors write ids both ways.
fn id(document: &Value, name: &str) -> Option<String> {
    document.get(name).and_then(crate::field::scalar_text).filter(|text| !text.is_empty())
}

/// The identity of a record whose vendor gave it none: its place in its source.
fn by_position(position: &str) -> Uid {
    Uid { origin: String::new(), id: position.to_owned() }
}

#[cfg(test)]
mod tests;
