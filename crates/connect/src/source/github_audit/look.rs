//! Which page of the log is asked for next, and what of an answer is new. Pure: no network, no clock.
//!
//! Entries appear late and behind newer ones, so each look begins the *overlap* before the *floor*, and ids tell which
//! entries were handed over before. The floor is where a restart begins (less the overlap). It moves only when a look is
//! complete; a crash within a look repeats it. Far behind, a look ends once it has covered an hour, so that it is an hour
//! that is repeated and not a month.

use std::collections::BTreeSet;

use bytes::Bytes;
use engine::time::{Span, Timestamp};

/// What one look covers beyond the floor before the floor may move.
const STEP: Span = Span::seconds(3_600);

/// A log in which nothing was new for so long is quiet, not stalled: the floor follows at this distance, so that what is
/// deleted behind it is nothing that nobody read.
const STALL: Span = Span::seconds(6 * 3_600);

/// Ids remembered (24 bytes each, so 12 MB). Beyond it the oldest go: their entries are handed over again, and counted
/// once further in.
const SEEN_MAX: usize = 500_000;

/// A log and how far it was read.
#[derive(Debug)]
pub(super) struct Log {
    overlap: Span,
    floor: Timestamp,
    /// Time in milliseconds and hashed id of every entry handed over since `floor - overlap`.
    seen: BTreeSet<(i64, u64)>,
    look: Option<Look>,
}

/// A look that is not complete.
#[derive(Debug)]
struct Look {
    began: Timestamp,
    since: Timestamp,
    /// Where the next page is; none is the first.
    next: Option<String>,
    newest: Timestamp,
    /// Up to here the pages of this look have come.
    read: Timestamp,
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The first page of what happened since then.
    Since(Timestamp),
    /// The page at this address.
    Page(String),
}

/// A page as it came, oldest entry first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Where the next one is; none if this is the last.
    pub(super) next: Option<String>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    /// When it happened, if it says so.
    pub(super) time: Option<Timestamp>,
    pub(super) body: Bytes,
}

/// What a page brought.
#[derive(Debug)]
pub(super) struct Found {
    /// Entries not handed over before.
    pub(super) entries: Vec<Entry>,
    /// The floor before this page.
    pub(super) before: Timestamp,
    /// The floor that covers them and all that were handed over before.
    pub(super) floor: Timestamp,
    pub(super) reach: Reach,
}

/// How far a page reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The look goes on.
    Within,
    /// The look is over, and more is there.
    Step,
    /// Nothing more was there.
    End,
}

impl Log {
    /// A log of which everything up to the floor was handed over.
    pub(super) fn resume(overlap: Span, floor: Timestamp) -> Self {
        Self { overlap, floor, seen: BTreeSet::new(), look: None }
    }

    /// A log never read before, from `start` on.
    pub(super) fn begin(overlap: Span, start: Timestamp) -> Self {
        Self::resume(overlap, start.plus(overlap))
    }

    pub(super) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Whether a look goes on.
    pub(super) fn is_within_a_look(&self) -> bool {
        self.look.is_some()
    }

    /// What to ask for. Asked again before an answer, it says the same.
    pub(super) fn ask(&mut self, now: Timestamp) -> Ask {
        let since = self.floor.minus(self.overlap);
        let newest = self.floor;
        let look = self.look.get_or_insert(Look { began: now, since, next: None, newest, read: since });
        look.next.clone().map_or(Ask::Since(look.since), Ask::Page)
    }

    /// Takes in the answer to the last [`Log::ask`].
    pub(super) fn take(&mut self, page: Page, now: Timestamp) -> Found {
        let before = self.floor;
        let newest = page.entries.iter().filter_map(|entry| entry.time).max();
        let mut entries = page.entries;
        entries.retain(|entry| self.seen.insert((entry.time.unwrap_or(before).millis(), digest(&entry.id))));
        while self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
        let Some(mut look) = self.look.take() else {
            return Found { entries, before, floor: before, reach: Reach::End };
        };
        look.newest = look.newest.max(newest.unwrap_or(look.newest));
        // An entry of the future must not hide what is listed in front of it.
        look.read = look.read.max(newest.unwrap_or(look.read).min(now));
        let is_far = look.newest >= before.plus(STEP);
        let reach = match page.next {
            None => Reach::End,
            Some(_) if is_far => Reach::Step,
            Some(next) => {
                look.next = Some(next);
                self.look = Some(look);
                return Found { entries, before, floor: before, reach: Reach::Within };
            }
        };
        self.finish(&look, reach);
        Found { entries, before, floor: self.floor, reach }
    }

    /// The server no longer knows the page: the look goes on with a first page of what it has not come to. From its
    /// beginning it might never end.
    pub(super) fn restart(&mut self) {
        if let Some(look) = &mut self.look {
            (look.next, look.since) = (None, look.read);
        }
    }

    fn finish(&mut self, look: &Look, reach: Reach) {
        // An entry of the future must not hide what happens until then.
        let newest = look.newest.min(look.began);
        let quiet = if reach == Reach::End { look.began.minus(STALL) } else { self.floor };
        self.floor = self.floor.max(newest).max(quiet);
        // Nothing older is ever asked for again, but whole seconds are.
        let oldest = self.floor.minus(self.overlap).minus(Span::seconds(1));
        self.seen = self.seen.split_off(&(oldest.millis(), 0));
    }
}

fn digest(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    /// Read up to minute 1000, with ten minutes of overlap.
    fn log() -> Log {
        Log::resume(Span::seconds(600), minute(1_000))
    }

    fn page(entries: &[(&str, i64)], next: Option<&str>) -> Page {
        let entry = |(id, at): &(&str, i64)| Entry {
            id: (*id).to_owned(),
            time: Some(minute(*at)),
            body: Bytes::from_static(b"{}"),
        };
        Page { entries: entries.iter().map(entry).collect(), next: next.map(str::to_owned) }
    }

    fn ids(found: &Found) -> Vec<&str> {
        found.entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn a_look_begins_the_overlap_before_the_floor_and_follows_its_pages() {
        let mut log = log();
        assert_eq!(log.ask(minute(1_010)), Ask::Since(minute(990)));
        let found = log.take(page(&[("a", 1_001)], Some("page 2")), minute(5_000));
        assert_eq!((ids(&found), found.reach, found.floor), (vec!["a"], Reach::Within, minute(1_000)));
        assert_eq!(log.ask(minute(1_011)), Ask::Page("page 2".to_owned()));
        let found = log.take(page(&[("b", 1_004)], None), minute(5_000));
        assert_eq!((found.reach, found.floor), (Reach::End, minute(1_004)));
        assert_eq!(log.ask(minute(1_012)), Ask::Since(minute(994)));
    }

    #[test]
    fn an_entry_is_handed_over_once_over_pages_looks_and_restarts_of_a_look() {
        let mut log = log();
        log.ask(minute(1_010));
        assert_eq!(ids(&log.take(page(&[("a", 1_001), ("b", 1_001)], Some("next")), minute(5_000))), ["a", "b"]);
        log.restart();
        assert_eq!(log.ask(minute(1_012)), Ask::Since(minute(1_001)), "where it was, which may be within a second");
        assert_eq!(ids(&log.take(page(&[("a", 1_001), ("b", 1_001), ("c", 1_001)], None), minute(5_000))), ["c"]);
        log.ask(minute(1_013));
        assert_eq!(ids(&log.take(page(&[("late", 992), ("a", 1_001), ("c", 1_001)], None), minute(5_000))), ["late"]);
    }

    #[test]
    fn a_look_whose_cursors_are_all_refused_comes_to_its_end_though_the_log_grows_meanwhile() {
        let (mut log, mut since) = (log(), minute(990));
        for at in 1_010..1_050 {
            assert_eq!(log.ask(minute(at)), Ask::Since(since));
            let found = log.take(page(&[(&format!("at {at}"), at)], Some("next")), minute(at));
            assert_eq!((found.entries.len(), found.reach), (1, Reach::Within));
            log.restart();
            since = minute(at);
        }
        assert_eq!(log.take(page(&[], None), minute(1_050)).floor, minute(1_010), "what is late is still looked for");
    }

    #[test]
    fn far_behind_a_look_ends_after_an_hour_and_the_next_one_goes_on_from_there() {
        let mut log = log();
        log.ask(minute(5_000));
        assert_eq!(log.take(page(&[("a", 1_059)], Some("next")), minute(5_000)).reach, Reach::Within);
        let found = log.take(page(&[("b", 1_061)], Some("next")), minute(5_000));
        assert_eq!((found.reach, found.floor), (Reach::Step, minute(1_061)));
        assert_eq!(log.ask(minute(5_000)), Ask::Since(minute(1_051)));
    }

    #[test]
    fn a_quiet_log_is_followed_at_a_distance_and_one_that_stalls_is_waited_for() {
        let mut log = log();
        for (now, floor) in [(1_010, 1_000), (1_359, 1_000), (1_400, 1_040)] {
            log.ask(minute(now));
            assert_eq!(log.take(page(&[], None), minute(5_000)).floor, minute(floor), "at {now}");
        }
    }

    #[test]
    fn an_entry_of_the_future_or_without_a_time_moves_nothing_beyond_the_present() {
        let mut log = log();
        log.ask(minute(1_010));
        let mut odd = page(&[("future", 9_000), ("timeless", 0)], None);
        odd.entries[1].time = None;
        let found = log.take(odd, minute(1_010));
        assert_eq!((ids(&found), found.floor), (vec!["future", "timeless"], minute(1_010)));
    }

    #[test]
    fn ids_are_kept_as_long_as_a_look_may_meet_them_and_no_longer() {
        let mut log = log();
        log.ask(minute(1_010));
        log.take(page(&[("old", 990), ("edge", 998), ("new", 1_008)], None), minute(5_000));
        assert_eq!(log.seen.len(), 2);
        assert_eq!(log.ask(minute(1_020)), Ask::Since(minute(998)));
        assert_eq!(ids(&log.take(page(&[("edge", 998), ("new", 1_008)], None), minute(5_000))), Vec::<&str>::new());
    }
}
