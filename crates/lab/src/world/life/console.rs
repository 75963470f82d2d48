//! What people click and type in clouds and clusters.

use serde_json::{Value, json};

use super::super::company::{Company, PROD, PROJECT, STAGING};
use super::super::log::Log;
use super::super::names::GCLOUD;
use super::super::person::{Duty, Person};
use super::super::record::{Caller, Login, Principal, Role, Token, User};
use super::super::workload::Workload;

/// What the console asks for while somebody looks around.
pub(in crate::world) const CONSOLE_READS: [&str; 20] = [
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeSecurityGroups",
    "lambda:ListFunctions20150331",
    "lambda:GetFunction20150331v2",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:StartQuery",
    "logs:GetQueryResults",
    "monitoring:DescribeAlarms",
    "s3:ListBuckets",
    "s3:GetBucketLocation",
    "rds:DescribeDBInstances",
    "sqs:ListQueues",
    "dynamodb:ListTables",
    "kms:ListAliases",
    "cloudformation:DescribeStacks",
    "ecs:DescribeServices",
    "xray:GetTraceSummaries",
    "health:DescribeEventAggregates",
];

/// What the security team looks at.
const AUDIT_READS: [&str; 8] = [
    "iam:ListUsers",
    "iam:ListRoles",
    "iam:GetRolePolicy",
    "iam:ListAccessKeys",
    "cloudtrail:LookupEvents",
    "guardduty:ListFindings",
    "access-analyzer:ListFindings",
    "config:DescribeComplianceByConfigRule",
];

/// The role that somebody takes for their daily work.
pub(in crate::world) fn daily_role(person: &Person) -> Role {
    match person.duty {
        Duty::Engineer | Duty::Contractor => Role::new(STAGING, "engineer"),
        Duty::Sre => Role::new(PROD, "operator"),
        Duty::Security => Role::new(PROD, "auditor"),
        Duty::Lead => Role::new(PROD, "reader"),
        Duty::Analyst => Role::new(PROD, "analyst"),
    }
}

impl Log {
    /// Some time in AWS, in a browser or on a command line.
    pub(in crate::world) fn use_aws(&mut self, person: &Person, login: &Login, calls: u64) {
        self.open_app(person, login, "AWS");
        let production = person.duty == Duty::Engineer && self.draw.percent(45);
        let role = if production { Role::new(PROD, "reader") } else { daily_role(person) };
        let in_console = self.draw.percent(60);
        let caller = if in_console {
            self.open_console(person, &role, &login.address)
        } else {
            self.take_role_by_login(person, &role, &login.address)
        };
        self.wait(2, 8);
        for _ in 0..calls {
            self.look_around(person, &caller);
            self.wait(1, if in_console { 25 } else { 70 });
        }
    }

    fn look_around(&mut self, person: &Person, caller: &Caller) {
        let sort = self.draw.below(100);
        let reads: &[&str] = if person.duty == Duty::Security && sort < 60 { &AUDIT_READS } else { &CONSOLE_READS };
        let call = *self.draw.pick(reads);
        let own = self.own_service(person);
        match (person.duty, sort) {
            (Duty::Sre, 0..7) => {
                let secret = format!("prod/{}/db", own.name);
                self.aws(caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
            }
            (Duty::Engineer | Duty::Contractor, 0..5) => {
                let secret = format!("staging/{}/db", own.name);
                self.aws(caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
            }
            (Duty::Sre, 7..12) => self.aws(
                caller,
                "ecs:UpdateService",
                json!({"cluster": "shop", "service": own.name, "desiredCount": 4}),
            ),
            (Duty::Analyst, 0..60) => {
                self.aws(
                    caller,
                    "athena:StartQueryExecution",
                    json!({"workGroup": "analysts", "queryString": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
                );
            }
            (_, 97..) => self.aws_refused(caller, call, about(call, &own), "AccessDenied"),
            _ => self.aws(caller, call, about(call, &own)),
        }
    }

    /// Some time with kubectl.
    pub(in crate::world) fn use_cluster(&mut self, person: &Person, login: &Login, requests: u64) {
        self.open_app(person, login, "Cluster");
        let user = User::person(person, &login.session, &login.address);
        for _ in 0..requests {
            let own = self.own_service(person);
            let place = format!("{}/{}", own.team, own.name);
            match self.draw.below(100) {
                0..30 => self.kube(&user, "list pods", own.team),
                30..50 => self.kube(&user, "get pods/log", &place),
                50..65 => self.kube(&user, "get deployments", &place),
                65..75 => self.kube(&user, "list events", own.team),
                75..85 => self.kube(&user, "get configmaps", &place),
                85..91 => self.kube(&user, "get services", &place),
                91..95 if person.duty == Duty::Sre => self.kube(&user, "create pods/exec", &place),
                95..97 if person.duty == Duty::Sre => self.kube(&user, "get secrets", &place),
                97 => self.kube_refused(&user, "list nodes", ""),
                _ => self.kube(&user, "list deployments", own.team),
            }
            self.wait(1, 45);
        }
    }

    /// Signs in to Vault with the identity provider.
    pub(in crate::world) fn open_vault(&mut self, person: &Person, login: &Login) -> Token {
        self.open_app(person, login, "Vault");
        let policy = if person.duty == Duty::Sre { "operator" } else { "reader" };
        self.vault_login(&format!("oidc-{}", person.email), policy, json!({"role": policy}), &login.address)
    }

    /// Some time with Vault.
    pub(in crate::world) fn use_vault(&mut self, person: &Person, login: &Login, requests: u64) {
        let token = self.open_vault(person, login);
        for _ in 0..requests {
            self.wait(4, 60);
            let own = self.own_service(person);
            match self.draw.below(100) {
                0..35 => self.vault(&token, "list", "secret/metadata/prod"),
                35..75 => self.vault(&token, "read", &format!("secret/data/staging/{}/db", own.name)),
                75..85 if person.duty == Duty::Sre => {
                    self.vault(&token, "read", &format!("secret/data/prod/{}/db", own.name))
                }
                85..88 => self.vault_refused(&token, "read", &format!("secret/data/prod/{}/signing-key", own.name)),
                _ => self.vault(&token, "read", "auth/token/lookup-self"),
            }
        }
    }

    /// Some time in Google Cloud.
    pub(in crate::world) fn use_google(&mut self, person: &Person, login: &Login, calls: u64) {
        self.open_app(person, login, "Google Cloud");
        let principal = Principal::new(&person.email, &login.address, GCLOUD);
        for _ in 0..calls {
            let own = self.own_service(person);
            let service = format!("namespaces/{PROJECT}/services/{}", own.name);
            match (person.duty, self.draw.below(100)) {
                (Duty::Analyst, 0..80) => {
                    let job = format!("projects/{PROJECT}/jobs/bq{}", self.draw.hex(10));
                    self.google(&principal, "bigquery google.cloud.bigquery.v2.JobService.InsertJob", &job, json!({}));
                }
                (_, 0..40) => self.google(
                    &principal,
                    "run google.cloud.run.v1.Services.ListServices",
                    &format!("namespaces/{PROJECT}"),
                    json!({}),
                ),
                (_, 40..70) => {
                    self.google(&principal, "run google.cloud.run.v1.Services.GetService", &service, json!({}))
                }
                (_, 70..95) => self.google(
                    &principal,
                    "logging google.logging.v2.LoggingServiceV2.ListLogEntries",
                    &format!("projects/{PROJECT}"),
                    json!({}),
                ),
                _ => {
                    self.google_refused(&principal, "cloudresourcemanager GetIamPolicy", &format!("projects/{PROJECT}"))
                }
            }
            self.wait(2, 60);
        }
    }

    /// One of the services that somebody works with: mostly of their team.
    pub(in crate::world) fn own_service(&mut self, person: &Person) -> Workload {
        let habit = &person.habit.services;
        let place = if self.draw.percent(75) { 0 } else { self.draw.place(habit.len()) };
        service(&self.company, habit[place])
    }
}

fn service(company: &Company, number: usize) -> Workload {
    company.workloads[number % company.workloads.len()].clone()
}

/// What a call asks about.
fn about(call: &str, own: &Workload) -> Value {
    match call.split(':').next().unwrap_or_default() {
        "lambda" => json!({"functionName": own.name}),
        "logs" => json!({"logGroupName": format!("/svc/{}", own.name)}),
        "ecs" => json!({"cluster": "shop", "services": [own.name]}),
        "s3" => json!({"bucketName": own.bucket()}),
        "cloudformation" => json!({"stackName": own.name}),
        "iam" => json!({"roleName": own.deploy_role().name}),
        _ => Value::Null,
    }
}
