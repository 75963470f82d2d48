//! A pass over the moments of one key in order of time: where the condition is true, and the episodes of that.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::episode::Episode;
use super::evidence::Handle;
use super::level::Levels;
use crate::time::{Span, Timestamp};

/// The events of one key by (time, id), and the levels of their moments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) times: Vec<Timestamp>,
    pub(super) evidence: Vec<Handle>,
    pub(super) levels: Levels,
}

impl Track {
    /// The newest event.
    pub(super) fn push(&mut self, time: Timestamp, evidence: Handle, marks: &[u64], window: Span) {
        self.times.push(time);
        self.evidence.push(evidence);
        self.levels.enter(&self.times, self.times.len() - 1, marks, window);
    }
}

/// How far a pass has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Fold {
    /// The place of the next moment.
    pub(super) next: usize,
    /// Where the window of the last moment begins.
    start: usize,
    pub(super) episodes: Vec<Episode>,
}

impl Fold {
    pub(super) fn clear(&mut self) {
        (self.next, self.start) = (0, 0);
        self.episodes.clear();
    }

    /// Goes on over the moments of the events up to `end`, which is no place amid one moment.
    pub(super) fn run(&mut self, track: &Track, shape: &Shape, end: usize) {
        while self.next < end {
            let now = track.times[self.next];
            let last = self.next + track.times[self.next..end].iter().take_while(|time| **time == now).count() - 1;
            self.moment(track, shape, now, last);
            self.next = last + 1;
        }
    }

    /// Looks once more at the last moment, to whose events one was added at the end.
    pub(super) fn again(&mut self, track: &Track, shape: &Shape) {
        let last = track.times.len() - 1;
        self.moment(track, shape, track.times[last], last);
        self.next = last + 1;
    }

    fn moment(&mut self, track: &Track, shape: &Shape, now: Timestamp, last: usize) {
        let border = now.minus(shape.window);
        // The window is open at its old end.
        while track.times[self.start] <= border {
            self.start += 1;
        }
        let level = track.levels.at(self.start, last);
        if level < shape.at_least {
            if let Some(episode) = self.episodes.last_mut()
                && episode.hold.is_none()
            {
                episode.hold = Some(holds(episode, track, shape).min(now));
            }
            return;
        }
        if !self.episodes.last().is_some_and(|episode| lasts(episode, now, track, shape)) {
            self.episodes.push(Episode::begin(now, track.times[self.start], self.start));
        }
        if let Some(episode) = self.episodes.last_mut() {
            episode.take(now, level, (self.start, last + 1), &track.evidence);
        }
    }

    /// The first `gone` events leave.
    pub(super) fn forget(&mut self, gone: usize) {
        self.next = self.next.saturating_sub(gone);
        self.start = self.start.saturating_sub(gone);
    }
}

/// Whether a crossing at `now` belongs to this episode: it still holds, it has been false for no longer than the
/// quiet time, or it would carry the same id.
fn lasts(episode: &Episode, now: Timestamp, track: &Track, shape: &Shape) -> bool {
    // It holds at least until the moment at which it was last true, which mostly decides.
    now <= episode.held.plus(shape.quiet)
        || now.cell(shape.window) == episode.crossed.cell(shape.window)
        || now <= episode.hold.unwrap_or_else(|| holds(episode, track, shape)).plus(shape.quiet)
}

/// Until when the condition stays true if nothing happens after the moment at which it was last true.
pub(super) fn holds(episode: &Episode, track: &Track, shape: &Shape) -> Timestamp {
    let place = track.times.partition_point(|time| *time <= episode.held);
    let place = place.checked_sub(1).expect("an episode that still asks stands on events that are here");
    track.levels.holds(&track.times, place, shape.at_least, shape.window)
}
