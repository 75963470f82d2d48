//! What CloudTrail says of credentials, from a few members of a record that was never parsed.
//!
//! Nearly every record says no more than that a key was used; for that a walk over the text is enough which matching makes
//! anyway. A record that may say more, or is unusual, is read in full: the names of such calls stand beside their readers
//! ([`super::aws`], the deploys), which read no others.

use super::aws;
use super::name::{Id, Sort};
use super::read;
use super::trace::{Mark, Place, PlaceSort, Session, Usage};
use crate::deploys;
use crate::event::{Kind, Uid};
use crate::time::Timestamp;

/// One of those members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'r> {
    /// It is not there.
    Nothing,
    /// Its text.
    Text(&'r str),
    /// True or false.
    Flag(bool),
    /// Something that is neither, yet is there.
    Other,
    /// It stands there twice, or its text has to be decoded.
    Unclear,
}

/// What a glance shows of credentials and deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would be an allocation an event"
)]
pub enum Glimpse<'r> {
    /// Nothing at all.
    Nothing,
    /// That a key was used, and no more.
    Used(Used<'r>),
    /// Maybe more: the record must be read in full.
    Whole,
}

/// A key of AWS was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used<'r> {
    pub(crate) key: &'r str,
    pub(crate) action: &'r str,
    pub(crate) network: Option<&'r str>,
    pub(crate) failed: bool,
    pub(crate) holder: Option<&'r str>,
    pub(crate) session: Option<UsedSession<'r>>,
    pub(crate) place: Option<(PlaceSort, &'r str)>,
    pub(crate) time: Timestamp,
    event: [Option<&'r str>; 2],
}

/// The session of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedSession<'r> {
    pub(crate) principal: &'r str,
    /// As it is written.
    pub(crate) created: &'r str,
    pub(crate) is_shared: bool,
    pub(crate) issuer: Option<&'r str>,
    pub(crate) source_identity: Option<&'r str>,
}

/// The members that [`glimpse`] asks for; none for a kind that is always read in full.
pub(crate) fn members(kind: Kind) -> &'static [&'static str] {
    if kind == Kind::AwsCloudtrail { &MEMBERS } else { &[] }
}

const NAME: usize = 0;
const SOURCE: usize = 1;
const ERROR: usize = 2;
const SIGN_IN: usize = 3;
const ADDRESS: usize = 4;
const FROM_CONSOLE: usize = 5;
const KEY: usize = 6;
const TYPE: usize = 7;
const ARN: usize = 8;
const PRINCIPAL: usize = 9;
const CREATED: usize = 10;
const ISSUER: usize = 11;
const SOURCE_IDENTITY: usize = 12;
const ISSUED_TO: usize = 13;
const ISSUER_TYPE: usize = 14;
const DELIVERY: usize = 15;
const EVENT: usize = 16;
const ORIGIN: usize = 17;
const ACCOUNT: usize = 18;

const MEMBERS: [&str; 19] = [
    "eventName",
    "eventSource",
    "errorCode",
    "responseElements.ConsoleLogin",
    "sourceIPAddress",
    "sessionCredentialFromConsole",
    "userIdentity.accessKeyId",
    "userIdentity.type",
    "userIdentity.arn",
    "userIdentity.principalId",
    "userIdentity.sessionContext.attributes.creationDate",
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.sessionContext.sourceIdentity",
    "userIdentity.inScopeOf.credentialsIssuedTo",
    "userIdentity.inScopeOf.issuerType",
    "userIdentity.sessionContext.ec2RoleDelivery",
    "eventID",
    "recipientAccountId",
    "userIdentity.accountId",
];

/// What a record of CloudTrail says, by its [`members`]; to the same as [`super::traces`] and
/// [`deploys::facts`] would.
pub(crate) fn glimpse<'r>(time: Timestamp, said: impl Fn(usize) -> Said<'r>) -> Glimpse<'r> {
    let mut unclear = false;
    let mut text = |number: usize| match said(number) {
        Said::Text(text) => Some(text).filter(|text| !text.is_empty()),
        Said::Unclear => {
            unclear = true;
            None
        }
        Said::Nothing | Said::Flag(_) | Said::Other => None,
    };
    let (name, source, error) = (text(NAME), text(SOURCE), text(ERROR));
    let failed = error.is_some() || text(SIGN_IN) == Some("Failure");
    let key = text(KEY).filter(|key| aws::is_key(key));
    let [address, holder, principal] = [text(ADDRESS), text(ARN), text(PRINCIPAL)];
    let [created, issuer, source_identity] = [text(CREATED), text(ISSUER), text(SOURCE_IDENTITY)];
    let (issued_to, issuer_type, sort) = (text(ISSUED_TO), text(ISSUER_TYPE), text(TYPE));
    let event = [text(EVENT), text(ORIGIN).or_else(|| text(ACCOUNT))];
    let from_console = match said(FROM_CONSOLE) {
        Said::Flag(flag) => flag,
        Said::Text(flag) => flag == "true",
        Said::Unclear => return Glimpse::Whole,
        Said::Nothing | Said::Other => false,
    };
    let is_delivered = match said(DELIVERY) {
        Said::Nothing => false,
        Said::Text(_) | Said::Flag(_) | Said::Other => true,
        Said::Unclear => return Glimpse::Whole,
    };
    let Some(name) = name.filter(|_| !unclear) else { return Glimpse::Whole };
    if error.is_none() && (aws::acts(name) || source.is_none_or(|source| deploys::is_told(source, name))) {
        return Glimpse::Whole;
    }
    let Some(key) = key else { return Glimpse::Nothing };
    // A record without an id of its own is known by its position, which is not asked for here.
    if event[0].is_none() {
        return Glimpse::Whole;
    }
    let is_shared = matches!(sort, Some("IAMUser" | "Root")) || from_console;
    let session = principal.zip(created).filter(|_| key.starts_with("ASIA")).map(|(principal, created)| UsedSession {
        principal,
        created,
        is_shared,
        issuer,
        source_identity,
    });
    let place = match issued_to {
        Some(name) => issuer_type.and_then(aws::place_sort).map(|sort| (sort, name)),
        None => principal.filter(|_| is_delivered).and_then(aws::machine).map(|name| (PlaceSort::Instance, name)),
    };
    let holder = holder.or(principal);
    Glimpse::Used(Used { key, action: name, network: address, failed, holder, session, place, time, event })
}

impl Used<'_> {
    /// Which event it is, as the walk of matching says.
    pub(crate) fn uid(&self) -> Uid {
        let [id, origin] = self.event.map(|text| text.unwrap_or_default().to_owned());
        Uid { origin, id }
    }

    /// Name, mark and usage, as the reader of parsed records makes them.
    pub(crate) fn owned(&self) -> (Id, Mark, Usage) {
        let mark = Mark {
            time: self.time,
            uid: self.uid(),
            action: self.action.to_owned(),
            network: self.network.map(str::to_owned),
            failed: self.failed,
        };
        let session = self.session.and_then(|session| {
            Some(Session {
                principal: session.principal.to_owned(),
                created: read::time(session.created)?,
                is_shared: session.is_shared,
                issuer: session.issuer.map(str::to_owned),
                source_identity: session.source_identity.map(str::to_owned),
            })
        });
        let place = self.place.map(|(sort, name)| Place { sort, name: name.to_owned() });
        let holder = self.holder.map(str::to_owned);
        (Id::new(Sort::AwsKey, self.key), mark, Usage { holder, session, place, ..Usage::default() })
    }
}
