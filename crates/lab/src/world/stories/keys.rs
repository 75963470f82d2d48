//! Against credentials of AWS: taken, made, awakened, used where or when they should not be.

use serde_json::json;

use super::super::company::{PROD, STRANGER};
use super::super::life::{CONSOLE_READS, FORGOTTEN, named};
use super::super::names::{AWS_CLI, BOTO};
use super::super::network::{AWS, HOTEL};
use super::super::person::Duty;
use super::super::record::{Caller, Role, user_key};
use super::super::workload::Runs;
use super::{Scene, Story};

pub(super) const STORIES: [Story; 7] = [
    Story {
        name: "key-made-by-one-used-by-another",
        sentence: "An operator makes a second key for a named user; days later it speaks from a network nobody knows.",
        techniques: &["T1098.001", "T1078.004"],
        start: (11, 14 * 60 + 20),
        script: made_by_another,
    },
    Story {
        name: "dormant-key-awakened",
        sentence: "The key of a user that nobody has used for months begins to read buckets.",
        techniques: &["T1078.004", "T1530"],
        start: (16, 3 * 60 + 30),
        script: dormant_key,
    },
    Story {
        name: "use-after-revocation",
        sentence: "A key is switched off after a report; a session made from it before goes on for hours.",
        techniques: &["T1550.001", "T1078.004"],
        start: (18, 12 * 60 + 30),
        script: after_revocation,
    },
    Story {
        name: "role-chain-to-administrator",
        sentence: "A reader's session takes one role after another, each allowed, until it administers the account.",
        techniques: &["T1548.005", "T1078.004"],
        start: (21, 9 * 60 + 40),
        script: role_chain,
    },
    Story {
        name: "machine-credentials-outside-the-cloud",
        sentence: "A request that the service should not have made gives its credentials away; they are used from outside.",
        techniques: &["T1552.005", "T1530"],
        start: (23, 20 * 60 + 15),
        script: machine_credentials,
    },
    Story {
        name: "session-replayed-from-a-second-network",
        sentence: "A console session is used from two networks at once, with the same browser as far as it says.",
        techniques: &["T1539", "T1550.004"],
        start: (24, 9 * 60 + 25),
        script: session_replayed,
    },
    Story {
        name: "trust-opened-to-another-account",
        sentence: "A role learns to trust a stranger's account, which comes by once a night for a few files.",
        techniques: &["T1098", "T1199", "T1537"],
        start: (17, 15 * 60 + 50),
        script: trust_opened,
    },
];

fn made_by_another(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 5);
    let place = scene.place(&victim);
    let login = {
        scene.meanwhile(0);
        scene.sign_in(&victim, &place, victim.browser())
    };
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.step(2, "a second key is made for the user that makes backups");
    let key = format!("AKIA{}", scene.draw.base32(16));
    scene.aws_answered(
        &caller,
        "iam:CreateAccessKey",
        json!({"userName": "backup-sync"}),
        json!({"accessKey": {"userName": "backup-sync", "accessKeyId": key, "status": "Active"}}),
    );
    scene.step(2 * 1440 + 600, "it is tried out");
    let thief = Caller::user("backup-sync", &key, &scene.rented(1), AWS_CLI[0]);
    scene.aws(&thief, "sts:GetCallerIdentity", json!(null));
    scene.wait(20, 60);
    scene.aws(&thief, "s3:ListBuckets", json!(null));
    scene.goal(2 * 1440 + 640, "the backups are copied");
    for number in 0..80 {
        scene.aws(
            &thief,
            "s3:GetObject",
            json!({"bucketName": "example-org-backups", "key": format!("db/{number}.gz")}),
        );
        scene.wait(2, 8);
    }
}

fn dormant_key(scene: &mut Scene) {
    let thief = Caller::user(FORGOTTEN, &user_key(FORGOTTEN, 0), &scene.rented(0), BOTO);
    scene.step(0, "the key says who it is");
    scene.aws(&thief, "sts:GetCallerIdentity", json!(null));
    scene.step(2, "it looks for buckets");
    scene.aws(&thief, "s3:ListBuckets", json!(null));
    for number in 0..12 {
        let bucket = scene.company.workloads[number].bucket();
        scene.aws_refused(&thief, "s3:ListObjectsV2", json!({"bucketName": bucket}), "AccessDenied");
        scene.wait(1, 5);
    }
    scene.goal(8, "one is open to it, and is read");
    for number in 0..60 {
        scene.aws(
            &thief,
            "s3:GetObject",
            json!({"bucketName": "example-org-imports", "key": format!("2024/{number}.csv")}),
        );
        scene.wait(1, 4);
    }
}

fn after_revocation(scene: &mut Scene) {
    let day = scene.day();
    let company = scene.company.clone();
    let thief = named(&company, "partner-feed", day).elsewhere(&scene.rented(5), AWS_CLI[0]);
    scene.step(0, "a leaked key makes a session for itself");
    let session = scene.take_session(&thief);
    scene.step(3, "and looks around with it");
    for call in CONSOLE_READS.iter().take(6) {
        scene.aws(&session, call, json!(null));
        scene.wait(1, 5);
    }
    scene.meanwhile(70);
    let security = scene.person(Duty::Security, 0);
    let login = scene.sign_in_here(&security);
    scene.open_app(&security, &login, "AWS");
    let caller = scene.take_role_by_login(&security, &Role::new(PROD, "operator"), &login.address);
    scene.wait(5, 20);
    scene.aws(
        &caller,
        "iam:UpdateAccessKey",
        json!({"userName": "partner-feed", "accessKeyId": thief.key, "status": "Inactive"}),
    );
    scene.step(90, "the key itself is refused now");
    scene.aws_refused(&thief, "sts:GetCallerIdentity", json!(null), "InvalidClientTokenId");
    scene.goal(95, "its session goes on and reads parameters");
    for number in 0..25 {
        let name = format!("/prod/{}/config", company.workloads[number % company.workloads.len()].name);
        scene.aws(&session, "ssm:GetParameters", json!({"names": [name], "withDecryption": true}));
        scene.wait(2, 9);
    }
}

fn role_chain(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 31);
    let place = scene.place(&victim);
    scene.meanwhile(0);
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let mut caller = scene.take_role_by_login(&victim, &Role::new(PROD, "reader"), &place);
    scene.step(4, "the role for tickets may take the one for jobs");
    for (role, session) in [("ticket-bot", "triage"), ("batch-jobs", "triage-2")] {
        caller = scene.take_role(&caller, &Role::new(PROD, role), session);
        scene.wait(20, 90);
        scene.aws(&caller, "sts:GetCallerIdentity", json!(null));
        scene.wait(20, 90);
    }
    scene.step(12, "that one may take the one for emergencies");
    let admin = scene.take_role(&caller, &Role::new(PROD, "break-glass-admin"), "triage-3");
    scene.goal(16, "which gives the reader's role everything");
    scene.aws(&admin, "iam:PutRolePolicy", json!({"roleName": "reader", "policyName": "support", "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}));
}

fn machine_credentials(scene: &mut Scene) {
    let role = Role::new(PROD, "image-proxy");
    let instance = format!("i-0{}", scene.draw.hex(16));
    scene.meanwhile(0);
    let inside = scene.take_role_by_service(&role, "ec2", &instance, (&AWS.address(500), BOTO));
    scene.wait(2, 5);
    for number in 0..20 {
        scene.aws(&inside, "s3:GetObject", json!({"bucketName": "example-org-images", "key": format!("{number}.png")}));
        scene.wait(20, 90);
    }
    scene.step(40, "the machine's key speaks from outside");
    let thief = inside.elsewhere(&scene.rented(6), AWS_CLI[0]);
    scene.aws(&thief, "sts:GetCallerIdentity", json!(null));
    scene.step(42, "it looks for buckets");
    scene.aws(&thief, "s3:ListBuckets", json!(null));
    scene.goal(45, "and takes what is in one");
    for number in 0..200 {
        scene.aws(
            &thief,
            "s3:GetObject",
            json!({"bucketName": "example-org-identity", "key": format!("passports/{number}")}),
        );
        scene.wait(1, 2);
    }
}

fn session_replayed(scene: &mut Scene) {
    let victim = scene.person(Duty::Analyst, 1);
    let place = scene.place(&victim);
    scene.meanwhile(0);
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.open_console(&victim, &Role::new(PROD, "analyst"), &place);
    let thief = caller.elsewhere(&scene.rented(4), victim.browser());
    for number in 0..6 {
        scene.meanwhile(5 + number * 4);
        scene.aws(&caller, "athena:StartQueryExecution", json!({"workGroup": "analysts"}));
        if number == 4 {
            scene.goal(22, "and exports a table");
            scene.aws(&thief, "athena:StartQueryExecution", json!({"workGroup": "analysts"}));
            scene.wait(20, 40);
            scene.aws(&thief, "athena:GetQueryResults", json!({"queryExecutionId": "HIDDEN"}));
        } else if number == 1 {
            scene.step(10, "the same session looks around from elsewhere");
            for call in CONSOLE_READS.iter().take(5) {
                scene.aws(&thief, call, json!(null));
                scene.wait(2, 9);
            }
        }
    }
}

fn trust_opened(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 6);
    let place = HOTEL.address(77);
    let workload = scene.service(Runs::Ecs, 2);
    scene.step(0, "an operator signs in from a hotel");
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.wait(20, 60);
    scene.step(6, "the role of the exports trusts another account");
    scene.aws(&caller, "iam:UpdateAssumeRolePolicy", json!({"roleName": "export-reader", "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::999900001111:root\"},\"Action\":\"sts:AssumeRole\"}]}"}));
    for night in 0..3 {
        let minutes = night * 1440 + 10 * 60;
        let says = "that account comes by";
        if night == 2 {
            scene.goal(minutes, "and takes the month's export")
        } else {
            scene.step(minutes, says)
        }
        let address = scene.rented(1);
        let guest = scene.take_role_from_abroad(&Role::new(PROD, "export-reader"), (STRANGER, "sync"), &address, BOTO);
        scene.wait(2, 6);
        for number in 0..(6 + night * 30) {
            scene.aws(
                &guest,
                "s3:GetObject",
                json!({"bucketName": workload.bucket(), "key": format!("export/{number}")}),
            );
            scene.wait(1, 6);
        }
    }
}
