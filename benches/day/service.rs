//! The service as a child, and what can be seen of it from outside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use lab::child::{Child, series};
use serde_json::Value;

/// What senders show.
pub(crate) const TOKEN: &str = "a-token-for-the-bench";
/// What the store adds to an alert.
const STORED: [&str; 4] = ["revision", "state", "received", "updated"];

/// Killed when dropped.
pub(crate) struct Lapwing {
    child: Child,
    client: reqwest::Client,
}

/// Durable commits: how many, and upper estimates of their time in seconds.
pub(crate) struct Commits {
    pub(crate) number: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Lapwing {
    /// Starts it with a store of its own and the shipped rules; it tells `receiver`.
    pub(crate) async fn start(folder: &Path, receiver: &str) -> anyhow::Result<Self> {
        let config = folder.join("lapwing.yaml");
        let text = format!(
            "data: {:?}\nlisten: 127.0.0.1:0\n\
             sources: {{push: {{kind: aws.cloudtrail, http: {{token: \"${{BENCH_TOKEN}}\"}}}}}}\n\
             sinks: {{soc: {{webhook: {{url: {receiver:?}, secret: \"${{BENCH_SECRET}}\"}}}}}}\n",
            folder.join("data").display().to_string(),
        );
        std::fs::write(&config, text).context("write configuration")?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_lapwing"));
        command.args(["run", "--config"]).arg(&config).env("BENCH_TOKEN", TOKEN);
        let child =
            Child::start(command.env("BENCH_SECRET", "0123456789abcdef0123456789abcdef"), "listening address=")?;
        Ok(Self { child, client: reqwest::Client::new() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.child.address()
    }

    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        Ok(self.child.lives()?)
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.client.get(format!("http://{}{path}", self.address())).send().await?;
        answer.error_for_status()?.text().await.with_context(|| format!("read {path}"))
    }

    /// The sum over all series of a metric.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.get("/metrics").await?;
        let values = series(&text, name).map(|(_, value)| value);
        Ok(values.sum())
    }

    pub(crate) async fn commits(&self) -> anyhow::Result<Commits> {
        let text = self.get("/metrics").await?;
        let buckets: Vec<(f64, f64)> = series(&text, "lapwing_commit_seconds_bucket")
            .filter_map(|(labels, count)| Some((bound(labels)?, count)))
            .collect();
        let number = buckets.last().map_or(0.0, |(_, count)| *count);
        Ok(Commits { number, p50: quantile(&buckets, 0.5), p99: quantile(&buckets, 0.99) })
    }

    /// All alerts that stand, in their canonical form, by id.
    pub(crate) async fn alerts(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut alerts = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page: Value = serde_json::from_str(&self.get(&format!("/api/v1/alerts?limit=500{cursor}")).await?)?;
            for row in page["alerts"].as_array().context("read a page of alerts")? {
                let mut alert = row.clone();
                let members = alert.as_object_mut().context("read an alert")?;
                members.retain(|name, _| !STORED.contains(&name.as_str()));
                alerts.insert(row["id"].as_str().unwrap_or_default().to_owned(), alert);
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&after={next}"),
                None => return Ok(alerts),
            }
        }
    }

    /// The most memory that it ever held.
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        Ok(self.child.peak_bytes()?)
    }

    /// Processor time in seconds by name of thread, numbers at the end of a name left out.
    pub(crate) fn threads(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        Ok(self.child.threads()?)
    }
}

fn bound(labels: &str) -> Option<f64> {
    let bound = labels.split_once("le=\"")?.1.split('"').next()?;
    if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() }
}

/// As Prometheus estimates it: evenly spread within a bucket.
fn quantile(buckets: &[(f64, f64)], share: f64) -> f64 {
    let wanted = buckets.last().map_or(0.0, |(_, count)| *count) * share;
    let (mut low, mut below) = (0.0, 0.0);
    for &(high, count) in buckets {
        if count >= wanted && count > below {
            return if high.is_finite() { low + (high - low) * (wanted - below) / (count - below) } else { low };
        }
        (low, below) = (high, count);
    }
    low
}
