//! GitLab's audit events, as it streams them over HTTP and writes them to `audit_json.log`.

use sonic_rs::{JsonValueTrait, Value};

use super::home::{Home, said};
use super::kind::{Reading, Told};
use super::{Kind, Piece, Refusal, RejectReason, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("gitlab", "audit")),
    fits,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["ip_address", "details.ip_address"],
    home: |record| Home::of_path(["entity_path", "details.entity_path"].iter().find_map(|place| said(record, place))),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    has("author_id")
        && text(document, "entity_type").is_some()
        && has("entity_id")
        && (has("created_at") || has("time"))
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if text(entry, "entity_type").is_none() {
        return Err(Refusal::shape("no audit event of GitLab: entity_type is missing or no string"));
    }
    let times = ["created_at", "time"];
    let time =
        times.iter().find_map(|name| moment::read(entry.get(name)?)).or(piece.time).ok_or_else(|| {
            Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in created_at or time")
        })?;
    // Numbers are counted within an instance, and no entry says which one it is.
    let home = || [text(entry, "entity_type"), text(entry, "entity_path")].map(Option::unwrap_or_default).join(" ");
    let uid = match super::id(entry, "id") {
        Some(id) => Uid { origin: format!("{} {time}", home()), id },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::GitlabAudit, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let either = |name: &str| lead::text(entry, name).or_else(|| lead::text(entry, &format!("details.{name}")));
    let name = either("author_name");
    let class = lead::text(entry, "details.author_class");
    // Deploy tokens, runners and people who are not signed in have numbers below one.
    let number = entry.get("author_id").and_then(JsonValueTrait::as_i64);
    let sort = match (name.as_deref(), class.as_deref(), number) {
        (_, Some(class), _) if class != "User" => ActorSort::App,
        (Some(name), _, _) if name.contains("_bot") => ActorSort::App,
        (_, _, Some(..=0)) | (None, _, _) => ActorSort::Unknown,
        (Some(_), _, _) => ActorSort::Human,
    };
    let action = lead::any(entry, &["event_type", "details.event_name", "details.custom_message.action"]);
    let told = ["change", "details.change", "add", "details.add", "remove", "details.remove", "details.custom_message"];
    let path = either("entity_path");
    Facets {
        actor: Actor { id: lead::text(entry, "author_id"), name, sort },
        action: action.or_else(|| lead::any(entry, &told)).unwrap_or_default(),
        target: Target {
            kind: either("target_type"),
            id: either("target_details").or_else(|| either("target_id")),
            account: path.map(|path| path.split('/').next().unwrap_or_default().to_owned()),
            region: None,
        },
        network: Network { ip: either("ip_address"), user_agent: None },
        outcome: if lead::text(entry, "details.failed_login").is_some() {
            Outcome::Failure("failed_login".to_owned())
        } else {
            Outcome::Success
        },
        ..Facets::default()
    }
}
