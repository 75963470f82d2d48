//! Facts by what they are joined on. Made anew for each judgement: a pass over what is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{
    Action, Approval, Change, Check, Fact, Guard, Merge, Part, Push, Receipt, Review, Run, RunKey, Says, Session,
    System, Trust, Update,
};
use super::state::Deploys;
use crate::time::{Span, Timestamp};

/// A fact's time and what it says.
pub(super) type At<'f, T> = (Timestamp, &'f T);

/// A name and another one within it: a repository and a commit, an account and a role.
type Pair<'f> = (&'f str, &'f str);

/// Id of a run without its attempt.
pub(super) type Runs<'f> = (System, &'f str, &'f str);

/// Facts by what they are joined on; each list in the order of time.
#[derive(Default)]
pub(super) struct Index<'f> {
    pub(super) sessions: BTreeMap<&'f str, Vec<At<'f, Session>>>,
    pub(super) runs: BTreeMap<RunKey, Run>,
    pub(super) jobs: BTreeMap<Runs<'f>, BTreeSet<&'f str>>,
    pub(super) actions: BTreeMap<&'f str, Vec<At<'f, Action>>>,
    pub(super) approvals: BTreeMap<Runs<'f>, Vec<At<'f, Approval>>>,
    pub(super) receipts_by_key: BTreeMap<&'f str, Vec<&'f Receipt>>,
    pub(super) receipts_by_run: BTreeMap<&'f RunKey, Vec<&'f Receipt>>,
    pub(super) pushes: BTreeMap<Pair<'f>, Vec<At<'f, Push>>>,
    pub(super) merges: BTreeMap<Pair<'f>, Vec<At<'f, Merge>>>,
    pub(super) updates: BTreeMap<Pair<'f>, Vec<At<'f, Update>>>,
    pub(super) reviews: BTreeMap<Pair<'f>, Vec<At<'f, Review>>>,
    pub(super) checks: BTreeMap<Pair<'f>, Vec<At<'f, Check>>>,
    pub(super) guards: BTreeMap<&'f str, Vec<At<'f, Guard>>>,
    pub(super) trusts: BTreeMap<Pair<'f>, Vec<At<'f, Trust>>>,
    /// Operations of stacks, by account and region.
    pub(super) stacks: BTreeMap<Pair<'f>, Vec<At<'f, Change>>>,
    /// Images by digest.
    pub(super) images: BTreeMap<&'f str, Vec<At<'f, Change>>>,
    /// Repositories in which a commit is known.
    pub(super) repositories: BTreeMap<&'f str, BTreeSet<&'f str>>,
    /// Runs whose id is unique by itself.
    pub(super) by_id: BTreeMap<(System, String), BTreeSet<RunKey>>,
    /// Executions of CodePipeline by what their actions are called on the other side: a commit, or the id of a build.
    pub(super) executions: BTreeMap<&'f str, BTreeSet<&'f str>>,
    /// Repositories of which anything was heard.
    pub(super) heard: BTreeSet<&'f str>,
    pub(super) changes: Vec<(&'f Fact, &'f Change)>,
    /// Up to when facts have left, by age or by number: of source control, pipelines and identities.
    pub(super) lost: [Timestamp; 3],
}

impl<'f> Index<'f> {
    /// All that is kept.
    pub(super) fn of(deploys: &'f Deploys) -> Self {
        let mut index = Self::default();
        let shelves = deploys.shelves();
        for fact in shelves.iter().flat_map(|shelf| &shelf.facts) {
            index.put(fact);
        }
        let [scm, ci, identity, _] = shelves;
        // What leaves by number and what by age depends on the order of arrival; which of both it was does not matter.
        let before = deploys.horizon().minus(Span::from_micros(1));
        index.lost = [scm, ci, identity].map(|shelf| shelf.lost.map_or(before, |lost| lost.max(before)));
        index
    }

    fn put(&mut self, fact: &'f Fact) {
        let time = fact.time;
        match &fact.says {
            Says::Push(_) | Says::Merge(_) | Says::Update(_) | Says::Review(_) | Says::Guard(_) | Says::Check(_) => {
                self.put_source(time, &fact.says);
            }
            Says::Run(run) => self.put_run(run),
            Says::Job(job) => {
                self.jobs.entry((job.system, &job.scope, &job.run)).or_default().insert(&job.environment);
                self.heard.insert(&job.scope);
            }
            Says::Action(action) => {
                self.actions.entry(&action.execution).or_default().push((time, action));
                if let Some(external) = &action.external {
                    // `project:<uuid>` of a build.
                    let id = external.rsplit(':').next().unwrap_or(external);
                    self.executions.entry(id).or_default().insert(&action.execution);
                }
            }
            Says::Approval(approval) => {
                let run = (approval.system, &*approval.scope, &*approval.run);
                self.approvals.entry(run).or_default().push((time, approval));
            }
            Says::Receipt(receipt) => {
                if let Some(key) = &receipt.access_key {
                    self.receipts_by_key.entry(key).or_default().push(receipt);
                }
                self.receipts_by_run.entry(&receipt.run).or_default().push(receipt);
            }
            Says::Session(session) => self.sessions.entry(&session.access_key).or_default().push((time, session)),
            Says::Trust(trust) => self.trusts.entry((&trust.account, &trust.role)).or_default().push((time, trust)),
            Says::Change(change) => self.put_change(fact, change),
        }
    }

    fn put_source(&mut self, time: Timestamp, says: &'f Says) {
        let repository = match says {
            Says::Push(push) => {
                for commit in push.commits.iter().chain([&push.after]) {
                    self.pushes.entry((&push.repository, commit)).or_default().push((time, push));
                    self.repositories.entry(commit).or_default().insert(&push.repository);
                }
                &push.repository
            }
            Says::Merge(merge) => {
                self.merges.entry((&merge.repository, &merge.commit)).or_default().push((time, merge));
                self.repositories.entry(&merge.commit).or_default().insert(&merge.repository);
                &merge.repository
            }
            Says::Update(update) => {
                self.updates.entry((&update.repository, &update.number)).or_default().push((time, update));
                &update.repository
            }
            Says::Review(review) => {
                self.reviews.entry((&review.repository, &review.number)).or_default().push((time, review));
                &review.repository
            }
            Says::Guard(guard) => {
                self.guards.entry(&guard.repository).or_default().push((time, guard));
                &guard.repository
            }
            Says::Check(check) => {
                self.checks.entry((&check.repository, &check.commit)).or_default().push((time, check));
                &check.repository
            }
            Says::Run(_)
            | Says::Job(_)
            | Says::Action(_)
            | Says::Approval(_)
            | Says::Session(_)
            | Says::Trust(_)
            | Says::Change(_)
            | Says::Receipt(_) => return,
        };
        self.heard.insert(repository);
    }

    fn put_run(&mut self, run: &'f Run) {
        self.heard.insert(&run.key.scope);
        if matches!(run.key.system, System::Codebuild | System::Codepipeline) {
            let id = (run.key.system, run.key.id.clone());
            self.by_id.entry(id).or_default().insert(run.key.clone());
        }
        match self.runs.get_mut(&run.key) {
            Some(known) => merge(known, run),
            None => {
                self.runs.insert(run.key.clone(), run.clone());
            }
        }
    }

    fn put_change(&mut self, fact: &'f Fact, change: &'f Change) {
        self.changes.push((fact, change));
        match change.part {
            Part::Stack => {
                let place = (&*change.target.account, &*change.target.region);
                self.stacks.entry(place).or_default().push((fact.time, change));
            }
            Part::Artifact => {
                for digest in &change.digests {
                    self.images.entry(digest).or_default().push((fact.time, change));
                }
            }
            Part::Code | Part::Configuration | Part::Release | Part::Access => {}
        }
    }

    /// Attempts of runs of one repository, project or account.
    pub(super) fn runs_of(&self, system: System, scope: &str) -> impl Iterator<Item = &Run> {
        let first = RunKey { system, scope: scope.to_owned(), id: String::new(), attempt: 0 };
        let scope = scope.to_owned();
        let of = move |key: &RunKey| key.system == system && key.scope == scope;
        self.runs.range(first..).take_while(move |(key, _)| of(key)).map(|(_, run)| run)
    }
}

/// Puts together what two events say of one attempt. Which of them came first makes no difference: the earlier beginning,
/// the later end, and of two words the one that sorts first.
fn merge(known: &mut Run, other: &Run) {
    fn either<T: Ord + Clone>(known: &mut Option<T>, other: &Option<T>) {
        *known = match (known.take(), other.clone()) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
    }
    known.started = known.started.min(other.started);
    known.ended = known.ended.max(other.ended);
    either(&mut known.conclusion, &other.conclusion);
    either(&mut known.commit, &other.commit);
    either(&mut known.branch, &other.branch);
    either(&mut known.cause, &other.cause);
    either(&mut known.actor, &other.actor);
    either(&mut known.workflow, &other.workflow);
    either(&mut known.fork, &other.fork);
    known.reused.extend(other.reused.iter().cloned());
    known.reused.sort();
    known.reused.dedup();
    known.digests.extend(other.digests.iter().cloned());
    known.digests.sort();
    known.digests.dedup();
}
