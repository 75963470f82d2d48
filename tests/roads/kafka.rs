//! Kafka: librdkafka's mock cluster, in this process, with one partition.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::harness::{Corpus, Home};
use crate::{reference, same, travel};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_kafka_partition_leads_to_the_same_alerts_as_a_file() {
    let cluster = MockCluster::new(1).expect("a mock cluster starts");
    cluster.create_topic("trail", 1, 1).expect("a topic can be made");
    let brokers = cluster.bootstrap_servers();
    // The mock keeps only the newest 5 MB of a partition, as sent: the sample day fits compressed.
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("compression.type", "zstd")
        .set("linger.ms", "50")
        .create()
        .expect("a producer can be made");
    let corpus = Corpus::open();
    let mut sent = Vec::new();
    for line in corpus.lines() {
        let record = FutureRecord::<str, str>::to("trail").partition(0).payload(line);
        // Queued in order at once; the answers are awaited together below.
        sent.push(producer.send_result(record).map_err(|(error, _)| error).expect("the queue takes it"));
    }
    for answer in sent {
        let stored = tokio::time::timeout(PATIENCE, answer).await.expect("the cluster answers");
        stored.expect("the producer lives").map_err(|(error, _)| error).expect("the cluster stores it");
    }
    let home = Home::new();
    let system = format!("kafka: {{brokers: [\"{brokers}\"], topics: [trail], group: lapwing}}");
    let road = travel(&home, &system, async |_| {}).await;
    same(&road, reference().await);
}
