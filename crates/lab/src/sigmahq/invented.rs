//! Events made of rules: what a rule looks for, spelt in the ways that engines may disagree about.
//!
//! Real events touch few of three thousand rules, and none of them at its borders. Here every rule gets an
//! event for its searches together, and then one that is odd in one field: absent, null, empty, an array, an
//! object, a number, in capitals, nested.

use engine::rule::RuleFile;
use serde_json::{Map, Number, Value, json};

use crate::chance::Chance;
use crate::replay::Record;

/// One event is odd in one field in one of these ways.
#[derive(Clone, Copy)]
enum Odd {
    Plain,
    Capital,
    Absent,
    Null,
    Empty,
    Array,
    EmptyArray,
    Object,
    Number,
    Turned,
    Nested,
}

const ODD: [Odd; 11] = [
    Odd::Plain,
    Odd::Capital,
    Odd::Absent,
    Odd::Null,
    Odd::Empty,
    Odd::Array,
    Odd::EmptyArray,
    Odd::Object,
    Odd::Number,
    Odd::Turned,
    Odd::Nested,
];

/// For each rule one plain event and some odd ones, known by the rule's path and a number. Equal seeds give
/// equal events.
#[must_use]
pub fn invented(rules: &[RuleFile], seed: u64) -> Vec<Record> {
    let mut chance = Chance::new(seed);
    let mut events = Vec::new();
    for rule in rules {
        let Ok(document) = yaml_serde::from_str::<Value>(&rule.text) else { continue };
        let Some(searches) = document["detection"].as_object() else { continue };
        for (number, odd) in (0..).zip(ODD) {
            let mut event = Map::new();
            for (name, search) in searches.iter().filter(|(name, _)| *name != "condition") {
                // What a rule excludes is there at times, so that exclusions are tried too.
                if !name.starts_with("filter") || chance.below(4) == 0 {
                    satisfy(search, &mut event, &mut chance);
                }
            }
            twist(&mut event, odd, &mut chance);
            event.insert("@timestamp".to_owned(), json!("2026-01-01T00:00:00Z"));
            let body = Value::Object(event).to_string().into_bytes();
            events.push(Record { position: format!("{}#{number}", rule.path), body });
        }
    }
    events
}

/// Puts into `event` what one search looks for.
fn satisfy(search: &Value, event: &mut Map<String, Value>, chance: &mut Chance) {
    match search {
        Value::Object(items) => {
            for (key, wanted) in items {
                let mut parts = key.split('|');
                let field = parts.next().unwrap_or_default();
                let modifiers: Vec<&str> = parts.collect();
                let value = match wanted {
                    Value::Array(list) if modifiers.contains(&"all") => {
                        let texts: Vec<String> = list.iter().map(|one| text(&spelt(one, &modifiers, chance))).collect();
                        Value::String(texts.join(" "))
                    }
                    Value::Array(list) => pick(list, chance).map_or(Value::Null, |one| spelt(one, &modifiers, chance)),
                    one => spelt(one, &modifiers, chance),
                };
                let name = if field.is_empty() { "message" } else { field };
                event.insert(name.to_owned(), value);
            }
        }
        Value::Array(list) => {
            if let Some(one) = pick(list, chance) {
                satisfy(one, event, chance);
            }
        }
        keyword => {
            event.insert(
                "message".to_owned(),
                Value::String(format!("say {} twice", text(&spelt(keyword, &[], chance)))),
            );
        }
    }
}

/// A value that the pattern should match.
fn spelt(pattern: &Value, modifiers: &[&str], chance: &mut Chance) -> Value {
    let has = |name: &str| modifiers.contains(&name);
    let Value::String(pattern) = pattern else {
        return match (pattern.as_i64(), has("gt") || has("gte"), has("lt") || has("lte")) {
            (Some(number), true, _) => json!(number + 1),
            (Some(number), _, true) => json!(number - 1),
            _ if has("exists") => json!("there"),
            _ => pattern.clone(),
        };
    };
    if has("cidr") {
        return json!(pattern.split('/').next());
    }
    let mut plain = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if matches!(letters.peek(), Some('*' | '?' | '\\')) => plain.extend(letters.next()),
            '*' if !has("re") => plain += ["", "any", "a b"][usize::try_from(chance.below(3)).unwrap_or(0)],
            '?' if !has("re") => plain.push('q'),
            other => plain.push(other),
        }
    }
    let before = if has("contains") || has("endswith") { "C:\\before " } else { "" };
    let after = if has("contains") || has("startswith") { " after" } else { "" };
    Value::String(format!("{before}{plain}{after}"))
}

fn twist(event: &mut Map<String, Value>, odd: Odd, chance: &mut Chance) {
    let names: Vec<String> = event.keys().cloned().collect();
    let Some(name) = pick(&names, chance).cloned() else { return };
    let Some(value) = event.remove(&name) else { return };
    let twisted = match odd {
        Odd::Plain => value,
        Odd::Capital => Value::String(text(&value).to_uppercase()),
        Odd::Absent => return,
        Odd::Null => Value::Null,
        Odd::Empty => json!(""),
        Odd::Array => json!(["other", value, 7]),
        Odd::EmptyArray => json!([]),
        Odd::Object => json!({"inner": value}),
        Odd::Number => number(&value),
        Odd::Turned => Value::String(text(&value)),
        Odd::Nested => {
            let mut nested = value;
            let mut parts = name.split('.').rev().peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    event.insert(part.to_owned(), nested);
                    return;
                }
                nested = json!({part: nested});
            }
            return;
        }
    };
    event.insert(name, twisted);
}

fn number(value: &Value) -> Value {
    let text = text(value);
    match (text.parse::<i64>(), text.parse::<f64>().ok().and_then(Number::from_f64)) {
        (Ok(whole), _) => json!(whole as f64),
        (_, Some(real)) => Value::Number(real),
        _ => json!(4688),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pick<'l, T>(list: &'l [T], chance: &mut Chance) -> Option<&'l T> {
    list.get(usize::try_from(chance.below(list.len() as u64)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_event_holds_what_the_rule_looks_for() {
        let text = "detection:\n  s:\n    a|contains: x\\*y\n    b.c|gte: 5\n    d|all: [p, q]\n  filter_k:\n    - word\n  condition: s\n";
        let rules = [RuleFile { path: "r.yml".into(), text: text.into() }];
        let events = invented(&rules, 1);
        assert_eq!(events.len(), ODD.len());
        assert_eq!(events[0].position, "r.yml#0");
        let event: Value = serde_json::from_slice(&events[0].body).unwrap();
        assert_eq!(event["a"], "C:\\before x*y after");
        assert_eq!((&event["b.c"], &event["d"]), (&json!(6), &json!("p q")));
        assert_eq!(invented(&rules, 1), invented(&rules, 1));
    }
}
