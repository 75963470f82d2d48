//! Slack, by an incoming webhook.
//!
//! Such a webhook can only post: it cannot edit, thread or delete. So an update is a short message of its
//! own, which names the alert. Logs are written by attackers: no value may mention people or hide a link.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::post::{Clear, Endpoint, Heard, SettingsError, TIMEOUT, read};
use super::{Answer, Message, Now};
use crate::retry::unanswered;
use crate::secret::Secret;

mod blocks;

/// `sink.slack`: alerts as messages in one channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The incoming webhook's address. It is the only key to the channel, so a secret.
    pub url: Secret,
    /// Longest wait for the whole answer, such as `"20s"`.
    #[serde(with = "humantime_serde", default = "timeout")]
    pub timeout: Duration,
}

fn timeout() -> Duration {
    TIMEOUT
}

/// Posts to one channel.
#[derive(Clone, Debug)]
pub struct Slack {
    endpoint: Endpoint,
}

impl Slack {
    /// From its settings; the file of the address is read now.
    ///
    /// # Errors
    /// [`SettingsError`] if a setting cannot work.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let url = read("url", &settings.url)?;
        Ok(Self { endpoint: Endpoint::new(url.expose(), Clear::Loopback, settings.timeout, &[])? })
    }

    pub(super) async fn send(&self, message: &Message, now: Now) -> Answer {
        let body = serde_json::to_vec(&blocks::render(message)).expect("a JSON value is JSON");
        match self.endpoint.post(HeaderMap::new(), body).await {
            Ok(heard) => judge(heard, now),
            Err(answer) => answer,
        }
    }
}

/// Slack says what is wrong in one word of plain text; the word tells a broken message from a broken sink
/// where the status does not. Only 200 and `ok` is a yes.
fn judge(heard: Heard, now: Now) -> Answer {
    if let Some(failure) = heard.doubt() {
        return unanswered(failure.to_owned());
    }
    match (heard.status, heard.body.trim()) {
        (200, "ok") => heard.classify(now),
        // A yes of something that is not Slack, such as the login page of a proxy.
        (200..=299, _) => Answer::Misconfigured(heard.reply()),
        (
            _,
            "invalid_token" | "action_prohibited" | "channel_not_found" | "no_service" | "no_team" | "user_not_found",
        ) => Answer::Misconfigured(heard.reply()),
        (_, "channel_is_archived") => Answer::Gone(heard.reply()),
        (_, "invalid_payload" | "invalid_blocks" | "no_text") => Answer::Refused(heard.reply()),
        // `rollup_error` (500) and all without such a word.
        _ => heard.classify(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::contract::words;
    use crate::sink::receiver::{Receiver, Say};
    use crate::sink::sample::{message, now};

    #[tokio::test]
    async fn slacks_words_tell_a_broken_message_from_a_broken_sink() {
        let receiver = Receiver::start([]).await;
        let url = Secret::from_text(format!("{}/services/T0/B0/x", receiver.origin));
        let slack = Slack::new(&Settings { url, timeout: TIMEOUT }).unwrap();
        for (status, body, wanted) in [
            (200, "ok", "delivered"),
            (200, "ok\n", "delivered"),
            (200, "<html>Log in</html>", "misconfigured"),
            (200, "", "misconfigured"),
            (204, "ok", "misconfigured"),
            (400, "invalid_payload", "refused"),
            (400, "invalid_blocks", "refused"),
            (400, "no_text", "refused"),
            (400, "user_not_found", "misconfigured"),
            (403, "invalid_token", "misconfigured"),
            (403, "action_prohibited", "misconfigured"),
            (404, "channel_not_found", "misconfigured"),
            (404, "no_service", "misconfigured"),
            (404, "no_team", "misconfigured"),
            (410, "channel_is_archived", "gone"),
            (500, "rollup_error", "retry"),
        ] {
            receiver.will_say([Say::Now(status, Vec::new(), body.to_owned())]);
            assert_eq!(words(&slack.send(&message(), now()).await), wanted, "{status} {body}");
        }
    }
}
