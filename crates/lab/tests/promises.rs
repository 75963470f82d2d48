//! Promise 3, same in, same out: alerts are a function of the rules and of the *set* of events.
//!
//! Two laws. However a stream arrives (in any order within the lateness, with repeats, in batches of any
//! size, with crashes between them), the final alerts are byte for byte those of the sorted stream without
//! repeats. And those say what a plain evaluation, written here without looking at the engine, says.

#[path = "promises/naive.rs"]
mod naive;
#[path = "promises/world.rs"]
mod world;

use std::collections::BTreeSet;

use engine::detect::Caps;
use engine::normalise::Format;
use engine::time::Span;
use lab::chance::Chance;
use lab::replay::{Course, Played, Record, arrivals, replay};
use proptest::prelude::*;

use world::{Happening, LATENESS, RULE_SET, happenings};

/// The stream in time order, each event once, in one batch.
fn reference(happenings: &[Happening]) -> Played {
    let mut sorted = happenings.to_vec();
    sorted.sort_by_key(|happening| (happening.second, happening.number));
    play(&sorted.iter().map(Happening::record).collect::<Vec<_>>(), &course())
}

fn play(records: &[Record], course: &Course) -> Played {
    let played = replay(&RULE_SET, Format::Auto, records, course);
    assert_eq!((played.rejects.len(), played.late, played.evicted), (0, 0, 0));
    played
}

/// The arithmetic of the alerts, in an order that ids have no part in.
fn found(played: &Played) -> Vec<naive::Found> {
    let mut found: Vec<naive::Found> = played.alerts.iter().map(naive::Found::of).collect();
    found.sort();
    found
}

/// The first alerts of both that are not the same bytes.
fn differing(left: &Played, right: &Played) -> Vec<(String, String)> {
    let (mut left, mut right) = (left.canonical(), right.canonical());
    let longer = left.len().max(right.len());
    left.resize(longer, "nothing".to_owned());
    right.resize(longer, "nothing".to_owned());
    left.into_iter().zip(right).filter(|(left, right)| left != right).take(2).collect()
}

fn course() -> Course {
    Course { caps: Caps { lateness: LATENESS, ..Caps::default() }, ..Course::default() }
}

/// The same stream as the world might hand it in.
fn disturbed(happenings: &[Happening], seed: u64, lateness: Span) -> (Vec<Record>, Course) {
    let mut chance = Chance::new(seed);
    let mut sent = happenings.to_vec();
    for happening in happenings {
        while chance.below(4) == 0 {
            sent.push(happening.clone());
        }
    }
    let times: Vec<_> = sent.iter().map(Happening::time).collect();
    let order = arrivals(&times, lateness, &mut chance);
    let records: Vec<Record> = order.into_iter().map(|place| sent[place].record()).collect();

    let longest = 1 + chance.below(12);
    let batches: Vec<usize> =
        records.iter().map(|_| usize::try_from(chance.below(longest + 1)).expect("a small number")).collect();
    let mut some = |one_in| (0..batches.len()).filter(|_| chance.below(one_in) == 0).collect::<BTreeSet<usize>>();
    let (snapshots, crashes) = (some(5), some(3));
    (records, Course { batches, snapshots, crashes, ..course() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_repeats_nor_batches_nor_crashes_change_the_alerts(
        happenings in happenings(),
        seed: u64,
        held in 0u32..=600,
    ) {
        let (records, course) = disturbed(&happenings, seed, Span::seconds(held).min(LATENESS));
        let differing = differing(&play(&records, &course), &reference(&happenings));
        prop_assert!(differing.is_empty(), "{differing:#?}");
    }

    #[test]
    fn the_alerts_are_those_of_a_plain_evaluation(happenings in happenings()) {
        prop_assert_eq!(found(&reference(&happenings)), naive::evaluate(&happenings));
    }
}

#[test]
fn a_long_stream_that_freezes_most_of_its_windows_is_no_exception() {
    for seed in 0..3 {
        let happenings = world::long(2_000, seed);
        let (records, course) = disturbed(&happenings, seed, LATENESS);
        let reference = reference(&happenings);
        assert!(reference.alerts.len() > 50, "{} alerts prove little", reference.alerts.len());
        let differing = differing(&play(&records, &course), &reference);
        assert!(differing.is_empty(), "{differing:#?}");
        assert_eq!(found(&reference), naive::evaluate(&happenings));
    }
}
