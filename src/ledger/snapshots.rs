//! When the state is saved: beside the commits, on a thread of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use engine::detect::{State, Step};

use crate::metrics::METRICS;
use crate::store::{Commit, Store};
use crate::workers::thread;

/// Journal size at which a snapshot takes its place, or that share of the state's size if this is more: a large state
/// is not to be written again for each little journal.
const JOURNAL_BYTES_LEAST: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };
const JOURNAL_SHARE: usize = 4;

/// Saves the state once the journal has become long.
#[derive(Debug)]
pub(super) struct Snapshots {
    store: Arc<Store>,
    /// About the size of the journal behind the last snapshot.
    journal_bytes: usize,
    writing: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// With a journal of this size.
    pub(super) fn new(store: Arc<Store>, journal_bytes: usize) -> Self {
        Self { store, journal_bytes, writing: None }
    }

    /// This was committed, and led to this state. Takes as long as copying the state, if it is time for that.
    pub(super) fn wrote(&mut self, commit: &Commit, state: &State) {
        self.journal_bytes += commit.steps.iter().map(journal_bytes).sum::<usize>();
        let most = JOURNAL_BYTES_LEAST.max(state.bytes() / JOURNAL_SHARE);
        if self.journal_bytes < most || self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        let (number, store) = (commit.number, self.store.clone());
        let saved = METRICS.snapshot_seconds.start_timer();
        let Ok(bytes) = state.save() else { return };
        saved.observe_duration();
        let write = move || {
            if let Err(error) = store.snapshot(number, &bytes) {
                let error = format!("{error:#}");
                tracing::warn!(error, bytes = bytes.len(), "snapshot not written: the journal grows until one is");
            }
        };
        match thread("snapshot".to_owned(), write) {
            Ok(writing) => (self.writing, self.journal_bytes) = (Some(writing), 0),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "snapshot not written"),
        }
    }

    /// The last one, before the process ends.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn last(&mut self, number: u64, state: &State) -> anyhow::Result<()> {
        self.wait();
        self.store.snapshot(number, &state.save()?)
    }

    fn wait(&mut self) {
        if let Some(writing) = self.writing.take() {
            // It has said what went wrong.
            drop(writing.join());
        }
    }
}

/// Whoever opens the store next must find it closed.
impl Drop for Snapshots {
    fn drop(&mut self) {
        self.wait();
    }
}

/// About what a step takes in the journal.
fn journal_bytes(step: &Step) -> usize {
    64 + step.sighting.as_ref().map_or(0, |sighting| 448 + 128 * sighting.findings.len())
}
