//! Remember in order: the one owner of state, seen ids and positions in flight.
//!
//! Takes matched batches in order, counts each event once, applies it, and writes everything that follows
//! in one transaction together with the marks. Only then are sources told. A commit that fails is tried
//! again as it is: nothing further is applied, and the bounded channels hold everybody else back.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use engine::detect::{Caps, Change, Count, Sighting, State};
use engine::event::{Kind, Uid};
use engine::hash::Seed;
use engine::normalise::Reject;
use engine::rule::{RuleSet, Severity};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, Kept};
use crate::metrics::METRICS;
use crate::store::{Commit, DeadRecord, Recovered, SEEN_MAX, Store, Told};
use crate::workers::{Collected, Matched};
use connect::clock::Clock;

mod changes;

use changes::Changes;

/// Batches in one commit: bounds both the transaction and the wait of its first batch.
const GROUP_MAX: usize = 64;
/// Journal size at which a snapshot takes its place. Reading it back takes well under a second.
const JOURNAL_BYTES_MAX: usize = 8 << 20;
/// Unreadable records that one commit keeps, the others are counted: a body of millions of broken lines must
/// neither hold up its source nor push all other dead records out.
const DEAD_MAX: usize = 100;
/// A source that sends what cannot be read is named in the log at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(60);
/// Wait before a failed commit is tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

/// Everything that the owner owns.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: Arc<Store>,
    archive: Archive,
    archive_bytes_max: u64,
    state: State,
    seen: Seen,
    number: u64,
    journal_bytes: usize,
    counted: (u64, u64),
    /// When each source was last said to send what cannot be read.
    warned: BTreeMap<String, Instant>,
    clock: Clock,
}

/// Who is told that something was committed.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    /// The router.
    pub router: Arc<Notify>,
    /// Those who follow alerts live.
    pub live: broadcast::Sender<Told>,
    /// Set while commits work; `/ready` reads it.
    pub committing: Arc<std::sync::atomic::AtomicBool>,
}

/// Ids of counted events, the oldest commits forgotten first.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<u64>,
    commits: VecDeque<(u64, Vec<u64>)>,
}

impl Ledger {
    /// Takes up where the last run stopped.
    ///
    /// # Errors
    /// When the saved state cannot be read or the archive not be opened.
    pub(crate) fn open(
        store: Arc<Store>,
        recovered: Recovered,
        rules: &RuleSet,
        folder: &Path,
        archive_bytes_max: u64,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let caps = Caps { seed: drawn(), ..Caps::default() };
        let mut state = match recovered.snapshot {
            None => State::new(caps),
            Some(bytes) => State::restore(&bytes, caps).context("restore state")?,
        };
        let mut changes = Vec::new();
        for sighting in &recovered.journal {
            state.apply(rules, sighting, &mut changes);
        }
        let number = recovered.number + tell_unknown(&store, changes, recovered.number + 1, clock.now())?;
        let mut seen = Seen::default();
        for (number, ids) in recovered.seen {
            seen.ids.extend(&ids);
            seen.commits.push_back((number, ids));
        }
        let counted = (state.evicted(), state.late());
        Ok(Self {
            store,
            archive: Archive::open(&folder.join("archive"))?,
            archive_bytes_max,
            state,
            seen,
            number,
            journal_bytes: recovered.journal_bytes,
            counted,
            warned: BTreeMap::new(),
            clock,
        })
    }

    /// Runs until the workers have ended; then saves a snapshot.
    pub(crate) fn run(mut self, mut matched: Collected, listeners: &Listeners, stop: &CancellationToken) {
        while let Some(first) = matched.next() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Some(more) = matched.ready()
            {
                group.push(more);
            }
            let (commit, kept) = self.apply(&group);
            let Some(told) = self.commit(commit, &kept, listeners, stop) else { return };
            for batch in &group {
                batch.feed.done.committed(&batch.mark);
            }
            self.report(&group);
            listeners.router.notify_one();
            for told in told {
                // Nobody listening is no fault.
                drop(listeners.live.send(told));
            }
        }
        let last = Commit { snapshot: self.state.save().ok(), ..self.blank() };
        if let Err(error) = self.store.commit(&last).and_then(|_| self.store.close_cleanly()) {
            tracing::warn!(error = format!("{error:#}"), "last snapshot not written, the journal serves as well");
        }
    }

    fn blank(&mut self) -> Commit {
        self.number += 1;
        Commit { number: self.number, seen_from: self.seen.first(), now: self.clock.now(), ..Commit::default() }
    }

    /// Counts and applies; from here on only the commit can make it true.
    fn apply(&mut self, group: &[Matched]) -> (Commit, Vec<Kept>) {
        let mut commit = self.blank();
        let mut kept = Vec::new();
        let (mut caused, mut changes) = (Vec::new(), Changes::default());
        for batch in group {
            let mut duplicates = 0;
            for (sighting, json) in &batch.sightings {
                let id = hash(sighting.kind, &sighting.uid);
                if !self.seen.ids.insert(id) {
                    duplicates += 1;
                    continue;
                }
                commit.seen.push(id);
                let (kind, uid, time) = (sighting.kind, sighting.uid.clone(), sighting.time);
                kept.push(Kept { kind, uid, time, json: json.clone() });
                self.state.apply(&batch.rules, sighting, &mut caused);
                caused.drain(..).for_each(|change| changes.take(change));
                commit.sightings.extend(remembered(sighting));
            }
            // Windows that wait for the end of their time must not wait for an event that matches. It is written
            // down, so that a restart judges none of them again.
            if let Some(newest) = batch.newest.filter(|_| self.state.waits()) {
                let tick = Sighting::tick(newest);
                self.state.apply(&batch.rules, &tick, &mut caused);
                caused.drain(..).for_each(|change| changes.take(change));
                commit.sightings.push(tick);
            }
            METRICS.events_duplicate.with_label_values(&[&batch.feed.name]).inc_by(duplicates);
            if batch.feed.keeps_position {
                commit.marks.entry(batch.feed.name.clone()).or_default().0.extend(batch.mark.0.clone());
            }
            dead_records(batch, &mut commit);
        }
        commit.changes = changes.into_vec();
        self.seen.remember(commit.number, &commit.seen);
        commit.seen_from = self.seen.first();
        (commit, kept)
    }

    /// Writes until it is written; nothing if the service is stopped while the disk refuses.
    fn commit(
        &mut self,
        mut commit: Commit,
        kept: &[Kept],
        listeners: &Listeners,
        stop: &CancellationToken,
    ) -> Option<Vec<Told>> {
        use std::sync::atomic::Ordering::Relaxed;
        self.journal_bytes += commit.sightings.iter().map(|s| 512 + 128 * s.findings.len()).sum::<usize>();
        if self.journal_bytes > JOURNAL_BYTES_MAX {
            commit.snapshot = self.state.save().ok();
            self.journal_bytes = 0;
        }
        loop {
            let start = Instant::now();
            match self.write(&mut commit, kept) {
                Ok(told) => {
                    METRICS.commit_seconds.observe(start.elapsed().as_secs_f64());
                    if !listeners.committing.swap(true, Relaxed) {
                        tracing::info!("commits work again");
                    }
                    self.count_changes(&commit.changes, &told);
                    return Some(told);
                }
                Err(error) => {
                    METRICS.commit_failures.inc();
                    if listeners.committing.swap(false, Relaxed) {
                        tracing::error!(
                            error = format!("{error:#}"),
                            "commit failed: accepting nothing until it works"
                        );
                    }
                    if stop.is_cancelled() {
                        return None;
                    }
                    std::thread::sleep(COMMIT_RETRY);
                }
            }
        }
    }

    /// One attempt, which leaves in `commit` what the next one needs not do again.
    fn write(&mut self, commit: &mut Commit, kept: &[Kept]) -> anyhow::Result<Vec<Told>> {
        if commit.archived.is_empty() {
            commit.archived = self.archive.keep(kept)?;
        }
        let written = self.store.commit(commit);
        // A snapshot may be too large for one row, and the journal serves as well.
        if let Err(error) = &written
            && let Some(snapshot) = commit.snapshot.take()
        {
            let (error, bytes) = (format!("{error:#}"), snapshot.len());
            tracing::error!(error, bytes, "commit with a snapshot failed, trying without");
            return self.store.commit(commit);
        }
        written
    }

    fn count_changes(&mut self, changes: &[Change], told: &[Told]) {
        let fresh: HashSet<&str> = told.iter().filter(|told| told.new).map(|told| told.id.0.as_str()).collect();
        for change in changes.iter().filter(|change| change.tell) {
            let severity = name(change.alert.severity);
            METRICS.alert_revisions.with_label_values(&[severity]).inc();
            if change.revision == 1 && fresh.contains(change.alert.id.0.as_str()) {
                METRICS.alerts.with_label_values(&[severity]).inc();
            }
        }
        let now = (self.state.evicted(), self.state.late());
        METRICS.state_evictions.inc_by(now.0 - self.counted.0);
        METRICS.events_late.inc_by(now.1 - self.counted.1);
        METRICS.state_keys.set(i64::try_from(self.state.keys()).unwrap_or(i64::MAX));
        self.counted = now;
        if self.number.is_multiple_of(256)
            && let Err(error) = self.trim()
        {
            tracing::warn!(error = format!("{error:#}"), "archive not trimmed");
        }
    }

    fn trim(&self) -> anyhow::Result<()> {
        let gone = self.archive.trim(self.archive_bytes_max)?;
        if gone.is_empty() { Ok(()) } else { self.store.forget_segments(&gone) }
    }

    /// Says that a source sends what cannot be read, once in a while: each record is a dead letter anyway.
    fn warn(&mut self, source: &str, reject: &Reject) {
        let now = Instant::now();
        if self.warned.get(source).is_some_and(|last| now.duration_since(*last) < WARN_AGAIN) {
            return;
        }
        self.warned.insert(source.to_owned(), now);
        let (position, reason) = (&reject.position, reject.reason.name());
        tracing::warn!(%source, ?position, reason, "records rejected: /api/v1/dead-records lists them");
    }

    fn report(&mut self, group: &[Matched]) {
        for batch in group {
            let source = [batch.feed.name.as_str()];
            METRICS.events.with_label_values(&source).inc_by(batch.events);
            METRICS.events_matched.with_label_values(&source).inc_by(batch.sightings.len() as u64);
            METRICS.bytes.with_label_values(&source).inc_by(batch.bytes);
            if let Some(reject) = batch.rejects.first() {
                self.warn(&batch.feed.name, reject);
            }
            for reject in &batch.rejects {
                METRICS.rejects.with_label_values(&[&batch.feed.name, reject.reason.name()]).inc();
            }
        }
    }
}

impl Seen {
    fn remember(&mut self, number: u64, ids: &[u64]) {
        if !ids.is_empty() {
            self.commits.push_back((number, ids.to_vec()));
        }
        while self.ids.len() > SEEN_MAX
            && let Some((_, oldest)) = self.commits.pop_front()
        {
            for id in oldest {
                self.ids.remove(&id);
            }
        }
    }

    /// The oldest commit that is remembered.
    fn first(&self) -> u64 {
        self.commits.front().map_or(0, |(number, _)| *number)
    }
}

/// Writes those changes whose alerts the store does not hold, and answers how many commits that took. With the
/// rules of the last run there are none: windows only take up where they were. A rule that asks for less since
/// then finds its alert here, and people must hear of it.
fn tell_unknown(
    store: &Store,
    mut changes: Vec<Change>,
    number: u64,
    now: engine::time::Timestamp,
) -> anyhow::Result<u64> {
    let reader = store.reader()?;
    let mut known = std::collections::BTreeMap::new();
    for change in &changes {
        let id = &change.alert.id.0;
        if !known.contains_key(id) {
            known.insert(id.clone(), reader.alert(id)?.is_some());
        }
    }
    changes.retain(|change| !known[&change.alert.id.0]);
    if changes.is_empty() {
        return Ok(0);
    }
    store.commit(&Commit { number, changes, now, ..Commit::default() })?;
    Ok(1)
}

/// A key that nobody knows: what windows hash is written by whoever is watched. It changes no alert, and it is saved with
/// the state.
fn drawn() -> Seed {
    let word = || RandomState::new().hash_one(0_u8);
    Seed::new(word(), word())
}

/// Keeps what could not be read, up to the cap of one commit; the last that is kept says how many follow it.
fn dead_records(batch: &Matched, commit: &mut Commit) {
    let room = DEAD_MAX.saturating_sub(commit.dead.len());
    let more = batch.rejects.len().saturating_sub(room);
    for (place, reject) in batch.rejects.iter().take(room).enumerate() {
        let last = more > 0 && place + 1 == room;
        commit.dead.push(DeadRecord {
            source: batch.feed.name.clone(),
            position: reject.position.clone(),
            reason: reject.reason.name(),
            detail: if last {
                format!("{}; {more} more after it are only counted", reject.detail)
            } else {
                reject.detail.clone()
            },
            head: reject.head.clone(),
            at: commit.now,
        });
    }
}

/// The part of a sighting that windows take in; nothing if each of its findings stands alone.
fn remembered(sighting: &Sighting) -> Option<Sighting> {
    let within = |count: &Count| match count {
        Count::Alone => false,
        Count::Within { .. } => true,
    };
    let findings: Vec<_> = sighting.findings.iter().filter(|finding| within(&finding.count)).cloned().collect();
    (!findings.is_empty()).then(|| Sighting { findings, ..sighting.clone() })
}

/// Eight bytes suffice: among two million ids a collision has a chance of one in ten million.
fn hash(kind: Kind, uid: &Uid) -> u64 {
    let mut hash = blake3::Hasher::new();
    for part in [kind.name(), &uid.origin, &uid.id] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut half = [0; 8];
    hash.finalize_xof().fill(&mut half);
    u64::from_le_bytes(half)
}

/// A severity as metrics and rules write it.
pub(crate) fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests;
