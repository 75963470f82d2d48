use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::brief::{Brief, Halves};
use super::super::shape::Counted;
use super::super::{BILLIONTHS, Shape, Sighting, decimal};
use super::*;
use crate::alert::Scene;
use crate::event::Kind;
use crate::rule::{Formula, Threshold};

/// Those of a stream of one partition, which nobody waits for.
const BORDERS: Borders = Borders {
    watermark: Timestamp::EARLIEST,
    slowest: Timestamp::LATEST,
    lateness: Span::seconds(600),
    delay: Span::seconds(600),
};

fn shape(counted: Counted, at_least: i128) -> Shape {
    let minute = Span::seconds(60);
    Shape {
        counted,
        window: minute,
        window_text: minute.to_string(),
        at_least,
        waits: false,
        threshold: Threshold { asks: Vec::new() },
        quiet: minute,
        key: Vec::new(),
        bases: Vec::new(),
        learning: None,
        chained: false,
        reading: 0,
        asked: 0,
    }
}

fn values() -> Counted {
    Counted::Values("value".to_owned())
}

/// One key, and what people were told of it.
struct Bench {
    shape: Shape,
    window: Brief<Halves>,
    scratch: Lasting,
    evidence: Evidence,
}

/// An event as (second, id, value).
type Event<'a> = (i64, &'a str, u64);

/// An episode as (crossed second, events, peak), whatever was told on the way.
type Summary = (i64, u64, i128);

/// A ripple with the episode that it speaks of.
#[derive(Debug, PartialEq)]
enum Told {
    Tell(Summary),
    Note(Summary),
    Gone(Summary, Option<Summary>),
}

fn summary(episode: &Episode) -> Summary {
    (episode.crossed.micros() / 1_000_000, episode.events_total, episode.peak)
}

impl Bench {
    fn new(counted: Counted, at_least: i128) -> Self {
        let scratch = Lasting::new(Levels::new(&counted));
        let shape = shape(counted, at_least);
        Self { shape, window: Brief::default(), scratch, evidence: Evidence::default() }
    }

    fn try_insert(&mut self, (second, id, value): Event<'_>) -> Result<Vec<Told>, TooLate> {
        let uid = Uid { origin: String::new(), id: id.to_owned() };
        let time = Timestamp::from_micros(second * 1_000_000);
        let sighting = Sighting {
            uid: uid.clone(),
            time,
            clamped: false,
            kind: Kind::Json,
            scene: Scene::default(),
            findings: Vec::new(),
        };
        let handle = self.evidence.keep(&sighting);
        let arrival = Arrival { time, uid: &uid, evidence: handle, marks: &[value], values: &[], group: None };
        let mut ripples = Vec::new();
        let Self { shape, window, scratch, evidence } = self;
        window.insert(&arrival, Asked { shape, borders: BORDERS }, scratch, evidence, &mut ripples)?;
        let episodes = window.window(scratch).episodes();
        let told = |ripple| match ripple {
            Ripple::Reopened(_) => None,
            Ripple::Tell(place) => Some(Told::Tell(summary(&episodes[place]))),
            Ripple::Note(place) => Some(Told::Note(summary(&episodes[place]))),
            Ripple::Moved(place, _) => Some(Told::Tell(summary(&episodes[place]))),
            Ripple::Gone(old, heir) => Some(Told::Gone(summary(&old), heir.map(|place| summary(&episodes[place])))),
        };
        Ok(ripples.into_iter().filter_map(told).collect())
    }

    fn insert(&mut self, event: Event<'_>) -> Vec<Told> {
        self.try_insert(event).unwrap()
    }

    fn restart(&mut self) {
        self.window = postcard::from_bytes(&postcard::to_stdvec(&self.window).unwrap()).unwrap();
        self.evidence = postcard::from_bytes(&postcard::to_stdvec(&self.evidence).unwrap()).unwrap();
    }
}

/// What stands at the end.
fn standing(counted: Counted, at_least: i128, events: &[Event<'_>], restart_at: usize) -> Vec<Summary> {
    let mut bench = Bench::new(counted, at_least);
    let mut standing: Vec<Summary> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        if place == restart_at {
            bench.restart();
        }
        let cell = |found: &Summary| found.0.div_euclid(60);
        for told in bench.insert(*event) {
            let (Told::Tell(of) | Told::Note(of) | Told::Gone(of, _)) = &told;
            standing.retain(|other| cell(other) != cell(of));
            if let Told::Tell(of) | Told::Note(of) = told {
                standing.push(of);
            }
        }
    }
    standing.sort_unstable();
    standing
}

/// What is measured of the events of one window, in the plainest way.
fn measure(counted: &Counted, inside: &[Event<'_>]) -> i128 {
    let values: BTreeSet<u64> = inside.iter().map(|(.., value)| *value).collect();
    let has = |value: u64| values.contains(&value);
    match counted {
        Counted::Moments => 1,
        Counted::Events => inside.len() as i128,
        Counted::Values(_) | Counted::Rules(None) => values.len() as i128,
        Counted::Sum(_) => inside.iter().map(|(.., mark)| decimal::unpacked(*mark)).sum(),
        Counted::Rules(Some(_)) => {
            if has(0) && (has(1) || has(2)) {
                values.len() as i128
            } else {
                0
            }
        }
        Counted::Sequence => (0..64_u64)
            .filter(|rules| {
                // Every choice of rules, one after the other, each as early as can be.
                let mut after = i64::MIN;
                (0..6).filter(|rule| rules >> rule & 1 == 1).all(|rule| {
                    let next = inside.iter().filter(|(time, _, value)| *value == rule && *time >= after);
                    next.map(|(time, ..)| *time).min().inspect(|time| after = *time).is_some()
                })
            })
            .map(|rules| i128::from(rules.count_ones()))
            .max()
            .unwrap_or_default(),
        Counted::Unusual | Counted::Average(_) | Counted::Percentile(..) => unreachable!("no levels"),
    }
}

/// The same, by a look back over everything at every moment.
fn naive(counted: &Counted, at_least: i128, events: &[Event<'_>]) -> Vec<Summary> {
    let mut sorted = events.to_vec();
    sorted.sort_unstable();
    let level = |from: i64, until: i64| {
        let inside: Vec<_> = sorted.iter().filter(|(time, ..)| *time > from && *time <= until).copied().collect();
        measure(counted, &inside)
    };
    struct Found {
        summary: Summary,
        held: i64,
        hold: i64,
        members: BTreeSet<usize>,
    }
    let mut found: Vec<Found> = Vec::new();
    let mut moments: Vec<i64> = sorted.iter().map(|(time, ..)| *time).collect();
    moments.dedup();
    for now in moments {
        let level_now = level(now - 60, now);
        if level_now < at_least {
            if let Some(last) = found.last_mut() {
                last.hold = last.hold.min(now);
            }
            continue;
        }
        let hold = match counted {
            Counted::Moments => now,
            _ => (now + 1..=now + 60).find(|&then| level(then - 60, now) < at_least).unwrap_or(now + 60),
        };
        let members = (0..sorted.len()).filter(|&place| sorted[place].0 > now - 60 && sorted[place].0 <= now);
        match found.last_mut() {
            Some(last)
                if now <= last.held + 60
                    || now <= last.hold + 60
                    || now.div_euclid(60) == last.summary.0.div_euclid(60) =>
            {
                last.members.extend(members);
                (last.held, last.hold) = (now, hold);
                last.summary = (last.summary.0, last.members.len() as u64, last.summary.2.max(level_now));
            }
            _ => {
                let members: BTreeSet<usize> = members.collect();
                found.push(Found { summary: (now, members.len() as u64, level_now), held: now, hold, members });
            }
        }
    }
    found.into_iter().map(|found| found.summary).collect()
}

/// Every way of counting that has levels; values are numbers of rules, and sums go down as well as up.
fn ways() -> impl Strategy<Value = (Counted, i128)> {
    let formula = Formula::And(vec![Formula::Base(0), Formula::Or(vec![Formula::Base(1), Formula::Base(2)])]);
    prop_oneof![
        (1i128..6).prop_map(|least| (Counted::Events, least)),
        (1i128..6).prop_map(|least| (values(), least)),
        (-3i128..9).prop_map(|least| (Counted::Sum("value".to_owned()), least * BILLIONTHS)),
        (1i128..6).prop_map(|least| (Counted::Rules(None), least)),
        Just((Counted::Rules(Some(formula)), 1)),
        (1i128..6).prop_map(|least| (Counted::Sequence, least)),
        Just((Counted::Moments, 1)),
    ]
}

/// What an event of this value brings.
fn mark(counted: &Counted, value: u64) -> u64 {
    match counted {
        Counted::Sum(_) => decimal::packed(&(value.cast_signed() - 2).to_string()).unwrap(),
        _ => value,
    }
}

#[test]
fn the_third_event_in_a_minute_starts_one_episode_that_grows() {
    let events = [(0, "a", 0), (10, "b", 0), (20, "c", 0), (30, "d", 0), (40, "e", 0)];
    assert_eq!(standing(Counted::Events, 3, &events, 9), [(20, 5, 5)]);
}

#[test]
fn events_spread_wider_than_the_window_start_none() {
    assert_eq!(standing(Counted::Events, 3, &[(0, "a", 0), (31, "b", 0), (62, "c", 0), (93, "d", 0)], 9), []);
}

#[test]
fn an_event_exactly_a_window_old_no_longer_counts() {
    assert_eq!(standing(Counted::Events, 2, &[(0, "a", 0), (60, "b", 0)], 9), []);
}

#[test]
fn the_same_value_again_is_not_another_value() {
    let events = [(0, "a", 1), (1, "b", 1), (2, "c", 2), (3, "d", 3)];
    assert_eq!(standing(values(), 3, &events, 9), [(3, 4, 3)]);
}

#[test]
fn after_the_quiet_time_a_new_episode_starts() {
    let events = [(0, "a", 0), (1, "b", 0), (2, "c", 0), (300, "d", 0), (301, "e", 0), (302, "f", 0)];
    assert_eq!(standing(Counted::Events, 3, &events, 9), [(2, 3, 3), (302, 3, 3)]);
}

#[test]
fn a_late_event_moves_the_crossing_and_supersedes() {
    let mut bench = Bench::new(Counted::Events, 2);
    assert_eq!(bench.insert((50, "b", 0)), []);
    assert_eq!(bench.insert((70, "c", 0)), [Told::Tell((70, 2, 2))]);
    assert_eq!(bench.insert((40, "a", 0)), [Told::Tell((50, 3, 3)), Told::Gone((70, 2, 2), Some((50, 3, 3)))]);
}

#[test]
fn an_episode_that_a_late_event_starts_is_told_for_the_first_time() {
    let mut bench = Bench::new(Counted::Events, 5);
    for (second, id) in [(0, "a"), (10, "b"), (20, "c"), (40, "e")] {
        assert_eq!(bench.insert((second, id, 0)), []);
    }
    assert_eq!(bench.insert((30, "d", 0)), [Told::Tell((40, 5, 5))]);
    assert_eq!(bench.window.window(&bench.scratch).episodes()[0].revision, 1);
}

#[test]
fn an_event_beyond_the_lateness_is_refused() {
    let mut bench = Bench::new(Counted::Events, 2);
    bench.insert((0, "a", 0));
    bench.insert((2_000, "b", 0));
    assert_eq!(bench.try_insert((1_399, "c", 0)), Err(TooLate));
    assert_eq!(bench.insert((1_400, "d", 0)), []);
}

#[test]
fn an_event_that_is_here_already_changes_nothing() {
    let mut bench = Bench::new(values(), 1);
    for (second, id) in [(0, "a"), (1, "b"), (1, "c")] {
        bench.insert((second, id, 7));
    }
    for (second, id) in [(0, "a"), (1, "b"), (1, "c")] {
        assert_eq!(bench.insert((second, id, 7)), []);
    }
}

#[test]
fn an_event_that_makes_all_before_it_too_old_still_finds_its_own_episode() {
    let mut bench = Bench::new(Counted::Events, 1);
    for second in [0, 1_000, 9_000] {
        assert_eq!(bench.insert((second, &second.to_string(), 0)), [Told::Tell((second, 1, 1))]);
    }
}

#[test]
fn people_are_told_when_an_episode_has_doubled() {
    let mut bench = Bench::new(Counted::Events, 2);
    let told: Vec<i64> = (0..40)
        .filter(|&second| {
            let told = bench.insert((second, &format!("{second:02}"), 0));
            matches!(told[..], [Told::Tell(_)])
        })
        .map(|second| second + 1)
        .collect();
    assert_eq!(told, [2, 4, 8, 16, 32]);
    assert_eq!(bench.window.window(&bench.scratch).episodes()[0].revision, 5);
}

#[test]
fn a_key_that_was_seen_for_long_keeps_no_more_than_its_windows_need() {
    let mut bench = Bench::new(values(), 1_000);
    for second in 0..20_000 {
        bench.insert((second, &second.to_string(), second.unsigned_abs() % 7));
    }
    let kept = bench.window.window(&bench.scratch).track.times.len();
    assert!((660..1_400).contains(&kept), "{kept} events for a minute and ten of lateness");
}

#[test]
fn the_first_events_of_a_long_episode_are_still_named() {
    let mut bench = Bench::new(Counted::Events, 1);
    for second in 0..5_000 {
        bench.insert((second, &second.to_string(), 0));
    }
    let account = bench.window.window(&bench.scratch).episodes()[0].account(&bench.evidence);
    let first: Vec<String> = (0..50).map(|second| second.to_string()).collect();
    assert_eq!((&account.sample[..], account.events_total), (&first[..], 5_000));
}

#[test]
fn more_events_than_a_window_holds_cost_the_oldest_and_no_false_count() {
    let mut bench = Bench::new(values(), COUNT_MAX as i128);
    let mut last = Vec::new();
    for number in 0..EVENTS_MAX as u64 + 10 {
        let second = 1 + (number / 4_000).cast_signed();
        last = bench.insert((second, &format!("{number:07}"), number % 50_000));
    }
    assert_eq!(last, [], "there are 50,000 values and no more");
}

proptest! {
    #[test]
    fn episodes_are_those_of_a_plain_evaluation_in_any_order_and_over_restarts(
        drawn in proptest::collection::vec((0i64..500, 0u64..6, any::<u8>()), 1..70),
        (counted, at_least) in ways(),
        restart_at in 0usize..70,
    ) {
        let ids: Vec<String> = (0..drawn.len()).map(|place| format!("{place:03}")).collect();
        let mut order: Vec<usize> = (0..drawn.len()).collect();
        order.sort_by_key(|&place| drawn[place].2);
        let event = |&place: &usize| (drawn[place].0, &*ids[place], mark(&counted, drawn[place].1));
        let events: Vec<Event<'_>> = order.iter().map(event).collect();
        let expected = naive(&counted, at_least, &events);
        prop_assert_eq!(&standing(counted.clone(), at_least, &events, restart_at), &expected);
        let mut sorted = events.clone();
        sorted.sort_unstable();
        prop_assert_eq!(standing(counted, at_least, &sorted, restart_at), expected);
    }

    #[test]
    fn a_long_stream_that_drops_most_of_its_events_is_no_exception(
        drawn in proptest::collection::vec((0i64..40, 0u64..6, 0i64..600), 100..300),
        (counted, at_least) in ways(),
        restart_at in 0usize..300,
    ) {
        let mut second = 0;
        let mut arrivals: Vec<(i64, i64, usize)> = Vec::new();
        for (place, (step, _, held)) in drawn.iter().enumerate() {
            second += step;
            arrivals.push((second + held, second, place));
        }
        arrivals.sort_unstable();
        let ids: Vec<String> = (0..drawn.len()).map(|place| format!("{place:03}")).collect();
        let event = |&(_, second, place): &(i64, i64, usize)| (second, &*ids[place], mark(&counted, drawn[place].1));
        let events: Vec<Event<'_>> = arrivals.iter().map(event).collect();
        let expected = naive(&counted, at_least, &events);
        prop_assert_eq!(standing(counted, at_least, &events, restart_at), expected);
    }
}
