//! What a sender is told. Each answer says what to do next.

use axum::Json;
use axum::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Reject, Verdict};

/// Every way a request ends.
#[derive(Debug)]
pub(crate) enum Answer {
    /// All or some of the records are durable.
    Settled(Verdict),
    /// The body could not even be cut into records.
    Unreadable(String),
    Unauthorised,
    /// What the sender shows can be neither trusted nor refused: the keys to check it cannot be had.
    Unproven,
    /// Sent by a page of another site, to a source that asks for no token.
    Foreign,
    NotFound,
    NotPost,
    /// The body did not arrive in time.
    Slow,
    /// More than the limit, which is given.
    TooLarge(usize),
    UnknownEncoding,
    /// More waits than can be kept; in so many seconds it will be less.
    Behind(u64),
    /// Not committed in time; the outcome is unknown.
    Unconfirmed,
    Stopping,
}

#[derive(Serialize)]
struct Accepted {
    accepted: u64,
    rejected: u64,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: String,
    hint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Reject>,
}

impl Answer {
    /// Whether all that could be read is durable, and what could not is kept as a dead letter.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Settled(_))
    }

    /// How many records were refused though others are durable.
    pub(crate) fn rejected(&self) -> u64 {
        match self {
            Self::Settled(verdict) => verdict.rejected,
            Self::Unreadable(_)
            | Self::Unauthorised
            | Self::Unproven
            | Self::Foreign
            | Self::NotFound
            | Self::NotPost
            | Self::Slow
            | Self::TooLarge(_)
            | Self::UnknownEncoding
            | Self::Behind(_)
            | Self::Unconfirmed
            | Self::Stopping => 0,
        }
    }

    /// What happened, in a sentence.
    pub(crate) fn message(self) -> String {
        self.problem().message
    }

    /// The status of plain HTTP.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Settled(verdict) if verdict.rejected == 0 => StatusCode::OK,
            Self::Settled(_) | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Behind(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unproven | Self::Unconfirmed | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What goes along with the status.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let fixed = |name, value| Some((name, HeaderValue::from_static(value)));
        match self {
            Self::Unauthorised => fixed(WWW_AUTHENTICATE, "Bearer realm=\"lapwing\""),
            Self::UnknownEncoding => fixed(ACCEPT_ENCODING, "gzip, zstd"),
            Self::NotPost => fixed(ALLOW, "POST"),
            Self::Behind(seconds) => Some((RETRY_AFTER, HeaderValue::from(*seconds))),
            Self::Unproven | Self::Unconfirmed | Self::Stopping => fixed(RETRY_AFTER, "5"),
            Self::Settled(_)
            | Self::Unreadable(_)
            | Self::Foreign
            | Self::NotFound
            | Self::Slow
            | Self::TooLarge(_) => None,
        }
    }

    fn problem(self) -> Problem {
        let (code, message, hint) = match self {
            Self::Settled(verdict) => return malformed(verdict),
            Self::Unreadable(message) => ("malformed", message, "nothing was accepted; correct the request"),
            Self::Unauthorised => (
                "unauthorised",
                "what the sender shows is missing or wrong".to_owned(),
                "show what the source is configured with: `Authorization: Bearer …`, or the token, key or signature of its \
                 system",
            ),
            Self::Unproven => (
                "unproven",
                "the keys that tokens are checked with cannot be had".to_owned(),
                "nothing was accepted; send the same again after Retry-After",
            ),
            Self::Foreign => (
                "foreign_origin",
                "the request comes from a web page of another site (header Origin)".to_owned(),
                "give the source a token and send it, or leave Origin out",
            ),
            Self::NotFound => (
                "not_found",
                "no source of this name".to_owned(),
                "the path is /v1/events/ and the name of an http source in the config",
            ),
            Self::NotPost => ("method_not_allowed", "only POST is served here".to_owned(), "send events by POST"),
            Self::Slow => ("timeout", "the body did not arrive in time".to_owned(), "send smaller bodies"),
            Self::TooLarge(bytes_max) => (
                "too_large",
                format!("the body is above {bytes_max} bytes, as sent or decompressed"),
                "nothing was accepted; send fewer events in one request",
            ),
            Self::UnknownEncoding => (
                "unknown_encoding",
                "the Content-Encoding is not known".to_owned(),
                "send the body as it is, or by gzip or zstd",
            ),
            Self::Behind(_) => (
                "behind",
                "more is waiting than can be kept".to_owned(),
                "nothing was accepted; send the same again after Retry-After",
            ),
            Self::Unconfirmed => (
                "unconfirmed",
                "the events were not made durable in time; they may still be".to_owned(),
                "send the same again: events that carry ids, or an Idempotency-Key, are counted once",
            ),
            Self::Stopping => (
                "stopping",
                "the service is stopping; the events may not be durable".to_owned(),
                "send the same again: events that carry ids, or an Idempotency-Key, are counted once",
            ),
        };
        Problem { code, message, hint, accepted: None, rejected: None, lines: Vec::new() }
    }
}

fn malformed(verdict: Verdict) -> Problem {
    let message = match verdict.lines.first() {
        Some(first) if verdict.rejected == 1 => format!("line {}: {}", first.line, first.reason),
        Some(first) => format!("line {}: {}; {} more lines refused", first.line, first.reason, verdict.rejected - 1),
        None => format!("{} lines refused", verdict.rejected),
    };
    Problem {
        code: "malformed",
        message,
        hint: "the accepted lines are durable: send only the refused ones again, corrected",
        accepted: Some(verdict.accepted),
        rejected: Some(verdict.rejected),
        lines: verdict.lines,
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.status();
        let header = self.header();
        let mut response = match self {
            Self::Settled(Verdict { accepted, rejected: 0, .. }) => {
                Json(Accepted { accepted, rejected: 0 }).into_response()
            }
            problem => Json(problem.problem()).into_response(),
        };
        *response.status_mut() = status;
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
