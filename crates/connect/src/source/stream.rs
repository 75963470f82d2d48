//! Cuts a stream of bytes into records as it comes: lines, the elements of an array or of CloudTrail's
//! `{"Records":[…]}`, or JSON values one behind the other.
//!
//! It cuts what [`super::cuts`] cuts of a body that is all there, and holds no more than one record within the limit and
//! what was fed last: an object of gigabytes costs no more than a small one. It never fails: what is not JSON becomes a
//! record that the pipeline refuses, so that every byte is answered for.

use bytes::Bytes;

use super::brackets::{Brackets, value_end};
use super::cuts::Cut;
use super::lines::{Framing, Lines, head, within};
use super::{Body, Refusal};

/// White space before the first record that is waited through.
const BLANK_MAX: usize = 64 << 10;

/// Bytes on their way to becoming records.
#[derive(Debug)]
pub(crate) struct Stream {
    shape: Shape,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the first uncut byte stands in `buffer`.
    start: usize,
    /// How far `brackets` have followed.
    at: usize,
    brackets: Brackets,
    /// Records cut so far.
    number: u64,
    /// The head of a record above the limit, whose other bytes are no longer kept.
    overlong: Option<Vec<u8>>,
    /// Nothing more will come.
    ended: bool,
}

#[derive(Debug)]
enum Shape {
    /// Too little has come to tell.
    Unknown,
    Lines(Box<Lines>),
    /// Of an array, and what has to follow it.
    Elements(&'static [u8]),
    /// What follows the array: only this, if all is well.
    Tail(&'static [u8]),
    /// The array was never closed, so elements may be missing: that is told by a record that nobody can read.
    Unclosed,
    Values,
    Nothing,
}

/// What the first bytes say of a wrapper.
#[derive(Debug, PartialEq, Eq)]
enum Wrapper {
    /// Its records begin here.
    At(usize),
    None,
    /// More has to come first.
    Unsure,
}

impl Stream {
    /// Nothing yet. A record above `bytes_max` is refused alone.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            shape: Shape::Unknown,
            bytes_max,
            buffer: Vec::new(),
            start: 0,
            at: 0,
            brackets: Brackets::default(),
            number: 0,
            overlong: None,
            ended: false,
        }
    }

    /// Adds what came next. Call [`Stream::cut`] until it has nothing before adding more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if let Shape::Lines(lines) = &mut self.shape {
            lines.feed(bytes);
            return;
        }
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing more will come: [`Stream::cut`] has the rest.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The next record that is complete.
    pub(crate) fn cut(&mut self) -> Option<Cut> {
        loop {
            match &mut self.shape {
                Shape::Unknown => self.shape = self.tell()?,
                Shape::Lines(lines) => {
                    let line = lines.cut().or_else(|| self.ended.then(|| lines.finish()).flatten())?;
                    return Some(Cut { line: line.number, body: line.body });
                }
                Shape::Elements(close) => {
                    let close = *close;
                    let element = self.element(close);
                    if element.is_some() || matches!(self.shape, Shape::Elements(_)) {
                        return element;
                    }
                }
                Shape::Tail(close) => {
                    let close = *close;
                    self.overflow(self.buffer.len());
                    if !self.ended {
                        return None;
                    }
                    self.shape = Shape::Nothing;
                    let is_right = self.overlong.is_none() && self.buffer[self.start..].trim_ascii() == close;
                    return if is_right { None } else { self.record(self.buffer.len()) };
                }
                Shape::Unclosed => {
                    self.shape = Shape::Nothing;
                    self.number += 1;
                    return Some(Cut { line: self.number, body: Body::Whole(Bytes::from_static(b"[")) });
                }
                Shape::Values => return self.value(),
                Shape::Nothing => return None,
            }
        }
    }

    /// What these bytes are, once enough of them have come.
    fn tell(&mut self) -> Option<Shape> {
        let text = self.buffer.trim_ascii_start();
        let start = self.buffer.len() - text.len();
        let begin = |stream: &mut Self, at: usize| (stream.start, stream.at) = (at, at);
        match text.first() {
            None if self.ended || start > BLANK_MAX => Some(self.lines()),
            None => None,
            Some(b'[') => {
                begin(self, start + 1);
                Some(Shape::Elements(b""))
            }
            Some(b'{') => match wrapper(text) {
                Wrapper::At(records) => {
                    begin(self, start + records);
                    Some(Shape::Elements(b"}"))
                }
                Wrapper::Unsure if !self.ended => None,
                Wrapper::Unsure | Wrapper::None => match self.are_values(start)? {
                    true => {
                        begin(self, start);
                        Some(Shape::Values)
                    }
                    false => Some(self.lines()),
                },
            },
            Some(_) => Some(self.lines()),
        }
    }

    /// Whether values follow each other without regard to lines, judged by the first of them.
    fn are_values(&self, start: usize) -> Option<bool> {
        let text = &self.buffer[start..];
        let Some(end) = value_end(text) else {
            // A value that is cut off, or above the limit: then a broken line loses only itself.
            return (self.ended || text.len() > self.bytes_max).then_some(false);
        };
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
        let next = text[end..].iter().find(|byte| !is_blank(byte));
        match next {
            _ if text[..end].contains(&b'\n') => Some(true),
            Some(next) => Some(*next != b'\n'),
            None => self.ended.then_some(false),
        }
    }

    fn lines(&mut self) -> Shape {
        let mut lines = Lines::at(0, Framing::Lines, self.bytes_max);
        lines.feed(&std::mem::take(&mut self.buffer));
        Shape::Lines(Box::new(lines))
    }

    /// The next element that is not blank, or what else stands where elements should.
    fn element(&mut self, close: &'static [u8]) -> Option<Cut> {
        while let Some(byte) = self.buffer.get(self.at).copied() {
            if self.brackets.outside() && matches!(byte, b',' | b']') {
                let record = self.record(self.at);
                self.at += 1;
                self.start = self.at;
                if byte == b']' {
                    self.shape = Shape::Tail(close);
                    return record;
                }
                if record.is_some() {
                    return record;
                }
                continue;
            }
            self.step(byte);
        }
        self.overflow(self.at);
        if !self.ended {
            return None;
        }
        self.shape = Shape::Unclosed;
        self.record(self.at)
    }

    /// The next value: an object or an array, or a line that is neither.
    fn value(&mut self) -> Option<Cut> {
        while let Some(byte) = self.buffer.get(self.at).copied() {
            let is_first = self.at == self.start && self.overlong.is_none();
            if is_first && byte.is_ascii_whitespace() {
                self.at += 1;
                self.start = self.at;
                continue;
            }
            // No JSON has a line that ends within a string, so such a line loses only itself.
            let ends_line = byte == b'\n' && (self.brackets.in_string() || self.brackets.outside());
            let was_within = !self.brackets.outside();
            self.step(byte);
            if ends_line || (was_within && self.brackets.outside() && matches!(byte, b'}' | b']')) {
                let record = self.record(self.at);
                (self.start, self.brackets) = (self.at, Brackets::default());
                return record;
            }
        }
        self.overflow(self.at);
        if !self.ended {
            return None;
        }
        self.shape = Shape::Nothing;
        self.record(self.at)
    }

    fn step(&mut self, byte: u8) {
        self.brackets.step(byte);
        self.at += 1;
        self.at += self.brackets.plain(&self.buffer[self.at..]);
    }

    /// Keeps only the head of a record above the limit.
    fn overflow(&mut self, end: usize) {
        // White space around a record is no part of it.
        if self.overlong.is_some() || self.buffer[self.start..end].trim_ascii().len() > self.bytes_max {
            let text = self.buffer[self.start..end].trim_ascii_start();
            self.overlong.get_or_insert_with(|| head(text));
            self.buffer.drain(..end);
            (self.start, self.at) = (0, 0);
        }
    }

    /// What stands up to `end`, if it is not blank.
    fn record(&mut self, end: usize) -> Option<Cut> {
        let text = self.buffer[self.start..end].trim_ascii();
        let body = match self.overlong.take() {
            Some(head) => Body::Refused { head, reason: Refusal::TooLong },
            None if text.is_empty() => return None,
            None => within(text, self.bytes_max),
        };
        self.start = end;
        self.number += 1;
        Some(Cut { line: self.number, body })
    }
}

/// Where the records of CloudTrail's wrapper begin, if this is one: `Records` is its first member, and an array.
fn wrapper(text: &[u8]) -> Wrapper {
    let mut rest = text;
    for part in [b"{".as_slice(), b"\"Records\"", b":", b"["] {
        rest = rest.trim_ascii_start();
        if rest.len() < part.len() && part.starts_with(rest) {
            return Wrapper::Unsure;
        }
        let Some(behind) = rest.strip_prefix(part) else { return Wrapper::None };
        rest = behind;
    }
    Wrapper::At(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `number text` of each record, cut from pieces of every size: borders must not matter.
    #[track_caller]
    fn cut(text: &str, bytes_max: usize) -> Vec<String> {
        let whole = cut_in_pieces(text, bytes_max, text.len().max(1));
        for piece in 1..text.len() {
            assert_eq!(cut_in_pieces(text, bytes_max, piece), whole, "pieces of {piece} bytes");
        }
        whole
    }

    fn cut_in_pieces(text: &str, bytes_max: usize, piece: usize) -> Vec<String> {
        let mut stream = Stream::new(bytes_max);
        let mut records = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            stream.feed(bytes);
            records.extend(std::iter::from_fn(|| stream.cut()).map(shown));
        }
        stream.end();
        records.extend(std::iter::from_fn(|| stream.cut()).map(shown));
        records
    }

    fn shown(cut: Cut) -> String {
        match cut.body {
            Body::Whole(text) => format!("{} {}", cut.line, String::from_utf8_lossy(&text)),
            Body::Refused { reason, .. } => format!("{} {reason:?}", cut.line),
        }
    }

    #[test]
    fn every_shape_of_object_becomes_its_records() {
        for (text, records, reason) in [
            ("", vec![], "nothing"),
            (" \n\n", vec![], "only white space"),
            ("{\"a\":1}\r\n \r\n{\"b\":2}\r\n", vec!["1 {\"a\":1}", "3 {\"b\":2}"], "lines, blank ones counted"),
            ("{\"a\":1}", vec!["1 {\"a\":1}"], "one line without its end"),
            ("{\n \"a\": 1\n}\n", vec!["1 {\n \"a\": 1\n}"], "one object over many lines"),
            (
                "{\"a\":1}{\"b\":2} {\"c\":3}",
                vec!["1 {\"a\":1}", "2 {\"b\":2}", "3 {\"c\":3}"],
                "as Firehose writes them",
            ),
            (
                "{\n\"a\":1}\n[2]\nx\n{\"b\":2}",
                vec!["1 {\n\"a\":1}", "2 [2]", "3 x", "4 {\"b\":2}"],
                "a line among values",
            ),
            ("[{\"a\":\",]\"}, [1,2] ,3]", vec!["1 {\"a\":\",]\"}", "2 [1,2]", "3 3"], "elements"),
            ("[]\n", vec![], "an empty array"),
            ("{\"a\":\n{\"b\":2}\n", vec!["1 {\"a\":", "2 {\"b\":2}"], "a broken line loses only itself"),
            ("[1,{\"b\":", vec!["1 1", "2 {\"b\":", "3 ["], "an array that was cut off is not accepted in silence"),
            ("[1] 2", vec!["1 1", "2 2"], "what follows an array is answered for"),
            ("nonsense", vec!["1 nonsense"], "no JSON at all"),
            (" {\"Records\":[{\"a\":1},{\"b\":2}]}\n", vec!["1 {\"a\":1}", "2 {\"b\":2}"], "what CloudTrail writes"),
            ("{ \"Records\" : [ ] }", vec![], "no records"),
            ("{\"Records\":[1", vec!["1 1", "2 ["], "a wrapper that was cut off"),
            ("{\"Records\":[1],\"a\":2}", vec!["1 1", "2 ,\"a\":2}"], "what else a wrapper holds is answered for"),
            ("{\"Records\":{\"a\":[]}}", vec!["1 {\"Records\":{\"a\":[]}}"], "no array"),
            ("{\"Rec", vec!["1 {\"Rec"], "cut off within its name"),
        ] {
            assert_eq!(cut(text, 100), records, "{reason}");
        }
    }

    #[test]
    fn a_record_above_the_limit_is_refused_and_the_others_are_not() {
        assert_eq!(cut("{\"a\":1}\n{\"a\":123456}\n{\"b\":1}", 8), ["1 {\"a\":1}", "2 TooLong", "3 {\"b\":1}"]);
        assert_eq!(cut("[{\"a\":1},{\"a\":123456},  2          ,3]", 8), ["1 {\"a\":1}", "2 TooLong", "3 2", "4 3"]);
        assert_eq!(cut("{\"Records\":[1,123456789]}", 8), ["1 1", "2 TooLong"], "each by itself");
        assert_eq!(cut("{\"a\":1}{\"a\":123456}{\"b\":1}", 8), ["1 {\"a\":1}", "2 TooLong", "3 {\"b\":1}"]);
        assert_eq!(cut("{\"a\":123456}", 8), ["1 TooLong"]);
    }

    #[test]
    fn a_record_far_above_the_limit_leaves_only_its_head_in_memory() {
        let mut stream = Stream::new(1_000);
        stream.feed(b"{\"Records\":[\"");
        for _ in 0..320 {
            assert_eq!(stream.cut(), None);
            stream.feed(&vec![b'x'; 64 << 10]);
            assert!(stream.buffer.capacity() < 512 << 10, "the record is not kept");
        }
        stream.feed(b"\",2]}");
        let long = stream.cut().expect("the long record has ended");
        let Body::Refused { head, reason: Refusal::TooLong } = long.body else { panic!("{long:?}") };
        assert!(head.starts_with(b"\"xxx") && head.len() == super::super::HEAD_BYTES);
        assert_eq!(stream.cut().map(shown).as_deref(), Some("2 2"));
    }
}
