//! GitHub's audit log.

use engine::event::Kind;
use serde_json::{Value, json};

use super::super::company::{ORG, repository_id};
use super::super::log::{Log, millisecond};
use super::super::names::BROWSERS;
use super::super::person::Person;

/// Number of the organisation.
pub(super) const ORG_ID: u64 = 70_010_001;

/// An account of GitHub, at a place, with a tool.
#[derive(Clone, Debug)]
pub(in crate::world) struct Hand {
    pub(in crate::world) login: String,
    pub(in crate::world) id: u64,
    pub(in crate::world) is_bot: bool,
    pub(in crate::world) address: String,
    pub(in crate::world) agent: String,
    /// Hash of the token and its sort, if one is used.
    pub(in crate::world) token: Option<(String, &'static str)>,
}

impl Hand {
    /// A person in a browser.
    pub(in crate::world) fn person(person: &Person, address: &str) -> Self {
        Self {
            login: person.login.clone(),
            id: person.github_id,
            is_bot: false,
            address: address.to_owned(),
            agent: person.browser().to_owned(),
            token: None,
        }
    }

    /// The same with Git and their own token.
    pub(in crate::world) fn git(person: &Person, address: &str) -> Self {
        Self {
            agent: person.git().to_owned(),
            token: Some((person.token.clone(), "Fine-grained personal access token")),
            ..Self::person(person, address)
        }
    }

    /// What workflows act as.
    pub(in crate::world) fn actions(address: &str) -> Self {
        Self {
            login: "github-actions[bot]".to_owned(),
            id: 60_011,
            is_bot: true,
            address: address.to_owned(),
            agent: "git/2.50.1".to_owned(),
            token: None,
        }
    }

    /// Somebody else's account.
    pub(in crate::world) fn stranger(login: &str, address: &str) -> Self {
        Self {
            login: login.to_owned(),
            id: 9_100_000 + login.len() as u64,
            is_bot: false,
            address: address.to_owned(),
            agent: BROWSERS[0].to_owned(),
            token: None,
        }
    }

    /// The same account from elsewhere with another tool.
    pub(in crate::world) fn elsewhere(&self, address: &str, agent: &str) -> Self {
        Self { address: address.to_owned(), agent: agent.to_owned(), ..self.clone() }
    }
}

impl Log {
    /// An entry about a repository.
    pub(in crate::world) fn github(&mut self, hand: &Hand, action: &str, repository: &str, more: Value) {
        let mut entry = json!({
            "repo": repository, "repo_id": repository_id(repository), "public_repo": false,
        });
        if action.starts_with("git.") {
            entry["repository"] = json!(repository);
            entry["repository_public"] = json!(false);
            entry["transport_protocol"] = json!(1);
            entry["transport_protocol_name"] = json!("http");
        }
        merge(&mut entry, more);
        self.github_entry(hand, action, entry);
    }

    /// An entry about the organisation.
    pub(in crate::world) fn github_org(&mut self, hand: &Hand, action: &str, more: Value) {
        self.github_entry(hand, action, more);
    }

    fn github_entry(&mut self, hand: &Hand, action: &str, more: Value) {
        let time = millisecond(self.now);
        let mut entry = json!({
            "@timestamp": time.millis(), "_document_id": self.draw.base64(22).replace(['+', '/'], "_"), "action": action,
            "actor": hand.login, "actor_id": hand.id, "actor_ip": hand.address, "created_at": time.millis(),
            "operation_type": operation(action), "org": ORG, "org_id": ORG_ID, "user_agent": hand.agent,
        });
        if hand.is_bot {
            entry["actor_is_bot"] = json!(true);
        }
        if let Some((hash, sort)) = &hand.token {
            entry["hashed_token"] = json!(hash);
            entry["token_id"] = json!(token_number(hash));
            entry["programmatic_access_type"] = json!(sort);
        }
        merge(&mut entry, more);
        self.write_json(Kind::GithubAudit, time, &entry);
    }
}

/// Number of a token.
fn token_number(hash: &str) -> u64 {
    hash.bytes().fold(0, |number, byte| (number * 131 + u64::from(byte)) % 90_000_000)
}

fn operation(action: &str) -> &'static str {
    let verb = action.rsplit('.').next().unwrap_or_default();
    match verb {
        "clone" | "fetch" | "push" | "download_zip" => "access",
        "create" | "add_member" | "access_granted" => "create",
        "destroy" | "remove_member" => "remove",
        _ => "modify",
    }
}

/// Puts members into a document.
pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
