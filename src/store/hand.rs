//! Taking messages out of the outbox: a hand of those that are due, and what became of them.
//!
//! Nobody but the task of a sink takes its messages, and it says what became of one hand before it takes the next; so
//! nothing is written for a message to be taken, and after a death whatever was under way is taken again. A lane is sent in
//! order, one message at a time: only its head, the oldest that is queued, can be taken.

use anyhow::Context;
use connect::sink::Action;
use engine::alert::Alert;
use engine::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Durable, Store, count, known, sql};

/// Messages to one sink, to be sent now.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    /// Those to be sent, in order of urgency.
    pub messages: Vec<Queued>,
    /// Those that the store cannot read back, given up.
    pub unreadable: Vec<Settled>,
}

impl Hand {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.unreadable.is_empty()
    }
}

/// One message to one sink.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Where it stands.
    pub ticket: Ticket,
    /// What happened to the alert.
    pub action: Action,
    /// The alert as of this revision.
    pub alert: Alert,
    /// The same as JSON, byte for byte as it was found.
    pub text: String,
    /// The revision.
    pub revision: u64,
}

/// A message's place in the outbox, and what was tried so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// Its row.
    pub row: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was first tried while the sink was in order; its age counts from there.
    pub tried: Option<Timestamp>,
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

/// What became of a message.
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
}

/// A message and what became of it.
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
    /// At most `most` messages that are due: of each lane only the head, so that a lane keeps its order. Cost: that of
    /// what is taken, however much is queued behind it; nothing is written, and no commit is waited for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn hand(&self, sink: &str, most: usize, order: Order, now: Timestamp) -> anyhow::Result<Hand> {
        let connection = self.reading.connection();
        let mut hand = Hand::default();
        if !is_held(&connection, sink, now).context("read hold")? {
            heads(&connection, sink, most, order, now, &mut hand).context("find due messages")?;
        }
        Ok(hand)
    }

    /// Writes what became of messages, and until when the receiver asked to be left alone, if it did.
    ///
    /// # Errors
    /// When the disk refuses: nothing was written then.
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
            };
            transaction
                .prepare_cached(
                    "UPDATE outbox SET state = ?2, due = ?3, attempts = attempts + 1, answer = ?4, updated = ?5, tried = iif(?6 = 0 OR tried = 0, ?6, tried) WHERE row = ?1",
                )?
                .execute(params![sql(message.row), state, due, message.answer, now.micros(), tried])
                .context("settle delivery")?;
        }
        if let Some(until) = hold {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO holds (sink, until, since) VALUES (?1, ?2, ?3)")?
                .execute(params![sink, until.micros(), now.micros()])
                .context("hold sink")?;
        }
        transaction.commit().context("commit settling")
    }
}

/// Whether the receiver asked to be left alone until later. What was noted at a moment that has not come yet was noted
/// before the clock was set back, and holds nobody.
fn is_held(connection: &Connection, sink: &str, now: Timestamp) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM holds WHERE sink = ?1 AND until > ?2 AND since <= ?2")?
        .exists(params![sink, now.micros()])
}

/// The first heads that may be sent now.
fn heads(
    connection: &Connection,
    sink: &str,
    most: usize,
    order: Order,
    now: Timestamp,
    hand: &mut Hand,
) -> anyhow::Result<()> {
    // What was written at a moment that has not come yet was written before the clock was set back: it is due, or it
    // would wait for as long as the clock went back. The index is named because the planner, which does not know how
    // much is queued, would rather sort.
    let (index, order) = match order {
        Order::Severity => ("outbox_by_severity", "severity DESC, row"),
        Order::Due => ("outbox_by_due", "due, row"),
    };
    let mut read = connection.prepare_cached(&format!(
        "SELECT row, attempts, tried, action, revision, body
         FROM outbox INDEXED BY {index} LEFT JOIN revisions ON sequence = told
         WHERE sink = ?1 AND head = 1 AND (due <= ?2 OR updated > ?2) ORDER BY {order} LIMIT ?3"
    ))?;
    let mut rows = read.query(params![sink, now.micros(), i64::try_from(most).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        match queued(row) {
            Ok(message) => hand.messages.push(message),
            Err(error) => {
                let row = count(row.get(0)?);
                let answer = format!("the stored message cannot be read: {error:#}");
                tracing::error!(sink, row, answer, "message given up: it is a dead letter now");
                hand.unreadable.push(Settled { row, verdict: Verdict::Dead, answer });
            }
        }
    }
    Ok(())
}

fn queued(row: &rusqlite::Row<'_>) -> anyhow::Result<Queued> {
    let action: String = row.get(3)?;
    let text: String = row.get(5)?;
    let tried: i64 = row.get(2)?;
    let ticket = Ticket {
        row: count(row.get(0)?),
        attempts: row.get(1)?,
        tried: (tried != 0).then_some(Timestamp::from_micros(tried)),
    };
    Ok(Queued {
        ticket,
        action: known(action_of(&action), "action", &action)?,
        revision: count(row.get(4)?),
        alert: serde_json::from_str(&text).context("read queued alert")?,
        text,
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
