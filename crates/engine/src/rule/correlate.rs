//! From the Sigma syntax tree of a correlation to what the engine counts.

use std::collections::BTreeSet;

use super::ast::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};
use super::number::Number;
use super::place::Fault;
use super::range;
use super::{COUNT_MAX, Comparison, Formula, Measure, Named, Threshold};
use crate::detect::{BILLIONTHS, decimal_text};
use crate::field::{self, Fields};
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
    field::check(name)?;
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
        field::check(field)?;
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
            let formula = formula(expression, bases)?;
            if !possible(&formula, bases.len()) {
                return Err("the condition can never hold of rules one of which at least has matched".to_owned());
            }
            return Ok(Measure::Rules(Some(formula)));
        }
        Some(CorrelationCondition::Extended(_)) => {
            return Err(format!("{} takes no condition over rule names; temporal does", sort.as_str()));
        }
        Some(CorrelationCondition::Threshold { field, percentile, .. }) => (field.as_deref(), *percentile),
        None => (None, None),
    };
    if field.is_some()
        && matches!(sort, CorrelationType::EventCount | CorrelationType::Temporal | CorrelationType::TemporalOrdered)
    {
        return Err(format!("{} takes no `field`; value_count counts values", sort.as_str()));
    }
    if percentile.is_some() && sort != CorrelationType::ValuePercentile {
        return Err(format!("{} takes no `percentile`; value_percentile does", sort.as_str()));
    }
    let mut field = || match field {
        Some([field]) => named(rule, field, bases, fields),
        _ => Err(format!("{} needs one `field` whose values it counts", sort.as_str())),
    };
    Ok(match sort {
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
        threshold.asks.push((comparison(*operator), billionths(*number)?));
    }
    let (most, limit) = match measure {
        Measure::Events | Measure::Values(_) => {
            (COUNT_MAX, "the most events that a window holds of one key".to_owned())
        }
        Measure::Rules(_) | Measure::Sequence => (bases, "the number of its rules".to_owned()),
        Measure::Sum(_) | Measure::Average(_) | Measure::Percentile(..) => {
            return if range::any_real(&threshold) { Ok(threshold) } else { Err(never("number", &threshold)) };
        }
    };
    if threshold.asks.is_empty() {
        threshold.asks.push((Comparison::AtLeast, most as i128 * BILLIONTHS));
    }
    if let Some(ask) = threshold.asks.iter().find(|(_, number)| number % BILLIONTHS != 0) {
        return Err(no_count(*ask));
    }
    let bounds = 0..=most as i128 * BILLIONTHS;
    let least = threshold.least_whole();
    if !threshold.asks.iter().all(|(_, number)| bounds.contains(number))
        || least.is_some_and(|least| least > most as i128)
    {
        return Err(format!("the count must be from 1 to {most}, {limit}"));
    }
    // A window is opened by an event that counts; its values may be none.
    let lowest = if let Measure::Values(_) = measure { 0 } else { 1 };
    if !range::any_whole(&threshold, lowest..=most as i128) {
        return Err(never("count", &threshold));
    }
    if least.is_some_and(|least| least < 1) {
        return Err(format!("the count must be from 1 to {most}, {limit}"));
    }
    Ok(threshold)
}

/// What to write instead of a count that is none.
fn no_count((comparison, number): (Comparison, i128)) -> String {
    let below = number.div_euclid(BILLIONTHS);
    let instead = match comparison {
        Comparison::Above | Comparison::AtLeast => format!("; write `gte: {}`", below + 1),
        Comparison::Below | Comparison::AtMost => format!("; write `lte: {below}`"),
        Comparison::Equal | Comparison::Unequal => String::new(),
    };
    format!("a count is a whole number, which {} is not{instead}", decimal_text(number))
}

fn never(what: &str, threshold: &Threshold) -> String {
    let ask = |(comparison, number): &(Comparison, i128)| format!("`{}: {}`", comparison.name(), decimal_text(*number));
    let asks: Vec<String> = threshold.asks.iter().map(ask).collect();
    format!("the condition can never hold: no {what} is {}", asks.join(" and "))
}

/// Whether some of the bases, and one at least, can have matched so that the formula holds; taken for granted of one
/// that names many.
fn possible(formula: &Formula, bases: usize) -> bool {
    const NAMED_MAX: usize = 12;
    fn gather(formula: &Formula, named: &mut BTreeSet<u16>) {
        match formula {
            Formula::Base(base) => drop(named.insert(*base)),
            Formula::And(parts) | Formula::Or(parts) => parts.iter().for_each(|part| gather(part, named)),
            Formula::Not(part) => gather(part, named),
        }
    }
    let mut named = BTreeSet::new();
    gather(formula, &mut named);
    let holds = |choice: u64| {
        let bit = |(place, base): (usize, &u16)| (choice >> place & 1) << base;
        formula.holds(named.iter().enumerate().map(bit).sum())
    };
    // With none of those it names, another may have matched.
    let first = u64::from(bases == named.len());
    named.len() > NAMED_MAX || (first..1 << named.len()).any(holds)
}

/// Exact for whole numbers and up to nine decimals.
fn billionths(number: Number) -> Result<i128, String> {
    let found = match number {
        Number::Whole(whole) => whole.checked_mul(BILLIONTHS),
        Number::Real(real) => {
            let scaled = real * BILLIONTHS as f64;
            // A real that is written with nine decimals is not quite the number that is written.
            if (scaled - scaled.round()).abs() > 1e-3 {
                return Err(format!("`{real}` has more than nine decimals, which is what is compared"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "what it holds is below 2^126")]
            Some(scaled.round() as i128).filter(|_| scaled.abs() < 8e37)
        }
    };
    found.ok_or_else(|| "a condition takes numbers up to 10^28".to_owned())
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
