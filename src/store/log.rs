//! The write-ahead log is emptied into the file beside the commits, not by one of them.
//!
//! SQLite would have some unlucky commit copy the whole log and sync the file. Here a connection of its own does so while
//! commits go on; only for what came in the meantime, which is little, do they wait.

use std::time::Duration;

use anyhow::Context;
use rusqlite::Connection;

use super::{Durable, Store};

/// Pages in the log from which on it is emptied: 4 MiB.
const PAGES: i64 = 1_000;
/// Pages from which on commits are held for a moment, so that the log can begin anew: 16 MiB.
const PAGES_HELD: i64 = 4_000;

/// Looks at a log that nobody writes to until what is left in it is emptied.
const QUIET: u32 = 10;

/// What empties the log.
#[derive(Debug)]
pub(crate) struct Emptier {
    connection: Connection,
    /// Pages in the log, and of them in the file, at the last look.
    last: Log,
    /// Looks since then.
    quiet: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Log {
    pages: i64,
    copied: i64,
}

impl Emptier {
    /// Of this store.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(store: &Store) -> anyhow::Result<Self> {
        let connection = Connection::open(&store.path).context("open store for upkeep")?;
        connection.busy_timeout(Duration::from_secs(5)).context("set busy timeout")?;
        connection.execute_batch("PRAGMA synchronous = FULL").context("set pragmas")?;
        Ok(Self { connection, last: Log::default(), quiet: 0 })
    }

    /// Empties the log if it has grown, or if nothing was written to it for some looks.
    ///
    /// # Errors
    /// When the disk refuses; the log grows until it works again.
    pub(crate) fn look(&mut self, store: &Store) -> anyhow::Result<()> {
        let mut log = self.checkpoint("NOOP")?;
        let waiting = log.pages - log.copied;
        self.quiet = if log == self.last { self.quiet + 1 } else { 0 };
        if waiting >= PAGES || (waiting > 0 && self.quiet >= QUIET) {
            log = self.checkpoint("PASSIVE")?;
            if log.pages >= PAGES_HELD {
                // It begins anew only once all of it is in the file, and what came since is not.
                let _held = store.writer();
                log = self.checkpoint("PASSIVE")?;
            }
        }
        self.last = log;
        Ok(())
    }

    fn checkpoint(&self, mode: &str) -> anyhow::Result<Log> {
        self.connection
            .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
            .query_row([], |row| Ok(Log { pages: row.get(1)?, copied: row.get(2)? }))
            .context("empty the log of the store")
    }
}

impl Store {
    /// Returns once all that was committed before is on disk, also what did not wait for that. Cost: one sync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        let connection = self.writer();
        super::durable(&connection, Durable::Now)?;
        // A commit syncs all of the log before it. A page that stays the same is not written, so there must be a change.
        let change = "INSERT INTO meta VALUES ('synced', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1";
        connection.execute(change, []).context("sync the store")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use connect::source::Mark;

    use super::*;
    use crate::store::Commit;

    fn pages(store: &Store) -> i64 {
        Emptier::open(store).unwrap().checkpoint("NOOP").unwrap().pages
    }

    #[test]
    fn a_sync_writes_to_the_log_and_waits_for_it_whatever_the_commit_before_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        super::super::durable(&store.writer(), Durable::Soon).unwrap();
        let mut before = pages(&store);
        for time in 1..=3 {
            store.sync().unwrap();
            let after = pages(&store);
            assert!(after > before, "{time}: {after} pages");
            before = after;
        }
        let full: i64 = store.writer().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!(full, 2, "FULL");
    }

    #[test]
    fn the_log_is_emptied_when_it_has_grown_and_when_nothing_happens() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut emptier = Emptier::open(&store).unwrap();
        let write = |number: u64, bytes: usize| {
            let mark = Mark([(String::new(), "x".repeat(bytes))].into());
            let marks = [("file".to_owned(), mark)].into();
            store.commit(&Commit { number, marks, ..Commit::default() }).unwrap();
        };
        write(1, 100_000);
        emptier.look(&store).unwrap();
        assert!(emptier.last.copied < emptier.last.pages, "a little may wait");
        (0..QUIET).for_each(|_| emptier.look(&store).unwrap());
        assert_eq!(emptier.last.copied, emptier.last.pages, "but not for ever");
        write(2, 5 << 20);
        emptier.look(&store).unwrap();
        assert_eq!(emptier.last.copied, emptier.last.pages);
        write(3, 1_000);
        assert!(pages(&store) < 100, "the log begins anew once it is empty: {}", pages(&store));
    }
}
