//! The keys that Lapwing adds to Sigma.

use std::collections::HashMap;

use serde::Deserialize;
use yaml_serde::Value;

use super::Tests;
use super::place::Fault;
use crate::time::Span;

/// What a rule says to Lapwing alone.
pub(super) struct Own {
    pub(super) version: u32,
    pub(super) runbook: String,
    /// Field names and period.
    pub(super) dedup: Option<(Vec<String>, Span)>,
    pub(super) tests: Tests,
}

/// Whose tests they are: a detection's are single events, a correlation's are lists of events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Detection,
    Correlation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenDedup {
    #[serde(default)]
    group_by: Vec<String>,
    period: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTests {
    #[serde(default, rename = "match")]
    fires: Vec<serde_json::Value>,
    #[serde(default)]
    ignore: Vec<serde_json::Value>,
}

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(attributes: &HashMap<String, Value, impl std::hash::BuildHasher>, sort: Sort) -> Result<Own, Fault> {
    let version = match attributes.get("version") {
        None => 1,
        Some(value) => value
            .as_u64()
            .and_then(|version| u32::try_from(version).ok())
            .ok_or_else(|| Fault::error("`version` must be a whole number").under("version"))?,
    };
    let runbook = match attributes.get("runbook") {
        None => String::new(),
        Some(Value::String(text)) => text.trim_end().to_owned(),
        Some(_) => return Err(Fault::error("`runbook` must be text").under("runbook")),
    };
    Ok(Own { version, runbook, dedup: dedup(attributes.get("dedup"))?, tests: tests(attributes.get("tests"), sort)? })
}

fn dedup(value: Option<&Value>) -> Result<Option<(Vec<String>, Span)>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let written: WrittenDedup = parse(value, "dedup")?;
    let period = written
        .period
        .parse()
        .map_err(|error: crate::time::TimeError| Fault::error(error.to_string()).under("period").under("dedup"))?;
    Ok(Some((written.group_by, period)))
}

fn tests(value: Option<&Value>, sort: Sort) -> Result<Tests, Fault> {
    let Some(value) = value else { return Ok(Tests::default()) };
    let written: WrittenTests = parse(value, "tests")?;
    let cases = |cases: Vec<serde_json::Value>, key: &str| {
        let cases: Result<Vec<_>, String> = cases.into_iter().map(|case| events(case, sort)).collect();
        cases.map_err(|message| Fault::error(message).under(key).under("tests"))
    };
    Ok(Tests { fires: cases(written.fires, "match")?, ignores: cases(written.ignore, "ignore")? })
}

fn events(case: serde_json::Value, sort: Sort) -> Result<Vec<serde_json::Value>, String> {
    match (sort, case) {
        (Sort::Detection, event @ serde_json::Value::Object(_)) => Ok(vec![event]),
        (Sort::Detection, _) => Err("each test of a detection is one event, a mapping".to_owned()),
        (Sort::Correlation, serde_json::Value::Array(events))
            if !events.is_empty() && events.iter().all(serde_json::Value::is_object) =>
        {
            Ok(events)
        }
        (Sort::Correlation, _) => Err("each test of a correlation is a list of events".to_owned()),
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value, key: &str) -> Result<T, Fault> {
    yaml_serde::from_value(value.clone())
        .map_err(|error| Fault::error(format!("`{key}` cannot be read: {error}")).under(key))
}
