//! What of an event must be remembered: pure, and run by every worker.

use super::{Count, Finding, Shape, Sighting, decimal};
use crate::alert::redact::label;
use crate::alert::{Alert, Scene};
use crate::event::{Event, Outcome, Uid};
use crate::field::{FieldId, scalar_text};
use crate::normalise;
use crate::rule::{Body, Measure, Named, RuleNumber, RuleSet, Scratch};
use crate::time::Timestamp;

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
    let base = asked.bases.iter().position(|other| *other == base)?;
    for named in &asked.group_by {
        key.push(Some(text(rules, *named.fields.get(base)?, event)?));
    }
    let values = match asked.measure.field() {
        None => Vec::new(),
        Some(named) => {
            let values = texts(rules, *named.fields.get(base)?, event, &asked.measure);
            if values.is_empty() {
                return None;
            }
            values
        }
    };
    let base = u16::try_from(base).ok()?;
    Some(Finding { rule: rule.id.clone(), number, count: Count::Within { reading: shape.reading, base, key, values } })
}

/// The event's value of a field, if it has one.
fn text(rules: &RuleSet, field: FieldId, event: &Event) -> Option<String> {
    rules.fields().path(field).text(&event.raw).map(|value| label(&value))
}

/// All its values of a field: each distinct one, or each number.
fn texts(rules: &RuleSet, field: FieldId, event: &Event, measure: &Measure) -> Vec<String> {
    let mut values = Vec::new();
    rules.fields().path(field).any(&event.raw, &mut |value| {
        values.extend(scalar_text(value).map(|value| label(&value)));
        false
    });
    match measure {
        Measure::Sum(_) | Measure::Average(_) | Measure::Percentile(..) => {
            values.retain(|value| decimal::packed(value).is_some());
        }
        Measure::Values(_) | Measure::Events | Measure::Rules(_) | Measure::Sequence => {
            values.sort_unstable();
            values.dedup();
        }
    }
    values
}

/// The finding of a correlation as an event of those that count it: it happens when the condition becomes true, its
/// id is the alert's, and its fields are those of the key.
pub(super) fn of_alert(rules: &RuleSet, number: RuleNumber, alert: &Alert, time: Timestamp) -> Sighting {
    let outer = rules.correlations_of(number).iter();
    let findings = outer.filter_map(|&outer| counted_finding(rules, outer, number, alert)).collect();
    let Alert { actor, network, target, action, .. } = alert.clone();
    let scene = Scene { actor, network, target, action, outcome: Outcome::Success };
    let uid = Uid { origin: String::new(), id: alert.id.0.clone() };
    Sighting { uid, time, kind: alert.kind, scene, findings }
}

fn counted_finding(rules: &RuleSet, number: RuleNumber, inner: RuleNumber, alert: &Alert) -> Option<Finding> {
    let rule = rules.rule(number);
    let (Body::Correlation(asked), Some(shape)) = (&rule.body, rules.shape(number)) else { return None };
    let base = asked.bases.iter().position(|other| *other == inner)?;
    let of = |named: &Named| {
        let field = rules.fields().path(*named.fields.get(base)?).name();
        alert.key.get(field).cloned()
    };
    let key = asked.group_by.iter().map(|named| of(named).map(Some)).collect::<Option<Vec<_>>>()?;
    let values = match asked.measure.field() {
        None => Vec::new(),
        Some(named) => vec![of(named)?],
    };
    let count = Count::Within { reading: shape.reading, base: u16::try_from(base).ok()?, key, values };
    Some(Finding { rule: rule.id.clone(), number, count })
}
