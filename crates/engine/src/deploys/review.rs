//! The second pair of eyes: on the change, on its checks, and on the run that deploys.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{BEFORE_RUN, Say, Story, missing};
use super::fact::{Answer, Merge, Opinion, Review};
use super::index::At;
use super::judge::{Case, Court, Shelf, cut};
use super::policy::Rule;
use super::record::{Edge, Request, Sure, Weight, What};
use super::who::DAY;
use crate::time::Timestamp;

/// The request that the commit came by, and whether somebody else approved it.
pub(super) fn request(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) -> Edge<Request> {
    let wanted = case.environment.review == Rule::Required;
    let Some((repository, commit)) = story.repository.zip(story.commit.as_deref()) else {
        if wanted {
            say.add(What::NoReview, Weight::Unsure, "which commit it is of is not known");
        }
        return Edge::None;
    };
    let merges = court.index.merges.get(&(repository, commit));
    let mut by_number: BTreeMap<&str, At<'_, Merge>> = BTreeMap::new();
    for (time, merge) in merges.into_iter().flatten() {
        by_number.entry(&merge.number).or_insert((*time, merge));
    }
    let requests: Vec<Request> = by_number.values().map(|merge| reviewed(court, *merge).0).collect();
    let edge = Edge::of(requests, Sure::Exact);
    match (&edge, by_number.values().next()) {
        _ if !wanted => {}
        (Edge::Exact(_) | Edge::UniqueCandidate(_), Some(merge)) => opinions(court, case, story, *merge, say),
        (Edge::Ambiguous(several), _) => {
            let says = format!("{} requests say that {} came of them", several.len(), cut(commit));
            say.add(What::NoReview, Weight::Unsure, says);
        }
        (Edge::Exact(_) | Edge::UniqueCandidate(_) | Edge::None, _) => unrequested(court, case, story, commit, say),
    }
    edge
}

/// A commit that came by no request.
fn unrequested(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, commit: &str, say: &mut Say) {
    if let Some((time, push)) = story.push(&court.index) {
        let says = format!("no review: {} pushed {} straight to {}", push.pusher, cut(commit), push.git_ref);
        say.absent(What::NoReview, missing(court, case, story, time.minus(BEFORE_RUN)), &says);
        return;
    }
    let by_push = story.run.and_then(|run| run.cause.as_deref()) == Some("push");
    if by_push {
        let says = format!("no review: no push and no merged request brought {}", cut(commit));
        say.absent(What::NoReview, missing(court, case, story, story.started.minus(BEFORE_RUN)), &says);
    } else {
        // A run on a schedule or by hand deploys what has lain there for any time.
        say.add(What::NoReview, Weight::Unsure, format!("{} came before what is known", cut(commit)));
    }
}

/// A merged request, with whoever approved it in time; and whether each of those looked at its last commit.
fn reviewed(court: &Court<'_, '_>, (merged, merge): At<'_, Merge>) -> (Request, Vec<(String, bool)>) {
    let pair = (&*merge.repository, &*merge.number);
    let mut last: BTreeMap<String, &Review> = BTreeMap::new();
    for (_, review) in court.index.reviews.get(&pair).into_iter().flatten().filter(|(time, _)| *time <= merged) {
        last.insert(review.by.to_ascii_lowercase(), review);
    }
    let yes = last.values().filter(|review| review.opinion == Opinion::Approved && !review.by_bot);
    let approvals: Vec<(String, bool)> = yes
        .map(|review| (review.by.clone(), review.commit.as_ref().is_none_or(|commit| *commit == merge.head)))
        .collect();
    let opened = court.index.updates.get(&pair).into_iter().flatten().next().map(|(_, update)| update.by.clone());
    let author = Some(&merge.author).filter(|author| !author.is_empty()).cloned().or(opened);
    let request = Request {
        number: merge.number.clone(),
        author: author.unwrap_or_default(),
        merged_by: merge.merged_by.clone(),
        approved_by: approvals.iter().map(|(by, _)| by.clone()).collect(),
    };
    (request, approvals)
}

fn opinions(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, merge: At<'_, Merge>, say: &mut Say) {
    let (request, approvals) = reviewed(court, merge);
    let (merged, merge) = merge;
    let updates = || court.index.updates.get(&(&*merge.repository, &*merge.number)).into_iter().flatten();
    let before = || updates().filter(|(time, _)| *time <= merged);
    let authors: BTreeSet<String> =
        before().map(|(_, update)| &update.by).chain([&request.author]).map(|by| by.to_ascii_lowercase()).collect();
    let others = || approvals.iter().filter(|(by, _)| !authors.contains(&by.to_ascii_lowercase()));
    let number = &request.number;
    if others().next().is_none() && !approvals.is_empty() {
        let says = format!("#{number} was approved only by {}, whose change it is", request.approved_by.join(", "));
        say.add(What::OwnApproval, Weight::Against, says);
    } else if others().next().is_none() {
        let opened = before().map(|(time, _)| *time).next().unwrap_or_else(|| merged.minus(DAY));
        let bot = if merge.by_bot { ", a bot" } else { "" };
        let says =
            format!("nobody approved #{number} of {} before {}{bot} merged it", request.author, request.merged_by);
        say.absent(What::NoReview, missing(court, case, story, opened), &says);
    } else if others().all(|(_, saw_last)| !saw_last) {
        let says = format!("#{number} was approved before its last commit {} came", cut(&merge.head));
        say.add(What::StaleReview, Weight::Note, says);
    }
}

/// Who let the run deploy, and whether somebody else did.
pub(super) fn approval(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) -> Vec<String> {
    let key = (story.key.system, &*story.key.scope, &*story.key.id);
    // A rerun is asked for anew.
    let answers = court.index.approvals.get(&key).into_iter().flatten();
    let answers: Vec<_> = answers.filter(|(time, _)| *time >= story.started && *time <= case.anchor.time).collect();
    let of = |answer| answers.iter().filter(move |(_, approval)| approval.answer == answer);
    let name = |by: &Option<String>| by.clone().unwrap_or_else(|| "somebody".to_owned());
    let yes: Vec<String> = of(Answer::Approved).map(|(_, approval)| name(&approval.by)).collect();
    for (time, approval) in of(Answer::Bypassed) {
        let says = format!("{} went past the approval of run {} at {time}", name(&approval.by), approval.run);
        say.add(What::ApprovalBypassed, Weight::Against, says);
    }
    if let Some((time, refusal)) = of(Answer::Rejected).next().filter(|_| yes.is_empty()) {
        let says = format!("{} refused run {} at {time}, and it deployed", name(&refusal.by), refusal.run);
        say.add(What::ApprovalBypassed, Weight::Against, says);
    }
    if case.environment.approval == Rule::Required {
        let actor = story.run.and_then(|run| run.actor.as_deref());
        let own = |by: &String| actor.is_some_and(|actor| actor.eq_ignore_ascii_case(by));
        if yes.is_empty() {
            let says = format!("nobody let run {} deploy", story.key.id);
            let kinds = match story.key.system {
                super::fact::System::Codebuild | super::fact::System::Codepipeline => {
                    &[crate::event::Kind::AwsEventbridge]
                }
                _ => story.kinds,
            };
            let weight = court.absence(kinds, Shelf::Pipeline, story.started, case.anchor.time);
            say.absent(What::NoApproval, weight, &says);
        } else if yes.iter().all(own) {
            let says = format!("only {}, who started the run, let it deploy", yes.join(", "));
            say.add(What::OwnRunApproval, Weight::Against, says);
        }
    }
    let mut yes = yes;
    yes.sort();
    yes.dedup();
    yes
}

/// Checks that the environment asks for, on the commit or on the last one of its request.
pub(super) fn checks(
    court: &Court<'_, '_>,
    case: &Case<'_, '_>,
    story: &Story<'_>,
    request: &Edge<Request>,
    say: &mut Say,
) {
    let Some((repository, commit)) = story.repository.zip(story.commit.as_deref()) else { return };
    let head = request.one().and_then(|_| {
        let merges = court.index.merges.get(&(repository, commit))?;
        merges.first().map(|(_, merge)| &*merge.head)
    });
    for wanted in &case.environment.checks {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for commit in [Some(commit), head].into_iter().flatten() {
            let ended = court.index.checks.get(&(repository, commit)).into_iter().flatten();
            for (_, check) in ended.filter(|(time, check)| *time <= case.anchor.time && wanted.is(&check.name)) {
                last.insert(commit, &check.conclusion);
            }
        }
        let is = |words: &[&str]| last.values().any(|conclusion| words.contains(conclusion));
        if is(&["success", "neutral"]) {
            continue;
        }
        match last.values().find(|conclusion| **conclusion != "skipped") {
            Some(conclusion) => {
                say.add(What::CheckFailed, Weight::Against, format!("check {} ended with {conclusion}", wanted.text()));
            }
            None if last.is_empty() => {
                let says = format!("check {} did not run on {}", wanted.text(), cut(commit));
                say.absent(What::CheckSkipped, missing(court, case, story, since(court, story)), &says);
            }
            None => say.add(What::CheckSkipped, Weight::Against, format!("check {} was skipped", wanted.text())),
        }
    }
}

/// Since when there can be something about the commit.
fn since(court: &Court<'_, '_>, story: &Story<'_>) -> Timestamp {
    story.push(&court.index).map_or_else(|| story.started.minus(DAY), |(time, _)| time)
}

/// Whether a ticket is named anywhere.
pub(super) fn ticket(court: &Court<'_, '_>, case: &Case<'_, '_>, story: &Story<'_>, say: &mut Say) {
    let Some(ticket) = &case.environment.ticket else { return };
    let mut texts = case.messages();
    let push = story.push(&court.index);
    texts.extend(push.map(|(_, push)| &*push.message));
    let pair = story.repository.zip(story.commit.as_deref());
    let merges = pair.and_then(|pair| court.index.merges.get(&pair)).into_iter().flatten();
    texts.extend(merges.map(|(_, merge)| &*merge.title));
    let key = (story.key.system, &*story.key.scope, &*story.key.id);
    let approvals = court.index.approvals.get(&key).into_iter().flatten();
    texts.extend(approvals.map(|(_, approval)| &*approval.comment));
    if !ticket.is_in(&texts) {
        let weight = match push {
            Some(_) => (Weight::Against, String::new()),
            None => missing(court, case, story, story.started.minus(BEFORE_RUN)),
        };
        say.absent(What::NoTicket, weight, &format!("no ticket like {} is named", ticket.text()));
    }
}
