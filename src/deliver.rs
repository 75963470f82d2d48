//! Telling: one task a sink takes messages from the outbox, sends them, and writes what came of it before it takes more.
//!
//! A sink that is down delays only itself. Messages of one lane keep their order; different lanes go side
//! by side. Every decision is [`decide`], a pure function. The wait of a message and what a receiver asked
//! for are on disk, so a restart keeps them; a sink that failed otherwise is tried at once after a restart,
//! which is what the person who mended it wants.

use std::sync::Arc;
use std::time::Duration;

use connect::retry::{Policy, backoff};
use connect::sink::{Action, Answer, Message, Sink};
use engine::time::{Span, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fail::{self, Point};
use crate::metrics::METRICS;
use crate::store::{Hand, Order, Queued, Settled, Store, Ticket, Verdict};
use connect::clock::Clock;

/// How often a queue is looked at even if nobody calls: for messages whose wait is over.
const LOOK: Duration = Duration::from_secs(1);
/// Messages that were first tried longer ago become dead letters, as Standard Webhooks advises.
const AGE_MAX: Span = Span::seconds(72 * 3_600);
/// Waits between attempts: short enough that a receiver which comes back is told within a minute.
const RETRY: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Rests of a whole sink that gave no answer or a bad one: one round of attempts is a cheap question.
const REST: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(15) };
/// How long a sink that a person must mend is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// One sink with everything that its task needs.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Its name in the configuration.
    pub name: String,
    /// The sink.
    pub sink: Sink,
    /// The console's address, for links.
    pub public_url: Option<String>,
    /// Called when there is something new.
    pub news: Arc<Notify>,
    /// How it is doing, for those who watch.
    pub mood: Arc<tokio::sync::watch::Sender<Mood>>,
}

/// Whether a sink takes messages, from well to ill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    /// It does.
    #[default]
    Works,
    /// Not now; it is tried again.
    Retrying,
    /// A person must mend it; it is tried now and then.
    Paused,
}

/// How fast a sink is told things.
#[derive(Clone, Copy)]
struct Pace {
    /// Messages under way at a time.
    lanes: usize,
    /// Messages that are taken out at a time, if all goes well: taking out and noting cost a transaction each.
    hand: usize,
    /// From one round to the next.
    gap: Duration,
}

/// A round begins no further message after this: what has come to be more urgent meanwhile does not wait for longer.
const ROUND: Duration = Duration::from_millis(250);

/// Wait before what came of messages is written again.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// What the loop remembers from round to round.
struct Rounds {
    pace: Pace,
    /// Batches in a row in which nothing worked.
    failures: u32,
}

impl Rounds {
    fn new(pace: Pace) -> Self {
        Self { pace, failures: 0 }
    }

    /// How many messages to take out: after a failure no more than are sent at once, as the next may fail likewise.
    fn hand(&self) -> usize {
        if self.failures == 0 { self.pace.hand } else { self.pace.lanes }
    }

    /// After a failure others get their turn: a severe message that fails each time must not be all there is.
    fn order(&self) -> Order {
        if self.failures % 2 == 1 { Order::Due } else { Order::Severity }
    }
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decision {
    verdict: Verdict,
    /// Leave the whole sink alone for this long.
    hold: Option<Duration>,
    /// How much of that the receiver asked for.
    asked: Option<Duration>,
    mood: Mood,
    outcome: &'static str,
}

/// Delivers until told to stop; what is in flight then is finished first.
pub(crate) async fn run(delivery: Delivery, store: Arc<Store>, clock: Clock, stop: CancellationToken) {
    METRICS.expect_sink(&delivery.name);
    let delivery = Arc::new(delivery);
    let mut rounds = Rounds::new(pace(&delivery.sink));
    loop {
        let hand = take(&delivery, &store, &rounds, &clock).await;
        let idle = hand.is_empty();
        let mut hold = None;
        if !idle {
            let outcome = send(&delivery, hand, &mut rounds, &clock).await;
            hold = outcome.hold;
            note(&delivery, &store, outcome, &clock, &stop).await;
        }
        let wait = match hold {
            Some(hold) => hold,
            None if idle => LOOK,
            None => rounds.pace.gap,
        };
        // A hold is a promise to the receiver: news do not shorten it.
        let called = async {
            if hold.is_some() || !idle { std::future::pending().await } else { delivery.news.notified().await }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = called => {}
            () = clock.sleep_until(clock.now().plus(span(wait))) => {}
        }
    }
}

/// Slack takes one message a second in a channel and PagerDuty must see one incident in order, which lanes
/// already give; a webhook is asked for no more than eight answers at a time.
fn pace(sink: &Sink) -> Pace {
    match sink {
        Sink::Webhook(_) => Pace { lanes: 8, hand: 128, gap: Duration::ZERO },
        Sink::Slack(_) => Pace { lanes: 1, hand: 1, gap: Duration::from_millis(1_100) },
        Sink::PagerDuty(_) => Pace { lanes: 4, hand: 32, gap: Duration::ZERO },
        Sink::Stdout(_) | Sink::Memory(_) => Pace { lanes: 1, hand: 128, gap: Duration::ZERO },
    }
}

async fn take(delivery: &Arc<Delivery>, store: &Arc<Store>, rounds: &Rounds, clock: &Clock) -> Hand {
    let (store, of, now) = (store.clone(), delivery.clone(), clock.now());
    let (most, order) = (rounds.hand(), rounds.order());
    let hand = tokio::task::spawn_blocking(move || store.hand(&of.name, most, order, now));
    hand.await.expect("taking does not panic").unwrap_or_else(|error| {
        tracing::error!(sink = %delivery.name, error = format!("{error:#}"), "outbox cannot be read, trying again");
        Hand::default()
    })
}

/// What came of a hand.
#[derive(Debug)]
struct Outcome {
    /// Of each message that was sent; the others wait as before.
    settled: Vec<Settled>,
    /// How long the sink wants to be left alone.
    hold: Option<Duration>,
    /// How much of that it asked for.
    asked: Option<Duration>,
}

/// Sends messages side by side.
async fn send(delivery: &Arc<Delivery>, hand: Hand, rounds: &mut Rounds, clock: &Clock) -> Outcome {
    fail::point(Point::Taken);
    let mut waiting = hand.messages.into_iter();
    let mut attempts = JoinSet::new();
    waiting
        .by_ref()
        .take(rounds.pace.lanes)
        .for_each(|queued| drop(attempts.spawn(attempt(delivery.clone(), queued, clock.now()))));
    let began = Instant::now();
    let (mut settled, mut moods, mut hold, mut asked) = (hand.unreadable, Vec::new(), None, None);
    while let Some(attempt) = attempts.join_next().await {
        let Attempt { ticket, message, answer } = attempt.expect("sinks do not panic");
        let decision = decide(&ticket, &answer, rounds.failures, clock.now(), chance(&ticket));
        METRICS.deliveries.with_label_values(&[&delivery.name, decision.outcome]).inc();
        let said = said(&answer);
        if decision.verdict == Verdict::Dead {
            let (sink, alert) = (&delivery.name, &message.alert.id.0);
            tracing::error!(%sink, %alert, answer = %said, "message given up: it is a dead letter now");
        }
        hold = hold.max(decision.hold);
        asked = asked.max(decision.asked);
        moods.push((decision.mood, said.clone()));
        settled.push(Settled { row: ticket.row, verdict: decision.verdict, answer: said });
        if hold.is_none()
            && began.elapsed() < ROUND
            && let Some(next) = waiting.next()
        {
            attempts.spawn(self::attempt(delivery.clone(), next, clock.now()));
        }
    }
    rounds.failures = delivery.feel(moods, rounds.failures);
    Outcome { settled, hold, asked }
}

/// One message, and what the receiver says to it.
struct Attempt {
    ticket: Ticket,
    message: Message,
    answer: Answer,
}

async fn attempt(delivery: Arc<Delivery>, queued: Queued, now: Timestamp) -> Attempt {
    let start = Instant::now();
    let ticket = queued.ticket;
    let message = delivery.message(queued);
    fail::point(Point::Posting);
    let answer = delivery.sink.send(&message, now).await;
    fail::point(Point::Posted);
    METRICS.delivery_seconds.with_label_values(&[&delivery.name]).observe(start.elapsed().as_secs_f64());
    Attempt { ticket, message, answer }
}

/// Writes what came of a hand, until it is written: what is not noted would be sent again.
async fn note(delivery: &Arc<Delivery>, store: &Arc<Store>, outcome: Outcome, clock: &Clock, stop: &CancellationToken) {
    let Outcome { settled, asked, .. } = outcome;
    let settled = Arc::new(settled);
    loop {
        let (store, of, settled, now) = (store.clone(), delivery.clone(), settled.clone(), clock.now());
        let hold = asked.map(|asked| now.plus(span(asked)));
        let written = tokio::task::spawn_blocking(move || store.settle(&of.name, &settled, hold, now));
        let Err(error) = written.await.expect("settling does not panic") else { break };
        tracing::error!(sink = %delivery.name, error = format!("{error:#}"), "delivery not noted, trying again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(clock.now().plus(span(NOTE_AGAIN))) => {}
        }
    }
    fail::point(Point::Marked);
}

/// What follows from this answer to this message after so many batches in a row in which nothing worked.
fn decide(ticket: &Ticket, answer: &Answer, failures: u32, now: Timestamp, chance: f64) -> Decision {
    let old = ticket.tried.is_some_and(|first| now.since(first) > AGE_MAX);
    match answer {
        Answer::Delivered(_) => {
            Decision { verdict: Verdict::Delivered, hold: None, asked: None, mood: Mood::Works, outcome: "delivered" }
        }
        Answer::Retry { after, .. } => {
            let own = backoff(ticket.attempts + 1, chance, RETRY);
            // The whole sink rests as long as it asked for; a failure without a wish rests it more the more
            // often it failed, so that one bad message does not stop the others.
            let rest = after.unwrap_or_else(|| backoff(failures + 1, chance, REST));
            let wait = own.max(after.unwrap_or_default());
            let verdict = if old { Verdict::Dead } else { Verdict::Again(now.plus(span(wait))) };
            Decision { verdict, hold: Some(rest), asked: *after, mood: Mood::Retrying, outcome: "retry" }
        }
        Answer::Refused(_) => {
            Decision { verdict: Verdict::Dead, hold: None, asked: None, mood: Mood::Works, outcome: "refused" }
        }
        Answer::Misconfigured(_) | Answer::Gone(_) => {
            let pause = PAUSE.0.saturating_mul(1 << failures.min(8)).min(PAUSE.1);
            let outcome = if matches!(answer, Answer::Gone(_)) { "gone" } else { "misconfigured" };
            Decision { verdict: Verdict::Kept, hold: Some(pause), asked: None, mood: Mood::Paused, outcome }
        }
    }
}

fn span(wait: Duration) -> Span {
    Span::from_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

/// Jitter that needs no random numbers: the row and the attempt, hashed.
fn chance(ticket: &Ticket) -> f64 {
    let hash = blake3::hash(&[ticket.row.to_le_bytes(), u64::from(ticket.attempts).to_le_bytes()].concat());
    let (four, _) = hash.as_bytes().split_first_chunk::<4>().expect("a hash has 32 bytes");
    f64::from(u32::from_le_bytes(*four)) / f64::from(u32::MAX)
}

fn said(answer: &Answer) -> String {
    let reply = answer.reply();
    match reply.status {
        Some(status) => format!("{status} {}", reply.text).trim_end().to_owned(),
        None => reply.text.clone(),
    }
}

impl Delivery {
    fn message(&self, queued: Queued) -> Message {
        let Queued { action, alert, text, revision, .. } = queued;
        let said = match action {
            Action::Raise => "raise",
            Action::Update => "update",
            Action::Resolve => "resolve",
        };
        let id = &alert.id.0;
        Message {
            id: format!("{id}-{revision}-{said}"),
            action,
            link: self.public_url.as_ref().map(|url| format!("{}/#/alerts/{id}", url.trim_end_matches('/'))),
            alert,
            text,
            revision,
        }
    }

    /// Takes in how the answers to one batch were and says once when the mood changes: a sink works if
    /// anything did. Answers how many batches in a row nothing has worked.
    fn feel(&self, moods: Vec<(Mood, String)>, failures: u32) -> u32 {
        let works = moods.iter().find(|(mood, _)| *mood == Mood::Works);
        let worst = || moods.iter().max_by_key(|(mood, _)| *mood);
        let Some((mood, said)) = works.or_else(worst) else { return failures };
        let sink = &self.name;
        self.mood.send_if_modified(|current| {
            let before = std::mem::replace(current, *mood);
            if before == *mood {
                return false;
            }
            match mood {
                Mood::Works => tracing::info!(%sink, "sink works again"),
                Mood::Retrying => tracing::warn!(%sink, answer = %said, "sink does not take messages, trying again"),
                Mood::Paused => {
                    tracing::error!(%sink, answer = %said, "sink must be mended by a person: its queue is kept")
                }
            }
            true
        });
        if *mood == Mood::Works { 0 } else { failures.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests;
