//! The lines of a log, in order: what one says holds for those after it.

use std::borrow::Cow;

use sonic_rs::{JsonValueMutTrait, Object, Value};

use super::super::{Limits, Refusal, RejectReason, text};
use super::key::Key;
use super::line::{self, Said};
use crate::time::Timestamp;

/// Bytes of what is known of all lines of a log, together in all its lines. A job's name of half a megabyte in each of a
/// hundred thousand lines would take all memory; in logs of runners this is a few megabytes.
const COPIED_BYTES_MAX: usize = 32 << 20;

/// A text of one or more lines.
pub(super) struct Part<'a> {
    /// The id that its carrier gave it.
    pub(super) id: Option<&'a str>,
    /// When its carrier got it.
    pub(super) time: Option<Timestamp>,
    pub(super) text: Cow<'a, str>,
}

/// A log and what is known of all its lines.
pub(in crate::normalise) struct Lines<'a> {
    parts: Vec<Part<'a>>,
    about: Vec<(&'static str, String)>,
}

/// A line that cannot be read.
pub(in crate::normalise) struct Unread<'a> {
    pub(in crate::normalise) refusal: Refusal,
    pub(in crate::normalise) text: &'a str,
}

/// What the lines so far have shown.
#[derive(Default)]
struct Course {
    runner: Option<String>,
    job: Option<String>,
    step: Option<String>,
    actor: Option<String>,
    time: Option<Timestamp>,
    key: Key,
}

impl Course {
    /// Of what a line has from those before it.
    fn bytes(&self) -> usize {
        [&self.runner, &self.job, &self.step, &self.actor].into_iter().flatten().map(String::len).sum()
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(parts: Vec<Part<'a>>, about: Vec<(&'static str, String)>) -> Self {
        Self { parts, about }
    }

    /// Whether there is but one: then it stands where the whole does.
    pub(in crate::normalise) fn is_one(&self) -> bool {
        self.parts.iter().flat_map(|part| pieces(&part.text)).nth(1).is_none()
    }

    /// Hands out every line that is not blank, with its number from 0: its document, or why it is none.
    pub(in crate::normalise) fn each(&self, limits: &Limits, take: &mut dyn FnMut(usize, Result<Value, Unread<'_>>)) {
        let given = |name: &str| self.about.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let mut course = Course {
            runner: given("runner"),
            job: given("job"),
            step: given("step"),
            actor: given("actor"),
            time: self.first_time(),
            key: Key::default(),
        };
        let about: usize = self.about.iter().map(|(_, value)| value.len()).sum();
        let (mut number, mut copied) = (0, 0_usize);
        for part in &self.parts {
            course.time = part.time.or(course.time);
            for (place, piece) in pieces(&part.text).enumerate() {
                let mut refuse = |detail| {
                    take(number, Err(Unread { refusal: Refusal::new(RejectReason::Size, detail), text: piece }));
                };
                if piece.len() > limits.bytes {
                    refuse(format!("{} bytes in a line, at most {} are read", piece.len(), limits.bytes));
                } else if copied > COPIED_BYTES_MAX {
                    refuse(format!(
                        "what the log says of all its lines takes more than {COPIED_BYTES_MAX} bytes in them"
                    ));
                } else if let Some(mut document) = self.document(&line::plain(piece), &mut course, number) {
                    copied += about + course.bytes();
                    if let Some(id) = part.id {
                        // One log event may hold several lines.
                        let id = if place == 0 { id.to_owned() } else { format!("{id}.{place}") };
                        document.insert("event_id", id.as_str());
                    }
                    take(number, Ok(document.into()));
                }
                number += 1;
            }
        }
    }

    /// Lines before the first time are of no other time that we know of.
    fn first_time(&self) -> Option<Timestamp> {
        let mut lines = self.parts.iter().flat_map(|part| pieces(&part.text));
        lines.find_map(|piece| line::read(&line::plain(piece), None).time)
    }

    fn document(&self, line: &str, course: &mut Course, number: usize) -> Option<Object> {
        let Said { runner, time, job, step, actor, level, command, message } =
            line::read(line, course.runner.as_deref());
        course.time = time.or(course.time);
        let keep = |place: &mut Option<String>, said: Option<&str>| {
            if let Some(said) = said {
                *place = Some(said.to_owned()).filter(|said| !said.is_empty());
            }
        };
        keep(&mut course.runner, runner);
        keep(&mut course.job, job.filter(|_| !self.is_given("job")));
        keep(&mut course.step, step.filter(|_| !self.is_given("step")));
        keep(&mut course.actor, actor.filter(|_| !self.is_given("actor")));
        if message.trim().is_empty() {
            return None;
        }
        let message = course.key.hide(message);
        let mut document = Object::new();
        for (name, value) in &self.about {
            document.insert(name, value.as_str());
        }
        document.insert("message", &*message);
        document.insert("line", number as u64);
        document.insert("runner", course.runner.as_deref().unwrap_or("unknown"));
        let time = course.time.map(|time| time.to_string());
        let known = [
            ("time", time.as_deref()),
            ("job", course.job.as_deref()),
            ("step", course.step.as_deref()),
            ("actor", course.actor.as_deref()),
            ("level", level),
            ("command", command),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                document.insert(name, value);
            }
        }
        Some(document)
    }

    fn is_given(&self, name: &str) -> bool {
        self.about.iter().any(|(known, _)| *known == name)
    }
}

/// A line that came alone in an envelope, such as one of syslog, with what its own marks say.
pub(super) fn alone(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let Some(message) = text(&entry, "message").map(|message| line::plain(message).into_owned()) else { return entry };
    let said = line::read(&message, text(&entry, "runner"));
    let time = said.time.map(|time| time.to_string());
    let known = [("time", time.as_deref()), ("runner", said.runner), ("level", said.level), ("command", said.command)]
        .map(|(name, value)| (name, value.map(str::to_owned)));
    let message = said.message.to_owned();
    let Some(document) = entry.as_object_mut() else { return entry };
    for (name, value) in known {
        if let Some(value) = value {
            document.insert(name, value.as_str());
        }
    }
    // A mark alone leaves nothing.
    if !message.is_empty() {
        document.insert("message", message.as_str());
    }
    entry
}

/// The lines of a text. What a terminal would write over stands for itself too, or one could hide behind it.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter(|piece| !piece.is_empty())
}
