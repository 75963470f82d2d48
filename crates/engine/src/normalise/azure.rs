//! Azure's activity log and the resource logs beside it: as diagnostic settings write them to Event Hubs and storage
//! (`records`), as the API answers them, as the Python library writes those answers, and as a Log Analytics table
//! exports them.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::home::{Home, said};
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, by_position, lead};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("azure", "activitylogs")),
    fits,
    beside: &[Kind::AzureSignin, Kind::AzureAudit],
    open,
    lists: &["records"],
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &[
        "callerIpAddress",
        "CallerIpAddress",
        "httpRequest.clientIpAddress",
        "http_request.client_ip_address",
        "properties.clientIpAddress",
    ],
    home,
    ..Reading::PLAIN
};

const OPERATIONS: [&str; 5] =
    ["operationName.value", "operationName", "operation_name.value", "OperationNameValue", "operation_name"];
const RESOURCES: [&str; 6] = ["resourceId", "resource_id", "_ResourceId", "ResourceId", "authorization.scope", "id"];
const TIMES: [&str; 4] = ["time", "eventTimestamp", "event_timestamp", "TimeGenerated"];

/// The word for what a record is: `Administrative`, `SignInLogs`.
pub(super) fn category(document: &Value) -> Option<String> {
    lead::any(document, &["category.value", "category", "CategoryValue", "Category"])
}

/// Records of a tenant's directory are not about a resource, and have kinds of their own.
fn fits(document: &Value) -> bool {
    let is_resource = |id: String| {
        let id = id.to_ascii_lowercase();
        id.starts_with("/subscriptions/") || id.starts_with("/providers/")
    };
    let of_directory = category(document).is_some_and(|category| category.ends_with("Logs"));
    !of_directory
        && lead::any(document, &OPERATIONS).is_some()
        && TIMES.iter().any(|name| document.get(name).is_some())
        && lead::any(document, &RESOURCES).is_some_and(is_resource)
}

/// `records`, whichever of these kinds they are of; `value` of the API.
fn open(document: &Value) -> Inner<'_> {
    let ours = |record: &Value| {
        [&READING, &super::azure_signin::READING, &super::azure_audit::READING].iter().any(|kind| (kind.fits)(record))
    };
    let list = ["records", "value"].iter().find_map(|name| document.get(name)?.as_array());
    match list {
        Some(list) if list.iter().any(ours) => Inner::Many(list),
        Some(_) | None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if lead::any(entry, &OPERATIONS).is_none() {
        return Err(Refusal::shape("no record of Azure: operationName is missing"));
    }
    let time = lead::time(piece, &TIMES)?;
    // Of a correlation there are several records, so its id is none of an event.
    let id = lead::any(entry, &["eventDataId", "event_data_id", "EventDataId", "properties.eventDataId"]);
    let uid = match id {
        Some(id) => Uid { origin: subscription(entry).unwrap_or_default(), id },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AzureActivity, raw: entry.clone() })
}

/// Text after a name in a resource's id, whose letters Azure writes as it likes.
fn after<'a>(id: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case(name))?;
    parts.next().filter(|part| !part.is_empty())
}

fn subscription(entry: &Value) -> Option<String> {
    let named = lead::any(entry, &["subscriptionId", "subscription_id", "SubscriptionId"]);
    named.or_else(|| after(&lead::any(entry, &RESOURCES)?, "subscriptions").map(str::to_owned))
}

fn home(entry: &Value) -> Home<'_> {
    let home = Home::at(entry, &["subscriptionId", "subscription_id", "SubscriptionId"], &["location", "Location"]);
    let resource = || RESOURCES.iter().find_map(|place| said(entry, place));
    Home { account: home.account.or_else(|| after(resource()?, "subscriptions")), ..home }
}

/// Claims of the token that was presented.
fn claim(entry: &Value, name: &str) -> Option<String> {
    ["identity.claims", "claims"].iter().find_map(|path| lead::member(entry, path, name))
}

fn actor(entry: &Value) -> Actor {
    const OBJECT: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
    const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
    const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
    let person = || claim(entry, UPN).or_else(|| claim(entry, "upn")).or_else(|| claim(entry, NAME));
    let evidence = |name: &str| lead::text(entry, &format!("identity.authorization.evidence.{name}"));
    let name = lead::any(entry, &["caller", "Caller"]).or_else(person).or_else(|| claim(entry, "appid"));
    let id = claim(entry, OBJECT).or_else(|| evidence("principalId")).or_else(|| name.clone());
    let sort = match (claim(entry, "idtyp").as_deref(), evidence("principalType").as_deref(), name.as_deref()) {
        (Some("app"), _, _) | (_, Some("ServicePrincipal"), _) => ActorSort::App,
        (Some("user"), _, _) | (_, Some("User"), _) => ActorSort::Human,
        (_, _, Some(name)) if name.contains('@') => ActorSort::Human,
        (_, _, Some(name)) if name.starts_with("Microsoft.") => ActorSort::Service,
        _ => ActorSort::Unknown,
    };
    Actor { id, name, sort }
}

fn facets(entry: &Value) -> Facets {
    let action = lead::any(entry, &OPERATIONS).unwrap_or_default();
    let resource = lead::any(entry, &RESOURCES);
    let provider = resource.as_deref().and_then(|id| after(id, "providers").map(str::to_owned));
    let address = [
        "callerIpAddress",
        "CallerIpAddress",
        "httpRequest.clientIpAddress",
        "http_request.client_ip_address",
        "properties.clientIpAddress",
    ];
    Facets {
        actor: actor(entry),
        credential: Credential {
            id: claim(entry, "uti").or_else(|| claim(entry, "appid")),
            issued_by: claim(entry, "iss"),
        },
        target: Target {
            kind: provider.or_else(|| action.split('/').next().filter(|name| name.contains('.')).map(str::to_owned)),
            id: resource,
            account: subscription(entry),
            region: lead::any(entry, &["location", "Location"]),
        },
        action,
        network: Network {
            ip: lead::any(entry, &address).or_else(|| claim(entry, "ipaddr")),
            user_agent: lead::any(entry, &["properties.userAgent", "properties.clientInfo"]),
        },
        outcome: outcome(
            lead::any(entry, &["resultType", "status.value", "ActivityStatusValue"]),
            lead::any(entry, &["resultSignature", "subStatus.value", "sub_status.value", "ActivitySubstatusValue"]),
        ),
        ..Facets::default()
    }
}

/// `Failed` and `Failure` are the same; why it failed stands beside it.
fn outcome(result: Option<String>, reason: Option<String>) -> Outcome {
    match result {
        Some(result) if result.to_ascii_lowercase().starts_with("fail") => {
            // `Failed.Forbidden` in some services.
            let reason = reason.map(|reason| reason.rsplit('.').next().unwrap_or_default().to_owned());
            Outcome::Failure(reason.filter(|reason| !reason.is_empty()).unwrap_or(result))
        }
        Some(_) | None => Outcome::Success,
    }
}
