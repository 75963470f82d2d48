//! moto's server: an AWS that others wrote, spoken to without its SDK.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{PATIENCE, loudly};

/// Where everything is.
pub(crate) const REGION: &str = "us-east-1";

/// A running server; stopped when dropped.
pub(crate) struct Moto {
    child: Child,
    /// Its URL.
    pub(crate) address: String,
    client: reqwest::Client,
}

impl Drop for Moto {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Moto {
    /// None where it is not installed, which is said loudly. In CI it must be.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("moto_server");
        let spawned = command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "moto_server is needed in CI: {error}");
                loudly(&format!("SKIPPED: moto_server is not on PATH ({error}); make venv"));
                return None;
            }
        };
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let (found, address) = std::sync::mpsc::channel();
        // Reads on to the end: a full pipe would stop the server.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on ") {
                    drop(found.send(address.trim().to_owned()));
                }
            }
        });
        let address = address.recv_timeout(PATIENCE).expect("moto_server says where it listens");
        Some(Self { child, address, client: reqwest::Client::new() })
    }

    /// One request of the protocol that most services speak. moto reads of the signature whose it is.
    pub(crate) async fn ask(&self, service: &str, target: &str, body: &Value) -> Value {
        let scope = format!("test/20261130/{REGION}/{service}/aws4_request");
        let request = self
            .client
            .post(&self.address)
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .header("Authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"))
            .body(body.to_string());
        let answer = request.send().await.expect("moto answers");
        let status = answer.status();
        let text = answer.text().await.expect("an answer has a body");
        assert!(status.is_success(), "{target}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Makes a log group with one stream.
    pub(crate) async fn log_group(&self, group: &str) {
        self.ask("logs", "Logs_20140328.CreateLogGroup", &json!({"logGroupName": group})).await;
        let stream = json!({"logGroupName": group, "logStreamName": "stream"});
        self.ask("logs", "Logs_20140328.CreateLogStream", &stream).await;
    }

    /// Puts events of these times, in milliseconds, into a log group: 10,000 at most.
    pub(crate) async fn log<I: Iterator<Item = (i64, String)>>(&self, group: &str, events: I) {
        let events: Vec<Value> = events.map(|(at, message)| json!({"timestamp": at, "message": message})).collect();
        let body = json!({"logGroupName": group, "logStreamName": "stream", "logEvents": events});
        let answer = self.ask("logs", "Logs_20140328.PutLogEvents", &body).await;
        assert!(answer["rejectedLogEventsInfo"].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
    }

    /// Sends what comes into a log group on to a stream.
    pub(crate) async fn subscribe(&self, group: &str, stream: &str) {
        let body = json!({
            "logGroupName": group, "filterName": "all", "filterPattern": "",
            "destinationArn": format!("arn:aws:kinesis:{REGION}:123456789012:stream/{stream}"),
            "roleArn": "arn:aws:iam::123456789012:role/to-kinesis",
        });
        self.ask("logs", "Logs_20140328.PutSubscriptionFilter", &body).await;
    }

    /// Makes a data stream.
    pub(crate) async fn stream(&self, stream: &str, shards: usize) {
        let body = json!({"StreamName": stream, "ShardCount": shards});
        self.ask("kinesis", "Kinesis_20131202.CreateStream", &body).await;
    }

    /// Puts records into a data stream: 500 at most.
    pub(crate) async fn put<I: Iterator<Item = String>>(&self, stream: &str, records: I) {
        let record = |(number, text): (usize, String)| json!({"PartitionKey": format!("key-{number}"), "Data": STANDARD.encode(text)});
        let records: Vec<Value> = records.enumerate().map(record).collect();
        self.ask("kinesis", "Kinesis_20131202.PutRecords", &json!({"StreamName": stream, "Records": records})).await;
    }
}
