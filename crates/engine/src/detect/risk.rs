//! What a finding adds to the risk of an actor, an address, a target or an account.
//!
//! A finding becomes an event of the rules that add up: it happens when it is known, in event time, and its values say of which
//! rule and key it is and what it weighs. A rule that learns says by its p-value how much; of any other its level does.

use super::{BETWEEN, Count, Finding, Sighting};
use crate::alert::{Alert, Part, Scene};
use crate::event::{ActorSort, Uid};
use crate::rule::{Body, Facet, Risk, RuleNumber, RuleSet, Severity};
use crate::time::Timestamp;

/// A p-value of one in a million or less weighs as much as a critical rule.
const WEIGHT_MAX: f64 = 6.0;

/// What a finding of a rule without p-values weighs.
fn of_level(level: Severity) -> f64 {
    match level {
        Severity::Informational => 0.5,
        Severity::Low => 1.0,
        Severity::Medium => 2.0,
        Severity::High => 4.0,
        Severity::Critical => WEIGHT_MAX,
    }
}

/// What a finding weighs, in thousandths; `strength` is `-log10` of its p-value, if it has one.
fn weight(level: Severity, strength: Option<f64>) -> u32 {
    let weight = strength.unwrap_or_else(|| of_level(level)).clamp(0.0, WEIGHT_MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to six thousand")]
    let thousandths = (weight * 1_000.0).round() as u32;
    thousandths
}

/// What an event adds by rules that find single events.
pub(super) fn of_event(rules: &RuleSet, matched: &[RuleNumber], scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &number in matched.iter().filter(|number| is_single(rules, **number)) {
        let rule = rules.rule(number);
        let values = || {
            let weight = weight(rule.severity, None).to_string();
            vec![rule.id.0.to_string(), String::new(), rule.title.clone(), weight]
        };
        findings.extend(rules.risks_of(number).iter().filter_map(|&outer| finding(rules, outer, scene, values())));
    }
    findings
}

/// Whether some of these rules add to risk by a single event.
pub(super) fn is_fed_by(rules: &RuleSet, matched: &[RuleNumber]) -> bool {
    matched.iter().any(|number| is_single(rules, *number))
}

fn is_single(rules: &RuleSet, number: RuleNumber) -> bool {
    !rules.risks_of(number).is_empty() && rules.shape(number).is_none()
}

/// What an alert adds that takes in several events. One that may still be taken back is known by its id.
pub(super) fn of_alert(
    rules: &RuleSet,
    number: RuleNumber,
    alert: &Alert,
    (time, strength): (Timestamp, Option<f64>),
) -> Sighting {
    let rule = rules.rule(number);
    let scene = Scene::of_alert(&alert.actor, &alert.network, &alert.target, &alert.action);
    let key: Vec<&str> = alert.key.values().map(String::as_str).collect();
    let weight = weight(rule.severity, strength).to_string();
    let mut values = vec![rule.id.0.to_string(), key.join(&BETWEEN.to_string()), rule.title.clone(), weight];
    if strength.is_none() {
        values.push(alert.id.0.clone());
    }
    let outer = rules.risks_of(number).iter();
    let findings = outer.filter_map(|&outer| finding(rules, outer, &scene, values.clone())).collect();
    let uid = Uid { origin: String::new(), id: alert.id.0.clone() };
    Sighting { uid, time, clamped: false, kind: alert.kind, scene, findings }
}

fn finding(rules: &RuleSet, number: RuleNumber, scene: &Scene, values: Vec<String>) -> Option<Finding> {
    let rule = rules.rule(number);
    let (Body::Risk(risk), Some(shape)) = (&rule.body, rules.shape(number)) else { return None };
    let count = Count::Within { reading: shape.reading, base: 0, key: key(risk, scene)?, values };
    Some(Finding { rule: rule.id.clone(), number, count })
}

/// Whose risk it is; nobody's if the event does not say.
fn key(risk: &Risk, scene: &Scene) -> Option<Vec<Option<String>>> {
    risk.by.iter().map(|facet| of_facet(*facet, scene).map(|text| Some(text.to_owned()))).collect()
}

fn of_facet(facet: Facet, scene: &Scene) -> Option<&str> {
    match facet {
        Facet::Actor => {
            let id = scene.get(Part::ActorId).or(scene.get(Part::ActorName))?;
            Some(if scene.sort() == ActorSort::Role { without_session(id) } else { id })
        }
        Facet::Ip => scene.get(Part::Ip),
        Facet::Target => scene.get(Part::TargetId),
        Facet::Account => scene.get(Part::Account),
    }
}

/// What runs as a role has a session of another name each time; of people it is their address, and the role is shared.
fn without_session(id: &str) -> &str {
    match id.rsplit_once('/') {
        Some((role, session)) if role.contains(":assumed-role/") && !session.contains('@') => role,
        Some(_) | None => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_a_workload_are_one_actor_and_people_who_share_a_role_are_several() {
        for (id, actor) in [
            ("arn:aws:sts::1:assumed-role/orders/i-0a1b", "arn:aws:sts::1:assumed-role/orders"),
            ("arn:aws:sts::1:assumed-role/orders", "arn:aws:sts::1:assumed-role/orders"),
            ("arn:aws:sts::1:assumed-role/admin/ana@example.org", "arn:aws:sts::1:assumed-role/admin/ana@example.org"),
            ("arn:aws:iam::1:user/team/ana", "arn:aws:iam::1:user/team/ana"),
        ] {
            assert_eq!(without_session(id), actor);
        }
    }

    #[test]
    fn a_p_value_weighs_its_order_and_never_more_than_a_critical_rule() {
        assert_eq!([Some(2.5), Some(9.0), None].map(|strength| weight(Severity::Low, strength)), [2_500, 6_000, 1_000]);
        assert!(Severity::ALL.map(|level| weight(level, None)).is_sorted());
    }
}
