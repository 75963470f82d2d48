//! Apache Kafka itself: brokers that die, members that come and go, records that were deleted, and doors that ask who comes.

#![cfg(feature = "kafka")]

mod harness;

use std::collections::BTreeSet;

use harness::kafka::{Cluster, Door};
use harness::{Home, Lapwing, Receiver, stopped, until};

/// Records that raise an alert each, with these numbers.
fn records(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|number| stopped(&format!("event-{number}"), &format!("user-{}", number % 50)))
}

/// Numbers of the events that the receiver took an alert of.
fn told(receiver: &Receiver) -> BTreeSet<usize> {
    let bodies = receiver.arrivals().into_iter().filter(|arrival| arrival.taken).map(|arrival| arrival.body);
    let number = |body: String| {
        let body: serde_json::Value = serde_json::from_str(&body).expect("a body is JSON");
        body["data"]["event_ids"][0].as_str()?.strip_prefix("event-")?.parse().ok()
    };
    bodies.filter_map(number).collect()
}

async fn all_are_told(receiver: &Receiver, count: usize) {
    until(&format!("{count} alerts at the receiver"), async || (told(receiver).len() >= count).then_some(())).await;
    assert_eq!(told(receiver), (0..count).collect());
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

async fn counted(member: &Lapwing) -> usize {
    member.metric("lapwing_events_total{source=\"log\"}").await as usize
}

/// A service that reads topic `audit` as a member of the group `lapwing`.
fn home(cluster: &Cluster, receiver: &Receiver) -> Home {
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  log: {}\nsinks: {{soc: {}}}\n",
        cluster.source("audit", "lapwing"),
        receiver.sink()
    ));
    home
}

#[tokio::test]
async fn brokers_that_are_killed_and_come_back_and_a_service_that_is_killed_lose_nothing_and_double_nothing() {
    let Some(mut cluster) = Cluster::start(3, Door::Open).await else { return };
    cluster.create("audit", 6).await;
    let receiver = Receiver::start().await;
    let home = home(&cluster, &receiver);
    let lapwing = home.start().await;
    cluster.produce("audit", "none", records(0..1_000)).await;
    all_are_told(&receiver, 1_000).await;
    cluster.kill(0);
    cluster.produce("audit", "none", records(1_000..2_000)).await;
    lapwing.kill();
    let lapwing = home.start().await;
    cluster.restart(0);
    cluster.answers().await;
    cluster.kill(1);
    cluster.produce("audit", "none", records(2_000..3_000)).await;
    all_are_told(&receiver, 3_000).await;
    assert_eq!(lapwing.rows().await.len(), 3_000);
    assert!(lapwing.terminate().await.success());
    let lapwing = home.start().await;
    cluster.produce("audit", "none", records(3_000..3_001)).await;
    all_are_told(&receiver, 3_001).await;
    assert_eq!(counted(&lapwing).await, 1, "what the group was told of is not read again");
}

#[tokio::test]
async fn members_come_and_go_and_each_record_is_counted_by_one_of_them() {
    let Some(cluster) = Cluster::start(1, Door::Open).await else { return };
    cluster.create("audit", 6).await;
    let receiver = Receiver::start().await;
    let homes = [(); 3].map(|()| home(&cluster, &receiver));
    let mut members = Vec::new();
    let mut produced = 0;
    for home in &homes {
        members.push(home.start().await);
        // Records come while the partitions go from hand to hand.
        for _ in 0..10 {
            cluster.produce("audit", "none", records(produced..produced + 50)).await;
            produced += 50;
        }
        all_are_told(&receiver, produced).await;
        let last = members.last().expect("one was started");
        until("the new member to own something", async || {
            cluster.produce("audit", "none", records(produced..produced + 30)).await;
            produced += 30;
            (counted(last).await > 0).then_some(())
        })
        .await;
    }
    all_are_told(&receiver, produced).await;
    let mut sum = 0;
    for member in &members {
        sum += counted(member).await;
        assert!(!member.log_has("given up in haste"));
    }
    assert_eq!(sum, produced, "each was counted by one member");

    let leaves = members.remove(0);
    let more = records(produced..produced + 300);
    let (left, ()) = tokio::join!(leaves.terminate(), cluster.produce("audit", "none", more));
    assert!(left.success());
    members.remove(0).kill();
    cluster.produce("audit", "none", records(produced + 300..produced + 600)).await;
    // What it had counted and not yet told, it tells when it is there again.
    let _again = homes[1].start().await;
    all_are_told(&receiver, produced + 600).await;
    let ids: BTreeSet<String> = receiver.alerts().into_keys().collect();
    assert_eq!(ids.len(), produced + 600, "an alert that two members raised is one alert");
}

#[tokio::test]
async fn topics_by_a_pattern_and_in_any_compression_are_read_and_what_is_no_record_is_kept_with_its_place() {
    let Some(cluster) = Cluster::start(1, Door::Open).await else { return };
    cluster.create("audit.gzip", 2).await;
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let source = cluster.source("^audit[.].*", "lapwing");
    home.configure(&format!("sources:\n  log: {source}\nsinks: {{soc: {}}}\n", receiver.sink()));
    let lapwing = home.start().await;
    for (place, compression) in ["gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let topic = format!("audit.{compression}");
        if place > 0 {
            // It comes while the service runs.
            cluster.create(&topic, 1).await;
        }
        cluster.produce(&topic, compression, records(place * 100..place * 100 + 100)).await;
    }
    cluster.create("other", 1).await;
    cluster.produce("other", "none", records(900..901)).await;
    cluster.produce("audit.zstd", "none", ["no record".to_owned()]).await;
    all_are_told(&receiver, 400).await;
    let dead = until("the dead record", async || {
        let letters = lapwing.get("/api/v1/dead-records").await;
        letters["dead_records"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(dead["position"], "log/audit.zstd/0@100", "{dead}");
}

#[tokio::test]
async fn records_that_were_deleted_before_they_were_read_are_an_alert_and_reading_goes_on() {
    let Some(cluster) = Cluster::start(1, Door::Open).await else { return };
    cluster.create("audit", 1).await;
    let receiver = Receiver::start().await;
    let home = home(&cluster, &receiver);
    let lapwing = home.start().await;
    cluster.produce("audit", "none", records(0..10)).await;
    all_are_told(&receiver, 10).await;
    assert!(lapwing.terminate().await.success());
    cluster.produce("audit", "none", records(500..540)).await;
    cluster.delete_before("audit", 0, 50).await;
    cluster.produce("audit", "none", records(10..20)).await;
    let lapwing = home.start().await;
    until("the events after the gap", async || (told(&receiver).len() >= 20).then_some(())).await;
    assert_eq!(told(&receiver), (0..20).collect());
    let rows = lapwing.rows().await;
    let gap = rows.iter().find(|row| row["rule"] == "lapwing-source-gap").expect("people are told of the gap");
    let why = gap["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("log: 40 records of audit/0 (offsets 10 to 49) were deleted"), "{why}");
    assert_eq!(lapwing.metric("lapwing_source_gaps_total{source=\"log\"}").await, 1.0);
}

#[cfg(feature = "kafka-tls")]
#[tokio::test]
async fn a_guarded_broker_lets_in_who_shows_the_password_over_tls_and_nobody_else() {
    let Some(cluster) = Cluster::start(1, Door::Scram).await else { return };
    cluster.create("audit", 1).await;
    let receiver = Receiver::start().await;
    let home = home(&cluster, &receiver);
    let lapwing = home.start().await;
    cluster.produce("audit", "zstd", records(0..50)).await;
    all_are_told(&receiver, 50).await;
    assert!(lapwing.terminate().await.success());

    let source = cluster.source("audit", "lapwing").replace(harness::kafka::USER.1, "wrong");
    home.configure(&format!("sources:\n  log: {source}\n"));
    let lapwing = home.start().await;
    until("the refusal", async || lapwing.log_has("Authentication failed").then_some(())).await;
    assert!(lapwing.log_has("source failed, trying again"));
    assert_eq!(lapwing.metric("lapwing_source_up{source=\"log\"}").await, 0.0);
    assert!(!lapwing.log_has("wrong"), "the password is not shown");
}
