//! Audit log of HashiCorp Vault: a line when a request comes and one when it is answered, each an event of its own.
//!
//! Vault writes most values as `hmac-sha256:…` of a key that never leaves it. They are kept as they are: the same token
//! has the same hash, so what one accessor did can be followed without the token.

use sonic_rs::{JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::{Kind, Piece, Refusal, by_position, lead, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Pipeline, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("vault", "audit")),
    fits,
    carried: true,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["request.remote_address"],
    home,
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let request = document.get("request").filter(|request| request.is_object());
    matches!(text(document, "type"), Some("request" | "response"))
        && document.get("time").is_some()
        && request.is_some_and(|request| request.get("operation").is_some() || request.get("path").is_some())
}

/// Vault ends the path of a namespace with a slash; the root has none.
fn home(record: &Value) -> Home<'_> {
    let told = Home::at(record, &["request.namespace.path"], &[]);
    let account = told.account.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty());
    Home { account, ..told }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if !lead::is_object(entry, "request") {
        return Err(Refusal::shape("no line of Vault's audit log: request is missing or no object"));
    }
    let time = lead::time(piece, &["time"])?;
    // Both lines carry the id of the request.
    let uid = match lead::text(entry, "request.id") {
        Some(id) => Uid { origin: format!("vault {}", text(entry, "type").unwrap_or_default()), id },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::VaultAudit, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |path: &str| lead::text(entry, path);
    let metadata = |name: &str| {
        ["auth.metadata", "response.auth.metadata"].iter().find_map(|path| lead::member(entry, path, name))
    };
    let mount = |path: String| path.split('/').next().unwrap_or_default().to_owned();
    Facets {
        actor: actor(entry),
        credential: Credential {
            id: lead::any(
                entry,
                &[
                    "auth.accessor",
                    "request.client_token_accessor",
                    "response.auth.accessor",
                    "auth.client_token",
                    "request.client_token",
                ],
            ),
            issued_by: ["role_name", "role", "username"].iter().find_map(|name| metadata(name)),
        },
        action: said("request.operation").unwrap_or_default(),
        target: Target {
            kind: said("request.mount_type").or_else(|| said("request.path").map(mount)),
            id: said("request.path"),
            account: lead::any(entry, &["request.namespace.path", "request.namespace.id"]),
            region: None,
        },
        network: Network {
            ip: said("request.remote_address"),
            user_agent: said("request.headers.user-agent").or_else(|| said("request.headers.User-Agent")),
        },
        outcome: said("error").map_or(Outcome::Success, |error| Outcome::Failure(first(&error).to_owned())),
        // Claims of a workflow's token, where the role maps them.
        pipeline: Pipeline {
            repository: metadata("repository").or_else(|| metadata("project_path")),
            git_ref: metadata("ref"),
            commit: metadata("sha"),
            workflow: metadata("job_workflow_ref").or_else(|| metadata("workflow")),
            run: metadata("run_id").or_else(|| metadata("pipeline_id")),
            environment: metadata("environment"),
        },
    }
}

/// Vault counts its errors in the first line, and puts a mark in front of each that follows.
fn first(error: &str) -> &str {
    let marked = error.lines().find_map(|line| line.trim_start().strip_prefix("* "));
    marked.unwrap_or_else(|| error.lines().next().unwrap_or_default()).trim_end()
}

/// Where people sign in, and where machines do: display names begin with the method.
const METHODS: [(&str, ActorSort); 11] = [
    ("userpass-", ActorSort::Human),
    ("ldap-", ActorSort::Human),
    ("oidc-", ActorSort::Human),
    ("okta-", ActorSort::Human),
    ("github-", ActorSort::Human),
    ("approle", ActorSort::App),
    ("jwt-", ActorSort::App),
    ("kubernetes-", ActorSort::App),
    ("aws-", ActorSort::App),
    ("gcp-", ActorSort::App),
    ("azure-", ActorSort::App),
];

fn actor(entry: &Value) -> Actor {
    let name = lead::any(entry, &["auth.display_name", "response.auth.display_name"]);
    let method = METHODS.iter().find(|(method, _)| name.as_deref().is_some_and(|name| name.starts_with(method)));
    Actor {
        id: lead::any(entry, &["auth.entity_id", "response.auth.entity_id"]).or_else(|| name.clone()),
        name,
        sort: method.map_or(ActorSort::Unknown, |(_, sort)| *sort),
    }
}
