//! Machines that look after the other machines: monitoring, scanners, backups, controllers, named users of old.

use std::sync::Arc;

use engine::time::Span;
use serde_json::{Value, json};

use super::super::calendar::Day;
use super::super::company::{Company, PROD, PROJECT};
use super::super::log::Log;
use super::super::names::{BOTO, GO_SDK, TERRAFORM};
use super::super::network::{AWS, GOOGLE, RENTED};
use super::super::person::{Duty, Person};
use super::super::record::{Caller, Hand, Principal, Role, User, user_key};

/// Named users that are older than roles, with what they do every ten minutes. Their keys are changed on one day.
pub(in crate::world) const NAMED: [(&str, &str); 4] = [
    ("metrics-push", "monitoring:PutMetricAlarm"),
    ("backup-sync", "s3:PutObject"),
    ("mail-relay", "ses:SendEmail"),
    ("partner-feed", "s3:GetObject"),
];

/// The one that is no longer needed from some day on; its key is forgotten.
const ENDED: (&str, u32) = ("partner-feed", 18);

/// A named user that nobody has used for months.
pub(in crate::world) const FORGOTTEN: &str = "old-importer";

/// Writes a day of the platform.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    watchers(log, &company, day);
    controllers(log, &company, day);
    named_users(log, &company, day);
    nightly(log, &company, day);
    terraform(log, &company, day);
    bots(log, &company, day);
}

/// Moves to a moment of the day, a little off.
fn at(log: &mut Log, company: &Company, day: Day, seconds: u64) {
    log.now = company.calendar.begin(day).plus(Span::seconds(u32::try_from(seconds).unwrap_or(0)));
    log.blink(0, 3_000);
}

/// Who asks all day long how everything is.
const WATCHERS: [(&str, &str, u64, [&str; 5]); 7] = [
    (
        "grafana-reader",
        "ec2",
        300,
        [
            "monitoring:DescribeAlarms",
            "ec2:DescribeInstances",
            "rds:DescribeDBInstances",
            "logs:DescribeLogGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        ],
    ),
    (
        "AWSServiceRoleForConfig",
        "config",
        110,
        [
            "ec2:DescribeInstances",
            "iam:ListRoles",
            "s3:GetBucketPolicy",
            "lambda:GetPolicy20150331v2",
            "kms:GetKeyRotationStatus",
        ],
    ),
    (
        "AWSServiceRoleForAutoScaling",
        "autoscaling",
        130,
        [
            "ec2:DescribeInstanceStatus",
            "elasticloadbalancing:DescribeTargetHealth",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "monitoring:DescribeAlarms",
        ],
    ),
    (
        "cost-watch",
        "lambda",
        900,
        [
            "ce:GetCostAndUsage",
            "organizations:ListAccounts",
            "ec2:DescribeVolumes",
            "rds:DescribeDBInstances",
            "ec2:DescribeAddresses",
        ],
    ),
    ("image-proxy", "ec2", 500, ["s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:PutObject", "kms:Decrypt"]),
    (
        "ticket-bot",
        "lambda",
        1500,
        ["sqs:ListQueues", "s3:GetObject", "kms:Decrypt", "ssm:GetParameters", "s3:PutObject"],
    ),
    (
        "export-reader",
        "ecs-tasks",
        1500,
        ["s3:GetObject", "s3:GetObject", "s3:ListObjectsV2", "s3:GetObject", "kms:Decrypt"],
    ),
];

fn watchers(log: &mut Log, company: &Company, day: Day) {
    for (number, (role, service, every, calls)) in WATCHERS.into_iter().enumerate() {
        for quarter in 0..4 {
            log.turn(role, number, day * 4 + quarter, company.calendar.begin(day));
            let from = u64::from(quarter) * 21_600;
            at(log, company, day, from);
            let name = format!("{role}-{}", log.draw.hex(8));
            let outside = AWS.address(number as u64 * 11);
            let address = if ["ec2", "lambda", "ecs-tasks"].contains(&service) {
                outside
            } else {
                format!("{service}.amazonaws.com")
            };
            let caller = log.take_role_by_service(&Role::new(PROD, role), service, &name, (&address, GO_SDK));
            let mut seconds = from + 20;
            while seconds < from + 21_600 {
                at(log, company, day, seconds);
                let call = *log.draw.pick(&calls);
                log.aws(&caller, call, about(role, call));
                seconds += log.draw.between(every / 2, every * 3 / 2) / 4 + 1;
            }
        }
    }
}

/// What a watcher asks about: objects lie in a bucket of its own.
fn about(role: &str, call: &str) -> Value {
    if call.starts_with("s3:") { json!({"bucketName": format!("example-org-{role}")}) } else { Value::Null }
}

/// Controllers of the cluster.
const CONTROLLERS: [(&str, u64, [&str; 4]); 4] = [
    (
        "system:serviceaccount:argocd:application-controller",
        60,
        ["list deployments", "get configmaps", "list services", "patch applications"],
    ),
    (
        "system:serviceaccount:kube-system:cluster-autoscaler",
        75,
        ["list nodes", "list pods", "update leases", "get configmaps"],
    ),
    (
        "system:serviceaccount:external-secrets:operator",
        150,
        ["get secrets", "update secrets", "list externalsecrets", "update leases"],
    ),
    ("system:kube-scheduler", 100, ["create pods/binding", "update leases", "list nodes", "create events"]),
];

fn controllers(log: &mut Log, company: &Company, day: Day) {
    for (number, (name, every, requests)) in CONTROLLERS.into_iter().enumerate() {
        log.turn("controller", number, day, company.calendar.begin(day));
        let user = User::account(name, &format!("10.20.200.{}", number + 4), GO_SDK);
        let mut seconds = 1;
        while seconds < 86_390 {
            at(log, company, day, seconds);
            let request = *log.draw.pick(&requests);
            let service = log.draw.place(company.workloads.len());
            let workload = &company.workloads[service];
            log.kube(&user, request, &format!("{}/{}", workload.team, workload.name));
            seconds += log.draw.between(every / 2, every * 3 / 2);
        }
    }
}

/// The caller of a named user that day.
pub(in crate::world) fn named(company: &Company, name: &str, day: Day) -> Caller {
    let generation = u64::from(day >= company.calendar.scaled(15));
    let place = NAMED.iter().position(|(known, _)| *known == name).unwrap_or(9) as u64;
    Caller::user(name, &user_key(name, generation), &RENTED[2].address(place), BOTO)
}

fn named_users(log: &mut Log, company: &Company, day: Day) {
    for (number, (name, call)) in NAMED.into_iter().enumerate() {
        if name == ENDED.0 && day >= company.calendar.scaled(ENDED.1) {
            continue;
        }
        log.turn("named", number, day, company.calendar.begin(day));
        // On the day of the change the old key serves until noon.
        let (before, after) = (named(company, name, day.saturating_sub(1)), named(company, name, day));
        for step in 0..144 {
            let seconds = step * 600 + 7 * number as u64;
            at(log, company, day, seconds);
            let caller = if seconds < 43_200 { &before } else { &after };
            let key = format!("{name}/{}", log.draw.hex(6));
            log.aws(caller, call, json!({"bucketName": "example-org-backups", "key": key}));
        }
    }
}

/// What happens at night: a scanner reads everything, backups are made, the warehouse is filled.
fn nightly(log: &mut Log, company: &Company, day: Day) {
    log.turn("scanner", 0, day, company.calendar.at(day, 125));
    let scanner =
        log.take_role_by_service(&Role::new(PROD, "posture-scanner"), "ecs-tasks", "scan", (&AWS.address(77), BOTO));
    log.wait(2, 5);
    for workload in &company.workloads {
        for call in [
            "iam:GetRole",
            "iam:ListRolePolicies",
            "s3:GetBucketPolicy",
            "ecr:DescribeImages",
            "secretsmanager:DescribeSecret",
        ] {
            log.aws(&scanner, call, json!({"roleName": workload.deploy_role().name}));
            log.wait(1, 6);
        }
    }
    log.turn("backup", 0, day, company.calendar.at(day, 62));
    let backup = log.take_role_by_service(
        &Role::new(PROD, "backup"),
        "backup",
        "AWSBackup-plan",
        ("backup.amazonaws.com", "backup.amazonaws.com"),
    );
    log.wait(2, 5);
    for workload in company.workloads.iter().step_by(3) {
        log.aws(
            &backup,
            "rds:CreateDBSnapshot",
            json!({"dBInstanceIdentifier": workload.name, "dBSnapshotIdentifier": format!("{}-{day}", workload.name)}),
        );
        log.wait(5, 40);
    }
    log.turn("warehouse", 0, day, company.calendar.at(day, 190));
    let loader = Principal::new(&format!("warehouse@{PROJECT}.iam.gserviceaccount.com"), &GOOGLE.address(40), GO_SDK);
    for _ in 0..160 {
        let job = format!("projects/{PROJECT}/jobs/load{}", log.draw.hex(10));
        log.google(&loader, "bigquery google.cloud.bigquery.v2.JobService.InsertJob", &job, json!({}));
        log.wait(5, 40);
    }
}

/// What Terraform changes on a weekday.
fn changes(company: &Company, which: usize) -> (&'static str, Value) {
    let workload = &company.workloads[which % company.workloads.len()];
    let role = workload.role(company.calendar, 0).name;
    match which % 5 {
        0 => (
            "iam:AttachRolePolicy",
            json!({"roleName": role, "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}),
        ),
        1 => (
            "iam:PutRolePolicy",
            json!({"roleName": role, "policyName": "queue", "policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:SendMessage\"],\"Resource\":\"*\"}]}"}),
        ),
        2 => (
            "ec2:AuthorizeSecurityGroupIngress",
            json!({"groupId": "sg-0a1b2c3d4e5f60718", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "ipRanges": {"items": [{"cidrIp": "10.20.0.0/16"}]}}]}}),
        ),
        3 => ("s3:PutBucketLifecycle", json!({"bucketName": workload.bucket()})),
        _ => {
            ("lambda:UpdateFunctionConfiguration20150331v2", json!({"functionName": workload.name, "memorySize": 512}))
        }
    }
}

/// A plan every night, and changes that were reviewed on most weekdays.
fn terraform(log: &mut Log, company: &Company, day: Day) {
    let rounds: u32 = if company.calendar.is_weekend(day) { 1 } else { 3 };
    for round in 0..rounds {
        let minutes = if round == 0 { 245 } else { 540 + u64::from(round) * 130 };
        log.turn("terraform", round as usize, day, company.calendar.at(day, minutes));
        let there: Vec<&Person> = company.with(Duty::Sre).filter(|person| company.works(person, day)).collect();
        if there.len() < 2 && round > 0 {
            return;
        }
        let turn = day as usize + round as usize;
        let pick =
            |number: usize| there.get(number % there.len().max(1)).copied().unwrap_or_else(|| company.on_call(day));
        let (author, reviewer) = (pick(turn), pick(turn + 1));
        let repository = "example-org/infrastructure";
        let commit = if round == 0 {
            log.draw.hex(40)
        } else {
            log.merge_change(
                repository,
                (author, &log.place(author)),
                (reviewer, &log.place(reviewer)),
                &["prod/main.tf"],
            )
        };
        let hand = if round == 0 { Hand::actions("") } else { Hand::person(author, &log.place(author)) };
        let run = log.new_run("terraform", if round == 0 { "schedule" } else { "push" }, "main", &commit);
        let running = log.start_run(repository, &hand, run);
        let role = Role::new(PROD, if round == 0 { "terraform-plan" } else { "terraform" });
        let caller =
            log.take_role_by_github(&role, "repo:example-org/infrastructure:ref:refs/heads/main", &running.address);
        let caller = caller.elsewhere(&running.address, TERRAFORM);
        log.wait(3, 8);
        for read in 0..60 {
            let call = [
                "iam:GetRole",
                "iam:ListAttachedRolePolicies",
                "ec2:DescribeSecurityGroups",
                "s3:GetBucketPolicy",
                "kms:DescribeKey",
            ][read % 5];
            log.aws(&caller, call, Value::Null);
            log.blink(200, 1500);
        }
        if round > 0 {
            for _ in 0..log.draw.between(1, 4) {
                let which = log.draw.place(500);
                let (call, request) = changes(company, which);
                log.aws(&caller, call, request);
                log.wait(1, 5);
            }
        }
        log.end_run(&running, "success");
    }
}

/// Bots that propose updates.
fn bots(log: &mut Log, company: &Company, day: Day) {
    let bot =
        Hand { login: "dependabot[bot]".to_owned(), id: 60_012, is_bot: true, ..Hand::actions(&RENTED[2].address(20)) };
    for (number, workload) in company.workloads.iter().enumerate().filter(|(_, workload)| workload.lives(day)) {
        log.turn("bot", number, day, company.calendar.at(day, 310));
        if !log.draw.percent(18) {
            continue;
        }
        log.wait(0, 5400);
        let (repository, commit) = (workload.repository(), log.draw.hex(40));
        log.github(&bot, "git.push", &repository, json!({}));
        log.hook_push(&bot, &repository, "dependabot/go_modules", &commit, &["go.mod", "go.sum"]);
        log.wait(2, 6);
        let run = log.new_run("test", "pull_request", "dependabot/go_modules", &commit);
        log.test(&bot, &repository, &run);
    }
}
