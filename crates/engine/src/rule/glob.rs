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

/// Whether the whole of `prepared` fits the pattern. Takes at most pattern times text steps: on a misfit
/// only the latest `*` takes one character more, which loses nothing because an earlier one could only
/// skip what the latest can.
pub(super) fn fits(units: &[Unit], case: Case, prepared: &str) -> bool {
    let mut rest = prepared.chars();
    let mut place = 0;
    let mut retry = None;
    loop {
        if units.get(place) == Some(&Unit::Many) {
            place += 1;
            retry = Some((place, rest.clone()));
            continue;
        }
        match (units.get(place), rest.next()) {
            (None, None) => return true,
            (Some(unit), Some(next)) if unit.takes(case, next) => {
                place += 1;
                continue;
            }
            (Some(_), None) => return false,
            (_, Some(_)) => {}
        }
        let Some((after, mut from)) = retry else { return false };
        if from.next().is_none() {
            return false;
        }
        place = after;
        rest = from.clone();
        retry = Some((after, from));
    }
}

impl Unit {
    fn takes(self, case: Case, next: char) -> bool {
        match self {
            Self::Char(char) => case.same_char(char, next),
            Self::One => true,
            Self::Dash => DASHES.contains(&next),
            Self::Many => false,
        }
    }
}

#[cfg(test)]
mod tests {
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
        ] {
            assert_eq!(fits(&units(pattern), Case::Ignored, text), fit, "{reason}");
        }
    }
}
