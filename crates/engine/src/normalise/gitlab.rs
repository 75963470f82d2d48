//! GitLab webhooks and system hooks: the body alone, or as a relay wraps it that has checked the token
//! (see [`webhook`](super::webhook)).

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::home::{Home, said};
use super::kind::{Reading, Told};
use super::webhook::{self, header};
use super::{Kind, Limits, Piece, Refusal, RejectReason, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Event, Facets, Outcome, Pipeline, Target, Uid};
use crate::time::Timestamp;

pub(super) static READING: Reading = Reading {
    log_source: Some(("gitlab", "webhook")),
    fits,
    event,
    told: Told::Document(facets),
    home,
    ..Reading::PLAIN
};

/// What a body that names its `object_kind` has at least one of.
const SUBJECTS: [&str; 5] = ["object_attributes", "project", "project_id", "group", "group_id"];

/// The same for the hooks of groups and of the system, which name their event alone.
const PLACES: [&str; 4] = ["group_path", "full_path", "path_with_namespace", "project_path_with_namespace"];

/// Hooks of the system about a user, who has no place.
const USERS: [&str; 6] =
    ["key_create", "key_destroy", "user_create", "user_destroy", "user_rename", "user_failed_login"];

/// When something that had begun came to what the body tells.
const CHANGES: [&str; 9] = [
    "finished_at",
    "build_finished_at",
    "status_changed_at",
    "updated_at",
    "last_edited_at",
    "closed_at",
    "merged_at",
    "deleted_at",
    "resolved_at",
];

/// When it began.
const BEGINNINGS: [&str; 5] = ["build_started_at", "started_at", "build_created_at", "released_at", "created_at"];

fn fits(document: &Value) -> bool {
    let has = |name: &&str| document.get(name).is_some();
    let delivery = document.get("headers").is_some_and(|headers| header(headers, "x-gitlab-event").is_some());
    let name = text(document, "event_name");
    delivery
        || text(document, "object_kind").is_some() && SUBJECTS.iter().any(has)
        || name.is_some() && PLACES.iter().any(has)
        || name.is_some_and(|name| USERS.contains(&name)) && has(&"created_at")
}

fn event(piece: &Piece<'_>, limits: &Limits) -> Result<Event, Refusal> {
    let webhook::Relayed { headers, body, received } = webhook::relayed(&piece.document, limits)?;
    if text(&body, "object_kind").or_else(|| text(&body, "event_name")).is_none() {
        return Err(Refusal::shape("no GitLab webhook: object_kind and event_name are missing"));
    }
    let time = time(&body, received.or(piece.time)).ok_or_else(|| {
        Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in the webhook, and no time of receipt")
    })?;
    // The ids in the other headers are those of a hook, or shared by all hooks that one hook leads to.
    let key = headers.and_then(|headers| header(headers, "idempotency-key"));
    let uid = match key {
        Some(id) => {
            let instance = headers.and_then(|headers| header(headers, "x-gitlab-instance"));
            Uid { origin: instance.unwrap_or_default().to_owned(), id: id.to_owned() }
        }
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::GitlabWebhook, raw: body })
}

/// In turn: when what it is about last changed; when it was received, where the wrapper says so; when what it is about
/// began; the latest commit of a push, which is whatever the committer wrote.
fn time(body: &Value, received: Option<Timestamp>) -> Option<Timestamp> {
    let attributes = body.get("object_attributes");
    let subjects = || attributes.into_iter().chain([body]);
    let latest = |names: &[&str]| {
        let times = subjects().flat_map(|subject| names.iter().filter_map(|name| moment::read(subject.get(name)?)));
        times.max()
    };
    let commits = || {
        let list = body.get("commits")?.as_array()?;
        list.iter().filter_map(|commit| moment::read(commit.get("timestamp")?)).max()
    };
    // A token was made long before the hook that it is about to expire.
    let is_begun = text(body, "object_kind") != Some("access_token");
    let begun = || if is_begun { latest(&BEGINNINGS) } else { None };
    latest(&CHANGES).or(received).or_else(begun).or_else(commits)
}

fn facets(body: &Value) -> Facets {
    let kind = text(body, "object_kind").or_else(|| text(body, "event_name")).unwrap_or_default();
    // What was done, or how it stands.
    let state =
        lead::any(body, &["object_attributes.action", "action", "object_attributes.status", "build_status", "status"]);
    let named = text(body, "event_name").filter(|name| *name != kind).map(str::to_owned);
    let action = [Some(kind.to_owned()), named.or(state.clone())];
    let failed = state.filter(|state| state == "failed");
    let reason = || lead::any(body, &["build_failure_reason", "object_attributes.failure_reason"]);
    Facets {
        actor: actor(body),
        action: action.into_iter().flatten().collect::<Vec<_>>().join("."),
        target: target(body),
        outcome: failed.map_or(Outcome::Success, |failed| Outcome::Failure(reason().unwrap_or(failed))),
        pipeline: pipeline(kind, body),
        ..Facets::default()
    }
}

/// Bodies without an `object_kind` are about a member or a user: `user_…` is then whom it is about.
fn actor(body: &Value) -> Actor {
    let is_about_user = text(body, "object_kind").is_none();
    let name =
        lead::text(body, "user.username").or_else(|| lead::text(body, "user_username").filter(|_| !is_about_user));
    let id = lead::text(body, "user.id").or_else(|| lead::text(body, "user_id").filter(|_| !is_about_user));
    let sort = match name.as_deref() {
        // Users of access tokens are named so by GitLab.
        Some(name) if name.contains("_bot") || name.ends_with("[bot]") => ActorSort::App,
        Some(_) => ActorSort::Human,
        None => ActorSort::Unknown,
    };
    Actor { id, name, sort }
}

fn repository(body: &Value) -> Option<String> {
    // The name of a project is for people; its path stands in its address.
    let address = lead::any(body, &["repository.homepage", "project.web_url"]);
    let of_address = address.and_then(|address| Some(address.split_once("://")?.1.split_once('/')?.1.to_owned()));
    lead::any(body, &["project.path_with_namespace", "project_path_with_namespace", "path_with_namespace"])
        .or(of_address)
}

fn target(body: &Value) -> Target {
    let group = || lead::any(body, &["group.group_path", "group.full_path", "full_path", "group_path"]);
    let user = lead::any(body, &["user_username", "username"]).filter(|_| text(body, "object_kind").is_none());
    let candidates = [("user", user), ("repository", repository(body)), ("group", group())];
    let owner = repository(body).or_else(group);
    let (kind, id) = candidates.into_iter().find_map(|(kind, id)| Some((kind.to_owned(), id?))).unzip();
    let account = owner.map(|path| path.split('/').next().unwrap_or_default().to_owned());
    Target { kind, id, account, region: None }
}

fn home(body: &Value) -> Home<'_> {
    const PATHS: [&str; 7] = [
        "project.path_with_namespace",
        "project_path_with_namespace",
        "path_with_namespace",
        "group.group_path",
        "group.full_path",
        "full_path",
        "group_path",
    ];
    Home::of_path(PATHS.iter().find_map(|place| said(body, place)))
}

fn pipeline(kind: &str, body: &Value) -> Pipeline {
    let run = match kind {
        "pipeline" => lead::text(body, "object_attributes.id"),
        "build" => lead::text(body, "pipeline_id"),
        "deployment" => lead::text(body, "deployable_id"),
        "push" | "tag_push" => None,
        _ => return Pipeline::default(),
    };
    Pipeline {
        repository: repository(body),
        git_ref: lead::any(body, &["object_attributes.ref", "ref"]),
        commit: lead::any(body, &["object_attributes.sha", "sha", "after", "commit.sha", "short_sha"]),
        workflow: lead::any(body, &["object_attributes.name", "build_name"]),
        run,
        environment: lead::any(body, &["environment.name", "environment"]),
    }
}
