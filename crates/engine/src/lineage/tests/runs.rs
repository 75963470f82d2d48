//! Which runs of a workflow a token may have been given to.

use serde_json::{Value, json};

use super::joins::{MAIN, both, chain};
use super::*;
use crate::lineage::Confidence;

/// One step back from a session stands its subject, and one more the runs that may have had the token.
#[track_caller]
fn expect(reason: &str, subject: &str, runs: &[Value], confidence: Confidence, candidates: &[&str]) {
    let session = temporary("run");
    let lineage = both(&[assume_by_oidc("09:00:00", subject, &session)], runs);
    let steps = chain(&lineage, &session);
    assert_eq!(steps.len(), 2, "{reason}");
    assert_eq!(steps[0], (Confidence::Exact, vec![format!("GitHub workflow {subject}")]), "{reason}");
    let candidates = candidates.iter().map(|run| (*run).to_owned()).collect();
    assert_eq!(steps[1], (confidence, candidates), "{reason}");
}

fn run(number: u64, more: Value) -> Value {
    job("08:59:00", number, more)
}

#[test]
fn a_run_is_a_unique_candidate_only_while_no_other_fits() {
    let branch = |name: &str| json!({ "head_branch": name });
    // (reason, subject, runs, confidence, candidates)
    let table = [
        ("one run", MAIN, vec![run(1, branch("main"))], Confidence::UniqueCandidate, vec!["run 1"]),
        (
            "another branch",
            MAIN,
            vec![run(1, branch("main")), run(2, branch("x"))],
            Confidence::UniqueCandidate,
            vec!["run 1"],
        ),
        (
            "two runs in the same second",
            MAIN,
            vec![run(1, branch("main")), run(2, branch("main"))],
            Confidence::Ambiguous,
            vec!["run 1", "run 2"],
        ),
        (
            "branch not told",
            MAIN,
            vec![run(1, branch("main")), run(2, json!({}))],
            Confidence::Ambiguous,
            vec!["run 1", "run 2"],
        ),
        (
            "jobs of a matrix are one run",
            MAIN,
            vec![run(1, json!({ "head_branch": "main", "job_name": "a" })), run(1, json!({ "job_name": "b" }))],
            Confidence::UniqueCandidate,
            vec!["run 1"],
        ),
        (
            "a rerun is the same run, long after its first attempt",
            MAIN,
            vec![
                job("01:00:00", 1, branch("main")),
                job("01:30:00", 1, json!({ "action": "workflows.completed_workflow_run" })),
                job("08:59:30", 1, json!({ "head_branch": "main", "run_attempt": 2 })),
            ],
            Confidence::UniqueCandidate,
            vec!["run 1"],
        ),
        (
            "over before",
            MAIN,
            vec![
                job("07:00:00", 1, branch("main")),
                job("07:30:00", 1, json!({ "action": "workflows.completed_workflow_run" })),
                run(2, branch("main")),
            ],
            Confidence::UniqueCandidate,
            vec!["run 2"],
        ),
        ("other repository", MAIN, vec![run(1, json!({ "repo": "acme/shop2" }))], Confidence::None, vec![]),
        ("begun later", MAIN, vec![job("09:30:00", 1, branch("main"))], Confidence::None, vec![]),
    ];
    for (reason, subject, runs, confidence, candidates) in table {
        expect(reason, subject, &runs, confidence, &candidates);
    }
}

#[test]
fn environments_and_workflows_tell_runs_apart() {
    // (reason, subject, runs, confidence, candidates)
    let table = [
        (
            "the environment hides the ref and tells the run",
            "repo:acme/shop:environment:production",
            vec![run(1, json!({ "environment_name": "staging" })), run(2, json!({ "environment_name": "production" }))],
            Confidence::UniqueCandidate,
            vec!["run 2"],
        ),
        (
            "a reusable workflow belongs to the run of its caller",
            "repo:acme/shop:job_workflow_ref:acme/ci/.github/workflows/deploy.yml@refs/heads/main",
            vec![
                run(1, json!({ "job_workflow_ref": "acme/ci/.github/workflows/deploy.yml@refs/heads/main" })),
                run(2, json!({ "job_workflow_ref": "acme/shop/.github/workflows/test.yml@refs/heads/main" })),
                run(3, json!({ "repo": "acme/ci", "head_branch": "main" })),
            ],
            Confidence::UniqueCandidate,
            vec!["run 1"],
        ),
        (
            "a subject of the workflow alone",
            "repository_owner:acme:job_workflow_ref:acme/ci/.github/workflows/deploy.yml@v1",
            vec![run(1, json!({ "job_workflow_ref": "acme/ci/.github/workflows/deploy.yml@v1" })), run(2, json!({}))],
            Confidence::UniqueCandidate,
            vec!["run 1"],
        ),
    ];
    for (reason, subject, runs, confidence, candidates) in table {
        expect(reason, subject, &runs, confidence, &candidates);
    }
}
