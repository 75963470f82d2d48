//! One value of a document, as rules look at it, whether the document was parsed or only skimmed.

use std::fmt::{self, Write};

use sonic_rs::{JsonValueTrait, Number, Value};

use super::text::fold_onto;
use crate::field;

/// A value that is no array: of an array rules look at each element.
#[derive(Clone, Debug)]
pub(super) enum Leaf<'e> {
    Text(&'e str),
    /// A string as it stands in the text, with escapes that the parser would read: decoded only if it is asked for.
    Escaped(&'e str),
    Number(Number),
    /// A whole number as it stands in the text, which is as JSON writes it: most numbers are never counted with.
    Digits(&'e str),
    /// A number that no machine type holds as it is: an integer beyond 64 bits, or `1e400`.
    Long(Box<str>),
    /// A text that stands in no record: what is known of its address.
    Known(Box<str>),
    Bool(bool),
    Null,
    /// An object: it is there, but it is no text.
    Object,
}

impl<'e> Leaf<'e> {
    /// What a parsed value is; an array, of which this is not asked, is taken for nothing.
    pub(super) fn of(value: &'e Value) -> Self {
        if let Some(text) = value.as_str() {
            return Self::Text(text);
        }
        if let Some(digits) = field::digits(value) {
            return Self::Long(digits);
        }
        if let Some(number) = value.as_number() {
            return Self::Number(number);
        }
        match value.as_bool() {
            Some(flag) => Self::Bool(flag),
            None if value.is_object() => Self::Object,
            None => Self::Null,
        }
    }

    /// Hands a scalar's text to `read` without allocating: strings as they are, numbers and booleans as JSON
    /// writes them. Null and objects have none.
    pub(super) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> Option<T> {
        match self {
            Self::Text(text) | Self::Digits(text) => Some(read(text)),
            Self::Long(text) | Self::Known(text) => Some(read(text)),
            Self::Escaped(text) => {
                let mut decoded = String::with_capacity(text.len());
                decode_onto(text, &mut decoded);
                Some(read(&decoded))
            }
            Self::Bool(flag) => Some(read(if *flag { "true" } else { "false" })),
            Self::Number(number) => {
                let mut digits = Digits { bytes: [0; Digits::LENGTH], length: 0 };
                match write!(digits, "{number}") {
                    Ok(()) => str::from_utf8(&digits.bytes[..digits.length]).ok().map(read),
                    Err(fmt::Error) => Some(read(&number.to_string())),
                }
            }
            Self::Null | Self::Object => None,
        }
    }
}

/// The folded text of a string with sound escapes, behind what `folded` holds already.
pub(super) fn decode_folded(text: &str, folded: &mut Vec<u8>) {
    let start = folded.len();
    if text.is_ascii() {
        folded.extend_from_slice(text.as_bytes());
        if let Some(length) = drop_marks(&mut folded[start..]) {
            folded.truncate(start + length);
            folded[start..].make_ascii_lowercase();
            return;
        }
        folded.truncate(start);
    }
    let mut decoded = String::with_capacity(text.len());
    decode_onto(text, &mut decoded);
    fold_onto(&decoded, folded);
}

/// Drops the backslash of each escape, and answers how much is left; nothing if one stands for another character than
/// the one behind it. Nearly every path of a Windows log is escaped, at places that nothing foretells: so there is no
/// branch here.
fn drop_marks(text: &mut [u8]) -> Option<usize> {
    let (mut kept, mut escaped, mut others) = (0, false, false);
    for at in 0..text.len() {
        let byte = text[at];
        others |= escaped & !matches!(byte, b'\\' | b'"' | b'/');
        escaped = !escaped & (byte == b'\\');
        text[kept] = byte;
        kept += usize::from(!escaped);
    }
    (!others).then_some(kept)
}

/// What a string with sound escapes says, behind what `decoded` holds already.
fn decode_onto(text: &str, decoded: &mut String) {
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        decoded.push_str(plain);
        let mut length = 1;
        decoded.push(match escape.as_bytes().first() {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                length = 5;
                escape.as_bytes().get(1..5).and_then(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(mark) => char::from(*mark),
            None => return,
        });
        rest = escape.get(length..).unwrap_or_default();
    }
    decoded.push_str(rest);
}

/// Four hexadecimal digits that are a character by themselves.
pub(super) fn unit(digits: &[u8]) -> Option<char> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    char::from_u32(u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?)
}

/// Room for the text of any integer of 64 bits and for the shortest text of any real.
struct Digits {
    bytes: [u8; Self::LENGTH],
    length: usize,
}

impl Digits {
    const LENGTH: usize = 32;
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_text_is_what_the_decoded_one_folds_to() {
        for (text, folded, why) in [
            (r"C:\\Windows\\System32", r"c:\windows\system32", "a path"),
            (r#"say \"Hi\" \/"#, r#"say "hi" /"#, "quotes"),
            (r"\\\\Host\\n", r"\\host\n", "an escaped backslash escapes nothing"),
            (r"A\nB\u0041\u00C4", "a\nbaä", "other characters"),
            (r"Ä\\B", r"ä\b", "beyond ASCII"),
            ("", "", "nothing"),
        ] {
            let mut onto = b"x".to_vec();
            decode_folded(text, &mut onto);
            assert_eq!(String::from_utf8(onto).unwrap(), format!("x{folded}"), "{why}");
        }
    }

    #[test]
    fn scalars_read_as_json_writes_them() {
        for (json, text) in [
            ("\"x\"", Some("x")),
            ("443", Some("443")),
            ("-1.5", Some("-1.5")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("-1.7976931348623157e308", Some("-1.7976931348623157e+308")),
            ("true", Some("true")),
            ("null", None),
            ("{}", None),
        ] {
            let value: Value = sonic_rs::from_str(json).unwrap();
            assert_eq!(Leaf::of(&value).with_text(str::to_owned).as_deref(), text);
        }
    }
}
