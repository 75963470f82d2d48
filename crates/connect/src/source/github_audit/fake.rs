//! An audit log API that is as unkind as its contract allows, over real HTTP on a free port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::{get, post};
use engine::time::Timestamp;
use serde_json::{Value, json};

use super::Settings;
use crate::clock::Hand;
use crate::source::http::testing::serve;
use crate::source::signer::Signer;

/// What the fake takes as a token of a person.
pub(super) const TOKEN: &str = "github_pat_example";
/// The number of the app's installation.
pub(super) const INSTALLATION: u64 = 77;
const HOUR_MS: i64 = 3_600_000;

/// An entry and the moment from which the log shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) time_ms: i64,
    pub(super) visible_ms: i64,
}

/// How it misbehaves. Zero is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unkind {
    /// Entries a page.
    pub(super) page: usize,
    /// Each so many questions one is answered 502.
    pub(super) fail_every: u64,
    /// Each so many cursors one is refused.
    pub(super) refuse_every: u64,
    /// Each so many questions one is refused for coming too fast.
    pub(super) secondary_every: u64,
    /// Questions an hour.
    pub(super) limit: u64,
}

impl Default for Unkind {
    fn default() -> Self {
        Self { page: 100, fail_every: 0, refuse_every: 0, secondary_every: 0, limit: 1_750 }
    }
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) url: String,
    pub(super) signer: Arc<Signer>,
    world: Arc<Mutex<World>>,
}

struct World {
    hand: Hand,
    unkind: Unkind,
    url: String,
    shown: Vec<Shown>,
    signer: Arc<Signer>,
    /// Tokens of the installation and when they expire.
    granted: BTreeMap<String, i64>,
    /// When each question for a page came.
    asked: Vec<i64>,
    /// Where looks began, in milliseconds.
    since: Vec<i64>,
    /// The hour of the limit and the questions in it.
    hour: (i64, u64),
    cursors: u64,
    refused: u64,
}

type Reply = (StatusCode, HeaderMap, String);

impl Fake {
    pub(super) async fn start(hand: Hand, unkind: Unkind, shown: Vec<Shown>) -> Self {
        let signer = Arc::new(Signer::fresh());
        let world = World {
            hand,
            unkind,
            url: String::new(),
            shown,
            signer: signer.clone(),
            granted: BTreeMap::new(),
            asked: Vec::new(),
            since: Vec::new(),
            hour: (0, 0),
            cursors: 0,
            refused: 0,
        };
        let world = Arc::new(Mutex::new(world));
        let router = Router::new()
            .route("/api/v3/orgs/{org}/audit-log", get(list))
            .route("/api/v3/orgs/{org}/installation", get(installation))
            .route("/api/v3/app/installations/{number}/access_tokens", post(grant))
            .with_state(world.clone());
        let url = format!("http://{}/api/v3", serve(router).await);
        world.lock().unwrap().url.clone_from(&url);
        Self { url, signer, world }
    }

    /// Settings that read it by a person's token, with these besides.
    pub(super) fn settings(&self, more: Value) -> Settings {
        let mut all = json!({"organization": "acme", "endpoint": self.url, "token": TOKEN});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings: Settings = serde_json::from_value(all).unwrap();
        assert_eq!(settings.nonsense(), None);
        settings
    }

    /// Settings that read it as an app.
    pub(super) fn settings_of_app(&self, installation: Option<u64>) -> Settings {
        let app = json!({"id": "Iv1.example", "key": self.signer.pem(), "installation": installation});
        serde_json::from_value(json!({"organization": "acme", "endpoint": self.url, "app": app})).unwrap()
    }

    pub(super) fn be(&self, unkind: Unkind) {
        self.world.lock().unwrap().unkind = unkind;
    }

    pub(super) fn show(&self, shown: Vec<Shown>) {
        self.world.lock().unwrap().shown.extend(shown);
    }

    /// When pages were asked for, in milliseconds.
    pub(super) fn asked(&self) -> Vec<i64> {
        self.world.lock().unwrap().asked.clone()
    }

    /// Where looks began, in milliseconds.
    pub(super) fn since(&self) -> Vec<i64> {
        self.world.lock().unwrap().since.clone()
    }

    /// How many questions were refused in any way.
    pub(super) fn refused(&self) -> u64 {
        self.world.lock().unwrap().refused
    }

    /// How many tokens the app was granted.
    pub(super) fn granted(&self) -> usize {
        self.world.lock().unwrap().granted.len()
    }

    /// Every token of the app is revoked.
    pub(super) fn revoke(&self) {
        self.world.lock().unwrap().granted.values_mut().for_each(|expires| *expires = 0);
    }
}

async fn list(
    State(world): State<Arc<Mutex<World>>>,
    Path(org): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Reply {
    let mut world = world.lock().unwrap();
    let now = world.hand.now().millis();
    world.asked.push(now);
    let reply = world.list(&org, &query, &headers, now);
    world.refused += u64::from(!reply.0.is_success());
    reply
}

async fn installation(State(world): State<Arc<Mutex<World>>>, headers: HeaderMap) -> Reply {
    let world = world.lock().unwrap();
    match world.is_app(&headers) {
        true => (StatusCode::OK, HeaderMap::new(), json!({"id": INSTALLATION}).to_string()),
        false => said(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded"),
    }
}

async fn grant(State(world): State<Arc<Mutex<World>>>, Path(number): Path<u64>, headers: HeaderMap) -> Reply {
    let mut world = world.lock().unwrap();
    if !world.is_app(&headers) {
        return said(StatusCode::UNAUTHORIZED, "'Expiration time' claim ('exp') is too far in the future");
    }
    if number != INSTALLATION {
        return said(StatusCode::NOT_FOUND, "Not Found");
    }
    let expires = Timestamp::from_millis(world.hand.now().millis() + HOUR_MS);
    let token = format!("ghs_{}", world.granted.len());
    world.granted.insert(token.clone(), expires.millis());
    let second = expires.to_string().get(..19).unwrap().to_owned() + "Z";
    (StatusCode::CREATED, HeaderMap::new(), json!({"token": token, "expires_at": second}).to_string())
}

fn said(status: StatusCode, message: &str) -> Reply {
    (status, HeaderMap::new(), json!({"message": message}).to_string())
}

fn shown_token(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

impl World {
    /// Whether the app shows a proof that GitHub would take at this moment.
    fn is_app(&self, headers: &HeaderMap) -> bool {
        let claims = shown_token(headers).and_then(|token| self.signer.claims(token));
        let second = self.hand.now().millis() / 1_000;
        claims.is_some_and(|claims| {
            let at = |name: &str| claims[name].as_i64().unwrap();
            claims["iss"] == "Iv1.example" && at("iat") <= second && at("exp") > second && at("exp") - at("iat") <= 600
        })
    }

    fn list(&mut self, org: &str, query: &BTreeMap<String, String>, headers: &HeaderMap, now: i64) -> Reply {
        let token = shown_token(headers).unwrap_or_default();
        let is_good = token == TOKEN || self.granted.get(token).is_some_and(|expires| *expires > now);
        if !is_good {
            return said(StatusCode::UNAUTHORIZED, "Bad credentials");
        }
        if org != "acme" {
            return said(StatusCode::NOT_FOUND, "Not Found");
        }
        assert_eq!((query["order"].as_str(), query["per_page"].as_str()), ("asc", "100"));
        assert_eq!(headers["x-github-api-version"], "2022-11-28");
        let left = match self.spend(now) {
            Ok(left) => left,
            Err(limits) => {
                return (StatusCode::FORBIDDEN, limits, json!({"message": "API rate limit exceeded"}).to_string());
            }
        };
        let count = self.asked.len() as u64;
        if every(self.unkind.secondary_every, count) {
            let wait = HeaderMap::from_iter([(HeaderName::from_static("retry-after"), HeaderValue::from_static("45"))]);
            return (StatusCode::FORBIDDEN, wait, json!({"message": "secondary rate limit"}).to_string());
        }
        if every(self.unkind.fail_every, count) {
            return said(StatusCode::BAD_GATEWAY, "Server Error");
        }
        self.page(query, left, now)
    }

    /// Counts the question into its hour.
    fn spend(&mut self, now: i64) -> Result<HeaderMap, HeaderMap> {
        let hour = now / HOUR_MS;
        if self.hour.0 != hour {
            self.hour = (hour, 0);
        }
        let is_over = self.hour.1 >= self.unkind.limit;
        self.hour.1 += 1;
        let left = self.unkind.limit.saturating_sub(self.hour.1);
        let limits = HeaderMap::from_iter([
            (HeaderName::from_static("x-ratelimit-remaining"), left.into()),
            (HeaderName::from_static("x-ratelimit-reset"), ((hour + 1) * HOUR_MS / 1_000).into()),
        ]);
        if is_over { Err(limits) } else { Ok(limits) }
    }

    /// A cursor is a mere place in the list: what appears in front of it shifts every page behind.
    fn page(&mut self, query: &BTreeMap<String, String>, mut headers: HeaderMap, now: i64) -> Reply {
        let phrase = query["phrase"].as_str();
        let since: Timestamp = phrase.strip_prefix("created:>=").unwrap().replace("+00:00", "Z").parse().unwrap();
        let from = match query.get("after") {
            Some(cursor) => {
                self.cursors += 1;
                if every(self.unkind.refuse_every, self.cursors) {
                    return said(StatusCode::UNPROCESSABLE_ENTITY, "Invalid cursor");
                }
                cursor.parse().unwrap()
            }
            None => {
                self.since.push(since.millis());
                0
            }
        };
        let is_listed = |shown: &&Shown| shown.visible_ms <= now && shown.time_ms >= since.millis();
        let mut listed: Vec<&Shown> = self.shown.iter().filter(is_listed).collect();
        listed.sort_by_key(|shown| (shown.time_ms, &shown.id));
        let until = (from + self.unkind.page).min(listed.len());
        let entries: Vec<Value> = listed[from.min(until)..until].iter().map(|shown| entry(shown)).collect();
        if until < listed.len() {
            let phrase: String = form_urlencoded::byte_serialize(phrase.as_bytes()).collect();
            let next = format!(
                "<{}/orgs/acme/audit-log?phrase={phrase}&include={}&order=asc&per_page=100&after={until}&before=>; rel=\"next\"",
                self.url, query["include"]
            );
            headers.insert("link", next.parse().unwrap());
        }
        (StatusCode::OK, headers, Value::from(entries).to_string())
    }
}

fn entry(shown: &Shown) -> Value {
    json!({"@timestamp": shown.time_ms, "created_at": shown.time_ms, "_document_id": shown.id, "action": "repo.create",
           "actor": "ana", "org": "acme"})
}

fn every(period: u64, count: u64) -> bool {
    period > 0 && count.is_multiple_of(period)
}

/// `count` entries, `gap_ms` apart (three at a time at the same moment), each shown up to `delay_ms` late.
pub(super) fn entries(from: Timestamp, count: i64, gap_ms: i64, delay_ms: i64, seed: u64) -> Vec<Shown> {
    let mut dice = Dice(seed | 1);
    let shown = |number: i64| {
        let time_ms = from.millis() + number / 3 * 3 * gap_ms;
        let visible_ms = time_ms + i64::try_from(dice.below(delay_ms.unsigned_abs() + 1)).unwrap();
        Shown { id: format!("entry-{seed}-{number:05}"), time_ms, visible_ms }
    };
    (0..count).map(shown).collect()
}

/// Chance that a seed repeats.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        // Xorshift: any spread will do.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most.max(1)
    }
}
