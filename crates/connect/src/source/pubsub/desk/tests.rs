use std::collections::BTreeMap;

use bytes::Bytes;
use engine::time::{Span, Timestamp};

use super::{Desk, Held, Id, Message, Outcome, Received, Request};
use crate::source::pubsub::request::Trouble;
use crate::source::{Remedy, SourceError};

fn second(second: u32) -> Timestamp {
    Timestamp::default().plus(Span::seconds(second))
}

fn received(ids: &[(&str, &str)]) -> Vec<Received> {
    let message = |id: &str| Message { id: id.into(), body: Ok(Bytes::from_static(b"{}")) };
    ids.iter().map(|(id, ack_id)| Received { ack_id: (*ack_id).to_owned(), message: message(id) }).collect()
}

/// A desk that has pulled these, each with the id of its delivery.
fn desk(ids: &[(&str, &str)]) -> Desk {
    let mut desk = Desk::new(second(0));
    assert!(matches!(desk.plan(second(0)).requests[..], [Request::Pull(500, _)]));
    desk.took(Outcome::Pulled(Ok(received(ids)), second(0)), second(0));
    desk
}

fn handed(desk: &mut Desk) -> Vec<Id> {
    std::iter::from_fn(|| desk.message()).map(|message| message.id).collect()
}

/// What is acknowledged at this moment.
fn acknowledged(desk: &mut Desk, now: Timestamp) -> Vec<Held> {
    let acks = desk.plan(now).requests.into_iter().filter_map(|request| match request {
        Request::Acknowledge(held) => Some(held),
        Request::Pull(..) | Request::Extend(..) => None,
    });
    acks.flatten().collect()
}

fn names(held: &[Held]) -> Vec<&str> {
    held.iter().map(|held| held.ack_id.as_str()).collect()
}

fn failure(remedy: Remedy) -> SourceError {
    SourceError { doing: "acknowledge".to_owned(), remedy, source: None }
}

#[test]
fn a_message_is_acknowledged_when_it_is_durable_and_not_before() {
    let mut desk = desk(&[("1", "a"), ("2", "b")]);
    let ids = handed(&mut desk);
    assert_eq!(acknowledged(&mut desk, second(1)).len(), 0);
    desk.settle(&ids[..1]);
    let held = acknowledged(&mut desk, second(1));
    assert_eq!(names(&held), ["a"]);
    assert!(desk.holds(&ids[..1]), "until the answer comes");
    desk.took(Outcome::Acknowledged(held, Ok(BTreeMap::new())), second(1));
    assert!(!desk.holds(&ids[..1]) && desk.holds(&ids[1..]));
}

#[test]
fn one_that_is_delivered_again_is_handed_over_once_and_its_newest_name_counts() {
    let mut desk = desk(&[("1", "a")]);
    let ids = handed(&mut desk);
    desk.plan(second(2));
    desk.took(Outcome::Pulled(Ok(received(&[("1", "b")])), second(1)), second(2));
    assert_eq!(handed(&mut desk).len(), 0);
    desk.settle(&ids);
    let held = acknowledged(&mut desk, second(2));
    assert_eq!(names(&held), ["b"]);
    // And once more while it is being acknowledged, and after that.
    desk.took(Outcome::Pulled(Ok(received(&[("1", "c")])), second(2)), second(2));
    desk.took(Outcome::Acknowledged(held, Ok(BTreeMap::new())), second(2));
    let held = acknowledged(&mut desk, second(3));
    assert_eq!(names(&held), ["c"]);
    desk.took(Outcome::Acknowledged(held, Ok(BTreeMap::new())), second(3));
    desk.took(Outcome::Pulled(Ok(received(&[("1", "d")])), second(3)), second(4));
    assert_eq!((handed(&mut desk).len(), names(&acknowledged(&mut desk, second(4)))), (0, vec!["d"]));
}

#[test]
fn of_acknowledgements_that_fail_in_part_only_what_may_pass_is_told_again() {
    let mut desk = desk(&[("1", "a"), ("2", "b"), ("3", "c")]);
    let ids = handed(&mut desk);
    desk.settle(&ids);
    let held = acknowledged(&mut desk, second(1));
    let failed = BTreeMap::from([("a".to_owned(), false), ("b".to_owned(), true)]);
    desk.took(Outcome::Acknowledged(held, Ok(failed)), second(1));
    assert!(!desk.holds(&ids[..1]), "it comes again with another name, or never");
    assert_eq!(acknowledged(&mut desk, second(1)).len(), 0, "not at once");
    assert_eq!(names(&acknowledged(&mut desk, second(2))), ["b", "c"]);
    assert_eq!(desk.unsaid().0, 1);
}

#[test]
fn acknowledgements_that_fail_keep_their_order_and_come_ever_less_often() {
    let mut desk = desk(&[("1", "a"), ("2", "b")]);
    let ids = handed(&mut desk);
    desk.settle(&ids);
    let (mut now, mut gaps) = (0, Vec::new());
    let mut last = 0;
    while gaps.len() < 8 {
        let held = acknowledged(&mut desk, second(now));
        if !held.is_empty() {
            assert_eq!(names(&held), ["a", "b"]);
            gaps.push(now - last);
            last = now;
            desk.took(Outcome::Acknowledged(held, Err(Trouble::Failed(failure(Remedy::Wait)))), second(now));
        }
        now += 1;
    }
    assert_eq!(gaps, [0, 1, 2, 4, 8, 16, 32, 60]);
}

#[test]
fn what_is_held_for_long_is_extended_in_time_and_what_is_void_is_left() {
    let mut desk = desk(&[("1", "a"), ("2", "b")]);
    let extended = |desk: &mut Desk, now: u32| {
        let extensions = desk.plan(second(now)).requests.into_iter().find_map(|request| match request {
            Request::Extend(held, 60) => Some(held),
            Request::Extend(..) | Request::Pull(..) | Request::Acknowledge(..) => None,
        });
        extensions.unwrap_or_default()
    };
    assert_eq!(extended(&mut desk, 4).len(), 0);
    let held = extended(&mut desk, 5);
    assert_eq!(names(&held), ["a", "b"]);
    desk.took(Outcome::Extended(held, Ok(BTreeMap::from([("b".to_owned(), false)]))), second(5));
    assert_eq!(extended(&mut desk, 34).len(), 0);
    let held = extended(&mut desk, 35);
    assert_eq!(names(&held), ["a"]);
    desk.took(Outcome::Extended(held, Err(Trouble::Failed(failure(Remedy::Wait)))), second(35));
    assert_eq!(names(&extended(&mut desk, 37)), ["a"], "soon again");
}

#[test]
fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let mut desk = Desk::new(second(0));
    let asked = |desk: &mut Desk| {
        let requests = desk.plan(second(1_000)).requests;
        let pulls = requests.into_iter().find_map(|request| match request {
            Request::Pull(most, _) => Some(most),
            Request::Acknowledge(_) | Request::Extend(..) => None,
        });
        pulls.unwrap()
    };
    let mut sizes = Vec::new();
    for _ in 0..10 {
        sizes.push(asked(&mut desk));
        desk.took(Outcome::Pulled(Err(Trouble::TooLarge), second(0)), second(0));
    }
    assert_eq!(sizes, [500, 250, 125, 62, 31, 15, 7, 3, 1, 1]);
    assert!(desk.failure().is_some(), "one alone should fit");
    desk.plan(second(1_000));
    desk.took(Outcome::Pulled(Ok(received(&[("1", "a")])), second(0)), second(0));
    assert_eq!(asked(&mut desk), 2);
}

#[test]
fn an_answer_with_nothing_in_it_means_idle_if_it_was_waited_for() {
    for (waits, is_idle, why) in
        [(&[9][..], true, "a long wait"), (&[0][..], false, "one at once"), (&[0, 0][..], true, "two at once")]
    {
        let mut desk = Desk::new(second(0));
        let mut now = 0;
        for wait in waits {
            now += 1;
            assert_eq!(desk.plan(second(now)).requests.len(), 1, "{why}");
            desk.took(Outcome::Pulled(Ok(Vec::new()), second(now)), second(now + wait));
            now += wait;
        }
        assert_eq!(desk.is_idle(), is_idle, "{why}");
        assert!(!desk.is_idle(), "said once");
        assert_eq!(desk.plan(second(now)).requests.len(), 0, "not at once again");
    }
}
