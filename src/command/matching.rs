//! `lapwing match`: which detection rules match each line.

use std::io::Write;

use anyhow::Context;
use engine::event::{Event, Kind, Uid};
use engine::normalise::{Format, Limits, Reject, RejectReason, normalise};
use engine::rule::{RuleNumber, RuleSet, Scratch};
use engine::time::Timestamp;
use serde_json::{Value, json};
use sonic_rs::{JsonContainerTrait, JsonValueTrait};

use super::replay::NOTHING_READ;
use super::{Outcome, input, say, written};
use crate::args::Input;

/// What is asked and how it is printed.
struct Asked<'a> {
    rules: RuleSet,
    format: Format,
    titles: bool,
    /// Printed where there are several.
    file: Option<&'a str>,
}

/// What one line came to.
struct Answer {
    printed: Value,
    /// Whether anything in it could be read.
    events: usize,
    rejects: usize,
}

/// Prints one object a line.
///
/// # Errors
/// When rules or files cannot be read.
pub(crate) fn run(input: &Input, titles: bool) -> anyhow::Result<Outcome> {
    let (rules, outcome) = super::replay::compile(input)?;
    let mut asked = Asked { rules, format: input.kind, titles, file: None };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut scratch = Scratch::default();
    let (mut events, mut rejects) = (0, 0);
    let names: Vec<String> = input.files.iter().map(|path| path.display().to_string()).collect();
    for (path, name) in input.files.iter().zip(&names) {
        asked.file = Some(name.as_str()).filter(|_| names.len() > 1);
        let result = input::records(path, |number, record, _| {
            let answer = line(&asked, number, record, &mut scratch);
            events += answer.events;
            rejects += answer.rejects;
            writeln!(out, "{}", answer.printed).context("write output")
        });
        if let Err(error) = result {
            match error.downcast_ref::<std::io::Error>() {
                Some(broken) if broken.kind() == std::io::ErrorKind::BrokenPipe => return Ok(outcome),
                _ => return Err(error),
            }
        }
    }
    written(out.flush())?;
    if events == 0 && rejects > 0 {
        say(NOTHING_READ);
        return Ok(Outcome::Found);
    }
    Ok(outcome)
}

fn line(asked: &Asked<'_>, number: u64, record: &[u8], scratch: &mut Scratch) -> Answer {
    let (events, rejects) = events(asked.format, number, record);
    let found: Vec<Vec<RuleNumber>> = events.iter().map(|event| asked.rules.matches(event, scratch).to_vec()).collect();
    let mut all: Vec<RuleNumber> = found.concat();
    all.sort_unstable();
    all.dedup();
    let mut printed = json!({ "line": number });
    if let Some(file) = asked.file {
        printed["file"] = file.into();
    }
    tell(asked, &all, &mut printed);
    // A document may hold many records; which of them it was is what people look for.
    if events.len() > 1 {
        let several = found.iter().zip(1..).filter(|(rules, _)| !rules.is_empty()).map(|(rules, place)| {
            let mut event = json!({ "event": place });
            tell(asked, rules, &mut event);
            event
        });
        printed["events"] = several.collect();
    }
    if let Some(reject) = rejects.first() {
        let file = asked.file.map_or_else(String::new, |file| format!("{file}: "));
        say(&format!("{file}line {number}: {}: {}", reject.reason.name(), reject.detail));
        printed["reject"] = reject.reason.name().into();
    }
    Answer { printed, events: events.len(), rejects: rejects.len() }
}

fn tell(asked: &Asked<'_>, found: &[RuleNumber], printed: &mut Value) {
    let rules = || found.iter().map(|rule| asked.rules.rule(*rule));
    printed["rules"] = rules().map(|rule| &*rule.id.0).collect();
    if asked.titles {
        printed["titles"] = rules().map(|rule| rule.title.as_str()).collect();
    }
}

/// The events of a record. Nothing is remembered here, so plain JSON needs no time.
fn events(format: Format, number: u64, record: &[u8]) -> (Vec<Event>, Vec<Reject>) {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    normalise(format, record, &number.to_string(), &Limits::default(), &mut events, &mut rejects);
    let timeless = format == Format::Known(Kind::Json)
        && !rejects.is_empty()
        && rejects.iter().all(|reject| reject.reason == RejectReason::Time);
    if timeless && let Some(documents) = documents(record) {
        let uid = || Uid { origin: String::new(), id: number.to_string() };
        let event = |raw| Event { uid: uid(), time: Timestamp::default(), kind: Kind::Json, raw };
        return (documents.into_iter().map(event).collect(), Vec::new());
    }
    (events, rejects)
}

/// The objects of a record that was found to be JSON and not too deep.
fn documents(record: &[u8]) -> Option<Vec<sonic_rs::Value>> {
    let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
    let document: sonic_rs::Value = sonic_rs::from_slice(record).ok()?;
    let elements = document.as_array().map(|elements| elements.iter().cloned().collect());
    let documents: Vec<sonic_rs::Value> = elements.unwrap_or_else(|| vec![document.clone()]);
    documents.iter().all(|document| document.is_object()).then_some(documents)
}
