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
use tokio_util::sync::CancellationToken;

use super::App;
use super::alerts::{reading, row};
use super::error::Refusal;

/// Messages that wait for a slow listener: 64 × about 2 KiB. Nothing is lost: it reads from the store.
const WAITING: usize = 64;
/// Alerts read from the store at a time.
const READ: u32 = 256;
/// Listeners at a time: each has a task, a connection and up to [`WAITING`] messages.
pub(crate) const SEATS: usize = 256;
/// A proxy in between closes connections that are silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follows alerts from `Last-Event-ID` on, or from now.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let Ok(seat) = app.seats.clone().try_acquire_owned() else { return Err(Refusal::TooManyListeners) };
    // Listening starts before the position is read, so that nothing falls in between.
    let mut news = app.live.subscribe();
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let latest = {
        let app = app.clone();
        reading(move || app.reader.latest()).await?
    };
    // A number from another data folder may lie ahead of ours, which would be silence until we reach it.
    let mut position = resumed.map_or(latest, |resumed: u64| resumed.min(latest));
    let (sender, events) = mpsc::channel(WAITING);
    // A listener that is cut off before its first alert resumes from here.
    let here = Event::default().id(position.to_string()).comment("listening");
    sender.try_send(Ok(here)).expect("the channel is new and empty");
    tokio::spawn(async move {
        let _seat = seat;
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

/// Sends what changed since `position`; answers how far that reaches, or nothing if the listener is gone or the
/// service stops.
async fn catch_up(app: &Arc<App>, position: u64, sender: &mpsc::Sender<Result<Event, Infallible>>) -> Option<u64> {
    let reader = app.clone();
    let rows = reading(move || reader.reader.changed_since(position, READ)).await;
    // The listener comes again with `Last-Event-ID` and misses nothing.
    let rows = rows.inspect_err(|error| tracing::warn!(?error, position, "stream of alerts cut off")).ok()?;
    let mut reached = position;
    for found in rows {
        reached = found.sequence;
        let event = Event::default().event("alert").id(reached.to_string()).data(row(&found).to_string());
        pass(sender, event, &app.stop).await?;
    }
    Some(reached)
}

/// Waits until the listener has room; nothing if it is gone or the service stops.
async fn pass(sender: &mpsc::Sender<Result<Event, Infallible>>, event: Event, stop: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = stop.cancelled() => None,
        sent = sender.send(Ok(event)) => sent.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_does_not_read_does_not_hold_up_a_stop() {
        let (sender, _events) = mpsc::channel(1);
        let stop = CancellationToken::new();
        assert_eq!(pass(&sender, Event::default(), &stop).await, Some(()));
        let waiting = pass(&sender, Event::default(), &stop);
        stop.cancel();
        assert_eq!(waiting.await, None);
    }
}
