//! Where alerts go.
//!
//! A sink turns one message into one request and one answer into one [`Answer`]. It keeps no queue and
//! never retries by itself: the outbox does, from disk.

use std::time::Duration;

use engine::alert::Alert;
use engine::time::Timestamp;

pub mod memory;
pub mod pagerduty;
mod post;
pub mod slack;
pub mod stdout;
pub mod webhook;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod sample;

pub use memory::Memory;
pub use pagerduty::PagerDuty;
pub use post::SettingsError;
pub use slack::Slack;
pub use stdout::Stdout;
pub use webhook::Webhook;

/// One way to tell people or systems of an alert. Built from its settings, which are checked then.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Any receiver of Standard Webhooks.
    Webhook(Webhook),
    /// A Slack channel.
    Slack(Slack),
    /// A PagerDuty service.
    PagerDuty(PagerDuty),
    /// Standard output.
    Stdout(Stdout),
    /// Memory, for tests.
    Memory(Memory),
}

impl Sink {
    /// Sends `message` once. Takes no longer than the sink's timeout.
    pub async fn send(&self, message: &Message, now: Now) -> Answer {
        match self {
            Self::Webhook(webhook) => webhook.send(message, now).await,
            Self::Slack(slack) => slack.send(message, now).await,
            Self::PagerDuty(pagerduty) => pagerduty.send(message, now).await,
            Self::Stdout(stdout) => stdout.send(message).await,
            Self::Memory(memory) => memory.send(message, now),
        }
    }

    /// Its name in configuration, metrics and the API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::Stdout(_) => "stdout",
            Self::Memory(_) => "memory",
        }
    }
}

/// What is to be told to one sink.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same on every attempt, derived from the stored outbox row: `webhook-id` and the like.
    pub id: String,
    /// What happened to the alert.
    pub action: Action,
    /// The alert as of this revision.
    pub alert: Alert,
    /// The same as JSON, as it is stored.
    pub text: String,
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

impl Answer {
    /// What the receiver said, or what failed.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Delivered(reply)
            | Self::Retry { reply, .. }
            | Self::Refused(reply)
            | Self::Misconfigured(reply)
            | Self::Gone(reply) => reply,
        }
    }
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
