//! The walk of [`super::found`] over a text that was never parsed.
//!
//! Most events match nothing. For those one pass is enough that checks the text and picks out the values which
//! rules name: parsing them into a document takes more time than all the rest.
//!
//! A skim says yes only to what the parser would read, to the same values. Whatever is rare it leaves to the
//! parser: escapes in names, halves of surrogate pairs, exponents, numbers of more than 17 characters, white space
//! other than blanks.

use sonic_rs::Number;

use super::found::{Found, Node, Tree};
use super::leaf::{Leaf, unit};

/// More digits than this may differ from parser to parser in the last place.
const NUMBER_BYTES_MAX: usize = 17;

struct Skim<'t, 'e> {
    tree: &'t Tree,
    /// Whether all strings are wanted.
    strings: bool,
    text: &'e str,
    /// The same.
    bytes: &'e [u8],
    at: usize,
}

/// A string without its quotes.
struct Quoted<'e> {
    text: &'e str,
    escaped: bool,
}

/// Takes in what `tree` finds in the text of one object; nothing if the parser has to look at it. The caller has
/// seen to it that the text holds no control character and no more brackets than may nest.
pub(super) fn skim<'e>(tree: &Tree, strings: bool, text: &'e str, found: &mut Found<'e>) -> Option<()> {
    let mut skim = Skim { tree, strings, text, bytes: text.as_bytes(), at: 0 };
    if skim.peek()? != b'{' {
        return None;
    }
    skim.value(Some(tree.root()?), found)?;
    (skim.at == text.len()).then_some(())
}

impl<'e> Skim<'_, 'e> {
    fn value(&mut self, node: Option<&Node>, found: &mut Found<'e>) -> Option<()> {
        let end = node.filter(|node| node.is_end());
        match self.peek()? {
            b'"' => {
                let quoted = self.string()?;
                let value = if quoted.escaped { Leaf::Escaped(quoted.text) } else { Leaf::Text(quoted.text) };
                self.take(end, value, found);
            }
            b'{' => return self.object(node, found),
            b'[' => return self.array(node, found),
            b't' => self.word("true", Leaf::Bool(true), end, found)?,
            b'f' => self.word("false", Leaf::Bool(false), end, found)?,
            b'n' => self.word("null", Leaf::Null, end, found)?,
            _ => {
                let digits = self.number()?;
                self.take(end, number(digits)?, found);
            }
        }
        Some(())
    }

    /// Takes in a string or number, if anybody asks for it.
    fn take(&self, end: Option<&Node>, value: Leaf<'e>, found: &mut Found<'e>) {
        if self.strings {
            found.push_string(end, value);
        } else if let Some(end) = end {
            end.push(value, found);
        }
    }

    fn object(&mut self, node: Option<&Node>, found: &mut Found<'e>) -> Option<()> {
        if let Some(node) = node {
            node.push(Leaf::Object, found);
        }
        self.at += 1;
        if self.next_is(b'}') {
            return Some(());
        }
        loop {
            self.skip_blanks();
            let name = self.string().filter(|name| !name.escaped)?;
            if !self.next_is(b':') {
                return None;
            }
            self.skip_blanks();
            let child = node.and_then(|node| self.tree.enter(node, name.text, found));
            if child.is_some_and(Node::is_odd) {
                return None;
            }
            self.value(child, found)?;
            if self.next_is(b',') {
                continue;
            }
            return self.next_is(b'}').then_some(());
        }
    }

    fn array(&mut self, node: Option<&Node>, found: &mut Found<'e>) -> Option<()> {
        if let Some(node) = node {
            if node.is_single() {
                return None;
            }
            node.touch(found);
        }
        self.at += 1;
        if self.next_is(b']') {
            return Some(());
        }
        loop {
            self.skip_blanks();
            self.value(node, found)?;
            if self.next_is(b',') {
                continue;
            }
            return self.next_is(b']').then_some(());
        }
    }

    fn word(&mut self, word: &str, value: Leaf<'e>, end: Option<&Node>, found: &mut Found<'e>) -> Option<()> {
        if !self.bytes.get(self.at..)?.starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        if let Some(end) = end {
            end.push(value, found);
        }
        Some(())
    }

    /// A string from its opening quote to behind its closing one.
    fn string(&mut self) -> Option<Quoted<'e>> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let (mut end, mut mark) = next_mark(self.bytes, start)?;
        let escaped = mark == b'\\';
        while mark == b'\\' {
            end += escape(&self.bytes[end..])?;
            (end, mark) = next_mark(self.bytes, end)?;
        }
        self.at = end + 1;
        Some(Quoted { text: self.text.get(start..end)?, escaped })
    }

    fn number(&mut self) -> Option<&'e str> {
        let start = self.at;
        self.at += usize::from(self.peek()? == b'-');
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.bytes[self.at - whole] == b'0') {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        let text = &self.text[start..self.at];
        // The parser reads -0.0 as 0.0.
        let odd = text.starts_with("-0") || matches!(self.peek(), Some(b'e' | b'E'));
        let plain = text.len() <= NUMBER_BYTES_MAX && !odd;
        plain.then_some(text)
    }

    /// Steps over digits; how many.
    fn digits(&mut self) -> usize {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over this byte if it follows, after blanks or at once.
    fn next_is(&mut self, byte: u8) -> bool {
        if self.peek() == Some(b' ') {
            self.skip_blanks();
        }
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }
}

/// Where the next quote or backslash stands, and which it is; eight bytes at a time.
fn next_mark(bytes: &[u8], mut at: usize) -> Option<(usize, u8)> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The lowest zero byte of a word shows as its highest bit; what lies above it does not matter.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| word.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        let marks = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if marks != 0 {
            let place = marks.trailing_zeros() / 8;
            #[expect(clippy::cast_possible_truncation, reason = "the byte at that place is wanted")]
            return Some((at + place as usize, (word >> (8 * place)) as u8));
        }
        at += 8;
    }
    let place = bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some((at + place, bytes[at + place]))
}

/// The length of one escape that the parser would read.
fn escape(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => unit(text.get(2..6)?).map(|_| 6),
        _ => None,
    }
}

fn number(digits: &str) -> Option<Leaf<'_>> {
    if !digits.contains('.') {
        return Some(Leaf::Digits(digits));
    }
    Number::from_f64(digits.parse().ok()?).map(Leaf::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sonic_rs::Value;

    use super::*;
    use crate::field::{FieldId, Path};

    const PATHS: [&str; 4] = ["a", "b.c", "a.b", "c"];

    fn tree() -> Tree {
        let paths = PATHS.map(Path::new);
        Tree::new((0..).map(FieldId).zip(&paths))
    }

    /// The values of the four fields and all strings, as text that tells sorts apart.
    fn texts(found: &Found<'_>) -> Vec<Vec<String>> {
        let of = |field| {
            let said = |value: &Leaf<'_>| match value {
                Leaf::Text(_) | Leaf::Escaped(_) => format!("{:?}", value.with_text(str::to_owned)),
                Leaf::Digits(digits) => {
                    assert_eq!(Some(*digits), value.with_text(str::to_owned).as_deref());
                    format!("{:?}", Leaf::of(&sonic_rs::from_str(digits).unwrap()))
                }
                other => format!("{other:?}"),
            };
            let mut texts: Vec<String> = found.of(FieldId(field)).map(said).collect();
            texts.push(found.exists(FieldId(field)).to_string());
            texts
        };
        let strings = found.strings().map(|value| value.with_text(str::to_owned).unwrap());
        (0..4).map(of).chain([strings.collect()]).collect()
    }

    fn skimmed(text: &str) -> Option<Vec<Vec<String>>> {
        let mut found = Found::start(PATHS.len(), Found::default());
        skim(&tree(), true, text, &mut found)?;
        Some(texts(&found))
    }

    fn parsed(text: &str) -> Option<Vec<Vec<String>>> {
        let document: Value = sonic_rs::from_str(text).ok()?;
        let mut found = Found::start(PATHS.len(), Found::default());
        found.read(&tree(), true, &document);
        Some(texts(&found))
    }

    fn json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "-?[0-9]{1,3}(\\.[0-9]{1,2})?",
            proptest::sample::select(vec!["true", "false", "null", "\"\"", "0", "-1.50", "18446744073709551615"])
                .prop_map(str::to_owned),
            "\"([ -!#-\\[\\]-~äß]|\\\\n|\\\\\"|\\\\\\\\|\\\\u00e4|\\\\/){0,12}\"",
        ];
        scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
                proptest::collection::vec(
                    (proptest::sample::select(vec!["a", "b", "c", "a.b", "dddddddd"]), inner),
                    0..4
                )
                .prop_map(|members| {
                    let members: Vec<String> =
                        members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_skimmed_is_what_would_be_parsed(value in json()) {
            let text = format!("{{\"a\":{value}}}");
            if let Some(skimmed) = skimmed(&text) {
                prop_assert_eq!(Some(skimmed), parsed(&text), "{}", text);
            }
        }

        #[test]
        fn what_the_parser_refuses_is_not_skimmed(value in json(), place: usize, byte in " -~", cut: bool) {
            let mut text = format!("{{\"a\":{value}}}");
            let place = text.floor_char_boundary(place % text.len());
            if cut { text.truncate(place) } else { text.insert_str(place, &byte) }
            if let Some(skimmed) = skimmed(&text) {
                prop_assert_eq!(Some(skimmed), parsed(&text), "{}", text);
            }
        }
    }

    #[test]
    fn ordinary_records_are_skimmed() {
        for (text, why) in [
            (r#"{"a":"x","b":{"c":[1,2.5,-3]},"d":null,"e":true,"f":false}"#, "every sort of value"),
            (r#"{"a" : "x" , "b" : [ ] , "c" : { } }"#, "blanks"),
            (r#"{"a":"say \"hi\" \\ \u00e4","z":"\n"}"#, "escapes"),
        ] {
            assert_eq!(skimmed(text), parsed(text), "{why}");
            assert!(skimmed(text).is_some(), "{why}");
        }
    }

    #[test]
    fn what_is_rare_or_wrong_is_left_to_the_parser() {
        for text in [
            r#"{"a":1e3}"#,
            r#"{"\u0061":1}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":01}"#,
            r#"{"a":1} x"#,
            r#"{"a":"#,
            "[]",
            "",
            r#"{"a":tru}"#,
            r#"{"a":1,}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":123456789012345678}"#,
            r#"{"a" "b"}"#,
            r#"{"a":-}"#,
        ] {
            assert_eq!(skimmed(text), None, "{text}");
        }
    }
}
