//! `source.kafka`: the topics events are read from. Parsed into types that cannot be wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// What the source sets itself: the guarantees rest on these.
const OURS: [&str; 10] = [
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "statistics.interval.ms",
];

/// Topics of Apache Kafka, read as a member of a consumer group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Addresses of some brokers, such as `kafka-1:9092`; the others are found through them.
    pub brokers: Names,
    /// Topics to read, all partitions of each.
    pub topics: Names,
    /// Consumer group. Instances with the same group share the partitions.
    pub group: String,
    /// Longest wait for a batch to fill. Longer trades delay for throughput. Default `100ms`.
    #[serde(with = "humantime_serde", default = "linger")]
    pub linger: Duration,
    /// More librdkafka properties by name, values as strings, such as `security.protocol: sasl_plaintext`.
    #[serde(default)]
    pub client: Properties,
}

/// At least one name, none blank.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Names(Vec<String>);

/// librdkafka properties that the source does not set itself. Values may be secret and are never shown.
#[derive(Clone, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Properties(BTreeMap<String, String>);

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An empty list, or a blank name in it.
    #[error("a list is empty or holds a blank name")]
    Names,
    /// A property on which the guarantees rest.
    #[error("librdkafka property {0} is set by the source itself")]
    Property(String),
}

impl Names {
    /// The names, in the order of the config.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl TryFrom<Vec<String>> for Names {
    type Error = SettingsError;

    fn try_from(names: Vec<String>) -> Result<Self, SettingsError> {
        let blank = names.iter().any(|name| name.trim().is_empty());
        if names.is_empty() || blank { Err(SettingsError::Names) } else { Ok(Self(names)) }
    }
}

impl Properties {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Properties {
    type Error = SettingsError;

    fn try_from(properties: BTreeMap<String, String>) -> Result<Self, SettingsError> {
        match properties.keys().find(|name| OURS.contains(&name.as_str())) {
            Some(name) => Err(SettingsError::Property(name.clone())),
            None => Ok(Self(properties)),
        }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

fn linger() -> Duration {
    Duration::from_millis(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_property_is_never_shown() {
        let settings =
            read(r#"{"brokers":["b:9092"],"topics":["t"],"group":"g","client":{"sasl.password":"hunter2"}}"#).unwrap();
        let shown = format!("{settings:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        for (json, complaint) in [
            (r#"{"brokers":[],"topics":["t"],"group":"g"}"#, "a list is empty"),
            (r#"{"brokers":["b"],"topics":[" "],"group":"g"}"#, "holds a blank name"),
            (r#"{"brokers":["b"],"topics":["t"]}"#, "missing field `group`"),
            (r#"{"brokers":["b"],"topics":["t"],"group":"g","topic":"t"}"#, "unknown field `topic`"),
            (
                r#"{"brokers":["b"],"topics":["t"],"group":"g","client":{"enable.auto.commit":"true"}}"#,
                "enable.auto.commit is set by the source itself",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(complaint), "{json}: {error}");
        }
    }
}
