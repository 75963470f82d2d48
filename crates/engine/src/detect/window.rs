//! Events of one rule and key in event time, and the episodes that they make.
//!
//! The episodes are a function of the *set* of events, not of their order of arrival: an event that
//! arrives late, within the lateness, is put where it belongs and everything after it is folded again.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::fold::{ENTRIES_MAX, Effect, Entry, Fold, Undo};
use crate::time::{Span, Timestamp};

/// Steps that can be taken back: a late event is put where it belongs by going back to there. One from before
/// these is folded in from the frozen part. Tried before: folding all again each time, 18 s for 8,000 events of
/// one key in random order within each second; copies of the fold every 256 entries, 17 ms an event when
/// 20,000 values are in the window.
/// Tests fold few entries, so theirs are fewer.
const UNDO_MAX: usize = if cfg!(test) { 8 } else { 4_096 };

/// What one insertion did to the episodes, each by its place in [`Window::episodes`].
#[derive(Debug, PartialEq)]
pub(crate) enum Ripple {
    /// A new alert, or one that grew enough to tell people again.
    Tell(usize),
    /// An alert changed a little.
    Note(usize),
    /// This episode was moved by a late event and is no more; the one that took its place, if any.
    Gone(Box<Episode>, Option<usize>),
}

/// An event came later than the lateness allows; it was not counted.
#[derive(Debug, PartialEq)]
pub(crate) struct TooLate;

/// All that is kept of one rule and key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    /// The fold over what can no longer change.
    frozen: Fold,
    /// The time of the last frozen entry.
    frozen_to: Option<Timestamp>,
    /// What can still change, by (time, uid).
    entries: VecDeque<Arc<Entry>>,
    /// `frozen` with `entries` folded in.
    live: Fold,
    /// How to take back the last steps of `live`, one for each of the last entries. Only for speed, so not saved.
    #[serde(skip)]
    undo: VecDeque<Undo>,
}

impl Window {
    /// Counts an event in. An event that is already here changes nothing.
    ///
    /// What became too old by the event before is frozen now and not then: the places in the answer count
    /// the episodes that are here, and must hold until the next call.
    pub(crate) fn insert(&mut self, entry: Entry, shape: &Shape, lateness: Span) -> Result<Vec<Ripple>, TooLate> {
        self.freeze(shape, lateness);
        if self.frozen_to.is_some_and(|frozen| entry.time <= frozen) {
            return Err(TooLate);
        }
        let entry = Arc::new(entry);
        let place = self.entries.partition_point(|other| other.before(&entry));
        if self.entries.get(place).is_some_and(|other| !entry.before(other)) {
            return Ok(Vec::new());
        }
        self.entries.insert(place, entry.clone());
        if place + 1 < self.entries.len() {
            return Ok(self.refold(place, shape));
        }
        Ok(match self.fold(entry, shape) {
            Effect::Nothing => Vec::new(),
            Effect::Tell(episode) => vec![Ripple::Tell(episode)],
            Effect::Note(episode) => vec![Ripple::Note(episode)],
        })
    }

    pub(crate) fn episode(&self, place: usize) -> &Episode {
        &self.live.episodes[place]
    }

    /// The time of the newest entry, by which the least recent keys are found.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.time).or(self.frozen_to)
    }

    /// Takes the next entry in order.
    fn fold(&mut self, entry: Arc<Entry>, shape: &Shape) -> Effect {
        let (effect, undo) = self.live.step(entry, shape);
        self.undo.push_back(undo);
        if self.undo.len() > UNDO_MAX {
            self.undo.pop_front();
        }
        effect
    }

    /// Folds again from the new entry at `place` on, and says what that changed.
    fn refold(&mut self, place: usize, shape: &Shape) -> Vec<Ripple> {
        let before = self.live.episodes.clone();
        let steps = self.entries.len() - 1 - place;
        let from = if steps <= self.undo.len() {
            for undo in self.undo.drain(self.undo.len() - steps..).rev() {
                self.live.step_back(undo);
            }
            place
        } else {
            self.undo.clear();
            self.live = self.frozen.clone();
            0
        };
        for place in from..self.entries.len() {
            self.fold(self.entries[place].clone(), shape);
        }
        self.forget_final();
        let cell = |episode: &Episode| episode.crossed.cell(shape.window);
        let mut ripples = Vec::new();
        for (place, episode) in self.live.episodes.iter_mut().enumerate() {
            let Some(old) = before.iter().find(|old| cell(old) == cell(episode)) else {
                // Nobody was told yet, so this is the first time, however large it already is.
                (episode.revision, episode.told) = (1, episode.events_total);
                ripples.push(Ripple::Tell(place));
                continue;
            };
            (episode.told, episode.revision) = (old.told, old.revision);
            if episode.events_total >= old.told.saturating_mul(2) || episode.crossed != old.crossed {
                episode.tell();
                ripples.push(Ripple::Tell(place));
            } else if episode != old {
                ripples.push(Ripple::Note(place));
            }
        }
        for old in before {
            if !self.live.episodes.iter().any(|episode| cell(episode) == cell(&old)) {
                let heir = self.live.episodes.iter().rposition(|episode| episode.crossed <= old.last.0);
                ripples.push(Ripple::Gone(Box::new(old), heir));
            }
        }
        ripples
    }

    /// Moves what lies further back than the lateness into the frozen fold.
    fn freeze(&mut self, shape: &Shape, lateness: Span) {
        let Some(newest) = self.entries.back().map(|entry| entry.time) else { return };
        let border = newest.minus(lateness);
        while self.entries.front().is_some_and(|entry| entry.time < border || self.entries.len() > ENTRIES_MAX) {
            let Some(entry) = self.entries.pop_front() else { return };
            self.frozen_to = Some(entry.time);
            self.frozen.step(entry, shape);
        }
        // A step into the frozen part cannot be taken back.
        self.undo.drain(..self.undo.len().saturating_sub(self.entries.len()));
        // Episodes before the last frozen one can neither change nor move.
        let kept = self.frozen.episodes.len().saturating_sub(1);
        self.frozen.episodes.drain(..kept);
        self.forget_final();
    }

    /// Drops episodes that lie before the last frozen one.
    fn forget_final(&mut self) {
        if let Some(oldest) = self.frozen.episodes.first().map(|episode| episode.crossed) {
            let passed = self.live.episodes.partition_point(|episode| episode.crossed < oldest);
            self.live.episodes.drain(..passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Counted;
    use super::*;
    use crate::alert::Scene;
    use crate::event::{Kind, Uid};
    use proptest::prelude::*;

    const LATENESS: Span = Span::seconds(600);

    fn shape(counted: Counted, at_least: u64) -> Shape {
        Shape { counted, window: Span::seconds(60), at_least, quiet: Span::seconds(60) }
    }

    fn entry(second: i64, id: &str, value: &str) -> Entry {
        let uid = Uid { origin: String::new(), id: id.to_owned() };
        let time = Timestamp::from_micros(second * 1_000_000);
        Entry { time, kind: Kind::Json, uid, values: vec![value.into()], scene: Scene::default() }
    }

    /// The episodes as (crossed second, events, peak), whatever was told on the way.
    fn episodes(entries: &[Entry], shape: &Shape) -> Vec<(i64, u64, u64)> {
        let mut window = Window::default();
        for entry in entries {
            window.insert(entry.clone(), shape, LATENESS).unwrap();
        }
        let summary = |e: &Episode| (e.crossed.micros() / 1_000_000, e.events_total, e.peak);
        window.live.episodes.iter().map(summary).collect()
    }

    #[test]
    fn the_third_event_in_a_minute_starts_one_episode_that_grows() {
        let entries: Vec<Entry> = (0..5).map(|i| entry(i * 10, &format!("e{i}"), "")).collect();
        assert_eq!(episodes(&entries, &shape(Counted::Events, 3)), [(20, 5, 5)]);
    }

    #[test]
    fn events_spread_wider_than_the_window_start_none() {
        let entries: Vec<Entry> = (0..5).map(|i| entry(i * 31, &format!("e{i}"), "")).collect();
        assert_eq!(episodes(&entries, &shape(Counted::Events, 3)), []);
    }

    #[test]
    fn an_event_exactly_a_window_old_no_longer_counts() {
        let entries = [entry(0, "a", ""), entry(60, "b", "")];
        assert_eq!(episodes(&entries, &shape(Counted::Events, 2)), []);
    }

    #[test]
    fn the_same_value_again_is_not_another_value() {
        let entries = [entry(0, "a", "x"), entry(1, "b", "x"), entry(2, "c", "y"), entry(3, "d", "z")];
        assert_eq!(episodes(&entries, &shape(Counted::Values, 3)), [(3, 4, 3)]);
    }

    #[test]
    fn after_the_quiet_time_a_new_episode_starts() {
        let burst = |at: i64| (0..3).map(move |i| entry(at + i, &format!("{at}/{i}"), ""));
        let entries: Vec<Entry> = burst(0).chain(burst(300)).collect();
        assert_eq!(episodes(&entries, &shape(Counted::Events, 3)), [(2, 3, 3), (302, 3, 3)]);
    }

    #[test]
    fn a_late_event_moves_the_crossing_and_supersedes() {
        let shape = shape(Counted::Events, 2);
        let mut window = Window::default();
        assert_eq!(window.insert(entry(50, "b", ""), &shape, LATENESS), Ok(vec![]));
        assert_eq!(window.insert(entry(70, "c", ""), &shape, LATENESS), Ok(vec![Ripple::Tell(0)]));
        let ripples = window.insert(entry(40, "a", ""), &shape, LATENESS).unwrap();
        assert!(
            matches!(&ripples[..], [Ripple::Tell(0), Ripple::Gone(old, Some(0))] if old.crossed > window.episode(0).crossed)
        );
    }

    #[test]
    fn an_episode_that_a_late_event_starts_is_told_for_the_first_time() {
        let shape = shape(Counted::Events, 5);
        let mut window = Window::default();
        for second in [0, 10, 20, 40] {
            window.insert(entry(second, &format!("{second:02}"), ""), &shape, LATENESS).unwrap();
        }
        let ripples = window.insert(entry(30, "30", ""), &shape, LATENESS).unwrap();
        assert_eq!((ripples, window.episode(0).revision), (vec![Ripple::Tell(0)], 1));
    }

    #[test]
    fn an_event_beyond_the_lateness_is_refused() {
        let shape = shape(Counted::Events, 2);
        let mut window = Window::default();
        window.insert(entry(0, "a", ""), &shape, LATENESS).unwrap();
        window.insert(entry(2_000, "b", ""), &shape, LATENESS).unwrap();
        assert_eq!(window.insert(entry(-5, "c", ""), &shape, LATENESS), Err(TooLate));
    }

    #[test]
    fn an_event_that_makes_all_before_it_too_old_still_finds_its_own_episode() {
        let shape = shape(Counted::Events, 1);
        let mut window = Window::default();
        for second in [0, 1_000, 9_000] {
            let ripples = window.insert(entry(second, &format!("{second:04}"), ""), &shape, LATENESS).unwrap();
            let [Ripple::Tell(place)] = ripples[..] else { panic!("{ripples:?}") };
            assert_eq!(window.episode(place).crossed, Timestamp::from_micros(second * 1_000_000));
        }
    }

    #[test]
    fn people_are_told_when_an_episode_has_doubled() {
        let shape = shape(Counted::Events, 2);
        let mut window = Window::default();
        let told: Vec<usize> = (0..16)
            .filter(|&i| {
                let ripples = window.insert(entry(i, &format!("{i:02}"), ""), &shape, LATENESS).unwrap();
                matches!(ripples[..], [Ripple::Tell(_)])
            })
            .map(|i| usize::try_from(i).unwrap() + 1)
            .collect();
        assert_eq!(told, [2, 4, 8, 16]);
        assert_eq!(window.episode(0).revision, 4);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_change_the_episodes(
            seconds in proptest::collection::vec((0i64..500, 0u8..6), 1..60),
            distinct: bool,
            at_least in 1u64..6,
            seed: u64,
        ) {
            let shape = shape(if distinct { Counted::Values } else { Counted::Events }, at_least);
            let mut entries: Vec<Entry> = seconds
                .iter()
                .enumerate()
                .map(|(i, (second, value))| entry(*second, &format!("{i:03}"), &value.to_string()))
                .collect();
            let shuffled = {
                let mut shuffled = entries.clone();
                shuffled.sort_by_key(|e| {
                    let hash = blake3::hash(format!("{seed}{}", e.uid.id).as_bytes());
                    hash.as_bytes()[0]
                });
                shuffled
            };
            entries.sort_by(|a, b| (a.time, &a.uid).cmp(&(b.time, &b.uid)));
            prop_assert_eq!(episodes(&entries, &shape), episodes(&shuffled, &shape));
        }
    }
}
