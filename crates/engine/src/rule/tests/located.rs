use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::address::{Addresses, Aspect, Atlas, Ranges, Whereabouts};
use crate::rule::{Given, RuleNumber, explain};

fn known(values: &[(Aspect, &str)]) -> Whereabouts {
    let mut known = Whereabouts::default();
    values.iter().for_each(|(aspect, value)| known.set(*aspect, value));
    known
}

fn addresses() -> Addresses {
    let home = known(&[
        (Aspect::Country, "DE"),
        (Aspect::City, "Berlin"),
        (Aspect::Latitude, "52.52"),
        (Aspect::Network, "64500"),
        (Aspect::Organization, "Example Net"),
    ]);
    let exit = known(&[(Aspect::Country, "AU"), (Aspect::Tor, "true")]);
    let networks = [("192.0.2.0/24", home), ("198.51.100.7/32", exit)];
    Addresses::of(Arc::new(Ranges::new(networks.map(|(network, known)| (network.parse().unwrap(), known)))))
}

/// Whether the rule matches an event from this address, that says more.
#[track_caller]
fn holds(section: &str, address: &str, more: &str) -> bool {
    let mut rules = detection(section);
    rules.know(addresses());
    let event = format!(r#"{{"eventName":"Read","sourceIPAddress":"{address}"{more}}}"#);
    !titles(&rules, Kind::AwsCloudtrail, &event).is_empty()
}

#[test]
fn rules_ask_for_what_is_known_of_an_address_as_for_any_field() {
    for (asked, home, exit, unknown) in [
        ("source.geo.country_iso_code: de", true, false, false),
        ("source.geo.country_iso_code: [FR, AU]", false, true, false),
        ("source.geo.city_name|startswith: Ber", true, false, false),
        ("source.as.number: 64500", true, false, false),
        ("source.as.number: '64500'", true, false, false),
        ("source.as.number|gte: 64500", true, false, false),
        ("source.geo.location.lat|lt: 52.6", true, false, false),
        ("source.as.organization.name|contains: example", true, false, false),
        ("source.as.organization.name|re: '^Ex.*Net$'", true, false, false),
        ("source.tor: true", false, true, false),
        ("source.tor: null", true, false, true),
        ("source.geo.country_iso_code|exists: true", true, true, false),
        ("source.geo.country_iso_code|fieldref: eventName", false, false, false),
    ] {
        for section in [
            format!("s: {{{asked}}}\ncondition: s"),
            format!("s: {{eventName: Read, {asked}}}\ncondition: s"),
            format!("a: {{eventName: Read}}\ns: {{{asked}}}\ncondition: not (not a or not s)"),
        ] {
            let held = ["192.0.2.7", "198.51.100.7", "203.0.113.1"].map(|address| holds(&section, address, ""));
            assert_eq!(held, [home, exit, unknown], "{section}");
        }
    }
}

#[test]
fn what_a_record_says_itself_counts_before_what_is_known() {
    let section = "s: {source.geo.country_iso_code: DE}\ncondition: s";
    assert!(holds(section, "192.0.2.7", r#","source":{"geo":{}}"#));
    assert!(!holds(section, "192.0.2.7", r#","source":{"geo":{"country_iso_code":"FR"}}"#));
    assert!(holds(section, "198.51.100.7", r#","source.geo.country_iso_code":"DE""#));
}

/// Counts how often it is asked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Atlas for Counting {
    fn look_up(&self, _: IpAddr) -> Whereabouts {
        self.0.fetch_add(1, Ordering::Relaxed);
        Whereabouts::default()
    }

    fn knows(&self, _: Aspect) -> bool {
        true
    }
}

#[test]
fn an_address_is_looked_up_only_for_a_rule_that_asks_and_only_once() {
    let atlas = Arc::new(Counting::default());
    let mut rules = detection("s: {eventName: Read, source.tor: true, source.as.number: 1}\ncondition: s");
    rules.know(Addresses::of(atlas.clone()));
    let mut scratch = Scratch::default();
    let mut ask = |name: &str| {
        let json = format!(r#"{{"eventName":"{name}","sourceIPAddress":"192.0.2.7"}}"#);
        assert_eq!(rules.matches(&event(Kind::AwsCloudtrail, &json), &mut scratch), []);
        atlas.0.load(Ordering::Relaxed)
    };
    assert_eq!([ask("Write"), ask("Read"), ask("Read"), ask("Write")], [0, 1, 1, 1]);
}

#[test]
fn an_explanation_shows_what_is_known_of_the_address() {
    let text = format!(
        "{}logsource: {{product: aws, service: cloudtrail}}\n",
        rule("s: {source.geo.country_iso_code: FR}\ncondition: s")
    );
    let file = RuleFile { path: "a.yml".to_owned(), text };
    let (set, problems) = RuleSet::compile(std::slice::from_ref(&file));
    assert_eq!(problems, []);
    let given = Given { addresses: addresses(), ..Given::default() };
    let event = event(Kind::AwsCloudtrail, r#"{"sourceIPAddress":"192.0.2.7"}"#);
    let why = explain(&file, &set.rule(RuleNumber(0)).id, &given, Kind::AwsCloudtrail, &event.raw).unwrap();
    assert!(why.to_string().contains("\"DE\", known of its address"), "{why}");
}
