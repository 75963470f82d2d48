//! Correlations.

use super::{Looked, Report, nearest};
use crate::rule::ast::{CorrelationCondition, CorrelationType};
use crate::rule::draft::Source;

pub(super) fn missing_group_by(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Source::Correlation(rule) = &looked.draft.source
        && rule.group_by.is_empty()
    {
        let message = "`group-by` is missing: events of all users and hosts are counted together";
        report(rule.place("type"), message.to_owned());
    }
}

pub(super) fn one_rule_in_order(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Source::Correlation(rule) = &looked.draft.source
        && matches!(rule.correlation_type, CorrelationType::Temporal | CorrelationType::TemporalOrdered)
        && rule.rules.len() < 2
    {
        let message = "one rule is always together with itself; name several, or use `event_count`";
        report(rule.place("rules"), message.to_owned());
    }
}

pub(super) fn unused_alias(looked: &Looked<'_>, report: &mut Report<'_>) {
    let Source::Correlation(rule) = &looked.draft.source else { return };
    let measured = match &rule.condition {
        Some(CorrelationCondition::Threshold { field: Some(fields), .. }) => fields.as_slice(),
        Some(CorrelationCondition::Threshold { field: None, .. } | CorrelationCondition::Extended(_)) | None => &[],
    };
    let names = || rule.group_by.iter().chain(measured).map(String::as_str);
    for alias in rule.aliases.iter().filter(|alias| names().all(|name| name != alias.alias)) {
        let near = nearest::nearest(&alias.alias, names());
        let hint = near.map_or_else(String::new, |near| format!("; was it meant by `{near}`?"));
        report(alias.place, format!("neither `group-by` nor `field` names the alias `{}`{hint}", alias.alias));
    }
}
