use std::time::Duration;

use serde_json::{Value, json};

use super::Sqs;
use super::fake::{Asked, Fake};
use crate::source::{Batch, Body, Next, Refusal, Remedy, Source, SourceError};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn next(source: &mut Sqs) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

async fn batch(source: &mut Sqs) -> Batch {
    match next(source).await {
        Ok(Next::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

fn notice(key: &str) -> String {
    json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                        "s3": {"bucket": {"name": "logs"}, "object": {"key": key}}}]})
    .to_string()
}

fn shown(batch: &Batch) -> Vec<String> {
    let text = |body: &Body| match body {
        Body::Whole(text) => String::from_utf8_lossy(text).into_owned(),
        Body::Refused { reason, .. } => format!("{reason:?}"),
    };
    batch.records.iter().map(|record| format!("{} {}", record.position, text(&record.body))).collect()
}

#[tokio::test]
async fn a_message_is_deleted_only_by_the_commit_of_the_last_that_it_led_to() {
    let fake = Fake::start().await;
    fake.object("/logs/a", &[Ok("{\"a\":1}\n{\"a\":2}\n")]);
    fake.sends(&[("event", 1, "{\"b\":1}"), ("object", 1, &notice("a")), ("test", 1, "{\"Event\":\"s3:TestEvent\"}")]);
    let mut source = fake.source(json!({}));
    let (first, second) = (batch(&mut source).await, batch(&mut source).await);
    assert_eq!(shown(&first), ["event {\"b\":1}"]);
    assert_eq!(shown(&second), ["logs/a@tag#1 {\"a\":1}", "logs/a@tag#2 {\"a\":2}"]);
    assert!(!fake.asked().iter().any(|asked| matches!(asked, Asked::Deleted(_))), "nothing is durable yet");
    source.commit(first.mark).await.unwrap();
    source.commit(second.mark).await.unwrap();
    let deleted: Vec<Asked> = fake.asked().into_iter().filter(|asked| matches!(asked, Asked::Deleted(_))).collect();
    let receipts = |names: &[&str]| Asked::Deleted(names.iter().map(|name| format!("{name}-1")).collect());
    assert_eq!(deleted, [receipts(&["event", "test"]), receipts(&["object"])]);
    assert_eq!(source.held.count(), 0);
}

#[tokio::test]
async fn what_is_held_is_kept_from_others_though_nobody_asks_the_source() {
    let fake = Fake::start().await;
    fake.sends(&[("m", 1, "{}")]);
    let mut source = fake.source(json!({"visibility": "1s"}));
    let held = batch(&mut source).await;
    let hidden = |asked: &Asked| *asked == Asked::Hidden(vec!["m-1".to_owned()], 1);
    fake.was_asked(|asked| asked.iter().filter(|asked| hidden(asked)).count() >= 2).await;
    source.commit(held.mark).await.unwrap();
    assert_eq!(source.backlog(), Some(7), "the same task counts what waits");
}

#[tokio::test]
async fn a_message_that_comes_again_while_it_is_held_leads_to_nothing_more_and_its_newest_receipt_counts() {
    let fake = Fake::start().await;
    fake.sends(&[("m", 1, "{}")]);
    fake.sends(&[("m", 2, "{}"), ("n", 1, "{}")]);
    let mut source = fake.source(json!({}));
    let first = batch(&mut source).await;
    let second = batch(&mut source).await;
    assert_eq!((shown(&first), shown(&second)), (vec!["m {}".to_owned()], vec!["n {}".to_owned()]));
    source.commit(second.mark).await.unwrap();
    let deleted = Asked::Deleted(vec!["m-2".to_owned(), "n-1".to_owned()]);
    fake.was_asked(|asked| asked.contains(&deleted)).await;
}

#[tokio::test]
async fn a_message_whose_object_is_gone_stays_away_for_longer_each_time_and_is_given_up_as_a_gap() {
    let fake = Fake::start().await;
    let mut source = fake.source(json!({"receives_max": 3}));
    for (receives, seconds) in [(1, 30), (2, 60)] {
        fake.sends(&[("m", receives, &notice("gone+1"))]);
        let away = Asked::Hidden(vec![format!("m-{receives}")], seconds);
        tokio::select! {
            next = next(&mut source) => panic!("{next:?}"),
            _ = fake.was_asked(|asked| asked.contains(&away)) => {}
        }
    }
    fake.sends(&[("m", 3, &notice("gone+1"))]);
    let given_up = batch(&mut source).await;
    let [record] = given_up.records.as_slice() else { panic!("{given_up:?}") };
    let Body::Refused { head, reason: Refusal::Unreadable } = &record.body else { panic!("{record:?}") };
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!((&head["bucket"], &head["key"]), (&json!("logs"), &json!("gone 1")));
    assert_eq!(
        given_up.gaps[0].what,
        "s3://logs/gone 1 was deleted before it was read: all of its records are missing"
    );
    source.commit(given_up.mark).await.unwrap();
    assert!(fake.asked().contains(&Asked::Deleted(vec!["m-3".to_owned()])));
}

#[tokio::test]
async fn damaged_and_refused_objects_are_given_up_without_a_gap() {
    let fake = Fake::start().await;
    fake.object("/logs/zip", &[Ok("PK\u{3}\u{4} and so on")]);
    fake.object("/logs/refused", &[Err((403, "AccessDenied"))]);
    let mut source = fake.source(json!({"receives_max": 1}));
    for key in ["zip", "refused"] {
        fake.sends(&[(key, 1, &notice(key))]);
        let given_up = batch(&mut source).await;
        assert_eq!((given_up.records.len(), given_up.gaps.len()), (1, 0), "{key}");
        assert_eq!(shown(&given_up), [format!("logs/{key} Unreadable")]);
    }
}

#[tokio::test]
async fn what_time_mends_uses_up_no_message_and_nothing_is_handed_over_twice() {
    let fake = Fake::start().await;
    let text: String = (0..600).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    fake.object("/logs/a", &[Err((503, "SlowDown")), Ok(&text)]);
    fake.sends(&[("m", 99, &notice("a"))]);
    let mut source = fake.source(json!({"receives_max": 1}));
    let error = next(&mut source).await.unwrap_err();
    assert_eq!((error.remedy, error.doing.as_str()), (Remedy::Wait, "read s3://logs/a"));
    let (first, second) = (batch(&mut source).await, batch(&mut source).await);
    assert_eq!((first.records.len(), second.records.len()), (512, 88));
    source.commit(first.mark).await.unwrap();
    assert_eq!(source.held.count(), 1, "half of it is not all");
    source.commit(second.mark).await.unwrap();
    assert_eq!(source.held.count(), 0);
}

#[tokio::test]
async fn refusals_are_a_persons_business_once_nothing_else_is_to_be_done_and_name_the_permission() {
    let fake = Fake::start().await;
    fake.object("/logs/refused", &[Err((403, "AccessDenied"))]);
    fake.object("/logs/read", &[Ok("{}")]);
    fake.sends(&[("r", 1, &notice("refused"))]);
    let mut source = fake.source(json!({}));
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Person);
    assert!(error.doing.contains("the role needs s3:GetObject"), "{error}");
    fake.sends(&[("r", 2, &notice("refused")), ("s", 1, &notice("read"))]);
    assert_eq!(batch(&mut source).await.records.len(), 1, "others go first");
    assert_eq!(next(&mut source).await.unwrap_err().remedy, Remedy::Wait, "and the source goes on");
    for (code, needs) in
        [("AccessDeniedException", "the role needs sqs:ReceiveMessage"), ("QueueDoesNotExist", "receive messages of")]
    {
        fake.refuses(code);
        let error = next(&mut source).await.unwrap_err();
        assert!(error.doing.contains(needs) && error.remedy == Remedy::Person, "{error:?}");
    }
}

#[tokio::test]
async fn no_more_is_received_than_may_be_held() {
    let fake = Fake::start().await;
    for number in 0..40 {
        let ids: Vec<String> = (0..10).map(|one| format!("{number}-{one}")).collect();
        fake.sends(&ids.iter().map(|id| (id.as_str(), 1, "{}")).collect::<Vec<_>>());
    }
    let mut source = fake.source(json!({}));
    let mut marks = Vec::new();
    while source.held.count() + super::MESSAGES_AT_ONCE <= super::HELD_MAX {
        marks.push(batch(&mut source).await.mark);
    }
    assert_eq!(source.held.count(), 250);
    source.begin();
    assert!(source.asking.is_empty(), "it waits for commits");
    source.commit(marks.swap_remove(0)).await.unwrap();
    assert_eq!(batch(&mut source).await.records.len(), 10, "and goes on after one");
}

#[tokio::test]
async fn what_comes_while_nobody_asks_the_source_is_held_and_kept_from_others() {
    let fake = Fake::start().await;
    fake.sends(&[("first", 1, "{}")]);
    let mut source = fake.source(json!({"visibility": "1s"}));
    batch(&mut source).await;
    source.begin();
    fake.sends(&[("second", 1, "{}")]);
    let kept = |asked: &Asked| matches!(asked, Asked::Hidden(receipts, 1) if receipts.contains(&"second-1".to_owned()));
    fake.was_asked(|asked| asked.iter().any(kept)).await;
    assert_eq!(shown(&batch(&mut source).await), ["second {}"]);
}

#[tokio::test]
async fn a_stop_gives_back_at_once_what_was_not_handed_over_and_keeps_what_was() {
    let fake = Fake::start().await;
    fake.object("/logs/a", &[Err((503, "SlowDown"))]);
    fake.sends(&[("event", 1, "{}"), ("object", 1, &notice("a"))]);
    let mut source = fake.source(json!({}));
    let handed_over = batch(&mut source).await;
    assert_eq!(next(&mut source).await.unwrap_err().remedy, Remedy::Wait);
    assert!(source.stop());
    assert!(matches!(next(&mut source).await, Ok(Next::Exhausted)));
    source.commit(handed_over.mark).await.unwrap();
    let said = [Asked::Hidden(vec!["object-1".to_owned()], 0), Asked::Deleted(vec!["event-1".to_owned()])];
    let asked: Vec<Asked> = fake.asked().into_iter().filter(|asked| said.contains(asked)).collect();
    assert_eq!(asked, said);
}
