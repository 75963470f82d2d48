//! Google Cloud Pub/Sub, pushed to `POST /v1/events/{name}`.
//!
//! Each request carries a token that Google signed for the push subscription's service account; it is checked before a byte
//! of the body is kept ([`oidc`](super::oidc)). One message a request, wrapped with its id, or unwrapped with the id in a
//! header if the subscription writes metadata. Anything but success makes Pub/Sub send it again, so a message that cannot
//! be read is a dead letter here and no failure there.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Preparing, Room, Unpack, Wire, is_name, named};
use super::http::{Http, Inlet, pushed};
use super::lines::head;
use super::oidc::{Expected, Keys, Refused};
use super::pubsub::opened;
use super::{Body, Refusal, SourceError};
use crate::clock::Clock;
use crate::probe::{Probe, words};
use crate::source::cuts::{Cut, Cuts};

/// What Google calls itself.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Where the id stands when a message comes unwrapped.
const MESSAGE_ID: &str = "x-goog-pubsub-message-id";

/// `pubsub_push`: messages that a push subscription sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The audience of the subscription's tokens (`--push-auth-token-audience`): the push endpoint's address if none was
    /// given there.
    pub audience: String,
    /// The e-mail address of the service account that the subscription pushes as (`--push-auth-service-account`).
    pub service_account: String,
    /// Where Google's public keys are.
    #[serde(default = "keys_url")]
    pub keys_url: String,
}

fn keys_url() -> String {
    "https://www.googleapis.com/oauth2/v3/certs".to_owned()
}

impl Settings {
    /// What cannot be meant, and how to mend it.
    #[must_use]
    pub fn nonsense(&self) -> Option<String> {
        if self.audience.is_empty() {
            return Some("pubsub_push.audience: give the audience of the push subscription's tokens".to_owned());
        }
        if !self.service_account.contains('@') {
            return Some("pubsub_push.service_account: give an e-mail address".to_owned());
        }
        let url = reqwest::Url::parse(&self.keys_url).ok();
        let is_private = url.is_some_and(|url| {
            let is_here = url.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
            url.scheme() == "https" || url.scheme() == "http" && is_here
        });
        // Who could change the keys could sign.
        (!is_private).then(|| "pubsub_push.keys_url: give an https address".to_owned())
    }

    fn expected(&self) -> Expected {
        Expected { issuers: &ISSUERS, audience: self.audience.clone(), email: self.service_account.clone() }
    }
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SourceError`] if HTTPS cannot be prepared.
pub fn pubsub_push(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SourceError> {
    by_clock(name, settings, start, Clock::Wall)
}

fn by_clock(name: &str, settings: &Settings, start: &str, clock: Clock) -> Result<(Http, Inlet), SourceError> {
    let wire = PubsubPush { keys: Keys::new(&settings.keys_url, clock)?, expected: settings.expected() };
    Ok(pushed(name, wire, start))
}

/// Fetches the keys. Whether a push subscription reaches us only it can try.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let what = "keys of Google's tokens";
    let keys = match Keys::new(&settings.keys_url, Clock::Wall) {
        Ok(keys) => keys.fetch().await,
        Err(error) => Err(error),
    };
    vec![match keys {
        Ok((keys, _)) => {
            Probe::good(what, format!("{} there; that pushes reach us only the subscription can try", keys.len()))
        }
        Err(error) => Probe::bad(what, words(&error)),
    }]
}

#[derive(Debug)]
struct PubsubPush {
    keys: Keys,
    expected: Expected,
}

/// A request's body, if it is wrapped.
#[derive(Deserialize)]
struct Wrapped {
    message: Sent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    #[serde(default)]
    data: String,
    message_id: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl Wire for PubsubPush {
    fn prepare<'w>(&'w self, asked: &'w Asked) -> Option<Preparing<'w>> {
        let token = token(asked)?;
        Some(Box::pin(self.keys.prepare(token)))
    }

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let token = token(asked).ok_or(Answer::Unauthorised)?;
        self.keys.check(token, &self.expected).map_err(|refused| {
            tracing::debug!(?refused, "a token is refused");
            match refused {
                Refused::NoKeys => Answer::Unproven,
                Refused::Malformed | Refused::UnknownKey | Refused::Invalid | Refused::Expired | Refused::Stranger => {
                    Answer::Unauthorised
                }
            }
        })
    }

    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        named(&asked.headers, MESSAGE_ID)
    }

    fn open(&self, _asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        let Ok(Wrapped { message }) = serde_json::from_slice(&body) else {
            return Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)));
        };
        let Sent { data, message_id, attributes } = message;
        let (records, bytes): (Box<dyn Unpack>, usize) = match opened(&data, &attributes) {
            Ok(data) => {
                let bytes = data.len();
                (Box::new(Cuts::new(data, limits.record_bytes_max)), bytes)
            }
            Err(data) => {
                let body = Body::Refused { head: head(&data), reason: Refusal::Corrupt };
                let bytes = body.len();
                (Box::new(std::iter::once(Cut { line: 1, body })), bytes)
            }
        };
        let name = Some(message_id).filter(|name| is_name(name.as_bytes()));
        Ok(Opened::Named { name, records, bytes })
    }

    fn answer(&self, _asked: &Asked, answer: Answer) -> Response {
        if answer.is_durable() { StatusCode::NO_CONTENT.into_response() } else { answer.into_response() }
    }
}

/// The token that a request shows.
fn token(asked: &Asked) -> Option<&str> {
    let shown = asked.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
