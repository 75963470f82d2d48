//! From the Sigma syntax tree of a correlation to what the engine counts.

use super::ast::{ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode};
use super::number::Number;
use super::place::Fault;
use super::{COUNT_MAX, Measure, Threshold};
use crate::field::{FieldId, Fields};
use crate::time::Span;

/// A correlation whose bases are still places among the drafts.
pub(super) struct Counted {
    pub(super) measure: Measure,
    pub(super) bases: Vec<usize>,
    pub(super) group_by: Vec<FieldId>,
    pub(super) window: Span,
    pub(super) threshold: Threshold,
}

/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(rule: &CorrelationRule, bases: Vec<usize>, fields: &mut Fields) -> Result<Counted, Fault> {
    let at = |key: &'static str| move |message: String| Fault::error(message).at(rule.place(key));
    if !matches!(rule.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount) {
        let sort = rule.correlation_type.as_str();
        return Err(at("type")(format!("type `{sort}` is not supported yet; event_count and value_count are")));
    }
    if bases.is_empty() {
        return Err(at("rules")("it names no rule to count".to_owned()));
    }
    if rule.window != WindowMode::Sliding {
        return Err(at("window")(format!("{} windows are not supported; leave `window` out", rule.window.as_str())));
    }
    if !rule.aliases.is_empty() {
        return Err(at("aliases")("field aliases are not supported yet".to_owned()));
    }
    let refuse = |error: crate::time::TimeError| at("timespan")(error.to_string());
    let window = rule.timespan.parse().map_err(refuse)?;
    let Some(CorrelationCondition::Threshold { predicates, field, .. }) = &rule.condition else {
        return Err(at("condition")("a condition over rule names is not supported yet".to_owned()));
    };
    Ok(Counted {
        measure: measure(rule.correlation_type, field.as_deref(), fields).map_err(at("condition"))?,
        bases,
        group_by: rule.group_by.iter().map(|name| fields.intern(name)).collect(),
        window,
        threshold: threshold(predicates).map_err(at("condition"))?,
    })
}

fn measure(sort: CorrelationType, field: Option<&[String]>, fields: &mut Fields) -> Result<Measure, String> {
    match (sort, field) {
        (CorrelationType::ValueCount, Some([field])) => Ok(Measure::Values(fields.intern(field))),
        (CorrelationType::ValueCount, _) => Err("value_count needs one `field` whose values it counts".to_owned()),
        (_, None) => Ok(Measure::Events),
        (_, Some(_)) => Err("event_count takes no `field`; value_count counts values".to_owned()),
    }
}

fn threshold(predicates: &[(ConditionOperator, Number)]) -> Result<Threshold, String> {
    let at_least = match predicates {
        [(ConditionOperator::Gte, Number::Whole(count))] => Some(*count),
        [(ConditionOperator::Gt, Number::Whole(count))] => count.checked_add(1),
        [(_, Number::Real(_))] => None,
        _ => return Err("only one of `gte` and `gt` is supported yet".to_owned()),
    };
    match at_least.map(u64::try_from) {
        Some(Ok(at_least)) if (1..=COUNT_MAX as u64).contains(&at_least) => Ok(Threshold { at_least }),
        _ => Err(format!("the count must be from 1 to {COUNT_MAX}, the most events that a window holds of one key")),
    }
}
