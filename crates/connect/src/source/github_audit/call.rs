//! One question to GitHub, and what it means when the answer is no.

use std::time::Duration;

use engine::time::{Span, Timestamp};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;

use crate::source::{Remedy, SourceError};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer: a hundred entries have some hundred KB.
const BYTES_MAX: usize = 32 << 20;
/// Wait after a limit that names no time, as GitHub asks for.
const PAUSE: Span = Span::seconds(60);
/// Longest wait that an answer may ask for: limits are of an hour, and a clock that is wrong must not silence the source.
const PAUSE_MOST: Span = Span::seconds(3_600);
/// How much of what GitHub says is passed on.
const SAID_CHARS: usize = 300;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Too many questions: none before that moment.
    Limited(SourceError, Timestamp),
    /// The question itself is refused; with a page, because its cursor has aged.
    Refused(SourceError),
    /// The token is not taken, though it may have been a moment ago.
    Unauthorised(SourceError),
    /// Anything else.
    Failed(SourceError),
}

impl Trouble {
    pub(super) fn error(self) -> SourceError {
        match self {
            Self::Limited(error, _) | Self::Refused(error) | Self::Unauthorised(error) | Self::Failed(error) => error,
        }
    }
}

/// A yes: its body, what else it says, and when the next question may come.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// None before that moment, where this one was the last that the limit allows.
    pub(super) not_before: Option<Timestamp>,
}

/// A client that follows nobody and never waits for ever.
pub(super) fn client() -> Result<Client, SourceError> {
    let built = Client::builder()
        .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build();
    built.map_err(|error| broken("prepare HTTPS".to_owned(), error))
}

/// A thing that a person has to mend.
pub(super) fn broken(doing: String, error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError { doing, remedy: Remedy::Person, source: Some(Box::new(error)) }
}

/// Something that is likely to pass.
pub(super) fn passing(doing: String) -> SourceError {
    SourceError { doing, remedy: Remedy::Wait, source: None }
}

/// Asks. `doing` says what for, `needs` what the token must be allowed for it.
pub(super) async fn call(request: RequestBuilder, doing: &str, needs: &str, now: Timestamp) -> Result<Answer, Trouble> {
    let lost = |error: reqwest::Error| {
        // What is searched for is nobody's business in a log.
        let source = Some(error.without_url().into());
        Trouble::Failed(SourceError { doing: doing.to_owned(), remedy: Remedy::Wait, source })
    };
    let request = request.header("accept", "application/vnd.github+json").header("x-github-api-version", "2022-11-28");
    let mut answer = request.send().await.map_err(lost)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(lost)? {
        body.extend_from_slice(&piece);
        if body.len() > BYTES_MAX {
            return Err(Trouble::Failed(passing(format!("{doing}: the answer is above {BYTES_MAX} bytes"))));
        }
    }
    if !status.is_success() {
        return Err(refused(status, &headers, &body, doing, needs, now));
    }
    let not_before = is_used_up(&headers).then(|| reset(&headers, now)).flatten();
    Ok(Answer { headers, body, not_before })
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn is_used_up(headers: &HeaderMap) -> bool {
    number(headers, "x-ratelimit-remaining") == Some(0)
}

/// When the limit begins anew.
fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let moment = Timestamp::from_millis(number(headers, "x-ratelimit-reset")?.saturating_mul(1_000));
    // The second that is named is still the old hour's.
    Some(moment.plus(Span::seconds(1)).min(now.plus(PAUSE_MOST)))
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8], doing: &str, needs: &str, now: Timestamp) -> Trouble {
    let said = said(body);
    // A secondary limit is told by a wait, or in words alone.
    let after = number(headers, "retry-after").map(|seconds| now.plus(seconds_of(seconds)));
    let is_limit = || is_used_up(headers) || after.is_some() || said.to_ascii_lowercase().contains("rate limit");
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FORBIDDEN && is_limit() {
        let at_reset = || reset(headers, now).filter(|_| is_used_up(headers));
        let until = after.or_else(at_reset).unwrap_or_else(|| now.plus(PAUSE)).max(now);
        let doing = format!("{doing}: GitHub limits questions until {until}{said}");
        return Trouble::Limited(passing(doing), until);
    }
    let advice = match status {
        StatusCode::UNAUTHORIZED => "; the token is wrong, revoked or has expired".to_owned(),
        StatusCode::FORBIDDEN => format!("; {needs}"),
        StatusCode::NOT_FOUND => format!("; the name is wrong, its plan has no audit log API, or {needs}"),
        _ if status.is_redirection() => {
            let place = headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("elsewhere");
            format!("; it has moved to {place}: give its new name or address")
        }
        _ => String::new(),
    };
    let remedy = if status.is_server_error() { Remedy::Wait } else { Remedy::Person };
    let doing = format!("{doing}: status {}{said}{advice}", status.as_u16());
    let error = SourceError { doing, remedy, source: None };
    match status {
        StatusCode::UNAUTHORIZED => Trouble::Unauthorised(error),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::GONE => {
            Trouble::Refused(error)
        }
        _ => Trouble::Failed(error),
    }
}

fn seconds_of(seconds: i64) -> Span {
    let most = PAUSE_MOST.micros() / 1_000_000;
    Span::from_micros(seconds.clamp(1, most) * 1_000_000)
}

/// What GitHub says itself, in so far as it is said.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    serde_json::from_slice::<Said>(body).map_or_else(
        |_| String::new(),
        |said| {
            format!(
                ": {}",
                said.message.chars().filter(|letter| !letter.is_control()).take(SAID_CHARS).collect::<String>()
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn trouble(status: u16, headers: &[(&'static str, String)], message: &str) -> Trouble {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let body = serde_json::json!({"message": message}).to_string();
        refused(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), "ask", "it needs a right", now())
    }

    #[test]
    fn every_sort_of_limit_is_waited_for_as_long_as_it_asks() {
        let reset = (now().millis() / 1_000 + 600).to_string();
        let left = |left: &str| ("x-ratelimit-remaining", left.to_owned());
        let at = ("x-ratelimit-reset", reset);
        for (status, headers, message, seconds, why) in [
            (403, vec![left("0"), at.clone()], "API rate limit exceeded", 601, "the hour's limit"),
            (429, vec![left("0"), at.clone()], "", 601, "the hour's limit, as it is told today"),
            (
                403,
                vec![left("9"), at.clone(), ("retry-after", "30".to_owned())],
                "",
                30,
                "a secondary limit with a wait",
            ),
            (403, vec![left("9"), at.clone()], "You have exceeded a secondary rate limit", 60, "one without"),
            (429, vec![], "", 60, "nothing but the status"),
            (429, vec![("retry-after", "999999".to_owned())], "", 3_600, "a wait that nobody can mean"),
            (403, vec![left("0"), ("x-ratelimit-reset", "9999999999".to_owned())], "", 3_600, "a clock that is wrong"),
            (403, vec![left("0"), ("x-ratelimit-reset", "7".to_owned())], "", 0, "one that is over"),
        ] {
            let Trouble::Limited(error, until) = trouble(status, &headers, message) else { panic!("{why}") };
            assert_eq!(until.since(now()), Span::seconds(seconds), "{why}");
            assert_eq!(error.remedy, Remedy::Wait, "{why}");
        }
    }

    #[test]
    fn all_else_says_what_to_do() {
        let left = [("x-ratelimit-remaining", "1700".to_owned())];
        for (status, words, remedy) in [
            (401, "status 401: Bad words; the token is wrong, revoked or has expired", Remedy::Person),
            (403, "status 403: Bad words; it needs a right", Remedy::Person),
            (404, "its plan has no audit log API, or it needs a right", Remedy::Person),
            (301, "it has moved to elsewhere", Remedy::Person),
            (502, "status 502: Bad words", Remedy::Wait),
        ] {
            let error = trouble(status, &left, "Bad\n words").error();
            assert!(error.doing.contains(words), "{status}: {}", error.doing);
            assert_eq!(error.remedy, remedy, "{status}");
        }
    }
}
