//! `source.github_audit`: whose audit log, by whose right, and how eagerly.

use std::time::Duration;

use serde::Deserialize;

use crate::secret::Secret;

/// The audit log of a GitHub organisation or enterprise, asked for by its API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The organisation's name; or give `enterprise`.
    #[serde(default)]
    pub organization: Option<String>,
    /// The enterprise's name, in place of `organization`.
    #[serde(default)]
    pub enterprise: Option<String>,
    /// A token that may read the log: fine-grained with the organisation permission Administration (read), or classic with
    /// the scope `read:audit_log`. Read anew for each question, so that one in a file may be exchanged. Or give `app`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A GitHub App that may read the log, in place of `token`.
    #[serde(default)]
    pub app: Option<App>,
    /// Which entries: `web`, `git` or `all`.
    #[serde(default = "include")]
    pub include: Include,
    /// Time between two looks at the newest entries.
    #[serde(with = "humantime_serde", default = "poll")]
    pub poll: Duration,
    /// How late an entry may appear in the log, behind newer ones, and still be found.
    #[serde(with = "humantime_serde", default = "overlap")]
    pub overlap: Duration,
    /// How far back the first look of all goes.
    #[serde(with = "humantime_serde", default = "first")]
    pub first: Duration,
    /// Most questions an hour, each for a hundred entries. GitHub answers 1,750 for a user and address, other tools included.
    #[serde(default = "requests")]
    pub requests_per_hour: u32,
    /// The API's address; for GitHub Enterprise Server such as `https://github.example.org/api/v3`.
    #[serde(default = "endpoint")]
    pub endpoint: String,
}

/// `app`: a GitHub App with the organisation permission Administration (read), installed in the organisation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The app's client id, or its number.
    pub id: String,
    /// Its private key as GitHub hands it out, best `{file: path}`.
    pub key: Secret,
    /// The number of its installation. Without it the organisation's is asked for; an enterprise's must be given.
    #[serde(default)]
    pub installation: Option<u64>,
}

/// Which entries of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// Settings, members, repositories.
    Web,
    /// Clones, fetches and pushes.
    Git,
    /// Both.
    All,
}

impl Include {
    /// As the API writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Git => "git",
            Self::All => "all",
        }
    }
}

/// Faster than a look can be answered.
const POLL_LEAST: Duration = Duration::from_secs(2);

/// What GitHub allows an app of a large enterprise.
const REQUESTS_MOST: u32 = 15_000;

impl Settings {
    /// What cannot be meant, and how to mend it.
    #[must_use]
    pub fn nonsense(&self) -> Option<String> {
        let given: Vec<&String> = [&self.organization, &self.enterprise].into_iter().flatten().collect();
        let [name] = given.as_slice() else {
            return Some("github_audit: give exactly one of organization, enterprise".to_owned());
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Some(format!("github_audit: {name:?} is no name of an organisation or enterprise"));
        }
        if self.token.is_some() == self.app.is_some() {
            return Some("github_audit: give exactly one of token, app".to_owned());
        }
        if self.enterprise.is_some() && self.app.as_ref().is_some_and(|app| app.installation.is_none()) {
            return Some(
                "github_audit.app.installation: give its number, GitHub tells only an organisation's".to_owned(),
            );
        }
        if self.poll < POLL_LEAST {
            return Some("github_audit.poll: give 2s or more".to_owned());
        }
        if !(1..=REQUESTS_MOST).contains(&self.requests_per_hour) {
            return Some(format!("github_audit.requests_per_hour: give 1 to {REQUESTS_MOST}"));
        }
        (!is_private(&self.endpoint))
            .then(|| "github_audit.endpoint: give an https address, as the token crosses the network".to_owned())
    }

    /// Where the log is, below the API's address. Names the position too: another log has another.
    pub(super) fn path(&self) -> String {
        match (&self.organization, &self.enterprise) {
            (Some(name), _) => format!("orgs/{name}"),
            (None, name) => format!("enterprises/{}", name.as_deref().unwrap_or_default()),
        }
    }

    /// A path of the API.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint.trim_end_matches('/'))
    }
}

/// Whether nobody on the way can read what is sent there.
fn is_private(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let is_here = || url.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    url.scheme() == "https" || url.scheme() == "http" && is_here()
}

fn include() -> Include {
    Include::All
}

fn poll() -> Duration {
    Duration::from_secs(30)
}

fn overlap() -> Duration {
    Duration::from_secs(600)
}

fn first() -> Duration {
    Duration::from_secs(86_400)
}

fn requests() -> u32 {
    900
}

fn endpoint() -> String {
    "https://api.github.com".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonsense(json: &str) -> Option<String> {
        let settings: Settings = serde_json::from_str(json).unwrap();
        settings.nonsense()
    }

    #[test]
    fn a_log_and_a_right_to_read_it_must_be_given_and_no_more() {
        for json in [
            r#"{"organization":"acme","token":"t"}"#,
            r#"{"enterprise":"acme-corp","token":"t","endpoint":"https://github.example.org/api/v3/"}"#,
            r#"{"organization":"acme","app":{"id":"Iv1.8a61f9b3a7aba766","key":"k"}}"#,
            r#"{"organization":"acme","token":"t","endpoint":"http://127.0.0.1:80"}"#,
        ] {
            assert_eq!(nonsense(json), None, "{json}");
        }
    }

    #[test]
    fn settings_that_mean_nothing_are_told_with_their_remedy() {
        for (json, complaint) in [
            (r#"{"token":"t"}"#, "exactly one of organization, enterprise"),
            (r#"{"organization":"a","enterprise":"b","token":"t"}"#, "exactly one of organization, enterprise"),
            (r#"{"organization":"a/../b","token":"t"}"#, "no name"),
            (r#"{"organization":"a"}"#, "exactly one of token, app"),
            (r#"{"organization":"a","token":"t","app":{"id":"1","key":"k"}}"#, "exactly one of token, app"),
            (r#"{"enterprise":"a","app":{"id":"1","key":"k"}}"#, "app.installation"),
            (r#"{"organization":"a","token":"t","poll":"1s"}"#, "2s or more"),
            (r#"{"organization":"a","token":"t","requests_per_hour":0}"#, "1 to 15000"),
            (r#"{"organization":"a","token":"t","endpoint":"http://github.example.org"}"#, "https"),
            (r#"{"organization":"a","token":"t","endpoint":"http://127.0.0.1.example.org"}"#, "https"),
        ] {
            let told = nonsense(json).unwrap_or_default();
            assert!(told.contains(complaint), "{json}: {told:?}");
        }
    }

    #[test]
    fn the_log_is_below_the_address_that_is_given() {
        let settings: Settings =
            serde_json::from_str(r#"{"enterprise":"acme","token":"t","endpoint":"https://ghes.example/api/v3/"}"#)
                .unwrap();
        assert_eq!(settings.url(&settings.path()), "https://ghes.example/api/v3/enterprises/acme");
    }
}
