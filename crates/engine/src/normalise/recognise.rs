//! `auto`: which kind a record is, by its shape. The first that fits wins; the order is in `docs/kinds.md`.

use sonic_rs::{JsonValueTrait, Value};

use super::text;
use crate::event::Kind;

/// The kind of one record that is out of its wrapper.
pub(super) fn kind(document: &Value) -> Kind {
    let has = |name: &str| document.get(name).is_some();
    // S3 and SNS notifications have the same members, and sources such as `aws:s3`.
    let source = text(document, "eventSource").is_some_and(|source| !source.starts_with("aws:"));
    let cloudtrail = has("eventVersion") && (source && has("eventName") || has("insightDetails"));
    let audit = text(document, "action").is_some()
        && (has("@timestamp") || has("created_at"))
        && (has("_document_id") || text(document, "actor").is_some());
    let delivery =
        document.get("headers").is_some_and(|headers| super::webhook::header(headers, "x-github-event").is_some());
    let body = has("sender") && (has("repository") || has("organization") || has("installation"));
    match () {
        () if cloudtrail => Kind::AwsCloudtrail,
        () if audit => Kind::GithubAudit,
        () if delivery || body => Kind::GithubWebhook,
        () => Kind::Json,
    }
}
