//! Any receiver that speaks [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! The id and the body are the same on every attempt, so a receiver knows a repeat; the timestamp and the
//! signatures are of the attempt, because receivers refuse one that is older than five minutes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::post::{Clear, Endpoint, SettingsError, TIMEOUT, read};
use super::{Action, Answer, Message, Now, Reply};
use crate::secret::{Plain, Secret};

/// `sink.webhook`: alerts as signed JSON, by POST.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to post. A secret, because many receivers put a token into the address.
    pub url: Secret,
    /// What the receiver checks the signature with: `whsec_` and base64, or 24 to 64 plain bytes.
    pub secret: Secret,
    /// Secrets that some receivers still check with while `secret` is new; each adds a signature.
    #[serde(default)]
    pub previous_secrets: Vec<Secret>,
    /// Further headers, such as a receiver's own key.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Whether alerts may go to another machine without TLS.
    #[serde(default)]
    pub insecure: bool,
    /// Longest wait for the whole answer, such as `"20s"`.
    #[serde(with = "humantime_serde", default = "timeout")]
    pub timeout: Duration,
}

fn timeout() -> Duration {
    TIMEOUT
}

/// Posts alerts to one receiver.
#[derive(Clone, Debug)]
pub struct Webhook {
    endpoint: Endpoint,
    keys: Vec<Key>,
    headers: HeaderMap,
}

impl Webhook {
    /// From its settings; files of secrets are read now.
    ///
    /// # Errors
    /// [`SettingsError`] if a setting cannot work.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let url = read("url", &settings.url)?;
        let mut hidden = vec![read("secret", &settings.secret)?];
        let mut keys = vec![Key::parse("secret", &hidden[0])?];
        for (place, secret) in settings.previous_secrets.iter().enumerate() {
            let setting = format!("previous_secrets[{place}]");
            let secret = read(&setting, secret)?;
            keys.push(Key::parse(&setting, &secret)?);
            hidden.push(secret);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let value = read(&format!("headers.{name}"), value)?;
            let (name, sent) = parse_header(name, &value)?;
            headers.insert(name, sent);
            hidden.push(value);
        }
        let clear = if settings.insecure { Clear::Anywhere } else { Clear::Loopback };
        let hidden: Vec<&Plain> = hidden.iter().collect();
        let endpoint = Endpoint::new(url.expose(), clear, settings.timeout, &hidden)?;
        Ok(Self { endpoint, keys, headers })
    }

    pub(super) async fn send(&self, message: &Message, now: Now) -> Answer {
        let body = body(message);
        let seconds = now.micros().div_euclid(1_000_000);
        let Ok(id) = HeaderValue::from_str(&message.id) else {
            let text = "the message id cannot stand in a header".to_owned();
            return Answer::Refused(Reply { status: None, text });
        };
        let signatures: Vec<String> = self.keys.iter().map(|key| key.sign(&message.id, seconds, &body)).collect();
        let signatures = HeaderValue::from_str(&signatures.join(" ")).expect("base64 can stand in a header");
        let mut headers = self.headers.clone();
        headers.insert("webhook-id", id);
        headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        headers.insert("webhook-signature", signatures);
        match self.endpoint.post(headers, body).await {
            Ok(heard) => heard.classify(now),
            Err(answer) => answer,
        }
    }
}

/// The body: the same bytes for the same message, whenever and however often it is sent. The alert is put in as it is
/// stored, without being read and written once more.
pub(super) fn body(message: &Message) -> Vec<u8> {
    let sort = match message.action {
        Action::Raise => "alert.raised",
        Action::Update => "alert.updated",
        Action::Resolve => "alert.resolved",
    };
    let Message { alert, text, revision, link, .. } = message;
    let time = json(&alert.time);
    let link = link.as_ref().map(|link| format!(r#","link":{}"#, json(link))).unwrap_or_default();
    format!(r#"{{"type":"{sort}","timestamp":{time},"data":{text},"revision":{revision}{link}}}"#).into_bytes()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("times and texts can be written as JSON")
}

/// A key that signs.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Key {
    fn parse(setting: &str, secret: &Plain) -> Result<Self, SettingsError> {
        let refuse = || SettingsError::SigningKey { setting: setting.to_owned() };
        let bytes = match secret.expose().strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| refuse())?,
            None => secret.expose().as_bytes().to_vec(),
        };
        if !(24..=64).contains(&bytes.len()) {
            return Err(refuse());
        }
        Ok(Self(Hmac::new_from_slice(&bytes).expect("HMAC takes a key of any length")))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over id, time and body.
    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut hmac = self.0.clone();
        hmac.update(format!("{id}.{seconds}.").as_bytes());
        hmac.update(body);
        format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

/// A header of the operator's. Those that frame or sign the message are not theirs to set.
fn parse_header(name: &str, value: &Plain) -> Result<(HeaderName, HeaderValue), SettingsError> {
    let refuse = |fault| SettingsError::Header { name: name.to_owned(), fault };
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("is no header name"))?;
    let ours = ["connection", "content-length", "content-type", "host", "transfer-encoding"];
    if ours.contains(&parsed.as_str()) || parsed.as_str().starts_with("webhook-") {
        return Err(refuse("is set by Lapwing"));
    }
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| refuse("has a value that cannot be sent"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::contract::words;
    use crate::sink::receiver::{Received, Receiver, Say};
    use crate::sink::sample::{later, message};

    const RAW: &str = "thirty-two bytes, written plainly";

    fn settings(origin: &str, secret: &str) -> Settings {
        serde_json::from_value(serde_json::json!({"url": format!("{origin}/alerts"), "secret": secret})).unwrap()
    }

    fn encoded(bytes: &[u8]) -> String {
        format!("whsec_{}", STANDARD.encode(bytes))
    }

    fn present() -> Now {
        Now::from_micros(chrono::Utc::now().timestamp_micros())
    }

    /// What arrives when `message` is sent at these moments.
    async fn receive(change: impl FnOnce(&mut Settings), message: &Message, moments: &[Now]) -> Vec<Received> {
        let receiver = Receiver::start(vec![Say::Now(200, Vec::new(), String::new()); moments.len()]).await;
        let mut settings = settings(&receiver.origin, RAW);
        change(&mut settings);
        let webhook = Webhook::new(&settings).unwrap();
        for moment in moments {
            assert_eq!(words(&webhook.send(message, *moment).await), "delivered");
        }
        receiver.received()
    }

    fn verify(secret: &[u8], request: &Received) -> Result<(), standardwebhooks::WebhookError> {
        let receiver = standardwebhooks::Webhook::from_bytes(secret.to_vec()).unwrap();
        receiver.verify(&request.body, &request.headers)
    }

    #[tokio::test]
    async fn the_standard_library_accepts_plain_and_encoded_secrets() {
        let requests = receive(|_| {}, &message(), &[present()]).await;
        verify(RAW.as_bytes(), &requests[0]).unwrap();

        let secret = encoded(&[7; 32]);
        let requests =
            receive(|settings| settings.secret = Secret::from_text(secret.clone()), &message(), &[present()]).await;
        let receiver = standardwebhooks::Webhook::new(&secret).unwrap();
        receiver.verify(&requests[0].body, &requests[0].headers).unwrap();
        assert!(verify(&[8; 32], &requests[0]).is_err());
    }

    #[tokio::test]
    async fn during_rotation_receivers_with_either_secret_accept() {
        let rotate = |settings: &mut Settings| {
            settings.previous_secrets =
                vec![Secret::from_text(encoded(&[1; 24])), Secret::from_text(encoded(&[2; 64]))];
        };
        let requests = receive(rotate, &message(), &[present()]).await;
        assert_eq!(requests[0].headers["webhook-signature"].to_str().unwrap().split(' ').count(), 3);
        for secret in [RAW.as_bytes(), &[1; 24], &[2; 64]] {
            verify(secret, &requests[0]).unwrap();
        }
        assert!(verify(&[3; 32], &requests[0]).is_err());
    }

    #[tokio::test]
    async fn an_attempt_of_long_ago_is_refused_and_a_repeat_now_is_the_same_message() {
        let stale = present().minus(engine::time::Span::seconds(301));
        let requests = receive(|_| {}, &message(), &[stale, present()]).await;
        let [old, new] = &requests[..] else { panic!("two requests were expected") };
        assert!(matches!(verify(RAW.as_bytes(), old), Err(standardwebhooks::WebhookError::TimestampTooOldError)));
        verify(RAW.as_bytes(), new).unwrap();
        assert_eq!(old.headers["webhook-id"], "message-1");
        assert_eq!(old.headers["webhook-id"], new.headers["webhook-id"]);
        assert_eq!(old.body, new.body);
        assert_ne!(old.headers["webhook-timestamp"], new.headers["webhook-timestamp"]);
        assert_ne!(old.headers["webhook-signature"], new.headers["webhook-signature"]);
    }

    #[tokio::test]
    async fn headers_of_the_operator_are_sent() {
        let change = |settings: &mut Settings| {
            settings.headers.insert("X-Webhook-Access-Key".to_owned(), Secret::from_text("sesame".to_owned()));
        };
        let requests = receive(change, &message(), &[present()]).await;
        assert_eq!(requests[0].headers["x-webhook-access-key"], "sesame");
    }

    #[test]
    fn the_body_says_what_happened_when_and_to_which_revision() {
        insta::assert_snapshot!(String::from_utf8(body(&message())).unwrap());
        let mut resolved = later(Action::Resolve);
        resolved.link = None;
        let read: serde_json::Value = serde_json::from_slice(&body(&resolved)).unwrap();
        assert_eq!((&read["type"], &read["revision"]), (&"alert.resolved".into(), &3.into()));
        assert_eq!(read["timestamp"], "2026-11-20T09:14:03.500000Z");
        assert!(read.get("link").is_none());
        let updated: serde_json::Value = serde_json::from_slice(&body(&later(Action::Update))).unwrap();
        assert_eq!(updated["type"], "alert.updated");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name_and_without_the_secret() {
        let refuse = |change: &dyn Fn(&mut Settings)| {
            let mut settings = settings("https://a.example", RAW);
            change(&mut settings);
            Webhook::new(&settings).unwrap_err().to_string()
        };
        for secret in ["hush-hush", "whsec_hush-hush!", &encoded(&[1; 23]), &encoded(&[1; 65])] {
            let error = refuse(&|settings| settings.secret = Secret::from_text(secret.to_owned()));
            assert!(error.starts_with("secret: must be 24 to 64 bytes") && !error.contains("hush"), "{error}");
        }
        let previous = Secret::from_text("short".to_owned());
        let error = refuse(&|settings| settings.previous_secrets = vec![previous.clone()]);
        assert!(error.starts_with("previous_secrets[0]: "), "{error}");
        for (name, value, fault) in [
            ("Webhook-Id", "1", "is set by Lapwing"),
            ("Content-Type", "text/plain", "is set by Lapwing"),
            ("no name", "1", "is no header name"),
            ("x-key", "two\nlines", "has a value that cannot be sent"),
        ] {
            let error = refuse(&|settings| {
                settings.headers.insert(name.to_owned(), Secret::from_text(value.to_owned()));
            });
            assert!(error.contains(fault), "{error}");
        }
        let error = refuse(&|settings| settings.url = Secret::from_text("http://a.example".to_owned()));
        assert!(error.contains("not https"), "{error}");
        assert!(refuse(&|settings| settings.timeout = Duration::ZERO).starts_with("timeout: "));
    }
}
