//! Audit logs of Google Cloud.

use engine::event::Kind;
use serde_json::{Value, json};

use super::super::company::PROJECT;
use super::super::log::Log;

/// Somebody with a credential of Google's, at a place, with a tool.
#[derive(Clone, Debug)]
pub(in crate::world) struct Principal {
    pub(in crate::world) email: String,
    /// Name of the key of a service account, if one is used.
    pub(in crate::world) key: Option<String>,
    /// On whose behalf a service account's token was made.
    pub(in crate::world) behalf: Option<String>,
    pub(in crate::world) address: String,
    pub(in crate::world) agent: String,
}

impl Principal {
    /// Who needs no key that a log would name: a person, or a service account on Google's own machines.
    pub(in crate::world) fn new(email: &str, address: &str, agent: &str) -> Self {
        Self { email: email.to_owned(), key: None, behalf: None, address: address.to_owned(), agent: agent.to_owned() }
    }

    /// A service account by one of its keys.
    pub(in crate::world) fn with_key(email: &str, key: &str, address: &str, agent: &str) -> Self {
        let key = format!("//iam.googleapis.com/projects/{PROJECT}/serviceAccounts/{email}/keys/{key}");
        Self { key: Some(key), ..Self::new(email, address, agent) }
    }

    /// A service account that somebody acts as.
    pub(in crate::world) fn on_behalf(email: &str, behalf: &str, address: &str, agent: &str) -> Self {
        Self { behalf: Some(behalf.to_owned()), ..Self::new(email, address, agent) }
    }

    fn authentication(&self) -> Value {
        let sort = if self.email.ends_with(".gserviceaccount.com") { "serviceAccount" } else { "user" };
        let mut said = json!({"principalEmail": self.email, "principalSubject": format!("{sort}:{}", self.email)});
        if let Some(key) = &self.key {
            said["serviceAccountKeyName"] = json!(key);
        }
        match &self.behalf {
            Some(behalf) if behalf.contains("/workloadIdentityPools/") => {
                said["serviceAccountDelegationInfo"] = json!([{"principalSubject": behalf}]);
            }
            Some(behalf) => {
                said["serviceAccountDelegationInfo"] = json!([{"firstPartyPrincipal": {"principalEmail": behalf}}]);
            }
            None => {}
        }
        said
    }
}

/// Methods whose log is the one of changes; all others read data.
const CHANGES: [&str; 14] = [
    "create", "delete", "update", "patch", "replace", "set", "destroy", "disable", "enable", "insert", "add", "remove",
    "undelete", "deploy",
];

impl Log {
    /// A call, such as `storage storage.objects.get`, upon a resource.
    pub(in crate::world) fn google(&mut self, who: &Principal, call: &str, resource: &str, more: Value) {
        self.google_call(who, call, resource, more, true);
    }

    /// The same, refused.
    pub(in crate::world) fn google_refused(&mut self, who: &Principal, call: &str, resource: &str) {
        self.google_call(who, call, resource, json!({"status": {"code": 7, "message": "PERMISSION_DENIED"}}), false);
    }

    fn google_call(&mut self, who: &Principal, call: &str, resource: &str, more: Value, granted: bool) {
        let (service, method) = call.split_once(' ').unwrap_or(("cloudresourcemanager", call));
        let verb = method.rsplit('.').next().unwrap_or_default().to_lowercase();
        let is_change = CHANGES.iter().any(|change| verb.starts_with(change)) && !method.starts_with("storage.objects");
        let log = if is_change { "activity" } else { "data_access" };
        let time = self.now;
        let permission = format!("{service}.{verb}");
        let mut payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": format!("{service}.googleapis.com"),
            "methodName": method, "resourceName": resource, "authenticationInfo": who.authentication(),
            "requestMetadata": {"callerIp": who.address, "callerSuppliedUserAgent": who.agent},
            "authorizationInfo": [{"resource": resource, "permission": permission, "granted": granted}],
        });
        super::github::merge(&mut payload, more);
        let entry = json!({
            "insertId": self.draw.hex(14), "logName": format!("projects/{PROJECT}/logs/cloudaudit.googleapis.com%2F{log}"),
            "timestamp": time.to_string(), "receiveTimestamp": time.to_string(),
            "severity": if granted { if is_change { "NOTICE" } else { "INFO" } } else { "ERROR" },
            "resource": {"type": "audited_resource", "labels": {
                "project_id": PROJECT, "service": format!("{service}.googleapis.com"), "method": method, "location": "europe-west1",
            }},
            "protoPayload": payload,
        });
        self.write_json(Kind::GcpAudit, time, &entry);
    }
}
