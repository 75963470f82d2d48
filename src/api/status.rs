//! `GET /api/v1/status`: how the service is doing, on one screen.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use engine::normalise::Format;
use engine::time::Timestamp;
use serde_json::{Value, json};

use super::App;
use super::alerts::reading;
use super::error::Refusal;
use crate::coverage::State as Cover;
use crate::deliver::Mood;
use crate::feed::{Feed, Health};
use crate::metrics::METRICS;
use crate::store::Queue;

/// Sources, sinks, rules and alerts by severity.
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Json<Value>, Refusal> {
    let reader = app.clone();
    let ([informational, low, medium, high, critical], dead, queues) = reading(move || {
        let queues = reader.sinks.iter().map(|(sink, _, _)| reader.reader.queue(sink));
        let queues = queues.collect::<anyhow::Result<Vec<Queue>>>()?;
        Ok((reader.reader.by_severity()?, reader.reader.dead_records()?, queues))
    })
    .await?;
    let sinks: Vec<Value> = app
        .sinks
        .iter()
        .zip(queues)
        .map(|((name, system, state), queue)| {
            json!({
                "name": name, "type": system, "queued": queue.rows, "dead": queue.dead,
                "state": mood(*state.borrow()),
            })
        })
        .collect();
    let now = app.clock.now();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": app.started,
        "rules": app.rules.load().rules().len(),
        "dead_records": dead,
        "committing": app.committing.load(Ordering::Relaxed),
        "sources": app.roster.feeds().iter().map(|feed| source(feed, now)).collect::<Vec<_>>(),
        "sinks": sinks,
        "coverage": coverage(),
        "alerts": {
            "informational": informational, "low": low, "medium": medium, "high": high, "critical": critical,
        },
    })))
}

/// How much of what should arrive does, as of the last look.
fn coverage() -> Value {
    let cells = |state: Cover| METRICS.coverage.with_label_values(&[state.name()]).get();
    Cover::ALL.into_iter().map(|state| (state.name().to_owned(), json!(cells(state)))).collect()
}

fn source(feed: &Feed, now: Timestamp) -> Value {
    let name = [feed.name.as_str()];
    let kind = match feed.format {
        Format::Known(kind) => kind.name(),
        Format::Auto => "auto",
    };
    let rejects: u64 = engine::normalise::RejectReason::ALL
        .iter()
        .map(|reason| METRICS.rejects.with_label_values(&[feed.name.as_str(), reason.name()]).get())
        .sum();
    let mut body = json!({
        "name": feed.name, "kind": kind, "type": feed.system,
        "events": METRICS.events.with_label_values(&name).get(),
        "rejects": rejects,
        "state": match feed.health() {
            Health::Running => "running",
            Health::Finished => "idle",
            Health::Failing => "failing",
        },
    });
    if let Some(trouble) = feed.trouble() {
        body["failing_since"] = json!(trouble.since);
        body["error"] = json!(trouble.words);
    }
    if let Some(lag) = feed.lag(now) {
        body["lag_seconds"] = json!(lag.micros() as f64 / 1e6);
    }
    body
}

fn mood(mood: Mood) -> &'static str {
    match mood {
        Mood::Works => "ok",
        Mood::Retrying => "retrying",
        Mood::Paused => "paused",
    }
}
