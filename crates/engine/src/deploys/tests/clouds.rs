//! Each pipeline system and cloud, from the records that it writes itself.

use serde_json::{Value, json};

use super::super::*;
use super::world::*;
use crate::event::Kind;

const EXECUTION: &str = "c2f7a8d0-5f0b-4c1e-9a57-1d2e3f405162";
const BUILD: &str = "0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b";

fn bridge(world: &mut World, clock: &str, source: &str, sort: &str, detail: Value) {
    let record = json!({
        "version": "0", "id": format!("{source}-{clock}-{sort}"), "detail-type": sort, "source": source,
        "account": ACCOUNT, "time": at(clock), "region": "eu-west-1", "resources": [], "detail": detail,
    });
    world.tell(Kind::AwsEventbridge, &record);
}

/// An execution of CodePipeline from 09:10 to 09:20 whose source is commit `c` and whose build is [`BUILD`].
fn execution(world: &mut World, id: &str, build: &str, name: &str) {
    let sort = "CodePipeline Action Execution State Change";
    let action = |category: &str, external: &str| {
        json!({"pipeline": "orders", "execution-id": id, "state": "SUCCEEDED", "type": {"category": category},
               "execution-result": {"external-execution-id": external}})
    };
    let state =
        |state: &str| json!({"pipeline": "orders", "execution-id": id, "state": state, "start-time": at("09:10:00")});
    bridge(world, "09:10:00", "aws.codepipeline", "CodePipeline Pipeline Execution State Change", state("STARTED"));
    bridge(world, "09:10:30", "aws.codepipeline", sort, action("Source", &commit(name)));
    bridge(world, "09:12:00", "aws.codepipeline", sort, action("Build", &format!("orders:{build}")));
    bridge(world, "09:20:00", "aws.codepipeline", "CodePipeline Pipeline Execution State Change", state("SUCCEEDED"));
    let built = json!({"build-status": "SUCCEEDED", "project-name": "orders",
        "build-id": format!("arn:aws:codebuild:eu-west-1:{ACCOUNT}:build/orders:{build}"),
        "additional-information": {"initiator": "codepipeline/orders", "build-start-time": "Nov 20, 2026 9:11:00 AM"}});
    bridge(world, "09:18:00", "aws.codebuild", "CodeBuild Build State Change", built);
}

#[test]
fn a_build_is_known_by_its_session_and_its_commit_by_the_execution() {
    let name = format!("AWSCodeBuild-{BUILD}");
    for (seen, expected, reason) in [
        (Some("codebuild.amazonaws.com"), "exact", "CodeBuild asked for the session"),
        (None, "unique", "anybody may call a session so"),
    ] {
        let mut world = World::new();
        world.merged("09:09:00", "c", "ben", "ana");
        execution(&mut world, EXECUTION, BUILD, "c");
        if let Some(by) = seen {
            world.assumed("09:11:00", service(by), "build", &name, "ASIAB");
        }
        world.code("09:13:00", "orders", session_of("build", &name, "ASIAB", "2026-11-20T09:11:00Z"));
        let record = world.record();
        assert_eq!(joined(&record), format!("{expected} {EXECUTION}/1"), "{reason}");
        assert_eq!((record.commit.clone(), record.verdict), (Some(commit("c")), Verdict::Explained), "{reason}");
    }
}

#[test]
fn a_person_who_calls_a_session_like_a_build_is_still_a_person() {
    let name = format!("AWSCodeBuild-{BUILD}");
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana");
    execution(&mut world, EXECUTION, BUILD, "c");
    let eve = session_of("AWSReservedSSO_Admin", "eve", "ASIAEVE", "2026-11-20T09:00:00Z");
    world.assumed("09:11:00", eve, "build", &name, "ASIAB");
    world.code("09:13:00", "orders", session_of("build", &name, "ASIAB", "2026-11-20T09:11:00Z"));
    assert_eq!((joined(&world.record()).as_str(), world.record().verdict), ("none", Verdict::Unexplained));
}

#[test]
fn two_executions_at_once_are_ambiguous_for_what_codepipeline_does_itself() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana");
    execution(&mut world, EXECUTION, BUILD, "c");
    let by = session_of("pipeline", "1700000000000", "ASIAP", "2026-11-20T09:12:00Z");
    world.assumed("09:12:00", service("codepipeline.amazonaws.com"), "pipeline", "1700000000000", "ASIAP");
    world.code("09:13:00", "orders", by);
    assert_eq!(joined(&world.record()), format!("unique {EXECUTION}/1"));
    execution(&mut world, "other-execution", "other-build", "c");
    assert!(joined(&world.record()).starts_with("ambiguous"));
}

const IMAGE: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn put_image(world: &mut World, clock: &str, by: Value) {
    let more = json!({
        "userIdentity": by, "requestParameters": {"repositoryName": "orders", "imageTag": "v7"},
        "responseElements": {"image": {"imageId": {"imageDigest": IMAGE.split_once('@').unwrap().1}}},
    });
    world.trail(clock, "ecr", "PutImage", more);
}

#[test]
fn an_image_is_followed_by_its_digest_to_whoever_pushed_it() {
    let eve = session_of("AWSReservedSSO_Admin", "eve", "ASIAEVE", "2026-11-20T09:00:00Z");
    let task = json!({"userIdentity": session("ASIA1"),
        "requestParameters": {"family": "orders", "containerDefinitions": [{"name": "app", "image": IMAGE}]}});
    for (by, built, reason) in [(session("ASIA1"), true, "the run pushed it"), (eve, false, "a person did")] {
        let mut world = World::new();
        world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
        world.token("09:12:00", "ASIA1", "repo:acme/orders:ref:refs/heads/main");
        put_image(&mut world, "09:12:30", by);
        world.trail("09:13:00", "ecs", "RegisterTaskDefinition", task.clone());
        let records = world.records();
        let deploy = records.iter().find(|record| record.target.kind == "ecs-task").unwrap();
        assert_eq!(matches!(deploy.artifact, Artifact::Built { .. }), built, "{reason}");
        assert_eq!(held(deploy).contains(&What::ForeignArtifact), !built, "{reason}");
    }
}

#[test]
fn a_cluster_of_eks_names_the_session_of_aws() {
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a1", "stage": "ResponseComplete", "verb": "patch",
        "requestURI": "/apis/apps/v1/namespaces/shop/deployments/orders", "stageTimestamp": at("09:13:00"),
        "objectRef": {"resource": "deployments", "namespace": "shop", "name": "orders"}, "responseStatus": {"code": 200},
        "user": {"username": "deployer", "extra": {
            "accessKeyId": ["ASIA1"], "sessionName": ["GitHubActions"], "canonicalArn": [role("deploy")],
            "arn": [format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/GitHubActions")]}},
        "requestObject": {"spec": {"template": {"spec": {"containers": [{"image": IMAGE}]}}}},
    });
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
    world.token("09:12:00", "ASIA1", "repo:acme/orders:ref:refs/heads/main").tell(Kind::KubernetesAudit, &event);
    let record = world.record();
    assert_eq!((record.target.id.as_str(), record.target.account.as_str()), ("shop/deployment/orders", ACCOUNT));
    assert_eq!((joined(&record).as_str(), record.verdict), ("unique 1/1", Verdict::Explained));
}

#[test]
fn what_a_cluster_does_to_itself_is_no_deploy() {
    for (user, resource, subresource, reason) in [
        ("system:serviceaccount:kube-system:deployment-controller", "deployments", None, "a controller"),
        ("ana", "pods", None, "a pod follows from what runs it"),
        ("ana", "deployments", Some("scale"), "a number"),
    ] {
        let event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a1", "stage": "ResponseComplete", "verb": "patch",
            "requestURI": "/x", "stageTimestamp": at("09:13:00"), "user": {"username": user},
            "objectRef": {"resource": resource, "namespace": "shop", "name": "orders", "subresource": subresource},
        });
        let mut world = World::new();
        assert_eq!(world.tell(Kind::KubernetesAudit, &event).records(), [], "{reason}");
    }
}

fn cloud_run(identity: Value, agent: &str) -> Value {
    json!({
        "insertId": "i1", "logName": "projects/acme-prod/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": at("09:13:00"),
        "resource": {"type": "cloud_run_revision", "labels": {"project_id": "acme-prod", "location": "europe-west1"}},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "run.googleapis.com",
            "methodName": "google.cloud.run.v1.Services.ReplaceService", "authenticationInfo": identity,
            "resourceName": "namespaces/acme-prod/services/orders", "requestMetadata": {"callerSuppliedUserAgent": agent},
            "request": {"service": {"spec": {"template": {"spec": {"containers": [{"image": IMAGE}]}}}}},
        },
    })
}

#[test]
fn cloud_run_is_tied_to_a_run_by_the_subject_of_its_federation() {
    let pool = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/subject";
    let account = "deploy@acme-prod.iam.gserviceaccount.com";
    let delegated = json!({"principalEmail": account,
        "serviceAccountDelegationInfo": [{"principalSubject": format!("{pool}/repo:acme/orders:ref:refs/heads/main")}]});
    for (identity, agent, expected, verdict, reason) in [
        (delegated, "gcloud", "unique 1/1", Verdict::Explained, "a workload behind a service account"),
        (json!({"principalEmail": account}), "gcloud", "none", Verdict::Unknown, "a service account alone"),
        (
            json!({"principalEmail": account, "serviceAccountKeyName": "//iam.googleapis.com/keys/1"}),
            "gcloud",
            "none",
            Verdict::Unexplained,
            "a key of it",
        ),
        (json!({"principalEmail": "eve@example.org"}), "Mozilla/5.0", "none", Verdict::Unexplained, "a person"),
    ] {
        let mut world = World::new();
        world.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
        let record = world.tell(Kind::GcpAudit, &cloud_run(identity, agent)).record();
        assert_eq!((record.target.kind.as_str(), record.target.id.as_str()), ("run", "orders"), "{reason}");
        assert_eq!((joined(&record).as_str(), record.verdict), (expected, verdict), "{reason}");
    }
}

#[test]
fn azure_is_unknown_for_a_principal_and_unexplained_for_a_person() {
    for (caller, sort, verdict) in
        [("0f9e8d7c-0000", "ServicePrincipal", Verdict::Unknown), ("eve@example.org", "User", Verdict::Unexplained)]
    {
        let record = json!({
            "time": at("09:13:00"), "operationName": "Microsoft.Web/sites/publish/Action", "resultType": "Success",
            "category": "Administrative", "eventDataId": "e1", "caller": caller,
            "resourceId": "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.WEB/SITES/ORDERS",
            "identity": {"authorization": {"evidence": {"principalType": sort, "principalId": "p1"}}},
        });
        let mut world = World::new();
        let record = world.tell(Kind::AzureActivity, &record).record();
        assert_eq!((record.target.id.as_str(), record.verdict), ("shop/orders", verdict));
    }
}

#[test]
fn a_pipeline_of_gitlab_is_found_by_the_project_and_branch_of_its_token() {
    let project = json!({"path_with_namespace": "Acme/Web/Shop", "web_url": "https://gitlab.example/acme/web/shop"});
    let mut world = World::new();
    let request = |action: &str, who: &str, clock: &str, more: Value| {
        let mut about = json!({"iid": 3, "action": action, "title": "OPS-9 shop", "source_branch": "x", "target_branch": "main",
            "last_commit": {"id": commit("gh")}, "updated_at": at(clock)});
        for (name, value) in more.as_object().unwrap() {
            about[name] = value.clone();
        }
        json!({"object_kind": "merge_request", "user": {"username": who}, "project": project, "object_attributes": about})
    };
    world.tell(Kind::GitlabWebhook, &request("open", "ben", "08:00:00", json!({})));
    world.tell(Kind::GitlabWebhook, &request("approved", "ana", "08:30:00", json!({})));
    world.tell(Kind::GitlabWebhook, &request("merge", "ana", "09:09:00", json!({"merge_commit_sha": commit("g")})));
    let pipeline = json!({"object_kind": "pipeline", "project": project, "user": {"username": "ana"}, "object_attributes": {
        "id": 31, "ref": "main", "sha": commit("g"), "status": "success", "source": "push",
        "created_at": at("09:10:00"), "finished_at": at("09:20:00")}});
    world.tell(Kind::GitlabWebhook, &pipeline);
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.example");
    let more = json!({
        "userIdentity": {"type": "WebIdentityUser", "identityProvider": provider,
                         "userName": "project_path:acme/web/shop:ref_type:branch:ref:main"},
        "requestParameters": {"roleArn": role("deploy"), "roleSessionName": "GitLab"},
        "responseElements": {"credentials": {"accessKeyId": "ASIAGL"}},
    });
    world.trail("09:12:00", "sts", "AssumeRoleWithWebIdentity", more).code("09:13:00", "shop", session("ASIAGL"));
    let record = world.record();
    assert_eq!(
        (joined(&record).as_str(), record.verdict),
        ("unique 31/1", Verdict::Explained),
        "{:#?}",
        record.findings
    );
}

#[test]
fn the_audit_log_of_github_ties_a_run_to_its_environment() {
    let mut world = World::new();
    world.merged("09:09:00", "c", "ben", "ana");
    world.run(run(1, "c", "09:10:00", "09:20:00")).run(run(2, "c", "09:10:00", "09:20:00"));
    let entry = json!({"action": "workflows.prepared_workflow_job", "@timestamp": 1_795_166_000_000_i64, "org": "acme",
        "repo": "Acme/Orders", "workflow_run_id": 2, "environment_name": "production", "_document_id": "d1", "actor": ""});
    world.tell(Kind::GithubAudit, &entry);
    world.token("09:12:00", "ASIA1", "repo:acme/orders:environment:production").code(
        "09:13:00",
        "orders",
        session("ASIA1"),
    );
    assert_eq!(joined(&world.record()), "unique 2/1");
}
