//! What the shipped rules find in the synthetic world, and what they cost on its ordinary days: `make score`.
//!
//! **Synthetic**: the world was written without a look at rules or thresholds, and no company is like it. `SCORE_DAYS` and
//! `SCORE_SIZE` (percent) make it smaller.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use engine::detect::Budget;
use engine::rule::{Given, RuleFile, RuleSet, Severity};
use indicatif::{ProgressBar, ProgressStyle};
use lab::scorecard::{Scorecard, score};
use lab::shipped::rule_files;
use lab::world::Plan;

fn main() -> anyhow::Result<()> {
    let number = |name: &str, usual: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let plan = Plan { days: number("SCORE_DAYS", 30), size_percent: number("SCORE_SIZE", 100), ..Plan::default() };
    let files = rule_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).context("read the shipped rules")?;
    let plain: Vec<RuleFile> = files.iter().filter(|file| !file.text.contains("\nanomaly:")).cloned().collect();
    let mut out = std::io::stdout();
    let mut page = String::from(
        "# What the shipped rules find in a synthetic world\n\nWritten by `make score`. **All of it is synthetic**: a company of \
         the lab, its habits and its attackers, written without a look at any rule.\n",
    );
    let budget = |text: &str| text.parse::<Budget>().context("read the budget").map(Some);
    for (name, files, budget, with_ledgers) in [
        ("rules that count", &plain, None, false),
        ("and rules that learn", &files, None, false),
        ("and a budget of 20 alerts a day", &files, budget("20/day")?, false),
        ("and a budget of 5 alerts a day", &files, budget("5/day")?, false),
        ("rules that count and learn, and the two ledgers", &files, None, true),
    ] {
        let (rules, problems) = RuleSet::compile_with(files, &Given { budget, ..Given::default() });
        anyhow::ensure!(problems.is_empty(), "the shipped rules have problems: {problems:?}");
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}: {pos} records, {elapsed}")?);
        bar.set_message(name);
        let start = Instant::now();
        let card = score(&rules, &plan, with_ledgers, |records| bar.set_position(records));
        bar.finish_and_clear();
        let said = said(name, &card, start.elapsed().as_secs_f64());
        write!(out, "{said}")?;
        page += &format!("\n## {name}\n\n{said}\n{}", card.page());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/score");
    std::fs::create_dir_all(&folder).context("create benches/score")?;
    std::fs::write(folder.join("README.md"), page).context("write benches/score/README.md")
}

fn said(name: &str, card: &Scorecard, seconds: f64) -> String {
    let (found, in_time) = card.recall();
    let deploys =
        card.deploys.map_or_else(String::new, |(all, explained)| format!("; {explained} of {all} deploys explained"));
    format!(
        "{name}: of {} stories {found} raised an alert of medium or higher, {in_time} before the attacker's goal; {:.1} such \
         alerts a day on ordinary days, {:.1} of any severity; {} records in {} days, {} rejects, {seconds:.1} s with the \
         making of them; {} keys, {:.1} MB{deploys}\n",
        card.stories.len(),
        card.benign_a_day(Severity::Medium),
        card.benign_a_day(Severity::Informational),
        card.records,
        card.days,
        card.rejects,
        card.keys,
        card.bytes as f64 / 1e6,
    )
}
