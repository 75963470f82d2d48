//! Compatibility with a Kinesis that others wrote: moto's server, and what its CloudWatch Logs sends there.

use std::collections::BTreeSet;

use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use serde_json::{Value, json};

use super::{Kinesis, Settings, aggregate};
use crate::clock::{Clock, Hand};
use crate::source::aws::moto::{self, Moto};
use crate::source::{Batch, Body, Mark, Next, Source};

async fn put(client: &Client, records: impl Iterator<Item = Vec<u8>>) {
    let records: Vec<Vec<u8>> = records.collect();
    for chunk in records.chunks(500) {
        let entry = |(number, data): (usize, &Vec<u8>)| {
            let data = Blob::new(data.clone());
            PutRecordsRequestEntry::builder().partition_key(format!("key-{number}")).data(data).build().unwrap()
        };
        let entries = chunk.iter().enumerate().map(entry).collect();
        client.put_records().stream_name("audit").set_records(Some(entries)).send().await.unwrap();
    }
}

fn settings(address: &str) -> Settings {
    serde_json::from_value(json!({"stream": "audit", "region": "eu-central-1", "endpoint_url": address})).unwrap()
}

/// Batches up to the first time that there is nothing.
async fn read(source: &mut Kinesis, mark: &mut Mark) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        match source.next().await.unwrap() {
            Next::Batch(batch) => {
                mark.0.extend(batch.mark.0.clone());
                batches.push(batch);
            }
            Next::Idle => return batches,
            other => panic!("{other:?}"),
        }
    }
}

fn bodies(batches: &[Batch]) -> Vec<Value> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records
        .map(|record| {
            let Body::Whole(body) = &record.body else { panic!("refused") };
            serde_json::from_slice(body).unwrap()
        })
        .collect()
}

#[tokio::test]
async fn records_of_four_shards_in_moto_are_read_once_and_on_from_the_mark_after_a_restart() {
    let Some(server) = Moto::start() else { return };
    let client = Client::new(&moto::config(&server.address));
    client.create_stream().stream_name("audit").shard_count(4).send().await.unwrap();
    put(&client, (0..3_000).map(|number| json!({"number": number}).to_string().into_bytes())).await;
    let clock = Clock::Hand(Hand::at(Clock::Wall.now()));
    let open =
        |mark: &Mark| Kinesis::with_client(&settings(&server.address), mark, clock.clone(), client.clone()).unwrap();
    let mut mark = Mark::default();
    let mut source = open(&mark);
    let batches = read(&mut source, &mut mark).await;
    let numbers: BTreeSet<i64> = bodies(&batches).iter().map(|body| body["number"].as_i64().unwrap()).collect();
    assert_eq!((bodies(&batches).len(), numbers.len()), (3_000, 3_000));
    assert_eq!(batches.last().unwrap().partitions.len(), 4);

    let packed = [json!({"number": 3_000}).to_string(), json!({"number": 3_001}).to_string()];
    let packed: Vec<&[u8]> = packed.iter().map(String::as_bytes).collect();
    put(&client, std::iter::once(aggregate::pack(&packed))).await;
    let rest = read(&mut open(&mark), &mut mark).await;
    assert_eq!(bodies(&rest), [json!({"number": 3_000}), json!({"number": 3_001})]);
}

#[tokio::test]
async fn what_a_subscription_of_cloudwatch_logs_sends_in_moto_comes_as_its_payload() {
    let Some(server) = Moto::start() else { return };
    let config = moto::config(&server.address);
    let (client, logs) = (Client::new(&config), aws_sdk_cloudwatchlogs::Client::new(&config));
    client.create_stream().stream_name("audit").shard_count(2).send().await.unwrap();
    logs.create_log_group().log_group_name("trail").send().await.unwrap();
    logs.create_log_stream().log_group_name("trail").log_stream_name("one").send().await.unwrap();
    let arn = "arn:aws:kinesis:eu-central-1:123456789012:stream/audit";
    let subscription = logs.put_subscription_filter().log_group_name("trail").filter_name("all").filter_pattern("");
    subscription.destination_arn(arn).role_arn("arn:aws:iam::123456789012:role/to-kinesis").send().await.unwrap();
    let now_ms = Clock::Wall.now().millis();
    let event = |number: i64| {
        let message = json!({"eventName": "StopLogging", "number": number}).to_string();
        InputLogEvent::builder().timestamp(now_ms + number).message(message).build().unwrap()
    };
    let put = logs.put_log_events().log_group_name("trail").log_stream_name("one");
    put.set_log_events(Some((0..50).map(event).collect())).send().await.unwrap();
    let clock = Clock::Hand(Hand::at(Clock::Wall.now()));
    let settings = settings(&server.address);
    let mut source = Kinesis::with_client(&settings, &Mark::default(), clock, client).unwrap();
    let bodies = bodies(&read(&mut source, &mut Mark::default()).await);
    let events: usize = bodies.iter().map(|body| body["logEvents"].as_array().unwrap().len()).sum();
    assert_eq!(
        (&bodies[0]["messageType"], &bodies[0]["logGroup"], events),
        (&json!("DATA_MESSAGE"), &json!("trail"), 50)
    );
}

#[tokio::test]
async fn a_probe_says_that_the_stream_is_missing_or_how_many_shards_it_has() {
    let Some(server) = Moto::start() else { return };
    let client = Client::new(&moto::config(&server.address));
    let probe = async || super::probe::probe_with(&client, &settings(&server.address)).await;
    let missing = probe().await;
    assert_eq!(missing.len(), 1);
    let said = missing[0].to_string();
    assert!(said.starts_with("stream audit: FAILS: describe stream audit: "), "{said}");
    assert!(said.ends_with("mend its name, region or account"), "{said}");
    client.create_stream().stream_name("audit").shard_count(3).send().await.unwrap();
    let said: Vec<String> = probe().await.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "stream audit: 3 shards, keeps records for 24 h");
    assert!(said[1].ends_with("readable, 0 records in a first look"), "{said:?}");
}
