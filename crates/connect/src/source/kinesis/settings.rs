//! `source.kinesis`: which stream, and where to begin. Parsed into types that cannot be wrong.

use std::fmt;
use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde::Deserialize;

use crate::source::aws::Role;

/// Longest name that AWS gives a stream.
const NAME_LENGTH_MAX: usize = 128;

/// A data stream of Amazon Kinesis, all shards of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The stream, by its name or its ARN; by its ARN it may be of another account that lets this one read.
    pub stream: Stream,
    /// AWS region, such as `eu-central-1`. Default: that of the ARN, or what the environment or the profile says.
    pub region: Option<String>,
    /// Another address for the service, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// A role to assume, such as one of another account.
    pub role: Option<Role>,
    /// Where the very first start begins: `trim_horizon` (the oldest record that the stream still holds), how far back
    /// (`6h`), or a moment (`2026-11-20T00:00:00Z`). Default `trim_horizon`: to begin at the newest would leave out what
    /// came before the first look.
    #[serde(default)]
    pub start: Beginning,
    /// Time between two looks at a shard that has no more. Default `1s`: AWS allows five looks a second at each shard, shared
    /// with all other readers.
    #[serde(with = "humantime_serde", default = "poll")]
    pub poll: Duration,
}

/// A stream by name or ARN.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Stream(String);

/// Where reading begins when nothing is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Beginning {
    /// At the oldest record that is there.
    #[default]
    Oldest,
    /// This long before the first start.
    Ago(Span),
    /// At a moment.
    At(Timestamp),
}

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Neither a name nor an ARN of a stream.
    #[error(
        "stream {0:?} is neither a name (letters, digits, `_`, `.`, `-`) nor an ARN such as arn:aws:kinesis:eu-central-1:123456789012:stream/audit"
    )]
    Stream(String),
    /// Events would be left out.
    #[error(
        "start `latest` would leave out what came before the first look: give trim_horizon, or a length of time such as 1h"
    )]
    Latest,
    /// None of the three.
    #[error("start {0:?} is neither trim_horizon, nor a length of time such as 6h, nor an RFC 3339 time")]
    Start(String),
}

impl Stream {
    /// Its name, and nothing of the account.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Its ARN, if it was given by it.
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        self.0.starts_with("arn:").then_some(&self.0)
    }

    /// The region that its ARN names.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.arn()?.split(':').nth(3)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl TryFrom<String> for Stream {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        let is_name = |name: &str| {
            let mut letters = name.bytes();
            (1..=NAME_LENGTH_MAX).contains(&name.len())
                && letters.all(|letter| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter))
        };
        let is_arn = || match text.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "kinesis", region, account, stream] if !region.is_empty() && !account.is_empty() => {
                stream.strip_prefix("stream/").is_some_and(is_name)
            }
            _ => false,
        };
        if is_name(&text) || is_arn() { Ok(Self(text)) } else { Err(SettingsError::Stream(text)) }
    }
}

impl TryFrom<String> for Beginning {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        match (text.as_str(), text.parse(), text.parse()) {
            ("trim_horizon", _, _) => Ok(Self::Oldest),
            ("latest", _, _) => Err(SettingsError::Latest),
            (_, Ok(ago), _) => Ok(Self::Ago(ago)),
            (_, Err(_), Ok(moment)) => Ok(Self::At(moment)),
            (_, Err(_), Err(_)) => Err(SettingsError::Start(text)),
        }
    }
}

impl Beginning {
    /// The first moment to read, seen from `now`; none is all that there is.
    #[must_use]
    pub fn moment(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Oldest => None,
            Self::Ago(span) => Some(now.minus(span)),
            Self::At(moment) => Some(moment),
        }
    }
}

fn poll() -> Duration {
    Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_stream_must_be_given_and_nothing_is_left_out() {
        let settings = read(r#"{"stream":"audit"}"#).unwrap();
        assert_eq!((settings.start, settings.poll), (Beginning::Oldest, Duration::from_secs(1)));
        assert_eq!((settings.stream.name(), settings.stream.arn(), settings.stream.region()), ("audit", None, None));
    }

    #[test]
    fn an_arn_says_which_region() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/audit.log";
        let settings = read(&format!(r#"{{"stream":"{arn}","start":"6h"}}"#)).unwrap();
        assert_eq!((settings.stream.arn(), settings.stream.region()), (Some(arn), Some("eu-west-1")));
        assert_eq!(settings.stream.to_string(), "audit.log");
        let now = Timestamp::from_millis(36_000_000);
        assert_eq!(settings.start.moment(now), Some(Timestamp::from_millis(14_400_000)));
    }

    #[test]
    fn settings_that_mean_nothing_are_refused_with_what_to_do() {
        for (json, complaint) in [
            (r#"{"stream":""}"#, "neither a name"),
            (r#"{"stream":"a b"}"#, "\"a b\" is neither a name"),
            (r#"{"stream":"arn:aws:kinesis:eu-west-1::stream/a"}"#, "nor an ARN such as"),
            (r#"{"stream":"arn:aws:sqs:eu-west-1:1:a"}"#, "nor an ARN such as"),
            (r#"{"stream":"a","start":"latest"}"#, "would leave out"),
            (r#"{"stream":"a","start":"monday"}"#, "neither trim_horizon"),
            (r#"{"stream":"a","shard":1}"#, "unknown field `shard`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(complaint), "{json}: {error}");
        }
    }
}
