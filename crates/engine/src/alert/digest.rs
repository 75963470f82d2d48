//! What was held back in a day, in one alert.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{Alert, AlertId};
use crate::detect::Key;
use crate::event::{Actor, Kind, Network, Target};
use crate::rule::{RuleId, Severity};
use crate::time::{Span, Timestamp};

/// The rule that digests are of.
const RULE: &str = "lapwing-held-back";

/// Rules that are named, and alerts that are shown.
const RULES_MAX: usize = 10;
const SHOWN_MAX: usize = 5;

/// Rules that are counted one by one.
const COUNTED_MAX: usize = 1_000;

/// Alerts that were held back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Digest {
    held: u64,
    first: Option<Timestamp>,
    last: Timestamp,
    by_rule: BTreeMap<String, u64>,
    /// The most unusual first.
    shown: Vec<Shown>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shown {
    beyond: f64,
    moment: Timestamp,
    id: AlertId,
    title: String,
    why: String,
    kind: Kind,
    event: Option<String>,
}

impl Digest {
    /// One more, which was judged at this moment and was so much beyond what its rule asks.
    pub(crate) fn take(&mut self, alert: &Alert, moment: Timestamp, beyond: f64) {
        self.held += 1;
        self.first = Some(self.first.map_or(alert.first, |first| first.min(alert.first)));
        self.last = self.last.max(alert.last);
        if self.by_rule.len() < COUNTED_MAX || self.by_rule.contains_key(&alert.title) {
            *self.by_rule.entry(alert.title.clone()).or_default() += 1;
        }
        let Alert { id, title, why, kind, event_ids, .. } = alert;
        let (id, title, why, kind) = (id.clone(), title.clone(), why.clone(), *kind);
        // One that grew is shown as it is now.
        self.shown.retain(|shown| shown.id != id);
        self.shown.push(Shown { beyond, moment, id, title, why, kind, event: event_ids.first().cloned() });
        self.shown.sort_by(|one, other| {
            other.beyond.total_cmp(&one.beyond).then_with(|| (one.moment, &one.id).cmp(&(other.moment, &other.id)))
        });
        self.shown.truncate(SHOWN_MAX);
    }

    /// The alert of a day that ends at this moment, on which so many were told; nothing if none was held back.
    pub(crate) fn alert(self, ends: Timestamp, told: u32) -> Option<Alert> {
        let first = self.first?;
        let date = ends.minus(Span::seconds(1)).to_string();
        let day = date.get(..10).unwrap_or(&date).to_owned();
        let why = self.explain(&day, told);
        let Self { held, last, shown, .. } = self;
        Some(Alert {
            id: id(&day),
            rule: RuleId(RULE.into()),
            rule_version: 1,
            title: "Alerts of rules that learn were held back".to_owned(),
            severity: Severity::Informational,
            kind: shown.first().map_or(Kind::Json, |shown| shown.kind),
            time: ends,
            first,
            last,
            key: Key::from([("day".to_owned(), day)]),
            count: held,
            value: None,
            event_ids: shown.into_iter().filter_map(|shown| shown.event).collect::<Vec<_>>().into(),
            events_total: held,
            why,
            description: "There were more alerts of rules that learn than the budget of the day, or of one key than three.".to_owned(),
            runbook: "Look at the most unusual ones. If many are of one rule, narrow it with a filter or lower its `p`; if many \
                      are worth a look, raise `budget`."
                .to_owned(),
            false_positives: Vec::new(),
            tags: Vec::new(),
            actor: Actor::default(),
            network: Network::default(),
            target: Target::default(),
            action: "held back".to_owned(),
            flags: Vec::new(),
        })
    }

    /// `37 alerts were held back on 2026-11-02 and 20 told: 12 of Secret new to role, …. The most unusual: …`
    fn explain(&self, day: &str, told: u32) -> String {
        let mut rules: Vec<(&String, &u64)> = self.by_rule.iter().collect();
        rules.sort_by_key(|(title, count)| (std::cmp::Reverse(**count), *title));
        let mut text = String::with_capacity(512);
        let mut write = |part: std::fmt::Arguments<'_>| {
            let written = text.write_fmt(part);
            debug_assert!(written.is_ok(), "a text takes more");
        };
        let alerts = if self.held == 1 { "alert was" } else { "alerts were" };
        write(format_args!("{} {alerts} held back on {day} and {told} told: ", self.held));
        for (place, (title, count)) in rules.iter().take(RULES_MAX).enumerate() {
            write(format_args!("{}{count} of {title}", if place == 0 { "" } else { ", " }));
        }
        if rules.len() > RULES_MAX {
            write(format_args!(", and those of {} more rules", rules.len() - RULES_MAX));
        }
        for (place, Shown { title, why, .. }) in self.shown.iter().enumerate() {
            write(format_args!("{}{title}: {why}", if place == 0 { ". The most unusual: " } else { " | " }));
        }
        text
    }
}

fn id(day: &str) -> AlertId {
    let mut hash = blake3::Hasher::new();
    hash.update(b"lapwing digest 1");
    hash.update(day.as_bytes());
    let mut half = [0; 16];
    hash.finalize_xof().fill(&mut half);
    AlertId(format!("{:032x}", u128::from_be_bytes(half)))
}
