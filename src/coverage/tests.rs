use proptest::collection::vec;
use proptest::prelude::*;

use super::listing::Listed;
use super::*;

const GRACE: Span = Span::seconds(7_200);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

fn spot(account: &str, region: &str) -> Spot {
    Spot { kind: Kind::AwsCloudtrail, account: account.to_owned(), region: region.to_owned() }
}

fn expected(spots: &[Spot], is_whole: bool) -> Arc<Expected> {
    let listed = Listed { name: "team".to_owned(), silent_after: Some(Span::seconds(3_600)) };
    Arc::new(Expected { spots: spots.iter().map(|spot| (spot.clone(), listed.clone())).collect(), is_whole })
}

fn coverage(spots: &[Spot]) -> Coverage {
    let mut coverage = Coverage::open(Vec::new(), None, GRACE, at(0));
    assert_eq!(coverage.expect(&expected(spots, true), at(0)), []);
    // Or the first look a minute later would find that nobody listened.
    assert_eq!(pass(&mut coverage, 0..=0), []);
    coverage
}

/// Looks each minute; what is said, by account.
fn pass(coverage: &mut Coverage, minutes: std::ops::RangeInclusive<i64>) -> Vec<(i64, String, Became)> {
    let mut said = Vec::new();
    for minute in minutes {
        // Looks that are a minute apart are none.
        for second in 0..60_u32 {
            let turns = coverage.look(at(minute).plus(Span::seconds(second)));
            said.extend(turns.into_iter().map(|turn| (minute, turn.spot.account, turn.now)));
        }
    }
    said
}

fn bad(minute: i64, account: &str) -> (i64, String, Became) {
    (minute, account.to_owned(), Became::Bad)
}

#[test]
fn what_never_comes_and_what_stops_is_said_once_and_settled_when_it_speaks() {
    let (one, two) = (spot("one", ""), spot("two", ""));
    let mut coverage = coverage(&[one.clone(), two]);
    assert!(coverage.hear(&one, at(1)));
    assert_eq!(pass(&mut coverage, 1..=130), [bad(61, "one"), bad(120, "two")]);
    assert_eq!(coverage.counts()[&State::Silent], 1);
    coverage.hear(&spot("one", "eu-central-1"), at(131));
    assert_eq!(pass(&mut coverage, 131..=132), [(131, "one".to_owned(), Became::Speaks)]);
    assert_eq!(pass(&mut coverage, 133..=200), [bad(191, "one")], "another silence is another alert");
}

#[test]
fn each_region_that_is_named_is_waited_for_and_the_others_are_unexpected() {
    let mut coverage = coverage(&[spot("one", "a"), spot("one", "b")]);
    for region in ["a", "c"] {
        assert!(coverage.hear(&spot("one", region), at(1)));
    }
    coverage.look(at(1));
    let states: Vec<_> = coverage.cells.iter().map(|(spot, cell)| (spot.region.as_str(), cell.state)).collect();
    assert_eq!(states, [("a", State::Seen), ("b", State::Waiting), ("c", State::Unexpected)]);
}

#[test]
fn a_list_without_a_part_takes_nothing_away_and_a_whole_one_does() {
    let (one, two) = (spot("one", ""), spot("two", ""));
    let mut coverage = coverage(&[one.clone(), two]);
    pass(&mut coverage, 1..=121);
    assert_eq!(coverage.expect(&expected(std::slice::from_ref(&one), false), at(122)), []);
    let left: Vec<_> = coverage.expect(&expected(&[one], true), at(122)).into_iter().map(|turn| turn.now).collect();
    assert_eq!((left, coverage.cells.len()), (vec![Became::Left], 1));
    assert_eq!(coverage.take_written().gone, [spot("two", "")]);
}

#[test]
fn with_nothing_expected_all_that_was_is_settled_and_forgotten() {
    let mut coverage = coverage(&[spot("one", "")]);
    coverage.hear(&spot("two", ""), at(1));
    pass(&mut coverage, 1..=121);
    let turns = coverage.expect(&expected(&[], true), at(122));
    assert_eq!(turns.iter().map(|turn| turn.now).collect::<Vec<_>>(), [Became::Left]);
    assert_eq!((coverage.cells.len(), coverage.unexpected, coverage.take_written().gone.len()), (0, 0, 2));
}

#[test]
fn what_is_given_longer_after_a_start_did_not_speak() {
    let (one, two) = (spot("one", ""), spot("two", ""));
    let mut coverage = coverage(&[one.clone(), two.clone()]);
    coverage.hear(&one, at(1));
    pass(&mut coverage, 1..=121);
    let (known, looked) = (coverage.cells.into_iter().collect(), coverage.looked);
    let mut coverage = Coverage::open(known, Some(looked), Span::seconds(72_000), at(122));
    let mut longer = (*expected(&[one.clone(), two], true)).clone();
    longer.spots.values_mut().for_each(|listed| listed.silent_after = Some(Span::seconds(36_000)));
    coverage.expect(&Arc::new(longer), at(122));
    let allowed = |account: &str| (122, account.to_owned(), Became::Allowed);
    assert_eq!(pass(&mut coverage, 122..=130), [allowed("one"), allowed("two")]);
    coverage.hear(&one, at(131));
    assert_eq!(pass(&mut coverage, 131..=132), []);
}

#[test]
fn a_region_that_nobody_expects_leaves_when_any_is_expected_or_after_a_month() {
    let mut coverage = coverage(&[spot("one", "")]);
    for account in ["two", "three"] {
        coverage.hear(&spot(account, "a"), at(1));
    }
    coverage.expect(&expected(&[spot("one", ""), spot("two", "")], true), at(2));
    assert_eq!((coverage.cells.len(), coverage.unexpected), (3, 1), "three is left");
    let three = &coverage.cells[&spot("three", "a")];
    let month = 30 * 1_440;
    assert_eq!([month, month + 1].map(|minute| three.is_stale(at(minute))), [false, true]);
    assert_eq!(coverage.leave(|_, cell| cell.is_stale(at(month + 1))), []);
    assert_eq!((coverage.cells.len(), coverage.unexpected), (2, 0));
}

#[test]
fn a_subscription_in_capitals_and_a_namespace_with_its_slash_are_those_that_are_listed() {
    for (kind, listed, heard) in [(Kind::AzureActivity, "abc", "ABC"), (Kind::VaultAudit, "team", "team/")] {
        let of = |account: &str| Spot { kind, ..spot(account, "") };
        let mut coverage = coverage(&[of(listed)]);
        coverage.hear(&of(heard), at(1));
        coverage.look(at(1));
        assert_eq!(coverage.cells.values().map(|cell| cell.state).collect::<Vec<_>>(), [State::Seen], "{heard}");
    }
}

#[test]
fn names_that_nobody_expects_are_listed_up_to_a_number_and_only_of_kinds_that_somebody_does() {
    let mut coverage = coverage(&[spot("one", "")]);
    let kept = (0..2_000).filter(|number| coverage.hear(&spot(&format!("x{number}"), ""), at(1))).count();
    assert_eq!(kept, UNEXPECTED_MAX);
    assert!(coverage.hear(&spot("x1", ""), at(2)), "one that is listed is heard on");
    assert!(coverage.hear(&Spot { kind: Kind::Json, ..spot("y", "") }, at(1)));
    assert_eq!(coverage.cells.len(), UNEXPECTED_MAX + 1);
    assert!(!super::tests::coverage(&[spot("one", "")]).hear(&spot(&"long".repeat(100), ""), at(1)));
}

#[test]
fn a_time_is_written_once_a_minute_and_a_change_at_once() {
    let one = spot("one", "");
    let mut coverage = coverage(std::slice::from_ref(&one));
    assert_eq!(coverage.take_written().rows.len(), 1, "it is expected");
    let mut written = Vec::new();
    for second in 0..130_u32 {
        let now = at(1).plus(Span::seconds(second));
        coverage.hear(&one, now);
        coverage.look(now);
        written.extend((!coverage.take_written().is_empty()).then_some(second));
    }
    assert_eq!(written, [0, 60, 120], "heard and seen, and then the time alone");
}

/// One minute of a stream.
#[derive(Clone, Debug)]
enum Minute {
    Heard(usize),
    Nothing,
    /// The service is down for so many hours, killed or stopped.
    Down(u32),
}

fn minute() -> impl Strategy<Value = Minute> {
    prop_oneof![
        3 => (0_usize..3).prop_map(Minute::Heard),
        30 => Just(Minute::Nothing),
        1 => (1_u32..100).prop_map(Minute::Down),
    ]
}

/// What is said, each with the minute in which we listened, and how long nobody did.
fn play(minutes: &[Minute], downs: bool, per_minute: usize) -> Vec<(usize, Spot, State, Became)> {
    let spots = [spot("one", ""), spot("two", "a"), spot("three", "")];
    let mut now = at(0);
    let mut coverage = coverage(&spots);
    let mut said = Vec::new();
    for (number, minute) in minutes.iter().enumerate() {
        match minute {
            Minute::Heard(which) => (0..per_minute).for_each(|_| _ = coverage.hear(&spots[*which], now)),
            Minute::Nothing => {}
            Minute::Down(hours) if downs => {
                let known = coverage.cells.into_iter().collect();
                let looked = coverage.looked;
                now = now.plus(Span::seconds(hours * 3_600));
                coverage = Coverage::open(known, Some(looked), GRACE, now);
                coverage.expect(&expected(&spots, true), now);
                // It begins where it was.
                coverage.started = Timestamp::EARLIEST;
            }
            Minute::Down(_) => {}
        }
        for _ in 0..3 {
            for turn in coverage.look(now) {
                said.push((number, turn.spot, turn.told.state, turn.now));
            }
            now = now.plus(Span::seconds(20));
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_said_alternates_and_how_often_a_minute_it_is_heard_makes_no_difference(
        minutes in vec(minute(), 1..600),
    ) {
        let said = play(&minutes, false, 1);
        prop_assert_eq!(&said, &play(&minutes, false, 5));
        let mut open = BTreeSet::new();
        for (_, spot, state, became) in said {
            prop_assert!(state.is_bad());
            match became {
                Became::Bad => prop_assert!(open.insert(spot)),
                Became::Speaks => prop_assert!(open.remove(&spot)),
                Became::Allowed | Became::Left => prop_assert!(false, "nobody left or was given longer"),
            }
        }
    }

    #[test]
    fn time_in_which_nobody_listened_is_nobodys_silence(
        rounds in vec((0_usize..50, prop::option::of(1_u32..1_000)), 1..20),
    ) {
        let mut minutes = Vec::new();
        for (quiet, down) in rounds {
            minutes.extend((0..3).map(Minute::Heard));
            minutes.extend(std::iter::repeat_n(Minute::Nothing, quiet));
            minutes.extend(down.map(Minute::Down));
        }
        prop_assert_eq!(play(&minutes, true, 1), []);
    }
}
