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
use crate::retry::unanswered;
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
    if let Some(failure) = heard.doubt() {
        return unanswered(failure.to_owned());
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;
    use crate::sink::contract::words;
    use crate::sink::receiver::{Receiver, Say};
    use crate::sink::sample::{later, message, now};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn render(message: &Message) -> Value {
        serde_json::from_slice(&body(&Secret::from_text(KEY.to_owned()).read().unwrap(), message)).unwrap()
    }

    fn settings(url: &str) -> Settings {
        serde_json::from_value(json!({"routing_key": KEY, "url": url})).unwrap()
    }

    fn say(status: u16, body: &str) -> Say {
        Say::Now(status, Vec::new(), body.to_owned())
    }

    #[track_caller]
    fn assert_golden(name: &str, message: &Message) {
        insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(name, render(message)) });
    }

    #[test]
    fn an_alert_triggers_and_its_end_resolves_the_same_incident() {
        assert_golden("trigger", &message());
        assert_golden("resolve", &later(Action::Resolve));
        assert_eq!(render(&message())["dedup_key"], render(&later(Action::Update))["dedup_key"]);
        assert_eq!(render(&later(Action::Update))["event_action"], "trigger");
    }

    #[test]
    fn severities_are_pagerdutys_own() {
        for (ours, theirs) in [
            (Severity::Critical, "critical"),
            (Severity::High, "error"),
            (Severity::Medium, "warning"),
            (Severity::Low, "info"),
            (Severity::Informational, "info"),
        ] {
            let mut message = message();
            message.alert.severity = ours;
            assert_eq!(render(&message)["payload"]["severity"], theirs);
        }
    }

    #[test]
    fn a_long_summary_is_cut_between_characters_and_a_long_id_hashed() {
        let mut message = message();
        message.alert.title = "🦅".repeat(2_000);
        message.alert.id.0 = "é".repeat(256);
        let event = render(&message);
        assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
        let key = event["dedup_key"].as_str().unwrap().to_owned();
        assert_eq!(key.len(), 64);
        message.action = Action::Resolve;
        assert_eq!(render(&message)["dedup_key"], key);
        message.alert.id.0 = "é".repeat(255);
        assert_eq!(render(&message)["dedup_key"], "é".repeat(255));
    }

    #[test]
    fn a_page_with_huge_details_goes_out_without_them() {
        let mut message = message();
        message.alert.event_ids = vec!["x".repeat(1_000); 600].into();
        let huge = "\"".repeat(600_000);
        let target = &mut message.alert.target;
        (target.account, target.id, message.link) = (Some(huge.clone()), Some(huge.clone()), Some(huge.clone()));
        (message.alert.title, message.alert.id.0, message.alert.rule.0) = (huge.clone(), huge.clone(), huge.into());
        let event = render(&message);
        assert!(event.to_string().len() <= EVENT_BYTES_MAX);
        assert_eq!(event["event_action"], "trigger");
        let note = event["payload"]["custom_details"]["details"].as_str().unwrap();
        assert!(note.starts_with("left out: with them the event has"), "{note}");
    }

    #[test]
    fn an_event_of_exactly_the_limit_keeps_its_details() {
        let mut message = message();
        let spare = EVENT_BYTES_MAX - render(&message).to_string().len();
        message.alert.runbook.push_str(&"x".repeat(spare));
        assert_eq!(render(&message).to_string().len(), EVENT_BYTES_MAX);
        assert!(render(&message)["payload"]["custom_details"]["runbook"].is_string());
        message.alert.runbook.push('x');
        assert!(render(&message)["payload"]["custom_details"].get("runbook").is_none());
    }

    #[tokio::test]
    async fn only_202_without_an_objection_is_a_yes() {
        let receiver = Receiver::start([]).await;
        let pagerduty = PagerDuty::new(&settings(&receiver.origin)).unwrap();
        let invalid =
            r#"{"status":"invalid event","message":"Event object is invalid","errors":["'summary' is missing"]}"#;
        let key = r#"{"status":"invalid event","message":"Event object is invalid",
            "errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#;
        for (status, body, wanted, reason) in [
            (202, r#"{"status":"success","message":"Event processed"}"#, "delivered", "accepted"),
            (202, "", "delivered", "accepted without a word"),
            (202, invalid, "refused", "taken back in the body"),
            (200, r#"{"status":"success"}"#, "misconfigured", "not the Events API"),
            (400, invalid, "refused", "about the message"),
            (400, key, "misconfigured", "about the key"),
            (429, "", "retry", "too many"),
            (500, "", "retry", "their fault"),
        ] {
            receiver.will_say([say(status, body)]);
            assert_eq!(words(&pagerduty.send(&message(), now()).await), wanted, "{reason}");
        }
    }

    #[tokio::test]
    async fn a_repeat_after_429_is_the_same_event() {
        let receiver = Receiver::start([say(429, ""), say(202, r#"{"status":"success"}"#)]).await;
        let pagerduty = PagerDuty::new(&settings(&receiver.origin)).unwrap();
        assert_eq!(words(&pagerduty.send(&message(), now()).await), "retry");
        assert_eq!(words(&pagerduty.send(&message(), now()).await), "delivered");
        assert_eq!(receiver.received()[0].body, receiver.received()[1].body);
    }

    #[test]
    fn a_key_of_a_wrong_length_is_refused_without_being_quoted() {
        let mut settings = settings(URL);
        settings.routing_key = Secret::from_text("hush-hush".to_owned());
        let error = PagerDuty::new(&settings).unwrap_err().to_string();
        assert!(error.contains("32 characters, not 9") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn the_address_is_the_us_region_unless_set() {
        let settings: Settings = serde_json::from_value(json!({"routing_key": KEY})).unwrap();
        assert_eq!(settings.url, "https://events.pagerduty.com/v2/enqueue");
        assert!(PagerDuty::new(&settings).is_ok());
    }

    /// The shared folder with PagerDuty's own description of the API, if it is here.
    fn description() -> Option<Value> {
        let shared = std::env::var_os("LAPWING_SHARED")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
        let text = std::fs::read_to_string(shared.join("data/schemas/pd-events-v2.json")).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// What `value` breaks of `schema`: types, enumerations, required properties.
    fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(place) = schema["$ref"].as_str() {
            let schema = root.pointer(place.trim_start_matches('#')).unwrap();
            return faults(root, schema, value, at);
        }
        let mut found = Vec::new();
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            _ => true,
        };
        if !fits || schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
            found.push(format!("{at} is {value}"));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                found.push(format!("{at}.{name} is missing"));
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(name) {
                Some(schema) => found.extend(faults(root, schema, inner, &format!("{at}.{name}"))),
                None if schema.get("properties").is_some() => found.push(format!("{at}.{name} is unknown")),
                None => {}
            }
        }
        for inner in value.as_array().into_iter().flatten() {
            found.extend(faults(root, &schema["items"], inner, &format!("{at}[]")));
        }
        found
    }

    #[test]
    fn events_keep_to_pagerdutys_own_description() {
        let Some(root) = description() else {
            // The runner hides what `eprintln!` writes.
            writeln!(
                std::io::stderr(),
                "SKIPPED: no pd-events-v2.json; set LAPWING_SHARED to the folder that holds data/schemas"
            )
            .unwrap();
            return;
        };
        let schema = root.pointer("/paths/~1enqueue/post/requestBody/content/application~1json/schema").unwrap();
        for message in [message(), later(Action::Update), later(Action::Resolve)] {
            assert_eq!(faults(&root, schema, &render(&message), "event"), Vec::<String>::new());
        }
        let mut wrong = render(&message());
        wrong["payload"]["severity"] = "high".into();
        wrong["event_action"] = "raise".into();
        wrong["payload"].as_object_mut().unwrap().remove("source");
        wrong["surprise"] = 1.into();
        assert_eq!(faults(&root, schema, &wrong, "event").len(), 4, "the check itself must bite");
    }
}
