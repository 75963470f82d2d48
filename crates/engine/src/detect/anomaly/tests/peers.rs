//! What is unusual for a key and for its group.

use super::*;

const BY_TEAM: &str =
    "{type: first_seen, by: [userIdentity.arn], of: [requestParameters.secretId], peers: userIdentity.team,
    learn: {time: 7d, count: 10}, p: 0.01}";

/// Two teams of twelve; the second one has a secret of its own, which two of its people do not read.
fn teams(days: i64) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    for hour in (0..days * 24).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24))) {
        for who in 0..24 {
            let team = ["red", "blue"][usize::from(who >= 12)];
            let secret = if (14..24).contains(&who) && hour % 2 == 0 { "blue-key" } else { "app" };
            events.push(read_as(hour * HOUR + who * 60_000, &format!("user-{who:02}"), team, secret));
        }
    }
    events
}

fn found(anomaly: &str, more: Vec<(i64, String)>) -> Vec<Alert> {
    let mut events = teams(21);
    events.extend(more);
    alerts(&rules(anomaly), &in_order(events), usize::MAX)
}

#[test]
fn what_is_new_to_a_key_and_usual_for_its_group_is_no_alert() {
    let late = 21 * DAY + 9 * HOUR;
    let alerts = found(
        BY_TEAM,
        vec![read_as(late, "user-13", "blue", "blue-key"), read_as(late + 1, "user-01", "red", "blue-key")],
    );
    let told: Vec<_> = alerts.iter().map(|alert| alert.why.as_str()).collect();
    let [why] = told.as_slice() else { panic!("{told:#?}") };
    assert!(
        why.starts_with(
            "requestParameters.secretId \"blue-key\" is new for userIdentity.arn=user-01; it had 1 in 21 days, and 0 of 11 \
             peers in red and 11 of 23 others have this one; "
        ),
        "{why}"
    );
}

#[test]
fn without_a_group_to_compare_with_a_key_is_judged_by_itself() {
    let late = 21 * DAY + 9 * HOUR;
    // Nobody else is in the team of green; an event that names no team leaves its key where it was.
    let green: Vec<_> = (0..15)
        .flat_map(|day| (8..18).map(move |hour| read_as(day * DAY + hour * HOUR + 1, "user-99", "green", "app")))
        .chain([read_as(late, "user-99", "green", "vault")])
        .collect();
    let alerts = found(BY_TEAM, green);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(alert.why.contains("and 0 of 24 others have this one"), "{}", alert.why);
}

#[test]
fn a_count_that_is_usual_for_the_group_is_no_alert_for_who_never_had_it() {
    let many = |hour: i64, who: i64, team| {
        (0..12).map(move |number| read_as(hour * HOUR + number * 1_000 + 7, &format!("user-{who:02}"), team, "app"))
    };
    // Most of blue do a dozen at once each hour.
    let hours = (0..21 * 24).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24)));
    let usual: Vec<_> = hours.flat_map(|hour| (14..24).flat_map(move |who| many(hour, who, "blue"))).collect();
    let is_told = |anomaly: &str, who: i64, team| {
        let alerts = found(anomaly, usual.iter().cloned().chain(many(21 * 24 + 9, who, team)).collect());
        let late = Timestamp::from_millis(start() + 21 * DAY);
        alerts.iter().any(|alert| alert.last >= late && alert.key.values().eq([&format!("user-{who:02}")]))
    };
    let alone = "{type: rate, by: [userIdentity.arn], p: 0.01}";
    let with_peers = "{type: rate, by: [userIdentity.arn], peers: userIdentity.team, p: 0.01}";
    assert!(is_told(alone, 13, "blue"), "by itself it is unusual");
    assert!(!is_told(with_peers, 13, "blue"), "its peers do so each day");
    assert!(is_told(with_peers, 1, "red"), "nobody of red does");
}

#[test]
fn who_changes_the_team_is_compared_with_the_new_one() {
    let late = 21 * DAY + 9 * HOUR;
    let moved = vec![
        read_as(20 * DAY + 9 * HOUR + 5, "user-01", "blue", "other"),
        read_as(late, "user-01", "blue", "blue-key"),
    ];
    let alerts = found(BY_TEAM, moved);
    assert!(!alerts.iter().any(|alert| alert.why.contains("\"blue-key\" is new")), "{alerts:#?}");
}

#[test]
fn groups_whose_counts_are_kept_are_bounded_and_who_leaves_is_counted() {
    let rules = rules("{type: rate, by: [userIdentity.arn], peers: userIdentity.team}");
    let mut state = State::new(Caps { lateness: Span::seconds(60), ..Caps::default() });
    let mut changes = Vec::new();
    for number in 0..200 {
        let (_, record) = read_as(number * HOUR, &format!("user-{number}"), &format!("team-{number}"), "app");
        state.apply(&rules, &sighting(&rules, &record), &mut changes);
    }
    state.finish(&rules, &mut changes);
    assert_eq!(state.evicted(), 200 - 64);
}
