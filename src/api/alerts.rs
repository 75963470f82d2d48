//! `GET /api/v1/alerts` and `GET /api/v1/alerts/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use engine::rule::Severity;
use engine::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::App;
use super::error::Refusal;
use crate::archive;
use crate::store::{self, Row};

/// Alerts on one page, if the caller does not say.
const PAGE: u32 = 50;
/// And at most.
const PAGE_MAX: u32 = 500;
/// Words that are looked for at once.
const WORDS_MAX: usize = 32;
/// Events that are read for one alert.
const EVIDENCE_MAX: usize = 50;

/// Requests that read at a time; they share one connection. The router and the sinks take such threads from the same
/// pool of 512, and people who ask much must not hold up what is to be told.
const READS_MAX: usize = 8;
static READS: Semaphore = Semaphore::const_new(READS_MAX);

/// Parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// One or several, with commas between.
    severity: Option<String>,
    rule: Option<String>,
    /// Words that the alert must hold, each of them anywhere.
    q: Option<String>,
}

/// A page of alerts, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    const KNOWN: &str = "known are limit, after, severity, rule and q";
    let Query(parameters) = parameters.map_err(|error| Refusal::Parameter(error.body_text(), KNOWN))?;
    let query = query(parameters)?;
    let page = reading(move || app.reader.alerts(&query)).await?;
    let next = page.next.map(|(time, id)| format!("{}.{id}", time.micros()));
    Ok(Json(json!({ "alerts": page.rows.iter().map(row).collect::<Vec<_>>(), "next": next })))
}

/// One alert with its evidence and its deliveries.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Refusal> {
    const WANTED: &str = "the id of an alert is 32 hexadecimal digits";
    let Path(id) = id.map_err(|error| Refusal::Parameter(error.body_text(), WANTED))?;
    let found = reading(move || {
        let Some(found) = app.reader.alert(&id)? else { return Ok(None) };
        let (mut uids, mut places) = (Vec::new(), Vec::new());
        for uid in found.alert.event_ids.iter().take(EVIDENCE_MAX) {
            let Some((time, place)) = app.reader.archived(&found.alert, uid)? else { continue };
            uids.push((uid, time));
            places.push(place);
        }
        let mut evidence = Vec::new();
        for ((uid, time), text) in uids.into_iter().zip(archive::read(&app.archive, &places)) {
            // A segment that has left the archive takes its events with it; the alert stands without them.
            let Some(text) = text else { continue };
            let raw: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            evidence.push(json!({ "uid": uid, "time": time, "event": raw }));
        }
        let mut body = row(&found);
        body["evidence"] = Value::Array(evidence);
        body["deliveries"] = serde_json::to_value(app.reader.deliveries(&id)?)?;
        Ok(Some(body))
    })
    .await?;
    found.map(Json).ok_or(Refusal::UnknownAlert)
}

fn query(parameters: Parameters) -> Result<store::Query, Refusal> {
    let severity = |name: &str| {
        serde_json::from_value::<Severity>(Value::String(name.to_owned())).map_err(|_| {
            let message = format!("{name:?} is no severity");
            Refusal::Parameter(message, "one or more of informational, low, medium, high, critical")
        })
    };
    let severities: Result<Vec<Severity>, Refusal> =
        parameters.severity.iter().flat_map(|names| names.split(',')).map(severity).collect();
    let after = parameters.after.map(|cursor| {
        let parsed = cursor.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())));
        let (time, id): (i64, String) = parsed
            .ok_or_else(|| Refusal::Parameter(format!("{cursor:?} is no cursor"), "take `next` of the page before"))?;
        Ok::<_, Refusal>((Timestamp::from_micros(time), id))
    });
    let words: Vec<String> = parameters.q.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    if words.len() > WORDS_MAX {
        let message = format!("q holds {} words", words.len());
        return Err(Refusal::Parameter(message, "at most 32 words are looked for"));
    }
    Ok(store::Query {
        limit: parameters.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
        after: after.transpose()?,
        severities: severities?,
        rule: parameters.rule,
        words,
    })
}

/// The alert's own members with those of the store beside them.
pub(super) fn row(row: &Row) -> Value {
    let mut body = serde_json::to_value(&row.alert).expect("an alert is JSON");
    body["revision"] = json!(row.revision);
    body["state"] = json!(row.state);
    body["received"] = json!(row.received);
    body["updated"] = json!(row.updated);
    body
}

/// Reads the store on a thread that may block, when it is its turn.
pub(super) async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let _turn = READS.acquire().await.map_err(|error| Refusal::Internal(error.into()))?;
    tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::Internal(error.into()))?.map_err(Refusal::from)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn however_many_ask_there_are_threads_left_for_those_who_tell() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.enable_all().max_blocking_threads(READS_MAX + 1);
        runtime.build().unwrap().block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let held = Arc::new(std::sync::Mutex::new(held));
            let (begun, mut began) = tokio::sync::mpsc::unbounded_channel();
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..READS_MAX * 4 {
                let (held, begun) = (held.clone(), begun.clone());
                asking.spawn(reading(move || {
                    begun.send(())?;
                    // Until the test lets go of the other end.
                    held.lock().unwrap().recv().unwrap_err();
                    Ok(())
                }));
            }
            for _ in 0..READS_MAX {
                began.recv().await.unwrap();
            }
            let told = tokio::time::timeout(Duration::from_secs(60), tokio::task::spawn_blocking(|| "told"));
            assert_eq!(told.await.expect("there is a thread").unwrap(), "told");
            drop(release);
            while let Some(asked) = asking.join_next().await {
                asked.unwrap().unwrap();
            }
        });
    }
}
