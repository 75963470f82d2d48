//! What all sinks promise alike, against a real receiver.

use std::collections::BTreeMap;
use std::time::Duration;

use super::receiver::{Receiver, Say, breaking, nobody};
use super::sample::{message, now};
use super::*;
use crate::secret::Secret;

const PATIENT: Duration = Duration::from_secs(20);
const PATH: &str = "/services/T0/B0/hush-hush";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const SIGNING_KEY: &str = "a signing key of 24 bytes or more";
const TOKEN: &str = "Bearer sesame";

fn secret(text: &str) -> Secret {
    Secret::from_text(text.to_owned())
}

/// The three that speak HTTP, posting to `origin`.
fn http_sinks(origin: &str, timeout: Duration) -> [Sink; 3] {
    let url = format!("{origin}{PATH}");
    let webhook = webhook::Settings {
        url: secret(&url),
        secret: secret(SIGNING_KEY),
        previous_secrets: Vec::new(),
        headers: BTreeMap::from([("Authorization".to_owned(), secret(TOKEN))]),
        insecure: false,
        timeout,
    };
    let slack = slack::Settings { url: secret(&url), timeout };
    let pagerduty = pagerduty::Settings { routing_key: secret(KEY), url, timeout };
    [
        Sink::Webhook(Webhook::new(&webhook).unwrap()),
        Sink::Slack(Slack::new(&slack).unwrap()),
        Sink::PagerDuty(PagerDuty::new(&pagerduty).unwrap()),
    ]
}

/// What the system behind a sink says when it accepts.
fn yes(sink: &Sink) -> Say {
    match sink {
        Sink::Webhook(_) | Sink::Stdout(_) | Sink::Memory(_) => Say::Now(204, Vec::new(), String::new()),
        Sink::Slack(_) => Say::Now(200, Vec::new(), "ok".to_owned()),
        Sink::PagerDuty(_) => {
            let body = r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#;
            Say::Now(202, Vec::new(), body.to_owned())
        }
    }
}

/// The outcome in a word or two.
pub(super) fn words(answer: &Answer) -> String {
    match answer {
        Answer::Delivered(_) => "delivered".to_owned(),
        Answer::Retry { after: None, .. } => "retry".to_owned(),
        Answer::Retry { after: Some(wait), .. } => format!("retry after {} s", wait.as_secs()),
        Answer::Refused(_) => "refused".to_owned(),
        Answer::Misconfigured(_) => "misconfigured".to_owned(),
        Answer::Gone(_) => "gone".to_owned(),
    }
}

/// Wants the same outcome from all, and no secret in what people are shown.
#[track_caller]
fn expect(outcomes: &[(&'static str, Answer)], wanted: &str, reason: &str) {
    for (kind, answer) in outcomes {
        assert_eq!(words(answer), wanted, "{kind}, {reason}: {answer:?}");
        let text = &answer.reply().text;
        for hidden in ["hush-hush", KEY, SIGNING_KEY, TOKEN] {
            assert!(!text.contains(hidden), "{kind}, {reason}: {text}");
        }
    }
}

async fn send_all(sinks: &[Sink]) -> Vec<(&'static str, Answer)> {
    let mut outcomes = Vec::new();
    for sink in sinks {
        outcomes.push((sink.kind(), sink.send(&message(), now()).await));
    }
    outcomes
}

#[tokio::test]
async fn a_yes_is_delivered_by_one_post_of_json() {
    let receiver = Receiver::start([]).await;
    let sinks = http_sinks(&receiver.origin, PATIENT);
    receiver.will_say(sinks.iter().map(yes));
    expect(&send_all(&sinks).await, "delivered", "yes");
    assert_eq!(receiver.received().len(), sinks.len());
    for request in receiver.received() {
        assert_eq!((request.method.as_str(), request.uri.path()), ("POST", PATH));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["user-agent"], concat!("lapwing/", env!("CARGO_PKG_VERSION")));
        assert!(serde_json::from_slice::<serde_json::Value>(&request.body).unwrap().is_object());
    }
}

#[tokio::test]
async fn each_no_means_the_same_to_every_sink() {
    let receiver = Receiver::start([]).await;
    let sinks = http_sinks(&receiver.origin, PATIENT);
    for (status, retry_after, wanted, reason) in [
        (400, None, "refused", "bad request"),
        (401, None, "misconfigured", "unauthorised"),
        (403, None, "misconfigured", "forbidden"),
        (404, None, "misconfigured", "not found"),
        (408, None, "retry", "request timeout"),
        (410, None, "gone", "gone"),
        (413, None, "refused", "too large"),
        (425, None, "retry", "too early"),
        (429, Some("3"), "retry after 3 s", "seconds"),
        (429, Some("Fri, 20 Nov 2026 09:15:30 GMT"), "retry after 30 s", "a date"),
        (429, Some("86400"), "retry after 3600 s", "above the cap"),
        (429, Some("-1"), "retry", "negative"),
        (429, Some("soon"), "retry", "garbage"),
        (429, None, "retry", "no header"),
        (500, None, "retry", "server error"),
        (503, Some("7"), "retry after 7 s", "unavailable"),
        (503, None, "retry", "unavailable without header"),
    ] {
        let headers: Vec<_> = retry_after.map(|value| ("retry-after", value.to_owned())).into_iter().collect();
        receiver.will_say(vec![Say::Now(status, headers, format!("no: {reason}")); sinks.len()]);
        let outcomes = send_all(&sinks).await;
        expect(&outcomes, wanted, reason);
        for (kind, answer) in &outcomes {
            let reply = Reply { status: Some(status), text: format!("no: {reason}") };
            assert_eq!(*answer.reply(), reply, "{kind}");
        }
    }
    assert_eq!(receiver.received().len(), 17 * sinks.len(), "one attempt each");
}

#[tokio::test]
async fn a_receiver_that_says_secrets_back_is_not_quoted() {
    let receiver = Receiver::start([]).await;
    for (sink, secret) in http_sinks(&receiver.origin, PATIENT).iter().zip([TOKEN, PATH, KEY]) {
        receiver.will_say([Say::Now(400, Vec::new(), format!("cannot read {secret} at {PATH}"))]);
        let answer = sink.send(&message(), now()).await;
        assert_eq!(answer.reply().text, "cannot read [secret] at [secret]", "{}", sink.kind());
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let elsewhere = Receiver::start([]).await;
    let receiver = Receiver::start([]).await;
    let sinks = http_sinks(&receiver.origin, PATIENT);
    for status in [301, 302, 303, 307, 308] {
        let there = Say::Now(status, vec![("location", elsewhere.origin.clone())], String::new());
        receiver.will_say(vec![there; sinks.len()]);
        expect(&send_all(&sinks).await, "refused", "redirect");
    }
    assert_eq!((receiver.received().len(), elsewhere.received().len()), (5 * sinks.len(), 0));
}

#[tokio::test]
async fn without_an_answer_the_message_is_sent_again() {
    let plain = breaking(b"").await;
    for (origin, reason) in [
        (nobody().await, "connection refused"),
        (breaking(b"").await, "hung up before answering"),
        (breaking(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok").await, "hung up in a yes"),
        (
            breaking(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await,
            "hung up in a chunk",
        ),
        (breaking(b"220 mail.example ESMTP\r\n").await, "no HTTP"),
        (plain.replace("http:", "https:"), "no TLS"),
        // A label of more than 63 characters is refused by the resolver itself, so nobody is asked.
        (format!("https://{}.example", "a".repeat(64)), "no such name"),
    ] {
        let outcomes = send_all(&http_sinks(&origin, PATIENT)).await;
        expect(&outcomes, "retry", reason);
        for (_, answer) in &outcomes {
            assert_eq!(answer.reply().status, None, "{reason}");
            assert!(!answer.reply().text.is_empty(), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_slow_answer_is_given_up_and_sent_again() {
    let receiver = Receiver::start([Say::Never, Say::Never, Say::Never]).await;
    let outcomes = send_all(&http_sinks(&receiver.origin, Duration::from_millis(50))).await;
    expect(&outcomes, "retry", "timeout");
    assert!(outcomes.iter().all(|(_, answer)| answer.reply().text.contains("timed out")), "{outcomes:?}");
}

#[tokio::test]
async fn a_no_that_breaks_off_is_still_a_no() {
    let origin = breaking(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nthe field").await;
    let outcomes = send_all(&http_sinks(&origin, PATIENT)).await;
    expect(&outcomes, "refused", "broken off");
    assert!(outcomes.iter().all(|(_, answer)| answer.reply().text == "the field"));
}

#[tokio::test]
async fn of_a_long_answer_only_the_head_is_kept() {
    let receiver = Receiver::start(vec![Say::Now(400, Vec::new(), "é\n".repeat(200_000)); 3]).await;
    let outcomes = send_all(&http_sinks(&receiver.origin, PATIENT)).await;
    expect(&outcomes, "refused", "long");
    for (_, answer) in outcomes {
        assert_eq!(answer.reply().text.chars().count(), 500);
        assert!(!answer.reply().text.contains('\n'));
    }
}

#[test]
fn a_sink_can_be_printed_without_its_secrets() {
    for sink in http_sinks("http://127.0.0.1", PATIENT) {
        let printed = format!("{sink:?}");
        for hidden in ["hush-hush", KEY, SIGNING_KEY, "sesame"] {
            assert!(!printed.contains(hidden), "{printed}");
        }
    }
}

#[tokio::test]
async fn memory_answers_as_told_and_then_delivers() {
    let memory = Memory::default();
    memory.will_answer(crate::retry::classify(429, Some("3"), "slow down", now()));
    memory.will_answer(crate::retry::classify(410, None, "", now()));
    let sink = Sink::Memory(memory.clone());
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(words(&sink.send(&message(), now()).await));
    }
    assert_eq!(outcomes, ["retry after 3 s", "gone", "delivered"]);
    assert_eq!(memory.attempts().len(), 3);
    assert_eq!(memory.attempts()[0].at, now());
    assert_eq!(memory.delivered().len(), 1);
}

#[test]
fn settings_refuse_unknown_keys() {
    fn unknown<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str) {
        let error = serde_json::from_str::<T>(json).unwrap_err().to_string();
        assert!(error.contains("unknown field `colour`"), "{error}");
    }
    unknown::<webhook::Settings>(r#"{"url":"https://a.example","secret":"x","colour":"red"}"#);
    unknown::<slack::Settings>(r#"{"url":"https://a.example","colour":"red"}"#);
    unknown::<pagerduty::Settings>(r#"{"routing_key":"x","colour":"red"}"#);
    unknown::<stdout::Settings>(r#"{"colour":"red"}"#);
}
