//! What is read of a record's text alone is what the whole way comes to.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::address::{Addresses, Aspect, Ranges, Whereabouts};
use crate::detect::{Raw, sight, sight_raw};
use crate::event::Kind;
use crate::normalise::{Format, Limits, home, normalise};
use crate::rule::{Given, Mappings, RuleFile, RuleSet, Scratch};

const RULES: &str = "
title: Any
id: 11111111-1111-4111-8111-111111111111
name: any
logsource: {}
detection: {s: {time|exists: true}, t: {eventName|exists: true}, condition: 1 of them}
level: low
dedup: {group-by: [a, userIdentity.type], period: 1h}
---
title: Values
id: 22222222-2222-4222-8222-222222222222
level: low
correlation: {type: value_count, rules: [any], generate: true, group-by: [eventSource], timespan: 1h, condition: {gte: 2, field: a.b}}
---
title: Sum
id: 33333333-3333-4333-8333-333333333333
level: low
correlation: {type: value_sum, rules: [any], group-by: [userIdentity.arn], timespan: 1h, condition: {gte: 2, field: a}}
---
title: Place
id: 55555555-5555-4555-8555-555555555555
logsource: {}
detection: {s: {source.geo.country_iso_code: DE}, t: {a: x, source.tor: null}, condition: 1 of them}
level: low
dedup: {group-by: [source.as.number, source.geo.city_name], period: 1h}
";

/// Asks for what an identity and facets are read from, which is lent what stands under other names.
const LENT: &str = "---
title: Lent
id: 44444444-4444-4444-8444-444444444444
level: low
logsource: {}
detection:
  s: [{eventID: x}, {recipientAccountId: x}, {userIdentity: x}, {sourceIPAddress: x}, {uuid: x}, {errorCode: x}]
  condition: s
dedup: {group-by: [userIdentity, errorCode], period: 1h}
";

fn compile(mapped: bool) -> RuleSet {
    let fields = "fields: {a: [errorCode, resources], eventSource: [source], userIdentity: [specversion, a.b],
        userIdentity.arn: [userIdentity.type, id], eventID: [event_id], uuid: [errorMessage],
        recipientAccountId: [userIdentity.accountId], sourceIPAddress: [requestParameters.b]}";
    let file = |kind: &str| RuleFile { path: kind.into(), text: format!("kind: {kind}\n{fields}") };
    let files = if mapped { ["json", "aws.cloudtrail"].map(file).to_vec() } else { Vec::new() };
    let (mappings, problems) = Mappings::read(&files, &[]);
    assert_eq!(problems, []);
    let text = format!("{RULES}{}", if mapped { LENT } else { "" });
    let mut place = Whereabouts::default();
    place.set(Aspect::Country, "DE");
    place.set(Aspect::Network, "64500");
    let addresses = Addresses::of(Arc::new(Ranges::new([("192.0.2.0/24".parse().unwrap(), place)])));
    let given = Given { mappings, addresses, ..Given::default() };
    let (rules, problems) = RuleSet::compile_with(&[RuleFile { path: "r.yml".into(), text }], &given);
    assert_eq!(problems, []);
    rules
}

/// A member: names that something is read from, and values of every sort.
fn member() -> impl Strategy<Value = String> {
    let names = [
        "a",
        "a.b",
        "eventID",
        "recipientAccountId",
        "userIdentity",
        "userIdentity.accountId",
        "eventSource",
        "uuid",
        "event_id",
        "detail-type",
        "specversion",
        "source",
        "id",
        "errorCode",
        "sourceIPAddress",
        "resources",
        "requestParameters",
        "responseElements",
        "errorMessage",
    ];
    (select(names.to_vec()), value()).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

fn value() -> impl Strategy<Value = String> {
    let scalars = [
        "\"x\"",
        "\"\"",
        "\"pass\\u00e4 \\\"q\\\"\"",
        "1.5",
        "-7",
        "true",
        "null",
        "\"Role\"",
        "\"arn:aws:x:1:y/z\"",
        "\"Failure\"",
        "\"192.0.2.1\"",
    ];
    let scalar = select(scalars.to_vec()).prop_map(str::to_owned);
    let inner = ["b", "type", "arn", "accountId", "userName", "ARN", "roleName", "ConsoleLogin", "principalId"];
    scalar.prop_recursive(2, 8, 3, move |deeper| {
        prop_oneof![
            vec(deeper.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            vec((select(inner.to_vec()), deeper), 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_sighting_of_the_text_is_that_of_the_whole_way(
        members in vec(member(), 0..7),
        name in select(vec!["ConsoleLogin", "x"]),
        kind in select(vec![Kind::AwsCloudtrail, Kind::Json]),
        mapped: bool,
    ) {
        let rules = compile(mapped);
        let time = "2026-11-23T10:00:00Z";
        let text = format!(
            "{{\"time\":\"{time}\",\"eventTime\":\"{time}\",\"eventName\":\"{name}\",\"rest\":0{}{}}}",
            if members.is_empty() { "" } else { "," },
            members.join(",")
        );
        let (format, limits, mut scratch) = (Format::Known(kind), Limits::default(), Scratch::default());
        let raw = Raw { body: text.as_bytes(), position: "f:1", format };
        // The second time all is read in one walk.
        let seen = [(); 2].map(|()| sight_raw(&rules, raw, &limits, &mut scratch));
        for seen in seen.into_iter().flatten() {
            let (mut events, mut rejects) = (Vec::new(), Vec::new());
            normalise(format, raw.body, raw.position, &limits, &mut events, &mut rejects);
            let [event] = &events[..] else { panic!("{text}: {rejects:?}") };
            prop_assert_eq!(seen.time, event.time);
            prop_assert_eq!(seen.home, home(event), "{}", text);
            prop_assert_eq!(seen.sighting, sight(&rules, event, &mut scratch), "{}", text);
        }
    }
}

#[test]
fn an_ordinary_record_needs_no_parser() {
    let rules = compile(false);
    for (kind, text) in [
        (
            Kind::AwsCloudtrail,
            r#"{"eventID":"1","eventTime":"2026-11-23T10:00:00Z","eventName":"x","userIdentity":{"accountId":"2"}}"#,
        ),
        (Kind::AwsCloudtrail, r#"{"eventTime":"2026-11-23T10:00:00Z","eventName":"x","errorMessage":"\"no\""}"#),
        (Kind::Json, r#"{"time":"2026-11-23T10:00:00Z","uuid":"y"}"#),
        (Kind::Json, r#"{"time":"2026-11-23T10:00:00Z"}"#),
    ] {
        let raw = Raw { body: text.as_bytes(), position: "f:1", format: Format::Known(kind) };
        let seen = sight_raw(&rules, raw, &Limits::default(), &mut Scratch::default());
        assert!(seen.and_then(|seen| seen.sighting).is_some(), "{text}");
    }
}
