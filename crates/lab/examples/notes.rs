//! What taking notes costs beside matching, on an ordinary day of the synthetic world:
//! `cargo run --release -p lab --example notes`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use engine::deploys::{Deploys, Limits as Kept, Marks, Policy};
use engine::detect::{Raw, Seen, sight_raw};
use engine::event::Kind;
use engine::lineage::{self, Glimpse, Lineage};
use engine::normalise::{Format, Limits, normalise};
use engine::notes::{Notebook, Readers};
use engine::rule::{RuleFile, RuleSet, Scratch};
use lab::world::{Attacks, Plan, Record, World};

const BATCH: usize = 1_000;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let (rules, problems) = RuleSet::compile(&files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules"))?);
    assert!(problems.is_empty(), "{problems:?}");
    let plan = Plan { days: 1, attacks: Attacks::None, ..Plan::default() };
    let all: Vec<Record> = World::new(&plan).collect();
    let trail: Vec<&Record> = all.iter().filter(|record| record.kind == Kind::AwsCloudtrail).collect();
    writeln!(out, "{} records, {} of CloudTrail", all.len(), trail.len())?;
    for round in 0..3 {
        let none = run(&rules, &trail, Readers::default());
        let lineage = run(&rules, &trail, Readers { lineage: true, deploys: false });
        let both = run(&rules, &trail, Readers { lineage: true, deploys: true });
        let per = |seconds: f64| seconds * 1e9 / trail.len() as f64;
        writeln!(
            out,
            "round {round}: matching {:.0} ns an event, with lineage {:.0}, with both {:.0}; {} traces and {} facts, {} bytes",
            per(none.0),
            per(lineage.0),
            per(both.0),
            both.1,
            both.2,
            both.3,
        )?;
    }
    settle(&mut out)
}

/// Seconds, traces, facts, and their bytes in the journal.
fn run(rules: &RuleSet, records: &[&Record], readers: Readers) -> (f64, usize, usize, usize) {
    let (mut scratch, limits, format) = (Scratch::default(), Limits::default(), Format::Known(Kind::AwsCloudtrail));
    let (mut traces, mut facts, mut bytes) = (0, 0, 0);
    let start = Instant::now();
    for batch in records.chunks(BATCH) {
        let mut notebook = Notebook::new(readers);
        for (place, record) in batch.iter().enumerate() {
            let seen = sight_raw(rules, Raw { body: &record.raw, position: "p", format }, &limits, &mut scratch);
            let Some(Seen { glimpse, .. }) = seen else { continue };
            match glimpse {
                Glimpse::Nothing => {}
                Glimpse::Used(used) => notebook.see(&used, place),
                Glimpse::Whole if readers.any() => {
                    let (mut events, mut rejects) = (Vec::new(), Vec::new());
                    normalise(format, &record.raw, "p", &limits, &mut events, &mut rejects);
                    for event in &events {
                        notebook.read(event, place);
                    }
                }
                Glimpse::Whole => {}
            }
        }
        let notes = notebook.close().notes;
        traces += notes.traces.len();
        facts += notes.facts.len();
        if readers.any() {
            bytes += postcard::to_stdvec(&notes).map_or(0, |bytes| bytes.len());
        }
    }
    (start.elapsed().as_secs_f64(), traces, facts, bytes)
}

/// What judging all facts costs, and what a lineage takes.
fn settle(out: &mut impl Write) -> std::io::Result<()> {
    let plan = Plan { days: 10, attacks: Attacks::None, ..Plan::default() };
    let mut notebook = Notebook::new(Readers { lineage: true, deploys: true });
    let (mut deploys, mut known) =
        (Deploys::new(Kept::default()), Lineage::new(lineage::Caps::default(), lineage::Policy::default()));
    let mut marks = Marks::new();
    for record in World::new(&plan) {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        normalise(Format::Known(record.kind), &record.raw, "p", &Limits::default(), &mut events, &mut rejects);
        for event in &events {
            notebook.read(event, 0);
        }
        let heard = engine::deploys::Heard { since: plan.start, mark: record.time };
        marks.entry(record.kind).or_insert(heard).mark = record.time;
    }
    let notes = notebook.close().notes;
    let mut found = Vec::new();
    let (traces, start) = (notes.traces.len(), Instant::now());
    notes.traces.into_iter().for_each(|trace| known.take(trace, &mut found));
    writeln!(
        out,
        "{traces} traces taken in {:?}: {} credentials, {} findings",
        start.elapsed(),
        known.len(),
        found.len()
    )?;
    let mut kinds = std::collections::BTreeMap::<&str, (usize, &str)>::new();
    for finding in &found {
        kinds.entry(finding.kind.name()).or_insert((0, &finding.sentence)).0 += 1;
    }
    writeln!(out, "{kinds:#?}")?;
    notes.facts.into_iter().for_each(|fact| deploys.take(fact));
    for _ in 0..3 {
        let start = Instant::now();
        let told = deploys.settle(&Policy::default(), &marks);
        writeln!(out, "{} facts settled in {:?}: {} told", deploys.len(), start.elapsed(), told.len())?;
    }
    let start = Instant::now();
    let saved = postcard::to_stdvec(&known.save()).map_or(0, |bytes| bytes.len());
    writeln!(out, "lineage saved in {:?}: {saved} bytes", start.elapsed())
}

fn files(folder: &Path) -> std::io::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            files.push(RuleFile { path: path.display().to_string(), text: std::fs::read_to_string(&path)? });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}
