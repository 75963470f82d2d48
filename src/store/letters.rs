//! Dead letters of the input side: records that could not be read, capped.

use anyhow::Context;
use engine::time::Timestamp;
use rusqlite::{Transaction, params};
use serde::Serialize;

use super::Reader;

/// How many are kept; the oldest leave first. 10,000 × 2 KiB = 20 MiB at most.
const KEPT_MAX: i64 = 10_000;

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DeadRecord {
    /// The source's name in the configuration.
    pub source: String,
    /// Where it stood there.
    pub position: String,
    /// What is wrong, in a word that metrics use too.
    pub reason: &'static str,
    /// What is wrong, in full.
    pub detail: String,
    /// Its first bytes, redacted.
    #[serde(skip)]
    pub head: Vec<u8>,
    /// When it came.
    pub at: Timestamp,
}

pub(super) fn write(transaction: &Transaction<'_>, letters: &[DeadRecord]) -> anyhow::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO dead_records (source, position, reason, detail, head, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for letter in letters {
        insert.execute(params![
            letter.source,
            letter.position,
            letter.reason,
            letter.detail,
            letter.head,
            letter.at.micros()
        ])?;
    }
    transaction
        .prepare_cached("DELETE FROM dead_records WHERE row <= (SELECT max(row) FROM dead_records) - ?1")?
        .execute([KEPT_MAX])?;
    Ok(())
}

impl Reader {
    /// How many unreadable records are kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn dead_records(&self) -> anyhow::Result<u64> {
        let kept: i64 = self
            .connection()
            .query_row("SELECT count(*) FROM dead_records", [], |row| row.get(0))
            .context("count dead records")?;
        Ok(super::count(kept))
    }
}
