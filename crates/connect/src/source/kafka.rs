//! Kafka, read as a member of a consumer group.
//!
//! Offsets are committed only when [`Source::commit`] says that what they cover is durable. Our own store is
//! written before that, so after a crash it is ahead of the group: a partition then starts at the stored
//! offset and nothing is counted twice, even records without an id. Where the group is ahead, it is right.
//! To read a topic again, use another group and a fresh store: a group that was moved back stays where the
//! store was.
//!
//! A partition that the group gives to another member is given up only once everything that was handed over of it is
//! durable and the group was told, so that the other begins behind it. Where that takes too long, or a member dies, the
//! other reads again what this one had counted and not told: a repeat, never a loss.

mod group;
mod offsets;
mod pending;
mod probe;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use self::group::{Membership, Partition, list};
use self::offsets::Offsets;
use self::pending::{Pending, Stamped};
pub use self::probe::probe;
pub use self::settings::{Names, Properties, Settings, SettingsError};
use crate::source::{Mark, Next, Remedy, Source, SourceError};

/// The end of every partition was seen and nothing came for this long: there is nothing now. Longer than the
/// gap between two fetches, because with several topics an end does not say whose it is.
const QUIET: Duration = Duration::from_secs(1);

/// librdkafka gives up on a commit after about ten seconds by itself.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a partition that the group asks back is kept for what was handed over of it. Far less than the 5 minutes
/// after which the group goes on without a member (`max.poll.interval.ms`).
const LEAVE_MAX: Duration = Duration::from_secs(30);

/// How often librdkafka says how many records wait.
const STATISTICS_MILLIS: &str = "5000";

/// Between two attempts to tell the group, while a partition waits to be given up.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// Some topics, as one member of a group.
pub struct Kafka {
    consumer: Arc<StreamConsumer<Membership>>,
    pending: Pending,
    offsets: Offsets,
    /// Partitions that the group asked back, and when they are given up at the latest.
    leaving: BTreeSet<Partition>,
    leave_by: Instant,
    /// When the group is told again what it would not hear.
    tell_at: Option<Instant>,
    /// Some partition does not hold the record that was to come next.
    displaced: bool,
    /// Partition numbers whose end was reached since their last record.
    ended: BTreeSet<i32>,
    /// When something last happened.
    stirred: Instant,
    /// Whether a broker failed since: then silence alone does not mean that there is nothing.
    doubt: bool,
}

enum Woken {
    Changed,
    Late,
    Received,
    Failed(KafkaError),
}

impl Kafka {
    /// Joins the group. `stored` holds the next offset of each partition, as marks name them.
    ///
    /// # Errors
    /// [`SourceError`] if a property or the stored mark is refused. Brokers are not asked yet.
    pub fn open(settings: &Settings, stored: &Mark) -> Result<Self, SourceError> {
        let mut offsets = BTreeMap::new();
        for (name, value) in &stored.0 {
            let (partition, offset) = position(name, value)?;
            offsets.insert(partition, offset);
        }
        let consumer: StreamConsumer<Membership> =
            properties(settings).create_with_context(Membership::new(offsets)).map_err(refused)?;
        let topics = settings.topics.all();
        consumer.subscribe(&topics).map_err(|error| failure(format!("subscribe to {}", topics.join(", ")), error))?;
        Ok(Self {
            consumer: Arc::new(consumer),
            pending: Pending::new(settings.linger),
            offsets: Offsets::default(),
            leaving: BTreeSet::new(),
            leave_by: Instant::now(),
            tell_at: None,
            displaced: false,
            ended: BTreeSet::new(),
            stirred: Instant::now(),
            doubt: false,
        })
    }

    /// Whether the group has asked for partitions that are kept until what was read of them is durable.
    #[must_use]
    pub fn is_asked_back(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// When to wake up even if nothing comes; none is never.
    fn alarm(&self) -> Option<Instant> {
        let again = if self.leaving.is_empty() { self.tell_at } else { Some(Instant::now() + TELL_AGAIN) };
        if let Some(again) = again {
            return Some(self.pending.due().map_or(again, |due| due.min(again)));
        }
        let at_end = self.consumer.context().all_among(&self.ended);
        self.pending.due().or(at_end.then_some(self.stirred + QUIET))
    }

    async fn wait(&mut self) -> Woken {
        let consumer = self.consumer.clone();
        let alarm = self.alarm();
        tokio::select! {
            biased;
            () = consumer.context().changed() => Woken::Changed,
            () = sleep_until(alarm) => Woken::Late,
            received = consumer.recv() => match received {
                Ok(message) => {
                    self.received(&message);
                    Woken::Received
                }
                Err(error) => Woken::Failed(error),
            },
        }
    }

    fn received(&mut self, message: &BorrowedMessage<'_>) {
        let now = Instant::now();
        self.stirred = now;
        self.ended.remove(&message.partition());
        let partition = Partition { topic: message.topic().to_owned(), number: message.partition() };
        self.offsets.came(&partition, message.offset());
        let place = Stamped { offset: message.offset(), millis: message.timestamp().to_millis() };
        self.pending.add(partition, place, message.payload(), now);
    }

    /// Takes note of what the group has said.
    fn heed(&mut self) -> Result<(), SourceError> {
        let context = self.consumer.context().clone();
        for (partition, offset) in context.take_begun() {
            self.offsets.begin(partition, offset);
        }
        let asked_back = context.take_asked_back();
        if !asked_back.is_empty() {
            tracing::info!(
                partitions = asked_back.len(),
                "the group asks partitions back: what is under way is finished"
            );
            self.leave_by = Instant::now() + LEAVE_MAX;
            self.leaving.extend(asked_back.iter().cloned());
            // What was fetched of them and not yet handed over is dropped and read by whoever comes next.
            self.pending.forget(&asked_back);
            self.consumer.pause(&list(&asked_back)).map_err(|error| failure("pause partitions".to_owned(), error))?;
        }
        Ok(())
    }

    /// Gives up what the group asked back, once nothing of it is under way. Answers what is no longer ours.
    async fn give_up(&mut self) -> Result<Vec<Partition>, SourceError> {
        let context = self.consumer.context().clone();
        if !self.leaving.is_empty() {
            let is_late = Instant::now() >= self.leave_by || self.consumer.assignment_lost();
            if !is_late && self.leaving.iter().any(|partition| self.offsets.owed().contains_key(partition)) {
                self.tell_or_wait().await?;
            }
            if is_late || self.leaving.iter().all(|partition| self.offsets.is_settled(partition)) {
                if is_late {
                    tracing::warn!("partitions given up in haste: another member may count some records again");
                }
                let leaving = std::mem::take(&mut self.leaving);
                context.gave_up(&leaving);
                let given_up = self.consumer.incremental_unassign(&list(&leaving));
                given_up.map_err(|error| failure("give partitions up".to_owned(), error))?;
                return Ok(leaving.into_iter().collect());
            }
        }
        Ok(context.take_lost())
    }

    /// Tells the group what is durable. While it gives out its partitions it hears nobody; it is told again then.
    async fn tell_or_wait(&mut self) -> Result<(), SourceError> {
        self.tell_at = None;
        let told = self.tell().await;
        if let Err(SourceError { remedy: Remedy::Wait, source: Some(error), .. }) = &told
            && let Some(RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration) =
                error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code)
        {
            tracing::debug!(%error, "the group hears no commits at the moment");
            self.tell_at = Some(Instant::now() + TELL_AGAIN);
            return Ok(());
        }
        told
    }

    async fn tell(&mut self) -> Result<(), SourceError> {
        let owed = self.offsets.owed().clone();
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in &owed {
            offsets
                .add_partition_offset(&partition.topic, partition.number, Offset::Offset(*offset))
                .map_err(|error| failure(format!("commit {partition}"), error))?;
        }
        if owed.is_empty() {
            return Ok(());
        }
        let consumer = self.consumer.clone();
        let doing = "commit offsets".to_owned();
        let told = blocking(doing.clone(), move || consumer.commit(&offsets, CommitMode::Sync));
        match tokio::time::timeout(COMMIT_TIMEOUT, told).await {
            Ok(told) => told?,
            Err(late) => return Err(SourceError { doing, remedy: Remedy::Wait, source: Some(late.into()) }),
        }
        self.offsets.told(&owed);
        Ok(())
    }

    /// Looks which partitions do not hold what was to come next, says what is missing, and goes on with what is there.
    async fn find_place(&mut self) -> Result<(), SourceError> {
        let (consumer, owned) = (self.consumer.clone(), self.consumer.context().owned());
        let asked = move || {
            let known = consumer.committed_offsets(list(&owned), METADATA_TIMEOUT)?;
            let look = |partition: Partition| {
                let Partition { topic, number } = &partition;
                let (low, high) = consumer.fetch_watermarks(topic, *number, METADATA_TIMEOUT)?;
                let group = match known.find_partition(topic, *number).map(|found| found.offset()) {
                    Some(Offset::Offset(offset)) => Some(offset),
                    _ => None,
                };
                Ok((partition, group, low, high))
            };
            owned.into_iter().map(look).collect::<Result<Vec<_>, KafkaError>>()
        };
        let found = blocking("ask where partitions begin and end".to_owned(), asked).await?;
        for (partition, group, low, high) in found {
            let expected = self.offsets.expected(&partition).or(group);
            let (gap, on) = match expected.map(|expected| offsets::missing(&partition, expected, low, high)) {
                Some(None) => continue,
                Some(Some((gap, on))) => (Some(gap), on),
                None => (None, low),
            };
            self.begin_again(&partition, on)?;
            if let Some(gap) = gap {
                self.pending.miss(partition, on, gap, Instant::now());
            }
        }
        self.displaced = false;
        Ok(())
    }

    fn begin_again(&mut self, partition: &Partition, offset: i64) -> Result<(), SourceError> {
        let failed = |error| failure(format!("read {partition} from offset {offset}"), error);
        self.consumer.incremental_unassign(&list([partition])).map_err(failed)?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&partition.topic, partition.number, Offset::Offset(offset)).map_err(failed)?;
        self.consumer.incremental_assign(&place).map_err(failed)?;
        self.offsets.begin(partition.clone(), offset);
        Ok(())
    }

    /// Whether silence means that everything was read. After a failure a broker must answer first.
    async fn at_end(&mut self) -> Result<bool, SourceError> {
        self.stirred = Instant::now();
        if !self.doubt {
            return Ok(self.consumer.context().all_among(&self.ended));
        }
        let consumer = self.consumer.clone();
        let asked = move || consumer.client().fetch_metadata(None, METADATA_TIMEOUT).map(drop);
        blocking("ask a broker for the topics".to_owned(), asked).await?;
        // What piled up meanwhile has until the next silence to arrive.
        self.doubt = false;
        Ok(false)
    }
}

impl Source for Kafka {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            self.heed()?;
            let lost = self.give_up().await?;
            if !lost.is_empty() {
                self.pending.forget(&lost);
                lost.iter().for_each(|partition| self.offsets.forget(partition));
                return Ok(Next::Revoked(lost.iter().map(Partition::to_string).collect()));
            }
            if self.tell_at.is_some_and(|at| at <= Instant::now()) {
                self.tell_or_wait().await?;
            }
            if self.displaced {
                self.find_place().await?;
            }
            if let Some(mut batch) = self.pending.take(Instant::now()) {
                for (name, value) in &batch.mark.0 {
                    let (partition, end) = position(name, value)?;
                    self.offsets.hand(partition, end);
                }
                self.consumer.context().name_owned(&mut batch.partitions);
                return Ok(Next::Batch(batch));
            }
            match self.wait().await {
                Woken::Received => {}
                Woken::Changed => {
                    self.stirred = Instant::now();
                }
                Woken::Late => {
                    let nothing_waits =
                        self.pending.due().is_none() && self.leaving.is_empty() && self.tell_at.is_none();
                    if nothing_waits && self.at_end().await? {
                        return Ok(Next::Idle);
                    }
                }
                Woken::Failed(KafkaError::PartitionEOF(number)) => {
                    self.ended.insert(number);
                }
                Woken::Failed(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    self.displaced = true;
                }
                Woken::Failed(error) => {
                    self.doubt = true;
                    return Err(failure("read from kafka".to_owned(), error));
                }
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        for (name, value) in &mark.0 {
            let (partition, offset) = position(name, value)?;
            // A partition that went to another consumer is that one's to commit.
            if self.consumer.context().owns(&partition) {
                self.offsets.durable(partition, offset);
            }
        }
        self.tell_or_wait().await
    }

    fn backlog(&self) -> Option<u64> {
        self.consumer.context().backlog()
    }
}

impl Drop for Kafka {
    /// The consumer leaves its group when it is dropped, and is asked for its partitions then.
    fn drop(&mut self) {
        self.consumer.context().close();
    }
}

fn properties(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings.client.iter() {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", settings.brokers.all().join(","))
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where a partition does not hold what was to come next, we say so before we go on.
        .set("auto.offset.reset", "error")
        .set("statistics.interval.ms", STATISTICS_MILLIS)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.partition.eof", "true");
    config
}

/// A call that waits inside librdkafka, away from the runtime. If the caller leaves, the call still ends.
async fn blocking<T: Send + 'static>(
    doing: String,
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(called) => called.map_err(|error| failure(doing, error)),
        Err(error) => Err(SourceError { doing, remedy: Remedy::Wait, source: Some(error.into()) }),
    }
}

async fn sleep_until(alarm: Option<Instant>) {
    match alarm {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn position(name: &str, value: &str) -> Result<(Partition, i64), SourceError> {
    let offset = value.parse().ok().filter(|offset| *offset >= 0);
    match (Partition::parse(name), offset) {
        (Some(partition), Some(offset)) => Ok((partition, offset)),
        (None, _) | (_, None) => {
            let doing = format!("read the mark {name}: {value}");
            Err(SourceError { doing, remedy: Remedy::Person, source: None })
        }
    }
}

/// A property that librdkafka refuses. Its own words repeat the value, which may be a secret.
fn refused(error: KafkaError) -> SourceError {
    match error {
        KafkaError::ClientConfig(_, _, name, _) => {
            SourceError { doing: format!("set librdkafka property {name}"), remedy: Remedy::Person, source: None }
        }
        other => SourceError {
            doing: "set up the kafka client".to_owned(),
            remedy: Remedy::Person,
            source: Some(other.into()),
        },
    }
}

fn failure(doing: String, error: KafkaError) -> SourceError {
    let remedy = match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::Fatal,
        ) => Remedy::Person,
        _ => Remedy::Wait,
    };
    SourceError { doing, remedy, source: Some(error.into()) }
}
