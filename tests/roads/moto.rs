//! CloudWatch Logs: moto's server, spoken to in its own protocol.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{Corpus, Home, loudly};
use crate::{reference, same, travel};

/// What one `PutLogEvents` may carry, with room to spare for its envelope: AWS allows 1 MiB and 10,000.
const PUT_BYTES_MAX: usize = 700_000;
const PUT_EVENTS_MAX: usize = 5_000;

/// A running server; stopped when dropped.
pub(crate) struct Moto {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Moto {
    /// None where it is not installed. In CI it must be.
    pub(crate) fn start() -> Option<Self> {
        let spawned = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "moto_server is needed in CI: {error}");
                loudly(&format!("SKIPPED: moto_server is not on PATH ({error}); `make venv` installs it"));
                return None;
            }
        };
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()))
            .expect("moto_server says where it listens");
        // Its request log would fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address })
    }

    async fn ask(&self, client: &reqwest::Client, action: &str, body: &Value) {
        // moto reads the service and the region from the signature and checks nothing else of it.
        let scope =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=0";
        let answer = client
            .post(&self.address)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{action}"))
            .header("authorization", scope)
            .body(body.to_string())
            .send()
            .await
            .expect("moto answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success() && !text.contains("rejectedLogEventsInfo"), "{action}: {status} {text}");
    }

    /// Puts every record, in order, each a millisecond after the one before, the last of them a minute ago.
    async fn fill(&self, lines: &[String]) {
        let client = reqwest::Client::new();
        let stream = json!({"logGroupName": "trail", "logStreamName": "one"});
        self.ask(&client, "CreateLogGroup", &json!({"logGroupName": "trail"})).await;
        self.ask(&client, "CreateLogStream", &stream).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
        let first = now - Duration::from_secs(60) - Duration::from_millis(lines.len() as u64);
        let (mut events, mut bytes) = (Vec::new(), 0);
        for (number, line) in lines.iter().enumerate() {
            if bytes + line.len() > PUT_BYTES_MAX || events.len() == PUT_EVENTS_MAX {
                self.put(&client, &stream, std::mem::take(&mut events)).await;
                bytes = 0;
            }
            bytes += line.len();
            events.push(json!({"timestamp": first.as_millis() as u64 + number as u64, "message": line}));
        }
        self.put(&client, &stream, events).await;
    }

    async fn put(&self, client: &reqwest::Client, stream: &Value, events: Vec<Value>) {
        let mut body = stream.clone();
        body["logEvents"] = Value::Array(events);
        self.ask(client, "PutLogEvents", &body).await;
    }
}

#[tokio::test]
async fn a_log_group_leads_to_the_same_alerts_as_a_file() {
    let Some(moto) = Moto::start() else { return };
    moto.fill(Corpus::open().lines()).await;
    let home = Home::new();
    let system = format!(
        "cloudwatch: {{log_groups: [trail], endpoint_url: \"{}\", region: us-east-1, start: 1h, requests_per_second: 100}}",
        moto.address
    );
    let road = travel(&home, &system, async |_| {}).await;
    same(&road, reference().await);
}
