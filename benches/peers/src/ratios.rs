//! Both engines over the same bytes, in turn, each run in a process of its own.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use lab::apart::Prepared;
use lab::case::{CASES, Case};
use lab::corpus;
use lab::sigmahq::{self, SigmaHq};
use lab::speed::Series;

use crate::OURS;
use crate::page;
use crate::rsigma::Routing;

/// Runs of each engine and row, unless they take too long.
const ROUNDS: usize = 3;

/// An engine that has spent this much on a row does not run again.
const ENOUGH: Duration = Duration::from_secs(12);

/// One engine on one row.
pub(crate) struct Measured {
    /// What the table calls it.
    pub(crate) engine: &'static str,
    pub(crate) series: Series,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) case: Case,
    /// Bytes of an event on average.
    pub(crate) event_bytes: f64,
    /// Ours first.
    pub(crate) engines: Vec<Measured>,
}

/// Measures the rows whose names hold one of `names`, or all; prints them, and keeps a whole run's.
pub(crate) fn run(names: &[String]) -> anyhow::Result<()> {
    let shared = corpus::shared().context("no shared data folder; LAPWING_SHARED names one")?;
    let sigma = SigmaHq::open()?.context("no shared data folder")?;
    let folder = sigmahq::built().join("bench");
    std::fs::create_dir_all(&folder)?;
    let wanted = |case: &Case| names.is_empty() || names.iter().any(|name| case.name.contains(name.as_str()));
    let cases: Vec<Case> = CASES.into_iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "no row's name holds any of {names:?}");

    let bar = ProgressBar::new(cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{pos}/{len} {bar:30} {elapsed} {msg}")?);
    let mut rows = Vec::new();
    let mut out = io::stdout();
    writeln!(out, "{}", page::HEAD)?;
    for case in cases {
        bar.set_message(format!("{}: preparing", case.name));
        let prepared = Prepared::new(case, &shared, &sigma, &folder)?;
        let row = measure(&prepared, &bar)?;
        bar.suspend(|| writeln!(out, "{}", page::lines(&row)))?;
        bar.inc(1);
        rows.push(row);
    }
    bar.finish_and_clear();
    write!(out, "{}", page::growth(&rows))?;
    if names.is_empty() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        std::fs::write(readme, page::page(&rows)).context("write benches/peers/README.md")?;
    }
    Ok(())
}

fn measure(prepared: &Prepared, bar: &ProgressBar) -> anyhow::Result<Row> {
    let case = prepared.case;
    let mut engines = vec![Measured { engine: OURS, series: Series::default() }];
    engines.extend(
        Routing::of(&case).iter().map(|routing| Measured { engine: routing.name(), series: Series::default() }),
    );
    let mut events = 0;
    for round in 1..=ROUNDS {
        for Measured { engine, series } in &mut engines {
            if series.spent() > ENOUGH {
                continue;
            }
            bar.set_message(format!("{}: {engine}, round {round} of {ROUNDS}", case.name));
            let figures = prepared.measure(engine)?;
            events = figures.events;
            series.push(figures);
        }
    }
    for Measured { engine, series } in &engines {
        series.found().with_context(|| format!("{}: {engine} does not always find the same", case.name))?;
    }
    let bytes = std::fs::metadata(&prepared.records).map_or(0, |file| file.len());
    Ok(Row { case, event_bytes: bytes as f64 / (events.max(1)) as f64 - 1.0, engines })
}
