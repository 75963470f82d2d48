//! What happens to alerts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertId};

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

/// The alerts that stand at the end of a whole stream, as `lapwing replay` and tests want them: the latest form of each
/// alert that was not superseded, by (time, id).
#[derive(Debug, Default)]
pub struct Register {
    alerts: BTreeMap<AlertId, Alert>,
}

impl Register {
    /// Takes a change in.
    pub fn take(&mut self, change: Change) {
        match change.standing {
            Standing::Open => self.alerts.insert(change.alert.id.clone(), change.alert),
            Standing::Superseded { .. } => self.alerts.remove(&change.alert.id),
        };
    }

    /// What stands at the end.
    #[must_use]
    pub fn into_alerts(self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.alerts.into_values().collect();
        alerts.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        alerts
    }
}
