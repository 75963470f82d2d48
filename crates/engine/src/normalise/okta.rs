//! Okta's System Log: as the API answers it, as event hooks push it, and as its log stream puts it on EventBridge.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    // As public rules name it.
    log_source: Some(("okta", "okta")),
    fits,
    open,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["client.ipAddress"],
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    text(document, "eventType").is_some()
        && text(document, "published").is_some()
        && (lead::is_object(document, "actor") || lead::is_object(document, "outcome"))
        && (has("uuid") || has("legacyEventType") || has("securityContext"))
}

fn open(document: &Value) -> Inner<'_> {
    let hook = document.get("data").and_then(|data| data.get("events")?.as_array());
    if let Some(events) = hook.filter(|events| events.first().is_some_and(fits)) {
        return Inner::Many(events);
    }
    match document.get("detail").filter(|detail| text(document, "detail-type").is_some() && fits(detail)) {
        Some(record) => Inner::One { record, time: document.get("time").and_then(moment::read) },
        None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if text(entry, "eventType").is_none() {
        return Err(Refusal::shape("no entry of Okta's System Log: eventType is missing or no string"));
    }
    let time = lead::time(piece, &["published"])?;
    let uid = match text(entry, "uuid") {
        Some(id) => Uid { origin: "okta".to_owned(), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::OktaSystem, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |path: &str| lead::text(entry, path);
    let sort = match said("actor.type").as_deref() {
        Some("User") => ActorSort::Human,
        Some("SystemPrincipal") => ActorSort::Service,
        Some(sort) if sort.contains("App") || sort.contains("Client") || sort.contains("Agent") => ActorSort::App,
        Some(_) | None => ActorSort::Unknown,
    };
    Facets {
        actor: Actor {
            id: said("actor.id"),
            name: said("actor.alternateId").filter(|name| name != "unknown").or_else(|| said("actor.displayName")),
            sort,
        },
        credential: Credential {
            // A token of the API says more than the session that it stands for.
            id: lead::any(
                entry,
                &[
                    "transaction.detail.requestApiTokenId",
                    "authenticationContext.rootSessionId",
                    "authenticationContext.externalSessionId",
                ],
            ),
            issued_by: lead::any(
                entry,
                &["authenticationContext.issuer.id", "authenticationContext.credentialProvider"],
            ),
        },
        action: said("eventType").unwrap_or_default(),
        target: Target {
            kind: said("target.type"),
            // What has no name of its own is called `unknown`.
            id: said("target.alternateId")
                .filter(|name| name != "unknown")
                .or_else(|| lead::any(entry, &["target.displayName", "target.id"])),
            account: None,
            region: None,
        },
        network: Network { ip: said("client.ipAddress"), user_agent: said("client.userAgent.rawUserAgent") },
        outcome: match said("outcome.result") {
            Some(result) if matches!(result.as_str(), "FAILURE" | "DENY") => {
                Outcome::Failure(said("outcome.reason").unwrap_or(result))
            }
            Some(_) | None => Outcome::Success,
        },
        ..Facets::default()
    }
}
