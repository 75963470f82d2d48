//! This consumer's part in its group: which partitions it owns, which it lost, where it starts in each.
//! librdkafka tells it through callbacks, which run while the source waits for a message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::Notify;

/// Longest wait for the group's committed offsets at the first assignment.
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
    /// Lost since the source last asked.
    lost: Vec<Partition>,
    /// Offsets from our own store, for partitions not yet assigned since the start.
    stored: BTreeMap<Partition, i64>,
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

impl Membership {
    pub(super) fn new(stored: BTreeMap<Partition, i64>) -> Self {
        Self { state: Mutex::new(State { stored, ..State::default() }), changed: Notify::new() }
    }

    /// Returns once partitions were assigned or lost since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Partitions lost since the last call.
    pub(super) fn take_lost(&self) -> Vec<Partition> {
        std::mem::take(&mut self.state().lost)
    }

    pub(super) fn owns(&self, partition: &Partition) -> bool {
        self.state().owned.contains(partition)
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

    /// Starts each partition of `given` at our stored offset where that is ahead of the group's.
    ///
    /// The store is written before the group is told, so after a crash it is ahead: what lies between was
    /// counted already. It is behind where another instance has read on since; then the group is right.
    fn place(&self, consumer: &BaseConsumer<Self>, given: &TopicPartitionList) {
        let mut ours = Vec::new();
        for element in given.elements() {
            let partition = Partition { topic: element.topic().to_owned(), number: element.partition() };
            if let Some(offset) = self.state().stored.remove(&partition) {
                ours.push((partition, offset));
            }
        }
        if ours.is_empty() {
            return;
        }
        let mut asked = TopicPartitionList::new();
        for (partition, _) in &ours {
            asked.add_partition(&partition.topic, partition.number);
        }
        // Waits within the callback, so once after a start a thread is held for one round trip: any later is
        // too late, because fetching has begun then and a seek is refused until it has settled.
        let committed = consumer.committed_offsets(asked, COMMITTED_TIMEOUT).unwrap_or_else(|error| {
            tracing::warn!(%error, "committed offsets unknown, the stored ones are taken");
            TopicPartitionList::new()
        });
        for (partition, offset) in ours {
            let group = committed.find_partition(&partition.topic, partition.number).map(|found| found.offset());
            if matches!(group, Some(Offset::Offset(group)) if group >= offset) {
                continue;
            }
            let Some(mut element) = given.find_partition(&partition.topic, partition.number) else { continue };
            match element.set_offset(Offset::Offset(offset)) {
                Ok(()) => tracing::info!(%partition, offset, "partition starts at the stored offset"),
                Err(error) => tracing::warn!(%partition, offset, %error, "stored offset refused"),
            }
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
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(given) => self.place(consumer, given),
            Rebalance::Revoke(taken) => {
                let mut state = self.state();
                for partition in partitions(taken) {
                    tracing::info!(%partition, "partition revoked");
                    state.owned.remove(&partition);
                    state.lost.push(partition);
                }
                drop(state);
                self.changed.notify_one();
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(given) = rebalance {
            let mut state = self.state();
            state.joined = true;
            for partition in partitions(given) {
                tracing::info!(%partition, "partition assigned");
                state.owned.insert(partition);
            }
            drop(state);
            self.changed.notify_one();
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let elements = list.elements();
    elements
        .iter()
        .map(|element| Partition { topic: element.topic().to_owned(), number: element.partition() })
        .collect()
}
