//! Rules as their authors see them: YAML in, matches out.

use super::{Problem, RuleFile, RuleSet, Scratch};
use crate::event::{Event, Kind, Uid};
use crate::normalise;
use crate::time::Timestamp;

mod filters;
mod index;
mod laws;
mod load;
mod located;
mod modifiers;

fn compile(texts: &[(&str, &str)]) -> (RuleSet, Vec<Problem>) {
    let file = |&(path, text): &(&str, &str)| RuleFile { path: path.to_owned(), text: text.to_owned() };
    RuleSet::compile(&texts.iter().map(file).collect::<Vec<_>>())
}

/// A set without faults of one rule whose detection section this is.
#[track_caller]
fn detection(section: &str) -> RuleSet {
    let (set, problems) = compile(&[("a.yml", &rule(section))]);
    assert_eq!(problems, [], "{section}");
    set
}

pub(super) fn rule(section: &str) -> String {
    let section: String = section.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: A\nid: a\nlevel: low\ndetection:\n{section}")
}

pub(super) fn event(kind: Kind, json: &str) -> Event {
    let uid = Uid { origin: String::new(), id: String::new() };
    Event { uid, time: Timestamp::default(), kind, raw: normalise::document(json).unwrap() }
}

/// The titles of the rules that match.
pub(super) fn titles(set: &RuleSet, kind: Kind, json: &str) -> Vec<String> {
    let mut scratch = Scratch::default();
    let found = set.matches(&event(kind, json), &mut scratch);
    found.iter().map(|&number| set.rule(number).title.clone()).collect()
}

/// Whether a rule with this detection section matches this event.
#[track_caller]
fn matches(section: &str, json: &str) -> bool {
    !titles(&detection(section), Kind::Json, json).is_empty()
}
