//! Compatibility with a CloudWatch Logs that others wrote: moto's server.

use std::collections::BTreeSet;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use serde_json::{Value, json};

use super::CloudWatch;
use crate::clock::{Clock, Hand};
use crate::source::aws::moto::{self, Moto};
use crate::source::{Batch, Body, Mark, Next, Source};

const EVENTS: i64 = 500;

async fn fill(client: &Client, clock: &Clock) {
    client.create_log_group().log_group_name("trail").send().await.unwrap();
    for stream in ["one", "two"] {
        client.create_log_stream().log_group_name("trail").log_stream_name(stream).send().await.unwrap();
        let first_ms = clock.now().millis() - 300_000;
        let event = |number: i64| {
            let message = json!({"stream": stream, "number": number}).to_string();
            InputLogEvent::builder().timestamp(first_ms + number).message(message).build().unwrap()
        };
        let put = client.put_log_events().log_group_name("trail").log_stream_name(stream);
        put.set_log_events(Some((0..EVENTS / 2).map(event).collect())).send().await.unwrap();
    }
}

/// Batches up to the first time that there is nothing.
async fn read(source: &mut CloudWatch) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        match source.next().await.unwrap() {
            Next::Batch(batch) => batches.push(batch),
            Next::Idle => return batches,
            other => panic!("{other:?}"),
        }
    }
}

fn messages(batches: &[Batch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records
        .map(|record| {
            let Body::Whole(body) = &record.body else { panic!("refused") };
            let event: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(event["logGroup"], "trail");
            event["message"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn five_hundred_events_in_moto_are_read_once_and_again_after_a_restart() {
    let Some(server) = Moto::start() else { return };
    let client = Client::new(&moto::config(&server.address));
    let clock = Clock::Hand(Hand::at(Clock::Wall.now()));
    fill(&client, &clock).await;
    let settings = serde_json::from_value(json!({"log_groups": ["trail"]})).unwrap();
    let mut source = CloudWatch::with_client(&settings, &Mark::default(), clock.clone(), client.clone()).unwrap();
    let batches = read(&mut source).await;
    let first = messages(&batches);
    assert_eq!(first.len(), 500);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(messages(&read(&mut source).await).len(), 0);

    // What the overlap covers repeats with the same positions; the service counts it once.
    let stored = batches.last().unwrap().mark.clone();
    let mut restarted = CloudWatch::with_client(&settings, &stored, clock, client).unwrap();
    let again = read(&mut restarted).await;
    let positions = |batches: &[Batch]| -> BTreeSet<String> {
        batches.iter().flat_map(|batch| &batch.records).map(|record| record.position.clone()).collect()
    };
    assert_eq!(positions(&again), positions(&batches));
}
