//! From the Sigma syntax tree to predicates and a program.

use std::collections::BTreeMap;

use super::ast::{ConditionExpr, Detection, Detections, Quantifier, SelectorPattern};
use super::condition::Program;
use super::nearest;
use super::place::Fault;
use super::value::{self, Names};

/// Most steps of one rule, with the values of each selection as often as the condition names it. A public rule has a
/// few hundred.
pub(super) const WEIGHT_MAX: usize = 200_000;

/// The selections of a section, each with what naming it costs.
struct Selections<'s> {
    programs: BTreeMap<&'s str, (Program, usize)>,
    left: usize,
}

/// The program of a detection section.
///
/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(section: &Detections, names: &mut Names<'_>) -> Result<Program, Fault> {
    names.expanded = 0;
    let mut selections = Selections { programs: BTreeMap::new(), left: WEIGHT_MAX };
    for named in &section.named {
        let before = names.expanded;
        let program = detect(&named.detection, names).map_err(|fault| fault.at(named.place))?;
        let weight = program.steps() + values(&named.detection) + names.expanded - before;
        selections.programs.insert(named.name.as_str(), (program, weight));
    }
    let parts: Result<Vec<_>, _> =
        section.conditions.iter().map(|condition| selections.combine(&condition.expression)).collect();
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

fn values(detection: &Detection) -> usize {
    match detection {
        Detection::All(items) => items.iter().map(|item| item.values.len()).sum(),
        Detection::Any(parts) => parts.iter().map(values).sum(),
    }
}

impl Selections<'_> {
    fn combine(&mut self, condition: &ConditionExpr) -> Result<Program, Fault> {
        match condition {
            ConditionExpr::And(parts) => self.several(parts).map(Program::all),
            ConditionExpr::Or(parts) => self.several(parts).map(Program::any),
            ConditionExpr::Not(part) => self.combine(part).map(Program::not),
            ConditionExpr::Identifier(name, place) => {
                let Some((program, weight)) = self.programs.get(name.as_str()) else {
                    let hint = nearest::hint(name, self.programs.keys().copied());
                    return Err(
                        Fault::error(format!("the condition names `{name}`, which is not there{hint}")).at(*place)
                    );
                };
                let (program, weight) = (program.clone(), *weight);
                self.spend(weight).map_err(|fault| fault.at(*place))?;
                Ok(program)
            }
            ConditionExpr::Selector { quantifier, pattern, place } => {
                self.select(*quantifier, pattern).map_err(|fault| fault.at(*place))
            }
        }
    }

    fn several(&mut self, parts: &[ConditionExpr]) -> Result<Vec<Program>, Fault> {
        parts.iter().map(|part| self.combine(part)).collect()
    }

    fn select(&mut self, quantifier: Quantifier, pattern: &SelectorPattern) -> Result<Program, Fault> {
        let selected =
            || self.programs.iter().filter(|(name, _)| pattern.selects(name)).map(|(_, selection)| selection);
        let found = selected().count();
        let refuse = |message: String| Err(Fault::error(message));
        if found == 0 {
            let hint = meant(pattern, self.programs.keys().copied());
            return refuse(format!("`{quantifier} of {pattern}` names no detection{hint}"));
        }
        let often = match quantifier {
            Quantifier::Any | Quantifier::All => 1,
            Quantifier::Count(count) if (1..=found as u64).contains(&count) => usize::try_from(count).unwrap_or(found),
            Quantifier::Count(_) => {
                return refuse(format!("`{quantifier} of {pattern}` can never be: {found} detections have such names"));
            }
        };
        let weight = selected().map(|(_, weight)| *weight).fold(0, usize::saturating_add);
        self.spend(weight.saturating_mul(often))?;
        let selected = self.programs.iter().filter(|(name, _)| pattern.selects(name));
        let parts: Vec<Program> = selected.map(|(_, (program, _))| program.clone()).collect();
        Ok(match quantifier {
            Quantifier::Any => Program::any(parts),
            Quantifier::All => Program::all(parts),
            Quantifier::Count(count) => Program::AtLeast(count, parts),
        })
    }

    fn spend(&mut self, weight: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(weight).ok_or_else(|| {
            let message = format!(
                "the rule is too long: with the lines and values of each selection as often as the condition names it, \
                 it has more than {WEIGHT_MAX}"
            );
            Fault::error(message)
        })?;
        Ok(())
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
