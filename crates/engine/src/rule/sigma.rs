//! From the Sigma syntax tree to predicates and a program.

use std::collections::BTreeMap;

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, FieldSpec, Quantifier, SelectorPattern};

use super::condition::Program;
use super::modifier;
use super::place::Fault;
use super::value::{self, Names};

/// The program of a detection section.
///
/// # Errors
/// What its author can mend, and where.
pub(super) fn compile(section: &Detections, names: &mut Names<'_>) -> Result<Program, Fault> {
    // The parser's map has no order of its own.
    let sections: BTreeMap<&str, &Detection> =
        section.named.iter().map(|(name, detection)| (name.as_str(), detection)).collect();
    let mut programs = BTreeMap::new();
    for (name, detection) in sections {
        let program = detect(detection, names).map_err(|fault| fault.under(name).under("detection"))?;
        programs.insert(name, program);
    }
    let mut parts = Vec::new();
    for condition in &section.conditions {
        let part = combine(condition, &programs);
        parts.push(part.map_err(|message| Fault::error(message).under("condition").under("detection"))?);
    }
    if parts.is_empty() {
        return Err(Fault::error("the condition is empty").under("condition").under("detection"));
    }
    Ok(Program::any(parts))
}

fn detect(detection: &Detection, names: &mut Names<'_>) -> Result<Program, Fault> {
    let parts = match detection {
        Detection::AllOf(items) => {
            let mut parts = Vec::new();
            for item in items {
                let part = value::compile(item, names);
                parts.push(part.map_err(|message| Fault::error(message).under(&key(&item.field)))?);
            }
            parts
        }
        Detection::AnyOf(parts) => {
            let parts: Result<Vec<_>, _> = parts.iter().map(|part| detect(part, names)).collect();
            return parts.map(Program::any).and_then(filled);
        }
        Detection::Keywords(values) => {
            let item = DetectionItem { field: FieldSpec::new(None, Vec::new()), values: values.clone() };
            vec![value::compile(&item, names).map_err(Fault::error)?]
        }
        Detection::And(parts) => parts.iter().map(|part| detect(part, names)).collect::<Result<_, _>>()?,
        Detection::ArrayMatch { field, quantifier, .. } => {
            let message = format!("blocks over array elements, `{field}[{quantifier}]`, are not supported yet");
            return Err(Fault::error(message).under(&format!("{field}[{quantifier}]")));
        }
        Detection::Conditional { .. } => {
            return Err(Fault::error("blocks with a condition of their own are not supported yet"));
        }
    };
    filled(Program::all(parts))
}

fn filled(program: Program) -> Result<Program, Fault> {
    match program {
        Program::And(parts) | Program::Or(parts) if parts.is_empty() => Err(Fault::error("the detection is empty")),
        program => Ok(program),
    }
}

fn combine(condition: &ConditionExpr, programs: &BTreeMap<&str, Program>) -> Result<Program, String> {
    let several =
        |parts: &[ConditionExpr]| parts.iter().map(|part| combine(part, programs)).collect::<Result<Vec<_>, _>>();
    match condition {
        ConditionExpr::And(parts) => several(parts).map(Program::all),
        ConditionExpr::Or(parts) => several(parts).map(Program::any),
        ConditionExpr::Not(part) => combine(part, programs).map(Program::not),
        ConditionExpr::Identifier(name) => programs
            .get(name.as_str())
            .cloned()
            .ok_or_else(|| format!("the condition names `{name}`, which is not there")),
        ConditionExpr::Selector { quantifier, pattern } => {
            let parts: Vec<Program> = programs
                .iter()
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .map(|(_, program)| program.clone())
                .collect();
            select(quantifier, pattern, parts)
        }
    }
}

fn select(quantifier: &Quantifier, pattern: &SelectorPattern, parts: Vec<Program>) -> Result<Program, String> {
    if parts.is_empty() {
        return Err(format!("`{quantifier} of {pattern}` names no detection"));
    }
    match quantifier {
        Quantifier::Any => Ok(Program::any(parts)),
        Quantifier::All => Ok(Program::all(parts)),
        Quantifier::Count(count) if (1..=parts.len() as u64).contains(count) => Ok(Program::AtLeast(*count, parts)),
        Quantifier::Count(_) => {
            Err(format!("`{quantifier} of {pattern}` can never be: {} detections have such names", parts.len()))
        }
    }
}

/// The key as it stands in the rule, as far as the parser keeps it.
fn key(field: &FieldSpec) -> String {
    let name = field.name.as_deref().unwrap_or_default();
    field.modifiers.iter().fold(name.to_owned(), |key, modifier| format!("{key}|{}", modifier::name(*modifier)))
}
