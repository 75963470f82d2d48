//! GitLab: webhooks, and audit events as GitLab streams them, pushed to `POST /v1/events/{name}`.
//!
//! GitLab signs neither; it shows a token in a header of each kind's own. The kinds of log are `gitlab.webhook` and
//! `gitlab.audit`; `auto` tells them apart. A webhook goes along with some of its headers and the time of its receipt: the
//! body of a push says no time at all. An audit event says its own.

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
/// What GitLab calls a delivery, since its version 17.4. Its other ids name none: `X-Gitlab-Webhook-UUID` is the hook's, in
/// each of its deliveries, and `X-Gitlab-Event-UUID` is handed on by every hook that one hook leads to.
const NAME: &str = "idempotency-key";
/// Headers that go along with the body of a webhook: what happened, where, and which delivery it is.
const KEPT: [&str; 5] = ["x-gitlab-event", "x-gitlab-instance", "x-gitlab-webhook-uuid", "x-gitlab-event-uuid", NAME];

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
        named(&asked.headers, NAME)
    }

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        let header = |name: &'static str| Some((name, asked.headers.get(name)?.to_str().ok()?));
        if header("x-gitlab-event").is_none() {
            return Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)));
        }
        let kept: Vec<_> = KEPT.into_iter().filter_map(header).collect();
        let record = Bytes::from(delivery(&kept, &body, self.clock.now()));
        Ok(Opened::Unpacked { bytes: record.len(), records: vec![cut(1, record, limits)] })
    }
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;
    use engine::normalise::{Format, normalise};

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

    fn hook() -> (Http, Inlet) {
        gitlab("lab", &Settings { token: Secret::from_text("s3cret".to_owned()) }, "run").unwrap()
    }

    #[tokio::test]
    async fn the_id_of_a_hook_is_not_that_of_its_deliveries() {
        let served = Served::start(hook(), Limits::default()).await;
        for uuid in ["x-gitlab-webhook-uuid", "x-gitlab-event-uuid"] {
            for _ in 0..2 {
                let sent =
                    served.post(r#"{"object_kind":"push"}"#).header("x-gitlab-token", "s3cret").header(uuid, "h");
                assert_eq!(sent.send().await.unwrap().status(), 200);
            }
        }
        let positions: std::collections::BTreeSet<_> =
            served.records().into_iter().map(|(position, _)| position).collect();
        assert_eq!(positions.len(), 4);
    }

    #[tokio::test]
    async fn a_push_that_says_no_time_is_of_the_time_when_it_came() {
        let served = Served::start(hook(), Limits::default()).await;
        let push =
            r#"{"object_kind":"push","after":"0000000000","ref":"refs/heads/main","project":{"id":1},"commits":[]}"#;
        let sent = served
            .post(push)
            .header("x-gitlab-token", "s3cret")
            .header("x-gitlab-event", "Push Hook")
            .header("x-gitlab-instance", "https://gitlab.example")
            .header("idempotency-key", "d-1");
        assert_eq!(sent.send().await.unwrap().status(), 200);
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        let records = served.records();
        let (position, record) = &records[0];
        normalise(Format::Auto, record.as_bytes(), position, &Default::default(), &mut events, &mut rejects);
        assert_eq!(rejects, []);
        assert_eq!((events[0].kind, events[0].uid.id.as_str()), (Kind::GitlabWebhook, "d-1"));
        assert_eq!(events[0].uid.origin, "https://gitlab.example");
        assert!(!record.contains("s3cret"), "the token is nobody's to keep");
    }
}
