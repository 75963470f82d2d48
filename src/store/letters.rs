//! Dead letters of the input side: records that could not be read, capped.

use anyhow::Context;
use engine::normalise::RejectReason;
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
    /// The unreadable records that are kept, newest first, each with its number; those before `before` if given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn dead_letters(&self, limit: u32, before: Option<i64>) -> anyhow::Result<Vec<(i64, DeadRecord)>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT row, source, position, reason, detail, head, at FROM dead_records WHERE row < ?1 ORDER BY row DESC LIMIT ?2",
        )?;
        let mut rows = select.query(params![before.unwrap_or(i64::MAX), limit]).context("list dead records")?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().context("list dead records")? {
            let reason: String = row.get(3)?;
            let record = DeadRecord {
                source: row.get(1)?,
                position: row.get(2)?,
                reason: super::known(reason_of(&reason), "dead_records.reason", &reason)?,
                detail: row.get(4)?,
                head: row.get(5)?,
                at: Timestamp::from_micros(row.get(6)?),
            };
            found.push((row.get(0)?, record));
        }
        Ok(found)
    }

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

fn reason_of(name: &str) -> Option<&'static str> {
    RejectReason::ALL.iter().map(|reason| reason.name()).find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Commit, Store};

    #[test]
    fn unreadable_records_are_listed_newest_first_and_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let letter = |number: u32| DeadRecord {
            source: "push".to_owned(),
            position: format!("push/{number}"),
            reason: RejectReason::Syntax.name(),
            detail: "not JSON".to_owned(),
            head: b"{bad \xff".to_vec(),
            at: Timestamp::from_millis(7),
        };
        let dead: Vec<DeadRecord> = (1..=5).map(letter).collect();
        store.commit(&Commit { number: 1, dead, ..Commit::default() }).unwrap();
        let reader = store.reader().unwrap();
        let first = reader.dead_letters(2, None).unwrap();
        assert_eq!(first.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>(), [letter(5), letter(4)]);
        let rest = reader.dead_letters(50, Some(first[1].0)).unwrap();
        assert_eq!(rest.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), [letter(3), letter(2), letter(1)]);
    }
}
