//! Noticing: from single matches to findings over time.
//!
//! [`sight`] is pure and runs on every worker: it says what of an event must be remembered. [`State`] has
//! one owner, takes sightings in order and answers with [`Change`]s to alerts. State reads time only from
//! events, so the same sightings give the same changes, and a restored state goes on as if nothing happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::redact::label;
use crate::alert::{Alert, Scene};
use crate::event::{Event, Kind, Uid};
use crate::field::{FieldId, scalar_text};
use crate::normalise;
use crate::rule::{Body, Measure, Rule, RuleId, RuleNumber, RuleSet, Scratch};
use crate::time::{Span, Timestamp};

mod episode;
mod fold;
mod state;
mod window;

pub(crate) use episode::Episode;
pub use state::{Caps, Change, RestoreError, Standing, State};

/// The values that an alert is about, field by field.
pub type Key = BTreeMap<String, String>;

/// An event that some rule matched: all that later stages need of it. Small, serialisable, and all that
/// the journal keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which event.
    pub uid: Uid,
    /// When it happened.
    pub time: Timestamp,
    /// Which log.
    pub kind: Kind,
    /// Who, from where, to what: what an alert shows.
    pub scene: Scene,
    /// What the rules found.
    pub findings: Vec<Finding>,
}

/// What one rule makes of one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that will raise the alert.
    pub rule: RuleId,
    /// How it counts this event.
    pub count: Count,
}

/// How an event counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Count {
    /// By itself: one event, one alert.
    Alone,
    /// Together with others of the same key.
    Within {
        /// The group.
        key: Key,
        /// Distinct values that it brings, for rules that count values.
        values: Vec<String>,
    },
}

/// How the events of one rule and key become episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// What is counted.
    pub(crate) counted: Counted,
    /// Length of the window, and width of the cells that anchor alert ids.
    pub(crate) window: Span,
    /// Fires at this count.
    pub(crate) at_least: u64,
    /// How long the condition must have been false before the next crossing is a new alert.
    pub(crate) quiet: Span,
}

/// What a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Counted {
    /// Nothing: every event makes the condition true for its moment (`dedup` on a detection).
    Moments,
    /// Events in the window.
    Events,
    /// Distinct values in the window.
    Values,
}

/// What must be remembered of an event; nothing if no rule matched. Cost: one pass of the rule index, and
/// facets only for events that matched.
#[must_use]
pub fn sight(rules: &RuleSet, event: &Event, scratch: &mut Scratch) -> Option<Sighting> {
    let mut findings = Vec::new();
    for &number in rules.matches(event, scratch) {
        let rule = rules.rule(number);
        if rule.alerts {
            findings.push(alone(rules, rule, event));
        }
        for &correlation in rules.correlations_of(number) {
            findings.extend(counted(rules, correlation, event));
        }
    }
    if findings.is_empty() {
        return None;
    }
    let scene = Scene::of(normalise::facets(event));
    // Ids come from outside as all else does: one that holds a secret is hidden, and stays the same id.
    let uid = Uid { origin: label(&event.uid.origin), id: label(&event.uid.id) };
    Some(Sighting { uid, time: event.time, kind: event.kind, scene, findings })
}

fn alone(rules: &RuleSet, rule: &Rule, event: &Event) -> Finding {
    let count = match &rule.dedup {
        None => Count::Alone,
        // It matched, so it counts, whatever it lacks: then among those that lack the same.
        Some(dedup) => {
            let key = parts(rules, &dedup.group_by, event).flatten().collect();
            Count::Within { key, values: Vec::new() }
        }
    };
    Finding { rule: rule.id.clone(), count }
}

fn counted(rules: &RuleSet, correlation: RuleNumber, event: &Event) -> Option<Finding> {
    let rule = rules.rule(correlation);
    let Body::Correlation(asked) = &rule.body else { return None };
    // An event that lacks a field of the group belongs to no group.
    let key = parts(rules, &asked.group_by, event).collect::<Option<Key>>()?;
    let values = match asked.measure {
        Measure::Events => Vec::new(),
        Measure::Values(field) => {
            let values = texts(rules, field, event);
            if values.is_empty() {
                return None;
            }
            values
        }
    };
    Some(Finding { rule: rule.id.clone(), count: Count::Within { key, values } })
}

/// The event's values of the group fields, one by one; nothing for one that it lacks.
fn parts<'e>(
    rules: &'e RuleSet,
    group_by: &'e [FieldId],
    event: &'e Event,
) -> impl Iterator<Item = Option<(String, String)>> + 'e {
    group_by.iter().map(|&field| {
        let path = rules.fields().path(field);
        path.text(&event.raw).map(|value| (path.name().to_owned(), label(&value)))
    })
}

fn texts(rules: &RuleSet, field: FieldId, event: &Event) -> Vec<String> {
    let mut values = Vec::new();
    rules.fields().path(field).any(&event.raw, &mut |value| {
        values.extend(scalar_text(value).map(|value| label(&value)));
        false
    });
    values.sort_unstable();
    values.dedup();
    values
}

impl Shape {
    /// How this rule's events become episodes; nothing for a rule that alerts once an event.
    pub(crate) fn of(rule: &Rule) -> Option<Self> {
        match (&rule.body, &rule.dedup) {
            (Body::Detection, None) => None,
            (Body::Detection, Some(dedup)) => {
                Some(Self { counted: Counted::Moments, window: dedup.period, at_least: 1, quiet: dedup.period })
            }
            (Body::Correlation(asked), dedup) => Some(Self {
                counted: match asked.measure {
                    Measure::Events => Counted::Events,
                    Measure::Values(_) => Counted::Values,
                },
                window: asked.window,
                at_least: asked.threshold.at_least,
                quiet: dedup.as_ref().map_or(asked.window, |dedup| dedup.period),
            }),
        }
    }
}

/// The final alerts of a whole stream, as `lapwing replay` and tests want them: the latest form of each
/// alert that was not superseded, by (time, id).
#[derive(Debug, Default)]
pub struct Ledger {
    alerts: BTreeMap<crate::alert::AlertId, Alert>,
}

impl Ledger {
    /// Takes a change in.
    pub fn take(&mut self, change: Change) {
        match change.standing {
            Standing::Open => self.alerts.insert(change.alert.id.clone(), change.alert),
            Standing::Superseded { .. } => self.alerts.remove(&change.alert.id),
        };
    }

    /// What stands at the end.
    #[must_use]
    pub fn into_alerts(self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.alerts.into_values().collect();
        alerts.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        alerts
    }
}

#[cfg(test)]
mod tests;
