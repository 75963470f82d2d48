//! The one transaction of a batch: marks, seen ids, state delta, alert revisions, evidence.

use std::collections::BTreeMap;

use anyhow::Context;
use connect::source::Mark;
use engine::alert::AlertId;
use engine::detect::{Change, Sighting, Standing};
use engine::time::Timestamp;
use rusqlite::{Transaction, TransactionBehavior, params};

use super::{DeadRecord, Store, sql};
use crate::archive::Place;

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
    pub sightings: Vec<Sighting>,
    /// A snapshot of the state as of this commit, in place of the journal so far.
    pub snapshot: Option<Vec<u8>>,
    /// What happened to alerts, in order.
    pub changes: Vec<Change>,
    /// Records that could not be read.
    pub dead: Vec<DeadRecord>,
    /// Where the archive keeps the events.
    pub archived: Vec<Place>,
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
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin commit")?;
        marks(&transaction, commit).context("write marks")?;
        seen(&transaction, commit).context("write seen ids")?;
        journal(&transaction, commit).context("write journal")?;
        let told = changes(&transaction, commit).context("write alerts")?;
        super::letters::write(&transaction, &commit.dead).context("write dead letters")?;
        archived(&transaction, commit).context("write archive index")?;
        transaction.commit().context("commit")?;
        Ok(told)
    }
}

fn marks(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3)")?;
    for (source, mark) in &commit.marks {
        for (partition, position) in &mark.0 {
            write.execute(params![source, partition, position])?;
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
    if let Some(state) = &commit.snapshot {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2)")?
            .execute(params![sql(commit.number), state])?;
        transaction.prepare_cached("DELETE FROM journal")?.execute([])?;
    } else if !commit.sightings.is_empty() {
        let blob = super::recovery::encode(&commit.sightings)?;
        transaction
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?
            .execute(params![sql(commit.number), blob])?;
    }
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('number', ?1)")?.execute([sql(commit.number)])?;
    Ok(())
}

fn changes(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<Vec<Told>> {
    // Only the last form of an alert is kept; every form that people are told about is.
    let mut last: BTreeMap<&AlertId, &Change> = BTreeMap::new();
    for change in &commit.changes {
        last.insert(&change.alert.id, change);
        if change.tell {
            tell(transaction, change)?;
        }
    }
    let mut sequence: i64 =
        transaction.query_row("SELECT ifnull(max(sequence), 0) FROM alerts", [], |row| row.get(0))?;
    let mut told = Vec::new();
    for change in last.into_values() {
        sequence += 1;
        let new = upsert(transaction, change, sequence, commit.now)?;
        told.push(Told { sequence: super::count(sequence), id: change.alert.id.clone(), new });
    }
    Ok(told)
}

/// Queues the change for the router. The same change again, after a crash, is the same row.
fn tell(transaction: &Transaction<'_>, change: &Change) -> anyhow::Result<()> {
    let action = match (&change.standing, change.revision) {
        (Standing::Superseded { .. }, _) => "resolve",
        (Standing::Open, 1) => "raise",
        (Standing::Open, _) => "update",
    };
    let body = serde_json::to_string(&change.alert)?;
    transaction
        .prepare_cached("INSERT OR IGNORE INTO revisions (alert, revision, action, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![change.alert.id.0, sql(change.revision), action, body])?;
    Ok(())
}

fn upsert(transaction: &Transaction<'_>, change: &Change, sequence: i64, now: Timestamp) -> anyhow::Result<bool> {
    let alert = &change.alert;
    let (state, by) = match &change.standing {
        Standing::Open => ("open", None),
        Standing::Superseded { by } => ("superseded", by.as_ref().map(|id| id.0.as_str())),
    };
    let fresh = transaction
        .prepare_cached("SELECT 1 FROM alerts WHERE id = ?1")?
        .exists([&alert.id.0])
        .map(|exists| !exists)?;
    transaction
        .prepare_cached(
            "INSERT INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
             ON CONFLICT (id) DO UPDATE SET sequence = ?2, revision = ?3, time = ?4, state = ?7,
             superseded_by = ?8, body = ?9, updated = ?10",
        )?
        .execute(params![
            alert.id.0,
            sequence,
            sql(change.revision),
            alert.time.micros(),
            alert.severity as i64,
            alert.rule.0.as_ref(),
            state,
            by,
            serde_json::to_string(alert)?,
            now.micros(),
        ])?;
    Ok(fresh)
}

fn archived(transaction: &Transaction<'_>, commit: &Commit) -> anyhow::Result<()> {
    let mut write = transaction.prepare_cached("INSERT OR IGNORE INTO archived VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for place in &commit.archived {
        write.execute(params![
            place.uid.id,
            place.uid.origin,
            place.time.micros(),
            sql(place.segment),
            sql(place.offset),
            sql(place.length),
            place.line
        ])?;
    }
    Ok(())
}
