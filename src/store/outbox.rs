//! The outbox: who is still to be told what.
//!
//! The router moves revisions in, in order, by a durable cursor; delivery workers take them out (`hand.rs`). A message is a
//! small row that refers to the revision's text, which stays for as long as one does. A row leaves `queued` only for `delivered` or `dead`, never by being forgotten.

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
        route: impl FnMut(&Alert) -> Vec<(&'r str, String)>,
    ) -> anyhow::Result<usize> {
        // Read and decided before the writer is asked for: nobody else moves the cursor.
        let routed = self.routed(most, route).context("read revisions")?;
        let Some(last) = routed.last() else { return Ok(0) };
        let mut connection = self.writer();
        super::durable(&connection, Durable::Soon)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin routing")?;
        {
            let mut write = transaction.prepare_cached(
                "INSERT OR IGNORE INTO outbox
                 (sink, lane, told, severity, state, head, attempts, tried, due, created, updated)
                 VALUES (?1, ?2, ?3, ?4, 'queued', NOT EXISTS (
                     SELECT 1 FROM outbox WHERE sink = ?1 AND lane = ?2 AND state = 'queued'
                 ), 0, 0, 0, ?5, ?5)",
            )?;
            let mut forget = transaction.prepare_cached("DELETE FROM revisions WHERE sequence = ?1")?;
            for Routed { sequence, severity, to } in &routed {
                for (sink, lane) in to {
                    write.execute(params![sink, lane, sequence, severity, now.micros()])?;
                }
                if to.is_empty() {
                    forget.execute([sequence])?;
                }
            }
        }
        transaction.execute("INSERT OR REPLACE INTO meta VALUES ('routed', ?1)", [last.sequence])?;
        transaction.commit().context("commit routing")?;
        Ok(routed.len())
    }

    /// What the next revisions come to.
    fn routed<'r>(
        &self,
        most: u32,
        mut route: impl FnMut(&Alert) -> Vec<(&'r str, String)>,
    ) -> anyhow::Result<Vec<Routed<'r>>> {
        let connection = self.reading.connection();
        let mut read = connection.prepare_cached(
            "SELECT sequence, body FROM revisions
             WHERE sequence > ifnull((SELECT value FROM meta WHERE name = 'routed'), 0) ORDER BY sequence LIMIT ?1",
        )?;
        let mut rows = read.query([most])?;
        let mut routed = Vec::new();
        while let Some(row) = rows.next()? {
            let sequence = row.get(0)?;
            let alert = row.get_ref(1)?.as_str().map_err(anyhow::Error::from);
            let alert = alert.and_then(|body| Ok(serde_json::from_str::<Alert>(body)?));
            let (severity, to) = match &alert {
                Ok(alert) => (alert.severity as i64, route(alert)),
                Err(error) => {
                    METRICS.revisions_unreadable.inc();
                    let error = format!("{error:#}");
                    tracing::error!(sequence, error, "revision cannot be read: nobody is told of it");
                    (0, Vec::new())
                }
            };
            routed.push(Routed { sequence, severity, to });
        }
        Ok(routed)
    }

    /// Gives up what is queued for sinks that are not among these, renamed or removed since: nobody would
    /// ever take it. Answers how many messages that were.
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

/// A revision and who is to be told of it, each in a lane.
struct Routed<'r> {
    sequence: i64,
    severity: i64,
    to: Vec<(&'r str, String)>,
}

#[cfg(test)]
mod tests;
