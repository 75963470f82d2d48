//! What of an event must be remembered: pure, and run by every worker.

use std::borrow::Cow;

use super::{BETWEEN, Count, Finding, Shape, Sighting, Spot, Way, decimal, risk};
use crate::address::{Aspect, Whereabouts};
use crate::alert::redact::label;
use crate::alert::{Alert, Scene};
use crate::event::{Event, Facets, Kind, Uid};
use crate::field::FieldId;
use crate::lineage::Glimpse;
use crate::normalise::{Format, Home, Limits};
use crate::rule::{Anomaly, Body, Facts, Glance, Measure, Named, RuleNumber, RuleSet, Scratch};
use crate::time::Timestamp;

/// What a look at a raw record comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'r> {
    /// When it happened.
    pub time: Timestamp,
    /// Where it is from.
    pub home: Home<'r>,
    /// Which log it stood in.
    pub kind: Kind,
    /// What must be remembered of it; nothing if no rule matched.
    pub sighting: Option<Sighting>,
    /// What it says of credentials and deploys.
    pub glimpse: Glimpse<'r>,
}

/// A raw record as a source hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'r> {
    /// Its bytes.
    pub body: &'r [u8],
    /// Its place in its source; the identity of a record that has no other.
    pub position: &'r str,
    /// What it is.
    pub format: Format,
}

/// What must be remembered of an event; nothing if no rule matched. Cost: one pass of the rule index, and
/// another walk over events that matched.
#[must_use]
pub fn sight(rules: &RuleSet, event: &Event, scratch: &mut Scratch) -> Option<Sighting> {
    let matched = rules.matches(event, scratch).to_vec();
    if matched.is_empty() {
        return None;
    }
    rules.recall(event, scratch, |facts| {
        let findings = findings(rules, &matched, facts);
        if findings.is_empty() && !risk::is_fed_by(rules, &matched) {
            return None;
        }
        let Event { uid, time, kind, .. } = event;
        let about = (&facts.facets(Some(event)), facts.place());
        Some(sighting(uid, (*time, *kind), about, (rules, &matched, findings)))
    })?
}

/// What [`normalise`](crate::normalise::normalise) and [`sight`] would come to, from the text of a record alone; nothing
/// if that does not show it. Several times faster, and most records are such.
#[must_use]
pub fn sight_raw<'r>(rules: &RuleSet, raw: Raw<'r>, limits: &Limits, scratch: &mut Scratch) -> Option<Seen<'r>> {
    rules.glance_and_recall(raw.format, raw.body, limits, scratch, |glance, recall| {
        let Glance { kind, home, time, rules: matched, glimpse } = glance;
        let seen = |sighting| Some(Seen { time, home, kind, sighting, glimpse });
        if matched.is_empty() {
            return seen(None);
        }
        recall.read(|facts| {
            let findings = findings(rules, matched, facts);
            if findings.is_empty() && !risk::is_fed_by(rules, matched) {
                return seen(None);
            }
            let uid = facts.uid(raw.position, time)?;
            let about = (&facts.facets(None), facts.place());
            seen(Some(sighting(&uid, (time, kind), about, (rules, matched, findings))))
        })
    })
}

fn sighting(
    uid: &Uid,
    (time, kind): (Timestamp, Kind),
    (facets, place): (&Facets<Cow<'_, str>>, Option<&Whereabouts>),
    (rules, matched, mut findings): (&RuleSet, &[RuleNumber], Vec<Finding>),
) -> Sighting {
    // What is known of an address goes with its event: a replay of the journal needs no database, and finds the same.
    let place = place.map(Whereabouts::shown).filter(|place| !place.is_empty());
    let scene = Scene::of(facets, place.as_deref());
    findings.extend(risk::of_event(rules, matched, &scene));
    // Ids come from outside as all else does: one that holds a secret is hidden, and stays the same id.
    let uid = Uid { origin: label(&uid.origin), id: label(&uid.id) };
    Sighting { uid, time, clamped: false, kind, scene, findings }
}

fn findings(rules: &RuleSet, matched: &[RuleNumber], facts: &Facts<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &number in matched {
        // What only adds to risk is looked at as well; of single events that is all.
        let adds = !rules.risks_of(number).is_empty() && rules.shape(number).is_some();
        if rules.rule(number).alerts || adds {
            findings.extend(own(rules, number, facts));
        }
        for &correlation in rules.correlations_of(number) {
            findings.extend(counted(rules, correlation, number, facts));
        }
    }
    findings
}

/// What a detection finds by itself.
fn own(rules: &RuleSet, number: RuleNumber, facts: &Facts<'_, '_>) -> Option<Finding> {
    match &rules.rule(number).anomaly {
        Some(anomaly) => looked_at(rules, number, anomaly, facts),
        None => Some(alone(rules, number, facts)),
    }
}

/// An event that is looked at for what is unusual; one that lacks a field of the key, or has nothing to be looked at, is not.
fn looked_at(rules: &RuleSet, number: RuleNumber, anomaly: &Anomaly, facts: &Facts<'_, '_>) -> Option<Finding> {
    let reading = rules.shape(number)?.reading;
    if anomaly.ignore.iter().any(|(field, value)| is_ignored(facts, *field, value.as_deref())) {
        return None;
    }
    let mut key = anomaly.by.iter().map(|&field| text(facts, field).map(Some)).collect::<Option<Vec<_>>>()?;
    // Behind it its group. Who belongs to none is judged by itself.
    key.extend(anomaly.peers.iter().map(|&field| text(facts, field)));
    let values = match anomaly.of.as_slice() {
        [] => Vec::new(),
        fields if anomaly.way == Way::Travel => vec![spot(fields, facts)?],
        [field] => texts(facts, *field),
        // Several make one value together.
        fields => {
            vec![fields.iter().map(|&field| text(facts, field)).collect::<Option<Vec<_>>>()?.join(&BETWEEN.to_string())]
        }
    };
    if values.is_empty() && !anomaly.of.is_empty() {
        return None;
    }
    let count = Count::Within { reading, base: 0, key, values };
    Some(Finding { rule: rules.rule(number).id.clone(), number, count })
}

fn is_ignored(facts: &Facts<'_, '_>, field: FieldId, value: Option<&str>) -> bool {
    facts.find(field, |found| value.is_none_or(|value| found == value).then_some(())).is_some()
}

/// Where the event came from, by the values of [`Way::PLACE`]; nothing where that is not known.
fn spot(fields: &[FieldId], facts: &Facts<'_, '_>) -> Option<String> {
    let mut known = Whereabouts::default();
    let named = |wanted: Aspect| Way::PLACE.iter().position(|name| *name == wanted.name());
    let read = |aspect: Aspect| text(facts, *fields.get(named(aspect)?)?);
    for (_, aspect) in Aspect::NAMES {
        read(aspect).into_iter().for_each(|value| known.set(aspect, &value));
    }
    // Some vendors write its name.
    if known.get(Aspect::Country).is_none() {
        let name = fields.last().and_then(|field| text(facts, *field));
        known.set(Aspect::Country, &name.unwrap_or_default());
    }
    let value = |aspect| known.get(aspect).unwrap_or_default();
    let address = facts.address().map_or_else(String::new, |address| address.to_string());
    let words = match known.shown() {
        shown if address.is_empty() => shown,
        shown if shown.is_empty() => address,
        shown => format!("{address} ({shown})"),
    };
    let place = (value(Aspect::Latitude), value(Aspect::Longitude));
    Some(Spot::at(place, value(Aspect::Network), value(Aspect::Country), &words)?.write())
}

fn alone(rules: &RuleSet, number: RuleNumber, facts: &Facts<'_, '_>) -> Finding {
    let rule = rules.rule(number);
    let count = match (&rule.dedup, rules.shape(number)) {
        // It matched, so it counts, whatever it lacks: then among those that lack the same.
        (Some(dedup), Some(Shape { reading, .. })) => {
            let key = dedup.group_by.iter().map(|&field| text(facts, field)).collect();
            Count::Within { reading: *reading, base: 0, key, values: Vec::new() }
        }
        (None, _) | (Some(_), None) => Count::Alone,
    };
    Finding { rule: rule.id.clone(), number, count }
}

fn counted(rules: &RuleSet, number: RuleNumber, base: RuleNumber, facts: &Facts<'_, '_>) -> Option<Finding> {
    let rule = rules.rule(number);
    let (Body::Correlation(asked), Some(shape)) = (&rule.body, rules.shape(number)) else { return None };
    // An event that lacks a field of the group belongs to no group.
    let mut key = Vec::with_capacity(asked.group_by.len());
    let base = asked.bases.iter().position(|other| *other == base)?;
    for named in &asked.group_by {
        key.push(Some(text(facts, *named.fields.get(base)?)?));
    }
    let values = match asked.measure.field() {
        None => Vec::new(),
        Some(named) => {
            let values = measured(facts, *named.fields.get(base)?, &asked.measure);
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
fn text(facts: &Facts<'_, '_>, field: FieldId) -> Option<String> {
    facts.find(field, |value| Some(label(value)))
}

/// Values of one event that are counted at most: the first of them in their order. A record of a megabyte may hold a
/// hundred thousand, and each has its place in a window.
const VALUES_MAX: usize = 1_000;

/// All its values of a field.
fn all(facts: &Facts<'_, '_>, field: FieldId) -> Vec<String> {
    let mut values = Vec::new();
    facts.find(field, |value| {
        values.push(label(value));
        None::<()>
    });
    values
}

/// Each distinct one.
fn texts(facts: &Facts<'_, '_>, field: FieldId) -> Vec<String> {
    let mut values = all(facts, field);
    values.sort_unstable();
    values.dedup();
    values.truncate(VALUES_MAX);
    values
}

/// Each distinct one, or each number.
fn measured(facts: &Facts<'_, '_>, field: FieldId, measure: &Measure) -> Vec<String> {
    match measure {
        Measure::Sum(_) | Measure::Average(_) | Measure::Percentile(..) => {
            let mut values = all(facts, field);
            values.retain(|value| decimal::packed(value).is_some());
            values.truncate(VALUES_MAX);
            values
        }
        Measure::Values(_) | Measure::Events | Measure::Rules(_) | Measure::Sequence => texts(facts, field),
    }
}

/// The finding of a correlation as an event of those that count it: it happens when the condition becomes true, its
/// id is the alert's, and its fields are those of the key.
pub(super) fn of_alert(rules: &RuleSet, number: RuleNumber, alert: &Alert, time: Timestamp) -> Sighting {
    let outer = rules.correlations_of(number).iter();
    let findings = outer.filter_map(|&outer| counted_finding(rules, outer, number, alert)).collect();
    let scene = Scene::of_alert(&alert.actor, &alert.network, &alert.target, &alert.action);
    let uid = Uid { origin: String::new(), id: alert.id.0.clone() };
    Sighting { uid, time, clamped: false, kind: alert.kind, scene, findings }
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
