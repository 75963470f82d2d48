//! `lapwing run`: the service until SIGTERM or Ctrl-C.

use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::config::Config;
use crate::service::Lapwing;

/// Runs the service.
///
/// # Errors
/// When it cannot start or fails as a whole.
pub(crate) fn run(path: &Path) -> anyhow::Result<Outcome> {
    let config = Config::read(path)?;
    runtime()?.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone())?;
        let lapwing = Lapwing::open(config, Some(path), &stop).await?;
        lapwing.run(stop).await?;
        tracing::info!("stopped");
        Ok(Outcome::Done)
    })
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start runtime")
}

/// The first signal stops in order; a second one ends the process where it is, which loses nothing either.
pub(super) fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if !first {
                std::process::exit(130);
            }
            tracing::info!("stopping: finishing what was accepted");
            stop.cancel();
        }
    });
    Ok(())
}
