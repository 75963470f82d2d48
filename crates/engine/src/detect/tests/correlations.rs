//! Every type of correlation from rule text to the words of its alerts.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::*;
use crate::alert::Alert;
use crate::event::Event;
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{RuleFile, RuleSet, Scratch};
use crate::time::Span;

const BASES: &str = "
title: Key made
id: 11111111-1111-4111-8111-111111111111
name: made
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: CreateAccessKey}, condition: selection}
level: low
---
title: Signed in
id: 22222222-2222-4222-8222-222222222222
name: signed
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: ConsoleLogin}, condition: selection}
level: low
";

pub(super) fn correlation(name: &str, asks: &str) -> String {
    format!("---\ntitle: {name}\nid: {name}\nname: {name}\ncorrelation: {{{asks}}}\nlevel: high\n")
}

pub(super) fn compile(correlations: &[String]) -> RuleSet {
    let text = format!("{BASES}{}", correlations.concat());
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    rules
}

/// Somebody does this at this second; `much` is its number.
pub(super) fn event(second: u32, who: &str, what: &str, much: &str) -> Event {
    let (minute, rest) = (second / 60, second % 60);
    let record = format!(
        r#"{{"eventID":"{second}-{who}-{what}-{much}","eventTime":"2026-11-20T{:02}:{:02}:{rest:02}Z",
        "eventSource":"x.amazonaws.com","eventName":"{what}","requestParameters":{{"bytes":{much}}},
        "userIdentity":{{"type":"IAMUser","userName":"{who}"}}}}"#,
        9 + minute / 60,
        minute % 60
    );
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let format = Format::Known(Kind::AwsCloudtrail);
    normalise(format, record.as_bytes(), "", &Limits::default(), &mut events, &mut rejects);
    assert_eq!(rejects, []);
    events.remove(0)
}

/// The alerts that stand after these events, which are saved and restored before the one at `restart`.
fn play(rules: &RuleSet, events: &[Event], restart: usize) -> Vec<Alert> {
    play_within(Caps::default().lateness, rules, events, restart)
}

/// The same with this lateness.
pub(super) fn play_within(lateness: Span, rules: &RuleSet, events: &[Event], restart: usize) -> Vec<Alert> {
    let caps = Caps { lateness, ..Caps::default() };
    let (mut state, mut register, mut changes) = (State::new(caps), Register::default(), Vec::new());
    for (place, event) in events.iter().enumerate() {
        if place == restart {
            state = State::restore(&state.save().unwrap(), caps).unwrap();
        }
        // Some events match nothing: they only say how far the stream has come.
        match sight(rules, event, &mut Scratch::default()) {
            Some(sighting) => state.apply(rules, &sighting, &mut changes),
            None => state.pass(rules, event.time, &mut changes),
        }
    }
    state.finish(rules, &mut changes);
    assert_eq!(state.late(), 0);
    changes.into_iter().for_each(|change| register.take(change));
    register.into_alerts()
}

/// What this one correlation says of these events.
fn said(asks: &str, events: &[Event]) -> String {
    let rules = compile(&[correlation("asked", &format!("timespan: 10m, group-by: [userIdentity.userName], {asks}"))]);
    let alerts = play(&rules, events, usize::MAX);
    alerts.iter().map(|alert| format!("{} {}\n", &alert.time.to_string()[11..19], alert.why)).collect()
}

fn day() -> Vec<Event> {
    [
        (0, "ana", "CreateAccessKey", "1.5"),
        (60, "ana", "ConsoleLogin", "4"),
        (120, "ana", "CreateAccessKey", "10"),
        (180, "ben", "ConsoleLogin", "7"),
        (240, "ben", "CreateAccessKey", "-2"),
        (3_000, "ana", "CreateAccessKey", "100"),
    ]
    .map(|(second, who, what, much)| event(second, who, what, much))
    .to_vec()
}

#[test]
fn every_type_explains_itself_with_its_numbers() {
    let day = day();
    let of = |asks: &str| said(asks, &day);
    assert_snapshot!(of("type: value_sum, rules: [made, signed], condition: {gte: 15, field: requestParameters.bytes}"), @r"
    09:02:00 a sum of requestParameters.bytes of 15.5 within 10 min for userIdentity.userName=ana, the rule asks for 15; 3 events so far. First: user ana did CreateAccessKey on x
    09:50:00 a sum of requestParameters.bytes of 100 within 10 min for userIdentity.userName=ana, the rule asks for 15; 1 event so far. First: user ana did CreateAccessKey on x
    ");
    assert_snapshot!(of("type: value_avg, rules: [made, signed], condition: {lt: 5.5, field: requestParameters.bytes}"), @r"
    09:10:00 a mean of requestParameters.bytes of 5.166666666 within 10 min for userIdentity.userName=ana, the rule asks for less than 5.5; 3 events so far. First: user ana did CreateAccessKey on x
    09:13:00 a mean of requestParameters.bytes of 2.5 within 10 min for userIdentity.userName=ben, the rule asks for less than 5.5; 2 events so far. First: user ben did ConsoleLogin on x
    ");
    assert_snapshot!(of("type: value_median, rules: [made, signed], condition: {eq: 4, field: requestParameters.bytes}"), @"09:10:00 a median of requestParameters.bytes of 4 within 10 min for userIdentity.userName=ana, the rule asks for exactly 4; 3 events so far. First: user ana did CreateAccessKey on x");
    assert_snapshot!(
        of("type: value_percentile, rules: [made, signed], condition: {gt: 9, field: requestParameters.bytes, percentile: 95}"),
        @r"
    09:10:00 95 percent of requestParameters.bytes at or below 9.4 within 10 min for userIdentity.userName=ana, the rule asks for more than 9; 3 events so far. First: user ana did CreateAccessKey on x
    10:00:00 95 percent of requestParameters.bytes at or below 100 within 10 min for userIdentity.userName=ana, the rule asks for more than 9; 1 event so far. First: user ana did CreateAccessKey on x
    "
    );
    assert_snapshot!(of("type: temporal, rules: [made, signed]"), @r"
    09:01:00 2 of 2 rules matched (Key made, Signed in) within 10 min for userIdentity.userName=ana, the rule asks for 2; 3 events so far. First: user ana did CreateAccessKey on x
    09:04:00 2 of 2 rules matched (Key made, Signed in) within 10 min for userIdentity.userName=ben, the rule asks for 2; 2 events so far. First: user ben did ConsoleLogin on x
    ");
    assert_snapshot!(of("type: temporal, rules: [made, signed], condition: made and not signed"), @"10:00:00 1 of 2 rules matched (Key made, Signed in) within 10 min for userIdentity.userName=ana, the rule asks for (Key made and not Signed in); 1 event so far. First: user ana did CreateAccessKey on x");
    assert_snapshot!(of("type: temporal_ordered, rules: [signed, made]"), @r"
    09:02:00 2 of 2 rules matched (Signed in, then Key made) within 10 min for userIdentity.userName=ana, the rule asks for 2; 3 events so far. First: user ana did CreateAccessKey on x
    09:04:00 2 of 2 rules matched (Signed in, then Key made) within 10 min for userIdentity.userName=ben, the rule asks for 2; 2 events so far. First: user ben did ConsoleLogin on x
    ");
    assert_snapshot!(of("type: event_count, rules: [made], condition: {gte: 1, lt: 2}"), @r"
    09:01:00 user ana did ConsoleLogin on x; it succeeded
    09:03:00 user ben did ConsoleLogin on x; it succeeded
    09:14:00 1 event within 10 min for userIdentity.userName=ben, the rule asks for at least 1 and less than 2; 1 event so far. First: user ben did CreateAccessKey on x
    10:00:00 1 event within 10 min for userIdentity.userName=ana, the rule asks for at least 1 and less than 2; 1 event so far. First: user ana did CreateAccessKey on x
    ");
    assert_snapshot!(of("type: event_count, rules: [made], condition: {neq: 1}"), @r"
    09:01:00 user ana did ConsoleLogin on x; it succeeded
    09:03:00 user ben did ConsoleLogin on x; it succeeded
    09:10:00 2 events within 10 min for userIdentity.userName=ana, the rule asks for anything but 1; 2 events so far. First: user ana did CreateAccessKey on x
    ");
}

#[test]
fn an_alias_joins_fields_of_different_names() {
    let asks = "type: temporal, rules: [made, signed], timespan: 10m, group-by: [who],
        aliases: {who: {made: requestParameters.bytes, signed: userIdentity.userName}}";
    let rules = compile(&[correlation("asked", asks)]);
    let events = [event(0, "ana", "CreateAccessKey", "7"), event(5, "7", "ConsoleLogin", "0")];
    let alerts = play(&rules, &events, usize::MAX);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].key, [("who".to_owned(), "7".to_owned())].into());
}

fn chain() -> RuleSet {
    let by = "group-by: [userIdentity.userName]";
    compile(&[
        correlation("burst", &format!("type: event_count, rules: [made], timespan: 1m, {by}, condition: {{gte: 3}}")),
        correlation("quiet", &format!("type: event_count, rules: [signed], timespan: 2m, {by}, condition: {{lt: 2}}")),
        correlation("both", &format!("type: temporal, rules: [burst, quiet], timespan: 10m, {by}")),
        correlation("bursts", "type: event_count, rules: [burst], timespan: 30m, condition: {gte: 2}"),
    ])
}

#[test]
fn a_finding_of_a_correlation_is_an_event_of_another() {
    let bursts = (0..3).chain(600..603).map(|second| event(second, "ana", "CreateAccessKey", "0"));
    let events: Vec<Event> = bursts.chain([event(700, "ana", "ConsoleLogin", "0")]).collect();
    let found = play(&chain(), &events, usize::MAX);
    let titles: Vec<&str> = found.iter().map(|alert| &*alert.title).collect();
    assert_eq!(titles, ["bursts", "both"], "what is only counted raises no alert");
    assert_eq!((found[0].time.to_string(), found[0].events_total), ("2026-11-20T09:10:02.000000Z".to_owned(), 2));
    assert_eq!(found[1].time.to_string(), "2026-11-20T09:13:40.000000Z", "when the quiet window has closed");
}

#[test]
fn a_late_event_that_joins_two_findings_takes_one_back() {
    let mut events: Vec<Event> =
        [0, 1, 2, 100, 101, 102].map(|second| event(second, "ana", "CreateAccessKey", "0")).to_vec();
    events.extend((20..60).step_by(10).map(|second| event(second, "ana", "CreateAccessKey", "0")));
    assert_eq!(play(&chain(), &events, usize::MAX), []);
}

#[test]
fn a_correlation_that_counts_itself_by_way_of_others_is_refused() {
    let asks = |rules: &str| format!("type: event_count, rules: [{rules}], timespan: 1m, condition: {{gte: 1}}");
    let text = format!("{BASES}{}{}", correlation("one", &asks("two")), correlation("two", &asks("one")));
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    assert_eq!((rules.rules().len(), problems.len()), (2, 2));
    assert!(problems.iter().all(|problem| problem.message.contains("counts itself")), "{problems:?}");
}

#[test]
fn a_finding_has_the_fields_of_its_key_and_no_others() {
    let inner = correlation("burst", "type: event_count, rules: [made], timespan: 1m, condition: {gte: 3}");
    let asks = "type: event_count, rules: [burst], timespan: 1h, group-by: [awsRegion], condition: {gte: 2}";
    let text = format!("{BASES}{inner}{}", correlation("outer", asks));
    let (_, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!(messages, ["a finding of `burst` has the fields of its group-by only, and `awsRegion` is none of them"]);
}

/// Every type that is judged once, every type that is not, and chains of both.
pub(super) fn everything() -> RuleSet {
    let by = "group-by: [userIdentity.userName]";
    let field = "field: requestParameters.bytes";
    let both = format!("rules: [made, signed], timespan: 3m, {by}");
    compile(&[
        correlation("few", &format!("type: event_count, {both}, condition: {{lte: 2}}")),
        correlation("some", &format!("type: value_count, {both}, condition: {{gt: 1, lt: 4, {field}}}")),
        correlation("sum", &format!("type: value_sum, {both}, condition: {{gte: 6, {field}}}")),
        correlation("odd", &format!("type: value_sum, {both}, condition: {{neq: 6, {field}}}")),
        correlation("mean", &format!("type: value_avg, {both}, condition: {{gte: 2, {field}}}")),
        correlation("most", &format!("type: value_percentile, {both}, condition: {{gte: 3, {field}, percentile: 80}}")),
        correlation("alone", &format!("type: temporal, {both}, condition: made and not signed")),
        correlation("near", &format!("type: temporal, {both}, generate: true")),
        correlation("after", &format!("type: temporal_ordered, {both}, generate: true")),
        correlation("meeting", "type: event_count, rules: [near], timespan: 10m, condition: {gte: 2}, generate: true"),
        correlation("order", &format!("type: temporal_ordered, rules: [near, after], timespan: 9m, {by}")),
        correlation("lull", "type: event_count, rules: [few], timespan: 20m, condition: {gte: 2}, generate: true"),
        correlation("lulls", "type: event_count, rules: [lull], timespan: 40m, condition: {lt: 2}"),
    ])
}

/// What one closed window comes to, in the plainest way: whether the condition holds.
type Judge = fn(&[(u32, bool, i64)]) -> bool;

/// The findings of windows that are judged once: (user, second of the end, events) of each episode.
fn naive(events: &[(u32, u8, bool, i64)], judge: Judge) -> Vec<(u8, u32, u64)> {
    let mut found = Vec::new();
    for who in 0..3 {
        let own: Vec<_> = events.iter().filter(|it| it.1 == who).map(|it| (it.0, it.2, it.3)).collect();
        let (mut rest, mut last) = (&own[..], None::<(usize, u32)>);
        while let Some(&(open, ..)) = rest.first() {
            let (window, after) = rest.split_at(rest.partition_point(|it| it.0 < open + 180));
            rest = after;
            if !judge(window) {
                continue;
            }
            match last {
                Some((place, held)) if open <= held + 180 || (open + 180) / 180 == crossed(&found, place) / 180 => {
                    let alert: &mut (u8, u32, u64) = &mut found[place];
                    alert.2 += window.len() as u64;
                    last = Some((place, open + 180));
                }
                _ => {
                    found.push((who, open + 180, window.len() as u64));
                    last = Some((found.len() - 1, open + 180));
                }
            }
        }
    }
    found.sort_unstable();
    found
}

fn crossed(found: &[(u8, u32, u64)], place: usize) -> u32 {
    found[place].1
}

fn values(window: &[(u32, bool, i64)]) -> Vec<i64> {
    let mut values: Vec<i64> = window.iter().map(|it| it.2).collect();
    values.sort_unstable();
    values
}

const JUDGES: [(&str, Judge); 6] = [
    ("type: event_count, condition: {lte: 2}", |window| window.len() <= 2),
    ("type: value_count, condition: {gt: 1, lt: 4, field: requestParameters.bytes}", |window| {
        let mut values = values(window);
        values.dedup();
        (2..=3).contains(&values.len())
    }),
    ("type: value_sum, condition: {neq: 6, field: requestParameters.bytes}", |window| {
        values(window).iter().sum::<i64>() != 6
    }),
    ("type: value_avg, condition: {gte: 2, field: requestParameters.bytes}", |window| {
        values(window).iter().sum::<i64>() >= 2 * window.len() as i64
    }),
    ("type: value_median, condition: {eq: 2, field: requestParameters.bytes}", |window| {
        let values = values(window);
        values[(values.len() - 1) / 2] + values[values.len() / 2] == 4
    }),
    ("type: temporal, condition: made and not signed", |window| window.iter().all(|it| it.1)),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn closed_windows_are_those_of_a_plain_evaluation(
        drawn in proptest::collection::btree_set((0u32..1_100, 0u8..3, any::<bool>(), 0i64..5), 1..50),
        which in 0usize..JUDGES.len(),
    ) {
        let (asks, judge) = JUDGES[which];
        let by = "rules: [made, signed], timespan: 3m, group-by: [userIdentity.userName]";
        let rules = compile(&[correlation("asked", &format!("{by}, {asks}"))]);
        let drawn: Vec<_> = drawn.into_iter().collect();
        let event = |(second, who, made, much): &(u32, u8, bool, i64)| {
            let what = if *made { "CreateAccessKey" } else { "ConsoleLogin" };
            event(*second, &format!("user-{who}"), what, &much.to_string())
        };
        let events: Vec<Event> = drawn.iter().rev().map(event).collect();
        // Times of day begin at nine, which is a border of three minutes.
        let start = "2026-11-20T09:00:00Z".parse::<Timestamp>().unwrap();
        let mut found: Vec<(u8, u32, u64)> = play(&rules, &events, usize::MAX)
            .iter()
            .map(|alert| {
                let who = alert.key["userIdentity.userName"].bytes().last().unwrap() - b'0';
                (who, u32::try_from(alert.time.since(start).micros() / 1_000_000).unwrap(), alert.events_total)
            })
            .collect();
        found.sort_unstable();
        prop_assert_eq!(found, naive(&drawn, judge), "{}", asks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_stands_depends_on_neither_the_order_of_arrival_nor_restarts(
        drawn in proptest::collection::vec((0u32..1_100, 0u8..3, any::<bool>(), 0u8..5, any::<u16>()), 1..50),
        restart in 0usize..50,
    ) {
        let rules = everything();
        let event = |(second, who, made, much, _): &(u32, u8, bool, u8, u16)| {
            let what = if *made { "CreateAccessKey" } else { "ConsoleLogin" };
            event(*second, &format!("user-{who}"), what, &much.to_string())
        };
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup_by_key(|it| (it.0, it.1, it.2, it.3));
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|it| it.4);
        let [sorted, shuffled] = [sorted, shuffled].map(|drawn| drawn.iter().map(event).collect::<Vec<_>>());
        let expected = play(&rules, &sorted, usize::MAX);
        let found = play(&rules, &shuffled, restart);
        let first = expected.iter().zip(&found).find(|(one, other)| one != other);
        prop_assert!(drawn.len() < 20 || !expected.is_empty(), "nothing to compare proves little");
        prop_assert!(first.is_none() && expected.len() == found.len(), "{first:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn quiet_hours_and_early_judgements_change_nothing(
        drawn in proptest::collection::vec(
            (prop_oneof![6 => 0u32..40, 1 => 1_000u32..9_000], 0u8..3, 0u8..4, 0u8..5, 0u32..59),
            1..60,
        ),
        restart in 0usize..60,
    ) {
        let rules = everything();
        let mut now = 0;
        let mut events = Vec::new();
        for (gap, who, what, much, delay) in drawn {
            now += gap;
            if now > 53_000 {
                break;
            }
            // Some match nothing.
            let what = ["CreateAccessKey", "ConsoleLogin", "CreateAccessKey", "GetObject"][usize::from(what)];
            events.push((now, now + delay, event(now, &format!("user-{who}"), what, &much.to_string())));
        }
        events.sort_by_key(|(time, _, event)| (*time, event.uid.clone()));
        events.dedup_by_key(|(.., event)| event.uid.clone());
        let sorted: Vec<Event> = events.iter().map(|it| it.2.clone()).collect();
        events.sort_by_key(|it| it.1);
        let shuffled: Vec<Event> = events.into_iter().map(|it| it.2).collect();
        // Nothing leaves and nothing is judged before the end.
        let expected = play_within(Span::seconds(86_400), &rules, &sorted, usize::MAX);
        let found = play_within(Span::seconds(60), &rules, &shuffled, restart);
        let first = expected.iter().zip(&found).find(|(one, other)| one != other);
        prop_assert!(first.is_none() && expected.len() == found.len(), "{first:#?} {} {}", expected.len(), found.len());
    }
}
