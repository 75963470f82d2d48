//! `lapwing check`: what is wrong, where, and how to mend it.

use std::path::{Path, PathBuf};

use engine::rule::{Problem, RuleSet, Weight};
use serde_json::json;

use super::{Outcome, print, say};
use crate::args::{Findings, Given};
use crate::config::Config;
use crate::connectors;
use crate::rules::Places;

/// Checks configurations and rules without connecting to anything.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(paths: &[PathBuf], format: Findings, mut given: Given) -> anyhow::Result<Outcome> {
    let (mappings, paths): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(is_mapping);
    let (configs, rules): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_config);
    let rules_too = !rules.is_empty() || configs.is_empty() || !mappings.is_empty();
    given.mappings.extend(mappings);
    let mut faults = 0;
    for path in &configs {
        match check_config(path) {
            Ok(places) => faults += check_rules(&places, format)?,
            Err(error) => {
                say(&format!("{error:#}"));
                faults += 1;
            }
        }
    }
    if rules_too {
        faults += check_rules(&Places::from_arguments(rules, given)?, format)?;
    }
    Ok(if faults == 0 { Outcome::Done } else { Outcome::Found })
}

/// A file with both keys of a mapping.
fn is_mapping(path: &PathBuf) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    ["kind:", "fields:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}

/// A file without any of the keys that rules begin with: a rule may lack one of them by mistake.
fn is_config(path: &PathBuf) -> bool {
    const RULE_KEYS: [&str; 5] = ["title:", "logsource:", "detection:", "correlation:", "filter:"];
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    !text.lines().any(|line| RULE_KEYS.iter().any(|key| line.starts_with(key)))
}

fn check_config(path: &Path) -> anyhow::Result<Places> {
    let config = Config::read(path)?;
    for (name, sink) in &config.sinks {
        connectors::build_sink(sink).map_err(|error| error.context(format!("{}: sinks.{name}", path.display())))?;
    }
    say(&format!("{}: {} sources, {} sinks: good", path.display(), config.sources.len(), config.sinks.len()));
    Ok(config.places())
}

fn check_rules(places: &Places, format: Findings) -> anyhow::Result<usize> {
    let (given, mut problems) = places.given()?;
    let (rules, more) = RuleSet::check(&places.read()?, &given);
    problems.extend(more);
    for problem in &problems {
        match format {
            Findings::Text => say(&words(problem)),
            // A reader that has left is a normal end, and the exit status still tells.
            Findings::Json => drop(print(&format!("{}\n", object(problem)))?),
        }
    }
    for rule in rules.rules().iter().filter(|rule| !rule.filters.is_empty()) {
        say(&format!("{}: {}: filtered by {}", rule.path, rule.title, rule.filters.join(", ")));
    }
    let errors = problems.iter().filter(|problem| problem.weight == Weight::Error).count();
    say(&format!("{} rules good, {errors} broken, {} warnings", rules.rules().len(), problems.len() - errors));
    Ok(errors)
}

fn weight(problem: &Problem) -> &'static str {
    match problem.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
    }
}

fn words(problem: &Problem) -> String {
    let Problem { path, line, column, message, lint, .. } = problem;
    let lint = lint.map_or_else(String::new, |lint| format!("[{lint}]"));
    format!("{path}:{line}:{column}: {}{lint}: {message}", weight(problem))
}

fn object(problem: &Problem) -> serde_json::Value {
    let Problem { path, line, column, message, lint, .. } = problem;
    json!({ "path": path, "line": line, "column": column, "weight": weight(problem), "lint": lint, "message": message })
}
