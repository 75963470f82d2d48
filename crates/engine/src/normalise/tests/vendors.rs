//! What each vendor's records say, by shapes that their documentation describes.

use super::*;

#[track_caller]
fn auto(body: &str) -> String {
    told(Format::Auto, body)
}

#[test]
fn a_build_that_eventbridge_tells_of() {
    let envelope = r#"{"version":"0","id":"b-1","detail-type":"CodeBuild Build State Change","source":"aws.codebuild","account":"111122223333",
        "time":"2026-11-20T09:14:03Z","region":"eu-west-1","resources":["arn:aws:codebuild:eu-west-1:111122223333:build/shop:5f3c"],
        "detail":{"build-status":"FAILED","project-name":"shop","build-id":"arn:aws:codebuild:eu-west-1:111122223333:build/shop:5f3c",
        "additional-information":{"initiator":"codepipeline/shop-release","source":{"location":"https://github.com/acme/shop.git"},
        "source-version":"0123456789abcdef0123456789abcdef01234567"}}}"#;
    assert_snapshot!(auto(envelope), @r#"
    2026-11-20T09:14:03.000000Z aws.eventbridge [111122223333] b-1
      codebuild.build.failed FAILED FAILED (Service)
      by codepipeline/shop-release codepipeline/shop-release
      on codebuild shop 111122223333 eu-west-1
      in acme/shop 0123456789abcdef0123456789abcdef01234567 shop 5f3c
    "#);
}

#[test]
fn an_image_that_was_pushed_and_a_stage_that_failed() {
    let push = r#"{"id":"p-1","detail-type":"ECR Image Action","source":"aws.ecr","account":"111122223333","time":"2026-11-20T09:14:03Z","region":"eu-west-1",
        "detail":{"result":"SUCCESS","repository-name":"shop","image-digest":"sha256:ab","action-type":"PUSH","image-tag":"v7"}}"#;
    let stage = r#"{"id":"s-1","detail-type":"CodePipeline Stage Execution State Change","source":"aws.codepipeline","account":"111122223333","time":"2026-11-20T09:14:03Z",
        "region":"eu-west-1","detail":{"pipeline":"shop-release","execution-id":"e-7","stage":"Deploy","state":"FAILED"}}"#;
    assert_snapshot!(auto(push), @r#"
    2026-11-20T09:14:03.000000Z aws.eventbridge [111122223333] p-1
      ecr.image.push (Unknown)
      on ecr shop@sha256:ab 111122223333 eu-west-1
    "#);
    assert_snapshot!(auto(stage), @r#"
    2026-11-20T09:14:03.000000Z aws.eventbridge [111122223333] s-1
      codepipeline.stage.failed FAILED FAILED (Unknown)
      on codepipeline shop-release 111122223333 eu-west-1
      in shop-release e-7
    "#);
}

#[test]
fn what_a_bucket_tells_of_has_an_address_and_a_requester() {
    let object = r#"{"id":"o-1","detail-type":"Object Created","source":"aws.s3","account":"111122223333","time":"2026-11-20T09:14:03Z","region":"eu-west-1",
        "resources":["arn:aws:s3:::releases"],"detail":{"bucket":{"name":"releases"},"object":{"key":"shop.zip","size":7},"requester":"111122223333",
        "source-ip-address":"192.0.2.7","reason":"PutObject"}}"#;
    assert_snapshot!(auto(object), @r#"
    2026-11-20T09:14:03.000000Z aws.eventbridge [111122223333] o-1
      PutObject (Unknown)
      by 111122223333 111122223333
      from 192.0.2.7
      on s3 releases/shop.zip 111122223333 eu-west-1
    "#);
}

const FINDING: &str = r#"{"schemaVersion":"2.0","accountId":"111122223333","region":"eu-west-1","id":"g-1","severity":8,
    "type":"UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS","createdAt":"2026-11-20T09:00:00Z","updatedAt":"2026-11-20T09:14:03Z",
    "resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"ASIAEXAMPLE","principalId":"AROAEXAMPLE:i-0a","userName":"web","userType":"AssumedRole"}},
    "service":{"serviceName":"guardduty","action":{"actionType":"AWS_API_CALL","awsApiCallAction":{"api":"ListBuckets","errorCode":"AccessDenied",
    "remoteIpDetails":{"ipAddressV4":"198.51.100.9"}}}}}"#;

#[test]
fn a_finding_is_the_same_bare_and_in_its_envelope() {
    let envelope = format!(
        r#"{{"id":"x","detail-type":"GuardDuty Finding","source":"aws.guardduty","time":"2026-11-20T09:15:00Z","detail":{FINDING}}}"#
    );
    assert_eq!(auto(FINDING), auto(&envelope));
    assert_eq!(auto(FINDING), told(Format::Known(Kind::AwsEventbridge), &envelope));
    assert_snapshot!(auto(FINDING), @r#"
    2026-11-20T09:14:03.000000Z aws.guardduty [111122223333 eu-west-1 2026-11-20T09:14:03.000000Z] g-1
      UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS FAILED AccessDenied (Role)
      by web AROAEXAMPLE:i-0a
      with ASIAEXAMPLE
      from 198.51.100.9
      on AccessKey web 111122223333 eu-west-1
    "#);
}

#[test]
fn each_update_of_a_finding_is_an_event() {
    let identity = |body: &str| run(Format::Auto, body.as_bytes()).0.remove(0).uid;
    let later = FINDING.replace("09:14:03", "10:14:03");
    assert_ne!(identity(FINDING), identity(&later));
    assert_eq!(identity(FINDING), identity(&FINDING.replace("\"severity\":8", "\"severity\":5")), "told twice");
}

#[test]
fn a_source_of_eventbridge_brings_records_of_cloudtrail_too() {
    let body = r#"{"id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.sts","time":"2026-11-20T09:15:00Z","detail":{"eventVersion":"1.11",
        "eventSource":"sts.amazonaws.com","eventName":"AssumeRole","eventID":"e-1","eventTime":"2026-11-20T09:14:03Z","recipientAccountId":"111122223333"}}"#;
    for format in [Format::Auto, Format::Known(Kind::AwsEventbridge), Format::Known(Kind::AwsCloudtrail)] {
        assert_eq!(run(format, body.as_bytes()).0[0].kind, Kind::AwsCloudtrail);
    }
}

#[test]
fn a_pipeline_of_gitlab_that_failed() {
    let body = r#"{"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","sha":"abc","status":"failed","created_at":"2026-11-20 09:10:00 UTC",
        "finished_at":"2026-11-20 10:14:03 +0100"},"user":{"id":42,"name":"Ana","username":"ana"},
        "project":{"id":1,"name":"Shop","path_with_namespace":"acme/shop","web_url":"https://gitlab.example/acme/shop"}}"#;
    let headers =
        r#"{"X-Gitlab-Event":"Pipeline Hook","Idempotency-Key":"k-1","X-Gitlab-Instance":"https://gitlab.example"}"#;
    let wrapped = format!(r#"{{"headers":{headers},"body":{body},"received":"2026-11-20T09:20:00Z"}}"#);
    assert_snapshot!(auto(&wrapped), @r#"
    2026-11-20T09:14:03.000000Z gitlab.webhook [https://gitlab.example] k-1
      pipeline.failed FAILED failed (Human)
      by ana 42
      on repository acme/shop acme
      in acme/shop main abc 31
    "#);
    assert_snapshot!(auto(body).lines().next().unwrap_or_default(), @"2026-11-20T09:14:03.000000Z gitlab.webhook [] f:1");
}

#[test]
fn somebody_becomes_a_member_of_a_group_of_gitlab() {
    let body = r#"{"event_name":"user_add_to_group","created_at":"2026-11-20T09:14:03Z","updated_at":"2026-11-20T09:14:03Z","group_name":"Ops","group_path":"ops",
        "group_id":7,"user_username":"eve","user_id":9,"group_access":"Owner"}"#;
    assert_snapshot!(auto(body), @r#"
    2026-11-20T09:14:03.000000Z gitlab.webhook [] f:1
      user_add_to_group (Unknown)
      on user eve ops
    "#);
}

#[test]
fn an_application_that_names_its_events_is_not_gitlab() {
    let body = r#"{"event_name":"checkout","user_id":7,"username":"ana","time":"2026-11-20T09:14:03Z"}"#;
    assert_eq!(run(Format::Auto, body.as_bytes()).0[0].kind, Kind::Json);
}

#[test]
fn an_audit_event_that_gitlab_streams() {
    let body = r#"{"id":"1b2c","author_id":42,"author_name":"ana","entity_id":7,"entity_type":"Project","entity_path":"acme/shop","event_type":"protected_branch_removed",
        "ip_address":"192.0.2.7","target_type":"ProtectedBranch","target_id":3,"target_details":"main","created_at":"2026-11-20T09:14:03.123Z",
        "details":{"author_class":"User","remove":"protected_branch"}}"#;
    assert_snapshot!(auto(body), @r#"
    2026-11-20T09:14:03.123000Z gitlab.audit [Project acme/shop 2026-11-20T09:14:03.123000Z] 1b2c
      protected_branch_removed (Human)
      by ana 42
      from 192.0.2.7
      on ProtectedBranch main acme
    "#);
}

const ENTRY: &str = r#"{"insertId":"i-1","logName":"projects/shop/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-11-20T09:14:03.123456789Z",
    "resource":{"type":"service_account","labels":{"project_id":"shop"}},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog",
    "serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.CreateServiceAccountKey","resourceName":"projects/-/serviceAccounts/117",
    "authenticationInfo":{"principalEmail":"ci@shop.iam.gserviceaccount.com","principalSubject":"serviceAccount:ci@shop.iam.gserviceaccount.com",
    "serviceAccountKeyName":"//iam.googleapis.com/projects/shop/serviceAccounts/ci@shop.iam.gserviceaccount.com/keys/9f"},
    "requestMetadata":{"callerIp":"192.0.2.7","callerSuppliedUserAgent":"gcloud"},"status":{"code":7,"message":"denied"}}}"#;

#[test]
fn an_entry_of_cloud_logging_is_the_same_in_all_its_wrappers() {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(ENTRY);
    let message = format!(r#"{{"data":"{data}","messageId":"7","publishTime":"2026-11-20T09:14:05Z"}}"#);
    let expected = auto(ENTRY);
    for (wrapped, position) in [
        (format!(r#"{{"message":{message},"subscription":"projects/shop/subscriptions/logs"}}"#), "f:1"),
        (format!(r#"{{"receivedMessages":[{{"ackId":"a","message":{message}}}]}}"#), "f:1#0"),
        (format!(r#"{{"entries":[{ENTRY}]}}"#), "f:1#0"),
        (format!(r#"{{"specversion":"1.0","type":"google.cloud.audit.log.v1.written","data":{ENTRY}}}"#), "f:1"),
    ] {
        assert_eq!(auto(&wrapped), expected, "{position} {wrapped}");
        assert_eq!(told(Format::Known(Kind::GcpAudit), &wrapped), expected, "{wrapped}");
    }
    assert_snapshot!(expected, @r#"
    2026-11-20T09:14:03.123456Z gcp.audit [projects/shop/logs/cloudaudit.googleapis.com%2Factivity 2026-11-20T09:14:03.123456Z] i-1
      google.iam.admin.v1.CreateServiceAccountKey FAILED PERMISSION_DENIED (App)
      by ci@shop.iam.gserviceaccount.com serviceAccount:ci@shop.iam.gserviceaccount.com
      with //iam.googleapis.com/projects/shop/serviceAccounts/ci@shop.iam.gserviceaccount.com/keys/9f
      from 192.0.2.7 gcloud
      on iam projects/-/serviceAccounts/117 shop
    "#);
}

#[test]
fn a_message_that_carries_no_json_is_not_opened() {
    let body =
        r#"{"message":{"data":"AQIDBA==","messageId":"7","publishTime":"2026-11-20T09:14:05Z"},"subscription":"s"}"#;
    assert_snapshot!(told(Format::Known(Kind::GcpAudit), body), @"f:1 shape: no audit log of Google Cloud: protoPayload is missing or no object");
}

#[test]
fn a_permission_of_google_that_was_not_granted_is_a_failure() {
    let body = ENTRY.replace(
        r#""status":{"code":7,"message":"denied"}"#,
        r#""authorizationInfo":[{"granted":true},{"granted":false}]"#,
    );
    assert!(auto(&body).contains("FAILED PERMISSION_DENIED"), "{}", auto(&body));
}

#[test]
fn a_sign_in_to_okta_that_was_refused() {
    let entry = r#"{"uuid":"u-1","published":"2026-11-20T09:14:03.123Z","eventType":"user.session.start","legacyEventType":"core.user_auth.login_failed",
        "actor":{"id":"00u1","type":"User","alternateId":"ana@acme.example","displayName":"Ana"},"client":{"ipAddress":"198.51.100.9",
        "userAgent":{"rawUserAgent":"curl"}},"outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},
        "target":[{"id":"0oa1","type":"AppInstance","alternateId":"unknown","displayName":"AWS"}],"authenticationContext":{"externalSessionId":"s-1"}}"#;
    let hook = format!(
        r#"{{"eventType":"com.okta.event_hook","data":{{"events":[{entry}]}},"eventTime":"2026-11-20T09:14:04Z"}}"#
    );
    let bridge = format!(
        r#"{{"id":"x","detail-type":"SystemLog","source":"aws.partner/okta.com/acme","time":"2026-11-20T09:14:04Z","detail":{entry}}}"#
    );
    for wrapped in [hook, bridge] {
        assert_eq!(auto(&wrapped), auto(entry));
    }
    assert_snapshot!(auto(entry), @r#"
    2026-11-20T09:14:03.123000Z okta.system [okta] u-1
      user.session.start FAILED INVALID_CREDENTIALS (Human)
      by ana@acme.example 00u1
      with s-1
      from 198.51.100.9 curl
      on AppInstance AWS
    "#);
}

#[test]
fn azure_says_the_same_in_four_spellings() {
    let resource = "/subscriptions/5ub/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop";
    let of_hub = format!(
        r#"{{"records":[{{"time":"2026-11-20T09:14:03.1234567Z","resourceId":"{resource}","operationName":"MICROSOFT.KEYVAULT/VAULTS/DELETE","category":"Administrative",
        "resultType":"Failure","resultSignature":"Failed.Forbidden","callerIpAddress":"192.0.2.7","location":"westeurope","identity":{{"claims":{{"appid":"a-1","idtyp":"app","uti":"t-1",
        "iss":"https://sts.example/","http://schemas.microsoft.com/identity/claims/objectidentifier":"o-1"}}}}}}]}}"#
    );
    let of_api = format!(
        r#"{{"value":[{{"eventTimestamp":"2026-11-20T09:14:03.1234567Z","eventDataId":"d-1","resourceId":"{resource}","operationName":{{"value":"Microsoft.KeyVault/vaults/delete"}},
        "category":{{"value":"Administrative"}},"status":{{"value":"Failed"}},"subStatus":{{"value":"Forbidden"}},"caller":"ana@acme.example","httpRequest":{{"clientIpAddress":"192.0.2.7"}}}}]}}"#
    );
    let of_python = format!(
        r#"{{"event_timestamp":"2026-11-20T09:14:03Z","event_data_id":"d-1","resource_id":"{resource}","operation_name":{{"value":"Microsoft.KeyVault/vaults/delete"}},
        "category":{{"value":"Administrative"}},"status":{{"value":"Succeeded"}},"caller":"ana@acme.example","http_request":{{"client_ip_address":"192.0.2.7"}}}}"#
    );
    let of_table = format!(
        r#"{{"TimeGenerated":"2026-11-20T09:14:03Z","EventDataId":"d-1","_ResourceId":"{resource}","OperationNameValue":"MICROSOFT.KEYVAULT/VAULTS/DELETE",
        "CategoryValue":"Administrative","ActivityStatusValue":"Success","Caller":"ana@acme.example","CallerIpAddress":"192.0.2.7","SubscriptionId":"5ub"}}"#
    );
    assert_snapshot!([of_hub, of_api, of_python, of_table].map(|body| auto(&body)).join("\n"), @r#"
    2026-11-20T09:14:03.123456Z azure.activity [] f:1#0
      MICROSOFT.KEYVAULT/VAULTS/DELETE FAILED Forbidden (App)
      by a-1 o-1
      with t-1 https://sts.example/
      from 192.0.2.7
      on Microsoft.KeyVault /subscriptions/5ub/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop 5ub westeurope
    2026-11-20T09:14:03.123456Z azure.activity [5ub] d-1
      Microsoft.KeyVault/vaults/delete FAILED Forbidden (Human)
      by ana@acme.example ana@acme.example
      from 192.0.2.7
      on Microsoft.KeyVault /subscriptions/5ub/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop 5ub
    2026-11-20T09:14:03.000000Z azure.activity [5ub] d-1
      Microsoft.KeyVault/vaults/delete (Human)
      by ana@acme.example ana@acme.example
      from 192.0.2.7
      on Microsoft.KeyVault /subscriptions/5ub/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop 5ub
    2026-11-20T09:14:03.000000Z azure.activity [5ub] d-1
      MICROSOFT.KEYVAULT/VAULTS/DELETE (Human)
      by ana@acme.example ana@acme.example
      from 192.0.2.7
      on Microsoft.KeyVault /subscriptions/5ub/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop 5ub
    "#);
}

#[test]
fn sign_ins_and_changes_of_a_directory_come_by_the_road_of_azures_activity_log() {
    let body = r#"{"records":[{"time":"2026-11-20T09:20:00Z","category":"SignInLogs","operationName":"Sign-in activity","resultType":"50126","tenantId":"t-1","resourceId":"/tenants/t-1/providers/Microsoft.aadiam",
        "properties":{"id":"s-1","createdDateTime":"2026-11-20T09:14:03Z","userPrincipalName":"ana@acme.example","userId":"o-1","ipAddress":"198.51.100.9","userAgent":"curl",
        "appDisplayName":"Azure Portal","uniqueTokenIdentifier":"u-1"}},
        {"time":"2026-11-20T09:14:03Z","category":"AuditLogs","operationName":"Add member to role","tenantId":"t-1","resourceId":"/tenants/t-1/providers/Microsoft.aadiam",
        "properties":{"id":"a-1","activityDisplayName":"Add member to role","activityDateTime":"2026-11-20T09:14:03Z","result":"success",
        "initiatedBy":{"user":{"id":"o-1","userPrincipalName":"ana@acme.example","ipAddress":"198.51.100.9"}},"targetResources":[{"type":"User","userPrincipalName":"eve@acme.example"}]}}]}"#;
    assert_eq!(auto(body), told(Format::Known(Kind::AzureActivity), body));
    assert_snapshot!(auto(body), @r#"
    2026-11-20T09:14:03.000000Z azure.signin [t-1] s-1
      Sign-in activity FAILED 50126 (Human)
      by ana@acme.example o-1
      with u-1
      from 198.51.100.9 curl
      on application Azure Portal t-1
    2026-11-20T09:14:03.000000Z azure.audit [t-1] a-1
      Add member to role (Human)
      by ana@acme.example o-1
      from 198.51.100.9
      on User eve@acme.example t-1
    "#);
}

#[test]
fn a_list_of_audit_events_of_a_cluster() {
    let body = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[
        {"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"k-1","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/shop/pods/web-0/exec?command=sh","verb":"create",
        "user":{"username":"ana","groups":["ops"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=1"]}},"sourceIPs":["192.0.2.7"],"userAgent":"kubectl",
        "objectRef":{"resource":"pods","subresource":"exec","namespace":"shop","name":"web-0"},"responseStatus":{"code":101},"stageTimestamp":"2026-11-20T09:14:03.123456Z"},
        {"level":"Metadata","auditID":"k-2","stage":"ResponseComplete","requestURI":"/apis/rbac","verb":"list","user":{"username":"system:serviceaccount:shop:web"},
        "objectRef":{"resource":"secrets","namespace":"kube-system"},"responseStatus":{"code":403,"reason":"Forbidden"},"stageTimestamp":"2026-11-20T09:14:04Z"}]}"#;
    let known = told(Format::Known(Kind::KubernetesAudit), body);
    assert_snapshot!(known, @r#"
    2026-11-20T09:14:03.123456Z kubernetes.audit [ResponseStarted 2026-11-20T09:14:03.123456Z] k-1
      create pods/exec (Human)
      by ana ana
      with JTI=1
      from 192.0.2.7 kubectl
      on pods/exec shop/web-0
    2026-11-20T09:14:04.000000Z kubernetes.audit [ResponseComplete 2026-11-20T09:14:04.000000Z] k-2
      list secrets FAILED Forbidden (App)
      by system:serviceaccount:shop:web system:serviceaccount:shop:web
      on secrets kube-system
    "#);
    assert_eq!(auto(body), known);
}

#[test]
fn requests_to_a_cluster_under_an_id_that_their_client_chose_are_not_one() {
    let stage = |micros: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"mine","stage":"ResponseComplete","verb":"get","requestURI":"/api","stageTimestamp":"2026-11-20T09:14:03.{micros}Z"}}"#
        )
    };
    let uids = |log: &str| run(Format::Auto, log.as_bytes()).0.into_iter().map(|event| event.uid).collect::<Vec<_>>();
    let [one, other] = [stage("000001"), stage("000002")];
    assert_ne!(uids(&one), uids(&other));
    assert_eq!(uids(&one), uids(&format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{one}]}}"#)));
}

#[test]
fn the_two_lines_of_a_request_to_vault_are_two_events() {
    let request = r#"{"time":"2026-11-20T09:14:03.123456789Z","type":"request","auth":{"accessor":"hmac-sha256:aa","client_token":"hmac-sha256:bb","display_name":"jwt-ci",
        "entity_id":"ent-1","metadata":{"role":"deploy","repository":"acme/shop","ref":"refs/heads/main","run_id":"991"}},"request":{"id":"r-1","operation":"read","mount_type":"kv",
        "path":"secret/data/prod/db","remote_address":"192.0.2.7","namespace":{"id":"root"}}}"#;
    let response = request
        .replace(r#""type":"request""#, r#""type":"response","error":"1 error occurred:\n\t* permission denied\n\n""#);
    assert_snapshot!(auto(&format!("[{request},{response}]")), @r#"
    2026-11-20T09:14:03.123456Z vault.audit [vault request] r-1
      read (App)
      by jwt-ci ent-1
      with hmac-sha256:aa deploy
      from 192.0.2.7
      on kv secret/data/prod/db root
      in acme/shop refs/heads/main 991
    2026-11-20T09:14:03.123456Z vault.audit [vault response] r-1
      read FAILED permission denied (App)
      by jwt-ci ent-1
      with hmac-sha256:aa deploy
      from 192.0.2.7
      on kv secret/data/prod/db root
      in acme/shop refs/heads/main 991
    "#);
}

#[test]
fn kinds_that_share_a_road_say_so() {
    for kind in Kind::ALL {
        for beside in kind.reading().beside {
            assert_ne!(*beside, kind, "{kind} is declared already");
            assert_ne!(*beside, Kind::Json, "a rest is of the declared kind, or a reject");
        }
    }
}
