//! A position in a file, as it is kept in the store.

use serde::{Deserialize, Serialize};

/// How many of the first bytes tell one content from another.
pub(super) const HEAD_LENGTH: usize = 1_024;

/// Which file, which content of it, and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// Contents that this path had before: a truncated file keeps its inode and a deleted one lends it to
    /// the next, so inode and offset alone would name two records alike.
    #[serde(default)]
    pub(super) generation: u64,
    /// Decompressed bytes that are done with.
    pub(super) offset: u64,
    /// [`hash`] of the first `min(offset, HEAD_LENGTH)` bytes.
    pub(super) head: String,
}

impl Place {
    /// The text that a mark holds.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are always JSON")
    }

    /// How many first bytes `head` speaks of.
    pub(super) fn head_length(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(HEAD_LENGTH).min(HEAD_LENGTH)
    }
}

/// 16 bytes in hex.
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}
