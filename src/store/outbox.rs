//! The outbox: who is still to be told what.
//!
//! The router moves revisions in, in order, by a durable cursor; delivery workers take them out by leases
//! (`lease.rs`). A row leaves `queued` only for `delivered` or `dead`, never by being forgotten.

use anyhow::Context;
use engine::alert::Alert;
use engine::time::Timestamp;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Durable, Reader, Store, count};
use crate::metrics::METRICS;

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
        super::durable(&connection, Durable::Soon)?;
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
                 (sink, lane, alert, revision, action, body, state, attempts, due, leased_until, created, updated,
                  severity)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', 0, 0, 0, ?7, ?7, ?8)",
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
                    let severity = alert.severity as i64;
                    write.execute(params![sink, lane, id, revision, action, body, now.micros(), severity])?;
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

    /// Gives up what is queued for sinks that are not among these, renamed or removed since: nobody would
    /// ever lease it. Answers how many messages that were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn abandon_others(&self, sinks: &[&str], now: Timestamp) -> anyhow::Result<usize> {
        let mut connection = self.writer();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin giving up")?;
        let queued: Vec<String> = transaction
            .prepare("SELECT DISTINCT sink FROM outbox WHERE state = 'queued'")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()
            .context("list sinks with a queue")?;
        let mut given_up = 0;
        for sink in queued.iter().filter(|sink| !sinks.contains(&sink.as_str())) {
            given_up += transaction
                .execute(
                    "UPDATE outbox SET state = 'dead', answer = 'the sink is no longer configured', updated = ?2
                     WHERE sink = ?1 AND state = 'queued'",
                    params![sink, now.micros()],
                )
                .context("give up messages")?;
        }
        transaction.commit().context("commit giving up")?;
        Ok(given_up)
    }
}

impl Reader {
    /// How much waits for this sink. Cost: counts all that is queued, by index; ask now and then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn queue(&self, sink: &str) -> anyhow::Result<Queue> {
        let connection = self.connection();
        let rows: i64 = connection
            .prepare_cached("SELECT count(*) FROM outbox WHERE sink = ?1 AND state = 'queued'")?
            .query_row([sink], |row| row.get(0))
            .context("count queue")?;
        let oldest: Option<i64> = connection
            .prepare_cached("SELECT created FROM outbox WHERE sink = ?1 AND state = 'queued' ORDER BY row LIMIT 1")?
            .query_row([sink], |row| row.get(0))
            .optional()
            .context("find oldest in queue")?;
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

#[cfg(test)]
mod tests;
