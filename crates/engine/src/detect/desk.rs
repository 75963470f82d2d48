//! Where alerts of rules that learn wait until it is decided which of them people are told, when there is a budget.
//!
//! They are decided on in the order of the moments at which they were judged, once none before can come any more, so that neither
//! the order of arrival nor a restart changes which are told. First nobody has more than three a day; then an alert has to be
//! rarer than its rule asks by a factor that each midnight follows from the day before; then there may not have been as many
//! as the budget says. What is held back is told in one digest a day, and one that grows is decided on anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anomaly::Weight;
use super::{BETWEEN, Budget, Change, Standing};
use crate::alert::{Alert, AlertId, Digest};
use crate::event::Kinds;
use crate::time::{Span, Timestamp};

const DAY: Span = Span::seconds(86_400);

/// Alerts of one key a day.
const OF_ONE_MAX: u32 = 3;

/// So much stricter or laxer at most from one day to the next, in tens of orders: a factor of four, a fifth of the way from 1 to 0.001.
const STEP_MAX: f64 = 0.6;

/// Alerts that wait at most, and ids that are remembered of those that were held back.
const WAITING_MAX: usize = 10_000;
const HELD_MAX: usize = 10_000;

/// Keys that are counted in a day at most; of others nobody is known to have had three.
const KEYS_MAX: usize = 100_000;

/// An alert that did not grow for so long is over.
const OVER_AFTER: Span = Span::seconds(8 * 86_400);

/// Changes that wait, and what was decided today.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Desk {
    /// What the rules read whose alerts come here.
    pub(super) kinds: Kinds,
    waiting: BTreeMap<(Timestamp, AlertId), Waiting>,
    /// When those that wait were judged first.
    moments: BTreeMap<AlertId, Timestamp>,
    /// Those that were held back, and when they last grew.
    held: BTreeMap<AlertId, Timestamp>,
    today: Today,
    /// So much more is asked than the rules ask, in tens of orders.
    stricter: f64,
    held_back: u64,
}

/// An alert that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    due: Timestamp,
    weight: Weight,
    #[serde(with = "as_text")]
    changes: Vec<Change>,
}

/// One day of event time.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Today {
    number: i64,
    told: u32,
    /// By key: how many were told, and how many stand among `beyond`.
    keys: BTreeMap<String, (u32, u32)>,
    /// By how much each was beyond what its rule asks, the most first: as many as the budget.
    beyond: Vec<f64>,
    digest: Digest,
    /// When the digest can be told, if something was held back.
    closes: Option<Timestamp>,
}

impl Desk {
    /// Takes a change in; hands it back if nothing is to be decided: the alert was told already.
    pub(super) fn take(&mut self, change: Change, weight: Weight, wait: Span) -> Option<Change> {
        let id = &change.alert.id;
        if let Some(moment) = self.moments.get(id) {
            if let Some(waiting) = self.waiting.get_mut(&(*moment, id.clone())) {
                waiting.add(change, weight);
            }
            return None;
        }
        let is_held = self.held.contains_key(id);
        let is_new = change.tell && (is_held || change.revision == 1);
        if !is_new || self.waiting.len() >= WAITING_MAX {
            return (!is_held).then_some(change);
        }
        let (moment, id) = (weight.moment, id.clone());
        self.moments.insert(id.clone(), moment);
        self.waiting.insert((moment, id), Waiting { due: moment.plus(wait), weight, changes: vec![change] });
        None
    }

    /// When something can be decided.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let first = self.waiting.first_key_value().map(|(_, waiting)| waiting.due);
        first.into_iter().chain(self.today.closes).min()
    }

    /// Decides what the stream has come to; without a budget all is told.
    pub(super) fn decide(&mut self, budget: Option<Budget>, now: Timestamp, wait: Span, changes: &mut Vec<Change>) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.get().due <= now) {
            let ((moment, id), waiting) = entry.remove_entry();
            self.moments.remove(&id);
            let Some(budget) = budget else {
                changes.extend(waiting.changes);
                continue;
            };
            self.go_on_to(moment.cell(DAY), budget, changes);
            if self.passes(&waiting, budget) {
                self.held.remove(&id);
                changes.extend(waiting.changes);
            } else {
                self.hold(id, waiting, wait);
            }
        }
        if self.today.closes.is_some_and(|closes| closes <= now) {
            changes.extend(self.today.close());
        }
    }

    /// A day is over when something of another one is decided.
    fn go_on_to(&mut self, day: i64, budget: Budget, changes: &mut Vec<Change>) {
        let days = day - self.today.number;
        if days <= 0 {
            return;
        }
        changes.extend(self.today.close());
        let wanted = self.today.beyond.get(budget.a_day.get() as usize - 1).filter(|_| self.today.is_full(budget));
        let step = (wanted.copied().unwrap_or(0.0) - self.stricter).clamp(-STEP_MAX, STEP_MAX);
        // Of the days between nothing was decided.
        let quiet = STEP_MAX * (days - 1) as f64;
        self.stricter = (self.stricter + step - quiet).max(0.0);
        self.today = Today { number: day, ..Today::default() };
        let begins = Timestamp::from_micros(day.saturating_mul(DAY.micros()));
        self.held.retain(|_, grew| grew.plus(OVER_AFTER) >= begins);
    }

    fn passes(&mut self, waiting: &Waiting, budget: Budget) -> bool {
        let Some(change) = waiting.changes.last() else { return true };
        let key: Vec<&str> = change.alert.key.values().map(String::as_str).collect();
        let key = key.join(&BETWEEN.to_string());
        let (told, listed) = self.today.keys.get(&key).copied().unwrap_or_default();
        if told >= OF_ONE_MAX {
            return false;
        }
        let beyond = waiting.weight.strength - waiting.weight.asked;
        if listed < OF_ONE_MAX {
            let place = self.today.beyond.partition_point(|other| *other >= beyond);
            self.today.beyond.insert(place, beyond);
            // One more than the budget shows that there were more.
            self.today.beyond.truncate(budget.a_day.get() as usize + 1);
        }
        let passes = beyond >= self.stricter && self.today.told < budget.a_day.get();
        self.today.told += u32::from(passes);
        if self.today.keys.len() < KEYS_MAX || self.today.keys.contains_key(&key) {
            self.today.keys.insert(key, (told + u32::from(passes), (listed + 1).min(OF_ONE_MAX)));
        }
        passes
    }

    fn hold(&mut self, id: AlertId, waiting: Waiting, wait: Span) {
        let Waiting { weight, mut changes, .. } = waiting;
        let Some(Change { alert, .. }) = changes.pop() else { return };
        self.held_back += 1;
        if self.held.len() >= HELD_MAX
            && let Some(oldest) = self.held.iter().min_by_key(|(id, grew)| (**grew, *id)).map(|(id, _)| id.clone())
        {
            self.held.remove(&oldest);
        }
        self.held.insert(id, alert.last);
        let ends = Timestamp::from_micros((self.today.number + 1).saturating_mul(DAY.micros()));
        self.today.closes = Some(ends.plus(wait));
        self.today.digest.take(&alert, weight.moment, weight.strength - weight.asked);
    }

    /// How many were held back since the beginning.
    pub(super) fn held_back(&self) -> u64 {
        self.held_back
    }

    /// About the bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.len() * (1 << 11) + (self.held.len() + self.today.keys.len()) * 100
    }
}

impl Waiting {
    /// The alert as it is now. What people were not to be told need not be told later.
    fn add(&mut self, change: Change, weight: Weight) {
        if self.changes.last().is_some_and(|last| !last.tell) {
            self.changes.pop();
        }
        self.changes.push(change);
        if weight.strength - weight.asked > self.weight.strength - self.weight.asked {
            self.weight = weight;
        }
    }
}

impl Today {
    /// Whether there were more than the budget.
    fn is_full(&self, budget: Budget) -> bool {
        self.beyond.len() > budget.a_day.get() as usize
    }

    /// The digest of what was held back, once.
    fn close(&mut self) -> Option<Change> {
        self.closes.take()?;
        let ends = Timestamp::from_micros((self.number + 1).saturating_mul(DAY.micros()));
        let alert = std::mem::take(&mut self.digest).alert(ends, self.told)?;
        Some(Change { alert, revision: 1, tell: true, standing: Standing::Open })
    }
}

/// Changes as they are saved. Alerts leave absent values out of JSON, for people; in a format without names nothing could be read
/// after a gap.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::{Alert, Change, Standing};

    pub(super) fn serialize<S: Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
        let text = |change: &Change| Ok((serde_json::to_string(&change.alert)?, change.revision, change.tell));
        let texts: Result<Vec<(String, u64, bool)>, serde_json::Error> = changes.iter().map(text).collect();
        texts.map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
        let texts: Vec<(String, u64, bool)> = Deserialize::deserialize(deserializer)?;
        let change = |(text, revision, tell): (String, u64, bool)| {
            let alert: Alert = serde_json::from_str(&text)?;
            // What is learnt is never taken back.
            Ok(Change { alert, revision, tell, standing: Standing::Open })
        };
        let changes: Result<_, serde_json::Error> = texts.into_iter().map(change).collect();
        changes.map_err(de::Error::custom)
    }
}
