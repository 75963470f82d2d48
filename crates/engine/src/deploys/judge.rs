//! From facts to records: changes that belong together become one deploy, which is joined to what explains it and judged.
//!
//! A deploy is judged once every source that would know has come past it; what comes later makes a new revision. What
//! somebody did is held against a deploy whatever else is known; what nobody did only if the source that would have told it
//! is heard and complete for that time.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{self, Way};
use super::evidence::{Evidence, evidence};
use super::fact::{Change, Fact, Part, Push, RunKey};
use super::index::Index;
use super::join;
use super::policy::{Environment, Heard, Policy};
use super::record::{DeployId, Edge, Finding, Record, Step, Verdict, Weight, What};
use super::state::Deploys;
use super::who;
use crate::event::Kind;
use crate::time::{Span, Timestamp};

/// What each kind of log has told so far. A kind that is not in it is not onboarded.
pub type Marks = BTreeMap<Kind, Heard>;

/// Steps of one session on one target that are further apart are deploys of their own.
const GAP: Span = Span::seconds(15 * 60);

/// How long a source that falls behind is waited for; then it is late.
const PATIENCE: Span = Span::seconds(6 * 3_600);

/// Logs that a verdict may turn on, beside the one that has the change.
const WITNESSES: [Kind; 5] =
    [Kind::GithubWebhook, Kind::GithubAudit, Kind::GitlabWebhook, Kind::AwsEventbridge, Kind::AwsCloudtrail];

/// Changes that belong together.
struct Group<'f> {
    steps: Vec<(&'f Fact, &'f Change)>,
}

/// What all judgements of one turn share.
pub(super) struct Court<'f, 'p> {
    pub(super) index: Index<'f>,
    pub(super) marks: &'p Marks,
}

/// A deploy that is being judged.
pub(super) struct Case<'f, 'p> {
    pub(super) environment: &'p Environment,
    pub(super) anchor: &'f Fact,
    pub(super) change: &'f Change,
    pub(super) steps: &'p [(&'f Fact, &'f Change)],
    pub(super) ways: &'p [Way<'f>],
}

impl Deploys {
    /// Every deploy that an environment of the policy has, by time, as far as it is known now. Costs a pass over all facts.
    #[must_use]
    pub fn records(&self, policy: &Policy, marks: &Marks) -> Vec<Record> {
        let court = Court { index: Index::of(self), marks };
        let mut records: Vec<Record> =
            groups(&court.index).iter().filter_map(|group| record(&court, policy, group)).collect();
        records.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
        newcomers(&mut records, policy);
        rollbacks(&mut records, &court.index);
        for record in &mut records {
            conclude(record, policy);
        }
        records
    }

    /// Those that are to be told: past all their sources, and new or not as they were told before. Each with its revision.
    /// Only of the later half of what is kept, since the verdict on a deploy must not change because its evidence leaves.
    pub fn settle(&mut self, policy: &Policy, marks: &Marks) -> Vec<Record> {
        self.forget_told();
        let from = self.told_from();
        let mut records = self.records(policy, marks);
        records.retain_mut(|record| record.time >= from && is_due(record, marks) && self.tell(record));
        records
    }
}

/// Whether all sources that would know have come past a deploy, or are too late to be waited for.
fn is_due(record: &Record, marks: &Marks) -> bool {
    let own =
        record.steps.first().and_then(|step| marks.get(&step.kind)).map_or(Timestamp::EARLIEST, |heard| heard.mark);
    let waited = own >= record.last.plus(PATIENCE);
    own >= record.last
        && WITNESSES.iter().filter_map(|kind| marks.get(kind)).all(|heard| heard.mark >= record.last || waited)
}

/// Changes by session and target. A code change that is done again begins anew.
fn groups<'f>(index: &Index<'f>) -> Vec<Group<'f>> {
    let mut open: BTreeMap<_, usize> = BTreeMap::new();
    let mut groups: Vec<Group<'f>> = Vec::new();
    for (fact, change) in &index.changes {
        let Some(session) = change.by.session_key() else {
            groups.push(Group { steps: vec![(fact, change)] });
            continue;
        };
        let key = (&change.target, session);
        let known = open.get(&key).map(|at| &mut groups[*at]).filter(|group| {
            let late = group.steps.last().is_some_and(|(last, _)| fact.time.since(last.time) > GAP);
            let whole = matches!(change.part, Part::Code | Part::Stack);
            let again = whole && group.steps.iter().any(|(_, step)| step.action == change.action);
            !late && !again
        });
        match known {
            Some(group) => group.steps.push((fact, change)),
            None => {
                open.insert(key, groups.len());
                groups.push(Group { steps: vec![(fact, change)] });
            }
        }
    }
    // What was prepared and never carried out changed nothing.
    groups.retain(|group| group.steps.iter().any(|(_, change)| change.action != "CreateChangeSet"));
    groups
}

fn record(court: &Court<'_, '_>, policy: &Policy, group: &Group<'_>) -> Option<Record> {
    let by_weight = |(fact, change): &&(&Fact, &Change)| (change.part, fact.time, fact.event.clone());
    let (anchor, change) = group.steps.iter().min_by_key(by_weight)?;
    let (first, last) = (group.steps.first()?.0.time, group.steps.last()?.0.time);
    let environment = policy.of(&change.target)?;
    let ways = chain::ways(&court.index, anchor.time, change);
    let run = join::run(&court.index, &ways);
    let case = Case { environment, anchor, change, steps: &group.steps, ways: &ways };
    let mut findings = who::findings(court, &case, &run);
    let (evidence, more) = weigh(court, &case, &run);
    findings.extend(more);
    let step = |(fact, change): &(&Fact, &Change)| Step {
        time: fact.time,
        action: change.action.clone(),
        part: change.part,
        kind: fact.kind,
        event: fact.event.clone(),
    };
    Some(Record {
        id: DeployId::of(&change.target, anchor),
        revision: 0,
        time: first,
        last,
        target: change.target.clone(),
        environment: environment.name.clone(),
        steps: group.steps.iter().map(step).collect(),
        by: change.by.clone(),
        // Of a way that forks people are shown where it does.
        chain: ways.iter().map(|way| &way.hops).max_by_key(|hops| hops.len()).cloned().unwrap_or_default(),
        run,
        repository: evidence.repository,
        commit: evidence.commit,
        branch: evidence.branch,
        actor: evidence.actor,
        request: evidence.request,
        approved_by: evidence.approved_by,
        artifact: evidence.artifact,
        verdict: Verdict::Unknown,
        findings,
    })
}

/// What the run says. Of several that it could be, only what holds for all of them is held against the deploy, and nothing
/// of any of them is taken into the record.
fn weigh(court: &Court<'_, '_>, case: &Case<'_, '_>, run: &Edge<RunKey>) -> (Evidence, Vec<Finding>) {
    let candidates = run.candidates();
    let mut all: Vec<(Evidence, Vec<Finding>)> = candidates.iter().map(|key| evidence(court, case, key)).collect();
    if all.len() < 2 {
        return all.pop().unwrap_or_default();
    }
    let names =
        candidates.iter().map(|key| format!("{} attempt {}", key.id, key.attempt)).collect::<Vec<_>>().join(", ");
    let against = |findings: &[Finding]| -> BTreeSet<What> {
        findings.iter().filter(|finding| finding.weight != Weight::Note).map(|finding| finding.what).collect()
    };
    let sets: Vec<BTreeSet<What>> = all.iter().map(|(_, findings)| against(findings)).collect();
    let agree = sets.windows(2).all(|pair| pair[0] == pair[1]);
    let mut findings = vec![Finding {
        what: What::AmbiguousRun,
        weight: if agree { Weight::Note } else { Weight::Unsure },
        says: format!("any of {} runs could have done it: {names}", candidates.len()),
    }];
    let shared = |what: &What| sets.iter().all(|set| set.contains(what));
    let (_, first) = all.swap_remove(0);
    findings.extend(first.into_iter().filter(|finding| finding.weight != Weight::Note && shared(&finding.what)));
    (Evidence::default(), findings)
}

/// Who was never seen deploying to an environment before, once it was watched for long enough to say so.
fn newcomers(records: &mut [Record], policy: &Policy) {
    let mut begun: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut seen: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
    for record in records {
        let since = *begun.entry(record.environment.clone()).or_insert(record.time);
        let who = record.actor.clone().unwrap_or_else(|| record.by.lasting().to_owned());
        let before = seen.insert((record.environment.clone(), who.clone()), record.time);
        let enough = record.time.since(since) >= policy.new_after.0;
        let absent = before.is_none_or(|before| record.time.since(before) >= policy.new_after.0);
        if enough && absent {
            let says = format!("{who} did not deploy to {} in the {} before", record.environment, policy.new_after.0);
            record.findings.push(Finding { what: What::NewActor, weight: Weight::Note, says });
        }
    }
}

/// Deploys of an older commit than the one they replace.
fn rollbacks(records: &mut [Record], index: &Index<'_>) {
    let pushed = |record: &Record| {
        let commit = (record.repository.as_deref()?, record.commit.as_deref()?);
        let is_head = |push: &&Push| push.after == commit.1;
        let pushes = index.pushes.get(&commit)?;
        pushes.iter().filter(|(_, push)| is_head(push)).map(|(time, _)| *time).min()
    };
    let mut running: BTreeMap<_, (Timestamp, String)> = BTreeMap::new();
    for record in records {
        let (Some(time), Some(commit)) = (pushed(record), record.commit.clone()) else { continue };
        if let Some((newer, replaced)) = running.insert(record.target.clone(), (time, commit.clone()))
            && newer > time
        {
            let says = format!("{} is older than {}, which it replaces", cut(&commit), cut(&replaced));
            record.findings.push(Finding { what: What::Rollback, weight: Weight::Note, says });
        }
    }
}

fn conclude(record: &mut Record, policy: &Policy) {
    if let Some(environment) = policy.of(&record.target) {
        record.findings.retain(|finding| !environment.ignore.contains(&finding.what));
        for finding in &mut record.findings {
            if finding.weight == Weight::Note && environment.refuse.contains(&finding.what) {
                finding.weight = Weight::Against;
            }
        }
    }
    record
        .findings
        .sort_by(|one, other| (one.weight, one.what, &one.says).cmp(&(other.weight, other.what, &other.says)));
    record.findings.dedup();
    record.verdict = match record.findings.first().map(|finding| finding.weight) {
        Some(Weight::Against) => Verdict::Unexplained,
        Some(Weight::Unsure) => Verdict::Unknown,
        Some(Weight::Note) | None => Verdict::Explained,
    };
}

/// A commit as people read it.
pub(super) fn cut(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}

/// Which shelf an absence is looked for on; see [`Index::lost`].
#[derive(Clone, Copy)]
pub(super) enum Shelf {
    Source,
    Pipeline,
    Identity,
}

impl Court<'_, '_> {
    /// How an absence counts: against the deploy if one of these logs is complete over the whole time, else it is unsure, and
    /// why.
    pub(super) fn absence(&self, kinds: &[Kind], shelf: Shelf, from: Timestamp, to: Timestamp) -> (Weight, String) {
        let mut reasons = Vec::new();
        for kind in kinds {
            match self.marks.get(kind) {
                None => reasons.push(format!("{kind} is not onboarded")),
                Some(heard) if heard.mark < to => reasons.push(format!("{kind} is complete only up to {}", heard.mark)),
                Some(heard) if heard.since > from => {
                    reasons.push(format!("{kind} is complete only from {}", heard.since))
                }
                Some(_) if self.index.lost[shelf as usize] >= from => {
                    reasons.push("what was known of that time had to be let go".to_owned());
                }
                Some(_) => return (Weight::Against, String::new()),
            }
        }
        (Weight::Unsure, format!(" ({})", reasons.join("; ")))
    }
}
