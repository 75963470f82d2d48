//! What is odd, and what only looks so.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::address::{Addresses, Aspect, Ranges, Whereabouts};
use crate::lineage::FindingKind;
use crate::rule::Severity;

const MAIN: &str = "repo:acme/shop:ref:refs/heads/main";

fn policy() -> Policy {
    Policy {
        ci: vec!["192.0.2.0/24".parse().unwrap()],
        cloud: vec!["203.0.113.0/24".parse().unwrap()],
        admin_roles: vec!["BreakGlass".to_owned()],
        ..Policy::default()
    }
}

/// What is found in records of CloudTrail, told on the way and at the end alike.
#[track_caller]
fn found(records: &[serde_json::Value]) -> Vec<(FindingKind, Severity)> {
    let (lineage, told) = taken(policy(), said(Kind::AwsCloudtrail, records));
    let kinds = |findings: &[Finding]| {
        let mut kinds: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.severity)).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&told), kinds(&lineage.findings()));
    kinds(&told)
}

fn from(network: &str, mut record: serde_json::Value) -> serde_json::Value {
    record["sourceIPAddress"] = network.into();
    record
}

#[test]
fn networks_of_runners_may_be_known_by_an_atlas_and_one_that_knows_none_says_nothing() {
    let session = temporary("ci");
    let deploy = role_session("Deploy", "GitHubActions", &session, "09:00:00");
    for (aspect, address, expected) in [
        (Aspect::Pipeline, "192.0.2.9", 0),
        (Aspect::Pipeline, "198.51.100.7", 1),
        (Aspect::Country, "198.51.100.7", 0),
    ] {
        let mut place = Whereabouts::default();
        place.set(aspect, "github");
        let addresses = Addresses::of(Arc::new(Ranges::new([("192.0.2.0/24".parse().unwrap(), place)])));
        let records = [assume_by_oidc("09:00:00", MAIN, &session), from(address, call("09:01:00", deploy.clone()))];
        let policy = Policy { addresses, ..Policy::default() };
        let (_, told) = taken(policy, said(Kind::AwsCloudtrail, &records));
        assert_eq!(told.len(), expected, "{aspect:?} {address}");
    }
}

#[test]
fn a_pipelines_session_belongs_to_the_networks_of_its_runners() {
    let session = temporary("ci");
    let next = temporary("next");
    let deploy = || role_session("Deploy", "GitHubActions", &session, "09:00:00");
    let outside = vec![(FindingKind::OutsideCi, Severity::High)];
    for (reason, record, expected) in [
        ("a runner", from("192.0.2.9", call("09:01:00", deploy())), vec![]),
        ("a service on its behalf", from("cloudformation.amazonaws.com", call("09:01:00", deploy())), vec![]),
        ("an endpoint in a private network", from("10.1.2.3", call("09:01:00", deploy())), vec![]),
        ("a laptop", from("198.51.100.7", call("09:01:00", deploy())), outside.clone()),
    ] {
        assert_eq!(found(&[assume_by_oidc("09:00:00", MAIN, &session), record]), expected, "{reason}");
    }
    let chained = [
        assume_by_oidc("09:00:00", MAIN, &session),
        from("192.0.2.9", assume("09:01:00", deploy(), "Prod", "x", &next)),
        from("198.51.100.7", call("09:02:00", role_session("Prod", "x", &next, "09:01:00"))),
    ];
    assert_eq!(found(&chained), outside, "what a pipeline's session minted belongs there, too");
    let made = long_lived("made");
    let create = record(
        "09:01:00",
        "CreateAccessKey",
        json!({ "eventSource": "iam.amazonaws.com", "sourceIPAddress": "192.0.2.9", "userIdentity": deploy(),
            "responseElements": { "accessKey": { "accessKeyId": made, "userName": "app" } } }),
    );
    let elsewhere = from("198.51.100.7", call("09:02:00", user("app", &made)));
    let made_for_another = vec![(FindingKind::UsedByAnother, Severity::Medium)];
    let records = [assume_by_oidc("09:00:00", MAIN, &session), create, elsewhere];
    assert_eq!(found(&records), made_for_another, "a long-lived key that it made may be meant for elsewhere");
    let stolen = from("198.51.100.7", assume_by_oidc("09:00:00", MAIN, &session));
    assert_eq!(found(&[stolen]), outside, "the token itself was exchanged elsewhere");
}

#[test]
fn credentials_of_an_instance_belong_to_the_cloud() {
    let key = temporary("ec2");
    let service = json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" });
    let minted = from("ec2.amazonaws.com", assume("09:00:00", service, "Web", "i-0abc0abc0abc0abc0", &key));
    let web = || role_session("Web", "i-0abc0abc0abc0abc0", &key, "09:00:00");
    let outside = vec![(FindingKind::OutsideCloud, Severity::High)];
    for (reason, network, expected) in
        [("the cloud", "203.0.113.9", vec![]), ("elsewhere", "198.51.100.7", outside.clone())]
    {
        assert_eq!(found(&[minted.clone(), from(network, call("09:01:00", web()))]), expected, "{reason}");
    }
    let mut delivered = web();
    delivered["sessionContext"]["ec2RoleDelivery"] = "2.0".into();
    assert_eq!(found(&[call("09:01:00", delivered)]), outside, "AWS says that it was given to an instance");
    assert_eq!(
        found(&[call("09:01:00", web())]),
        [],
        "a session's name alone is its caller's choice and proves nothing"
    );
    let mut function = web();
    function["inScopeOf"] = json!({ "issuerType": "AWS::Lambda::Function",
        "credentialsIssuedTo": format!("arn:aws:lambda:eu-west-1:{ACCOUNT}:function:pay") });
    assert_eq!(found(&[call("09:01:00", function)]), outside, "a function");
}

#[test]
fn without_networks_nothing_is_outside() {
    let session = temporary("ci");
    let records = [
        assume_by_oidc("09:00:00", MAIN, &session),
        call("09:01:00", role_session("Deploy", "GitHubActions", &session, "09:00:00")),
    ];
    assert!(aws(&records).findings().is_empty());
}

#[test]
fn a_key_made_for_another_user_is_worst_where_its_maker_uses_it() {
    let (admin, made) = (long_lived("admin"), long_lived("made"));
    let create = |owner: Option<&str>| {
        let asked = owner.map_or(json!(null), |name| json!({ "userName": name }));
        record(
            "09:00:00",
            "CreateAccessKey",
            json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &admin),
            "requestParameters": asked,
            "responseElements": { "accessKey": { "accessKeyId": made, "userName": owner.unwrap_or("ana") } } }),
        )
    };
    let another = |severity| vec![(FindingKind::UsedByAnother, severity)];
    assert_eq!(found(&[create(Some("bob"))]), [], "not used yet");
    assert_eq!(found(&[create(None), call("09:01:00", user("ana", &made))]), [], "one's own");
    assert_eq!(found(&[create(Some("bob")), call("09:01:00", user("bob", &made))]), another(Severity::High));
    let elsewhere = from("203.0.113.50", call("09:01:00", user("bob", &made)));
    assert_eq!(found(&[create(Some("bob")), elsewhere]), another(Severity::Medium));
}

#[test]
fn a_use_after_the_end_is_found_once_the_end_holds_everywhere() {
    let (admin, key) = (long_lived("admin"), long_lived("bob"));
    let end = |time: &str, status: &str| {
        record(
            time,
            "UpdateAccessKey",
            json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &admin),
            "requestParameters": { "accessKeyId": key, "userName": "bob", "status": status } }),
        )
    };
    let used = |time: &str| call(time, user("bob", &key));
    let after = vec![(FindingKind::AfterEnd, Severity::High)];
    for (reason, records, expected) in [
        ("before", vec![used("08:59:00"), end("09:00:00", "Inactive")], vec![]),
        ("within the skew", vec![end("09:00:00", "Inactive"), used("09:04:00")], vec![]),
        ("after", vec![end("09:00:00", "Inactive"), used("09:06:00")], after.clone()),
        ("the end comes late", vec![used("09:06:00"), end("09:00:00", "Inactive")], after.clone()),
        ("made valid again", vec![end("09:00:00", "Inactive"), end("10:00:00", "Active"), used("10:06:00")], vec![]),
    ] {
        assert_eq!(found(&records), expected, "{reason}");
    }
    let mut refused = used("09:06:00");
    refused["errorCode"] = "AccessDenied".into();
    assert_eq!(found(&[end("09:00:00", "Inactive"), refused]), [(FindingKind::AfterEnd, Severity::Medium)]);
}

#[test]
fn a_session_that_is_used_after_it_expired_is_found() {
    let (ana, session) = (long_lived("ana"), temporary("old"));
    let reader = || role_session("Reader", "x", &session, "09:00:00");
    let records = |time: &str| [assume("09:00:00", user("ana", &ana), "Reader", "x", &session), call(time, reader())];
    assert_eq!(found(&records("22:59:00")), []);
    assert_eq!(found(&records("23:06:00")), [(FindingKind::AfterEnd, Severity::High)]);
}

#[test]
fn a_key_that_slept_is_told_with_its_days() {
    let key = long_lived("old");
    let on = |day: &str| {
        let mut record = call("09:00:00", user("bob", &key));
        record["eventTime"] = format!("{day}T09:00:00Z").into();
        record["eventID"] = day.into();
        record
    };
    assert_eq!(found(&[on("2026-05-01"), on("2026-07-29")]), [], "89 days");
    let (lineage, told) = taken(policy(), said(Kind::AwsCloudtrail, &[on("2026-05-01"), on("2026-07-30")]));
    assert_eq!(told.len(), 1);
    assert_eq!(
        lineage.findings()[0].sentence,
        format!("access key {key} was used from 198.51.100.7 for ListBuckets after 90 days without a use")
    );
    let session = on("2026-07-30").to_string().replace(&key, &temporary("s"));
    assert_eq!(found(&[on("2026-05-01"), serde_json::from_str(&session).unwrap()]), [], "a session does not sleep");
}

#[test]
fn a_chain_of_roles_that_ends_in_an_administrators_is_found() {
    let (ana, first, second) = (long_lived("ana"), temporary("a"), temporary("b"));
    let policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess";
    let attached = |action: &str| {
        record(
            "08:00:00",
            action,
            json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &ana),
            "requestParameters": { "roleName": "Power", "policyArn": policy_arn } }),
        )
    };
    let start = assume("09:00:00", user("ana", &ana), "Reader", "x", &first);
    let on = |role: &str| assume("09:01:00", role_session("Reader", "x", &first, "09:00:00"), role, "x", &second);
    let admin = vec![(FindingKind::ChainToAdmin, Severity::High)];
    for (reason, records, expected) in [
        ("a plain role", vec![start.clone(), on("Writer")], vec![]),
        ("by its name", vec![start.clone(), on("BreakGlass")], admin.clone()),
        ("the policy was seen", vec![attached("AttachRolePolicy"), start.clone(), on("Power")], admin.clone()),
        ("the policy was taken away", vec![attached("DetachRolePolicy"), start.clone(), on("Power")], vec![]),
        ("its own role again", vec![start.clone(), on("Reader")], vec![]),
        ("no chain", vec![assume("09:00:00", user("ana", &ana), "BreakGlass", "x", &first)], vec![]),
    ] {
        assert_eq!(found(&records), expected, "{reason}");
    }
}

#[test]
fn a_token_of_one_person_that_another_one_uses_is_found() {
    let entry = |time: i64, more: serde_json::Value| {
        let mut entry = json!({ "@timestamp": 1_795_161_641_000_i64 + time, "_document_id": format!("t{time}"), "org": "acme",
            "actor": "ana", "actor_ip": "198.51.100.24", "hashed_token": "aGFzaA==" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let made = entry(0, json!({ "action": "personal_access_token.create" }));
    for (actor, expected) in [("ana", 0), ("eve", 1)] {
        let used = entry(1, json!({ "action": "git.clone", "actor": actor }));
        let (_, told) = taken(policy(), said(Kind::GithubAudit, &[made.clone(), used]));
        assert_eq!(told.iter().filter(|one| one.kind == FindingKind::UsedByAnother).count(), expected, "{actor}");
    }
}
