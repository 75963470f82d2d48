//! One predicate against one document.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use super::fieldref;
use super::found::Found;
use super::glob::{self, Unit};
use super::leaf::Leaf;
use super::literal;
use super::number::Number;
use super::text::Case;
use super::timepart::{TimePart, Wanted};
use crate::field::FieldId;

/// One question about a document. Equal predicates of all rules are one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Predicate {
    pub(super) subject: Subject,
    pub(super) test: Test,
}

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    /// Any value that the field's path leads to.
    Field(FieldId),
    /// Any string of the document: a keyword.
    Anywhere,
}

/// What must be true of one value. Several patterns mean any of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    /// The field is absent or null.
    Null,
    /// The field is there, whatever it holds: null and nothing too.
    Exists,
    OneOf(OneOf),
    Contains(Case, Vec<Box<str>>),
    StartsWith(Case, Vec<Box<str>>),
    EndsWith(Case, Vec<Box<str>>),
    Glob(Case, Vec<Unit>),
    Regex(Pattern),
    Cidr(Vec<IpNet>),
    Compare(Relation, Number),
    /// A part of the date that the value is.
    Time(TimePart, Wanted),
    /// Against the values of another field.
    Field(FieldId, Position, Case),
}

/// A set of whole values.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OneOf {
    pub(super) case: Case,
    /// Sorted.
    pub(super) texts: Vec<Box<str>>,
    /// Sorted; each also stands among the texts, these are for other spellings such as `443.0`.
    pub(super) numbers: Vec<Number>,
}

/// How a number must compare with the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Relation {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// Where in a value a text must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Position {
    Whole,
    Anywhere,
    Start,
    End,
}

/// A regular expression, found anywhere in a value in time linear in its length.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    flags: Flags,
    /// What it cannot do without, if that tells anything.
    required: Option<Vec<Box<str>>>,
    compiled: Regex,
}

/// What `|re` may be followed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_newline: bool,
}

impl Predicate {
    /// Whether it is true of this document, whose values are `found`.
    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
        let field = match self.subject {
            Subject::Anywhere => return found.strings().any(|value| self.test.holds_value(value)),
            Subject::Field(field) => field,
        };
        match &self.test {
            Test::Null => !found.has(field) || found.of(field).any(|value| matches!(value, Leaf::Null)),
            Test::Exists => found.exists(field),
            Test::Field(other, position, case) => fieldref::holds(found, (field, *other), *position, *case),
            test => found.of(field).any(|value| test.holds_value(value)),
        }
    }
}

impl Test {
    fn holds_value(&self, value: &Leaf<'_>) -> bool {
        if let Self::Compare(relation, bound) = self {
            return Number::of(value).is_some_and(|number| relation.holds(number.cmp(bound)));
        }
        if let Self::Time(part, wanted) = self {
            return part.of(value).is_some_and(|number| wanted.holds(number));
        }
        if value.with_text(|text| self.holds_text(text)) == Some(true) {
            return true;
        }
        match self {
            Self::OneOf(set) if !set.numbers.is_empty() && matches!(value, Leaf::Number(_)) => {
                Number::of(value).is_some_and(|number| set.numbers.binary_search(&number).is_ok())
            }
            _ => false,
        }
    }

    /// The tests that a text decides; the others are never true of one.
    pub(super) fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::OneOf(set) => {
                let text = set.case.prepare(text);
                set.texts.binary_search_by(|pattern| set.case.compare(pattern, &text)).is_ok()
            }
            Self::Contains(case, patterns) => {
                let text = case.folded(text);
                patterns.iter().any(|pattern| text.contains(&**pattern))
            }
            Self::StartsWith(case, patterns) => {
                let text = case.prepare(text);
                patterns.iter().any(|pattern| case.starts(pattern, &text))
            }
            Self::EndsWith(case, patterns) => {
                let text = case.prepare(text);
                patterns.iter().any(|pattern| case.ends(pattern, &text))
            }
            Self::Glob(case, units) => glob::fits(units, *case, &case.prepare(text)),
            Self::Regex(pattern) => pattern.finds(text),
            Self::Cidr(nets) => text.parse().is_ok_and(|address: IpAddr| {
                let address = address.to_canonical();
                nets.iter().any(|net| net.contains(&address))
            }),
            Self::Null | Self::Exists | Self::Compare(..) | Self::Time(..) | Self::Field(..) => false,
        }
    }
}

impl Relation {
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
        }
    }
}

impl Pattern {
    /// Most memory of one compiled pattern. Large classes with large counts are what reaches it.
    const BYTES_MAX: usize = 4 << 20;

    pub(super) fn new(source: &str, flags: Flags) -> Result<Self, String> {
        let compiled = RegexBuilder::new(source)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_newline)
            .size_limit(Self::BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "regular expression needs too much memory; lower its counts `{n,m}`".to_owned()
                }
                // The last line says what is wrong, those before draw the place.
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("regular expression cannot be read: {last}")
                }
            })?;
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_newline)
            .build()
            .parse(source)
            .map_err(|error| format!("regular expression cannot be read: {error}"))?;
        Ok(Self { source: source.to_owned(), flags, required: literal::required(&hir), compiled })
    }

    /// Whether it is found anywhere in the text.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// Folded texts one of which is in everything that it finds, letter case aside.
    pub(super) fn required(&self) -> Option<&[Box<str>]> {
        self.required.as_deref()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.flags) == (&other.source, other.flags)
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.source, self.flags).hash(state);
    }
}
