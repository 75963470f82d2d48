//! One shape for all logs.
//!
//! Rules read `raw`, the vendor's own document; detectors, ledgers and people read the facets that all
//! kinds share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sonic_rs::Value;

pub use crate::normalise::Kind;
use crate::time::Timestamp;

/// Some kinds of log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kinds(u32);

/// What a Sigma `logsource` names; an absent part means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogSource {
    /// Such as `aws`.
    pub product: Option<String>,
    /// Such as `cloudtrail`.
    pub service: Option<String>,
    /// Such as `process_creation`.
    pub category: Option<String>,
}

/// Which event this is, whichever road it took.
///
/// `origin` keeps equal vendor ids of different accounts apart; `id` is what a person searches for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid {
    /// Account, organisation or source that the id is unique in.
    pub origin: String,
    /// The vendor's own id, or the record's position where there is none.
    pub id: String,
}

/// One normalised record.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its identity.
    pub uid: Uid,
    /// When it happened, as its vendor says.
    pub time: Timestamp,
    /// Which vendor's document `raw` is.
    pub kind: Kind,
    /// The vendor's own document, which rules read.
    pub raw: Value,
}

/// What all kinds of log share. An absent value was not in the record. Texts are `T`: those of the record itself
/// while an event is looked at, strings of their own where it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets<T = String> {
    /// Who did it.
    pub actor: Actor<T>,
    /// With which credential.
    pub credential: Credential<T>,
    /// What was done, in the vendor's word (`GetSecretValue`, `repo.destroy`).
    pub action: T,
    /// To what.
    pub target: Target<T>,
    /// From where.
    pub network: Network<T>,
    /// Whether it worked.
    pub outcome: Outcome<T>,
    /// In which run of which pipeline.
    pub pipeline: Pipeline<T>,
}

/// Who acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor<T = String> {
    /// The vendor's stable id (an ARN, a numeric user id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<T>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<T>,
    /// What sort of actor.
    #[serde(rename = "type")]
    pub sort: ActorSort,
}

/// What sort of actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorSort {
    /// A person's own account.
    Human,
    /// A role session.
    Role,
    /// A service of the vendor.
    Service,
    /// An application or bot.
    App,
    /// The record does not say.
    #[default]
    Unknown,
}

/// What was presented to act.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential<T = String> {
    /// Access key, token id or hash, session.
    pub id: Option<T>,
    /// Who or what issued it (a role's ARN, an OIDC provider).
    pub issued_by: Option<T>,
}

/// What was acted upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target<T = String> {
    /// Such as `lambda`, `repository`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<T>,
    /// Its name or ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<T>,
    /// Account, organisation or project it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<T>,
    /// Region, where the vendor has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<T>,
}

/// Where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network<T = String> {
    /// Address as the vendor wrote it; a service name for calls between services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<T>,
    /// User agent as the vendor wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<T>,
}

/// Whether it worked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<T = String> {
    /// It worked, or nothing says that it did not.
    #[default]
    Success,
    /// It did not; the vendor's code.
    Failure(T),
}

/// The pipeline that acted, where the record names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline<T = String> {
    /// Repository as `owner/name`.
    pub repository: Option<T>,
    /// Git ref.
    pub git_ref: Option<T>,
    /// Commit.
    pub commit: Option<T>,
    /// Workflow name or path.
    pub workflow: Option<T>,
    /// Run id.
    pub run: Option<T>,
    /// Deployment environment.
    pub environment: Option<T>,
}

/// A name that is no kind of log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no log kind; known are {known} and auto", known = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind(String);

impl<T> Facets<T> {
    /// The same with other texts.
    #[must_use]
    pub fn map<U>(self, mut to: impl FnMut(T) -> U) -> Facets<U> {
        let Self { actor, credential, action, target, network, outcome, pipeline } = self;
        Facets {
            actor: Actor { id: actor.id.map(&mut to), name: actor.name.map(&mut to), sort: actor.sort },
            credential: Credential { id: credential.id.map(&mut to), issued_by: credential.issued_by.map(&mut to) },
            action: to(action),
            target: Target {
                kind: target.kind.map(&mut to),
                id: target.id.map(&mut to),
                account: target.account.map(&mut to),
                region: target.region.map(&mut to),
            },
            network: Network { ip: network.ip.map(&mut to), user_agent: network.user_agent.map(&mut to) },
            outcome: match outcome {
                Outcome::Success => Outcome::Success,
                Outcome::Failure(code) => Outcome::Failure(to(code)),
            },
            pipeline: Pipeline {
                repository: pipeline.repository.map(&mut to),
                git_ref: pipeline.git_ref.map(&mut to),
                commit: pipeline.commit.map(&mut to),
                workflow: pipeline.workflow.map(&mut to),
                run: pipeline.run.map(&mut to),
                environment: pipeline.environment.map(&mut to),
            },
        }
    }
}

impl Kinds {
    /// Whether none is among them.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.meet((*kind).into()))
    }

    /// Whether some kind is among both.
    #[must_use]
    pub fn meet(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self(1 << kind as u32)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), |all, kind| all.and(kind.into()))
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("product", &self.product), ("service", &self.service), ("category", &self.category)];
        let named = parts.into_iter().filter_map(|(name, part)| Some(format!("{name} `{}`", part.as_deref()?)));
        let named: Vec<String> = named.collect();
        out.write_str(if named.is_empty() { "none" } else { "" })?;
        out.write_str(&named.join(", "))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.id)
    }
}
