//! CloudWatch Logs, read with FilterLogEvents.
//!
//! Events become readable late and out of order, so the source reads the last `overlap` again and again and
//! hands over each event id once ([`scan`]). Two speeds: every `poll` the newest two minutes, every
//! `reconcile` the whole overlap. A mark holds, for each log group, the floor from which a restart reads
//! again (less the overlap); it never lies behind an event that was not handed over. After a restart events
//! repeat, with the same ids: they are counted once further in.
//!
//! A late event is lost only if it becomes readable more than `overlap` after events that are newer than it.

mod pace;
mod request;
mod scan;
mod settings;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use self::pace::Pace;
use self::request::Trouble;
use self::scan::{Found, LogGroup, Page, Windows};
pub use self::settings::{LogGroups, Rate, Settings, SettingsError, Start};
use crate::clock::Clock;
use crate::source::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Mark, Next, Record, Remedy, Source, SourceError};

/// Refusals in a row, for pace or for a page token, that are survived without a word to the caller.
const REFUSALS_SILENT: u32 = 4;

/// Longest wait of a group whose failure passes by itself.
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest wait of a group that a person must mend.
const PERSON_WAIT_MAX: Duration = Duration::from_secs(300);

/// Some log groups of one account and region.
pub struct CloudWatch {
    client: Client,
    clock: Clock,
    pace: Pace,
    poll: Duration,
    groups: Vec<Reading>,
    /// The group whose turn is next among those that are due.
    turn: usize,
    /// The request on its way. It outlives a dropped `next`, so that a busy caller cannot starve a slow answer.
    asking: Option<Asking>,
    /// What the last page brought and the caller has not taken: a page holds up to 10,000 events.
    ready: VecDeque<Batch>,
}

/// One log group and how it fares.
struct Reading {
    name: String,
    group: LogGroup,
    /// Not before this, after a failure.
    not_before: Timestamp,
    /// The next wait after a failure; doubles until a page comes.
    wait: Duration,
    /// Page tokens refused since the last complete scan: one that begins again and again must not do so in silence.
    refusals: u32,
    /// Read to the end since the caller was last told that there is nothing now.
    rested: bool,
}

struct Asking {
    turn: usize,
    answer: Pin<Box<dyn Future<Output = Result<Page, Trouble>> + Send>>,
}

enum Choice {
    Ask(usize),
    Wait(Timestamp),
    Idle,
}

/// The value of a mark for one log group.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Milliseconds since the epoch.
    floor_ms: i64,
}

impl CloudWatch {
    /// Reads on from `stored`, or from `settings.start` for groups that it does not name.
    ///
    /// # Errors
    /// [`SourceError`] if no region is configured or the stored mark is not one of this source.
    pub async fn open(settings: &Settings, stored: &Mark, clock: Clock) -> Result<Self, SourceError> {
        let client = request::client(settings).await?;
        Self::with_client(settings, stored, clock, client)
    }

    fn with_client(settings: &Settings, stored: &Mark, clock: Clock, client: Client) -> Result<Self, SourceError> {
        let (poll, reconcile) = (settings.poll, settings.reconcile);
        let windows = Windows { overlap: span(settings.overlap), poll: span(poll), reconcile: span(reconcile) };
        let now = clock.now();
        let mut groups = Vec::new();
        for name in settings.log_groups.names() {
            let group = match stored.0.get(name) {
                Some(value) => LogGroup::resume(windows, floor(name, value)?, now),
                None => LogGroup::begin(windows, settings.start.moment(now), now),
            };
            let name = name.clone();
            groups.push(Reading { name, group, not_before: now, wait: poll, refusals: 0, rested: false });
        }
        let pace = Pace::new(settings.requests_per_second);
        Ok(Self { client, clock, pace, poll, groups, turn: 0, asking: None, ready: VecDeque::new() })
    }

    fn choose(&mut self, now: Timestamp) -> Choice {
        let count = self.groups.len();
        let due = |turn: &usize| {
            let reading = &self.groups[*turn];
            // What is overdue is equally due: then the turn decides, not the length of the delay.
            reading.group.due().max(reading.not_before).max(now)
        };
        let next = (0..count).map(|step| (self.turn + step) % count).min_by_key(due);
        let turn = next.expect("settings name at least one log group");
        let moment = due(&turn);
        if moment > now && self.groups.iter().all(|reading| reading.rested) {
            self.groups.iter_mut().for_each(|reading| reading.rested = false);
            return Choice::Idle;
        }
        let moment = moment.max(self.pace.ready());
        if moment > now { Choice::Wait(moment) } else { Choice::Ask(turn) }
    }

    fn ask(&mut self, turn: usize, now: Timestamp) -> Asking {
        self.pace.spend(now);
        self.turn = (turn + 1) % self.groups.len();
        let reading = &mut self.groups[turn];
        let ask = reading.group.ask(now);
        Asking { turn, answer: Box::pin(request::fetch(self.client.clone(), reading.name.clone(), ask)) }
    }

    fn answered(&mut self, turn: usize, page: Page) -> VecDeque<Batch> {
        self.pace.answered();
        let reading = &mut self.groups[turn];
        reading.wait = self.poll;
        let found = reading.group.take(page);
        if found.complete {
            reading.rested = true;
            reading.refusals = 0;
        }
        let names: Vec<&str> = self.groups.iter().map(|reading| reading.name.as_str()).collect();
        let named = |batch: Batch| batch.of(names[turn], names.iter().copied());
        batches(names[turn], found).into_iter().map(named).collect()
    }

    /// What of a failure the caller should hear. The scan stays where it was.
    fn failed(&mut self, turn: usize, trouble: Trouble) -> Result<(), SourceError> {
        let now = self.clock.now();
        let reading = &mut self.groups[turn];
        let group = &reading.name;
        match trouble {
            Trouble::Throttled(error) => {
                let refusals = self.pace.refused(now);
                tracing::warn!(%group, refusals, "cloudwatch throttles, requests slow down");
                if refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::TokenRefused(error) => {
                reading.group.restart();
                reading.refusals += 1;
                tracing::warn!(%group, refusals = reading.refusals, "page token refused, scan begins again");
                if reading.refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::Failed(error) => {
                // Other groups go on meanwhile, and the caller waits after each error: so errors get rarer.
                let longest = match error.remedy {
                    Remedy::Wait => FAILURE_WAIT_MAX,
                    Remedy::Person => PERSON_WAIT_MAX,
                };
                reading.not_before = now.plus(span(reading.wait));
                reading.wait = (reading.wait * 2).min(longest);
                reading.rested = false;
                Err(error)
            }
        }
    }
}

impl Source for CloudWatch {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            let asking = match &mut self.asking {
                Some(asking) => asking,
                None => {
                    let now = self.clock.now();
                    match self.choose(now) {
                        Choice::Idle => return Ok(Next::Idle),
                        Choice::Wait(moment) => {
                            self.clock.sleep_until(moment).await;
                            continue;
                        }
                        Choice::Ask(turn) => {
                            let asking = self.ask(turn, now);
                            self.asking.insert(asking)
                        }
                    }
                }
            };
            let answer = asking.answer.as_mut().await;
            let turn = asking.turn;
            self.asking = None;
            // Nothing waits between taking a page in and keeping what it brought.
            match answer {
                Ok(page) => self.ready = self.answered(turn, page),
                Err(trouble) => self.failed(turn, trouble)?,
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        // CloudWatch keeps no position for its readers: the store's is the only one.
        Ok(())
    }
}

/// Cuts what a page brought into batches. Only the last one carries a floor that moved, because it covers all.
fn batches(group: &str, found: Found) -> VecDeque<Batch> {
    let mut batches = VecDeque::new();
    let moved = found.moved();
    let mut records = Vec::new();
    let mut bytes = 0;
    for event in found.events {
        bytes += event.body.len();
        records.push(Record { position: format!("{group}/{}", event.id), body: Body::Whole(event.body.into()) });
        if records.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
            batches.push_back(batch(group, std::mem::take(&mut records), found.before));
            bytes = 0;
        }
    }
    // A scan without a new event still has a mark to keep, or a restart would read ever further back.
    if !records.is_empty() || moved {
        batches.push_back(batch(group, records, found.floor));
    }
    batches
}

fn batch(group: &str, records: Vec<Record>, floor: Timestamp) -> Batch {
    let stored = Stored { floor_ms: floor.millis() };
    let value = serde_json::to_string(&stored).expect("a number is always JSON");
    let mark = Mark(BTreeMap::from([(group.to_owned(), value)]));
    Batch { records, mark, ..Batch::default() }
}

fn floor(group: &str, value: &str) -> Result<Timestamp, SourceError> {
    match serde_json::from_str::<Stored>(value) {
        Ok(stored) => Ok(Timestamp::from_millis(stored.floor_ms)),
        Err(error) => Err(SourceError {
            doing: format!("read the stored mark {value:?} of log group {group}"),
            remedy: Remedy::Person,
            source: Some(error.into()),
        }),
    }
}

fn span(duration: Duration) -> Span {
    Timestamp::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)).since(Timestamp::default())
}
