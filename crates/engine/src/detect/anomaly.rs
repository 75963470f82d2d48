//! What is unusual: habits that are learnt of each key, and what departs from them.
//!
//! A rule of this sort looks at events one after the other as they happened, not as they came: what is to be judged waits until
//! nothing earlier can come any more, which is the lateness of its sources after it. So the same events give the same alerts,
//! whatever the order in which they arrive, and an alert comes that much later
//! ([decision 0016](../../../../docs/decisions/0016-what-is-learnt-waits-for-order.md)).
//!
//! Each way of judging has a file: [`first_seen`] and [`rare`] look at values, [`rate`] and [`distinct`] at counts in windows,
//! [`concurrent`] and [`travel`] at places, [`silent`] at gaps.
//! Each gives a score, whose rank among the rule's own past scores decides ([`calibration`]).

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::evidence::Evidence;
use super::keys::Keyed;
use super::table::{Hash, Table, Tick};
use super::window::{Arrival, Asked, Ripple, TooLate};
use crate::time::{Span, Timestamp, Zone};
use calibration::Calibration;
use population::Population;
use profile::{Habit, Profile};
pub(crate) use travel::Spot;
pub(super) use verdict::Note;

mod baseline;
mod calibration;
mod concurrent;
mod counts;
mod distinct;
mod first_seen;
mod population;
mod profile;
mod rare;
mod rate;
mod silent;
mod sketch;
#[cfg(test)]
mod tests;
mod travel;
mod values;
mod verdict;

/// Between the fields of a value that several make together (the unit separator of ASCII).
pub(crate) const BETWEEN: char = '\u{1f}';

/// How a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A value that this key never had.
    FirstSeen,
    /// A value that this key seldom has.
    Rare,
    /// A count of events in a window that is beyond what this key is used to.
    Rate,
    /// A count of distinct values, the same way.
    Distinct,
    /// Two places at once that it was never at together.
    Concurrent,
    /// Nothing for longer than it was ever silent.
    Silent,
    /// A place that is too far from where it was.
    Travel,
}

impl Way {
    /// The fields that say where an event came from, whoever knows it.
    pub(crate) const PLACE: [&'static str; 7] = [
        "source.geo.location.lat",
        "source.geo.location.lon",
        "source.as.number",
        "source.as.organization.name",
        "source.geo.country_iso_code",
        "source.geo.city_name",
        "source.geo.country_name",
    ];
}

/// What a rule learns, as state needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Learning {
    pub(crate) way: Way,
    /// Names of the fields whose values are looked at, as people read them.
    pub(crate) of: String,
    /// A key is judged once it has been known for so long …
    pub(crate) learn: Span,
    /// … and was looked at so often.
    pub(crate) learn_count: u32,
    /// What was not seen for so long is forgotten.
    pub(crate) remember: Span,
    /// Length of a window in which something is counted.
    pub(crate) window: Span,
    /// Judged unusual is what is as rare as so many in a million.
    pub(crate) per_million: u32,
    /// Whose hours habits of the week are in.
    pub(crate) zone: Zone,
}

/// The keys of one rule and what is learnt of all of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Learnt {
    profiles: Table<Profile>,
    shared: Shared,
}

/// What is known over all keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Shared {
    calibration: Calibration,
    population: Population,
    counts: counts::OfAll,
}

impl Learning {
    /// The p-value below which something is unusual.
    fn limit(&self) -> f64 {
        f64::from(self.per_million) / 1e6
    }
}

impl Learnt {
    /// Takes in an event, to be judged when its time has come.
    pub(super) fn take(
        &mut self,
        key: Keyed<'_>,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), TooLate> {
        let Some(learning) = &asked.shape.learning else { return Ok(()) };
        if arrival.time < asked.borders.of_key(Timestamp::LATEST) {
            return Err(TooLate);
        }
        let wait = asked.borders.wait();
        self.profiles.touch(key.hash, key.now, |profile| {
            if profile.key.is_empty() {
                profile.key = key.values.to_vec();
            }
            if arrival.time < profile.judged_to {
                return Err(TooLate);
            }
            profile.take(arrival, learning, wait, evidence);
            Ok(())
        })
    }

    /// Whether values of this key were looked at before in their cell of time: they teach nothing.
    pub(super) fn has_looked(&self, hash: Hash, shape: &Shape, time: Timestamp, marks: &[u64]) -> bool {
        let cell = match shape.learning.as_ref().map(|learning| learning.way) {
            Some(Way::FirstSeen) => first_seen::CELL,
            Some(Way::Rare) => rare::CELL,
            Some(Way::Rate | Way::Distinct | Way::Concurrent | Way::Silent | Way::Travel) | None => return false,
        };
        self.profiles.get(hash).is_some_and(|profile| profile.has_looked(marks, time.cell(cell)))
    }

    /// A key is there, though nothing was taken in of it.
    pub(super) fn see(&mut self, hash: Hash, now: Tick) {
        self.profiles.see(hash, now);
    }

    /// When something of this key can be judged.
    pub(super) fn deadline(&self, hash: Hash) -> Option<Timestamp> {
        self.profiles.get(hash).and_then(Profile::deadline)
    }

    pub(super) fn deadlines(&self) -> Vec<(Timestamp, Hash)> {
        self.profiles.iter().filter_map(|(hash, profile)| Some((profile.deadline()?, hash))).collect()
    }

    /// Judges what of this key comes next; answers with the key's text.
    pub(super) fn judge(
        &mut self,
        hash: Hash,
        (shape, clock): (&Shape, Timestamp),
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Option<Vec<Option<String>>> {
        let shared = &mut self.shared;
        self.profiles.visit(hash, |profile| {
            let found = profile.judge(shape, clock, shared, evidence);
            if let Some(unusual) = found {
                ripples.extend(profile.report(unusual, shape.quiet, evidence));
            }
            profile.key.clone()
        })
    }

    pub(super) fn episodes(&self, hash: Hash) -> &[Episode] {
        self.profiles.get(hash).map_or(&[], |profile| &profile.episode)
    }

    pub(super) fn len(&self) -> usize {
        self.profiles.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.profiles.bytes() + self.shared.population.bytes()
    }

    pub(super) fn turn(&self) -> Option<Tick> {
        self.profiles.turn()
    }

    /// Lets the key go whose turn it is; answers its hash and when something of it could have been judged.
    pub(super) fn expire(&mut self, border: Tick, evidence: &mut Evidence) -> Option<(Hash, Option<Timestamp>)> {
        let (hash, profile) = self.profiles.expire(border)?;
        Some((hash, self.shared.forget(&profile, evidence)))
    }

    pub(super) fn evict(&mut self, evidence: &mut Evidence) -> Option<(Hash, Option<Timestamp>)> {
        let (hash, profile) = self.profiles.evict()?;
        Some((hash, self.shared.forget(&profile, evidence)))
    }

    pub(super) fn clear(&mut self, evidence: &mut Evidence) {
        let Self { profiles, shared } = self;
        for profile in profiles.drain() {
            shared.forget(&profile, evidence);
        }
        *shared = Shared::default();
    }
}

impl Shared {
    /// A key has left; when something of it could have been judged.
    fn forget(&mut self, profile: &Profile, evidence: &mut Evidence) -> Option<Timestamp> {
        if profile.looks > 0 {
            self.population.leaves();
        }
        match &profile.habit {
            Habit::None => {}
            Habit::Values(values) => {
                values.release(evidence);
                values.hashes().for_each(|hash| self.population.left(hash));
            }
            Habit::Counts(counts) => counts.release(evidence),
            Habit::Places(places) => {
                places.release(evidence);
                places.pairs.hashes().for_each(|hash| self.population.left(hash));
            }
            Habit::Gaps(gaps) => gaps.release(evidence),
            Habit::Travels(travels) => travels.release(evidence),
        }
        profile.deadline()
    }
}
