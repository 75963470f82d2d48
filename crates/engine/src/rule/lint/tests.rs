//! Every lint finds what it is for, and nothing in a good rule.

use std::collections::BTreeSet;

use super::*;
use crate::rule::{Given, Mappings, Placeholders, Problem, RuleFile, RuleSet};

const GOOD: &str = "title: Role taken
id: 4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10
status: test
description: Somebody took the role.
references: [https://example.org/a]
date: 2026-11-22
modified: 2026-11-23
tags: [attack.persistence, attack.t1078.004]
logsource: {product: aws, service: cloudtrail}
detection:
  selection:
    eventName: AssumeRole
    requestParameters.roleArn|endswith: ':role/x'
  filter: {errorCode|exists: true}
  condition: selection and not filter
falsepositives: [An exercise.]
level: high
";

const FILTER: &str = "title: Known roles
logsource: {product: aws, service: cloudtrail}
filter:
  rules: any
  selection: {eventName: AssumeRole, userAgent: scanner}
  condition: not selection
";

const COUNT: &str = "title: Roles taken
id: 4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f11
description: Many roles.
correlation:
  type: event_count
  rules: [4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10]
  group-by: [userIdentity.arn]
  timespan: 1h
  condition: {gte: 5}
level: high
";

fn check(text: &str) -> Vec<Problem> {
    let placeholders = Placeholders([("admins".to_owned(), vec!["root".to_owned()])].into());
    let given = Given { placeholders, ..Given::default() };
    RuleSet::check(&[RuleFile { path: "a.yml".to_owned(), text: text.to_owned() }], &given).1
}

/// The good rules with one piece replaced.
fn with(old: &str, new: &str) -> String {
    let all = [GOOD, FILTER, COUNT].join("---\n");
    assert!(all.contains(old), "{old}");
    all.replacen(old, new, 1)
}

#[test]
fn nothing_is_odd_about_a_good_rule() {
    assert_eq!(check(&with("title", "title")), []);
}

/// Lint, what is replaced in the good rules, by what, and the place of what is found.
const CASES: [(&str, &str, &str, (usize, usize)); 80] = [
    ("all_of_one", "selection and", "all of sel* and", (15, 14)),
    ("all_of_them", "selection and not filter", "all of them", (15, 14)),
    ("all_with_one_value", "roleArn|endswith", "roleArn|endswith|all", (13, 5)),
    ("base64offset_without_contains", "|endswith: ':role/x'", "|base64offset: 'role'", (13, 5)),
    ("cidr_without_modifier", "eventName: AssumeRole", "sourceIPAddress: 10.0.0.0/8", (12, 22)),
    ("cidr_with_host", "|endswith: ':role/x'", "|cidr: 10.0.0.1/8", (13, 37)),
    ("control_character", "':role/x'", "\":role\\bx\"", (13, 41)),
    ("custom_taxonomy", "status: test", "taxonomy: ecs\nstatus: test", (3, 11)),
    ("date_format", "date: 2026-11-22", "date: 2026/11/22", (6, 7)),
    ("date_format", "date: 2026-11-22", "date: 2026-11-31", (6, 7)),
    ("deprecated", "status: test", "status: deprecated", (3, 9)),
    ("double_wildcard", ":role/x", ":role**x", (13, 41)),
    ("duplicate_reference", "[https://example.org/a]", "[a, b, a]", (5, 20)),
    ("duplicate_tag", "attack.t1078.004]", "attack.persistence]", (8, 28)),
    ("duplicate_title", "Known roles", "Role taken", (19, 8)),
    ("duplicate_value", "AssumeRole\n", "[AssumeRole, x, AssumeRole]\n", (12, 32)),
    ("duplicate_value", "AssumeRole\n", "[AssumeRole, assumerole]\n", (12, 29)),
    ("empty_value", "':role/x'", "''", (13, 41)),
    ("escaped_wildcard", ":role/x", "C:\\\\a\\*", (13, 41)),
    ("false_positive_length", "[An exercise.]", "[x]", (16, 18)),
    ("field_with_space", "eventName:", "'eventName ':", (12, 5)),
    (
        "filter_with_level",
        "logsource: {product: aws, service: cloudtrail}\nfilter",
        "logsource: {product: aws, service: cloudtrail}\nlevel: low\nfilter",
        (21, 1),
    ),
    ("filter_without_not", "condition: not selection", "condition: selection", (24, 14)),
    ("id_format", "4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10\nstatus", "mine\nstatus", (2, 5)),
    ("key_letter_case", "falsepositives", "FalsePositives", (16, 1)),
    ("log_source_letter_case", "product: aws", "product: AWS", (9, 22)),
    ("log_source_missing", "logsource: {product: aws, service: cloudtrail}\n", "", (1, 1)),
    ("log_source_missing", "service: cloudtrail", "servcie: cloudtrail", (9, 27)),
    ("missing_description", "description: Somebody took the role.\n", "", (1, 1)),
    ("missing_group_by", "  group-by: [userIdentity.arn]\n", "", (30, 3)),
    ("missing_id", "id: 4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10\n", "", (1, 1)),
    ("missing_level", "level: high\n", "", (1, 1)),
    ("missing_value", "eventName: AssumeRole\n", "eventName:\n", (12, 5)),
    ("modified_before_date", "modified: 2026-11-23", "modified: 2025-11-23", (7, 11)),
    ("modifier_twice", "|endswith:", "|endswith|endswith:", (13, 5)),
    ("modifier_twice", "|endswith: ':role/x'", "|re|cased: 'a+'", (13, 5)),
    ("null_in_list", "AssumeRole\n", "[AssumeRole, null]\n", (12, 29)),
    ("number_in_quotes", "|endswith: ':role/x'", "|gt: '5'", (13, 35)),
    ("object_field", "requestParameters.roleArn|endswith", "requestParameters|contains", (13, 5)),
    (
        "obsolete_rule",
        "description: Many",
        "related: [{id: 4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10, type: obsolete}]\ndescription: Many",
        (28, 11),
    ),
    ("of_without_star", "selection and", "1 of selection and", (15, 14)),
    ("one_rule_in_order", "type: event_count", "type: temporal", (31, 3)),
    ("placeholder_missing", "|endswith:", "|endswith|expand:", (13, 5)),
    ("placeholder_without_expand", "AssumeRole\n", "'%roles%'\n", (12, 16)),
    ("regex_without_re", "AssumeRole\n", "'.*Role.*'\n", (12, 16)),
    ("related_format", "status: test", "status: test\nrelated: [{id: x, type: similar}]", (4, 11)),
    ("related_format", "status: test", "status: test\nrelated: {type: similar}", (4, 10)),
    (
        "related_format",
        "status: test",
        "status: test\nrelated: {id: 4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10, type: twin}",
        (4, 10),
    ),
    ("re_without_need", "|endswith: ':role/x'", "|re: '^.*abc'", (13, 35)),
    ("sigma_version", "status: test", "status: test\nsigma-version: 3", (4, 16)),
    ("status_unknown", "status: test", "status: testing", (3, 9)),
    ("tag_format", "attack.persistence", "attack.Persistence", (8, 8)),
    ("tag_format", "attack.persistence", "attack.t107", (8, 8)),
    ("tag_format", "attack.persistence", "attack.defense_evasion", (8, 8)),
    ("tag_format", "attack.persistence", "cve.2021.44228", (8, 8)),
    ("tag_namespace", "attack.persistence", "atack.t1078", (8, 8)),
    (
        "them_of_one",
        "  filter: {errorCode|exists: true}\n  condition: selection and not filter",
        "  condition: 1 of them",
        (14, 14),
    ),
    ("timeframe", "  condition: selection and", "  timeframe: 5m\n  condition: selection and", (15, 3)),
    ("timeframe", "timespan", "timeframe", (33, 3)),
    ("title_format", "Role taken", "Role taken.", (1, 8)),
    ("title_format", "Role taken", "Detects a role", (1, 8)),
    ("trailing_space", "AssumeRole\n", "'AssumeRole '\n", (12, 16)),
    ("trailing_space", "AssumeRole\n", "' Assume'\n", (12, 16)),
    ("trailing_space", "title: Role taken", "title: 'Role taken '", (1, 8)),
    ("typographic_quotes", "AssumeRole\n", "“AssumeRole”\n", (12, 16)),
    ("unfed", "service: cloudtrail", "service: inspector", (9, 1)),
    ("unknown_field", "eventName: AssumeRole\n", "eventname: AssumeRole\n", (12, 5)),
    ("unknown_field", "eventName: AssumeRole\n", "userIdentity.username: x\n", (12, 5)),
    ("unknown_field", "eventName: AssumeRole\n", "eventName|fieldref: eventType2\n", (12, 25)),
    ("unknown_field", "level: high", "dedup: {group-by: [userIdentiy.arn], period: 1h}\nlevel: high", (17, 8)),
    ("unknown_key", "level: high", "level: high\ntest: {}", (18, 1)),
    ("unknown_lint", "level: high", "level: high\nlapwing: {allow: [title]}", (18, 10)),
    ("unknown_field", "[userIdentity.arn]", "[userIdentity.anr]", (32, 3)),
    (
        "unused_alias",
        "  timespan: 1h",
        "  timespan: 1h\n  aliases: {who: {4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10: userIdentity.arn}}",
        (34, 13),
    ),
    ("unused_selection", "and not filter", "", (14, 3)),
    ("wildcard_only", "AssumeRole\n", "'*'\n", (12, 16)),
    ("wildcard_only", "|endswith: ':role/x'", "|re: '.*'", (13, 35)),
    ("wildcards_for_modifier", "AssumeRole\n", "'*Role'\n", (12, 16)),
    ("wildcards_for_modifier", ":role/x", "*:role/x", (13, 41)),
    ("never_matches", "and not filter", "and not selection", (15, 14)),
];

#[test]
fn each_lint_finds_what_it_is_for_at_its_place() {
    for (lint, old, new, place) in CASES {
        let found = check(&with(old, new));
        let found: Vec<_> = found.iter().filter(|problem| problem.lint == Some(lint)).collect();
        let [problem] = found.as_slice() else { panic!("{lint}: {old} -> {new}: {found:?}") };
        assert_eq!((problem.line, problem.column), place, "{problem}");
    }
}

#[test]
fn each_lint_has_an_example_here() {
    let shown: BTreeSet<&str> = CASES.iter().map(|(lint, ..)| *lint).collect();
    let all: BTreeSet<&str> = LINTS.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    let missing: Vec<_> = all.difference(&shown).collect();
    // It takes a text of 65,536 characters to show.
    assert_eq!(missing, [&"description_length"]);
    assert_eq!(LINTS.map(|(name, _)| name), {
        let mut names = LINTS.map(|(name, _)| name);
        names.sort_unstable();
        names
    });
}

#[test]
fn the_page_on_rules_names_each_lint() {
    let page = include_str!("../../../../../docs/rules.md");
    let missing = LINTS.iter().map(|(name, _)| *name).chain(OTHERS).filter(|name| !page.contains(&format!("`{name}`")));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn fields_are_doubted_only_where_they_are_known() {
    for (source, field, said) in [
        ("{product: aws, service: cloudtrail}", "eventNmae", Some("did you mean `eventName`?")),
        ("{product: aws, service: cloudtrail}", "status", Some("no record of aws.cloudtrail has a field `status`")),
        ("{product: aws, service: cloudtrail}", "requestParameters.anything", None),
        ("{product: github, service: audit}", "actr", Some("did you mean `actor`?")),
        ("{product: github, service: audit}", "something_of_one_action", None),
        ("{product: github, service: webhook}", "repositroy.full_name", Some("did you mean `repository`?")),
        ("{product: github}", "actr", None),
        ("{product: windows, service: security}", "EvnetID", None),
    ] {
        let text =
            GOOD.replace("{product: aws, service: cloudtrail}", source).replace("eventName:", &format!("{field}:"));
        let text = text.replace("    requestParameters.roleArn|endswith: ':role/x'\n", "");
        let text = text.replace("  filter: {errorCode|exists: true}\n", "").replace(" and not filter", "");
        let found = check(&text);
        let found = found.iter().find(|problem| problem.lint == Some("unknown_field"));
        match (said, found) {
            (Some(said), Some(found)) => assert!(found.message.contains(said), "{field}: {found}"),
            (said, found) => assert_eq!((said, found), (None, None), "{source} {field}"),
        }
    }
}

#[test]
fn a_rule_silences_a_lint_by_its_name() {
    for (lint, old, new) in [
        ("title_format", "Role taken", "Role taken."),
        ("missing_level", "level: high\n", ""),
        ("never_matches", "and not filter", "and not selection"),
        ("duplicate_title", "Roles taken", "Role taken"),
    ] {
        let text = with(old, new);
        let allow = format!("lapwing: {{allow: [{lint}]}}\ntitle: Role");
        let text = text.replace("title: Role", &allow);
        assert!(check(&text).iter().all(|problem| problem.lint != Some(lint)), "{lint}");
    }
}

#[test]
fn contradictions_are_found_in_every_form() {
    for (section, reason) in [
        ("s: {a: x}\nt: {a: y}\ncondition: s and t", "`a` cannot be `x` and `y` at once"),
        ("s: {a: [x, y]}\nf: {a: [X, Y, Z]}\ncondition: s and not f", "`a` must be `x` or `y` and is excluded"),
        ("s: {a: xyz, a|startswith: b}\ncondition: s", "`a` must be `xyz`, which never fits"),
        ("s: {a: xyz}\nf: {a|contains: Y}\ncondition: s and not f", "always fits what is excluded"),
        ("s: {a|startswith: b}\nt: {a|startswith: c}\ncondition: all of *", "cannot start in both ways"),
        ("s: {a|gt: 5, a|lt: 3}\ncondition: s", "no number is in the range"),
        ("s: {a|gt: 5, a|lte: 5}\ncondition: s", "no number is in the range"),
        ("s: {a|exists: false, a: x}\ncondition: s", "must be absent and have a value"),
        ("s: {a: null, a|contains: x}\ncondition: s", "must be null and have a value"),
        ("s: {a: x}\ncondition: s and not s", "must be and not be"),
        ("s: {a: x}\nt: {b: y}\ncondition: (s or t) and not s and not t", "must be and not be"),
        ("s: {a|cidr: 10.0.0.0/8, a: 11.0.0.1}\ncondition: s", "which never fits"),
    ] {
        let found = check(&super::super::tests::rule(section));
        let found = found.iter().find(|problem| problem.lint == Some("never_matches"));
        assert!(found.is_some_and(|problem| problem.message.contains(reason)), "{section}: {found:?}");
    }
}

#[test]
fn what_some_event_matches_is_no_contradiction() {
    for section in [
        "s: {a: [x, y]}\nt: {a: [y, z]}\ncondition: s and t",
        "s: {a|all: [x, y]}\ncondition: s",
        "s: {a: x}\nt: {b: y}\ncondition: s or t and not s",
        "s: {a|cased: X}\nf: {a|cased: x}\ncondition: s and not f",
        "s: {a: X}\nf: {a|cased: x}\ncondition: s and not f",
        "s: {a|gte: 5, a|lte: 5}\ncondition: s",
        "s: {a: 443}\nf: {a: '443.0'}\ncondition: s and not f",
        "s: {a: '443.0'}\nt: {a: 443}\ncondition: s and t",
        "s: {a|startswith: b}\nt: {a|startswith: bc}\ncondition: s and t",
        "s: {a|exists: true, a: null}\ncondition: s",
        "s: [x]\nt: [y]\ncondition: s and not t",
        "s1: {a: x}\ns2: {a: y}\ns3: {b: z}\ncondition: 2 of s*",
    ] {
        let found = check(&super::super::tests::rule(section));
        assert!(found.iter().all(|problem| problem.lint != Some("never_matches")), "{section}: {found:?}");
    }
}

/// What is said under this name of a line of a selection for CloudTrail.
fn said(lint: &str, line: &str) -> Option<String> {
    let text = with("eventName: AssumeRole\n", &format!("{line}\n"));
    let found = check(&text).into_iter().find(|problem| problem.lint == Some(lint));
    found.map(|problem| problem.message)
}

#[test]
fn an_expression_without_need_is_written_anew_with_all_that_it_said() {
    for (line, advice) in [
        ("eventName|re: abc", Some("`eventName|contains|cased: 'abc'`")),
        ("eventName|re|i: ^abc", Some("`eventName|startswith: 'abc'`")),
        ("eventName|re|i: ^abc$", Some("`eventName: 'abc'`")),
        ("eventName|re: it's$", Some("`eventName|endswith|cased: 'it''s'`")),
        ("eventName|re|all: [abc, def]", Some("`eventName|contains|all|cased: ['abc', 'def']`")),
        ("eventName|re|neq: '^abc'", Some("`eventName|startswith|neq|cased: 'abc'`")),
        ("eventName|re: [a, b, c, d]", Some("`eventName|contains|cased: ['a', …]`")),
        ("eventName|re|m: ^abc", None),
        ("eventName|re|s: abc$", None),
        ("eventName|re: [abc, 'd+']", None),
        ("eventName|re: [abc, ^def]", None),
    ] {
        match (said("re_without_need", line), advice) {
            (Some(said), Some(advice)) => assert!(said.ends_with(&format!("write {advice}")), "{line}: {said}"),
            (said, advice) => assert_eq!((said, advice), (None, None), "{line}"),
        }
    }
}

#[test]
fn what_looks_like_a_slip_and_is_none_is_left_alone() {
    for (lint, line) in [
        ("cidr_without_modifier", "requestParameters.cidrIp: 0.0.0.0/0"),
        ("cidr_without_modifier", "sourceIPAddress|cidr: 10.0.0.0/8"),
        ("duplicate_value", "eventName|cased: [a, A]"),
        ("escaped_wildcard", "eventName: '\\*avira\\*'"),
        ("escaped_wildcard", "eventName: '5 \\* 7 \\?'"),
        ("missing_value", "eventName: null"),
        ("object_field", "requestParameters|exists: true"),
        ("object_field", "requestParameters: null"),
        ("object_field", "requestParameters.a: x"),
        ("placeholder_without_expand", "eventName: 100%"),
        ("regex_without_re", "eventName: /etc/"),
        ("regex_without_re", "eventName: 'a.*'"),
        ("regex_without_re", "eventName|endswith: .*"),
        ("trailing_space", "eventName|endswith: 'x '"),
        ("trailing_space", "eventName|contains: ' x '"),
        ("typographic_quotes", "eventName|contains: “"),
        ("wildcard_only", "eventName: '?*'"),
    ] {
        assert_eq!(said(lint, line), None, "{line}");
    }
}

#[test]
fn advice_says_where_it_differs() {
    for (lint, line, part) in [
        ("wildcard_only", "eventName: '*'", "`eventName|exists: true`, which is also true of null and objects"),
        ("wildcard_only", "eventName|neq: '*'", "`eventName|exists: false`"),
        ("wildcard_only", "eventName: ['*', x]", "the other values change nothing"),
        ("wildcard_only", "eventName|re: .+", "not empty; write `eventName: '?*'`"),
        ("wildcards_for_modifier", "eventName|contains: '*x'", "or write `\\*` for a star"),
        ("wildcards_for_modifier", "eventName: 'it''s\\**'", "write `eventName|startswith: 'it''s\\*'`"),
        ("trailing_space", "eventName: ' x '", "was `eventName|contains` meant?"),
        ("object_field", "userIdentity|neq: x", "is always true"),
    ] {
        let said = said(lint, line).unwrap_or_default();
        assert!(said.contains(part), "{line}: {said}");
    }
}

#[test]
fn a_log_source_that_nothing_feeds_is_named_with_what_was_meant() {
    for (source, part) in [
        (
            "{product: aws, service: cloudtrial}",
            "(product `aws`, service `cloudtrial`); did you mean service `cloudtrail`?",
        ),
        ("{product: asw, service: cloudtrail}", "did you mean product `aws`?"),
        ("{product: aws, service: cloudtrail, category: x}", "its kind has no such `category`, leave it out"),
        ("{product: windows, category: y}", "(product `windows`, category `y`); docs/kinds.md lists those that do"),
        ("{category: proxy}", "(category `proxy`); docs/kinds.md lists those that do"),
    ] {
        let found = check(&with("{product: aws, service: cloudtrail}", source));
        let found = found.iter().find(|problem| problem.lint == Some("unfed"));
        assert!(found.is_some_and(|problem| problem.message.ends_with(part)), "{source}: {found:?}");
    }
}

#[test]
fn a_file_without_a_document_is_told() {
    for text in ["", "---\n", "# to do\n---\n---\n"] {
        let found = check(text);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a.yml:1:1: the file holds no document, so no rule comes of it"]
        );
    }
}

#[test]
fn a_name_of_another_schema_is_known_if_it_is_mapped() {
    let text = "kind: aws.cloudtrail\nfields: {sourceIPAddress: [source.ip], 'requestParameters.*': ['request.*']}";
    let (mappings, problems) = Mappings::read(&[RuleFile { path: "m.yml".to_owned(), text: text.to_owned() }], &[]);
    assert_eq!(problems, []);
    let given = Given { mappings, ..Given::default() };
    for (field, expected) in [
        ("source.ip", None),
        ("request.roleArn", None),
        ("source.ipp", Some("no record of aws.cloudtrail has a field `source`; did you mean `source.ip`?")),
        ("source.port", Some("no record of aws.cloudtrail has a field `source`")),
        ("source.tor", None),
        (
            "source.as.numbre",
            Some("no record of aws.cloudtrail has a field `source`; did you mean `source.as.number`?"),
        ),
    ] {
        let text = with("eventName: AssumeRole\n", &format!("{field}: AssumeRole\n"));
        let found = RuleSet::check(&[RuleFile { path: "a.yml".to_owned(), text }], &given).1;
        let found = found.iter().find(|problem| problem.lint == Some("unknown_field"));
        assert_eq!(found.map(|problem| problem.message.as_str()), expected, "{field}");
    }
}
