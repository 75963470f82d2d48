//! What Vault's audit log says of tokens and leases.
//!
//! Vault hashes tokens and accessors with a key of its audit device: one token has one hash in one log, and the hash that a
//! revocation names is the one under which the token was used. A lease is named in the clear where it is given and in the
//! path that revokes it; as a parameter it is hashed, and then joins to nothing.

use sonic_rs::{JsonValueTrait, Value};

use super::name::{Id, Sort};
use super::read::{any, mark, owned, text, value};
use super::subject::Workload;
use super::trace::{About, Caller, Ending, Form, Mark, Minting, Said, Trace, Usage, Who};
use crate::event::Event;
use crate::time::{Span, Timestamp};

/// What one line says. Requests come before Vault has decided, so only answers mint and end; a use is told once, by its
/// answer too.
pub(super) fn traces(event: &Event) -> Vec<Trace> {
    let line = &event.raw;
    if text(line, "type") != Some("response") {
        return Vec::new();
    }
    let path = text(line, "request.path").unwrap_or_default();
    let operation = text(line, "request.operation").unwrap_or_default();
    let failed = text(line, "error").is_some();
    let action = format!("{operation} {path}");
    let mark = mark(event, &action, text(line, "request.remote_address"), failed);
    let mut found = Vec::new();
    let caller = token(line, "auth").or_else(|| sent(line));
    if let Some((id, alias)) = caller.clone() {
        let usage = Usage { holder: any(line, &["auth.entity_id", "auth.display_name"]), ..Usage::default() };
        let about = About::Credential { id, alias, said: Said::Used(Box::new(usage)) };
        found.push(Trace { mark: mark.clone(), about });
    }
    if failed {
        return found;
    }
    let with = caller.map(|(id, _)| id);
    if let Some((id, alias)) = token(line, "response.auth") {
        let said = if path.starts_with("auth/token/renew") {
            let usage = Usage { renewed: valid_until(line, event.time), ..Usage::default() };
            Said::Used(Box::new(usage))
        } else {
            // A login proves who one is by other means, even if a token came with it; a child is asked for with its parent.
            let parent = with.clone().filter(|_| path.starts_with("auth/token/"));
            Said::Minted(Box::new(minted(line, parent, event.time)))
        };
        found.push(Trace { mark: mark.clone(), about: About::Credential { id, alias, said } });
    }
    if let Some(lease) = text(line, "response.secret.lease_id") {
        let said = Said::Minted(Box::new(leased(line, with.clone())));
        found.push(Trace::of(mark.clone(), Id::new(Sort::VaultLease, lease), said));
    }
    found.extend(revoked(line, path, with, &mark));
    found
}

/// Accessor and hash are two names of one token.
fn token(line: &Value, place: &str) -> Option<(Id, Option<Id>)> {
    let auth = value(line, place)?;
    named(owned(auth, "accessor"), owned(auth, "client_token"))
}

/// The token that came with a request whose answer has no `auth`.
fn sent(line: &Value) -> Option<(Id, Option<Id>)> {
    named(owned(line, "request.client_token_accessor"), owned(line, "request.client_token"))
}

fn named(accessor: Option<String>, token: Option<String>) -> Option<(Id, Option<Id>)> {
    let token = token.map(|text| Id::new(Sort::VaultToken, text));
    match (accessor.map(|text| Id::new(Sort::VaultAccessor, text)), token) {
        (Some(accessor), token) => Some((accessor, token)),
        (None, Some(token)) => Some((token, None)),
        (None, None) => None,
    }
}

fn minted(line: &Value, with: Option<Id>, time: Timestamp) -> Minting {
    let auth = value(line, "response.auth");
    let said = |path: &str| auth.and_then(|auth| owned(auth, path));
    let name = said("display_name").unwrap_or_default();
    let sort = if with.is_some() { Caller::Unknown } else { method(&name) };
    Minting {
        with,
        owner: said("entity_id").or_else(|| said("display_name")),
        expires: valid_until(line, time),
        workload: auth.and_then(workload),
        ..Minting::new(Form::VaultToken, Who { sort, name })
    }
}

/// What an answer says of how long its token lives.
fn valid_until(line: &Value, time: Timestamp) -> Option<Timestamp> {
    let lifetime = value(line, "response.auth.token_ttl")?.as_i64().filter(|seconds| *seconds > 0)?;
    Some(time.plus(Span::seconds(u32::try_from(lifetime).unwrap_or(u32::MAX))))
}

/// Claims of a workflow's token, where the role of Vault maps them: the run itself is among them if it was asked for.
fn workload(auth: &Value) -> Option<Workload> {
    let claim = |name: &str| owned(auth, &format!("metadata.{name}"));
    let repository = claim("repository")?;
    let git_ref = claim("ref");
    let tail = git_ref.as_deref().map(|name| format!(":ref:{name}")).unwrap_or_default();
    Some(Workload::Github {
        subject: format!("repo:{repository}{tail}"),
        repository: Some(repository),
        git_ref,
        environment: claim("environment"),
        workflow: claim("job_workflow_ref"),
        run: claim("run_id"),
        is_pull_request: false,
    })
}

/// Who logs in by a method is told by the name that Vault builds from it.
fn method(name: &str) -> Caller {
    let people = ["userpass-", "ldap-", "oidc-", "okta-", "github-"];
    let machines = ["approle", "jwt-", "kubernetes-", "aws-", "gcp-", "azure-"];
    if people.iter().any(|prefix| name.starts_with(prefix)) {
        Caller::Human
    } else if machines.iter().any(|prefix| name.starts_with(prefix)) {
        Caller::App
    } else {
        Caller::Unknown
    }
}

fn leased(line: &Value, with: Option<Id>) -> Minting {
    let name = any(line, &["auth.display_name", "auth.entity_id"]).unwrap_or_default();
    Minting { with, owner: owned(line, "request.path"), ..Minting::new(Form::Lease, Who { sort: method(&name), name }) }
}

fn revoked(line: &Value, path: &str, with: Option<Id>, mark: &Mark) -> Option<Trace> {
    let asked = |name: &str| owned(line, &format!("request.data.{name}"));
    let id = match path {
        "auth/token/revoke-self" => with?,
        "auth/token/revoke" | "auth/token/revoke-orphan" => Id::new(Sort::VaultToken, asked("token")?),
        "auth/token/revoke-accessor" => Id::new(Sort::VaultAccessor, asked("accessor")?),
        _ => {
            let lease = path.strip_prefix("sys/leases/revoke/").or_else(|| path.strip_prefix("sys/revoke/"))?;
            Id::new(Sort::VaultLease, lease)
        }
    };
    Some(Trace::of(mark.clone(), id, Said::Ended(Ending::Revoked)))
}
