//! How fast our engine is: the whole road of a worker, on one thread, in user time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use engine::detect::{Caps, Change, Raw, Sighting, State, sight, sight_raw};
use engine::normalise::{Limits, normalise};
use engine::rule::{Given, RuleFile, RuleSet, Scratch};
use serde::{Deserialize, Serialize};

use crate::case::{Case, KEYS};
use crate::meter;

/// What one run came to. Both engines fill one, each in a process of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Rules in force.
    pub rules: u64,
    /// Events read.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Matches, or alerts over windows where the case counts these.
    pub found: u64,
    /// User time of loading the rules.
    pub load: Duration,
    /// User time of reading, matching and counting.
    pub run: Duration,
    /// Memory that the loaded rules hold.
    pub load_bytes: u64,
    /// The most memory at a time while rules were loaded and events read, beyond what the bench itself held.
    pub peak_bytes: u64,
}

impl Figures {
    /// Events in a second of user time.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.run.as_secs_f64().max(1e-6)
    }
}

/// The same measurement several times.
#[derive(Clone, Debug, Default)]
pub struct Series {
    runs: Vec<Figures>,
}

impl Series {
    /// One more.
    pub fn push(&mut self, figures: Figures) {
        self.runs.push(figures);
    }

    /// User time of all so far.
    #[must_use]
    pub fn spent(&self) -> Duration {
        self.runs.iter().map(|run| run.load + run.run).sum()
    }

    /// The median of what `of` reads from each run, between the least and the most.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Figures) -> f64) -> [f64; 3] {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
    }

    /// What each run found; `None` if they did not all find as much.
    #[must_use]
    pub fn found(&self) -> Option<u64> {
        let first = self.runs.first()?.found;
        self.runs.iter().all(|run| run.found == first).then_some(first)
    }
}

/// Memory and time before the rules are loaded.
#[derive(Debug)]
pub struct Start {
    user: Duration,
    bytes: u64,
}

impl Start {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { bytes: meter::bytes().unwrap_or(0), user: meter::user_time() }
    }

    /// The rules are loaded.
    #[must_use]
    pub fn loaded(&self, rules: usize) -> Figures {
        let load = meter::user_time().saturating_sub(self.user);
        let load_bytes = meter::bytes().unwrap_or(0).saturating_sub(self.bytes);
        Figures { rules: rules as u64, load, load_bytes, peak_bytes: self.peak(), ..Figures::default() }
    }

    /// The most memory since, beyond what was held then.
    #[must_use]
    pub fn peak(&self) -> u64 {
        meter::peak_bytes().unwrap_or(0).saturating_sub(self.bytes)
    }
}

/// Our engine over one case. `records` holds one event a line.
///
/// # Errors
/// If `records` cannot be read, or holds what our engine rejects.
pub fn ours(case: &Case, rules: &[RuleFile], given: &Given, records: &Path) -> io::Result<Figures> {
    let start = Start::now();
    let (mut set, _) = RuleSet::compile_with(rules, given);
    // Nothing is known about the plain JSON of a mixture: all rules are tried on it.
    set.read_json_as(&case.events.log_source().unwrap_or_default());
    let mut figures = start.loaded(set.rules().len());
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let (format, limits) = (case.events.format(), Limits::default());
    let mut scratch = Scratch::default();
    let mut state = State::new(Caps { keys_max: 2 * usize::try_from(KEYS).unwrap_or(0), ..Caps::default() });
    let mut changes: Vec<Change> = Vec::new();
    let (mut found, position) = (0, "bench");
    // As a worker does: most records are never parsed.
    let read = if case.counts() {
        let mut count = |sighting: Option<Sighting>| {
            let Some(sighting) = sighting else { return };
            state.apply(&set, &sighting, &mut changes);
            found += changes.drain(..).filter(|change| change.revision == 1).count() as u64;
        };
        timed(records, |body| match sight_raw(&set, Raw { body, position, format }, &limits, &mut scratch) {
            Some(seen) => count(seen.sighting),
            None => {
                normalise(format, body, position, &limits, &mut events, &mut rejects);
                events.drain(..).for_each(|event| count(sight(&set, &event, &mut scratch)));
            }
        })?
    } else {
        timed(records, |body| match set.glance(format, body, &limits, &mut scratch) {
            Some(glance) => found += glance.rules.len() as u64,
            None => {
                normalise(format, body, position, &limits, &mut events, &mut rejects);
                found += events.drain(..).map(|event| set.matches(&event, &mut scratch).len() as u64).sum::<u64>();
            }
        })?
    };
    if let Some(reject) = rejects.first() {
        return Err(io::Error::other(format!("{} records rejected, the first: {}", rejects.len(), reject.detail)));
    }
    figures =
        Figures { events: read.events, bytes: read.bytes, found, run: read.took, peak_bytes: start.peak(), ..figures };
    Ok(figures)
}

/// What one pass over a file came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// Lines.
    pub events: u64,
    /// Bytes of the lines.
    pub bytes: u64,
    /// User time that was spent on them.
    pub took: Duration,
}

/// Hands every line of a file to `each`, and answers how many there were and what user time `each` took.
/// Reading the file and finding the lines is not counted: it is the same for everybody.
///
/// # Errors
/// If the file cannot be read.
pub fn timed(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<Pass> {
    let mut file = File::open(path)?;
    // Small, because it counts among the memory that was held.
    let mut block = vec![0; 1 << 20];
    let mut held = 0;
    let mut pass = Pass::default();
    loop {
        let read = file.read(&mut block[held..])?;
        held += read;
        let whole = block[..held].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<&[u8]> = block[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let start = meter::user_time();
        for line in &lines {
            each(line);
        }
        pass.took += meter::user_time().saturating_sub(start);
        pass.events += lines.len() as u64;
        pass.bytes += lines.iter().map(|line| line.len() as u64).sum::<u64>();
        if read == 0 {
            return Ok(pass);
        }
        block.copy_within(whole..held, 0);
        held -= whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Events, Rules};

    #[test]
    fn every_line_of_a_file_is_handed_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let lines: Vec<String> = (0..300_000).map(|number| format!("{{\"number\":{number:040}}}")).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut next = 0;
        let pass = timed(&path, |line| {
            assert_eq!(line, lines[next].as_bytes());
            next += 1;
        })
        .unwrap();
        assert_eq!((pass.events, pass.bytes), (300_000, 51 * 300_000));
    }

    #[test]
    fn what_windows_find_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.jsonl");
        let from = "2026-01-01T00:00:00Z".parse().unwrap();
        let wanted = crate::corpus::Keys { keys: 50, times: 2, late_percent: 0, seed: 1 };
        let lines: Vec<String> = crate::corpus::keys(wanted, from).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let case = Case { name: "x", events: Events::Keys { late_percent: 0 }, rules: Rules::Twice };
        let rule = "title: R\nid: 5b1d9d7e-4a55-4c4e-9e0c-0d2f4c8a6b01\nname: read\nlogsource: {product: aws, service: cloudtrail}\n\
                    detection: {s: {eventName: GetObject}, condition: s}\n---\ntitle: C\nid: 5b1d9d7e-4a55-4c4e-9e0c-0d2f4c8a6b02\n\
                    correlation: {type: event_count, rules: [read], group-by: [userIdentity.arn], timespan: 1h, condition: {gte: 2}}\n";
        let rules = [RuleFile { path: "r.yml".into(), text: rule.into() }];
        let figures = ours(&case, &rules, &Given::default(), &path).unwrap();
        assert_eq!((figures.events, figures.found), (100, 50));
    }
}
