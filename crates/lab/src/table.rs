//! Figures as a table, and what every table must say: which machine, which commit.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::case::{Case, Events, KEYS};
use crate::speed::{Figures, Series};

/// The head of the table.
pub const HEAD: &str = "\
| case | engine | events/s | from … to | ours is | found | load, CPU s | held, MB | peak, MB |\n\
|---|---|---|---|---|---|---|---|---|";

/// What the columns mean: a part of every page that shows them.
pub const COLUMNS: &str = "\
Events are counted per second of user CPU time (`getrusage`) on one thread, in a process of its own for each run;\n\
loading rules is measured apart, reading the file and finding lines is counted for nobody. `from … to` are the least\n\
and the most of up to three runs. *Held* and *peak* are memory after loading and at most, beyond what the bench itself\n\
holds. Ours is the whole road of a worker: bytes, `RuleSet::glance`, `normalise`, `RuleSet::matches`; for windows\n\
`sight` and `State::apply`, alerts counted and not stored. It is told nothing about the events (`auto`), but that Windows events are\n\
Windows; the plain JSON of the mixture is tried on all rules. The allocator is the system's.\n";

/// One row of the bench: an engine a line, ours first.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub case: Case,
    /// By the name of the engine.
    pub engines: Vec<(&'static str, Series)>,
}

impl Row {
    /// Its lines, without an end.
    #[must_use]
    pub fn lines(&self) -> String {
        let lines: Vec<String> = (0..self.engines.len()).map(|place| self.line(place)).collect();
        lines.join("\n")
    }

    fn line(&self, place: usize) -> String {
        let (engine, series) = &self.engines[place];
        let ours = &self.engines[0].1;
        let [least, rate, most] = series.median(Figures::rate);
        let load = |series: &Series| series.median(|run| run.load.as_secs_f64())[1];
        let [_, held, _] = series.median(|run| run.load_bytes as f64);
        let [_, peak, _] = series.median(|run| run.peak_bytes as f64);
        let nothing_read = self.case.events == Events::None;
        let [speed, range] = if nothing_read {
            [String::new(), String::new()]
        } else {
            [thousands(rate), format!("{} … {}", thousands(least), thousands(most))]
        };
        let ratio = match place {
            0 => String::new(),
            _ if nothing_read => format!("**{:.1} ×**", load(series) / load(ours)),
            _ => format!("**{:.1} ×**", ours.median(Figures::rate)[1] / rate),
        };
        let key = match self.case.events {
            Events::Keys { .. } => format!(" ({:.0} B a key)", (peak - held) / KEYS as f64),
            Events::None | Events::Cloudtrail(_) | Events::Mixed(_) | Events::Windows(_) | Events::HotKey => {
                String::new()
            }
        };
        format!(
            "| {} | {engine} | {speed} | {range} | {ratio} | {} | {:.2} | {:.0} | {:.0}{key} |",
            self.case.name,
            series.found().unwrap_or_default(),
            load(series),
            held / 1e6,
            peak / 1e6
        )
    }
}

fn thousands(rate: f64) -> String {
    if rate < 10e3 { format!("{:.1} k", rate / 1e3) } else { format!("{:.0} k", rate / 1e3) }
}

/// How the cost of an event grows with the rules: a line for each log and engine.
#[must_use]
pub fn growth(rows: &[Row]) -> String {
    let mut lines = String::new();
    for log in ["cloudtrail", "windows"] {
        let prefix = format!("growth, {log}");
        let of_log: Vec<&Row> = rows.iter().filter(|row| row.case.name.starts_with(&prefix)).collect();
        let [first, .., last] = of_log[..] else { continue };
        for (engine, series) in &first.engines {
            let Some((_, end)) = last.engines.iter().find(|(name, _)| name == engine) else { continue };
            let cost = series.median(Figures::rate)[1] / end.median(Figures::rate)[1];
            let [from, to] = [first, last].map(|row| row.case.name.rsplit(", ").next().unwrap_or_default());
            lines += &format!("- {log}, {from} to {to}: the cost of an event grows {cost:.2} × with {engine}\n");
        }
    }
    lines
}

/// Machine, commit, mean size of events, the table and its growth. Markdown.
#[must_use]
pub fn page(rows: &[Row], command: &str) -> String {
    let mut page = format!("- machine: {}\n- commit: {}\n", machine(), commit());
    for row in rows.iter().filter(|row| !row.case.name.starts_with("growth") && row.case.events != Events::None) {
        let [_, bytes, _] = row.engines[0].1.median(|run| run.bytes as f64 / run.events.max(1) as f64);
        page += &format!("- events of `{}`: {bytes:.0} bytes on average\n", row.case.name);
    }
    page += &format!("- command: `{command}`\n\n{HEAD}\n");
    for row in rows {
        page += &row.lines();
        page.push('\n');
    }
    let growth = growth(rows);
    if !growth.is_empty() {
        let written = write!(page, "\n{growth}");
        debug_assert!(written.is_ok());
    }
    page
}

/// What figures were measured on.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let model = described.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown model", |(_, model)| model);
    format!("{cores} cores, {model}; load average {load}, which counts the bench itself and whoever else worked")
}

/// What was measured.
#[must_use]
pub fn commit() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if changed { format!("{commit} with changes that are not committed") } else { commit }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(name: &'static str, ours: u64, theirs: u64) -> Row {
        let case = Case::named(name).unwrap();
        let of = |events: u64| {
            let mut series = Series::default();
            series.push(Figures {
                events,
                run: Duration::from_secs(1),
                load: Duration::from_secs(1),
                ..Figures::default()
            });
            series
        };
        Row { case, engines: vec![("lapwing", of(ours)), ("peer", of(theirs))] }
    }

    #[test]
    fn a_peer_is_told_how_many_times_faster_ours_is() {
        let lines = row("cloudtrail, 348 rules", 500_000, 100_000).lines();
        assert!(lines.contains("| lapwing | 500 k | 500 k … 500 k |  |"), "{lines}");
        assert!(lines.contains("| peer | 100 k | 100 k … 100 k | **5.0 ×** |"), "{lines}");
    }

    #[test]
    fn growth_compares_the_fewest_rules_with_the_most() {
        let rows = [
            row("growth, cloudtrail, 50 rules", 600_000, 200_000),
            row("growth, cloudtrail, 800 rules", 590_000, 80_000),
            row("growth, cloudtrail, 9423 rules", 500_000, 20_000),
        ];
        let growth = growth(&rows);
        assert!(growth.contains("50 rules to 9423 rules: the cost of an event grows 1.20 × with lapwing"), "{growth}");
        assert!(growth.contains("10.00 × with peer"), "{growth}");
    }
}
