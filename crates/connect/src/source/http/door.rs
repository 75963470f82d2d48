//! The door: one route for all inlets. Lets a request in, or says why not, and waits for its verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, EXPECT};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::answer::Answer;
use super::drain::Drain;
use super::intake::{self, Held};
use super::{Inlet, Push, Verdict};
use crate::host;
use crate::source::brackets::is_lines;
use crate::source::cuts::Cuts;

/// The route, as the observer hears it.
const ROUTE: &str = "/v1/events/{source}";

/// How long the rest of a refused body is read, so that its sender sees the answer and no reset. Whoever has no token
/// can send one, byte by byte, on every connection that we serve.
const DISCARD_MAX: Duration = Duration::from_secs(5);

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 255;

/// What all inlets share.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body, as sent and decompressed.
    pub body_bytes_max: usize,
    /// Largest record; a larger one is refused alone.
    pub record_bytes_max: usize,
    /// Bodies that are held in memory until they are committed, together. Above it senders are told to
    /// wait. At least two of the largest bodies, or a compressed one never fits.
    pub waiting_bytes_max: usize,
    /// Longest time for a body to arrive.
    pub read_timeout: Duration,
    /// Longest wait for the commit.
    pub ack_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            record_bytes_max: 1 << 20,
            waiting_bytes_max: 256 << 20,
            read_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(30),
        }
    }
}

struct Door<Observe> {
    inlets: BTreeMap<String, Inlet>,
    limits: Limits,
    room: Arc<Semaphore>,
    /// What is answered for, by all inlets: they share the room too.
    drain: Drain,
    observe: Observe,
}

/// Serves `POST /v1/events/{source}` for all inlets.
///
/// The body is NDJSON, a JSON array, one object, or `{"Records":[…]}`; plain, gzip or zstd. Answers: 200 once
/// all records are durable; 400 with line numbers if some were refused (the others *are* durable); 401;
/// 403 for pages of other sites; 404; 408; 413; 415; 429 when behind; 503 when the outcome is unknown. An `Idempotency-Key` header
/// names the request's records, so that a repeat is recognised.
///
/// `observe` hears the route and the status of each answer.
pub fn router<Observe>(inlets: Vec<Inlet>, limits: Limits, observe: Observe) -> Router
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    let room = Arc::new(Semaphore::new(limits.waiting_bytes_max.min(Semaphore::MAX_PERMITS)));
    let inlets = inlets.into_iter().map(|inlet| (inlet.name.clone(), inlet)).collect();
    let door = Arc::new(Door { inlets, limits, room, drain: Drain::new(Instant::now()), observe });
    Router::new().route(ROUTE, post(receive::<Observe>).fallback(refuse_method::<Observe>)).with_state(door)
}

async fn receive<Observe>(
    State(door): State<Arc<Door<Observe>>>,
    Path(source): Path<String>,
    request: Request,
) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    let (parts, mut body) = request.into_parts();
    let answer = match door.take(&source, &parts.headers, &mut body).await {
        Ok(verdict) => Answer::Settled(verdict),
        Err(refused) => {
            // A sender that asked first has not begun to send and must not be told to go on. One that was too slow had
            // its time.
            if !parts.headers.contains_key(EXPECT) && !matches!(refused, Answer::Slow) {
                let rest = intake::discard(&mut body, 2 * door.limits.body_bytes_max);
                if timeout(DISCARD_MAX.min(door.limits.read_timeout), rest).await.is_err() {
                    tracing::debug!(%source, "a refused body was not read to its end");
                }
            }
            door.timed(refused)
        }
    };
    door.answered(answer)
}

async fn refuse_method<Observe>(State(door): State<Arc<Door<Observe>>>) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    door.answered(Answer::NotPost)
}

impl<Observe: Fn(&'static str, u16)> Door<Observe> {
    fn answered(&self, answer: Answer) -> Response {
        let response = answer.into_response();
        (self.observe)(ROUTE, response.status().as_u16());
        response
    }

    /// A sender that must wait is told how long: until what waits now is durable.
    fn timed(&self, refused: Answer) -> Answer {
        let Answer::Behind(_) = refused else { return refused };
        let whole = self.limits.waiting_bytes_max.min(Semaphore::MAX_PERMITS);
        Answer::Behind(self.drain.wait(whole.saturating_sub(self.room.available_permits()), Instant::now()))
    }

    async fn take(&self, source: &str, headers: &HeaderMap, body: &mut Body) -> Result<Verdict, Answer> {
        let inlet = self.admit(source, headers)?;
        let key = idempotency_key(headers)?;
        let encoding = intake::encoding(headers)?;
        let bytes_max = self.limits.body_bytes_max;
        intake::stated_length(headers, bytes_max)?;
        let sent = timeout(self.limits.read_timeout, intake::read(body, bytes_max, &self.room));
        let sent = sent.await.map_err(|_| Answer::Slow)??;
        let Held { bytes, permit } = intake::decompress(sent, encoding, bytes_max, &self.room).await?;
        let cuts = self.cut(bytes).await;

        let (reply, verdict) = oneshot::channel();
        let held = permit.num_permits();
        inlet.pushes.try_send(Push { cuts, key, reply, permit }).map_err(|refused| match refused {
            TrySendError::Full(_) => Answer::Behind(1),
            TrySendError::Closed(_) => Answer::Stopping,
        })?;
        match timeout(self.limits.ack_timeout, verdict).await {
            Ok(Ok(verdict)) => {
                self.drain.settled(held, Instant::now());
                Ok(verdict)
            }
            Ok(Err(_)) => Err(Answer::Stopping),
            Err(_) => Err(Answer::Unconfirmed),
        }
    }

    /// The inlet, if the sender may use it. Where any source has a token, an unknown name is answered like
    /// a wrong token, so that names cannot be found by trying.
    fn admit(&self, source: &str, headers: &HeaderMap) -> Result<&Inlet, Answer> {
        let shown = bearer(headers).map(blake3::hash);
        let Some(inlet) = self.inlets.get(source) else {
            let guarded = self.inlets.values().any(|inlet| inlet.token.is_some());
            return Err(if guarded { Answer::Unauthorised } else { Answer::NotFound });
        };
        match inlet.token {
            Some(_) if inlet.token != shown => Err(Answer::Unauthorised),
            // No page of another site knows the token; without one, any page could push what it likes.
            None if !host::comes_from_us(headers) => Err(Answer::Foreign),
            Some(_) | None => Ok(inlet),
        }
    }

    /// Finding the shape reads as far as the first value goes, so a body whose first line is short stays here. One
    /// large document leaves the runtime for it.
    async fn cut(&self, bytes: Vec<u8>) -> Cuts {
        let record_bytes_max = self.limits.record_bytes_max;
        let begin = &bytes[..bytes.len().min(64 << 10)];
        if begin.len() == bytes.len() || is_lines(begin) {
            return Cuts::new(bytes.into(), record_bytes_max);
        }
        match tokio::task::spawn_blocking(move || Cuts::new(bytes.into(), record_bytes_max)).await {
            Ok(cuts) => cuts,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Answer> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.as_bytes();
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.iter().all(u8::is_ascii_graphic) {
        let wanted = format!("the Idempotency-Key must be 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(Answer::Unreadable(wanted));
    }
    Ok(Some(String::from_utf8_lossy(key).into_owned()))
}
