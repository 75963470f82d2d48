//! Amazon Data Firehose, delivering to an HTTP endpoint: `POST /v1/events/{name}`.
//!
//! A request holds records in base64. Each holds lines of JSON, or what a CloudWatch Logs subscription sends, packed by
//! gzip. The answer repeats the request's id and comes once everything is durable; anything but 200 makes Firehose send
//! all of it again, so a record that cannot be read is a dead letter here and no failure there.

use std::io::Read;
use std::vec;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire, named};
use super::http::{Http, Inlet, pushed};
use crate::clock::Clock;
use crate::secret::{Secret, SecretError};
use crate::source::cuts::{Cut, Cuts};
use crate::source::lines::head;
use crate::source::{Body, Refusal};

/// What Firehose calls a request; the same when it is sent again.
const REQUEST_ID: &str = "x-amz-firehose-request-id";
/// Where it shows its key.
const ACCESS_KEY: &str = "x-amz-firehose-access-key";

/// `firehose`: what Amazon Data Firehose delivers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The access key of the delivery stream's HTTP endpoint.
    pub access_key: Secret,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if the key cannot be read.
pub fn firehose(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    Ok(pushed(name, Firehose { key: Token::read(&settings.access_key)?, clock: Clock::Wall }, start))
}

#[derive(Debug)]
struct Firehose {
    key: Token,
    clock: Clock,
}

/// A request's body.
#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow)]
    records: Vec<Packed<'a>>,
}

#[derive(Deserialize)]
struct Packed<'a> {
    #[serde(borrow)]
    data: std::borrow::Cow<'a, str>,
}

impl Wire for Firehose {
    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        self.key.in_header(&asked.headers, ACCESS_KEY)
    }

    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        named(&asked.headers, REQUEST_ID)
    }

    fn open(&self, _asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        let delivery: Delivery<'_> =
            serde_json::from_slice(&body).map_err(|error| Answer::Unreadable(format!("no delivery: {error}")))?;
        let (mut packed, mut bytes) = (Vec::with_capacity(delivery.records.len()), 0);
        for record in delivery.records {
            let Some(text) = open(&record.data, limits.body_bytes_max.saturating_sub(bytes)) else {
                let head = head(record.data.as_bytes());
                packed.push(Body::Refused { head, reason: Refusal::Corrupt });
                continue;
            };
            bytes += text.len();
            if bytes > limits.body_bytes_max {
                return Err(Answer::TooLarge(limits.body_bytes_max));
            }
            packed.push(Body::Whole(text.into()));
        }
        bytes += packed.len() * size_of::<Body>();
        let record_bytes_max = limits.record_bytes_max;
        let records = Unpacked { packed: packed.into_iter(), cuts: None, number: 0, record_bytes_max };
        Ok(Opened::OneByOne { records: Box::new(records), bytes })
    }

    fn answer(&self, asked: &Asked, answer: Answer) -> Response {
        let id = asked.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let timestamp = self.clock.now().micros() / 1_000;
        if answer.is_durable() {
            return Json(json!({"requestId": id, "timestamp": timestamp})).into_response();
        }
        // What Firehose does next depends on the status alone; what it logs is the message.
        let status = answer.status();
        let failure = json!({"requestId": id, "timestamp": timestamp, "errorMessage": answer.message()});
        let mut response = Json(failure).into_response();
        *response.status_mut() = status;
        response
    }
}

/// The text of a record as it is sent; nothing if it does not unpack.
fn open(data: &str, bytes_max: usize) -> Option<Vec<u8>> {
    unpack(&STANDARD.decode(data).ok()?, bytes_max)
}

/// The text of a record, of at most one byte more than `bytes_max`; nothing if it is packed and does not unpack.
pub(super) fn unpack(data: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    if !data.starts_with(&[0x1f, 0x8b]) {
        return Some(data.to_vec());
    }
    let mut text = Vec::new();
    let limit = bytes_max as u64 + 1;
    flate2::read::MultiGzDecoder::new(data).take(limit).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The records of a delivery, each of which may hold many of ours.
#[derive(Debug)]
struct Unpacked {
    packed: vec::IntoIter<Body>,
    /// The one that is being cut.
    cuts: Option<Cuts>,
    /// Of ours, handed out so far.
    number: u64,
    record_bytes_max: usize,
}

impl Iterator for Unpacked {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        let body = loop {
            if let Some(Cut { body, .. }) = self.cuts.as_mut().and_then(Iterator::next) {
                break body;
            }
            match self.packed.next()? {
                Body::Whole(text) => self.cuts = Some(Cuts::new(text, self.record_bytes_max)),
                refused @ Body::Refused { .. } => break refused,
            }
        };
        self.number += 1;
        Some(Cut { line: self.number, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::Limits;
    use crate::source::http::testing::{Served, gzip};

    async fn served(limits: Limits) -> Served {
        let settings = Settings { access_key: Secret::from_text("k3y".to_owned()) };
        Served::start(firehose("hose", &settings, "run").unwrap(), limits).await
    }

    fn delivery(records: &[&[u8]]) -> String {
        let records: Vec<_> = records.iter().map(|data| json!({"data": STANDARD.encode(data)})).collect();
        json!({"requestId": "r-1", "timestamp": 1, "records": records}).to_string()
    }

    async fn answer(served: &Served, key: &str, body: String) -> (u16, serde_json::Value) {
        let sent = served.post(body).header(ACCESS_KEY, key).header(REQUEST_ID, "r-1").send().await.unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    #[tokio::test]
    async fn records_are_unpacked_and_the_answer_bears_the_requests_id() {
        let served = served(Limits::default()).await;
        let payload = gzip(br#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#);
        let (status, said) = answer(&served, "k3y", delivery(&[b"{\"a\":1}\n{\"a\":2}\n", &payload])).await;
        assert_eq!((status, &said["requestId"]), (200, &json!("r-1")));
        assert!(said["timestamp"].as_i64().unwrap() > 1_700_000_000_000, "milliseconds: {said}");
        let records = served.records();
        let texts: Vec<&str> = records.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#]);
        assert_eq!(records[2].0, "r-1#3");
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_a_dead_letter_and_not_sent_for_ever() {
        let served = served(Limits::default()).await;
        let mut broken = gzip(b"{}");
        broken.truncate(12);
        let (status, _) = answer(&served, "k3y", delivery(&[&broken, b"{bad", b"{}"])).await;
        assert_eq!(status, 200);
        let texts: Vec<String> = served.records().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["Corrupt", "{bad", "{}"]);
        let odd = json!({"records": [{"data": "not base64!"}]}).to_string();
        assert_eq!(answer(&served, "k3y", odd).await.0, 200);
    }

    #[test]
    fn a_delivery_of_a_million_tiny_records_takes_little_more_memory_than_its_bytes() {
        let firehose = Firehose { key: Token::read(&Secret::from_text("k3y".to_owned())).unwrap(), clock: Clock::Wall };
        let asked = Asked { path: String::new(), headers: axum::http::HeaderMap::new() };
        let body = delivery(&[&gzip(&b"1\n".repeat(1_000_000)), b"2"]);
        let limits = Room { record_bytes_max: 1 << 20, body_bytes_max: 16 << 20 };
        match firehose.open(&asked, body.into(), limits).unwrap() {
            Opened::OneByOne { records, bytes } => {
                assert!((2_000_000..2_010_000).contains(&bytes), "{bytes}");
                assert_eq!(records.last().unwrap().line, 1_000_001);
            }
            other => panic!("records one by one, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn who_shows_no_key_and_what_is_no_delivery_are_told_so_in_firehoses_words() {
        let served = served(Limits { body_bytes_max: 10_000, ..Limits::default() }).await;
        let (status, said) = answer(&served, "wrong", delivery(&[b"{}"])).await;
        assert_eq!((status, &said["requestId"]), (401, &json!("r-1")));
        assert!(said["errorMessage"].as_str().unwrap().contains("wrong"));
        assert_eq!(answer(&served, "k3y", "[]".to_owned()).await.0, 400);
        let bomb = gzip(&vec![b'x'; 1_000_000]);
        assert_eq!(answer(&served, "k3y", delivery(&[&bomb])).await.0, 413, "by what it unpacks to");
        assert!(served.records().is_empty());
    }
}
