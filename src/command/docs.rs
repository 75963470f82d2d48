//! `lapwing docs`: writes the generated pages anew. For developers; tests compare them.

use anyhow::Context;

use super::Outcome;

/// Writes into `docs/` of the current folder.
///
/// # Errors
/// When a page cannot be written.
pub(crate) fn run() -> anyhow::Result<Outcome> {
    std::fs::write("docs/config.md", crate::docs::page()).context("write docs/config.md")?;
    std::fs::write("docs/metrics.md", crate::metrics::page()).context("write docs/metrics.md")?;
    Ok(Outcome::Done)
}
