//! Against what runs: changes that no pipeline made, or that it made without the people who should have seen them.

use serde_json::json;

use super::super::company::{PROD, PROJECT};
use super::super::names::{AWS_CLI, GCLOUD};
use super::super::person::Duty;
use super::super::record::{Hand, Principal, Role};
use super::super::workload::{Built, Runs};
use super::{Scene, Story};

pub(super) const STORIES: [Story; 8] = [
    Story {
        name: "deploy-by-console",
        sentence: "An operator's session changes a function's code in the browser at lunch, from their own desk.",
        techniques: &["T1078.004", "T1648"],
        start: (10, 10 * 60 + 55),
        script: by_console,
    },
    Story {
        name: "image-not-from-the-pipeline",
        sentence: "An image under the name of a service is pushed by a person and taken up by the next restart.",
        techniques: &["T1525", "T1610"],
        start: (15, 13 * 60 + 10),
        script: image_by_hand,
    },
    Story {
        name: "layer-in-front-of-a-function",
        sentence: "A layer from another account is put in front of a function that handles payments.",
        techniques: &["T1546", "T1648"],
        start: (17, 11 * 60 + 35),
        script: layer,
    },
    Story {
        name: "departed-contractor-deploys",
        sentence: "A contractor whose account was closed still has a token; at night it pushes and the pipeline deploys.",
        techniques: &["T1078", "T1554"],
        start: (22, 23 * 60 + 10),
        script: departed,
    },
    Story {
        name: "author-approves-own-change",
        sentence: "One person with two accounts writes and approves a change; every record of a good deploy is there.",
        techniques: &["T1195.002", "T1078"],
        start: (23, 9 * 60 + 15),
        script: own_approval,
    },
    Story {
        name: "artefact-swapped-before-deploy",
        sentence: "Between build and deploy the archive in the bucket is replaced by another one.",
        techniques: &["T1195.002", "T1565.001"],
        start: (24, 14 * 60 + 45),
        script: artefact_swapped,
    },
    Story {
        name: "cloud-run-replaced-from-a-laptop",
        sentence: "A service at Google is replaced from a laptop and opened to everybody.",
        techniques: &["T1078.004", "T1098"],
        start: (25, 15 * 60 + 30),
        script: cloud_run,
    },
    Story {
        name: "gitlab-branch-unprotected",
        sentence: "In the GitLab that was forgotten about, a branch loses its protection and a pipeline deploys a push.",
        techniques: &["T1556", "T1195.002"],
        start: (17, 14 * 60 + 5),
        script: gitlab_branch,
    },
];

fn by_console(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 3);
    let workload = scene.service(Runs::Lambda, 0);
    scene.meanwhile(0);
    let place = scene.place(&victim);
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    scene.step(1, "the console is opened");
    let caller = scene.open_console(&victim, &Role::new(PROD, "operator"), &place);
    scene.wait(5, 20);
    scene.aws(&caller, "lambda:GetFunction20150331v2", json!({"functionName": workload.name}));
    scene.goal(9, "the code of the function is replaced");
    let digest = scene.draw.base64(43) + "=";
    scene.aws_answered(
        &caller,
        "lambda:UpdateFunctionCode20150331v2",
        json!({"functionName": workload.name, "publish": true}),
        json!({"functionName": workload.name, "codeSha256": digest}),
    );
}

fn image_by_hand(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 4);
    let workload = scene.service(Runs::Ecs, 1);
    let place = scene.place(&victim);
    scene.step(0, "an operator's session is opened from home");
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.wait(20, 60);
    scene.step(6, "an image is pushed from the laptop");
    scene.push_image(&workload, &caller);
    scene.goal(40, "the service is restarted with it");
    scene.aws(
        &caller,
        "ecs:UpdateService",
        json!({"cluster": "shop", "service": workload.name, "forceNewDeployment": true}),
    );
}

fn layer(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 0);
    let workload = scene.service(Runs::Lambda, 2);
    let place = scene.rented(4);
    scene.step(0, "a stolen session of the identity provider opens AWS");
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "AWS");
    let caller = scene.take_role_by_login(&victim, &Role::new(PROD, "operator"), &place);
    scene.wait(20, 60);
    scene.step(3, "the function is looked at");
    scene.aws(&caller, "lambda:GetFunctionConfiguration20150331v2", json!({"functionName": workload.name}));
    scene.goal(8, "a layer of another account comes in front of it");
    let layers = ["arn:aws:lambda:eu-west-1:999900001111:layer:telemetry:3"];
    scene.aws_answered(
        &caller,
        "lambda:UpdateFunctionConfiguration20150331v2",
        json!({"functionName": workload.name, "layers": layers}),
        json!({"functionName": workload.name, "layers": [{"arn": layers[0]}]}),
    );
}

fn departed(scene: &mut Scene) {
    let leaver = scene.company.people[14].clone();
    let workload = scene.service(Runs::Ecs, 3);
    let repository = workload.repository();
    let git = Hand::git(&leaver, &scene.place(&leaver));
    scene.step(0, "the token of one who has left fetches");
    scene.github(&git, "git.fetch", &repository, json!({}));
    scene.step(12, "it pushes to the main branch");
    let commit = scene.draw.hex(40);
    let hand = Hand::person(&leaver, &scene.place(&leaver));
    scene.github(&git, "git.push", &repository, json!({}));
    scene.github(
        &git,
        "protected_branch.policy_override",
        &repository,
        json!({"branch": "refs/heads/main", "overridden_codes": ["review_policy_not_satisfied"]}),
    );
    scene.hook_push(&hand, &repository, "main", &commit, &["src/refund.go"]);
    scene.goal(13, "the pipeline deploys it");
    let run = scene.new_run("deploy", "push", "main", &commit);
    let running = scene.start_run(&repository, &hand, run);
    scene.release(&workload, &running);
    scene.end_run(&running, "success");
}

fn own_approval(scene: &mut Scene) {
    let workload = scene.service(Runs::Kubernetes, 1);
    let repository = workload.repository();
    let author = scene.person(Duty::Contractor, 1);
    let other = scene.person(Duty::Contractor, 2);
    let place = scene.place(&author);
    scene.step(0, "a change is proposed, and approved a minute later from the same place");
    let git = Hand::git(&author, &place);
    let (hand, second) = (Hand::person(&author, &place), Hand::person(&other, &place));
    let (commit, number) = (scene.draw.hex(40), scene.draw.between(100, 9_000));
    scene.github(&git, "git.push", &repository, json!({}));
    scene.hook_push(&hand, &repository, "tidy-up", &commit, &["src/pay.go", ".github/workflows/deploy.yml"]);
    scene.wait(20, 60);
    scene.hook_request(&hand, &hand, &repository, number, "opened", &commit);
    scene.wait(40, 70);
    scene.hook_review(&second, &repository, number, &commit);
    scene.github(&second, "pull_request_review.submit", &repository, json!({"pull_request_id": number}));
    scene.step(5, "it is merged");
    scene.hook_request(&hand, &hand, &repository, number, "closed", &commit);
    scene.hook_push(&hand, &repository, "main", &commit, &["src/pay.go", ".github/workflows/deploy.yml"]);
    scene.goal(6, "and deployed");
    scene.deploy(&workload, &second, &hand, &commit);
}

fn artefact_swapped(scene: &mut Scene) {
    let workload = scene.service(Runs::Lambda, 5);
    let (author, reviewer) = scene.owners(&workload);
    scene.meanwhile(0);
    let (at, near) = (scene.place(&author), scene.place(&reviewer));
    let commit = scene.merge_change(&workload.repository(), (&author, &at), (&reviewer, &near), &["src/tax.go"]);
    let hand = Hand::person(&author, &scene.place(&author));
    let run = scene.new_run("deploy", "push", "main", &commit);
    let running = scene.start_run(&workload.repository(), &hand, run);
    let caller = scene.role_of_run(&workload, &running);
    let key = format!("{}/release.zip", workload.name);
    scene.aws(&caller, "s3:PutObject", json!({"bucketName": "example-org-artifacts", "key": key}));
    scene.step(0, "the key of the mail relay, found in an old backup, writes over it");
    let thief = scene.company.clone();
    let day = scene.day();
    let thief = super::super::life::named(&thief, "mail-relay", day).elsewhere(&scene.rented(0), AWS_CLI[0]);
    scene.aws(&thief, "s3:PutObject", json!({"bucketName": "example-org-artifacts", "key": key}));
    scene.goal(0, "the honest run deploys it");
    scene.replace_function(&workload, &caller);
    scene.end_run(&running, "success");
}

fn cloud_run(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 13);
    let workload = scene.service(Runs::CloudRun, 0);
    let principal = Principal::new(&victim.email, &scene.place(&victim), GCLOUD);
    scene.step(0, "the service is looked at");
    let resource = format!("namespaces/{PROJECT}/services/{}", workload.name);
    scene.google(&principal, "run google.cloud.run.v1.Services.GetService", &resource, json!({}));
    scene.goal(5, "it is replaced");
    scene.replace_cloud_run(&workload, &principal);
    scene.step(8, "everybody may call it");
    let policy = json!({"serviceData": {"policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/run.invoker", "member": "allUsers"}]}}});
    scene.google(&principal, "run google.cloud.run.v1.Services.SetIamPolicy", &resource, policy);
}

fn gitlab_branch(scene: &mut Scene) {
    let company = scene.company.clone();
    // Of the services that GitLab builds.
    let Some(workload) = company.workloads.iter().find(|workload| workload.built == Built::Gitlab) else {
        return;
    };
    let victim = scene.person(Duty::Engineer, 33);
    let place = scene.rented(4);
    scene.step(0, "a token is made for the project");
    let token = ("PersonalAccessToken", "release");
    scene.gitlab_audit(&victim, workload.name, "project_access_token_created", token, &place);
    scene.step(4, "the main branch is no longer protected");
    scene.gitlab_audit(&victim, workload.name, "protected_branch_removed", ("ProtectedBranch", "main"), &place);
    scene.goal(7, "a push is deployed");
    scene.deploy_by_gitlab(workload, &victim, &place);
}
