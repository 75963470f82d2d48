use super::*;
use crate::event::Event;
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{RuleFile, RuleSet, Scratch};

/// One detection that is told once a group and hour, and one count of its matches; `least` is what it asks.
fn rules(least: u32) -> RuleSet {
    let text = format!(
        "
title: Key made
id: 11111111-1111-4111-8111-111111111111
name: made
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{eventName: CreateAccessKey}}, condition: selection}}
level: low
dedup: {{group-by: [userIdentity.arn], period: 1h}}
---
title: Many keys made
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: event_count
  rules: [made]
  generate: true
  group-by: [userIdentity.arn]
  timespan: 10m
  condition: {{gte: {least}}}
level: high
"
    );
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    rules
}

/// A key is made at this minute, by ana or by somebody whom the record does not name.
fn made(minute: u32, named: bool) -> Event {
    let identity = if named { r#"{"arn":"arn:aws:iam::111122223333:user/ana"}"# } else { r#"{"type":"AWSAccount"}"# };
    let record = format!(
        r#"{{"eventID":"{minute}","eventTime":"2026-11-20T09:{minute:02}:00Z","eventSource":"iam.amazonaws.com",
        "eventName":"CreateAccessKey","userIdentity":{identity}}}"#
    );
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let format = Format::Known(Kind::AwsCloudtrail);
    normalise(format, record.as_bytes(), "", &Limits::default(), &mut events, &mut rejects);
    assert_eq!(rejects, []);
    events.remove(0)
}

/// The titles of the alerts that people are told of, in order.
fn told(state: &mut State, rules: &RuleSet, events: &[Event]) -> Vec<String> {
    let mut changes = Vec::new();
    for event in events {
        let sighting = sight(rules, event, &mut Scratch::default()).expect("the rule matches");
        state.apply(rules, &sighting, &mut changes);
    }
    changes.into_iter().filter(|change| change.tell).map(|change| change.alert.title).collect()
}

#[test]
fn one_alert_an_hour_is_told_of_each_actor() {
    let mut state = State::new(Caps::default());
    let events = [made(0, true), made(1, true), made(2, true)];
    // The second doubles the episode; the third does not.
    assert_eq!(told(&mut state, &rules(9), &events), ["Key made", "Key made"]);
}

#[test]
fn an_event_without_the_field_it_is_grouped_by_still_raises_its_alert() {
    let mut state = State::new(Caps::default());
    assert_eq!(told(&mut state, &rules(1), &[made(0, false)]), ["Key made"]);
}

#[test]
fn a_rule_that_now_asks_something_else_counts_anew_and_tells() {
    let mut state = State::new(Caps::default());
    assert_eq!(told(&mut state, &rules(9), &[made(0, true), made(1, true), made(2, true)]).len(), 2);
    let restored = State::restore(&state.save().unwrap(), Caps::default()).unwrap();
    let mut state = restored;
    assert_eq!(told(&mut state, &rules(2), &[made(3, true)]), ["Key made"; 1]);
    assert_eq!(told(&mut state, &rules(2), &[made(4, true)]), ["Many keys made"]);
}

#[test]
fn the_least_recent_key_leaves_first_and_is_counted() {
    let mut state = State::new(Caps { keys_max: 1, ..Caps::default() });
    told(&mut state, &rules(9), &[made(0, false), made(1, true)]);
    assert_eq!((state.keys(), state.evicted() > 0), (1, true));
}

#[test]
fn a_secret_in_an_id_is_hidden_and_two_such_ids_stay_two() {
    let rules = rules(9);
    let event = |last: char| {
        let mut event = made(0, true);
        event.uid.id = format!("ghp_{}{last}", "a1B2".repeat(9).get(..35).unwrap());
        sight(&rules, &event, &mut Scratch::default()).unwrap().uid
    };
    assert!(!event('x').id.contains("a1B2"), "{:?}", event('x'));
    assert_ne!(event('x'), event('y'));
}

mod correlations;
mod raw;
mod time;
