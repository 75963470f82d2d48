//! What is unusual: habits that are learnt of each key, and what departs from them.
//!
//! A rule of this sort looks at events one after the other as they happened, not as they came: what is to be judged waits until
//! nothing earlier can come any more, which is the lateness of its sources after it. So the same events give the same alerts,
//! whatever the order in which they arrive, and an alert comes that much later
//! ([decision 0016](../../../../docs/decisions/0016-what-is-learnt-waits-for-order.md)).
//!
//! Each way of judging has a file: [`first_seen`] and [`rare`] look at values, [`rate`] and [`distinct`] at counts in windows,
//! [`concurrent`] and [`travel`] at places, [`silent`] at gaps; [`risk`] adds up what other rules find.
//! The first three are judged by the key's group as well where a rule asks for it ([`peers`]).
//! Each gives a score, whose rank among the rule's own past scores decides ([`calibration`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::evidence::Evidence;
use super::keys::Keyed;
use super::table::{Hash, Table, Tick};
use super::window::{Arrival, Asked, Ripple, TooLate};
use crate::time::{Span, Timestamp, Zone};
use calibration::Calibration;
pub use calibration::Reliability;
pub(super) use peers::Group;
use peers::Peers;
use population::Population;
use profile::{Habit, Profile};
pub(super) use risk::wait;
pub(crate) use travel::Spot;
pub(super) use verdict::{Note, Weight};

mod baseline;
mod calibration;
mod concurrent;
mod counts;
mod distinct;
mod first_seen;
mod peers;
mod population;
mod profile;
mod rare;
mod rate;
mod risk;
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
    /// What other rules find, added up.
    Risk,
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
    /// The same of those that name the group of a key; empty for a rule that does not ask.
    pub(crate) peers: String,
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
    /// Less than so many thousandths is never unusual, for what is added up.
    pub(crate) floor: u32,
    /// Whose hours habits of the week are in.
    pub(crate) zone: Zone,
}

/// The keys of one rule and what is learnt of all of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(super) struct Learnt {
    profiles: Table<Profile>,
    shared: Shared,
    /// Keys by the last look at each, or an earlier one: looked at again when it is their turn to be forgotten.
    #[serde(skip)]
    looked: BTreeSet<(Timestamp, Hash)>,
}

/// What of it is on disk.
#[derive(Deserialize)]
struct Saved {
    profiles: Table<Profile>,
    shared: Shared,
}

/// What is known over all keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Shared {
    calibration: Calibration,
    population: Population,
    counts: counts::OfAll,
    peers: Box<Peers>,
    /// Of alerts whose findings wait to be added up and may still be taken back: for which key.
    owners: BTreeMap<Box<str>, Hash>,
}

impl Way {
    /// Whether a group can be judged by as well.
    pub(crate) fn has_peers(self) -> bool {
        match self {
            Self::FirstSeen | Self::Rate | Self::Distinct => true,
            Self::Rare | Self::Concurrent | Self::Silent | Self::Risk | Self::Travel => false,
        }
    }
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
        if learning.way == Way::Risk {
            return self.add(key, arrival, asked, evidence);
        }
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

    /// Takes in a finding of another rule. What is found of an alert that is known already takes its place.
    fn add(
        &mut self,
        key: Keyed<'_>,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), TooLate> {
        let wait = risk::wait(&asked.borders);
        if arrival.time.plus(wait) <= asked.borders.watermark {
            return Err(TooLate);
        }
        self.take_back(arrival, evidence);
        let dropped = self.profiles.touch(key.hash, key.now, |profile| {
            if profile.key.is_empty() {
                profile.key = key.values.to_vec();
            }
            if arrival.time < profile.judged_to {
                return Err(TooLate);
            }
            Ok(profile.sum().take(arrival, wait, evidence))
        })?;
        self.shared.owners.extend(risk::alert_of(arrival).map(|alert| (alert.into(), key.hash)));
        self.shared.disown(dropped.as_ref().and_then(|part| part.alert.as_deref()));
        Ok(())
    }

    /// An alert did not happen after all: what it added is taken out, if that still waits.
    pub(super) fn take_back(&mut self, arrival: &Arrival<'_>, evidence: &mut Evidence) {
        let Some(alert) = risk::alert_of(arrival) else { return };
        if let Some(hash) = self.shared.owners.remove(alert) {
            self.profiles.visit(hash, |profile| profile.sum().take_back(alert, evidence));
        }
    }

    /// Whether values of this key were looked at before in their cell of time: they teach nothing.
    pub(super) fn has_looked(&self, hash: Hash, shape: &Shape, time: Timestamp, marks: &[u64]) -> bool {
        let cell = match shape.learning.as_ref().map(|learning| learning.way) {
            Some(Way::FirstSeen) => first_seen::CELL,
            Some(Way::Rare) => rare::CELL,
            Some(Way::Rate | Way::Distinct | Way::Concurrent | Way::Silent | Way::Risk | Way::Travel) | None => {
                return false;
            }
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
        let learning = shape.learning.as_ref()?;
        if let Some(moment) = self.profiles.get(hash)?.moment(learning) {
            self.forget(moment, learning, evidence);
        }
        let Self { profiles, shared, looked } = self;
        profiles.visit(hash, |profile| {
            let is_new = profile.looks == 0;
            let found = profile.judge(shape, clock, shared, evidence);
            if is_new && profile.looks > 0 {
                looked.insert((profile.judged_to, hash));
            }
            if let Some(unusual) = found {
                ripples.extend(profile.report(unusual, shape.quiet, evidence));
            }
            profile.key.clone()
        })
    }

    /// Forgets the keys that were not looked at for too long before this moment. That is part of judging, which goes by the
    /// times of events: when a key's memory is freed depends on how its events came, and must change nothing.
    fn forget(&mut self, moment: Timestamp, learning: &Learning, evidence: &mut Evidence) {
        let Self { profiles, shared, looked } = self;
        shared.population.at(moment);
        shared.peers.at(moment);
        let border = moment.minus(learning.remember);
        while let Some((_, hash)) = looked.first().filter(|(time, _)| *time < border).copied() {
            looked.pop_first();
            profiles.visit(hash, |profile| {
                let is_known = profile.looks > 0;
                if is_known && profile.judged_to < border {
                    shared.forget(profile, evidence);
                    profile.forget();
                } else if is_known {
                    looked.insert((profile.judged_to, hash));
                }
            });
        }
    }

    pub(super) fn episodes(&self, hash: Hash) -> &[Episode] {
        self.profiles.get(hash).map_or(&[], |profile| &profile.episode)
    }

    pub(super) fn len(&self) -> usize {
        self.profiles.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let looked = self.looked.len() * 2 * size_of::<(Timestamp, Hash)>();
        self.profiles.bytes() + looked + self.shared.population.bytes() + self.shared.peers.bytes()
    }

    pub(super) fn reliability(&self) -> &Reliability {
        self.shared.calibration.reliability()
    }

    /// Groups that had to leave since the beginning.
    pub(super) fn evicted(&self) -> u64 {
        self.shared.peers.evicted()
    }

    pub(super) fn turn(&self) -> Option<Tick> {
        self.profiles.turn()
    }

    /// Lets the key go whose turn it is, if nothing is known of it any more.
    pub(super) fn expire(&mut self, border: Tick) -> Option<(Hash, Option<Timestamp>)> {
        let (hash, _) = self.profiles.expire(border, Profile::is_blank)?;
        Some((hash, None))
    }

    /// Answers the hash of the key that left, and when something of it could have been judged.
    pub(super) fn evict(&mut self, evidence: &mut Evidence) -> Option<(Hash, Option<Timestamp>)> {
        let (hash, profile) = self.profiles.evict()?;
        let deadline = profile.deadline();
        self.shared.forget(&profile, evidence);
        profile.release(evidence);
        if let Habit::Sum(sum) = &profile.habit {
            sum.alerts().for_each(|alert| self.shared.disown(Some(alert)));
        }
        Some((hash, deadline))
    }

    pub(super) fn clear(&mut self, evidence: &mut Evidence) {
        for profile in self.profiles.drain() {
            self.shared.forget(&profile, evidence);
            profile.release(evidence);
        }
        *self = Self::default();
    }
}

impl From<Saved> for Learnt {
    fn from(Saved { profiles, shared }: Saved) -> Self {
        let known = profiles.iter().filter(|(_, profile)| profile.looks > 0);
        let looked = known.map(|(hash, profile)| (profile.judged_to, hash)).collect();
        Self { profiles, shared, looked }
    }
}

impl Shared {
    /// A finding no longer waits.
    fn disown(&mut self, alert: Option<&str>) {
        if let Some(alert) = alert {
            self.owners.remove(alert);
        }
    }

    /// A key is looked at, in a group or in none that is known: then it stays where it was.
    fn regroup(
        &mut self,
        moment: Timestamp,
        group: &mut Option<Box<Group>>,
        now: Option<&Group>,
        values: impl Iterator<Item = u64>,
    ) {
        self.peers.look(moment, group.as_deref(), now.or(group.as_deref()), values);
        if let Some(now) = now.filter(|now| group.as_deref() != Some(*now)) {
            *group = Some(Box::new(now.clone()));
        }
    }

    /// What was learnt of a key is no more.
    fn forget(&mut self, profile: &Profile, evidence: &mut Evidence) {
        if profile.looks > 0 {
            self.population.leaves();
        }
        match &profile.habit {
            Habit::None => {}
            Habit::Values(values) => {
                values.hashes().for_each(|hash| self.population.left(hash));
                if let Some(group) = &profile.group {
                    self.peers.forget(group, values.hashes());
                }
            }
            Habit::Counts(_) => {
                if let Some(group) = &profile.group {
                    self.peers.forget(group, std::iter::empty());
                }
            }
            Habit::Places(places) => places.pairs.hashes().for_each(|hash| self.population.left(hash)),
            Habit::Gaps(gaps) => gaps.release_last(evidence),
            Habit::Sum(sum) => sum.release_parts(evidence),
            Habit::Travels(_) => {}
        }
    }
}
