//! New rules without a stop: compiled aside, swapped at a batch border, refused as a whole if one is broken.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use engine::rule::RuleSet;
use notify::{RecursiveMode, Watcher, recommended_watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::METRICS;
use crate::rules::{Places, compile_all};

/// Editors write a file in several steps; this long without another change means that they are done.
const SETTLED: Duration = Duration::from_millis(300);

/// Watches the user's rules and SIGHUP until told to stop.
pub(crate) async fn run(places: Places, rules: Arc<ArcSwap<RuleSet>>, stop: CancellationToken) -> anyhow::Result<()> {
    let (changed, mut changes) = mpsc::channel(1);
    // A full channel already says what this would.
    let mut watcher = recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.try_send(()).ok();
        }
    })?;
    for path in &places.paths {
        if let Err(error) = watcher.watch(path, RecursiveMode::Recursive) {
            tracing::warn!(path = %path.display(), %error, "rules not watched: reload with SIGHUP");
        }
    }
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => {}
            Some(()) = changes.recv() => {
                while let Ok(Some(())) = tokio::time::timeout(SETTLED, changes.recv()).await {}
            }
        }
        let wanted = places.clone();
        let compiled = tokio::task::spawn_blocking(move || compile_all(&wanted)).await?;
        swap(&rules, compiled);
    }
}

fn swap(rules: &ArcSwap<RuleSet>, compiled: anyhow::Result<RuleSet>) {
    match compiled {
        Ok(new) => {
            let count = new.rules().len();
            METRICS.rules.set(i64::try_from(count).unwrap_or(i64::MAX));
            METRICS.rules_reloads.with_label_values(&["ok"]).inc();
            rules.store(Arc::new(new));
            tracing::info!(rules = count, "rules reloaded");
        }
        Err(error) => {
            METRICS.rules_reloads.with_label_values(&["refused"]).inc();
            tracing::error!(error = format!("{error:#}"), "new rules refused, the old ones stay");
        }
    }
}
