//! The door: one route for all inlets. Lets a request in, or says why not, and waits for its verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::answer::Answer;
use super::drain::Drain;
use super::intake::{self, Held};
use super::wire::{Opened, Room};
use super::{Inlet, Push, Records, Verdict};
use crate::source::brackets::is_lines;

/// The route, as the observer hears it.
const ROUTE: &str = "/v1/events/{source}";

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
        Ok(Taken::Settled(verdict)) => Answer::Settled(verdict),
        Ok(Taken::Reply(response)) => return door.observed(response),
        Err(refused) => {
            // A sender that asked first has not begun to send and must not be told to go on.
            if !parts.headers.contains_key(EXPECT) {
                let rest = intake::discard(&mut body, 2 * door.limits.body_bytes_max);
                if timeout(door.limits.read_timeout, rest).await.is_err() {
                    tracing::debug!(%source, "a refused body was not read to its end");
                }
            }
            door.timed(refused)
        }
    };
    let response = match door.inlets.get(&source) {
        Some(inlet) => inlet.wire.answer(&parts.headers, answer),
        None => answer.into_response(),
    };
    door.observed(response)
}

/// What became of a request that was let in.
enum Taken {
    Settled(Verdict),
    Reply(Response),
}

async fn refuse_method<Observe>(State(door): State<Arc<Door<Observe>>>) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    door.observed(Answer::NotPost.into_response())
}

impl<Observe: Fn(&'static str, u16)> Door<Observe> {
    fn observed(&self, response: Response) -> Response {
        (self.observe)(ROUTE, response.status().as_u16());
        response
    }

    /// A sender that must wait is told how long: until what waits now is durable.
    fn timed(&self, refused: Answer) -> Answer {
        let Answer::Behind(_) = refused else { return refused };
        let whole = self.limits.waiting_bytes_max.min(Semaphore::MAX_PERMITS);
        Answer::Behind(self.drain.wait(whole.saturating_sub(self.room.available_permits()), Instant::now()))
    }

    async fn take(&self, source: &str, headers: &HeaderMap, body: &mut Body) -> Result<Taken, Answer> {
        let inlet = self.admit(source, headers)?;
        let key = inlet.wire.name(headers)?;
        let encoding = intake::encoding(headers)?;
        let bytes_max = self.limits.body_bytes_max;
        intake::stated_length(headers, bytes_max)?;
        let sent = timeout(self.limits.read_timeout, intake::read(body, bytes_max, &self.room));
        let sent = sent.await.map_err(|_| Answer::Slow)??;
        inlet.wire.verify(headers, &sent.bytes)?;
        let Held { bytes, mut permit } = intake::decompress(sent, encoding, bytes_max, &self.room).await?;
        let records = match self.open(inlet, headers, bytes).await? {
            Opened::Records(cuts) => Records::Cut(cuts),
            Opened::Unpacked { records, bytes } => {
                permit.merge(intake::take(&self.room, bytes)?);
                Records::Unpacked(records.into_iter())
            }
            Opened::Reply(response) => return Ok(Taken::Reply(response)),
        };

        let (reply, verdict) = oneshot::channel();
        let held = permit.num_permits();
        inlet.pushes.try_send(Push { records, key, reply, permit }).map_err(|refused| match refused {
            TrySendError::Full(_) => Answer::Behind(1),
            TrySendError::Closed(_) => Answer::Stopping,
        })?;
        match timeout(self.limits.ack_timeout, verdict).await {
            Ok(Ok(verdict)) => {
                self.drain.settled(held, Instant::now());
                Ok(Taken::Settled(verdict))
            }
            Ok(Err(_)) => Err(Answer::Stopping),
            Err(_) => Err(Answer::Unconfirmed),
        }
    }

    /// The inlet, if the sender may use it. Where any source asks for something, an unknown name is answered like a
    /// wrong token, so that names cannot be found by trying.
    fn admit(&self, source: &str, headers: &HeaderMap) -> Result<&Inlet, Answer> {
        let Some(inlet) = self.inlets.get(source) else {
            let guarded = self.inlets.values().any(|inlet| !inlet.wire.is_open());
            return Err(if guarded { Answer::Unauthorised } else { Answer::NotFound });
        };
        inlet.wire.admit(headers).map(|()| inlet)
    }

    /// Finding the shape reads as far as the first value goes, so a body whose first line is short stays here. One
    /// large document leaves the runtime for it.
    async fn open(&self, inlet: &Inlet, headers: &HeaderMap, bytes: Vec<u8>) -> Result<Opened, Answer> {
        let Limits { record_bytes_max, body_bytes_max, .. } = self.limits;
        let room = Room { record_bytes_max, body_bytes_max };
        let begin = &bytes[..bytes.len().min(64 << 10)];
        if begin.len() == bytes.len() || is_lines(begin) {
            return inlet.wire.open(headers, bytes.into(), room);
        }
        let (wire, headers) = (inlet.wire.clone(), headers.clone());
        match tokio::task::spawn_blocking(move || wire.open(&headers, bytes.into(), room)).await {
            Ok(opened) => opened,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
