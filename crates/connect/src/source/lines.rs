//! Cuts a stream of bytes into records: one a line, or the whole stream as one document.
//!
//! Never holds more than one record within the limit: of a longer one only the head is kept, however long
//! it is, and the next newline ends it.

use serde::Deserialize;

use super::{Body, HEAD_BYTES, Refusal};

/// What one record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// One record a line; CR LF is tolerated, blank lines are none.
    Lines,
    /// The whole content is one record, over however many lines.
    Document,
}

/// Bytes on their way to becoming records.
#[derive(Debug)]
pub(crate) struct Lines {
    framing: Framing,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the first uncut byte stands in `buffer`.
    start: usize,
    /// How far `buffer` has been searched for a newline.
    searched: usize,
    /// Where the line being read begins in the stream.
    offset: u64,
    /// Lines ended so far, blank ones included.
    number: u64,
    overlong: Option<Overlong>,
}

/// A line above the limit, whose bytes are no longer kept.
#[derive(Debug)]
struct Overlong {
    head: Vec<u8>,
    dropped: u64,
}

/// One record and where it stood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1, from where reading began.
    pub number: u64,
    /// Of its first byte.
    pub offset: u64,
    /// What the line held.
    pub body: Body,
}

impl Lines {
    /// Begins at `offset` of a stream.
    pub(crate) fn at(offset: u64, framing: Framing, bytes_max: usize) -> Self {
        Self { framing, bytes_max, buffer: Vec::new(), start: 0, searched: 0, offset, number: 0, overlong: None }
    }

    /// Adds what was read next. Call [`Lines::cut`] until it has nothing before adding more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record that is complete.
    pub(crate) fn cut(&mut self) -> Option<Line> {
        loop {
            let Some(newline) = self.newline() else {
                self.searched = self.buffer.len();
                // One byte more than the limit may still be the CR of a line that fits.
                if self.buffer.len() - self.start > self.bytes_max + 1 {
                    self.drop_bytes();
                }
                return None;
            };
            if let Some(line) = self.end_line(newline, newline + 1) {
                return Some(line);
            }
        }
    }

    /// What is left when no more will come: a last line without newline, or the document.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        self.end_line(self.buffer.len(), self.buffer.len())
    }

    /// What comes from here on is framed as `framing`.
    pub(crate) fn frame(&mut self, framing: Framing) {
        self.framing = framing;
        self.searched = self.start;
    }

    /// How records are framed now.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Where the first byte stands that no returned record, and no blank line before one, covers.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes fed that are not part of a returned record.
    pub(crate) fn pending(&self) -> u64 {
        let dropped = self.overlong.as_ref().map_or(0, |overlong| overlong.dropped);
        dropped + (self.buffer.len() - self.start) as u64
    }

    /// Lines ended so far.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes of the record being read that are still kept.
    pub(crate) fn unfinished(&self) -> &[u8] {
        match &self.overlong {
            Some(overlong) => &overlong.head,
            None => &self.buffer[self.start..],
        }
    }

    fn newline(&self) -> Option<usize> {
        match self.framing {
            Framing::Lines => {
                let found = memchr::memchr(b'\n', &self.buffer[self.searched..])?;
                Some(self.searched + found)
            }
            Framing::Document => None,
        }
    }

    fn drop_bytes(&mut self) {
        let uncut = &self.buffer[self.start..];
        let overlong = self.overlong.get_or_insert_with(|| Overlong { head: head(uncut), dropped: 0 });
        overlong.dropped += uncut.len() as u64;
        self.buffer.clear();
        self.start = 0;
        self.searched = 0;
    }

    /// Ends the line at `end`; the next one begins at `next`.
    fn end_line(&mut self, end: usize, next: usize) -> Option<Line> {
        let offset = self.offset;
        let length = self.pending() - (self.buffer.len() - next) as u64;
        let text = &self.buffer[self.start..end];
        let body = match self.overlong.take() {
            Some(overlong) => Some(Body::Refused { head: overlong.head, reason: Refusal::TooLong }),
            None => self.framing.record(text, self.bytes_max),
        };
        if length > 0 {
            self.number += 1;
        }
        self.offset += length;
        self.start = next;
        self.searched = next;
        Some(Line { number: self.number, offset, body: body? })
    }
}

impl Framing {
    /// The record that `text` is; none if it is blank.
    fn record(self, text: &[u8], bytes_max: usize) -> Option<Body> {
        let text = match self {
            Self::Lines => text.strip_suffix(b"\r").unwrap_or(text),
            Self::Document => text.trim_ascii(),
        };
        if text.trim_ascii().is_empty() {
            return None;
        }
        Some(within(text, bytes_max))
    }
}

/// The record as it is, or refused if it is above the limit.
pub(crate) fn within(text: &[u8], bytes_max: usize) -> Body {
    if text.len() > bytes_max {
        return Body::Refused { head: head(text), reason: Refusal::TooLong };
    }
    Body::Whole(text.to_vec().into())
}

/// What is kept of a record that is refused.
pub(crate) fn head(text: &[u8]) -> Vec<u8> {
    text[..text.len().min(HEAD_BYTES)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `offset text` of each record, cut from pieces of every size: borders must not matter.
    #[track_caller]
    fn cut(text: &[u8], bytes_max: usize) -> Vec<String> {
        let whole = cut_in_pieces(text, bytes_max, text.len().max(1));
        for piece in 1..text.len() {
            assert_eq!(cut_in_pieces(text, bytes_max, piece), whole, "pieces of {piece} bytes");
        }
        whole
    }

    fn cut_in_pieces(text: &[u8], bytes_max: usize, piece: usize) -> Vec<String> {
        let mut lines = Lines::at(0, Framing::Lines, bytes_max);
        let mut records = Vec::new();
        for bytes in text.chunks(piece) {
            lines.feed(bytes);
            while let Some(line) = lines.cut() {
                records.push(shown(line));
            }
        }
        records.extend(lines.finish().map(shown));
        assert_eq!(lines.offset(), text.len() as u64, "every byte is accounted for");
        assert_eq!(lines.pending(), 0);
        records
    }

    fn shown(line: Line) -> String {
        match line.body {
            Body::Whole(text) => format!("{}@{} {}", line.number, line.offset, text.escape_ascii()),
            Body::Refused { head, reason } => {
                format!("{}@{} {reason:?} {}", line.number, line.offset, head.escape_ascii())
            }
        }
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_blank_ones_are_none() {
        assert_eq!(cut(b"a\r\n\r\n  \nb\nlast", 100), ["1@0 a", "4@8 b", "5@10 last"]);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_above_is_refused_alone() {
        assert_eq!(cut(b"1234\n1234\r\n12345\nok\n", 4), ["1@0 1234", "2@5 1234", "3@11 TooLong 12345", "4@17 ok"]);
    }

    #[test]
    fn nul_bytes_and_bytes_that_are_no_text_pass_through() {
        assert_eq!(cut(b"a\0b\n\xff\n", 100), ["1@0 a\\x00b", "2@4 \\xff"]);
    }

    #[test]
    fn a_line_far_above_the_limit_leaves_only_its_head_in_memory() {
        let mut lines = Lines::at(0, Framing::Lines, 1_000);
        let piece = vec![b'x'; 64 * 1_024];
        for _ in 0..320 {
            lines.feed(&piece);
            assert_eq!(lines.cut(), None);
            assert!(lines.buffer.capacity() < 256 * 1_024, "the line is not kept");
        }
        lines.feed(b"\nnext\n");
        let refused = lines.cut().expect("the long line has ended");
        assert_eq!(refused.body, Body::Refused { head: vec![b'x'; HEAD_BYTES], reason: Refusal::TooLong });
        let next = lines.cut().expect("the next line is whole");
        assert_eq!((next.offset, next.body), (320 * 64 * 1_024 + 1, Body::Whole(b"next".to_vec().into())));
    }

    #[test]
    fn a_document_is_one_record_over_many_lines() {
        let mut lines = Lines::at(0, Framing::Document, 100);
        lines.feed(b"{\n  \"Records\": []\n");
        assert_eq!(lines.cut(), None);
        lines.feed(b"}\n\n");
        assert_eq!(lines.finish().map(shown), Some("1@0 {\\n  \\\"Records\\\": []\\n}".to_owned()));
        assert_eq!(lines.finish(), None);
    }
}
