//! A real receiver of webhooks: answers at once and notes what came when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;

/// By alert id: when its first message came, and the events that the message names.
type Heard = Arc<Mutex<BTreeMap<String, (Instant, Vec<String>)>>>;

/// Listens until the bench ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    heard: Heard,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen for webhooks")?;
        let address = listener.local_addr()?;
        let heard = Heard::default();
        let router = Router::new().route("/", post(receive)).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, heard })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    pub(crate) fn has_all(&self, ids: &BTreeSet<&String>) -> bool {
        ids.iter().all(|id| self.has(id))
    }

    pub(crate) fn first_messages(&self) -> Vec<(Instant, Vec<String>)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

async fn receive(State(heard): State<Heard>, body: String) -> StatusCode {
    let now = Instant::now();
    let Ok(message) = serde_json::from_str::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    let alert = &message["data"];
    let Some(id) = alert["id"].as_str() else { return StatusCode::BAD_REQUEST };
    let named = alert["event_ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let events = named.map(str::to_owned).collect();
    heard.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_insert((now, events));
    StatusCode::NO_CONTENT
}
