//! Every kind of log, each one line of one list; what is particular about it stands in one file of its own.

use serde::{Deserialize, Serialize};
use sonic_rs::Value;

use super::glance::Look;
use super::home::Home;
use super::wrapper::Inner;
use super::{
    Limits, Piece, Refusal, azure, azure_audit, azure_signin, ci_log, cloudtrail, eventbridge, gcp, github, gitlab,
    gitlab_audit, guardduty, json, kubernetes, okta, vault, webhook,
};
use crate::event::{Event, Facets};

/// Makes the list. A function cannot make an enum, and a kind that stands in three lists is forgotten in one.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal in $file:ident;)+) => {
        /// A kind of log: which vendor's document this is. `docs/kinds.md` is the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Its name in configuration, output and metrics.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// How its records are read.
            pub(super) fn reading(self) -> &'static Reading {
                match self {
                    $(Self::$kind => &$file::READING,)+
                }
            }
        }
    };
}

// In this order their numbers stand in what a store has kept: a new one goes to the end.
kinds! {
    /// AWS CloudTrail records.
    AwsCloudtrail = "aws.cloudtrail" in cloudtrail;
    /// GitHub audit log entries.
    GithubAudit = "github.audit" in github;
    /// GitHub webhook deliveries.
    GithubWebhook = "github.webhook" in webhook;
    /// Any JSON object.
    Json = "json" in json;
    /// What EventBridge carries of AWS services.
    AwsEventbridge = "aws.eventbridge" in eventbridge;
    /// Findings of GuardDuty.
    AwsGuardduty = "aws.guardduty" in guardduty;
    /// GitLab webhooks.
    GitlabWebhook = "gitlab.webhook" in gitlab;
    /// GitLab audit events.
    GitlabAudit = "gitlab.audit" in gitlab_audit;
    /// Audit logs of Google Cloud.
    GcpAudit = "gcp.audit" in gcp;
    /// Okta's System Log.
    OktaSystem = "okta.system" in okta;
    /// Azure's activity log and resource logs.
    AzureActivity = "azure.activity" in azure;
    /// Sign-ins to Entra ID.
    AzureSignin = "azure.signin" in azure_signin;
    /// Entra ID's audit log.
    AzureAudit = "azure.audit" in azure_audit;
    /// Audit events of Kubernetes.
    KubernetesAudit = "kubernetes.audit" in kubernetes;
    /// Audit log of HashiCorp Vault.
    VaultAudit = "vault.audit" in vault;
    /// Lines of the logs of pipelines.
    CiLog = "ci.log" in ci_log;
}

impl Kind {
    /// The Sigma log source whose rules read it, as (product, service); none for plain JSON, which every
    /// rule without a product or service reads.
    #[must_use]
    pub fn log_source(self) -> Option<(&'static str, &'static str)> {
        self.reading().log_source
    }

    /// The category of that log source, where public rules name one.
    #[must_use]
    pub fn category(self) -> Option<&'static str> {
        self.reading().category
    }
}

/// What is particular about one kind of log.
pub(super) struct Reading {
    /// Product and service of its Sigma log source.
    pub(super) log_source: Option<(&'static str, &'static str)>,
    /// Its category, where public rules name one.
    pub(super) category: Option<&'static str>,
    /// Whether a record out of its wrappers is of this kind: no record may be of two.
    pub(super) fits: fn(&Value) -> bool,
    /// Kinds that come by the same road: a source that is declared to be of this kind may bring them.
    pub(super) beside: &'static [Kind],
    /// What a document of its vendor's holds, if it is no record itself.
    pub(super) open: fn(&Value) -> Inner<'_>,
    /// Whether its records are looked for in the log events of CloudWatch too.
    pub(super) carried: bool,
    /// Members of a document of many that are lists of its records, cut before they are parsed.
    pub(super) lists: &'static [&'static str],
    /// Whether bare text is of this kind, for a kind whose records are text.
    pub(super) is_text: Option<fn(&[u8]) -> bool>,
    /// The event of a record.
    pub(super) event: fn(&Piece<'_>, &Limits) -> Result<Event, Refusal>,
    /// Where its facets are read from.
    pub(super) told: Told,
    /// Where the address stands that it came from; the first that is one.
    pub(super) addresses: &'static [&'static str],
    /// Whose log it is.
    pub(super) home: fn(&Value) -> Home<'_>,
    /// How a glance tells it, if one does.
    pub(super) glance: Option<Look>,
}

/// Where the facets of a kind are read from.
#[derive(Clone, Copy)]
pub(super) enum Told {
    /// From a few members, which a glance finds as well: CloudTrail's.
    Members,
    /// From the document.
    Document(fn(&Value) -> Facets),
    /// From nothing: nothing is known about the fields of such a record, so nothing is claimed.
    Nothing,
}

impl Reading {
    /// One that nothing is known about: what most kinds leave as it is.
    pub(super) const PLAIN: Self = Self {
        log_source: None,
        category: None,
        fits: |_| false,
        beside: &[],
        open: |_| Inner::Record,
        carried: false,
        lists: &[],
        is_text: None,
        event: |piece, _| json::event(piece),
        told: Told::Nothing,
        addresses: &[],
        home: |_| Home { account: None, region: None },
        glance: None,
    };
}
