//! What a rule asks of windows, as state needs it: worked out once a rule and not once an event.

use serde::Serialize;

use super::{Key, Learning};
use crate::field::FieldId;
use crate::hash::Seed;
use crate::rule::{Anomaly, Body, Comparison, Correlation, Formula, Measure, Named, Risk, Rule, RuleNumber, Threshold};
use crate::time::Span;

/// How the events of one rule and key become episodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What is counted.
    pub(crate) counted: Counted,
    /// Length of the window, and width of the cells that anchor alert ids.
    pub(crate) window: Span,
    /// The same as people read it.
    pub(crate) window_text: String,
    /// Fires at this level; for a rule that does not wait.
    pub(crate) at_least: i128,
    /// Whether the condition can become false by one more event. Such a rule waits until all events of a window
    /// are there: [`Closed`](super::closed::Closed).
    pub(crate) waits: bool,
    /// What the measure of a closed window is compared with.
    pub(crate) threshold: Threshold,
    /// How long the condition must have been false before the next crossing is a new alert.
    pub(crate) quiet: Span,
    /// Names of the fields of the key.
    pub(crate) key: Vec<String>,
    /// Titles of the rules that are counted.
    pub(crate) bases: Vec<String>,
    /// What is learnt of each key, for a rule that judges by that.
    pub(crate) learning: Option<Learning>,
    /// Whether correlations are among them, whose findings may be taken back.
    pub(crate) chained: bool,
    /// What of an event is read. A finding that was made when the rule read something else is none of ours.
    pub(crate) reading: u64,
    /// All that the rule asks. Windows that were filled when it asked something else are emptied: counts of one
    /// question are no counts of another.
    pub(crate) asked: u64,
}

/// What a window counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Counted {
    /// Nothing: every event makes the condition true for its moment (`dedup` on a detection).
    Moments,
    /// What departs from habits (`anomaly` on a detection): values of these fields, or events.
    Unusual,
    /// Events in the window.
    Events,
    /// Distinct values of the field of this name in the window.
    Values(String),
    /// The sum of its numbers.
    Sum(String),
    /// Their mean.
    Average(String),
    /// What so many percent of them do not exceed.
    Percentile(String, u8),
    /// Rules that matched; or whether this holds of those that did.
    Rules(Option<Formula>),
    /// Rules that matched in their order.
    Sequence,
}

impl Shape {
    /// How the events of the rule of this number become episodes; nothing for a rule that alerts once an event.
    pub(crate) fn of<'r>(rules: &[Rule], number: RuleNumber, name: impl Fn(FieldId) -> &'r str) -> Option<Self> {
        let rule = &rules[number.0 as usize];
        let quiet = rule.dedup.as_ref().map(|dedup| dedup.period);
        if let Some(anomaly) = &rule.anomaly {
            return Some(Self::learnt(rule, anomaly, name));
        }
        let asked = match &rule.body {
            Body::Detection => {
                let dedup = rule.dedup.as_ref()?;
                let key = dedup.group_by.iter().map(|field| name(*field).to_owned()).collect::<Vec<String>>();
                let threshold = Threshold { asks: vec![(Comparison::AtLeast, super::BILLIONTHS)] };
                return Some(Self {
                    reading: fingerprint(&key),
                    asked: fingerprint(&(&key, rule.version, dedup.period)),
                    window: dedup.period,
                    window_text: dedup.period.to_string(),
                    counted: Counted::Moments,
                    at_least: 1,
                    waits: false,
                    threshold,
                    quiet: dedup.period,
                    key,
                    bases: Vec::new(),
                    learning: None,
                    chained: false,
                });
            }
            Body::Correlation(asked) => asked,
            Body::Risk(risk) => return Some(Self::added_up(rule, risk)),
        };
        let Correlation { measure, bases, group_by, window, threshold } = asked;
        let counted = Counted::of(measure);
        let base = |base: &RuleNumber| &rules[base.0 as usize];
        let fields = |named: &Named| named.fields.iter().map(|field| name(*field).to_owned()).collect::<Vec<_>>();
        let ids: Vec<_> = bases.iter().map(|number| &base(number).id).collect();
        let read: Vec<_> = group_by.iter().chain(measure.field()).map(fields).collect();
        let reading = fingerprint(&(&counted, &read, &ids));
        let quiet = quiet.unwrap_or(*window);
        let least = if counted.is_sum() { threshold.least() } else { threshold.least_whole() };
        let asks: Vec<_> = threshold.asks.iter().collect();
        Some(Self {
            asked: fingerprint(&(reading, rule.version, window, asks, quiet)),
            reading,
            window: *window,
            window_text: window.to_string(),
            waits: least.is_none() || counted.can_fall(),
            at_least: least.unwrap_or_default(),
            counted,
            threshold: threshold.clone(),
            quiet,
            key: group_by.iter().map(|named| named.name.clone()).collect(),
            bases: bases.iter().map(|number| base(number).title.clone()).collect(),
            learning: None,
            chained: bases.iter().any(|number| matches!(base(number).body, Body::Correlation(_))),
        })
    }

    fn learnt<'r>(rule: &Rule, anomaly: &Anomaly, name: impl Fn(FieldId) -> &'r str) -> Self {
        let names = |fields: &[FieldId]| fields.iter().map(|field| name(*field).to_owned()).collect::<Vec<String>>();
        let (key, of, peers) = (names(&anomaly.by), names(&anomaly.of), names(&anomaly.peers));
        let ignored: Vec<_> = anomaly.ignore.iter().map(|(field, value)| (name(*field).to_owned(), value)).collect();
        let learning = anomaly.learning(of.join(", "), peers.join(", "));
        Self::of_learning(rule, (fingerprint(&(&key, &of, &peers, &ignored)), key), learning, anomaly.quiet)
    }

    fn added_up(rule: &Rule, risk: &Risk) -> Self {
        let key: Vec<String> = risk.by.iter().map(|facet| facet.name().to_owned()).collect();
        Self::of_learning(rule, (fingerprint(&("risk", &key)), key), risk.learning(), risk.quiet)
    }

    fn of_learning(rule: &Rule, (reading, key): (u64, Vec<String>), learning: Learning, quiet: Span) -> Self {
        Self {
            reading,
            asked: fingerprint(&(&key, rule.version, &learning, quiet)),
            window: quiet,
            window_text: quiet.to_string(),
            counted: Counted::Unusual,
            at_least: 1,
            waits: true,
            threshold: Threshold { asks: vec![(Comparison::AtLeast, super::BILLIONTHS)] },
            quiet,
            key,
            bases: Vec::new(),
            learning: Some(learning),
            chained: false,
        }
    }

    /// A key, and behind it its group for a rule that asks for peers.
    pub(super) fn split<'k>(&self, values: &'k [Option<String>]) -> (&'k [Option<String>], &'k [Option<String>]) {
        values.split_at(self.key.len().min(values.len()))
    }

    /// The key as people read it, from the values of its fields.
    pub(crate) fn key_of(&self, values: &[Option<String>]) -> Key {
        let parts = self.key.iter().zip(values);
        parts.filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value))).collect()
    }
}

impl Counted {
    fn of(measure: &Measure) -> Self {
        match measure {
            Measure::Events => Self::Events,
            Measure::Values(field) => Self::Values(field.name.clone()),
            Measure::Sum(field) => Self::Sum(field.name.clone()),
            Measure::Average(field) => Self::Average(field.name.clone()),
            Measure::Percentile(field, rank) => Self::Percentile(field.name.clone(), *rank),
            Measure::Rules(formula) => Self::Rules(formula.clone()),
            Measure::Sequence => Self::Sequence,
        }
    }

    fn is_sum(&self) -> bool {
        matches!(self, Self::Sum(_))
    }

    /// Whether one more event can make the measure less.
    fn can_fall(&self) -> bool {
        match self {
            Self::Moments | Self::Unusual | Self::Events | Self::Values(_) | Self::Sum(_) | Self::Sequence => false,
            Self::Average(_) | Self::Percentile(..) => true,
            Self::Rules(formula) => formula.as_ref().is_some_and(Formula::denies),
        }
    }

    /// Whether its levels are numbers of events, in billionths, and not counts.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Average(_) | Self::Percentile(..))
    }

    /// Whether something of each event is kept besides its time.
    pub(super) fn has_marks(&self) -> bool {
        !matches!(self, Self::Moments | Self::Unusual | Self::Events)
    }
}

/// A hash that two runs agree on.
fn fingerprint(asked: &impl Serialize) -> u64 {
    use std::hash::BuildHasher;
    let bytes = postcard::to_stdvec(asked).expect("memory is all that serialising needs");
    Seed::default().hash_one(bytes)
}
