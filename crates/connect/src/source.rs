//! Where records come from.
//!
//! A source yields batches of raw records, each batch with the mark that covers it. Only when everything
//! up to a mark is durable is the mark committed; what was not is read again, and counted once further in.

#[cfg(feature = "aws")]
pub mod aws;
mod brackets;
#[cfg(feature = "aws")]
pub mod cloudwatch;
#[cfg(test)]
mod contract;
mod cuts;
#[cfg(feature = "aws")]
pub mod digests;
mod figures;
pub mod file;
pub mod firehose;
pub mod github;
pub mod github_audit;
pub mod gitlab;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "aws")]
pub mod kinesis;
mod lines;
pub mod memory;
mod oidc;
pub mod okta;
pub mod otlp;
pub mod pubsub;
pub mod pubsub_push;
mod receipt;
#[cfg(feature = "aws")]
pub mod s3;
#[cfg(test)]
mod signer;
pub mod splunk;
#[cfg(feature = "aws")]
pub mod sqs;
pub mod stdin;
#[cfg(feature = "aws")]
mod stream;
pub mod syslog;
#[cfg(feature = "aws")]
mod unpack;
#[cfg(test)]
mod vendors;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::figures::{Figures, LATE_AGES, LATE_BUCKETS};
pub use self::lines::Framing;
pub use self::receipt::Receipt;

/// Where events come from.
pub trait Source: Send {
    /// The next thing that happened here. Cancel-safe: dropping the call loses nothing.
    ///
    /// # Errors
    /// [`SourceError`] when the system behind it failed. The caller waits and calls again; a source is
    /// always willing to try again.
    fn next(&mut self) -> impl Future<Output = Result<Next, SourceError>> + Send;

    /// Everything up to `mark` is safely handled; the source may forget it and tell its system so.
    ///
    /// # Errors
    /// [`SourceError`] when the system could not be told; what it covers is read again some day.
    fn commit(&mut self, mark: Mark) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Asked when the source is to end. One whose records nobody keeps takes in nothing more and says true: it is then read
    /// on until it is exhausted, so that nothing which it has taken in is lost. All others are read again one day.
    fn stop(&mut self) -> bool {
        false
    }

    /// Records that are known to wait at the system behind it, if that says so. Asks nobody.
    fn backlog(&self) -> Option<u64> {
        None
    }

    /// What else it can say of how it fares. Asks nobody.
    fn figures(&self) -> Figures {
        Figures::default()
    }
}

/// What a source has to say.
#[derive(Debug)]
pub enum Next {
    /// Records, and how far they reach.
    Batch(Batch),
    /// Nothing now, and everything that there was has been handed over.
    Idle,
    /// These partitions went to another consumer; their marks may no longer be committed.
    Revoked(Vec<String>),
    /// There will never be more.
    Exhausted,
}

/// Records read together.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the source.
    pub records: Vec<Record>,
    /// Names of the source's partitions, if it has several, also of those that no record is of: each has a watermark of its
    /// own.
    pub partitions: Vec<Arc<str>>,
    /// Which of these each record is of, in the order of the records; empty if all are of the first.
    pub partition_of: Vec<u16>,
    /// How far the source has been read once these are handled.
    pub mark: Mark,
    /// Set by sources that answer their sender: what is refused further in is noted here before the commit.
    pub receipt: Option<Arc<Receipt>>,
    /// What is missing for good between what was read before and these records.
    pub gaps: Vec<Gap>,
}

/// Records that nobody will ever read: they were deleted before their turn, or altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What makes it this gap, unique within the source: whoever finds it again names it alike.
    pub id: String,
    /// What is missing and why, in a sentence for a person.
    pub what: String,
}

impl Batch {
    /// All of this partition of the source. One alone needs no name.
    fn of<'n>(self, partition: &str, all: impl Iterator<Item = &'n str>) -> Self {
        let others: Vec<Arc<str>> = all.filter(|other| *other != partition).map(Arc::from).collect();
        if others.is_empty() {
            return self;
        }
        Self { partitions: std::iter::once(partition.into()).chain(others).collect(), ..self }
    }
}

/// No source puts more records into one batch.
pub const BATCH_RECORDS_MAX: usize = 512;

/// A batch ends with the record that reaches this many bytes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// One raw record: the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stood, unique within the source: it names records that carry no id of their own.
    pub position: String,
    /// The record, or the head of one that was refused.
    pub body: Body,
}

/// What stood at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A record to normalise. Those of one body may share its bytes: what is kept of one keeps all.
    Whole(Bytes),
    /// A record that the source itself refuses, such as a line above the limit: its first bytes and the reason.
    Refused {
        /// The first bytes, at most [`HEAD_BYTES`].
        head: Vec<u8>,
        /// Why.
        reason: Refusal,
    },
}

impl Body {
    /// The bytes that are held.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Refused { head, .. } => head.len(),
        }
    }

    /// Whether no bytes are held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a source refused a record before anybody parsed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than the limit.
    TooLong,
    /// Bytes that broke off, or that cannot be unpacked.
    Corrupt,
    /// An object that is gone, refused or damaged: what is kept names it.
    Unreadable,
}

/// How much of a refused record is kept.
pub const HEAD_BYTES: usize = 2_048;

/// Positions by partition, in the source's own words. Kept in the store and handed back at the next start.
/// A mark names only the partitions that its batch moved. An empty position leaves the store: that partition is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub BTreeMap<String, String>);

/// The system behind a source failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct SourceError {
    /// What was being done.
    pub doing: String,
    /// Whether waiting can help.
    pub remedy: Remedy,
    /// What the system said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What helps against a [`SourceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Waiting: throttling, a lost connection.
    Wait,
    /// A person: a wrong name, missing rights. Tried again all the same, more slowly.
    Person,
}
