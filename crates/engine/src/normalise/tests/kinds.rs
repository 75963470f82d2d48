use super::*;

const TRAIL: Format = Format::Known(Kind::AwsCloudtrail);
const AUDIT: Format = Format::Known(Kind::GithubAudit);
const WEBHOOK: Format = Format::Known(Kind::GithubWebhook);
const PLAIN: Format = Format::Known(Kind::Json);

fn record(name: &str, id: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.11","eventSource":"sts.amazonaws.com","eventName":"{name}","eventID":"{id}","eventTime":"2026-11-20T09:14:03Z","recipientAccountId":"111122223333"}}"#
    )
}

fn in_string(record: &str) -> String {
    serde_json::to_string(record).unwrap()
}

#[test]
fn a_role_session_that_reads_a_secret() {
    let record = r#"{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:run-7",
        "arn":"arn:aws:sts::111122223333:assumed-role/deployer/run-7","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE",
        "sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/ci/deployer","userName":"deployer"}}},
        "eventTime":"2026-11-20T09:14:03Z","eventSource":"secretsmanager.amazonaws.com","eventName":"GetSecretValue",
        "awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.7","userAgent":"aws-cli/2","errorCode":"AccessDenied",
        "requestParameters":{"secretId":"prod/db"},"responseElements":null,"eventID":"e-1","recipientAccountId":"444455556666"}"#;
    assert_snapshot!(told(TRAIL, record), @r#"
    2026-11-20T09:14:03.000000Z aws.cloudtrail [444455556666] e-1
      GetSecretValue FAILED AccessDenied (Role)
      by deployer/run-7 arn:aws:sts::111122223333:assumed-role/deployer/run-7
      with ASIAEXAMPLE arn:aws:iam::111122223333:role/ci/deployer
      from 192.0.2.7 aws-cli/2
      on secretsmanager prod/db 444455556666 eu-west-1
    "#);
}

#[test]
fn each_identity_type_has_its_sort_of_actor() {
    let table = [
        r#"{"type":"IAMUser","arn":"arn:aws:iam::1:user/ana","userName":"ana"}"#,
        r#"{"type":"Root","arn":"arn:aws:iam::1:root","principalId":"1"}"#,
        r#"{"type":"AssumedRole","principalId":"AROA:s"}"#,
        r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}"#,
        r#"{"invokedBy":"apigateway.amazonaws.com"}"#,
        r#"{"type":"SAMLUser","principalId":"x:ana","userName":"ana"}"#,
        r#"{"type":"WebIdentityUser","userName":"repo:acme/shop:ref:refs/heads/main","identityProvider":"arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}"#,
        r#"{"type":"WebIdentityUser","userName":"42","identityProvider":"accounts.google.com"}"#,
        r#"{"type":"AWSAccount","accountId":"2","principalId":"AIDAX"}"#,
        r#"{"type":7}"#,
        r#""nobody""#,
    ];
    let lines = table.map(|identity| {
        let event = Event {
            uid: by_position("f:1"),
            time: Timestamp::default(),
            kind: Kind::AwsCloudtrail,
            raw: sonic_rs::from_str(&format!(r#"{{"eventName":"X","userIdentity":{identity}}}"#)).unwrap(),
        };
        let Facets { actor, pipeline, .. } = facets(&event);
        let parts = [actor.name, actor.id, pipeline.repository, pipeline.git_ref].into_iter().flatten();
        format!("{:?}: {}", actor.sort, parts.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
    });
    assert_snapshot!(lines.join("\n"), @r#"
    Human: ana arn:aws:iam::1:user/ana
    Human: root arn:aws:iam::1:root
    Role: AROA:s
    Service: ec2.amazonaws.com ec2.amazonaws.com
    Service: apigateway.amazonaws.com apigateway.amazonaws.com
    Human: ana x:ana
    App: repo:acme/shop:ref:refs/heads/main repo:acme/shop:ref:refs/heads/main acme/shop refs/heads/main
    Human: 42 42
    Unknown: AIDAX
    Unknown:
    Unknown:
    "#);
}

#[test]
fn a_failed_console_login_is_a_failure_although_it_has_no_error_code() {
    let record = r#"{"eventVersion":"1.11","eventName":"ConsoleLogin","eventSource":"signin.amazonaws.com","eventTime":"2026-11-20T09:14:03Z",
        "userIdentity":{"type":"IAMUser","userName":"ana","accountId":"1"},"errorMessage":"Failed authentication",
        "responseElements":{"ConsoleLogin":"Failure"},"eventID":"e-2"}"#;
    assert_snapshot!(told(TRAIL, record), @r#"
    2026-11-20T09:14:03.000000Z aws.cloudtrail [1] e-2
      ConsoleLogin FAILED Failed authentication (Human)
      by ana ana
      on signin 1
    "#);
}

#[test]
fn every_wrapper_gives_the_same_events() {
    let bare = record("AssumeRole", "e-1");
    let message = in_string(&bare);
    let wrappers = [
        ("document", format!(r#"{{ "Records" : [ {bare} ] }}"#)),
        ("document, other members", format!(r#"{{"x":"[","Records":[{bare}],"y":1}}"#)),
        ("array", format!("\u{feff} [\n{bare}\n]\n")),
        ("array in array", format!("[[{bare}]]")),
        ("log event", format!(r#"{{"eventId":"37","timestamp":1,"ingestionTime":2,"message":{message}}}"#)),
        (
            "subscription",
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{{"id":"37","timestamp":1,"message":{message}}}]}}"#
            ),
        ),
        ("EventBridge", format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{bare}}}"#)),
        ("LookupEvents", format!(r#"{{"EventId":"e-1","CloudTrailEvent":{message}}}"#)),
    ];
    let (expected, _) = run(TRAIL, bare.as_bytes());
    for (reason, body) in wrappers {
        for format in [TRAIL, Format::Auto] {
            let (events, rejects) = run(format, body.as_bytes());
            assert!(rejects.is_empty(), "{reason}: {rejects:?}");
            assert_eq!(events.len(), 1, "{reason}");
            assert_eq!((&events[0].uid, &events[0].raw), (&expected[0].uid, &expected[0].raw), "{reason}");
        }
    }
}

#[test]
fn wrappers_without_records_give_nothing() {
    let control =
        r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"checking health"}]}"#;
    for body in ["", "  \r\n", "\u{feff}", "[]", r#"{"Records":[]}"#, control] {
        for format in [TRAIL, Format::Auto] {
            assert_eq!(told(format, body), "", "{body}");
        }
    }
}

#[test]
fn a_record_without_id_or_time_takes_them_from_where_it_was_found() {
    let message =
        in_string(r#"{"eventVersion":"1.11","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventTime":5}"#);
    let event = format!(r#"{{"id":"37","timestamp":1763630043000,"message":{message}}}"#);
    let body = format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{event},{event}]}}"#);
    assert_snapshot!(told(TRAIL, &body), @r#"
    2025-11-20T09:14:03.000000Z aws.cloudtrail [] f:1#0
      GetObject (Unknown)
      on s3
    2025-11-20T09:14:03.000000Z aws.cloudtrail [] f:1#1
      GetObject (Unknown)
      on s3
    "#);
}

#[test]
fn a_bad_record_of_a_document_costs_only_itself() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let body = format!(
        r#"{{"Records":[{},{{"eventName":5}},{},{{"eventName":"X"}},{{"eventName":tru}},{{"eventName":"X","x":{deep}}},17,{}]}}"#,
        record("A", "e-1"),
        record("B", "e-2"),
        record("C", "e-3"),
    );
    assert_snapshot!(told(TRAIL, &body), @r#"
    2026-11-20T09:14:03.000000Z aws.cloudtrail [111122223333] e-1
      A (Unknown)
      on sts 111122223333
    2026-11-20T09:14:03.000000Z aws.cloudtrail [111122223333] e-2
      B (Unknown)
      on sts 111122223333
    2026-11-20T09:14:03.000000Z aws.cloudtrail [111122223333] e-3
      C (Unknown)
      on sts 111122223333
    f:1#1 shape: no CloudTrail record: eventName is missing or no string
    f:1#3 time: eventTime is missing or no RFC 3339 time of 1970 to 2200
    f:1#4 syntax: Invalid literal (`true`, `false`, or a `null`) while parsing at line 1 column 17
    f:1#5 depth: nested deeper than 128
    f:1#6 shape: a record is a JSON object
    "#);
}

#[test]
fn the_limit_of_size_is_for_a_record_not_for_a_document() {
    let long = |name: &str| record(name, &"x".repeat(700_000));
    let bodies = [
        format!(r#"{{"Records":[{},{}]}}"#, long("A"), long("B")),
        format!("[{},{}]", long("A"), long("B")),
        format!(
            r#"{{"messageType":"DATA_MESSAGE","logEvents":[{0},{0}]}}"#,
            format!(r#"{{"id":"1","timestamp":1,"message":{}}}"#, in_string(&long("A")))
        ),
    ];
    for body in bodies {
        let (events, rejects) = run(TRAIL, body.as_bytes());
        assert_eq!((events.len(), rejects.len()), (2, 0));
    }
}

#[test]
fn a_digest_is_no_record() {
    let digest = r#"{"awsAccountId":"1","digestStartTime":"2026-11-20T09:00:00Z","digestS3Object":"x","logFiles":[]}"#;
    assert_snapshot!(told(TRAIL, digest), @"f:1 shape: a CloudTrail digest lists log files, it holds no records");
}

#[test]
fn what_comes_through_eventbridge_keeps_its_envelope() {
    let finding = r#"{"id":"f-1","detail-type":"GuardDuty Finding","source":"aws.guardduty","time":"2026-11-20T09:14:03Z","detail":{"severity":5}}"#;
    assert_snapshot!(told(Format::Auto, finding), @r#"
    2026-11-20T09:14:03.000000Z aws.eventbridge [] f-1
      GuardDuty Finding (Unknown)
      on guardduty
    "#);
}

#[test]
fn an_audit_log_entry_of_a_person() {
    let entry = r#"{"action":"repo.destroy","actor":"ana","actor_id":42,"actor_ip":"192.0.2.7","@timestamp":1763630043123,
        "created_at":1763630043000,"_document_id":"d-1","org":"acme","repo":"acme/shop","user_agent":"curl","hashed_token":"aGFzaA==",
        "programmatic_access_type":"Fine-grained personal access token"}"#;
    assert_snapshot!(told(AUDIT, entry), @r#"
    2025-11-20T09:14:03.123000Z github.audit [acme] d-1
      repo.destroy (Human)
      by ana 42
      with aGFzaA== Fine-grained personal access token
      from 192.0.2.7 curl
      on repository acme/shop acme
    "#);
}

#[test]
fn an_audit_log_entry_of_a_workflow_run() {
    let entry = r#"{"action":"workflows.completed_workflow_run","actor":"renovate[bot]","created_at":"2026-11-20 09:14:03.5","org":["acme"],
        "repo":"acme/shop","workflow_run_id":991,"head_branch":"main","head_sha":"abc","name":"deploy","environment_name":"production"}"#;
    assert_snapshot!(told(AUDIT, entry), @r#"
    2026-11-20T09:14:03.500000Z github.audit [] f:1
      workflows.completed_workflow_run (App)
      by renovate[bot]
      on repository acme/shop acme
      in acme/shop main abc deploy 991 production
    "#);
}

#[test]
fn a_webhook_with_headers_carries_the_name_of_its_event() {
    let body = r#"{"headers":{"x-GitHub-EVENT":"workflow_run","X-GitHub-Delivery":["d-1"]},"body":{"action":"completed",
        "workflow_run":{"id":991,"name":"deploy","path":".github/workflows/deploy.yml","head_branch":"main","head_sha":"abc","conclusion":"failure",
        "created_at":"2026-11-20T09:10:00Z","updated_at":"2026-11-20T09:14:03Z"},
        "repository":{"full_name":"acme/shop","owner":{"login":"acme"},"pushed_at":1763639999},"sender":{"login":"ana","id":42,"type":"User"}}}"#;
    assert_snapshot!(told(WEBHOOK, body), @r#"
    2026-11-20T09:14:03.000000Z github.webhook [acme] d-1
      workflow_run.completed FAILED failure (Human)
      by ana 42
      on repository acme/shop acme
      in acme/shop main abc .github/workflows/deploy.yml 991
    "#);
    let (events, _) = run(Format::Auto, body.as_bytes());
    assert_eq!(text(&events[0].raw, "event"), Some("workflow_run"));
    assert!(events[0].raw.get("headers").is_none());
}

#[test]
fn the_time_of_a_push_is_githubs_not_the_committers() {
    let body = r#"{"ref":"refs/heads/main","after":"abc","head_commit":{"timestamp":"2031-01-01T00:00:00Z"},
        "repository":{"full_name":"acme/shop","created_at":1500000000,"pushed_at":1763630043,"updated_at":"2026-11-25T00:00:00Z"},"sender":{"login":"ana"}}"#;
    assert_snapshot!(told(WEBHOOK, body), @r#"
    2025-11-20T09:14:03.000000Z github.webhook [] f:1
       (Unknown)
      by ana
      on repository acme/shop
      in acme/shop refs/heads/main abc
    "#);
}

#[test]
fn a_webhook_without_a_time_happened_when_it_was_received() {
    let body = br#"{"action":"member_added","membership":{"role":"admin"},"organization":{"login":"acme"},"sender":{"login":"ana"},"event":"x"}"#;
    let received = "2026-11-20T09:14:03Z".parse().unwrap();
    let delivered = delivery(&[("X-GitHub-Event", "organization"), ("X-GitHub-Delivery", "d-2")], body, received);
    assert_snapshot!(told(WEBHOOK, std::str::from_utf8(&delivered).unwrap()), @r#"
    2026-11-20T09:14:03.000000Z github.webhook [acme] d-2
      organization.member_added (Unknown)
      by ana
      on organization acme acme
    "#);
    assert_snapshot!(told(WEBHOOK, std::str::from_utf8(body).unwrap()), @"f:1 time: no readable time of 1970 to 2200 in the webhook");
}

#[test]
fn plain_records_say_their_time_in_many_ways() {
    let table = [
        r#"{"timestamp":1763630043}"#,
        r#"{"timestamp":1763630043.25}"#,
        r#"{"time":1763630043123}"#,
        r#"{"created_at":1763630043123456}"#,
        r#"{"@timestamp":1763630043123456789}"#,
        r#"{"timestamp":"soon","published":"2026-11-20T09:14:03.1234567+01:00","uuid":"u-1"}"#,
        r#"{"requestReceivedTimestamp":"2026-11-20T09:14:03","id":7,"event_id":"e-1"}"#,
        r#"{"time":0}"#,
    ];
    assert_snapshot!(table.map(|line| told(PLAIN, line).lines().next().unwrap().to_owned()).join("\n"), @r#"
    2025-11-20T09:14:03.000000Z json [] f:1
    2025-11-20T09:14:03.250000Z json [] f:1
    2025-11-20T09:14:03.123000Z json [] f:1
    2025-11-20T09:14:03.123456Z json [] f:1
    2025-11-20T09:14:03.123456Z json [] f:1
    2026-11-20T08:14:03.123456Z json [json uuid 2026-11-20T08:14:03.123456Z] u-1
    2026-11-20T09:14:03.000000Z json [json event_id 2026-11-20T09:14:03.000000Z] e-1
    1970-01-01T00:00:00.000000Z json [] f:1
    "#);
}

#[test]
fn the_id_of_what_a_plain_record_is_about_is_not_the_id_of_the_event() {
    let identity = |line: &str| run(PLAIN, line.as_bytes()).0.remove(0).uid;
    for name in ["id", "uid"] {
        let record = format!(r#"{{"{name}":"user-7","action":"promoted","time":1763630043}}"#);
        assert_eq!(identity(&record), by_position("f:1"), "{name}");
    }
    let first = identity(r#"{"event_id":"4624","time":1763630043}"#);
    let second = identity(r#"{"event_id":"4624","time":1763630044}"#);
    assert_ne!(first, second, "a sort of event at two times is two events");
    assert_eq!(
        first,
        identity(r#"{"event_id":"4624","time":1763630043000,"seen":2}"#),
        "the same event by another road"
    );
    let cloud = identity(r#"{"specversion":"1.0","source":"/shop","id":"a-1","time":"2026-11-20T09:14:03Z"}"#);
    assert_eq!((cloud.origin.as_str(), cloud.id.as_str()), ("json /shop", "a-1"));
}

#[test]
fn auto_recognises_each_kind_by_its_shape() {
    let table = [
        (record("X", "e-1"), Kind::AwsCloudtrail),
        (r#"{"eventVersion":"1.09","eventType":"AwsCloudTrailInsight","insightDetails":{},"eventTime":"2026-11-20T09:14:03Z"}"#.to_owned(), Kind::AwsCloudtrail),
        (r#"{"action":"org.x","created_at":1763630043123,"actor":"ana"}"#.to_owned(), Kind::GithubAudit),
        (r#"{"headers":{"X-GitHub-Event":"ping"},"body":{"hook":{"created_at":"2026-11-20T09:14:03Z"}}}"#.to_owned(), Kind::GithubWebhook),
        (r#"{"repository":{"updated_at":"2026-11-20T09:14:03Z"},"sender":{}}"#.to_owned(), Kind::GithubWebhook),
        (r#"{"action":"x","timestamp":1}"#.to_owned(), Kind::Json),
        (r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T09:14:03Z"}"#.to_owned(), Kind::Json),
    ];
    for (body, kind) in table {
        let (events, rejects) = run(Format::Auto, body.as_bytes());
        assert_eq!(events.first().map(|event| event.kind), Some(kind), "{body} {rejects:?}");
    }
}
