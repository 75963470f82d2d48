//! Cuts a stream of bytes into messages of syslog.
//!
//! RFC 6587 knows two ways: the length in front, or a newline behind. Senders do not say which one they use, so each message
//! is looked at by itself. Never holds more than one message within the limit; of a longer one the head is kept and the
//! rest passed over, so that the next one is found again.

use crate::source::lines::head;
use crate::source::{Body, HEAD_BYTES, Refusal};

/// Digits of the longest length that is taken for one.
const DIGITS_MAX: usize = 10;

/// Bytes on their way to becoming messages.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Where the first byte stands that belongs to no message yet.
    start: usize,
    /// How far the message that begins there was searched for its end.
    searched: usize,
    bytes_max: usize,
    passing: Passing,
}

/// What of a message above the limit is still to come.
#[derive(Debug)]
enum Passing {
    Nothing,
    /// So many bytes.
    Counted {
        left: u64,
        head: Vec<u8>,
    },
    /// All up to the end of the line.
    Line {
        head: Vec<u8>,
    },
}

/// What stands in front of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// Its length, and how many bytes that takes with the blank behind it.
    Is { length: u64, digits: usize },
    /// Perhaps a length that has not come whole.
    Unclear,
    /// No length: a newline ends it.
    No,
}

impl Count {
    fn of(text: &[u8]) -> Self {
        let digits = text.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > DIGITS_MAX || text[0] == b'0' {
            return Self::No;
        }
        // `2026-11-20 …` and `12 lines` are no lengths: a message begins with its priority, or is JSON.
        match (text.get(digits), text.get(digits + 1)) {
            (None, _) | (Some(b' '), None) => Self::Unclear,
            (Some(b' '), Some(b'<' | b'{' | b'@')) => {
                let length = text[..digits].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                Self::Is { length, digits: digits + 1 }
            }
            (Some(_), _) => Self::No,
        }
    }
}

impl Frames {
    /// Refuses messages above `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, bytes_max, passing: Passing::Nothing }
    }

    /// Adds what was read next. Call [`Frames::cut`] until it has nothing before adding more.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is complete.
    pub(super) fn cut(&mut self) -> Option<Body> {
        match std::mem::replace(&mut self.passing, Passing::Nothing) {
            Passing::Nothing => {}
            Passing::Counted { left, head } => {
                let here = u64::try_from(self.buffer.len() - self.start).unwrap_or(u64::MAX).min(left);
                self.skip(usize::try_from(here).unwrap_or(usize::MAX));
                if here < left {
                    self.passing = Passing::Counted { left: left - here, head };
                    return None;
                }
                return Some(Body::Refused { head, reason: Refusal::TooLong });
            }
            Passing::Line { head } => {
                let Some(length) = end_of_line(&self.buffer[self.start..]) else {
                    self.skip(self.buffer.len() - self.start);
                    self.passing = Passing::Line { head };
                    return None;
                };
                self.skip(length + 1);
                return Some(Body::Refused { head, reason: Refusal::TooLong });
            }
        }
        self.skip_blanks();
        match Count::of(&self.buffer[self.start..]) {
            Count::Unclear => None,
            Count::Is { length, digits } => self.counted(length, digits),
            Count::No => self.line(),
        }
    }

    /// What is left when no more will come. A line may do without its end; a counted message that broke off is refused.
    pub(super) fn finish(&mut self) -> Option<Body> {
        let refused = |head, reason| Some(Body::Refused { head, reason });
        match std::mem::replace(&mut self.passing, Passing::Nothing) {
            Passing::Counted { head, .. } | Passing::Line { head } => return refused(head, Refusal::TooLong),
            Passing::Nothing => {}
        }
        let rest = &self.buffer[self.start..];
        if rest.trim_ascii().is_empty() {
            return None;
        }
        match Count::of(rest) {
            Count::Is { digits, .. } => refused(head(&rest[digits..]), Refusal::Corrupt),
            Count::Unclear | Count::No => Some(Body::Whole(rest.trim_ascii().to_vec().into())),
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.start += bytes;
        self.searched = self.start;
    }

    /// Some senders put a newline behind a counted message too, and blank lines are no messages.
    fn skip_blanks(&mut self) {
        let rest = &self.buffer[self.start..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | b'\0' | b' ')).count();
        if blanks > 0 {
            self.skip(blanks);
        }
    }

    fn counted(&mut self, length: u64, digits: usize) -> Option<Body> {
        let begin = self.start + digits;
        let here = &self.buffer[begin..];
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= self.bytes_max) else {
            // A head takes part of a long one, and that much is waited for.
            if here.len() < HEAD_BYTES && (here.len() as u64) < length {
                return None;
            }
            let most = usize::try_from(length).unwrap_or(usize::MAX).min(HEAD_BYTES);
            let head = here[..here.len().min(most)].to_vec();
            self.skip(digits);
            self.passing = Passing::Counted { left: length, head };
            return self.cut();
        };
        let message = here.get(..length)?.to_vec();
        self.skip(digits + length);
        Some(Body::Whole(message.into()))
    }

    fn line(&mut self) -> Option<Body> {
        let Some(length) = end_of_line(&self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            let rest = &self.buffer[self.start..];
            // One byte more than the limit may still be the CR of a line that fits.
            if rest.len() > self.bytes_max + 1 {
                self.passing = Passing::Line { head: head(rest) };
                self.skip(self.buffer.len() - self.start);
            }
            return None;
        };
        let end = self.searched + length;
        let line = self.buffer[self.start..end].trim_ascii_end();
        let body = crate::source::lines::within(line, self.bytes_max);
        self.skip(end + 1 - self.start);
        Some(body)
    }
}

/// A newline, or the zero byte with which `syslog(3)` ends what it writes into a stream.
fn end_of_line(text: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\0', text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a text, cut from pieces of every size: borders must not matter.
    #[track_caller]
    fn cut(text: &[u8], bytes_max: usize) -> Vec<String> {
        let whole = cut_in_pieces(text, bytes_max, text.len().max(1));
        for piece in 1..text.len() {
            assert_eq!(cut_in_pieces(text, bytes_max, piece), whole, "pieces of {piece} bytes");
        }
        whole
    }

    fn cut_in_pieces(text: &[u8], bytes_max: usize, piece: usize) -> Vec<String> {
        let mut frames = Frames::new(bytes_max);
        let mut messages = Vec::new();
        for bytes in text.chunks(piece) {
            frames.feed(bytes);
            while let Some(body) = frames.cut() {
                messages.push(shown(&body));
            }
        }
        messages.extend(frames.finish().as_ref().map(shown));
        messages
    }

    fn shown(body: &Body) -> String {
        match body {
            Body::Whole(text) => text.escape_ascii().to_string(),
            Body::Refused { head, reason } => format!("{reason:?} {}", head.escape_ascii()),
        }
    }

    #[test]
    fn each_message_says_by_itself_where_it_ends() {
        for (text, messages, reason) in [
            (&b"<13>a\n<13>b\r\n\n<13>c"[..], vec!["<13>a", "<13>b", "<13>c"], "newlines, the last one missing"),
            (b"5 <13>a7 <13>b\nc", vec!["<13>a", "<13>b\\nc"], "lengths: a newline is part of the message"),
            (b"5 <13>a\n5 <13>b\n", vec!["<13>a", "<13>b"], "both"),
            (b"5 <13>a<13>b\n5 <13>c", vec!["<13>a", "<13>b", "<13>c"], "one after the other"),
            (b"<13>a\0<13>b\0", vec!["<13>a", "<13>b"], "as syslog(3) writes into a stream"),
            (b"{\"a\":1}\n7 {\"a\":2}", vec!["{\"a\":1}", "{\"a\":2}"], "no syslog at all"),
            (b"12 monkeys\n2026-11-20 x\n007 <13>\n", vec!["12 monkeys", "2026-11-20 x", "007 <13>"], "no lengths"),
            (b"99999999999 <13>a\n", vec!["99999999999 <13>a"], "longer than any length"),
            (b"\xff\xfe\n", vec!["\\xff\\xfe"], "bytes that are no text"),
            (b"", vec![], "nothing"),
            (b"9 <13>a", vec!["Corrupt <13>a"], "a message that broke off"),
            (b"123", vec!["123"], "digits alone"),
        ] {
            let messages: Vec<String> = messages.into_iter().map(str::to_owned).collect();
            let found: Vec<String> = cut(text, 100).into_iter().map(|text| text.replace("\\\"", "\"")).collect();
            assert_eq!(found, messages, "{reason}");
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused_with_its_head_and_the_next_one_is_found() {
        for (text, messages, reason) in [
            (&b"12 <13>12345678<13>b\n"[..], ["TooLong <13>12345678", "<13>b"], "by its length"),
            (b"<13>1234567\n<13>b\n", ["TooLong <13>1234567", "<13>b"], "by its end"),
            (b"<13>1234\r\n<13>b\n", ["<13>1234", "<13>b"], "one that just fits"),
            (b"8 <13>12348 <13>5678", ["<13>1234", "<13>5678"], "the same by its length"),
        ] {
            let piecewise = cut_in_pieces(text, 8, 3);
            let heads: Vec<&str> = piecewise.iter().map(|text| &text[..text.len().min(12)]).collect();
            assert_eq!(cut_in_pieces(text, 8, 1_000), messages, "{reason}");
            assert!(heads[0].starts_with(&messages[0][..8]) && heads[1] == messages[1], "{reason}: {piecewise:?}");
        }
    }

    #[test]
    fn a_message_of_gigabytes_leaves_only_its_head_in_memory() {
        for begin in [&b"9999999999 <13>"[..], b"<13>"] {
            let mut frames = Frames::new(1_000);
            frames.feed(begin);
            let piece = vec![b'x'; 64 * 1_024];
            for _ in 0..320 {
                frames.feed(&piece);
                assert_eq!(frames.cut(), None);
                assert!(frames.buffer.capacity() < 256 * 1_024, "it is not kept");
            }
            let Some(Body::Refused { head, reason: Refusal::TooLong }) = frames.finish() else { panic!("refused") };
            assert_eq!(head.len(), HEAD_BYTES);
        }
    }
}
