//! What people read about a rule: title, id, tags, dates, and keys that nothing reads.

use std::collections::HashSet;

use super::{Looked, Place, Report, draft, nearest, own};
use crate::hash::Seed;
use crate::rule::yaml::{Node, Value};

const STATUS: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const RELATIONS: [&str; 6] = ["derived", "obsolete", "merged", "renamed", "similar", "correlation"];
/// Of the tags appendix.
const NAMESPACES: [&str; 7] = ["attack", "car", "cve", "d3fend", "detection", "stp", "tlp"];
/// Tactics of ATT&CK, as tags write them.
const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

pub(super) fn title_format(looked: &Looked<'_>, report: &mut Report<'_>) {
    let (title, place) = (looked.draft.title.as_str(), looked.place("title"));
    if title.trim().is_empty() {
        report(place, "the title is empty; say what an alert of this rule means".to_owned());
    } else if title.chars().count() > 256 {
        report(place, "the title is longer than 256 characters; put the rest into `description`".to_owned());
    } else if title.ends_with('.') {
        report(place, "a title is a headline and has no full stop at its end".to_owned());
    } else if title.to_ascii_lowercase().starts_with("detects ") {
        report(place, "a title says what happened; leave `Detects` out".to_owned());
    }
}

pub(super) fn id_format(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Some(id) = looked.node.get("id").and_then(|entry| entry.value.text())
        && !is_uuid(id.trim())
    {
        report(looked.place("id"), format!("`{id}` is no UUID; make one with `uuidgen` and keep it for ever"));
    }
}

pub(in crate::rule) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

pub(super) fn missing_description(looked: &Looked<'_>, report: &mut Report<'_>) {
    // A rule that others refer to by name may leave it to them.
    if looked.draft.description.is_empty() && looked.draft.name.is_none() && !looked.is_filter() {
        report(looked.node.place, "`description` is missing: what happened, and why it matters".to_owned());
    }
}

pub(super) fn description_length(looked: &Looked<'_>, report: &mut Report<'_>) {
    if looked.draft.description.chars().count() > 65_535 {
        report(looked.place("description"), "the description is longer than 65535 characters".to_owned());
    }
}

pub(super) fn status_unknown(looked: &Looked<'_>, report: &mut Report<'_>) {
    let Some(entry) = looked.node.get("status") else { return };
    match entry.value.text() {
        Some(status) if STATUS.iter().any(|known| known.eq_ignore_ascii_case(status)) => {}
        Some(status) => {
            let hint = nearest::hint(status, STATUS);
            report(entry.value.place, format!("`{status}` is no status; it is one of {}{hint}", STATUS.join(", ")));
        }
        None => report(entry.value.place, format!("a status is one of {}", STATUS.join(", "))),
    }
}

pub(super) fn deprecated(looked: &Looked<'_>, report: &mut Report<'_>) {
    if looked
        .node
        .get("status")
        .is_some_and(|entry| entry.value.text().is_some_and(|text| text.eq_ignore_ascii_case("deprecated")))
    {
        let instead = if looked.node.get("related").is_some() {
            "see `related` for what replaces it"
        } else {
            "say in `related` what replaces it"
        };
        report(looked.place("status"), format!("the rule is deprecated and still in force; {instead}"));
    }
}

pub(super) fn date_format(looked: &Looked<'_>, report: &mut Report<'_>) {
    for key in ["date", "modified"] {
        let Some(entry) = looked.node.get(key) else { continue };
        if entry.value.text().and_then(date).is_none() {
            let said = match &entry.value.value {
                Value::Text(text) | Value::Number(_, text) => format!("`{text}` is none"),
                Value::Null => "nothing stands here".to_owned(),
                Value::Bool(_) | Value::List(_) | Value::Map(_) => "this is none".to_owned(),
            };
            report(entry.value.place, format!("`{key}` is a day as 2026-11-23; {said}"));
        }
    }
}

pub(super) fn modified_before_date(looked: &Looked<'_>, report: &mut Report<'_>) {
    let day = |key| looked.node.get(key).and_then(|entry| entry.value.text()).and_then(date);
    if let (Some(date), Some(modified)) = (day("date"), day("modified"))
        && modified < date
    {
        report(looked.place("modified"), format!("`modified` is before `date`, {date}"));
    }
}

fn date(text: &str) -> Option<chrono::NaiveDate> {
    // The reader of dates takes days of one digit too.
    text.parse().ok().filter(|_| text.len() == 10)
}

/// The texts of a list with their places.
fn listed<'l>(looked: &Looked<'l>, key: &str) -> Vec<(&'l str, Place)> {
    let values = looked.node.get(key).map_or(&[][..], |entry| entry.value.each());
    values.iter().filter_map(|node| Some((node.text()?, node.place))).collect()
}

fn twice(looked: &Looked<'_>, key: &str, report: &mut Report<'_>) {
    let mut before: HashSet<&str, Seed> = HashSet::default();
    for (text, place) in listed(looked, key) {
        if !before.insert(text) {
            report(place, format!("`{text}` stands in `{key}` already; leave it out here"));
        }
    }
}

pub(super) fn duplicate_tag(looked: &Looked<'_>, report: &mut Report<'_>) {
    twice(looked, "tags", report);
}

pub(super) fn duplicate_reference(looked: &Looked<'_>, report: &mut Report<'_>) {
    twice(looked, "references", report);
}

pub(super) fn tag_format(looked: &Looked<'_>, report: &mut Report<'_>) {
    for (tag, place) in listed(looked, "tags") {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if !tag.bytes().all(fine) || !tag.contains('.') || tag.starts_with('.') || tag.ends_with('.') {
            report(place, format!("`{tag}`: a tag is `namespace.name` in small letters, digits, `-` and `_`"));
        } else if let Some(rest) = tag.strip_prefix("attack.")
            && TACTICS.contains(&rest.replace('_', "-").as_str())
            && rest.contains('_')
        {
            report(place, format!("`{tag}` is the old spelling; write `{}`", tag.replace('_', "-")));
        } else if let Some(rest) = tag.strip_prefix("cve.")
            && is_cve(rest)
            && !rest.contains('-')
        {
            report(place, format!("`{tag}` is the old spelling; write `cve.{}`", rest.replace('.', "-")));
        } else if let Some(rest) = tag.strip_prefix("attack.")
            && !is_attack(rest)
        {
            let hint = nearest::hint(rest, TACTICS);
            report(place, format!("`{tag}` is no tactic, technique (t1078.004), group (g0016) or software{hint}"));
        } else if let Some(rest) = tag.strip_prefix("cve.")
            && !is_cve(rest)
        {
            report(place, format!("`{tag}`: a vulnerability is written as `cve.2021-44228`"));
        }
    }
}

fn is_attack(text: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_at_checked(1) {
        Some(("t", number)) if number.starts_with(|first: char| first.is_ascii_digit()) => {
            number.split_once('.').map_or(digits(number, 4), |(base, sub)| digits(base, 4) && digits(sub, 3))
        }
        Some(("t", number)) if number.starts_with('a') => digits(&number[1..], 4),
        Some(("g" | "s" | "c" | "m", number)) if digits(number, 4) => true,
        // A data source.
        Some(("d", rest)) if rest.starts_with('s') => digits(&rest[1..], 4),
        _ => TACTICS.contains(&text),
    }
}

fn is_cve(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '.']).collect();
    let digits = |text: &&str| text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 2 && parts.iter().all(digits)
}

pub(super) fn tag_namespace(looked: &Looked<'_>, report: &mut Report<'_>) {
    for (tag, place) in listed(looked, "tags") {
        let namespace = tag.split('.').next().unwrap_or_default();
        if tag.contains('.') && !NAMESPACES.contains(&namespace) {
            let hint = nearest::hint(namespace, NAMESPACES);
            report(place, format!("`{namespace}` is no namespace of tags; known are {}{hint}", NAMESPACES.join(", ")));
        }
    }
}

pub(super) fn false_positive_length(looked: &Looked<'_>, report: &mut Report<'_>) {
    for (text, place) in listed(looked, "falsepositives") {
        if text.trim().chars().count() < 2 {
            report(place, "a false positive says which harmless cause there is".to_owned());
        }
    }
}

pub(super) fn related_format(looked: &Looked<'_>, report: &mut Report<'_>) {
    let Some(related) = looked.node.get("related") else { return };
    for node in related.value.each() {
        let text = |key| node.get(key).and_then(|entry| entry.value.text());
        match (text("id"), text("type")) {
            (Some(id), Some(_)) if !is_uuid(id) => report(node.place, format!("`{id}` is no id of a rule, a UUID")),
            (Some(_), Some(sort)) if !RELATIONS.contains(&sort) => {
                let hint = nearest::hint(sort, RELATIONS);
                report(node.place, format!("`{sort}` is no relation; it is one of {}{hint}", RELATIONS.join(", ")));
            }
            (Some(_), Some(_)) => {}
            _ => report(node.place, "an entry of `related` has an `id` and a `type`".to_owned()),
        }
    }
}

pub(super) fn custom_taxonomy(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Some(taxonomy) = looked.node.get("taxonomy").and_then(|entry| entry.value.text())
        && taxonomy != "sigma"
    {
        let message = format!("taxonomy `{taxonomy}` is read as `sigma`: field names are looked up as they stand");
        report(looked.place("taxonomy"), message);
    }
}

pub(super) fn sigma_version(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Some(entry) = looked.node.get("sigma-version")
        && !matches!(&entry.value.value, Value::Number(_, text) if text.starts_with('2') || text == "1")
    {
        report(entry.value.place, "the rule is read as Sigma 2.1, the newest that there is".to_owned());
    }
}

pub(super) fn log_source_missing(looked: &Looked<'_>, report: &mut Report<'_>) {
    let draft::Source::Detection(_) = looked.draft.source else { return };
    match looked.node.get("logsource") {
        None => report(looked.node.place, "`logsource` is missing: the rule reads events of every kind".to_owned()),
        Some(entry) => {
            let known = ["category", "product", "service", "definition"];
            for line in entry.value.map().unwrap_or_default() {
                if let Some(near) = nearest::nearest(&line.key, known)
                    && near != line.key
                {
                    report(line.place, format!("`{}` means nothing here; did you mean `{near}`?", line.key));
                }
            }
        }
    }
}

pub(super) fn log_source_letter_case(looked: &Looked<'_>, report: &mut Report<'_>) {
    for key in ["category", "product", "service"] {
        let value = looked.node.get("logsource").and_then(|entry| entry.value.get(key)).map(|entry| &entry.value);
        let Some(Node { value: Value::Text(text), place, .. }) = value else { continue };
        if text.chars().any(|char| char.is_uppercase() || char.is_whitespace()) {
            let right = text.to_lowercase().replace(' ', "_");
            report(*place, format!("a log source is in small letters with `_` for spaces; write `{right}`"));
        }
    }
}

pub(super) fn filter_with_level(looked: &Looked<'_>, report: &mut Report<'_>) {
    for key in ["level", "status"].iter().filter(|_| looked.is_filter()) {
        if let Some(entry) = looked.node.get(key) {
            report(entry.place, format!("a filter has no `{key}`; leave it out"));
        }
    }
}

/// Keys that Sigma defines for any document.
const KEYS: [&str; 21] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "references",
    "author",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
];

pub(super) fn unknown_key(looked: &Looked<'_>, report: &mut Report<'_>) {
    let known = || KEYS.into_iter().chain(own::KEYS).chain(["generate", "sigma-version", "custom_attributes"]);
    for entry in looked.node.map().unwrap_or_default() {
        // Any other key is the author's own, unless it looks like one of ours.
        if !known().any(|key| key == entry.key)
            && let Some(near) = nearest::nearest(&entry.key, known())
            && near.to_ascii_lowercase() != entry.key.to_ascii_lowercase()
        {
            report(entry.place, format!("nothing reads `{}`; did you mean `{near}`?", entry.key));
        }
    }
}

pub(super) fn key_letter_case(looked: &Looked<'_>, report: &mut Report<'_>) {
    for entry in looked.node.map().unwrap_or_default() {
        let lower = entry.key.to_ascii_lowercase();
        if lower != entry.key && KEYS.into_iter().chain(own::KEYS).any(|key| key == lower) {
            report(entry.place, format!("keys are in small letters: nothing reads `{}`, write `{lower}`", entry.key));
        }
    }
}
