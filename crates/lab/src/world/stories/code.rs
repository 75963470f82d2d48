//! Against source code: who reads it, who may change it, where it goes.

use serde_json::json;

use super::super::network::{CAFE, VPN};
use super::super::person::Duty;
use super::super::record::Hand;
use super::super::workload::Runs;
use super::{Scene, Story};

pub(super) const STORIES: [Story; 6] = [
    Story {
        name: "stolen-token-clones-everything",
        sentence: "A token copied from a laptop clones every repository from a rented server within minutes.",
        techniques: &["T1528", "T1213.003"],
        start: (10, 13 * 60 + 5),
        script: clones_everything,
    },
    Story {
        name: "token-reads-what-its-owner-reads",
        sentence: "A stolen token takes, a few a day and in office hours, repositories next to those its owner works on.",
        techniques: &["T1528", "T1213.003", "T1074"],
        start: (14, 9 * 60 + 30),
        script: reads_like_its_owner,
    },
    Story {
        name: "branch-protection-lifted-and-restored",
        sentence: "An administrator's session lifts a rule for four minutes, pushes past review and puts the rule back.",
        techniques: &["T1556", "T1554"],
        start: (15, 16 * 60 + 40),
        script: protection_lifted,
    },
    Story {
        name: "repository-made-public",
        sentence: "Somebody who leaves tomorrow makes a private repository public for an hour.",
        techniques: &["T1567.001"],
        start: (11, 18 * 60 + 10),
        script: made_public,
    },
    Story {
        name: "deploy-key-added",
        sentence: "A key that may write is added to a repository and pushes at night, when no person is signed in.",
        techniques: &["T1098.004", "T1554"],
        start: (17, 15 * 60),
        script: deploy_key,
    },
    Story {
        name: "webhook-for-exfiltration",
        sentence: "A webhook is pointed at a stranger's server, so that every push is sent there too.",
        techniques: &["T1020", "T1567"],
        start: (22, 10 * 60 + 20),
        script: webhook,
    },
];

fn clones_everything(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 11);
    let thief = Hand::git(&victim, &scene.place(&victim)).elsewhere(&scene.rented(0), "git/2.34.1");
    scene.step(0, "the token lists what it may see");
    let known = scene.company.workloads[victim.habit.services[0]].repository();
    scene.github(&thief, "git.fetch", &known, json!({}));
    scene.goal(3, "it clones every repository");
    let repositories: Vec<String> = scene.company.repositories().collect();
    for repository in repositories {
        scene.github(&thief, "git.clone", &repository, json!({}));
        scene.wait(2, 9);
    }
}

fn reads_like_its_owner(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 19);
    // A proxy in the owner's own country.
    let thief = Hand::git(&victim, &scene.place(&victim)).elsewhere(&scene.rented(2), victim.git());
    let repositories: Vec<String> = scene.company.repositories().collect();
    for day in 0..5 {
        let says = "a few repositories that a colleague might read";
        if day == 4 {
            scene.goal(day * 1440, "the repository with the signing tools");
            scene.github(&thief, "git.clone", "example-org/deploy-tools", json!({}));
            return;
        }
        scene.step(day * 1440, says);
        for _ in 0..3 {
            let repository = scene.draw.pick(&repositories).clone();
            scene.github(&thief, "git.clone", &repository, json!({}));
            scene.wait(1200, 5400);
        }
    }
}

fn protection_lifted(scene: &mut Scene) {
    let lead = scene.person(Duty::Lead, 3);
    let workload = scene.service(Runs::Ecs, 1);
    let repository = workload.repository();
    let hand = Hand::person(&lead, &scene.place(&lead)).elsewhere(&scene.on(VPN), lead.browser());
    scene.step(0, "the rule of the main branch is removed");
    scene.github(&hand, "protected_branch.destroy", &repository, json!({"name": "main"}));
    scene.hook(
        "branch_protection_rule",
        &hand,
        &repository,
        json!({"action": "deleted", "rule": {"id": 3, "name": "main", "admin_enforced": true}}),
    );
    scene.step(1, "a commit goes straight to the main branch");
    let commit = scene.draw.hex(40);
    scene.github(&hand, "git.push", &repository, json!({}));
    scene.hook_push(&hand, &repository, "main", &commit, &["src/checkout.go"]);
    scene.step(4, "the rule is put back");
    scene.github(&hand, "protected_branch.create", &repository, json!({"name": "main"}));
    scene.hook(
        "branch_protection_rule",
        &hand,
        &repository,
        json!({"action": "created", "rule": {"id": 4, "name": "main", "admin_enforced": true}}),
    );
    scene.goal(6, "the pipeline deploys what nobody reviewed");
    let approver = Hand::person(&lead, &hand.address);
    scene.deploy(&workload, &approver, &hand, &commit);
}

fn made_public(scene: &mut Scene) {
    let leaver = scene.company.people[30].clone();
    let hand = Hand::person(&leaver, &scene.place(&leaver));
    let repository = scene.service(Runs::Lambda, 2).repository();
    scene.step(0, "the settings of a repository are opened from home");
    scene.github(&hand, "git.clone", &repository, json!({}));
    scene.goal(4, "it is made public");
    scene.github(
        &hand,
        "repo.access",
        &repository,
        json!({"visibility": "public", "previous_visibility": "private", "public_repo": true}),
    );
    scene.hook("repository", &hand, &repository, json!({"action": "publicized", "changes": {}}));
    scene.step(64, "it is made private again");
    scene.github(&hand, "repo.access", &repository, json!({"visibility": "private", "previous_visibility": "public"}));
    scene.hook("repository", &hand, &repository, json!({"action": "privatized", "changes": {}}));
}

fn deploy_key(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 23);
    let workload = scene.service(Runs::Lambda, 3);
    let repository = workload.repository();
    let hand = Hand::person(&victim, &scene.on(CAFE));
    scene.step(0, "a key that may write is added from a cafe");
    let fingerprint = format!("SHA256:{}", scene.draw.base64(43));
    scene.github(
        &hand,
        "public_key.create",
        &repository,
        json!({"title": "ci", "read_only": false, "public_key_fingerprint": fingerprint}),
    );
    scene.hook(
        "deploy_key",
        &hand,
        &repository,
        json!({"action": "created", "key": {"id": 31, "title": "ci", "read_only": false}}),
    );
    scene.step(11 * 60, "the key reads at night");
    let key =
        Hand { login: victim.login.clone(), agent: "git/2.34.1".to_owned(), ..hand.elsewhere(&scene.rented(3), "") };
    let by_key = json!({"public_key_fingerprint": fingerprint, "programmatic_access_type": "Deploy key", "transport_protocol": 2, "transport_protocol_name": "ssh"});
    scene.github(&key, "git.clone", &repository, by_key.clone());
    scene.goal(11 * 60 + 20, "the key pushes to the main branch");
    let commit = scene.draw.hex(40);
    scene.github(&key, "git.push", &repository, by_key);
    scene.hook_push(&key, &repository, "main", &commit, &["src/session.go"]);
}

fn webhook(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 1);
    let hand = Hand::person(&victim, &scene.rented(4));
    let repository = "example-org/infrastructure";
    scene.step(0, "a look at the hooks that exist");
    scene.github(&hand, "git.fetch", repository, json!({}));
    scene.goal(5, "a hook is added that sends pushes elsewhere");
    scene.github(&hand, "hook.create", repository, json!({"hook_id": 3199, "events": ["push", "secret_scanning_alert"], "active": true, "config": {"url": "https://collect.example.net/in", "insecure_ssl": "1"}}));
}
