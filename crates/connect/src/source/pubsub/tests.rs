use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use super::fake::{Fake, Unkind, noon};
use super::{Pubsub, Settings, probe};
use crate::clock::{Clock, Hand};
use crate::source::contract::{
    hands_out_again_what_was_not_committed, next_after_drops, numbered, yields_all_in_order,
};
use crate::source::{Batch, Body, Mark, Next, Refusal, Remedy, Source, SourceError};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn source(settings: &Settings, start: &str, hand: &Hand) -> Pubsub {
    Pubsub::open(settings, start, Clock::Hand(hand.clone())).unwrap()
}

async fn next(source: &mut Pubsub) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

async fn batch(source: &mut Pubsub) -> Batch {
    loop {
        match next(source).await.unwrap() {
            Next::Batch(batch) => return batch,
            Next::Idle => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What was handed over, how often.
type Counts = BTreeMap<String, usize>;

fn count(counts: &mut Counts, batch: &Batch) {
    for record in &batch.records {
        *counts.entry(record.position.clone()).or_insert(0) += 1;
    }
}

/// Waits until something is so, without a clock.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < patience, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_subscription_keeps_the_contract() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind { page: 40, ..Unkind::default() }).await;
    let records = numbered(1_300);
    fake.publish(records.clone());
    let mut source = source(&fake.settings(), "run", &hand);
    yields_all_in_order(&mut source, &records).await;
    until("all are acknowledged", || fake.acknowledged() == records.len()).await;
}

#[tokio::test]
async fn what_was_not_committed_is_handed_out_again_once_its_lease_ran_out() {
    let hand = Hand::at(noon());
    // Each request takes time, or no lease would ever run out.
    let fake = Fake::start(hand.clone(), Unkind { page: 40, request_ms: 1_500, ..Unkind::default() }).await;
    let records = numbered(200);
    fake.publish(records.clone());
    hands_out_again_what_was_not_committed(async || source(&fake.settings(), "run", &hand), &records).await;
}

#[tokio::test]
async fn every_message_comes_once_and_is_acknowledged_whatever_happens_in_forty_seeded_runs() {
    let (mut deliveries, mut requests) = (0, 0);
    for seed in 1..=40_u64 {
        let hand = Hand::at(noon());
        let unkind = Unkind {
            page: 7 + usize::try_from(seed * 13 % 90).unwrap(),
            busy_every: 3 + seed % 7,
            lose_ack_every: 2 + seed % 4,
            double_every: 5 + seed % 11,
            empty_every: 2 + seed % 5,
            expire_after: 0,
            exactly_once: seed.is_multiple_of(2),
            request_ms: 1_500,
        };
        let fake = Fake::start(hand.clone(), unkind).await;
        let records = numbered(150 + usize::try_from(seed * 37 % 400).unwrap());
        fake.publish(records.clone());
        let mut source = source(&fake.settings(), "run", &hand);
        let mut counts = Counts::new();
        // Commits come late, in bunches, and some time passes before them.
        let mut open = Vec::new();
        while fake.acknowledged() < records.len() {
            match next(&mut source).await {
                Ok(Next::Batch(batch)) => {
                    count(&mut counts, &batch);
                    open.push(batch.mark);
                    if (open.len() as u64).is_multiple_of(1 + seed % 3) {
                        let mark = open.pop().unwrap();
                        open.clear();
                        drop(source.commit(mark).await);
                    }
                }
                Ok(Next::Idle) | Err(_) => {
                    if let Some(mark) = open.pop() {
                        drop(source.commit(mark).await);
                    }
                }
                Ok(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(counts.len(), records.len(), "seed {seed}: {unkind:?}");
        assert!(counts.values().all(|count| *count == 1), "seed {seed}: {unkind:?}");
        deliveries += fake.deliveries() - records.len() as u64;
        requests += fake.counts().0;
    }
    assert!(deliveries > 1_000, "{deliveries} were delivered again, in {requests} requests");
}

#[tokio::test]
async fn a_crash_at_any_batch_loses_nothing_and_what_was_acknowledged_does_not_come_again() {
    let hand = Hand::at(noon());
    let unkind = Unkind { page: 40, busy_every: 7, request_ms: 1_500, ..Unkind::default() };
    let fake = Fake::start(hand.clone(), unkind).await;
    let records = numbered(600);
    fake.publish(records.clone());
    let mut counts = Counts::new();
    for run in 0_usize.. {
        let mut source = source(&fake.settings(), &format!("run {run}"), &hand);
        for number in 0..=run {
            if fake.acknowledged() == records.len() {
                assert_eq!(counts.len(), records.len());
                return;
            }
            let Ok(Next::Batch(batch)) = next(&mut source).await else { continue };
            // The last batch before the crash was handed over but never stored.
            if number < run {
                count(&mut counts, &batch);
                drop(source.commit(batch.mark).await);
            }
        }
        assert!(run < 500, "it never ends");
    }
}

#[tokio::test]
async fn a_message_on_its_way_is_extended_for_as_long_as_it_takes() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    fake.publish(numbered(3));
    let mut source = source(&fake.settings(), "run", &hand);
    let batch = batch(&mut source).await;
    // Nobody asks for the next batch meanwhile: the pipeline is stuck for half an hour.
    until("half an hour", || hand.now() >= noon().plus(engine::time::Span::seconds(1_800))).await;
    assert_eq!(fake.deliveries(), 3, "none was delivered again");
    let extended = fake.extended();
    let gap = |pair: &[engine::time::Timestamp]| pair[1].since(pair[0]);
    let longest = extended.windows(2).map(gap).max().unwrap();
    assert!(longest <= engine::time::Span::seconds(31), "each time is for 60 s: {longest:?}");
    assert!(extended[0] <= noon().plus(engine::time::Span::seconds(9)), "the first is for 10 s: {extended:?}");
    source.commit(batch.mark).await.unwrap();
    assert_eq!(fake.acknowledged(), 3);
}

#[tokio::test]
async fn messages_that_hold_no_record_are_acknowledged_though_no_batch_ever_holds_them() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    fake.publish(["[]", r#"{"Records":[]}"#, "\u{feff}"].map(str::to_owned));
    let mut source = source(&fake.settings(), "run", &hand);
    while fake.acknowledged() < 3 {
        let found = next(&mut source).await;
        assert!(matches!(found, Ok(Next::Idle)), "{found:?}");
        tokio::task::yield_now().await;
    }
    assert_eq!(source.shared.desk().load().1, 0, "nothing is held for them");
}

#[tokio::test]
async fn what_is_held_is_bounded_however_much_there_is() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    fake.publish(numbered(9_000));
    let mut source = source(&fake.settings(), "run", &hand);
    let first = batch(&mut source).await;
    let shared = source.shared.clone();
    let (messages_max, bytes_max) = (super::desk::MESSAGES_MAX, super::desk::BYTES_MAX);
    until("it stops to pull", || {
        let (messages, bytes, pulls) = shared.desk().load();
        assert!(messages <= messages_max && bytes <= bytes_max && pulls <= super::desk::PULLS_MAX);
        pulls == 0 && messages + 500 > messages_max
    })
    .await;
    source.commit(first.mark).await.unwrap();
    let mut seen = first.records.len();
    while seen < 9_000 {
        let batch = batch(&mut source).await;
        seen += batch.records.len();
        source.commit(batch.mark).await.unwrap();
    }
    assert_eq!(seen, 9_000);
}

#[tokio::test]
async fn tokens_are_exchanged_renewed_when_they_are_not_taken_and_shown_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::at(noon());
    let unkind = Unkind { expire_after: 5, page: 20, request_ms: 200, ..Unkind::default() };
    let fake = Fake::start(hand.clone(), unkind).await;
    for settings in [fake.settings_of_a_person(folder.path()), fake.settings_of_a_workload(folder.path())] {
        let before = fake.acknowledged();
        fake.publish(numbered(200));
        let mut source = source(&settings, "run", &hand);
        while fake.acknowledged() < before + 200 {
            if let Next::Batch(batch) = next(&mut source).await.expect("a token that expired is no failure") {
                source.commit(batch.mark).await.unwrap();
            }
        }
    }
    assert!(fake.counts().1 > 4, "{:?}", fake.counts());
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_kept_as_a_refusal_and_acknowledged() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    fake.publish_as_they_are(["%%% no base64".to_owned(), String::new()]);
    fake.publish(["{not json".to_owned(), "{\"a\":1}\n{\"a\":2}".to_owned(), "x".repeat(2 << 20)]);
    let mut source = source(&fake.settings(), "run", &hand);
    let mut records = Vec::new();
    while records.len() < 6 {
        let batch = batch(&mut source).await;
        records.extend(batch.records);
        source.commit(batch.mark).await.unwrap();
    }
    let seen: Vec<(&str, Option<(Refusal, &str)>)> = records
        .iter()
        .map(|record| {
            let refused = match &record.body {
                Body::Refused { head, reason } => Some((*reason, std::str::from_utf8(&head[..10]).unwrap())),
                Body::Whole(_) => None,
            };
            (record.position.trim_start_matches("1100000000000000"), refused)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("0#1", Some((Refusal::Corrupt, "%%% no bas"))),
            ("1#1", Some((Refusal::Corrupt, "no data; a"))),
            ("2#1", None),
            ("3#1", None),
            ("3#2", None),
            ("4#1", Some((Refusal::TooLong, "xxxxxxxxxx"))),
        ]
    );
    until("all are acknowledged", || fake.acknowledged() == 5).await;
}

#[tokio::test]
async fn it_says_that_it_is_idle_once_for_each_time_and_a_call_may_be_dropped() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    let mut source = source(&fake.settings(), "run", &hand);
    assert!(matches!(next_after_drops(&mut source).await, Next::Idle));
    fake.publish(numbered(1));
    let found = batch(&mut source).await;
    source.commit(found.mark).await.unwrap();
    assert!(matches!(next(&mut source).await, Ok(Next::Idle)));
    source.commit(Mark(BTreeMap::from([("another".to_owned(), "run.1".to_owned())]))).await.unwrap();
    source.commit(Mark(BTreeMap::from([(super::fake::SUBSCRIPTION.to_owned(), "before.9".to_owned())]))).await.unwrap();
}

#[tokio::test]
async fn what_a_person_must_mend_is_said_and_what_passes_is_waited_for() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    for (status, words, remedy) in [
        (
            StatusCode::FORBIDDEN,
            "status 403 WORDS: no way; the account needs the role roles/pubsub.subscriber",
            Remedy::Person,
        ),
        (StatusCode::NOT_FOUND, "there is no such subscription", Remedy::Person),
        (StatusCode::UNAUTHORIZED, "the credentials are not taken", Remedy::Person),
        (StatusCode::SERVICE_UNAVAILABLE, "status 503 WORDS: no way", Remedy::Wait),
    ] {
        fake.breaks(status, "no way");
        let mut source = source(&fake.settings(), "run", &hand);
        let error = loop {
            match next(&mut source).await {
                Ok(Next::Idle) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.doing.contains(words), "{}", error.doing);
        assert_eq!(error.remedy, remedy, "{status}");
        fake.works();
        fake.publish(numbered(1));
        loop {
            if let Ok(Next::Batch(batch)) = next(&mut source).await {
                break source.commit(batch.mark).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_that_fails_is_said_and_tried_again() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default()).await;
    fake.publish(numbered(5));
    fake.breaks_acknowledgements();
    let mut source = source(&fake.settings(), "run", &hand);
    let batch = batch(&mut source).await;
    let error = source.commit(batch.mark).await.unwrap_err();
    assert!(error.doing.contains("acknowledge messages of projects/acme/subscriptions/lapwing: status 403"), "{error}");
    fake.works();
    until("it is tried again", || fake.acknowledged() == 5).await;
}

#[tokio::test]
async fn credentials_that_are_none_are_told_without_a_word_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let fake = Fake::start(Hand::at(noon()), Unkind::default()).await;
    for (text, words) in [
        (None, "read the credentials in"),
        (Some("secret words"), "they are no JSON"),
        (Some(r#"{"type":"secret_sort"}"#), "no type of credentials that is known"),
        (Some(r#"{"type":"service_account","private_key":"secret words"}"#), "read the credentials in"),
    ] {
        std::fs::remove_file(&path).ok();
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let mut settings = fake.settings();
        settings.credentials = super::Credentials::File(path.clone());
        let error = Pubsub::open(&settings, "run", Clock::Wall).err().unwrap();
        assert!(error.doing.contains(words) && !error.doing.contains("secret words"), "{error}");
        assert_eq!(error.remedy, Remedy::Person);
    }
}

#[tokio::test]
async fn a_probe_says_what_is_missing_and_pulls_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Hand::at(noon()), Unkind::default()).await;
    fake.publish(numbered(2));
    let settings = fake.settings_of_a_person(folder.path());
    let said = async || {
        let probes = probe(&settings).await;
        probes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let good = said().await;
    assert!(good.contains("consume is granted") && good.contains("within 10 s") && good.contains("7.0 days"), "{good}");
    assert!(!good.contains("FAILS"), "{good}");
    fake.is(json!({"messageRetentionDuration": "600s", "enableExactlyOnceDelivery": true, "topic": "_deleted-topic_",
                   "pushConfig": {"pushEndpoint": "https://elsewhere.example"}, "expirationPolicy": {"ttl": "2678400s"},
                   "deadLetterPolicy": {"deadLetterTopic": "projects/acme/topics/dead", "maxDeliveryAttempts": 5}}));
    let bad = said().await;
    for words in [
        "FAILS: it pushes to https://elsewhere.example",
        "FAILS: its topic is gone",
        "delivers exactly once",
        "retention: FAILS: messages are kept for 600s",
        "delivered 5 times without an acknowledgement goes to projects/acme/topics/dead",
        "deleted when nobody pulled from it for 2678400s",
    ] {
        assert!(bad.contains(words), "{words}: {bad}");
    }
    fake.grants(&["pubsub.subscriptions.consume"]);
    assert!(said().await.contains("reading does not need it"), "{}", said().await);
    fake.grants(&[]);
    assert!(said().await.contains("FAILS: pubsub.subscriptions.consume is missing"), "{}", said().await);
    fake.breaks(StatusCode::NOT_FOUND, "gone");
    assert!(said().await.contains("there is no such subscription"), "{}", said().await);
    assert_eq!(fake.deliveries(), 0);
}
