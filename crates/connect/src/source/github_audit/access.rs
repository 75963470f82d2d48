//! By whose right the log is read: a token's, or an app's, which is exchanged for tokens that last an hour.

use std::sync::{Mutex, PoisonError};

use engine::time::{Span, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Client;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::call::{Trouble, broken, call, passing};
use super::settings::{App, Settings};
use crate::secret::Secret;
use crate::source::{Remedy, SourceError};

/// What the proof is backdated by, and for how long it is good from then on: GitHub takes ten minutes at most, by its own
/// clock.
const PROOF_BEFORE: i64 = 60;
const PROOF_AFTER: i64 = 480;

/// A token is exchanged so long before it expires.
const SPARE: Span = Span::seconds(300);

/// Whose right is used.
pub(super) enum Access {
    /// A token as it stands.
    Token(Secret),
    /// An app's.
    App(Box<Exchange>),
}

/// An app, and the token that it has at the moment.
pub(super) struct Exchange {
    app: App,
    settings: Settings,
    held: Mutex<Option<Held>>,
}

/// A token that expires. Never shown, hence no `Debug`.
#[derive(Clone)]
struct Held {
    token: String,
    expires: Timestamp,
}

/// What an app says of itself, signed with its key.
#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

impl Access {
    /// Reads the token or the key once, so that a wrong one is told at the start.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, or the key is none.
    pub(super) fn open(settings: &Settings) -> Result<Self, SourceError> {
        match (&settings.app, &settings.token) {
            (Some(app), _) => {
                key(&app.key)?;
                let (app, settings) = (app.clone(), settings.clone());
                Ok(Self::App(Box::new(Exchange { app, settings, held: Mutex::default() })))
            }
            (None, Some(token)) => {
                token.read().map_err(|error| broken("read the token".to_owned(), error))?;
                Ok(Self::Token(token.clone()))
            }
            (None, None) => {
                let doing = "find the right to read the audit log: give `token` or `app`".to_owned();
                Err(SourceError { doing, remedy: Remedy::Person, source: None })
            }
        }
    }

    /// A token that is good at this moment.
    pub(super) async fn token(&self, client: &Client, now: Timestamp) -> Result<String, Trouble> {
        match self {
            Self::Token(token) => {
                let read = token.read().map_err(|error| Trouble::Failed(broken("read the token".to_owned(), error)))?;
                Ok(read.expose().to_owned())
            }
            Self::App(exchange) => exchange.token(client, now).await,
        }
    }

    /// The token was not taken: whether another one can be had.
    pub(super) fn forget(&self) -> bool {
        match self {
            Self::Token(_) => false,
            Self::App(exchange) => exchange.lock().take().is_some(),
        }
    }
}

impl Exchange {
    async fn token(&self, client: &Client, now: Timestamp) -> Result<String, Trouble> {
        let held = self.lock().clone();
        if let Some(held) = held.filter(|held| held.expires.minus(SPARE) > now) {
            return Ok(held.token);
        }
        let held = self.exchange(client, now).await?;
        let token = held.token.clone();
        *self.lock() = Some(held);
        Ok(token)
    }

    async fn exchange(&self, client: &Client, now: Timestamp) -> Result<Held, Trouble> {
        #[derive(Deserialize)]
        struct Granted {
            token: String,
            expires_at: String,
        }
        let proof = proof(&self.app, now).map_err(Trouble::Failed)?;
        let installation = match self.app.installation {
            Some(number) => number,
            None => self.installation(client, &proof, now).await?,
        };
        let doing = format!("exchange the key of app {} for a token", self.app.id);
        let path = format!("app/installations/{installation}/access_tokens");
        let request = client.post(self.settings.url(&path)).bearer_auth(&proof);
        let answer = call(request, &doing, "the app must be installed and not be suspended", now).await;
        let answer = answer.map_err(settled)?;
        let granted = serde_json::from_slice::<Granted>(&answer.body).ok().and_then(|granted| {
            let expires = granted.expires_at.parse().ok()?;
            Some(Held { token: granted.token, expires })
        });
        granted.ok_or_else(|| Trouble::Failed(passing(format!("{doing}: the answer is no token"))))
    }

    /// Which installation is the organisation's.
    async fn installation(&self, client: &Client, proof: &str, now: Timestamp) -> Result<u64, Trouble> {
        #[derive(Deserialize)]
        struct Installed {
            id: u64,
        }
        let doing = format!("find where app {} is installed", self.app.id);
        let path = format!("{}/installation", self.settings.path());
        let request = client.get(self.settings.url(&path)).bearer_auth(proof);
        let answer = call(request, &doing, "the app must be installed there", now).await.map_err(settled)?;
        let installed = serde_json::from_slice::<Installed>(&answer.body);
        installed
            .map(|installed| installed.id)
            .map_err(|_| Trouble::Failed(passing(format!("{doing}: the answer names no installation"))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        // A panic elsewhere leaves the token whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an app is refused is no page: only limits keep their meaning.
fn settled(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Limited(..) => trouble,
        Trouble::Unauthorised(mut error) => {
            error.doing += " (of the app: check its id, its key and this machine's clock)";
            Trouble::Failed(error)
        }
        Trouble::Refused(error) | Trouble::Failed(error) => Trouble::Failed(error),
    }
}

/// What shows that we are the app, for some minutes.
fn proof(app: &App, now: Timestamp) -> Result<String, SourceError> {
    let second = now.micros().div_euclid(1_000_000);
    let claims = Claims { iat: second - PROOF_BEFORE, exp: second + PROOF_AFTER, iss: &app.id };
    let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key(&app.key)?);
    signed.map_err(|error| broken("sign with the app's key".to_owned(), error))
}

/// Read anew each time, so that a key in a file may be exchanged.
fn key(secret: &Secret) -> Result<EncodingKey, SourceError> {
    let text = secret.read().map_err(|error| broken("read the app's key".to_owned(), error))?;
    match PrivateKeyDer::from_pem_slice(text.expose().as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(key)) => Ok(EncodingKey::from_rsa_der(key.secret_pkcs1_der())),
        Ok(_) => {
            let doing = "read the app's key: it is not as GitHub hands it out; `openssl rsa -traditional` makes it so";
            Err(SourceError { doing: doing.to_owned(), remedy: Remedy::Person, source: None })
        }
        // The parser's words may quote what it read.
        Err(_) => {
            let doing = "read the app's key: it is no key in PEM, which begins with -----BEGIN RSA PRIVATE KEY-----";
            Err(SourceError { doing: doing.to_owned(), remedy: Remedy::Person, source: None })
        }
    }
}
