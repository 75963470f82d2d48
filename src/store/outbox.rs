//! The outbox: who is still to be told what.
//!
//! The router moves revisions in, in order, by a durable cursor; delivery workers lease rows, send, and
//! write what came of it. A row leaves `queued` only for `delivered` or `dead`, never by being forgotten.

use std::time::Duration;

use anyhow::Context;
use connect::sink::Action;
use engine::alert::Alert;
use engine::time::Timestamp;
use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Store, count, known, sql};
use crate::metrics::METRICS;

/// Rows looked at for one lease: a lane whose head waits may hide at most this many others.
const LOOKED_AT: i64 = 512;

/// One message to one sink.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Its place in the outbox.
    pub row: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub created: Timestamp,
    /// What happened to the alert.
    pub action: Action,
    /// The alert as of this revision.
    pub alert: Alert,
    /// The revision.
    pub revision: u64,
}

/// What became of a leased row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again at this moment.
    Again(Timestamp),
    /// Never again: a visible dead letter.
    Dead,
}

/// A leased message and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// Its place in the outbox.
    pub row: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// What the receiver said.
    pub answer: String,
}

/// How much waits for a sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Queue {
    /// Messages that wait or are being sent.
    pub rows: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// When the oldest waiting message was queued.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// Moves at most `most` revisions from the cursor on into the outbox of the sinks that `route` names,
    /// with the lane each. Answers how many revisions were moved. One that cannot be read is passed over and
    /// counted: nobody could be told of it, and those behind it must not wait for it.
    ///
    /// # Errors
    /// When the disk refuses; the cursor then stays.
    pub(crate) fn route<'r>(
        &self,
        most: u32,
        now: Timestamp,
        mut route: impl FnMut(&Alert) -> Vec<(&'r str, String)>,
    ) -> anyhow::Result<usize> {
        let mut connection = self.writer();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin routing")?;
        let mut moved = 0;
        let mut cursor: i64 = transaction
            .query_row("SELECT ifnull((SELECT value FROM meta WHERE name = 'routed'), 0)", [], |row| row.get(0))
            .context("read route cursor")?;
        {
            let mut read = transaction.prepare_cached(
                "SELECT sequence, alert, revision, action, body FROM revisions
                 WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            )?;
            let mut write = transaction.prepare_cached(
                "INSERT OR IGNORE INTO outbox
                 (sink, lane, alert, revision, action, body, state, attempts, due, leased_until, created, updated)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', 0, 0, 0, ?7, ?7)",
            )?;
            let mut rows = read.query(params![cursor, most])?;
            while let Some(row) = rows.next()? {
                cursor = row.get(0)?;
                moved += 1;
                let Revision { id, revision, action, body, alert } = match revision(row) {
                    Ok(read) => read,
                    Err(error) => {
                        METRICS.revisions_unreadable.inc();
                        let error = format!("{error:#}");
                        tracing::error!(sequence = cursor, error, "revision cannot be read: nobody is told of it");
                        continue;
                    }
                };
                for (sink, lane) in route(&alert) {
                    write.execute(params![sink, lane, id, revision, action, body, now.micros()])?;
                }
            }
        }
        if moved > 0 {
            transaction.execute("INSERT OR REPLACE INTO meta VALUES ('routed', ?1)", [cursor])?;
            // What was routed lives on in the outbox.
            transaction.execute("DELETE FROM revisions WHERE sequence <= ?1", [cursor])?;
        }
        transaction.commit().context("commit routing")?;
        Ok(moved)
    }

    /// Leases at most `most` messages that are due: of each lane only the oldest, so that a lane keeps its
    /// order. A lease that runs out, because the process died, frees the row again. A message that cannot be
    /// read becomes a dead letter.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn lease(
        &self,
        sink: &str,
        most: usize,
        now: Timestamp,
        length: Duration,
    ) -> anyhow::Result<Vec<Queued>> {
        let mut connection = self.writer();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin lease")?;
        let (mut leased, mut unreadable) = (Vec::new(), Vec::new());
        {
            let mut read = transaction.prepare_cached(
                "SELECT row, lane, attempts, created, action, revision, body, due, leased_until FROM outbox
                 WHERE sink = ?1 AND state = 'queued' ORDER BY row LIMIT ?2",
            )?;
            let mut lanes = std::collections::BTreeSet::new();
            let mut rows = read.query(params![sink, LOOKED_AT])?;
            while let Some(row) = rows.next()?
                && leased.len() < most
            {
                let free = row.get::<_, i64>(7)? <= now.micros() && row.get::<_, i64>(8)? <= now.micros();
                if lanes.insert(row.get::<_, String>(1)?) && free {
                    match queued(row) {
                        Ok(message) => leased.push(message),
                        Err(error) => unreadable.push((row.get(0)?, format!("{error:#}"))),
                    }
                }
            }
            let until = now.micros().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
            let mut write = transaction.prepare_cached("UPDATE outbox SET leased_until = ?2 WHERE row = ?1")?;
            for message in &leased {
                write.execute(params![sql(message.row), until])?;
            }
        }
        for (row, error) in unreadable {
            bury(&transaction, sink, row, &error, now).context("give up unreadable message")?;
        }
        transaction.commit().context("commit lease")?;
        Ok(leased)
    }

    /// Frees all leases: called at the start, when nobody can hold one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn free_leases(&self) -> anyhow::Result<()> {
        let writer = self.writer();
        writer
            .execute("UPDATE outbox SET leased_until = 0 WHERE state = 'queued' AND leased_until > 0", [])
            .context("free leases")?;
        Ok(())
    }

    /// Writes what became of messages.
    ///
    /// # Errors
    /// When the disk refuses; the leases then run out and the messages are sent again.
    pub(crate) fn settle(&self, settled: &[Settled], now: Timestamp) -> anyhow::Result<()> {
        let mut connection = self.writer();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin settling")?;
        for message in settled {
            let (state, due) = match message.verdict {
                Verdict::Delivered => ("delivered", 0),
                Verdict::Again(at) => ("queued", at.micros()),
                Verdict::Dead => ("dead", 0),
            };
            transaction
                .prepare_cached(
                    "UPDATE outbox SET state = ?2, due = ?3, attempts = attempts + 1, leased_until = 0, answer = ?4,
                     updated = ?5 WHERE row = ?1",
                )?
                .execute(params![sql(message.row), state, due, message.answer, now.micros()])
                .context("settle delivery")?;
        }
        transaction.commit().context("commit settling")
    }

    /// How much waits for this sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn queue(&self, sink: &str) -> anyhow::Result<Queue> {
        let connection = self.writer();
        let (rows, oldest): (i64, Option<i64>) = connection
            .prepare_cached("SELECT count(*), min(created) FROM outbox WHERE sink = ?1 AND state = 'queued'")?
            .query_row([sink], |row| Ok((row.get(0)?, row.get(1)?)))
            .context("measure queue")?;
        let dead: i64 = connection
            .prepare_cached("SELECT count(*) FROM outbox WHERE sink = ?1 AND state = 'dead'")?
            .query_row([sink], |row| row.get(0))
            .context("count dead letters")?;
        Ok(Queue { rows: count(rows), dead: count(dead), oldest: oldest.map(Timestamp::from_micros) })
    }
}

/// What people are to be told, with its text as it stands in the store.
struct Revision {
    id: String,
    revision: i64,
    action: String,
    body: String,
    alert: Alert,
}

fn revision(row: &rusqlite::Row<'_>) -> anyhow::Result<Revision> {
    let body: String = row.get(4)?;
    let alert = serde_json::from_str(&body).context("read revision")?;
    Ok(Revision { id: row.get(1)?, revision: row.get(2)?, action: row.get(3)?, body, alert })
}

fn bury(transaction: &Transaction<'_>, sink: &str, row: i64, error: &str, now: Timestamp) -> rusqlite::Result<()> {
    tracing::error!(sink, row, error, "queued message cannot be read: it is a dead letter now");
    transaction
        .prepare_cached("UPDATE outbox SET state = 'dead', answer = ?2, updated = ?3 WHERE row = ?1")?
        .execute(params![row, format!("the stored message cannot be read: {error}"), now.micros()])
        .map(drop)
}

fn queued(row: &rusqlite::Row<'_>) -> anyhow::Result<Queued> {
    let action: String = row.get(4)?;
    let body: String = row.get(6)?;
    Ok(Queued {
        row: count(row.get(0)?),
        attempts: row.get(2)?,
        created: Timestamp::from_micros(row.get(3)?),
        action: known(action_of(&action), "action", &action)?,
        revision: count(row.get(5)?),
        alert: serde_json::from_str(&body).context("read queued alert")?,
    })
}

fn action_of(name: &str) -> Option<Action> {
    match name {
        "raise" => Some(Action::Raise),
        "update" => Some(Action::Update),
        "resolve" => Some(Action::Resolve),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
