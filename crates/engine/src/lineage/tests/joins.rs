//! What joins to what, and above all what must not.

use serde_json::{Value, json};

use super::*;
use crate::lineage::{Confidence, Source};

pub(super) const MAIN: &str = "repo:acme/shop:ref:refs/heads/main";

/// How surely a key came from what, step by step back.
pub(super) fn chain(lineage: &Lineage, name: &str) -> Vec<(Confidence, Vec<String>)> {
    let source = |source: &Source| match source {
        Source::Credential(card) => card.names.iter().map(|id| id.text.to_string()).collect::<Vec<_>>().join("+"),
        Source::Run(run) => format!("run {}", run.run),
        Source::Workload(workload) => workload.to_string(),
        Source::Who(who) => format!("{} {}", who.sort.words(), who.name),
        Source::Place(place) => format!("{} {}", place.sort.words(), place.name),
    };
    let tree = tree(lineage, name);
    tree.chain.iter().map(|link| (link.confidence, link.from.iter().map(source).collect())).collect()
}

/// CloudTrail and GitHub's audit log together.
pub(super) fn both(aws: &[Value], github: &[Value]) -> Lineage {
    let traces = said(Kind::AwsCloudtrail, aws).into_iter().chain(said(Kind::GithubAudit, github));
    taken(Policy::default(), traces).0
}

#[test]
fn two_runs_in_the_same_second_under_one_session_name_stay_two_sessions() {
    let (one, two) = (temporary("one"), temporary("two"));
    let lineage = aws(&[
        assume_by_oidc("09:00:00", MAIN, &one),
        assume_by_oidc("09:00:00", MAIN, &two),
        call("09:00:05", role_session("Deploy", "GitHubActions", &one, "09:00:00")),
        call("09:00:05", role_session("Deploy", "GitHubActions", &two, "09:00:00")),
    ]);
    for name in [&one, &two] {
        let tree = tree(&lineage, name);
        assert_eq!(tree.credential.names, [key(name)], "no alias of the other");
        assert_eq!(tree.credential.uses.count, 1);
    }
    assert_eq!(lineage.find("AROADEPLOY:GitHubActions").len(), 2, "the principal alone is not exact enough");
}

#[test]
fn two_runs_in_the_same_second_stay_two_sessions_even_if_their_minting_was_not_seen() {
    let (one, two) = (temporary("one"), temporary("two"));
    let lineage = aws(&[
        call("09:00:05", role_session("Deploy", "GitHubActions", &one, "09:00:00")),
        call("09:00:05", role_session("Deploy", "GitHubActions", &two, "09:00:00")),
    ]);
    assert_eq!(tree(&lineage, &one).credential.names, [key(&one)]);
    assert_eq!(chain(&lineage, &one), [(Confidence::None, vec![])]);
}

#[test]
fn events_of_github_that_come_late_complete_the_chain() {
    let session = temporary("late");
    let mut lineage = aws(&[assume_by_oidc("09:00:00", MAIN, &session)]);
    assert_eq!(chain(&lineage, &session)[1].0, Confidence::None);
    for (run, confidence) in [(1, Confidence::UniqueCandidate), (2, Confidence::Ambiguous)] {
        let late = said(Kind::GithubAudit, &[job("08:59:30", run, json!({ "head_branch": "main" }))]);
        late.into_iter().for_each(|trace| lineage.take(trace, &mut Vec::new()));
        assert_eq!(chain(&lineage, &session)[1].0, confidence);
    }
}

#[test]
fn a_chain_of_three_roles_leads_back_to_the_person() {
    let (first, second, third) = (temporary("a"), temporary("b"), temporary("c"));
    let ana = long_lived("ana");
    let lineage = aws(&[
        assume("09:00:00", user("ana", &ana), "Reader", "ana", &first),
        assume("09:01:00", role_session("Reader", "ana", &first, "09:00:00"), "Builder", "x", &second),
        assume("09:02:00", role_session("Builder", "x", &second, "09:01:00"), "Admin", "y", &third),
        call("09:03:00", role_session("Admin", "y", &third, "09:02:00")),
    ]);
    let exact =
        |names: &[&String]| names.iter().map(|name| (Confidence::Exact, vec![(*name).clone()])).collect::<Vec<_>>();
    let steps = chain(&lineage, &third);
    assert_eq!(steps[..3], exact(&[&second, &first, &ana]));
    assert_eq!(steps[3], (Confidence::None, vec![]), "the key itself was made before the log begins");
    let forward = tree(&lineage, &ana);
    assert_eq!(forward.minted[0].minted[0].minted[0].credential.names, [key(&third)]);
}

#[test]
fn keys_of_one_console_session_are_one_entity_that_its_sign_in_began() {
    let keys = [temporary("k1"), temporary("k2"), temporary("k3")];
    let sign_in = |time| {
        record(
            time,
            "ConsoleLogin",
            json!({ "eventSource": "signin.amazonaws.com", "eventID": format!("login-{time}"),
            "userIdentity": { "type": "IAMUser", "principalId": "AIDAANA", "userName": "ana", "accountId": ACCOUNT,
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/ana") },
            "responseElements": { "ConsoleLogin": "Success" } }),
        )
    };
    let mut records = vec![sign_in("09:00:00")];
    records.extend(keys.iter().map(|key| call("09:10:00", user_session("ana", key, "09:00:00"))));
    let other = temporary("other");
    records.push(call("12:00:00", user_session("ana", &other, "11:00:00")));
    let lineage = aws(&records);
    let session = tree(&lineage, &keys[1]);
    assert_eq!(session.credential.names, keys.iter().map(|name| key(name)).collect::<Vec<_>>());
    assert_eq!(session.credential.uses.count, 3);
    let ana = format!("person arn:aws:iam::{ACCOUNT}:user/ana");
    assert_eq!(
        chain(&lineage, &keys[1]),
        [(Confidence::UniqueCandidate, vec!["login-09:00:00".to_owned()]), (Confidence::Exact, vec![ana])]
    );
    assert_eq!(tree(&lineage, "login-09:00:00").minted.len(), 1, "three keys are one session");
    assert_eq!(chain(&lineage, &other), [(Confidence::None, vec![])], "another second is another session");
    // A second sign-in in the same second could have begun it as well.
    records.push(sign_in("09:00:01"));
    let steps = chain(&aws(&records), &keys[0]);
    assert_eq!(steps, [(Confidence::Ambiguous, vec!["login-09:00:00".to_owned(), "login-09:00:01".to_owned()])]);
}

#[test]
fn a_key_with_a_record_of_its_own_is_no_alias_of_a_session_that_began_in_the_same_second() {
    let (token, console) = (temporary("token"), temporary("console"));
    let ana = long_lived("ana");
    let lineage = aws(&[
        record(
            "09:00:00",
            "GetSessionToken",
            json!({ "userIdentity": user("ana", &ana),
            "responseElements": { "credentials": { "accessKeyId": token, "expiration": "Nov 20, 2026 9:00:00 PM" } } }),
        ),
        call("09:01:00", user_session("ana", &token, "09:00:00")),
        call("09:01:00", user_session("ana", &console, "09:00:00")),
    ]);
    assert_eq!(tree(&lineage, &token).credential.names, [key(&token)]);
    assert_eq!(tree(&lineage, &console).credential.names, [key(&console)]);
    assert_eq!(chain(&lineage, &token)[0], (Confidence::Exact, vec![ana]));
}

#[test]
fn a_long_lived_key_is_no_key_of_a_session_though_its_record_names_one() {
    let (ana, console) = (long_lived("ana"), temporary("console"));
    let lineage = aws(&[
        call("09:01:00", user_session("ana", &ana, "09:00:00")),
        call("09:01:00", user_session("ana", &console, "09:00:00")),
    ]);
    assert_eq!(tree(&lineage, &console).credential.names, [key(&console)]);
    assert_eq!(tree(&lineage, &ana).credential.names, [key(&ana)]);
}

#[test]
fn one_session_name_by_two_callers_is_two_sessions_of_two_people() {
    let (one, two) = (temporary("one"), temporary("two"));
    let (ana, eve) = (long_lived("ana"), long_lived("eve"));
    let lineage = aws(&[
        assume("09:00:00", user("ana", &ana), "Deploy", "release", &one),
        assume("09:00:00", user("eve", &eve), "Deploy", "release", &two),
        call("09:00:10", role_session("Deploy", "release", &one, "09:00:00")),
        call("09:00:10", role_session("Deploy", "release", &two, "09:00:00")),
    ]);
    assert_eq!(chain(&lineage, &one)[0].1, [ana]);
    assert_eq!(chain(&lineage, &two)[0].1, [eve]);
}

#[test]
fn a_key_that_was_deleted_and_one_made_anew_for_the_same_user_are_two() {
    let (old, new, admin) = (long_lived("old"), long_lived("new"), long_lived("root"));
    let iam = |time, name, more: Value| {
        let mut record =
            record(time, name, json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &admin) }));
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let made = |time, key: &str| {
        iam(
            time,
            "CreateAccessKey",
            json!({ "requestParameters": { "userName": "bob" },
            "responseElements": { "accessKey": { "accessKeyId": key, "userName": "bob", "status": "Active" } } }),
        )
    };
    let lineage = aws(&[
        made("09:00:00", &old),
        iam("10:00:00", "DeleteAccessKey", json!({ "requestParameters": { "userName": "bob", "accessKeyId": old } })),
        made("10:00:01", &new),
        call("11:00:00", user("bob", &new)),
    ]);
    assert_eq!(tree(&lineage, &old).credential.ended[0].what, "deleted");
    let new = tree(&lineage, &new);
    assert!(new.credential.ended.is_empty() && new.findings.iter().all(|finding| finding.kind.name() != "after_end"));
}

#[test]
fn a_federation_token_keeps_its_origin_and_outlives_the_key_that_asked_for_it() {
    let (ana, token) = (long_lived("ana"), temporary("fed"));
    let holder = json!({ "type": "FederatedUser", "principalId": format!("{ACCOUNT}:ops"), "accountId": ACCOUNT,
        "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/ops"), "accessKeyId": token, "sessionContext": {
            "sessionIssuer": { "type": "IAMUser", "arn": format!("arn:aws:iam::{ACCOUNT}:user/ana"), "userName": "ana" },
            "attributes": { "creationDate": "2026-11-20T09:00:00Z" } } });
    let lineage = aws(&[
        record(
            "09:00:00",
            "GetFederationToken",
            json!({ "userIdentity": user("ana", &ana),
            "requestParameters": { "name": "ops" },
            "responseElements": { "credentials": { "accessKeyId": token, "expiration": "Nov 20, 2026, 9:00:00 PM" },
                "federatedUser": { "federatedUserId": format!("{ACCOUNT}:ops"),
                    "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/ops") } } }),
        ),
        record(
            "09:30:00",
            "DeleteAccessKey",
            json!({ "eventSource": "iam.amazonaws.com",
            "userIdentity": user("ana", &ana), "requestParameters": { "accessKeyId": ana } }),
        ),
        call("10:00:00", holder),
    ]);
    let tree = tree(&lineage, &token);
    assert_eq!(chain(&lineage, &token)[0], (Confidence::Exact, vec![ana]));
    assert_eq!(tree.credential.uses.count, 1);
    assert!(tree.findings.is_empty(), "the token itself has not ended: {:?}", tree.findings);
}

#[test]
fn a_use_that_a_clock_puts_before_its_minting_joins_all_the_same() {
    let (ana, session) = (long_lived("ana"), temporary("skew"));
    let lineage = aws(&[
        call("08:59:58", role_session("Reader", "ana", &session, "08:59:58")),
        assume("09:00:00", user("ana", &ana), "Reader", "ana", &session),
    ]);
    assert_eq!(chain(&lineage, &session)[0], (Confidence::Exact, vec![ana]));
    assert!(lineage.findings().is_empty());
}

#[test]
fn a_call_across_accounts_is_joined_by_the_log_that_names_the_key() {
    let (ana, session) = (long_lived("ana"), temporary("cross"));
    let theirs = json!({ "type": "AWSAccount", "principalId": "AIDAANA", "accountId": "444455556666" });
    let mut ours = assume("09:00:00", theirs, "Reader", "ana", &session);
    ours["eventID"] = "other-account".into();
    let alone = aws(std::slice::from_ref(&ours));
    assert_eq!(chain(&alone, &session), [(Confidence::Exact, vec!["another account AIDAANA".to_owned()])]);
    let both = aws(&[ours, assume("09:00:00", user("ana", &ana), "Reader", "ana", &session)]);
    assert_eq!(chain(&both, &session)[0], (Confidence::Exact, vec![ana]));
}

#[test]
fn a_session_of_an_instance_is_joined_by_what_aws_writes_and_never_by_its_name() {
    let session = temporary("ec2");
    let mut caller = role_session("Web", "i-0abc0abc0abc0abc0", &session, "09:00:00");
    assert_eq!(chain(&aws(&[call("09:01:00", caller.clone())]), &session), [(Confidence::None, vec![])]);
    caller["sessionContext"]["ec2RoleDelivery"] = "2.0".into();
    let delivered = aws(&[call("09:01:00", caller)]);
    assert_eq!(chain(&delivered, &session), [(Confidence::Exact, vec!["instance i-0abc0abc0abc0abc0".to_owned()])]);
}

#[test]
fn the_source_identity_of_a_chain_is_shown_though_its_minting_was_not_seen() {
    let session = temporary("src");
    let mut caller = role_session("Reader", "anything", &session, "09:00:00");
    caller["sessionContext"]["sourceIdentity"] = "ana@example.com".into();
    let lineage = aws(&[call("09:01:00", caller)]);
    assert_eq!(tree(&lineage, &session).credential.source_identity.as_deref(), Some("ana@example.com"));
}

#[test]
fn a_masked_id_names_no_credential() {
    let lineage = aws(&[call("09:00:00", user("ana", "AKIA****************")), call("09:00:00", user("ana", ""))]);
    assert!(lineage.is_empty());
}

#[test]
fn what_no_log_tells_is_said_to_be_unknown() {
    let session = temporary("orphan");
    let parent = temporary("parent");
    let lineage = aws(&[assume("09:00:00", role_session("A", "x", &parent, "08:00:00"), "B", "y", &session)]);
    let steps = chain(&lineage, &session);
    assert_eq!(steps, [(Confidence::Exact, vec![parent]), (Confidence::None, vec![])]);
}

#[test]
fn the_token_that_asks_is_not_the_token_that_is_made() {
    let entry = |time: i64, more: Value| {
        let mut entry = json!({ "@timestamp": 1_795_161_641_000_i64 + time, "_document_id": format!("t{time}"), "org": "acme",
            "actor": "ana", "actor_ip": "198.51.100.24", "user": "bob" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let mut granted = json!({ "action": "personal_access_token.access_granted", "user_programmatic_access_id": 7,
        "programmatic_access_type": "Personal access token (classic)", "hashed_token": "YW5h", "token_id": 3 });
    let github = |records: &[Value]| taken(Policy::default(), said(Kind::GithubAudit, records)).0;
    let lineage = github(&[entry(0, granted.clone())]);
    assert_eq!(chain(&lineage, "7")[0], (Confidence::Exact, vec!["YW5h+3".to_owned()]));
    assert_eq!(tree(&lineage, "7").credential.names, [Id::new(Sort::GithubGrant, "7")]);
    granted.as_object_mut().unwrap().remove("user_programmatic_access_id");
    let lineage = github(&[entry(0, granted)]);
    assert!(tree(&lineage, "YW5h").credential.minted.is_none(), "what was made has no name in this entry");
}

#[test]
fn a_path_of_impersonation_that_two_keys_asked_for_is_of_neither() {
    let ci = "ci@acme.iam.gserviceaccount.com";
    let asked = |time: &str, key: Option<&str>| {
        let mut auth = json!({ "principalEmail": ci });
        if let Some(key) = key {
            auth["serviceAccountKeyName"] =
                format!("//iam.googleapis.com/projects/a/serviceAccounts/{ci}/keys/{key}").into();
        }
        json!({ "insertId": time, "timestamp": format!("2026-11-20T{time}Z"),
            "logName": "projects/a/logs/cloudaudit.googleapis.com%2Fdata_access",
            "protoPayload": { "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "methodName": "GenerateAccessToken",
                "authenticationInfo": auth, "request": { "name": "projects/-/serviceAccounts/prod@x" } } })
    };
    for (reason, keys, confidence) in [
        ("no key", vec![None, None], Confidence::Exact),
        ("one key, again and again", vec![Some("k1"), Some("k1"), Some("k1")], Confidence::UniqueCandidate),
        ("two keys", vec![Some("k1"), Some("k2")], Confidence::Ambiguous),
        ("a key and a machine", vec![Some("k1"), None], Confidence::Ambiguous),
    ] {
        let records: Vec<Value> =
            keys.iter().zip(10..).map(|(key, hour)| asked(&format!("{hour}:00:00"), *key)).collect();
        let lineage = taken(Policy::default(), said(Kind::GcpAudit, &records)).0;
        assert_eq!(chain(&lineage, &format!("{ci} → prod@x"))[0].0, confidence, "{reason}");
    }
}

#[test]
fn a_federated_console_session_is_a_candidate_of_what_was_issued_in_its_second_and_stays_its_own() {
    let (issued, console) = (temporary("saml"), [temporary("c1"), temporary("c2")]);
    let mut saml = assume(
        "09:00:00",
        json!({ "type": "SAMLUser", "userName": "ana@example.com",
        "principalId": "x:ana@example.com", "identityProvider": "x" }),
        "Ops",
        "ana",
        &issued,
    );
    saml["eventName"] = "AssumeRoleWithSAML".into();
    let in_console = |key: &str| {
        let mut record = call("09:05:00", role_session("Ops", "ana", key, "09:00:00"));
        record["sessionCredentialFromConsole"] = "true".into();
        record
    };
    let lineage = aws(&[saml, in_console(&console[0]), in_console(&console[1])]);
    let session = tree(&lineage, &console[0]);
    assert_eq!(session.credential.names, console.iter().map(|name| key(name)).collect::<Vec<_>>());
    assert_eq!(
        chain(&lineage, &console[0]),
        [
            (Confidence::UniqueCandidate, vec![issued.clone()]),
            (Confidence::Exact, vec!["person ana@example.com".to_owned()])
        ]
    );
    let branches = tree(&lineage, &issued).minted;
    assert_eq!((branches.len(), branches[0].confidence), (1, Confidence::UniqueCandidate));
}
