//! OpenTelemetry's logs: OTLP over HTTP, as its collector and its SDKs export them, in protobuf or JSON.
//!
//! `POST …/v1/logs`, there or below `/v1/events/{name}`: collectors append that to the endpoint which they are given. Each log
//! record becomes one record. It is cut out of the request unread and read by itself, so that a bad one costs only itself.
//! Success is said once everything is durable; senders that hear of no success send the same again, as OTLP tells them to.

mod fields;
mod record;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use self::fields::{Broken, inner};
use self::record::Around;
use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire, cut, is_media};
use super::http::{Http, Inlet, pushed};
use super::lines::head;
use crate::secret::{Secret, SecretError};
use crate::source::cuts::Cut;
use crate::source::{Body, Refusal};

/// Where exporters of logs send to.
const LOGS: &str = "v1/logs";

/// What a record takes beside its bytes, so that millions of empty ones find an end.
const RECORD_BYTES: usize = 64;

/// So many times the largest body the records of a request may take: what is said once of their resource becomes part of
/// each. Exporters never send again what is refused as too large.
const WRITTEN_OUT: usize = 4;

/// `otlp`: logs as OpenTelemetry's collector and SDKs export them over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the exporter shows as `Authorization: Bearer …`.
    pub token: Secret,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if the token cannot be read.
pub fn otlp(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    Ok(pushed(name, Otlp { token: Token::read(&settings.token)? }, start))
}

#[derive(Debug)]
struct Otlp {
    token: Token,
}

/// In which of its two encodings a request comes; it is answered in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(asked: &Asked) -> Option<Self> {
        let is = |media| is_media(&asked.headers, media);
        if is("application/x-protobuf") {
            return Some(Self::Protobuf);
        }
        is("application/json").then_some(Self::Json)
    }

    fn media(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// A status as `google.rpc` has it: what a failure says.
#[derive(Clone, PartialEq, Message)]
struct Failure {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Wire for Otlp {
    fn serves(&self, path: &str) -> bool {
        path.is_empty() || path.trim_matches('/') == LOGS
    }

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        self.token.authorises(&asked.headers, "Bearer")
    }

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        let wanted = "the Content-Type is neither application/x-protobuf nor application/json";
        let encoding = Encoding::of(asked).ok_or_else(|| Answer::Unreadable(wanted.to_owned()))?;
        let mut found = Found { records: Vec::new(), bytes: 0, limits };
        match encoding {
            Encoding::Protobuf => found.protobuf(&body)?,
            Encoding::Json => found.json(&body)?,
        }
        Ok(Opened::Unpacked { records: found.records, bytes: found.bytes })
    }

    fn answer(&self, asked: &Asked, answer: Answer) -> Response {
        let encoding = Encoding::of(asked).unwrap_or(Encoding::Protobuf);
        let (is_durable, rejected, header) = (answer.is_durable(), answer.rejected(), answer.header());
        let status = match answer.status() {
            _ if is_durable => StatusCode::OK,
            // Exporters send again what is answered with 429 or 503, and drop what is answered with this.
            StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
            status => status,
        };
        let body = if is_durable {
            // What was refused is kept as a dead letter: there is nothing to send again.
            let partial = (rejected > 0).then(|| (rejected, answer.message()));
            success(encoding, partial)
        } else {
            failure(encoding, status, answer.message())
        };
        let mut response = (status, [(CONTENT_TYPE, encoding.media())], body).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn success(encoding: Encoding, partial: Option<(u64, String)>) -> Vec<u8> {
    match (encoding, partial) {
        (Encoding::Json, None) => b"{}".to_vec(),
        // Numbers of 64 bits are texts in protobuf's JSON.
        (Encoding::Json, Some((rejected, message))) => {
            let partial = json!({"rejectedLogRecords": rejected.to_string(), "errorMessage": message});
            json!({"partialSuccess": partial}).to_string().into_bytes()
        }
        (Encoding::Protobuf, partial) => {
            let partial_success = partial.map(|(rejected, error_message)| ExportLogsPartialSuccess {
                rejected_log_records: i64::try_from(rejected).unwrap_or(i64::MAX),
                error_message,
            });
            ExportLogsServiceResponse { partial_success }.encode_to_vec()
        }
    }
}

fn failure(encoding: Encoding, status: StatusCode, message: String) -> Vec<u8> {
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 5,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 3,
    };
    match encoding {
        Encoding::Protobuf => Failure { code, message }.encode_to_vec(),
        Encoding::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    }
}

/// The records of a request, as they are found.
struct Found {
    records: Vec<Cut>,
    bytes: usize,
    limits: Room,
}

/// The outer members of a request in JSON. What is inside is read one by one.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default, rename = "resourceLogs")]
    resource_logs: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct OfResource<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "scopeLogs")]
    scope_logs: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct OfScope<'a> {
    #[serde(borrow, default)]
    scope: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "logRecords")]
    log_records: Option<Vec<&'a RawValue>>,
}

impl Found {
    fn protobuf(&mut self, body: &[u8]) -> Result<(), Answer> {
        let broken = |_: Broken| Answer::Unreadable("no ExportLogsServiceRequest in protobuf".to_owned());
        for of_resource in inner(body, 1) {
            let of_resource = of_resource.map_err(broken)?;
            let resource = self.decode::<Resource>(of_resource, 1)?.unwrap_or_default();
            let resource = record::map(resource.attributes);
            for of_scope in inner(of_resource, 2) {
                let of_scope = of_scope.map_err(broken)?;
                let scope = self.decode::<InstrumentationScope>(of_scope, 1)?.unwrap_or_default();
                let around = Around { resource: &resource, scope: &scope.name };
                for log in inner(of_scope, 2) {
                    let log = log.map_err(broken)?;
                    self.put(log, around, |log| LogRecord::decode(log).ok())?;
                }
            }
        }
        Ok(())
    }

    /// What is said of many records. It is small, or it would fill the memory with every one of them.
    fn decode<M: Message + Default>(&self, bytes: &[u8], field: u64) -> Result<Option<M>, Answer> {
        let mut last = None;
        for found in inner(bytes, field) {
            let unreadable = || Answer::Unreadable("a resource or scope cannot be read".to_owned());
            let found = found.map_err(|_| unreadable())?;
            if found.len() > self.limits.record_bytes_max {
                return Err(Answer::TooLarge(self.limits.record_bytes_max));
            }
            last = Some(M::decode(found).map_err(|_| unreadable())?);
        }
        Ok(last)
    }

    fn json(&mut self, body: &[u8]) -> Result<(), Answer> {
        let broken =
            |error: serde_json::Error| Answer::Unreadable(format!("no ExportLogsServiceRequest in JSON: {error}"));
        let request: Request<'_> = serde_json::from_slice(body).map_err(broken)?;
        for of_resource in request.resource_logs.into_iter().flatten() {
            let of_resource: OfResource<'_> = serde_json::from_str(of_resource.get()).map_err(broken)?;
            let resource: Resource = record::read(self.small(of_resource.resource)?).map_err(broken)?;
            let resource = record::map(resource.attributes);
            for of_scope in of_resource.scope_logs.into_iter().flatten() {
                let of_scope: OfScope<'_> = serde_json::from_str(of_scope.get()).map_err(broken)?;
                let scope: InstrumentationScope = record::read(self.small(of_scope.scope)?).map_err(broken)?;
                let around = Around { resource: &resource, scope: &scope.name };
                for log in of_scope.log_records.into_iter().flatten() {
                    let read = |log: &[u8]| record::read(serde_json::from_slice(log).ok()?).ok();
                    self.put(log.get().as_bytes(), around, read)?;
                }
            }
        }
        Ok(())
    }

    /// The same in JSON.
    fn small(&self, said: Option<&RawValue>) -> Result<Option<serde_json::Value>, Answer> {
        let Some(said) = said else { return Ok(None) };
        if said.get().len() > self.limits.record_bytes_max {
            return Err(Answer::TooLarge(self.limits.record_bytes_max));
        }
        let unreadable = |_| Answer::Unreadable("a resource or scope cannot be read".to_owned());
        serde_json::from_str(said.get()).map(Some).map_err(unreadable)
    }

    /// One record, or the head of one that cannot be read.
    fn put(&mut self, log: &[u8], around: Around<'_>, read: impl Fn(&[u8]) -> Option<LogRecord>) -> Result<(), Answer> {
        let line = self.records.len() as u64 + 1;
        let refused = |reason| Cut { line, body: Body::Refused { head: head(log), reason } };
        let found = if log.len() > self.limits.record_bytes_max {
            refused(Refusal::TooLong)
        } else {
            match read(log) {
                Some(read) => cut(line, record::record(read, around), self.limits),
                None => refused(Refusal::Corrupt),
            }
        };
        self.bytes += found.body.len() + RECORD_BYTES;
        self.records.push(found);
        if self.bytes > self.limits.body_bytes_max.saturating_mul(WRITTEN_OUT) {
            return Err(Answer::TooLarge(self.limits.body_bytes_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::Limits;
    use crate::source::http::testing::{Served, gzip};

    async fn served(limits: Limits) -> Served {
        let settings = Settings { token: Secret::from_text("t0ken".to_owned()) };
        Served::start(otlp("otel", &settings, "run").unwrap(), limits).await
    }

    fn sent(served: &Served, media: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        served.post(body).header("content-type", media).bearer_auth("t0ken")
    }

    /// The example of the specification, with members that it does not know.
    const EXAMPLE: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
        "scopeLogs":[{"scope":{"name":"my.library","version":"1.0.0","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},
        "logRecords":[{"timeUnixNano":"1544712660300000000","observedTimeUnixNano":"1544712660300000000","severityNumber":10,
        "severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","unknown":{"a":1},
        "body":{"stringValue":"Example log record"},"attributes":[{"key":"string.attribute","value":{"stringValue":"some string"}},
        {"key":"boolean.attribute","value":{"boolValue":true}},{"key":"int.attribute","value":{"intValue":"10"}},
        {"key":"double.attribute","value":{"doubleValue":637.704}},
        {"key":"array.attribute","value":{"arrayValue":{"values":[{"stringValue":"many"},{"stringValue":"values"}]}}},
        {"key":"map.attribute","value":{"kvlistValue":{"values":[{"key":"some.map.key","value":{"stringValue":"some value"}}]}}},
        {"key":"bytes.attribute","value":{"bytesValue":"aGk="}},{"key":"empty.array","value":{"arrayValue":{}}},
        {"key":"nothing","value":{}},{"key":"null","value":null}]}]}]}]}"#;

    #[tokio::test]
    async fn the_example_of_the_specification_is_read_in_json_and_answered_in_json() {
        let served = served(Limits::default()).await;
        for url in [served.url.clone(), format!("{}/v1/logs", served.url), served.at("v1/logs")] {
            let request = served.post_to(&url, EXAMPLE).header("content-type", "application/json").bearer_auth("t0ken");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            assert_eq!(answer.headers()["content-type"], "application/json");
            assert_eq!(answer.text().await.unwrap(), "{}");
        }
        let records = served.records();
        assert_eq!(records.len(), 3);
        let record: serde_json::Value = serde_json::from_str(&records[0].1).unwrap();
        let expected = json!({
            "time": "2018-12-13T14:51:00.300000Z", "severity": "Information", "message": "Example log record",
            "attributes": {
                "string.attribute": "some string", "boolean.attribute": true, "int.attribute": 10,
                "double.attribute": 637.704, "array.attribute": ["many", "values"],
                "map.attribute": {"some.map.key": "some value"}, "bytes.attribute": "aGk=", "empty.array": [],
                "nothing": null, "null": null,
            },
            "resource": {"service.name": "my.service"}, "scope": "my.library",
            "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
        });
        assert_eq!(record, expected);
    }

    #[tokio::test]
    async fn protobuf_is_answered_in_protobuf_also_if_it_is_compressed() {
        use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
        let served = served(Limits::default()).await;
        let request: ExportLogsServiceRequest =
            serde_json::from_str(&EXAMPLE.replace(r#"{"arrayValue":{}}"#, "{}")).unwrap();
        let body = request.encode_to_vec();
        for (body, encoding) in [(body.clone(), "identity"), (gzip(&body), "gzip")] {
            let request = sent(&served, "application/x-protobuf", body).header("content-encoding", encoding);
            let answer = request.send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["content-type"]),
                (200, &"application/x-protobuf".parse().unwrap())
            );
            assert_eq!(ExportLogsServiceResponse::decode(answer.bytes().await.unwrap()).unwrap().partial_success, None);
        }
        assert!(served.records()[1].1.contains(r#""message":"Example log record""#), "{:?}", served.records());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_alone_and_only_then_success_is_partial() {
        let served = served(Limits { record_bytes_max: 1_000, ..Limits::default() }).await;
        let deep = format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(100), "]}}".repeat(100));
        let long = "x".repeat(2_000);
        let logs = [
            r#"{"timeUnixNano":"1","body":{"stringValue":"a"}}"#.to_owned(),
            format!(r#"{{"body":{deep}}}"#),
            format!(r#"{{"body":{{"stringValue":"{long}"}}}}"#),
            r#"{"timeUnixNano":{}}"#.to_owned(),
            r#"{"timeUnixNano":2,"traceId":"no hex","body":{"stringValue":"b"}}"#.to_owned(),
        ];
        let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, logs.join(","));
        let answer = sent(&served, "application/json", body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let said: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(said["partialSuccess"]["rejectedLogRecords"], "3", "{said}");
        let texts: Vec<String> = served.records().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[1..4], ["TooLong", "TooLong", "Corrupt"]);
        assert!(texts[0].contains(r#""message":"a""#) && texts[4].contains(r#""message":"b""#), "{texts:?}");
    }

    #[tokio::test]
    async fn failures_are_a_status_of_google_rpc_that_says_whether_to_send_again() {
        let served = served(Limits { body_bytes_max: 10_000, record_bytes_max: 1_000, ..Limits::default() }).await;
        let many =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, vec!["{}"; 1_000].join(","));
        for (media, body, status, code) in [
            ("application/json", "[".to_owned(), 400, 3),
            ("application/json", r#"{"resourceLogs":7}"#.to_owned(), 400, 3),
            ("application/x-protobuf", "\u{7f}\u{7f}".to_owned(), 400, 3),
            ("text/plain", "{}".to_owned(), 400, 3),
            ("application/json", many, 413, 8),
            ("application/json", "x".repeat(20_000), 413, 8),
        ] {
            let answer = sent(&served, media, body).send().await.unwrap();
            assert_eq!(answer.status(), status, "{media}");
            let body = answer.bytes().await.unwrap();
            let found = if media == "application/json" {
                serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"].as_i64().unwrap()
            } else {
                Failure::decode(body).unwrap().code.into()
            };
            assert_eq!(found, code, "{media}");
        }
        let large = format!(r#"{{"attributes":[{{"key":"k","value":{{"stringValue":"{}"}}}}]}}"#, "x".repeat(2_000));
        let of_resource = format!(r#"{{"resourceLogs":[{{"resource":{large}}}]}}"#);
        let of_scope = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{large}}}]}}]}}"#);
        for body in [of_resource, of_scope] {
            assert_eq!(sent(&served, "application/json", body).send().await.unwrap().status(), 413, "for each record");
        }
        let stranger = served.post("{}").header("content-type", "application/json").send().await.unwrap();
        assert_eq!(stranger.status(), 401);
        assert!(served.records().is_empty());
        let empty = sent(&served, "application/x-protobuf", "").send().await.unwrap();
        assert_eq!(empty.status(), 200, "nothing to take");
    }

    #[tokio::test]
    async fn a_sender_that_must_wait_hears_429_or_503_and_how_long() {
        let otlp = Otlp { token: Token::read(&Secret::from_text("t".to_owned())).unwrap() };
        let asked = Asked { path: LOGS.to_owned(), headers: axum::http::HeaderMap::new() };
        for (answer, status) in
            [(Answer::Behind(7), 429), (Answer::Unconfirmed, 503), (Answer::Stopping, 503), (Answer::Slow, 503)]
        {
            let waits = !matches!(answer, Answer::Slow);
            let response = otlp.answer(&asked, answer);
            assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (status, waits));
        }
    }
}
