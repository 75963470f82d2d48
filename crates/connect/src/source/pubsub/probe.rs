//! Whether the subscription lets us in and keeps what it should. Pulls nothing: a message that is delivered is away for a
//! while.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Settings;
use super::request::{Api, Trouble};
use super::settings::Credentials;
use crate::probe::{Probe, words};

/// What reading takes.
const CONSUME: &str = "pubsub.subscriptions.consume";
/// What looking at the settings takes; reading does not need it.
const GET: &str = "pubsub.subscriptions.get";

/// A subscription that keeps less has lost what came during a long weekend's outage, or one of a night.
const RETENTION_SECONDS_LEAST: f64 = 86_400.0;

/// What we look at of a subscription.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found {
    topic: String,
    ack_deadline_seconds: u32,
    message_retention_duration: String,
    push_config: Push,
    dead_letter_policy: Option<DeadLetter>,
    enable_exactly_once_delivery: bool,
    filter: String,
    detached: bool,
    expiration_policy: Option<Expiration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Push {
    push_endpoint: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeadLetter {
    dead_letter_topic: String,
    max_delivery_attempts: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Expiration {
    ttl: String,
}

/// Asks what the account may do, and looks at the subscription if it may.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let what = format!("subscription {}", settings.subscription.name());
    let api = match Api::new(settings) {
        Ok(api) => api,
        Err(error) => return vec![Probe::bad("credentials", words(&error))],
    };
    let mut probes = Vec::new();
    if settings.credentials != Credentials::None {
        let asked = json!({"permissions": [CONSUME, GET]});
        let granted = match api.look(Method::POST, ":testIamPermissions", Some(&asked)).await {
            Ok(answer) => answer,
            Err(trouble) => return vec![Probe::bad(what, words(&trouble.error()))],
        };
        let may = |permission: &str| {
            granted["permissions"].as_array().is_some_and(|all| all.iter().any(|one| one.as_str() == Some(permission)))
        };
        if !may(CONSUME) {
            let why = format!("{CONSUME} is missing: give the account roles/pubsub.subscriber on the subscription");
            return vec![Probe::bad(what, why)];
        }
        probes.push(Probe::good(what.clone(), format!("{CONSUME} is granted")));
        if !may(GET) {
            let how = format!("not looked at, which takes {GET} (roles/pubsub.viewer); reading does not need it");
            probes.push(Probe::good("its settings", how));
            return probes;
        }
    }
    match api.look(Method::GET, "", None).await.and_then(found) {
        Ok(found) => probes.extend(found.judged(&what)),
        Err(trouble) => probes.push(Probe::bad(what, words(&trouble.error()))),
    }
    probes
}

fn found(answer: Value) -> Result<Found, Trouble> {
    serde_json::from_value(answer).map_err(|error| {
        let doing = format!("look at the subscription: {error}");
        Trouble::Failed(crate::source::SourceError { doing, remedy: crate::source::Remedy::Wait, source: None })
    })
}

impl Found {
    fn judged(&self, what: &str) -> Vec<Probe> {
        let mut probes = Vec::new();
        if !self.push_config.push_endpoint.is_empty() {
            let why = format!(
                "it pushes to {}: make it a pull subscription, or use the source pubsub_push",
                self.push_config.push_endpoint
            );
            probes.push(Probe::bad(what, why));
        }
        if self.detached || self.topic == "_deleted-topic_" {
            probes.push(Probe::bad(what, "its topic is gone, so nothing comes any more: create both anew"));
        }
        let once = if self.enable_exactly_once_delivery { ", delivers exactly once" } else { "" };
        let seen = format!(
            "of {}, acknowledged within {} s (extended while it takes longer){once}",
            self.topic, self.ack_deadline_seconds
        );
        probes.push(Probe::good(what, seen));
        let kept = seconds(&self.message_retention_duration);
        match kept {
            Some(kept) if kept < RETENTION_SECONDS_LEAST => {
                let why = format!(
                    "messages are kept for {}: what comes during a longer outage is lost; give at least 86400s, better 604800s",
                    self.message_retention_duration
                );
                probes.push(Probe::bad("retention", why));
            }
            Some(kept) => {
                probes.push(Probe::good("retention", format!("messages are kept for {:.1} days", kept / 86_400.0)))
            }
            None => {}
        }
        if let Some(policy) = &self.dead_letter_policy {
            let how = format!(
                "a message that is delivered {} times without an acknowledgement goes to {}: watch that topic too",
                policy.max_delivery_attempts, policy.dead_letter_topic
            );
            probes.push(Probe::good("dead letters", how));
        }
        if !self.filter.is_empty() {
            probes.push(Probe::good("filter", format!("only messages with {} come", self.filter)));
        }
        if let Some(ttl) = self.expiration_policy.as_ref().map(|policy| &policy.ttl).filter(|ttl| !ttl.is_empty()) {
            let how = format!("the subscription is deleted when nobody pulled from it for {ttl}");
            probes.push(Probe::good("expiration", how));
        }
        probes
    }
}

/// A length of time as Google writes it: `604800s`.
fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}
