//! Where each credential came from, and where and as what it is used.
//!
//! [`traces`] reads what one event says; [`Lineage`] keeps it. Nothing is concluded when a record comes in: what minted a
//! credential, what its session is and what is odd about it are worked out from all that is known when it is asked for, so
//! records may come in any order. What joins two records is said with each join, as [`Confidence`]; candidates are shown and
//! never merged.

mod aws;
mod card;
mod credential;
mod days;
mod few;
mod finding;
mod gcp;
mod github;
pub(crate) mod glance;
mod link;
mod name;
mod okta;
mod policy;
mod print;
mod read;
mod run;
mod subject;
mod trace;
mod tree;
mod vault;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::credential::Credential;
use self::run::Runs;
use crate::event::Uid;
use crate::time::Timestamp;

/// A network as an address and how many bits of it count, such as `192.0.2.0/24`.
pub use ipnet::IpNet as Net;

pub use self::card::{Card, End, Often, Origin, Uses};
pub use self::finding::{Finding, FindingKind};
pub use self::glance::{Glimpse, Used};
pub use self::link::{Confidence, Link, Source};
pub use self::name::{Id, Sort};
pub use self::policy::{Caps, Policy};
pub use self::run::Run;
pub use self::subject::Workload;
pub use self::trace::{
    About, Again, Caller, Ending, Form, Mark, Minting, Place, PlaceSort, Ran, Said, Session, Trace, Usage, Who, traces,
};
pub use self::tree::{Branch, Tree};

/// All that is known of credentials, within [`Caps`].
///
/// Taking in the same traces in another order gives the same lineage, trees and findings, as long as no cap was reached:
/// what is dropped then is what was heard of longest ago at that moment. The same trace twice is counted as two uses.
/// Memory: about 8 KB a credential, measured on a day of CloudTrail, up to some 40 KB for one that is used from everywhere.
#[derive(Clone, Debug)]
pub struct Lineage {
    caps: Caps,
    policy: Policy,
    credentials: BTreeMap<Id, Filed>,
    /// Other names of credentials, each with the one that it goes by.
    aliases: BTreeMap<Id, Id>,
    /// (the name that a minting was asked for with, what was minted).
    children: BTreeSet<(Id, Id)>,
    /// (principal, beginning, key), of uses and of mintings that name their principal.
    sessions: BTreeSet<(Box<str>, Timestamp, Id)>,
    /// By when they were heard of last, or earlier: looked at again when it is their turn to go.
    by_heard: BTreeSet<(Timestamp, Id)>,
    /// Those that are over, by when they were over, or earlier.
    by_over: BTreeSet<(Timestamp, Id)>,
    runs: Runs,
    /// Roles of AWS whose administrator policy came or went.
    roles: BTreeMap<String, BTreeSet<(Timestamp, Uid, bool)>>,
    /// The latest time that was heard.
    horizon: Timestamp,
    evicted: u64,
    expired: u64,
}

/// A credential, and where it stands in the orders in which credentials leave.
#[derive(Clone, Debug)]
struct Filed {
    credential: Credential,
    heard: Timestamp,
    over: Option<Timestamp>,
}

/// A lineage as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Version of this form.
    pub version: u32,
    credentials: Vec<Credential>,
    runs: Vec<Run>,
    roles: BTreeMap<String, BTreeSet<(Timestamp, Uid, bool)>>,
    horizon: Timestamp,
    evicted: u64,
    expired: u64,
}

/// The form that [`Lineage::save`] writes.
const VERSION: u32 = 1;

/// Changes that are kept of one role.
const ROLE_CHANGES_MAX: usize = 16;

impl Lineage {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(caps: Caps, policy: Policy) -> Self {
        Self {
            caps,
            policy,
            credentials: BTreeMap::new(),
            aliases: BTreeMap::new(),
            children: BTreeSet::new(),
            sessions: BTreeSet::new(),
            by_heard: BTreeSet::new(),
            by_over: BTreeSet::new(),
            runs: Runs::default(),
            roles: BTreeMap::new(),
            horizon: Timestamp::default(),
            evicted: 0,
            expired: 0,
        }
    }

    /// Takes in what one event says. Appends what is found of the credential that it is about and was not told before.
    ///
    /// Times in the future must be clamped by the caller: the latest time that is heard says what is long over.
    pub fn take(&mut self, trace: Trace, found: &mut Vec<Finding>) {
        self.horizon = self.horizon.max(trace.last());
        match trace.about {
            About::Run(ran) => {
                self.runs.take(&trace.mark, ran);
                while self.runs.len() > self.caps.runs_max {
                    self.runs.drop_oldest();
                }
            }
            About::Role { role, is_admin } => self.take_role(role, &trace.mark, is_admin),
            About::Credential { id, alias, said } => {
                let id = self.settle(id, alias);
                let filed = self.credentials.get_mut(&id).expect("a name that was settled has its credential");
                if filed.credential.take(&trace.mark, said) {
                    self.index(&id);
                    self.tell(&id, found);
                }
            }
        }
        self.let_go();
    }

    /// How many credentials are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }

    /// How many credentials left because the cap was reached.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many left because they were over for longer than [`Caps::linger`].
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The name that each known credential goes by.
    pub fn names(&self) -> impl Iterator<Item = &Id> {
        self.credentials.values().flat_map(|filed| &filed.credential.ids)
    }

    /// All of it, to be kept. Equal lineages give equal bytes.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved {
            version: VERSION,
            credentials: self.credentials.values().map(|filed| filed.credential.clone()).collect(),
            runs: self.runs.iter().cloned().collect(),
            roles: self.roles.clone(),
            horizon: self.horizon,
            evicted: self.evicted,
            expired: self.expired,
        }
    }

    /// What was saved, under these caps; nothing if another version wrote it.
    #[must_use]
    pub fn restore(saved: Saved, caps: Caps, policy: Policy) -> Option<Self> {
        if saved.version != VERSION {
            return None;
        }
        let mut lineage = Self::new(caps, policy);
        for credential in saved.credentials {
            lineage.put(credential);
        }
        saved.runs.into_iter().for_each(|run| lineage.runs.put(run));
        lineage.roles = saved.roles;
        lineage.horizon = saved.horizon;
        lineage.evicted = saved.evicted;
        lineage.expired = saved.expired;
        Some(lineage)
    }

    fn take_role(&mut self, role: String, mark: &Mark, is_admin: bool) {
        let changes = self.roles.entry(role).or_default();
        changes.insert((mark.time, mark.uid.clone(), is_admin));
        if changes.len() > ROLE_CHANGES_MAX {
            changes.pop_first();
        }
        if self.roles.len() > self.caps.roles_max {
            self.roles.pop_last();
        }
    }

    /// The name that a credential goes by.
    fn name<'a>(&'a self, id: &'a Id) -> &'a Id {
        self.aliases.get(id).unwrap_or(id)
    }

    fn get(&self, id: &Id) -> Option<&Credential> {
        self.credentials.get(self.name(id)).map(|filed| &filed.credential)
    }

    /// Finds or makes the credential of these names, which one record says are the same.
    fn settle(&mut self, id: Id, alias: Option<Id>) -> Id {
        let mut name = self.name(&id).clone();
        if !self.credentials.contains_key(&name) {
            self.put(Credential::new(id));
        }
        let Some(alias) = alias else { return name };
        let other = self.name(&alias).clone();
        if other == name {
            return name;
        }
        let mut joined = self.remove(&other).unwrap_or_else(|| Credential::new(alias));
        if let Some(one) = self.remove(&name) {
            joined.join(one);
        }
        name = joined.id().clone();
        self.put(joined);
        name
    }

    fn put(&mut self, credential: Credential) {
        let name = credential.id().clone();
        for other in credential.ids.iter().skip(1) {
            self.aliases.insert(other.clone(), name.clone());
        }
        let heard = credential.heard();
        self.by_heard.insert((heard, name.clone()));
        self.credentials.insert(name.clone(), Filed { credential, heard, over: None });
        self.index(&name);
    }

    /// Files a credential under all that it can be found by. What stands there already stays.
    fn index(&mut self, name: &Id) {
        let Some(filed) = self.credentials.get_mut(name) else { return };
        let credential = &filed.credential;
        for session in &credential.sessions {
            self.sessions.insert((session.principal.as_str().into(), session.created, name.clone()));
        }
        for (mark, minting) in &credential.mintings {
            self.children.extend(minting.with.iter().map(|parent| (parent.clone(), name.clone())));
            let principal = minting.principal.as_deref().map(Box::from);
            self.sessions.extend(principal.map(|principal| (principal, mark.time, name.clone())));
        }
        if filed.over.is_none()
            && let Some(over) = credential.over()
        {
            filed.over = Some(over);
            self.by_over.insert((over, name.clone()));
        }
    }

    fn remove(&mut self, name: &Id) -> Option<Credential> {
        let Filed { credential, heard, over } = self.credentials.remove(name)?;
        self.by_heard.remove(&(heard, name.clone()));
        if let Some(over) = over {
            self.by_over.remove(&(over, name.clone()));
        }
        for other in &credential.ids {
            self.aliases.remove(other);
        }
        for session in &credential.sessions {
            self.sessions.remove(&(session.principal.as_str().into(), session.created, name.clone()));
        }
        for (mark, minting) in &credential.mintings {
            if let Some(parent) = &minting.with {
                self.children.remove(&(parent.clone(), name.clone()));
            }
            if let Some(principal) = &minting.principal {
                self.sessions.remove(&(principal.as_str().into(), mark.time, name.clone()));
            }
        }
        Some(credential)
    }

    /// Lets go what is long over, and what was heard of longest ago while there are too many.
    fn let_go(&mut self) {
        let long_ago = self.horizon.minus(self.caps.linger);
        while let Some((over, name)) = self.by_over.first().filter(|(over, _)| *over < long_ago).cloned() {
            self.by_over.remove(&(over, name.clone()));
            let Some(filed) = self.credentials.get_mut(&name) else { continue };
            // It may have been heard of since, or have been made valid again.
            filed.over = filed.credential.over();
            match filed.over {
                Some(now) if now < long_ago => {
                    self.remove(&name);
                    self.expired += 1;
                }
                Some(now) => {
                    self.by_over.insert((now, name));
                }
                None => {}
            }
        }
        self.runs.drop_before(long_ago);
        while self.credentials.len() > self.caps.credentials_max {
            let Some((_, name)) = self.by_heard.pop_first() else { return };
            let Some(filed) = self.credentials.get_mut(&name) else { continue };
            let heard = filed.credential.heard();
            if heard > filed.heard {
                filed.heard = heard;
                self.by_heard.insert((heard, name));
            } else {
                self.remove(&name);
                self.evicted += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
