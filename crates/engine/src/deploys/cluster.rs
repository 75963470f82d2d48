//! What the audit log of Kubernetes tells: workloads that were made, changed and removed.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::caller::{Caller, kubernetes};
use super::fact::{Change, Part, Says, Target, pinned};
use crate::event::{ActorSort, Event};
use crate::normalise::lead;

/// What one event says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    change(event).map(Says::Change).into_iter().collect()
}

/// Kinds that say what runs. Pods and replica sets follow from them.
const WORKLOADS: [&str; 6] = ["deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "services"];

fn change(event: &Event) -> Option<Change> {
    let said = |path: &str| lead::text(&event.raw, path);
    let verb = said("verb")?;
    // A request is told at several stages; it has changed something at the end of the last one.
    let done = said("stage").is_none_or(|stage| stage == "ResponseComplete");
    let code = lead::value(&event.raw, "responseStatus.code").and_then(JsonValueTrait::as_u64).unwrap_or(200);
    let changes = ["create", "update", "patch", "delete"].contains(&&*verb);
    let resource = said("objectRef.resource")?;
    let part = if resource == "services" { Part::Access } else { Part::Code };
    // `deployments/scale` and `deployments/status` are numbers, not what runs.
    let whole = said("objectRef.subresource").is_none();
    let by = kubernetes(event);
    if !done || code >= 400 || !changes || !whole || !WORKLOADS.contains(&&*resource) || is_inside(&by) {
        return None;
    }
    let name = said("objectRef.name").or_else(|| said("responseObject.metadata.name"))?;
    let namespace = said("objectRef.namespace").unwrap_or_default();
    Some(Change {
        target: Target {
            kind: "kubernetes".to_owned(),
            id: format!("{namespace}/{}/{name}", resource.trim_end_matches('s')),
            account: account(&event.raw, &by),
            region: String::new(),
        },
        part,
        action: format!("{verb} {resource}"),
        digests: digests(&event.raw),
        role: None,
        message: String::new(),
        by,
    })
}

/// Controllers of the cluster itself carry out what somebody else asked for.
fn is_inside(by: &Caller) -> bool {
    by.sort == ActorSort::Service
        || ["system:serviceaccount:kube-system:", "system:node:"].iter().any(|inside| by.name.starts_with(inside))
}

/// No cluster names itself in its log. Of EKS the caller's ARN has the account.
fn account(entry: &Value, by: &Caller) -> String {
    let arn = lead::member(entry, "user.extra", "arn").or_else(|| by.role.clone());
    arn.and_then(|arn| arn.split(':').nth(4).map(str::to_owned)).unwrap_or_default()
}

fn digests(entry: &Value) -> Vec<String> {
    let places = ["requestObject", "responseObject"];
    let spec = places.iter().find_map(|place| {
        let object = entry.get(*place)?.get("spec")?;
        let object = object.get("jobTemplate").and_then(|job| job.get("spec")).unwrap_or(object);
        object.get("template")?.get("spec")
    });
    let lists = ["containers", "initContainers"].into_iter().filter_map(|name| spec?.get(name)?.as_array());
    let mut found: Vec<String> = lists.flatten().filter_map(|one| pinned(one.get("image")?.as_str()?)).collect();
    found.sort();
    found.dedup();
    found
}
