//! Which logs a rule reads, and what it costs not to match.

use super::{compile, event, titles};
use crate::event::{Kind, LogSource};
use crate::rule::Scratch;

fn with_source(title: &str, source: &str) -> String {
    format!(
        "title: {title}\nid: {title}\nlevel: low\nlogsource: {source}\ndetection: {{s: {{a: x}}, condition: s}}\n---\n"
    )
}

fn four() -> crate::rule::RuleSet {
    let text = [
        with_source("trail", "{product: aws, service: cloudtrail}"),
        with_source("product", "{product: AWS}"),
        with_source("category", "{product: aws, category: process_creation}"),
        with_source("none", "{}"),
    ];
    compile(&[("a.yml", &text.concat())]).0
}

#[test]
fn a_rule_reads_the_logs_of_its_source() {
    let set = four();
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x"}"#), ["trail", "product", "none"]);
    assert_eq!(titles(&set, Kind::GithubAudit, r#"{"a":"x"}"#), ["none"]);
    assert_eq!(titles(&set, Kind::Json, r#"{"a":"x"}"#), ["none"]);
}

#[test]
fn plain_json_can_be_read_as_a_log_source() {
    let mut set = four();
    // What is left out is unknown, so rules that ask for it are tried.
    set.read_json_as(&LogSource { product: Some("aws".to_owned()), ..LogSource::default() });
    assert_eq!(titles(&set, Kind::Json, r#"{"a":"x"}"#), ["trail", "product", "category", "none"]);
    set.read_json_as(&LogSource { product: Some("aws".to_owned()), service: Some("s3".to_owned()), category: None });
    assert_eq!(titles(&set, Kind::Json, r#"{"a":"x"}"#), ["product", "category", "none"]);
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"a":"x"}"#), ["trail", "product", "none"]);
}

#[test]
fn memory_of_one_event_or_set_does_not_leak_into_the_next() {
    let (one, other) = (four(), compile(&[("a.yml", &with_source("single", "{}"))]).0);
    let mut scratch = Scratch::default();
    let (yes, no) = (event(Kind::Json, r#"{"a":"x"}"#), event(Kind::Json, r#"{"a":"y"}"#));
    for _ in 0..3 {
        assert_eq!(one.matches(&yes, &mut scratch).len(), 1);
        assert_eq!(other.matches(&no, &mut scratch).len(), 0);
        assert_eq!(one.matches(&no, &mut scratch).len(), 0);
        assert_eq!(other.matches(&yes, &mut scratch).len(), 1);
    }
}
