//! What is odd about a credential, as an alert.

use engine::alert::{Alert, AlertId};
use engine::detect::{Change, Key, Standing};
use engine::event::{Actor, Kind, Network, Target, Uid};
use engine::lineage::{Finding, FindingKind, Sort};
use engine::rule::RuleId;

use crate::archive::Kept;
use crate::workers::Papers;

/// The alert. One of the same kind about the same credential and anchor is the same alert, whatever came first.
pub(super) fn change(finding: &Finding) -> Change {
    let Finding { time, kind, severity, credential, anchor, sentence, event } = finding;
    let (title, tags, description) = words(*kind);
    let rule = format!("lapwing-lineage-{}", kind.name().replace('_', "-"));
    let name = credential.to_string();
    let alert = Alert {
        id: id(&[&rule, &name, anchor]),
        rule: RuleId(rule.into()),
        rule_version: 1,
        title: title.to_owned(),
        severity: *severity,
        kind: log(credential.sort),
        time: *time,
        first: *time,
        last: *time,
        key: Key::from([("credential".to_owned(), credential.text.to_string())]),
        count: 1,
        value: None,
        event_ids: [event.clone()].into(),
        events_total: 1,
        why: sentence.clone(),
        description: description.to_owned(),
        runbook: format!(
            "`lapwing trace` with the id of the {name} shows who or what it goes back to, what came from it and where it was \
             used. If nobody can say why, end it, and then the sessions that came from it."
        ),
        false_positives: vec!["A network, role or service account that the configuration does not name yet".to_owned()],
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        actor: Actor::default(),
        network: Network::default(),
        target: Target::default(),
        action: String::new(),
        flags: Vec::new(),
    };
    Change { alert, revision: 1, tell: true, standing: Standing::Open }
}

/// The event that it was seen in, if it came just now.
pub(super) fn evidence(finding: &Finding, papers: &Papers) -> Option<Kept> {
    // Which account it is of does not matter: the archive looks for ids.
    let uid = Uid { origin: String::new(), id: finding.event.clone() };
    papers.kept(log(finding.credential.sort), &uid, finding.time)
}

/// A promise to every receiver: it never changes.
pub(super) fn id(parts: &[&str]) -> AlertId {
    let mut id = blake3::Hasher::new();
    for part in parts {
        id.update(&(part.len() as u64).to_le_bytes());
        id.update(part.as_bytes());
    }
    AlertId(id.finalize().to_hex()[..32].to_owned())
}

fn words(kind: FindingKind) -> (&'static str, &'static [&'static str], &'static str) {
    const STOLEN: &[&str] = &["attack.credential-access", "attack.t1528", "attack.t1550.001"];
    match kind {
        FindingKind::OutsideCi => (
            "A pipeline's credential was used outside the networks of its runners",
            STOLEN,
            "What a workflow is given works from anywhere. Used elsewhere it was taken out of its run.",
        ),
        FindingKind::OutsideCloud => (
            "Credentials of an instance or function were used outside the cloud",
            &["attack.credential-access", "attack.t1552.005", "attack.t1078.004"],
            "What a machine gets from its metadata is for it alone. Used elsewhere it was read by somebody.",
        ),
        FindingKind::UsedByAnother => (
            "A credential is used by another identity than it was made for",
            &["attack.persistence", "attack.t1098.001"],
            "A key that one makes in the name of another outlives the access of its maker.",
        ),
        FindingKind::AfterEnd => (
            "A credential was used after its end",
            STOLEN,
            "Whoever goes on to use what was taken back has a copy of it, or it was not taken back everywhere.",
        ),
        FindingKind::Awakened => (
            "A long-lived credential was used after a long sleep",
            &["attack.initial-access", "attack.t1078"],
            "Keys that nobody misses are those that nobody watches.",
        ),
        FindingKind::ChainToAdmin => (
            "A session took on an administrator's role",
            &["attack.privilege-escalation", "attack.t1078.004", "attack.t1548.005"],
            "A chain of roles ends with more than its beginning was given.",
        ),
    }
}

/// The log that tells of credentials of this sort.
fn log(sort: Sort) -> Kind {
    match sort {
        Sort::AwsKey | Sort::AwsSignIn => Kind::AwsCloudtrail,
        Sort::GithubToken
        | Sort::GithubTokenNumber
        | Sort::GithubGrant
        | Sort::GithubKey
        | Sort::GithubInstallation => Kind::GithubAudit,
        Sort::OktaSession | Sort::OktaToken => Kind::OktaSystem,
        Sort::VaultAccessor | Sort::VaultToken | Sort::VaultLease => Kind::VaultAudit,
        Sort::GcpKey | Sort::GcpPath => Kind::GcpAudit,
    }
}
