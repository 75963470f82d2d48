//! Where alerts go.
//!
//! A sink turns one message into one request and one answer into one [`Answer`]. It keeps no queue and
//! never retries by itself: the outbox does, from disk.

use std::time::Duration;

use engine::alert::Alert;
use engine::time::Timestamp;

/// What is to be told to one sink.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same on every attempt, derived from the stored outbox row: `webhook-id` and the like.
    pub id: String,
    /// What happened to the alert.
    pub action: Action,
    /// The alert as of this revision.
    pub alert: Alert,
    /// Counts up with each change of the alert.
    pub revision: u64,
    /// The alert's page in the console, if its address is configured.
    pub link: Option<String>,
}

/// What happened to the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Raise,
    /// It was told before and has grown.
    Update,
    /// It is over.
    Resolve,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, after the body check of that sink.
    Delivered(Reply),
    /// Not now; try again, not before `after` if it is given.
    Retry {
        /// What the receiver asked for, capped at an hour.
        after: Option<Duration>,
        /// What it said.
        reply: Reply,
    },
    /// Never for this message: to the dead letters.
    Refused(Reply),
    /// Nothing will pass until a person mends the sink: pause it and keep its queue.
    Misconfigured(Reply),
    /// The receiver is gone for good (410): disable the sink and keep its queue.
    Gone(Reply),
}

/// What the receiver said, cut and safe to show: status and the head of the body, or the failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Head of the body, or what failed.
    pub text: String,
}

/// The moment of an attempt; sinks sign with it.
pub type Now = Timestamp;
