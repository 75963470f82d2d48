//! One credential as people see it: its names, how it came to be, its ends, and its uses summed up.

use std::collections::BTreeMap;

use serde::Serialize;

use super::credential::Credential;
use super::name::{Id, Sort};
use super::trace::{Mark, Place};
use crate::time::Timestamp;

/// Networks and actions that a card shows.
const SHOWN_MAX: usize = 8;

/// One entity, with all keys of its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Its names, sorted. Keys of one session are names of it.
    pub names: Vec<Id>,
    /// What it is, in words.
    pub what: String,
    /// As whom it acts.
    pub owner: Option<String>,
    /// The session's principal: `AROA…:name`, where the caller chose the name.
    pub principal: Option<String>,
    /// Set where the chain of roles began; whoever holds the session cannot change it.
    pub source_identity: Option<String>,
    /// When the session began.
    pub begun: Option<Timestamp>,
    /// How it came to be.
    pub minted: Option<Origin>,
    /// Until when it is valid.
    pub expires: Option<Timestamp>,
    /// What it was given to by the vendor itself.
    pub places: Vec<Place>,
    /// What became of it, by time.
    pub ended: Vec<End>,
    /// Its uses.
    pub uses: Uses,
}

/// The record of a minting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// When.
    pub time: Timestamp,
    /// By which call.
    pub action: String,
    /// From where.
    pub network: Option<String>,
    /// The event.
    pub event: String,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// When.
    pub time: Timestamp,
    /// `revoked`, `deactivated`, `deleted`, `signed out`, `activated again`.
    pub what: &'static str,
    /// The event.
    pub event: String,
}

/// Uses, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// How many.
    pub count: u64,
    /// How many of them were refused.
    pub failures: u64,
    /// The first.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
    /// From where, the most frequent first.
    pub networks: Vec<Often>,
    /// For what, the most frequent first.
    pub actions: Vec<Often>,
    /// As whom.
    pub holders: Vec<Often>,
}

/// A value and how often it came. The last of a list may stand for all others, without a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Often {
    /// The value; nothing for all others.
    pub value: Option<String>,
    /// How often.
    pub count: u64,
}

impl Card {
    /// A credential that only its name is known of.
    pub(super) fn bare(id: &Id) -> Self {
        Self {
            names: vec![id.clone()],
            what: id.sort.words().to_owned(),
            owner: None,
            principal: None,
            source_identity: None,
            begun: None,
            minted: None,
            expires: None,
            places: Vec::new(),
            ended: Vec::new(),
            uses: Uses::default(),
        }
    }

    /// Of the names of one entity.
    pub(super) fn of(entity: &[&Credential]) -> Self {
        let all = || entity.iter().copied();
        let minting = all().find_map(Credential::minting);
        let session = || all().find_map(|one| one.sessions.first());
        let said = minting.map(|(_, minting)| minting);
        let mut ended: Vec<End> =
            all().flat_map(|one| &one.endings).map(|(mark, ending)| End::new(mark, ending.words())).collect();
        ended.sort_by_key(|end| end.time);
        let mut names: Vec<Id> = all().flat_map(|one| one.ids.iter().cloned()).collect();
        names.sort();
        let first = names.first();
        let what = said.map_or_else(|| unminted(first, session().is_some()), |minting| minting.form.words());
        let holder = || all().find_map(|one| one.holders.iter().next()).map(|(holder, _)| holder.to_owned());
        let mut places: Vec<Place> = all().flat_map(|one| one.places.iter().cloned()).collect();
        places.extend(said.and_then(|minting| minting.place.clone()));
        places.sort();
        places.dedup();
        Self {
            what: what.to_owned(),
            owner: said.and_then(|minting| minting.owner.clone()).or_else(holder),
            principal: said
                .and_then(|minting| minting.principal.clone())
                .or_else(|| session().map(|session| session.principal.clone())),
            source_identity: said
                .and_then(|minting| minting.source_identity.clone())
                .or_else(|| all().flat_map(|one| &one.sessions).find_map(|session| session.source_identity.clone())),
            begun: session().map(|session| session.created),
            minted: minting.map(|(mark, _)| Origin {
                time: mark.time,
                action: mark.action.clone(),
                network: mark.network.clone(),
                event: mark.uid.id.clone(),
            }),
            expires: all().filter_map(Credential::expires).max(),
            places,
            ended,
            uses: Uses::of(entity),
            names,
        }
    }
}

/// What a credential is called whose minting no record tells.
fn unminted(name: Option<&Id>, is_session: bool) -> &'static str {
    match name {
        Some(id) if id.sort == Sort::AwsKey && (is_session || id.text.starts_with("ASIA")) => "session",
        Some(id) => id.sort.words(),
        None => "credential",
    }
}

impl End {
    fn new(mark: &Mark, what: &'static str) -> Self {
        Self { time: mark.time, what, event: mark.uid.id.clone() }
    }
}

impl Uses {
    fn of(entity: &[&Credential]) -> Self {
        let all = || entity.iter().copied();
        let networks = all().flat_map(|one| one.networks.iter().map(|(key, seen)| (key, seen.count)));
        let holders = all().flat_map(|one| one.holders.iter().map(|(key, seen)| (key, seen.count)));
        let actions = all().flat_map(|one| one.actions.iter().map(|(key, count)| (key, *count)));
        Self {
            count: all().map(|one| one.uses).sum(),
            failures: all().map(|one| one.failures).sum(),
            first: all().filter_map(|one| Some(one.first.as_ref()?.time)).min(),
            last: all().filter_map(|one| Some(one.last.as_ref()?.time)).max(),
            networks: often(networks, all().map(|one| one.networks.over()).sum()),
            actions: often(actions, all().map(|one| one.actions.over()).sum()),
            holders: often(holders, all().map(|one| one.holders.over()).sum()),
        }
    }
}

/// The most frequent first, equal ones by name; what is not shown is one number at the end.
fn often<'a>(values: impl Iterator<Item = (&'a str, u64)>, over: u64) -> Vec<Often> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    values.for_each(|(value, count)| *sums.entry(value).or_default() += count);
    let mut sorted: Vec<(&str, u64)> = sums.into_iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let rest: u64 = over + sorted.iter().skip(SHOWN_MAX).map(|(_, count)| count).sum::<u64>();
    let shown = sorted.into_iter().take(SHOWN_MAX);
    let mut shown: Vec<Often> = shown.map(|(value, count)| Often { value: Some(value.to_owned()), count }).collect();
    if rest > 0 {
        shown.push(Often { value: None, count: rest });
    }
    shown
}
