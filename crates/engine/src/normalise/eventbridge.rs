//! What EventBridge carries of all services: the envelope is the record. Records of CloudTrail and findings of
//! GuardDuty that come in it are of their own kinds.

use sonic_rs::{JsonValueTrait, Value};

use super::home::Home;
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, RejectReason, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Event, Facets, Network, Outcome, Pipeline, Target, Uid};

pub(super) static READING: Reading = Reading {
    log_source: Some(("aws", "eventbridge")),
    fits,
    beside: &[Kind::AwsCloudtrail, Kind::AwsGuardduty],
    open,
    carried: true,
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    addresses: &["detail.source-ip-address"],
    home: |record| Home::at(record, &["account"], &["region"]),
    ..Reading::PLAIN
};

fn fits(document: &Value) -> bool {
    let named = ["detail-type", "source", "time"].iter().all(|name| text(document, name).is_some());
    named && document.get("detail").is_some_and(|detail| detail.is_object())
}

/// What SNS delivers for a rule that publishes to a topic.
fn open(document: &Value) -> Inner<'_> {
    let is_notice = text(document, "Type") == Some("Notification") && document.get("TopicArn").is_some();
    match text(document, "Message").filter(|message| is_notice && message.trim_start().starts_with('{')) {
        Some(message) => Inner::Text { text: message.into(), time: document.get("Timestamp").and_then(moment::read) },
        None => Inner::Record,
    }
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let envelope = &piece.document;
    if text(envelope, "detail-type").is_none() || envelope.get("detail").is_none() {
        return Err(Refusal::shape("no envelope of EventBridge: detail-type or detail is missing"));
    }
    let time = envelope
        .get("time")
        .and_then(moment::read)
        .or(piece.time)
        .ok_or_else(|| Refusal::new(RejectReason::Time, "no readable time of 1970 to 2200 in time"))?;
    let uid = match text(envelope, "id") {
        Some(id) => Uid { origin: lead::text(envelope, "account").unwrap_or_default(), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::AwsEventbridge, raw: envelope.clone() })
}

/// What a detail says, whatever its service calls it.
#[derive(Default)]
struct Deed {
    /// In one word where the service has several: `codepipeline.stage.failed`.
    action: Option<String>,
    /// How it stands or ended, in the service's word.
    state: Option<String>,
    target: Option<String>,
    actor: Option<String>,
    ip: Option<String>,
    pipeline: Pipeline,
}

fn facets(envelope: &Value) -> Facets {
    let sort = text(envelope, "detail-type").unwrap_or_default();
    let source = text(envelope, "source").unwrap_or_default();
    let nothing = Value::default();
    let detail = envelope.get("detail").unwrap_or(&nothing);
    let deed = match source {
        "aws.codepipeline" => codepipeline(sort, detail),
        "aws.codebuild" => codebuild(sort, detail),
        "aws.codedeploy" => codedeploy(sort, detail),
        "aws.codecommit" => codecommit(detail),
        "aws.ecr" => ecr(sort, detail),
        "aws.cloudformation" => cloudformation(detail),
        "aws.s3" => s3(sort, detail),
        "aws.lambda" => lambda(sort, detail),
        "aws.ecs" => ecs(sort, detail),
        _ => other(detail),
    };
    let Deed { action, state, target, actor, ip, pipeline } = deed;
    let outcome = state.filter(|state| is_failure(state)).map_or(Outcome::Success, Outcome::Failure);
    Facets {
        actor: Actor { id: actor.clone(), sort: sort_of(actor.as_deref()), name: actor.as_deref().map(short) },
        action: action.unwrap_or_else(|| sort.to_owned()),
        target: Target {
            kind: Some(source.strip_prefix("aws.").unwrap_or(source))
                .filter(|kind| !kind.is_empty())
                .map(str::to_owned),
            id: target.or_else(|| lead::text(envelope, "resources")),
            account: lead::text(envelope, "account"),
            region: lead::text(envelope, "region"),
        },
        network: Network { ip, user_agent: None },
        outcome,
        pipeline,
        ..Facets::default()
    }
}

fn is_failure(state: &str) -> bool {
    let state = state.to_ascii_uppercase();
    ["FAIL", "FAULT", "ERROR", "TIMED_OUT", "ROLLBACK"].iter().any(|word| state.contains(word))
}

/// A caller is an ARN, a pipeline that started a build, or a user's name.
fn sort_of(actor: Option<&str>) -> ActorSort {
    match actor {
        Some(actor) if actor.contains(":assumed-role/") => ActorSort::Role,
        Some(actor) if actor.contains(":user/") || actor.ends_with(":root") => ActorSort::Human,
        Some(actor) if actor.starts_with("codepipeline/") || actor.ends_with(".amazonaws.com") => ActorSort::Service,
        Some(_) | None => ActorSort::Unknown,
    }
}

/// `role/session` of an ARN.
fn short(actor: &str) -> String {
    let arn = actor.starts_with("arn:");
    let cut = actor.split_once(":assumed-role/").or_else(|| actor.split_once(":user/"));
    cut.filter(|_| arn).map_or(actor, |(_, name)| name).to_owned()
}

fn named(service: &str, what: &str, state: Option<&String>) -> Option<String> {
    Some([service, what, state?].join(".").to_ascii_lowercase())
}

fn codepipeline(sort: &str, detail: &Value) -> Deed {
    let what = ["Action", "Stage"].into_iter().find(|what| sort.contains(&format!("{what} Execution")));
    let state = lead::text(detail, "state");
    // The source action is told with what it fetched: the commit.
    let is_source = lead::text(detail, "type.category").as_deref() == Some("Source");
    Deed {
        action: named("codepipeline", what.unwrap_or("pipeline"), state.as_ref()),
        actor: lead::text(detail, "execution-trigger.trigger-detail"),
        target: lead::text(detail, "pipeline"),
        pipeline: Pipeline {
            workflow: lead::text(detail, "pipeline"),
            run: lead::text(detail, "execution-id"),
            commit: lead::text(detail, "execution-result.external-execution-id").filter(|_| is_source),
            ..Pipeline::default()
        },
        state,
        ..Deed::default()
    }
}

fn codebuild(sort: &str, detail: &Value) -> Deed {
    let is_phase = sort.contains("Phase");
    let state = lead::text(detail, if is_phase { "completed-phase-status" } else { "build-status" });
    let phase = lead::text(detail, "completed-phase").filter(|_| is_phase);
    let more = |name: &str| lead::text(detail, &format!("additional-information.{name}"));
    let version = more("source-version");
    let is_commit = |version: &String| version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    Deed {
        action: named("codebuild", if is_phase { "phase" } else { "build" }, phase.as_ref().or(state.as_ref())),
        actor: more("initiator"),
        target: lead::text(detail, "project-name"),
        pipeline: Pipeline {
            repository: more("source.location").and_then(|location| repository(&location)),
            git_ref: version.clone().filter(|version| !is_commit(version) && !version.starts_with("arn:")),
            commit: version.filter(is_commit),
            workflow: lead::text(detail, "project-name"),
            // `arn:aws:codebuild:…:build/project:<uuid>`: the session of the build's role is named by the last part.
            run: lead::text(detail, "build-id").and_then(|id| id.rsplit(':').next().map(str::to_owned)),
            environment: None,
        },
        state,
        ..Deed::default()
    }
}

/// `owner/name` of the address of a repository.
fn repository(location: &str) -> Option<String> {
    let path = location.strip_prefix("https://")?.split_once('/')?.1;
    Some(path.strip_suffix(".git").unwrap_or(path).to_owned())
}

fn codedeploy(sort: &str, detail: &Value) -> Deed {
    let what = if sort.contains("Instance") { "instance" } else { "deployment" };
    let state = lead::text(detail, "state");
    Deed {
        action: named("codedeploy", what, state.as_ref()),
        target: lead::text(detail, "application"),
        pipeline: Pipeline {
            workflow: lead::text(detail, "application"),
            run: lead::text(detail, "deploymentId"),
            environment: lead::text(detail, "deploymentGroup"),
            ..Pipeline::default()
        },
        state,
        ..Deed::default()
    }
}

fn codecommit(detail: &Value) -> Deed {
    let repository = lead::any(detail, &["repositoryName", "repositoryNames"]);
    Deed {
        action: lead::text(detail, "event").map(|event| format!("codecommit.{event}")),
        actor: lead::text(detail, "callerUserArn"),
        target: repository.clone(),
        pipeline: Pipeline {
            repository,
            git_ref: lead::any(detail, &["referenceFullName", "destinationReference"]),
            commit: lead::any(detail, &["commitId", "sourceCommit"]),
            ..Pipeline::default()
        },
        ..Deed::default()
    }
}

fn ecr(sort: &str, detail: &Value) -> Deed {
    let scan = sort.contains("Scan").then(|| "scan".to_owned());
    let what = lead::text(detail, "action-type").or(scan);
    let image = |mark: char, version: String| {
        lead::text(detail, "repository-name").map(|name| format!("{name}{mark}{version}"))
    };
    let digest = lead::text(detail, "image-digest").and_then(|digest| image('@', digest));
    let tag = || lead::any(detail, &["image-tag", "image-tags"]).and_then(|tag| image(':', tag));
    Deed {
        action: named("ecr", "image", what.as_ref()),
        state: lead::any(detail, &["result", "scan-status"]),
        target: digest.or_else(tag).or_else(|| lead::text(detail, "repository-name")),
        ..Deed::default()
    }
}

fn cloudformation(detail: &Value) -> Deed {
    let state = lead::text(detail, "status-details.status");
    let what = if lead::text(detail, "logical-resource-id").is_some() { "resource" } else { "stack" };
    Deed {
        action: named("cloudformation", what, state.as_ref()),
        target: lead::text(detail, "stack-id"),
        state,
        ..Deed::default()
    }
}

fn s3(sort: &str, detail: &Value) -> Deed {
    let place = [lead::text(detail, "bucket.name"), lead::text(detail, "object.key")];
    Deed {
        // `PutObject` where the envelope says `Object Created`.
        action: Some(lead::any(detail, &["reason"]).unwrap_or_else(|| sort.to_owned())),
        target: Some(place.into_iter().flatten().collect::<Vec<_>>().join("/")).filter(|place| !place.is_empty()),
        actor: lead::text(detail, "requester"),
        ip: lead::text(detail, "source-ip-address"),
        ..Deed::default()
    }
}

/// The record of an asynchronous call; functions that were changed are told by CloudTrail.
fn lambda(sort: &str, detail: &Value) -> Deed {
    Deed {
        action: Some(sort.to_owned()),
        state: lead::any(detail, &["requestContext.condition", "responseContext.functionError"]),
        target: lead::text(detail, "requestContext.functionArn"),
        ..Deed::default()
    }
}

fn ecs(sort: &str, detail: &Value) -> Deed {
    let what = if sort.contains("Task") { "task" } else { "service" };
    let state = lead::any(detail, &["lastStatus", "eventName"]);
    Deed {
        action: named("ecs", what, state.as_ref()),
        target: lead::any(detail, &["taskDefinitionArn", "serviceArn", "clusterArn"]),
        actor: lead::any(detail, &["startedBy", "createdBy"]),
        pipeline: Pipeline { run: lead::text(detail, "deploymentId"), ..Pipeline::default() },
        state,
        ..Deed::default()
    }
}

/// Of all others the envelope says most; how it went stands under one of a few names.
fn other(detail: &Value) -> Deed {
    Deed { state: lead::any(detail, &["state", "status", "result", "StatusCode"]), ..Deed::default() }
}
