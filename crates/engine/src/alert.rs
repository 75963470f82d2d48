//! What a person sees: one alert an episode, explained, with an id that its content decides.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detect::{Account, Key, Shape, Sighting, decimal_text};
use crate::event::{Actor, Kind, Network, Target};
use crate::rule::{Rule, RuleId, Severity};
use crate::time::Timestamp;

mod digest;
mod explain;
pub mod redact;
mod scene;

pub(crate) use digest::Digest;
pub use scene::Scene;
pub(crate) use scene::{Part, Parts};

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
    /// The log that it was found in; that of the first contributing event if a rule counts over several.
    pub kind: Kind,
    /// Event time at which the condition became true.
    pub time: Timestamp,
    /// Event time of the first contributing event.
    pub first: Timestamp,
    /// Event time of the last contributing event.
    pub last: Timestamp,
    /// The group that it is about, field by field; empty for a rule without groups.
    #[serde(default, skip_serializing_if = "Key::is_empty")]
    pub key: Key,
    /// What the rule counts, so far: events, distinct values, rules that matched; events if it works out a number.
    pub count: u64,
    /// What the rule works out of numbers, in decimals: a sum, a mean, a percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The first contributing events, capped; shared by the forms that one alert takes as it grows.
    pub event_ids: Arc<[String]>,
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
    /// What to know before one relies on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
}

/// What to know of an alert before one relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The time of one of its events lay in the future, and was taken for the moment of receipt.
    ClockAhead,
    /// A source that the rule reads had failed for long when it was written: events may be missing.
    Partial,
}

/// What makes an id unique within a rule and key.
enum Anchor<'a> {
    /// The event itself, for rules about one event.
    Event { origin: &'a str, id: &'a str },
    /// The cell of the window's length that holds the crossing. Not the first event: a late one would
    /// change which that is.
    Cell(i64),
}

impl AlertId {
    /// The id is a promise to every receiver: changing this function breaks deduplication everywhere.
    fn new(rule: &Rule, key: &Key, anchor: &Anchor<'_>) -> Self {
        let mut hash = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(b"lapwing alert 1");
        part(rule.id.0.as_bytes());
        part(&rule.version.to_le_bytes());
        for (field, value) in key {
            part(field.as_bytes());
            part(value.as_bytes());
        }
        match anchor {
            Anchor::Event { origin, id } => {
                part(b"event");
                part(origin.as_bytes());
                part(id.as_bytes());
            }
            Anchor::Cell(cell) => {
                part(b"cell");
                part(&cell.to_le_bytes());
            }
        }
        let mut half = [0; 16];
        hash.finalize_xof().fill(&mut half);
        Self(format!("{:032x}", u128::from_be_bytes(half)))
    }
}

impl Alert {
    /// The alert of a rule about one event.
    pub(crate) fn alone(rule: &Rule, sighting: &Sighting) -> Self {
        let key = Key::new();
        let anchor = Anchor::Event { origin: &sighting.uid.origin, id: &sighting.uid.id };
        let id = AlertId::new(rule, &key, &anchor);
        let why = explain::alone(&sighting.scene);
        let alert = Self::frame(rule, id, sighting.kind, key, &sighting.scene, why);
        Self {
            time: sighting.time,
            first: sighting.time,
            last: sighting.time,
            count: 1,
            event_ids: [sighting.uid.id.clone()].into(),
            events_total: 1,
            flags: sighting.clamped.then_some(Flag::ClockAhead).into_iter().collect(),
            ..alert
        }
    }

    /// The alert of an episode, as far as it has come.
    pub(crate) fn of_episode(rule: &Rule, shape: &Shape, key: &Key, episode: Account) -> Self {
        let id = AlertId::new(rule, key, &Anchor::Cell(episode.crossed.cell(shape.window)));
        let why = explain::episode(shape, key, &episode);
        let alert = Self::frame(rule, id, episode.kind, key.clone(), &episode.scene, why);
        Self {
            time: episode.crossed,
            first: episode.first,
            last: episode.last,
            count: if shape.counted.is_number() {
                episode.events_total
            } else {
                u64::try_from(episode.peak).unwrap_or_default()
            },
            value: shape.counted.is_number().then(|| decimal_text(episode.peak)),
            event_ids: episode.sample,
            events_total: episode.events_total,
            flags: episode.clamped.then_some(Flag::ClockAhead).into_iter().collect(),
            ..alert
        }
    }

    fn frame(rule: &Rule, id: AlertId, kind: Kind, key: Key, scene: &Scene, why: String) -> Self {
        Self {
            id,
            rule: rule.id.clone(),
            rule_version: rule.version,
            title: rule.title.clone(),
            severity: rule.severity,
            kind,
            time: Timestamp::default(),
            first: Timestamp::default(),
            last: Timestamp::default(),
            key,
            count: 0,
            value: None,
            event_ids: Arc::default(),
            events_total: 0,
            why,
            description: rule.description.clone(),
            runbook: rule.runbook.clone(),
            false_positives: rule.false_positives.clone(),
            tags: rule.tags.clone(),
            actor: scene.actor(),
            network: scene.network(),
            target: scene.target(),
            action: scene.action().to_owned(),
            flags: Vec::new(),
        }
    }
}
