//! The way from a change back to whoever caused it: session by session, through CloudFormation, to a token of a pipeline,
//! a build, a person or a key.
//!
//! A way that forks is followed on every branch: which of them it was is not for us to say.

use super::caller::Caller;
use super::fact::{Change, RunKey, Session, System};
use super::index::{At, Index};
use super::record::{Hop, Sure};
use super::subject::{Claims, Subject};
use crate::event::ActorSort;
use crate::time::{Span, Timestamp};

/// Where a way ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root<'f> {
    /// A run that proved itself.
    Receipt(&'f RunKey),
    /// A job that showed a token of its pipeline system.
    Workload(System, &'f Claims),
    /// A build of CodeBuild.
    Build(&'f str),
    /// CodePipeline itself.
    Pipeline,
    /// Cloud Build itself.
    CloudBuild,
    /// Somebody's own account.
    Person,
    /// A key that lasts, which anybody may hold.
    Key,
    /// An instance, a service, a service principal.
    Machine(String),
    /// A session whose beginning is not in the log.
    Unseen,
}

/// One way back.
#[derive(Clone, Debug)]
pub(super) struct Way<'f> {
    pub(super) hops: Vec<Hop>,
    pub(super) root: Root<'f>,
    pub(super) sure: Sure,
    /// When the last session of it was asked for.
    pub(super) at: Timestamp,
    /// Roles that were passed through.
    pub(super) roles: Vec<&'f str>,
    /// Whoever stands at its end.
    pub(super) end: &'f Caller,
    /// Account and region.
    pub(super) place: (&'f str, &'f str),
}

/// Sessions inside each other; AWS lets a chain be of any length, people do not.
const HOPS_MAX: usize = 8;

/// Ways that are followed at once.
const WAYS_MAX: usize = 16;

/// How long CloudFormation may work on one operation.
const STACK_SPAN: Span = Span::seconds(2 * 3_600);

/// All ways back from a change.
pub(super) fn ways<'f>(index: &Index<'f>, time: Timestamp, change: &'f Change) -> Vec<Way<'f>> {
    let place = (&*change.target.account, &*change.target.region);
    let start = Way {
        hops: Vec::new(),
        root: Root::Unseen,
        sure: Sure::Exact,
        at: time,
        roles: change.by.role.as_deref().into_iter().collect(),
        end: &change.by,
        place,
    };
    let mut done = Vec::new();
    let mut open = vec![start];
    while let Some(way) = open.pop() {
        if way.hops.len() >= HOPS_MAX || done.len() >= WAYS_MAX {
            done.push(Way { sure: Sure::Ambiguous, ..way });
            continue;
        }
        match step(index, &way) {
            Step::End(way) => done.push(way),
            Step::On(next) => open.extend(next),
        }
    }
    done
}

enum Step<'f> {
    End(Way<'f>),
    On(Vec<Way<'f>>),
}

fn end<'f>(way: &Way<'f>, root: Root<'f>) -> Step<'f> {
    Step::End(Way { root, ..way.clone() })
}

fn step<'f>(index: &Index<'f>, way: &Way<'f>) -> Step<'f> {
    let caller = way.end;
    if let Some(subject) = &caller.subject {
        return end(way, of_subject(subject));
    }
    let key = caller.access_key.as_deref();
    if let Some(receipts) = key.and_then(|key| index.receipts_by_key.get(key)) {
        let mut runs: Vec<&RunKey> = receipts.iter().map(|receipt| &receipt.run).collect();
        runs.sort();
        runs.dedup();
        if let [run] = runs[..] {
            return end(way, Root::Receipt(run));
        }
        // Two runs cannot hold one key: whatever they say proves nothing.
    }
    if let Some(sessions) = key.and_then(|key| index.sessions.get(key)) {
        return by_key(index, way, sessions);
    }
    let through = caller.through.as_deref();
    if through == Some("cloudformation.amazonaws.com") || caller.session.as_deref() == Some("AWSCloudFormation") {
        return through_stack(index, way);
    }
    if let Some(build) = build_of(caller) {
        // Whoever asks for a session chooses its name.
        return Step::End(Way { root: Root::Build(build), sure: way.sure.max(Sure::UniqueCandidate), ..way.clone() });
    }
    let same = by_beginning(index, caller);
    if !same.is_empty() {
        let sure = if same.len() == 1 { Sure::UniqueCandidate } else { Sure::Ambiguous };
        return Step::On(same.into_iter().map(|session| onward(way, session, sure)).collect());
    }
    end(way, alone(caller))
}

/// Sessions that were given out with this key: one, told by several trails.
fn by_key<'f>(index: &Index<'f>, way: &Way<'f>, sessions: &[At<'f, Session>]) -> Step<'f> {
    let Some((_, first)) = sessions.first() else { return end(way, Root::Unseen) };
    let agree = sessions.iter().all(|(_, other)| other.role == first.role && other.subject == first.subject);
    let sure = if agree { Sure::Exact } else { Sure::Ambiguous };
    let asked = &first.by;
    if let Some(subject) = &first.subject {
        let says = format!("session {} of {}, for {}", first.name, role_name(&first.role), subject.words());
        let (hops, sure) = (with(&way.hops, Hop { says, sure }), way.sure.max(sure));
        let root = of_subject(subject);
        return Step::End(Way { hops, sure, root, at: sessions[0].0, end: &first.by, ..way.clone() });
    }
    if asked.sort == ActorSort::Service {
        let service = asked.through.as_deref().unwrap_or(&asked.name);
        let root = match service {
            "codebuild.amazonaws.com" => first.name.strip_prefix("AWSCodeBuild-").map(Root::Build),
            "codepipeline.amazonaws.com" => Some(Root::Pipeline),
            "cloudformation.amazonaws.com" => return through_stack(index, way),
            _ => None,
        };
        return end(way, root.unwrap_or_else(|| Root::Machine(service.to_owned())));
    }
    Step::On(vec![onward(way, sessions[0], sure)])
}

fn onward<'f>(way: &Way<'f>, (time, session): At<'f, Session>, sure: Sure) -> Way<'f> {
    let says = format!("session {} of {}, asked for by {}", session.name, role_name(&session.role), session.by.name);
    let mut roles = way.roles.clone();
    roles.push(&session.role);
    roles.extend(session.by.role.as_deref());
    Way {
        hops: with(&way.hops, Hop { says, sure }),
        at: time,
        sure: way.sure.max(sure),
        end: &session.by,
        roles,
        ..way.clone()
    }
}

/// Sessions of the same role and name that began in the same second: keys that services derive from a session are told
/// nowhere, but carry its beginning.
fn by_beginning<'f>(index: &Index<'f>, caller: &Caller) -> Vec<At<'f, Session>> {
    let (Some(role), Some(name), Some(began)) = (&caller.role, &caller.session, &caller.began) else {
        return Vec::new();
    };
    let Some(second) = began.rsplit(' ').next().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return Vec::new();
    };
    let all = index.sessions.values().flatten().filter(|(time, session)| {
        let near = time.since(second).max(second.since(*time)) <= Span::seconds(1);
        near && session.role == *role && session.name == *name
    });
    all.copied().take(WAYS_MAX).collect()
}

/// CloudFormation acts in the name of whoever started it, or as a role that it was given; which stack it works on is not
/// said. Operations of one stack never run side by side, so of each stack the last one counts.
fn through_stack<'f>(index: &Index<'f>, way: &Way<'f>) -> Step<'f> {
    let caller = way.end;
    let Some(operations) = index.stacks.get(&way.place) else { return end(way, Root::Unseen) };
    // What is only prepared says which role, and does nothing.
    let earlier = operations.iter().filter(|(time, operation)| {
        operation.action != "CreateChangeSet" && *time <= way.at && way.at.since(*time) <= STACK_SPAN
    });
    let earlier: Vec<&At<'f, Change>> = earlier.collect();
    let role_of = |stack: &str| {
        let named = operations.iter().filter(|(time, other)| other.target.id == stack && *time <= way.at);
        named.filter_map(|(_, other)| other.role.as_deref()).next_back()
    };
    let fits = |operation: &Change| {
        let by = &operation.by;
        let same_session =
            by.id == caller.id && (by.began == caller.began || by.began.is_none() || caller.began.is_none());
        let same_role = caller.role.is_some() && role_of(&operation.target.id) == caller.role.as_deref();
        same_session || same_role
    };
    let mut last: Vec<&At<'f, Change>> = Vec::new();
    for operation in earlier {
        let (_, change) = operation;
        last.retain(|(_, other)| other.target.id != change.target.id);
        last.push(operation);
    }
    let found: Vec<&At<'f, Change>> = last.into_iter().filter(|(_, change)| fits(change)).take(WAYS_MAX).collect();
    if found.is_empty() {
        return end(way, Root::Unseen);
    }
    let sure = if found.len() == 1 { Sure::UniqueCandidate } else { Sure::Ambiguous };
    let on = found.into_iter().map(|(time, change)| {
        let says = format!("CloudFormation, stack {}, started by {}", change.target.id, change.by.name);
        let mut roles = way.roles.clone();
        roles.extend(change.by.role.as_deref());
        let (hops, sure) = (with(&way.hops, Hop { says, sure }), way.sure.max(sure));
        Way { hops, sure, at: *time, end: &change.by, roles, ..way.clone() }
    });
    Step::On(on.collect())
}

/// `AWSCodeBuild-<uuid>` is how CodeBuild names its sessions.
fn build_of(caller: &Caller) -> Option<&str> {
    let id = caller.session.as_deref()?.strip_prefix("AWSCodeBuild-")?;
    (id.len() == 36).then_some(id)
}

/// What a caller is that nothing else is known of.
fn alone(caller: &Caller) -> Root<'_> {
    let is_key = caller.access_key.as_deref().is_some_and(|key| key.starts_with("AKIA"));
    let account = caller.role.as_deref().unwrap_or_default();
    // Sessions of people by IAM Identity Center.
    let is_sso = account.contains("AWSReservedSSO_");
    match (caller.through.as_deref(), caller.sort) {
        (Some("codepipeline.amazonaws.com"), _) => Root::Pipeline,
        _ if account.ends_with("@cloudbuild.gserviceaccount.com") => Root::CloudBuild,
        _ if is_key || account.contains("@") && caller.access_key.is_some() => Root::Key,
        _ if is_sso || caller.console => Root::Person,
        (_, ActorSort::Human) => Root::Person,
        (_, ActorSort::Role) => Root::Unseen,
        (_, ActorSort::App | ActorSort::Service | ActorSort::Unknown) => Root::Machine(caller.name.clone()),
    }
}

fn of_subject(subject: &Subject) -> Root<'_> {
    match subject {
        Subject::Github(claims) => Root::Workload(System::Github, claims),
        Subject::Gitlab(claims) => Root::Workload(System::Gitlab, claims),
        Subject::Terraform { .. } | Subject::Kubernetes { .. } | Subject::Other(_) => Root::Machine(subject.words()),
    }
}

fn with(hops: &[Hop], hop: Hop) -> Vec<Hop> {
    hops.iter().cloned().chain([hop]).collect()
}

/// `deploy` of `arn:aws:iam::111122223333:role/ci/deploy`.
pub(super) fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
