//! One POST of a sink and what came back. All that every HTTP sink must and must not do stands here: TLS, no
//! redirect, no proxy from the environment, limits on time and on what is read, and nothing secret shown.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use crate::retry::{classify, unanswered};
use crate::secret::{Plain, Secret, SecretError};
use crate::sink::{Answer, Now, Reply};

/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the whole answer, unless a sink sets another: Standard Webhooks asks for 15 to 30 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an answer is read. The longest that a sink needs is PagerDuty's list of errors.
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// How much of an answer is kept for people.
const SHOWN_CHARS_MAX: usize = 500;
/// Shorter than this it is no secret, and hiding it would hide ordinary words.
const HIDDEN_CHARS_MIN: usize = 6;

/// Why a sink cannot be built from its settings. Every variant is something its operator can mend.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A secret that cannot be read.
    #[error("{setting}")]
    Secret {
        /// Which setting.
        setting: String,
        /// What is wrong with it.
        source: SecretError,
    },
    /// Not an address. It is not quoted: it may hold a secret.
    #[error("url: no http or https address of a host")]
    Url,
    /// Alerts would cross the network unencrypted.
    #[error("url: not https; use https, or set `insecure: true` to send alerts in the clear")]
    Unencrypted,
    /// An address with a user and password, which end up in logs of proxies.
    #[error("url: holds a user or password; put it into a header")]
    Credentials,
    /// No time at all to answer in.
    #[error("timeout: must be longer than zero")]
    Timeout,
    /// A Standard Webhooks secret that is no base64 after `whsec_`, or of a wrong length.
    #[error("{setting}: must be 24 to 64 bytes, written plainly or as `whsec_` and base64")]
    SigningKey {
        /// Which setting.
        setting: String,
    },
    /// A header that cannot be sent, or that the sink itself sets.
    #[error("headers: {name:?} {fault}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A PagerDuty key of a wrong length.
    #[error(
        "routing_key: must be 32 characters, not {length}; it is the integration key of an Events API v2 integration"
    )]
    RoutingKey {
        /// Its length in characters.
        length: usize,
    },
    /// TLS could not be set up, for instance because the machine has no root certificates.
    #[error("prepare https")]
    Client {
        /// What the HTTP client said.
        source: reqwest::Error,
    },
}

/// Reads a secret and names the setting if that fails.
pub(super) fn read(setting: &str, secret: &Secret) -> Result<Plain, SettingsError> {
    secret.read().map_err(|source| SettingsError::Secret { setting: setting.to_owned(), source })
}

/// Who may be spoken to without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clear {
    /// Only this machine.
    Loopback,
    /// Anybody; the operator has said so.
    Anywhere,
}

/// One address that a sink posts to.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    /// Never shown, even if the receiver says it back.
    hidden: Vec<String>,
}

/// What came back, with the body as it was.
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) body: String,
    retry_after: Option<String>,
    /// The body, cut and without secrets.
    shown: String,
    /// Set if the connection broke before the body ended.
    broken: Option<String>,
}

impl Endpoint {
    /// `hidden` are the sink's secrets; the address itself is hidden in any case.
    pub(super) fn new(url: &str, clear: Clear, timeout: Duration, hidden: &[&Plain]) -> Result<Self, SettingsError> {
        let url = Url::parse(url).map_err(|_| SettingsError::Url)?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(SettingsError::Url),
        };
        if !encrypted && clear == Clear::Loopback && !is_loopback(&url) {
            return Err(SettingsError::Unencrypted);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingsError::Credentials);
        }
        if timeout.is_zero() {
            return Err(SettingsError::Timeout);
        }
        let client = Client::builder()
            .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .build()
            .map_err(|source| SettingsError::Client { source })?;
        let hidden = hidden
            .iter()
            .map(|secret| secret.expose())
            .chain([url.as_str(), url.path(), url.query().unwrap_or_default()])
            .filter(|text| text.chars().count() >= HIDDEN_CHARS_MIN)
            .map(str::to_owned)
            .collect();
        Ok(Self { client, url, hidden })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// An [`Answer`] that says to try again if no status came back.
    pub(super) async fn post(&self, headers: HeaderMap, body: Vec<u8>) -> Result<Heard, Answer> {
        let request =
            self.client.post(self.url.clone()).headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        let mut response = request.send().await.map_err(|error| unanswered(self.show(&describe(error))))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (body, broken) = read_head(&mut response).await;
        let broken = broken.map(|error| self.show(&describe(error)));
        let shown = self.show(&body);
        Ok(Heard { status, body, retry_after, shown, broken })
    }

    /// `text` without secrets and control characters, cut.
    fn show(&self, text: &str) -> String {
        let text = self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"));
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        cut(line.trim(), SHOWN_CHARS_MAX)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Endpoint({})", self.url.host_str().unwrap_or_default())
    }
}

impl Heard {
    /// What the status means, and that a yes cut short is none: whether the receiver kept the message is
    /// unknown, and it knows a second copy by its id.
    pub(super) fn classify(self, now: Now) -> Answer {
        match self.doubt() {
            Some(failure) => unanswered(failure.to_owned()),
            None => classify(self.status, self.retry_after.as_deref(), &self.shown, now),
        }
    }

    /// What cut a yes short, if that happened. A no needs no more than its status.
    pub(super) fn doubt(&self) -> Option<&str> {
        self.broken.as_deref().filter(|_| (200..300).contains(&self.status))
    }

    /// What people are shown.
    pub(super) fn reply(self) -> Reply {
        Reply { status: Some(self.status), text: self.shown }
    }
}

/// `text`, at most `chars_max` characters long, with an ellipsis where it was cut.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut head: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    head.push('…');
    head
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The body up to [`BODY_BYTES_MAX`], and what broke it off.
async fn read_head(response: &mut Response) -> (String, Option<reqwest::Error>) {
    let mut head = Vec::new();
    let mut broken = None;
    while head.len() < BODY_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => head.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX - head.len())]),
            Ok(None) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    (String::from_utf8_lossy(&head).into_owned(), broken)
}

/// A failure with its causes, without the address.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(url: &str, clear: Clear) -> String {
        Endpoint::new(url, clear, TIMEOUT, &[]).unwrap_err().to_string()
    }

    #[test]
    fn plain_http_is_for_this_machine_only_unless_said_otherwise() {
        for url in
            ["http://127.0.0.1:1/x", "http://127.9.9.9/", "http://[::1]/", "http://localhost/", "https://a.example/"]
        {
            assert!(Endpoint::new(url, Clear::Loopback, TIMEOUT, &[]).is_ok(), "{url}");
        }
        for url in ["http://a.example/", "http://10.0.0.1/", "http://localhost.example/", "http://[::2]/"] {
            assert!(refuse(url, Clear::Loopback).contains("not https"), "{url}");
            assert!(Endpoint::new(url, Clear::Anywhere, TIMEOUT, &[]).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_address_is_refused_without_being_quoted() {
        for url in ["", "hook-secret", "ftp://a.example/hook-secret", "https://", "https://u:hook-secret@a.example/"] {
            let error = refuse(url, Clear::Anywhere);
            assert!(error.starts_with("url: ") && !error.contains("hook-secret"), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_shown_is_one_line_without_secrets_and_short() {
        let token = Secret::from_text("sesame-sesame".to_owned()).read().unwrap();
        let url = "https://a.example/services/T0/B0/hush?key=hush-hush";
        let endpoint = Endpoint::new(url, Clear::Loopback, TIMEOUT, &[&token]).unwrap();
        let shown = endpoint.show(&format!("no {url}\r\n/services/T0/B0/hush sesame-sesame {}", "é".repeat(600)));
        assert!(shown.starts_with("no [secret]  [secret] [secret] éé"), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN_CHARS_MAX);
        assert_eq!(format!("{endpoint:?}"), "Endpoint(a.example)");
    }

    #[test]
    fn a_cut_counts_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
