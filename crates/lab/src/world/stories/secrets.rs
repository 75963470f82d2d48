//! Against secrets: swept, read slowly, destroyed.

use serde_json::json;

use super::super::company::PROD;
use super::super::person::Duty;
use super::super::record::Role;
use super::super::workload::Runs;
use super::{Scene, Story};

pub(super) const STORIES: [Story; 6] = [
    Story {
        name: "secrets-manager-swept",
        sentence: "An operator's stolen session lists the secrets and reads every one of them in ten minutes.",
        techniques: &["T1555.006", "T1078.004"],
        start: (12, 105),
        script: manager_swept,
    },
    Story {
        name: "vault-swept",
        sentence: "A token of Vault walks through every path that its policy opens.",
        techniques: &["T1555", "T1083"],
        start: (17, 19 * 60 + 20),
        script: vault_swept,
    },
    Story {
        name: "slow-reading-of-secrets",
        sentence: "An operator reads secrets that belong to their work, and each day a few more that do not.",
        techniques: &["T1555.006", "T1078"],
        start: (14, 8 * 60 + 30),
        script: slow_reading,
    },
    Story {
        name: "pod-token-reads-vault-elsewhere",
        sentence: "The token that a service has from Vault is used from a rented server to make database users.",
        techniques: &["T1528", "T1552.007"],
        start: (22, 13 * 60 + 40),
        script: token_elsewhere,
    },
    Story {
        name: "keys-and-secrets-destroyed",
        sentence: "After a quarrel an operator schedules keys and secrets for deletion.",
        techniques: &["T1485", "T1486"],
        start: (25, 17 * 60 + 5),
        script: destroyed,
    },
    Story {
        name: "vault-audit-switched-off",
        sentence: "Vault's audit device is removed, one policy written, and the device put back.",
        techniques: &["T1562.008", "T1098"],
        start: (18, 16 * 60 + 25),
        script: audit_off,
    },
];

fn manager_swept(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 2);
    let place = scene.rented(0);
    scene.step(0, "a stolen password and a pushed button open the console's role");
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.wait(10, 30);
    scene.step(2, "the secrets are listed");
    for _ in 0..4 {
        scene.aws(&caller, "secretsmanager:ListSecrets", json!({"maxResults": 100}));
        scene.wait(1, 3);
    }
    scene.goal(4, "and read, one after the other");
    let secrets: Vec<String> = scene.company.workloads.iter().flat_map(|workload| workload.secrets.clone()).collect();
    for secret in secrets {
        scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
        scene.wait(1, 4);
    }
}

fn vault_swept(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 4);
    let place = scene.rented(3);
    scene.step(0, "an operator's session signs in to Vault");
    let login = scene.sign_in(&victim, &place, victim.browser());
    let token = scene.open_vault(&victim, &login);
    scene.step(2, "it lists");
    let services: Vec<&str> = scene.company.workloads.iter().map(|workload| workload.name).collect();
    for service in &services {
        scene.vault(&token, "list", &format!("secret/metadata/prod/{service}"));
        scene.wait(1, 3);
    }
    scene.goal(6, "and reads");
    for service in services {
        scene.vault(&token, "read", &format!("secret/data/prod/{service}/db"));
        scene.wait(1, 4);
        scene.vault_refused(&token, "read", &format!("secret/data/prod/{service}/signing-key"));
        scene.wait(1, 4);
    }
}

fn slow_reading(scene: &mut Scene) {
    let insider = scene.person(Duty::Sre, 7);
    let secrets: Vec<String> = scene.company.workloads.iter().map(|workload| workload.secrets[0].clone()).collect();
    let mut next = 0;
    for day in 0..12_u64 {
        // Weekends are left out: an insider keeps office hours.
        if day % 7 == 5 || day % 7 == 6 {
            continue;
        }
        if day == 11 {
            scene.goal(day * 1440, "the signing keys that all the reading was for");
        } else {
            scene.step(day * 1440, "a few secrets more than the day before");
        }
        let login = scene.sign_in_here(&insider);
        scene.open_app(&insider, &login, "AWS");
        let caller = scene.take_role_by_login(&insider, &Role::new(PROD, "operator"), &login.address);
        for _ in 0..=day {
            scene.wait(120, 1100);
            let secret = secrets[next % secrets.len()].clone();
            scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
            next += 1;
        }
        if day == 11 {
            scene.wait(60, 300);
            scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": "prod/payments/signing-key"}));
        }
    }
}

fn token_elsewhere(scene: &mut Scene) {
    let workload = scene.company.workloads[0].clone();
    let day = scene.day();
    scene.meanwhile(0);
    let held = scene.start_service(&workload, day);
    let Some(token) = held.vault else {
        return;
    };
    scene.step(30, "the token of the service looks itself up from a rented server");
    let thief = token.elsewhere(&scene.rented(6));
    scene.vault(&thief, "read", "auth/token/lookup-self");
    scene.goal(33, "and makes users of the database, again and again");
    for _ in 0..14 {
        scene.vault(&thief, "read", &format!("database/creds/{}", workload.name));
        scene.wait(20, 90);
    }
}

fn destroyed(scene: &mut Scene) {
    let insider = scene.person(Duty::Sre, 1);
    let place = scene.place(&insider);
    scene.meanwhile(0);
    let login = scene.sign_in(&insider, &place, insider.browser());
    scene.open_app(&insider, &login, "AWS");
    let caller = scene.take_role_by_login(&insider, &Role::new(PROD, "operator"), &place);
    scene.step(3, "keys are listed");
    scene.aws(&caller, "kms:ListAliases", json!(null));
    scene.step(5, "secrets are scheduled for deletion");
    let workload = scene.service(Runs::Lambda, 1);
    for secret in &workload.secrets {
        scene.aws(&caller, "secretsmanager:DeleteSecret", json!({"secretId": secret, "recoveryWindowInDays": 7}));
        scene.wait(2, 8);
    }
    scene.goal(8, "and the keys of the backups");
    for number in 0..3 {
        let key = format!("arn:aws:kms:eu-west-1:{PROD}:key/0000000{number}-aaaa-4bbb-8ccc-dddddddddddd");
        scene.aws(&caller, "kms:DisableKey", json!({"keyId": key}));
        scene.wait(2, 8);
        scene.aws(&caller, "kms:ScheduleKeyDeletion", json!({"keyId": key, "pendingWindowInDays": 7}));
        scene.wait(2, 8);
    }
}

fn audit_off(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 0);
    let place = scene.rented(2);
    scene.step(0, "an operator's session signs in to Vault");
    let login = scene.sign_in(&victim, &place, victim.browser());
    let token = scene.open_vault(&victim, &login);
    scene.step(1, "the second audit device is removed");
    scene.vault(&token, "delete", "sys/audit/syslog");
    scene.goal(3, "a policy lets everything be read");
    scene.vault(&token, "update", "sys/policies/acl/reader");
    scene.step(6, "the device is put back");
    scene.vault(&token, "update", "sys/audit/syslog");
}
