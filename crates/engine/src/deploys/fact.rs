//! What one event says about deploys, in words that all vendors share.
//!
//! Facts are plain and ordered, so that a set of them is the same whatever order they came in, and a fact that comes
//! twice is one. Names of repositories are in small letters, since their hosts do not tell letters apart.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::subject::Subject;
use crate::event::{Kind, Uid};
use crate::time::Timestamp;

/// One thing that one event says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// When it happened.
    pub time: Timestamp,
    /// Which log says so: whether that one is heard decides what its silence means.
    pub kind: Kind,
    /// The event, for people to look up.
    pub event: Uid,
    /// What it says.
    pub says: Says,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Says {
    /// Commits came to a branch.
    Push(Push),
    /// A pull request was merged.
    Merge(Merge),
    /// A pull request was opened or got other commits.
    Update(Update),
    /// Somebody reviewed a pull request.
    Review(Review),
    /// What protects a branch or an environment was changed.
    Guard(Guard),
    /// A check of a commit ended.
    Check(Check),
    /// A run of a pipeline began or ended.
    Run(Run),
    /// A job of a run, as far as it names its environment.
    Job(Job),
    /// An action of CodePipeline.
    Action(Action),
    /// Somebody was asked to let a run deploy, or answered.
    Approval(Approval),
    /// A cloud gave out a session.
    Session(Session),
    /// Who may assume a role was changed.
    Trust(Trust),
    /// What runs was changed.
    Change(Change),
    /// A run proved who it is and what it built.
    Receipt(Receipt),
}

/// Which pipeline system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// AWS CodeBuild.
    Codebuild,
    /// AWS CodePipeline.
    Codepipeline,
    /// Google Cloud Build.
    Cloudbuild,
}

/// One attempt of one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// Where it runs.
    pub system: System,
    /// Repository, project, or account and region, in which the id is unique.
    pub scope: String,
    /// The vendor's id of the run.
    pub id: String,
    /// From 1 on; a rerun is another attempt of the same run.
    pub attempt: u32,
}

/// Commits came to a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Push {
    /// Repository as `owner/name`.
    pub repository: String,
    /// `refs/heads/main`.
    pub git_ref: String,
    /// Where the branch stood.
    pub before: String,
    /// Where it stands.
    pub after: String,
    /// Commits that came, without `after`; at most [`COMMITS_MAX`].
    pub commits: Vec<String>,
    /// Whether history was rewritten.
    pub forced: bool,
    /// Account that pushed. The author of a commit is whatever its writer says.
    pub pusher: String,
    /// Files among the changes that define a pipeline; nothing said is an empty list.
    pub pipeline_files: Vec<String>,
    /// First line of the last commit's message.
    pub message: String,
}

/// Most commits of a push that are kept.
pub(super) const COMMITS_MAX: usize = 64;

/// A pull request was merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Merge {
    /// Repository as `owner/name`.
    pub repository: String,
    /// Number of the pull or merge request.
    pub number: String,
    /// Who opened it.
    pub author: String,
    /// Who merged it.
    pub merged_by: String,
    /// Whether that was a bot.
    pub by_bot: bool,
    /// Last commit of the request.
    pub head: String,
    /// Commit that came of it: of a squash one that the request never held.
    pub commit: String,
    /// Branch it went to.
    pub base: String,
    /// Repository it came from, if that is another one.
    pub fork: Option<String>,
    /// Its title, and its branch, where tickets are named.
    pub title: String,
}

/// A pull request was opened or got other commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Update {
    /// Repository as `owner/name`.
    pub repository: String,
    /// Number of the request.
    pub number: String,
    /// Who pushed.
    pub by: String,
    /// Its last commit now.
    pub head: String,
}

/// How a review ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// Yes.
    Approved,
    /// Not so.
    ChangesRequested,
    /// An earlier yes or no counts no longer.
    Withdrawn,
}

/// Somebody reviewed a pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Review {
    /// Repository as `owner/name`.
    pub repository: String,
    /// Number of the request.
    pub number: String,
    /// Who.
    pub by: String,
    /// Whether that is a bot, whose yes is no second pair of eyes.
    pub by_bot: bool,
    /// What they said.
    pub opinion: Opinion,
    /// The commit that they looked at.
    pub commit: Option<String>,
}

/// What protects what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardSort {
    /// A protected branch or a ruleset.
    Branch,
    /// Checks that must pass.
    Checks,
    /// Reviewers, branches and waiting times of an environment.
    Environment,
}

/// What happened to a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It is gone.
    Lifted,
    /// It asks for less, or for something else.
    Altered,
    /// It is there.
    Set,
    /// It held, and somebody went past it.
    Bypassed,
}

/// What protects a branch or an environment was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Guard {
    /// Repository as `owner/name`.
    pub repository: String,
    /// What sort of protection.
    pub sort: GuardSort,
    /// Pattern of branches, or name of the environment; empty where the event does not say.
    pub name: String,
    /// What happened.
    pub turn: Turn,
    /// Who did it.
    pub by: String,
}

/// A check of a commit ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Check {
    /// Repository as `owner/name`.
    pub repository: String,
    /// Commit that was looked at.
    pub commit: String,
    /// Name of the check.
    pub name: String,
    /// How it ended, in the vendor's word.
    pub conclusion: String,
}

/// A run of a pipeline. Several facts about one run are put together: what one says and another does not, stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub key: RunKey,
    /// When this attempt began.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub conclusion: Option<String>,
    /// Commit it runs.
    pub commit: Option<String>,
    /// Branch or tag, by its short name.
    pub branch: Option<String>,
    /// Why it ran: `push`, `schedule`, `pull_request`, `workflow_dispatch`.
    pub cause: Option<String>,
    /// Who caused this attempt.
    pub actor: Option<String>,
    /// File that defines it, or its name.
    pub workflow: Option<String>,
    /// Files of other repositories that it uses.
    pub reused: Vec<String>,
    /// Repository whose commit it runs, if that is another one.
    pub fork: Option<String>,
    /// Digests of what it built, as `sha256:<hex>`.
    pub digests: Vec<String>,
}

/// A job of a run that names the environment it deploys to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Job {
    /// Where it runs.
    pub system: System,
    /// As in [`RunKey`].
    pub scope: String,
    /// Id of its run; the attempt is often not said.
    pub run: String,
    /// Environment it names.
    pub environment: String,
}

/// An action of CodePipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Action {
    /// Id of the execution.
    pub execution: String,
    /// `Source`, `Build`, `Approval`, `Deploy`.
    pub category: String,
    /// `STARTED`, `SUCCEEDED`, `FAILED`.
    pub state: String,
    /// What the other side calls it: a commit, `project:<build id>`.
    pub external: Option<String>,
}

/// What came of asking for approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Nobody was waited for.
    Bypassed,
}

/// Somebody answered whether a run may deploy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Approval {
    /// Where it runs.
    pub system: System,
    /// As in [`RunKey`].
    pub scope: String,
    /// Id of the run.
    pub run: String,
    /// To where, if that is said.
    pub environment: Option<String>,
    /// Who answered.
    pub by: Option<String>,
    /// What.
    pub answer: Answer,
    /// Their words, where tickets are named.
    pub comment: String,
}

/// A cloud gave out a session. The session is what acts; access keys are names for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Session {
    /// Access key that was given out.
    pub access_key: String,
    /// ARN of the role.
    pub role: String,
    /// Name of the session, which whoever asks for it chooses.
    pub name: String,
    /// Whose token was shown for it, if it was one of an identity provider.
    pub subject: Option<Subject>,
    /// Who asked.
    pub by: Caller,
}

/// Who may assume a role was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trust {
    /// Account of the role.
    pub account: String,
    /// Name of the role.
    pub role: String,
    /// Who changed it.
    pub by: String,
}

/// What of a thing was changed. Smaller ones matter more: the first of them anchors the record of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What runs.
    Code,
    /// A stack of many things.
    Stack,
    /// How it runs.
    Configuration,
    /// Which version of it runs.
    Release,
    /// An artifact that may run later.
    Artifact,
    /// Who may call it.
    Access,
}

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// `lambda`, `ecs`, `kubernetes`, `run`.
    pub kind: String,
    /// Its name in the account.
    pub id: String,
    /// Account, project, subscription; of Kubernetes what the log names, if anything.
    pub account: String,
    /// Region, where there are any.
    pub region: String,
}

/// What runs was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// What was changed.
    pub target: Target,
    /// Which part of it.
    pub part: Part,
    /// In the vendor's word.
    pub action: String,
    /// Who did it.
    pub by: Caller,
    /// Digests of what runs now, as `sha256:<hex>`; empty where the event does not say.
    pub digests: Vec<String>,
    /// Role that a stack hands on to what it changes.
    pub role: Option<String>,
    /// Words of whoever asked, where tickets are named.
    pub message: String,
}

/// A run proved who it is, and what it built. Its signature was verified by whoever hands it in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Receipt {
    /// The run.
    pub run: RunKey,
    /// Commit by the token's own claim.
    pub commit: Option<String>,
    /// Access key that the run uses.
    pub access_key: Option<String>,
    /// Digests of what it built, as `sha256:<hex>`.
    pub digests: Vec<String>,
}

/// A digest of SHA-256 as `sha256:<hex>`, from that, from bare hex, or from the base64 of Lambda.
#[must_use]
pub fn digest(text: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::fmt::Write;
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    if bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(format!("sha256:{}", bare.to_ascii_lowercase()));
    }
    let bytes = STANDARD.decode(bare).ok().filter(|bytes| bytes.len() == 32)?;
    Some(bytes.iter().fold("sha256:".to_owned(), |mut hex, byte| {
        // Writing into a string cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    }))
}

/// The digest that pins an image: `registry/name@sha256:…`. A tag pins nothing.
#[must_use]
pub(super) fn pinned(image: &str) -> Option<String> {
    digest(image.split_once('@')?.1)
}
