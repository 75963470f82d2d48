//! Audit logs of Google Cloud: entries of Cloud Logging with an `AuditLog` in them, bare, as Pub/Sub brings them, or as
//! the API lists them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    // As public rules name it.
    log_source: Some(("gcp", "gcp.audit")),
    fits,
    open,
    lists: &["entries", "receivedMessages"],
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["protoPayload.requestMetadata.callerIp", "protoPayload.requestMetadata.callerIP"],
    home,
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let is_audit = || {
        let named = |path: &str, part: &str| lead::text(document, path).is_some_and(|text| text.contains(part));
        named("protoPayload.@type", "cloud.audit.AuditLog")
            || named("logName", "cloudaudit.googleapis.com")
            || lead::text(document, "protoPayload.methodName").is_some()
    };
    lead::is_object(document, "protoPayload") && is_audit()
}

/// What Pub/Sub pushes and answers, the events of Eventarc, and the answers of `entries.list`.
fn open(document: &Value) -> Inner<'_> {
    if let Some(message) = document.get("message").filter(|message| message.is_object()) {
        return published(message);
    }
    let own = document.get("data").filter(|_| document.get("specversion").is_some());
    if let Some(entry) = own.filter(|entry| fits(entry)) {
        return Inner::One { record: entry, time: document.get("time").and_then(moment::read) };
    }
    let list = ["receivedMessages", "entries"].iter().find_map(|name| document.get(name)?.as_array());
    let is_ours = |first: &Value| fits(first) || lead::text(first, "message.data").is_some();
    match list {
        Some(list) if list.first().is_some_and(is_ours) => Inner::Many(list),
        Some(_) | None => Inner::Record,
    }
}

/// A message that carries JSON; one that carries anything else stays what it is.
fn published(message: &Value) -> Inner<'_> {
    let stamp = ["publishTime", "publish_time"].iter().find_map(|name| moment::read(message.get(name)?));
    let carried = text(message, "data").filter(|_| stamp.is_some() || message.get("messageId").is_some());
    let decoded = carried.and_then(|data| STANDARD.decode(data).ok()).and_then(|data| String::from_utf8(data).ok());
    match decoded {
        Some(text) if text.trim_start().starts_with(['{', '[']) => Inner::Text { text: text.into(), time: stamp },
        Some(_) | None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if !lead::is_object(entry, "protoPayload") {
        return Err(Refusal::shape("no audit log of Google Cloud: protoPayload is missing or no object"));
    }
    let time = lead::time(piece, &["timestamp", "receiveTimestamp"])?;
    // Google: entries of one log with the same time and the same id are the same.
    let uid = match text(entry, "insertId") {
        Some(id) => Uid { origin: format!("{} {time}", text(entry, "logName").unwrap_or_default()), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::GcpAudit, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |path: &str| lead::text(entry, &format!("protoPayload.{path}"));
    let service = said("serviceName");
    let zone = || lead::any(entry, &["resource.labels.location", "resource.labels.zone", "resource.labels.region"]);
    let delegation = "authenticationInfo.serviceAccountDelegationInfo";
    Facets {
        actor: actor(entry),
        credential: Credential {
            id: said("authenticationInfo.serviceAccountKeyName"),
            issued_by: said(&format!("{delegation}.firstPartyPrincipal.principalEmail"))
                .or_else(|| said(&format!("{delegation}.principalSubject")))
                .or_else(|| said("authenticationInfo.authoritySelector")),
        },
        action: said("methodName").unwrap_or_default(),
        target: Target {
            kind: service.map(|name| name.strip_suffix(".googleapis.com").unwrap_or(&name).to_owned()),
            id: said("resourceName"),
            account: lead::text(entry, "resource.labels.project_id").or_else(|| owner(entry)),
            region: said("resourceLocation.currentLocations").or_else(zone),
        },
        network: Network {
            ip: said("requestMetadata.callerIp").or_else(|| said("requestMetadata.callerIP")),
            user_agent: said("requestMetadata.callerSuppliedUserAgent"),
        },
        outcome: outcome(entry),
        ..Facets::default()
    }
}

/// `acme` of `projects/acme/logs/…`.
fn owner(entry: &Value) -> Option<String> {
    text(entry, "logName")?.split('/').nth(1).filter(|name| !name.is_empty()).map(str::to_owned)
}

fn home(entry: &Value) -> Home<'_> {
    const ZONES: [&str; 4] = [
        "protoPayload.resourceLocation.currentLocations",
        "resource.labels.location",
        "resource.labels.zone",
        "resource.labels.region",
    ];
    let home = Home::at(entry, &["resource.labels.project_id"], &ZONES);
    let owner = || text(entry, "logName")?.split('/').nth(1).filter(|name| !name.is_empty());
    Home { account: home.account.or_else(owner), ..home }
}

fn actor(entry: &Value) -> Actor {
    let email = lead::text(entry, "protoPayload.authenticationInfo.principalEmail");
    let subject = lead::text(entry, "protoPayload.authenticationInfo.principalSubject");
    let sort = match (subject.as_deref(), email.as_deref()) {
        // Google's own agents act under accounts of projects that are Google's.
        (_, Some(email)) if email.starts_with("service-") && email.ends_with(".gserviceaccount.com") => {
            ActorSort::Service
        }
        (_, Some(email)) if email.ends_with(".gserviceaccount.com") => ActorSort::App,
        // Of a cluster, as Kubernetes names them.
        (_, Some(name)) if name.starts_with("system:serviceaccount:") => ActorSort::App,
        (_, Some(name)) if name.starts_with("system:") => ActorSort::Service,
        (Some(subject), _) if subject.starts_with("serviceAccount:") => ActorSort::App,
        (Some(subject), _) if subject.contains("/workloadIdentityPools/") => ActorSort::App,
        (Some(subject), _) if subject.starts_with("user:") || subject.contains("/workforcePools/") => ActorSort::Human,
        (_, Some(email)) if email.contains('@') => ActorSort::Human,
        _ => ActorSort::Unknown,
    };
    Actor { id: subject.or_else(|| email.clone()), name: email, sort }
}

/// What gRPC calls its codes, from 1 on.
const CODES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The status; without one, whether a permission was refused.
fn outcome(entry: &Value) -> Outcome {
    let code = lead::value(entry, "protoPayload.status.code").and_then(JsonValueTrait::as_u64).unwrap_or_default();
    let named = |code: u64| CODES.get(usize::try_from(code).ok()?.checked_sub(1)?).copied();
    if code != 0 {
        return Outcome::Failure(named(code).map_or_else(|| code.to_string(), str::to_owned));
    }
    let asked = entry.get("protoPayload").and_then(|said| said.get("authorizationInfo")?.as_array());
    let refused = |one: &Value| one.get("granted").and_then(JsonValueTrait::as_bool) == Some(false);
    match asked {
        Some(asked) if asked.iter().any(refused) => Outcome::Failure("PERMISSION_DENIED".to_owned()),
        Some(_) | None => Outcome::Success,
    }
}
