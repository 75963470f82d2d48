//! The figures as a table.

use std::fmt::Write;
use std::process::Command;

use lab::case::{Events, KEYS};
use lab::speed::Figures;

use crate::ratios::{Measured, Row};

/// The head of the table.
pub(crate) const HEAD: &str = "\
| case | engine | events/s | from … to | ours is | found | load, CPU s | held, MB | peak, MB |\n\
|---|---|---|---|---|---|---|---|---|";

/// One row of the bench: a line an engine.
pub(crate) fn lines(row: &Row) -> String {
    let lines: Vec<String> = row.engines.iter().map(|measured| line(row, measured)).collect();
    lines.join("\n")
}

fn line(row: &Row, measured: &Measured) -> String {
    let series = &measured.series;
    let ours = &row.engines[0];
    let [least, rate, most] = series.median(Figures::rate);
    let [_, load, _] = series.median(|run| run.load.as_secs_f64());
    let [_, held, _] = series.median(|run| run.load_bytes as f64);
    let [_, peak, _] = series.median(|run| run.peak_bytes as f64);
    let nothing_read = row.case.events == Events::None;
    let thousands =
        |rate: f64| if rate < 10e3 { format!("{:.1} k", rate / 1e3) } else { format!("{:.0} k", rate / 1e3) };
    let [speed, range] = if nothing_read {
        [String::new(), String::new()]
    } else {
        [thousands(rate), format!("{} … {}", thousands(least), thousands(most))]
    };
    let ratio = if nothing_read {
        load / ours.series.median(|run| run.load.as_secs_f64())[1]
    } else {
        ours.series.median(Figures::rate)[1] / rate
    };
    let ratio = if std::ptr::eq(ours, measured) { String::new() } else { format!("**{ratio:.1} ×**") };
    let found = series.found().unwrap_or_default();
    let key = match row.case.events {
        Events::Keys { .. } => format!(" ({:.0} B a key)", (peak - held) / KEYS as f64),
        _ => String::new(),
    };
    format!(
        "| {} | {} | {speed} | {range} | {ratio} | {found} | {load:.2} | {:.0} | {:.0}{key} |",
        row.case.name,
        measured.engine,
        held / 1e6,
        peak / 1e6
    )
}

/// How the cost of an event grows with the rules, an engine a line.
pub(crate) fn growth(rows: &[Row]) -> String {
    let mut text = String::new();
    for log in ["cloudtrail", "windows"] {
        let of_log: Vec<&Row> =
            rows.iter().filter(|row| row.case.name.starts_with(&format!("growth, {log}"))).collect();
        let [first, .., last] = of_log[..] else { continue };
        for Measured { engine, series } in &first.engines {
            let Some(end) = last.engines.iter().find(|end| end.engine == *engine) else { continue };
            let cost = series.median(Figures::rate)[1] / end.series.median(Figures::rate)[1];
            let [from, to] = [first, last].map(|row| row.case.name.rsplit(", ").next().unwrap_or_default());
            writeln!(text, "- {log}, {from} to {to}: the cost of an event grows {cost:.2} × with {engine}")
                .expect("memory");
        }
    }
    text
}

/// The whole page.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Beside rsigma\n\nWritten by the last whole run of `make bench-peers`: figures of one machine on one day. The ratios\n\
         matter, the rest moves from machine to machine.\n\n\
         Both engines read the same bytes in the same run, in turn, each time in a process of its own on one thread. Events\n\
         are counted per second of user CPU time (`getrusage`); loading rules is measured apart, reading the file and finding\n\
         lines is counted for nobody. `from … to` are the least and the most of up to three runs. *Held* and *peak* are memory\n\
         beyond what the bench itself holds. Ours is the whole road of a worker: bytes, `normalise`, `RuleSet::matches`; for\n\
         windows `sight` and `State::apply`, alerts counted and not stored. rsigma's is bytes, `serde_json::Value`, its engine;\n\
         it counts results. What *routed by hand* means: its user said which log source all events are of. We are told\n\
         nothing (`auto`), but that Windows events are Windows. Both use the system's allocator and the same profile.\n\n",
    );
    let [machine, commit] = [machine(), commit()];
    writeln!(page, "- machine: {machine}\n- commit: {commit}\n- peer: rsigma-eval {}", peer()).expect("memory");
    for row in rows.iter().filter(|row| !row.case.name.starts_with("growth") && row.case.events != Events::None) {
        writeln!(page, "- corpus of `{}`: events of {:.0} bytes on average", row.case.name, row.event_bytes)
            .expect("memory");
    }
    writeln!(page, "- command: `make bench-peers`\n\n{HEAD}").expect("memory");
    for row in rows {
        writeln!(page, "{}", lines(row)).expect("memory");
    }
    writeln!(page, "\n{}", growth(rows)).expect("memory");
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// The version that the lock file names.
fn peer() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let after = lock.split_once("name = \"rsigma-eval\"\nversion = \"").map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let model = described.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown model", |(_, model)| model);
    format!("{cores} cores, {model}; load average {load}, which counts the bench itself and whoever else worked")
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if changed { format!("{commit} with changes that are not committed") } else { commit }
}
