//! From the text of rule files to a compiled set.
//!
//! First every document is read on its own, then ids are compared, then detections are compiled, and last
//! correlations are joined to the detections they count. A fault in one rule leaves the others alone.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

use super::condition::{Collector, Predicates, Program};
use super::correlate::{self, Counted};
use super::draft::{self, Draft, Lints, Source};
use super::filter;
use super::index::{Detection, Index};
use super::lint;
use super::place::{Document, Fault};
use super::placeholder::Placeholders;
use super::sigma;
use super::value::Names;
use super::{Body, Correlation, Dedup, Problem, Rule, RuleFile, RuleNumber, RuleSet};
use crate::detect::Shape;
use crate::event::{Kind, LogSource};
use crate::field::Fields;
use crate::hash::Seed;
use crate::normalise::glance;

/// What a draft became.
pub(super) enum Compiled {
    Detection(LogSource, Program),
    Correlation(Counted),
}

pub(super) fn compile(files: &[RuleFile], placeholders: &Placeholders, lints: Lints) -> (RuleSet, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    let mut counted = Vec::new();
    for document in documents(files) {
        let Some(read) = draft::read(document, lints) else { continue };
        problems.extend(read.problems);
        drafts.extend(read.draft);
        counted.extend(read.counted.into_iter().map(|name| (name, document.path)));
    }
    let drafts = distinct(drafts, &mut problems);

    let mut fields = Fields::default();
    let mut collector = Collector::default();
    let mut compiled: Vec<Option<Compiled>> = Vec::new();
    for draft in &drafts {
        let Source::Detection(section) = &draft.source else {
            compiled.push(None);
            continue;
        };
        match sigma::compile(section, &mut Names { fields: &mut fields, collector: &mut collector, placeholders }) {
            Ok(program) => compiled.push(Some(Compiled::Detection(draft.log_source.clone(), program))),
            Err(fault) => {
                problems.push(draft.document.problem(fault));
                compiled.push(None);
            }
        }
    }
    let mut filters = vec![Vec::new(); drafts.len()];
    let names = &mut Names { fields: &mut fields, collector: &mut collector, placeholders };
    let faults = filter::apply(&drafts, &mut compiled, &mut filters, names);
    problems.extend(faults.into_iter().map(|(place, fault)| drafts[place].document.problem(fault)));
    let mut quiet = correlate(&drafts, &mut compiled, &mut fields, &mut problems);
    // A rule that is there to be counted stays silent though its correlation is broken; else each single
    // event would raise an alert.
    quiet.extend(counted.iter().filter_map(|(name, path)| base(name, path, &drafts).ok()));
    let predicates = collector.finish();
    if lints == Lints::On {
        problems.extend(lint::set(&drafts, &compiled, &predicates, &fields));
    }
    let set = assemble(drafts, compiled, filters, &quiet, fields, predicates);
    (set, sorted(problems))
}

fn documents(files: &[RuleFile]) -> Vec<Document<'_>> {
    let mut files: Vec<&RuleFile> = files.iter().collect();
    files.sort_by(|left, right| (&left.path, &left.text).cmp(&(&right.path, &right.text)));
    files.into_iter().flat_map(|file| Document::split(&file.path, &file.text)).collect()
}

/// Leaves out every rule whose id an earlier one has.
fn distinct<'d>(drafts: Vec<Draft<'d>>, problems: &mut Vec<Problem>) -> Vec<Draft<'d>> {
    let mut owners: BTreeMap<_, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for draft in drafts {
        match owners.get(&draft.id) {
            Some(owner) => {
                let message =
                    format!("id {} belongs to the rule in {owner} already; give this one its own", draft.id.0);
                problems.push(draft.document.problem(Fault::error(message).at(draft.id_place)));
            }
            None => {
                owners.insert(draft.id.clone(), draft.document.path.to_owned());
                kept.push(draft);
            }
        }
    }
    kept
}

/// Compiles the correlations. Returns the detections that only count: some correlation names them and
/// none that does says `generate: true`; whether the correlation itself is sound does not matter.
fn correlate(
    drafts: &[Draft<'_>],
    compiled: &mut [Option<Compiled>],
    fields: &mut Fields,
    problems: &mut Vec<Problem>,
) -> BTreeSet<usize> {
    let mut counting = BTreeSet::new();
    let mut generating = BTreeSet::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Source::Correlation(rule) = &draft.source else { continue };
        let mut bases = Vec::new();
        let mut faults = Vec::new();
        for (name, place) in &rule.rules {
            match base(name, draft.document.path, drafts) {
                Ok(base) if matches!(compiled[base], Some(Compiled::Detection(..))) => bases.push(base),
                Ok(_) => {
                    faults.push(Fault::error(format!("rule `{name}`, which it counts, could not be loaded")).at(*place))
                }
                Err(message) => faults.push(Fault::error(message).at(*place)),
            }
        }
        counting.extend(&bases);
        if rule.generate {
            generating.extend(&bases);
        }
        bases.sort_unstable();
        bases.dedup();
        let counted = match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => correlate::compile(rule, bases, fields),
        };
        match counted {
            Ok(counted) => compiled[place] = Some(Compiled::Correlation(counted)),
            Err(fault) => problems.push(draft.document.problem(fault)),
        }
    }
    counting.difference(&generating).copied().collect()
}

/// The detection that a correlation means by a name or id: one in its own file before one elsewhere.
fn base(name: &str, path: &str, drafts: &[Draft<'_>]) -> Result<usize, String> {
    let named = |draft: &Draft<'_>| &*draft.id.0 == name || draft.name.as_deref() == Some(name);
    let found: Vec<usize> = (0..drafts.len()).filter(|&place| named(&drafts[place])).collect();
    let near: Vec<usize> = found.iter().copied().filter(|&place| drafts[place].document.path == path).collect();
    match (near.as_slice(), found.as_slice()) {
        (&[only], _) | ([], &[only]) => match drafts[only].source {
            Source::Detection(_) => Ok(only),
            Source::Filter(_) => Err(format!("`{name}` is a filter, which counts nothing")),
            Source::Correlation(_) => {
                Err(format!("rule `{name}` is a correlation; counting correlations is not supported yet"))
            }
        },
        (_, []) => Err(format!("no rule has the name or id `{name}`")),
        _ => Err(format!("several rules have the name `{name}`; use an id")),
    }
}

/// Numbers the rules that are left, in the order of paths and documents.
fn assemble(
    drafts: Vec<Draft<'_>>,
    compiled: Vec<Option<Compiled>>,
    mut filters: Vec<Vec<String>>,
    quiet: &BTreeSet<usize>,
    mut fields: Fields,
    predicates: Predicates,
) -> RuleSet {
    let mut numbers = Vec::new();
    let mut next = 0;
    for body in &compiled {
        numbers.push(RuleNumber(next));
        next += u32::from(body.is_some());
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut detections = Vec::new();
    let mut correlations: Vec<Vec<RuleNumber>> = vec![Vec::new(); next as usize];
    let sources: Vec<LogSource> = drafts.iter().map(|draft| draft.log_source.clone()).collect();
    for (place, (draft, body)) in drafts.into_iter().zip(compiled).enumerate() {
        let number = numbers[place];
        let (log_source, body) = match body {
            None => continue,
            Some(Compiled::Detection(log_source, program)) => {
                detections.push(Detection { rule: number, log_source: log_source.clone(), program });
                (log_source, Body::Detection)
            }
            Some(Compiled::Correlation(counted)) => {
                let bases: Vec<RuleNumber> = counted.bases.iter().map(|&base| numbers[base]).collect();
                for base in &bases {
                    correlations[base.0 as usize].push(number);
                }
                let Counted { measure, group_by, window, threshold, .. } = counted;
                let body = Correlation { measure, bases, group_by, window, threshold };
                (common(counted.bases.iter().map(|&base| &sources[base])), Body::Correlation(body))
            }
        };
        let dedup = draft
            .own
            .dedup
            .map(|(names, period)| Dedup { group_by: names.iter().map(|name| fields.intern(name)).collect(), period });
        let alerts = !quiet.contains(&place);
        rules.push(Rule {
            id: draft.id,
            version: draft.own.version,
            title: draft.title,
            description: draft.description,
            severity: draft.severity,
            tags: draft.tags,
            false_positives: draft.false_positives,
            runbook: draft.own.runbook,
            path: draft.document.path.to_owned(),
            log_source,
            dedup,
            alerts,
            body,
            tests: draft.own.tests,
            filters: std::mem::take(&mut filters[place]),
        });
    }
    indexed(rules, correlations, detections, fields, predicates)
}

fn indexed(
    rules: Vec<Rule>,
    correlations: Vec<Vec<RuleNumber>>,
    detections: Vec<Detection>,
    mut fields: Fields,
    predicates: Predicates,
) -> RuleSet {
    let by_id = (0..).map(RuleNumber).zip(&rules).map(|(number, rule)| (rule.id.clone(), number)).collect();
    let name = |field| fields.path(field).name();
    let id = |number: RuleNumber| &rules[number.0 as usize].id;
    let shapes: Vec<Option<Shape>> = rules.iter().map(|rule| Shape::of(rule, name, id)).collect();
    let asked = rules.iter().zip(&shapes).map(|(rule, shape)| (&rule.id, shape.as_ref().map(|shape| shape.asked)));
    let fingerprint = Seed::default().hash_one(asked.collect::<Vec<_>>());
    // What a glance at a record needs stands among the fields of the rules.
    for name in Kind::ALL.into_iter().flat_map(glance::members) {
        fields.intern(name);
    }
    let index = Index::new(predicates, detections, &fields);
    RuleSet { rules, by_id, fields, index, correlations, shapes, fingerprint }
}

/// What all of these sources name alike.
fn common<'s>(mut sources: impl Iterator<Item = &'s LogSource>) -> LogSource {
    let mut common = sources.next().cloned().unwrap_or_default();
    for source in sources {
        let keep = |part: &mut Option<String>, other: &Option<String>| {
            if part != other {
                *part = None;
            }
        };
        keep(&mut common.product, &source.product);
        keep(&mut common.service, &source.service);
        keep(&mut common.category, &source.category);
    }
    common
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|left, right| {
        let key = |problem: &Problem| (problem.path.clone(), problem.line, problem.column);
        key(left).cmp(&key(right))
    });
    problems
}
