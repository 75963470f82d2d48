//! PagerDuty, by its Events API v2.
//!
//! An alert's id is the `dedup_key`, so repeats and updates fall on the incident that the first one opened.
//! A page is never lost because its details are too big: then the details stay behind.

use std::time::Duration;

use engine::rule::Severity;
use engine::time::Timestamp;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::post::{Clear, Endpoint, Heard, SettingsError, TIMEOUT, cut, read};
use super::{Action, Answer, Message, Now};
use crate::secret::{Plain, Secret};

/// The service of the US region; the European one is `https://events.eu.pagerduty.com/v2/enqueue`.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Length of an integration key; PagerDuty answers 400 to any other.
const ROUTING_KEY_CHARS: usize = 32;
const DEDUP_KEY_CHARS_MAX: usize = 255;
const SUMMARY_CHARS_MAX: usize = 1_024;
/// No limit of PagerDuty's: a name longer than this helps nobody.
const NAME_CHARS_MAX: usize = 255;
/// A longer address is left out: it would be cut to something that leads nowhere.
const LINK_BYTES_MAX: usize = 2_048;
const EVENT_BYTES_MAX: usize = 512_000;

/// `sink.pagerduty`: alerts as incidents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Integration key of an Events API v2 integration, 32 characters.
    pub routing_key: Secret,
    /// Where to post; another for the European region.
    #[serde(default = "url")]
    pub url: String,
    /// Longest wait for the whole answer, such as `"20s"`.
    #[serde(with = "humantime_serde", default = "timeout")]
    pub timeout: Duration,
}

fn url() -> String {
    URL.to_owned()
}

fn timeout() -> Duration {
    TIMEOUT
}

/// Pages the people behind one integration.
#[derive(Clone, Debug)]
pub struct PagerDuty {
    endpoint: Endpoint,
    routing_key: Plain,
}

impl PagerDuty {
    /// From its settings; the file of the key is read now.
    ///
    /// # Errors
    /// [`SettingsError`] if a setting cannot work.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let routing_key = read("routing_key", &settings.routing_key)?;
        let length = routing_key.expose().chars().count();
        if length != ROUTING_KEY_CHARS {
            return Err(SettingsError::RoutingKey { length });
        }
        let endpoint = Endpoint::new(&settings.url, Clear::Loopback, settings.timeout, &[&routing_key])?;
        Ok(Self { endpoint, routing_key })
    }

    pub(super) async fn send(&self, message: &Message, now: Now) -> Answer {
        match self.endpoint.post(HeaderMap::new(), body(&self.routing_key, message)).await {
            Ok(heard) => judge(heard, now),
            Err(answer) => answer,
        }
    }
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    timestamp: Timestamp,
    severity: &'static str,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    class: String,
    custom_details: Value,
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

/// The event, never above [`EVENT_BYTES_MAX`]: all but the details is bounded.
fn body(routing_key: &Plain, message: &Message) -> Vec<u8> {
    let mut event = event(routing_key.expose(), message);
    let bytes = encode(&event);
    if bytes.len() <= EVENT_BYTES_MAX {
        return bytes;
    }
    if let Some(payload) = &mut event.payload {
        let size = bytes.len();
        let note = format!("left out: with them the event has {size} bytes, and PagerDuty takes {EVENT_BYTES_MAX}");
        payload.custom_details = json!({ "details": note, "rule": cut(&message.alert.rule.0, NAME_CHARS_MAX) });
    }
    encode(&event)
}

fn encode(event: &Event<'_>) -> Vec<u8> {
    serde_json::to_vec(event).expect("an event holds only what JSON can say")
}

fn event<'a>(routing_key: &'a str, message: &'a Message) -> Event<'a> {
    let dedup_key = dedup_key(&message.alert.id.0);
    match message.action {
        // A trigger with a known key updates the incident, and opens it again if it was closed.
        Action::Raise | Action::Update => {
            let link = message.link.as_deref().filter(|link| link.len() <= LINK_BYTES_MAX);
            Event {
                routing_key,
                event_action: "trigger",
                dedup_key,
                payload: Some(payload(message)),
                client: Some("Lapwing"),
                client_url: link,
                links: link.map(|href| Link { href, text: "The alert in Lapwing" }).into_iter().collect(),
            }
        }
        Action::Resolve => Event {
            routing_key,
            event_action: "resolve",
            dedup_key,
            payload: None,
            client: None,
            client_url: None,
            links: Vec::new(),
        },
    }
}

fn payload(message: &Message) -> Payload {
    let alert = &message.alert;
    // What was acted upon lives in an account or organisation; that is what teams are told apart by.
    let source = alert.target.account.as_deref().filter(|account| !account.is_empty());
    let mut details = serde_json::to_value(alert).expect("an alert holds only what JSON can say");
    details["revision"] = message.revision.into();
    Payload {
        summary: cut(&format!("{}: {}", alert.title, alert.why), SUMMARY_CHARS_MAX),
        timestamp: alert.time,
        severity: match alert.severity {
            Severity::Critical => "critical",
            Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low | Severity::Informational => "info",
        },
        source: cut(source.unwrap_or(alert.kind.name()), NAME_CHARS_MAX),
        component: alert.target.id.as_deref().map(|id| cut(id, NAME_CHARS_MAX)),
        class: alert.kind.name().to_owned(),
        custom_details: details,
    }
}

/// The alert's id, or a hash of one that is too long.
fn dedup_key(id: &str) -> String {
    if id.chars().count() <= DEDUP_KEY_CHARS_MAX {
        id.to_owned()
    } else {
        blake3::hash(id.as_bytes()).to_hex().to_string()
    }
}

/// 202 is the only yes, and its body must not take it back. A 400 that names the key is about the sink and
/// not about the message: an integration was deleted, and each page would go the same way.
fn judge(heard: Heard, now: Now) -> Answer {
    let said: Value = serde_json::from_str(&heard.body).unwrap_or(Value::Null);
    let status = said["status"].as_str();
    match heard.status {
        202 if status.is_some_and(|status| status != "success") => Answer::Refused(heard.reply()),
        202 => heard.classify(now),
        200..=299 => Answer::Misconfigured(heard.reply()),
        400 if names_key(&said["errors"]) || names_key(&said["message"]) => Answer::Misconfigured(heard.reply()),
        _ => heard.classify(now),
    }
}

fn names_key(said: &Value) -> bool {
    let words = said.to_string().to_lowercase();
    words.contains("routing_key") || words.contains("routing key")
}
