//! Each finding by itself: what must be told, held against a deploy, or left unsure.

use serde_json::{Value, json};

use super::super::*;
use super::world::*;
use crate::event::Kind;
use crate::time::Timestamp;

const MAIN: &str = "repo:acme/orders:ref:refs/heads/main";

fn against(world: &World) -> Vec<What> {
    let record = world.record();
    let list = |weight| record.findings.iter().filter(move |finding| finding.weight == weight);
    list(Weight::Against).map(|finding| finding.what).collect()
}

/// The usual deploy under these settings, after `more`.
fn usual_under(settings: Value, more: More) -> World {
    let mut world = World::under(settings);
    world.usual();
    more(&mut world);
    world
}

type More = fn(&mut World) -> &mut World;

type Case = (Value, More, Vec<What>, &'static str);

#[track_caller]
fn all(cases: Vec<Case>) {
    for (settings, more, expected, reason) in cases {
        let world = usual_under(settings.clone(), more);
        assert_eq!(against(&world), expected, "{reason}: {settings}");
    }
}

#[test]
fn settings_say_what_is_held_against_a_deploy() {
    let nothing: More = |world| world;
    let night = json!({"hours": {"zone": "Europe/Berlin", "from": "12:00", "to": "18:00"}});
    let freeze = json!({"freezes": [{"from": at("00:00:00"), "to": at("12:00:00"), "why": "sale"}]});
    let ignored = json!({"branches": ["x"], "ignore": ["unprotected_branch"]});
    all(vec![
        (json!({}), nothing, vec![], "the defaults are met"),
        (json!({"branches": ["release/*"]}), nothing, vec![What::UnprotectedBranch], "main may not deploy"),
        (json!({"branches": []}), nothing, vec![], "any branch may"),
        (json!({"repositories": ["acme/web"]}), nothing, vec![What::ForeignRepository], "another repository"),
        (json!({"repositories": ["acme/*"]}), nothing, vec![], "one of theirs"),
        (json!({"run": "proven"}), nothing, vec![What::RunNotProven], "a candidate is no proof"),
        (night, nothing, vec![What::OutsideHours], "10:13 there"),
        (json!({"ticket": "OPS-[0-9]+"}), nothing, vec![What::NoTicket], "none is named"),
        (json!({"break_glass": ["*:role/deploy"]}), nothing, vec![What::BreakGlass], "an identity for emergencies"),
        (freeze, nothing, vec![What::Frozen], "a freeze"),
        (json!({"refuse": ["artifact_unknown"]}), nothing, vec![What::ArtifactUnknown], "what is only told is refused"),
        (ignored, nothing, vec![], "what is held against it is not"),
    ]);
}

#[test]
fn approvals_checks_and_tickets_count_as_they_came() {
    let nothing: More = |world| world;
    let by_ben: More = |world| world.let_deploy("09:11:00", 1, "ben", "approved");
    let by_ana: More = |world| world.let_deploy("09:11:00", 1, "Ana", "approved");
    let refused: More = |world| world.let_deploy("09:11:00", 1, "ben", "rejected");
    let on_head: More = |world| world.check("09:08:00", "build (eu)", "ch", "success");
    let failed: More = |world| world.check("09:11:00", "build", "c", "failure");
    let skipped: More = |world| world.check("09:11:00", "build", "c", "skipped");
    let (approval, checks) = (json!({"approval": "required"}), json!({"checks": ["build*"]}));
    all(vec![
        (approval.clone(), nothing, vec![What::NoApproval], "nobody was asked"),
        (approval.clone(), by_ben, vec![], "somebody else let it"),
        (approval, by_ana, vec![What::OwnRunApproval], "ana started it"),
        (json!({}), refused, vec![What::ApprovalBypassed], "a refusal counts although none was asked for"),
        (checks.clone(), nothing, vec![What::CheckSkipped], "it never ran"),
        (checks.clone(), on_head, vec![], "it passed on the last commit of the request"),
        (checks.clone(), failed, vec![What::CheckFailed], "it failed"),
        (checks, skipped, vec![What::CheckSkipped], "it was skipped"),
        (json!({"ticket": "OPS-[0-9]+"}), by_ben, vec![], "the approval names one"),
    ]);
}

#[test]
fn a_review_counts_if_somebody_else_gave_it_before_the_merge() {
    let cases: Vec<(More, What, &str)> = vec![
        (|world| world.opened("08:00:00", "c", "ben"), What::NoReview, "nobody"),
        (
            |world| world.opened("08:00:00", "c", "ben").approved("08:30:00", "c", "Ben"),
            What::OwnApproval,
            "the author",
        ),
        (
            |world| world.opened("08:00:00", "c", "eve").approved("08:30:00", "c", "eve"),
            What::OwnApproval,
            "one who added to it",
        ),
        (
            |world| world.opened("08:00:00", "c", "ben").approved("09:30:00", "c", "ana"),
            What::NoReview,
            "after the merge",
        ),
    ];
    for (review, expected, reason) in cases {
        let mut world = World::new();
        review(&mut world);
        world.merge("09:09:00", "c", "ben", json!({})).push("09:09:00", "ana", "c", json!({}));
        world.run(run(1, "c", "09:10:00", "09:20:00"));
        world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
        assert_eq!(against(&world), [expected], "{reason}");
    }
}

#[test]
fn an_approval_of_an_earlier_commit_is_told() {
    let mut world = World::new();
    world.opened("08:00:00", "c", "ben").approved("08:30:00", "earlier", "ana");
    world.merge("09:09:00", "c", "ben", json!({})).push("09:09:00", "ana", "c", json!({}));
    world.run(run(1, "c", "09:10:00", "09:20:00"));
    world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
    let record = world.record();
    assert_eq!((record.verdict, noted(&record)[0]), (Verdict::Explained, What::StaleReview));
}

#[test]
fn protection_that_was_lifted_for_the_commit_is_held_against_it_even_if_it_was_set_again() {
    let mut world = World::new();
    world.protection("09:08:30", "deleted").usual().protection("09:09:30", "created");
    assert_eq!(against(&world), [What::ProtectionChanged]);

    let mut before = World::new();
    before.protection("07:00:00", "deleted").protection("07:30:00", "created").usual();
    let record = before.record();
    assert_eq!((record.verdict, noted(&record)[0]), (Verdict::Explained, What::ProtectionChanged), "it stood again");
}

#[test]
fn a_pipeline_that_was_changed_with_the_change_is_told_and_can_be_refused() {
    let id = commit("c");
    let commits = json!({"commits": [{"id": id, "modified": [".github/workflows/deploy.yml"]}]});
    for (settings, verdict) in
        [(json!({}), Verdict::Explained), (json!({"refuse": ["pipeline_changed"]}), Verdict::Unexplained)]
    {
        let mut world = World::under(settings);
        world.opened("08:00:00", "c", "ben").approved("08:30:00", "c", "ana").merge("09:09:00", "c", "ben", json!({}));
        world.push("09:09:00", "ana", "c", commits.clone()).run(run(1, "c", "09:10:00", "09:20:00"));
        world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
        let record = world.record();
        let finding = record.findings.iter().find(|finding| finding.what == What::PipelineChanged).unwrap();
        assert_eq!(finding.says, "the same push changed .github/workflows/deploy.yml, which the run itself is of");
        assert_eq!(record.verdict, verdict);
    }
}

#[test]
fn trust_that_was_changed_before_is_told() {
    let mut world = World::new();
    let more = json!({"userIdentity": session_of("admin", "eve", "ASIAEVE", "2026-11-20T08:00:00Z"),
                      "requestParameters": {"roleName": "deploy"}});
    world.trail("09:00:00", "iam", "UpdateAssumeRolePolicy", more).usual();
    // Only of the roles that were passed through, and the token's own role is one.
    assert!(noted(&world.record()).contains(&What::TrustChanged));
}

#[test]
fn a_source_that_is_absent_late_or_new_makes_a_verdict_unknown_and_never_unexplained() {
    let all = Heard { since: Timestamp::EARLIEST, mark: Timestamp::LATEST };
    for (heard, expected, reason) in [
        (None, Verdict::Unknown, "not onboarded"),
        (Some(Heard { mark: moment("09:12:30"), ..all }), Verdict::Unknown, "late"),
        (Some(Heard { since: moment("09:12:30"), ..all }), Verdict::Unknown, "heard only since then"),
        (Some(all), Verdict::Unexplained, "healthy"),
    ] {
        let mut world = World::new();
        world.push("09:09:00", "ana", "other", json!({}));
        world.token("09:12:00", "ASIA1", MAIN).code("09:13:00", "orders", session("ASIA1"));
        world.marks.remove(&Kind::GithubWebhook);
        world.marks.extend(heard.map(|heard| (Kind::GithubWebhook, heard)));
        let record = world.record();
        assert_eq!((record.verdict, held(&record)), (expected, vec![What::NoRun]), "{reason}");
    }
}

#[test]
fn a_repository_that_was_never_heard_of_is_unknown_unless_the_policy_names_those_that_may() {
    for (settings, expected) in
        [(json!({}), Verdict::Unknown), (json!({"repositories": ["acme/*"]}), Verdict::Unexplained)]
    {
        let mut world = World::under(settings);
        world.token("09:12:00", "ASIA1", "repo:evil/fork:ref:refs/heads/main").code(
            "09:13:00",
            "orders",
            session("ASIA1"),
        );
        assert_eq!(world.record().verdict, expected);
    }
}

#[test]
fn a_lasting_key_and_an_unseen_session_are_no_run() {
    let key = json!({"type": "IAMUser", "userName": "ci", "accessKeyId": "AKIACI", "accountId": ACCOUNT,
                     "arn": format!("arn:aws:iam::{ACCOUNT}:user/ci")});
    for (by, says) in [
        (key, "no run: ci did it with the lasting key AKIACI"),
        (session("ASIANOBODY"), "no run: the log does not have where the session deploy/GitHubActions came from"),
    ] {
        let mut world = World::new();
        let record = world.code("09:13:00", "orders", by).record();
        assert_eq!((record.verdict, &*record.findings[0].says), (Verdict::Unexplained, says));
    }
}

#[test]
fn a_machine_that_no_run_can_be_tied_to_is_unknown_and_explained_by_a_receipt() {
    let mut world = World::new();
    world.assumed("09:12:00", service("ec2.amazonaws.com"), "deploy", "i-0abc", "ASIAEC2");
    world.code("09:13:00", "orders", session_of("deploy", "i-0abc", "ASIAEC2", "2026-11-20T09:12:00Z"));
    assert_eq!(held(&world.record()), [What::MachineIdentity]);
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    world.facts.push(receipt("ASIAEC2", &[]));
    let record = world.record();
    assert_eq!((joined(&record).as_str(), record.verdict), ("exact 1/1", Verdict::Explained));
}

/// Of run 1.
fn receipt(key: &str, digests: &[&str]) -> Fact {
    let run = RunKey { system: System::Github, scope: REPOSITORY.to_owned(), id: "1".to_owned(), attempt: 1 };
    let digests = digests.iter().filter_map(|text| digest(text)).collect();
    let receipt = Receipt { run, commit: Some(commit("c")), access_key: Some(key.to_owned()), digests };
    let event = crate::event::Uid { origin: "receipts".to_owned(), id: key.to_owned() };
    Fact { time: moment("09:13:30"), kind: Kind::Json, event, says: Says::Receipt(receipt) }
}

#[test]
fn a_receipt_makes_the_edge_exact_and_says_what_was_built() {
    let ours = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
    let other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for (digests, expected, reason) in [
        (vec![ours], vec![], "built by the run"),
        (vec![other], vec![What::ForeignArtifact], "the run built something else"),
        (vec![], vec![], "the run does not say what it built"),
    ] {
        let mut world = World::under(json!({"run": "proven"}));
        world.usual().run(run(2, "c", "09:10:00", "09:20:00"));
        assert_eq!(joined(&world.record()), "ambiguous 1/1 2/1");
        world.facts.push(receipt("ASIA1", &digests));
        let record = world.record();
        assert_eq!((joined(&record).as_str(), held(&record)), ("exact 1/1", expected), "{reason}");
        assert_eq!(matches!(record.artifact, Artifact::Built { .. }), digests == [ours], "{reason}");
    }
}

#[test]
fn two_runs_that_both_claim_a_key_prove_nothing() {
    let mut world = World::new();
    world.usual();
    let Says::Receipt(of_one) = receipt("ASIA1", &[]).says else { unreachable!() };
    let other = Receipt { run: RunKey { id: "9".to_owned(), ..of_one.run.clone() }, ..of_one };
    world.facts.extend([receipt("ASIA1", &[]), Fact { says: Says::Receipt(other), ..receipt("ASIA1", &[]) }]);
    assert_eq!(joined(&world.record()), "unique 1/1", "by its token alone");
}

#[test]
fn who_was_never_seen_deploying_is_told_once_there_is_something_to_compare_with() {
    let mut world = World::new();
    world.policy =
        serde_json::from_value(json!({"environments": [{"name": "production"}], "new_after": "1h"})).unwrap();
    world.usual();
    let by = |name: &str| {
        session_of(&format!("AWSReservedSSO_{name}"), name, &format!("ASIA{name}"), "2026-11-20T09:00:00Z")
    };
    world.code("09:30:00", "orders", by("ben")).code("11:00:00", "orders", by("eve"));
    let new = |record: &Record| record.findings.iter().any(|finding| finding.what == What::NewActor);
    assert_eq!(world.records().iter().map(new).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn steps_of_one_deploy_are_one_record_anchored_by_its_code() {
    let mut world = World::new();
    world.usual();
    let call = |clock: &str, name: &str, world: &mut World| {
        let more = json!({"userIdentity": session("ASIA1"), "requestParameters": {"functionName": "orders:live"}});
        world.trail(clock, "lambda", name, more);
    };
    let before = world.record().id;
    call("09:12:30", "UpdateFunctionConfiguration20150331v2", &mut world);
    call("09:13:20", "PublishVersion20150331", &mut world);
    call("09:13:30", "UpdateAlias20150331", &mut world);
    let record = world.record();
    assert_eq!((record.steps.len(), record.id), (4, before), "the code anchors it, whatever comes before and after");
}

#[test]
fn refused_calls_and_reads_are_no_deploys() {
    let mut world = World::new();
    let asked = json!({"userIdentity": session("ASIA1"), "requestParameters": {"functionName": "orders"}});
    let mut refused = asked.clone();
    refused["errorCode"] = "AccessDenied".into();
    world.trail("09:13:00", "lambda", "UpdateFunctionCode20150331v2", refused);
    world.trail("09:13:00", "lambda", "GetFunction20150331v2", asked);
    assert_eq!(world.records(), []);
}

#[test]
fn steps_of_a_lasting_key_are_never_taken_for_one_deploy() {
    let key = json!({"type": "IAMUser", "userName": "ci", "accessKeyId": "AKIACI", "accountId": ACCOUNT,
                     "arn": format!("arn:aws:iam::{ACCOUNT}:user/ci")});
    let mut world = World::new();
    let asked = json!({"userIdentity": key, "requestParameters": {"functionName": "orders"}});
    world.code("09:13:00", "orders", key).trail("09:13:10", "lambda", "PublishVersion20150331", asked);
    assert_eq!(world.records().len(), 2, "anybody may hold it");
}

#[test]
fn a_ticket_that_a_run_might_name_is_not_held_against_a_machine() {
    let mut world = World::under(json!({"ticket": "OPS-[0-9]+"}));
    world.assumed("09:12:00", service("ec2.amazonaws.com"), "deploy", "i-0abc", "ASIAEC2");
    world.code("09:13:00", "orders", session_of("deploy", "i-0abc", "ASIAEC2", "2026-11-20T09:12:00Z"));
    assert_eq!(world.record().verdict, Verdict::Unknown);
}
