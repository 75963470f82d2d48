//! The store: one SQLite file that holds every promise.
//!
//! One writer connection behind a lock. Everything that a batch of input causes is one transaction ([`Commit`]), with
//! `synchronous=FULL`, so what it returned for is on disk; the router and the delivery workers have transactions of
//! their own, which wait for no sync and may be done again after a loss of power. Reading for people goes through [`Reader`], a second connection
//! that sees committed snapshots and never blocks the writer.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, ErrorCode, OpenFlags};

mod alerts;
mod backup;
mod commit;
mod coverage;
mod deploys;
mod hand;
mod letters;
mod log;
mod migrate;
mod outbox;
mod recovery;
mod retain;
mod schema;
mod snapshot;
mod verify;

pub(crate) use alerts::{Query, Row};
pub(crate) use backup::{backup, restore};
pub(crate) use commit::{Commit, SEEN_MAX, Told};
pub(crate) use coverage::{Covered, covered};
pub(crate) use deploys::{Deployed, deployed};
pub(crate) use hand::{Hand, Order, Queued, Settled, Ticket, Verdict};
pub(crate) use letters::DeadRecord;
pub(crate) use log::Emptier;
pub(crate) use migrate::{Migrated, migrate};
pub(crate) use outbox::Queue;
pub(crate) use recovery::Recovered;
pub(crate) use retain::{Left, Limits, Sweep};
pub(crate) use verify::{Contents, verify};

/// What to do about a file that cannot be trusted any more.
const DAMAGED: &str = "the store is damaged: stop the service and bring back a backup (`lapwing store restore --replace \
     FROM`), or move the whole folder away to begin anew";

/// What to do about a store of which nothing is left but what lay beside it.
const LOST: &str = "the archive holds events, and the store beside it is empty or gone: lapwing.db or its log \
     lapwing.db-wal was lost. Bring back a backup (`lapwing store restore --replace FROM`), or move the whole folder away \
     to begin anew";

/// What to do about windows that another version saved.
pub(crate) const UNREADABLE: &str = "this Lapwing cannot read what windows have counted: go on with the version that \
     wrote it, or give it up by `lapwing store migrate --forget-windows`, which keeps alerts, messages and positions";

/// The writing side.
#[derive(Debug)]
pub(crate) struct Store {
    /// For the router and the delivery workers, which look far more often than they write. Closed before the writer: the
    /// last connection to be closed empties the log into the file, if it may write.
    reading: Reader,
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Held as long as the store is open; the system frees it however the process ends.
    _lock: File,
}

/// The reading side.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens or creates `lapwing.db` in `folder`, checks it after an unclean stop and brings its schema up
    /// to date.
    ///
    /// # Errors
    /// When the folder cannot be written, another process holds the store, a restore of it did not end, the file is
    /// damaged, a newer Lapwing wrote it, or an older one wrote windows that this one cannot read.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        create_folder(folder).with_context(|| format!("create data folder {}", folder.display()))?;
        let lock = lock(folder)?;
        backup::no_restore_stopped_halfway(folder)?;
        let path = folder.join("lapwing.db");
        ensure!(!is_lost(folder, &path), "{LOST}: {}", folder.display());
        create_file(&path).with_context(|| format!("create store {}", path.display()))?;
        let opening = || format!("open store {}", path.display());
        let mut connection = Connection::open(&path).with_context(opening)?;
        recovery::readable(&connection).map_err(damage).with_context(opening)?;
        schema::prepare(&mut connection).map_err(damage).with_context(opening)?;
        Ok(Self { connection: Mutex::new(connection), reading: Reader::open(&path)?, path, _lock: lock })
    }

    /// A reader of the same file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn reader(&self) -> anyhow::Result<Reader> {
        Reader::open(&self.path)
    }

    /// Says that everything was written and nothing is in flight, so that the next start need not check.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn close_cleanly(&self) -> anyhow::Result<()> {
        schema::mark_clean(&self.writer()).context("mark the stop as clean")
    }

    /// A panic while the lock is held ends the process, so a poisoned lock is never seen in earnest.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).context("open store for reading")?;
        connection.busy_timeout(Duration::from_secs(5)).context("set busy timeout")?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a transaction is on disk when its commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    /// It is: somebody is told then.
    Now,
    /// With the next that is. Of transactions only the last can be lost, and only with the machine's power; what this one
    /// did is then done again, under the same ids.
    Soon,
}

/// Sets what holds for the next transactions of this connection.
fn durable(connection: &Connection, durable: Durable) -> anyhow::Result<()> {
    let synchronous = match durable {
        Durable::Now => "FULL",
        Durable::Soon => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous).context("set what a commit waits for")
}

/// Whether the archive remembers what the store does not: without its log, or the beginning of it, a store may be as
/// empty as a new one, and must not begin anew without a word. Read by a connection that cannot write, as any other would
/// remove what is left of the log.
fn is_lost(folder: &Path, path: &Path) -> bool {
    if !crate::archive::holds_events(&folder.join("archive")) {
        return false;
    }
    let version = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(anyhow::Error::from)
        .and_then(|connection| schema::version(&connection));
    // What cannot be read at all is told by whoever opens it next.
    version.map_or(!path.exists(), |version| version == 0)
}

/// Creates a folder that only its owner may enter: what is in it says who was attacked and how.
pub(crate) fn create_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates the database file, if it is not there, for its owner alone; SQLite gives those beside it the same mode.
fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

/// Adds what to do if SQLite met bytes that it did not write, or a disk that takes none.
fn damage(error: anyhow::Error) -> anyhow::Error {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => error.context(DAMAGED),
        Some(ErrorCode::DiskFull) => error.context("the disk is full: make room and start again, nothing was lost"),
        Some(ErrorCode::ReadOnly) => {
            error.context("the store cannot be written: is its disk read-only, or does another user own the files?")
        }
        Some(_) | None => error,
    }
}

/// SQLite alone would let two processes write by turns: each would send the other's messages and count in
/// windows that the other does not see.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lapwing.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another Lapwing uses {}: stop it, or give this one a data folder of its own", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// A u64 as SQLite keeps it. Sequence numbers and counts stay far below 2^63.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Refuses text that no build of ours writes into that column.
fn known<T>(value: Option<T>, column: &str, text: &str) -> anyhow::Result<T> {
    ensure!(value.is_some(), "store holds {text:?} in {column}");
    value.context("checked above")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_stored_is_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let store = Store::open(&folder).unwrap();
        crate::archive::Archive::open(&folder.join("archive")).unwrap();
        for (path, expected) in [
            ("", 0o700),
            ("lapwing.db", 0o600),
            ("lapwing.db-wal", 0o600),
            ("archive", 0o700),
            ("archive/0000000001.jsonl.zst", 0o600),
        ] {
            let mode = std::fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{path}");
        }
        drop(store);
    }
}
