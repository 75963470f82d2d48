//! What should arrive and what does: written with the commits that heard it, read by a start, the API and the command.

use std::path::Path;

use anyhow::{Context, ensure};
use engine::event::Kind;
use engine::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Reader, Store, known, schema};
use crate::coverage::{Cell, Heard, Spot, State, Told, Wanted, Written};

/// What a run knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// Everything that is expected, or arrives, in the order of kind, account and region.
    pub cells: Vec<(Spot, Cell)>,
    /// When it listened for the last time, to the minute.
    pub looked: Option<Timestamp>,
}

impl Store {
    /// What the last run knew.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this build does not know.
    pub(crate) fn covered(&self) -> anyhow::Result<Covered> {
        read(&self.writer())
    }
}

impl Reader {
    /// As of the last commit.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this build does not know.
    pub(crate) fn covered(&self) -> anyhow::Result<Covered> {
        read(&self.connection())
    }
}

/// What the store in this folder knows; the service may run on it.
///
/// # Errors
/// When there is no store, it cannot be read, or an older Lapwing wrote it.
pub(crate) fn covered(folder: &Path) -> anyhow::Result<Covered> {
    let connection = super::verify::open(folder)?;
    let version = schema::version(&connection)?;
    ensure!(
        version == schema::VERSION,
        "the store has schema {version}, this Lapwing knows {}: the next start, or `lapwing store migrate`, brings an older \
         one up to date",
        schema::VERSION
    );
    read(&connection)
}

pub(super) fn write(transaction: &Transaction<'_>, written: &Written) -> anyhow::Result<()> {
    if written.is_empty() {
        return Ok(());
    }
    let mut leave = transaction.prepare_cached("DELETE FROM coverage WHERE (kind, account, region) = (?1, ?2, ?3)")?;
    for spot in &written.gone {
        leave.execute(params![spot.kind.name(), spot.account, spot.region])?;
    }
    let mut write = transaction.prepare_cached(
        "INSERT OR REPLACE INTO coverage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for (spot, cell) in &written.rows {
        let Cell { name, wanted, heard, state, told } = cell;
        write.execute(params![
            spot.kind.name(),
            spot.account,
            spot.region,
            name,
            state.name(),
            wanted.map(|wanted| wanted.since.micros()),
            wanted.and_then(|wanted| wanted.silent_after).map(Span::micros),
            heard.map(|heard| heard.first.micros()),
            heard.map(|heard| heard.last.micros()),
            heard.map(|heard| heard.quiet_from.micros()),
            heard.map(|heard| heard.usual.micros()),
            told.map(|told| told.state.name()),
            told.map(|told| told.anchor.micros()),
            told.map(|told| told.at.micros()),
        ])?;
    }
    let looked = written.looked.micros();
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('listened', ?1)")?.execute([looked])?;
    Ok(())
}

/// All of it.
pub(super) fn read(connection: &Connection) -> anyhow::Result<Covered> {
    let looked: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'listened'", [], |row| row.get(0))
        .optional()
        .context("read when it was listened")?;
    let mut select = connection.prepare_cached("SELECT * FROM coverage ORDER BY kind, account, region")?;
    let mut rows = select.query([]).context("read coverage")?;
    let mut cells = Vec::new();
    while let Some(row) = rows.next()? {
        cells.push(cell(row)?);
    }
    Ok(Covered { cells, looked: looked.map(Timestamp::from_micros) })
}

fn cell(row: &Row<'_>) -> anyhow::Result<(Spot, Cell)> {
    let text = |column: &str| row.get::<_, String>(column);
    let time = |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros));
    let span = |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Span::from_micros));
    let (kind, state, told) = (text("kind")?, text("state")?, row.get::<_, Option<String>>("told")?);
    let kind = known(kind.parse::<Kind>().ok(), "coverage.kind", &kind)?;
    let told = told.map(|told| known(State::of(&told), "coverage.told", &told)).transpose()?;
    let silent_after = span("silent_after")?;
    let cell = Cell {
        name: text("name")?,
        wanted: time("since")?.map(|since| Wanted { since, silent_after }),
        heard: match (time("first")?, time("last")?, time("quiet_from")?) {
            (Some(first), Some(last), Some(quiet_from)) => {
                Some(Heard { first, last, quiet_from, usual: span("usual")?.unwrap_or_default() })
            }
            _ => None,
        },
        state: known(State::of(&state), "coverage.state", &state)?,
        told: match (told, time("told_anchor")?, time("told_at")?) {
            (Some(state), Some(anchor), Some(at)) => Some(Told { state, anchor, at }),
            _ => None,
        },
    };
    Ok((Spot { kind, account: text("account")?, region: text("region")? }, cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Commit;

    #[test]
    fn what_was_written_is_read_back_and_what_is_gone_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.covered().unwrap(), Covered::default());
        let at = Timestamp::from_millis;
        let spot = |account: &str| Spot {
            kind: Kind::AwsCloudtrail,
            account: account.to_owned(),
            region: "eu-west-1".to_owned(),
        };
        let heard = Some(Heard { first: at(1), last: at(3), quiet_from: at(4), usual: Span::seconds(2) });
        let told = Some(Told { state: State::Silent, anchor: at(3), at: at(9) });
        let wanted = Some(Wanted { since: at(1), silent_after: Some(Span::seconds(5)) });
        let silent = Cell { name: "web".to_owned(), wanted, heard, state: State::Silent, told };
        let other = Cell { name: String::new(), wanted: None, heard: None, state: State::Unexpected, told: None };
        let rows = vec![(spot("1"), silent), (spot("2"), other)];
        let covered = Written { rows: rows.clone(), gone: Vec::new(), looked: at(10), is_due: false };
        store.commit(&Commit { number: 1, covered, ..Commit::default() }).unwrap();
        assert_eq!(store.reader().unwrap().covered().unwrap(), Covered { cells: rows, looked: Some(at(10)) });
        let covered = Written { rows: Vec::new(), gone: vec![spot("1")], looked: at(11), is_due: false };
        store.commit(&Commit { number: 2, covered, ..Commit::default() }).unwrap();
        let left = store.covered().unwrap();
        assert_eq!((left.cells.len(), left.cells[0].0.account.as_str(), left.looked), (1, "2", Some(at(11))));
    }
}
