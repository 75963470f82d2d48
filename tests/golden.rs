//! Golden replay: the project's own samples, of every kind, give the same alerts byte by byte on each commit.
//!
//! The snapshot holds a line an alert: when, how severe, which rule, on how many events, and a digest of its canonical
//! JSON, so that a changed line says which alert is another; the first burst that each rule finds stands beside it as a
//! whole, so that one sees what an alert says. `cargo insta review` shows and accepts what is meant.

mod harness;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use harness::{Lapwing, loudly, shared};

/// Samples by kind of log, as `samples/README.md` lists them.
const SAMPLES: [(&str, &str); 19] = [
    ("aws.cloudtrail", "aws.cloudtrail.jsonl"),
    ("aws.cloudtrail", "aws.cloudtrail.records.json"),
    ("aws.cloudtrail", "aws.cloudtrail.cloudwatch.jsonl"),
    ("aws.cloudtrail", "day/cloudtrail.jsonl.gz"),
    ("github.audit", "github.audit.jsonl"),
    ("github.audit", "day/github.audit.jsonl.gz"),
    ("github.webhook", "github.webhook.jsonl"),
    ("json", "json.jsonl"),
    ("aws.eventbridge", "aws.eventbridge.jsonl"),
    ("aws.guardduty", "aws.guardduty.jsonl"),
    ("azure.activity", "azure.jsonl"),
    ("ci.log", "ci.github.log"),
    ("ci.log", "ci.log.jsonl"),
    ("gcp.audit", "gcp.audit.jsonl"),
    ("gitlab.audit", "gitlab.audit.jsonl"),
    ("gitlab.webhook", "gitlab.webhook.jsonl"),
    ("kubernetes.audit", "kubernetes.audit.jsonl"),
    ("okta.system", "okta.system.jsonl"),
    ("vault.audit", "vault.audit.jsonl"),
];

/// What `lapwing replay` prints for a file, line by line as it stands there. The file is named from its folder: a record
/// without an id is known by where it stood.
fn replay(kind: &str, file: &Path) -> Vec<String> {
    let folder = file.parent().expect("it lies in a folder");
    let name = file.file_name().expect("it is a file");
    let output =
        Command::new(Lapwing::binary()).current_dir(folder).args(["replay", "--kind", kind]).arg(name).output();
    let output = output.expect("the binary starts");
    // Samples hold records that must be refused; those are no failure of the command.
    let text = String::from_utf8(output.stdout).expect("alerts are UTF-8");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("alerts"), "replay of {}: {}\n{said}", file.display(), output.status);
    text.lines().map(str::to_owned).collect()
}

/// One line an alert.
fn digest(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let alert: Value = serde_json::from_str(line).expect("a line is an alert");
        let named = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        let hash = blake3::hash(line.as_bytes()).to_hex();
        let (time, severity, title, id) = (named("time"), named("severity"), named("title"), named("id"));
        let count = &alert["count"];
        writeln!(text, "{time} {severity:<13} {count:>4} {} {} {title}", &id[..8], &hash[..16])
            .expect("a string grows");
    }
    text
}

#[test]
fn the_samples_of_every_kind_give_the_same_alerts_byte_by_byte() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let (mut text, mut rules, mut first) = (String::new(), BTreeSet::new(), Vec::new());
    for (kind, file) in SAMPLES {
        let lines = replay(kind, &samples.join(file));
        writeln!(text, "{file}: {} alerts\n{}", lines.len(), digest(&lines)).expect("a string grows");
        let alerts = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("a line is an alert"));
        // Bursts say most: those of the day, and one of each rule.
        first.extend(alerts.filter(|alert| alert["count"] != 1 && rules.insert(alert["rule"].to_string())));
    }
    insta::assert_snapshot!("samples", text);
    insta::assert_json_snapshot!("bursts", first);
}

#[test]
fn no_sample_is_left_out() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut found = Vec::new();
    for folder in [samples.clone(), samples.join("day")] {
        for entry in std::fs::read_dir(folder).expect("samples are there") {
            let path: PathBuf = entry.expect("a folder can be listed").path();
            let name = path.strip_prefix(&samples).expect("it lies in it").display().to_string();
            if [".jsonl", ".json", ".log", ".gz"].iter().any(|ending| name.ends_with(ending)) {
                found.push(name);
            }
        }
    }
    found.retain(|name| !SAMPLES.iter().any(|(_, sample)| name == sample));
    assert_eq!(found, Vec::<String>::new(), "samples that nobody replays");
}

/// Real records that the project must not hold: only a digest of what they lead to stands here.
#[test]
fn a_recorded_stream_gives_the_same_alerts_byte_by_byte() {
    let Some(stream) = shared("data/streams/invictus.masked.jsonl.gz") else {
        return loudly(
            "SKIPPED: no streams/invictus.masked.jsonl.gz; set LAPWING_SHARED to the folder that holds data/",
        );
    };
    let lines = replay("aws.cloudtrail", &stream);
    let hash = blake3::hash(lines.join("\n").as_bytes()).to_hex();
    insta::assert_snapshot!("recorded", format!("{} alerts, {hash}", lines.len()));
}
