//! Which literals a value must hold before a test can be true of it.
//!
//! Literals of all rules are searched at once ([`super::column`]), so a test that names some is asked only
//! when one of them is there; many tests say nothing more than that.

use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Hir, HirKind};

use super::glob::Unit;
use super::grams::Long;
use super::matcher::Test;
use super::number::Number;
use super::text::{Case, fold};

/// Where in a folded value a literal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Where {
    /// It is the whole value.
    Whole,
    /// It is the whole number that the value is, in digits: the 443 of `443`, `443.0` and `4.43e2`.
    Number,
    /// The value begins with it.
    Start,
    /// The value ends with it.
    End,
    /// The value contains it.
    Inside,
    /// The value contains it, and it is short.
    Short,
}

/// A folded text and where in a folded value it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Literal {
    pub(super) position: Where,
    pub(super) text: Box<str>,
}

/// Literals at least one of which stands in every value that a test is true of.
#[derive(Debug)]
pub(super) struct Literals {
    pub(super) any: Vec<Literal>,
    /// Whether the test is true of every value in which one stands.
    pub(super) enough: bool,
}

/// Shorter literals of regular expressions are in most values and tell nothing.
const REGEX_LONG_BYTES_MIN: usize = 3;
/// More alternatives than this cost more than they tell.
const REGEX_LITERALS_MAX: usize = 64;
/// Any of so many characters tells more as part of a literal than it costs; any of ten digits does not.
const REGEX_CLASS_MAX: usize = 8;
/// Places in an expression that are looked at: each costs a walk over the rest of it.
const REGEX_PARTS_MAX: usize = 16;

impl Literal {
    pub(super) fn new(position: Where, text: &str) -> Self {
        // Every value holds and ends with the empty text as it begins with it: one question, one literal.
        let position = match position {
            Where::End | Where::Inside if text.is_empty() => Where::Start,
            Where::Inside if text.len() < Long::LENGTH_MIN => Where::Short,
            position => position,
        };
        Self { position, text: text.into() }
    }
}

impl Literals {
    /// Nothing if the test names none that tell anything.
    pub(super) fn of(test: &Test) -> Option<Self> {
        match test {
            Test::OneOf(set) => {
                let mut found = Self::texts(Where::Whole, set.case, &set.texts);
                for number in &set.numbers {
                    // A real has too many spellings to look up.
                    let Number::Whole(whole) = number else { return None };
                    found.any.push(Literal::new(Where::Number, &whole.to_string()));
                }
                Some(found)
            }
            Test::Contains(case, texts) => Some(Self::texts(Where::Inside, *case, texts)),
            Test::StartsWith(case, texts) => Some(Self::texts(Where::Start, *case, texts)),
            Test::EndsWith(case, texts) => Some(Self::texts(Where::End, *case, texts)),
            Test::Glob(_, units) => longest_run(units).map(|literal| Self { any: vec![literal], enough: false }),
            Test::Regex(pattern) => {
                let any = pattern.required()?.iter().map(|text| Literal::new(Where::Inside, text)).collect();
                Some(Self { any, enough: false })
            }
            Test::Null | Test::Exists | Test::Cidr(_) | Test::Compare(..) | Test::Time(..) | Test::Field(..) => None,
        }
    }

    /// Folding finds what differs in case only too, which an exact test then refuses itself.
    fn texts(position: Where, case: Case, texts: &[Box<str>]) -> Self {
        let mut any: Vec<Literal> = texts.iter().map(|text| Literal::new(position, &fold(text))).collect();
        any.sort_unstable();
        any.dedup();
        Self { any, enough: case == Case::Ignored }
    }
}

/// The longest piece of a pattern without wildcards in it.
fn longest_run(units: &[Unit]) -> Option<Literal> {
    let mut best: Option<(usize, usize, String)> = None;
    let mut start = 0;
    for run in units.split_inclusive(|unit| !matches!(unit, Unit::Char(_))) {
        let text: String =
            run.iter().filter_map(|unit| if let Unit::Char(char) = unit { Some(*char) } else { None }).collect();
        let length = run.iter().take_while(|unit| matches!(unit, Unit::Char(_))).count();
        if !text.is_empty() && best.as_ref().is_none_or(|(.., best)| best.len() < text.len()) {
            best = Some((start, start + length, text));
        }
        start += run.len();
    }
    let (start, end, text) = best?;
    let position = match (start == 0, end == units.len()) {
        (true, true) => Where::Whole,
        (true, false) => Where::Start,
        (false, true) => Where::End,
        (false, false) => Where::Inside,
    };
    Some(Literal::new(position, &fold(&text)))
}

/// Folded texts one of which is in everything that the expression finds: of all places in it the one whose
/// shortest text is longest.
pub(super) fn required(hir: &Hir) -> Option<Vec<Box<str>>> {
    let parts: &[Hir] = match hir.kind() {
        HirKind::Concat(parts) => parts,
        HirKind::Capture(capture) => return required(&capture.sub),
        _ => std::slice::from_ref(hir),
    };
    let mut best: Option<Vec<Box<str>>> = None;
    let shortest = |texts: &[Box<str>]| texts.iter().map(|text| text.len()).min().unwrap_or(0);
    for start in 0..parts.len().min(REGEX_PARTS_MAX) {
        let rest = Hir::concat(parts[start..].to_vec());
        for kind in [ExtractKind::Prefix, ExtractKind::Suffix] {
            if let Some(texts) = texts(&Extractor::new().kind(kind).limit_class(REGEX_CLASS_MAX).extract(&rest))
                && best.as_ref().is_none_or(|best| shortest(best) < shortest(&texts))
            {
                best = Some(texts);
            }
        }
    }
    best
}

fn texts(found: &Seq) -> Option<Vec<Box<str>>> {
    let literals = found.literals()?;
    let texts = literals.iter().map(|literal| str::from_utf8(literal.as_bytes()).map(|text| fold(text).into()));
    let mut texts: Vec<Box<str>> = texts.collect::<Result<_, _>>().ok()?;
    // The extractor tells each letter case by itself.
    texts.sort_unstable();
    texts.dedup();
    let telling = !texts.is_empty() && texts.iter().all(|text| text.len() >= REGEX_LONG_BYTES_MIN);
    (telling && texts.len() <= REGEX_LITERALS_MAX).then_some(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rule::pattern::{Flags, Pattern};

    fn of_regex(source: &str) -> Option<Vec<String>> {
        let pattern = Pattern::new(source, Flags::default()).unwrap();
        Literals::of(&Test::Regex(pattern))
            .map(|found| found.any.iter().map(|literal| literal.text.to_string()).collect())
    }

    #[test]
    fn a_regular_expression_names_what_it_cannot_do_without() {
        for (source, literals, reason) in [
            ("^abc[01]+$", Some(vec!["abc0", "abc1"]), "a prefix"),
            (r"\d+\.example\.com", Some(vec![".example.com"]), "a suffix"),
            (r"\d+foobar\w*x?", Some(vec!["foobar"]), "in the middle"),
            ("(?:GET|POSTED) x", Some(vec!["get x", "posted x"]), "alternatives"),
            (r"\w+", None, "nothing"),
            ("ab|cdef", None, "one alternative is too short"),
        ] {
            let literals: Option<Vec<String>> = literals.map(|texts| texts.into_iter().map(str::to_owned).collect());
            assert_eq!(of_regex(source), literals, "{source}: {reason}");
        }
    }

    #[test]
    fn a_pattern_with_wildcards_names_its_longest_piece() {
        let units = |pattern: &str| -> Vec<Unit> {
            pattern
                .chars()
                .map(|char| match char {
                    '*' => Unit::Many,
                    '?' => Unit::One,
                    other => Unit::Char(other),
                })
                .collect()
        };
        for (pattern, position, text) in [
            ("ab*cde*f", Where::Inside, "cde"),
            ("abc*de", Where::Start, "abc"),
            ("a*bcd", Where::End, "bcd"),
            ("?abc", Where::End, "abc"),
        ] {
            assert_eq!(longest_run(&units(pattern)), Some(Literal::new(position, text)), "{pattern}");
        }
        assert_eq!(longest_run(&units("*?*")), None);
    }

    proptest! {
        #[test]
        fn what_an_expression_finds_holds_one_of_its_literals(
            source in r"(\(?\?i\))?(abc|[a-c]{1,3}|(foo|bar)x|\w|\.|\d+|x{2,4}|İß){1,5}",
            text in "[a-cfobrxİß0-9.]{0,12}",
        ) {
            let Ok(pattern) = Pattern::new(&source, Flags { ignore_case: true, ..Flags::default() }) else { return Ok(()) };
            let found = pattern.finds(&text);
            let literals = Literals::of(&Test::Regex(pattern));
            if let (true, Some(literals)) = (found, literals) {
                let folded = fold(&text);
                prop_assert!(literals.any.iter().any(|literal| folded.contains(&*literal.text)), "{literals:?}");
            }
        }
    }
}
