//! Amazon S3: objects found by listing prefixes, again and again.
//!
//! Each prefix is a partition, read in the order of its keys; a mark holds the key up to which all is done. CloudTrail's
//! keys hold account, region and then the time, so each of its prefixes goes on in time. Objects that come late under a
//! key that was passed are found as long as they come within `overlap`: that part is listed each time ([`partition`]).
//! What of it was read is read again after a restart, under the same positions, and counted once further in.
//!
//! An object that we may not read is tried at each listing and never passed. One that was deleted between listing and
//! reading is a gap, one that is damaged is a refused record.

pub(crate) mod list;
mod partition;
mod probe;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_s3::Client;
use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use self::list::Page;
use self::partition::{Partition, Stored};
pub(crate) use self::probe::look;
pub use self::probe::probe;
pub use self::settings::{Begin, Prefixes, Settings, SettingsError};
use super::aws::Access;
use super::aws::object::{self, Named, Objects, Part, Reached, Unread, Why};
use super::aws::readers::{READERS_MAX, Readers};
use super::{Batch, Gap, Mark, Next, Record, Remedy, Source, SourceError};
use crate::clock::Clock;

/// Objects that are remembered over all prefixes: about 200 bytes each.
const PASSED_MAX: usize = 100_000;

/// Prefixes that stars may stand for: accounts times regions.
const PARTITIONS_MAX: usize = 4_096;

/// A page has up to a thousand objects.
const PAGE: usize = 1_000;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a mark calls the moment that reading began with. Names of partitions hold a slash.
const SINCE: &str = "since";

/// Some prefixes of a bucket.
pub struct S3 {
    client: Client,
    bucket: String,
    prefixes: Prefixes,
    start: Begin,
    /// Objects written before are left out.
    since: Timestamp,
    /// Whether no mark says so yet: what is written while we are away must not count as older than the start.
    is_new: bool,
    overlap: Span,
    poll: Span,
    once: bool,
    clock: Clock,
    /// Marks of prefixes that have not been met since the start.
    stored: BTreeMap<String, String>,
    partitions: Vec<Partition>,
    readers: Readers,
    /// Objects under way in the order of their keys: the first is handed over, of each other one part is there.
    reading: BTreeMap<u64, Work>,
    todo: VecDeque<Work>,
    started: u64,
    round: Option<Round>,
    /// When the next round begins.
    due: Timestamp,
    /// The request on its way. It outlives a dropped `next`.
    asking: Option<Asking>,
    ready: VecDeque<Batch>,
    /// What kept an object from being read in this round.
    trouble: Option<SourceError>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, SourceError>> + Send>>;

enum Answer {
    /// What the prefixes stand for.
    Prefixes(Vec<String>),
    Page(Place, Page),
}

/// A look at every prefix.
#[derive(Debug, Default)]
struct Round {
    is_expanded: bool,
    /// Prefixes of which more is to be listed, in turn.
    places: VecDeque<Place>,
}

/// Where a listing goes on.
#[derive(Clone, Debug)]
struct Place {
    partition: usize,
    after: String,
}

/// An object to read.
struct Work {
    partition: usize,
    named: Named,
    reached: Reached,
    state: Reading,
}

/// How an object that is under way fares.
enum Reading {
    /// It is to be asked for, or asked for again.
    Waits,
    Asked,
    /// This came before its turn.
    Early(Result<Part, Unread>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    since_ms: i64,
}

impl S3 {
    /// Reads on from `stored`, or from `settings.start` for prefixes that it does not name.
    ///
    /// # Errors
    /// [`SourceError`] if no region is configured or the stored mark is not one of this source.
    pub async fn open(settings: &Settings, stored: &Mark, clock: Clock) -> Result<Self, SourceError> {
        Self::with(settings, stored, clock, client(settings).await?)
    }

    fn with(settings: &Settings, stored: &Mark, clock: Clock, client: Client) -> Result<Self, SourceError> {
        let now = clock.now();
        let since = match stored.0.get(SINCE) {
            None => settings.start.since(now),
            Some(value) => Timestamp::from_millis(read::<Since>(SINCE, value)?.since_ms),
        };
        let readers = Readers::new(Objects {
            client: client.clone(),
            record_bytes_max: settings.record_bytes_max,
            object_bytes_max: settings.object_mib_max.saturating_mul(1 << 20),
        });
        for (name, value) in stored.0.iter().filter(|(name, _)| *name != SINCE) {
            read::<Stored>(name, value)?;
        }
        Ok(Self {
            client,
            bucket: settings.bucket.clone(),
            prefixes: settings.prefixes.clone(),
            start: settings.start.clone(),
            since,
            is_new: !stored.0.contains_key(SINCE),
            overlap: span(settings.overlap),
            poll: span(settings.poll),
            once: settings.once,
            clock,
            stored: stored.0.clone(),
            partitions: Vec::new(),
            readers,
            reading: BTreeMap::new(),
            todo: VecDeque::new(),
            started: 0,
            round: None,
            due: now,
            asking: None,
            ready: VecDeque::new(),
            trouble: None,
        })
    }

    /// Begins with whatever there is room for.
    fn begin(&mut self) {
        while self.reading.len() < READERS_MAX
            && let Some(work) = self.todo.pop_front()
        {
            self.started += 1;
            self.reading.insert(self.started, work);
        }
        for (number, work) in self.reading.iter_mut().filter(|(_, work)| matches!(work.state, Reading::Waits)) {
            work.state = Reading::Asked;
            self.readers.start(*number, work.named.clone(), work.reached.clone());
        }
        let remembered: usize = self.partitions.iter().map(Partition::count).sum();
        let Some(round) = &mut self.round else { return };
        if self.asking.is_some() || self.todo.len() >= READERS_MAX {
            return;
        }
        let (client, bucket) = (self.client.clone(), self.bucket.clone());
        if !round.is_expanded {
            let prefixes = self.prefixes.clone();
            self.asking = Some(Box::pin(async move {
                let mut found = Vec::new();
                for pattern in prefixes.all() {
                    found.extend(list::expand(&client, &bucket, pattern).await?);
                }
                Ok(Answer::Prefixes(found))
            }));
        } else if remembered + PAGE > PASSED_MAX {
            round.places.clear();
            let doing =
                format!("list s3://{bucket}: {remembered} objects could not be read or are younger than `overlap`");
            self.trouble.get_or_insert(SourceError { doing, remedy: Remedy::Person, source: None });
        } else if let Some(place) = round.places.pop_front() {
            let prefix = self.partitions[place.partition].prefix.clone();
            self.asking = Some(Box::pin(async move {
                let page = list::page(&client, &bucket, &prefix, &place.after).await?;
                Ok(Answer::Page(place, page))
            }));
        }
    }

    /// Takes in an answer. A request that failed is asked anew.
    fn answered(&mut self, answer: Result<Answer, SourceError>) -> Result<(), SourceError> {
        self.asking = None;
        match answer {
            Ok(Answer::Prefixes(found)) => self.expanded(found),
            Ok(Answer::Page(place, page)) => {
                self.listed(place, page);
                Ok(())
            }
            Err(error) => {
                // The listing begins again at the floors: what is known there is not read again.
                self.round = Some(Round::default());
                Err(error)
            }
        }
    }

    fn expanded(&mut self, found: Vec<String>) -> Result<(), SourceError> {
        for prefix in found {
            if self.partitions.iter().any(|known| known.prefix == prefix) {
                continue;
            }
            if self.partitions.len() >= PARTITIONS_MAX {
                let doing =
                    format!("read s3://{}/{prefix}: more than {PARTITIONS_MAX} prefixes are there", self.bucket);
                self.trouble = Some(SourceError { doing, remedy: Remedy::Person, source: None });
                break;
            }
            let name = format!("{}/{prefix}", self.bucket);
            let floor = match (self.stored.remove(&name), &self.start) {
                (Some(value), _) => read::<Stored>(&name, &value)?.after,
                (None, Begin::Key(key)) if !key.is_empty() => format!("{prefix}{key}"),
                (None, Begin::Key(_) | Begin::Ago(_) | Begin::At(_)) => String::new(),
            };
            self.partitions.push(Partition::new(name, prefix, floor));
        }
        let place = |(partition, known): (usize, &Partition)| Place { partition, after: known.floor().to_owned() };
        let places = self.partitions.iter().enumerate().map(place).collect();
        self.round = Some(Round { is_expanded: true, places });
        Ok(())
    }

    fn listed(&mut self, place: Place, page: Page) {
        let partition = &mut self.partitions[place.partition];
        for key in partition.vanished(&place.after, &page) {
            let (partition, reached) = (place.partition, Reached::default());
            let named = Named { bucket: self.bucket.clone(), key, version: None };
            self.todo.push_back(Work { partition, named, reached, state: Reading::Waits });
        }
        for object in &page.objects {
            let named = Named { bucket: self.bucket.clone(), key: object.key.clone(), version: None };
            let is_wanted = object.modified >= self.since && !named.holds_no_events();
            if partition.meet(object, is_wanted) {
                let (partition, reached) = (place.partition, Reached::default());
                self.todo.push_back(Work { partition, named, reached, state: Reading::Waits });
            }
        }
        partition.advance(self.clock.now().minus(self.overlap));
        if let (true, Some(last), Some(round)) = (page.is_cut, page.objects.last(), &mut self.round) {
            round.places.push_back(Place { after: last.key.clone(), ..place });
        }
    }

    /// Takes in what a reader brought, and hands over what it is the turn of.
    fn brought(&mut self, number: u64, part: Result<Part, Unread>) -> Result<(), SourceError> {
        let Some(work) = self.reading.get_mut(&number) else { return Ok(()) };
        match part {
            Err(Unread { why: Why::Passing, error }) => {
                work.state = Reading::Waits;
                return Err(error);
            }
            part => work.state = Reading::Early(part),
        }
        while let Some(mut first) = self.reading.first_entry()
            && matches!(first.get().state, Reading::Early(_))
        {
            let Reading::Early(part) = std::mem::replace(&mut first.get_mut().state, Reading::Asked) else { break };
            if let Ok(Part { records, reached, is_last: false }) = part {
                let partition = first.get().partition;
                first.get_mut().reached = reached;
                self.readers.go_on(*first.key());
                self.hand_over(partition, records, None);
                return Ok(());
            }
            let work = first.remove();
            self.finished(&work, part);
        }
        Ok(())
    }

    /// An object is done, or stuck.
    fn finished(&mut self, work: &Work, part: Result<Part, Unread>) {
        let partition = &mut self.partitions[work.partition];
        let (records, gap) = match part {
            Ok(part) => (part.records, None),
            Err(unread) => {
                let (object, error) = (work.named.url(), crate::probe::words(&unread.error));
                if unread.why == Why::Denied {
                    tracing::debug!(%object, %error, "object not read, tried again at the next listing");
                    partition.stick(&work.named.key);
                    self.trouble = Some(unread.error);
                    return;
                }
                tracing::warn!(%object, %error, "object given up");
                (vec![work.named.refused(&unread)], work.named.gap(unread.why))
            }
        };
        partition.finish(&work.named.key);
        partition.advance(self.clock.now().minus(self.overlap));
        self.hand_over(work.partition, records, gap);
    }

    /// Makes a batch of a partition; its mark moves if the floor did.
    fn hand_over(&mut self, number: usize, records: Vec<Record>, gap: Option<Gap>) {
        let mut mark = Mark::default();
        let partition = &mut self.partitions[number];
        if let Some(stored) = partition.moved() {
            mark.0.insert(partition.name.clone(), written(&stored));
            mark.0.insert(SINCE.to_owned(), written(&Since { since_ms: self.since.millis() }));
        }
        if records.is_empty() && gap.is_none() && mark.0.is_empty() {
            return;
        }
        let batch = Batch { records, mark, gaps: gap.into_iter().collect(), ..Batch::default() };
        let names = self.partitions.iter().map(|partition| partition.name.as_str());
        self.ready.push_back(batch.of(&self.partitions[number].name, names));
    }

    /// Whether everything that there was is handed over, or stuck.
    fn is_round_over(&self) -> bool {
        let is_listed = self.round.as_ref().is_some_and(|round| round.is_expanded && round.places.is_empty());
        is_listed && self.asking.is_none() && self.todo.is_empty() && self.reading.is_empty() && self.ready.is_empty()
    }

    /// Ends a round; what there is to say of it.
    fn end_round(&mut self) -> Result<Option<Next>, SourceError> {
        let now = self.clock.now();
        for number in 0..self.partitions.len() {
            self.partitions[number].advance(now.minus(self.overlap));
            self.hand_over(number, Vec::new(), None);
        }
        if std::mem::take(&mut self.is_new) {
            let since = written(&Since { since_ms: self.since.millis() });
            let mark = Mark([(SINCE.to_owned(), since)].into());
            self.ready.push_back(Batch { mark, ..Batch::default() });
        }
        if !self.ready.is_empty() {
            return Ok(None);
        }
        (self.round, self.due) = (None, now.plus(self.poll));
        let is_stuck = self.partitions.iter().any(Partition::is_stuck);
        match self.trouble.take() {
            // A source that cannot read everything never says that it has read everything.
            Some(error) => Err(error),
            None if self.once && !is_stuck => Ok(Some(Next::Exhausted)),
            None => Ok(Some(Next::Idle)),
        }
    }
}

impl Source for S3 {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            if self.is_round_over() {
                match self.end_round()? {
                    Some(next) => return Ok(next),
                    None => continue,
                }
            }
            if self.round.is_none() {
                // A clock that was put back holds up nobody.
                self.due = self.due.min(self.clock.now().plus(self.poll));
                self.clock.sleep_until(self.due).await;
                self.round = Some(Round::default());
            }
            self.begin();
            if self.is_round_over() {
                continue;
            }
            tokio::select! {
                biased; // what is read leaves before more is taken in
                (number, part) = self.readers.next() => self.brought(number, part)?,
                answer = answer(&mut self.asking) => self.answered(answer)?,
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        // S3 keeps no position for its readers: the store's is the only one.
        Ok(())
    }
}

async fn answer(asking: &mut Option<Asking>) -> Result<Answer, SourceError> {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}

async fn client(settings: &Settings) -> Result<Client, SourceError> {
    let (region, role) = (settings.region.as_deref(), settings.role.as_ref());
    let loaded = Access { region, role, timeout: ANSWER_TIMEOUT }.load().await?;
    Ok(object::client(&loaded, settings.endpoint_url.as_deref()))
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers are always JSON")
}

fn read<'a, T: Deserialize<'a>>(name: &str, value: &'a str) -> Result<T, SourceError> {
    serde_json::from_str(value).map_err(|error| SourceError {
        doing: format!("read the stored mark {value:?} of {name}"),
        remedy: Remedy::Person,
        source: Some(error.into()),
    })
}

fn span(duration: Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
