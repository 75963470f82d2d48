//! Values and the modifiers that say how they are compared.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::{Item, Looked, Report, advice};
use crate::hash::Seed;
use crate::rule::ast::{Scalar, Written};
use crate::rule::modifier::Modifier;
use crate::rule::placeholder;
use crate::rule::text::fold;
use crate::rule::wildcard::{self, Piece};

/// Modifiers after which a value is no pattern with wildcards.
pub(super) const NO_PATTERN: [Modifier; 5] =
    [Modifier::Re, Modifier::Cidr, Modifier::FieldRef, Modifier::Exists, Modifier::Base64];
/// What a regular expression is and how it is read.
const REGEX: [Modifier; 4] = [Modifier::Re, Modifier::IgnoreCase, Modifier::Multiline, Modifier::DotAll];
pub(super) const POSITIONS: [Modifier; 3] = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
const COMPARISONS: [Modifier; 4] = [Modifier::Gt, Modifier::Gte, Modifier::Lt, Modifier::Lte];

impl Item {
    pub(super) fn has(&self, modifiers: &[Modifier]) -> bool {
        self.modifiers.iter().any(|modifier| modifiers.contains(modifier))
    }
}

/// Every text of every line.
pub(super) fn texts(looked: &Looked<'_>, visit: &mut dyn FnMut(&Item, &Written, &str)) {
    for item in looked.items() {
        for written in &item.values {
            if let Scalar::Text(text) = &written.value {
                visit(item, written, text);
            }
        }
    }
}

pub(super) fn all_with_one_value(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        if item.has(&[Modifier::All]) && item.values.len() == 1 && item.field.is_some() {
            report(item.place, "`all` joins several values; leave it out with one".to_owned());
        }
    }
}

pub(super) fn modifier_twice(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        let twice = |number: usize| item.modifiers[..number].contains(&item.modifiers[number]);
        if let Some(number) = (0..item.modifiers.len()).find(|&number| twice(number)) {
            report(item.place, format!("`{}` stands twice; once is enough", item.modifiers[number].name()));
        }
        if item.has(&[Modifier::Re]) && item.has(&[Modifier::Cased]) {
            report(item.place, "a regular expression minds letter case anyway; leave `cased` out".to_owned());
        }
    }
}

pub(super) fn base64offset_without_contains(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        if item.has(&[Modifier::Base64Offset]) && !item.has(&[Modifier::Contains]) && item.field.is_some() {
            let message = "`base64offset` gives a piece from inside of a longer text; add `contains` after it";
            report(item.place, message.to_owned());
        }
    }
}

pub(super) fn cidr_with_host(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if item.has(&[Modifier::Cidr])
            && let Ok(net) = text.parse::<IpNet>()
            && net.trunc() != net
        {
            report(written.place, format!("`{text}` is one address of its network; the network is `{}`", net.trunc()));
        }
    });
}

pub(super) fn control_character(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |_, written, text| {
        if let Some(found) = text.chars().find(|char| char.is_control() && !matches!(char, '\n' | '\r' | '\t')) {
            let code = u32::from(found);
            report(
                written.place,
                format!("the value holds the control character U+{code:04X}; was a backslash meant?"),
            );
        }
    });
}

pub(super) fn double_wildcard(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        let pieces = wildcard::read(text);
        if !item.has(&NO_PATTERN) && pieces.windows(2).any(|pair| pair == [Piece::Many, Piece::Many]) {
            report(written.place, "`**` means what `*` means".to_owned());
        }
    });
}

pub(super) fn escaped_wildcard(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if item.has(&NO_PATTERN) {
            return;
        }
        // After a folder's name, a backslash before a wildcard is usually its last separator.
        let in_path = |before: &str| {
            let mut pairs = before.chars().zip(before.chars().skip(1));
            pairs.any(|(first, second)| first == '\\' && second.is_alphanumeric())
        };
        let escaped = |(at, _): (usize, &str)| {
            let before = text[..at].trim_end_matches('\\');
            at - before.len() == 1 && in_path(before)
        };
        if text.match_indices(['*', '?']).any(escaped) {
            let message = "`\\*` and `\\?` are plain characters here; for a backslash and a wildcard write `\\\\*`";
            report(written.place, message.to_owned());
        }
    });
}

pub(super) fn wildcard_only(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        let Some(field) = &item.field else { return };
        let key = advice::key(field);
        if item.has(&[Modifier::Re]) {
            match text {
                ".*" | "^.*$" => {
                    report(written.place, format!("`{text}` is found in any text; {}", presence(item, &key)))
                }
                ".+" | "^.+$" => {
                    report(
                        written.place,
                        format!("`{text}` is found in any text that is not empty; write `{key}: '?*'`"),
                    );
                }
                _ => {}
            }
        } else if !item.has(&NO_PATTERN) && wildcard::read(text) == [Piece::Many] {
            let message = match item.values.len() {
                1 => format!("`*` fits any text or number, the empty text too; {}", presence(item, &key)),
                _ => "`*` fits any text or number, so the other values change nothing".to_owned(),
            };
            report(written.place, message);
        }
    });
}

/// What asks nearly the same as any text does, and where it differs.
fn presence(item: &Item, key: &str) -> String {
    if item.has(&[Modifier::Neq]) {
        let exists = advice::key(&format!("{}|exists", item.field.as_deref().unwrap_or_default()));
        return format!("to ask that the field is absent write `{exists}: false`, which null and objects are not");
    }
    let exists = advice::key(&format!("{}|exists", item.field.as_deref().unwrap_or_default()));
    format!(
        "to ask whether the field is there write `{exists}: true`, which is also true of null and objects; for a \
         text that is not empty, `{key}: '?*'`"
    )
}

pub(super) fn wildcards_for_modifier(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if item.has(&NO_PATTERN) || item.has(&POSITIONS) || item.field.is_none() {
            let redundant = match wildcard::read(text).as_slice() {
                [Piece::Many, .., Piece::Many] => item.has(&[Modifier::Contains]),
                [.., Piece::Many] => item.has(&[Modifier::Contains, Modifier::StartsWith]),
                [Piece::Many, ..] => item.has(&[Modifier::Contains, Modifier::EndsWith]),
                _ => false,
            };
            if redundant && !item.has(&NO_PATTERN) && text.len() > 1 {
                let modifier = modifier_of(item);
                let message = format!("`{modifier}` puts a `*` there itself; leave it out, or write `\\*` for a star");
                report(written.place, message);
            }
            return;
        }
        // A list may mix ends, which one modifier cannot say.
        let (modifier, core) = match wildcard::read(text).as_slice() {
            [Piece::Many, Piece::Text(core), Piece::Many] => ("contains", core.clone()),
            [Piece::Many, Piece::Text(core)] => ("endswith", core.clone()),
            [Piece::Text(core), Piece::Many] => ("startswith", core.clone()),
            _ => return,
        };
        if item.values.len() == 1 {
            let key = advice::key(&format!("{}|{modifier}", item.key));
            report(written.place, format!("write `{key}: {}`", advice::text(&advice::pattern(&core))));
        }
    });
}

fn modifier_of(item: &Item) -> &'static str {
    item.modifiers.iter().find(|modifier| POSITIONS.contains(modifier)).map_or("", |modifier| modifier.name())
}

pub(super) fn duplicate_value(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        let encoded = [Modifier::Cased, Modifier::Base64Offset, Modifier::Wide, Modifier::Utf16, Modifier::Utf16be];
        let cased = item.has(&NO_PATTERN) || item.has(&encoded);
        let mut before: HashSet<&Scalar, Seed> = HashSet::default();
        // By the folded text: the first value that folds so.
        let mut folded: HashMap<String, &Scalar, Seed> = HashMap::default();
        for written in &item.values {
            if !before.insert(&written.value) {
                report(written.place, format!("`{}` stands in the list already", written.value));
                continue;
            }
            let Scalar::Text(text) = &written.value else { continue };
            let first = *folded.entry(fold(text)).or_insert(&written.value);
            if *first != written.value && !cased {
                let message = format!("`{text}` is `{first}` in other letters, and letter case means nothing here");
                report(written.place, message);
            }
        }
    }
}

pub(super) fn empty_value(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if text.is_empty() && item.has(&POSITIONS) {
            let message = format!("nothing is in every text: `{}` of it is always true", modifier_of(item));
            report(written.place, message);
        }
    });
}

pub(super) fn null_in_list(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items().into_iter().filter(|item| item.values.len() > 1) {
        if let Some(null) = item.values.iter().find(|written| written.value == Scalar::Null) {
            let message = "null in a list means that the field may be absent; say so in a selection of its own, or \
                           give the value that is missing here";
            report(null.place, message.to_owned());
        }
    }
}

pub(super) fn number_in_quotes(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if item.has(&COMPARISONS) && text.parse::<f64>().is_ok() {
            report(written.place, format!("write the number {text} without quotes"));
        }
    });
}

pub(super) fn placeholder_missing(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items().into_iter().filter(|item| item.has(&[Modifier::Expand])) {
        let text = |written: &Written| matches!(&written.value, Scalar::Text(text) if placeholder::is_in(text));
        if !item.values.iter().any(text) {
            report(item.place, "`expand` finds no `%name%` in the values; leave it out".to_owned());
        }
    }
}

pub(super) fn re_without_need(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items().into_iter().filter(|item| item.has(&[Modifier::Re])) {
        let plain: Option<Vec<_>> = item
            .values
            .iter()
            .map(|written| match &written.value {
                Scalar::Text(text) => plain_regex(text, item.has(&[Modifier::Multiline, Modifier::DotAll])),
                Scalar::Null | Scalar::Bool(_) | Scalar::Number(..) => None,
            })
            .collect();
        let Some(plain) = plain else { continue };
        // One line has one modifier, so a list must be of one sort from its first value to its last.
        let (Some((position, _)), Some(first)) = (plain.first(), item.values.first()) else { continue };
        if plain.iter().any(|(other, _)| other != position) {
            continue;
        }
        let mut key = item.field.clone().unwrap_or_default();
        let kept = item.modifiers.iter().filter(|modifier| !REGEX.contains(modifier) && **modifier != Modifier::Cased);
        let cased = (!item.has(&[Modifier::IgnoreCase])).then_some("cased");
        for name in position.iter().copied().chain(kept.map(|modifier| modifier.name())).chain(cased) {
            key = format!("{key}|{name}");
        }
        let texts: Vec<String> = plain.iter().map(|(_, text)| advice::text(text)).collect();
        let values = match texts.as_slice() {
            [only] => only.clone(),
            [first, _, _, _, ..] => format!("[{first}, …]"),
            few => format!("[{}]", few.join(", ")),
        };
        let key = advice::key(&key);
        report(first.place, format!("this needs no regular expression; write `{key}: {values}`"));
    }
}

/// The modifier and the text that say what this expression says, if it says no more than that.
fn plain_regex(text: &str, lines: bool) -> Option<(Option<&'static str>, &str)> {
    let core = text.strip_prefix('^').unwrap_or(text);
    let core = core.strip_suffix('$').filter(|core| !core.ends_with('\\')).unwrap_or(core);
    // Where lines count, an anchor is not the end of the text.
    if lines && core.len() < text.len() {
        return None;
    }
    let core = core.strip_prefix(".*").unwrap_or(core);
    let core = core.strip_suffix(".*").filter(|core| !core.ends_with('\\')).unwrap_or(core);
    if core.is_empty() || core.chars().any(|char| r"\^$.|?*+()[]{}".contains(char)) {
        return None;
    }
    let starts = text.starts_with('^') && !text.starts_with("^.*");
    let ends = text.ends_with('$') && !text.ends_with(".*$");
    let modifier = match (starts, ends) {
        (true, true) => None,
        (true, false) => Some("startswith"),
        (false, true) => Some("endswith"),
        (false, false) => Some("contains"),
    };
    Some((modifier, core))
}
