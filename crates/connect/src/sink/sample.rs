//! A message for the sinks' tests, with something in every place.

use std::collections::BTreeMap;

use engine::alert::{Alert, AlertId};
use engine::event::{Actor, ActorSort, Kind, Network, Target};
use engine::rule::{RuleId, Severity};

use super::{Action, Message, Now};

pub(super) fn now() -> Now {
    "2026-11-20T09:15:00Z".parse().unwrap()
}

/// The first word of an alert.
pub(super) fn message() -> Message {
    let arn = "arn:aws:sts::111122223333:assumed-role/deploy/ana";
    let alert = Alert {
        id: AlertId("0123456789abcdef0123456789abcdef".to_owned()),
        rule: RuleId("6b0c4f0e-5a0d-4b53-9d0e-0f4f5f1f7a11".into()),
        rule_version: 1,
        title: "Many secrets read".to_owned(),
        severity: Severity::High,
        kind: Kind::AwsCloudtrail,
        time: "2026-11-20T09:14:03.5Z".parse().unwrap(),
        first: "2026-11-20T09:10:00Z".parse().unwrap(),
        last: "2026-11-20T09:14:03.5Z".parse().unwrap(),
        key: BTreeMap::from([("userIdentity.arn".to_owned(), arn.to_owned())]),
        count: 20,
        value: None,
        event_ids: ["9d8c7b6a-0000-4000-8000-000000000001".to_owned()].into(),
        events_total: 23,
        why: "20 different secrets were read in 10 min by one identity; 20 is the limit".to_owned(),
        description: "One identity read many secrets in a short time.".to_owned(),
        runbook: "Ask the identity's owner.\nIf nobody knows, revoke its sessions.".to_owned(),
        false_positives: vec!["A backup job".to_owned()],
        tags: vec!["attack.credential-access".to_owned(), "attack.t1552".to_owned()],
        actor: Actor { id: Some(arn.to_owned()), name: Some("deploy/ana".to_owned()), sort: ActorSort::Role },
        network: Network { ip: Some("203.0.113.9".to_owned()), user_agent: Some("aws-cli/2.31".to_owned()) },
        target: Target {
            kind: Some("secret".to_owned()),
            id: Some("production/database".to_owned()),
            account: Some("111122223333".to_owned()),
            region: Some("eu-central-1".to_owned()),
        },
        action: "GetSecretValue".to_owned(),
        flags: Vec::new(),
    };
    let link = Some("https://lapwing.example/alerts/0123456789abcdef0123456789abcdef".to_owned());
    let text = serde_json::to_string(&alert).unwrap();
    Message { id: "message-1".to_owned(), action: Action::Raise, alert, text, revision: 1, link }
}

/// The same alert later on.
pub(super) fn later(action: Action) -> Message {
    let mut message = message();
    message.id = "message-2".to_owned();
    message.action = action;
    message.revision = 3;
    message.alert.events_total = 41;
    message.alert.why = "38 different secrets were read in 10 min by one identity; 20 is the limit".to_owned();
    message.text = serde_json::to_string(&message.alert).unwrap();
    message
}
