//! An alert as [Block Kit](https://docs.slack.dev/reference/block-kit/blocks).
//!
//! Slack refuses a message that breaks one of its limits, and counts after escaping; so every text is
//! escaped first, cut to its place, and what still does not fit together is dropped, the least needed first.

use engine::event::ActorSort;
use engine::rule::Severity;
use engine::time::Timestamp;
use serde_json::{Value, json};

use super::super::{Action, Message};

const HEADER_CHARS_MAX: usize = 150;
/// A section takes 3,000; the total below leaves room for less.
const WHY_CHARS_MAX: usize = 2_000;
const PROSE_CHARS_MAX: usize = 2_500;
/// A field takes 2,000, of which nobody reads more than this.
const FIELD_CHARS_MAX: usize = 300;
const CONTEXT_CHARS_MAX: usize = 300;
const FALLBACK_CHARS_MAX: usize = 1_000;
const LINK_CHARS_MAX: usize = 1_000;
/// All blocks together, as JSON: Slack has refused messages from 13,200 characters on, and documents no limit.
const BLOCKS_CHARS_MAX: usize = 12_000;

/// The whole request body.
pub(super) fn render(message: &Message) -> Value {
    let alert = &message.alert;
    let headline = match message.action {
        Action::Raise => format!("{}: {}", severity(alert.severity), alert.title),
        Action::Update => format!("Update {}: {}", message.revision, alert.title),
        Action::Resolve => format!("Resolved: {}", alert.title),
    };
    let blocks = match message.action {
        Action::Raise => whole(message, &headline),
        Action::Update | Action::Resolve => short(message, &headline),
    };
    json!({
        "text": escape(&format!("{headline}. {}", alert.why), FALLBACK_CHARS_MAX),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// All that an analyst needs to begin.
fn whole(message: &Message, headline: &str) -> Vec<Value> {
    let alert = &message.alert;
    let title = json!({"type": "plain_text", "text": escape(headline, HEADER_CHARS_MAX), "emoji": false});
    let needed = vec![
        json!({"type": "header", "text": title}),
        section(&escape(&alert.why, WHY_CHARS_MAX)),
        json!({"type": "section", "fields": fields(message)}),
    ];
    let prose = [("What it means", &alert.description), ("What to do", &alert.runbook)];
    let prose: Vec<Value> = prose
        .into_iter()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(label, text)| section(&format!("*{label}*\n{}", escape(text, PROSE_CHARS_MAX))))
        .collect();
    let end = context(message);
    for kept in (0..=prose.len()).rev() {
        let mut blocks = needed.clone();
        blocks.extend_from_slice(&prose[..kept]);
        if kept < prose.len() {
            blocks.push(section("_Shortened: all of it would be more than Slack takes._"));
        }
        blocks.push(end.clone());
        if size(&blocks) <= BLOCKS_CHARS_MAX {
            return blocks;
        }
    }
    short(message, headline)
}

/// A line or two that refer to the alert.
fn short(message: &Message, headline: &str) -> Vec<Value> {
    let headline = escape(headline, HEADER_CHARS_MAX);
    let text = match message.action {
        Action::Raise | Action::Update => format!("*{headline}*\n{}", escape(&message.alert.why, WHY_CHARS_MAX)),
        Action::Resolve => format!("*{headline}*"),
    };
    vec![section(&text), context(message)]
}

/// At most ten pairs, of those that the alert has.
fn fields(message: &Message) -> Vec<Value> {
    let alert = &message.alert;
    let actor = alert.actor.name.as_ref().or(alert.actor.id.as_ref()).map(|name| match alert.actor.sort {
        ActorSort::Human => format!("{name} (human)"),
        ActorSort::Role => format!("{name} (role)"),
        ActorSort::Service => format!("{name} (service)"),
        ActorSort::App => format!("{name} (app)"),
        ActorSort::Unknown => name.clone(),
    });
    let key: Vec<String> = alert.key.iter().map(|(field, value)| format!("{field} = {value}")).collect();
    let pairs = [
        ("Who", actor),
        ("Did", Some(alert.action.clone())),
        ("To", alert.target.id.clone().or(alert.target.kind.clone())),
        ("In", join(&[&alert.target.account, &alert.target.region])),
        ("From", alert.network.ip.clone()),
        ("With", alert.network.user_agent.clone()),
        ("Grouped by", Some(key.join(", "))),
        ("Events", Some(alert.events_total.to_string())),
        ("When", Some(when(alert.first, alert.last))),
        ("Log", Some(alert.kind.name().to_owned())),
    ];
    pairs
        .into_iter()
        .filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?)))
        .map(|(label, value)| text(&format!("*{label}*\n{}", escape(&value, FIELD_CHARS_MAX))))
        .collect()
}

/// Where to read on, and which alert this is.
fn context(message: &Message) -> Value {
    let alert = &message.alert;
    let rule = format!("rule {} version {}", alert.rule.0, alert.rule_version);
    let mut elements = vec![
        text(&escape(&format!("alert {}", alert.id.0), CONTEXT_CHARS_MAX)),
        text(&escape(&rule, CONTEXT_CHARS_MAX)),
    ];
    // A cut address leads nowhere, so a long one is left out.
    let link = message.link.as_deref().map(|link| escape(link, usize::MAX).replace('|', "%7C"));
    if let Some(link) = link.filter(|link| link.chars().count() <= LINK_CHARS_MAX) {
        elements.insert(0, text(&format!("<{link}|Open in Lapwing>")));
    }
    json!({"type": "context", "elements": elements})
}

fn section(words: &str) -> Value {
    json!({"type": "section", "text": text(words)})
}

/// Markup of ours around values that are escaped; `verbatim` keeps Slack from making links of what looks like
/// an address or a channel.
fn text(words: &str) -> Value {
    json!({"type": "mrkdwn", "text": words, "verbatim": true})
}

/// `text` with Slack's three control characters escaped, without other control characters, at most
/// `chars_max` long. The cut falls between characters, never inside an escape. Never empty: Slack refuses that.
fn escape(text: &str, chars_max: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut length = 0;
    // Every character is at most five long when escaped, so this much always fits with its ellipsis.
    let mut fits = 0;
    for c in text.trim().chars() {
        let before = escaped.len();
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\n' => escaped.push('\n'),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
        length += escaped[before..].chars().count();
        if length < chars_max {
            fits = escaped.len();
        }
        if length > chars_max {
            escaped.truncate(fits);
            escaped.push('…');
            return escaped;
        }
    }
    if escaped.trim().is_empty() { "-".to_owned() } else { escaped }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::High => "High",
        Severity::Medium => "Medium",
        Severity::Low => "Low",
        Severity::Informational => "Informational",
    }
}

fn join(parts: &[&Option<String>]) -> Option<String> {
    let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Both ends, or one if they are the same second.
fn when(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (second(first), second(last));
    if first == last { first } else { format!("{first} to {last}") }
}

/// `2026-11-20 09:14:03 UTC`: nobody reads microseconds in a chat.
fn second(moment: Timestamp) -> String {
    match moment.to_string().split_once('.') {
        Some((whole, _)) => format!("{} UTC", whole.replacen('T', " ", 1)),
        None => moment.to_string(),
    }
}

/// Characters of the blocks as they are sent.
fn size(blocks: &[Value]) -> usize {
    blocks.iter().map(|block| block.to_string().chars().count() + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample::{later, message};

    /// Every text object in the blocks, as (type of its block, whether a field, text).
    fn texts(rendered: &Value) -> Vec<(String, bool, String)> {
        let mut found = Vec::new();
        for block in rendered["blocks"].as_array().unwrap() {
            let sort = block["type"].as_str().unwrap().to_owned();
            for (part, field) in [("text", false), ("fields", true), ("elements", false)] {
                let objects = match &block[part] {
                    Value::Array(objects) => objects.clone(),
                    Value::Null => Vec::new(),
                    object => vec![object.clone()],
                };
                assert!(objects.len() <= 10);
                for object in objects {
                    found.push((sort.clone(), field, object["text"].as_str().unwrap().to_owned()));
                }
            }
        }
        found
    }

    #[track_caller]
    fn assert_within_limits(rendered: &Value) {
        let blocks = rendered["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert!(Value::Array(blocks.clone()).to_string().chars().count() <= BLOCKS_CHARS_MAX);
        assert!((1..=4_000).contains(&rendered["text"].as_str().unwrap().chars().count()));
        assert_eq!(rendered["unfurl_links"], false);
        for (sort, field, text) in texts(rendered) {
            let most = match sort.as_str() {
                "header" => 150,
                _ if field => 2_000,
                _ => 3_000,
            };
            assert!((1..=most).contains(&text.chars().count()), "{sort} of {} characters", text.chars().count());
        }
    }

    /// The sample with `value` in each place that a log can fill.
    fn filled(value: &str, action: Action) -> Message {
        let mut message = later(action);
        let alert = &mut message.alert;
        for text in [&mut alert.title, &mut alert.why, &mut alert.description, &mut alert.runbook, &mut alert.action] {
            *text = value.to_owned();
        }
        alert.key = [(value.to_owned(), value.to_owned())].into();
        alert.actor.name = Some(value.to_owned());
        alert.network.ip = Some(value.to_owned());
        alert.network.user_agent = Some(value.to_owned());
        let target = &mut alert.target;
        for part in [&mut target.kind, &mut target.id, &mut target.account, &mut target.region] {
            *part = Some(value.to_owned());
        }
        alert.id.0 = value.to_owned();
        alert.rule.0 = value.into();
        message
    }

    #[track_caller]
    fn assert_golden(name: &str, message: &Message) {
        let rendered = render(message);
        assert_within_limits(&rendered);
        insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(name, rendered) });
    }

    #[test]
    fn a_new_alert_says_all_that_is_needed_to_begin() {
        assert_golden("raise", &message());
    }

    #[test]
    fn an_update_and_an_end_are_short_and_name_the_alert() {
        assert_golden("update", &later(Action::Update));
        assert_golden("resolve", &later(Action::Resolve));
    }

    #[test]
    fn an_alert_that_knows_little_leaves_out_what_it_lacks() {
        let mut message = message();
        message.link = None;
        let alert = &mut message.alert;
        (alert.actor, alert.network, alert.target) = Default::default();
        alert.key.clear();
        for text in [&mut alert.action, &mut alert.why, &mut alert.description, &mut alert.runbook] {
            text.clear();
        }
        assert_golden("bare", &message);
    }

    #[test]
    fn a_log_line_can_neither_mention_people_nor_hide_a_link() {
        let attack = "<!channel> <@U0> <https://evil.example|Okta> &lt;!here&gt; https://evil.example #general";
        let message = filled(attack, Action::Raise);
        assert_golden("attack", &message);
        let rendered = render(&message);
        for (sort, _, text) in texts(&rendered) {
            let ours = text.starts_with("<https://lapwing.example/") && text.ends_with("|Open in Lapwing>");
            assert!(ours || !text.contains(['<', '>']), "{sort}: {text}");
        }
        assert!(!rendered["text"].as_str().unwrap().contains(['<', '>']));
        assert!(!rendered.to_string().contains(r#""verbatim":false"#));
    }

    #[test]
    fn whatever_stands_in_an_alert_the_message_keeps_slacks_limits() {
        for value in ["x", "&", "\"", "\\", "\n", "\u{1}", "é", "🦅", "<&>\"\n", " ", "\u{202e}"] {
            for length in [0, 1, 29, 30, 31, 149, 150, 151, 299, 300, 301, 2_999, 3_001, 50_000] {
                for action in [Action::Raise, Action::Update, Action::Resolve] {
                    assert_within_limits(&render(&filled(&value.repeat(length), action)));
                }
            }
        }
        assert_golden("long", &filled(&"A long & winding \"tale\".\n".repeat(2_000), Action::Raise));
    }

    #[test]
    fn a_cut_never_falls_into_an_escape() {
        for most in 2..12 {
            let cut = escape("a&b<c>d", most);
            assert!(cut.chars().count() <= most, "{cut}");
            let rest = cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            assert!(!rest.contains('&'), "{cut}");
        }
        assert_eq!(escape("a&b", 7), "a&amp;b");
        assert_eq!(escape("a&b", 6), "a…");
        assert_eq!(escape(" \u{0} ", 6), "-");
    }

    #[test]
    fn a_link_too_long_to_work_is_left_out() {
        let mut message = message();
        message.link = Some(format!("https://lapwing.example/{}", "x".repeat(1_000)));
        assert!(!render(&message).to_string().contains("Open in Lapwing"));
        message.link = Some("https://lapwing.example/a|b>c".to_owned());
        assert!(render(&message).to_string().contains("<https://lapwing.example/a%7Cb&gt;c|Open in Lapwing>"));
    }
}
