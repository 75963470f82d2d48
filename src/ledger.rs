//! Remember in order: the one owner of state, seen ids and positions in flight.
//!
//! Takes matched batches in order, counts each event once, applies it, and writes everything that follows
//! in one transaction together with the marks. Only then are sources told. A commit that fails is tried
//! again as it is: nothing further is applied, and the bounded channels hold everybody else back.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use arc_swap::ArcSwap;
use engine::detect::{Caps, Change, Reach, State};
use engine::hash::Seed;
use engine::normalise::Reject;
use engine::notes::Readers;
use engine::rule::{RuleSet, Severity};
use engine::time::{Span, Timestamp};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, Kept};
use crate::coverage::Listing;
use crate::fail::{self, Point};
use crate::metrics::METRICS;
use crate::roster::Roster;
use crate::store::{Commit, Covered, Recovered, Store, Told, UNREADABLE};
use crate::workers::{Collected, Matched, Waited};
use connect::clock::Clock;

mod apply;
mod books;
mod changes;
mod cover;
mod health;
mod question;
mod seen;
mod snapshots;
mod voices;

use books::Books;
pub(crate) use books::{Page, Settings as BookSettings};
use cover::Cover;
pub(crate) use question::{Answer, Question, WAITING};
use seen::Seen;
use snapshots::Snapshots;
use voices::Voices;

/// Batches in one commit: bounds both the transaction and the wait of its first batch.
const GROUP_MAX: usize = 64;
/// Unreadable records that one commit keeps, the others are counted: a body of millions of broken lines must
/// neither hold up its source nor push all other dead records out.
const DEAD_MAX: usize = 100;
/// A source that sends what cannot be read is named in the log at most this often.
const WARN_AGAIN: Duration = Duration::from_secs(60);
/// Wait before a failed commit is tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// With nothing to count, the course of time is looked at so often.
const TICK: Duration = Duration::from_secs(1);

/// Everything that the owner owns.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: Arc<Store>,
    archive: Archive,
    state: State,
    /// Those of the last batch, or newer ones.
    rules: Arc<RuleSet>,
    /// Those of the next batch.
    current: Arc<ArcSwap<RuleSet>>,
    seen: Seen,
    voices: Voices,
    /// Where credentials came from, and what explains deploys.
    books: Books,
    /// What these ask workers to note.
    readers: Readers,
    /// What people ask of them.
    questions: Option<mpsc::Receiver<Question>>,
    /// What should arrive, if somebody says so.
    cover: Option<Cover>,
    /// What has to be said of partitions before anything else.
    news: Vec<Reach>,
    number: u64,
    snapshots: Snapshots,
    /// What had been counted of evictions, late events and alerts held back.
    counted: (u64, u64, u64),
    /// What people were told of windows that are full.
    full: health::Fullness,
    /// Since when each source has failed of which people were told so.
    told_failing: BTreeMap<String, Timestamp>,
    /// What one step changed; empty between steps.
    caused: Vec<Change>,
    /// When each source was last said to send what cannot be read.
    warned: BTreeMap<String, Instant>,
    clock: Clock,
}

/// How much is remembered, and where.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The data folder.
    pub folder: PathBuf,
    /// Limits of windows.
    pub caps: Caps,
    /// The ledgers beside the road.
    pub books: books::Settings,
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

impl Ledger {
    /// Takes up where the last run stopped.
    ///
    /// # Errors
    /// When the saved state cannot be read or the archive not be opened.
    pub(crate) fn open(
        store: Arc<Store>,
        recovered: Recovered,
        current: Arc<ArcSwap<RuleSet>>,
        roster: Arc<Roster>,
        settings: Settings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let rules = current.load_full();
        let caps = Caps { seed: drawn(), ..settings.caps };
        let mut state = match recovered.snapshot {
            None => State::new(caps),
            Some(bytes) => State::restore(&bytes, caps).context("restore state").context(UNREADABLE)?,
        };
        let mut changes = Vec::new();
        for step in &recovered.journal {
            state.step(&rules, step, &mut changes);
        }
        let readers = settings.books.readers();
        let (books, more) =
            Books::open(settings.books, recovered.books.as_deref(), recovered.pages, &recovered.deploys)?;
        changes.extend(more);
        let number = recovered.number + tell_unknown(&store, changes, recovered.number + 1, clock.now())?;
        let (voices, news) = Voices::open(roster, state.partitions(), Instant::now(), clock.now());
        let counted = (state.evicted(), state.late(), state.held_back());
        let snapshots = Snapshots::new(store.clone(), recovered.journal_bytes, Instant::now());
        fail::point(Point::Restored);
        Ok(Self {
            store,
            archive: Archive::open(&settings.folder.join("archive"))?,
            state,
            rules,
            current,
            seen: Seen::recovered(recovered.seen),
            voices,
            books,
            readers,
            questions: None,
            cover: None,
            news,
            number,
            snapshots,
            counted,
            full: health::Fullness::new(counted.0),
            told_failing: BTreeMap::new(),
            caused: Vec::new(),
            warned: BTreeMap::new(),
            clock,
        })
    }

    /// The same, and it looks whether what is listed arrives. `known` is what the last run knew.
    pub(crate) fn covering(self, listing: Arc<Listing>, known: Covered, grace: Span) -> Self {
        let cover = Cover::open(listing, known, grace, self.clock.now());
        Self { cover: Some(cover), ..self }
    }

    /// The same, and it answers what is asked.
    pub(crate) fn answering(self, questions: mpsc::Receiver<Question>) -> Self {
        Self { questions: Some(questions), ..self }
    }

    /// What workers are to note.
    pub(crate) fn readers(&self) -> Readers {
        self.readers
    }

    /// Runs until the workers have ended; then saves a snapshot.
    pub(crate) fn run(mut self, mut matched: Collected, listeners: &Listeners, stop: &CancellationToken) {
        loop {
            let mut group = match matched.within(TICK) {
                Waited::Batch(first) => vec![*first],
                Waited::Nothing => Vec::new(),
                Waited::Ended => break,
            };
            if let Some(questions) = &mut self.questions {
                question::answer(questions, self.books.lineage());
            }
            while !group.is_empty()
                && group.len() < GROUP_MAX
                && let Some(more) = matched.ready()
            {
                group.push(more);
            }
            let Some((commit, kept)) = self.apply(&mut group, Instant::now()) else { continue };
            fail::point(Point::Applied);
            let Some(told) = self.commit(commit, &kept, listeners, stop) else { return };
            fail::point(Point::Committed);
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
        fail::point(Point::Saving);
        if let Err(error) = self.snapshots.last(self.number, &self.state, &self.books) {
            tracing::warn!(error = format!("{error:#}"), "last snapshot not written, the journal serves as well");
        }
        fail::point(Point::Saved);
    }

    fn blank(&mut self) -> Commit {
        self.number += 1;
        Commit { number: self.number, seen_from: self.seen.first(), now: self.clock.now(), ..Commit::default() }
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
        loop {
            let start = Instant::now();
            match self.write(&mut commit, kept) {
                Ok(told) => {
                    METRICS.commit_seconds.observe(start.elapsed().as_secs_f64());
                    if !listeners.committing.swap(true, Relaxed) {
                        tracing::info!("commits work again");
                    }
                    self.snapshots.wrote(&commit, &self.state, &self.books, Instant::now());
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
            fail::point(Point::Archived);
        }
        self.store.commit(commit)
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
        let now = (self.state.evicted(), self.state.late(), self.state.held_back());
        METRICS.state_evictions.inc_by(now.0 - self.counted.0);
        METRICS.events_late.inc_by(now.1 - self.counted.1);
        METRICS.anomaly_held_back.inc_by(now.2 - self.counted.2);
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        METRICS.state_keys.set(gauge(self.state.keys()));
        METRICS.state_bytes.set(gauge(self.state.bytes()));
        METRICS.seen_ids.set(gauge(self.seen.len()));
        self.books.measure();
        self.counted = now;
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
            METRICS.events_matched.with_label_values(&source).inc_by(batch.matched);
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

/// Writes those changes whose alerts the store does not hold, and answers how many commits that took. With the
/// rules of the last run there are none: windows only take up where they were. A rule that asks for less since
/// then finds its alert here, and people must hear of it.
fn tell_unknown(store: &Store, mut changes: Vec<Change>, number: u64, now: Timestamp) -> anyhow::Result<u64> {
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
