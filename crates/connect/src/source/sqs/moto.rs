//! Compatibility with an SQS and S3 that others wrote: moto's server.

use std::collections::BTreeSet;
use std::io::Write;

use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Event, NotificationConfiguration,
    QueueConfiguration, TopicConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use super::{Settings, Sqs, object};
use crate::source::aws::moto::{self, Moto};
use crate::source::contract::{hands_out_again_what_was_not_committed, yields_all_in_order};
use crate::source::{Batch, Next, Source};

/// A bucket that notifies a queue.
struct Account {
    server: Moto,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Account {
    async fn start() -> Option<Self> {
        let server = Moto::start()?;
        let config = moto::config(&server.address);
        let (s3, sqs) = (object::client(&config, Some(&server.address)), aws_sdk_sqs::Client::new(&config));
        let queue_url = sqs.create_queue().queue_name("notices").send().await.unwrap().queue_url.unwrap();
        let place = BucketLocationConstraint::EuCentral1;
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        s3.create_bucket().bucket("logs").create_bucket_configuration(place).send().await.unwrap();
        let account = Self { server, s3, sqs, queue_url };
        let to_queue = QueueConfiguration::builder().queue_arn(account.queue_arn().await).events(created());
        let notices = NotificationConfiguration::builder().queue_configurations(to_queue.build().unwrap());
        account.notifies(notices.build()).await;
        Some(account)
    }

    async fn queue_arn(&self) -> String {
        let name = QueueAttributeName::QueueArn;
        let asked = self.sqs.get_queue_attributes().queue_url(&self.queue_url).attribute_names(name.clone());
        asked.send().await.unwrap().attributes.unwrap()[&name].clone()
    }

    /// From now on the bucket tells of its objects so.
    async fn notifies(&self, notices: NotificationConfiguration) {
        let request =
            self.s3.put_bucket_notification_configuration().bucket("logs").notification_configuration(notices);
        request.send().await.unwrap();
    }

    /// A request to SNS, whose SDK nothing else needs. moto reads service and region from the signature alone.
    async fn sns(&self, action: &str, more: &[(&str, &str)]) {
        let scope =
            "AWS4-HMAC-SHA256 Credential=x/20260101/eu-central-1/sns/aws4_request, SignedHeaders=host, Signature=0";
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2010-03-31").extend_pairs(more);
        let request = reqwest::Client::new().post(&self.server.address).header("authorization", scope);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.finish());
        let status = request.send().await.unwrap().status();
        assert!(status.is_success(), "{action}: {status}");
    }

    fn settings(&self, visibility: &str) -> Settings {
        let settings = json!({"queue_url": self.queue_url, "s3_endpoint_url": self.server.address,
                              "visibility": visibility, "receives_max": 1});
        serde_json::from_value(settings).unwrap()
    }

    fn source(&self, visibility: &str) -> Sqs {
        Sqs::with(&self.settings(visibility), &moto::config(&self.server.address))
    }

    /// Its version, if the bucket has such.
    async fn put(&self, key: &str, body: Vec<u8>) -> Option<String> {
        self.s3.put_object().bucket("logs").key(key).body(body.into()).send().await.unwrap().version_id
    }

    async fn send(&self, body: &str) {
        self.sqs.send_message().queue_url(&self.queue_url).message_body(body).send().await.unwrap();
    }

    /// Messages that wait, and those that are hidden.
    async fn messages(&self) -> (String, String) {
        let asked = self.sqs.get_queue_attributes().queue_url(&self.queue_url).attribute_names(QueueAttributeName::All);
        let all = asked.send().await.unwrap().attributes.unwrap();
        let count = |name: QueueAttributeName| all[&name].clone();
        let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        (count(QueueAttributeName::ApproximateNumberOfMessages), count(hidden))
    }
}

fn created() -> Event {
    Event::from("s3:ObjectCreated:*")
}

fn trail(records: usize) -> Vec<u8> {
    let records: Vec<_> = (0..records).map(|number| json!({"eventID": number.to_string(), "eventName": "X"})).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(json!({"Records": records}).to_string().as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Batches until so many records have come.
async fn read(source: &mut Sqs, records: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let count = |batches: &[Batch]| batches.iter().map(|batch| batch.records.len()).sum::<usize>();
    while count(&batches) < records {
        match source.next().await.unwrap() {
            Next::Batch(batch) => batches.push(batch),
            Next::Idle => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count(&batches), records);
    batches
}

fn positions(batches: &[Batch]) -> Vec<String> {
    batches.iter().flat_map(|batch| &batch.records).map(|record| record.position.clone()).collect()
}

#[tokio::test]
async fn a_queue_keeps_the_contract() {
    let Some(account) = Account::start().await else { return };
    let records: Vec<String> = (0..1_200).map(|number| format!(r#"{{"number":{number}}}"#)).collect();
    account.put("first", records.join("\n").into_bytes()).await;
    yields_all_in_order(&mut account.source("60s"), &records).await;
    account.put("second", records.join("\n").into_bytes()).await;
    hands_out_again_what_was_not_committed(async || account.source("1s"), &records).await;
}

#[tokio::test]
async fn ten_thousand_records_of_an_object_and_events_beside_it_come_once_and_leave_the_queue_empty() {
    let Some(account) = Account::start().await else { return };
    account.put("AWSLogs/1/CloudTrail/eu-central-1/2026/11/20/a b+c.json.gz", trail(10_000)).await;
    account.put("AWSLogs/1/CloudTrail-Digest/eu-central-1/2026/11/20/d.json.gz", trail(7)).await;
    account.put("lines", b"{\"a\":1}\n{\"a\":2}\n".to_vec()).await;
    account.send(r#"{"source":"aws.codebuild","detail-type":"CodeBuild Build State Change","detail":{}}"#).await;
    let mut source = account.source("5m");
    let batches = read(&mut source, 10_003).await;
    let positions = positions(&batches);
    assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), 10_003, "every position is its own");
    assert!(
        positions
            .iter()
            .any(|position| position.starts_with("logs/AWSLogs/1/CloudTrail/eu-central-1/2026/11/20/a b+c.json.gz@"))
    );
    for batch in batches {
        source.commit(batch.mark).await.unwrap();
    }
    // What led to nothing, such as the test event and the digest, is deleted by the same road.
    while account.messages().await != ("0".to_owned(), "0".to_owned()) {
        if let Next::Batch(batch) = source.next().await.unwrap() {
            source.commit(batch.mark).await.unwrap();
        }
    }
    assert_eq!(source.held.count(), 0);
}

#[tokio::test]
async fn a_source_that_ends_before_the_commit_leaves_all_of_it_to_the_next_one_at_the_same_positions() {
    let Some(account) = Account::start().await else { return };
    account.put("a.json.gz", trail(1_500)).await;
    account.put("b.json.gz", trail(100)).await;
    account.send("{\"b\":1}").await;
    let mut first = account.source("2s");
    let before = positions(&read(&mut first, 1_601).await);
    drop(first);
    let mut second = account.source("5m");
    let batches = read(&mut second, 1_601).await;
    let sorted = |positions: Vec<String>| positions.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(positions(&batches)), sorted(before));
    for batch in batches {
        second.commit(batch.mark).await.unwrap();
    }
    assert_eq!(account.messages().await.0, "0");
}

#[tokio::test]
async fn an_object_that_is_told_of_twice_leads_to_the_same_positions_and_another_version_to_others() {
    let Some(account) = Account::start().await else { return };
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    account.s3.put_bucket_versioning().bucket("logs").versioning_configuration(versions).send().await.unwrap();
    let first = account.put("a.json.gz", trail(3)).await;
    account.put("a.json.gz", trail(1)).await;
    // moto's notifications name no version, so both are about the newest.
    let bridged = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": {"name": "logs"}, "object": {"key": "a.json.gz", "version-id": first.unwrap()}}});
    account.send(&bridged.to_string()).await;
    let again = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:trail",
                       "Message": json!({"s3Bucket": "logs", "s3ObjectKey": ["a.json.gz"]}).to_string()});
    account.send(&again.to_string()).await;
    let positions = positions(&read(&mut account.source("5m"), 6).await);
    assert_eq!(positions.len(), 6);
    assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn what_a_bucket_tells_a_topic_that_the_queue_subscribes_to_is_read_as_well() {
    let Some(account) = Account::start().await else { return };
    let (topic, queue) = ("arn:aws:sns:eu-central-1:123456789012:trail", account.queue_arn().await);
    account.sns("CreateTopic", &[("Name", "trail")]).await;
    account.sns("Subscribe", &[("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", queue.as_str())]).await;
    let to_topic = TopicConfiguration::builder().topic_arn(topic).events(created()).build().unwrap();
    account.notifies(NotificationConfiguration::builder().topic_configurations(to_topic).build()).await;
    account.put("a b.json.gz", trail(3)).await;
    let positions = positions(&read(&mut account.source("5m"), 3).await);
    assert!(positions.iter().all(|position| position.starts_with("logs/a b.json.gz@")), "{positions:?}");
}

#[tokio::test]
async fn a_message_whose_object_is_gone_becomes_a_gap_and_a_refused_record() {
    let Some(account) = Account::start().await else { return };
    account.send(&json!({"s3Bucket": "logs", "s3ObjectKey": ["gone"]}).to_string()).await;
    let mut source = account.source("5m");
    let batches = read(&mut source, 1).await;
    assert_eq!(batches.iter().map(|batch| batch.gaps.len()).sum::<usize>(), 1);
    let probes = super::probe::attributes(&source.queue, &account.settings("5m")).await;
    assert!(probes[0].found.is_ok(), "{probes:?}");
}
