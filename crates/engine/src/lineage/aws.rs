//! What CloudTrail says of access keys, sessions of roles and sign-ins.
//!
//! Traps that are met here: an id of which a part is masked names nothing; a session's name is chosen by its caller, so
//! what a session was given to is taken from what AWS itself writes; a call that failed mints nothing.

use sonic_rs::{JsonValueTrait, Value};

use super::name::{Id, Sort};
use super::read::{self, mark, text, value};
use super::subject::Workload;
use super::trace::{About, Caller, Ending, Form, Minting, Place, PlaceSort, Said, Session, Trace, Usage, Who};
use crate::event::Event;

/// The managed policy that makes an administrator.
const ADMINISTRATOR: &str = ":policy/AdministratorAccess";

/// What one record says.
pub(super) fn traces(event: &Event) -> Vec<Trace> {
    let record = &event.raw;
    let Some(action) = text(record, "eventName") else { return Vec::new() };
    let failed =
        text(record, "errorCode").is_some() || text(record, "responseElements.ConsoleLogin") == Some("Failure");
    let identity = value(record, "userIdentity");
    let used = identity.and_then(|identity| Some((identity, key(identity, "accessKeyId")?)));
    let about = if failed || !acts(action) { None } else { done(record, action, identity) };
    if used.is_none() && about.is_none() {
        return Vec::new();
    }
    let mark = mark(event, action, text(record, "sourceIPAddress"), failed);
    let mut found = Vec::with_capacity(2);
    if let Some((identity, id)) = used {
        found.push(Trace::of(mark.clone(), id, Said::Used(Box::new(usage(record, identity)))));
    }
    found.extend(about.map(|about| Trace { mark, about }));
    found
}

/// Calls that do something to a credential or a role; all others only use one.
const ACTS: [&str; 12] = [
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "AttachRolePolicy",
    "ConsoleLogin",
    "CreateAccessKey",
    "DeleteAccessKey",
    "DetachRolePolicy",
    "GetFederationToken",
    "GetSessionToken",
    "UpdateAccessKey",
];

/// Whether a call of this name may do something to a credential or a role.
pub(super) fn acts(action: &str) -> bool {
    ACTS.contains(&action)
}

/// What a call that worked did to a credential or a role.
fn done(record: &Value, action: &str, identity: Option<&Value>) -> Option<About> {
    Some(match action {
        "AssumeRole"
        | "AssumeRoleWithSAML"
        | "AssumeRoleWithWebIdentity"
        | "AssumeRoot"
        | "GetSessionToken"
        | "GetFederationToken" => session(record, action, identity?)?,
        "CreateAccessKey" => access_key(record, identity?)?,
        "ConsoleLogin" => sign_in(record, identity?)?,
        "DeleteAccessKey" => ended(record, Ending::Deleted)?,
        "UpdateAccessKey" => match text(record, "requestParameters.status")? {
            "Inactive" => ended(record, Ending::Deactivated)?,
            "Active" => ended(record, Ending::Reactivated)?,
            _ => return None,
        },
        "AttachRolePolicy" | "DetachRolePolicy"
            if text(record, "requestParameters.policyArn").is_some_and(|arn| arn.ends_with(ADMINISTRATOR)) =>
        {
            let account = text(record, "recipientAccountId").or_else(|| text(record, "userIdentity.accountId"))?;
            let name = text(record, "requestParameters.roleName")?;
            About::Role { role: format!("{account}:{name}"), is_admin: action == "AttachRolePolicy" }
        }
        _ => return None,
    })
}

/// An access key's id at this path. One that is masked or cut stands for many keys, so it is none.
fn key(record: &Value, path: &str) -> Option<Id> {
    let id = text(record, path)?;
    is_key(id).then(|| Id::new(Sort::AwsKey, id))
}

/// Whether it is the whole id of one key.
pub(super) fn is_key(id: &str) -> bool {
    id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn of(id: Id, said: Said) -> About {
    About::Credential { id, alias: None, said }
}

fn ended(record: &Value, ending: Ending) -> Option<About> {
    Some(of(key(record, "requestParameters.accessKeyId")?, Said::Ended(ending)))
}

fn usage(record: &Value, identity: &Value) -> Usage {
    Usage {
        holder: text(identity, "arn").or_else(|| text(identity, "principalId")).map(str::to_owned),
        session: used_session(record, identity).filter(|_| is_temporary(identity)),
        place: used_place(identity),
        renewed: None,
        again: None,
    }
}

/// Some services write a session into records of calls with a long-lived key, too; it is none of the key's.
fn is_temporary(identity: &Value) -> bool {
    text(identity, "accessKeyId").is_some_and(|id| id.starts_with("ASIA"))
}

/// The session that a key belongs to.
fn used_session(record: &Value, identity: &Value) -> Option<Session> {
    let context = value(identity, "sessionContext")?;
    let is_of_user = matches!(text(identity, "type"), Some("IAMUser" | "Root"));
    let from_console = value(record, "sessionCredentialFromConsole")
        .is_some_and(|flag| flag.as_bool() == Some(true) || flag.as_str() == Some("true"));
    Some(Session {
        principal: text(identity, "principalId")?.to_owned(),
        created: read::time(text(context, "attributes.creationDate")?)?,
        is_shared: is_of_user || from_console,
        issuer: text(context, "sessionIssuer.arn").map(str::to_owned),
        source_identity: text(context, "sourceIdentity").map(str::to_owned),
    })
}

/// What sort of thing AWS issued credentials to, by its own word.
pub(super) fn place_sort(issuer: &str) -> Option<PlaceSort> {
    Some(match issuer {
        "AWS::Lambda::Function" => PlaceSort::Function,
        "AWS::EC2::Instance" => PlaceSort::Instance,
        "AWS::ECS::Task" => PlaceSort::Container,
        "AWS::CodeBuild::Project" => PlaceSort::Build,
        _ => return None,
    })
}

/// What AWS itself says the credentials were given to. The session's name alone is no proof.
fn used_place(identity: &Value) -> Option<Place> {
    if let Some(issued_to) = text(identity, "inScopeOf.credentialsIssuedTo") {
        let sort = place_sort(text(identity, "inScopeOf.issuerType")?)?;
        return Some(Place { sort, name: issued_to.to_owned() });
    }
    value(identity, "sessionContext.ec2RoleDelivery")?;
    let name = machine(text(identity, "principalId")?)?;
    Some(Place { sort: PlaceSort::Instance, name: name.to_owned() })
}

/// The machine that a session is named after, where AWS chose the name.
pub(super) fn machine(principal: &str) -> Option<&str> {
    principal.split_once(':').map(|(_, name)| name)
}

/// A service of AWS that took credentials for what runs in it; the name is then the service's own choice.
fn minted_place(identity: &Value, session_name: Option<&str>) -> Option<Place> {
    if text(identity, "type") != Some("AWSService") {
        return None;
    }
    let sort = match text(identity, "invokedBy")? {
        "ec2.amazonaws.com" => PlaceSort::Instance,
        "lambda.amazonaws.com" => PlaceSort::Function,
        "ecs-tasks.amazonaws.com" => PlaceSort::Container,
        "codebuild.amazonaws.com" => PlaceSort::Build,
        _ => return None,
    };
    Some(Place { sort, name: session_name?.to_owned() })
}

fn session(record: &Value, action: &str, identity: &Value) -> Option<About> {
    let answer = value(record, "responseElements")?;
    let id = key(answer, "credentials.accessKeyId")?;
    let form = match action {
        "AssumeRoleWithWebIdentity" => Form::WebIdentitySession,
        "AssumeRoleWithSAML" => Form::SamlSession,
        "GetSessionToken" => Form::SessionToken,
        "GetFederationToken" => Form::FederationToken,
        _ => Form::RoleSession,
    };
    let asked = |name: &str| text(record, &format!("requestParameters.{name}"));
    let own = |path: &str| (form == Form::SessionToken).then(|| text(identity, path)).flatten();
    let owner = asked("roleArn").or_else(|| text(answer, "federatedUser.arn")).or_else(|| own("arn"));
    let principal = text(answer, "assumedRoleUser.assumedRoleId")
        .or_else(|| text(answer, "federatedUser.federatedUserId"))
        .or_else(|| own("principalId"));
    let source_identity = text(answer, "sourceIdentity")
        .or_else(|| asked("sourceIdentity"))
        .or_else(|| text(identity, "sessionContext.sourceIdentity"));
    let minting = Minting {
        with: key(identity, "accessKeyId"),
        owner: owner.map(str::to_owned),
        principal: principal.map(str::to_owned),
        source_identity: source_identity.map(str::to_owned),
        expires: text(answer, "credentials.expiration").and_then(read::time),
        workload: (form == Form::WebIdentitySession).then(|| workload(record, answer, identity)).flatten(),
        place: minted_place(identity, asked("roleSessionName")),
        ..Minting::new(form, who(identity))
    };
    Some(of(id, Said::Minted(Box::new(minting))))
}

fn workload(record: &Value, answer: &Value, identity: &Value) -> Option<Workload> {
    let subject = text(answer, "subjectFromWebIdentityToken").or_else(|| text(identity, "userName"))?;
    let provider = text(identity, "identityProvider")
        .or_else(|| text(answer, "provider"))
        .or_else(|| text(record, "requestParameters.providerId"));
    Some(Workload::read(provider.unwrap_or_default(), subject))
}

fn access_key(record: &Value, identity: &Value) -> Option<About> {
    let id = key(record, "responseElements.accessKey.accessKeyId")?;
    let user = text(record, "responseElements.accessKey.userName")
        .or_else(|| text(record, "requestParameters.userName"))
        .or_else(|| text(identity, "userName"));
    let minting = Minting {
        with: key(identity, "accessKeyId"),
        owner: user.map(|name| format!("user/{name}")),
        source_identity: text(identity, "sessionContext.sourceIdentity").map(str::to_owned),
        ..Minting::new(Form::AccessKey, who(identity))
    };
    Some(of(id, Said::Minted(Box::new(minting))))
}

/// A sign-in opens a session whose keys no record issues: the principal and the second are what joins them.
fn sign_in(record: &Value, identity: &Value) -> Option<About> {
    let id = text(record, "eventID")?;
    let minting = Minting {
        with: key(identity, "accessKeyId"),
        owner: text(identity, "arn").map(str::to_owned),
        principal: text(identity, "principalId").map(str::to_owned),
        ..Minting::new(Form::ConsoleSession, who(identity))
    };
    Some(of(Id::new(Sort::AwsSignIn, id), Said::Minted(Box::new(minting))))
}

fn who(identity: &Value) -> Who {
    let said = |path: &str| text(identity, path);
    let (sort, name) = match said("type") {
        Some("IAMUser" | "Root" | "FederatedUser" | "IdentityCenterUser" | "Directory") => {
            (Caller::Human, said("arn").or_else(|| said("userName")))
        }
        Some("SAMLUser") => (Caller::Human, said("userName")),
        Some("AssumedRole" | "Role") => (Caller::Role, said("arn")),
        Some("AWSService") => (Caller::Service, said("invokedBy")),
        Some("AWSAccount") => (Caller::Account, said("principalId").or_else(|| said("accountId"))),
        Some("WebIdentityUser") => (Caller::App, said("userName")),
        _ => (Caller::Unknown, said("arn")),
    };
    let name = name.or_else(|| said("principalId")).or_else(|| said("accountId")).unwrap_or_default();
    Who { sort, name: name.to_owned() }
}
