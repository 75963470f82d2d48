//! From a source into the pipeline, and commits back to the source.
//!
//! One task a source. It waits in one place; a batch that finds no room is held, so the source is not read
//! further: that is the backpressure. A source that fails is tried again and delays only itself.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect::source::{Batch, Mark, Next, Remedy, Source, SourceError};
use engine::detect::Pace;
use engine::normalise::Format;
use engine::time::{Span, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use self::health::{Health, Trouble};
use self::shown::Shown;
use crate::fail::{self, Point};
use crate::metrics::METRICS;
use crate::workers::{Load, Reached};
use connect::clock::Clock;

mod health;
mod shown;

/// Waits after a failure double from here …
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// … to here.
const RETRY_LAST: Duration = Duration::from_secs(60);

/// What is to be expected of times where nobody says so: a minute out of order, and 20 late, as the slowest source that
/// people use.
pub(crate) const PACE: Pace = Pace { delay: Span::seconds(60), lateness: Span::seconds(20 * 60) };

/// How a system behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// How far out of order its events ordinarily come.
    pub delay: Span,
    /// Whether it may bring an event that was counted before.
    pub repeats: bool,
    /// Whether it says when all that there was has been handed over.
    pub says_idle: bool,
}

/// What the pipeline knows of a source.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Its name in the configuration.
    pub name: String,
    /// The system behind it, as the API names it.
    pub system: &'static str,
    /// Its kind of log.
    pub format: Format,
    /// Whether its marks are positions that a restart continues from; those of HTTP only name requests.
    pub keeps_position: bool,
    /// What is to be expected of the times of its events.
    pub pace: Pace,
    /// Whether it may bring an event that was counted before, so that ids have to be remembered.
    pub repeats: bool,
    /// Whether somebody asks whose its events are.
    pub is_covered: bool,
    /// Its name as that of its only partition.
    partition: Arc<str>,
    /// What has been committed and not yet told to the source.
    pub done: Done,
    /// Whether it says when all that there was has been handed over; what is pushed does not.
    says_idle: bool,
    /// Whether it has said so since its last batch or failure.
    idle: AtomicBool,
    /// Partitions that went to others, until somebody takes note.
    revoked: Mutex<Vec<String>>,
    /// Microseconds of the newest event time; the smallest number before the first event.
    newest: AtomicI64,
    health: watch::Sender<Health>,
    /// What keeps it from working.
    trouble: Mutex<Option<Trouble>>,
    /// Whether its task has ended, or never began.
    ended: AtomicBool,
}

/// Commits on their way back to one source.
#[derive(Debug, Default)]
pub(crate) struct Done {
    inner: Mutex<(Mark, u64)>,
    news: Notify,
}

impl Feed {
    /// A source that has not been read yet.
    pub(crate) fn new(name: String, format: Format, keeps_position: bool) -> Self {
        METRICS.expect_source(&name);
        let (done, newest) = (Done::default(), AtomicI64::new(i64::MIN));
        let (partition, health) = (name.as_str().into(), watch::Sender::new(Health::Running));
        let (says_idle, idle, revoked) = (true, AtomicBool::new(false), Mutex::default());
        let (system, pace, repeats, trouble) = ("memory", PACE, true, Mutex::default());
        let ended = AtomicBool::new(false);
        Self {
            name,
            system,
            format,
            keeps_position,
            pace,
            repeats,
            is_covered: false,
            partition,
            done,
            says_idle,
            idle,
            revoked,
            newest,
            health,
            trouble,
            ended,
        }
    }

    /// With what its configuration says of times, and its system's manners.
    pub(crate) fn with(self, pace: Pace, manners: Manners) -> Self {
        let Manners { repeats, says_idle, .. } = manners;
        // What is waited for must not be too late when it comes.
        let pace = Pace { lateness: pace.lateness.max(pace.delay), ..pace };
        Self { pace, repeats, says_idle, ..self }
    }

    /// Of this system.
    pub(crate) fn of(self, system: &'static str) -> Self {
        Self { system, ..self }
    }

    /// Whose events are asked for, if this is true.
    pub(crate) fn covered(self, is_covered: bool) -> Self {
        Self { is_covered, ..self }
    }

    /// Whether all that there was has been handed over, as far as it says: nothing that is older is to be expected.
    pub(crate) fn is_at_end(&self) -> bool {
        !self.says_idle || self.idle.load(Ordering::Relaxed)
    }

    /// Whether it will say so again: then what it said before a pause of ours need not count.
    pub(crate) fn doubt_end(&self) -> bool {
        self.idle.store(false, Ordering::Relaxed);
        self.says_idle
    }

    /// All that there was has been handed over.
    pub(crate) fn says_it_is_at_its_end(&self) {
        self.idle.store(true, Ordering::Relaxed);
    }

    /// These partitions went to others.
    pub(crate) fn lost(&self, partitions: Vec<String>) {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
    }

    /// The partitions that went to others since the last call, as [`Reached`] names them.
    pub(crate) fn take_revoked(&self) -> Vec<String> {
        let taken = std::mem::take(&mut *self.revoked.lock().unwrap_or_else(PoisonError::into_inner));
        taken.iter().map(|name| format!("{}/{name}", self.name)).collect()
    }

    /// Its partitions of these names, before any event; itself, if there are none. Of a source that may bring any kind of
    /// log, every kind is to be expected.
    pub(crate) fn partitions(&self, names: &[Arc<str>]) -> Vec<Reached> {
        let kinds = self.format.kinds();
        let reached = |partition| Reached { partition, newest: None, kinds };
        if names.is_empty() {
            return vec![reached(self.partition.clone())];
        }
        names.iter().map(|name| reached(format!("{}/{name}", self.name).into())).collect()
    }

    /// Whether this is the name of one of its partitions. A name of a source holds no `/`.
    pub(crate) fn has(&self, partition: &str) -> bool {
        partition.split('/').next() == Some(&self.name)
    }

    /// An event of this time came.
    pub(crate) fn saw(&self, time: Timestamp) {
        self.newest.fetch_max(time.micros(), Ordering::Relaxed);
    }

    /// How far the newest event lies back, so it grows while the source is silent; nothing before the first.
    pub(crate) fn lag(&self, now: Timestamp) -> Option<Span> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest != i64::MIN).then(|| now.since(Timestamp::from_micros(newest)))
    }

    /// Whether it works.
    pub(crate) fn health(&self) -> Health {
        *self.health.borrow()
    }

    /// Waits until there will be no more and all of it is committed.
    pub(crate) async fn finished(&self) {
        // The sender lives in `self`, so the wait cannot end in an error.
        drop(self.health.subscribe().wait_for(|health| *health == Health::Finished).await);
    }

    /// What keeps it from working, if it fails.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it runs: it was opened and has not come to its end.
    pub(crate) fn is_running(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// It could not even be opened, so it does not run.
    pub(crate) fn cannot_open(&self, error: &SourceError) {
        self.ended.store(true, Ordering::Relaxed);
        // Nothing will try it again by itself: people are told at once.
        for _ in 0..2 {
            self.fails(error);
        }
    }

    /// Its system failed once more.
    fn fails(&self, error: &SourceError) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = Some(Trouble::after(trouble.take(), error, Clock::Wall.now()));
        drop(trouble);
        self.is(Health::Failing);
    }

    /// Its system answered.
    fn works(&self) {
        if self.health() == Health::Failing {
            tracing::info!(source = %self.name, "source works again");
            self.is(Health::Running);
        }
    }

    /// From here on it works, or not.
    pub(crate) fn is(&self, health: Health) {
        if health != Health::Failing {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.health.send_replace(health);
        METRICS.source_up.with_label_values(&[&self.name]).set(i64::from(health != Health::Failing));
    }
}

impl Done {
    /// A batch with this mark is durable.
    pub(crate) fn committed(&self, mark: &Mark) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.0.extend(mark.0.iter().map(|(partition, position)| (partition.clone(), position.clone())));
        inner.1 += 1;
        drop(inner);
        self.news.notify_one();
    }

    /// Waits for commits and takes them: the latest position of each partition, and how many batches.
    async fn next(&self) -> (Mark, u64) {
        loop {
            let news = self.news.notified();
            let taken = std::mem::take(&mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner));
            if taken.1 > 0 {
                return taken;
            }
            news.await;
        }
    }
}

enum Input<'a> {
    Stop,
    Committed(Mark, u64),
    Room(mpsc::Permit<'a, Load>),
    Next(Result<Next, SourceError>),
    Retry,
}

/// Reads the source until it is exhausted or told to stop; returns when all that it handed in is committed.
pub(crate) async fn run(mut source: impl Source, feed: Arc<Feed>, inbox: mpsc::Sender<Load>, stop: CancellationToken) {
    let (mut held, mut in_flight) = (None::<Batch>, 0);
    let (mut open, mut stopping, mut exhausted) = (true, false, false);
    let mut retry: Option<(Instant, Duration)> = None;
    let mut shown = Shown::default();
    while open || held.is_some() || in_flight > 0 {
        let rest = retry.map(|(at, _)| at).filter(|at| *at > Instant::now());
        let input = tokio::select! {
            biased;
            () = stop.cancelled(), if open && !stopping => Input::Stop,
            (mark, batches) = feed.done.next() => Input::Committed(mark, batches),
            Ok(permit) = inbox.reserve(), if held.is_some() => Input::Room(permit),
            () = sleep_until(rest.unwrap_or_else(Instant::now)), if open && rest.is_some() => Input::Retry,
            next = source.next(), if open && held.is_none() && rest.is_none() => Input::Next(next),
        };
        shown.update(&feed.name, source.backlog(), source.figures());
        match input {
            Input::Stop => {
                (stopping, retry) = (true, None);
                // What is held has not been accepted; it is read again after the next start, if it can be.
                if !source.stop() {
                    (open, held) = (false, None);
                }
            }
            Input::Committed(mark, batches) => {
                in_flight -= batches;
                acknowledge(&mut source, mark, &feed).await;
            }
            Input::Room(permit) => {
                if let Some(batch) = held.take() {
                    in_flight += 1;
                    permit.send(Load { feed: feed.clone(), batch });
                    fail::point(Point::Handed);
                }
            }
            Input::Next(Ok(next)) => {
                feed.works();
                retry = None;
                match next {
                    Next::Batch(batch) => {
                        fail::point(Point::Read);
                        feed.doubt_end();
                        held = Some(batch);
                    }
                    Next::Idle => feed.says_it_is_at_its_end(),
                    Next::Revoked(partitions) => {
                        tracing::info!(source = %feed.name, ?partitions, "partitions revoked");
                        feed.lost(partitions);
                    }
                    Next::Exhausted => {
                        tracing::info!(source = %feed.name, "source exhausted");
                        (open, exhausted) = (false, !stopping);
                    }
                }
            }
            Input::Next(Err(error)) => {
                report(&feed, &error);
                feed.fails(&error);
                feed.doubt_end();
                retry = (!stopping).then(|| wait(retry, error.remedy));
            }
            Input::Retry => {}
        }
    }
    // A stop is no end: it goes on where it was.
    if exhausted {
        feed.is(Health::Finished);
    }
    feed.ended.store(true, Ordering::Relaxed);
}

/// Tells the source what is durable.
async fn acknowledge(source: &mut impl Source, mark: Mark, feed: &Feed) {
    fail::point(Point::Acknowledging);
    if let Err(error) = source.commit(mark).await {
        report(feed, &error);
    }
    fail::point(Point::Acknowledged);
}

fn wait(before: Option<(Instant, Duration)>, remedy: Remedy) -> (Instant, Duration) {
    let length = match remedy {
        Remedy::Wait => before.map_or(RETRY_FIRST, |(_, length)| (length * 2).min(RETRY_LAST)),
        Remedy::Person => RETRY_LAST,
    };
    (Instant::now() + length, length)
}

fn report(feed: &Feed, error: &SourceError) {
    METRICS.source_errors.with_label_values(&[&feed.name]).inc();
    let error = health::chain(error);
    tracing::warn!(source = %feed.name, %error, "source failed, trying again");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_of_a_silent_source_grows() {
        let feed = Feed::new("silent".to_owned(), Format::Auto, false);
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(feed.lag(at(100)), None, "nothing is known before the first event");
        feed.saw(at(90));
        feed.saw(at(60));
        assert_eq!(feed.lag(at(100)), Some(Span::seconds(10)), "the newest counts, in whatever order");
        assert_eq!(feed.lag(at(700)), Some(Span::seconds(610)));
        assert_eq!(feed.lag(at(80)), Some(Span::default()), "an event of the future does not lag");
    }
}
