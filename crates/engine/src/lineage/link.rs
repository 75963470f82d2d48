//! What a credential came from, and how surely.

use serde::Serialize;

use super::credential::Credential;
use super::name::{Id, Sort};
use super::run::Run;
use super::subject::Workload;
use super::trace::{Caller, Form, Mark, Minting, Place, Who};
use super::{Card, Lineage};
use crate::time::{Span, Timestamp};

/// A console session begins with its sign-in, to the second; a second may pass in between.
const SIGN_IN_SECONDS: u32 = 2;

/// How surely one thing came from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// A record names both.
    Exact,
    /// No record names both; of all that is known one alone fits.
    UniqueCandidate,
    /// Several fit. All are shown, none is taken.
    Ambiguous,
    /// Nothing that is known fits.
    None,
}

/// What something came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// How surely.
    pub confidence: Confidence,
    /// What it rests on, in words.
    pub why: String,
    /// One if it is known, several if they are candidates, none if nothing fits.
    pub from: Vec<Source>,
}

/// Something that credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Another credential.
    Credential(Box<Card>),
    /// A run of a workflow.
    Run(Run),
    /// A workload, by its OIDC token.
    Workload(Workload),
    /// A person, a service or somebody of another account.
    Who(Who),
    /// A machine or function that the vendor itself gave it to.
    Place(Place),
}

impl Confidence {
    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UniqueCandidate => "unique candidate",
            Self::Ambiguous => "ambiguous",
            Self::None => "none",
        }
    }
}

/// What a credential came from, before it is put into words; credentials by their names.
pub(super) struct Rise {
    pub(super) confidence: Confidence,
    pub(super) why: String,
    pub(super) from: Vec<Ground>,
}

/// [`Source`], with a credential by its name.
pub(super) enum Ground {
    Credential(Id),
    Workload(Box<Workload>, Timestamp),
    Who(Who),
    Place(Place),
}

impl Rise {
    fn new(confidence: Confidence, why: impl Into<String>, from: Vec<Ground>) -> Self {
        Self { confidence, why: why.into(), from }
    }
}

/// Tokens of impersonation have no id in the log: who asked for one along this path is a candidate for all of them.
fn along_path(credential: &Credential, parents: Vec<Id>) -> Rise {
    let mut from: Vec<Ground> = parents.into_iter().map(Ground::Credential).collect();
    let mut bare: Vec<Who> = Vec::new();
    for (_, minting) in credential.mintings.iter().filter(|(_, minting)| minting.with.is_none()) {
        if !bare.contains(&minting.by) {
            bare.push(minting.by.clone());
        }
    }
    // Of one caller without a credential in its record the path itself is the proof: it begins with it.
    let is_proven = from.is_empty() && bare.len() == 1;
    from.extend(bare.into_iter().map(Ground::Who));
    match from.len() {
        _ if is_proven => {
            Rise::new(Confidence::Exact, "the path begins with it, and it asked for a token along it", from)
        }
        1 => Rise::new(Confidence::UniqueCandidate, "the only credential that asked for tokens along this path", from),
        many => Rise::new(Confidence::Ambiguous, format!("{many} asked for tokens along this path"), from),
    }
}

impl Lineage {
    /// The names of one entity: a credential alone, or all keys of a session that they share.
    pub(super) fn entity(&self, id: &Id) -> Vec<&Credential> {
        let Some(credential) = self.get(id) else { return Vec::new() };
        let Some((principal, created)) = credential.shared_session() else { return vec![credential] };
        let keys = self.session(principal, created);
        keys.filter(|other| other.shared_session() == Some((principal, created))).collect()
    }

    /// The keys that are used in, or minted as, a session of this principal and second.
    fn session<'a>(&'a self, principal: &'a str, created: Timestamp) -> impl Iterator<Item = &'a Credential> {
        let first = Id::new(Sort::AwsKey, "");
        let keys = self.sessions.range((principal.into(), created, first)..);
        keys.take_while(move |(name, begun, _)| &**name == principal && *begun == created)
            .filter(|(_, _, id)| id.sort == Sort::AwsKey)
            .filter_map(|(_, _, id)| self.get(id))
    }

    /// What an entity came from.
    pub(super) fn rise(&self, entity: &[&Credential]) -> Rise {
        let Some(credential) = entity.first() else { return Rise::new(Confidence::None, "unknown", Vec::new()) };
        match credential.minting() {
            Some((mark, minting)) => self.minted_by(credential, mark, minting),
            None => self.begun_by(credential),
        }
    }

    fn minted_by(&self, credential: &Credential, mark: &Mark, minting: &Minting) -> Rise {
        let mut parents: Vec<Id> = Vec::new();
        for with in credential.mintings.iter().filter_map(|(_, minting)| minting.with.as_ref()) {
            let name = self.entity(with).first().map_or(with, |entity| entity.id());
            if !parents.contains(name) {
                parents.push(name.clone());
            }
        }
        let action = &mark.action;
        if credential.id().sort == Sort::GcpPath {
            return along_path(credential, parents);
        }
        match parents.as_slice() {
            [one] => {
                let why = format!("{action} was called with it and answered with the id");
                return Rise::new(Confidence::Exact, why, vec![Ground::Credential(one.clone())]);
            }
            [] => {}
            _ => {
                let why = format!("{} records of its minting name different callers", parents.len());
                let from = parents.into_iter().map(Ground::Credential).collect();
                return Rise::new(Confidence::Ambiguous, why, from);
            }
        }
        if let Some(workload) = &minting.workload {
            let why = format!("{action} records the subject of the token");
            return Rise::new(Confidence::Exact, why, vec![Ground::Workload(Box::new(workload.clone()), mark.time)]);
        }
        if minting.by.name.is_empty() {
            return Rise::new(Confidence::None, format!("{action} does not say who asked"), Vec::new());
        }
        let why = match minting.by.sort {
            Caller::Account => format!("{action} names it, and not the credential: the log of its account does"),
            _ if minting.form == Form::ConsoleSession => format!("{action} names who signed in"),
            _ => format!("{action} names who asked"),
        };
        Rise::new(Confidence::Exact, why, vec![Ground::Who(minting.by.clone())])
    }

    /// Of a session whose minting no record tells: a sign-in that began it, or what the vendor says it was given to.
    fn begun_by(&self, credential: &Credential) -> Rise {
        if let Some((principal, created)) = credential.shared_session() {
            let sign_ins = self.openers(principal, created);
            // A sign-in that could have begun another session as well has not been shown to have begun this one.
            let others = self.sessions_begun(principal, &sign_ins);
            let from = |ids: Vec<Id>| ids.into_iter().map(Ground::Credential).collect();
            match sign_ins.as_slice() {
                [] => {}
                [_] if others.len() <= 1 => {
                    let why = "the only sign-in of this principal in the second in which the session began";
                    return Rise::new(Confidence::UniqueCandidate, why, from(sign_ins));
                }
                _ => {
                    let why = format!(
                        "{} sign-ins and {} sessions of this principal within {SIGN_IN_SECONDS} s",
                        sign_ins.len(),
                        others.len()
                    );
                    return Rise::new(Confidence::Ambiguous, why, from(sign_ins));
                }
            }
        }
        if let Some(place) = credential.places.first() {
            let why = "the vendor writes into each use what it was given to";
            return Rise::new(Confidence::Exact, why, vec![Ground::Place(place.clone())]);
        }
        Rise::new(Confidence::None, "no record of its minting is here", Vec::new())
    }

    /// Sign-ins of this principal that may have begun a session at this time; without any, what was issued to it then.
    fn openers(&self, principal: &str, created: Timestamp) -> Vec<Id> {
        let near = || self.around(principal, created).map(|(_, id)| id.clone());
        let sign_ins: Vec<Id> = near().filter(|id| id.sort == Sort::AwsSignIn).collect();
        if !sign_ins.is_empty() {
            return sign_ins;
        }
        let mut issued: Vec<Id> = near().filter(|id| self.get(id).is_some_and(|one| one.minting().is_some())).collect();
        issued.dedup();
        issued
    }

    /// The beginnings of shared sessions that these sign-ins may have begun.
    fn sessions_begun(&self, principal: &str, sign_ins: &[Id]) -> Vec<Timestamp> {
        let times = sign_ins.iter().filter_map(|id| Some(self.get(id)?.minting()?.0.time));
        let mut begun: Vec<Timestamp> = times.flat_map(|time| self.begun_around(principal, time)).collect();
        begun.sort_unstable();
        begun.dedup();
        begun
    }

    /// The beginnings of this principal's shared sessions about this time.
    fn begun_around(&self, principal: &str, time: Timestamp) -> Vec<Timestamp> {
        let keys = self.around(principal, time).filter(|(_, id)| id.sort == Sort::AwsKey);
        let shared = keys.filter(|(created, id)| {
            self.get(id).and_then(Credential::shared_session).is_some_and(|session| session == (principal, *created))
        });
        shared.map(|(created, _)| created).collect()
    }

    fn around<'a>(&'a self, principal: &'a str, time: Timestamp) -> impl Iterator<Item = (Timestamp, &'a Id)> {
        let near = Span::seconds(SIGN_IN_SECONDS);
        let first = (Box::from(principal), time.minus(near), Id::new(Sort::AwsKey, ""));
        let until = time.plus(near);
        self.sessions
            .range(first..)
            .take_while(move |(name, begun, _)| &**name == principal && *begun <= until)
            .map(|(_, begun, id)| (*begun, id))
    }

    /// What an entity minted or began, by name, each with how surely.
    pub(super) fn offspring(&self, entity: &[&Credential]) -> Vec<(Id, Confidence, String)> {
        let mut found: Vec<(Id, Confidence, String)> = Vec::new();
        let names = entity.iter().flat_map(|credential| &credential.ids);
        for (_, child) in names.flat_map(|name| self.minted_with(name)) {
            self.add_child(entity, child, &mut found);
        }
        let mintings = entity.iter().filter_map(|one| one.minting());
        for (principal, time) in mintings.filter_map(|(mark, minting)| Some((minting.principal.as_deref()?, mark.time)))
        {
            for begun in self.begun_around(principal, time) {
                let key = self.session(principal, begun).find(|key| key.shared_session() == Some((principal, begun)));
                let opens = |key: &&Credential| {
                    let openers = self.openers(principal, begun);
                    openers.iter().any(|opener| entity.iter().any(|one| one.ids.contains(opener)))
                        && !entity.contains(key)
                };
                if let Some(key) = key.filter(opens) {
                    self.add_child(entity, key.id(), &mut found);
                }
            }
        }
        found
    }

    fn minted_with(&self, name: &Id) -> impl Iterator<Item = &(Id, Id)> {
        let first = (name.clone(), Id::new(Sort::AwsKey, ""));
        let name = name.clone();
        self.children.range(first..).take_while(move |(parent, _)| *parent == name)
    }

    fn add_child(&self, parent: &[&Credential], child: &Id, found: &mut Vec<(Id, Confidence, String)>) {
        let entity = self.entity(child);
        let Some(name) = entity.first().map(|one| one.id().clone()) else { return };
        let is_itself = parent.iter().any(|one| one.ids.contains(&name));
        if !is_itself && !found.iter().any(|(known, _, _)| *known == name) {
            let Rise { confidence, why, .. } = self.rise(&entity);
            found.push((name, confidence, why));
        }
    }

    /// The runs that a workload's token may have been given to.
    pub(super) fn runs_of(&self, workload: &Workload, time: Timestamp) -> Option<Link> {
        let Workload::Github { repository, run, .. } = workload else { return None };
        let candidates = self.runs.candidates(workload, time, self.policy.skew);
        let from = |runs: Vec<&Run>| runs.into_iter().cloned().map(Source::Run).collect();
        let link = |confidence, why: String, runs| Link { confidence, why, from: from(runs) };
        if let Some(run) = run {
            let known = candidates.into_iter().find(|known| known.run == *run)?;
            return Some(link(Confidence::Exact, format!("the claims of its token name run {run}"), vec![known]));
        }
        let of = repository.as_deref().unwrap_or("that workflow");
        Some(match candidates.len() {
            0 => link(Confidence::None, format!("no run of {of} is known that was on at that time"), candidates),
            1 => link(
                Confidence::UniqueCandidate,
                format!("the only known run of {of} that fits and was on at that time; the token does not name it"),
                candidates,
            ),
            many => link(
                Confidence::Ambiguous,
                format!("{many} runs of {of} fit and were on at that time; the token does not say which"),
                candidates,
            ),
        })
    }
}
