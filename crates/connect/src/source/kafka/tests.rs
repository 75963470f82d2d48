use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use super::{Kafka, Settings};
use crate::source::contract::{hands_out_again_what_was_not_committed, yields_all_in_order};
use crate::source::{Batch, Body, Mark, Next, Record, Remedy, Source, SourceError};

/// A group join takes seconds, a rebalance about ten. A test that waits this long hangs.
const PATIENCE: Duration = Duration::from_secs(90);

type Cluster = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("events", partitions, 1).unwrap();
    cluster
}

fn settings(cluster: &Cluster, topic: &str) -> Settings {
    serde_json::from_value(json!({
        "brokers": [cluster.bootstrap_servers()],
        "topics": [topic],
        "group": "lapwing",
        "client": {"session.timeout.ms": "3000", "heartbeat.interval.ms": "300"},
    }))
    .unwrap()
}

fn open(cluster: &Cluster, stored: &Mark) -> Kafka {
    Kafka::open(&settings(cluster, "events"), stored).unwrap()
}

fn mark(positions: &[(&str, &str)]) -> Mark {
    Mark(positions.iter().map(|(name, offset)| ((*name).to_owned(), (*offset).to_owned())).collect())
}

/// Sends `numbers` to a partition, each as its own payload; none as a tombstone.
async fn produce(cluster: &Cluster, partition: i32, payloads: impl IntoIterator<Item = Option<u32>>) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for payload in payloads {
        let text = payload.map(|number| number.to_string());
        let mut record = FutureRecord::<str, str>::to("events").partition(partition).key("key");
        if let Some(text) = &text {
            record = record.payload(text);
        }
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error).unwrap();
    }
}

/// A position without the record's time.
fn place(position: &str) -> &str {
    position.split_once('~').expect("the broker knows a time").0
}

async fn next(source: &mut Kafka) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

/// Batches until `count` records have come.
async fn read(source: &mut Kafka, count: usize) -> (Vec<Record>, Vec<Mark>) {
    let (mut records, mut marks) = (Vec::new(), Vec::new());
    while records.len() < count {
        match next(source).await.unwrap() {
            Next::Batch(Batch { records: more, mark, .. }) => {
                records.extend(more);
                marks.push(mark);
            }
            Next::Idle => {}
            other => panic!("{other:?}"),
        }
    }
    (records, marks)
}

fn numbers(records: &[Record]) -> Vec<u32> {
    let number = |record: &Record| match &record.body {
        Body::Whole(body) => String::from_utf8(body.to_vec()).unwrap().parse().unwrap(),
        refused @ Body::Refused { .. } => panic!("{refused:?}"),
    };
    records.iter().map(number).collect()
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let cluster = cluster(1);
    let records: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    produce(&cluster, 0, (0..20).map(Some)).await;
    let open = async || open(&cluster, &Mark::default());
    hands_out_again_what_was_not_committed(open, &records).await;
    produce(&cluster, 0, (20..40).map(Some)).await;
    let records: Vec<String> = (20..40).map(|number| number.to_string()).collect();
    yields_all_in_order(&mut open().await, &records).await;
}

#[tokio::test]
async fn records_come_in_order_with_their_offsets_and_then_there_is_nothing() {
    let cluster = cluster(1);
    produce(&cluster, 0, (0..20).map(Some)).await;
    let mut source = open(&cluster, &Mark::default());
    let (records, marks) = read(&mut source, 20).await;
    assert_eq!(numbers(&records), (0..20).collect::<Vec<_>>());
    assert_eq!(place(&records[7].position), "events/0@7");
    assert_eq!(marks.last().unwrap(), &mark(&[("events/0", "20")]));
    assert!(matches!(next(&mut source).await, Ok(Next::Idle)));
}

#[tokio::test]
async fn the_next_consumer_of_the_group_goes_on_after_what_was_committed_and_repeats_the_rest() {
    let cluster = cluster(1);
    produce(&cluster, 0, (0..10).map(Some)).await;
    let mut first = open(&cluster, &Mark::default());
    read(&mut first, 10).await;
    first.commit(mark(&[("events/0", "10")])).await.unwrap();
    produce(&cluster, 0, (10..15).map(Some)).await;
    read(&mut first, 5).await;
    drop(first);
    let mut second = open(&cluster, &Mark::default());
    let (records, _) = read(&mut second, 5).await;
    assert_eq!(numbers(&records), [10, 11, 12, 13, 14]);
}

#[tokio::test]
async fn a_stored_mark_ahead_of_the_group_wins_and_one_behind_it_does_not() {
    let cluster = cluster(2);
    produce(&cluster, 0, (0..10).map(Some)).await;
    produce(&cluster, 1, (100..110).map(Some)).await;
    let mut first = open(&cluster, &Mark::default());
    read(&mut first, 20).await;
    first.commit(mark(&[("events/0", "5"), ("events/1", "5")])).await.unwrap();
    drop(first);
    let mut second = open(&cluster, &mark(&[("events/0", "8"), ("events/1", "2")]));
    let (records, _) = read(&mut second, 7).await;
    let numbers: BTreeSet<u32> = numbers(&records).into_iter().collect();
    assert_eq!(numbers, BTreeSet::from([8, 9, 105, 106, 107, 108, 109]));
}

#[tokio::test]
async fn a_tombstone_is_skipped_and_its_offset_is_covered() {
    let cluster = cluster(1);
    produce(&cluster, 0, [Some(0), None, Some(2), None]).await;
    let mut source = open(&cluster, &Mark::default());
    let mut records = Vec::new();
    let mut covered = BTreeMap::new();
    while covered.get("events/0").map(String::as_str) != Some("4") {
        let Next::Batch(batch) = next(&mut source).await.unwrap() else { continue };
        records.extend(batch.records);
        covered.extend(batch.mark.0);
    }
    let positions: Vec<&str> = records.iter().map(|record| place(&record.position)).collect();
    assert_eq!(positions, ["events/0@0", "events/0@2"]);
}

#[tokio::test]
async fn partitions_keep_their_own_order_and_their_own_marks() {
    let cluster = cluster(2);
    produce(&cluster, 0, (0..700).map(Some)).await;
    produce(&cluster, 1, (1_000..1_300).map(Some)).await;
    let mut source = open(&cluster, &Mark::default());
    let (records, marks) = read(&mut source, 1_000).await;
    let all = numbers(&records);
    let (even, odd): (Vec<u32>, Vec<u32>) = all.iter().partition(|number| **number < 1_000);
    assert_eq!(even, (0..700).collect::<Vec<_>>());
    assert_eq!(odd, (1_000..1_300).collect::<Vec<_>>());
    let covered: BTreeMap<String, String> = marks.into_iter().flat_map(|mark| mark.0).collect();
    assert_eq!(Mark(covered), mark(&[("events/0", "700"), ("events/1", "300")]));
}

#[tokio::test]
async fn brokers_that_do_not_answer_are_waited_for() {
    let mut source = {
        let cluster = cluster(1);
        // The brokers end with this block.
        open(&cluster, &Mark::default())
    };
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Wait);
}

#[tokio::test]
async fn a_broker_that_was_away_is_read_on_and_silence_is_believed_again() {
    let cluster = cluster(1);
    produce(&cluster, 0, (0..3).map(Some)).await;
    let mut source = open(&cluster, &Mark::default());
    read(&mut source, 3).await;
    cluster.broker_down(1).unwrap();
    let error = loop {
        match next(&mut source).await {
            Ok(Next::Idle) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.remedy, Remedy::Wait);
    cluster.broker_up(1).unwrap();
    produce(&cluster, 0, (3..6).map(Some)).await;
    let mut seen = Vec::new();
    loop {
        match next(&mut source).await {
            Ok(Next::Batch(batch)) => seen.extend(numbers(&batch.records)),
            Ok(Next::Idle) if seen == [3, 4, 5] => break,
            Ok(Next::Idle | Next::Revoked(_) | Next::Exhausted) | Err(_) => {}
        }
    }
}

#[tokio::test]
async fn a_commit_that_the_broker_refuses_is_reported() {
    let cluster = cluster(1);
    produce(&cluster, 0, [Some(0)]).await;
    let mut source = open(&cluster, &Mark::default());
    let (_, marks) = read(&mut source, 1).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[refusal]);
    let error = source.commit(marks[0].clone()).await.unwrap_err();
    assert_eq!((error.remedy, error.doing.as_str()), (Remedy::Person, "commit offsets"));
    source.commit(marks[0].clone()).await.unwrap();
}

#[tokio::test]
async fn a_topic_that_does_not_exist_needs_a_person() {
    let cluster = cluster(1);
    cluster.topic_error("absent", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let mut source = Kafka::open(&settings(&cluster, "absent"), &Mark::default()).unwrap();
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Person);
}

#[tokio::test]
async fn a_property_that_librdkafka_refuses_is_named_without_its_value() {
    let mut settings = settings(&cluster(1), "events");
    settings.client = serde_json::from_value(json!({"no.such.property": "hunter2"})).unwrap();
    let error = Kafka::open(&settings, &Mark::default()).err().unwrap();
    assert_eq!(error.remedy, Remedy::Person);
    assert!(error.doing.contains("no.such.property") && !format!("{error:?}").contains("hunter2"), "{error:?}");
}
