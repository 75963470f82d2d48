//! Rules beside each other, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use super::contradiction;
use super::vocabulary::Vocabulary;
use crate::field::Fields;
use crate::rule::Problem;
use crate::rule::condition::Predicates;
use crate::rule::draft::{Draft, Source};
use crate::rule::load::Compiled;
use crate::rule::modifier::Modifier;
use crate::rule::place::Fault;

/// What is odd about rules beside each other, and rules that no event can match.
pub(in super::super) fn set(
    drafts: &[Draft<'_>],
    compiled: &[Option<Compiled>],
    predicates: &Predicates,
    fields: &Fields,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut titles: BTreeMap<&str, &Draft<'_>> = BTreeMap::new();
    for (draft, compiled) in drafts.iter().zip(compiled) {
        let mut faults: Vec<Fault> = titles
            .insert(&draft.title, draft)
            .map(|other| duplicate_title(draft, other))
            .into_iter()
            .chain(obsolete_rule(draft, drafts))
            .collect();
        if let Some(compiled) = compiled {
            faults.extend(unknown_field(draft, compiled, drafts, fields));
            faults.extend(never_matches(draft, compiled, predicates, fields));
        }
        faults.retain(|fault| fault.name().is_none_or(|name| !draft.allows(name)));
        problems.extend(faults.into_iter().map(|fault| draft.problem(fault)));
    }
    problems
}

fn duplicate_title(draft: &Draft<'_>, other: &Draft<'_>) -> Fault {
    let message = format!("{} has a rule of this title, too; people cannot tell them apart", other.document.path);
    Fault::lint("duplicate_title", message).at(draft.title_place)
}

fn obsolete_rule(draft: &Draft<'_>, drafts: &[Draft<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (id, place) in &draft.obsoletes {
        if let Some(old) = drafts.iter().find(|old| *old.id.0 == **id) {
            let message = format!("this rule makes `{}` obsolete, which is still loaded; leave it out", old.title);
            faults.push(Fault::lint("obsolete_rule", message).at(*place));
        }
    }
    faults
}

/// Fields of a correlation that the rules which it counts do not have.
fn unknown_field(draft: &Draft<'_>, compiled: &Compiled, drafts: &[Draft<'_>], fields: &Fields) -> Vec<Fault> {
    let (Source::Correlation(rule), Compiled::Correlation(counted)) = (&draft.source, compiled) else {
        return Vec::new();
    };
    let group_by = counted.group_by.iter().map(|named| (named, "group-by"));
    let measured = counted.measure.field().map(|named| (named, "condition"));
    let mut said = BTreeSet::new();
    for (named, key) in group_by.chain(measured) {
        let alias = rule.aliases.iter().find(|alias| alias.alias == named.name);
        let place = alias.map_or_else(|| rule.place(key), |alias| alias.place);
        for (&base, &field) in counted.bases.iter().zip(&named.fields) {
            if let Source::Detection(_) = drafts[base].source
                && let Some(vocabulary) = Vocabulary::of(&drafts[base].log_source)
                && let Some(message) = vocabulary.doubt(fields.path(field).name())
            {
                said.insert((place, message));
            }
        }
    }
    said.into_iter().map(|(place, message)| Fault::lint("unknown_field", message).at(place)).collect()
}

fn never_matches(draft: &Draft<'_>, compiled: &Compiled, predicates: &Predicates, fields: &Fields) -> Option<Fault> {
    let (Source::Detection(section), Compiled::Detection(_, program)) = (&draft.source, compiled) else {
        return None;
    };
    let all = draft.items().into_iter().filter(|item| item.modifiers.contains(&Modifier::All));
    let arrays: Vec<&str> = all.filter_map(|item| item.field.as_deref()).collect();
    let reason = contradiction::never(program, predicates, fields, &arrays)?;
    let fault = Fault::lint("never_matches", format!("the rule can never match: {reason}"));
    Some(fault.at(section.conditions[0].place))
}
