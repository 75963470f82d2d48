//! One deploy: what was changed, by whom, what explains it, and what was made of that.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::fact::{Fact, Part, RunKey, Target};
use crate::event::{Kind, Uid};
use crate::time::Timestamp;

/// Which deploy. The same facts give the same id; a late change that matters more than those before it (the code itself,
/// where only a new version was known) makes another one of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeployId(pub String);

/// How sure it is that one thing belongs to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "confidence", content = "is", rename_all = "kebab-case")]
pub enum Edge<T> {
    /// They share an id that only they share.
    Exact(T),
    /// All that is known fits this one, and no other.
    UniqueCandidate(T),
    /// It is one of these, and nothing says which.
    Ambiguous(Vec<T>),
    /// Nothing fits.
    #[default]
    None,
}

/// What was made of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Evidence that should exist does not, although its source is heard; or what happened is against the policy.
    Unexplained,
    /// A source that would know is absent or late. Never a reason to wake somebody.
    Unknown,
    /// All that the policy asks for is there.
    Explained,
}

/// One step of a deploy: one event of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub time: Timestamp,
    /// What, in the vendor's word.
    pub action: String,
    /// Which part of the target.
    pub part: Part,
    /// Which log has it.
    pub kind: Kind,
    /// Which event.
    pub event: Uid,
}

/// One stage of the way from a change back to whoever caused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// In words.
    pub says: String,
    /// How sure it is.
    pub sure: Sure,
}

/// [`Edge`] without what it leads to; the weaker is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sure {
    /// By a shared id.
    Exact,
    /// The only one that fits.
    UniqueCandidate,
    /// One of several.
    Ambiguous,
}

/// A pull or merge request that a commit came by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub number: String,
    /// Who opened it.
    pub author: String,
    /// Who merged it.
    pub merged_by: String,
    /// Who approved its last commit, bots left out.
    pub approved_by: Vec<String>,
}

/// Where what runs comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "artifact", rename_all = "snake_case")]
pub enum Artifact {
    /// Nothing says it.
    #[default]
    Unknown,
    /// The run says that it built just this.
    Built {
        /// What runs.
        digests: Vec<String>,
    },
    /// Somebody pushed it to a registry.
    Pushed {
        /// What runs.
        digests: Vec<String>,
        /// Who pushed it.
        by: String,
    },
}

/// What is said of a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub what: What,
    /// How it counts.
    pub weight: Weight,
    /// In words, for people.
    pub says: String,
}

/// How a finding counts. What weighs more comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The deploy is unexplained.
    Against,
    /// It would be, if the source that could tell had been heard.
    Unsure,
    /// Told, and no more.
    Note,
}

/// What can be said of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An identity for emergencies was used.
    BreakGlass,
    /// Done by hand in a console.
    DirectChange,
    /// No run of a pipeline did it.
    NoRun,
    /// Several runs could have done it.
    AmbiguousRun,
    /// A run fits, but nothing proves that it was this one.
    RunNotProven,
    /// A machine's identity that no run can be tied to.
    MachineIdentity,
    /// Of a repository that may not deploy here.
    ForeignRepository,
    /// Of a branch that may not deploy here.
    UnprotectedBranch,
    /// What protects the branch was lifted, changed or gone past.
    ProtectionChanged,
    /// A run of somebody else's copy, or of a pull request that is not merged.
    UnmergedCode,
    /// Nobody else looked at it.
    NoReview,
    /// Only its author, or one who added to it, said yes.
    OwnApproval,
    /// Looked at before the last commit came.
    StaleReview,
    /// The run that deployed had failed or was stopped before.
    RunFailed,
    /// What the pipeline does was changed in the same change.
    PipelineChanged,
    /// Who may assume the role was changed before.
    TrustChanged,
    /// Nobody let the run deploy.
    NoApproval,
    /// Whoever started the run let it deploy.
    OwnRunApproval,
    /// The approval was gone past, or refused.
    ApprovalBypassed,
    /// A check that must pass did not run.
    CheckSkipped,
    /// A check that must pass failed.
    CheckFailed,
    /// Which checks must pass was changed before.
    ChecksChanged,
    /// What runs is not what the pipeline built.
    ForeignArtifact,
    /// Nothing says where what runs comes from.
    ArtifactUnknown,
    /// Outside the hours.
    OutsideHours,
    /// While nothing may be deployed.
    Frozen,
    /// No ticket is named.
    NoTicket,
    /// Never seen deploying here before.
    NewActor,
    /// History was rewritten.
    ForcePush,
    /// An older commit than the one it replaces.
    Rollback,
}

/// A deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which.
    pub id: DeployId,
    /// From 1 on: a late fact that changes what is said makes the next one. 0 if it was only looked at.
    pub revision: u32,
    /// When it began.
    pub time: Timestamp,
    /// Its last step.
    pub last: Timestamp,
    /// What was changed.
    pub target: Target,
    /// Which environment of the policy that is.
    pub environment: String,
    /// What was done to it.
    pub steps: Vec<Step>,
    /// Who made the calls.
    pub by: Caller,
    /// How the caller came to be, backwards.
    pub chain: Vec<Hop>,
    /// The run that did it.
    pub run: Edge<RunKey>,
    /// Repository of what was deployed.
    pub repository: Option<String>,
    /// Commit of what was deployed.
    pub commit: Option<String>,
    /// Branch of the run.
    pub branch: Option<String>,
    /// Who caused the run.
    pub actor: Option<String>,
    /// The request that the commit came by.
    pub request: Edge<Request>,
    /// Who let the run deploy.
    pub approved_by: Vec<String>,
    /// Where what runs comes from.
    pub artifact: Artifact,
    /// What was made of it.
    pub verdict: Verdict,
    /// Why, what weighs most first.
    pub findings: Vec<Finding>,
}

impl Sure {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UniqueCandidate => "the only one that fits",
            Self::Ambiguous => "one of several",
        }
    }
}

impl<T> Edge<T> {
    /// What it leads to, unless it could be something else.
    #[must_use]
    pub fn one(&self) -> Option<&T> {
        match self {
            Self::Exact(one) | Self::UniqueCandidate(one) => Some(one),
            Self::Ambiguous(_) | Self::None => None,
        }
    }

    /// All that it could lead to.
    #[must_use]
    pub fn candidates(&self) -> &[T] {
        match self {
            Self::Exact(one) | Self::UniqueCandidate(one) => std::slice::from_ref(one),
            Self::Ambiguous(several) => several,
            Self::None => &[],
        }
    }

    /// From all that fit; never surer than `sure`.
    pub(super) fn of(mut candidates: Vec<T>, sure: Sure) -> Self
    where
        T: Ord,
    {
        candidates.sort();
        candidates.dedup();
        match (candidates.len(), sure) {
            (0, _) => Self::None,
            (1, Sure::Exact) => candidates.pop().map_or(Self::None, Self::Exact),
            (1, Sure::UniqueCandidate | Sure::Ambiguous) => candidates.pop().map_or(Self::None, Self::UniqueCandidate),
            (_, _) => Self::Ambiguous(candidates),
        }
    }
}

impl Record {
    /// Of all that is said, but the revision.
    pub(super) fn hash(&self) -> [u8; 16] {
        let plain = serde_json::to_vec(&Self { revision: 0, ..self.clone() }).expect("a record is plain data");
        let mut half = [0; 16];
        blake3::Hasher::new().update(&plain).finalize_xof().fill(&mut half);
        half
    }
}

impl DeployId {
    /// Of the change that matters most. A promise to every receiver, as the id of an alert is.
    pub(super) fn of(target: &Target, anchor: &Fact) -> Self {
        let mut hash = blake3::Hasher::new();
        let uid = &anchor.event;
        for part in
            ["lapwing deploy 1", &target.kind, &target.account, &target.region, &target.id, &uid.origin, &uid.id]
        {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut half = [0; 16];
        hash.finalize_xof().fill(&mut half);
        Self(format!("{:032x}", u128::from_be_bytes(half)))
    }
}

impl fmt::Display for DeployId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unexplained => "unexplained",
            Self::Unknown => "unknown",
            Self::Explained => "explained",
        })
    }
}
