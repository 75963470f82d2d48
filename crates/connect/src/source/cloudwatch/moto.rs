//! Compatibility with a CloudWatch Logs that others wrote: moto's server.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use serde_json::{Value, json};

use super::{CloudWatch, fake};
use crate::clock::{Clock, Hand};
use crate::source::{Batch, Body, Mark, Next, Source};

const EVENTS: i64 = 500;

/// A cold Python on a busy machine takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; stopped when dropped.
struct Moto {
    child: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Moto {
    /// None where it is not installed. In CI it must be.
    fn start() -> Option<Self> {
        let spawned = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "moto_server is needed in CI: {error}");
                // The runner hides what `eprintln!` writes.
                writeln!(
                    std::io::stderr(),
                    "SKIPPED: moto_server is not on PATH ({error}); pip install 'moto[server]'"
                )
                .unwrap();
                return None;
            }
        };
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, address) = std::sync::mpsc::channel();
        // Reads on to the end: a full pipe would stop the server.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on ") {
                    found.send(address.trim().to_owned()).unwrap();
                }
            }
        });
        let address = address.recv_timeout(PATIENCE).expect("moto_server did not say where it listens");
        Some(Self { child, address })
    }
}

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
    let Some(moto) = Moto::start() else { return };
    let client = fake::client(&moto.address);
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
