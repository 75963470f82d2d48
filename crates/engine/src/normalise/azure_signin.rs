//! Sign-ins to Entra ID, of people, service principals and managed identities: by the road of the activity log, or as
//! Microsoft Graph answers them.

use sonic_rs::{JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::{Kind, Piece, Refusal, azure, by_position, lead};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("azure", "signinlogs")),
    fits,
    beside: &[Kind::AzureActivity, Kind::AzureAudit],
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["properties.ipAddress", "ipAddress", "callerIpAddress"],
    home: |record| Home::at(record, &["tenantId", "properties.resourceTenantId", "resourceTenantId"], &[]),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    let named = azure::category(document)
        .is_some_and(|category| category.to_ascii_lowercase().ends_with("signinlogs") && has("operationName"));
    let of_graph =
        has("createdDateTime") && has("appDisplayName") && lead::value(document, "status.errorCode").is_some();
    named || of_graph
}

/// A member, which Graph has at the top.
fn said(entry: &Value, name: &str) -> Option<String> {
    lead::text(entry, &format!("properties.{name}")).or_else(|| lead::text(entry, name))
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if entry.get("properties").is_none() && entry.get("createdDateTime").is_none() {
        return Err(Refusal::shape("no sign-in of Entra ID: properties and createdDateTime are missing"));
    }
    // A diagnostic record's own time is when it was written.
    let time = lead::time(piece, &["properties.createdDateTime", "createdDateTime", "time"])?;
    let uid = match said(entry, "id") {
        Some(id) => Uid { origin: lead::text(entry, "tenantId").unwrap_or_default(), id },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AzureSignin, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |name: &str| said(entry, name);
    // Diagnostic records of people have a service principal's id too, and it is empty.
    let person = said("userPrincipalName").or_else(|| said("userDisplayName"));
    let app = said("servicePrincipalName").or_else(|| said("servicePrincipalId"));
    let sort = match (&person, &app) {
        (Some(_), _) => ActorSort::Human,
        (None, Some(_)) => ActorSort::App,
        (None, None) => ActorSort::Unknown,
    };
    let id = said("userId").filter(|_| person.is_some()).or_else(|| said("servicePrincipalId"));
    Facets {
        actor: Actor { id, name: person.or(app).or_else(|| lead::text(entry, "identity")), sort },
        credential: Credential {
            id: said("uniqueTokenIdentifier").or_else(|| said("servicePrincipalCredentialKeyId")),
            issued_by: said("federatedCredentialId"),
        },
        action: lead::text(entry, "operationName").unwrap_or_else(|| "Sign-in activity".to_owned()),
        target: Target {
            kind: Some("application".to_owned()),
            id: said("appDisplayName").or_else(|| said("resourceDisplayName")).or_else(|| said("appId")),
            account: lead::text(entry, "tenantId").or_else(|| said("resourceTenantId")),
            region: None,
        },
        network: Network {
            ip: said("ipAddress").or_else(|| lead::text(entry, "callerIpAddress")),
            user_agent: said("userAgent"),
        },
        outcome: outcome(entry),
        ..Facets::default()
    }
}

/// Zero is success; all else is an error of `AADSTS`.
fn outcome(entry: &Value) -> Outcome {
    let code = lead::text(entry, "resultType").or_else(|| said(entry, "status.errorCode"));
    match code {
        Some(code) if !matches!(code.as_str(), "0" | "Success") => Outcome::Failure(code),
        Some(_) | None => Outcome::Success,
    }
}
