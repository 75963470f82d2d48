//! Runs of workflows, and which of them an OIDC token may have been given to.
//!
//! The subject of a token names repository and ref or environment, never the run. So the runs that no record rules out are
//! candidates: one alone is the unique candidate, several are ambiguous and stay so. What is not known of a run rules
//! nothing out. A rerun is the same run; jobs of a matrix are one run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::subject::Workload;
use super::trace::{Mark, Ran};
use crate::time::{Span, Timestamp};

/// How long a job may go on at a runner of GitHub's, when nothing says that its run is over.
const JOB_HOURS_MAX: u32 = 6;
/// Values that are kept of one run.
const VALUES_MAX: usize = 64;

/// A run and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `owner/name`.
    pub repository: String,
    /// Its number.
    pub run: String,
    /// The first that was heard of it.
    pub first: Timestamp,
    /// The last beginning that was heard of: of a job or an attempt.
    pub last: Timestamp,
    /// The last end.
    pub ended: Option<Timestamp>,
    /// Branches or tags.
    pub branches: BTreeSet<String>,
    /// Environments of its jobs.
    pub environments: BTreeSet<String>,
    /// Workflows that its jobs come from.
    pub workflows: BTreeSet<String>,
    /// Commits.
    pub commits: BTreeSet<String>,
    /// Whether a pull request started it, if a record says.
    pub is_pull_request: Option<bool>,
}

/// All runs, by repository and number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    known: BTreeMap<(String, String), Run>,
    by_age: BTreeSet<(Timestamp, String, String)>,
}

impl Runs {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.known.values()
    }

    /// Takes in what one record says of a run.
    pub(super) fn take(&mut self, mark: &Mark, ran: Ran) {
        let key = (ran.repository.clone(), ran.run.clone());
        let begins = if ran.ended.is_some() { None } else { Some(mark.time) };
        let mut run = self.known.remove(&key).unwrap_or_else(|| Run {
            repository: ran.repository,
            run: ran.run,
            first: mark.time,
            last: begins.unwrap_or_default(),
            ended: None,
            branches: BTreeSet::new(),
            environments: BTreeSet::new(),
            workflows: BTreeSet::new(),
            commits: BTreeSet::new(),
            is_pull_request: None,
        });
        self.by_age.remove(&(run.first, key.0.clone(), key.1.clone()));
        run.first = run.first.min(mark.time);
        run.last = run.last.max(begins.unwrap_or_default());
        run.ended = run.ended.max(ran.ended);
        // Records that differ would make it depend on their order; a pull request is the stronger claim.
        run.is_pull_request = run.is_pull_request.max(ran.is_pull_request);
        for (values, value) in [
            (&mut run.branches, ran.branch),
            (&mut run.environments, ran.environment),
            (&mut run.workflows, ran.workflow),
            (&mut run.commits, ran.commit),
        ] {
            values.extend(value);
            while values.len() > VALUES_MAX {
                values.pop_last();
            }
        }
        self.put(run);
    }

    pub(super) fn put(&mut self, run: Run) {
        let key = (run.repository.clone(), run.run.clone());
        self.by_age.insert((run.first, key.0.clone(), key.1.clone()));
        self.known.insert(key, run);
    }

    /// Lets the oldest go.
    pub(super) fn drop_oldest(&mut self) {
        if let Some((_, repository, run)) = self.by_age.pop_first() {
            self.known.remove(&(repository, run));
        }
    }

    /// Lets all go that began before this.
    pub(super) fn drop_before(&mut self, time: Timestamp) {
        while self.by_age.first().is_some_and(|(first, _, _)| *first < time) {
            self.drop_oldest();
        }
    }

    /// The runs that a token of this workload, exchanged at this time, may have been given to, by number.
    pub(super) fn candidates(&self, workload: &Workload, time: Timestamp, skew: Span) -> Vec<&Run> {
        let Workload::Github { repository, workflow, .. } = workload else { return Vec::new() };
        let fits = |run: &&Run| run.was_on(time, skew) && run.may_be(workload);
        match (repository, workflow) {
            (Some(repository), _) => {
                let runs = self.known.range((repository.clone(), String::new())..);
                runs.take_while(|((owner, _), _)| owner == repository).map(|(_, run)| run).filter(fits).collect()
            }
            // A subject may name the workflow alone: then only runs that are known to use it are candidates.
            (None, Some(workflow)) => {
                self.known.values().filter(|run| run.workflows.contains(workflow)).filter(fits).collect()
            }
            (None, None) => Vec::new(),
        }
    }
}

impl Run {
    /// Whether it may have been on at this time.
    fn was_on(&self, time: Timestamp, skew: Span) -> bool {
        let open_end = self.last.max(self.first).plus(Span::seconds(JOB_HOURS_MAX * 3_600));
        // An attempt that began after the last known end is still on.
        let end = self.ended.filter(|ended| *ended >= self.last).map_or(open_end, |ended| ended.plus(skew));
        self.first <= time.plus(skew) && time <= end
    }

    /// Whether nothing that is known of it says that it is another.
    fn may_be(&self, workload: &Workload) -> bool {
        let Workload::Github { git_ref, environment, workflow, is_pull_request, .. } = workload else { return false };
        let holds = |values: &BTreeSet<String>, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| values.is_empty() || values.contains(wanted))
        };
        let branch = git_ref
            .as_deref()
            .map(|name| name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name));
        holds(&self.branches, branch)
            && holds(&self.environments, environment.as_deref())
            && holds(&self.workflows, workflow.as_deref())
            && !(*is_pull_request && self.is_pull_request == Some(false))
            && !(git_ref.is_some() && self.is_pull_request == Some(true) && branch_of_push(git_ref.as_deref()))
    }
}

/// A subject with a branch is of a push or a schedule; one of a pull request says so instead.
fn branch_of_push(git_ref: Option<&str>) -> bool {
    git_ref.is_some_and(|name| name.starts_with("refs/heads/"))
}
