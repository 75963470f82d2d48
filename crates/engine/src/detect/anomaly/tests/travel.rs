use std::sync::Arc;

use super::*;
use crate::address::{Addresses, Aspect, Ranges, Whereabouts};

const TRAVEL: &str = "{type: travel, by: [userIdentity.arn]}";

/// Berlin has two networks, Potsdam is near, Sydney is far; nothing is known of others.
fn atlas() -> Addresses {
    let networks = [
        ("192.0.2.0/25", "DE", "Berlin", "52.52", "13.405", "64500", ""),
        ("192.0.2.128/25", "DE", "Potsdam", "52.39", "13.06", "64501", ""),
        ("198.51.100.0/25", "AU", "Sydney", "-33.87", "151.21", "64502", ""),
        ("198.51.100.128/25", "AU", "Sydney", "-33.87", "151.21", "64503", "aws"),
        ("203.0.113.0/25", "AU", "", "", "", "64504", ""),
    ];
    Addresses::of(Arc::new(Ranges::new(networks.map(|(network, country, city, north, east, number, cloud)| {
        let mut place = Whereabouts::default();
        for (aspect, value) in [
            (Aspect::Country, country),
            (Aspect::City, city),
            (Aspect::Latitude, north),
            (Aspect::Longitude, east),
            (Aspect::Network, number),
            (Aspect::Cloud, cloud),
        ] {
            place.set(aspect, value);
        }
        (network.parse().unwrap(), place)
    }))))
}

/// Rules of which `travel` finds something.
pub(super) fn rules(anomaly: &str) -> RuleSet {
    let mut rules = super::rules(anomaly);
    rules.know(atlas());
    rules
}

/// The same event from this address.
pub(super) fn from((at, record): (i64, String), address: &str) -> (i64, String) {
    (at, record.replacen('{', &format!(r#"{{"sourceIPAddress":"{address}","#), 1))
}

/// Days of somebody in Berlin, and then what is tried.
fn told(anomaly: &str, then: &[(i64, &str)]) -> Vec<String> {
    let usual = office(21).into_iter().map(|event| from(event, "192.0.2.7"));
    let tried = then.iter().map(|(at, address)| from(read(21 * DAY + at, "user-3", "app"), address));
    let found = alerts(&rules(anomaly), &in_order(usual.chain(tried).collect()), usize::MAX);
    found.into_iter().map(|alert| alert.why).collect()
}

const MINUTE: i64 = 60_000;

#[test]
fn two_places_too_far_apart_for_the_time_between_are_told_with_both_ends() {
    assert_eq!(
        told(TRAVEL, &[(0, "192.0.2.7"), (42 * MINUTE, "198.51.100.9")]),
        [
            "from 192.0.2.7 (Berlin, DE, AS64500) to 198.51.100.9 (Sydney, AU, AS64502) in 42 min, 16095 km: 22992 km/h for \
             userIdentity.arn=user-3; more than 900 km/h, from a network that is new to it: it had 1 in 20 days; 1 event so \
             far. First: user-3 did GetSecretValue on app from 198.51.100.9 (Sydney, AU, AS64502)"
        ]
    );
}

#[test]
fn what_is_no_journey_is_not_told() {
    for (then, why) in [
        (&[(0, "192.0.2.7"), (20 * HOUR, "198.51.100.9")][..], "an airliner makes that"),
        (&[(0, "192.0.2.7"), (MINUTE, "192.0.2.200")], "the next town"),
        (&[(0, "192.0.2.7"), (MINUTE, "198.51.100.200")], "a machine in a cloud is no person"),
        (&[(0, "192.0.2.7"), (MINUTE, "203.0.113.9")], "nobody knows where that is"),
        (&[(0, "192.0.2.7"), (MINUTE, "203.0.113.200")], "nothing is known of it"),
        (&[(0, "192.0.2.7"), (MINUTE, "sts.amazonaws.com")], "a service of the vendor"),
    ] {
        assert_eq!(told(TRAVEL, then), Vec::<String>::new(), "{why}");
    }
}

#[test]
fn a_cloud_counts_if_nothing_is_ignored_and_a_network_does_not_if_it_is_named() {
    let then = [(0, "192.0.2.7"), (MINUTE, "198.51.100.200"), (2 * MINUTE, "192.0.2.7")];
    for (ignore, alerts) in [("[]", 1), ("[cloud]", 0), ("[ci, tor, vpn]", 1), ("[AS64503]", 0), ("[AS6450]", 1)] {
        let anomaly = format!("{{type: travel, by: [userIdentity.arn], ignore: {ignore}}}");
        assert_eq!(told(&anomaly, &then).len(), alerts, "{ignore}");
    }
}

#[test]
fn a_network_that_came_on_two_days_is_known_and_who_goes_home_has_not_travelled() {
    let to_and_fro =
        |day: i64| [(day * DAY, "192.0.2.7"), (day * DAY + HOUR, "198.51.100.9"), (day * DAY + 2 * HOUR, "192.0.2.7")];
    let days = [to_and_fro(0), to_and_fro(3), to_and_fro(6)].concat();
    // Of the third day nothing is told, and of no way back.
    assert_eq!(told(TRAVEL, &days).len(), 2);
}

#[test]
fn nothing_is_told_without_an_atlas_nor_while_a_key_is_learnt() {
    let events: Vec<_> = office(21).into_iter().map(|event| from(event, "192.0.2.7")).collect();
    let far = |day: i64| from(read(day * DAY + 9 * HOUR + MINUTE, "user-3", "app"), "198.51.100.9");
    let without = super::rules("{type: travel, by: [userIdentity.arn]}");
    let mut tried = events.clone();
    tried.push(far(20));
    assert_eq!(seen(&without, &tried[0].1), None);
    assert_eq!(alerts(&without, &in_order(tried), usize::MAX), []);
    let mut early = events;
    early.push(far(7));
    assert_eq!(alerts(&rules(TRAVEL), &in_order(early), usize::MAX), []);
}

#[test]
fn where_an_event_came_from_goes_with_its_sighting_so_a_replay_needs_no_atlas() {
    let (with, without) = (rules(TRAVEL), super::rules(TRAVEL));
    let usual = office(21).into_iter().map(|event| from(event, "192.0.2.7"));
    let far = from(read(18 * DAY + 9 * HOUR + 30 * MINUTE, "user-3", "app"), "198.51.100.9");
    let events = in_order(usual.chain([far]).collect());
    let saved: Vec<Vec<u8>> =
        events.iter().map(|(_, record)| postcard::to_stdvec(&sighting(&with, record)).unwrap()).collect();
    let mut state = State::new(Caps::default());
    let mut changes: Vec<Change> = Vec::new();
    for sighting in &saved {
        state.apply(&without, &postcard::from_bytes(sighting).unwrap(), &mut changes);
    }
    state.finish(&without, &mut changes);
    let replayed: Vec<Alert> = changes.into_iter().map(|change| change.alert).collect();
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed, alerts(&with, &events, usize::MAX));
}

#[test]
fn what_is_kept_of_where_a_key_was_is_bounded() {
    let rules = rules(TRAVEL);
    let mut state = State::new(Caps { lateness: Span::seconds(60), ..Caps::default() });
    let mut changes = Vec::new();
    let addresses = ["192.0.2.7", "198.51.100.9", "192.0.2.200"];
    for number in 0..5_000_u32 {
        let (at, place) = (i64::from(number) * 1_000, usize::try_from(number % 3).unwrap());
        let (_, record) = from(read(at, "user-3", "app"), addresses[place]);
        state.apply(&rules, &sighting(&rules, &record), &mut changes);
    }
    assert!(state.bytes() < 16 << 10, "{}", state.bytes());
}
