//! A real server on a free port and a real client.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::testing::{gzip, serve};
use super::*;
use crate::source::contract::{numbered, yields_all_in_order};

/// A server with one source, whose records are committed as they come.
struct Served {
    client: Client,
    url: String,
    statuses: Arc<Mutex<Vec<u16>>>,
    positions: Arc<Mutex<Vec<String>>>,
}

const TOKEN: &str = "a token of the test";

impl Served {
    /// A record that contains `bad` is refused as the pipeline would refuse it.
    async fn committing(limits: Limits) -> Self {
        let (mut source, served) = Self::held(limits).await;
        let positions = Arc::clone(&served.positions);
        tokio::spawn(async move {
            while let Ok(Next::Batch(batch)) = source.next().await {
                let receipt = batch.receipt.expect("a pushed batch has a receipt");
                for (index, record) in batch.records.iter().enumerate() {
                    positions.lock().unwrap().push(record.position.clone());
                    if matches!(&record.body, Body::Whole(text) if text.windows(3).any(|part| part == b"bad")) {
                        receipt.reject(index, "syntax");
                    }
                }
                source.commit(batch.mark).await.unwrap();
            }
        });
        served
    }

    /// Nothing is read until the test does.
    async fn held(limits: Limits) -> (Http, Self) {
        let settings = Settings { token: Some(Secret::from_text(TOKEN.to_owned())) };
        let (source, inlet) = http("ci", &settings, "run").unwrap();
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&statuses);
        let router = router(Inlets::of([inlet]), limits, move |_, status| heard.lock().unwrap().push(status));
        let address = serve(router).await;
        let url = format!("http://{address}/v1/events/ci");
        (source, Self { client: Client::new(), url, statuses, positions: Arc::default() })
    }

    fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(&self.url).bearer_auth(TOKEN).body(body)
    }

    async fn answer(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        read(self.post(body).send().await.unwrap()).await
    }
}

async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_http_source_keeps_the_contract() {
    let (mut source, inlet) = http("ci", &Settings::default(), "run").unwrap();
    let records = numbered(3_000);
    let mut verdicts = Vec::new();
    for body in records.chunks(700) {
        let (reply, verdict) = oneshot::channel();
        let records = Records::Cut(Cuts::new(body.join("\n").into(), 1_000));
        let permit = Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
        inlet.pushes.try_send(Push { records, key: None, reply, permit }).unwrap();
        verdicts.push((body.len() as u64, verdict));
    }
    drop(inlet);
    yields_all_in_order(&mut source, &records).await;
    assert!(matches!(source.next().await, Ok(Next::Exhausted)));
    for (length, verdict) in verdicts {
        assert_eq!(verdict.await.unwrap(), Verdict { accepted: length, ..Verdict::default() });
    }
}

#[tokio::test]
async fn every_shape_of_body_is_accepted() {
    let served = Served::committing(Limits::default()).await;
    for (body, accepted) in [
        ("{\"a\":1}\n{\"a\":2}\n", 2),
        ("[{\"a\":1},{\"a\":2},{\"a\":3}]", 3),
        ("{\n\"a\": 1\n}", 1),
        ("{\"Records\":[1,2]}", 2),
        ("", 0),
    ] {
        assert_eq!(served.answer(body).await, (200, json!({"accepted": accepted, "rejected": 0})), "{body}");
        let packed = served.post(gzip(body.as_bytes())).header("content-encoding", "gzip").send().await.unwrap();
        assert_eq!(read(packed).await, (200, json!({"accepted": accepted, "rejected": 0})), "{body} by gzip");
        let unsaid = served.post(gzip(body.as_bytes())).send().await.unwrap();
        assert_eq!(read(unsaid).await, (200, json!({"accepted": accepted, "rejected": 0})), "{body} by unsaid gzip");
    }
    let zstd = zstd::encode_all(&b"[1,2]"[..], 1).unwrap();
    let packed = served.post(zstd).header("content-encoding", "zstd").send().await.unwrap();
    assert_eq!(packed.status(), 200);
    assert!(served.statuses.lock().unwrap().iter().all(|status| *status == 200));
}

#[tokio::test]
async fn refused_lines_are_named_and_the_others_are_accepted() {
    let limits = Limits { record_bytes_max: 20, ..Limits::default() };
    let served = Served::committing(limits).await;
    let (status, answer) = served.answer("{\"a\":1}\n{bad\n\n{\"long\":\"xxxxxxxxxxxxxx\"}\n{\"b\":2}").await;
    assert_eq!(status, 400);
    assert_eq!(answer["message"], "line 2: syntax; 1 more lines refused");
    assert_eq!(
        (&answer["code"], &answer["accepted"], &answer["rejected"]),
        (&json!("malformed"), &json!(2), &json!(2))
    );
    assert_eq!(answer["lines"], json!([{"line": 2, "reason": "syntax"}, {"line": 4, "reason": "size"}]));
    assert!(answer["hint"].as_str().unwrap().contains("durable"));

    let (_, many) = served.answer("bad\n".repeat(2_000)).await;
    assert_eq!((many["rejected"].as_u64(), many["lines"].as_array().map(Vec::len)), (Some(2_000), Some(20)));
}

#[tokio::test]
async fn the_answer_comes_only_after_the_commit() {
    let (mut source, served) = Served::held(Limits::default()).await;
    let answer = tokio::spawn(served.post("{\"a\":1}").send());
    let Ok(Next::Batch(batch)) = source.next().await else { panic!("one record was posted") };
    // The server had every chance to answer: it has served another request since.
    assert_eq!(served.client.post(&served.url).send().await.unwrap().status(), 401);
    assert!(!answer.is_finished(), "answered before the commit");
    source.commit(batch.mark).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn who_may_not_push_is_told_the_same_whether_the_source_exists_or_not() {
    let served = Served::committing(Limits::default()).await;
    let unknown = served.url.replace("/ci", "/none");
    let mut answers = Vec::new();
    for (url, token) in [(&served.url, Some("wrong")), (&served.url, None), (&unknown, Some(TOKEN)), (&unknown, None)] {
        let mut request = served.client.post(url).body("x".repeat(1 << 20));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"));
        answers.push(read(response).await);
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for url in [&served.url, &unknown] {
        assert_eq!(read(served.client.get(url).send().await.unwrap()).await.0, 405, "{url}");
    }

    let (_source, open) = http("open", &Settings::default(), "run").unwrap();
    let address = serve(router(Inlets::of([open]), Limits::default(), |_, _| {})).await;
    let response = Client::new().post(format!("http://{address}/v1/events/none")).send().await.unwrap();
    assert_eq!(read(response).await.0, 404);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_push_where_no_token_is_asked_for() {
    let (mut source, open) = http("open", &Settings::default(), "run").unwrap();
    tokio::spawn(async move {
        while let Ok(Next::Batch(batch)) = source.next().await {
            source.commit(batch.mark).await.unwrap();
        }
    });
    let address = serve(router(Inlets::of([open]), Limits::default(), |_, _| {})).await;
    let own = format!("http://{address}");
    for (origin, status) in [(None, 200), (Some(own.as_str()), 200), (Some("https://evil.example"), 403)] {
        let mut request = Client::new().post(format!("http://{address}/v1/events/open")).body("{}");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let (answered, answer) = read(request.send().await.unwrap()).await;
        assert_eq!(answered, status, "{origin:?}: {answer}");
    }

    let guarded = Served::committing(Limits::default()).await;
    let sent = guarded.post("{}").header("origin", "https://tools.example").send().await.unwrap();
    assert_eq!(sent.status(), 200, "whoever knows the token may come from anywhere");
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_however_it_comes() {
    let limits = Limits { body_bytes_max: 100_000, ..Limits::default() };
    let served = Served::committing(limits).await;
    let large = "x".repeat(150_000);
    assert_eq!(served.answer(large.clone()).await.0, 413, "by its length");
    assert_eq!(served.answer(vec![b'x'; 20 << 20]).await.0, 413, "a line of 20 MB, by its length");

    let bomb = served.post(gzip(&vec![b'x'; 50_000_000])).header("content-encoding", "gzip").send().await.unwrap();
    assert_eq!(bomb.status(), 413, "by what it unpacks to");

    let address = served.url.split('/').nth(2).unwrap();
    assert!(chunked(address, &large).await.starts_with("HTTP/1.1 413"), "by its bytes, without a length");
}

/// The answer to a body sent in chunks.
async fn chunked(address: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/events/ci HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.as_bytes().chunks(10_000) {
        connection.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        connection.write_all(chunk).await.unwrap();
        connection.write_all(b"\r\n").await.unwrap();
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_refused_as_a_whole() {
    let served = Served::committing(Limits::default()).await;
    for (header, value, status) in [
        ("content-encoding", "br", 415),
        ("content-encoding", "gzip, gzip", 415),
        ("content-encoding", "gzip", 400),
        ("content-encoding", "zstd", 400),
        ("idempotency-key", "two words", 400),
    ] {
        let (answered, answer) = read(served.post("{}").header(header, value).send().await.unwrap()).await;
        assert_eq!(answered, status, "{header}: {value}: {answer}");
    }
    let response = served.client.get(&served.url).send().await.unwrap();
    assert_eq!(read(response).await.0, 405);
}

#[tokio::test]
async fn a_repeat_with_a_key_has_the_same_positions_and_one_without_has_new_ones() {
    let served = Served::committing(Limits::default()).await;
    for _ in 0..2 {
        let sent = served.post("1\n\n2").header("idempotency-key", "delivery-7").send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }
    for _ in 0..2 {
        assert_eq!(served.answer("1").await.0, 200);
    }
    let positions = served.positions.lock().unwrap().clone();
    assert_eq!(positions[..4], ["delivery-7#1", "delivery-7#3", "delivery-7#1", "delivery-7#3"]);
    assert_ne!(positions[4], positions[5]);
}

#[tokio::test]
async fn a_sender_is_told_to_wait_when_too_much_waits() {
    let limits = Limits { waiting_bytes_max: 1_000, ..Limits::default() };
    let (mut source, served) = Served::held(limits).await;
    let first = tokio::spawn(served.post("x".repeat(900)).send());
    let Ok(Next::Batch(batch)) = source.next().await else { panic!("one record was posted") };
    let behind = served.post("x".repeat(900)).send().await.unwrap();
    assert_eq!((behind.status().as_u16(), &behind.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    source.commit(batch.mark).await.unwrap();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn what_an_impatient_sender_left_counts_until_it_is_committed() {
    let limits = Limits { waiting_bytes_max: 1_000, ack_timeout: Duration::from_millis(1), ..Limits::default() };
    let (mut source, served) = Served::held(limits).await;
    assert_eq!(served.answer("x".repeat(900)).await.0, 503, "the sender is gone, its records are not");
    assert_eq!(served.answer("x".repeat(900)).await.0, 429, "queued");
    let Ok(Next::Batch(batch)) = source.next().await else { panic!("one record was posted") };
    assert_eq!(served.answer("x".repeat(900)).await.0, 429, "read, but not committed");
    source.commit(batch.mark).await.unwrap();
    assert_eq!(served.answer("x".repeat(900)).await.0, 503, "there is room again");
}

#[tokio::test]
async fn a_full_channel_is_429_and_a_commit_that_does_not_come_is_503() {
    let limits = Limits { ack_timeout: Duration::from_millis(1), ..Limits::default() };
    let (_source, served) = Served::held(limits).await;
    for _ in 0..REQUESTS_WAITING_MAX {
        assert_eq!(served.answer("1").await.0, 503);
    }
    assert_eq!(served.answer("1").await.0, 429);
}

#[tokio::test]
async fn while_stopping_nothing_is_accepted() {
    let (mut source, served) = Served::held(Limits::default()).await;
    let waiting = tokio::spawn(served.post("1").send());
    let Ok(Next::Batch(_)) = source.next().await else { panic!("one record was posted") };
    drop(source);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 503, "taken, but not committed");
    let (status, answer) = served.answer("1").await;
    assert_eq!((status, &answer["code"]), (503, &json!("stopping")));
}

#[test]
fn an_empty_token_is_no_token_but_a_mistake() {
    let empty: Settings = serde_json::from_str(r#"{"token":""}"#).unwrap();
    assert!(matches!(http("ci", &empty, "run"), Err(SecretError::Empty)));
    assert!(serde_json::from_str::<Settings>(r#"{"tokens":"x"}"#).is_err());
    let settings: Settings = serde_json::from_str(r#"{"token":"secret-value"}"#).unwrap();
    assert!(!format!("{settings:?}").contains("secret-value"));
}
