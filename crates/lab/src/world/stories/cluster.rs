//! Against the cluster and Google Cloud.

use serde_json::json;

use super::super::company::PROJECT;
use super::super::life::{SECRET, google_secret};
use super::super::names::{GCLOUD, KUBECTL};
use super::super::person::Duty;
use super::super::record::{Principal, User};
use super::super::workload::Runs;
use super::{Scene, Story};

pub(super) const STORIES: [Story; 6] = [
    Story {
        name: "cluster-secrets-swept",
        sentence: "A pod that was broken into lists the secrets of every namespace that its account may see.",
        techniques: &["T1552.007", "T1613"],
        start: (11, 20 * 60 + 50),
        script: swept,
    },
    Story {
        name: "pod-token-used-outside-the-cluster",
        sentence: "The token of a pod's account is used against the API server from a rented server.",
        techniques: &["T1528", "T1552.007"],
        start: (16, 4 * 60 + 25),
        script: token_outside,
    },
    Story {
        name: "privileged-pod",
        sentence: "A stolen session starts a pod that sees the machine beneath it, and executes in it.",
        techniques: &["T1610", "T1611", "T1609"],
        start: (21, 18 * 60 + 35),
        script: privileged,
    },
    Story {
        name: "service-account-key-used-abroad",
        sentence: "A key of a service account at Google is made by a person and used from abroad the same night.",
        techniques: &["T1098.001", "T1078.004"],
        start: (18, 15 * 60 + 15),
        script: key_abroad,
    },
    Story {
        name: "impersonation-granted",
        sentence: "Somebody lets themselves act as the account of the warehouse, and reads secrets as it.",
        techniques: &["T1098.003", "T1548.005"],
        start: (24, 11 * 60 + 20),
        script: impersonation,
    },
    Story {
        name: "cluster-administrator-bound",
        sentence: "An operator binds a service account to the administrator's role and leaves it for later.",
        techniques: &["T1098.006", "T1078.004"],
        start: (23, 16 * 60 + 45),
        script: bound,
    },
];

fn namespaces(scene: &Scene) -> Vec<&'static str> {
    let mut found: Vec<&str> = scene.company.workloads.iter().map(|workload| workload.team).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn swept(scene: &mut Scene) {
    let workload = scene.service(Runs::Kubernetes, 0);
    let pod = User::pod(&workload, "10.20.77.12").elsewhere("10.20.77.12", "curl/8.5.0");
    scene.step(0, "the pod asks what it may do");
    scene.kube(&pod, "create selfsubjectrulesreviews", "");
    scene.step(2, "it lists pods");
    for namespace in namespaces(scene) {
        scene.kube(&pod, "list pods", namespace);
        scene.wait(1, 4);
    }
    scene.goal(4, "and secrets");
    for (number, namespace) in namespaces(scene).into_iter().enumerate() {
        if number % 4 == 3 {
            scene.kube_refused(&pod, "list secrets", namespace);
        } else {
            scene.kube(&pod, "list secrets", namespace);
        }
        scene.wait(1, 4);
    }
}

fn token_outside(scene: &mut Scene) {
    let workload = scene.service(Runs::Kubernetes, 4);
    let thief = User::pod(&workload, "").elsewhere(&scene.rented(5), KUBECTL);
    scene.step(0, "the account of a pod speaks from outside");
    scene.kube(&thief, "create selfsubjectaccessreviews", "");
    scene.step(3, "it looks at its own namespace");
    scene.kube(&thief, "list pods", workload.team);
    scene.wait(4, 20);
    scene.kube(&thief, "get configmaps", &format!("{}/{}", workload.team, workload.name));
    scene.goal(6, "and reads its secret, as the pod does every day");
    scene.kube(&thief, "get secrets", &format!("{}/{}", workload.team, workload.name));
}

fn privileged(scene: &mut Scene) {
    let victim = scene.person(Duty::Sre, 5);
    let place = scene.rented(3);
    scene.step(0, "an operator's session reaches the cluster");
    let login = scene.sign_in(&victim, &place, victim.browser());
    scene.open_app(&victim, &login, "Cluster");
    let user = User::person(&victim, &login.session, &place);
    scene.kube(&user, "list nodes", "");
    scene.step(4, "a pod starts that sees its machine");
    let pod = json!({"kind": "Pod", "metadata": {"name": "debug-0", "namespace": "kube-system"}, "spec": {"hostPID": true, "hostNetwork": true, "containers": [{"name": "d", "image": "alpine", "securityContext": {"privileged": true}, "volumeMounts": [{"name": "root", "mountPath": "/host"}]}], "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}});
    scene.kube_sent(&user, "create pods", "kube-system/debug-0", &pod);
    scene.goal(6, "and somebody goes in");
    scene.kube(&user, "create pods/exec", "kube-system/debug-0");
    scene.step(30, "it is deleted");
    scene.kube(&user, "delete pods", "kube-system/debug-0");
}

fn key_abroad(scene: &mut Scene) {
    let victim = scene.person(Duty::Analyst, 2);
    let email = format!("warehouse@{PROJECT}.iam.gserviceaccount.com");
    let owner = Principal::new(&victim.email, &scene.place(&victim), GCLOUD);
    let name = scene.draw.hex(40);
    scene.step(0, "a key of the warehouse's account is made");
    let resource = format!("projects/-/serviceAccounts/{email}");
    let key = format!("projects/{PROJECT}/serviceAccounts/{email}/keys/{name}");
    scene.google(
        &owner,
        "iam google.iam.admin.v1.CreateServiceAccountKey",
        &resource,
        json!({"request": {"name": resource}, "response": {"name": key}}),
    );
    scene.step(9 * 60, "it is tried out from abroad");
    let thief = Principal::with_key(&email, &name, &scene.rented(1), "python-requests/2.32.4");
    scene.google(&thief, "cloudresourcemanager GetProject", &format!("projects/{PROJECT}"), json!({}));
    scene.goal(9 * 60 + 5, "and copies tables");
    for _ in 0..25 {
        let job = format!("projects/{PROJECT}/jobs/x{}", scene.draw.hex(10));
        scene.google(&thief, "bigquery google.cloud.bigquery.v2.JobService.InsertJob", &job, json!({}));
        scene.wait(5, 30);
    }
}

fn impersonation(scene: &mut Scene) {
    let victim = scene.person(Duty::Engineer, 41);
    let email = format!("warehouse@{PROJECT}.iam.gserviceaccount.com");
    let place = scene.rented(2);
    let owner = Principal::new(&victim.email, &place, GCLOUD);
    let resource = format!("projects/{PROJECT}/serviceAccounts/{email}");
    scene.step(0, "a stolen session may act as the account");
    let policy = json!({"serviceData": {"policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/iam.serviceAccountTokenCreator", "member": format!("user:{}", victim.email)}]}}});
    scene.google(&owner, "iam google.iam.admin.v1.SetIAMPolicy", &resource, policy);
    scene.step(3, "it makes a token");
    scene.google(&owner, "iamcredentials GenerateAccessToken", &resource, json!({}));
    scene.goal(5, "and reads secrets as it");
    let acting = Principal::on_behalf(&email, &victim.email, &place, GCLOUD);
    for number in 0..10 {
        let secret = scene.company.workloads[number].secrets[0].clone();
        scene.google(&acting, SECRET, &google_secret(&secret), json!({}));
        scene.wait(2, 9);
    }
}

fn bound(scene: &mut Scene) {
    let insider = scene.person(Duty::Sre, 7);
    let place = scene.place(&insider);
    scene.meanwhile(0);
    let login = scene.sign_in(&insider, &place, insider.browser());
    scene.open_app(&insider, &login, "Cluster");
    let user = User::person(&insider, &login.session, &place);
    scene.kube(&user, "list pods", "kube-system");
    scene.step(6, "a service account is made");
    scene.kube_sent(
        &user,
        "create serviceaccounts",
        "kube-system/metrics-agent",
        &json!({"kind": "ServiceAccount", "metadata": {"name": "metrics-agent"}}),
    );
    scene.goal(8, "it is bound to the administrator's role");
    let binding = json!({"kind": "ClusterRoleBinding", "metadata": {"name": "metrics-agent"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [{"kind": "ServiceAccount", "name": "metrics-agent", "namespace": "kube-system"}]});
    scene.kube_sent(&user, "create clusterrolebindings", "/metrics-agent", &binding);
    scene.step(10, "it gets a token that lasts");
    scene.kube_sent(
        &user,
        "create serviceaccounts/token",
        "kube-system/metrics-agent",
        &json!({"kind": "TokenRequest", "spec": {"expirationSeconds": 31_536_000}}),
    );
}
