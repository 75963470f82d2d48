use std::collections::BTreeMap;
use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde_json::json;

use super::fake::{Fake, Unkind};
use super::{Kinesis, aggregate};
use crate::clock::{Clock, Hand};
use crate::source::contract::{next_after_drops, numbered, resumes_from_every_mark, yields_all_in_order};
use crate::source::{Batch, Body, Mark, Next, Remedy, Source, SourceError};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const UNKIND: Unkind = Unkind { page: 7, empty_every: 3, throttle_every: 5, expire_every: 4, fail_every: 23 };

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn source(fake: &Fake, stored: &Mark, hand: &Hand) -> Kinesis {
    let settings = serde_json::from_value(json!({"stream": "audit"})).unwrap();
    Kinesis::with_client(&settings, stored, Clock::Hand(hand.clone()), fake.client.clone()).unwrap()
}

async fn next(source: &mut Kinesis) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

/// What a life of the source brought.
#[derive(Debug, Default)]
struct Life {
    batches: Vec<Batch>,
    revoked: Vec<String>,
    errors: Vec<SourceError>,
}

impl Life {
    fn positions(&self) -> Vec<&str> {
        self.batches.iter().flat_map(|batch| &batch.records).map(|record| record.position.as_str()).collect()
    }

    fn texts(&self) -> Vec<String> {
        let text = |body: &Body| match body {
            Body::Whole(text) => String::from_utf8(text.to_vec()).unwrap(),
            Body::Refused { reason, .. } => format!("{reason:?}"),
        };
        self.batches.iter().flat_map(|batch| &batch.records).map(|record| text(&record.body)).collect()
    }

    fn gaps(&self) -> Vec<&str> {
        self.batches.iter().flat_map(|batch| &batch.gaps).map(|gap| gap.id.as_str()).collect()
    }
}

/// Reads and commits until there is nothing now; errors are waited out as the service would.
async fn drain(source: &mut Kinesis, stored: &mut Mark) -> Life {
    let mut life = Life::default();
    loop {
        match next(source).await {
            Ok(Next::Batch(batch)) => {
                keep(stored, &batch.mark);
                source.commit(batch.mark.clone()).await.unwrap();
                life.batches.push(batch);
            }
            Ok(Next::Idle) => return life,
            Ok(Next::Revoked(shards)) => life.revoked.extend(shards),
            Ok(other) => panic!("{other:?}"),
            Err(error) => life.errors.push(error),
        }
    }
}

/// As the store does.
fn keep(stored: &mut Mark, mark: &Mark) {
    stored.0.extend(mark.0.clone());
    stored.0.retain(|_, value| !value.is_empty());
}

#[tokio::test]
async fn the_kinesis_source_keeps_the_contract() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind { page: 40, empty_every: 3, ..Unkind::default() }, &["a"]).await;
    let records = numbered(100);
    for record in &records {
        fake.world().put("a", record.as_bytes());
    }
    yields_all_in_order(&mut source(&fake, &Mark::default(), &hand), &records).await;
    resumes_from_every_mark(|mark| source(&fake, mark, &hand), &records).await;
}

#[tokio::test]
async fn every_record_comes_once_through_empty_answers_throttling_refused_iterators_and_failures() {
    let hand = Hand::at(noon());
    let shards = ["a", "b", "c", "d", "e"];
    let fake = Fake::start(hand.clone(), UNKIND, &shards).await;
    let (mut stored, mut seen) = (Mark::default(), BTreeMap::new());
    let mut source = source(&fake, &stored, &hand);
    let mut expected = Vec::new();
    for round in 0..20 {
        for (place, shard) in shards.into_iter().enumerate() {
            for number in 0..round {
                let sequence = fake.world().put(shard, format!("{{\"n\":{number}}}").as_bytes());
                expected.push(format!("{}:{sequence}", shards[place]));
            }
        }
        for position in drain(&mut source, &mut stored).await.positions() {
            *seen.entry(position.to_owned()).or_insert(0) += 1;
        }
    }
    expected.sort();
    assert_eq!(seen.keys().cloned().collect::<Vec<_>>(), expected);
    assert!(seen.values().all(|count| *count == 1));
    assert!(source.figures().throttled > 10);
}

#[tokio::test]
async fn a_packed_record_is_resumed_in_its_middle() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), &["a"]).await;
    let records = numbered(1_200);
    let packed: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    fake.world().put("a", b"{}");
    let sequence = fake.world().put("a", &aggregate::pack(&packed));
    fake.world().put("a", b"{}");
    let all: Vec<String> = std::iter::once("{}".to_owned()).chain(records).chain(["{}".to_owned()]).collect();
    resumes_from_every_mark(|mark| source(&fake, mark, &hand), &all).await;
    let mut source = source(&fake, &Mark::default(), &hand);
    let life = drain(&mut source, &mut Mark::default()).await;
    assert_eq!(life.positions()[0], "a:7");
    assert_eq!(life.positions()[1], format!("a:{sequence}#0"));
    assert_eq!(life.positions()[1_200], format!("a:{sequence}#1199"));
    let cut = &life.batches.iter().find(|batch| !batch.records.is_empty()).unwrap().mark.0["a"];
    let read_ms = noon().millis();
    assert_eq!(*cut, format!("{{\"after\":{{\"sequence\":\"{sequence}\",\"part\":510,\"read_ms\":{read_ms}}}}}"));
}

#[tokio::test]
async fn a_split_and_a_merge_are_followed_parents_before_children_and_ended_shards_are_given_up() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind { page: 3, ..Unkind::default() }, &["a", "b"]).await;
    let put = |shard: &str, text: &str| fake.world().put(shard, text.as_bytes());
    for number in 0..10 {
        put("a", &format!("a{number}"));
        put("b", &format!("b{number}"));
    }
    let mut stored = Mark::default();
    let mut first = source(&fake, &stored, &hand);
    assert_eq!(drain(&mut first, &mut stored).await.texts().len(), 20);
    // Split a, write to both sides, merge its second half with b.
    put("a", "a10");
    fake.world().reshard(&["a"], &["c", "d"]);
    put("c", "c0");
    put("d", "d0");
    fake.world().reshard(&["b", "d"], &["e"]);
    put("e", "e0");
    let mut life = drain(&mut first, &mut stored).await;
    for _ in 0..3 {
        hand.move_to(hand.now().plus(Span::seconds(31)));
        let more = drain(&mut first, &mut stored).await;
        life.batches.extend(more.batches);
        life.revoked.extend(more.revoked);
    }
    let texts = life.texts();
    let place =
        |text: &str| texts.iter().position(|found| found == text).unwrap_or_else(|| panic!("{text}: {texts:?}"));
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(place("a10") < place("c0") && place("a10") < place("d0") && place("d0") < place("e0"));
    life.revoked.sort();
    assert_eq!(life.revoked, ["a", "b", "d"]);
    let last = &life.batches.last().unwrap().partitions;
    assert!(!last.iter().any(|name| ["a", "b"].contains(&&**name)), "{last:?}");
    // A restart reads none of it again, and the marks of what is too old leave.
    let mut again = source(&fake, &stored, &hand);
    assert_eq!(drain(&mut again, &mut stored).await.texts(), Vec::<String>::new());
    for hour in 1..=26 {
        hand.move_to(noon().plus(Span::seconds(hour * 3_600)));
        fake.world().trim();
        assert_eq!(drain(&mut again, &mut stored).await.gaps(), Vec::<&str>::new());
    }
    assert_eq!(stored.0.keys().collect::<Vec<_>>(), ["c", "e", "stream"]);
}

#[tokio::test]
async fn what_the_retention_has_passed_while_nobody_read_is_a_gap_and_a_quiet_shard_is_none() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), &["a", "b"]).await;
    let mut stored = Mark::default();
    fake.world().put("a", b"{}");
    drain(&mut source(&fake, &stored, &hand), &mut stored).await;
    // The service is there for two days, and nothing comes: then it is down for an hour.
    let mut quiet = source(&fake, &stored, &hand);
    for hour in 0..48 {
        hand.move_to(noon().plus(Span::seconds(hour * 3_600)));
        assert_eq!(drain(&mut quiet, &mut stored).await.gaps(), Vec::<&str>::new());
    }
    hand.move_to(hand.now().plus(Span::seconds(3_600)));
    let life = drain(&mut source(&fake, &stored, &hand), &mut stored).await;
    assert_eq!(life.gaps(), Vec::<&str>::new());
    // Now it is down for two days.
    fake.world().put("a", b"{\"lost\":1}");
    hand.move_to(hand.now().plus(Span::seconds(48 * 3_600)));
    fake.world().trim();
    fake.world().put("a", b"{\"kept\":1}");
    let mut late = source(&fake, &stored, &hand);
    let life = drain(&mut late, &mut stored).await;
    assert_eq!(life.texts(), ["{\"kept\":1}"]);
    assert_eq!(life.gaps().len(), 2, "both shards: nobody knows of the other one");
    assert_eq!(late.figures().gaps_suspected, 2);
    assert_eq!(drain(&mut late, &mut stored).await.gaps(), Vec::<&str>::new(), "it is told once");
    let again = drain(&mut source(&fake, &stored, &hand), &mut stored).await;
    assert_eq!(again.gaps(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_stream_that_is_made_anew_is_told_and_read_from_its_beginning() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), &["a", "b"]).await;
    let mut stored = Mark::default();
    fake.world().put("a", b"old");
    let mut source = source(&fake, &stored, &hand);
    drain(&mut source, &mut stored).await;
    hand.move_to(noon().plus(Span::seconds(60)));
    {
        let mut world = fake.world();
        world.created = hand.now();
        world.shards.clear();
        world.shards.insert("a".to_owned(), super::fake::Held::default());
        world.put("a", b"new");
    }
    let mut life = drain(&mut source, &mut stored).await;
    hand.move_to(hand.now().plus(Span::seconds(31)));
    life.batches.extend(drain(&mut source, &mut stored).await.batches);
    assert_eq!(life.texts(), ["new"]);
    assert_eq!(life.gaps(), [format!("stream@{}", noon().plus(Span::seconds(60)).millis())]);
    assert_eq!(stored.0.keys().collect::<Vec<_>>(), ["a", "stream"]);
}

#[tokio::test]
async fn the_first_start_is_remembered_so_that_a_later_one_leaves_nothing_out() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), &["a"]).await;
    fake.world().put("a", b"before");
    hand.move_to(noon().plus(Span::seconds(7_200)));
    let settings = serde_json::from_value(json!({"stream": "audit", "start": "1h"})).unwrap();
    let open = |stored: &Mark| {
        Kinesis::with_client(&settings, stored, Clock::Hand(hand.clone()), fake.client.clone()).unwrap()
    };
    let mut stored = Mark::default();
    // It is killed right behind the first thing that it says.
    let Next::Batch(first) = next(&mut open(&stored)).await.unwrap() else { panic!("no batch") };
    assert!(first.records.is_empty());
    keep(&mut stored, &first.mark);
    fake.world().put("a", b"meanwhile");
    hand.move_to(noon().plus(Span::seconds(30_000)));
    assert_eq!(drain(&mut open(&stored), &mut stored).await.texts(), ["meanwhile"]);
}

#[tokio::test]
async fn a_shard_that_may_not_be_read_needs_a_person_and_holds_up_no_other() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), &["a", "b"]).await;
    fake.world().shards.get_mut("a").unwrap().forbidden = true;
    fake.world().put("b", b"{}");
    let mut source = source(&fake, &Mark::default(), &hand);
    let (mut texts, mut errors) = (0, Vec::new());
    while texts == 0 || errors.len() < 3 {
        match next(&mut source).await {
            Ok(Next::Batch(batch)) => texts += batch.records.len(),
            Ok(Next::Idle) => panic!("a source that cannot read everything never says that it has"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => errors.push(error),
        }
    }
    assert_eq!((texts, errors[0].remedy, errors[0].doing.as_str()), (1, Remedy::Person, "read a of stream audit"));
}

#[tokio::test]
async fn looks_at_a_shard_keep_within_what_aws_allows_and_an_old_iterator_is_renewed() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind { page: 1, ..Unkind::default() }, &["a"]).await;
    for _ in 0..20 {
        fake.world().put("a", b"{}");
    }
    let mut source = source(&fake, &Mark::default(), &hand);
    let mut stored = Mark::default();
    assert_eq!(drain(&mut source, &mut stored).await.positions().len(), 20);
    let seconds = hand.now().since(noon()).micros() as f64 / 1e6;
    assert!(seconds >= 19.0 / 4.0, "20 looks in {seconds} s");
    // Paused for longer than an iterator lives.
    hand.move_to(hand.now().plus(Span::seconds(600)));
    fake.world().put("a", b"{}");
    let life = drain(&mut source, &mut stored).await;
    assert_eq!((life.positions().len(), life.errors.len()), (1, 0));
    let kinds: Vec<String> = fake.world().asked.iter().map(|asked| asked.kind.clone()).collect();
    assert_eq!(kinds, ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER"]);
}

#[tokio::test]
async fn a_caller_that_drops_the_call_over_and_over_loses_nothing() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), UNKIND, &["a", "b"]).await;
    for number in 0..200 {
        fake.world().put(["a", "b"][number % 2], b"{}");
    }
    let mut source = source(&fake, &Mark::default(), &hand);
    let mut count = 0;
    let patience = tokio::time::Instant::now() + PATIENCE;
    while count < 200 {
        assert!(tokio::time::Instant::now() < patience, "the source starves");
        tokio::select! {
            biased;
            next = source.next() => if let Ok(Next::Batch(batch)) = next { count += batch.records.len() },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(count, 200);
}

#[tokio::test]
async fn a_listing_that_fails_is_told_and_tried_again() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind { fail_every: 1, ..Unkind::default() }, &["a"]).await;
    let mut source = source(&fake, &Mark::default(), &hand);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!((error.remedy, error.doing.as_str()), (Remedy::Wait, "describe stream audit"));
    fake.world().unkind = Unkind::default();
    assert!(matches!(next_after_drops(&mut source).await, Next::Batch(_)));
}
