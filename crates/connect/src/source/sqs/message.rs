//! What a message of the queue leads to: objects, or itself.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::aws::object::Named;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: a test of the way here.
    Nothing,
    /// These objects hold the events.
    Objects(Vec<Named>),
    /// It is an event.
    Event(Bytes),
}

/// Everything that tells one sort of message from another.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline<'a> {
    // Of SNS.
    #[serde(rename = "Type", borrow)]
    sort: Option<Cow<'a, str>>,
    #[serde(rename = "Message", borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(rename = "TopicArn", borrow)]
    topic: Option<Cow<'a, str>>,
    // Of S3.
    #[serde(rename = "Records", borrow)]
    records: Option<&'a RawValue>,
    #[serde(rename = "Event", borrow)]
    event: Option<Cow<'a, str>>,
    // Of EventBridge.
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(rename = "detail-type", borrow)]
    detail_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    // Of CloudTrail.
    #[serde(rename = "s3Bucket", borrow)]
    bucket: Option<Cow<'a, str>>,
    #[serde(rename = "s3ObjectKey")]
    keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    event_source: String,
    event_name: String,
    s3: Place,
}

#[derive(Deserialize)]
struct Place {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    // S3 and EventBridge write it differently.
    #[serde(rename = "versionId", alias = "version-id")]
    version: Option<String>,
}

/// What CloudTrail sends once to a topic that it is told of.
const VALIDATION: &str = "CloudTrail validation message.";

/// Reads a message, straight or as SNS passes it on.
pub(super) fn read(body: &str) -> Said {
    let outline = serde_json::from_str::<Outline<'_>>(body).unwrap_or_default();
    match (outline.sort.as_deref(), &outline.message) {
        (Some("Notification"), Some(message)) if outline.topic.is_some() => inner(message),
        (Some("SubscriptionConfirmation"), Some(_)) if outline.topic.is_some() => {
            let topic = outline.topic.unwrap_or_default();
            tracing::warn!(%topic, "a topic asks to confirm its subscription of the queue: confirm it where it was made");
            Said::Nothing
        }
        _ => inner(body),
    }
}

fn inner(text: &str) -> Said {
    if text.trim() == VALIDATION {
        return Said::Nothing;
    }
    let outline = serde_json::from_str::<Outline<'_>>(text).unwrap_or_default();
    if outline.event.as_deref() == Some("s3:TestEvent") {
        return Said::Nothing;
    }
    let objects = notified(&outline).or_else(|| bridged(&outline)).or_else(|| delivered(&outline));
    // Whoever may send to the queue writes these names: what no bucket can be called is nothing to ask for.
    match objects.filter(|objects| objects.iter().all(Named::is_possible)) {
        Some(objects) => Said::Objects(objects.into_iter().filter(|named| !named.holds_no_events()).collect()),
        None => Said::Event(Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// The objects that a notification of S3 names, if it is one of nothing but created ones.
fn notified(outline: &Outline<'_>) -> Option<Vec<Named>> {
    let notices: Vec<Notice> = serde_json::from_str(outline.records?.get()).ok()?;
    let is_created =
        |notice: &Notice| notice.event_source == "aws:s3" && notice.event_name.starts_with("ObjectCreated:");
    if notices.is_empty() || !notices.iter().all(is_created) {
        return None;
    }
    let named = |Notice { s3: Place { bucket, object }, .. }| Named {
        bucket: bucket.name,
        key: decoded(&object.key),
        version: object.version,
    };
    Some(notices.into_iter().map(named).collect())
}

/// The object that EventBridge tells of. It writes keys as they are.
fn bridged(outline: &Outline<'_>) -> Option<Vec<Named>> {
    if (outline.source.as_deref(), outline.detail_type.as_deref()) != (Some("aws.s3"), Some("Object Created")) {
        return None;
    }
    let Place { bucket, object } = serde_json::from_str(outline.detail?.get()).ok()?;
    Some(vec![Named { bucket: bucket.name, key: object.key, version: object.version }])
}

/// The log files that CloudTrail says it has delivered. It writes keys as they are.
fn delivered(outline: &Outline<'_>) -> Option<Vec<Named>> {
    let bucket = outline.bucket.as_deref()?;
    let named = |key: &String| Named { bucket: bucket.to_owned(), key: key.clone(), version: None };
    Some(outline.keys.as_ref()?.iter().map(named).collect())
}

/// A key as it is: S3 writes it as forms do, a blank as `+`.
fn decoded(key: &str) -> String {
    let mut pairs = form_urlencoded::parse(key.as_bytes());
    match (pairs.next(), pairs.next()) {
        // `&` and `=` are always escaped in what S3 writes; a key where they are not is taken as it is.
        (Some((name, value)), None) if value.is_empty() && !key.contains('=') => name.into_owned(),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notice(event: &str, key: &str) -> serde_json::Value {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": event, "awsRegion": "eu-central-1",
               "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "logs", "arn": "arn:aws:s3:::logs"},
                      "object": {"key": key, "size": 7, "eTag": "e", "sequencer": "1"}}})
    }

    fn wrapped(message: &str) -> String {
        json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": message})
            .to_string()
    }

    fn keys(said: Said) -> Vec<String> {
        let Said::Objects(objects) = said else { panic!("{said:?}") };
        objects.iter().map(|named| format!("{}/{}", named.bucket, named.key)).collect()
    }

    #[test]
    fn every_way_to_name_objects_is_read_straight_and_through_sns() {
        let s3 = json!({"Records": [notice("ObjectCreated:Put", "a/b+c%2B%28d%29%C3%A9.json.gz"),
                                    notice("ObjectCreated:CompleteMultipartUpload", "a/%26%3D")]});
        let bridge = json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail":
            {"bucket": {"name": "logs"}, "object": {"key": "a/b+c%20", "version-id": "v1", "etag": "e"}}});
        let trail = json!({"s3Bucket": "logs", "s3ObjectKey": ["AWSLogs/1/CloudTrail/x.json.gz", "AWSLogs/1/y+z"]});
        for (text, wanted) in [
            (s3.to_string(), vec!["logs/a/b c+(d)é.json.gz", "logs/a/&="]),
            (bridge.to_string(), vec!["logs/a/b+c%20"]),
            (trail.to_string(), vec!["logs/AWSLogs/1/CloudTrail/x.json.gz", "logs/AWSLogs/1/y+z"]),
        ] {
            assert_eq!(keys(read(&text)), wanted);
            assert_eq!(keys(read(&wrapped(&text))), wanted, "through SNS");
        }
        let Said::Objects(objects) = read(&bridge.to_string()) else { panic!("no object") };
        assert_eq!(objects[0].version.as_deref(), Some("v1"));
    }

    #[test]
    fn tests_of_the_way_lead_to_nothing() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}).to_string();
        let confirm = json!({"Type": "SubscriptionConfirmation", "TopicArn": "t", "Token": "x", "Message": "visit"});
        for text in [test.clone(), wrapped(&test), wrapped(VALIDATION), confirm.to_string()] {
            assert_eq!(read(&text), Said::Nothing, "{text}");
        }
    }

    #[test]
    fn digests_hold_no_events_and_insights_do() {
        let at = |folder: &str| notice("ObjectCreated:Put", &format!("AWSLogs/1/{folder}/eu-central-1/x.json.gz"));
        let folders = ["CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight"];
        let text = json!({"Records": folders.map(at)}).to_string();
        assert_eq!(
            keys(read(&text)),
            [
                "logs/AWSLogs/1/CloudTrail/eu-central-1/x.json.gz",
                "logs/AWSLogs/1/CloudTrail-Insight/eu-central-1/x.json.gz"
            ]
        );
        let text = json!({"Records": [notice("ObjectCreated:Put", "AWSLogs/")]}).to_string();
        assert_eq!(read(&text), Said::Objects(Vec::new()));
    }

    #[test]
    fn everything_else_is_an_event_as_it_stands() {
        let removed = json!({"Records": [notice("ObjectRemoved:Delete", "x")]}).to_string();
        let build = json!({"source": "aws.codebuild", "detail-type": "CodeBuild Build State Change", "detail": {}});
        for text in [removed.as_str(), &build.to_string(), "no JSON", "", "{\"Type\":\"Notification\"}", "[1,2]"] {
            assert_eq!(read(text), Said::Event(Bytes::copy_from_slice(text.as_bytes())));
            assert_eq!(read(&wrapped(text)), Said::Event(Bytes::copy_from_slice(text.as_bytes())), "through SNS");
        }
    }
}
