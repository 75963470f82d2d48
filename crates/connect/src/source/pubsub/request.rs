//! Questions to Pub/Sub's REST API, and what an answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Access;
use super::desk::{Held, Message, Outcome, Received, Request};
use super::settings::Settings;
use crate::source::{Remedy, SourceError};

/// A pull is answered when something comes, or after up to 90 s with nothing.
const PULL_TIMEOUT: Duration = Duration::from_secs(120);
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer: one message of the most that Pub/Sub takes, 10 MB, in base64.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How much of what Google says is passed on.
const SAID_CHARS: usize = 300;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It asks to come later: too many requests, or not available.
    Busy(SourceError),
    /// More than is taken at once.
    TooLarge,
    /// Anything else.
    Failed(SourceError),
}

impl Trouble {
    pub(super) fn error(self) -> SourceError {
        match self {
            Self::Busy(error) | Self::Failed(error) => error,
            Self::TooLarge => passing(format!("the answer is above {ANSWER_BYTES_MAX} bytes")),
        }
    }
}

/// The API, for one subscription.
pub(super) struct Api {
    client: Client,
    access: Access,
    settings: Settings,
}

/// What Google says of a failure.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Value>,
}

impl Said {
    /// Of acknowledgements that are promised exactly once: which failed, and whether that may pass.
    fn fates(&self) -> BTreeMap<String, bool> {
        let told = self.details.iter().filter_map(|detail| detail.get("metadata")?.as_object()).flatten();
        told.filter_map(fate).collect()
    }
}

impl Api {
    pub(super) fn new(settings: &Settings) -> Result<Self, SourceError> {
        let client = Client::builder()
            .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| SourceError {
                doing: "prepare HTTPS".to_owned(),
                remedy: Remedy::Person,
                source: Some(error.into()),
            })?;
        Ok(Self { client, access: Access::open(&settings.credentials)?, settings: settings.clone() })
    }

    /// Does what is asked for.
    pub(super) async fn answer(&self, request: Request) -> Outcome {
        match request {
            Request::Pull(most, began) => Outcome::Pulled(self.pull(most).await, began),
            Request::Acknowledge(held) => {
                let refused = self.tell(":acknowledge", "acknowledge messages", &held, &[]).await;
                Outcome::Acknowledged(held, refused)
            }
            Request::Extend(held, seconds) => {
                let more = [("ackDeadlineSeconds", json!(seconds))];
                let refused = self.tell(":modifyAckDeadline", "extend the time for messages", &held, &more).await;
                Outcome::Extended(held, refused)
            }
        }
    }

    async fn pull(&self, most: usize) -> Result<Vec<Received>, Trouble> {
        let doing = format!("pull from {}", self.settings.subscription.name());
        let body = json!({"maxMessages": most});
        let answer = self.ask(Method::POST, ":pull", Some(&body), &doing, PULL_TIMEOUT).await?;
        received(&answer).map_err(|error| Trouble::Failed(passing(format!("{doing}: the answer is none: {error}"))))
    }

    /// Tells something of messages. Answers which of them failed for good (false) or may succeed later (true), if not all
    /// succeeded.
    async fn tell(
        &self,
        verb: &str,
        doing: &str,
        held: &[Held],
        more: &[(&str, Value)],
    ) -> Result<BTreeMap<String, bool>, Trouble> {
        let ids: Vec<&str> = held.iter().map(|held| held.ack_id.as_str()).collect();
        let mut body = json!({"ackIds": ids});
        for (name, value) in more {
            body[*name] = value.clone();
        }
        let doing = format!("{doing} of {}", self.settings.subscription.name());
        match self.send(Method::POST, verb, Some(&body), &doing, TIMEOUT).await? {
            Ok(_) => Ok(BTreeMap::new()),
            Err((status, said)) => {
                let failed = said.fates();
                // What is not listed may have succeeded: telling it again does no harm.
                if failed.is_empty() { Err(self.refused(status, &said, &doing)) } else { Ok(failed) }
            }
        }
    }

    /// Asks, and takes anything but success as a failure.
    pub(super) async fn ask(
        &self,
        method: Method,
        verb: &str,
        body: Option<&Value>,
        doing: &str,
        timeout: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let answer = self.send(method, verb, body, doing, timeout).await?;
        answer.map_err(|(status, said)| self.refused(status, &said, doing))
    }

    /// The same for a short question.
    pub(super) async fn look(&self, method: Method, verb: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let doing = format!("look at {}", self.settings.subscription.name());
        let answer = self.ask(method, verb, body, &doing, TIMEOUT).await?;
        serde_json::from_slice(&answer).map_err(|error| Trouble::Failed(passing(format!("{doing}: {error}"))))
    }

    /// A token that is not taken is renewed once.
    async fn send(
        &self,
        method: Method,
        verb: &str,
        body: Option<&Value>,
        doing: &str,
        timeout: Duration,
    ) -> Result<Result<Vec<u8>, (StatusCode, Said)>, Trouble> {
        let answer = self.send_once(method.clone(), verb, body, doing, timeout).await?;
        match answer {
            Err((StatusCode::UNAUTHORIZED, _)) => {
                self.access.renew().map_err(Trouble::Failed)?;
                self.send_once(method, verb, body, doing, timeout).await
            }
            answer => Ok(answer),
        }
    }

    async fn send_once(
        &self,
        method: Method,
        verb: &str,
        body: Option<&Value>,
        doing: &str,
        timeout: Duration,
    ) -> Result<Result<Vec<u8>, (StatusCode, Said)>, Trouble> {
        let lost = |error: reqwest::Error| {
            let source = Some(error.without_url().into());
            Trouble::Failed(SourceError { doing: doing.to_owned(), remedy: Remedy::Wait, source })
        };
        let headers = self.access.headers().await.map_err(Trouble::Failed)?;
        let mut request = self.client.request(method, self.settings.url(verb)).headers(headers).timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(lost)? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Trouble::TooLarge);
            }
            bytes.extend_from_slice(&piece);
        }
        if status.is_success() {
            return Ok(Ok(bytes));
        }
        #[derive(Deserialize)]
        struct Envelope {
            error: Said,
        }
        let said =
            serde_json::from_slice::<Envelope>(&bytes).map_or_else(|_| Said::default(), |envelope| envelope.error);
        Ok(Err((status, said)))
    }

    fn refused(&self, status: StatusCode, said: &Said, doing: &str) -> Trouble {
        let advice = match status {
            StatusCode::UNAUTHORIZED => "; the credentials are not taken: renew them",
            StatusCode::FORBIDDEN => "; the account needs the role roles/pubsub.subscriber on the subscription",
            StatusCode::NOT_FOUND => "; there is no such subscription: create it, or mend its name",
            _ => "",
        };
        let message: String = said.message.chars().filter(|letter| !letter.is_control()).take(SAID_CHARS).collect();
        let words = if message.is_empty() { String::new() } else { format!(": {message}") };
        let doing = format!("{doing}: status {} {}{words}{advice}", status.as_u16(), said.status);
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if is_busy {
            return Trouble::Busy(passing(doing));
        }
        let remedy = if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::CONFLICT {
            Remedy::Wait
        } else {
            Remedy::Person
        };
        Trouble::Failed(SourceError { doing, remedy, source: None })
    }
}

/// Whether an acknowledgement may succeed later, where that is what is said of it.
fn fate((ack_id, words): (&String, &Value)) -> Option<(String, bool)> {
    let words = words.as_str()?;
    if words.starts_with("TRANSIENT_FAILURE") {
        return Some((ack_id.clone(), true));
    }
    words.starts_with("PERMANENT_FAILURE").then(|| (ack_id.clone(), false))
}

fn passing(doing: String) -> SourceError {
    SourceError { doing, remedy: Remedy::Wait, source: None }
}

/// The messages of an answer. One whose data are not what they should be is a message all the same.
fn received(answer: &[u8]) -> Result<Vec<Received>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        #[serde(default)]
        received_messages: Vec<Wrapped>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wrapped {
        ack_id: String,
        message: Sent,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sent {
        #[serde(default)]
        data: String,
        message_id: String,
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    }
    let answer: Answer = serde_json::from_slice(answer)?;
    let received = |Wrapped { ack_id, message }: Wrapped| {
        let Sent { data, message_id, attributes } = message;
        Received { ack_id, message: Message { id: message_id.into(), body: opened(&data, &attributes) } }
    };
    Ok(answer.received_messages.into_iter().map(received).collect())
}

/// What a message holds, or what of it can be shown.
pub(crate) fn opened(data: &str, attributes: &BTreeMap<String, String>) -> Result<Bytes, Vec<u8>> {
    let decoded = STANDARD.decode(data).or_else(|_| URL_SAFE.decode(data));
    match decoded {
        Ok(bytes) if bytes.trim_ascii().is_empty() => {
            Err(format!("no data; attributes {}", json!(attributes)).into_bytes())
        }
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(data.as_bytes().to_vec()),
    }
}
