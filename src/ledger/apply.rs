//! Counting and applying a group of batches: what one commit will make true.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use engine::detect::{Change, Count, Reach, Sighting, Step};

use super::changes::Changes;
use super::health::{self, Full};
use super::{DEAD_MAX, Ledger, seen, voices};
use crate::archive::Kept;
use crate::metrics::METRICS;
use crate::store::{Commit, DeadRecord};
use crate::workers::{Found, Matched, Reached};

/// What is being put together.
#[derive(Debug, Default)]
struct Draft {
    commit: Commit,
    changes: Changes,
    /// How far partitions have come since the last step of theirs. It makes no difference until the next event, so it
    /// is said then.
    reached: BTreeMap<Arc<str>, Reach>,
}

impl Draft {
    fn reach(&mut self, news: Vec<Reach>) {
        self.reached.extend(news.into_iter().map(|reach| (reach.partition.clone(), reach)));
    }

    fn take_reached(&mut self) -> Vec<Reach> {
        std::mem::take(&mut self.reached).into_values().collect()
    }
}

impl Ledger {
    /// Counts and applies; from here on only the commit can make it true. Nothing if there is nothing to write.
    pub(super) fn apply(&mut self, group: &mut [Matched], now: Instant) -> Option<(Commit, Vec<Kept>)> {
        let mut draft = Draft { commit: self.blank(), ..Draft::default() };
        let mut kept = Vec::new();
        draft.reach(std::mem::take(&mut self.news));
        if group.is_empty() {
            self.follow_rules();
        }
        for batch in group.iter_mut() {
            self.rules = batch.rules.clone();
            let found = std::mem::take(&mut batch.found);
            batch.matched = found.len() as u64;
            for found in found {
                self.count(batch, found, &mut draft, &mut kept, now);
            }
            for reached in &batch.reached {
                draft.reach(self.voices.hear(&batch.feed, reached, now));
            }
            if batch.feed.keeps_position {
                draft.commit.marks.entry(batch.feed.name.clone()).or_default().0.extend(batch.mark.0.clone());
            }
            let (told, evidence) = self.books.hear(batch, &mut draft.commit.page, draft.commit.now);
            told.into_iter().for_each(|change| draft.changes.take(change));
            kept.extend(evidence);
            dead_records(batch, &mut draft.commit);
            self.miss_records(batch, &mut draft);
            if let Some(cover) = &mut self.cover {
                cover.hear(&batch.heard, draft.commit.now);
            }
        }
        let news = self.voices.news(now, |kinds| self.state.deadline(kinds));
        self.miss(&news, &mut draft);
        draft.reach(news);
        self.flush(&mut draft);
        self.ail(&mut draft);
        self.fail(&mut draft);
        let (judged, told) = self.books.judge(self.state.partitions(), now);
        told.into_iter().for_each(|change| draft.changes.take(change));
        draft.commit.deploys = judged;
        if let Some(cover) = &mut self.cover {
            cover.look(&mut draft.changes, draft.commit.now);
            draft.commit.covered = cover.take_written();
        }
        let Draft { mut commit, changes, .. } = draft;
        commit.changes = changes.into_vec();
        let is_idle = commit.steps.is_empty()
            && commit.changes.is_empty()
            && commit.covered.is_empty()
            && commit.deploys.is_empty();
        if group.is_empty() && is_idle {
            self.number -= 1;
            return None;
        }
        self.seen.remember(commit.number, &commit.seen);
        commit.seen_from = self.seen.first();
        Some((commit, kept))
    }

    /// New rules come with the next batch; where none comes they go by time as well, once nothing is under way that older
    /// ones have matched: rules never go back.
    fn follow_rules(&mut self) {
        let current = self.current.load_full();
        if !Arc::ptr_eq(&current, &self.rules) && Arc::strong_count(&self.rules) == 1 {
            self.rules = current;
        }
    }

    fn count(&mut self, batch: &Matched, found: Found, draft: &mut Draft, kept: &mut Vec<Kept>, now: Instant) {
        let Found { sighting, json, partition, newest, kinds } = found;
        let Reached { partition, .. } = &batch.reached[partition];
        let reached = Reached { partition: partition.clone(), newest: Some(newest), kinds };
        draft.reach(self.voices.hear(&batch.feed, &reached, now));
        if batch.feed.repeats {
            let id = seen::hash(sighting.kind, &sighting.uid);
            if !self.seen.insert(id) {
                METRICS.events_duplicate.with_label_values(&[&batch.feed.name]).inc();
                return;
            }
            draft.commit.seen.push(id);
        }
        let (kind, uid, time) = (sighting.kind, sighting.uid.clone(), sighting.time);
        kept.push(Kept { kind, uid, time, json });
        let mut step = Step { reached: draft.take_reached(), sighting: Some(sighting) };
        self.step(&step, draft);
        step.sighting = step.sighting.and_then(remembered);
        draft.commit.steps.push(step);
    }

    /// Says how far partitions have come that brought nothing to count.
    fn flush(&mut self, draft: &mut Draft) {
        let mut reached = draft.take_reached();
        // Whoever starts from this asks how long ago it was.
        if !reached.is_empty() || !draft.commit.steps.is_empty() {
            reached.push(voices::clock(draft.commit.now));
            let step = Step { reached, sighting: None };
            self.step(&step, draft);
            draft.commit.steps.push(step);
        }
    }

    fn step(&mut self, step: &Step, draft: &mut Draft) {
        self.state.step(&self.rules, step, &mut self.caused);
        self.caused.drain(..).for_each(|change: Change| draft.changes.take(change));
    }

    fn miss(&self, news: &[Reach], draft: &mut Draft) {
        for (source, is_missing) in self.voices.missing() {
            METRICS.source_missing.with_label_values(&[source]).set(i64::from(is_missing));
        }
        for source in self.voices.newly_missing(news) {
            tracing::error!(%source, "source fails for long: nobody waits for it any more");
            draft.changes.take(health::missing(&source, self.clock.now()));
        }
    }

    /// A source that fails for long is told once for each time that it does.
    fn fail(&mut self, draft: &mut Draft) {
        let now = self.clock.now();
        for feed in self.voices.feeds() {
            let Some(trouble) = feed.trouble().filter(|trouble| trouble.is_for_people(now)) else { continue };
            if self.told_failing.insert(feed.name.clone(), trouble.since) != Some(trouble.since) {
                draft.changes.take(health::failing(&feed.name, &trouble, now));
            }
        }
    }

    /// What a source will never bring is told in the commit that goes past it.
    fn miss_records(&self, batch: &Matched, draft: &mut Draft) {
        let source = &batch.feed.name;
        for gap in &batch.gaps {
            METRICS.source_gaps.with_label_values(&[source]).inc();
            tracing::error!(%source, gap = gap.id, "records are missing for good: {}", gap.what);
            draft.changes.take(health::gap(source, gap, self.clock.now()));
        }
    }

    /// Where detection suffers, people are told as of any alert.
    fn ail(&mut self, draft: &mut Draft) {
        let full = Full { evicted: self.state.evicted(), keys: self.state.keys(), bytes: self.state.bytes() };
        if let Some(change) = self.full.look(full, self.clock.now()) {
            let Full { evicted, keys, bytes } = full;
            tracing::error!(evicted, keys, bytes, "windows are full: the least recent keys leave before their time");
            draft.changes.take(change);
        }
        for forgotten in self.state.take_forgotten() {
            let (rule, keys) = (&forgotten.rule.0, forgotten.keys);
            METRICS.state_forgotten.inc_by(keys as u64);
            tracing::warn!(%rule, keys, "rule asks something else than before: its windows begin anew");
        }
    }
}

/// Keeps what could not be read, up to the cap of one commit; the last that is kept says how many follow it.
pub(super) fn dead_records(batch: &Matched, commit: &mut Commit) {
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
fn remembered(sighting: Sighting) -> Option<Sighting> {
    let within = |count: &Count| match count {
        Count::Alone => false,
        Count::Within { .. } => true,
    };
    let Sighting { findings, .. } = sighting;
    let findings: Vec<_> = findings.into_iter().filter(|finding| within(&finding.count)).collect();
    (!findings.is_empty()).then_some(Sighting { findings, ..sighting })
}
