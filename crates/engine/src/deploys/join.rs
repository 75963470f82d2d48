//! From the end of a way to the run of a pipeline: exactly by an id, or by what fits in place and time.

use std::collections::BTreeSet;

use super::chain::{Root, Way};
use super::fact::{Run, RunKey, System};
use super::index::Index;
use super::record::{Edge, Sure};
use super::subject::Claims;
use crate::time::{Span, Timestamp};

/// Clocks of two vendors, at the borders of a run.
const NEAR: Span = Span::seconds(5);

/// The same where no run is as near as that.
const FAR: Span = Span::seconds(120);

/// How long a run without an end may have gone on.
const RUN_MAX: Span = Span::seconds(86_400);

/// Cloud Build tells no end; its builds end after an hour unless they are told otherwise.
const BUILD_MAX: Span = Span::seconds(3_600);

/// The run that all of these ways lead to.
pub(super) fn run(index: &Index<'_>, ways: &[Way<'_>]) -> Edge<RunKey> {
    let mut sure = if ways.len() == 1 { Sure::Exact } else { Sure::UniqueCandidate };
    let mut found = Vec::new();
    for way in ways {
        let (runs, how) = of_way(index, way);
        sure = sure.max(how).max(way.sure);
        found.extend(runs);
    }
    Edge::of(found, sure)
}

fn of_way(index: &Index<'_>, way: &Way<'_>) -> (Vec<RunKey>, Sure) {
    let scope = format!("{}/{}", way.place.0, way.place.1);
    match &way.root {
        Root::Receipt(run) => (vec![(*run).clone()], Sure::Exact),
        Root::Workload(system, claims) => (of_claims(index, *system, claims, way.at), Sure::UniqueCandidate),
        Root::Build(id) => (of_build(index, id), Sure::Exact),
        Root::Pipeline => {
            let active = index.runs_of(System::Codepipeline, &scope).filter(|run| is_active(run, way.at, NEAR));
            (active.map(|run| run.key.clone()).collect(), Sure::UniqueCandidate)
        }
        Root::CloudBuild => {
            let recent = |run: &&Run| run.started <= way.at && way.at.since(run.started) <= BUILD_MAX;
            let recent = index.runs_of(System::Cloudbuild, way.place.0).filter(recent);
            (recent.map(|run| run.key.clone()).collect(), Sure::UniqueCandidate)
        }
        Root::Person | Root::Key | Root::Machine(_) | Root::Unseen => (Vec::new(), Sure::Exact),
    }
}

/// The execution of CodePipeline that a build was an action of, else the build itself.
fn of_build(index: &Index<'_>, id: &str) -> Vec<RunKey> {
    let of = |system, id: &str| index.by_id.get(&(system, id.to_owned())).into_iter().flatten().cloned();
    let executions = index.executions.get(id).into_iter().flatten();
    let executions: Vec<RunKey> = executions.flat_map(|execution| of(System::Codepipeline, execution)).collect();
    if executions.is_empty() { of(System::Codebuild, id).collect() } else { executions }
}

/// Runs of the repository that went on when the token was shown, and are what it says. A token names no run.
fn of_claims(index: &Index<'_>, system: System, claims: &Claims, at: Timestamp) -> Vec<RunKey> {
    let fitting = |slack| {
        let runs = index.runs_of(system, &claims.repository);
        runs.filter(|run| is_active(run, at, slack) && fits(run, claims)).collect::<Vec<&Run>>()
    };
    let near = fitting(NEAR);
    let runs = if near.is_empty() { fitting(FAR) } else { near };
    let Some(environment) = &claims.environment else { return keys(&runs) };
    let deploys_there =
        |run: &&&Run| environments(index, run).is_some_and(|names| names.iter().any(|name| same(name, environment)));
    let named: Vec<&Run> = runs.iter().filter(deploys_there).copied().collect();
    if !named.is_empty() {
        // A job in an environment is told before it starts, so a run of which none is told has none.
        return keys(&named);
    }
    let silent: Vec<&Run> = runs.iter().filter(|run| environments(index, run).is_none()).copied().collect();
    keys(&silent)
}

/// Environments that jobs of a run name.
fn environments<'a>(index: &'a Index<'_>, run: &'a Run) -> Option<&'a BTreeSet<&'a str>> {
    index.jobs.get(&(run.key.system, &*run.key.scope, &*run.key.id))
}

fn keys(runs: &[&Run]) -> Vec<RunKey> {
    runs.iter().map(|run| run.key.clone()).collect()
}

fn is_active(run: &Run, at: Timestamp, slack: Span) -> bool {
    let end = run.ended.unwrap_or_else(|| run.started.plus(RUN_MAX));
    run.started.minus(slack) <= at && at <= end.plus(slack)
}

fn fits(run: &Run, claims: &Claims) -> bool {
    let cause = run.cause.as_deref().unwrap_or_default();
    if claims.pull_request && !cause.is_empty() && !cause.starts_with("pull_request") {
        return false;
    }
    if !claims.pull_request && cause == "pull_request" {
        return false;
    }
    let branch = claims.branch.as_deref().filter(|_| !claims.pull_request);
    if let (Some(claimed), Some(branch)) = (branch, run.branch.as_deref())
        && claimed != branch
    {
        return false;
    }
    claims.workflow.as_deref().is_none_or(|claimed| uses(run, claimed))
}

/// Whether a run is of this workflow, or uses it from another repository.
fn uses(run: &Run, claimed: &str) -> bool {
    let bare = |path: &str| path.split('@').next().unwrap_or(path).to_ascii_lowercase();
    let claimed = bare(claimed);
    let Some(own) = run.workflow.as_deref() else { return true };
    // A name instead of a path says nothing.
    let is_path = own.contains('/');
    let own = format!("{}/{}", run.key.scope, bare(own));
    own == claimed || run.reused.iter().any(|path| bare(path) == claimed) || !is_path && run.reused.is_empty()
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
