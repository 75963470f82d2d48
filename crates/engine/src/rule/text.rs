//! Text as rules compare it: letter case aside unless the rule says `cased`.
//!
//! Patterns are folded once, when rules are compiled. A value in ASCII, nearly all of them, is compared in
//! place; any other value is folded first. Folding is Unicode's simple one, as in regular expressions: one
//! character becomes one, so that `?` in a pattern is one character of the event too.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Whether letter case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Case {
    /// `A` is `a`. Patterns must be [`fold`]ed.
    Ignored,
    /// `A` is not `a`.
    Exact,
}

/// Each character's simple folding, without regard to its neighbours, so that a part of a text folds as the
/// text does.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(fold_char).collect() }
}

/// As [`fold`], behind what `folded` holds already.
pub(super) fn fold_onto(text: &str, folded: &mut Vec<u8>) {
    if text.is_ascii() {
        let start = folded.len();
        folded.extend_from_slice(text.as_bytes());
        folded[start..].make_ascii_lowercase();
    } else {
        let chars = text.chars().map(fold_char);
        chars.for_each(|char| folded.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()));
    }
}

/// The one character that stands for all that differ from it in letter case only. It is the lower case, but for
/// characters that have several: those go where the most usual of them goes.
pub(super) fn fold_char(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_lowercase();
    }
    match char {
        // Its lower case is two characters; simple folding leaves it alone.
        '\u{130}' => char,
        '\u{b5}' => '\u{3bc}',
        '\u{17f}' => 's',
        '\u{345}' | '\u{1fbe}' => '\u{3b9}',
        // The sigma at the end of a word.
        '\u{3c2}' => '\u{3c3}',
        '\u{3d0}' => '\u{3b2}',
        '\u{3d1}' => '\u{3b8}',
        '\u{3d5}' => '\u{3c6}',
        '\u{3d6}' => '\u{3c0}',
        '\u{3f0}' => '\u{3ba}',
        '\u{3f1}' => '\u{3c1}',
        '\u{3f5}' => '\u{3b5}',
        '\u{1c80}' => '\u{432}',
        '\u{1c81}' => '\u{434}',
        '\u{1c82}' => '\u{43e}',
        '\u{1c83}' => '\u{441}',
        '\u{1c84}' | '\u{1c85}' => '\u{442}',
        '\u{1c86}' => '\u{44a}',
        '\u{1c87}' => '\u{463}',
        '\u{1c88}' => '\u{a64b}',
        '\u{1e9b}' => '\u{1e61}',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        other => {
            let mut lower = other.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(other)
        }
    }
}

impl Case {
    /// A pattern as the comparisons below want it.
    pub(super) fn pattern(self, text: &str) -> Box<str> {
        match self {
            Self::Ignored => fold(text).into(),
            Self::Exact => text.into(),
        }
    }

    /// A value as the comparisons below want it.
    pub(super) fn prepare(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Ignored if !text.is_ascii() => Cow::Owned(fold(text)),
            Self::Ignored | Self::Exact => Cow::Borrowed(text),
        }
    }

    /// A value as the plain comparisons of texts want it: folded unless letter case matters.
    pub(super) fn folded(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Ignored => Cow::Owned(fold(text)),
            Self::Exact => Cow::Borrowed(text),
        }
    }

    pub(super) fn compare(self, pattern: &str, prepared: &str) -> Ordering {
        match self {
            Self::Ignored => pattern.bytes().cmp(prepared.bytes().map(|byte| byte.to_ascii_lowercase())),
            Self::Exact => pattern.cmp(prepared),
        }
    }

    #[cfg(test)]
    fn equal(self, pattern: &str, prepared: &str) -> bool {
        self.same(pattern.as_bytes(), prepared.as_bytes())
    }

    pub(super) fn starts(self, pattern: &str, prepared: &str) -> bool {
        let head = prepared.as_bytes().get(..pattern.len());
        head.is_some_and(|head| self.same(pattern.as_bytes(), head))
    }

    pub(super) fn ends(self, pattern: &str, prepared: &str) -> bool {
        let start = prepared.len().checked_sub(pattern.len());
        start.is_some_and(|start| self.same(pattern.as_bytes(), &prepared.as_bytes()[start..]))
    }

    /// A character of a prepared text as patterns have it.
    pub(super) fn char(self, prepared: char) -> char {
        match self {
            Self::Ignored => prepared.to_ascii_lowercase(),
            Self::Exact => prepared,
        }
    }

    fn same(self, pattern: &[u8], prepared: &[u8]) -> bool {
        match self {
            Self::Ignored => pattern.eq_ignore_ascii_case(prepared),
            Self::Exact => pattern == prepared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_is_ignored_beyond_ascii() {
        for (pattern, value, expected, reason) in [
            ("ÉTÉ", "été", true, "accents"),
            ("Привет", "ПРИВЕТ", true, "another script"),
            ("k", "\u{212a}", true, "the Kelvin sign"),
            ("ΟΔΟΣ", "οδος", true, "the sigma at the end of a word"),
            ("Größe", "GRÖSSE", false, "ß is one character, SS are two"),
            ("i", "\u{130}", false, "so are the two that a dotted capital i consists of"),
        ] {
            let equal = Case::Ignored.equal(&Case::Ignored.pattern(pattern), &Case::Ignored.prepare(value));
            assert_eq!(equal, expected, "{pattern} {value}: {reason}");
        }
    }

    #[test]
    fn folding_joins_the_characters_that_regular_expressions_take_for_one() {
        use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
        let mut younger = Vec::new();
        for char in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
            class.case_fold_simple();
            let folded = fold_char(char);
            assert_eq!(fold_char(folded), folded, "{char:?} twice");
            let mut others = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            assert!(others.all(|other| fold_char(other) == folded), "{char:?} apart");
            if !class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&folded)) {
                younger.push(char);
            }
        }
        // Letters that the standard library's Unicode has and the expressions' has not yet.
        assert!(younger.len() <= 40, "{younger:?}");
    }

    #[test]
    fn exact_case_tells_letters_apart() {
        assert!(Case::Exact.equal("Root", "Root"));
        assert!(!Case::Exact.equal("Root", "root"));
        assert!(!Case::Exact.starts("Ro", "root"));
    }

    #[test]
    fn ends_are_found_within_characters_of_several_bytes() {
        let value = Case::Ignored.prepare("straße/ÄÖ");
        assert!(Case::Ignored.ends(&Case::Ignored.pattern("äÖ"), &value));
        assert!(!Case::Ignored.starts(&Case::Ignored.pattern("strasse"), &value));
    }
}
