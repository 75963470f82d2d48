//! Snapshots of the state, written in slices between commits.
//!
//! A state of a million keys is more than a hundred megabytes: in one transaction no commit would get through for as
//! long as it takes. So its parts are written one by one, and none of them counts until the last one is there; then the
//! journal up to it leaves. A crash in between leaves the snapshot before and the whole journal.

use anyhow::{Context, ensure};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, count, sql};
use crate::fail::{self, Point};

/// Bytes of state in one part: commits get through between two of them.
const PART_BYTES: usize = 1 << 20;
/// Journal rows that leave at a time.
const JOURNAL_SLICE: i64 = 64;

impl Store {
    /// Writes the state and the two ledgers beside it as of the commit `number`; afterwards the journal begins behind it.
    ///
    /// # Errors
    /// When the disk refuses: what was there before stays in force, and it can be tried again.
    pub(crate) fn snapshot(&self, number: u64, state: &[u8], books: &[u8]) -> anyhow::Result<()> {
        self.forget_parts(number).context("make room for a snapshot")?;
        if self.in_force().context("look for a snapshot")? != Some(number) {
            self.put_in_force(number, state, books)?;
        }
        fail::point(Point::InForce);
        self.forget_parts(number).context("remove older snapshot")?;
        // What is still there when the process ends is passed over at the start.
        for table in ["journal", "notes"] {
            let slice =
                format!("DELETE FROM {table} WHERE number IN (SELECT number FROM {table} WHERE number <= ?1 LIMIT ?2)");
            while self.writer().execute(&slice, params![sql(number), JOURNAL_SLICE])? > 0 {}
        }
        Ok(())
    }

    /// The commit that the snapshot in force is of. One of the same commit says the same: it is never written over, as a
    /// crash in between would leave half of each.
    fn in_force(&self) -> rusqlite::Result<Option<u64>> {
        self.writer().query_row("SELECT number FROM snapshot", [], |row| row.get(0).map(count)).optional()
    }

    fn put_in_force(&self, number: u64, state: &[u8], books: &[u8]) -> anyhow::Result<()> {
        let mut parts = 0;
        for part in state.chunks(PART_BYTES).chain(books.chunks(PART_BYTES)) {
            self.writer()
                .prepare_cached("INSERT OR REPLACE INTO snapshot_parts VALUES (?1, ?2, ?3)")?
                .execute(params![sql(number), parts, part])
                .context("write part of a snapshot")?;
            parts += 1;
        }
        fail::point(Point::Parted);
        self.writer()
            .prepare_cached("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2, ?3, ?4)")?
            .execute(params![sql(number), parts, sql((state.len() + books.len()) as u64), sql(books.len() as u64)])
            .context("put snapshot in force")?;
        Ok(())
    }

    /// Removes the parts of snapshots that are not in force, and those of `number` if it is not.
    fn forget_parts(&self, number: u64) -> anyhow::Result<()> {
        let valid = "SELECT number FROM snapshot";
        loop {
            let slice = format!(
                "DELETE FROM snapshot_parts WHERE (number, part) IN (
                    SELECT number, part FROM snapshot_parts WHERE number NOT IN ({valid}) LIMIT 8)"
            );
            if self.writer().execute(&slice, []).with_context(|| format!("forget parts before {number}"))? == 0 {
                return Ok(());
            }
        }
    }
}

/// The snapshot of a file whose schema is 1 or 2, which kept it in one piece.
pub(super) fn read_in_one(connection: &Connection) -> anyhow::Result<Option<(u64, Vec<u8>)>> {
    connection
        .query_row("SELECT number, state FROM snapshot", [], |row| Ok((count(row.get(0)?), row.get(1)?)))
        .optional()
        .context("read snapshot")
}

/// Cuts the ledgers off the end of a snapshot; one of an older schema holds none.
///
/// # Errors
/// When its head says what cannot be.
pub(super) fn cut_books(connection: &Connection, state: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let books: Option<i64> =
        connection.query_row("SELECT books FROM snapshot", [], |row| row.get(0)).optional().context("read snapshot")?;
    let books = usize::try_from(books.unwrap_or_default()).context("read size of ledgers")?;
    ensure!(books <= state.len(), "{}: the snapshot is shorter than its ledgers", super::DAMAGED);
    Ok(state.split_off(state.len() - books))
}

/// The snapshot in force: the commit that it is of, and the state with what follows it.
pub(super) fn read(connection: &Connection) -> anyhow::Result<Option<(u64, Vec<u8>)>> {
    let head = connection
        .query_row("SELECT number, parts, bytes FROM snapshot", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })
        .optional()
        .context("read snapshot")?;
    let Some((number, parts, bytes)) = head else { return Ok(None) };
    let mut state = Vec::with_capacity(usize::try_from(bytes).context("read size of snapshot")?);
    let mut read = connection.prepare("SELECT bytes FROM snapshot_parts WHERE number = ?1 ORDER BY part")?;
    let mut rows = read.query([number]).context("read parts of snapshot")?;
    let mut found = 0;
    while let Some(row) = rows.next()? {
        state.extend(row.get_ref(0)?.as_blob().context("read part of snapshot")?);
        found += 1;
    }
    let whole = found == parts && i64::try_from(state.len()).is_ok_and(|length| length == bytes);
    ensure!(whole, "{}: {found} of {parts} parts of the snapshot are there", super::DAMAGED);
    Ok(Some((count(number), state)))
}
