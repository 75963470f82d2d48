//! What should arrive: what never comes and what stops is an alert, also across a kill, and the command says so.

mod harness;

use std::process::Command;

use serde_json::{Value, json};

use harness::{Home, Lapwing, Receiver, until};

/// A record of this account that no rule matches.
fn ordinary(account: &str, region: &str) -> String {
    let record = json!({
        "eventVersion": "1.11", "eventTime": "2026-11-20T09:14:03Z", "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets", "recipientAccountId": account, "awsRegion": region, "readOnly": true,
        "userIdentity": {"type": "IAMUser", "accountId": account}, "sourceIPAddress": "198.51.100.24",
    });
    record.to_string()
}

const ONE: &str = "111122223333";
const TWO: &str = "444455556666";

async fn sends(lapwing: &Lapwing, account: &str) {
    assert_eq!(lapwing.push("trail", ordinary(account, "eu-west-1")).await.status, 200);
}

/// The state of an account, as the API has it.
async fn state(lapwing: &Lapwing, account: &str) -> Option<String> {
    let answer = lapwing.get("/api/v1/coverage").await;
    let rows = answer["coverage"].as_array()?.clone();
    let row = rows.into_iter().find(|row| row["account"] == account)?;
    row["state"].as_str().map(str::to_owned)
}

async fn comes_to(lapwing: &Lapwing, account: &str, wanted: &str) {
    let look = async || (state(lapwing, account).await.as_deref() == Some(wanted)).then_some(());
    until(&format!("{account} to be {wanted}"), look).await;
}

/// What `lapwing coverage` prints, and its exit status.
fn printed(home: &Home, more: &str) -> (String, Option<i32>) {
    let mut command = Command::new(Lapwing::binary());
    command.args(["coverage", "--data"]).arg(home.path("data")).args(more.split_whitespace());
    let output = command.output().expect("the binary starts");
    (String::from_utf8(output.stdout).expect("output is text"), output.status.code())
}

/// Alerts of this rule that were told, each with what was last said of it.
fn told(receiver: &Receiver, rule: &str) -> Vec<(String, u64)> {
    let of_rule = |(revision, data): (u64, String)| {
        let alert: Value = serde_json::from_str(&data).expect("an alert is JSON");
        (alert["rule"] == rule).then(|| (alert["why"].as_str().unwrap_or_default().to_owned(), revision))
    };
    receiver.alerts().into_values().filter_map(of_rule).collect()
}

#[tokio::test]
async fn what_never_comes_and_what_stops_is_an_alert_until_it_speaks_whatever_is_killed_meanwhile() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    std::fs::write(home.path("accounts.csv"), format!("account,name\n{ONE},web\n{TWO},billing\n")).expect("written");
    home.configure(&format!(
        "sources: {{trail: {{kind: aws.cloudtrail, http: {{}}}}}}\nsinks: {{soc: {}}}\n\
         coverage: {{grace: 2s, expect: [{{kinds: [aws.cloudtrail], file: {}, silent_after: 3s}}]}}\n",
        receiver.sink(),
        home.path("accounts.csv").display()
    ));
    let lapwing = home.start().await;
    sends(&lapwing, ONE).await;
    sends(&lapwing, "999999999999").await;
    comes_to(&lapwing, ONE, "seen").await;
    assert_eq!(state(&lapwing, "999999999999").await.as_deref(), Some("unexpected"));
    comes_to(&lapwing, TWO, "missing").await;
    comes_to(&lapwing, ONE, "silent").await;
    lapwing.everybody_told(&receiver).await;
    assert_eq!(told(&receiver, "lapwing-coverage-missing").len(), 1);
    let silent = told(&receiver, "lapwing-coverage-silent");
    assert!(silent.len() == 1 && silent[0].0.contains(&format!("of {ONE} (web) was received")), "{silent:?}");

    lapwing.kill();
    let (table, status) = printed(&home, "");
    assert!(table.contains("silent") && table.contains("billing") && status == Some(1), "{table}");

    let lapwing = home.start().await;
    for (account, is) in [(ONE, "silent"), (TWO, "missing")] {
        assert_eq!(state(&lapwing, account).await.as_deref(), Some(is), "it is known at once");
    }
    sends(&lapwing, ONE).await;
    sends(&lapwing, TWO).await;
    comes_to(&lapwing, TWO, "seen").await;
    until("both to be settled", async || {
        let of =
            |rule| told(&receiver, rule).iter().any(|(why, revision)| why.contains("speaks since") && *revision == 2);
        (of("lapwing-coverage-missing") && of("lapwing-coverage-silent")).then_some(())
    })
    .await;
    assert_eq!(told(&receiver, "lapwing-coverage-missing").len(), 1, "a restart said nothing twice");
    let status = lapwing.status().await["coverage"].clone();
    assert_eq!((&status["missing"], &status["unexpected"]), (&json!(0), &json!(1)));
    assert!(lapwing.terminate().await.success());
    let (lines, _) = printed(&home, "--json");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["last"].is_string()), "{lines}");
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_list_that_cannot_be_read_stops_a_start_and_later_is_said() {
    let home = Home::new();
    let path = home.path("accounts.csv");
    home.configure(&format!(
        "sources: {{trail: {{kind: aws.cloudtrail, http: {{}}}}}}\n\
         coverage: {{expect: [{{kinds: [aws.cloudtrail], file: {}}}]}}\n",
        path.display()
    ));
    assert!(home.refusal().contains("read list of accounts"), "it is not there");
    std::fs::write(&path, "account\n").expect("written");
    assert!(home.refusal().contains("it lists no account"));
    std::fs::write(&path, "account\n1\n").expect("written");
    let lapwing = home.start().await;
    comes_to(&lapwing, "1", "waiting").await;
    assert!(lapwing.terminate().await.success());
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn the_accounts_of_an_organisation_are_expected_each_by_its_name() {
    let Some(moto) = harness::moto::Moto::start() else { return };
    let ask = async |action: &str, body: Value| {
        moto.ask("organizations", &format!("AWSOrganizationsV20161128.{action}"), &body).await
    };
    ask("CreateOrganization", json!({})).await;
    for number in 0..30 {
        let (name, email) = (format!("team-{number}"), format!("team-{number}@example.org"));
        ask("CreateAccount", json!({"AccountName": name, "Email": email})).await;
    }
    let home = Home::new();
    home.configure(&format!(
        "sources: {{trail: {{kind: aws.cloudtrail, http: {{}}}}}}\n\
         coverage: {{expect: [{{kinds: [aws.cloudtrail], regions: [eu-west-1, us-east-1], \
         organization: {{region: eu-central-1, endpoint_url: \"{}\"}}}}]}}\n",
        moto.address
    ));
    let checked = Command::new(Lapwing::binary())
        .args(["check", "--connect"])
        .arg(home.path("lapwing.yaml"))
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("coverage.expect[0]: accounts of the organisation: 31 are active"), "{said}");

    let lapwing = home.start().await;
    let rows = until("31 accounts in two regions", async || {
        let answer = lapwing.get("/api/v1/coverage").await;
        let rows = answer["coverage"].as_array()?.clone();
        (rows.len() == 62).then_some(rows)
    })
    .await;
    assert!(rows.iter().any(|row| row["name"] == "team-7" && row["region"] == "us-east-1"), "{rows:?}");
    let account = rows.iter().find(|row| row["name"] == "team-7").expect("it is there")["account"].clone();
    sends(&lapwing, account.as_str().expect("a number is text")).await;
    until("one to be seen", async || (lapwing.status().await["coverage"]["seen"] == json!(1)).then_some(())).await;
    assert!(lapwing.terminate().await.success());
}
