//! `source.digests`: whose digests are verified. Parsed into types that cannot be wrong.

use std::time::Duration;

use serde::Deserialize;

use crate::source::aws::Role;
use crate::source::cloudwatch::Start;
use crate::source::s3::Prefixes;

/// CloudTrail's digests, verified as the chain that they are: a log file or a digest that is missing, altered or unsigned
/// raises an alert. It brings no events; a source of any other system reads those. Each log file is read once more for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the bucket.
    pub bucket: String,
    /// Where digests are, `*` for any name between two slashes. Default `AWSLogs/*/CloudTrail-Digest/*/`, every account
    /// and region; for a trail of an organization `AWSLogs/o-example/*/CloudTrail-Digest/*/`.
    #[serde(default = "prefixes")]
    pub prefixes: Prefixes,
    /// AWS region of the bucket. Default: what the environment or the profile says.
    pub region: Option<String>,
    /// Another address for S3, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// Another address for CloudTrail, which is asked for its public keys.
    pub cloudtrail_endpoint_url: Option<String>,
    /// A role to assume, such as one of another account.
    pub role: Option<Role>,
    /// Where the very first start begins: with digests of so long ago (`24h`), or of a moment
    /// (`2026-11-20T00:00:00Z`). Default `1h`.
    #[serde(default)]
    pub start: Start,
    /// Time between two looks for new digests; CloudTrail writes one an hour. Default `10m`.
    #[serde(with = "humantime_serde", default = "poll")]
    pub poll: Duration,
    /// How long after the last digest of a trail it is an alert that none came. Default `4h`.
    #[serde(with = "humantime_serde", default = "overdue")]
    pub overdue: Duration,
}

fn prefixes() -> Prefixes {
    let everywhere = vec!["AWSLogs/*/CloudTrail-Digest/*/".to_owned()];
    Prefixes::try_from(everywhere).expect("each star stands between slashes")
}

fn poll() -> Duration {
    Duration::from_secs(600)
}

fn overdue() -> Duration {
    Duration::from_secs(14_400)
}
