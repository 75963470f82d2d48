//! Whether brokers, topics and group let us in. Joins no group: a running member is not disturbed.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Settings, properties};
use crate::probe::{Probe, words};

/// Longest wait for each answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a fetch may take to be refused. It is not when nothing comes.
const FETCH: Duration = Duration::from_secs(3);

/// Asks for each topic, fetches from it, and asks what the group has committed. Blocks for up to a minute.
#[must_use]
pub fn probe(settings: &Settings) -> Vec<Probe> {
    let brokers = settings.brokers.all().join(", ");
    let consumer: BaseConsumer<DefaultConsumerContext> = match properties(settings).create() {
        Ok(consumer) => consumer,
        Err(error) => return vec![Probe::bad("librdkafka", words(&super::refused(error)))],
    };
    let metadata = match consumer.fetch_metadata(None, PATIENCE) {
        Ok(metadata) => metadata,
        Err(error) => {
            let why = format!("{}: check address, port, TLS, user and password", words(&error));
            return vec![Probe::bad(format!("brokers {brokers}"), why)];
        }
    };
    let mut probes = vec![Probe::good(format!("brokers {brokers}"), format!("{} answer", metadata.brokers().len()))];
    for topic in settings.topics.all() {
        probes.extend(match topic.strip_prefix('^') {
            Some(_) => pattern(&consumer, topic, &metadata),
            None => vec![named(&consumer, topic)],
        });
    }
    probes.push(group(&consumer, settings, &metadata));
    probes
}

fn named(consumer: &BaseConsumer<DefaultConsumerContext>, topic: &str) -> Probe {
    let what = format!("topic {topic}");
    let metadata = match consumer.fetch_metadata(Some(topic), PATIENCE) {
        Ok(metadata) => metadata,
        Err(error) => return Probe::bad(what, words(&error)),
    };
    let Some(found) = metadata.topics().first() else { return Probe::bad(what, "no broker knows it: create it") };
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        let remedy = match code {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => "create it, or mend its name",
            RDKafkaErrorCode::TopicAuthorizationFailed => "the user needs Describe and Read on the topic",
            _ => "see the brokers' log",
        };
        return Probe::bad(what, format!("{code}: {remedy}"));
    }
    let partitions = found.partitions().len();
    match fetch(consumer, topic) {
        Ok(()) => Probe::good(what, format!("{partitions} partitions, readable")),
        Err(error) => Probe::bad(what, format!("{}: the user needs Read on the topic", words(&error))),
    }
}

/// Asks for what comes next in its first partition: a refusal says who may not read.
fn fetch(consumer: &BaseConsumer<DefaultConsumerContext>, topic: &str) -> Result<(), KafkaError> {
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, 0, Offset::End)?;
    consumer.assign(&place)?;
    let answered = match consumer.poll(FETCH) {
        Some(Err(KafkaError::PartitionEOF(_))) | Some(Ok(_)) | None => Ok(()),
        Some(Err(error)) => Err(error),
    };
    consumer.unassign()?;
    answered
}

fn pattern(consumer: &BaseConsumer<DefaultConsumerContext>, pattern: &str, metadata: &Metadata) -> Vec<Probe> {
    let what = format!("topics {pattern}");
    let regex = match regex::Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => return vec![Probe::bad(what, format!("no regular expression: {error}"))],
    };
    let names: Vec<&str> =
        metadata.topics().iter().map(|topic| topic.name()).filter(|name| regex.is_match(name)).collect();
    if names.is_empty() {
        let why = "no topic that the user may see has such a name: create one, or let the user Describe it";
        return vec![Probe::bad(what, why)];
    }
    let found = Probe::good(what, format!("{} topics have such a name", names.len()));
    std::iter::once(found).chain(names.into_iter().map(|name| named(consumer, name))).collect()
}

fn group(consumer: &BaseConsumer<DefaultConsumerContext>, settings: &Settings, metadata: &Metadata) -> Probe {
    let what = format!("group {}", settings.group);
    let mut asked = TopicPartitionList::new();
    for topic in settings.topics.all().iter().filter(|topic| !topic.starts_with('^')) {
        let partitions = metadata.topics().iter().find(|known| known.name() == *topic);
        let count = partitions.map_or(1, |topic| topic.partitions().len().max(1));
        asked.add_partition_range(topic, 0, i32::try_from(count).unwrap_or(i32::MAX) - 1);
    }
    if asked.count() == 0 {
        asked.add_partition(metadata.topics().first().map_or("any", |topic| topic.name()), 0);
    }
    match consumer.committed_offsets(asked, PATIENCE) {
        Ok(offsets) => {
            let known = offsets.elements().iter().filter(|found| matches!(found.offset(), Offset::Offset(_))).count();
            Probe::good(what, format!("lets us in, {known} of {} partitions have an offset", offsets.count()))
        }
        Err(error) => {
            let remedy = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::GroupAuthorizationFailed) => ": the user needs Read on the group",
                _ => "",
            };
            Probe::bad(what, format!("{}{remedy}", words(&error)))
        }
    }
}
