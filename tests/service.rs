//! The service as its operator meets it: starts, stops, reloads, refusals, and who is told what.

mod harness;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use harness::{Heard, Home, Lapwing, Receiver, Say, github, loudly, stopped, until};

const PUSH: &str = "sources:\n  push: {kind: auto, http: {}}\n";

/// A rule for one kind of call, as a user would add it.
fn rule(call: &str, number: u32) -> String {
    format!(
        "title: {call} was called\nid: 4c5f0f3e-6a3f-4b4e-9d0a-0a64d2f6{number:04x}\n\
         logsource: {{product: aws, service: cloudtrail}}\n\
         detection:\n  selection: {{eventName: {call}}}\n  condition: selection\nlevel: medium\n"
    )
}

fn called(id: &str, call: &str) -> String {
    stopped(id, "ana").replace("StopLogging", call)
}

async fn reloads(lapwing: &Lapwing, outcome: &str) -> f64 {
    lapwing.metric(&format!("lapwing_rules_reloads_total{{outcome=\"{outcome}\"}}")).await
}

/// Users and event numbers of what a receiver took, in order, each message once.
fn taken(receiver: &Receiver) -> Vec<(String, String)> {
    let mut taken = Vec::new();
    for arrival in receiver.arrivals().iter().filter(|arrival| arrival.taken) {
        let body: Value = serde_json::from_str(&arrival.body).expect("a body is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message = (text(&body["data"]["actor"]["name"]), text(&body["data"]["event_ids"][0]));
        if !taken.contains(&message) {
            taken.push(message);
        }
    }
    taken
}

#[tokio::test]
async fn sigterm_answers_what_is_in_flight_and_ends_with_success() {
    let home = Home::new();
    home.configure(PUSH);
    let lapwing = home.start().await;
    let mut pushes = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (client, url) = (lapwing.client().clone(), lapwing.url("/v1/events/push"));
        pushes.spawn(async move {
            let answer = client.post(url).body(stopped(&number.to_string(), "ana")).send().await;
            (number, answer.ok().map(|answer| answer.status().as_u16()))
        });
    }
    lapwing.has_alerts(1).await;
    let status = lapwing.terminate().await;
    assert!(status.success(), "{status}");
    let mut accepted = Vec::new();
    while let Some(answered) = pushes.join_next().await {
        match answered.expect("a push does not panic") {
            (number, Some(200)) => accepted.push(number.to_string()),
            // Turned away in order, or the connection came after the end.
            (_, Some(503) | None) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!accepted.is_empty());
    let lapwing = home.start().await;
    let rows = lapwing.rows().await;
    let kept: Vec<&str> = rows.iter().filter_map(|row| row["event_ids"][0].as_str()).collect();
    let lost: Vec<&String> = accepted.iter().filter(|id| !kept.contains(&id.as_str())).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(!lapwing.log_has("not clean"), "an orderly stop needs no check");
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_hold_up_a_stop() {
    let home = Home::new();
    home.configure(PUSH);
    let lapwing = home.start().await;
    let idle = TcpStream::connect(lapwing.address()).await.unwrap();
    let mut half = TcpStream::connect(lapwing.address()).await.unwrap();
    half.write_all(b"GET /api/v1/alerts HTTP/1.1\r\nHos").await.unwrap();
    let mut kept = TcpStream::connect(lapwing.address()).await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(kept.read_u8().await.unwrap(), b'H');
    let follower = lapwing.client().get(lapwing.url("/api/v1/alerts/stream")).send().await.unwrap();
    let start = Instant::now();
    let status = lapwing.terminate().await;
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    drop((idle, half, kept, follower));
}

#[tokio::test]
async fn a_restart_continues_and_the_same_request_again_raises_nothing_new() {
    let home = Home::new();
    let receiver = Receiver::start().await;
    home.configure(&format!("{PUSH}sinks:\n  soc: {}", receiver.sink()));
    let with_id = stopped("one", "ana");
    let without = stopped("", "ben");
    let keyed = |lapwing: &Lapwing| {
        let post = lapwing.client().post(lapwing.url("/v1/events/push")).header("idempotency-key", "delivery-1");
        post.body(without.clone())
    };
    let lapwing = home.start().await;
    for _ in 0..2 {
        assert_eq!(lapwing.push("push", with_id.clone()).await.status, 200);
        assert_eq!(Heard::of(keyed(&lapwing)).await.status, 200);
    }
    lapwing.everybody_told(&receiver).await;
    let before = lapwing.rows().await;
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(lapwing.terminate().await.success());
    for stop in ["orderly", "kill"] {
        let lapwing = home.start().await;
        assert_eq!(lapwing.rows().await, before, "{stop}");
        assert_eq!(lapwing.push("push", with_id.clone()).await.status, 200);
        assert_eq!(Heard::of(keyed(&lapwing)).await.status, 200);
        lapwing.has_read("push", 2).await;
        assert_eq!(lapwing.rows().await, before, "{stop}");
        assert_eq!(lapwing.metric("lapwing_events_duplicate_total{source=\"push\"}").await, 2.0, "{stop}");
        lapwing.kill();
    }
    assert_eq!(receiver.arrivals().len(), 2, "nobody is told twice");
}

#[tokio::test]
async fn what_two_sources_are_sent_is_never_one_event() {
    let home = Home::new();
    home.configure("sources:\n  one: {kind: aws.cloudtrail, http: {}}\n  two: {kind: aws.cloudtrail, http: {}}\n");
    let lapwing = home.start().await;
    let record = stopped("", "ana");
    for source in ["one", "two"] {
        assert_eq!(lapwing.push(source, record.clone()).await.status, 200);
    }
    lapwing.has_alerts(2).await;
    for source in ["one", "two"] {
        let post = lapwing.client().post(lapwing.url(&format!("/v1/events/{source}")));
        let heard = Heard::of(post.header("idempotency-key", "batch-1").body(record.clone())).await;
        assert_eq!(heard.status, 200);
    }
    lapwing.has_alerts(4).await;
}

#[tokio::test]
async fn changed_rules_are_taken_up_and_broken_ones_refused_while_it_runs() {
    let home = Home::new();
    let rules = home.path("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("one.yml"), rule("DeleteRole", 1)).unwrap();
    home.configure(&format!("rules: [{rules:?}]\n{PUSH}"));
    let mut lapwing = home.start().await;
    let loaded = lapwing.metric("lapwing_rules").await;

    std::fs::write(rules.join("two.yml"), rule("DeleteGroup", 2)).unwrap();
    until("the new file to be taken up", async || (reloads(&lapwing, "ok").await >= 1.0).then_some(())).await;
    assert_eq!(lapwing.metric("lapwing_rules").await, loaded + 1.0);
    assert_eq!(lapwing.status().await["rules"].as_f64(), Some(loaded + 1.0));
    assert_eq!(lapwing.push("push", called("a", "DeleteGroup")).await.status, 200);
    lapwing.has_alerts(1).await;

    std::fs::write(rules.join("two.yml"), rule("DeleteGroup", 2).replace("eventName", "eventName|nonsense")).unwrap();
    until("the broken file to be refused", async || (reloads(&lapwing, "refused").await >= 1.0).then_some(())).await;
    assert!(lapwing.log_has("two.yml:5:15: modifier `nonsense` is not known"));
    assert!(lapwing.log_has("the old ones stay"));
    assert_eq!(lapwing.push("push", called("b", "DeleteGroup")).await.status, 200);
    assert_eq!(lapwing.push("push", called("c", "DeleteRole")).await.status, 200);
    lapwing.has_alerts(3).await;
    assert_eq!(lapwing.metric("lapwing_rules").await, loaded + 1.0);

    let (ok, refused) = (reloads(&lapwing, "ok").await, reloads(&lapwing, "refused").await);
    lapwing.signal("HUP");
    until("SIGHUP to be heard", async || (reloads(&lapwing, "refused").await > refused).then_some(())).await;
    std::fs::remove_file(rules.join("two.yml")).unwrap();
    until("the removal to be taken up", async || (reloads(&lapwing, "ok").await > ok).then_some(())).await;
    assert_eq!(lapwing.metric("lapwing_rules").await, loaded);
    let ok = reloads(&lapwing, "ok").await;
    lapwing.signal("HUP");
    until("SIGHUP to be heard", async || (reloads(&lapwing, "ok").await > ok).then_some(())).await;
    lapwing.still_runs();
}

#[tokio::test]
async fn a_changed_mapping_is_taken_up_and_a_broken_one_refused_while_it_runs() {
    let home = Home::new();
    let (rules, mapping) = (home.path("mine.yml"), home.path("trail.yml"));
    std::fs::write(&rules, rule("DeleteRole", 1).replace("eventName", "call")).unwrap();
    let fields = |names: &str| format!("kind: aws.cloudtrail\nfields:\n  eventName: [{names}]\n");
    std::fs::write(&mapping, fields("verb")).unwrap();
    home.configure(&format!("rules: [{rules:?}]\nmappings: [{mapping:?}]\n{PUSH}"));
    let lapwing = home.start().await;
    assert_eq!(lapwing.push("push", called("a", "DeleteRole")).await.status, 200);

    std::fs::write(&mapping, fields("verb, verb")).unwrap();
    until("the broken file to be refused", async || (reloads(&lapwing, "refused").await >= 1.0).then_some(())).await;
    assert!(lapwing.log_has("trail.yml:3:21: `verb` stands in this list already"));
    assert!(lapwing.rows().await.is_empty());

    std::fs::write(&mapping, fields("verb, call")).unwrap();
    until("the new file to be taken up", async || (reloads(&lapwing, "ok").await >= 1.0).then_some(())).await;
    assert_eq!(lapwing.push("push", called("b", "DeleteRole")).await.status, 200);
    lapwing.has_alerts(1).await;
}

#[tokio::test]
async fn a_single_rule_file_is_followed_when_an_editor_puts_another_in_its_place() {
    let home = Home::new();
    let file = home.path("mine.yml");
    std::fs::write(&file, rule("DeleteRole", 1)).unwrap();
    home.configure(&format!("rules: [{file:?}]\n{PUSH}"));
    let lapwing = home.start().await;
    for (number, call) in (1..).zip(["DeleteGroup", "DeletePolicy", "DeleteUser"]) {
        std::fs::write(home.path("new.yml"), rule(call, 1)).unwrap();
        std::fs::rename(home.path("new.yml"), &file).unwrap();
        until(call, async || {
            let heard = lapwing.push("push", called(&format!("{call}-{}", reloads(&lapwing, "ok").await), call)).await;
            assert_eq!(heard.status, 200);
            lapwing.rows().await.iter().any(|row| row["title"] == format!("{call} was called")).then_some(number)
        })
        .await;
    }
}

#[tokio::test]
async fn it_listens_beyond_this_machine_only_with_a_token() {
    let home = Home::new();
    let configure = |more: &str| {
        let text = format!("data: {:?}\nlisten: 0.0.0.0:0\n{more}\n", home.path("data"));
        std::fs::write(home.path("lapwing.yaml"), text).unwrap();
    };
    configure("");
    let said = home.refusal();
    assert!(said.contains("listen: 0.0.0.0:0 can be reached from outside: set `token`"), "{said}");
    configure("token: \"\"");
    let said = home.refusal();
    assert!(said.contains("token: the secret is empty"), "{said}");
    configure("token: a-token-of-some-length");
    let lapwing = home.start().await;
    lapwing.kill();
    configure("listen_without_token: true");
    home.start().await.kill();
}

#[tokio::test]
async fn a_second_one_on_the_same_data_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    home.configure(PUSH);
    let lapwing = home.start().await;
    let said = home.refusal();
    assert!(said.contains("another Lapwing uses ") && said.contains("a data folder of its own"), "{said}");
    let replay = Command::new(Lapwing::binary())
        .args(["replay", "--kind", "aws.cloudtrail", "--store"])
        .arg(home.path("data"))
        .arg("samples/aws.cloudtrail.jsonl")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(replay.status.code(), Some(1));
    assert_eq!(lapwing.push("push", stopped("a", "ana")).await.status, 200);
    lapwing.has_alerts(1).await;
    lapwing.kill();
    home.start().await.kill();
}

#[track_caller]
fn refused(home: &Home, what: &str) {
    let said = home.refusal();
    for part in ["lapwing.db: ", "the store is damaged", "lapwing store restore --replace"] {
        assert!(said.contains(part), "{what}: {said}");
    }
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_its_name_and_what_to_do() {
    let home = Home::new();
    home.configure(PUSH);
    let database = home.path("data/lapwing.db");
    let lapwing = home.start().await;
    let records: Vec<String> = (0..300).map(|number| stopped(&number.to_string(), "ana")).collect();
    assert_eq!(lapwing.push("push", records.join("\n")).await.status, 200);
    lapwing.has_alerts(300).await;
    assert!(lapwing.terminate().await.success());
    // Pages that hold nothing may be damaged without harm: none is left.
    rusqlite::Connection::open(&database).unwrap().execute_batch("VACUUM").unwrap();
    let good = std::fs::read(&database).unwrap();
    let scribbled = |places: std::ops::Range<usize>| {
        let mut bytes = good.clone();
        bytes[places].fill(0xa5);
        bytes
    };
    let middle = good.len() / 2;
    for (what, bytes) in [
        ("no database at all", b"this is no database, whatever its name says".repeat(200)),
        ("its head scribbled over", scribbled(0..64)),
        ("cut in half", good[..middle].to_vec()),
        ("cut within a page", good[..middle + 100].to_vec()),
    ] {
        std::fs::write(&database, bytes).unwrap();
        refused(&home, what);
    }
    // What lies in the middle is looked at only after a stop that was not orderly.
    std::fs::write(&database, &good).unwrap();
    home.start().await.kill();
    std::fs::write(&database, scribbled(middle..middle + 20_000)).unwrap();
    refused(&home, "its middle scribbled over");
    std::fs::write(&database, &good).unwrap();
    let lapwing = home.start().await;
    assert_eq!(lapwing.rows().await.len(), 300, "the undamaged file is as good as before");
}

#[tokio::test]
async fn a_torn_write_after_a_kill_costs_nothing_that_was_accepted() {
    let home = Home::new();
    home.configure(PUSH);
    let lapwing = home.start().await;
    for number in 0..20 {
        assert_eq!(lapwing.push("push", stopped(&number.to_string(), "ana")).await.status, 200);
    }
    lapwing.kill();
    // What a crash in the middle of a write leaves: an end of the log that is no record, a frame without an index.
    for name in ["lapwing.db-wal", "archive/0000000001.jsonl.zst"] {
        let file = OpenOptions::new().append(true).open(home.path("data").join(name)).unwrap();
        let end = file.metadata().unwrap().len();
        file.write_all_at(&[0x5a; 3_000], end).unwrap();
    }
    let lapwing = home.start().await;
    assert_eq!(lapwing.rows().await.len(), 20);
    assert_eq!(lapwing.push("push", stopped("after", "ana")).await.status, 200);
    lapwing.has_alerts(21).await;
    for row in lapwing.rows().await {
        let one = lapwing.get(&format!("/api/v1/alerts/{}", row["id"].as_str().unwrap())).await;
        assert_eq!(one["evidence"].as_array().map(Vec::len), Some(1), "{one}");
    }
}

#[tokio::test]
async fn each_sink_is_told_only_what_its_routes_say() {
    let home = Home::new();
    let (high, hub, all) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    home.configure(&format!(
        "{PUSH}sinks:\n  high: {}\n  hub: {}\n  all: {}\nroutes:\n  - {{severity: high, sinks: [high, all]}}\n  \
         - {{kinds: [github.audit], sinks: [hub]}}\n  - {{sinks: [all]}}\n",
        high.sink(),
        hub.sink(),
        all.sink(),
    ));
    let lapwing = home.start().await;
    let body = [stopped("severe", "ana"), github("quiet")].join("\n");
    assert_eq!(lapwing.push("push", body).await.status, 200);
    lapwing.everybody_told(&all).await;
    let severities = |receiver: &Receiver| {
        let bodies = receiver.messages().into_values();
        let mut found: Vec<String> = bodies
            .map(|body| serde_json::from_str::<Value>(&body).expect("a body is JSON")["data"]["severity"].to_string())
            .collect();
        found.sort();
        found
    };
    assert_eq!(severities(&high), ["\"high\""]);
    assert_eq!(severities(&hub), ["\"low\""]);
    assert_eq!(severities(&all), ["\"high\"", "\"low\""]);
    assert_eq!(all.arrivals().len(), 2, "two routes to one sink are one message");
}

#[tokio::test]
async fn a_receiver_that_fails_and_then_asks_for_time_gets_everything_in_order() {
    let home = Home::new();
    let receiver = Receiver::start().await;
    let asked: std::sync::Arc<std::sync::Mutex<Option<Instant>>> = std::sync::Arc::default();
    let (noted, mut early) = (asked.clone(), None);
    let too_early = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let complaints = too_early.clone();
    receiver.say(move |number| {
        if let Some(at) = early.take()
            && Instant::now() < at
        {
            complaints.lock().expect("no holder panics").push(number);
        }
        match number {
            0..2 => Say::Now(500),
            2 => {
                early = Some(Instant::now() + Duration::from_millis(950));
                *noted.lock().expect("no holder panics") = early;
                Say::RetryAfter(429, 1)
            }
            _ => Say::Now(200),
        }
    });
    home.configure(&format!("{PUSH}sinks:\n  soc: {}", receiver.sink()));
    let lapwing = home.start().await;
    let sent: Vec<(String, String)> = (0..10).map(|number| ("ana".to_owned(), format!("{number:02}"))).collect();
    let body: Vec<String> = sent.iter().map(|(user, id)| stopped(id, user)).collect();
    assert_eq!(lapwing.push("push", body.join("\n")).await.status, 200);
    lapwing.everybody_told(&receiver).await;
    assert_eq!(taken(&receiver), sent, "one key, one order");
    assert!(asked.lock().unwrap().is_some());
    assert_eq!(*too_early.lock().unwrap(), Vec::<usize>::new(), "Retry-After was honoured");
    assert_eq!(receiver.faults(), Vec::<String>::new());
    let deliveries = lapwing.metric("lapwing_deliveries_total{outcome=\"delivered\",sink=\"soc\"}").await;
    assert_eq!(deliveries, 10.0);
}

#[tokio::test]
async fn a_message_that_its_receiver_cannot_take_does_not_hold_up_those_about_others() {
    let home = Home::new();
    // A receiver that fails on whatever is about ana, for ever.
    let (listener, told) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), std::sync::Arc::new(tokio::sync::Mutex::new(0)));
    let (address, count) = (listener.local_addr().unwrap(), told.clone());
    let answer = axum::routing::post(move |body: String| async move {
        if body.contains("user/ana") {
            return axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        }
        *count.lock().await += 1;
        axum::http::StatusCode::OK
    });
    let server = tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", answer)).await });
    let sink = format!("{{webhook: {{url: \"http://{address}/\", secret: 0123456789abcdef0123456789abcdef}}}}");
    home.configure(&format!("{PUSH}sinks:\n  soc: {sink}"));
    let lapwing = home.start().await;
    let bad: Vec<String> = (0..600).map(|number| stopped(&format!("bad-{number}"), "ana")).collect();
    assert_eq!(lapwing.push("push", bad.join("\n")).await.status, 200);
    let good: Vec<String> =
        (0..5).map(|number| stopped(&format!("good-{number}"), &format!("user-{number}"))).collect();
    assert_eq!(lapwing.push("push", good.join("\n")).await.status, 200);
    until("the others to be told", async || (*told.lock().await == 5).then_some(())).await;
    server.abort();
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let home = Home::new();
    let elsewhere = Receiver::start().await;
    for status in [301, 302, 307, 308] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer =
            format!("HTTP/1.1 {status} x\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", elsewhere.address());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut request = vec![0; 64 << 10];
            let mut read = 0;
            while !request[..read].ends_with(b"}") {
                read += stream.read(&mut request[read..]).await?;
            }
            stream.write_all(answer.as_bytes()).await
        });
        let sink = format!("{{webhook: {{url: \"http://{address}/\", secret: 0123456789abcdef0123456789abcdef}}}}");
        home.configure(&format!("{PUSH}sinks:\n  \"s{status}\": {sink}"));
        let lapwing = home.start().await;
        assert_eq!(lapwing.push("push", stopped(&status.to_string(), "ana")).await.status, 200);
        until("the message among the dead letters", async || {
            (lapwing.status().await["sinks"][0]["dead"] == 1).then_some(())
        })
        .await;
        server.await.unwrap().unwrap();
        until("the log to say so", async || lapwing.log_has("it is a dead letter now").then_some(())).await;
        assert!(lapwing.terminate().await.success());
    }
    assert!(elsewhere.arrivals().is_empty() && elsewhere.faults().is_empty());
}

#[tokio::test]
async fn a_dead_sink_delays_no_other_and_keeps_its_queue_over_a_restart() {
    let home = Home::new();
    let (good, silent) = (Receiver::start().await, Receiver::start().await);
    silent.say(|_| Say::Never);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    home.configure(&format!(
        "{PUSH}sinks:\n  closed: {{webhook: {{url: \"http://{closed}/\", secret: 0123456789abcdef0123456789abcdef}}}}\n  \
         good: {}\n  silent: {}\n",
        good.sink(),
        silent.sink(),
    ));
    let lapwing = home.start().await;
    for number in 0..20 {
        assert_eq!(lapwing.push("push", stopped(&number.to_string(), &format!("user-{number}"))).await.status, 200);
    }
    until("all messages at the good sink", async || (good.messages().len() == 20).then_some(())).await;
    let status = lapwing.status().await;
    let queued = |name: &str| {
        let sinks = status["sinks"].as_array().expect("the status lists sinks");
        sinks.iter().find(|sink| sink["name"] == name).expect("the sink is listed")["queued"].clone()
    };
    assert_eq!((queued("closed"), queued("silent")), (json!(20), json!(20)), "{status}");
    lapwing.kill();

    let back = Receiver::start_at(closed).await;
    silent.say(|_| Say::Now(200));
    let lapwing = home.start().await;
    until("all messages at the sinks that came back", async || {
        (back.messages().len() == 20 && silent.messages().len() == 20).then_some(())
    })
    .await;
    lapwing.everybody_told(&back).await;
    assert_eq!(good.arrivals().len(), 20, "who had been told is not told again");
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served_as_prometheus_reads_them() {
    let home = Home::new();
    let receiver = Receiver::start().await;
    home.configure(&format!("{PUSH}sinks:\n  soc: {}", receiver.sink()));
    let lapwing = home.start().await;
    assert_eq!(lapwing.push("push", format!("{}\nbad", stopped("a", "ana"))).await.status, 400);
    lapwing.everybody_told(&receiver).await;
    for (path, body) in [("/health", "ok\n"), ("/ready", "ready\n")] {
        let heard = lapwing.hear(path).await;
        assert_eq!((heard.status, heard.body.as_str()), (200, body), "{path}");
    }
    let heard = lapwing.hear("/metrics").await;
    assert_eq!((heard.status, heard.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let Ok(mut promtool) =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
    else {
        loudly("SKIPPED: /metrics is not checked: promtool is missing");
        return;
    };
    promtool.stdin.take().unwrap().write_all(heard.body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
