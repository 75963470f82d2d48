//! The two ledgers beside the road, as the file says them: of credentials and of deploys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::address::Addresses;
use engine::deploys;
use engine::lineage::{self, Net};
use engine::time::Span;
use serde::{Deserialize, Deserializer};

use crate::ledger::BookSettings;

/// `lineage`: where each credential came from, and what it is used for. What is odd about one is an alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lineage {
    /// Whether credentials are followed.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Networks of the runners of pipelines, such as `192.0.2.0/24`. What a pipeline's credential does elsewhere is an
    /// alert; without any here or in `enrichment`, nobody looks.
    #[serde(default, deserialize_with = "nets")]
    pub ci: Vec<Net>,
    /// Networks of the cloud, and private ones in it. What the credentials of an instance or function do elsewhere is an
    /// alert; without any here or in `enrichment`, nobody looks.
    #[serde(default, deserialize_with = "nets")]
    pub cloud: Vec<Net>,
    /// Names of roles that are administrators', beside those to which the log shows that policy.
    #[serde(default)]
    pub admin_roles: Vec<String>,
    /// Days without a use after which a long-lived credential counts as asleep.
    #[serde(default = "dormant_days")]
    pub dormant_days: u32,
    /// Credentials that are known, about 8 KB each: beyond that those leave that were heard of longest ago.
    #[serde(default = "credentials_max")]
    pub credentials_max: usize,
    /// Runs of workflows that are known; beyond that the oldest leave.
    #[serde(default = "credentials_max")]
    pub runs_max: usize,
}

/// `deploys`: what changed what runs, and what explains it. What nothing explains is an alert; without `file` or `policy`
/// nobody looks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploys {
    /// A file with the policy, as `lapwing deploys --policy` reads it.
    pub file: Option<PathBuf>,
    /// The policy itself, as in [deploys.md](deploys.md).
    pub policy: Option<deploys::Policy>,
    /// How long facts are kept; deploys of the later half are judged.
    #[serde(with = "humantime_serde", default = "month")]
    pub kept: Duration,
    /// Most facts of each of four sorts, about 600 bytes each; beyond that the oldest leave, and what they would have
    /// explained is unknown.
    #[serde(default = "facts_max")]
    pub facts_max: usize,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            enabled: true,
            ci: Vec::new(),
            cloud: Vec::new(),
            admin_roles: Vec::new(),
            dormant_days: dormant_days(),
            credentials_max: credentials_max(),
            runs_max: credentials_max(),
        }
    }
}

impl Default for Deploys {
    fn default() -> Self {
        Self { file: None, policy: None, kept: month(), facts_max: facts_max() }
    }
}

impl Lineage {
    /// What cannot be meant, and how to mend it.
    pub(super) fn nonsense(&self) -> Option<String> {
        let too_few = self.credentials_max == 0 || self.runs_max == 0 || self.dormant_days == 0;
        too_few.then(|| "lineage: give 1 or more, or `enabled: false`".to_owned())
    }
}

impl Deploys {
    /// What cannot be meant, and how to mend it.
    pub(super) fn nonsense(&self) -> Option<String> {
        if self.file.is_some() && self.policy.is_some() {
            return Some("deploys: give `file` or `policy`, not both".to_owned());
        }
        if self.kept < Duration::from_secs(86_400) || self.facts_max == 0 {
            return Some("deploys: keep facts for a day at least, and one of each sort".to_owned());
        }
        self.policy.as_ref()?.check().err().map(|error| format!("deploys.policy: {error}"))
    }

    /// The policy, wherever it stands; nothing if nobody asks for one.
    ///
    /// # Errors
    /// When the file cannot be read, or says what cannot be meant.
    fn policy(&self) -> anyhow::Result<Option<deploys::Policy>> {
        match (&self.policy, &self.file) {
            (Some(policy), _) => Ok(Some(policy.clone())),
            (None, Some(file)) => read(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Which ledgers are kept, and how.
///
/// # Errors
/// When the policy of deploys cannot be read.
pub(crate) fn books(lineage: &Lineage, deploys: &Deploys, addresses: Addresses) -> anyhow::Result<BookSettings> {
    let caps = lineage::Caps {
        credentials_max: lineage.credentials_max,
        runs_max: lineage.runs_max,
        ..lineage::Caps::default()
    };
    let policy = lineage::Policy {
        ci: lineage.ci.clone(),
        cloud: lineage.cloud.clone(),
        admin_roles: lineage.admin_roles.clone(),
        dormant_days: i64::from(lineage.dormant_days),
        addresses,
        ..lineage::Policy::default()
    };
    let kept = Span::from_micros(i64::try_from(deploys.kept.as_micros()).unwrap_or(i64::MAX));
    let limits = deploys::Limits { kept, facts_max: deploys.facts_max };
    Ok(BookSettings {
        lineage: lineage.enabled.then_some((caps, policy)),
        deploys: deploys.policy()?.map(|policy| (limits, policy)),
    })
}

/// A policy, with the place of what is wrong in it.
///
/// # Errors
/// When the file cannot be read, or says what cannot be meant.
pub(crate) fn read(path: &Path) -> anyhow::Result<deploys::Policy> {
    use anyhow::Context;

    let text = std::fs::read_to_string(path).with_context(|| format!("read policy {}", path.display()))?;
    let policy: deploys::Policy = yaml_serde::from_str(&text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        anyhow::anyhow!("{}:{line}:{column}: {message}", path.display())
    })?;
    policy.check().with_context(|| format!("read policy {}", path.display()))?;
    Ok(policy)
}

fn nets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Net>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: &String| {
        let says = || serde::de::Error::custom(format!("{text:?} is no network such as 192.0.2.0/24"));
        text.parse().map_err(|_| says())
    };
    texts.iter().map(read).collect()
}

fn yes() -> bool {
    true
}

fn dormant_days() -> u32 {
    90
}

fn credentials_max() -> usize {
    50_000
}

fn month() -> Duration {
    Duration::from_secs(2_592_000)
}

fn facts_max() -> usize {
    200_000
}
