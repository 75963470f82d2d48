//! A user's day, end to end: the service as it ships, fed by HTTP, telling a real receiver.
//!
//! Prints figures, and keeps those of a whole run in `benches/README.md`. A run whose alerts are not exactly those of `lapwing replay` on the
//! same bytes fails: a faster wrong answer is not faster. `LAPWING_BENCH_EVENTS` asks for another volume.

#[path = "day/receiver.rs"]
mod receiver;
#[path = "day/report.rs"]
mod report;
#[path = "day/sender.rs"]
mod sender;
#[path = "day/service.rs"]
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use engine::time::Span;
use lab::corpus::{self, Wanted};
use serde_json::Value;

use receiver::Receiver;
use report::Report;
use sender::Sent;
use service::Lapwing;

/// Events, unless told otherwise.
const EVENTS: usize = 100_000;
/// Events in one request.
const BATCH: usize = 512;
/// Requests at a time.
const CONNECTIONS: usize = 4;
/// A working day. Four requests in flight then hold less than the lateness that windows allow.
const SPAN: Span = Span::seconds(8 * 3_600);
/// What the stream's chance begins with.
const SEED: u64 = 1;
/// Longest wait for the last alert to be delivered.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<()> {
    let events = match std::env::var("LAPWING_BENCH_EVENTS") {
        Ok(number) => number.parse().context("read LAPWING_BENCH_EVENTS")?,
        Err(_) => EVENTS,
    };
    let folder = tempfile::tempdir().context("make a folder")?;
    let records = records(events)?;
    let file = folder.path().join("day.jsonl");
    std::fs::write(&file, records.join("\n") + "\n").context("write the corpus")?;
    let (expected, replayed) = replay(&file)?;

    // One thread: what the bench itself takes from the service is small and always the same.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start runtime")?;
    let report = runtime.block_on(day(&records, &expected, replayed, folder.path()))?;
    let page = report.page()?;
    // A trial, small or without optimisation, is no figure to keep.
    if events == EVENTS && !cfg!(debug_assertions) {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/README.md");
        std::fs::write(readme, &page).context("write benches/README.md")?;
    }
    std::io::stdout().write_all(page.as_bytes()).context("print")
}

fn records(events: usize) -> anyhow::Result<Vec<String>> {
    let templates = corpus::lines(&corpus::samples().join("day/cloudtrail.jsonl.gz"))?;
    let from = "2026-11-18T08:00:00Z".parse().context("read the first time")?;
    Ok(corpus::stream(&templates, &Wanted { events, from, span: SPAN, seed: SEED }))
}

/// What the alerts must be, by id, and how long finding them takes without a store, a socket or a sink.
fn replay(file: &Path) -> anyhow::Result<(BTreeMap<String, Value>, Duration)> {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_lapwing"))
        .args(["replay", "--kind", "aws.cloudtrail"])
        .arg(file)
        .output()
        .context("run lapwing replay")?;
    let took = start.elapsed();
    ensure!(output.status.success(), "lapwing replay: {}", String::from_utf8_lossy(&output.stderr));
    let mut alerts = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let alert: Value = serde_json::from_str(line)?;
        alerts.insert(alert["id"].as_str().unwrap_or_default().to_owned(), alert);
    }
    Ok((alerts, took))
}

async fn day(
    records: &[String],
    expected: &BTreeMap<String, Value>,
    replayed: Duration,
    folder: &Path,
) -> anyhow::Result<Report> {
    let receiver = Receiver::start().await?;
    let mut service = Lapwing::start(folder, &receiver.url()).await?;
    let bodies = records.chunks(BATCH).map(|batch| (batch.join("\n") + "\n").into()).collect();
    let sent = sender::send(service.address(), bodies, CONNECTIONS).await?;

    let wanted: BTreeSet<&String> = expected.keys().collect();
    let deadline = Instant::now() + PATIENCE;
    while !receiver.has_all(&wanted) || service.metric("lapwing_outbox_rows").await? > 0.0 {
        service.lives()?;
        let missing = wanted.iter().filter(|id| !receiver.has(id)).count();
        ensure!(Instant::now() < deadline, "{missing} of {} alerts did not arrive", wanted.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    equal(expected, &service.alerts().await?)?;

    Ok(Report {
        events: records.len(),
        bytes: records.iter().map(String::len).sum(),
        alerts: expected.len(),
        batch: BATCH,
        connections: CONNECTIONS,
        replayed,
        delays: delays(records, &sent, &receiver),
        commits: service.commits().await?,
        threads: service.threads()?,
        peak_bytes: service.peak_bytes()?,
        sent,
    })
}

fn equal(expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> anyhow::Result<()> {
    for (id, alert) in expected {
        let ours = found.get(id).with_context(|| format!("alert {id} of the replay was not found by the service"))?;
        ensure!(alert == ours, "alert {id} differs\nreplay:  {alert}\nservice: {ours}");
    }
    let more: Vec<&String> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
    ensure!(more.is_empty(), "the service found alerts that the replay did not: {more:?}");
    Ok(())
}

/// From the moment at which the last event of an alert's first message was on its way to the receipt of that
/// message.
fn delays(records: &[String], sent: &Sent, receiver: &Receiver) -> Vec<Duration> {
    let mut begun: BTreeMap<&str, Instant> = BTreeMap::new();
    for (batch, post) in records.chunks(BATCH).zip(&sent.posts) {
        begun.extend(batch.iter().filter_map(|record| Some((id(record)?, post.begun))));
    }
    let delay = |(at, events): (Instant, Vec<String>)| {
        let last = events.iter().filter_map(|event| begun.get(event.as_str())).max()?;
        Some(at.duration_since(*last))
    };
    receiver.first_messages().into_iter().filter_map(delay).collect()
}

/// The `eventID`, without parsing a hundred thousand records once more.
fn id(record: &str) -> Option<&str> {
    record.split_once("\"eventID\":\"")?.1.split('"').next()
}
