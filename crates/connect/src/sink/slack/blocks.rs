//! An alert as [Block Kit](https://docs.slack.dev/reference/block-kit/blocks).
//!
//! Slack refuses a message that breaks one of its limits, and counts after escaping; so every text is
//! escaped first, cut to its place, and what still does not fit together is dropped, the least needed first.

use engine::event::ActorSort;
use engine::rule::Severity;
use engine::time::Timestamp;
use serde_json::{Value, json};

use super::super::post::cut;
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
    let needed = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": escape(headline, HEADER_CHARS_MAX), "emoji": false}}),
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
    if escaped.is_empty() { "-".to_owned() } else { escaped }
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
