//! Amazon SQS: notifications about objects in S3, which are read, or events themselves.
//!
//! The queue keeps the position: a message is deleted once everything that it led to is durable, and until then nobody
//! else sees it ([`held`]). A mark only numbers the batches of one run, so that a commit says which messages are done; it
//! is not stored, and a start asks the queue. After a crash messages come again, as SQS may send any of them twice, and
//! lead to the same positions: they are counted once further in.
//!
//! A message whose object cannot be read goes back and comes again, less and less often. After `receives_max` times, if
//! its object is still gone, refused or damaged, its name is a refused record and what was deleted is a gap. What time
//! may mend, such as throttling, never uses up a message.

mod held;
mod message;
mod probe;
mod queue;
mod settings;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::task::JoinSet;

use self::held::Held;
use self::message::Said;
pub use self::probe::probe;
use self::queue::{MESSAGES_AT_ONCE, Queue, Received};
pub use self::settings::Settings;
use super::aws::Access;
use super::aws::object::{self, Named, Objects, Part, Reached, Unread, Why};
use super::aws::readers::Readers;
use super::lines::within;
use super::{Batch, Gap, Mark, Next, Record, Remedy, Source, SourceError};

/// Messages that are held at most. Those that name objects are small; of others each may have 1 MiB, which is handed on
/// at once.
const HELD_MAX: usize = 256;

/// Longer than the longest wait for a message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a message stays away after its object could not be read: doubles from here …
const AWAY_FIRST: Duration = Duration::from_secs(30);
/// … to here.
const AWAY_LAST: Duration = Duration::from_secs(15 * 60);

/// How long a stop waits for messages to be given back.
const GIVE_BACK_MAX: Duration = Duration::from_secs(5);

/// What a mark calls the batches of this run.
const BATCHES: &str = "batches";

/// One queue.
pub struct Sqs {
    queue: Queue,
    record_bytes_max: usize,
    receives_max: usize,
    held: Arc<Held>,
    readers: Readers,
    /// Messages whose objects are being read.
    reading: BTreeMap<u64, Work>,
    /// Those whose turn has not come.
    waiting: VecDeque<Work>,
    started: u64,
    /// The request on its way, and one that gives messages back at a stop. It goes on though nobody calls `next`: what it
    /// brings is hidden from the moment on that SQS sends it, and is held from when it comes.
    asking: JoinSet<Asked>,
    is_stopping: bool,
    ready: VecDeque<Batch>,
    /// Batches made so far.
    batches: u64,
    /// Messages that are done once the batch of this number is durable.
    done: VecDeque<(u64, Vec<String>)>,
    /// What objects were refused for, until nothing else is to be done.
    refused: Option<SourceError>,
    /// Whether an object was read since that was last said.
    has_read: bool,
    /// The keeper of what is held, and requests that nobody waits for.
    errands: JoinSet<()>,
}

enum Asked {
    /// Each with whether it was not held before.
    Received(Result<Vec<(Received, bool)>, SourceError>),
    GaveBack,
}

/// A message that names objects.
struct Work {
    id: String,
    receives: usize,
    /// Those that are still to be read; the first is under way.
    objects: VecDeque<Named>,
    /// How far the first was read before reading broke off.
    reached: Reached,
}

impl Sqs {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// [`SourceError`] if nobody says which region.
    pub async fn open(settings: &Settings) -> Result<Self, SourceError> {
        Ok(Self::with(settings, &load(settings).await?))
    }

    fn with(settings: &Settings, loaded: &SdkConfig) -> Self {
        let queue = queue(settings, loaded);
        let readers = Readers::new(Objects {
            client: object::client(loaded, settings.s3_endpoint_url.as_deref()),
            record_bytes_max: settings.record_bytes_max,
            object_bytes_max: settings.object_mib_max.saturating_mul(1 << 20),
        });
        let held = Held::new();
        let mut errands = JoinSet::new();
        errands.spawn(held::keep(queue.clone(), held.clone()));
        Self {
            queue,
            record_bytes_max: settings.record_bytes_max,
            receives_max: settings.receives_max,
            held,
            readers,
            reading: BTreeMap::new(),
            waiting: VecDeque::new(),
            started: 0,
            asking: JoinSet::new(),
            is_stopping: false,
            ready: VecDeque::new(),
            batches: 0,
            done: VecDeque::new(),
            refused: None,
            has_read: false,
            errands,
        }
    }

    /// Begins with whatever there is room for.
    fn begin(&mut self) {
        while self.errands.try_join_next().is_some() {}
        if self.is_stopping {
            return;
        }
        while self.readers.have_room()
            && let Some(work) = self.waiting.pop_front()
        {
            self.read(work);
        }
        let has_room = self.held.count() + MESSAGES_AT_ONCE <= HELD_MAX && self.waiting.is_empty();
        if self.asking.is_empty() && has_room {
            let (queue, held) = (self.queue.clone(), self.held.clone());
            self.asking.spawn(async move {
                let hold = |message: Received| {
                    let is_new = held.hold(&message.id, message.receipt.clone());
                    (message, is_new)
                };
                Asked::Received(queue.receive().await.map(|messages| messages.into_iter().map(hold).collect()))
            });
        }
    }

    fn read(&mut self, work: Work) {
        let Some(first) = work.objects.front().cloned() else { return };
        self.started += 1;
        self.readers.start(self.started, first, work.reached.clone());
        self.reading.insert(self.started, work);
    }

    /// What people have to hear of objects that we may not read, once nothing else is to be done: others go first.
    fn refusal(&mut self) -> Option<SourceError> {
        let refused = if self.is_idle() { self.refused.take() } else { None }?;
        // Where some are read the source goes on at its pace; where none is, only a person helps.
        let remedy = if std::mem::take(&mut self.has_read) { Remedy::Wait } else { refused.remedy };
        Some(SourceError { remedy, ..refused })
    }

    /// Whether nothing is under way here.
    fn is_idle(&self) -> bool {
        self.readers.are_idle() && self.waiting.is_empty() && self.ready.is_empty()
    }

    /// Takes in what came. Messages that are events are one batch.
    fn received(&mut self, messages: Vec<(Received, bool)>) {
        let (mut records, mut done) = (Vec::new(), Vec::new());
        for (Received { id, receives, body, .. }, is_new) in messages {
            if !is_new {
                tracing::debug!(message = id, "message came again while it was read");
                continue;
            }
            match message::read(&body) {
                Said::Objects(objects) if !objects.is_empty() => {
                    let (objects, reached) = (objects.into(), Reached::default());
                    self.waiting.push_back(Work { id, receives, objects, reached });
                }
                Said::Objects(_) | Said::Nothing => done.push(id),
                Said::Event(text) => {
                    records.push(Record { position: id.clone(), body: within(&text, self.record_bytes_max) });
                    done.push(id);
                }
            }
        }
        // A message that led to nothing is deleted by the same road.
        if !done.is_empty() {
            self.hand_over(records, Vec::new(), done);
        }
    }

    fn hand_over(&mut self, records: Vec<Record>, gaps: Vec<Gap>, done: Vec<String>) {
        self.batches += 1;
        let mark = Mark([(BATCHES.to_owned(), self.batches.to_string())].into());
        if !done.is_empty() {
            self.done.push_back((self.batches, done));
        }
        self.ready.push_back(Batch { records, mark, gaps, ..Batch::default() });
    }

    /// Takes in what a reader brought.
    fn brought(&mut self, number: u64, part: Result<Part, Unread>) -> Result<(), SourceError> {
        let Some(work) = self.reading.get_mut(&number) else { return Ok(()) };
        match part {
            Ok(Part { records, reached, is_last: false }) => {
                work.reached = reached;
                self.readers.go_on(number);
                self.hand_over(records, Vec::new(), Vec::new());
                Ok(())
            }
            Ok(Part { records, is_last: true, .. }) => {
                self.has_read = true;
                self.next_object(number, records, None);
                Ok(())
            }
            Err(unread) => self.unread(number, unread),
        }
    }

    /// The object is done; the message is when it was its last.
    fn next_object(&mut self, number: u64, records: Vec<Record>, gap: Option<Gap>) {
        let Some(mut work) = self.reading.remove(&number) else { return };
        work.objects.pop_front();
        work.reached = Reached::default();
        let done = if work.objects.is_empty() { vec![work.id.clone()] } else { Vec::new() };
        self.hand_over(records, gap.into_iter().collect(), done);
        self.read(work);
    }

    /// What is to be done about an object that could not be read, and what of it the caller should hear.
    fn unread(&mut self, number: u64, unread: Unread) -> Result<(), SourceError> {
        let Some(work) = self.reading.remove(&number) else { return Ok(()) };
        let Some(first) = work.objects.front() else { return Ok(()) };
        if unread.why == Why::Passing {
            self.waiting.push_front(work);
            return Err(unread.error);
        }
        let (object, error) = (first.url(), crate::probe::words(&unread.error));
        if work.receives >= self.receives_max {
            tracing::warn!(%object, %error, receives = work.receives, "object given up");
            let (refused, gap) = (first.refused(&unread), first.gap(unread.why));
            self.reading.insert(number, work);
            self.next_object(number, vec![refused], gap);
            return Ok(());
        }
        tracing::debug!(%object, %error, receives = work.receives, "object not read, its message comes again");
        self.send_back(&work);
        if unread.why == Why::Denied {
            self.refused = Some(unread.error);
        }
        Ok(())
    }

    /// Lets go of what is not handed over in whole, so that whoever comes next need not wait until its time is up.
    fn give_back(&mut self) {
        let handed_over = self.batches - self.ready.len() as u64;
        self.ready.clear();
        self.done.retain(|(number, _)| *number <= handed_over);
        let kept: BTreeSet<&String> = self.done.iter().flat_map(|(_, done)| done).collect();
        let receipts = self.held.release_all_but(&kept);
        let queue = self.queue.clone();
        self.asking.spawn(async move {
            let giving = async {
                for receipts in receipts.chunks(MESSAGES_AT_ONCE) {
                    if let Err(error) = queue.hide(receipts, Duration::ZERO).await {
                        tracing::debug!(error = %crate::probe::words(&error), "messages not given back");
                        break;
                    }
                }
            };
            // Those that are not given back come when their time is up: nobody waits for that.
            drop(tokio::time::timeout(GIVE_BACK_MAX, giving).await);
            Asked::GaveBack
        });
    }

    /// The message comes again after a while.
    fn send_back(&mut self, work: &Work) {
        let Some(receipt) = self.held.release(&work.id) else { return };
        let doublings = u32::try_from(work.receives.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        let (queue, away) = (self.queue.clone(), AWAY_FIRST.saturating_mul(1 << doublings).min(AWAY_LAST));
        self.errands.spawn(async move {
            if let Err(error) = queue.hide(&[receipt], away).await {
                // Then it comes when its time is up.
                tracing::debug!(error = %crate::probe::words(&error), "message not sent away");
            }
        });
    }
}

impl Source for Sqs {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Next::Batch(batch));
            }
            if let Some(error) = self.refusal() {
                return Err(error);
            }
            self.begin();
            tokio::select! {
                biased; // what is read leaves before more is taken in
                (number, part) = self.readers.next(), if !self.is_stopping => self.brought(number, part)?,
                asked = answer(&mut self.asking, self.is_stopping) => match asked {
                    Asked::GaveBack => return Ok(Next::Exhausted),
                    Asked::Received(messages) => {
                        let messages = messages?;
                        if messages.is_empty() && self.is_idle() {
                            return Ok(Next::Idle);
                        }
                        self.received(messages);
                    }
                }
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        let reached: u64 = mark.0.get(BATCHES).and_then(|number| number.parse().ok()).unwrap_or(0);
        let mut receipts = Vec::new();
        while let Some((_, done)) = self.done.pop_front_if(|(number, _)| *number <= reached) {
            receipts.extend(done.iter().filter_map(|id| self.held.release(id)));
        }
        // One that could not be deleted is let go: it comes again, and is counted once.
        let mut failed = None;
        for receipts in receipts.chunks(MESSAGES_AT_ONCE) {
            if let Err(error) = self.queue.delete(receipts).await {
                // Nobody answers: the others come again, too, rather than that each waits for its own time to run out.
                let is_down = error.source.is_some();
                failed.get_or_insert(error);
                if is_down {
                    break;
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What was handed over is committed and deleted as ever.
    fn stop(&mut self) -> bool {
        self.is_stopping = true;
        self.asking = JoinSet::new();
        self.give_back();
        true
    }

    fn backlog(&self) -> Option<u64> {
        self.held.waiting()
    }
}

async fn answer(asking: &mut JoinSet<Asked>, is_stopping: bool) -> Asked {
    match asking.join_next().await {
        Some(Ok(asked)) => asked,
        Some(Err(_)) if is_stopping => Asked::GaveBack,
        Some(Err(error)) => {
            let doing = "receive messages".to_owned();
            Asked::Received(Err(SourceError { doing, remedy: Remedy::Wait, source: Some(error.into()) }))
        }
        None => pending().await,
    }
}

async fn load(settings: &Settings) -> Result<SdkConfig, SourceError> {
    if !settings.queue_url.contains("://") {
        let doing = format!("read the address of the queue: {:?} has no https://", settings.queue_url);
        return Err(SourceError { doing, remedy: Remedy::Person, source: None });
    }
    let (region, role) = (settings.region(), settings.role.as_ref());
    Access { region, role, timeout: ANSWER_TIMEOUT }.load().await
}

fn queue(settings: &Settings, loaded: &SdkConfig) -> Queue {
    let mut config = aws_sdk_sqs::config::Builder::from(loaded);
    config.set_endpoint_url(settings.endpoint_url.clone().or(loaded.endpoint_url().map(str::to_owned)));
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    Queue { client, url: settings.queue_url.clone(), visibility: settings.visibility }
}
