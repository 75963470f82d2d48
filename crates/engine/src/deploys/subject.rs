//! The `sub` of a workload's token: which repository, branch or environment it says it is of.
//!
//! GitHub lets an organisation choose what the claim is made of, so that what is not understood is kept as it is and
//! joins to nothing. See the reference of GitHub's OpenID Connect and that of GitLab's ID tokens.

use serde::{Deserialize, Serialize};

/// A workload, as its token names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A job of GitHub Actions.
    Github(Claims),
    /// A job of GitLab.
    Gitlab(Claims),
    /// A run of HCP Terraform.
    Terraform {
        /// `organization/project/workspace`.
        workspace: String,
        /// `plan` or `apply`.
        phase: String,
    },
    /// A service account of a cluster.
    Kubernetes {
        /// Its namespace.
        namespace: String,
        /// Its name.
        account: String,
    },
    /// Any other.
    Other(String),
}

/// What the subject of a pipeline's job says. An absent part is not said, which is not the same as none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claims {
    /// Repository as `owner/name`, in small letters.
    pub repository: String,
    /// Branch or tag, by its short name.
    pub branch: Option<String>,
    /// Environment. GitHub leaves the branch out then.
    pub environment: Option<String>,
    /// Whether it is of a pull request.
    pub pull_request: bool,
    /// The workflow that defines the job: `owner/name/.github/workflows/x.yml@ref`.
    pub workflow: Option<String>,
}

impl Subject {
    /// Reads a subject; `provider` is the host or ARN of whoever signed the token.
    #[must_use]
    pub fn parse(provider: &str, subject: &str) -> Self {
        // Whoever can sign tokens writes any subject, so GitHub's shape counts of GitHub's own provider only.
        let provider = provider.rsplit_once("oidc-provider/").map_or(provider, |(_, host)| host);
        let provider = provider.trim_start_matches("https://");
        let is_github = provider.starts_with("token.actions.githubusercontent.com");
        let other = || Self::Other(subject.to_owned());
        if is_github {
            return github(subject).map_or_else(other, Self::Github);
        }
        if subject.starts_with("project_path:") && provider.contains("gitlab") {
            return gitlab(subject).map_or_else(other, Self::Gitlab);
        }
        if provider.starts_with("app.terraform.io") {
            return terraform(subject).unwrap_or_else(other);
        }
        if let Some((namespace, account)) =
            subject.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
        {
            return Self::Kubernetes { namespace: namespace.to_owned(), account: account.to_owned() };
        }
        other()
    }

    /// What it says of a job of a pipeline.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Github(claims) | Self::Gitlab(claims) => Some(claims),
            Self::Terraform { .. } | Self::Kubernetes { .. } | Self::Other(_) => None,
        }
    }

    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Github(claims) => format!("GitHub Actions of {}", claims.words()),
            Self::Gitlab(claims) => format!("GitLab CI of {}", claims.words()),
            Self::Terraform { workspace, phase } => format!("HCP Terraform {phase} of {workspace}"),
            Self::Kubernetes { namespace, account } => format!("service account {namespace}/{account}"),
            Self::Other(subject) => subject.clone(),
        }
    }
}

impl Claims {
    fn words(&self) -> String {
        let branch = self.branch.as_ref().map(|branch| format!(", branch {branch}"));
        let environment = self.environment.as_ref().map(|name| format!(", environment {name}"));
        let pull = self.pull_request.then(|| ", pull request".to_owned());
        let more: String = [branch, environment, pull].into_iter().flatten().collect();
        format!("{}{more}", self.repository)
    }
}

/// Keys that may stand in a subject of GitHub; a value ends where the next of them begins, since values hold colons.
const KEYS: [&str; 17] = [
    "repo",
    "ref",
    "environment",
    "job_workflow_ref",
    "repository",
    "repository_owner",
    "repository_id",
    "repository_owner_id",
    "repository_visibility",
    "context",
    "actor",
    "actor_id",
    "event_name",
    "workflow",
    "workflow_ref",
    "runner_environment",
    "enterprise",
];

fn github(subject: &str) -> Option<Claims> {
    let mut claims = Claims::default();
    for (key, value) in pairs(subject) {
        match (key, value) {
            ("repo" | "repository", repository) => claims.repository = without_ids(repository),
            ("ref", git_ref) => claims.branch = Some(short(git_ref)),
            ("environment", name) => claims.environment = Some(name.to_owned()),
            ("job_workflow_ref", workflow) => claims.workflow = Some(workflow.to_owned()),
            ("pull_request", _) | ("event_name", "pull_request") => claims.pull_request = true,
            _ => {}
        }
    }
    // `refs/pull/7/merge` is what a pull request would merge to.
    claims.pull_request |= claims.branch.as_deref().is_some_and(|branch| branch.starts_with("pull/"));
    let of_workflow = claims.workflow.as_deref().and_then(|workflow| workflow.split("/.github/").next());
    if claims.repository.is_empty() {
        // The workflow may be one that many repositories use: it does not say which of them ran.
        return of_workflow.is_none().then_some(claims).filter(|claims| !claims.repository.is_empty());
    }
    Some(claims)
}

/// `repo:a/b:ref:refs/heads/x` in pairs. A word alone, as `pull_request`, is a key without a value.
fn pairs(subject: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let mut rest = subject;
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').unwrap_or((rest, ""));
        if key == "pull_request" {
            found.push((key, ""));
            rest = after;
            continue;
        }
        // An environment may be called anything, so a value of it goes on to the end.
        let end = match key {
            "environment" => after.len(),
            _ => next_key(after),
        };
        found.push((key, after[..end].trim_end_matches(':')));
        rest = &after[end..];
    }
    found
}

/// Where the next key begins, behind a colon.
fn next_key(text: &str) -> usize {
    let starts = text.match_indices(':').map(|(at, _)| at + 1);
    let mut starts = starts.filter(|at| {
        let rest = &text[*at..];
        let word = rest.split(':').next().unwrap_or(rest);
        (rest.len() > word.len() && KEYS.contains(&word)) || word == "pull_request"
    });
    starts.next().unwrap_or(text.len())
}

/// `acme@123/orders@456`, as newer subjects name a repository so that a name taken over is none of its own.
fn without_ids(repository: &str) -> String {
    let parts = repository.split('/').map(|part| part.split('@').next().unwrap_or(part));
    parts.collect::<Vec<_>>().join("/").to_ascii_lowercase()
}

fn gitlab(subject: &str) -> Option<Claims> {
    let rest = subject.strip_prefix("project_path:")?;
    let (project, rest) = rest.split_once(":ref_type:").unwrap_or((rest, ""));
    let git_ref = rest.split_once(":ref:").map(|(_, name)| name.to_owned());
    // An environment may be part of the subject as well, in front of or behind the branch.
    let (branch, environment) = match git_ref {
        Some(name) => match name.split_once(":environment:") {
            Some((branch, environment)) => (Some(branch.to_owned()), Some(environment.to_owned())),
            None => (Some(name), None),
        },
        None => (None, None),
    };
    (!project.is_empty()).then(|| Claims {
        repository: project.to_ascii_lowercase(),
        branch,
        environment,
        ..Claims::default()
    })
}

fn terraform(subject: &str) -> Option<Subject> {
    let after = |name: &str| {
        let rest = subject.split_once(&format!("{name}:"))?.1;
        Some(rest.split(':').next().unwrap_or(rest).to_owned())
    };
    let place = [after("organization")?, after("project")?, after("workspace")?].join("/");
    Some(Subject::Terraform { workspace: place, phase: after("run_phase")? })
}

/// `main` of `refs/heads/main`, `v1` of `refs/tags/v1`, `pull/7/merge` of `refs/pull/7/merge`.
#[must_use]
pub(super) fn short(git_ref: &str) -> String {
    let bare = git_ref.strip_prefix("refs/").unwrap_or(git_ref);
    bare.strip_prefix("heads/").or_else(|| bare.strip_prefix("tags/")).unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

    #[test]
    fn every_documented_shape_of_github_is_read() {
        for (subject, branch, environment, pull_request, reason) in [
            ("repo:acme/orders:ref:refs/heads/main", Some("main"), None, false, "a branch"),
            ("repo:Acme/Orders:ref:refs/tags/v1.2", Some("v1.2"), None, false, "a tag; letters are not told apart"),
            ("repo:acme/orders:ref:refs/heads/fix:ref", Some("fix:ref"), None, false, "a branch with a colon"),
            ("repo:acme/orders:environment:production", None, Some("production"), false, "hides the branch"),
            ("repo:acme/orders:environment:eu:prod", None, Some("eu:prod"), false, "an environment with a colon"),
            ("repo:acme/orders:pull_request", None, None, true, "a pull request"),
            ("repo:acme/orders:ref:refs/pull/7/merge", Some("pull/7/merge"), None, true, "the merge of one"),
            ("repo:acme@12/orders@34:ref:refs/heads/main", Some("main"), None, false, "with ids that never change"),
            (
                "repo:acme/orders:ref:refs/heads/main:job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main",
                Some("main"),
                None,
                false,
                "a template of its own",
            ),
            ("repository:acme/orders:actor:ana:environment:production", None, Some("production"), false, "another"),
        ] {
            let read = Subject::parse(GITHUB, subject);
            let claims = read.claims().unwrap_or_else(|| panic!("{reason}: {read:?}"));
            assert_eq!(claims.repository, "acme/orders", "{reason}");
            assert_eq!((claims.branch.as_deref(), claims.environment.as_deref()), (branch, environment), "{reason}");
            assert_eq!(claims.pull_request, pull_request, "{reason}");
        }
    }

    #[test]
    fn a_subject_that_names_no_repository_joins_to_none() {
        for (provider, subject, reason) in [
            (GITHUB, "job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main", "used by many repositories"),
            (GITHUB, "repository_owner:acme", "of any repository"),
            ("oidc.example.org", "repo:acme/orders:ref:refs/heads/main", "GitHub's shape, signed by somebody else"),
            ("evil.example/token.actions.githubusercontent.com", "repo:acme/orders:pull_request", "a name in a path"),
        ] {
            assert_eq!(Subject::parse(provider, subject), Subject::Other(subject.to_owned()), "{reason}");
        }
    }

    #[test]
    fn other_providers_have_shapes_of_their_own() {
        let gitlab = Subject::parse("gitlab.com", "project_path:acme/web/shop:ref_type:branch:ref:release/1");
        let claims = gitlab.claims().unwrap();
        assert_eq!((&*claims.repository, claims.branch.as_deref()), ("acme/web/shop", Some("release/1")));
        let terraform =
            Subject::parse("app.terraform.io", "organization:acme:project:core:workspace:network:run_phase:apply");
        assert_eq!(terraform.words(), "HCP Terraform apply of acme/core/network");
        let cluster = Subject::parse("oidc.eks.eu-west-1.amazonaws.com/id/EX", "system:serviceaccount:orders:api");
        assert_eq!(cluster.words(), "service account orders/api");
    }
}
