//! moto's server: an AWS that others wrote, spoken to in its own protocol.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::loudly;

/// A running server; stopped when dropped.
pub(crate) struct Moto {
    child: Child,
    address: String,
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

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks a service for an action, such as `logs` for `Logs_20140328.CreateLogGroup`.
    pub(crate) async fn ask(&self, client: &reqwest::Client, service: &str, target: &str, body: &Value) -> Value {
        // moto reads the service and the region from the signature and checks nothing else of it.
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = client
            .post(&self.address)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .header("authorization", scope)
            .body(body.to_string())
            .send()
            .await
            .expect("moto answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success() && !text.contains("rejectedLogEventsInfo"), "{target}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}
