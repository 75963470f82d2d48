//! Cases in which others lose an alert or make a false one.

mod harness;

use std::net::SocketAddr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use harness::{Home, Lapwing, Receiver, until};

/// Three refused sign-ins of a user within ten minutes.
const BURST: &str = "
title: Sign-in
name: signin
id: 6c3c1c58-0d0c-4a4e-9c1d-6a3f5b0c7a01
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: ConsoleLogin}, condition: selection}
level: low
---
title: Burst
id: 6c3c1c58-0d0c-4a4e-9c1d-6a3f5b0c7a02
correlation:
  {type: event_count, rules: [signin], group-by: [userIdentity.userName], timespan: 10m, condition: {gte: 3}}
level: high
";

/// A running service with one rule set and one HTTP source, that tells a receiver.
async fn started(home: &Home, rules: &str, sink: &str) -> Lapwing {
    std::fs::write(home.path("rules.yml"), rules).expect("rules can be written");
    home.configure(&format!(
        "shipped_rules: false\nrules: [{}]\nsources:\n  push: {{kind: aws.cloudtrail, http: {{}}}}\nsinks:\n  soc: {sink}",
        home.path("rules.yml").display()
    ));
    home.start().await
}

fn signin(id: &str, user: &str, time: DateTime<Utc>) -> Value {
    json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": time.to_rfc3339_opts(SecondsFormat::Secs, true),
        "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.24",
        "userIdentity": {"type": "IAMUser", "userName": user, "accountId": "111122223333"},
    })
}

/// A moment so many minutes after the first of a long gone day.
fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
}

/// One request a record: the order in which they arrive is the order in which they are counted.
async fn push(lapwing: &Lapwing, records: &[Value]) {
    for record in records {
        assert_eq!(lapwing.push("push", record.to_string()).await.status, 200);
    }
}

fn bursts(rows: &[Value]) -> Vec<&Value> {
    rows.iter().filter(|row| row["title"] == "Burst").collect()
}

#[tokio::test]
async fn one_event_from_the_future_between_three_valid_ones_does_not_hide_the_alert() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let lapwing = started(&home, BURST, &receiver.sink()).await;
    let now = Utc::now();
    let minutes = TimeDelta::minutes;
    push(
        &lapwing,
        &[
            signin("one", "ana", now - minutes(4)),
            signin("two", "ana", now - minutes(3)),
            signin("ahead", "ana", now + TimeDelta::days(36_500)),
            signin("other", "bob", now + TimeDelta::days(365)),
            signin("three", "ana", now - minutes(2)),
        ],
    )
    .await;
    until("the burst", async || (!bursts(&lapwing.rows().await).is_empty()).then_some(())).await;
    lapwing.everybody_told(&receiver).await;
    let rows = lapwing.rows().await;
    let found = bursts(&rows);
    assert_eq!(found.len(), 1, "{found:?}");
    for id in ["one", "two", "three"] {
        assert!(found[0]["event_ids"].as_array().is_some_and(|ids| ids.contains(&json!(id))), "{found:?}");
    }
    assert_eq!(lapwing.metric("lapwing_events_future_total{source=\"push\"}").await, 2.0, "said, not silent");
}

/// In the time of the events the present is long gone: a backfill, or a day that is played again.
#[tokio::test]
async fn nor_does_it_while_the_log_of_an_old_day_is_read() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let lapwing = started(&home, BURST, &receiver.sink()).await;
    let ahead = signin("ahead", "ana", Utc::now() + TimeDelta::days(36_500));
    let valid = |place: i64| signin(&format!("{place}"), "ana", minute(place));
    push(&lapwing, &[valid(0), valid(1), ahead, valid(2)]).await;
    let rows = lapwing.rows().await;
    assert_eq!(bursts(&rows).len(), 1, "{rows:?}");
}

#[tokio::test]
async fn an_event_that_arrives_an_hour_late_makes_no_false_alert() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let lapwing = started(&home, BURST, &receiver.sink()).await;
    push(
        &lapwing,
        &[
            signin("early", "ana", minute(0)),
            signin("one", "ana", minute(68)),
            signin("two", "ana", minute(69)),
            // By arrival it is the third within ten minutes.
            signin("late", "ana", minute(9)),
            // A burst after it, to know when all was counted.
            signin("b1", "bob", minute(70)),
            signin("b2", "bob", minute(71)),
            signin("b3", "bob", minute(72)),
        ],
    )
    .await;
    until("bob's burst", async || (!bursts(&lapwing.rows().await).is_empty()).then_some(())).await;
    let rows = lapwing.rows().await;
    let about: Vec<_> = bursts(&rows).iter().map(|row| row["key"]["userIdentity.userName"].clone()).collect();
    assert_eq!(about, ["bob"]);
    assert!(lapwing.metric("lapwing_events_late_total").await >= 1.0, "counted as late, not dropped in silence");
}

#[tokio::test]
async fn a_hundred_thousand_accepted_events_and_two_kills_lose_none_and_count_none_twice() {
    const USERS: usize = 100;
    const EACH: usize = 100;
    // Most events are of no interest to any rule, here as everywhere.
    const TOGETHER: usize = 1_000;
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let rules = BURST.replace("gte: 3", &format!("gte: {EACH}")).replace("10m", "1d");
    let mut lapwing = started(&home, &rules, &receiver.sink()).await;
    for round in 0..EACH {
        let time = minute(i64::try_from(round).expect("a round fits")).to_rfc3339_opts(SecondsFormat::Secs, true);
        let record = |user: usize| {
            let who = json!({"userName": format!("user-{user}")});
            let (id, name) = (format!("{round}-{user}"), if user < USERS { "ConsoleLogin" } else { "ListUsers" });
            format!("{}\n", json!({"eventID": id, "eventTime": time, "eventName": name, "userIdentity": who}))
        };
        let body: String = (0..TOGETHER).map(record).collect();
        assert_eq!(lapwing.push("push", body.clone()).await.status, 200);
        if round == EACH / 2 || round == EACH - 1 {
            lapwing.kill();
            lapwing = home.start().await;
            // Whoever is not sure sends it again.
            assert_eq!(lapwing.push("push", body).await.status, 200);
        }
    }
    // An event too few anywhere, and its user's alert is not there; one too many, and its count is another.
    let rows = lapwing.rows().await;
    let found = bursts(&rows);
    assert_eq!(found.len(), USERS, "of {} events some are missing", TOGETHER * EACH);
    assert!(found.iter().all(|row| row["count"] == EACH), "an event was counted twice");
}

#[tokio::test]
async fn an_alert_that_starts_and_ends_while_the_receiver_is_down_is_delivered_when_it_is_back() {
    let home = Home::new();
    let (address, sink): (SocketAddr, String) = {
        let away = Receiver::start().await;
        (away.address(), away.sink())
    };
    let lapwing = started(&home, BURST, &sink).await;
    let records: Vec<Value> = (0..3).map(|place| signin(&format!("{place}"), "ana", minute(place))).collect();
    push(&lapwing, &records).await;
    // Hours later, in the time of the events, it is long over.
    push(&lapwing, &[signin("after", "bob", minute(600))]).await;
    until("the alert", async || (!bursts(&lapwing.rows().await).is_empty()).then_some(())).await;
    // And the service, too, was away meanwhile.
    lapwing.kill();
    let lapwing = home.start().await;
    let receiver = Receiver::start_at(address).await;
    lapwing.everybody_told(&receiver).await;
    let rows = lapwing.rows().await;
    let id = bursts(&rows)[0]["id"].as_str().expect("an alert has an id").to_owned();
    assert!(receiver.alerts().contains_key(&id), "the burst was told");
}
