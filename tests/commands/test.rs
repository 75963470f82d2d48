//! `lapwing test`: why an example went wrong, and reports for machines.

use serde_json::json;

use super::{RULE, file, folder, lapwing, lines};

const COUNT: &str = "\
---
title: Delivery roles deleted
id: 4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a011
status: test
description: Many roles were deleted.
correlation:
  type: event_count
  rules: [4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a001]
  group-by: [userIdentity.arn]
  timespan: 10m
  condition: {gte: 3}
level: high
tests:
  match:
    - - {eventTime: '2026-11-20T09:00:00Z', eventName: DeleteRole, userIdentity: {arn: ana}}
      - {eventTime: '2026-11-20T09:01:00Z', eventName: PassRole, userIdentity: {arn: ana}}
      - {eventTime: '2026-11-20T09:02:00Z', eventName: DeleteRole}
      - {eventTime: '2026-11-20T09:03:00Z', eventName: DeleteRole, userIdentity: {arn: ana}}
      - {eventTime: '2026-11-20T09:30:00Z', eventName: DeleteRole, userIdentity: {arn: ana}}
";

#[test]
fn a_correlation_that_does_not_fire_says_what_each_event_and_group_comes_to() {
    let folder = folder();
    let path = file(&folder, "count.yml", [RULE, COUNT].concat());
    let ended = lapwing(&["test", &path]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    for said in [
        "does not fire on tests.match[0] (line 31)",
        "no  events gte 3 within 10 min, by userIdentity.arn",
        "yes event 1, 2026-11-20T09:00:00.000000Z    `Delivery role deleted` matches, group `ana`",
        "no  eventName: DeleteRole    the event has \"PassRole\"",
        "there is no `userIdentity.arn`, so it is of no group",
        "no  group `ana`    gte 3 is asked, 2 the most there is",
        "outside of the 10 min: event 5 (27 min after)",
    ] {
        assert!(ended.said.contains(said), "{said}: {}", ended.said);
    }
    let ended = lapwing(&["test", "--format", "junit", &path]);
    assert!(ended.out.contains("gte 3 is asked, 2 the most there is"), "{}", ended.out);
    assert!(ended.out.contains(&format!("file=\"{path}\" line=\"31\" time=\"")), "{}", ended.out);
}

#[test]
fn events_that_cannot_be_read_are_a_fault_of_their_example_whatever_was_expected() {
    let folder = folder();
    let broken = COUNT.replace("'2026-11-20T09:01:00Z'", "yesterday").replace("  match:", "  ignore:");
    let ended = lapwing(&["test", &file(&folder, "count.yml", [RULE, &broken].concat())]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    let said =
        "Delivery roles deleted: tests.ignore[0] (line 31): event 2 cannot be read as aws.cloudtrail: eventTime is";
    assert!(ended.said.contains(said), "{}", ended.said);
}

#[test]
fn rules_whose_log_source_nothing_feeds_are_tried_and_told() {
    let folder = folder();
    for (source, told) in [
        ("{product: aws, service: cloudtrail, category: api}", true),
        ("{category: process_creation}", true),
        ("{product: aws}", false),
        ("{product: AWS, service: CloudTrail}", false),
    ] {
        let rule = RULE.replace("{product: aws, service: cloudtrail}", source);
        let ended = lapwing(&["test", &file(&folder, "rule.yml", rule)]);
        assert_eq!(ended.status, 0, "{source}: {}", ended.said);
        let said = "the examples of 1 rules were tried as plain JSON of that log source";
        assert_eq!(ended.said.contains(said), told, "{source}: {}", ended.said);
    }
}

#[test]
fn rules_without_examples_are_no_silent_success() {
    let folder = folder();
    let (rule, _) = RULE.split_once("tests:").unwrap();
    let ended = lapwing(&["test", &file(&folder, "rule.yml", rule)]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("no rule has examples, so nothing was tried"), "{}", ended.said);
}

#[test]
fn regression_data_that_reaches_no_loaded_rule_is_at_fault() {
    let folder = folder();
    let rule = file(&folder, "rule.yml", RULE);
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let info = "rule_metadata: [{id: 00000000-6a3f-4b4e-9d0a-0a64d2f6a001}]\nregression_tests_info:\n  \
                - {name: Positive, type: evtx, match_count: 1, path: x.evtx}\n";
    std::fs::write(data.join("info.yml"), info).unwrap();
    std::fs::write(data.join("x.json"), "{}").unwrap();
    let data = data.to_str().unwrap();
    let ended = lapwing(&["test", "--regression", data, &rule]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("no test reached a loaded rule; give the rules' folder"), "{}", ended.said);

    let ended = lapwing(&["test", "--regression", data, "--format", "junit", &rule]);
    assert!(ended.out.contains("tests=\"1\" failures=\"0\" skipped=\"1\""), "{}", ended.out);
    assert!(ended.out.contains("<skipped message=\"rule 00000000-"), "{}", ended.out);

    std::fs::write(format!("{data}/info.yml"), "rule_metadata: 5\n").unwrap();
    let ended = lapwing(&["test", "--regression", data, "--format", "junit", &rule]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.out.contains("info.yml") && ended.out.ends_with("</testsuite>\n"), "{}", ended.out);
}

#[test]
fn a_report_is_whole_even_if_nothing_could_be_read() {
    let folder = folder();
    let ended = lapwing(&["test", "--format", "junit", folder.path().to_str().unwrap()]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.out.contains("failures=\"1\"") && ended.out.ends_with("</testsuite>\n"), "{}", ended.out);
    let ended = lapwing(&["test", "--format", "json", folder.path().to_str().unwrap()]);
    assert_eq!(lines(&ended.out)[0]["rule"], json!("lapwing"), "{}", ended.out);
}
