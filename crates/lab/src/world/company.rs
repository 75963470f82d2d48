//! Who works there and what runs there: made once from the seed, then only read.

use super::calendar::{Calendar, Day};
use super::draw::Draw;
use super::names::{FIRST, LAST, LIBRARIES, SERVICES, TEAMS};
use super::network::Office;
use super::person::{Duty, Habit, Person};
use super::workload::{Built, Runs, Workload};

/// The organisation at GitHub, and the domain before `.example`.
pub(super) const ORG: &str = "example-org";
/// The domain of everybody's address.
pub(super) const DOMAIN: &str = "example.org";
/// The account that serves customers.
pub(super) const PROD: &str = "111122223333";
/// Where things are tried out.
pub(super) const STAGING: &str = "444455556666";
/// The account of a vendor who is paid to look.
pub(super) const VENDOR: &str = "555566667777";
/// Somebody else's account.
pub(super) const STRANGER: &str = "999900001111";
/// The project at Google.
pub(super) const PROJECT: &str = "example-prod";

/// The company.
#[derive(Clone, Debug)]
pub(super) struct Company {
    pub(super) seed: u64,
    pub(super) calendar: Calendar,
    pub(super) people: Vec<Person>,
    pub(super) workloads: Vec<Workload>,
}

/// Of a hundred people, how many do what; the others are engineers.
const DUTIES: [(Duty, usize); 5] =
    [(Duty::Sre, 8), (Duty::Security, 4), (Duty::Lead, 12), (Duty::Contractor, 10), (Duty::Analyst, 6)];

impl Company {
    /// A company of so many people and services, of which some join and some leave within the days.
    pub(super) fn new(seed: u64, calendar: Calendar, people: usize, services: usize) -> Self {
        let workloads: Vec<Workload> = (0..services).map(|number| workload(seed, number, calendar)).collect();
        let people = (0..people).map(|number| person(seed, number, people, calendar, &workloads)).collect();
        Self { seed, calendar, people, workloads }
    }

    /// Those with a duty, in order.
    pub(super) fn with(&self, duty: Duty) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |person| person.duty == duty)
    }

    /// The person of that number among those with a duty who stay all the time; counts round.
    pub(super) fn nth(&self, duty: Duty, number: usize) -> &Person {
        let stay = |person: &&Person| person.joined.is_none() && person.left.is_none();
        let these: Vec<&Person> = self.with(duty).filter(stay).collect();
        these[number % these.len()]
    }

    /// The service of that number among those that Actions deploys to a place.
    pub(super) fn deployed(&self, runs: Runs, number: usize) -> &Workload {
        let these: Vec<&Workload> = self
            .workloads
            .iter()
            .filter(|workload| workload.runs == runs && workload.built == Built::Actions && workload.born.is_none())
            .collect();
        these[number % these.len()]
    }

    /// Whether that is a working day of somebody: the same answer whoever asks.
    pub(super) fn works(&self, person: &Person, day: Day) -> bool {
        person.works(self.calendar, day, &mut Draw::of(self.seed, "works", person.number as u64, u64::from(day)))
    }

    /// When their working day begins, in minutes of the UTC day.
    pub(super) fn begins(&self, person: &Person, day: Day) -> u64 {
        person.begins(self.calendar, day, &mut Draw::of(self.seed, "begins", person.number as u64, u64::from(day)))
    }

    /// Where they work from that day.
    pub(super) fn place(&self, person: &Person, day: Day) -> String {
        person.place(self.calendar, day, &mut Draw::of(self.seed, "place", person.number as u64, u64::from(day)))
    }

    /// Who is on call that week: a site reliability engineer.
    pub(super) fn on_call(&self, day: Day) -> &Person {
        self.nth(Duty::Sre, Calendar::week(day) as usize)
    }

    /// Who wrote most of a service and who reviews it: two of its team.
    pub(super) fn owners(&self, workload: &Workload) -> Vec<&Person> {
        let of_team = |person: &&Person| person.team == workload.team && person.duty == Duty::Engineer;
        let stay = |person: &&Person| person.joined.is_none() && person.left.is_none();
        let mut these: Vec<&Person> = self.people.iter().filter(of_team).filter(stay).collect();
        if these.len() < 2 {
            these.extend((0..2).map(|more| self.nth(Duty::Engineer, workload.number * 2 + more)));
        }
        these
    }

    /// Every repository: those of the services, then the libraries.
    pub(super) fn repositories(&self) -> impl Iterator<Item = String> {
        let services = self.workloads.iter().map(|workload| workload.repository());
        services.chain(LIBRARIES.iter().map(|name| format!("{ORG}/{name}")))
    }
}

/// Number of a repository at GitHub.
pub(super) fn repository_id(repository: &str) -> u64 {
    80_000_000 + Draw::of(0, repository, 0, 0).below(9_000_000)
}

fn workload(seed: u64, number: usize, calendar: Calendar) -> Workload {
    let mut draw = Draw::of(seed, "workload", number as u64, 0);
    let name = SERVICES[number % SERVICES.len()];
    let runs = [Runs::Lambda, Runs::Ecs, Runs::Kubernetes, Runs::CloudRun, Runs::Kubernetes, Runs::Lambda][number % 6];
    // The last two are new; GitLab and CodePipeline build a few, for reasons that nobody remembers.
    let born = match number {
        57 => Some(calendar.scaled(6)),
        58 => Some(calendar.scaled(15)),
        _ => None,
    };
    let built = match number {
        7 | 13 | 31 | 43 => Built::Gitlab,
        5 | 19 | 35 => Built::CodePipeline,
        _ => Built::Actions,
    };
    let secrets = ["db", "api-key", "signing-key", "queue", "partner-token"];
    let kept = 2 + draw.place(4);
    Workload {
        number,
        name,
        team: TEAMS[number % TEAMS.len()],
        runs,
        built,
        secrets: secrets.iter().take(kept).map(|secret| format!("prod/{name}/{secret}")).collect(),
        pace: draw.between(10, 38),
        uses_vault: number.is_multiple_of(3),
        born,
    }
}

fn duty(number: usize, people: usize) -> Duty {
    // Spread evenly, so that a small company has all of them too.
    if number == 14 {
        return Duty::Contractor;
    }
    let mut place = (number * 37 + 11) % 100;
    if people <= 100 {
        place = number * 100 / people;
    }
    for (duty, share) in DUTIES {
        if place < share {
            return duty;
        }
        place -= share;
    }
    Duty::Engineer
}

fn person(seed: u64, number: usize, people: usize, calendar: Calendar, workloads: &[Workload]) -> Person {
    let mut draw = Draw::of(seed, "person", number as u64, 0);
    let (first, last) = (FIRST[number % 40], LAST[(number * 7 + number / 40) % 40]);
    let duty = duty(number, people);
    let team = TEAMS[number / 3 % TEAMS.len()];
    let own = workloads.iter().filter(|workload| workload.team == team).map(|workload| workload.number);
    let mut services: Vec<usize> = own.collect();
    services.extend((0..2).map(|_| draw.place(workloads.len())));
    Person {
        number,
        login: format!("{first}-{last}"),
        name: format!("{}{} {}{}", first[..1].to_uppercase(), &first[1..], last[..1].to_uppercase(), &last[1..]),
        email: format!("{first}.{last}@{DOMAIN}"),
        team,
        duty,
        office: Office(if draw.percent(45) { 0 } else { draw.place(Office::COUNT) }),
        laptop: draw.place(4),
        okta_id: format!("00u{}", draw.hex(17)),
        github_id: 60_000 + number as u64,
        token: draw.base64(43) + "=",
        // Three join and three leave; one of those who leave is a contractor.
        joined: day_of(number, &[(12, 4), (25, 11), (39, 18)], calendar),
        left: day_of(number, &[(14, 20), (30, 12)], calendar),
        holiday: draw.percent(22).then(|| u32::try_from(draw.below(28)).unwrap_or(0)),
        begins_minutes: draw.between(7 * 60 + 30, 10 * 60),
        at_home_percent: draw.between(10, 90),
        habit: Habit {
            services,
            cloud_percent: habit_of(duty, [35, 90, 70, 8, 25, 55]),
            cluster_percent: habit_of(duty, [25, 85, 20, 2, 10, 5]),
            vault_percent: habit_of(duty, [12, 60, 35, 0, 5, 0]),
            google_percent: habit_of(duty, [12, 40, 30, 2, 5, 45]),
            code_events: habit_of(duty, [16, 14, 8, 5, 12, 4]),
        },
    }
}

/// The day that a list has for somebody.
fn day_of(number: usize, list: &[(usize, Day)], calendar: Calendar) -> Option<Day> {
    list.iter().find(|(who, _)| *who == number).map(|(_, day)| calendar.scaled(*day))
}

/// The habit of a duty: engineer, site reliability, security, lead, contractor, analyst.
fn habit_of(duty: Duty, [engineer, sre, security, lead, contractor, analyst]: [u64; 6]) -> u64 {
    match duty {
        Duty::Engineer => engineer,
        Duty::Sre => sre,
        Duty::Security => security,
        Duty::Lead => lead,
        Duty::Contractor => contractor,
        Duty::Analyst => analyst,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn company(people: usize, services: usize) -> Company {
        Company::new(1, Calendar::new("2026-09-07T00:00:00Z".parse().unwrap(), 30), people, services)
    }

    #[test]
    fn no_two_people_share_a_name() {
        let company = company(200, 60);
        let logins: BTreeSet<&str> = company.people.iter().map(|person| person.login.as_str()).collect();
        assert_eq!(logins.len(), 200);
    }

    #[test]
    fn a_company_of_any_size_has_every_duty_and_somebody_who_leaves() {
        for (people, services) in [(40, 12), (200, 60)] {
            let company = company(people, services);
            for (duty, _) in DUTIES {
                assert!(company.with(duty).count() > 0, "{duty:?} of {people}");
            }
            assert_eq!(company.people.iter().filter(|person| person.left.is_some()).count(), 2);
            for runs in [Runs::Lambda, Runs::Ecs, Runs::Kubernetes, Runs::CloudRun] {
                assert_eq!(company.deployed(runs, 0).built, Built::Actions);
            }
        }
    }
}
