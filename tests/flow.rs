//! What many senders at a time cost, and what they are told.

mod harness;

use harness::{Home, stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Senders at a time, one record each.
const SENDERS: usize = 64;

#[tokio::test]
async fn requests_of_many_senders_share_a_commit() {
    let home = Home::new();
    home.configure("sources:\n  push: {kind: aws.cloudtrail, http: {}}\n");
    let lapwing = home.start().await;
    let before = lapwing.metric("lapwing_commit_seconds_count").await;
    // While it stands still, what is sent waits in the system: then all of it is there at once.
    lapwing.signal("STOP");
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let record = stopped(&number.to_string(), "ana");
        let mut sender = TcpStream::connect(lapwing.address()).await.unwrap();
        let request = format!(
            "POST /v1/events/push HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{record}",
            record.len()
        );
        sender.write_all(request.as_bytes()).await.unwrap();
        senders.push(sender);
    }
    lapwing.signal("CONT");
    for mut sender in senders {
        let mut answer = String::new();
        sender.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    lapwing.has_read("push", SENDERS).await;
    let commits = lapwing.metric("lapwing_commit_seconds_count").await - before;
    assert!(commits >= 1.0 && commits <= SENDERS as f64 / 4.0, "{commits} commits for {SENDERS} requests");
}
