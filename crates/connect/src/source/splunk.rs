//! Splunk's HTTP Event Collector, so that whatever sends to Splunk can send here as it is: Vector, Fluent Bit, the
//! OpenTelemetry collector, GitHub's streaming of its audit log.
//!
//! `POST /services/collector/event` and `/raw`, there or below `/v1/events/{name}`. The token says which source is meant
//! where several are there. An event that is an object is the record; text that holds an object is that object; any other
//! text stays in its envelope, which says when and where it was written. A record that says no time itself gets that of its
//! envelope, which is where many senders put it, or else that of its receipt, as Splunk does. `Success` is said once
//! everything is durable, so nobody needs to ask for an acknowledgement.

use axum::Json;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::normalise::{says_time, with_time};
use engine::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::brackets::value_end;
use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire, cut};
use super::http::{Http, Inlet, pushed};
use crate::clock::Clock;
use crate::secret::{Secret, SecretError};
use crate::source::cuts::{Cut, Cuts};

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
    Ok(pushed(name, Splunk { token: Token::read(&settings.token)?, clock: Clock::Wall }, start))
}

#[derive(Debug)]
struct Splunk {
    token: Token,
    clock: Clock,
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
    #[serde(borrow)]
    time: Option<&'a RawValue>,
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

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        if body.trim_ascii().is_empty() {
            return Ok(Opened::Reply(said(StatusCode::BAD_REQUEST, 5, "No data")));
        }
        if Door::of(&asked.path) == Some(Door::Raw) {
            return Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)));
        }
        let records = Envelopes { body, at: 0, number: 0, received: self.clock.now(), limits };
        Ok(Opened::OneByOne { records: Box::new(records), bytes: 0 })
    }

    /// In the collector's words. Some senders give up on whatever has a status from 400 on, so what is to be sent again has
    /// the one that the collector has for it.
    fn answer(&self, asked: &Asked, answer: Answer) -> Response {
        let (status, header) = (answer.status(), answer.header());
        let mut response = match answer {
            durable if durable.is_durable() => said(StatusCode::OK, 0, "Success"),
            Answer::Unauthorised if !asked.headers.contains_key(AUTHORIZATION) => {
                said(StatusCode::UNAUTHORIZED, 2, "Token is required")
            }
            Answer::Unauthorised => said(StatusCode::FORBIDDEN, 4, "Invalid token"),
            Answer::Behind(_) | Answer::Slow | Answer::Unconfirmed | Answer::Stopping => {
                said(StatusCode::SERVICE_UNAVAILABLE, 9, "Server is busy")
            }
            other => said(status, 6, &format!("Invalid data format: {}", other.message())),
        };
        if let Some((name, value)) = header {
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

/// Envelopes one behind another, or in an array, on their way out of a body.
#[derive(Debug)]
struct Envelopes {
    body: Bytes,
    /// How far it has been cut.
    at: usize,
    /// Handed out so far.
    number: u64,
    received: Timestamp,
    limits: Room,
}

impl Iterator for Envelopes {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        let is_between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',' | b']');
        let start = self.at + self.body[self.at..].iter().position(|byte| !is_between(byte))?;
        let rest = &self.body[start..];
        // What is no envelope is a record that will be refused; the next one begins on another line.
        let line = || memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = start + value_end(rest).unwrap_or_else(line);
        self.number += 1;
        Some(cut(self.number, record(&self.body.slice(start..self.at), self.received), self.limits))
    }
}

/// The record that an envelope holds.
fn record(envelope: &Bytes, received: Timestamp) -> Bytes {
    let Ok(Envelope { event: Some(event), time }) = serde_json::from_slice::<Envelope<'_>>(envelope) else {
        return envelope.clone();
    };
    let said = time.and_then(|time| moment(time.get()));
    let timed = |record: Bytes| {
        if says_time(&record) { record } else { with_time(&record, said.unwrap_or(received)).into() }
    };
    if event.get().starts_with('{') {
        return timed(envelope.slice_ref(event.get().as_bytes()));
    }
    match serde_json::from_str::<String>(event.get()) {
        Ok(text) if text.trim_start().starts_with('{') => timed(text.into()),
        // Its time may be text too, and then nobody else could read it.
        Ok(_) | Err(_) => with_time(envelope, said.unwrap_or(received)).into(),
    }
}

/// Seconds since 1970 with any fraction, as a number or as text. Some senders write milliseconds.
fn moment(time: &str) -> Option<Timestamp> {
    const MILLIS_FROM: f64 = 1e11;
    let number: f64 = time.trim_matches('"').trim().parse().ok()?;
    let seconds = if number >= MILLIS_FROM { number / 1e3 } else { number };
    let is_time = (0.0..MILLIS_FROM).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, reason = "within 10^17, which i64 holds")]
    is_time.then(|| Timestamp::from_micros((seconds * 1e6).round() as i64))
}

fn said(status: StatusCode, code: u32, text: &str) -> Response {
    (status, Json(json!({"text": text, "code": code}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Body;
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
        let silent = served.post_to(&served.at("services/collector"), "{}");
        assert_eq!(answer(silent).await, (401, json!({"text": "Token is required", "code": 2})));
        let empty = served.post_to(&served.at("services/collector"), " ").header("authorization", "Splunk t0ken");
        assert_eq!(answer(empty).await, (400, json!({"text": "No data", "code": 5})));
        let elsewhere =
            served.post_to(&served.at("services/collector/ack"), "{}").header("authorization", "Splunk t0ken");
        assert_eq!(elsewhere.send().await.unwrap().status(), 401, "no source is spoken to there");
    }

    /// What stands in a body.
    #[track_caller]
    fn records(body: &str) -> Vec<String> {
        let limits = Room { record_bytes_max: 200, body_bytes_max: usize::MAX };
        let received = Timestamp::from_millis(1_790_000_123_000);
        let envelopes = Envelopes { body: Bytes::copy_from_slice(body.as_bytes()), at: 0, number: 0, received, limits };
        let text = |cut: Cut| match cut.body {
            Body::Whole(text) => String::from_utf8_lossy(&text).into_owned(),
            Body::Refused { reason, .. } => format!("{reason:?}"),
        };
        envelopes.map(text).collect()
    }

    #[test]
    fn events_leave_their_envelopes_and_take_their_time_along_if_they_have_none() {
        let long = format!(r#"{{"event":{{"time":1,"long":"{}"}}}}"#, "x".repeat(300));
        for (body, expected, reason) in [
            (r#"{"time":1,"event":{"published":3}}"#, r#"{"published":3}"#, "a time of its own"),
            (
                r#"{"time":1790000000.25,"event":{"a":{"time":2}}}"#,
                r#"{"@timestamp":"2026-09-21T14:13:20.250000Z","a":{"time":2}}"#,
                "the envelope's",
            ),
            (
                r#"{"time":1790000000,"event":{"time":"9 o'clock"}}"#,
                r#"{"@timestamp":"2026-09-21T14:13:20.000000Z","time":"9 o'clock"}"#,
                "its own cannot be read",
            ),
            (r#"{"time":"1790000000","event":{}}"#, r#"{"@timestamp":"2026-09-21T14:13:20.000000Z"}"#, "as text"),
            (
                r#"{"time":1790000000000,"event":"{\"b\":2}"}"#,
                r#"{"@timestamp":"2026-09-21T14:13:20.000000Z","b":2}"#,
                "milliseconds, and an object in a string",
            ),
            (
                r#"{"time":"soon","event":{"c":3}}"#,
                r#"{"@timestamp":"2026-09-21T14:15:23.000000Z","c":3}"#,
                "nobody's, so when it came",
            ),
            (
                r#"{"time":"1790000000.5","sourcetype":"ci","event":"go test"}"#,
                r#"{"@timestamp":"2026-09-21T14:13:20.500000Z","time":"1790000000.5","sourcetype":"ci","event":"go test"}"#,
                "text stays where it is",
            ),
            (&long, "TooLong", "above the limit"),
            (r#"{"evnt":1}"#, r#"{"evnt":1}"#, "no event: refused further in"),
            (r#"{"event":1,"event":2}"#, r#"{"event":1,"event":2}"#, "two of them, too"),
        ] {
            assert_eq!(records(body), [expected], "{reason}");
        }
    }

    #[test]
    fn envelopes_stand_one_behind_another_or_in_an_array_and_a_broken_one_costs_only_its_line() {
        let [one, two] = [r#"{"event":{"time":1}}"#, r#"{"event":{"time":2}}"#];
        let both = [r#"{"time":1}"#, r#"{"time":2}"#];
        assert_eq!(records(&format!("{one}{two}")), both);
        assert_eq!(records(&format!("[{one},\r\n {two}]")), both);
        assert_eq!(records(&format!("{one}\n{{\"event\":\"\n{two}")), [both[0], r#"{"event":""#, both[1]]);
        assert_eq!(records(&format!("nonsense\n{two}\n{{\"event\":{{")), ["nonsense", both[1], r#"{"event":{"#]);
        assert_eq!(records("1 2"), ["1 2"]);
        assert!(records(" [,] ").is_empty());
        for member in ["a", "time"] {
            let deep = format!(r#"{{"event":{{"{member}":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
            assert_eq!(records(&deep), ["TooLong"], "and nothing recursed into it");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_dead_letter_and_what_must_wait_is_told_so_as_the_collector_would() {
        let served = served(Limits { waiting_bytes_max: 64, ..Limits::default() }).await;
        let sent = served.post(r#"{"event":{"time":1}} nonsense"#).header("authorization", "Splunk t0ken");
        assert_eq!(answer(sent).await.0, 200);
        assert_eq!(served.records().len(), 2);
        let sent = served.post(format!("{:100}", "{}")).header("authorization", "Splunk t0ken").send().await.unwrap();
        assert_eq!((sent.status().as_u16(), sent.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    }

    #[tokio::test]
    async fn raw_bodies_are_lines() {
        let served = served(Limits::default()).await;
        let sent = served.post_to(&served.at("services/collector/raw"), "{\"a\":1}\n{\"a\":2}");
        assert_eq!(answer(sent.header("authorization", "Splunk t0ken")).await.0, 200);
        assert_eq!(served.records().len(), 2);
    }
}
