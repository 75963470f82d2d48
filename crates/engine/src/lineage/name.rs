//! What a credential is called: the id that a record gives it, never the secret itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of name it is. A text alone would let a token of one vendor be taken for that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// An access key of AWS: `AKIA…` is long-lived, `ASIA…` belongs to a session.
    AwsKey,
    /// A sign-in to the console of AWS, by the id of its event: the session that it opens has no id of its own.
    AwsSignIn,
    /// A token of GitHub: base64 of its SHA-256, as the audit log writes it.
    GithubToken,
    /// The number that GitHub gives a token.
    GithubTokenNumber,
    /// The number of the grant of a fine-grained token, which is not that of the token.
    GithubGrant,
    /// An SSH or deploy key, by its fingerprint.
    GithubKey,
    /// An installation of a GitHub App.
    GithubInstallation,
    /// A session of Okta (`externalSessionId`).
    OktaSession,
    /// A token of Okta's API.
    OktaToken,
    /// Accessor of a token of Vault, hashed by Vault.
    VaultAccessor,
    /// A token of Vault, hashed by Vault.
    VaultToken,
    /// A lease of Vault.
    VaultLease,
    /// A key of a service account of Google Cloud.
    GcpKey,
    /// Who acts through which service accounts in Google Cloud: `ana@… → ci@…`. Tokens of impersonation have no id in the
    /// log, so all that are used along one path are one entity.
    GcpPath,
}

/// The name of a credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id {
    /// What sort of name.
    pub sort: Sort,
    /// The name as the vendor writes it.
    pub text: Box<str>,
}

impl Sort {
    /// Every sort.
    pub(super) const ALL: [Self; 14] = [
        Self::AwsKey,
        Self::AwsSignIn,
        Self::GithubToken,
        Self::GithubTokenNumber,
        Self::GithubGrant,
        Self::GithubKey,
        Self::GithubInstallation,
        Self::OktaSession,
        Self::OktaToken,
        Self::VaultAccessor,
        Self::VaultToken,
        Self::VaultLease,
        Self::GcpKey,
        Self::GcpPath,
    ];

    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AwsKey => "access key",
            Self::AwsSignIn => "console sign-in",
            Self::GithubToken => "GitHub token",
            Self::GithubTokenNumber => "GitHub token number",
            Self::GithubGrant => "fine-grained token",
            Self::GithubKey => "SSH key",
            Self::GithubInstallation => "app installation",
            Self::OktaSession => "Okta session",
            Self::OktaToken => "Okta API token",
            Self::VaultAccessor => "Vault accessor",
            Self::VaultToken => "Vault token",
            Self::VaultLease => "Vault lease",
            Self::GcpKey => "service-account key",
            Self::GcpPath => "impersonation",
        }
    }
}

impl Id {
    /// A name of this sort.
    #[must_use]
    pub fn new(sort: Sort, text: impl Into<Box<str>>) -> Self {
        Self { sort, text: text.into() }
    }

    /// Whether it lives until somebody ends it, so that a pause in its use says something.
    #[must_use]
    pub fn is_long_lived(&self) -> bool {
        match self.sort {
            Sort::AwsKey => self.text.starts_with("AKIA"),
            Sort::GithubToken
            | Sort::GithubTokenNumber
            | Sort::GithubGrant
            | Sort::GithubKey
            | Sort::OktaToken
            | Sort::GcpKey => true,
            Sort::AwsSignIn
            | Sort::GithubInstallation
            | Sort::OktaSession
            | Sort::VaultAccessor
            | Sort::VaultToken
            | Sort::VaultLease
            | Sort::GcpPath => false,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.sort.words(), self.text)
    }
}
