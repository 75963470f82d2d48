//! Correlations.

use super::{Looked, Report};
use crate::rule::ast::CorrelationType;
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
