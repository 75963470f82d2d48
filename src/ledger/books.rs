//! The two ledgers beside the road: where credentials came from, and what explains each deploy.
//!
//! Notes of a batch are written in the commit that counts it, and taken in here just before: a start takes in again what
//! was noted since the last snapshot. What was told of a deploy stands in the store itself. All that is said here is an
//! alert as any other; its id follows from the credential or the deploy, so that saying it twice says nothing new.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use engine::deploys::{self, DeployId, Deploys, Heard, Marks, Record, Says, Verdict};
use engine::detect::{Change, Reach};
use engine::event::{Kind, Kinds};
use engine::lineage::{self, Lineage};
use engine::notes::{Notes, Readers};
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::archive::Kept;
use crate::metrics::METRICS;
use crate::store::UNREADABLE;
use crate::workers::{Matched, Papers};

mod found;
mod verdict;

/// Judging goes over all facts, so it takes at most one part in so many of the ledger's time …
const SHARE: u32 = 20;
/// … and is not done more often than this.
const JUDGE_LEAST: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(5) };
/// Of the saved form.
const VERSION: u32 = 1;

/// Which ledgers are kept, how much of each, and what they judge by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Of credentials.
    pub lineage: Option<(lineage::Caps, lineage::Policy)>,
    /// Of deploys.
    pub deploys: Option<(deploys::Limits, deploys::Policy)>,
}

/// What one commit adds, as the journal keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// What workers noted.
    pub notes: Notes,
    /// Kinds of log that are complete from another moment on than before.
    pub since: BTreeMap<Kind, Timestamp>,
}

/// Both ledgers.
#[derive(Debug)]
pub(super) struct Books {
    lineage: Option<Lineage>,
    deploys: Option<Deploys>,
    policy: deploys::Policy,
    /// Since when each kind of log is complete.
    since: BTreeMap<Kind, Timestamp>,
    /// Deploys of which an alert is open.
    open: BTreeSet<DeployId>,
    /// How far each log had come when deploys were judged last, and whether facts came since.
    judged: Marks,
    fresh: bool,
    again: Option<Instant>,
    counted: (u64, u64),
}

/// Both, as they are saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    lineage: Option<lineage::Saved>,
    deploys: Option<Vec<u8>>,
    since: BTreeMap<Kind, Timestamp>,
}

impl Page {
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.since.is_empty()
    }
}

impl Settings {
    /// What workers are asked to note.
    pub(super) fn readers(&self) -> Readers {
        Readers { lineage: self.lineage.is_some(), deploys: self.deploys.is_some() }
    }
}

impl Books {
    /// As they were saved, and what was noted since. Answers what that leads to; most of it was told before.
    ///
    /// # Errors
    /// When another version saved them.
    pub(super) fn open(
        settings: Settings,
        saved: Option<&[u8]>,
        pages: Vec<Page>,
        told: &[Record],
    ) -> anyhow::Result<(Self, Vec<Change>)> {
        let saved = saved.map(read).transpose().context(UNREADABLE)?;
        let (of_lineage, of_deploys, since) =
            saved.map_or_else(Default::default, |saved| (saved.lineage, saved.deploys, saved.since));
        // A log is complete only as far as its facts were kept.
        let since = if settings.deploys.is_some() && of_deploys.is_some() { since } else { BTreeMap::new() };
        let lineage = match (settings.lineage, of_lineage) {
            (None, _) => None,
            (Some((caps, policy)), None) => Some(Lineage::new(caps, policy)),
            (Some((caps, policy)), Some(saved)) => {
                Some(Lineage::restore(saved, caps, policy).context("restore credentials").context(UNREADABLE)?)
            }
        };
        let (limits, policy) = settings.deploys.unzip();
        let deploys = match (limits, of_deploys) {
            (None, _) => None,
            (Some(limits), None) => Some(Deploys::new(limits)),
            (Some(limits), Some(saved)) => {
                Some(Deploys::restore(&saved).context("restore deploys").context(UNREADABLE)?.within(limits))
            }
        };
        let mut books = Self {
            counted: lineage.as_ref().map_or((0, 0), |lineage| (lineage.evicted(), lineage.expired())),
            lineage,
            deploys,
            policy: policy.unwrap_or_default(),
            since,
            open: BTreeSet::new(),
            judged: Marks::new(),
            fresh: true,
            again: None,
        };
        let mut changes = Vec::new();
        for page in pages {
            books.since.extend(page.since);
            changes.extend(books.take(page.notes, &[]).0);
        }
        if let Some(deploys) = &mut books.deploys {
            told.iter().for_each(|record| deploys.recall(record));
            let open = told.iter().filter(|record| record.verdict == Verdict::Unexplained);
            books.open = open.map(|record| record.id.clone()).collect();
        }
        Ok((books, changes))
    }

    /// What is known of credentials, if they are followed.
    pub(super) fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// What a batch brings: what is journalled of it, what people are told, and the events that this rests on.
    pub(super) fn hear(&mut self, batch: &mut Matched, page: &mut Page, now: Timestamp) -> (Vec<Change>, Vec<Kept>) {
        if self.deploys.is_some() {
            let newest = batch.reached.iter().filter_map(|reached| reached.newest).max().unwrap_or(now);
            // What is missing for good may be just what would explain a deploy, of any log that the source has brought.
            let may_lack = batch.reached.iter().map(|reached| reached.kinds).fold(Kinds::default(), Kinds::and);
            let lacks = may_lack.iter().filter(|kind| !batch.gaps.is_empty() && self.since.contains_key(kind));
            let fresh = batch.came.iter().filter(|kind| !self.since.contains_key(kind));
            for kind in lacks.chain(fresh).collect::<Vec<Kind>>() {
                self.since.insert(kind, newest);
                page.since.insert(kind, newest);
            }
        }
        let notes = std::mem::take(&mut batch.notes);
        if notes.is_empty() {
            return (Vec::new(), Vec::new());
        }
        page.notes.traces.extend(notes.traces.iter().cloned());
        page.notes.facts.extend(notes.facts.iter().cloned());
        self.take(notes, std::slice::from_ref(&batch.papers))
    }

    fn take(&mut self, notes: Notes, papers: &[Papers]) -> (Vec<Change>, Vec<Kept>) {
        let (mut changes, mut kept, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(lineage) = &mut self.lineage {
            notes.traces.into_iter().for_each(|trace| lineage.take(trace, &mut findings));
        }
        for finding in findings {
            // What a start takes in again was counted.
            if !papers.is_empty() {
                METRICS.lineage_findings.with_label_values(&[finding.kind.name()]).inc();
            }
            if !finding.is_for_people() {
                continue;
            }
            kept.extend(papers.iter().find_map(|papers| found::evidence(&finding, papers)));
            changes.push(found::change(&finding));
        }
        if let Some(deploys) = &mut self.deploys {
            self.fresh |= !notes.facts.is_empty();
            for fact in notes.facts {
                // A deploy is judged later, when its events are gone.
                if matches!(fact.says, Says::Change(_)) {
                    kept.extend(papers.iter().find_map(|papers| papers.kept(fact.kind, &fact.event, fact.time)));
                }
                deploys.take(fact);
            }
        }
        (changes, kept)
    }

    /// Judges deploys, if there may be something new to say of one and it is time. `reached` is how far logs have come.
    pub(super) fn judge<'r>(
        &mut self,
        reached: impl Iterator<Item = &'r Reach>,
        now: Instant,
    ) -> (Vec<Record>, Vec<Change>) {
        let Some(deploys) = self.deploys.as_mut().filter(|deploys| !deploys.is_empty()) else {
            return (Vec::new(), Vec::new());
        };
        if self.again.is_some_and(|again| now < again) {
            return (Vec::new(), Vec::new());
        }
        let marks = marks(&self.since, reached);
        if !self.fresh && marks == self.judged {
            return (Vec::new(), Vec::new());
        }
        let begun = Instant::now();
        let mut records = deploys.settle(&self.policy, &marks);
        let took = begun.elapsed();
        METRICS.deploys_judge_seconds.observe(took.as_secs_f64());
        self.again = Some(now + JUDGE_LEAST.max(took * SHARE));
        (self.judged, self.fresh) = (marks, false);
        // Whoever makes a log break off must not take back what was held against a deploy: only an explanation does.
        records.retain(|record| record.verdict != Verdict::Unknown || !self.open.contains(&record.id));
        let mut changes = Vec::new();
        for record in &records {
            METRICS.deploys.with_label_values(&[&record.verdict.to_string()]).inc();
            let was_open = self.open.contains(&record.id);
            if record.verdict == Verdict::Unexplained {
                self.open.insert(record.id.clone());
            } else {
                self.open.remove(&record.id);
            }
            changes.extend(verdict::change(record, was_open));
        }
        (records, changes)
    }

    /// Writes how much is known.
    pub(super) fn measure(&mut self) {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(lineage) = &self.lineage {
            let now = (lineage.evicted(), lineage.expired());
            METRICS.lineage_credentials.set(gauge(lineage.len()));
            METRICS.lineage_evictions.inc_by(now.0 - self.counted.0);
            METRICS.lineage_expired.inc_by(now.1 - self.counted.1);
            self.counted = now;
        }
        if let Some(deploys) = &self.deploys {
            METRICS.deploys_facts.set(gauge(deploys.len()));
        }
    }

    /// What [`Books::open`] reads; empty if no ledger is kept.
    ///
    /// # Errors
    /// None that could be told apart from a bug: all of it is plain data.
    pub(super) fn save(&self) -> anyhow::Result<Vec<u8>> {
        if self.lineage.is_none() && self.deploys.is_none() {
            return Ok(Vec::new());
        }
        let deploys = self.deploys.as_ref().map(Deploys::save).transpose().context("save deploys")?;
        let lineage = self.lineage.as_ref().map(Lineage::save);
        let saved = Saved { lineage, deploys, since: self.since.clone() };
        postcard::to_stdvec(&(VERSION, saved)).context("save credentials and deploys")
    }
}

/// What was saved.
///
/// # Errors
/// When another version saved it.
fn read(bytes: &[u8]) -> anyhow::Result<Saved> {
    let (version, rest): (u32, &[u8]) =
        postcard::take_from_bytes(bytes).context("read what credentials were saved as")?;
    ensure!(version == VERSION, "credentials and deploys were saved as version {version}, this build reads {VERSION}");
    postcard::from_bytes(rest).context("read credentials and deploys")
}

/// How far each kind of log has come: as far as the last of those partitions that windows wait for as well, or as the first if
/// nobody is waited for. What nobody ever heard is not onboarded.
fn marks<'r>(since: &BTreeMap<Kind, Timestamp>, reached: impl Iterator<Item = &'r Reach>) -> Marks {
    let reached: Vec<&Reach> = reached.filter(|reach| reach.newest > Timestamp::EARLIEST).collect();
    let of_kind = |(&kind, &since): (&Kind, &Timestamp)| {
        let known = || reached.iter().filter(|reach| reach.kinds.iter().any(|other| other == kind));
        let newest = known().map(|reach| reach.newest).max()?;
        let mark = |reach: &&&Reach| reach.newest.minus(reach.pace.delay);
        let waited = known().filter(|reach| reach.is_waited_for(newest)).map(|reach| mark(&reach)).min();
        let mark = waited.or_else(|| known().map(|reach| mark(&reach)).max())?;
        Some((kind, Heard { since, mark }))
    };
    since.iter().filter_map(of_kind).collect()
}

#[cfg(test)]
mod tests;
