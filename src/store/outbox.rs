//! The outbox: who is still to be told what.
//!
//! The router moves revisions in, in order, by a durable cursor; delivery workers lease rows, send, and
//! write what came of it. A row leaves `queued` only for `delivered` or `dead`, never by being forgotten.

use std::time::Duration;

use anyhow::Context;
use connect::sink::Action;
use engine::alert::Alert;
use engine::time::Timestamp;
use rusqlite::{TransactionBehavior, params};

use super::{Reader, Store, count, known, sql};

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
    /// with the lane each. Answers how many revisions were moved.
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
                let (id, revision, action, body): (String, i64, String, String) =
                    (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
                let alert: Alert = serde_json::from_str(&body).context("read revision")?;
                for (sink, lane) in route(&alert) {
                    write.execute(params![sink, lane, id, revision, action, body, now.micros()])?;
                }
                moved += 1;
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
    /// order. A lease that runs out, because the process died, frees the row again.
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
        let mut leased = Vec::new();
        {
            let mut read = transaction.prepare_cached(
                "SELECT row, attempts, created, action, revision, body FROM outbox
                 WHERE row IN (SELECT min(row) FROM outbox WHERE sink = ?1 AND state = 'queued' GROUP BY lane)
                 AND due <= ?2 AND leased_until <= ?2 ORDER BY row LIMIT ?3",
            )?;
            let mut rows = read.query(params![sink, now.micros(), sql(most as u64)])?;
            while let Some(row) = rows.next()? {
                leased.push(queued(row)?);
            }
            let until = now.micros().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
            let mut write = transaction.prepare_cached("UPDATE outbox SET leased_until = ?2 WHERE row = ?1")?;
            for message in &leased {
                write.execute(params![sql(message.row), until])?;
            }
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
}

impl Reader {
    /// How much waits for this sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn queue(&self, sink: &str) -> anyhow::Result<Queue> {
        let connection = self.connection();
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

fn queued(row: &rusqlite::Row<'_>) -> anyhow::Result<Queued> {
    let action: String = row.get(3)?;
    let body: String = row.get(5)?;
    Ok(Queued {
        row: count(row.get(0)?),
        attempts: row.get(1)?,
        created: Timestamp::from_micros(row.get(2)?),
        action: known(action_of(&action), "action", &action)?,
        revision: count(row.get(4)?),
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
