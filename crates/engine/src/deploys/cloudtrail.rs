//! What CloudTrail tells of sessions that were given out, of roles whose trust was changed, and of what runs.
//!
//! Refused calls and reads say nothing here: they changed nothing.

use sonic_rs::{JsonContainerTrait, JsonValueTrait};

use super::caller::{Caller, aws};
use super::fact::{Change, Part, Says, Session, Target, Trust, digest, pinned};
use super::subject::Subject;
use super::text::first_line;
use crate::event::Event;
use crate::normalise::lead;

/// Calls of one service that change what runs. Names of Lambda's calls carry a date behind them.
struct Calls {
    source: &'static str,
    kind: &'static str,
    part: Part,
    names: &'static [&'static str],
    /// Where the name of the thing stands, the better first.
    target: &'static [&'static str],
}

const FUNCTION: &[&str] =
    &["requestParameters.functionName", "responseElements.functionName", "requestParameters.layerName"];
const API: &[&str] = &["requestParameters.restApiId", "requestParameters.apiId", "responseElements.apiId"];
const MACHINE: &[&str] =
    &["requestParameters.stateMachineArn", "responseElements.stateMachineArn", "requestParameters.name"];
const STACK: &[&str] = &["requestParameters.stackName", "requestParameters.stackSetName", "responseElements.stackId"];

const CALLS: &[Calls] = &[
    Calls {
        source: "lambda",
        kind: "lambda",
        part: Part::Code,
        names: &["CreateFunction", "UpdateFunctionCode", "PublishLayerVersion"],
        target: FUNCTION,
    },
    Calls {
        source: "lambda",
        kind: "lambda",
        part: Part::Configuration,
        names: &["UpdateFunctionConfiguration", "UpdateEventSourceMapping", "CreateEventSourceMapping"],
        target: FUNCTION,
    },
    Calls {
        source: "lambda",
        kind: "lambda",
        part: Part::Release,
        names: &["PublishVersion", "CreateAlias", "UpdateAlias", "DeleteFunction"],
        target: FUNCTION,
    },
    Calls {
        source: "lambda",
        kind: "lambda",
        part: Part::Access,
        names: &["AddPermission", "AddLayerVersionPermission", "CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"],
        target: FUNCTION,
    },
    Calls {
        source: "apigateway",
        kind: "apigateway",
        part: Part::Release,
        names: &["CreateDeployment", "UpdateStage", "CreateStage"],
        target: API,
    },
    Calls {
        source: "apigateway",
        kind: "apigateway",
        part: Part::Configuration,
        names: &["PutRestApi", "ImportRestApi", "PutIntegration", "UpdateIntegration", "PutMethod", "ImportApi"],
        target: API,
    },
    Calls {
        source: "states",
        kind: "states",
        part: Part::Code,
        names: &["CreateStateMachine", "UpdateStateMachine", "PublishStateMachineVersion"],
        target: MACHINE,
    },
    Calls {
        source: "cloudformation",
        kind: "cloudformation",
        part: Part::Stack,
        names: &[
            "CreateStack",
            "UpdateStack",
            "DeleteStack",
            "CreateChangeSet",
            "ExecuteChangeSet",
            "CreateStackInstances",
            "UpdateStackSet",
        ],
        target: STACK,
    },
    Calls {
        source: "codedeploy",
        kind: "codedeploy",
        part: Part::Release,
        names: &["CreateDeployment"],
        target: &["requestParameters.applicationName"],
    },
    Calls {
        source: "ecs",
        kind: "ecs-task",
        part: Part::Code,
        names: &["RegisterTaskDefinition"],
        target: &["requestParameters.family"],
    },
    Calls {
        source: "ecs",
        kind: "ecs",
        part: Part::Release,
        names: &["CreateService", "UpdateService", "CreateTaskSet", "UpdateServicePrimaryTaskSet"],
        target: &["requestParameters.service", "requestParameters.serviceName"],
    },
    Calls {
        source: "ecr",
        kind: "ecr",
        part: Part::Artifact,
        names: &["PutImage"],
        target: &["requestParameters.repositoryName"],
    },
    Calls {
        source: "eks",
        kind: "eks",
        part: Part::Configuration,
        names: &[
            "UpdateClusterConfig",
            "UpdateNodegroupConfig",
            "UpdateNodegroupVersion",
            "CreateAddon",
            "UpdateAddon",
        ],
        target: &["requestParameters.name", "requestParameters.clusterName"],
    },
    Calls {
        source: "apprunner",
        kind: "apprunner",
        part: Part::Code,
        names: &["CreateService", "UpdateService", "StartDeployment"],
        target: &["requestParameters.serviceName", "requestParameters.serviceArn"],
    },
    Calls {
        source: "elasticbeanstalk",
        kind: "elasticbeanstalk",
        part: Part::Release,
        names: &["CreateApplicationVersion", "UpdateEnvironment"],
        target: &["requestParameters.environmentName", "requestParameters.applicationName"],
    },
];

/// What one record says.
pub(super) fn says(event: &Event) -> Vec<Says> {
    let said = |path: &str| lead::text(&event.raw, path);
    if said("errorCode").is_some() || said("readOnly").as_deref() == Some("true") && !is_sts(event) {
        return Vec::new();
    }
    let (Some(name), Some(source)) = (said("eventName"), said("eventSource")) else { return Vec::new() };
    let service = source.strip_suffix(".amazonaws.com").unwrap_or(&source);
    if !is_told(service, &name) {
        return Vec::new();
    }
    match service {
        "sts" => session(event, &name).map(Says::Session).into_iter().collect(),
        "iam" => trust(event).map(Says::Trust).into_iter().collect(),
        _ => change(event, service, &name).map(Says::Change).into_iter().collect(),
    }
}

/// Whether a call of this name, at this service, may say something of deploys.
pub(super) fn is_told(service: &str, name: &str) -> bool {
    match service {
        "sts" => SESSIONS.contains(&name),
        "iam" => name == "UpdateAssumeRolePolicy",
        _ => calls(service, name).is_some(),
    }
}

/// Calls that give out sessions; `AssumeRole` is marked as a read.
const SESSIONS: [&str; 3] = ["AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"];

fn calls(service: &str, name: &str) -> Option<&'static Calls> {
    CALLS.iter().find(|calls| calls.source == service && calls.names.iter().any(|known| is_call(name, known)))
}

fn is_sts(event: &Event) -> bool {
    lead::text(&event.raw, "eventSource").as_deref() == Some("sts.amazonaws.com")
}

fn session(event: &Event, name: &str) -> Option<Session> {
    let said = |path: &str| lead::text(&event.raw, path);
    let subject = (name == "AssumeRoleWithWebIdentity").then(|| {
        let provider = said("userIdentity.identityProvider").or_else(|| said("responseElements.provider"));
        // The principal is `<provider>:<audience>:<subject>`, so the user's name is the better place.
        let subject = said("userIdentity.userName").or_else(|| said("responseElements.subjectFromWebIdentityToken"));
        Subject::parse(&provider.unwrap_or_default(), &subject.unwrap_or_default())
    });
    Some(Session {
        access_key: said("responseElements.credentials.accessKeyId")?,
        role: said("requestParameters.roleArn")?,
        name: said("requestParameters.roleSessionName").unwrap_or_default(),
        subject,
        by: aws(event),
    })
}

fn trust(event: &Event) -> Option<Trust> {
    let said = |path: &str| lead::text(&event.raw, path);
    Some(Trust { account: said("recipientAccountId")?, role: said("requestParameters.roleName")?, by: aws(event).name })
}

fn change(event: &Event, service: &str, name: &str) -> Option<Change> {
    let said = |path: &str| lead::text(&event.raw, path);
    let calls = calls(service, name)?;
    let id = calls.target.iter().find_map(|path| said(path))?;
    let by = aws(event);
    Some(Change {
        target: Target {
            kind: calls.kind.to_owned(),
            id: bare(calls.kind, &id),
            // Of a name in another account's ARN, that account.
            account: owner(&id).or_else(|| said("recipientAccountId")).unwrap_or_default(),
            region: said("awsRegion").unwrap_or_default(),
        },
        part: calls.part,
        action: name.to_owned(),
        digests: digests(event),
        role: said("requestParameters.roleARN"),
        message: message(event),
        by: Caller {
            through: by.through.filter(|service| service != &format!("{}.amazonaws.com", calls.source)),
            ..by
        },
    })
}

/// `UpdateFunctionCode20150331v2` is `UpdateFunctionCode`; `UpdateFunctionCodeX` is another call.
fn is_call(name: &str, known: &str) -> bool {
    name.strip_prefix(known)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// The name alone, of an ARN or of what AWS takes in its place; a version or an alias is left out.
fn bare(kind: &str, id: &str) -> String {
    let name = match id.strip_prefix("arn:") {
        None => id,
        Some(_) => id.splitn(6, ':').nth(5).unwrap_or(id),
    };
    let name = match kind {
        // `function:orders:live`, or `orders:live`.
        "lambda" => {
            let name = name.strip_prefix("function:").or_else(|| name.strip_prefix("layer:")).unwrap_or(name);
            // `111122223333:function:orders` is a partial ARN.
            let name = name.split_once(":function:").map_or(name, |(_, name)| name);
            name.split(':').next().unwrap_or(name)
        }
        // `stack/orders/<uuid>`
        "cloudformation" => match name.strip_prefix("stack/") {
            Some(rest) => rest.split('/').next().unwrap_or(rest),
            None => name,
        },
        "states" => name.strip_prefix("stateMachine:").unwrap_or(name),
        // `service/cluster/orders`
        "ecs" => name.rsplit('/').next().unwrap_or(name),
        _ => name,
    };
    name.to_owned()
}

fn owner(id: &str) -> Option<String> {
    let account = id.strip_prefix("arn:")?.split(':').nth(3)?;
    (!account.is_empty()).then(|| account.to_owned())
}

/// What runs now, as far as it is pinned.
fn digests(event: &Event) -> Vec<String> {
    let said = |path: &str| lead::text(&event.raw, path);
    let direct = [
        said("responseElements.codeSha256").and_then(|sum| digest(&sum)),
        said("responseElements.content.codeSha256").and_then(|sum| digest(&sum)),
        said("requestParameters.imageUri").and_then(|image| pinned(&image)),
        said("requestParameters.code.imageUri").and_then(|image| pinned(&image)),
        said("responseElements.image.imageId.imageDigest").and_then(|sum| digest(&sum)),
        said("requestParameters.sourceConfiguration.imageRepository.imageIdentifier").and_then(|image| pinned(&image)),
    ];
    let containers =
        lead::value(&event.raw, "requestParameters").and_then(|asked| asked.get("containerDefinitions")?.as_array());
    let images = containers.into_iter().flatten().filter_map(|one| pinned(one.get("image")?.as_str()?));
    let mut found: Vec<String> = direct.into_iter().flatten().chain(images).collect();
    found.sort();
    found.dedup();
    found
}

fn message(event: &Event) -> String {
    let places = ["requestParameters.description", "requestParameters.changeSetName", "requestParameters.tags.value"];
    first_line(&lead::any(&event.raw, &places).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things_are_bare_whatever_spelling_was_used() {
        for (kind, id, expected) in [
            ("lambda", "orders", "orders"),
            ("lambda", "orders:live", "orders"),
            ("lambda", "arn:aws:lambda:eu-west-1:111122223333:function:orders:7", "orders"),
            ("lambda", "111122223333:function:orders", "orders"),
            ("cloudformation", "arn:aws:cloudformation:eu-west-1:111122223333:stack/orders/0f9e", "orders"),
            ("states", "arn:aws:states:eu-west-1:111122223333:stateMachine:billing", "billing"),
            ("ecs", "arn:aws:ecs:eu-west-1:111122223333:service/main/orders", "orders"),
        ] {
            assert_eq!(bare(kind, id), expected, "{kind} {id}");
        }
    }

    #[test]
    fn a_date_behind_a_call_is_no_part_of_its_name() {
        assert!(is_call("UpdateFunctionCode20150331v2", "UpdateFunctionCode"));
        assert!(!is_call("CreateFunctionUrlConfig", "CreateFunction"));
    }
}
