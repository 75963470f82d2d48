//! `lapwing test`: rules against the events that they carry, or against SigmaHQ's regression data.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::address::Addresses;
use engine::event::{Event, Kind, LogSource, Uid};
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{
    Body, Explanation, Problem, Rule, RuleFile, RuleNumber, RuleSet, Scratch, Weight, account, explain,
};
use engine::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};

use self::report::{Case, Reporter};
use super::{Outcome, say};
use crate::args::{self, Report};
use crate::rules::Places;

mod learnt;
mod regression;
mod report;

/// Rules and what is needed to say why one did not do as it should.
struct Bench {
    rules: RuleSet,
    files: Vec<RuleFile>,
    given: engine::rule::Given,
    /// What plain JSON is read as.
    read_as: Option<LogSource>,
    /// Log sources of tried rules that nothing feeds, and how many rules each has.
    unfed: BTreeMap<LogSource, usize>,
}

/// What came of one example.
struct Tried {
    fires: bool,
    /// Events of it that are none.
    unread: Vec<String>,
    events: Vec<(String, Event)>,
}

/// Runs every example of every rule, or of the regression data.
///
/// # Errors
/// When the files cannot be read.
pub(crate) fn run(
    paths: Vec<PathBuf>,
    regression: Option<&Path>,
    format: Report,
    given: args::Given,
) -> anyhow::Result<Outcome> {
    let mut reporter = Reporter::new(format);
    match tried(paths, regression, given, &mut reporter) {
        Ok(rules) => reporter.finish(rules, regression.is_some()),
        Err(error) => {
            // Who reads the report must not take a run that ended early for a good one, or find half of XML.
            let fault = Some(format!("{error:#}"));
            reporter.take(Case { rule: "lapwing".to_owned(), name: "reads".to_owned(), fault, ..Case::default() })?;
            reporter.finish(0, false)?;
            Err(error)
        }
    }
}

/// Answers how many rules there are.
fn tried(
    paths: Vec<PathBuf>,
    regression: Option<&Path>,
    given: args::Given,
    reporter: &mut Reporter,
) -> anyhow::Result<usize> {
    let places = Places::from_arguments(paths, given)?;
    let (given, mut problems) = places.given()?;
    let (files, unread) = places.read()?;
    let (rules, broken) = RuleSet::compile_with(&files, &given);
    problems.extend(unread);
    problems.extend(broken);
    let mut bench = Bench { rules, files, given, read_as: None, unfed: BTreeMap::new() };
    for problem in problems.iter().filter(|problem| problem.weight == Weight::Error) {
        let Problem { path, line, rule, .. } = problem;
        reporter.take(Case {
            rule: path.clone(),
            id: rule.as_ref().map(|id| id.0.to_string()).unwrap_or_default(),
            name: "loads".to_owned(),
            path: path.clone(),
            line: *line,
            fault: Some(format!("broken: {problem}")),
            ..Case::default()
        })?;
    }
    match regression {
        None => bench.own_examples(reporter)?,
        Some(folder) => regression::run(&mut bench, folder, reporter)?,
    }
    for (source, count) in &bench.unfed {
        say(&format!(
            "no kind of log feeds {source}: the examples of {count} rules were tried as plain JSON of that log source"
        ));
    }
    Ok(bench.rules.rules().len())
}

impl Bench {
    fn own_examples(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let count = self.rules.rules().len();
        let given = self.given.addresses.clone();
        let bar = progress(count as u64);
        for number in (0..).map(RuleNumber).take(count) {
            let tests = self.rules.rule(number).tests.clone();
            if tests.lines.is_empty() {
                bar.inc(1);
                continue;
            }
            let kind = self.kind_of(number);
            // What an example invents of addresses counts alone; else what the user gave.
            let invented = tests.addresses.clone().map(|ranges| Addresses::of(ranges));
            self.rules.know(invented.clone().unwrap_or_else(|| given.clone()));
            self.given.addresses = invented.unwrap_or_else(|| given.clone());
            let fires = tests.fires.iter().map(|events| (events, true));
            let ignores = tests.ignores.iter().map(|events| (events, false));
            for (place, (events, wanted)) in fires.chain(ignores).enumerate() {
                let name = match place.checked_sub(tests.fires.len()) {
                    None => format!("tests.match[{place}]"),
                    Some(place) => format!("tests.ignore[{place}]"),
                };
                let line = tests.lines.get(place).copied().unwrap_or_default();
                let case = self.example(number, kind, events, wanted, Case { name, line, ..Case::default() });
                bar.suspend(|| reporter.take(case))?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Tries one example; `case` has its name and line.
    fn example(
        &self,
        number: RuleNumber,
        kind: Kind,
        events: &[serde_json::Value],
        wanted: bool,
        mut case: Case,
    ) -> Case {
        let start = Instant::now();
        let Rule { path, title, id, filters, body, log_source, anomaly, .. } = self.rules.rule(number);
        (case.rule, case.id, case.path) = (format!("{path}: {title}"), id.0.to_string(), path.clone());
        let tried = match body {
            Body::Detection if anomaly.is_some() => self.learnt(number, kind, events),
            Body::Detection => self.single(number, kind, events),
            Body::Correlation(_) => self.several(number, kind, events),
            Body::Risk(_) => self.learnt(number, kind, events),
        };
        let place = format!("{} (line {})", case.name, case.line);
        if tried.fires != wanted {
            let fault = if wanted { "does not fire on" } else { "fires on" };
            case.fault = Some(format!("{fault} {place}"));
            case.why = match body {
                Body::Detection if anomaly.is_some() => None,
                Body::Detection => events.first().and_then(|event| self.why(number, kind, &raw(event)?)),
                Body::Correlation(_) => self.account(number, &tried),
                Body::Risk(_) => None,
            };
            let all_hold = matches!(body, Body::Detection) && case.why.as_ref().is_some_and(|why| why.holds);
            let all_hold = all_hold && wanted;
            if all_hold && !filters.is_empty() {
                case.fault = Some(format!("{fault} {place}: left out by {}", filters.join(" or ")));
            } else if all_hold {
                let message = format!("every line holds, but such events are not read by rules for {log_source}");
                case.fault = Some(format!("{fault} {place}: {message}"));
            }
        }
        // What cannot be read proves nothing, whatever was expected of it.
        if !tried.unread.is_empty() {
            case.fault = Some(format!("{}: {}", case.fault.unwrap_or(place), tried.unread.join("; ")));
        }
        case.seconds = start.elapsed().as_secs_f64();
        case
    }

    /// The kind whose events this rule reads; plain JSON of the rule's own log source if we know no such kind.
    fn kind_of(&mut self, number: RuleNumber) -> Kind {
        // Its examples say which logs they are of.
        if let Body::Risk(_) = self.rules.rule(number).body {
            return Kind::Json;
        }
        let source = self.rules.rule(number).log_source.clone();
        let LogSource { product, service, category } = &source;
        let is = |part: &Option<String>, name: &str| part.as_ref().is_none_or(|part| part.eq_ignore_ascii_case(name));
        let fits = |kind: &Kind| {
            kind.log_source().is_some_and(|(own_product, own_service)| {
                let named = product.is_some() || service.is_some();
                let of_category = category.is_none() || category.as_deref() == kind.category();
                named && of_category && is(product, own_product) && is(service, own_service)
            })
        };
        if let Some(kind) = Kind::ALL.into_iter().find(fits) {
            return kind;
        }
        if let Body::Detection = self.rules.rule(number).body
            && !RuleSet::is_fed(&source)
        {
            *self.unfed.entry(source).or_default() += 1;
        }
        self.read_as_its_own(number);
        Kind::Json
    }

    /// Lets plain JSON be read as this rule's log source. Planning for all rules takes a while, so what follows on
    /// a rule of the same source changes nothing.
    fn read_as_its_own(&mut self, number: RuleNumber) {
        let source = self.rules.rule(number).log_source.clone();
        if self.read_as.as_ref() != Some(&source) {
            self.rules.read_json_as(&source);
            self.read_as = Some(source);
        }
    }

    /// Whether the rule matches the event.
    fn matches(&self, number: RuleNumber, kind: Kind, place: usize, document: &serde_json::Value) -> bool {
        let mut scratch = Scratch::default();
        event(kind, place, document).is_some_and(|event| self.rules.matches(&event, &mut scratch).contains(&number))
    }

    /// An example of a detection.
    fn single(&self, number: RuleNumber, kind: Kind, events: &[serde_json::Value]) -> Tried {
        let fires = events.iter().enumerate().any(|(place, document)| self.matches(number, kind, place, document));
        Tried { fires, unread: Vec::new(), events: Vec::new() }
    }

    /// An example of a correlation: its events are read as if they came from a source.
    fn several(&self, number: RuleNumber, kind: Kind, documents: &[serde_json::Value]) -> Tried {
        let (mut events, mut unread) = (Vec::new(), Vec::new());
        for (place, document) in documents.iter().enumerate() {
            let (mut found, mut rejects) = (Vec::new(), Vec::new());
            let (body, position) = (document.to_string(), place.to_string());
            normalise(Format::Known(kind), body.as_bytes(), &position, &Limits::default(), &mut found, &mut rejects);
            let label = format!("event {}", place + 1);
            unread.extend(rejects.iter().map(|reject| format!("{label} cannot be read as {kind}: {}", reject.detail)));
            events.extend(found.into_iter().map(|event| (label.clone(), event)));
        }
        let fires = account(&self.rules, number, &events).is_some_and(|account| account.holds);
        Tried { fires, unread, events }
    }

    /// Event by event and group by group, why a correlation does or does not fire. Of the first event that no rule
    /// matches it is told line by line.
    fn account(&self, number: RuleNumber, tried: &Tried) -> Option<Explanation> {
        let mut account = account(&self.rules, number, &tried.events)?;
        let Body::Correlation(asked) = &self.rules.rule(number).body else { return None };
        let mut events = account.parts.iter_mut().zip(&tried.events);
        if let Some((part, (_, event))) = events.find(|(part, _)| !part.holds) {
            for &base in &asked.bases {
                let Some(why) = self.why(base, event.kind, &event.raw).filter(|why| !why.holds) else { continue };
                let asked = format!("{}: {}", self.rules.rule(base).title, why.asked);
                part.parts.push(Explanation { asked, ..why });
            }
        }
        Some(account)
    }

    /// Line by line, why a detection does or does not match.
    fn why(&self, number: RuleNumber, kind: Kind, event: &sonic_rs::Value) -> Option<Explanation> {
        let rule = self.rules.rule(number);
        let file = self.files.iter().find(|file| file.path == rule.path)?;
        explain(file, &rule.id, &self.given, kind, event)
    }
}

/// A document of a test as the engine reads it.
fn raw(document: &serde_json::Value) -> Option<sonic_rs::Value> {
    sonic_rs::from_str(&document.to_string()).ok()
}

/// An example of a detection needs neither time nor id.
fn event(kind: Kind, place: usize, document: &serde_json::Value) -> Option<Event> {
    let raw = raw(document)?;
    let uid = Uid { origin: String::new(), id: place.to_string() };
    Some(Event { uid, time: Timestamp::default(), kind, raw })
}

fn progress(count: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}");
    ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
