//! What EventBridge tells of CodePipeline and CodeBuild: executions, their actions with what the other side calls them,
//! and builds with the digests of what they made.

use super::fact::{Action, Answer, Approval, Run, RunKey, Says, System, digest};
use super::text::{is_commit, small};
use crate::event::Event;
use crate::normalise::{lead, moment};
use crate::time::Timestamp;

/// What one envelope says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let said = |path: &str| lead::text(&event.raw, path);
    let sort = said("detail-type").unwrap_or_default();
    match (said("source").unwrap_or_default().as_str(), sort.as_str()) {
        ("aws.codepipeline", "CodePipeline Pipeline Execution State Change") => execution(event),
        ("aws.codepipeline", "CodePipeline Action Execution State Change") => action(event),
        ("aws.codebuild", "CodeBuild Build State Change") => build(event),
        _ => Vec::new(),
    }
}

fn said(event: &Event, path: &str) -> Option<String> {
    lead::text(&event.raw, &format!("detail.{path}"))
}

/// Account and region: ids of executions and builds are of them.
fn scope(event: &Event) -> String {
    [lead::text(&event.raw, "account"), lead::text(&event.raw, "region")].map(Option::unwrap_or_default).join("/")
}

fn time(event: &Event, path: &str) -> Option<Timestamp> {
    moment::read(lead::value(&event.raw, &format!("detail.{path}"))?)
}

fn blank(system: System, event: &Event, id: String) -> Run {
    Run {
        key: RunKey { system, scope: scope(event), id, attempt: 1 },
        started: event.time,
        ended: None,
        conclusion: None,
        commit: None,
        branch: None,
        cause: None,
        actor: None,
        workflow: None,
        reused: Vec::new(),
        fork: None,
        digests: Vec::new(),
    }
}

fn execution(event: &Event) -> Vec<Says> {
    let Some(id) = said(event, "execution-id") else { return Vec::new() };
    let state = said(event, "state").unwrap_or_default();
    let done = ["SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED"].contains(&&*state);
    vec![Says::Run(Run {
        started: time(event, "start-time").unwrap_or(event.time),
        ended: done.then_some(event.time),
        conclusion: Some(state.to_ascii_lowercase()).filter(|_| done),
        cause: said(event, "execution-trigger.trigger-type"),
        actor: said(event, "execution-trigger.trigger-detail"),
        workflow: said(event, "pipeline"),
        ..blank(System::Codepipeline, event, id)
    })]
}

fn action(event: &Event) -> Vec<Says> {
    let Some(execution) = said(event, "execution-id") else { return Vec::new() };
    let category = said(event, "type.category").unwrap_or_default();
    let state = said(event, "state").unwrap_or_default();
    let external = said(event, "execution-result.external-execution-id");
    let mut says = Vec::new();
    let answer = match (category.as_str(), state.as_str()) {
        ("Approval", "SUCCEEDED") => Some(Answer::Approved),
        ("Approval", "FAILED") => Some(Answer::Rejected),
        _ => None,
    };
    if let Some(answer) = answer {
        says.push(Says::Approval(Approval {
            system: System::Codepipeline,
            scope: scope(event),
            run: execution.clone(),
            environment: None,
            // Who it was stands in CloudTrail (PutApprovalResult), which names no execution.
            by: None,
            answer,
            comment: said(event, "execution-result.external-execution-summary").unwrap_or_default(),
        }));
    }
    says.push(Says::Action(Action { execution, category, state, external }));
    says
}

fn build(event: &Event) -> Vec<Says> {
    // `arn:aws:codebuild:…:build/project:<uuid>`
    let Some(id) = said(event, "build-id").and_then(|id| Some(id.rsplit_once(':')?.1.to_owned())) else {
        return Vec::new();
    };
    let more = |name: &str| said(event, &format!("additional-information.{name}"));
    let state = said(event, "build-status").unwrap_or_default();
    let done = state != "IN_PROGRESS";
    let version = more("source-version");
    let started = more("build-start-time").and_then(|text| spelled(&text));
    let digests = more("artifact.sha256sum").and_then(|sum| digest(&sum));
    vec![Says::Run(Run {
        started: started.unwrap_or(event.time),
        ended: done.then_some(event.time),
        conclusion: Some(state.to_ascii_lowercase()).filter(|_| done),
        commit: version.clone().filter(|version| is_commit(version)),
        branch: version.filter(|version| !is_commit(version) && !version.starts_with("arn:")),
        cause: None,
        actor: more("initiator"),
        workflow: said(event, "project-name"),
        digests: digests.into_iter().collect(),
        ..blank(System::Codebuild, event, small(&id))
    })]
}

/// `Sep 1, 2017 4:12:29 PM`, as CodeBuild writes times, in UTC.
fn spelled(text: &str) -> Option<Timestamp> {
    let moment = chrono::NaiveDateTime::parse_from_str(text, "%b %e, %Y %I:%M:%S %p").ok()?;
    Some(Timestamp::from_micros(moment.and_utc().timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_codebuild_are_read() {
        let read = spelled("Sep 1, 2017 4:12:29 PM").unwrap();
        assert_eq!(read.to_string(), "2017-09-01T16:12:29.000000Z");
        assert!(spelled("yesterday").is_none());
    }
}
