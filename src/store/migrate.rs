//! Bringing a store up to date on purpose, and giving up what this build cannot read.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rusqlite::{Connection, TransactionBehavior};

use super::backup::{Progress, backup};
use super::verify::{Contents, verify};
use super::{UNREADABLE, create_folder, damage, lock, recovery, schema};

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Migrated {
    /// The schema before and after.
    pub schema: (u32, u32),
    /// Whether the file can give pages back to the disk since now.
    pub gives_pages_back: bool,
    /// What was in the store afterwards.
    pub contents: Contents,
    /// What was forgotten.
    pub forgotten: Option<Forgotten>,
}

/// Windows that are no more.
#[derive(Clone, Debug)]
pub(crate) struct Forgotten {
    /// Keys as of the snapshot; nothing if it could not be read.
    pub keys: Option<u64>,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
    /// Entries of the journal.
    pub journal: u64,
    /// The store as it was.
    pub backup: PathBuf,
}

/// Brings the schema of the store in `folder` up to date. `forget` drops what windows have counted, after a backup
/// beside it whose name ends in `stamp`: made before anything is changed, so that the version that wrote the store can go
/// on with it.
///
/// # Errors
/// When there is no store, it is in use or a newer Lapwing wrote it, or the disk refuses. When windows cannot be read
/// and `forget` is not said: nothing is changed then.
pub(crate) fn migrate(folder: &Path, forget: bool, stamp: &str, progress: Progress<'_>) -> anyhow::Result<Migrated> {
    let path = folder.join("lapwing.db");
    ensure!(path.is_file(), "there is no store in {}: is it the data folder?", folder.display());
    create_folder(folder).with_context(|| format!("open data folder {}", folder.display()))?;
    let _lock = lock(folder)?;
    let mut connection = Connection::open(&path).with_context(|| format!("open store {}", path.display()))?;
    let before = schema::version(&connection).map_err(damage)?;
    let saved = if forget {
        let place = folder.join(format!("before-forgetting-{stamp}"));
        backup(folder, &place, progress).context("back up before anything is forgotten")?;
        Some(place)
    } else {
        recovery::readable(&connection).map_err(damage)?;
        None
    };
    progress("bringing the schema up to date", 0, 0);
    schema::migrate(&mut connection).map_err(damage).with_context(|| format!("migrate {}", path.display()))?;
    let gives_pages_back = give_pages_back(&connection, progress).map_err(damage)?;
    let contents = verify(folder, progress)?;
    let forgotten = saved.map(|place| forget_windows(&mut connection, &contents, place)).transpose()?;
    let contents = if forget { verify(folder, progress)? } else { contents };
    ensure!(!contents.windows_unreadable, "{UNREADABLE}: {}", contents.faults.join("; "));
    ensure!(
        contents.faults.is_empty(),
        "the store has faults, `lapwing store verify` says more: {}",
        contents.faults[0]
    );
    Ok(Migrated { schema: (before, schema::VERSION), gives_pages_back, contents, forgotten })
}

/// Files of older versions can only be rewritten as a whole.
fn give_pages_back(connection: &Connection, progress: Progress<'_>) -> anyhow::Result<bool> {
    let mode: i64 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).context("read vacuum mode")?;
    if mode == 2 {
        return Ok(false);
    }
    progress("rewriting the file, so that it can shrink", 0, 0);
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;").context("rewrite the store")?;
    Ok(true)
}

fn forget_windows(connection: &mut Connection, contents: &Contents, backup: PathBuf) -> anyhow::Result<Forgotten> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin forgetting")?;
    let bytes: i64 = transaction
        .query_row("SELECT ifnull(sum(bytes), 0) FROM snapshot", [], |row| row.get(0))
        .context("measure snapshot")?;
    for table in ["snapshot", "snapshot_parts", "journal", "notes"] {
        transaction.execute(&format!("DELETE FROM {table}"), []).with_context(|| format!("forget {table}"))?;
    }
    transaction.commit().context("commit forgetting")?;
    Ok(Forgotten { keys: contents.keys, snapshot_bytes: super::count(bytes), journal: contents.journal, backup })
}
