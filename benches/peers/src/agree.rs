//! Whether both engines find the same: every rule against every event.
//!
//! A difference is one rule, one event, and which engine alone matched. Each must be explained by an entry of
//! `differences.toml`, with the sentence of the specification that decides it; and each entry must explain one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, bail, ensure};
use engine::event::{Kind, LogSource};
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleFile, RuleSet, Scratch, Weight};
use lab::apart::Prepared;
use lab::corpus;
use lab::replay::Record;
use lab::sigmahq::{self, SigmaHq};
use lab::speed::timed;
use rsigma_eval::{Engine, JsonEvent, RuleFieldSet};
use serde::Deserialize;
use serde_json::Value;

use crate::{probes, rsigma};

/// The list of explained differences.
const EXPLAINED: &str = include_str!("../differences.toml");

/// Events of one rule that are shown in full.
const SHOWN: usize = 3;

/// Which engine alone matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Only {
    Lapwing,
    Rsigma,
}

/// One rule and one event on which the engines differ.
pub(crate) struct Difference {
    pub(crate) rule: String,
    pub(crate) only: Only,
    pub(crate) position: String,
    pub(crate) event: Value,
}

/// Why rules differ.
#[derive(Debug, Deserialize)]
pub(crate) struct Explanation {
    pub(crate) rules: Vec<String>,
    pub(crate) only: Only,
    pub(crate) reason: String,
    pub(crate) specification: String,
}

#[derive(Debug, Deserialize)]
struct Explanations {
    #[serde(default)]
    difference: Vec<Explanation>,
}

/// Both engines with the same rules.
pub(crate) struct Both {
    ours: RuleSet,
    theirs: Engine,
    scratch: Scratch,
    /// Pairs that both found.
    pub(crate) agreed: u64,
    pub(crate) events: u64,
    /// Records that ours does not read, such as deliveries without a time.
    pub(crate) rejected: u64,
}

impl Both {
    pub(crate) fn new(rules: &[RuleFile], json: &LogSource) -> anyhow::Result<Self> {
        let (mut ours, problems) = RuleSet::compile(rules);
        if let Some(problem) = problems.iter().find(|problem| problem.weight == Weight::Error) {
            bail!("lapwing refuses a rule that rsigma reads: {problem}");
        }
        ours.read_json_as(json);
        let mut theirs = Engine::new();
        theirs.add_collection(&rsigma::collection(rules)?)?;
        ensure!(
            ours.rules().len() == theirs.rule_count(),
            "{} rules, rsigma has {}",
            ours.rules().len(),
            theirs.rule_count()
        );
        Ok(Self { ours, theirs, scratch: Scratch::default(), agreed: 0, events: 0, rejected: 0 })
    }

    /// What they differ in on one record. Plain JSON is of `json`, as our engine was told.
    pub(crate) fn compare(
        &mut self,
        format: Format,
        record: &Record,
        json: &LogSource,
    ) -> anyhow::Result<Vec<Difference>> {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        // As a worker does: what a look at its text shows stands.
        let glance = self.ours.glance(format, &record.body, &Limits::default(), &mut self.scratch);
        let glance = glance.map(|glance| glance.rules.to_vec());
        normalise(format, &record.body, &record.position, &Limits::default(), &mut events, &mut rejects);
        self.rejected += rejects.len() as u64;
        let is_one = glance.is_none() || events.len() == 1;
        ensure!(is_one, "{}: seen as one event, holds {}", record.position, events.len());
        let mut found = Vec::new();
        for event in &events {
            self.events += 1;
            let document: Value = serde_json::from_str(&sonic_rs::to_string(&event.raw)?)?;
            let numbers = self.ours.matches(event, &mut self.scratch);
            let is_same = glance.as_ref().is_none_or(|glance| glance == numbers);
            ensure!(is_same, "{}: a look at its text shows other rules than the event", record.position);
            let ours = numbers.iter().map(|number| self.ours.rule(*number).id.0.to_string()).collect::<BTreeSet<_>>();
            let theirs = self.theirs(event.kind, &document, json);
            self.agreed += ours.intersection(&theirs).count() as u64;
            let sides = [(Only::Lapwing, ours.difference(&theirs)), (Only::Rsigma, theirs.difference(&ours))];
            for (only, rules) in sides {
                found.extend(rules.map(|rule| Difference {
                    rule: rule.clone(),
                    only,
                    position: record.position.clone(),
                    event: document.clone(),
                }));
            }
        }
        Ok(found)
    }

    /// Routed as ours is: an event is of its kind's log source, and of no category.
    fn theirs(&self, kind: Kind, document: &Value, json: &LogSource) -> BTreeSet<String> {
        let known = kind.log_source().map(|(product, service)| LogSource {
            product: Some(product.to_owned()),
            service: Some(service.to_owned()),
            category: Some("none".to_owned()),
        });
        let source = rsigma::log_source(known.as_ref().unwrap_or(json));
        let results = self.theirs.evaluate_pruned(&JsonEvent::borrow(document), &source);
        results.into_iter().filter_map(|result| result.header.rule_id).collect()
    }
}

/// The differences that nothing explains; each that something does is counted under its reason.
pub(crate) fn unexplained(
    differences: Vec<Difference>,
    explanations: &[Explanation],
    counts: &mut BTreeMap<usize, u64>,
) -> Vec<Difference> {
    let mut left = Vec::new();
    for difference in differences {
        let place = explanations.iter().position(|explanation| {
            explanation.only == difference.only && explanation.rules.contains(&difference.rule)
        });
        match place {
            Some(place) => *counts.entry(place).or_default() += 1,
            None => left.push(difference),
        }
    }
    left
}

pub(crate) fn explanations() -> anyhow::Result<Vec<Explanation>> {
    let read: Explanations = toml::from_str(EXPLAINED).context("read differences.toml")?;
    for explanation in &read.difference {
        let said = !explanation.reason.is_empty() && !explanation.specification.is_empty();
        ensure!(said, "differences.toml: {:?} lacks its reason or its sentence", explanation.rules);
    }
    Ok(read.difference)
}

/// Compares both over all that we have, twice: each event with the rules of its log source, and every event
/// with all rules.
pub(crate) fn run() -> anyhow::Result<()> {
    // Both are told, whatever the first came to.
    let probed = probes::run();
    sigmahq()?;
    probed
}

fn sigmahq() -> anyhow::Result<()> {
    let shared = corpus::shared().context("no shared data folder; LAPWING_SHARED names one")?;
    let sigma = SigmaHq::open()?.context("no shared data folder")?;
    let rules = sigma.rules(sigmahq::ALL)?;
    let (real, invented) = (corpus::everything(&shared, &sigma)?, sigmahq::invented(&rules, 1));
    let explanations = explanations()?;
    let any = LogSource::default();
    let mut both = Both::new(&rules, &any)?;
    let mut left = Vec::new();
    let mut counts = BTreeMap::new();
    let json = Format::Known(Kind::Json);
    let passes = [
        ("real events, the rules of their log source", Format::Auto, &real),
        ("real events, all rules", json, &real),
        ("invented events, all rules", json, &invented),
    ];
    for (what, format, records) in passes {
        (both.agreed, both.events, both.rejected) = (0, 0, 0);
        let before = left.len();
        for record in records {
            left.extend(unexplained(both.compare(format, record, &any)?, &explanations, &mut counts));
        }
        let (events, rejected, agreed, differ) = (both.events, both.rejected, both.agreed, left.len() - before);
        println!("{what}: {events} ({rejected} not read), {agreed} pairs in both, {differ} unexplained");
    }
    for (place, explanation) in explanations.iter().enumerate() {
        let count = counts.get(&place).copied().unwrap_or(0);
        println!("explained, {count} pairs: {}", explanation.reason);
        ensure!(count > 0, "differences.toml explains what no longer differs: {}", explanation.reason);
    }
    let found = left.len();
    print!("{}", Report { differences: left, rules: &rules });
    ensure!(found == 0, "{found} pairs of rule and event differ, and nothing explains why");
    Ok(())
}

/// Compares both over the first `events` of a bench's case, routed alike.
pub(crate) fn of_case(prepared: &Prepared, events: usize) -> anyhow::Result<()> {
    let rules = prepared.rule_files()?;
    let json = prepared.case.events.log_source().unwrap_or_default();
    let explanations = explanations()?;
    let mut both = Both::new(&rules, &json)?;
    let (mut left, mut counts) = (Vec::new(), BTreeMap::new());
    let (mut read, mut failed) = (0, None);
    timed(&prepared.records, |record| {
        read += 1;
        if read > events || failed.is_some() {
            return;
        }
        let record = Record { position: format!("line {read}"), body: record.to_vec() };
        match both.compare(prepared.case.events.format(), &record, &json) {
            Ok(found) => left.extend(unexplained(found, &explanations, &mut counts)),
            Err(error) => failed = Some(error),
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let found = left.len();
    ensure!(
        found == 0,
        "{}: {found} pairs differ\n{}",
        prepared.case.name,
        Report { differences: left, rules: &rules }
    );
    Ok(())
}

/// Differences by rule, with the values that caused them.
pub(crate) struct Report<'r> {
    pub(crate) differences: Vec<Difference>,
    pub(crate) rules: &'r [RuleFile],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: BTreeMap<(&str, Only), Vec<&Difference>> = BTreeMap::new();
        for difference in &self.differences {
            groups.entry((&difference.rule, difference.only)).or_default().push(difference);
        }
        for ((id, only), differences) in groups {
            let Some(file) = self.rules.iter().find(|file| file.text.contains(id)) else { continue };
            writeln!(out, "\n{id} only {only:?}, {} events: {}", differences.len(), file.path)?;
            let Ok(read) = rsigma_parser::parse_sigma_yaml(&file.text) else { continue };
            let fields = RuleFieldSet::collect(&read, &[], false);
            for difference in differences.iter().take(SHOWN) {
                writeln!(out, "  {}", difference.position)?;
                for field in fields.names() {
                    if let Some(value) = reached(&difference.event, field) {
                        writeln!(out, "    {field}: {}", value.to_string().chars().take(300).collect::<String>())?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The value of a dotted field where no array is on the way; else the array.
fn reached<'v>(event: &'v Value, field: &str) -> Option<&'v Value> {
    event.get(field).or_else(|| {
        field.split('.').try_fold(event, |value, part| if value.is_array() { Some(value) } else { value.get(part) })
    })
}
