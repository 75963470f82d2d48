//! What looks like one thing and is two, and what looks like two and is one. Each trap knows what is true, and a join that
//! says anything else with surety fails it.

use serde_json::json;

use super::super::*;
use super::world::*;

const MAIN: &str = "repo:acme/orders:ref:refs/heads/main";

#[test]
fn a_run_that_is_the_only_one_explains_its_deploy() {
    let mut world = World::new();
    let record = world.usual().record();
    assert_eq!(
        (joined(&record).as_str(), record.verdict),
        ("unique 1/1", Verdict::Explained),
        "{:#?}",
        record.findings
    );
    assert_eq!(record.commit, Some(commit("c")));
    assert_eq!(record.request.one().unwrap().approved_by, ["ana"]);
    assert_eq!(noted(&record), [What::ArtifactUnknown]);
}

#[test]
fn two_runs_in_the_same_second_are_shown_and_not_told_apart() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana");
    world.run(run(1, "c", "09:10:00", "09:20:00")).run(run(2, "c", "09:10:00", "09:20:00"));
    world.token("09:12:00", "ASIA1", MAIN).token("09:12:00", "ASIA2", MAIN);
    world.code("09:13:00", "orders", session("ASIA1")).code("09:13:00", "orders", session("ASIA2"));
    let records = world.records();
    assert_eq!(records.len(), 2, "two sessions are two deploys");
    for record in records {
        assert_eq!((joined(&record).as_str(), record.verdict), ("ambiguous 1/1 2/1", Verdict::Explained));
        assert_eq!((record.commit, noted_first(&record.findings)), (None, Some(What::AmbiguousRun)));
    }
}

fn noted_first(findings: &[Finding]) -> Option<What> {
    findings.first().map(|finding| finding.what)
}

#[test]
fn a_run_that_is_ambiguous_is_explained_only_if_every_candidate_would_explain_it() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").push("09:09:30", "eve", "e", json!({}));
    world.run(run(1, "c", "09:10:00", "09:20:00")).run(run(2, "e", "09:10:00", "09:20:00"));
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((joined(&record).as_str(), record.verdict), ("ambiguous 1/1 2/1", Verdict::Unknown));
    assert_eq!(held(&record), [What::AmbiguousRun]);
}

#[test]
fn an_environment_in_the_token_chooses_among_runs() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana");
    world.run(run(1, "c", "09:10:00", "09:20:00")).run(run(2, "c", "09:10:00", "09:20:00")).job(
        "09:11:00",
        2,
        "Production",
    );
    world.token("09:12:00", "ASIA1", "repo:acme/orders:environment:production").code(
        "09:13:00",
        "orders",
        session("ASIA1"),
    );
    assert_eq!(joined(&world.record()), "unique 2/1");
}

#[test]
fn jobs_of_a_matrix_are_one_run_and_their_sessions_are_deploys_of_their_own() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    for (key, function) in [("ASIA1", "orders-eu"), ("ASIA2", "orders-us"), ("ASIA3", "orders-ap")] {
        world.token("09:12:00", key, MAIN).code("09:13:00", function, session(key));
    }
    let records = world.records();
    assert_eq!(records.iter().map(joined).collect::<Vec<_>>(), ["unique 1/1"; 3]);
}

#[test]
fn a_rerun_is_another_attempt_and_explains_only_what_was_done_in_its_time() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    world.run(RunText {
        attempt: 2,
        more: json!({"created_at": at("09:10:00")}),
        ..run(1, "c", "09:20:30", "09:30:00")
    });
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    world.token("09:21:00", "ASIA2", MAIN).code("09:22:00", "orders", session("ASIA2"));
    assert_eq!(world.records().iter().map(joined).collect::<Vec<_>>(), ["unique 1/1", "unique 1/2"]);
}

#[test]
fn a_workflow_that_is_used_from_another_repository_is_found_by_its_caller() {
    let used = "acme/ci/.github/workflows/deploy.yml";
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    let more = json!({"referenced_workflows": [{"path": format!("{used}@v2")}]});
    world.run(RunText { more, ..run(2, "c", "09:10:00", "09:20:00") });
    let subject = format!("{MAIN}:job_workflow_ref:{used}@refs/tags/v2");
    world.token("09:12:00", "ASIA1", &subject).code("09:13:00", "orders", session("ASIA1"));
    assert_eq!(joined(&world.record()), "unique 2/1");
}

#[test]
fn a_chain_of_roles_leads_back_to_the_token() {
    let mut world = World::new();
    world
        .merged("09:09:00", "c", "ben", "ana")
        .run(run(1, "c", "09:10:00", "09:20:00"))
        .token("09:12:00", "ASIA1", MAIN);
    world.assumed("09:12:30", session("ASIA1"), "release", "step", "ASIA2");
    world.code("09:13:00", "orders", session_of("release", "step", "ASIA2", "2026-11-20T09:12:30Z"));
    let record = world.record();
    assert_eq!((joined(&record).as_str(), record.chain.len(), record.verdict), ("unique 1/1", 2, Verdict::Explained));
}

#[test]
fn a_chain_that_begins_with_a_person_is_no_run_although_one_goes_on() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    let user = json!({"type": "IAMUser", "userName": "eve", "accessKeyId": "AKIAEVE", "accountId": ACCOUNT,
                      "arn": format!("arn:aws:iam::{ACCOUNT}:user/eve")});
    world.assumed("09:12:00", user, "deploy", "GitHubActions", "ASIA1").code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((joined(&record).as_str(), record.verdict), ("none", Verdict::Unexplained));
    assert_eq!(held(&record), [What::NoRun]);
}

#[test]
fn a_console_session_is_one_deploy_whatever_keys_it_shows() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    for (clock, name, key) in
        [("09:13:00", "UpdateFunctionCode20150331v2", "ASIAX"), ("09:14:00", "PublishVersion20150331", "ASIAY")]
    {
        let by = session_of("AWSReservedSSO_Admin_0a1b", "eve", key, "2026-11-20T08:00:00Z");
        let more = json!({"userIdentity": by, "sessionCredentialFromConsole": "true", "requestParameters": {"functionName": "orders"}});
        world.trail(clock, "lambda", name, more);
    }
    let record = world.record();
    assert_eq!((record.steps.len(), joined(&record).as_str()), (2, "none"));
    assert_eq!((record.verdict, held(&record)), (Verdict::Unexplained, vec![What::DirectChange, What::NoRun]));
}

#[test]
fn late_events_of_github_change_the_verdict_and_make_a_revision() {
    let mut world = World::new();
    world.push("09:09:00", "ana", "c", json!({})).token("09:12:00", "ASIA1", MAIN).code(
        "09:13:00",
        "orders",
        session("ASIA1"),
    );
    let early = world.facts.len();
    world.opened("08:00:00", "c", "ben").approved("08:30:00", "c", "ana").merge("09:09:00", "c", "ben", json!({}));
    world.run(run(1, "c", "09:10:00", "09:20:00"));
    let mut deploys = Deploys::default();
    let (first, late) = world.facts.split_at(early);
    first.iter().for_each(|fact| deploys.take(fact.clone()));
    let mut marks = world.marks.clone();
    marks.get_mut(&crate::event::Kind::GithubWebhook).unwrap().mark = moment("09:12:30");
    marks.get_mut(&crate::event::Kind::AwsCloudtrail).unwrap().mark = moment("09:14:00");
    assert_eq!(deploys.settle(&world.policy, &marks), [], "GitHub has not come past the deploy");
    let told = deploys.settle(&world.policy, &world.marks);
    assert_eq!((told[0].revision, told[0].verdict), (1, Verdict::Unexplained));
    assert_eq!(deploys.settle(&world.policy, &world.marks), [], "nothing new");
    late.iter().for_each(|fact| deploys.take(fact.clone()));
    let again = deploys.settle(&world.policy, &world.marks);
    assert_eq!((again[0].revision, again[0].verdict, &again[0].id), (2, Verdict::Explained, &told[0].id));
}

#[test]
fn cloudformation_acts_for_whoever_started_the_stack() {
    let began = "2026-11-20T09:12:00Z";
    let handed = |key: &str| {
        let mut by = session_of("deploy", "GitHubActions", key, began);
        by["invokedBy"] = "cloudformation.amazonaws.com".into();
        by
    };
    let mut world = World::new();
    world
        .merged("09:09:00", "c", "ben", "ana")
        .run(run(1, "c", "09:10:00", "09:20:00"))
        .token("09:12:00", "ASIA1", MAIN);
    let stack = |name: &str| json!({"userIdentity": session("ASIA1"), "requestParameters": {"stackName": name}});
    world.trail("09:13:00", "cloudformation", "CreateChangeSet", stack("orders"));
    world.trail("09:13:10", "cloudformation", "ExecuteChangeSet", stack("orders"));
    world.code("09:14:00", "orders-api", handed("ASIADERIVED"));
    let records = world.records();
    let kinds: Vec<_> =
        records.iter().map(|record| (record.target.kind.as_str(), joined(record), record.verdict)).collect();
    let explained = |kind| (kind, "unique 1/1".to_owned(), Verdict::Explained);
    assert_eq!(kinds, [explained("cloudformation"), explained("lambda")]);
    assert!(records[1].chain[0].says.contains("stack orders"), "{:?}", records[1].chain);
}

#[test]
fn the_role_of_a_stack_is_not_the_session_of_whoever_else_uses_that_role() {
    let as_role = session_of("stacks", "AWSCloudFormation", "ASIACFN", "2026-11-20T09:13:30Z");
    let stack = |name: &str, key: &str| json!({"userIdentity": session(key), "requestParameters": {"stackName": name, "roleARN": role("stacks")}});
    let mut world = World::new();
    world
        .merged("09:09:00", "c", "ben", "ana")
        .run(run(1, "c", "09:10:00", "09:11:30"))
        .run(run(2, "c", "09:12:30", "09:20:00"));
    world.token("09:11:00", "ASIA1", MAIN).token("09:13:00", "ASIA2", MAIN);
    world.trail("09:11:10", "cloudformation", "UpdateStack", stack("billing", "ASIA1"));
    world.trail("09:13:10", "cloudformation", "UpdateStack", stack("orders", "ASIA2"));
    world.code("09:14:00", "orders-api", as_role);
    let records = world.records();
    let function = records.iter().find(|record| record.target.kind == "lambda").unwrap();
    assert_eq!(joined(function), "ambiguous 1/1 2/1", "either stack may still be at work");
}

#[test]
fn a_force_push_is_told() {
    let mut world = World::new();
    world.push("09:09:00", "eve", "c", json!({"forced": true})).run(run(1, "c", "09:10:00", "09:20:00"));
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((held(&record), noted(&record)), (vec![What::NoReview], vec![What::ArtifactUnknown, What::ForcePush]));
}

#[test]
fn a_deploy_of_an_older_commit_is_told_and_keeps_its_own_review() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").push("09:30:00", "ana", "d", json!({}));
    world.run(run(1, "c", "09:10:00", "09:20:00")).run(run(2, "d", "09:31:00", "09:40:00"));
    world.run(RunText { more: json!({"event": "workflow_dispatch"}), ..run(3, "c", "10:00:00", "10:10:00") });
    for (clock, later, key) in
        [("09:12:00", "09:13:00", "ASIA1"), ("09:32:00", "09:33:00", "ASIA2"), ("10:01:00", "10:02:00", "ASIA3")]
    {
        world.token(clock, key, MAIN).code(later, "orders", session(key));
    }
    let records = world.records();
    assert_eq!(records.iter().map(joined).collect::<Vec<_>>(), ["unique 1/1", "unique 2/1", "unique 3/1"]);
    assert_eq!(records[2].verdict, Verdict::Explained);
    assert!(noted(&records[2]).contains(&What::Rollback));
    assert!(!noted(&records[1]).contains(&What::Rollback));
}

#[test]
fn a_squash_is_found_by_the_commit_that_came_of_it() {
    let mut world = World::new();
    let record = world.usual().record();
    assert_eq!(record.commit, Some(commit("c")), "which the request, whose head is another, never held");
    assert_eq!(
        record.request,
        Edge::Exact(Request {
            number: "7".to_owned(),
            author: "ben".to_owned(),
            merged_by: "ana".to_owned(),
            approved_by: vec!["ana".to_owned()],
        })
    );
}

#[test]
fn a_run_of_a_fork_is_not_merged_code() {
    let mut world = World::new();
    world.push("09:00:00", "ana", "c", json!({}));
    let more = json!({"event": "pull_request_target", "head_repository": {"full_name": "Eve/Orders"}});
    world.run(RunText { more, ..run(1, "x", "09:10:00", "09:20:00") });
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((record.verdict, held(&record)[0]), (Verdict::Unexplained, What::UnmergedCode));
}

#[test]
fn a_scheduled_run_of_a_commit_from_before_our_time_is_unknown() {
    let mut world = World::new();
    world.push("08:00:00", "ana", "other", json!({}));
    world.run(RunText { more: json!({"event": "schedule"}), ..run(1, "c", "09:10:00", "09:20:00") });
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((record.verdict, held(&record)), (Verdict::Unknown, vec![What::NoReview]));
}

#[test]
fn a_merge_by_a_bot_needs_the_yes_of_a_person() {
    for (reviewer, verdict, reason) in
        [("ana", Verdict::Explained, "a person said yes"), ("mergify[bot]", Verdict::Unexplained, "only a bot did")]
    {
        let mut world = World::new();
        world.opened("08:00:00", "c", "dependabot[bot]").approved("08:30:00", "c", reviewer);
        let by = json!({"merged_by": {"login": "mergify[bot]", "type": "Bot"}});
        world.merge("09:09:00", "c", "dependabot[bot]", by).push("09:09:00", "mergify[bot]", "c", json!({}));
        world.run(run(1, "c", "09:10:00", "09:20:00"));
        world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
        assert_eq!(world.record().verdict, verdict, "{reason}");
    }
}

#[test]
fn two_requests_that_claim_one_commit_are_shown() {
    let mut world = World::new();
    world.usual().merge("09:09:10", "c", "eve", json!({"number": 8}));
    let record = world.record();
    assert_eq!((record.request.candidates().len(), record.request.one()), (2, None));
    assert_eq!((record.verdict, held(&record)), (Verdict::Unknown, vec![What::NoReview]));
}
