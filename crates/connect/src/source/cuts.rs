//! Cuts a posted body into records: lines, the elements of an array, or one document.
//!
//! Lazily, so that a body of a million tiny records costs no more memory than its bytes; and never failing:
//! what is not JSON becomes a record that the pipeline refuses, so that every byte is answered for.

use super::Body;
use super::brackets::{Brackets, value_end};
use super::lines::{Lines, within};

/// A body and how far it has been cut.
#[derive(Debug)]
pub(crate) struct Cuts {
    shape: Shape,
    bytes_max: usize,
}

#[derive(Debug)]
enum Shape {
    Lines(Lines),
    Array(Array),
    Document(Option<Vec<u8>>),
}

#[derive(Debug)]
struct Array {
    text: Vec<u8>,
    at: usize,
    /// Elements handed out so far.
    number: u64,
    part: Part,
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
    /// Finds the shape of `text`. A record above `bytes_max` is refused, except `{"Records":[…]}`, which
    /// is many records and has the body's own limit.
    pub(crate) fn new(text: Vec<u8>, bytes_max: usize) -> Self {
        let start = text.len() - text.trim_ascii_start().len();
        let shape = match text.get(start) {
            Some(b'[') => Shape::Array(Array { text, at: start + 1, number: 0, part: Part::Elements }),
            Some(b'{') if is_one_value(&text[start..]) => Shape::Document(Some(text)),
            _ => Shape::Lines(Lines::over(text, bytes_max)),
        };
        Self { shape, bytes_max }
    }
}

impl Iterator for Cuts {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        match &mut self.shape {
            Shape::Lines(lines) => {
                let line = lines.cut().or_else(|| lines.finish())?;
                Some(Cut { line: line.number, body: line.body })
            }
            Shape::Array(array) => array.next(self.bytes_max),
            Shape::Document(text) => {
                let text = text.take()?;
                let text = text.trim_ascii();
                let bytes_max = if holds_records(text) { usize::MAX } else { self.bytes_max };
                Some(Cut { line: 1, body: within(text, bytes_max) })
            }
        }
    }
}

fn is_one_value(text: &[u8]) -> bool {
    value_end(text).is_some_and(|end| text[end..].trim_ascii().is_empty())
}

/// Whether this is the wrapper that CloudTrail puts around its records.
fn holds_records(text: &[u8]) -> bool {
    text.strip_prefix(b"{").is_some_and(|inner| inner.trim_ascii_start().starts_with(b"\"Records\""))
}

impl Array {
    fn next(&mut self, bytes_max: usize) -> Option<Cut> {
        loop {
            let piece = match self.part {
                Part::Elements => self.element(),
                Part::Tail => {
                    self.part = Part::Nothing;
                    self.text[self.at..].trim_ascii()
                }
                Part::Unclosed => {
                    self.part = Part::Nothing;
                    b"["
                }
                Part::Nothing => return None,
            };
            if !piece.is_empty() {
                let body = within(piece, bytes_max);
                self.number += 1;
                return Some(Cut { line: self.number, body });
            }
        }
    }

    /// The text up to the next comma or closing bracket of this array.
    fn element(&mut self) -> &[u8] {
        let mut brackets = Brackets::default();
        let start = self.at;
        let mut end = start;
        self.part = Part::Unclosed;
        while let Some(byte) = self.text.get(end) {
            if brackets.outside() && matches!(byte, b',' | b']') {
                self.part = if *byte == b',' { Part::Elements } else { Part::Tail };
                break;
            }
            brackets.step(*byte);
            end += 1;
        }
        self.at = self.text.len().min(end + 1);
        self.text[start..end].trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Refusal;

    #[track_caller]
    fn cut(text: &str, bytes_max: usize) -> Vec<String> {
        Cuts::new(text.as_bytes().to_vec(), bytes_max)
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
            ("{\"a\":1}\n\n{\"b\":2}", vec!["1 {\"a\":1}", "3 {\"b\":2}"], "lines, blank ones counted"),
            ("{\n \"a\": 1\n}\n", vec!["1 {\n \"a\": 1\n}"], "one object over many lines"),
            ("[{\"a\":\",]\"}, [1,2] ,3]", vec!["1 {\"a\":\",]\"}", "2 [1,2]", "3 3"], "elements"),
            ("[]", vec![], "an empty array"),
            ("{\"a\":\n{\"b\":2}\n", vec!["1 {\"a\":", "2 {\"b\":2}"], "a broken line loses only itself"),
            ("{\"a\":\"x\n{\"b\":\"y\"}", vec!["1 {\"a\":\"x", "2 {\"b\":\"y\"}"], "an open string too"),
            ("[1,{\"b\":", vec!["1 1", "2 {\"b\":", "3 ["], "an array that was cut off is not accepted in silence"),
            ("[1] 2", vec!["1 1", "2 2"], "what follows an array is answered for"),
            ("nonsense", vec!["1 nonsense"], "no JSON at all"),
        ] {
            assert_eq!(cut(text, 100), records, "{reason}");
        }
    }

    #[test]
    fn a_record_above_the_limit_is_refused_and_the_others_are_not() {
        assert_eq!(cut("{\"a\":1}\n{\"a\":123456}\n{\"b\":1}", 8), ["1 {\"a\":1}", "2 TooLong", "3 {\"b\":1}"]);
        assert_eq!(cut("[{\"a\":1},{\"a\":123456}]", 8), ["1 {\"a\":1}", "2 TooLong"]);
        assert_eq!(cut("{\"a\":123456}", 8), ["1 TooLong"]);
        assert_eq!(cut("{ \"Records\":[1,2]}", 8), ["1 { \"Records\":[1,2]}"], "many records in one wrapper");
    }

    #[test]
    fn ten_thousand_levels_are_only_bytes() {
        let deep = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
        let records: Vec<_> = Cuts::new(deep.into_bytes(), 1_000).collect();
        let [Cut { line: 1, body: Body::Refused { reason: Refusal::TooLong, .. } }] = &records[..] else {
            panic!("one record above the limit, not {records:?}");
        };
    }
}
