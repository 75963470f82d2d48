//! `GET /api/v1/alerts/stream`: alerts as they change, as server-sent events.
//!
//! The id of each message is the store's sequence number, so a listener that was cut off asks with
//! `Last-Event-ID` for what it missed, and reads it from the store.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::App;
use super::alerts::{reading, row};
use super::error::Refusal;

/// Messages that wait for a slow listener: 64 × about 2 KiB. Nothing is lost: it reads from the store.
const WAITING: usize = 64;
/// Alerts read from the store at a time.
const READ: u32 = 256;
/// A proxy in between closes connections that are silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follows alerts from `Last-Event-ID` on, or from now.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    // Listening starts before the position is read, so that nothing falls in between.
    let mut news = app.live.subscribe();
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let mut position = match resumed {
        Some(position) => position,
        None => {
            let app = app.clone();
            reading(move || app.reader.latest()).await?
        }
    };
    let (sender, events) = mpsc::channel(WAITING);
    // A listener that is cut off before its first alert resumes from here.
    let here = Event::default().id(position.to_string()).comment("listening");
    sender.try_send(Ok(here)).expect("the channel is new and empty");
    tokio::spawn(async move {
        loop {
            match catch_up(&app, position, &sender).await {
                Some(reached) if reached > position => position = reached,
                Some(_) => tokio::select! {
                    () = app.stop.cancelled() => return,
                    () = sender.closed() => return,
                    told = news.recv() => if let Err(RecvError::Closed) = told { return },
                },
                None => return,
            }
        }
    });
    Ok(Sse::new(ReceiverStream::new(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Sends what changed since `position`; answers how far that reaches, or nothing if the listener is gone.
async fn catch_up(app: &Arc<App>, position: u64, sender: &mpsc::Sender<Result<Event, Infallible>>) -> Option<u64> {
    let reader = app.clone();
    let rows = reading(move || reader.reader.changed_since(position, READ)).await.ok()?;
    let mut reached = position;
    for found in rows {
        reached = found.sequence;
        let event = Event::default().event("alert").id(reached.to_string()).data(row(&found).to_string());
        sender.send(Ok(event)).await.ok()?;
    }
    Some(reached)
}
