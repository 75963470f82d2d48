//! A `filter` section.

use super::super::ast::{FilterRule, FilterRuleTarget};
use super::super::place::Fault;
use super::super::yaml::{Entry, Node};
use super::{detection, names};
use crate::event::LogSource;

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
    if document.get("logsource").is_none() {
        return Err(Fault::error("`logsource` is missing; a filter is for rules of one log source"));
    }
    let selections = entries.iter().filter(|entry| !matches!(&*entry.key, "rules" | "condition"));
    let detection = detection::selections(document, section, selections)?;
    if detection.named.is_empty() {
        return Err(Fault::error("the filter has no selection").at(section.place));
    }
    Ok(FilterRule { rules, place: section.place, log_source: log_source.clone(), detection })
}
