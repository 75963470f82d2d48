//! The hash of a log file: over what is packed, as CloudTrail counts it.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::digest::hex;
use crate::source::aws::object::{Named, Objects, Unread, Why};
use crate::source::unpack::{Unpack, Unpackable};
use crate::source::{Remedy, SourceError};

/// No log file unpacks to as much.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// Reads a log file as a stream; its SHA-256 in hexadecimal digits.
pub(super) async fn hash(objects: &Objects, named: &Named) -> Result<String, Unread> {
    let mut body = objects.get(named).await?.body;
    let mut hashing = (Unpack::new(FILE_BYTES_MAX), Sha256::new());
    loop {
        let next = body.try_next().await.map_err(|error| broken(named, Why::Passing, error.into()))?;
        let has_ended = next.is_none();
        let task = tokio::task::spawn_blocking(move || {
            let taken = take(&mut hashing, next);
            (hashing, taken)
        });
        let taken;
        (hashing, taken) = match task.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        taken.map_err(|error| broken(named, Why::Corrupt, error.into()))?;
        if has_ended {
            return Ok(hex(&hashing.1.finalize()));
        }
    }
}

/// Hashes what comes out of the next bytes, or out of the end.
fn take((unpack, hash): &mut (Unpack, Sha256), next: Option<Bytes>) -> Result<(), Unpackable> {
    let mut text = Vec::new();
    let Some(mut packed) = next else {
        unpack.end(&mut text)?;
        hash.update(&text);
        return Ok(());
    };
    while !packed.is_empty() {
        unpack.open(&mut packed, &mut text)?;
        hash.update(&text);
        text.clear();
    }
    Ok(())
}

fn broken(named: &Named, why: Why, error: Box<dyn std::error::Error + Send + Sync>) -> Unread {
    let error = SourceError { doing: format!("read {}", named.url()), remedy: Remedy::Wait, source: Some(error) };
    Unread { why, error }
}
