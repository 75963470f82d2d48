//! What became of the records of one batch, for sources that must tell their sender.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Travels with a batch whose sender waits for an answer.
///
/// Whoever refuses a record of the batch notes it here *before* the batch is committed; the source reads
/// the notes when it is told to commit. A record without a note is accepted.
#[derive(Debug, Default)]
pub struct Receipt {
    notes: Mutex<BTreeMap<usize, &'static str>>,
}

impl Receipt {
    /// The record at `index` of the batch was refused; `reason` is one word, such as `syntax`. The first
    /// reason noted for a record stays.
    pub fn reject(&self, index: usize, reason: &'static str) {
        self.lock().entry(index).or_insert(reason);
    }

    /// What was noted, by index.
    pub(crate) fn take(&self) -> BTreeMap<usize, &'static str> {
        std::mem::take(&mut *self.lock())
    }

    /// A panic elsewhere leaves the map whole, so its poison says nothing.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, &'static str>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
