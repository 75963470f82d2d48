//! What GitHub says of tokens, keys, installations and runs, in its audit log and its webhooks.

use sonic_rs::{JsonValueTrait, Value};

use super::name::{Id, Sort};
use super::read::{self, any, mark, owned, text};
use super::trace::{About, Caller, Ending, Form, Mark, Minting, Ran, Said, Trace, Usage, Who};
use crate::event::Event;
use crate::time::Timestamp;

/// Entries that say that a run or one of its jobs begins or ends. Others, such as that one was deleted, come long after.
const RUNS: [&str; 4] = [
    "workflows.created_workflow_run",
    "workflows.rerun_workflow_run",
    "workflows.prepared_workflow_job",
    "workflows.completed_workflow_run",
];

/// What one entry of the audit log says.
pub(super) fn audited(event: &Event) -> Vec<Trace> {
    let entry = &event.raw;
    let Some(action) = text(entry, "action") else { return Vec::new() };
    let mark = mark(event, action, text(entry, "actor_ip"), action.ends_with("failed_login"));
    let mut found = Vec::new();
    let about = about(entry, action);
    // Without the word of what was presented, the token of an entry about tokens is its subject and was not used.
    if about.is_none() || presented(entry).is_some() {
        found.extend(used(entry, &mark));
    }
    found.extend(about.map(|about| Trace { mark, about }));
    found.extend(run_of_entry(event, entry, action));
    found
}

/// Hash and number are two names of one token if one entry has both.
fn token(entry: &Value) -> Option<(Id, Option<Id>)> {
    let hash = text(entry, "hashed_token").map(|hash| Id::new(Sort::GithubToken, hash));
    let number = owned(entry, "token_id").map(|number| Id::new(Sort::GithubTokenNumber, number));
    match (hash, number) {
        (Some(hash), number) => Some((hash, number)),
        (None, Some(number)) => Some((number, None)),
        (None, None) => None,
    }
}

/// The token that was presented with a call. `programmatic_access_type` says that the entry's token is that one.
fn presented(entry: &Value) -> Option<(Id, Option<Id>)> {
    text(entry, "programmatic_access_type")?;
    token(entry)
}

/// The token that an entry about tokens is about: never the one that was presented to ask.
fn subject(entry: &Value) -> Option<(Id, Option<Id>)> {
    let grant = any(entry, &["user_programmatic_access_id", "personal_access_token_id"]);
    let grant = grant.map(|number| (Id::new(Sort::GithubGrant, number), None));
    grant.or_else(|| token(entry).filter(|_| presented(entry).is_none()))
}

fn ssh_key(entry: &Value) -> Option<Id> {
    let found = any(entry, &["public_key_fingerprint", "fingerprint", "key_fingerprint"])?;
    Some(Id::new(Sort::GithubKey, found))
}

fn used(entry: &Value, mark: &Mark) -> Option<Trace> {
    let (id, alias) = token(entry).or_else(|| Some((ssh_key(entry)?, None)))?;
    // Of an installation's token the holder is the bot, of a deploy key it may be nobody.
    let usage = Usage { holder: owned(entry, "actor"), ..Usage::default() };
    Some(Trace { mark: mark.clone(), about: About::Credential { id, alias, said: Said::Used(Box::new(usage)) } })
}

fn about(entry: &Value, action: &str) -> Option<About> {
    let (area, verb) = action.split_once('.')?;
    let form = match area {
        "personal_access_token" | "user_programmatic_access" => Form::PersonalToken,
        "oauth_access" | "oauth_authorization" => Form::OauthToken,
        "public_key" | "deploy_key" => Form::SshKey,
        "integration_installation" => Form::AppInstallation,
        "org_credential_authorization" if verb == "revoke" || verb == "deauthorize" => Form::PersonalToken,
        _ => return None,
    };
    let (id, alias) = match form {
        Form::SshKey => (ssh_key(entry)?, None),
        Form::AppInstallation => (Id::new(Sort::GithubInstallation, installation(entry)?), None),
        _ => subject(entry)?,
    };
    let said = match verb {
        "create" | "regenerate" | "access_granted" | "request_created" => {
            Said::Minted(Box::new(minting(form, entry, &id)))
        }
        "delete" | "destroy" => Said::Ended(Ending::Deleted),
        "access_revoked" | "revoke" | "deauthorize" => Said::Ended(Ending::Revoked),
        "suspend" => Said::Ended(Ending::Deactivated),
        "unsuspend" => Said::Ended(Ending::Reactivated),
        _ => return None,
    };
    Some(About::Credential { id, alias, said })
}

fn installation(entry: &Value) -> Option<String> {
    any(entry, &["installation_id", "integration_installation_id"])
}

fn minting(form: Form, entry: &Value, id: &Id) -> Minting {
    let actor = owned(entry, "actor").unwrap_or_default();
    let is_bot = read::value(entry, "actor_is_bot").and_then(JsonValueTrait::as_bool) == Some(true);
    let sort = if is_bot || actor.ends_with("[bot]") { Caller::App } else { Caller::Human };
    // An app and a deploy key act in their own name; a token of a person acts as that person.
    let owner = match id.sort {
        Sort::GithubToken | Sort::GithubTokenNumber | Sort::GithubGrant => {
            owned(entry, "user").or_else(|| Some(actor.clone()))
        }
        _ => None,
    };
    Minting {
        with: presented(entry).map(|(id, _)| id),
        owner: owner.filter(|name| !name.is_empty()),
        expires: time_of(entry, "token_expires_at"),
        ..Minting::new(form, Who { sort: if actor.is_empty() { Caller::Unknown } else { sort }, name: actor })
    }
}

/// Runs, as the audit log of an enterprise tells them: when a job is prepared, and when its run is over.
fn run_of_entry(event: &Event, entry: &Value, action: &str) -> Option<Trace> {
    let over = action == "workflows.completed_workflow_run";
    if !RUNS.contains(&action) {
        return None;
    }
    let ran = Ran {
        repository: owned(entry, "repo").or_else(|| owned(entry, "repository"))?,
        run: owned(entry, "workflow_run_id")?,
        branch: owned(entry, "head_branch").or_else(|| owned(entry, "branch")),
        environment: owned(entry, "environment_name"),
        workflow: owned(entry, "job_workflow_ref"),
        commit: owned(entry, "head_sha"),
        is_pull_request: text(entry, "event").map(|name| name.starts_with("pull_request")),
        ended: over.then(|| time_of(entry, "completed_at").unwrap_or(event.time)),
    };
    let mut mark = mark(event, action, None, false);
    if over {
        mark.time = time_of(entry, "started_at").unwrap_or(event.time);
    }
    Some(Trace { mark, about: About::Run(ran) })
}

fn time_of(record: &Value, path: &str) -> Option<Timestamp> {
    text(record, path).and_then(read::time)
}

/// What one delivery says.
pub(super) fn delivered(event: &Event) -> Vec<Trace> {
    let body = &event.raw;
    run_of_delivery(event, body).into_iter().chain(installed(event, body)).collect()
}

fn run_of_delivery(event: &Event, body: &Value) -> Option<Trace> {
    let is_over = text(body, "action") == Some("completed");
    let repository = owned(body, "repository.full_name")?;
    let ran = if text(body, "workflow_run.created_at").is_some() {
        Ran {
            repository,
            run: owned(body, "workflow_run.id")?,
            branch: owned(body, "workflow_run.head_branch"),
            commit: owned(body, "workflow_run.head_sha"),
            is_pull_request: text(body, "workflow_run.event").map(|name| name.starts_with("pull_request")),
            ended: is_over.then(|| time_of(body, "workflow_run.updated_at")).flatten(),
            ..Ran::default()
        }
    } else {
        // The end of one job is not that of its run.
        Ran {
            repository,
            run: owned(body, "workflow_job.run_id")?,
            branch: owned(body, "workflow_job.head_branch"),
            commit: owned(body, "workflow_job.head_sha"),
            ..Ran::default()
        }
    };
    let starts = ["workflow_run.run_started_at", "workflow_run.created_at", "workflow_job.created_at"];
    let mut mark = mark(event, "workflow_run", None, false);
    // A delivery may come hours late; the run began when it says.
    mark.time = starts.iter().find_map(|path| time_of(body, path)).unwrap_or(event.time);
    Some(Trace { mark, about: About::Run(ran) })
}

fn installed(event: &Event, body: &Value) -> Option<Trace> {
    // Deliveries of every sort name the installation that they go to; only those about it are of use.
    text(body, "installation.created_at")?;
    let id = Id::new(Sort::GithubInstallation, owned(body, "installation.id")?);
    let said = match text(body, "action")? {
        "created" => {
            let by = Who { sort: Caller::Human, name: owned(body, "sender.login").unwrap_or_default() };
            Said::Minted(Box::new(Minting::new(Form::AppInstallation, by)))
        }
        "deleted" => Said::Ended(Ending::Deleted),
        "suspend" => Said::Ended(Ending::Deactivated),
        "unsuspend" => Said::Ended(Ending::Reactivated),
        _ => return None,
    };
    Some(Trace::of(mark(event, "installation", None, false), id, said))
}
