//! Events pushed by HTTP: `POST /v1/events/{source}`.
//!
//! Two halves joined by a bounded channel. The [`Inlet`] belongs to the web server ([`router`]): it lets a
//! request in and waits. [`Http`] is the source: it folds requests into batches, and answers each request
//! once all its records are committed. A sender that reads `200` knows its records are durable.

pub(crate) mod answer;
mod door;
mod drain;
mod inlets;
mod intake;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

pub use self::door::{Limits, router};
pub use self::inlets::Inlets;
use self::wire::{Plain, Token, Unpack, Wire};
use super::cuts::{Cut, Cuts};
use super::receipt::Receipt;
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Mark, Next, Record, Refusal, Source, SourceError};
use crate::secret::{Secret, SecretError};

/// Requests that wait to be read. Their bodies together stay within [`Limits::waiting_bytes_max`], so this
/// bounds only their number: 256 requests × about 1 KiB beside the body = 256 KiB.
const REQUESTS_WAITING_MAX: usize = 256;

/// How many refused lines an answer names.
const LINES_NAMED_MAX: usize = 20;

/// `type: http`: a source that others push to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the sender shows as `Authorization: Bearer …`. Without it anyone who can connect may push, except web
    /// pages of other sites; beyond loopback that needs `listen_without_token`.
    #[serde(default)]
    pub token: Option<Secret>,
}

/// Both halves of the source `name`. `start` names this run of the process: with it, positions of
/// requests that carry no `Idempotency-Key` are never used twice.
///
/// # Errors
/// [`SecretError`] if there should be a token and there is none: an unset variable must not become a token
/// that everybody knows.
pub fn http(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    let token = settings.token.as_ref().map(Token::read).transpose()?;
    Ok(pushed(name, Plain { token }, start))
}

/// Both halves of a source that a sender of this kind pushes to.
pub(crate) fn pushed(name: &str, wire: impl Wire + 'static, start: &str) -> (Http, Inlet) {
    let (sender, pushes) = mpsc::channel(REQUESTS_WAITING_MAX);
    let source = Http {
        name: name.to_owned(),
        start: start.to_owned(),
        pushes,
        current: None,
        requests: 0,
        sequence: 0,
        unsettled: VecDeque::new(),
        waiting: VecDeque::new(),
    };
    (source, Inlet { name: name.to_owned(), wire: Arc::new(wire), pushes: sender })
}

/// The web server's half: who may push, and where to.
#[derive(Debug)]
pub struct Inlet {
    name: String,
    wire: Arc<dyn Wire>,
    pushes: mpsc::Sender<Push>,
}

/// One request, let in.
#[derive(Debug)]
struct Push {
    records: Records,
    key: Option<String>,
    reply: oneshot::Sender<Verdict>,
    permit: OwnedSemaphorePermit,
}

/// The records of a request.
#[derive(Debug)]
enum Records {
    Cut(Cuts),
    Unpacked(vec::IntoIter<Cut>),
    OneByOne(Box<dyn Unpack>),
}

impl Iterator for Records {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        match self {
            Self::Cut(cuts) => cuts.next(),
            Self::Unpacked(records) => records.next(),
            Self::OneByOne(records) => records.next(),
        }
    }
}

/// What became of one request's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    accepted: u64,
    rejected: u64,
    /// The first of the rejected.
    lines: Vec<Reject>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Reject {
    line: u64,
    reason: &'static str,
}

/// The source's half: yields what was pushed and answers it.
#[derive(Debug)]
pub struct Http {
    name: String,
    start: String,
    pushes: mpsc::Receiver<Push>,
    /// The request being cut into batches.
    current: Option<Cutting>,
    /// Requests begun, which names those without a key.
    requests: u64,
    /// Of the last batch.
    sequence: u64,
    /// Batches that are not committed, oldest first.
    unsettled: VecDeque<Unsettled>,
    /// Requests with records in those batches, oldest first: batches settle in order, so it is always the
    /// front one that a share belongs to.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Cutting {
    records: Peekable<Records>,
    /// What positions of this request begin with.
    key: String,
}

#[derive(Debug)]
struct Waiting {
    verdict: Verdict,
    reply: oneshot::Sender<Verdict>,
    /// For the bytes of the request. They are in memory until they are committed, whether or not the sender
    /// still waits for it.
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Unsettled {
    sequence: u64,
    receipt: Arc<Receipt>,
    shares: Vec<Share>,
}

/// The records of one request within one batch.
#[derive(Debug, Default)]
struct Share {
    /// The line of each record, in the order of the batch.
    lines: Vec<u64>,
    /// Whether the request has no more.
    last: bool,
}

impl Source for Http {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if self.current.is_none() {
                // The only wait, and before anything is taken: dropping it loses nothing.
                let Some(push) = self.pushes.recv().await else {
                    return Ok(Next::Exhausted);
                };
                self.begin(push);
            }
            if let Some(batch) = self.fold() {
                return Ok(Next::Batch(batch));
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        let Some(committed) = self.sequence_of(&mark) else {
            return Ok(());
        };
        while self.unsettled.front().is_some_and(|batch| batch.sequence <= committed) {
            if let Some(batch) = self.unsettled.pop_front() {
                self.settle(&batch);
            }
        }
        Ok(())
    }
}

impl Http {
    fn begin(&mut self, push: Push) {
        let mut records = push.records.peekable();
        if records.peek().is_none() {
            answer(push.reply, Verdict::default());
            return;
        }
        self.requests += 1;
        // A key holds no space, so a sender cannot take the name of another's request.
        let key = push.key.unwrap_or_else(|| format!("no key {}.{}", self.start, self.requests));
        self.waiting.push_back(Waiting { verdict: Verdict::default(), reply: push.reply, _permit: push.permit });
        self.current = Some(Cutting { records, key });
    }

    /// As much as fits into one batch of the requests that are here.
    fn fold(&mut self) -> Option<Batch> {
        let receipt = Arc::new(Receipt::default());
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut shares = Vec::new();
        while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            let Some(cutting) = &mut self.current else {
                match self.pushes.try_recv() {
                    Ok(push) => self.begin(push),
                    Err(_) => break, // nothing more now; if for ever, `next` will say so
                }
                continue;
            };
            let mut share = Share::default();
            while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
                let Some(cut) = cutting.records.next() else { break };
                bytes += cut.body.len();
                if let Body::Refused { reason, .. } = cut.body {
                    receipt.reject(records.len(), word(reason));
                }
                share.lines.push(cut.line);
                records.push(Record { position: format!("{}#{}", cutting.key, cut.line), body: cut.body });
            }
            share.last = cutting.records.peek().is_none();
            if share.last {
                self.current = None;
            }
            shares.push(share);
        }
        if records.is_empty() {
            return None;
        }
        self.sequence += 1;
        self.unsettled.push_back(Unsettled { sequence: self.sequence, receipt: Arc::clone(&receipt), shares });
        let mark = Mark([(self.name.clone(), format!("{}.{}", self.start, self.sequence))].into());
        Some(Batch { records, mark, receipt: Some(receipt), ..Batch::default() })
    }

    /// The sequence that a mark of this run names.
    fn sequence_of(&self, mark: &Mark) -> Option<u64> {
        let value = mark.0.get(&self.name)?.strip_prefix(&self.start)?;
        value.strip_prefix('.')?.parse().ok()
    }

    fn settle(&mut self, batch: &Unsettled) {
        let rejects = batch.receipt.take();
        let mut index = 0;
        for share in &batch.shares {
            let Some(request) = self.waiting.front_mut() else {
                debug_assert!(false, "a share without its request");
                return;
            };
            for line in &share.lines {
                request.verdict.count(*line, rejects.get(&index).copied());
                index += 1;
            }
            if share.last
                && let Some(request) = self.waiting.pop_front()
            {
                answer(request.reply, request.verdict);
            }
        }
    }
}

impl Verdict {
    fn count(&mut self, line: u64, reject: Option<&'static str>) {
        let Some(reason) = reject else {
            self.accepted += 1;
            return;
        };
        self.rejected += 1;
        if self.lines.len() < LINES_NAMED_MAX {
            self.lines.push(Reject { line, reason });
        }
    }
}

fn answer(reply: oneshot::Sender<Verdict>, verdict: Verdict) {
    if reply.send(verdict).is_err() {
        tracing::debug!("the sender did not wait for its answer");
    }
}

/// The same words as in metrics and dead records.
fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TooLong => "size",
        Refusal::Corrupt => "encoding",
        Refusal::Unreadable => "refused",
    }
}
