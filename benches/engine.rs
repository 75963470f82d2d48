//! How fast the engine is on each kind of load: its own table, without any other engine.
//!
//! `make bench-peers` measures the same rows beside a peer. Rules are SigmaHQ's and events are made of the
//! shared data folder; without it this says so and measures nothing. `cargo bench --bench engine -- windows`
//! measures the rows whose names hold a word.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use lab::apart::{self, Prepared};
use lab::case::CASES;
use lab::corpus;
use lab::sigmahq::{self, SigmaHq};
use lab::speed::{self, Series};
use lab::table::{self, Row};

/// Runs of each row, unless they take too long.
const ROUNDS: usize = 3;

/// A row that has spent this much does not run again.
const ENOUGH: Duration = Duration::from_secs(6);

fn main() -> anyhow::Result<()> {
    if let Some(asked) = apart::asked()? {
        return Ok(apart::tell(&speed::ours(&asked.case, &asked.rules, &corpus::given()?, &asked.records)?)?);
    }
    let mut out = std::io::stdout();
    let (Some(shared), Some(sigma)) = (corpus::shared(), SigmaHq::open()?) else {
        writeln!(out, "SKIPPED: the engine's table needs the shared data folder; LAPWING_SHARED names it")?;
        return Ok(());
    };
    let folder = sigmahq::built().join("bench");
    std::fs::create_dir_all(&folder)?;
    // Cargo adds flags of its own.
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let cases: Vec<_> = CASES.into_iter().filter(|case| wanted(case.name)).collect();

    let bar = ProgressBar::new(cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{pos}/{len} {bar:30} {elapsed} {msg}")?);
    let mut rows = Vec::new();
    writeln!(out, "{}", table::HEAD)?;
    for case in cases {
        bar.set_message(format!("{}: preparing", case.name));
        let prepared = Prepared::new(case, &shared, &sigma, &folder)?;
        let mut series = Series::default();
        for round in 1..=ROUNDS {
            bar.set_message(format!("{}: round {round} of {ROUNDS}", case.name));
            if series.spent() < ENOUGH {
                series.push(prepared.measure("lapwing")?);
            }
        }
        let row = Row { case, engines: vec![("lapwing", series)] };
        bar.suspend(|| writeln!(out, "{}", row.lines()))?;
        bar.inc(1);
        rows.push(row);
    }
    bar.finish_and_clear();
    write!(out, "{}", table::growth(&rows))?;
    if names.is_empty() {
        let page = format!(
            "# The engine alone\n\nWritten by the last whole run of `make bench`: figures of one machine on one day. Compare only\n\
             figures of the same machine; `benches/peers` has the same rows beside another engine.\n\n{}\n{}",
            table::COLUMNS,
            table::page(&rows, "make bench")
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/engine");
        std::fs::create_dir_all(&folder).context("create benches/engine")?;
        std::fs::write(folder.join("README.md"), page).context("write benches/engine/README.md")?;
    }
    Ok(())
}
