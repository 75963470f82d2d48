//! The API as the console and scripts use it: lists, single alerts, refusals, the live stream, and its safety.

mod harness;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use harness::{Heard, Home, Lapwing, Receiver, github, stopped, until};

const PUSH: &str = "sources:\n  push: {kind: auto, http: {}}\n";
const STOP_LOGGING: &str = "9df88d71-f0c0-4a40-ba02-5f4336510b15";

async fn started(more: &str) -> (Home, Lapwing) {
    let home = Home::new();
    home.configure(&format!("{PUSH}{more}"));
    let lapwing = home.start().await;
    (home, lapwing)
}

/// Feeds records and waits until each has raised its alert.
async fn feed(lapwing: &Lapwing, records: &[String]) {
    let before = lapwing.rows().await.len();
    assert_eq!(lapwing.push("push", records.join("\n")).await.status, 200);
    lapwing.has_alerts(before + records.len()).await;
}

/// A record at a given minute.
fn at(minute: usize, id: &str, user: &str) -> String {
    stopped(id, user).replace("09:14:03", &format!("09:{minute:02}:03"))
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["alerts"].as_array().expect("a page lists alerts");
    rows.iter().map(|row| row["event_ids"][0].as_str().expect("an alert names its events").to_owned()).collect()
}

/// One connection to the live stream.
struct Follower {
    answer: reqwest::Response,
    text: String,
}

impl Follower {
    async fn connect(lapwing: &Lapwing, resume: Option<&str>) -> Self {
        let mut request = lapwing.client().get(lapwing.url("/api/v1/alerts/stream"));
        if let Some(id) = resume {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.expect("the service answers");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// The next message: its id and its alert.
    async fn next(&mut self) -> (String, Value) {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(data) = field("data:") else { continue };
                assert_eq!(field("event:"), Some("alert"));
                let id = field("id:").expect("each message can be resumed from").to_owned();
                return (id, serde_json::from_str(data).expect("a message is JSON"));
            }
            let piece = self.answer.chunk().await.expect("the stream goes on").expect("the stream has not ended");
            self.text += &String::from_utf8_lossy(&piece);
        }
    }
}

#[tokio::test]
async fn a_list_is_paged_newest_first_without_gap_or_repeat() {
    let (_home, lapwing) = started("").await;
    // Many of one moment, so that a page ends among equals.
    let records: Vec<String> = (0..23).map(|number| at(number / 10, &format!("{number:02}"), "ana")).collect();
    feed(&lapwing, &records).await;
    let (mut seen, mut pages, mut path) = (Vec::new(), 0, "/api/v1/alerts?limit=5".to_owned());
    let mut times = Vec::new();
    loop {
        let page = lapwing.get(&path).await;
        pages += 1;
        seen.extend(ids(&page));
        times.extend(page["alerts"].as_array().unwrap().iter().map(|row| row["time"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/alerts?limit=5&after={next}");
    }
    assert_eq!((pages, seen.len()), (5, 23));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 23, "{seen:?}");
    assert!(times.is_sorted_by(|before, after| before >= after), "{times:?}");
    let whole = lapwing.get("/api/v1/alerts").await;
    assert_eq!((ids(&whole), &whole["next"]), (seen, &Value::Null));
    assert_eq!(lapwing.get("/api/v1/alerts?limit=23").await["next"], Value::Null, "no empty page at the end");
    assert_eq!(ids(&lapwing.get("/api/v1/alerts?limit=0").await).len(), 1, "at least one");
    assert_eq!(ids(&lapwing.get("/api/v1/alerts?limit=4000000000").await).len(), 23, "at most what is allowed");
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let (_home, lapwing) = started("").await;
    feed(&lapwing, &[stopped("by-ana", "ana"), stopped("by-ben", "ben"), github("by-hub")]).await;
    for (query, wanted) in [
        ("severity=high", &["by-ana", "by-ben"][..]),
        ("severity=low", &["by-hub"]),
        ("severity=high,low", &["by-ana", "by-ben", "by-hub"]),
        ("severity=critical", &[]),
        (&format!("rule={STOP_LOGGING}"), &["by-ana", "by-ben"]),
        (&format!("rule={STOP_LOGGING}&severity=low"), &[]),
        ("rule=nobody", &[]),
        ("q=user/ben", &["by-ben"]),
        ("q=USER/Ben", &["by-ben"]),
        ("q=logging%20ana", &["by-ana"]),
        ("q=nothing+of+the+kind", &[]),
        ("q=", &["by-ana", "by-ben", "by-hub"]),
        ("q=%25", &[]),
        ("q='%3B+DROP+TABLE+alerts%3B--", &[]),
    ] {
        let page = lapwing.get(&format!("/api/v1/alerts?{query}")).await;
        let found: BTreeSet<String> = ids(&page).into_iter().collect();
        assert_eq!(found, wanted.iter().map(|id| (*id).to_owned()).collect(), "{query}");
    }
    assert_eq!(lapwing.rows().await.len(), 3);
}

#[tokio::test]
async fn one_alert_comes_with_its_redacted_evidence_and_its_deliveries() {
    let receiver = Receiver::start().await;
    let (_home, lapwing) = started(&format!("sinks:\n  soc: {}", receiver.sink())).await;
    let secrets = ["ghp_0123456789abcdefghijklmnopqrstuvwxyz", "hunter2-and-more"];
    let more = format!("\"requestParameters\":{{\"note\":\"{}\",\"password\":\"{}\",", secrets[0], secrets[1]);
    feed(&lapwing, &[stopped("one", "ana").replace("\"requestParameters\":{", &more)]).await;
    lapwing.everybody_told(&receiver).await;
    let row = lapwing.rows().await.remove(0);
    let one = lapwing.get(&format!("/api/v1/alerts/{}", row["id"].as_str().unwrap())).await;
    for member in ["id", "title", "severity", "time", "why", "revision", "state", "received", "updated"] {
        assert_eq!(one[member], row[member], "{member}");
        assert!(!one[member].is_null(), "{member}");
    }
    let evidence = &one["evidence"];
    assert_eq!((evidence.as_array().map(Vec::len), &evidence[0]["uid"]), (Some(1), &json!("one")), "{one}");
    assert_eq!(evidence[0]["event"]["eventName"], "StopLogging");
    assert_eq!(evidence[0]["event"]["requestParameters"]["name"], "org-trail");
    let delivery = &one["deliveries"][0];
    assert_eq!(
        (&delivery["sink"], &delivery["state"], &delivery["attempts"]),
        (&json!("soc"), &json!("delivered"), &json!(1))
    );
    assert!(delivery["answer"].as_str().unwrap().starts_with("200"), "{delivery}");
    let told = receiver.messages().into_values().collect::<String>();
    for secret in secrets {
        assert!(!one.to_string().contains(secret), "{secret} is shown: {one}");
        assert!(!told.contains(secret), "{secret} is sent: {told}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_code_message_and_hint() {
    let (_home, mut lapwing) = started("").await;
    feed(&lapwing, &[stopped("a", "ana")]).await;
    for (path, status, code) in [
        ("/api/v1/alerts/nobody", 404, "not_found"),
        ("/api/v1/alerts/%00", 404, "not_found"),
        ("/api/v1/alerts/%ff", 400, "bad_parameter"),
        ("/api/v1/alerts/..%2f..%2fetc%2fpasswd", 404, "not_found"),
        ("/api/v1/nobody", 404, "not_found"),
        ("/api/v2/alerts", 404, "not_found"),
        ("/api/v1/alerts?limit=many", 400, "bad_parameter"),
        ("/api/v1/alerts?q=a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a", 400, "bad_parameter"),
        ("/api/v1/alerts?limit=-1", 400, "bad_parameter"),
        ("/api/v1/alerts?severity=terrible", 400, "bad_parameter"),
        ("/api/v1/alerts?severity=", 400, "bad_parameter"),
        ("/api/v1/alerts?after=nonsense", 400, "bad_parameter"),
        ("/api/v1/alerts?after=x.y", 400, "bad_parameter"),
        ("/api/v1/alerts?colour=red", 400, "bad_parameter"),
        ("/api/v1/alerts?limit=1&limit=2", 400, "bad_parameter"),
    ] {
        let heard = lapwing.hear(path).await;
        assert_eq!((heard.status, &heard.json()["code"]), (status, &json!(code)), "{path}: {heard:?}");
        for member in ["message", "hint"] {
            assert!(heard.json()[member].as_str().is_some_and(|text| text.len() > 5), "{path}: {member}: {heard:?}");
        }
    }
    for request in
        [lapwing.client().post(lapwing.url("/api/v1/alerts")), lapwing.client().delete(lapwing.url("/api/v1/status"))]
    {
        let heard = Heard::of(request).await;
        assert_eq!((heard.status, &heard.json()["code"]), (405, &json!("method_not_allowed")), "{heard:?}");
        assert!(heard.header("allow").contains("GET"), "{heard:?}");
    }
    lapwing.still_runs();
    assert_eq!(lapwing.complaints(), Vec::<String>::new(), "callers' mistakes are none of ours");
}

#[tokio::test]
async fn with_a_token_set_the_api_answers_only_those_who_show_it() {
    let (_home, lapwing) = started("token: a-token-of-some-length\n").await;
    let paths = ["/api/v1/alerts", "/api/v1/alerts/x", "/api/v1/alerts/stream", "/api/v1/status", "/api/v1/nobody"];
    for path in paths {
        for shown in
            [None, Some("Bearer wrong"), Some("a-token-of-some-length"), Some("Bearer a-token-of-some-length2")]
        {
            let mut request = lapwing.client().get(lapwing.url(path));
            if let Some(shown) = shown {
                request = request.header("authorization", shown);
            }
            let heard = Heard::of(request).await;
            assert_eq!((heard.status, &heard.json()["code"]), (401, &json!("unauthorised")), "{path} {shown:?}");
            assert_eq!(heard.header("www-authenticate"), "Bearer", "{path} {shown:?}");
        }
    }
    let right = |path: &str| {
        lapwing.client().get(lapwing.url(path)).header("authorization", "Bearer a-token-of-some-length").send()
    };
    for (path, status) in paths.into_iter().zip([200, 404, 200, 200, 404]) {
        assert_eq!(right(path).await.unwrap().status(), status, "{path}");
    }
    for path in ["/health", "/ready", "/"] {
        assert_eq!(lapwing.hear(path).await.status, 200, "{path} needs none");
    }
}

#[tokio::test]
async fn the_stream_tells_of_new_alerts_and_resumes_where_it_was_cut_off() {
    let (home, lapwing) = started("").await;
    feed(&lapwing, &[stopped("before", "ana")]).await;
    let mut follower = Follower::connect(&lapwing, None).await;
    feed(&lapwing, &[stopped("first", "ana")]).await;
    let (position, row) = follower.next().await;
    assert_eq!(row["event_ids"], json!(["first"]), "what was there before is not told again");
    let listed = lapwing.rows().await.into_iter().find(|listed| listed["id"] == row["id"]).unwrap();
    assert_eq!(row, listed, "the stream and the list say the same");
    drop(follower);

    let records: Vec<String> = (0..700).map(|number| stopped(&format!("{number:03}"), "ana")).collect();
    feed(&lapwing, &records).await;
    lapwing.kill();
    let lapwing = home.start().await;
    let mut follower = Follower::connect(&lapwing, Some(&position)).await;
    let (mut missed, mut last) = (BTreeSet::new(), position.parse::<u64>().unwrap());
    while missed.len() < 700 {
        let (id, row) = follower.next().await;
        let id: u64 = id.parse().unwrap();
        assert!(id > last, "positions grow");
        last = id;
        assert!(missed.insert(row["event_ids"][0].as_str().unwrap().to_owned()), "told twice: {row}");
    }
    assert!(!missed.contains("first"));
    feed(&lapwing, &[stopped("live", "ana")]).await;
    assert_eq!(follower.next().await.1["event_ids"], json!(["live"]), "and goes on live");

    let mut all = Follower::connect(&lapwing, Some("0")).await;
    assert_eq!(all.next().await.1["event_ids"], json!(["before"]), "from the very start");
    let mut odd = Follower::connect(&lapwing, Some("nonsense")).await;
    feed(&lapwing, &[stopped("later", "ana")]).await;
    assert_eq!(odd.next().await.1["event_ids"], json!(["later"]), "a position that is none means from now");
    assert_eq!(follower.next().await.1["event_ids"], json!(["later"]), "everybody is told");
}

#[tokio::test]
async fn a_follower_that_does_not_read_delays_nobody_and_misses_nothing() {
    let (_home, lapwing) = started("").await;
    let mut slow = Follower::connect(&lapwing, None).await;
    for part in 0..5 {
        let records: Vec<String> = (0..600).map(|number| stopped(&format!("{part}-{number}"), "ana")).collect();
        feed(&lapwing, &records).await;
    }
    let mut told = BTreeSet::new();
    while told.len() < 3_000 {
        assert!(told.insert(slow.next().await.1["event_ids"][0].to_string()));
    }
}

#[tokio::test]
async fn the_console_is_served_with_headers_that_keep_it_safe() {
    let (_home, lapwing) = started("").await;
    for (path, status) in
        [("/", 200), ("/index.html", 200), ("/nobody.js", 404), ("/../Cargo.toml", 404), ("/api/v1/status", 200)]
    {
        let heard = lapwing.hear(path).await;
        assert_eq!(heard.status, status, "{path}");
        assert_eq!(heard.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(heard.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(heard.header("referrer-policy"), "no-referrer", "{path}");
        let policy = heard.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    let page = lapwing.hear("/").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.body.to_lowercase().contains("<!doctype html>") && page.body.contains("Lapwing"), "{page:?}");
}

#[tokio::test]
async fn the_status_says_what_is_going_on() {
    let receiver = Receiver::start().await;
    let (_home, lapwing) = started(&format!("sinks:\n  soc: {}", receiver.sink())).await;
    feed(&lapwing, &[stopped("a", "ana"), github("b")]).await;
    assert_eq!(lapwing.push("push", "bad").await.status, 400);
    lapwing.everybody_told(&receiver).await;
    let status = until("the reject to be counted", async || {
        let status = lapwing.status().await;
        (status["sources"][0]["rejects"] == 1).then_some(status)
    })
    .await;
    let source = &status["sources"][0];
    assert_eq!((&source["name"], &source["kind"], &source["type"]), (&json!("push"), &json!("auto"), &json!("http")));
    assert_eq!((&source["events"], &source["state"]), (&json!(2), &json!("running")));
    let sink = json!({ "name": "soc", "type": "webhook", "queued": 0, "dead": 0, "state": "ok" });
    assert_eq!(status["sinks"], json!([sink]));
    assert_eq!(status["alerts"], json!({ "critical": 0, "high": 1, "medium": 0, "low": 1, "informational": 0 }));
    assert_eq!(status["dead_records"], 1);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn what_replay_kept_in_a_store_is_there_for_the_service() {
    let home = Home::new();
    let output = std::process::Command::new(Lapwing::binary())
        .args(["replay", "--kind", "aws.cloudtrail", "--store"])
        .arg(home.path("data"))
        .arg("samples/day/cloudtrail.jsonl.gz")
        .output()
        .unwrap();
    let printed: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string())
        .collect();
    home.configure(PUSH);
    let lapwing = home.start().await;
    let kept: BTreeSet<String> = lapwing.rows().await.iter().map(|row| row["id"].to_string()).collect();
    assert_eq!(kept, printed);
    assert!(kept.len() >= 10);
}
