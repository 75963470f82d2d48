//! Many records of few, every shape beside every other.
//!
//! A stream in the order of life ([`stream`](super::stream())) repeats one shape many times in a row, which
//! flatters whoever caches. Here shapes are shuffled, and each time round an organisation of its own speaks:
//! other ids, addresses, accounts and times in the same text, so the order of members and the spelling of
//! numbers stay the vendor's.

use engine::hash::Seed;
use engine::time::{Span, Timestamp};
use serde_json::Value;

use super::stream::{World, names};
use crate::chance::Chance;

/// Time between two records.
const STEP_MICROS: i64 = 2_000;

/// Where records say when they happened, as text.
const TIMES: [&str; 6] = ["eventTime", "@timestamp", "published", "requestReceivedTimestamp", "timestamp", "time"];

/// Records of one sort of log.
#[derive(Clone, Debug)]
pub struct Lane {
    /// How often it speaks, compared with the others.
    pub weight: u64,
    /// One JSON text each.
    pub templates: Vec<String>,
}

/// `events` records like the lanes' templates, from this time on. Equal seeds give equal records; without any
/// template there are none.
#[must_use]
pub fn mixture(lanes: &[Lane], events: usize, from: Timestamp, seed: u64) -> Vec<String> {
    let lanes: Vec<&Lane> = lanes.iter().filter(|lane| !lane.templates.is_empty()).collect();
    let parsed = lanes.iter().flat_map(|lane| &lane.templates);
    let parsed: Vec<Value> = parsed.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut names = names(parsed.iter());
    // Shorter ones are words that rules look for too: `root`, `user`, `admin`.
    names.retain(|name| name.len() > 5);
    let mut chance = Chance::new(seed);
    let mut rounds: Vec<Round> = lanes.iter().map(|lane| Round::new(lane.templates.len())).collect();
    let total: u64 = lanes.iter().map(|lane| lane.weight).sum();
    let mut records = Vec::with_capacity(events);
    let mut time = from;
    for _ in 0..events {
        let mut drawn = chance.below(total);
        let Some(place) = lanes.iter().position(|lane| {
            let here = drawn < lane.weight;
            drawn = drawn.saturating_sub(lane.weight);
            here
        }) else {
            return records;
        };
        let template = rounds[place].next(&mut chance);
        let copy = rounds[place].number;
        let world = World { copy, seed: Seed::new(seed, copy as u64), names: &names };
        let mut record = world.text(&lanes[place].templates[template]);
        set_time(&mut record, time);
        records.push(record);
        time = time.plus(Span::from_micros(STEP_MICROS));
    }
    records
}

/// One time through a lane's templates, in an order of chance.
struct Round {
    number: usize,
    order: Vec<usize>,
    at: usize,
}

impl Round {
    fn new(length: usize) -> Self {
        Self { number: 0, order: (0..length).collect(), at: length }
    }

    fn next(&mut self, chance: &mut Chance) -> usize {
        if self.at == self.order.len() {
            for left in (1..self.order.len()).rev() {
                self.order.swap(left, usize::try_from(chance.below(left as u64 + 1)).unwrap_or(0));
            }
            self.at = 0;
            self.number += 1;
        }
        self.at += 1;
        self.order[self.at - 1]
    }
}

/// Puts `time` in the place of the first time that the record tells as text, in whole seconds.
fn set_time(record: &mut String, time: Timestamp) {
    let text = time.to_string();
    let text = text.split(['.', 'Z']).next().unwrap_or(&text);
    for name in TIMES {
        let told = [format!("\"{name}\":\""), format!("\"{name}\": \"")];
        if let Some(start) = told.iter().find_map(|told| Some(record.find(told.as_str())? + told.len()))
            && let Some(length) = record[start..].find('"')
        {
            record.replace_range(start..start + length, &format!("{text}Z"));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn lanes() -> Vec<Lane> {
        let of = |name: &str| {
            format!(
                r#"{{"eventTime":"2020-01-01T00:00:00Z","eventName":"{name}","id":"00000000-0000-0000-0000-00000000000a"}}"#
            )
        };
        let other = vec![r#"{"published":"2020-01-01T00:00:00.5Z","eventName":"Other"}"#.to_owned()];
        vec![Lane { weight: 3, templates: vec![of("A"), of("B")] }, Lane { weight: 1, templates: other }]
    }

    fn made(seed: u64) -> Vec<Value> {
        let from = "2026-01-01T00:00:00Z".parse().unwrap();
        mixture(&lanes(), 400, from, seed).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lanes_speak_by_their_weight_and_every_template_as_often() {
        let count = |name: &str| made(1).iter().filter(|record| record["eventName"] == name).count();
        assert!((60..140).contains(&count("Other")), "{}", count("Other"));
        assert!(count("A").abs_diff(count("B")) <= 1);
    }

    #[test]
    fn every_round_has_ids_and_times_of_its_own() {
        let made = made(1);
        let ids: BTreeSet<&str> = made.iter().filter_map(|record| record["id"].as_str()).collect();
        assert!(ids.len() > 100);
        assert!(made.iter().all(|record| !record.to_string().contains("2020-01")));
    }

    #[test]
    fn equal_seeds_give_equal_mixtures() {
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }
}
