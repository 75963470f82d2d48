//! One document, read but not yet compiled.

use std::borrow::Cow;
use std::sync::Arc;

use super::ast::{Condition, CorrelationRule, Detection, Detections, FilterRule, Item, Named};
use super::lint;
use super::nearest;
use super::own::{self, Own};
use super::place::{Document, Fault, Place};
use super::risk;
use super::yaml::{self, Entry, Node, Value};
use super::{Mappings, Problem, RuleId, Severity};
use crate::event::LogSource;

mod correlation;
mod detection;
mod filter;

/// A rule before its condition is looked at.
pub(super) struct Draft<'d> {
    pub(super) document: Document<'d>,
    pub(super) id: RuleId,
    /// What correlations may call it.
    pub(super) name: Option<String>,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: Severity,
    pub(super) tags: Vec<String>,
    pub(super) false_positives: Vec<String>,
    pub(super) log_source: LogSource,
    pub(super) own: Own,
    pub(super) source: Source,
    /// Of `id`, or of the document's start.
    pub(super) id_place: Place,
    pub(super) title_place: Place,
    /// Ids of rules that this one says it makes obsolete.
    pub(super) obsoletes: Vec<(String, Place)>,
}

/// What it asks.
pub(super) enum Source {
    Detection(Detections),
    Correlation(CorrelationRule),
    Filter(FilterRule),
    Risk(risk::Asked),
}

/// What came of a document that holds something.
pub(super) struct Read<'d> {
    /// None if there is no rule in it; the problems say why.
    pub(super) draft: Option<Draft<'d>>,
    pub(super) problems: Vec<Problem>,
    /// Without a rule: what it would have counted, by name or id.
    pub(super) counted: Vec<String>,
}

/// Whether what is only odd is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lints<'m> {
    /// With the names of fields that events are asked for.
    On(&'m Mappings),
    Off,
}

impl Draft<'_> {
    /// The fault as people read it.
    pub(super) fn problem(&self, fault: Fault) -> Problem {
        Problem { rule: Some(self.id.clone()), ..self.document.problem(fault) }
    }

    /// The selections of a detection or filter.
    pub(super) fn named(&self) -> &[Named] {
        match &self.source {
            Source::Detection(section) => &section.named,
            Source::Filter(filter) => &filter.detection.named,
            Source::Correlation(_) | Source::Risk(_) => &[],
        }
    }

    pub(super) fn conditions(&self) -> &[Condition] {
        match &self.source {
            Source::Detection(section) => &section.conditions,
            Source::Filter(filter) => &filter.detection.conditions,
            Source::Correlation(_) | Source::Risk(_) => &[],
        }
    }

    /// Every line of every selection.
    pub(super) fn items(&self) -> Vec<&Item> {
        fn gather<'d>(detection: &'d Detection, items: &mut Vec<&'d Item>) {
            match detection {
                Detection::All(lines) => items.extend(lines),
                Detection::Any(parts) => parts.iter().for_each(|part| gather(part, items)),
            }
        }
        let mut items = Vec::new();
        self.named().iter().for_each(|named| gather(&named.detection, &mut items));
        items
    }

    /// Whether the rule's author wants to hear nothing of this lint.
    pub(super) fn allows(&self, lint: &str) -> bool {
        self.own.allow.iter().any(|name| name == lint)
    }
}

/// Reads a document; nothing if it is empty.
pub(super) fn read<'d>(document: Document<'d>, lints: Lints<'_>) -> Option<Read<'d>> {
    let refused = |fault, rule, counted| Read {
        draft: None,
        problems: vec![Problem { rule, ..document.problem(fault) }],
        counted,
    };
    let node = match yaml::read(document.text, document.first_line) {
        Ok(None) => return None,
        Ok(Some(Node { value: Value::Null, .. })) => return None,
        Ok(Some(node)) => node,
        Err(fault) => return Some(refused(fault, None, Vec::new())),
    };
    let mut faults = Vec::new();
    Some(match draft(document, &node, &mut faults) {
        Ok(draft) => {
            if let Some(draft) = &draft {
                if let Lints::On(mappings) = lints {
                    faults.extend(lint::document(&node, draft, mappings));
                }
                faults.retain(|fault| fault.name().is_none_or(|name| !draft.allows(name)));
            }
            let rule = draft.as_ref().map(|draft| draft.id.clone()).or_else(|| written_id(&node));
            let problem = |fault| Problem { rule: rule.clone(), ..document.problem(fault) };
            let problems = faults.into_iter().map(problem).collect();
            Read { draft, problems, counted: Vec::new() }
        }
        Err(fault) => refused(fault.at(node.place), written_id(&node), counted(&node)),
    })
}

/// An id as all write it: a UUID means the same in capitals.
pub(super) fn one_case(id: &str) -> Cow<'_, str> {
    if lint::is_uuid(id) { id.to_ascii_lowercase().into() } else { id.into() }
}

fn written_id(node: &Node<'_>) -> Option<RuleId> {
    Some(RuleId(node.get("id")?.value.text()?.trim().into()))
}

fn draft<'d>(document: Document<'d>, node: &Node<'_>, warnings: &mut Vec<Fault>) -> Result<Option<Draft<'d>>, Fault> {
    let Some(entries) = node.map() else {
        return Err(Fault::error("a rule is a mapping with `title`, `logsource` and `detection`"));
    };
    if let Some(action) = node.get("action") {
        return Err(collection(action));
    }
    if node.get("status").is_some_and(|status| is(status, "unsupported")) {
        let place = node.get("status").map_or(node.place, |status| status.value.place);
        warnings.push(Fault::warning("the rule is left out: its status is `unsupported`").at(place));
        return Ok(None);
    }
    let log_source = node.get("logsource").map(log_source).transpose()?.unwrap_or_default();
    let title = text(node, "title")?.ok_or_else(|| Fault::error("`title` is missing"))?;
    let (id, name) = (text(node, "id")?, text(node, "name")?);
    let source = source(node, entries, &log_source)?;
    warnings.extend(timeframe(node, &source));
    let sort = match &source {
        Source::Detection(_) => own::Sort::Detection,
        Source::Filter(_) => own::Sort::Filter,
        Source::Correlation(_) => own::Sort::Correlation,
        Source::Risk(_) => own::Sort::Risk,
    };
    let severity = match source {
        // A filter raises no alerts.
        Source::Filter(_) => Severity::Informational,
        Source::Detection(_) | Source::Correlation(_) | Source::Risk(_) => severity(node, warnings)?,
    };
    Ok(Some(Draft {
        document,
        id: identity(id, title, &document, matches!(source, Source::Filter(_)), warnings),
        name: name.map(str::to_owned),
        title: title.to_owned(),
        description: text(node, "description").ok().flatten().unwrap_or_default().trim_end().to_owned(),
        severity,
        tags: texts(node, "tags"),
        false_positives: texts(node, "falsepositives"),
        log_source,
        own: own::read(node, sort)?,
        source,
        id_place: node.get("id").map_or(node.place, |id| id.value.place),
        title_place: node.get("title").map_or(node.place, |title| title.value.place),
        obsoletes: obsoletes(node),
    }))
}

/// The length of time of Sigma 1, which detections had and correlations call otherwise.
fn timeframe(node: &Node<'_>, source: &Source) -> Option<Fault> {
    let found = |section| node.get(section).and_then(|section| section.value.get("timeframe"));
    let (entry, message) = match source {
        Source::Detection(_) => (found("detection")?, "`timeframe` has no meaning in a detection; use a correlation"),
        Source::Correlation(_) => match node.get("correlation").and_then(|section| section.value.get("timespan")) {
            None => (found("correlation")?, "`timeframe` is the old name; write `timespan`"),
            Some(_) => (found("correlation")?, "nothing reads `timeframe` beside `timespan`; leave it out"),
        },
        Source::Filter(_) | Source::Risk(_) => return None,
    };
    Some(Fault::lint("timeframe", message).at(entry.place))
}

/// Whether the entry is this word, in any letter case.
fn is(entry: &Entry<'_>, word: &str) -> bool {
    entry.value.text().is_some_and(|text| text.trim().eq_ignore_ascii_case(word))
}

fn source(node: &Node<'_>, entries: &[Entry<'_>], log_source: &LogSource) -> Result<Source, Fault> {
    let sections = ["detection", "correlation", "filter"];
    let found: Vec<&Entry<'_>> = entries.iter().filter(|entry| sections.contains(&&*entry.key)).collect();
    match found.as_slice() {
        [] if risk::is_one(node) => match node.get("anomaly") {
            Some(entry) => risk::read(entry, node).map(Source::Risk),
            None => Err(Fault::error("`anomaly` is missing")),
        },
        [] => {
            let hint = nearest::hint_key(node, &sections);
            let near = entries.iter().find(|entry| nearest::nearest(&entry.key, sections).is_some());
            Err(Fault::error(format!("`detection` is missing{hint}")).at(near.map_or(node.place, |near| near.place)))
        }
        [only] => match &*only.key {
            "detection" => detection::read(node, only).map(Source::Detection),
            "correlation" => correlation::read(node, only).map(Source::Correlation),
            _ => filter::read(node, only, log_source).map(Source::Filter),
        },
        [first, second, ..] => {
            let message = format!(
                "a document has one of `detection`, `correlation` and `filter`; `{}` stands in line {} already",
                first.key, first.place.line
            );
            Err(Fault::error(message).at(second.place))
        }
    }
}

/// Documents of the old collections, that change the ones after them.
fn collection(action: &Entry<'_>) -> Fault {
    let message = match action.value.text() {
        Some("global") => {
            "`action: global` is no longer part of Sigma; write what it shares into each rule, separated by `---`"
        }
        Some("repeat") => "`action: repeat` is no longer part of Sigma; write the rule out in full, with its own id",
        Some("reset") => "`action: reset` is no longer part of Sigma; leave the document out",
        _ => "`action` documents are not supported; write each rule out in full",
    };
    Fault::error(message).at(action.place)
}

/// What a correlation that was refused would have counted.
fn counted(node: &Node<'_>) -> Vec<String> {
    let rules = node.get("correlation").and_then(|correlation| correlation.value.get("rules"));
    let names = rules.map_or(&[][..], |rules| rules.value.each());
    names.iter().filter_map(Node::text).map(str::to_owned).collect()
}

/// The rules that this one stands in for, by its own word.
fn obsoletes(node: &Node<'_>) -> Vec<(String, Place)> {
    let related = node.get("related").map_or(&[][..], |related| related.value.each());
    let text = |node: &Node<'_>, key| node.get(key).and_then(|entry| entry.value.text()).map(str::to_owned);
    let old = related.iter().filter(|entry| text(entry, "type").as_deref() == Some("obsolete"));
    old.filter_map(|entry| Some((text(entry, "id")?, entry.place))).collect()
}

/// The text under a key of this mapping.
///
/// # Errors
/// If it is something else than text.
fn text<'n>(node: &'n Node<'_>, key: &str) -> Result<Option<&'n str>, Fault> {
    let Some(entry) = node.get(key) else { return Ok(None) };
    match &entry.value.value {
        Value::Text(text) => Ok(Some(text)),
        Value::List(_) | Value::Map(_) => {
            Err(Fault::error(format!("`{key}` must be text, not a list or a mapping")).at(entry.value.place))
        }
        Value::Null => Err(Fault::error(format!("`{key}` is empty")).at(entry.place)),
        Value::Bool(_) | Value::Number(..) => {
            Err(Fault::error(format!("`{key}` must be text; put it in quotes")).at(entry.value.place))
        }
    }
}

/// The texts of a list that people read; what is no text in it is left out.
fn texts(node: &Node<'_>, key: &str) -> Vec<String> {
    let values = node.get(key).map_or(&[][..], |entry| entry.value.each());
    values.iter().filter_map(Node::text).map(str::to_owned).collect()
}

/// Names of rules or fields, at least one.
fn names(entry: &Entry<'_>) -> Result<Vec<(String, Place)>, Fault> {
    let mut names = Vec::new();
    for node in entry.value.each() {
        match &node.value {
            Value::Text(text) => names.push((text.clone().into_owned(), node.place)),
            // An id of digits alone.
            Value::Number(_, text) => names.push((text.clone().into_owned(), node.place)),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                return Err(Fault::error(format!("`{}` is a list of texts", entry.key)).at(node.place));
            }
        }
    }
    Ok(names)
}

fn log_source(entry: &Entry<'_>) -> Result<LogSource, Fault> {
    if entry.value.map().is_none() {
        let message = "`logsource` is a mapping with `product`, `service` and `category`";
        return Err(Fault::error(message).at(entry.value.place));
    }
    let part = |key| Ok(text(&entry.value, key)?.map(str::to_owned));
    Ok(LogSource { product: part("product")?, service: part("service")?, category: part("category")? })
}

fn identity(
    id: Option<&str>,
    title: &str,
    document: &Document<'_>,
    is_filter: bool,
    warnings: &mut Vec<Fault>,
) -> RuleId {
    if let Some(id) = id.map(str::trim).filter(|id| !id.is_empty()) {
        return RuleId(id.into());
    }
    // No alert is known by it.
    if is_filter {
        return RuleId(format!("filter {}:{}", document.path, document.first_line).into());
    }
    warnings.push(Fault::lint("missing_id", "`id` is missing; alerts are known by path and title until it has one"));
    let mut hasher = blake3::Hasher::new();
    // The length keeps two rules apart whose path and title join to the same text.
    hasher.update(&(document.path.len() as u64).to_le_bytes());
    hasher.update(document.path.as_bytes());
    hasher.update(title.as_bytes());
    let name = hasher.finalize().to_hex();
    RuleId(Arc::from(&name[..32]))
}

fn severity(node: &Node<'_>, warnings: &mut Vec<Fault>) -> Result<Severity, Fault> {
    let Some(level) = text(node, "level")? else {
        warnings.push(Fault::lint("missing_level", "`level` is missing; medium is taken"));
        return Ok(Severity::Medium);
    };
    let found = Severity::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(level.trim()));
    found.ok_or_else(|| {
        // A rule that shall wake somebody must not come as one of many.
        let names = Severity::ALL.map(Severity::name);
        let hint = nearest::hint(level, names);
        let place = node.get("level").map_or(node.place, |level| level.value.place);
        Fault::error(format!("`{level}` is no level; levels are {}{hint}", names.join(", "))).at(place)
    })
}
