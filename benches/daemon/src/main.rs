//! Both services end to end on the same bytes, in turn: accepted by HTTP, matched, delivered.
//!
//! Ours answers 2xx once everything is on disk and tells a webhook. rsigma's answers once a record is in its
//! queue, so it has done its work when its own counter says so, and it writes a file: the cheapest sink that
//! loses nothing, as its webhooks drop what their queue does not hold. A run whose alerts differ from those of
//! `lapwing replay` on the same bytes fails, and so does one in which rsigma finds other matches than ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use lab::case::{Events, Rules};
use lab::corpus;
use lab::sigmahq::{self, SigmaHq};
use serde_json::Value;

mod page;
mod run;

use page::Row;
use run::Feed;

/// Records in one request.
const BATCH: usize = 512;
/// Requests at a time.
const CONNECTIONS: usize = 8;
/// Runs of each service, in turn.
const ROUNDS: usize = 3;

/// The corpora.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corpus {
    /// As after a week of tuning: one event of a thousand matches.
    Tuned,
    /// Test data of rules as it is: one event of eleven matches, and most of those are alerts.
    Dense,
}

/// Everything that all runs of one corpus share.
pub(crate) struct Prepared {
    pub(crate) corpus: Corpus,
    pub(crate) rules: PathBuf,
    /// By event id: the request that it is in.
    pub(crate) request_of: BTreeMap<String, usize>,
    pub(crate) records: Vec<String>,
    pub(crate) expected: BTreeMap<String, Value>,
    /// Pairs of event and rule, as `lapwing match` finds them.
    pub(crate) matches: u64,
    pub(crate) folder: PathBuf,
}

/// The two programs.
pub(crate) struct Programs {
    pub(crate) lapwing: PathBuf,
    pub(crate) rsigma: PathBuf,
}

/// Measures, prints, and keeps a whole run as `README.md`.
fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let built = sigmahq::built();
    let programs = Programs { lapwing: built.join("release/lapwing"), rsigma: built.join("rsigma/bin/rsigma") };
    // For whoever works on ours: half the time, and no page is kept.
    let alone = std::env::var_os("ALONE").is_some();
    let needed = if alone { vec![&programs.lapwing] } else { vec![&programs.lapwing, &programs.rsigma] };
    for program in needed {
        ensure!(program.is_file(), "{} is missing: `make bench-daemon` builds it", program.display());
    }
    let mut rows = Vec::new();
    for corpus in [Corpus::Tuned, Corpus::Dense] {
        if !names.is_empty() && !names.iter().any(|name| corpus.name().contains(name.as_str())) {
            continue;
        }
        let prepared = Prepared::new(corpus, &programs)?;
        rows.push(measure(&prepared, &programs, alone)?);
    }
    ensure!(!rows.is_empty(), "no corpus's name holds any of {names:?}");
    let page = page::page(&rows, &programs)?;
    io::stdout().write_all(page.as_bytes())?;
    if names.is_empty() && !alone {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        fs::write(kept, page).context("write benches/daemon/README.md")?;
    }
    Ok(())
}

fn measure(prepared: &Prepared, programs: &Programs, alone: bool) -> anyhow::Result<Row> {
    let feed = Feed::new(&prepared.records);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        writeln!(io::stderr(), "{}: round {round} of {ROUNDS}", prepared.corpus.name())?;
        ours.push(run::lapwing(prepared, programs, &feed, lab::load::Pace::Closed)?);
        if alone {
            continue;
        }
        theirs.push(run::rsigma(prepared, programs, &feed, lab::load::Pace::Closed)?);
    }
    let best = ours.iter().map(run::Figures::rate).fold(0.0, f64::max);
    let half = lab::load::Pace::Open(best / 2.0 / BATCH as f64);
    writeln!(io::stderr(), "{}: half of {best:.0} events/s", prepared.corpus.name())?;
    let eased = run::lapwing(prepared, programs, &feed, half)?;
    Ok(Row { corpus: prepared.corpus, events: prepared.records.len(), bytes: feed.bytes, ours, theirs, eased })
}

impl Corpus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tuned => "tuned",
            Self::Dense => "dense",
        }
    }

    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::Tuned => "made as those of `dense`; of those that a rule matches one of a hundred stays",
            Self::Dense => "the events of `cloudtrail, 348 rules` of `make bench-peers`, made of test data for rules",
        }
    }

    /// The records.
    fn records(self, programs: &Programs, rules: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
        let shared = corpus::shared().context("no shared data folder; LAPWING_SHARED names one")?;
        let sigma = SigmaHq::open()?.context("no shared data folder")?;
        let written = |events| Events::Cloudtrail(events).write(&shared, &sigma, folder);
        match self {
            Self::Dense => Ok(corpus::lines(&written(DENSE)?)?),
            Self::Tuned => {
                let file = written(TUNED)?;
                let mut matching = vec![false; TUNED];
                for_matches(programs, rules, &file, |line, _| matching[line - 1] = true)?;
                let mut left = 0;
                let mut records = corpus::lines(&file)?;
                let mut matching = matching.into_iter();
                records.retain(|_| {
                    let matches = matching.next().unwrap_or_default();
                    left += usize::from(matches);
                    !matches || left.is_multiple_of(THINNED)
                });
                Ok(records)
            }
        }
    }
}

/// Events of the dense corpus.
const DENSE: usize = 200_000;
/// Events of the tuned one before those that match are thinned: seconds of work for the faster service.
const TUNED: usize = 600_000;
/// One of so many that match stays.
const THINNED: usize = 100;

impl Prepared {
    fn new(corpus: Corpus, programs: &Programs) -> anyhow::Result<Self> {
        let folder = sigmahq::built().join("bench");
        fs::create_dir_all(&folder)?;
        writeln!(io::stderr(), "{}: preparing", corpus.name())?;
        let rules = folder.join("daemon-rules");
        if !rules.is_dir() {
            let sigma = SigmaHq::open()?.context("no shared data folder")?;
            for rule in Rules::Cloud.files(&sigma)? {
                let path = rules.join(&rule.path);
                fs::create_dir_all(path.parent().context("a rule lies in a folder")?)?;
                fs::write(path, rule.text)?;
            }
        }
        let mut records = corpus.records(programs, &rules, &folder)?;
        // Some test data says `"eventID":"1111"`, some has none. Our service counts an id once, which neither the replay
        // nor rsigma does, and a record without one is known by its place, which differs between a file and requests.
        let mut ids = BTreeSet::new();
        records.retain(|record| id(record).is_some_and(|id| ids.insert(id.to_owned())));
        let file = folder.join("daemon.jsonl");
        fs::write(&file, records.join("\n") + "\n").context("write the corpus")?;
        let expected = replay(programs, &rules, &file)?;
        let mut matches = 0;
        for_matches(programs, &rules, &file, |_, rules| matches += rules)?;
        let named: BTreeSet<&str> = expected.values().flat_map(|alert| strings(&alert["event_ids"])).collect();
        let request_of = records
            .iter()
            .enumerate()
            .filter_map(|(place, record)| Some((id(record)?, place / BATCH)))
            .filter(|(id, _)| named.contains(id))
            .map(|(id, request)| (id.to_owned(), request))
            .collect();
        Ok(Self { corpus, rules, request_of, records, expected, matches, folder })
    }
}

/// What the alerts must be, by id.
fn replay(programs: &Programs, rules: &Path, file: &Path) -> anyhow::Result<BTreeMap<String, Value>> {
    let output = told(programs, "replay", rules, file)?;
    let alerts = output.lines().map(|line| {
        let alert: Value = serde_json::from_str(line)?;
        Ok((alert["id"].as_str().unwrap_or_default().to_owned(), alert))
    });
    alerts.collect()
}

/// Hears of each line that rules match: its number from 1, and how many.
fn for_matches(programs: &Programs, rules: &Path, file: &Path, mut hear: impl FnMut(usize, u64)) -> anyhow::Result<()> {
    for line in told(programs, "match", rules, file)?.lines() {
        let found: Value = serde_json::from_str(line)?;
        let count = found["rules"].as_array().map_or(0, |rules| rules.len() as u64);
        let line = found["line"].as_u64().and_then(|line| usize::try_from(line).ok()).context("read a line")?;
        if count > 0 {
            hear(line, count);
        }
    }
    Ok(())
}

/// What a command of ours says about the file.
fn told(programs: &Programs, command: &str, rules: &Path, file: &Path) -> anyhow::Result<String> {
    let mut child = Command::new(&programs.lapwing);
    child.args([command, "--kind", "aws.cloudtrail", "--rules"]).arg(rules).arg(file);
    let output = child.stderr(Stdio::piped()).output().context("run lapwing")?;
    ensure!(output.status.success(), "lapwing {command}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The texts of a list.
pub(crate) fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The `eventID`, without parsing all records once more.
fn id(record: &str) -> Option<&str> {
    record.split_once("\"eventID\":\"")?.1.split('"').next()
}
