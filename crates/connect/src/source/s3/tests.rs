//! Against an S3 that others wrote: moto's server.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use engine::time::{Span, Timestamp};
use serde_json::json;

use super::{S3, Settings, look};
use crate::clock::{Clock, Hand};
use crate::source::aws::moto::{self, Moto};
use crate::source::aws::object::{self, Objects};
use crate::source::contract::{Seen, numbered, resumes_from_every_mark, yields_all_in_order};
use crate::source::{Batch, Mark, Next, Source, SourceError};

const PATIENCE: Duration = Duration::from_secs(60);

struct Bucket {
    _server: Moto,
    client: Client,
    hand: Hand,
}

impl Bucket {
    async fn start() -> Option<Self> {
        let server = Moto::start()?;
        let client = object::client(&moto::config(&server.address), Some(&server.address));
        let place = BucketLocationConstraint::EuCentral1;
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        client.create_bucket().bucket("logs").create_bucket_configuration(place).send().await.unwrap();
        Some(Self { _server: server, client, hand: Hand::at(Clock::Wall.now()) })
    }

    async fn put(&self, key: &str, records: &[String]) {
        let body = records.join("\n").into_bytes();
        self.client.put_object().bucket("logs").key(key).body(body.into()).send().await.unwrap();
    }

    fn source(&self, stored: &Mark, more: serde_json::Value) -> S3 {
        let mut settings = json!({"bucket": "logs", "start": "90d"});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings: Settings = serde_json::from_value(settings).unwrap();
        S3::with(&settings, stored, Clock::Hand(self.hand.clone()), self.client.clone()).unwrap()
    }

    /// From now on everything that is there is old.
    fn ages(&self) {
        self.hand.move_to(self.hand.now().plus(Span::seconds(86_400)));
    }
}

async fn next(source: &mut S3) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

async fn until_idle(source: &mut S3) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        match next(source).await.unwrap() {
            Next::Batch(batch) => batches.push(batch),
            Next::Idle | Next::Exhausted => return batches,
            Next::Revoked(_) => panic!("revoked"),
        }
    }
}

fn texts(batches: Vec<Batch>) -> Vec<String> {
    let mut seen = Seen::default();
    batches.into_iter().for_each(|batch| seen.add(batch));
    seen.texts
}

#[tokio::test]
async fn it_keeps_the_contract_in_the_order_of_keys() {
    let Some(bucket) = Bucket::start().await else { return };
    let records = numbered(2_000);
    for (number, chunk) in records.chunks(90).enumerate() {
        bucket.put(&format!("p/{number:03}"), chunk).await;
    }
    bucket.put("p/900", &numbered(0)).await;
    bucket.put("q/else", &numbered(1)).await;
    bucket.ages();
    let open = |mark: &Mark| bucket.source(mark, json!({"prefixes": ["p/"]}));
    yields_all_in_order(&mut open(&Mark::default()), &records).await;
    resumes_from_every_mark(open, &records).await;
}

#[tokio::test]
async fn a_large_object_is_handed_over_in_parts_while_others_wait_for_their_turn() {
    let Some(bucket) = Bucket::start().await else { return };
    let records = numbered(5_000);
    bucket.put("p/1", &records[..4_000]).await;
    bucket.put("p/2", &records[4_000..]).await;
    bucket.ages();
    let mut source = bucket.source(&Mark::default(), json!({"once": true}));
    assert_eq!(texts(until_idle(&mut source).await), records);
    assert!(matches!(next(&mut source).await, Ok(Next::Idle | Next::Exhausted)));
}

#[tokio::test]
async fn accounts_and_regions_are_partitions_and_new_ones_are_found() {
    let Some(bucket) = Bucket::start().await else { return };
    let at = |account: u8, region: &str| format!("AWSLogs/{account}/CloudTrail/{region}/2026/11/20/x.json");
    bucket.put(&at(1, "eu-central-1"), &numbered(2)).await;
    bucket.put(&at(1, "us-east-1"), &numbered(3)).await;
    bucket.put("AWSLogs/1/CloudTrail-Digest/us-east-1/2026/11/20/d", &numbered(9)).await;
    bucket.ages();
    let prefixes = json!({"prefixes": ["AWSLogs/*/CloudTrail/*/"]});
    let mut source = bucket.source(&Mark::default(), prefixes.clone());
    let batches = until_idle(&mut source).await;
    let names: BTreeSet<String> =
        batches.iter().flat_map(|batch| &batch.partitions).map(|name| name.to_string()).collect();
    let name = |account: u8, region: &str| format!("logs/AWSLogs/{account}/CloudTrail/{region}/");
    assert_eq!(names, BTreeSet::from([name(1, "eu-central-1"), name(1, "us-east-1")]));
    let mut mark = Mark::default();
    batches.iter().for_each(|batch| mark.0.extend(batch.mark.0.clone()));
    assert_eq!(mark.0[&name(1, "us-east-1")], json!({"after": at(1, "us-east-1")}).to_string());

    bucket.put(&at(2, "eu-central-1"), &numbered(4)).await;
    assert_eq!(texts(until_idle(&mut source).await).len(), 4);
    assert_eq!(texts(until_idle(&mut bucket.source(&mark, prefixes)).await).len(), 4, "after a restart too");
}

#[tokio::test]
async fn an_object_that_comes_late_under_a_key_that_was_passed_is_found() {
    let Some(bucket) = Bucket::start().await else { return };
    bucket.put("p/2", &numbered(2)).await;
    let mut source = bucket.source(&Mark::default(), json!({}));
    let batches = until_idle(&mut source).await;
    assert!(batches.iter().all(|batch| !batch.mark.0.contains_key("logs/")), "it is too young to be passed");
    assert!(batches.iter().any(|batch| batch.mark.0.contains_key("since")), "where reading began is known at once");
    assert_eq!(texts(batches).len(), 2);
    bucket.put("p/1", &numbered(3)).await;
    assert_eq!(texts(until_idle(&mut source).await).len(), 3);
    assert_eq!(texts(until_idle(&mut source).await).len(), 0, "each once");
    bucket.ages();
    let marked = until_idle(&mut source).await;
    assert_eq!(marked.last().unwrap().mark.0["logs/"], json!({"after": "p/2"}).to_string());
}

#[tokio::test]
async fn start_is_a_moment_of_writing_or_a_key() {
    let Some(bucket) = Bucket::start().await else { return };
    for key in ["2026/11/19/a", "2026/11/20/a", "2026/11/21/a"] {
        bucket.put(key, &numbered(1)).await;
    }
    bucket.ages();
    for (start, records) in [("2026/11/20", 2), ("", 3), ("1h", 0), ("2d", 3), ("2199-01-01T00:00:00Z", 0)] {
        let mut source = bucket.source(&Mark::default(), json!({"start": start}));
        assert_eq!(texts(until_idle(&mut source).await).len(), records, "{start:?}");
    }
}

#[tokio::test]
async fn a_missing_bucket_and_a_mark_of_another_shape_need_a_person() {
    let Some(bucket) = Bucket::start().await else { return };
    let settings: Settings = serde_json::from_value(json!({"bucket": "absent"})).unwrap();
    let clock = Clock::Hand(Hand::at(Timestamp::default()));
    let mut source = S3::with(&settings, &Mark::default(), clock.clone(), bucket.client.clone()).unwrap();
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.doing, "list s3://absent/: there is no such bucket");
    for name in ["logs/", "since"] {
        let stored = Mark([(name.to_owned(), "yesterday".to_owned())].into());
        let opened = S3::with(&settings, &stored, clock.clone(), bucket.client.clone());
        assert!(opened.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_check_lists_and_opens_and_says_what_it_found() {
    let Some(bucket) = Bucket::start().await else { return };
    bucket.put("p/x/1", &numbered(1)).await;
    let objects = Objects { client: bucket.client.clone(), record_bytes_max: 1, object_bytes_max: 1 };
    let said = async |bucket: &str, pattern: &str| {
        let probes = look(&objects, bucket, pattern).await;
        probes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = ["s3://logs/p/*/: 1 prefixes, may be listed", "object s3://logs/p/x/1: may be read"];
    assert_eq!(said("logs", "p/*/").await, found);
    assert!(said("logs", "q/").await[0].contains("nothing is there yet"));
    assert!(said("absent", "").await[0].contains("there is no such bucket"));
}
