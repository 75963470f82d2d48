//! What is unusual: habits that are learnt of each key, and what departs from them.
//!
//! A rule of this sort looks at events one after the other as they happened, not as they came: what is to be judged waits until
//! nothing earlier can come any more, which is the lateness of its sources after it. So the same events give the same alerts,
//! whatever the order in which they arrive, and an alert comes that much later
//! ([decision 0016](../../../../docs/decisions/0016-what-is-learnt-waits-for-order.md)).
//!
//! Each way of judging has a file: [`first_seen`] and [`rare`] look at values, [`rate`] and [`distinct`] at counts in windows.
//! Each gives a score, whose rank among the rule's own past scores decides ([`calibration`]).

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::evidence::{Evidence, Handle};
use super::keys::Keyed;
use super::table::{Hash, Table, Tick, Weigh};
use super::window::{Arrival, Asked, Ripple, TooLate, grown};
use crate::time::{Span, Timestamp};
use calibration::{Calibration, Rank};
use counts::Counts;
use population::Population;
use values::Values;

mod baseline;
mod calibration;
mod counts;
mod distinct;
mod first_seen;
mod population;
mod rare;
mod rate;
mod sketch;
#[cfg(test)]
mod tests;
mod values;

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
}

/// Unlikely by the model alone, in tens of orders: one in a hundred. While there are too few past scores to rank by, a score has to
/// be that high, and the highest so far.
const UNLIKELY: f64 = 2.0;

/// What is so many times less rare than what begins an alert still lets it grow.
const GOES_ON: f64 = 10.0;

/// With fewer past scores than this people are told how few there are.
const RANKED_LEAST: f64 = 200.0;

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
    /// How many keys there are.
    keys: usize,
}

/// What is known of one key.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Profile {
    /// The values of its fields: no event is at hand when it is judged.
    key: Vec<Option<String>>,
    /// When it was first looked at.
    since: Timestamp,
    /// How often it was looked at.
    looks: u32,
    /// All before this moment was judged.
    judged_to: Timestamp,
    habit: Habit,
    episode: Vec<Episode>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Habit {
    #[default]
    None,
    Values(Values),
    Counts(Box<Counts>),
}

/// What was unusual, as people read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// What happened; of whom stands behind it.
    pub(crate) what: String,
    /// Against what.
    pub(crate) against: String,
}

/// What was found unusual.
struct Unusual {
    /// When it happened: its first and its last event.
    first: Timestamp,
    last: Timestamp,
    /// The first events.
    sample: Vec<Handle>,
    events: usize,
    /// What is shown as the alert's count.
    level: u32,
    note: Note,
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
            match learning.way {
                Way::FirstSeen => profile.values().take(arrival, first_seen::CELL, wait, evidence),
                Way::Rare => profile.values().take(arrival, rare::CELL, wait, evidence),
                Way::Rate | Way::Distinct => profile.counts().take(arrival, learning.window, wait, evidence),
            }
            Ok(())
        })
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
        shape: &Shape,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Option<Vec<Option<String>>> {
        self.shared.keys = self.profiles.len();
        let shared = &mut self.shared;
        self.profiles.visit(hash, |profile| {
            let found = profile.judge(shape, shared, evidence);
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
        match &profile.habit {
            Habit::None => {}
            Habit::Values(values) => {
                values.release(evidence);
                values.hashes().for_each(|hash| self.population.left(hash));
            }
            Habit::Counts(counts) => counts.release(evidence),
        }
        profile.deadline()
    }
}

impl Profile {
    fn values(&mut self) -> &mut Values {
        if !matches!(self.habit, Habit::Values(_)) {
            self.habit = Habit::Values(Values::default());
        }
        match &mut self.habit {
            Habit::Values(values) => values,
            Habit::None | Habit::Counts(_) => unreachable!("it was just made"),
        }
    }

    fn counts(&mut self) -> &mut Counts {
        if !matches!(self.habit, Habit::Counts(_)) {
            self.habit = Habit::Counts(Box::default());
        }
        match &mut self.habit {
            Habit::Counts(counts) => counts,
            Habit::None | Habit::Values(_) => unreachable!("it was just made"),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        match &self.habit {
            Habit::None => None,
            Habit::Values(values) => values.deadline(),
            Habit::Counts(counts) => counts.deadline(),
        }
    }

    fn judge(&mut self, shape: &Shape, shared: &mut Shared, evidence: &mut Evidence) -> Option<Unusual> {
        let learning = shape.learning.as_ref()?;
        let Self { habit, since, looks, judged_to, episode, .. } = self;
        let goes_on = |now: Timestamp| episode.first().is_some_and(|episode| now.since(episode.held) <= shape.quiet);
        let (moment, found) = match habit {
            Habit::None => return None,
            Habit::Values(values) => {
                let look = values.next()?;
                let known_for = Known::of(since, looks, look.time).during(goes_on(look.time));
                let found = match learning.way {
                    Way::Rare => rare::judge(values, &look, known_for, learning, shared),
                    Way::FirstSeen | Way::Rate | Way::Distinct => {
                        first_seen::judge(values, &look, known_for, learning, shared)
                    }
                };
                if found.is_none() {
                    evidence.release(look.evidence);
                }
                (look.time, found)
            }
            Habit::Counts(counts) => {
                let window = counts.next()?;
                let known_for = Known::of(since, looks, window.last).during(goes_on(window.last));
                let end = window.end(learning.window);
                let found = match learning.way {
                    Way::Distinct => distinct::judge(counts, &window, known_for, learning, shared),
                    Way::Rate | Way::FirstSeen | Way::Rare => rate::judge(counts, &window, known_for, learning, shared),
                };
                if found.is_none() {
                    window.release(evidence);
                }
                (end, found)
            }
        };
        *judged_to = moment.max(*judged_to);
        found
    }

    /// One burst is one alert: what is unusual again before it was quiet for long enough lets it grow.
    fn report(&mut self, unusual: Unusual, quiet: Span, evidence: &mut Evidence) -> Option<Ripple> {
        let Unusual { first, last, sample, events, level, note } = unusual;
        let goes_on = self.episode.first().is_some_and(|episode| last.since(episode.held) <= quiet);
        if !goes_on {
            self.episode.clear();
            self.episode.push(Episode::noted(last, first, note));
        }
        let episode = self.episode.first_mut()?;
        episode.grow(last, level.into(), events, sample.iter().copied());
        // It keeps itself what it shows: nothing else holds these events.
        episode.forget(&sample, evidence);
        sample.into_iter().for_each(|handle| evidence.release(handle));
        grown(&mut self.episode, Some(&last))
    }
}

/// How well a key is known when it is looked at.
#[derive(Clone, Copy, Debug)]
struct Known {
    time: Span,
    looks: u32,
    /// Something unusual goes on already.
    goes_on: bool,
}

impl Known {
    /// Counts a look, and says how it was before.
    fn of(since: &mut Timestamp, looks: &mut u32, now: Timestamp) -> Self {
        if *looks == 0 {
            *since = now;
        }
        let known = Self { time: now.since(*since), looks: *looks, goes_on: false };
        *looks = looks.saturating_add(1);
        known
    }

    fn during(self, goes_on: bool) -> Self {
        Self { goes_on, ..self }
    }

    fn is_enough(&self, learning: &Learning) -> bool {
        self.time >= learning.learn && self.looks >= learning.learn_count
    }
}

/// Whether a score is so unusual that people are to hear of it. What goes on already need not be as unusual.
fn is_unusual(score: f64, rank: Rank, known: Known, learning: &Learning) -> bool {
    let can_be_ranked = (1.0 + rank.among) * learning.limit() > 1.0;
    match (can_be_ranked, known.goes_on) {
        (true, false) => rank.p < learning.limit(),
        (true, true) => rank.p < learning.limit() * GOES_ON,
        (false, goes_on) => score >= UNLIKELY && (goes_on || rank.p * (1.0 + rank.among) < 2.0),
    }
}

/// `; one in 4,000 looks is as unusual` as people read it.
fn odds(text: &mut String, rank: Rank) {
    use std::fmt::Write;
    let written = if rank.among < RANKED_LEAST {
        write!(text, "; little is known yet: {} looks", rank.among.round())
    } else {
        write!(text, "; of {} looks at all keys one in {} was as unusual", rank.among.round(), (1.0 / rank.p).round())
    };
    debug_assert!(written.is_ok(), "a text takes more");
}

impl Weigh for Profile {
    fn bytes(&self) -> usize {
        let texts: usize = self.key.iter().flatten().map(|text| text.len() + size_of::<Option<String>>()).sum();
        let episode: usize = self.episode.iter().map(Episode::bytes).sum();
        let habit = match &self.habit {
            Habit::None => 0,
            Habit::Values(values) => values.bytes(),
            Habit::Counts(counts) => size_of::<Counts>() + counts.bytes(),
        };
        texts + episode + habit
    }
}
