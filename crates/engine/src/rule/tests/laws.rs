//! Laws over random rules and events, against an evaluator too plain to be wrong in the same way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::event;
use crate::event::Kind;
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{Given, Mappings, Problem, RuleFile, RuleId, RuleSet, Scratch, explain};

mod fits;

use fits::{fits, plain};

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
const MODIFIERS: [&str; 30] = [
    "",
    "",
    "",
    "",
    "cased",
    "cased",
    "contains",
    "contains",
    "startswith",
    "endswith",
    "exists",
    "gt",
    "lte",
    "neq",
    "re",
    "re|i",
    "cidr",
    "windash",
    "windash|contains",
    "windash|endswith",
    "fieldref",
    "fieldref|contains",
    "fieldref|startswith",
    "fieldref|endswith|cased",
    "fieldref|neq",
    "base64|contains",
    "base64offset|contains",
    "hour",
    "hour|lt",
    "minute|neq",
];
/// Networks, and which of [`ADDRESSES`] they hold.
const NETS: [(&str, [bool; 4]); 5] = [
    ("10.0.0.0/8", [true, true, false, false]),
    ("10.1.2.3", [true, true, false, false]),
    ("::ffff:10.0.0.0/104", [true, true, false, false]),
    ("::/0", [false, true, true, true]),
    ("fe80::/10", [false, false, false, true]),
];
const ADDRESSES: [&str; 4] = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "FE80::1"];
/// Texts that the modifiers look for, with their hour and minute.
const TIMES: [(&str, i64, i64); 2] = [("2024-08-08T01:02:03Z", 1, 2), ("2024-08-08T03:59:00+01:00", 2, 59)];
/// `a-B1Ä` in Base64 at each of the three offsets, and something else.
const ENCODED: [&str; 4] = ["YS1CMcOE", "eGEtQjHDhA==", "eHhhLUIxw4Q=", "YUJa"];

/// Names that mean the same: no two lists share one.
type Lists = &'static [&'static [&'static str]];

fn lists() -> impl Strategy<Value = Lists> {
    const CHOICES: [Lists; 6] = [
        &[],
        &[&["a", "e"]],
        &[&["b", "c.d", "a"]],
        &[&["a", "c.x"], &["c.d", "b"]],
        &[&["c", "a"], &["e", "c.x", "b"]],
        &[&["c.d", "e.d"], &["b", "a"]],
    ];
    select(&CHOICES[..])
}

fn given(lists: Lists) -> Given {
    let fields: serde_json::Map<String, Value> = lists
        .iter()
        .map(|names| {
            // What is alike in all names of a list may be written as a star.
            let starred = names.iter().all(|name| name.ends_with(".d"));
            let name = |name: &&str| if starred { name.replace(".d", ".*") } else { (*name).to_owned() };
            (name(&names[0]), names[1..].iter().map(name).collect())
        })
        .collect();
    let file =
        |kind: &str| RuleFile { path: kind.to_owned(), text: json!({"kind": kind, "fields": fields}).to_string() };
    let (mappings, problems) = Mappings::read(&["json", "aws.cloudtrail"].map(file), &[]);
    assert_eq!(problems, []);
    Given { mappings, ..Given::default() }
}

fn compile(rules: &[Written], lists: Lists) -> (RuleSet, Vec<Problem>) {
    let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.text(number)).collect();
    RuleSet::compile_with(&[RuleFile { path: "a.yml".to_owned(), text: texts.join("\n---\n") }], &given(lists))
}

fn word() -> impl Strategy<Value = String> {
    // Few letters, so that rules and events meet; İ has two letters in lower case, the Kelvin sign gets shorter.
    "[aAbBäÄİßK\u{212a}Σς1.-]{0,3}"
}

fn pattern() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "B", "ä", "Σ", "İ", "1", "*", "?", r"\*", r"\\", ".", "-"]), 0..4)
        .prop_map(|parts| parts.concat())
}

/// Expressions that [`finds`] understands: characters, `.`, and a `*` behind either; anchors.
fn expression() -> impl Strategy<Value = String> {
    r"\^?([aBΣ.][*]?){1,3}\$?"
}

fn scalar() -> impl Strategy<Value = Value> {
    let odd =
        ADDRESSES.into_iter().chain(ENCODED).chain(TIMES.map(|(time, ..)| time)).chain(["/-", "\u{2013}a", "a\n"]);
    prop_oneof![
        4 => word().prop_map(Value::from),
        2 => select(odd.collect::<Vec<_>>()).prop_map(Value::from),
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
        "hour" | "hour|lt" | "minute|neq" => vec((0_i64..4).prop_map(Value::from), 1..3).boxed(),
        "re" | "re|i" => vec(expression().prop_map(Value::from), 1..3).boxed(),
        "cidr" => vec(select(NETS.map(|(net, _)| Value::from(net)).to_vec()), 1..3).boxed(),
        "fieldref" | "fieldref|contains" | "fieldref|startswith" | "fieldref|endswith|cased" | "fieldref|neq" => {
            vec(select(FIELDS.to_vec()).prop_map(Value::from), 1..3).boxed()
        }
        "neq" => vec(mixed.clone(), 1..3).boxed(),
        "base64" | "base64|contains" => vec(word().prop_map(Value::from), 1..3).boxed(),
        "base64offset|contains" => vec("[aB1Ä-]{3,5}".prop_map(Value::from), 1..3).boxed(),
        _ => vec(text.clone(), 1..4).boxed(),
    };
    (select(FIELDS.to_vec()), select(MODIFIERS.to_vec()), any::<bool>()).prop_flat_map(move |(field, modifier, all)| {
        // A line without a field searches every string of the event.
        let keyword = matches!(modifier, "" | "cased" | "contains" | "re" | "re|i" | "windash|contains");
        let field = if keyword && field == "e" && all { "" } else { field };
        let all = all && !matches!(modifier, "exists" | "gt" | "lte");
        let sort = if field.is_empty() && matches!(modifier, "" | "cased") { "contains" } else { modifier };
        values(sort).prop_map(move |values| Line { field, modifier, all, values })
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

    fn holds(&self, document: &Value, lists: Lists) -> bool {
        let holds = |lines: &Vec<Line>| {
            // As in the text, the last of several lines with one key counts.
            let last = |line: &Line| {
                lines.iter().rev().find(|other| other.key() == line.key()).unwrap().holds(document, lists)
            };
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

    fn holds(&self, document: &Value, lists: Lists) -> bool {
        let field = name(document, self.field, lists);
        let found = if field.is_empty() { strings(document) } else { found(document, field) };
        let texts: Vec<String> = found.iter().filter_map(|value| text(value)).collect();
        let one = |wanted: &Value| match self.modifier {
            "exists" => exists(document, field) == (*wanted == json!(true)),
            "gt" => found.iter().any(|value| number(value) > number(wanted)),
            "lte" => found.iter().any(|value| number(value).is_some() && number(value) <= number(wanted)),
            "hour" => found.iter().any(|value| time(value).is_some_and(|(hour, _)| *wanted == hour)),
            "hour|lt" => found.iter().any(|value| time(value).is_some_and(|(hour, _)| Some(hour) < wanted.as_i64())),
            "minute|neq" => found.iter().any(|value| time(value).is_some_and(|(_, minute)| *wanted == minute)),
            "cidr" => {
                let (_, holds) = NETS.iter().find(|(net, _)| wanted == net).unwrap();
                texts.iter().any(|text| ADDRESSES.iter().zip(holds).any(|(address, holds)| address == text && *holds))
            }
            "re" => texts.iter().any(|text| finds(wanted.as_str().unwrap(), text, |char| char)),
            "re|i" => texts.iter().any(|text| finds(wanted.as_str().unwrap(), text, plain)),
            "base64|contains" => {
                let encoded = STANDARD.encode(text(wanted).unwrap());
                texts.iter().any(|text| text.to_lowercase().contains(&encoded.to_lowercase()))
            }
            "base64offset|contains" => texts.iter().any(|text| holds_offset(text, wanted.as_str().unwrap())),
            modifier if modifier.starts_with("fieldref") => {
                let other = name(document, wanted.as_str().unwrap(), lists);
                let others = self::found(document, other).into_iter().filter_map(text);
                others.into_iter().any(|other| {
                    texts.iter().any(|text| {
                        let exact = |text: &str| text.to_owned();
                        let folded = |text: &str| text.chars().map(plain).collect();
                        let fold = if modifier.ends_with("cased") { exact } else { folded };
                        let (text, other): (String, String) = (fold(text), fold(&other));
                        match modifier {
                            "fieldref|contains" => text.contains(&other),
                            "fieldref|startswith" => text.starts_with(&other),
                            "fieldref|endswith|cased" => text.ends_with(&other),
                            _ => text == other,
                        }
                    })
                })
            }
            modifier => plain_value(modifier, self.field.is_empty(), wanted, &found),
        };
        // The negation is of the whole line.
        let negated = self.modifier.ends_with("neq");
        negated != if self.all { self.values.iter().all(one) } else { self.values.iter().any(one) }
    }
}

/// The name under which the document has the field.
fn name<'f>(document: &Value, field: &'f str, lists: Lists) -> &'f str {
    let has = |name: &&str| {
        let found = found(document, name);
        exists(document, name) && (found.is_empty() || found.iter().any(|value| !value.is_object()))
    };
    let Some(names) = lists.iter().find(|names| names.contains(&field)) else { return field };
    std::iter::once(field).chain(names.iter().copied()).find(has).unwrap_or(field)
}

fn plain_value(modifier: &str, keyword: bool, wanted: &Value, found: &[&Value]) -> bool {
    let modifier =
        if keyword && !modifier.contains("contains") { format!("{modifier}|contains") } else { modifier.to_owned() };
    let whole = !["contains", "startswith", "endswith"].iter().any(|part| modifier.contains(part));
    match wanted {
        Value::Null => found.is_empty() || found.iter().any(|value| value.is_null()),
        Value::Number(number) if whole => found.iter().any(|value| {
            let same = |text: String| text == number.to_string() || text == number.as_f64().unwrap().to_string();
            text(value).is_some_and(same) || value.as_f64().is_some_and(|value| Some(value) == number.as_f64())
        }),
        wanted => {
            let wanted = text(wanted).unwrap();
            // Quotes around a number change nothing.
            let number = wanted.parse::<i64>().ok().filter(|number| number.to_string() == wanted);
            let equal = |value: &&Value| value.is_number() && value.as_f64() == number.map(|number| number as f64);
            if whole && number.is_some() && found.iter().any(equal) {
                return true;
            }
            found.iter().filter_map(|value| text(value)).any(|value| fits(&modifier, &wanted, &value))
        }
    }
}

/// Every string and number of a document.
fn strings(document: &Value) -> Vec<&Value> {
    match document {
        Value::String(_) | Value::Number(_) => vec![document],
        Value::Array(elements) => elements.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

/// The hour and minute of the texts that are times, or of the numbers, all of which are near the start of 1970.
fn time(value: &Value) -> Option<(i64, i64)> {
    let known = TIMES.iter().find(|(time, ..)| value == time).map(|(_, hour, minute)| (*hour, *minute));
    // Before 1970 there are no logs.
    known.or_else(|| value.as_f64().filter(|seconds| *seconds >= 0.0).map(|_| (0, 0)))
}

/// Whether the expression is found, place by place.
fn finds(expression: &str, text: &str, fold: fn(char) -> char) -> bool {
    fn here(expression: &[char], text: &[char]) -> bool {
        let takes = |wanted: char| text.first().is_some_and(|next| *next != '\n' && wanted == '.' || *next == wanted);
        match expression {
            [] => true,
            ['$'] => text.is_empty() || text == ['\n'],
            [wanted, '*', rest @ ..] => here(rest, text) || takes(*wanted) && here(expression, &text[1..]),
            [wanted, rest @ ..] => takes(*wanted) && here(rest, &text[1..]),
        }
    }
    let expression: Vec<char> = expression.chars().map(fold).collect();
    let text: Vec<char> = text.chars().map(fold).collect();
    match expression.as_slice() {
        ['^', rest @ ..] => here(rest, &text),
        rest => (0..=text.len()).any(|from| here(rest, &text[from..])),
    }
}

/// Whether the text is a part of some text in Base64 that holds `wanted`: its bits do, at one of the offsets.
fn holds_offset(text: &str, wanted: &str) -> bool {
    (0..3).any(|offset| {
        let padded = [&vec![b'x'; offset][..], wanted.as_bytes()].concat();
        // Whole characters of six bits, none of which the neighbours have a share in.
        let encoded = STANDARD.encode(&padded);
        let (from, to) = ((offset * 4).div_ceil(3), padded.len() * 4 / 3);
        text.to_lowercase().contains(&encoded[from..to].to_lowercase())
    })
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
    fn compiled_rules_match_what_they_say(
        rules in vec(written(), 1..6),
        documents in vec(document(), 1..8),
        lists in lists(),
    ) {
        let (set, problems) = compile(&rules, lists);
        prop_assert_eq!(problems, []);
        let mut scratch = Scratch::default();
        for document in &documents {
            let expected = (0..).zip(&rules).filter(|(_, rule)| rule.holds(document, lists));
            let expected: Vec<u32> = expected.map(|(number, _)| number).collect();
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
        lists in lists(),
        time in select(vec![json!("2026-11-23T10:00:00Z"), json!("soon"), json!(1.5), json!(["2026-11-23T10:00:00Z"])]),
    ) {
        let (set, _) = compile(&rules, lists);
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
        let (set, _) = super::compile(&[("a.yml", &rule), ("b.yml", &noise)]);
        // A mapping may hold anything, too.
        let mapping = json!({"kind": "json", "fields": {key: values, "a": ["b", noise]}}).to_string();
        drop(Mappings::read(&[], &[mapping, noise.clone()].map(|text| RuleFile { path: "m.yml".to_owned(), text })));
        let logged = json!({"a": values, "b": noise, "c": document}).to_string();
        set.matches(&event(Kind::Json, &logged), &mut Scratch::default());
    }
}

proptest! {
    // Each reads and plans for its rules anew.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_explanation_says_what_matching_says(
        rules in vec(written(), 1..4),
        documents in vec(document(), 1..6),
        lists in lists(),
    ) {
        let texts: Vec<String> = rules.iter().enumerate().map(|(number, rule)| rule.text(number)).collect();
        let file = RuleFile { path: "a.yml".to_owned(), text: texts.join("\n---\n") };
        for document in &documents {
            let event = sonic_rs::from_str(&document.to_string()).unwrap();
            for (number, rule) in rules.iter().enumerate() {
                let id = RuleId(number.to_string().into());
                let why = explain(&file, &id, &given(lists), Kind::Json, &event).unwrap();
                prop_assert_eq!(why.holds, rule.holds(document, lists), "{}{}", why, document);
            }
        }
    }

    #[test]
    fn a_rule_that_is_said_to_never_match_never_does(
        rules in vec(written(), 1..6),
        documents in vec(document(), 1..24),
        lists in lists(),
    ) {
        let file = |(number, rule): (usize, &Written)| {
            RuleFile { path: number.to_string(), text: rule.text(number) }
        };
        let files: Vec<RuleFile> = rules.iter().enumerate().map(file).collect();
        let (_, problems) = RuleSet::check(&files, &given(lists));
        let said = problems.iter().filter(|problem| problem.lint == Some("never_matches"));
        for never in said {
            let rule = &rules[never.path.parse::<usize>().unwrap()];
            // Fields are taken to hold one value.
            for document in documents.iter().filter(|document| !document.to_string().contains('[')) {
                prop_assert!(!rule.holds(document, lists), "{}: {}", never, document);
            }
        }
    }
}
