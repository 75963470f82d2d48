//! Messages that were received and not deleted: nobody else sees them while we hold them.
//!
//! What leads to their deletion may take as long as the disk refuses, and meanwhile the source is not even asked. So a
//! task of its own extends their time, and counts what waits behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::queue::{MESSAGES_AT_ONCE, Queue};

/// What waits is counted so often.
const COUNT_EVERY: Duration = Duration::from_secs(30);

/// Not counted yet.
const UNKNOWN: u64 = u64::MAX;

/// Receipts by the ids of messages.
#[derive(Debug)]
pub(super) struct Held {
    receipts: Mutex<BTreeMap<String, String>>,
    waiting: AtomicU64,
}

impl Held {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { receipts: Mutex::default(), waiting: AtomicU64::new(UNKNOWN) })
    }

    /// Holds a message from here on. False if it was held before: then it came again, and its newest receipt counts.
    pub(super) fn hold(&self, id: &str, receipt: String) -> bool {
        self.receipts().insert(id.to_owned(), receipt).is_none()
    }

    /// Lets go of a message; its receipt.
    pub(super) fn release(&self, id: &str) -> Option<String> {
        self.receipts().remove(id)
    }

    /// Lets go of all messages but these; their receipts.
    pub(super) fn release_all_but(&self, kept: &BTreeSet<&String>) -> Vec<String> {
        self.receipts().extract_if(.., |id, _| !kept.contains(id)).map(|(_, receipt)| receipt).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.receipts().len()
    }

    /// About how many messages wait, once that is known.
    pub(super) fn waiting(&self) -> Option<u64> {
        Some(self.waiting.load(Ordering::Relaxed)).filter(|waiting| *waiting != UNKNOWN)
    }

    /// A panic elsewhere leaves the map whole, so its poison says nothing.
    fn receipts(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Extends the time of what is held and counts what waits, for as long as it is let.
pub(super) async fn keep(queue: Queue, held: Arc<Held>) {
    let mut count = tokio::time::interval(COUNT_EVERY);
    // Two attempts may fail before one is seen by others.
    let mut extend = tokio::time::interval(queue.visibility / 3);
    extend.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = extend.tick() => {
                let receipts: Vec<String> = held.receipts().values().cloned().collect();
                for receipts in receipts.chunks(MESSAGES_AT_ONCE) {
                    // What was let go of meanwhile is not taken back.
                    let held: BTreeSet<String> = held.receipts().values().cloned().collect();
                    let receipts: Vec<String> = receipts.iter().filter(|one| held.contains(*one)).cloned().collect();
                    if receipts.is_empty() {
                        continue;
                    }
                    if let Err(error) = queue.hide(&receipts, queue.visibility).await {
                        // Those may come again, and are counted once all the same.
                        let error = crate::probe::words(&error);
                        tracing::warn!(%error, "time of messages not extended");
                    }
                }
            }
            _ = count.tick() => match queue.waiting().await {
                Ok(waiting) => held.waiting.store(waiting, Ordering::Relaxed),
                Err(error) => tracing::debug!(error = %crate::probe::words(&error), "messages not counted"),
            },
        }
    }
}
