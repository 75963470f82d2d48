//! Posts bodies over a few connections, as fast as the answers come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use crate::service::TOKEN;

/// Bytes of one request; cloning it copies nothing.
pub(crate) type Body = axum::body::Bytes;

/// What came of the bodies.
pub(crate) struct Sent {
    /// In the order of the bodies.
    pub(crate) posts: Vec<Post>,
    /// Answers that asked to wait.
    pub(crate) refused: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// One request that was accepted.
#[derive(Clone, Copy)]
pub(crate) struct Post {
    pub(crate) begun: Instant,
    pub(crate) took: Duration,
}

pub(crate) async fn send(address: SocketAddr, bodies: Vec<Body>, connections: usize) -> anyhow::Result<Sent> {
    let url = format!("http://{address}/v1/events/push");
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (url, bodies, next) = (url.clone(), bodies.clone(), next.clone());
        senders.spawn(async move {
            // A client of its own is a connection of its own.
            let client = Client::new();
            let (mut posts, mut refused) = (Vec::new(), 0);
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = bodies.get(place) else { return anyhow::Ok((posts, refused)) };
                let begun = Instant::now();
                refused += post(&client, &url, body).await?;
                posts.push((place, Post { begun, took: begun.elapsed() }));
            }
        });
    }
    let (mut posts, mut refused) = (Vec::new(), 0);
    while let Some(sender) = senders.join_next().await {
        let (accepted, asked) = sender.context("sender task")??;
        posts.extend(accepted);
        refused += asked;
    }
    let took = start.elapsed();
    posts.sort_unstable_by_key(|(place, _)| *place);
    Ok(Sent { posts: posts.into_iter().map(|(_, post)| post).collect(), refused, took })
}

/// Until it is accepted; answers how often it was asked to wait.
async fn post(client: &Client, url: &str, body: &Body) -> anyhow::Result<usize> {
    for refused in 0.. {
        let answer = client.post(url).bearer_auth(TOKEN).body(body.clone()).send().await.context("post events")?;
        match answer.status() {
            StatusCode::OK => {
                // Read to its end, or the connection cannot be used again.
                answer.bytes().await.context("read answer")?;
                return Ok(refused);
            }
            StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(Duration::from_secs(1)).await,
            status => bail!("events were answered with {status}: {}", answer.text().await?),
        }
    }
    unreachable!("the loop ends with an answer")
}
