//! Webhooks of GitHub, as they came, with their headers.

use engine::event::Kind;
use serde_json::{Value, json};

use super::super::company::{ORG, repository_id};
use super::super::log::{Log, in_seconds, second};
use super::Hand;
use super::github::{ORG_ID, merge};

/// A run of a workflow.
#[derive(Clone, Debug)]
pub(in crate::world) struct Run {
    pub(in crate::world) id: u64,
    pub(in crate::world) name: &'static str,
    /// Why it runs: `push`, `pull_request`, `workflow_dispatch`.
    pub(in crate::world) cause: &'static str,
    pub(in crate::world) branch: String,
    pub(in crate::world) commit: String,
    pub(in crate::world) attempt: u64,
    pub(in crate::world) number: u64,
}

impl Log {
    /// A delivery about a repository. `subject` has the time of now in it, because that is where it is read from.
    pub(in crate::world) fn hook(&mut self, event: &str, hand: &Hand, repository: &str, subject: Value) {
        let time = second(self.now);
        let name = repository.split('/').next_back().unwrap_or_default();
        let mut body = json!({
            "repository": {
                "id": repository_id(repository), "name": name, "full_name": repository, "private": true, "fork": false,
                "owner": {"login": ORG, "id": ORG_ID, "type": "Organization"}, "default_branch": "main",
                "html_url": format!("https://github.com/{repository}"), "visibility": "private",
            },
            "organization": {"login": ORG, "id": ORG_ID},
            "sender": person(hand),
        });
        if event == "push" {
            body["repository"]["pushed_at"] = json!(time.millis() / 1000);
        }
        merge(&mut body, subject);
        let received = in_seconds(time);
        let delivery = json!({
            "headers": {
                "X-GitHub-Event": event, "X-GitHub-Delivery": self.draw.uuid(), "X-GitHub-Hook-ID": "31",
                "X-GitHub-Hook-Installation-Target-Type": "organization", "User-Agent": "GitHub-Hookshot/4f1d2c0",
                "Content-Type": "application/json",
            },
            "body": body, "received": received,
        });
        self.write_json(Kind::GithubWebhook, time, &delivery);
    }

    /// Commits come onto a branch.
    pub(in crate::world) fn hook_push(
        &mut self,
        hand: &Hand,
        repository: &str,
        branch: &str,
        commit: &str,
        files: &[&str],
    ) {
        let said = json!({
            "id": commit, "message": "update", "timestamp": in_seconds(self.now),
            "author": {"name": hand.login, "email": format!("{}@users.noreply.example", hand.login), "username": hand.login},
            "added": [], "removed": [], "modified": files,
        });
        let before = self.draw.hex(40);
        let body = json!({
            "ref": format!("refs/heads/{branch}"), "before": before, "after": commit, "created": false, "deleted": false,
            "forced": false, "commits": [said], "head_commit": said,
            "pusher": {"name": hand.login, "email": format!("{}@users.noreply.example", hand.login)},
        });
        self.hook("push", hand, repository, body);
    }

    /// A pull request is `opened` or `closed` by a merge.
    pub(in crate::world) fn hook_request(
        &mut self,
        hand: &Hand,
        author: &Hand,
        repository: &str,
        number: u64,
        action: &str,
        commit: &str,
    ) {
        let merged = action == "closed";
        let time = in_seconds(self.now);
        let body = json!({
            "action": action, "number": number,
            "pull_request": {
                "id": 4_000_000 + number, "number": number, "state": if merged { "closed" } else { "open" }, "merged": merged,
                "merged_by": if merged { person(hand) } else { Value::Null }, "title": "Change", "user": person(author),
                "head": {"ref": format!("change-{number}"), "sha": commit}, "base": {"ref": "main"},
                "merged_at": if merged { json!(time) } else { Value::Null }, "updated_at": time,
            },
        });
        self.hook("pull_request", hand, repository, body);
    }

    /// Somebody approves a pull request.
    pub(in crate::world) fn hook_review(&mut self, hand: &Hand, repository: &str, number: u64, commit: &str) {
        let review = json!({
            "id": 5_000_000 + number, "state": "approved", "user": person(hand),
            "submitted_at": in_seconds(self.now), "commit_id": commit,
        });
        let request = json!({"number": number, "head": {"sha": commit}});
        self.hook(
            "pull_request_review",
            hand,
            repository,
            json!({"action": "submitted", "review": review, "pull_request": request}),
        );
    }

    /// A run is `requested` or `completed`; `conclusion` is how it ended.
    pub(in crate::world) fn hook_run(&mut self, hand: &Hand, repository: &str, run: &Run, conclusion: Option<&str>) {
        let time = in_seconds(self.now);
        let path = format!(".github/workflows/{}.yml", run.name);
        let body = json!({
            "action": if conclusion.is_some() { "completed" } else { "requested" },
            "workflow_run": {
                "id": run.id, "name": run.name, "event": run.cause, "path": path, "conclusion": conclusion,
                "status": if conclusion.is_some() { "completed" } else { "queued" }, "head_branch": run.branch,
                "head_sha": run.commit, "run_number": run.number, "run_attempt": run.attempt, "actor": person(hand),
                "triggering_actor": person(hand), "head_repository": {"full_name": repository, "fork": false},
                "updated_at": time,
            },
            "workflow": {"id": 5000 + run.name.len(), "name": run.name, "path": path, "state": "active"},
        });
        self.hook("workflow_run", hand, repository, body);
    }

    /// A job of a run is `in_progress` or `completed`.
    pub(in crate::world) fn hook_job(
        &mut self,
        hand: &Hand,
        repository: &str,
        run: &Run,
        job: &str,
        runner: &str,
        conclusion: Option<&str>,
    ) {
        let time = in_seconds(self.now);
        let hosted = runner.starts_with("GitHub Actions");
        let when = if conclusion.is_some() { "completed_at" } else { "started_at" };
        let body = json!({
            "action": if conclusion.is_some() { "completed" } else { "in_progress" },
            "workflow_job": {
                "id": run.id * 10 + job.len() as u64, "run_id": run.id, "run_attempt": run.attempt, "name": job,
                "workflow_name": run.name, "status": if conclusion.is_some() { "completed" } else { "in_progress" },
                "conclusion": conclusion, "runner_name": runner, "head_sha": run.commit, "head_branch": run.branch,
                "runner_group_name": if hosted { "GitHub Actions" } else { "Default" },
                "labels": [if hosted { "ubuntu-latest" } else { "self-hosted" }], when: time,
            },
        });
        self.hook("workflow_job", hand, repository, body);
    }

    /// A deployment to production begins; or how it stands, if `state` says so.
    pub(in crate::world) fn hook_deployment(&mut self, repository: &str, run: &Run, state: Option<&str>) {
        let bot = Hand::actions("");
        let time = in_seconds(self.now);
        let mut body = json!({
            "action": "created",
            "deployment": {
                "id": 7_000_000 + run.id, "sha": run.commit, "ref": run.branch, "task": "deploy", "environment": "production",
                "creator": person(&bot), "payload": {},
            },
            "workflow_run": {"id": run.id},
        });
        let Some(state) = state else {
            body["deployment"]["created_at"] = json!(time);
            return self.hook("deployment", &bot, repository, body);
        };
        let status = json!({"id": 7_500_000 + run.id, "state": state, "environment": "production", "created_at": time});
        body["deployment_status"] = status;
        self.hook("deployment_status", &bot, repository, body);
    }

    /// Somebody lets a deployment go to production.
    pub(in crate::world) fn hook_approval(&mut self, hand: &Hand, repository: &str, run: &Run) {
        let body = json!({
            "action": "approved", "approver": person(hand), "comment": "", "environment": "production",
            "workflow_run": {"id": run.id},
        });
        self.hook("deployment_review", hand, repository, body);
    }
}

/// An account in a body.
pub(in crate::world) fn person(hand: &Hand) -> Value {
    json!({"login": hand.login, "id": hand.id, "type": if hand.is_bot { "Bot" } else { "User" }, "site_admin": false})
}
