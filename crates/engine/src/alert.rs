//! What a person sees: one alert an episode, explained, with an id that its content decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Actor, Kind, Network, Target};
use crate::rule::{RuleId, Severity};
use crate::time::Timestamp;

/// 16 bytes of BLAKE3 over rule, version, key and anchor, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub String);

/// An alert in its canonical form: what was found, nothing about when it was received or sent. The same
/// rules and the same input give the same bytes of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity.
    pub id: AlertId,
    /// The rule that found it.
    pub rule: RuleId,
    /// The rule's own version.
    pub rule_version: u32,
    /// Headline.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// The log that it was found in.
    pub kind: Kind,
    /// Event time at which the condition became true.
    pub time: Timestamp,
    /// Event time of the first contributing event.
    pub first: Timestamp,
    /// Event time of the last contributing event.
    pub last: Timestamp,
    /// The group that it is about, field by field; empty for a rule without groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key: BTreeMap<String, String>,
    /// What the rule counts, so far: events, or distinct values.
    pub count: u64,
    /// The first contributing events, capped.
    pub event_ids: Vec<String>,
    /// How many events contributed.
    pub events_total: u64,
    /// The finding in words, with its numbers.
    pub why: String,
    /// What the rule means.
    pub description: String,
    /// What to check and do next.
    pub runbook: String,
    /// Known harmless causes.
    pub false_positives: Vec<String>,
    /// Tags of the rule.
    pub tags: Vec<String>,
    /// Who, in the first contributing event.
    pub actor: Actor,
    /// From where.
    pub network: Network,
    /// To what.
    pub target: Target,
    /// Doing what.
    pub action: String,
}
