//! Rules: what a person wrote, compiled once into what the engine asks.
//!
//! Text comes in ([`RuleFile`]), a [`RuleSet`] and a list of [`Problem`]s come out; a broken rule never
//! takes its neighbours with it. The set is immutable and shared by all workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::{Addresses, Ranges, Whereabouts};
use crate::detect::{BILLIONTHS, Budget, Shape};
use crate::event::{Event, Kind, Kinds, LogSource};
use crate::field::{FieldId, Fields};
use crate::normalise::{Format, Limits};
use crate::time::{Span, Zone};

mod account;
mod affixes;
mod anomaly;
mod ast;
mod column;
mod condition;
mod correlate;
mod dialect;
mod draft;
mod effort;
mod facts;
mod fieldref;
mod filter;
mod found;
mod glob;
mod grammar;
mod grams;
mod index;
mod leaf;
mod lint;
mod literal;
mod load;
mod located;
mod look;
mod mapping;
mod marks;
mod matcher;
mod modifier;
pub(crate) mod nearest;
mod number;
mod own;
mod pattern;
mod place;
mod placeholder;
mod plan;
mod range;
mod risk;
mod severity;
mod sigma;
mod skim;
mod steps;
mod text;
mod timepart;
mod value;
mod why;
mod wildcard;
mod witness;
mod yaml;

pub use account::account;
pub use anomaly::Anomaly;
pub(crate) use facts::Facts;
use located::Located;
pub(crate) use look::Recall;
pub use look::{Glance, Scratch};
pub use mapping::Mappings;
pub use placeholder::Placeholders;
pub use risk::{Facet, Risk};
pub use severity::Severity;
pub use why::{Explanation, explain};

/// A rule's identity: its Sigma `id`, or one made from its path and title.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub Arc<str>);

/// A rule's place in its [`RuleSet`]: what the hot path carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleNumber(pub u32);

/// The text of one rule file. Several YAML documents may stand in one file.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Where it was read, for messages and for ids of rules without one.
    pub path: String,
    /// The YAML.
    pub text: String,
}

/// What people give to rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// What `%name%` stands for in rules with `|expand`.
    pub placeholders: Placeholders,
    /// Which names of fields mean the same.
    pub mappings: Mappings,
    /// How many alerts of rules that learn people want in a day; without one, all.
    pub budget: Option<Budget>,
    /// What is known of addresses.
    pub addresses: Addresses,
    /// Whose hours people keep.
    pub zone: Zone,
}

/// Something that the author of a rule or mapping can mend. What is wrong is left out, the rest stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {message}")]
pub struct Problem {
    /// The file.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What is wrong and how to mend it.
    pub message: String,
    /// Whether the rule still works.
    pub weight: Weight,
    /// The name of the lint that found it, which a rule may allow itself.
    pub lint: Option<&'static str>,
    /// The rule's id, if it has one and could be read so far.
    pub rule: Option<RuleId>,
}

/// How much a [`Problem`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The rule is not loaded.
    Error,
    /// The rule is loaded, unless it says itself that it cannot be used.
    Warning,
}

/// One rule, with what people read about it and what the engine asks.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Identity.
    pub id: RuleId,
    /// Lapwing's own `version`, part of every alert id.
    pub version: u32,
    /// Headline of its alerts.
    pub title: String,
    /// What it means.
    pub description: String,
    /// Severity of its alerts.
    pub severity: Severity,
    /// Tags as written, such as `attack.t1552`.
    pub tags: Vec<String>,
    /// Known harmless causes.
    pub false_positives: Vec<String>,
    /// What to check and do next.
    pub runbook: String,
    /// File it came from.
    pub path: String,
    /// Which logs it reads; a correlation reads what its base rules read.
    pub log_source: LogSource,
    /// One alert a group and period instead of one an event.
    pub dedup: Option<Dedup>,
    /// What is learnt of its events, for a detection that alerts on what departs from that.
    pub anomaly: Option<Anomaly>,
    /// Whether it raises alerts itself; a correlation's base rule does so only with `generate: true`.
    pub alerts: bool,
    /// What it asks.
    pub body: Body,
    /// Its own examples.
    pub tests: Tests,
    /// Titles of the filters that narrow it.
    pub filters: Vec<String>,
}

/// What a rule asks.
#[derive(Clone, Debug)]
pub enum Body {
    /// About one event; the condition lives in the rule set's index.
    Detection,
    /// About several events of other rules.
    Correlation(Correlation),
    /// About all that other rules find of one actor, address, target or account.
    Risk(Risk),
}

/// A question about several events within a window of event time.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// What is measured.
    pub measure: Measure,
    /// Rules whose matches are counted, in the order in which the correlation names them.
    pub bases: Vec<RuleNumber>,
    /// Fields whose values make the key; empty counts everything together.
    pub group_by: Vec<Named>,
    /// Length of the window.
    pub window: Span,
    /// When it fires.
    pub threshold: Threshold,
}

/// A field by the name that a correlation gives it: its own, or an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What it is in the events of each base, in the order of the bases.
    pub fields: Vec<FieldId>,
}

/// What a correlation measures in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// `event_count`: events.
    Events,
    /// `value_count`: distinct values of a field; every element of an array counts.
    Values(Named),
    /// `value_sum`: the sum of a field's numbers.
    Sum(Named),
    /// `value_avg`: their mean.
    Average(Named),
    /// `value_percentile` and `value_median`: the least of them that so many percent do not exceed.
    Percentile(Named, u8),
    /// `temporal`: how many of the bases matched; with a formula, whether it holds of which did.
    Rules(Option<Formula>),
    /// `temporal_ordered`: how many of the bases matched one after the other in their order.
    Sequence,
}

/// Which of the bases must have matched, by their places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Formula {
    /// This one.
    Base(u16),
    /// All of these.
    And(Vec<Formula>),
    /// Any of these.
    Or(Vec<Formula>),
    /// Not this.
    Not(Box<Formula>),
}

/// What the measure is compared with; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The comparisons, with numbers in [`BILLIONTHS`](crate::detect::BILLIONTHS).
    pub asks: Vec<(Comparison, i128)>,
}

/// How a measure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `gt`
    Above,
    /// `gte`
    AtLeast,
    /// `lt`
    Below,
    /// `lte`
    AtMost,
    /// `eq`
    Equal,
    /// `neq`
    Unequal,
}

impl Measure {
    /// The field whose values are read.
    #[must_use]
    pub fn field(&self) -> Option<&Named> {
        match self {
            Self::Values(field) | Self::Sum(field) | Self::Average(field) | Self::Percentile(field, _) => Some(field),
            Self::Events | Self::Rules(_) | Self::Sequence => None,
        }
    }
}

impl Formula {
    /// Whether it holds when exactly these bases matched, one bit each.
    #[must_use]
    pub fn holds(&self, matched: u64) -> bool {
        match self {
            Self::Base(base) => matched >> base & 1 == 1,
            Self::And(parts) => parts.iter().all(|part| part.holds(matched)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(matched)),
            Self::Not(part) => !part.holds(matched),
        }
    }

    /// Whether one more match can make it false.
    #[must_use]
    pub fn denies(&self) -> bool {
        match self {
            Self::Base(_) => false,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::denies),
            Self::Not(_) => true,
        }
    }
}

impl Threshold {
    /// The least measure that fires, if more of it never stops it from firing.
    #[must_use]
    pub fn least(&self) -> Option<i128> {
        let least = |ask: &(Comparison, i128)| match *ask {
            (Comparison::Above, number) => Some(number.saturating_add(1)),
            (Comparison::AtLeast, number) => Some(number),
            (Comparison::Below | Comparison::AtMost | Comparison::Equal | Comparison::Unequal, _) => None,
        };
        self.asks.iter().map(least).reduce(|most, least| Some(most?.max(least?))).flatten()
    }

    /// The same in whole numbers, for what is counted one by one.
    #[must_use]
    pub fn least_whole(&self) -> Option<i128> {
        self.least().map(|least| least.div_euclid(BILLIONTHS) + i128::from(least.rem_euclid(BILLIONTHS) > 0))
    }

    /// Whether this ratio fires. Exact: nothing is divided.
    #[must_use]
    pub fn holds(&self, numerator: i128, denominator: i128) -> bool {
        self.asks.iter().all(|(comparison, number)| {
            let order = numerator.cmp(&number.saturating_mul(denominator));
            match comparison {
                Comparison::Above => order.is_gt(),
                Comparison::AtLeast => order.is_ge(),
                Comparison::Below => order.is_lt(),
                Comparison::AtMost => order.is_le(),
                Comparison::Equal => order.is_eq(),
                Comparison::Unequal => order.is_ne(),
            }
        })
    }
}

impl Comparison {
    /// As the rule writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Above => "gt",
            Self::AtLeast => "gte",
            Self::Below => "lt",
            Self::AtMost => "lte",
            Self::Equal => "eq",
            Self::Unequal => "neq",
        }
    }
}

/// The rule's `dedup:` block.
#[derive(Clone, Debug)]
pub struct Dedup {
    /// Fields whose values make the key.
    pub group_by: Vec<FieldId>,
    /// How long the condition must have been false before a new alert starts.
    pub period: Span,
}

/// Events that a rule must and must not match: one event for a detection, several for a correlation.
#[derive(Clone, Debug, Default)]
pub struct Tests {
    /// Each of these fires.
    pub fires: Vec<Vec<serde_json::Value>>,
    /// None of these does.
    pub ignores: Vec<Vec<serde_json::Value>>,
    /// The line of the file that each begins in, those that fire first.
    pub lines: Vec<usize>,
    /// What is known of addresses in these tests; without it, whatever is known elsewhere.
    pub addresses: Option<Arc<Ranges<Whereabouts>>>,
}

/// The most events of one key that a window holds, and so the most that a correlation may ask for.
pub(crate) const COUNT_MAX: usize = 100_000;

/// All rules, compiled together.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    by_id: BTreeMap<RuleId, RuleNumber>,
    fields: Fields,
    index: index::Index,
    /// By rule: the correlations that count it.
    correlations: Vec<Vec<RuleNumber>>,
    /// By rule: those that add up its findings.
    risks: Vec<Vec<RuleNumber>>,
    /// By rule: how its events become episodes.
    shapes: Vec<Option<Shape>>,
    /// Of the rules and all that they ask of windows.
    fingerprint: u64,
    budget: Option<Budget>,
    addresses: Addresses,
}

impl RuleSet {
    /// Compiles every rule that can be; says what is wrong with the rest. Order of `files` does not matter
    /// for what matches; equal ids are a problem of the later file.
    #[must_use]
    pub fn compile(files: &[RuleFile]) -> (Self, Vec<Problem>) {
        load::compile(files, &Given::default(), draft::Lints::Off)
    }

    /// As [`RuleSet::compile`], with values for placeholders, and fields that are asked for under all their names.
    #[must_use]
    pub fn compile_with(files: &[RuleFile], given: &Given) -> (Self, Vec<Problem>) {
        load::compile(files, given, draft::Lints::Off)
    }

    /// As [`RuleSet::compile_with`], and looks for what is legal and probably not meant. Takes about twice the time.
    #[must_use]
    pub fn check(files: &[RuleFile], given: &Given) -> (Self, Vec<Problem>) {
        load::compile(files, given, draft::Lints::On(&given.mappings))
    }

    /// Whether some kind of log is read by rules of this log source.
    #[must_use]
    pub fn is_fed(log_source: &LogSource) -> bool {
        index::is_fed(log_source)
    }

    /// Why this is no name of a lint, with the one that is probably meant; nothing if it is one.
    #[must_use]
    pub fn unknown_lint(name: &str) -> Option<String> {
        lint::unknown(name)
    }

    /// The detection rules that match this event, in ascending order. `scratch` is reused between calls
    /// and belongs to one thread.
    pub fn matches<'s>(&self, event: &Event, scratch: &'s mut Scratch) -> &'s [RuleNumber] {
        self.index.matches(event, &self.addresses, scratch)
    }

    /// What a look at a raw record's text shows, if it shows that the record is one event. Most match nothing: those
    /// need neither be parsed nor normalised. Nothing if only the whole way, [`normalise`](crate::normalise::normalise)
    /// and [`matches`](Self::matches), can tell; where both can, they tell the same.
    #[must_use]
    pub fn glance<'s, 'r>(
        &self,
        format: Format,
        body: &'r [u8],
        limits: &Limits,
        scratch: &'s mut Scratch,
    ) -> Option<Glance<'s, 'r>> {
        self.index.glance((format, body, limits), &self.addresses, scratch)
    }

    /// As [`RuleSet::glance`], and more about an event that matched.
    pub(crate) fn glance_and_recall<'r, T>(
        &self,
        format: Format,
        body: &'r [u8],
        limits: &Limits,
        scratch: &mut Scratch,
        see: impl FnOnce(Glance<'_, 'r>, Recall<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        self.index.glance_and_recall((format, body, limits), &self.addresses, scratch, see)
    }

    /// Hands what is remembered of an event that matched to `read`.
    pub(crate) fn recall<T>(
        &self,
        event: &Event,
        scratch: &mut Scratch,
        read: impl FnOnce(&Facts<'_, '_>) -> T,
    ) -> Option<T> {
        let Scratch { facts, known_addresses, .. } = scratch;
        let located = Located { addresses: &self.addresses, cache: known_addresses };
        Some(self.index.wanted(event.kind)?.of_document(event, located, facts, read))
    }

    /// Takes another look at addresses from now on.
    pub fn know(&mut self, addresses: Addresses) {
        self.addresses = addresses;
    }

    /// Lets plain JSON events be read by the rules of this log source too. A part that it leaves out is unknown:
    /// with `product: windows` all rules for Windows are tried, whatever service or category they name, and with
    /// `product: windows, service: security` those of other services stay away. Without this call such events are
    /// read by the rules that name no log source.
    pub fn read_json_as(&mut self, log_source: &LogSource) {
        self.index.read_as(Kind::Json, log_source, &self.fields);
    }

    /// The correlations that count this detection's matches, in ascending order.
    #[must_use]
    pub fn correlations_of(&self, base: RuleNumber) -> &[RuleNumber] {
        &self.correlations[base.0 as usize]
    }

    /// The rules that add up what this one finds, in ascending order.
    pub(crate) fn risks_of(&self, number: RuleNumber) -> &[RuleNumber] {
        &self.risks[number.0 as usize]
    }

    /// Every rule, in the order of their numbers.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule behind a number that this set gave.
    #[must_use]
    pub fn rule(&self, number: RuleNumber) -> &Rule {
        &self.rules[number.0 as usize]
    }

    /// The rule with this id.
    #[must_use]
    pub fn by_id(&self, id: &RuleId) -> Option<&Rule> {
        self.by_id.get(id).map(|number| self.rule(*number))
    }

    /// Kinds of log that this rule reads; a correlation, those of all that it counts.
    pub(crate) fn kinds(&self, number: RuleNumber) -> Kinds {
        match &self.rule(number).body {
            Body::Detection => self.index.kinds(number),
            Body::Correlation(Correlation { bases: read, .. }) | Body::Risk(Risk { feeds: read, .. }) => {
                read.iter().fold(Kinds::default(), |all, base| all.and(self.kinds(*base)))
            }
        }
    }

    /// How this rule's events become episodes; nothing for one that alerts once an event.
    pub(crate) fn shape(&self, number: RuleNumber) -> Option<&Shape> {
        self.shapes[number.0 as usize].as_ref()
    }

    /// Tells apart sets whose numbers or windows are not the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many alerts of rules that learn people want in a day.
    pub(crate) fn budget(&self) -> Option<Budget> {
        self.budget
    }

    /// Whether this rule's alerts count against it: those of rules that learn do, but for critical ones. A sum of findings does not:
    /// it is what those that were held back come to.
    pub(crate) fn is_budgeted(&self, number: RuleNumber) -> bool {
        let rule = self.rule(number);
        self.budget.is_some() && rule.anomaly.is_some() && rule.severity < Severity::Critical
    }

    /// The logs that such rules read.
    pub(crate) fn budgeted(&self) -> Kinds {
        let numbers = (0..).map(RuleNumber).take(self.rules.len());
        numbers
            .filter(|&number| self.is_budgeted(number))
            .fold(Kinds::default(), |all, number| all.and(self.kinds(number)))
    }

    /// The number of the rule with this id, which is probably `likely`.
    pub(crate) fn number(&self, id: &RuleId, likely: RuleNumber) -> Option<RuleNumber> {
        match self.rules.get(likely.0 as usize) {
            Some(rule) if rule.id == *id => Some(likely),
            _ => self.by_id.get(id).copied(),
        }
    }

    /// The fields that the rules name.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

#[cfg(test)]
mod tests;
