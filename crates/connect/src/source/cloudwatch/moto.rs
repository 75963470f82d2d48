//! Compatibility with a CloudWatch Logs that others wrote: moto's server.

use std::collections::BTreeSet;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use serde_json::{Value, json};

use super::budget::Budget;
use super::{CloudWatch, Settings};
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
    let settings: Settings = serde_json::from_value(json!({"log_groups": ["trail"]})).unwrap();
    let open = |mark: &Mark| {
        let budget = Budget::alone(settings.requests_per_second);
        CloudWatch::with_client(&settings, mark, clock.clone(), client.clone(), budget).unwrap()
    };
    let mut source = open(&Mark::default());
    let batches = read(&mut source).await;
    let first = messages(&batches);
    assert_eq!(first.len(), 500);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(messages(&read(&mut source).await).len(), 0);

    // What the overlap covers repeats with the same positions; the service counts it once.
    let stored = batches.last().unwrap().mark.clone();
    let mut restarted = open(&stored);
    let again = read(&mut restarted).await;
    let positions = |batches: &[Batch]| -> BTreeSet<String> {
        batches.iter().flat_map(|batch| &batch.records).map(|record| record.position.clone()).collect()
    };
    assert_eq!(positions(&again), positions(&batches));
}

#[tokio::test]
async fn a_group_of_another_account_is_read_by_a_role() {
    let Some(server) = Moto::start() else { return };
    let other = || crate::source::aws::Role {
        arn: "arn:aws:iam::210987654321:role/lapwing-reads".to_owned(),
        external_id: Some("lapwing".to_owned()),
        endpoint_url: Some(server.address.clone()),
    };
    let assumed = crate::source::aws::assume(&other(), moto::loaded(&server.address).await).await;
    let (ours, theirs) = (Client::new(&moto::config(&server.address)), Client::new(&assumed));
    let clock = Clock::Hand(Hand::at(Clock::Wall.now()));
    fill(&theirs, &clock).await;
    let settings: Settings = serde_json::from_value(json!({"log_groups": ["trail"]})).unwrap();
    let open = |client: &Client| {
        let budget = Budget::alone(settings.requests_per_second);
        CloudWatch::with_client(&settings, &Mark::default(), clock.clone(), client.clone(), budget).unwrap()
    };
    assert_eq!(messages(&read(&mut open(&theirs)).await).len(), 500);
    assert!(open(&ours).next().await.is_err(), "in our own account there is no such group");
}

#[tokio::test]
async fn a_probe_says_which_group_is_missing() {
    let Some(server) = Moto::start() else { return };
    let client = Client::new(&moto::config(&server.address));
    fill(&client, &Clock::Wall).await;
    let settings: Settings =
        serde_json::from_value(json!({"log_groups": ["trail", "trial"], "log_group_prefixes": ["tr", "app"]})).unwrap();
    let probes = super::probe::probe_with(&client, &settings).await;
    let said: Vec<String> = probes.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "log group trail: readable, 0 events in the last minute");
    assert!(said[1].starts_with("log group trial: FAILS: read log group trial: "), "{said:?}");
    assert!(said[1].ends_with(": create it, or mend its name, region or account"), "{said:?}");
    assert_eq!(said[2..4], ["log groups tr*: 1 groups have such a name", said[0].as_str()]);
    assert!(said[4].starts_with("log groups app*: FAILS: none in this account"), "{said:?}");
}
