//! What is known of one key, and what comes of a look at it.

use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::concurrent::{self, Places};
use super::counts::Counts;
use super::peers::Group;
use super::risk::{self, Sum};
use super::silent::{self, Gaps};
use super::travel::{self, Travels};
use super::values::Values;
use super::verdict::{Known, Unusual};
use super::{Learning, Shared, Way, distinct, first_seen, rare, rate};
use crate::detect::Shape;
use crate::detect::episode::Episode;
use crate::detect::evidence::Evidence;
use crate::detect::table::Weigh;
use crate::detect::window::{Arrival, Ripple, grown};
use crate::time::{Span, Timestamp};

/// What is known of one key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    /// The values of its fields: no event is at hand when it is judged.
    pub(super) key: Vec<Option<String>>,
    /// When it was first looked at.
    pub(super) since: Timestamp,
    /// How often it was looked at.
    pub(super) looks: u32,
    /// All before this moment was judged.
    pub(super) judged_to: Timestamp,
    /// The group that it belongs to, for a rule that asks.
    pub(super) group: Option<Box<Group>>,
    pub(super) habit: Habit,
    pub(super) episode: Vec<Episode>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) enum Habit {
    #[default]
    None,
    Values(Values),
    Counts(Box<Counts>),
    Places(Box<Places>),
    Gaps(Box<Gaps>),
    Sum(Box<Sum>),
    Travels(Box<Travels>),
}

impl Habit {
    fn of(way: Way) -> Self {
        match way {
            Way::FirstSeen | Way::Rare => Self::Values(Values::default()),
            Way::Rate | Way::Distinct => Self::Counts(Box::default()),
            Way::Concurrent => Self::Places(Box::default()),
            Way::Silent => Self::Gaps(Box::default()),
            Way::Risk => Self::Sum(Box::default()),
            Way::Travel => Self::Travels(Box::default()),
        }
    }
}

impl Profile {
    pub(super) fn has_looked(&self, marks: &[u64], cell: i64) -> bool {
        match &self.habit {
            Habit::Values(values) => {
                marks.iter().all(|mark| values.had(*mark).is_some_and(|had| i64::from(had.last) == cell))
            }
            Habit::None | Habit::Counts(_) | Habit::Places(_) | Habit::Gaps(_) | Habit::Sum(_) | Habit::Travels(_) => {
                false
            }
        }
    }

    pub(super) fn take(&mut self, arrival: &Arrival<'_>, learning: &Learning, wait: Span, evidence: &mut Evidence) {
        if matches!(self.habit, Habit::None) {
            self.habit = Habit::of(learning.way);
        }
        match &mut self.habit {
            Habit::None => {}
            Habit::Values(values) => {
                let cell = if learning.way == Way::Rare { rare::CELL } else { first_seen::CELL };
                values.take(arrival, cell, wait, evidence);
            }
            Habit::Counts(counts) => counts.take(arrival, learning.window, wait, evidence),
            Habit::Places(places) => places.take(arrival, learning.window, wait, evidence),
            Habit::Gaps(gaps) => gaps.take(arrival, learning.window, wait, evidence),
            // What is added up is told apart: it may be taken back.
            Habit::Sum(_) => {}
            Habit::Travels(travels) => travels.take(arrival, wait, evidence),
        }
    }

    /// What findings add up to.
    pub(super) fn sum(&mut self) -> &mut Sum {
        if !matches!(self.habit, Habit::Sum(_)) {
            self.habit = Habit::of(Way::Risk);
        }
        match &mut self.habit {
            Habit::Sum(sum) => sum,
            Habit::None
            | Habit::Values(_)
            | Habit::Counts(_)
            | Habit::Places(_)
            | Habit::Gaps(_)
            | Habit::Travels(_) => unreachable!("it was just made one"),
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.habit {
            Habit::None => None,
            Habit::Values(values) => values.deadline(),
            Habit::Counts(counts) => counts.deadline(),
            Habit::Places(places) => places.deadline(),
            Habit::Gaps(gaps) => gaps.deadline(),
            Habit::Sum(sum) => sum.deadline(),
            Habit::Travels(travels) => travels.deadline(),
        }
    }

    /// The moment that what comes next belongs to.
    pub(super) fn moment(&self, learning: &Learning) -> Option<Timestamp> {
        match &self.habit {
            Habit::None => None,
            Habit::Values(values) => values.moment(),
            Habit::Counts(counts) => counts.moment(learning.window),
            Habit::Places(places) => places.moment(learning.window),
            Habit::Gaps(gaps) => gaps.moment(learning.window),
            Habit::Sum(sum) => sum.moment(),
            Habit::Travels(travels) => travels.moment(),
        }
    }

    /// Whether nothing is known of it and nothing waits.
    pub(super) fn is_blank(&self) -> bool {
        self.looks == 0 && self.deadline().is_none()
    }

    /// Forgets what was learnt and told; what waits goes on waiting.
    pub(super) fn forget(&mut self) {
        (self.since, self.looks) = (Timestamp::EARLIEST, 0);
        (self.episode, self.group) = (Vec::new(), None);
        match &mut self.habit {
            Habit::None => {}
            Habit::Values(values) => values.forget_all(),
            Habit::Counts(counts) => counts.baseline = Baseline::default(),
            Habit::Places(places) => places.pairs = Values::default(),
            Habit::Gaps(gaps) => gaps.forget(),
            Habit::Sum(sum) => sum.forget(),
            Habit::Travels(travels) => travels.forget(),
        }
    }

    /// Lets go of the events that wait.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        match &self.habit {
            Habit::None => {}
            Habit::Values(values) => values.release(evidence),
            Habit::Counts(counts) => counts.release(evidence),
            Habit::Places(places) => places.release(evidence),
            Habit::Gaps(gaps) => gaps.release(evidence),
            Habit::Sum(sum) => sum.release(evidence),
            Habit::Travels(travels) => travels.release(evidence),
        }
    }

    pub(super) fn judge(
        &mut self,
        shape: &Shape,
        clock: Timestamp,
        shared: &mut Shared,
        evidence: &mut Evidence,
    ) -> Option<Unusual> {
        let learning = shape.learning.as_ref()?;
        let Self { habit, since, looks, judged_to, episode, group, .. } = self;
        let goes_on = |now: Timestamp| episode.first().is_some_and(|episode| now.since(episode.held) <= shape.quiet);
        let (moment, found) = match habit {
            Habit::None => return None,
            Habit::Values(values) => {
                let look = values.next()?;
                shared.population.look(look.time, *looks == 0);
                shared.regroup(look.time, group, look.group.as_deref(), values.hashes());
                let known_for = Known::of(since, looks, look.time).during(goes_on(look.time));
                let judge = if learning.way == Way::Rare { rare::judge } else { first_seen::judge };
                let found = judge(values, (&look, group.as_deref()), known_for, learning, shared);
                if found.is_none() {
                    evidence.release(look.evidence);
                }
                (look.time, found)
            }
            Habit::Counts(counts) => {
                let window = counts.next()?;
                let known_for = Known::of(since, looks, window.last).during(goes_on(window.last));
                let end = window.end(learning.window);
                shared.regroup(end, group, window.group.as_deref(), std::iter::empty());
                let judge = if learning.way == Way::Distinct { distinct::judge } else { rate::judge };
                let found = judge(counts, (&window, group.as_deref()), known_for, learning, shared);
                if found.is_none() {
                    window.release(evidence);
                }
                (end, found)
            }
            Habit::Places(places) => {
                let window = places.next()?;
                shared.population.look(window.end(learning.window), *looks == 0);
                let known_for = Known::of(since, looks, window.last).during(goes_on(window.last));
                let found = concurrent::judge(places, &window, known_for, learning, shared);
                // An alert holds on to those that it shows.
                found.iter().flat_map(|found| &found.sample).for_each(|handle| evidence.hold(*handle));
                window.release(evidence);
                (window.end(learning.window), found)
            }
            Habit::Travels(travels) => {
                let mut minute = travels.next()?;
                let known_for = Known::of(since, looks, minute.last);
                let found = travel::judge(travels, &mut minute, known_for, learning);
                // An alert holds on to those that it shows.
                found.iter().flat_map(|found| &found.sample).for_each(|handle| evidence.hold(*handle));
                minute.release(evidence);
                (minute.end(), found)
            }
            Habit::Gaps(gaps) => {
                let known = |now| Known::of(since, looks, now);
                silent::judge(gaps, clock, known, learning, shared, evidence)?
            }
            Habit::Sum(sum) => {
                let part = sum.next()?;
                let now = part.time;
                shared.disown(part.alert.as_deref());
                let known_for = Known::of(since, looks, now).during(goes_on(now));
                (now, risk::judge(sum, part, known_for, learning, shared, evidence))
            }
        };
        *judged_to = moment.max(*judged_to);
        found
    }

    /// One burst is one alert: what is unusual again before it was quiet for long enough lets it grow.
    pub(super) fn report(&mut self, unusual: Unusual, quiet: Span, evidence: &mut Evidence) -> Option<Ripple> {
        let Unusual { first, last, sample, events, level, note, weight } = unusual;
        let goes_on = self.episode.first().is_some_and(|episode| last.since(episode.held) <= quiet);
        if !goes_on {
            self.episode.clear();
            self.episode.push(Episode::noted(last, first, note));
        }
        let episode = self.episode.first_mut()?;
        episode.weight = Some(weight);
        episode.grow(last, level.into(), events, sample.iter().copied());
        // It keeps itself what it shows: nothing else holds these events.
        episode.forget(&sample, evidence);
        sample.into_iter().for_each(|handle| evidence.release(handle));
        grown(&mut self.episode, Some(&last))
    }
}

impl Weigh for Profile {
    fn bytes(&self) -> usize {
        let texts: usize = self.key.iter().flatten().map(|text| text.len() + size_of::<Option<String>>()).sum();
        let episode: usize = self.episode.iter().map(Episode::bytes).sum();
        let habit = match &self.habit {
            Habit::None => 0,
            Habit::Values(values) => values.bytes(),
            Habit::Counts(counts) => size_of::<Counts>() + counts.bytes(),
            Habit::Places(places) => size_of::<Places>() + places.bytes(),
            Habit::Gaps(gaps) => size_of::<Gaps>() + gaps.bytes(),
            Habit::Sum(sum) => size_of::<Sum>() + sum.bytes(),
            Habit::Travels(travels) => size_of::<Travels>() + travels.bytes(),
        };
        texts + episode + habit + self.group.as_ref().map_or(0, |group| group.bytes())
    }
}
