//! GitHub webhook deliveries: the body alone, or `{"headers":{…},"body":{…},"received":"…"}`, where the body may
//! also be a string of JSON, as gateways and [`delivery`] write it.
//!
//! Rules read the body with one member added, `event`: the event's name from `X-GitHub-Event`, which GitHub
//! sends only as a header. A body without headers gets none. The header wins over a member of that name.

use std::collections::BTreeMap;

use sonic_rs::{JsonContainerTrait, JsonValueMutTrait, JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::{Kind, Limits, Piece, Refusal, RejectReason, by_position, id, moment, owned, parse, text, trim};
use crate::event::{Actor, ActorSort, Event, Facets, Outcome, Pipeline, Target, Uid};
use crate::time::Timestamp;

pub(super) static READING: Reading = Reading {
    log_source: Some(("github", "webhook")),
    fits,
    event,
    told: Told::Document(facets),
    home,
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    let delivery = document.get("headers").is_some_and(|headers| header(headers, "x-github-event").is_some());
    delivery || has("sender") && (has("repository") || has("organization") || has("installation"))
}

/// Members of a body that live on while things happen to them, so that their times are not the event's.
const LASTING: [&str; 8] =
    ["repository", "organization", "enterprise", "sender", "head_commit", "workflow", "team", "pusher"];

/// Members of the thing that the event is about which say when something happened to it.
const TIMES: [&str; 14] = [
    "updated_at",
    "created_at",
    "completed_at",
    "started_at",
    "run_started_at",
    "published_at",
    "submitted_at",
    "closed_at",
    "merged_at",
    "fixed_at",
    "dismissed_at",
    "resolved_at",
    "suspended_at",
    "pushed_at",
];

/// A webhook as it came: alone, or in the wrapper of a relay.
pub(super) struct Relayed<'a> {
    pub(super) headers: Option<&'a Value>,
    pub(super) body: Value,
    pub(super) received: Option<Timestamp>,
}

/// Takes it out of its wrapper, if it is in one.
pub(super) fn relayed<'a>(document: &'a Value, limits: &Limits) -> Result<Relayed<'a>, Refusal> {
    let headers = document.get("headers").filter(|headers| headers.is_object());
    let (body, received) = match headers {
        Some(_) => (body(document, limits)?, document.get("received").and_then(moment::read)),
        None => (document.clone(), None),
    };
    if !body.is_object() {
        return Err(Refusal::shape("no webhook: the body is no JSON object"));
    }
    Ok(Relayed { headers, body, received })
}

/// The event of one delivery.
fn event(piece: &Piece<'_>, limits: &Limits) -> Result<Event, Refusal> {
    let Relayed { headers, mut body, received } = relayed(&piece.document, limits)?;
    let time = time(&body, received.or(piece.time))
        .ok_or_else(|| Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in the webhook"))?;
    let name = headers.and_then(|headers| header(headers, "x-github-event"));
    let delivery = headers.and_then(|headers| header(headers, "x-github-delivery"));
    let uid = match delivery {
        Some(id) => Uid { origin: owner(&body).unwrap_or_default(), id: id.to_owned() },
        None => by_position(piece.position),
    };
    if let (Some(name), Some(members)) = (name, body.as_object_mut()) {
        members.insert("event", name);
    }
    Ok(Event { uid, time, kind: Kind::GithubWebhook, raw: body })
}

/// A header by its lower-case name; its first value where a gateway gives a list.
pub(super) fn header<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
    let (_, value) = headers.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    let one = value.as_array().map_or(Some(value), |list| list.first())?;
    one.as_str().filter(|text| !text.is_empty())
}

/// What a delivery says in the words that all kinds share.
fn facets(body: &Value) -> Facets {
    let action = [text(body, "event"), text(body, "action")];
    Facets {
        actor: actor(body),
        action: action.into_iter().flatten().collect::<Vec<_>>().join("."),
        target: target(body),
        outcome: outcome(body),
        pipeline: pipeline(body),
        ..Facets::default()
    }
}

/// Puts a webhook that came over HTTP into the one document that [`normalise`](super::normalise) takes.
///
/// `received` becomes the event's time where GitHub gives none, as for a new member of an organisation. The
/// body goes in as a string, so that no body can pretend to headers.
#[must_use]
pub fn delivery(headers: &[(&str, &str)], body: &[u8], received: Timestamp) -> Vec<u8> {
    let headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
    let body = String::from_utf8_lossy(body);
    serde_json::json!({"headers": headers, "body": body, "received": received}).to_string().into_bytes()
}

fn body(document: &Value, limits: &Limits) -> Result<Value, Refusal> {
    let body = document.get("body").ok_or_else(|| Refusal::shape("no webhook: headers without a body"))?;
    match body.as_str() {
        Some(text) => parse(trim(text.as_bytes()), limits),
        None => Ok(body.clone()),
    }
}

/// The time of an event that carries none of its own: in turn
/// 1. the latest time of what the event is about (`workflow_run.updated_at`, `alert.fixed_at`, …);
/// 2. for a push, `repository.pushed_at`, since the times of commits are whatever the committer wrote;
/// 3. when it was received, where the wrapper says so;
/// 4. the latest time of the repository or organisation;
/// 5. `head_commit.timestamp`.
fn time(body: &Value, received: Option<Timestamp>) -> Option<Timestamp> {
    let members = body.as_object()?;
    let subjects = members.iter().filter(|(name, _)| !LASTING.contains(name)).map(|(_, subject)| subject);
    let of_event = subjects.chain([body]).filter_map(latest).max();
    let pushed = || moment::read(body.get("repository")?.get("pushed_at").filter(|_| body.get("after").is_some())?);
    let of_surroundings = || ["repository", "organization"].iter().filter_map(|name| latest(body.get(name)?)).max();
    let of_commit = || moment::read(body.get("head_commit")?.get("timestamp")?);
    of_event.or_else(pushed).or(received).or_else(of_surroundings).or_else(of_commit)
}

fn latest(subject: &Value) -> Option<Timestamp> {
    TIMES.iter().filter_map(|name| moment::read(subject.get(name)?)).max()
}

fn login(body: &Value, name: &str) -> Option<String> {
    owned(body.get(name)?, "login")
}

fn owner(body: &Value) -> Option<String> {
    let of_repository = || login(body.get("repository")?, "owner");
    let of_enterprise = || owned(body.get("enterprise")?, "slug");
    login(body, "organization").or_else(of_repository).or_else(of_enterprise)
}

fn home(body: &Value) -> Home<'_> {
    Home::at(body, &["organization.login", "repository.owner.login", "enterprise.slug"], &[])
}

fn actor(body: &Value) -> Actor {
    let Some(sender) = body.get("sender") else {
        return Actor::default();
    };
    let sort = match text(sender, "type") {
        Some("User") => ActorSort::Human,
        Some("Bot") => ActorSort::App,
        _ => ActorSort::Unknown,
    };
    Actor { id: id(sender, "id"), name: owned(sender, "login"), sort }
}

fn target(body: &Value) -> Target {
    let repository = body.get("repository").and_then(|repository| owned(repository, "full_name"));
    let candidates = [("repository", repository), ("organization", login(body, "organization"))];
    let (kind, id) = candidates.into_iter().find_map(|(kind, id)| Some((kind.to_owned(), id?))).unzip();
    Target { kind, id, account: owner(body), region: None }
}

/// How a run, job, check or deployment ended.
fn outcome(body: &Value) -> Outcome {
    let results = [
        ("workflow_run", "conclusion"),
        ("workflow_job", "conclusion"),
        ("check_run", "conclusion"),
        ("deployment_status", "state"),
    ];
    let result = results.iter().find_map(|(subject, name)| owned(body.get(subject)?, name));
    match result {
        Some(result) if matches!(result.as_str(), "failure" | "error" | "timed_out" | "startup_failure") => {
            Outcome::Failure(result)
        }
        _ => Outcome::Success,
    }
}

fn pipeline(body: &Value) -> Pipeline {
    let subject = |name: &str| body.get(name).filter(|subject| subject.is_object());
    let repository = || owned(body.get("repository")?, "full_name");
    let environment = || owned(body.get("deployment")?, "environment");
    if let Some(run) = subject("workflow_run") {
        return Pipeline {
            repository: repository(),
            git_ref: owned(run, "head_branch"),
            commit: owned(run, "head_sha"),
            workflow: owned(run, "path").or_else(|| owned(run, "name")),
            run: id(run, "id"),
            environment: environment(),
        };
    }
    if let Some(job) = subject("workflow_job") {
        return Pipeline {
            repository: repository(),
            git_ref: owned(job, "head_branch"),
            commit: owned(job, "head_sha"),
            workflow: owned(job, "workflow_name"),
            run: id(job, "run_id"),
            environment: environment(),
        };
    }
    if let Some(deployment) = subject("deployment") {
        return Pipeline {
            repository: repository(),
            git_ref: owned(deployment, "ref"),
            commit: owned(deployment, "sha"),
            environment: environment(),
            ..Pipeline::default()
        };
    }
    if body.get("after").is_some() {
        return Pipeline {
            repository: repository(),
            git_ref: owned(body, "ref"),
            commit: owned(body, "after"),
            ..Pipeline::default()
        };
    }
    Pipeline::default()
}
