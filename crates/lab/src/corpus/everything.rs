//! Every event that we have: what two engines are compared on.

use std::path::{Path, PathBuf};

use engine::event::Kind;
use engine::normalise::Format;
use serde_json::Value;

use super::lanes::timed;
use super::{ReadError, lines, samples};
use crate::replay::Record;
use crate::sigmahq::{SigmaHq, SigmaHqError};

/// Folders of the shared data that hold files of events.
const FOLDERS: [&str; 4] = ["data", "data/samples", "data/streams", "data/streams/panther_scenarios"];

/// Where an entry of a file keeps its events; without any of these it is an event itself.
const HOLDERS: [&str; 4] = ["event", "payload", "events", "samples"];

/// The project's samples, every event of the shared folder, and SigmaHQ's regression data: each as JSON text
/// with a time that can be read, known by its file and line.
///
/// # Errors
/// [`SigmaHqError`] if a file cannot be read.
pub fn everything(shared: &Path, sigma: &SigmaHq) -> Result<Vec<Record>, SigmaHqError> {
    let mut found = Vec::new();
    let own = ["aws.cloudtrail.jsonl", "github.audit.jsonl", "github.webhook.jsonl", "json.jsonl"];
    for name in own.into_iter().chain(["aws.cloudtrail.records.json", "aws.cloudtrail.cloudwatch.jsonl"]) {
        let path = samples().join(name);
        if name.ends_with(".json") {
            let text = std::fs::read(&path).map_err(|source| ReadError { path: path.clone(), source })?;
            found.push(Record { position: name.to_owned(), body: text });
            continue;
        }
        for (number, line) in (1..).zip(lines(&path)?) {
            found.push(Record { position: format!("{name}:{number}"), body: line.into_bytes() });
        }
    }
    for path in files(shared)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (number, line) in (1..).zip(lines(&path)?) {
            let Ok(entry) = serde_json::from_str::<Value>(&line) else { continue };
            let events = held(entry).into_iter().filter(Value::is_object);
            found.extend(events.map(|event| record(&format!("{name}:{number}"), event)));
        }
    }
    for expected in sigma.regressions()? {
        for (number, event) in (1..).zip(expected.events) {
            found.push(record(&format!("{}:{number}", expected.path), event));
        }
    }
    Ok(found)
}

fn files(shared: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    for folder in FOLDERS.map(|folder| shared.join(folder)) {
        let refused = |source| ReadError { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            if path.to_string_lossy().ends_with(".jsonl.gz") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn held(mut entry: Value) -> Vec<Value> {
    // Python tools keep the vendor's record as text within theirs.
    if let Some(text) = entry.get("CloudTrailEvent").and_then(Value::as_str)
        && let Ok(inner) = serde_json::from_str(text)
    {
        return vec![entry, inner];
    }
    for holder in HOLDERS {
        match entry.get_mut(holder).map(Value::take) {
            Some(Value::Array(events)) => return events,
            Some(event @ Value::Object(_)) => return vec![event],
            // A member of that name that holds something else is put back.
            Some(other) => entry[holder] = other,
            None => {}
        }
    }
    vec![entry]
}

fn record(position: &str, event: Value) -> Record {
    Record { position: position.to_owned(), body: timed(event, Format::Known(Kind::Json)).to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_in_what_holds_them() {
        assert_eq!(held(json!({"event": {"a": 1}, "expected": true})), [json!({"a": 1})]);
        assert_eq!(held(json!({"events": [{"a": 1}, {"a": 2}]})).len(), 2);
        assert_eq!(held(json!({"event": "push", "payload": {"a": 1}})), [json!({"a": 1})]);
        assert_eq!(held(json!({"eventName": "x", "event": "y"})), [json!({"eventName": "x", "event": "y"})]);
    }
}
