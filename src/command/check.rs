//! `lapwing check`: what is wrong, where, and how to mend it.

use std::path::{Path, PathBuf};

use engine::rule::{Problem, Weight};

use super::{Outcome, say};
use crate::config::Config;
use crate::connectors;
use crate::rules::Places;

/// Checks configurations and rules without connecting to anything.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(paths: &[PathBuf]) -> anyhow::Result<Outcome> {
    let (configs, rules): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(is_config);
    let mut faults = 0;
    for path in &configs {
        match check_config(path) {
            Ok(Places { shipped, paths }) => faults += check_rules(&Places { shipped, paths })?,
            Err(error) => {
                say(&format!("{error:#}"));
                faults += 1;
            }
        }
    }
    if !rules.is_empty() || configs.is_empty() {
        faults += check_rules(&Places::from_arguments(rules))?;
    }
    Ok(if faults == 0 { Outcome::Done } else { Outcome::Found })
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
    Ok(Places { shipped: config.shipped_rules, paths: config.rules })
}

fn check_rules(places: &Places) -> anyhow::Result<usize> {
    let (rules, problems) = places.compile()?;
    for problem in &problems {
        let weight = match problem.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        let Problem { path, line, column, message, .. } = problem;
        say(&format!("{path}:{line}:{column}: {weight}: {message}"));
    }
    let unfed: Vec<_> = rules.rules().iter().filter(|rule| !rules.is_fed(rule)).collect();
    for rule in &unfed {
        let fed = "no kind of log feeds its `logsource`; docs/kinds.md lists those that do";
        say(&format!("{}:1:1: warning: {}: {fed}", rule.path, rule.title));
    }
    let errors = problems.iter().filter(|problem| problem.weight == Weight::Error).count();
    say(&format!(
        "{} rules good, {errors} broken, {} warnings",
        rules.rules().len(),
        problems.len() - errors + unfed.len()
    ));
    Ok(errors)
}
