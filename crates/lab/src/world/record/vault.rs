//! Vault's audit log: a line when a request comes, one when it is answered.

use engine::event::Kind;
use engine::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::draw::Draw;
use super::super::log::Log;
use super::super::names::VAULT_CLI;

/// A token of Vault's, at a place.
#[derive(Clone, Debug)]
pub(in crate::world) struct Token {
    /// `auth`, as it stands in every line of theirs.
    auth: Value,
    accessor: String,
    hash: String,
    pub(in crate::world) address: String,
}

impl Token {
    /// The same token from elsewhere.
    pub(in crate::world) fn elsewhere(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(rename = "type")]
    sort: &'a str,
    auth: &'a Value,
    request: Request<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    operation: &'a str,
    mount_type: &'a str,
    client_token: &'a str,
    client_token_accessor: &'a str,
    namespace: Value,
    path: &'a str,
    remote_address: &'a str,
    remote_port: u64,
    headers: Value,
}

impl Log {
    /// Signs in at `auth/<method>/login`: `name` is such as `oidc-ada@example.org`, `metadata` what the method knows.
    pub(in crate::world) fn vault_login(&mut self, name: &str, policy: &str, metadata: Value, address: &str) -> Token {
        let method = name.split('-').next().unwrap_or("token");
        let token = Token {
            accessor: format!("hmac-sha256:{}", self.draw.hex(64)),
            hash: format!("hmac-sha256:{}", self.draw.hex(64)),
            auth: Value::Null,
            address: address.to_owned(),
        };
        let auth = json!({
            "accessor": token.accessor, "client_token": token.hash, "display_name": name, "token_type": "service",
            "entity_id": Draw::of(0, name, 5, 0).uuid(), "metadata": metadata, "policies": ["default", policy], "token_ttl": 3600,
        });
        let anonymous = Token {
            auth: json!({"token_type": "default"}),
            hash: String::new(),
            accessor: String::new(),
            ..token.clone()
        };
        let answer = json!({"auth": auth, "mount_type": method});
        self.vault_lines(&anonymous, "update", &format!("auth/{method}/login"), Some(answer), None);
        Token { auth, ..token }
    }

    /// A request that is answered; reading credentials of a database gives a lease.
    pub(in crate::world) fn vault(&mut self, token: &Token, operation: &str, path: &str) {
        let answer = if path.starts_with("database/creds/") {
            let lease = format!("{path}/{}", self.draw.base32(24).to_lowercase());
            json!({"mount_type": "database", "secret": {"lease_id": lease}, "data": {"username": format!("hmac-sha256:{}", self.draw.hex(64))}})
        } else {
            json!({"mount_type": mount(path)})
        };
        self.vault_lines(token, operation, path, Some(answer), None);
    }

    /// A request that is refused.
    pub(in crate::world) fn vault_refused(&mut self, token: &Token, operation: &str, path: &str) {
        let error = "1 error occurred:\n\t* permission denied\n\n";
        self.vault_lines(token, operation, path, None, Some(error));
    }

    fn vault_lines(&mut self, token: &Token, operation: &str, path: &str, answer: Option<Value>, error: Option<&str>) {
        let id = self.draw.uuid();
        let port = self.draw.between(30_000, 60_000);
        self.vault_line("request", token, (operation, path), (&id, port), None, None);
        self.blink(1, 5);
        self.vault_line("response", token, (operation, path), (&id, port), answer, error);
    }

    fn vault_line(
        &mut self,
        sort: &str,
        token: &Token,
        (operation, path): (&str, &str),
        (id, port): (&str, u64),
        response: Option<Value>,
        error: Option<&str>,
    ) {
        let time: Timestamp = self.now;
        let line = Line {
            time: time.to_string(),
            sort,
            auth: &token.auth,
            request: Request {
                id,
                operation,
                mount_type: mount(path),
                client_token: &token.hash,
                client_token_accessor: &token.accessor,
                namespace: json!({"id": "root"}),
                path,
                remote_address: &token.address,
                remote_port: port,
                headers: json!({"user-agent": [VAULT_CLI]}),
            },
            response,
            error,
        };
        let raw = serde_json::to_vec(&line).expect("a line has no keys but strings");
        self.write(Kind::VaultAudit, time, raw);
    }
}

fn mount(path: &str) -> &str {
    match path.split('/').next().unwrap_or_default() {
        "secret" => "kv",
        "auth" if path.starts_with("auth/token") => "token",
        "auth" => path.split('/').nth(1).unwrap_or("token"),
        "sys" => "system",
        other => other,
    }
}
