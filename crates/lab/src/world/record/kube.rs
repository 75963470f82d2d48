//! Audit events of the cluster `shop`.

use engine::event::Kind;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::draw::Draw;
use super::super::log::Log;
use super::super::names::{GO_SDK, KUBECTL};
use super::super::person::Person;
use super::super::workload::Workload;
use super::{Caller, Role};

/// Somebody whom the API server knows, at a place, with a tool.
#[derive(Clone, Debug)]
pub(in crate::world) struct User {
    /// `user`, as it stands in every event of theirs.
    pub(super) user: Value,
    pub(in crate::world) address: String,
    pub(in crate::world) agent: String,
}

impl User {
    /// A person by the token of a login; `session` tells logins apart.
    pub(in crate::world) fn person(person: &Person, session: &str, address: &str) -> Self {
        let user = json!({
            "username": person.email, "groups": [person.team, "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={session}")]},
        });
        Self { user, address: address.to_owned(), agent: KUBECTL.to_owned() }
    }

    /// A pod by the token of its service account.
    pub(in crate::world) fn pod(workload: &Workload, address: &str) -> Self {
        Self::account(&workload.kube_account(), address, GO_SDK)
    }

    /// A service account such as `system:serviceaccount:argocd:controller`, or a part of the cluster itself.
    pub(in crate::world) fn account(name: &str, address: &str, agent: &str) -> Self {
        let uid = Draw::of(0, name, 4, 0).uuid();
        let groups: &[&str] = if name.starts_with("system:serviceaccount:") {
            &["system:serviceaccounts", "system:authenticated"]
        } else {
            &["system:authenticated"]
        };
        let user = json!({"username": name, "uid": uid, "groups": groups});
        Self { user, address: address.to_owned(), agent: agent.to_owned() }
    }

    /// A session of a role of AWS that the cluster lets in.
    pub(in crate::world) fn role(role: &Role, caller: &Caller) -> Self {
        let identity: Value = serde_json::from_str(caller.identity.get()).unwrap_or_default();
        let arn = identity.get("arn").cloned().unwrap_or_default();
        let user = json!({
            "username": role.name, "uid": format!("aws-iam-authenticator:{}:{}", role.account, role.id()),
            "groups": ["deployers", "system:authenticated"],
            "extra": {"accessKeyId": [caller.key], "arn": [arn], "canonicalArn": [role.arn()]},
        });
        Self { user, address: caller.address.clone(), agent: KUBECTL.to_owned() }
    }

    /// The same credential from elsewhere with another tool.
    pub(in crate::world) fn elsewhere(&self, address: &str, agent: &str) -> Self {
        Self { address: address.to_owned(), agent: agent.to_owned(), ..self.clone() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    kind: &'a str,
    api_version: &'a str,
    level: &'a str,
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: &'a str,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: &'a str,
    user: &'a Value,
    #[serde(rename = "sourceIPs")]
    source_ips: [&'a str; 1],
    user_agent: &'a str,
    object_ref: Object<'a>,
    response_status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_object: Option<&'a Value>,
    request_received_timestamp: String,
    stage_timestamp: String,
    annotations: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subresource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    api_version: &'a str,
}

impl Log {
    /// A request that was let through, such as `get secrets`, upon `namespace/name`.
    pub(in crate::world) fn kube(&mut self, user: &User, request: &str, place: &str) {
        self.kube_event(user, request, place, None, 200);
    }

    /// The same with what was sent.
    pub(in crate::world) fn kube_sent(&mut self, user: &User, request: &str, place: &str, sent: &Value) {
        self.kube_event(user, request, place, Some(sent), 201);
    }

    /// The same, refused.
    pub(in crate::world) fn kube_refused(&mut self, user: &User, request: &str, place: &str) {
        self.kube_event(user, request, place, None, 403);
    }

    fn kube_event(&mut self, user: &User, request: &str, place: &str, sent: Option<&Value>, code: u16) {
        let (verb, resource) = request.split_once(' ').unwrap_or(("get", request));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (namespace, name) = place.split_once('/').unwrap_or((place, ""));
        let refused = code == 403;
        self.blink(1, 40);
        let stage = self.now;
        let received = stage.minus(engine::time::Span::from_micros(900));
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: if sent.is_some() { "Request" } else { "Metadata" },
            audit_id: self.draw.uuid(),
            stage: "ResponseComplete",
            request_uri: uri(namespace, resource, name, subresource),
            verb,
            user: &user.user,
            source_ips: [&user.address],
            user_agent: &user.agent,
            object_ref: Object { resource, subresource, namespace, name, api_version: "v1" },
            response_status: if refused {
                json!({"metadata": {}, "status": "Failure", "reason": "Forbidden", "code": code})
            } else {
                json!({"metadata": {}, "code": code})
            },
            request_object: sent,
            request_received_timestamp: received.to_string(),
            stage_timestamp: stage.to_string(),
            annotations: json!({
                "authorization.k8s.io/decision": if refused { "forbid" } else { "allow" }, "authorization.k8s.io/reason": "",
            }),
        };
        let raw = serde_json::to_vec(&event).expect("an event has no keys but strings");
        self.write(Kind::KubernetesAudit, stage, raw);
    }
}

fn uri(namespace: &str, resource: &str, name: &str, subresource: &str) -> String {
    let mut path = String::from("/api/v1");
    for (word, part) in [("namespaces/", namespace), ("", resource), ("", name), ("", subresource)] {
        if !part.is_empty() {
            path.push('/');
            path.push_str(word);
            path.push_str(part);
        }
    }
    path
}
