//! A `detection` section.

use super::super::ast::{Condition, Detection, Detections, Item, Named, Scalar, Written};
use super::super::grammar;
use super::super::modifier::Modifier;
use super::super::nearest;
use super::super::place::{Fault, Place};
use super::super::yaml::{Entry, Node, Value};

/// Keys of a section that name no search identifier.
const RESERVED: [&str; 2] = ["condition", "timeframe"];

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(document: &Node<'_>, section: &Entry<'_>) -> Result<Detections, Fault> {
    let Some(entries) = section.value.map() else {
        let message = format!("`{}` is a mapping of search identifiers and a `condition`", section.key);
        return Err(Fault::error(message).at(section.value.place));
    };
    selections(document, section, entries.iter().filter(|entry| !RESERVED.contains(&&*entry.key)))
}

/// The section with these of its entries as search identifiers.
pub(super) fn selections<'e, 'd: 'e>(
    document: &Node<'_>,
    section: &Entry<'_>,
    entries: impl Iterator<Item = &'e Entry<'d>>,
) -> Result<Detections, Fault> {
    let condition = section.value.get("condition").ok_or_else(|| no_condition(document, section))?;
    let mut named = Vec::new();
    for entry in entries {
        let detection = detection(&entry.value)?;
        named.push(Named { name: name(entry)?.to_owned(), place: entry.place, detection });
    }
    let mut conditions = Vec::new();
    for node in condition.value.each() {
        let expression = grammar::read(node)?;
        let text = node.text().unwrap_or_default().to_owned();
        conditions.push(Condition { text, place: node.place, expression });
    }
    if conditions.is_empty() {
        return Err(Fault::error("the condition is empty").at(condition.value.place));
    }
    Ok(Detections { named, conditions })
}

/// Where the condition stands instead, if it stands elsewhere.
fn no_condition(document: &Node<'_>, section: &Entry<'_>) -> Fault {
    let key = &section.key;
    if let Some(entry) = document.get("condition") {
        let message = format!("`condition` stands beside `{key}`; indent it as far as the selections below `{key}`");
        return Fault::error(message).at(entry.place);
    }
    for selection in section.value.map().unwrap_or_default() {
        let parts = selection.value.each().iter();
        if let Some(entry) = parts.rev().find_map(|part| part.get("condition")) {
            let name = &selection.key;
            let message = format!("`condition` stands inside of `{name}`; indent it as far as `{name}` itself");
            return Fault::error(message).at(entry.place);
        }
    }
    let hint = nearest::hint_key(&section.value, &["condition"]);
    Fault::error(format!("`condition` is missing{hint}")).at(section.place)
}

fn detection(node: &Node<'_>) -> Result<Detection, Fault> {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => Err(Fault::error("the selection is empty").at(node.place)),
        Value::Map(entries) => entries.iter().map(item).collect::<Result<_, _>>().map(Detection::All),
        Value::List(elements) => list(elements, node.place),
        Value::Null => Err(Fault::error("the selection is empty").at(node.place)),
        Value::Bool(_) | Value::Number(..) | Value::Text(_) => {
            Ok(Detection::All(vec![keywords(std::slice::from_ref(node), node.place)?]))
        }
    }
}

/// Texts are keywords, mappings and lists are selections of their own; any of all these.
fn list(elements: &[Node<'_>], place: Place) -> Result<Detection, Fault> {
    let is_text = |node: &Node<'_>| !matches!(node.value, Value::Map(_) | Value::List(_));
    if elements.is_empty() {
        return Err(Fault::error("the selection is empty").at(place));
    }
    if elements.iter().all(is_text) {
        return Ok(Detection::All(vec![keywords(elements, place)?]));
    }
    elements.iter().map(detection).collect::<Result<_, _>>().map(Detection::Any)
}

fn keywords(elements: &[Node<'_>], place: Place) -> Result<Item, Fault> {
    let values = elements.iter().map(written).collect::<Result<_, _>>()?;
    Ok(Item { key: String::new(), place, field: None, modifiers: Vec::new(), values })
}

/// One line of a selection.
fn item(entry: &Entry<'_>) -> Result<Item, Fault> {
    let key = name(entry)?;
    let mut parts = key.split('|');
    let field = parts.next().unwrap_or_default();
    array(entry, field)?;
    let mut modifiers = Vec::new();
    for part in parts {
        modifiers.push(Modifier::named(part).map_err(|fault| fault.at(entry.place))?);
    }
    let values = entry.value.each();
    if values.is_empty() {
        return Err(Fault::error("the list of values is empty").at(entry.place));
    }
    let nested = |node: &Node<'_>| matches!(node.value, Value::Map(_) | Value::List(_));
    if values.iter().any(nested) {
        let message = format!("`{key}` holds a nested value; write the field as a path with dots");
        return Err(Fault::error(message).at(entry.place));
    }
    Ok(Item {
        key: key.to_owned(),
        place: entry.place,
        field: Some(field.to_owned()).filter(|field| !field.is_empty()),
        modifiers,
        values: values.iter().map(written).collect::<Result<_, _>>()?,
    })
}

/// Selecting elements of an array is an idea for a later version of Sigma.
fn array(entry: &Entry<'_>, field: &str) -> Result<(), Fault> {
    for quantifier in ["[any]", "[all]"] {
        if field.contains(quantifier) {
            let message = format!(
                "`{field}`: choosing array elements with `{quantifier}` is not part of Sigma 2.1; a path without \
                 it means any element"
            );
            return Err(Fault::error(message).at(entry.place));
        }
    }
    Ok(())
}

fn name<'e>(entry: &'e Entry<'_>) -> Result<&'e str, Fault> {
    if entry.key_is_text {
        return Ok(&entry.key);
    }
    Err(Fault::error("a field name must be text; put it in quotes").at(entry.place))
}

fn written(node: &Node<'_>) -> Result<Written, Fault> {
    let value = match &node.value {
        Value::Null => Scalar::Null,
        Value::Bool(flag) => Scalar::Bool(*flag),
        Value::Number(number, text) => Scalar::Number(*number, text.clone().into_owned()),
        Value::Text(text) => Scalar::Text(text.clone().into_owned()),
        Value::List(_) | Value::Map(_) => return Err(Fault::error("a value is not a list or a mapping").at(node.place)),
    };
    Ok(Written { value, place: node.place })
}
