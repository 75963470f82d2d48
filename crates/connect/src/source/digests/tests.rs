//! Chains of digests that are signed with a key of our own and lie in moto's S3, and what is done to them there.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use axum::Router;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::time::{Span, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::digest::hex;
use super::{Digests, Settings};
use crate::clock::{Clock, Hand};
use crate::source::aws::moto::{self, Moto};
use crate::source::aws::object;
use crate::source::contract::{resumes_from_every_mark, yields_all_in_order};
use crate::source::{Batch, Gap, Mark, Next, Source, SourceError};

const PATIENCE: Duration = Duration::from_secs(60);
const HOURS: usize = 4;

/// A bucket, and a CloudTrail that knows one key.
struct Cloud {
    server: Moto,
    client: Client,
    keys: String,
    pair: KeyPair,
    hand: Hand,
}

/// One trail's hours, each with a digest and its two log files.
struct Trail {
    hours: Vec<Hour>,
}

#[derive(Clone)]
struct Hour {
    key: String,
    digest: Value,
    signature: Option<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Cloud {
    async fn start() -> Option<Self> {
        let server = Moto::start()?;
        let client = object::client(&moto::config(&server.address), Some(&server.address));
        let place = BucketLocationConstraint::EuCentral1;
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        client.create_bucket().bucket("logs").create_bucket_configuration(place).send().await.unwrap();
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let known = json!({"PublicKeyList": [{"Fingerprint": "ours", "Value": STANDARD.encode(pair.public_key())}]});
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = format!("http://{}", listener.local_addr().unwrap());
        let answer = move || async move { ([("content-type", "application/x-amz-json-1.1")], known.to_string()) };
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Some(Self { server, client, keys, pair, hand: Hand::at(Clock::Wall.now()) })
    }

    fn sign(&self, hour: &mut Hour) {
        let text = hour.digest.to_string();
        let previous = hour.digest["previousDigestSignature"].as_str().unwrap_or("null");
        let end = hour.digest["digestEndTime"].as_str().unwrap();
        let signed = format!("{end}\nlogs/{}\n{}\n{previous}", hour.key, hash(text.as_bytes()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        hour.signature = Some(hex(&signature));
    }

    /// A chain of which nothing lies in the bucket yet.
    fn trail(&self, account: usize) -> Trail {
        let begin = self.hand.now().minus(Span::seconds(6 * 3_600));
        let mut hours: Vec<Hour> = Vec::new();
        for number in 0..HOURS {
            let end = begin.plus(Span::seconds(3_600 * u32::try_from(number + 1).unwrap()));
            let hour = self.hour(account, end, hours.last());
            hours.push(hour);
        }
        Trail { hours }
    }

    fn hour(&self, account: usize, end: Timestamp, before: Option<&Hour>) -> Hour {
        let text = |moment: Timestamp| format!("{}Z", &moment.to_string()[..19]);
        let (start, stop) = (text(end.minus(Span::seconds(3_600))), text(end));
        let (day, time) = (stop[..10].replace('-', "/"), stop.replace(['-', ':'], ""));
        let folder = |sort: &str| format!("AWSLogs/{account}/{sort}/eu-central-1/{day}/{account}_{sort}_eu-central-1");
        let file = |number: usize| {
            let text = json!({"Records": [{"eventID": format!("{time}-{number}")}]}).to_string();
            (format!("{}_{time}_{number}.json.gz", folder("CloudTrail")), text.into_bytes())
        };
        let (key, files) =
            (format!("{}_trail_eu-central-1_{time}.json.gz", folder("CloudTrail-Digest")), [file(1), file(2)]);
        let log = |(key, text): &(String, Vec<u8>)| json!({"s3Bucket": "logs", "s3Object": key, "hashValue": hash(text), "hashAlgorithm": "SHA-256"});
        let digest = json!({
            "awsAccountId": account.to_string(), "digestStartTime": start, "digestEndTime": stop,
            "digestS3Bucket": "logs", "digestS3Object": key, "digestPublicKeyFingerprint": "ours",
            "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Bucket": before.map(|_| "logs"), "previousDigestS3Object": before.map(|before| &before.key),
            "previousDigestHashValue": before.map(|before| hash(before.digest.to_string().as_bytes())),
            "previousDigestSignature": before.map(|before| &before.signature),
            "logFiles": files.iter().map(log).collect::<Vec<_>>(),
        });
        let mut hour = Hour { key, digest, signature: None, files: files.into() };
        self.sign(&mut hour);
        hour
    }

    async fn put(&self, hour: &Hour) {
        for (key, text) in &hour.files {
            self.client.put_object().bucket("logs").key(key).body(gzip(text).into()).send().await.unwrap();
        }
        let request = self.client.put_object().bucket("logs").key(&hour.key);
        let beside = hour.signature.iter().flat_map(|signature| {
            [
                ("signature".to_owned(), signature.clone()),
                ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned()),
            ]
        });
        let text = hour.digest.to_string();
        let request = request.body(gzip(text.as_bytes()).into()).set_metadata(Some(beside.collect()));
        request.send().await.unwrap();
    }

    async fn delete(&self, key: &str) {
        self.client.delete_object().bucket("logs").key(key).send().await.unwrap();
    }

    fn source(&self, account: usize, stored: &Mark, more: Value) -> Digests {
        let mut settings = json!({"bucket": "logs", "start": "2d", "overdue": "30d",
                                  "prefixes": [format!("AWSLogs/{account}/CloudTrail-Digest/*/")],
                                  "endpoint_url": self.server.address, "cloudtrail_endpoint_url": self.keys});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let config = moto::config(&self.server.address);
        Digests::with(&settings, stored, Clock::Hand(self.hand.clone()), config).unwrap()
    }

    fn later(&self, hours: u32) {
        self.hand.move_to(self.hand.now().plus(Span::seconds(hours * 3_600)));
    }
}

fn hash(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

async fn next(source: &mut Digests) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

async fn until_idle(source: &mut Digests) -> Vec<Batch> {
    let mut batches = Vec::new();
    loop {
        match next(source).await.unwrap() {
            Next::Batch(batch) => batches.push(batch),
            Next::Idle => return batches,
            other => panic!("{other:?}"),
        }
    }
}

fn gaps(batches: &[Batch]) -> Vec<Gap> {
    assert!(batches.iter().all(|batch| batch.records.is_empty()), "it brings no events");
    batches.iter().flat_map(|batch| batch.gaps.clone()).collect()
}

/// What was done to a chain, and what is said of it.
type Tampering = (&'static str, fn(&Cloud, &mut Trail), &'static [&'static str]);

fn resigned(cloud: &Cloud, hour: &mut Hour, change: impl Fn(&mut Value)) {
    change(&mut hour.digest);
    cloud.sign(hour);
}

const TAMPERINGS: [Tampering; 10] = [
    ("nothing", |_, _| {}, &[]),
    (
        "log file altered",
        |_, trail| trail.hours[1].files[0].1 = b"{\"Records\":[]}".to_vec(),
        &["was altered: its content"],
    ),
    ("log file deleted", |_, trail| drop(trail.hours[2].files.remove(1)), &["is missing: it was deleted after"]),
    ("digest deleted", |_, trail| drop(trail.hours.remove(2)), &["is missing, and whatever was before it since"]),
    (
        "digest altered",
        |_, trail| drop(trail.hours[2].digest["logFiles"].as_array_mut().unwrap().pop()),
        &["its signature is not CloudTrail's for what it says: it was altered"],
    ),
    (
        "signature of another digest",
        |_, trail| trail.hours[2].signature = trail.hours[1].signature.clone(),
        &["its signature is not CloudTrail's for what it says: it was altered"],
    ),
    ("unsigned", |_, trail| trail.hours[3].signature = None, &["it is not signed"]),
    (
        "signed with a key that CloudTrail does not have",
        |cloud, trail| {
            resigned(cloud, &mut trail.hours[3], |digest| digest["digestPublicKeyFingerprint"] = json!("other"))
        },
        &["CloudTrail has no key other"],
    ),
    (
        "hash of the one before wrong",
        |cloud, trail| resigned(cloud, &mut trail.hours[3], |digest| digest["previousDigestHashValue"] = json!("00")),
        &["it names another content of the one before"],
    ),
    (
        "begins anew",
        |cloud, trail| {
            resigned(cloud, &mut trail.hours[3], |digest| {
                for name in ["S3Bucket", "S3Object", "HashValue", "Signature"] {
                    digest[format!("previousDigest{name}")] = Value::Null;
                }
            });
        },
        &["the chain of digests begins anew"],
    ),
];

#[tokio::test]
async fn whatever_is_done_to_a_chain_is_told_once_and_an_untouched_one_is_silent() {
    let Some(cloud) = Cloud::start().await else { return };
    for (account, (_, tamper, _)) in TAMPERINGS.iter().enumerate() {
        let mut trail = cloud.trail(account);
        tamper(&cloud, &mut trail);
        for hour in &trail.hours {
            cloud.put(hour).await;
        }
    }
    cloud.later(3);
    for (account, (what, _, told)) in TAMPERINGS.iter().enumerate() {
        let mut source = cloud.source(account, &Mark::default(), json!({}));
        let gaps = gaps(&until_idle(&mut source).await);
        assert_eq!(gaps.len(), told.len(), "{what}: {gaps:?}");
        for (gap, words) in gaps.iter().zip(*told) {
            assert!(gap.what.contains(words), "{what}: {gap:?}");
        }
        assert_eq!(until_idle(&mut source).await.len(), 0, "{what}: nothing is told again");
    }
}

/// It hands over no records, wherever it begins.
#[tokio::test]
async fn the_source_keeps_the_contract() {
    let Some(cloud) = Cloud::start().await else { return };
    for hour in &cloud.trail(1).hours {
        cloud.put(hour).await;
    }
    cloud.later(3);
    let open = |mark: &Mark| cloud.source(1, mark, json!({}));
    yields_all_in_order(&mut open(&Mark::default()), &[]).await;
    resumes_from_every_mark(open, &[]).await;
}

#[tokio::test]
async fn a_digest_that_was_copied_from_elsewhere_is_no_proof() {
    let Some(cloud) = Cloud::start().await else { return };
    let mut trail = cloud.trail(1);
    trail.hours[3].digest = trail.hours[2].digest.clone();
    trail.hours[3].signature = trail.hours[2].signature.clone();
    for hour in &trail.hours {
        cloud.put(hour).await;
    }
    cloud.later(3);
    let gaps = gaps(&until_idle(&mut cloud.source(1, &Mark::default(), json!({}))).await);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].what.contains(&format!("it was put there from s3://logs/{}", trail.hours[2].key)), "{gaps:?}");
}

#[tokio::test]
async fn a_forged_digest_of_a_time_to_come_blinds_nobody() {
    let Some(cloud) = Cloud::start().await else { return };
    let mut trail = cloud.trail(1);
    let forged =
        Hour { key: trail.hours[1].key.replace("_eu-central-1_20", "_eu-central-1_29"), ..trail.hours[1].clone() };
    trail.hours[3].files[0].1 = b"{}".to_vec();
    for hour in [&trail.hours[0], &trail.hours[1], &forged] {
        cloud.put(hour).await;
    }
    let mut source = cloud.source(1, &Mark::default(), json!({}));
    let batches = until_idle(&mut source).await;
    let told = gaps(&batches);
    assert!(told.len() == 1 && told[0].what.contains("it was put there from"), "{told:?}");
    let mut stored = Mark::default();
    batches.iter().for_each(|batch| stored.0.extend(batch.mark.0.clone()));
    for hour in &trail.hours[2..] {
        cloud.put(hour).await;
    }
    for mut source in [source, cloud.source(1, &stored, json!({}))] {
        let told = gaps(&until_idle(&mut source).await);
        assert!(told.len() == 1 && told[0].what.contains("was altered"), "{told:?}");
    }
}

#[tokio::test]
async fn a_restart_goes_on_behind_the_last_digest_whose_mark_is_stored() {
    let Some(cloud) = Cloud::start().await else { return };
    let trail = cloud.trail(1);
    for hour in &trail.hours {
        cloud.put(hour).await;
    }
    cloud.later(3);
    let all = until_idle(&mut cloud.source(1, &Mark::default(), json!({}))).await;
    assert_eq!(all.len(), HOURS, "a batch a digest");
    let mut stored = Mark::default();
    for (number, batch) in all.iter().enumerate() {
        stored.0.extend(batch.mark.0.clone());
        let rest = until_idle(&mut cloud.source(1, &stored, json!({}))).await;
        assert_eq!(rest.len(), HOURS - 1 - number);
        assert_eq!(gaps(&rest), []);
    }
    // What is deleted behind the mark was verified before.
    cloud.delete(&trail.hours[0].key).await;
    cloud.delete(&trail.hours[0].files[0].0).await;
    assert_eq!(until_idle(&mut cloud.source(1, &stored, json!({}))).await.len(), 0);
    let marks: BTreeMap<_, _> = stored.0;
    assert_eq!(marks.len(), 2, "one a chain, and the moment of the first start");
}

#[tokio::test]
async fn a_digest_that_may_only_be_late_is_waited_for() {
    let Some(cloud) = Cloud::start().await else { return };
    let trail = cloud.trail(1);
    for hour in [0, 1, 3] {
        cloud.put(&trail.hours[hour]).await;
    }
    let mut source = cloud.source(1, &Mark::default(), json!({}));
    let batches = until_idle(&mut source).await;
    assert_eq!((batches.len(), gaps(&batches).len()), (2, 0));
    cloud.put(&trail.hours[2]).await;
    let batches = until_idle(&mut source).await;
    assert_eq!((batches.len(), gaps(&batches).len()), (2, 0), "it has come");
}

#[tokio::test]
async fn a_chain_that_falls_silent_is_told_once() {
    let Some(cloud) = Cloud::start().await else { return };
    cloud.put(&cloud.trail(1).hours[0]).await;
    let mut source = cloud.source(1, &Mark::default(), json!({"overdue": "8h"}));
    assert_eq!(gaps(&until_idle(&mut source).await), []);
    cloud.later(8);
    let told = gaps(&until_idle(&mut source).await);
    assert!(told.len() == 1 && told[0].what.contains("no digest has come since"), "{told:?}");
    assert_eq!(gaps(&until_idle(&mut source).await), []);
}

#[tokio::test]
async fn keys_that_cannot_be_asked_for_hold_the_chain_up_and_lose_nothing() {
    let Some(mut cloud) = Cloud::start().await else { return };
    cloud.put(&cloud.trail(1).hours[0]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let good = std::mem::replace(&mut cloud.keys, nobody);
    let mut source = cloud.source(1, &Mark::default(), json!({}));
    let error = next(&mut source).await.unwrap_err();
    assert!(error.doing.starts_with("ask CloudTrail in eu-central-1 for its public keys"), "{error:?}");
    cloud.keys = good;
    assert_eq!(until_idle(&mut cloud.source(1, &Mark::default(), json!({}))).await.len(), 1);
}
