//! Of many alerts people are told as many as they can read.

use super::*;
use crate::detect::Register;
use crate::rule::{Given, Severity};

/// Two rules that learn, one of them critical, and one that does not.
const RULES: &str = "
title: Secret new to user
id: 11111111-1111-4111-8111-111111111111
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetSecretValue}, condition: selection}
anomaly: {type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId], learn: {time: 7d, count: 10}, p: 0.01}
dedup: {period: 1m}
level: medium
---
title: Crown jewel new to user
id: 22222222-2222-4222-8222-222222222222
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetSecretValue, requestParameters.secretId|startswith: [crown, app]}, condition: selection}
anomaly: {type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId], learn: {time: 7d, count: 5}, p: 0.01}
level: critical
---
title: Trail stopped
id: 33333333-3333-4333-8333-333333333333
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: StopLogging}, condition: selection}
level: low
";

fn set(budget: Option<&str>) -> RuleSet {
    set_of(RULES, budget)
}

fn set_of(text: &str, budget: Option<&str>) -> RuleSet {
    let budget = budget.map(|budget| budget.parse().unwrap());
    let file = RuleFile { path: "rules.yml".to_owned(), text: text.to_owned() };
    let (rules, problems) = RuleSet::compile_with(&[file], &Given { budget, ..Given::default() });
    assert_eq!(problems, []);
    rules
}

/// What stands at the end, and how many were held back.
fn stands(rules: &RuleSet, events: &[(i64, String)], restart_at: usize) -> (Vec<Alert>, u64) {
    let (mut state, mut register, mut changes) = (State::new(Caps::default()), Register::default(), Vec::new());
    for (number, (_, record)) in events.iter().enumerate() {
        if number == restart_at {
            state = State::restore(&state.save().unwrap(), Caps::default()).unwrap();
        }
        state.apply(rules, &sighting(rules, record), &mut changes);
    }
    state.finish(rules, &mut changes);
    changes.into_iter().for_each(|change| register.take(change));
    (register.into_alerts(), state.held_back())
}

/// So many people do something new on each of these days, one every ten minutes.
fn noisy(days: std::ops::Range<i64>, each: i64) -> Vec<(i64, String)> {
    let mut events = office(days.end + 1);
    for day in days {
        for number in 0..each {
            let who = number % 10;
            events.push(read(
                day * DAY + 8 * HOUR + number * 600_000 + 5,
                &format!("user-{who}"),
                &format!("new-{day}-{number}"),
            ));
        }
    }
    in_order(events)
}

fn by_day(alerts: &[Alert], title: &str) -> Vec<usize> {
    let mut days = std::collections::BTreeMap::new();
    for alert in alerts.iter().filter(|alert| alert.title == title) {
        *days.entry(alert.time.cell(Span::seconds(86_400))).or_default() += 1;
    }
    days.into_values().collect()
}

const NEW: &str = "Secret new to user";
const HELD: &str = "Alerts of rules that learn were held back";

#[test]
fn no_more_than_the_budget_are_told_a_day_and_the_rest_stands_in_a_digest() {
    let events = noisy(14..18, 30);
    let (all, held) = stands(&set(None), &events, usize::MAX);
    assert_eq!((by_day(&all, NEW), held), (vec![30; 4], 0));
    let (told, held) = stands(&set(Some("8/day")), &events, usize::MAX);
    assert!(by_day(&told, NEW).iter().all(|count| *count <= 8), "{:?}", by_day(&told, NEW));
    let digests: Vec<_> = told.iter().filter(|alert| alert.title == HELD).collect();
    assert_eq!(digests.iter().map(|digest| digest.count).sum::<u64>(), held);
    assert_eq!(held + by_day(&told, NEW).iter().sum::<usize>() as u64, 120, "nothing is lost");
    let digest = digests.first().expect("one a day");
    assert_eq!(digest.severity, Severity::Informational);
    let text = "22 alerts were held back on 2026-11-16 and 8 told: 22 of Secret new to user. The most unusual: Secret new to user: ";
    assert!(digest.why.starts_with(text), "{}", digest.why);
}

#[test]
fn a_day_with_too_many_makes_the_next_one_stricter_and_quiet_days_undo_it() {
    let mut desk_days = Vec::new();
    let mut events = noisy(14..16, 30);
    // Three quiet days, and one with few.
    events.extend(noisy(21..22, 5).into_iter().filter(|(at, _)| *at > 16 * DAY));
    let events = in_order(events);
    let (told, _) = stands(&set(Some("8/day")), &events, usize::MAX);
    desk_days.extend(by_day(&told, NEW));
    assert_eq!(desk_days.last(), Some(&5), "{desk_days:?}");
}

#[test]
fn one_key_has_three_a_day_and_leaves_room_for_others() {
    let mut events = office(15);
    events.extend(
        (0..12).map(|number| read(14 * DAY + 8 * HOUR + number * 600_000 + 5, "user-3", &format!("new-{number}"))),
    );
    events.push(read(14 * DAY + 11 * HOUR + 5, "user-4", "other"));
    let (told, held) = stands(&set(Some("6/day")), &in_order(events), usize::MAX);
    let of = |who: &str| told.iter().filter(|alert| alert.key.values().any(|key| key == who)).count();
    assert_eq!((of("user-3"), of("user-4"), held), (3, 1, 9));
}

#[test]
fn what_is_critical_and_what_does_not_learn_is_always_told() {
    let mut events = noisy(14..15, 30);
    for number in 0..10 {
        let at = 14 * DAY + 14 * HOUR + number * 60_000;
        events.push(read(at, &format!("user-{number}"), &format!("crown-{number}")));
        let (at, record) = read(at + 1, "ana", "");
        events.push((at, record.replace("GetSecretValue", "StopLogging")));
    }
    let (told, _) = stands(&set(Some("1/day")), &in_order(events), usize::MAX);
    let count = |title: &str| told.iter().filter(|alert| alert.title == title).count();
    assert_eq!((count("Crown jewel new to user"), count("Trail stopped"), count(NEW)), (10, 10, 1));
}

#[test]
fn an_alert_that_was_told_goes_on_and_one_that_was_held_back_is_decided_on_when_it_doubles() {
    let rules = set_of(&RULES.replace("period: 1m", "period: 1d"), Some("1/day"));
    let mut events = office(16);
    let mut new = |who: i64, day: i64, count: i64| {
        let name = format!("user-{who}");
        let at = day * DAY + 8 * HOUR + who * 60_000;
        events.extend((0..count).map(|number| read(at + number * 1_800_000, &name, &format!("new-{day}-{number}"))));
    };
    new(1, 14, 5);
    new(2, 14, 1);
    new(2, 15, 1);
    let (told, held) = stands(&rules, &in_order(events), usize::MAX);
    let of = |who: &str| told.iter().filter(|alert| alert.key.values().any(|key| key == who)).collect::<Vec<_>>();
    assert_eq!(of("user-1").iter().map(|alert| alert.events_total).collect::<Vec<_>>(), [5], "it grows as ever");
    assert_eq!(of("user-2").iter().map(|alert| alert.events_total).collect::<Vec<_>>(), [2], "there was room next day");
    assert_eq!(held, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn neither_order_within_the_lateness_nor_a_restart_changes_what_is_told(
        swaps in proptest::collection::vec((0usize..1_500, 1usize..12), 0..300),
        restart_at in 0usize..1_400,
        budget in 1u32..12,
        goes_on in any::<bool>(),
    ) {
        let text = if goes_on { RULES.replace("period: 1m", "period: 1d") } else { RULES.to_owned() };
        let rules = set_of(&text, Some(&format!("{budget}/day")));
        let sorted = noisy(9..13, 40);
        let mut moved = sorted.clone();
        for (place, by) in swaps {
            if let (Some(one), Some(other)) = (moved.get(place), moved.get(place + by))
                && (one.0 - other.0).abs() < 600_000
            {
                moved.swap(place, place + by);
            }
        }
        let mut newest = 0;
        let late = moved.iter().any(|(at, _)| { newest = newest.max(*at); newest - at >= 1_200_000 });
        prop_assume!(!late);
        let wanted = stands(&rules, &sorted, usize::MAX);
        prop_assert!(goes_on || wanted.1 > 0);
        prop_assert_eq!(stands(&rules, &moved, restart_at), wanted);
    }
}
