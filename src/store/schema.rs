//! Tables, and how an older file becomes a newer one.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Each step takes the schema one version up and is never edited after a release.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

    -- How far each source has been handled, in the source's own words.
    CREATE TABLE positions (
        source TEXT NOT NULL, partition TEXT NOT NULL, position TEXT NOT NULL,
        PRIMARY KEY (source, partition)
    ) WITHOUT ROWID;

    -- Hashes of event ids that were counted, packed 8 bytes each, one row a commit.
    CREATE TABLE seen (number INTEGER PRIMARY KEY, ids BLOB NOT NULL);

    -- What the windows took in since the snapshot, one row a commit.
    CREATE TABLE journal (number INTEGER PRIMARY KEY, sightings BLOB NOT NULL);
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, state BLOB NOT NULL);

    -- Alerts as they stand; `sequence` grows with every change of any alert.
    CREATE TABLE alerts (
        id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, revision INTEGER NOT NULL,
        time INTEGER NOT NULL, severity INTEGER NOT NULL, rule TEXT NOT NULL,
        state TEXT NOT NULL, superseded_by TEXT, body TEXT NOT NULL,
        received INTEGER NOT NULL, updated INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX alerts_by_time ON alerts (time, id);

    -- What people are to be told, in order; the router reads it by cursor.
    CREATE TABLE revisions (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, revision INTEGER NOT NULL,
        action TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (alert, revision, action)
    );

    CREATE TABLE outbox (
        row INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, lane TEXT NOT NULL,
        alert TEXT NOT NULL, revision INTEGER NOT NULL, action TEXT NOT NULL, body TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL, leased_until INTEGER NOT NULL,
        answer TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL,
        UNIQUE (sink, alert, revision, action)
    );
    CREATE INDEX outbox_queue ON outbox (sink, row) WHERE state = 'queued';
    CREATE INDEX outbox_lanes ON outbox (sink, lane) WHERE state = 'queued';
    CREATE INDEX outbox_by_alert ON outbox (alert);

    -- Records that could not be read, capped.
    CREATE TABLE dead_records (
        row INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, position TEXT NOT NULL,
        reason TEXT NOT NULL, detail TEXT NOT NULL, head BLOB NOT NULL, at INTEGER NOT NULL
    );

    -- Where the archive keeps an event.
    CREATE TABLE archived (
        id TEXT NOT NULL, origin TEXT NOT NULL, time INTEGER NOT NULL,
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, line INTEGER NOT NULL,
        PRIMARY KEY (id, origin)
    ) WITHOUT ROWID;
    CREATE INDEX archived_by_segment ON archived (segment);
",
    "
    -- `head` marks the oldest queued message of its lane, the only one that may be sent: the next message is
    -- found without looking at those behind it. Triggers keep it, so a redrive by hand does too.
    ALTER TABLE outbox ADD COLUMN severity INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
    -- Wall time of the first attempt from which the age counts; 0 before it.
    ALTER TABLE outbox ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
    UPDATE outbox SET severity = ifnull((SELECT severity FROM alerts WHERE id = alert), 0) WHERE state = 'queued';
    UPDATE outbox SET head = 1
        WHERE row IN (SELECT min(row) FROM outbox WHERE state = 'queued' GROUP BY sink, lane);
    DROP INDEX IF EXISTS outbox_lanes;
    CREATE INDEX outbox_lanes ON outbox (sink, lane, row) WHERE state = 'queued';
    CREATE INDEX outbox_by_severity ON outbox (sink, severity DESC, row, due, leased_until) WHERE head = 1;
    CREATE INDEX outbox_by_due ON outbox (sink, due, row, leased_until) WHERE head = 1;
    CREATE INDEX outbox_dead ON outbox (sink) WHERE state = 'dead';
    CREATE TRIGGER outbox_joins AFTER INSERT ON outbox WHEN NEW.state = 'queued' AND NOT EXISTS (
        SELECT 1 FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row < NEW.row
    ) BEGIN
        UPDATE outbox SET head = 1 WHERE row = NEW.row;
    END;
    CREATE TRIGGER outbox_leaves AFTER UPDATE OF state ON outbox WHEN OLD.state = 'queued' AND NEW.state <> 'queued'
    BEGIN
        UPDATE outbox SET head = 0 WHERE row = NEW.row;
        UPDATE outbox SET head = 1 WHERE row = (
            SELECT min(row) FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued');
    END;
    CREATE TRIGGER outbox_returns AFTER UPDATE OF state ON outbox
    WHEN OLD.state <> 'queued' AND NEW.state = 'queued' AND NOT EXISTS (
        SELECT 1 FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row < NEW.row
    ) BEGIN
        UPDATE outbox SET head = 0 WHERE row = (
            SELECT min(row) FROM outbox
            WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row > NEW.row);
        UPDATE outbox SET head = 1 WHERE row = NEW.row;
    END;
    -- The last revision that people were told, and by how much it is ahead of the engine's count, which
    -- begins anew when an alert comes back.
    ALTER TABLE alerts ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE alerts ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;
    UPDATE alerts SET told = revision;
    -- Vendors' ids are unique within a kind of log at best, so the kind is part of the key.
    ALTER TABLE archived RENAME TO archived_without_kind;
    CREATE TABLE archived (
        kind TEXT NOT NULL, id TEXT NOT NULL, origin TEXT NOT NULL, time INTEGER NOT NULL,
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, line INTEGER NOT NULL,
        PRIMARY KEY (id, kind, origin)
    ) WITHOUT ROWID;
    INSERT INTO archived SELECT '', id, origin, time, segment, offset, length, line FROM archived_without_kind;
    DROP TABLE archived_without_kind;
    CREATE INDEX archived_by_segment ON archived (segment);
    -- Until when a receiver asked to be left alone.
    CREATE TABLE holds (sink TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TRIGGER outbox_redriven AFTER UPDATE OF state ON outbox
    WHEN OLD.state <> 'queued' AND NEW.state = 'queued' BEGIN
        UPDATE outbox SET attempts = 0, tried = 0 WHERE row = NEW.row;
    END;
",
    "
    -- A state is written in parts, between commits; it counts once its head is there.
    CREATE TABLE snapshot_parts (
        number INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (number, part)
    );
    INSERT INTO snapshot_parts SELECT number, 0, state FROM snapshot;
    ALTER TABLE snapshot RENAME TO snapshot_in_one;
    CREATE TABLE snapshot (
        id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, parts INTEGER NOT NULL, bytes INTEGER NOT NULL
    );
    INSERT INTO snapshot SELECT 1, number, 1, length(state) FROM snapshot_in_one;
    DROP TABLE snapshot_in_one;
",
    "
    -- How much text alerts and messages hold, so that retention need not count them. Triggers keep it.
    CREATE TABLE kept (what TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO kept SELECT 'alerts', ifnull(sum(octet_length(body)), 0) FROM alerts;
    INSERT INTO kept SELECT 'messages', ifnull(sum(octet_length(body)), 0) FROM outbox;
    CREATE TRIGGER alerts_come AFTER INSERT ON alerts BEGIN
        UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'alerts';
    END;
    CREATE TRIGGER alerts_grow AFTER UPDATE OF body ON alerts BEGIN
        UPDATE kept SET bytes = bytes + octet_length(NEW.body) - octet_length(OLD.body) WHERE what = 'alerts';
    END;
    CREATE TRIGGER alerts_leave AFTER DELETE ON alerts BEGIN
        UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'alerts';
    END;
    CREATE TRIGGER messages_come AFTER INSERT ON outbox BEGIN
        UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'messages';
    END;
    CREATE TRIGGER messages_leave AFTER DELETE ON outbox BEGIN
        UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'messages';
    END;
",
];

/// Memory for pages of the file. Alerts and messages lie by their ids, so each touches a page of its own: with SQLite's 2
/// MiB they were read from the file again and again.
const CACHE_KIB: u32 = 32 << 10;

/// Pages of write-ahead log at which a commit empties it into the file by itself: a fence, as upkeep does so long before.
const LOG_PAGES_MAX: u32 = 32_768;

/// Pragmas, exclusive use, check after an unclean stop, migrations.
pub(super) fn prepare(connection: &mut Connection) -> anyhow::Result<()> {
    connection.busy_timeout(Duration::from_secs(5)).context("set busy timeout")?;
    // The first holds for a new file only; an older one learns to give pages back by `lapwing store migrate`.
    connection
        .execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX};
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -{CACHE_KIB};"
        ))
        .context("set pragmas")?;
    migrate(connection)?;
    let clean: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'clean'", [], |row| row.get(0))
        .optional()
        .context("read how it was stopped")?;
    if clean == Some(0) {
        tracing::info!("the last stop was not clean: checking the store");
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).context("check the store")?;
        ensure!(verdict == "ok", "{}: {verdict}", super::DAMAGED);
    }
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean', 0)", []).context("mark as in use")?;
    Ok(())
}

pub(super) fn mark_clean(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean', 1)", []).map(drop)
}

/// The schema that this build writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The schema of a file; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> anyhow::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).context("read schema version")
}

/// Brings the schema up to date, each step a transaction.
pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version = version(connection)?;
    if version as usize > MIGRATIONS.len() {
        bail!("a newer Lapwing wrote schema {version}, this one knows {}: use that version", MIGRATIONS.len());
    }
    for (number, step) in (1_u32..).zip(MIGRATIONS).skip(version as usize) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin migration")?;
        transaction.execute_batch(step).with_context(|| format!("migrate to schema {number}"))?;
        transaction.pragma_update(None, "user_version", number).context("write schema version")?;
        transaction.commit().context("commit migration")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine::time::Timestamp;

    use super::*;
    use crate::sample;
    use crate::store::{Order, Store};

    #[test]
    fn what_an_older_version_kept_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join("lapwing.db")).unwrap();
        for (number, step) in (1_u32..).zip(&MIGRATIONS[..3]) {
            old.execute_batch(step).unwrap();
            old.pragma_update(None, "user_version", number).unwrap();
        }
        let add = "INSERT INTO alerts (id, sequence, revision, time, severity, rule, state, body, received, updated)
                   VALUES (?1, ?2, 1, 0, 0, '', 'open', ?3, 0, 0)";
        old.execute(add, ("a", 1, "four")).unwrap();
        old.execute(add, ("b", 2, "öö")).unwrap();
        drop(old);
        let store = Store::open(folder.path()).unwrap();
        let kept = || store.kept_bytes().unwrap();
        assert_eq!(kept(), 8);
        store.writer().execute("UPDATE alerts SET body = 'eleven more' WHERE id = 'a'", []).unwrap();
        assert_eq!(kept(), 15);
        store.writer().execute("DELETE FROM alerts WHERE id = 'b'", []).unwrap();
        assert_eq!(kept(), 11);
    }

    #[test]
    fn a_queue_that_an_older_version_left_is_sent_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join("lapwing.db")).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        for (number, change) in (1..).zip(sample::changes(&[0, 1].map(sample::stop_logging))) {
            old.execute(
                "INSERT INTO outbox VALUES (?1, 'soc', 'lane', ?2, 1, 'raise', ?3, 'queued', 0, 0, 0, NULL, 0, 0)",
                (number, &change.alert.id.0, serde_json::to_string(&change.alert).unwrap()),
            )
            .unwrap();
        }
        old.execute("INSERT INTO archived VALUES ('id', '', 0, 1, 0, 0, 0)", []).unwrap();
        drop(old);
        let store = Store::open(folder.path()).unwrap();
        let leased = store.lease("soc", 8, Order::Severity, Timestamp::default()).unwrap();
        assert_eq!(leased.iter().map(|message| message.row).collect::<Vec<_>>(), [1]);
    }
}
