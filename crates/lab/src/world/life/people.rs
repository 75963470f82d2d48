//! People at work: they sign in, write code, look at what they have deployed, and go home.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::calendar::Day;
use super::super::company::Company;
use super::super::log::Log;
use super::super::person::{Duty, Person};
use super::super::record::{Hand, Login};

/// Writes a day of everybody.
pub(super) fn day(log: &mut Log, day: Day) {
    let company = Arc::clone(&log.company);
    for person in &company.people {
        log.turn("person", person.number, day, company.calendar.begin(day));
        if company.works(person, day) {
            working_day(log, &company, person, day);
        } else if person.is_there(day) && log.draw.percent(6) {
            // Some look after their own things on days off.
            log.now = company.calendar.at(day, log.draw.clone().between(600, 1300));
            evening(log, person);
        }
    }
    log.turn("on call", 0, day, company.calendar.begin(day));
    on_call(log, &company, day);
}

fn working_day(log: &mut Log, company: &Company, person: &Person, day: Day) {
    let begins = company.begins(person, day);
    let place = company.place(person, day);
    log.now = company.calendar.at(day, begins);
    log.wait(0, 900);
    let login = morning(log, person, &place);
    let code = person.habit.code_events;
    let git_events = log.draw.between(code / 2, code * 3 / 2);
    // What is done in the day in which order, and how much of it.
    let habit = &person.habit;
    let parts = [
        (habit.cloud_percent, Part::Aws),
        (habit.cluster_percent, Part::Cluster),
        (habit.vault_percent, Part::Vault),
        (habit.google_percent, Part::Google),
    ];
    write_code(log, person, &place, git_events / 2, day);
    for (percent, part) in parts {
        if !log.draw.percent(percent) {
            continue;
        }
        log.wait(300, 3600);
        match part {
            Part::Aws => {
                let calls = log.draw.between(8, 45);
                log.use_aws(person, &login, calls);
            }
            Part::Cluster => {
                let requests = log.draw.between(10, 60);
                log.use_cluster(person, &login, requests);
            }
            Part::Vault => {
                let requests = log.draw.between(2, 9);
                log.use_vault(person, &login, requests);
            }
            Part::Google => {
                let calls = log.draw.between(5, 25);
                log.use_google(person, &login, calls);
            }
        }
    }
    write_code(log, person, &place, git_events - git_events / 2, day);
    for app in ["Calendar", "Wiki", "Chat"] {
        if log.draw.percent(60) {
            log.open_app(person, &login, app);
            log.wait(60, 1800);
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Aws,
    Cluster,
    Vault,
    Google,
}

/// The first sign-in of a day; a password is mistyped once in a while.
fn morning(log: &mut Log, person: &Person, place: &str) -> Login {
    if log.draw.percent(4) {
        let tried =
            Login { session: "unknown".to_owned(), address: place.to_owned(), agent: person.browser().to_owned() };
        log.okta(person, &tried, "user.session.start", Err("INVALID_CREDENTIALS"), Value::Null);
        log.wait(8, 25);
    }
    let login = log.sign_in(person, place, person.browser());
    log.open_app(person, &login, "Chat");
    if person.habit.code_events > 5 {
        log.open_app(person, &login, "GitHub");
    }
    login
}

/// Git and the website of GitHub, on the repositories that somebody is used to.
fn write_code(log: &mut Log, person: &Person, place: &str, events: u64, day: Day) {
    let git = Hand::git(person, place);
    let browser = Hand::person(person, place);
    for _ in 0..events {
        let own = log.own_service(person);
        let repository =
            if log.draw.percent(85) && own.lives(day) { own.repository() } else { "example-org/handbook".to_owned() };
        match log.draw.below(100) {
            0..45 => log.github(&git, "git.fetch", &repository, json!({})),
            45..60 => {
                log.github(&git, "git.push", &repository, json!({}));
                let (branch, commit) = (format!("{}-wip", person.login), log.draw.hex(40));
                log.hook_push(&browser, &repository, &branch, &commit, &["src/main.go"]);
            }
            60..66 => log.github(&git, "git.clone", &repository, json!({})),
            66..80 => log.github(&browser, "pull_request_review_comment.create", &repository, json!({})),
            80..90 => log.github(&browser, "issue_comment.update", &repository, json!({})),
            90..94 => {
                let commit = log.draw.hex(40);
                let run = log.new_run("test", "pull_request", &format!("{}-wip", person.login), &commit);
                log.test(&browser, &repository, &run);
            }
            94..98 => log.github(&browser, "pull_request.create", &repository, json!({})),
            _ => log.github(&browser, "repo.download_zip", &repository, json!({})),
        }
        log.wait(60, 1300);
    }
}

/// A look from the telephone or the sofa.
fn evening(log: &mut Log, person: &Person) {
    let place = if log.draw.percent(40) { person.mobile(&mut log.draw) } else { person.home() };
    let login = log.sign_in(person, &place, "OktaMobile/7.40 (iPhone; iOS 18.6)");
    log.open_app(person, &login, "Chat");
    if person.duty == Duty::Engineer && log.draw.percent(40) {
        let own = log.own_service(person);
        log.wait(60, 600);
        log.github(&Hand::git(person, &log.place(person)), "git.fetch", &own.repository(), json!({}));
    }
}

/// Whoever is on call is called up to twice a night, weekends included, and looks at what is the matter.
fn on_call(log: &mut Log, company: &Company, day: Day) {
    let person = company.on_call(day);
    for _ in 0..log.draw.below(3) {
        let minutes = log.draw.between(0, 1439);
        log.now = company.calendar.at(day, minutes);
        log.wait(0, 59);
        let login = log.sign_in(person, &log.place(person), person.browser());
        let (calls, requests) = (log.draw.between(10, 40), log.draw.between(10, 40));
        log.use_aws(person, &login, calls);
        log.use_cluster(person, &login, requests);
    }
}
