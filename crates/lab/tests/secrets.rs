//! How many of the secrets that another tool looks for are taken out, and how often something is that is none.
//!
//! Its fixtures and expressions lie in the shared folder; without one this says so and measures nothing. Many of them are of
//! services that no pipeline or cloud log speaks of: the whole is a figure to be compared with the last, what pipelines
//! and clouds use is a line to be held.

use std::collections::BTreeMap;
use std::io::Write;

use engine::alert::redact::redact;
use regex::Regex;
use serde_json::Value;

/// What pipelines and the clouds behind them use: of these, nine in ten at least.
const OURS: [&str; 16] = [
    "aws-amazon-bedrock",
    "azure-ad",
    "gcp-",
    "github-",
    "gitlab-",
    "grafana-",
    "hashicorp-",
    "huggingface-",
    "jwt",
    "openshift-",
    "private-key",
    "pypi-",
    "rubygems-",
    "slack-",
    "sonar-",
    "vault-",
];

#[derive(Default)]
struct Tally {
    hidden: usize,
    all: usize,
}

/// The expressions that find each kind, as far as they can be compiled.
fn expressions(text: &str) -> BTreeMap<String, Regex> {
    let rules: Value = serde_json::from_str(text).expect("the rules are JSON");
    let rules = rules["rules"].as_array().expect("a list").iter().filter_map(|rule| {
        let regex = regex::RegexBuilder::new(rule["regex"].as_str()?).size_limit(64 << 20).build().ok()?;
        Some((rule["id"].as_str()?.to_owned(), regex))
    });
    rules.collect()
}

/// Whether what the expression finds is no longer there.
fn is_hidden(text: &str, expression: Option<&Regex>) -> bool {
    let clean = redact(text);
    let Some(found) = expression.and_then(|expression| expression.captures(text)) else { return clean != text };
    // Of an expression with several groups the longest is the secret, and others its mark or its end.
    let groups = found.iter().skip(1).flatten().max_by_key(|group| group.len());
    let secret = groups.or(found.get(0)).map_or("", |secret| secret.as_str());
    !clean.contains(secret.trim())
}

#[test]
fn secrets_of_pipelines_and_clouds_are_taken_out_and_little_else() {
    let Some(shared) = lab::corpus::shared() else {
        writeln!(std::io::stderr(), "SKIPPED: fixtures of secrets need the shared data folder")
            .expect("stderr is open");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(shared.join("data/secrets").join(name)).expect("it can be read");
    let expressions = expressions(&read("gitleaks_rules.json"));
    let fixtures = lab::corpus::lines(&shared.join("data/secrets/gitleaks_fixtures.jsonl.gz")).expect("can be read");
    let (mut ours, mut all, mut none) = (Tally::default(), Tally::default(), Tally::default());
    let mut missed: BTreeMap<String, usize> = BTreeMap::new();
    for line in fixtures {
        let fixture: Value = serde_json::from_str(&line).expect("a fixture is JSON");
        let (rule, text) = (fixture["rule_id"].as_str().unwrap_or(""), fixture["text"].as_str().unwrap_or(""));
        if fixture["kind"] == "fp" {
            none.all += 1;
            none.hidden += usize::from(redact(text) != text);
            continue;
        }
        let hidden = is_hidden(text, expressions.get(rule));
        if !hidden {
            *missed.entry(rule.to_owned()).or_default() += 1;
        }
        let of_ours = OURS.iter().any(|name| rule.starts_with(name));
        for tally in [Some(&mut all), of_ours.then_some(&mut ours)].into_iter().flatten() {
            tally.all += 1;
            tally.hidden += usize::from(hidden);
        }
    }
    writeln!(
        std::io::stderr(),
        "secrets: {}/{} of pipelines and clouds, {}/{} of all, {}/{} that are none; missed: {missed:?}",
        ours.hidden,
        ours.all,
        all.hidden,
        all.all,
        none.hidden,
        none.all
    )
    .expect("stderr is open");
    assert!(10 * ours.hidden >= 9 * ours.all, "{}/{}", ours.hidden, ours.all);
}
