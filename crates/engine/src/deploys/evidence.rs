//! What a run says of a deploy: its commit and branch, what guards them, and what it built.

use super::chain::{self, Root};
use super::fact::{Guard, GuardSort, Push, Receipt, Run, RunKey, System, Turn};
use super::index::{At, Index};
use super::join;
use super::judge::{Case, Court, Shelf, cut};
use super::policy::Pattern;
use super::record::{Artifact, Edge, Finding, Request, Weight, What};
use super::review;
use super::text::is_commit;
use super::who::DAY;
use crate::event::Kind;
use crate::time::{Span, Timestamp};

/// What a run adds to the record.
#[derive(Default)]
pub(super) struct Evidence {
    pub(super) repository: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) request: Edge<Request>,
    pub(super) approved_by: Vec<String>,
    pub(super) artifact: Artifact,
}

/// A run with what is known around it.
pub(super) struct Story<'f> {
    pub(super) key: &'f RunKey,
    pub(super) run: Option<&'f Run>,
    pub(super) repository: Option<&'f str>,
    pub(super) commit: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) receipts: Vec<&'f Receipt>,
    pub(super) started: Timestamp,
    /// Logs that would tell of its repository.
    pub(super) kinds: &'static [Kind],
}

/// Before a push starts a run.
pub(super) const BEFORE_RUN: Span = Span::seconds(3_600);

/// Adds up findings.
pub(super) struct Say(pub(super) Vec<Finding>);

impl Say {
    pub(super) fn add(&mut self, what: What, weight: Weight, says: impl Into<String>) {
        self.0.push(Finding { what, weight, says: says.into() });
    }

    /// Of something that is not there.
    pub(super) fn absent(&mut self, what: What, (weight, why): (Weight, String), says: &str) {
        self.add(what, weight, format!("{says}{why}"));
    }
}

/// What this run says of the deploy, and what is to be said of it.
pub(super) fn evidence(court: &Court<'_, '_>, case: &Case<'_, '_>, key: &RunKey) -> (Evidence, Vec<Finding>) {
    let story = Story::of(&court.index, key, case.anchor.time);
    let mut say = Say(Vec::new());
    origin(case, &story, &mut say);
    protection(court, case, &story, &mut say);
    definition(court, &story, &mut say);
    let request = review::request(court, case, &story, &mut say);
    let approved_by = review::approval(court, case, &story, &mut say);
    review::checks(court, case, &story, &request, &mut say);
    review::ticket(court, case, &story, &mut say);
    let artifact = artifact(court, case, &story, &mut say);
    let evidence = Evidence {
        repository: story.repository.map(str::to_owned),
        actor: story.run.and_then(|run| run.actor.clone()),
        commit: story.commit,
        branch: story.branch,
        request,
        approved_by,
        artifact,
    };
    (evidence, say.0)
}

impl<'f> Story<'f> {
    fn of(index: &'f Index<'_>, key: &'f RunKey, time: Timestamp) -> Self {
        let run = index.runs.get(key);
        let receipts: Vec<&Receipt> = index.receipts_by_run.get(key).into_iter().flatten().copied().collect();
        let proven = receipts.iter().find_map(|receipt| receipt.commit.clone());
        let commit = proven.or_else(|| source_of(index, key)).or_else(|| run?.commit.clone());
        let (repository, kinds): (_, &'static [Kind]) = match key.system {
            System::Github => (Some(&*key.scope), &[Kind::GithubWebhook]),
            System::Gitlab => (Some(&*key.scope), &[Kind::GitlabWebhook]),
            System::Codebuild | System::Codepipeline | System::Cloudbuild => {
                // A commit that two repositories have is of a fork as likely as not.
                let known = commit.as_deref().and_then(|commit| index.repositories.get(commit));
                let one = known.filter(|all| all.len() == 1).and_then(|all| all.first().copied());
                (one, &[Kind::GithubWebhook, Kind::GitlabWebhook])
            }
        };
        let mut story = Self {
            key,
            run,
            repository,
            branch: run.and_then(|run| run.branch.clone()),
            commit,
            receipts,
            started: run.map_or(time, |run| run.started),
            kinds,
        };
        if story.branch.is_none() {
            story.branch = story.push(index).map(|(_, push)| super::subject::short(&push.git_ref));
        }
        story
    }

    /// The push that brought the commit: to the branch of the run, if there are several.
    pub(super) fn push(&self, index: &'f Index<'_>) -> Option<At<'f, Push>> {
        let pushes = index.pushes.get(&(self.repository?, self.commit.as_deref()?))?;
        let on = |(_, push): &&At<'f, Push>| Some(super::subject::short(&push.git_ref)) == self.branch;
        let only = || pushes.first().filter(|_| pushes.iter().all(|(_, push)| push.git_ref == pushes[0].1.git_ref));
        pushes.iter().find(on).or_else(only).map(|(time, push)| (*time, *push))
    }
}

/// The commit that an execution of CodePipeline fetched; of several sources none is the one.
fn source_of(index: &Index<'_>, key: &RunKey) -> Option<String> {
    let actions = index.actions.get(&*key.id).filter(|_| key.system == System::Codepipeline)?;
    let sources = actions.iter().filter(|(_, action)| action.category == "Source");
    let mut commits: Vec<&str> =
        sources.filter_map(|(_, action)| action.external.as_deref()).filter(|id| is_commit(id)).collect();
    commits.sort_unstable();
    commits.dedup();
    if let [commit] = commits[..] { Some(commit.to_owned()) } else { None }
}

/// Whose code of which branch it is.
fn origin(case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) {
    let environment = case.environment;
    if !environment.repositories.is_empty() {
        match story.repository {
            Some(repository) if Pattern::any(&environment.repositories, repository) => {}
            Some(repository) => {
                let says = format!("{repository} may not deploy to {}", environment.name);
                say.add(What::ForeignRepository, Weight::Against, says);
            }
            None => say.add(What::ForeignRepository, Weight::Unsure, "which repository it is of is not known"),
        }
    }
    let cause = story.run.and_then(|run| run.cause.as_deref()).unwrap_or_default();
    let fork = story.run.and_then(|run| run.fork.as_deref());
    let unmerged = ["pull_request", "pull_request_target", "merge_request_event"].contains(&cause);
    if let Some(fork) = fork {
        say.add(What::UnmergedCode, Weight::Against, format!("the run is of {fork}, somebody else's copy"));
    } else if unmerged {
        say.add(What::UnmergedCode, Weight::Against, "the run is of a request that is not merged");
    }
    if !environment.branches.is_empty() && !unmerged {
        match &story.branch {
            Some(branch) if Pattern::any(&environment.branches, branch) => {}
            Some(branch) => {
                let wanted: Vec<&str> = environment.branches.iter().map(Pattern::text).collect();
                let says = format!("{branch} is none of the branches that may deploy: {}", wanted.join(", "));
                say.add(What::UnprotectedBranch, Weight::Against, says);
            }
            None => say.add(What::UnprotectedBranch, Weight::Unsure, "which branch it is of is not known"),
        }
    }
    let conclusion = story.run.and_then(|run| Some((run.conclusion.as_deref()?, run.ended?)));
    if let Some((conclusion, ended)) = conclusion
        && ended < case.anchor.time
        && !["success", "succeeded"].contains(&conclusion)
    {
        say.add(What::RunFailed, Weight::Against, format!("the run had ended before, with {conclusion}"));
    }
}

/// Whether what guards the branch stood when the commit came, and what was done to it since.
fn protection(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) {
    let Some(guards) = story.repository.and_then(|repository| court.index.guards.get(repository)) else { return };
    let branch = story.branch.as_deref().unwrap_or_default();
    let about = |name: &str| name.is_empty() || super::text::is_like(branch, name);
    let moment = story.push(&court.index).map_or(story.started, |(time, _)| time);
    let near = Span::seconds(120);
    let mut lifted: Option<At<'_, Guard>> = None;
    for (time, guard) in guards.iter().filter(|(time, _)| *time <= case.anchor.time) {
        let recent = case.anchor.time.since(*time) <= DAY;
        let what = match guard.sort {
            GuardSort::Branch if about(&guard.name) => What::ProtectionChanged,
            GuardSort::Checks if about(&guard.name) => What::ChecksChanged,
            GuardSort::Environment => What::ProtectionChanged,
            GuardSort::Branch | GuardSort::Checks => continue,
        };
        let thing = if guard.name.is_empty() { story.repository.unwrap_or_default() } else { &guard.name };
        match (guard.sort, guard.turn) {
            (GuardSort::Branch, Turn::Lifted) if *time <= moment => lifted = Some((*time, *guard)),
            (GuardSort::Branch, Turn::Set) if *time <= moment => {
                if let Some((since, guard)) = lifted.take().filter(|_| recent) {
                    say.add(
                        what,
                        Weight::Note,
                        format!("{thing} had no protection from {since} to {time}: {} lifted it", guard.by),
                    );
                }
            }
            (GuardSort::Branch, Turn::Bypassed) if time.since(moment).max(moment.since(*time)) <= near => {
                say.add(what, Weight::Against, format!("{} went past the protection of {thing} at {time}", guard.by));
            }
            (GuardSort::Environment, Turn::Lifted) if recent => {
                say.add(what, Weight::Against, format!("{} lifted the protection of {thing} at {time}", guard.by));
            }
            (_, Turn::Altered | Turn::Lifted) if recent => {
                say.add(what, Weight::Note, format!("{} changed what protects {thing} at {time}", guard.by));
            }
            (_, Turn::Altered | Turn::Lifted | Turn::Set | Turn::Bypassed) => {}
        }
    }
    if let Some((time, guard)) = lifted {
        let says = format!("the commit came when {} had no protection: {} lifted it at {time}", branch, guard.by);
        say.add(What::ProtectionChanged, Weight::Against, says);
    }
}

/// Whether what the pipeline does came with the same change, or history was rewritten.
fn definition(court: &Court<'_, '_>, story: &Story<'_>, say: &mut Say) {
    let Some((_, push)) = story.push(&court.index) else { return };
    if !push.pipeline_files.is_empty() {
        let files = push.pipeline_files.join(", ");
        let own = story.run.and_then(|run| run.workflow.as_ref()).filter(|own| push.pipeline_files.contains(own));
        let more = own.map_or("", |_| ", which the run itself is of");
        say.add(What::PipelineChanged, Weight::Note, format!("the same push changed {files}{more}"));
    }
    if push.forced {
        let says = format!("{} rewrote {} with this push: {} was there", push.pusher, push.git_ref, cut(&push.before));
        say.add(What::ForcePush, Weight::Note, says);
    }
}

/// Where what runs comes from: said only where it is known.
fn artifact(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) -> Artifact {
    let mut digests: Vec<String> = case.steps.iter().flat_map(|(_, change)| change.digests.clone()).collect();
    digests.sort();
    digests.dedup();
    let of_receipts: Vec<&String> = story.receipts.iter().flat_map(|receipt| &receipt.digests).collect();
    let is_built = |digest: &String| {
        of_receipts.contains(&digest)
            || story.run.is_some_and(|run| run.digests.contains(digest))
            || builds(&court.index, story.key).iter().any(|run| run.digests.contains(digest))
    };
    if !digests.is_empty() && digests.iter().all(is_built) {
        return Artifact::Built { digests };
    }
    // An image in a registry is its own deploy: pushed by a run, it explains itself.
    let is_image = case.change.target.kind == "ecr";
    let pushed =
        digests.iter().filter(|_| !is_image).find_map(|digest| Some((digest, court.index.images.get(&**digest)?)));
    if let Some((digest, pushes)) = pushed {
        let mut by = Vec::new();
        for (time, image) in pushes.iter().filter(|(time, _)| *time <= case.anchor.time) {
            let ways = chain::ways(&court.index, *time, image);
            let run = join::run(&court.index, &ways);
            if run.candidates().contains(story.key) && run.one().is_some() {
                return Artifact::Built { digests };
            }
            let by_hand = ways.iter().all(|way| matches!(way.root, Root::Person | Root::Key));
            if run == Edge::None && by_hand {
                let says = format!("{} pushed {digest} to {}, no pipeline did", image.by.name, image.target.id);
                say.add(What::ForeignArtifact, Weight::Against, says);
            }
            by.push(run.one().map_or_else(|| image.by.name.clone(), |run| format!("run {} of {}", run.id, run.scope)));
        }
        by.dedup();
        if !by.is_empty() {
            return Artifact::Pushed { digests, by: by.join(", ") };
        }
    }
    if !digests.is_empty() && !of_receipts.is_empty() && !digests.iter().any(is_built) {
        say.add(What::ForeignArtifact, Weight::Against, format!("the run did not build {}", digests.join(", ")));
    } else if !is_image {
        say.add(What::ArtifactUnknown, Weight::Note, "where the artifact comes from is unknown");
    }
    Artifact::Unknown
}

/// Builds of CodeBuild that were actions of this execution.
fn builds<'f>(index: &'f Index<'_>, key: &RunKey) -> Vec<&'f Run> {
    let actions = index.actions.get(&*key.id).filter(|_| key.system == System::Codepipeline);
    let ids = actions.into_iter().flatten().filter_map(|(_, action)| action.external.as_deref()?.rsplit_once(':'));
    let keys = ids.filter_map(|(_, id)| index.by_id.get(&(System::Codebuild, id.to_owned()))).flatten();
    keys.filter_map(|key| index.runs.get(key)).collect()
}

/// How an absence of something about a repository counts.
pub(super) fn missing(
    court: &Court<'_, '_>,
    case: &Case<'_, '_>,
    story: &Story<'_>,
    from: Timestamp,
) -> (Weight, String) {
    match story.repository {
        Some(repository) if court.index.heard.contains(repository) => {
            court.absence(story.kinds, Shelf::Source, from, case.anchor.time)
        }
        Some(repository) => (Weight::Unsure, format!(" (nothing was ever heard of {repository})")),
        None => (Weight::Unsure, " (which repository it is of is not known)".to_owned()),
    }
}
