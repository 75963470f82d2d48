//! Each key seen twice raises its alert, or a limit that people are told of says why not.
//!
//! The whole million is a row of `cargo run --release -p lab --example windows`; here is its fiftieth part, with caps in
//! proportion, since tests are built without optimisation.

use engine::detect::{Caps, Change, State, sight};
use engine::event::Kind;
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleFile, RuleSet, Scratch};

const KEYS: usize = 20_000;

fn rules() -> RuleSet {
    let text = "
title: Sign-in
name: signin
id: 11111111-1111-4111-8111-111111111111
detection: {selection: {eventName: ConsoleLogin}, condition: selection}
logsource: {}
level: low
---
title: Twice
id: 22222222-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [signin], group-by: [userName], timespan: 1h, condition: {gte: 2}}
level: medium
";
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "keys.yml".to_owned(), text: text.to_owned() }]);
    assert!(problems.is_empty(), "{problems:?}");
    rules
}

/// Each key once in a random order, then each once again: how many alerts there were, and how many keys had to leave.
fn seen_twice(keys: usize, caps: Caps) -> (usize, u64) {
    let (rules, mut state, mut scratch) = (rules(), State::new(caps), Scratch::default());
    let (mut events, mut rejects, mut changes) = (Vec::new(), Vec::new(), Vec::<Change>::new());
    let mut alerts = 0;
    for number in 0..2 * keys {
        // A stride without a common factor with the number of keys visits each once.
        let key = number % keys * 7_919 % keys;
        let time = 1_763_640_000_000_u64 + number as u64 * 20;
        let record = format!(r#"{{"eventName":"ConsoleLogin","userName":"user-{key}","time":{time}}}"#);
        let format = Format::Known(Kind::Json);
        normalise(format, record.as_bytes(), &number.to_string(), &Limits::default(), &mut events, &mut rejects);
        for event in events.drain(..) {
            let sighting = sight(&rules, &event, &mut scratch).expect("every event is a sign-in");
            state.apply(&rules, &sighting, &mut changes);
        }
        alerts += changes.drain(..).filter(|change| change.tell && change.revision == 1).count();
    }
    assert!(rejects.is_empty(), "{rejects:?}");
    (alerts, state.evicted())
}

#[test]
fn every_key_that_is_seen_twice_raises_its_alert() {
    assert_eq!(seen_twice(KEYS, Caps { keys_max: KEYS, ..Caps::default() }), (KEYS, 0));
}

#[test]
fn keys_that_a_cap_sends_away_are_counted_each_and_explain_every_alert_that_is_missing() {
    let (alerts, evicted) = seen_twice(KEYS, Caps { keys_max: KEYS * 9 / 10, ..Caps::default() });
    let missing = KEYS - alerts;
    assert!(missing > 0, "the cap is below the number of keys");
    assert!(evicted >= missing as u64, "{missing} alerts are missing and {evicted} keys were said to have left");
}
