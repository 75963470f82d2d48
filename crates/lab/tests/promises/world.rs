//! A small world: a few people, a few actions in two kinds of log, and rules of every kind about them.

use std::sync::LazyLock;

use engine::rule::{RuleFile, RuleSet};
use engine::time::{Span, Timestamp};
use lab::chance::Chance;
use lab::replay::Record;
use proptest::prelude::*;

/// What the engine is told to wait.
pub(crate) const LATENESS: Span = Span::seconds(600);

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// Makes its id: ids sort like numbers, and without accounts nothing else decides among equal times.
    pub(crate) number: usize,
    pub(crate) second: u32,
    pub(crate) who: u8,
    pub(crate) act: Act,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// CloudTrail: one secret, or two at once.
    Read { secret: u8, and: Option<u8> },
    /// CloudTrail: matched by rules that alert once an event and once an episode.
    Stop,
    /// GitHub: counted together with the reads.
    Clone,
    /// Nobody asks for it.
    Look,
}

/// One rule of each kind. Windows, quiet times and thresholds differ, so that episodes hold on, end between
/// events, and overlap cells in every way.
const RULES: &str = "
title: alone
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Stop}, condition: selection}
level: high
---
title: episode
id: 00000000-0000-4000-8000-000000000002
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Stop}, condition: selection}
dedup: {group-by: [userIdentity.userName], period: 4m}
level: high
---
title: read
id: 00000000-0000-4000-8000-000000000003
name: read
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Read}, condition: selection}
level: low
---
title: clone
id: 00000000-0000-4000-8000-000000000004
name: clone
logsource: {product: github, service: audit}
detection: {selection: {action: git.clone}, condition: selection}
level: low
---
title: events
id: 00000000-0000-4000-8000-000000000005
correlation:
  {type: event_count, rules: [read], group-by: [userIdentity.userName], timespan: 5m, condition: {gte: 3}}
dedup: {group-by: [userIdentity.userName], period: 30s}
level: medium
---
title: values
id: 00000000-0000-4000-8000-000000000006
correlation:
  type: value_count
  rules: [read]
  group-by: [userIdentity.userName]
  timespan: 5m
  condition: {gte: 3, field: requestParameters.secrets}
level: medium
---
title: both
id: 00000000-0000-4000-8000-000000000007
correlation: {type: event_count, rules: [read, clone], timespan: 2m, condition: {gte: 4}}
level: low
";

pub(crate) static RULE_SET: LazyLock<RuleSet> = LazyLock::new(|| {
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "world.yml".into(), text: RULES.into() }]);
    assert_eq!(problems, []);
    rules
});

impl Happening {
    pub(crate) fn time(&self) -> Timestamp {
        // Not on a border of cells, nor far from one.
        Timestamp::from_micros(i64::from(self.second) * 1_000_000 + 1_700_000_000_500_000)
    }

    pub(crate) fn id(&self) -> String {
        format!("event-{:05}", self.number)
    }

    pub(crate) fn record(&self) -> Record {
        let (id, time, who) = (self.id(), self.time(), self.who);
        let trail = |name: &str, parameters: String| {
            format!(
                r#"{{"eventVersion":"1.11","eventID":"{id}","eventTime":"{time}","eventSource":"x.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1","userIdentity":{{"type":"IAMUser","userName":"user-{who}"}},"requestParameters":{parameters}}}"#
            )
        };
        let body = match self.act {
            Act::Read { secret, and: None } => trail("Read", format!(r#"{{"secrets":"s{secret}"}}"#)),
            Act::Read { secret, and: Some(and) } => trail("Read", format!(r#"{{"secrets":["s{secret}","s{and}"]}}"#)),
            Act::Stop => trail("Stop", "null".to_owned()),
            Act::Look => trail("Look", "null".to_owned()),
            Act::Clone => format!(
                r#"{{"@timestamp":{},"_document_id":"{id}","action":"git.clone","actor":"user-{who}"}}"#,
                time.millis()
            ),
        };
        Record { position: format!("somewhere:{}", self.number), body: body.into_bytes() }
    }
}

/// Streams of up to 80 events within an hour, in no order.
pub(crate) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let act = prop_oneof![
        4 => (0u8..6, proptest::option::of(0u8..6)).prop_map(|(secret, and)| Act::Read { secret, and }),
        2 => Just(Act::Stop),
        2 => Just(Act::Clone),
        1 => Just(Act::Look),
    ];
    let second = prop_oneof![1 => 0u32..3_600, 2 => 900u32..1_500];
    proptest::collection::vec((second, 0u8..3, act), 0..80).prop_map(|drawn| {
        let happening = |(number, (second, who, act))| Happening { number, second, who, act };
        drawn.into_iter().enumerate().map(happening).collect()
    })
}

/// A busy day and a half of `events`, in bursts.
pub(crate) fn long(events: usize, seed: u64) -> Vec<Happening> {
    let mut chance = Chance::new(seed);
    let mut draw = move |bound: u64| u32::try_from(chance.below(bound)).expect("a small bound");
    let small = |number: u32| u8::try_from(number).expect("a small number");
    let mut second = 0;
    let happening = |number| {
        second += if draw(10) == 0 { draw(600) } else { draw(8) };
        let who = small(draw(3));
        let act = match draw(9) {
            0..4 => Act::Read { secret: small(draw(6)), and: None },
            4..6 => Act::Stop,
            6..8 => Act::Clone,
            _ => Act::Look,
        };
        Happening { number, second, who, act }
    };
    (0..events).map(happening).collect()
}
