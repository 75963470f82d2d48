//! Against people: their passwords, second factors and sessions.

use serde_json::{Value, json};

use super::super::company::PROD;
use super::super::network::AIRPORT;
use super::super::person::Duty;
use super::super::record::{Hand, Login, Role, account, factor};
use super::{Scene, Story};

pub(super) const STORIES: [Story; 5] = [
    Story {
        name: "second-factor-fatigue",
        sentence: "Prompts come at night until one is accepted; the session then reads the wiki and the cloud.",
        techniques: &["T1621", "T1078"],
        start: (15, 22 * 60 + 40),
        script: fatigue,
    },
    Story {
        name: "impossible-travel",
        sentence: "Somebody works in the office, and signs in from another continent twenty minutes later.",
        techniques: &["T1078", "T1213"],
        start: (17, 13 * 60 + 25),
        script: travel,
    },
    Story {
        name: "second-factors-reset-by-help-desk",
        sentence: "A caller talks the security team into a reset and enrols a telephone of their own.",
        techniques: &["T1556.006", "T1656"],
        start: (18, 16 * 60 + 15),
        script: reset,
    },
    Story {
        name: "identity-session-stolen",
        sentence: "A session of the identity provider is used from a second place with the same browser, without signing in.",
        techniques: &["T1539", "T1550.004"],
        start: (22, 9 * 60 + 50),
        script: session_stolen,
    },
    Story {
        name: "slow-privilege-creep",
        sentence: "Over ten days an engineer gives their own team's role one right after another, each harmless by itself.",
        techniques: &["T1098", "T1548"],
        start: (14, 14 * 60 + 10),
        script: creep,
    },
];

fn fatigue(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 17);
    let place = scene.rented(0);
    let agent = victim.browser().to_owned();
    let tried =
        Login { session: format!("idx{}", scene.draw.base64(22).replace(['+', '/'], "-")), address: place, agent };
    scene.step(0, "prompts are sent until the owner gives in");
    for _ in 0..23 {
        scene.okta(&victim, &tried, "system.push.send_factor_verify_push", Ok(()), factor("Okta Verify"));
        scene.wait(10, 40);
        scene.okta(
            &victim,
            &tried,
            "user.authentication.auth_via_mfa",
            Err("USER_REJECTED_PUSH"),
            factor("Okta Verify"),
        );
        scene.wait(15, 70);
    }
    scene.step(40, "one is accepted");
    scene.okta(&victim, &tried, "user.authentication.auth_via_mfa", Ok(()), factor("Okta Verify"));
    scene.wait(1, 2);
    scene.okta(&victim, &tried, "user.session.start", Ok(()), Value::Null);
    scene.step(43, "the wiki and the chat are read");
    for app in ["Wiki", "Chat", "GitHub"] {
        scene.open_app(&victim, &tried, app);
        scene.wait(60, 200);
    }
    scene.goal(60, "the cloud is opened");
    scene.open_app(&victim, &tried, "AWS");
    let caller = scene.open_console(&victim, &Role::new(PROD, "reader"), &tried.address);
    scene.wait(5, 20);
    scene.aws(&caller, "s3:ListBuckets", json!(null));
}

fn travel(scene: &mut Scene) {
    let victim = scene.person(Duty::Lead, 7);
    let office = scene.place(&victim);
    scene.meanwhile(0);
    let login = scene.sign_in(&victim, &office, victim.browser());
    scene.open_app(&victim, &login, "Wiki");
    scene.step(20, "the same account signs in on another continent");
    let abroad = scene.on(AIRPORT);
    let stolen = scene.sign_in(&victim, &abroad, victim.browser());
    scene.step(23, "and opens what leads are allowed to");
    for app in ["People", "Finance", "Wiki"] {
        scene.open_app(&victim, &stolen, app);
        scene.wait(30, 120);
    }
    scene.goal(35, "the source of the payments is downloaded");
    let hand = Hand::person(&victim, &abroad);
    scene.github(&hand, "repo.download_zip", "example-org/payments", json!({}));
}

fn reset(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 1);
    let desk = scene.person(Duty::Security, 1);
    scene.step(0, "the second factors of an operator are reset on request");
    let login = scene.sign_in_here(&desk);
    scene.okta(&desk, &login, "user.mfa.factor.reset_all", Ok(()), account(&victim));
    scene.step(6, "a telephone is enrolled from elsewhere");
    let place = scene.rented(3);
    let stolen = Login {
        session: format!("idx{}", scene.draw.hex(20)),
        address: place.clone(),
        agent: victim.browser().to_owned(),
    };
    scene.okta(&victim, &stolen, "user.session.start", Ok(()), Value::Null);
    scene.wait(20, 60);
    scene.okta(&victim, &stolen, "user.mfa.factor.activate", Ok(()), factor("Okta Verify"));
    scene.step(10, "the cloud is opened with it");
    scene.open_app(&victim, &stolen, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.goal(14, "a user that stays is made");
    scene.aws_answered(
        &caller,
        "iam:CreateUser",
        json!({"userName": "monitor-2"}),
        json!({"user": {"userName": "monitor-2"}}),
    );
    scene.wait(2, 9);
    let key = format!("AKIA{}", scene.draw.base32(16));
    scene.aws_answered(
        &caller,
        "iam:CreateAccessKey",
        json!({"userName": "monitor-2"}),
        json!({"accessKey": {"userName": "monitor-2", "accessKeyId": key, "status": "Active"}}),
    );
}

fn session_stolen(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 37);
    scene.meanwhile(0);
    let login = scene.sign_in_here(&victim);
    scene.open_app(&victim, &login, "GitHub");
    scene.step(50, "the session opens applications from elsewhere");
    let stolen = login.elsewhere(&scene.rented(4), victim.browser());
    for app in ["Chat", "Wiki", "AWS"] {
        scene.open_app(&victim, &stolen, app);
        scene.wait(20, 90);
    }
    scene.goal(58, "and the console, to read the secrets of staging");
    let caller = scene.open_console(&victim, &Role::new("444455556666", "engineer"), &stolen.address);
    for number in 0..8 {
        let service = scene.company.workloads[number].name;
        scene.wait(2, 20);
        scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": format!("staging/{service}/db")}));
    }
}

/// What the role may do more each time.
const RIGHTS: [&str; 5] =
    ["logs:GetLogEvents", "s3:GetObject", "ssm:GetParameters", "lambda:UpdateFunctionCode", "iam:PassRole"];

fn creep(scene: &mut Scene) {
    let insider = scene.person(Duty::Sre, 6);
    for (number, right) in RIGHTS.into_iter().enumerate() {
        let minutes = [0, 1, 4, 7, 10][number] * 1440;
        if number == 4 {
            scene.goal(minutes, "the right that makes all of them one")
        } else {
            scene.step(minutes, "one right more")
        }
        let login = scene.sign_in_here(&insider);
        scene.open_app(&insider, &login, "AWS");
        let caller = scene.take_role_by_login(&insider, &Role::new(PROD, "operator"), &login.address);
        scene.wait(60, 300);
        let document = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[\"{right}\"],\"Resource\":\"*\"}}]}}"
        );
        scene.aws(
            &caller,
            "iam:PutRolePolicy",
            json!({"roleName": "team-tools", "policyName": format!("more-{number}"), "policyDocument": document}),
        );
    }
}
