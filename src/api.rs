//! The web server: console, API, metrics, health, and the door for pushed events.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Router, middleware};
use connect::clock::Clock;
use connect::host;
use engine::rule::RuleSet;
use engine::time::Timestamp;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::deliver::Mood;
use crate::feed::Health;
use crate::ledger::Question;
use crate::metrics::METRICS;
use crate::roster::Roster;
use crate::store::{Reader, Told};

mod alerts;
pub(crate) mod connections;
mod console;
mod coverage;
mod deploys;
mod error;
mod letters;
mod lineage;
mod live;
mod status;

pub(crate) use coverage::row as coverage_row;
use error::Refusal;
pub(crate) use live::SEATS;

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct App {
    /// Committed snapshots of the store.
    pub reader: Reader,
    /// Folder of the archive.
    pub archive: PathBuf,
    /// The rules in use.
    pub rules: Arc<arc_swap::ArcSwap<RuleSet>>,
    /// The sources.
    pub roster: Arc<Roster>,
    /// Sinks: name, system, how they are doing.
    pub sinks: Vec<(String, &'static str, watch::Receiver<Mood>)>,
    /// Alerts as they change.
    pub live: broadcast::Sender<Told>,
    /// What is asked of the ledger.
    pub questions: mpsc::Sender<Question>,
    /// Whether commits work.
    pub committing: Arc<AtomicBool>,
    /// Where people reach the console.
    pub public_url: Option<String>,
    /// Hash of the token that callers must show.
    pub token: Option<blake3::Hash>,
    /// Whether `/metrics` is open to those without it.
    pub metrics_without_token: bool,
    /// Room for those who follow live.
    pub seats: Arc<Semaphore>,
    /// The present.
    pub clock: Clock,
    /// When the process started.
    pub started: Timestamp,
    /// Cancelled when the service stops.
    pub stop: CancellationToken,
}

/// Headers that keep a page of attacker-made values harmless.
const SAFETY: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// All routes. `ingest` asks for the tokens of its sources itself.
pub(crate) fn router(app: Arc<App>, ingest: Router) -> Router {
    let api = Router::new()
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/stream", get(live::stream))
        .route("/api/v1/alerts/{id}", get(alerts::one))
        .route("/api/v1/coverage", get(coverage::list))
        .route("/api/v1/deploys", get(deploys::list))
        .route("/api/v1/deploys/{id}", get(deploys::one))
        .route("/api/v1/lineage/{id}", get(lineage::one))
        .route("/api/v1/dead-records", get(letters::list))
        .route("/api/v1/status", get(status::status))
        .route("/api/{*path}", any(async || Refusal::UnknownPath))
        .method_not_allowed_fallback(async || Refusal::Method)
        .layer(from_fn_with_state(app.clone(), authenticate));
    Router::new()
        .merge(api)
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(console::page)
        .with_state(app)
        .layer(middleware::map_response(harden))
        .merge(ingest)
}

async fn authenticate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match admit(&app, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn admit(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    match app.token {
        Some(token) => authorise(token, headers),
        // A page whose own name was made to point here would read what a browser on this machine may read.
        None if host::asks_for_us(headers, app.public_url.as_deref()) => Ok(()),
        None => Err(Refusal::UnknownHost),
    }
}

fn authorise(token: blake3::Hash, headers: &HeaderMap) -> Result<(), Refusal> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
    // Equal hashes are compared in constant time.
    let known = shown.is_some_and(|shown| blake3::hash(shown.as_bytes()) == token);
    known.then_some(()).ok_or(Refusal::Unauthorised)
}

async fn harden(mut response: Response) -> Response {
    for (name, value) in SAFETY {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let said = if app.stop.is_cancelled() {
        Some("stopping\n")
    } else if app.committing.load(Ordering::Relaxed) {
        None
    } else {
        Some("the disk refuses commits: see the log\n")
    };
    match said {
        None => ("ready\n".to_owned() + &failing(&app)).into_response(),
        Some(said) => (StatusCode::SERVICE_UNAVAILABLE, said).into_response(),
    }
}

/// The sources that fail, a line each: the others go on, so the service is ready all the same.
fn failing(app: &App) -> String {
    let feeds = app.roster.feeds();
    let failing = feeds.iter().filter(|feed| feed.health() == Health::Failing);
    failing.map(|feed| format!("source {} fails: see /api/v1/status\n", feed.name)).collect()
}

/// What waits for a sink is asked of the store at each scrape: a sink that rests for minutes says nothing. Nor
/// does a silent source, so how far it lags is worked out then, too.
async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(token) = app.token
        && !app.metrics_without_token
    {
        authorise(token, &headers)?;
    }
    let now = app.clock.now();
    METRICS.committing.set(i64::from(app.committing.load(Ordering::Relaxed)));
    for feed in app.roster.feeds().iter() {
        if let Some(lag) = feed.lag(now) {
            METRICS.source_lag.with_label_values(&[&feed.name]).set(lag.micros() as f64 / 1e6);
        }
    }
    alerts::reading(move || {
        for (sink, _, _) in &app.sinks {
            METRICS.outbox(sink, &app.reader.queue(sink)?, now);
        }
        Ok(())
    })
    .await?;
    let text = METRICS.text().map_err(|error| Refusal::Internal(error.into()))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
