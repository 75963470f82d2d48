//! Which messages are held, for how long still, and what is to be asked next. Pure: no network, no clock, no waiting.
//!
//! A message is *held* from the answer that brings it until its acknowledgement has succeeded. Meanwhile its time is
//! extended again and again; one that is delivered again all the same is recognised, and its newest acknowledgement id
//! counts. What was acknowledged is remembered for a while: an acknowledgement can be lost, and the message comes again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use engine::time::{Span, Timestamp};

use super::request::{ANSWER_BYTES_MAX, Trouble};
use crate::source::{Remedy, SourceError};

/// Pulls under way together.
pub(super) const PULLS_MAX: usize = 4;
/// The most messages that one pull asks for.
const PULL_MESSAGES_MAX: usize = 500;
/// Messages held, or on their way here (about 400 bytes each beside their data: 1.6 MB).
pub(super) const MESSAGES_MAX: usize = 4_000;
/// Bytes of messages that are not committed, and of what pulls under way may bring: 4 × 16 MiB of pulls + 32 MiB.
pub(super) const BYTES_MAX: usize = PULLS_MAX * ANSWER_BYTES_MAX + (32 << 20);
/// Ids told in one request, which may have 512 KiB; an id has up to 250 bytes.
const TELL_MAX: usize = 1_000;
/// Ids of acknowledged messages that are remembered (about 80 bytes each, so 4 MB).
const DONE_MAX: usize = 50_000;

/// The shortest time that a subscription gives is 10 s: a message that is held for longer than this is extended …
const EXTEND_FIRST: Span = Span::seconds(5);
/// … to so much, which is also the least where messages are delivered exactly once …
const EXTENSION_SECONDS: u32 = 60;
/// … and again after half of that.
const EXTEND_AGAIN: Span = Span::seconds(EXTENSION_SECONDS / 2);
/// What could not be extended is tried again so soon.
const EXTEND_RETRY: Span = Span::seconds(2);
/// An acknowledgement id that is void: the message comes again with another one.
const VOID: Span = Span::seconds(600);

/// An answer with nothing in it takes so long at least, or the next question would follow at once for ever.
const PULL_GAP: Span = Span::seconds(1);
/// An answer with nothing in it means that nothing is there if it was waited for so long; one at once may come though there
/// is …
const EMPTY_WAITED: Span = Span::seconds(5);
/// … and so many in a row mean it too.
const EMPTY_MEANS_IDLE: u32 = 2;
/// An answer of so many messages is worth one more pull beside it.
const MORE_WAITS: usize = 50;

/// Failures in a row, by want of room over there, that are survived without a word to the caller.
const REFUSALS_SILENT: u32 = 4;
const WAIT_FIRST: Span = Span::seconds(1);
/// Longest wait after a failure that passes by itself, in microseconds.
const WAIT_MAX: i64 = 60_000_000;
/// Longest wait after one that a person must mend.
const PERSON_WAIT_MAX: i64 = 300_000_000;

/// What a message is called; the same when it comes again.
pub(super) type Id = Arc<str>;

/// A message and the name of this delivery of it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) ack_id: String,
    pub(super) message: Message,
}

/// A message: its data, or the head of what could not be read.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: Id,
    pub(super) body: Result<Bytes, Vec<u8>>,
}

impl Message {
    fn len(&self) -> usize {
        self.body.as_ref().map_or_else(Vec::len, Bytes::len)
    }
}

/// A message that something is told of.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: Id,
    pub(super) ack_id: String,
}

/// What to ask.
#[derive(Debug)]
pub(super) enum Request {
    /// At most so many messages; when it began.
    Pull(usize, Timestamp),
    Acknowledge(Vec<Held>),
    /// To so many seconds from then on.
    Extend(Vec<Held>, u32),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// When it began comes along.
    Pulled(Result<Vec<Received>, Trouble>, Timestamp),
    /// Which failed, and whether that may pass.
    Acknowledged(Vec<Held>, Result<BTreeMap<String, bool>, Trouble>),
    Extended(Vec<Held>, Result<BTreeMap<String, bool>, Trouble>),
}

/// What is to be done now, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) requests: Vec<Request>,
    pub(super) wake: Option<Timestamp>,
}

/// Waits that double.
#[derive(Debug)]
struct Backoff {
    wait: Span,
    not_before: Timestamp,
    failures: u32,
}

impl Backoff {
    fn new(now: Timestamp) -> Self {
        Self { wait: WAIT_FIRST, not_before: now, failures: 0 }
    }

    fn failed(&mut self, remedy: Remedy, now: Timestamp) {
        let most = if remedy == Remedy::Wait { WAIT_MAX } else { PERSON_WAIT_MAX };
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.plus(self.wait);
        self.wait = Span::from_micros((self.wait.micros() * 2).min(most));
    }

    fn worked(&mut self) {
        (self.wait, self.failures) = (WAIT_FIRST, 0);
    }
}

#[derive(Debug)]
struct Lease {
    ack_id: String,
    bytes: usize,
    /// When its time is extended next.
    extend: Timestamp,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not durable yet.
    Handed,
    /// Durable: to be acknowledged.
    Settled,
    /// Being acknowledged.
    Told,
}

/// All that is known of one subscription.
#[derive(Debug)]
pub(super) struct Desk {
    leases: BTreeMap<Id, Lease>,
    /// Bytes of leases that are not settled.
    bytes: usize,
    /// To be acknowledged, in the order of commits; may name what no longer is.
    settled: VecDeque<Id>,
    acknowledging: bool,
    acks: Backoff,
    extending: bool,
    pulling: usize,
    /// How many pulls are worth being under way.
    pulls_wanted: usize,
    pull_messages: usize,
    pulls: Backoff,
    empties: u32,
    /// Pulled and not handed over.
    tray: VecDeque<Message>,
    idle: bool,
    failed: Option<SourceError>,
    /// What was said of the last acknowledgement that failed, and how many did.
    unsaid: (u64, Option<(String, Remedy)>),
    done: Done,
}

/// Ids of acknowledged messages, the oldest forgotten first.
#[derive(Debug, Default)]
struct Done {
    ids: BTreeSet<Id>,
    order: VecDeque<Id>,
}

impl Done {
    fn note(&mut self, id: Id) {
        if self.ids.insert(id.clone()) {
            self.order.push_back(id);
        }
        while self.order.len() > DONE_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}

impl Desk {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            leases: BTreeMap::new(),
            bytes: 0,
            settled: VecDeque::new(),
            acknowledging: false,
            acks: Backoff::new(now),
            extending: false,
            pulling: 0,
            pulls_wanted: 1,
            pull_messages: PULL_MESSAGES_MAX,
            pulls: Backoff::new(now),
            empties: 0,
            tray: VecDeque::new(),
            idle: false,
            failed: None,
            unsaid: (0, None),
            done: Done::default(),
        }
    }

    /// What to begin at this moment. What is begun is answered by one of the methods below.
    pub(super) fn plan(&mut self, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let wake =
            [self.plan_acks(now, &mut plan), self.plan_extensions(now, &mut plan), self.plan_pulls(now, &mut plan)];
        plan.wake = wake.into_iter().flatten().min();
        plan
    }

    fn plan_acks(&mut self, now: Timestamp, plan: &mut Plan) -> Option<Timestamp> {
        if self.acknowledging || self.settled.is_empty() {
            return None;
        }
        if self.acks.not_before > now {
            return Some(self.acks.not_before);
        }
        let mut held = Vec::new();
        while held.len() < TELL_MAX
            && let Some(id) = self.settled.pop_front()
        {
            if let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.stage == Stage::Settled) {
                lease.stage = Stage::Told;
                held.push(Held { id, ack_id: lease.ack_id.clone() });
            }
        }
        if !held.is_empty() {
            self.acknowledging = true;
            plan.requests.push(Request::Acknowledge(held));
        }
        None
    }

    fn plan_extensions(&mut self, now: Timestamp, plan: &mut Plan) -> Option<Timestamp> {
        if self.extending {
            return None;
        }
        let is_kept = |lease: &Lease| lease.stage != Stage::Told;
        let due = self.leases.iter().filter(|(_, lease)| is_kept(lease) && lease.extend <= now).take(TELL_MAX);
        let held: Vec<Held> = due.map(|(id, lease)| Held { id: id.clone(), ack_id: lease.ack_id.clone() }).collect();
        if held.is_empty() {
            return self.leases.values().filter(|lease| is_kept(lease)).map(|lease| lease.extend).min();
        }
        self.extending = true;
        plan.requests.push(Request::Extend(held, EXTENSION_SECONDS));
        None
    }

    fn plan_pulls(&mut self, now: Timestamp, plan: &mut Plan) -> Option<Timestamp> {
        // After a failure one alone tries whether it goes on.
        let wanted = if self.pulls.failures > 0 { 1 } else { self.pulls_wanted };
        if self.pulling >= wanted {
            return None;
        }
        if self.pulls.not_before > now {
            return Some(self.pulls.not_before);
        }
        while self.pulling < wanted && self.has_room() {
            self.pulling += 1;
            plan.requests.push(Request::Pull(self.pull_messages, now));
        }
        None
    }

    /// Whether what one more pull may bring can be held too.
    fn has_room(&self) -> bool {
        let pulls = self.pulling + 1;
        self.leases.len() + pulls * PULL_MESSAGES_MAX <= MESSAGES_MAX
            && self.bytes + pulls * ANSWER_BYTES_MAX <= BYTES_MAX
    }

    /// Takes in what became of a request.
    pub(super) fn took(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Pulled(Ok(received), began) => self.pulled(received, began, now),
            Outcome::Pulled(Err(trouble), _) => self.not_pulled(trouble, now),
            Outcome::Acknowledged(held, Ok(failed)) => self.acknowledged(held, &failed, now),
            Outcome::Acknowledged(held, Err(trouble)) => self.not_acknowledged(held, trouble.error(), now),
            Outcome::Extended(held, answer) => self.extended(held, answer.as_ref().ok(), now),
        }
    }

    fn pulled(&mut self, received: Vec<Received>, began: Timestamp, now: Timestamp) {
        self.pulling -= 1;
        self.pulls.worked();
        if received.is_empty() {
            self.pulls_wanted = 1;
            self.pulls.not_before = now.plus(PULL_GAP);
            self.empties += 1;
            let is_told = now.since(began) >= EMPTY_WAITED || self.empties >= EMPTY_MEANS_IDLE;
            self.idle |= is_told && self.tray.is_empty();
            return;
        }
        (self.empties, self.idle) = (0, false);
        if received.len() >= MORE_WAITS {
            self.pulls_wanted = (self.pulls_wanted + 1).min(PULLS_MAX);
        }
        self.pull_messages = (self.pull_messages * 2).min(PULL_MESSAGES_MAX);
        for Received { ack_id, message } in received {
            self.receive(ack_id, message, now);
        }
    }

    fn receive(&mut self, ack_id: String, message: Message, now: Timestamp) {
        let extend = now.plus(EXTEND_FIRST);
        if let Some(lease) = self.leases.get_mut(&message.id) {
            (lease.ack_id, lease.extend) = (ack_id, extend);
            return;
        }
        let id = message.id.clone();
        if self.done.ids.contains(&id) {
            // Its acknowledgement was lost, or came too late.
            self.leases.insert(id.clone(), Lease { ack_id, bytes: 0, extend, stage: Stage::Settled });
            self.settled.push_back(id);
            return;
        }
        self.bytes += message.len();
        self.leases.insert(id, Lease { ack_id, bytes: message.len(), extend, stage: Stage::Handed });
        self.tray.push_back(message);
    }

    fn not_pulled(&mut self, trouble: Trouble, now: Timestamp) {
        self.pulling -= 1;
        (self.empties, self.idle) = (0, false);
        if matches!(trouble, Trouble::TooLarge) && self.pull_messages > 1 {
            self.pull_messages = (self.pull_messages / 2).max(1);
            return;
        }
        let is_busy = matches!(trouble, Trouble::Busy(_));
        let error = trouble.error();
        self.pulls.failed(error.remedy, now);
        if !is_busy || self.pulls.failures > REFUSALS_SILENT {
            self.failed = Some(error);
        } else {
            tracing::warn!(failures = self.pulls.failures, error = %error, "pub/sub asks to come later");
        }
    }

    fn acknowledged(&mut self, held: Vec<Held>, failed: &BTreeMap<String, bool>, now: Timestamp) {
        self.acknowledging = false;
        let (mut again, mut remaining) = (0, Vec::new());
        for held in held {
            // Told beside others that failed, it may have succeeded; telling it again does no harm.
            let may_pass = if failed.is_empty() { Some(false) } else { failed.get(&held.ack_id).copied() };
            match may_pass {
                Some(false) => self.finish(held),
                Some(true) | None => {
                    again += 1;
                    remaining.push(held);
                }
            }
        }
        if again == 0 {
            self.acks.worked();
            return;
        }
        let words = format!("acknowledge messages: {again} are not taken for now");
        self.not_acknowledged(remaining, SourceError { doing: words, remedy: Remedy::Wait, source: None }, now);
    }

    /// It is acknowledged, or can no longer be: then it comes again and is recognised.
    fn finish(&mut self, held: Held) {
        let is_same = |lease: &Lease| lease.ack_id == held.ack_id;
        match self.leases.get_mut(&held.id) {
            Some(lease) if !is_same(lease) => {
                // Delivered again meanwhile: that delivery is to be acknowledged too.
                lease.stage = Stage::Settled;
                self.settled.push_back(held.id.clone());
            }
            Some(_) | None => drop(self.leases.remove(&held.id)),
        }
        self.done.note(held.id);
    }

    fn not_acknowledged(&mut self, held: Vec<Held>, error: SourceError, now: Timestamp) {
        self.acknowledging = false;
        self.acks.failed(error.remedy, now);
        for held in held.into_iter().rev() {
            if let Some(lease) = self.leases.get_mut(&held.id) {
                lease.stage = Stage::Settled;
                self.settled.push_front(held.id);
            }
        }
        self.unsaid = (self.unsaid.0 + 1, Some((crate::probe::words(&error), error.remedy)));
    }

    fn extended(&mut self, held: Vec<Held>, failed: Option<&BTreeMap<String, bool>>, now: Timestamp) {
        self.extending = false;
        for held in held {
            let Some(lease) = self.leases.get_mut(&held.id).filter(|lease| lease.ack_id == held.ack_id) else {
                continue;
            };
            let wait = match failed.map(|failed| failed.get(&held.ack_id)) {
                Some(None) => EXTEND_AGAIN,
                Some(Some(false)) => VOID,
                Some(Some(true)) | None => EXTEND_RETRY,
            };
            lease.extend = now.plus(wait);
        }
    }

    /// What these were is durable.
    pub(super) fn settle(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(lease) = self.leases.get_mut(id).filter(|lease| lease.stage == Stage::Handed) {
                self.bytes -= std::mem::take(&mut lease.bytes);
                lease.stage = Stage::Settled;
                self.settled.push_back(id.clone());
            }
        }
    }

    /// Whether any of these waits for its acknowledgement.
    pub(super) fn holds(&self, ids: &[Id]) -> bool {
        ids.iter().any(|id| self.leases.contains_key(id))
    }

    /// How many acknowledgements failed so far, and what was said of the last one.
    pub(super) fn unsaid(&self) -> (u64, Option<SourceError>) {
        let error = self.unsaid.1.as_ref().map(|(doing, remedy)| SourceError {
            doing: doing.clone(),
            remedy: *remedy,
            source: None,
        });
        (self.unsaid.0, error)
    }

    /// The next message to hand over.
    pub(super) fn message(&mut self) -> Option<Message> {
        self.tray.pop_front()
    }

    /// What keeps messages from coming, said once.
    pub(super) fn failure(&mut self) -> Option<SourceError> {
        self.failed.take()
    }

    /// Whether all that there was has been handed over, said once for each time that it was found so.
    pub(super) fn is_idle(&mut self) -> bool {
        std::mem::take(&mut self.idle)
    }

    /// Messages held, bytes of them, pulls under way.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize, usize) {
        (self.leases.len(), self.bytes, self.pulling)
    }
}
