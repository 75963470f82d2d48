//! One run of one service.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::child::Child;
use lab::histogram::Histogram;
use lab::load::{self, Catcher, Caught, Load, Pace, Sent};
use serde_json::Value;

use crate::{BATCH, CONNECTIONS, Prepared, Programs, strings};

/// What senders show to ours.
const TOKEN: &str = "a-token-for-the-bench";
/// What the store adds to an alert.
const STORED: [&str; 4] = ["revision", "state", "received", "updated"];
/// Longest wait for the last event to be worked off or the last alert to be delivered.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// The same requests for both.
pub(crate) struct Feed {
    ours: Vec<Vec<u8>>,
    theirs: Vec<Vec<u8>>,
    events: usize,
    pub(crate) bytes: usize,
}

/// What one run showed.
pub(crate) struct Figures {
    events: usize,
    /// Until everything was worked off: for ours durable, for rsigma counted.
    pub(crate) took: Duration,
    /// Until the last alert was delivered; unknown where nobody says.
    pub(crate) delivered: Option<Duration>,
    pub(crate) processor: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) posts: Histogram,
    pub(crate) delays: Histogram,
    pub(crate) refused: usize,
    pub(crate) found: u64,
    pub(crate) commits: f64,
}

impl Figures {
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn per_processor_second(&self) -> f64 {
        self.events as f64 / self.processor
    }
}

impl Feed {
    pub(crate) fn new(records: &[String]) -> Self {
        let bodies: Vec<String> = records.chunks(BATCH).map(|batch| batch.join("\n") + "\n").collect();
        let ready = |path: &str, headers: &[String]| -> Vec<Vec<u8>> {
            bodies.iter().map(|body| load::post(path, headers, body.as_bytes())).collect()
        };
        Self {
            ours: ready("/v1/events/push", &[format!("authorization: Bearer {TOKEN}")]),
            theirs: ready("/api/v1/events", &["content-type: application/x-ndjson".to_owned()]),
            events: records.len(),
            bytes: records.iter().map(String::len).sum(),
        }
    }
}

/// Ours: an empty store on disk, a webhook.
pub(crate) fn lapwing(prepared: &Prepared, programs: &Programs, feed: &Feed, pace: Pace) -> anyhow::Result<Figures> {
    let folder = prepared.folder.join("daemon-lapwing");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let catcher = Catcher::start()?;
    let config = folder.join("lapwing.yaml");
    let text = format!(
        "data: {:?}\nlisten: 127.0.0.1:0\nshipped_rules: false\nrules: [{:?}]\n\
         sources: {{push: {{kind: aws.cloudtrail, http: {{token: \"${{BENCH_TOKEN}}\"}}}}}}\n\
         sinks: {{soc: {{webhook: {{url: {:?}, secret: \"${{BENCH_SECRET}}\"}}}}}}\n",
        folder.join("data").display().to_string(),
        prepared.rules.display().to_string(),
        catcher.url(),
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&programs.lapwing);
    command.args(["run", "--config"]).arg(&config).env("BENCH_TOKEN", TOKEN);
    command.env("BENCH_SECRET", "0123456789abcdef0123456789abcdef");
    let mut service = Child::start(&mut command, "listening address=")?;

    let (processor, start) = (service.seconds()?, Instant::now());
    let address = service.address();
    let sent = Load { address, requests: &feed.ours, connections: CONNECTIONS, pace }.run()?;
    wait(&mut service, |service| {
        Ok(catcher.count() >= prepared.expected.len() && service.metric("lapwing_outbox_rows")? == 0.0)
    })?;
    let processor = service.seconds()? - processor;
    let caught = catcher.take();
    let delivered = caught.iter().map(|caught| caught.at).max().map(|at| at.duration_since(start));
    let found = alerts(&service)?;
    equal(&prepared.expected, &found)?;
    Ok(Figures {
        events: feed.events,
        took: sent.took,
        delivered,
        processor,
        peak_bytes: service.peak_bytes()?,
        posts: posts(&sent),
        delays: delays(prepared, &sent, &caught)?,
        refused: sent.refused,
        found: found.len() as u64,
        commits: service.metric("lapwing_commit_seconds_count")?,
    })
}

/// rsigma's daemon: its HTTP input, a file.
pub(crate) fn rsigma(prepared: &Prepared, programs: &Programs, feed: &Feed, pace: Pace) -> anyhow::Result<Figures> {
    let folder = prepared.folder.join("daemon-rsigma");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let results = folder.join("results.jsonl");
    let mut command = Command::new(&programs.rsigma);
    command.args(["engine", "daemon", "--input", "http", "--api-addr", "127.0.0.1:0", "--rules"]).arg(&prepared.rules);
    command.args(["--batch-size", &BATCH.to_string(), "--output", &format!("file://{}", results.display())]);
    let mut service = Child::start(command.current_dir(&folder), "addr\":\"")?;

    let (processor, start) = (service.seconds()?, Instant::now());
    let sent = Load { address: service.address(), requests: &feed.theirs, connections: CONNECTIONS, pace }.run()?;
    let all = feed.events as f64;
    wait(&mut service, |service| Ok(service.metric("rsigma_events_processed_total")? >= all))?;
    let took = start.elapsed();
    let found = service.metric("rsigma_detection_matches_total")? as u64;
    let processor = service.seconds()? - processor;
    ensure!(
        found == prepared.matches,
        "rsigma finds {found} pairs of event and rule, `lapwing match` {}",
        prepared.matches
    );
    Ok(Figures {
        events: feed.events,
        took,
        delivered: None,
        processor,
        peak_bytes: service.peak_bytes()?,
        posts: posts(&sent),
        delays: Histogram::default(),
        refused: sent.refused,
        found,
        commits: 0.0,
    })
}

fn wait(service: &mut Child, mut done: impl FnMut(&Child) -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done(service)? {
        service.lives()?;
        ensure!(Instant::now() < deadline, "not done after {} s", PATIENCE.as_secs());
        thread::sleep(LOOK);
    }
    Ok(())
}

fn posts(sent: &Sent) -> Histogram {
    Histogram::of(sent.posts.iter().map(load::Post::took))
}

/// From the moment at which the request with the last event of an alert's first message was due to the receipt of
/// that message.
fn delays(prepared: &Prepared, sent: &Sent, caught: &[Caught]) -> anyhow::Result<Histogram> {
    let mut first: BTreeMap<String, (Instant, Value)> = BTreeMap::new();
    for caught in caught {
        let mut message: Value = serde_json::from_slice(&caught.body).context("read a message")?;
        let alert = message["data"].take();
        first.entry(alert["id"].as_str().unwrap_or_default().to_owned()).or_insert((caught.at, alert));
    }
    let delay = |(at, alert): &(Instant, Value)| {
        let requests = strings(&alert["event_ids"]).filter_map(|id| prepared.request_of.get(id));
        Some(at.duration_since(sent.posts[*requests.max()?].due))
    };
    Ok(Histogram::of(first.values().filter_map(delay)))
}

/// All alerts that stand, in their canonical form, by id.
fn alerts(service: &Child) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut alerts = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/alerts?limit=500{cursor}");
        let mut page: Value = serde_json::from_str(&load::get(service.address(), &path)?)?;
        for alert in page["alerts"].as_array_mut().context("read a page of alerts")? {
            let mut alert = alert.take();
            alert.as_object_mut().context("read an alert")?.retain(|name, _| !STORED.contains(&name.as_str()));
            alerts.insert(alert["id"].as_str().unwrap_or_default().to_owned(), alert);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&after={next}"),
            None => return Ok(alerts),
        }
    }
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
