//! From whoever listens to the source: what all of them share, and the memory that they share it in.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::message::{self, Receipt};
use super::zone::Zone;
use crate::clock::Clock;
use crate::source::{Body, Gap, Record, SourceError};

/// Messages that wait to be put into a batch, of all senders together. Each waits for its share in the order in which they
/// came, so that a sender of much does not keep out one of little.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Lots that wait: their number alone is bounded by this, their bytes by the above.
const LOTS_WAITING_MAX: usize = 256;

/// Longer than anybody waits, and short enough to be added to any moment.
const IDLE_MOST: Duration = Duration::from_secs(365 * 86_400);

/// What a record takes beside its bytes.
const RECORD_BYTES: usize = 128;

/// What the source hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// Messages that came together.
    Messages(Vec<Record>, OwnedSemaphorePermit),
    /// The system dropped some.
    Dropped(Gap),
    /// Nobody can be heard for now.
    Failed(SourceError),
}

/// At a stop the system may have received what it has not told us of: this long a silence says that nothing is left …
const SILENCE: Duration = Duration::from_millis(100);

/// … and a sender that never pauses is cut off after this.
const LAST_MAX: Duration = Duration::from_secs(2);

/// The time after a stop in which what is here already is taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last(Instant);

impl Last {
    /// It begins.
    pub(super) fn now() -> Self {
        Self(Instant::now() + LAST_MAX)
    }

    /// What comes before a silence; nothing once the time is over.
    pub(super) async fn soon<T>(self, coming: impl Future<Output = T>) -> Option<T> {
        // Of itself a timeout lets through what is there at once, however late it is.
        if Instant::now() >= self.0 {
            return None;
        }
        timeout_at(self.0.min(Instant::now() + SILENCE), coming).await.ok()
    }
}

/// Nobody takes messages any more.
#[derive(Debug)]
pub(super) struct Closed;

/// What all listeners share.
#[derive(Clone, Debug)]
pub(super) struct Road {
    /// Name of the source, for the log.
    pub(super) source: Arc<str>,
    pub(super) stop: CancellationToken,
    pub(super) bytes_max: usize,
    pub(super) idle: Duration,
    zone: Zone,
    clock: Clock,
    /// This run of the process.
    pub(super) start: Arc<str>,
    senders: Arc<AtomicU64>,
    lots: mpsc::Sender<Heard>,
    room: Arc<Semaphore>,
}

/// Numbers what comes of one connection or socket.
#[derive(Debug)]
pub(super) struct Sender {
    key: String,
    number: u64,
}

impl Road {
    /// A road, and its end where the source is.
    pub(super) fn new(
        source: &str,
        start: &str,
        settings: &Settings,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<Heard>) {
        let (lots, heard) = mpsc::channel(LOTS_WAITING_MAX);
        let road = Self {
            source: source.into(),
            stop,
            bytes_max: settings.message_bytes_max,
            idle: settings.idle.min(IDLE_MOST),
            zone: settings.zone,
            clock,
            start: start.into(),
            senders: Arc::default(),
            lots,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
        };
        (road, heard)
    }

    /// A sender whose messages are told apart from all others of this run.
    pub(super) fn sender(&self) -> Sender {
        let number = self.senders.fetch_add(1, Ordering::Relaxed) + 1;
        Sender { key: format!("{}.{number}", self.start), number: 0 }
    }

    /// The record of a message; nothing if it is blank.
    pub(super) fn record(&self, sender: &mut Sender, body: Body, peer: Option<IpAddr>) -> Option<Record> {
        let body = match body {
            Body::Whole(text) if text.trim_ascii().is_empty() => return None,
            Body::Whole(text) => {
                let receipt = Receipt { now: self.clock.now(), zone: self.zone, peer };
                Body::Whole(message::record(&text, receipt))
            }
            refused @ Body::Refused { .. } => refused,
        };
        sender.number += 1;
        Some(Record { position: format!("{}:{}", sender.key, sender.number), body })
    }

    /// Hands messages on once there is room. Until then its caller reads nothing further.
    pub(super) async fn hand(&self, records: Vec<Record>) -> Result<(), Closed> {
        if records.is_empty() {
            return Ok(());
        }
        let bytes: usize = records.iter().map(|record| record.body.len() + RECORD_BYTES).sum();
        let permits = u32::try_from(bytes.min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(permits).await.map_err(|_| Closed)?;
        self.lots.send(Heard::Messages(records, permit)).await.map_err(|_| Closed)
    }

    /// Says what else there is to say.
    pub(super) async fn tell(&self, news: Heard) -> Result<(), Closed> {
        self.lots.send(news).await.map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_here_at_once_is_taken_only_while_there_is_time() {
        assert_eq!(Last::now().soon(async { 7 }).await, Some(7));
        assert_eq!(Last(Instant::now()).soon(async { 7 }).await, None);
    }
}
