//! Templates from the shared data, each sort of log as its vendor writes it.
//!
//! The shared data is test data: names in it mean nothing here, and nothing here looks for one.

use std::collections::BTreeSet;
use std::path::Path;

use engine::normalise::{Format, Limits, normalise};
use serde_json::Value;

use super::{Lane, ReadError, lines};
use crate::sigmahq::{SigmaHq, SigmaHqError};

/// CloudTrail records of every source that we have, each shape once: 3,361 of them in today's data.
///
/// # Errors
/// [`ReadError`] if a file of the shared folder is missing or damaged.
pub fn cloudtrail(shared: &Path) -> Result<Vec<String>, ReadError> {
    let is_record = |record: &Value| record["eventVersion"].is_string() && record["eventTime"].is_string();
    let mut found = lines(&shared.join("data/streams/invictus.masked.jsonl.gz"))?;
    for file in ["stratus", "samples/aws_docs_cloudtrail", "samples/cloud_custodian", "panther_tests"] {
        found.extend(within(&shared.join(format!("data/{file}.jsonl.gz")), is_record)?);
    }
    let mut seen = BTreeSet::new();
    found.retain(|record| seen.insert(record.clone()));
    Ok(found)
}

/// Records of CloudTrail and of what stands beside it in a delivery pipeline: GitHub, Okta, Google, Azure,
/// Kubernetes.
///
/// # Errors
/// [`ReadError`] if a file of the shared folder is missing or damaged.
pub fn mixed(shared: &Path) -> Result<Vec<Lane>, ReadError> {
    let tests = shared.join("data/panther_tests.jsonl.gz");
    let tested = |weight, log_type: &str| -> Result<Lane, ReadError> {
        let templates = events(&tests, |test| {
            test["log_types"].as_array().is_some_and(|types| types.iter().any(|of| of == log_type))
        })?;
        Ok(Lane {
            weight,
            templates: templates.into_iter().map(|event| timed(event, Format::Auto).to_string()).collect(),
        })
    };
    let mut google = tested(6, "GCP.AuditLog")?;
    for file in ["plaso_gcp_logging", "plaso_azure_activity_log"] {
        google.templates.extend(lines(&shared.join(format!("data/samples/{file}.jsonl.gz")))?);
    }
    google.templates.retain(|record| serde_json::from_str(record).is_ok_and(|record| is_read(&record, Format::Auto)));
    Ok(vec![
        Lane { weight: 65, templates: cloudtrail(shared)? },
        tested(10, "GitHub.Audit")?,
        tested(9, "Okta.SystemLog")?,
        google,
        tested(5, "Azure.MonitorActivity")?,
        tested(5, "Amazon.EKS.Audit")?,
    ])
}

/// Windows events that rules match, as rules name their fields.
///
/// # Errors
/// [`SigmaHqError`] if the regression data cannot be read.
pub fn windows(sigma: &SigmaHq) -> Result<Vec<String>, SigmaHqError> {
    let expectations = sigma.regressions()?;
    Ok(expectations.iter().flat_map(|expected| &expected.events).map(Value::to_string).collect())
}

/// The `event` of every line that holds one which `wanted` takes.
fn within(path: &Path, wanted: impl Fn(&Value) -> bool) -> Result<Vec<String>, ReadError> {
    let mut found = events(path, |_| true)?;
    found.retain(wanted);
    Ok(found.iter().map(Value::to_string).collect())
}

fn events(path: &Path, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>, ReadError> {
    let damaged = |error: serde_json::Error| ReadError { path: path.to_owned(), source: error.into() };
    let mut found = Vec::new();
    for line in lines(path)? {
        let mut entry: Value = serde_json::from_str(&line).map_err(damaged)?;
        if wanted(&entry) {
            found.push(entry["event"].take());
        }
    }
    Ok(found)
}

/// The record with a time that every reader of JSON knows, if ours finds none in it.
pub(super) fn timed(mut record: Value, format: Format) -> Value {
    if record.is_object() && !is_read(&record, format) {
        record["@timestamp"] = Value::String("2026-01-01T00:00:00Z".to_owned());
    }
    record
}

fn is_read(record: &Value, format: Format) -> bool {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let body = record.to_string();
    normalise(format, body.as_bytes(), "lane", &Limits::default(), &mut events, &mut rejects);
    rejects.is_empty() && !events.is_empty()
}
