//! What a rule says, read but not yet compiled. Names follow the specification.

use super::modifier::Modifier;
use super::number::Number;
use super::place::Place;
use crate::event::LogSource;

/// A `detection` section, or the selections and condition of a filter.
#[derive(Clone, Debug)]
pub(super) struct Detections {
    /// In the order of the text.
    pub(super) named: Vec<Named>,
    /// Any of these.
    pub(super) conditions: Vec<Condition>,
}

/// A search identifier: a name and what it asks.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) detection: Detection,
}

/// What one search identifier asks.
#[derive(Clone, Debug)]
pub(super) enum Detection {
    /// A mapping: every line must hold.
    All(Vec<Item>),
    /// A list: any part must hold.
    Any(Vec<Detection>),
}

/// One line of a selection: a field, its modifiers and its values.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// As it is written, such as `CommandLine|contains|all`; empty for keywords.
    pub(super) key: String,
    pub(super) place: Place,
    /// None for keywords, which are looked for anywhere.
    pub(super) field: Option<String>,
    pub(super) modifiers: Vec<Modifier>,
    pub(super) values: Vec<Written>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) value: Scalar,
    pub(super) place: Place,
}

/// A value that a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    /// With the spelling of its author.
    Number(Number, String),
    Text(String),
}

/// A condition and the text that it was read from.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) expression: ConditionExpr,
}

/// A boolean expression over names: of search identifiers, or of rules in a temporal correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConditionExpr {
    And(Vec<ConditionExpr>),
    Or(Vec<ConditionExpr>),
    Not(Box<ConditionExpr>),
    Identifier(String, Place),
    Selector { quantifier: Quantifier, pattern: SelectorPattern, place: Place },
}

/// How many of the identifiers that a pattern selects must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// `1 of`, `any of`.
    Any,
    All,
    /// At least so many, more than one.
    Count(u64),
}

/// What stands after `of`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SelectorPattern {
    /// Every identifier that does not start with an underscore.
    Them,
    /// Every identifier that fits, `*` for any characters.
    Pattern(String),
}

/// The types of the correlation specification 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CorrelationType {
    EventCount,
    ValueCount,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    ValueMedian,
    Temporal,
    TemporalOrdered,
}

/// What a window is to its events. Not in the specification, whose windows slide; others are read to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WindowMode {
    Sliding,
    Tumbling,
    Session,
}

/// A comparison of a correlation's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConditionOperator {
    Lt,
    Lte,
    Gt,
    Gte,
    Eq,
    Neq,
}

/// When a correlation fires.
#[derive(Clone, Debug)]
pub(super) enum CorrelationCondition {
    /// All predicates must hold of the measured number.
    Threshold {
        predicates: Vec<(ConditionOperator, Number)>,
        /// Whose values are counted, summed and so on.
        field: Option<Vec<String>>,
        /// Rank for `value_percentile`.
        percentile: Option<Number>,
    },
    /// An expression over rule names, for temporal types.
    Extended(ConditionExpr),
}

/// One name for fields that differ from rule to rule.
#[derive(Clone, Debug)]
pub(super) struct FieldAlias {
    pub(super) alias: String,
    pub(super) place: Place,
    /// From a rule's name or id to its field, in the order of the text.
    pub(super) mapping: Vec<(String, String)>,
}

/// A `correlation` section.
#[derive(Clone, Debug)]
pub(super) struct CorrelationRule {
    pub(super) correlation_type: CorrelationType,
    /// Names and ids of what is counted.
    pub(super) rules: Vec<(String, Place)>,
    pub(super) group_by: Vec<String>,
    /// As written, such as `10m`.
    pub(super) timespan: String,
    pub(super) window: WindowMode,
    /// None for a temporal type that says nothing: all rules must match.
    pub(super) condition: Option<CorrelationCondition>,
    pub(super) aliases: Vec<FieldAlias>,
    pub(super) generate: bool,
    /// Of the section and of each key in it.
    pub(super) places: (Place, Vec<(String, Place)>),
}

/// A `filter` section.
#[derive(Clone, Debug)]
pub(super) struct FilterRule {
    pub(super) rules: FilterRuleTarget,
    pub(super) place: Place,
    pub(super) log_source: LogSource,
    pub(super) detection: Detections,
}

/// Which rules a filter is for.
#[derive(Clone, Debug)]
pub(super) enum FilterRuleTarget {
    /// Every rule whose log source fits.
    Any,
    /// Names and ids.
    Specific(Vec<(String, Place)>),
}

impl CorrelationType {
    pub(super) const ALL: [Self; 8] = [
        Self::EventCount,
        Self::ValueCount,
        Self::ValueSum,
        Self::ValueAvg,
        Self::ValuePercentile,
        Self::ValueMedian,
        Self::Temporal,
        Self::TemporalOrdered,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile => "value_percentile",
            Self::ValueMedian => "value_median",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
        }
    }

    /// Whether it asks which rules matched, not how much.
    pub(super) fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }
}

impl WindowMode {
    pub(super) const ALL: [Self; 3] = [Self::Sliding, Self::Tumbling, Self::Session];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Tumbling => "tumbling",
            Self::Session => "session",
        }
    }
}

impl ConditionOperator {
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("eq", Self::Eq),
        ("neq", Self::Neq),
    ];
}

impl SelectorPattern {
    /// Whether it selects the identifier of this name.
    pub(super) fn selects(&self, name: &str) -> bool {
        let Self::Pattern(pattern) = self else { return !name.starts_with('_') };
        let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
        let Some(mut name) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let Some(found) = name.find(part) else { return false };
            name = &name[found + part.len()..];
        }
        name.ends_with(last)
    }
}

impl CorrelationRule {
    /// Where this key of the section stands, or else the section.
    pub(super) fn place(&self, key: &str) -> Place {
        let (section, keys) = &self.places;
        keys.iter().find(|(name, _)| name == key).map_or(*section, |(_, place)| *place)
    }
}

impl std::fmt::Display for Quantifier {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => to.write_str("1"),
            Self::All => to.write_str("all"),
            Self::Count(count) => write!(to, "{count}"),
        }
    }
}

impl std::fmt::Display for SelectorPattern {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Them => to.write_str("them"),
            Self::Pattern(pattern) => to.write_str(pattern),
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => to.write_str("null"),
            Self::Bool(flag) => write!(to, "{flag}"),
            Self::Number(_, text) | Self::Text(text) => to.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_selects_names_with_stars_anywhere() {
        for (pattern, name, selects) in [
            ("selection*", "selection_1", true),
            ("selection*", "selection", true),
            ("selection*", "a_selection", false),
            ("*_img", "sel_img", true),
            ("s*_*x", "sel_a_x", true),
            ("a*a", "a", false),
            ("*", "_hidden", true),
            ("plain", "plain", true),
            ("plain", "plain_1", false),
        ] {
            assert_eq!(SelectorPattern::Pattern(pattern.to_owned()).selects(name), selects, "{pattern} {name}");
        }
        assert!(!SelectorPattern::Them.selects("_hidden"));
    }
}
