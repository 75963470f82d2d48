//! `lapwing test`: rules against the events that they carry.

use std::path::PathBuf;

use engine::detect::{Caps, State, sight};
use engine::event::{Event, Kind, LogSource, Uid};
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{Body, Rule, RuleNumber, RuleSet, Scratch, Weight};
use engine::time::Timestamp;

use super::{Outcome, say};
use crate::rules::Places;

/// Runs every example of every rule.
///
/// # Errors
/// When the files cannot be read.
pub(crate) fn run(paths: Vec<PathBuf>) -> anyhow::Result<Outcome> {
    let (mut rules, problems) = Places::from_arguments(paths).compile()?;
    let broken: Vec<_> = problems.iter().filter(|problem| problem.weight == Weight::Error).collect();
    for problem in &broken {
        say(&format!("broken: {problem}"));
    }
    let (mut examples, mut faults) = (0, broken.len());
    for number in (0..).map(RuleNumber).take(rules.rules().len()) {
        let tests = rules.rule(number).tests.clone();
        let kind = kind_of(&mut rules, number);
        let fires = tests.fires.iter().map(|events| (events, true));
        let ignores = tests.ignores.iter().map(|events| (events, false));
        for (place, (events, wanted)) in fires.chain(ignores).enumerate() {
            examples += 1;
            if fired(&rules, number, kind, events) != wanted {
                let Rule { path, title, .. } = rules.rule(number);
                let (fault, list) = if wanted {
                    ("does not fire on", format!("match[{place}]"))
                } else {
                    ("fires on", format!("ignore[{}]", place - tests.fires.len()))
                };
                say(&format!("{path}: {title}: {fault} tests.{list}"));
                faults += 1;
            }
        }
    }
    say(&format!("{} rules, {examples} examples, {faults} faults", rules.rules().len()));
    Ok(if faults == 0 { Outcome::Done } else { Outcome::Found })
}

/// The kind whose events this rule reads; plain JSON of the rule's own log source if we know no such kind.
fn kind_of(rules: &mut RuleSet, number: RuleNumber) -> Kind {
    let LogSource { product, service, .. } = &rules.rule(number).log_source;
    let fits = |kind: &Kind| {
        kind.log_source().is_some_and(|(own_product, own_service)| {
            product.as_deref().is_none_or(|name| name == own_product)
                && service.as_deref().is_none_or(|name| name == own_service)
                && (product.is_some() || service.is_some())
        })
    };
    Kind::ALL.into_iter().find(fits).unwrap_or_else(|| {
        let source = rules.rule(number).log_source.clone();
        rules.read_json_as(&source);
        Kind::Json
    })
}

fn fired(rules: &RuleSet, number: RuleNumber, kind: Kind, events: &[serde_json::Value]) -> bool {
    let mut scratch = Scratch::default();
    match rules.rule(number).body {
        Body::Detection => events.iter().enumerate().any(|(place, document)| {
            event(kind, place, document).is_some_and(|event| rules.matches(&event, &mut scratch).contains(&number))
        }),
        Body::Correlation(_) => {
            let (mut state, mut changes) = (State::new(Caps::default()), Vec::new());
            for (place, document) in events.iter().enumerate() {
                let (mut found, mut rejects) = (Vec::new(), Vec::new());
                let body = document.to_string();
                let position = place.to_string();
                normalise(
                    Format::Known(kind),
                    body.as_bytes(),
                    &position,
                    &Limits::default(),
                    &mut found,
                    &mut rejects,
                );
                for reject in rejects {
                    say(&format!("{}: example event {place}: {}", rules.rule(number).path, reject.detail));
                }
                for event in &found {
                    if let Some(sighting) = sight(rules, event, &mut scratch) {
                        state.apply(rules, &sighting, &mut changes);
                    }
                }
            }
            changes.iter().any(|change| change.alert.rule == rules.rule(number).id)
        }
    }
}

/// An example of a detection needs neither time nor id.
fn event(kind: Kind, place: usize, document: &serde_json::Value) -> Option<Event> {
    let raw = sonic_rs::from_str(&document.to_string()).ok()?;
    let uid = Uid { origin: String::new(), id: place.to_string() };
    Some(Event { uid, time: Timestamp::default(), kind, raw })
}
