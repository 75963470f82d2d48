//! A `filter` section.

use super::super::ast::{FilterRule, FilterRuleTarget};
use super::super::nearest;
use super::super::place::Fault;
use super::super::yaml::{Entry, Node};
use super::{detection, names};
use crate::event::LogSource;

/// What a `logsource` may say.
const PARTS: [&str; 4] = ["product", "service", "category", "definition"];

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(document: &Node<'_>, section: &Entry<'_>, log_source: &LogSource) -> Result<FilterRule, Fault> {
    let Some(entries) = section.value.map() else {
        let message = "`filter` is a mapping with `rules`, selections and a `condition`";
        return Err(Fault::error(message).at(section.value.place));
    };
    let Some(rules) = section.value.get("rules") else {
        let message = "`rules` is missing: the ids or names of the rules that are filtered, or `any`";
        return Err(Fault::error(message).at(section.place));
    };
    let rules = match rules.value.text() {
        Some(any) if any.eq_ignore_ascii_case("any") => FilterRuleTarget::Any,
        _ => FilterRuleTarget::Specific(names(rules)?),
    };
    if matches!(&rules, FilterRuleTarget::Specific(names) if names.is_empty()) {
        return Err(Fault::error("the filter names no rule; write `rules: any` for all").at(section.place));
    }
    let Some(source) = document.get("logsource") else {
        return Err(Fault::error("`logsource` is missing; a filter is for rules of one log source"));
    };
    // A part that is not read would widen the filter, to all rules at worst, and nobody would see it.
    let unknown = source.value.map().unwrap_or_default().iter().find(|line| !PARTS.contains(&&*line.key));
    if let Some(line) = unknown {
        let hint = nearest::hint(&line.key, PARTS);
        let message = format!("`{}` means nothing in the `logsource` of a filter{hint}", line.key);
        return Err(Fault::error(message).at(line.place));
    }
    if *log_source == LogSource::default() {
        let message = "`logsource` names no product, service or category, so the filter would be for every rule";
        return Err(Fault::error(message).at(source.place));
    }
    let selections = entries.iter().filter(|entry| !matches!(&*entry.key, "rules" | "condition"));
    let detection = detection::selections(document, section, selections)?;
    if detection.named.is_empty() {
        return Err(Fault::error("the filter has no selection").at(section.place));
    }
    Ok(FilterRule { rules, place: section.place, log_source: log_source.clone(), detection })
}
