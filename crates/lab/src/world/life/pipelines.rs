//! Which service is deployed when, by whom, by which pipeline; and the tests of changes that wait.

use std::sync::Arc;

use serde_json::json;

use super::super::calendar::Day;
use super::super::company::{Company, PROD};
use super::super::log::Log;
use super::super::names::{BOTO, LIBRARIES};
use super::super::network::OWN_RUNNERS;
use super::super::person::Person;
use super::super::record::{Gitlab, Hand, Role};
use super::super::workload::{Built, Runs, Workload};

/// Writes a day's deploys.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    for workload in company.workloads.iter().filter(|workload| workload.lives(day)) {
        log.turn("deploys", workload.number, day, company.calendar.begin(day));
        // A new service is deployed again and again in its first days; almost nobody deploys at a weekend.
        let fresh = workload.born.is_some_and(|born| day < born + 5);
        let deploys = match (company.calendar.is_weekend(day), company.calendar.weekday(day)) {
            (true, _) => u64::from(log.draw.percent(4)),
            (false, 4) => log.draw.below(2),
            (false, _) => log.draw.below(if fresh { 6 } else { 4 }),
        };
        for which in 0..deploys {
            log.turn(
                "deploy",
                workload.number * 8 + usize::try_from(which).unwrap_or(0),
                day,
                company.calendar.begin(day),
            );
            one(log, &company, workload, day);
        }
    }
    for (number, library) in LIBRARIES.iter().enumerate() {
        log.turn("library", number, day, company.calendar.begin(day));
        library_change(log, &company, library, day);
    }
}

fn one(log: &mut Log, company: &Company, workload: &Workload, day: Day) {
    let owners = company.owners(workload);
    let first = log.draw.place(owners.len());
    let (author, reviewer) = (owners[first], owners[(first + 1) % owners.len()]);
    let both_work = company.works(author, day) && company.works(reviewer, day);
    if !both_work && !company.calendar.is_weekend(day) {
        return;
    }
    let begins = company.begins(author, day);
    let minutes = begins + log.draw.between(20, 420);
    log.now = company.calendar.at(day, minutes);
    log.wait(0, 59);
    let places = (log.place(author), log.place(reviewer));
    match workload.built {
        Built::Actions => {
            let files = ["src/main.go", "src/handler.go", "go.sum"];
            let commit = log.merge_change(&workload.repository(), (author, &places.0), (reviewer, &places.1), &files);
            let (hand, approver) = (Hand::person(author, &places.0), Hand::person(reviewer, &places.1));
            log.deploy(workload, &approver, &hand, &commit);
        }
        Built::Gitlab => log.deploy_by_gitlab(workload, author, &places.0),
        Built::CodePipeline => log.deploy_by_code_pipeline(workload),
    }
}

/// A change to what is not deployed: tests only.
fn library_change(log: &mut Log, company: &Company, library: &str, day: Day) {
    if company.calendar.is_weekend(day) || !log.draw.percent(55) {
        return;
    }
    let engineers: Vec<&Person> =
        company.people.iter().filter(|person| person.habit.code_events > 10 && company.works(person, day)).collect();
    if engineers.len() < 2 {
        return;
    }
    let first = log.draw.place(engineers.len());
    // Somebody else reviews.
    let second = (first + 1 + log.draw.place(engineers.len() - 1)) % engineers.len();
    let (author, reviewer) = (engineers[first], engineers[second]);
    let minutes = company.begins(author, day) + log.draw.between(30, 420);
    log.now = company.calendar.at(day, minutes);
    let places = (log.place(author), log.place(reviewer));
    log.merge_change(
        &format!("example-org/{library}"),
        (author, &places.0),
        (reviewer, &places.1),
        &["README.md", "lib.go"],
    );
}

impl Log {
    /// A deploy by GitLab: push, pipeline, job, role, change.
    pub(in crate::world) fn deploy_by_gitlab(&mut self, workload: &Workload, author: &Person, place: &str) {
        let run =
            Gitlab { project: workload.name, pipeline: self.draw.between(300_000, 900_000), commit: self.draw.hex(40) };
        self.gitlab_audit(author, workload.name, "merge_request_approval_operation", ("MergeRequest", "change"), place);
        self.gitlab_audit(author, workload.name, "repository_git_operation", ("Project", workload.name), place);
        self.gitlab_push(author, &run);
        self.wait(1, 4);
        self.gitlab_pipeline(author, &run, "running");
        self.wait(60, 300);
        self.gitlab_job(author, &run, "running");
        self.wait(5, 20);
        let address = OWN_RUNNERS.address(self.draw.below(6));
        let subject = format!("project_path:example-group/{}:ref_type:branch:ref:main", workload.name);
        let caller = self.take_role_by_gitlab(&workload.deploy_role(), &subject, run.pipeline * 10 + 1, &address);
        self.wait(2, 6);
        self.push_image(workload, &caller);
        self.replace_task(workload, &caller);
        self.gitlab_job(author, &run, "success");
        self.wait(1, 3);
        self.gitlab_pipeline(author, &run, "success");
    }

    /// A deploy by CodePipeline: source, build by a role of its own, change.
    pub(in crate::world) fn deploy_by_code_pipeline(&mut self, workload: &Workload) {
        let (execution, build, commit) = (self.draw.uuid(), self.draw.uuid(), self.draw.hex(40));
        self.code_pipeline(workload.name, &execution, "STARTED");
        self.wait(5, 20);
        self.code_action(workload.name, &execution, "Source", &commit);
        self.wait(5, 20);
        let role = Role::new(PROD, format!("build-{}", workload.name));
        let address = workload.address(super::super::network::AWS, 7);
        let caller = self.take_role_by_service(&role, "codebuild", &format!("AWSCodeBuild-{build}"), (&address, BOTO));
        self.wait(2, 6);
        self.aws(
            &caller,
            "logs:CreateLogStream",
            json!({"logGroupName": format!("/aws/codebuild/{}", workload.name), "logStreamName": build}),
        );
        if workload.runs == Runs::Ecs {
            self.push_image(workload, &caller);
        }
        self.code_action(workload.name, &execution, "Build", &format!("{}:{build}", workload.name));
        self.wait(10, 40);
        match workload.runs {
            Runs::Lambda => self.replace_function(workload, &caller),
            Runs::Ecs | Runs::Kubernetes | Runs::CloudRun => self.replace_task(workload, &caller),
        }
        self.code_action(workload.name, &execution, "Deploy", &self.draw.clone().uuid());
        self.wait(2, 10);
        self.code_pipeline(workload.name, &execution, "SUCCEEDED");
    }
}
