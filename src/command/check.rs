//! `lapwing check`: what is wrong, where, and how to mend it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use connect::secret::Secret;
use engine::address::Addresses;
use engine::rule::{Problem, RuleSet, Weight};
use serde_json::json;

use super::{Outcome, print, say};
use crate::args::{Findings, Given, Lints};
use crate::config::{Config, ConfigError, System};
use crate::connectors;
use crate::coverage;
use crate::rules::Places;

mod probe;

/// Checks configurations and rules; connects to nothing unless `connect` asks to try the sources.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn run(
    paths: &[PathBuf],
    format: Findings,
    connect: bool,
    lints: &Lints,
    mut given: Given,
) -> anyhow::Result<Outcome> {
    let (mappings, paths): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(is_mapping);
    let (configs, rules): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_config);
    let rules_too = !rules.is_empty() || configs.is_empty() || !mappings.is_empty();
    given.mappings.extend(mappings);
    let mut faults = 0;
    for path in &configs {
        match check_config(path) {
            Ok(config) => {
                if connect {
                    faults += probe::sources(path, &config, format)?;
                }
                faults += check_rules(&config.places(), format, lints)?;
            }
            Err(error) => {
                if format == Findings::Text {
                    say(&format!("{error:#}"));
                } else {
                    print(&format!("{}\n", config_object(path, &error)))?;
                }
                faults += 1;
            }
        }
    }
    if rules_too {
        faults += check_rules(&Places::from_arguments(rules, given)?, format, lints)?;
    }
    Ok(if faults == 0 { Outcome::Done } else { Outcome::Found })
}

/// A file with both keys of a mapping.
fn is_mapping(path: &PathBuf) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    ["kind:", "fields:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}

/// A file that says something without any of the keys that rules begin with: a rule may lack one of them by mistake.
fn is_config(path: &PathBuf) -> bool {
    const RULE_KEYS: [&str; 5] = ["title:", "logsource:", "detection:", "correlation:", "filter:"];
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let mut said = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', '%']));
    let is_blank = said.all(|line| line.trim_end() == "---");
    let is_rule = text.lines().any(|line| RULE_KEYS.iter().any(|key| line.starts_with(key)));
    // Rules are written as JSON, too.
    let quoted = |key: &&str| text.contains(&format!("\"{}\":", key.trim_end_matches(':')));
    let is_json_rule = text.trim_start().starts_with('{') && RULE_KEYS.iter().any(quoted);
    !is_blank && !is_rule && !is_json_rule
}

fn check_config(path: &Path) -> anyhow::Result<Config> {
    let config = Config::read(path)?;
    let unreadable = |of: String| format!("{}: {of}", path.display());
    config.token.as_ref().map(Secret::read).transpose().with_context(|| unreadable("token".to_owned()))?;
    for (name, source) in &config.sources {
        for (setting, secret) in source.systems().into_iter().flat_map(System::secrets) {
            secret.read().with_context(|| unreadable(format!("sources.{name}.{setting}")))?;
        }
    }
    coverage::check(&config.coverage)
        .map_err(|error| anyhow::Error::from(error).context(format!("{}: coverage", path.display())))?;
    crate::config::books(&config.lineage, &config.deploys, Addresses::default())
        .with_context(|| unreadable("deploys".to_owned()))?;
    for (name, sink) in &config.sinks {
        connectors::build_sink(sink).map_err(|error| error.context(format!("{}: sinks.{name}", path.display())))?;
    }
    say(&format!("{}: {} sources, {} sinks: good", path.display(), config.sources.len(), config.sinks.len()));
    Ok(config)
}

/// Prints what is wrong; answers how much of it ends the command at fault.
fn check_rules(places: &Places, format: Findings, lints: &Lints) -> anyhow::Result<usize> {
    let (given, mut problems) = places.given()?;
    let (files, unread) = places.read()?;
    let (rules, found) = RuleSet::check(&files, &given);
    problems.extend(unread);
    problems.extend(found);
    problems.retain(|problem| problem.lint.is_none_or(|lint| !lints.allow.iter().any(|allowed| allowed == lint)));
    match format {
        Findings::Text => lines(&problems).iter().for_each(|line| say(line)),
        Findings::Json => {
            for problem in &problems {
                // A reader that has left is a normal end, and the exit status still tells.
                print(&format!("{}\n", object(problem)))?;
            }
        }
    }
    for rule in rules.rules().iter().filter(|rule| !rule.filters.is_empty()) {
        let filters = rule.filters.join(", ");
        match format {
            Findings::Text => say(&format!("{}: {}: filtered by {filters}", rule.path, rule.title)),
            Findings::Json => {
                let about = json!({
                    "path": rule.path, "line": null, "column": null, "weight": "note", "lint": null, "rule": rule.id,
                    "message": format!("filtered by {filters}"),
                });
                print(&format!("{about}\n"))?;
            }
        }
    }
    let errors = problems.iter().filter(|problem| problem.weight == Weight::Error).count();
    let warnings = problems.len() - errors;
    if format == Findings::Text
        && let Some(totals) = totals(&problems)
    {
        say(&totals);
    }
    say(&format!("{} rules good, {errors} broken, {warnings} warnings", rules.rules().len()));
    Ok(errors + if lints.deny.is_some() { warnings } else { 0 })
}

fn weight(problem: &Problem) -> &'static str {
    match problem.weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
    }
}

/// A line a finding; rules of one log source that nothing feeds share one, as public rules are for a hundred others.
fn lines(problems: &[Problem]) -> Vec<String> {
    let mut unfed: BTreeMap<&str, Vec<&Problem>> = BTreeMap::new();
    let mut lines = Vec::new();
    for problem in problems {
        match problem.lint {
            Some("unfed") => unfed.entry(&problem.message).or_default().push(problem),
            _ => lines.push(words(problem)),
        }
    }
    for (message, rules) in unfed {
        match rules.as_slice() {
            [only] => lines.push(words(only)),
            [first, ..] => {
                let Problem { path, line, column, .. } = first;
                let count = rules.len();
                lines
                    .push(format!("{path}:{line}:{column}: warning[unfed]: {message} (and {} other rules)", count - 1));
            }
            [] => {}
        }
    }
    lines
}

/// How often each lint found something.
fn totals(problems: &[Problem]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for lint in problems.iter().filter_map(|problem| problem.lint) {
        *counts.entry(lint).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<String> = counts.iter().map(|(lint, count)| format!("{lint} {count}")).collect();
    (!counts.is_empty()).then(|| format!("by lint: {}", counts.join(", ")))
}

fn words(problem: &Problem) -> String {
    let Problem { path, line, column, message, lint, .. } = problem;
    let lint = lint.map_or_else(String::new, |lint| format!("[{lint}]"));
    format!("{path}:{line}:{column}: {}{lint}: {message}", weight(problem))
}

fn object(problem: &Problem) -> serde_json::Value {
    let Problem { path, line, column, message, lint, rule, .. } = problem;
    let weight = weight(problem);
    json!({
        "path": path, "line": line, "column": column, "weight": weight, "lint": lint, "rule": rule, "message": message,
    })
}

/// A fault of a configuration, in the form of a finding.
fn config_object(path: &Path, error: &anyhow::Error) -> serde_json::Value {
    let path = path.display().to_string();
    let (line, column, message) = match error.downcast_ref::<ConfigError>() {
        Some(ConfigError::Place { line, column, message, .. }) => (Some(line), Some(column), message.clone()),
        Some(ConfigError::Sense { message, .. }) => (None, None, message.clone()),
        Some(ConfigError::Read { .. }) | None => {
            let message = format!("{error:#}");
            let message = message.strip_prefix(&format!("{path}: ")).unwrap_or(&message).to_owned();
            (None, None, message)
        }
    };
    json!({
        "path": path, "line": line, "column": column, "weight": "error", "lint": null, "rule": null, "message": message,
    })
}
