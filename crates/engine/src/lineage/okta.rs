//! What Okta's System Log says of sessions and of tokens of its API.

use sonic_rs::{JsonContainerTrait, Value};

use super::name::{Id, Sort};
use super::read::{mark, owned, text, value};
use super::trace::{Caller, Ending, Form, Minting, Said, Trace, Usage, Who};
use crate::event::Event;

/// What Okta writes where there is no session.
const NO_SESSION: &str = "unknown";

/// What one entry says.
pub(super) fn traces(event: &Event) -> Vec<Trace> {
    let entry = &event.raw;
    let Some(action) = text(entry, "eventType") else { return Vec::new() };
    let failed = matches!(text(entry, "outcome.result"), Some("FAILURE" | "DENY"));
    let mark = mark(event, action, text(entry, "client.ipAddress"), failed);
    let holder =
        owned(entry, "actor.alternateId").filter(|name| name != NO_SESSION).or_else(|| owned(entry, "actor.id"));
    let session = text(entry, "authenticationContext.externalSessionId")
        .filter(|id| *id != NO_SESSION)
        .map(|id| Id::new(Sort::OktaSession, id));
    // Okta itself acts within a person's session, too; that is no other holder.
    let person = holder.clone().filter(|_| text(entry, "actor.type") == Some("User"));
    let usage = || Said::Used(Box::new(Usage { holder: person.clone(), ..Usage::default() }));
    let by = || Who { sort: caller(entry), name: holder.clone().unwrap_or_default() };
    let mut found = Vec::new();
    if let Some(id) = &session {
        let said = match action {
            "user.session.start" if !failed => Said::Minted(Box::new(minting(Form::LoginSession, by(), None))),
            "user.session.end" if !failed => Said::Ended(Ending::SignedOut),
            _ => usage(),
        };
        found.push(Trace::of(mark.clone(), id.clone(), said));
    }
    if let Some(token) = owned(entry, "transaction.detail.requestApiTokenId") {
        found.push(Trace::of(mark.clone(), Id::new(Sort::OktaToken, token), usage()));
    }
    let about = |said| token(entry).map(|id| Trace::of(mark.clone(), id, said));
    match action {
        "system.api_token.create" if !failed => {
            found.extend(about(Said::Minted(Box::new(minting(Form::ApiToken, by(), session)))));
        }
        "system.api_token.revoke" if !failed => found.extend(about(Said::Ended(Ending::Revoked))),
        _ => {}
    }
    found
}

/// The token that an entry is about.
fn token(entry: &Value) -> Option<Id> {
    let targets = entry_targets(entry)?;
    let target =
        targets.iter().find(|target| text(target, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("token")))?;
    Some(Id::new(Sort::OktaToken, owned(target, "id")?))
}

fn entry_targets(entry: &Value) -> Option<&sonic_rs::Array> {
    sonic_rs::JsonValueTrait::get(entry, "target")?.as_array()
}

fn caller(entry: &Value) -> Caller {
    match value(entry, "actor").and_then(|actor| text(actor, "type")) {
        Some("User") => Caller::Human,
        Some("SystemPrincipal") => Caller::Service,
        Some(sort) if sort.contains("App") || sort.contains("Client") => Caller::App,
        Some(_) | None => Caller::Unknown,
    }
}

/// Both act as who asked for them.
fn minting(form: Form, by: Who, with: Option<Id>) -> Minting {
    Minting { owner: Some(by.name.clone()).filter(|name| !name.is_empty()), with, ..Minting::new(form, by) }
}
