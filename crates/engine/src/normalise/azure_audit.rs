//! Entra ID's audit log: what was changed in a directory, by the road of the activity log or as Microsoft Graph answers
//! it.

use sonic_rs::{JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::{Kind, Piece, Refusal, azure, by_position, lead};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("azure", "auditlogs")),
    fits,
    beside: &[Kind::AzureActivity, Kind::AzureSignin],
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["properties.initiatedBy.user.ipAddress", "initiatedBy.user.ipAddress", "callerIpAddress"],
    home: |record| Home::at(record, &["tenantId"], &[]),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    let named = azure::category(document).as_deref() == Some("AuditLogs") && has("operationName");
    named || has("activityDateTime") && has("activityDisplayName") && has("initiatedBy")
}

/// A member, which Graph has at the top.
fn said(entry: &Value, name: &str) -> Option<String> {
    lead::text(entry, &format!("properties.{name}")).or_else(|| lead::text(entry, name))
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if said(entry, "activityDisplayName").is_none() && lead::text(entry, "operationName").is_none() {
        return Err(Refusal::shape("no audit record of Entra ID: operationName and activityDisplayName are missing"));
    }
    let time = lead::time(piece, &["properties.activityDateTime", "activityDateTime", "time"])?;
    let uid = match said(entry, "id") {
        Some(id) => Uid { origin: lead::text(entry, "tenantId").unwrap_or_default(), id },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AzureAudit, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |name: &str| said(entry, name);
    let person = said("initiatedBy.user.userPrincipalName").or_else(|| said("initiatedBy.user.displayName"));
    let app = said("initiatedBy.app.displayName").or_else(|| said("initiatedBy.app.servicePrincipalName"));
    let sort = match (&person, &app) {
        (Some(_), _) => ActorSort::Human,
        (None, Some(_)) => ActorSort::App,
        (None, None) => ActorSort::Unknown,
    };
    let id = ["initiatedBy.user.id", "initiatedBy.app.servicePrincipalId", "initiatedBy.app.appId"];
    let result = said("result").or_else(|| lead::text(entry, "resultType"));
    Facets {
        actor: Actor {
            id: id.into_iter().find_map(said),
            name: person.or(app).or_else(|| lead::text(entry, "identity")),
            sort,
        },
        credential: Credential { id: said("initiatedBy.app.appId"), issued_by: None },
        action: said("activityDisplayName").or_else(|| lead::text(entry, "operationName")).unwrap_or_default(),
        target: Target {
            kind: said("targetResources.type"),
            id: ["userPrincipalName", "displayName", "id"]
                .iter()
                .find_map(|name| said(&format!("targetResources.{name}"))),
            account: lead::text(entry, "tenantId"),
            region: None,
        },
        network: Network {
            ip: said("initiatedBy.user.ipAddress").or_else(|| lead::text(entry, "callerIpAddress")),
            user_agent: said("userAgent"),
        },
        outcome: match result {
            Some(result) if result.to_ascii_lowercase().starts_with("fail") => {
                Outcome::Failure(said("resultReason").unwrap_or(result))
            }
            Some(_) | None => Outcome::Success,
        },
        ..Facets::default()
    }
}
