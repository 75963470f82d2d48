//! What was made of each deploy: written with the commit that settled it, read by a start, the API and the command.

use std::path::Path;

use anyhow::{Context, ensure};
use engine::deploys::{Record, Verdict};
use engine::time::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Reader, schema, sql};

/// Records of deploys before this long ago leave, by the time of the commit that writes others.
const KEPT: Span = Span::seconds(365 * 86_400);

/// Which records are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deployed {
    /// Of this verdict.
    pub verdict: Option<Verdict>,
    /// Of this environment of the policy.
    pub environment: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Behind this time and id, the newest first.
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: usize,
}

impl Reader {
    /// The newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this build does not know.
    pub(crate) fn deploys(&self, asked: &Deployed) -> anyhow::Result<Vec<Record>> {
        list(&self.connection(), asked)
    }

    /// The one of this id.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this build does not know.
    pub(crate) fn deploy(&self, id: &str) -> anyhow::Result<Option<Record>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached("SELECT body FROM deploys WHERE id = ?1")?;
        let body: Option<String> = select.query_row([id], |row| row.get(0)).optional().context("read deploy")?;
        body.map(|body| record(&body)).transpose()
    }
}

/// What the store in this folder knows, the newest first; the service may run on it.
///
/// # Errors
/// When there is no store, it cannot be read, or an older Lapwing wrote it.
pub(crate) fn deployed(folder: &Path, asked: &Deployed) -> anyhow::Result<Vec<Record>> {
    let connection = super::verify::open(folder)?;
    let version = schema::version(&connection)?;
    ensure!(
        version == schema::VERSION,
        "the store has schema {version}, this Lapwing knows {}: the next start, or `lapwing store migrate`, brings an older \
         one up to date",
        schema::VERSION
    );
    list(&connection, asked)
}

pub(super) fn write(transaction: &Transaction<'_>, records: &[Record], now: Timestamp) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut write =
        transaction.prepare_cached("INSERT OR REPLACE INTO deploys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for record in records {
        write.execute(params![
            record.id.0,
            record.revision,
            record.time.micros(),
            record.verdict.to_string(),
            record.environment,
            record.target.id,
            now.micros(),
            serde_json::to_string(record)?,
        ])?;
    }
    transaction.prepare_cached("DELETE FROM deploys WHERE time < ?1")?.execute([now.minus(KEPT).micros()])?;
    Ok(())
}

/// All that is known, for a start.
pub(super) fn all(connection: &Connection) -> anyhow::Result<Vec<Record>> {
    list(connection, &Deployed { limit: usize::MAX, ..Deployed::default() })
}

fn list(connection: &Connection, asked: &Deployed) -> anyhow::Result<Vec<Record>> {
    let mut select = connection.prepare_cached(
        "SELECT body FROM deploys WHERE (?1 IS NULL OR verdict = ?1) AND (?2 IS NULL OR environment = ?2)
         AND time >= ?3 AND time < ?4 AND (?5 IS NULL OR (time, id) < (?5, ?6)) ORDER BY time DESC, id DESC LIMIT ?7",
    )?;
    let micros = |time: Option<Timestamp>, other: i64| time.map_or(other, Timestamp::micros);
    let (time, id) = asked.after.clone().unzip();
    let mut rows = select.query(params![
        asked.verdict.map(|verdict| verdict.to_string()),
        asked.environment,
        micros(asked.since, i64::MIN),
        micros(asked.until, i64::MAX),
        time.map(Timestamp::micros),
        id,
        sql(asked.limit as u64),
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().context("read deploys")? {
        found.push(record(row.get_ref(0)?.as_str().context("read deploy")?)?);
    }
    Ok(found)
}

fn record(body: &str) -> anyhow::Result<Record> {
    serde_json::from_str(body).context("read a deploy that was stored")
}
