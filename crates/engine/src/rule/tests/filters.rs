//! What filters leave out, and what is said of filters that leave nothing out.

use super::{compile, titles};
use crate::event::Kind;
use crate::rule::RuleSet;

const RULES: &str = "title: One\nid: r1\nname: one\nlevel: low\nlogsource: {product: aws, service: cloudtrail}\n\
    detection: {s: {a: x}, condition: s}\n---\n\
    title: Two\nid: r2\nlevel: low\nlogsource: {product: aws, service: cloudtrail}\n\
    detection: {s: {a: x}, condition: s}\n---\n\
    title: Other\nid: r3\nlevel: low\nlogsource: {product: github, service: audit}\n\
    detection: {s: {a: x}, condition: s}\n---\n\
    title: Many\nid: c1\nlevel: low\ncorrelation: {type: event_count, rules: [r2], timespan: 1h, condition: {gte: 2}}\n";

fn filtered(source: &str, body: &str) -> (RuleSet, Vec<String>) {
    let filter = format!("title: Known\nid: f1\nlogsource: {source}\nfilter: {body}\n");
    let (set, problems) = compile(&[("a.yml", RULES), ("b.yml", &filter)]);
    (set, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_filter_leaves_events_out_of_the_rules_that_it_names() {
    for condition in ["known", "not known", "1 of kn*", "not 1 of known*"] {
        let body = format!("{{rules: [one, r2], known: {{u: admin}}, condition: {condition}}}");
        let (set, problems) = filtered("{product: aws}", &body);
        assert_eq!(problems, [""; 0], "{condition}");
        let found = |json| titles(&set, Kind::AwsCloudtrail, json);
        assert_eq!(found(r#"{"a":"x","u":"eve"}"#), ["One", "Two"], "{condition}");
        assert_eq!(found(r#"{"a":"x"}"#), ["One", "Two"], "{condition}: without the field");
        assert_eq!(found(r#"{"a":"x","u":"Admin"}"#), [""; 0], "{condition}");
        assert_eq!(set.rules()[0].filters, ["Known"], "{condition}");
    }
}

#[test]
fn a_filter_for_any_rule_is_for_those_of_its_log_source() {
    let body = "{rules: any, known: {u: admin}, condition: known}";
    let (set, problems) = filtered("{product: aws, service: cloudtrail}", body);
    assert_eq!(problems, [""; 0]);
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","u":"admin"}"#), [""; 0]);
    assert_eq!(titles(&set, Kind::GithubAudit, r#"{"a":"x","u":"admin"}"#), ["Other"]);
}

#[test]
fn conditions_that_both_keep_and_leave_out_are_refused() {
    for (condition, part) in [
        ("a and not b", "`a and not b` could say what the filter keeps or what it leaves out"),
        ("not a or b", "write `not (...)` around"),
        ("[not a, not b]", "contradict each other"),
        ("c", "the condition names `c`, which is not there"),
    ] {
        let (set, problems) =
            filtered("{product: aws}", &format!("{{rules: any, a: {{u: x}}, b: {{u: y}}, condition: {condition}}}"));
        assert!(problems[0].contains(part), "{condition}: {}", problems[0]);
        assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x"}"#), ["One", "Two"]);
    }
    let (set, _) = filtered("{product: aws}", "{rules: any, a: {u: x}, b: {u: y}, condition: [a, b]}");
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","u":"y"}"#), [""; 0], "either is left out");
    let (set, _) = filtered("{product: aws}", "{rules: any, a: {u: x}, b: {v: y}, condition: not a or not b}");
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","v":"y"}"#), ["One", "Two"], "one of both is kept");
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","u":"x","v":"y"}"#), [""; 0], "both are left out");
    let (set, _) = filtered("{product: aws}", "{rules: any, a: {u: x}, b: {v: y}, condition: not a and not b}");
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","v":"y"}"#), [""; 0], "either is left out");
}

#[test]
fn a_filter_that_changes_nothing_says_so_at_the_name() {
    for (source, rules, expected) in [
        (
            "{product: aws}",
            "[gone]",
            "b.yml:4:18: no loaded rule has the id or name `gone`, so nothing is filtered by it",
        ),
        (
            "{product: gcp}",
            "[r1]",
            "b.yml:4:18: rule `r1` reads another log source than the filter, so it is not filtered",
        ),
        ("{product: aws}", "[c1]", "b.yml:4:18: `c1` is a correlation; name the rules that it counts"),
        ("{product: aws}", "[f1]", "b.yml:4:18: the filter names itself; name the rules that it narrows"),
        (
            "{product: aws}",
            "[any]",
            "b.yml:4:18: no rule is called `any`; for all rules write `rules: any`, without a list",
        ),
        ("{product: gcp}", "any", "b.yml:4:1: the filter fits no loaded rule: none has its log source"),
    ] {
        let (set, problems) = filtered(source, &format!("{{rules: {rules}, known: {{u: admin}}, condition: known}}"));
        assert_eq!(problems, [expected]);
        assert!(set.rules().iter().all(|rule| rule.filters.is_empty()));
    }
}

#[test]
fn a_filter_that_would_reach_every_rule_by_a_slip_is_refused() {
    for (source, expected) in [
        (
            "{prodcut: aws}",
            "b.yml:3:13: `prodcut` means nothing in the `logsource` of a filter; did you mean `product`?",
        ),
        ("{product: aws, servcie: x}", "did you mean `service`?"),
        ("{}", "names no product, service or category"),
        ("{definition: x}", "names no product, service or category"),
    ] {
        let (set, problems) = filtered(source, "{rules: any, known: {u: admin}, condition: known}");
        assert!(problems.len() == 1 && problems[0].contains(expected), "{source}: {problems:?}");
        assert!(set.rules().iter().all(|rule| rule.filters.is_empty()));
    }
}

#[test]
fn a_filter_of_a_filter_says_so() {
    let filter = |name: &str, rules: &str| {
        format!(
            "title: {name}\nid: {name}\nlogsource: {{product: aws}}\nfilter: {{rules: {rules}, k: {{u: x}}, condition: k}}\n"
        )
    };
    let (_, problems) =
        compile(&[("a.yml", RULES), ("b.yml", &filter("f1", "[f2]")), ("c.yml", &filter("f2", "[r1]"))]);
    let expected = "b.yml:4:18: `f2` is a filter, which nothing narrows; name the rules that this one is for";
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn the_base_of_a_correlation_is_filtered_like_any_rule() {
    let (set, problems) = filtered("{product: aws}", "{rules: [r2], known: {u: admin}, condition: not known}");
    assert_eq!(problems, [""; 0]);
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x","u":"admin"}"#), ["One"]);
}
