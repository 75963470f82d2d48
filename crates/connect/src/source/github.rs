//! GitHub webhooks, pushed to `POST /v1/events/{name}` and signed with the secret that both sides know.
//!
//! The kind of log is `github.webhook`. A delivery keeps its id (`X-GitHub-Delivery`), so one that GitHub or a person
//! sends again is recognised; a ping is answered and counts for nothing. Audit-log streaming is not this: GitHub sends it
//! as Splunk does.

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use engine::normalise::delivery;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::http::answer::Answer;
use super::http::wire::{Asked, Opened, Room, Wire, cut, is_media, named};
use super::http::{Http, Inlet, pushed};
use crate::clock::Clock;
use crate::secret::{Secret, SecretError};

/// Headers that go along with the body: what happened, to which hook, of whom.
const KEPT: [&str; 5] = [
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
];

/// `github`: webhooks of repositories, organisations and apps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The webhook's secret.
    pub secret: Secret,
    /// Secrets that some hooks still sign with while `secret` is new.
    #[serde(default)]
    pub previous_secrets: Vec<Secret>,
}

/// Both halves of the source `name`; `start` names this run of the process.
///
/// # Errors
/// [`SecretError`] if a secret cannot be read.
pub fn github(name: &str, settings: &Settings, start: &str) -> Result<(Http, Inlet), SecretError> {
    let secrets = std::iter::once(&settings.secret).chain(&settings.previous_secrets);
    let keys = secrets.map(|secret| Ok(Key::new(secret.read()?.expose().as_bytes())));
    Ok(pushed(name, Github { keys: keys.collect::<Result<_, _>>()?, clock: Clock::Wall }, start))
}

#[derive(Debug)]
struct Github {
    keys: Vec<Key>,
    clock: Clock,
}

/// A key that signs; never shown.
struct Key(Hmac<Sha256>);

impl Key {
    fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// In a time that does not depend on where the signatures differ.
    fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        self.0.clone().chain_update(body).verify_slice(signature).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[key]")
    }
}

impl Wire for Github {
    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        signature(&asked.headers).map(drop).ok_or(Answer::Unauthorised)
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn verify(&self, asked: &Asked, sent: &[u8]) -> Result<(), Answer> {
        let signature = signature(&asked.headers).ok_or(Answer::Unauthorised)?;
        let signed = self.keys.iter().any(|key| key.signed(sent, &signature));
        if signed { Ok(()) } else { Err(Answer::Unauthorised) }
    }

    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        named(&asked.headers, "x-github-delivery")
    }

    fn open(&self, asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        let header = |name: &'static str| Some((name, asked.headers.get(name)?.to_str().ok()?));
        if header("x-github-event").is_some_and(|(_, event)| event == "ping") {
            return Ok(Opened::Reply((StatusCode::OK, "pong").into_response()));
        }
        let payload = if is_media(&asked.headers, "application/x-www-form-urlencoded") {
            let payload = form_urlencoded::parse(&body).find(|(name, _)| name == "payload");
            let missing = || Answer::Unreadable("the form holds no `payload`".to_owned());
            Bytes::from(payload.ok_or_else(missing)?.1.into_owned())
        } else {
            body
        };
        let kept: Vec<_> = KEPT.into_iter().filter_map(header).collect();
        let record = Bytes::from(delivery(&kept, &payload, self.clock.now()));
        Ok(Opened::Unpacked { bytes: record.len(), records: vec![cut(1, record, limits)] })
    }
}

/// The signature that the headers show, in bytes.
fn signature(headers: &HeaderMap) -> Option<Vec<u8>> {
    let text = headers.get("x-hub-signature-256")?.to_str().ok()?.strip_prefix("sha256=")?;
    let pairs = text.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect::<Option<Vec<u8>>>().filter(|all| all.len() == 32)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::source::http::testing::{Served, gzip, serve};
    use crate::source::http::{Inlets, Limits, router};
    use crate::source::{Next, Source};

    fn hook() -> (Http, Inlet) {
        let secret = |text: &str| Secret::from_text(text.to_owned());
        let settings = Settings {
            // GitHub's own example of a signature.
            secret: secret("It's a Secret to Everybody"),
            previous_secrets: vec![secret("the one before")],
        };
        github("hook", &settings, "run").unwrap()
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let code = Key::new(secret.as_bytes()).0.chain_update(body).finalize().into_bytes();
        code.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn the_signature_is_that_of_githubs_documentation() {
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign("It's a Secret to Everybody", b"Hello, World!"), expected);
    }

    #[tokio::test]
    async fn what_is_signed_with_a_known_secret_enters_under_its_delivery_and_nothing_else_does() {
        let served = Served::start(hook(), Limits::default()).await;
        let body = br#"{"action":"created","repository":{"full_name":"octo/app"},"sender":{"login":"ana"}}"#;
        let good = sign("It's a Secret to Everybody", body);
        for (signature, status, why) in [
            (Some(good.clone()), 200, "the secret"),
            (Some(sign("the one before", body)), 200, "the one before it"),
            (Some(sign("a guess", body)), 401, "another secret"),
            (Some(sign("It's a Secret to Everybody", b"{}")), 401, "another body"),
            (Some(good[..good.len() - 1].to_owned()), 401, "cut"),
            (Some(good.replace("sha256=", "sha1=")), 401, "another sort"),
            (None, 401, "nothing"),
        ] {
            let mut request = served.post(body.to_vec()).header("x-github-event", "deploy_key");
            request = request.header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
            if let Some(signature) = signature {
                request = request.header("x-hub-signature-256", signature);
            }
            assert_eq!(request.send().await.unwrap().status(), status, "{why}");
        }
        let records = served.records();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].0, records[1].0, "a delivery that comes again bears the same name");
        let record: serde_json::Value = serde_json::from_str(&records[0].1).unwrap();
        assert_eq!(record["headers"]["x-github-event"], "deploy_key");
        assert_eq!(record["body"].as_str().unwrap().as_bytes(), body);
    }

    #[tokio::test]
    async fn a_form_is_taken_as_it_was_signed_and_a_ping_counts_for_nothing() {
        let served = Served::start(hook(), Limits::default()).await;
        let form = "payload=%7B%22zen%22%3A%22a+b%22%7D";
        for (event, records) in [("ping", 0), ("push", 1)] {
            let sent = served
                .post(form)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-github-event", event)
                .header("x-hub-signature-256", sign("It's a Secret to Everybody", form.as_bytes()));
            assert_eq!(sent.send().await.unwrap().status(), 200, "{event}");
            assert_eq!(served.records().len(), records, "{event}");
        }
        let record: serde_json::Value = serde_json::from_str(&served.records()[0].1).unwrap();
        assert_eq!(record["body"], r#"{"zen":"a b"}"#);
    }

    #[tokio::test]
    async fn bodies_of_which_nobody_knows_the_sender_take_no_room_from_others() {
        let known = super::super::http::http("push", &Default::default(), "run").unwrap();
        let (mut source, pushed) = known;
        let limits = Limits { body_bytes_max: 1_000, waiting_bytes_max: 4_000, ..Limits::default() };
        let address = serve(router(Inlets::of([hook().1, pushed]), limits, |_, _| {})).await;
        tokio::spawn(async move {
            while let Ok(Next::Batch(batch)) = source.next().await {
                source.commit(batch.mark).await.unwrap();
            }
        });
        let shown = sign("a guess", b"");
        let begun = format!(
            "POST /v1/events/hook HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\nx-hub-signature-256: {shown}\r\n\r\n{}",
            "x".repeat(999)
        );
        let mut strangers = Vec::new();
        for _ in 0..4 {
            let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
            stranger.write_all(begun.as_bytes()).await.unwrap();
            strangers.push(stranger);
        }
        let client = reqwest::Client::new();
        let post = |name: &str| client.post(format!("http://{address}/v1/events/{name}")).body(" ".repeat(900));
        while post("hook").header("x-hub-signature-256", &shown).send().await.unwrap().status() != 429 {}
        assert_eq!(post("push").send().await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn the_signature_is_of_the_bytes_as_they_were_sent() {
        let served = Served::start(hook(), Limits::default()).await;
        let packed = gzip(b"{}");
        let sent = served
            .post(packed.clone())
            .header("content-encoding", "gzip")
            .header("x-github-event", "push")
            .header("x-hub-signature-256", sign("It's a Secret to Everybody", &packed));
        assert_eq!(sent.send().await.unwrap().status(), 200);
    }
}
