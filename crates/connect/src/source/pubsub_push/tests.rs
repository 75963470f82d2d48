use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::time::{Span, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Asked, Keys, Opened, PubsubPush, Room, Settings, Wire, by_clock, probe};
use crate::clock::{Clock, Hand};
use crate::source::http::Limits;
use crate::source::http::testing::{Served, serve};
use crate::source::signer::{Signer, forged};

const AUDIENCE: &str = "https://lapwing.example.org/v1/events/gcp";
const ACCOUNT: &str = "push@acme-logs.iam.gserviceaccount.com";

/// Google's list of keys.
#[derive(Clone, Default)]
struct List {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<u32>>,
    broken: Arc<Mutex<bool>>,
    /// While somebody holds it, nobody is answered.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl List {
    fn has(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

async fn list(State(list): State<List>) -> (axum::http::StatusCode, HeaderMap, String) {
    *list.asked.lock().unwrap() += 1;
    drop(list.gate.lock().await);
    let headers =
        HeaderMap::from_iter([("cache-control".parse().unwrap(), "public, max-age=7200, x".parse().unwrap())]);
    if *list.broken.lock().unwrap() {
        return (axum::http::StatusCode::BAD_GATEWAY, headers, String::new());
    }
    (axum::http::StatusCode::OK, headers, json!({"keys": *list.keys.lock().unwrap()}).to_string())
}

/// A served source, whose keys are those of `signer` under the name `k1`.
struct World {
    hand: Hand,
    list: List,
    signer: Signer,
    served: Served,
}

impl World {
    async fn start() -> Self {
        let (hand, signer, keys) = (Hand::at(noon()), Signer::fresh(), List::default());
        keys.has(vec![signer.jwk("k1")]);
        let address = serve(Router::new().route("/certs", get(list)).with_state(keys.clone())).await;
        let settings = settings(&format!("http://{address}/certs"));
        assert_eq!(settings.nonsense(), None);
        let both = by_clock("gcp", &settings, "run", Clock::Hand(hand.clone())).unwrap();
        let served = Served::start(both, Limits::default()).await;
        Self { hand, list: keys, signer, served }
    }

    fn good(&self) -> String {
        self.signer.token(Some("k1"), &claims(&self.hand))
    }

    async fn push(&self, token: &str, body: impl Into<reqwest::Body>) -> u16 {
        let request = self.served.post(body).header("authorization", format!("Bearer {token}"));
        request.send().await.unwrap().status().as_u16()
    }
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn settings(keys_url: &str) -> Settings {
    serde_json::from_value(json!({"audience": AUDIENCE, "service_account": ACCOUNT, "keys_url": keys_url})).unwrap()
}

fn second(hand: &Hand) -> i64 {
    hand.now().millis() / 1_000
}

/// What Google says in a token.
fn claims(hand: &Hand) -> Value {
    json!({"aud": AUDIENCE, "azp": "113774264463038321964", "email": ACCOUNT, "email_verified": true,
           "exp": second(hand) + 3_600, "iat": second(hand), "iss": "https://accounts.google.com",
           "sub": "113774264463038321964"})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn wrapped(id: &str, text: &str) -> String {
    json!({"message": {"data": STANDARD.encode(text), "messageId": id, "message_id": id,
                       "publishTime": "2026-11-20T12:00:00.123Z", "attributes": {"k": "v"}},
           "subscription": "projects/acme-logs/subscriptions/push"})
    .to_string()
}

#[tokio::test]
async fn only_googles_token_for_us_and_of_the_account_lets_anything_in() {
    let world = World::start().await;
    let now = second(&world.hand);
    let sign = |claims: Value| world.signer.token(Some("k1"), &claims);
    let claimed = |name: &str, value: Value| sign(with(claims(&world.hand), name, value));
    let without = |name: &str| {
        let mut claims = claims(&world.hand);
        claims.as_object_mut().unwrap().remove(name);
        sign(claims)
    };
    let public = world.signer.jwk("k1")["n"].as_str().unwrap().to_owned();
    let hs256 = {
        let unsigned = forged(&json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}), &claims(&world.hand), b"");
        let code = Hmac::<Sha256>::new_from_slice(public.as_bytes()).unwrap();
        let code = code.chain_update(unsigned.trim_end_matches('.')).finalize().into_bytes();
        forged(&json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}), &claims(&world.hand), &code)
    };
    let good = world.good();
    let (head, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let (_, other_rest) = {
        let other = claimed("email", json!("mallory@example.org"));
        let (_, rest) = other.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        (head, claims.to_owned())
    };
    for (token, status, why) in [
        (good.clone(), 204, "as Google makes it"),
        (claimed("iss", json!("accounts.google.com")), 204, "as Google called itself once"),
        (claimed("aud", json!("https://other.example.org")), 401, "for somebody else"),
        (claimed("iss", json!("https://accounts.example.org")), 401, "by somebody else"),
        (claimed("email", json!("other@acme-logs.iam.gserviceaccount.com")), 401, "of another account"),
        (claimed("email_verified", json!(false)), 401, "of an address that nobody verified"),
        (claimed("exp", json!(now - 61)), 401, "expired"),
        (claimed("exp", json!(now - 30)), 204, "expired within what clocks differ by"),
        (claimed("nbf", json!(now + 120)), 401, "of the future"),
        (without("exp"), 401, "for ever"),
        (without("aud"), 401, "for anybody"),
        (without("iss"), 401, "by nobody"),
        (without("email"), 401, "of nobody"),
        (world.signer.token(None, &claims(&world.hand)), 401, "without the name of a key"),
        (Signer::fresh().token(Some("k1"), &claims(&world.hand)), 401, "by another key of that name"),
        (forged(&json!({"alg": "none", "kid": "k1"}), &claims(&world.hand), b""), 401, "not signed at all"),
        (hs256, 401, "signed with the public key as if it were a secret"),
        (format!("{head}.{other_rest}.{signature}"), 401, "with other claims than were signed"),
        (good[..good.len() - 4].to_owned(), 401, "cut"),
        ("x".repeat(9_000), 401, "endless"),
        (String::new(), 401, "empty"),
    ] {
        assert_eq!(world.push(&token, wrapped("1", "{}")).await, status, "{why}");
    }
    let bare = world.served.post(wrapped("1", "{}")).send().await.unwrap();
    assert_eq!(bare.status(), 401, "none");
    let basic =
        world.served.post(wrapped("1", "{}")).header("authorization", format!("Basic {good}")).send().await.unwrap();
    assert_eq!(basic.status(), 401, "another scheme");
    assert_eq!(world.served.records().len(), 3);
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_at_most_once_a_minute_for_whatever_is_named() {
    let world = World::start().await;
    assert_eq!(world.list.asked(), 0);
    for _ in 0..3 {
        assert_eq!(world.push(&world.good(), wrapped("1", "{}")).await, 204);
    }
    assert_eq!(world.list.asked(), 1);
    let next = Signer::fresh();
    let token = |world: &World| next.token(Some("k2"), &claims(&world.hand));
    for round in 0..20 {
        assert_eq!(world.push(&next.token(Some(&format!("guess-{round}")), &claims(&world.hand)), "{}").await, 401);
    }
    assert_eq!(world.list.asked(), 1, "they were fetched within the minute");
    world.hand.move_to(world.hand.now().plus(Span::seconds(61)));
    world.list.has(vec![world.signer.jwk("k1"), next.jwk("k2")]);
    assert_eq!(world.push(&token(&world), wrapped("2", "{}")).await, 204, "a key that is new");
    assert_eq!(world.list.asked(), 2);
    // Two hours later the list has aged, and the first key was withdrawn.
    world.list.has(vec![next.jwk("k2")]);
    world.hand.move_to(world.hand.now().plus(Span::seconds(7_201)));
    assert_eq!(world.push(&world.good(), wrapped("3", "{}")).await, 401, "a key that was withdrawn");
    assert_eq!((world.push(&token(&world), wrapped("3", "{}")).await, world.list.asked()), (204, 3));
    // Google is away: for a day what is known is good, then nothing is.
    *world.list.broken.lock().unwrap() = true;
    world.hand.move_to(world.hand.now().plus(Span::seconds(80_000)));
    assert_eq!(world.push(&token(&world), wrapped("4", "{}")).await, 204);
    world.hand.move_to(world.hand.now().plus(Span::seconds(20_000)));
    assert_eq!(world.push(&token(&world), wrapped("5", "{}")).await, 503, "it may be good: it is to come again");
    assert_eq!(world.list.asked(), 5);
}

#[tokio::test]
async fn a_stranger_who_leaves_at_once_takes_the_keys_from_nobody() {
    let world = World::start().await;
    let closed = world.list.gate.lock().await;
    let stranger = world.signer.token(Some("guess"), &claims(&world.hand));
    let asked = async {
        while world.list.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        status = world.push(&stranger, "{}") => panic!("answered without keys: {status}"),
        () = asked => {}
    }
    // The connection is closed by now; Google answers a little later.
    let opens = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(closed);
    };
    let good = world.good();
    let (status, ()) = tokio::join!(world.push(&good, wrapped("1", "{}")), opens);
    assert_eq!((status, world.list.asked()), (204, 1));
}

#[test]
fn a_message_of_very_many_records_is_cut_only_as_they_are_read() {
    let settings = settings("https://keys.example.org");
    let keys = Keys::new(&settings.keys_url, Clock::Wall).unwrap();
    let wire = PubsubPush { keys, expected: settings.expected() };
    let asked = Asked { path: String::new(), headers: HeaderMap::new() };
    let text = format!("[{}1]", "1,".repeat(2_000_000));
    let limits = Room { record_bytes_max: 1_000, body_bytes_max: 16 << 20 };
    let Ok(Opened::Named { name, mut records, bytes }) = wire.open(&asked, wrapped("7", &text).into(), limits) else {
        panic!("it is named");
    };
    assert_eq!((name.as_deref(), bytes), (Some("7"), text.len()));
    assert_eq!(records.size_hint().0, 0, "none is cut yet");
    assert_eq!(records.next().unwrap().line, 1);
    assert_eq!(records.count(), 2_000_000);
}

#[tokio::test]
async fn a_message_is_named_by_its_id_wrapped_or_not_and_a_repeat_bears_the_same() {
    let world = World::start().await;
    let entry = r#"{"insertId":"a1","logName":"projects/acme/logs/cloudaudit.googleapis.com%2Factivity"}"#;
    for _ in 0..2 {
        assert_eq!(world.push(&world.good(), wrapped("11078", entry)).await, 204);
    }
    let unwrapped = world.served.post(entry).bearer_auth(world.good()).header("x-goog-pubsub-message-id", "11079");
    assert_eq!(unwrapped.send().await.unwrap().status(), 204);
    assert_eq!(world.push(&world.good(), entry).await, 204);
    let records = world.served.records();
    let positions: Vec<&str> = records.iter().map(|(position, _)| position.as_str()).collect();
    assert_eq!(positions[..3], ["11078#1", "11078#1", "11079#1"]);
    assert!(positions[3].starts_with("no key run."), "{positions:?}");
    assert!(records.iter().all(|(_, text)| text == entry), "{records:?}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_dead_letter_and_not_sent_for_ever() {
    let world = World::start().await;
    let odd = json!({"message": {"data": "%%%", "messageId": "1"}}).to_string();
    let empty = json!({"message": {"messageId": "2", "attributes": {"a": "b"}}}).to_string();
    for body in [odd, empty, wrapped("3", "{bad"), "not json".to_owned()] {
        assert_eq!(world.push(&world.good(), body).await, 204);
    }
    let texts: Vec<String> = world.served.records().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["Corrupt", "Corrupt", "{bad", "not json"]);
}

#[tokio::test]
async fn a_probe_fetches_the_keys_and_settings_that_mean_nothing_are_told() {
    let world = World::start().await;
    let address = serve(Router::new().route("/certs", get(list)).with_state(world.list.clone())).await;
    let said = |path: &str| {
        let settings = settings(&format!("http://{address}/{path}"));
        async move { probe(&settings).await[0].to_string() }
    };
    assert!(said("certs").await.contains("1 there"), "{}", said("certs").await);
    assert!(said("nowhere").await.contains("FAILS: fetch the keys of tokens from"), "{}", said("nowhere").await);
    world.list.has(vec![json!({"kty": "EC", "kid": "k", "alg": "ES256"})]);
    assert!(said("certs").await.contains("no key that signs by RS256"), "{}", said("certs").await);
    for (name, value, complaint) in [
        ("audience", "", "audience"),
        ("service_account", "push", "e-mail address"),
        ("keys_url", "http://keys.example.org", "https"),
    ] {
        let mut json = json!({"audience": "a", "service_account": "a@b", "keys_url": "https://keys.example.org"});
        json[name] = value.into();
        let settings: Settings = serde_json::from_value(json).unwrap();
        assert!(settings.nonsense().unwrap().contains(complaint), "{name}");
    }
}
