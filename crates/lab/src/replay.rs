//! The engine over records in memory, driven as the service drives it: a batch is matched as a whole, each
//! event counts once, and after a crash the state is what the snapshot and the journal give.
//!
//! A test hands in a [`Course`], which says where batches end and what happens between them. By promise 3
//! none of that may show in the alerts.

use std::collections::BTreeSet;

use engine::alert::Alert;
use engine::detect::{Caps, Change, Pace, Raw, Reach, Register, Sighting, State, Step, sight, sight_raw};
use engine::event::{Kind, Kinds, Uid};
use engine::normalise::{Format, Limits, Reject, normalise};
use engine::rule::{RuleSet, Scratch};
use engine::time::{Span, Timestamp};

use crate::chance::Chance;

/// One record as a source would hand it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in its source: what a record without an id of its own is known by.
    pub position: String,
    /// The vendor's bytes.
    pub body: Vec<u8>,
}

/// What happens to a stream on its way. The default is one batch and no accident.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// How much is remembered.
    pub caps: Caps,
    /// Records in each batch, in turn; what is left comes in one.
    pub batches: Vec<usize>,
    /// Batches, from 0, after which a snapshot is written.
    pub snapshots: BTreeSet<usize>,
    /// Batches, from 0, after which the process dies.
    pub crashes: BTreeSet<usize>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Played {
    /// The alerts that stand at the end, by (time, id).
    pub alerts: Vec<Alert>,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// Events normalised.
    pub events: u64,
    /// Events that some rule matched and that had not been counted before.
    pub matched: u64,
    /// Events that some rule matched and that had been counted before.
    pub duplicates: u64,
    /// Events that came too late for a window.
    pub late: u64,
    /// Keys that had to leave.
    pub evicted: u64,
}

/// What would be on disk.
#[derive(Default)]
struct Disk {
    snapshot: Option<Vec<u8>>,
    /// What state took in since the snapshot.
    journal: Vec<Step>,
    /// Ids of counted events.
    seen: BTreeSet<(Kind, Uid)>,
    alerts: Register,
}

/// Lines of a file as records, positions counted from 1.
#[must_use]
pub fn numbered(lines: &[String]) -> Vec<Record> {
    let record = |(place, line): (usize, &String)| Record {
        position: format!("line:{}", place + 1),
        body: line.as_bytes().to_vec(),
    };
    lines.iter().enumerate().map(record).collect()
}

/// Plays `records` in the order in which they are given.
///
/// # Panics
/// When the engine cannot read back what it saved: that is the engine's bug and what tests look for.
#[must_use]
pub fn replay(rules: &RuleSet, format: Format, records: &[Record], course: &Course) -> Played {
    let mut played = Played::default();
    let mut disk = Disk::default();
    let mut state = State::new(course.caps);
    let pace = Pace { delay: course.caps.lateness, lateness: course.caps.lateness };
    let mut reach = Reach { kinds: Kind::ALL.into_iter().collect::<Kinds>(), ..Reach::new("records", pace) };
    let mut counters = (0, 0);
    let mut rest = records;
    let mut lengths = course.batches.iter();
    for number in 0.. {
        let length = lengths.next().map_or(rest.len(), |length| rest.len().min(*length));
        let (batch, after) = rest.split_at(length);
        for (newest, sighting) in matched(rules, format, batch, &mut played) {
            reach.newest = reach.newest.max(newest);
            let sighting = sighting.filter(|sighting| is_new(sighting, &mut disk, &mut played));
            let step = Step { reached: vec![reach.clone()], sighting };
            take(rules, &step, &mut state, &mut disk);
            disk.journal.push(step);
        }
        if course.snapshots.contains(&number) {
            disk.snapshot = Some(state.save().expect("memory is all that saving needs"));
            disk.journal.clear();
        }
        if course.crashes.contains(&number) {
            counters = (counters.0.max(state.late()), counters.1.max(state.evicted()));
            state = recovered(rules, &disk, course.caps);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let mut changes = Vec::new();
    state.finish(rules, &mut changes);
    changes.into_iter().for_each(|change| disk.alerts.take(change));
    played.late = counters.0.max(state.late());
    played.evicted = counters.1.max(state.evicted());
    played.alerts = disk.alerts.into_alerts();
    played
}

/// An order in which records of these times could arrive: each is held up for some time up to `lateness`, so
/// none is too late. Answers places in `times`.
#[must_use]
pub fn arrivals(times: &[Timestamp], lateness: Span, chance: &mut Chance) -> Vec<usize> {
    let bound = u64::try_from(lateness.micros()).unwrap_or(0).saturating_add(1);
    let mut arriving: Vec<(Timestamp, u64, usize)> = Vec::with_capacity(times.len());
    for (place, time) in times.iter().enumerate() {
        let held = Span::from_micros(i64::try_from(chance.below(bound)).unwrap_or(i64::MAX));
        // Among those that arrive at one moment chance decides, not their place.
        arriving.push((time.plus(held), chance.number(), place));
    }
    arriving.sort_unstable();
    arriving.into_iter().map(|(_, _, place)| place).collect()
}

impl Played {
    /// The alerts in their canonical form, one line of JSON each.
    ///
    /// # Panics
    /// Never: an alert is plain data.
    #[must_use]
    pub fn canonical(&self) -> Vec<String> {
        let line = |alert: &Alert| serde_json::to_string(alert).expect("an alert is plain data");
        self.alerts.iter().map(line).collect()
    }
}

/// The pure stage: no state, nothing shared between batches. Every sighting with the newest event up to it, and the
/// newest of the batch.
fn matched(
    rules: &RuleSet,
    format: Format,
    batch: &[Record],
    played: &mut Played,
) -> Vec<(Timestamp, Option<Sighting>)> {
    let (mut scratch, limits, mut newest) = (Scratch::default(), Limits::default(), Timestamp::EARLIEST);
    let (mut events, mut found) = (Vec::new(), Vec::new());
    let mut take = |time: Timestamp, sighting: Option<Sighting>, played: &mut Played| {
        played.events += 1;
        newest = newest.max(time);
        found.extend(sighting.map(|sighting| (newest, Some(sighting))));
    };
    for record in batch {
        let raw = Raw { body: &record.body, position: &record.position, format };
        if let Some(seen) = sight_raw(rules, raw, &limits, &mut scratch) {
            take(seen.time, seen.sighting, played);
            continue;
        }
        normalise(format, &record.body, &record.position, &limits, &mut events, &mut played.rejects);
        for event in events.drain(..) {
            take(event.time, sight(rules, &event, &mut scratch), played);
        }
    }
    found.push((newest, None));
    found
}

fn is_new(sighting: &Sighting, disk: &mut Disk, played: &mut Played) -> bool {
    let is_new = disk.seen.insert((sighting.kind, sighting.uid.clone()));
    *(if is_new { &mut played.matched } else { &mut played.duplicates }) += 1;
    is_new
}

fn take(rules: &RuleSet, step: &Step, state: &mut State, disk: &mut Disk) {
    let mut changes: Vec<Change> = Vec::new();
    state.step(rules, step, &mut changes);
    changes.into_iter().for_each(|change| disk.alerts.take(change));
}

/// The alerts of the journal are on disk already; only what it left in the windows is wanted.
fn recovered(rules: &RuleSet, disk: &Disk, caps: Caps) -> State {
    let mut state = match &disk.snapshot {
        None => State::new(caps),
        Some(bytes) => State::restore(bytes, caps).expect("this build wrote it"),
    };
    let mut changes = Vec::new();
    for step in &disk.journal {
        state.step(rules, step, &mut changes);
        changes.clear();
    }
    state
}

#[cfg(test)]
mod tests {
    use engine::rule::RuleFile;

    use super::*;

    const RULE: &str = "
title: Three reads
id: 11111111-1111-4111-8111-111111111111
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Read}, condition: selection}
dedup: {group-by: [userIdentity.arn], period: 10m}
level: low
";

    fn rules() -> RuleSet {
        let (rules, problems) = RuleSet::compile(&[RuleFile { path: "three.yml".into(), text: RULE.into() }]);
        assert_eq!(problems, []);
        rules
    }

    fn read(id: &str, second: u32) -> String {
        format!(
            r#"{{"eventID":"{id}","eventTime":"2026-11-20T09:00:{second:02}Z","eventName":"Read","userIdentity":{{"arn":"a"}}}}"#
        )
    }

    fn play(lines: &[String], course: &Course) -> Played {
        replay(&rules(), Format::Known(Kind::AwsCloudtrail), &numbered(lines), course)
    }

    #[test]
    fn an_event_that_comes_twice_is_counted_once() {
        let played = play(&[read("x", 1), read("y", 2), read("x", 1)], &Course::default());
        assert_eq!((played.events, played.matched, played.duplicates), (3, 2, 1));
        assert_eq!(played.alerts[0].events_total, 2);
    }

    #[test]
    fn a_record_that_cannot_be_read_costs_only_itself() {
        let played = play(&["{".to_owned(), read("x", 1)], &Course::default());
        assert_eq!((played.rejects.len(), played.alerts.len()), (1, 1));
    }

    #[test]
    fn a_crash_between_snapshots_shows_in_nothing() {
        let lines: Vec<String> = (0..9).map(|second| read(&format!("e{second}"), second)).collect();
        let course =
            Course { batches: vec![1; 9], snapshots: [2, 5].into(), crashes: [0, 3, 5, 7].into(), ..Course::default() };
        assert_eq!(play(&lines, &course).canonical(), play(&lines, &Course::default()).canonical());
    }

    #[test]
    fn an_empty_stream_ends() {
        assert!(play(&[], &Course::default()).alerts.is_empty());
    }

    #[test]
    fn no_arrival_is_later_than_allowed() {
        let times: Vec<Timestamp> = (0..200).map(|i| Timestamp::from_micros(i * 7_000_000)).collect();
        let lateness = Span::seconds(60);
        let order = arrivals(&times, lateness, &mut Chance::new(3));
        let mut newest = Timestamp::default();
        for &place in &order {
            assert!(newest.since(times[place]) <= lateness);
            newest = newest.max(times[place]);
        }
        assert!(!order.is_sorted());
    }
}
