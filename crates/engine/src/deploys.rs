//! The record of deploys: what changed what runs, and what explains it.
//!
//! Beside the road of alerts: [`facts`] reads what one event says about deploys, whatever log it is of; [`Deploys`] keeps
//! facts for a while and joins them into one [`Record`] a deploy, judged by a [`Policy`]. What is joined depends on the set
//! of facts only, never on the order in which they came. A join is said with how sure it is; one that could be either of
//! several is shown as such and never taken for one of them.

mod azure;
mod caller;
mod chain;
mod cloudtrail;
mod cluster;
mod eventbridge;
mod evidence;
mod fact;
mod github;
mod gitlab;
mod google;
mod hours;
mod index;
mod join;
mod judge;
mod policy;
mod record;
mod review;
mod state;
mod subject;
mod text;
mod who;

pub use self::caller::Caller;
pub use self::fact::{
    Action, Answer, Approval, Change, Check, Fact, Guard, GuardSort, Job, Merge, Opinion, Part, Push, Receipt, Review,
    Run, RunKey, Says, Session, System, Target, Trust, Turn, Update, digest,
};
pub use self::hours::{Hours, HoursError};
pub use self::judge::Marks;
pub use self::policy::{Environment, Freeze, Heard, Length, Of, Pattern, Policy, PolicyError, Rule, RunRule, Ticket};
pub use self::record::{Artifact, DeployId, Edge, Finding, Hop, Record, Request, Step, Sure, Verdict, Weight, What};
pub use self::state::{Deploys, Limits, RestoreError};
pub use self::subject::{Claims, Subject};
use crate::event::{Event, Kind};

/// Whether a call of this name, at this service, of a record of CloudTrail may say something of deploys.
pub(crate) fn is_told(source: &str, name: &str) -> bool {
    cloudtrail::is_told(source.strip_suffix(".amazonaws.com").unwrap_or(source), name)
}

/// What one event says about deploys: nothing for almost all of them.
#[must_use]
pub fn facts(event: &Event) -> Vec<Fact> {
    let says = match event.kind {
        Kind::AwsCloudtrail => cloudtrail::says(event),
        Kind::AwsEventbridge => eventbridge::says(event),
        Kind::GithubWebhook => github::says(event),
        Kind::GithubAudit => github::audit(event),
        Kind::GitlabWebhook => gitlab::says(event),
        Kind::KubernetesAudit => cluster::says(event),
        Kind::GcpAudit => google::says(event),
        Kind::AzureActivity => azure::says(event),
        Kind::Json
        | Kind::AwsGuardduty
        | Kind::GitlabAudit
        | Kind::OktaSystem
        | Kind::AzureSignin
        | Kind::AzureAudit
        | Kind::VaultAudit
        | Kind::CiLog => Vec::new(),
    };
    let fact = |says| Fact { time: event.time, kind: event.kind, event: event.uid.clone(), says };
    says.into_iter().map(fact).collect()
}

#[cfg(test)]
mod tests;
