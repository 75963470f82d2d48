//! This consumer's part in its group: which partitions it owns, which it is to give up, where it starts in each.
//! librdkafka tells it through callbacks, which run while the source waits for a message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics};
use tokio::sync::Notify;

/// Longest wait for the group's committed offsets at an assignment.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(5);

/// One partition of one topic, written `topic/number`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) number: i32,
}

/// What the callbacks know.
#[derive(Debug)]
pub(super) struct Membership {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the group has ever answered.
    joined: bool,
    owned: BTreeSet<Partition>,
    /// Where partitions begin that were assigned since the source last asked.
    begun: Vec<(Partition, i64)>,
    /// Asked back by the group since the source last asked; still ours.
    asked_back: Vec<Partition>,
    /// Lost since the source last asked.
    lost: Vec<Partition>,
    /// Offsets from our own store, for partitions not yet assigned since the start.
    stored: BTreeMap<Partition, i64>,
    /// Nobody is there any more to give partitions up in order.
    closing: bool,
    /// Records that wait in our partitions, as of the last statistics.
    backlog: Option<u64>,
}

impl Partition {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (topic, number) = name.rsplit_once('/')?;
        Some(Self { topic: topic.to_owned(), number: number.parse().ok()? })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.topic, self.number)
    }
}

/// Partitions as librdkafka takes them.
pub(super) fn list<'p>(partitions: impl IntoIterator<Item = &'p Partition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for Partition { topic, number } in partitions {
        list.add_partition(topic, *number);
    }
    list
}

impl Membership {
    pub(super) fn new(stored: BTreeMap<Partition, i64>) -> Self {
        Self { state: Mutex::new(State { stored, ..State::default() }), changed: Notify::new() }
    }

    /// Returns once partitions were assigned, asked back or lost since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Where partitions begin that were assigned since the last call.
    pub(super) fn take_begun(&self) -> Vec<(Partition, i64)> {
        std::mem::take(&mut self.state().begun)
    }

    /// Partitions that the group asked back since the last call. They are ours until they are given up.
    pub(super) fn take_asked_back(&self) -> Vec<Partition> {
        std::mem::take(&mut self.state().asked_back)
    }

    /// Partitions lost since the last call.
    pub(super) fn take_lost(&self) -> Vec<Partition> {
        std::mem::take(&mut self.state().lost)
    }

    /// These partitions are no longer ours.
    pub(super) fn gave_up(&self, partitions: &BTreeSet<Partition>) {
        let mut state = self.state();
        for partition in partitions {
            tracing::info!(%partition, "partition given up");
            state.owned.remove(partition);
        }
    }

    /// The consumer is about to be closed: whatever is asked back is given up at once.
    pub(super) fn close(&self) {
        self.state().closing = true;
    }

    pub(super) fn owns(&self, partition: &Partition) -> bool {
        self.state().owned.contains(partition)
    }

    /// Our partitions.
    pub(super) fn owned(&self) -> Vec<Partition> {
        self.state().owned.iter().cloned().collect()
    }

    /// Records that wait in our partitions, as of some seconds ago.
    pub(super) fn backlog(&self) -> Option<u64> {
        self.state().backlog
    }

    /// Adds the names of our partitions to these, each once.
    pub(super) fn name_owned(&self, names: &mut Vec<Arc<str>>) {
        for partition in &self.state().owned {
            let name = partition.to_string();
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
    }

    /// Whether the group has given out its partitions and every one of ours has a number among `numbers`.
    pub(super) fn all_among(&self, numbers: &BTreeSet<i32>) -> bool {
        let state = self.state();
        state.joined && state.owned.iter().all(|partition| numbers.contains(&partition.number))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves sets and maps whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts each partition of `given` at our stored offset where that is ahead of the group's, else at the group's, else
    /// at its beginning; answers where.
    ///
    /// The store is written before the group is told, so after a crash it is ahead: what lies between was
    /// counted already. It is behind where another instance has read on since; then the group is right.
    fn place(&self, consumer: &BaseConsumer<Self>, given: &TopicPartitionList) -> Vec<(Partition, i64)> {
        // Waits within the callback, so a thread is held for one round trip: any later is too late, because fetching has
        // begun then and a seek is refused until it has settled.
        let asked = list(&partitions(given));
        let committed = consumer.committed_offsets(asked, COMMITTED_TIMEOUT).unwrap_or_else(|error| {
            tracing::warn!(%error, "committed offsets unknown, the stored ones are taken");
            TopicPartitionList::new()
        });
        let mut begun = Vec::new();
        for partition in partitions(given) {
            let known = committed.find_partition(&partition.topic, partition.number);
            let group = known.as_ref().and_then(|found| match found.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            });
            let Some(offset) = self.state().stored.remove(&partition).max(group) else {
                // Only if the group was asked and knows nothing is this the beginning of all.
                if known.is_some() {
                    set(given, &partition, Offset::Beginning);
                }
                continue;
            };
            set(given, &partition, Offset::Offset(offset));
            begun.push((partition, offset));
        }
        begun
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, given: &TopicPartitionList) {
        let begun = self.place(consumer, given);
        if let Err(error) = consumer.incremental_assign(given) {
            tracing::error!(%error, "partitions not taken: the group gives them out again");
            return;
        }
        let mut state = self.state();
        state.joined = true;
        for partition in partitions(given) {
            tracing::info!(%partition, "partition assigned");
            state.owned.insert(partition);
        }
        state.begun.extend(begun);
    }

    /// Partitions are to go to others. What was handed over of them is still on its way, so they are kept until it is
    /// durable and the group knows: then nobody reads it again. Not if they are lost already, or all is closed.
    fn revoked(&self, consumer: &BaseConsumer<Self>, taken: &TopicPartitionList) {
        let mut state = self.state();
        if !state.closing && !consumer.assignment_lost() {
            state.asked_back.extend(partitions(taken));
            return;
        }
        for partition in partitions(taken) {
            tracing::info!(%partition, "partition lost");
            state.owned.remove(&partition);
            state.lost.push(partition);
        }
        drop(state);
        if let Err(error) = consumer.incremental_unassign(taken) {
            tracing::warn!(%error, "partitions not given up");
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, "librdkafka: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "librdkafka: {text}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The same error comes out of the wait for a message, where it is handled.
        tracing::debug!(%error, reason, "librdkafka error");
    }

    fn stats(&self, statistics: Statistics) {
        let mut state = self.state();
        let owned = |topic: &str, number: i32| state.owned.contains(&Partition { topic: topic.to_owned(), number });
        let partitions = statistics
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values().filter(|partition| owned(&topic.topic, partition.partition)));
        // One of which nothing is known yet counts as -1.
        let backlog = partitions.map(|partition| u64::try_from(partition.consumer_lag).unwrap_or(0)).sum();
        state.backlog = Some(backlog);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            _ => self.revoked(consumer, list),
        }
        self.changed.notify_one();
    }
}

fn set(given: &TopicPartitionList, partition: &Partition, offset: Offset) {
    let Some(mut element) = given.find_partition(&partition.topic, partition.number) else { return };
    match element.set_offset(offset) {
        Ok(()) => tracing::debug!(%partition, ?offset, "partition starts here"),
        Err(error) => tracing::warn!(%partition, ?offset, %error, "offset refused"),
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let elements = list.elements();
    elements
        .iter()
        .map(|element| Partition { topic: element.topic().to_owned(), number: element.partition() })
        .collect()
}
