//! What no event says: that a partition has fallen silent, that its source fails or has ended.
//!
//! A silent partition goes on from its own newest event by the time that has passed since, so that records of an old
//! day are not late because they are old. While its source fails nothing is said: what it holds back may still come.
//! All that is said here is written down with the events, so a restart or a replay takes the same decisions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::detect::{Reach, Voice};
use engine::time::{Span, Timestamp};

use crate::feed::{Feed, Health};
use crate::workers::Reached;

/// A partition that brings nothing for so long has said all that there is.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(5);
/// Between two words about a silent partition while windows wait for it, and while none does.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_IDLE: Duration = Duration::from_secs(60);
/// Looks that lie further apart mean that we stood still: the disk refused, or the process was stopped.
const STOOD_STILL: Duration = Duration::from_secs(3);
/// How long a failing source is waited for.
pub(super) const MISSING_AFTER: Duration = Duration::from_secs(30 * 60);

/// Every partition of every source.
#[derive(Debug)]
pub(super) struct Course {
    partitions: BTreeMap<Arc<str>, Heard>,
    looked: Instant,
}

#[derive(Debug)]
struct Heard {
    feed: Arc<Feed>,
    reach: Reach,
    /// When it brought something last, its source was at work again, or we began; and how far it had come then.
    spoke: (Instant, Timestamp),
    /// When something was said of its silence.
    said: Instant,
    failing: Option<Instant>,
}

impl Course {
    /// Takes up what the last run knew, and answers what has changed since: sources that are new, and partitions whose
    /// source is no longer configured.
    pub(super) fn open<'r>(
        feeds: &[Arc<Feed>],
        known: impl Iterator<Item = &'r Reach>,
        now: Instant,
    ) -> (Self, Vec<Reach>) {
        let (mut course, mut news) = (Self { partitions: BTreeMap::new(), looked: now }, Vec::new());
        for reach in known {
            match feeds.iter().find(|feed| feed.has(&reach.partition)) {
                Some(feed) => course.listen(feed, Reach { pace: feed.pace, ..reach.clone() }, now),
                None if reach.voice != Voice::Ended => news.push(Reach { voice: Voice::Ended, ..reach.clone() }),
                None => {}
            }
        }
        for feed in feeds {
            let has_spoken = course.partitions.keys().any(|partition| feed.has(partition));
            for Reached { partition, newest, kinds } in feed.partitions(&[]) {
                if !has_spoken {
                    let reach = Reach { newest, kinds, ..Reach::new(&partition, feed.pace) };
                    course.listen(feed, reach.clone(), now);
                    news.push(reach);
                }
            }
        }
        (course, news)
    }

    fn listen(&mut self, feed: &Arc<Feed>, reach: Reach, now: Instant) {
        let (partition, spoke) = (reach.partition.clone(), (now, reach.newest));
        let heard = Heard { feed: feed.clone(), reach, spoke, said: now, failing: None };
        self.partitions.insert(partition, heard);
    }

    /// A batch takes a partition this far.
    pub(super) fn hear(&mut self, feed: &Arc<Feed>, reached: &Reached, newest: Timestamp, now: Instant) -> Reach {
        if !self.partitions.contains_key(&reached.partition) {
            self.listen(feed, Reach::new(&reached.partition, feed.pace), now);
        }
        let heard = self.partitions.get_mut(&reached.partition).expect("listened to above");
        let reach = &mut heard.reach;
        reach.newest = reach.newest.max(newest);
        reach.kinds = reach.kinds.and(reached.kinds);
        reach.voice = Voice::Speaking;
        heard.spoke = (now, reach.newest);
        reach.clone()
    }

    /// What there is to say by now; more often if windows wait for it.
    pub(super) fn news(&mut self, now: Instant, windows_wait: bool) -> Vec<Reach> {
        let again = if windows_wait { AGAIN } else { AGAIN_IDLE };
        let passed = now.duration_since(std::mem::replace(&mut self.looked, now));
        if passed > STOOD_STILL {
            // Sources may have held back for as long what they had to say.
            self.partitions.values_mut().for_each(|heard| heard.spoke.0 = (heard.spoke.0 + passed).min(now));
        }
        self.partitions.values_mut().filter_map(|heard| heard.news(now, again)).collect()
    }
}

impl Heard {
    fn news(&mut self, now: Instant, again: Duration) -> Option<Reach> {
        let before = (self.reach.voice, self.reach.newest);
        match self.feed.health() {
            Health::Finished => self.reach.voice = Voice::Ended,
            Health::Failing => {
                let since = *self.failing.get_or_insert(now);
                if now.duration_since(since) >= MISSING_AFTER {
                    self.reach.voice = Voice::Missing;
                }
                // What it holds back comes when it works again: until then its time stands still.
                self.spoke = (now, self.reach.newest);
            }
            Health::Running => {
                self.failing = None;
                let silent = now.duration_since(self.spoke.0);
                let is_told = self.reach.voice == Voice::Silent && now.duration_since(self.said) < again;
                if silent < SILENT_AFTER || is_told {
                    return None;
                }
                self.reach.voice = Voice::Silent;
                // Before its first event it has no time that could go on.
                if self.spoke.1 > Timestamp::EARLIEST {
                    let passed = i64::try_from(silent.as_micros()).unwrap_or(i64::MAX);
                    self.reach.newest = self.reach.newest.max(self.spoke.1.plus(Span::from_micros(passed)));
                }
            }
        }
        let is_news = (self.reach.voice, self.reach.newest) != before;
        is_news.then(|| {
            self.said = now;
            self.reach.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;
    use engine::normalise::Format;

    use super::*;

    fn feed(name: &str) -> Arc<Feed> {
        Arc::new(Feed::new(name.to_owned(), Format::Known(Kind::AwsCloudtrail), false))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    /// A source that brought an event of second 1,000 at the start.
    fn heard() -> (Course, Arc<Feed>, Instant) {
        let (feed, start) = (feed("west"), Instant::now());
        let (mut course, news) = Course::open(std::slice::from_ref(&feed), std::iter::empty(), start);
        assert_eq!((news.len(), news[0].voice, news[0].newest), (1, Voice::Speaking, Timestamp::EARLIEST));
        let reached = feed.partitions(&[]).remove(0);
        course.hear(&feed, &reached, at(1_000), start);
        (course, feed, start)
    }

    fn said(news: &[Reach]) -> Vec<(Voice, Timestamp)> {
        news.iter().map(|reach| (reach.voice, reach.newest)).collect()
    }

    #[test]
    fn a_silent_partition_goes_on_from_its_own_newest_event() {
        let (mut course, feed, start) = heard();
        assert_eq!(said(&pass(&mut course, start, 1..=4, true)), []);
        assert_eq!(said(&pass(&mut course, start, 5..=5, true)), [(Voice::Silent, at(1_005))]);
        assert_eq!(said(&pass(&mut course, start, 5..=5, true)), [], "said already");
        assert_eq!(
            said(&pass(&mut course, start, 6..=7, true)),
            [(Voice::Silent, at(1_006)), (Voice::Silent, at(1_007))]
        );
        assert_eq!(said(&pass(&mut course, start, 8..=66, false)), [], "nobody waits for it");
        assert_eq!(said(&pass(&mut course, start, 67..=67, false)), [(Voice::Silent, at(1_067))]);
        let reached = feed.partitions(&[]).remove(0);
        let reach = course.hear(&feed, &reached, at(1_040), after(start, 71));
        assert_eq!((reach.voice, reach.newest), (Voice::Speaking, at(1_067)), "time does not go back");
    }

    #[test]
    fn while_we_stood_still_nobody_was_silent() {
        let (mut course, _, start) = heard();
        assert_eq!(said(&course.news(after(start, 2), true)), []);
        assert_eq!(said(&course.news(after(start, 3_600), true)), [], "the disk was full");
        assert_eq!(said(&course.news(after(start, 3_602), true)), []);
        assert_eq!(said(&course.news(after(start, 3_605), true)), [(Voice::Silent, at(1_007))]);
    }

    /// Looks each second.
    fn pass(course: &mut Course, start: Instant, seconds: std::ops::RangeInclusive<u64>, waits: bool) -> Vec<Reach> {
        seconds.flat_map(|second| course.news(after(start, second), waits)).collect()
    }

    #[test]
    fn the_time_of_a_failing_source_stands_still_and_at_last_it_is_missing() {
        let (mut course, feed, start) = heard();
        feed.is(Health::Failing);
        assert_eq!(said(&pass(&mut course, start, 1..=30 * 60, true)), []);
        let missing = 30 * 60 + 1;
        assert_eq!(said(&pass(&mut course, start, missing..=missing, true)), [(Voice::Missing, at(1_000))]);
        feed.is(Health::Running);
        let again = pass(&mut course, start, missing + 1..=missing + 5, true);
        assert_eq!(said(&again), [(Voice::Silent, at(1_005))], "what it held back may come before that");
    }

    #[test]
    fn a_source_that_has_no_more_to_say_has_ended() {
        let (mut course, feed, start) = heard();
        feed.is(Health::Finished);
        assert_eq!(said(&course.news(start, true)), [(Voice::Ended, at(1_000))]);
        assert_eq!(said(&course.news(after(start, 9), true)), []);
    }

    #[test]
    fn before_its_first_event_a_source_has_no_time_that_goes_on() {
        let start = Instant::now();
        let (mut course, _) = Course::open(&[feed("west")], std::iter::empty(), start);
        assert_eq!(said(&pass(&mut course, start, 1..=99, true)), [(Voice::Silent, Timestamp::EARLIEST)]);
    }

    #[test]
    fn a_partition_whose_source_has_left_the_configuration_has_ended() {
        let known = Reach { newest: at(7), ..Reach::new("gone/3", feed("gone").pace) };
        let kept = Reach { newest: at(8), ..Reach::new("west/0", feed("west").pace) };
        let (_, news) = Course::open(&[feed("west")], [&known, &kept].into_iter(), Instant::now());
        assert_eq!(said(&news), [(Voice::Ended, at(7))]);
    }
}
