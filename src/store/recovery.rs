//! What a start finds: positions, seen ids, and the state as of the last commit.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use connect::source::Mark;
use engine::deploys::Record;
use engine::detect::{Caps, State, Step};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, count, schema, snapshot};
use crate::ledger::Page;

/// Written in front of every journal entry.
const JOURNAL_VERSION: u8 = 4;

/// Everything that has to be in memory before the first new record is read.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The number of the last commit.
    pub number: u64,
    /// How far each source had been handled.
    pub marks: BTreeMap<String, Mark>,
    /// Ids that were counted, commit by commit, oldest first.
    pub seen: Vec<(u64, Vec<u64>)>,
    /// The last snapshot of the state.
    pub snapshot: Option<Vec<u8>>,
    /// The ledgers of credentials and deploys, as they were saved with it.
    pub books: Option<Vec<u8>>,
    /// What was noted for them since, in order.
    pub pages: Vec<Page>,
    /// What was made of deploys, up to the last commit.
    pub deploys: Vec<Record>,
    /// What the windows took in since, in order.
    pub journal: Vec<Step>,
    /// Size of the journal in bytes, for deciding when to take the next snapshot.
    pub journal_bytes: usize,
}

impl Store {
    /// How far each source has been handled, as of the last commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn marks(&self) -> anyhow::Result<BTreeMap<String, Mark>> {
        marks(&self.writer())
    }

    /// Reads what the last run left.
    ///
    /// # Errors
    /// When the store holds what this build cannot read.
    pub(crate) fn recover(&self) -> anyhow::Result<Recovered> {
        let connection = self.writer();
        let mut found = Recovered::default();
        let number: Option<i64> = connection
            .query_row("SELECT value FROM meta WHERE name = 'number'", [], |row| row.get(0))
            .optional()
            .context("read commit number")?;
        found.number = number.map_or(0, count);

        found.marks = marks(&connection)?;

        let mut seen = connection.prepare("SELECT number, ids FROM seen ORDER BY number")?;
        let mut rows = seen.query([]).context("read seen ids")?;
        while let Some(row) = rows.next()? {
            let packed: Vec<u8> = row.get(1)?;
            let ids =
                packed.chunks_exact(8).map(|id| u64::from_le_bytes(id.try_into().expect("chunks of 8"))).collect();
            found.seen.push((count(row.get(0)?), ids));
        }

        let snapshot = snapshot::read(&connection)?;
        let from = snapshot.as_ref().map_or(0, |(number, _)| *number);
        if let Some((_, mut state)) = snapshot {
            found.books = Some(snapshot::cut_books(&connection, &mut state)?).filter(|books| !books.is_empty());
            found.snapshot = Some(state);
        }
        let mut notes = connection.prepare("SELECT body FROM notes WHERE number > ?1 ORDER BY number")?;
        let mut rows = notes.query([super::sql(from)]).context("read notes")?;
        while let Some(row) = rows.next()? {
            let blob: Vec<u8> = row.get(0)?;
            found.journal_bytes += blob.len();
            found.pages.push(decode_page(&blob).context(super::UNREADABLE)?);
        }
        found.deploys = super::deploys::all(&connection)?;
        let mut journal = connection.prepare("SELECT sightings FROM journal WHERE number > ?1 ORDER BY number")?;
        let mut rows = journal.query([super::sql(from)]).context("read journal")?;
        while let Some(row) = rows.next()? {
            let blob: Vec<u8> = row.get(0)?;
            found.journal_bytes += blob.len();
            found.journal.extend(decode(&blob).context(super::UNREADABLE)?);
        }
        Ok(found)
    }
}

/// How far each source has been handled.
fn marks(connection: &Connection) -> anyhow::Result<BTreeMap<String, Mark>> {
    let mut select = connection.prepare("SELECT source, partition, position FROM positions")?;
    let mut rows = select.query([]).context("read positions")?;
    let mut marks = BTreeMap::<String, Mark>::new();
    while let Some(row) = rows.next()? {
        marks.entry(row.get(0)?).or_default().0.insert(row.get(1)?, row.get(2)?);
    }
    Ok(marks)
}

/// Refuses a file of an older schema whose windows this build cannot read, before anything in it is changed: the version
/// that wrote it can go on with it then. Cost: reads all of the state, once an upgrade.
pub(super) fn readable(connection: &Connection) -> anyhow::Result<()> {
    let version = schema::version(connection)?;
    if version == 0 || version >= schema::VERSION {
        return Ok(());
    }
    let snapshot = match version {
        1 | 2 => snapshot::read_in_one(connection)?,
        _ => snapshot::read(connection)?,
    };
    let from = snapshot.as_ref().map_or(0, |(number, _)| *number);
    if let Some((_, mut state)) = snapshot {
        if version >= 7 {
            snapshot::cut_books(connection, &mut state)?;
        }
        State::restore(&state, Caps::default()).context("restore state").context(super::UNREADABLE)?;
    }
    let mut journal = connection.prepare("SELECT sightings FROM journal WHERE number > ?1 ORDER BY number")?;
    let mut rows = journal.query([super::sql(from)]).context("read journal")?;
    while let Some(row) = rows.next().context("read journal")? {
        decode(&row.get::<_, Vec<u8>>(0)?).context(super::UNREADABLE)?;
    }
    Ok(())
}

/// Written in front of every page of notes.
const NOTES_VERSION: u8 = 1;

pub(super) fn encode_page(page: &Page) -> anyhow::Result<Vec<u8>> {
    postcard::to_extend(page, vec![NOTES_VERSION]).context("encode notes")
}

pub(super) fn decode_page(blob: &[u8]) -> anyhow::Result<Page> {
    let (&version, body) = blob.split_first().context("a page of notes is empty")?;
    ensure!(version == NOTES_VERSION, "notes have version {version}, this build reads {NOTES_VERSION}");
    postcard::from_bytes(body).context("decode notes")
}

pub(super) fn encode(steps: &[Step]) -> anyhow::Result<Vec<u8>> {
    postcard::to_extend(steps, vec![JOURNAL_VERSION]).context("encode journal entry")
}

pub(super) fn decode(blob: &[u8]) -> anyhow::Result<Vec<Step>> {
    let (&version, body) = blob.split_first().context("journal entry is empty")?;
    ensure!(version == JOURNAL_VERSION, "journal entry has version {version}, this build reads {JOURNAL_VERSION}");
    postcard::from_bytes(body).context("decode journal entry")
}
