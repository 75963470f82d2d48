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
use lab::table::{self, Row};

use crate::OURS;
use crate::agree;
use crate::page;
use crate::rsigma::Routing;

/// Runs of each engine and row, unless they take too long.
const ROUNDS: usize = 3;

/// An engine that has spent this much on a row does not run again.
const ENOUGH: Duration = Duration::from_secs(12);

/// Events that are compared one by one where no setting of rsigma routes as ours does.
const COMPARED: usize = 20_000;

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
    writeln!(out, "{}", table::HEAD)?;
    for case in cases {
        bar.set_message(format!("{}: preparing", case.name));
        let prepared = Prepared::new(case, &shared, &sigma, &folder)?;
        let row = measure(&prepared, &bar)?;
        bar.suspend(|| writeln!(out, "{}", row.lines()))?;
        bar.inc(1);
        rows.push(row);
    }
    bar.finish_and_clear();
    write!(out, "{}", table::growth(&rows))?;
    if names.is_empty() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        std::fs::write(readme, page::page(&rows)).context("write benches/peers/README.md")?;
    }
    Ok(())
}

fn measure(prepared: &Prepared, bar: &ProgressBar) -> anyhow::Result<Row> {
    let case = prepared.case;
    let mut engines = vec![(OURS, Series::default())];
    engines.extend(Routing::of(&case).iter().map(|routing| (routing.name(), Series::default())));
    for round in 1..=ROUNDS {
        for (engine, series) in &mut engines {
            if series.spent() > ENOUGH {
                continue;
            }
            bar.set_message(format!("{}: {engine}, round {round} of {ROUNDS}", case.name));
            series.push(prepared.measure(engine)?);
        }
    }
    bar.set_message(format!("{}: comparing what was found", case.name));
    same(prepared, &engines)?;
    Ok(Row { case, engines })
}

/// Fails if the engines found different things for a reason that nobody has written down: a faster wrong answer
/// is not faster.
fn same(prepared: &Prepared, engines: &[(&'static str, Series)]) -> anyhow::Result<()> {
    let case = prepared.case;
    let found = |(engine, series): &(&'static str, Series)| {
        series.found().with_context(|| format!("{}: {engine} does not always find the same", case.name))
    };
    let all: Vec<u64> = engines.iter().map(found).collect::<Result<_, _>>()?;
    let ours = all[0];
    if case.counts() {
        ensure!(all.iter().all(|theirs| *theirs == ours), "{}: alerts are {all:?}", case.name);
        return Ok(());
    }
    let by_hand = engines.iter().position(|(engine, _)| *engine == Routing::ByHand.name());
    match by_hand.map(|place| all[place]) {
        // Equal routing, equal number: all that a count can say.
        Some(theirs) if theirs == ours => Ok(()),
        Some(_) => agree::of_case(prepared, usize::MAX),
        None => agree::of_case(prepared, COMPARED),
    }
}
