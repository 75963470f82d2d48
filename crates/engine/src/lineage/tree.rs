//! The chain back from one credential to who or what it came from, and forward to what it minted.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Lineage;
use super::card::Card;
use super::credential::Credential;
use super::finding::Finding;
use super::link::{Confidence, Ground, Link, Source};
use super::name::{Id, Sort};
use crate::rule::nearest::slips;
use crate::time::Timestamp;

/// Steps back that are followed. AWS lets a chain of roles be of any length; nobody has one of this.
const CHAIN_MAX: usize = 32;
/// Credentials that a tree shows of what was minted; the rest are a number.
const BRANCHES_MAX: usize = 200;
/// Names of which all are asked when an id is looked up by a part of it.
const FOUND_MAX: usize = 32;

/// Names that are told as like the one that was asked for.
const NEAR_MAX: usize = 5;
/// Slips between two names that may be meant for one.
const SLIPS_MAX: usize = 2;
/// Letters of which a part of a name is told from chance.
const PART_MIN: usize = 6;

/// Where one credential came from and what came from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// What was asked for.
    pub asked: String,
    /// The credential.
    pub credential: Card,
    /// What it came from, then what that came from, and so on. Ends where a person, a run, a service or nothing is found,
    /// or where there are several candidates.
    pub chain: Vec<Link>,
    /// What it minted.
    pub minted: Vec<Branch>,
    /// How many more it minted, directly or not, than are shown.
    pub more: u64,
    /// What is odd about all of them.
    pub findings: Vec<Finding>,
}

/// A credential that another one minted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// How surely.
    pub confidence: Confidence,
    /// What that rests on.
    pub why: String,
    /// The credential.
    pub credential: Card,
    /// What it minted in turn.
    pub minted: Vec<Branch>,
}

/// What a walk forward has met.
struct Walk {
    seen: BTreeSet<Id>,
    more: u64,
}

impl Lineage {
    /// Credentials of this name: an access key, a token's id or hash, a lease, a sign-in, or a session's principal, alone or
    /// with `@` and the time at which it began. One name for each entity; several if the text is not exact enough.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Id> {
        let mut found: Vec<Id> = Vec::new();
        let mut add = |id: &Id| {
            let name = self.entity(id).first().map(|one| one.id().clone());
            found.extend(name.filter(|name| !found.contains(name) && found.len() < FOUND_MAX));
        };
        Sort::ALL
            .into_iter()
            .map(|sort| Id::new(sort, text))
            .filter(|id| self.get(id).is_some())
            .for_each(|id| add(&id));
        let (principal, begun) = text.rsplit_once('@').unwrap_or((text, ""));
        let begun = super::read::time(begun);
        let principal = if begun.is_some() { principal } else { text };
        let first = (Box::from(principal), Timestamp::default(), Id::new(Sort::AwsKey, ""));
        let of_principal = self.sessions.range(first..).take_while(|(name, _, _)| **name == *principal);
        let wanted = of_principal.filter(|(_, created, _)| begun.is_none_or(|begun| begun == *created));
        let (sign_ins, sessions): (Vec<&Id>, Vec<&Id>) =
            wanted.map(|(_, _, id)| id).partition(|id| id.sort == Sort::AwsSignIn);
        sessions.into_iter().for_each(&mut add);
        // Who asks for a session means the session, not the sign-in that opened it.
        if found.is_empty() {
            let names = sign_ins.into_iter().take(FOUND_MAX).cloned();
            found.extend(names);
        }
        found
    }

    /// Known names that are like this one, the nearest first: those that begin with it or hold it, and those that differ by
    /// a slip or two. Reads every name.
    #[must_use]
    pub fn near(&self, text: &str) -> Vec<Id> {
        let far = |id: &Id| match &*id.text {
            name if text.len() >= PART_MIN && name.starts_with(text) => Some(0),
            name if text.len() >= PART_MIN && name.contains(text) => Some(1),
            name => Some(slips(&name.to_lowercase(), &text.to_lowercase())).filter(|slips| *slips <= SLIPS_MAX),
        };
        let mut near: Vec<(usize, &Id)> = self.names().filter_map(|id| Some((far(id)?, id))).collect();
        near.sort();
        near.into_iter().take(NEAR_MAX).map(|(_, id)| id.clone()).collect()
    }

    /// Its tree; nothing if nobody has heard of it.
    #[must_use]
    pub fn trace(&self, id: &Id) -> Option<Tree> {
        let entity = self.entity(id);
        let first = entity.first()?.id().clone();
        let chain = self.chain(&first);
        let mut walk = Walk { seen: BTreeSet::from([first]), more: 0 };
        let minted = self.branches(&entity, &mut walk);
        let above = chain.iter().filter_map(|(_, id)| id.clone());
        let findings = walk.seen.iter().cloned().chain(above).flat_map(|id| self.judge_entity(&id));
        let mut findings: Vec<Finding> = findings.collect();
        findings.sort();
        findings.dedup();
        Some(Tree {
            asked: id.text.to_string(),
            credential: Card::of(&entity),
            chain: chain.into_iter().map(|(link, _)| link).collect(),
            minted,
            more: walk.more,
            findings,
        })
    }

    /// Step by step back; beside each link the credential that it leads to, if it is one alone.
    fn chain(&self, from: &Id) -> Vec<(Link, Option<Id>)> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::from([from.clone()]);
        let mut next = Some(from.clone());
        while let Some(id) = next.take().filter(|_| chain.len() < CHAIN_MAX) {
            let entity = self.entity(&id);
            if entity.is_empty() {
                let why = "it is not among what was read, or was forgotten".to_owned();
                chain.push((Link { confidence: Confidence::None, why, from: Vec::new() }, None));
                break;
            }
            let rise = self.rise(&entity);
            let single = rise.from.len() == 1;
            let mut runs = None;
            let mut sources = Vec::new();
            for ground in rise.from {
                match ground {
                    Ground::Credential(id) => {
                        sources.push(Source::Credential(Box::new(self.card(&id))));
                        next = Some(id).filter(|id| single && seen.insert(id.clone()));
                    }
                    Ground::Workload(workload, time) => {
                        runs = self.runs_of(&workload, time);
                        sources.push(Source::Workload(*workload));
                    }
                    Ground::Who(who) => sources.push(Source::Who(who)),
                    Ground::Place(place) => sources.push(Source::Place(place)),
                }
            }
            chain.push((Link { confidence: rise.confidence, why: rise.why, from: sources }, next.clone()));
            chain.extend(runs.map(|link| (link, None)));
        }
        chain
    }

    fn card(&self, id: &Id) -> Card {
        let entity = self.entity(id);
        if entity.is_empty() { Card::bare(id) } else { Card::of(&entity) }
    }

    fn branches(&self, entity: &[&Credential], walk: &mut Walk) -> Vec<Branch> {
        let mut branches = Vec::new();
        for (id, confidence, why) in self.offspring(entity) {
            if walk.seen.contains(&id) {
                continue;
            }
            if walk.seen.len() > BRANCHES_MAX {
                walk.more += 1;
                continue;
            }
            walk.seen.insert(id.clone());
            let child = self.entity(&id);
            let minted = self.branches(&child, walk);
            branches.push(Branch { confidence, why, credential: Card::of(&child), minted });
        }
        branches.sort_by(|one, other| begin(&one.credential).cmp(&begin(&other.credential)));
        branches
    }
}

/// By when it came to be.
fn begin(card: &Card) -> (Option<Timestamp>, &[Id]) {
    (card.minted.as_ref().map(|minted| minted.time).or(card.begun), &card.names)
}
