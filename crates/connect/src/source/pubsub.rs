//! Google Cloud Pub/Sub, pulled from a subscription, such as one that a sink of Cloud Logging writes to.
//!
//! A task of its own asks ([`desk`] says what): it keeps pulls under way while there is room, extends the time for messages
//! that are on their way through the pipeline, however long that takes, and acknowledges them once they are committed.
//! Pub/Sub keeps the position, so a mark only names how many batches of this run are durable. A crash brings messages
//! again, with the same ids: they are counted once further in.

mod access;
mod desk;
mod probe;
mod request;
mod settings;

#[cfg(test)]
mod emulator;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use self::desk::{Desk, Id, Message};
pub use self::probe::probe;
use self::request::Api;
pub(crate) use self::request::opened;
pub use self::settings::{Credentials, Settings, Subscription};
use super::cuts::Cuts;
use super::lines::head;
use super::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Mark, Next, Record, Refusal, Remedy, Source, SourceError,
};
use crate::clock::Clock;

/// Largest record; one of Cloud Logging has 256 KB.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// How long a commit waits to hear that it was told. It goes on being told afterwards.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// One subscription.
pub struct Pubsub {
    shared: Arc<Shared>,
    /// Ends with the source.
    driver: AbortOnDropHandle<()>,
    subscription: String,
    /// Names this run, as sequences begin anew with each.
    start: String,
    /// The message being cut into batches.
    current: Option<Cutting>,
    /// Of the last batch.
    sequence: u64,
    /// Batches that are not committed, oldest first, with the messages that end in them.
    unsettled: VecDeque<(u64, Vec<Id>)>,
}

/// What the source and its driver have in common.
struct Shared {
    desk: Mutex<Desk>,
    /// Something is there for the source.
    news: Notify,
    /// Something is there for the driver.
    work: Notify,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // A panic of the driver is met where the source waits for it.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message on its way into batches.
struct Cutting {
    id: Id,
    records: Peekable<Records>,
}

/// The records of a message: usually one.
enum Records {
    Cut(Cuts),
    Unreadable(Option<Vec<u8>>),
}

impl Iterator for Records {
    type Item = (u64, Body);

    fn next(&mut self) -> Option<(u64, Body)> {
        match self {
            Self::Cut(cuts) => cuts.next().map(|cut| (cut.line, cut.body)),
            Self::Unreadable(data) => {
                let body = |data: Vec<u8>| Body::Refused { head: head(&data), reason: Refusal::Corrupt };
                data.take().map(|data| (1, body(data)))
            }
        }
    }
}

impl Pubsub {
    /// Begins to pull. `start` names this run of the process.
    ///
    /// # Errors
    /// [`SourceError`] if there are no credentials.
    pub fn open(settings: &Settings, start: &str, clock: Clock) -> Result<Self, SourceError> {
        let api = Arc::new(Api::new(settings)?);
        let desk = Mutex::new(Desk::new(clock.now()));
        let shared = Arc::new(Shared { desk, news: Notify::new(), work: Notify::new() });
        let driver = AbortOnDropHandle::new(tokio::spawn(drive(api, shared.clone(), clock)));
        let subscription = settings.subscription.name().to_owned();
        let (current, unsettled) = (None, VecDeque::new());
        Ok(Self { shared, driver, subscription, start: start.to_owned(), current, sequence: 0, unsettled })
    }

    /// As much as fits into one batch of what is here.
    fn fold(&mut self) -> Option<Batch> {
        let (mut records, mut bytes, mut ended) = (Vec::new(), 0, Vec::new());
        while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            if self.current.is_none() {
                self.current = self.shared.desk().message().map(Cutting::of);
            }
            let Some(cutting) = &mut self.current else { break };
            if let Some((line, body)) = cutting.records.next() {
                bytes += body.len();
                records.push(Record { position: format!("{}#{line}", cutting.id), body });
            }
            if cutting.records.peek().is_none() {
                ended.push(cutting.id.clone());
                self.current = None;
            }
        }
        if records.is_empty() {
            // These hold nothing that must be durable first.
            if !ended.is_empty() {
                self.shared.desk().settle(&ended);
                self.shared.work.notify_one();
            }
            return None;
        }
        self.sequence += 1;
        self.unsettled.push_back((self.sequence, ended));
        let position = format!("{}.{}", self.start, self.sequence);
        let mark = Mark(BTreeMap::from([(self.subscription.clone(), position)]));
        Some(Batch { records, mark, ..Batch::default() })
    }

    /// The messages that are durable with this mark.
    fn settled(&mut self, mark: &Mark) -> Vec<Id> {
        let value = mark.0.get(&self.subscription).and_then(|value| value.strip_prefix(&self.start)?.strip_prefix('.'));
        let Some(committed) = value.and_then(|value| value.parse::<u64>().ok()) else { return Vec::new() };
        let mut ids = Vec::new();
        while self.unsettled.front().is_some_and(|(sequence, _)| *sequence <= committed) {
            ids.extend(self.unsettled.pop_front().into_iter().flat_map(|(_, ids)| ids));
        }
        ids
    }
}

impl Cutting {
    fn of(message: Message) -> Self {
        let records = match message.body {
            Ok(data) => Records::Cut(Cuts::new(data, RECORD_BYTES_MAX)),
            Err(data) => Records::Unreadable(Some(data)),
        };
        Self { id: message.id, records: records.peekable() }
    }
}

impl Source for Pubsub {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            let shared = self.shared.clone();
            let news = shared.news.notified();
            if let Some(batch) = self.fold() {
                return Ok(Next::Batch(batch));
            }
            {
                let mut desk = shared.desk();
                if let Some(error) = desk.failure() {
                    return Err(error);
                }
                if desk.is_idle() {
                    return Ok(Next::Idle);
                }
            }
            // The only wait, and before anything is taken: dropping it loses nothing.
            tokio::select! {
                () = news => {}
                ended = &mut self.driver => match ended {
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Ok(()) | Err(_) => return Ok(Next::Exhausted),
                },
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        let ids = self.settled(&mark);
        let failures = {
            let mut desk = self.shared.desk();
            desk.settle(&ids);
            desk.unsaid().0
        };
        self.shared.work.notify_one();
        let told = async {
            loop {
                let news = self.shared.news.notified();
                {
                    let desk = self.shared.desk();
                    if !desk.holds(&ids) {
                        return Ok(());
                    }
                    if let (count, Some(error)) = desk.unsaid()
                        && count > failures
                    {
                        return Err(error);
                    }
                }
                news.await;
            }
        };
        // A stop then leaves nothing behind that would come again; but nobody is kept waiting for that.
        let waited = tokio::time::timeout(TOLD_MAX, told).await;
        // `next` may have had the same news to hear.
        self.shared.news.notify_one();
        waited.unwrap_or_else(|_| {
            let doing = "acknowledge messages: no answer yet, it goes on".to_owned();
            Err(SourceError { doing, remedy: Remedy::Wait, source: None })
        })
    }
}

/// Asks what the desk plans, and tells it what came of it.
async fn drive(api: Arc<Api>, shared: Arc<Shared>, clock: Clock) {
    let mut requests = JoinSet::new();
    loop {
        let plan = shared.desk().plan(clock.now());
        for request in plan.requests {
            let api = api.clone();
            requests.spawn(async move { api.answer(request).await });
        }
        let sleep = async {
            match plan.wake {
                Some(moment) => clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(answered) = requests.join_next() => match answered {
                Ok(outcome) => {
                    shared.desk().took(outcome, clock.now());
                    shared.news.notify_one();
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            () = shared.work.notified() => {}
            () = sleep => {}
        }
    }
}
