//! Whether all that a store holds can be read, and all that it refers to is there. Nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use engine::alert::Alert;
use engine::detect::{Caps, State};
use rusqlite::{Connection, OpenFlags};

use super::{count, recovery, schema, sql};
use crate::archive::{self, Place};

/// Faults that are told one by one; the rest are counted.
const FAULTS_MAX: usize = 50;

/// How faults of windows begin.
const WINDOWS: &str = "windows:";

/// What a store holds, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// The schema of the file, and the one that this build writes.
    pub schema: (u32, u32),
    /// Size of the file and its log.
    pub bytes: u64,
    /// Alerts, superseded ones too.
    pub alerts: u64,
    /// Messages by state: queued, delivered, dead.
    pub messages: BTreeMap<String, u64>,
    /// Changes that are still to be routed.
    pub revisions: u64,
    /// Ids of events that were counted.
    pub seen: u64,
    /// Keys that windows remember, as of the snapshot; nothing if there is none or it cannot be read.
    pub keys: Option<u64>,
    /// Entries of the journal since then.
    pub journal: u64,
    /// Archived events, and bytes of the frames that hold them.
    pub archived: (u64, u64),
    /// How far each source has been read: name, partition, position.
    pub positions: Vec<(String, String, String)>,
    /// What is wrong, in words.
    pub faults: Vec<String>,
    /// How many more faults there are.
    pub more: u64,
    /// Whether windows were saved by a version that this build cannot read.
    pub windows_unreadable: bool,
}

impl Contents {
    /// The first fault that is not about windows of another version.
    pub(crate) fn unsound(&self) -> Option<&String> {
        self.faults.iter().find(|fault| !fault.starts_with(WINDOWS))
    }

    fn fault(&mut self, words: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(words);
        } else {
            self.more += 1;
        }
    }
}

/// Looks at all of the store in `folder`. `progress` hears what is looked at, and how much of how much is done.
///
/// # Errors
/// When there is no store, or it cannot be opened; what is wrong inside it stands in the contents.
pub(crate) fn verify(folder: &Path, progress: &mut dyn FnMut(&'static str, u64, u64)) -> anyhow::Result<Contents> {
    let connection = open(folder)?;
    let mut contents = Contents { bytes: size(folder), ..Contents::default() };
    progress("reading every page of the store", 0, 0);
    pages(&connection, &mut contents).map_err(super::damage)?;
    contents.schema = (schema::version(&connection)?, schema::VERSION);
    if contents.schema.0 > schema::VERSION {
        contents.fault(format!(
            "a newer Lapwing wrote schema {}, this one knows {}: use that version",
            contents.schema.0,
            schema::VERSION
        ));
    }
    // What an older schema lacks cannot be asked for; a damaged file answers nothing that is worth hearing.
    if contents.schema.0 != schema::VERSION || !contents.faults.is_empty() {
        return Ok(contents);
    }
    let mut look = |contents: &mut Contents| -> anyhow::Result<()> {
        progress("reading alerts and messages", 0, 0);
        texts(&connection, contents)?;
        lanes(&connection, contents)?;
        windows(&connection, contents)?;
        if let Err(error) = super::coverage::read(&connection) {
            contents.fault(format!("coverage: {error:#}"));
        }
        frames(&connection, folder, contents, progress)
    };
    look(&mut contents).map_err(super::damage)?;
    Ok(contents)
}

/// A connection that cannot write. A folder that cannot be written, such as a backup on a disk that is read-only, is
/// taken as it stands.
pub(super) fn open(folder: &Path) -> anyhow::Result<Connection> {
    let path = folder.join("lapwing.db");
    let opening = || format!("open store {}", path.display());
    ensure!(path.is_file(), "there is no store in {}: is it the data folder?", folder.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(&path, flags).with_context(opening)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).context("set busy timeout")?;
    let read = |connection: &Connection| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    let Err(error) = read(&connection) else { return Ok(connection) };
    let log = std::fs::metadata(folder.join("lapwing.db-wal")).map_or(0, |meta| meta.len());
    let cannot_write =
        matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly));
    if !cannot_write || log > 0 {
        return Err(super::damage(anyhow::Error::from(error)).context(opening()));
    }
    let escaped: String = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).with_context(opening)?;
    read(&connection).map_err(|error| super::damage(error.into())).with_context(opening)?;
    Ok(connection)
}

fn size(folder: &Path) -> u64 {
    let of = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |meta| meta.len());
    of("lapwing.db") + of("lapwing.db-wal")
}

fn pages(connection: &Connection, contents: &mut Contents) -> anyhow::Result<()> {
    let mut check = connection.prepare("PRAGMA integrity_check(50)").context("check the store")?;
    let mut rows = check.query([]).context("check the store")?;
    while let Some(row) = rows.next().context("check the store")? {
        let line: String = row.get(0)?;
        if line != "ok" {
            contents.fault(format!("store: {line}"));
        }
    }
    Ok(())
}

/// Alerts and messages are JSON that this build reads.
fn texts(connection: &Connection, contents: &mut Contents) -> anyhow::Result<()> {
    let readable = |body: Vec<u8>| serde_json::from_slice::<Alert>(&body).map(drop);
    let mut select = connection.prepare("SELECT id, CAST(body AS BLOB) FROM alerts")?;
    let mut rows = select.query([]).context("read alerts")?;
    while let Some(row) = rows.next().context("read alerts")? {
        contents.alerts += 1;
        if let Err(error) = readable(row.get(1)?) {
            contents.fault(format!("alert {}: cannot be read: {error}", row.get::<_, String>(0)?));
        }
    }
    let mut select =
        connection.prepare("SELECT row, state, sequence FROM outbox LEFT JOIN revisions ON sequence = told")?;
    let mut rows = select.query([]).context("read messages")?;
    while let Some(row) = rows.next().context("read messages")? {
        let (number, state, text): (i64, String, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if text.is_none() {
            contents.fault(format!("message {number}: its text is missing"));
        }
        if !["queued", "delivered", "dead"].contains(&state.as_str()) {
            contents.fault(format!("message {number}: unknown state {state:?}"));
        }
        *contents.messages.entry(state).or_default() += 1;
    }
    let mut select = connection.prepare(
        "SELECT sequence, CAST(body AS BLOB), sequence > ifnull((SELECT value FROM meta WHERE name = 'routed'), 0)
         FROM revisions",
    )?;
    let mut rows = select.query([]).context("read revisions")?;
    while let Some(row) = rows.next().context("read revisions")? {
        contents.revisions += u64::from(row.get::<_, bool>(2)?);
        if let Err(error) = readable(row.get(1)?) {
            contents.fault(format!("revision {}: cannot be read: {error}", row.get::<_, i64>(0)?));
        }
    }
    Ok(())
}

/// Each lane with something queued has one head, its oldest, or nothing of it would ever be sent.
fn lanes(connection: &Connection, contents: &mut Contents) -> anyhow::Result<()> {
    let mut select = connection.prepare(
        "SELECT sink, lane, min(row), sum(head), min(iif(head, row, NULL)) FROM outbox WHERE state = 'queued'
         GROUP BY sink, lane HAVING sum(head) <> 1 OR min(iif(head, row, NULL)) <> min(row)",
    )?;
    let mut rows = select.query([]).context("read lanes")?;
    while let Some(row) = rows.next().context("read lanes")? {
        let (sink, lane): (String, String) = (row.get(0)?, row.get(1)?);
        contents.fault(format!("outbox: lane {lane:?} of sink {sink} does not begin at its oldest message"));
    }
    let strays: i64 = connection
        .query_row("SELECT count(*) FROM outbox WHERE head = 1 AND state <> 'queued'", [], |row| row.get(0))
        .context("read lanes")?;
    if strays > 0 {
        contents.fault(format!("outbox: {strays} settled messages stand at the head of a lane"));
    }
    Ok(())
}

/// What a start needs: positions, ids, snapshot and journal.
fn windows(connection: &Connection, contents: &mut Contents) -> anyhow::Result<()> {
    let mut select = connection.prepare("SELECT source, partition, position FROM positions ORDER BY 1, 2")?;
    let positions = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    contents.positions = positions.collect::<Result<_, _>>().context("read positions")?;
    let (ids, crooked): (i64, i64) = connection
        .query_row(
            "SELECT ifnull(sum(length(ids) / 8), 0), count(iif(length(ids) % 8, 1, NULL)) FROM seen",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .context("read seen ids")?;
    contents.seen = count(ids);
    if crooked > 0 {
        contents.fault(format!("seen ids: {crooked} rows are cut"));
    }
    let snapshot = super::snapshot::read(connection).or_else(|error| {
        contents.fault(format!("snapshot: {error:#}"));
        Ok::<_, anyhow::Error>(None)
    })?;
    let from = snapshot.as_ref().map_or(0, |(number, _)| *number);
    if let Some((number, mut state)) = snapshot {
        super::snapshot::cut_books(connection, &mut state)?;
        match State::restore(&state, Caps::default()) {
            Ok(state) => contents.keys = Some(state.keys() as u64),
            Err(error) => {
                contents.windows_unreadable = true;
                contents.fault(format!("{WINDOWS} snapshot of commit {number}: {error}"));
            }
        }
    }
    let mut select = connection.prepare("SELECT number, sightings FROM journal WHERE number > ?1 ORDER BY number")?;
    let mut rows = select.query([sql(from)]).context("read journal")?;
    while let Some(row) = rows.next().context("read journal")? {
        contents.journal += 1;
        let (number, entry): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Err(error) = recovery::decode(&entry) {
            contents.windows_unreadable = true;
            contents.fault(format!("{WINDOWS} journal entry of commit {number}: {error:#}"));
        }
    }
    Ok(())
}

/// Every place of an archived event lies in a frame that can be unpacked and has that line.
fn frames(
    connection: &Connection,
    folder: &Path,
    contents: &mut Contents,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> anyhow::Result<()> {
    let archive = folder.join("archive");
    let frames = "SELECT segment, offset, length, max(line) AS line, count(*) AS events FROM archived GROUP BY 1, 2, 3";
    let total: i64 = connection
        .query_row(&format!("SELECT ifnull(sum(length), 0) FROM ({frames})"), [], |row| row.get(0))
        .context("read places of archived events")?;
    let mut select = connection.prepare(&format!("{frames} ORDER BY 1, 2"))?;
    let mut rows = select.query([]).context("read places of archived events")?;
    while let Some(row) = rows.next().context("read places of archived events")? {
        let [segment, offset, length] = [row.get(0)?, row.get(1)?, row.get(2)?].map(count);
        let place = Place { segment, offset, length, line: row.get(3)? };
        contents.archived.0 += count(row.get(4)?);
        contents.archived.1 += length;
        progress("unpacking the archive", contents.archived.1, count(total));
        match archive::lines(&archive, &place) {
            Ok(lines) if lines > u64::from(place.line) => {}
            Ok(lines) => {
                contents.fault(format!("archive segment {segment}: the frame at {offset} has {lines} lines only"))
            }
            Err(_) if !refers(folder, segment)? => {}
            Err(error) => contents.fault(format!("archive segment {segment}: frame at {offset}: {error}")),
        }
    }
    Ok(())
}

/// Whether the store refers to this segment now: a service that runs may have removed it since our reading began.
fn refers(folder: &Path, segment: u64) -> anyhow::Result<bool> {
    let refers = "SELECT EXISTS(SELECT 1 FROM archived WHERE segment = ?1)";
    open(folder)?.query_row(refers, [sql(segment)], |row| row.get(0)).context("ask for a segment again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_segment_that_retention_removes_meanwhile_is_no_damage_and_one_that_is_missing_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let place = "INSERT INTO archived VALUES ('', ?1, 'file', 0, ?1, 0, 9, 0)";
        for segment in [1, 2] {
            store.writer().execute(place, [segment]).unwrap();
        }
        let mut removing = |stage: &'static str, _, _| {
            if stage == "unpacking the archive" {
                store.writer().execute("DELETE FROM archived WHERE segment = 2", []).unwrap();
            }
        };
        let contents = verify(folder.path(), &mut removing).unwrap();
        let [fault] = contents.faults.as_slice() else { panic!("{:?}", contents.faults) };
        assert!(fault.starts_with("archive segment 1: "), "{fault}");
    }
}
