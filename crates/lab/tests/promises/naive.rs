//! What the rules of this world say, evaluated in the plainest way: every moment looks back over everything.

use std::collections::{BTreeMap, BTreeSet};

use engine::alert::Alert;
use engine::time::{Span, Timestamp};

use crate::world::{Act, Happening};

/// Event ids that an alert names at most.
const NAMED_MAX: usize = 50;

/// The part of an alert that is its rule's arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    time: Timestamp,
    rule: String,
    key: Vec<String>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    events_total: u64,
    event_ids: Vec<String>,
}

impl Found {
    pub(crate) fn of(alert: &Alert) -> Self {
        Self {
            time: alert.time,
            rule: alert.title.clone(),
            key: alert.key.values().cloned().collect(),
            first: alert.first,
            last: alert.last,
            count: alert.count,
            events_total: alert.events_total,
            event_ids: alert.event_ids.to_vec(),
        }
    }
}

/// How a rule counts.
struct Asked {
    rule: &'static str,
    grouped: bool,
    window: Span,
    quiet: Span,
    at_least: usize,
    counts: Counts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    Stops,
    Reads,
    Secrets,
    ReadsAndClones,
}

/// The rules of the world once more, as plain numbers.
const ASKED: [Asked; 4] = [
    Asked {
        rule: "episode",
        grouped: true,
        window: Span::seconds(240),
        quiet: Span::seconds(240),
        at_least: 1,
        counts: Counts::Stops,
    },
    Asked {
        rule: "events",
        grouped: true,
        window: Span::seconds(300),
        quiet: Span::seconds(30),
        at_least: 3,
        counts: Counts::Reads,
    },
    Asked {
        rule: "values",
        grouped: true,
        window: Span::seconds(300),
        quiet: Span::seconds(300),
        at_least: 3,
        counts: Counts::Secrets,
    },
    Asked {
        rule: "both",
        grouped: false,
        window: Span::seconds(120),
        quiet: Span::seconds(120),
        at_least: 4,
        counts: Counts::ReadsAndClones,
    },
];

/// What stands at the end, sorted.
pub(crate) fn evaluate(happenings: &[Happening]) -> Vec<Found> {
    let mut sorted = happenings.to_vec();
    sorted.sort_by_key(|happening| (happening.second, happening.number));
    let mut found: Vec<Found> = sorted.iter().filter(|happening| happening.act == Act::Stop).map(alone).collect();
    for asked in &ASKED {
        for (key, events) in groups(asked, &sorted) {
            found.extend(episodes(asked, &key, &events));
        }
    }
    found.sort();
    found
}

fn alone(happening: &Happening) -> Found {
    let time = happening.time();
    Found {
        time,
        rule: "alone".to_owned(),
        key: Vec::new(),
        first: time,
        last: time,
        count: 1,
        events_total: 1,
        event_ids: vec![happening.id()],
    }
}

fn groups<'h>(asked: &Asked, sorted: &'h [Happening]) -> BTreeMap<Vec<String>, Vec<&'h Happening>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Happening>> = BTreeMap::new();
    for happening in sorted {
        let counts = match happening.act {
            Act::Stop => asked.counts == Counts::Stops,
            Act::Read { .. } => asked.counts != Counts::Stops,
            Act::Clone => asked.counts == Counts::ReadsAndClones,
            Act::Look => false,
        };
        if counts {
            let key = if asked.grouped { vec![format!("user-{}", happening.who)] } else { Vec::new() };
            groups.entry(key).or_default().push(happening);
        }
    }
    groups
}

fn episodes(asked: &Asked, key: &[String], events: &[&Happening]) -> Vec<Found> {
    struct Episode {
        crossed: Timestamp,
        hold: Timestamp,
        peak: usize,
        members: BTreeSet<usize>,
    }
    let mut episodes: Vec<Episode> = Vec::new();
    for place in 0..events.len() {
        let now = events[place].time();
        let past = &events[..=place];
        let count = counted(asked, past, now);
        if count < asked.at_least {
            continue;
        }
        let members = (0..=place).filter(|&other| within(events[other].time(), now, asked.window));
        let cell = |moment: Timestamp| moment.cell(asked.window);
        let hold = holds_until(asked, past);
        match episodes.last_mut() {
            Some(last) if now <= last.hold.plus(asked.quiet) || cell(now) == cell(last.crossed) => {
                last.hold = last.hold.max(hold);
                last.peak = last.peak.max(count);
                last.members.extend(members);
            }
            _ => episodes.push(Episode { crossed: now, hold, peak: count, members: members.collect() }),
        }
    }
    let found = |episode: Episode| {
        let members: Vec<&&Happening> = episode.members.iter().map(|&place| &events[place]).collect();
        Found {
            time: episode.crossed,
            rule: asked.rule.to_owned(),
            key: key.to_vec(),
            first: members[0].time(),
            last: members[members.len() - 1].time(),
            count: episode.peak as u64,
            events_total: members.len() as u64,
            event_ids: members.iter().take(NAMED_MAX).map(|member| member.id()).collect(),
        }
    };
    episodes.into_iter().map(found).collect()
}

/// Open at its old end.
fn within(moment: Timestamp, now: Timestamp, window: Span) -> bool {
    moment > now.minus(window) && moment <= now
}

fn counted(asked: &Asked, past: &[&Happening], now: Timestamp) -> usize {
    let recent = past.iter().filter(|happening| within(happening.time(), now, asked.window));
    match asked.counts {
        // Each is a moment of its own.
        Counts::Stops => usize::from(past.last().is_some_and(|last| last.time() == now)),
        Counts::Reads | Counts::ReadsAndClones => recent.count(),
        Counts::Secrets => {
            let secrets: BTreeSet<u8> = recent.flat_map(|happening| secrets(happening)).collect();
            secrets.len()
        }
    }
}

fn secrets(happening: &Happening) -> Vec<u8> {
    match happening.act {
        Act::Read { secret, and } => [Some(secret), and].into_iter().flatten().collect(),
        Act::Stop | Act::Clone | Act::Look => Vec::new(),
    }
}

/// The first moment, after the last of `past`, at which the condition is false if nothing more happens.
fn holds_until(asked: &Asked, past: &[&Happening]) -> Timestamp {
    let now = past[past.len() - 1].time();
    if asked.counts == Counts::Stops {
        return now;
    }
    let mut ends: Vec<Timestamp> = past.iter().map(|happening| happening.time().plus(asked.window)).collect();
    ends.sort_unstable();
    let first = ends.into_iter().find(|&end| end > now && counted(asked, past, end) < asked.at_least);
    first.expect("every window runs empty")
}
