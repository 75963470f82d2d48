//! Whole stories, from records of documented shape.

mod findings;
mod joins;
mod laws;
mod runs;
mod vendors;

use serde_json::{Value, json};

use super::{Caps, Finding, Id, Lineage, Policy, Sort, Trace, Tree, traces};
use crate::event::Kind;
use crate::normalise::{Format, Limits, normalise};

pub(super) const ACCOUNT: &str = "111122223333";

/// What records of one kind say.
#[track_caller]
pub(super) fn said(kind: Kind, records: &[Value]) -> Vec<Trace> {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for (number, record) in records.iter().enumerate() {
        let position = format!("{}:{number}", kind.name());
        let text = record.to_string();
        normalise(Format::Known(kind), text.as_bytes(), &position, &Limits::default(), &mut events, &mut rejects);
    }
    assert!(rejects.is_empty(), "{rejects:?}");
    events.iter().flat_map(traces).collect()
}

/// The lineage of these traces, and what was found on the way.
pub(super) fn taken(policy: Policy, traces: impl IntoIterator<Item = Trace>) -> (Lineage, Vec<Finding>) {
    let mut lineage = Lineage::new(Caps::default(), policy);
    let mut found = Vec::new();
    traces.into_iter().for_each(|trace| lineage.take(trace, &mut found));
    (lineage, found)
}

#[track_caller]
pub(super) fn aws(records: &[Value]) -> Lineage {
    taken(Policy::default(), said(Kind::AwsCloudtrail, records)).0
}

/// An access key's id that looks like one: `ASIA`, the name, and as many letters as AWS has.
pub(super) fn temporary(name: &str) -> String {
    format!("{:X<20}", format!("ASIA{}", name.to_uppercase()))
}

/// A long-lived one.
pub(super) fn long_lived(name: &str) -> String {
    format!("{:X<20}", format!("AKIA{}", name.to_uppercase()))
}

#[track_caller]
pub(super) fn tree(lineage: &Lineage, name: &str) -> Tree {
    let found = lineage.find(name);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    lineage.trace(&found[0]).unwrap()
}

pub(super) fn key(name: &str) -> Id {
    Id::new(Sort::AwsKey, name)
}

/// A record of CloudTrail at this time of the day; `more` says all else.
pub(super) fn record(time: &str, name: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": format!("2026-11-20T{time}Z"), "eventSource": "sts.amazonaws.com",
        "eventName": name, "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2",
        "eventID": format!("{name}-{time}-{}", blake3::hash(more.to_string().as_bytes()).to_hex().get(..8).unwrap()),
        "recipientAccountId": ACCOUNT,
    });
    let members = more.as_object().unwrap().clone();
    record.as_object_mut().unwrap().extend(members);
    record
}

/// Who calls: a user with a long-lived key.
pub(super) fn user(name: &str, key: &str) -> Value {
    json!({ "type": "IAMUser", "principalId": format!("AIDA{}", name.to_uppercase()), "accountId": ACCOUNT,
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "userName": name, "accessKeyId": key })
}

/// Who calls: a user in a session that began at this time of the day.
pub(super) fn user_session(name: &str, key: &str, begun: &str) -> Value {
    let mut user = user(name, key);
    user["sessionContext"] =
        json!({ "attributes": { "creationDate": format!("2026-11-20T{begun}Z"), "mfaAuthenticated": "true" } });
    user
}

/// Who calls: a session of a role.
pub(super) fn role_session(role: &str, session: &str, key: &str, begun: &str) -> Value {
    json!({ "type": "AssumedRole", "principalId": format!("AROA{}:{session}", role.to_uppercase()),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"), "accountId": ACCOUNT,
        "accessKeyId": key, "sessionContext": {
            "sessionIssuer": { "type": "Role", "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "userName": role },
            "attributes": { "creationDate": format!("2026-11-20T{begun}Z"), "mfaAuthenticated": "false" } } })
}

/// `AssumeRole`, answered with this key.
pub(super) fn assume(time: &str, caller: Value, role: &str, session: &str, key: &str) -> Value {
    record(
        time,
        "AssumeRole",
        json!({ "userIdentity": caller,
        "requestParameters": { "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "roleSessionName": session },
        "responseElements": issued(role, session, key) }),
    )
}

fn issued(role: &str, session: &str, key: &str) -> Value {
    json!({ "credentials": { "accessKeyId": key, "expiration": "Nov 20, 2026, 11:00:00 PM", "sessionToken": "no token" },
        "assumedRoleUser": { "assumedRoleId": format!("AROA{}:{session}", role.to_uppercase()),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}") } })
}

/// `AssumeRoleWithWebIdentity` by a workflow of GitHub, under the name that the usual action gives.
pub(super) fn assume_by_oidc(time: &str, subject: &str, key: &str) -> Value {
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
    let mut answer = issued("Deploy", "GitHubActions", key);
    answer["subjectFromWebIdentityToken"] = subject.into();
    answer["audience"] = "sts.amazonaws.com".into();
    answer["provider"] = provider.clone().into();
    record(
        time,
        "AssumeRoleWithWebIdentity",
        json!({
        "sourceIPAddress": "192.0.2.80",
        "userIdentity": { "type": "WebIdentityUser", "principalId": format!("{provider}:sts.amazonaws.com:{subject}"),
            "userName": subject, "identityProvider": provider },
        "requestParameters": { "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/Deploy"),
            "roleSessionName": "GitHubActions", "durationSeconds": 3600 },
        "responseElements": answer }),
    )
}

/// Any call.
pub(super) fn call(time: &str, caller: Value) -> Value {
    record(time, "ListBuckets", json!({ "eventSource": "s3.amazonaws.com", "userIdentity": caller }))
}

/// A job of a workflow, as the audit log of an enterprise tells it.
pub(super) fn job(time: &str, run: u64, more: Value) -> Value {
    let time = format!("2026-11-20T{time}Z").parse::<crate::time::Timestamp>().unwrap().millis();
    let mut entry = json!({ "@timestamp": time, "_document_id": format!("job-{run}-{time}-{more}"), "org": "acme",
        "action": "workflows.prepared_workflow_job", "actor": "", "repo": "acme/shop", "workflow_run_id": run });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}
