//! Patterns with wildcards.

use super::text::Case;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Unit {
    /// This character.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, or none.
    Many,
    /// Any of the marks that Windows tools take for the start of an option (`windash`).
    Dash,
}

pub(super) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Most units of a pattern with wildcards: what bounds the time that one character of a text takes.
pub(super) const UNITS_MAX: usize = 4_096;
/// Tables pay for texts and pieces of more than this many steps.
const STEPS_PLAIN: usize = 4_096;

/// Whether the whole of `prepared` fits the pattern. What stands before the first `*` and behind the last must be
/// there; of the pieces between, each is taken where it is found first, which leaves most for those after it.
pub(super) fn fits(units: &[Unit], case: Case, prepared: &str) -> bool {
    let mut pieces = units.split(|unit| *unit == Unit::Many);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = head(first, case, prepared) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    let Some(start) = behind(rest, last.len()) else { return false };
    if head(last, case, &rest[start..]).is_none() {
        return false;
    }
    rest = &rest[..start];
    for piece in pieces {
        let Some(after) = find(piece, case, rest) else { return false };
        rest = after;
    }
    true
}

/// Where the last so many characters begin.
fn behind(text: &str, characters: usize) -> Option<usize> {
    match characters.checked_sub(1) {
        None => Some(text.len()),
        Some(before) => text.char_indices().rev().nth(before).map(|(at, _)| at),
    }
}

/// What is left of a text that begins with this piece.
fn head<'t>(piece: &[Unit], case: Case, text: &'t str) -> Option<&'t str> {
    let mut rest = text.chars();
    let begins = piece.iter().all(|unit| rest.next().is_some_and(|next| unit.takes(case, next)));
    begins.then_some(rest.as_str())
}

/// What is left of a text behind the first place where this piece is found.
fn find<'t>(piece: &[Unit], case: Case, text: &'t str) -> Option<&'t str> {
    if piece.len().saturating_mul(text.len()) > STEPS_PLAIN {
        return Table::new(piece).find(case, text);
    }
    let mut from = text.chars();
    loop {
        if let Some(rest) = head(piece, case, from.as_str()) {
            return Some(rest);
        }
        from.next()?;
    }
}

/// A piece as bits, one for each unit: every beginning of it is followed through the text at once (the shift-and
/// algorithm, Baeza-Yates and Gonnet 1992). One place after the other would take piece times text steps.
struct Table {
    /// Which units take a character; sorted.
    takes: Vec<(char, Vec<u64>)>,
    /// Which take any.
    any: Vec<u64>,
    units: usize,
}

impl Table {
    fn new(piece: &[Unit]) -> Self {
        let words = piece.len().div_ceil(64);
        let mut table = Self { takes: Vec::new(), any: vec![0; words], units: piece.len() };
        let named = piece.iter().filter_map(|unit| if let Unit::Char(char) = unit { Some(*char) } else { None });
        let mut chars: Vec<char> = named.chain(DASHES).collect();
        chars.sort_unstable();
        chars.dedup();
        table.takes = chars.into_iter().map(|char| (char, vec![0; words])).collect();
        for (place, unit) in piece.iter().enumerate() {
            let (word, bit) = (place / 64, 1 << (place % 64));
            match unit {
                Unit::One | Unit::Many => table.any[word] |= bit,
                Unit::Char(only) => table.take(*only, word, bit),
                Unit::Dash => DASHES.into_iter().for_each(|dash| table.take(dash, word, bit)),
            }
        }
        table
    }

    fn take(&mut self, char: char, word: usize, bit: u64) {
        if let Ok(place) = self.takes.binary_search_by_key(&char, |(known, _)| *known) {
            self.takes[place].1[word] |= bit;
        }
    }

    fn find<'t>(&self, case: Case, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        if self.units == 0 {
            return Some(text);
        }
        let mut begun = vec![0_u64; self.any.len()];
        while let Some(next) = rest.next() {
            let next = case.char(next);
            let taken = self.takes.binary_search_by_key(&next, |(known, _)| *known).ok();
            let taken = taken.map(|place| &self.takes[place].1);
            // A new beginning at each character.
            let mut carry = 1;
            for (word, begun) in begun.iter_mut().enumerate() {
                let shifted = *begun << 1 | carry;
                carry = *begun >> 63;
                *begun = shifted & (self.any[word] | taken.map_or(0, |taken| taken[word]));
            }
            let last = self.units - 1;
            if begun[last / 64] >> (last % 64) & 1 == 1 {
                return Some(rest.as_str());
            }
        }
        None
    }
}

impl Unit {
    fn takes(self, case: Case, next: char) -> bool {
        match self {
            Self::Char(char) => char == case.char(next),
            Self::One => true,
            Self::Dash => DASHES.contains(&next),
            Self::Many => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(pattern: &str) -> Vec<Unit> {
        let unit = |char| match char {
            '*' => Unit::Many,
            '?' => Unit::One,
            '~' => Unit::Dash,
            other => Unit::Char(other),
        };
        pattern.chars().map(unit).collect()
    }

    #[test]
    fn wildcards_fit_whole_texts() {
        for (pattern, text, fit, reason) in [
            ("", "", true, "nothing fits nothing"),
            ("", "a", false, "the whole text counts"),
            ("*", "", true, "a star may take nothing"),
            ("a*c", "abc", true, "a star takes some"),
            ("a*c", "abcd", false, "and must leave the end"),
            ("a*b*c", "a-b-b-c", true, "the latest star moves on"),
            ("*ab", "aab", true, "a false start is retried"),
            ("?", "", false, "one is one"),
            ("?b", "äb", true, "one character, not one byte"),
            ("a**c", "ac", true, "stars in a row are one"),
            ("~enc", "\u{2013}ENC", true, "a dash of another script, letter case aside"),
            ("~enc", "+enc", false, "plus is no dash"),
            ("a*a", "a", false, "what both ends want is not shared"),
            ("*?", "ä", true, "the last of one"),
            ("a*?*b", "aäb", true, "one between"),
            ("a*?*b", "ab", false, "none between"),
        ] {
            assert_eq!(fits(&units(pattern), Case::Ignored, text), fit, "{reason}");
        }
    }

    #[test]
    fn a_pattern_that_nearly_fits_everywhere_takes_no_longer_than_another() {
        let text = "a".repeat(1 << 20);
        let pattern = format!("*{}b*", "?a".repeat(1_000));
        assert!(!fits(&units(&pattern), Case::Ignored, &text));
        assert!(fits(&units(&pattern), Case::Ignored, &format!("{text}b")));
    }

    proptest! {
        #[test]
        fn a_table_finds_what_one_place_after_the_other_does(
            piece in "[aB~?]{0,140}",
            before in "[ab/–ä]{0,200}",
            after in "[ab]{0,3}",
            change in "[aBä]",
        ) {
            let piece = units(&piece.to_lowercase());
            // The piece with a character for each unit, so that it is found now and then.
            let inside: String = piece.iter().map(|unit| match unit {
                Unit::Char(char) => *char,
                Unit::One | Unit::Many => 'ä',
                Unit::Dash => '–',
            }).collect();
            for text in [format!("{before}{inside}{after}"), format!("{before}{}{after}", inside.replacen('a', &change, 1))] {
                let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                let plain = places.filter_map(|at| head(&piece, Case::Exact, &text[at..])).next();
                prop_assert_eq!(Table::new(&piece).find(Case::Exact, &text), plain);
            }
        }
    }
}
