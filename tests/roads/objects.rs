//! Objects of S3 as CloudTrail writes them, told of by SQS or found by listing: moto's server, in its own protocol.

use serde_json::{Value, json};

use crate::harness::moto::Moto;
use crate::harness::{Corpus, Home, stopped, until};
use crate::{gzip, reference, same, travel};

/// What CloudTrail calls its log files, in the order of time.
fn key(number: usize) -> String {
    format!("AWSLogs/1/CloudTrail/us-east-1/2026/11/20/1_CloudTrail_us-east-1_{number:04}.json.gz")
}

/// A request that moto takes for one to `service`: it reads that from the signature and checks nothing else of it.
async fn ask(request: reqwest::RequestBuilder, service: &str) -> String {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let answer = request.header("authorization", scope).send().await.expect("moto answers");
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    assert!(status.is_success(), "{service}: {status} {text}");
    text
}

/// Puts the corpus as so many objects.
async fn fill(moto: &Moto, objects: usize) -> Vec<String> {
    let lines = Corpus::open().lines();
    put(moto, lines.chunks(lines.len().div_ceil(objects))).await
}

/// Puts one object each; their keys.
async fn put<'l>(moto: &Moto, objects: impl Iterator<Item = &'l [String]>) -> Vec<String> {
    let client = reqwest::Client::new();
    ask(client.put(format!("{}/trail", moto.address)), "s3").await;
    let mut keys = Vec::new();
    for (number, lines) in objects.enumerate() {
        let text = format!("{{\"Records\":[{}]}}", lines.join(","));
        let put = client.put(format!("{}/trail/{}", moto.address, key(number)));
        ask(put.body(gzip(text.as_bytes())), "s3").await;
        keys.push(key(number));
    }
    keys
}

async fn sqs(moto: &Moto, action: &str, body: Value) -> Value {
    let request = reqwest::Client::new().post(&moto.address).header("content-type", "application/x-amz-json-1.0");
    let request = request.header("x-amz-target", format!("AmazonSQS.{action}")).body(body.to_string());
    serde_json::from_str(&ask(request, "sqs").await).unwrap_or_default()
}

#[tokio::test]
async fn a_listed_bucket_leads_to_the_same_alerts_as_a_file() {
    let Some(moto) = Moto::start() else { return };
    fill(&moto, 20).await;
    let home = Home::new();
    let system = format!(
        "s3: {{bucket: trail, prefixes: [\"AWSLogs/*/CloudTrail/*/\"], endpoint_url: \"{}\", region: us-east-1}}",
        moto.address
    );
    let road = travel(&home, &system, async |_| {}).await;
    same(&road, reference().await);
}

/// A queue with a message about each object, and the settings that read it.
async fn tell(moto: &Moto, keys: &[String]) -> (Value, String) {
    let queue = sqs(moto, "CreateQueue", json!({"QueueName": "trail"})).await["QueueUrl"].clone();
    for key in keys {
        let notice = json!({"s3Bucket": "trail", "s3ObjectKey": [key]}).to_string();
        sqs(moto, "SendMessage", json!({"QueueUrl": queue, "MessageBody": notice})).await;
    }
    let system = format!(
        "sqs: {{queue_url: {queue}, endpoint_url: \"{0}\", s3_endpoint_url: \"{0}\", region: us-east-1, visibility: 1s}}",
        moto.address
    );
    (queue, system)
}

/// Whether no message is left, seen or unseen.
async fn is_empty(moto: &Moto, queue: &Value) -> bool {
    let asked = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
    let answer = sqs(moto, "GetQueueAttributes", asked).await;
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    names.iter().all(|name| answer["Attributes"][name] == "0")
}

#[tokio::test]
async fn a_queue_of_notifications_leads_to_the_same_alerts_as_a_file_and_is_empty_then() {
    let Some(moto) = Moto::start() else { return };
    // One object, as SQS keeps no order.
    let keys = fill(&moto, 1).await;
    let (queue, system) = tell(&moto, &keys).await;
    let home = Home::new();
    let road = travel(&home, &system, async |_| {}).await;
    same(&road, reference().await);
    assert!(is_empty(&moto, &queue).await);
}

#[tokio::test]
async fn a_service_that_is_killed_reads_the_messages_again_and_counts_each_record_once() {
    const OBJECTS: usize = 40;
    const RECORDS: usize = 40;
    let Some(moto) = Moto::start() else { return };
    // Every second record has no id of its own: only its position says that it was there before.
    let record = |number: usize| {
        let record = stopped(&format!("o-{number}"), &format!("user-{number}"));
        if number.is_multiple_of(2) { record } else { record.replace("eventID", "otherID") }
    };
    let records: Vec<String> = (0..OBJECTS * RECORDS).map(record).collect();
    let keys = put(&moto, records.chunks(RECORDS)).await;
    let (queue, system) = tell(&moto, &keys).await;
    let home = Home::new();
    home.configure(&format!("sources:\n  road: {{kind: aws.cloudtrail, {system}}}\n"));
    for alerts in [1, OBJECTS * RECORDS / 3, OBJECTS * RECORDS] {
        let lapwing = home.start().await;
        lapwing.has_alerts(alerts).await;
        lapwing.kill();
    }
    // What was told last may have been deleted or not: it comes again, and is none more.
    let lapwing = home.start().await;
    until("the queue to be empty", async || is_empty(&moto, &queue).await.then_some(())).await;
    assert_eq!(lapwing.rows().await.len(), OBJECTS * RECORDS);
    assert!(lapwing.terminate().await.success());
}
