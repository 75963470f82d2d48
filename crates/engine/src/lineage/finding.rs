//! What is odd about a credential: pure values, worked out from all that is known of it.

use serde::Serialize;
use std::net::IpAddr;

use super::Lineage;
use super::credential::{Credential, TOLD_MAX};
use super::name::{Id, Sort};
use super::policy::Inside;
use super::trace::{Caller, Ending, Form, Mark, Minting};
use crate::rule::Severity;
use crate::time::Timestamp;

/// Steps back in which a credential's place is looked for.
const CLIMB_MAX: usize = 16;
/// Findings of one sort about one credential: a key that is used from a thousand places is not said a thousand times.
const OUTSIDE_MAX: usize = 4;

/// Something odd about one credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// When it was seen.
    pub time: Timestamp,
    /// What sort of thing.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The credential.
    pub credential: Id,
    /// What sets it apart from others of its kind about this credential: a network, a day, an end. Later records may change
    /// the sentence, this stays.
    pub anchor: String,
    /// What was seen, in a sentence with its numbers.
    pub sentence: String,
    /// The event that it was seen in.
    pub event: String,
}

/// What sort of thing is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A pipeline's credential was used from none of the networks of its runners.
    OutsideCi,
    /// Credentials of an instance or function were used from none of the networks of the cloud.
    OutsideCloud,
    /// It was made by one identity, and another one uses it.
    UsedByAnother,
    /// It was used after its end.
    AfterEnd,
    /// It was used again after a long sleep.
    Awakened,
    /// A session of a role took on an administrator's role.
    ChainToAdmin,
}

impl FindingKind {
    /// Its name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OutsideCi => "outside_ci",
            Self::OutsideCloud => "outside_cloud",
            Self::UsedByAnother => "used_by_another",
            Self::AfterEnd => "after_end",
            Self::Awakened => "awakened",
            Self::ChainToAdmin => "chain_to_admin",
        }
    }
}

impl Finding {
    /// Whether it is worth an alert. Vault refuses what has expired, so a use that worked says that a renewal was not seen.
    #[must_use]
    pub fn is_for_people(&self) -> bool {
        let of_vault = matches!(self.credential.sort, Sort::VaultAccessor | Sort::VaultToken | Sort::VaultLease);
        let is_expiry = self.kind == FindingKind::AfterEnd && self.anchor == "expired";
        !(of_vault && is_expiry)
    }
}

/// Where a credential belongs, by what it or what minted it was given to.
enum Belongs {
    Pipeline(String),
    Cloud(String),
}

impl Lineage {
    /// All that is odd, by time.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> =
            self.credentials.values().flat_map(|filed| self.judge(&filed.credential)).collect();
        found.sort();
        found
    }

    /// Appends what is found of this one and was not told before.
    pub(super) fn tell(&mut self, name: &Id, found: &mut Vec<Finding>) {
        let Some(credential) = self.get(name) else { return };
        let mut fresh: Vec<(String, Finding)> = Vec::new();
        for finding in self.judge(credential) {
            let key = told(&finding);
            if !credential.told.contains(&key) && credential.told.len() + fresh.len() < TOLD_MAX {
                fresh.push((key, finding));
            }
        }
        let Some(filed) = self.credentials.get_mut(name) else { return };
        for (key, finding) in fresh {
            filed.credential.told.insert(key);
            found.push(finding);
        }
    }

    /// All that is odd about the names of one entity.
    pub(super) fn judge_entity(&self, id: &Id) -> Vec<Finding> {
        self.entity(id).into_iter().flat_map(|credential| self.judge(credential)).collect()
    }

    fn judge(&self, credential: &Credential) -> Vec<Finding> {
        let mut found = Vec::new();
        self.outside(credential, &mut found);
        by_another(credential, &mut found);
        self.after_end(credential, &mut found);
        self.awakened(credential, &mut found);
        self.chain_to_admin(credential, &mut found);
        found
    }

    fn outside(&self, credential: &Credential, found: &mut Vec<Finding>) {
        if self.policy.inside_ci().is_empty() && self.policy.inside_cloud().is_empty() {
            return;
        }
        let (kind, inside, what) = match self.belongs(credential) {
            Some(Belongs::Pipeline(what)) => (FindingKind::OutsideCi, self.policy.inside_ci(), what),
            Some(Belongs::Cloud(what)) => (FindingKind::OutsideCloud, self.policy.inside_cloud(), what),
            None => return,
        };
        if inside.is_empty() {
            return;
        }
        let minted = credential.minting().map(|(mark, _)| mark).filter(|_| kind == FindingKind::OutsideCi);
        let mut marks: Vec<&Mark> = credential.networks.iter().map(|(_, seen)| &seen.first).chain(minted).collect();
        marks.sort();
        let mut told: Vec<&str> = Vec::new();
        for mark in marks {
            let Some(network) = mark.network.as_deref().filter(|network| is_outside(network, &inside)) else {
                continue;
            };
            if told.contains(&network) || told.len() == OUTSIDE_MAX {
                continue;
            }
            told.push(network);
            let sentence = format!(
                "{} of {what} was used from {network} for {}, outside the networks that were given",
                credential.id(),
                mark.action
            );
            found.push(finding(kind, credential, mark, (Severity::High, network.to_owned(), sentence)));
        }
    }

    /// What it, or what minted it, was given to: followed back over records that name both.
    fn belongs(&self, credential: &Credential) -> Option<Belongs> {
        let mut next = Some(credential);
        for _ in 0..CLIMB_MAX {
            // A long-lived key that a pipeline makes may well be meant for elsewhere.
            let one = next.filter(|one| !one.id().is_long_lived())?;
            let minting = one.minting().map(|(_, minting)| minting);
            if let Some(workload) = minting.and_then(|minting| minting.workload.as_ref()) {
                return workload.is_pipeline().then(|| Belongs::Pipeline(workload.to_string()));
            }
            let place = minting.and_then(|minting| minting.place.as_ref()).or_else(|| one.places.first());
            if let Some(place) = place {
                return Some(Belongs::Cloud(format!("{} {}", place.sort.words(), place.name)));
            }
            next = minting.and_then(|minting| self.get(minting.with.as_ref()?));
        }
        None
    }

    fn after_end(&self, credential: &Credential, found: &mut Vec<Finding>) {
        let skew = self.policy.skew;
        let mut uses: Vec<&Mark> = credential.remembered().collect();
        uses.sort();
        uses.dedup();
        let endings: Vec<&(Mark, Ending)> = credential.endings.iter().collect();
        for (place, (end, ending)) in endings.iter().enumerate() {
            if *ending == Ending::Reactivated {
                continue;
            }
            let again = endings[place + 1..].iter().find(|(_, next)| *next == Ending::Reactivated);
            let until = again.map(|(mark, _)| mark.time.minus(skew));
            let is_after = |mark: &&&Mark| {
                mark.time > end.time.plus(skew) && until.is_none_or(|until| mark.time < until) && mark.uid != end.uid
            };
            if let Some(mark) = uses.iter().find(is_after) {
                let sentence = format!(
                    "{} was {} at {}, and used {} later from {} for {}{}",
                    credential.id(),
                    ending.words(),
                    end.time,
                    mark.time.since(end.time),
                    mark.network.as_deref().unwrap_or("an unknown network"),
                    mark.action,
                    if mark.failed { ", which was refused" } else { "" }
                );
                let severity = if mark.failed { Severity::Medium } else { Severity::High };
                found.push(finding(
                    FindingKind::AfterEnd,
                    credential,
                    mark,
                    (severity, end.time.to_string(), sentence),
                ));
                break;
            }
        }
        let Some(expires) = credential.expires() else { return };
        if let Some(mark) = uses.iter().find(|mark| mark.time > expires.plus(skew) && !mark.failed) {
            let sentence = format!(
                "{} expired at {expires}, and was used {} later for {}",
                credential.id(),
                mark.time.since(expires),
                mark.action
            );
            found.push(finding(
                FindingKind::AfterEnd,
                credential,
                mark,
                (Severity::High, "expired".to_owned(), sentence),
            ));
        }
    }

    fn awakened(&self, credential: &Credential, found: &mut Vec<Finding>) {
        if !credential.ids.iter().any(Id::is_long_lived) {
            return;
        }
        let day = |time: Timestamp| time.cell(crate::time::Span::seconds(86_400));
        let minted = credential.minting().map(|(mark, _)| day(mark.time));
        for (mark, gap) in credential.days.starts() {
            let slept = gap.or_else(|| minted.map(|minted| day(mark.time) - minted));
            let Some(days) = slept.filter(|days| *days >= self.policy.dormant_days) else { continue };
            let sentence = format!(
                "{} was used from {} for {} after {days} days without a use",
                credential.id(),
                mark.network.as_deref().unwrap_or("an unknown network"),
                mark.action
            );
            let anchor = day(mark.time).to_string();
            found.push(finding(FindingKind::Awakened, credential, mark, (Severity::Medium, anchor, sentence)));
        }
    }

    fn chain_to_admin(&self, credential: &Credential, found: &mut Vec<Finding>) {
        let Some((mark, minting)) = credential.minting() else { return };
        let by_role = minting.form == Form::RoleSession && minting.by.sort == Caller::Role;
        let Some(role) = minting.owner.as_deref().filter(|_| by_role) else { return };
        let Some(why) = self.admin(role, mark.time) else { return };
        // A session that takes on its own role again has gained nothing.
        let before = minting.by.name.split(":assumed-role/").nth(1).and_then(|rest| rest.split('/').next());
        if before == role.rsplit('/').next() {
            return;
        }
        let sentence =
            format!("{} took on {role}, an administrator's role ({why}), as {}", minting.by.name, credential.id());
        found.push(finding(FindingKind::ChainToAdmin, credential, mark, (Severity::High, role.to_owned(), sentence)));
    }

    /// Why a role is an administrator's at this time, as far as the log or the policy says.
    fn admin(&self, role: &str, time: Timestamp) -> Option<&'static str> {
        let name = role.rsplit('/').next()?;
        if self.policy.admin_roles.iter().any(|admin| admin == name || admin == role) {
            return Some("by its name");
        }
        let account = role.split(':').nth(4)?;
        let changes = self.roles.get(&format!("{account}:{name}"))?;
        let (_, _, is_admin) = changes.iter().rev().find(|(changed, _, _)| *changed <= time.plus(self.policy.skew))?;
        is_admin.then_some("AdministratorAccess was attached to it")
    }
}

/// What a finding is known by: it is told once, although later uses change its words.
fn told(finding: &Finding) -> String {
    format!("{} {}", finding.kind.name(), finding.anchor)
}

/// How bad, in which words, and set apart by what.
type Said = (Severity, String, String);

fn finding(kind: FindingKind, credential: &Credential, mark: &Mark, (severity, anchor, sentence): Said) -> Finding {
    let event = mark.uid.id.clone();
    Finding { time: mark.time, kind, severity, credential: credential.id().clone(), anchor, sentence, event }
}

/// Whether it is a public address in none of these networks. Names of services and private addresses are inside: a call
/// by an endpoint of a private network shows the address in it.
fn is_outside(network: &str, inside: &Inside<'_>) -> bool {
    let Ok(address) = network.parse::<IpAddr>() else { return false };
    let is_private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    };
    !is_private && !inside.contains(address)
}

fn by_another(credential: &Credential, found: &mut Vec<Finding>) {
    let Some((minted, minting)) = credential.minting() else { return };
    let Some(owner) = minting.owner.as_deref() else { return };
    if credential.id().sort == Sort::AwsKey {
        if minting.form == Form::AccessKey && !is_user(&minting.by.name, owner) {
            for_another(credential, minted, minting, owner, found);
        }
        return;
    }
    // Elsewhere the record of each use says who it was. An installation and a key of its own have no person as owner.
    let names_a_person = matches!(
        minting.form,
        Form::PersonalToken | Form::OauthToken | Form::LoginSession | Form::ApiToken | Form::VaultToken
    );
    let other = credential.holders.iter().find(|(holder, _)| *holder != owner).filter(|_| names_a_person);
    if let Some((holder, seen)) = other {
        let sentence = format!(
            "{} was made for {owner} and used by {holder} from {} for {}",
            credential.id(),
            seen.first.network.as_deref().unwrap_or("an unknown network"),
            seen.first.action
        );
        found.push(finding(
            FindingKind::UsedByAnother,
            credential,
            &seen.first,
            (Severity::High, holder.to_owned(), sentence),
        ));
    }
}

/// A key that one made for another user: who holds it then is shown by the network, if it is that of its maker.
fn for_another(credential: &Credential, minted: &Mark, minting: &Minting, owner: &str, found: &mut Vec<Finding>) {
    let Some(first) = &credential.first else { return };
    let same =
        minted.network.as_deref().and_then(|network| credential.networks.iter().find(|(key, _)| *key == network));
    let (severity, mark, tail) = match same {
        Some((network, seen)) => (Severity::High, &seen.first, format!("from {network}, where it was made")),
        None => {
            let network = first.network.as_deref().unwrap_or("an unknown network");
            (Severity::Medium, first, format!("from {network}"))
        }
    };
    let maker = &minting.by.name;
    let sentence = format!("{} of {owner} was made by {maker} and is used {tail}", credential.id());
    found.push(finding(FindingKind::UsedByAnother, credential, mark, (severity, owner.to_owned(), sentence)));
}

/// Whether an ARN is that of `user/name`, whatever path lies between.
fn is_user(arn: &str, owner: &str) -> bool {
    let name = owner.strip_prefix("user/").unwrap_or(owner);
    let (kind, rest) = arn.split(':').nth(5).and_then(|tail| tail.split_once('/')).unwrap_or_default();
    kind == "user" && rest.rsplit('/').next() == Some(name)
}
