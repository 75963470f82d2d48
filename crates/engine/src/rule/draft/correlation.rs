//! A `correlation` section.

use super::super::ast::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, FieldAlias, WindowMode,
};
use super::super::number::Number;
use super::super::place::Fault;
use super::super::yaml::{Entry, Node, Value};
use super::super::{grammar, nearest};
use super::{names, text};

const KEYS: [&str; 9] =
    ["type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "window", "generate"];

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(document: &Node<'_>, section: &Entry<'_>) -> Result<CorrelationRule, Fault> {
    let node = &section.value;
    let Some(entries) = node.map() else {
        let message = "`correlation` is a mapping with `type`, `rules`, `timespan` and `condition`";
        return Err(Fault::error(message).at(node.place));
    };
    if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&&*entry.key)) {
        let hint = nearest::hint(&unknown.key, KEYS);
        let message = format!("`{}` means nothing in a correlation{hint}", unknown.key);
        return Err(Fault::error(message).at(unknown.place));
    }
    let correlation_type = kind(section)?;
    if let (Some(_), Some(old)) = (node.get("timespan"), node.get("timeframe")) {
        return Err(Fault::error("`timeframe` is what `timespan` was called before; leave it out").at(old.place));
    }
    let timespan = match text(node, "timespan")? {
        Some(timespan) => timespan,
        // What it was called before.
        None => text(node, "timeframe")?
            .ok_or_else(|| Fault::error("`timespan` is missing; write it as `10m`").at(section.place))?,
    };
    let list = |key| node.get(key).map(names).transpose().map(Option::unwrap_or_default);
    Ok(CorrelationRule {
        correlation_type,
        rules: list("rules")?,
        group_by: list("group-by")?.into_iter().map(|(name, _)| name).collect(),
        timespan: timespan.to_owned(),
        window: window(node)?,
        condition: condition(section, correlation_type)?,
        aliases: node.get("aliases").map(aliases).transpose()?.unwrap_or_default(),
        generate: generate(document, node)?,
        places: (section.place, entries.iter().map(|entry| (entry.key.clone().into_owned(), entry.place)).collect()),
    })
}

fn kind(section: &Entry<'_>) -> Result<CorrelationType, Fault> {
    let known = || CorrelationType::ALL.map(CorrelationType::as_str);
    let Some(name) = text(&section.value, "type")? else {
        return Err(Fault::error(format!("`type` is missing; it is one of {}", known().join(", "))).at(section.place));
    };
    CorrelationType::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let place = section.value.get("type").map_or(section.place, |entry| entry.value.place);
        let hint = nearest::hint(name, known());
        Fault::error(format!("unknown correlation type: {name}; it is one of {}{hint}", known().join(", "))).at(place)
    })
}

fn window(node: &Node<'_>) -> Result<WindowMode, Fault> {
    let Some(name) = text(node, "window")? else { return Ok(WindowMode::Sliding) };
    WindowMode::ALL.into_iter().find(|mode| mode.as_str() == name).ok_or_else(|| {
        let place = node.get("window").map_or(node.place, |entry| entry.value.place);
        Fault::error(format!("`{name}` is no window; leave `window` out")).at(place)
    })
}

/// It stands beside `correlation` by the specification, and inside of it in many rules.
fn generate(document: &Node<'_>, node: &Node<'_>) -> Result<bool, Fault> {
    let Some(entry) = document.get("generate").or_else(|| node.get("generate")) else { return Ok(false) };
    match entry.value.value {
        Value::Bool(flag) => Ok(flag),
        Value::Null | Value::Number(..) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Err(Fault::error("`generate` is `true` or `false`").at(entry.value.place))
        }
    }
}

fn condition(section: &Entry<'_>, kind: CorrelationType) -> Result<Option<CorrelationCondition>, Fault> {
    let Some(entry) = section.value.get("condition") else {
        if kind.is_temporal() {
            return Ok(None);
        }
        let message = format!("`condition` is missing; a {} needs one such as `gte: 5`", kind.as_str());
        return Err(Fault::error(message).at(section.place));
    };
    match &entry.value.value {
        Value::Text(_) if kind.is_temporal() => {
            grammar::read(&entry.value).map(CorrelationCondition::Extended).map(Some)
        }
        Value::Map(lines) => threshold(entry, lines).map(Some),
        Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) | Value::List(_) => {
            let message = format!("the condition of a {} is a mapping such as `gte: 5`", kind.as_str());
            Err(Fault::error(message).at(entry.value.place))
        }
    }
}

fn threshold(entry: &Entry<'_>, lines: &[Entry<'_>]) -> Result<CorrelationCondition, Fault> {
    let (mut predicates, mut field, mut percentile) = (Vec::new(), None, None);
    for line in lines {
        match &*line.key {
            "field" => field = Some(names(line)?.into_iter().map(|(name, _)| name).collect()),
            "percentile" => percentile = Some(number(line)?),
            key => {
                let operators = ConditionOperator::ALL;
                let Some((_, operator)) = operators.into_iter().find(|(name, _)| *name == key) else {
                    let hint = nearest::hint(key, operators.map(|(name, _)| name).into_iter().chain(["field"]));
                    let message = format!("`{key}` means nothing in the condition of a correlation{hint}");
                    return Err(Fault::error(message).at(line.place));
                };
                predicates.push((operator, number(line)?));
            }
        }
    }
    if predicates.is_empty() {
        let message = "the condition compares with nothing; write one of gt, gte, lt, lte, eq, neq and a number";
        return Err(Fault::error(message).at(entry.place));
    }
    Ok(CorrelationCondition::Threshold { predicates, field, percentile })
}

fn number(line: &Entry<'_>) -> Result<Number, Fault> {
    match line.value.value {
        Value::Number(number, _) => Ok(number),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Err(Fault::error(format!("`{}` takes a number", line.key)).at(line.value.place))
        }
    }
}

fn aliases(entry: &Entry<'_>) -> Result<Vec<FieldAlias>, Fault> {
    let wrong = |node: &Node<'_>| {
        let message = "`aliases` is a mapping from a name to a mapping from rules to their fields";
        Fault::error(message).at(node.place)
    };
    let mut aliases = Vec::new();
    for alias in entry.value.map().ok_or_else(|| wrong(&entry.value))? {
        let mut mapping = Vec::new();
        for line in alias.value.map().ok_or_else(|| wrong(&alias.value))? {
            let field = line.value.text().ok_or_else(|| wrong(&line.value))?;
            mapping.push((line.key.clone().into_owned(), field.to_owned()));
        }
        aliases.push(FieldAlias { alias: alias.key.clone().into_owned(), place: alias.place, mapping });
    }
    Ok(aliases)
}
