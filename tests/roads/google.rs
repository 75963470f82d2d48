//! Google Cloud Pub/Sub: Google's own emulator, pulled from by the service.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Corpus, Home, loudly, until};
use crate::{differ, first_raised, reference, travel};

/// Where Debian's package of Google's puts it; `PUBSUB_EMULATOR` names another place.
const PLACE: &str = "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/bin/cloud-pubsub-emulator";

/// Messages of one request.
const PUBLISH_MAX: usize = 500;

/// A running emulator; stopped when dropped.
struct Emulator {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Emulator {
    /// None where it is not installed; where it is named it must be.
    async fn start() -> Option<Self> {
        let named = std::env::var_os("PUBSUB_EMULATOR").map(PathBuf::from);
        let program = named.clone().unwrap_or_else(|| PLACE.into());
        if !program.exists() {
            assert!(named.is_none(), "PUBSUB_EMULATOR: {} is not there", program.display());
            loudly(&format!("SKIPPED: Google's emulator of Pub/Sub is not installed ({PLACE})"));
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
        let child = Command::new(program)
            .args(["--host=127.0.0.1", &format!("--port={port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be started");
        let url = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
        let emulator = Self { child, url, client };
        until("the emulator to start", async || emulator.put("topics/audit", json!({})).await).await;
        let subscription = json!({"topic": "projects/acme/topics/audit", "ackDeadlineSeconds": 10});
        emulator.put("subscriptions/lapwing", subscription).await.expect("it takes a subscription");
        Some(emulator)
    }

    async fn put(&self, path: &str, body: Value) -> Option<()> {
        let request = self.client.put(format!("{}/v1/projects/acme/{path}", self.url)).json(&body);
        request.send().await.ok()?.error_for_status().ok().map(drop)
    }

    async fn publish(&self, lines: &[String]) {
        for lines in lines.chunks(PUBLISH_MAX) {
            let messages: Vec<Value> = lines.iter().map(|line| json!({"data": STANDARD.encode(line)})).collect();
            let url = format!("{}/v1/projects/acme/topics/audit:publish", self.url);
            let sent = self.client.post(url).json(&json!({"messages": messages})).send().await.expect("it answers");
            sent.error_for_status().expect("it takes messages");
        }
    }
}

#[tokio::test]
async fn a_subscription_leads_to_the_same_alerts_as_a_file() {
    let Some(emulator) = Emulator::start().await else { return };
    emulator.publish(Corpus::open().lines()).await;
    let home = Home::new();
    let system = format!(
        "pubsub: {{subscription: projects/acme/subscriptions/lapwing, endpoint: \"{}\", credentials: none}}",
        emulator.url
    );
    let road = travel(&home, &system, async |_| {}).await;
    // Pub/Sub promises no order, so people may be told in another; the alerts are the same.
    differ("alert", &road.alerts, &reference().await.alerts);
    first_raised(&road.messages);
}
