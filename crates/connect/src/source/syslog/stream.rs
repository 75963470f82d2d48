//! One connection, read until it ends.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::Frames;
use super::road::{Closed, Last, Road, Sender};
use super::seat::Seat;
use super::tls::Keys;

/// Read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Longest time for a sender to agree on keys: who never does holds a seat.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Longest time to say that a connection ends.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What woke a connection.
enum Woken {
    Read(std::io::Result<usize>),
    /// It is to end, after what is here already.
    Stop,
    /// It is to end for another, or was silent for too long.
    Leave(&'static str),
}

/// Agrees on keys and reads until the sender ends, is silent for too long or has to leave.
pub(super) async fn read_tls(stream: TcpStream, keys: &Keys, road: &Road, seat: &Seat, peer: Option<IpAddr>) {
    let agreed = tokio::select! {
        biased;
        () = road.stop.cancelled() => return,
        agreed = timeout(HANDSHAKE_MAX, keys.acceptor().accept(stream)) => agreed,
    };
    let source = &road.source;
    match agreed {
        Ok(Ok(mut stream)) => {
            read(&mut stream, road, seat, peer).await;
            // So that the sender can tell an end from a connection that was cut.
            if !matches!(timeout(GOODBYE_MAX, stream.shutdown()).await, Ok(Ok(()))) {
                tracing::debug!(%source, ?peer, "a sender did not wait for the end");
            }
        }
        Ok(Err(error)) => tracing::warn!(%source, ?peer, %error, "a sender was not let in"),
        Err(_) => tracing::warn!(%source, ?peer, "a sender did not agree on keys in time"),
    }
}

/// Reads until the sender ends, is silent for too long or has to leave.
pub(super) async fn read(mut stream: impl AsyncRead + Unpin, road: &Road, seat: &Seat, peer: Option<IpAddr>) {
    let (mut frames, mut sender) = (Frames::new(road.bytes_max), road.sender());
    let mut piece = vec![0; PIECE_BYTES];
    let mut heard = Instant::now();
    let source = &road.source;
    loop {
        let woken = tokio::select! {
            biased;
            () = road.stop.cancelled() => Woken::Stop,
            () = seat.leave.cancelled() => Woken::Leave("all connections are taken and this one was silent for longest"),
            read = timeout_at(heard + road.idle, stream.read(&mut piece)) => match read {
                Ok(read) => Woken::Read(read),
                Err(_) => Woken::Leave("it was silent for too long"),
            },
        };
        let length = match woken {
            Woken::Read(Ok(length)) => length,
            Woken::Read(Err(error)) => {
                tracing::debug!(%source, ?peer, %error, "a connection broke off");
                0
            }
            Woken::Stop => {
                if drain(&mut stream, &mut frames, &mut sender, road, peer).await.is_err() {
                    tracing::debug!(%source, "nobody takes what was received last");
                }
                return;
            }
            Woken::Leave(why) => {
                tracing::info!(%source, ?peer, why, "connection closed");
                // Its seat may have been given away while a message lay there unread.
                if drain(&mut stream, &mut frames, &mut sender, road, peer).await.is_err() {
                    return;
                }
                0
            }
        };
        frames.feed(&piece[..length]);
        let Ok(came) = hand(&mut frames, &mut sender, road, peer, length == 0).await else { return };
        if came {
            heard = Instant::now();
            seat.heard();
        }
        if length == 0 {
            return;
        }
    }
}

/// Hands on the messages that are complete, and at the end what is left; whether there were any.
async fn hand(
    frames: &mut Frames,
    sender: &mut Sender,
    road: &Road,
    peer: Option<IpAddr>,
    is_end: bool,
) -> Result<bool, Closed> {
    let mut records = Vec::new();
    while let Some(body) = frames.cut() {
        records.extend(road.record(sender, body, peer));
    }
    if is_end {
        let last = frames.finish();
        records.extend(last.and_then(|body| road.record(sender, body, peer)));
    }
    let came = !records.is_empty();
    road.hand(records).await?;
    Ok(came)
}

/// Takes what the system has received already, as its sender counts it as delivered. A message of which only the
/// beginning is here is left, unless the sender has ended: it sees the connection end in the middle of it.
async fn drain(
    stream: &mut (impl AsyncRead + Unpin),
    frames: &mut Frames,
    sender: &mut Sender,
    road: &Road,
    peer: Option<IpAddr>,
) -> Result<(), Closed> {
    let (mut piece, last) = (vec![0; PIECE_BYTES], Last::now());
    loop {
        let Some(read) = last.soon(stream.read(&mut piece)).await else { return Ok(()) };
        let length = read.unwrap_or(0);
        frames.feed(&piece[..length]);
        hand(frames, sender, road, peer, length == 0).await?;
        if length == 0 {
            return Ok(());
        }
    }
}
