//! New rules without a stop: compiled aside, swapped at a batch border, refused as a whole if one is broken.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use engine::rule::RuleSet;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::METRICS;
use crate::rules::{Places, compile_all};

/// Editors write a file in several steps; this long without another change means that they are done.
const SETTLED: Duration = Duration::from_millis(300);
/// A file that never rests is read as it is after this long.
const SETTLED_MAX: Duration = Duration::from_secs(3);
/// What a Kubernetes volume swaps instead of the files in it, which are links through it.
const VOLUME_LINK: &str = "..data";

/// Watches the user's rules and SIGHUP until told to stop.
pub(crate) async fn run(places: Places, rules: Arc<ArcSwap<RuleSet>>, stop: CancellationToken) -> anyhow::Result<()> {
    let (changed, mut changes) = mpsc::channel(1);
    let _watcher = watch(&places.paths, changed)?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => {}
            Some(()) = changes.recv() => tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => {}
                () = settle(&mut changes, SETTLED, SETTLED_MAX) => {}
            }
        }
        let wanted = places.clone();
        let compiled = tokio::task::spawn_blocking(move || compile_all(&wanted)).await?;
        swap(&rules, compiled);
    }
}

/// Returns once nothing has changed for `quiet`, or after `most`.
async fn settle(changes: &mut mpsc::Receiver<()>, quiet: Duration, most: Duration) {
    let rest = async { while let Ok(Some(())) = tokio::time::timeout(quiet, changes.recv()).await {} };
    // Running out of time is an end like the other.
    tokio::time::timeout(most, rest).await.ok();
}

/// Sends when one of these files, or something in one of these folders, changes. A file is watched by its
/// folder: an editor that renames a new one over it takes a watch of the file itself away with the old one.
fn watch(paths: &[PathBuf], changed: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let wanted: Vec<PathBuf> = paths.iter().map(|path| absolute(path)).collect();
    let watched = wanted.clone();
    let mut watcher = recommended_watcher(move |event: notify::Result<Event>| {
        // A full channel already says what this would.
        if event.is_ok_and(|event| concerns(&event, &wanted)) {
            changed.try_send(()).ok();
        }
    })?;
    for path in watched {
        let folder = if path.is_dir() { None } else { path.parent() };
        let watching = match folder {
            None => watcher.watch(&path, RecursiveMode::Recursive),
            Some(folder) => watcher.watch(folder, RecursiveMode::NonRecursive),
        };
        if let Err(error) = watching {
            tracing::warn!(path = %path.display(), %error, "rules not watched: reload with SIGHUP");
        }
    }
    Ok(watcher)
}

/// As events name it: from the root on, its folder without links. The file itself may be a link.
fn absolute(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.canonicalize().unwrap_or_else(|_| path.to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Whether the event is about what is wanted, or may be because the system lost some.
fn concerns(event: &Event, wanted: &[PathBuf]) -> bool {
    let about = |path: &PathBuf| {
        let in_volume = |wanted: &PathBuf| path.ends_with(VOLUME_LINK) && path.parent() == wanted.parent();
        wanted.iter().any(|wanted| path.starts_with(wanted) || in_volume(wanted))
    };
    event.need_rescan() || (!event.kind.is_access() && event.paths.iter().any(about))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_an_editor_renames_over_is_watched_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, "old").unwrap();
        let (changed, mut changes) = mpsc::channel(1);
        let watcher = watch(&[path.clone()], changed).unwrap();
        for round in 0..3 {
            let new = folder.path().join("rules.yml~");
            std::fs::write(&new, format!("{round}")).unwrap();
            std::fs::rename(new, &path).unwrap();
            changes.recv().await.unwrap();
        }
        drop(watcher);
    }

    #[test]
    fn only_what_is_wanted_or_may_have_been_missed_is_a_change() {
        let wanted = [PathBuf::from("/rules"), PathBuf::from("/etc/lapwing/own.yml")];
        let event = |path: &str| Event::new(notify::EventKind::Any).add_path(PathBuf::from(path));
        for (path, expected) in [
            ("/rules/aws/root.yml", true),
            ("/etc/lapwing/own.yml", true),
            ("/etc/lapwing/..data", true),
            ("/etc/lapwing/lapwing.yaml", false),
            ("/rules.bak/root.yml", false),
        ] {
            assert_eq!(concerns(&event(path), &wanted), expected, "{path}");
        }
        let missed = Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(concerns(&missed, &wanted));
    }

    #[tokio::test]
    async fn a_file_that_never_rests_is_read_all_the_same() {
        let (changed, mut changes) = mpsc::channel(1);
        let restless = tokio::spawn(async move { while changed.send(()).await.is_ok() {} });
        settle(&mut changes, Duration::from_secs(3_600), Duration::from_millis(20)).await;
        drop(changes);
        restless.await.unwrap();
    }
}
