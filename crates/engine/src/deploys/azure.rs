//! What Azure's activity log tells: sites and functions, container apps, and deployments of templates.

use super::caller::plain;
use super::fact::{Change, Part, Says, Target};
use crate::event::{Event, Outcome};
use crate::normalise::{facets, lead};

/// Operations in small letters, and what of a thing they change.
const OPERATIONS: [(&str, &str, Part); 12] = [
    ("microsoft.web/sites/write", "web", Part::Configuration),
    ("microsoft.web/sites/config/write", "web", Part::Configuration),
    ("microsoft.web/sites/publish/action", "web", Part::Code),
    ("microsoft.web/sites/extensions/write", "web", Part::Code),
    ("microsoft.web/sites/zipdeploy/action", "web", Part::Code),
    ("microsoft.web/sites/slots/write", "web", Part::Configuration),
    ("microsoft.web/sites/slotsswap/action", "web", Part::Release),
    ("microsoft.web/sites/slots/slotsswap/action", "web", Part::Release),
    ("microsoft.app/containerapps/write", "containerapps", Part::Code),
    ("microsoft.app/jobs/write", "containerapps", Part::Code),
    ("microsoft.resources/deployments/write", "deployments", Part::Stack),
    ("microsoft.containerservice/managedclusters/write", "managedclusters", Part::Configuration),
];

/// What one record says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let shared = facets(event);
    let action = shared.action.to_ascii_lowercase();
    let Some((_, kind, part)) = OPERATIONS.iter().find(|(name, ..)| *name == action) else { return Vec::new() };
    // An operation is told when it starts, when it is accepted and when it has ended.
    let state = lead::any(&event.raw, &["resultType", "status.value", "ActivityStatusValue"]).unwrap_or_default();
    let over = ["", "success", "succeeded"].contains(&state.to_ascii_lowercase().as_str());
    if shared.outcome != Outcome::Success || !over {
        return Vec::new();
    }
    let resource = shared.target.id.unwrap_or_default();
    vec![Says::Change(Change {
        target: Target {
            kind: (*kind).to_owned(),
            id: named(&resource),
            account: shared.target.account.unwrap_or_default().to_ascii_lowercase(),
            region: shared.target.region.unwrap_or_default(),
        },
        part: *part,
        action: shared.action,
        by: plain(event),
        digests: Vec::new(),
        role: None,
        message: String::new(),
    })]
}

/// `group/site` of a resource's id, in small letters since Azure writes them as it likes.
fn named(resource: &str) -> String {
    let small = resource.to_ascii_lowercase();
    let parts: Vec<&str> = small.split('/').collect();
    let after = |name: &str| {
        let at = parts.iter().position(|part| *part == name)?;
        parts.get(at + 1).copied()
    };
    let kinds = ["sites", "containerapps", "jobs", "deployments", "managedclusters"];
    let name = kinds.iter().find_map(|kind| after(kind)).unwrap_or_else(|| parts.last().copied().unwrap_or_default());
    match after("resourcegroups") {
        Some(group) => format!("{group}/{name}"),
        None => name.to_owned(),
    }
}
