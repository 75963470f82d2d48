//! What compares a disturbed run with an undisturbed one finds each fault that it is there for: histories with one planted
//! in each. An oracle that nobody ever saw complain proves nothing.

mod harness;

use harness::{Arrival, History, Told};
use serde_json::json;

/// A message about the revision of an alert, which stands on so many events.
fn message(alert: &str, revision: u64, count: u64) -> Arrival {
    let body = json!({"revision": revision, "data": {"id": alert, "count": count}}).to_string();
    Arrival { id: format!("{alert}-{revision}-raise"), body, taken: true }
}

/// Two alerts; of the first people were told twice.
fn undisturbed() -> Told {
    let kept = [("a", 4), ("b", 1)].map(|(id, count)| (id.to_owned(), json!({"count": count, "events": count})));
    Told { history: History(vec![message("a", 1, 3), message("b", 1, 1), message("a", 2, 4)]), kept: kept.into() }
}

/// The differences to an undisturbed run after this was done to it.
fn found(harm: impl Fn(&mut Vec<Arrival>, &mut Told)) -> Vec<String> {
    let mut told = undisturbed();
    let mut arrivals = std::mem::take(&mut told.history.0);
    harm(&mut arrivals, &mut told);
    told.history = History(arrivals);
    undisturbed().differences(&told)
}

#[track_caller]
fn finds(harm: impl Fn(&mut Vec<Arrival>, &mut Told), words: &[&str]) {
    let differences = found(harm);
    let said = |word: &&str| differences.iter().any(|difference| difference.contains(*word));
    assert!(!words.is_empty() && words.iter().all(said), "{words:?} in {differences:?}");
}

#[test]
fn what_a_kill_may_do_is_no_difference() {
    let nothing = Vec::<String>::new();
    assert_eq!(found(|_, _| {}), nothing, "the same");
    assert_eq!(found(|came, _| came.swap(0, 1)), nothing, "another order among alerts");
    assert_eq!(found(|came, _| came.push(came[2].clone())), nothing, "a message once more");
    let refused = |came: &mut Vec<Arrival>, _: &mut Told| came.insert(0, Arrival { taken: false, ..came[0].clone() });
    assert_eq!(found(refused), nothing, "refused, and taken when it came again");
}

#[test]
fn an_alert_that_is_lost_is_found() {
    finds(|came, _| drop(came.remove(1)), &["alert b is lost", "message b-1-raise is lost"]);
    finds(|came, _| came[1].taken = false, &["alert b is lost", "b-1-raise came and nobody took it"]);
    finds(|_, told| drop(told.kept.remove("b")), &["kept alert b is lost"]);
}

#[test]
fn a_message_that_is_lost_before_a_later_one_about_the_same_alert_is_found() {
    finds(|came, _| drop(came.remove(0)), &["message a-1-raise is lost"]);
    finds(|came, _| came[0].taken = false, &["a-1-raise came and nobody took it", "message a-1-raise is lost"]);
}

#[test]
fn an_event_that_is_counted_twice_is_found() {
    finds(|came, _| came[2] = message("a", 2, 5), &["alert a is another", "message a-2-raise is another"]);
    finds(|came, _| came[0] = message("a", 1, 4), &["message a-1-raise is another"]);
    finds(|came, _| came.push(message("a", 3, 5)), &["alert a is another", "message a-3-raise is new"]);
    finds(|_, told| told.kept.get_mut("a").unwrap()["count"] = json!(5), &["kept alert a is another"]);
}

#[test]
fn a_new_id_is_found() {
    let renamed = |arrival: &Arrival| Arrival { body: arrival.body.replace("\"b\"", "\"c\""), ..arrival.clone() };
    finds(
        |came, _| came[1] = renamed(&came[1]),
        &["alert b is lost", "alert c is new", "message b-1-raise is another"],
    );
    finds(|came, _| came.push(message("c", 1, 1)), &["alert c is new", "message c-1-raise is new"]);
    let again =
        |came: &mut Vec<Arrival>, _: &mut Told| came.push(Arrival { id: "other".to_owned(), ..came[1].clone() });
    finds(again, &["message other is new"]);
    finds(|_, told| drop(told.kept.insert("c".to_owned(), json!({}))), &["kept alert c is new"]);
}

#[test]
fn a_message_of_its_own_that_nobody_took_is_found() {
    finds(|came, _| came.push(Arrival { taken: false, ..message("c", 1, 1) }), &["c-1-raise came and nobody took it"]);
}

#[test]
fn evidence_that_is_gone_is_found() {
    finds(|_, told| told.kept.get_mut("a").unwrap()["events"] = json!(3), &["kept alert a is another"]);
}

#[test]
fn a_repeat_that_says_something_else_and_an_older_word_after_a_newer_one_are_found() {
    finds(|came, _| came.insert(0, message("a", 1, 2)), &["message a-1-raise came again with another body"]);
    let mut told = undisturbed();
    assert_eq!(told.history.steps_back(), Vec::<String>::new());
    told.history.0.swap(0, 2);
    assert_eq!(told.history.steps_back(), ["alert a: 1 after 2"]);
}
