//! Services at work around the clock: each takes its role every six hours, reads its secrets and goes on.

use std::sync::Arc;

use engine::time::Span;
use serde_json::json;

use super::super::calendar::{Calendar, Day};
use super::super::company::PROJECT;
use super::super::log::Log;
use super::super::names::{BOTO, GO_SDK};
use super::super::network::{AWS, GOOGLE};
use super::super::record::{Caller, Principal, Token, User};
use super::super::workload::{Runs, Workload};

/// Hours of one session.
const SESSION_HOURS: u64 = 6;

/// How busy customers are by hour in UTC, in percent: few at night, most before and after supper.
const BUSY: [u64; 24] =
    [45, 35, 30, 28, 30, 40, 60, 85, 100, 110, 115, 120, 125, 120, 115, 110, 115, 125, 140, 145, 130, 105, 80, 60];

/// The service that a load test meets for some hours, and the one that has ten times the work from one day on.
const LOADED: usize = 4;
const GROWN: usize = 10;

/// Writes a day of all services.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    for workload in company.workloads.iter().filter(|workload| workload.lives(day)) {
        for slot in 0..24 / SESSION_HOURS {
            let begin = company.calendar.at(day, slot * SESSION_HOURS * 60);
            let which = day * 4 + u32::try_from(slot).unwrap_or(0);
            log.turn("service", workload.number, which, begin);
            log.wait(1, 170);
            session(log, workload, day, slot);
        }
    }
}

fn session(log: &mut Log, workload: &Workload, day: Day, slot: u64) {
    let calendar = log.company.calendar;
    let held = log.start_service(workload, day);
    let begin = calendar.at(day, slot * SESSION_HOURS * 60);
    for hour in 0..SESSION_HOURS {
        let of_day = slot * SESSION_HOURS + hour;
        // In its first hour a session first has to begin.
        let earliest = if hour == 0 { 420 } else { 0 };
        for _ in 0..calls(log, workload, calendar, day, of_day) {
            let seconds = hour * 3600 + log.draw.between(earliest, 3590);
            log.now = begin.plus(Span::seconds(u32::try_from(seconds).unwrap_or(0)));
            log.blink(0, 900);
            log.serve(workload, &held);
        }
    }
}

/// Calls of an hour: the pace of the service, by day, hour and what is the matter with it.
fn calls(log: &mut Log, workload: &Workload, calendar: Calendar, day: Day, hour: u64) -> u64 {
    let hour_of = usize::try_from(hour).unwrap_or(0);
    let weekend = if calendar.is_weekend(day) { 70 } else { 100 };
    let loaded = workload.number == LOADED && day == calendar.scaled(13) && (10..16).contains(&hour);
    let grown = workload.number == GROWN && day >= calendar.scaled(16);
    let factor = if loaded || grown { 10 } else { 1 };
    let mean = workload.pace * BUSY[hour_of % 24] * weekend * factor;
    // Between half and one and a half of the mean, and the rest of the division by chance.
    let times = log.draw.between(mean / 2, mean * 3 / 2);
    times / 10_000 + u64::from(log.draw.below(10_000) < times % 10_000)
}

/// What a running service holds.
pub(in crate::world) struct Held {
    pub(in crate::world) aws: Option<Caller>,
    pub(in crate::world) kube: Option<User>,
    pub(in crate::world) google: Option<Principal>,
    pub(in crate::world) vault: Option<Token>,
}

impl Log {
    /// A copy of a service begins: it takes its role and reads its secrets.
    pub(in crate::world) fn start_service(&mut self, workload: &Workload, day: Day) -> Held {
        let role = workload.role(self.company.calendar, day);
        let copy = self.draw.below(3);
        let inside = format!("10.20.{}.{}", workload.number, 10 + copy);
        let outside = workload.address(AWS, copy);
        let mut held = Held { aws: None, kube: None, google: None, vault: None };
        match workload.runs {
            Runs::Lambda => {
                held.aws = Some(self.take_role_by_service(&role, "lambda", workload.name, (&outside, BOTO)));
            }
            Runs::Ecs => {
                let task = self.draw.hex(32);
                held.aws = Some(self.take_role_by_service(&role, "ecs-tasks", &task, (&inside, GO_SDK)));
            }
            Runs::Kubernetes => {
                held.aws = Some(self.take_role_by_pod(&role, &workload.kube_account(), &outside));
                held.kube = Some(User::pod(workload, &inside));
            }
            Runs::CloudRun => {
                let address = workload.address(GOOGLE, copy);
                held.google = Some(Principal::new(&workload.google_account(), &address, GO_SDK));
            }
        }
        self.wait(2, 5);
        if workload.uses_vault {
            let name = format!("kubernetes-{}", workload.name);
            held.vault = Some(self.vault_login(&name, workload.name, json!({"role": workload.name}), &inside));
            self.wait(1, 2);
        }
        self.read_own_secrets(workload, &held);
        held
    }

    fn read_own_secrets(&mut self, workload: &Workload, held: &Held) {
        for secret in &workload.secrets {
            match (&held.vault, &held.aws, &held.google) {
                (Some(token), _, _) => self.vault(token, "read", &format!("secret/data/{secret}")),
                (None, Some(caller), _) => {
                    self.aws(caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}))
                }
                (None, None, Some(principal)) => self.google(principal, SECRET, &google_secret(secret), json!({})),
                (None, None, None) => {}
            }
            self.wait(1, 3);
        }
    }

    /// One thing that a service does all day.
    pub(in crate::world) fn serve(&mut self, workload: &Workload, held: &Held) {
        let sort = self.draw.below(100);
        match held {
            Held { vault: Some(token), .. } if sort < 12 => {
                let path = format!("database/creds/{}", workload.name);
                let (operation, path) =
                    if sort < 4 { ("read", path.as_str()) } else { ("update", "auth/token/renew-self") };
                self.vault(token, operation, path);
            }
            Held { kube: Some(user), .. } if sort < 65 => self.serve_in_cluster(workload, user, sort),
            Held { google: Some(principal), .. } => self.serve_at_google(workload, principal, sort),
            Held { aws: Some(caller), .. } => self.serve_at_aws(workload, caller, sort),
            Held { .. } => {}
        }
    }

    fn serve_at_aws(&mut self, workload: &Workload, caller: &Caller, sort: u64) {
        let bucket = workload.bucket();
        let key = format!("{:02x}/{}", sort, self.draw.hex(8));
        match sort {
            0..46 => self.aws(caller, "s3:GetObject", json!({"bucketName": bucket, "key": key})),
            46..64 => self.aws(caller, "s3:PutObject", json!({"bucketName": bucket, "key": key})),
            64..80 => {
                self.aws(caller, "kms:Decrypt", json!({"encryptionContext": {"aws:lambda:FunctionArn": workload.name}}))
            }
            80..88 => self.aws(
                caller,
                "kms:GenerateDataKey",
                json!({"keyId": format!("alias/{}", workload.name), "keySpec": "AES_256"}),
            ),
            88..94 => self.aws(
                caller,
                "ssm:GetParameters",
                json!({"names": [format!("/prod/{}/config", workload.name)], "withDecryption": true}),
            ),
            94..97 => {
                self.aws(caller, "logs:CreateLogStream", json!({"logGroupName": format!("/svc/{}", workload.name)}))
            }
            97 => {
                let secret = self.draw.pick(&workload.secrets).clone();
                self.aws(caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
            }
            98 => self.aws_refused(caller, "s3:GetObject", json!({"bucketName": bucket, "key": key}), "NoSuchKey"),
            _ => self.aws(caller, "sts:GetCallerIdentity", json!(null)),
        }
    }

    fn serve_in_cluster(&mut self, workload: &Workload, user: &User, sort: u64) {
        let place = format!("{}/{}", workload.team, workload.name);
        let request = match sort {
            0..35 => "update leases",
            35..50 => "get configmaps",
            50..58 => "list endpointslices",
            58..63 => "watch configmaps",
            _ => "get secrets",
        };
        self.kube(user, request, &place);
    }

    fn serve_at_google(&mut self, workload: &Workload, principal: &Principal, sort: u64) {
        let object = format!("projects/_/buckets/{}/objects/{}", workload.bucket(), self.draw.hex(8));
        match sort {
            0..55 => self.google(principal, "storage storage.objects.get", &object, json!({})),
            55..80 => self.google(principal, "storage storage.objects.create", &object, json!({})),
            80..92 => {
                let topic = format!("projects/{PROJECT}/topics/{}", workload.name);
                self.google(principal, "pubsub google.pubsub.v1.Publisher.GetTopic", &topic, json!({}));
            }
            92..96 => {
                let secret = self.draw.pick(&workload.secrets).clone();
                self.google(principal, SECRET, &google_secret(&secret), json!({}));
            }
            _ => {
                let database = format!("projects/{PROJECT}/databases/(default)");
                self.google(principal, "firestore google.firestore.v1.Firestore.RunQuery", &database, json!({}));
            }
        }
    }
}

/// Reading a secret at Google.
pub(in crate::world) const SECRET: &str =
    "secretmanager google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion";

/// A secret's name at Google.
pub(in crate::world) fn google_secret(secret: &str) -> String {
    format!("projects/{PROJECT}/secrets/{}/versions/latest", secret.replace('/', "-"))
}
