//! What is unusual and yet nobody's fault: an incident night, keys that are changed, a job of the month, a weekend on
//! which data moves, a role that gets another name, people who come and go. The loads of services and the one who travels
//! are written where services and people are.

use std::sync::Arc;

use serde_json::json;

use super::super::calendar::Day;
use super::super::company::{Company, PROD};
use super::super::log::Log;
use super::super::names::{BOTO, TERRAFORM};
use super::super::network::{AWS, RUNNERS};
use super::super::person::{Duty, Person};
use super::super::record::{Caller, Hand, Role, account, factor, user_key};
use super::super::workload::Runs;
use super::platform::NAMED;

/// Writes what is odd about a day.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    let calendar = company.calendar;
    if day == calendar.scaled(9) {
        log.turn("incident", 0, day, calendar.at(day, 21 * 60 + 40));
        incident(log, &company, day);
    }
    if day == calendar.scaled(15) {
        log.turn("rotation", 0, day, calendar.at(day, 11 * 60 + 20));
        rotation(log, &company);
    }
    if calendar.is_first_of_month(day) {
        log.turn("monthly", 0, day, calendar.at(day, 6 * 60));
        monthly(log, &company);
    }
    let saturday = calendar.saturday(calendar.scaled(17));
    if day == saturday || day == saturday + 1 {
        log.turn("migration", 0, day, calendar.at(day, 8 * 60));
        migration(log);
    }
    if day + 1 == calendar.scaled(20) {
        log.turn("rename", 0, day, calendar.at(day, 23 * 60 + 20));
        rename(log, &company, day);
    }
    for person in &company.people {
        log.turn("staff", person.number, day, calendar.at(day, 8 * 60));
        log.wait(0, 1800);
        coming_and_going(log, &company, person, day);
    }
}

/// Something breaks in the evening: four people look at everything for hours, and a fix is deployed past midnight.
fn incident(log: &mut Log, company: &Company, day: Day) {
    let begin = log.now;
    let team = [
        company.on_call(day),
        company.nth(Duty::Sre, 5),
        company.nth(Duty::Engineer, 3),
        company.nth(Duty::Engineer, 4),
    ];
    for (number, person) in team.into_iter().enumerate() {
        log.turn("incident", number + 1, day, begin);
        log.wait(60, 1500);
        for _ in 0..3 {
            let login = log.sign_in(person, &log.place(person), person.browser());
            log.use_aws(person, &login, 60);
            log.use_cluster(person, &login, 90);
            log.wait(300, 1500);
        }
    }
    // What nobody else may do is done with the role for emergencies.
    log.turn("incident", 8, day, begin);
    log.wait(3_600, 4_000);
    let login = log.sign_in_here(team[0]);
    log.open_app(team[0], &login, "AWS");
    let operator = log.take_role_by_login(team[0], &Role::new(PROD, "operator"), &login.address);
    log.wait(5, 20);
    let admin = log.take_role(&operator, &Role::new(PROD, "break-glass-admin"), "INC-2041");
    log.wait(5, 20);
    log.aws(&admin, "rds:RebootDBInstance", json!({"dBInstanceIdentifier": "payments"}));
    log.turn("incident", 9, day, begin);
    log.wait(12_000, 13_000);
    let workload = company.deployed(Runs::Kubernetes, 1);
    let (author, reviewer) = (team[2], team[0]);
    let commit = log.merge_change(
        &workload.repository(),
        (author, &log.place(author)),
        (reviewer, &log.place(reviewer)),
        &["src/retry.go"],
    );
    log.deploy(
        workload,
        &Hand::person(reviewer, &log.place(reviewer)),
        &Hand::person(author, &log.place(author)),
        &commit,
    );
}

/// The keys of named users are changed: a new one first, the old one off, then gone.
fn rotation(log: &mut Log, company: &Company) {
    let person = company.nth(Duty::Sre, 2);
    let place = log.place(person);
    let login = log.sign_in(person, &place, person.browser());
    log.open_app(person, &login, "AWS");
    let caller = log.take_role_by_login(person, &Role::new(PROD, "operator"), &place);
    log.wait(20, 60);
    for (name, _) in NAMED {
        let new = user_key(name, 1);
        log.aws(&caller, "iam:ListAccessKeys", json!({"userName": name}));
        log.wait(5, 20);
        log.aws_answered(
            &caller,
            "iam:CreateAccessKey",
            json!({"userName": name}),
            json!({"accessKey": {"userName": name, "accessKeyId": new, "status": "Active"}}),
        );
        log.wait(60, 200);
    }
    // From noon on the new ones are in use.
    log.wait(5_400, 7_000);
    for (name, _) in NAMED {
        let old = user_key(name, 0);
        log.aws(&caller, "iam:UpdateAccessKey", json!({"userName": name, "accessKeyId": old, "status": "Inactive"}));
        log.wait(30, 90);
        log.aws(&caller, "iam:DeleteAccessKey", json!({"userName": name, "accessKeyId": old}));
        log.wait(30, 90);
    }
}

/// On the first of a month invoices are made, and access is reviewed.
fn monthly(log: &mut Log, company: &Company) {
    let role = Role::new(PROD, "month-end");
    let caller = log.take_role_by_service(&role, "ecs-tasks", "month-end", (&AWS.address(300), BOTO));
    log.wait(2, 4);
    for number in 0..600 {
        log.aws(&caller, "s3:GetObject", json!({"bucketName": "example-org-ledger", "key": format!("month/{number}")}));
        log.wait(1, 6);
    }
    let person = company.nth(Duty::Security, 0);
    let login = log.sign_in(person, &log.place(person), person.browser());
    log.open_app(person, &login, "AWS");
    let auditor = log.open_console(person, &Role::new(PROD, "auditor"), &log.place(person));
    log.wait(2, 4);
    for workload in &company.workloads {
        for call in ["iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"] {
            log.aws(&auditor, call, json!({"roleName": workload.deploy_role().name}));
            log.wait(1, 9);
        }
    }
}

/// A role that nobody used before reads and writes thousands of objects, as was planned.
fn migration(log: &mut Log) {
    let caller =
        log.take_role_by_service(&Role::new(PROD, "migrate-ledger"), "ecs-tasks", "migrate", (&AWS.address(310), BOTO));
    log.wait(2, 4);
    log.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": "prod/ledger/db"}));
    for number in 0..2_500 {
        let (call, bucket) = if number % 2 == 0 {
            ("s3:GetObject", "example-org-ledger")
        } else {
            ("s3:PutObject", "example-org-ledger-eu")
        };
        log.aws(&caller, call, json!({"bucketName": bucket, "key": format!("part/{}", number / 2)}));
        log.wait(1, 12);
    }
}

/// Terraform gives the role of a service another name. It does so before midnight; from then on the new one is used.
fn rename(log: &mut Log, company: &Company, day: Day) {
    let Some(workload) = company.workloads.iter().find(|workload| workload.is_renamed()) else {
        return;
    };
    let (old, new) = (workload.role(company.calendar, day), workload.role(company.calendar, day + 1));
    let caller = by_terraform(log);
    log.wait(1, 2);
    log.aws(&caller, "iam:CreateRole", json!({"roleName": new.name, "assumeRolePolicyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ecs-tasks.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}"}));
    log.wait(1, 2);
    log.aws(&caller, "iam:PutRolePolicy", json!({"roleName": new.name, "policyName": "own", "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"*\"}]}"}));
    log.wait(22_000, 23_000);
    let caller = by_terraform(log);
    log.aws(&caller, "iam:DeleteRole", json!({"roleName": old.name}));
}

fn by_terraform(log: &mut Log) -> Caller {
    let address = RUNNERS.address(900);
    let subject = "repo:example-org/infrastructure:ref:refs/heads/main";
    let caller = log.take_role_by_github(&Role::new(PROD, "terraform"), subject, &address);
    log.wait(1, 2);
    caller.elsewhere(&address, TERRAFORM)
}

/// Accounts of those who come, and of those who leave. Of one who leaves the accounts outside the identity provider stay.
fn coming_and_going(log: &mut Log, company: &Company, person: &Person, day: Day) {
    let by = company.nth(Duty::Security, 1);
    let hand = Hand::person(by, &log.place(by));
    if person.joined == Some(day) {
        let login = log.sign_in(by, &log.place(by), by.browser());
        log.okta(by, &login, "user.lifecycle.create", Ok(()), account(person));
        log.wait(5, 30);
        log.okta(by, &login, "user.lifecycle.activate", Ok(()), account(person));
        log.github_org(&hand, "org.add_member", json!({"user": person.login}));
        log.wait(30, 90);
        log.github_org(
            &hand,
            "team.add_member",
            json!({"user": person.login, "team": format!("example-org/{}", person.team)}),
        );
        log.wait(600, 1200);
        let first = log.sign_in(person, &log.place(person), person.browser());
        log.okta(person, &first, "user.mfa.factor.activate", Ok(()), factor("Okta Verify"));
    }
    if person.left == Some(day) {
        let login = log.sign_in(by, &log.place(by), by.browser());
        log.okta(by, &login, "user.lifecycle.deactivate", Ok(()), account(person));
        log.wait(20, 60);
        if person.duty != Duty::Contractor {
            log.github_org(&hand, "org.remove_member", json!({"user": person.login}));
        }
    }
    // A telephone is lost once in a while.
    if day % 6 == 4 && person.number == (day as usize * 13) % company.people.len() && person.is_there(day) {
        let login = log.sign_in(by, &log.place(by), by.browser());
        log.okta(by, &login, "user.mfa.factor.reset_all", Ok(()), account(person));
        log.wait(600, 1500);
        let again = log.sign_in(person, &log.place(person), person.browser());
        log.okta(person, &again, "user.mfa.factor.activate", Ok(()), factor("Okta Verify"));
    }
}
