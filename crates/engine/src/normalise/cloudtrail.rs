//! AWS CloudTrail records.

use std::borrow::Cow;
use std::ops::Range;

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::glance::Look;
use super::home::Home;
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Members, Piece, Refusal, RejectReason, by_position, moment, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Pipeline, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("aws", "cloudtrail")),
    fits,
    open,
    carried: true,
    lists: &["Records"],
    event: |piece, _| event(piece),
    told: Told::Members,
    addresses: &["sourceIPAddress"],
    home: |record| Home::at(record, &["recipientAccountId"], &["awsRegion"]),
    glance: Some(Look::Trail),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    // S3 and SNS notifications have the same members, and sources such as `aws:s3`.
    let source = text(document, "eventSource").is_some_and(|source| !source.starts_with("aws:"));
    has("eventVersion") && (source && has("eventName") || has("insightDetails"))
}

/// The files that CloudTrail writes to S3, the envelopes in which EventBridge carries its records, and the answers of
/// LookupEvents.
fn open(document: &Value) -> Inner<'_> {
    if let Some(records) = document.get("Records").and_then(JsonContainerTrait::as_array) {
        return Inner::Many(records);
    }
    // EventBridge carries findings and state changes of all services too; their envelope is the record.
    if let Some(detail) = document.get("detail")
        && text(document, "detail-type").is_some()
        && is_detail(detail)
    {
        return Inner::One { record: detail, time: document.get("time").and_then(moment::read) };
    }
    match text(document, "CloudTrailEvent") {
        Some(event) => Inner::Text { text: event.into(), time: document.get("timestamp").and_then(moment::read) },
        None => Inner::Record,
    }
}

/// ECS has an `eventName` in its details as well, but no source.
fn is_detail(detail: &Value) -> bool {
    let has = |name: &str| detail.get(name).is_some();
    text(detail, "eventName").is_some() && (has("eventSource") || has("eventVersion")) || has("insightDetails")
}

/// The members that facets are read from.
pub(super) const MEMBERS: [&str; 64] = [
    "recipientAccountId",
    "userIdentity.accountId",
    "eventName",
    "eventSource",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "userIdentity.type",
    "userIdentity.arn",
    "userIdentity.principalId",
    "userIdentity.userName",
    "userIdentity.invokedBy",
    "userIdentity.identityProvider",
    "userIdentity.accessKeyId",
    "userIdentity.sessionContext.sessionIssuer.userName",
    "userIdentity.sessionContext.sessionIssuer.arn",
    // Sign-in events carry their result under their own name.
    "responseElements.ConsoleLogin",
    "responseElements.CheckMfa",
    "responseElements.CredentialVerification",
    "responseElements.CredentialChallenge",
    "responseElements.UserAuthentication",
    "responseElements.SwitchRole",
    "responseElements.ExitRole",
    "responseElements.RenewRole",
    "responseElements.PasswordRecoveryRequested",
    "responseElements.PasswordRecoveryCompleted",
    // What is acted upon. The first that is there counts, so the identity that a policy is attached to comes before
    // the policy.
    "resources.ARN",
    "requestParameters.userName",
    "requestParameters.roleName",
    "requestParameters.groupName",
    "requestParameters.instanceProfileName",
    "requestParameters.secretId",
    "requestParameters.functionName",
    "requestParameters.bucketName",
    "requestParameters.keyId",
    "requestParameters.trailName",
    "requestParameters.roleArn",
    "requestParameters.policyArn",
    "requestParameters.policyName",
    "requestParameters.dBInstanceIdentifier",
    "requestParameters.dBClusterIdentifier",
    "requestParameters.dBSnapshotIdentifier",
    "requestParameters.repositoryName",
    "requestParameters.projectName",
    "requestParameters.pipelineName",
    "requestParameters.applicationName",
    "requestParameters.stackName",
    "requestParameters.cluster",
    "requestParameters.clusterName",
    "requestParameters.tableName",
    "requestParameters.topicArn",
    "requestParameters.queueUrl",
    "requestParameters.logGroupName",
    "requestParameters.instanceId",
    "requestParameters.groupId",
    "requestParameters.snapshotId",
    "requestParameters.volumeId",
    "requestParameters.imageId",
    "requestParameters.vpcId",
    "requestParameters.detectorId",
    "requestParameters.name",
    "requestParameters.instancesSet.items.instanceId",
];

/// Where this member stands in [`MEMBERS`]: worked out when this is compiled.
const fn at(name: &str) -> usize {
    let mut place = 0;
    while !equal(MEMBERS[place].as_bytes(), name.as_bytes()) {
        place += 1;
    }
    place
}

const fn equal(one: &[u8], other: &[u8]) -> bool {
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

const EVENT_NAME: usize = at("eventName");
const TYPE: usize = at("userIdentity.type");
const ARN: usize = at("userIdentity.arn");
const PRINCIPAL: usize = at("userIdentity.principalId");
const USER_NAME: usize = at("userIdentity.userName");
const INVOKED_BY: usize = at("userIdentity.invokedBy");
const PROVIDER: usize = at("userIdentity.identityProvider");
const SIGN_INS: Range<usize> = at("responseElements.ConsoleLogin")..at("resources.ARN");
const TARGETS: Range<usize> = at("resources.ARN")..MEMBERS.len();

/// Identity providers whose users are people; tokens of all others belong to workloads.
const PROVIDERS_OF_PEOPLE: [&str; 4] =
    ["cognito-identity.amazonaws.com", "accounts.google.com", "www.amazon.com", "graph.facebook.com"];

/// The event of one record that is out of its wrapper.
fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let record = &piece.document;
    let Envelope { name, time, id, recipient } = Envelope::of(record);
    if name.is_none() {
        if record.get("digestS3Object").is_some() || record.get("digestStartTime").is_some() {
            return Err(Refusal::shape("a CloudTrail digest lists log files, it holds no records"));
        }
        // Insight records have no `eventName` of their own.
        if record.get("insightDetails").is_none() {
            return Err(Refusal::shape("no CloudTrail record: eventName is missing or no string"));
        }
    }
    let time = time
        .and_then(moment::from_text)
        .or(piece.time)
        .ok_or_else(|| Refusal::new(RejectReason::Time, "eventTime is missing or no RFC 3339 time of 1970 to 2200"))?;
    let uid = match id {
        Some(id) => {
            Uid { origin: recipient.or_else(|| caller(record)).unwrap_or_default().to_owned(), id: id.to_owned() }
        }
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AwsCloudtrail, raw: record.clone() })
}

/// What a record says in the words that all kinds share.
pub(super) fn facets<'r>(record: &'r impl Members) -> Facets<Cow<'r, str>> {
    let issuer = record.text(const { at("userIdentity.sessionContext.sessionIssuer.arn") });
    Facets {
        actor: actor(record),
        credential: Credential {
            id: record.text(const { at("userIdentity.accessKeyId") }),
            issued_by: issuer.or_else(|| record.text(PROVIDER)),
        },
        action: record.text(EVENT_NAME).unwrap_or_default(),
        target: target(record),
        network: Network {
            ip: record.text(const { at("sourceIPAddress") }),
            user_agent: record.text(const { at("userAgent") }),
        },
        outcome: outcome(record),
        pipeline: record.text(USER_NAME).map(|name| pipeline(&name)).unwrap_or_default(),
    }
}

/// What makes a record an event, found in one pass over its members.
#[derive(Default)]
struct Envelope<'a> {
    name: Option<&'a str>,
    time: Option<&'a str>,
    id: Option<&'a str>,
    /// The account whose trail this is.
    recipient: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    fn of(record: &'a Value) -> Self {
        let mut envelope = Self::default();
        let Some(members) = record.as_object() else { return envelope };
        for (name, value) in members {
            let place = match name {
                "eventName" => &mut envelope.name,
                "eventTime" => &mut envelope.time,
                "eventID" => &mut envelope.id,
                "recipientAccountId" => &mut envelope.recipient,
                _ => continue,
            };
            *place = place.or_else(|| value.as_str().filter(|text| !text.is_empty()));
        }
        envelope
    }
}

fn caller(record: &Value) -> Option<&str> {
    text(record.get("userIdentity")?, "accountId")
}

fn actor<'r>(record: &'r impl Members) -> Actor<Cow<'r, str>> {
    let sort = record.text(TYPE);
    let is_root = sort.as_deref() == Some("Root");
    let sort = match sort.as_deref() {
        Some("IAMUser" | "Root" | "SAMLUser" | "FederatedUser" | "IdentityCenterUser" | "Directory") => {
            ActorSort::Human
        }
        Some("AssumedRole" | "Role") => ActorSort::Role,
        Some("AWSService") => ActorSort::Service,
        Some("WebIdentityUser") => match record.text(PROVIDER) {
            Some(provider) if PROVIDERS_OF_PEOPLE.contains(&&*provider) => ActorSort::Human,
            _ => ActorSort::App,
        },
        None if record.text(INVOKED_BY).is_some() => ActorSort::Service,
        _ => ActorSort::Unknown,
    };
    let name = match sort {
        ActorSort::Role => role_session(record),
        ActorSort::Human | ActorSort::Service | ActorSort::App | ActorSort::Unknown => None,
    };
    let root = || is_root.then_some(Cow::Borrowed("root"));
    let name = name.or_else(|| record.text(USER_NAME)).or_else(root).or_else(|| record.text(INVOKED_BY));
    let id = [ARN, PRINCIPAL, USER_NAME, INVOKED_BY].into_iter().find_map(|member| record.text(member));
    Actor { id, name, sort }
}

/// `role/session`: the role alone says who may, the session says who did.
fn role_session<'r>(record: &'r impl Members) -> Option<Cow<'r, str>> {
    let arn = record.text(ARN).unwrap_or_default();
    let mut parts = arn.split_once(":assumed-role/").map(|(_, rest)| rest).unwrap_or_default().split('/');
    let (role_of_arn, session_of_arn) = (parts.next(), parts.next_back());
    let issuer = record.text(const { at("userIdentity.sessionContext.sessionIssuer.userName") });
    let principal = record.text(PRINCIPAL);
    let session_of_principal = || principal.as_deref()?.split_once(':').map(|(_, name)| name);
    match (issuer.as_deref().or(role_of_arn)?, session_of_arn.or_else(session_of_principal)) {
        ("", _) => None,
        (role, Some(session)) => Some(Cow::Owned(format!("{role}/{session}"))),
        (role, None) => Some(Cow::Owned(role.to_owned())),
    }
}

fn target<'r>(record: &'r impl Members) -> Target<Cow<'r, str>> {
    let account = record.text(const { at("recipientAccountId") });
    Target {
        kind: record.text(const { at("eventSource") }).map(service),
        id: TARGETS.into_iter().find_map(|member| record.text(member)),
        account: account.or_else(|| record.text(const { at("userIdentity.accountId") })),
        region: record.text(const { at("awsRegion") }),
    }
}

fn outcome<'r>(record: &'r impl Members) -> Outcome<Cow<'r, str>> {
    if let Some(code) = record.text(const { at("errorCode") }) {
        return Outcome::Failure(code);
    }
    let Some(name) = record.text(EVENT_NAME) else { return Outcome::Success };
    let own = SIGN_INS.into_iter().find(|member| MEMBERS[*member].strip_prefix("responseElements.") == Some(&*name));
    match own.and_then(|member| record.text(member)).as_deref() {
        Some("Failure") => {
            let message = record.text(const { at("errorMessage") });
            Outcome::Failure(message.unwrap_or(Cow::Borrowed("Failure")))
        }
        _ => Outcome::Success,
    }
}

/// `s3.amazonaws.com` is S3's.
fn service(source: Cow<'_, str>) -> Cow<'_, str> {
    const DOMAIN: &str = ".amazonaws.com";
    match source {
        Cow::Borrowed(source) => Cow::Borrowed(source.strip_suffix(DOMAIN).unwrap_or(source)),
        Cow::Owned(source) => Cow::Owned(source.strip_suffix(DOMAIN).unwrap_or(&source).to_owned()),
    }
}

/// A workflow that came with GitHub's token is named by its subject: `repo:owner/name:ref:refs/heads/main`,
/// `repo:owner/name:environment:production` or `repo:owner/name:pull_request`.
fn pipeline<'r>(subject: &str) -> Pipeline<Cow<'r, str>> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let Some((repository, rest)) = subject.strip_prefix("repo:").and_then(|rest| rest.split_once(':')) else {
        return Pipeline::default();
    };
    Pipeline {
        repository: Some(owned(repository)),
        git_ref: rest.strip_prefix("ref:").map(owned),
        environment: rest.strip_prefix("environment:").map(owned),
        ..Pipeline::default()
    }
}
