//! The command line from outside: what each command prints where, and how it ends.

#[path = "commands/check.rs"]
mod check;
#[path = "commands/test.rs"]
mod test;
#[path = "commands/trace.rs"]
mod trace;
#[path = "commands/try_out.rs"]
mod try_out;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const LAPWING: &str = env!("CARGO_BIN_EXE_lapwing");
const DAY: &str = "samples/day/cloudtrail.jsonl.gz";
const STOP_LOGGING: &str = "9df88d71-f0c0-4a40-ba02-5f4336510b15";

/// A rule that is good but for what a test puts into it.
const RULE: &str = "\
title: Delivery role deleted
id: 4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a001
version: 1
status: test
description: A role was deleted.
author: Lapwing
date: 2026-11-23
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: DeleteRole}
  condition: selection
level: high
runbook: Ask.
tests:
  match: [{eventName: DeleteRole}]
  ignore: [{eventName: CreateRole}]
";

/// How a command ended.
struct Ended {
    status: i32,
    out: String,
    said: String,
}

fn lapwing(arguments: &[&str]) -> Ended {
    fed(arguments, b"")
}

/// With standard input.
fn fed(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(LAPWING)
        .args(arguments)
        .env_remove("LAPWING_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lapwing starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_vec();
    // On a thread of its own, so that neither side waits for the other's full pipe. A command that stops
    // before it has read all is no fault of the test.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("lapwing ends");
    writer.join().expect("input is written");
    let said = String::from_utf8(output.stderr).expect("words are text");
    assert!(!said.contains("panicked"), "{said}");
    Ended {
        status: output.status.code().expect("ended by itself"),
        out: String::from_utf8(output.stdout).expect("output is text"),
        said,
    }
}

/// A file in a folder that goes away with the test.
fn file(folder: &tempfile::TempDir, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the temporary folder can be written");
    path.to_str().expect("its path is text").to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is a temporary folder")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn unpacked(path: impl AsRef<Path>) -> Vec<u8> {
    let mut text = Vec::new();
    let packed = std::fs::File::open(path).expect("the sample is there");
    GzDecoder::new(packed).read_to_end(&mut text).expect("the sample is gzip");
    text
}

#[test]
fn version_prints_name_and_number() {
    let ended = lapwing(&["version"]);
    assert_eq!((ended.status, ended.out), (0, format!("lapwing {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_use_ends_with_2_and_says_what_is_right() {
    for (arguments, hint) in [
        (&[][..], "Usage: lapwing"),
        (&["bogus"], "unrecognized subcommand 'bogus'"),
        (&["replay", "--kind", "nope", "x"], "known are aws.cloudtrail"),
        (&["match", "--kind", "aws.cloudtrail"], "<FILES>"),
        (&["match", "--kind", "json", "--logsource", "bogus=1", "-"], "not one of product, service, category"),
        (&["match", "--kind", "json", "--logsource", "windows", "-"], "is not name=value"),
        (&["run", "--bogus"], "unexpected argument '--bogus'"),
        (&["demo", "--listen", "nowhere"], "invalid value 'nowhere'"),
    ] {
        let ended = lapwing(arguments);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}: {}", ended.said);
        assert!(ended.said.contains(hint), "{arguments:?}: {}", ended.said);
    }
}

#[test]
fn a_rule_that_no_kind_of_log_feeds_is_warned_about() {
    let folder = folder();
    let text = "title: Typing error\nid: 7b0c9a34-93b8-4a44-9d9d-0c8a34d1e001\n\
                description: A typing error.\nlogsource: {product: aws, service: cloudtrial}\n\
                detection: {selection: {eventName: StopLogging}, condition: selection}\nlevel: low\n";
    let ended = lapwing(&["check", &file(&folder, "typo.yml", text)]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("no kind of log feeds its `logsource`"), "{}", ended.said);
    assert!(ended.said.contains("did you mean service `cloudtrail`?"), "{}", ended.said);
    assert!(ended.said.contains("by lint: unfed 1\n"), "{}", ended.said);
    assert!(ended.said.contains("1 warnings"), "{}", ended.said);
}

#[test]
fn input_of_another_kind_is_found_at_fault_and_does_not_flood_the_screen() {
    let folder = folder();
    let input = file(&folder, "audit.jsonl", "{\"action\":\"repo.create\"}\n".repeat(50));
    let ended = lapwing(&["replay", "--kind", "aws.cloudtrail", &input]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.lines().count() < 20, "{}", ended.said);
    assert!(ended.said.contains("is --kind right?"), "{}", ended.said);
}

#[test]
fn check_finds_the_shipped_rules_good() {
    let ended = lapwing(&["check"]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains(" rules good, 0 broken, 0 warnings"), "{}", ended.said);
}

#[test]
fn check_says_where_a_rule_is_broken() {
    let folder = folder();
    for (name, text, place) in [
        (
            "modifier.yml",
            RULE.replace("{eventName: DeleteRole}\n", "{eventName|likely: DeleteRole}\n"),
            ":10:15: error: modifier `likely` is not known",
        ),
        (
            "condition.yml",
            RULE.replace("condition: selection", "condition: selection and nobody"),
            ":11:28: error: the condition names `nobody`",
        ),
        ("version.yml", RULE.replace("version: 1", "version: often"), ":3:10: error: "),
        (
            "detection.yml",
            RULE.replace("detection:\n", "detections:\n"),
            ":9:1: error: `detection` is missing; did you mean `detection` by `detections`?",
        ),
        (
            "syntax.yml",
            RULE.replace("{eventName: DeleteRole}\n", "{eventName: [DeleteRole}\n"),
            ":10:37: error: this is no YAML",
        ),
        (
            "twice.yml",
            RULE.replace("level: high", "level: high\nlevel: low"),
            ":13:1: error: key `level` stands here a second time; the first is in line 12",
        ),
    ] {
        let path = file(&folder, name, text);
        let ended = lapwing(&["check", &path]);
        assert_eq!(ended.status, 1, "{name}: {}", ended.said);
        assert!(ended.said.contains(&format!("{path}{place}")), "{name}: {}", ended.said);
        assert!(ended.said.contains("0 rules good, 1 broken"), "{name}: {}", ended.said);
    }
}

#[test]
fn check_of_a_folder_names_each_broken_file_and_counts_the_good_ones() {
    let folder = folder();
    file(&folder, "good.yml", RULE);
    file(&folder, "one.yml", RULE.replace("condition: selection", "condition: nobody").replace("6a001", "6a002"));
    file(&folder, "two.yaml", "detection: [");
    file(&folder, "notes.txt", "no rule");
    let ended = lapwing(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    for wanted in ["one.yml:", "two.yaml:", "1 rules good, 2 broken"] {
        assert!(ended.said.contains(wanted), "{wanted}: {}", ended.said);
    }
    assert!(!ended.said.contains("notes.txt"), "{}", ended.said);
}

#[test]
fn check_says_what_is_wrong_in_a_configuration_and_where() {
    let folder = folder();
    let unset = "listen: 127.0.0.1:0\nsources:\n  push: {kind: auto, http: {token: \"${LAPWING_TEST_UNSET}\"}}\n";
    for (text, fault) in [
        ("lisen: 127.0.0.1:0\n", ":1:1: unknown field `lisen`"),
        ("sources:\n  push: {kind: auto, htpt: {}}\n", ":2:22: sources.push: unknown field `htpt`"),
        ("sinks:\n  soc: {webhook: {url: a, secret: b, retries: 3}}\n", "unknown field `retries`"),
        ("routes:\n  - {severity: medium, sink: [soc]}\n", ":2:24: routes[0]: unknown field `sink`"),
        (unset, ":3:37: environment variable LAPWING_TEST_UNSET is not set"),
        ("listen: [\n", ":1:"),
        ("listen: 0.0.0.0:8686\n", "set `token`"),
        ("sources:\n  a: {kind: aws.cloudtrial, stdin: {}}\n", "known are aws.cloudtrail"),
        ("sinks:\n  soc: {webhook: {url: 'ftp://x', secret: 0123456789abcdef0123456789abcdef}}\n", "no http or https"),
        ("sinks:\n  soc: {webhook: {url: 'http://127.0.0.1:9/', secret: short}}\n", "must be 24 to 64 bytes"),
        ("token: ''\n", "token: the secret is empty"),
        ("sources:\n  a: {http: {token: {file: /nowhere}}}\n", "sources.a.http.token: read secret file /nowhere"),
    ] {
        let path = file(&folder, "lapwing.yaml", text);
        let ended = lapwing(&["check", &path]);
        assert_eq!(ended.status, 1, "{text}: {}", ended.said);
        let line = ended.said.lines().find(|line| line.starts_with(&path)).unwrap_or_default();
        assert!(line.contains(fault), "{text}: {}", ended.said);
    }
}

#[test]
fn check_of_a_good_configuration_checks_its_rules_too() {
    let folder = folder();
    file(&folder, "mine.yml", RULE);
    let text = format!("shipped_rules: false\nrules: [{:?}]\nsources: {{in: {{stdin: {{}}}}}}\n", folder.path());
    let config = file(&folder, "lapwing.conf", text);
    let ended = lapwing(&["check", &config]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("1 sources, 0 sinks: good"), "{}", ended.said);
    assert!(ended.said.contains("1 rules good, 0 broken"), "{}", ended.said);

    file(&folder, "mine.yml", RULE.replace("condition: selection", "condition: selection and nobody"));
    let ended = lapwing(&["check", &config]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("mine.yml:11:28: error: "), "{}", ended.said);
}

#[test]
fn test_passes_the_shipped_rules() {
    let ended = lapwing(&["test"]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.trim_end().ends_with(", 0 faults"), "{}", ended.said);
}

#[test]
fn test_says_which_example_of_which_rule_is_wrong() {
    let folder = folder();
    let wrong = RULE
        .replace("match: [{eventName: DeleteRole}]", "match: [{eventName: DeleteRole}, {eventName: PassRole}]")
        .replace("ignore: [{eventName: CreateRole}]", "ignore: [{eventName: DeleteRole}]");
    let path = file(&folder, "wrong.yml", wrong);
    let ended = lapwing(&["test", &path]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    for fault in ["does not fire on tests.match[1]", "fires on tests.ignore[0]"] {
        let line = format!("{path}: Delivery role deleted: {fault}");
        assert!(ended.said.contains(&line), "{fault}: {}", ended.said);
    }
    assert!(ended.said.contains("1 rules, 3 examples, 2 faults"), "{}", ended.said);
}

#[test]
fn test_shows_which_line_did_not_hold_and_what_the_event_has() {
    let folder = folder();
    let wrong = RULE.replace("match: [{eventName: DeleteRole}]", "match: [{eventName: PassRole}]");
    let path = file(&folder, "wrong.yml", wrong);
    let ended = lapwing(&["test", &path]);
    assert!(ended.said.contains("no  eventName: DeleteRole    the event has \"PassRole\""), "{}", ended.said);

    let ended = lapwing(&["test", "--format", "json", &path]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    let cases: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 2, "{}", ended.out);
    assert_eq!(cases[0]["why"]["parts"][0]["parts"][0]["found"], "\"PassRole\"", "{}", ended.out);
    assert_eq!(cases[1]["fault"], Value::Null, "{}", ended.out);

    let ended = lapwing(&["test", "--format", "junit", &path]);
    assert!(ended.out.contains("<testsuite name=\"lapwing\" tests=\"2\" failures=\"1\""), "{}", ended.out);
    assert!(ended.out.contains("the event has &quot;PassRole&quot;"), "{}", ended.out);
}

#[test]
fn check_prints_findings_as_json_with_the_names_of_lints() {
    let folder = folder();
    let path = file(&folder, "odd.yml", RULE.replace("level: high", "lvel: high"));
    let ended = lapwing(&["check", "--format", "json", &path]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    let found: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lints: Vec<&str> = found.iter().filter_map(|problem| problem["lint"].as_str()).collect();
    assert_eq!(lints, ["missing_level", "unknown_key"], "{}", ended.out);
    assert_eq!((&found[1]["line"], &found[1]["column"]), (&json!(12), &json!(1)), "{}", ended.out);

    let ended = lapwing(&["check", &path]);
    assert!(
        ended.said.contains(":12:1: warning[unknown_key]: nothing reads `lvel`; did you mean `level`?"),
        "{}",
        ended.said
    );
}

#[test]
fn placeholders_come_from_a_file_or_from_the_configuration() {
    let folder = folder();
    let rule = RULE.replace("{eventName: DeleteRole}\n", "{eventName|expand: '%deletions%'}\n");
    let path = file(&folder, "rule.yml", rule);
    let given = file(&folder, "given.txt", "deletions: [DeleteRole, 'Remove*']\n");
    let ended = lapwing(&["test", &path]);
    assert!(ended.said.contains("give its values under `placeholders:`"), "{}", ended.said);
    for command in ["test", "check"] {
        let ended = lapwing(&[command, "--placeholders", &given, &path]);
        assert_eq!(ended.status, 0, "{command}: {}", ended.said);
    }
    let text = format!(
        "shipped_rules: false\nrules: [{path:?}]\nplaceholders: {{deletions: [DeleteRole]}}\nsources: {{in: {{stdin: {{}}}}}}\n"
    );
    let ended = lapwing(&["check", &file(&folder, "lapwing.conf", text)]);
    assert_eq!(ended.status, 0, "{}", ended.said);
}

#[test]
fn a_rule_in_names_of_another_schema_reads_the_vendors_records_and_the_other_way_round() {
    let folder = folder();
    let ecs = RULE.replace("{eventName: DeleteRole}\n", "{event.action: DeleteRole, source.ip|cidr: 192.0.2.0/24}\n");
    let record =
        |ip: &str| json!({"eventName": "DeleteRole", "eventTime": "2026-11-23T10:00:00Z", "sourceIPAddress": ip});
    let records = file(&folder, "trail.jsonl", format!("{}\n{}\n", record("192.0.2.1"), record("198.51.100.1")));
    let rules = file(&folder, "ecs.yml", &ecs);
    let ended = lapwing(&["match", "--kind", "aws.cloudtrail", "--rules", &rules, &records]);
    let matched: Vec<usize> = lines(&ended.out).iter().map(|line| line["rules"].as_array().unwrap().len()).collect();
    assert_eq!((ended.status, matched), (0, vec![1, 0]), "{}", ended.said);
    let ended = lapwing(&["check", &rules]);
    assert!(ended.said.contains("1 rules good, 0 broken, 0 warnings"), "{}", ended.said);

    // The same record as a shipper of ECS writes it, and as OCSF has it.
    let rules = file(
        &folder,
        "own.yml",
        RULE.replace("eventName: DeleteRole}\n", "eventName: DeleteRole, sourceIPAddress: 192.0.2.1}\n"),
    );
    let shipped = [
        json!({"@timestamp": "2026-11-23T10:00:00Z", "event": {"action": "DeleteRole"}, "source": {"ip": "192.0.2.1"}}),
        json!({"time": 1_795_428_000_000_u64, "api": {"operation": "DeleteRole"}, "src_endpoint": {"ip": "192.0.2.1"}}),
        json!({"@timestamp": "2026-11-23T10:00:00Z", "event": {"action": "DeleteRole"}}),
    ];
    let records = file(&folder, "shipped.jsonl", shipped.map(|record| record.to_string()).join("\n"));
    let source = "product=aws,service=cloudtrail";
    let ended = lapwing(&["match", "--kind", "json", "--logsource", source, "--rules", &rules, &records]);
    let matched: Vec<usize> = lines(&ended.out).iter().map(|line| line["rules"].as_array().unwrap().len()).collect();
    assert_eq!((ended.status, matched), (0, vec![1, 1, 0]), "{}", ended.said);
}

#[test]
fn mappings_come_from_files_folders_or_the_configuration() {
    let folder = folder();
    let rule = file(&folder, "rule.yml", RULE.replace("match: [{eventName", "match: [{call"));
    std::fs::create_dir(folder.path().join("own")).unwrap();
    let mapping = file(&folder, "own/trail.yml", "kind: aws.cloudtrail\nfields:\n  eventName: [call]\n");
    assert_eq!(lapwing(&["test", &rule]).status, 1, "the shipped mapping has no such name");
    for path in [mapping.as_str(), folder.path().join("own").to_str().unwrap()] {
        let ended = lapwing(&["test", "--mappings", path, &rule]);
        assert_eq!(ended.status, 0, "{}", ended.said);
    }
    let mappings = folder.path().join("own");
    let text = format!(
        "shipped_rules: false\nrules: [{rule:?}]\nmappings: [{mappings:?}]\nsources: {{in: {{stdin: {{}}}}}}\n"
    );
    let config = file(&folder, "lapwing.conf", text);
    let ended = lapwing(&["check", &config]);
    assert_eq!(ended.status, 0, "{}", ended.said);

    file(&folder, "own/trail.yml", "kind: aws.cloudtrail\nfields:\n  eventName: [call, eventName]\n");
    let fault = "own/trail.yml:3:21: error: `eventName` is mapped to itself";
    for arguments in [&["check", &config][..], &["check", &mapping], &["check", "--mappings", &mapping, &rule]] {
        let ended = lapwing(arguments);
        assert_eq!(ended.status, 1, "{arguments:?}: {}", ended.said);
        assert!(ended.said.contains(fault), "{arguments:?}: {}", ended.said);
    }
    let ended = lapwing(&["match", "--kind", "aws.cloudtrail", "--mappings", &mapping, "--rules", &rule, DAY]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("left out: ") && !ended.out.is_empty(), "{}", ended.said);
}

#[test]
fn filters_of_the_user_leave_events_out_of_shipped_rules() {
    let folder = folder();
    let filter = "title: Planned stop\nlogsource: {product: aws, service: cloudtrail}\n\
                  filter: {rules: [9df88d71-f0c0-4a40-ba02-5f4336510b15], planned: {awsRegion: eu-north-1}, condition: not planned}\n";
    file(&folder, "filter.yml", filter);
    let config = format!("rules: [{:?}]\nsources: {{in: {{stdin: {{}}}}}}\n", folder.path());
    let ended = lapwing(&["check", &file(&folder, "lapwing.conf", config)]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains(": filtered by Planned stop"), "{}", ended.said);
}

#[test]
fn regression_data_is_run_against_the_rules_that_it_names() {
    let folder = folder();
    let rule = RULE.replace("{product: aws, service: cloudtrail}", "{product: windows, category: process_creation}");
    let rule = file(&folder, "rule.yml", rule.replace("eventName: DeleteRole}\n", "Image|endswith: '\\a.exe'}\n"));
    let data = folder.path().join("data/one");
    std::fs::create_dir_all(&data).unwrap();
    let info = |count: usize| {
        format!(
            "rule_metadata: [{{id: 4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a001}}]\nregression_tests_info:\n  \
             - {{name: Positive, type: evtx, match_count: {count}, path: far/away/x.evtx}}\n"
        )
    };
    let event = |image: &str| json!({"Event": {"System": {"EventID": 1}, "EventData": {"Image": image}}});
    std::fs::write(data.join("x.json"), format!("{}\n{}", event("C:\\a.exe"), event("C:\\b.exe"))).unwrap();
    let arguments = ["test", "--regression", data.to_str().unwrap(), &rule];
    std::fs::write(data.join("info.yml"), info(1)).unwrap();
    let ended = lapwing(&arguments);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("1 rules, 1 examples, 0 faults"), "{}", ended.said);
    std::fs::write(data.join("info.yml"), info(2)).unwrap();
    let ended = lapwing(&arguments);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("matches 1 of 2 events in"), "{}", ended.said);
    assert!(ended.said.contains("the event has \"C:\\\\b.exe\""), "{}", ended.said);
}

#[test]
fn match_answers_each_line_with_one_object_and_names_what_it_cannot_read() {
    let stop = json!({ "eventTime": "2026-11-20T09:14:03Z", "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging" });
    let other =
        json!({ "eventTime": "2026-11-20T09:14:03Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject" });
    let input = format!("{stop}\nnonsense\n{other}\n\n{{\"a\":1}}\n{stop}");
    let ended = fed(&["match", "--kind", "aws.cloudtrail", "-"], input.as_bytes());
    assert_eq!(ended.status, 0, "{}", ended.said);
    let wanted = [
        json!({ "line": 1, "rules": [STOP_LOGGING] }),
        json!({ "line": 2, "rules": [], "reject": "syntax" }),
        json!({ "line": 3, "rules": [] }),
        json!({ "line": 4, "rules": [] }),
        json!({ "line": 5, "rules": [], "reject": "shape" }),
        json!({ "line": 6, "rules": [STOP_LOGGING] }),
    ];
    assert_eq!(lines(&ended.out), wanted);
    assert!(ended.said.contains("line 2: syntax: "), "{}", ended.said);
    assert!(ended.said.contains("line 5: shape: "), "{}", ended.said);
}

#[test]
fn match_reads_plain_json_as_the_log_source_that_it_is_told() {
    let folder = folder();
    let rule = RULE.replace("{product: aws, service: cloudtrail}", "{product: paint, service: mixer}");
    let rules = file(&folder, "paint.yml", rule);
    let input = b"{\"time\":\"2026-11-20T09:14:03Z\",\"eventName\":\"DeleteRole\"}\n";
    let ask = |source: &str| {
        let ended = fed(&["match", "--kind", "json", "--rules", &rules, "--logsource", source, "-"], input);
        assert_eq!(ended.status, 0, "{}", ended.said);
        lines(&ended.out)[0]["rules"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(ask("product=paint,service=mixer"), 1);
    assert_eq!(ask("product=paint"), 1, "which service it is, nobody said");
    assert_eq!(ask("product=paint,service=roller"), 0, "a rule for one service is not for another");
    assert_eq!(ask("product=windows,service=security"), 0);
}

#[test]
fn a_reader_that_leaves_early_is_a_normal_end() {
    let mut child = Command::new(LAPWING)
        .args(["match", "--kind", "aws.cloudtrail", DAY])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn replay_gives_the_same_bytes_again_whatever_the_road() {
    let folder = folder();
    let plain = "samples/aws.cloudtrail.jsonl";
    let text = std::fs::read(plain).unwrap();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&text).unwrap();
    let packed = packer.finish().unwrap();
    let packed_file = file(&folder, "trail.gz", &packed);
    let store = folder.path().join("store");
    let replay = |arguments: &[&str], input: &[u8]| {
        let ended = fed(&[&["replay", "--kind", "aws.cloudtrail"], arguments].concat(), input);
        assert_eq!(ended.status, 0, "{}", ended.said);
        ended.out
    };
    let first = replay(&[plain], b"");
    assert!(lines(&first).len() >= 10, "the samples raise alerts: {first}");
    assert_eq!(replay(&[plain], b""), first, "again");
    assert_eq!(replay(&[&packed_file], b""), first, "compressed");
    assert_eq!(replay(&["-"], &text), first, "by standard input");
    assert_eq!(replay(&["-"], &packed), first, "compressed by standard input");
    assert_eq!(replay(&["--store", store.to_str().unwrap(), plain], b""), first, "into a store");
    assert_eq!(replay(&["--store", store.to_str().unwrap(), plain], b""), first, "into the same store");
}

#[test]
fn replay_prints_alerts_in_order_of_time_with_all_that_explains_them() {
    let ended = lapwing(&["replay", "--kind", "aws.cloudtrail", DAY]);
    let alerts = lines(&ended.out);
    let times: Vec<&str> = alerts.iter().map(|alert| alert["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for alert in &alerts {
        for member in ["id", "rule", "title", "severity", "time", "event_ids", "why", "description", "runbook"] {
            assert!(!alert[member].is_null(), "{member} is missing in {alert}");
        }
    }
    let stopped = alerts.iter().find(|alert| alert["rule"] == STOP_LOGGING).expect("the day's trail is stopped");
    assert_eq!((&stopped["severity"], &stopped["count"]), (&json!("high"), &json!(1)), "{stopped}");
    assert!(ended.said.contains(" records, ") && ended.said.contains(" 0 rejected"), "{}", ended.said);
}

#[test]
fn replay_leaves_out_what_it_cannot_read_and_says_so() {
    let folder = folder();
    let mut text = b"not JSON\n".to_vec();
    text.extend(unpacked(DAY));
    text.extend(b"\0\n\xff\xfe\n");
    text.extend([vec![b'['; 10_000], vec![b']'; 10_000], b"\n".to_vec()].concat());
    let path = file(&folder, "bad.jsonl", text);
    let good = lapwing(&["replay", "--kind", "aws.cloudtrail", DAY]);
    let ended = lapwing(&["replay", "--kind", "aws.cloudtrail", &path]);
    assert_eq!((ended.status, ended.out), (0, good.out), "{}", ended.said);
    for fault in [":1: syntax: ", ": encoding: NUL byte", ": encoding: invalid utf-8", ": depth: ", " 4 rejected, "] {
        assert!(ended.said.contains(fault), "{fault}: {}", ended.said);
    }
}

#[test]
fn a_file_that_is_cut_off_or_missing_ends_with_1_and_its_name() {
    let folder = folder();
    let packed = std::fs::read(DAY).unwrap();
    let cut = file(&folder, "cut.gz", &packed[..packed.len() / 2]);
    let missing: PathBuf = folder.path().join("missing.jsonl");
    for path in [cut.as_str(), missing.to_str().unwrap()] {
        for command in ["match", "replay"] {
            let ended = lapwing(&[command, "--kind", "aws.cloudtrail", path]);
            assert_eq!(ended.status, 1, "{}", ended.said);
            assert!(ended.said.contains(&format!("lapwing: read {path}: ")), "{command} {path}: {}", ended.said);
        }
    }
}

#[test]
fn the_demo_finds_the_attack_of_the_day() {
    let ended = lapwing(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    let worth = |line: &&str| ["  medium  ", "  high  ", "  critical  "].iter().any(|name| line.contains(name));
    let alerts: Vec<&str> = ended.said.lines().filter(worth).collect();
    assert!(alerts.len() >= 10, "{}", ended.said);
    assert!(ended.said.contains("CloudTrail logging stopped"), "{}", ended.said);
    assert!(!ended.said.contains("WARN") && !ended.said.contains("ERROR"), "{}", ended.said);
}
