//! What is said of a deploy by who made it and when, whatever run it was of.

use super::chain::{Root, Way, role_name};
use super::fact::{RunKey, System};
use super::judge::{Case, Court, Shelf};
use super::policy::RunRule;
use super::record::{Edge, Finding, Weight, What};
use crate::event::Kind;
use crate::time::Span;

/// A session may last for twelve hours.
const SESSION_MAX: Span = Span::seconds(12 * 3_600);

/// How long before a deploy a change of what guards it is told with it.
pub(super) const DAY: Span = Span::seconds(86_400);

/// Logs that tell of runs.
const PIPELINES: [Kind; 3] = [Kind::GithubWebhook, Kind::GitlabWebhook, Kind::AwsEventbridge];

/// All that is said so.
pub(super) fn findings(court: &Court<'_, '_>, case: &Case<'_, '_>, run: &Edge<RunKey>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |what, weight, says| found.push(Finding { what, weight, says });
    let (environment, caller) = (case.environment, &case.change.by);
    let callers = || case.ways.iter().map(|way| way.end).chain([caller]);
    if let Some(who) = callers().find(|who| environment.break_glass.iter().any(|name| who.is_named(|it| name.is(it)))) {
        say(What::BreakGlass, Weight::Against, format!("{} is an identity for emergencies", who.name));
    }
    if environment.run != RunRule::None {
        if caller.console {
            let from = caller.ip.as_ref().map_or_else(String::new, |ip| format!(" from {ip}"));
            say(What::DirectChange, Weight::Against, format!("{} did it by hand in the console{from}", caller.name));
        }
        if *run == Edge::None {
            let worst = case.ways.iter().map(|way| no_run(court, case, way)).max_by_key(|finding| finding.weight);
            if let Some(Finding { what, weight, says }) = worst {
                say(what, weight, says);
            }
        }
        if environment.run == RunRule::Proven && !matches!(run, Edge::Exact(_) | Edge::None) {
            let says = "nothing proves which run it was; its receipt would".to_owned();
            say(What::RunNotProven, Weight::Against, says);
        }
    }
    let time = case.anchor.time;
    if let Some(hours) = environment.hours.as_ref().filter(|hours| !hours.has(time)) {
        say(What::OutsideHours, Weight::Against, format!("{} is outside the hours of deploys", hours.words(time)));
    }
    if let Some(freeze) = environment.freezes.iter().find(|freeze| freeze.from <= time && time < freeze.to) {
        say(
            What::Frozen,
            Weight::Against,
            format!("nothing may be deployed from {} to {}: {}", freeze.from, freeze.to, freeze.why),
        );
    }
    trusts(court, case, &mut say);
    ticket(case, run, &mut found);
    found
}

/// Of a change that no run is known of only its own words can name a ticket; a run that is unsure might.
fn ticket(case: &Case<'_, '_>, run: &Edge<RunKey>, found: &mut Vec<Finding>) {
    let wanted = case.environment.ticket.as_ref().filter(|_| *run == Edge::None);
    let Some(ticket) = wanted.filter(|ticket| !ticket.is_in(&case.messages())) else { return };
    let unsure = found.iter().any(|finding| finding.weight == Weight::Unsure);
    let weight = if unsure { Weight::Unsure } else { Weight::Against };
    let says = format!("no ticket like {} is named in the change", ticket.text());
    found.push(Finding { what: What::NoTicket, weight, says });
}

impl Case<'_, '_> {
    /// Words of whoever asked for the change itself.
    pub(super) fn messages(&self) -> Vec<&str> {
        self.steps.iter().map(|(_, change)| &*change.message).collect()
    }
}

/// Why there is no run at the end of this way.
fn no_run(court: &Court<'_, '_>, case: &Case<'_, '_>, way: &Way<'_>) -> Finding {
    let name = &way.end.name;
    let absent = |kinds: &[Kind], shelf, from| court.absence(kinds, shelf, from, case.anchor.time);
    let finding =
        |what, (weight, why): (Weight, String), says: String| Finding { what, weight, says: format!("{says}{why}") };
    let against = (Weight::Against, String::new());
    match &way.root {
        Root::Person => finding(What::NoRun, against, format!("no run: {name} did it with a session of their own")),
        Root::Key => {
            let heard = PIPELINES.iter().any(|kind| court.marks.contains_key(kind));
            let weight = if heard { against } else { (Weight::Unsure, " (no pipeline is onboarded)".to_owned()) };
            let key = way.end.access_key.as_deref().unwrap_or(name);
            finding(What::NoRun, weight, format!("no run: {name} did it with the lasting key {key}"))
        }
        Root::Machine(machine) => {
            let says = format!("{machine} is a machine, whose session no run can be tied to; a receipt would tie it");
            finding(What::MachineIdentity, (Weight::Unsure, String::new()), says)
        }
        Root::Unseen => {
            let says = format!("no run: the log does not have where the session {name} came from");
            finding(What::NoRun, absent(&[Kind::AwsCloudtrail], Shelf::Identity, way.at.minus(SESSION_MAX)), says)
        }
        Root::Build(id) => {
            let weight = absent(&[Kind::AwsEventbridge], Shelf::Pipeline, way.at.minus(SESSION_MAX));
            finding(What::NoRun, weight, format!("no run: build {id} of CodeBuild is not known"))
        }
        Root::Pipeline => {
            let weight = absent(&[Kind::AwsEventbridge], Shelf::Pipeline, way.at.minus(DAY));
            finding(What::NoRun, weight, "no run: no execution of CodePipeline went on".to_owned())
        }
        Root::CloudBuild => {
            let weight = absent(&[Kind::GcpAudit], Shelf::Pipeline, way.at.minus(DAY));
            finding(What::NoRun, weight, "no run: no build of Cloud Build went on".to_owned())
        }
        Root::Workload(system, claims) => {
            let kind = if *system == System::Gitlab { Kind::GitlabWebhook } else { Kind::GithubWebhook };
            let foreign = !case.environment.repositories.is_empty()
                && !case.environment.repositories.iter().any(|name| name.is(&claims.repository));
            if foreign {
                let says = format!("{} may not deploy to {}", claims.repository, case.environment.name);
                return finding(What::ForeignRepository, against, says);
            }
            let weight = if court.index.heard.contains(&*claims.repository) {
                absent(&[kind], Shelf::Pipeline, way.at.minus(DAY))
            } else {
                (Weight::Unsure, format!(" (nothing was ever heard of {})", claims.repository))
            };
            finding(What::NoRun, weight, format!("no run of {} fits the token that was shown", claims.repository))
        }
        // A receipt names its run.
        Root::Receipt(run) => finding(What::NoRun, against, format!("no run: {} is unknown", run.id)),
    }
}

/// Roles on the way whose trust was changed shortly before.
fn trusts(court: &Court<'_, '_>, case: &Case<'_, '_>, say: &mut impl FnMut(What, Weight, String)) {
    let time = case.anchor.time;
    for role in case.ways.iter().flat_map(|way| &way.roles) {
        let account = role.split(':').nth(4).unwrap_or_default();
        let changes = court.index.trusts.get(&(account, role_name(role))).into_iter().flatten();
        for (when, trust) in changes.filter(|(when, _)| *when <= time && time.since(*when) <= DAY) {
            let says = format!("who may assume the role {} was changed by {} at {when}", trust.role, trust.by);
            say(What::TrustChanged, Weight::Note, says);
        }
    }
}
