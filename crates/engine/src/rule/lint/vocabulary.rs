//! What is known of the fields that records of a kind have.

use crate::address::Aspect;
use crate::detect::Way;
use crate::event::{Kind, LogSource};
use crate::rule::index::{includes, own};
use crate::rule::{Mappings, nearest};

/// Members of a CloudTrail record, as "CloudTrail record contents" of its user guide lists them.
const CLOUDTRAIL: [&str; 33] = [
    "addendum",
    "additionalEventData",
    "annotation",
    "apiVersion",
    "awsRegion",
    "edgeDeviceDetails",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventContext",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "insightDetails",
    "managementEvent",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters",
    "resources",
    "responseElements",
    "serviceEventDetails",
    "sessionCredentialFromConsole",
    "sharedEventID",
    "sourceIPAddress",
    "tlsDetails",
    "userAgent",
    "userIdentity",
    "vpcEndpointAccountId",
    "vpcEndpointId",
];

/// Members that many actions of GitHub's audit log have. Single actions have others, so only a name that looks
/// like one of these is doubted.
const GITHUB_AUDIT: [&str; 40] = [
    "@timestamp",
    "_document_id",
    "action",
    "actor",
    "actor_id",
    "actor_ip",
    "actor_is_bot",
    "actor_location",
    "business",
    "business_id",
    "created_at",
    "environment_name",
    "external_identity_nameid",
    "external_identity_username",
    "fingerprint",
    "hashed_token",
    "head_branch",
    "head_sha",
    "job_workflow_ref",
    "operation_type",
    "org",
    "org_id",
    "permission",
    "previous_visibility",
    "programmatic_access_type",
    "public_repo",
    "pull_request_id",
    "repo",
    "repo_id",
    "repository_public",
    "runner_name",
    "team",
    "token_id",
    "token_scopes",
    "transport_protocol_name",
    "user",
    "user_agent",
    "user_id",
    "visibility",
    "workflow_run_id",
];

/// Members of GitHub's webhook payloads, and `event`, which is the header's. Single events have others.
const GITHUB_WEBHOOK: [&str; 48] = [
    "action",
    "after",
    "alert",
    "before",
    "changes",
    "check_run",
    "check_suite",
    "comment",
    "commits",
    "compare",
    "created",
    "deleted",
    "deployment",
    "deployment_status",
    "discussion",
    "enterprise",
    "event",
    "forced",
    "forkee",
    "head_commit",
    "hook",
    "hook_id",
    "installation",
    "issue",
    "key",
    "label",
    "member",
    "membership",
    "number",
    "organization",
    "package",
    "pull_request",
    "pusher",
    "ref",
    "ref_type",
    "release",
    "repositories",
    "repository",
    "requested_action",
    "review",
    "rule",
    "sender",
    "state",
    "team",
    "workflow",
    "workflow_job",
    "workflow_run",
    "zen",
];

/// Those of them that are objects, or lists of objects, wherever they are not null.
const CLOUDTRAIL_OBJECTS: [&str; 10] = [
    "additionalEventData",
    "requestParameters",
    "resources",
    "responseElements",
    "tlsDetails",
    "userIdentity",
    "userIdentity.onBehalfOf",
    "userIdentity.sessionContext",
    "userIdentity.sessionContext.attributes",
    "userIdentity.sessionContext.sessionIssuer",
];

/// Members of `userIdentity`, of its user guide's page. A name that looks like one of these is doubted.
const USER_IDENTITY: [&str; 13] = [
    "accessKeyId",
    "accountId",
    "arn",
    "credentialId",
    "identityProvider",
    "inScopeOf",
    "invokedBy",
    "onBehalfOf",
    "principalId",
    "sessionContext",
    "type",
    "userId",
    "userName",
];

const SESSION_CONTEXT: [&str; 6] =
    ["assumedRoot", "attributes", "ec2RoleDelivery", "sessionIssuer", "sourceIdentity", "webIdFederationData"];

const SESSION_ISSUER: [&str; 5] = ["accountId", "arn", "principalId", "type", "userName"];

const SESSION_ATTRIBUTES: [&str; 3] = ["creationDate", "mfaAuthenticated", "sessionCredentialFromConsole"];

const GITHUB_AUDIT_OBJECTS: [&str; 1] = ["actor_location"];

const GITHUB_WEBHOOK_OBJECTS: [&str; 24] = [
    "alert",
    "check_run",
    "check_suite",
    "comment",
    "commits",
    "deployment",
    "deployment_status",
    "discussion",
    "enterprise",
    "forkee",
    "head_commit",
    "hook",
    "installation",
    "issue",
    "member",
    "organization",
    "pull_request",
    "pusher",
    "release",
    "repository",
    "review",
    "sender",
    "workflow_job",
    "workflow_run",
];

/// What is known of the members of a kind's records.
pub(super) struct Vocabulary {
    pub(super) kind: Kind,
    pub(super) names: &'static [&'static str],
    /// Whether there are no others at the top.
    pub(super) closed: bool,
    /// Paths that lead to an object, or to a list of objects.
    pub(super) objects: &'static [&'static str],
    /// What some of the objects hold.
    pub(super) inner: &'static [(&'static str, &'static [&'static str])],
}

const VOCABULARIES: [Vocabulary; 3] = [
    Vocabulary {
        kind: Kind::AwsCloudtrail,
        names: &CLOUDTRAIL,
        closed: true,
        objects: &CLOUDTRAIL_OBJECTS,
        inner: &[
            ("userIdentity", &USER_IDENTITY),
            ("userIdentity.sessionContext", &SESSION_CONTEXT),
            ("userIdentity.sessionContext.sessionIssuer", &SESSION_ISSUER),
            ("userIdentity.sessionContext.attributes", &SESSION_ATTRIBUTES),
        ],
    },
    Vocabulary {
        kind: Kind::GithubAudit,
        names: &GITHUB_AUDIT,
        closed: false,
        objects: &GITHUB_AUDIT_OBJECTS,
        inner: &[],
    },
    Vocabulary {
        kind: Kind::GithubWebhook,
        names: &GITHUB_WEBHOOK,
        closed: false,
        objects: &GITHUB_WEBHOOK_OBJECTS,
        inner: &[],
    },
];

impl Vocabulary {
    /// What is known of the records that rules of this log source read, if they read those of one kind alone.
    pub(super) fn of(source: &LogSource) -> Option<&'static Self> {
        VOCABULARIES.iter().find(|vocabulary| {
            let own = own(vocabulary.kind);
            source.product.is_some() && source.service.is_some() && includes(source, &own)
        })
    }

    /// What is odd about asking for this field.
    pub(super) fn doubt(&self, field: &str, mappings: &Mappings) -> Option<String> {
        let kind = self.kind.name();
        let top = field.split(['.', '[']).next().unwrap_or_default();
        // What is known of addresses stands in no record.
        if mappings.knows(self.kind, field) || Aspect::named(field).is_some() || Way::PLACE.contains(&field) {
            return None;
        }
        if !self.names.contains(&top) {
            let near = nearest::nearest(top, self.names.iter().copied());
            // Any other short word would be near the short ones.
            let known = Aspect::NAMES.iter().map(|(name, _)| *name).filter(|name| name.matches('.').count() > 1);
            let near = near.or_else(|| nearest::nearest(field, mappings.names(self.kind).chain(known)));
            if near.is_none() && !self.closed {
                return None;
            }
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Some(format!("no record of {kind} has a field `{top}`{hint}"));
        }
        // Further inside there may always be others, so only what looks like a slip is doubted.
        self.inner.iter().find_map(|(object, names)| {
            let member = field.strip_prefix(object)?.strip_prefix('.')?.split(['.', '[']).next()?;
            let near = nearest::nearest(member, names.iter().copied()).filter(|near| *near != member)?;
            Some(format!("no `{object}` of {kind} has a member `{member}`; did you mean `{near}`?"))
        })
    }
}
