//! From the Sigma syntax tree of a correlation to what the engine counts.

use super::ast::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};
use super::number::Number;
use super::place::Fault;
use super::{COUNT_MAX, Comparison, Formula, Measure, Named, Threshold};
use crate::detect::BILLIONTHS;
use crate::field::Fields;
use crate::time::Span;

/// A correlation whose bases are still places among the drafts.
pub(super) struct Counted {
    pub(super) measure: Measure,
    pub(super) bases: Vec<usize>,
    pub(super) group_by: Vec<Named>,
    pub(super) window: Span,
    pub(super) threshold: Threshold,
}

/// A rule that is counted: its place among the drafts, and what it may be called.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) place: usize,
    pub(super) names: Vec<String>,
    /// The key of a correlation: all that the events of its findings consist of.
    pub(super) key: Option<Vec<String>>,
}

/// Which matched is kept in a word of bits.
const BASES_MAX: usize = 64;

/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(rule: &CorrelationRule, bases: &[Base], fields: &mut Fields) -> Result<Counted, Fault> {
    let at = |key: &'static str| move |message: String| Fault::error(message).at(rule.place(key));
    if bases.is_empty() {
        return Err(at("rules")("it names no rule to count".to_owned()));
    }
    if bases.len() > BASES_MAX {
        return Err(at("rules")(format!("it counts {} rules, at most {BASES_MAX} can be", bases.len())));
    }
    if rule.window != WindowMode::Sliding {
        return Err(at("window")(format!("{} windows are not supported; leave `window` out", rule.window.as_str())));
    }
    for alias in &rule.aliases {
        let names = |name: &String| bases.iter().any(|base| base.names.contains(name));
        if let Some((unknown, _)) = alias.mapping.iter().find(|(name, _)| !names(name)) {
            let message = format!("alias `{}` speaks of `{unknown}`, which is not counted", alias.alias);
            return Err(Fault::error(message).at(alias.place));
        }
    }
    let refuse = |error: crate::time::TimeError| at("timespan")(error.to_string());
    let window = rule.timespan.parse().map_err(refuse)?;
    let mut group_by = Vec::new();
    for name in &rule.group_by {
        group_by.push(named(rule, name, bases, fields).map_err(at("group-by"))?);
    }
    let measure = measure(rule, bases, fields).map_err(at("condition"))?;
    let threshold = threshold(rule, &measure, bases.len()).map_err(at("condition"))?;
    let bases = bases.iter().map(|base| base.place).collect();
    Ok(Counted { measure, bases, group_by, window, threshold })
}

/// What a name is in the events of each base.
fn named(rule: &CorrelationRule, name: &str, bases: &[Base], fields: &mut Fields) -> Result<Named, String> {
    let alias = rule.aliases.iter().find(|alias| alias.alias == name);
    let mut found = Vec::new();
    for base in bases {
        let field = match alias {
            None => name,
            Some(alias) => {
                let field = alias.mapping.iter().find(|(name, _)| base.names.contains(name)).map(|(_, field)| field);
                let missing = || format!("alias `{name}` does not say which field it is in `{}`", base.names[0]);
                field.ok_or_else(missing)?
            }
        };
        if let Some(key) = &base.key
            && !key.iter().any(|part| part == field)
        {
            let of = &base.names[0];
            return Err(format!(
                "a finding of `{of}` has the fields of its group-by only, and `{field}` is none of them"
            ));
        }
        found.push(fields.intern(field));
    }
    Ok(Named { name: name.to_owned(), fields: found })
}

fn measure(rule: &CorrelationRule, bases: &[Base], fields: &mut Fields) -> Result<Measure, String> {
    let sort = rule.correlation_type;
    let (field, percentile) = match &rule.condition {
        Some(CorrelationCondition::Extended(expression)) if sort == CorrelationType::Temporal => {
            return Ok(Measure::Rules(Some(formula(expression, bases)?)));
        }
        Some(CorrelationCondition::Extended(_)) => {
            return Err(format!("{} takes no condition over rule names; temporal does", sort.as_str()));
        }
        Some(CorrelationCondition::Threshold { field, percentile, .. }) => (field.as_deref(), *percentile),
        None => (None, None),
    };
    let mut field = || match field {
        Some([field]) => named(rule, field, bases, fields),
        _ => Err(format!("{} needs one `field` whose values it counts", sort.as_str())),
    };
    Ok(match sort {
        CorrelationType::EventCount | CorrelationType::Temporal | CorrelationType::TemporalOrdered
            if field().is_ok() =>
        {
            return Err(format!("{} takes no `field`; value_count counts values", sort.as_str()));
        }
        CorrelationType::EventCount => Measure::Events,
        CorrelationType::ValueCount => Measure::Values(field()?),
        CorrelationType::ValueSum => Measure::Sum(field()?),
        CorrelationType::ValueAvg => Measure::Average(field()?),
        CorrelationType::ValueMedian => Measure::Percentile(field()?, 50),
        CorrelationType::ValuePercentile => {
            let rank = percentile.map_or(Some(50), Number::whole).and_then(|rank| u8::try_from(rank).ok());
            match rank {
                Some(rank @ 0..=100) => Measure::Percentile(field()?, rank),
                _ => return Err("`percentile` is a whole number from 0 to 100".to_owned()),
            }
        }
        CorrelationType::Temporal => Measure::Rules(None),
        CorrelationType::TemporalOrdered => Measure::Sequence,
    })
}

fn formula(expression: &ConditionExpr, bases: &[Base]) -> Result<Formula, String> {
    let all = |parts: &[ConditionExpr]| parts.iter().map(|part| formula(part, bases)).collect::<Result<Vec<_>, _>>();
    match expression {
        ConditionExpr::And(parts) => all(parts).map(Formula::And),
        ConditionExpr::Or(parts) => all(parts).map(Formula::Or),
        ConditionExpr::Not(part) => Ok(Formula::Not(Box::new(formula(part, bases)?))),
        ConditionExpr::Identifier(name, _) => {
            let base = bases.iter().position(|base| base.names.contains(name));
            let base = base.ok_or_else(|| format!("`{name}` is not among the `rules` of the correlation"))?;
            Ok(Formula::Base(u16::try_from(base).map_err(|_| "too many rules".to_owned())?))
        }
        ConditionExpr::Selector { .. } => Err("name each rule; `1 of` and `all of` are for detections".to_owned()),
    }
}

fn threshold(rule: &CorrelationRule, measure: &Measure, bases: usize) -> Result<Threshold, String> {
    let predicates = match &rule.condition {
        Some(CorrelationCondition::Threshold { predicates, .. }) => predicates.as_slice(),
        Some(CorrelationCondition::Extended(_)) => {
            return Ok(Threshold { asks: vec![(Comparison::AtLeast, BILLIONTHS)] });
        }
        None if rule.correlation_type.is_temporal() => &[],
        None => return Err("it has no condition, such as `gte: 10`".to_owned()),
    };
    let mut threshold = Threshold { asks: Vec::new() };
    for (operator, number) in predicates {
        threshold.asks.push((comparison(*operator), billionths(*number)));
    }
    let (most, limit) = match measure {
        Measure::Events | Measure::Values(_) => {
            (COUNT_MAX, "the most events that a window holds of one key".to_owned())
        }
        Measure::Rules(_) | Measure::Sequence => (bases, "the number of its rules".to_owned()),
        Measure::Sum(_) | Measure::Average(_) | Measure::Percentile(..) => return Ok(threshold),
    };
    if threshold.asks.is_empty() {
        threshold.asks.push((Comparison::AtLeast, most as i128 * BILLIONTHS));
    }
    let bounds = 0..=most as i128 * BILLIONTHS;
    let fits = |(_, number): &(Comparison, i128)| bounds.contains(number) && number % BILLIONTHS == 0;
    let least = threshold.least_whole();
    if threshold.asks.iter().all(fits) && least.is_none_or(|least| (1..=most as i128).contains(&least)) {
        return Ok(threshold);
    }
    Err(format!("the count must be from 1 to {most}, {limit}"))
}

/// Exact for whole numbers and up to nine decimals.
fn billionths(number: Number) -> i128 {
    match number {
        Number::Whole(whole) => whole.saturating_mul(BILLIONTHS),
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        Number::Real(real) => (real * BILLIONTHS as f64).round() as i128,
    }
}

fn comparison(operator: ConditionOperator) -> Comparison {
    match operator {
        ConditionOperator::Gt => Comparison::Above,
        ConditionOperator::Gte => Comparison::AtLeast,
        ConditionOperator::Lt => Comparison::Below,
        ConditionOperator::Lte => Comparison::AtMost,
        ConditionOperator::Eq => Comparison::Equal,
        ConditionOperator::Neq => Comparison::Unequal,
    }
}
