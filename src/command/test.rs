//! `lapwing test`: rules against the events that they carry, or against SigmaHQ's regression data.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use engine::detect::{Caps, State, sight};
use engine::event::{Event, Kind, LogSource, Uid};
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{Body, Rule, RuleFile, RuleNumber, RuleSet, Scratch, Weight, explain};
use engine::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};

use self::report::{Case, Reporter};
use super::{Outcome, say};
use crate::args::{self, Report};
use crate::rules::Places;

mod regression;
mod report;

/// Rules and what is needed to say why one did not do as it should.
struct Bench {
    rules: RuleSet,
    files: Vec<RuleFile>,
    given: engine::rule::Given,
    /// What plain JSON is read as.
    read_as: Option<LogSource>,
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
    let places = Places::from_arguments(paths, given)?;
    let files = places.read()?;
    let (given, mut problems) = places.given()?;
    let (rules, more) = RuleSet::compile_with(&files, &given);
    problems.extend(more);
    let mut reporter = Reporter::new(format);
    let mut bench = Bench { rules, files, given, read_as: None };
    for problem in problems.iter().filter(|problem| problem.weight == Weight::Error) {
        reporter.take(Case {
            rule: problem.path.clone(),
            name: "loads".to_owned(),
            fault: Some(format!("broken: {problem}")),
            ..Case::default()
        })?;
    }
    match regression {
        None => bench.own_examples(&mut reporter)?,
        Some(folder) => regression::run(&mut bench, folder, &mut reporter)?,
    }
    reporter.finish(bench.rules.rules().len())
}

impl Bench {
    fn own_examples(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let count = self.rules.rules().len();
        let bar = progress(count as u64);
        for number in (0..).map(RuleNumber).take(count) {
            let tests = self.rules.rule(number).tests.clone();
            let kind = self.kind_of(number);
            let fires = tests.fires.iter().map(|events| (events, true));
            let ignores = tests.ignores.iter().map(|events| (events, false));
            for (place, (events, wanted)) in fires.chain(ignores).enumerate() {
                let list = match place.checked_sub(tests.fires.len()) {
                    None => format!("tests.match[{place}]"),
                    Some(place) => format!("tests.ignore[{place}]"),
                };
                let Rule { path, title, id, .. } = self.rules.rule(number);
                let mut case =
                    Case { rule: format!("{path}: {title}"), id: id.0.to_string(), name: list, ..Case::default() };
                if self.fires(number, kind, events) != wanted {
                    let fault = if wanted { "does not fire on" } else { "fires on" };
                    case.fault = Some(format!("{fault} {}", case.name));
                    case.why = events.first().and_then(|event| self.why(number, kind, event));
                    let filters = &self.rules.rule(number).filters;
                    if wanted && case.why.as_ref().is_some_and(|why| why.holds) && !filters.is_empty() {
                        case.fault = Some(format!("{fault} {}: left out by {}", case.name, filters.join(" or ")));
                    }
                }
                bar.suspend(|| reporter.take(case))?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The kind whose events this rule reads; plain JSON of the rule's own log source if we know no such kind.
    fn kind_of(&mut self, number: RuleNumber) -> Kind {
        let LogSource { product, service, .. } = &self.rules.rule(number).log_source;
        let fits = |kind: &Kind| {
            kind.log_source().is_some_and(|(own_product, own_service)| {
                product.as_deref().is_none_or(|name| name == own_product)
                    && service.as_deref().is_none_or(|name| name == own_service)
                    && (product.is_some() || service.is_some())
            })
        };
        Kind::ALL.into_iter().find(fits).unwrap_or_else(|| {
            self.read_as_its_own(number);
            Kind::Json
        })
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

    fn fires(&self, number: RuleNumber, kind: Kind, events: &[serde_json::Value]) -> bool {
        let rules = &self.rules;
        match rules.rule(number).body {
            Body::Detection => {
                events.iter().enumerate().any(|(place, document)| self.matches(number, kind, place, document))
            }
            Body::Correlation(_) => {
                let (mut state, mut changes) = (State::new(Caps::default()).telling_all(), Vec::new());
                let mut scratch = Scratch::default();
                for (place, document) in events.iter().enumerate() {
                    let (mut found, mut rejects) = (Vec::new(), Vec::new());
                    let body = document.to_string();
                    let (format, position) = (Format::Known(kind), place.to_string());
                    normalise(format, body.as_bytes(), &position, &Limits::default(), &mut found, &mut rejects);
                    for reject in rejects {
                        say(&format!("{}: example event {place}: {}", rules.rule(number).path, reject.detail));
                    }
                    for event in &found {
                        if let Some(sighting) = sight(rules, event, &mut scratch) {
                            state.apply(rules, &sighting, &mut changes);
                        }
                    }
                }
                state.advance(rules, Timestamp::LATEST, &mut changes);
                changes.iter().any(|change| change.alert.rule == rules.rule(number).id)
            }
        }
    }

    /// Line by line, why a detection does or does not match.
    fn why(&self, number: RuleNumber, kind: Kind, document: &serde_json::Value) -> Option<engine::rule::Explanation> {
        let rule = self.rules.rule(number);
        let file = self.files.iter().find(|file| file.path == rule.path)?;
        let event = sonic_rs::from_str(&document.to_string()).ok()?;
        explain(file, &rule.id, &self.given, kind, &event)
    }
}

/// An example of a detection needs neither time nor id.
fn event(kind: Kind, place: usize, document: &serde_json::Value) -> Option<Event> {
    let raw = sonic_rs::from_str(&document.to_string()).ok()?;
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
