//! A tree as text: what all came from on top, the credential that was asked for marked, and what it minted below.

use std::collections::BTreeSet;
use std::fmt;

use super::card::{Card, Often, Uses};
use super::link::{Confidence, Link, Source};
use super::run::Run;
use super::trace::Who;
use super::tree::{Branch, Tree};
use crate::time::Timestamp;

/// Keys of one session that are printed; the rest are a number.
const NAMES_MAX: usize = 6;
/// Candidates that are printed; the rest are a number.
const CANDIDATES_MAX: usize = 8;

/// Lines, each whole: a line break in a name from a log makes no new one.
type Lines = Vec<String>;

/// How surely a line came from the one above, and why.
type Joint<'a> = Option<(Confidence, &'a str)>;

impl fmt::Display for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            // Names come from logs: none may speak to the terminal.
            writeln!(out, "{}", line.replace(char::is_control, "\u{fffd}"))?;
        }
        Ok(())
    }
}

impl Tree {
    fn lines(&self) -> Lines {
        let mut lines = Lines::new();
        let mut joint = None;
        let mut depth = 0;
        for link in self.chain.iter().rev() {
            put_sources(&mut lines, depth, joint, link);
            joint = Some((link.confidence, link.why.as_str()));
            depth += 1;
        }
        lines.push(format!("{}{} ◀{}", lead(depth), head(&self.credential), because(joint)));
        let indent = "   ".repeat(depth);
        put_body(&mut lines, &format!("{indent}{}", bar(self.minted.is_empty())), &self.credential);
        put_branches(&mut lines, &indent, &self.minted);
        if self.more > 0 {
            lines.push(format!("{indent}└─ and {} more", self.more));
        }
        for finding in &self.findings {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            lines.push(format!("! {severity} {}: {}", finding.kind.name(), finding.sentence));
        }
        lines
    }
}

/// The beginning of a line: its place in the chain.
fn lead(depth: usize) -> String {
    match depth.checked_sub(1) {
        None => String::new(),
        Some(above) => format!("{}└─ ", "   ".repeat(above)),
    }
}

/// What stands in front of the body of a branch.
fn bar(is_end: bool) -> &'static str {
    if is_end { "   " } else { "│  " }
}

fn because(joint: Joint<'_>) -> String {
    joint.map_or_else(String::new, |(confidence, why)| format!("  [{}: {why}]", confidence.words()))
}

fn put_sources(lines: &mut Lines, depth: usize, joint: Joint<'_>, link: &Link) {
    let indent = "   ".repeat(depth);
    let mut put = |text: &str| lines.push(format!("{}{text}{}", lead(depth), because(joint)));
    match link.from.as_slice() {
        [Source::Credential(card)] => {
            put(&head(card));
            put_body(lines, &format!("{indent}│  "), card);
        }
        [one] => put(&source(one)),
        [] => put("? not known"),
        many => {
            put(&format!("? one of {}", many.len()));
            lines.extend(many.iter().take(CANDIDATES_MAX).map(|one| format!("{indent}│  · {}", source(one))));
            if many.len() > CANDIDATES_MAX {
                lines.push(format!("{indent}│  · and {} more", many.len() - CANDIDATES_MAX));
            }
        }
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Credential(card) => head(card),
        Source::Run(run) => run_words(run),
        Source::Workload(workload) => workload.to_string(),
        Source::Who(Who { sort, name }) => format!("{} {name}", sort.words()),
        Source::Place(place) => format!("{} {}", place.sort.words(), place.name),
    }
}

fn run_words(run: &Run) -> String {
    let list = |name: &str, values: &BTreeSet<String>| match values.is_empty() {
        true => String::new(),
        false => format!(", {name} {}", values.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
    };
    let ended = run.ended.map_or_else(String::new, |ended| format!(" to {}", moment(ended)));
    let (branches, places) = (list("on", &run.branches), list("environment", &run.environments));
    let commits = list("commit", &run.commits);
    format!("run {} of {}{branches}{places}{commits}, {}{ended}", run.run, run.repository, moment(run.first))
}

/// Most logs stamp whole seconds.
fn moment(time: Timestamp) -> String {
    time.to_string().replace(".000000Z", "Z")
}

fn head(card: &Card) -> String {
    let names: Vec<&str> = card.names.iter().take(NAMES_MAX).map(|id| &*id.text).collect();
    let more = card.names.len().saturating_sub(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let owner = card.owner.as_ref().map_or_else(String::new, |owner| format!(" as {owner}"));
    format!("{} {}{more}{owner}", card.what, names.join(", "))
}

fn put_body(lines: &mut Lines, indent: &str, card: &Card) {
    if let Some(principal) = &card.principal {
        let source = card.source_identity.as_ref().map_or_else(String::new, |name| format!(", source identity {name}"));
        let begun = card.begun.map_or_else(String::new, |begun| format!(", begun {}", moment(begun)));
        lines.push(format!("{indent}session {principal}{source}{begun}"));
    }
    lines.extend(card.places.iter().map(|place| format!("{indent}given to {} {}", place.sort.words(), place.name)));
    if let Some(minted) = &card.minted {
        let from = minted.network.as_ref().map_or_else(String::new, |network| format!(" from {network}"));
        let until = card.expires.map_or_else(String::new, |expires| format!(", valid until {}", moment(expires)));
        let (time, action, event) = (moment(minted.time), &minted.action, &minted.event);
        lines.push(format!("{indent}minted {time} by {action}{from}{until} (event {event})"));
    }
    put_uses(lines, indent, &card.uses);
    lines.extend(
        card.ended.iter().map(|end| format!("{indent}{} {} (event {})", end.what, moment(end.time), end.event)),
    );
}

fn put_uses(lines: &mut Lines, indent: &str, uses: &Uses) {
    let (Some(first), Some(last)) = (uses.first, uses.last) else { return lines.push(format!("{indent}no use seen")) };
    let refused = if uses.failures == 0 { String::new() } else { format!(", {} refused", uses.failures) };
    let networks = often(&uses.networks);
    lines.push(match uses.count {
        1 => format!("{indent}used once{refused}, {}, from {networks}", moment(first)),
        many => format!("{indent}used {many} times{refused}, {} to {}, from {networks}", moment(first), moment(last)),
    });
    lines.push(format!("{indent}for {}", often(&uses.actions)));
}

fn often(values: &[Often]) -> String {
    if values.is_empty() {
        return "nowhere that is told".to_owned();
    }
    let one = |often: &Often| match &often.value {
        Some(value) if often.count == 1 => value.clone(),
        Some(value) => format!("{value} ({})", often.count),
        None => format!("others ({})", often.count),
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn put_branches(lines: &mut Lines, indent: &str, branches: &[Branch]) {
    for (place, branch) in branches.iter().enumerate() {
        let is_last = place + 1 == branches.len();
        let tee = if is_last { "└─ " } else { "├─ " };
        let joint = because(Some((branch.confidence, &branch.why)));
        lines.push(format!("{indent}{tee}{}{joint}", head(&branch.credential)));
        let inner = format!("{indent}{}", bar(is_last));
        put_body(lines, &format!("{inner}{}", bar(branch.minted.is_empty())), &branch.credential);
        put_branches(lines, &inner, &branch.minted);
    }
}
