//! `lapwing match` and `replay` on events of one's own.

use serde_json::json;

use super::{RULE, fed, file, folder, lapwing, lines};

const ID: &str = "4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a001";

#[test]
fn match_is_at_fault_if_no_line_could_be_read() {
    let ended = fed(&["match", "--kind", "aws.cloudtrail", "-"], b"{\"action\":\"repo.create\"}\n{}\n");
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.said.contains("is --kind right?"), "{}", ended.said);
    assert_eq!(lines(&ended.out).len(), 2);
}

#[test]
fn match_names_files_events_and_titles_where_one_would_ask() {
    let folder = folder();
    let rules = file(&folder, "rule.yml", RULE);
    let time = "2026-11-20T09:14:03Z";
    let event = |name: &str| json!({"eventTime": time, "eventName": name, "eventSource": "x", "eventID": name});
    let one = file(&folder, "one.jsonl", format!("{}\n", event("DeleteRole")));
    let many = json!({"Records": [event("CreateRole"), event("DeleteRole")]}).to_string();
    let many = file(&folder, "many.json", many);
    let arguments = ["match", "--kind", "aws.cloudtrail", "--rules", &rules];
    let ended = lapwing(&[&arguments[..], &[one.as_str(), many.as_str(), "--titles"]].concat());
    let titles = ["Delivery role deleted"];
    let wanted = [
        json!({"line": 1, "file": one, "rules": [ID], "titles": titles}),
        json!({"line": 1, "file": many, "rules": [ID], "titles": titles,
               "events": [{"event": 2, "rules": [ID], "titles": titles}]}),
    ];
    assert_eq!(lines(&ended.out), wanted, "{}", ended.said);
    let ended = lapwing(&[&arguments[..], &[one.as_str()]].concat());
    assert_eq!(lines(&ended.out), [json!({"line": 1, "rules": [ID]})], "{}", ended.said);
}

#[test]
fn plain_json_needs_no_time_to_be_matched() {
    let folder = folder();
    let rules = file(&folder, "rule.yml", RULE.replace("{product: aws, service: cloudtrail}", "{product: paint}"));
    let arguments = ["match", "--kind", "json", "--logsource", "product=paint", "--rules", &rules, "-"];
    let input = "{\"eventName\":\"DeleteRole\"}\n[{\"a\":1},{\"eventName\":\"DeleteRole\"}]\n[1]\n";
    let ended = fed(&arguments, input.as_bytes());
    assert_eq!(ended.status, 0, "{}", ended.said);
    let found = lines(&ended.out);
    assert_eq!(found[0], json!({"line": 1, "rules": [ID]}));
    assert_eq!(found[1], json!({"line": 2, "rules": [ID], "events": [{"event": 2, "rules": [ID]}]}));
    assert_eq!(found[2]["reject"], "shape");
}

#[test]
fn replay_lends_plain_json_a_log_source_too() {
    let folder = folder();
    let rules = file(&folder, "rule.yml", RULE.replace("{product: aws, service: cloudtrail}", "{product: paint}"));
    let input = b"{\"time\":\"2026-11-20T09:14:03Z\",\"eventName\":\"DeleteRole\"}\n";
    let alerts = |source: &str| {
        let ended = fed(&["replay", "--kind", "json", "--logsource", source, "--rules", &rules, "-"], input);
        assert_eq!(ended.status, 0, "{}", ended.said);
        lines(&ended.out).len()
    };
    assert_eq!((alerts("product=paint"), alerts("product=ink")), (1, 0));
}

#[test]
fn what_addresses_are_is_read_for_match_replay_and_trace_and_a_bad_file_is_refused() {
    let folder = folder();
    let rule =
        RULE.replace("{eventName: DeleteRole}\n  condition", "{eventName: DeleteRole, source.tor: true}\n  condition");
    let rules = file(&folder, "rule.yml", rule);
    let exits = file(&folder, "exits.txt", "198.51.100.7\n");
    let known = file(&folder, "known.yml", format!("tor: {exits}\nclouds: {{ours: {exits}}}\n"));
    let event = |address: &str| {
        json!({"eventTime": "2026-11-20T09:14:03Z", "eventName": "DeleteRole", "eventSource": "iam.amazonaws.com",
               "eventID": address, "sourceIPAddress": address})
    };
    let trail = file(&folder, "trail.jsonl", format!("{}\n{}\n", event("198.51.100.7"), event("192.0.2.7")));
    let with = |command: &str, known: &str| {
        lapwing(&[command, "--kind", "aws.cloudtrail", "--rules", &rules, "--enrichment", known, &trail])
    };
    let ended = with("match", &known);
    let found = lines(&ended.out);
    assert_eq!((&found[0]["rules"], &found[1]["rules"]), (&json!([ID]), &json!([])), "{}", ended.said);
    let ended = with("replay", &known);
    let [alert] = &lines(&ended.out)[..] else { panic!("{}", ended.said) };
    let why = alert["why"].as_str().expect("a text");
    assert!(why.contains("from 198.51.100.7 (ours, exit of Tor)"), "{why}");

    let bad = file(&folder, "bad.txt", "<html>\n");
    let known = file(&folder, "bad.yml", format!("tor: {bad}\n"));
    for ended in [with("match", &known), lapwing(&["trace", "AKIAEXAMPLE", &trail, "--enrichment", &known])] {
        assert_ne!(ended.status, 0);
        assert!(ended.said.contains("read enrichment.tor") && ended.said.contains("line 1"), "{}", ended.said);
    }
}
