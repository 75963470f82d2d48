//! `lapwing check`: files that cannot be read, what is said how often, and what ends it at fault.

use serde_json::{Value, json};

use super::{RULE, file, folder, lapwing, lines};

#[test]
fn a_file_that_is_no_text_is_a_finding_and_the_others_go_on() {
    let folder = folder();
    let good = file(&folder, "good.yml", RULE);
    let bad = file(&folder, "bad.yml", b"title: A\nauthor: J\xfcrgen\n");
    let ended = lapwing(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    let place = format!("{bad}:2:10: error: byte 0xfc is no UTF-8; save the file as UTF-8");
    assert!(ended.said.contains(&place), "{}", ended.said);
    assert!(ended.said.contains("1 rules good, 1 broken"), "{}", ended.said);

    let found = lines(&lapwing(&["check", "--format", "json", &good, &bad]).out);
    assert_eq!((&found[0]["path"], &found[0]["line"], &found[0]["column"]), (&json!(bad), &json!(2), &json!(10)));

    let ended = lapwing(&["test", "--format", "junit", &good, &bad]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert!(ended.out.contains("byte 0xfc is no UTF-8") && ended.out.contains("tests=\"3\""), "{}", ended.out);

    let ended =
        super::fed(&["match", "--kind", "aws.cloudtrail", "--rules", folder.path().to_str().unwrap(), "-"], b"");
    assert!(ended.said.contains("left out: ") && ended.status == 1, "{}", ended.said);
}

#[test]
fn an_empty_rule_file_is_told_and_is_no_configuration() {
    let folder = folder();
    for text in ["", "---\n", "# to do\n---\n"] {
        let ended = lapwing(&["check", &file(&folder, "empty.yml", text)]);
        assert_eq!(ended.status, 0, "{}", ended.said);
        assert!(ended.said.contains("empty.yml:1:1: warning: the file holds no document"), "{}", ended.said);
    }
}

#[test]
fn a_rule_that_is_written_as_json_is_no_configuration() {
    let folder = folder();
    let rule = "{\"title\": \"A\", \"detection\": {\"s\": {\"a\": \"x\"}, \"condition\": \"s\"}}\n";
    let ended = lapwing(&["check", &file(&folder, "rule.yml", rule)]);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("1 rules good"), "{}", ended.said);
}

#[test]
fn a_log_source_that_nothing_feeds_is_told_once_with_the_number_of_its_rules() {
    let folder = folder();
    let rule = |id: usize| {
        let text = RULE.replace("6a001", &format!("6a{id:03}")).replace("deleted\n", &format!("deleted {id}\n"));
        text.replace("{product: aws, service: cloudtrail}", "{product: paint, category: mixing}")
    };
    for id in 1..=5 {
        file(&folder, &format!("{id}.yml"), rule(id));
    }
    let path = folder.path().to_str().unwrap();
    let ended = lapwing(&["check", path]);
    assert_eq!(ended.said.matches("no kind of log feeds").count(), 1, "{}", ended.said);
    let said = "(product `paint`, category `mixing`); docs/kinds.md lists those that do (and 4 other rules)";
    assert!(ended.said.contains(said), "{}", ended.said);
    assert!(ended.said.contains("by lint: unfed 5\n"), "{}", ended.said);
    assert_eq!(lines(&lapwing(&["check", "--format", "json", path]).out).len(), 5, "machines get each");
}

#[test]
fn warnings_end_at_fault_if_they_are_denied_and_not_if_they_are_allowed() {
    let folder = folder();
    let path = file(&folder, "odd.yml", RULE.replace("level: high", "lvel: high"));
    assert_eq!(lapwing(&["check", &path]).status, 0);
    assert_eq!(lapwing(&["check", "--deny", "warnings", &path]).status, 1);
    let ended = lapwing(&["check", "--deny", "warnings", "--allow", "missing_level", &path]);
    assert_eq!((ended.status, ended.said.contains("missing_level")), (1, false), "{}", ended.said);
    let all = ["check", "--deny", "warnings", "--allow", "missing_level", "--allow", "unknown_key", &path];
    let ended = lapwing(&all);
    assert_eq!(ended.status, 0, "{}", ended.said);
    assert!(ended.said.contains("0 warnings"), "{}", ended.said);
    let ended = lapwing(&["check", "--allow", "unknown_kye", &path]);
    assert_eq!(ended.status, 2, "{}", ended.said);
    assert!(ended.said.contains("did you mean `unknown_key`?"), "{}", ended.said);
}

#[test]
fn a_path_that_does_not_exist_is_wrong_use() {
    for arguments in
        [&["check", "nowhere"][..], &["test", "nowhere"], &["match", "--kind", "json", "--rules", "nowhere", "-"]]
    {
        let ended = lapwing(arguments);
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.said);
        assert!(ended.said.contains("there is no nowhere"), "{arguments:?}: {}", ended.said);
    }
}

#[test]
fn json_has_the_faults_of_configurations_the_ids_of_rules_and_what_filters_them() {
    let folder = folder();
    let config = file(&folder, "lapwing.conf", "lisen: 127.0.0.1:0\n");
    let ended = lapwing(&["check", "--format", "json", &config]);
    assert_eq!(ended.status, 1, "{}", ended.said);
    let found = &lines(&ended.out)[0];
    assert_eq!((&found["path"], &found["line"], &found["weight"]), (&json!(config), &json!(1), &json!("error")));
    assert!(found["message"].as_str().unwrap().starts_with("unknown field `lisen`"), "{found}");

    let id = "4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6a001";
    let odd = file(&folder, "odd.yml", RULE.replace("title: Delivery", "title: Detects delivery"));
    let broken = file(&folder, "broken.yml", RULE.replace("6a001", "6a002").replace("condition: s", "condition: t"));
    let filter = "title: Planned\nlogsource: {product: aws, service: cloudtrail}\n\
                  filter: {rules: any, planned: {awsRegion: eu-north-1}, condition: not planned}\n";
    let filter = file(&folder, "filter.yml", filter);
    let ended = lapwing(&["check", "--format", "json", &odd, &broken, &filter]);
    let found = lines(&ended.out);
    let of = |path: &str| -> Vec<&Value> { found.iter().filter(|found| found["path"] == path).collect() };
    assert_eq!(of(&odd)[0]["rule"], id, "{}", ended.out);
    assert_eq!(of(&broken)[0]["rule"], id.replace("a001", "a002"), "{}", ended.out);
    assert_eq!((&of(&odd)[1]["weight"], &of(&odd)[1]["message"]), (&json!("note"), &json!("filtered by Planned")));
}
