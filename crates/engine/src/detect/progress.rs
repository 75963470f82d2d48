//! How far the stream has come: by partition of each source, and for a rule by those that it reads.
//!
//! A partition's watermark lies its source's delay behind its newest event: no event before it is to be expected.
//! A rule goes by the least watermark of the partitions that bring logs of its kinds, and of no others, so that a
//! slow source holds back only who reads it. A partition that has nothing more to say goes on with the clock of
//! whoever feeds the state; all of this is input like any event, so the same input decides the same again.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

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
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<Reach>")]
pub(super) struct Progress {
    /// By name.
    partitions: Vec<Reach>,
    /// Some of them have ended.
    some_ended: bool,
    /// What follows for each set of kinds that was asked for: a few.
    views: Vec<View>,
}

/// What the rules that read these kinds of log go by.
#[derive(Clone, Copy, Debug)]
struct View {
    kinds: Kinds,
    borders: Borders,
    /// Whether something that they read is missing.
    partial: bool,
    /// Whether only an event of a partition that is furthest behind can move the borders.
    steady: bool,
    /// Something has changed since it was worked out.
    stale: bool,
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
    /// The least that a partition's watermark lies behind its newest event.
    pub(super) delay: Span,
}

impl Borders {
    /// What lies before this moment comes too late for a key whose newest event is `newest`: everybody has gone on for
    /// so long, not only the partition that this event came by.
    pub(super) fn of_key(&self, newest: Timestamp) -> Timestamp {
        newest.min(self.slowest).minus(self.lateness)
    }

    /// How far behind a moment the watermark must be, so that nothing earlier can come any more.
    pub(super) fn wait(&self) -> Span {
        let late = self.lateness.micros() - self.delay.micros();
        Span::from_micros(late.max(0) + 1)
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

    /// Whether whoever reads these logs waits for it, `newest` being the newest event of all that bring them.
    #[must_use]
    pub fn is_waited_for(&self, newest: Timestamp) -> bool {
        match self.voice {
            Voice::Speaking => true,
            Voice::Silent => self.newest.plus(BEHIND_MAX) >= newest,
            Voice::Missing | Voice::Ended => false,
        }
    }
}

/// What follows from it is worked out again.
impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.partitions.serialize(serializer)
    }
}

impl From<Vec<Reach>> for Progress {
    fn from(mut partitions: Vec<Reach>) -> Self {
        partitions.sort_by(|one, other| one.partition.cmp(&other.partition));
        let some_ended = partitions.iter().any(|known| known.voice == Voice::Ended);
        Self { partitions, some_ended, views: Vec::new() }
    }
}

impl Progress {
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Reach> + Clone {
        self.partitions.iter()
    }

    /// How far this partition has come.
    pub(super) fn of(&self, partition: &str) -> Option<&Reach> {
        self.place(partition).ok().map(|place| &self.partitions[place])
    }

    fn place(&self, partition: &str) -> Result<usize, usize> {
        self.partitions.binary_search_by(|known| (*known.partition).cmp(partition))
    }

    /// Takes in how far a partition has come. It never goes back. One that has ended is forgotten once another brings the
    /// same logs: partitions come and go for ever.
    pub(super) fn hear(&mut self, reach: &Reach) {
        if self.some_ended && reach.voice != Voice::Ended {
            self.forget_ended(reach);
        }
        self.some_ended |= reach.voice == Voice::Ended;
        let place = self.place(&reach.partition);
        let Self { views, partitions, .. } = self;
        match place {
            Err(place) => {
                views.iter_mut().filter(|view| view.kinds.meet(reach.kinds)).for_each(|view| view.stale = true);
                partitions.insert(place, reach.clone());
            }
            Ok(place) => {
                let known = &mut partitions[place];
                let kinds = known.kinds.and(reach.kinds);
                let only_goes_on = (kinds, reach.voice, reach.pace) == (known.kinds, known.voice, known.pace);
                for view in views.iter_mut().filter(|view| view.kinds.meet(kinds)) {
                    view.stale |= !only_goes_on || reach.newest > known.newest && view.is_moved_by(known);
                }
                known.newest = known.newest.max(reach.newest);
                (known.kinds, known.voice, known.pace) = (kinds, reach.voice, reach.pace);
            }
        }
    }

    /// Forgets those that ended and whose logs this one brings.
    fn forget_ended(&mut self, reach: &Reach) {
        let is_over = |known: &Reach| {
            known.voice == Voice::Ended && known.kinds.meet(reach.kinds) && known.partition != reach.partition
        };
        let before = self.partitions.len();
        self.partitions.retain(|known| !is_over(known));
        if self.partitions.len() < before {
            self.views.iter_mut().for_each(|view| view.stale = true);
        }
        self.some_ended = self.partitions.iter().any(|known| known.voice == Voice::Ended);
    }

    /// Gets ready for questions about rules of these kinds: from here on they cost nothing while the same partition is
    /// the slowest, however many there are.
    pub(super) fn watch(&mut self, kinds: Kinds) {
        if !self.views.iter().any(|view| view.kinds == kinds) {
            self.views.push(View::of(&self.partitions, kinds));
        }
    }

    /// Nobody will ask about these kinds any more.
    pub(super) fn unwatch(&mut self) {
        self.views.clear();
    }

    /// Takes in what was heard. To be called before the next question.
    pub(super) fn refresh(&mut self) {
        for view in self.views.iter_mut().filter(|view| view.stale) {
            *view = View::of(&self.partitions, view.kinds);
        }
    }

    fn view(&self, kinds: Kinds) -> View {
        let known = self.views.iter().find(|view| view.kinds == kinds);
        debug_assert!(known.is_none_or(|view| !view.stale), "refreshed before it is asked");
        known.copied().unwrap_or_else(|| View::of(&self.partitions, kinds))
    }

    /// The borders for a rule that reads logs of these kinds.
    pub(super) fn borders(&self, kinds: Kinds) -> Borders {
        self.view(kinds).borders
    }

    /// Whether something that a rule of these kinds reads is missing.
    pub(super) fn is_partial(&self, kinds: Kinds) -> bool {
        self.view(kinds).partial
    }
}

impl View {
    /// Looks at every partition.
    fn of(partitions: &[Reach], kinds: Kinds) -> Self {
        let read = || partitions.iter().filter(|known| known.kinds.meet(kinds));
        let partial = read().any(|known| known.voice == Voice::Missing);
        let steady = read().all(|known| known.voice == Voice::Speaking);
        Self { kinds, borders: borders(read), partial, steady, stale: false }
    }

    /// Whether it makes a difference that this partition, which spoke and speaks, goes on from here.
    fn is_moved_by(&self, from: &Reach) -> bool {
        let Borders { watermark, slowest, .. } = self.borders;
        !self.steady || from.newest <= slowest || from.newest.minus(from.pace.delay) <= watermark
    }
}

/// What follows from the partitions that a rule reads.
fn borders<'r, R: Iterator<Item = &'r Reach>>(read: impl Fn() -> R) -> Borders {
    let newest = read().map(|known| known.newest).max().unwrap_or(Timestamp::EARLIEST);
    let delay = read().map(|known| known.pace.delay).min().unwrap_or_default();
    let mut borders = Borders { watermark: Timestamp::LATEST, slowest: newest, lateness: Span::default(), delay };
    let mut any = false;
    for known in read() {
        borders.lateness = borders.lateness.max(known.pace.lateness).max(known.pace.delay);
        if known.is_waited_for(newest) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::event::Kind;

    fn any_reach() -> impl Strategy<Value = Reach> {
        let voice = prop_oneof![
            6 => Just(Voice::Speaking),
            1 => Just(Voice::Silent),
            1 => Just(Voice::Missing),
            1 => Just(Voice::Ended),
        ];
        let kind = select(vec![Kind::AwsCloudtrail, Kind::GithubAudit]);
        (0u8..4, 0u32..4_000, kind, voice, 0u32..60).prop_map(|(number, second, kind, voice, delay)| {
            // Most speak at the pace of their source.
            let delay = Span::seconds(if delay < 50 { 20 } else { delay });
            let pace = Pace { delay, lateness: Span::seconds(60) };
            let newest = Timestamp::EARLIEST.plus(Span::seconds(second));
            Reach { newest, kinds: kind.into(), voice, ..Reach::new(&number.to_string(), pace) }
        })
    }

    proptest! {
        #[test]
        fn what_is_remembered_of_borders_is_what_a_look_at_all_partitions_says(
            reached in proptest::collection::vec((any_reach(), any::<bool>()), 1..80),
        ) {
            let [aws, github] = [Kind::AwsCloudtrail, Kind::GithubAudit].map(Kinds::from);
            let mut progress = Progress::default();
            for kinds in [aws, github, aws.and(github)] {
                progress.watch(kinds);
            }
            for (reach, more) in reached {
                progress.hear(&reach);
                if more {
                    continue;
                }
                progress.refresh();
                let plain = Progress::from(progress.partitions.clone());
                for kinds in [aws, github, aws.and(github)] {
                    prop_assert_eq!(progress.borders(kinds), plain.borders(kinds));
                    prop_assert_eq!(progress.is_partial(kinds), plain.is_partial(kinds));
                }
            }
        }
    }

    #[test]
    fn of_many_partitions_only_the_slowest_makes_the_borders_be_worked_out_again() {
        let kinds = Kinds::from(Kind::AwsCloudtrail);
        let pace = Pace { delay: Span::seconds(20), lateness: Span::seconds(60) };
        let reach = |number: usize, second: u32| {
            let newest = Timestamp::EARLIEST.plus(Span::seconds(second));
            Reach { newest, kinds, ..Reach::new(&number.to_string(), pace) }
        };
        let mut progress = Progress::default();
        (0..200).for_each(|number| progress.hear(&reach(number, if number == 7 { 500 } else { 1_000 })));
        progress.watch(kinds);
        let mut again = 0;
        for second in 1_001..1_100 {
            for number in (0..200).filter(|number| *number != 7) {
                progress.hear(&reach(number, second));
                again += usize::from(progress.views[0].stale);
                progress.refresh();
            }
        }
        assert_eq!(again, 0);
        progress.hear(&reach(7, 501));
        assert!(progress.views[0].stale);
    }
}
