//! A Kinesis that is as unkind as its contract allows, over real HTTP on a free port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_kinesis::Client;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::time::{Span, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::clock::Hand;
use crate::source::aws::moto;

/// How long an iterator is known.
const ITERATOR_LIVES: Span = Span::seconds(300);

/// How it misbehaves. Zero is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unkind {
    /// Records an answer; zero is all.
    pub(super) page: usize,
    /// Each so many looks one brings nothing although there is more.
    pub(super) empty_every: u64,
    /// Each so many looks one is throttled.
    pub(super) throttle_every: u64,
    /// Each so many iterators one is refused as too old.
    pub(super) expire_every: u64,
    /// Each so many requests one fails with a 500.
    pub(super) fail_every: u64,
}

/// What was asked of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) at_ms: i64,
    pub(super) shard: String,
    pub(super) kind: String,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) client: Client,
    world: Arc<Mutex<World>>,
}

pub(super) struct World {
    hand: Hand,
    pub(super) unkind: Unkind,
    pub(super) created: Timestamp,
    pub(super) retention_hours: i64,
    pub(super) shards: BTreeMap<String, Held>,
    pub(super) asked: Vec<Asked>,
    /// What each iterator stands for: a shard, and the place of its next record.
    iterators: BTreeMap<String, (String, usize, Timestamp)>,
    sequence: u64,
    requests: u64,
    looks: u64,
    used: u64,
}

/// Sequence, moment, data.
type Put = (u64, Timestamp, Vec<u8>);

/// A shard with all that was ever put into it.
#[derive(Debug, Default)]
pub(super) struct Held {
    parents: Vec<String>,
    records: Vec<Put>,
    /// How many of them are deleted.
    trimmed: usize,
    closed: bool,
    /// Refused to anybody.
    pub(super) forbidden: bool,
}

impl Fake {
    pub(super) async fn start(hand: Hand, unkind: Unkind, shards: &[&str]) -> Self {
        let shards = shards.iter().map(|name| ((*name).to_owned(), Held::default())).collect();
        let created = hand.now();
        let world = World {
            hand,
            unkind,
            created,
            retention_hours: 24,
            shards,
            asked: Vec::new(),
            iterators: BTreeMap::new(),
            sequence: 0,
            requests: 0,
            looks: 0,
            used: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(answer)).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { client: Client::new(&moto::config(&format!("http://{address}"))), world }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl World {
    /// Puts a record; answers its sequence number.
    pub(super) fn put(&mut self, shard: &str, data: &[u8]) -> u64 {
        // Gaps lie between them, as they do at AWS.
        self.sequence += 7;
        let (sequence, now) = (self.sequence, self.hand.now());
        let held = self.shards.get_mut(shard).unwrap();
        assert!(!held.closed, "{shard} is closed");
        held.records.push((sequence, now, data.to_vec()));
        sequence
    }

    /// Closes `parents` and opens `children` of all of them.
    pub(super) fn reshard(&mut self, parents: &[&str], children: &[&str]) {
        for parent in parents {
            self.shards.get_mut(*parent).unwrap().closed = true;
        }
        for child in children {
            let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
            self.shards.insert((*child).to_owned(), Held { parents, ..Held::default() });
        }
    }

    /// Deletes what is older than the retention, and closed shards that hold nothing else.
    pub(super) fn trim(&mut self) {
        let oldest = self.hand.now().minus(Span::seconds(self.retention_hours as u32 * 3_600));
        for held in self.shards.values_mut() {
            held.trimmed = held.records.iter().filter(|(_, at, _)| *at < oldest).count();
        }
        self.shards.retain(|_, held| !held.closed || held.trimmed < held.records.len());
    }

    fn answer(&mut self, target: &str, body: &Value) -> Result<Value, (u16, &'static str)> {
        self.requests += 1;
        if every(self.unkind.fail_every, self.requests) {
            return Err((500, "InternalFailureException"));
        }
        match target {
            "DescribeStreamSummary" => Ok(json!({"StreamDescriptionSummary": {
                "StreamName": "audit", "StreamARN": "arn", "StreamStatus": "ACTIVE", "EnhancedMonitoring": [],
                "RetentionPeriodHours": self.retention_hours, "OpenShardCount": 1,
                "StreamCreationTimestamp": self.created.millis() as f64 / 1_000.0,
            }})),
            "ListShards" => Ok(self.list(body)),
            "GetShardIterator" => self.iterator(body),
            "GetRecords" => self.records(body),
            other => panic!("{other}"),
        }
    }

    fn list(&self, body: &Value) -> Value {
        let from: usize = match body["NextToken"].as_str() {
            None => 0,
            Some(token) => {
                assert!(body.get("StreamName").is_none(), "AWS refuses both");
                token.parse().unwrap()
            }
        };
        let size = body["MaxResults"].as_u64().unwrap() as usize;
        let shards = self.shards.iter().skip(from).take(size).map(|(name, held)| {
            let mut shard = json!({
                "ShardId": name, "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"},
                "SequenceNumberRange": {"StartingSequenceNumber": "0"},
            });
            for (key, parent) in ["ParentShardId", "AdjacentParentShardId"].iter().zip(&held.parents) {
                shard[*key] = json!(parent);
            }
            shard
        });
        let mut page = json!({"Shards": shards.collect::<Vec<_>>()});
        if from + size < self.shards.len() {
            page["NextToken"] = json!((from + size).to_string());
        }
        page
    }

    fn iterator(&mut self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let (shard, kind) = (body["ShardId"].as_str().unwrap(), body["ShardIteratorType"].as_str().unwrap());
        let at_ms = self.hand.now().millis();
        self.asked.push(Asked { at_ms, shard: shard.to_owned(), kind: kind.to_owned() });
        let held = self.shards.get(shard).ok_or((400, "ResourceNotFoundException"))?;
        let sequence = body["StartingSequenceNumber"].as_str().map(|text| text.parse::<u64>().unwrap());
        let behind = |test: &dyn Fn(&Put) -> bool| held.records.iter().filter(|it| test(it)).count();
        let place = match kind {
            "TRIM_HORIZON" => 0,
            "AFTER_SEQUENCE_NUMBER" => behind(&|(number, ..)| Some(*number) <= sequence),
            "AT_SEQUENCE_NUMBER" => behind(&|(number, ..)| Some(*number) < sequence),
            "AT_TIMESTAMP" => {
                let from = Timestamp::from_millis((body["Timestamp"].as_f64().unwrap() * 1_000.0).round() as i64);
                behind(&|(_, at, _)| *at < from)
            }
            other => panic!("{other}"),
        };
        if sequence.is_some_and(|sequence| !held.records.iter().any(|(number, ..)| *number == sequence)) {
            return Err((400, "InvalidArgumentException"));
        }
        Ok(json!({"ShardIterator": self.issue(shard.to_owned(), place)}))
    }

    fn issue(&mut self, shard: String, place: usize) -> String {
        let name = format!("iterator-{}", self.iterators.len());
        self.iterators.insert(name.clone(), (shard, place, self.hand.now()));
        name
    }

    fn records(&mut self, body: &Value) -> Result<Value, (u16, &'static str)> {
        let now = self.hand.now();
        self.looks += 1;
        if every(self.unkind.throttle_every, self.looks) {
            return Err((400, "ProvisionedThroughputExceededException"));
        }
        let iterator = body["ShardIterator"].as_str().unwrap();
        let (shard, place, issued) = self.iterators[iterator].clone();
        self.used += 1;
        if now.since(issued) > ITERATOR_LIVES || every(self.unkind.expire_every, self.used) {
            return Err((400, "ExpiredIteratorException"));
        }
        let empty = every(self.unkind.empty_every, self.looks);
        let held = self.shards.get(&shard).ok_or((400, "ResourceNotFoundException"))?;
        if held.forbidden {
            return Err((400, "AccessDeniedException"));
        }
        let place = place.max(held.trimmed);
        let size = match self.unkind.page {
            _ if empty => 0,
            0 => usize::MAX,
            size => size,
        };
        let end = held.records.len().min(place.saturating_add(size));
        let records: Vec<Value> = held.records[place..end]
            .iter()
            .map(|(sequence, at, data)| {
                json!({"SequenceNumber": sequence.to_string(), "PartitionKey": "key", "Data": STANDARD.encode(data),
                       "ApproximateArrivalTimestamp": at.millis() as f64 / 1_000.0})
            })
            .collect();
        let behind = held.records.get(end).map_or(0, |(_, at, _)| (now.since(*at).micros() / 1_000).max(1));
        let is_over = held.closed && end == held.records.len();
        let mut answer = json!({"Records": records, "MillisBehindLatest": behind});
        if !is_over {
            answer["NextShardIterator"] = json!(self.issue(shard, end));
        }
        Ok(answer)
    }
}

async fn answer(State(world): State<Arc<Mutex<World>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let target = headers["x-amz-target"].to_str().unwrap().strip_prefix("Kinesis_20131202.").unwrap().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap();
    match world.lock().unwrap().answer(&target, &body) {
        Ok(page) => (StatusCode::OK, page.to_string()),
        Err((status, kind)) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, json!({"__type": kind, "message": "as ordered"}).to_string())
        }
    }
}

fn every(period: u64, count: u64) -> bool {
    period > 0 && count.is_multiple_of(period)
}
