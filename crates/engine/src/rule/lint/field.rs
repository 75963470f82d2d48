//! Fields that no event of the rule's log source has.

use super::{Looked, Report};
use crate::event::{Kind, LogSource};
use crate::rule::draft::Source;
use crate::rule::index::{includes, is_fed};
use crate::rule::nearest;

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

/// What is known of a kind's top-level members.
struct Vocabulary {
    kind: Kind,
    names: &'static [&'static str],
    /// Whether there are no others.
    closed: bool,
}

const VOCABULARIES: [Vocabulary; 3] = [
    Vocabulary { kind: Kind::AwsCloudtrail, names: &CLOUDTRAIL, closed: true },
    Vocabulary { kind: Kind::GithubAudit, names: &GITHUB_AUDIT, closed: false },
    Vocabulary { kind: Kind::GithubWebhook, names: &GITHUB_WEBHOOK, closed: false },
];

pub(super) fn with_space(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        if let Some(field) = &item.field
            && field.trim() != field
        {
            report(item.place, format!("field `{field}` begins or ends with a space"));
        }
    }
}

pub(super) fn unfed(looked: &Looked<'_>, report: &mut Report<'_>) {
    if let Source::Detection(_) = looked.draft.source
        && !is_fed(&looked.draft.log_source)
    {
        let place = looked.node.get("logsource").map_or(looked.node.place, |source| source.place);
        report(place, "no kind of log feeds its `logsource`; docs/kinds.md lists those that do".to_owned());
    }
}

/// Every line of the rule that asks for a field which its log source does not have, by no name.
pub(super) fn unknown(looked: &Looked<'_>, report: &mut Report<'_>) {
    let source = &looked.draft.log_source;
    let Some(vocabulary) = VOCABULARIES.iter().find(|vocabulary| is_of(source, vocabulary.kind)) else { return };
    for item in looked.items() {
        let Some(field) = &item.field else { continue };
        let top = field.split(['.', '[']).next().unwrap_or_default();
        if vocabulary.names.contains(&top) || looked.mappings.knows(vocabulary.kind, field) {
            continue;
        }
        let near = nearest::nearest(top, vocabulary.names.iter().copied());
        let near = near.or_else(|| nearest::nearest(field, looked.mappings.names(vocabulary.kind)));
        if near.is_none() && !vocabulary.closed {
            continue;
        }
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        report(item.place, format!("no record of {} has a field `{top}`{hint}", vocabulary.kind.name()));
    }
}

/// Whether the rule is for this kind alone: it names its product and service.
fn is_of(source: &LogSource, kind: Kind) -> bool {
    let Some((product, service)) = kind.log_source() else { return false };
    let own = LogSource { product: Some(product.to_owned()), service: Some(service.to_owned()), category: None };
    source.product.is_some() && source.service.is_some() && includes(source, &own)
}
