//! Cuts a posted body into records: lines, the elements of an array or of CloudTrail's `{"Records":[…]}`, or one
//! document.
//!
//! Lazily and without copying, so that a body of a million tiny records costs no more memory than its bytes; and
//! never failing: what is not JSON becomes a record that the pipeline refuses, so that every byte is answered for.

use std::ops::Range;

use bytes::{Buf, Bytes};

use super::brackets::{Brackets, value_end};
use super::lines::head;
use super::{Body, Refusal};

/// What some tools put in front of a text. No record begins with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body and how far it has been cut.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// Every record is a part of it.
    text: Bytes,
    shape: Shape,
    /// How far it has been cut.
    at: usize,
    /// Lines ended, or elements handed out, so far.
    number: u64,
    bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Lines,
    Array(Part),
    Document,
}

/// Which part of an array comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Elements,
    /// What follows the closing bracket: nothing, if all is well.
    Tail,
    /// The array was never closed, so elements may be missing.
    Unclosed,
    Nothing,
}

/// One record of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The line, or the element of the array, counted from 1.
    pub line: u64,
    /// What it held.
    pub body: Body,
}

impl Cuts {
    /// Finds the shape of `text`. A record above `bytes_max` is refused, except a document that is all of the body: it may
    /// hold many, such as the lists that an API server of Kubernetes posts. It is opened further in, where each has its
    /// limit.
    pub(crate) fn new(mut text: Bytes, bytes_max: usize) -> Self {
        if text.starts_with(BYTE_ORDER_MARK) {
            text.advance(BYTE_ORDER_MARK.len());
        }
        let start = text.len() - text.trim_ascii_start().len();
        let (shape, at) = match text.get(start) {
            Some(b'[') => (Shape::Array(Part::Elements), start + 1),
            Some(b'{') if is_one_value(&text[start..]) => match records_of(&text[start..]) {
                Some(records) => {
                    text.truncate(start + records.end);
                    (Shape::Array(Part::Elements), start + records.start)
                }
                None => (Shape::Document, start),
            },
            _ => (Shape::Lines, 0),
        };
        Self { text, shape, at, number: 0, bytes_max }
    }

    /// The next line that is not blank, without its end.
    fn line(&mut self) -> Option<Range<usize>> {
        while self.at < self.text.len() {
            let start = self.at;
            let newline = memchr::memchr(b'\n', &self.text[start..]);
            let end = newline.map_or(self.text.len(), |length| start + length);
            self.at = end + usize::from(newline.is_some());
            self.number += 1;
            let line = &self.text[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.trim_ascii().is_empty() {
                return Some(start..start + line.len());
            }
        }
        None
    }

    /// The next element that is not blank, or what else stands where elements should.
    fn element(&mut self, mut part: Part) -> Option<Cut> {
        loop {
            let range = match part {
                Part::Elements => {
                    let (range, next) = self.until_comma();
                    part = next;
                    range
                }
                Part::Tail => {
                    part = Part::Nothing;
                    self.at..self.text.len()
                }
                Part::Unclosed => {
                    self.shape = Shape::Array(Part::Nothing);
                    self.number += 1;
                    return Some(Cut { line: self.number, body: Body::Whole(Bytes::from_static(b"[")) });
                }
                Part::Nothing => return None,
            };
            self.shape = Shape::Array(part);
            let range = trimmed(&self.text, range);
            if !range.is_empty() {
                self.number += 1;
                return Some(self.cut(range, self.bytes_max));
            }
        }
    }

    /// Up to the next comma or closing bracket of this array, and what comes then.
    fn until_comma(&mut self) -> (Range<usize>, Part) {
        let mut brackets = Brackets::default();
        let start = self.at;
        let mut end = start;
        let mut next = Part::Unclosed;
        while let Some(byte) = self.text.get(end) {
            if brackets.outside() && matches!(byte, b',' | b']') {
                next = if *byte == b',' { Part::Elements } else { Part::Tail };
                break;
            }
            brackets.step(*byte);
            end += 1;
            end += brackets.plain(&self.text[end..]);
        }
        self.at = self.text.len().min(end + 1);
        (start..end, next)
    }

    /// The record as it is, or refused if it is above the limit.
    fn cut(&self, range: Range<usize>, bytes_max: usize) -> Cut {
        let body = if range.len() > bytes_max {
            Body::Refused { head: head(&self.text[range]), reason: Refusal::TooLong }
        } else {
            Body::Whole(self.text.slice(range))
        };
        Cut { line: self.number, body }
    }
}

impl Iterator for Cuts {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        match self.shape {
            Shape::Lines => {
                let line = self.line()?;
                Some(self.cut(line, self.bytes_max))
            }
            Shape::Array(part) => self.element(part),
            Shape::Document => {
                let range = trimmed(&self.text, self.at..self.text.len());
                if range.is_empty() {
                    return None;
                }
                (self.at, self.number) = (self.text.len(), 1);
                Some(self.cut(range, usize::MAX))
            }
        }
    }
}

/// The range without white space at its ends.
fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let part = text[range.clone()].trim_ascii_start();
    let start = range.end - part.len();
    start..start + part.trim_ascii_end().len()
}

fn is_one_value(text: &[u8]) -> bool {
    value_end(text).is_some_and(|end| text[end..].trim_ascii().is_empty())
}

/// Where the value of `Records` begins, if that is the first member.
fn behind_name(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"Records\"")?;
    let value = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    Some(text.len() - value.len())
}

/// What stands behind the bracket that opens `Records` up to that which closes it, if nothing else is in the document.
fn records_of(text: &[u8]) -> Option<Range<usize>> {
    let start = behind_name(text)?;
    let end = start + value_end(&text[start..]).filter(|_| text[start] == b'[')?;
    (text[end..].trim_ascii() == b"}").then_some(start + 1..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(text: &str, bytes_max: usize) -> Vec<String> {
        Cuts::new(Bytes::copy_from_slice(text.as_bytes()), bytes_max)
            .map(|cut| match cut.body {
                Body::Whole(text) => format!("{} {}", cut.line, String::from_utf8_lossy(&text)),
                Body::Refused { reason, .. } => format!("{} {reason:?}", cut.line),
            })
            .collect()
    }

    #[test]
    fn every_shape_of_body_becomes_its_records() {
        for (text, records, reason) in [
            ("", vec![], "nothing"),
            (" \n\n", vec![], "only white space"),
            ("{\"a\":1}\r\n \r\n{\"b\":2}\r\n", vec!["1 {\"a\":1}", "3 {\"b\":2}"], "CR LF is no part of a line"),
            ("{\"a\":1}\n\n{\"b\":2}", vec!["1 {\"a\":1}", "3 {\"b\":2}"], "lines, blank ones counted"),
            ("{\n \"a\": 1\n}\n", vec!["1 {\n \"a\": 1\n}"], "one object over many lines"),
            ("[{\"a\":\",]\"}, [1,2] ,3]", vec!["1 {\"a\":\",]\"}", "2 [1,2]", "3 3"], "elements"),
            ("[]", vec![], "an empty array"),
            ("{\"a\":\n{\"b\":2}\n", vec!["1 {\"a\":", "2 {\"b\":2}"], "a broken line loses only itself"),
            ("{\"a\":\"x\n{\"b\":\"y\"}", vec!["1 {\"a\":\"x", "2 {\"b\":\"y\"}"], "an open string too"),
            ("[1,{\"b\":", vec!["1 1", "2 {\"b\":", "3 ["], "an array that was cut off is not accepted in silence"),
            ("[1] 2", vec!["1 1", "2 2"], "what follows an array is answered for"),
            ("nonsense", vec!["1 nonsense"], "no JSON at all"),
            ("\u{feff}{\n\"a\":1\n}", vec!["1 {\n\"a\":1\n}"], "a byte order mark is no part of it"),
            ("{\"Records\":[{\"a\":1},{\"b\":2}]}\n", vec!["1 {\"a\":1}", "2 {\"b\":2}"], "what CloudTrail writes"),
            ("{ \"Records\" : [ ] }", vec![], "no records"),
            (
                "{\"Records\":[1],\"a\":2}",
                vec!["1 {\"Records\":[1],\"a\":2}"],
                "records and more are opened further in",
            ),
            ("{\"Records\":{\"a\":[]}}", vec!["1 {\"Records\":{\"a\":[]}}"], "no array"),
        ] {
            assert_eq!(cut(text, 100), records, "{reason}");
        }
    }

    #[test]
    fn a_record_above_the_limit_is_refused_and_the_others_are_not() {
        assert_eq!(cut("{\"a\":1}\n{\"a\":123456}\n{\"b\":1}", 8), ["1 {\"a\":1}", "2 TooLong", "3 {\"b\":1}"]);
        assert_eq!(cut("[{\"a\":1},{\"a\":123456}]", 8), ["1 {\"a\":1}", "2 TooLong"]);
        assert_eq!(cut("{\"a\":123456}", 8), ["1 {\"a\":123456}"], "a document may hold many");
        assert_eq!(cut("{ \"Records\":[1,123456789]}", 8), ["1 1", "2 TooLong"], "each by itself");
        assert_eq!(
            cut("{\"Records\":[1],\"a\":2}", 8),
            ["1 {\"Records\":[1],\"a\":2}"],
            "many records in one document"
        );
    }

    #[test]
    fn ten_thousand_levels_are_only_bytes() {
        let deep = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
        let records: Vec<_> = Cuts::new(deep.into(), 1_000).collect();
        let [Cut { line: 1, body: Body::Refused { reason: Refusal::TooLong, .. } }] = &records[..] else {
            panic!("one record above the limit, not {records:?}");
        };
    }
}
