//! Values and the modifiers that say how they are compared.

use std::collections::HashSet;

use ipnet::IpNet;

use super::{Item, Looked, Report};
use crate::hash::Seed;
use crate::rule::ast::{Scalar, Written};
use crate::rule::modifier::Modifier;
use crate::rule::placeholder;
use crate::rule::wildcard::{self, Piece};

/// Modifiers after which a value is no pattern with wildcards.
const NO_PATTERN: [Modifier; 5] =
    [Modifier::Re, Modifier::Cidr, Modifier::FieldRef, Modifier::Exists, Modifier::Base64];
const POSITIONS: [Modifier; 3] = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
const COMPARISONS: [Modifier; 4] = [Modifier::Gt, Modifier::Gte, Modifier::Lt, Modifier::Lte];

impl Item {
    fn has(&self, modifiers: &[Modifier]) -> bool {
        self.modifiers.iter().any(|modifier| modifiers.contains(modifier))
    }
}

/// Every text of every line.
fn texts(looked: &Looked<'_>, visit: &mut dyn FnMut(&Item, &Written, &str)) {
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
        // In a path, a backslash before a wildcard is usually its last separator.
        let path = text.contains(":\\") || text.matches('\\').count() > 1;
        let escaped = |wildcard: &str| {
            let before = |at: usize| text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
            text.match_indices(wildcard).any(|(at, _)| before(at) == 1)
        };
        if !item.has(&NO_PATTERN) && path && (escaped("*") || escaped("?")) {
            let message = "`\\*` and `\\?` are plain characters here; for a backslash and a wildcard write `\\\\*`";
            report(written.place, message.to_owned());
        }
    });
}

pub(super) fn wildcard_only(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if text.is_empty() || !item.has(&NO_PATTERN) && wildcard::read(text) == [Piece::Many] {
            let Some(field) = item.field.as_deref().filter(|_| !text.is_empty()) else { return };
            report(written.place, format!("`*` is any value; write `{field}|exists: true`"));
        } else if item.has(&[Modifier::Re]) && matches!(text, ".*" | "^.*$" | ".+" | "^.+$") {
            report(written.place, format!("`{text}` is found in any text; write `exists: true`"));
        }
    });
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
                report(written.place, format!("`{}` puts a `*` there itself; leave it out", modifier_of(item)));
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
            report(written.place, format!("write `{}|{modifier}: '{core}'`", item.key));
        }
    });
}

fn modifier_of(item: &Item) -> &'static str {
    item.modifiers.iter().find(|modifier| POSITIONS.contains(modifier)).map_or("", |modifier| modifier.name())
}

pub(super) fn duplicate_value(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        let mut before: HashSet<&Scalar, Seed> = HashSet::default();
        for written in &item.values {
            if !before.insert(&written.value) {
                report(written.place, format!("`{}` stands in the list already", written.value));
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
    texts(looked, &mut |item, written, text| {
        if !item.has(&[Modifier::Re]) || text.is_empty() {
            return;
        }
        let core = text.strip_prefix('^').unwrap_or(text);
        let core = core.strip_suffix('$').filter(|core| !core.ends_with('\\')).unwrap_or(core);
        let core = core.strip_prefix(".*").unwrap_or(core);
        let core = core.strip_suffix(".*").filter(|core| !core.ends_with('\\')).unwrap_or(core);
        if core.is_empty() || core.chars().any(|char| r"\^$.|?*+()[]{}".contains(char)) {
            return;
        }
        let starts = text.starts_with('^') && !text.starts_with("^.*");
        let ends = text.ends_with('$') && !text.ends_with(".*$");
        let modifier = match (starts, ends) {
            (true, true) => "",
            (true, false) => "startswith|",
            (false, true) => "endswith|",
            (false, false) => "contains|",
        };
        let field = item.field.as_deref().unwrap_or_default();
        report(written.place, format!("this needs no regular expression; write `{field}|{modifier}cased: '{core}'`"));
    });
}

pub(super) fn trailing_space(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        // Inside of a longer text a space has a meaning, at the end of a value hardly ever.
        let inner = item.has(&[Modifier::Contains, Modifier::StartsWith, Modifier::Re]) || item.field.is_none();
        let encoded = item.has(&[Modifier::Base64, Modifier::Base64Offset, Modifier::Wide]);
        if !inner && !encoded && text.len() > 1 && text.ends_with([' ', '\t']) {
            report(written.place, format!("the value `{text}` ends with a space; leave it out"));
        }
    });
    for entry in looked.node.map().unwrap_or_default() {
        if let Some(text) = entry.value.text()
            && matches!(&*entry.key, "title" | "id" | "name" | "level" | "status")
            && text.trim() != text
        {
            report(entry.value.place, format!("`{}` begins or ends with a space", entry.key));
        }
    }
}
