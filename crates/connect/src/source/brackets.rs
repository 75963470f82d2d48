//! Follows JSON brackets and strings byte by byte, so that text can be cut into records without being
//! parsed: ten thousand levels deep is only a number here.

/// How deep the bytes so far have gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Brackets {
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Brackets {
    /// Takes the next byte.
    pub(crate) fn step(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
            return;
        }
        match (self.string, byte) {
            (true, b'\\') => self.escaped = true,
            (true, b'"') => self.string = false,
            (true, _) => {}
            (false, b'"') => self.string = true,
            (false, b'{' | b'[') => self.depth += 1,
            (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            (false, _) => {}
        }
    }

    /// How many of the next bytes change nothing, as they are plain text of a string: most of a log is.
    pub(crate) fn plain(self, next: &[u8]) -> usize {
        if !self.string || self.escaped {
            return 0;
        }
        memchr::memchr3(b'"', b'\\', b'\n', next).unwrap_or(next.len())
    }

    /// Whether the bytes so far stand outside every bracket and string.
    pub(crate) fn outside(self) -> bool {
        self.depth == 0 && !self.string
    }

    /// Whether the bytes so far end within a string.
    pub(crate) fn in_string(self) -> bool {
        self.string
    }
}

/// Where the value ends that `text` begins with, if it ends: an object or an array.
///
/// None too if a line ends within a string, which no JSON allows: that text is lines, one of them broken.
pub(crate) fn value_end(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return None;
    }
    let (mut brackets, mut at) = (Brackets::default(), 0);
    while let Some(byte) = text.get(at) {
        if *byte == b'\n' && brackets.in_string() {
            return None;
        }
        brackets.step(*byte);
        at += 1;
        if brackets.outside() {
            return Some(at);
        }
        at += brackets.plain(&text[at..]);
    }
    None
}

/// Whether a first line that is whole is followed by another: then the text is lines, whatever its name says.
#[must_use]
pub fn is_lines(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    value_end(text).is_some_and(|end| {
        let rest = text[end..].trim_ascii_start();
        !rest.is_empty() && text[end..text.len() - rest.len()].contains(&b'\n')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_with_the_bracket_that_it_began_with() {
        for (text, end, reason) in [
            (r#"{"a":1} tail"#, Some(7), "first object only"),
            (r#"{"a":"}\"]"}"#, Some(12), "brackets and quotes within strings are text"),
            (r#"{"a":"\\"}"#, Some(10), "an escaped backslash does not escape the quote"),
            (r#"{"a":[1,{"b":2}]"#, None, "one bracket is open"),
            ("{\"a\":\"x\n\"}", None, "no string spans lines"),
            ("12", None, "a number has no end of its own"),
            ("", None, "nothing"),
        ] {
            assert_eq!(value_end(text.as_bytes()), end, "{reason}: {text}");
        }
        let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
        assert_eq!(value_end(&deep), Some(20_000));
    }
}
