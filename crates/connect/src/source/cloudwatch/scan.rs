//! What one log group must be asked next, and what of an answer is new. Pure: no network, no clock.
//!
//! CloudWatch makes events readable late and out of order, and filters by event time only. So every scan
//! reads back behind the newest event by the *overlap*, and event ids tell which events were handed over
//! before. The *floor* is where the next start reads from (less the overlap). It moves only when a full scan
//! is complete; a crash within a scan repeats the scan.
//!
//! The *audit* is a third, slow speed: page by page beside the others it reads the last day behind the overlap, and finds what
//! came later than that. It knows what was handed over since this start only, and looks at nothing older.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use engine::time::{Span, Timestamp};

/// A silence up to this long may be a delivery that stalled as a whole: the floor then stays at the newest
/// event, so that everything is found when the delivery resumes. A longer silence is a quiet group.
const STALL_SECONDS_MAX: u32 = 6 * 3_600;

/// Far behind, a scan covers this much, so that a crash during a long catching up repeats an hour, not a week.
const STEP_SECONDS: u32 = 3_600;

/// How far a fast scan reads back behind the last scan.
const FAST_OVERLAP_SECONDS: u32 = 120;

/// Ids remembered for one group (about 24 bytes each, so 48 MB). Beyond it the oldest go: their events are
/// handed over again, and counted once further in.
const SEEN_MAX: usize = 2_000_000;

/// How far back an audit looks.
const AUDIT_SECONDS: u32 = 24 * 3_600;

/// Between two pages of an audit: it is in no hurry, and the requests are everybody's.
const AUDIT_PAGE_SECONDS: u32 = 10;

/// Lengths of time that rule the scans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) overlap: Span,
    pub(super) poll: Span,
    pub(super) reconcile: Span,
    pub(super) audit: Span,
    /// Ids that are kept for audits. With more events in a day, an audit looks less far back.
    pub(super) audit_ids_max: usize,
}

/// An audit's page that was due for so long comes before the next fast scan.
const AUDIT_PATIENCE_SECONDS: u32 = 60;

/// One log group.
#[derive(Debug)]
pub(super) struct LogGroup {
    windows: Windows,
    floor: Timestamp,
    /// Up to where the last complete scan looked.
    reach: Timestamp,
    /// Time in milliseconds and hashed id of every event handed over since `known_from`.
    seen: BTreeSet<(i64, u64)>,
    /// What happened before may have been handed over and forgotten.
    known_from: Timestamp,
    scan: Option<Scan>,
    audit: Option<Scan>,
    /// What was asked last is a page of the audit.
    auditing: bool,
    full_due: Timestamp,
    fast_due: Timestamp,
    audit_due: Timestamp,
    /// A full scan was completed since this start: before that, everything is news and nothing is late.
    settled: bool,
}

/// A scan in progress.
#[derive(Debug)]
struct Scan {
    width: Width,
    began: Timestamp,
    /// When its last page was asked for.
    asked: Timestamp,
    start: Timestamp,
    end: Timestamp,
    /// Where the next page begins; none is the first.
    token: Option<String>,
    newest: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// The whole overlap; moves the floor.
    Full,
    /// The newest events only, for speed.
    Fast,
    /// The day behind the overlap.
    Audit,
}

/// One page to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) token: Option<String>,
}

/// One page as it came.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    /// Where the next page begins; none ends the scan. A page may be empty and still have a next.
    pub(super) token: Option<String>,
}

/// One event of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) time: Timestamp,
    /// When CloudWatch took it in.
    pub(super) arrived: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Events not handed over before.
    pub(super) events: Vec<Event>,
    /// The floor before this page.
    pub(super) before: Timestamp,
    /// The floor that covers them and everything handed over before.
    pub(super) floor: Timestamp,
    /// Whether the scan ended with this page. An audit does not count.
    pub(super) complete: bool,
    /// Events that were handed over before.
    pub(super) repeats: u64,
    /// How late those came that an earlier scan should have shown.
    pub(super) late: Vec<Span>,
    /// Something came later than the overlap is long.
    pub(super) missed: bool,
}

impl Found {
    /// Whether the floor moved.
    pub(super) fn moved(&self) -> bool {
        self.floor > self.before
    }
}

impl LogGroup {
    /// A group whose next scan reads from `floor - overlap`.
    pub(super) fn resume(windows: Windows, floor: Timestamp, now: Timestamp) -> Self {
        Self {
            windows,
            floor,
            reach: floor,
            seen: BTreeSet::new(),
            known_from: floor.minus(windows.overlap),
            scan: None,
            audit: None,
            auditing: false,
            full_due: now,
            fast_due: now,
            audit_due: now.plus(windows.audit),
            settled: false,
        }
    }

    /// A group never read before, from `start` on.
    pub(super) fn begin(windows: Windows, start: Timestamp, now: Timestamp) -> Self {
        Self::resume(windows, start.plus(windows.overlap), now)
    }

    /// When there is something to ask; a scan in progress is always due.
    pub(super) fn due(&self) -> Timestamp {
        match self.scan {
            Some(_) => Timestamp::default(),
            None => self.full_due.min(self.fast_due).min(self.audit_due),
        }
    }

    /// Where a restart reads from, less the overlap.
    pub(super) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Up to where it was read.
    pub(super) fn reach(&self) -> Timestamp {
        self.reach
    }

    /// The next page to ask for. Asked again before an answer, it says the same.
    pub(super) fn ask(&mut self, now: Timestamp) -> Ask {
        // Where hints or pace leave no moment for it, an audit that has waited takes one from the fast scans.
        let has_waited = now >= self.audit_due.plus(Span::seconds(AUDIT_PATIENCE_SECONDS));
        let is_idle = now < self.full_due.min(self.fast_due);
        self.auditing = self.scan.is_none() && now >= self.audit_due && now < self.full_due && (is_idle || has_waited);
        let slot = if self.auditing { self.audit.take() } else { self.scan.take() };
        let scan = slot.unwrap_or_else(|| self.plan(now));
        let scan = Scan { asked: now, ..scan };
        let ask = Ask { start: scan.start, end: scan.end, token: scan.token.clone() };
        *self.slot() = Some(scan);
        ask
    }

    /// The scan that was asked for last.
    fn slot(&mut self) -> &mut Option<Scan> {
        if self.auditing { &mut self.audit } else { &mut self.scan }
    }

    /// Takes in the answer to the last [`LogGroup::ask`].
    pub(super) fn take(&mut self, page: Page) -> Found {
        let newest = page.events.iter().map(|event| event.time).max();
        let mut events = page.events;
        let all = events.len();
        events.retain(|event| self.seen.insert((event.time.millis(), digest(&event.id))));
        while self.seen.len() > SEEN_MAX {
            self.forget_oldest();
        }
        let repeats = (all - events.len()) as u64;
        let before = self.floor;
        let Some(mut scan) = self.slot().take() else {
            return Found { events, before, floor: before, complete: false, repeats, late: Vec::new(), missed: false };
        };
        let should_have_been_seen = |event: &&Event| self.settled && event.time <= self.reach;
        let late: Vec<Span> =
            events.iter().filter(should_have_been_seen).map(|event| scan.asked.since(event.time)).collect();
        let missed = self.auditing && !events.is_empty();
        scan.newest = scan.newest.max(newest.unwrap_or(scan.newest));
        scan.token = page.token;
        let over = scan.token.is_none();
        let asked = scan.asked;
        if over {
            self.finish(&scan)
        } else {
            *self.slot() = Some(scan)
        }
        if self.auditing && !over {
            self.audit_due = asked.plus(Span::seconds(AUDIT_PAGE_SECONDS));
        }
        Found { events, before, floor: self.floor, complete: over && !self.auditing, repeats, late, missed }
    }

    /// The clock was put back to `now`: what was due at a moment that it has left is due at once.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        (self.full_due, self.fast_due) = (now, now);
        self.known_from = self.known_from.min(now);
        self.audit_due = self.audit_due.min(now.plus(self.windows.audit));
    }

    /// Something came, somebody said: a look at the newest events is due at once.
    pub(super) fn hint(&mut self, now: Timestamp) {
        self.fast_due = self.fast_due.min(now);
    }

    /// How many ids it may keep for audits from now on.
    pub(super) fn share_audit_ids(&mut self, most: usize) {
        self.windows.audit_ids_max = most;
    }

    /// The service no longer knows the page token: the scan begins again, over the same range.
    pub(super) fn restart(&mut self) {
        if let Some(scan) = self.slot() {
            scan.token = None;
        }
    }

    fn plan(&self, now: Timestamp) -> Scan {
        let width = match now {
            _ if self.auditing => Width::Audit,
            now if now >= self.full_due => Width::Full,
            _ => Width::Fast,
        };
        // A clock that was ahead may have left a floor that lies in the future: what is here now is read all the same.
        let bottom = self.floor.min(now).minus(self.windows.overlap);
        let (start, end) = match width {
            Width::Full => {
                let step = self.floor.plus(Span::seconds(STEP_SECONDS));
                let behind = step < now.minus(Span::seconds(STALL_SECONDS_MAX));
                (bottom, if behind { step } else { now })
            }
            Width::Fast => (self.reach.min(now).minus(Span::seconds(FAST_OVERLAP_SECONDS)).max(bottom), now),
            Width::Audit => (self.known_from.max(now.minus(Span::seconds(AUDIT_SECONDS))), bottom),
        };
        Scan { width, began: now, asked: now, start, end: end.max(start), token: None, newest: start }
    }

    fn finish(&mut self, scan: &Scan) {
        if scan.width == Width::Audit {
            self.audit_due = scan.began.plus(self.windows.audit);
            return;
        }
        self.reach = self.reach.max(scan.end);
        self.fast_due = scan.began.plus(self.windows.poll);
        if scan.width == Width::Fast {
            return;
        }
        self.settled = true;
        let quiet = scan.end.min(scan.began.minus(Span::seconds(STALL_SECONDS_MAX)));
        self.floor = self.floor.max(scan.newest.min(scan.end)).max(quiet);
        let catching_up = scan.end < scan.began;
        self.full_due = if catching_up { scan.began } else { scan.began.plus(self.windows.reconcile) };
        self.forget(scan.began);
    }

    /// Forgets ids that nobody will ask for again.
    fn forget(&mut self, now: Timestamp) {
        let bottom = self.floor.minus(self.windows.overlap);
        let oldest = bottom.min(now.minus(Span::seconds(AUDIT_SECONDS)));
        self.seen = self.seen.split_off(&(oldest.millis(), 0));
        self.known_from = self.known_from.max(oldest);
        while self.seen.len() > self.windows.audit_ids_max
            && self.seen.first().is_some_and(|(time_ms, _)| *time_ms < bottom.millis())
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((time_ms, _)) = self.seen.pop_first() {
            self.known_from = self.known_from.max(Timestamp::from_millis(time_ms + 1));
        }
    }
}

fn digest(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}
