//! Values that look like something else than they are: a modifier, a quote or a value was forgotten.

use super::value::{NO_PATTERN, POSITIONS, texts};
use super::{Item, Looked, Report, advice};
use crate::rule::draft::Source;
use crate::rule::modifier::Modifier;
use crate::rule::yaml::{Entry, Node, Style, Value};

/// Pieces of regular expressions that other texts hardly hold.
const REGEX_PIECES: [&str; 14] =
    [r"\d+", r"\d{", r"\w+", r"\w{", r"\s+", r"\s*", r"\S+", "[a-z]", "[A-Z]", "[0-9]", "[a-zA-Z", "[^", "(?:", "(?i"];
const OPENING: [char; 8] = ['“', '”', '„', '‘', '’', '‚', '«', '»'];

/// Whether values of this line are compared as they stand.
fn is_plain(item: &Item) -> bool {
    !item.has(&NO_PATTERN) && !item.has(&[Modifier::Base64Offset, Modifier::Wide, Modifier::Utf16, Modifier::Utf16be])
}

/// The line's key with one more modifier, to be written down.
fn with(item: &Item, modifier: &str) -> String {
    advice::key(&format!("{}|{modifier}", item.key))
}

pub(super) fn cidr_without_modifier(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        let Some(field) = item.field.as_deref().filter(|_| is_plain(item) && !item.has(&POSITIONS)) else { return };
        let last = field.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        // Rules of a firewall hold networks; what somebody came from is an address.
        let address = ["ip", "ipaddress", "ip_address", "_addr"].iter().any(|end| last.ends_with(end));
        let network = ["cidr", "range", "net", "prefix"].iter().any(|part| last.contains(part));
        if address && !network && text.contains('/') && text.parse::<ipnet::IpNet>().is_ok() {
            let key = with(item, "cidr");
            report(written.place, format!("no address is the text `{text}`; for the network write `{key}: {text}`"));
        }
    });
}

pub(super) fn missing_value(looked: &Looked<'_>, report: &mut Report<'_>) {
    fn walk(entry: &Entry<'_>, report: &mut Report<'_>) {
        match &entry.value.value {
            Value::Null if entry.value.style == Style::Absent => {
                let key = &entry.key;
                report(entry.place, format!("`{key}` has no value; write `{key}: null` if it shall be absent or null"));
            }
            Value::Map(entries) => entries.iter().for_each(|entry| walk(entry, report)),
            Value::List(elements) => {
                elements.iter().filter_map(Node::map).flatten().for_each(|entry| walk(entry, report));
            }
            Value::Null | Value::Bool(_) | Value::Number(..) | Value::Text(_) => {}
        }
    }
    for section in ["detection", "filter"] {
        let entries = looked.node.get(section).and_then(|entry| entry.value.map());
        entries.unwrap_or_default().iter().for_each(|entry| walk(entry, report));
    }
}

pub(super) fn placeholder_without_expand(looked: &Looked<'_>, report: &mut Report<'_>) {
    // There `%TEMP%` is a variable of the environment.
    let product = looked.draft.log_source.product.as_deref();
    if product.is_none_or(|product| product.eq_ignore_ascii_case("windows"))
        && matches!(looked.draft.source, Source::Detection(_) | Source::Filter(_))
    {
        return;
    }
    texts(looked, &mut |item, written, text| {
        let name = text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).unwrap_or_default();
        let named = !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '-'));
        if named && is_plain(item) && !item.has(&[Modifier::Expand]) && item.field.is_some() {
            let key = with(item, "expand");
            report(written.place, format!("`{text}` is text here; for what it stands for write `{key}: '{text}'`"));
        }
    });
}

pub(super) fn regex_without_re(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        if !is_plain(item) || item.field.is_none() {
            return;
        }
        let inside = text.strip_prefix(".*").filter(|rest| !rest.is_empty());
        let around = inside.is_some_and(|rest| rest.ends_with(".*") || rest.ends_with('$'));
        let anchored = text.starts_with('^') && text.ends_with('$') && text.len() > 2;
        let slashes = text.strip_prefix("/^").is_some_and(|rest| rest.ends_with('/') || rest.ends_with("/i"));
        let piece = REGEX_PIECES.iter().any(|piece| text.contains(piece));
        if around || anchored || slashes || piece {
            let key = advice::key(&format!("{}|re", item.field.as_deref().unwrap_or_default()));
            let message = format!("`{text}` is no regular expression without `re`; write `{key}: …`, without slashes");
            report(written.place, message.replace(", without slashes", if slashes { ", without slashes" } else { "" }));
        }
    });
}

pub(super) fn trailing_space(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |item, written, text| {
        // A part of a longer text may well end there; a whole value hardly ever does.
        if !is_plain(item) || item.has(&POSITIONS) || item.field.is_none() || text.trim().is_empty() {
            return;
        }
        let space = |char: char| matches!(char, ' ' | '\t');
        if text.starts_with(space) {
            let (field, key) = (item.field.as_deref().unwrap_or_default(), with(item, "contains"));
            let message = format!("`{field}` must be `{text}` as a whole, space and all; was `{key}` meant?");
            report(written.place, message);
        } else if text.ends_with(space) {
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

pub(super) fn typographic_quotes(looked: &Looked<'_>, report: &mut Report<'_>) {
    texts(looked, &mut |_, written, text| {
        let quoted = text.starts_with(OPENING) && text.ends_with(OPENING);
        if quoted && text.chars().count() > 2 {
            let inside = advice::text(text.trim_matches(OPENING));
            report(written.place, format!("the quotes of `{text}` are part of the value; write {inside}"));
        }
    });
}
