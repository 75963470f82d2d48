//! Webhooks of GitLab: pushes, merge requests, pipelines, jobs and deployments.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::fact::{
    Answer, Approval, COMMITS_MAX, Job, Merge, Opinion, Push, Review, Run, RunKey, Says, System, Update,
};
use super::text::{first_line, pipeline_files, small};
use crate::event::Event;
use crate::normalise::{lead, moment};

/// What one delivery says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let body = &event.raw;
    let kind = lead::any(body, &["object_kind", "event_name"]).unwrap_or_default();
    let path = lead::any(body, &["project.path_with_namespace", "project_path_with_namespace"]);
    let Some(project) = path.map(|path| small(&path)) else { return Vec::new() };
    let hook = Hook { body, project };
    match kind.as_str() {
        "push" | "tag_push" => hook.push().map(Says::Push).into_iter().collect(),
        "merge_request" => hook.merge_request(),
        "pipeline" => hook.pipeline(event),
        "build" => hook.build().map(Says::Job).into_iter().collect(),
        _ => Vec::new(),
    }
}

struct Hook<'e> {
    body: &'e Value,
    project: String,
}

impl Hook<'_> {
    fn said(&self, path: &str) -> Option<String> {
        lead::text(self.body, path)
    }

    fn push(&self) -> Option<Push> {
        let after = self.said("after")?;
        let commits = self.body.get("commits").and_then(JsonContainerTrait::as_array);
        let commits = || commits.into_iter().flat_map(|commits| commits.iter());
        let pipeline_files = pipeline_files(commits());
        let last = commits().find(|commit| lead::text(commit, "id").as_deref() == Some(&*after));
        let others = commits().filter_map(|commit| lead::text(commit, "id")).filter(|id| *id != after);
        Some(Push {
            repository: self.project.clone(),
            git_ref: self.said("ref")?,
            before: self.said("before").unwrap_or_default(),
            commits: others.take(COMMITS_MAX).collect(),
            // GitLab does not say it.
            forced: false,
            pusher: self.said("user_username").unwrap_or_default(),
            pipeline_files,
            message: last
                .and_then(|commit| lead::text(commit, "message"))
                .map_or_else(String::new, |it| first_line(&it)),
            after,
        })
    }

    fn merge_request(&self) -> Vec<Says> {
        let about = |path: &str| self.said(&format!("object_attributes.{path}"));
        let (Some(number), Some(head)) = (about("iid"), about("last_commit.id")) else { return Vec::new() };
        let by = self.said("user.username").unwrap_or_default();
        let by_bot = by.contains("_bot") || by.ends_with("[bot]");
        let repository = self.project.clone();
        let review = |opinion| {
            let (commit, number, repository, by) = (Some(head.clone()), number.clone(), repository.clone(), by.clone());
            vec![Says::Review(Review { repository, number, by, by_bot, opinion, commit })]
        };
        match about("action").unwrap_or_default().as_str() {
            // `approved` and `unapproved` are told when all that are asked have answered.
            "approved" | "approval" => review(Opinion::Approved),
            "unapproved" | "unapproval" => review(Opinion::Withdrawn),
            "open" | "reopen" => vec![Says::Update(Update { repository, number, by, head })],
            "update" if about("oldrev").is_some() => vec![Says::Update(Update { repository, number, by, head })],
            "merge" => {
                let Some(commit) = about("merge_commit_sha").or_else(|| about("squash_commit_sha")) else {
                    return Vec::new();
                };
                let source = about("source.path_with_namespace").map(|path| small(&path));
                let title =
                    [about("title"), about("source_branch")].into_iter().flatten().collect::<Vec<_>>().join(" ");
                vec![Says::Merge(Merge {
                    fork: source.filter(|source| *source != repository),
                    repository,
                    number,
                    // The hook names its author by a number only, which no other hook is about.
                    author: self.said("author.username").or_else(|| about("author.username")).unwrap_or_default(),
                    merged_by: by,
                    by_bot,
                    head,
                    commit,
                    base: about("target_branch").unwrap_or_default(),
                    title: first_line(&title),
                })]
            }
            _ => Vec::new(),
        }
    }

    fn pipeline(&self, event: &Event) -> Vec<Says> {
        let about = |path: &str| self.said(&format!("object_attributes.{path}"));
        let time = |name: &str| moment::read(lead::value(self.body, &format!("object_attributes.{name}"))?);
        let Some(id) = about("id") else { return Vec::new() };
        let status = about("status").unwrap_or_default();
        let done = ["success", "failed", "canceled", "skipped"].contains(&&*status);
        let run = Run {
            key: RunKey { system: System::Gitlab, scope: self.project.clone(), id: id.clone(), attempt: 1 },
            started: time("created_at").unwrap_or(event.time),
            ended: time("finished_at").filter(|_| done),
            conclusion: Some(status).filter(|_| done),
            commit: about("sha"),
            branch: about("ref"),
            cause: about("source"),
            actor: self.said("user.username"),
            workflow: about("name"),
            reused: Vec::new(),
            fork: None,
            digests: Vec::new(),
        };
        let builds = self.body.get("builds").and_then(JsonContainerTrait::as_array);
        let mut says = vec![Says::Run(run)];
        for build in builds.into_iter().flat_map(|builds| builds.iter()) {
            let Some(environment) = lead::text(build, "environment.name") else { continue };
            says.push(Says::Job(self.job(id.clone(), environment.clone())));
            // Somebody pressed the button of a manual job, which is how GitLab asks.
            let pressed = lead::text(build, "manual").as_deref() == Some("true")
                && lead::text(build, "status").is_some_and(|status| ["success", "running"].contains(&&*status));
            if pressed && let Some(by) = lead::text(build, "user.username") {
                says.push(Says::Approval(Approval {
                    system: System::Gitlab,
                    scope: self.project.clone(),
                    run: id.clone(),
                    environment: Some(environment),
                    by: Some(by),
                    answer: Answer::Approved,
                    comment: String::new(),
                }));
            }
        }
        says
    }

    fn build(&self) -> Option<Job> {
        Some(self.job(self.said("pipeline_id")?, self.said("environment.name")?))
    }

    fn job(&self, run: String, environment: String) -> Job {
        Job { system: System::Gitlab, scope: self.project.clone(), run, environment }
    }
}
