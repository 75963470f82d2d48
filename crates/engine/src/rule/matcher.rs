//! One predicate against one document.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;

use super::fieldref;
use super::found::Found;
use super::glob::{self, Unit};
use super::leaf::Leaf;
use super::number::Number;
use super::pattern::Pattern;
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
            Self::OneOf(set)
                if !set.numbers.is_empty() && matches!(value, Leaf::Number(_) | Leaf::Digits(_) | Leaf::Long(_)) =>
            {
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
            // An IPv4 address that is written as IPv6 is both.
            Self::Cidr(nets) => text.parse().is_ok_and(|address: IpAddr| {
                let plain = address.to_canonical();
                nets.iter().any(|net| net.contains(&plain) || net.contains(&address))
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
