//! One company, one repository, one function: records as their vendors write them, told in a few words.

use serde_json::{Value, json};

use super::super::*;
use crate::event::Kind;
use crate::normalise::{Format, Limits as Bounds, normalise};
use crate::time::Timestamp;

pub(super) const REPOSITORY: &str = "acme/orders";
pub(super) const ACCOUNT: &str = "111122223333";

/// What was told, and which logs are heard.
pub(super) struct World {
    pub(super) facts: Vec<Fact>,
    pub(super) marks: Marks,
    pub(super) policy: Policy,
    number: u32,
}

/// `09:14:03` of the day of these tests, a Friday.
pub(super) fn at(clock: &str) -> String {
    format!("2026-11-20T{clock}Z")
}

pub(super) fn moment(clock: &str) -> Timestamp {
    at(clock).parse().unwrap()
}

/// A commit that begins so.
pub(super) fn commit(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex:0<40}")
}

/// A run: its id, attempt, commit, beginning and end.
pub(super) struct RunText<'t> {
    pub(super) id: u64,
    pub(super) attempt: u32,
    pub(super) commit: &'t str,
    pub(super) from: &'t str,
    pub(super) to: &'t str,
    pub(super) more: Value,
}

pub(super) fn run<'t>(id: u64, commit: &'t str, from: &'t str, to: &'t str) -> RunText<'t> {
    RunText { id, attempt: 1, commit, from, to, more: json!({}) }
}

fn laid_over(mut below: Value, above: Value) -> Value {
    for (name, value) in above.as_object().unwrap() {
        below[name] = value.clone();
    }
    below
}

impl World {
    /// Everything is heard, and the policy has its defaults.
    pub(super) fn new() -> Self {
        let all = Heard { since: Timestamp::EARLIEST, mark: Timestamp::LATEST };
        let heard =
            [Kind::AwsCloudtrail, Kind::GithubWebhook, Kind::AwsEventbridge, Kind::GitlabWebhook, Kind::GcpAudit];
        let marks = heard.into_iter().map(|kind| (kind, all)).collect();
        Self { facts: Vec::new(), marks, policy: Policy::default(), number: 0 }
    }

    /// The same under the settings of one environment, in JSON.
    pub(super) fn under(settings: Value) -> Self {
        let environment = laid_over(json!({"name": "production"}), settings);
        let policy = serde_json::from_value(json!({"environments": [environment]})).unwrap();
        Self { policy, ..Self::new() }
    }

    pub(super) fn tell(&mut self, kind: Kind, record: &Value) -> &mut Self {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        self.number += 1;
        let place = format!("line {}", self.number);
        normalise(
            Format::Known(kind),
            record.to_string().as_bytes(),
            &place,
            &Bounds::default(),
            &mut events,
            &mut rejects,
        );
        assert!(rejects.is_empty(), "{rejects:?}");
        self.facts.extend(events.iter().flat_map(facts));
        self
    }

    pub(super) fn hook(&mut self, name: &str, body: Value) -> &mut Self {
        let delivery = format!("delivery-{}", self.number);
        let repository = json!({"full_name": "Acme/Orders", "owner": {"login": "Acme"}});
        let mut body = body;
        let given = body.get("repository").cloned().unwrap_or_else(|| json!({}));
        body["repository"] = laid_over(repository, given);
        let headers = json!({"X-GitHub-Event": name, "X-GitHub-Delivery": delivery});
        self.tell(Kind::GithubWebhook, &json!({"headers": headers, "body": body}))
    }

    pub(super) fn push(&mut self, clock: &str, who: &str, name: &str, more: Value) -> &mut Self {
        let id = commit(name);
        let body = json!({
            "ref": "refs/heads/main", "before": commit("old"), "after": id, "forced": false,
            "commits": [{"id": id, "added": [], "removed": [], "modified": ["src/count.py"]}],
            "head_commit": {"id": id, "message": "orders: count once\n\nmore"},
            "repository": {"pushed_at": at(clock)}, "sender": {"login": who, "type": "User"},
        });
        self.hook("push", laid_over(body, more))
    }

    /// A request that one person opened, another approved, and one of them merged; and the push that came of it.
    pub(super) fn merged(&mut self, clock: &str, name: &str, author: &str, reviewer: &str) -> &mut Self {
        self.opened("08:00:00", name, author).approved("08:30:00", name, reviewer);
        self.merge(clock, name, author, json!({})).push(clock, "ana", name, json!({}))
    }

    fn request(name: &str, author: &str, clock: &str) -> Value {
        let head = commit(&format!("{name}h"));
        json!({
            "number": 7, "title": "Count once", "user": {"login": author, "type": "User"}, "updated_at": at(clock),
            "head": {"sha": head, "ref": "count", "repo": {"full_name": "Acme/Orders"}}, "base": {"ref": "main"},
        })
    }

    pub(super) fn opened(&mut self, clock: &str, name: &str, author: &str) -> &mut Self {
        let pull = Self::request(name, author, clock);
        self.hook("pull_request", json!({"action": "opened", "pull_request": pull, "sender": {"login": author}}))
    }

    pub(super) fn approved(&mut self, clock: &str, name: &str, reviewer: &str) -> &mut Self {
        let sort = if reviewer.ends_with("[bot]") { "Bot" } else { "User" };
        let review = json!({"state": "approved", "user": {"login": reviewer, "type": sort}, "submitted_at": at(clock),
                            "commit_id": commit(&format!("{name}h"))});
        let body = json!({"action": "submitted", "review": review, "pull_request": {"number": 7}, "sender": {"login": reviewer}});
        self.hook("pull_request_review", body)
    }

    pub(super) fn merge(&mut self, clock: &str, name: &str, author: &str, more: Value) -> &mut Self {
        let merged = json!({"merged": true, "merge_commit_sha": commit(name), "merged_at": at(clock),
                            "merged_by": {"login": "ana", "type": "User"}});
        let pull = laid_over(laid_over(Self::request(name, author, clock), merged), more);
        self.hook("pull_request", json!({"action": "closed", "pull_request": pull, "sender": {"login": "ana"}}))
    }

    pub(super) fn run(&mut self, run: RunText<'_>) -> &mut Self {
        let base = json!({
            "id": run.id, "run_attempt": run.attempt, "head_sha": commit(run.commit), "head_branch": "main",
            "event": "push", "path": ".github/workflows/deploy.yml", "actor": {"login": "ana"},
            "triggering_actor": {"login": "ana"}, "head_repository": {"full_name": "Acme/Orders"},
            "created_at": at(run.from), "run_started_at": at(run.from),
        });
        let base = laid_over(base, run.more);
        let begun = laid_over(base.clone(), json!({"updated_at": at(run.from)}));
        self.hook("workflow_run", json!({"action": "in_progress", "workflow_run": begun, "sender": {"login": "ana"}}));
        if run.to.is_empty() {
            return self;
        }
        let done = laid_over(base, json!({"updated_at": at(run.to), "conclusion": "success"}));
        self.hook("workflow_run", json!({"action": "completed", "workflow_run": done, "sender": {"login": "ana"}}))
    }

    pub(super) fn job(&mut self, clock: &str, run: u64, environment: &str) -> &mut Self {
        let body = json!({
            "action": "in_progress", "workflow_job": {"run_id": run, "started_at": at(clock)},
            "deployment": {"environment": environment, "created_at": at(clock)}, "sender": {"login": "ana"},
        });
        self.hook("workflow_job", body)
    }

    pub(super) fn let_deploy(&mut self, clock: &str, run: u64, who: &str, action: &str) -> &mut Self {
        let body = json!({
            "action": action, "approver": {"login": who}, "workflow_run": {"id": run, "updated_at": at(clock)},
            "workflow_job_runs": [{"environment": "production"}], "comment": "OPS-12 go", "sender": {"login": who},
        });
        self.hook("deployment_review", body)
    }

    pub(super) fn check(&mut self, clock: &str, name: &str, commit_name: &str, conclusion: &str) -> &mut Self {
        let check =
            json!({"name": name, "head_sha": commit(commit_name), "conclusion": conclusion, "completed_at": at(clock)});
        self.hook("check_run", json!({"action": "completed", "check_run": check, "sender": {"login": "ci"}}))
    }

    pub(super) fn protection(&mut self, clock: &str, action: &str) -> &mut Self {
        let rule = json!({"name": "main", "updated_at": at(clock)});
        self.hook("branch_protection_rule", json!({"action": action, "rule": rule, "sender": {"login": "eve"}}))
    }

    pub(super) fn trail(&mut self, clock: &str, service: &str, name: &str, more: Value) -> &mut Self {
        let base = json!({
            "eventVersion": "1.11", "eventTime": at(clock), "eventSource": format!("{service}.amazonaws.com"),
            "eventName": name, "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNT, "readOnly": false,
            "sourceIPAddress": "198.51.100.24", "userAgent": "aws-cli/2.31",
            "eventID": format!("event-{}", self.number),
        });
        self.tell(Kind::AwsCloudtrail, &laid_over(base, more))
    }

    /// A job shows its token and gets a session.
    pub(super) fn token(&mut self, clock: &str, key: &str, subject: &str) -> &mut Self {
        let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
        let more = json!({
            "userIdentity": {"type": "WebIdentityUser", "userName": subject, "identityProvider": provider,
                             "principalId": format!("{provider}:sts.amazonaws.com:{subject}")},
            "requestParameters": {"roleArn": role("deploy"), "roleSessionName": "GitHubActions"},
            "responseElements": {"provider": provider, "credentials": {"accessKeyId": key}},
        });
        self.trail(clock, "sts", "AssumeRoleWithWebIdentity", more)
    }

    /// One session asks for another.
    pub(super) fn assumed(&mut self, clock: &str, by: Value, name: &str, session: &str, key: &str) -> &mut Self {
        let more = json!({
            "userIdentity": by, "readOnly": true,
            "requestParameters": {"roleArn": role(name), "roleSessionName": session},
            "responseElements": {"credentials": {"accessKeyId": key}},
        });
        self.trail(clock, "sts", "AssumeRole", more)
    }

    pub(super) fn code(&mut self, clock: &str, function: &str, by: Value) -> &mut Self {
        let more = json!({
            "userIdentity": by, "requestParameters": {"functionName": function},
            "responseElements": {"functionName": function, "codeSha256": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="},
        });
        self.trail(clock, "lambda", "UpdateFunctionCode20150331v2", more)
    }

    /// Run 1 of commit `c` from 09:10 to 09:20, reviewed, with a session by its token: all as it should be.
    pub(super) fn usual(&mut self) -> &mut Self {
        self.merged("09:09:00", "c", "ben", "ana").run(run(1, "c", "09:10:00", "09:20:00"));
        self.token("09:12:00", "ASIA1", "repo:acme/orders:ref:refs/heads/main").code(
            "09:13:00",
            "orders",
            session("ASIA1"),
        )
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let mut deploys = Deploys::default();
        self.facts.iter().for_each(|fact| deploys.take(fact.clone()));
        deploys.records(&self.policy, &self.marks)
    }

    /// The only deploy.
    #[track_caller]
    pub(super) fn record(&self) -> Record {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.pop().unwrap()
    }
}

pub(super) fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// A session of the role `deploy` as the action of GitHub names it.
pub(super) fn session(key: &str) -> Value {
    session_of("deploy", "GitHubActions", key, "2026-11-20T09:12:00Z")
}

pub(super) fn session_of(name: &str, session: &str, key: &str, began: &str) -> Value {
    json!({
        "type": "AssumedRole", "principalId": format!("AROA{name}:{session}"), "accessKeyId": key, "accountId": ACCOUNT,
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
        "sessionContext": {"sessionIssuer": {"arn": role(name), "userName": name}, "attributes": {"creationDate": began}},
    })
}

pub(super) fn service(name: &str) -> Value {
    json!({"type": "AWSService", "invokedBy": name})
}

/// Which run it was, and how sure that is.
pub(super) fn joined(record: &Record) -> String {
    let names: Vec<String> = record.run.candidates().iter().map(|run| format!("{}/{}", run.id, run.attempt)).collect();
    let sure = match &record.run {
        Edge::Exact(_) => "exact",
        Edge::UniqueCandidate(_) => "unique",
        Edge::Ambiguous(_) => "ambiguous",
        Edge::None => "none",
    };
    format!("{sure} {}", names.join(" ")).trim().to_owned()
}

/// What is held against it or unsure.
pub(super) fn held(record: &Record) -> Vec<What> {
    record.findings.iter().filter(|finding| finding.weight != Weight::Note).map(|finding| finding.what).collect()
}

/// What is only told.
pub(super) fn noted(record: &Record) -> Vec<What> {
    record.findings.iter().filter(|finding| finding.weight == Weight::Note).map(|finding| finding.what).collect()
}
