//! Okta's System Log.

use engine::event::Kind;
use serde_json::{Value, json};

use super::super::log::{Log, in_milliseconds, millisecond};
use super::super::network::NETWORKS;
use super::super::person::Person;

/// A session of somebody at the identity provider.
#[derive(Clone, Debug)]
pub(in crate::world) struct Login {
    pub(in crate::world) session: String,
    pub(in crate::world) address: String,
    pub(in crate::world) agent: String,
}

impl Login {
    /// The same session from elsewhere with another browser.
    pub(in crate::world) fn elsewhere(&self, address: &str, agent: &str) -> Self {
        Self { address: address.to_owned(), agent: agent.to_owned(), ..self.clone() }
    }
}

impl Log {
    /// Signs in with password and second factor.
    pub(in crate::world) fn sign_in(&mut self, person: &Person, address: &str, agent: &str) -> Login {
        let login = Login {
            session: format!("idx{}", self.draw.base64(22).replace(['+', '/'], "-")),
            address: address.to_owned(),
            agent: agent.to_owned(),
        };
        self.okta(person, &login, "user.session.start", Ok(()), Value::Null);
        self.wait(3, 12);
        self.okta(person, &login, "user.authentication.auth_via_mfa", Ok(()), factor("Okta Verify"));
        self.wait(1, 2);
        login
    }

    /// The same with the browser that they have, where they are now.
    pub(in crate::world) fn sign_in_here(&mut self, person: &Person) -> Login {
        let place = self.place(person);
        self.sign_in(person, &place, person.browser())
    }

    /// Opens an application.
    pub(in crate::world) fn open_app(&mut self, person: &Person, login: &Login, app: &str) {
        let target = json!([{"id": format!("0oa{}", app.len() * 7919), "type": "AppInstance", "alternateId": app, "displayName": app}]);
        self.okta(person, login, "user.authentication.sso", Ok(()), target);
        self.wait(1, 3);
    }

    /// An entry by a person; `how` is the reason if it failed.
    pub(in crate::world) fn okta(
        &mut self,
        person: &Person,
        login: &Login,
        event: &str,
        how: Result<(), &str>,
        target: Value,
    ) {
        let time = millisecond(self.now);
        let (outcome, severity) = match how {
            Ok(()) => (json!({"result": "SUCCESS"}), "INFO"),
            Err(reason) => (json!({"result": "FAILURE", "reason": reason}), "WARN"),
        };
        let entry = json!({
            "uuid": self.draw.uuid(), "published": in_milliseconds(time), "eventType": event, "version": "0", "severity": severity,
            "legacyEventType": event, "displayMessage": event,
            "actor": {"id": person.okta_id, "type": "User", "alternateId": person.email, "displayName": person.name},
            "client": {
                "userAgent": {"rawUserAgent": login.agent, "os": "Unknown", "browser": "UNKNOWN"}, "zone": "null",
                "device": "Computer", "ipAddress": login.address, "geographicalContext": {"country": country(&login.address)},
            },
            "outcome": outcome, "target": if target.is_null() { json!([]) } else { target },
            "transaction": {"type": "WEB", "id": self.draw.base64(24), "detail": {}}, "debugContext": {"debugData": {}},
            "authenticationContext": {"authenticationStep": 0, "externalSessionId": login.session, "rootSessionId": login.session},
            "securityContext": {"isProxy": false},
        });
        self.write_json(Kind::OktaSystem, time, &entry);
    }
}

/// A second factor as a target.
pub(in crate::world) fn factor(name: &str) -> Value {
    json!([{"id": "pfd1", "type": "AuthenticatorEnrollment", "alternateId": "unknown", "displayName": name}])
}

/// A person as a target.
pub(in crate::world) fn account(person: &Person) -> Value {
    json!([{"id": person.okta_id, "type": "User", "alternateId": person.email, "displayName": person.name}])
}

/// The country of an address, as an identity provider would look it up.
fn country(address: &str) -> &'static str {
    let parsed: u32 = address.parse().map_or(0, |address: std::net::Ipv4Addr| address.to_bits());
    let holds = |first: [u8; 4], bits: u8| (u32::from_be_bytes(first) ^ parsed).leading_zeros() >= u32::from(bits);
    NETWORKS.iter().find(|network| holds(network.first, network.bits)).map_or("unknown", |network| network.country)
}
