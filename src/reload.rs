//! New rules, mappings and sources without a stop. Rules are compiled aside, swapped at a batch border, and refused as a
//! whole if one is broken; so is a configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use engine::rule::RuleSet;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Prints};
use crate::metrics::METRICS;
use crate::rules::{Places, compile_all};

/// Editors write a file in several steps; this long without another change means that they are done.
const RESTED: Duration = Duration::from_millis(300);
/// A file that never rests is read as it is after this long.
const RESTED_MAX: Duration = Duration::from_secs(3);

/// A configuration file that may change.
#[derive(Debug)]
pub(crate) struct Configured {
    /// Where it stands.
    pub file: PathBuf,
    /// What its parts said when they were followed last.
    pub prints: Prints,
    /// Who follows what it says of sources.
    pub changed: mpsc::Sender<Config>,
}

/// Calls to read rules and configuration again. Listens from its making on, so that no change after a first reading is missed.
#[derive(Debug)]
pub(crate) struct Calls {
    hangup: Signal,
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Calls {
    /// Listens to SIGHUP and watches the user's rules and mappings, and the configuration's `file`.
    ///
    /// # Errors
    /// When the system offers no watching at all; a single path that cannot be watched is only a warning.
    pub(crate) fn listen(places: &Places, file: Option<&Path>) -> anyhow::Result<Self> {
        let (changed, changes) = mpsc::channel(1);
        let watched: Vec<PathBuf> =
            places.watched().map(PathBuf::as_path).chain(file).flat_map(std::path::absolute).collect();
        let ours = watched.clone();
        // A full channel already says what this would.
        let mut watcher = recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| concerns(&event, &ours)) {
                changed.try_send(()).ok();
            }
        })?;
        for path in &watched {
            // A file is watched through its folder: editors put a new file in the place of the old one.
            let (seen, mode) = match path.parent() {
                Some(folder) if path.is_file() => (folder, RecursiveMode::NonRecursive),
                Some(_) | None => (path.as_path(), RecursiveMode::Recursive),
            };
            if let Err(error) = watcher.watch(seen, mode) {
                tracing::warn!(path = %path.display(), %error, "not watched: reload with SIGHUP");
            }
        }
        Ok(Self { hangup: signal(SignalKind::hangup())?, changes, _watcher: watcher })
    }
}

/// Reads rules and configuration anew at each call until told to stop.
pub(crate) async fn run(
    mut calls: Calls,
    places: Places,
    rules: Arc<ArcSwap<RuleSet>>,
    mut configured: Option<Configured>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = calls.hangup.recv() => {}
            Some(()) = calls.changes.recv() => tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = calls.hangup.recv() => {}
                () = wait_for_rest(&mut calls.changes, RESTED, RESTED_MAX) => {}
            }
        }
        let wanted = places.clone();
        let compiled = tokio::task::spawn_blocking(move || compile_all(&wanted)).await?;
        swap(&rules, compiled);
        if let Some(configured) = &mut configured {
            configured.follow(&stop).await;
        }
    }
}

impl Configured {
    async fn follow(&mut self, stop: &CancellationToken) {
        let outcome = |outcome| METRICS.config_reloads.with_label_values(&[outcome]).inc();
        // An editor that writes in place empties the file first.
        let is_empty = std::fs::metadata(&self.file).is_ok_and(|file| file.len() == 0);
        let read = if is_empty {
            Err(anyhow::anyhow!("the file is empty"))
        } else {
            Config::read(&self.file).map_err(Into::into)
        };
        let config = match read {
            Ok(config) => config,
            Err(error) => {
                outcome("refused");
                let error = format!("{error:#}");
                tracing::error!(error, "new configuration refused, the old one stays");
                return;
            }
        };
        if config.prints.rest == self.prints.rest {
            outcome("ok");
        } else {
            outcome("restart");
            tracing::warn!("the configuration changed in more than its sources: that waits for a restart");
        }
        self.prints.rest = config.prints.rest;
        // Also if it says the same: a secret may have changed, or what could not be opened may work now.
        tokio::select! {
            () = stop.cancelled() => {}
            // Whoever follows has ended only if all ends.
            sent = self.changed.send(config) => drop(sent),
        }
    }
}

/// Whether a change is one of the rules, or may be because the system lost some. Kubernetes exchanges all files
/// of a folder by the link `..data` in it.
fn concerns(event: &Event, watched: &[PathBuf]) -> bool {
    let exchanged = |path: &Path| path.file_name().is_some_and(|name| name == "..data");
    let ours = |path: &PathBuf| exchanged(path) || watched.iter().any(|watched| path.starts_with(watched));
    event.need_rescan() || (!event.kind.is_access() && event.paths.iter().any(ours))
}

/// Returns once nothing has changed for `quiet`, or after `most`.
async fn wait_for_rest(changes: &mut mpsc::Receiver<()>, quiet: Duration, most: Duration) {
    let rest = async { while let Ok(Some(())) = tokio::time::timeout(quiet, changes.recv()).await {} };
    // Running out of time is an end like the other.
    tokio::time::timeout(most, rest).await.ok();
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
    use engine::event::{Kind, Uid};
    use engine::rule::{Placeholders, Scratch};
    use engine::time::{Timestamp, Zone};

    use crate::config::Enrichment;

    use super::*;

    fn places(paths: Vec<PathBuf>, mappings: Vec<PathBuf>) -> Places {
        let (placeholders, enrichment) = (Placeholders::default(), Enrichment::default());
        Places { shipped: false, paths, placeholders, mappings, enrichment, zone: Zone::default(), budget: None }
    }

    #[tokio::test]
    async fn mappings_are_watched_as_rules_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut calls = Calls::listen(&places(Vec::new(), vec![folder.path().to_owned()]), None).unwrap();
        std::fs::write(folder.path().join("json.yml"), "new").unwrap();
        calls.changes.recv().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_known_of_addresses_is_watched_and_a_bad_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let rule = folder.path().join("rule.yml");
        let text = "title: Tor\nid: 11111111-1111-4111-8111-111111111111\nlevel: low\nlogsource: {}\n\
                    detection: {s: {source.tor: true}, condition: s}\n";
        std::fs::write(&rule, text).unwrap();
        let list = folder.path().join("exits.txt");
        std::fs::write(&list, "192.0.2.7\n").unwrap();
        let enrichment = Enrichment { tor: Some(list.clone()), ..Enrichment::default() };
        let places = Places { enrichment, ..places(vec![rule], Vec::new()) };
        let rules = ArcSwap::from_pointee(compile_all(&places).unwrap());
        let found = |rules: &ArcSwap<RuleSet>| {
            ["192.0.2.7", "198.51.100.9"].map(|address| {
                let raw = sonic_rs::from_str(&format!(r#"{{"source":{{"ip":"{address}"}}}}"#)).unwrap();
                let uid = Uid { origin: String::new(), id: String::new() };
                let event = engine::event::Event { uid, time: Timestamp::default(), kind: Kind::Json, raw };
                rules.load().matches(&event, &mut Scratch::default()).len()
            })
        };
        assert_eq!(found(&rules), [1, 0]);
        let mut calls = Calls::listen(&places, None).unwrap();
        for (text, expected) in [("<html>", [1, 0]), ("198.51.100.9", [0, 1])] {
            std::fs::write(&list, text).unwrap();
            calls.changes.recv().await.unwrap();
            swap(&rules, compile_all(&places));
            assert_eq!(found(&rules), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_an_editor_renames_over_is_watched_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, "old").unwrap();
        let mut calls = Calls::listen(&places(vec![path.clone()], Vec::new()), None).unwrap();
        for round in 0..3 {
            let new = folder.path().join("rules.yml~");
            std::fs::write(&new, format!("{round}")).unwrap();
            std::fs::rename(new, &path).unwrap();
            calls.changes.recv().await.unwrap();
        }
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
        wait_for_rest(&mut changes, Duration::from_secs(3_600), Duration::from_millis(20)).await;
        drop(changes);
        restless.await.unwrap();
    }
}
