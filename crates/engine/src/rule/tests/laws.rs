//! Laws over random rules and events, against an evaluator too plain to be wrong in the same way.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{compile, event};
use crate::event::Kind;
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{Placeholders, RuleFile, RuleId, RuleSet, Scratch, explain};

/// One line of a selection: `field|modifier|all: values`.
#[derive(Clone, Debug)]
struct Line {
    field: &'static str,
    modifier: &'static str,
    all: bool,
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
enum Condition {
    One(usize),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    AnyOf,
    AllOf,
    TwoOf,
}

#[derive(Clone, Debug)]
struct Written {
    selections: [Vec<Line>; 3],
    condition: Condition,
}

const FIELDS: [&str; 4] = ["a", "b", "c.d", "e"];

fn word() -> impl Strategy<Value = String> {
    // Few letters, so that rules and events meet; İ has two letters in lower case, the Kelvin sign gets shorter.
    "[aAbBäÄİßK\u{212a}Σς1.-]{0,3}"
}

fn pattern() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "B", "ä", "Σ", "İ", "1", "*", "?", r"\*", r"\\", ".", "-"]), 0..4)
        .prop_map(|parts| parts.concat())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => word().prop_map(Value::from),
        1 => (-1_i64..2).prop_map(Value::from),
        1 => select(vec![json!(1.5), json!(1.0), json!(true), json!(false), json!(null)]),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let text = prop_oneof![2 => word(), 1 => pattern()].prop_map(Value::from);
    let mixed = prop_oneof![2 => text.clone(), 1 => scalar()];
    let values = move |modifier: &'static str| match modifier {
        "" | "cased" => vec(mixed.clone(), 1..4).boxed(),
        "exists" => any::<bool>().prop_map(|wanted| vec![json!(wanted)]).boxed(),
        "gt" | "lte" => vec((-1_i64..2).prop_map(Value::from), 1..2).boxed(),
        _ => vec(text.clone(), 1..4).boxed(),
    };
    let modifiers = vec!["", "", "", "cased", "contains", "startswith", "endswith", "exists", "gt", "lte"];
    (select(FIELDS.to_vec()), select(modifiers), any::<bool>()).prop_flat_map(move |(field, modifier, all)| {
        let all = all && !matches!(modifier, "exists" | "gt" | "lte");
        values(modifier).prop_map(move |values| Line { field, modifier, all, values })
    })
}

fn written() -> impl Strategy<Value = Written> {
    let leaf = prop_oneof![
        4 => (0..3_usize).prop_map(Condition::One),
        1 => select(vec![Condition::AnyOf, Condition::AllOf, Condition::TwoOf]),
    ];
    let condition = leaf.prop_recursive(3, 8, 2, |inner| {
        let pair = || (inner.clone(), inner.clone());
        prop_oneof![
            3 => pair().prop_map(|(left, right)| Condition::And(left.into(), right.into())),
            2 => pair().prop_map(|(left, right)| Condition::Or(left.into(), right.into())),
            1 => inner.clone().prop_map(|part| Condition::Not(part.into())),
        ]
    });
    ([vec(line(), 1..3), vec(line(), 1..3), vec(line(), 1..3)], condition)
        .prop_map(|(selections, condition)| Written { selections, condition })
}

fn document() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(select(vec!["d".to_owned(), "x".to_owned()]), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    btree_map(select(vec!["a", "b", "c", "c.d", "e"]).prop_map(str::to_owned), value, 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

impl Condition {
    fn text(&self) -> String {
        match self {
            Self::One(number) => format!("s{number}"),
            Self::And(left, right) => format!("({} and {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} or {})", left.text(), right.text()),
            Self::Not(part) => format!("(not {})", part.text()),
            Self::AnyOf => "1 of s*".to_owned(),
            Self::AllOf => "all of them".to_owned(),
            Self::TwoOf => "2 of them".to_owned(),
        }
    }

    fn holds(&self, selections: &[bool; 3]) -> bool {
        let count = selections.iter().filter(|holds| **holds).count();
        match self {
            Self::One(number) => selections[*number],
            Self::And(left, right) => left.holds(selections) & right.holds(selections),
            Self::Or(left, right) => left.holds(selections) | right.holds(selections),
            Self::Not(part) => !part.holds(selections),
            Self::AnyOf => count >= 1,
            Self::AllOf => count == 3,
            Self::TwoOf => count >= 2,
        }
    }
}

impl Written {
    /// JSON is YAML.
    fn text(&self, number: usize) -> String {
        let mut detection = json!({ "condition": self.condition.text() });
        for (place, lines) in self.selections.iter().enumerate() {
            // A list of maps is an OR, so each line stands in a map of its own under an AND: one selection
            // may hold the same field twice only so.
            let mut selection = serde_json::Map::new();
            for line in lines {
                selection.insert(line.key(), line.values.clone().into());
            }
            detection[format!("s{place}")] = selection.into();
        }
        json!({"title": "r", "id": number.to_string(), "level": "low", "detection": detection}).to_string()
    }

    fn holds(&self, document: &Value) -> bool {
        let holds = |lines: &Vec<Line>| {
            // As in the text, the last of several lines with one key counts.
            let last =
                |line: &Line| lines.iter().rev().find(|other| other.key() == line.key()).unwrap().holds(document);
            lines.iter().all(last)
        };
        self.condition.holds(&self.selections.each_ref().map(holds))
    }
}

impl Line {
    fn key(&self) -> String {
        let modifier = if self.modifier.is_empty() { String::new() } else { format!("|{}", self.modifier) };
        format!("{}{modifier}{}", self.field, if self.all { "|all" } else { "" })
    }

    fn holds(&self, document: &Value) -> bool {
        let found = found(document, self.field);
        let one = |wanted: &Value| match (self.modifier, wanted) {
            ("exists", wanted) => exists(document, self.field) == (*wanted == json!(true)),
            ("gt", wanted) => found.iter().any(|value| number(value) > number(wanted)),
            ("lte", wanted) => found.iter().any(|value| number(value).is_some() && number(value) <= number(wanted)),
            (_, Value::Null) => found.is_empty() || found.iter().any(|value| value.is_null()),
            (_, Value::Number(wanted)) => found.iter().any(|value| {
                text(value)
                    .is_some_and(|text| text == wanted.to_string() || text == wanted.as_f64().unwrap().to_string())
                    || value.as_f64().is_some_and(|value| Some(value) == wanted.as_f64())
            }),
            (modifier, wanted) => {
                let wanted = text(wanted).unwrap();
                // Quotes around a number change nothing.
                let whole = wanted.parse::<i64>().ok().filter(|whole| whole.to_string() == wanted);
                let equal = |value: &&&Value| value.is_number() && value.as_f64() == whole.map(|whole| whole as f64);
                if whole.is_some() && matches!(modifier, "" | "cased") && found.iter().find(equal).is_some() {
                    return true;
                }
                found.iter().filter_map(|value| text(value)).any(|value| fits(modifier, &wanted, &value))
            }
        };
        if self.all { self.values.iter().all(one) } else { self.values.iter().any(one) }
    }
}

fn found<'v>(document: &'v Value, field: &str) -> Vec<&'v Value> {
    fn elements(value: &Value) -> Vec<&Value> {
        value.as_array().map_or_else(|| vec![value], |array| array.iter().flat_map(elements).collect())
    }
    if let Some(value) = document.get(field) {
        return elements(value);
    }
    let mut values = vec![document];
    for segment in field.split('.') {
        values = values.into_iter().flat_map(elements).filter_map(|value| value.get(segment)).collect();
    }
    values.into_iter().flat_map(elements).collect()
}

fn exists(document: &Value, field: &str) -> bool {
    fn walk(value: &Value, segments: &[&str]) -> bool {
        match (value, segments) {
            (_, []) => true,
            (Value::Array(elements), _) => elements.iter().any(|element| walk(element, segments)),
            (_, [first, rest @ ..]) => value.get(first).is_some_and(|inner| walk(inner, rest)),
        }
    }
    document.get(field).is_some() || walk(document, &field.split('.').collect::<Vec<_>>())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn fits(modifier: &str, wanted: &str, value: &str) -> bool {
    let fold = |text: &str| -> Vec<char> {
        if modifier == "cased" { text.chars().collect() } else { text.chars().map(plain).collect() }
    };
    // Wildcards become characters that no test uses.
    let wanted = wanted.replace(r"\\", "\u{1}").replace(r"\*", "\u{2}").replace('*', "\u{3}").replace('?', "\u{4}");
    let wanted = wanted.replace('\u{1}', r"\").replace('\u{2}', "*");
    let wanted = match modifier {
        "contains" => format!("\u{3}{wanted}\u{3}"),
        "startswith" => format!("{wanted}\u{3}"),
        "endswith" => format!("\u{3}{wanted}"),
        _ => wanted,
    };
    fn walk(wanted: &[char], value: &[char]) -> bool {
        match (wanted.split_first(), value.split_first()) {
            (None, None) => true,
            (Some(('\u{3}', rest)), None) => walk(rest, value),
            (Some(('\u{3}', rest)), Some((_, after))) => walk(rest, value) || walk(wanted, after),
            (Some(('\u{4}', rest)), Some((_, after))) => walk(rest, after),
            (Some((char, rest)), Some((next, after))) => char == next && walk(rest, after),
            _ => false,
        }
    }
    walk(&fold(&wanted), &fold(value))
}

/// Letter case of the few letters that the laws use, by hand.
fn plain(char: char) -> char {
    match char {
        'A' => 'a',
        'B' => 'b',
        'Ä' => 'ä',
        'K' | '\u{212a}' => 'k',
        'Σ' | 'ς' => 'σ',
        other => other,
    }
}

/// The document with the keys of every object in reverse.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let pairs = object.iter().rev().map(|(key, value)| format!("{}:{}", json!(key), reversed(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        Value::Array(array) => format!("[{}]", array.iter().map(reversed).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn compiled_rules_match_what_they_say(rules in vec(written(), 1..6), documents in vec(document(), 1..8)) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.text(number)).collect();
        let (set, problems) = compile(&[("a.yml", &texts.join("\n---\n"))]);
        prop_assert_eq!(problems, []);
        let mut scratch = Scratch::default();
        for document in &documents {
            let expected: Vec<u32> = (0..).zip(&rules).filter(|(_, rule)| rule.holds(document)).map(|(n, _)| n).collect();
            for json in [document.to_string(), reversed(document)] {
                let found = set.matches(&event(Kind::Json, &json), &mut scratch);
                let found: Vec<u32> = found.iter().map(|number| number.0).collect();
                prop_assert_eq!(&found, &expected, "{}", json);
            }
        }
    }

    #[test]
    fn a_glance_shows_what_the_whole_way_does(
        rules in vec(written(), 1..4),
        documents in vec(document(), 1..6),
        time in select(vec![json!("2026-11-23T10:00:00Z"), json!("soon"), json!(1.5), json!(["2026-11-23T10:00:00Z"])]),
    ) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.text(number)).collect();
        let (set, _) = compile(&[("a.yml", &texts.join("\n---\n"))]);
        let (mut scratch, limits) = (Scratch::default(), Limits::default());
        for document in &documents {
            let mut document = document.clone();
            document["time"] = time.clone();
            document["eventName"] = json!("x");
            document["eventTime"] = time.clone();
            for kind in [Kind::Json, Kind::AwsCloudtrail] {
                let (format, text) = (Format::Known(kind), document.to_string());
                let (mut events, mut rejects) = (Vec::new(), Vec::new());
                normalise(format, text.as_bytes(), "p", &limits, &mut events, &mut rejects);
                let glance = set.glance(format, text.as_bytes(), &limits, &mut scratch);
                let glance = glance.map(|glance| (glance.time, glance.rules.to_vec()));
                let [event] = &events[..] else {
                    prop_assert_eq!(glance, None, "{}", text);
                    continue;
                };
                let whole = (event.time, set.matches(event, &mut scratch).to_vec());
                prop_assert!(rejects.is_empty());
                match glance {
                    Some(glance) => prop_assert_eq!(glance, whole, "{}", text),
                    // Of what these documents hold only an odd time is left to the parser.
                    None => prop_assert_ne!(&time, &json!("2026-11-23T10:00:00Z"), "{}", text),
                }
            }
        }
    }

    #[test]
    fn nothing_that_is_written_or_logged_panics(
        key in "[a-b]{0,1}(\\|(contains|re|cidr|base64offset|wide|windash|fieldref|all|neq|startswith|i|gt)){0,3}",
        values in vec(any::<String>(), 0..3),
        condition in "(s|not s|1 of s\\*|all of them|s and|\\PC{0,8})",
        document in document(),
        noise in any::<String>(),
    ) {
        let rule = json!({"title": noise, "detection": {"s": {key.clone(): values}, "condition": condition}}).to_string();
        let (set, _) = compile(&[("a.yml", &rule), ("b.yml", &noise)]);
        let logged = json!({"a": values, "b": noise, "c": document}).to_string();
        set.matches(&event(Kind::Json, &logged), &mut Scratch::default());
    }
}

proptest! {
    // Each reads and plans for its rules anew.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_explanation_says_what_matching_says(rules in vec(written(), 1..4), documents in vec(document(), 1..6)) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.text(number)).collect();
        let file = RuleFile { path: "a.yml".to_owned(), text: texts.join("\n---\n") };
        for document in &documents {
            let event = sonic_rs::from_str(&document.to_string()).unwrap();
            for (number, rule) in rules.iter().enumerate() {
                let id = RuleId(number.to_string().into());
                let why = explain(&file, &id, &Placeholders::default(), &event).unwrap();
                prop_assert_eq!(why.holds, rule.holds(document), "{}{}", why, document);
            }
        }
    }

    #[test]
    fn a_rule_that_is_said_to_never_match_never_does(rules in vec(written(), 1..6), documents in vec(document(), 1..24)) {
        let file = |(number, rule): (usize, &Written)| {
            RuleFile { path: number.to_string(), text: rule.text(number) }
        };
        let files: Vec<RuleFile> = rules.iter().enumerate().map(file).collect();
        let (_, problems) = RuleSet::check(&files, &Placeholders::default());
        let said = problems.iter().filter(|problem| problem.lint == Some("never_matches"));
        for never in said {
            let rule = &rules[never.path.parse::<usize>().unwrap()];
            // Fields are taken to hold one value.
            for document in documents.iter().filter(|document| !document.to_string().contains('[')) {
                prop_assert!(!rule.holds(document), "{}: {}", never, document);
            }
        }
    }
}
