//! Kinds of log against records that their vendors made: each is recognised, and says who did what to what.
//!
//! The records lie in the shared folder. Without one this says so and looks at the project's own samples only.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use engine::event::{ActorSort, Event, Facets, Kind};
use engine::normalise::{Format, Limits, Reject, facets, normalise};
use serde_json::{Value, json};

fn read(format: Format, body: &str) -> (Vec<Event>, Vec<Reject>) {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    normalise(format, body.as_bytes(), "f:1", &Limits::default(), &mut events, &mut rejects);
    (events, rejects)
}

/// How many events of which kind came of a file of the project's own, and how many rejects.
fn census(format: Format, file: &str) -> (BTreeMap<Kind, usize>, usize) {
    let (mut found, mut rejected) = (BTreeMap::new(), 0);
    for line in lab::corpus::lines(&lab::corpus::samples().join(file)).expect("samples can be read") {
        let (events, rejects) = read(format, &line);
        for event in events {
            *found.entry(event.kind).or_default() += 1;
        }
        rejected += rejects.len();
    }
    (found, rejected)
}

#[test]
fn auto_finds_in_each_sample_what_it_was_written_for() {
    use Kind::{
        AwsCloudtrail, AwsEventbridge, AwsGuardduty, AzureActivity, AzureAudit, AzureSignin, CiLog, GcpAudit,
        GitlabAudit, GitlabWebhook, KubernetesAudit, OktaSystem, VaultAudit,
    };
    holds("aws.eventbridge.jsonl", &[(AwsEventbridge, 16), (AwsGuardduty, 1), (AwsCloudtrail, 1)], 1);
    holds("aws.guardduty.jsonl", &[(AwsGuardduty, 7)], 2);
    holds("azure.jsonl", &[(AzureActivity, 8), (AzureSignin, 3), (AzureAudit, 3)], 1);
    holds("ci.github.log", &[(CiLog, 13)], 1);
    holds("ci.log.jsonl", &[(CiLog, 22)], 2);
    holds("gcp.audit.jsonl", &[(GcpAudit, 8), (Kind::Json, 1)], 2);
    holds("gitlab.audit.jsonl", &[(GitlabAudit, 6)], 1);
    holds("gitlab.webhook.jsonl", &[(GitlabWebhook, 11)], 2);
    holds("kubernetes.audit.jsonl", &[(KubernetesAudit, 11), (Kind::Json, 1)], 0);
    holds("okta.system.jsonl", &[(OktaSystem, 9), (Kind::Json, 1)], 0);
    holds("vault.audit.jsonl", &[(VaultAudit, 9)], 1);
}

/// Whether `auto` finds these in a file, and all of them come if it is declared to be of the most frequent kind.
#[track_caller]
fn holds(file: &str, expected: &[(Kind, usize)], rejects: usize) {
    assert_eq!(census(Format::Auto, file), (expected.iter().copied().collect(), rejects), "{file}");
    let (main, _) = expected.iter().max_by_key(|(_, count)| count).expect("a file has a kind");
    let (declared, _) = census(Format::Known(*main), file);
    for (kind, count) in expected.iter().filter(|(kind, _)| *kind != Kind::Json) {
        assert!(declared.get(kind).is_some_and(|found| found >= count), "{file}: {declared:?}");
    }
}

/// The kind that a record of one of these files is, as its file, its vendor or its envelope says.
fn meant(file: &str, entry: &Value) -> Option<Kind> {
    let event = &entry["event"];
    let is_only = |name: &str| entry["log_types"] == json!([name]);
    match file {
        "samples/aws_ci_events" => event["detail-type"].as_str().map(|_| Kind::AwsEventbridge),
        // A finding of Google's lies among its audit logs.
        "samples/cloud_custodian" if entry["source"] == "gcp.audit" => {
            event["protoPayload"].as_object().map(|_| Kind::GcpAudit)
        }
        "samples/cloud_custodian" => match event["detail-type"].as_str()? {
            "GuardDuty Finding" => Some(Kind::AwsGuardduty),
            sort if sort.ends_with("via CloudTrail") => Some(Kind::AwsCloudtrail),
            _ => Some(Kind::AwsEventbridge),
        },
        "samples/gitlab_webhooks" => Some(Kind::GitlabWebhook),
        "samples/google_cloudevents" => event["protoPayload"].as_object().map(|_| Kind::GcpAudit),
        "samples/plaso_gcp_logging" => entry["protoPayload"].as_object().map(|_| Kind::GcpAudit),
        "samples/plaso_azure_activity_log" => Some(Kind::AzureActivity),
        "samples/plaso_aws_cloudtrail" => Some(Kind::AwsCloudtrail),
        "falco_k8s_audit_tests" => Some(Kind::KubernetesAudit),
        "streams/panther_scenarios/okta-add-administrator__admin_privs_assigned" => Some(Kind::OktaSystem),
        "panther_tests" if is_only("AWS.GuardDuty") => Some(Kind::AwsGuardduty),
        "panther_tests" if is_only("Azure.MonitorActivity") => Some(Kind::AzureActivity),
        _ => None,
    }
}

/// The records of an entry; webhooks as they are delivered, since some carry no time of their own.
fn records(file: &str, entry: &Value) -> Vec<Value> {
    if let Some(events) = entry["events"].as_array() {
        return events.clone();
    }
    let record = if entry["event"].is_object() { &entry["event"] } else { entry };
    if file == "samples/gitlab_webhooks" {
        let headers = json!({"X-Gitlab-Event": "Hook"});
        return vec![json!({"headers": headers, "body": record, "received": "2026-11-20T09:14:03Z"})];
    }
    vec![record.clone()]
}

/// What a record of this kind always says; nothing if it does.
fn missing(kind: Kind, facets: &Facets) -> Vec<&'static str> {
    let Facets { actor, action, target, network, .. } = facets;
    let known = actor.sort != ActorSort::Unknown || actor.name.is_some();
    let who = match kind {
        // Of most state changes nobody is named; a hook about a member names whom it is about; findings may be about
        // machines, and of records in Azure's older form only the address is left.
        Kind::AwsEventbridge | Kind::AwsGuardduty | Kind::GitlabWebhook => true,
        Kind::AzureActivity => known || network.ip.is_some(),
        _ => known,
    };
    let where_to = target.kind.is_some() || target.account.is_some() || kind == Kind::KubernetesAudit;
    let all = [("who", who), ("what", !action.is_empty()), ("to what", where_to)];
    all.into_iter().filter_map(|(name, is_there)| (!is_there).then_some(name)).collect()
}

/// Files, and how many of their records are of a kind.
const FILES: [(&str, usize); 10] = [
    ("samples/aws_ci_events", 15),
    ("samples/cloud_custodian", 67),
    ("samples/gitlab_webhooks", 21),
    ("samples/google_cloudevents", 3),
    ("samples/plaso_gcp_logging", 9),
    ("samples/plaso_azure_activity_log", 4),
    ("samples/plaso_aws_cloudtrail", 6),
    ("falco_k8s_audit_tests", 37),
    ("streams/panther_scenarios/okta-add-administrator__admin_privs_assigned", 1),
    ("panther_tests", 106),
];

#[test]
fn records_of_vendors_are_recognised_and_say_who_did_what() {
    let Some(shared) = lab::corpus::shared() else {
        // Straight to the stream, which the test runner does not capture.
        let note = "SKIPPED records_of_vendors_are_recognised_and_say_who_did_what: LAPWING_SHARED names no folder\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    };
    let mut faults = Vec::new();
    for (file, expected) in FILES {
        assert_eq!(look(&shared, file, &mut faults), expected, "{file}");
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Looks at every record of a file that is of a kind; how many were.
fn look(shared: &Path, file: &str, faults: &mut Vec<String>) -> usize {
    let mut fitting = 0;
    for line in lab::corpus::lines(&shared.join(format!("data/{file}.jsonl.gz"))).expect("it can be read") {
        let entry: Value = serde_json::from_str(&line).expect("a line is JSON");
        let Some(kind) = meant(file, &entry) else { continue };
        for record in records(file, &entry) {
            fitting += 1;
            let text = record.to_string();
            let (events, rejects) = read(Format::Auto, &text);
            let head = text.chars().take(300).collect::<String>();
            match &events[..] {
                [event] if event.kind == kind => {
                    let missing = missing(kind, &facets(event));
                    faults.extend((!missing.is_empty()).then(|| format!("{file}: {kind} without {missing:?}: {head}")));
                }
                _ => faults.push(format!("{file}: no {kind} but {events:?} {rejects:?}: {head}")),
            }
        }
    }
    fitting
}
