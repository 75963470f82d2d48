//! One document, read but not yet compiled.

use std::sync::Arc;

use rsigma_parser::{CorrelationRule, Level, SigmaRule, parse_condition, parse_sigma_yaml};
use yaml_serde::{Mapping, Value};

use super::own::{self, Own};
use super::place::{Document, Fault};
use super::{Problem, RuleId, Severity, Weight};
use crate::event::LogSource;

/// More than twenty times the longest condition among public rules.
const CONDITION_BYTES_MAX: usize = 8 << 10;
const CONDITION_DEPTH_MAX: usize = 48;

/// A rule before its condition is looked at.
pub(super) struct Draft<'d> {
    pub(super) document: Document<'d>,
    pub(super) id: RuleId,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: Severity,
    pub(super) tags: Vec<String>,
    pub(super) false_positives: Vec<String>,
    pub(super) log_source: LogSource,
    pub(super) own: Own,
    pub(super) source: Source,
}

/// The parser's tree.
pub(super) enum Source {
    Detection(Box<SigmaRule>),
    Correlation(Box<CorrelationRule>),
}

/// What people read about a rule, whichever sort it is.
struct Head<'h> {
    id: Option<&'h str>,
    title: &'h str,
    description: Option<&'h str>,
    level: Option<Level>,
    tags: &'h [String],
    false_positives: &'h [String],
    log_source: LogSource,
    own: Result<own::Own, Fault>,
}

impl Source {
    /// What correlations may call it.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Detection(rule) => rule.name.as_deref(),
            Self::Correlation(rule) => rule.name.as_deref(),
        }
    }

    fn head(&self) -> Head<'_> {
        match self {
            Self::Detection(rule) => Head {
                id: rule.id.as_deref(),
                title: &rule.title,
                description: rule.description.as_deref(),
                level: rule.level,
                tags: &rule.tags,
                false_positives: &rule.falsepositives,
                log_source: LogSource {
                    product: rule.logsource.product.clone(),
                    service: rule.logsource.service.clone(),
                    category: rule.logsource.category.clone(),
                },
                own: own::read(&rule.custom_attributes, own::Sort::Detection),
            },
            Self::Correlation(rule) => Head {
                id: rule.id.as_deref(),
                title: &rule.title,
                description: rule.description.as_deref(),
                level: rule.level,
                tags: &rule.tags,
                false_positives: &rule.falsepositives,
                log_source: LogSource::default(),
                own: own::read(&rule.custom_attributes, own::Sort::Correlation),
            },
        }
    }
}

/// A document without a rule in it.
pub(super) struct Refused {
    pub(super) problem: Problem,
    /// What it would have counted, by name or id.
    pub(super) counted: Vec<String>,
}

/// Reads a document; nothing if it is empty.
///
/// # Errors
/// Why there is no rule in it.
pub(super) fn read(document: Document<'_>) -> Result<Option<(Draft<'_>, Vec<Problem>)>, Refused> {
    let refused = |problem| Refused { problem, counted: Vec::new() };
    match yaml_serde::from_str(document.text) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::Mapping(mapping)) => draft(document, &mapping)
            .map(Some)
            .map_err(|fault| Refused { problem: document.problem(fault), counted: counted(&mapping) }),
        Ok(_) => {
            let message = "a rule is a mapping with `title`, `logsource` and `detection`";
            Err(refused(document.problem(Fault::error(message))))
        }
        Err(error) => Err(refused(broken(&document, &error))),
    }
}

fn draft<'d>(document: Document<'d>, mapping: &Mapping) -> Result<(Draft<'d>, Vec<Problem>), Fault> {
    shape(mapping)?;
    let mut parsed =
        parse_sigma_yaml(document.text).map_err(|error| Fault::error(format!("the rule cannot be read: {error}")))?;
    let source = match (parsed.rules.pop(), parsed.correlations.pop()) {
        (Some(rule), _) => Source::Detection(Box::new(rule)),
        (None, Some(rule)) => Source::Correlation(Box::new(rule)),
        (None, None) => {
            let reason = parsed.errors.pop().unwrap_or_else(|| "the rule cannot be read".to_owned());
            return Err(refusal(&reason, document.text));
        }
    };
    // With a rule there, what the parser still says is about details that it left out.
    let mut warnings: Vec<Fault> = parsed.errors.iter().map(|reason| detail(reason)).collect();
    if let Source::Detection(rule) = &source
        && rule.detection.timeframe.is_some()
    {
        let fault = Fault::warning("`timeframe` has no meaning in a detection; use a correlation");
        warnings.push(fault.under("timeframe").under("detection"));
    }
    let head = source.head();
    let draft = Draft {
        document,
        id: identity(head.id, head.title, &document, &mut warnings),
        title: head.title.to_owned(),
        description: head.description.unwrap_or_default().to_owned(),
        severity: severity(head.level, mapping, &mut warnings),
        tags: head.tags.to_vec(),
        false_positives: head.false_positives.to_vec(),
        log_source: head.log_source,
        own: head.own?,
        source,
    };
    Ok((draft, warnings.into_iter().map(|fault| document.problem(fault)).collect()))
}

/// What a correlation that was refused would have counted.
fn counted(mapping: &Mapping) -> Vec<String> {
    let rules = mapping.get("correlation").and_then(|correlation| correlation.get("rules"));
    let names = match rules {
        Some(Value::Sequence(names)) => names.as_slice(),
        Some(only) => std::slice::from_ref(only),
        None => &[],
    };
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn broken(document: &Document<'_>, error: &yaml_serde::Error) -> Problem {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    document.problem_at(line, column, format!("this is no YAML: {reason}"), Weight::Error)
}

/// What the parser would accept and misread.
fn shape(mapping: &Mapping) -> Result<(), Fault> {
    if mapping.contains_key("action") {
        let message = "`action` documents are not supported; write each rule out in full";
        return Err(Fault::error(message).under("action"));
    }
    if mapping.contains_key("filter") {
        let message = "filters are not supported yet; put the exception into the rule's own condition";
        return Err(Fault::error(message).under("filter"));
    }
    for key in ["title", "id", "name", "level"] {
        if mapping.get(key).is_some_and(|value| !value.is_string()) {
            return Err(Fault::error(format!("`{key}` must be text; put it in quotes")).under(key));
        }
    }
    let Some(Value::Mapping(detection)) = mapping.get("detection") else { return Ok(()) };
    for (name, value) in detection {
        let name = text_key(name).map_err(|fault| fault.under("detection"))?;
        if !matches!(name, "condition" | "timeframe") {
            lines(value).map_err(|fault| fault.under(name).under("detection"))?;
        }
    }
    let conditions = match detection.get("condition") {
        Some(Value::Sequence(several)) => several.as_slice(),
        Some(only) => std::slice::from_ref(only),
        None => &[],
    };
    for condition in conditions.iter().filter_map(Value::as_str) {
        if condition.contains('|') {
            let message = "aggregation in a condition is not supported; use a correlation document";
            return Err(Fault::error(message).under("condition").under("detection"));
        }
        // The parser recurses: once a bracket, once a `not`.
        if condition.len() > CONDITION_BYTES_MAX || depth(condition) > CONDITION_DEPTH_MAX {
            let message = format!(
                "the condition is longer than {CONDITION_BYTES_MAX} bytes or nested deeper than {CONDITION_DEPTH_MAX}"
            );
            return Err(Fault::error(message).under("condition").under("detection"));
        }
        if let Err(error) = parse_condition(condition) {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or(&text).trim_start_matches([' ', '=']);
            return Err(Fault::error(format!("the condition cannot be read: {last}"))
                .under("condition")
                .under("detection"));
        }
    }
    Ok(())
}

fn depth(condition: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for bracket in condition.bytes() {
        match bracket {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

fn lines(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Sequence(parts) => parts.iter().try_for_each(lines),
        Value::Mapping(items) => items.iter().try_for_each(|(key, value)| {
            let key = text_key(key)?;
            let nested = |value: &Value| value.is_mapping() || value.is_sequence();
            let deep = match value {
                Value::Sequence(values) => values.iter().any(nested),
                // Blocks over array elements are a mapping by right and refused with a better message.
                Value::Mapping(_) => !key.contains('['),
                _ => false,
            };
            if deep {
                return Err(Fault::error(format!("`{key}` holds a nested value; write the field as a path with dots"))
                    .under(key));
            }
            Ok(())
        }),
        _ => Ok(()),
    }
}

fn text_key(key: &Value) -> Result<&str, Fault> {
    key.as_str().ok_or_else(|| Fault::error("a field name must be text; put it in quotes"))
}

/// Why the parser gave no rule, at the place that its message speaks of.
fn refusal(reason: &str, text: &str) -> Fault {
    let quoted = reason.split('\'').nth(1).unwrap_or_default();
    if reason.starts_with("Unknown modifier") {
        let line = text.lines().find(|line| line.contains(&format!("|{quoted}")));
        let key = line.map_or("", |line| line.trim_start_matches([' ', '-', '\'', '"', '{']));
        let key = key.split(['|', ':']).next().unwrap_or_default();
        return Fault::error(format!("modifier `{quoted}` is not known")).under(key).under("detection");
    }
    if reason.starts_with("Missing required field") {
        let fault = Fault::error(format!("`{quoted}` is missing"));
        return if quoted == "condition" { fault.under("detection") } else { fault };
    }
    let inner = ["Invalid correlation rule: ", "Invalid detection: ", "Invalid rule: "];
    let bare = inner.into_iter().find_map(|prefix| reason.strip_prefix(prefix)).unwrap_or(reason);
    let mut message = bare.replace('\'', "`");
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let fault = Fault::error(message);
    let lower = reason.to_ascii_lowercase();
    for (word, key) in [("type", "type"), ("condition", "condition"), ("timespan", "timespan"), ("gap", "gap")] {
        if lower.contains("correlation") && lower.contains(word) || lower.starts_with("invalid timespan") && word == key
        {
            return fault.under(key).under("correlation");
        }
    }
    let section = ["correlation", "detection", "logsource"].into_iter().find(|section| lower.contains(section));
    section.map_or(fault.clone(), |section| fault.under(section))
}

fn detail(reason: &str) -> Fault {
    let key = ["level", "status", "related", "sigma-version"].into_iter().find(|key| reason.contains(key));
    let taken = if key == Some("level") { "; medium is taken" } else { "" };
    let fault = Fault::warning(reason.replace('\'', "`") + taken);
    key.map_or(fault.clone(), |key| fault.under(key))
}

fn identity(id: Option<&str>, title: &str, document: &Document<'_>, warnings: &mut Vec<Fault>) -> RuleId {
    if let Some(id) = id.map(str::trim).filter(|id| !id.is_empty()) {
        return RuleId(id.into());
    }
    warnings.push(Fault::warning("`id` is missing; alerts are known by path and title until it has one"));
    let mut hasher = blake3::Hasher::new();
    // The length keeps two rules apart whose path and title join to the same text.
    hasher.update(&(document.path.len() as u64).to_le_bytes());
    hasher.update(document.path.as_bytes());
    hasher.update(title.as_bytes());
    let name = hasher.finalize().to_hex();
    RuleId(Arc::from(&name[..32]))
}

fn severity(level: Option<Level>, mapping: &Mapping, warnings: &mut Vec<Fault>) -> Severity {
    match level {
        Some(Level::Informational) => Severity::Informational,
        Some(Level::Low) => Severity::Low,
        Some(Level::Medium) => Severity::Medium,
        Some(Level::High) => Severity::High,
        Some(Level::Critical) => Severity::Critical,
        None => {
            // The parser has spoken already about a level that is there and wrong.
            if !mapping.contains_key("level") {
                warnings.push(Fault::warning("`level` is missing; medium is taken"));
            }
            Severity::Medium
        }
    }
}
