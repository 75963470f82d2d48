//! Credentials and deploys in the running service: told once, answered by the API and the command, across a kill.

mod harness;

use std::process::Command;

use serde_json::{Value, json};

use harness::{Home, Lapwing, until};

const KEY: &str = "AKIAEXAMPLELEDGERXXX";

fn record(minute: u32, name: &str, service: &str, more: Value) -> String {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": format!("2026-11-20T{:02}:{:02}:00Z", 9 + minute / 60, minute % 60),
        "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "eventID": format!("{name}-{minute}"),
        "recipientAccountId": "111122223333", "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.24",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "principalId": "AIDAEXAMPLE",
            "arn": "arn:aws:iam::111122223333:user/ana", "userName": "ana", "accessKeyId": KEY},
    });
    record.as_object_mut().expect("it is an object").extend(more.as_object().expect("so is this").clone());
    record.to_string()
}

async fn push(lapwing: &Lapwing, records: &[String]) {
    assert_eq!(lapwing.push("trail", records.join("\n")).await.status, 200);
}

/// Alerts of this rule, as the API lists them.
async fn alerts(lapwing: &Lapwing, rule: &str) -> Vec<Value> {
    let page = lapwing.get(&format!("/api/v1/alerts?rule={rule}")).await;
    page["alerts"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_key_after_its_end_and_a_change_by_hand_are_told_and_answered_though_the_process_is_killed() {
    let home = Home::new();
    home.configure(
        "sources:\n  trail: {kind: aws.cloudtrail, http: {}}\n\
         deploys: {policy: {environments: [{name: production}]}}\n",
    );
    let lapwing = home.start().await;
    let deleted = json!({"requestParameters": {"accessKeyId": KEY}, "userIdentity": {"type": "Root"}});
    let changed = json!({"requestParameters": {"functionName": "orders"}, "sessionCredentialFromConsole": "true"});
    push(
        &lapwing,
        &[
            record(0, "ListBuckets", "s3", json!({})),
            record(5, "UpdateFunctionCode20150331v2", "lambda", changed),
            record(9, "DeleteAccessKey", "iam", deleted),
        ],
    )
    .await;
    lapwing.kill();

    let lapwing = home.start().await;
    push(&lapwing, &[record(90, "ListBuckets", "s3", json!({}))]).await;
    let ended = until("the key to be told", async || alerts(&lapwing, "lapwing-lineage-after-end").await.pop()).await;
    let one = lapwing.get(&format!("/api/v1/alerts/{}", ended["id"].as_str().expect("it has an id"))).await;
    assert_eq!(one["evidence"][0]["uid"], "ListBuckets-90", "{one}");

    let tree = lapwing.get(&format!("/api/v1/lineage/{KEY}")).await;
    assert!(tree.to_string().contains("user/ana"), "{tree}");

    let told =
        until("the deploy to be told", async || alerts(&lapwing, "lapwing-deploy-unexplained").await.pop()).await;
    let page = lapwing.get("/api/v1/deploys?verdict=unexplained&environment=production&limit=1").await;
    let deploy = &page["deploys"][0];
    assert_eq!((&deploy["id"], &page["next"]), (&told["key"]["deploy"], &Value::Null), "{page}");
    let one = lapwing.get(&format!("/api/v1/deploys/{}", deploy["id"].as_str().expect("it has an id"))).await;
    assert_eq!(&one, deploy);

    let mut command = Command::new(Lapwing::binary());
    let output = command.args(["deploys", "--data"]).arg(home.path("data")).output().expect("the binary starts");
    let printed = String::from_utf8(output.stdout).expect("output is text");
    assert!(printed.starts_with("unexplained") && output.status.code() == Some(1), "{printed}");
}
