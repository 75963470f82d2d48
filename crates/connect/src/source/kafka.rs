//! Kafka, read as a member of a consumer group.
//!
//! Offsets are committed only when [`Source::commit`] says that what they cover is durable. Our own store is
//! written before that, so after a crash it is ahead of the group: a partition then starts at the stored
//! offset and nothing is counted twice, even records without an id. Where the group is ahead, it is right.
//! To read a topic again, use another group and a fresh store: a group that was moved back stays where the
//! store was.

mod group;
mod pending;
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

use self::group::{Membership, Partition};
use self::pending::Pending;
pub use self::settings::{Names, Properties, Settings, SettingsError};
use crate::source::{Mark, Next, Remedy, Source, SourceError};

/// The end of every partition was seen and nothing came for this long: there is nothing now. Longer than the
/// gap between two fetches, because with several topics an end does not say whose it is.
const QUIET: Duration = Duration::from_secs(1);

/// librdkafka gives up on a commit after about ten seconds by itself.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Some topics, as one member of a group.
pub struct Kafka {
    consumer: Arc<StreamConsumer<Membership>>,
    pending: Pending,
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
            ended: BTreeSet::new(),
            stirred: Instant::now(),
            doubt: false,
        })
    }

    /// When to wake up even if nothing comes; none is never.
    fn alarm(&self) -> Option<Instant> {
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
        self.pending.add(partition, message.offset(), message.payload(), now);
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
            let lost = self.consumer.context().take_lost();
            if !lost.is_empty() {
                self.pending.forget(&lost);
                return Ok(Next::Revoked(lost.iter().map(Partition::to_string).collect()));
            }
            if let Some(mut batch) = self.pending.take(Instant::now()) {
                self.consumer.context().name_owned(&mut batch.partitions);
                return Ok(Next::Batch(batch));
            }
            match self.wait().await {
                Woken::Received => {}
                Woken::Changed => {
                    self.stirred = Instant::now();
                }
                Woken::Late => {
                    if self.pending.due().is_none() && self.at_end().await? {
                        return Ok(Next::Idle);
                    }
                }
                Woken::Failed(KafkaError::PartitionEOF(number)) => {
                    self.ended.insert(number);
                }
                Woken::Failed(error) => {
                    self.doubt = true;
                    return Err(failure("read from kafka".to_owned(), error));
                }
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        let mut offsets = TopicPartitionList::new();
        for (name, value) in &mark.0 {
            let (partition, offset) = position(name, value)?;
            // A partition that went to another consumer is that one's to commit.
            if self.consumer.context().owns(&partition) {
                let doing = || format!("commit {name}");
                offsets
                    .add_partition_offset(&partition.topic, partition.number, Offset::Offset(offset))
                    .map_err(|error| failure(doing(), error))?;
            }
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        let consumer = self.consumer.clone();
        let doing = "commit offsets".to_owned();
        let told = blocking(doing.clone(), move || consumer.commit(&offsets, CommitMode::Sync));
        match tokio::time::timeout(COMMIT_TIMEOUT, told).await {
            Ok(told) => told,
            Err(late) => Err(SourceError { doing, remedy: Remedy::Wait, source: Some(late.into()) }),
        }
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
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.partition.eof", "true");
    config
}

/// A call that waits inside librdkafka, away from the runtime. If the caller leaves, the call still ends.
async fn blocking(
    doing: String,
    call: impl FnOnce() -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), SourceError> {
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
