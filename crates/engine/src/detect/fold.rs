//! A pass over the entries of one key in order of time, one step forth and, for late events, steps back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::episode::{Before, Episode};
use super::{Counted, Shape};
use crate::alert::Scene;
use crate::event::{Kind, Uid};
use crate::time::Timestamp;

/// Entries that one key may hold within a window. Above it the oldest leave and `peak` stays here; no rule
/// may ask for more, so none is silenced by it.
pub(crate) const ENTRIES_MAX: usize = 100_000;

/// One event as a window sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) time: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) uid: Uid,
    pub(crate) values: Vec<Arc<str>>,
    pub(crate) scene: Scene,
}

/// What a step did to the last episode, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The condition is false.
    Nothing,
    /// It began, or it grew enough to tell people again.
    Tell(usize),
    /// It grew a little.
    Note(usize),
}

/// The state of a pass.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fold {
    /// The entries of the last window length.
    recent: VecDeque<Arc<Entry>>,
    /// When each distinct value was last seen, both ways round.
    seen: BTreeMap<Arc<str>, Timestamp>,
    order: BTreeSet<(Timestamp, Arc<str>)>,
    pub(super) episodes: Vec<Episode>,
}

/// How to take one step back.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    /// Entries and values that left, in the order of leaving.
    left: Vec<Arc<Entry>>,
    expired: Vec<(Timestamp, Arc<str>)>,
    /// When each value of the entry had been seen before.
    seen: Vec<Option<Timestamp>>,
    episode: Past,
}

/// What the step did to the last episode.
#[derive(Clone, Debug)]
enum Past {
    Untouched,
    Began,
    Grew(Box<Before>),
}

impl Entry {
    pub(super) fn before(&self, other: &Self) -> bool {
        (self.time, &self.uid) < (other.time, &other.uid)
    }
}

impl Fold {
    /// Takes the next entry in order.
    pub(super) fn step(&mut self, entry: Arc<Entry>, shape: &Shape) -> (Effect, Undo) {
        let now = entry.time;
        let mut undo = self.forget(now.minus(shape.window));
        for value in &entry.values {
            let before = self.seen.insert(value.clone(), now);
            if let Some(before) = before {
                self.order.remove(&(before, value.clone()));
            }
            self.order.insert((now, value.clone()));
            undo.seen.push(before);
        }
        self.recent.push_back(entry);
        if self.recent.len() > ENTRIES_MAX {
            undo.left.extend(self.recent.pop_front());
        }
        let Some((count, hold)) = self.count(now, shape) else { return (Effect::Nothing, undo) };
        let place = self.episodes.len();
        if let Some(episode) = self.episodes.last_mut()
            && episode.lasts(now, shape)
        {
            undo.episode = Past::Grew(Box::new(episode.before()));
            episode.extend(&self.recent, count, hold);
            if episode.events_total < episode.told.saturating_mul(2) {
                return (Effect::Note(place - 1), undo);
            }
            episode.tell();
            return (Effect::Tell(place - 1), undo);
        }
        undo.episode = Past::Began;
        self.episodes.extend(Episode::new(now, &self.recent, count, hold));
        (Effect::Tell(place), undo)
    }

    /// Is again what it was before the step that gave this `undo`, the last one that was not undone yet.
    pub(super) fn step_back(&mut self, undo: Undo) {
        match undo.episode {
            Past::Untouched => {}
            Past::Began => drop(self.episodes.pop()),
            Past::Grew(before) => {
                if let Some(episode) = self.episodes.last_mut() {
                    episode.go_back(*before);
                }
            }
        }
        if let Some(entry) = self.recent.pop_back() {
            // In reverse, because an entry may hold one value twice.
            for (value, before) in entry.values.iter().zip(undo.seen).rev() {
                self.order.remove(&(entry.time, value.clone()));
                match before {
                    Some(before) => {
                        self.seen.insert(value.clone(), before);
                        self.order.insert((before, value.clone()));
                    }
                    None => drop(self.seen.remove(value)),
                }
            }
        }
        for entry in undo.left.into_iter().rev() {
            self.recent.push_front(entry);
        }
        for (time, value) in undo.expired {
            self.seen.insert(value.clone(), time);
            self.order.insert((time, value));
        }
    }

    /// The count at this moment and until when the condition stays true; nothing if it is false.
    fn count(&self, now: Timestamp, shape: &Shape) -> Option<(u64, Timestamp)> {
        let nth = usize::try_from(shape.at_least).ok()?.checked_sub(1)?;
        match shape.counted {
            Counted::Moments => Some((1, now)),
            Counted::Events => {
                let oldest = self.recent.iter().rev().nth(nth)?;
                Some((self.recent.len() as u64, oldest.time.plus(shape.window)))
            }
            Counted::Values => {
                let oldest = self.order.iter().rev().nth(nth)?;
                Some((self.order.len() as u64, oldest.0.plus(shape.window)))
            }
        }
    }

    /// Drops what lies at or before `border`: the window is open at its old end.
    fn forget(&mut self, border: Timestamp) -> Undo {
        let mut undo = Undo { left: Vec::new(), expired: Vec::new(), seen: Vec::new(), episode: Past::Untouched };
        while self.recent.front().is_some_and(|entry| entry.time <= border) {
            undo.left.extend(self.recent.pop_front());
        }
        while self.order.first().is_some_and(|(time, _)| *time <= border)
            && let Some((time, value)) = self.order.pop_first()
        {
            self.seen.remove(&value);
            undo.expired.push((time, value));
        }
        undo
    }
}
