use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::budget::Budget;
use super::fake::{Fake, Shown, Unkind, client, client_of_nobody, events};
use super::{CloudWatch, Settings};
use crate::clock::{Clock, Hand};
use crate::source::contract::{drain, resumes_with_repeats, yields_all_in_order};
use crate::source::{Batch, Body, Mark, Next, Remedy, Source};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const UNKIND: Unkind = Unkind {
    page: 25,
    empty_every: 3,
    throttle_every: 11,
    refuse_every: 41,
    reorder: true,
    repeat_every: 4,
    outage: None,
};

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn minutes(count: u32) -> Span {
    Span::seconds(count * 60)
}

/// A slower poll than the default: each one is a real request here.
fn settings(groups: &[&str]) -> Settings {
    serde_json::from_value(json!({"log_groups": groups, "poll": "30s"})).unwrap()
}

fn source(fake: &Fake, groups: &[&str], stored: &Mark, hand: &Hand) -> CloudWatch {
    open(&settings(groups), stored, hand, fake.client.clone()).unwrap()
}

fn open(
    settings: &Settings,
    stored: &Mark,
    hand: &Hand,
    client: aws_sdk_cloudwatchlogs::Client,
) -> Result<CloudWatch, crate::source::SourceError> {
    let budget = Budget::alone(settings.requests_per_second);
    CloudWatch::with_client(settings, stored, Clock::Hand(hand.clone()), client, budget)
}

async fn next(source: &mut CloudWatch) -> Result<Next, crate::source::SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

/// Batches until `end`; errors are waited out as the service would.
async fn batches_until(source: &mut CloudWatch, hand: &Hand, end: Timestamp) -> Vec<Batch> {
    let mut batches = Vec::new();
    while hand.now() < end {
        if let Ok(Next::Batch(batch)) = next(source).await {
            batches.push(batch);
        }
    }
    batches
}

fn counts(batches: &[Batch]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        *counts.entry(record.position.clone()).or_insert(0) += 1;
    }
    counts
}

fn positions(shown: &[Shown]) -> BTreeSet<String> {
    shown.iter().map(|event| format!("{}/{}", event.group, event.id)).collect()
}

#[tokio::test]
async fn every_event_comes_once_through_delays_empty_pages_throttling_and_refused_tokens() {
    let hand = Hand::at(noon());
    // An hour of events, shown up to nine minutes late, in two groups.
    let mut shown = events("trail", noon().minus(minutes(20)), 600, 6_000, 540_000);
    shown.extend(events("app", noon(), 300, 12_000, 1_000));
    let fake = Fake::start(hand.clone(), UNKIND, shown.clone()).await;
    let mut source = source(&fake, &["trail", "app"], &Mark::default(), &hand);
    let batches = batches_until(&mut source, &hand, noon().plus(minutes(75))).await;
    let counts = counts(&batches);
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), positions(&shown));
    assert!(counts.values().all(|count| *count == 1));
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(20)), 1_500, 100, 0);
    let fake = Fake::start(hand.clone(), Unkind { page: 200, ..Unkind::default() }, shown.clone()).await;
    let open = async |mark: &Mark| source(&fake, &["trail"], mark, &hand);
    let records = drain(&mut open(&Mark::default()).await).await.texts;
    assert_eq!(records.len(), shown.len());
    yields_all_in_order(&mut open(&Mark::default()).await, &records).await;
    resumes_with_repeats(open).await;
}

#[tokio::test]
async fn a_restart_after_any_batch_loses_nothing() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(20)), 400, 4_000, 540_000);
    let fake = Fake::start(hand.clone(), UNKIND, shown.clone()).await;
    let mut stored = Mark::default();
    let mut seen = BTreeSet::new();
    let mut batches_until_crash = 1;
    while hand.now() < noon().plus(minutes(60)) {
        let mut source = source(&fake, &["trail"], &stored, &hand);
        let mut handed_over = 0;
        // The last batch before the crash was handed over but never stored.
        while handed_over < batches_until_crash && hand.now() < noon().plus(minutes(60)) {
            let Ok(Next::Batch(batch)) = next(&mut source).await else { continue };
            handed_over += 1;
            if handed_over < batches_until_crash {
                stored.0.extend(batch.mark.0.clone());
                seen.extend(batch.records.into_iter().map(|record| record.position));
            }
        }
        batches_until_crash += 1;
    }
    let mut last = source(&fake, &["trail"], &stored, &hand);
    for batch in batches_until(&mut last, &hand, noon().plus(minutes(70))).await {
        seen.extend(batch.records.into_iter().map(|record| record.position));
    }
    assert_eq!(seen, positions(&shown));
}

#[tokio::test]
async fn a_caller_that_drops_the_call_over_and_over_loses_nothing() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(20)), 200, 6_000, 60_000);
    let fake = Fake::start(hand.clone(), UNKIND, shown.clone()).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let mut batches = Vec::new();
    let patience = tokio::time::Instant::now() + PATIENCE;
    while hand.now() < noon().plus(minutes(40)) {
        assert!(tokio::time::Instant::now() < patience, "the source starves");
        tokio::select! {
            biased;
            next = source.next() => {
                if let Ok(Next::Batch(batch)) = next {
                    batches.push(batch);
                }
            }
            () = tokio::task::yield_now() => {}
        }
    }
    let counts = counts(&batches);
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), positions(&shown));
    assert!(counts.values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_record_is_the_event_with_its_log_group_around_the_message() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(1)), 1, 0, 0);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let Next::Batch(batch) = next(&mut source).await.unwrap() else { panic!("no batch") };
    let [record] = batch.records.as_slice() else { panic!("not one record") };
    assert_eq!(record.position, "trail/trail-00000");
    let Body::Whole(body) = &record.body else { panic!("refused") };
    let time_ms = noon().minus(minutes(1)).millis();
    assert_eq!(
        serde_json::from_slice::<Value>(body).unwrap(),
        json!({"eventId": "trail-00000", "timestamp": time_ms, "ingestionTime": time_ms, "logStreamName": "stream",
               "logGroup": "trail", "message": "{\"id\":\"trail-00000\"}"})
    );
    assert_eq!(batch.mark, Mark(BTreeMap::from([("trail".to_owned(), format!("{{\"floor_ms\":{time_ms}}}"))])));
}

#[tokio::test]
async fn the_mark_moves_only_with_the_last_page_of_a_scan() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(10)), 20, 1_000, 0);
    let fake = Fake::start(hand.clone(), Unkind { page: 8, ..Unkind::default() }, shown).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let mut marks = Vec::new();
    for _ in 0..3 {
        let Next::Batch(batch) = next(&mut source).await.unwrap() else { panic!("no batch") };
        marks.push(batch.mark);
    }
    assert_eq!(marks[0], marks[1]);
    assert_ne!(marks[1], marks[2]);
    assert!(matches!(next(&mut source).await.unwrap(), Next::Idle));
}

#[tokio::test]
async fn a_page_of_thousands_comes_in_batches_and_only_the_last_moves_the_mark() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(10)), 1_200, 100, 0);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown.clone()).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let mut batches = Vec::new();
    while let Next::Batch(batch) = next(&mut source).await.unwrap() {
        batches.push(batch);
    }
    assert_eq!(batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(), [512, 512, 176]);
    assert_eq!(batches[0].mark, batches[1].mark);
    assert_ne!(batches[1].mark, batches[2].mark);
    assert_eq!(counts(&batches).len(), shown.len());
}

#[tokio::test]
async fn it_looks_at_the_newest_each_poll_and_at_the_overlap_each_reconcile() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(1)), 1, 0, 0);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    batches_until(&mut source, &hand, noon().plus(minutes(11))).await;
    let asked = fake.asked();
    let full: Vec<i64> = asked
        .iter()
        .filter(|asked| asked.end_ms - asked.start_ms > 180_000)
        .map(|asked| (asked.at_ms - noon().millis()) / 1_000)
        .collect();
    assert_eq!(full, [0, 300, 600]);
    assert!(asked.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms == 30_000), "{asked:?}");
}

#[tokio::test]
async fn lasting_throttling_slows_requests_down_and_is_reported() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(1)), 4, 1_000, 0);
    let fake = Fake::start(hand.clone(), Unkind { throttle_every: 1, ..Unkind::default() }, shown).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Wait);
    let gaps: Vec<i64> = fake.asked().windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
    assert_eq!(gaps, [1_000, 2_000, 4_000, 8_000]);
    fake.be(Unkind::default());
    assert!(matches!(next(&mut source).await, Ok(Next::Batch(_))));
}

#[tokio::test]
async fn a_scan_that_is_never_let_through_is_reported() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(10)), 20, 1_000, 0);
    let fake = Fake::start(hand.clone(), Unkind { page: 4, refuse_every: 2, ..Unkind::default() }, shown).await;
    let mut source = source(&fake, &["trail"], &Mark::default(), &hand);
    let error = loop {
        match next(&mut source).await {
            Ok(Next::Batch(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.remedy, Remedy::Wait);
    fake.be(Unkind::default());
    while !matches!(next(&mut source).await.unwrap(), Next::Idle) {}
}

#[tokio::test]
async fn a_missing_log_group_needs_a_person_and_holds_up_no_other() {
    let hand = Hand::at(noon());
    let shown = events("trail", noon().minus(minutes(1)), 4, 1_000, 0);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown.clone()).await;
    let mut source = source(&fake, &["absent", "trail"], &Mark::default(), &hand);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!((error.remedy, error.doing.as_str()), (Remedy::Person, "read log group absent"));
    let cause = std::error::Error::source(&error).and_then(std::error::Error::source).unwrap();
    assert!(cause.to_string().contains("ResourceNotFoundException"), "{cause}");
    let Next::Batch(batch) = next(&mut source).await.unwrap() else { panic!("no batch") };
    assert_eq!(batch.records.len(), shown.len());
    // A source that cannot read everything never says that it has read everything.
    assert!(next(&mut source).await.is_err());
}

#[tokio::test]
async fn a_group_that_keeps_failing_is_asked_less_and_less_often() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    let mut source = source(&fake, &["absent"], &Mark::default(), &hand);
    for _ in 0..7 {
        assert!(next(&mut source).await.is_err());
    }
    let gaps: Vec<i64> = fake.asked().windows(2).map(|pair| (pair[1].at_ms - pair[0].at_ms) / 1_000).collect();
    assert_eq!(gaps, [30, 60, 120, 240, 300, 300]);
}

#[tokio::test]
async fn missing_credentials_need_a_person_and_a_lost_connection_does_not() {
    let hand = Hand::at(noon());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for (client, remedy) in [(client(&nobody), Remedy::Wait), (client_of_nobody(&nobody), Remedy::Person)] {
        let mut source = open(&settings(&["trail"]), &Mark::default(), &hand, client).unwrap();
        let error = next(&mut source).await.unwrap_err();
        assert_eq!(error.remedy, remedy, "{error:?}");
    }
}

#[tokio::test]
async fn a_stored_mark_of_another_shape_is_refused() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    let stored = Mark(BTreeMap::from([("trail".to_owned(), "yesterday".to_owned())]));
    let opened = open(&settings(&["trail"]), &stored, &hand, fake.client);
    assert_eq!(opened.err().map(|error| error.remedy), Some(Remedy::Person));
}

#[tokio::test]
async fn groups_by_a_prefix_are_found_as_they_come_and_leave_as_they_go() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    let day_ago = noon().millis() - 86_400_000;
    fake.list(&[("/aws/a", day_ago), ("/aws/b", day_ago), ("/aws/c", day_ago), ("other", day_ago)]);
    fake.show(events("/aws/a", noon().minus(minutes(30)), 4, 1_000, 0));
    fake.show(events("other", noon().minus(minutes(30)), 4, 1_000, 0));
    let settings: Settings =
        serde_json::from_value(json!({"log_group_prefixes": ["/aws/"], "poll": "30s", "start": "1h"})).unwrap();
    let mut source = open(&settings, &Mark::default(), &hand, fake.client.clone()).unwrap();
    let mut batches = batches_until(&mut source, &hand, noon().plus(minutes(4))).await;
    // One comes ten minutes before it is found, and another goes.
    let began = hand.now();
    fake.list(&[("/aws/b", day_ago), ("/aws/a", day_ago), ("/aws/new", began.millis())]);
    fake.show(events("/aws/new", began, 4, 1_000, 0));
    let mut gone = Vec::new();
    while hand.now() < began.plus(minutes(12)) {
        match next(&mut source).await.unwrap() {
            Next::Batch(batch) => batches.push(batch),
            Next::Revoked(groups) => gone.extend(groups),
            Next::Idle => {}
            Next::Exhausted => panic!("it has no end"),
        }
    }
    let positions: Vec<String> = counts(&batches).into_keys().collect();
    assert_eq!(positions.len(), 8, "{positions:?}");
    assert!(positions.iter().all(|position| position.starts_with("/aws/a/") || position.starts_with("/aws/new/")));
    assert_eq!(gone, ["/aws/c"]);
    let mut stored = Mark::default();
    for batch in batches {
        stored.0.extend(batch.mark.0);
    }
    stored.0.retain(|_, value| !value.is_empty());
    assert_eq!(stored.0.keys().collect::<Vec<_>>(), ["/aws/a", "/aws/b", "/aws/new", "prefix:/aws/"]);
    // A restart knows them before it has looked, and reads what came meanwhile of one that was made meanwhile.
    let made = hand.now().plus(minutes(30));
    hand.move_to(hand.now().plus(minutes(300)));
    fake.list(&[("/aws/a", day_ago), ("/aws/b", day_ago), ("/aws/later", made.millis())]);
    fake.show(events("/aws/later", made, 4, 1_000, 0));
    let mut again = open(&settings, &stored, &hand, fake.client.clone()).unwrap();
    let end = hand.now().plus(minutes(5));
    let positions: Vec<String> = counts(&batches_until(&mut again, &hand, end).await).into_keys().collect();
    assert_eq!(positions.iter().filter(|position| position.starts_with("/aws/later/")).count(), 4, "{positions:?}");
}

#[tokio::test]
async fn what_comes_hours_late_is_found_by_an_audit_and_counted() {
    let hand = Hand::at(noon());
    let mut shown = events("trail", noon().minus(minutes(20)), 100, 60_000, 0);
    // Two of them come an hour and a half late.
    for late in [40, 60] {
        shown[late].visible_ms = shown[late].time_ms + 5_400_000;
    }
    let fake = Fake::start(hand.clone(), Unkind { page: 10, ..Unkind::default() }, shown.clone()).await;
    let settings: Settings =
        serde_json::from_value(json!({"log_groups": ["trail"], "poll": "60s", "audit": "4h"})).unwrap();
    let mut source = open(&settings, &Mark::default(), &hand, fake.client.clone()).unwrap();
    let batches = batches_until(&mut source, &hand, noon().plus(minutes(239))).await;
    assert_eq!(counts(&batches).len(), 98, "the overlap is too short for them");
    assert_eq!(source.figures().gaps_suspected, 0);
    let mut late = batches_until(&mut source, &hand, noon().plus(minutes(300))).await;
    late.extend(batches);
    let counts = counts(&late);
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), positions(&shown));
    assert!(counts.values().all(|count| *count == 1));
    let figures = source.figures();
    assert_eq!(figures.late[4..], [2, 0], "within 6 h: {figures:?}");
    assert!(figures.gaps_suspected > 0 && figures.duplicates > 100, "{figures:?}");
    assert_eq!(figures.ingestion_delay, Some(minutes(90)));
}

#[tokio::test]
async fn a_group_that_was_silent_at_the_first_start_is_read_from_there_after_a_restart() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    fake.list(&[("trail", 0)]);
    let mut stored = Mark::default();
    let mut first = source(&fake, &["trail"], &stored, &hand);
    let end = noon().plus(minutes(5));
    batches_until(&mut first, &hand, end).await.into_iter().for_each(|batch| stored.0.extend(batch.mark.0));
    let shown = events("trail", noon().plus(minutes(10)), 4, 1_000, 0);
    fake.show(shown.clone());
    hand.move_to(noon().plus(minutes(300)));
    let mut again = source(&fake, &["trail"], &stored, &hand);
    let batches = batches_until(&mut again, &hand, noon().plus(minutes(301))).await;
    assert_eq!(counts(&batches).keys().cloned().collect::<BTreeSet<_>>(), positions(&shown));
}

#[tokio::test]
async fn a_clock_that_is_put_back_by_hours_holds_up_nothing() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    fake.list(&[("trail", 0)]);
    let back = noon().minus(minutes(180));
    let stored = Mark(BTreeMap::from([("trail".to_owned(), super::value(back))]));
    let mut source = source(&fake, &["trail"], &stored, &hand);
    while !matches!(next(&mut source).await, Ok(Next::Idle)) {}
    hand.put_back(back);
    fake.show(events("trail", back.minus(minutes(5)), 8, 1_000, 0));
    let batches = batches_until(&mut source, &hand, back.plus(minutes(1))).await;
    assert_eq!(counts(&batches).len(), 8);
}
