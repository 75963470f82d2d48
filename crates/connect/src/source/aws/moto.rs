//! moto's server: an AWS that others wrote.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::config::{Credentials, SharedCredentialsProvider};

/// A cold Python on a busy machine takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; stopped when dropped.
pub(crate) struct Moto {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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

/// What a client of a local address is made from: it never retries, as the real ones never do.
pub(crate) fn config(address: &str) -> SdkConfig {
    let credentials = Credentials::new("example", "example", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(address)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The same with all that the SDK brings of its own, which whoever assumes a role needs.
pub(crate) async fn loaded(address: &str) -> SdkConfig {
    let credentials = Credentials::new("example", "example", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(address)
        .credentials_provider(credentials)
        .load()
        .await
}
