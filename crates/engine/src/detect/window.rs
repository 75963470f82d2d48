//! Events of one rule and key in event time, and the episodes that they make.
//!
//! The episodes are a function of the *set* of events, not of their order of arrival: an event that arrives late,
//! within the lateness, is put where it belongs, the levels that it changes are changed, and the episodes from
//! there on are read off again. Tried before: a log of how to take steps back, with maps of shared values: 35,600
//! events/s for one key with 60,000 values in order, 1,850 with 2 % of them a minute late, 2 KB a key.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::anomaly::Group;
use super::episode::Episode;
use super::evidence::{Evidence, Handle};
use super::fold::{Fold, Track, holds};
use super::level::Levels;
use super::progress::Borders;
use crate::event::Uid;
use crate::rule::COUNT_MAX;
use crate::time::{Span, Timestamp};

/// What one insertion did to the episodes, each by its place in [`Lasting::episodes`].
#[derive(Debug, PartialEq)]
pub(super) enum Ripple {
    /// A new alert, or one that grew enough to tell people again.
    Tell(usize),
    /// An alert changed a little.
    Note(usize),
    /// A late event moved its beginning, which was at this moment; people are told again.
    Moved(usize, Timestamp),
    /// Another event is its first one: who counts this alert's findings shows that one from here on.
    Reopened(usize),
    /// This episode was moved by a late event and is no more; the one that took its place, if any.
    Gone(Box<Episode>, Option<usize>),
}

impl Ripple {
    /// Its episodes stand so much further behind.
    pub(super) fn shift(&mut self, by: usize) {
        match self {
            Self::Tell(place) | Self::Note(place) | Self::Moved(place, _) | Self::Reopened(place) => *place += by,
            Self::Gone(_, heir) => *heir = heir.map(|place| place + by),
        }
    }
}

/// An event came later than the lateness allows; it was not counted.
#[derive(Debug, PartialEq)]
pub(super) struct TooLate;

/// An event that is to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) time: Timestamp,
    pub(super) uid: &'a Uid,
    pub(super) evidence: Handle,
    pub(super) marks: &'a [u64],
    /// The values that the marks are of, for rules that name them.
    pub(super) values: &'a [String],
    /// The peers of its key, for rules that ask for them.
    pub(super) group: Option<&'a Group>,
}

/// What a rule asks of a window, and how far its time has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'r> {
    pub(super) shape: &'r Shape,
    pub(super) borders: Borders,
}

/// Events of one key at most, of which those that can no longer be moved leave first.
const EVENTS_MAX: usize = 2 * COUNT_MAX;

/// Marks of one key at most, however few events bring them.
pub(super) const MARKS_MAX: usize = 4 * COUNT_MAX;

/// Below so many events none leaves.
const EVENTS_KEPT: usize = if cfg!(test) { 8 } else { 64 };

/// How many moments lie between two passes that are kept: a late event is read from the one before it on.
const PASS_LENGTH: usize = if cfg!(test) { 4 } else { 1_024 };

/// Much of one key: its levels and episodes, kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lasting {
    pub(super) track: Track,
    /// The pass over what can no longer change, and the one over everything.
    pub(super) settled: Fold,
    pub(super) live: Fold,
    /// Where the live pass was on its way. Only for speed, so not saved.
    #[serde(skip)]
    passes: Vec<Fold>,
    /// What each event brought, for rules whose events may be taken back.
    brought: Vec<Vec<u64>>,
}

impl Lasting {
    pub(super) fn new(levels: Levels) -> Self {
        let track = Track { times: Vec::new(), evidence: Vec::new(), levels };
        Self { track, settled: Fold::default(), live: Fold::default(), passes: Vec::new(), brought: Vec::new() }
    }

    /// Forgets everything, and keeps the memory for the next key.
    pub(super) fn clear(&mut self) {
        self.track.times.clear();
        self.track.evidence.clear();
        self.track.levels.clear();
        self.settled.clear();
        self.live.clear();
        self.passes.clear();
        self.brought.clear();
    }

    pub(super) fn episodes(&self) -> &[Episode] {
        &self.live.episodes
    }

    /// Bytes of its memory, without what the allocator adds. A mark stands in a map and in levels.
    pub(super) fn bytes(&self) -> usize {
        let event = size_of::<Timestamp>() + size_of::<Handle>();
        // Every pass holds much the same ones.
        let episodes = self.live.episodes.iter().map(Episode::bytes).sum::<usize>() * (2 + self.passes.len());
        let marks = self.track.levels.marks() * 8 * size_of::<u64>();
        size_of::<Self>() + self.track.times.len() * event + marks + episodes
    }

    /// Its levels, without anything in them.
    pub(super) fn kind(&self) -> Levels {
        let mut levels = self.track.levels.clone();
        levels.clear();
        levels
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.track.times.last().copied()
    }

    /// Puts an event where it belongs, without a look at what that changes. Answers its place, or nothing if it
    /// was there with all that it brings.
    pub(super) fn put(&mut self, arrival: &Arrival<'_>, shape: &Shape, evidence: &mut Evidence) -> Option<usize> {
        let Track { times, evidence: handles, levels } = &mut self.track;
        let moment = times.partition_point(|time| *time < arrival.time);
        let equal = times[moment..].partition_point(|time| *time == arrival.time);
        let same = &handles[moment..moment + equal];
        let place = moment + same.partition_point(|&handle| evidence.is_before(handle, arrival.uid));
        let known = times.get(place) == Some(&arrival.time) && evidence.is(handles[place], arrival.uid);
        if known {
            if let Some(brought) = self.brought.get_mut(place) {
                let fresh: Vec<u64> = arrival.marks.iter().filter(|mark| !brought.contains(mark)).copied().collect();
                brought.extend(fresh);
            }
            return levels.add(times, arrival.time, arrival.marks, shape.window).then_some(place);
        }
        if shape.chained {
            self.brought.insert(place, arrival.marks.to_vec());
        }
        evidence.hold(arrival.evidence);
        times.insert(place, arrival.time);
        handles.insert(place, arrival.evidence);
        levels.enter(times, place, arrival.marks, shape.window);
        Some(place)
    }

    /// Counts an event in. An event that is already here changes nothing.
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Result<(), TooLate> {
        let Asked { shape, borders } = asked;
        if self.newest().is_some_and(|newest| arrival.time < borders.of_key(newest)) {
            return Err(TooLate);
        }
        self.trim(asked, evidence);
        // After a trim of too many events the last settled one may be younger than the lateness says.
        if self.settled.next.checked_sub(1).is_some_and(|last| arrival.time <= self.track.times[last]) {
            return Err(TooLate);
        }
        let count = self.track.times.len();
        let Some(place) = self.put(arrival, shape, evidence) else { return Ok(()) };
        // One more number at the newest moment may make less of it.
        let moment = self.track.times.partition_point(|time| *time < arrival.time);
        if place < count || moment < place && self.track.levels.can_fall() {
            self.reread(moment, shape, ripples);
        } else {
            self.read_on(shape, ripples);
        }
        Ok(())
    }

    /// An event that was counted in did not happen after all: all that is left is counted again. Only findings of
    /// correlations are taken back, of which there are few.
    pub(super) fn remove(
        &mut self,
        arrival: &Arrival<'_>,
        shape: &Shape,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) {
        let place = self.track.times.partition_point(|time| *time < arrival.time);
        let equal = self.track.times[place..].iter().take_while(|time| **time == arrival.time).count();
        let found = (place..place + equal).find(|&place| evidence.is(self.track.evidence[place], arrival.uid));
        let Some(place) = found.filter(|&place| place >= self.settled.next) else { return };
        let times = std::mem::take(&mut self.track.times);
        let handles = std::mem::take(&mut self.track.evidence);
        self.track.levels.clear();
        for (number, (time, handle)) in times.into_iter().zip(handles).enumerate() {
            if number == place {
                evidence.release(handle);
            } else {
                self.track.push(time, handle, self.brought.get(number).map_or(&[], Vec::as_slice), shape.window);
            }
        }
        if place < self.brought.len() {
            self.brought.remove(place);
        }
        self.passes.clear();
        self.reread(place, shape, ripples);
    }

    /// Looks at the newest event.
    fn read_on(&mut self, shape: &Shape, ripples: &mut Vec<Ripple>) {
        self.live.again(&self.track, shape);
        self.keep_pass();
        ripples.extend(grown(&mut self.live.episodes, self.track.times.last()));
    }

    /// Reads the episodes off again, from the moment that begins at `place` on, and says what became of them.
    fn reread(&mut self, place: usize, shape: &Shape, ripples: &mut Vec<Ripple>) {
        while self.passes.last().is_some_and(|pass| pass.next > place) {
            self.passes.pop();
        }
        let from = self.passes.last().unwrap_or(&self.settled).clone();
        let before = std::mem::replace(&mut self.live, from);
        let count = self.track.times.len();
        while self.live.next < count {
            self.live.run(&self.track, shape, (self.live.next + PASS_LENGTH).min(count));
            self.keep_pass();
        }
        compare(before.episodes, &mut self.live.episodes, shape, ripples);
    }

    fn keep_pass(&mut self) {
        let last = self.passes.last().map_or(self.settled.next, |pass| pass.next);
        if self.live.next >= last + PASS_LENGTH {
            self.passes.push(self.live.clone());
        }
    }

    /// Settles what lies further back than the lateness, and drops what no window that can still change looks
    /// back to; half of the events at a time, so that it costs little an event.
    fn trim(&mut self, asked: Asked<'_>, evidence: &mut Evidence) {
        let Asked { shape, borders } = asked;
        let count = self.track.times.len();
        let Some(&newest) = self.track.times.last() else { return };
        let full = count >= EVENTS_MAX || self.track.levels.marks() >= MARKS_MAX;
        let border = borders.of_key(newest);
        if !full && (count < EVENTS_KEPT || self.track.times[count / 2] > border.minus(shape.window)) {
            return;
        }
        self.settle(shape, if full { newest.plus(Span::from_micros(1)) } else { border });
        // The window of the last settled moment stays whole: the level of the next one is worked out from it.
        let Some(settled) = self.settled.next.checked_sub(1) else { return };
        let border = if full {
            self.track.times[count - COUNT_MAX.min(count.div_ceil(2))]
        } else {
            self.track.times[settled].minus(shape.window)
        };
        let gone = self.track.times.partition_point(|time| *time <= border);
        self.forget(gone, border, shape, evidence);
        if full {
            self.track.levels.recount(&self.track.times, shape.window);
        }
    }

    /// Moves the settled pass up to the moments before `border`.
    fn settle(&mut self, shape: &Shape, border: Timestamp) {
        let end = self.track.times.partition_point(|time| *time < border);
        self.settled.run(&self.track, shape, end);
        // Episodes before the last settled one can neither change nor move.
        let kept = self.settled.episodes.len().saturating_sub(1);
        self.settled.episodes.drain(..kept);
        if let Some(oldest) = self.settled.episodes.first().map(|episode| episode.crossed) {
            let passed = self.live.episodes.partition_point(|episode| episode.crossed < oldest);
            self.live.episodes.drain(..passed);
        }
    }

    fn forget(&mut self, gone: usize, border: Timestamp, shape: &Shape, evidence: &mut Evidence) {
        let leaving = &self.track.evidence[..gone];
        for fold in [&mut self.settled, &mut self.live] {
            for episode in &mut fold.episodes {
                if episode.hold.is_none() && episode.held <= border {
                    episode.hold = Some(holds(episode, &self.track, shape));
                }
                episode.forget(leaving, evidence);
            }
            fold.forget(gone);
        }
        leaving.iter().for_each(|&handle| evidence.release(handle));
        self.track.times.drain(..gone);
        self.track.evidence.drain(..gone);
        self.track.levels.forget(gone, border);
        self.brought.drain(..gone.min(self.brought.len()));
        self.passes.clear();
    }

    /// Nothing of it is remembered any more.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.track.evidence.iter().for_each(|&handle| evidence.release(handle));
    }
}

/// Says whether the newest event, at the moment `now`, began the last episode or let it grow.
pub(super) fn grown(episodes: &mut [Episode], now: Option<&Timestamp>) -> Option<Ripple> {
    let place = episodes.len().checked_sub(1)?;
    let last = &mut episodes[place];
    if Some(&last.held) != now {
        return None;
    }
    if !last.doubled() {
        return Some(Ripple::Note(place));
    }
    last.tell();
    Some(Ripple::Tell(place))
}

/// Says what became of the episodes after a late event: each knows again what people were told of it. Both are in order.
pub(super) fn compare(before: Vec<Episode>, after: &mut [Episode], shape: &Shape, ripples: &mut Vec<Ripple>) {
    for (place, episode) in after.iter_mut().enumerate() {
        let Some(old) = same(&before, episode, shape) else {
            // Nobody was told yet, so this is the first time, however large it already is.
            (episode.revision, episode.told) = (1, episode.events_total);
            ripples.push(Ripple::Tell(place));
            continue;
        };
        (episode.told, episode.revision) = (old.told, old.revision);
        // Where the first event has left, it left from both.
        let shows_first = episode.opening.is_none() && old.opening.is_none();
        if episode.crossed == old.crossed && shows_first && episode.sample.first() != old.sample.first() {
            ripples.push(Ripple::Reopened(place));
        }
        if episode.crossed != old.crossed {
            episode.tell();
            ripples.push(Ripple::Moved(place, old.crossed));
        } else if episode.doubled() {
            episode.tell();
            ripples.push(Ripple::Tell(place));
        } else if episode.extent() != old.extent() {
            ripples.push(Ripple::Note(place));
        }
    }
    for old in before {
        if same(after, &old, shape).is_none() {
            let heir = after.partition_point(|episode| episode.crossed <= old.last).checked_sub(1);
            ripples.push(Ripple::Gone(Box::new(old), heir));
        }
    }
}

/// The one among these, in order, that is the same alert: no two of them cross in one cell.
fn same<'e>(episodes: &'e [Episode], wanted: &Episode, shape: &Shape) -> Option<&'e Episode> {
    let cell = wanted.crossed.cell(shape.window);
    let place = episodes.partition_point(|episode| episode.crossed.cell(shape.window) < cell);
    episodes.get(place).filter(|episode| episode.crossed.cell(shape.window) == cell)
}

#[cfg(test)]
mod tests;
