//! A webhook receiver as somebody else would write it: checks each signature with the reference library,
//! keeps what came, answers by a script.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the service signs with; `Receiver::sink` tells it.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    /// At once, with this status.
    Now(u16),
    /// With this status, but only after a while.
    After(Duration, u16),
    /// With this status and `Retry-After: seconds`.
    RetryAfter(u16, u64),
    /// Not at all: the connection stays open.
    Never,
}

/// A request whose signature was good.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Its `webhook-id`.
    pub(crate) id: String,
    /// Its body, byte by byte.
    pub(crate) body: String,
    /// How it was answered.
    say: Say,
}

type Script = Box<dyn FnMut(usize) -> Say + Send>;

struct Shared {
    script: Script,
    arrivals: Vec<Arrival>,
    faults: Vec<String>,
    /// Whether signatures of any time are taken: those of a sender whose clock is wrong.
    timeless: bool,
}

/// A running receiver. Dropping it closes its port and its connections' future.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port and answers 200.
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same on a given address: a receiver that was away and comes back.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let script: Script = Box::new(|_| Say::Now(200));
        let shared = Arc::new(Mutex::new(Shared { script, arrivals: Vec::new(), faults: Vec::new(), timeless: false }));
        let listener = TcpListener::bind(address).await.expect("the receiver can listen");
        let address = listener.local_addr().expect("a listener has an address");
        let router = axum::Router::new().route("/", post(receive)).with_state(shared.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the receiver serves");
        });
        Self { address, shared, server }
    }

    /// From now on `script` decides each answer; it is given the number of good requests before this one.
    pub(crate) fn say<S: FnMut(usize) -> Say + Send + 'static>(&self, script: S) {
        lock(&self.shared).script = Box::new(script);
    }

    /// From now on it takes messages that were signed at any time.
    pub(crate) fn take_any_time(&self) {
        lock(&self.shared).timeless = true;
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The settings of a sink that posts here, for the configuration.
    pub(crate) fn sink(&self) -> String {
        self.sink_at(self.address)
    }

    /// The same by way of another address.
    pub(crate) fn sink_at(&self, address: SocketAddr) -> String {
        format!("{{webhook: {{url: \"http://{address}/\", secret: {SECRET}}}}}")
    }

    /// Every good request, repeats included, in order of arrival.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.shared).arrivals.clone()
    }

    /// What came, by `webhook-id`, however it was answered. A repeat must be the same, byte by byte.
    pub(crate) fn messages(&self) -> BTreeMap<String, String> {
        let mut messages = BTreeMap::new();
        for Arrival { id, body, .. } in self.arrivals() {
            if let Some(before) = messages.insert(id.clone(), body.clone()) {
                assert_eq!(before, body, "webhook-id {id} came again with another body");
            }
        }
        messages
    }

    /// The last revision that came of each alert, and its `data` byte by byte.
    pub(crate) fn alerts(&self) -> BTreeMap<String, (u64, String)> {
        let mut alerts: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for body in self.messages().into_values() {
            let (id, revision, data) = parts(&body);
            let last = alerts.entry(id).or_insert_with(|| (revision, data.clone()));
            if last.0 < revision {
                *last = (revision, data);
            }
        }
        alerts
    }

    /// Alerts about which an older revision came after a newer one; empty in a good run.
    pub(crate) fn steps_back(&self) -> Vec<String> {
        let (mut newest, mut back) = (BTreeMap::new(), Vec::new());
        for arrival in self.arrivals() {
            let (id, revision) = arrival.revision();
            let before = newest.insert(id.clone(), revision).unwrap_or(0);
            if revision < before {
                back.push(format!("{id}: {revision} after {before}"));
            }
        }
        back
    }

    /// What was wrong with requests; empty in a good run.
    pub(crate) fn faults(&self) -> Vec<String> {
        lock(&self.shared).faults.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Arrival {
    /// Whether the sender was told that it arrived.
    pub(crate) fn accepted(&self) -> bool {
        matches!(self.say, Say::Now(200..=299) | Say::After(_, 200..=299))
    }

    /// Which alert and which revision of it this tells.
    pub(crate) fn revision(&self) -> (String, u64) {
        let (id, revision, _) = parts(&self.body);
        (id, revision)
    }
}

/// Alert id, revision and `data` of a body.
fn parts(body: &str) -> (String, u64, String) {
    #[derive(serde::Deserialize)]
    struct Body {
        revision: u64,
        data: Box<RawValue>,
    }
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    let Body { revision, data } = serde_json::from_str(body).expect("a webhook body is JSON with revision and data");
    let Named { id } = serde_json::from_str(data.get()).expect("data is an alert");
    (id, revision, data.get().to_owned())
}

async fn receive(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    let timeless = lock(&shared).timeless;
    let checked = check(&headers, &body, timeless);
    let say = {
        let mut shared = lock(&shared);
        if let Err(error) = checked {
            shared.faults.push(format!("signature refused: {error}"));
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let number = shared.arrivals.len();
        let say = (shared.script)(number);
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        shared.arrivals.push(Arrival { id, body: String::from_utf8_lossy(&body).into_owned(), say });
        say
    };
    let status = |status| StatusCode::from_u16(status).expect("a script names real statuses");
    match say {
        Say::Now(now) => status(now).into_response(),
        Say::After(wait, late) => {
            tokio::time::sleep(wait).await;
            status(late).into_response()
        }
        Say::RetryAfter(busy, seconds) => (status(busy), [("retry-after", seconds.to_string())]).into_response(),
        Say::Never => std::future::pending().await,
    }
}

/// As the reference library does it, except that it takes no time but the present.
fn check(headers: &HeaderMap, body: &[u8], timeless: bool) -> Result<(), String> {
    let webhook = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).expect("any bytes are a key");
    if !timeless {
        return webhook.verify(body, headers).map_err(|error| error.to_string());
    }
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let time = named("webhook-timestamp").parse().map_err(|_| "no timestamp".to_owned())?;
    let signed = webhook.sign(named("webhook-id"), time, body).map_err(|error| error.to_string())?;
    (signed == named("webhook-signature")).then_some(()).ok_or_else(|| "another signature".to_owned())
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no holder of this lock panics")
}
