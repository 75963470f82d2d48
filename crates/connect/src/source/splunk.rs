//! Splunk's HTTP Event Collector, so that whatever sends to Splunk can send here as it is: Vector, Fluent Bit, the
//! OpenTelemetry collector, GitHub's streaming of its audit log.
//!
//! `POST /services/collector/event` and `/raw`, there or below `/v1/events/{name}`. The token says which source is meant
//! where several are there. An event that is an object is the record; text that holds an object is that object; any other
//! text stays in its envelope, which says when and where it was written. `Success` is said once everything is durable, so
//! nobody needs to ask for an acknowledgement.

use axum::Json;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Deserializer, json};

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire, cut, named};
use super::http::{Http, Inlet, pushed};
use super::lines::head;
use crate::secret::{Secret, SecretError};
use crate::source::cuts::{Cut, Cuts};
use crate::source::{Body, Refusal};

/// `splunk`: what is sent to an HTTP Event Collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The collector's token.
    pub token: Secret,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if the token cannot be read.
pub fn splunk(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    Ok(pushed(name, Splunk { token: Token::read(&settings.token)? }, start))
}

#[derive(Debug)]
struct Splunk {
    token: Token,
}

/// Which of the collector's doors a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Events,
    Raw,
    Health,
}

impl Door {
    fn of(path: &str) -> Option<Self> {
        let door = path.trim_matches('/').strip_prefix("services/collector")?;
        match door {
            "" | "/event" | "/event/1.0" => Some(Self::Events),
            "/raw" | "/raw/1.0" => Some(Self::Raw),
            "/health" | "/health/1.0" => Some(Self::Health),
            _ => None,
        }
    }
}

/// What stands around an event.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

impl Wire for Splunk {
    fn serves(&self, path: &str) -> bool {
        path.is_empty() || Door::of(path).is_some()
    }

    fn greet(&self, method: &Method, asked: &Asked) -> Option<Response> {
        let healthy = *method == Method::GET && Door::of(&asked.path) == Some(Door::Health);
        healthy.then(|| said(StatusCode::OK, 17, "HEC is healthy"))
    }

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let shown = self.token.authorises(&asked.headers, "Splunk").is_ok() || self.is_password(&asked.headers);
        if shown { Ok(()) } else { Err(Answer::Unauthorised) }
    }

    /// Senders name their channel, not their requests.
    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        named(&asked.headers, "idempotency-key")
    }

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        if Door::of(&asked.path) == Some(Door::Raw) {
            return Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)));
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut envelopes = Deserializer::from_slice(&body).into_iter::<&RawValue>();
        loop {
            let line = records.len() as u64 + 1;
            let start = envelopes.byte_offset();
            match envelopes.next() {
                None => break,
                Some(Ok(envelope)) => {
                    let record = record(&body, envelope.get());
                    bytes += record.len();
                    records.push(cut(line, record, limits));
                }
                // Where the next one begins cannot be known: all the rest is one record that cannot be read.
                Some(Err(_)) => {
                    let rest = body[start..].trim_ascii();
                    records.push(Cut { line, body: Body::Refused { head: head(rest), reason: Refusal::Corrupt } });
                    break;
                }
            }
        }
        Ok(Opened::Unpacked { records, bytes })
    }

    fn answer(&self, _asked: &Asked, answer: Answer) -> Response {
        let status = answer.status();
        let retry_after = answer.header();
        let mut response = match answer {
            durable if durable.is_durable() => said(StatusCode::OK, 0, "Success"),
            Answer::Unauthorised => said(StatusCode::FORBIDDEN, 4, "Invalid token"),
            Answer::Behind(_) | Answer::Unconfirmed | Answer::Stopping => said(status, 9, "Server is busy"),
            other => said(status, 6, &format!("Invalid data format: {}", other.message())),
        };
        if let Some((name, value)) = retry_after {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl Splunk {
    /// Whether the token is shown as the password of a user, as some senders do.
    fn is_password(&self, headers: &HeaderMap) -> bool {
        let basic = || {
            let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
            let (scheme, encoded) = text.split_once(' ')?;
            let plain = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
            let colon = plain.iter().position(|byte| *byte == b':')?;
            Some(self.token.is(&plain[colon + 1..]))
        };
        basic().unwrap_or(false)
    }
}

/// The record that an envelope holds.
fn record(body: &Bytes, envelope: &str) -> Bytes {
    let whole = || body.slice_ref(envelope.as_bytes());
    let Ok(Envelope { event: Some(event) }) = serde_json::from_str::<Envelope<'_>>(envelope) else {
        return whole();
    };
    if event.get().starts_with('{') {
        return body.slice_ref(event.get().as_bytes());
    }
    match serde_json::from_str::<String>(event.get()) {
        Ok(text) if text.trim_start().starts_with('{') => Bytes::from(text),
        Ok(_) | Err(_) => whole(),
    }
}

fn said(status: StatusCode, code: u32, text: &str) -> Response {
    (status, Json(json!({"text": text, "code": code}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::Limits;
    use crate::source::http::testing::Served;

    async fn served(limits: Limits) -> Served {
        let settings = Settings { token: Secret::from_text("t0ken".to_owned()) };
        Served::start(splunk("hec", &settings, "run").unwrap(), limits).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> (u16, serde_json::Value) {
        let sent = request.send().await.unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    #[tokio::test]
    async fn senders_of_events_find_the_paths_and_words_that_they_know() {
        let served = served(Limits::default()).await;
        let success = json!({"text": "Success", "code": 0});
        for path in ["services/collector", "services/collector/event", "services/collector/event/1.0"] {
            for url in [served.at(path), format!("{}/{path}", served.url)] {
                let sent = served.post_to(&url, r#"{"event":{"a":1}}"#).header("authorization", "Splunk t0ken");
                assert_eq!(answer(sent).await, (200, success.clone()), "{url}");
            }
        }
        let basic =
            served.post_to(&served.at("services/collector"), r#"{"event":{"a":1}}"#).basic_auth("x", Some("t0ken"));
        assert_eq!(answer(basic).await, (200, success));
        let health = reqwest::get(served.at("services/collector/health")).await.unwrap();
        assert_eq!(health.status(), 200);
        let wrong = served.post_to(&served.at("services/collector"), "{}").header("authorization", "Splunk other");
        assert_eq!(answer(wrong).await, (403, json!({"text": "Invalid token", "code": 4})));
        let elsewhere =
            served.post_to(&served.at("services/collector/ack"), "{}").header("authorization", "Splunk t0ken");
        assert_eq!(elsewhere.send().await.unwrap().status(), 401, "no source is spoken to there");
    }

    #[tokio::test]
    async fn events_leave_their_envelopes_and_lines_of_text_stay_in_them() {
        let served = served(Limits { record_bytes_max: 200, ..Limits::default() }).await;
        let text = r#"{"time":1790000000,"sourcetype":"ci","event":"go test ./..."}"#;
        let long = format!(r#"{{"event":{{"long":"{}"}}}}"#, "x".repeat(300));
        let body = format!(
            r#"{{"time":1,"event":{{"action":"org.add_member"}}}}{{"event":"{{\"b\":2}}"}}
               {text}{long}{{"event":{{"c":3}}}} {{"event":"#
        );
        let sent = served.post(body).header("authorization", "Splunk t0ken");
        assert_eq!(answer(sent).await.0, 200, "what cannot be read is a dead letter here");
        let texts: Vec<String> = served.records().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, [r#"{"action":"org.add_member"}"#, r#"{"b":2}"#, text, "TooLong", r#"{"c":3}"#, "Corrupt"]);
    }

    #[tokio::test]
    async fn raw_bodies_are_lines() {
        let served = served(Limits::default()).await;
        let sent = served.post_to(&served.at("services/collector/raw"), "{\"a\":1}\n{\"a\":2}");
        assert_eq!(answer(sent.header("authorization", "Splunk t0ken")).await.0, 200);
        assert_eq!(served.records().len(), 2);
    }
}
