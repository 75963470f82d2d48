//! `GET /api/v1/coverage`: what should arrive, and whether it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::alerts::reading;
use super::error::Refusal;
use crate::coverage::{Cell, Spot, State as Cover};

/// Rows on one page, if the caller does not say, and at most.
const PAGE: usize = 500;

/// Parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    state: Option<String>,
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<usize>,
}

/// A page of what is expected or arrives, by kind, account and region.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    const KNOWN: &str = "known are state, limit and after";
    let Query(parameters) = parameters.map_err(|error| Refusal::Parameter(error.body_text(), KNOWN))?;
    let wanted = parameters.state.map(|name| {
        Cover::of(&name).ok_or_else(|| {
            Refusal::Parameter(format!("{name:?} is no state"), "known are seen, waiting, missing, silent, unexpected")
        })
    });
    let wanted = wanted.transpose()?;
    let (from, limit) = (parameters.after.unwrap_or(0), parameters.limit.unwrap_or(PAGE).clamp(1, PAGE));
    let covered = reading(move || app.reader.covered()).await?;
    let counts: serde_json::Map<String, Value> = Cover::ALL
        .into_iter()
        .map(|state| (state.name(), covered.cells.iter().filter(|(_, cell)| cell.state == state).count()))
        .map(|(name, cells)| (name.to_owned(), json!(cells)))
        .collect();
    let is_wanted = |(_, cell): &&(Spot, Cell)| wanted.is_none_or(|wanted| cell.state == wanted);
    let mut rows = covered.cells.iter().filter(is_wanted).skip(from);
    let page: Vec<Value> = rows.by_ref().take(limit).map(|(spot, cell)| row(spot, cell)).collect();
    let next = rows.next().is_some().then_some(from + limit);
    Ok(Json(json!({ "coverage": page, "counts": counts, "as_of": covered.looked, "next": next })))
}

/// One row, as the API and the command print it.
pub(crate) fn row(spot: &Spot, cell: &Cell) -> Value {
    let or_null = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "kind": spot.kind.name(),
        "account": spot.account,
        "name": or_null(&cell.name),
        "region": or_null(&spot.region),
        "state": cell.state.name(),
        "expected_since": cell.wanted.map(|wanted| wanted.since),
        "first": cell.heard.map(|heard| heard.first),
        "last": cell.heard.map(|heard| heard.last),
        "usual_gap_seconds": cell.heard.map(|heard| heard.usual.micros() / 1_000_000),
    })
}
