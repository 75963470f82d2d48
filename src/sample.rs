//! Alerts for tests, made by the engine itself from records written here.

use engine::detect::{Caps, Change, Sighting, State, sight};
use engine::event::Kind;
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleFile, RuleSet, Scratch};

const RULES: &str = "
title: Logging stopped
id: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b01
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: StopLogging}, condition: selection}
level: high
---
title: Secret read
id: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b02
name: secret_read
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetSecretValue}, condition: selection}
level: low
---
title: Many secrets read
id: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b03
correlation:
  type: value_count
  rules: [secret_read]
  group-by: [userIdentity.arn]
  timespan: 10m
  condition: {gte: LEAST, field: requestParameters.secretId}
level: medium
";

/// Three rules: one about a single event, one that counts distinct values, and its base.
pub(crate) fn rules() -> RuleSet {
    rules_asking(2)
}

/// The same, with the last rule asking for so many values.
pub(crate) fn rules_asking(least: u32) -> RuleSet {
    let text = text(least);
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "sample.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    rules
}

/// As text.
pub(crate) fn text(least: u32) -> String {
    RULES.replace("LEAST", &least.to_string())
}

/// Somebody stops logging at this minute of an hour.
pub(crate) fn stop_logging(minute: u32) -> String {
    record(minute, "StopLogging", "")
}

/// Somebody reads the secret of this number at this minute of an hour.
pub(crate) fn read_secret(minute: u32, secret: u32) -> String {
    record(minute, "GetSecretValue", &format!(r#","requestParameters":{{"secretId":"secret-{secret}"}}"#))
}

fn record(minute: u32, name: &str, more: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","eventID":"{name}-{minute}","eventTime":"2026-11-20T09:{minute:02}:00Z",
        "eventSource":"sample.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1",
        "recipientAccountId":"111122223333","sourceIPAddress":"192.0.2.7",
        "userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ana","userName":"ana"}}{more}}}"#
    )
}

/// What the rules make of these records.
pub(crate) fn sightings(rules: &RuleSet, records: &[String]) -> Vec<Sighting> {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for record in records {
        let format = Format::Known(Kind::AwsCloudtrail);
        normalise(format, record.as_bytes(), "sample", &Limits::default(), &mut events, &mut rejects);
    }
    assert_eq!(rejects, []);
    let mut scratch = Scratch::default();
    events.iter().filter_map(|event| sight(rules, event, &mut scratch)).collect()
}

/// What follows from these records, in order.
pub(crate) fn changes(records: &[String]) -> Vec<Change> {
    let rules = rules();
    let (mut state, mut changes) = (State::new(Caps::default()), Vec::new());
    for sighting in sightings(&rules, records) {
        state.apply(&rules, &sighting, &mut changes);
    }
    changes
}
