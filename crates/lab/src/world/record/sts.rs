//! Credentials of AWS that are issued: each record here holds the key that later records are signed with.

use engine::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::super::company::PROD;
use super::super::draw::Draw;
use super::super::log::{Log, in_seconds, second};
use super::super::person::Person;
use super::{Caller, Role};

/// GitHub's provider of tokens.
const GITHUB: &str = "token.actions.githubusercontent.com";
/// GitLab's.
const GITLAB: &str = "gitlab.example.org";
/// The cluster's.
const CLUSTER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/5A0B1C2D3E4F5061728394A5B6C7D8E9";

/// A session of a role that has been issued.
struct Issued {
    key: String,
    identity: Value,
    answer: Value,
}

impl Log {
    /// What GitHub's token of a run is changed for: `subject` is such as `repo:example-org/orders:environment:production`.
    pub(in crate::world) fn take_role_by_github(&mut self, role: &Role, subject: &str, address: &str) -> Caller {
        let agents = (super::super::names::ACTIONS_AGENT, super::super::names::RUNNER_CLI);
        self.take_role_by_token(role, GITHUB, "sts.amazonaws.com", subject, "GitHubActions", address, agents)
    }

    /// The same of GitLab.
    pub(in crate::world) fn take_role_by_gitlab(
        &mut self,
        role: &Role,
        subject: &str,
        job: u64,
        address: &str,
    ) -> Caller {
        let cli = super::super::names::RUNNER_CLI;
        self.take_role_by_token(
            role,
            GITLAB,
            "https://gitlab.example.org",
            subject,
            &format!("gitlab-{job}"),
            address,
            (cli, cli),
        )
    }

    /// The same of a pod.
    pub(in crate::world) fn take_role_by_pod(&mut self, role: &Role, subject: &str, address: &str) -> Caller {
        let go = super::super::names::GO_SDK;
        let session = format!("pod-{}", self.draw.between(1_700_000_000, 1_799_999_999));
        self.take_role_by_token(role, CLUSTER, "sts.amazonaws.com", subject, &session, address, (go, go))
    }

    #[expect(clippy::too_many_arguments, reason = "what a token says, each used once")]
    fn take_role_by_token(
        &mut self,
        role: &Role,
        provider: &str,
        audience: &str,
        subject: &str,
        session: &str,
        address: &str,
        (asking, using): (&str, &str),
    ) -> Caller {
        // Pods ask for as long as their role allows; pipelines take the default.
        let hours = if provider == CLUSTER { 12 } else { 1 };
        let provider = format!("arn:aws:iam::{PROD}:oidc-provider/{provider}");
        let asker = json!({
            "type": "WebIdentityUser", "principalId": format!("{provider}:{audience}:{subject}"), "userName": subject,
            "identityProvider": provider,
        });
        let Issued { key, mut identity, mut answer } = self.issue(role, session, hours);
        answer["subjectFromWebIdentityToken"] = json!(subject);
        answer["provider"] = json!(provider);
        answer["audience"] = json!(audience);
        identity["sessionContext"]["webIdFederationData"] = json!({"federatedProvider": provider, "attributes": {}});
        let request = json!({"roleArn": role.arn(), "roleSessionName": session, "durationSeconds": hours * 3600});
        let asker = Caller::new(&asker, "", address, asking);
        self.trail(&asker, "sts:AssumeRoleWithWebIdentity", &request, &answer, None);
        self.held(role, &identity, &key, address, using)
    }

    /// What the identity provider's assertion is changed for on a command line.
    pub(in crate::world) fn take_role_by_login(&mut self, person: &Person, role: &Role, address: &str) -> Caller {
        self.saml(person, role, address, person.cli(), person.cli())
    }

    /// The same in a browser: the console then signs with keys that no record shows.
    pub(in crate::world) fn open_console(&mut self, person: &Person, role: &Role, address: &str) -> Caller {
        let issued = self.saml(person, role, address, person.browser(), person.browser());
        self.wait(1, 3);
        let key = format!("ASIA{}", self.draw.base32(16));
        let identity = issued.identity.get().replace(&issued.key, &key);
        let mut caller = Caller { by_console: true, key, ..issued };
        caller.identity = serde_json::value::RawValue::from_string(identity).expect("a key for a key is JSON still");
        self.trail(&caller, "signin:ConsoleLogin", &Value::Null, &json!({"ConsoleLogin": "Success"}), None);
        caller
    }

    fn saml(&mut self, person: &Person, role: &Role, address: &str, asking: &str, using: &str) -> Caller {
        let asker = json!({
            "type": "SAMLUser", "principalId": format!("b2t0YQ==:{}", person.email), "userName": person.email,
            "identityProvider": "b2t0YQ==",
        });
        let Issued { key, mut identity, mut answer } = self.issue(role, &person.email, 8);
        identity["sessionContext"]["sourceIdentity"] = json!(person.email);
        answer["sourceIdentity"] = json!(person.email);
        answer["subject"] = json!(person.email);
        let request = json!({
            "roleArn": role.arn(), "principalArn": format!("arn:aws:iam::{PROD}:saml-provider/okta"),
            "sAMLAssertionID": format!("id{}", self.draw.between(1_000_000_000, 9_999_999_999)), "durationSeconds": 28800,
        });
        let asker = Caller::new(&asker, "", address, asking);
        self.trail(&asker, "sts:AssumeRoleWithSAML", &request, &answer, None);
        self.held(role, &identity, &key, address, using)
    }

    /// A named user signs in to the console with a password; no record shows where its keys come from.
    pub(in crate::world) fn open_console_by_name(&mut self, name: &str, address: &str, agent: &str) -> Caller {
        let key = format!("ASIA{}", self.draw.base32(16));
        let mut user = Caller { by_console: true, ..Caller::user(name, &key, address, agent) };
        let mut identity: Value = serde_json::from_str(user.identity.get()).unwrap_or_default();
        identity["sessionContext"] =
            json!({"attributes": {"creationDate": in_seconds(self.now), "mfaAuthenticated": "false"}});
        user.identity = Caller::new(&identity, &key, address, agent).identity;
        self.trail(&user, "signin:ConsoleLogin", &Value::Null, &json!({"ConsoleLogin": "Success"}), None);
        user
    }

    /// A session that a named user makes for itself: it lives on when the key is off.
    pub(in crate::world) fn take_session(&mut self, user: &Caller) -> Caller {
        let key = format!("ASIA{}", self.draw.base32(16));
        let expiration = in_words(second(self.now).plus(Span::seconds(12 * 3600)));
        let answer =
            json!({"credentials": {"accessKeyId": key, "sessionToken": "HIDDEN_IN_WORLD", "expiration": expiration}});
        self.trail(user, "sts:GetSessionToken", &json!({"durationSeconds": 43200}), &answer, None);
        let mut identity: Value = serde_json::from_str(user.identity.get()).unwrap_or_default();
        identity["accessKeyId"] = json!(key);
        identity["sessionContext"] =
            json!({"attributes": {"creationDate": in_seconds(self.now), "mfaAuthenticated": "false"}});
        self.wait(1, 3);
        Caller::new(&identity, &key, &user.address, &user.agent)
    }

    /// One role after another.
    pub(in crate::world) fn take_role(&mut self, caller: &Caller, role: &Role, session: &str) -> Caller {
        let Issued { key, mut identity, answer } = self.issue(role, session, 1);
        let before: Value = serde_json::from_str(caller.identity.get()).unwrap_or_default();
        if let Some(source) = before.pointer("/sessionContext/sourceIdentity") {
            identity["sessionContext"]["sourceIdentity"] = source.clone();
        }
        let request = json!({"roleArn": role.arn(), "roleSessionName": session, "durationSeconds": 3600});
        self.trail(caller, "sts:AssumeRole", &request, &answer, None);
        self.held(role, &identity, &key, &caller.address, &caller.agent)
    }

    /// What a service of AWS takes for the machine, task or function that runs there.
    pub(in crate::world) fn take_role_by_service(
        &mut self,
        role: &Role,
        service: &str,
        session: &str,
        (address, agent): (&str, &str),
    ) -> Caller {
        let service = format!("{service}.amazonaws.com");
        let asker = Caller::new(&json!({"type": "AWSService", "invokedBy": service}), "", &service, &service);
        let Issued { key, identity, answer } = self.issue(role, session, 12);
        let request = json!({"roleArn": role.arn(), "roleSessionName": session});
        self.trail(&asker, "sts:AssumeRole", &request, &answer, None);
        self.held(role, &identity, &key, address, agent)
    }

    /// Somebody of another account takes a role here.
    pub(in crate::world) fn take_role_from_abroad(
        &mut self,
        role: &Role,
        (account, session): (&str, &str),
        address: &str,
        agent: &str,
    ) -> Caller {
        let who = format!("AIDA{}", Draw::of(0, account, 6, 0).base32(17));
        let asker = json!({"type": "AWSAccount", "principalId": who, "accountId": account});
        let asker = Caller::new(&asker, "", address, agent);
        let Issued { key, identity, answer } = self.issue(role, session, 1);
        let request = json!({"roleArn": role.arn(), "roleSessionName": session, "durationSeconds": 3600});
        self.trail(&asker, "sts:AssumeRole", &request, &answer, None);
        self.held(role, &identity, &key, address, agent)
    }

    fn issue(&mut self, role: &Role, session: &str, hours: u32) -> Issued {
        let key = format!("ASIA{}", self.draw.base32(16));
        let now = second(self.now);
        let id = format!("{}:{session}", role.id());
        let arn = format!("arn:aws:sts::{}:assumed-role/{}/{session}", role.account, role.name);
        let identity = json!({
            "type": "AssumedRole", "principalId": id, "arn": arn, "accountId": role.account, "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role", "principalId": role.id(), "arn": role.arn(), "accountId": role.account, "userName": role.name,
                },
                "attributes": {"creationDate": in_seconds(now), "mfaAuthenticated": "false"},
            },
        });
        let answer = json!({
            "credentials": {
                "accessKeyId": key, "sessionToken": "HIDDEN_IN_WORLD",
                "expiration": in_words(now.plus(Span::seconds(hours * 3600))),
            },
            "assumedRoleUser": {"assumedRoleId": id, "arn": arn},
        });
        Issued { key, identity, answer }
    }

    fn held(&self, role: &Role, identity: &Value, key: &str, address: &str, agent: &str) -> Caller {
        Caller { account: role.account, ..Caller::new(identity, key, address, agent) }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Nov 20, 2026, 9:02:28 AM`, as answers of AWS have their times.
pub(in crate::world) fn in_words(time: Timestamp) -> String {
    let text = time.to_string();
    let number =
        |places: std::ops::Range<usize>| text.get(places).and_then(|part| part.parse::<usize>().ok()).unwrap_or(1);
    let (hour, half) = (number(11..13), if number(11..13) < 12 { "AM" } else { "PM" });
    let month = MONTHS[(number(5..7) + 11) % 12];
    let rest = text.get(13..19).unwrap_or_default();
    format!("{month} {}, {}, {}{rest} {half}", number(8..10), number(0..4), if hour % 12 == 0 { 12 } else { hour % 12 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_answers_are_in_words() {
        let said = |text: &str| in_words(text.parse().unwrap());
        assert_eq!(said("2026-11-20T09:02:28Z"), "Nov 20, 2026, 9:02:28 AM");
        assert_eq!(said("2026-01-01T00:00:00Z"), "Jan 1, 2026, 12:00:00 AM");
        assert_eq!(said("2026-12-31T23:59:59Z"), "Dec 31, 2026, 11:59:59 PM");
    }
}
