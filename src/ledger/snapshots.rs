//! When the state is saved: beside the commits, on a thread of its own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::detect::{State, Step};

use super::books::Books;
use crate::ledger::Page;
use crate::metrics::METRICS;
use crate::store::{Commit, Store};
use crate::workers::thread;

/// Journal size at which a snapshot takes its place, or that share of the state's size if this is more: a large state
/// is not to be written again for each little journal.
const JOURNAL_BYTES_LEAST: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };
const JOURNAL_SHARE: usize = 4;
/// A journal is not older than this, however short it is: a start goes through it again, and must not come upon an alert
/// that retention let go since, which is a month at least. It would be told as a new one.
const JOURNAL_AGE_MAX: Duration = Duration::from_secs(86_400);

/// Saves the state once the journal has become long.
#[derive(Debug)]
pub(super) struct Snapshots {
    store: Arc<Store>,
    /// About the size of the journal behind the last snapshot.
    journal_bytes: usize,
    /// The size of both ledgers in it.
    books_bytes: usize,
    /// When that snapshot was taken, or we began.
    taken: Instant,
    writing: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// With a journal of this size.
    pub(super) fn new(store: Arc<Store>, journal_bytes: usize, now: Instant) -> Self {
        Self { store, journal_bytes, books_bytes: 0, taken: now, writing: None }
    }

    /// This was committed, and led to this state. Takes as long as copying the state, if it is time for that.
    pub(super) fn wrote(&mut self, commit: &Commit, state: &State, books: &Books, now: Instant) {
        self.journal_bytes += commit.steps.iter().map(journal_bytes).sum::<usize>() + page_bytes(&commit.page);
        let all = state.bytes() + self.books_bytes;
        let is_long = self.journal_bytes >= JOURNAL_BYTES_LEAST.max(all / JOURNAL_SHARE);
        let is_old = self.journal_bytes > 0 && now.duration_since(self.taken) >= JOURNAL_AGE_MAX;
        if !(is_long || is_old) || self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        let (number, store) = (commit.number, self.store.clone());
        let saved = METRICS.snapshot_seconds.start_timer();
        let (bytes, books) =
            match state.save().map_err(anyhow::Error::from).and_then(|bytes| Ok((bytes, books.save()?))) {
                Ok(saved) => saved,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "state not copied: the journal grows until it is");
                    return;
                }
            };
        saved.observe_duration();
        self.books_bytes = books.len();
        let write = move || {
            if let Err(error) = store.snapshot(number, &bytes, &books) {
                let error = format!("{error:#}");
                tracing::warn!(error, bytes = bytes.len(), "snapshot not written: the journal grows until one is");
            }
        };
        match thread("snapshot".to_owned(), write) {
            Ok(writing) => (self.writing, self.journal_bytes, self.taken) = (Some(writing), 0, now),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "snapshot not written"),
        }
    }

    /// The last one, before the process ends.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn last(&mut self, number: u64, state: &State, books: &Books) -> anyhow::Result<()> {
        self.wait();
        self.store.snapshot(number, &state.save()?, &books.save()?)
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

/// And what notes take.
fn page_bytes(page: &Page) -> usize {
    320 * page.notes.traces.len() + 640 * page.notes.facts.len()
}

#[cfg(test)]
mod tests {
    use engine::detect::{Caps, Reach};

    use super::super::books::Settings;
    use super::*;
    use crate::feed::PACE;

    #[test]
    fn the_state_is_saved_once_a_day_however_little_was_counted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let start = Instant::now();
        let (books, _) = Books::open(Settings::default(), None, Vec::new(), &[]).unwrap();
        let (mut snapshots, state) = (Snapshots::new(store.clone(), 0, start), State::new(Caps::default()));
        let mut wrote = |number: u64, hour: u64| {
            let step = Step { reached: vec![Reach::new("west", PACE)], sighting: None };
            let commit = Commit { number, steps: vec![step], ..Commit::default() };
            store.commit(&commit).unwrap();
            snapshots.wrote(&commit, &state, &books, start + Duration::from_secs(hour * 3_600));
            snapshots.wait();
            store.recover().unwrap().journal.len()
        };
        let journals: Vec<usize> =
            [(1, 1), (2, 23), (3, 24), (4, 25), (5, 47), (6, 48)].map(|(n, h)| wrote(n, h)).into();
        assert_eq!(journals, [1, 2, 0, 1, 2, 0], "steps that the next start goes through");
    }
}
