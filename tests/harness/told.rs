//! What a run told and what it keeps: the same for every run over the same records, however often it was killed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{History, Lapwing, Receiver};

/// What a run told its receiver, and what its API answers.
pub(crate) struct Told {
    /// Everything that came, repeats included.
    pub(crate) history: History,
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
        Self { history: History(receiver.arrivals()), kept }
    }

    /// The id of the alert that stands on this event.
    pub(crate) fn about(&self, event: &str) -> String {
        let holds = |alert: &Value| alert["event_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == event));
        let found = self.kept.iter().find(|(_, alert)| holds(alert));
        found.unwrap_or_else(|| panic!("no alert stands on the event {event}")).0.clone()
    }

    /// Fails unless a run with disturbances told the same, in order, and keeps the same.
    #[track_caller]
    pub(crate) fn is_told_by(&self, found: &Self) {
        assert_eq!(found.history.steps_back(), Vec::<String>::new());
        self.is_told_in_any_order_by(found);
    }

    /// The same, but a store that was made to forget may begin again before what it had told.
    #[track_caller]
    pub(crate) fn is_told_in_any_order_by(&self, found: &Self) {
        let differences = self.differences(found);
        let (known, told) = (self.history.alerts().len(), found.history.alerts().len());
        assert!(differences.is_empty(), "{told} alerts, {known} undisturbed:\n{}", differences.join("\n"));
    }

    /// What a run with disturbances lost, made up, or told in another way. `tests/oracle.rs` shows that it finds each.
    pub(crate) fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = found.history.altered();
        differences.extend(found.history.untaken().iter().map(|id| format!("message {id} came and nobody took it")));
        let (alerts, told) = (self.history.alerts(), found.history.alerts());
        differences.extend(between(&alerts, &told, "alert"));
        let (messages, told) = (self.history.messages(|it| it.taken), found.history.messages(|it| it.taken));
        differences.extend(between(&messages, &told, "message"));
        differences.extend(between(&self.kept, &found.kept, "kept alert"));
        differences
    }
}

/// What is missing, new, or another.
fn between<T: PartialEq + std::fmt::Debug>(
    known: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    what: &str,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (id, one) in known {
        match found.get(id) {
            None => differences.push(format!("{what} {id} is lost: {one:?}")),
            Some(other) if one != other => differences.push(format!("{what} {id} is another: {other:?}, not {one:?}")),
            Some(_) => {}
        }
    }
    for (id, one) in found.iter().filter(|(id, _)| !known.contains_key(*id)) {
        differences.push(format!("{what} {id} is new: {one:?}"));
    }
    differences
}

impl Lapwing {
    /// Fails if anything was refused or given up.
    pub(crate) async fn refused_nothing(&self) {
        let status = self.status().await;
        assert_eq!(status["sinks"][0]["dead"], 0, "a dead letter: {status}");
        assert_eq!(status["dead_records"], 0, "a record was refused: {status}");
    }
}
