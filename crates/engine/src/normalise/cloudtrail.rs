//! AWS CloudTrail records.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::{Piece, Refusal, RejectReason, by_position, moment, owned, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Kind, Network, Outcome, Pipeline, Target, Uid};

/// Request parameters that name what is acted upon, where the record lists no resource; the first present
/// counts, so the identity that a policy is attached to comes before the policy.
const TARGET_PARAMETERS: [&str; 34] = [
    "userName",
    "roleName",
    "groupName",
    "instanceProfileName",
    "secretId",
    "functionName",
    "bucketName",
    "keyId",
    "trailName",
    "roleArn",
    "policyArn",
    "policyName",
    "dBInstanceIdentifier",
    "dBClusterIdentifier",
    "dBSnapshotIdentifier",
    "repositoryName",
    "projectName",
    "pipelineName",
    "applicationName",
    "stackName",
    "cluster",
    "clusterName",
    "tableName",
    "topicArn",
    "queueUrl",
    "logGroupName",
    "instanceId",
    "groupId",
    "snapshotId",
    "volumeId",
    "imageId",
    "vpcId",
    "detectorId",
    "name",
];

/// Identity providers whose users are people; tokens of all others belong to workloads.
const PROVIDERS_OF_PEOPLE: [&str; 4] =
    ["cognito-identity.amazonaws.com", "accounts.google.com", "www.amazon.com", "graph.facebook.com"];

/// The event of one record that is out of its wrapper.
pub(super) fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
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
pub(super) fn facets(record: &Value) -> Facets {
    let absent = Value::default();
    let identity = record.get("userIdentity").unwrap_or(&absent);
    Facets {
        actor: actor(identity),
        credential: credential(identity),
        action: owned(record, "eventName").unwrap_or_default(),
        target: target(record),
        network: Network { ip: owned(record, "sourceIPAddress"), user_agent: owned(record, "userAgent") },
        outcome: outcome(record),
        pipeline: text(identity, "userName").map(pipeline).unwrap_or_default(),
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

/// The account whose trail this is; the caller's own where the record does not say.
fn account(record: &Value) -> Option<&str> {
    text(record, "recipientAccountId").or_else(|| caller(record))
}

fn caller(record: &Value) -> Option<&str> {
    text(record.get("userIdentity")?, "accountId")
}

fn actor(identity: &Value) -> Actor {
    let invoked_by = text(identity, "invokedBy");
    let sort = match text(identity, "type") {
        Some("IAMUser" | "Root" | "SAMLUser" | "FederatedUser" | "IdentityCenterUser" | "Directory") => {
            ActorSort::Human
        }
        Some("AssumedRole" | "Role") => ActorSort::Role,
        Some("AWSService") => ActorSort::Service,
        Some("WebIdentityUser") => match text(identity, "identityProvider") {
            Some(provider) if PROVIDERS_OF_PEOPLE.contains(&provider) => ActorSort::Human,
            _ => ActorSort::App,
        },
        None if invoked_by.is_some() => ActorSort::Service,
        _ => ActorSort::Unknown,
    };
    let name = match sort {
        ActorSort::Role => role_session(identity),
        ActorSort::Human | ActorSort::Service | ActorSort::App | ActorSort::Unknown => None,
    };
    let root = || (text(identity, "type") == Some("Root")).then(|| "root".to_owned());
    let name = name.or_else(|| owned(identity, "userName")).or_else(root).or_else(|| invoked_by.map(str::to_owned));
    let id = ["arn", "principalId", "userName", "invokedBy"].iter().find_map(|name| owned(identity, name));
    Actor { id, name, sort }
}

/// `role/session`: the role alone says who may, the session says who did.
fn role_session(identity: &Value) -> Option<String> {
    let arn = text(identity, "arn").unwrap_or_default();
    let mut parts = arn.split_once(":assumed-role/").map(|(_, rest)| rest).unwrap_or_default().split('/');
    let (role_of_arn, session_of_arn) = (parts.next(), parts.next_back());
    let role = session_issuer(identity).and_then(|issuer| text(issuer, "userName")).or(role_of_arn)?;
    let session = session_of_arn.or_else(|| text(identity, "principalId")?.split_once(':').map(|(_, name)| name));
    match (role, session) {
        ("", _) => None,
        (role, Some(session)) => Some(format!("{role}/{session}")),
        (role, None) => Some(role.to_owned()),
    }
}

fn session_issuer(identity: &Value) -> Option<&Value> {
    identity.get("sessionContext")?.get("sessionIssuer")
}

fn credential(identity: &Value) -> Credential {
    let issuer = session_issuer(identity).and_then(|issuer| owned(issuer, "arn"));
    Credential { id: owned(identity, "accessKeyId"), issued_by: issuer.or_else(|| owned(identity, "identityProvider")) }
}

fn target(record: &Value) -> Target {
    let kind = text(record, "eventSource").map(|source| source.trim_end_matches(".amazonaws.com").to_owned());
    let resources = record.get("resources").and_then(JsonContainerTrait::as_array);
    let listed = resources.and_then(|resources| resources.iter().find_map(|resource| owned(resource, "ARN")));
    Target {
        kind,
        id: listed.or_else(|| record.get("requestParameters").and_then(target_of_request)),
        account: account(record).map(str::to_owned),
        region: owned(record, "awsRegion"),
    }
}

fn target_of_request(parameters: &Value) -> Option<String> {
    let first_instance = || {
        let items = parameters.get("instancesSet")?.get("items")?.as_array()?;
        owned(items.first()?, "instanceId")
    };
    TARGET_PARAMETERS.iter().find_map(|name| owned(parameters, name)).or_else(first_instance)
}

fn outcome(record: &Value) -> Outcome {
    if let Some(code) = text(record, "errorCode") {
        return Outcome::Failure(code.to_owned());
    }
    // Sign-in events carry their result under their own name: `{"ConsoleLogin":"Failure"}`.
    let result = || text(record.get("responseElements")?, text(record, "eventName")?);
    match result() {
        Some("Failure") => Outcome::Failure(owned(record, "errorMessage").unwrap_or_else(|| "Failure".to_owned())),
        _ => Outcome::Success,
    }
}

/// A workflow that came with GitHub's token is named by its subject: `repo:owner/name:ref:refs/heads/main`,
/// `repo:owner/name:environment:production` or `repo:owner/name:pull_request`.
fn pipeline(subject: &str) -> Pipeline {
    let Some((repository, rest)) = subject.strip_prefix("repo:").and_then(|rest| rest.split_once(':')) else {
        return Pipeline::default();
    };
    Pipeline {
        repository: Some(repository.to_owned()),
        git_ref: rest.strip_prefix("ref:").map(str::to_owned),
        environment: rest.strip_prefix("environment:").map(str::to_owned),
        ..Pipeline::default()
    }
}
