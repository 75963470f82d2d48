//! `GET /api/v1/deploys` and `GET /api/v1/deploys/{id}`: what changed what runs, and what explains it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use engine::deploys::{Record, Verdict};
use engine::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::alerts::reading;
use super::error::Refusal;
use crate::store::Deployed;

/// Deploys on one page, if the caller does not say, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;

/// Parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    verdict: Option<String>,
    environment: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of deploys, the newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    const KNOWN: &str = "known are verdict, environment, since, until, limit and after";
    let Query(parameters) = parameters.map_err(|error| Refusal::Parameter(error.body_text(), KNOWN))?;
    let mut asked = asked(parameters)?;
    let limit = asked.limit;
    // One more tells whether there is a next page.
    asked.limit += 1;
    let mut records = reading(move || app.reader.deploys(&asked)).await?;
    let is_more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| is_more).map(|record| format!("{}.{}", record.time.micros(), record.id));
    Ok(Json(json!({ "deploys": records, "next": next })))
}

/// One deploy.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Record>, Refusal> {
    const NONE: &str = "deploys are listed at /api/v1/deploys, if `deploys` of the configuration has a policy";
    let Path(id) = id.map_err(|_| Refusal::Unknown("there is no such deploy".to_owned(), NONE))?;
    let found = reading(move || app.reader.deploy(&id)).await?;
    found.map(Json).ok_or_else(|| Refusal::Unknown("there is no such deploy".to_owned(), NONE))
}

fn asked(parameters: Parameters) -> Result<Deployed, Refusal> {
    let Parameters { verdict, environment, since, until, limit, after } = parameters;
    let verdict = verdict.map(|name| {
        [Verdict::Unexplained, Verdict::Unknown, Verdict::Explained]
            .into_iter()
            .find(|verdict| verdict.to_string() == name)
            .ok_or_else(|| {
                Refusal::Parameter(format!("{name:?} is no verdict"), "known are unexplained, unknown, explained")
            })
    });
    let time = |text: String| {
        text.parse::<Timestamp>()
            .map_err(|_| Refusal::Parameter(format!("{text:?} is no time"), "write 2026-11-20T09:00:00Z"))
    };
    let place = |text: String| {
        let found = text
            .split_once('.')
            .and_then(|(time, id)| Some((Timestamp::from_micros(time.parse().ok()?), id.to_owned())));
        found.ok_or_else(|| Refusal::Parameter(format!("{text:?} is no page"), "give the `next` of the page before"))
    };
    Ok(Deployed {
        verdict: verdict.transpose()?,
        environment,
        since: since.map(time).transpose()?,
        until: until.map(time).transpose()?,
        after: after.map(place).transpose()?,
        limit: limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
    })
}
