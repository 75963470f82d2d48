//! What somebody sees who watches: the stream, the lag of sources, the records that could not be read.

mod harness;

use std::collections::BTreeSet;

use harness::{Home, Lapwing, until};
use reqwest::{Client, Response};

const RECORD: &str = r#"{"eventVersion":"1.08","eventID":"e-1","eventTime":"2026-11-20T09:00:00Z","awsRegion":"eu-west-1",
    "eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","recipientAccountId":"111122223333"}"#;

/// A service with one source, `push`.
async fn started() -> (Home, Lapwing) {
    let home = Home::new();
    home.configure("sources: {push: {kind: aws.cloudtrail, http: {}}}");
    let lapwing = home.start().await;
    (home, lapwing)
}

async fn push(lapwing: &Lapwing, body: &str) -> u16 {
    let sent = Client::new().post(lapwing.url("/v1/events/push")).body(body.to_owned()).send().await;
    sent.expect("the service answers").status().as_u16()
}

async fn follow(client: &Client, lapwing: &Lapwing, last: &str) -> Response {
    let request = client.get(lapwing.url("/api/v1/alerts/stream")).header("last-event-id", last);
    request.send().await.expect("the service answers")
}

/// Reads on until `text` was sent.
async fn hears(stream: &mut Response, text: &str) {
    let mut heard = String::new();
    while !heard.contains(text) {
        let chunk = tokio::time::timeout(harness::PATIENCE, stream.chunk()).await.expect("it speaks in time");
        let chunk = chunk.expect("the stream can be read").expect("the stream goes on");
        heard += &String::from_utf8_lossy(&chunk);
    }
}

#[tokio::test]
async fn a_listener_from_before_a_new_data_folder_hears_what_is_new() {
    let (_home, lapwing) = started().await;
    let mut stream = follow(&Client::new(), &lapwing, "123456").await;
    hears(&mut stream, "listening").await;
    assert_eq!(push(&lapwing, &RECORD.replace('\n', "")).await, 200);
    hears(&mut stream, "event: alert").await;
    assert!(lapwing.terminate().await.success(), "an open stream does not hold up a stop");
}

#[tokio::test]
async fn one_listener_too_many_is_turned_away_until_another_leaves() {
    let (_home, lapwing) = started().await;
    let client = Client::new();
    let mut streams = Vec::new();
    for _ in 0..256 {
        let stream = follow(&client, &lapwing, "0").await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    let turned_away = follow(&client, &lapwing, "0").await;
    assert_eq!(turned_away.status(), 503);
    assert!(turned_away.text().await.expect("it has a body").contains("too_many_listeners"));
    drop(streams.pop());
    until("room for another listener", async || (follow(&client, &lapwing, "0").await.status() == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn the_lag_of_a_silent_source_grows_wherever_it_is_read() {
    let (_home, lapwing) = started().await;
    let status = async || lapwing.status().await["sources"][0]["lag_seconds"].as_f64();
    let scraped = async || {
        let answer = Client::new().get(lapwing.url("/metrics")).send().await.expect("the service answers");
        let text = answer.text().await.expect("an answer has a body");
        let line = text.lines().find_map(|line| line.strip_prefix("lapwing_source_lag_seconds{source=\"push\"} "))?;
        line.parse::<f64>().ok()
    };
    assert_eq!((status().await, scraped().await), (None, None), "nothing is known before the first event");
    assert_eq!(push(&lapwing, &RECORD.replace('\n', "")).await, 200);
    let lags = [status().await, scraped().await, status().await, scraped().await];
    assert!(lags.iter().all(Option::is_some) && lags.is_sorted(), "{lags:?}");
    assert_ne!(lags[0], lags[2]);
    assert_ne!(lags[1], lags[3]);
}

#[tokio::test]
async fn records_that_could_not_be_read_are_listed_with_their_reason() {
    let (_home, lapwing) = started().await;
    assert_eq!(push(&lapwing, "{\"eventName\": broken one}\n17\n{\"eventName\":\"X\"}\n").await, 400);
    let all = lapwing.get("/api/v1/dead-records").await;
    let records = all["dead_records"].as_array().expect("a list");
    let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap_or_default()).collect();
    assert_eq!(reasons, ["time", "shape", "syntax"], "newest first");
    assert_eq!((&records[2]["source"], &records[2]["head"]), (&"push".into(), &"{\"eventName\": broken one}".into()));
    assert!(records[2]["position"].as_str().is_some_and(|position| position.starts_with("push/")), "{all}");
    assert!(records.iter().all(|record| record["detail"].is_string() && record["at"].is_string()), "{all}");
    assert!(all["next"].is_null());

    let (mut paged, mut path) = (BTreeSet::new(), "/api/v1/dead-records?limit=1".to_owned());
    loop {
        let page = lapwing.get(&path).await;
        paged.extend(page["dead_records"].as_array().expect("a list").iter().map(ToString::to_string));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/dead-records?limit=1&after={next}");
    }
    assert_eq!(paged.len(), 3);
    let wrong = Client::new().get(lapwing.url("/api/v1/dead-records?limt=1")).send().await.expect("it answers");
    assert_eq!(wrong.status(), 400);
}
