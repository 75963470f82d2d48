//! Any receiver that speaks [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! The id and the body are the same on every attempt, so a receiver knows a repeat; the timestamp and the
//! signatures are of the attempt, because receivers refuse one that is older than five minutes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::alert::Alert;
use engine::time::Timestamp;
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
        let mut keys = vec![Key::parse("secret", &read("secret", &settings.secret)?)?];
        for (place, secret) in settings.previous_secrets.iter().enumerate() {
            let setting = format!("previous_secrets[{place}]");
            keys.push(Key::parse(&setting, &read(&setting, secret)?)?);
        }
        let mut headers = HeaderMap::new();
        let mut hidden = Vec::new();
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

/// The body: the same bytes for the same message, whenever and however often it is sent.
pub(super) fn body(message: &Message) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "type")]
        sort: &'static str,
        timestamp: Timestamp,
        data: &'a Alert,
        revision: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<&'a str>,
    }
    let sort = match message.action {
        Action::Raise => "alert.raised",
        Action::Update => "alert.updated",
        Action::Resolve => "alert.resolved",
    };
    let Message { alert, revision, link, .. } = message;
    let body = Body { sort, timestamp: alert.time, data: alert, revision: *revision, link: link.as_deref() };
    serde_json::to_vec(&body).expect("an alert holds only what JSON can say")
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
