//! Match in parallel: raw batches in, sightings out, order kept.
//!
//! A pure function over shared immutable rules, on one thread a core. Batches are dealt to the workers in
//! turn and collected in the same turn, so order needs neither numbers nor a reorder buffer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;
use arc_swap::ArcSwap;
use connect::source::{Batch, Body, HEAD_BYTES, Mark, Record, Refusal};
use engine::alert::redact::redact;
use engine::detect::{Sighting, sight};
use engine::event::Event;
use engine::normalise::{Limits, Reject, RejectReason, normalise};
use engine::rule::{RuleSet, Scratch};
use engine::time::Timestamp;
use tokio::sync::mpsc;

use crate::feed::Feed;

/// Batches that wait before and after each worker: with one in work, 2 × 3 × about 1 MiB a core.
const WAITING: usize = 2;

/// A batch as its source handed it in.
#[derive(Debug)]
pub(crate) struct Load {
    /// Where it came from.
    pub feed: Arc<Feed>,
    /// What came.
    pub batch: Batch,
}

/// What is left of a batch after matching.
#[derive(Debug)]
pub(crate) struct Matched {
    /// Where it came from.
    pub feed: Arc<Feed>,
    /// The rules that it was matched against, to the end of its way.
    pub rules: Arc<RuleSet>,
    /// How far its source has been handled once this is committed.
    pub mark: Mark,
    /// What must be remembered, each with its event as redacted JSON.
    pub sightings: Vec<(Sighting, String)>,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// Events normalised.
    pub events: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// The newest event time.
    pub newest: Option<Timestamp>,
}

/// The collecting end.
#[derive(Debug)]
pub(crate) struct Collected {
    outlets: Vec<Receiver<Matched>>,
    turn: usize,
}

/// Starts `count` workers on what comes through `inbox`. They end when it closes.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn start(
    count: usize,
    mut inbox: mpsc::Receiver<Load>,
    rules: Arc<ArcSwap<RuleSet>>,
    limits: Limits,
) -> anyhow::Result<(Collected, Vec<JoinHandle<()>>)> {
    let (mut inlets, mut outlets, mut threads): (Vec<SyncSender<Load>>, _, _) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count.max(1) {
        let (inlet, loads) = sync_channel(WAITING);
        let (matched, outlet) = sync_channel(WAITING);
        let rules = rules.clone();
        threads.push(thread(format!("worker-{number}"), move || work(&loads, &matched, &rules, &limits))?);
        inlets.push(inlet);
        outlets.push(outlet);
    }
    threads.push(thread("dealer".to_owned(), move || {
        for inlet in inlets.iter().cycle() {
            let Some(load) = inbox.blocking_recv() else { return };
            if inlet.send(load).is_err() {
                return;
            }
        }
    })?);
    Ok((Collected { outlets, turn: 0 }, threads))
}

impl Collected {
    /// Waits for the next batch in order; nothing once all workers have ended.
    pub(crate) fn next(&mut self) -> Option<Matched> {
        let matched = self.outlets[self.turn].recv().ok()?;
        self.turn = (self.turn + 1) % self.outlets.len();
        Some(matched)
    }

    /// The next batch in order if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Matched> {
        match self.outlets[self.turn].try_recv() {
            Ok(matched) => {
                self.turn = (self.turn + 1) % self.outlets.len();
                Some(matched)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

/// A named thread.
///
/// # Errors
/// When the system has none left.
pub(crate) fn thread(name: String, body: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(body).context("start thread")
}

fn work(loads: &Receiver<Load>, matched: &SyncSender<Matched>, rules: &ArcSwap<RuleSet>, limits: &Limits) {
    let mut scratch = Scratch::default();
    let mut events = Vec::new();
    while let Ok(load) = loads.recv() {
        let rules = rules.load_full();
        if matched.send(match_batch(load, rules, limits, &mut scratch, &mut events)).is_err() {
            return;
        }
    }
}

fn match_batch(
    load: Load,
    rules: Arc<RuleSet>,
    limits: &Limits,
    scratch: &mut Scratch,
    events: &mut Vec<Event>,
) -> Matched {
    let Load { feed, batch } = load;
    let mut matched = Matched {
        feed,
        rules,
        mark: batch.mark,
        sightings: Vec::new(),
        rejects: Vec::new(),
        events: 0,
        bytes: 0,
        newest: None,
    };
    for (index, record) in batch.records.iter().enumerate() {
        let refused = matched.rejects.len();
        read(record, &matched.feed, limits, events, &mut matched.rejects);
        if let (Some(receipt), Some(reject)) = (&batch.receipt, matched.rejects.get(refused)) {
            receipt.reject(index, reject.reason.name());
        }
        matched.events += events.len() as u64;
        if let Body::Whole(bytes) = &record.body {
            matched.bytes += bytes.len() as u64;
        }
        for event in events.drain(..) {
            matched.newest = matched.newest.max(Some(event.time));
            if let Some(sighting) = sight(&matched.rules, &event, scratch) {
                let json = sonic_rs::to_string(&event.raw).unwrap_or_default();
                matched.sightings.push((sighting, redact(&json).into_owned()));
            }
        }
    }
    matched
}

fn read(record: &Record, feed: &Feed, limits: &Limits, events: &mut Vec<Event>, rejects: &mut Vec<Reject>) {
    match &record.body {
        Body::Whole(bytes) => normalise(feed.format, bytes, &record.position, limits, events, rejects),
        Body::Refused { head, reason } => {
            let (reason, detail) = match reason {
                Refusal::TooLong => (RejectReason::Size, "longer than the source's limit for one record"),
                Refusal::Corrupt => (RejectReason::Encoding, "compressed bytes that do not decompress"),
            };
            let head = redact(&String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)])).into_owned().into_bytes();
            rejects.push(Reject { position: record.position.clone(), reason, detail: detail.to_owned(), head });
        }
    }
}
