//! What one log group must be asked next, and what of an answer is new. Pure: no network, no clock.
//!
//! CloudWatch makes events readable late and out of order, and filters by event time only. So every scan
//! reads back behind the newest event by the *overlap*, and event ids tell which events were handed over
//! before. The *floor* is where the next start reads from (less the overlap). It moves only when a full scan
//! is complete; a crash within a scan repeats the scan.
//!
//! The *audit* is a third, slow speed: page by page beside the others it reads the last day behind the overlap, and finds what
//! came later than that. It knows what was handed over since this start only, and looks at nothing older.

use std::collections::BTreeSet;

use engine::time::{Span, Timestamp};

/// A silence up to this long may be a delivery that stalled as a whole: the floor then stays at the newest
/// event, so that everything is found when the delivery resumes. A longer silence is a quiet group.
const STALL_SECONDS_MAX: u32 = 6 * 3_600;

/// Far behind, a scan covers this much, so that a crash during a long catching up repeats an hour, not a week.
const STEP_SECONDS: u32 = 3_600;

/// How far a fast scan reads back behind the last scan.
const FAST_OVERLAP_SECONDS: u32 = 120;

/// Ids remembered for one group (about 24 bytes each, so 48 MB). Beyond it the oldest go: their events are
/// handed over again, and counted once further in.
const SEEN_MAX: usize = 2_000_000;

/// How far back an audit looks.
const AUDIT_SECONDS: u32 = 24 * 3_600;

/// Between two pages of an audit: it is in no hurry, and the requests are everybody's.
const AUDIT_PAGE_SECONDS: u32 = 10;

/// Lengths of time that rule the scans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) overlap: Span,
    pub(super) poll: Span,
    pub(super) reconcile: Span,
    pub(super) audit: Span,
    /// Ids that are kept for audits. With more events in a day, an audit looks less far back.
    pub(super) audit_ids_max: usize,
}

/// An audit's page that was due for so long comes before the next fast scan.
const AUDIT_PATIENCE_SECONDS: u32 = 60;

/// One log group.
#[derive(Debug)]
pub(super) struct LogGroup {
    windows: Windows,
    floor: Timestamp,
    /// Up to where the last complete scan looked.
    reach: Timestamp,
    /// Time in milliseconds and hashed id of every event handed over since `known_from`.
    seen: BTreeSet<(i64, u64)>,
    /// What happened before may have been handed over and forgotten.
    known_from: Timestamp,
    scan: Option<Scan>,
    audit: Option<Scan>,
    /// What was asked last is a page of the audit.
    auditing: bool,
    full_due: Timestamp,
    fast_due: Timestamp,
    audit_due: Timestamp,
    /// A full scan was completed since this start: before that, everything is news and nothing is late.
    settled: bool,
}

/// A scan in progress.
#[derive(Debug)]
struct Scan {
    width: Width,
    began: Timestamp,
    /// When its last page was asked for.
    asked: Timestamp,
    start: Timestamp,
    end: Timestamp,
    /// Where the next page begins; none is the first.
    token: Option<String>,
    newest: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// The whole overlap; moves the floor.
    Full,
    /// The newest events only, for speed.
    Fast,
    /// The day behind the overlap.
    Audit,
}

/// One page to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) token: Option<String>,
}

/// One page as it came.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    /// Where the next page begins; none ends the scan. A page may be empty and still have a next.
    pub(super) token: Option<String>,
}

/// One event of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) time: Timestamp,
    /// When CloudWatch took it in.
    pub(super) arrived: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Events not handed over before.
    pub(super) events: Vec<Event>,
    /// The floor before this page.
    pub(super) before: Timestamp,
    /// The floor that covers them and everything handed over before.
    pub(super) floor: Timestamp,
    /// Whether the scan ended with this page. An audit does not count.
    pub(super) complete: bool,
    /// Events that were handed over before.
    pub(super) repeats: u64,
    /// How late those came that an earlier scan should have shown.
    pub(super) late: Vec<Span>,
    /// Something came later than the overlap is long.
    pub(super) missed: bool,
}

impl Found {
    /// Whether the floor moved.
    pub(super) fn moved(&self) -> bool {
        self.floor > self.before
    }
}

impl LogGroup {
    /// A group whose next scan reads from `floor - overlap`.
    pub(super) fn resume(windows: Windows, floor: Timestamp, now: Timestamp) -> Self {
        Self {
            windows,
            floor,
            reach: floor,
            seen: BTreeSet::new(),
            known_from: floor.minus(windows.overlap),
            scan: None,
            audit: None,
            auditing: false,
            full_due: now,
            fast_due: now,
            audit_due: now.plus(windows.audit),
            settled: false,
        }
    }

    /// A group never read before, from `start` on.
    pub(super) fn begin(windows: Windows, start: Timestamp, now: Timestamp) -> Self {
        Self::resume(windows, start.plus(windows.overlap), now)
    }

    /// When there is something to ask; a scan in progress is always due.
    pub(super) fn due(&self) -> Timestamp {
        match self.scan {
            Some(_) => Timestamp::default(),
            None => self.full_due.min(self.fast_due).min(self.audit_due),
        }
    }

    /// Where a restart reads from, less the overlap.
    pub(super) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Up to where it was read.
    pub(super) fn reach(&self) -> Timestamp {
        self.reach
    }

    /// The next page to ask for. Asked again before an answer, it says the same.
    pub(super) fn ask(&mut self, now: Timestamp) -> Ask {
        // Where hints or pace leave no moment for it, an audit that has waited takes one from the fast scans.
        let has_waited = now >= self.audit_due.plus(Span::seconds(AUDIT_PATIENCE_SECONDS));
        let is_idle = now < self.full_due.min(self.fast_due);
        self.auditing = self.scan.is_none() && now >= self.audit_due && now < self.full_due && (is_idle || has_waited);
        let slot = if self.auditing { self.audit.take() } else { self.scan.take() };
        let scan = slot.unwrap_or_else(|| self.plan(now));
        let scan = Scan { asked: now, ..scan };
        let ask = Ask { start: scan.start, end: scan.end, token: scan.token.clone() };
        *self.slot() = Some(scan);
        ask
    }

    /// The scan that was asked for last.
    fn slot(&mut self) -> &mut Option<Scan> {
        if self.auditing { &mut self.audit } else { &mut self.scan }
    }

    /// Takes in the answer to the last [`LogGroup::ask`].
    pub(super) fn take(&mut self, page: Page) -> Found {
        let newest = page.events.iter().map(|event| event.time).max();
        let mut events = page.events;
        let all = events.len();
        events.retain(|event| self.seen.insert((event.time.millis(), digest(&event.id))));
        while self.seen.len() > SEEN_MAX {
            self.forget_oldest();
        }
        let repeats = (all - events.len()) as u64;
        let before = self.floor;
        let Some(mut scan) = self.slot().take() else {
            return Found { events, before, floor: before, complete: false, repeats, late: Vec::new(), missed: false };
        };
        let should_have_been_seen = |event: &&Event| self.settled && event.time <= self.reach;
        let late: Vec<Span> =
            events.iter().filter(should_have_been_seen).map(|event| scan.asked.since(event.time)).collect();
        let missed = self.auditing && !events.is_empty();
        scan.newest = scan.newest.max(newest.unwrap_or(scan.newest));
        scan.token = page.token;
        let over = scan.token.is_none();
        let asked = scan.asked;
        if over {
            self.finish(&scan)
        } else {
            *self.slot() = Some(scan)
        }
        if self.auditing && !over {
            self.audit_due = asked.plus(Span::seconds(AUDIT_PAGE_SECONDS));
        }
        Found { events, before, floor: self.floor, complete: over && !self.auditing, repeats, late, missed }
    }

    /// The clock was put back to `now`: what was due at a moment that it has left is due at once.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        (self.full_due, self.fast_due) = (now, now);
        self.known_from = self.known_from.min(now);
        self.audit_due = self.audit_due.min(now.plus(self.windows.audit));
    }

    /// Something came, somebody said: a look at the newest events is due at once.
    pub(super) fn hint(&mut self, now: Timestamp) {
        self.fast_due = self.fast_due.min(now);
    }

    /// How many ids it may keep for audits from now on.
    pub(super) fn share_audit_ids(&mut self, most: usize) {
        self.windows.audit_ids_max = most;
    }

    /// The service no longer knows the page token: the scan begins again, over the same range.
    pub(super) fn restart(&mut self) {
        if let Some(scan) = self.slot() {
            scan.token = None;
        }
    }

    fn plan(&self, now: Timestamp) -> Scan {
        let width = match now {
            _ if self.auditing => Width::Audit,
            now if now >= self.full_due => Width::Full,
            _ => Width::Fast,
        };
        // A clock that was ahead may have left a floor that lies in the future: what is here now is read all the same.
        let bottom = self.floor.min(now).minus(self.windows.overlap);
        let (start, end) = match width {
            Width::Full => {
                let step = self.floor.plus(Span::seconds(STEP_SECONDS));
                let behind = step < now.minus(Span::seconds(STALL_SECONDS_MAX));
                (bottom, if behind { step } else { now })
            }
            Width::Fast => (self.reach.min(now).minus(Span::seconds(FAST_OVERLAP_SECONDS)).max(bottom), now),
            Width::Audit => (self.known_from.max(now.minus(Span::seconds(AUDIT_SECONDS))), bottom),
        };
        Scan { width, began: now, asked: now, start, end: end.max(start), token: None, newest: start }
    }

    fn finish(&mut self, scan: &Scan) {
        if scan.width == Width::Audit {
            self.audit_due = scan.began.plus(self.windows.audit);
            return;
        }
        self.reach = self.reach.max(scan.end);
        self.fast_due = scan.began.plus(self.windows.poll);
        if scan.width == Width::Fast {
            return;
        }
        self.settled = true;
        let quiet = scan.end.min(scan.began.minus(Span::seconds(STALL_SECONDS_MAX)));
        self.floor = self.floor.max(scan.newest.min(scan.end)).max(quiet);
        let catching_up = scan.end < scan.began;
        self.full_due = if catching_up { scan.began } else { scan.began.plus(self.windows.reconcile) };
        self.forget(scan.began);
    }

    /// Forgets ids that nobody will ask for again.
    fn forget(&mut self, now: Timestamp) {
        let bottom = self.floor.minus(self.windows.overlap);
        let oldest = bottom.min(now.minus(Span::seconds(AUDIT_SECONDS)));
        self.seen = self.seen.split_off(&(oldest.millis(), 0));
        self.known_from = self.known_from.max(oldest);
        while self.seen.len() > self.windows.audit_ids_max
            && self.seen.first().is_some_and(|(time_ms, _)| *time_ms < bottom.millis())
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((time_ms, _)) = self.seen.pop_first() {
            self.known_from = self.known_from.max(Timestamp::from_millis(time_ms + 1));
        }
    }
}

fn digest(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK_MINUTES: i64 = 7 * 24 * 60;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn windows() -> Windows {
        Windows {
            overlap: Span::seconds(600),
            poll: Span::seconds(5),
            reconcile: Span::seconds(300),
            audit: Span::seconds(86_400),
            audit_ids_max: 0,
        }
    }

    /// A group that was read up to minute 1000 and is asked for the first time at minute 1010.
    fn group() -> LogGroup {
        LogGroup::resume(windows(), minute(1_000), minute(1_010))
    }

    fn event(id: &str, at: Timestamp) -> Event {
        Event { id: id.to_owned(), time: at, arrived: None, body: Vec::new() }
    }

    fn page(events: &[(&str, i64)], token: Option<&str>) -> Page {
        let events = events.iter().map(|(id, at)| event(id, minute(*at))).collect();
        Page { events, token: token.map(str::to_owned) }
    }

    fn ids(found: &Found) -> Vec<&str> {
        found.events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn a_scan_reads_from_the_floor_less_the_overlap_to_now() {
        let ask = group().ask(minute(1_010));
        assert_eq!(ask, Ask { start: minute(990), end: minute(1_010), token: None });
    }

    #[test]
    fn the_floor_moves_only_with_the_last_page_and_only_to_the_newest_event() {
        let mut group = group();
        group.ask(minute(1_010));
        let first = group.take(page(&[("a", 1_001), ("b", 1_004)], Some("next")));
        assert_eq!((ids(&first), first.floor, first.complete), (vec!["a", "b"], minute(1_000), false));
        let empty = group.take(page(&[], Some("more")));
        assert_eq!((empty.floor, empty.moved(), empty.complete), (minute(1_000), false, false));
        assert_eq!(group.ask(minute(1_011)).token.as_deref(), Some("more"));
        let last = group.take(page(&[("c", 1_003)], None));
        assert_eq!((ids(&last), last.floor, last.moved(), last.complete), (vec!["c"], minute(1_004), true, true));
    }

    #[test]
    fn an_event_is_handed_over_once_over_pages_scans_and_restarts_of_a_scan() {
        let mut group = group();
        group.ask(minute(1_010));
        assert_eq!(ids(&group.take(page(&[("a", 1_001), ("b", 1_001)], Some("next")))), ["a", "b"]);
        group.restart();
        assert_eq!(group.ask(minute(1_012)), Ask { start: minute(990), end: minute(1_010), token: None });
        assert_eq!(ids(&group.take(page(&[("b", 1_001), ("a", 1_001), ("c", 1_001)], None))), ["c"]);
        group.ask(minute(1_013));
        assert_eq!(ids(&group.take(page(&[("a", 1_001), ("b", 1_001), ("c", 1_001), ("d", 1_012)], None))), ["d"]);
    }

    #[test]
    fn a_fast_scan_reads_little_and_leaves_the_floor_alone() {
        let mut group = group();
        group.ask(minute(1_010));
        group.take(page(&[("a", 1_009)], None));
        assert_eq!(group.due(), minute(1_010).plus(Span::seconds(5)));
        assert_eq!(group.ask(minute(1_011)).start, minute(1_008));
        let found = group.take(page(&[("b", 1_010)], None));
        assert_eq!((found.floor, found.moved()), (minute(1_009), false));
        assert_eq!(group.ask(minute(1_012)).start, minute(1_009));
        group.take(page(&[], None));
        assert_eq!(group.ask(minute(1_015)).start, minute(999));
    }

    #[test]
    fn hints_without_end_leave_a_moment_for_the_audit() {
        let mut group = group();
        let mut audited = 0;
        // A day and a half of hints each second, with events that are ever newer.
        let start = minute(1_010);
        for second in (0..36 * 3_600).step_by(10) {
            let now = start.plus(Span::seconds(second));
            group.hint(now);
            group.ask(now);
            audited += i32::from(group.auditing);
            group.take(Page { events: vec![event(&second.to_string(), now)], token: None });
        }
        assert!(audited > 0);
    }

    #[test]
    fn a_floor_that_a_clock_ahead_has_left_in_the_future_hides_nothing() {
        let mut group = LogGroup::resume(windows(), minute(5_000), minute(1_010));
        let ask = group.ask(minute(1_010));
        assert_eq!((ask.start, ask.end), (minute(1_000), minute(1_010)));
    }

    #[test]
    fn a_delivery_that_stalls_as_a_whole_loses_nothing_for_six_hours() {
        let mut group = group();
        for now in [1_010, 1_100, 1_300] {
            group.ask(minute(now));
            assert!(!group.take(page(&[], None)).moved());
        }
        assert_eq!(group.ask(minute(1_350)).start, minute(990));
        assert_eq!(ids(&group.take(page(&[("late", 1_001)], None))), ["late"]);
    }

    #[test]
    fn a_group_quiet_for_longer_is_followed_at_that_distance() {
        let mut group = group();
        group.ask(minute(1_370));
        assert_eq!(group.take(page(&[], None)).floor, minute(1_010));
    }

    #[test]
    fn a_week_behind_is_caught_up_in_steps_that_each_move_the_floor() {
        let now = minute(1_000 + WEEK_MINUTES);
        let mut group = LogGroup::begin(windows(), minute(1_000), now);
        let mut steps = 0;
        loop {
            let ask = group.ask(now);
            assert!(group.take(page(&[], None)).moved(), "{ask:?}");
            steps += 1;
            if ask.end == now {
                break;
            }
            assert_eq!(group.due(), now);
        }
        assert_eq!((steps, group.floor), (7 * 24 - 6, now.minus(Span::seconds(STALL_SECONDS_MAX))));
    }

    #[test]
    fn ids_are_kept_as_long_as_a_scan_may_read_them_and_no_longer() {
        let mut group = group();
        group.ask(minute(1_010));
        group.take(page(&[("old", 991), ("edge", 998), ("new", 1_008)], None));
        assert_eq!(group.seen.len(), 2);
        assert_eq!(group.ask(minute(1_020)).start, minute(998));
        assert_eq!(ids(&group.take(page(&[("edge", 998), ("new", 1_008)], None))), Vec::<&str>::new());
    }

    #[test]
    fn the_newest_event_counts_even_if_a_fast_scan_found_it_first() {
        let mut group = group();
        group.ask(minute(1_010));
        group.take(page(&[], None));
        group.ask(minute(1_012));
        group.take(page(&[("a", 1_011)], None));
        group.ask(minute(1_015));
        assert_eq!(group.take(page(&[("a", 1_011)], None)).floor, minute(1_011));
    }

    /// Reads to `minute` as a full scan does.
    fn scan(group: &mut LogGroup, now: i64, events: &[(&str, i64)]) -> Found {
        group.full_due = group.full_due.min(minute(now));
        group.ask(minute(now));
        group.take(page(events, None))
    }

    #[test]
    fn an_audit_finds_what_came_later_than_the_overlap_and_says_how_late() {
        let windows = Windows { audit: Span::seconds(3_600), audit_ids_max: 1_000, ..windows() };
        let mut group = LogGroup::resume(windows, minute(1_000), minute(1_010));
        assert_eq!(scan(&mut group, 1_010, &[("a", 1_001), ("b", 1_009)]).late, []);
        scan(&mut group, 1_069, &[("c", 1_068)]);
        let ask = group.ask(minute(1_069).plus(Span::seconds(59)));
        assert_eq!((ask.start, group.auditing), (minute(1_067), false), "the newest go first");
        group.take(page(&[("c", 1_068)], None));
        // The hour of the audit; the next fast scan is not due yet.
        group.fast_due = minute(1_080);
        group.full_due = minute(1_080);
        assert_eq!(group.due(), minute(1_070));
        let ask = group.ask(minute(1_070));
        assert_eq!(
            (ask.start, ask.end),
            (minute(990), minute(1_058)),
            "what this life knows, up to where full scans look"
        );
        let first = group.take(page(&[("a", 1_001), ("late", 1_002)], Some("more")));
        assert_eq!((ids(&first), first.repeats, first.missed, first.complete), (vec!["late"], 1, true, false));
        assert_eq!(first.late, [Span::seconds(68 * 60)]);
        assert_eq!(group.due(), minute(1_070).plus(Span::seconds(10)), "a page now and then");
        assert_eq!(group.ask(minute(1_071)).token.as_deref(), Some("more"));
        let last = group.take(page(&[("b", 1_009)], None));
        assert_eq!((ids(&last).len(), last.missed, last.moved()), (0, false, false));
        assert_eq!(group.due(), minute(1_080));
    }

    #[test]
    fn an_audit_looks_at_nothing_that_may_have_been_handed_over_and_forgotten() {
        let windows = Windows { audit: Span::seconds(60), audit_ids_max: 2, ..windows() };
        let mut group = LogGroup::resume(windows, minute(1_000), minute(1_010));
        scan(&mut group, 1_010, &[("a", 991), ("b", 992), ("c", 993), ("d", 1_009)]);
        assert_eq!(group.seen.len(), 2);
        (group.fast_due, group.full_due) = (minute(1_080), minute(1_080));
        assert_eq!(group.ask(minute(1_011)).start, minute(992).plus(Span::from_micros(1_000)));
    }

    #[test]
    fn an_event_that_a_scan_should_have_shown_is_late_and_one_of_a_first_scan_is_not() {
        let mut group = group();
        assert_eq!(scan(&mut group, 1_010, &[("a", 1_001)]).late, []);
        let found = scan(&mut group, 1_015, &[("a", 1_001), ("b", 1_005), ("c", 1_014)]);
        assert_eq!((found.late, found.repeats, found.missed), (vec![Span::seconds(600)], 1, false));
    }

    #[test]
    fn a_clock_that_went_back_asks_for_nothing_rather_than_for_a_range_upside_down() {
        let mut group = LogGroup::resume(windows(), minute(1_000), minute(900));
        let ask = group.ask(minute(900));
        assert!(ask.start <= ask.end);
    }
}
