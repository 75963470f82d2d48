//! Vendor fields: interned dotted names, and what they mean in a document.
//!
//! A rule names `requestParameters.policyDocument`; the set of rules knows it as a small number, so that
//! matching compares integers and walks each path without splitting text again.

use std::collections::HashMap;

use sonic_rs::{JsonContainerTrait, JsonNumberTrait, JsonValueTrait, Value};

use crate::hash::Seed;

/// A field of a rule set, by its place in [`Fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u32);

/// A dotted field name, split once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    name: String,
    segments: Vec<String>,
}

/// All fields that a rule set reads, each once.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    paths: Vec<Path>,
    /// Keys are rule text, so a fixed seed lets nobody prepare collisions.
    numbers: HashMap<String, FieldId, Seed>,
}

impl Path {
    /// Splits a dotted name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), segments: name.split('.').map(str::to_owned).collect() }
    }

    /// The name as the rule wrote it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, cut at its dots.
    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Hands every value that the path leads to, in document order, to `visit`, until it answers `true`.
    ///
    /// A literal key `a.b` wins over the nested `a` → `b`; a path through an array means any element, and
    /// an array at its end is visited element by element. Answers whether a visit did.
    pub fn any(&self, document: &Value, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        if self.segments.len() > 1
            && let Some(value) = document.get(self.name.as_str())
        {
            return spread(value, visit);
        }
        walk(document, &self.segments, visit)
    }

    /// Whether the path leads anywhere, whatever is there: null and an array without elements too.
    #[must_use]
    pub fn exists(&self, document: &Value) -> bool {
        (self.segments.len() > 1 && document.get(self.name.as_str()).is_some()) || reaches(document, &self.segments)
    }

    /// Whether the path leads to anything but objects. A field that another schema nests under the same name, as
    /// `user.name` under `user`, is none of this one's.
    #[must_use]
    pub fn holds(&self, document: &Value) -> bool {
        let mut objects = false;
        let other = self.any(document, &mut |value| {
            objects |= value.is_object();
            !value.is_object()
        });
        other || (!objects && self.exists(document))
    }

    /// The first value that the path leads to, as text: strings as they are, numbers and booleans as JSON
    /// writes them; nothing for null, objects and absence.
    #[must_use]
    pub fn text(&self, document: &Value) -> Option<String> {
        let mut found = None;
        self.any(document, &mut |value| {
            found = scalar_text(value);
            found.is_some()
        });
        found
    }
}

impl Fields {
    /// The number of this field, new or known.
    pub fn intern(&mut self, name: &str) -> FieldId {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let number = FieldId(u32::try_from(self.paths.len()).expect("fewer than 2^32 distinct fields fit into memory"));
        self.paths.push(Path::new(name));
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The number of a field that was interned.
    pub(crate) fn known(&self, name: &str) -> Option<FieldId> {
        self.numbers.get(name).copied()
    }

    /// The path behind a number that [`Fields::intern`] gave.
    #[must_use]
    pub fn path(&self, field: FieldId) -> &Path {
        &self.paths[field.0 as usize]
    }

    /// The names in the order of their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(Path::name)
    }

    /// How many distinct fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether no rule reads any field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// Refuses what is no name of a field but looks like one in a selection.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("the name of a field is empty".to_owned());
    }
    if let Some((field, _)) = name.split_once('|') {
        return Err(format!("modifiers mean nothing here; write `{field}` instead of `{name}`"));
    }
    match ["[any]", "[all]"].iter().find(|quantifier| name.contains(*quantifier)) {
        Some(quantifier) => Err(format!(
            "`{name}`: choosing array elements with `{quantifier}` is not part of Sigma 2.1; a path without it means \
             any element"
        )),
        None => Ok(()),
    }
}

/// A scalar as a person would write it; nothing for null, arrays and objects.
#[must_use]
pub fn scalar_text(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    if let Some(flag) = value.as_bool() {
        return Some(flag.to_string());
    }
    digits(value).map(String::from).or_else(|| value.as_number().map(|number| number.to_string()))
}

/// The text of a number that no machine type holds as it is: an integer beyond 64 bits, or more than a real can be.
/// Documents that hold one were read with the texts of all their numbers; the others have none to show.
pub(crate) fn digits(value: &Value) -> Option<Box<str>> {
    let raw = value.as_raw_number()?;
    let text = raw.as_str();
    let whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let held = if whole { raw.is_i64() || raw.is_u64() } else { raw.is_f64() };
    (!held).then(|| text.into())
}

fn walk(value: &Value, segments: &[String], visit: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some((first, rest)) = segments.split_first() else {
        return spread(value, visit);
    };
    if let Some(elements) = value.as_array() {
        return elements.iter().any(|element| walk(element, segments, visit));
    }
    value.get(first.as_str()).is_some_and(|inner| walk(inner, rest, visit))
}

fn reaches(value: &Value, segments: &[String]) -> bool {
    let Some((first, rest)) = segments.split_first() else { return true };
    if let Some(elements) = value.as_array() {
        return elements.iter().any(|element| reaches(element, segments));
    }
    value.get(first.as_str()).is_some_and(|inner| reaches(inner, rest))
}

fn spread(value: &Value, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value.as_array() {
        Some(elements) => elements.iter().any(|element| spread(element, visit)),
        None => visit(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str, path: &str) -> Vec<String> {
        let document: Value = sonic_rs::from_str(document).unwrap();
        let mut found = Vec::new();
        Path::new(path).any(&document, &mut |value| {
            found.extend(scalar_text(value));
            false
        });
        found
    }

    #[test]
    fn a_path_through_an_array_means_any_element() {
        assert_eq!(texts(r#"{"a":[{"b":1},{"b":[2,[3]]},{"c":4}]}"#, "a.b"), ["1", "2", "3"]);
    }

    #[test]
    fn a_literal_dotted_key_wins_over_the_nested_one() {
        assert_eq!(texts(r#"{"a.b":"flat","a":{"b":"nested"}}"#, "a.b"), ["flat"]);
    }

    #[test]
    fn a_field_is_there_whatever_it_holds() {
        for (document, expected) in [
            (r#"{"a":{"b":null}}"#, true),
            (r#"{"a":[{"c":1},{"b":[]}]}"#, true),
            (r#"{"a.b":[]}"#, true),
            (r#"{"a":[]}"#, false),
            (r#"{"a":{"c":1}}"#, false),
            (r#"{"a":"b"}"#, false),
        ] {
            let document: Value = sonic_rs::from_str(document).unwrap();
            assert_eq!(Path::new("a.b").exists(&document), expected, "{document}");
        }
    }

    #[test]
    fn equal_names_are_one_field() {
        let mut fields = Fields::default();
        assert_eq!(fields.intern("a.b"), fields.intern("a.b"));
        assert_ne!(fields.intern("a.b"), fields.intern("a"));
    }
}
