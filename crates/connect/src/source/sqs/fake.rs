//! An SQS and an S3 that answer as ordered, over real HTTP on a free port: for what moto cannot be made to do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::{Settings, Sqs};
use crate::source::aws::moto;

/// What it was asked for, apart from messages and objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To hide receipts for so many seconds.
    Hidden(Vec<String>, u64),
    Deleted(Vec<String>),
}

#[derive(Clone)]
pub(super) struct Fake {
    address: String,
    answers: mpsc::UnboundedSender<(StatusCode, Value)>,
    world: Arc<World>,
}

struct World {
    /// A long poll waits here.
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<(StatusCode, Value)>>,
    /// What an object answers, in turn; the last stays.
    objects: Mutex<BTreeMap<String, VecDeque<(StatusCode, String)>>>,
    asked: watch::Sender<Vec<Asked>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let (answers, waiting) = mpsc::unbounded_channel();
        let world = World { answers: waiting.into(), objects: Mutex::default(), asked: watch::Sender::default() };
        let world = Arc::new(world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, answers, world }
    }

    pub(super) fn source(&self, more: Value) -> Sqs {
        let mut settings = json!({"queue_url": format!("{}/1/q", self.address), "s3_endpoint_url": self.address});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings: Settings = serde_json::from_value(settings).unwrap();
        Sqs::with(&settings, &moto::config(&self.address))
    }

    /// The next answer to whoever asks for messages: `(id, receives, body)` of each.
    pub(super) fn sends(&self, messages: &[(&str, usize, &str)]) {
        let message = |(id, receives, body): &(&str, usize, &str)| {
            json!({"MessageId": id, "ReceiptHandle": format!("{id}-{receives}"), "Body": body,
                   "Attributes": {"ApproximateReceiveCount": receives.to_string()}})
        };
        let messages: Vec<Value> = messages.iter().map(message).collect();
        self.answers.send((StatusCode::OK, json!({"Messages": messages}))).unwrap();
    }

    pub(super) fn refuses(&self, code: &str) {
        let refusal = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "as ordered"});
        self.answers.send((StatusCode::BAD_REQUEST, refusal)).unwrap();
    }

    /// What an object answers from now on, in turn: its text, or an error's code.
    pub(super) fn object(&self, path: &str, answers: &[Result<&str, (u16, &str)>]) {
        let answer = |answer: &Result<&str, (u16, &str)>| match answer {
            Ok(text) => (StatusCode::OK, (*text).to_owned()),
            Err((status, code)) => {
                let error = format!("<Error><Code>{code}</Code><Message>as ordered</Message></Error>");
                (StatusCode::from_u16(*status).unwrap(), error)
            }
        };
        self.world.objects.lock().unwrap().insert(path.to_owned(), answers.iter().map(answer).collect());
    }

    /// Waits until it was asked for something that `is_it`.
    pub(super) async fn was_asked(&self, is_it: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let mut asked = self.world.asked.subscribe();
        asked.wait_for(|asked| is_it(asked)).await.unwrap().clone()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.world.asked.borrow().clone()
    }
}

async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2], String) {
    let head = [("content-type", "application/x-amz-json-1.0"), ("etag", "\"tag\"")];
    if method == Method::GET {
        let mut objects = world.objects.lock().unwrap();
        let missing = (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>".to_owned());
        let (status, text) = match objects.get_mut(uri.path()) {
            None => missing,
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
        };
        return (status, head, text);
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let entries = || body["Entries"].as_array().unwrap();
    let receipts = || entries().iter().map(|entry| entry["ReceiptHandle"].as_str().unwrap().to_owned()).collect();
    let taken = || json!({"Successful": [], "Failed": []}).to_string();
    match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.ReceiveMessage" => {
            let (status, answer) = world.answers.lock().await.recv().await.unwrap();
            (status, head, answer.to_string())
        }
        "AmazonSQS.ChangeMessageVisibilityBatch" => {
            let seconds = entries()[0]["VisibilityTimeout"].as_u64().unwrap();
            world.asked.send_modify(|asked| asked.push(Asked::Hidden(receipts(), seconds)));
            (StatusCode::OK, head, taken())
        }
        "AmazonSQS.DeleteMessageBatch" => {
            world.asked.send_modify(|asked| asked.push(Asked::Deleted(receipts())));
            (StatusCode::OK, head, taken())
        }
        "AmazonSQS.GetQueueAttributes" => {
            (StatusCode::OK, head, json!({"Attributes": {"ApproximateNumberOfMessages": "7"}}).to_string())
        }
        other => panic!("{other} was not expected"),
    }
}
