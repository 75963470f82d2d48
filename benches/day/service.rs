//! The service as a child, and what can be seen of it from outside.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// What senders show.
pub(crate) const TOKEN: &str = "a-token-for-the-bench";
/// What the store adds to an alert.
const STORED: [&str; 4] = ["revision", "state", "received", "updated"];
/// Linux counts the time of threads in hundredths of a second.
const TICKS: f64 = 100.0;

/// Killed when dropped: it must bear that anyway.
pub(crate) struct Lapwing {
    child: Child,
    address: SocketAddr,
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_lapwing"))
            .args(["run", "--config"])
            .arg(&config)
            .env("BENCH_TOKEN", TOKEN)
            .env("BENCH_SECRET", "0123456789abcdef0123456789abcdef")
            .stderr(Stdio::piped())
            .spawn()
            .context("start lapwing")?;
        let mut log = BufReader::new(child.stderr.take().context("read its log")?);
        let mut read = String::new();
        let address = loop {
            let begin = read.len();
            ensure!(log.read_line(&mut read)? > 0, "lapwing did not start:\n{read}");
            if let Some((_, address)) = read[begin..].split_once("listening address=") {
                break address.trim().parse().context("read its address")?;
            }
        };
        // What it says from now on is shown: a run that warns is no clean run.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::stderr()));
        Ok(Self { child, address, client: reqwest::Client::new() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait().context("look after lapwing")?;
        ended.map_or(Ok(()), |status| anyhow::bail!("lapwing ended: {status}"))
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await?;
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
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("find its peak memory")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("read its peak memory")?;
        Ok(kibibytes << 10)
    }

    /// Processor time in seconds by name of thread, numbers at the end of a name left out.
    pub(crate) fn threads(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let mut threads = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between being listed and being read.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
            let (name, ticks) = name_and_ticks(&stat).context("read a thread's time")?;
            let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            *threads.entry(name.to_owned()).or_default() += ticks / TICKS;
        }
        let all = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, ticks) = name_and_ticks(&all).context("read its time")?;
        let ended = ticks / TICKS - threads.values().sum::<f64>();
        threads.insert("threads that have ended".to_owned(), ended.max(0.0));
        Ok(threads)
    }
}

impl Drop for Lapwing {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Name, and time in user and system mode, of a line of `/proc/…/stat`.
fn name_and_ticks(stat: &str) -> Option<(&str, f64)> {
    let (begin, rest) = stat.rsplit_once(')')?;
    let (_, name) = begin.split_once('(')?;
    // The state is field 3, the times are 14 and 15.
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((name, user + system))
}

/// Labels and value of each series of this name.
fn series<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (&'t str, f64)> {
    text.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value.parse().ok()?))
    })
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
