//! Text as rules compare it: letter case aside unless the rule says `cased`.
//!
//! Patterns are folded once, when rules are compiled. A value in ASCII, nearly all of them, is compared in
//! place; any other value is folded first.

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

/// Each character's lower case, without regard to its neighbours, so that a part of a text folds as the
/// text does.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

/// As [`fold`], behind what `folded` holds already.
pub(super) fn fold_onto(text: &str, folded: &mut Vec<u8>) {
    if text.is_ascii() {
        let start = folded.len();
        folded.extend_from_slice(text.as_bytes());
        folded[start..].make_ascii_lowercase();
    } else {
        let chars = text.chars().flat_map(char::to_lowercase);
        chars.for_each(|char| folded.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()));
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

    pub(super) fn equal(self, pattern: &str, prepared: &str) -> bool {
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

    pub(super) fn contains(self, pattern: &str, prepared: &str) -> bool {
        match self {
            Self::Ignored => fold(prepared).contains(pattern),
            Self::Exact => prepared.contains(pattern),
        }
    }

    pub(super) fn same_char(self, pattern: char, prepared: char) -> bool {
        match self {
            Self::Ignored => pattern == prepared.to_ascii_lowercase(),
            Self::Exact => pattern == prepared,
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
        for (pattern, value) in [("Größe", "GRÖSSE"), ("ÉTÉ", "été"), ("Привет", "ПРИВЕТ"), ("k", "\u{212a}")]
        {
            let equal = Case::Ignored.equal(&Case::Ignored.pattern(pattern), &Case::Ignored.prepare(value));
            // ß has no single upper-case letter, so lower case does not bring SS back to it.
            assert_eq!(equal, value != "GRÖSSE", "{pattern} {value}");
        }
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
