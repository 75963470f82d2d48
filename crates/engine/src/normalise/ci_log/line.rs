//! One line of a pipeline's log: the time in front of it, and the marks of its runner.

use std::borrow::Cow;

use crate::normalise::moment;
use crate::time::Timestamp;

/// What a line says beside its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) runner: Option<&'static str>,
    pub(super) time: Option<Timestamp>,
    pub(super) job: Option<&'a str>,
    /// A step begins; an empty one has ended.
    pub(super) step: Option<&'a str>,
    pub(super) actor: Option<&'a str>,
    pub(super) level: Option<&'static str>,
    pub(super) command: Option<&'a str>,
    /// What is left of the line.
    pub(super) message: &'a str,
}

/// Takes colours and all else that is meant for a terminal out of a line.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    let is_control = |letter: char| letter.is_control() && letter != '\t' || letter == '\u{feff}';
    if !line.contains(is_control) {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.extend((!is_control(letter)).then_some(letter));
            continue;
        }
        match letters.next() {
            // A control sequence ends with a letter of this range; one that does not end takes nothing with it.
            Some('[') => {
                while letters.next_if(|letter| matches!(letter, ' '..='?')).is_some() {}
                letters.next_if(|letter| matches!(letter, '@'..='~'));
            }
            // A title or a link: up to its end, which is a bell or `ESC \`. Its text is kept, or one could hide there.
            Some(']') => {}
            Some(_) | None => {}
        }
    }
    Cow::Owned(plain)
}

/// The time in front of a line, and what follows it.
pub(super) fn stamp(line: &str) -> (Option<Timestamp>, &str) {
    if let Some(rest) = line.strip_prefix("[Container] ") {
        return container(rest).map_or((None, line), |(time, rest)| (Some(time), rest));
    }
    let bracketed = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (head, rest) = bracketed.or_else(|| line.split_once(' ')).unwrap_or((line, ""));
    // Most lines have none, and trying to read one takes longer than all else.
    if !(20..=40).contains(&head.len()) || head.as_bytes()[10] != b'T' {
        return (None, line);
    }
    match moment::from_text(head) {
        Some(time) => (Some(time), rest.strip_prefix(' ').unwrap_or(rest)),
        None => (None, line),
    }
}

/// `2026/11/20 09:14:03.123456 Running command …`
fn container(rest: &str) -> Option<(Timestamp, &str)> {
    let (day, after) = rest.split_once(' ')?;
    let (clock, message) = after.split_once(' ').unwrap_or((after, ""));
    let time = moment::from_text(&format!("{}T{clock}Z", day.replace('/', "-")))?;
    Some((time, message))
}

/// Whether a line alone shows that it is of one of these runners.
pub(super) fn is_of_runner(line: &str) -> bool {
    let line = plain(line);
    let github = |head: &str| head.len() == 28 && head.as_bytes()[19] == b'.' && head.ends_with('Z');
    stamp(&line).0.is_some() && (line.starts_with("[Container] ") || line.split(' ').next().is_some_and(github))
        || section(&line, "section_start:").is_some()
}

/// What GitHub's runner writes in front of a line to say what it is.
const LEVELS: [(&str, &str); 4] =
    [("##[error]", "error"), ("##[warning]", "warning"), ("##[notice]", "notice"), ("##[debug]", "debug")];

/// Reads a line that is free of controls. `runner` is who wrote the lines before, as far as they showed it.
pub(super) fn read<'a>(line: &'a str, runner: Option<&str>) -> Said<'a> {
    let (time, message) = stamp(line);
    let known = if line.starts_with("[Container] ") { Some("codebuild") } else { None };
    let message = stream(message);
    let mut said = Said { time, message, runner: known, ..Said::default() };
    github(&mut said);
    gitlab(&mut said, runner);
    if known.or(runner) == Some("codebuild") {
        codebuild(&mut said);
    }
    jenkins(&mut said, runner);
    said
}

/// GitLab's runner puts `00O ` behind its times: the number of a stream, `O` or `E`, and `+` on what continues a line.
fn stream(message: &str) -> &str {
    let bytes = message.as_bytes();
    let is_mark = bytes.len() >= 4
        && bytes[..2].iter().all(u8::is_ascii_hexdigit)
        && matches!(bytes[2], b'O' | b'E')
        && matches!(bytes[3], b' ' | b'+');
    if is_mark { &message[4..] } else { message }
}

fn github(said: &mut Said<'_>) {
    for (mark, level) in LEVELS {
        if let Some(rest) = said.message.strip_prefix(mark) {
            (said.runner, said.level, said.message) = (Some("github"), Some(level), rest);
            return;
        }
    }
    if let Some(group) = said.message.strip_prefix("##[group]") {
        said.runner = Some("github");
        said.message = group;
        // Groups within a step have names of their own.
        said.step = group.strip_prefix("Run ");
    } else if said.message == "##[endgroup]" {
        said.runner = Some("github");
        said.message = "";
    } else if let Some(command) = ["##[command]", "[command]"].iter().find_map(|mark| said.message.strip_prefix(mark)) {
        (said.runner, said.command, said.message) = (Some("github"), Some(command), command);
    } else if let Some(job) = said.message.strip_prefix("Complete job name: ") {
        (said.runner, said.job) = (Some("github"), Some(job));
    }
}

/// The time and the name in `section_start:1763630043:step_script[collapsed=true]`.
fn section<'a>(message: &'a str, mark: &str) -> Option<(Option<Timestamp>, &'a str)> {
    let (stamp, name) = message.strip_prefix(mark)?.split_once(':')?;
    let seconds: i64 = stamp.parse().ok()?;
    let time = moment::from_number(&seconds.into());
    Some((time, name.split(['[', ' ']).next().unwrap_or_default()))
}

fn gitlab<'a>(said: &mut Said<'a>, runner: Option<&str>) {
    let message: &'a str = said.message;
    if let Some((time, name)) = section(message, "section_start:") {
        (said.runner, said.step, said.message) = (Some("gitlab"), Some(name), "");
        said.time = said.time.or(time);
    } else if let Some((time, _)) = section(message, "section_end:") {
        (said.runner, said.step, said.message) = (Some("gitlab"), Some(""), "");
        said.time = said.time.or(time);
    } else if message.starts_with("Running with gitlab-runner") {
        said.runner = Some("gitlab");
    } else if runner == Some("gitlab") {
        said.command = message.strip_prefix("$ ");
        said.level = if message.starts_with("ERROR: ") { Some("error") } else { said.level };
    }
}

fn codebuild(said: &mut Said<'_>) {
    let message = said.message;
    said.command = message.strip_prefix("Running command ");
    said.step = message.strip_prefix("Entering phase ");
    let failed = message.starts_with("Phase complete: ") && message.contains("State: FAILED")
        || message.starts_with("Command did not exit successfully");
    said.level = if failed { Some("error") } else { said.level };
}

fn jenkins<'a>(said: &mut Said<'a>, runner: Option<&str>) {
    let message: &'a str = said.message;
    if let Some(mark) = message.strip_prefix("[Pipeline] ") {
        said.runner = Some("jenkins");
        // `{ (Build)` opens the stage that `stage` announced.
        let stage = mark.strip_prefix("{ (").and_then(|rest| rest.strip_suffix(')'));
        said.step = if mark == "// stage" { Some("") } else { stage };
    } else if let Some(user) = message.strip_prefix("Started by user ") {
        (said.runner, said.actor) = (Some("jenkins"), Some(user));
    } else if runner == Some("jenkins") {
        said.command = message.strip_prefix("+ ");
        let failed = message.starts_with("ERROR: ") || message == "Finished: FAILURE";
        said.level = if failed { Some("error") } else { said.level };
    }
}
