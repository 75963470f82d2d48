//! Faults as callers see them: `{ "code", "message", "hint" }`. The log keeps the cause.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No token, or a wrong one.
    Unauthorised,
    /// Asked for by a name that anybody could have made to point here.
    UnknownHost,
    /// A parameter that makes no sense: what is wrong, and what would be right.
    Parameter(String, &'static str),
    /// As many follow live as may.
    TooManyListeners,
    /// No such alert.
    UnknownAlert,
    /// No such thing: what, and where to look.
    Unknown(String, &'static str),
    /// The ledger has no time to answer.
    Busy,
    /// No such path.
    UnknownPath,
    /// A path that is only read.
    Method,
    /// Our fault.
    Internal(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message, hint) = match self {
            Self::Unauthorised => (
                StatusCode::UNAUTHORIZED,
                "unauthorised",
                "no valid token".to_owned(),
                "send `Authorization: Bearer …` with the token from the configuration",
            ),
            Self::UnknownHost => (
                StatusCode::FORBIDDEN,
                "unknown_host",
                "without a token only an address, localhost and the host of public_url are answered".to_owned(),
                "set `token`, or set `public_url` to the name that you use",
            ),
            Self::Parameter(message, hint) => (StatusCode::BAD_REQUEST, "bad_parameter", message, hint),
            Self::TooManyListeners => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_listeners",
                "as many listeners follow alerts live as may".to_owned(),
                "close some, or ask /api/v1/alerts from time to time",
            ),
            Self::UnknownAlert => (
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no such alert".to_owned(),
                "alerts are listed at /api/v1/alerts",
            ),
            Self::Unknown(message, hint) => (StatusCode::NOT_FOUND, "not_found", message, hint),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many ask at a time, or the disk takes nothing".to_owned(),
                "ask again in a moment; /ready says whether commits work",
            ),
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no such path".to_owned(),
                "the API is at /api/v1/alerts, /api/v1/deploys, /api/v1/lineage/{id}, /api/v1/coverage and /api/v1/status",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path is only read".to_owned(),
                "ask by GET",
            ),
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "request failed");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the request could not be answered".to_owned(),
                    "the log of Lapwing says why",
                )
            }
        };
        let body = Json(json!({ "code": code, "message": message, "hint": hint }));
        let mut response = (status, body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
