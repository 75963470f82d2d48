//! What each vendor's records say, and how the trees of them read.

use serde_json::{Value, json};

use super::*;

/// A tree without its times, which only make it hard to read here.
#[track_caller]
fn shown(kind: Kind, records: &[Value], name: &str) -> String {
    let (lineage, _) = taken(Policy::default(), said(kind, records));
    tree(&lineage, name).to_string()
}

fn okta(time: &str, event: &str, more: Value) -> Value {
    let mut entry = json!({ "uuid": format!("{event}-{time}"), "published": format!("2026-11-20T{time}.000Z"),
        "eventType": event, "actor": { "id": "00u1", "type": "User", "alternateId": "ana@example.com" },
        "client": { "ipAddress": "198.51.100.7" }, "outcome": { "result": "SUCCESS" },
        "authenticationContext": { "externalSessionId": "102abc" } });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

#[test]
fn a_session_of_okta_mints_a_token_of_its_api() {
    let records = [
        okta("09:00:00", "user.session.start", json!({})),
        okta("09:01:00", "system.api_token.create", json!({ "target": [{ "type": "Token", "id": "00T1" }] })),
        okta(
            "09:02:00",
            "user.lifecycle.create",
            json!({ "transaction": { "detail": { "requestApiTokenId": "00T1" } },
            "authenticationContext": { "externalSessionId": "unknown" } }),
        ),
        okta("09:03:00", "user.session.end", json!({})),
    ];
    insta::assert_snapshot!(shown(Kind::OktaSystem, &records, "00T1"), @r"
    person ana@example.com
    └─ login session 102abc as ana@example.com  [exact: user.session.start names who asked]
       │  minted 2026-11-20T09:00:00Z by user.session.start from 198.51.100.7 (event user.session.start-09:00:00)
       │  used once, 2026-11-20T09:01:00Z, from 198.51.100.7
       │  for system.api_token.create
       │  signed out 2026-11-20T09:03:00Z (event user.session.end-09:03:00)
       └─ API token 00T1 as ana@example.com ◀  [exact: system.api_token.create was called with it and answered with the id]
             minted 2026-11-20T09:01:00Z by system.api_token.create from 198.51.100.7 (event system.api_token.create-09:01:00)
             used once, 2026-11-20T09:02:00Z, from 198.51.100.7
             for user.lifecycle.create
    ");
}

#[test]
fn a_login_to_vault_mints_a_token_that_leases_and_is_revoked() {
    let line = |time: &str, path: &str, more: Value| {
        let mut line = json!({ "time": format!("2026-11-20T{time}Z"), "type": "response", "auth": {},
            "request": { "id": format!("{path}-{time}"), "operation": "update", "path": path,
                "remote_address": "192.0.2.80" }, "response": {} });
        for (name, value) in more.as_object().unwrap() {
            line[name] = value.clone();
        }
        line
    };
    let token = json!({ "accessor": "hmac-sha256:acc", "client_token": "hmac-sha256:tok", "display_name": "jwt-ci",
        "entity_id": "e1", "token_ttl": 3600, "metadata": { "repository": "acme/shop", "ref": "refs/heads/main",
            "run_id": "991" } });
    let revoke = json!({ "auth": token, "request": { "id": "r", "operation": "update", "remote_address": "192.0.2.80",
        "path": "auth/token/revoke-accessor", "data": { "accessor": "hmac-sha256:acc" } } });
    let records = [
        line("09:00:00", "auth/jwt/login", json!({ "response": { "auth": token } })),
        line(
            "09:01:00",
            "aws/creds/deploy",
            json!({ "auth": token,
            "response": { "secret": { "lease_id": "aws/creds/deploy/abc" } } }),
        ),
        line("09:02:00", "", revoke),
    ];
    insta::assert_snapshot!(shown(Kind::VaultAudit, &records, "hmac-sha256:tok"), @r"
    GitHub workflow repo:acme/shop:ref:refs/heads/main, run 991
    └─ Vault token hmac-sha256:acc, hmac-sha256:tok as e1 ◀  [exact: update auth/jwt/login records the subject of the token]
       │  minted 2026-11-20T09:00:00Z by update auth/jwt/login from 192.0.2.80, valid until 2026-11-20T10:00:00Z (event auth/jwt/login-09:00:00)
       │  used 2 times, 2026-11-20T09:01:00Z to 2026-11-20T09:02:00Z, from 192.0.2.80 (2)
       │  for update auth/token/revoke-accessor, update aws/creds/deploy
       │  revoked 2026-11-20T09:02:00Z (event r)
       └─ Vault lease aws/creds/deploy/abc as aws/creds/deploy  [exact: update aws/creds/deploy was called with it and answered with the id]
             minted 2026-11-20T09:01:00Z by update aws/creds/deploy from 192.0.2.80 (event aws/creds/deploy-09:01:00)
             no use seen
    ");
}

#[test]
fn a_token_of_vault_that_was_renewed_is_not_used_after_its_end() {
    let line = |hour: u32, path: &str, auth: Value, answer: Value| {
        json!({ "time": format!("2026-11-20T{hour:02}:00:00Z"), "type": "response", "auth": auth, "response": answer,
            "request": { "id": format!("{path}-{hour}"), "operation": "update", "path": path } })
    };
    let token = json!({ "accessor": "hmac-sha256:acc", "display_name": "approle", "token_ttl": 4000 });
    let login = line(9, "auth/approle/login", json!({}), json!({ "auth": token }));
    let renewed = |hour| line(hour, "auth/token/renew-self", token.clone(), json!({ "auth": token }));
    let used = |hour| line(hour, "secret/data/a", token.clone(), json!({}));
    let odd = |lines: &[Value]| taken(Policy::default(), said(Kind::VaultAudit, lines)).0.findings().len();
    assert_eq!(odd(&[login.clone(), renewed(10), renewed(11), used(12)]), 0);
    assert_eq!(odd(&[login.clone(), used(12)]), 1);
    let (lineage, _) = taken(Policy::default(), said(Kind::VaultAudit, &[login, renewed(10)]));
    assert!(tree(&lineage, "hmac-sha256:acc").minted.is_empty(), "it does not mint itself");
}

#[test]
fn a_key_of_a_service_account_impersonates_another_one() {
    let entry = |time: &str, method: &str, payload: Value| {
        let mut all = json!({ "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "methodName": method,
            "requestMetadata": { "callerIp": "198.51.100.7" } });
        all.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        json!({ "insertId": format!("{method}-{time}"), "timestamp": format!("2026-11-20T{time}Z"),
            "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Factivity", "protoPayload": all })
    };
    let (ci, prod) = ("ci@acme.iam.gserviceaccount.com", "prod@acme.iam.gserviceaccount.com");
    let key = format!("projects/acme/serviceAccounts/{ci}/keys/90f662482321f1ca8e82ea675b1a1c30c1fe681f");
    let with_key = json!({ "principalEmail": ci, "serviceAccountKeyName": format!("//iam.googleapis.com/{key}") });
    let records = [
        entry(
            "09:00:00",
            "google.iam.admin.v1.CreateServiceAccountKey",
            json!({
            "authenticationInfo": { "principalEmail": "ana@example.com" },
            "request": { "name": format!("projects/acme/serviceAccounts/{ci}") }, "response": { "name": key } }),
        ),
        entry(
            "09:01:00",
            "GenerateAccessToken",
            json!({ "authenticationInfo": with_key,
            "request": { "name": format!("projects/-/serviceAccounts/{prod}") } }),
        ),
        entry(
            "09:02:00",
            "storage.objects.get",
            json!({ "authenticationInfo": { "principalEmail": prod,
            "serviceAccountDelegationInfo": [{ "firstPartyPrincipal": { "principalEmail": ci } }] } }),
        ),
        entry(
            "09:03:00",
            "google.iam.admin.v1.DeleteServiceAccountKey",
            json!({
            "authenticationInfo": { "principalEmail": "ana@example.com" }, "request": { "name": key } }),
        ),
    ];
    insta::assert_snapshot!(shown(Kind::GcpAudit, &records, "90f662482321f1ca8e82ea675b1a1c30c1fe681f"), @r"
    person ana@example.com
    └─ service-account key 90f662482321f1ca8e82ea675b1a1c30c1fe681f as ci@acme.iam.gserviceaccount.com ◀  [exact: google.iam.admin.v1.CreateServiceAccountKey names who asked]
       │  minted 2026-11-20T09:00:00Z by google.iam.admin.v1.CreateServiceAccountKey from 198.51.100.7 (event google.iam.admin.v1.CreateServiceAccountKey-09:00:00)
       │  used once, 2026-11-20T09:01:00Z, from 198.51.100.7
       │  for GenerateAccessToken
       │  deleted 2026-11-20T09:03:00Z (event google.iam.admin.v1.DeleteServiceAccountKey-09:03:00)
       └─ impersonation ci@acme.iam.gserviceaccount.com → prod@acme.iam.gserviceaccount.com as prod@acme.iam.gserviceaccount.com  [unique candidate: the only credential that asked for tokens along this path]
             minted 2026-11-20T09:01:00Z by GenerateAccessToken from 198.51.100.7 (event GenerateAccessToken-09:01:00)
             used once, 2026-11-20T09:02:00Z, from 198.51.100.7
             for storage.objects.get
    ");
}

#[test]
fn an_app_and_a_deploy_key_of_github_are_followed_by_number_and_fingerprint() {
    let entry = |time: i64, action: &str, more: Value| {
        let mut entry = json!({ "@timestamp": 1_795_161_641_000_i64 + time * 60_000, "_document_id": format!("d{time}"),
            "org": "acme", "action": action, "actor": "ana", "actor_ip": "198.51.100.24" });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let print = json!({ "public_key_fingerprint": "SHA256:abc" });
    let records = [
        entry(0, "integration_installation.create", json!({ "installation_id": 77 })),
        entry(1, "integration_installation.suspend", json!({ "installation_id": 77 })),
        entry(2, "public_key.create", print.clone()),
        entry(3, "git.clone", print.clone()),
        entry(4, "public_key.delete", print),
    ];
    let both = ["77", "SHA256:abc"].map(|name| shown(Kind::GithubAudit, &records, name)).concat();
    insta::assert_snapshot!(both, @r"
    person ana
    └─ app installation 77 ◀  [exact: integration_installation.create names who asked]
          minted 2026-11-20T08:00:41Z by integration_installation.create from 198.51.100.24 (event d0)
          no use seen
          deactivated 2026-11-20T08:01:41Z (event d1)
    person ana
    └─ SSH key SHA256:abc as ana ◀  [exact: public_key.create names who asked]
          minted 2026-11-20T08:02:41Z by public_key.create from 198.51.100.24 (event d2)
          used once, 2026-11-20T08:03:41Z, from 198.51.100.24
          for git.clone
          deleted 2026-11-20T08:04:41Z (event d4)
    ");
}

#[test]
fn a_workflows_session_reads_from_its_run_down_to_what_it_minted() {
    let (session, next) = (temporary("ci"), temporary("prod"));
    let main = "repo:acme/shop:ref:refs/heads/main";
    let deploy = role_session("Deploy", "GitHubActions", &session, "09:00:00");
    let mut traces = said(
        Kind::AwsCloudtrail,
        &[
            assume_by_oidc("09:00:00", main, &session),
            call("09:00:10", deploy.clone()),
            assume("09:01:00", deploy, "Prod", "release", &next),
            call("09:02:00", role_session("Prod", "release", &next, "09:01:00")),
        ],
    );
    traces.extend(said(
        Kind::GithubAudit,
        &[
            job("08:59:00", 991, json!({ "head_branch": "main", "head_sha": "0b0b0b0b" })),
            job("08:58:00", 990, json!({ "head_branch": "main" })),
        ],
    ));
    let policy = Policy { ci: vec!["192.0.2.0/24".parse().unwrap()], ..Policy::default() };
    let (lineage, _) = taken(policy, traces);
    insta::assert_snapshot!(tree(&lineage, &session).to_string(), @r"
    ? one of 2
    │  · run 990 of acme/shop, on main, 2026-11-20T08:58:00Z
    │  · run 991 of acme/shop, on main, commit 0b0b0b0b, 2026-11-20T08:59:00Z
    └─ GitHub workflow repo:acme/shop:ref:refs/heads/main  [ambiguous: 2 runs of acme/shop fit and were on at that time; the token does not say which]
       └─ role session by OIDC ASIACIXXXXXXXXXXXXXX as arn:aws:iam::111122223333:role/Deploy ◀  [exact: AssumeRoleWithWebIdentity records the subject of the token]
          │  session AROADEPLOY:GitHubActions, begun 2026-11-20T09:00:00Z
          │  minted 2026-11-20T09:00:00Z by AssumeRoleWithWebIdentity from 192.0.2.80, valid until 2026-11-20T23:00:00Z (event AssumeRoleWithWebIdentity-09:00:00-c6e68c09)
          │  used 2 times, 2026-11-20T09:00:10Z to 2026-11-20T09:01:00Z, from 198.51.100.7 (2)
          │  for AssumeRole, ListBuckets
          └─ role session ASIAPRODXXXXXXXXXXXX as arn:aws:iam::111122223333:role/Prod  [exact: AssumeRole was called with it and answered with the id]
                session AROAPROD:release, begun 2026-11-20T09:01:00Z
                minted 2026-11-20T09:01:00Z by AssumeRole from 198.51.100.7, valid until 2026-11-20T23:00:00Z (event AssumeRole-09:01:00-254f70c4)
                used once, 2026-11-20T09:02:00Z, from 198.51.100.7
                for ListBuckets
    ! high outside_ci: access key ASIACIXXXXXXXXXXXXXX of GitHub workflow repo:acme/shop:ref:refs/heads/main was used from 198.51.100.7 for ListBuckets, outside the networks that were given
    ! high outside_ci: access key ASIAPRODXXXXXXXXXXXX of GitHub workflow repo:acme/shop:ref:refs/heads/main was used from 198.51.100.7 for AssumeRole, outside the networks that were given
    ");
    let json = serde_json::to_value(tree(&lineage, &next)).unwrap();
    assert_eq!(json["chain"][2]["confidence"], "ambiguous");
    assert_eq!(json["chain"][2]["from"].as_array().unwrap().len(), 2);
    assert_eq!(json["chain"][0]["from"][0]["credential"]["names"][0]["text"], session.as_str());
}

#[test]
fn names_from_logs_speak_to_no_terminal() {
    let key = long_lived("ana");
    let mut caller = user("ana", &key);
    caller["arn"] = "arn:\u{1b}[2J\nforged".into();
    let text = shown(Kind::AwsCloudtrail, &[call("09:00:00", caller)], &key);
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
}
