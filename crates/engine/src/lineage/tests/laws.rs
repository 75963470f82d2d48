//! What holds for all records: their order does not matter, what is saved comes back, and nothing grows without bound.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::lineage::Saved;
use crate::time::Span;

/// A small world in which everything is told of everything, so that any order meets every join.
fn world() -> Vec<Trace> {
    let (ana, eve) = (long_lived("ana"), long_lived("eve"));
    let names: Vec<String> = (0..6).map(|number| temporary(&format!("w{number}"))).collect();
    let main = "repo:acme/shop:ref:refs/heads/main";
    let aws = [
        assume("09:00:00", user("ana", &ana), "Reader", "x", &names[0]),
        assume("09:00:00", role_session("Reader", "x", &names[0], "09:00:00"), "Admin", "x", &names[1]),
        call("09:01:00", role_session("Admin", "x", &names[1], "09:00:00")),
        call("23:59:00", role_session("Admin", "x", &names[1], "09:00:00")),
        assume_by_oidc("09:00:00", main, &names[2]),
        assume_by_oidc("09:00:00", main, &names[3]),
        call("09:02:00", role_session("Deploy", "GitHubActions", &names[2], "09:00:00")),
        call("09:03:00", user_session("eve", &names[4], "09:00:00")),
        call("09:04:00", user_session("eve", &names[5], "09:00:00")),
        record(
            "09:00:00",
            "ConsoleLogin",
            json!({ "eventSource": "signin.amazonaws.com", "eventID": "login",
            "userIdentity": user("eve", ""), "responseElements": { "ConsoleLogin": "Success" } }),
        ),
        record(
            "09:05:00",
            "CreateAccessKey",
            json!({ "eventSource": "iam.amazonaws.com",
            "userIdentity": user_session("eve", &names[4], "09:00:00"), "requestParameters": { "userName": "bob" },
            "responseElements": { "accessKey": { "accessKeyId": eve, "userName": "bob" } } }),
        ),
        call("09:06:00", user("bob", &eve)),
        record(
            "09:07:00",
            "UpdateAccessKey",
            json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &ana),
            "requestParameters": { "accessKeyId": eve, "status": "Inactive" } }),
        ),
        call("10:06:00", user("bob", &eve)),
        record(
            "08:00:00",
            "AttachRolePolicy",
            json!({ "eventSource": "iam.amazonaws.com", "userIdentity": user("ana", &ana),
            "requestParameters": { "roleName": "Admin", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" } }),
        ),
    ];
    let token = |time: i64, more: Value| {
        let mut entry = json!({ "@timestamp": 1_795_161_641_000_i64 + time, "_document_id": format!("t{time}"),
            "action": "git.clone", "actor": "ana", "actor_ip": "198.51.100.24", "org": "acme" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let github = [
        job("08:59:00", 1, json!({ "head_branch": "main" })),
        job("08:59:00", 2, json!({ "environment_name": "production" })),
        job("09:30:00", 2, json!({ "action": "workflows.completed_workflow_run", "head_branch": "main" })),
        token(0, json!({ "action": "personal_access_token.access_granted", "token_id": 7 })),
        token(1, json!({ "token_id": 7, "hashed_token": "aGFzaA==" })),
        token(2, json!({ "hashed_token": "aGFzaA==", "actor": "eve" })),
        token(3, json!({ "hashed_token": "b3RoZXI=", "token_id": 8 })),
    ];
    said(Kind::AwsCloudtrail, &aws).into_iter().chain(said(Kind::GithubAudit, &github)).collect()
}

fn policy() -> Policy {
    Policy { ci: vec!["192.0.2.0/24".parse().unwrap()], ..Policy::default() }
}

/// All that a lineage says.
fn printed(lineage: &Lineage) -> String {
    let names: std::collections::BTreeSet<Id> = lineage.names().cloned().collect();
    let trees = names.iter().map(|id| format!("{}\n", lineage.trace(id).unwrap()));
    trees.chain([format!("{:#?}", lineage.findings())]).collect()
}

/// As it is saved, without what was told on the way: that is a matter of the way.
fn saved(lineage: &Lineage) -> Value {
    let mut saved = serde_json::to_value(lineage.save()).unwrap();
    for credential in saved["credentials"].as_array_mut().unwrap() {
        credential.as_object_mut().unwrap().remove("told");
    }
    saved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn records_in_any_order_give_the_same_lineage_trees_and_findings(traces in Just(world()).prop_shuffle()) {
        let (expected, _) = taken(policy(), world());
        let (lineage, _) = taken(policy(), traces);
        prop_assert_eq!(printed(&expected), printed(&lineage));
        prop_assert_eq!(saved(&expected), saved(&lineage));
    }

    #[test]
    fn a_lineage_that_was_saved_in_the_middle_goes_on_as_if_nothing_had_been(
        traces in Just(world()).prop_shuffle(),
        border in 0_usize..30,
    ) {
        let (whole, found) = taken(policy(), traces.clone());
        let border = border.min(traces.len());
        let (first, mut before) = taken(policy(), traces[..border].to_vec());
        let text = serde_json::to_string(&first.save()).unwrap();
        let bytes = postcard::to_allocvec(&first.save()).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Saved>(&bytes).unwrap(), &first.save());
        let back: Saved = serde_json::from_str(&text).unwrap();
        let mut lineage = Lineage::restore(back, Caps::default(), policy()).unwrap();
        traces[border..].iter().for_each(|trace| lineage.take(trace.clone(), &mut before));
        prop_assert_eq!(whole.save(), lineage.save());
        prop_assert_eq!(found, before);
    }

    #[test]
    fn a_lineage_keeps_no_more_than_its_caps_and_counts_what_leaves(
        traces in Just(world()).prop_shuffle(),
        most in 1_usize..5,
    ) {
        let caps = Caps { credentials_max: most, runs_max: 1, roles_max: 1, ..Caps::default() };
        let mut lineage = Lineage::new(caps, policy());
        for trace in traces {
            lineage.take(trace, &mut Vec::new());
            prop_assert!(lineage.len() <= most);
        }
        prop_assert!(lineage.evicted() > 0);
        prop_assert!(lineage.sessions.len() + lineage.children.len() + lineage.aliases.len() <= 16 * most);
        prop_assert_eq!(lineage.by_heard.len(), lineage.len());
        let names: Vec<Id> = lineage.names().cloned().collect();
        names.iter().for_each(|id| assert!(lineage.trace(id).is_some()));
    }
}

#[test]
fn what_is_long_over_leaves_and_what_may_be_valid_stays() {
    let (ana, session) = (long_lived("ana"), temporary("short"));
    let traces = said(
        Kind::AwsCloudtrail,
        &[
            assume("09:00:00", user("ana", &ana), "Reader", "x", &session),
            call("09:00:00", role_session("Reader", "x", &session, "09:00:00")),
        ],
    );
    let caps = Caps { linger: Span::seconds(86_400), ..Caps::default() };
    let mut lineage = Lineage::new(caps, Policy::default());
    traces.into_iter().for_each(|trace| lineage.take(trace, &mut Vec::new()));
    let mut later = call("09:00:00", user("bob", &long_lived("bob")));
    for (time, left) in [("2026-11-21T20:00:00Z", 0), ("2026-11-22T09:00:00Z", 1)] {
        later["eventTime"] = time.into();
        let traces = said(Kind::AwsCloudtrail, std::slice::from_ref(&later));
        traces.into_iter().for_each(|trace| lineage.take(trace, &mut Vec::new()));
        assert_eq!(lineage.expired(), left, "{time}");
    }
    assert!(lineage.trace(&key(&session)).is_none() && lineage.trace(&key(&ana)).is_some());
}
