//! Small rules and events at the borders of the specification, where engines are known to part.
//!
//! `probes.toml` says what each engine answers. The word *differs* in the report is what docs/sigma.md tells.

use anyhow::{Context, ensure};
use engine::event::{Kind, LogSource};
use engine::normalise::Format;
use engine::rule::RuleFile;
use lab::replay::Record;
use serde::Deserialize;

use crate::agree::{Both, Only};

const PROBES: &str = include_str!("../probes.toml");

#[derive(Deserialize)]
struct Probes {
    probe: Vec<Probe>,
}

/// One rule, the events it matches and those it does not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    about: String,
    /// YAML: searches and condition.
    detection: String,
    #[serde(default)]
    matches: Vec<String>,
    #[serde(default)]
    ignores: Vec<String>,
    /// Of these events, the ones on which rsigma says otherwise.
    #[serde(default)]
    rsigma_differs: Vec<String>,
    /// Of these events, the ones that ours still answers wrongly. To be mended, and told until then.
    #[serde(default)]
    open: Vec<String>,
    /// What decides it, where they differ.
    #[serde(default)]
    specification: String,
}

/// Asks both engines; every answer that is not as written is an error, and all are told.
pub(crate) fn run() -> anyhow::Result<()> {
    let read: Probes = toml::from_str(PROBES).context("read probes.toml")?;
    let (mut asked, mut wrong) = (0, Vec::new());
    for (number, probe) in read.probe.iter().enumerate() {
        ensure!(
            probe.rsigma_differs.is_empty() || !probe.specification.is_empty(),
            "probes.toml: {:?} differs and does not say by which sentence",
            probe.about
        );
        let text = format!(
            "title: Probe\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\nlogsource: {{product: probe}}\n\
             detection: {}\nlevel: low\n",
            probe.detection
        );
        let any = LogSource::default();
        let rules = [RuleFile { path: probe.about.clone(), text }];
        let mut both = match Both::new(&rules, &any) {
            Ok(both) => both,
            Err(error) => {
                wrong.push(format!("{}: {error:#}", probe.about));
                continue;
            }
        };
        let events = probe.matches.iter().map(|event| (event, true));
        for (event, expected) in events.chain(probe.ignores.iter().map(|event| (event, false))) {
            asked += 1;
            let body = event.replacen('{', "{\"@timestamp\":\"2026-01-01T10:20:30Z\",", 1).replace(",}", "}");
            let record = Record { position: probe.about.clone(), body: body.into_bytes() };
            let before = both.agreed;
            let differences = both.compare(Format::Known(Kind::Json), &record, &any)?;
            let ours = both.agreed > before || differences.iter().any(|found| found.only == Only::Lapwing);
            let differs = !differences.is_empty();
            if probe.open.contains(event) {
                println!("open: {}: lapwing answers {ours} to {event}", probe.about);
                continue;
            }
            if ours != expected {
                wrong.push(format!("{}: lapwing answers {ours} to {event}", probe.about));
            }
            if differs != probe.rsigma_differs.contains(event) {
                let they = if differs { "differs" } else { "agrees" };
                wrong.push(format!("{}: rsigma {they} on {event}", probe.about));
            }
        }
    }
    println!("{} probes, {asked} events", read.probe.len());
    ensure!(wrong.is_empty(), "{} answers are not as probes.toml says:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}
