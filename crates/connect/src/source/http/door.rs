//! The door: one route for all inlets. Lets a request in, or says why not, and waits for its verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::http::header::EXPECT;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::answer::Answer;
use super::drain::Drain;
use super::intake::{self, Held};
use super::wire::{Asked, Opened, Room};
use super::{Inlet, Inlets, Push, Records, Verdict};
use crate::source::brackets::is_lines;

/// The route of a source, as the observer hears it.
const ROUTE: &str = "/v1/events/{source}";
/// Below it, where a sender appends a path of its system.
const BELOW: &str = "/v1/events/{source}/{*path}";
/// Paths of systems whose senders cannot be given another: what they show says which source is meant.
const FIXED: [&str; 3] = ["/services/collector", "/services/collector/{*path}", "/v1/logs"];

/// How long the rest of a refused body is read, so that its sender sees the answer and no reset. Whoever has no token
/// can send one, byte by byte, on every connection that we serve.
const DISCARD_MAX: Duration = Duration::from_secs(5);

/// The part of [`Limits::waiting_bytes_max`] that bodies may take beside it whose signature was not looked at yet.
const STRANGERS: usize = 4;

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
    inlets: Arc<Inlets>,
    limits: Limits,
    room: Arc<Semaphore>,
    /// For bodies that have to be read before anybody knows whose they are: a stranger must not take the room of others.
    strangers: Arc<Semaphore>,
    /// What is answered for, by all inlets: they share the room too.
    drain: Drain,
    observe: Observe,
}

/// Serves `POST /v1/events/{source}` for all inlets that there are at the moment.
///
/// The body is NDJSON, a JSON array, one object, or `{"Records":[…]}`; plain, gzip or zstd. Answers: 200 once
/// all records are durable; 400 with line numbers if some were refused (the others *are* durable); 401;
/// 403 for pages of other sites; 404; 408; 413; 415; 429 when behind; 503 when the outcome is unknown. An `Idempotency-Key` header
/// names the request's records, so that a repeat is recognised.
///
/// `observe` hears the route and the status of each answer.
pub fn router<Observe>(inlets: Arc<Inlets>, limits: Limits, observe: Observe) -> Router
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    let room = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
    let strangers = room((limits.waiting_bytes_max / STRANGERS).max(limits.body_bytes_max));
    let room = room(limits.waiting_bytes_max);
    let door = Arc::new(Door { inlets, limits, room, strangers, drain: Drain::new(Instant::now()), observe });
    let fixed = || any(receive_anywhere::<Observe>);
    let routes = Router::new().route(ROUTE, any(receive::<Observe>)).route(BELOW, any(receive_below::<Observe>));
    FIXED.into_iter().fold(routes, |routes, path| routes.route(path, fixed())).with_state(door)
}

async fn receive<Observe>(
    State(door): State<Arc<Door<Observe>>>,
    Path(source): Path<String>,
    request: Request,
) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    door.serve(door.inlets.get(&source), String::new(), request).await
}

async fn receive_below<Observe>(
    State(door): State<Arc<Door<Observe>>>,
    Path((source, path)): Path<(String, String)>,
    request: Request,
) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    let inlet = door.inlets.get(&source).filter(|inlet| inlet.wire.serves(&path));
    door.serve(inlet, path, request).await
}

/// At a path of its system a sender names no source: the one whose token it shows is meant.
async fn receive_anywhere<Observe>(State(door): State<Arc<Door<Observe>>>, request: Request) -> Response
where
    Observe: Fn(&'static str, u16) + Send + Sync + 'static,
{
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let asked = Asked { path: path.clone(), headers: request.headers().clone() };
    let there: Vec<_> = door.inlets.all().into_iter().filter(|inlet| inlet.wire.serves(&path)).collect();
    let inlet = there.iter().find(|inlet| inlet.wire.admit(&asked).is_ok()).or_else(|| there.first()).cloned();
    door.serve(inlet, path, request).await
}

/// What became of a request that was let in.
enum Taken {
    Settled(Verdict),
    Reply(Response),
}

impl<Observe: Fn(&'static str, u16)> Door<Observe> {
    /// From the first look at a request to its answer.
    async fn serve(&self, inlet: Option<Arc<Inlet>>, path: String, request: Request) -> Response {
        let (parts, mut body) = request.into_parts();
        let asked = Asked { path, headers: parts.headers };
        let Some(inlet) = inlet else {
            // As a source that is known would say it.
            if parts.method != Method::POST {
                return self.observed(Answer::NotPost.into_response());
            }
            let refused = self.unknown();
            self.drop_rest(&asked, &mut body).await;
            return self.observed(refused.into_response());
        };
        if let Some(response) = inlet.wire.greet(&parts.method, &asked) {
            return self.observed(response);
        }
        if parts.method != Method::POST {
            return self.observed(Answer::NotPost.into_response());
        }
        let answer = match self.take(&inlet, &asked, &mut body).await {
            Ok(Taken::Settled(verdict)) => Answer::Settled(verdict),
            Ok(Taken::Reply(response)) => return self.observed(response),
            Err(refused) => {
                // One that was too slow had its time.
                if !matches!(refused, Answer::Slow) {
                    self.drop_rest(&asked, &mut body).await;
                }
                self.timed(refused)
            }
        };
        self.observed(inlet.wire.answer(&asked, answer))
    }

    /// Reads on, so that the sender gets to read the answer. One that asked first has not begun to send and must not be
    /// told to go on.
    async fn drop_rest(&self, asked: &Asked, body: &mut Body) {
        if asked.headers.contains_key(EXPECT) {
            return;
        }
        let rest = intake::discard(body, 2 * self.limits.body_bytes_max);
        if timeout(DISCARD_MAX.min(self.limits.read_timeout), rest).await.is_err() {
            tracing::debug!("a refused body was not read to its end");
        }
    }

    /// Where any source asks for something, an unknown name is answered like a wrong token, so that names cannot be found
    /// by trying.
    fn unknown(&self) -> Answer {
        let guarded = self.inlets.all().iter().any(|inlet| !inlet.wire.is_open());
        if guarded { Answer::Unauthorised } else { Answer::NotFound }
    }

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

    /// A further share of the memory for what came out of a body. One for which there will never be enough is not told to
    /// come again.
    fn add(&self, permit: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), Answer> {
        if permit.num_permits().saturating_add(bytes) > self.limits.waiting_bytes_max {
            return Err(Answer::TooLarge(self.limits.body_bytes_max));
        }
        permit.merge(intake::take(&self.room, bytes)?);
        Ok(())
    }

    async fn take(&self, inlet: &Inlet, asked: &Asked, body: &mut Body) -> Result<Taken, Answer> {
        if let Some(preparing) = inlet.wire.prepare(asked) {
            preparing.await;
        }
        inlet.wire.admit(asked)?;
        let headers = &asked.headers;
        let mut key = inlet.wire.name(asked)?;
        let encoding = intake::encoding(headers)?;
        let bytes_max = self.limits.body_bytes_max;
        intake::stated_length(headers, bytes_max)?;
        let is_signed = inlet.wire.is_signed();
        let room = if is_signed { &self.strangers } else { &self.room };
        let sent = timeout(self.limits.read_timeout, intake::read(body, bytes_max, room));
        let mut sent = sent.await.map_err(|_| Answer::Slow)??;
        inlet.wire.verify(asked, &sent.bytes)?;
        if is_signed {
            sent.permit = intake::take(&self.room, sent.bytes.len())?;
        }
        let Held { bytes, mut permit } = intake::decompress(sent, encoding, bytes_max, &self.room).await?;
        let records = match self.open(inlet, asked, bytes).await? {
            Opened::Records(cuts) => Records::Cut(cuts),
            Opened::Unpacked { records, bytes } => {
                self.add(&mut permit, bytes)?;
                Records::Unpacked(records.into_iter())
            }
            Opened::OneByOne { records, bytes } => {
                self.add(&mut permit, bytes)?;
                Records::OneByOne(records)
            }
            Opened::Named { name, records, bytes } => {
                self.add(&mut permit, bytes)?;
                key = name.or(key);
                Records::OneByOne(records)
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

    /// Finding the shape reads as far as the first value goes, so a body whose first line is short stays here. One
    /// large document leaves the runtime for it.
    async fn open(&self, inlet: &Inlet, asked: &Asked, bytes: Vec<u8>) -> Result<Opened, Answer> {
        let Limits { record_bytes_max, body_bytes_max, .. } = self.limits;
        let room = Room { record_bytes_max, body_bytes_max };
        let begin = &bytes[..bytes.len().min(64 << 10)];
        if begin.len() == bytes.len() || is_lines(begin) {
            return inlet.wire.open(asked, bytes.into(), room);
        }
        let (wire, asked) = (inlet.wire.clone(), asked.clone());
        match tokio::task::spawn_blocking(move || wire.open(&asked, bytes.into(), room)).await {
            Ok(opened) => opened,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
