//! From the Sigma syntax tree to predicates and a program.

use std::collections::BTreeMap;

use super::ast::{ConditionExpr, Detection, Detections, Quantifier, SelectorPattern};
use super::condition::Program;
use super::nearest;
use super::place::Fault;
use super::value::{self, Names};

/// The program of a detection section.
///
/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(section: &Detections, names: &mut Names<'_>) -> Result<Program, Fault> {
    let mut programs = BTreeMap::new();
    for named in &section.named {
        let program = detect(&named.detection, names).map_err(|fault| fault.at(named.place))?;
        programs.insert(named.name.as_str(), program);
    }
    let parts: Result<Vec<_>, _> =
        section.conditions.iter().map(|condition| combine(&condition.expression, &programs)).collect();
    Ok(Program::any(parts?))
}

fn detect(detection: &Detection, names: &mut Names<'_>) -> Result<Program, Fault> {
    match detection {
        Detection::All(items) => {
            let parts: Result<Vec<_>, _> = items.iter().map(|item| value::compile(item, names)).collect();
            parts.map(Program::all)
        }
        Detection::Any(parts) => {
            let parts: Result<Vec<_>, _> = parts.iter().map(|part| detect(part, names)).collect();
            parts.map(Program::any)
        }
    }
}

fn combine(condition: &ConditionExpr, programs: &BTreeMap<&str, Program>) -> Result<Program, Fault> {
    let several =
        |parts: &[ConditionExpr]| parts.iter().map(|part| combine(part, programs)).collect::<Result<Vec<_>, _>>();
    match condition {
        ConditionExpr::And(parts) => several(parts).map(Program::all),
        ConditionExpr::Or(parts) => several(parts).map(Program::any),
        ConditionExpr::Not(part) => combine(part, programs).map(Program::not),
        ConditionExpr::Identifier(name, place) => programs.get(name.as_str()).cloned().ok_or_else(|| {
            let hint = nearest::hint(name, programs.keys().copied());
            Fault::error(format!("the condition names `{name}`, which is not there{hint}")).at(*place)
        }),
        ConditionExpr::Selector { quantifier, pattern, place } => {
            let parts: Vec<Program> =
                programs.iter().filter(|(name, _)| pattern.selects(name)).map(|(_, program)| program.clone()).collect();
            if parts.is_empty() {
                let hint = meant(pattern, programs.keys().copied());
                return Err(Fault::error(format!("`{quantifier} of {pattern}` names no detection{hint}")).at(*place));
            }
            select(*quantifier, pattern, parts).map_err(|message| Fault::error(message).at(*place))
        }
    }
}

/// The beginning of names that a pattern which selects none was meant for.
fn meant<'n>(pattern: &SelectorPattern, names: impl Iterator<Item = &'n str>) -> String {
    let SelectorPattern::Pattern(pattern) = pattern else { return String::new() };
    let stem = pattern.trim_end_matches('*');
    let mut beginnings = Vec::new();
    for name in names {
        beginnings.extend(name.match_indices('_').map(|(at, _)| &name[..=at]));
        beginnings.push(name);
        if name.starts_with(stem) {
            return format!("; did you mean `{stem}*`?");
        }
    }
    let near = nearest::nearest(stem, beginnings);
    near.map_or_else(String::new, |near| format!("; did you mean `{near}{}`?", &pattern[stem.len()..]))
}

fn select(quantifier: Quantifier, pattern: &SelectorPattern, parts: Vec<Program>) -> Result<Program, String> {
    match quantifier {
        Quantifier::Any => Ok(Program::any(parts)),
        Quantifier::All => Ok(Program::all(parts)),
        Quantifier::Count(count) if (1..=parts.len() as u64).contains(&count) => Ok(Program::AtLeast(count, parts)),
        Quantifier::Count(_) => {
            Err(format!("`{quantifier} of {pattern}` can never be: {} detections have such names", parts.len()))
        }
    }
}
