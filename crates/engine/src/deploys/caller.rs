//! Who made a call, as its record says: the facts that tie a change to a session, and a session to whoever asked for it.
//!
//! Only what is written in the record: which session an access key belongs to, and how that one came to be, is put
//! together elsewhere.

use serde::{Deserialize, Serialize};
use sonic_rs::{JsonValueTrait, Value};

use super::subject::Subject;
use crate::event::{ActorSort, Event};
use crate::normalise::{facets, lead};

/// Who made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Caller {
    /// The vendor's own id: an ARN, a mail address, an object id.
    pub id: String,
    /// What people call it: `role/session`, a user's name.
    pub name: String,
    /// What sort of actor.
    pub sort: ActorSort,
    /// Access key of the call.
    pub access_key: Option<String>,
    /// ARN of the role of a session, or the service account that acts.
    pub role: Option<String>,
    /// Name of the session, which whoever asked for it chose.
    pub session: Option<String>,
    /// Principal and second of its beginning, which keys that services derive from a session share with it.
    pub began: Option<String>,
    /// Service that made the call for somebody else: `cloudformation.amazonaws.com`.
    pub through: Option<String>,
    /// Workload that the record itself names.
    pub subject: Option<Subject>,
    /// Address.
    pub ip: Option<String>,
    /// Whether it was done by hand in the vendor's console.
    pub console: bool,
}

impl Caller {
    /// What tells one session from another: calls that share it were made by one. Nothing for a lasting key or an account
    /// that many may use at once.
    #[must_use]
    pub fn session_key(&self) -> Option<&str> {
        // A console session shows a new key with almost every call.
        let began = self.began.as_deref().filter(|_| self.console);
        began.or_else(|| self.access_key.as_deref().filter(|key| key.starts_with("ASIA")))
    }

    /// Who it is without the session, so that it is the same tomorrow.
    #[must_use]
    pub fn lasting(&self) -> &str {
        self.role.as_deref().unwrap_or(&self.id)
    }

    /// Whether it is known by one of these names; a pattern may hold `*`.
    #[must_use]
    pub fn is_named(&self, is: impl Fn(&str) -> bool) -> bool {
        let session = self.session.as_deref().unwrap_or_default();
        is(&self.id) || is(&self.name) || self.role.as_deref().is_some_and(&is) || (!session.is_empty() && is(session))
    }
}

/// Of a record of CloudTrail.
pub(super) fn aws(event: &Event) -> Caller {
    let record = &event.raw;
    let shared = facets(event);
    let said = |path: &str| lead::text(record, &format!("userIdentity.{path}"));
    let arn = said("arn").unwrap_or_default();
    let principal = said("principalId");
    let session = arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, name)| name);
    let session = session.or_else(|| Some(principal.as_deref()?.split_once(':')?.1));
    let is_session = shared.actor.sort == ActorSort::Role;
    let created = said("sessionContext.attributes.creationDate");
    let flag = lead::text(record, "sessionCredentialFromConsole").as_deref() == Some("true");
    let agent = lead::text(record, "userAgent").unwrap_or_default();
    let console = flag || ["console.amazonaws.com", "signin.amazonaws.com"].contains(&&*agent);
    // A service names itself as the address when it calls for somebody.
    let address = lead::text(record, "sourceIPAddress");
    let service = address.clone().filter(|address| address.ends_with(".amazonaws.com"));
    Caller {
        name: shared.actor.name.or_else(|| shared.actor.id.clone()).unwrap_or_default(),
        id: shared.actor.id.unwrap_or_default(),
        sort: shared.actor.sort,
        access_key: shared.credential.id,
        role: said("sessionContext.sessionIssuer.arn").filter(|_| is_session),
        session: session.filter(|_| is_session).map(str::to_owned),
        began: principal.zip(created).map(|(who, when)| format!("{who} {when}")),
        through: said("invokedBy").or(service),
        subject: None,
        ip: address,
        console,
    }
}

/// Of any other log: what its facets say.
pub(super) fn plain(event: &Event) -> Caller {
    let shared = facets(event);
    Caller {
        name: shared.actor.name.clone().or_else(|| shared.actor.id.clone()).unwrap_or_default(),
        id: shared.actor.id.or(shared.actor.name).unwrap_or_default(),
        sort: shared.actor.sort,
        ip: shared.network.ip,
        console: shared.network.user_agent.is_some_and(|agent| agent.starts_with("Mozilla/")),
        ..Caller::default()
    }
}

/// Of a request to a cluster: whoever came by way of AWS brought a session along.
pub(super) fn kubernetes(event: &Event) -> Caller {
    let extra = |name: &str| lead::member(&event.raw, "user.extra", name);
    let arn = extra("arn");
    let role = extra("canonicalArn").filter(|role| role.contains(":role/"));
    let session = extra("sessionName").or_else(|| Some(arn.as_deref()?.rsplit_once('/')?.1.to_owned()));
    let base = plain(event);
    Caller {
        access_key: extra("accessKeyId"),
        session: session.filter(|_| role.is_some()),
        role,
        id: arn.unwrap_or(base.id),
        console: false,
        ..base
    }
}

/// Of an entry of Google Cloud: a federated workload names its subject, also behind a service account.
pub(super) fn google(event: &Event) -> Caller {
    let said = |path: &str| lead::text(&event.raw, &format!("protoPayload.authenticationInfo.{path}"));
    let federated = said("principalSubject").filter(|subject| subject.contains("/workloadIdentityPools/"));
    let federated = federated.or_else(|| said("serviceAccountDelegationInfo.principalSubject"));
    let subject = federated.as_deref().and_then(of_pool);
    let base = plain(event);
    Caller {
        role: said("principalEmail").filter(|email| email.ends_with(".gserviceaccount.com")),
        access_key: said("serviceAccountKeyName"),
        subject,
        console: base.console && base.sort == ActorSort::Human,
        ..base
    }
}

/// `principal://iam.googleapis.com/projects/…/workloadIdentityPools/<pool>/subject/<sub>`: the provider's host is not in
/// it, so the shape of the subject has to do. Google checked the token, and the pool says whose it may be.
fn of_pool(principal: &str) -> Option<Subject> {
    let subject = principal.split_once("/subject/")?.1;
    let provider = if subject.starts_with("project_path:") {
        "gitlab"
    } else if subject.starts_with("repo:") {
        "token.actions.githubusercontent.com"
    } else {
        ""
    };
    Some(Subject::parse(provider, subject))
}

/// Whether a member says yes.
pub(super) fn is_true(document: &Value, path: &str) -> bool {
    let found = lead::value(document, path);
    found.is_some_and(|value| value.as_bool() == Some(true) || value.as_str() == Some("true"))
}
