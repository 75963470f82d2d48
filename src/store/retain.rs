//! Who leaves, and when: the oldest first, by age and by the size of all, in slices so small that no commit waits.
//!
//! What is queued never leaves, nor an alert of which somebody is still to be told. What leaves is found by a reader; the
//! writer, which commits need, is held only to delete it.

use anyhow::Context;
use engine::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Reader, Store, count, sql};

/// Messages that one slice looks at.
const MESSAGES: i64 = 128;
/// Alerts that one slice looks at; each may take messages with it.
const ALERTS: i64 = 32;
/// Unreadable records, and places of archived events, that one slice deletes.
const ROWS: i64 = 128;
/// Free pages that stay in the file for what comes next (4 MiB), and how many a slice gives back to the disk.
const FREE: (i64, i64) = (1_024, 64);

/// Until when things are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Alerts that changed last before this moment leave.
    pub alerts: Timestamp,
    /// Messages that were delivered before it leave.
    pub deliveries: Timestamp,
    /// Messages given up and records not read before it leave.
    pub dead_letters: Timestamp,
    /// Above this much text the oldest alerts leave with their messages.
    pub bytes_max: u64,
}

/// One walk from the oldest on; [`Store::retain`] takes it a slice further.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    limits: Limits,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// After this row of the outbox.
    Messages(i64),
    /// After this sequence number.
    Alerts(i64),
    Records,
    Pages,
    Done,
}

/// What one slice let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Alerts.
    pub alerts: u64,
    /// Delivered messages.
    pub deliveries: u64,
    /// Messages that had been given up.
    pub dead_letters: u64,
    /// Records that could not be read.
    pub dead_records: u64,
}

impl Sweep {
    /// A walk that has not begun.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, stage: Stage::Messages(0) }
    }

    /// Whether it has come to its end.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl Store {
    /// Takes the walk a slice further. Cost: some hundred rows and at most one sync of the disk.
    ///
    /// # Errors
    /// When the disk refuses; the same slice may be tried again.
    pub(crate) fn retain(&self, reader: &Reader, sweep: &mut Sweep) -> anyhow::Result<Left> {
        let mut left = Left::default();
        sweep.stage = match sweep.stage {
            Stage::Messages(after) => self.messages(reader, after, &sweep.limits, &mut left)?,
            Stage::Alerts(after) => self.alerts(reader, after, &sweep.limits, &mut left)?,
            Stage::Records => self.records(reader, &sweep.limits, &mut left)?,
            Stage::Pages => self.pages(reader)?,
            Stage::Done => Stage::Done,
        };
        Ok(left)
    }

    fn messages(&self, reader: &Reader, after: i64, limits: &Limits, left: &mut Left) -> anyhow::Result<Stage> {
        let (mut old, mut next, mut looked_at) = (Vec::new(), Stage::Alerts(0), 0);
        {
            let connection = reader.connection();
            let mut select = connection.prepare_cached(
                "SELECT row, state, updated, created FROM outbox WHERE row > ?1 ORDER BY row LIMIT ?2",
            )?;
            let mut rows = select.query([after, MESSAGES]).context("find old messages")?;
            while let Some(row) = rows.next()? {
                let (number, state): (i64, String) = (row.get(0)?, row.get(1)?);
                let (updated, created) = (Timestamp::from_micros(row.get(2)?), Timestamp::from_micros(row.get(3)?));
                // They stand in the order in which they were written: nobody behind this one is older.
                if created >= limits.deliveries.max(limits.dead_letters) {
                    next = Stage::Alerts(0);
                    break;
                }
                looked_at += 1;
                if looked_at == MESSAGES {
                    next = Stage::Messages(number);
                }
                match state.as_str() {
                    "delivered" if updated < limits.deliveries => old.push((number, state)),
                    "dead" if updated < limits.dead_letters => old.push((number, state)),
                    _ => {}
                }
            }
        }
        if old.is_empty() {
            return Ok(next);
        }
        let mut writer = self.writer();
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).context("begin retention")?;
        for (row, state) in &old {
            // Somebody may have sent it again in the meantime.
            let gone = transaction
                .prepare_cached("DELETE FROM outbox WHERE row = ?1 AND state = ?2")?
                .execute(params![row, state])
                .context("delete old message")?;
            let counter = if state == "dead" { &mut left.dead_letters } else { &mut left.deliveries };
            *counter += gone as u64;
        }
        transaction.commit().context("commit retention")?;
        Ok(next)
    }

    fn alerts(&self, reader: &Reader, after: i64, limits: &Limits, left: &mut Left) -> anyhow::Result<Stage> {
        // The newest stays whatever its age: sequence numbers go on from it.
        let oldest: Vec<(i64, String, Timestamp)> = reader
            .connection()
            .prepare_cached(
                "SELECT sequence, id, updated FROM alerts
                 WHERE sequence > ?1 AND sequence < (SELECT max(sequence) FROM alerts) ORDER BY sequence LIMIT ?2",
            )?
            .query_map([after, ALERTS], |row| Ok((row.get(0)?, row.get(1)?, Timestamp::from_micros(row.get(2)?))))
            .context("find old alerts")?
            .collect::<Result<_, _>>()
            .context("find old alerts")?;
        let next = match oldest.last() {
            Some((sequence, ..)) if oldest.len() as i64 == ALERTS => Stage::Alerts(*sequence),
            Some(_) | None => Stage::Records,
        };
        let is_old = |updated: &Timestamp| *updated < limits.alerts;
        if !oldest.iter().any(|(_, _, updated)| is_old(updated)) && self.kept_bytes()? <= limits.bytes_max {
            return Ok(Stage::Records);
        }
        let mut writer = self.writer();
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).context("begin retention")?;
        for (sequence, id, updated) in &oldest {
            if is_old(updated) || kept_bytes(&transaction)? > limits.bytes_max {
                forget_alert(&transaction, *sequence, id, left)?;
            }
        }
        transaction.commit().context("commit retention")?;
        Ok(next)
    }

    fn records(&self, reader: &Reader, limits: &Limits, left: &mut Left) -> anyhow::Result<Stage> {
        let oldest: Vec<(i64, Timestamp)> = reader
            .connection()
            .prepare_cached("SELECT row, at FROM dead_records ORDER BY row LIMIT ?1")?
            .query_map([ROWS], |row| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?))))
            .context("find old dead records")?
            .collect::<Result<_, _>>()
            .context("find old dead records")?;
        let old = oldest.iter().take_while(|(_, at)| *at < limits.dead_letters);
        let Some((last, _)) = old.last() else { return Ok(Stage::Pages) };
        let gone = self.writer().execute("DELETE FROM dead_records WHERE row <= ?1", [last]);
        left.dead_records += gone.context("delete old dead records")? as u64;
        Ok(Stage::Records)
    }

    /// Gives free pages back, some at a time; the file itself shrinks when its log is next emptied into it.
    fn pages(&self, reader: &Reader) -> anyhow::Result<Stage> {
        let ask = |pragma: &str| reader.connection().query_row(pragma, [], |row| row.get::<_, i64>(0));
        let free = ask("PRAGMA freelist_count").context("count free pages")?;
        let gives_back = ask("PRAGMA auto_vacuum").context("read vacuum mode")? == 2;
        if free <= FREE.0 || !gives_back {
            return Ok(Stage::Done);
        }
        let writer = self.writer();
        let mut vacuum = writer.prepare_cached(&format!("PRAGMA incremental_vacuum({})", FREE.1))?;
        let mut rows = vacuum.query([]).context("give pages back")?;
        while rows.next().context("give pages back")?.is_some() {}
        Ok(Stage::Pages)
    }

    /// How much text alerts and messages hold.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn kept_bytes(&self) -> anyhow::Result<u64> {
        kept_bytes(&self.writer())
    }

    /// Forgets where some events of this archive segment are kept; answers how many. None are left after 0.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn forget_places(&self, segment: u64) -> anyhow::Result<u64> {
        let forgotten = self
            .writer()
            .prepare_cached(
                "DELETE FROM archived WHERE (id, kind, origin) IN
                 (SELECT id, kind, origin FROM archived WHERE segment = ?1 LIMIT ?2)",
            )?
            .execute([sql(segment), ROWS])
            .context("forget archive segment")?;
        Ok(forgotten as u64)
    }
}

fn kept_bytes(connection: &Connection) -> anyhow::Result<u64> {
    let bytes = connection.prepare_cached("SELECT sum(bytes) FROM kept")?.query_row([], |row| row.get(0));
    Ok(count(bytes.context("read how much is kept")?))
}

/// Deletes an alert with its messages, unless it has changed since, or somebody is still to be told of it.
fn forget_alert(connection: &Connection, sequence: i64, id: &str, left: &mut Left) -> anyhow::Result<()> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM alerts WHERE id = ?1 AND sequence = ?2
             AND NOT EXISTS (SELECT 1 FROM revisions JOIN outbox ON told = sequence WHERE alert = ?1 AND state = 'queued')
             AND NOT EXISTS (SELECT 1 FROM revisions WHERE alert = ?1 AND sequence > ifnull(
                 (SELECT value FROM meta WHERE name = 'routed'), 0))",
        )?
        .execute(params![id, sequence])
        .context("delete old alert")?;
    if gone == 0 {
        return Ok(());
    }
    left.alerts += 1;
    for (state, counter) in [("delivered", &mut left.deliveries), ("dead", &mut left.dead_letters)] {
        let gone = connection
            .prepare_cached(
                "DELETE FROM outbox WHERE told IN (SELECT sequence FROM revisions WHERE alert = ?1) AND state = ?2",
            )?
            .execute(params![id, state])
            .context("delete messages of an old alert")?;
        *counter += gone as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
