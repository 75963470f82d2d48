//! One predicate against one document.

use std::cmp::Ordering;
use std::net::IpAddr;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::glob::{self, Unit};
use super::number::Number;
use super::text::{Case, with_text};
use crate::field::{FieldId, Fields};

/// One question about a document. Equal predicates of all rules are one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Predicate {
    pub(super) subject: Subject,
    pub(super) test: Test,
}

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Any value that the field's path leads to.
    Field(FieldId),
    /// Any string of the document: a keyword.
    Anywhere,
}

/// What must be true of one value. Several patterns mean any of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    /// The field is absent or null.
    Null,
    /// The field is there and not null.
    Exists,
    OneOf(OneOf),
    Contains(Substrings),
    StartsWith(Case, Vec<Box<str>>),
    EndsWith(Case, Vec<Box<str>>),
    Glob(Case, Vec<Unit>),
    Regex(Pattern),
    Cidr(Vec<IpNet>),
    Compare(Relation, Number),
    /// Against the values of another field.
    Field(FieldId, Position, Case),
}

/// A set of whole values.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OneOf {
    pub(super) case: Case,
    /// Sorted.
    pub(super) texts: Vec<Box<str>>,
    /// Sorted; each also stands among the texts, these are for other spellings such as `443.0`.
    pub(super) numbers: Vec<Number>,
}

/// How a number must compare with the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// Where in a value a text must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    Whole,
    Anywhere,
    Start,
    End,
}

/// Texts any of which a value must contain, found in one pass over it.
#[derive(Debug)]
pub(super) struct Substrings {
    case: Case,
    texts: Vec<Box<str>>,
    automaton: AhoCorasick,
}

/// A regular expression, found anywhere in a value in time linear in its length.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    compiled: Regex,
}

/// What `|re` may be followed by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_newline: bool,
}

impl Predicate {
    /// Whether it is true of this document.
    pub(super) fn holds(&self, fields: &Fields, document: &Value) -> bool {
        let field = match self.subject {
            Subject::Anywhere => return any_string(document, &mut |text| self.test.holds_text(text)),
            Subject::Field(field) => fields.path(field),
        };
        match &self.test {
            Test::Null => {
                let mut absent = true;
                field.any(document, &mut |value| {
                    absent = false;
                    value.is_null()
                }) || absent
            }
            Test::Exists => field.any(document, &mut |value| !value.is_null()),
            Test::Field(other, position, case) => field.any(document, &mut |value| {
                let other = fields.path(*other);
                with_text(value, |left| other.any(document, &mut |value| position.holds(*case, left, value)))
                    .unwrap_or(false)
            }),
            test => field.any(document, &mut |value| test.holds_value(value)),
        }
    }
}

impl Test {
    fn holds_value(&self, value: &Value) -> bool {
        if let Self::Compare(relation, bound) = self {
            return Number::of(value).is_some_and(|number| relation.holds(number.cmp(bound)));
        }
        if with_text(value, |text| self.holds_text(text)) == Some(true) {
            return true;
        }
        match self {
            Self::OneOf(set) if !set.numbers.is_empty() && value.is_number() => {
                Number::of(value).is_some_and(|number| set.numbers.binary_search(&number).is_ok())
            }
            _ => false,
        }
    }

    /// The tests that a text decides; the others are never true of one.
    fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::OneOf(set) => {
                let text = set.case.prepare(text);
                set.texts.binary_search_by(|pattern| set.case.compare(pattern, &text)).is_ok()
            }
            Self::Contains(substrings) => substrings.automaton.is_match(&*substrings.case.prepare(text)),
            Self::StartsWith(case, patterns) => {
                let text = case.prepare(text);
                patterns.iter().any(|pattern| case.starts(pattern, &text))
            }
            Self::EndsWith(case, patterns) => {
                let text = case.prepare(text);
                patterns.iter().any(|pattern| case.ends(pattern, &text))
            }
            Self::Glob(case, units) => glob::fits(units, *case, &case.prepare(text)),
            Self::Regex(pattern) => pattern.compiled.is_match(text),
            Self::Cidr(nets) => text.parse().is_ok_and(|address: IpAddr| {
                let address = address.to_canonical();
                nets.iter().any(|net| net.contains(&address))
            }),
            Self::Null | Self::Exists | Self::Compare(..) | Self::Field(..) => false,
        }
    }
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
        }
    }
}

impl Position {
    fn holds(self, case: Case, text: &str, other: &Value) -> bool {
        let found = with_text(other, |other| {
            let pattern = case.pattern(other);
            let text = case.prepare(text);
            match self {
                Self::Whole => case.equal(&pattern, &text),
                Self::Anywhere => case.contains(&pattern, &text),
                Self::Start => case.starts(&pattern, &text),
                Self::End => case.ends(&pattern, &text),
            }
        });
        found == Some(true)
    }
}

impl Substrings {
    /// Texts as [`Case::pattern`] gives them.
    pub(super) fn new(case: Case, texts: Vec<Box<str>>) -> Result<Self, String> {
        AhoCorasick::builder()
            // A DFA would take most of the time and memory of loading rules.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .ascii_case_insensitive(case == Case::Ignored)
            .build(texts.iter().map(|text| text.as_bytes()))
            .map(|automaton| Self { case, texts, automaton })
            .map_err(|error| format!("too many substrings: {error}"))
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
        let Flags { ignore_case, multi_line, dot_matches_newline } = flags;
        // Flags are part of what makes two patterns equal.
        Ok(Self { source: format!("{ignore_case} {multi_line} {dot_matches_newline} {source}"), compiled })
    }
}

impl PartialEq for Substrings {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Substrings {}

impl PartialOrd for Substrings {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Substrings {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.case, &self.texts).cmp(&(other.case, &other.texts))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}

fn any_string(value: &Value, visit: &mut dyn FnMut(&str) -> bool) -> bool {
    if let Some(text) = value.as_str() {
        return visit(text);
    }
    if let Some(elements) = value.as_array() {
        return elements.iter().any(|element| any_string(element, visit));
    }
    value.as_object().is_some_and(|object| object.iter().any(|(_, inner)| any_string(inner, visit)))
}
