//! `source.cloudwatch`: what to read and how eagerly. Parsed into types that cannot be wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde::Deserialize;

use crate::source::aws::Role;

/// Log groups of Amazon CloudWatch Logs, read with FilterLogEvents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Log groups to read: names, or ARNs for groups of a linked account. These, or `log_group_prefixes`, or both.
    pub log_groups: Option<LogGroups>,
    /// All log groups whose names begin so, 500 at most; new ones are looked for every 5 min. Needs the right
    /// `logs:DescribeLogGroups`.
    pub log_group_prefixes: Option<LogGroups>,
    /// AWS region, such as `eu-central-1`. Default: what the environment or the profile says.
    pub region: Option<String>,
    /// Another address for the service, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// A role to assume, such as one of another account.
    pub role: Option<Role>,
    /// How late an event may become readable and still be found. Default `10m`; for CloudTrail set `30m`.
    #[serde(with = "humantime_serde", default = "overlap")]
    pub overlap: Duration,
    /// Where the very first start begins: how far back (`1h`), or a moment (`2026-11-20T00:00:00Z`).
    /// Default `1h`.
    #[serde(default)]
    pub start: Start,
    /// Time between two looks at the newest events. Default `5s`.
    #[serde(with = "humantime_serde", default = "poll")]
    pub poll: Duration,
    /// Time between two looks at the whole `overlap`. Default `5m`.
    #[serde(with = "humantime_serde", default = "reconcile")]
    pub reconcile: Duration,
    /// Time between two looks at the last 24 h, page by page: they find what came later than `overlap`, count it in
    /// `lapwing_source_late_total` and hand it over. One looks at what was read since the start. Default `1d`.
    #[serde(with = "humantime_serde", default = "audit")]
    pub audit: Duration,
    /// Whether Live Tail tells when something came to one of the first 10 `log_groups`, which are then looked at once. A
    /// hint only: whatever it says is read as ever. AWS charges a session by the minute, about 14 USD a day. Needs the rights
    /// `logs:StartLiveTail` and `logs:DescribeLogGroups`. Default false.
    #[serde(default)]
    pub live_tail: bool,
    /// Most requests a second, over all groups of all sources that read the same account and region: of several, the
    /// lowest counts. Default 2: AWS allows about 5 for an account and region, and every other tool there shares them.
    #[serde(default)]
    pub requests_per_second: Rate,
}

/// At least one log group, none twice.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct LogGroups(Vec<String>);

/// Where reading begins when nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Start {
    /// This long before the first start.
    Ago(Span),
    /// At a moment.
    At(Timestamp),
}

/// Requests a second: above 0, at most 100.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(f64);

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No group at all.
    #[error("a list of log groups or of prefixes is empty")]
    NoGroup,
    /// A blank name, or one named twice.
    #[error("log group or prefix {0:?} is blank or named twice")]
    Group(String),
    /// Neither a length of time nor a moment.
    #[error("start {0:?} is neither a length of time such as 1h nor an RFC 3339 time")]
    Start(String),
    /// Out of range.
    #[error("requests_per_second {0} is not above 0 and at most 100")]
    Rate(f64),
}

impl Settings {
    /// The groups that are named.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        self.log_groups.as_ref().map_or(&[], LogGroups::names)
    }

    /// How names of further groups begin.
    #[must_use]
    pub fn prefixes(&self) -> &[String] {
        self.log_group_prefixes.as_ref().map_or(&[], LogGroups::names)
    }
}

impl LogGroups {
    /// Their names, in the order of the config.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for LogGroups {
    type Error = SettingsError;

    fn try_from(names: Vec<String>) -> Result<Self, SettingsError> {
        let mut once = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| name.trim().is_empty() || !once.insert(name.as_str())) {
            return Err(SettingsError::Group(name.clone()));
        }
        if names.is_empty() { Err(SettingsError::NoGroup) } else { Ok(Self(names)) }
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::Ago(Span::seconds(3_600))
    }
}

impl TryFrom<String> for Start {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        match (text.parse(), text.parse()) {
            (Ok(ago), _) => Ok(Self::Ago(ago)),
            (Err(_), Ok(moment)) => Ok(Self::At(moment)),
            (Err(_), Err(_)) => Err(SettingsError::Start(text)),
        }
    }
}

impl Start {
    /// The first moment to read, seen from `now`.
    #[must_use]
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.minus(span),
            Self::At(moment) => moment,
        }
    }
}

impl Rate {
    /// Requests a second.
    #[must_use]
    pub fn a_second(self) -> f64 {
        self.0
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self(2.0)
    }
}

impl TryFrom<f64> for Rate {
    type Error = SettingsError;

    fn try_from(rate: f64) -> Result<Self, SettingsError> {
        if rate > 0.0 && rate <= 100.0 { Ok(Self(rate)) } else { Err(SettingsError::Rate(rate)) }
    }
}

fn overlap() -> Duration {
    Duration::from_secs(600)
}

fn poll() -> Duration {
    Duration::from_secs(5)
}

fn reconcile() -> Duration {
    Duration::from_secs(300)
}

fn audit() -> Duration {
    Duration::from_secs(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_log_groups_or_their_prefixes_must_be_given() {
        let settings = read(r#"{"log_groups":["trail"]}"#).unwrap();
        assert_eq!(settings.overlap, Duration::from_secs(600));
        assert_eq!(settings.start, Start::Ago(Span::seconds(3_600)));
        assert_eq!(settings.requests_per_second.a_second(), 2.0);
        let settings = read(r#"{"log_group_prefixes":["/aws/lambda/"]}"#).unwrap();
        assert_eq!((settings.groups(), settings.prefixes()), (&[][..], &["/aws/lambda/".to_owned()][..]));
    }

    #[test]
    fn start_is_a_length_of_time_or_a_moment() {
        let settings = read(r#"{"log_groups":["trail"],"start":"2026-11-20T00:00:00Z"}"#).unwrap();
        assert_eq!(settings.start, Start::At("2026-11-20T00:00:00Z".parse().unwrap()));
        let now = Timestamp::from_millis(7_200_000);
        assert_eq!(Start::Ago(Span::seconds(3_600)).moment(now), Timestamp::from_millis(3_600_000));
    }

    #[test]
    fn settings_that_mean_nothing_are_refused_with_their_value() {
        for (json, complaint) in [
            (r#"{"log_groups":[]}"#, "is empty"),
            (r#"{"log_groups":["a","a"]}"#, "\"a\" is blank or named twice"),
            (r#"{"log_groups":["a"],"start":"monday"}"#, "start \"monday\""),
            (r#"{"log_groups":["a"],"requests_per_second":0}"#, "requests_per_second 0"),
            (r#"{"log_groups":["a"],"overlap":"soon"}"#, "invalid value"),
            (r#"{"log_groups":["a"],"polling":"5s"}"#, "unknown field `polling`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(complaint), "{json}: {error}");
        }
    }
}
