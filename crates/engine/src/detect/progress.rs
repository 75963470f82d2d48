//! How far the stream has come: by partition of each source, and for a rule by those that it reads.
//!
//! A partition's watermark lies its source's delay behind its newest event: no event before it is to be expected.
//! A rule goes by the least watermark of the partitions that bring logs of its kinds, and of no others, so that a
//! slow source holds back only who reads it. A partition that has nothing more to say goes on with the clock of
//! whoever feeds the state; all of this is input like any event, so the same input decides the same again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Kinds;
use crate::time::{Span, Timestamp};

/// A silent partition so far behind the others holds nobody back: it once brought an old day.
const BEHIND_MAX: Span = Span::seconds(30 * 60);

/// What is to be expected of the times of a source's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// How far behind the newest one of their partition events ordinarily come. Windows that can only be judged when
    /// all of their events are there wait for as long.
    pub delay: Span,
    /// How late an event may come and still be counted: what it changes is revised.
    pub lateness: Span,
}

/// What a step says of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Voice {
    /// It speaks: what is behind its newest event may still come.
    Speaking,
    /// It has said all that there is so far.
    Silent,
    /// Its system has failed for longer than anybody waits. Alerts of rules that read it are partial.
    Missing,
    /// There will be no more of it.
    Ended,
}

/// How far a partition has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Name of the partition, unique over all sources.
    pub partition: Arc<str>,
    /// The time of its newest event, or what that would be by now if it is silent.
    pub newest: Timestamp,
    /// Kinds of log that it brought.
    pub kinds: Kinds,
    /// Whether more is to be expected.
    pub voice: Voice,
    /// What is to be expected of its times.
    pub pace: Pace,
}

/// Every partition that was heard of, without those that ended and left their logs to others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    partitions: Vec<Reach>,
}

/// The borders of time for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Borders {
    /// All events before this moment are there, as far as anybody can say.
    pub(super) watermark: Timestamp,
    /// The newest event of the partition that is furthest behind.
    pub(super) slowest: Timestamp,
    /// How late an event may come and still be counted.
    pub(super) lateness: Span,
}

impl Borders {
    /// What lies before this moment comes too late for a key whose newest event is `newest`: everybody has gone on for
    /// so long, not only the partition that this event came by.
    pub(super) fn of_key(&self, newest: Timestamp) -> Timestamp {
        newest.min(self.slowest).minus(self.lateness)
    }

    /// What lies before this moment can no longer be changed by anybody.
    pub(super) fn settled(&self) -> Timestamp {
        self.watermark.minus(self.lateness)
    }
}

impl Reach {
    /// A partition that was not heard of yet.
    #[must_use]
    pub fn new(partition: &str, pace: Pace) -> Self {
        let (partition, newest, kinds) = (partition.into(), Timestamp::EARLIEST, Kinds::default());
        Self { partition, newest, kinds, voice: Voice::Speaking, pace }
    }
}

impl Progress {
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Reach> {
        self.partitions.iter()
    }

    /// How far this partition has come.
    pub(super) fn of(&self, partition: &str) -> Option<&Reach> {
        self.partitions.iter().find(|known| *known.partition == *partition)
    }

    /// Takes in how far a partition has come. It never goes back. One that has ended is forgotten once another brings the
    /// same logs: partitions come and go for ever.
    pub(super) fn hear(&mut self, reach: &Reach) {
        let is_over = |known: &Reach| {
            known.voice == Voice::Ended && known.kinds.meet(reach.kinds) && known.partition != reach.partition
        };
        if reach.voice != Voice::Ended {
            self.partitions.retain(|known| !is_over(known));
        }
        let Some(known) = self.partitions.iter_mut().find(|known| known.partition == reach.partition) else {
            self.partitions.push(reach.clone());
            return;
        };
        known.newest = known.newest.max(reach.newest);
        known.kinds = known.kinds.and(reach.kinds);
        (known.voice, known.pace) = (reach.voice, reach.pace);
    }

    /// The borders for a rule that reads logs of these kinds.
    pub(super) fn borders(&self, kinds: Kinds) -> Borders {
        let read = || self.partitions.iter().filter(|known| known.kinds.meet(kinds));
        let newest = read().map(|known| known.newest).max().unwrap_or(Timestamp::EARLIEST);
        let waited = |known: &&Reach| match known.voice {
            Voice::Speaking => true,
            Voice::Silent => known.newest.plus(BEHIND_MAX) >= newest,
            Voice::Missing | Voice::Ended => false,
        };
        let mut borders = Borders { watermark: Timestamp::LATEST, slowest: newest, lateness: Span::default() };
        let mut any = false;
        for known in read() {
            borders.lateness = borders.lateness.max(known.pace.lateness).max(known.pace.delay);
            if waited(&known) {
                any = true;
                borders.watermark = borders.watermark.min(known.newest.minus(known.pace.delay));
                borders.slowest = borders.slowest.min(known.newest);
            }
        }
        // Nobody is waited for. If whoever ever spoke has ended, nothing is to come; else one may come back.
        let has_spoken = || read().filter(|known| known.newest > Timestamp::EARLIEST);
        if !any && (has_spoken().next().is_none() || has_spoken().any(|known| known.voice != Voice::Ended)) {
            let known = read().map(|known| known.newest.minus(known.pace.delay)).max();
            borders.watermark = known.unwrap_or(Timestamp::EARLIEST);
        }
        borders
    }

    /// Whether something that a rule of these kinds reads is missing.
    pub(super) fn is_partial(&self, kinds: Kinds) -> bool {
        self.partitions.iter().any(|known| known.voice == Voice::Missing && known.kinds.meet(kinds))
    }
}
