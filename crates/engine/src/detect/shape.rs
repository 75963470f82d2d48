//! What a rule asks of windows, as state needs it: worked out once a rule and not once an event.

use serde::Serialize;

use super::Key;
use crate::hash::Seed;
use crate::rule::{Body, Correlation, Measure, Rule, RuleId, RuleNumber};
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
    /// Fires at this level.
    pub(crate) at_least: u64,
    /// How long the condition must have been false before the next crossing is a new alert.
    pub(crate) quiet: Span,
    /// Names of the fields of the key.
    pub(crate) key: Vec<String>,
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
    /// Events in the window.
    Events,
    /// Distinct values of the field of this name in the window.
    Values(String),
}

impl Shape {
    /// How this rule's events become episodes; nothing for a rule that alerts once an event. `name` tells field
    /// names, `id` the identities of the rules that it counts.
    pub(crate) fn of<'r>(
        rule: &'r Rule,
        name: impl Fn(crate::field::FieldId) -> &'r str,
        id: impl Fn(RuleNumber) -> &'r RuleId,
    ) -> Option<Self> {
        let names = |fields: &[crate::field::FieldId]| fields.iter().map(|field| name(*field).to_owned()).collect();
        let (counted, window, at_least, quiet, key, bases) = match (&rule.body, &rule.dedup) {
            (Body::Detection, None) => return None,
            (Body::Detection, Some(dedup)) => {
                (Counted::Moments, dedup.period, 1, dedup.period, names(&dedup.group_by), Vec::new())
            }
            (Body::Correlation(asked), dedup) => {
                let Correlation { measure, bases, group_by, window, threshold } = asked;
                let counted = match measure {
                    Measure::Events => Counted::Events,
                    Measure::Values(field) => Counted::Values(name(*field).to_owned()),
                };
                let quiet = dedup.as_ref().map_or(*window, |dedup| dedup.period);
                let bases = bases.iter().map(|base| id(*base)).collect();
                (counted, *window, threshold.at_least, quiet, names(group_by), bases)
            }
        };
        let reading = fingerprint(&(&counted, &key, &bases));
        let asked = fingerprint(&(reading, rule.version, window, at_least, quiet));
        let window_text = window.to_string();
        Some(Self { counted, window, window_text, at_least, quiet, key, reading, asked })
    }

    /// The key as people read it, from the values of its fields.
    pub(crate) fn key_of(&self, values: &[Option<String>]) -> Key {
        let parts = self.key.iter().zip(values);
        parts.filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value))).collect()
    }
}

/// A hash that two runs agree on.
fn fingerprint(asked: &impl Serialize) -> u64 {
    use std::hash::BuildHasher;
    let bytes = postcard::to_stdvec(asked).expect("memory is all that serialising needs");
    Seed::default().hash_one(bytes)
}
