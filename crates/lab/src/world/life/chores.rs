//! Chores that are allowed, are done by the right people, and look like harm to somebody who knows no better: keys and hooks
//! that are added, backups that clone everything, a vendor's account that comes by, tries in staging by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::calendar::Day;
use super::super::company::{Company, PROD, PROJECT, STAGING, VENDOR};
use super::super::log::Log;
use super::super::names::{BOTO, GCLOUD};
use super::super::network::{AWS, RENTED};
use super::super::person::{Duty, Person};
use super::super::record::{Hand, Login, Principal, Role, User, factor};
use super::super::workload::Runs;

/// Writes a day of chores.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    backup_of_code(log, &company, day);
    vendor(log, &company, day);
    if company.calendar.weekday(day) == 2 {
        rotation_of_secrets(log, &company, day);
    }
    if company.calendar.is_weekend(day) {
        return;
    }
    for number in 0..10 {
        log.turn("chore", number, day, company.calendar.at(day, 9 * 60));
        log.wait(0, 6 * 3600);
        if log.draw.percent(30) {
            chore(log, &company, number, day);
        }
    }
    for person in company.with(Duty::Engineer).filter(|person| company.works(person, day)) {
        log.turn("staging", person.number, day, company.calendar.at(day, company.begins(person, day) + 60));
        log.wait(0, 6 * 3600);
        if log.draw.percent(5) {
            try_in_staging(log, person);
        }
        if log.draw.percent(1) {
            prompt_refused(log, person);
        }
    }
}

/// A bot clones every repository each night.
fn backup_of_code(log: &mut Log, company: &Company, day: Day) {
    log.turn("code backup", 0, day, company.calendar.at(day, 175));
    let bot = Hand {
        login: "code-backup".to_owned(),
        id: 60_900,
        token: Some(("QmFja3VwLW9ubHksIG5vIHRva2VuIGF0IGFsbCBoZXI=".to_owned(), "Fine-grained personal access token")),
        ..Hand::actions(&AWS.address(611))
    };
    let bot = Hand { is_bot: false, ..bot };
    for repository in company.repositories() {
        log.github(&bot, "git.clone", &repository, json!({}));
        log.wait(2, 20);
    }
}

/// A vendor of monitoring takes a role from its own account every two hours.
fn vendor(log: &mut Log, company: &Company, day: Day) {
    for hour in 0..12_u32 {
        log.turn("vendor", 0, day * 12 + hour, company.calendar.at(day, u64::from(hour) * 120 + 17));
        let role = Role::new(PROD, "cost-vendor");
        let caller = log.take_role_from_abroad(&role, (VENDOR, "collector"), &RENTED[2].address(28), BOTO);
        log.wait(2, 5);
        for call in ["ce:GetCostAndUsage", "ec2:DescribeInstances", "rds:DescribeDBInstances", "ec2:DescribeVolumes"] {
            log.aws(&caller, call, Value::Null);
            log.wait(1, 8);
        }
    }
}

/// Once a week a function looks at every secret to see whether it is due.
fn rotation_of_secrets(log: &mut Log, company: &Company, day: Day) {
    log.turn("secret rotation", 0, day, company.calendar.at(day, 220));
    let role = Role::new(PROD, "secret-rotation");
    let caller = log.take_role_by_service(&role, "lambda", "secret-rotation", (&AWS.address(620), BOTO));
    log.wait(2, 4);
    for workload in &company.workloads {
        for secret in &workload.secrets {
            log.aws(&caller, "secretsmanager:DescribeSecret", json!({"secretId": secret}));
            log.wait(1, 2);
            log.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
            log.wait(1, 3);
        }
    }
}

fn chore(log: &mut Log, company: &Company, number: usize, day: Day) {
    let there: Vec<&Person> = company.with(Duty::Sre).filter(|person| company.works(person, day)).collect();
    let Some(person) = there.get(log.draw.place(there.len().max(1))).copied() else {
        return;
    };
    let place = log.place(person);
    let hand = Hand::person(person, &place);
    let which = log.draw.place(company.workloads.len());
    let workload = &company.workloads[which];
    let repository = workload.repository();
    match number {
        0 => log.github(&hand, "public_key.create", &repository, json!({"title": "mirror", "read_only": true})),
        1 => {
            let config = json!({"url": "https://chat.example.org/hooks/builds", "insecure_ssl": "0"});
            log.github(
                &hand,
                "hook.create",
                &repository,
                json!({"hook_id": 500 + which, "events": ["push"], "config": config}),
            );
        }
        2 => log.github(&hand, "repo.update_actions_secret", &repository, json!({"key": "DEPLOY_NOTIFY"})),
        3 => {
            log.github(
                &hand,
                "protected_branch.update_required_status_checks_enforcement_level",
                &repository,
                json!({"name": "main"}),
            );
        }
        4 => {
            let requester = company.nth(Duty::Engineer, which);
            let more =
                json!({"user": requester.login, "programmatic_access_type": "Fine-grained personal access token"});
            log.github_org(&hand, "personal_access_token.access_granted", more);
        }
        5 => {
            let principal = Principal::new(&person.email, &place, GCLOUD);
            let account = format!("projects/-/serviceAccounts/reports@{PROJECT}.iam.gserviceaccount.com");
            log.google(&principal, "iam google.iam.admin.v1.CreateServiceAccountKey", &account, json!({}));
            log.wait(60, 300);
            log.google(&principal, "iam google.iam.admin.v1.DeleteServiceAccountKey", &account, json!({}));
        }
        _ => chore_in_production(log, person, number, workload.team),
    }
}

/// What operators do in production by hand, because no pipeline does it yet.
fn chore_in_production(log: &mut Log, person: &Person, number: usize, team: &str) {
    let login = log.sign_in_here(person);
    if number == 6 {
        log.open_app(person, &login, "Cluster");
        let user = User::person(person, &login.session, &login.address);
        let binding = json!({"kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "view"}, "subjects": [{"kind": "Group", "name": team}]});
        log.kube_sent(&user, "create rolebindings", &format!("{team}/viewers"), &binding);
        return;
    }
    if number == 7 {
        let token = log.open_vault(person, &login);
        log.wait(10, 60);
        log.vault(&token, "update", &format!("sys/policies/acl/{team}"));
        return;
    }
    log.open_app(person, &login, "AWS");
    let caller = log.take_role_by_login(person, &Role::new(PROD, "operator"), &login.address);
    log.wait(10, 60);
    if number == 8 {
        let port = json!({"items": [{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]});
        log.aws(
            &caller,
            "ec2:AuthorizeSecurityGroupIngress",
            json!({"groupId": "sg-0aaaabbbbccccdddd", "ipPermissions": port}),
        );
    } else {
        log.aws(
            &caller,
            "rds:ModifyDBInstance",
            json!({"dBInstanceIdentifier": team, "dBInstanceClass": "db.r7g.large"}),
        );
    }
}

/// An engineer tries something out by hand, where it may be tried out.
fn try_in_staging(log: &mut Log, person: &Person) {
    let login = log.sign_in_here(person);
    log.open_app(person, &login, "AWS");
    let caller = log.take_role_by_login(person, &Role::new(STAGING, "engineer"), &login.address);
    log.wait(5, 60);
    let own = log.own_service(person);
    match own.runs {
        Runs::Lambda => log.replace_function(&own, &caller),
        Runs::Ecs | Runs::Kubernetes => {
            log.push_image(&own, &caller);
        }
        Runs::CloudRun => {
            log.aws(&caller, "s3:PutObject", json!({"bucketName": "example-org-staging", "key": own.name}))
        }
    }
}

/// A prompt that nobody asked for: a phone in a pocket, an old tab.
fn prompt_refused(log: &mut Log, person: &Person) {
    let place = log.place(person);
    let tried = Login { session: "unknown".to_owned(), address: place, agent: person.browser().to_owned() };
    for _ in 0..log.draw.between(1, 3) {
        log.okta(person, &tried, "user.authentication.auth_via_mfa", Err("USER_REJECTED_PUSH"), factor("Okta Verify"));
        log.wait(15, 60);
    }
}
