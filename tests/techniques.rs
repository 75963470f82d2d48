//! A recorded attack simulation: which techniques the shipped rules notice, and what noise they make.
//!
//! Real records that the project must not hold; without the shared data folder this says so and passes.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use harness::{Lapwing, lines_of, loudly, shared};

/// Of the 19 techniques that succeeded.
const NOTICED_MIN: usize = 16;
/// Background events under alerts that somebody is called for.
const NOISE_MAX: usize = 15;

#[test]
fn most_techniques_that_succeeded_are_noticed_and_background_is_quiet() {
    let Some(stream) = shared("data/streams/invictus.masked.jsonl.gz") else {
        loudly("SKIPPED: no streams/invictus.masked.jsonl.gz; set LAPWING_SHARED to the folder that holds data/");
        return;
    };
    let labels = labels(&stream.with_file_name("invictus.labels.jsonl"));
    let (mut titles, mut noise) = (BTreeMap::<&str, BTreeSet<String>>::new(), BTreeMap::new());
    let mut called_for = BTreeSet::new();
    for alert in Lapwing::replay(&stream) {
        let severity = alert["severity"].as_str().unwrap_or_default().to_owned();
        let title = alert["title"].as_str().unwrap_or_default();
        let mut under = BTreeSet::new();
        for id in alert["event_ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let Some((label, technique)) = labels.get(id) else { continue };
            under.insert(label.as_str());
            if let Some(technique) = technique {
                titles.entry(technique).or_default().insert(format!("{title} ({severity})"));
            }
            if label == "background" && ["medium", "high", "critical"].contains(&severity.as_str()) {
                called_for.insert(id.to_owned());
            }
        }
        for label in under.into_iter().filter(|label| *label != "attack") {
            *noise.entry((label.to_owned(), severity.clone())).or_insert(0) += 1;
        }
    }
    let techniques = techniques(&stream.with_file_name("invictus.attacks.json"));
    let mut noticed = 0;
    for (name, succeeded) in &techniques {
        let found = titles.get(name.as_str()).map(|titles| titles.iter().cloned().collect::<Vec<_>>().join("; "));
        noticed += usize::from(*succeeded && found.is_some());
        let outcome = if *succeeded { "succeeded" } else { "failed" };
        loudly(&format!("{name:<64} {outcome:<9} {}", found.unwrap_or_else(|| "MISS".to_owned())));
    }
    let all = techniques.iter().filter(|(_, succeeded)| *succeeded).count();
    loudly(&format!("noticed {noticed} of the {all} that succeeded"));
    for ((label, severity), alerts) in noise {
        loudly(&format!("alerts on {label} events, {severity}: {alerts}"));
    }
    loudly(&format!("background events under medium or higher alerts: {}", called_for.len()));
    assert!(noticed >= NOTICED_MIN, "only {noticed} of {all}");
    assert!(called_for.len() <= NOISE_MAX, "{called_for:?}");
}

/// Label and technique by event id.
fn labels(path: &std::path::Path) -> BTreeMap<String, (String, Option<String>)> {
    let read = |line: String| {
        let row: Value = serde_json::from_str(&line).expect("a label is JSON");
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        (text("eventID").unwrap_or_default(), (text("label").unwrap_or_default(), text("technique")))
    };
    lines_of(path).into_iter().map(read).collect()
}

/// Each technique and whether any of its calls succeeded.
fn techniques(path: &std::path::Path) -> Vec<(String, bool)> {
    let rows: Vec<Value> = serde_json::from_str(&lines_of(path).join("\n")).expect("the attacks are a JSON array");
    let read = |row: Value| {
        let name = row["technique"].as_str().unwrap_or_default().to_owned();
        (name, row["succeeded"].as_u64().is_some_and(|calls| calls > 0))
    };
    rows.into_iter().map(read).collect()
}
