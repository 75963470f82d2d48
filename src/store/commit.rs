//! The one transaction of a batch: marks, seen ids, state delta, alert revisions, evidence.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::Context;
use connect::source::Mark;
use engine::alert::AlertId;
use engine::deploys::Record;
use engine::detect::{Change, Standing, Step};
use engine::time::Timestamp;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{DeadRecord, Durable, Store, sql};
use crate::archive::Archived;
use crate::coverage::Written;
use crate::fail::{self, Point};
use crate::ledger::Page;

/// Ids of counted events that are remembered; above this the oldest commits are forgotten.
pub(crate) const SEEN_MAX: usize = 2_000_000;

/// Everything that one group of batches causes.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// Counts up by one; the journal and the seen ids are ordered by it.
    pub number: u64,
    /// How far each source has been handled.
    pub marks: BTreeMap<String, Mark>,
    /// Hashes of the ids counted here.
    pub seen: Vec<u64>,
    /// The oldest commit whose seen ids are still wanted.
    pub seen_from: u64,
    /// What the windows took in.
    pub steps: Vec<Step>,
    /// What happened to alerts, in order.
    pub changes: Vec<Change>,
    /// Records that could not be read.
    pub dead: Vec<DeadRecord>,
    /// Where the archive keeps the events.
    pub archived: Vec<Archived>,
    /// What was noted of credentials and deploys.
    pub page: Page,
    /// What was made of deploys.
    pub deploys: Vec<Record>,
    /// What was heard of what should arrive.
    pub covered: Written,
    /// The moment of the commit.
    pub now: Timestamp,
}

/// What a commit wrote about an alert, for those who follow live.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// Grows with every change of any alert.
    pub sequence: u64,
    /// Which alert.
    pub id: AlertId,
    /// Whether it was not there before.
    pub new: bool,
}

impl Store {
    /// Writes it all or nothing; returns once it is on disk. The same commit may be tried again after an
    /// error.
    ///
    /// # Errors
    /// When the disk refuses: nothing was written then.
    pub(crate) fn commit(&self, commit: &Commit) -> anyhow::Result<Vec<Told>> {
        let mut connection = self.writer();
        super::durable(&connection, Durable::Now)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin commit")?;
        marks(&transaction, commit).context("write marks")?;
        seen(&transaction, commit).context("write seen ids")?;
        journal(&transaction, commit).context("write journal")?;
        let told = changes(&transaction, commit).context("write alerts")?;
        super::letters::write(&transaction, &commit.dead).context("write dead letters")?;
        archived(&transaction, commit).context("write archive index")?;
        super::coverage::write(&transaction, &commit.covered).context("write coverage")?;
        super::deploys::write(&transaction, &commit.deploys, commit.now).context("write deploys")?;
        fail::point(Point::Committing);
        transaction.commit().context("commit")?;
        Ok(told)
    }
}

fn marks(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3)")?;
    let mut leave = transaction.prepare_cached("DELETE FROM positions WHERE source = ?1 AND partition = ?2")?;
    for (source, mark) in &commit.marks {
        for (partition, position) in &mark.0 {
            if position.is_empty() {
                leave.execute(params![source, partition])?;
            } else {
                write.execute(params![source, partition, position])?;
            }
        }
    }
    Ok(())
}

fn seen(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    if !commit.seen.is_empty() {
        let packed: Vec<u8> = commit.seen.iter().flat_map(|id| id.to_le_bytes()).collect();
        transaction.prepare_cached("INSERT INTO seen VALUES (?1, ?2)")?.execute(params![sql(commit.number), packed])?;
    }
    transaction.prepare_cached("DELETE FROM seen WHERE number < ?1")?.execute([sql(commit.seen_from)])?;
    Ok(())
}

fn journal(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    if !commit.steps.is_empty() {
        let blob = super::recovery::encode(&commit.steps)?;
        transaction
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?
            .execute(params![sql(commit.number), blob])?;
    }
    if !commit.page.is_empty() {
        let blob = super::recovery::encode_page(&commit.page)?;
        transaction.prepare_cached("INSERT INTO notes VALUES (?1, ?2)")?.execute(params![sql(commit.number), blob])?;
    }
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('number', ?1)")?.execute([sql(commit.number)])?;
    Ok(())
}

fn changes(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<Vec<Told>> {
    // Only the last form of an alert is kept; every form that people are told about is.
    let mut last: BTreeMap<&AlertId, (Known, Form<'_>)> = BTreeMap::new();
    for change in &commit.changes {
        let (known, form) = match last.entry(&change.alert.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert((Known::read(transaction, &change.alert.id)?, Form { change, text: None }))
            }
        };
        *form = Form { change, text: known.take(transaction, change)? };
    }
    let mut sequence: i64 =
        transaction.query_row("SELECT ifnull(max(sequence), 0) FROM alerts", [], |row| row.get(0))?;
    let mut told = Vec::new();
    for (known, form) in last.into_values() {
        sequence += 1;
        let id = form.change.alert.id.clone();
        upsert(transaction, &known, form, sequence, commit.now)?;
        told.push(Told { sequence: super::count(sequence), id, new: known.new });
    }
    Ok(told)
}

/// The last form of an alert, with its text if people are told just that.
struct Form<'c> {
    change: &'c Change,
    text: Option<String>,
}

/// What people know of an alert.
struct Known {
    /// Whether the alert is not stored yet.
    new: bool,
    open: bool,
    /// The last revision that they were told; 0 if they were told nothing.
    told: u64,
    /// How far their revisions are ahead of the engine's, which begins at 1 again with each revival.
    ahead: u64,
}

impl Known {
    fn read(transaction: &Transaction<'_>, id: &AlertId) -> anyhow::Result<Self> {
        let known = transaction
            .prepare_cached("SELECT state = 'open', told, ahead FROM alerts WHERE id = ?1")?
            .query_row([&id.0], |row| {
                let (told, ahead) = (super::count(row.get(1)?), super::count(row.get(2)?));
                Ok(Self { new: false, open: row.get(0)?, told, ahead })
            })
            .optional()
            .context("read what is known")?;
        Ok(known.unwrap_or(Self { new: true, open: true, told: 0, ahead: 0 }))
    }

    /// Queues the change for the router if people are to be told and were not: a repeat says nothing new. An
    /// alert that comes back after it was superseded is raised again, under revisions that go on counting. Answers the
    /// text that was written.
    fn take(&mut self, transaction: &Transaction<'_>, change: &Change) -> anyhow::Result<Option<String>> {
        let open = matches!(change.standing, Standing::Open);
        let turned = self.told > 0 && open != self.open;
        self.open = open;
        if turned && self.revision(change) <= self.told {
            self.ahead = (self.told + 1).saturating_sub(change.revision);
        }
        let revision = self.revision(change);
        if !change.tell || revision <= self.told {
            return Ok(None);
        }
        let action = match (open, turned || self.told == 0) {
            (false, _) => "resolve",
            (true, true) => "raise",
            (true, false) => "update",
        };
        self.told = revision;
        let body = serde_json::to_string(&change.alert)?;
        transaction
            .prepare_cached("INSERT OR IGNORE INTO revisions (alert, revision, action, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![change.alert.id.0, sql(revision), action, body])?;
        Ok(Some(body))
    }

    /// The change's revision as people count.
    fn revision(&self, change: &Change) -> u64 {
        change.revision + self.ahead
    }
}

fn upsert(
    transaction: &Transaction<'_>,
    known: &Known,
    Form { change, text }: Form<'_>,
    sequence: i64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let alert = &change.alert;
    let (state, by) = match &change.standing {
        Standing::Open => ("open", None),
        Standing::Superseded { by } => ("superseded", by.as_ref().map(|id| id.0.as_str())),
    };
    transaction
        .prepare_cached(
            "INSERT INTO alerts (id, sequence, revision, time, severity, rule, state, superseded_by, body, received,
             updated, told, ahead) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET sequence = ?2, revision = ?3, time = ?4, severity = ?5, state = ?7,
             superseded_by = ?8, body = ?9, updated = ?10, told = ?11, ahead = ?12",
        )?
        .execute(params![
            alert.id.0,
            sequence,
            sql(known.revision(change)),
            alert.time.micros(),
            alert.severity as i64,
            alert.rule.0.as_ref(),
            state,
            by,
            text.map_or_else(|| serde_json::to_string(alert), Ok)?,
            now.micros(),
            sql(known.told),
            sql(known.ahead),
        ])?;
    Ok(())
}

fn archived(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    let mut write =
        transaction.prepare_cached("INSERT OR IGNORE INTO archived VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for Archived { kind, uid, time, place } in &commit.archived {
        write.execute(params![
            kind.name(),
            uid.id,
            uid.origin,
            time.micros(),
            sql(place.segment),
            sql(place.offset),
            sql(place.length),
            place.line
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
