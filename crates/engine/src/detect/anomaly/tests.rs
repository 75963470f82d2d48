mod budget;
mod peers;
mod risk;

use proptest::prelude::*;

use crate::alert::Alert;
use crate::detect::{Caps, Change, Sighting, State, sight};
use crate::event::Kind;
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{Given, RuleFile, RuleSet, Scratch};
use crate::time::{Span, Timestamp};

mod travel;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A Monday.
fn start() -> i64 {
    "2026-11-02T00:00:00Z".parse::<Timestamp>().unwrap().millis()
}

fn rules(anomaly: &str) -> RuleSet {
    let text = format!(
        "title: Unusual\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {{product: aws, service: cloudtrail}}\n\
         detection: {{selection: {{eventName: GetSecretValue}}, condition: selection}}\nlevel: medium\nanomaly: {anomaly}\n"
    );
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    rules
}

/// Somebody reads a secret at this moment, in milliseconds behind the start.
fn read(at: i64, who: &str, secret: &str) -> (i64, String) {
    read_as(at, who, "everybody", secret)
}

/// The same as a member of a team.
fn read_as(at: i64, who: &str, team: &str, secret: &str) -> (i64, String) {
    let time = Timestamp::from_millis(start() + at);
    let record = format!(
        r#"{{"eventID":"{at}-{who}-{secret}","eventTime":"{time}","eventSource":"secretsmanager.amazonaws.com",
        "eventName":"GetSecretValue","userIdentity":{{"arn":"{who}","team":"{team}"}},
        "requestParameters":{{"secretId":"{secret}"}}}}"#
    );
    (at, record)
}

fn sighting(rules: &RuleSet, record: &str) -> Sighting {
    seen(rules, record).expect("the rule matches")
}

fn seen(rules: &RuleSet, record: &str) -> Option<Sighting> {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let format = Format::Known(Kind::AwsCloudtrail);
    normalise(format, record.as_bytes(), "", &Limits::default(), &mut events, &mut rejects);
    assert_eq!(rejects, []);
    sight(rules, &events[0], &mut Scratch::default())
}

/// The last form of each alert, in order of time, and the state that they come from.
fn alerts(rules: &RuleSet, events: &[(i64, String)], restart_at: usize) -> Vec<Alert> {
    let mut state = State::new(Caps::default());
    let mut changes: Vec<Change> = Vec::new();
    for (number, (_, record)) in events.iter().enumerate() {
        if number == restart_at {
            state = State::restore(&state.save().unwrap(), Caps::default()).unwrap();
        }
        if let Some(sighting) = seen(rules, record) {
            state.apply(rules, &sighting, &mut changes);
        }
    }
    state.finish(rules, &mut changes);
    let mut last: Vec<Alert> = Vec::new();
    for change in changes {
        last.retain(|alert| alert.id != change.alert.id);
        last.push(change.alert);
    }
    last.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
    last
}

fn in_order(mut events: Vec<(i64, String)>) -> Vec<(i64, String)> {
    events.sort();
    events
}

/// Ten people who read the same three secrets each working hour of so many days.
fn office(days: i64) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    for hour in (0..days * 24).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24))) {
        for who in 0..10 {
            let at = hour * HOUR + who * 60_000;
            events.push(read(
                at,
                &format!("user-{who}"),
                ["app", "db", "queue"][usize::try_from((hour + who) % 3).unwrap()],
            ));
        }
    }
    events
}

const FIRST_SEEN: &str = "{type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId]}";

#[test]
fn a_value_that_a_key_never_had_is_an_alert_and_what_it_had_is_not() {
    let mut events = office(21);
    events.push(read(21 * DAY + 9 * HOUR, "user-3", "root-key"));
    let alerts = alerts(&rules(FIRST_SEEN), &in_order(events), usize::MAX);
    assert_eq!(
        alerts.iter().map(|alert| alert.why.as_str()).collect::<Vec<_>>(),
        [
            "requestParameters.secretId \"root-key\" is new for userIdentity.arn=user-3; it had 3 in 21 days, and 0 of 9 others \
         have this one; of 447 looks at all keys one in 448 was as unusual; 1 event so far. First: user-3 did \
         GetSecretValue on root-key"
        ]
    );
}

#[test]
fn what_comes_while_a_key_is_learnt_is_usual_and_what_comes_later_on_two_days() {
    let mut events = office(28);
    for day in [14, 15, 16] {
        events.push(read(day * DAY + 9 * HOUR, "user-3", "late"));
    }
    let alerts = alerts(&rules(FIRST_SEEN), &in_order(events), usize::MAX);
    // The second day goes on with the first one's alert.
    assert_eq!(alerts.iter().map(|alert| alert.events_total).collect::<Vec<_>>(), [2]);
}

#[test]
fn many_new_values_at_once_are_one_alert_that_grows() {
    let mut events = office(21);
    events.extend((0..40).map(|number| read(21 * DAY + number * 1_000, "user-3", &format!("swept-{number}"))));
    let alerts = alerts(&rules(FIRST_SEEN), &in_order(events), usize::MAX);
    assert_eq!(alerts.iter().map(|alert| alert.events_total).collect::<Vec<_>>(), [40]);
}

#[test]
fn a_burst_of_distinct_values_is_told_with_what_is_usual() {
    let mut events = office(28);
    events
        .extend((0..20).map(|number| read(28 * DAY + 9 * HOUR + number * 1_000, "user-3", &format!("swept-{number}"))));
    let rules = rules("{type: distinct, by: [userIdentity.arn], of: [requestParameters.secretId], window: 10m}");
    let alerts = alerts(&rules, &in_order(events), usize::MAX);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert_eq!((alert.count, alert.events_total), (20, 20));
    assert!(
        alert
            .why
            .starts_with("20 distinct requestParameters.secretId within 10 min for userIdentity.arn=user-3; usually 1.0, at most 1, in 28 "),
        "{}",
        alert.why
    );
}

#[test]
fn a_burst_of_events_is_told_and_a_steady_stream_is_not() {
    let mut events = office(28);
    events.extend((0..60).map(|number| read(28 * DAY + 9 * HOUR + number * 1_000 + 500, "user-3", "app")));
    let alerts = alerts(&rules("{type: rate, by: [userIdentity.arn]}"), &in_order(events), usize::MAX);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(alert.why.starts_with("60 events within 1 h for userIdentity.arn=user-3; usually "), "{}", alert.why);
}

#[test]
fn habits_of_the_week_follow_the_clocks_of_the_people() {
    // Half past nine in Berlin, each working day from September into November: of UTC it is another part of the day from
    // the end of October on.
    let since = -60;
    let days = (since..10).filter(|day: &i64| day.rem_euclid(7) < 5);
    let events = days.map(|day| {
        let summer = if day < -8 { 1 } else { 0 };
        let (_, record) = read(day * DAY + 8 * HOUR + HOUR / 2 - summer * HOUR, "user-3", "app");
        (day, record)
    });
    let events = in_order(events.collect());
    let found = |zone: &str| {
        let text = "title: t\nid: 11111111-1111-4111-8111-111111111111\nlevel: low\n\
                    logsource: {product: aws, service: cloudtrail}\n\
                    detection: {s: {eventName: GetSecretValue}, condition: s}\n\
                    anomaly: {type: rate, by: [userIdentity.arn], p: 0.1, learn: {time: 7d, count: 10}}\n";
        let given = Given { zone: zone.parse().unwrap(), ..Given::default() };
        let file = RuleFile { path: "a.yml".to_owned(), text: text.to_owned() };
        let (rules, problems) = RuleSet::compile_with(&[file], &given);
        assert_eq!(problems, []);
        alerts(&rules, &events, usize::MAX).len()
    };
    assert_eq!((found("Europe/Berlin"), found("UTC")), (0, 1));
}

#[test]
fn a_value_that_a_key_seldom_has_is_rare() {
    let mut events = office(28);
    events.push(read(2 * DAY, "user-3", "seldom"));
    events.push(read(28 * DAY, "user-3", "seldom"));
    let rules = rules("{type: rare, by: [userIdentity.arn], of: [requestParameters.secretId]}");
    let alerts = alerts(&rules, &in_order(events), usize::MAX);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(
        alert.why.starts_with(
            "requestParameters.secretId \"seldom\" is rare for userIdentity.arn=user-3; it had it in 0.5 "
        ),
        "{}",
        alert.why
    );
}

#[test]
fn two_places_at_once_that_a_key_was_never_at_together_are_an_alert() {
    let mut events = office(28);
    // Its own two are usual, one after the other.
    events.extend((0..28).flat_map(|day| {
        (0..4).map(move |number| {
            read(day * DAY + 9 * HOUR + number * 60_000 + 1, "user-3", ["nat-1", "nat-2"][number as usize % 2])
        })
    }));
    events.extend((0..4).map(|number| {
        read(
            28 * DAY + 9 * HOUR + number * 60_000,
            "user-3",
            ["nat-1", "elsewhere"][usize::try_from(number).unwrap() % 2],
        )
    }));
    let rules = rules("{type: concurrent, by: [userIdentity.arn], of: [requestParameters.secretId]}");
    let alerts = alerts(&rules, &in_order(events), usize::MAX);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(alert.why.contains("elsewhere") && alert.why.contains("at once, to and fro"), "{}", alert.why);
}

#[test]
fn a_key_that_used_to_speak_and_stops_is_an_alert_and_a_weekend_is_none() {
    let mut events = office(49);
    events.retain(|(at, record)| !(record.contains("user-3") && *at > 35 * DAY));
    let rules = rules("{type: silent, by: [userIdentity.arn]}");
    let alerts = alerts(&rules, &in_order(events), usize::MAX);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(alert.key.values().any(|who| who == "user-3") && alert.why.starts_with("no event for "), "{}", alert.why);
}

#[test]
fn several_fields_make_one_value_together_and_an_event_without_them_is_not_looked_at() {
    let rules = rules("{type: first_seen, by: userIdentity.arn, of: [requestParameters.secretId, sourceIPAddress]}");
    let (_, record) = read(0, "ana", "app");
    let mut events = Vec::new();
    normalise(
        Format::Known(Kind::AwsCloudtrail),
        record.as_bytes(),
        "",
        &Limits::default(),
        &mut events,
        &mut Vec::new(),
    );
    assert_eq!(sight(&rules, &events[0], &mut Scratch::default()), None);
}

#[test]
fn a_rule_that_learns_is_refused_where_it_means_nothing() {
    let head = "title: t\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: aws, service: cloudtrail}\n\
                detection: {s: {eventName: a}, condition: s}\nlevel: low\n";
    for (block, complaint) in [
        (
            "anomaly: {by: [a], of: [b]}",
            "`type` is missing; it is one of first_seen, rare, rate, distinct, concurrent, silent, travel",
        ),
        ("anomaly: {type: first_sen, by: [a], of: [b]}", "is no `type` of an anomaly"),
        ("anomaly: {type: first_seen, of: [b]}", "`by` is missing"),
        ("anomaly: {type: first_seen, by: [a]}", "`of` is missing"),
        ("anomaly: {type: rate, by: [a], of: [b]}", "take no `of`"),
        ("anomaly: {type: travel, by: [a], of: [b]}", "take no `of`"),
        ("anomaly: {type: travel, by: [a], p: 0.1}", "`p` means nothing to `travel`"),
        ("anomaly: {type: travel, by: [a], ignore: [clouds]}", "`clouds` is nothing to `ignore`"),
        ("anomaly: {type: rate, by: [a], ignore: [cloud]}", "only `travel` has something to `ignore`"),
        ("anomaly: {type: rare, by: [a], of: [b], window: 1h}", "`window` means nothing to"),
        ("anomaly: {type: rare, by: [a], of: [b], peers: c}", "`peers` goes with"),
        ("anomaly: {type: rate, by: [a], remember: 12h}", "`remember` is at least two days"),
        ("anomaly: {type: rate, by: [a], p: 2}", "`p` is how rare the unusual is"),
        ("anomaly: {type: rate, by: [a], learn: {days: 3}}", "`days` means nothing in `learn`"),
        ("anomaly: {type: rate, by: [a]}\ndedup: {group-by: [a], period: 1h}", "has a `period` only"),
    ] {
        let file = RuleFile { path: "rules.yml".to_owned(), text: format!("{head}{block}\n") };
        let (_, problems) = RuleSet::compile(&[file]);
        assert!(problems.iter().any(|problem| problem.message.contains(complaint)), "{block}: {problems:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_order_within_the_lateness_nor_a_restart_changes_what_is_found(
        swaps in proptest::collection::vec((0usize..2_400, 1usize..6), 0..300),
        restart_at in 0usize..2_000,
        way in 0usize..10,
    ) {
        let blocks = [
            FIRST_SEEN,
            "{type: rare, by: [userIdentity.arn], of: [requestParameters.secretId], p: 0.01}",
            "{type: rate, by: [userIdentity.arn], p: 0.01}",
            "{type: distinct, by: [userIdentity.arn], of: [requestParameters.secretId], p: 0.01}",
            "{type: concurrent, by: [userIdentity.arn], of: [requestParameters.secretId], p: 0.01}",
            "{type: silent, by: [requestParameters.secretId], p: 0.01}",
            "{type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId], peers: userIdentity.team, p: 0.01}",
            "{type: rate, by: [userIdentity.arn], peers: userIdentity.team, p: 0.01}",
            "{type: distinct, by: [userIdentity.arn], of: [requestParameters.secretId], peers: userIdentity.team, p: 0.01}",
            "{type: travel, by: [userIdentity.arn], learn: 7d}",
        ];
        let rules = travel::rules(blocks[way]);
        let mut events = office(21);
        events.extend((0..9).map(|number| read(20 * DAY + number * 1_000, "user-3", &format!("swept-{number}"))));
        // Some are heard of for the first time in the middle, while others are looked at.
        events.extend((0..40).map(|number| read(10 * DAY + 9 * HOUR + number * 61_000, &format!("new-{number}"), "app")));
        // Now and then somebody is far away, on one day or on more.
        let addresses = ["192.0.2.7", "192.0.2.7", "192.0.2.200", "198.51.100.9", "203.0.113.9"];
        let events = (0..).zip(events).map(|(place, event): (usize, _)| {
            let is_away = place > 1_300 && place % 37 < 5;
            travel::from(event, addresses[if is_away { place % 5 } else { 0 }])
        });
        let sorted = in_order(events.collect());
        let mut moved = sorted.clone();
        for (place, by) in swaps {
            // Events of an hour come within ten minutes: all of it within the lateness of twenty.
            if let (Some(one), Some(other)) = (moved.get(place), moved.get(place + by))
                && (one.0 - other.0).abs() < 600_000
            {
                moved.swap(place, place + by);
            }
        }
        // A swap of swaps may carry one further.
        let mut newest = 0;
        let late = moved.iter().any(|(at, _)| { newest = newest.max(*at); newest - at >= 1_200_000 });
        prop_assume!(!late);
        let found = alerts(&rules, &sorted, usize::MAX);
        prop_assert!(way != 6 || !found.is_empty(), "nobody travels");
        prop_assert_eq!(alerts(&rules, &moved, restart_at), found);
    }
}

/// People who come back now and then, after about as long as what is remembered, while somebody else is always there, and
/// a crowd that cannot leave at once.
fn comers_and_goers() -> Vec<(i64, String)> {
    let mut events = Vec::new();
    let crowd = |at: i64, number: i64| read(5 * DAY + at, &format!("once-{number}"), "secret-3");
    for number in 0..600 {
        events.extend([0, 8 * HOUR].map(|visit| crowd(visit + number * 1_000, number)));
    }
    // The last of them are back when all may go.
    let back = 2 * DAY + 8 * HOUR + 31 * 60_000;
    events.extend((0..60).map(|number| crowd(back + number * 1_000, 599 - number)));
    for hour in 0..24 * 24 {
        events.push(read(hour * HOUR, "always", ["app", "db"][usize::try_from(hour % 2).unwrap()]));
        for who in 0..6 {
            // Present for two days, away for one and a half to three.
            if hour % (84 + 6 * who) < 48 {
                let secret = format!("secret-{}", (hour / 40 + who) % 7);
                events.push(read(hour * HOUR + (who + 1) * 60_000, &format!("user-{who}"), &secret));
            }
        }
    }
    in_order(events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn when_the_memory_of_a_key_is_freed_changes_nothing(
        every in 1usize..9,
        times in 1u32..30,
        way in 0usize..5,
    ) {
        let blocks = ["first_seen", "rare", "rate", "distinct", "silent"];
        let of = if matches!(blocks[way], "rate" | "silent") { "" } else { "of: [requestParameters.secretId]," };
        let block = format!(
            "{{type: {}, by: [userIdentity.arn], {of} learn: {{time: 6h, count: 2}}, remember: 2d, p: 0.2}}", blocks[way]
        );
        let rules = rules(&block);
        let events = comers_and_goers();
        let found = |times: u32| {
            let (mut state, mut changes) = (State::new(Caps::default()), Vec::new());
            for (number, (at, record)) in events.iter().enumerate() {
                if number % every == 0 {
                    // Time goes on in many steps or in one: keys are looked at for leaving with each.
                    let time = Timestamp::from_millis(start() + at);
                    (0..times).for_each(|_| state.pass(&rules, time, &mut changes));
                }
                state.apply(&rules, &sighting(&rules, record), &mut changes);
            }
            state.finish(&rules, &mut changes);
            changes.retain(|change| change.tell);
            changes.sort_by(|one, other| (&one.alert.id, one.revision).cmp(&(&other.alert.id, other.revision)));
            changes
        };
        let plain = found(0);
        prop_assert!(!plain.is_empty(), "nothing is unusual for {}", blocks[way]);
        prop_assert_eq!(found(times), plain);
    }
}

#[test]
fn what_is_kept_of_a_key_is_bounded() {
    let rules = rules(FIRST_SEEN);
    let mut state = State::new(Caps { lateness: Span::seconds(60), ..Caps::default() });
    let mut changes = Vec::new();
    for number in 0..5_000 {
        let (_, record) = read(number * 60_000, "user-3", &format!("secret-{number}"));
        state.apply(&rules, &sighting(&rules, &record), &mut changes);
    }
    assert!(state.bytes() < 128 << 10, "{}", state.bytes());
}
