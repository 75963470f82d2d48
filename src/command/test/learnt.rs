//! An example of a rule that learns: what is usual is played for as long as it says, and then what is tried.

use engine::detect::{Caps, State, sight};
use engine::event::{Event, Kind, Uid};
use engine::rule::{RuleNumber, Scratch};
use engine::time::{Span, Timestamp};
use serde_json::Value;

use super::{Bench, Tried};

/// Events of one example at most: an hour of a year of minutes is no example.
const EVENTS_MAX: i64 = 200_000;

/// Some Monday: examples have no times of their own.
const START_MILLIS: i64 = 1_735_516_800_000;

/// What the example says, its times in seconds.
struct Example<'e> {
    /// Which log its events are of, for a rule that reads none itself.
    kind: Option<&'e str>,
    usual: &'e [Value],
    every: i64,
    lasts: i64,
    then: &'e [Value],
}

impl Bench {
    /// Whether the rule fires on what comes behind the usual.
    pub(super) fn learnt(&self, number: RuleNumber, kind: Kind, documents: &[Value]) -> Tried {
        let Some(example) = documents.first().map(Example::of) else {
            return Tried { fires: false, unread: vec!["it is empty".to_owned()], events: Vec::new() };
        };
        let mut unread = Vec::new();
        let kind = match example.kind.map(str::parse) {
            None => kind,
            Some(Ok(kind)) => kind,
            Some(Err(error)) => {
                let error: engine::event::UnknownKind = error;
                return Tried { fires: false, unread: vec![error.to_string()], events: Vec::new() };
            }
        };
        let turns =
            (example.lasts / example.every).min(EVENTS_MAX / i64::try_from(example.usual.len().max(1)).unwrap_or(1));
        let usual = read(kind, example.usual, "usual", &mut unread);
        let then = read(kind, example.then, "then", &mut unread);
        let mut state = State::new(Caps::default());
        let (mut scratch, mut changes) = (Scratch::default(), Vec::new());
        let start = Timestamp::from_millis(START_MILLIS);
        let second = |second: i64| start.plus(Span::from_micros(second.saturating_mul(1_000_000)));
        let end = turns * example.every;
        let played = (0..turns).flat_map(|turn| usual.iter().map(move |event| (turn * example.every, event)));
        let tried = (0..).zip(&then).map(|(place, event)| (end + place, event));
        for (place, (at, event)) in played.chain(tried).enumerate() {
            let uid = Uid { origin: String::new(), id: place.to_string() };
            let event = Event { uid, time: second(at), ..event.clone() };
            if let Some(sighting) = sight(&self.rules, &event, &mut scratch) {
                state.apply(&self.rules, &sighting, &mut changes);
            }
        }
        state.finish(&self.rules, &mut changes);
        let id = &self.rules.rule(number).id;
        let fires = changes.iter().any(|change| change.alert.rule == *id && change.alert.last >= second(end));
        Tried { fires, unread, events: Vec::new() }
    }
}

fn read(kind: Kind, documents: &[Value], name: &str, unread: &mut Vec<String>) -> Vec<Event> {
    let mut events = Vec::new();
    for (place, document) in documents.iter().enumerate() {
        match super::event(kind, place, document) {
            Some(event) => events.push(event),
            None => unread.push(format!("event {} of `{name}` cannot be read as {kind}", place + 1)),
        }
    }
    events
}

impl<'e> Example<'e> {
    fn of(document: &'e Value) -> Self {
        let list = |key: &str| document[key].as_array().map_or(&[][..], Vec::as_slice);
        let number = |key: &str| document[key].as_i64().unwrap_or(1).max(1);
        Self {
            kind: document["kind"].as_str(),
            usual: list("usual"),
            every: number("every"),
            lasts: number("for"),
            then: list("then"),
        }
    }
}
