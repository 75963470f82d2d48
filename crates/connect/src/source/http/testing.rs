//! A server with one pushed source on a free port, for the tests of everything that speaks through it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use reqwest::{Client, RequestBuilder};

use super::{Http, Inlet, Inlets, Limits, router};
use crate::source::{Body, Next, Source};

/// The source commits its records as they come.
pub(crate) struct Served {
    client: Client,
    /// Where it is pushed to.
    pub(crate) url: String,
    records: Arc<Mutex<Vec<(String, String)>>>,
}

impl Served {
    /// Serves it until the test ends.
    pub(crate) async fn start((mut source, inlet): (Http, Inlet), limits: Limits) -> Self {
        let records = Arc::new(Mutex::new(Vec::new()));
        let url = format!("/v1/events/{}", inlet.name);
        let address = serve(router(Inlets::of([inlet]), limits, |_, _| {})).await;
        let committed = records.clone();
        tokio::spawn(async move {
            while let Ok(Next::Batch(batch)) = source.next().await {
                for record in batch.records {
                    let text = match record.body {
                        Body::Whole(text) => String::from_utf8_lossy(&text).into_owned(),
                        Body::Refused { reason, .. } => format!("{reason:?}"),
                    };
                    committed.lock().unwrap().push((record.position, text));
                }
                source.commit(batch.mark).await.unwrap();
            }
        });
        Self { client: Client::new(), url: format!("http://{address}{url}"), records }
    }

    /// A request that only lacks its headers.
    pub(crate) fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(&self.url).body(body)
    }

    /// The same to another address.
    pub(crate) fn post_to(&self, url: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(url).body(body)
    }

    /// The address of a path of this server.
    pub(crate) fn at(&self, path: &str) -> String {
        let (host, _) = self.url.split_once("/v1/").expect("it is below /v1");
        format!("{host}/{path}")
    }

    /// Position and text of what was committed, in order.
    pub(crate) fn records(&self) -> Vec<(String, String)> {
        self.records.lock().unwrap().clone()
    }
}

/// Serves on a free port.
pub(crate) async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// As a sender would pack it.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
