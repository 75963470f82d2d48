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
    assert_eq!((ask.start, ask.end), (minute(990), minute(1_058)), "what this life knows, up to where full scans look");
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
