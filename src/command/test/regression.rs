//! SigmaHQ's regression data: events of Windows beside an `info.yml` that says which rule matches how many.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use engine::event::Kind;
use engine::rule::{RuleId, RuleNumber};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::report::{Case, Reporter};
use super::{Bench, progress, raw};

/// An `info.yml`; the keys that are read.
#[derive(Deserialize)]
struct Expectations {
    rule_metadata: Vec<About>,
    #[serde(default)]
    regression_tests_info: Vec<Test>,
}

#[derive(Deserialize)]
struct About {
    id: String,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    path: String,
    /// How many events must match at least. Four of the public ones say 1 beside several events that hold, letter by
    /// letter, what the rule asks for: exported logs repeat themselves.
    #[serde(default = "one_match")]
    match_count: usize,
}

fn one_match() -> usize {
    1
}

/// Tries every `info.yml` below this folder.
pub(super) fn run(bench: &mut Bench, folder: &Path, reporter: &mut Reporter) -> anyhow::Result<()> {
    let mut infos = Vec::new();
    gather(folder, &mut infos)?;
    anyhow::ensure!(!infos.is_empty(), "{} holds no info.yml", folder.display());
    let numbers: BTreeMap<RuleId, RuleNumber> =
        (0..).map(RuleNumber).zip(bench.rules.rules()).map(|(number, rule)| (rule.id.clone(), number)).collect();
    let bar = progress(infos.len() as u64);
    for path in infos {
        if let Err(error) = bar.suspend(|| one(bench, &numbers, &path, reporter)) {
            let (path, fault) = (path.display().to_string(), Some(format!("{error:#}")));
            reporter.take(Case { rule: path.clone(), name: "loads".to_owned(), path, fault, ..Case::default() })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn one(
    bench: &mut Bench,
    numbers: &BTreeMap<RuleId, RuleNumber>,
    path: &Path,
    reporter: &mut Reporter,
) -> anyhow::Result<()> {
    let about = || format!("read {}", path.display());
    let text = std::fs::read_to_string(path).with_context(about)?;
    let info: Expectations = yaml_serde::from_str(&text).with_context(about)?;
    let file = path.display().to_string();
    let left_out = |id: &str, name: &str, why: String| Case {
        rule: file.clone(),
        id: id.to_owned(),
        name: name.to_owned(),
        path: file.clone(),
        left_out: Some(why),
        ..Case::default()
    };
    if info.regression_tests_info.is_empty() {
        reporter.take(left_out("", "tests", "it names no test".to_owned()))?;
    }
    for test in &info.regression_tests_info {
        let events = events(path, test)?;
        for About { id } in &info.rule_metadata {
            let Some(&number) = numbers.get(&RuleId(id.as_str().into())) else {
                reporter.take(left_out(id, &test.name, format!("rule {id} is not loaded")))?;
                continue;
            };
            bench.read_as_its_own(number);
            let start = Instant::now();
            let matched =
                events.iter().enumerate().filter(|(place, event)| bench.matches(number, Kind::Json, *place, event));
            let matched: Vec<usize> = matched.map(|(place, _)| place).collect();
            let rule = bench.rules.rule(number);
            let mut case = Case {
                rule: format!("{}: {}", rule.path, rule.title),
                id: id.clone(),
                name: format!("{file}: {}", test.name),
                path: file.clone(),
                ..Case::default()
            };
            if matched.len() < test.match_count {
                let (count, wanted) = (matched.len(), test.match_count);
                case.fault = Some(format!("matches {count} of {} events in {file}, not {wanted}", events.len()));
                let missed = (0..events.len()).find(|place| !matched.contains(place));
                case.why = missed.and_then(|place| bench.why(number, &raw(&events[place])?));
            }
            case.seconds = start.elapsed().as_secs_f64();
            reporter.take(case)?;
        }
    }
    Ok(())
}

/// The events of a test: the JSON beside the `info.yml` that has the name of the log file.
fn events(info: &Path, test: &Test) -> anyhow::Result<Vec<Value>> {
    let name = Path::new(&test.path).file_stem().with_context(|| format!("{}: no path", info.display()))?;
    let path = info.with_file_name(name).with_extension("json");
    let about = || format!("read {}", path.display());
    let text = std::fs::read_to_string(&path).with_context(about)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut events = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter() {
        match value.with_context(about)? {
            Value::Array(several) => events.extend(several.iter().map(flat)),
            one => events.push(flat(&one)),
        }
    }
    Ok(events)
}

/// A Windows event as rules name its fields: `Event.EventData` and `Event.UserData` at the top, members of
/// `Event.System` beside them, attributes joined to their element by `_`, as in `Provider_Name`.
fn flat(event: &Value) -> Value {
    let Some(inner) = event.get("Event") else { return event.clone() };
    let mut fields = Map::new();
    for (name, value) in members(inner.get("System")) {
        element(name, value, &mut fields);
    }
    for (name, value) in members(inner.get("UserData")).flat_map(|(_, value)| members(Some(value))) {
        element(name, value, &mut fields);
    }
    for (name, value) in members(inner.get("EventData")) {
        element(name, value, &mut fields);
    }
    Value::Object(fields)
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn element(name: &str, value: &Value, fields: &mut Map<String, Value>) {
    if name == "#attributes" {
        return;
    }
    for (attribute, value) in members(value.get("#attributes")) {
        fields.insert(format!("{name}_{attribute}"), value.clone());
    }
    match value.get("#text") {
        Some(text) => drop(fields.insert(name.to_owned(), text.clone())),
        None if value.get("#attributes").is_some() => {}
        None => drop(fields.insert(name.to_owned(), value.clone())),
    }
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let about = || format!("read {}", folder.display());
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(about)? {
        inside.push(entry.with_context(about)?.path());
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            gather(&path, found)?;
        } else if path.file_name().is_some_and(|name| name == "info.yml") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_a_windows_event_have_the_names_that_rules_use() {
        let event = json!({"Event": {
            "#attributes": {"xmlns": "x"},
            "System": {
                "Provider": {"#attributes": {"Name": "Sysmon"}},
                "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 7},
                "Channel": "System"
            },
            "EventData": {"Image": "C:\\a.exe", "Data": {"#text": ["x", "y"]}}
        }});
        let expected = json!({
            "Provider_Name": "Sysmon", "EventID": 7, "EventID_Qualifiers": 0, "Channel": "System",
            "Image": "C:\\a.exe", "Data": ["x", "y"]
        });
        assert_eq!(flat(&event), expected);
        assert_eq!(flat(&json!({"a": 1})), json!({"a": 1}), "another shape stays as it is");
    }
}
