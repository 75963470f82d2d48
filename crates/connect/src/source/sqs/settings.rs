//! `source.sqs`: which queue, and how its messages are treated. Parsed into types that cannot be wrong.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::source::aws::Role;

/// SQS takes nothing else.
const VISIBILITY_MOST: Duration = Duration::from_secs(12 * 3_600);

/// Messages of Amazon SQS: notifications of S3, SNS, EventBridge or CloudTrail about objects, which are read, or events
/// themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The queue, such as `https://sqs.eu-central-1.amazonaws.com/123456789012/lapwing`.
    pub queue_url: String,
    /// AWS region. Default: what the address of the queue says, else the environment or the profile.
    pub region: Option<String>,
    /// Another address for SQS, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// Another address for S3, where the objects are.
    pub s3_endpoint_url: Option<String>,
    /// A role to assume, such as one of another account.
    pub role: Option<Role>,
    /// How long nobody else sees a message that is being read: 1 s to 12 h. It is extended while that goes on, so it
    /// says how soon a message comes again after a crash.
    #[serde(default = "visibility", deserialize_with = "visible")]
    pub visibility: Duration,
    /// After so many times a message whose object is gone, refused or damaged is given up: its name goes to the records
    /// that could not be read. Waits between the times double from 30 s to 15 min.
    #[serde(default = "receives_max")]
    pub receives_max: usize,
    /// Longest record in bytes; a longer one is refused alone.
    #[serde(default = "record_bytes_max")]
    pub record_bytes_max: usize,
    /// Largest object in MiB, unpacked. Objects are read as a stream, so this is no matter of memory.
    #[serde(default = "object_mib_max")]
    pub object_mib_max: u64,
}

impl Settings {
    /// The region of the settings, or that which the address of the queue names.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref().or_else(|| {
            let (_, rest) = self.queue_url.split_once("://sqs.")?;
            rest.split_once(".amazonaws.com").map(|(region, _)| region)
        })
    }
}

fn visibility() -> Duration {
    Duration::from_secs(300)
}

fn receives_max() -> usize {
    10
}

fn record_bytes_max() -> usize {
    1 << 20
}

fn object_mib_max() -> u64 {
    1_024
}

fn visible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let visibility: Duration = humantime_serde::deserialize(deserializer)?;
    if visibility < Duration::from_secs(1) || visibility > VISIBILITY_MOST {
        return Err(serde::de::Error::custom(format!("visibility {visibility:?} is not within 1s and 12h")));
    }
    Ok(visibility)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_address_of_the_queue_says_the_region_unless_a_setting_does() {
        for (json, region) in [
            (r#"{"queue_url":"https://sqs.eu-central-1.amazonaws.com/1/q"}"#, Some("eu-central-1")),
            (r#"{"queue_url":"https://sqs.cn-north-1.amazonaws.com.cn/1/q"}"#, Some("cn-north-1")),
            (r#"{"queue_url":"https://sqs.eu-central-1.amazonaws.com/1/q","region":"x"}"#, Some("x")),
            (r#"{"queue_url":"http://127.0.0.1:5000/1/q"}"#, None),
        ] {
            assert_eq!(read(json).unwrap().region(), region, "{json}");
        }
    }

    #[test]
    fn settings_that_mean_nothing_are_refused_with_their_value() {
        for (json, complaint) in [
            (r#"{}"#, "missing field `queue_url`"),
            (r#"{"queue_url":"q","visibility":"0s"}"#, "visibility 0ns is not within 1s and 12h"),
            (r#"{"queue_url":"q","visibility":"13h"}"#, "is not within 1s and 12h"),
            (r#"{"queue_url":"q","queue":"q"}"#, "unknown field `queue`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(complaint), "{json}: {error}");
        }
    }
}
