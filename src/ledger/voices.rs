//! What no event says: that a partition has fallen silent, that its source fails or has ended.
//!
//! A partition is silent when its source has said that all which was there has been handed over, or, if it never says so,
//! when nothing came for a while. Then it goes on from its own newest event by the time that has passed since, so that
//! records of an old day are not late because they are old. While its source fails or catches up nothing is said: what it
//! holds back may still come. All that is said here is written down with the events, so a restart or a replay takes the
//! same decisions.
//!
//! So is the time by our own clock, as that of a partition that brings no logs: a start knows from it for how long nobody
//! listened. A source that says so once it is at its end has handed over by then what came in the meantime, so this time
//! has passed for it too. Of what is pushed nobody can say that; it goes on from where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::detect::{Pace, Reach, Voice};
use engine::event::Kinds;
use engine::time::{Span, Timestamp};

use crate::feed::{Feed, Health};
use crate::roster::Roster;
use crate::workers::Reached;

/// A partition that brings nothing for so long is silent, if its source does not say otherwise.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// Between two words about a silent partition for which no window waits.
const AGAIN: Duration = Duration::from_secs(60);
/// Looks that lie further apart mean that we stood still: the disk refused, or the process was stopped.
const STOOD_STILL: Duration = Duration::from_secs(3);
/// The partition that our own clock is. A name of a source is not empty.
const CLOCK: &str = "/clock";
/// How long a failing source is waited for.
const MISSING_AFTER: Duration = Duration::from_secs(30 * 60);

/// So late is it by our own clock.
pub(super) fn clock(wall: Timestamp) -> Reach {
    let pace = Pace { delay: Span::default(), lateness: Span::default() };
    Reach { newest: wall, ..Reach::new(CLOCK, pace) }
}

/// Every partition of every source.
#[derive(Debug)]
pub(super) struct Voices {
    roster: Arc<Roster>,
    /// The sources as of the last look.
    feeds: Arc<Vec<Arc<Feed>>>,
    partitions: BTreeMap<Arc<str>, Heard>,
    looked: Instant,
}

#[derive(Debug)]
struct Heard {
    feed: Arc<Feed>,
    reach: Reach,
    /// When it brought something last, or we began.
    spoke: Instant,
    /// How long nobody listened before we began, if it counts.
    down: Duration,
    /// How far it had come when it spoke.
    newest: Timestamp,
    /// When something was said of its silence.
    said: Instant,
    failing: Option<Instant>,
}

impl Voices {
    /// Takes up what the last run knew, and answers what to say first: what was silent may have something to say now,
    /// sources are new, and some are no longer configured. `wall` is what our clock shows `now`.
    pub(super) fn open<'r>(
        roster: Arc<Roster>,
        known: impl Iterator<Item = &'r Reach> + Clone,
        now: Instant,
        wall: Timestamp,
    ) -> (Self, Vec<Reach>) {
        let stopped = known.clone().find(|reach| *reach.partition == *CLOCK).map_or(wall, |reach| reach.newest);
        let down = Duration::from_micros(wall.since(stopped).micros().unsigned_abs());
        let feeds = roster.feeds();
        let (mut voices, mut news) = (Self { roster, feeds, partitions: BTreeMap::new(), looked: now }, Vec::new());
        for reach in known.filter(|reach| *reach.partition != *CLOCK) {
            match voices.feeds.clone().iter().find(|feed| feed.has(&reach.partition)) {
                Some(feed) => {
                    let reach = Reach { pace: feed.pace, voice: Voice::Speaking, ..reach.clone() };
                    let partition = reach.partition.clone();
                    news.push(voices.listen(feed, reach, now));
                    if let Some(heard) = voices.partitions.get_mut(&partition).filter(|heard| heard.feed.doubt_end()) {
                        heard.down = down;
                    }
                }
                None if reach.voice != Voice::Ended => news.push(Reach { voice: Voice::Ended, ..reach.clone() }),
                None => {}
            }
        }
        voices.listen_to_unknown(now, &mut news);
        (voices, news)
    }

    /// The sources as of the last look.
    pub(super) fn feeds(&self) -> &[Arc<Feed>] {
        &self.feeds
    }

    /// A source of which no partition is known stands for its partitions.
    fn listen_to_unknown(&mut self, now: Instant, news: &mut Vec<Reach>) {
        for feed in self.feeds.clone().iter() {
            let is_known = self.partitions.keys().any(|partition| feed.has(partition));
            for reached in feed.partitions(&[]).into_iter().filter(|_| !is_known) {
                news.push(self.listen(feed, unheard(feed, &reached), now));
            }
        }
    }

    /// Sources may have come, gone, or begun anew with other settings.
    fn follow_roster(&mut self, now: Instant, news: &mut Vec<Reach>) {
        let feeds = self.roster.feeds();
        if Arc::ptr_eq(&feeds, &self.feeds) {
            return;
        }
        self.feeds = feeds;
        for (_, heard) in std::mem::take(&mut self.partitions) {
            match self.feeds.iter().find(|feed| feed.name == heard.feed.name).cloned() {
                Some(feed) if Arc::ptr_eq(&feed, &heard.feed) => {
                    self.partitions.insert(heard.reach.partition.clone(), heard);
                }
                Some(feed) => {
                    let reach = Reach { pace: feed.pace, voice: Voice::Speaking, ..heard.reach };
                    news.push(self.listen(&feed, reach, now));
                }
                None => news.push(Reach { voice: Voice::Ended, ..heard.reach }),
            }
        }
        self.listen_to_unknown(now, news);
    }

    fn listen(&mut self, feed: &Arc<Feed>, reach: Reach, now: Instant) -> Reach {
        let newest = reach.newest;
        let heard = Heard {
            feed: feed.clone(),
            reach: reach.clone(),
            spoke: now,
            down: Duration::ZERO,
            newest,
            said: now,
            failing: None,
        };
        self.partitions.insert(reach.partition.clone(), heard);
        reach
    }

    /// A batch takes a partition this far, or only names it. Answers what is new about it.
    pub(super) fn hear(&mut self, feed: &Arc<Feed>, reached: &Reached, now: Instant) -> Vec<Reach> {
        let mut news = Vec::new();
        if !self.partitions.contains_key(&reached.partition) {
            // Its source stood for its partitions while none was known by name; and one that is left alone has no name.
            let is_alone = *reached.partition == *feed.name;
            let stood = |known: &Arc<str>| feed.has(known) && (is_alone || **known == *feed.name);
            let stood: Vec<Arc<str>> = self.partitions.keys().filter(|known| stood(known)).cloned().collect();
            let stood: Vec<Heard> = stood.iter().filter_map(|known| self.partitions.remove(known)).collect();
            news.push(self.listen(feed, unheard(feed, reached), now));
            news.extend(stood.into_iter().map(|heard| Reach { voice: Voice::Ended, ..heard.reach }));
        }
        let (Some(heard), Some(newest)) = (self.partitions.get_mut(&reached.partition), reached.newest) else {
            return news;
        };
        let reach = &mut heard.reach;
        reach.newest = reach.newest.max(newest);
        reach.kinds = reach.kinds.and(reached.kinds);
        reach.voice = Voice::Speaking;
        (heard.spoke, heard.down, heard.newest, heard.failing) = (now, Duration::ZERO, reach.newest, None);
        news.retain(|known| known.partition != reach.partition);
        news.push(reach.clone());
        news
    }

    /// What there is to say by now. `deadline` knows when the next window can be judged that waits for logs of these
    /// kinds: time that lets none be judged is seldom worth a word.
    pub(super) fn news(&mut self, now: Instant, deadline: impl Fn(Kinds) -> Option<Timestamp>) -> Vec<Reach> {
        let passed = now.duration_since(std::mem::replace(&mut self.looked, now));
        if passed > STOOD_STILL {
            self.stood_still(passed, now);
        }
        let mut news = self.revoked();
        self.follow_roster(now, &mut news);
        news.extend(self.partitions.values_mut().filter_map(|heard| heard.news(now, &deadline)));
        news
    }

    /// Sources may have held back for as long what they had to say.
    fn stood_still(&mut self, passed: Duration, now: Instant) {
        for heard in self.partitions.values_mut() {
            if !heard.feed.doubt_end() {
                heard.spoke = (heard.spoke + passed).min(now);
            }
        }
    }

    /// Partitions that went to others have no more to say here.
    fn revoked(&mut self) -> Vec<Reach> {
        let feeds: Vec<Arc<Feed>> = self.partitions.values().map(|heard| heard.feed.clone()).collect();
        let gone = feeds.iter().flat_map(|feed| feed.take_revoked());
        let gone = gone.filter_map(|partition| self.partitions.remove(partition.as_str()));
        gone.map(|heard| Reach { voice: Voice::Ended, ..heard.reach }).collect()
    }

    /// The sources, and whether something of each is missing.
    pub(super) fn missing(&self) -> BTreeMap<&str, bool> {
        let mut sources = BTreeMap::new();
        for heard in self.partitions.values() {
            *sources.entry(heard.feed.name.as_str()).or_default() |= heard.reach.voice == Voice::Missing;
        }
        sources
    }

    /// The sources of which some partition is said to be missing just now.
    pub(super) fn newly_missing(&self, news: &[Reach]) -> BTreeSet<String> {
        let missing = news.iter().filter(|reach| reach.voice == Voice::Missing);
        missing.filter_map(|reach| Some(self.partitions.get(&reach.partition)?.feed.name.clone())).collect()
    }
}

fn unheard(feed: &Feed, reached: &Reached) -> Reach {
    Reach { kinds: reached.kinds, ..Reach::new(&reached.partition, feed.pace) }
}

impl Heard {
    fn news(&mut self, now: Instant, deadline: &impl Fn(Kinds) -> Option<Timestamp>) -> Option<Reach> {
        let before = (self.reach.voice, self.reach.newest);
        match self.feed.health() {
            Health::Finished => self.reach.voice = Voice::Ended,
            Health::Failing => {
                let since = *self.failing.get_or_insert(now);
                if now.duration_since(since) >= MISSING_AFTER {
                    self.reach.voice = Voice::Missing;
                }
            }
            Health::Running => {
                self.failing = None;
                self.silence(now, deadline);
            }
        }
        let is_news = (self.reach.voice, self.reach.newest) != before;
        is_news.then(|| {
            self.said = now;
            self.reach.clone()
        })
    }

    fn silence(&mut self, now: Instant, deadline: &impl Fn(Kinds) -> Option<Timestamp>) {
        let silent = now.duration_since(self.spoke) + self.down;
        if silent < SILENT_AFTER || !self.feed.is_at_end() {
            // What it held back while it was missing may come now.
            if self.reach.voice == Voice::Missing {
                self.reach.voice = Voice::Speaking;
            }
            return;
        }
        // Before its first event it has no time that could go on.
        let passed = Span::from_micros(i64::try_from(silent.as_micros()).unwrap_or(i64::MAX));
        let newest = if self.newest > Timestamp::EARLIEST { self.newest.plus(passed) } else { self.newest };
        let watermark = newest.minus(self.reach.pace.delay);
        let counts = deadline(self.reach.kinds).is_some_and(|deadline| deadline <= watermark);
        if counts || self.reach.voice != Voice::Silent || now.duration_since(self.said) >= AGAIN {
            self.reach.voice = Voice::Silent;
            self.reach.newest = self.reach.newest.max(newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;
    use engine::normalise::Format;

    use super::*;
    use crate::feed::{Manners, PACE};

    /// A source that is pushed to, or one that says when it is at its end.
    fn feed(name: &str, says_idle: bool) -> Arc<Feed> {
        let feed = Feed::new(name.to_owned(), Format::Known(Kind::AwsCloudtrail), false);
        Arc::new(feed.with(PACE, Manners { delay: PACE.delay, repeats: true, says_idle }))
    }

    fn roster(feed: &Arc<Feed>) -> Arc<Roster> {
        Arc::new(Roster::new(vec![feed.clone()]))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn reached(feed: &Feed, second: i64) -> Reached {
        Reached { newest: Some(at(second)), ..feed.partitions(&[]).remove(0) }
    }

    struct Bench {
        voices: Voices,
        feed: Arc<Feed>,
        start: Instant,
        /// When the next window can be judged.
        deadline: Option<Timestamp>,
    }

    /// A source that brought an event of second 1,000 at the start; a window always waits.
    fn bench(says_idle: bool) -> Bench {
        let (feed, start) = (feed("west", says_idle), Instant::now());
        let (mut voices, news) = Voices::open(roster(&feed), std::iter::empty(), start, Timestamp::default());
        assert_eq!(said(&news), [(Voice::Speaking, Timestamp::EARLIEST)]);
        voices.hear(&feed, &reached(&feed, 1_000), start);
        Bench { voices, feed, start, deadline: Some(Timestamp::EARLIEST) }
    }

    impl Bench {
        /// What is said at looks in each of these seconds.
        fn pass(&mut self, seconds: std::ops::RangeInclusive<u64>) -> Vec<(Voice, Timestamp)> {
            let deadline = self.deadline;
            let look = |second| self.voices.news(self.start + Duration::from_secs(second), |_| deadline);
            said(&seconds.flat_map(look).collect::<Vec<_>>())
        }
    }

    fn said(news: &[Reach]) -> Vec<(Voice, Timestamp)> {
        news.iter().map(|reach| (reach.voice, reach.newest)).collect()
    }

    #[test]
    fn a_silent_partition_goes_on_from_its_own_newest_event() {
        let mut bench = bench(false);
        assert_eq!(bench.pass(1..=4), []);
        assert_eq!(bench.pass(5..=5), [(Voice::Silent, at(1_005))]);
        assert_eq!(bench.pass(5..=5), [], "said already");
        assert_eq!(bench.pass(6..=7), [(Voice::Silent, at(1_006)), (Voice::Silent, at(1_007))]);
        let now = bench.start + Duration::from_secs(8);
        let reach = bench.voices.hear(&bench.feed, &reached(&bench.feed, 1_002), now).remove(0);
        assert_eq!((reach.voice, reach.newest), (Voice::Speaking, at(1_007)), "time does not go back");
    }

    #[test]
    fn silence_that_lets_no_window_be_judged_is_seldom_worth_a_word() {
        let mut bench = bench(false);
        bench.deadline = Some(at(1_000));
        assert_eq!(bench.pass(1..=59), [(Voice::Silent, at(1_005))], "its events come a minute late at times");
        assert_eq!(bench.pass(60..=60), [(Voice::Silent, at(1_060))]);
        bench.deadline = None;
        assert_eq!(bench.pass(61..=119), []);
        assert_eq!(bench.pass(120..=120), [(Voice::Silent, at(1_120))]);
    }

    #[test]
    fn a_source_that_is_not_at_its_end_is_not_silent() {
        let mut bench = bench(true);
        assert_eq!(bench.pass(1..=600), [], "it catches up");
        bench.feed.says_it_is_at_its_end();
        assert_eq!(bench.pass(601..=601), [(Voice::Silent, at(1_601))]);
    }

    #[test]
    fn a_failing_source_is_waited_for_and_at_last_it_is_missing() {
        let mut bench = bench(true);
        bench.feed.is(Health::Failing);
        assert_eq!(bench.pass(1..=30 * 60), []);
        let missing = 30 * 60 + 1;
        assert_eq!(bench.pass(missing..=missing), [(Voice::Missing, at(1_000))]);
        assert_eq!(bench.voices.missing(), [("west", true)].into());
        bench.feed.is(Health::Running);
        assert_eq!(bench.pass(missing + 1..=missing + 1), [(Voice::Speaking, at(1_000))], "what it held back may come");
        assert_eq!(bench.voices.missing(), [("west", false)].into());
    }

    #[test]
    fn a_source_that_brings_something_between_failures_is_not_missing() {
        let mut bench = bench(true);
        for minute in 0..60 {
            bench.feed.is(Health::Failing);
            assert_eq!(bench.pass(minute * 60..=minute * 60 + 58), []);
            let now = bench.start + Duration::from_secs(minute * 60 + 59);
            bench.voices.hear(&bench.feed, &reached(&bench.feed, 1_000), now);
        }
    }

    #[test]
    fn a_source_that_has_no_more_to_say_has_ended() {
        let mut bench = bench(true);
        bench.feed.is(Health::Finished);
        assert_eq!(bench.pass(0..=9), [(Voice::Ended, at(1_000))]);
    }

    #[test]
    fn before_its_first_event_a_source_has_no_time_that_goes_on() {
        let (feed, start) = (feed("west", false), Instant::now());
        let (voices, _) = Voices::open(roster(&feed), std::iter::empty(), start, Timestamp::default());
        let mut bench = Bench { voices, feed, start, deadline: Some(Timestamp::EARLIEST) };
        assert_eq!(bench.pass(1..=99), [(Voice::Silent, Timestamp::EARLIEST)]);
    }

    #[test]
    fn while_we_stood_still_nobody_was_silent() {
        let mut pushed = bench(false);
        assert_eq!(pushed.pass(2..=2), []);
        assert_eq!(pushed.pass(3_600..=3_602), [], "the disk was full");
        assert_eq!(pushed.pass(3_603..=3_603), [(Voice::Silent, at(1_005))]);

        let mut read = bench(true);
        read.feed.says_it_is_at_its_end();
        assert_eq!(read.pass(2..=2), []);
        assert_eq!(read.pass(3_600..=3_660), [], "what it said before that does not count");
        read.feed.says_it_is_at_its_end();
        assert_eq!(read.pass(3_661..=3_661), [(Voice::Silent, at(4_661))]);
    }

    /// What a source of second 1,000 that was last heard an hour ago says in the first ten seconds, at its end from the
    /// third on.
    fn after_an_hour_down(says_idle: bool) -> Vec<(Voice, Timestamp)> {
        let (feed, start) = (feed("west", says_idle), Instant::now());
        let known = [clock(at(5_000)), Reach { newest: at(1_000), voice: Voice::Silent, ..Reach::new("west", PACE) }];
        let (voices, news) = Voices::open(roster(&feed), known.iter(), start, at(8_600));
        assert_eq!(said(&news), [(Voice::Speaking, at(1_000))], "what came in the meantime is read first");
        let mut bench = Bench { voices, feed, start, deadline: Some(at(4_000)) };
        let mut all = bench.pass(1..=2);
        bench.feed.says_it_is_at_its_end();
        all.extend(bench.pass(3..=10));
        all
    }

    #[test]
    fn time_in_which_we_were_down_has_passed_for_who_says_that_nothing_came_in_it() {
        let passed: Vec<_> = (3..=10).map(|second| (Voice::Silent, at(4_600 + second))).collect();
        assert_eq!(after_an_hour_down(true), passed);
        assert_eq!(after_an_hour_down(false), [(Voice::Silent, at(1_005))], "what is pushed may have been held back");
    }

    #[test]
    fn a_partition_whose_source_has_left_the_configuration_has_ended_and_others_may_speak_again() {
        let known = Reach { newest: at(7), ..Reach::new("gone/3", PACE) };
        let kept = Reach { newest: at(8), voice: Voice::Silent, ..Reach::new("west/0", PACE) };
        let (_, news) = Voices::open(roster(&feed("west", true)), [&known, &kept].into_iter(), Instant::now(), at(9));
        assert_eq!(said(&news), [(Voice::Ended, at(7)), (Voice::Speaking, at(8))]);
    }

    #[test]
    fn a_source_stands_for_its_partitions_until_they_are_known_by_name_and_those_that_go_to_others_end() {
        let mut bench = bench(true);
        let named = bench.feed.partitions(&["0".into(), "1".into()]);
        let news = bench.voices.hear(&bench.feed, &named[0], bench.start);
        assert_eq!(said(&news), [(Voice::Speaking, Timestamp::EARLIEST), (Voice::Ended, at(1_000))]);
        assert_eq!(bench.voices.hear(&bench.feed, &named[0], bench.start), [], "named once more");
        bench.voices.hear(&bench.feed, &Reached { newest: Some(at(5)), ..feed_partition(&named[1]) }, bench.start);
        bench.feed.lost(vec!["1".to_owned()]);
        assert_eq!(bench.pass(1..=1), [(Voice::Ended, at(5))]);
    }

    #[test]
    fn of_a_source_of_several_partitions_that_is_left_with_one_this_one_is_heard() {
        let mut bench = bench(true);
        for named in bench.feed.partitions(&["0".into(), "1".into()]) {
            bench.voices.hear(&bench.feed, &named, bench.start);
        }
        let news = bench.voices.hear(&bench.feed, &reached(&bench.feed, 7), bench.start);
        assert_eq!(news.len(), 3, "{news:?}");
        let ended = news.iter().filter(|reach| reach.voice == Voice::Ended).map(|reach| &*reach.partition);
        assert_eq!(ended.collect::<Vec<_>>(), ["west/0", "west/1"]);
        let news = bench.voices.hear(&bench.feed, &reached(&bench.feed, 8), bench.start);
        assert_eq!(said(&news), [(Voice::Speaking, at(8))], "no watermark waits for those that are gone");
    }

    fn feed_partition(reached: &Reached) -> Reached {
        Reached { partition: reached.partition.clone(), ..*reached }
    }
}
