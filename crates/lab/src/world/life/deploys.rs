//! How a change gets from a laptop to production by GitHub Actions: every record that it leaves on the way.

use serde_json::json;

use super::super::company::{PROD, PROJECT};
use super::super::log::Log;
use super::super::network::RUNNERS;
use super::super::person::Person;
use super::super::record::{Caller, Hand, Principal, Run, User};
use super::super::workload::{Runs, Workload};

/// A run that is under way.
#[derive(Clone, Debug)]
pub(in crate::world) struct Running {
    pub(in crate::world) run: Run,
    pub(in crate::world) repository: String,
    pub(in crate::world) hand: Hand,
    /// Where its runner speaks from.
    pub(in crate::world) address: String,
    pub(in crate::world) runner: String,
}

impl Log {
    /// Somebody proposes a change, somebody else approves it and it is merged: the commit on the main branch.
    pub(in crate::world) fn merge_change(
        &mut self,
        repository: &str,
        author: (&Person, &str),
        reviewer: (&Person, &str),
        files: &[&str],
    ) -> String {
        let git = Hand::git(author.0, author.1);
        let (author, reviewer) = (Hand::person(author.0, author.1), Hand::person(reviewer.0, reviewer.1));
        let number = self.draw.between(100, 9_000);
        let commit = self.draw.hex(40);
        self.github(&git, "git.push", repository, json!({}));
        self.hook_push(&author, repository, &format!("change-{number}"), &commit, files);
        self.wait(20, 200);
        self.hook_request(&author, &author, repository, number, "opened", &commit);
        self.github(&author, "pull_request.create", repository, json!({"pull_request_id": number}));
        self.wait(2, 6);
        let test = self.new_run("test", "pull_request", &format!("change-{number}"), &commit);
        self.test(&author, repository, &test);
        self.wait(300, 2400);
        self.hook_review(&reviewer, repository, number, &commit);
        self.github(&reviewer, "pull_request_review.submit", repository, json!({"pull_request_id": number}));
        self.wait(20, 900);
        let merged = self.draw.hex(40);
        self.hook_request(&author, &author, repository, number, "closed", &commit);
        self.github(&author, "pull_request.merge", repository, json!({"pull_request_id": number}));
        self.hook_push(&author, repository, "main", &merged, files);
        self.wait(2, 5);
        merged
    }

    /// A run that has its numbers and nothing else yet.
    pub(in crate::world) fn new_run(
        &mut self,
        name: &'static str,
        cause: &'static str,
        branch: &str,
        commit: &str,
    ) -> Run {
        Run {
            id: self.draw.between(16_000_000_000, 17_999_999_999),
            name,
            cause,
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            attempt: 1,
            number: self.draw.between(10, 4_000),
        }
    }

    /// Tests of a change: a run that touches no cloud.
    pub(in crate::world) fn test(&mut self, hand: &Hand, repository: &str, run: &Run) {
        self.hook_run(hand, repository, run, None);
        self.wait(4, 20);
        self.hook_job(hand, repository, run, "test", "GitHub Actions 12", None);
        self.wait(60, 420);
        let ended = if self.draw.percent(12) { "failure" } else { "success" };
        self.hook_job(hand, repository, run, "test", "GitHub Actions 12", Some(ended));
        self.wait(1, 4);
        self.hook_run(hand, repository, run, Some(ended));
    }

    /// A run begins and its job gets a runner.
    pub(in crate::world) fn start_run(&mut self, repository: &str, hand: &Hand, run: Run) -> Running {
        let number = self.draw.below(16_000);
        let running = Running {
            run,
            repository: repository.to_owned(),
            hand: hand.clone(),
            address: RUNNERS.address(number),
            runner: format!("GitHub Actions {number}"),
        };
        self.hook_run(hand, repository, &running.run, None);
        self.wait(4, 25);
        self.start_job(&running, "deploy", "production");
        running
    }

    /// The job that deploys begins: it may read the secrets of its environment from now on.
    pub(in crate::world) fn start_job(&mut self, running: &Running, job: &'static str, environment: &str) {
        let Running { run, repository, hand, .. } = running;
        self.hook_job(hand, repository, run, job, &running.runner, None);
        let reference = format!("{repository}/.github/workflows/{}.yml@refs/heads/{}", run.name, run.branch);
        let prepared = json!({
            "workflow_run_id": run.id, "job_name": job, "job_workflow_ref": reference, "environment_name": environment,
            "head_sha": run.commit, "head_branch": format!("refs/heads/{}", run.branch), "is_hosted_runner": running.runner.starts_with("GitHub"),
            "runner_name": running.runner, "secrets_passed": ["DEPLOY_NOTIFY"],
        });
        self.github(
            &Hand { address: String::new(), ..hand.clone() },
            "workflows.prepared_workflow_job",
            repository,
            prepared,
        );
        self.wait(5, 20);
    }

    /// Tests, approval, role, artefact and change of what runs, to the end of the run. The session of AWS, if it has one.
    pub(in crate::world) fn deploy(
        &mut self,
        workload: &Workload,
        approver: &Hand,
        hand: &Hand,
        commit: &str,
    ) -> Option<Caller> {
        let run = self.new_run("deploy", "push", "main", commit);
        let repository = workload.repository();
        let running = self.start_run(&repository, hand, run);
        self.hook_deployment(&repository, &running.run, None);
        if workload.number.is_multiple_of(2) {
            self.wait(30, 600);
            self.hook_approval(approver, &repository, &running.run);
        }
        self.wait(2, 9);
        self.hook_deployment(&repository, &running.run, Some("in_progress"));
        self.wait(20, 90);
        let caller = self.release(workload, &running);
        self.end_run(&running, "success");
        caller
    }

    /// What a run changes in the cloud.
    pub(in crate::world) fn release(&mut self, workload: &Workload, running: &Running) -> Option<Caller> {
        if workload.runs == Runs::CloudRun {
            let principal = self.google_of_run(workload, running);
            self.replace_cloud_run(workload, &principal);
            return None;
        }
        let caller = self.role_of_run(workload, running);
        match workload.runs {
            Runs::Lambda => self.replace_function(workload, &caller),
            Runs::Ecs => {
                self.push_image(workload, &caller);
                self.replace_task(workload, &caller);
            }
            Runs::Kubernetes | Runs::CloudRun => {
                self.push_image(workload, &caller);
                self.replace_deployment(workload, &caller);
            }
        }
        Some(caller)
    }

    /// The role that a run takes by its token.
    pub(in crate::world) fn role_of_run(&mut self, workload: &Workload, running: &Running) -> Caller {
        let subject = format!("repo:{}:environment:production", running.repository);
        let caller = self.take_role_by_github(&workload.deploy_role(), &subject, &running.address);
        self.wait(2, 8);
        caller
    }

    /// The service account that a run may act as.
    pub(in crate::world) fn google_of_run(&mut self, workload: &Workload, running: &Running) -> Principal {
        let pool = format!(
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/subject/repo:{}:environment:production",
            running.repository
        );
        let account = format!("deploy-{}@{PROJECT}.iam.gserviceaccount.com", workload.name);
        let asking = Principal::new(&pool, &running.address, "google-github-actions:auth/2.1.12");
        self.google(
            &asking,
            "iamcredentials GenerateAccessToken",
            &format!("projects/-/serviceAccounts/{account}"),
            json!({}),
        );
        self.wait(2, 6);
        Principal::on_behalf(&account, &pool, &running.address, super::super::names::GCLOUD)
    }

    pub(in crate::world) fn replace_function(&mut self, workload: &Workload, caller: &Caller) {
        let function = workload.name;
        self.aws(caller, "lambda:GetFunction20150331v2", json!({"functionName": function}));
        self.wait(1, 4);
        let key = format!("{function}/{}.zip", self.draw.hex(12));
        self.aws(caller, "s3:PutObject", json!({"bucketName": "example-org-artifacts", "key": key}));
        self.wait(1, 4);
        let digest = self.draw.base64(43) + "=";
        let arn = format!("arn:aws:lambda:eu-west-1:{}:function:{function}", caller.account);
        let answer = json!({"functionName": function, "functionArn": arn, "codeSha256": digest, "lastUpdateStatus": "InProgress"});
        self.aws_answered(
            caller,
            "lambda:UpdateFunctionCode20150331v2",
            json!({"functionName": function, "publish": false, "dryRun": false}),
            answer,
        );
        self.wait(3, 15);
        self.aws_answered(
            caller,
            "lambda:PublishVersion20150331",
            json!({"functionName": function}),
            json!({"functionName": function, "codeSha256": digest}),
        );
        self.wait(1, 3);
        self.aws(caller, "lambda:UpdateAlias20150331", json!({"functionName": function, "name": "live"}));
        self.wait(2, 10);
    }

    pub(in crate::world) fn push_image(&mut self, workload: &Workload, caller: &Caller) -> String {
        let digest = format!("sha256:{}", self.draw.hex(64));
        self.aws(caller, "ecr:GetAuthorizationToken", json!({}));
        self.wait(1, 3);
        self.aws(caller, "ecr:BatchCheckLayerAvailability", json!({"repositoryName": workload.name}));
        self.wait(1, 5);
        self.aws(caller, "ecr:InitiateLayerUpload", json!({"repositoryName": workload.name}));
        self.wait(4, 30);
        let tag = self.draw.hex(12);
        let answer =
            json!({"image": {"repositoryName": workload.name, "imageId": {"imageDigest": digest, "imageTag": tag}}});
        self.aws_answered(caller, "ecr:PutImage", json!({"repositoryName": workload.name, "imageTag": tag}), answer);
        self.wait(2, 8);
        digest
    }

    pub(in crate::world) fn replace_task(&mut self, workload: &Workload, caller: &Caller) {
        let family = workload.name;
        self.aws(caller, "ecs:DescribeTaskDefinition", json!({"taskDefinition": family}));
        self.wait(1, 4);
        let image = format!("{PROD}.dkr.ecr.eu-west-1.amazonaws.com/{family}:{}", self.draw.hex(12));
        self.aws(
            caller,
            "ecs:RegisterTaskDefinition",
            json!({"family": family, "containerDefinitions": [{"name": family, "image": image}]}),
        );
        self.wait(1, 4);
        self.aws(caller, "ecs:UpdateService", json!({"cluster": "shop", "service": family, "taskDefinition": family}));
        self.wait(20, 90);
        self.aws(caller, "ecs:DescribeServices", json!({"cluster": "shop", "services": [family]}));
        self.wait(2, 10);
    }

    pub(in crate::world) fn replace_deployment(&mut self, workload: &Workload, caller: &Caller) {
        self.aws(caller, "eks:DescribeCluster", json!({"name": "shop"}));
        self.wait(1, 4);
        let user = User::role(&workload.deploy_role(), caller);
        let place = format!("{}/{}", workload.team, workload.name);
        self.kube(&user, "get deployments", &place);
        self.wait(1, 3);
        let image = format!("{}:{}", workload.name, self.draw.hex(12));
        let sent = json!({"spec": {"template": {"spec": {"containers": [{"name": workload.name, "image": image}]}}}});
        self.kube_sent(&user, "patch deployments", &place, &sent);
        for _ in 0..4 {
            self.wait(5, 20);
            self.kube(&user, "get deployments/status", &place);
        }
        self.wait(2, 10);
    }

    pub(in crate::world) fn replace_cloud_run(&mut self, workload: &Workload, principal: &Principal) {
        let resource = format!("namespaces/{PROJECT}/services/{}", workload.name);
        self.google(principal, "run google.cloud.run.v1.Services.GetService", &resource, json!({}));
        self.wait(1, 5);
        let image =
            format!("europe-west1-docker.pkg.dev/{PROJECT}/services/{}@sha256:{}", workload.name, self.draw.hex(64));
        self.google(
            principal,
            "run google.cloud.run.v1.Services.ReplaceService",
            &resource,
            json!({"request": {"service": {"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}}}),
        );
        self.wait(5, 30);
    }

    /// The run is over.
    pub(in crate::world) fn end_run(&mut self, running: &Running, conclusion: &str) {
        let Running { run, repository, hand, runner, .. } = running;
        self.hook_deployment(repository, run, Some(conclusion));
        self.wait(1, 4);
        self.hook_job(hand, repository, run, "deploy", runner, Some(conclusion));
        self.wait(1, 4);
        self.hook_run(hand, repository, run, Some(conclusion));
    }
}
