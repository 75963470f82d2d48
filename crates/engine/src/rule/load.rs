//! From the text of rule files to a compiled set.
//!
//! First every document is read on its own, then ids are compared, then detections are compiled, and last
//! correlations are joined to the detections they count. A fault in one rule leaves the others alone.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

use super::condition::{Collector, Predicates, Program};
use super::correlate::{self, Base, Counted};
use super::draft::{self, Draft, Lints, Source};
use super::facts;
use super::filter;
use super::index::{Detection, Index};
use super::lint;
use super::nearest;
use super::place::{Document, Fault, Place};
use super::risk;
use super::sigma;
use super::value::Names;
use super::{Body, Correlation, Dedup, Given, Mappings, Problem, Risk, Rule, RuleFile, RuleNumber, RuleSet};
use crate::address::Addresses;
use crate::detect::Shape;
use crate::event::{Kind, LogSource};
use crate::field::{FieldId, Fields};
use crate::hash::Seed;

/// What a draft became.
pub(super) enum Compiled {
    Detection(LogSource, Program),
    Correlation(Counted),
    /// With the places of those that feed it.
    Risk(Risk, Vec<usize>),
}

pub(super) fn compile(files: &[RuleFile], given: &Given, lints: Lints<'_>) -> (RuleSet, Vec<Problem>) {
    let Given { placeholders, mappings, addresses, budget, .. } = given;
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    let mut counted = Vec::new();
    for document in documents(files) {
        let Some(read) = draft::read(document, lints) else { continue };
        problems.extend(read.problems);
        drafts.extend(read.draft);
        counted.extend(read.counted.into_iter().map(|name| (name, document.path)));
    }
    if lints != Lints::Off {
        problems.extend(files.iter().filter_map(blank));
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
        match sigma::compile(
            section,
            &mut Names { fields: &mut fields, collector: &mut collector, placeholders, expanded: 0 },
        ) {
            Ok(program) => compiled.push(Some(Compiled::Detection(draft.log_source.clone(), program))),
            Err(fault) => {
                problems.push(draft.problem(fault));
                compiled.push(None);
            }
        }
    }
    let mut filters = vec![Vec::new(); drafts.len()];
    let names = &mut Names { fields: &mut fields, collector: &mut collector, placeholders, expanded: 0 };
    let faults = filter::apply(&drafts, &mut compiled, &mut filters, names);
    problems.extend(faults.into_iter().map(|(place, fault)| drafts[place].problem(fault)));
    let named = ByName::of(&drafts);
    let mut quiet = correlate((&drafts, &named), &mut compiled, &mut fields, &mut problems);
    // A rule that is there to be counted stays silent though its correlation is broken; else each single
    // event would raise an alert.
    quiet.extend(counted.iter().filter_map(|(name, path)| base(name, path, &drafts, &named).ok()));
    problems.extend(risk::join(&drafts, &named, &mut compiled, &mut quiet));
    let predicates = collector.finish();
    if lints != Lints::Off {
        problems.extend(lint::set(&drafts, &compiled, &predicates, (&fields, mappings)));
    }
    let mut set = assemble(drafts, compiled, filters, &quiet, fields, predicates, given);
    set.know(addresses.clone());
    (RuleSet { budget: *budget, ..set }, sorted(problems))
}

/// The places of the drafts that have a name, and of those that have an id in one letter case.
pub(super) struct ByName<'d> {
    names: BTreeMap<&'d str, Vec<usize>>,
    ids: BTreeMap<String, Vec<usize>>,
}

impl<'d> ByName<'d> {
    pub(super) fn of(drafts: &'d [Draft<'_>]) -> Self {
        let mut found = Self { names: BTreeMap::new(), ids: BTreeMap::new() };
        for (place, draft) in drafts.iter().enumerate() {
            found.ids.entry(draft::one_case(&draft.id.0).into()).or_default().push(place);
            if let Some(name) = &draft.name {
                found.names.entry(name).or_default().push(place);
            }
        }
        found
    }

    /// Those that this name or id may mean.
    pub(super) fn called(&self, name: &str) -> Vec<usize> {
        let ids = self.ids.get(&*draft::one_case(name));
        let both: BTreeSet<usize> = self.names.get(name).into_iter().chain(ids).flatten().copied().collect();
        both.into_iter().collect()
    }
}

fn documents(files: &[RuleFile]) -> Vec<Document<'_>> {
    let mut files: Vec<&RuleFile> = files.iter().collect();
    files.sort_by(|left, right| (&left.path, &left.text).cmp(&(&right.path, &right.text)));
    files.into_iter().flat_map(|file| Document::split(&file.path, &file.text)).collect()
}

/// A file in which there is nothing to read.
fn blank(file: &RuleFile) -> Option<Problem> {
    let is_blank = Document::split(&file.path, &file.text).is_empty();
    let document = Document { path: &file.path, first_line: 1, text: &file.text };
    is_blank.then(|| document.problem(Fault::warning("the file holds no document, so no rule comes of it")))
}

/// Leaves out every rule whose id an earlier one has.
fn distinct<'d>(drafts: Vec<Draft<'d>>, problems: &mut Vec<Problem>) -> Vec<Draft<'d>> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for draft in drafts {
        let id = draft::one_case(&draft.id.0).into_owned();
        match owners.get(&id) {
            Some(owner) => {
                let message =
                    format!("id {} belongs to the rule in {owner} already; give this one its own", draft.id.0);
                problems.push(draft.problem(Fault::error(message).at(draft.id_place)));
            }
            None => {
                owners.insert(id, draft.document.path.to_owned());
                kept.push(draft);
            }
        }
    }
    kept
}

/// Compiles the correlations, inner ones first. Returns the rules that only count: some correlation names them and
/// none that does says `generate: true`; whether the correlation itself is sound does not matter.
fn correlate(
    (drafts, named): (&[Draft<'_>], &ByName<'_>),
    compiled: &mut [Option<Compiled>],
    fields: &mut Fields,
    problems: &mut Vec<Problem>,
) -> BTreeSet<usize> {
    let mut counting = BTreeSet::new();
    let mut generating = BTreeSet::new();
    let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Source::Correlation(rule) = &draft.source else { continue };
        let find = |(name, place): &(String, Place)| {
            base(name, draft.document.path, drafts, named).map_err(|message| Fault::error(message).at(*place))
        };
        match rule.rules.iter().map(find).collect() {
            Ok(bases) => drop(waiting.insert(place, bases)),
            Err(fault) => problems.push(draft.problem(fault)),
        }
        let known = rule.rules.iter().filter_map(|name| find(name).ok());
        counting.extend(known.clone());
        if rule.generate {
            generating.extend(known);
        }
    }
    // Those first whose bases wait for nothing. What is left counts itself, by way of others.
    let mut missing: BTreeMap<usize, usize> = BTreeMap::new();
    let mut counted_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (&place, bases) in &waiting {
        let inner: BTreeSet<usize> = bases.iter().copied().filter(|base| waiting.contains_key(base)).collect();
        missing.insert(place, inner.len());
        inner.into_iter().for_each(|base| counted_by.entry(base).or_default().push(place));
    }
    let mut ready: BTreeSet<usize> =
        missing.iter().filter(|(_, missing)| **missing == 0).map(|(place, _)| *place).collect();
    while let Some(place) = ready.pop_first() {
        let bases = waiting.remove(&place).unwrap_or_default();
        match correlation(&drafts[place], &bases, drafts, compiled, fields) {
            Ok(counted) => compiled[place] = Some(Compiled::Correlation(counted)),
            Err(fault) => problems.push(drafts[place].problem(fault)),
        }
        for outer in counted_by.remove(&place).unwrap_or_default() {
            if let Some(missing) = missing.get_mut(&outer) {
                *missing -= 1;
                if *missing == 0 {
                    ready.insert(outer);
                }
            }
        }
    }
    for (place, _) in waiting {
        let Source::Correlation(rule) = &drafts[place].source else { continue };
        let fault = Fault::error("it counts itself, or rules that count it").at(rule.place("rules"));
        problems.push(drafts[place].problem(fault));
    }
    counting.difference(&generating).copied().collect()
}

fn correlation(
    draft: &Draft<'_>,
    places: &[usize],
    drafts: &[Draft<'_>],
    compiled: &[Option<Compiled>],
    fields: &mut Fields,
) -> Result<Counted, Fault> {
    let Source::Correlation(rule) = &draft.source else { return Err(Fault::error("it is no correlation")) };
    let mut bases: Vec<Base> = Vec::new();
    for (&place, (name, at)) in places.iter().zip(&rule.rules) {
        let key = match &compiled[place] {
            Some(Compiled::Detection(..)) => None,
            Some(Compiled::Correlation(inner)) => Some(inner.group_by.iter().map(|named| named.name.clone()).collect()),
            // None is compiled yet, and it could not be counted: its key is no field.
            Some(Compiled::Risk(..)) | None => {
                let message = format!("rule `{name}`, which it counts, could not be loaded");
                return Err(Fault::error(message).at(*at));
            }
        };
        let twice = bases.iter().any(|base| base.place == place);
        if twice && rule.correlation_type.is_temporal() {
            let message =
                format!("rule `{name}` is named twice; for several of its events count them with event_count");
            return Err(Fault::error(message).at(*at));
        }
        if !twice {
            let base = &drafts[place];
            let names = [Some(name.clone()), base.name.clone(), Some(base.id.0.to_string())];
            bases.push(Base { place, names: names.into_iter().flatten().collect(), key });
        }
    }
    correlate::compile(rule, &bases, fields)
}

/// The rule that a correlation means by a name or id: one in its own file before one elsewhere.
pub(super) fn base(name: &str, path: &str, drafts: &[Draft<'_>], named: &ByName<'_>) -> Result<usize, String> {
    let found = named.called(name);
    let near: Vec<usize> = found.iter().copied().filter(|&place| drafts[place].document.path == path).collect();
    match (near.as_slice(), found.as_slice()) {
        (&[only], _) | ([], &[only]) => match drafts[only].source {
            Source::Detection(_) | Source::Correlation(_) => Ok(only),
            Source::Risk(_) => Ok(only),
            Source::Filter(_) => Err(format!("`{name}` is a filter, which counts nothing")),
        },
        (_, []) => {
            let hint = nearest::hint(name, drafts.iter().filter_map(|draft| draft.name.as_deref()));
            Err(format!("no rule has the name or id `{name}`{hint}"))
        }
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
    given: &Given,
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
    let mut risks = correlations.clone();
    let sources = log_sources(&drafts, &compiled);
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
                (sources[place].clone(), Body::Correlation(body))
            }
            Some(Compiled::Risk(risk, feeds)) => {
                let feeds: Vec<RuleNumber> = feeds.iter().map(|&feed| numbers[feed]).collect();
                for feed in &feeds {
                    risks[feed.0 as usize].push(number);
                }
                (LogSource::default(), Body::Risk(Risk { feeds, ..risk }))
            }
        };
        let mut field = |name: &String| fields.intern(name);
        let dedup = draft.own.dedup;
        let dedup = dedup.map(|(names, period)| Dedup { group_by: names.iter().map(&mut field).collect(), period });
        let anomaly = draft.own.anomaly.map(|draft| draft.compile(&mut fields, given.zone));
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
            anomaly,
            alerts: !quiet.contains(&place),
            body,
            tests: draft.own.tests,
            filters: std::mem::take(&mut filters[place]),
        });
    }
    indexed(rules, (correlations, risks), detections, fields, predicates, &given.mappings)
}

fn indexed(
    rules: Vec<Rule>,
    (correlations, risks): (Vec<Vec<RuleNumber>>, Vec<Vec<RuleNumber>>),
    detections: Vec<Detection>,
    mut fields: Fields,
    predicates: Predicates,
    mappings: &Mappings,
) -> RuleSet {
    let by_id = (0..).map(RuleNumber).zip(&rules).map(|(number, rule)| (rule.id.clone(), number)).collect();
    let name = |field| fields.path(field).name();
    let shapes: Vec<Option<Shape>> =
        (0..).map(RuleNumber).take(rules.len()).map(|number| Shape::of(&rules, number, name)).collect();
    let asked = rules.iter().zip(&shapes).map(|(rule, shape)| (&rule.id, shape.as_ref().map(|shape| shape.asked)));
    let fingerprint = Seed::default().hash_one(asked.collect::<Vec<_>>());
    mappings.intern(&mut fields);
    // What is read of every record stands among the fields of the rules.
    for name in Kind::ALL.into_iter().flat_map(facts::names) {
        fields.intern(name);
    }
    let index = Index::new(predicates, detections, &remembered(&rules), mappings, &fields);
    let addresses = Addresses::default();
    RuleSet { rules, by_id, fields, index, correlations, risks, shapes, fingerprint, budget: None, addresses }
}

/// The fields whose values stand in keys and windows.
fn remembered(rules: &[Rule]) -> Vec<FieldId> {
    let mut fields = Vec::new();
    for rule in rules {
        fields.extend(rule.dedup.iter().flat_map(|dedup| &dedup.group_by));
        fields
            .extend(rule.anomaly.iter().flat_map(|anomaly| anomaly.by.iter().chain(&anomaly.of).chain(&anomaly.peers)));
        fields.extend(rule.anomaly.iter().flat_map(|anomaly| anomaly.ignore.iter().map(|(field, _)| field)));
        if let Body::Correlation(asked) = &rule.body {
            fields.extend(asked.group_by.iter().chain(asked.measure.field()).flat_map(|named| &named.fields));
        }
    }
    fields
}

/// The log source of each draft; a correlation's is what those of its bases have in common.
fn log_sources(drafts: &[Draft<'_>], compiled: &[Option<Compiled>]) -> Vec<LogSource> {
    let mut known: Vec<Option<LogSource>> = vec![None; drafts.len()];
    let mut waiting: Vec<usize> = (0..drafts.len()).collect();
    // Each correlation comes up again when those that it counts are known: none counts itself, or it had not been
    // compiled.
    while let Some(&place) = waiting.last() {
        let bases = match &compiled[place] {
            Some(Compiled::Correlation(counted)) => counted.bases.as_slice(),
            Some(Compiled::Detection(..) | Compiled::Risk(..)) | None => &[],
        };
        let unknown = bases.iter().copied().filter(|base| known[*base].is_none());
        let waits = waiting.len();
        if known[place].is_none() {
            waiting.extend(unknown);
        }
        if waiting.len() == waits {
            let of_bases = || common(bases.iter().filter_map(|base| known[*base].clone()));
            let found = if bases.is_empty() { drafts[place].log_source.clone() } else { of_bases() };
            known[place].get_or_insert(found);
            waiting.pop();
        }
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

/// What all of these sources name alike.
fn common(mut sources: impl Iterator<Item = LogSource>) -> LogSource {
    let mut common = sources.next().unwrap_or_default();
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
