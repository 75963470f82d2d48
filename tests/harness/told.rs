//! What a run told and what it keeps: the same for every run over the same records, however often it was killed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Lapwing, Receiver};

/// What a run told its receiver, and what its API answers.
pub(crate) struct Told {
    /// Last revision and `data` of each alert, byte by byte: its counts, event ids and values.
    pub(crate) alerts: BTreeMap<String, (u64, String)>,
    /// Every body by its `webhook-id`.
    pub(crate) messages: BTreeMap<String, String>,
    /// The alerts that stand, by id, with their revision and the events that the archive has for them.
    pub(crate) kept: BTreeMap<String, Value>,
}

impl Told {
    /// Waits until everybody is told everything, and takes it down.
    pub(crate) async fn by(lapwing: &Lapwing, receiver: &Receiver) -> Self {
        lapwing.everybody_told(receiver).await;
        let mut kept = BTreeMap::new();
        for row in lapwing.rows().await {
            let id = row["id"].as_str().expect("a row has an id").to_owned();
            let mut one = lapwing.get(&format!("/api/v1/alerts/{id}")).await;
            let members = one.as_object_mut().expect("an alert is an object");
            // When it was stored and sent differs from run to run, what was found does not.
            for wall in ["received", "updated", "deliveries"] {
                members.remove(wall).expect("the API says when");
            }
            kept.insert(id, one);
        }
        Self { alerts: receiver.alerts(), messages: receiver.messages(), kept }
    }

    /// The id of the alert that stands on this event.
    pub(crate) fn about(&self, event: &str) -> String {
        let holds = |alert: &Value| alert["event_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == event));
        let found = self.kept.iter().find(|(_, alert)| holds(alert));
        found.unwrap_or_else(|| panic!("no alert stands on the event {event}")).0.clone()
    }

    /// Fails unless a run with disturbances told the same and keeps the same.
    #[track_caller]
    pub(crate) fn is_told_by(&self, found: &Self) {
        let lost: Vec<_> = self.alerts.keys().filter(|id| !found.alerts.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{} of {} alerts lost: {lost:?}", lost.len(), self.alerts.len());
        let new: Vec<_> = found.alerts.iter().filter(|(id, _)| !self.alerts.contains_key(*id)).collect();
        assert!(new.is_empty(), "alerts that an undisturbed run does not raise: {new:?}");
        for (id, last) in &self.alerts {
            assert_eq!(&found.alerts[id], last, "the last message about {id} is another");
        }
        for (id, body) in &found.messages {
            assert_eq!(Some(body), self.messages.get(id), "message {id} is not of an undisturbed run");
        }
        for (id, alert) in &self.kept {
            assert_eq!(found.kept.get(id), Some(alert), "what is kept of {id} is another");
        }
        assert_eq!(found.kept.len(), self.kept.len(), "more alerts stand than in an undisturbed run");
    }
}

impl Lapwing {
    /// Fails if anything was refused or given up.
    pub(crate) async fn refused_nothing(&self) {
        let status = self.status().await;
        assert_eq!(status["sinks"][0]["dead"], 0, "a dead letter: {status}");
        assert_eq!(status["dead_records"], 0, "a record was refused: {status}");
    }
}
