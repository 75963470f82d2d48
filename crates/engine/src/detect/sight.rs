//! What of an event must be remembered: pure, and run by every worker.

use super::{Count, Finding, Shape, Sighting};
use crate::alert::Scene;
use crate::alert::redact::label;
use crate::event::{Event, Uid};
use crate::field::{FieldId, scalar_text};
use crate::normalise;
use crate::rule::{Body, Measure, RuleNumber, RuleSet, Scratch};

/// What must be remembered of an event; nothing if no rule matched. Cost: one pass of the rule index, and
/// facets only for events that matched.
#[must_use]
pub fn sight(rules: &RuleSet, event: &Event, scratch: &mut Scratch) -> Option<Sighting> {
    sight_matched(rules, event, rules.matches(event, scratch))
}

/// As [`sight`], for an event of which it is known already which rules match it, in ascending order.
#[must_use]
pub fn sight_matched(rules: &RuleSet, event: &Event, matched: &[RuleNumber]) -> Option<Sighting> {
    let mut findings = Vec::new();
    for &number in matched {
        if rules.rule(number).alerts {
            findings.push(alone(rules, number, event));
        }
        for &correlation in rules.correlations_of(number) {
            findings.extend(counted(rules, correlation, number, event));
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

fn alone(rules: &RuleSet, number: RuleNumber, event: &Event) -> Finding {
    let rule = rules.rule(number);
    let count = match (&rule.dedup, rules.shape(number)) {
        // It matched, so it counts, whatever it lacks: then among those that lack the same.
        (Some(dedup), Some(Shape { reading, .. })) => {
            let key = dedup.group_by.iter().map(|&field| text(rules, field, event)).collect();
            Count::Within { reading: *reading, base: 0, key, values: Vec::new() }
        }
        (None, _) | (Some(_), None) => Count::Alone,
    };
    Finding { rule: rule.id.clone(), number, count }
}

fn counted(rules: &RuleSet, number: RuleNumber, base: RuleNumber, event: &Event) -> Option<Finding> {
    let rule = rules.rule(number);
    let (Body::Correlation(asked), Some(shape)) = (&rule.body, rules.shape(number)) else { return None };
    // An event that lacks a field of the group belongs to no group.
    let mut key = Vec::with_capacity(asked.group_by.len());
    for &field in &asked.group_by {
        key.push(Some(text(rules, field, event)?));
    }
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
    let base = asked.bases.iter().position(|other| *other == base)?;
    let base = u16::try_from(base).ok()?;
    Some(Finding { rule: rule.id.clone(), number, count: Count::Within { reading: shape.reading, base, key, values } })
}

/// The event's value of a field, if it has one.
fn text(rules: &RuleSet, field: FieldId, event: &Event) -> Option<String> {
    rules.fields().path(field).text(&event.raw).map(|value| label(&value))
}

/// All its values of a field.
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
