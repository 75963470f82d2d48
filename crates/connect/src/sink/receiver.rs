//! A real HTTP server on loopback that keeps what it is sent and answers from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What to answer.
#[derive(Clone, Debug)]
pub(super) enum Say {
    /// Status, headers, body.
    Now(u16, Vec<(&'static str, String)>, String),
    /// Nothing, ever.
    Never,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Say>>,
}

/// A receiver; it lives as long as the test's runtime.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    /// Such as `http://127.0.0.1:41234`.
    pub(super) origin: String,
}

impl Receiver {
    /// Answers with `script`, then 500 for ever.
    pub(super) async fn start(script: impl IntoIterator<Item = Say>) -> Self {
        let shared = Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { shared, origin }
    }

    /// Adds to the script.
    pub(super) fn will_say(&self, answers: impl IntoIterator<Item = Say>) {
        self.shared.script.lock().unwrap().extend(answers);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let received = Received { method: head.method, uri: head.uri, headers: head.headers, body };
    shared.received.lock().unwrap().push(received);
    let next = shared.script.lock().unwrap().pop_front();
    match next {
        Some(Say::Now(status, headers, body)) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Some(Say::Never) => std::future::pending().await,
        None => Response::builder().status(500).body(Body::empty()).unwrap(),
    }
}

/// Where nobody listens: the port was free a moment ago.
pub(super) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A server that reads a request, writes `bytes` and hangs up.
pub(super) async fn breaking(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 65_536];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0, "a request was expected");
            stream.write_all(bytes).await.unwrap();
        }
    });
    origin
}
