//! CloudWatch Logs: moto's server, spoken to in its own protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::moto::Moto;
use crate::harness::{Corpus, Home};
use crate::{reference, same, travel};

/// What one `PutLogEvents` may carry, with room to spare for its envelope: AWS allows 1 MiB and 10,000.
const PUT_BYTES_MAX: usize = 700_000;
const PUT_EVENTS_MAX: usize = 5_000;

async fn ask(moto: &Moto, action: &str, body: &Value) {
    moto.ask("logs", &format!("Logs_20140328.{action}"), body).await;
}

/// Puts every record, in order, each a millisecond after the one before, the last of them a minute ago.
async fn fill(moto: &Moto, lines: &[String]) {
    let stream = json!({"logGroupName": "trail", "logStreamName": "one"});
    ask(moto, "CreateLogGroup", &json!({"logGroupName": "trail"})).await;
    ask(moto, "CreateLogStream", &stream).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    let first = now - Duration::from_secs(60) - Duration::from_millis(lines.len() as u64);
    let (mut events, mut bytes) = (Vec::new(), 0);
    for (number, line) in lines.iter().enumerate() {
        if bytes + line.len() > PUT_BYTES_MAX || events.len() == PUT_EVENTS_MAX {
            put(moto, &stream, std::mem::take(&mut events)).await;
            bytes = 0;
        }
        bytes += line.len();
        events.push(json!({"timestamp": first.as_millis() as u64 + number as u64, "message": line}));
    }
    put(moto, &stream, events).await;
}

async fn put(moto: &Moto, stream: &Value, events: Vec<Value>) {
    let mut body = stream.clone();
    body["logEvents"] = Value::Array(events);
    ask(moto, "PutLogEvents", &body).await;
}

#[tokio::test]
async fn a_log_group_leads_to_the_same_alerts_as_a_file() {
    let Some(moto) = Moto::start() else { return };
    fill(&moto, Corpus::open().lines()).await;
    let home = Home::new();
    let system = format!(
        "cloudwatch: {{log_groups: [trail], endpoint_url: \"{}\", region: us-east-1, start: 1h, requests_per_second: 100}}",
        moto.address
    );
    let road = travel(&home, &system, async |_| {}).await;
    same(&road, reference().await);
}
