//! What is known of one name of a credential. Every part is a set or a smallest, a largest or a sum, so that it does not
//! matter in which order records are taken in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::days::Days;
use super::few::{Counted, Few};
use super::name::{Id, Sort};
use super::trace::{Again, Ending, Mark, Minting, Place, Said, Session, Usage};
use crate::time::{Span, Timestamp};

/// Networks that are kept of one credential.
pub(super) const NETWORKS_MAX: usize = 64;
/// Actions that are kept of one credential.
pub(super) const ACTIONS_MAX: usize = 64;
/// Identities that are kept of one credential: there should be one.
const HOLDERS_MAX: usize = 16;
/// Records of minting, sessions and places that are kept: two logs of one event are usual, more are odd.
const SAID_MAX: usize = 8;
/// Changes of state that are kept.
const ENDINGS_MAX: usize = 32;
/// Findings that are told of one credential.
pub(super) const TOLD_MAX: usize = 64;

/// AWS issues no session for longer: when one whose issue was not seen is surely over.
const SESSION_HOURS_MAX: u32 = 36;

/// What is known of a credential under one name, or under several that one record each says are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credential {
    /// Its names; the smallest is what it goes by.
    pub(super) ids: BTreeSet<Id>,
    pub(super) mintings: BTreeSet<(Mark, Minting)>,
    pub(super) endings: BTreeSet<(Mark, Ending)>,
    pub(super) sessions: BTreeSet<Session>,
    pub(super) places: BTreeSet<Place>,
    /// Until when the last renewal made it valid.
    pub(super) renewed: Option<Timestamp>,
    pub(super) uses: u64,
    pub(super) failures: u64,
    pub(super) first: Option<Mark>,
    pub(super) last: Option<Mark>,
    pub(super) networks: Few<Seen, NETWORKS_MAX>,
    pub(super) holders: Few<Seen, HOLDERS_MAX>,
    pub(super) actions: Few<u64, ACTIONS_MAX>,
    pub(super) days: Days,
    /// Findings that were told already.
    pub(super) told: BTreeSet<String>,
}

/// How often, and when first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) first: Mark,
    pub(super) count: u64,
}

impl Counted for Seen {
    fn count(&self) -> u64 {
        self.count
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        if other.first < self.first {
            self.first = other.first;
        }
    }
}

impl Credential {
    pub(super) fn new(id: Id) -> Self {
        Self {
            ids: BTreeSet::from([id]),
            mintings: BTreeSet::new(),
            endings: BTreeSet::new(),
            sessions: BTreeSet::new(),
            places: BTreeSet::new(),
            renewed: None,
            uses: 0,
            failures: 0,
            first: None,
            last: None,
            networks: Few::default(),
            holders: Few::default(),
            actions: Few::default(),
            days: Days::default(),
            told: BTreeSet::new(),
        }
    }

    /// What it goes by.
    pub(super) fn id(&self) -> &Id {
        self.ids.first().expect("a credential is made with a name and loses none")
    }

    /// Takes in what one record says. Answers whether that can change what is found: most uses are like the one before.
    pub(super) fn take(&mut self, mark: &Mark, said: Said) -> bool {
        match said {
            Said::Minted(minting) => self.minted(mark.clone(), *minting),
            Said::Ended(ending) => keep(&mut self.endings, (mark.clone(), ending), ENDINGS_MAX),
            Said::Used(usage) => self.used(mark, *usage),
        }
    }

    /// What is minted again and again by the same, as tokens of an impersonation are, is kept once: the first.
    fn minted(&mut self, mark: Mark, minting: Minting) -> bool {
        let same = self.mintings.iter().find(|(_, known)| *known == minting).cloned();
        match same {
            Some(known) if known.0 <= mark => false,
            Some(known) => {
                self.mintings.remove(&known);
                self.mintings.insert((mark, minting))
            }
            None => keep(&mut self.mintings, (mark, minting), SAID_MAX),
        }
    }

    fn used(&mut self, mark: &Mark, usage: Usage) -> bool {
        let times = usage.again.as_ref().map_or(1, |again| 1 + again.times);
        let last = usage.again.map(|Again { time, uid, .. }| Mark { time, uid, ..mark.clone() });
        let last = last.as_ref().filter(|last| *last > mark).unwrap_or(mark);
        self.uses += times;
        self.failures += if mark.failed { times } else { 0 };
        let seen = || Seen { first: mark.clone(), count: times };
        let mut is_new = self.days.add(mark);
        if let Some(network) = &mark.network {
            is_new |= self.networks.add(network, seen());
        }
        if let Some(holder) = &usage.holder {
            is_new |= self.holders.add(holder, seen());
        }
        self.actions.add(&mark.action, times);
        self.renewed = self.renewed.max(usage.renewed);
        if let Some(session) = usage.session.filter(|session| !self.sessions.contains(session)) {
            is_new |= keep(&mut self.sessions, session, SAID_MAX);
        }
        if let Some(place) = usage.place.filter(|place| !self.places.contains(place)) {
            is_new |= keep(&mut self.places, place, SAID_MAX);
        }
        if self.first.as_ref().is_none_or(|first| mark < first) {
            self.first = Some(mark.clone());
        }
        if self.last.as_ref().is_none_or(|known| last > known) {
            self.last = Some(last.clone());
        }
        is_new || !self.endings.is_empty() || self.expires().is_some_and(|expires| expires < last.time)
    }

    /// Takes in all that is known under another name of the same credential.
    pub(super) fn join(&mut self, other: Self) {
        self.ids.extend(other.ids);
        other.mintings.into_iter().for_each(|(mark, minting)| {
            self.minted(mark, minting);
        });
        other.endings.into_iter().for_each(|one| {
            keep(&mut self.endings, one, ENDINGS_MAX);
        });
        other.sessions.into_iter().for_each(|one| {
            keep(&mut self.sessions, one, SAID_MAX);
        });
        other.places.into_iter().for_each(|one| {
            keep(&mut self.places, one, SAID_MAX);
        });
        self.renewed = self.renewed.max(other.renewed);
        self.uses += other.uses;
        self.failures += other.failures;
        self.first = self.first.take().into_iter().chain(other.first).min();
        self.last = self.last.take().max(other.last);
        self.networks.join(other.networks);
        self.holders.join(other.holders);
        self.actions.join(other.actions);
        self.days.join(other.days);
        self.told.extend(other.told);
    }

    /// The record of its minting that says most: one that names the credential it was asked for with, else the first.
    /// A call across accounts is in the logs of both, and only that of the caller names its key.
    pub(super) fn minting(&self) -> Option<&(Mark, Minting)> {
        self.mintings.iter().find(|(_, minting)| minting.with.is_some()).or_else(|| self.mintings.first())
    }

    /// Until when it is valid, if a record says so.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let minted = self.mintings.iter().filter_map(|(_, minting)| minting.expires).max();
        // A renewal says nothing of what was never to end.
        minted.map(|expires| self.renewed.map_or(expires, |renewed| renewed.max(expires)))
    }

    /// The session that it shares with other keys: only of a key whose own minting no record tells.
    pub(super) fn shared_session(&self) -> Option<(&str, Timestamp)> {
        let shared = self.sessions.iter().find(|session| session.is_shared).filter(|_| self.mintings.is_empty())?;
        Some((&shared.principal, shared.created))
    }

    /// Every use that is remembered by itself.
    pub(super) fn remembered(&self) -> impl Iterator<Item = &Mark> {
        let networks = self.networks.iter().map(|(_, seen)| &seen.first);
        networks.chain(self.days.starts().map(|(mark, _)| mark)).chain(&self.first).chain(&self.last)
    }

    /// The last that was heard of it.
    pub(super) fn heard(&self) -> Timestamp {
        let minted = self.mintings.last().map(|(mark, _)| mark.time);
        let ended = self.endings.last().map(|(mark, _)| mark.time);
        let used = self.last.as_ref().map(|mark| mark.time);
        [minted, ended, used].into_iter().flatten().max().unwrap_or_default()
    }

    /// From when on it is of no more use to anybody, and nothing is heard of it; nothing while it may be valid.
    pub(super) fn over(&self) -> Option<Timestamp> {
        let ended = self.endings.last().filter(|(_, ending)| *ending != Ending::Reactivated).map(|(mark, _)| mark.time);
        let at_most = |session: &Session| session.created.plus(Span::seconds(SESSION_HOURS_MAX * 3_600));
        let unseen = || self.sessions.iter().map(at_most).max().filter(|_| self.id().sort == Sort::AwsKey);
        // A sign-in is judged by the session that it opened.
        let sign_in = || {
            let begun = self.mintings.last().filter(|_| self.id().sort == Sort::AwsSignIn);
            begun.map(|(mark, _)| mark.time.plus(Span::seconds(SESSION_HOURS_MAX * 3_600)))
        };
        let end = self.expires().into_iter().chain(ended).max().or_else(unseen).or_else(sign_in)?;
        Some(end.max(self.heard()))
    }
}

/// Keeps the first so many. Answers whether it is new.
fn keep<T: Ord>(set: &mut BTreeSet<T>, one: T, max: usize) -> bool {
    let is_new = set.insert(one);
    if set.len() > max {
        set.pop_last();
    }
    is_new
}
