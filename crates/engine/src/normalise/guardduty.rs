//! Findings of GuardDuty, bare as in S3 or in the envelope of EventBridge.

use sonic_rs::{JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, RejectReason, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Credential, Event, Facets, Network, Outcome, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("aws", "guardduty")),
    fits,
    open,
    carried: true,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &[
        "service.action.awsApiCallAction.remoteIpDetails.ipAddressV4",
        "service.action.kubernetesApiCallAction.remoteIpDetails.ipAddressV4",
        "service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",
        "service.action.rdsLoginAttemptAction.remoteIpDetails.ipAddressV4",
    ],
    home: |record| Home::at(record, &["accountId"], &["region"]),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let named = ["accountId", "type", "id"].iter().all(|name| text(document, name).is_some());
    named
        && document.get("severity").is_some()
        && lead::text(document, "service.serviceName").as_deref() == Some("guardduty")
}

fn open(document: &Value) -> Inner<'_> {
    let detail = document.get("detail").filter(|_| text(document, "source") == Some("aws.guardduty"));
    match detail {
        Some(finding) if fits(finding) => {
            Inner::One { record: finding, time: document.get("time").and_then(moment::read) }
        }
        Some(_) | None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let finding = &piece.document;
    if text(finding, "type").is_none() || finding.get("severity").is_none() {
        return Err(Refusal::shape("no finding of GuardDuty: type or severity is missing"));
    }
    let stamps = ["updatedAt", "createdAt"];
    let time = stamps.iter().find_map(|name| moment::read(finding.get(name)?)).or(piece.time).ok_or_else(|| {
        Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in updatedAt or createdAt")
    })?;
    let uid = match text(finding, "id") {
        // A finding goes on under its id for as long as it lasts; each of its updates is an event.
        Some(id) => {
            let home = [text(finding, "accountId"), text(finding, "region")].map(Option::unwrap_or_default);
            Uid { origin: format!("{} {} {time}", home[0], home[1]), id: id.to_owned() }
        }
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AwsGuardduty, raw: finding.clone() })
}

/// The kinds of action, each with an address at the other end.
const ACTIONS: [&str; 5] = [
    "awsApiCallAction",
    "networkConnectionAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
    "portProbeAction.portProbeDetails",
];

/// Where the resource that a finding is about says its name.
const RESOURCES: [&str; 9] = [
    "resource.instanceDetails.instanceId",
    "resource.s3BucketDetails.arn",
    "resource.lambdaDetails.functionArn",
    "resource.rdsDbInstanceDetails.dbInstanceIdentifier",
    "resource.ecsClusterDetails.arn",
    "resource.eksClusterDetails.arn",
    "resource.containerDetails.name",
    "resource.ebsVolumeDetails.scannedVolumeDetails.volumeArn",
    "resource.accessKeyDetails.userName",
];

fn facets(finding: &Value) -> Facets {
    let key = |name: &str| lead::text(finding, &format!("resource.accessKeyDetails.{name}"));
    let action =
        |path: &str| ACTIONS.iter().find_map(|action| lead::text(finding, &format!("service.action.{action}.{path}")));
    let in_cluster = lead::text(finding, "resource.kubernetesDetails.kubernetesUserDetails.username");
    let sort = match key("userType").as_deref() {
        Some("IAMUser" | "Root" | "FederatedUser") => ActorSort::Human,
        Some("AssumedRole" | "Role") => ActorSort::Role,
        Some("AWSService") => ActorSort::Service,
        Some(_) | None => ActorSort::Unknown,
    };
    Facets {
        actor: Actor {
            id: key("principalId").or_else(|| in_cluster.clone()),
            name: key("userName").or(in_cluster),
            sort,
        },
        credential: Credential { id: key("accessKeyId"), issued_by: None },
        action: lead::text(finding, "type").unwrap_or_default(),
        target: Target {
            kind: lead::text(finding, "resource.resourceType"),
            id: lead::any(finding, &RESOURCES),
            account: lead::text(finding, "accountId"),
            region: lead::text(finding, "region"),
        },
        network: Network {
            ip: action("remoteIpDetails.ipAddressV4").or_else(|| action("remoteIpDetails.ipAddressV6")),
            user_agent: action("userAgent"),
        },
        // What it is about may have been refused; GuardDuty then says with what.
        outcome: action("errorCode").map_or(Outcome::Success, Outcome::Failure),
        pipeline: crate::event::Pipeline::default(),
    }
}
