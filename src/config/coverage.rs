//! What should arrive, as the file says it.

use std::path::PathBuf;
use std::time::Duration;

use engine::event::Kind;
use serde::Deserialize;

/// `coverage`: what should arrive. What never comes, or falls silent, is an alert; without `expect` nobody looks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    /// How long something may take to come for the first time, counted while Lapwing runs.
    #[serde(with = "humantime_serde", default = "grace")]
    pub grace: Duration,
    /// What should arrive: each entry asks for every kind of log of each of its accounts, in each of its regions.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// `expect[]`: some accounts, organisations, projects or clusters, and the kinds of log that each of them sends. Names of
/// accounts come from all of `accounts`, `file` and `organization` that are given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Kinds of log. A row of `file` may name its own.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Whose logs: numbers of AWS accounts, GitHub organisations, GitLab groups, projects of Google Cloud,
    /// subscriptions or tenants of Azure. Records that do not say whose they are (Okta, Kubernetes, pipelines, JSON) count
    /// for the name of their source.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// A file that lists them, read again each minute: CSV with the columns `account`, `name`, `kinds`, `regions` (lists
    /// separated by blanks), or YAML, a list of objects with these members. Only `account` is needed.
    pub file: Option<PathBuf>,
    /// All active accounts of an organisation of AWS, asked again each hour.
    #[cfg(feature = "aws")]
    pub organization: Option<connect::accounts::Settings>,
    /// Regions of each account; a row of `file` may name its own. Without any, one record of any region is enough.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Silence that is an alert, such as `"6h"`. Default: three times the longest usual gap, 1 h at least, and 24 h until
    /// it has been heard for a day.
    #[serde(default, with = "humantime_serde")]
    pub silent_after: Option<Duration>,
}

/// A shorter silence is that of any log, and in less than that nothing comes.
const SILENT_LEAST: Duration = Duration::from_secs(1);

impl Default for Coverage {
    fn default() -> Self {
        Self { grace: grace(), expect: Vec::new() }
    }
}

impl Coverage {
    /// What cannot be meant, and how to mend it.
    pub(super) fn nonsense(&self) -> Option<String> {
        if self.grace < SILENT_LEAST {
            return Some("coverage.grace: give a second or more, such as `2h`".to_owned());
        }
        let (place, message) =
            self.expect.iter().enumerate().find_map(|(place, expect)| Some((place, expect.nonsense()?)))?;
        Some(format!("coverage.expect[{place}]: {message}"))
    }
}

impl Expect {
    /// Whether accounts are to be asked of an organisation.
    pub(crate) fn asks(&self) -> bool {
        #[cfg(feature = "aws")]
        let asks = self.organization.is_some();
        #[cfg(not(feature = "aws"))]
        let asks = false;
        asks
    }

    fn nonsense(&self) -> Option<String> {
        if self.accounts.is_empty() && self.file.is_none() && !self.asks() {
            return Some("say whose logs: give `accounts`, `file` or `organization`".to_owned());
        }
        if self.kinds.is_empty() && (self.file.is_none() || !self.accounts.is_empty() || self.asks()) {
            return Some("kinds: name at least one kind of log, such as aws.cloudtrail".to_owned());
        }
        if self.silent_after.is_some_and(|after| after < SILENT_LEAST) {
            return Some("silent_after: give a second or more, such as `6h`".to_owned());
        }
        let names = self.accounts.iter().chain(&self.regions);
        let blank = names.map(|name| name.trim()).any(str::is_empty);
        blank.then(|| "accounts and regions: a name is blank".to_owned())
    }
}

fn grace() -> Duration {
    Duration::from_secs(3_600)
}
