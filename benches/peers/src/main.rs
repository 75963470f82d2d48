//! Lapwing's engine beside rsigma: `ratios` says how fast, `agree` says whether they find the same.

mod agree;
mod page;
mod probes;
mod ratios;
mod rsigma;

use anyhow::{Context, bail};
use engine::rule::Given;
use lab::apart::{self, Asked};
use lab::speed::{self, Figures};

use rsigma::Routing;

/// What the table calls us.
const OURS: &str = "lapwing";

fn main() -> anyhow::Result<()> {
    if let Some(asked) = apart::asked()? {
        return Ok(apart::tell(&measure(&asked)?)?);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, names)) if command == "ratios" => ratios::run(names),
        Some((command, [])) if command == "agree" => agree::run(),
        _ => bail!("usage: peers ratios [PART OF A ROW'S NAME…] | agree"),
    }
}

fn measure(asked: &Asked) -> anyhow::Result<Figures> {
    let Asked { engine, case, rules, records } = asked;
    if engine == OURS {
        // Without mappings: both engines look fields up as rules write them.
        return Ok(speed::ours(case, rules, &Given::default(), records)?);
    }
    let routing = Routing::named(engine).with_context(|| format!("no engine {engine:?}"))?;
    rsigma::run(case, routing, rules, records)
}
