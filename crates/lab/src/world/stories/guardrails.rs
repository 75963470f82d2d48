//! Against what watches and what keeps out.

use serde_json::json;

use super::super::company::PROD;
use super::super::names::BROWSERS;
use super::super::network::{AIRPORT, CAFE};
use super::super::person::Duty;
use super::super::record::{Caller, Role};
use super::{Scene, Story};

pub(super) const STORIES: [Story; 4] = [
    Story {
        name: "logging-stopped",
        sentence: "The trail is stopped, a snapshot shared with a stranger, and the trail started again.",
        techniques: &["T1562.008", "T1537"],
        start: (14, 2 * 60 + 20),
        script: logging_stopped,
    },
    Story {
        name: "trail-selectors-changed",
        sentence: "The trail keeps running but no longer records who reads objects, which are then copied.",
        techniques: &["T1562.008", "T1530"],
        start: (21, 12 * 60 + 50),
        script: selectors_changed,
    },
    Story {
        name: "security-group-opened",
        sentence: "The database's port is opened to the world for half an hour, from an airport.",
        techniques: &["T1562.007", "T1133"],
        start: (10, 17 * 60 + 30),
        script: group_opened,
    },
    Story {
        name: "second-factor-of-a-named-user-removed",
        sentence: "A named user's second factor is removed and a password for the console set; it signs in from elsewhere.",
        techniques: &["T1556.006", "T1098"],
        start: (16, 11 * 60 + 5),
        script: factor_removed,
    },
];

/// An operator's role by somebody who has their password and their telephone's trust.
fn operator(scene: &mut Scene, number: usize, place: &str) -> Caller {
    let victim = scene.person(Duty::Sre, number);
    let login = scene.sign_in(&victim, place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), place);
    scene.wait(10, 40);
    caller
}

fn logging_stopped(scene: &mut Scene) {
    let place = scene.rented(5);
    scene.step(0, "an operator's role is taken at night");
    let caller = operator(scene, 3, &place);
    scene.step(3, "the trail is stopped");
    scene.aws(&caller, "cloudtrail:DescribeTrails", json!(null));
    scene.wait(5, 20);
    scene.aws(
        &caller,
        "cloudtrail:StopLogging",
        json!({"name": format!("arn:aws:cloudtrail:eu-west-1:{PROD}:trail/main")}),
    );
    scene.goal(6, "a snapshot of the database is shared with a stranger");
    scene.aws(
        &caller,
        "rds:ModifyDBSnapshotAttribute",
        json!({"dBSnapshotIdentifier": "payments-12", "attributeName": "restore", "valuesToAdd": ["999900001111"]}),
    );
    scene.step(20, "the trail is started again");
    scene.aws(
        &caller,
        "cloudtrail:StartLogging",
        json!({"name": format!("arn:aws:cloudtrail:eu-west-1:{PROD}:trail/main")}),
    );
}

fn selectors_changed(scene: &mut Scene) {
    let place = scene.rented(4);
    scene.step(0, "an operator's role is taken at lunch");
    let caller = operator(scene, 5, &place);
    scene.step(4, "the trail forgets about objects");
    scene.aws(&caller, "cloudtrail:GetEventSelectors", json!({"trailName": "main"}));
    scene.wait(5, 20);
    scene.aws(&caller, "cloudtrail:PutEventSelectors", json!({"trailName": "main", "eventSelectors": [{"readWriteType": "WriteOnly", "includeManagementEvents": true, "dataResources": []}]}));
    scene.goal(12, "a bucket's replication sends its objects away");
    scene.aws(&caller, "s3:PutBucketReplication", json!({"bucketName": "example-org-ledger", "ReplicationConfiguration": {"Rule": {"Destination": {"Bucket": "arn:aws:s3:::collect-999900001111", "Account": "999900001111"}, "Status": "Enabled"}}}));
}

fn group_opened(scene: &mut Scene) {
    let place = scene.on(AIRPORT);
    scene.step(0, "an operator's role is taken from an airport");
    let caller = operator(scene, 4, &place);
    scene.step(3, "the groups are listed");
    scene.aws(&caller, "ec2:DescribeSecurityGroups", json!(null));
    let everybody = json!({"groupId": "sg-0c0ffee0c0ffee002", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}});
    scene.goal(5, "the database's port is opened to the world");
    scene.aws(&caller, "ec2:AuthorizeSecurityGroupIngress", everybody.clone());
    scene.step(35, "and closed again");
    scene.aws(&caller, "ec2:RevokeSecurityGroupIngress", everybody);
}

fn factor_removed(scene: &mut Scene) {
    let place = scene.on(CAFE);
    scene.step(0, "an operator's role is taken from a cafe");
    let caller = operator(scene, 6, &place);
    scene.step(2, "the second factor of a named user is removed");
    scene.aws(
        &caller,
        "iam:DeactivateMFADevice",
        json!({"userName": "backup-sync", "serialNumber": format!("arn:aws:iam::{PROD}:mfa/backup-sync")}),
    );
    scene.wait(2, 9);
    scene.aws(
        &caller,
        "iam:DeleteVirtualMFADevice",
        json!({"serialNumber": format!("arn:aws:iam::{PROD}:mfa/backup-sync")}),
    );
    scene.step(4, "it gets a password for the console");
    scene.aws(&caller, "iam:UpdateLoginProfile", json!({"userName": "backup-sync", "passwordResetRequired": false}));
    scene.step(600, "and signs in from elsewhere");
    let elsewhere = scene.rented(1);
    let user = scene.open_console_by_name("backup-sync", &elsewhere, BROWSERS[0]);
    scene.goal(604, "to give itself everything");
    scene.aws(
        &user,
        "iam:AttachUserPolicy",
        json!({"userName": "backup-sync", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    );
}
