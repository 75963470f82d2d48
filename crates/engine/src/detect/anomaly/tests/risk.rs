//! What rules find of one key, added up.

use super::*;
use crate::detect::Register;
use crate::rule::Severity;

/// A rule that finds single events, one that counts, one that learns, a weak one, and what adds them up.
const RULES: &str = "
title: Trail stopped
id: 11111111-1111-4111-8111-111111111111
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: StopLogging}, condition: selection}
level: high
---
title: Secret read
id: 22222222-2222-4222-8222-222222222222
name: read
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetSecretValue}, condition: selection}
level: informational
---
title: Five secrets within ten minutes
id: 33333333-3333-4333-8333-333333333333
correlation:
  {type: value_count, rules: [read], group-by: [userIdentity.arn], timespan: 10m, condition: {gte: 5, field: requestParameters.secretId}}
level: medium
---
title: Secret new to user
id: 44444444-4444-4444-8444-444444444444
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetSecretValue}, condition: selection}
anomaly: {type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId], p: 0.01}
level: medium
---
title: Somebody looked who they are
id: 55555555-5555-4555-8555-555555555555
name: weak
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetCallerIdentity}, condition: selection}
level: low
---
title: Much at once
id: 66666666-6666-4666-8666-666666666666
";

const RISK: &str = "66666666-6666-4666-8666-666666666666";

fn set(risk: &str) -> RuleSet {
    let text = format!("{RULES}anomaly: {risk}\nlevel: high\n");
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
    assert_eq!(problems, []);
    rules
}

const ALL: &str = "{type: risk, of: {rules: [weak], levels: [medium, high]}}";

fn does(at: i64, who: &str, name: &str) -> (i64, String) {
    let (at, record) = read(at, who, "");
    (at, record.replace("GetSecretValue", name).replace(&format!("{at}-{who}-"), &format!("{at}-{who}-{name}")))
}

/// What stands at the end.
fn stands(rules: &RuleSet, events: &[(i64, String)], restart_at: usize) -> Vec<Alert> {
    let (mut state, mut register, mut changes) = (State::new(Caps::default()), Register::default(), Vec::new());
    for (number, (_, record)) in events.iter().enumerate() {
        if number == restart_at {
            state = State::restore(&state.save().unwrap(), Caps::default()).unwrap();
        }
        state.apply(rules, &sighting(rules, record), &mut changes);
    }
    state.finish(rules, &mut changes);
    changes.into_iter().for_each(|change| register.take(change));
    register.into_alerts()
}

fn risks(rules: &RuleSet, events: Vec<(i64, String)>) -> Vec<Alert> {
    let mut alerts = stands(rules, &in_order(events), usize::MAX);
    alerts.retain(|alert| &*alert.rule.0 == RISK);
    alerts
}

#[test]
fn findings_of_several_rules_about_one_actor_are_a_risk_that_lists_them() {
    let mut events = office(21);
    let at = 21 * DAY + 9 * HOUR;
    events.push(read(at, "user-3", "root-key"));
    events.push(does(at + 60_000, "user-3", "StopLogging"));
    events.push(does(at + 120_000, "user-3", "GetCallerIdentity"));
    events.push(does(at + 180_000, "user-4", "StopLogging"));
    let alerts = risks(&set(ALL), events);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert_eq!(
        alert.why,
        "risk 7.2 for actor=user-3; 4.0 from Trail stopped at 2026-11-23 09:01, 2.2 from Secret new to user at \
         2026-11-23 09:00, 1.0 from Somebody looked who they are at 2026-11-23 09:02; 2 findings so far \
         are too few to say how rare that is; 3 findings so far. First: user-3 did GetSecretValue on root-key"
    );
    assert_eq!(
        (alert.severity, alert.count, alert.time),
        (Severity::High, 7, Timestamp::from_millis(start() + at + 120_000))
    );
}

#[test]
fn a_rule_that_is_named_to_add_to_risk_raises_no_alert_of_its_own_unless_asked_to() {
    let events = [does(0, "ana", "GetCallerIdentity")];
    let silent = stands(&set(ALL), &events, usize::MAX);
    assert_eq!(silent, []);
    let generating = set("{type: risk, of: {rules: [weak], generate: true}}");
    assert_eq!(stands(&generating, &events, usize::MAX).len(), 1);
}

#[test]
fn one_rule_alone_is_no_risk_however_often_it_finds_something() {
    let events = (0..200).map(|number| does(number * 60_000, "ana", "StopLogging")).collect();
    assert_eq!(risks(&set("{type: risk, floor: 1}"), events), []);
}

#[test]
fn a_rule_counts_once_a_day_and_less_each_day() {
    let day = |day: i64| [does(day * DAY, "ana", "StopLogging"), does(day * DAY + 1_000, "ana", "StopLogging")];
    let floor = |floor: &str| set(&format!("{{type: risk, of: {{rules: [weak], levels: [high]}}, floor: {floor}}}"));
    let events: Vec<_> = [day(0), day(1), day(2)].into_iter().flatten().collect();
    let events = || events.iter().cloned().chain([does(2 * DAY + 2_000, "ana", "GetCallerIdentity")]).collect();
    // 4 + 2 + 1 + 1
    assert_eq!(risks(&floor("7.9"), events()).len(), 1);
    assert_eq!(risks(&floor("8.1"), events()), []);
}

#[test]
fn an_alert_that_a_late_event_moves_adds_once_and_where_it_moved_to() {
    let at = |minute: i64| minute * 60_000;
    let mut events: Vec<_> = (0..5).map(|number| read(at(10 + number), "ana", &format!("s-{number}"))).collect();
    events.push(does(at(16), "ana", "StopLogging"));
    // It comes last and makes the burst begin earlier.
    events.push(read(at(9), "ana", "s-9"));
    let rules = set("{type: risk, of: {levels: [medium, high]}, floor: 5.9}");
    let late = stands(&rules, &events, usize::MAX);
    assert_eq!(late, stands(&rules, &in_order(events), usize::MAX));
    let risk: Vec<_> = late.iter().filter(|alert| &*alert.rule.0 == RISK).collect();
    assert!(
        risk.len() == 1 && risk[0].why.contains("2.0 from Five secrets within ten minutes at 2026-11-02 00:13"),
        "{risk:#?}"
    );
}

#[test]
fn a_rule_that_adds_up_is_refused_where_it_means_nothing() {
    for (block, complaint) in [
        ("{type: risk, by: who}", "`who` is nothing to add up by; it is one of actor, ip, target, account"),
        ("{type: risk, of: {rules: [nobody]}}", "no rule has the name or id `nobody`"),
        ("{type: risk, of: {levels: [hgh]}}", "`hgh` is no level"),
        ("{type: risk, of: {names: [a]}}", "`names` means nothing in `of`"),
        ("{type: risk, floor: many}", "`floor` is the least sum"),
        ("{type: risk, window: 1h}", "`window` means nothing in `anomaly`"),
    ] {
        let text = format!("{RULES}anomaly: {block}\nlevel: high\n");
        let (_, problems) = RuleSet::compile(&[RuleFile { path: "rules.yml".to_owned(), text }]);
        assert!(problems.iter().any(|problem| problem.message.contains(complaint)), "{block}: {problems:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_order_within_the_lateness_nor_a_restart_changes_what_adds_up(
        swaps in proptest::collection::vec((0usize..1_800, 1usize..12), 0..300),
        restart_at in 0usize..1_700,
    ) {
        let rules = set("{type: risk, of: {rules: [weak], levels: [medium, high]}, floor: 2.5, p: 0.3}");
        let mut events = office(14);
        for day in 8..14 {
            for who in 0..10 {
                let at = day * DAY + 9 * HOUR + who * 61_000;
                let name = format!("user-{who}");
                events.push(does(at, &name, "GetCallerIdentity"));
                events.extend((0..who % 7).map(|number| read(at + number * 90_000, &name, &format!("swept-{number}-{day}"))));
                if who % 3 == 0 {
                    events.push(does(at + 30_000, &name, "StopLogging"));
                }
            }
        }
        let sorted = in_order(events);
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
        prop_assert!(wanted.iter().any(|alert| &*alert.rule.0 == RISK));
        prop_assert_eq!(stands(&rules, &moved, restart_at), wanted);
    }
}
