//! `source.s3`: which objects to list and read. Parsed into types that cannot be wrong.

use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde::Deserialize;

use crate::source::aws::Role;

/// Objects of a bucket of Amazon S3, found by listing: to read what is old, and where nothing notifies of what is new.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the bucket.
    pub bucket: String,
    /// How keys begin. A `*` stands for any name between two slashes: `AWSLogs/*/CloudTrail/*/` finds every account and
    /// region, each of which is a partition. Without any, all keys are read.
    #[serde(default)]
    pub prefixes: Prefixes,
    /// AWS region. Default: what the environment or the profile says.
    pub region: Option<String>,
    /// Another address for S3, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// A role to assume, such as one of another account.
    pub role: Option<Role>,
    /// Where the very first start begins: objects written since then (`1h` ago, `2026-11-20T00:00:00Z`), or a key,
    /// counted from the prefix, such as `2026/11/20`. Default `1h`.
    #[serde(default)]
    pub start: Begin,
    /// How much later than others an object may come under a key that sorts before theirs, and still be found. Default
    /// `1h`.
    #[serde(with = "humantime_serde", default = "overlap")]
    pub overlap: Duration,
    /// Time between two listings. Default `1m`.
    #[serde(with = "humantime_serde", default = "poll")]
    pub poll: Duration,
    /// Whether to end once everything that is there was read.
    #[serde(default)]
    pub once: bool,
    /// Longest record in bytes; a longer one is refused alone.
    #[serde(default = "record_bytes_max")]
    pub record_bytes_max: usize,
    /// Largest object in MiB, unpacked. Objects are read as a stream, so this is no matter of memory.
    #[serde(default = "object_mib_max")]
    pub object_mib_max: u64,
}

/// How keys begin, at least one way; a `*` is all that stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Prefixes(Vec<String>);

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A star beside other letters.
    #[error("prefix {0:?}: a * stands for a whole name between two slashes, such as AWSLogs/*/CloudTrail/*/")]
    Star(String),
    /// One that is named twice.
    #[error("prefix {0:?} is named twice")]
    Twice(String),
}

impl Default for Prefixes {
    fn default() -> Self {
        Self(vec![String::new()])
    }
}

impl TryFrom<Vec<String>> for Prefixes {
    type Error = SettingsError;

    fn try_from(prefixes: Vec<String>) -> Result<Self, SettingsError> {
        let is_odd = |name: &str| name.contains('*') && name != "*";
        if let Some(odd) = prefixes.iter().find(|prefix| prefix.split('/').any(is_odd)) {
            return Err(SettingsError::Star(odd.clone()));
        }
        let is_twice = |(place, prefix): &(usize, &String)| prefixes[..*place].contains(prefix);
        if let Some((_, twice)) = prefixes.iter().enumerate().find(is_twice) {
            return Err(SettingsError::Twice(twice.clone()));
        }
        Ok(if prefixes.is_empty() { Self::default() } else { Self(prefixes) })
    }
}

impl Prefixes {
    /// Each as the configuration writes it.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

/// Where reading begins when nothing is stored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Begin {
    /// With objects that were written this long before the first start.
    Ago(Span),
    /// With objects that were written at a moment.
    At(Timestamp),
    /// Behind a key, counted from each prefix.
    Key(String),
}

impl Default for Begin {
    fn default() -> Self {
        Self::Ago(Span::seconds(3_600))
    }
}

impl From<String> for Begin {
    fn from(text: String) -> Self {
        match (text.parse(), text.parse()) {
            (Ok(ago), _) => Self::Ago(ago),
            (Err(_), Ok(moment)) => Self::At(moment),
            (Err(_), Err(_)) => Self::Key(text),
        }
    }
}

impl Begin {
    /// The first moment to read, seen from `now`.
    pub(super) fn since(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.minus(*span),
            Self::At(moment) => *moment,
            Self::Key(_) => Timestamp::EARLIEST,
        }
    }
}

fn overlap() -> Duration {
    Duration::from_secs(3_600)
}

fn poll() -> Duration {
    Duration::from_secs(60)
}

fn record_bytes_max() -> usize {
    1 << 20
}

fn object_mib_max() -> u64 {
    1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_a_length_of_time_a_moment_or_a_key() {
        let moment = "2026-11-20T00:00:00Z".parse().unwrap();
        for (text, begin) in [
            ("24h", Begin::Ago(Span::seconds(86_400))),
            ("2026-11-20T00:00:00Z", Begin::At(moment)),
            ("2026/11/20", Begin::Key("2026/11/20".to_owned())),
            ("", Begin::Key(String::new())),
        ] {
            assert_eq!(Begin::from(text.to_owned()), begin, "{text}");
        }
        assert_eq!(Begin::default().since(moment), moment.minus(Span::seconds(3_600)));
    }

    #[test]
    fn only_the_bucket_must_be_given_and_unknown_keys_are_refused() {
        let settings: Settings = serde_json::from_str(r#"{"bucket":"logs"}"#).unwrap();
        assert_eq!((settings.poll, settings.once), (Duration::from_secs(60), false));
        let error = serde_json::from_str::<Settings>(r#"{"bucket":"logs","prefix":"a"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `prefix`"), "{error}");
    }

    #[test]
    fn a_star_is_a_whole_name_between_slashes() {
        let read =
            |prefixes: &[&str]| Prefixes::try_from(prefixes.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&[]).unwrap().all(), [""]);
        assert_eq!(read(&["AWSLogs/*/CloudTrail/*/"]).unwrap().all(), ["AWSLogs/*/CloudTrail/*/"]);
        assert!(read(&["AWSLogs/12*/"]).unwrap_err().to_string().contains("\"AWSLogs/12*/\""));
        assert!(read(&["a/", "a/"]).unwrap_err().to_string().contains("twice"));
    }
}
