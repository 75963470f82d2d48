//! What Google Cloud's audit logs say of keys of service accounts and of impersonation.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::name::{Id, Sort};
use super::read::{self, any, mark, owned, text, value};
use super::trace::{About, Caller, Ending, Form, Minting, Said, Trace, Usage, Who};
use crate::event::Event;

/// Joins the accounts of a path of impersonation.
const STEP: &str = " → ";

/// What one entry says.
pub(super) fn traces(event: &Event) -> Vec<Trace> {
    let Some(payload) = event.raw.get("protoPayload") else { return Vec::new() };
    let Some(method) = text(payload, "methodName") else { return Vec::new() };
    let failed = value(payload, "status.code").and_then(JsonValueTrait::as_u64).is_some_and(|code| code != 0);
    let network = text(payload, "requestMetadata.callerIp").or_else(|| text(payload, "requestMetadata.callerIP"));
    let mark = mark(event, method, network, failed);
    let holder = any(payload, &["authenticationInfo.principalEmail", "authenticationInfo.principalSubject"]);
    let mut found = Vec::new();
    let usage = || Said::Used(Box::new(Usage { holder: holder.clone(), ..Usage::default() }));
    let key = text(payload, "authenticationInfo.serviceAccountKeyName").and_then(key);
    let path = holder.as_deref().and_then(|holder| path(payload, holder));
    for id in [key.clone(), path.clone()].into_iter().flatten() {
        found.push(Trace::of(mark.clone(), id, usage()));
    }
    if !failed {
        // Some entries have the whole name of the method, some only its end.
        let action = method.rsplit('.').next().unwrap_or(method);
        let about = done(payload, action, holder.as_deref().unwrap_or_default(), key.or(path));
        found.extend(about.map(|about| Trace { mark, about }));
    }
    found
}

/// `…/serviceAccounts/ci@acme.iam.gserviceaccount.com/keys/90f6…`: the last part is a digest and alone names the key.
fn key(name: &str) -> Option<Id> {
    let (_, key) = name.rsplit_once("/keys/")?;
    (!key.is_empty()).then(|| Id::new(Sort::GcpKey, key))
}

/// Through whom the caller acts: the record lists the chain from its first account to the last before the caller.
fn path(payload: &Value, holder: &str) -> Option<Id> {
    let list = payload.get("authenticationInfo")?.get("serviceAccountDelegationInfo")?.as_array()?;
    let names = list.iter().filter_map(|one| {
        any(
            one,
            &["firstPartyPrincipal.principalEmail", "principalSubject", "thirdPartyPrincipal.thirdPartyClaims.sub"],
        )
    });
    let mut names: Vec<String> = names.map(|name| plain(&name).to_owned()).collect();
    if names.is_empty() {
        return None;
    }
    names.push(holder.to_owned());
    Some(Id::new(Sort::GcpPath, names.join(STEP)))
}

/// Subjects carry their kind in front, addresses do not.
fn plain(name: &str) -> &str {
    ["user:", "serviceAccount:"].iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name)
}

fn done(payload: &Value, action: &str, caller: &str, with: Option<Id>) -> Option<About> {
    let of = |id, said| Some(About::Credential { id, alias: None, said });
    let named = || text(payload, "request.name").or_else(|| text(payload, "resourceName")).and_then(key);
    match action {
        "CreateServiceAccountKey" => {
            let id = text(payload, "response.name").and_then(key)?;
            let owner = any(payload, &["request.name", "resourceName"]).map(|name| account(&name).to_owned());
            let expires = text(payload, "response.valid_before_time").and_then(read::time);
            of(id, Said::Minted(Box::new(minting(Form::ServiceAccountKey, caller, owner, with, expires))))
        }
        "DeleteServiceAccountKey" => of(named()?, Said::Ended(Ending::Deleted)),
        "DisableServiceAccountKey" => of(named()?, Said::Ended(Ending::Deactivated)),
        "EnableServiceAccountKey" => of(named()?, Said::Ended(Ending::Reactivated)),
        "GenerateAccessToken" | "GenerateIdToken" | "SignJwt" => {
            let name = owned(payload, "request.name").or_else(|| owned(payload, "resourceName"))?;
            let target = account(&name);
            // Who acts through others already asks with all of their path.
            let before = match &with {
                Some(id) if id.sort == Sort::GcpPath => &id.text,
                Some(_) | None => caller,
            };
            let id = Id::new(Sort::GcpPath, format!("{before}{STEP}{target}"));
            let minting = minting(Form::Impersonation, caller, Some(target.to_owned()), with, None);
            of(id, Said::Minted(Box::new(minting)))
        }
        _ => None,
    }
}

/// The address or number at the end of `projects/-/serviceAccounts/…`.
fn account(name: &str) -> &str {
    let tail = name.rsplit_once("/serviceAccounts/").map_or(name, |(_, tail)| tail);
    tail.split('/').next().unwrap_or(tail)
}

fn minting(
    form: Form,
    caller: &str,
    owner: Option<String>,
    with: Option<Id>,
    expires: Option<crate::time::Timestamp>,
) -> Minting {
    let sort = if caller.ends_with(".gserviceaccount.com") { Caller::App } else { Caller::Human };
    Minting {
        with,
        owner,
        expires,
        ..Minting::new(
            form,
            Who { sort: if caller.is_empty() { Caller::Unknown } else { sort }, name: caller.to_owned() },
        )
    }
}
