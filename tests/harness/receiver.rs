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
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Arrival, History};

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
        let history = History(self.arrivals());
        assert_eq!(history.altered(), Vec::<String>::new());
        history.messages(|_| true)
    }

    /// The last revision that was taken of each alert, and its `data` byte by byte.
    pub(crate) fn alerts(&self) -> BTreeMap<String, (u64, String)> {
        History(self.arrivals()).alerts()
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
        let taken = matches!(say, Say::Now(200..=299) | Say::After(_, 200..=299));
        shared.arrivals.push(Arrival { id, body: String::from_utf8_lossy(&body).into_owned(), taken });
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
