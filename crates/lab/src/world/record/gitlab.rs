//! Webhooks of GitLab, and what CodePipeline says on EventBridge: the pipelines that are not GitHub's.

use engine::event::Kind;
use serde_json::{Value, json};

use super::super::company::PROD;
use super::super::log::{Log, in_milliseconds, in_seconds, millisecond, second};
use super::super::person::Person;

/// A pipeline of GitLab.
#[derive(Clone, Debug)]
pub(in crate::world) struct Gitlab {
    pub(in crate::world) project: &'static str,
    pub(in crate::world) pipeline: u64,
    pub(in crate::world) commit: String,
}

impl Log {
    /// Commits come onto the main branch.
    pub(in crate::world) fn gitlab_push(&mut self, person: &Person, run: &Gitlab) {
        let before = self.draw.hex(40);
        let body = json!({
            "object_kind": "push", "event_name": "push", "before": before, "after": run.commit, "ref": "refs/heads/main",
            "checkout_sha": run.commit, "user_id": person.github_id, "user_username": person.login, "commits": [],
            "total_commits_count": 1,
        });
        self.gitlab("Push Hook", run, body);
    }

    /// The pipeline is `running`, or how it ended.
    pub(in crate::world) fn gitlab_pipeline(&mut self, person: &Person, run: &Gitlab, status: &str) {
        let body = json!({
            "object_kind": "pipeline",
            "object_attributes": {
                "id": run.pipeline, "ref": "main", "tag": false, "sha": run.commit, "source": "push", "status": status,
                "created_at": in_seconds(self.now),
            },
            "user": {"id": person.github_id, "name": person.name, "username": person.login}, "builds": [],
        });
        self.gitlab("Pipeline Hook", run, body);
    }

    /// Its deploying job is `running`, or how it ended.
    pub(in crate::world) fn gitlab_job(&mut self, person: &Person, run: &Gitlab, status: &str) {
        let body = json!({
            "object_kind": "build", "ref": "main", "tag": false, "sha": run.commit, "build_id": run.pipeline * 10 + 1,
            "build_name": "deploy", "build_stage": "deploy", "build_status": status, "pipeline_id": run.pipeline,
            "build_started_at": in_seconds(self.now),
            "user": {"id": person.github_id, "name": person.name, "username": person.login},
            "environment": {"name": "production", "action": "start"},
        });
        self.gitlab("Job Hook", run, body);
    }

    fn gitlab(&mut self, event: &str, run: &Gitlab, mut body: Value) {
        let number = super::super::company::repository_id(run.project) % 10_000;
        body["project_id"] = json!(number);
        body["project"] = json!({
            "id": number, "name": run.project, "namespace": "example-group", "default_branch": "main",
            "path_with_namespace": format!("example-group/{}", run.project), "visibility_level": 0,
            "web_url": format!("https://gitlab.example.org/example-group/{}", run.project),
        });
        let time = second(self.now);
        let delivery = json!({
            "headers": {
                "X-Gitlab-Event": event, "X-Gitlab-Event-UUID": self.draw.uuid(), "Idempotency-Key": self.draw.uuid(),
                "X-Gitlab-Instance": "https://gitlab.example.org", "Content-Type": "application/json",
            },
            "body": body, "received": in_seconds(time),
        });
        self.write_json(Kind::GitlabWebhook, time, &delivery);
    }

    /// Something that GitLab's audit log tells of a project, such as `protected_branch_removed`.
    pub(in crate::world) fn gitlab_audit(
        &mut self,
        person: &Person,
        project: &str,
        event: &str,
        target: (&str, &str),
        address: &str,
    ) {
        let time = millisecond(self.now);
        let entry = json!({
            "id": self.draw.uuid(), "author_id": person.github_id, "author_name": person.name, "ip_address": address,
            "entity_id": super::super::company::repository_id(project) % 10_000, "entity_type": "Project",
            "entity_path": format!("example-group/{project}"), "event_type": event, "target_type": target.0,
            "target_details": target.1, "created_at": in_milliseconds(time),
            "details": {"author_class": "User", "event_name": event, "target_details": target.1},
        });
        self.write_json(Kind::GitlabAudit, time, &entry);
    }

    /// A pipeline execution of CodePipeline is `STARTED`, or how it ended.
    pub(in crate::world) fn code_pipeline(&mut self, name: &str, execution: &str, state: &str) {
        let detail = json!({
            "pipeline": format!("{name}-release"), "execution-id": execution, "state": state, "version": 7,
            "pipeline-execution-attempt": 1,
        });
        self.event_bridge("aws.codepipeline", "CodePipeline Pipeline Execution State Change", detail);
    }

    /// One of its actions succeeded: what it made outside is the commit of a source, the build of a build.
    pub(in crate::world) fn code_action(&mut self, name: &str, execution: &str, stage: &str, external: &str) {
        let detail = json!({
            "pipeline": format!("{name}-release"), "execution-id": execution, "stage": stage, "action": stage,
            "state": "SUCCEEDED", "region": "eu-west-1", "version": 7,
            "execution-result": {"external-execution-id": external},
        });
        self.event_bridge("aws.codepipeline", "CodePipeline Action Execution State Change", detail);
    }

    fn event_bridge(&mut self, source: &str, sort: &str, detail: Value) {
        let time = second(self.now);
        let envelope = json!({
            "version": "0", "id": self.draw.uuid(), "detail-type": sort, "source": source, "account": PROD,
            "time": in_seconds(time), "region": "eu-west-1", "resources": [], "detail": detail,
        });
        self.write_json(Kind::AwsEventbridge, time, &envelope);
    }
}
