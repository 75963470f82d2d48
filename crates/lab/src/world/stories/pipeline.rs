//! Against pipelines: what runs in them and what they may do.

use serde_json::json;

use super::super::company::PROD;
use super::super::names::{AWS_CLI, BOTO};
use super::super::person::Duty;
use super::super::record::{Hand, Role};
use super::super::workload::Runs;
use super::{Scene, Story};

pub(super) const STORIES: [Story; 7] = [
    Story {
        name: "poisoned-workflow",
        sentence: "A workflow is changed on a branch, run by hand and its role used to read the secrets of other services.",
        techniques: &["T1195.002", "T1552.001", "T1555.006"],
        start: (11, 11 * 60 + 15),
        script: poisoned_workflow,
    },
    Story {
        name: "pull-request-from-a-fork",
        sentence: "A stranger's pull request runs with the rights of the main branch and prints what it may read.",
        techniques: &["T1195.002", "T1552"],
        start: (16, 2 * 60 + 40),
        script: from_a_fork,
    },
    Story {
        name: "dependency-confusion",
        sentence: "A build takes a package of the same name from outside; what it makes calls home with the role of the service.",
        techniques: &["T1195.001", "T1078.004"],
        start: (18, 9 * 60 + 50),
        script: dependency_confusion,
    },
    Story {
        name: "workflow-permissions-widened",
        sentence: "The default rights of workflows are widened, and a run then merges its own change.",
        techniques: &["T1098", "T1195.002"],
        start: (21, 14 * 60 + 30),
        script: permissions_widened,
    },
    Story {
        name: "runner-of-their-own",
        sentence: "A rented machine is registered as a runner, takes a deploy and with it the role of production.",
        techniques: &["T1133", "T1078.004"],
        start: (23, 12 * 60 + 5),
        script: own_runner,
    },
    Story {
        name: "key-taken-from-a-runner",
        sentence: "A compromised action sends the key of an honest deploy away; it is used elsewhere within the hour.",
        techniques: &["T1552.005", "T1528", "T1078.004"],
        start: (24, 13 * 60 + 20),
        script: key_from_a_runner,
    },
    Story {
        name: "leaked-oidc-trust",
        sentence: "A role that trusts every repository of the organisation is taken from a forgotten one.",
        techniques: &["T1199", "T1078.004"],
        start: (25, 10 * 60 + 45),
        script: oidc_trust,
    },
];

fn poisoned_workflow(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 7);
    let workload = scene.service(Runs::Ecs, 0);
    let repository = workload.repository();
    let hand = Hand::person(&victim, &scene.rented(2));
    scene.step(0, "the workflow that deploys is changed on a branch");
    let commit = scene.draw.hex(40);
    scene.github(&hand, "git.push", &repository, json!({}));
    scene.hook_push(&hand, &repository, "fix-cache", &commit, &[".github/workflows/deploy.yml"]);
    scene.step(2, "it is run by hand from there");
    let run = scene.new_run("deploy", "workflow_dispatch", "fix-cache", &commit);
    let running = scene.start_run(&repository, &hand, run);
    scene.step(3, "its job takes the role");
    let caller = scene.take_role_by_github(
        &workload.deploy_role(),
        &format!("repo:{repository}:ref:refs/heads/fix-cache"),
        &running.address,
    );
    scene.goal(4, "and reads the secrets of other services");
    let secrets: Vec<String> = scene.company.workloads.iter().take(9).map(|other| other.secrets[0].clone()).collect();
    for secret in secrets {
        scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
        scene.wait(1, 3);
    }
    scene.step(6, "the run ends as if nothing had been");
    scene.end_run(&running, "success");
}

fn from_a_fork(scene: &mut Scene) {
    let workload = scene.service(Runs::Lambda, 4);
    let repository = workload.repository();
    let hand = Hand::stranger("helpful-visitor", &scene.rented(1));
    scene.step(0, "a pull request comes from a fork");
    let commit = scene.draw.hex(40);
    let number = scene.draw.between(9_000, 9_500);
    scene.hook_request(&hand, &hand, &repository, number, "opened", &commit);
    scene.step(1, "a workflow runs it with the rights of the main branch");
    let run = scene.new_run("label", "pull_request_target", "main", &commit);
    let running = scene.start_run(&repository, &hand, run);
    let caller = scene.take_role_by_github(
        &workload.deploy_role(),
        &format!("repo:{repository}:ref:refs/heads/main"),
        &running.address,
    );
    scene.wait(2, 5);
    scene.aws(&caller, "sts:GetCallerIdentity", json!(null));
    scene.goal(4, "the secrets of the service are read");
    for secret in &workload.secrets {
        scene.aws(&caller, "secretsmanager:GetSecretValue", json!({"secretId": secret}));
        scene.wait(1, 3);
    }
    scene.step(7, "the pull request is closed again");
    scene.end_run(&running, "failure");
    scene.hook_request(&hand, &hand, &repository, number, "closed", &commit);
}

fn dependency_confusion(scene: &mut Scene) {
    let workload = scene.service(Runs::Ecs, 2);
    let (author, reviewer) = scene.owners(&workload);
    let repository = workload.repository();
    scene.meanwhile(0);
    // Nobody did anything wrong: the version that the build takes is a stranger's.
    let (at, near) = (scene.place(&author), scene.place(&reviewer));
    let commit = scene.merge_change(&repository, (&author, &at), (&reviewer, &near), &["go.mod", "go.sum"]);
    scene.deploy(&workload, &Hand::person(&reviewer, &near), &Hand::person(&author, &at), &commit);
    let day = scene.day();
    scene.step(120, "the new version of the service starts with something else in it");
    let held = scene.start_service(&workload, day);
    let Some(caller) = held.aws else {
        return;
    };
    scene.step(125, "it asks what else it may do");
    for call in
        ["iam:ListAttachedRolePolicies", "s3:ListBuckets", "secretsmanager:ListSecrets", "lambda:ListFunctions20150331"]
    {
        scene.aws_refused(&caller, call, json!(null), "AccessDenied");
        scene.wait(1, 4);
    }
    scene.step(180, "its key is used from a rented server");
    let outside = caller.elsewhere(&scene.rented(6), BOTO);
    scene.aws(&outside, "sts:GetCallerIdentity", json!(null));
    scene.goal(190, "the customers' files are copied there");
    for number in 0..120 {
        scene.aws(
            &outside,
            "s3:GetObject",
            json!({"bucketName": workload.bucket(), "key": format!("customers/{number}")}),
        );
        scene.wait(1, 2);
    }
}

fn permissions_widened(scene: &mut Scene) {
    let victim = scene.person(Duty::Lead, 5);
    let workload = scene.service(Runs::Kubernetes, 2);
    let repository = workload.repository();
    let hand = Hand::person(&victim, &scene.rented(3));
    scene.step(0, "workflows may now write, and approve pull requests");
    scene.github_org(&hand, "org.set_default_workflow_permissions", json!({"permissions": "write"}));
    scene.wait(5, 20);
    scene.github_org(&hand, "org.set_workflow_permission_can_approve_pr", json!({"can_approve": true}));
    scene.step(12, "a workflow opens, approves and merges a change");
    let bot = Hand::actions(&scene.rented(3));
    let commit = scene.draw.hex(40);
    let number = scene.draw.between(100, 9_000);
    scene.hook_request(&bot, &bot, &repository, number, "opened", &commit);
    scene.wait(5, 20);
    scene.hook_review(&bot, &repository, number, &commit);
    scene.wait(5, 20);
    scene.hook_request(&bot, &bot, &repository, number, "closed", &commit);
    scene.hook_push(&bot, &repository, "main", &commit, &["src/login.go"]);
    scene.goal(15, "the change is deployed");
    scene.deploy(&workload, &bot, &bot, &commit);
}

fn own_runner(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 2);
    let workload = scene.service(Runs::Lambda, 1);
    let repository = workload.repository();
    let hand = Hand::person(&victim, &scene.rented(4));
    let machine = scene.rented(5);
    scene.step(0, "a machine is registered as a runner of the repository");
    scene.github(
        &hand,
        "repo.register_self_hosted_runner",
        &repository,
        json!({"runner_id": 991, "runner_name": "build-9"}),
    );
    scene.step(9, "somebody's merge is picked up by it");
    let (author, _) = scene.owners(&workload);
    let honest = Hand::person(&author, &scene.place(&author));
    let commit = scene.draw.hex(40);
    let run = scene.new_run("deploy", "push", "main", &commit);
    scene.hook_run(&honest, &repository, &run, None);
    scene.wait(3, 9);
    let running = super::super::life::Running {
        run,
        repository: repository.clone(),
        hand: honest,
        address: machine.clone(),
        runner: "build-9".to_owned(),
    };
    scene.start_job(&running, "deploy", "production");
    scene.step(10, "it takes the role");
    let caller = scene.role_of_run(&workload, &running);
    scene.goal(12, "and deploys what it likes");
    scene.replace_function(&workload, &caller);
    scene.end_run(&running, "success");
    scene.step(20, "the runner is gone again");
    scene.github(
        &hand,
        "repo.remove_self_hosted_runner",
        &repository,
        json!({"runner_id": 991, "runner_name": "build-9"}),
    );
}

fn key_from_a_runner(scene: &mut Scene) {
    let workload = scene.service(Runs::Kubernetes, 3);
    let (author, reviewer) = scene.owners(&workload);
    scene.meanwhile(0);
    let hand = Hand::person(&author, &scene.place(&author));
    let (at, near) = (scene.place(&author), scene.place(&reviewer));
    let commit = scene.merge_change(&workload.repository(), (&author, &at), (&reviewer, &near), &["src/main.go"]);
    let run = scene.new_run("deploy", "push", "main", &commit);
    let running = scene.start_run(&workload.repository(), &hand, run);
    let Some(caller) = scene.release(&workload, &running) else {
        return;
    };
    scene.end_run(&running, "success");
    scene.step(0, "the key of the run speaks from elsewhere");
    let thief = caller.elsewhere(&scene.rented(5), AWS_CLI[0]);
    scene.aws(&thief, "sts:GetCallerIdentity", json!(null));
    scene.step(0, "it asks what it may do");
    for call in ["iam:ListRoles", "ecr:DescribeRepositories", "eks:ListClusters", "secretsmanager:ListSecrets"] {
        scene.aws(&thief, call, json!(null));
        scene.wait(2, 9);
    }
    scene.goal(0, "it puts an image of its own in the place of the one that runs");
    scene.push_image(&workload, &thief);
}

fn oidc_trust(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 29);
    let repository = "example-org/old-demo";
    let hand = Hand::git(&victim, &scene.rented(2));
    scene.step(0, "a forgotten repository gets a workflow");
    let commit = scene.draw.hex(40);
    scene.github(&hand, "git.push", repository, json!({}));
    scene.hook_push(&hand, repository, "main", &commit, &[".github/workflows/hello.yml"]);
    scene.step(1, "it runs");
    let run = scene.new_run("hello", "push", "main", &commit);
    let running = scene.start_run(repository, &hand, run);
    scene.step(2, "its token is good enough for the role of Terraform");
    let role = Role::new(PROD, "terraform");
    let caller = scene.take_role_by_github(&role, "repo:example-org/old-demo:ref:refs/heads/main", &running.address);
    scene.wait(2, 5);
    scene.aws(&caller, "iam:ListRoles", json!(null));
    scene.goal(4, "which makes an administrator that stays");
    scene.aws_answered(
        &caller,
        "iam:CreateUser",
        json!({"userName": "svc-report"}),
        json!({"user": {"userName": "svc-report"}}),
    );
    scene.wait(1, 4);
    scene.aws(
        &caller,
        "iam:AttachUserPolicy",
        json!({"userName": "svc-report", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    );
    scene.wait(1, 4);
    let key = format!("AKIA{}", scene.draw.base32(16));
    scene.aws_answered(
        &caller,
        "iam:CreateAccessKey",
        json!({"userName": "svc-report"}),
        json!({"accessKey": {"userName": "svc-report", "accessKeyId": key, "status": "Active"}}),
    );
}
