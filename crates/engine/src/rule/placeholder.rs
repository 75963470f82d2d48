//! Values that the user gives: what `%name%` stands for in a rule with `|expand`.

use std::collections::BTreeMap;

use super::ast::{Scalar, Written};
use super::nearest;
use super::place::Fault;

/// Every choice of one value for each placeholder of a value is written out, up to this many.
const CHOICES_MAX: usize = 10_000;
/// Values of a placeholder that a person is shown.
const TOLD_MAX: usize = 10;

/// What placeholders stand for, by name without the `%`. Values may hold wildcards, as a rule's own values do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders(pub BTreeMap<String, Vec<String>>);

/// A part of a value with `|expand`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'v> {
    Text(String),
    Placeholder(&'v str),
}

impl Placeholders {
    /// The values that this one stands for, any of which may hold; itself if it has no placeholder.
    pub(super) fn expand(&self, written: &Written) -> Result<Vec<Written>, Fault> {
        let Scalar::Text(text) = &written.value else { return Ok(vec![written.clone()]) };
        let mut choices = vec![String::new()];
        for part in parts(text) {
            let texts = match &part {
                Part::Text(text) => std::slice::from_ref(text),
                Part::Placeholder(name) => self.values(name).map_err(|fault| fault.at(written.place))?,
            };
            if choices.len() * texts.len() > CHOICES_MAX {
                let message = format!("the placeholders of `{text}` stand for more than {CHOICES_MAX} values together");
                return Err(Fault::error(message).at(written.place));
            }
            choices = choices.iter().flat_map(|start| texts.iter().map(move |text| format!("{start}{text}"))).collect();
        }
        let written = |text| Written { value: Scalar::Text(text), place: written.place };
        Ok(choices.into_iter().map(written).collect())
    }

    /// What the placeholders of these values stand for, in words.
    pub(super) fn told(&self, values: &[Written]) -> Option<String> {
        let mut told = Vec::new();
        for written in values {
            let Scalar::Text(text) = &written.value else { continue };
            for part in parts(text) {
                if let Part::Placeholder(name) = part
                    && let Some(values) = self.0.get(name)
                {
                    let more = values.len().saturating_sub(TOLD_MAX);
                    let first = values.iter().take(TOLD_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
                    let more = if more > 0 { format!(" and {more} others") } else { String::new() };
                    told.push(format!("`%{name}%` is {first}{more}"));
                }
            }
        }
        told.dedup();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn values(&self, name: &str) -> Result<&[String], Fault> {
        match self.0.get(name) {
            Some(values) if !values.is_empty() => Ok(values),
            Some(_) => Err(Fault::error(format!(
                "the list of values of placeholder `%{name}%` is empty, so nothing could ever match; give it a value, \
                 as `{name}: [value]`"
            ))),
            None => {
                let hint = nearest::hint(name, self.0.keys().map(String::as_str));
                Err(Fault::error(format!(
                    "placeholder `%{name}%` is not given; give its values under `placeholders:` in the configuration, or in \
                     a file with `--placeholders FILE`, as `{name}: [value, value]`{hint}"
                )))
            }
        }
    }
}

/// Whether a value has a placeholder in it.
pub(super) fn is_in(text: &str) -> bool {
    parts(text).iter().any(|part| matches!(part, Part::Placeholder(_)))
}

/// `\%` is a percent sign; other backslashes are left for [`super::wildcard::read`].
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        if next == '\\' && after.starts_with('%') {
            plain.push('%');
            rest = &after[1..];
        } else if next == '%'
            && let Some((name, after)) = after.split_once('%')
            && is_name(name)
        {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Placeholder(name));
            rest = after;
        } else {
            plain.push(next);
            rest = after;
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::place::Place;

    fn expand(text: &str) -> Result<Vec<String>, String> {
        let values = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let given = BTreeMap::from([
            ("Servers".to_owned(), values(&["srv*", "db1"])),
            ("zone".to_owned(), values(&["a", "b"])),
            ("none".to_owned(), values(&[])),
        ]);
        let written = Written { value: Scalar::Text(text.to_owned()), place: Place::START };
        match Placeholders(given).expand(&written) {
            Ok(found) => Ok(found.into_iter().map(|written| written.value.to_string()).collect()),
            Err(fault) => Err(super::super::place::Document { path: "", first_line: 1, text }.problem(fault).message),
        }
    }

    #[test]
    fn placeholders_become_each_of_their_values() {
        for (text, expected) in [
            ("%Servers%", vec!["srv*", "db1"]),
            (r"C:\%Servers%\x", vec![r"C:%Servers%\x"]),
            ("x-%zone%-%zone%", vec!["x-a-a", "x-a-b", "x-b-a", "x-b-b"]),
            (r"\%plain%zone%", vec!["%plaina", "%plainb"]),
            ("100%", vec!["100%"]),
            ("50% of %zone%", vec!["50% of a", "50% of b"]),
        ] {
            assert_eq!(expand(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_placeholder_without_values_says_how_to_give_them() {
        assert!(expand("%admins%").unwrap_err().contains("`--placeholders FILE`, as `admins: [value, value]`"));
        assert!(expand("%servers%").unwrap_err().ends_with("did you mean `Servers`?"));
        assert!(expand("%none%").unwrap_err().starts_with("the list of values of placeholder `%none%` is empty"));
    }
}
