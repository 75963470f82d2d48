//! Filters: how a user tunes rules without editing them.
//!
//! A filter leaves events out. The specification's example writes what is left out, `condition: selection`;
//! the tools write what is kept, `condition: not selection`. Both mean the same here, and whatever could mean
//! either is refused: a filter read the wrong way round would silence a rule for all but what it should miss.

use std::collections::BTreeMap;

use super::ast::{ConditionExpr, FilterRule, FilterRuleTarget};
use super::condition::Program;
use super::draft::{Draft, Source};
use super::index::includes;
use super::load::{ByName, Compiled};
use super::place::Fault;
use super::sigma;
use super::value::Names;

/// What a filter's condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Which events the rules still match.
    Kept,
    /// Which events they no longer match.
    LeftOut,
}

/// Narrows the rules that filters are for. `applied` gets, for each rule, the titles of its filters.
pub(super) fn apply(
    drafts: &[Draft<'_>],
    compiled: &mut [Option<Compiled>],
    applied: &mut [Vec<String>],
    names: &mut Names<'_>,
) -> Vec<(usize, Fault)> {
    let mut faults = Vec::new();
    let by_name = ByName::of(drafts);
    // Side by side and not within each other: what walks a program recurses.
    let mut narrowed: BTreeMap<usize, (usize, Vec<Program>)> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Source::Filter(filter) = &draft.source else { continue };
        let program = match program(filter, names) {
            Ok(program) => program,
            Err(fault) => {
                faults.push((place, fault));
                continue;
            }
        };
        let steps = program.steps();
        let (targets, found) = targets((filter, &draft.source), drafts, compiled, &by_name);
        faults.extend(found.into_iter().map(|fault| (place, fault)));
        for target in targets {
            let (weight, parts) = narrowed.entry(target).or_default();
            if *weight + steps > sigma::WEIGHT_MAX {
                let message =
                    format!("rule `{}` has too many filters to be narrowed by this one", drafts[target].title);
                faults.push((place, Fault::warning(message).at(filter.place)));
                continue;
            }
            *weight += steps;
            parts.push(program.clone());
            applied[target].push(draft.title.clone());
        }
    }
    for (target, (_, parts)) in narrowed {
        if let Some(Compiled::Detection(_, rule)) = &mut compiled[target] {
            let whole = std::mem::replace(rule, Program::And(Vec::new()));
            *rule = Program::all(std::iter::once(whole).chain(parts).collect());
        }
    }
    faults
}

/// What must be true of an event that a filtered rule still matches.
fn program(filter: &FilterRule, names: &mut Names<'_>) -> Result<Program, Fault> {
    let program = sigma::compile(&filter.detection, names)?;
    let mut says = Vec::new();
    for condition in &filter.detection.conditions {
        says.push(said(&condition.expression).ok_or_else(|| {
            let message = format!(
                "`{}` could say what the filter keeps or what it leaves out; write `not (...)` around what it \
                 leaves out",
                condition.text
            );
            Fault::error(message).at(condition.place)
        })?);
    }
    match says.as_slice() {
        [Says::Kept] => Ok(program),
        [] | [Says::LeftOut] => Ok(Program::not(program)),
        [first, rest @ ..] if *first == Says::LeftOut && rest.iter().all(|other| other == first) => {
            Ok(Program::not(program))
        }
        [..] => {
            let message = "several conditions that say what is kept contradict each other; write one";
            Err(Fault::error(message).at(filter.detection.conditions[0].place))
        }
    }
}

/// What a condition says; nothing if it could be either.
pub(super) fn said(condition: &ConditionExpr) -> Option<Says> {
    match condition {
        ConditionExpr::Not(_) => Some(Says::Kept),
        ConditionExpr::And(parts) | ConditionExpr::Or(parts)
            if parts.iter().all(|part| said(part) == Some(Says::Kept)) =>
        {
            Some(Says::Kept)
        }
        _ if has_not(condition) => None,
        _ => Some(Says::LeftOut),
    }
}

fn has_not(condition: &ConditionExpr) -> bool {
    match condition {
        ConditionExpr::Not(_) => true,
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(has_not),
        ConditionExpr::Identifier(..) | ConditionExpr::Selector { .. } => false,
    }
}

/// The detections that a filter is for, and what is odd about the choice.
fn targets(
    (filter, source): (&FilterRule, &Source),
    drafts: &[Draft<'_>],
    compiled: &[Option<Compiled>],
    by_name: &ByName<'_>,
) -> (Vec<usize>, Vec<Fault>) {
    let detection = |place: &usize| matches!(compiled[*place], Some(Compiled::Detection(..)));
    let fits = |place: &usize| includes(&filter.log_source, &drafts[*place].log_source);
    let everywhere = 0..drafts.len();
    let names = match &filter.rules {
        FilterRuleTarget::Any => {
            let targets: Vec<usize> = everywhere.filter(detection).filter(fits).collect();
            let warning = Fault::warning("the filter fits no loaded rule: none has its log source");
            let warnings = targets.is_empty().then(|| warning.at(filter.place)).into_iter().collect();
            return (targets, warnings);
        }
        FilterRuleTarget::Specific(names) => names,
    };
    let (mut targets, mut warnings) = (Vec::new(), Vec::new());
    for (name, place) in names {
        let found = by_name.called(name);
        let is_filter = |other: &usize| matches!(drafts[*other].source, Source::Filter(_));
        let message = match found.as_slice() {
            [] if name.eq_ignore_ascii_case("any") => {
                "no rule is called `any`; for all rules write `rules: any`, without a list".to_owned()
            }
            [] => format!("no loaded rule has the id or name `{name}`, so nothing is filtered by it"),
            [only] if std::ptr::eq(&drafts[*only].source, source) => {
                "the filter names itself; name the rules that it narrows".to_owned()
            }
            found if found.iter().all(is_filter) => {
                format!("`{name}` is a filter, which nothing narrows; name the rules that this one is for")
            }
            [only] if matches!(drafts[*only].source, Source::Correlation(_)) => {
                format!("`{name}` is a correlation; name the rules that it counts")
            }
            found if !found.iter().any(fits) => {
                format!("rule `{name}` reads another log source than the filter, so it is not filtered")
            }
            found => {
                targets.extend(found.iter().copied().filter(detection).filter(fits));
                continue;
            }
        };
        warnings.push(Fault::warning(message).at(*place));
    }
    targets.sort_unstable();
    targets.dedup();
    (targets, warnings)
}
