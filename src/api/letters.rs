//! `GET /api/v1/dead-records`: the records that could not be read.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::alerts::reading;
use super::error::Refusal;
use crate::store::DeadRecord;

/// Records on one page, if the caller does not say.
const PAGE: u32 = 50;
/// And at most: 500 × 2 KiB = 1 MiB.
const PAGE_MAX: u32 = 500;

/// Parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// A page of unreadable records, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    const KNOWN: &str = "known are limit and after";
    let Query(parameters) = parameters.map_err(|error| Refusal::Parameter(error.body_text(), KNOWN))?;
    let limit = parameters.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let before = parameters.after.map(|cursor| {
        cursor
            .parse()
            .map_err(|_| Refusal::Parameter(format!("{cursor:?} is no cursor"), "take `next` of the page before"))
    });
    let before = before.transpose()?;
    let page = reading(move || app.reader.dead_letters(limit, before)).await?;
    let full = page.len() == limit as usize;
    let next = page.last().filter(|_| full).map(|(row, _)| row.to_string());
    let records: Vec<Value> = page.iter().map(|(_, record)| body(record)).collect();
    Ok(Json(json!({ "dead_records": records, "next": next })))
}

/// The head as text: what is no UTF-8 shows as U+FFFD.
fn body(record: &DeadRecord) -> Value {
    let mut body = serde_json::to_value(record).expect("a record is JSON");
    body["head"] = Value::from(String::from_utf8_lossy(&record.head));
    body
}
