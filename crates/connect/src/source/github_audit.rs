//! GitHub's audit log, asked for by its API, for organisations that cannot stream it.
//!
//! The API lists entries by their time, and some appear late. So each look reads the last `overlap` again and hands over
//! each entry id once ([`look`]). The mark is the time up to which the log was read, not a cursor: cursors age. After a
//! restart entries repeat, with the same ids: they are counted once further in.
//!
//! An entry is lost only if it appears more than `overlap` after entries that are newer than it, or if nobody looks for
//! longer than GitHub keeps it; the latter is told as a gap.

mod access;
mod call;
mod look;
mod probe;
mod request;
mod settings;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use engine::time::{Span, Timestamp};

use self::call::{Trouble, broken};
use self::look::{Found, Log, Reach};
pub use self::probe::probe;
use self::request::{Answered, Api};
pub use self::settings::{App, Include, Settings};
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Gap, Mark, Next, Record, Remedy, Source, SourceError};
use crate::clock::{Clock, Steps};

/// GitHub keeps entries about Git itself for so long …
const GIT_KEPT: Span = Span::seconds(7 * 86_400);
/// … and all others.
const KEPT: Span = Span::seconds(180 * 86_400);

/// The floor of a quiet log is told so seldom, as each telling is a commit.
const TOLD: Span = Span::seconds(900);

/// Refusals in a row, by a limit that passes soon or of a cursor, that are survived without a word to the caller.
const REFUSALS_SILENT: u32 = 4;
/// A limit beyond this is no short wait: what happens meanwhile is not seen.
const LIMIT_SILENT: Span = Span::seconds(120);

/// Longest wait after a failure that passes by itself.
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait after one that a person must mend.
const PERSON_WAIT_MAX: Duration = Duration::from_secs(300);

/// The audit log of one organisation or enterprise.
pub struct GithubAudit {
    api: Arc<Api>,
    settings: Settings,
    clock: Clock,
    steps: Steps,
    log: Log,
    /// When the next look begins.
    due: Timestamp,
    /// No question before this, by the pace, a limit or after a failure.
    not_before: Timestamp,
    /// The next wait after a failure; doubles until a page comes.
    wait: Duration,
    refusals: u32,
    /// Read to the end since the caller was last told that there is nothing now.
    rested: bool,
    /// The floor that the caller knows.
    told: Timestamp,
    /// When a look last ended; after a restart the floor, which is not far behind that.
    looked: Timestamp,
    /// The question on its way. It outlives a dropped `next`, so that a busy caller cannot starve a slow answer.
    asking: Option<Asking>,
    ready: VecDeque<Batch>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Answered, Trouble>> + Send>>;

impl GithubAudit {
    /// Goes on where `stored` says that the log was left. Asks nobody yet.
    ///
    /// # Errors
    /// [`SourceError`] if the token or key cannot be read, or the stored mark is none of ours.
    pub fn open(settings: &Settings, stored: &Mark, clock: Clock) -> Result<Self, SourceError> {
        let (now, overlap) = (clock.now(), span(settings.overlap));
        let stored = stored.0.get(&settings.path()).map(|text| floor(text)).transpose()?;
        let (log, looked) = match stored {
            Some(floor) => (Log::resume(overlap, floor), floor),
            // What was deleted before the first look concerns nobody.
            None => (Log::begin(overlap, now.minus(span(settings.first))), now),
        };
        Ok(Self {
            api: Arc::new(Api::new(settings)?),
            settings: settings.clone(),
            told: log.floor(),
            log,
            due: now,
            not_before: now,
            wait: settings.poll,
            refusals: 0,
            rested: false,
            looked,
            asking: None,
            ready: VecDeque::new(),
            clock,
            steps: Steps::default(),
        })
    }

    /// What GitHub has deleted before anybody read it, told once.
    fn lost(&mut self, now: Timestamp) -> Vec<Gap> {
        let (floor, away) = (self.log.floor(), now.since(self.looked));
        let git = self.settings.include != Include::Web && away > GIT_KEPT;
        let (kept, what) = match (away > KEPT, git) {
            (true, _) => ("180 days", "entries of the audit log"),
            (false, true) => ("7 days", "entries of the audit log about Git (clone, fetch, push)"),
            (false, false) => return Vec::new(),
        };
        self.looked = now;
        let what = format!("{what} after {floor} were deleted before they were read: GitHub keeps them for {kept}");
        let id = format!("{} kept {kept} {}", self.settings.path(), floor.micros());
        vec![Gap { id, what }]
    }

    fn ask(&mut self, now: Timestamp) -> Asking {
        if !self.log.is_within_a_look() {
            let gaps = self.lost(now);
            if !gaps.is_empty() {
                let batch = Batch { gaps, ..self.batch(Vec::new(), self.log.floor()) };
                self.ready.push_back(batch);
            }
        }
        let gap_micros = 3_600_000_000 / i64::from(self.settings.requests_per_hour.max(1));
        self.not_before = now.plus(Span::from_micros(gap_micros));
        let (api, ask) = (self.api.clone(), self.log.ask(now));
        Box::pin(async move { api.page(ask, now).await })
    }

    fn answered(&mut self, answered: Answered) {
        let now = self.clock.now();
        (self.refusals, self.wait) = (0, self.settings.poll);
        self.not_before = self.not_before.max(answered.not_before.unwrap_or(now));
        let found = self.log.take(answered.page, now);
        if found.reach != Reach::Within {
            self.looked = now;
        }
        match found.reach {
            Reach::Within | Reach::Step => self.due = now,
            Reach::End => {
                self.due = now.plus(span(self.settings.poll));
                self.rested = true;
            }
        }
        self.keep(found);
    }

    /// Cuts what a page brought into batches. Only the last one carries a floor that moved, because it covers all.
    fn keep(&mut self, found: Found) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        for entry in found.entries {
            bytes += entry.body.len();
            records.push(Record { position: entry.id, body: Body::Whole(entry.body) });
            if records.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                let batch = self.batch(std::mem::take(&mut records), found.before);
                self.ready.push_back(batch);
                bytes = 0;
            }
        }
        // A look without a new entry still has a mark to keep, or a restart would read ever further back.
        if !records.is_empty() || found.floor > self.told.plus(TOLD) {
            self.told = found.floor;
            let batch = self.batch(records, found.floor);
            self.ready.push_back(batch);
        }
    }

    fn batch(&self, records: Vec<Record>, floor: Timestamp) -> Batch {
        let mark = Mark(BTreeMap::from([(self.settings.path(), floor.micros().to_string())]));
        Batch { records, mark, ..Batch::default() }
    }

    /// What of a failure the caller should hear. The look stays where it was.
    fn failed(&mut self, trouble: Trouble) -> Result<(), SourceError> {
        let now = self.clock.now();
        self.rested = false;
        match trouble {
            Trouble::Limited(error, until) => {
                self.refusals += 1;
                self.not_before = self.not_before.max(until);
                tracing::warn!(refusals = self.refusals, %until, "github limits questions");
                let is_short = until <= now.plus(LIMIT_SILENT) && self.refusals <= REFUSALS_SILENT;
                if is_short { Ok(()) } else { Err(error) }
            }
            Trouble::Refused(error) => {
                self.log.restart();
                self.refusals += 1;
                tracing::warn!(refusals = self.refusals, "page refused, look begins again");
                if self.refusals <= REFUSALS_SILENT { Ok(()) } else { Err(error) }
            }
            Trouble::Unauthorised(error) | Trouble::Failed(error) => {
                let longest = match error.remedy {
                    Remedy::Wait => FAILURE_WAIT_MAX,
                    Remedy::Person => PERSON_WAIT_MAX,
                };
                self.not_before = self.not_before.max(now.plus(span(self.wait)));
                self.wait = (self.wait * 2).min(longest);
                Err(error)
            }
        }
    }
}

impl Source for GithubAudit {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            if self.asking.is_none() {
                if std::mem::take(&mut self.rested) {
                    return Ok(Next::Idle);
                }
                let now = self.clock.now();
                if self.steps.were_back(now) {
                    (self.due, self.not_before) = (now, now);
                }
                let moment = self.due.max(self.not_before);
                if moment > now {
                    self.clock.sleep_until(moment).await;
                    continue;
                }
                self.asking = Some(self.ask(now));
                continue;
            }
            let Some(asking) = &mut self.asking else { continue };
            let answer = asking.as_mut().await;
            self.asking = None;
            // Nothing waits between taking a page in and keeping what it brought.
            match answer {
                Ok(answered) => self.answered(answered),
                Err(trouble) => self.failed(trouble)?,
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        // GitHub keeps no position for its readers: the store's is the only one.
        Ok(())
    }
}

fn floor(text: &str) -> Result<Timestamp, SourceError> {
    let micros = text.parse().map_err(|error: std::num::ParseIntError| {
        broken(format!("read the stored mark {text:?} of the audit log"), error)
    })?;
    Ok(Timestamp::from_micros(micros))
}

fn span(length: Duration) -> Span {
    Span::from_micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}
