//! `lapwing replay`: the whole engine over files, in event time, as fast as it goes.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use engine::detect::{Caps, Change, Register, Seen, State, sight};
use engine::lineage::Glimpse;
use engine::normalise::{Home, Limits, normalise};
use engine::rule::{RuleSet, Scratch, Weight};
use engine::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, input, say, written};
use crate::args::Input;
use crate::rules::Places;
use crate::store::{Commit, Store};
use crate::workers::AHEAD_MAX;
use connect::clock::Clock;

/// Changes that are written to a store at a time.
const CHANGES: usize = 1_000;

/// Rejects that are said one by one; the rest are only counted.
pub(super) const REJECTS_SAID: u64 = 10;

/// Said when every record was refused.
pub(super) const NOTHING_READ: &str = "nothing could be read: is --kind right? `auto` recognises each record";

/// What was read.
#[derive(Debug, Default)]
struct Tally {
    records: u64,
    events: u64,
    matched: u64,
    rejects: u64,
    bytes: u64,
}

/// Prints the alerts that stand at the end, by time. Rules that are broken are left out, and found at fault.
///
/// # Errors
/// When rules or files cannot be read.
pub(crate) fn run(input: &Input, folder: Option<&Path>) -> anyhow::Result<Outcome> {
    let (rules, outcome) = compile(input)?;
    let store = folder.map(Store::open).transpose()?;
    let mut number = match &store {
        None => 0,
        Some(store) => store.recover()?.number,
    };
    let (mut state, mut register) = (State::new(Caps::default()), Register::default());
    let mut changes = Vec::new();
    let start = Instant::now();
    let tally = play(&rules, input, |seen| {
        let before = changes.len();
        match &seen.sighting {
            Some(sighting) => state.apply(&rules, sighting, &mut changes),
            // What matches nothing says how far the stream has come.
            None => state.pass(&rules, seen.time, &mut changes),
        }
        for change in &changes[before..] {
            register.take(change.clone());
        }
        match &store {
            None => changes.clear(),
            Some(store) if changes.len() >= CHANGES => keep(store, &mut number, &mut changes)?,
            Some(_) => {}
        }
        Ok(())
    })?;
    let before = changes.len();
    state.finish(&rules, &mut changes);
    changes[before..].iter().for_each(|change| register.take(change.clone()));
    if let Some(store) = &store {
        keep(store, &mut number, &mut changes)?;
        store.close_cleanly()?;
    }
    let alerts = register.into_alerts();
    report(&tally, alerts.len(), start.elapsed());
    let outcome = if tally.events == 0 && tally.rejects > 0 {
        say(NOTHING_READ);
        Outcome::Found
    } else {
        outcome
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for alert in &alerts {
        let line = serde_json::to_string(alert).context("write alert")?;
        if let Err(error) = writeln!(out, "{line}") {
            return written(Err(error)).map(|_| outcome);
        }
    }
    written(out.flush()).map(|_| outcome)
}

/// Compiles, says what is wrong with broken rules, and goes on with the others; the outcome is what the command
/// ends with, as an answer without some of the rules must not pass for the whole one.
pub(super) fn compile(input: &Input) -> anyhow::Result<(RuleSet, Outcome)> {
    let places = Places::from_arguments(input.rules.clone(), input.given.clone())?;
    let (mut rules, problems) = places.compile()?;
    if let Some(log_source) = &input.logsource {
        rules.read_json_as(log_source);
    }
    let mut outcome = Outcome::Done;
    for problem in problems.iter().filter(|problem| problem.weight == Weight::Error) {
        say(&format!("left out: {problem}"));
        outcome = Outcome::Found;
    }
    anyhow::ensure!(!rules.rules().is_empty(), "no rule can be used");
    Ok((rules, outcome))
}

fn play(rules: &RuleSet, input: &Input, mut take: impl FnMut(Seen<'_>) -> anyhow::Result<()>) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let (mut scratch, mut events, mut rejects) = (Scratch::default(), Vec::new(), Vec::new());
    let latest = Clock::Wall.now().plus(AHEAD_MAX);
    let bar = progress();
    for path in &input.files {
        let name = path.display().to_string();
        let before = tally.bytes;
        input::records(path, |number, record, read| {
            tally.records += 1;
            tally.bytes = before + read;
            let position = format!("{name}:{number}");
            normalise(input.kind, record, &position, &Limits::default(), &mut events, &mut rejects);
            tally.events += events.len() as u64;
            for reject in rejects.drain(..) {
                tally.rejects += 1;
                if tally.rejects <= REJECTS_SAID {
                    bar.suspend(|| say(&format!("{}: {}: {}", reject.position, reject.reason.name(), reject.detail)));
                }
            }
            for event in events.drain(..) {
                let mut sighting = sight(rules, &event, &mut scratch);
                tally.matched += u64::from(sighting.is_some());
                sighting.iter_mut().for_each(|sighting| sighting.clamp(latest));
                // As in the service: a time in the future does not say how far the log has come.
                let time = if event.time > latest { Timestamp::EARLIEST } else { event.time };
                take(Seen { time, home: Home::default(), kind: event.kind, sighting, glimpse: Glimpse::Nothing })?;
            }
            if tally.records.is_multiple_of(1_000) {
                bar.set_position(tally.bytes);
                bar.set_message(format!("{} events, {} matched", tally.events, tally.matched));
            }
            Ok(())
        })?;
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// A spinner with bytes and words; nothing where no person looks.
pub(super) fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec} {msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn keep(store: &Store, number: &mut u64, changes: &mut Vec<Change>) -> anyhow::Result<()> {
    *number += 1;
    let commit =
        Commit { number: *number, changes: std::mem::take(changes), now: Clock::Wall.now(), ..Commit::default() };
    store.commit(&commit).map(drop)
}

fn report(tally: &Tally, alerts: usize, time: Duration) {
    let seconds = time.as_secs_f64().max(1e-6);
    say(&format!(
        "{} records, {} events ({:.0}/s), {} rejected, {} matched, {alerts} alerts in {seconds:.2} s ({:.1} MB/s)",
        tally.records,
        tally.events,
        tally.events as f64 / seconds,
        tally.rejects,
        tally.matched,
        tally.bytes as f64 / seconds / 1e6,
    ));
}
