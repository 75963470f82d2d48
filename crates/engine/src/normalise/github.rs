//! GitHub audit log entries, as the API, the export and the stream write them.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::{Kind, Piece, Refusal, RejectReason, by_position, id, moment, owned, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Pipeline, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("github", "audit")),
    fits,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["actor_ip"],
    home: |record| Home::at(record, &["org", "business"], &[]),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    text(document, "action").is_some()
        && (has("@timestamp") || has("created_at"))
        && (has("_document_id") || text(document, "actor").is_some())
}

/// The event of one entry.
fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if text(entry, "action").is_none() {
        return Err(Refusal::shape("no audit log entry: action is missing or no string"));
    }
    let time =
        ["@timestamp", "created_at"].iter().find_map(|name| moment::read(entry.get(name)?)).ok_or_else(|| {
            Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in @timestamp or created_at")
        })?;
    let uid = match text(entry, "_document_id") {
        Some(id) => Uid { origin: owner(entry).unwrap_or_default(), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::GithubAudit, raw: entry.clone() })
}

/// What an entry says in the words that all kinds share.
fn facets(entry: &Value) -> Facets {
    let action = owned(entry, "action").unwrap_or_default();
    let outcome =
        if action.ends_with("failed_login") { Outcome::Failure("failed_login".to_owned()) } else { Outcome::Success };
    Facets {
        actor: actor(entry),
        credential: Credential {
            id: ["hashed_token", "token_id", "public_key_fingerprint", "key_id"]
                .iter()
                .find_map(|name| id(entry, name)),
            issued_by: owned(entry, "programmatic_access_type"),
        },
        action,
        target: target(entry),
        network: Network { ip: owned(entry, "actor_ip"), user_agent: owned(entry, "user_agent") },
        outcome,
        pipeline: pipeline(entry),
    }
}

fn actor(entry: &Value) -> Actor {
    let name =
        ["actor", "external_identity_username", "external_identity_nameid"].iter().find_map(|name| owned(entry, name));
    let bot = entry.get("actor_is_bot").and_then(JsonValueTrait::as_bool) == Some(true);
    let sort = match &name {
        Some(name) if bot || name.ends_with("[bot]") => ActorSort::App,
        Some(_) => ActorSort::Human,
        None => ActorSort::Unknown,
    };
    Actor { id: id(entry, "actor_id"), name, sort }
}

/// A person, team or repository is more to the point than the organisation that it belongs to.
fn target(entry: &Value) -> Target {
    let candidates = [
        ("repository", repository(entry)),
        ("user", owned(entry, "user")),
        ("team", owned(entry, "team")),
        ("organization", first(entry, "org")),
        ("enterprise", owned(entry, "business")),
    ];
    let found = candidates.into_iter().find_map(|(kind, id)| Some((kind.to_owned(), id?)));
    let (kind, id) = found.unzip();
    Target { kind, id, account: owner(entry), region: None }
}

fn pipeline(entry: &Value) -> Pipeline {
    let run = id(entry, "workflow_run_id");
    let environment = owned(entry, "environment_name");
    let commit = owned(entry, "head_sha");
    if run.is_none() && environment.is_none() && commit.is_none() {
        return Pipeline::default();
    }
    Pipeline {
        repository: repository(entry),
        git_ref: owned(entry, "head_branch"),
        commit,
        workflow: owned(entry, "workflow_name").or_else(|| owned(entry, "name")).or_else(|| id(entry, "workflow_id")),
        run,
        environment,
    }
}

/// Git events say `repository`, all others `repo`.
fn repository(entry: &Value) -> Option<String> {
    first(entry, "repo").or_else(|| owned(entry, "repository"))
}

fn owner(entry: &Value) -> Option<String> {
    first(entry, "org").or_else(|| owned(entry, "business"))
}

/// `org` and `repo` are lists in entries about several.
fn first(entry: &Value, name: &str) -> Option<String> {
    let value = entry.get(name)?;
    let one = value.as_array().map_or(Some(value), |list| list.first())?;
    one.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
