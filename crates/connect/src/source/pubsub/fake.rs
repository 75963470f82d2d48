//! A Pub/Sub that is as unkind as its contract allows, over real HTTP on a free port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::time::Timestamp;
use serde_json::{Value, json};

use super::Settings;
use crate::clock::Hand;
use crate::source::http::testing::serve;

pub(super) const SUBSCRIPTION: &str = "projects/acme/subscriptions/lapwing";
/// How long a delivery lasts that nobody extends.
const DEADLINE_MS: i64 = 10_000;
/// The first message's id.
const FIRST_ID: u64 = 11_000_000_000_000_000;

/// How it misbehaves. Zero is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unkind {
    /// Messages an answer has at most; zero is what was asked for.
    pub(super) page: usize,
    /// Each so many requests one is answered 503 or 429.
    pub(super) busy_every: u64,
    /// Each so many acknowledgements one is answered as if it had succeeded, and forgotten.
    pub(super) lose_ack_every: u64,
    /// Each so many messages one is delivered once more though its time is not over.
    pub(super) double_every: u64,
    /// Each so many pulls one has nothing though there is something.
    pub(super) empty_every: u64,
    /// A token that was used so often has expired.
    pub(super) expire_after: u64,
    /// Acknowledgements that come too late fail, and say so by id; some fail for a while.
    pub(super) exactly_once: bool,
    /// What each request takes of the time of deliveries. It has a time of its own: that of the test runs ahead whenever
    /// somebody waits.
    pub(super) request_ms: i64,
}

/// A message of the topic.
#[derive(Clone, Debug)]
struct Published {
    id: String,
    data: String,
    /// The acknowledgement id and the end of each delivery that lasts.
    deliveries: BTreeMap<String, i64>,
    /// Delivered so often.
    count: u64,
    acknowledged: bool,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) url: String,
    world: Arc<Mutex<World>>,
}

struct World {
    hand: Hand,
    now_ms: i64,
    unkind: Unkind,
    messages: Vec<Published>,
    requests: u64,
    pulls: u64,
    acks: u64,
    deliveries: u64,
    /// Tokens that were issued, and how often each was shown.
    tokens: u64,
    issued: BTreeMap<u64, u64>,
    permissions: Vec<&'static str>,
    found: Value,
    /// Answers to everything, in place of those of the contract.
    broken: Option<(StatusCode, Value)>,
    /// Acknowledgements are answered so.
    ack_broken: bool,
    /// When something was extended, by the test's time.
    extended: Vec<Timestamp>,
}

impl Fake {
    pub(super) async fn start(hand: Hand, unkind: Unkind) -> Self {
        let found = json!({"name": SUBSCRIPTION, "topic": "projects/acme/topics/audit", "ackDeadlineSeconds": 10,
                           "messageRetentionDuration": "604800s"});
        let world = World {
            hand,
            now_ms: 0,
            unkind,
            messages: Vec::new(),
            requests: 0,
            pulls: 0,
            acks: 0,
            deliveries: 0,
            tokens: 0,
            issued: BTreeMap::new(),
            permissions: vec!["pubsub.subscriptions.consume", "pubsub.subscriptions.get"],
            found,
            broken: None,
            ack_broken: false,
            extended: Vec::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let router = Router::new().fallback(answer).with_state(world.clone());
        Self { url: format!("http://{}", serve(router).await), world }
    }

    /// Settings without credentials, as for an emulator.
    pub(super) fn settings(&self) -> Settings {
        serde_json::from_value(json!({"subscription": SUBSCRIPTION, "endpoint": self.url, "credentials": "none"}))
            .unwrap()
    }

    /// Settings with credentials that stand in this file: a person's, exchanged for tokens at the fake.
    pub(super) fn settings_of_a_person(&self, folder: &std::path::Path) -> Settings {
        let path = folder.join("person.json");
        let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
                          "token_uri": format!("{}/token", self.url)});
        std::fs::write(&path, file.to_string()).unwrap();
        serde_json::from_value(json!({"subscription": SUBSCRIPTION, "endpoint": self.url, "credentials": path}))
            .unwrap()
    }

    /// Settings of a workload that shows its own token, which stands in a file, to have it exchanged.
    pub(super) fn settings_of_a_workload(&self, folder: &std::path::Path) -> Settings {
        let (path, own) = (folder.join("workload.json"), folder.join("own-token"));
        std::fs::write(&own, "own token of the workload").unwrap();
        let file = json!({"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/x",
                          "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                          "token_url": format!("{}/sts", self.url), "credential_source": {"file": own}});
        std::fs::write(&path, file.to_string()).unwrap();
        serde_json::from_value(json!({"subscription": SUBSCRIPTION, "endpoint": self.url, "credentials": path}))
            .unwrap()
    }

    pub(super) fn publish(&self, texts: impl IntoIterator<Item = String>) {
        self.publish_as_they_are(texts.into_iter().map(|text| STANDARD.encode(text)));
    }

    /// Data in base64, or what pretends to be.
    pub(super) fn publish_as_they_are(&self, data: impl IntoIterator<Item = String>) {
        let mut world = self.world();
        for data in data {
            let id = (FIRST_ID + world.messages.len() as u64).to_string();
            let deliveries = BTreeMap::new();
            world.messages.push(Published { id, data, deliveries, count: 0, acknowledged: false });
        }
    }

    pub(super) fn breaks(&self, status: StatusCode, words: &str) {
        self.world().broken =
            Some((status, json!({"error": {"code": status.as_u16(), "message": words, "status": "WORDS"}})));
    }

    pub(super) fn works(&self) {
        let mut world = self.world();
        (world.broken, world.ack_broken) = (None, false);
    }

    pub(super) fn breaks_acknowledgements(&self) {
        self.world().ack_broken = true;
    }

    pub(super) fn grants(&self, permissions: &[&'static str]) {
        self.world().permissions = permissions.to_vec();
    }

    pub(super) fn is(&self, found: Value) {
        self.world().found.as_object_mut().unwrap().extend(found.as_object().unwrap().clone());
    }

    /// How many messages are acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.world().messages.iter().filter(|message| message.acknowledged).count()
    }

    /// How many deliveries there were, of all messages.
    pub(super) fn deliveries(&self) -> u64 {
        self.world().messages.iter().map(|message| message.count).sum()
    }

    /// Requests, and tokens issued.
    pub(super) fn counts(&self) -> (u64, u64) {
        let world = self.world();
        (world.requests, world.tokens)
    }

    /// When something was extended.
    pub(super) fn extended(&self) -> Vec<Timestamp> {
        self.world().extended.clone()
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let (status, said) = world.lock().unwrap().answer(&method, uri.path(), &headers, &body);
    (status, said.to_string())
}

fn refused(status: StatusCode, words: &str) -> (StatusCode, Value) {
    (status, json!({"error": {"code": status.as_u16(), "message": words, "status": words}}))
}

fn every(period: u64, count: u64) -> bool {
    period > 0 && count.is_multiple_of(period)
}

impl World {
    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: &str) -> (StatusCode, Value) {
        if path == "/token" || path == "/sts" {
            assert!(path == "/token" || body.contains("own+token+of+the+workload"), "{body}");
            self.tokens += 1;
            self.issued.insert(self.tokens, 0);
            let token = json!({"access_token": format!("ya29.{}", self.tokens), "expires_in": 3_599,
                               "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
            return (StatusCode::OK, token);
        }
        if let Some(refusal) = self.enter(headers) {
            return refusal;
        }
        let Some(verb) = path.strip_prefix(&format!("/v1/{SUBSCRIPTION}")) else {
            return refused(StatusCode::NOT_FOUND, "NOT_FOUND");
        };
        if let Some(broken) = &self.broken {
            return broken.clone();
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        match (method.as_str(), verb) {
            ("GET", "") => (StatusCode::OK, self.found.clone()),
            ("POST", ":testIamPermissions") => (StatusCode::OK, json!({"permissions": self.permissions})),
            ("POST", _) if every(self.unkind.busy_every, self.requests) => {
                let even = self.requests.is_multiple_of(2);
                let status = if even { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS };
                refused(status, "as ordered")
            }
            ("POST", ":pull") => {
                (StatusCode::OK, self.pull(usize::try_from(body["maxMessages"].as_u64().unwrap()).unwrap()))
            }
            ("POST", ":acknowledge") => self.acknowledge(&body),
            ("POST", ":modifyAckDeadline") => {
                let seconds = body["ackDeadlineSeconds"].as_i64().unwrap();
                self.extend(&body, seconds * 1_000)
            }
            _ => refused(StatusCode::NOT_FOUND, "NOT_FOUND"),
        }
    }

    /// Who shows a token must show one that has not expired. An emulator asks for none.
    fn enter(&mut self, headers: &HeaderMap) -> Option<(StatusCode, Value)> {
        self.requests += 1;
        self.now_ms += self.unkind.request_ms;
        let shown = headers
            .get("authorization")?
            .to_str()
            .unwrap()
            .strip_prefix("Bearer ya29.")
            .unwrap()
            .parse::<u64>()
            .unwrap();
        let uses = self.issued.get_mut(&shown)?;
        *uses += 1;
        let is_over = self.unkind.expire_after > 0 && *uses > self.unkind.expire_after;
        is_over.then(|| refused(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"))
    }

    fn pull(&mut self, most: usize) -> Value {
        self.pulls += 1;
        let (now, shown) = (self.now_ms, self.hand.now());
        let page = if self.unkind.page == 0 { most } else { self.unkind.page.min(most) };
        let mut given = Vec::new();
        if !every(self.unkind.empty_every, self.pulls) {
            let until = now + DEADLINE_MS;
            for message in &mut self.messages {
                if given.len() >= page {
                    break;
                }
                let is_away = message.deliveries.values().any(|end| *end > now);
                let is_doubled = is_away
                    && message.count == 1
                    && every(self.unkind.double_every, self.deliveries + given.len() as u64);
                if message.acknowledged || is_away && !is_doubled {
                    continue;
                }
                message.count += 1;
                let ack_id = format!("{}/{}", message.id, message.count);
                message.deliveries.insert(ack_id.clone(), until);
                given.push(json!({"ackId": ack_id, "deliveryAttempt": message.count,
                                  "message": {"data": message.data, "messageId": message.id,
                                              "publishTime": shown.to_string(),
                                              "attributes": {"logging.googleapis.com/timestamp": shown.to_string()}}}));
            }
        }
        self.deliveries += given.len() as u64;
        if given.is_empty() {
            return json!({});
        }
        json!({"receivedMessages": given})
    }

    fn acknowledge(&mut self, body: &Value) -> (StatusCode, Value) {
        if self.ack_broken {
            return refused(StatusCode::FORBIDDEN, "PERMISSION_DENIED");
        }
        self.acks += 1;
        if every(self.unkind.lose_ack_every, self.acks) {
            return (StatusCode::OK, json!({}));
        }
        let (now, once) = (self.now_ms, self.unkind.exactly_once);
        let is_moody = once && self.acks.is_multiple_of(5);
        let mut failed = serde_json::Map::new();
        for (number, ack_id) in body["ackIds"].as_array().unwrap().iter().enumerate() {
            let ack_id = ack_id.as_str().unwrap();
            let message = message_of(&mut self.messages, ack_id);
            let is_valid = message.deliveries.get(ack_id).is_some_and(|end| *end > now);
            if once && is_moody && number % 2 == 0 {
                failed.insert(ack_id.to_owned(), json!("TRANSIENT_FAILURE_UNORDERED_ACK_ID"));
            } else if once && (!is_valid || message.acknowledged) {
                failed.insert(ack_id.to_owned(), json!("PERMANENT_FAILURE_INVALID_ACK_ID"));
            } else {
                // Without that promise what comes too late is taken in silence, and helps or does not.
                message.acknowledged |= is_valid;
            }
        }
        told(failed)
    }

    fn extend(&mut self, body: &Value, length_ms: i64) -> (StatusCode, Value) {
        let now = self.now_ms;
        self.extended.push(self.hand.now());
        let mut failed = serde_json::Map::new();
        for ack_id in body["ackIds"].as_array().unwrap() {
            let ack_id = ack_id.as_str().unwrap();
            let end = message_of(&mut self.messages, ack_id).deliveries.get_mut(ack_id).unwrap();
            if *end > now {
                *end = now + length_ms;
            } else if self.unkind.exactly_once {
                failed.insert(ack_id.to_owned(), json!("PERMANENT_FAILURE_INVALID_ACK_ID"));
            }
        }
        told(failed)
    }
}

fn message_of<'m>(messages: &'m mut [Published], ack_id: &str) -> &'m mut Published {
    let (id, _) = ack_id.split_once('/').unwrap();
    let place = id.parse::<u64>().unwrap() - FIRST_ID;
    &mut messages[usize::try_from(place).unwrap()]
}

fn told(failed: serde_json::Map<String, Value>) -> (StatusCode, Value) {
    if failed.is_empty() {
        return (StatusCode::OK, json!({}));
    }
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "EXACTLY_ONCE_ACKID_FAILURE",
                          "domain": "pubsub.googleapis.com", "metadata": failed}]);
    let error =
        json!({"code": 400, "message": "some are not valid", "status": "FAILED_PRECONDITION", "details": details});
    (StatusCode::BAD_REQUEST, json!({"error": error}))
}

/// When the tests begin.
pub(super) fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}
