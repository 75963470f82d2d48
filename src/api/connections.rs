//! The connections of the web server: how many at a time, how long one may say nothing, how long a request's head may be.
//!
//! Whoever can connect can hold a connection without saying a word, and needs no token for it. Each one takes a file
//! descriptor, of which sources, archive and store need some too, and memory for the head that it sends. So both have a
//! limit here; bodies have theirs at the door of ingest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::metrics::METRICS;

/// Most connections at a time, if the system lets us have so many files: 1,024 × 64 KiB of head = 64 MiB.
const CONNECTIONS_MAX: usize = 1_024;

/// Longest head of a request, with all its headers; also how much of a body is read in one go.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Proxies keep an unused connection for 60 s as a rule. They should be the ones to close it: closed from here, it may take
/// a request with it that is just being sent.
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// Connections that are turned away are told of in the log at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Wait after the system had no file left for a connection.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// What a connection above the limit is told before it is closed.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
Content-Type: application/json\r\nContent-Length: 118\r\n\r\n\
{\"code\":\"too_many_connections\",\"message\":\"more are open than are served\",\"hint\":\"nothing was accepted; send it again\"}";

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    connections_max: usize,
    /// How long one may take to send the head of a request, the wait for its first byte included.
    silence_max: Duration,
}

impl Limits {
    /// At most half of the files that the process may have open: sources, archive and store need the others.
    pub(crate) fn of_system() -> Self {
        let files = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let files = files.map_or(CONNECTIONS_MAX, |(soft, _)| usize::try_from(soft / 2).unwrap_or(usize::MAX));
        Self { connections_max: CONNECTIONS_MAX.min(files), silence_max: SILENCE_MAX }
    }
}

/// A connection in use.
#[derive(Debug)]
struct Open {
    task: AbortHandle,
    /// Whether a request has begun and is not answered.
    busy: Arc<AtomicBool>,
}

/// Those in use, the oldest first.
#[derive(Debug, Default)]
struct Crowd(VecDeque<Open>);

impl Crowd {
    /// Whether there is room for one more. If there is none, the oldest of which nobody waits for an answer has to go:
    /// connections that only sit there must not keep out those who have something to say.
    fn has_room(&mut self, connections_max: usize) -> bool {
        if self.0.len() < connections_max {
            return true;
        }
        self.0.retain(|open| !open.task.is_finished());
        if self.0.len() < connections_max {
            return true;
        }
        METRICS.http_connections_refused.inc();
        let idle = self.0.iter().position(|open| !open.busy.load(Ordering::Relaxed));
        let gone = idle.and_then(|place| self.0.remove(place));
        gone.as_ref().inspect(|open| open.task.abort());
        gone.is_some()
    }
}

/// Serves until told to stop; requests that have begun are answered first.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut crowd = Crowd::default();
    let mut warned: Option<Instant> = None;
    loop {
        tokio::select! {
            biased; // those that have ended make room
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let turned_away = METRICS.http_connections_refused.get();
                    if crowd.has_room(limits.connections_max) {
                        let busy = Arc::new(AtomicBool::new(false));
                        let task = converse(stream, router.clone(), busy.clone(), limits.silence_max, stop.clone());
                        crowd.0.push_back(Open { task: connections.spawn(task), busy });
                    } else {
                        turn_away(&stream);
                    }
                    let is_full = METRICS.http_connections_refused.get() > turned_away;
                    if is_full && warned.is_none_or(|last| last.elapsed() > WARN_AGAIN) {
                        warned = Some(Instant::now());
                        tracing::warn!(open = crowd.0.len(), "as many connections as are served: idle ones are closed");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        METRICS.http_connections.set(i64::try_from(connections.len()).unwrap_or(i64::MAX));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// It may be gone, or may not read: it is closed in any case.
fn turn_away(stream: &TcpStream) {
    if let Err(error) = stream.try_write(FULL) {
        tracing::debug!(%error, "a connection was not told why it is turned away");
    }
}

/// One request after the other.
async fn converse(
    stream: TcpStream,
    router: Router,
    busy: Arc<AtomicBool>,
    silence_max: Duration,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let answering = service_fn(move |request| {
        busy.store(true, Ordering::Relaxed);
        let (answer, busy) = (router.call(request), busy.clone());
        async move {
            let answer = answer.await;
            busy.store(false, Ordering::Relaxed);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(silence_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    struct Served {
        address: SocketAddr,
        server: JoinHandle<()>,
        stop: CancellationToken,
        /// Told when a request for what is never answered has begun.
        began: Arc<Notify>,
    }

    async fn served(connections_max: usize, silence_max: Duration) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let began = Arc::new(Notify::new());
        let never = {
            let began = began.clone();
            async move || {
                began.notify_one();
                std::future::pending::<&str>().await
            }
        };
        let router = Router::new().route("/", get(async || "here\n")).route("/never", get(never));
        let stop = CancellationToken::new();
        let limits = Limits { connections_max, silence_max };
        let server = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Served { address, server, stop, began }
    }

    impl Served {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn end(self) {
            self.stop.cancel();
            self.server.await.unwrap();
        }
    }

    /// All that comes until the other side closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        // A reset is an end as well.
        drop(stream.read_to_end(&mut heard).await);
        String::from_utf8_lossy(&heard).into_owned()
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"here\n") {
            let length = stream.read_buf(&mut heard).await.unwrap();
            assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&heard));
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_or_half_a_head_is_closed() {
        let served = served(8, Duration::from_millis(50)).await;
        for said in ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let mut stream = served.connect().await;
            stream.write_all(said.as_bytes()).await.unwrap();
            assert!(!rest(&mut stream).await.contains("200"), "{said:?}");
        }
        let mut stream = served.connect().await;
        ask(&mut stream).await;
        rest(&mut stream).await;
        served.end().await;
    }

    #[tokio::test]
    async fn above_the_limit_the_oldest_that_waits_for_nothing_has_to_go() {
        let served = served(3, Duration::from_secs(60)).await;
        let mut waiting = served.connect().await;
        waiting.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        served.began.notified().await;
        let (mut second, mut third) = (served.connect().await, served.connect().await);
        ask(&mut second).await;
        ask(&mut third).await;
        let refused = METRICS.http_connections_refused.get();
        let mut fourth = served.connect().await;
        ask(&mut fourth).await;
        assert!(METRICS.http_connections_refused.get() > refused);
        assert_eq!(rest(&mut second).await, "", "the second is the oldest that waits for nothing");
        ask(&mut third).await;
        served.server.abort();
    }

    #[tokio::test]
    async fn where_all_wait_for_an_answer_a_further_one_is_told_to_come_again() {
        let served = served(2, Duration::from_secs(60)).await;
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut stream = served.connect().await;
            stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            served.began.notified().await;
            waiting.push(stream);
        }
        let said = rest(&mut served.connect().await).await;
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("Retry-After: 5"), "{said}");
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{said}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["code"], "too_many_connections");
        served.server.abort();
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let served = served(8, Duration::from_secs(60)).await;
        let mut stream = served.connect().await;
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(2 * HEAD_BYTES_MAX));
        // It may be refused before all of it is written.
        drop(stream.write_all(head.as_bytes()).await);
        let said = rest(&mut stream).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
        served.end().await;
    }

    #[tokio::test]
    async fn a_stop_closes_what_is_idle() {
        let served = served(8, Duration::from_secs(60)).await;
        let mut idle = served.connect().await;
        ask(&mut idle).await;
        served.end().await;
        assert_eq!(rest(&mut idle).await, "");
    }
}
