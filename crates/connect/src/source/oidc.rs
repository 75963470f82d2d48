//! Tokens of OpenID Connect, as Google signs them: whether one is good, and the keys that it takes to say so.
//!
//! Keys are fetched when a token names one that is not known, at most once a minute, since anybody can send a token that
//! names anything; and anew when their list has aged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::time::{Span, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::Client;
use reqwest::header::{CACHE_CONTROL, HeaderMap};
use serde::Deserialize;

use crate::clock::Clock;
use crate::source::{Remedy, SourceError};

/// Longest wait for the keys: who pushes waits for as long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest list.
const LIST_BYTES_MAX: usize = 256 << 10;
/// Google has two or three at a time.
const KEYS_MAX: usize = 64;
/// Longest name of a key.
const KID_BYTES_MAX: usize = 255;
/// Longest token: one of Google's has 1 KB.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Questions for keys are so far apart.
const FETCH_GAP: Span = Span::seconds(60);
/// How long a list is good that does not say so.
const FRESH: Span = Span::seconds(3_600);
const FRESH_LEAST: i64 = 60;
const FRESH_MOST: i64 = 86_400;
/// A list that has aged is used for so long while no other can be had; then a key that was withdrawn must be gone.
const STALE: Span = Span::seconds(86_400);
/// What clocks may differ by.
const SKEW: Span = Span::seconds(60);

/// Whom a token must be of, and whom for.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuers: &'static [&'static str],
    pub(crate) audience: String,
    pub(crate) email: String,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no token, or not signed as it must be.
    Malformed,
    /// Nobody knows its key.
    UnknownKey,
    /// There are no keys at all: it may be good.
    NoKeys,
    /// Its signature, issuer or audience is wrong.
    Invalid,
    Expired,
    /// It is of somebody else.
    Stranger,
}

/// Keys of one issuer. A clone is the same keys.
#[derive(Clone)]
pub(crate) struct Keys {
    url: Arc<str>,
    client: Client,
    clock: Clock,
    list: Arc<Mutex<List>>,
    /// Whoever comes while they are fetched waits for the same answer.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct List {
    keys: BTreeMap<String, DecodingKey>,
    fresh_until: Timestamp,
    tried: Option<Timestamp>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Keys").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
}

impl Keys {
    /// None yet; they are fetched when they are first needed.
    ///
    /// # Errors
    /// [`SourceError`] if HTTPS cannot be prepared.
    pub(crate) fn new(url: &str, clock: Clock) -> Result<Self, SourceError> {
        let client = Client::builder()
            .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| SourceError {
                doing: "prepare HTTPS".to_owned(),
                remedy: Remedy::Person,
                source: Some(error.into()),
            })?;
        let (list, fetching) = (Arc::default(), Arc::default());
        Ok(Self { url: url.into(), client, clock, list, fetching })
    }

    /// Fetches keys if this token needs one that is not here, or those that are here have aged.
    pub(crate) async fn prepare(&self, token: &str) {
        let Some(kid) = kid(token) else { return };
        if !self.is_wanting(&kid) {
            return;
        }
        let one_at_a_time = self.fetching.clone().lock_owned().await;
        // Somebody may have fetched them while we waited.
        if !self.is_wanting(&kid) {
            return;
        }
        // In a task of its own: a stranger who closes the connection at once would take the keys from all others.
        let keys = self.clone();
        let fetched = tokio::spawn(async move {
            keys.renew().await;
            drop(one_at_a_time);
        });
        if let Err(error) = fetched.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    async fn renew(&self) {
        let fetched = self.fetch().await;
        let (now, mut list) = (self.clock.now(), self.list());
        // Only now, so that whoever comes before waits.
        list.tried = Some(now);
        match fetched {
            Ok((keys, fresh)) => {
                list.fresh_until = now.plus(fresh);
                list.keys = keys;
            }
            Err(error) => {
                let error = crate::probe::words(&error);
                tracing::warn!(url = %self.url, %error, "keys of tokens cannot be had");
            }
        }
    }

    fn is_wanting(&self, kid: &str) -> bool {
        let (now, list) = (self.clock.now(), self.list());
        let is_due = list.tried.is_none_or(|tried| tried.plus(FETCH_GAP) <= now);
        is_due && (list.fresh_until <= now || !list.keys.contains_key(kid))
    }

    /// The keys as they are at this moment, and how long they are good.
    ///
    /// # Errors
    /// [`SourceError`] if there is no list of keys to be had.
    pub(crate) async fn fetch(&self) -> Result<(BTreeMap<String, DecodingKey>, Span), SourceError> {
        let doing = || format!("fetch the keys of tokens from {}", self.url);
        let failed = |error: reqwest::Error| SourceError {
            doing: doing(),
            remedy: Remedy::Wait,
            source: Some(error.without_url().into()),
        };
        let wrong =
            |why: &str| SourceError { doing: format!("{}: {why}", doing()), remedy: Remedy::Person, source: None };
        let mut answer = self.client.get(&*self.url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(wrong(&format!("status {}", answer.status().as_u16())));
        }
        let fresh = fresh(answer.headers());
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LIST_BYTES_MAX {
                return Err(wrong("the list is too long"));
            }
        }
        let keys = keys(&bytes).ok_or_else(|| wrong("the answer is no list of keys"))?;
        if keys.is_empty() { Err(wrong("the list holds no key that signs by RS256")) } else { Ok((keys, fresh)) }
    }

    /// Whether a token is good at this moment, by the keys that are here.
    ///
    /// # Errors
    /// [`Refused`] says why it is not.
    pub(crate) fn check(&self, token: &str, expected: &Expected) -> Result<(), Refused> {
        let kid = kid(token).ok_or(Refused::Malformed)?;
        let now = self.clock.now();
        let key = {
            let list = self.list();
            if list.keys.is_empty() || list.fresh_until.plus(STALE) <= now {
                return Err(Refused::NoKeys);
            }
            list.keys.get(&kid).cloned().ok_or(Refused::UnknownKey)?
        };
        // Nothing but this algorithm: else a public key could pass for a shared secret, or no signature for one.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(expected.issuers);
        validation.set_audience(&[&expected.audience]);
        // By our own clock, below.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| Refused::Invalid)?;
        let at = |second: i64| Timestamp::from_millis(second.saturating_mul(1_000));
        let Claims { exp, nbf, email, email_verified } = decoded.claims;
        if at(exp).plus(SKEW) <= now || nbf.is_some_and(|nbf| at(nbf) > now.plus(SKEW)) {
            return Err(Refused::Expired);
        }
        if email_verified && email.eq_ignore_ascii_case(&expected.email) { Ok(()) } else { Err(Refused::Stranger) }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // A panic elsewhere leaves the list whole.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key that a token names, if it is one that we could check.
fn kid(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.kid.filter(|kid| header.alg == Algorithm::RS256 && (1..=KID_BYTES_MAX).contains(&kid.len()))
}

/// How long a list is good.
fn fresh(headers: &HeaderMap) -> Span {
    let said = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let age = said.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<i64>().ok());
    age.map_or(FRESH, |seconds| Span::from_micros(seconds.clamp(FRESH_LEAST, FRESH_MOST) * 1_000_000))
}

/// The keys of a list that sign by RS256; others are none of ours.
fn keys(list: &[u8]) -> Option<BTreeMap<String, DecodingKey>> {
    #[derive(Deserialize)]
    struct Listed {
        keys: Vec<Jwk>,
    }
    #[derive(Deserialize)]
    struct Jwk {
        #[serde(default)]
        kty: String,
        #[serde(default)]
        alg: Option<String>,
        #[serde(default, rename = "use")]
        purpose: Option<String>,
        #[serde(default)]
        kid: String,
        #[serde(default)]
        n: String,
        #[serde(default)]
        e: String,
    }
    let listed: Listed = serde_json::from_slice(list).ok()?;
    let signs = |jwk: &Jwk| {
        jwk.kty == "RSA"
            && jwk.alg.as_deref().is_none_or(|alg| alg == "RS256")
            && jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
    };
    let ours = listed.keys.into_iter().filter(signs).take(KEYS_MAX);
    Some(ours.filter_map(|jwk| Some((jwk.kid, DecodingKey::from_rsa_components(&jwk.n, &jwk.e).ok()?))).collect())
}
