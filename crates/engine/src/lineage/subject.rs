//! Whose OIDC token it was: the `sub` of a workload, by the shapes that its issuers document.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A workload that came with a token of OIDC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// A job of GitHub Actions. Commit and attempt are not in the subject, nor is the run.
    Github {
        /// `owner/name`.
        repository: Option<String>,
        /// Such as `refs/heads/main`; a job with an environment hides it.
        git_ref: Option<String>,
        /// Environment of the job.
        environment: Option<String>,
        /// Workflow that the job comes from, where the organisation asks for that claim.
        workflow: Option<String>,
        /// The run, where somebody who saw the token itself wrote its claims down.
        run: Option<String>,
        /// Whether the subject says that a pull request started it.
        is_pull_request: bool,
        /// The subject as it was written.
        subject: String,
    },
    /// A job of GitLab.
    Gitlab {
        /// `group/name`.
        project: String,
        /// Branch or tag.
        git_ref: Option<String>,
        /// The subject as it was written.
        subject: String,
    },
    /// A service account of a cluster.
    Kubernetes {
        /// Its namespace.
        namespace: String,
        /// Its name.
        account: String,
        /// Who vouches for it: the cluster's issuer.
        cluster: String,
    },
    /// A run of HCP Terraform.
    Terraform {
        /// Organisation.
        organization: String,
        /// Workspace.
        workspace: String,
        /// `plan` or `apply`.
        phase: Option<String>,
    },
    /// Any other.
    Other {
        /// Who vouches for it.
        provider: String,
        /// The subject as it was written.
        subject: String,
    },
}

/// Claims that GitHub puts into a subject, by the documentation of its templates. All others stay part of a value.
const CLAIMS: [&str; 13] = [
    "repo",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "ref",
    "environment",
    "job_workflow_ref",
    "workflow",
    "workflow_ref",
    "actor",
    "event_name",
    "runner_environment",
];

impl Workload {
    /// Of a subject and the provider that vouches for it.
    #[must_use]
    pub fn read(provider: &str, subject: &str) -> Self {
        if provider.contains("token.actions.githubusercontent.com") || subject.starts_with("repo:") {
            return github(subject);
        }
        let parts = |prefix: &str| subject.strip_prefix(prefix).map(|rest| rest.split(':').collect::<Vec<_>>());
        if let Some([namespace, account]) = parts("system:serviceaccount:").as_deref() {
            let cluster = provider.rsplit_once("oidc-provider/").map_or(provider, |(_, issuer)| issuer);
            return Self::Kubernetes {
                namespace: (*namespace).to_owned(),
                account: (*account).to_owned(),
                cluster: cluster.to_owned(),
            };
        }
        if let Some(rest) = subject.strip_prefix("project_path:") {
            let (project, rest) = rest.split_once(':').unwrap_or((rest, ""));
            let git_ref = rest.rsplit_once("ref:").map(|(_, name)| name.to_owned());
            return Self::Gitlab { project: project.to_owned(), git_ref, subject: subject.to_owned() };
        }
        if let Some(["organization", organization, rest @ ..]) = Some(subject.split(':').collect::<Vec<_>>()).as_deref()
            && let Some(workspace) = after(rest, "workspace")
        {
            return Self::Terraform {
                organization: (*organization).to_owned(),
                workspace,
                phase: after(rest, "run_phase"),
            };
        }
        Self::Other { provider: provider.to_owned(), subject: subject.to_owned() }
    }

    /// Whether it belongs to a pipeline, whose networks are those of its runners.
    #[must_use]
    pub fn is_pipeline(&self) -> bool {
        match self {
            Self::Github { .. } | Self::Gitlab { .. } | Self::Terraform { .. } => true,
            Self::Kubernetes { .. } | Self::Other { .. } => false,
        }
    }
}

fn after(parts: &[&str], name: &str) -> Option<String> {
    let place = parts.iter().position(|part| *part == name)?;
    parts.get(place + 1).map(|value| (*value).to_owned())
}

/// Claim by claim: a value goes on until the name of the next claim.
fn github(subject: &str) -> Workload {
    let mut claims: Vec<(&str, String)> = Vec::new();
    let mut is_pull_request = false;
    for part in subject.split(':') {
        if part == "pull_request" {
            is_pull_request = true;
        } else if CLAIMS.contains(&part) && claims.last().is_none_or(|(_, value)| !value.is_empty()) {
            claims.push((part, String::new()));
        } else if let Some((_, value)) = claims.last_mut() {
            let joint = if value.is_empty() { "" } else { ":" };
            value.push_str(joint);
            value.push_str(part);
        }
    }
    let claim = |name: &str| {
        let found = claims.iter().find(|(claim, value)| *claim == name && !value.is_empty());
        found.map(|(_, value)| value.replace("%3A", ":"))
    };
    let pull_request_event = claim("event_name").is_some_and(|name| name.starts_with("pull_request"));
    Workload::Github {
        repository: claim("repo").or_else(|| claim("repository")).map(|name| without_numbers(&name)),
        git_ref: claim("ref"),
        environment: claim("environment"),
        workflow: claim("job_workflow_ref"),
        run: None,
        is_pull_request: is_pull_request || pull_request_event,
        subject: subject.to_owned(),
    }
}

/// `acme@12/shop@34` is `acme/shop`: the newer shape adds numbers that outlive a rename.
fn without_numbers(repository: &str) -> String {
    let parts = repository.split('/').map(|part| part.split_once('@').map_or(part, |(name, _)| name));
    parts.collect::<Vec<_>>().join("/")
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Github { subject, run, .. } => {
                write!(out, "GitHub workflow {subject}")?;
                run.iter().try_for_each(|run| write!(out, ", run {run}"))
            }
            Self::Gitlab { subject, .. } => write!(out, "GitLab pipeline {subject}"),
            Self::Kubernetes { namespace, account, cluster } => {
                write!(out, "Kubernetes service account {namespace}/{account} of {cluster}")
            }
            Self::Terraform { organization, workspace, phase } => {
                write!(out, "Terraform workspace {organization}/{workspace}")?;
                phase.iter().try_for_each(|phase| write!(out, ", {phase}"))
            }
            Self::Other { provider, subject } => write!(out, "{subject} of {provider}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

    #[test]
    fn every_documented_subject_of_github_is_read() {
        // (subject, repository, ref, environment, workflow, pull request)
        let table = [
            ("repo:acme/shop:ref:refs/heads/main", Some("acme/shop"), Some("refs/heads/main"), None, None, false),
            ("repo:acme/shop:environment:production", Some("acme/shop"), None, Some("production"), None, false),
            ("repo:acme/shop:environment:eu%3Awest", Some("acme/shop"), None, Some("eu:west"), None, false),
            ("repo:acme/shop:pull_request", Some("acme/shop"), None, None, None, true),
            ("repo:acme@12/shop@34:ref:refs/tags/v1", Some("acme/shop"), Some("refs/tags/v1"), None, None, false),
            (
                "repo:acme/shop:job_workflow_ref:acme/ci/.github/workflows/deploy.yml@refs/heads/main",
                Some("acme/shop"),
                None,
                None,
                Some("acme/ci/.github/workflows/deploy.yml@refs/heads/main"),
                false,
            ),
            (
                "repository_owner:acme:job_workflow_ref:acme/ci/.github/workflows/deploy.yml@v1:ref:refs/heads/main",
                None,
                Some("refs/heads/main"),
                None,
                Some("acme/ci/.github/workflows/deploy.yml@v1"),
                false,
            ),
        ];
        for (subject, repository, git_ref, environment, workflow, pull_request) in table {
            let Workload::Github { repository: r, git_ref: g, environment: e, workflow: w, is_pull_request: p, .. } =
                Workload::read(ACTIONS, subject)
            else {
                panic!("{subject}");
            };
            assert_eq!((r.as_deref(), g.as_deref(), e.as_deref()), (repository, git_ref, environment), "{subject}");
            assert_eq!((w.as_deref(), p), (workflow, pull_request), "{subject}");
        }
    }

    #[test]
    fn subjects_of_others_are_read_by_their_issuers_shape() {
        for (provider, subject, printed, is_pipeline) in [
            (
                "arn:aws:iam::111122223333:oidc-provider/gitlab.com",
                "project_path:acme/shop:ref_type:branch:ref:main",
                "GitLab pipeline project_path:acme/shop:ref_type:branch:ref:main",
                true,
            ),
            (
                "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
                "system:serviceaccount:shop:web",
                "Kubernetes service account shop/web of oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
                false,
            ),
            (
                "arn:aws:iam::111122223333:oidc-provider/app.terraform.io",
                "organization:acme:project:core:workspace:net:run_phase:apply",
                "Terraform workspace acme/net, apply",
                true,
            ),
            ("accounts.google.com", "1234", "1234 of accounts.google.com", false),
        ] {
            let workload = Workload::read(provider, subject);
            assert_eq!((workload.to_string().as_str(), workload.is_pipeline()), (printed, is_pipeline));
        }
    }
}
