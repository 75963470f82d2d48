//! Match in parallel: raw batches in, sightings out, order kept.
//!
//! A pure function over shared immutable rules, on one thread a core. Batches are dealt to the workers in
//! turn and collected in the same turn, so order needs neither numbers nor a reorder buffer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use connect::clock::Clock;
use connect::source::{Batch, Body, Gap, HEAD_BYTES, Mark, Record, Refusal};
use engine::alert::redact::{redact, redact_unread};
use engine::detect::{Raw, Seen, Sighting, sight, sight_raw};
use engine::event::{Event, Kind, Kinds};
use engine::normalise::{Limits, Reject, RejectReason, home, normalise};
use engine::notes::{Notes, Readers};
use engine::rule::{RuleSet, Scratch};
use engine::time::{Span, Timestamp};
use tokio::sync::mpsc;

use self::homes::Homes;
use self::papers::Desk;
pub(crate) use self::papers::Papers;
use crate::coverage::Spot;
use crate::fail::{self, Point};
use crate::feed::Feed;
use crate::metrics::METRICS;

mod homes;
mod papers;

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
    /// What must be remembered, in order.
    pub found: Vec<Found>,
    /// How far the partitions of its source have come with it.
    pub reached: Vec<Reached>,
    /// Kinds of log that came with it; of a source that may bring any, not all that may come.
    pub came: Kinds,
    /// What could not be read.
    pub rejects: Vec<Reject>,
    /// What is missing for good.
    pub gaps: Vec<Gap>,
    /// Whose events they are, matched or not, if somebody asks.
    pub heard: Vec<Spot>,
    /// What it says of credentials and deploys.
    pub notes: Notes,
    /// Where the events of these notes stand, should one become evidence.
    pub papers: Papers,
    /// Events normalised.
    pub events: u64,
    /// How many of them rules matched; written when they are counted.
    pub matched: u64,
    /// Bytes of records.
    pub bytes: u64,
}

/// What a wait for the next batch came to.
#[derive(Debug)]
pub(crate) enum Waited {
    /// It is here.
    Batch(Box<Matched>),
    /// Nothing came in time.
    Nothing,
    /// All workers have ended.
    Ended,
}

/// An event that rules matched.
#[derive(Debug)]
pub(crate) struct Found {
    /// What must be remembered of it.
    pub sighting: Sighting,
    /// The event as redacted JSON.
    pub json: String,
    /// Its partition, by its place in [`Matched::reached`].
    pub partition: usize,
    /// How far the batch had taken its partition by then, and kinds of log that had come: no batch border shows in it.
    pub newest: Timestamp,
    /// See there.
    pub kinds: Kinds,
}

/// A partition, and how far a batch takes it.
#[derive(Debug)]
pub(crate) struct Reached {
    /// Its name, unique over all sources.
    pub partition: Arc<str>,
    /// Its newest event, or the moment of receipt if that lies in the future; nothing if it brought none.
    pub newest: Option<Timestamp>,
    /// Kinds of log that came, or are to be expected.
    pub kinds: Kinds,
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
    readers: Readers,
) -> anyhow::Result<(Collected, Vec<JoinHandle<()>>)> {
    let (mut inlets, mut outlets, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count.max(1) {
        let (inlet, deals) = sync_channel(WAITING);
        let (matched, outlet) = sync_channel(WAITING);
        threads.push(thread(format!("worker-{number}"), move || work(&deals, &matched, &limits, readers))?);
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
    /// The next batch in order if it comes within this time.
    pub(crate) fn within(&mut self, time: Duration) -> Waited {
        match self.outlets[self.turn].recv_timeout(time) {
            Ok(matched) => {
                self.turn = (self.turn + 1) % self.outlets.len();
                Waited::Batch(Box::new(matched))
            }
            Err(RecvTimeoutError::Timeout) => Waited::Nothing,
            Err(RecvTimeoutError::Disconnected) => Waited::Ended,
        }
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

fn work(deals: &Receiver<Deal>, matched: &SyncSender<Matched>, limits: &Limits, readers: Readers) {
    let mut scratch = Scratch::default();
    let mut events = Vec::new();
    while let Ok(deal) = deals.recv() {
        let done = match_batch(deal, limits, readers, &mut scratch, &mut events);
        fail::point(Point::Matched);
        if matched.send(done).is_err() {
            return;
        }
    }
}

impl Matched {
    /// Nothing yet, of partitions of these names.
    pub(crate) fn new(feed: Arc<Feed>, rules: Arc<RuleSet>, partitions: &[Arc<str>], mark: Mark) -> Self {
        let reached = feed.partitions(partitions);
        let (found, rejects, gaps, heard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (notes, papers) = (Notes::default(), Papers::default());
        let came = Kinds::default();
        Self {
            feed,
            rules,
            mark,
            found,
            reached,
            came,
            rejects,
            gaps,
            heard,
            notes,
            papers,
            events: 0,
            matched: 0,
            bytes: 0,
        }
    }

    /// An event of this partition happened then, as it says.
    fn saw(&mut self, partition: usize, time: Timestamp, kind: Kind, now: Timestamp) {
        let reached = &mut self.reached[partition];
        if time > now.plus(AHEAD_MAX) {
            METRICS.events_future.with_label_values(&[&self.feed.name]).inc();
        } else {
            // A wrong clock says nothing of how far the log has come: that of an old day would be late from here on. One
            // that is ahead a little must not say that all before it is there.
            reached.newest = reached.newest.max(Some(time.min(now)));
        }
        self.events += 1;
        self.came = self.came.and(kind.into());
        reached.kinds = reached.kinds.and(kind.into());
    }

    /// And rules matched it.
    fn find(&mut self, partition: usize, mut sighting: Sighting, json: &str, now: Timestamp) {
        sighting.clamp(now.plus(AHEAD_MAX));
        let Reached { newest, kinds, .. } = self.reached[partition];
        let newest = newest.unwrap_or(Timestamp::EARLIEST);
        self.found.push(Found { sighting, json: redact(json).into_owned(), partition, newest, kinds });
    }
}

fn match_batch(
    deal: Deal,
    limits: &Limits,
    readers: Readers,
    scratch: &mut Scratch,
    events: &mut Vec<Event>,
) -> Matched {
    let Deal { load: Load { feed, batch }, rules } = deal;
    let mut matched = Matched::new(feed, rules, &batch.partitions, batch.mark);
    matched.gaps = batch.gaps;
    let now = Clock::Wall.now();
    let source = matched.feed.name.clone();
    let mut homes = matched.feed.is_covered.then(|| Homes::of(&source));
    let mut position = String::new();
    let mut desk = Desk::new(readers, batch.records.len());
    for (index, record) in batch.records.iter().enumerate() {
        let partition = batch.partition_of.get(index).map_or(0, |&place| usize::from(place));
        // A position is unique within its source only, and it becomes the identity of records that carry none. A
        // name holds no `/`, so no two sources can come to the same text.
        position.clear();
        for part in [&matched.feed.name, "/", &record.position] {
            position.push_str(part);
        }
        if let Body::Whole(body) = &record.body {
            matched.bytes += body.len() as u64;
            let raw = Raw { body, position: &position, format: matched.feed.format };
            if let Some(Seen { time, home, kind, sighting, glimpse }) = sight_raw(&matched.rules, raw, limits, scratch)
            {
                matched.saw(partition, time, kind, now);
                if let Some(homes) = &mut homes {
                    homes.hear(kind, home);
                }
                if let Some(sighting) = sighting {
                    matched.find(partition, sighting, &canonical(body), now);
                }
                desk.note(glimpse, raw, limits, index);
                continue;
            }
        }
        let refused = matched.rejects.len();
        read(record, &matched.feed, &position, limits, events, &mut matched.rejects);
        if let (Some(receipt), Some(reject)) = (&batch.receipt, matched.rejects.get(refused)) {
            receipt.reject(index, reject.reason.name());
        }
        for event in events.drain(..) {
            matched.saw(partition, event.time, event.kind, now);
            if let Some(homes) = &mut homes {
                homes.hear(event.kind, home(&event));
            }
            if let Some(sighting) = sight(&matched.rules, &event, scratch) {
                let json = sonic_rs::to_string(&event.raw).unwrap_or_default();
                matched.find(partition, sighting, &json, now);
            }
            desk.read(event);
        }
    }
    if let Some(newest) = matched.reached.iter().filter_map(|reached| reached.newest).max() {
        matched.feed.saw(newest);
    }
    matched.heard = homes.map(Homes::into_spots).unwrap_or_default();
    (matched.notes, matched.papers) = desk.close(&batch.records);
    matched.notes.clamp(now.plus(AHEAD_MAX));
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
                Refusal::Corrupt => (RejectReason::Encoding, "bytes that broke off or cannot be unpacked"),
                Refusal::Unreadable => (RejectReason::Refused, "an object that could not be read: its name and why"),
            };
            let head = redact_unread(&String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)])).into_bytes();
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
            let body = Body::Whole(text.as_bytes().to_vec().into());
            Record { position: "same".to_owned(), body }
        });
        let batch = Batch { records: records.collect(), ..Batch::default() };
        let deal = Deal { load: Load { feed, batch }, rules: Arc::new(sample::rules()) };
        match_batch(deal, &Limits::default(), Readers::default(), &mut Scratch::default(), &mut Vec::new())
    }

    #[test]
    fn records_without_an_id_at_equal_positions_of_two_sources_are_two_events() {
        let without_id = sample::stop_logging(1).replace("eventID", "otherID");
        let uids = ["west", "east"].map(|source| matched(source, &[&without_id]).found[0].sighting.uid.clone());
        assert_eq!(uids.each_ref().map(|uid| uid.id.as_str()), ["west/same", "east/same"]);

        let with_id = sample::stop_logging(1);
        let uids = ["west", "east"].map(|source| matched(source, &[&with_id]).found[0].sighting.uid.clone());
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
        let (mut collected, threads) = start(3, loads, rules.clone(), Limits::default(), Readers::default()).unwrap();
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
        let next = |_| match collected.within(Duration::from_secs(60)) {
            Waited::Batch(matched) => matched.rules,
            ended => panic!("{ended:?}"),
        };
        let used: Vec<_> = (0..BATCHES).map(next).collect();
        let sets = reload.join().unwrap();
        let age = |rules: &Arc<RuleSet>| sets.iter().position(|set| Arc::ptr_eq(set, rules)).unwrap();
        assert_eq!(used.len(), BATCHES);
        assert!(used.iter().map(age).is_sorted());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
