//! Tables, and how an older file becomes a newer one.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Each step takes the schema one version up and is never edited after a release.
const MIGRATIONS: [&str; 7] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
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
    let foreign =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\')";
    if version == 0 && connection.query_row(foreign, [], |row| row.get(0)).context("look what the file holds")? {
        bail!("lapwing.db holds tables of another program: give Lapwing a data folder of its own");
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
    use crate::store::{Order, Settled, Store, Verdict};

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = Connection::open(folder.path().join("lapwing.db")).unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = format!("{:#}", Store::open(folder.path()).unwrap_err());
        assert!(error.contains("another program"), "{error}");
        let tables: u32 = foreign.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

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
    fn texts_that_an_older_version_kept_in_each_message_are_told_to_the_same_sinks_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join("lapwing.db")).unwrap();
        for (number, step) in (1_u32..).zip(&MIGRATIONS[..4]) {
            old.execute_batch(step).unwrap();
            old.pragma_update(None, "user_version", number).unwrap();
        }
        let [delivered, queued, unrouted] =
            [0, 1, 2].map(|minute| sample::changes(&[sample::stop_logging(minute)]).remove(0).alert);
        let text = |alert| serde_json::to_string(alert).unwrap();
        let insert =
            "INSERT INTO outbox (sink, lane, alert, revision, action, body, state, attempts, due, leased_until,
                      created, updated) VALUES (?1, ?2, ?3, 1, 'raise', ?4, ?5, 0, 0, 0, 0, 0)";
        for (sink, alert, state) in
            [("soc", &delivered, "delivered"), ("siem", &delivered, "queued"), ("soc", &queued, "queued")]
        {
            old.execute(insert, (sink, "lane", &alert.id.0, text(alert), state)).unwrap();
        }
        old.execute_batch(
            "INSERT INTO meta VALUES ('routed', 7); UPDATE sqlite_sequence SET seq = 7 WHERE name = 'revisions'",
        )
        .unwrap();
        old.execute("INSERT INTO revisions VALUES (8, ?1, 1, 'raise', ?2)", (&unrouted.id.0, text(&unrouted))).unwrap();
        drop(old);
        let store = Store::open(folder.path()).unwrap();
        let routed = store.route(9, Timestamp::default(), |_| vec![("soc", "lane".to_owned())]).unwrap();
        assert_eq!(routed, 1);
        let mut sent = Vec::new();
        for sink in ["siem", "soc", "soc"] {
            let message = store.hand(sink, 1, Order::Due, Timestamp::default()).unwrap().messages.remove(0);
            let settled = Settled { row: message.ticket.row, verdict: Verdict::Delivered, answer: String::new() };
            store.settle(sink, &[settled], None, Timestamp::default()).unwrap();
            sent.push((sink, message.alert));
        }
        assert_eq!(sent, [("siem", delivered), ("soc", queued), ("soc", unrouted)]);
        for sink in ["siem", "soc"] {
            assert!(store.hand(sink, 9, Order::Due, Timestamp::default()).unwrap().is_empty());
        }
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
        let rows = |second: i64| -> Vec<u64> {
            let hand = store.hand("soc", 8, Order::Severity, Timestamp::from_millis(second * 1_000)).unwrap();
            hand.messages.iter().map(|message| message.ticket.row).collect()
        };
        assert_eq!(rows(0), [1]);
        let delivered = Settled { row: 1, verdict: Verdict::Delivered, answer: String::new() };
        store.settle("soc", &[delivered], None, Timestamp::default()).unwrap();
        assert_eq!(rows(1), [2]);
    }
}
