//! Alerts as people read them.

use anyhow::Context;
use engine::alert::Alert;
use engine::rule::Severity;
use engine::time::Timestamp;
use rusqlite::{OptionalExtension, params, types::Value};
use serde::Serialize;

use super::{Reader, count, sql};
use crate::archive::Place;

/// An alert with what the store knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was found.
    pub alert: Alert,
    /// Grows with every change of any alert.
    pub sequence: u64,
    /// Counts up each time people are told.
    pub revision: u64,
    /// `open` or `superseded`.
    pub state: String,
    /// Wall time at which it was first stored.
    pub received: Timestamp,
    /// Wall time of its last change.
    pub updated: Timestamp,
}

/// Which alerts are wanted, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// At most this many.
    pub limit: u32,
    /// After this one, exclusively: the cursor of a page.
    pub after: Option<(Timestamp, String)>,
    /// Of one of these severities; empty means any.
    pub severities: Vec<Severity>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Holding each of these words anywhere, ignoring ASCII case.
    pub words: Vec<String>,
}

/// One page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The alerts.
    pub rows: Vec<Row>,
    /// Where the next page starts, if there is one.
    pub next: Option<(Timestamp, String)>,
}

/// What one sink was told.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    /// The sink's name in the configuration.
    pub sink: String,
    /// Which revision of the alert.
    pub revision: u64,
    /// `queued`, `delivered` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Wall time of the last change.
    pub at: Timestamp,
    /// What the receiver said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

const COLUMNS: &str = "body, sequence, revision, state, received, updated, time, id";

impl Reader {
    /// One page of alerts that stand, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn alerts(&self, query: &Query) -> anyhow::Result<Page> {
        let mut sql_text = format!("SELECT {COLUMNS} FROM alerts WHERE state <> 'superseded'");
        let mut values: Vec<Value> = Vec::new();
        if let Some((time, id)) = &query.after {
            sql_text += " AND (time, id) < (?, ?)";
            values.extend([Value::from(time.micros()), Value::from(id.clone())]);
        }
        if !query.severities.is_empty() {
            sql_text += &format!(" AND severity IN ({})", vec!["?"; query.severities.len()].join(", "));
            values.extend(query.severities.iter().map(|severity| Value::from(*severity as i64)));
        }
        if let Some(rule) = &query.rule {
            sql_text += " AND rule = ?";
            values.push(Value::from(rule.clone()));
        }
        for word in &query.words {
            sql_text += " AND instr(lower(body), lower(?)) > 0";
            values.push(Value::from(word.clone()));
        }
        sql_text += " ORDER BY time DESC, id DESC LIMIT ?";
        values.push(Value::from(i64::from(query.limit) + 1));

        let connection = self.connection();
        let mut statement = connection.prepare_cached(&sql_text).context("prepare alert list")?;
        let (mut rows, mut last, mut looked_at) = (Vec::new(), None, 0);
        let mut found = statement.query(rusqlite::params_from_iter(values)).context("list alerts")?;
        while let Some(row) = found.next()? {
            if looked_at == query.limit {
                return Ok(Page { rows, next: last });
            }
            looked_at += 1;
            last = Some((Timestamp::from_micros(row.get(6)?), row.get(7)?));
            rows.extend(readable(row));
        }
        Ok(Page { rows, next: None })
    }

    /// One alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn alert(&self, id: &str) -> anyhow::Result<Option<Row>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM alerts WHERE id = ?1"))?;
        let mut rows = statement.query([id]).context("read alert")?;
        rows.next()?.map(row_of).transpose()
    }

    /// At most `most` alerts that changed after this sequence number, oldest change first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn changed_since(&self, sequence: u64, most: u32) -> anyhow::Result<Vec<Row>> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM alerts WHERE sequence > ?1 ORDER BY sequence"))?;
        let mut rows = statement.query([sql(sequence)]).context("read changed alerts")?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(readable(row));
            // Whoever follows asks again from the last one on, so there must be one.
            if found.len() == most as usize {
                break;
            }
        }
        Ok(found)
    }

    /// The sequence number of the latest change.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn latest(&self) -> anyhow::Result<u64> {
        let connection = self.connection();
        let latest: Option<i64> =
            connection.query_row("SELECT max(sequence) FROM alerts", [], |row| row.get(0)).context("read sequence")?;
        Ok(latest.map_or(0, count))
    }

    /// How many alerts stand, by severity from informational to critical.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn by_severity(&self) -> anyhow::Result<[u64; 5]> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT severity, count(*) FROM alerts WHERE state <> 'superseded' GROUP BY severity")?;
        let mut counts = [0; 5];
        let mut rows = statement.query([]).context("count alerts")?;
        while let Some(row) = rows.next()? {
            if let Some(slot) = counts.get_mut(usize::from(row.get::<_, u8>(0)?)) {
                *slot = count(row.get(1)?);
            }
        }
        Ok(counts)
    }

    /// Who was told of an alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn deliveries(&self, id: &str) -> anyhow::Result<Vec<Delivery>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT sink, revision, state, attempts, updated, answer FROM revisions JOIN outbox ON told = sequence
             WHERE alert = ?1 ORDER BY row",
        )?;
        let mut found = Vec::new();
        let mut rows = statement.query([id]).context("read deliveries")?;
        while let Some(row) = rows.next()? {
            found.push(Delivery {
                sink: row.get(0)?,
                revision: count(row.get(1)?),
                state: row.get(2)?,
                attempts: row.get(3)?,
                at: Timestamp::from_micros(row.get(4)?),
                answer: row.get(5)?,
            });
        }
        Ok(found)
    }

    /// When the event of this id that belongs to this alert happened and where the archive keeps it, if it
    /// still does. An id may be that of several events: one of the alert's own kind goes first, and one that
    /// did not happen while the alert lasted is none of its.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn archived(&self, alert: &Alert, id: &str) -> anyhow::Result<Option<(Timestamp, Place)>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT time, segment, offset, length, line FROM archived WHERE id = ?1 AND time BETWEEN ?3 AND ?4
             ORDER BY kind = ?2 DESC, origin LIMIT 1",
        )?;
        statement
            .query_row(params![id, alert.kind.name(), alert.first.micros(), alert.last.micros()], |row| {
                let place = Place {
                    segment: count(row.get(1)?),
                    offset: count(row.get(2)?),
                    length: count(row.get(3)?),
                    line: row.get(4)?,
                };
                Ok((Timestamp::from_micros(row.get(0)?), place))
            })
            .optional()
            .context("find archived event")
    }
}

/// The alert in this row; nothing, with a line in the log, if it cannot be read: a list shows the others.
fn readable(row: &rusqlite::Row<'_>) -> Option<Row> {
    row_of(row)
        .inspect_err(|error| {
            let id: String = row.get(7).unwrap_or_default();
            tracing::error!(alert = %id, error = format!("{error:#}"), "stored alert cannot be read");
        })
        .ok()
}

fn row_of(row: &rusqlite::Row<'_>) -> anyhow::Result<Row> {
    let body: String = row.get(0)?;
    Ok(Row {
        alert: serde_json::from_str(&body).context("read alert")?,
        sequence: count(row.get(1)?),
        revision: count(row.get(2)?),
        state: row.get(3)?,
        received: Timestamp::from_micros(row.get(4)?),
        updated: Timestamp::from_micros(row.get(5)?),
    })
}

#[cfg(test)]
mod tests;
