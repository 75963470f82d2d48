//! Match in parallel: raw batches in, sightings out, order kept.
//!
//! A pure function over shared immutable rules, on one thread a core. Batches are dealt to the workers in
//! turn and collected in the same turn, so order needs neither numbers nor a reorder buffer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;
use arc_swap::ArcSwap;
use connect::clock::Clock;
use connect::source::{Batch, Body, HEAD_BYTES, Mark, Record, Refusal};
use engine::alert::redact::redact;
use engine::detect::{Raw, Seen, Sighting, sight, sight_raw};
use engine::event::Event;
use engine::normalise::{Limits, Reject, RejectReason, normalise};
use engine::rule::{RuleSet, Scratch};
use engine::time::{Span, Timestamp};
use tokio::sync::mpsc;

use crate::feed::Feed;
use crate::metrics::METRICS;

/// Batches that wait before and after each worker: with one in work, 2 × 3 × about 1 MiB a core.
const WAITING: usize = 2;

/// How far a clock of another machine may be ahead of ours. Times beyond are taken for this moment: one event must not
/// blind the windows of its key for a hundred years.
pub(crate) const AHEAD_MAX: Span = Span::seconds(5 * 60);

/// A batch as its source handed it in.
#[derive(Debug)]
pub(crate) struct Load {
    /// Where it came from.
    pub feed: Arc<Feed>,
    /// What came.
    pub batch: Batch,
}

/// A batch and the rules that it is matched against.
#[derive(Debug)]
struct Deal {
    load: Load,
    rules: Arc<RuleSet>,
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
    /// When the newest of them happened.
    pub newest: Option<Timestamp>,
    /// Bytes of records.
    pub bytes: u64,
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
    let (mut inlets, mut outlets, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count.max(1) {
        let (inlet, deals) = sync_channel(WAITING);
        let (matched, outlet) = sync_channel(WAITING);
        threads.push(thread(format!("worker-{number}"), move || work(&deals, &matched, &limits))?);
        inlets.push(inlet);
        outlets.push(outlet);
    }
    threads.push(thread("dealer".to_owned(), move || {
        for inlet in inlets.iter().cycle() {
            let Some(load) = inbox.blocking_recv() else { return };
            // Chosen here and not by each worker: rules never go back from one batch to the next.
            let deal = Deal { load, rules: rules.load_full() };
            if inlet.send(deal).is_err() {
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

fn work(deals: &Receiver<Deal>, matched: &SyncSender<Matched>, limits: &Limits) {
    let mut scratch = Scratch::default();
    let mut events = Vec::new();
    while let Ok(deal) = deals.recv() {
        if matched.send(match_batch(deal, limits, &mut scratch, &mut events)).is_err() {
            return;
        }
    }
}

impl Matched {
    /// An event happened then, as it says.
    fn saw(&mut self, time: Timestamp, latest: Timestamp) {
        if time > latest {
            METRICS.events_future.with_label_values(&[&self.feed.name]).inc();
        }
        self.newest = self.newest.max(Some(time.min(latest)));
    }
}

fn match_batch(deal: Deal, limits: &Limits, scratch: &mut Scratch, events: &mut Vec<Event>) -> Matched {
    let Deal { load: Load { feed, batch }, rules } = deal;
    let mut matched = Matched {
        feed,
        rules,
        mark: batch.mark,
        sightings: Vec::new(),
        rejects: Vec::new(),
        events: 0,
        newest: None,
        bytes: 0,
    };
    let latest = Clock::Wall.now().plus(AHEAD_MAX);
    for (index, record) in batch.records.iter().enumerate() {
        // A position is unique within its source only, and it becomes the identity of records that carry none. A
        // name holds no `/`, so no two sources can come to the same text.
        let position = format!("{}/{}", matched.feed.name, record.position);
        if let Body::Whole(body) = &record.body {
            matched.bytes += body.len() as u64;
            let raw = Raw { body, position: &position, format: matched.feed.format };
            if let Some(Seen { time, sighting }) = sight_raw(&matched.rules, raw, limits, scratch) {
                matched.events += 1;
                matched.saw(time, latest);
                if let Some(mut sighting) = sighting {
                    sighting.clamp(latest);
                    matched.sightings.push((sighting, redact(&canonical(body)).into_owned()));
                }
                continue;
            }
        }
        let refused = matched.rejects.len();
        read(record, &matched.feed, &position, limits, events, &mut matched.rejects);
        if let (Some(receipt), Some(reject)) = (&batch.receipt, matched.rejects.get(refused)) {
            receipt.reject(index, reject.reason.name());
        }
        matched.events += events.len() as u64;
        for event in events.drain(..) {
            matched.saw(event.time, latest);
            if let Some(mut sighting) = sight(&matched.rules, &event, scratch) {
                sighting.clamp(latest);
                let json = sonic_rs::to_string(&event.raw).unwrap_or_default();
                matched.sightings.push((sighting, redact(&json).into_owned()));
            }
        }
    }
    if let Some(newest) = matched.newest {
        matched.feed.saw(newest);
    }
    matched
}

/// A record as it is kept, whatever blanks its source put into it.
fn canonical(body: &[u8]) -> String {
    let document: Option<sonic_rs::Value> = sonic_rs::from_slice(body).ok();
    document.and_then(|document| sonic_rs::to_string(&document).ok()).unwrap_or_default()
}

fn read(
    record: &Record,
    feed: &Feed,
    position: &str,
    limits: &Limits,
    events: &mut Vec<Event>,
    rejects: &mut Vec<Reject>,
) {
    match &record.body {
        Body::Whole(bytes) => normalise(feed.format, bytes, position, limits, events, rejects),
        Body::Refused { head, reason } => {
            let (reason, detail) = match reason {
                Refusal::TooLong => (RejectReason::Size, "longer than the source's limit for one record"),
                Refusal::Corrupt => (RejectReason::Encoding, "compressed bytes that do not decompress"),
            };
            let head = redact(&String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)])).into_owned().into_bytes();
            rejects.push(Reject { position: position.to_owned(), reason, detail: detail.to_owned(), head });
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;
    use engine::normalise::Format;

    use super::*;
    use crate::sample;

    /// What one batch of `records` at the position `same` comes to, from a source of this name.
    fn matched(source: &str, records: &[&str]) -> Matched {
        let feed = Arc::new(Feed::new(source.to_owned(), Format::Known(Kind::AwsCloudtrail), false));
        let records = records.iter().map(|text| {
            let body = Body::Whole(text.as_bytes().to_vec());
            Record { position: "same".to_owned(), body }
        });
        let batch = Batch { records: records.collect(), ..Batch::default() };
        let deal = Deal { load: Load { feed, batch }, rules: Arc::new(sample::rules()) };
        match_batch(deal, &Limits::default(), &mut Scratch::default(), &mut Vec::new())
    }

    #[test]
    fn records_without_an_id_at_equal_positions_of_two_sources_are_two_events() {
        let without_id = sample::stop_logging(1).replace("eventID", "otherID");
        let uids = ["west", "east"].map(|source| matched(source, &[&without_id]).sightings[0].0.uid.clone());
        assert_eq!(uids.each_ref().map(|uid| uid.id.as_str()), ["west/same", "east/same"]);

        let with_id = sample::stop_logging(1);
        let uids = ["west", "east"].map(|source| matched(source, &[&with_id]).sightings[0].0.uid.clone());
        assert_eq!(uids[0], uids[1], "an event with an id is one event, whatever the road");
    }

    #[test]
    fn a_reject_says_in_which_source_it_stood() {
        assert_eq!(matched("west", &["{"]).rejects[0].position, "west/same");
    }

    #[test]
    fn a_batch_is_never_matched_by_older_rules_than_the_one_before() {
        const BATCHES: usize = 200;
        let (inbox, loads) = mpsc::channel(4);
        let rules = Arc::new(ArcSwap::from_pointee(sample::rules()));
        let (mut collected, threads) = start(3, loads, rules.clone(), Limits::default()).unwrap();
        let mut sets = vec![rules.load_full()];
        let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, false));
        let reload = std::thread::spawn(move || {
            for _ in 0..BATCHES {
                inbox.blocking_send(Load { feed: feed.clone(), batch: Batch::default() }).unwrap();
                sets.push(Arc::new(sample::rules()));
                rules.store(sets.last().unwrap().clone());
            }
            sets
        });
        let used: Vec<_> = std::iter::from_fn(|| collected.next()).map(|matched| matched.rules).collect();
        let sets = reload.join().unwrap();
        let age = |rules: &Arc<RuleSet>| sets.iter().position(|set| Arc::ptr_eq(set, rules)).unwrap();
        assert_eq!(used.len(), BATCHES);
        assert!(used.iter().map(age).is_sorted());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
