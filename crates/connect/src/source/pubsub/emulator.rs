//! Against Google's own emulator of Pub/Sub, where it is installed: a check that the fake and the real API agree.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};

use super::{Pubsub, Settings, probe};
use crate::clock::Clock;
use crate::source::contract::numbered;
use crate::source::{Next, Source};

/// Where Debian's package of Google's puts it.
const PLACE: &str = "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/bin/cloud-pubsub-emulator";
const SUBSCRIPTION: &str = "projects/acme/subscriptions/lapwing";
/// A machine that is busy takes its time to start a Java runtime.
const PATIENCE: Duration = Duration::from_secs(120);

/// An emulator, ended with the test.
struct Emulator {
    child: Child,
    url: String,
    client: Client,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // What has ended already need not be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Emulator {
    /// Nothing where there is none: then that is said, and with `PUBSUB_EMULATOR` set it is a failure.
    async fn start() -> Option<Self> {
        let named = std::env::var_os("PUBSUB_EMULATOR").map(PathBuf::from);
        let program = named.clone().unwrap_or_else(|| PLACE.into());
        if !program.exists() {
            assert!(named.is_none(), "PUBSUB_EMULATOR: {} is not there", program.display());
            // The runner hides what `eprintln!` writes.
            writeln!(std::io::stderr(), "SKIPPED: Google's emulator of Pub/Sub is not installed ({PLACE})").unwrap();
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Java itself takes the script's place, so that the child is what is killed.
        let child = Command::new(program)
            .args(["--host=127.0.0.1", &format!("--port={port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let emulator = Self { child, url: format!("http://127.0.0.1:{port}"), client: Client::new() };
        let patience = tokio::time::Instant::now() + PATIENCE;
        while emulator.put("topics/audit", json!({})).await.is_none() {
            assert!(tokio::time::Instant::now() < patience, "the emulator does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let subscription = json!({"topic": "projects/acme/topics/audit", "ackDeadlineSeconds": 10});
        emulator.put("subscriptions/lapwing", subscription).await.unwrap();
        Some(emulator)
    }

    async fn put(&self, path: &str, body: Value) -> Option<()> {
        let request = self.client.put(format!("{}/v1/projects/acme/{path}", self.url)).json(&body);
        request.send().await.ok()?.error_for_status().ok().map(drop)
    }

    async fn publish(&self, texts: &[String]) {
        for texts in texts.chunks(500) {
            let messages: Vec<Value> = texts.iter().map(|text| json!({"data": STANDARD.encode(text)})).collect();
            let url = format!("{}/v1/projects/acme/topics/audit:publish", self.url);
            let sent = self.client.post(url).json(&json!({"messages": messages})).send().await.unwrap();
            sent.error_for_status().unwrap();
        }
    }

    fn settings(&self) -> Settings {
        serde_json::from_value(json!({"subscription": SUBSCRIPTION, "endpoint": self.url, "credentials": "none"}))
            .unwrap()
    }
}

#[tokio::test]
async fn googles_emulator_is_read_to_its_end_over_a_crash_without_a_lost_or_a_repeated_message() {
    let Some(emulator) = Emulator::start().await else { return };
    let records = numbered(3_000);
    emulator.publish(&records).await;
    let probes = probe(&emulator.settings()).await;
    assert!(probes.iter().all(|probe| probe.found.is_ok()), "{probes:?}");

    let mut committed = BTreeMap::new();
    let mut first = Pubsub::open(&emulator.settings(), "first", Clock::Wall).unwrap();
    let mut open = 0;
    while open < 2 {
        let Next::Batch(batch) = first.next().await.unwrap() else { continue };
        // Every second batch is handed over and never stored before the crash.
        if committed.is_empty() {
            committed.extend(batch.records.iter().map(|record| (record.position.clone(), 1)));
            first.commit(batch.mark).await.unwrap();
        } else {
            open += 1;
        }
    }
    drop(first);

    let mut second = Pubsub::open(&emulator.settings(), "second", Clock::Wall).unwrap();
    while committed.len() < records.len() {
        let next = tokio::time::timeout(PATIENCE, second.next()).await.expect("the source hangs");
        let Next::Batch(batch) = next.unwrap() else { continue };
        for record in &batch.records {
            *committed.entry(record.position.clone()).or_insert(0) += 1;
        }
        second.commit(batch.mark).await.unwrap();
    }
    assert!(committed.values().all(|count| *count == 1), "what was acknowledged came again");
}
