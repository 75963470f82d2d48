//! `lapwing check --connect`: whether each source's system answers and lets us read, and if not, what is missing.

use std::path::Path;

use connect::probe::Probe;
use serde_json::json;

use crate::args::Findings;
use crate::command::run::runtime;
use crate::command::{print, say};
use crate::config::Config;
use crate::connectors;

/// Tries every source and prints what was found; answers how much of it is at fault.
///
/// # Errors
/// When no runtime can be started or the output not be written.
pub(super) fn sources(path: &Path, config: &Config, format: Findings) -> anyhow::Result<usize> {
    let mut faults = 0;
    let runtime = runtime()?;
    for (name, source) in &config.sources {
        if format == Findings::Text {
            say(&format!("{}: sources.{name}: trying …", path.display()));
        }
        for system in source.systems() {
            for probe in runtime.block_on(connectors::probe(system)) {
                faults += usize::from(probe.found.is_err());
                match format {
                    Findings::Text => say(&format!("{}: sources.{name}: {probe}", path.display())),
                    Findings::Json => drop(print(&format!("{}\n", object(path, name, &probe)))?),
                }
            }
        }
    }
    #[cfg(feature = "aws")]
    for (place, settings) in (0..).zip(&config.coverage.expect) {
        let Some(settings) = &settings.organization else { continue };
        let name = format!("coverage.expect[{place}]");
        for probe in runtime.block_on(connect::accounts::probe(settings)) {
            faults += usize::from(probe.found.is_err());
            match format {
                Findings::Text => say(&format!("{}: {name}: {probe}", path.display())),
                Findings::Json => drop(print(&format!("{}\n", object(path, &name, &probe)))?),
            }
        }
    }
    Ok(faults)
}

/// What was found, in the form of a finding.
fn object(path: &Path, source: &str, probe: &Probe) -> serde_json::Value {
    let weight = if probe.found.is_ok() { "note" } else { "error" };
    json!({
        "path": path.display().to_string(), "line": null, "column": null, "weight": weight, "lint": null, "rule": null,
        "source": source, "message": probe.to_string(),
    })
}
