//! What is remembered between events, and who owns it: one thread, in order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::episode::Episode;
use super::fold::Entry;
use super::window::{Ripple, TooLate, Window};
use super::{Count, Key, Shape, Sighting};
use crate::alert::{Alert, AlertId};
use crate::rule::{Rule, RuleId, RuleSet};
use crate::time::{Span, Timestamp};

/// Written in front of every saved state; one that is not ours is refused.
const VERSION: u8 = 1;

/// Limits of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Keys over all rules; the least recent leaves first.
    pub keys_max: usize,
    /// How late, in event time, an event may come and still be counted.
    pub lateness: Span,
}

/// Windows of all rules.
#[derive(Debug)]
pub struct State {
    caps: Caps,
    windows: BTreeMap<RuleId, Windows>,
    /// Every key by its newest event, oldest first.
    recency: BTreeSet<(Timestamp, RuleId, Key)>,
    evicted: u64,
    late: u64,
}

/// What is remembered for one rule.
#[derive(Debug, Serialize, Deserialize)]
struct Windows {
    /// What the rule asked when this was counted. A rule that asks something else starts anew: counts of one
    /// question are no counts of another.
    asked: (u32, Shape, Option<String>),
    keys: BTreeMap<Key, Window>,
}

/// Something happened to an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The alert as it is now.
    pub alert: Alert,
    /// Counts up each time people are told; with the id it names a notification.
    pub revision: u64,
    /// Whether people are told: when it is new, each time it has doubled, and when a late event moved it.
    pub tell: bool,
    /// Whether it stands.
    pub standing: Standing,
}

/// Whether an alert stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Open,
    /// A late event moved its beginning; `by` is the alert that took its place.
    Superseded {
        /// Its successor, if the condition still holds at all.
        by: Option<AlertId>,
    },
}

/// A saved state that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error("saved state has version {found}, this build reads {VERSION}")]
    Version {
        /// Its version byte.
        found: u8,
    },
    /// Cut short or damaged.
    #[error("saved state is damaged")]
    Damaged(#[source] postcard::Error),
}

impl Default for Caps {
    /// A million keys, 20 minutes: the bound of the slowest source that people use.
    fn default() -> Self {
        Self { keys_max: 1_000_000, lateness: Span::seconds(20 * 60) }
    }
}

impl State {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        Self { caps, windows: BTreeMap::new(), recency: BTreeSet::new(), evicted: 0, late: 0 }
    }

    /// Takes in one sighting and appends what it changed. Findings of rules that `rules` does not hold are
    /// passed over: they were made by a set that has been replaced.
    pub fn apply(&mut self, rules: &RuleSet, sighting: &Sighting, changes: &mut Vec<Change>) {
        for finding in &sighting.findings {
            let Some(rule) = rules.by_id(&finding.rule) else { continue };
            match (&finding.count, Shape::of(rule)) {
                (Count::Alone, _) => changes.push(Change {
                    alert: Alert::alone(rule, sighting),
                    revision: 1,
                    tell: true,
                    standing: Standing::Open,
                }),
                (Count::Within { key, values }, Some(shape)) => {
                    let entry = Entry {
                        time: sighting.time,
                        kind: sighting.kind,
                        uid: sighting.uid.clone(),
                        values: values.iter().map(|value| value.as_str().into()).collect(),
                        scene: sighting.scene.clone(),
                    };
                    self.count((rule, rules.counted_field(rule)), &shape, key, entry, changes);
                }
                // The rule lost its `dedup` since the sighting was made.
                (Count::Within { .. }, None) => {}
            }
        }
    }

    fn count(
        &mut self,
        (rule, field): (&Rule, Option<&str>),
        shape: &Shape,
        key: &Key,
        entry: Entry,
        changes: &mut Vec<Change>,
    ) {
        let asked = (rule.version, *shape, field.map(str::to_owned));
        if self.windows.get(&rule.id).is_some_and(|windows| windows.asked != asked) {
            self.forget(&rule.id);
        }
        let windows = self.windows.entry(rule.id.clone());
        let windows = windows.or_insert_with(|| Windows { asked, keys: BTreeMap::new() });
        let window = windows.keys.entry(key.clone()).or_default();
        let before = window.newest();
        let ripples = match window.insert(entry, shape, self.caps.lateness) {
            Ok(ripples) => ripples,
            Err(TooLate) => {
                self.late += 1;
                return;
            }
        };
        let alert = |episode: &Episode| Alert::of_episode((rule, field), shape, key, episode);
        for ripple in ripples {
            changes.push(match ripple {
                Ripple::Tell(place) | Ripple::Note(place) => Change {
                    alert: alert(window.episode(place)),
                    revision: window.episode(place).revision,
                    tell: matches!(ripple, Ripple::Tell(_)),
                    standing: Standing::Open,
                },
                Ripple::Gone(old, heir) => Change {
                    alert: alert(&old),
                    revision: old.revision + 1,
                    tell: true,
                    standing: Standing::Superseded { by: heir.map(|place| alert(window.episode(place)).id) },
                },
            });
        }
        let now = window.newest();
        self.touch(&rule.id, key, before, now);
    }

    fn touch(&mut self, rule: &RuleId, key: &Key, before: Option<Timestamp>, now: Option<Timestamp>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.recency.remove(&(before, rule.clone(), key.clone()));
        }
        self.recency.extend(now.map(|now| (now, rule.clone(), key.clone())));
        while self.recency.len() > self.caps.keys_max {
            let Some((_, rule, key)) = self.recency.pop_first() else { return };
            self.evicted += 1;
            if let Some(windows) = self.windows.get_mut(&rule) {
                windows.keys.remove(&key);
            }
        }
    }

    /// Drops all that is remembered for a rule.
    fn forget(&mut self, rule: &RuleId) {
        self.windows.remove(rule);
        self.recency.retain(|(_, other, _)| other != rule);
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.recency.len()
    }

    /// Keys that had to leave since the beginning.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Events that came too late to be counted in a window since the beginning.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// All that is remembered, as bytes that [`State::restore`] reads.
    ///
    /// # Errors
    /// Never in practice: memory is the only thing that serialising needs.
    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(&(&self.windows, self.evicted, self.late), vec![VERSION])
    }

    /// The state that was saved, exactly.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not one that this build wrote.
    pub fn restore(bytes: &[u8], caps: Caps) -> Result<Self, RestoreError> {
        let (&version, body) = bytes.split_first().ok_or(RestoreError::Version { found: 0 })?;
        if version != VERSION {
            return Err(RestoreError::Version { found: version });
        }
        let (windows, evicted, late): (BTreeMap<RuleId, Windows>, u64, u64) =
            postcard::from_bytes(body).map_err(RestoreError::Damaged)?;
        let mut recency = BTreeSet::new();
        for (rule, windows) in &windows {
            for (key, window) in &windows.keys {
                recency.extend(window.newest().map(|newest| (newest, rule.clone(), key.clone())));
            }
        }
        Ok(Self { caps, windows, recency, evicted, late })
    }
}
