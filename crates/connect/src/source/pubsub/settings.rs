//! `source.pubsub`: which subscription, and by whose right.

use std::path::PathBuf;

use serde::Deserialize;

/// A subscription of Google Cloud Pub/Sub, such as one that a sink of Cloud Logging writes to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its full name, such as `projects/acme-logs/subscriptions/lapwing`. Nobody else may read from it.
    pub subscription: Subscription,
    /// `default` finds them as every Google client does: the file that GOOGLE_APPLICATION_CREDENTIALS names, those of
    /// `gcloud auth application-default login`, the machine's or workload's own. Or the path of a file: a service account's
    /// key, or the configuration of workload identity federation. `none` is for an emulator.
    #[serde(default = "credentials")]
    pub credentials: Credentials,
    /// Another address of the service: an emulator's, or a private endpoint.
    #[serde(default = "endpoint")]
    pub endpoint: String,
}

/// `projects/{project}/subscriptions/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Subscription(String);

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Credentials {
    /// From where every Google client looks for them.
    Default,
    /// Nowhere.
    None,
    /// From what this file says.
    File(PathBuf),
}

/// A setting that means nothing.
#[derive(Debug, thiserror::Error)]
#[error("subscription {0:?} is not of the form projects/PROJECT/subscriptions/NAME")]
pub struct NoSubscription(String);

impl Subscription {
    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Subscription {
    type Error = NoSubscription;

    fn try_from(name: String) -> Result<Self, NoSubscription> {
        let is_name = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+%:".contains(&byte))
        };
        match name.split('/').collect::<Vec<_>>().as_slice() {
            ["projects", project, "subscriptions", own] if is_name(project) && is_name(own) => Ok(Self(name)),
            _ => Err(NoSubscription(name)),
        }
    }
}

impl From<String> for Credentials {
    fn from(text: String) -> Self {
        match text.as_str() {
            "default" => Self::Default,
            "none" => Self::None,
            _ => Self::File(text.into()),
        }
    }
}

impl Settings {
    /// What cannot be meant, and how to mend it.
    #[must_use]
    pub fn nonsense(&self) -> Option<String> {
        let Ok(url) = reqwest::Url::parse(&self.endpoint) else {
            return Some(format!(
                "pubsub.endpoint: {:?} is no address, such as https://pubsub.googleapis.com",
                self.endpoint
            ));
        };
        let is_here = url.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
        let is_private = url.scheme() == "https" || is_here || self.credentials == Credentials::None;
        (!is_private).then(|| "pubsub.endpoint: give an https address, as the token crosses the network".to_owned())
    }

    /// The address of the subscription, or of what is done with it.
    pub(super) fn url(&self, verb: &str) -> String {
        format!("{}/v1/{}{verb}", self.endpoint.trim_end_matches('/'), self.subscription.0)
    }
}

fn credentials() -> Credentials {
    Credentials::Default
}

fn endpoint() -> String {
    "https://pubsub.googleapis.com".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_has_its_full_name() {
        for (name, is_one) in [
            ("projects/acme-logs/subscriptions/lapwing", true),
            ("projects/example.org:acme/subscriptions/a_b.c~d+e%25", true),
            ("lapwing", false),
            ("projects/acme/topics/lapwing", false),
            ("projects//subscriptions/lapwing", false),
            ("projects/acme/subscriptions/a/b", false),
            ("projects/acme/subscriptions/a?b", false),
        ] {
            assert_eq!(Subscription::try_from(name.to_owned()).is_ok(), is_one, "{name}");
        }
    }

    #[test]
    fn credentials_are_a_word_or_a_path_and_never_cross_the_network_in_the_open() {
        for (more, complaint) in [
            ("", None),
            (r#","credentials":"/etc/lapwing/gcp.json""#, None),
            (r#","endpoint":"http://emulator:8085","credentials":"none""#, None),
            (r#","endpoint":"http://127.0.0.1:8085""#, None),
            (r#","endpoint":"http://emulator:8085""#, Some("https")),
            (r#","endpoint":"emulator""#, Some("no address")),
        ] {
            let json = format!(r#"{{"subscription":"projects/acme/subscriptions/lapwing"{more}}}"#);
            let settings: Settings = serde_json::from_str(&json).unwrap();
            let told = settings.nonsense();
            assert_eq!(told.is_some(), complaint.is_some(), "{json}: {told:?}");
            assert!(told.unwrap_or_default().contains(complaint.unwrap_or_default()), "{json}");
        }
        assert_eq!(Credentials::from("none".to_owned()), Credentials::None);
        assert_eq!(Credentials::from("key.json".to_owned()), Credentials::File("key.json".into()));
    }
}
