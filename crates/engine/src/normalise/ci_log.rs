//! Logs of pipelines as text: GitHub Actions, CodeBuild, GitLab Runner, Jenkins. Every line is an event.
//!
//! A line becomes a document with `message`, `time` and `line`, and what is known of it: `runner`, `job`, `step`,
//! `level`, `command`. The text comes bare, as `{"log":"…","job":"…","run":"…"}`, or in CodeBuild's log events of
//! CloudWatch.

mod key;
mod line;
mod lines;

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use self::lines::Part;
pub(super) use self::lines::{Lines, Unread};
use super::kind::{Reading, Told};
use super::wrapper::Inner;
use super::{Kind, Piece, Refusal, by_position, lead, moment, text};
use crate::event::{Actor, ActorSort, Event, Facets, Outcome, Pipeline, Target, Uid};
use crate::time::Timestamp;

pub(super) static READING: Reading = Reading {
    log_source: Some(("ci", "log")),
    fits,
    open,
    carried: true,
    is_text: Some(is_text),
    event: |piece, _| event(piece),
    told: Told::Document(facets),
    ..Reading::PLAIN
};

/// What a wrapper says of all its lines.
const ABOUT: [&str; 10] =
    ["runner", "repository", "workflow", "run", "job", "step", "ref", "commit", "environment", "actor"];

/// Where CodeBuild logs if nobody says otherwise.
const CODEBUILD: &str = "/aws/codebuild/";

fn fits(document: &Value) -> bool {
    let named = text(document, "message").is_some() && document.get("line").is_some();
    named && document.get("runner").is_some() && document.get("time").is_some()
}

/// Whether bare text is such a log: the first line shows it, if any does.
fn is_text(body: &[u8]) -> bool {
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.len() < 4_096 && line::is_of_runner(&String::from_utf8_lossy(first))
}

/// Bare text, and what its wrapper says of its time.
pub(super) fn bare(body: &[u8], time: Option<Timestamp>) -> Lines<'_> {
    Lines::new(vec![Part { id: None, time, text: String::from_utf8_lossy(body) }], Vec::new())
}

fn open(document: &Value) -> Inner<'_> {
    let about = || ABOUT.iter().filter_map(|name| Some((*name, lead::text(document, name)?))).collect();
    if let Some(log) =
        text(document, "log").filter(|_| ["job", "run", "repository"].iter().any(|name| document.get(name).is_some()))
    {
        let time = ["time", "received"].iter().find_map(|name| moment::read(document.get(name)?));
        return Inner::Lines(Lines::new(vec![Part { id: None, time, text: log.into() }], about()));
    }
    let Some(project) = text(document, "logGroup").and_then(|group| group.strip_prefix(CODEBUILD)) else {
        return Inner::Record;
    };
    let stream = text(document, "logStream").or_else(|| text(document, "logStreamName"));
    let mut about: Vec<(&'static str, String)> = vec![("runner", "codebuild".to_owned()), ("job", project.to_owned())];
    about.extend(stream.map(|stream| ("run", stream.to_owned())));
    let parts: Vec<Part<'_>> = match document.get("logEvents").and_then(JsonContainerTrait::as_array) {
        Some(list) if text(document, "messageType") == Some("DATA_MESSAGE") => list.iter().filter_map(part).collect(),
        Some(_) => return Inner::Record,
        None => part(document).into_iter().collect(),
    };
    if parts.is_empty() { Inner::Record } else { Inner::Lines(Lines::new(parts, about)) }
}

/// A log event of CloudWatch.
fn part(event: &Value) -> Option<Part<'_>> {
    Some(Part {
        id: text(event, "id").or_else(|| text(event, "eventId")),
        time: event.get("timestamp").and_then(moment::read),
        text: text(event, "message")?.into(),
    })
}

fn event(piece: &Piece<'_>) -> Result<Event, Refusal> {
    let entry = &piece.document;
    if entry.get("message").and_then(JsonValueTrait::as_str).is_none() {
        return Err(Refusal::shape("no line of a pipeline's log: text, or an object with message or log"));
    }
    // What has no number is no line that was cut out of a text here, but came alone in an envelope.
    let entry = if entry.get("line").is_some() { entry.clone() } else { lines::alone(entry) };
    let piece = &Piece { position: piece.position, time: piece.time, document: entry };
    let entry = &piece.document;
    let time = lead::time(piece, &["time"])?;
    let uid = match text(entry, "event_id") {
        Some(id) => Uid { origin: lead::text(entry, "job").unwrap_or_default(), id: id.to_owned() },
        None => by_position(piece.position),
    };
    Ok(Event { uid, time, kind: Kind::CiLog, raw: entry.clone() })
}

fn facets(entry: &Value) -> Facets {
    let said = |name: &str| lead::text(entry, name);
    let level = said("level");
    let action = match (&level, said("command")) {
        (_, Some(_)) => "command".to_owned(),
        (Some(level), None) => level.clone(),
        (None, None) => "line".to_owned(),
    };
    let actor = said("actor");
    let sort = if actor.is_some() { ActorSort::Human } else { ActorSort::Unknown };
    let job = said("job");
    Facets {
        actor: Actor { id: actor.clone(), name: actor, sort },
        action,
        target: Target {
            kind: said("runner"),
            id: job.clone().map(|job| match said("step") {
                Some(step) => format!("{job}/{step}"),
                None => job,
            }),
            account: None,
            region: None,
        },
        outcome: match level.as_deref() {
            Some("error") => Outcome::Failure("error".to_owned()),
            Some(_) | None => Outcome::Success,
        },
        pipeline: Pipeline {
            repository: said("repository"),
            git_ref: said("ref"),
            commit: said("commit"),
            workflow: said("workflow").or(job),
            run: said("run"),
            environment: said("environment"),
        },
        ..Facets::default()
    }
}
