//! Amazon Kinesis Data Streams: all shards of a stream, each from where our own store says.
//!
//! No lease and no table beside the stream: the mark of each shard is kept with what follows from its records, so a restart
//! reads on exactly behind the last one that counted, within a packed record too. What a producer puts twice, as it may,
//! comes twice, at two positions; events with an id are counted once further in.
//!
//! Shards are listed again and again, and at once when one of them has ended ([`layout`]). Each has a pace of its own
//! ([`shard`]). A few are asked at the same time, and nobody is while something waits to be handed over.

mod aggregate;
mod layout;
mod pages;
mod probe;
mod request;
mod settings;
mod shard;
mod unpack;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use engine::time::{Span, Timestamp};
use tokio::task::JoinSet;

use self::layout::{Layout, Listed, News};
use self::pages::Turn;
pub use self::probe::probe;
use self::request::{Page, Trouble};
pub use self::settings::{Beginning, Settings, SettingsError, Stream};
use self::shard::{Place, Shard};
use crate::clock::{Clock, Steps};
use crate::source::{Batch, Figures, Mark, Next, Remedy, Source, SourceError};

/// Shards that are asked at the same time: with what was brought and is handed over, 5 × 10 MB.
const ASKED_MAX: usize = 4;

/// Between two listings of the shards.
const LIST_EVERY: Span = Span::seconds(30);

/// Refusals in a row, for pace or for an iterator, that are survived without a word to the caller.
const REFUSALS_SILENT: u32 = 4;

/// First wait after a failure.
const FAILURE_WAIT: Span = Span::seconds(1);
/// Longest wait after a failure that passes by itself.
const FAILURE_WAIT_MAX: Span = Span::seconds(60);
/// Longest wait after one that a person must mend.
const PERSON_WAIT_MAX: Span = Span::seconds(300);

/// A shard that brings nothing has its mark renewed so often: it says up to when nothing is missing.
const RENEW: Span = Span::seconds(600);

/// While answers are awaited, whoever is due is looked for so often: a slow shard holds up no other.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One stream.
pub struct Kinesis {
    client: Client,
    stream: Stream,
    clock: Clock,
    steps: Steps,
    poll: Span,
    /// Where the very first start begins.
    start: Beginning,
    layout: Layout,
    list_due: Timestamp,
    /// A listing is on its way.
    listing: bool,
    /// Since this start: who may be read before whom is known.
    listed: bool,
    /// The next wait after a listing that failed.
    list_wait: Span,
    /// Requests on their way. They outlive a dropped `next`.
    asked: JoinSet<Answer>,
    /// What was brought and is to be handed over, in order.
    ready: VecDeque<Ready>,
    /// Shards whose end is durable.
    ended: Vec<String>,
    throttled: u64,
    gaps_suspected: u64,
}

enum Answer {
    Listed(Result<Listed, Trouble>),
    Read(String, Result<Page, Trouble>),
}

enum Ready {
    Turn(Box<Turn>),
    News(News),
}

enum Choice {
    Idle,
    /// Nobody before this moment.
    Wait(Timestamp),
    /// Answers.
    Await,
}

impl Kinesis {
    /// Reads on from `stored`, or from `settings.start` if the stream was never read. Asks nobody yet.
    ///
    /// # Errors
    /// [`SourceError`] if no region is configured or the stored mark is not one of this source.
    pub async fn open(settings: &Settings, stored: &Mark, clock: Clock) -> Result<Self, SourceError> {
        let client = request::client(settings).await?;
        Self::with_client(settings, stored, clock, client)
    }

    fn with_client(settings: &Settings, stored: &Mark, clock: Clock, client: Client) -> Result<Self, SourceError> {
        Ok(Self {
            client,
            stream: settings.stream.clone(),
            poll: Span::from_micros(i64::try_from(settings.poll.as_micros()).unwrap_or(i64::MAX)),
            start: settings.start,
            layout: Layout::restore(stored)?,
            list_due: clock.now(),
            clock,
            steps: Steps::default(),
            listing: false,
            listed: false,
            list_wait: Span::default(),
            asked: JoinSet::new(),
            ready: VecDeque::new(),
            ended: Vec::new(),
            throttled: 0,
            gaps_suspected: 0,
        })
    }

    /// The next batch of what was brought.
    fn batch(&mut self) -> Option<Batch> {
        while let Some(ready) = self.ready.front_mut() {
            let open = self.layout.open().map(|(name, _)| name);
            match ready {
                Ready::Turn(turn) => {
                    if let Some(batch) = turn.batch(open) {
                        return Some(batch);
                    }
                }
                Ready::News(news) => {
                    let News { mark, gaps } = std::mem::take(news);
                    if !mark.0.is_empty() || !gaps.is_empty() {
                        let partitions = open.map(std::sync::Arc::from).collect();
                        return Some(Batch { partitions, mark, gaps, ..Batch::default() });
                    }
                }
            }
            self.ready.pop_front();
        }
        None
    }

    /// Asks whoever is due, as far as there is room.
    fn choose(&mut self) -> Choice {
        let now = self.clock.now();
        if self.steps.were_back(now) {
            self.list_due = now;
            self.layout.shards.values_mut().for_each(Shard::hurry);
        }
        // Where a shard has ended, its children may hold more.
        if !self.listing && self.list_due > now && self.layout.rests() {
            return Choice::Idle;
        }
        if !self.listing && self.list_due <= now {
            self.listing = true;
            let (client, stream) = (self.client.clone(), self.stream.clone());
            self.asked.spawn(async move { Answer::Listed(request::list(&client, &stream).await) });
        }
        let mut waits = self.next_shard();
        while self.asked.len() < ASKED_MAX
            && let Some((name, _)) = waits.take_if(|(_, due)| *due <= now)
        {
            self.ask(name, now);
            waits = self.next_shard();
        }
        if !self.asked.is_empty() {
            return Choice::Await;
        }
        Choice::Wait(waits.map_or(self.list_due, |(_, due)| due.min(self.list_due)))
    }

    /// The shard to ask next, and when.
    fn next_shard(&self) -> Option<(String, Timestamp)> {
        let next = self.layout.next().filter(|_| self.listed);
        next.map(|(name, due)| (name.to_owned(), due))
    }

    fn ask(&mut self, name: String, now: Timestamp) {
        let start = self.layout.start();
        let Some(shard) = self.layout.shards.get_mut(&name) else { return };
        let from = shard.ask(start, now);
        let (client, stream) = (self.client.clone(), self.stream.clone());
        self.asked.spawn(async move {
            let page = request::read(&client, &stream, &name, from, now).await;
            Answer::Read(name, page)
        });
    }

    fn answered(&mut self, answer: Answer) -> Result<(), SourceError> {
        let now = self.clock.now();
        match answer {
            Answer::Listed(listed) => {
                self.listing = false;
                self.list_due = now.plus(LIST_EVERY);
                match listed {
                    Ok(listed) => self.listed(&listed, now),
                    Err(trouble) => return self.not_listed(trouble, now),
                }
            }
            Answer::Read(name, Ok(page)) => self.read(&name, page),
            Answer::Read(name, Err(trouble)) => return self.not_read(&name, trouble, now),
        }
        Ok(())
    }

    fn listed(&mut self, listed: &Listed, now: Timestamp) {
        self.list_wait = Span::default();
        self.listed = true;
        let before = self.layout.created();
        let news = self.layout.follow(listed, self.start.moment(now), self.stream.name());
        if before.is_some_and(|before| self.layout.created() != Some(before)) {
            // What is on its way was asked of the old one, whose shards had the same names.
            self.asked = JoinSet::new();
        }
        self.ready.push_back(Ready::News(news));
    }

    fn not_listed(&mut self, trouble: Trouble, now: Timestamp) -> Result<(), SourceError> {
        if let Trouble::Throttled(_) = trouble {
            self.throttled += 1;
        }
        let (Trouble::Throttled(error) | Trouble::IteratorExpired(error) | Trouble::Failed(error)) = trouble;
        self.list_wait = FAILURE_WAIT.max(self.list_wait.plus(self.list_wait)).min(longest(error.remedy));
        self.list_due = now.plus(self.list_wait);
        Err(error)
    }

    fn read(&mut self, name: &str, page: Page) {
        let retention = self.layout.retention;
        // It may be gone by now: then it is told as a gap.
        let Some(shard) = self.layout.shards.get_mut(name) else { return };
        let before = shard.take(&page.look, self.poll);
        let asked = page.look.asked;
        let first = page.records.front().map_or(asked.minus(page.look.behind), |raw| raw.arrived);
        let gap = before.read().and_then(|read| layout::trimmed(name, read, first, asked, retention));
        self.gaps_suspected += u64::from(gap.is_some());
        if shard.is_ended() {
            // Its children are read now.
            self.list_due = asked;
        }
        let keep = match (before.read(), shard.place.read()) {
            (Some(before), Some(after)) => after.since(before) >= RENEW,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if page.records.is_empty() && !keep && gap.is_none() && !shard.is_ended() {
            // Else each look would move the moment, and none so far that it is worth a commit.
            shard.place = before;
            return;
        }
        let end = shard.place.clone();
        let turn = Turn::new(name, page, before, end, gap);
        self.ready.push_back(Ready::Turn(Box::new(turn)));
    }

    /// What of a failure the caller should hear. The shard stays where it was.
    fn not_read(&mut self, name: &str, trouble: Trouble, now: Timestamp) -> Result<(), SourceError> {
        let Some(shard) = self.layout.shards.get_mut(name) else { return Ok(()) };
        match trouble {
            Trouble::Throttled(error) => {
                self.throttled += 1;
                let refusals = shard.throttled(now);
                tracing::warn!(shard = name, refusals, "kinesis throttles, looks slow down");
                if refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::IteratorExpired(error) => {
                let refusals = shard.iterator_expired();
                if refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::Failed(error) => {
                shard.failed(now, FAILURE_WAIT, longest(error.remedy));
                if error.remedy == Remedy::Person {
                    // The stream may have been made anew, and this be a shard of the old one.
                    self.list_due = self.list_due.min(now);
                }
                Err(error)
            }
        }
    }
}

impl Source for Kinesis {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.batch() {
                return Ok(Next::Batch(batch));
            }
            if !self.ended.is_empty() {
                return Ok(Next::Revoked(std::mem::take(&mut self.ended)));
            }
            match self.choose() {
                Choice::Idle => return Ok(Next::Idle),
                Choice::Wait(moment) => self.clock.sleep_until(moment).await,
                Choice::Await => {
                    let joined = tokio::select! {
                        biased;
                        joined = self.asked.join_next() => joined,
                        () = tokio::time::sleep(LOOK_AGAIN) => None,
                    };
                    // Nothing waits between taking an answer in and keeping what it brought.
                    match joined {
                        None => {}
                        Some(Ok(answer)) => self.answered(answer)?,
                        Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    }
                }
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        // Kinesis keeps no position for its readers: the store's is the only one.
        let end = Place::End.value();
        self.ended.extend(mark.0.into_iter().filter(|(_, value)| *value == end).map(|(name, _)| name));
        Ok(())
    }

    fn figures(&self) -> Figures {
        let (throttled, gaps_suspected) = (self.throttled, self.gaps_suspected);
        Figures { behind: self.layout.behind(), throttled, gaps_suspected, ..Figures::default() }
    }
}

fn longest(remedy: Remedy) -> Span {
    match remedy {
        Remedy::Wait => FAILURE_WAIT_MAX,
        Remedy::Person => PERSON_WAIT_MAX,
    }
}
