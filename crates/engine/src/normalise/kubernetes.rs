//! Audit events of Kubernetes: one a line, or the lists that the API server posts to an audit webhook.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, by_position, lead, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("kubernetes", "audit")),
    category: Some("application"),
    fits,
    open,
    // EKS writes them to CloudWatch.
    carried: true,
    lists: &["items"],
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["sourceIPs"],
    ..Reading::PLAIN
};

fn is_audit(document: &Value, kind: &str) -> bool {
    text(document, "kind") == Some(kind)
        && text(document, "apiVersion").is_some_and(|version| version.starts_with("audit.k8s.io/"))
}

/// The events of a list leave out what the list says of all.
fn fits(document: &Value) -> bool {
    let named = || ["auditID", "stage", "verb", "requestURI"].iter().all(|name| text(document, name).is_some());
    is_audit(document, "Event") || named()
}

fn open(document: &Value) -> Inner<'_> {
    match document.get("items").and_then(JsonContainerTrait::as_array) {
        Some(items) if is_audit(document, "EventList") => Inner::Many(items),
        Some(_) | None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if text(entry, "verb").is_none() && text(entry, "stage").is_none() {
        return Err(Refusal::shape("no audit event of Kubernetes: verb and stage are missing"));
    }
    let times = ["stageTimestamp", "requestReceivedTimestamp", "timestamp", "metadata.creationTimestamp"];
    let time = lead::time(piece, &times)?;
    // A request is told once a stage, always under the same id. A client may choose that id (header `Audit-ID`), and one that
    // sends the same with all its requests must not pass for one request: the time is the server's.
    let uid = match text(entry, "auditID") {
        Some(id) => Uid { origin: format!("{} {time}", text(entry, "stage").unwrap_or_default()), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::KubernetesAudit, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |path: &str| lead::text(entry, path);
    let resource = said("objectRef.resource").map(|resource| match said("objectRef.subresource") {
        Some(part) => format!("{resource}/{part}"),
        None => resource,
    });
    // `create pods/exec`, or `get /healthz` where no object is meant.
    let path = || said("requestURI").map(|uri| uri.split('?').next().unwrap_or_default().to_owned());
    let action = [said("verb"), resource.clone().or_else(path)];
    let place = [said("objectRef.namespace"), lead::any(entry, &["objectRef.name", "responseObject.metadata.name"])];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join("/");
    Facets {
        actor: actor(entry),
        credential: Credential {
            id: extra(entry, "authentication.kubernetes.io/credential-id").or_else(|| extra(entry, "accessKeyId")),
            issued_by: extra(entry, "canonicalArn").or_else(|| extra(entry, "arn")),
        },
        action: action.into_iter().flatten().collect::<Vec<_>>().join(" "),
        target: Target {
            kind: resource,
            id: Some(place).filter(|place| !place.is_empty()),
            account: None,
            region: None,
        },
        network: Network { ip: said("sourceIPs"), user_agent: said("userAgent") },
        outcome: outcome(entry),
        ..Facets::default()
    }
}

/// What the authenticator says of a user; its names have dots in them.
fn extra(entry: &Value, name: &str) -> Option<String> {
    lead::member(entry, "user.extra", name)
}

fn actor(entry: &Value) -> Actor {
    let name = lead::text(entry, "user.username");
    let sort = match name.as_deref() {
        Some(name) if name.starts_with("system:serviceaccount:") => ActorSort::App,
        Some("system:anonymous" | "system:unauthenticated") | None => ActorSort::Unknown,
        Some(name) if name.starts_with("system:") || name.starts_with("eks:") => ActorSort::Service,
        Some(_) if extra(entry, "arn").is_some_and(|arn| arn.contains(":assumed-role/")) => ActorSort::Role,
        Some(_) => ActorSort::Human,
    };
    Actor { id: lead::text(entry, "user.uid").or_else(|| name.clone()), name, sort }
}

fn outcome(entry: &Value) -> Outcome {
    let code = lead::value(entry, "responseStatus.code").and_then(JsonValueTrait::as_u64).unwrap_or_default();
    let decision = lead::member(entry, "annotations", "authorization.k8s.io/decision");
    if code >= 400 || decision.as_deref() == Some("forbid") {
        let reason = lead::text(entry, "responseStatus.reason");
        return Outcome::Failure(
            reason.unwrap_or_else(|| if code >= 400 { code.to_string() } else { "Forbidden".to_owned() }),
        );
    }
    Outcome::Success
}
