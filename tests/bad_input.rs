//! Bad input: each piece gets a clear answer, is counted, stands among the dead records, and costs nothing else.

mod harness;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Body;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use harness::{Heard, Home, Lapwing, stopped, until};

/// Every reason for which a record is refused.
const REASONS: [&str; 7] = ["size", "encoding", "depth", "syntax", "shape", "time", "refused"];

/// Records that are none, and why.
fn bad_records() -> Vec<(Vec<u8>, &'static str)> {
    let record = stopped("bad", "eve");
    let with = |member: &str| record.replacen('{', &format!("{{{member},"), 1).into_bytes();
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        (b"not JSON".to_vec(), "syntax"),
        (b"{\"eventName\":\"StopLogging\"".to_vec(), "syntax"),
        (b"{} {}".to_vec(), "syntax"),
        (b"{\"eventName\":'StopLogging'}".to_vec(), "syntax"),
        (with("\"n\":NaN"), "syntax"),
        (with("\"n\":01"), "syntax"),
        (with("\"a\":\"\0\""), "encoding"),
        (b"\0".to_vec(), "encoding"),
        (b"\xff\xfe\x00{".to_vec(), "encoding"),
        ([b"{\"a\":\"".as_slice(), b"\xc3\x28", b"\"}"].concat(), "encoding"),
        (with(&format!("\"a\":{}", deep(10_000))), "depth"),
        (deep(10_000).into_bytes(), "depth"),
        ("{\"a\":".repeat(10_000).into_bytes(), "depth"),
        (with(&format!("\"a\":\"{}\"", "x".repeat(1 << 20))), "size"),
        (b"7".to_vec(), "shape"),
        (b"null".to_vec(), "shape"),
        (b"\"text\"".to_vec(), "shape"),
        (b"{\"a\":1}".to_vec(), "shape"),
        (record.replace("\"StopLogging\"", "[\"StopLogging\"]").into_bytes(), "shape"),
        (record.replace("2026-11-20T09:14:03Z", "yesterday").into_bytes(), "time"),
        (record.replace("\"2026-11-20T09:14:03Z\"", "{}").into_bytes(), "time"),
    ]
}

/// Records that are odd and yet good: each raises its alert.
fn odd_records() -> Vec<Vec<u8>> {
    let odd = [
        r#""n":123456789012345678901234567890"#,
        r#""n":-0.00000000000000000000000000000000000000001e-300"#,
        r#""eventName":"StopLogging""#,
        r#""half":"\ud800""#,
        r#""nul":"a\u0000b""#,
        r#""":{"":[]}"#,
        r#""a.b.c":1"#,
        r#""__proto__":{"x":1}"#,
        r#""many":[[],{},"",null,true,1e10]"#,
    ];
    let with = |(number, member): (usize, &str)| {
        stopped(&format!("odd-{number}"), "ana").replacen('{', &format!("{{{member},"), 1).into_bytes()
    };
    odd.into_iter().enumerate().map(with).collect()
}

/// The bad records, each between two good ones; and how many good ones.
fn mixed() -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let bad = bad_records();
    for (number, (record, _)) in bad.iter().enumerate() {
        text.extend(stopped(&format!("good-{number}"), "ana").into_bytes());
        text.push(b'\n');
        text.extend(record);
        text.push(b'\n');
    }
    for record in odd_records() {
        text.extend(record);
        text.push(b'\n');
    }
    (text, bad.len() + odd_records().len())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes bytes");
    encoder.finish().expect("memory takes bytes")
}

async fn rejects(lapwing: &Lapwing, source: &str, reason: &str) -> f64 {
    lapwing.metric(&format!("lapwing_rejects_total{{reason=\"{reason}\",source=\"{source}\"}}")).await
}

async fn answers(lapwing: &Lapwing, status: u16) -> f64 {
    let series = format!("lapwing_http_requests_total{{route=\"/v1/events/{{source}}\",status=\"{status}\"}}");
    lapwing.metric(&series).await
}

/// What is kept of bad records, and that the counters of a source say the same.
async fn dead(lapwing: &Lapwing, source: &str) -> u64 {
    let status = lapwing.status().await;
    let mut counted = 0.0;
    for reason in REASONS {
        counted += rejects(lapwing, source, reason).await;
    }
    let sources = status["sources"].as_array().expect("the status lists sources");
    let found = sources.iter().find(|found| found["name"] == source).expect("the source is listed");
    assert_eq!(found["rejects"].as_f64(), Some(counted), "status and metrics agree");
    status["dead_records"].as_u64().expect("the status counts dead records")
}

/// That a good event still raises its alert.
async fn still_works(lapwing: &mut Lapwing, source: &str, id: &str) {
    let before = lapwing.rows().await.len();
    let heard = lapwing.push(source, stopped(id, "ana")).await;
    assert_eq!((heard.status, heard.json()), (200, json!({ "accepted": 1, "rejected": 0 })));
    lapwing.has_alerts(before + 1).await;
    lapwing.still_runs();
}

async fn started(sources: &str) -> (Home, Lapwing) {
    let home = Home::new();
    home.configure(&format!("sources:\n{sources}"));
    let lapwing = home.start().await;
    (home, lapwing)
}

#[tokio::test]
async fn a_bad_record_in_a_pushed_body_is_named_by_its_line_and_costs_only_itself() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    for (number, (record, reason)) in bad_records().into_iter().enumerate() {
        let about = format!("record {number}, {reason}: {}", String::from_utf8_lossy(&record[..record.len().min(60)]));
        let before = rejects(&lapwing, "push", reason).await;
        let good = |part: &str| stopped(&format!("{number}-{part}"), "ana").into_bytes();
        let body = [good("first"), record, good("last")].join(&b'\n');
        let heard = lapwing.push("push", body).await;
        assert_eq!(heard.status, 400, "{about}: {heard:?}");
        let said = heard.json();
        assert_eq!((&said["code"], &said["accepted"], &said["rejected"]), (&json!("malformed"), &json!(2), &json!(1)));
        assert_eq!(said["lines"], json!([{ "line": 2, "reason": reason }]), "{about}");
        assert!(said["hint"].as_str().unwrap().contains("send only the refused ones again"), "{said}");
        until(&about, async || (rejects(&lapwing, "push", reason).await == before + 1.0).then_some(())).await;
        assert_eq!(dead(&lapwing, "push").await, number as u64 + 1, "{about}");
        lapwing.has_alerts(2 * number + 2).await;
        lapwing.still_runs();
    }
    assert_eq!(answers(&lapwing, 400).await, bad_records().len() as f64);
}

#[tokio::test]
async fn odd_records_are_good_ones() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    for (number, record) in odd_records().into_iter().enumerate() {
        let text = String::from_utf8_lossy(&record).into_owned();
        let heard = lapwing.push("push", record).await;
        assert_eq!(heard.status, 200, "{text}: {heard:?}");
        lapwing.has_alerts(number + 1).await;
        lapwing.still_runs();
    }
    // What is no number of any machine is either: refused with a reason, or an alert; never the end.
    let huge = stopped("huge", "ana").replacen('{', "{\"n\":1e999999,", 1);
    let heard = lapwing.push("push", huge).await;
    assert!(heard.status == 200 || heard.json()["lines"][0]["reason"] == "syntax", "{heard:?}");
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn an_array_with_a_bad_element_loses_only_that_element() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    let body = format!("[{}, {{\"a\":1}}, {}]", stopped("a", "ana"), stopped("b", "ana"));
    let heard = lapwing.push("push", body).await;
    assert_eq!((heard.status, &heard.json()["accepted"]), (400, &json!(2)), "{heard:?}");
    assert_eq!(heard.json()["lines"], json!([{ "line": 2, "reason": "shape" }]));
    lapwing.has_alerts(2).await;

    let body = format!("{{\"Records\":[{}, 7, {}]}}", stopped("c", "ana"), stopped("d", "ana"));
    let heard = lapwing.push("push", body).await;
    assert_eq!(heard.status, 400, "{heard:?}");
    lapwing.has_alerts(4).await;

    let body = format!("[{}, {}", stopped("e", "ana"), stopped("f", "ana"));
    let heard = lapwing.push("push", body).await;
    assert_eq!(heard.status, 400, "an array that is cut off is not accepted in silence: {heard:?}");
    lapwing.has_alerts(6).await;
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn an_empty_body_is_nothing() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    for body in ["", "\n\n", "[]", "  "] {
        let heard = lapwing.push("push", body).await;
        assert_eq!((heard.status, heard.json()), (200, json!({ "accepted": 0, "rejected": 0 })), "{body:?}");
    }
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_whatever_its_sender_says_about_it() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    let line = stopped("long", "eve").replacen('{', &format!("{{\"a\":\"{}\",", "x".repeat(20 << 20)), 1);
    let chunked = "POST /v1/events/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let chunked = format!("{chunked}{:x}\r\n{line}\r\n0\r\n\r\n", line.len());
    let to = lapwing.url("/v1/events/push");
    let request =
        |encoding: &'static str, body: Body| lapwing.client().post(&to).header("content-encoding", encoding).body(body);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20, "a small body that unpacks to a huge one");
    for (what, heard) in [
        ("stated", Heard::of(request("identity", Body::from(line))).await),
        ("packed", Heard::of(request("gzip", Body::from(bomb))).await),
    ] {
        assert_eq!((heard.status, &heard.json()["code"]), (413, &json!("too_large")), "{what}: {heard:?}");
    }
    let heard = raw(&lapwing, chunked.as_bytes(), false).await;
    assert!(heard.starts_with("HTTP/1.1 413 "), "not stated: {heard}");
    assert_eq!(answers(&lapwing, 413).await, 3.0);
    assert_eq!(lapwing.rows().await, Vec::<Value>::new());
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn a_request_that_may_not_or_cannot_be_read_is_told_why_and_counted() {
    let sources = "  push: {kind: aws.cloudtrail, http: {}}\n";
    let (_home, mut lapwing) = started(sources).await;
    let post = |path: &str| lapwing.client().post(lapwing.url(path));
    let packed = gzip(stopped("a", "eve").as_bytes());
    let cut = packed[..packed.len() / 2].to_vec();
    let push = "/v1/events/push";
    for (request, status, code, header) in [
        (post("/v1/events/nobody").body("{}"), 404, "not_found", ("allow", "")),
        (
            post(push).header("content-encoding", "br").body("{}"),
            415,
            "unknown_encoding",
            ("accept-encoding", "gzip, zstd"),
        ),
        (post(push).header("content-encoding", "gzip, gzip").body("{}"), 415, "unknown_encoding", ("allow", "")),
        (post(push).header("content-encoding", "gzip").body(cut), 400, "malformed", ("allow", "")),
        (post(push).header("content-encoding", "gzip").body("plain"), 400, "malformed", ("allow", "")),
        (post(push).header("content-encoding", "zstd").body(packed), 400, "malformed", ("allow", "")),
        (post(push).header("idempotency-key", "with space").body("{}"), 400, "malformed", ("allow", "")),
        (lapwing.client().get(lapwing.url(push)), 405, "method_not_allowed", ("allow", "POST")),
        (lapwing.client().delete(lapwing.url(push)), 405, "method_not_allowed", ("allow", "POST")),
    ] {
        let before = answers(&lapwing, status).await;
        let heard = Heard::of(request).await;
        assert_eq!((heard.status, &heard.json()["code"]), (status, &json!(code)), "{heard:?}");
        for member in ["message", "hint"] {
            assert!(heard.json()[member].as_str().is_some_and(|text| text.len() > 10), "{member}: {heard:?}");
        }
        assert_eq!(heard.header(header.0), header.1, "{heard:?}");
        assert_eq!(answers(&lapwing, status).await, before + 1.0, "{heard:?}");
    }
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn without_the_right_token_nothing_is_taken_and_no_name_is_told() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {token: right-token}}\n").await;
    let to = |name: &str| lapwing.client().post(lapwing.url(&format!("/v1/events/{name}"))).body(stopped("a", "eve"));
    for (what, request) in [
        ("none", to("push")),
        ("wrong", to("push").header("authorization", "Bearer wrong-token")),
        ("another scheme", to("push").header("authorization", "Basic right-token")),
        ("empty", to("push").header("authorization", "Bearer ")),
        ("too short", to("push").header("authorization", "B")),
        ("no text", to("push").header("authorization", b"Bearer \xff\xfe".as_slice())),
        ("unknown source", to("nobody").header("authorization", "Bearer right-token")),
        ("token in the query", to("push?token=right-token")),
    ] {
        let heard = Heard::of(request).await;
        assert_eq!((heard.status, &heard.json()["code"]), (401, &json!("unauthorised")), "{what}: {heard:?}");
        assert_eq!(heard.header("www-authenticate"), "Bearer realm=\"lapwing\"", "{what}");
    }
    assert_eq!(answers(&lapwing, 401).await, 8.0);
    assert_eq!(lapwing.rows().await, Vec::<Value>::new());
    let heard = Heard::of(to("push").header("authorization", "Bearer right-token")).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    lapwing.has_alerts(1).await;
    lapwing.still_runs();
}

/// Writes raw bytes, then closes its half or not, and reads what comes.
async fn raw(lapwing: &Lapwing, bytes: &[u8], close: bool) -> String {
    let mut stream = TcpStream::connect(lapwing.address()).await.expect("it listens");
    stream.write_all(bytes).await.expect("it reads");
    if close {
        stream.shutdown().await.expect("one half can be closed");
    }
    let mut heard = Vec::new();
    // A reset after a refusal is an answer too.
    drop(stream.read_to_end(&mut heard).await);
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_length_that_lies_harms_nobody_else() {
    let (_home, mut lapwing) = started("  push: {kind: aws.cloudtrail, http: {}}\n").await;
    let head = |length: &str| format!("POST /v1/events/push HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let good = stopped("a", "eve");
    for (what, bytes, status) in [
        ("more than comes", format!("{}{good}", head("5000")), ""),
        ("less than comes", format!("{}{good}", head("10")), "HTTP/1.1 400"),
        ("no number", format!("{}{good}", head("many")), "HTTP/1.1 400"),
        ("negative", format!("{}{good}", head("-1")), "HTTP/1.1 400"),
        ("beyond any number", format!("{}{good}", head("99999999999999999999999")), "HTTP/1.1 400"),
        ("huge", format!("{}{good}", head("9999999999")), "HTTP/1.1 413"),
        ("two", head("10").replace("\r\n\r\n", "\r\nContent-Length: 20\r\n\r\n") + &good, "HTTP/1.1 400"),
        ("no HTTP at all", "\x16\x03\x01\0\0nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400"),
    ] {
        let heard = raw(&lapwing, bytes.as_bytes(), true).await;
        assert!(heard.starts_with(status), "{what}: {heard}");
        lapwing.still_runs();
    }
    assert_eq!(lapwing.rows().await, Vec::<Value>::new());
    still_works(&mut lapwing, "push", "after").await;
}

#[tokio::test]
async fn bad_lines_of_a_file_are_kept_as_dead_records_and_the_good_ones_around_them_raise_alerts() {
    let home = Home::new();
    let (text, good) = mixed();
    let long = stopped("long", "eve").replacen('{', &format!("{{\"a\":\"{}\",", "x".repeat(20 << 20)), 1);
    let text = [text, long.into_bytes(), stopped("last", "ana").into_bytes(), Vec::new()].join(&b'\n');
    std::fs::write(home.path("plain.jsonl"), &text).unwrap();
    std::fs::write(home.path("packed.jsonl.gz"), gzip(&text)).unwrap();
    for name in ["plain.jsonl", "packed.jsonl.gz"] {
        let path = home.path(name);
        let data = home.path(&format!("data-{name}"));
        let text = format!(
            "data: {:?}\nlisten: 127.0.0.1:0\nsources:\n  trail: {{kind: aws.cloudtrail, file: {{path: {path:?}}}}}\n",
            data
        );
        std::fs::write(home.path("lapwing.yaml"), text).unwrap();
        let mut lapwing = home.start().await;
        lapwing.has_alerts(good + 1).await;
        let kept = bad_records().len() as u64 + 1;
        until(name, async || (dead(&lapwing, "trail").await == kept).then_some(())).await;
        for reason in REASONS {
            let wanted = bad_records().iter().filter(|(_, why)| *why == reason).count() + usize::from(reason == "size");
            assert_eq!(rejects(&lapwing, "trail", reason).await, wanted as f64, "{name}: {reason}");
        }
        assert_eq!(lapwing.rows().await.len(), good + 1, "{name}");
        lapwing.still_runs();
    }
}

#[tokio::test]
async fn a_packed_file_that_is_cut_off_or_no_gzip_inside_does_not_stop_the_other_files() {
    let home = Home::new();
    let records: Vec<String> = (0..200).map(|number| stopped(&format!("cut-{number}"), "ana")).collect();
    let packed = gzip((records.join("\n") + "\n").as_bytes());
    std::fs::write(home.path("cut.gz"), &packed[..packed.len() - 20]).unwrap();
    let garbage: Vec<u8> = [&packed[..10], &[0xff; 400]].concat();
    std::fs::write(home.path("garbage.gz"), garbage).unwrap();
    std::fs::write(home.path("good.gz"), gzip(stopped("good", "ana").as_bytes())).unwrap();
    let source = |name: &str| {
        format!(
            "  {name}: {{kind: aws.cloudtrail, file: {{path: {:?}, follow: false}}}}\n",
            home.path(&format!("{name}.gz"))
        )
    };
    home.configure(&format!("sources:\n{}{}{}", source("cut"), source("garbage"), source("good")));
    let mut lapwing = home.start().await;
    lapwing.has_read("good", 1).await;
    until("the unreadable bytes among the dead records", async || {
        let (garbage, cut) =
            (rejects(&lapwing, "garbage", "encoding").await, rejects(&lapwing, "cut", "encoding").await);
        (garbage + cut >= 2.0).then_some(())
    })
    .await;
    lapwing.has_alerts(2).await;
    lapwing.still_runs();
}

#[tokio::test]
async fn a_broken_rule_or_an_unknown_key_stops_the_start_with_its_place() {
    let home = Home::new();
    home.configure("sources:\n  push: {kind: auto, htpt: {}}");
    let said = home.refusal();
    assert!(said.contains("lapwing.yaml:4:22: sources.push: unknown field `htpt`, expected one of"), "{said}");

    std::fs::create_dir(home.path("rules")).unwrap();
    let rule =
        "title: x\nlogsource: {product: aws}\ndetection:\n  selection: {a|nonsense: b}\n  condition: selection\n";
    std::fs::write(home.path("rules/mine.yml"), rule).unwrap();
    home.configure(&format!("rules: [{:?}]", home.path("rules")));
    let said = home.refusal();
    assert!(said.contains("mine.yml:4:15: modifier `nonsense` is not known"), "{said}");
    assert!(said.contains("1 rules are broken"), "{said}");
}
