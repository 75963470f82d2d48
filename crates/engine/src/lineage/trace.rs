//! What one event says of credentials: that one was minted, used or ended, and what the joins need beside that.
//!
//! Only what the record says. Whatever has to be concluded from several is left to [`super::Lineage`], which sees them all.

use serde::{Deserialize, Serialize};

use super::name::Id;
use super::subject::Workload;
use super::{aws, gcp, github, okta, vault};
use crate::event::{ActorSort, Event, Kind, Uid};
use crate::time::Timestamp;

/// One thing that one event says, or several that say it alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// When and where it was seen.
    pub mark: Mark,
    /// What it is about.
    pub about: About,
}

/// Where something was seen. Ordered by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Event time.
    pub time: Timestamp,
    /// The event.
    pub uid: Uid,
    /// What was done, in the vendor's word.
    pub action: String,
    /// Address or calling service, as the vendor wrote it.
    pub network: Option<String>,
    /// Whether the vendor refused it.
    pub failed: bool,
}

/// What a trace is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// A credential.
    Credential {
        /// Its name.
        id: Id,
        /// Another name that the same record gives to the same credential.
        alias: Option<Id>,
        /// What is said of it.
        said: Said,
    },
    /// A run of a workflow, which may be what a token of OIDC was given to.
    Run(Ran),
    /// That a role of AWS became an administrator's or ceased to be one.
    Role {
        /// `account:name`.
        role: String,
        /// Whether it is one from here on.
        is_admin: bool,
    },
}

/// What is said of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// It came to be.
    Minted(Box<Minting>),
    /// It was used.
    Used(Box<Usage>),
    /// It ended, or was made valid again.
    Ended(Ending),
}

/// How a credential came to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Minting {
    /// What was made.
    pub form: Form,
    /// Who asked.
    pub by: Who,
    /// With which credential, if the record names it.
    pub with: Option<Id>,
    /// As whom it acts: ARN of a role or user, login, address of a service account.
    pub owner: Option<String>,
    /// The session's principal (`AROA…:name`), as its uses will name it.
    pub principal: Option<String>,
    /// Carried along a chain of roles; whoever holds the session cannot change it.
    pub source_identity: Option<String>,
    /// Until when it is valid.
    pub expires: Option<Timestamp>,
    /// The workload whose OIDC token was exchanged.
    pub workload: Option<Workload>,
    /// The machine or function that it was given to, where the vendor itself says so.
    pub place: Option<Place>,
}

/// How it was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// As whom.
    pub holder: Option<String>,
    /// The session that it belongs to.
    pub session: Option<Session>,
    /// The machine or function that it was given to, where the vendor itself says so.
    pub place: Option<Place>,
    /// Until when this use made it valid, if it renewed it.
    pub renewed: Option<Timestamp>,
    /// That it was used so more than once, on one day of UTC: the trace's own mark is that of the first time.
    pub again: Option<Again>,
}

/// Uses beside the first that differ from it by time and event alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// How many beside the first.
    pub times: u64,
    /// When the last of them was.
    pub time: Timestamp,
    /// And which event that is.
    pub uid: Uid,
}

/// A session of AWS, as every use of one of its keys describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Session {
    /// `AIDA…`, or `AROA…:name` with a name that the caller chose.
    pub principal: String,
    /// When it began, to the second.
    pub created: Timestamp,
    /// Whether keys without a record of their minting are one session if they share principal and second. True of the
    /// console's and of forwarded ones; two runs of a workflow may begin in one second under one name, so not of theirs.
    pub is_shared: bool,
    /// ARN of the role or user that issued it.
    pub issuer: Option<String>,
    /// See [`Minting::source_identity`].
    pub source_identity: Option<String>,
}

/// What a credential was given to by the vendor itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// What sort of thing.
    pub sort: PlaceSort,
    /// Its id, name or ARN.
    pub name: String,
}

/// What sort of thing a credential was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceSort {
    /// A virtual machine.
    Instance,
    /// A function.
    Function,
    /// A task of a container service.
    Container,
    /// A build of the cloud's own build service.
    Build,
}

/// Who acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    /// What sort of actor.
    pub sort: Caller,
    /// ARN, login or address.
    pub name: String,
}

/// What sort of actor asked for a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A person's account.
    Human,
    /// A session of a role.
    Role,
    /// A service of the vendor, for itself or for what runs in it.
    Service,
    /// An application, a bot or a workload.
    App,
    /// Somebody of another account, whose own log says who.
    Account,
    /// The record does not say.
    #[default]
    Unknown,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Long-lived key of a user.
    AccessKey,
    /// Session of a role.
    RoleSession,
    /// Session of a role for a token of OIDC.
    WebIdentitySession,
    /// Session of a role for an assertion of SAML.
    SamlSession,
    /// `GetSessionToken`: the same user, for a while.
    SessionToken,
    /// `GetFederationToken`: it outlives the key that it was asked for with.
    FederationToken,
    /// Sign-in to a console.
    ConsoleSession,
    /// Personal access token.
    PersonalToken,
    /// Token of an OAuth application.
    OauthToken,
    /// Installation of an app, for which it mints tokens.
    AppInstallation,
    /// SSH or deploy key.
    SshKey,
    /// Session at an identity provider.
    LoginSession,
    /// Token of an API.
    ApiToken,
    /// Token of Vault.
    VaultToken,
    /// Credentials that Vault leases.
    Lease,
    /// Key of a service account.
    ServiceAccountKey,
    /// Short-lived token of another service account.
    Impersonation,
}

/// What became of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Taken back before its time.
    Revoked,
    /// Switched off; it can be switched on again.
    Deactivated,
    /// Gone for good.
    Deleted,
    /// Ended by its holder.
    SignedOut,
    /// Switched on again: it is valid from here on.
    Reactivated,
}

/// What a record says of a run of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// `owner/name`.
    pub repository: String,
    /// The run; reruns of it keep the number.
    pub run: String,
    /// Branch or tag, without `refs/heads/`.
    pub branch: Option<String>,
    /// Environment of one of its jobs.
    pub environment: Option<String>,
    /// Workflow that a job comes from, which may be one of another repository: `owner/name/.github/workflows/x.yml@ref`.
    pub workflow: Option<String>,
    /// Commit.
    pub commit: Option<String>,
    /// Whether a pull request started it.
    pub is_pull_request: Option<bool>,
    /// When it ended, if the record says that it has.
    pub ended: Option<Timestamp>,
}

impl Form {
    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AccessKey => "access key",
            Self::RoleSession => "role session",
            Self::WebIdentitySession => "role session by OIDC",
            Self::SamlSession => "role session by SAML",
            Self::SessionToken => "session token",
            Self::FederationToken => "federation token",
            Self::ConsoleSession => "console session",
            Self::PersonalToken => "personal access token",
            Self::OauthToken => "OAuth token",
            Self::AppInstallation => "app installation",
            Self::SshKey => "SSH key",
            Self::LoginSession => "login session",
            Self::ApiToken => "API token",
            Self::VaultToken => "Vault token",
            Self::Lease => "Vault lease",
            Self::ServiceAccountKey => "service-account key",
            Self::Impersonation => "impersonation",
        }
    }
}

impl PlaceSort {
    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Function => "function",
            Self::Container => "task",
            Self::Build => "build",
        }
    }
}

impl Caller {
    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Human => "person",
            Self::Role => "role",
            Self::Service => "service",
            Self::App => "app",
            Self::Account => "another account",
            Self::Unknown => "somebody",
        }
    }
}

impl Ending {
    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::SignedOut => "signed out",
            Self::Reactivated => "activated again",
        }
    }
}

impl From<ActorSort> for Caller {
    fn from(sort: ActorSort) -> Self {
        match sort {
            ActorSort::Human => Self::Human,
            ActorSort::Role => Self::Role,
            ActorSort::Service => Self::Service,
            ActorSort::App => Self::App,
            ActorSort::Unknown => Self::Unknown,
        }
    }
}

impl Minting {
    /// Of which only what was made, and for whom, is known.
    #[must_use]
    pub fn new(form: Form, by: Who) -> Self {
        Self {
            form,
            by,
            with: None,
            owner: None,
            principal: None,
            source_identity: None,
            expires: None,
            workload: None,
            place: None,
        }
    }
}

impl Trace {
    /// What is said of a credential with one name.
    pub(super) fn of(mark: Mark, id: Id, said: Said) -> Self {
        Self { mark, about: About::Credential { id, alias: None, said } }
    }

    /// The last time that it tells of.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        match &self.about {
            About::Credential { said: Said::Used(usage), .. } => {
                usage.again.as_ref().map_or(self.mark.time, |again| again.time.max(self.mark.time))
            }
            About::Credential { said: Said::Minted(_) | Said::Ended(_), .. } | About::Run(_) | About::Role { .. } => {
                self.mark.time
            }
        }
    }

    /// Times in the future, whoever wrote them, are taken for `latest`: the moment of receipt and what clocks may be ahead.
    pub fn clamp(&mut self, latest: Timestamp) {
        self.mark.time = self.mark.time.min(latest);
        if let About::Credential { said: Said::Used(usage), .. } = &mut self.about
            && let Some(again) = &mut usage.again
        {
            again.time = again.time.min(latest);
        }
    }
}

/// What one event says of credentials, in the order of its record. Most say that one was used; many say nothing.
///
/// Pure. Cost: a few look-ups in the record and the texts that are kept.
#[must_use]
pub fn traces(event: &Event) -> Vec<Trace> {
    match event.kind {
        Kind::AwsCloudtrail => aws::traces(event),
        Kind::GithubAudit => github::audited(event),
        Kind::GithubWebhook => github::delivered(event),
        Kind::OktaSystem => okta::traces(event),
        Kind::VaultAudit => vault::traces(event),
        Kind::GcpAudit => gcp::traces(event),
        Kind::Json
        | Kind::AwsEventbridge
        | Kind::AwsGuardduty
        | Kind::GitlabWebhook
        | Kind::GitlabAudit
        | Kind::AzureActivity
        | Kind::AzureSignin
        | Kind::AzureAudit
        | Kind::KubernetesAudit
        | Kind::CiLog => Vec::new(),
    }
}
