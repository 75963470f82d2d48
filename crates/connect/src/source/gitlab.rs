//! GitLab: webhooks, and audit events as GitLab streams them, pushed to `POST /v1/events/{name}`.
//!
//! GitLab signs neither; it shows a token in a header of each kind's own. The kinds of log are `gitlab.webhook` and
//! `gitlab.audit`; `auto` tells them apart. A webhook keeps the headers that name it and the time at which it came, since
//! some, such as those of feature flags, tell none.

use bytes::Bytes;
use engine::normalise::delivery;
use serde::Deserialize;

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Token, Wire, cut, named};
use super::http::{Http, Inlet, pushed};
use crate::clock::Clock;
use crate::secret::{Secret, SecretError};
use crate::source::cuts::Cuts;

/// Headers in which a token is shown: by webhooks, and by streams of audit events.
const SHOWN_IN: [&str; 2] = ["x-gitlab-token", "x-gitlab-event-streaming-token"];
/// What GitLab calls a delivery, in the order of preference: the first stays the same when it is sent again.
const NAMES: [&str; 3] = ["idempotency-key", "x-gitlab-webhook-uuid", "x-gitlab-event-uuid"];

/// What every webhook says of itself, and no stream does.
const EVENT: &str = "x-gitlab-event";
/// Headers that go along with the body of a webhook.
const KEPT: [&str; 5] = [EVENT, "idempotency-key", "x-gitlab-instance", "x-gitlab-webhook-uuid", "x-gitlab-event-uuid"];

/// `gitlab`: webhooks of projects and groups, and streamed audit events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The secret token of the webhook, or the verification token of the stream.
    pub token: Secret,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if the token cannot be read.
pub fn gitlab(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    Ok(pushed(name, Gitlab { token: Token::read(&settings.token)?, clock: Clock::Wall }, start))
}

#[derive(Debug)]
struct Gitlab {
    token: Token,
    clock: Clock,
}

impl Wire for Gitlab {
    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let shown = SHOWN_IN.into_iter().any(|header| self.token.in_header(&asked.headers, header).is_ok());
        if shown { Ok(()) } else { Err(Answer::Unauthorised) }
    }

    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        NAMES
            .into_iter()
            .find(|name| asked.headers.contains_key(*name))
            .map_or(Ok(None), |name| named(&asked.headers, name))
    }

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        if asked.headers.contains_key(EVENT) {
            let kept = KEPT.into_iter().filter_map(|name| Some((name, asked.headers.get(name)?.to_str().ok()?)));
            let record = Bytes::from(delivery(&kept.collect::<Vec<_>>(), &body, self.clock.now()));
            return Ok(Opened::Unpacked { bytes: record.len(), records: vec![cut(1, record, limits)] });
        }
        Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::Limits;
    use crate::source::http::testing::Served;

    #[tokio::test]
    async fn hooks_and_streams_show_the_token_each_in_its_own_header() {
        let settings = Settings { token: Secret::from_text("s3cret".to_owned()) };
        let served = Served::start(gitlab("lab", &settings, "run").unwrap(), Limits::default()).await;
        for (header, token, status) in [
            ("x-gitlab-token", "s3cret", 200),
            ("x-gitlab-event-streaming-token", "s3cret", 200),
            ("x-gitlab-token", "s3cre", 401),
            ("authorization", "Bearer s3cret", 401),
        ] {
            let sent = served.post(r#"{"object_kind":"push"}"#).header(header, token).header("idempotency-key", "7");
            assert_eq!(sent.send().await.unwrap().status(), status, "{header}: {token}");
        }
        let hook = served.post(r#"{"object_kind":"feature_flag"}"#).header("x-gitlab-token", "s3cret");
        let hook = hook.header("x-gitlab-event", "Feature Flag Hook").header("idempotency-key", "7");
        assert_eq!(hook.send().await.unwrap().status(), 200);
        let records = served.records();
        let record: serde_json::Value = serde_json::from_str(&records[2].1).unwrap();
        assert_eq!(record["headers"]["idempotency-key"], "7");
        assert_eq!(record["body"], r#"{"object_kind":"feature_flag"}"#);
        assert!(record["received"].is_string(), "{record}");
        assert!(served.records().iter().all(|(position, _)| position == "7#1"), "{:?}", served.records());
    }
}
