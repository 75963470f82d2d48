//! What the alerts of a labelled stream found, and what they cried wolf about.
//!
//! An alert stands for the events that it names (`event_ids`, capped, so a long burst may name only its
//! beginning). A technique is caught if an alert names one of its attack events.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use engine::alert::Alert;
use engine::rule::Severity;
use serde::Deserialize;

/// What a person says about one event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// The event's own id.
    #[serde(rename = "eventID")]
    pub event: String,
    /// What it was part of.
    #[serde(rename = "label")]
    pub part: Part,
    /// The technique that it belongs to, if any.
    pub technique: Option<String>,
}

/// What an event was part of. The order decides what an alert on several is called: the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The attack itself.
    Attack,
    /// Administration that prepared it: noisy, but not an everyday.
    Setup,
    /// Cleaning up after it.
    Revert,
    /// Everyday work.
    Background,
}

/// A technique that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// Its name in the labels.
    pub technique: String,
    /// How many of its calls worked; zero if it failed as a whole.
    pub succeeded: u64,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// By technique, in the order of names.
    pub techniques: BTreeMap<String, Technique>,
    /// Alerts by what they are about; nothing for those that name only unlabelled events.
    pub alerts: BTreeMap<(Option<Part>, Severity), u64>,
    /// Background events that alerts name, by the severity of the worst alert that does.
    background: BTreeMap<String, Severity>,
}

/// What became of one technique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Technique {
    /// Whether it worked.
    pub succeeded: bool,
    /// Title and severity of the alerts on it; empty if it was missed.
    pub alerts: BTreeSet<(Severity, String)>,
}

/// Joins alerts with labels by event id.
#[must_use]
pub fn score(alerts: &[Alert], labels: &[Label], attempts: &[Attempt]) -> Score {
    let labels: BTreeMap<&str, &Label> = labels.iter().map(|label| (label.event.as_str(), label)).collect();
    let mut score = Score::default();
    for attempt in attempts {
        score.techniques.entry(attempt.technique.clone()).or_default().succeeded = attempt.succeeded > 0;
    }
    for alert in alerts {
        let named: Vec<&Label> = alert.event_ids.iter().filter_map(|id| labels.get(id.as_str()).copied()).collect();
        let part = named.iter().map(|label| label.part).min();
        *score.alerts.entry((part, alert.severity)).or_default() += 1;
        for label in named {
            score.join(alert, label);
        }
    }
    score
}

impl Score {
    fn join(&mut self, alert: &Alert, label: &Label) {
        match (label.part, &label.technique) {
            (Part::Attack, Some(technique)) => {
                let technique = self.techniques.entry(technique.clone()).or_default();
                technique.alerts.insert((alert.severity, alert.title.clone()));
            }
            (Part::Background, _) => {
                let worst = self.background.entry(label.event.clone()).or_insert(alert.severity);
                *worst = (*worst).max(alert.severity);
            }
            (Part::Attack | Part::Setup | Part::Revert, _) => {}
        }
    }

    /// Techniques that worked: how many were caught, of how many.
    #[must_use]
    pub fn caught(&self) -> (usize, usize) {
        let worked = self.techniques.values().filter(|technique| technique.succeeded);
        let (caught, all) = (worked.clone().filter(|technique| !technique.alerts.is_empty()), worked);
        (caught.count(), all.count())
    }

    /// Background events that an alert of at least this severity names.
    #[must_use]
    pub fn background_events(&self, at_least: Severity) -> usize {
        self.background.values().filter(|severity| **severity >= at_least).count()
    }
}

impl fmt::Display for Score {
    /// Two tables in Markdown and a sentence.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| technique | worked | alerts |\n|---|---|---|")?;
        for (name, technique) in &self.techniques {
            let titles = technique.alerts.iter().rev().map(|(severity, title)| format!("{title} ({severity:?})"));
            let titles: Vec<String> = titles.collect();
            let found = if titles.is_empty() { "missed".to_owned() } else { titles.join("; ") };
            writeln!(out, "| {name} | {} | {found} |", if technique.succeeded { "yes" } else { "no" })?;
        }
        writeln!(out, "\n| alerts on | severity | number |\n|---|---|---|")?;
        for ((part, severity), number) in &self.alerts {
            let part = part.map_or("unlabelled".to_owned(), |part| format!("{part:?}").to_lowercase());
            writeln!(out, "| {part} | {severity:?} | {number} |")?;
        }
        let (caught, all) = self.caught();
        let background = self.background_events(Severity::Medium);
        write!(out, "\n{caught} of {all} techniques that worked were caught; alerts of medium or higher name ")?;
        writeln!(out, "{background} background events.")
    }
}

#[cfg(test)]
mod tests {
    use engine::event::Kind;
    use engine::normalise::Format;
    use engine::rule::{RuleFile, RuleSet};

    use super::*;
    use crate::replay::{Course, numbered, replay};

    const RULES: &str = "
title: Read
id: 11111111-1111-4111-8111-111111111111
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Read}, condition: selection}
level: low
---
title: Stop
id: 22222222-2222-4222-8222-222222222222
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: Stop}, condition: selection}
level: high
";

    /// Alerts on invented events `(id, name)`.
    fn alerts(events: &[(&str, &str)]) -> Vec<Alert> {
        let (rules, problems) = RuleSet::compile(&[RuleFile { path: "two.yml".into(), text: RULES.into() }]);
        assert_eq!(problems, []);
        let line = |(id, name): &(&str, &str)| {
            format!(r#"{{"eventID":"{id}","eventTime":"2026-11-20T09:00:00Z","eventName":"{name}"}}"#)
        };
        let lines: Vec<String> = events.iter().map(line).collect();
        replay(&rules, Format::Known(Kind::AwsCloudtrail), &numbered(&lines), &Course::default()).alerts
    }

    fn label(event: &str, part: Part, technique: Option<&str>) -> Label {
        Label { event: event.to_owned(), part, technique: technique.map(str::to_owned) }
    }

    #[test]
    fn what_worked_is_caught_or_missed_and_noise_is_counted() {
        let alerts = alerts(&[("a", "Stop"), ("b", "Read"), ("c", "Stop"), ("d", "Read"), ("e", "Other")]);
        let labels = [
            label("a", Part::Attack, Some("stop-trail")),
            label("b", Part::Background, None),
            label("c", Part::Background, None),
            label("e", Part::Attack, Some("quiet")),
        ];
        let attempts = [("stop-trail", 1), ("quiet", 2), ("refused", 0)]
            .map(|(technique, succeeded)| Attempt { technique: technique.to_owned(), succeeded });
        let score = score(&alerts, &labels, &attempts);
        assert_eq!(score.caught(), (1, 2));
        assert_eq!((score.background_events(Severity::Low), score.background_events(Severity::Medium)), (2, 1));
        assert_eq!(score.alerts[&(None, Severity::Low)], 1);
        let table = score.to_string();
        for line in ["| quiet | yes | missed |", "| stop-trail | yes | Stop (High) |", "| unlabelled | Low | 1 |"] {
            assert!(table.contains(line), "{line} is not in\n{table}");
        }
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        let line = r#"{"eventID":"x","eventTime":"2023-07-10T11:42:18Z","label":"attack","technique":"t"}"#;
        assert_eq!(serde_json::from_str::<Label>(line).unwrap(), label("x", Part::Attack, Some("t")));
    }
}
