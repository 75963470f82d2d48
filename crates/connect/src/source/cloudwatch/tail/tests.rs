use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_cloudwatchlogs::config::{ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_sdk_cloudwatchlogs::error::BoxError;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::super::budget::Budget;
use super::super::fake::config;
use super::super::{CloudWatch, Settings};
use super::tried;
use crate::clock::Clock;
use crate::source::{Mark, Next, Source};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const ARN: &str = "arn:aws:logs:eu-central-1:123456789012:log-group:";

/// A service with two groups, sessions as they are ordered, and one event that is shown once somebody said so.
#[derive(Clone)]
struct Fake {
    client: Client,
    world: Arc<World>,
}

struct World {
    /// How many sessions may be had, and the groups of each that was.
    sessions: Mutex<(usize, Vec<Vec<String>>)>,
    frames: watch::Sender<Option<mpsc::UnboundedSender<Result<Bytes, Infallible>>>>,
    is_shown: Mutex<bool>,
    /// Groups that were read, in turn.
    read: watch::Sender<Vec<String>>,
}

/// A session has a host of its own, `stream-` before the service's, which is nobody's here.
#[derive(Debug)]
struct ToTheFake(String);

impl Intercept for ToTheFake {
    fn name(&self) -> &'static str {
        "to the fake"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(context.request_mut().set_uri(format!("http://{}/", self.0))?)
    }
}

impl Fake {
    async fn start(sessions: usize) -> Self {
        let world = World {
            sessions: Mutex::new((sessions, Vec::new())),
            frames: watch::Sender::default(),
            is_shown: Mutex::default(),
            read: watch::Sender::default(),
        };
        let world = Arc::new(world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/", post(answer)).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let credentials = Credentials::new("example", "example", None, None, "test");
        let config = config(&format!("http://localhost:{}", address.rsplit(':').next().unwrap()));
        let config = config.credentials_provider(credentials).interceptor(ToTheFake(address));
        Self { client: Client::from_conf(config.build()), world }
    }

    /// Polls once an hour: whatever comes sooner came by a hint.
    fn source(&self) -> CloudWatch {
        let settings =
            json!({"log_groups": ["trail", "app"], "poll": "1h", "live_tail": true, "requests_per_second": 100});
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let budget = Budget::alone(settings.requests_per_second);
        CloudWatch::with_client(&settings, &Mark::default(), Clock::Wall, self.client.clone(), budget).unwrap()
    }

    /// Says in the session that is open, or that comes next, that this group has something new.
    async fn says(&self, group: &str) {
        let results = if group.is_empty() { json!([]) } else { json!([{"logGroupIdentifier": group, "message": "m"}]) };
        let frame = frame("sessionUpdate", &json!({"sessionMetadata": {"sampled": false}, "sessionResults": results}));
        let mut frames = self.world.frames.subscribe();
        let frames = frames.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        frames.send(Ok(frame)).unwrap();
    }

    fn shows(&self) {
        *self.world.is_shown.lock().unwrap() = true;
    }

    async fn was_read(&self, group: &str, times: usize) {
        let mut read = self.world.read.subscribe();
        read.wait_for(|read| read.iter().filter(|read| *read == group).count() >= times).await.unwrap();
    }

    fn reads(&self, group: &str) -> usize {
        self.world.read.borrow().iter().filter(|read| *read == group).count()
    }
}

fn frame(kind: &'static str, payload: &Value) -> Bytes {
    let text = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let headers = [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")];
    let message = headers
        .into_iter()
        .fold(Message::new(payload.to_string()), |message, (name, value)| message.add_header(text(name, value)));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes.into()
}

async fn answer(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    match headers["x-amz-target"].to_str().unwrap() {
        "Logs_20140328.DescribeLogGroups" => {
            let prefix = body["logGroupNamePrefix"].as_str().unwrap();
            // Another group has a name that begins alike, and stands before it.
            let names = [format!("{prefix}-more"), prefix.to_owned()];
            let group = |name: &String| json!({"logGroupName": name, "arn": format!("{ARN}{name}:*")});
            json!({"logGroups": names.iter().map(group).collect::<Vec<_>>()}).to_string().into_response()
        }
        "Logs_20140328.StartLiveTail" => {
            let mut sessions = world.sessions.lock().unwrap();
            if sessions.0 == 0 {
                let refusal = json!({"__type": "LimitExceededException", "message": "as ordered"});
                return (StatusCode::BAD_REQUEST, refusal.to_string()).into_response();
            }
            sessions.0 -= 1;
            let groups = body["logGroupIdentifiers"].as_array().unwrap();
            sessions.1.push(groups.iter().map(|group| group.as_str().unwrap().to_owned()).collect());
            let (frames, stream) = mpsc::unbounded_channel();
            frames.send(Ok(frame("initial-response", &json!({})))).unwrap();
            frames.send(Ok(frame("sessionStart", &json!({"sessionId": "s"})))).unwrap();
            world.frames.send_replace(Some(frames));
            Body::from_stream(UnboundedReceiverStream::new(stream)).into_response()
        }
        "Logs_20140328.FilterLogEvents" => {
            let group = body["logGroupName"].as_str().unwrap();
            let is_shown = group == "trail" && *world.is_shown.lock().unwrap();
            let event = json!({"eventId": "e", "timestamp": body["endTime"], "message": "{}"});
            world.read.send_modify(|read| read.push(group.to_owned()));
            json!({"events": if is_shown { json!([event]) } else { json!([]) }}).to_string().into_response()
        }
        other => panic!("{other}"),
    }
}

/// Drives the source until it has a batch with records.
async fn records(source: &mut CloudWatch) -> Vec<String> {
    loop {
        let next = tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs").unwrap();
        if let Next::Batch(batch) = next
            && !batch.records.is_empty()
        {
            return batch.records.into_iter().map(|record| record.position).collect();
        }
    }
}

#[tokio::test]
async fn a_hint_has_its_group_looked_at_at_once_and_the_event_is_read_as_ever() {
    let fake = Fake::start(9).await;
    let mut source = fake.source();
    let hints = async {
        // Once at the start, and perhaps once more when the session had begun.
        fake.was_read("trail", 1).await;
        fake.was_read("app", 1).await;
        fake.says("").await;
        fake.shows();
        fake.says(&format!("{ARN}trail")).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        came = records(&mut source) => assert_eq!(came, ["trail/e"]),
        () = hints => {}
    }
    assert!(fake.reads("app") <= 2, "nobody spoke of it");
    assert_eq!(fake.world.sessions.lock().unwrap().1, [[format!("{ARN}trail"), format!("{ARN}app")]]);
}

#[tokio::test]
async fn a_group_is_known_by_its_name_and_its_account_as_well_and_a_session_that_ends_is_followed_by_another() {
    let fake = Fake::start(9).await;
    let mut source = fake.source();
    let hints = async {
        fake.was_read("trail", 1).await;
        for name in ["trail", "123456789012:trail"] {
            let before = fake.reads("trail");
            fake.says(name).await;
            fake.was_read("trail", before + 1).await;
        }
        fake.world.frames.send_replace(None);
        let mut frames = fake.world.frames.subscribe();
        // Another session follows.
        frames.wait_for(Option::is_some).await.unwrap();
        assert_eq!(fake.world.sessions.lock().unwrap().1.len(), 2);
    };
    tokio::select! {
        came = records(&mut source) => panic!("{came:?}"),
        () = hints => {}
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_had_takes_nothing_away_and_a_probe_says_so() {
    let fake = Fake::start(0).await;
    fake.shows();
    assert_eq!(records(&mut fake.source()).await, ["trail/e"]);
    let refused = tried(&fake.client, &["trail".to_owned()]).await.unwrap_err();
    let said = crate::probe::words(&refused);
    assert!(said.starts_with("begin a live tail: ") && said.contains("LimitExceededException"), "{said}");
    tried(&Fake::start(1).await.client, &["trail".to_owned()]).await.unwrap();
}
