//! A FilterLogEvents that is as unkind as its contract allows, over real HTTP on a free port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use engine::time::Timestamp;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::Hand;

/// An event and the moment from which the service shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) group: &'static str,
    pub(super) id: String,
    pub(super) time_ms: i64,
    pub(super) visible_ms: i64,
}

/// How it misbehaves. Zero is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unkind {
    /// Events a page; zero is all.
    pub(super) page: usize,
    /// Each so many pages there is an empty one that has a next page.
    pub(super) empty_every: u64,
    /// Each so many requests one is throttled.
    pub(super) throttle_every: u64,
    /// Each so many page tokens one is refused.
    pub(super) refuse_every: u64,
    /// Pages turned back to front.
    pub(super) reorder: bool,
    /// Each so many pages one holds its first event twice.
    pub(super) repeat_every: u64,
    /// From when to when, in milliseconds, it answers with a 500 and then with nothing at all.
    pub(super) outage: Option<(i64, i64)>,
}

/// What was asked, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) at_ms: i64,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) client: Client,
    world: Arc<Mutex<World>>,
}

struct World {
    hand: Hand,
    unkind: Unkind,
    shown: Vec<Shown>,
    /// What each token stands for: the rest of a result as it was when the scan began.
    rests: BTreeMap<String, Vec<Shown>>,
    asked: Vec<Asked>,
    /// Log groups that exist though they may hold nothing, with when they were made.
    listed: Vec<(String, i64)>,
    tokens: u64,
    pages: u64,
    hung_up: u64,
}

/// Hangs up on who comes during an outage.
struct Door {
    listener: TcpListener,
    world: Arc<Mutex<World>>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            let mut world = self.world.lock().unwrap();
            if world.is_out() {
                world.hung_up += 1;
                // The first is heard, so that both sorts of failure are met.
                if world.hung_up % 3 != 1 {
                    continue;
                }
            }
            return (stream, address);
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Fake {
    pub(super) async fn start(hand: Hand, unkind: Unkind, shown: Vec<Shown>) -> Self {
        let (rests, asked, listed) = (BTreeMap::new(), Vec::new(), Vec::new());
        let world = World { hand, unkind, shown, rests, asked, listed, tokens: 0, pages: 0, hung_up: 0 };
        let world = Arc::new(Mutex::new(world));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(answer)).with_state(world.clone());
        let door = Door { listener, world: world.clone() };
        tokio::spawn(async move { axum::serve(door, router).await.unwrap() });
        Self { client: client(&format!("http://{address}")), world }
    }

    pub(super) fn be(&self, unkind: Unkind) {
        self.world.lock().unwrap().unkind = unkind;
    }

    /// These log groups exist.
    pub(super) fn list(&self, groups: &[(&str, i64)]) {
        let listed = groups.iter().map(|(name, created_ms)| ((*name).to_owned(), *created_ms)).collect();
        self.world.lock().unwrap().listed = listed;
    }

    /// And these events.
    pub(super) fn show(&self, shown: Vec<Shown>) {
        self.world.lock().unwrap().shown.extend(shown);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.world.lock().unwrap().asked.clone()
    }
}

/// A client of a local address that never retries, as the real one never does.
pub(super) fn client(address: &str) -> Client {
    let credentials = Credentials::new("example", "example", None, None, "test");
    Client::from_conf(config(address).credentials_provider(credentials).build())
}

/// The same, without credentials.
pub(super) fn client_of_nobody(address: &str) -> Client {
    Client::from_conf(config(address).build())
}

pub(super) fn config(address: &str) -> aws_sdk_cloudwatchlogs::config::Builder {
    aws_sdk_cloudwatchlogs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .endpoint_url(address)
}

async fn answer(State(world): State<Arc<Mutex<World>>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut world = world.lock().unwrap();
    if world.is_out() {
        return (StatusCode::INTERNAL_SERVER_ERROR, [(CONNECTION, "close")]).into_response();
    }
    let answered = match headers["x-amz-target"].to_str().unwrap() {
        "Logs_20140328.FilterLogEvents" => world.answer(&body),
        "Logs_20140328.DescribeLogGroups" => Ok(world.groups(&body)),
        other => panic!("{other}"),
    };
    match answered {
        Ok(page) => page.to_string().into_response(),
        Err(kind) => {
            (StatusCode::BAD_REQUEST, json!({"__type": kind, "message": "as ordered"}).to_string()).into_response()
        }
    }
}

impl World {
    fn is_out(&self) -> bool {
        let now_ms = self.hand.now().millis();
        self.unkind.outage.is_some_and(|(from, to)| (from..to).contains(&now_ms))
    }

    /// Two a page.
    fn groups(&self, body: &Value) -> Value {
        let prefix = body["logGroupNamePrefix"].as_str().unwrap();
        let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let all: Vec<_> = self.listed.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        let group = |(name, created_ms): &&(String, i64)| json!({"logGroupName": name, "creationTime": created_ms});
        let mut page = json!({"logGroups": all.iter().skip(from).take(2).map(group).collect::<Vec<_>>()});
        if from + 2 < all.len() {
            page["nextToken"] = json!((from + 2).to_string());
        }
        page
    }

    fn answer(&mut self, body: &Value) -> Result<Value, &'static str> {
        let group = body["logGroupName"].as_str().unwrap();
        let (start_ms, end_ms) = (body["startTime"].as_i64().unwrap(), body["endTime"].as_i64().unwrap());
        let at_ms = self.hand.now().millis();
        self.asked.push(Asked { at_ms, start_ms, end_ms });
        if every(self.unkind.throttle_every, self.asked.len() as u64) {
            return Err("ThrottlingException");
        }
        let rest = match body["nextToken"].as_str() {
            Some(token) => {
                self.tokens += 1;
                if every(self.unkind.refuse_every, self.tokens) {
                    return Err("InvalidParameterException");
                }
                self.rests.get(token).cloned().ok_or("InvalidParameterException")?
            }
            None => self.matching(group, start_ms, end_ms, at_ms).ok_or("ResourceNotFoundException")?,
        };
        Ok(self.page(rest))
    }

    fn matching(&self, group: &str, start_ms: i64, end_ms: i64, at_ms: i64) -> Option<Vec<Shown>> {
        let mut found: Vec<Shown> = self.shown.iter().filter(|shown| shown.group == group).cloned().collect();
        if found.is_empty() && !self.listed.iter().any(|(name, _)| name == group) {
            return None;
        }
        found.retain(|shown| shown.visible_ms <= at_ms && (start_ms..=end_ms).contains(&shown.time_ms));
        found.sort_by_key(|shown| shown.time_ms);
        Some(found)
    }

    fn page(&mut self, mut rest: Vec<Shown>) -> Value {
        self.pages += 1;
        let size = match self.unkind.page {
            _ if every(self.unkind.empty_every, self.pages) => 0,
            0 => rest.len(),
            size => size.min(rest.len()),
        };
        let mut page: Vec<Shown> = rest.drain(..size).collect();
        if self.unkind.reorder {
            page.reverse();
        }
        if every(self.unkind.repeat_every, self.pages) {
            page.extend(page.first().cloned());
        }
        let events: Vec<Value> = page
            .iter()
            .map(|shown| {
                json!({"eventId": shown.id, "timestamp": shown.time_ms, "ingestionTime": shown.visible_ms,
                       "logStreamName": "stream", "message": format!("{{\"id\":\"{}\"}}", shown.id)})
            })
            .collect();
        if rest.is_empty() && size > 0 || rest.is_empty() && !every(self.unkind.empty_every, self.pages) {
            return json!({"events": events});
        }
        let token = format!("token-{}", self.pages);
        self.rests.insert(token.clone(), rest);
        json!({"events": events, "nextToken": token})
    }
}

fn every(period: u64, count: u64) -> bool {
    period > 0 && count.is_multiple_of(period)
}

/// Events of `group`, `count` of them, `gap_ms` apart (four at a time at the same moment), each shown up to
/// `delay_ms` late.
pub(super) fn events(group: &'static str, from: Timestamp, count: i64, gap_ms: i64, delay_ms: i64) -> Vec<Shown> {
    (0..count)
        .map(|number| {
            let time_ms = from.millis() + number / 4 * 4 * gap_ms;
            // Any spread will do that is not in order; 7919 is prime to every delay used here.
            let visible_ms = time_ms + (number * 7_919 * 1_000) % (delay_ms + 1);
            Shown { group, id: format!("{group}-{number:05}"), time_ms, visible_ms }
        })
        .collect()
}
