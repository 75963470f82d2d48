//! Tokens of Google Cloud: from a service account's key, federation, a person's login or the machine, renewed in time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Extensions, HeaderMap};
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials as Held, external_account, impersonated, service_account, user_account,
};
use serde_json::Value;

use super::settings::Credentials;
use crate::source::{Remedy, SourceError};

/// What the tokens are for, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";

/// Longest wait for a token. A machine outside of Google's cloud never gets one from the machine.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Who asks, with the token that this takes.
pub(super) struct Access {
    from: Credentials,
    held: Mutex<Option<Held>>,
}

impl Access {
    /// Reads the file, if it is one. Asks nobody yet.
    ///
    /// # Errors
    /// [`SourceError`] if there are no credentials, or they are of no sort that is known.
    pub(super) fn open(from: &Credentials) -> Result<Self, SourceError> {
        let access = Self { from: from.clone(), held: Mutex::default() };
        access.renew()?;
        Ok(access)
    }

    /// What a request shows: nothing to an emulator.
    pub(super) async fn headers(&self) -> Result<HeaderMap, SourceError> {
        let held = self.lock().clone();
        let Some(held) = held else { return Ok(HeaderMap::new()) };
        let doing = || "get a token of Google Cloud".to_owned();
        let asked = tokio::time::timeout(TIMEOUT, held.headers(Extensions::new())).await;
        match asked {
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            // Only said to who shows what it has.
            Ok(Ok(CacheableResource::NotModified)) => Ok(HeaderMap::new()),
            Ok(Err(error)) => {
                let remedy = if error.is_transient() { Remedy::Wait } else { Remedy::Person };
                Err(SourceError { doing: doing(), remedy, source: Some(error.into()) })
            }
            Err(_) => {
                let doing = format!("{}: nobody answers; set `credentials`, or give the machine an account", doing());
                Err(SourceError { doing, remedy: Remedy::Wait, source: None })
            }
        }
    }

    /// Begins anew, with what the file says now: a token that was not taken is not shown again.
    pub(super) fn renew(&self) -> Result<(), SourceError> {
        let built = match &self.from {
            Credentials::None => None,
            Credentials::Default => Some(
                Builder::default()
                    .with_scopes([SCOPE])
                    .build()
                    .map_err(|error| broken("find credentials of Google Cloud".to_owned(), Some(error.into())))?,
            ),
            Credentials::File(path) => {
                let doing = || format!("read the credentials in {}", path.display());
                let text = std::fs::read(path).map_err(|error| broken(doing(), Some(error.into())))?;
                // The parser's words may quote what it read.
                let json = serde_json::from_slice(&text)
                    .map_err(|_| broken(format!("{}: they are no JSON", doing()), None))?;
                Some(of(json).map_err(|why| broken(format!("{}: {why}", doing()), None))?)
            }
        };
        *self.lock() = built;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        // A panic elsewhere leaves what is held whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Credentials as a file of Google's has them.
fn of(json: Value) -> Result<Held, String> {
    let sort = json.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let scopes = [SCOPE];
    let built = match sort.as_str() {
        "service_account" => {
            let scopes = service_account::AccessSpecifier::from_scopes(scopes);
            service_account::Builder::new(json).with_access_specifier(scopes).build()
        }
        "external_account" => external_account::Builder::new(json).with_scopes(scopes).build(),
        "authorized_user" => user_account::Builder::new(json).with_scopes(scopes).build(),
        "impersonated_service_account" => impersonated::Builder::new(json).with_scopes(scopes).build(),
        _ => return Err(format!("{sort:?} is no type of credentials that is known, such as service_account")),
    };
    built.map_err(|error| crate::probe::words(&error))
}

fn broken(doing: String, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> SourceError {
    SourceError { doing, remedy: Remedy::Person, source }
}
