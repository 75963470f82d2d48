//! Episodes: the time during which a condition held, short gaps included. One episode is one alert.

use std::cell::OnceCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::anomaly::{Note, Weight};
use super::evidence::{Evidence, Handle};
use crate::alert::Scene;
use crate::event::Kind;
use crate::time::Timestamp;

/// How many event ids an episode names; the total is always exact.
pub(super) const SAMPLE_MAX: usize = 50;

/// The time during which the condition held, short gaps included: one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    /// The event time at which the condition became true.
    pub(super) crossed: Timestamp,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The last moment at which the condition was true.
    pub(super) held: Timestamp,
    /// Until when it stays true after that; worked out when somebody asks.
    pub(super) hold: Option<Timestamp>,
    /// The highest level.
    pub(super) peak: i128,
    pub(super) events_total: u64,
    /// Contributing events stand before this place; those behind were not looked at yet.
    pub(super) counted: usize,
    /// The first contributing events whose window entries are still there, in order.
    pub(super) sample: Vec<Handle>,
    /// What the entries said that have left since: ids, and the log and scene of the first event.
    pub(super) named: Vec<String>,
    pub(super) opening: Option<Box<(Kind, Scene)>>,
    /// Whether one of them had a time that is not its own.
    clamped: bool,
    /// What was unusual when it began, for rules that learn.
    note: Option<Arc<Note>>,
    /// How unusual the last of it was, for rules that learn.
    pub(super) weight: Option<Weight>,
    /// All ids that it will ever name, once it knows them: one hot key is told of again with each event.
    #[serde(skip)]
    pub(super) names: OnceCell<Arc<[String]>>,
    /// Counts up each time people are told.
    pub(super) revision: u64,
    /// `events_total` when they were last told.
    pub(super) told: u64,
}

/// What an alert says of an episode.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) crossed: Timestamp,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) peak: i128,
    pub(crate) events_total: u64,
    /// The first ids, in (time, id) order.
    pub(crate) sample: Arc<[String]>,
    /// The log of the first contributing event: a rule may count over several.
    pub(crate) kind: Kind,
    pub(crate) scene: Scene,
    /// Whether one of the first events had a time that is not its own.
    pub(crate) clamped: bool,
    /// What was unusual, for rules that learn.
    pub(crate) note: Option<Arc<Note>>,
}

impl Episode {
    /// Begins at this moment with what was found unusual; its events come with [`Episode::grow`].
    pub(super) fn noted(now: Timestamp, first: Timestamp, note: Note) -> Self {
        Self { note: Some(Arc::new(note)), ..Self::begin(now, first, 0) }
    }

    /// Begins at this moment; its events come with [`Episode::take`].
    pub(super) fn begin(now: Timestamp, first: Timestamp, counted: usize) -> Self {
        Self {
            crossed: now,
            first,
            last: now,
            held: now,
            hold: None,
            peak: i128::MIN,
            events_total: 0,
            counted,
            sample: Vec::new(),
            named: Vec::new(),
            opening: None,
            clamped: false,
            note: None,
            weight: None,
            names: OnceCell::new(),
            revision: 1,
            told: 0,
        }
    }

    /// About the bytes of its memory, ids counted as so long as a UUID: it is asked with each event.
    pub(super) fn bytes(&self) -> usize {
        let named = self.named.len() * (size_of::<String>() + 36);
        let opening = self.opening.as_ref().map_or(0, |opening| size_of::<(Kind, Scene)>() + opening.1.bytes());
        let note = self.note.as_ref().map_or(0, |note| size_of::<Note>() + note.what.len() + note.against.len());
        size_of::<Self>() + self.sample.capacity() * size_of::<Handle>() + named + opening + note
    }

    /// What a late event may have changed.
    pub(super) fn extent(&self) -> (Timestamp, Timestamp, Timestamp, i128, u64) {
        (self.crossed, self.first, self.last, self.peak, self.events_total)
    }

    /// Takes in the events from `start` (or where it was) up to `end`, which make the condition true at `now`.
    pub(super) fn take(&mut self, now: Timestamp, level: i128, (start, end): (usize, usize), evidence: &[Handle]) {
        let fresh = &evidence[start.max(self.counted)..end];
        self.counted = end;
        self.grow(now, level, fresh.len(), fresh.iter().copied());
    }

    /// Takes in so many events, which make the condition true at `now`. Looks at the first few only.
    pub(super) fn grow(&mut self, now: Timestamp, level: i128, count: usize, events: impl Iterator<Item = Handle>) {
        let room = SAMPLE_MAX.saturating_sub(self.named.len() + self.sample.len());
        self.sample.extend(events.take(room));
        self.events_total += count as u64;
        (self.last, self.held, self.hold) = (now, now, None);
        self.peak = self.peak.max(level);
    }

    /// People are told of it as it is now.
    pub(super) fn tell(&mut self) {
        self.revision += u64::from(self.told > 0);
        self.told = self.events_total;
    }

    /// Whether it has doubled since people were told.
    pub(super) fn doubled(&self) -> bool {
        self.events_total >= self.told.saturating_mul(2)
    }

    /// The first `gone` entries leave. What it shows of them it keeps from here on itself.
    pub(super) fn forget(&mut self, gone: &[Handle], evidence: &Evidence) {
        let leaving = self.sample.iter().take_while(|handle| gone.contains(handle)).count();
        if leaving > 0 && self.opening.is_none() {
            self.opening = Some(Box::new(evidence.scene(self.sample[0])));
        }
        self.clamped |= self.sample[..leaving].iter().any(|&handle| evidence.is_clamped(handle));
        self.named.extend(self.sample.drain(..leaving).map(|handle| evidence.id(handle)));
        self.counted = self.counted.saturating_sub(gone.len());
    }

    pub(super) fn account(&self, evidence: &Evidence) -> Account {
        let names = || self.named.iter().cloned().chain(self.sample.iter().map(|&handle| evidence.id(handle)));
        let full = self.named.len() + self.sample.len() == SAMPLE_MAX;
        let sample = if full { self.names.get_or_init(|| names().collect()).clone() } else { names().collect() };
        let (kind, scene) = match (&self.opening, self.sample.first()) {
            (Some(opening), _) => (**opening).clone(),
            (None, Some(&first)) => evidence.scene(first),
            (None, None) => (Kind::Json, Scene::default()),
        };
        let clamped = self.clamped || self.sample.iter().any(|&handle| evidence.is_clamped(handle));
        let Self { crossed, first, last, peak, events_total, .. } = *self;
        let note = self.note.clone();
        Account { crossed, first, last, peak, events_total, sample, kind, scene, clamped, note }
    }
}
