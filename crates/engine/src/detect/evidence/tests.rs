use proptest::prelude::*;
use proptest::sample::select;

use super::segment::SORTS;
use super::*;
use crate::alert::Part;
use crate::event::ActorSort;
use crate::time::Timestamp;

fn sighting(id: &str, scene: Scene) -> Sighting {
    let uid = Uid { origin: "account".to_owned(), id: id.to_owned() };
    Sighting { uid, time: Timestamp::default(), clamped: false, kind: Kind::GithubAudit, scene, findings: Vec::new() }
}

fn scene(name: &str) -> Scene {
    let some = Some;
    let (address, failure, place) = (some("192.0.2.7"), some("Denied"), some("Berlin, DE"));
    let parts = [None, some(name), address, None, None, some(name), some("a"), None, None, failure, place];
    Scene::new(ActorSort::App, &parts)
}

#[test]
fn what_is_kept_is_read_back_even_by_the_next_run() {
    let mut evidence = Evidence::default();
    let ids = ["0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3c", "0F5C7F5E-54A0-4D4F-8F0B-9D7D0A6A1F3C", "käse", ""];
    let handles: Vec<Handle> = ids.iter().map(|id| evidence.keep(&sighting(id, scene(id)))).collect();
    let plain = evidence.keep(&sighting("x", Scene::default()));
    let evidence: Evidence = postcard::from_bytes(&postcard::to_stdvec(&evidence).unwrap()).unwrap();
    for (id, &handle) in ids.iter().zip(&handles) {
        assert_eq!(evidence.id(handle), *id);
        assert_eq!(evidence.scene(handle), (Kind::GithubAudit, scene(id)));
        assert!(evidence.is(handle, &sighting(id, Scene::default()).uid));
        assert!(!evidence.is(handle, &Uid { origin: "other".to_owned(), id: (*id).to_owned() }));
    }
    assert_eq!(evidence.scene(plain), (Kind::GithubAudit, Scene::default()));
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let text = prop_oneof![
        select(vec!["10.0.0.1", "10.0.0.300", "arn:aws:iam::1:user/a", "arn:aws:iam::1:user/ab", "käse", "kä", ""])
            .prop_map(str::to_owned),
        "[aä]{0,300}",
    ];
    let parts = proptest::collection::vec(proptest::option::of(text), Part::COUNT);
    (parts, select(SORTS.to_vec()))
        .prop_map(|(parts, sort)| Scene::new(sort, &std::array::from_fn(|place| parts[place].as_deref())))
}

proptest! {
    #[test]
    fn every_event_is_read_back_whatever_it_was_written_against(
        events in proptest::collection::vec((any_scene(), "[a-f0-9]{0,3}", select(vec!["1", "2"])), 1..30),
    ) {
        let mut evidence = Evidence::default();
        let mut kept = Vec::new();
        for (scene, id, origin) in &events {
            let uid = Uid { origin: (*origin).to_owned(), id: id.clone() };
            let sighting = Sighting { uid: uid.clone(), ..sighting("", scene.clone()) };
            kept.push((evidence.keep(&sighting), uid, scene));
        }
        for (handle, uid, scene) in kept {
            prop_assert!(evidence.is(handle, &uid));
            prop_assert_eq!(evidence.scene(handle), (Kind::GithubAudit, scene.clone()));
        }
    }
}

#[test]
fn segments_that_nobody_refers_to_are_used_again() {
    let mut evidence = Evidence::default();
    for round in 0..200_000 {
        let handle = evidence.keep(&sighting(&format!("event-{round}"), scene(&round.to_string())));
        evidence.hold(handle);
        assert_eq!(evidence.id(handle), format!("event-{round}"));
        evidence.release(handle);
    }
    assert!(evidence.bytes() < 1 << 20, "{}", evidence.bytes());
}

#[test]
fn an_event_that_is_held_stays_whatever_comes_and_goes() {
    let mut evidence = Evidence::default();
    let first = evidence.keep(&sighting("first", scene("ana")));
    evidence.hold(first);
    for round in 0..20_000 {
        let handle = evidence.keep(&sighting(&format!("event-{round}"), Scene::default()));
        evidence.hold(handle);
        evidence.release(handle);
    }
    assert_eq!((evidence.id(first), evidence.scene(first).1), ("first".to_owned(), scene("ana")));
}

#[test]
fn order_is_that_of_the_ids_as_text() {
    let mut evidence = Evidence::default();
    let ids = ["0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3c", "0f5c7f5e-54a0-4d4f-8f0b-9d7d0a6a1f3d", "1", "a"];
    for (place, id) in ids.iter().enumerate() {
        let handle = evidence.keep(&sighting(id, Scene::default()));
        for (other, against) in ids.iter().enumerate() {
            assert_eq!(evidence.is_before(handle, &sighting(against, Scene::default()).uid), place < other);
        }
    }
}
