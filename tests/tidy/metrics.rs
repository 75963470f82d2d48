//! Which metrics `src/metrics.rs` declares, and whether others name and count the same ones.

use std::collections::BTreeSet;

use crate::rust::{code_only, words};
use crate::tree::File;

const DECLARED_IN: &str = "src/metrics.rs";
const KINDS: &[&str] = &[
    "IntCounter",
    "IntCounterVec",
    "Counter",
    "CounterVec",
    "IntGauge",
    "IntGaugeVec",
    "Gauge",
    "GaugeVec",
    "Histogram",
    "HistogramVec",
];

/// The names in the table of `src/metrics.rs`; nothing while the file is not there.
pub(crate) fn declared(tree: &[File]) -> Option<BTreeSet<&str>> {
    let table = tree.iter().find(|file| file.path == DECLARED_IN)?;
    Some(table.text.lines().flat_map(names).collect())
}

/// Every `lapwing_…` of a line; an ending such as `_total` is part of the name.
fn names(line: &str) -> impl Iterator<Item = &str> {
    words(line).map(|(_, word)| word).filter(|word| word.starts_with("lapwing_"))
}

/// Metrics that `file` names and nobody declares.
pub(crate) fn unknown(file: &File, declared: &BTreeSet<&str>) -> Vec<String> {
    let mut offences = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for name in names(line).filter(|name| !is_declared(name, declared)) {
            offences.push(format!("{}:{}: `{name}`", file.path, index + 1));
        }
    }
    offences
}

fn is_declared(name: &str, declared: &BTreeSet<&str>) -> bool {
    // A histogram is exposed under three names of its own.
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
    declared.contains(name) || histogram.is_some_and(|base| declared.contains(base))
}

/// Fields of `src/metrics.rs` that hold a metric which no other file of the service touches.
pub(crate) fn dead(tree: &[File]) -> impl Iterator<Item = String> {
    let (own, others): (Vec<&File>, Vec<&File>) = tree
        .iter()
        .filter(|file| file.path.starts_with("src/") && file.path.ends_with(".rs"))
        .partition(|file| file.path == DECLARED_IN);
    let elsewhere: Vec<String> = others.iter().map(|file| code_only(&file.text)).collect();
    let mut offences = Vec::new();
    for (index, line) in own.iter().flat_map(|file| file.text.lines().enumerate()) {
        let Some(field) = metric_field(line) else { continue };
        let touched = elsewhere.iter().any(|code| words(code).any(|(_, word)| word == field));
        if !touched {
            offences.push(format!("{DECLARED_IN}:{}: `{field}`", index + 1));
        }
    }
    offences.into_iter()
}

/// `pub(crate) events: IntCounterVec,` declares `events`.
fn metric_field(line: &str) -> Option<&str> {
    let (name, kind) = line.trim().strip_suffix(',')?.split_once(": ")?;
    let kind = kind.rsplit("::").next()?;
    KINDS.contains(&kind).then(|| name.rsplit(' ').next()).flatten()
}

#[test]
fn an_unknown_metric_and_a_dead_one_are_found() {
    let tree = [
        File::new(
            "src/metrics.rs",
            "struct Metrics {\n    pub(crate) events: IntCounterVec,\n    pub(crate) rules: IntGauge,\n}\n(\"lapwing_commit_seconds\")",
        ),
        File::new("src/pipeline.rs", "metrics.events.inc(); // rules"),
        File::new("dashboards/a.json", "lapwing_commit_seconds_bucket\nlapwing_commits"),
    ];
    let declared = declared(&tree).expect("the table is there");
    assert_eq!(unknown(&tree[2], &declared), ["dashboards/a.json:2: `lapwing_commits`"]);
    assert_eq!(dead(&tree).collect::<Vec<_>>(), ["src/metrics.rs:3: `rules`"]);
}
