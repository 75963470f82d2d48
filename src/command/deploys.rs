//! `lapwing deploys`: which deploys files tell of, and what explains each of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use connect::clock::Clock;
use engine::deploys::{Artifact, Deploys, Edge, Heard, Limits, Marks, Policy, Record, Verdict, Weight, facts};
use engine::event::Kind;
use engine::normalise::{Limits as Bounds, normalise};
use engine::time::{Span, Timestamp};

use super::coverage::plain;
use super::replay::{NOTHING_READ, REJECTS_SAID, progress};
use super::store::folder;
use super::{Outcome, input, print, say};
use crate::args::Deployed;
use crate::config::read_policy;
use crate::store;
use crate::workers::AHEAD_MAX;

/// Files are read whole, so nothing in them is too old. About 600 MB if all four sorts of facts are as many.
const LIMITS: Limits = Limits { kept: Span::seconds(3_650 * 86_400), facts_max: 250_000 };

/// What the names of logs in a folder end with.
const ENDINGS: [&str; 6] = [".json", ".jsonl", ".ndjson", ".log", ".gz", ".zst"];

/// What was read.
#[derive(Default)]
struct Tally {
    events: u64,
    rejects: u64,
    bytes: u64,
    kinds: BTreeMap<Kind, u64>,
    first: Option<Timestamp>,
}

/// Prints deploys, the unexplained first. Something is found if one of those that are printed is unexplained.
///
/// # Errors
/// When files or the policy cannot be read.
pub(crate) fn run(asked: &Deployed) -> anyhow::Result<Outcome> {
    let Some(mut records) = (if asked.paths.is_empty() { judged(asked)? } else { read(asked)? }) else {
        say(NOTHING_READ);
        return Ok(Outcome::Found);
    };
    records.retain(|record| asked.verdict.is_none_or(|verdict| record.verdict == verdict.into()));
    records.sort_by_key(|record| (record.verdict, record.time));
    let mut printed = String::new();
    for record in &records {
        if asked.json {
            printed.push_str(&serde_json::to_string(record).context("write deploy")?);
            printed.push('\n');
        } else {
            printed.push_str(&words(record));
        }
    }
    print(&printed)?;
    let is_bad = records.iter().any(|record| record.verdict == Verdict::Unexplained);
    Ok(if is_bad { Outcome::Found } else { Outcome::Done })
}

/// Those that the service has judged, by its store.
fn judged(asked: &Deployed) -> anyhow::Result<Option<Vec<Record>>> {
    anyhow::ensure!(asked.policy.is_none(), "--policy is for log files: name some, as the service judges by its own");
    let limit = usize::MAX;
    let query = store::Deployed { verdict: asked.verdict.map(Into::into), limit, ..store::Deployed::default() };
    let records = store::deployed(&folder(&asked.place)?, &query)?;
    if records.is_empty() {
        say("no deploy was judged: `deploys` of the configuration says by which policy");
    }
    Ok(Some(records))
}

/// Those that log files tell of; nothing if these are no logs.
fn read(asked: &Deployed) -> anyhow::Result<Option<Vec<Record>>> {
    let policy = asked.policy.as_deref().map_or_else(|| Ok(Policy::default()), read_policy)?;
    let mut deploys = Deploys::new(LIMITS);
    let tally = take(asked, &mut deploys)?;
    if tally.events == 0 && tally.rejects > 0 {
        return Ok(None);
    }
    // Files are taken to be whole: from their first event on, what is not in them did not happen.
    let heard = Heard { since: tally.first.unwrap_or_default(), mark: Timestamp::LATEST };
    let marks: Marks = tally.kinds.keys().map(|kind| (*kind, heard)).collect();
    let records = deploys.records(&policy, &marks);
    say(&summary(&tally, &records));
    Ok(Some(records))
}

fn take(asked: &Deployed, deploys: &mut Deploys) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let latest = Clock::Wall.now().plus(AHEAD_MAX);
    let bar = progress();
    let mut records = 0_u64;
    for path in files(&asked.paths)? {
        let (name, before) = (path.display().to_string(), tally.bytes);
        input::records(&path, |number, record, read| {
            records += 1;
            tally.bytes = before + read;
            normalise(asked.kind, record, &format!("{name}:{number}"), &Bounds::default(), &mut events, &mut rejects);
            for reject in rejects.drain(..) {
                tally.rejects += 1;
                if tally.rejects <= REJECTS_SAID {
                    bar.suspend(|| say(&format!("{}: {}: {}", reject.position, reject.reason.name(), reject.detail)));
                }
            }
            for mut event in events.drain(..) {
                tally.events += 1;
                *tally.kinds.entry(event.kind).or_default() += 1;
                // As in the service: a time in the future is no time to keep others by.
                event.time = event.time.min(latest);
                tally.first = Some(tally.first.map_or(event.time, |first| first.min(event.time)));
                facts(&event).into_iter().for_each(|fact| deploys.take(fact));
            }
            if records.is_multiple_of(1_000) {
                bar.set_position(tally.bytes);
                bar.set_message(format!("{} events", tally.events));
            }
            Ok(())
        })?;
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// Files as they were named, and those logs that are in folders, in the order of their names.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let about = || format!("read {}", path.display());
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(about)? {
            let entry = entry.with_context(about)?;
            // Links are not followed: one that leads back up would never end.
            if entry.file_type().with_context(about)?.is_symlink() {
                continue;
            }
            inside.push(entry.path());
        }
        inside.sort();
        for path in inside {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_log = ENDINGS.iter().any(|ending| name.ends_with(ending));
            if path.is_dir() || is_log && !name.starts_with('.') {
                found.extend(files(&[path])?);
            }
        }
    }
    Ok(found)
}

fn summary(tally: &Tally, records: &[Record]) -> String {
    let count = |verdict| records.iter().filter(|record| record.verdict == verdict).count();
    let counts = [Verdict::Unexplained, Verdict::Unknown, Verdict::Explained];
    let counts = counts.map(|verdict| format!("{} {verdict}", count(verdict))).join(", ");
    let kinds: Vec<String> = tally.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let (events, rejects) = (tally.events, tally.rejects);
    format!("{} deploys: {counts}; {events} events{kinds}, {rejects} rejected", records.len())
}

/// A deploy in a few lines. Names come from logs: none may speak to the terminal.
fn words(record: &Record) -> String {
    let mut text = String::new();
    let target = &record.target;
    let place: Vec<&str> = [&*target.account, &*target.region].into_iter().filter(|part| !part.is_empty()).collect();
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    let (verdict, time) = (record.verdict.to_string(), record.time);
    let head = format!("{verdict:<11}  {time}  {} {}{place}, {}", target.kind, target.id, record.environment);
    line(&mut text, "", &head);
    let mut actions: Vec<&str> = record.steps.iter().map(|step| &*step.action).collect();
    actions.dedup();
    let console = if record.by.console { ", in the console" } else { "" };
    let from = record.by.ip.as_ref().map_or_else(String::new, |ip| format!(" from {ip}"));
    line(&mut text, "done", &format!("{} by {}{from}{console}", actions.join(", "), record.by.name));
    for hop in &record.chain {
        line(&mut text, "chain", &format!("{} ({})", hop.says, hop.sure.words()));
    }
    line(&mut text, "run", &run_of(record));
    line(&mut text, "commit", &commit_of(record));
    line(&mut text, "let by", &record.approved_by.join(", "));
    line(&mut text, "built", &artifact_of(&record.artifact));
    for finding in &record.findings {
        let name = match finding.weight {
            Weight::Against => "against",
            Weight::Unsure => "unsure",
            Weight::Note => "note",
        };
        line(&mut text, name, &finding.says);
    }
    text.push('\n');
    text
}

/// One line, unless there is nothing to say.
fn line(text: &mut String, name: &str, says: &str) {
    if says.is_empty() {
        return;
    }
    let says = plain(says);
    // Writing into a string cannot fail.
    let result = if name.is_empty() { writeln!(text, "{says}") } else { writeln!(text, "  {name:<8} {says}") };
    result.ok();
}

fn run_of(record: &Record) -> String {
    let sure = match &record.run {
        Edge::Exact(_) => "exact",
        Edge::UniqueCandidate(_) => "the only one that fits",
        Edge::Ambiguous(_) => "one of these",
        Edge::None => return String::new(),
    };
    let name = |run: &engine::deploys::RunKey| {
        let attempt = if run.attempt > 1 { format!(" attempt {}", run.attempt) } else { String::new() };
        format!("{}{attempt} of {}", run.id, run.scope)
    };
    let names: Vec<String> = record.run.candidates().iter().map(name).collect();
    let actor = record.actor.as_ref().map_or_else(String::new, |actor| format!(", started by {actor}"));
    format!("{} ({sure}){actor}", names.join("; "))
}

fn commit_of(record: &Record) -> String {
    let Some(commit) = &record.commit else { return String::new() };
    let branch = record.branch.as_ref().map_or_else(String::new, |branch| format!(" on {branch}"));
    let request = record.request.one().map_or_else(String::new, |request| {
        let yes = request.approved_by.join(", ");
        let yes = if yes.is_empty() { String::new() } else { format!(", approved by {yes}") };
        format!(": #{} of {}{yes}, merged by {}", request.number, request.author, request.merged_by)
    });
    format!("{}{branch}{request}", commit.get(..9).unwrap_or(commit))
}

fn artifact_of(artifact: &Artifact) -> String {
    match artifact {
        // The finding says so.
        Artifact::Unknown => String::new(),
        Artifact::Built { digests } => format!("by the run: {}", digests.join(", ")),
        Artifact::Pushed { digests, by } => format!("{}, pushed by {by}", digests.join(", ")),
    }
}
