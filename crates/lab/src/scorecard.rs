//! What rules find in the world: which stories, how soon, and what they cost on ordinary days. **Synthetic**: [`world`](crate::world).

use std::collections::{BTreeMap, BTreeSet};

use engine::detect::{Caps, Raw, Register, Sighting, State, sight, sight_raw};
use engine::event::Event;
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleSet, Scratch, Severity};
use engine::time::{Span, Timestamp};

use crate::world::{Label, Plan, Record, Told, World};
use books::{Books, Entry};

mod books;

/// What came of one run.
#[derive(Debug)]
pub struct Scorecard {
    /// Each story, in the order of their numbers.
    pub stories: Vec<Found>,
    /// Alerts in which no story has a part, by severity and rule.
    pub benign: BTreeMap<(Severity, String), u64>,
    /// Days of the world.
    pub days: u32,
    /// Records.
    pub records: u64,
    /// Records that could not be read.
    pub rejects: u64,
    /// Keys that are remembered at the end.
    pub keys: usize,
    /// Bytes of state at the end.
    pub bytes: usize,
    /// Deploys, and those that are explained, if the ledgers were kept.
    pub deploys: Option<(usize, usize)>,
}

/// What was found of a story.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: &'static str,
    /// Its steps: whether an alert shows each.
    pub steps: Vec<bool>,
    /// When it begins.
    pub begins: Timestamp,
    /// When the attacker has what he came for.
    pub goal: Timestamp,
    /// The first alert of at least medium severity: when, and of which rule.
    pub first: Option<(Timestamp, String)>,
}

/// The engine, and what is noted beside it.
struct Player<'r> {
    rules: &'r RuleSet,
    scratch: Scratch,
    state: State,
    alerts: Register,
    /// Events of stories by what alerts call them.
    labels: BTreeMap<String, BTreeSet<Label>>,
    /// The two ledgers, if they are kept: then every record is read.
    books: Option<Books>,
    records: u64,
    rejects: u64,
}

/// Plays the world and says what the rules made of it, and the two ledgers if they are to be kept; `tick` is called with the
/// number of records so far.
#[must_use]
pub fn score(rules: &RuleSet, plan: &Plan, with_ledgers: bool, mut tick: impl FnMut(u64)) -> Scorecard {
    let world = World::new(plan);
    let told: Vec<Told> = world.stories().to_vec();
    let mut player = Player {
        rules,
        scratch: Scratch::default(),
        state: State::new(Caps::default()),
        alerts: Register::default(),
        labels: BTreeMap::new(),
        books: with_ledgers.then(Books::default),
        records: 0,
        rejects: 0,
    };
    for record in world {
        player.take(&record);
        if player.records.is_multiple_of(10_000) {
            tick(player.records);
        }
    }
    player.finish(&told, plan.days)
}

impl Player<'_> {
    fn take(&mut self, record: &Record) {
        self.records += 1;
        let (format, position) = (Format::Known(record.kind), self.records.to_string());
        if record.label.is_none() && self.books.is_none() {
            let raw = Raw { body: &record.raw, position: &position, format };
            if let Some(seen) = sight_raw(self.rules, raw, &Limits::default(), &mut self.scratch) {
                return self.apply(seen.time, seen.sighting);
            }
        }
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        normalise(format, &record.raw, &position, &Limits::default(), &mut events, &mut rejects);
        self.rejects += rejects.len() as u64;
        for event in events {
            if let Some(label) = record.label {
                self.labels.entry(event.uid.id.clone()).or_default().insert(label);
            }
            if let Some(books) = &mut self.books {
                books.take(&event);
            }
            let sighting = self.sighting(&event);
            self.apply(event.time, sighting);
        }
    }

    fn sighting(&mut self, event: &Event) -> Option<Sighting> {
        sight(self.rules, event, &mut self.scratch)
    }

    fn apply(&mut self, time: Timestamp, sighting: Option<Sighting>) {
        let mut changes = Vec::new();
        match sighting {
            Some(sighting) => self.state.apply(self.rules, &sighting, &mut changes),
            None => self.state.pass(self.rules, time, &mut changes),
        }
        changes.into_iter().for_each(|change| self.alerts.take(change));
    }

    fn finish(mut self, told: &[Told], days: u32) -> Scorecard {
        let mut changes = Vec::new();
        self.state.finish(self.rules, &mut changes);
        changes.into_iter().for_each(|change| self.alerts.take(change));
        let mut stories: BTreeMap<usize, Found> = told.iter().map(|told| (told.number, Found::of(told))).collect();
        let mut benign = BTreeMap::new();
        let (keys, bytes) = (self.state.keys(), self.state.bytes());
        let alerts = std::mem::take(&mut self.alerts).into_alerts();
        // What adds up alerts names them as its events.
        for alert in &alerts {
            let labels = alert.event_ids.iter().filter_map(|id| self.labels.get(id));
            let own: BTreeSet<Label> = labels.flatten().copied().collect();
            self.labels.entry(alert.id.0.clone()).or_default().extend(&own);
        }
        let alerts = alerts.into_iter().map(|alert| Entry {
            time: alert.time,
            severity: alert.severity,
            title: alert.title,
            events: alert.event_ids.to_vec(),
        });
        let (found, all, explained) = self.books.take().map(Books::close).unwrap_or_default();
        let deploys = (all > 0).then_some((all, explained));
        for alert in alerts.chain(found) {
            let labels = alert.events.iter().filter_map(|id| self.labels.get(id));
            let parts: BTreeSet<Label> = labels.flatten().copied().collect();
            for part in &parts {
                if let Some(found) = stories.get_mut(&part.story) {
                    found.take(*part, &alert);
                }
            }
            if parts.is_empty() {
                *benign.entry((alert.severity, alert.title)).or_insert(0) += 1;
            }
        }
        let Self { records, rejects, .. } = self;
        Scorecard { stories: stories.into_values().collect(), benign, days, records, rejects, keys, bytes, deploys }
    }
}

impl Found {
    fn of(told: &Told) -> Self {
        let begins = told.steps.first().map_or(Timestamp::EARLIEST, |step| step.time);
        let goal = told.steps.iter().find(|step| step.goal).map_or(begins, |step| step.time);
        Self { name: told.story.name, steps: vec![false; told.steps.len()], begins, goal, first: None }
    }

    fn take(&mut self, part: Label, alert: &Entry) {
        if let Some(step) = self.steps.get_mut(part.step) {
            *step = true;
        }
        let is_earlier = self.first.as_ref().is_none_or(|(time, _)| alert.time < *time);
        if alert.severity >= Severity::Medium && is_earlier {
            self.first = Some((alert.time, alert.title.clone()));
        }
    }

    /// Whether people were told before the attacker had what he came for.
    #[must_use]
    pub fn is_in_time(&self) -> bool {
        self.first.as_ref().is_some_and(|(time, _)| *time < self.goal)
    }
}

impl Scorecard {
    /// Stories with an alert, and those with one before the goal.
    #[must_use]
    pub fn recall(&self) -> (usize, usize) {
        let found = self.stories.iter().filter(|found| found.first.is_some()).count();
        (found, self.stories.iter().filter(|found| found.is_in_time()).count())
    }

    /// Alerts of at least this severity a day in which no story has a part.
    #[must_use]
    pub fn benign_a_day(&self, least: Severity) -> f64 {
        let counted = self.benign.iter().filter(|((severity, _), _)| *severity >= least);
        counted.map(|(_, count)| *count as f64).sum::<f64>() / f64::from(self.days)
    }

    /// As a page of Markdown.
    #[must_use]
    pub fn page(&self) -> String {
        let mut lines = vec![
            "| story | steps shown | first alert after | before the goal | of the rule |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ];
        for found in &self.stories {
            let shown = found.steps.iter().filter(|step| **step).count();
            let (after, rule) = match &found.first {
                None => ("never".to_owned(), ""),
                Some((time, rule)) => (minutes(time.since(found.begins)), rule.as_str()),
            };
            let in_time = if found.is_in_time() { "yes" } else { "no" };
            lines.push(format!("| {} | {shown} of {} | {after} | {in_time} | {rule} |", found.name, found.steps.len()));
        }
        lines.push("\n| rule | severity | alerts on ordinary days |\n|---|---|---|".to_owned());
        let mut rules: Vec<_> = self.benign.iter().collect();
        rules.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.extend(
            rules.into_iter().map(|((severity, title), count)| format!("| {title} | {severity:?} | {count} |")),
        );
        lines.join("\n") + "\n"
    }
}

fn minutes(span: Span) -> String {
    format!("{} min", span.micros() / 60_000_000)
}
