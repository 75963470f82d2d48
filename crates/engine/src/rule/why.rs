//! Why a rule does or does not match an event, line by line: for people who try a rule.
//!
//! Reads the rule again and asks each line by itself, so it is slow and never on the road of an event.

use std::fmt;

use serde::Serialize;
use sonic_rs::{JsonContainerTrait, Value};

use super::ast::{Detection, Item, Named};
use super::condition::{Collector, Predicates, Program};
use super::draft::{self, Lints, Source};
use super::found::{Found, Tree};
use super::located::{Located, Places};
use super::mapping::Synonyms;
use super::modifier::Modifier;
use super::place::Document;
use super::value::{self, Names};
use super::{Given, RuleFile, RuleId, sigma};
use crate::address::Cache;
use crate::event::Kind;
use crate::field::{FieldId, Fields};
use crate::normalise;

/// Longest value of an event that is shown.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// One thing that a rule asks and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What is asked, as the rule writes it.
    pub asked: String,
    /// Whether it is true of the event.
    pub holds: bool,
    /// For a line: what the event has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What else a person would want to know here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explanation>,
}

/// Why the detection rule `id`, read from `file`, does or does not match the event; nothing if the file has no such
/// rule, or one that cannot be compiled. The event is read as a log of this kind. Filters are left aside.
#[must_use]
pub fn explain(file: &RuleFile, id: &RuleId, given: &Given, kind: Kind, event: &Value) -> Option<Explanation> {
    let asked = Asked { given, kind, event };
    let drafts = Document::split(&file.path, &file.text).into_iter();
    let mut drafts = drafts.filter_map(|document| draft::read(document, Lints::Off)?.draft);
    let draft = drafts.find(|draft| draft.id == *id)?;
    let Source::Detection(section) = &draft.source else { return None };
    let whole = |names: &mut Names<'_>| sigma::compile(section, names).ok();
    let holds = asked.program(whole)?.holds;
    let texts: Vec<&str> = section.conditions.iter().map(|condition| condition.text.trim()).collect();
    let parts = section.named.iter().map(|named| asked.selection(named)).collect::<Option<_>>()?;
    Some(Explanation { parts, ..Explanation::new(texts.join(" or "), holds) })
}

/// What is asked, line by line.
#[derive(Clone, Copy)]
struct Asked<'a> {
    given: &'a Given,
    kind: Kind,
    event: &'a Value,
}

/// What came of something that was asked by itself.
struct Answer {
    holds: bool,
    fields: Fields,
    synonyms: Synonyms,
    /// What is known of the address, under the name of the first field.
    place: Option<String>,
}

impl Asked<'_> {
    fn selection(self, named: &Named) -> Option<Explanation> {
        let mut explanation = self.detection(&named.detection)?;
        explanation.asked = match named.detection {
            Detection::All(_) => named.name.clone(),
            Detection::Any(_) => format!("{} (any of)", named.name),
        };
        Some(explanation)
    }

    fn detection(self, detection: &Detection) -> Option<Explanation> {
        let (asked, parts): (_, Vec<Explanation>) = match detection {
            Detection::All(items) => ("all of", items.iter().map(|item| self.line(item)).collect::<Option<_>>()?),
            Detection::Any(parts) => ("any of", parts.iter().map(|part| self.detection(part)).collect::<Option<_>>()?),
        };
        let holds = match detection {
            Detection::All(_) => parts.iter().all(|part| part.holds),
            Detection::Any(_) => parts.iter().any(|part| part.holds),
        };
        Some(Explanation { parts, ..Explanation::new(asked, holds) })
    }

    fn line(self, item: &Item) -> Option<Explanation> {
        let answer = self.program(|names| value::compile(item, names).ok())?;
        let values: Vec<String> = item.values.iter().map(|written| written.value.to_string()).collect();
        let asked = match values.as_slice() {
            [only] if item.field.is_some() => format!("{}: {only}", item.key),
            several if item.field.is_some() => format!("{}: [{}]", item.key, several.join(", ")),
            several => format!("anywhere: [{}]", several.join(", ")),
        };
        let found = item.field.as_ref().map(|_| answer.shown(self.event));
        let expands = item.modifiers.contains(&Modifier::Expand);
        let note = if expands { self.given.placeholders.told(&item.values) } else { None };
        Some(Explanation { found, note, ..Explanation::new(asked, answer.holds) })
    }

    /// Compiles something by itself and asks it of the event.
    fn program(self, compile: impl FnOnce(&mut Names<'_>) -> Option<Program>) -> Option<Answer> {
        let Given { placeholders, mappings, addresses, .. } = self.given;
        let (mut fields, mut collector) = (Fields::default(), Collector::default());
        let program =
            compile(&mut Names { fields: &mut fields, collector: &mut collector, placeholders, expanded: 0 })?;
        let predicates = collector.finish();
        mappings.intern(&mut fields);
        for name in normalise::addresses(self.kind) {
            fields.intern(name);
        }
        let synonyms = mappings.synonyms(self.kind, &fields);
        let ids: Vec<FieldId> = (0..).map(FieldId).take(fields.len()).collect();
        let mut tree = Tree::new(ids.iter().map(|field| (*field, fields.path(*field))));
        tree.expect_others(synonyms.names().map(|field| fields.path(field)));
        let mut found = Found::start(fields.len(), Found::default());
        found.read(&tree, true, self.event);
        found.stand_in(&synonyms);
        let places = Places::among(&ids, self.kind, &fields);
        let known = places.of(&found, &mut Located { addresses, cache: &mut Cache::default() });
        if let Some(known) = &known {
            places.fill(known, &mut found);
        }
        let holds = holds(&program, &predicates, &found);
        let place = known.and_then(|known| known.get(places.aspect(FieldId(0))?).map(str::to_owned));
        Some(Answer { holds, fields, synonyms, place })
    }
}

fn holds(program: &Program, predicates: &Predicates, found: &Found<'_>) -> bool {
    let part = |part: &Program| holds(part, predicates, found);
    match program {
        Program::Ask(number) => predicates.get(*number).holds(found),
        Program::And(parts) => parts.iter().all(part),
        Program::Or(parts) => parts.iter().any(part),
        Program::Not(inner) => !part(inner),
        Program::AtLeast(least, parts) => parts.iter().filter(|inner| part(inner)).count() as u64 >= *least,
    }
}

impl Answer {
    /// What the event has in the first of these fields, the one that the line is about, and under which other name.
    fn shown(&self, event: &Value) -> String {
        let field = FieldId(0);
        let name = self.synonyms.found_at(field, |name| self.fields.path(name).holds(event));
        let mut values = Vec::new();
        self.fields.path(name).any(event, &mut |value| {
            let text = sonic_rs::to_string(value).unwrap_or_default();
            let cut = text.char_indices().nth(SHOWN_CHARACTERS_MAX).map(|(end, _)| format!("{}…", &text[..end]));
            values.push(cut.unwrap_or(text));
            values.len() == 5
        });
        if values.is_empty()
            && let Some(place) = &self.place
        {
            return format!("\"{place}\", known of its address");
        }
        if values.is_empty() {
            return match other_case(event, self.fields.path(field).segments()) {
                Some(name) => format!("nothing of this name, but `{name}`: names of fields mind letter case"),
                None => "nothing".to_owned(),
            };
        }
        let values = values.join(", ");
        if name == field { values } else { format!("{values} in `{}`", self.fields.path(name).name()) }
    }
}

/// The path that is this one but for letter case.
fn other_case(value: &Value, segments: &[String]) -> Option<String> {
    let (first, rest) = segments.split_first()?;
    if let Some(elements) = value.as_array() {
        return elements.iter().find_map(|element| other_case(element, segments));
    }
    let mut members = value.as_object()?.iter().filter(|(name, _)| name.eq_ignore_ascii_case(first));
    members.find_map(|(name, inner)| match rest {
        [] => Some(name.to_owned()),
        rest => Some(format!("{name}.{}", other_case(inner, rest)?)),
    })
}

impl Explanation {
    /// One thing that was asked, and nothing else about it.
    pub(super) fn new(asked: impl Into<String>, holds: bool) -> Self {
        Self { asked: asked.into(), holds, found: None, note: None, parts: Vec::new() }
    }

    fn write(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let mark = if self.holds { "yes" } else { "no " };
        write!(out, "{:indent$}{mark} {}", "", self.asked, indent = 2 * depth)?;
        if let Some(found) = &self.found {
            write!(out, "    the event has {found}")?;
        }
        if let Some(note) = &self.note {
            write!(out, "    {note}")?;
        }
        writeln!(out)?;
        self.parts.iter().try_for_each(|part| part.write(out, depth + 1))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out, 0)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::Placeholders;
    use super::*;

    #[test]
    fn each_line_says_whether_it_holds_and_what_the_event_has() {
        let text = "title: A\nid: a\nlevel: low\ndetection:\n  s:\n    - {eventName: [X, Y], a.b|endswith: '/x'}\n    \
                    - {u|exists: true}\n  k: [evil]\n  f: {c|gt: 5}\n  condition: (s or k) and not f\n";
        let file = RuleFile { path: "a.yml".to_owned(), text: text.to_owned() };
        let event = sonic_rs::from_str(r#"{"eventName":"x","a":[{"b":"1/y"},{"b":null}],"c":7}"#).unwrap();
        let explanation = explain(&file, &RuleId("a".into()), &Given::default(), Kind::Json, &event).unwrap();
        assert_snapshot!(explanation, @r#"
        no  (s or k) and not f
          no  s (any of)
            no  all of
              yes eventName: [X, Y]    the event has "x"
              no  a.b|endswith: /x    the event has "1/y", null
            no  all of
              no  u|exists: true    the event has nothing
          no  k
            no  anywhere: [evil]
          yes f
            yes c|gt: 5    the event has 7
        "#);
        let event = sonic_rs::from_str(r#"{"EventName":"x","A":[{"b":"1/y"}],"c":7}"#).unwrap();
        let explanation =
            explain(&file, &RuleId("a".into()), &Given::default(), Kind::Json, &event).unwrap().to_string();
        for part in ["nothing of this name, but `EventName`: names of fields mind letter case", "but `A.b`:"] {
            assert!(explanation.contains(part), "{explanation}");
        }
        assert_eq!(explain(&file, &RuleId("b".into()), &Given::default(), Kind::Json, &event), None);
    }

    #[test]
    fn a_placeholder_is_shown_with_its_values() {
        let text = "title: A\nid: a\nlevel: low\ndetection: {s: {u|expand: '%admins%'}, condition: s}\n";
        let file = RuleFile { path: "a.yml".to_owned(), text: text.to_owned() };
        let event = sonic_rs::from_str(r#"{"u":"eve"}"#).unwrap();
        let placeholders = Placeholders([("admins".to_owned(), vec!["root".to_owned(), "adm_*".to_owned()])].into());
        let given = Given { placeholders, ..Given::default() };
        let explanation = explain(&file, &RuleId("a".into()), &given, Kind::Json, &event).unwrap().to_string();
        let line = r#"no  u|expand: %admins%    the event has "eve"    `%admins%` is root, adm_*"#;
        assert!(explanation.contains(line), "{explanation}");
    }
}
