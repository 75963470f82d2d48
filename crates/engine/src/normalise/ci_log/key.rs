//! Private keys that somebody printed: over many lines, of which only the first and the last say so.
//!
//! What stands between them has neither a name nor a shape of its own, so it is taken out here, where one line follows
//! another. A line that comes alone is known by its looks, as far as it has any.

use std::borrow::Cow;

use crate::alert::redact::is_key_text;

/// What takes the place of a line of a key.
const HIDDEN: &str = "[redacted private key]";

/// No key is longer; what follows is none although nobody said that it ended.
const LINES_MAX: u32 = 200;

/// How tools break the text of a key: 64 letters in PEM, 70 in OpenSSH's, 76 in mail; its last line is shorter. As long as a
/// secret key of AWS, which is one as well where it stands alone.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=76;

/// Whether the lines so far opened a key that is not closed, and since how many.
#[derive(Debug, Default)]
pub(super) struct Key {
    lines: Option<u32>,
}

impl Key {
    /// The line, or what may be told of it.
    pub(super) fn hide<'m>(&mut self, message: &'m str) -> Cow<'m, str> {
        if let Some(begin) = message.find("-----BEGIN ").filter(|begin| message[*begin..].contains("PRIVATE KEY")) {
            // One line may hold all of it, which is known by its shape.
            self.lines = (!message[begin..].contains("-----END ")).then_some(0);
            return Cow::Borrowed(message);
        }
        match &mut self.lines {
            Some(_) if message.contains("-----END ") => self.lines = None,
            Some(lines) if *lines < LINES_MAX => {
                *lines += 1;
                if message.trim().bytes().all(is_letter) {
                    return Cow::Borrowed(HIDDEN);
                }
            }
            Some(_) => self.lines = None,
            None if looks_like_key(message.trim()) => return Cow::Borrowed(HIDDEN),
            None => {}
        }
        Cow::Borrowed(message)
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// A whole line of base64: of letters of both cases and digits. A digest is as long, and of small letters only.
fn looks_like_key(line: &str) -> bool {
    WIDTHS.contains(&line.len()) && line.bytes().all(is_letter) && is_key_text(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_key_are_hidden_and_what_stands_beside_it_is_not() {
        let base64 = "aB3/".repeat(16);
        let short = &base64[..20];
        let mut key = Key::default();
        let lines = [
            ("before", "before"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----"),
            (&base64, HIDDEN),
            ("another process, meanwhile", "another process, meanwhile"),
            (short, HIDDEN),
            ("-----END OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"),
            (short, short),
            (&base64, HIDDEN),
            (&"0123456789abcdef".repeat(4), &"0123456789abcdef".repeat(4)),
        ];
        for (line, shown) in lines {
            assert_eq!(key.hide(line), shown);
        }
    }

    #[test]
    fn a_key_that_never_ends_hides_no_more_than_a_key() {
        let mut key = Key::default();
        key.hide("-----BEGIN PRIVATE KEY-----");
        let hidden = (0..1_000).filter(|_| key.hide("word") == HIDDEN).count();
        assert_eq!(hidden, 200);
    }
}
