//! `risk`: what other rules find of one key, added up, older findings counted less.
//!
//! A rule counts once a day for a key of its own, with the most that it found. Findings are taken in by the moment at which
//! each was made, once none before it can come any more or be taken back: rules that learn find what they find later than rules
//! that count. One rule alone is never a risk, it has alerts of its own; several are, when their sum is beyond the floor and as
//! rare as the rule asks, among all sums so far.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::calibration::Rank;
use super::verdict::{GOES_ON, Known, Note, Unusual, Weight};
use super::{Learning, Shared};
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::progress::Borders;
use crate::detect::window::Arrival;
use crate::time::{Span, Timestamp};

/// A rule counts once in it.
const DAY: Span = Span::seconds(86_400);

/// Findings of one key at most that wait, and that are added up.
const WAITING_MAX: usize = 1_024;
const PARTS_MAX: usize = 32;

/// What has become less than so many thousandths is forgotten.
const FADED: f64 = 50.0;

/// Parts that an alert lists.
const LISTED_MAX: usize = 6;

/// One key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sum {
    /// Earliest first.
    waiting: Vec<Part>,
    /// In the order in which they came to be known.
    parts: Vec<Part>,
}

/// A finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// When it was made.
    pub(super) time: Timestamp,
    due: Timestamp,
    evidence: Handle,
    /// Its rule, by hash, and the same with its key.
    rule: u64,
    of: u64,
    title: Box<str>,
    /// In thousandths, when it was made.
    weight: u32,
    /// The alert that may take it back.
    pub(super) alert: Option<Box<str>>,
}

/// How far the stream must have gone on behind a finding: as late as an event may come, which changes what was found, and a moment
/// more, so that all that waits for the same is found before.
pub(in crate::detect) fn wait(borders: &Borders) -> Span {
    Span::from_micros(borders.lateness.micros() + 2)
}

/// The alert that may take a finding back.
pub(super) fn alert_of<'a>(arrival: &Arrival<'a>) -> Option<&'a str> {
    arrival.values.get(4).map(String::as_str)
}

impl Sum {
    /// Takes a finding in; answers the one that there is no room for. Of single events a rule counts the first one of a day.
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, wait: Span, evidence: &mut Evidence) -> Option<Part> {
        let ([rule, key, ..], [_, _, title, weight, ..]) = (arrival.marks, arrival.values) else { return None };
        let part = Part {
            time: arrival.time,
            due: arrival.time.plus(wait),
            evidence: arrival.evidence,
            rule: *rule,
            of: rule.rotate_left(32) ^ key,
            title: title.as_str().into(),
            weight: weight.parse().unwrap_or_default(),
            alert: alert_of(arrival).map(Into::into),
        };
        let same = self.waiting.iter().position(|other| other.is_same(&part));
        if let Some(place) = same {
            let other = &self.waiting[place];
            if other.is_before(arrival, evidence) || evidence.is(other.evidence, arrival.uid) {
                return None;
            }
            evidence.release(self.waiting.remove(place).evidence);
        }
        let place = self.waiting.partition_point(|part| part.is_before(arrival, evidence));
        evidence.hold(part.evidence);
        self.waiting.insert(place, part);
        // The last leave, whatever the order in which they came.
        let last = (self.waiting.len() > WAITING_MAX).then(|| self.waiting.pop()).flatten();
        last.inspect(|last| evidence.release(last.evidence))
    }

    /// The alert did not happen after all, or otherwise.
    pub(super) fn take_back(&mut self, alert: &str, evidence: &mut Evidence) {
        self.waiting.retain(|part| {
            let stays = part.alert.as_deref() != Some(alert);
            if !stays {
                evidence.release(part.evidence);
            }
            stays
        });
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.first().map(|part| part.due)
    }

    pub(super) fn next(&mut self) -> Option<Part> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0))
    }

    /// Alerts that may take back what waits here.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().filter_map(|part| part.alert.as_deref())
    }

    /// When that was made which is added next.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.waiting.first().map(|part| part.time)
    }

    /// Lets go of the events of what waits.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.waiting.iter().for_each(|part| evidence.release(part.evidence));
    }

    /// And of those of what was added up.
    pub(super) fn release_parts(&self, evidence: &mut Evidence) {
        self.parts.iter().for_each(|part| evidence.release(part.evidence));
    }

    /// Forgets what was added up.
    pub(super) fn forget(&mut self) {
        self.parts = Vec::new();
    }

    pub(super) fn bytes(&self) -> usize {
        let part = |part: &Part| size_of::<Part>() + part.title.len() + part.alert.as_ref().map_or(0, |id| id.len());
        self.waiting.iter().chain(&self.parts).map(part).sum()
    }

    /// Adds it to the parts; not if the rule has counted as much today already.
    fn add(&mut self, part: Part, half_life: Span, evidence: &mut Evidence) -> bool {
        let day = part.time.cell(DAY);
        let counted = self.parts.iter().position(|known| known.of == part.of && known.time.cell(DAY) == day);
        if let Some(place) = counted {
            if self.parts[place].weight >= part.weight {
                evidence.release(part.evidence);
                return false;
            }
            evidence.release(self.parts.remove(place).evidence);
        }
        let now = part.time;
        self.parts.push(part);
        self.parts.retain(|part| {
            let stays = part.now(now, half_life) >= FADED;
            if !stays {
                evidence.release(part.evidence);
            }
            stays
        });
        if self.parts.len() > PARTS_MAX {
            let least = |one: &(usize, f64), other: &(usize, f64)| one.1.total_cmp(&other.1);
            let weights = self.parts.iter().map(|part| part.now(now, half_life)).enumerate();
            if let Some((place, _)) = weights.min_by(least) {
                evidence.release(self.parts.remove(place).evidence);
            }
        }
        true
    }
}

impl Part {
    fn is_before(&self, arrival: &Arrival<'_>, evidence: &Evidence) -> bool {
        self.time < arrival.time || self.time == arrival.time && evidence.is_before(self.evidence, arrival.uid)
    }

    /// Whether it says nothing more than this one.
    fn is_same(&self, other: &Self) -> bool {
        let firm = self.alert.is_none() && other.alert.is_none();
        firm && self.of == other.of && self.weight == other.weight && self.time.cell(DAY) == other.time.cell(DAY)
    }

    /// What is left of its weight at this moment, in thousandths.
    fn now(&self, now: Timestamp, half_life: Span) -> f64 {
        let passed = now.since(self.time).micros() as f64 / half_life.micros().max(1) as f64;
        f64::from(self.weight) * libm::exp2(-passed)
    }
}

pub(super) fn judge(
    sum: &mut Sum,
    part: Part,
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
    evidence: &mut Evidence,
) -> Option<Unusual> {
    let now = part.time;
    let newest = part.evidence;
    if !sum.add(part, learning.window, evidence) {
        return None;
    }
    let all: f64 = sum.parts.iter().map(|part| part.now(now, learning.window)).sum();
    let risk = all / 1_000.0;
    let rank = shared.calibration.rank(risk, known.is_enough(learning), learning.limit(), now);
    let is_several = sum.parts.iter().any(|part| part.rule != sum.parts[0].rule);
    let is_high = all >= f64::from(learning.floor);
    if !is_several || !is_high || !goes_beyond(rank, known, learning) {
        return None;
    }
    let mut against = String::with_capacity(256);
    list(&mut against, sum, now, learning.window);
    let among = rank.among.round();
    let written = match goes_by_rank(rank, learning) {
        true => write!(against, "; of {among} findings one in {} came to as much", (1.0 / rank.p).round()),
        false => write!(against, "; {among} findings so far are too few to say how rare that is"),
    };
    debug_assert!(written.is_ok(), "a text takes more");
    let mut sample: Vec<(Timestamp, Handle)> = sum.parts.iter().map(|part| (part.time, part.evidence)).collect();
    sample.sort_by_key(|(time, _)| *time);
    let first = sample.first().map_or(now, |(time, _)| *time);
    // What goes on already shows those before.
    let sample: Vec<Handle> =
        if known.goes_on { vec![newest] } else { sample.into_iter().map(|(_, handle)| handle).collect() };
    // The alert lets go of them, and we keep them.
    sample.iter().for_each(|handle| evidence.hold(*handle));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 32 times 6")]
    let level = risk.round() as u32;
    let note = Note { what: format!("risk {risk:.1}"), against };
    let (events, weight) = (sample.len(), Weight::of(rank, learning, now));
    Some(Unusual { first, last: now, sample, events, level, note, weight })
}

/// `4.0 from Secret read by hand at 2026-11-02 10:02, 2.9 from …`, the most first.
fn list(text: &mut String, sum: &Sum, now: Timestamp, half_life: Span) {
    let mut parts: Vec<(f64, &Part)> = sum.parts.iter().map(|part| (part.now(now, half_life), part)).collect();
    parts.sort_by(|(one, first), (other, second)| other.total_cmp(one).then(first.time.cmp(&second.time)));
    for (place, (weight, part)) in parts.iter().take(LISTED_MAX).enumerate() {
        let (weight, time) = (weight / 1_000.0, part.time.to_string());
        let minute = time.get(..16).unwrap_or(&time).replace('T', " ");
        let and = if place == 0 { "" } else { ", " };
        let written = write!(text, "{and}{weight:.1} from {} at {minute}", part.title);
        debug_assert!(written.is_ok(), "a text takes more");
    }
    if parts.len() > LISTED_MAX {
        let written = write!(text, " and {} more", parts.len() - LISTED_MAX);
        debug_assert!(written.is_ok(), "a text takes more");
    }
}

/// Whether there are enough past sums to rank by. Without them no more than the floor is asked: a sum says by itself how high it is.
fn goes_by_rank(rank: Rank, learning: &Learning) -> bool {
    (1.0 + rank.among) * learning.limit() > 1.0
}

fn goes_beyond(rank: Rank, known: Known, learning: &Learning) -> bool {
    let easier = if known.goes_on { GOES_ON } else { 1.0 };
    !goes_by_rank(rank, learning) || rank.p < learning.limit() * easier
}
