//! What a receiver heard, in order, and what must be so whatever happened to the sender.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

/// A request whose signature was good.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Its `webhook-id`.
    pub(crate) id: String,
    /// Its body, byte by byte.
    pub(crate) body: String,
    /// Whether it was answered with 2xx. A message that never was may have been forgotten by its sender.
    pub(crate) taken: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(pub(crate) Vec<Arrival>);

impl Arrival {
    /// Which alert and which revision of it this tells.
    pub(crate) fn revision(&self) -> (String, u64) {
        let (id, revision, _) = parts(&self.body);
        (id, revision)
    }
}

impl History {
    /// Bodies by `webhook-id`, of those arrivals that are wanted.
    pub(crate) fn messages(&self, wanted: impl Fn(&Arrival) -> bool) -> BTreeMap<String, String> {
        let wanted = self.0.iter().filter(|arrival| wanted(arrival));
        wanted.map(|arrival| (arrival.id.clone(), arrival.body.clone())).collect()
    }

    /// The last revision that was taken of each alert, and its `data` byte by byte.
    pub(crate) fn alerts(&self) -> BTreeMap<String, (u64, String)> {
        let mut alerts: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for arrival in self.0.iter().filter(|arrival| arrival.taken) {
            let (id, revision, data) = parts(&arrival.body);
            let last = alerts.entry(id).or_insert_with(|| (revision, data.clone()));
            if last.0 < revision {
                *last = (revision, data);
            }
        }
        alerts
    }

    /// Messages that came again with another body: nobody could know which of the two is true.
    pub(crate) fn altered(&self) -> Vec<String> {
        let (mut bodies, mut altered) = (BTreeMap::new(), Vec::new());
        for Arrival { id, body, .. } in &self.0 {
            if bodies.insert(id, body).is_some_and(|before| before != body) {
                altered.push(format!("message {id} came again with another body"));
            }
        }
        altered
    }

    /// Alerts about which an older revision came after a newer one.
    pub(crate) fn steps_back(&self) -> Vec<String> {
        let (mut newest, mut back) = (BTreeMap::new(), Vec::new());
        for arrival in &self.0 {
            let (id, revision) = arrival.revision();
            let before = newest.insert(id.clone(), revision).unwrap_or(0);
            if revision < before {
                back.push(format!("alert {id}: {revision} after {before}"));
            }
        }
        back
    }

    /// Messages that came and were never taken.
    pub(crate) fn untaken(&self) -> BTreeSet<&str> {
        let ids = |taken: bool| self.0.iter().filter(move |it| it.taken == taken).map(|it| it.id.as_str());
        let taken: BTreeSet<&str> = ids(true).collect();
        ids(false).filter(|id| !taken.contains(id)).collect()
    }
}

/// Alert id, revision and `data` of a body.
fn parts(body: &str) -> (String, u64, String) {
    #[derive(serde::Deserialize)]
    struct Body {
        revision: u64,
        data: Box<RawValue>,
    }
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    let Body { revision, data } = serde_json::from_str(body).expect("a webhook body is JSON with revision and data");
    let Named { id } = serde_json::from_str(data.get()).expect("data is an alert");
    (id, revision, data.get().to_owned())
}
