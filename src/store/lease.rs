//! Taking messages out of the outbox: lease, send, settle.
//!
//! A lane is sent in order, one message at a time: only its head, the oldest that is queued, can be leased.

use std::time::Duration;

use anyhow::Context;
use connect::sink::Action;
use engine::alert::Alert;
use engine::time::Timestamp;
use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Durable, Store, count, known, sql};

/// A lease outlives the longest timeout of a sink by far.
const LEASE: Duration = Duration::from_secs(120);

/// Nobody waits for longer: the most that a receiver may ask for, and a minute. What lies further ahead was
/// written before the clock was set back, and is due.
const WAIT_MICROS_MAX: i64 = 3_660 * 1_000_000;

/// One message to one sink.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Its place in the outbox.
    pub row: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was first tried while the sink was in order; its age counts from there.
    pub tried: Option<Timestamp>,
    /// What happened to the alert.
    pub action: Action,
    /// The alert as of this revision.
    pub alert: Alert,
    /// The revision.
    pub revision: u64,
}

/// Which heads go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The most severe, among equals the oldest.
    Severity,
    /// Those that were not tried yet, then the one whose wait has been over for longest: the way past
    /// messages that fail every time.
    Due,
}

/// What became of a leased row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again at this moment.
    Again(Timestamp),
    /// Try again whenever the sink is; the fault is the sink's, so the message's age begins anew.
    Kept,
    /// Never again: a visible dead letter.
    Dead,
    /// It was leased, and not sent after all.
    Unsent,
}

/// A leased message and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// Its place in the outbox.
    pub row: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// What the receiver said.
    pub answer: String,
}

impl Store {
    /// Leases at most `most` messages that are due: of each lane only the head, so that a lane keeps its
    /// order. A lease that runs out, because the process died, frees the row again. A message that cannot be
    /// read becomes a dead letter. Cost: that of what is leased, however much is queued behind it.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn lease(&self, sink: &str, most: usize, order: Order, now: Timestamp) -> anyhow::Result<Vec<Queued>> {
        let mut connection = self.writer();
        super::durable(&connection, Durable::Soon)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin lease")?;
        let mut leased = Vec::new();
        if held(&transaction, sink, now).context("read hold")? {
            return Ok(leased);
        }
        while leased.len() < most {
            let heads = heads(&transaction, sink, most - leased.len(), order, now).context("find due messages")?;
            if heads.is_empty() {
                break;
            }
            for (row, head) in heads {
                match head {
                    Ok(message) => {
                        take(&transaction, row, now)?;
                        leased.push(message);
                    }
                    Err(error) => bury(&transaction, sink, row, &format!("{error:#}"), now)?,
                }
            }
        }
        transaction.commit().context("commit lease")?;
        Ok(leased)
    }

    /// Frees all leases: called at the start, when nobody can hold one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn free_leases(&self) -> anyhow::Result<()> {
        let writer = self.writer();
        writer
            .execute("UPDATE outbox SET leased_until = 0 WHERE head = 1 AND leased_until > 0", [])
            .context("free leases")?;
        Ok(())
    }

    /// Writes what became of messages, and until when the receiver asked to be left alone, if it did.
    ///
    /// # Errors
    /// When the disk refuses; the leases then run out and the messages are sent again.
    pub(crate) fn settle(
        &self,
        sink: &str,
        settled: &[Settled],
        hold: Option<Timestamp>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut connection = self.writer();
        super::durable(&connection, Durable::Soon)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).context("begin settling")?;
        for message in settled {
            let (state, due, tried) = match message.verdict {
                Verdict::Delivered => ("delivered", 0, now.micros()),
                Verdict::Again(at) => ("queued", at.micros(), now.micros()),
                Verdict::Kept => ("queued", 0, 0),
                Verdict::Dead => ("dead", 0, now.micros()),
                Verdict::Unsent => {
                    transaction
                        .prepare_cached("UPDATE outbox SET leased_until = 0 WHERE row = ?1")?
                        .execute([sql(message.row)])
                        .context("give message back")?;
                    continue;
                }
            };
            transaction
                .prepare_cached(
                    "UPDATE outbox SET state = ?2, due = ?3, attempts = attempts + 1, leased_until = 0, answer = ?4,
                     updated = ?5, tried = iif(?6 = 0 OR tried = 0, ?6, tried) WHERE row = ?1",
                )?
                .execute(params![sql(message.row), state, due, message.answer, now.micros(), tried])
                .context("settle delivery")?;
        }
        if let Some(until) = hold {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO holds VALUES (?1, ?2)")?
                .execute(params![sink, until.micros()])
                .context("hold sink")?;
        }
        transaction.commit().context("commit settling")
    }
}

/// Whether the receiver asked to be left alone until later.
fn held(transaction: &Transaction<'_>, sink: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let now = now.micros();
    transaction.prepare_cached("SELECT 1 FROM holds WHERE sink = ?1 AND until BETWEEN ?2 + 1 AND ?3")?.exists(params![
        sink,
        now,
        now.saturating_add(WAIT_MICROS_MAX)
    ])
}

/// The first heads that may be sent now, each with its message if that can be read.
fn heads(
    transaction: &Transaction<'_>,
    sink: &str,
    most: usize,
    order: Order,
    now: Timestamp,
) -> anyhow::Result<Vec<(i64, anyhow::Result<Queued>)>> {
    // What was written at a moment that has not come yet was written before the clock was set back: it is due, or it
    // would wait for as long as the clock went back. The index is named because the planner, which does not know how much is queued, would rather sort.
    let (index, order) = match order {
        Order::Severity => ("outbox_by_severity", "severity DESC, row"),
        Order::Due => ("outbox_by_due", "due, row"),
    };
    let mut read = transaction.prepare_cached(&format!(
        "SELECT row, attempts, tried, action, revision, body FROM outbox INDEXED BY {index}
         WHERE sink = ?1 AND head = 1 AND (due NOT BETWEEN ?2 + 1 AND ?3 OR updated > ?2)
           AND leased_until NOT BETWEEN ?2 + 1 AND ?3
         ORDER BY {order} LIMIT ?4"
    ))?;
    let (now, most) = (now.micros(), i64::try_from(most).unwrap_or(i64::MAX));
    let mut rows = read.query(params![sink, now, now.saturating_add(WAIT_MICROS_MAX), most])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push((row.get(0)?, queued(row)));
    }
    Ok(heads)
}

fn take(transaction: &Transaction<'_>, row: i64, now: Timestamp) -> anyhow::Result<()> {
    let until = now.micros().saturating_add(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX));
    transaction
        .prepare_cached("UPDATE outbox SET leased_until = ?2 WHERE row = ?1")?
        .execute([row, until])
        .context("lease message")?;
    Ok(())
}

fn bury(transaction: &Transaction<'_>, sink: &str, row: i64, error: &str, now: Timestamp) -> anyhow::Result<()> {
    tracing::error!(sink, row, error, "queued message cannot be read: it is a dead letter now");
    transaction
        .prepare_cached("UPDATE outbox SET state = 'dead', answer = ?2, updated = ?3 WHERE row = ?1")?
        .execute(params![row, format!("the stored message cannot be read: {error}"), now.micros()])
        .context("give up unreadable message")?;
    Ok(())
}

fn queued(row: &rusqlite::Row<'_>) -> anyhow::Result<Queued> {
    let action: String = row.get(3)?;
    let body: String = row.get(5)?;
    let tried: i64 = row.get(2)?;
    Ok(Queued {
        row: count(row.get(0)?),
        attempts: row.get(1)?,
        tried: (tried != 0).then_some(Timestamp::from_micros(tried)),
        action: known(action_of(&action), "action", &action)?,
        revision: count(row.get(4)?),
        alert: serde_json::from_str(&body).context("read queued alert")?,
    })
}

fn action_of(name: &str) -> Option<Action> {
    match name {
        "raise" => Some(Action::Raise),
        "update" => Some(Action::Update),
        "resolve" => Some(Action::Resolve),
        _ => None,
    }
}
