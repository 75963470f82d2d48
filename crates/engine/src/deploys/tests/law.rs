//! Laws: order, repetition and a restart change nothing; what is kept is bounded.

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::world::*;
use crate::time::Span;

/// Runs that overlap, tokens, changes by keys of several of them, reviews and a lifted protection.
fn many() -> World {
    let mut world = World::new();
    world.usual().protection("09:08:30", "deleted").push("09:20:00", "eve", "d", json!({"forced": true}));
    world.run(run(2, "d", "09:10:30", "09:25:00")).run(RunText { attempt: 2, ..run(1, "c", "09:21:00", "09:30:00") });
    for (key, clock, later, subject) in [
        ("ASIA2", "09:12:00", "09:13:00", "repo:acme/orders:ref:refs/heads/main"),
        ("ASIA3", "09:22:00", "09:23:00", "repo:acme/orders:environment:production"),
        ("ASIA4", "09:22:00", "09:23:00", "repo:acme/orders:pull_request"),
    ] {
        world.token(clock, key, subject).code(later, "orders", session(key)).code(later, "billing", session(key));
    }
    world
        .job("09:21:30", 1, "production")
        .let_deploy("09:21:40", 1, "ben", "approved")
        .check("09:11:00", "build", "c", "success");
    let stack = json!({"userIdentity": session("ASIA2"), "requestParameters": {"stackName": "orders"}});
    world.trail("09:13:30", "cloudformation", "UpdateStack", stack);
    let mut handed = session_of("deploy", "GitHubActions", "ASIADERIVED", "2026-11-20T09:12:00Z");
    handed["invokedBy"] = "cloudformation.amazonaws.com".into();
    world.code("09:14:00", "orders-api", handed).code("09:14:00", "lone", session("ASIANOBODY"));
    world
}

fn records(world: &World, facts: impl IntoIterator<Item = Fact>, limits: Limits) -> Vec<Record> {
    let mut deploys = Deploys::new(limits);
    facts.into_iter().for_each(|fact| deploys.take(fact));
    deploys.records(&world.policy, &world.marks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn neither_order_nor_repetition_change_the_records(
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        limit in prop_oneof![Just(200_000_usize), 4_usize..12],
        kept in prop_oneof![Just(30 * 86_400_u32), 300_u32..1200],
    ) {
        let world = many();
        let limits = Limits { kept: Span::seconds(kept), facts_max: limit };
        let mut shuffled = world.facts.clone();
        for (place, other) in order.iter().enumerate() {
            let place = place % shuffled.len();
            let other = other.index(shuffled.len());
            shuffled.swap(place, other);
        }
        let repeated: Vec<Fact> = order.iter().map(|at| at.get(&world.facts).clone()).collect();
        let expected = records(&world, world.facts.clone(), limits);
        prop_assert_eq!(records(&world, shuffled.into_iter().chain(repeated), limits), expected);
    }

    #[test]
    fn what_is_settled_in_parts_ends_as_what_is_settled_at_once(at in any::<prop::sample::Index>()) {
        let world = many();
        let (first, rest) = world.facts.split_at(at.index(world.facts.len()));
        let mut deploys = Deploys::default();
        let mut told = std::collections::BTreeMap::new();
        for part in [first, rest] {
            part.iter().for_each(|fact| deploys.take(fact.clone()));
            let bytes = deploys.save().unwrap();
            deploys = Deploys::restore(&bytes).unwrap();
            told.extend(deploys.settle(&world.policy, &world.marks).into_iter().map(|record| (record.id.clone(), record)));
        }
        let expected = records(&world, world.facts.clone(), Limits::default());
        for record in expected {
            let told = told.get(&record.id).map(|told| Record { revision: 0, ..told.clone() });
            prop_assert_eq!(told, Some(record));
        }
    }
}

#[test]
fn a_state_that_was_saved_is_the_same_state() {
    let world = many();
    let mut deploys = Deploys::default();
    world.facts.iter().for_each(|fact| deploys.take(fact.clone()));
    deploys.settle(&world.policy, &world.marks);
    let bytes = deploys.save().unwrap();
    assert_eq!(Deploys::restore(&bytes).unwrap(), deploys);
    assert!(matches!(Deploys::restore(&[9]), Err(RestoreError::Version(9))));
    assert!(Deploys::restore(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn a_record_is_written_as_json_and_read_again() {
    for record in many().records() {
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

#[test]
fn what_had_to_be_let_go_is_never_held_against_a_deploy() {
    let mut world = World::new();
    world.usual();
    let limits = Limits { facts_max: 1, ..Limits::default() };
    let record = records(&world, world.facts.clone(), limits).pop().unwrap();
    assert_eq!(record.verdict, Verdict::Unknown, "{:#?}", record.findings);
}

#[test]
fn facts_leave_by_age_and_by_number() {
    let mut world = World::new();
    for minute in 10..50 {
        world.code(&format!("09:{minute}:00"), "orders", session("ASIA1"));
    }
    let mut few = Deploys::new(Limits { facts_max: 5, ..Limits::default() });
    let mut recent = Deploys::new(Limits { kept: Span::seconds(600), ..Limits::default() });
    for fact in &world.facts {
        few.take(fact.clone());
        recent.take(fact.clone());
    }
    assert_eq!((few.len(), recent.len()), (5, 11));
}
