//! SigmaHQ's regression data: Windows events, and which rule must match how many of them.

use std::fs;

use serde::Deserialize;
use serde_json::{Deserializer, Map, Value};

use super::{SigmaHq, files};
use crate::corpus::ReadError;

/// What one `info.yml` expects.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The folder, from the archive's root.
    pub path: String,
    /// Ids of the rules that must match.
    pub rules: Vec<String>,
    /// How many of the events each must match; without it, at least one.
    pub matches: Option<u64>,
    /// The events, as rules name their fields.
    pub events: Vec<Value>,
}

#[derive(Deserialize)]
struct Expected {
    rule_metadata: Vec<Named>,
    #[serde(default)]
    regression_tests_info: Vec<Asked>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Asked {
    match_count: Option<u64>,
}

impl SigmaHq {
    /// Every expectation whose events are there as JSON.
    ///
    /// # Errors
    /// [`ReadError`] names the file that is not what it should be.
    pub fn regressions(&self) -> Result<Vec<Expectation>, ReadError> {
        let mut found = Vec::new();
        for path in files(&self.folder.join("regression_data"))? {
            if path.file_name().is_none_or(|name| name != "info.yml") {
                continue;
            }
            let damaged = |error: String| ReadError { path: path.clone(), source: std::io::Error::other(error) };
            let text = fs::read_to_string(&path).map_err(|source| ReadError { path: path.clone(), source })?;
            let info: Expected = yaml_serde::from_str(&text).map_err(|error| damaged(error.to_string()))?;
            let mut events = Vec::new();
            for beside in files(path.parent().unwrap_or(&path))? {
                if beside.extension().is_some_and(|extension| extension == "json") {
                    let text = fs::read_to_string(&beside).map_err(|error| damaged(error.to_string()))?;
                    // Several documents stand in one file, one after the other.
                    for document in Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter::<Value>() {
                        events.push(flatten(&document.map_err(|error| damaged(error.to_string()))?));
                    }
                }
            }
            let Some(asked) = info.regression_tests_info.first().filter(|_| !events.is_empty()) else { continue };
            found.push(Expectation {
                path: self.name(path.parent().unwrap_or(&path)),
                rules: info.rule_metadata.into_iter().map(|rule| rule.id).collect(),
                matches: asked.match_count,
                events,
            });
        }
        Ok(found)
    }
}

/// A Windows event as its XML is written in JSON, with its fields where rules look for them: what the provider
/// says at the top, beside what the system says.
#[must_use]
pub fn flatten(document: &Value) -> Value {
    let mut flat = Map::new();
    let event = &document["Event"];
    for (name, value) in event["System"].as_object().into_iter().flatten() {
        match value.get("#attributes").and_then(Value::as_object) {
            None => {
                flat.insert(name.clone(), value.clone());
            }
            Some(attributes) => {
                let named = attributes.iter().map(|(attribute, value)| (format!("{name}_{attribute}"), value.clone()));
                flat.extend(named);
            }
        }
    }
    // The one time that every reader of JSON knows.
    let time = flat.remove("TimeCreated_SystemTime").unwrap_or(Value::Null);
    flat.insert("@timestamp".to_owned(), time);
    let told = [&event["EventData"], &event["UserData"]].into_iter().find_map(Value::as_object);
    for (name, value) in told.into_iter().flatten() {
        match value.as_object() {
            Some(_) if name == "#attributes" => {}
            None => {
                flat.insert(name.clone(), value.clone());
            }
            // Beneath `UserData` the provider's own element holds the fields.
            Some(inner) => {
                let inner = inner.iter().filter(|(name, _)| *name != "#attributes");
                flat.extend(inner.map(|(name, value)| (name.clone(), value.clone())));
            }
        }
    }
    Value::Object(flat)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_stand_where_rules_look_for_them() {
        let document = json!({"Event": {
            "#attributes": {"xmlns": "x"},
            "System": {
                "Provider": {"#attributes": {"Name": "P"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": "2026-01-01T00:00:00Z"}},
                "Channel": "C"
            },
            "EventData": {"#attributes": {"Name": "N"}, "Image": "C:\\a.exe"}
        }});
        let flat = json!({
            "Provider_Name": "P", "EventID": 1, "@timestamp": "2026-01-01T00:00:00Z", "Channel": "C",
            "Image": "C:\\a.exe"
        });
        assert_eq!(flatten(&document), flat);
    }
}
