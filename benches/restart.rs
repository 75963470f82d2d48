//! A restart with a million keys of state: how long until it is ready, what the state takes on disk, and what keeping
//! it costs those who wait for a commit.
//!
//! Prints figures and fails above `READY_MAX`. `LAPWING_BENCH_KEYS` asks for another number.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::child::Child;
use lab::load;
use tokio::task::JoinSet;

/// Keys, unless told otherwise; as many as a rule set may hold by default.
const KEYS: usize = 1_000_000;
/// Events in one request.
const BATCH: usize = 512;
/// Requests at a time.
const CONNECTIONS: usize = 4;
/// Requests that come one at a time, once the state is there.
const ALONE: usize = 400;
/// From the start of the process to `/ready`.
const READY_MAX: Duration = Duration::from_secs(3);

/// Counts every key, and none high enough for an alert.
const RULES: &str = "
title: Sign-in
name: signin
id: 4a3c1c58-0d0c-4a4e-9c1d-6a3f5b0c7a01
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: ConsoleLogin}, condition: selection}
level: low
---
title: Many sign-ins
id: 4a3c1c58-0d0c-4a4e-9c1d-6a3f5b0c7a02
correlation:
  {type: event_count, rules: [signin], group-by: [userIdentity.userName], timespan: 1d, condition: {gte: 1000}}
level: medium
";

fn main() -> anyhow::Result<()> {
    let keys = match std::env::var("LAPWING_BENCH_KEYS") {
        Ok(number) => number.parse().context("read LAPWING_BENCH_KEYS")?,
        Err(_) => KEYS,
    };
    let folder = tempfile::tempdir().context("make a folder")?;
    configure(folder.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start runtime")?;
    runtime.block_on(measure(folder.path(), keys))
}

async fn measure(folder: &Path, keys: usize) -> anyhow::Result<()> {
    let lapwing = Lapwing::start(folder)?;
    let start = Instant::now();
    let answers = send(lapwing.child.address(), 0..keys.div_ceil(BATCH), CONNECTIONS).await?;
    let took = start.elapsed().as_secs_f64();
    say(&format!(
        "load: {keys} keys in {took:.1} s, {:.0} events/s, by {CONNECTIONS} connections",
        keys as f64 / took
    ))?;
    say(&format!("  answers: {}", quantiles(answers)))?;
    say(&format!("  {}", lapwing.commits()?))?;
    let answers = send(lapwing.child.address(), 0..ALONE, 1).await?;
    say(&format!("{ALONE} more requests, one at a time: {}", quantiles(answers)))?;
    say(&format!("  memory at most: {} MB", lapwing.child.peak_bytes()? >> 20))?;
    drop(lapwing);
    on_disk(folder)?;

    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        let lapwing = Lapwing::start(folder)?;
        slowest = slowest.max(lapwing.ready);
        say(&format!("start after kill -9: ready in {:.2} s", lapwing.ready.as_secs_f64()))?;
        drop(lapwing);
    }
    let lapwing = Lapwing::start(folder)?;
    let stop = Instant::now();
    lapwing.child.stop()?;
    say(&format!("stop in order, which saves all of the state: {:.2} s", stop.elapsed().as_secs_f64()))?;
    on_disk(folder)?;
    let lapwing = Lapwing::start(folder)?;
    say(&format!("start after it: ready in {:.2} s", lapwing.ready.as_secs_f64()))?;
    slowest = slowest.max(lapwing.ready);
    say(&format!("  memory at most: {} MB", lapwing.child.peak_bytes()? >> 20))?;
    drop(lapwing);
    ensure!(slowest <= READY_MAX, "ready after {slowest:?}, at most {READY_MAX:?} are promised");
    Ok(())
}

fn configure(folder: &Path) -> anyhow::Result<()> {
    let rules = folder.join("rules.yml");
    std::fs::write(&rules, RULES).context("write rules")?;
    let text = format!(
        "data: {:?}\nlisten: 127.0.0.1:0\nshipped_rules: false\nrules: [{:?}]\n\
         sources: {{push: {{kind: aws.cloudtrail, http: {{}}}}}}\n",
        folder.join("data").display().to_string(),
        rules.display().to_string(),
    );
    std::fs::write(folder.join("lapwing.yaml"), text).context("write configuration")
}

/// A key a record, those of one request side by side.
fn body(request: usize) -> String {
    let record = |number: usize| {
        let seconds = number / 1_000;
        format!(
            "{{\"eventVersion\":\"1.11\",\"eventID\":\"{number:032x}-{request}\",\"eventTime\":\
             \"2026-11-20T{:02}:{:02}:{:02}Z\",\"eventSource\":\"signin.amazonaws.com\",\"eventName\":\"ConsoleLogin\",\
             \"sourceIPAddress\":\"198.51.100.7\",\"userIdentity\":{{\"type\":\"IAMUser\",\
             \"accountId\":\"111122223333\",\"userName\":\"user-{number}\"}}}}\n",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    };
    (request * BATCH..(request + 1) * BATCH).map(record).collect()
}

/// How long each request took to be answered.
async fn send(
    address: SocketAddr,
    requests: std::ops::Range<usize>,
    connections: usize,
) -> anyhow::Result<Vec<Duration>> {
    // Ids of an earlier round would be events that were counted already.
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let next = Arc::new(AtomicUsize::new(requests.start));
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (next, end) = (next.clone(), requests.end);
        senders.spawn(async move {
            let client = reqwest::Client::new();
            let mut answers = Vec::new();
            loop {
                let request = next.fetch_add(1, Ordering::Relaxed);
                if request >= end {
                    return anyhow::Ok(answers);
                }
                let body = body(request).replace("\"eventID\":\"", &format!("\"eventID\":\"{round}-"));
                let begun = Instant::now();
                let url = format!("http://{address}/v1/events/push");
                let answer = client.post(url).body(body).send().await.context("post events")?;
                ensure!(answer.status().is_success(), "events were answered with {}", answer.status());
                answer.bytes().await.context("read answer")?;
                answers.push(begun.elapsed());
            }
        });
    }
    let mut answers = Vec::new();
    while let Some(sender) = senders.join_next().await {
        answers.extend(sender.context("sender task")??);
    }
    Ok(answers)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(0.5), at(0.99), at(1.0))
}

fn on_disk(folder: &Path) -> anyhow::Result<()> {
    let size = |name: &str| std::fs::metadata(folder.join("data").join(name)).map_or(0, |meta| meta.len()) as f64 / 1e6;
    let store = rusqlite::Connection::open(folder.join("data/lapwing.db")).context("open the store")?;
    let bytes = |query: &str| store.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap_or(0) as f64 / 1e6;
    let snapshot = bytes("SELECT bytes FROM snapshot");
    let journal = bytes("SELECT ifnull(sum(length(sightings)), 0) FROM journal");
    let seen = bytes("SELECT ifnull(sum(length(ids)), 0) FROM seen");
    say(&format!(
        "on disk: store {:.0} MB and {:.0} MB of log; of it the state {snapshot:.1} MB, its journal {journal:.1} MB, \
         seen ids {seen:.1} MB",
        size("lapwing.db"),
        size("lapwing.db-wal")
    ))
}

/// Killed when dropped.
struct Lapwing {
    child: Child,
    ready: Duration,
}

impl Lapwing {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lapwing"));
        let child =
            Child::start(command.args(["run", "--config"]).arg(folder.join("lapwing.yaml")), "listening address=")?;
        while load::get(child.address(), "/ready").is_err() {
            std::thread::yield_now();
        }
        Ok(Self { child, ready: begun.elapsed() })
    }

    /// How many commits there were, and how many of them took longer than each border.
    fn commits(&self) -> anyhow::Result<String> {
        let text = load::get(self.child.address(), "/metrics")?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let number = value("lapwing_commit_seconds_count").context("find how many commits there were")?;
        let mut said = format!("{number} commits");
        for border in ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5"] {
            if let Some(below) = value(&format!("lapwing_commit_seconds_bucket{{le=\"{border}\"}}")) {
                said += &format!(", {} above {border} s", number - below);
            }
        }
        let copies = value("lapwing_snapshot_seconds_count").unwrap_or_default();
        let copying = value("lapwing_snapshot_seconds_sum").unwrap_or_default();
        Ok(format!("{said}; {copies} snapshots held them up for {:.2} s each", copying / copies.max(1.0)))
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to stdout")
}
