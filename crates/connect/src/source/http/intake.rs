//! Reads a request's body within its limits, whatever the sender claims about it.

use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Answer;

/// Largest window that a zstd body may ask for: 2^24 = 16 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// Addresses for a body before it comes, if its sender states as much.
const RESERVED_MAX: usize = 1 << 20;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// What the body is compressed with after all: `curl --data-binary @log.gz` does not say. No text of JSON
    /// begins like either.
    fn of(self, body: &[u8]) -> Self {
        match self {
            Self::Identity if body.starts_with(&[0x1f, 0x8b]) => Self::Gzip,
            Self::Identity if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Self::Zstd,
            Self::Identity | Self::Gzip | Self::Zstd => self,
        }
    }
}

/// Bytes in memory, and the permit for them.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// The encoding that the headers name.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Answer> {
    let mut named = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = named.next() else {
        return Ok(Encoding::Identity);
    };
    let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match (name.as_str(), named.next()) {
        ("" | "identity", None) => Ok(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
        ("zstd", None) => Ok(Encoding::Zstd),
        _ => Err(Answer::UnknownEncoding),
    }
}

/// Refuses by its stated length a body that need not be read at all.
pub(super) fn stated_length(headers: &HeaderMap, bytes_max: usize) -> Result<(), Answer> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > bytes_max as u64) {
        return Err(Answer::TooLarge(bytes_max));
    }
    Ok(())
}

/// Reads the body as sent. Each piece takes its share of `room` before it is kept.
pub(super) async fn read(body: &mut Body, bytes_max: usize, room: &Arc<Semaphore>) -> Result<Held, Answer> {
    // Growing by doubling would copy a body more than once. Only addresses are set aside: a page of memory is held when
    // something is written into it, and for that there is a permit.
    let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(bytes_max).min(RESERVED_MAX);
    let mut held = Held { bytes: Vec::with_capacity(stated), permit: take(room, 0)? };
    while let Some(piece) = piece(body).await? {
        if held.bytes.len() + piece.len() > bytes_max {
            return Err(Answer::TooLarge(bytes_max));
        }
        held.permit.merge(take(room, piece.len())?);
        held.bytes.extend_from_slice(&piece);
    }
    Ok(held)
}

/// Reads on without keeping anything, so that the sender gets to read the answer instead of a reset.
pub(super) async fn discard(body: &mut Body, bytes_max: usize) {
    let mut bytes = 0;
    while bytes < bytes_max {
        match piece(body).await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

async fn piece(body: &mut Body) -> Result<Option<Bytes>, Answer> {
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Answer::Unreadable("the body broke off".to_owned()))?;
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// A share of the memory for all bodies, if there is as much.
pub(super) fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Answer> {
    let permits = u32::try_from(bytes).map_err(|_| Answer::Behind(1))?;
    Arc::clone(room).try_acquire_many_owned(permits).map_err(|_| Answer::Behind(1))
}

/// The body as its sender wrote it. Stops at `bytes_max`, so a small body that unpacks to a huge one costs
/// no more than a large body.
pub(super) async fn decompress(
    held: Held,
    encoding: Encoding,
    bytes_max: usize,
    room: &Arc<Semaphore>,
) -> Result<Held, Answer> {
    let encoding = encoding.of(&held.bytes);
    if encoding == Encoding::Identity {
        return Ok(held);
    }
    let permit = take(room, bytes_max)?;
    // Both permits go along: a sender that leaves meanwhile does not free what is still being unpacked.
    let unpacked = tokio::task::spawn_blocking(move || {
        let Held { bytes: packed, permit: _sent } = held;
        (unpack(&packed, encoding, bytes_max), permit)
    });
    let (unpacked, mut permit) = match unpacked.await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let bytes = unpacked.map_err(|error| Answer::Unreadable(format!("decompress the body: {error}")))?;
    if bytes.len() > bytes_max {
        return Err(Answer::TooLarge(bytes_max));
    }
    drop(permit.split(bytes_max - bytes.len()));
    Ok(Held { bytes, permit })
}

/// At most one byte more than `bytes_max`.
fn unpack(packed: &[u8], encoding: Encoding, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let limit = bytes_max as u64 + 1;
    match encoding {
        Encoding::Identity => unpacked.extend_from_slice(packed),
        Encoding::Gzip => {
            flate2::read::MultiGzDecoder::new(packed).take(limit).read_to_end(&mut unpacked)?;
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(limit).read_to_end(&mut unpacked)?;
        }
    }
    Ok(unpacked)
}
