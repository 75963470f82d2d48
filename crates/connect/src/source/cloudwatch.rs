//! CloudWatch Logs, read with FilterLogEvents.
//!
//! Events become readable late and out of order, so the source reads the last `overlap` again and again and
//! hands over each event id once ([`scan`]). Three speeds: every `poll` the newest two minutes, every
//! `reconcile` the whole overlap, and every `audit` the last day. A mark holds, for each log group, the floor from which a
//! restart reads again (less the overlap); it never lies behind an event that was not handed over. After a restart events
//! repeat, with the same ids: they are counted once further in.
//!
//! A late event is lost only if it becomes readable more than `overlap` after events that are newer than it, and no audit of
//! this life finds it.
//!
//! Requests are few: AWS allows an account and region about five a second. All sources that read there share a [`budget`],
//! and among the groups of a source who is behind gets more ([`reading`]).

mod budget;
mod prefixes;
mod probe;
mod reading;
mod request;
mod scan;
mod settings;
mod tail;

#[cfg(test)]
mod adversity;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::budget::Budget;
use self::prefixes::{Listing, Prefixes};
pub use self::probe::probe;
use self::reading::{Reading, span};
use self::request::Trouble;
use self::scan::{Found, LogGroup, Page, Windows};
pub use self::settings::{LogGroups, Rate, Settings, SettingsError, Start};
use self::tail::Tail;
use crate::clock::{Clock, Steps};
use crate::source::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Figures, Mark, Next, Record, Remedy, Source, SourceError,
};

/// Refusals in a row, for pace or for a page token, that are survived without a word to the caller.
const REFUSALS_SILENT: u32 = 4;

/// Longest wait of a group whose failure passes by itself.
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest wait of a group that a person must mend.
const PERSON_WAIT_MAX: Duration = Duration::from_secs(300);

/// Ids that all groups together keep for audits: about 24 MB.
const AUDIT_IDS_MAX: usize = 1_000_000;

/// Some log groups of one account and region.
pub struct CloudWatch {
    client: Client,
    clock: Clock,
    steps: Steps,
    tail: Option<Tail>,
    budget: Budget,
    /// The moment that the budget gave for the next request.
    slot: Option<Timestamp>,
    poll: Duration,
    windows: Windows,
    start: Start,
    prefixes: Prefixes,
    groups: Vec<Reading>,
    /// The group whose turn is next among those that are equally urgent.
    turn: usize,
    /// The request on its way. It outlives a dropped `next`, so that a busy caller cannot starve a slow answer.
    asking: Option<Asking>,
    /// What the last page brought and the caller has not taken: a page holds up to 10,000 events.
    ready: VecDeque<Batch>,
    /// Groups that are gone, and that the caller has not heard of.
    gone: Vec<String>,
    /// The groups are known, as far as they are found by how their names begin.
    looked: bool,
    /// The caller was told that there is no group at all.
    told_empty: bool,
    figures: Figures,
}

enum Asking {
    Page(usize, Pin<Box<dyn Future<Output = Result<Page, Trouble>> + Send>>),
    Groups(Pin<Box<dyn Future<Output = Result<Listing, Trouble>> + Send>>),
}

enum Choice {
    Page(usize),
    Groups,
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
        let (client, budget) = request::client(settings).await?;
        Self::with_client(settings, stored, clock, client, budget)
    }

    fn with_client(
        settings: &Settings,
        stored: &Mark,
        clock: Clock,
        client: Client,
        budget: Budget,
    ) -> Result<Self, SourceError> {
        let (poll, now) = (settings.poll, clock.now());
        let prefixes = Prefixes::new(settings.prefixes(), &stored.0);
        let mut known: Vec<(&String, bool)> = settings.groups().iter().map(|name| (name, false)).collect();
        let named: BTreeSet<&String> = settings.groups().iter().collect();
        known.extend(prefixes.of(&stored.0).filter(|name| !named.contains(name)).map(|name| (name, true)));
        let windows = Windows {
            overlap: span(settings.overlap),
            poll: span(poll),
            reconcile: span(settings.reconcile),
            audit: span(settings.audit),
            audit_ids_max: AUDIT_IDS_MAX / known.len().max(1),
        };
        let mut groups = Vec::new();
        for (name, by_prefix) in known {
            let group = match stored.0.get(name) {
                Some(value) => LogGroup::resume(windows, floor(name, value)?, now),
                None => LogGroup::begin(windows, settings.start.moment(now), now),
            };
            let marked = stored.0.contains_key(name);
            groups.push(Reading { marked, ..Reading::new(name.clone(), group, by_prefix, now, poll) });
        }
        let tailed: Vec<String> = settings.groups().iter().take(tail::GROUPS_MAX).cloned().collect();
        let is_tailed = settings.live_tail && !tailed.is_empty();
        let tail = is_tailed.then(|| Tail::follow(client.clone(), tailed));
        Ok(Self {
            client,
            clock,
            steps: Steps::default(),
            tail,
            budget,
            slot: None,
            poll,
            windows,
            start: settings.start,
            prefixes,
            groups,
            turn: 0,
            asking: None,
            ready: VecDeque::new(),
            gone: Vec::new(),
            looked: settings.prefixes().is_empty(),
            told_empty: false,
            figures: Figures::default(),
        })
    }

    fn choose(&mut self, now: Timestamp) -> Choice {
        if self.steps.were_back(now) {
            self.hurry(now);
        }
        if let Some(hinted) = self.tail.as_ref().map(Tail::take).filter(|hinted| !hinted.is_empty()) {
            let hinted = self.groups.iter_mut().filter(|reading| hinted.contains(&reading.name));
            hinted.for_each(|reading| reading.group.hint(now));
        }
        let next = reading::next(&self.groups, self.turn, now);
        let look = self.prefixes.due();
        let due = next.map(|(_, due)| due).into_iter().chain(look).min();
        // Without a group and without a prefix the settings are refused.
        let due = due.unwrap_or_else(|| now.plus(self.windows.reconcile));
        let is_empty = self.groups.is_empty();
        let is_told = is_empty && self.told_empty;
        // Of many groups one is always due: that all were read to their ends is said all the same.
        if self.looked && !is_told && self.groups.iter().all(|reading| reading.rested) {
            self.groups.iter_mut().for_each(|reading| reading.rested = false);
            self.told_empty = is_empty;
            return Choice::Idle;
        }
        if due > now {
            return Choice::Wait(due);
        }
        let slot = *self.slot.get_or_insert_with(|| self.budget.reserve(now));
        if slot > now {
            return Choice::Wait(slot);
        }
        self.slot = None;
        match next.filter(|(_, due)| *due <= now) {
            Some((place, _)) if look.is_none_or(|look| look > now) => Choice::Page(place),
            _ => Choice::Groups,
        }
    }

    /// The clock was put back: nothing waits for a moment that it has left.
    fn hurry(&mut self, now: Timestamp) {
        self.slot = None;
        self.budget.hurry();
        self.prefixes.hurry();
        self.groups.iter_mut().for_each(|reading| reading.hurry(now));
    }

    fn ask(&mut self, place: usize, now: Timestamp) -> Asking {
        self.turn = (place + 1) % self.groups.len();
        let reading = &mut self.groups[place];
        reading.asked = now;
        let ask = reading.group.ask(now);
        Asking::Page(place, Box::pin(request::fetch(self.client.clone(), reading.name.clone(), ask)))
    }

    fn look(&self) -> Asking {
        let (client, prefixes) = (self.client.clone(), self.prefixes.all());
        Asking::Groups(Box::pin(async move { request::groups(&client, &prefixes).await }))
    }

    fn answered(&mut self, place: usize, page: Page) -> VecDeque<Batch> {
        self.budget.answered();
        let reading = &mut self.groups[place];
        reading.wait = self.poll;
        let found = reading.group.take(page);
        if found.complete {
            reading.rested = true;
            reading.refusals = 0;
        }
        // A group that is silent from the start has a mark as well: a later start must not begin later.
        let keep = found.complete && !reading.marked;
        reading.marked |= found.complete;
        self.count(&found);
        let names: Vec<&str> = self.groups.iter().map(|reading| reading.name.as_str()).collect();
        let named = |batch: Batch| batch.of(names[place], names.iter().copied());
        batches(names[place], found, keep).into_iter().map(named).collect()
    }

    fn count(&mut self, found: &Found) {
        self.figures.duplicates += found.repeats;
        self.figures.gaps_suspected += u64::from(found.missed);
        found.late.iter().for_each(|late| self.figures.came_late(*late));
        let delays = found.events.iter().filter_map(|event| Some(event.arrived?.since(event.time)));
        self.figures.ingestion_delay = delays.max().or(self.figures.ingestion_delay);
    }

    /// Groups come and go.
    fn found(&mut self, found: &Listing) {
        let now = self.clock.now();
        self.budget.answered();
        (self.looked, self.told_empty) = (true, false);
        let known = self.groups.iter().map(|reading| reading.name.clone()).collect();
        let mut news = self.prefixes.found(found, &known, self.start.moment(now), now);
        let named: BTreeSet<&str> =
            self.groups.iter().filter(|reading| !reading.by_prefix).map(|reading| reading.name.as_str()).collect();
        news.went.retain(|name| !named.contains(name.as_str()));
        self.groups.retain(|reading| !news.went.contains(&reading.name));
        self.turn = 0;
        let mut mark = self.prefixes.mark();
        for name in &news.went {
            tracing::info!(group = name, "log group is gone");
            mark.insert(name.clone(), String::new());
        }
        for (name, from) in news.came {
            tracing::info!(group = name, %from, "log group is read from now on");
            let group = LogGroup::begin(self.windows, from, now);
            mark.insert(name.clone(), value(group.floor()));
            self.groups.push(Reading { marked: true, ..Reading::new(name, group, true, now, self.poll) });
        }
        self.windows.audit_ids_max = AUDIT_IDS_MAX / self.groups.len().max(1);
        self.groups.iter_mut().for_each(|reading| reading.group.share_audit_ids(self.windows.audit_ids_max));
        let partitions = self.groups.iter().map(|reading| reading.name.as_str().into()).collect();
        let gaps = news.gap.into_iter().collect();
        self.ready.push_back(Batch { partitions, mark: Mark(mark), gaps, ..Batch::default() });
        self.gone.extend(news.went);
    }

    /// What of a failure the caller should hear. The scan stays where it was.
    fn failed(&mut self, place: usize, trouble: Trouble) -> Result<(), SourceError> {
        let now = self.clock.now();
        let reading = &mut self.groups[place];
        let group = &reading.name;
        match trouble {
            Trouble::Throttled(error) => {
                self.figures.throttled += 1;
                let refusals = self.budget.refused(now);
                tracing::warn!(%group, refusals, "cloudwatch throttles, requests slow down");
                if refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::TokenRefused(error) => {
                reading.group.restart();
                reading.refusals += 1;
                tracing::warn!(%group, refusals = reading.refusals, "page token refused, scan begins again");
                if reading.refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::Gone(_) if reading.by_prefix => {
                reading.not_before = now.plus(span(FAILURE_WAIT_MAX));
                self.prefixes.doubt(&reading.name);
                Ok(())
            }
            Trouble::Gone(error) | Trouble::Failed(error) => {
                // Other groups go on meanwhile, and the caller waits after each error: so errors get rarer.
                reading.not_before = now.plus(span(reading.wait));
                reading.wait = (reading.wait * 2).min(longest(error.remedy));
                reading.rested = false;
                Err(error)
            }
        }
    }

    fn not_found(&mut self, trouble: Trouble) -> Result<(), SourceError> {
        let now = self.clock.now();
        if let Trouble::Throttled(_) = trouble {
            self.figures.throttled += 1;
            self.budget.refused(now);
        }
        let error = trouble.error();
        self.looked = false;
        self.prefixes.failed(now, span(longest(error.remedy)));
        Err(error)
    }
}

impl Source for CloudWatch {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            if !self.gone.is_empty() {
                return Ok(Next::Revoked(std::mem::take(&mut self.gone)));
            }
            let asking = match &mut self.asking {
                Some(asking) => asking,
                None => {
                    let now = self.clock.now();
                    let asking = match self.choose(now) {
                        Choice::Idle => return Ok(Next::Idle),
                        Choice::Wait(moment) => {
                            tokio::select! {
                                () = self.clock.sleep_until(moment) => {}
                                () = hint(self.tail.as_ref()) => {}
                            }
                            continue;
                        }
                        Choice::Page(place) => self.ask(place, now),
                        Choice::Groups => self.look(),
                    };
                    self.asking.insert(asking)
                }
            };
            // Nothing waits between taking an answer in and keeping what it brought.
            match asking {
                Asking::Page(place, answer) => {
                    let (place, answer) = (*place, answer.as_mut().await);
                    self.asking = None;
                    match answer {
                        Ok(page) => self.ready = self.answered(place, page),
                        Err(trouble) => self.failed(place, trouble)?,
                    }
                }
                Asking::Groups(answer) => {
                    let answer = answer.as_mut().await;
                    self.asking = None;
                    match answer {
                        Ok(listing) => self.found(&listing),
                        Err(trouble) => self.not_found(trouble)?,
                    }
                }
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        // CloudWatch keeps no position for its readers: the store's is the only one.
        Ok(())
    }

    fn figures(&self) -> Figures {
        let now = self.clock.now();
        let behind = self.groups.iter().map(|reading| now.since(reading.group.reach())).max();
        Figures { behind, ..self.figures }
    }
}

async fn hint(tail: Option<&Tail>) {
    match tail {
        Some(tail) => tail.came().await,
        None => pending().await,
    }
}

fn longest(remedy: Remedy) -> Duration {
    match remedy {
        Remedy::Wait => FAILURE_WAIT_MAX,
        Remedy::Person => PERSON_WAIT_MAX,
    }
}

/// Cuts what a page brought into batches. Only the last one carries a floor that moved, because it covers all.
fn batches(group: &str, found: Found, keep: bool) -> VecDeque<Batch> {
    let mut batches = VecDeque::new();
    let moved = found.moved() || keep;
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
    let mark = Mark(BTreeMap::from([(group.to_owned(), value(floor))]));
    Batch { records, mark, ..Batch::default() }
}

fn value(floor: Timestamp) -> String {
    serde_json::to_string(&Stored { floor_ms: floor.millis() }).expect("a number is always JSON")
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
