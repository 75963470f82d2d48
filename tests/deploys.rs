//! `lapwing deploys` from outside: what it prints of the sample, as the page shows it, and how it ends.

use std::process::Command;

use serde_json::Value;

/// What was printed, what was said, and the exit status.
fn lapwing(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_lapwing"))
        .arg("deploys")
        .args(arguments)
        .env_remove("LAPWING_LOG")
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

const SAMPLE: [&str; 3] = ["samples/deploys", "--policy", "samples/deploys/policy.yaml"];

#[test]
fn the_page_shows_what_the_sample_prints() {
    let (printed, said, status) = lapwing(&SAMPLE);
    assert_eq!(status, Some(1), "some are unexplained: {said}");
    let page = std::fs::read_to_string("docs/deploys.md").expect("the page is there");
    assert!(page.contains(&printed), "docs/deploys.md should show:\n{printed}");
    let summary = said.lines().last().unwrap_or_default();
    assert!(page.contains(summary), "docs/deploys.md should show: {summary}");
}

#[test]
fn a_verdict_chooses_what_is_printed_and_json_is_a_line_a_deploy() {
    for (verdict, number, expected) in [("unexplained", 2, 1), ("unknown", 1, 0), ("explained", 2, 0)] {
        let (printed, said, status) = lapwing(&[&SAMPLE[..], &["--json", "--verdict", verdict]].concat());
        let lines: Vec<Value> =
            printed.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!((lines.len(), status), (number, Some(expected)), "{verdict}: {said}");
        assert!(lines.iter().all(|line| line["verdict"] == verdict), "{verdict}");
    }
}

#[test]
fn without_the_logs_of_the_pipeline_nothing_that_they_would_explain_is_unexplained() {
    let (printed, _, status) = lapwing(&["samples/deploys/aws.cloudtrail.jsonl", "--json"]);
    let verdict = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        (record["verdict"].clone(), record["by"]["console"].as_bool() == Some(true))
    };
    assert_eq!(status, Some(1), "what was done in the console stays so");
    for (verdict, by_hand) in printed.lines().map(verdict) {
        assert_eq!(verdict == "unexplained", by_hand);
    }
}

#[test]
fn a_policy_that_cannot_be_meant_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("policy.yaml");
    for (text, expected) in [
        ("environments:\n  - name: a\n    reviewed: required\n", "unknown field `reviewed`"),
        ("environments:\n  - name: a\n    ticket: 'OPS-['\n", "is no regular expression"),
        ("environments:\n  - name: a\n  - name: b\n", "environment \"a\" has no `match`"),
        ("environments: [\n", "policy.yaml:"),
    ] {
        std::fs::write(&path, text).expect("a policy can be written");
        let (_, said, status) = lapwing(&["samples/deploys", "--policy", &path.display().to_string()]);
        assert_eq!(status, Some(1));
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("a.jsonl"), "no JSON\n").expect("a file can be written");
    std::fs::write(folder.path().join("notes.txt"), "no log\n").expect("a file can be written");
    let place = folder.path().display().to_string();
    let (_, said, status) = lapwing(&[&place]);
    assert!(status == Some(1) && said.contains("nothing could be read"), "{said}");
    let (_, said, _) = lapwing(&[&place, "samples/deploys"]);
    assert!(said.contains("a.jsonl:1: ") && said.contains("5 deploys"), "{said}");
    let (_, said, status) = lapwing(&["no/such/folder"]);
    assert!(status == Some(1) && said.contains("read no/such/folder"), "{said}");
}
