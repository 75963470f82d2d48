//! `lapwing match`: which detection rules match each line.

use std::io::Write;

use anyhow::Context;
use engine::event::LogSource;
use engine::normalise::{Limits, normalise};
use engine::rule::{RuleSet, Scratch};
use serde_json::json;

use super::{Outcome, input, say, written};
use crate::args::Input;
use crate::rules::Places;

/// Prints one object a line.
///
/// # Errors
/// When rules or files cannot be read.
pub(crate) fn run(input: &Input, log_source: Option<&LogSource>) -> anyhow::Result<Outcome> {
    let (mut rules, outcome) =
        super::replay::compile(&Places::from_arguments(input.rules.clone(), input.given.clone())?)?;
    if let Some(log_source) = log_source {
        rules.read_json_as(log_source);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut scratch = Scratch::default();
    for path in &input.files {
        let result = input::records(path, |number, record, _| {
            let line = line(&rules, input, number, record, &mut scratch);
            writeln!(out, "{line}").context("write output")
        });
        if let Err(error) = result {
            match error.downcast_ref::<std::io::Error>() {
                Some(broken) if broken.kind() == std::io::ErrorKind::BrokenPipe => return Ok(outcome),
                _ => return Err(error),
            }
        }
    }
    written(out.flush()).map(|_| outcome)
}

fn line(rules: &RuleSet, input: &Input, number: u64, record: &[u8], scratch: &mut Scratch) -> serde_json::Value {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    normalise(input.kind, record, &number.to_string(), &Limits::default(), &mut events, &mut rejects);
    let mut found = Vec::new();
    for event in &events {
        found.extend_from_slice(rules.matches(event, scratch));
    }
    found.sort_unstable();
    found.dedup();
    let ids: Vec<_> = found.into_iter().map(|rule| &rules.rule(rule).id).collect();
    match rejects.first() {
        None => json!({ "line": number, "rules": ids }),
        Some(reject) => {
            say(&format!("line {number}: {}: {}", reject.reason.name(), reject.detail));
            json!({ "line": number, "rules": ids, "reject": reject.reason.name() })
        }
    }
}
