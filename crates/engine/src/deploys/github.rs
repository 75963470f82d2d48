//! Webhooks of GitHub: pushes, pull requests, reviews, protections, checks, runs, jobs and approvals.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::caller::is_true;
use super::fact::{
    Answer, Approval, COMMITS_MAX, Check, Guard, GuardSort, Job, Merge, Opinion, Push, Review, Run, RunKey, Says,
    System, Turn, Update,
};
use super::subject::short;
use super::text::{first_line, pipeline_files, small};
use crate::event::Event;
use crate::normalise::{lead, moment};

/// What one delivery says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let body = &event.raw;
    let Some(repository) = lead::text(body, "repository.full_name").map(|name| small(&name)) else {
        return Vec::new();
    };
    let delivery = Delivery { body, repository };
    match delivery.name() {
        "push" => delivery.push().map(Says::Push).into_iter().collect(),
        "pull_request" => delivery.pull_request(),
        "pull_request_review" => delivery.review().map(Says::Review).into_iter().collect(),
        "branch_protection_rule" | "repository_ruleset" => delivery.protection(),
        "check_run" | "status" => delivery.check().map(Says::Check).into_iter().collect(),
        "workflow_run" => delivery.run(event).map(Says::Run).into_iter().collect(),
        "workflow_job" | "deployment" | "deployment_status" => delivery.job().map(Says::Job).into_iter().collect(),
        "deployment_review" => delivery.approval(),
        _ => Vec::new(),
    }
}

struct Delivery<'e> {
    body: &'e Value,
    repository: String,
}

/// Members that only one sort of event has, the more telling first: a body that came without headers names none.
const TELLING: [(&str, &str); 10] = [
    ("review", "pull_request_review"),
    ("pull_request", "pull_request"),
    ("approver", "deployment_review"),
    ("workflow_job", "workflow_job"),
    ("deployment_status", "deployment_status"),
    ("deployment", "deployment"),
    ("workflow_run", "workflow_run"),
    ("check_run", "check_run"),
    ("rule", "branch_protection_rule"),
    ("repository_ruleset", "repository_ruleset"),
];

impl Delivery<'_> {
    fn name(&self) -> &str {
        let named = self.body.get("event").and_then(JsonValueTrait::as_str);
        let told = || TELLING.iter().find(|(member, _)| lead::is_object(self.body, member)).map(|(_, name)| *name);
        let pushed = || self.body.get("after").is_some().then_some("push");
        named.or_else(told).or_else(pushed).unwrap_or_default()
    }

    fn said(&self, path: &str) -> Option<String> {
        lead::text(self.body, path)
    }

    fn or_empty(&self, path: &str) -> String {
        self.said(path).unwrap_or_default()
    }

    fn action(&self) -> String {
        self.or_empty("action")
    }

    fn push(&self) -> Option<Push> {
        let after = self.said("after")?;
        let commits = self.body.get("commits").and_then(JsonContainerTrait::as_array);
        let commits = || commits.into_iter().flat_map(|commits| commits.iter());
        let pipeline_files = pipeline_files(commits());
        let others = commits().filter_map(|commit| lead::text(commit, "id")).filter(|id| *id != after);
        Some(Push {
            repository: self.repository.clone(),
            git_ref: self.said("ref")?,
            before: self.or_empty("before"),
            commits: others.take(COMMITS_MAX).collect(),
            forced: is_true(self.body, "forced"),
            pusher: self.said("sender.login").unwrap_or_else(|| self.or_empty("pusher.name")),
            pipeline_files,
            message: first_line(&self.or_empty("head_commit.message")),
            after,
        })
    }

    fn pull_request(&self) -> Vec<Says> {
        let pull = |path: &str| self.said(&format!("pull_request.{path}"));
        let (Some(number), Some(head)) = (pull("number").or_else(|| self.said("number")), pull("head.sha")) else {
            return Vec::new();
        };
        let merged = is_true(self.body, "pull_request.merged") && self.action() == "closed";
        if merged && let Some(commit) = pull("merge_commit_sha") {
            let source = pull("head.repo.full_name").map(|name| small(&name));
            let title = [pull("title"), pull("head.ref")].into_iter().flatten().collect::<Vec<_>>().join(" ");
            return vec![Says::Merge(Merge {
                repository: self.repository.clone(),
                number,
                author: pull("user.login").unwrap_or_default(),
                merged_by: pull("merged_by.login").unwrap_or_else(|| self.or_empty("sender.login")),
                by_bot: pull("merged_by.type").or_else(|| self.said("sender.type")).as_deref() == Some("Bot"),
                head,
                commit,
                base: pull("base.ref").unwrap_or_default(),
                fork: source.filter(|source| *source != self.repository),
                title: first_line(&title),
            })];
        }
        if ["opened", "synchronize", "reopened"].contains(&&*self.action()) {
            let by = self.or_empty("sender.login");
            return vec![Says::Update(Update { repository: self.repository.clone(), number, by, head })];
        }
        Vec::new()
    }

    fn review(&self) -> Option<Review> {
        let opinion = match (self.action().as_str(), self.said("review.state")?.to_ascii_lowercase().as_str()) {
            ("dismissed", _) | (_, "dismissed") => Opinion::Withdrawn,
            (_, "approved") => Opinion::Approved,
            (_, "changes_requested") => Opinion::ChangesRequested,
            // A comment takes no earlier opinion back.
            _ => return None,
        };
        Some(Review {
            repository: self.repository.clone(),
            number: self.said("pull_request.number")?,
            by: self.said("review.user.login")?,
            by_bot: self.said("review.user.type").as_deref() == Some("Bot"),
            opinion,
            commit: self.said("review.commit_id"),
        })
    }

    fn protection(&self) -> Vec<Says> {
        let action = self.action();
        let turn = match action.as_str() {
            "deleted" => Turn::Lifted,
            "created" => Turn::Set,
            _ => Turn::Altered,
        };
        let name = self.said("rule.name").or_else(|| self.said("repository_ruleset.name")).unwrap_or_default();
        let by = self.or_empty("sender.login");
        let guard = |sort, turn| {
            let (repository, name, by) = (self.repository.clone(), name.clone(), by.clone());
            Says::Guard(Guard { repository, sort, name, turn, by })
        };
        let changed = self.body.get("changes");
        let checks = ["required_status_checks", "required_status_checks_enforcement_level"];
        let touches = |part: &&str| changed.is_some_and(|changes| changes.get(*part).is_some());
        let mut says = vec![guard(GuardSort::Branch, turn)];
        if checks.iter().any(touches) {
            says.push(guard(GuardSort::Checks, Turn::Altered));
        }
        says
    }

    fn check(&self) -> Option<Check> {
        let ended = self
            .said("check_run.conclusion")
            .map(|conclusion| (conclusion, self.or_empty("check_run.head_sha"), self.or_empty("check_run.name")));
        let status = || Some((self.said("state")?, self.said("sha")?, self.said("context")?));
        let (conclusion, commit, name) = ended.or_else(status)?;
        let pending = conclusion == "pending" || commit.is_empty();
        (!pending).then(|| Check { repository: self.repository.clone(), commit, name, conclusion })
    }

    fn run(&self, event: &Event) -> Option<Run> {
        let run = |path: &str| self.said(&format!("workflow_run.{path}"));
        let time = |name: &str| moment::read(lead::value(self.body, &format!("workflow_run.{name}"))?);
        let attempt = run("run_attempt").and_then(|text| text.parse().ok()).unwrap_or(1);
        let source = run("head_repository.full_name").map(|name| small(&name));
        let reused = lead::value(self.body, "workflow_run").and_then(|run| run.get("referenced_workflows")?.as_array());
        let mut reused: Vec<String> = reused.into_iter().flatten().filter_map(|one| lead::text(one, "path")).collect();
        reused.sort();
        let done = self.action() == "completed";
        Some(Run {
            key: RunKey { system: System::Github, scope: self.repository.clone(), id: run("id")?, attempt },
            // When this attempt began; `created_at` is that of the first one.
            started: time("run_started_at").or_else(|| time("created_at")).unwrap_or(event.time),
            ended: time("updated_at").filter(|_| done),
            conclusion: run("conclusion").filter(|_| done),
            commit: run("head_sha"),
            branch: run("head_branch"),
            cause: run("event"),
            actor: run("triggering_actor.login").or_else(|| run("actor.login")),
            workflow: run("path").or_else(|| run("name")),
            reused,
            fork: source.filter(|source| *source != self.repository),
            digests: Vec::new(),
        })
    }

    /// Only what ties a run to an environment: jobs of one run are one run.
    fn job(&self) -> Option<Job> {
        let run = self.said("workflow_job.run_id").or_else(|| self.said("workflow_run.id"))?;
        let environment = self.said("deployment.environment")?;
        Some(Job { system: System::Github, scope: self.repository.clone(), run, environment })
    }

    fn approval(&self) -> Vec<Says> {
        let answer = match self.action().as_str() {
            "approved" => Answer::Approved,
            "rejected" => Answer::Rejected,
            _ => return Vec::new(),
        };
        let Some(run) = self.said("workflow_run.id") else { return Vec::new() };
        let jobs = ["workflow_job_runs", "workflow_job_run"].iter().find_map(|name| self.body.get(*name));
        let one = |job: &Value| lead::text(job, "environment");
        let mut environments: Vec<Option<String>> = match jobs {
            Some(jobs) => match jobs.as_array() {
                Some(list) => list.iter().map(one).collect(),
                None => vec![one(jobs)],
            },
            None => Vec::new(),
        };
        environments.sort();
        environments.dedup();
        if environments.is_empty() {
            environments.push(self.said("environment"));
        }
        let by = self.said("approver.login").or_else(|| self.said("sender.login"));
        let comment = first_line(&self.or_empty("comment"));
        let approval = |environment| {
            let (scope, run, by, comment) = (self.repository.clone(), run.clone(), by.clone(), comment.clone());
            Says::Approval(Approval { system: System::Github, scope, run, environment, by, answer, comment })
        };
        environments.into_iter().map(approval).collect()
    }
}

/// What an entry of the audit log says beyond the webhooks: jobs that were prepared, and protections gone past.
pub(super) fn audit(event: &Event) -> Vec<Says> {
    let entry = &event.raw;
    let said = |path: &str| lead::text(entry, path);
    let Some(repository) = said("repo").or_else(|| said("repository")).map(|name| small(&name)) else {
        return Vec::new();
    };
    let action = said("action").unwrap_or_default();
    let by = said("actor").unwrap_or_default();
    let run = said("workflow_run_id");
    let environment = said("environment_name").or_else(|| said("environment"));
    let guard = |sort, turn, name: Option<String>| {
        let (repository, by, name) = (repository.clone(), by.clone(), name.unwrap_or_default());
        vec![Says::Guard(Guard { repository, sort, name, turn, by })]
    };
    // Whatever the entry calls the branch: fields of these entries differ from one to the next.
    let branch = ["name", "branch", "ref"].iter().find_map(|name| said(name)).map(|name| short(&name));
    match action.as_str() {
        "workflows.prepared_workflow_job" => match (run, environment) {
            (Some(run), Some(environment)) => {
                vec![Says::Job(Job { system: System::Github, scope: repository, run, environment })]
            }
            _ => Vec::new(),
        },
        "workflows.approve_workflow_job" | "workflows.reject_workflow_job" | "workflows.bypass_protection_rules" => {
            let answer = match action.as_str() {
                "workflows.approve_workflow_job" => Answer::Approved,
                "workflows.reject_workflow_job" => Answer::Rejected,
                _ => Answer::Bypassed,
            };
            let Some(run) = run else { return Vec::new() };
            let by = Some(by).filter(|by| !by.is_empty());
            let (scope, comment) = (repository, String::new());
            vec![Says::Approval(Approval { system: System::Github, scope, run, environment, by, answer, comment })]
        }
        "protected_branch.create" => guard(GuardSort::Branch, Turn::Set, branch),
        "protected_branch.destroy" => guard(GuardSort::Branch, Turn::Lifted, branch),
        "protected_branch.policy_override" => guard(GuardSort::Branch, Turn::Bypassed, branch),
        "repository_ruleset.destroy" => guard(GuardSort::Branch, Turn::Lifted, said("ruleset_name")),
        "environment.remove_protection_rule" => guard(GuardSort::Environment, Turn::Lifted, environment),
        "environment.update_protection_rule" => guard(GuardSort::Environment, Turn::Altered, environment),
        "environment.create_protection_rule" | "environment.add_protection_rule" => {
            guard(GuardSort::Environment, Turn::Set, environment)
        }
        name if name.starts_with("protected_branch.") && name.contains("required_status_check") => {
            guard(GuardSort::Checks, Turn::Altered, branch)
        }
        name if name.starts_with("protected_branch.update_") => guard(GuardSort::Branch, Turn::Altered, branch),
        _ => Vec::new(),
    }
}
