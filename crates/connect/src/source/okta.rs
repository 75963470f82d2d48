//! Okta's event hooks, pushed to `POST /v1/events/{name}`.
//!
//! Okta shows a secret in `Authorization`, and asks once by GET whether the address is whose it should be. The kind of log
//! is `okta.system`. An entry keeps its `uuid`, so one that Okta sends again is recognised. Okta tries again only once and
//! waits for 3 seconds: what must not be missed comes by its log stream on EventBridge as well, and is counted once.

use axum::Json;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire};
use super::http::{Http, Inlet, pushed};
use crate::secret::{Secret, SecretError};
use crate::source::cuts::Cuts;

/// What Okta asks to hear again.
const CHALLENGE: &str = "x-okta-verification-challenge";

/// `okta`: event hooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The hook's authentication secret, for the authentication field `Authorization`.
    pub secret: Secret,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if the secret cannot be read.
pub fn okta(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    Ok(pushed(name, Okta { secret: Token::read(&settings.secret)? }, start))
}

#[derive(Debug)]
struct Okta {
    secret: Token,
}

impl Wire for Okta {
    /// The challenge proves to Okta that somebody is here who knows its hooks; it says nothing to anybody else.
    fn greet(&self, method: &Method, asked: &Asked) -> Option<Response> {
        let challenge = asked.headers.get(CHALLENGE).filter(|_| *method == Method::GET)?;
        Some(Json(json!({"verification": challenge.to_str().ok()?})).into_response())
    }

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let bare = self.secret.in_header(&asked.headers, AUTHORIZATION.as_str());
        bare.or_else(|_| self.secret.authorises(&asked.headers, "Bearer"))
    }

    fn open(&self, _asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::Limits;
    use crate::source::http::testing::Served;

    #[tokio::test]
    async fn a_hook_is_verified_once_and_then_shows_its_secret() {
        let settings = Settings { secret: Secret::from_text("s3cret".to_owned()) };
        let served = Served::start(okta("hook", &settings, "run").unwrap(), Limits::default()).await;
        let client = reqwest::Client::new();
        let asked = client.get(&served.url).header(CHALLENGE, "my unique \"value\"").send().await.unwrap();
        let said: serde_json::Value = asked.json().await.unwrap();
        assert_eq!(said, json!({"verification": "my unique \"value\""}));
        assert_eq!(client.get(&served.url).send().await.unwrap().status(), 405, "nothing was asked");
        for (shown, status) in [("s3cret", 200), ("Bearer s3cret", 200), ("s3cre", 401), ("", 401)] {
            let body = r#"{"eventType":"com.okta.event_hook","data":{"events":[{"uuid":"1"}]}}"#;
            let sent = served.post(body).header("authorization", shown).send().await.unwrap();
            assert_eq!(sent.status(), status, "{shown:?}");
        }
        assert_eq!(served.records().len(), 2);
    }
}
