//! The `anomaly:` block of a detection: what is learnt of its events, and when a departure from that is an alert.

use super::nearest;
use super::own::{Sort, known};
use super::place::Fault;
use super::yaml::{Entry, Node, Value};

mod travel;
use crate::detect::{Learning, Way};
use crate::field::{self, FieldId, Fields};
use crate::time::{Span, Zone};

/// What is learnt of a detection's events.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// How it judges.
    pub way: Way,
    /// Fields whose values make the key: whose habits they are.
    pub by: Vec<FieldId>,
    /// Fields whose values are looked at; several make one value together. Empty for `rate` and `silent`.
    pub of: Vec<FieldId>,
    /// Fields whose values name the group of a key, against which it is judged as well; empty for rules that do not ask.
    pub peers: Vec<FieldId>,
    /// Events of which one of these fields has this value, or any, are not looked at.
    pub ignore: Vec<(FieldId, Option<String>)>,
    /// How long a key must have been known before it is judged.
    pub learn: Span,
    /// How often it must have been looked at by then.
    pub learn_count: u32,
    /// What was not seen for so long is forgotten, and a key of which nothing was seen.
    pub remember: Span,
    /// Length of the windows in which is counted, or compared, or a gap is measured.
    pub window: Span,
    /// Unusual is what is at least as rare as so many looks in a million.
    pub per_million: u32,
    /// Whose hours habits of the week are in; UTC for those that know no hours.
    pub zone: Zone,
    /// What is unusual again within so long is the same alert.
    pub quiet: Span,
}

/// The same, with the names of fields.
#[derive(Debug)]
pub(super) struct Draft {
    asked: Anomaly,
    by: Vec<String>,
    of: Vec<String>,
    peers: Vec<String>,
    ignore: Vec<(String, Option<String>)>,
}

const KEYS: [&str; 9] = ["type", "by", "of", "peers", "learn", "remember", "window", "p", "ignore"];

const WAYS: [(&str, Way); 7] = [
    ("first_seen", Way::FirstSeen),
    ("rare", Way::Rare),
    ("rate", Way::Rate),
    ("distinct", Way::Distinct),
    ("concurrent", Way::Concurrent),
    ("silent", Way::Silent),
    ("travel", Way::Travel),
];

/// Days of a week show every habit once.
const LEARN: Span = Span::seconds(7 * 86_400);
/// Of places there are fewer than of habits, and a wrong one costs more.
const LEARN_TRAVEL: Span = Span::seconds(14 * 86_400);
const LEARN_COUNT: u32 = 30;
const REMEMBER: Span = Span::seconds(90 * 86_400);
/// A value is learnt on two days.
const REMEMBER_LEAST: Span = Span::seconds(2 * 86_400);
const WINDOW: Span = Span::seconds(3_600);
const PER_MILLION: u32 = 1_000;
const QUIET: Span = Span::seconds(86_400);

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(entry: &Entry<'_>, sort: Sort, dedup: Option<&(Vec<String>, Span)>) -> Result<Draft, Fault> {
    let lines = known(entry, &KEYS)?;
    let wrong = |message: String| Fault::error(message).at(entry.place);
    if sort != Sort::Detection {
        return Err(wrong("`anomaly` stands beside a `detection`, whose events are learnt".to_owned()));
    }
    if dedup.is_some_and(|(names, _)| !names.is_empty()) {
        return Err(wrong("`dedup` of a rule that learns has a `period` only; its alerts are grouped `by`".to_owned()));
    }
    let way = way(entry)?;
    let (by, of, peers) = (fields(entry, "by")?, fields(entry, "of")?, fields(entry, "peers")?);
    if by.is_empty() {
        return Err(wrong("`by` is missing: the fields that say whose habits are learnt".to_owned()));
    }
    let (reads_values, has_window) = match way {
        Way::FirstSeen | Way::Rare => (true, false),
        Way::Distinct | Way::Concurrent => (true, true),
        Way::Rate | Way::Silent | Way::Risk => (false, true),
        Way::Travel => (false, false),
    };
    match (reads_values, of.is_empty()) {
        (false, false) => {
            return Err(wrong(
                "`rate` and `silent` look at events, `travel` at where they came from: they take no `of`".to_owned(),
            ));
        }
        (true, true) => return Err(wrong("`of` is missing: the fields whose values are looked at".to_owned())),
        (false, true) | (true, false) => {}
    }
    if let Some(window) = lines.iter().find(|line| line.key == "window").filter(|_| !has_window) {
        return Err(Fault::error("`window` means nothing to `first_seen`, `rare` and `travel`").at(window.place));
    }
    if let Some(line) = lines.iter().find(|line| line.key == "peers").filter(|_| !way.has_peers()) {
        let message = "`peers` goes with `first_seen`, `rate` and `distinct`: only those are judged by a group as well";
        return Err(Fault::error(message).at(line.place));
    }
    let is_travel = way == Way::Travel;
    if let Some(line) = lines.iter().find(|line| line.key == if is_travel { "p" } else { "ignore" }) {
        let message = if is_travel {
            "`p` means nothing to `travel`, which is judged by distance and time"
        } else {
            "only `travel` has something to `ignore`; leave such events out by the condition"
        };
        return Err(Fault::error(message).at(line.place));
    }
    let (of, ignore) = if is_travel { travel::fields(entry)? } else { (of, Vec::new()) };
    let (learn, learn_count) = learn(entry, if is_travel { LEARN_TRAVEL } else { LEARN })?;
    let remember = span(entry, "remember")?.unwrap_or(REMEMBER);
    if remember < learn.max(REMEMBER_LEAST) {
        let place = entry.value.get("remember").map_or(entry.place, |line| line.value.place);
        let message =
            "`remember` is at least two days, and as long as `learn`: what is forgotten sooner is never learnt";
        return Err(Fault::error(message).at(place));
    }
    let asked = Anomaly {
        way,
        by: Vec::new(),
        of: Vec::new(),
        peers: Vec::new(),
        ignore: Vec::new(),
        learn,
        learn_count,
        remember,
        window: span(entry, "window")?.unwrap_or(WINDOW),
        per_million: per_million(entry)?,
        zone: Zone::default(),
        quiet: dedup.map_or(QUIET, |(_, period)| *period),
    };
    Ok(Draft { asked, by, of, peers, ignore })
}

impl Draft {
    pub(super) fn compile(self, fields: &mut Fields, zone: Zone) -> Anomaly {
        let mut all = |names: Vec<String>| names.iter().map(|name| fields.intern(name)).collect();
        let (by, of, peers) = (all(self.by), all(self.of), all(self.peers));
        let ignore = self.ignore.into_iter().map(|(name, value)| (fields.intern(&name), value)).collect();
        // Another zone is another question, so what was learnt begins anew: only where it matters.
        let has_hours = matches!(self.asked.way, Way::Rate | Way::Distinct);
        let zone = if has_hours { zone } else { Zone::default() };
        Anomaly { by, of, peers, ignore, zone, ..self.asked }
    }

    /// The names of all fields that it reads.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.by.iter().chain(&self.of).chain(&self.peers)
    }
}

impl Anomaly {
    /// What state needs of it; `of` is how people read the fields.
    pub(crate) fn learning(&self, of: String, peers: String) -> Learning {
        let &Self { way, learn, learn_count, remember, window, per_million, zone, .. } = self;
        Learning { way, of, peers, learn, learn_count, remember, window, per_million, floor: 0, zone }
    }
}

fn way(entry: &Entry<'_>) -> Result<Way, Fault> {
    let names = WAYS.map(|(name, _)| name);
    let all = || format!("it is one of {}, risk", names.join(", "));
    let Some(line) = entry.value.get("type") else {
        return Err(Fault::error(format!("`type` is missing; {}", all())).at(entry.place));
    };
    let text = line.value.text().unwrap_or_default();
    if text == "risk" {
        let message = "`risk` reads findings and not events: such a rule has no `detection`";
        return Err(Fault::error(message).at(line.value.place));
    }
    WAYS.into_iter().find(|(name, _)| *name == text).map(|(_, way)| way).ok_or_else(|| {
        let hint = nearest::hint(text, names);
        Fault::error(format!("`{text}` is no `type` of an anomaly; {}{hint}", all())).at(line.value.place)
    })
}

fn fields(entry: &Entry<'_>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(line) = entry.value.get(key) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for node in line.value.each() {
        let name = node.text().ok_or_else(|| Fault::error(format!("`{key}` is a list of fields")).at(node.place))?;
        field::check(name).map_err(|message| Fault::error(message).at(node.place))?;
        names.push(name.to_owned());
    }
    Ok(names)
}

pub(super) fn span(entry: &Entry<'_>, key: &str) -> Result<Option<Span>, Fault> {
    let Some(line) = entry.value.get(key) else { return Ok(None) };
    let wrong = |message| Fault::error(message).at(line.value.place);
    let text = line.value.text().ok_or_else(|| wrong(format!("`{key}` is a length of time such as `1h`")))?;
    text.parse().map(Some).map_err(|error: crate::time::TimeError| wrong(error.to_string()))
}

/// A time alone, or `{time: 14d, count: 50}`.
fn learn(entry: &Entry<'_>, default: Span) -> Result<(Span, u32), Fault> {
    let Some(line) = entry.value.get("learn") else { return Ok((default, LEARN_COUNT)) };
    if line.value.map().is_none() {
        return Ok((span(entry, "learn")?.unwrap_or(default), LEARN_COUNT));
    }
    known(line, &["time", "count"])?;
    let count = match line.value.get("count") {
        None => LEARN_COUNT,
        Some(count) => whole(count).ok_or_else(|| {
            Fault::error("`count` is how often a key is looked at before it is judged, a whole number")
                .at(count.value.place)
        })?,
    };
    Ok((span(line, "time")?.unwrap_or(default), count))
}

fn whole(entry: &Entry<'_>) -> Option<u32> {
    match &entry.value.value {
        Value::Number(_, text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
    }
}

pub(super) fn per_million(entry: &Entry<'_>) -> Result<u32, Fault> {
    let Some(line) = entry.value.get("p") else { return Ok(PER_MILLION) };
    let number = match &line.value.value {
        Value::Number(_, text) => text.parse::<f64>().ok(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a million")]
    let per_million = number.filter(|p| (1e-6..=1.0).contains(p)).map(|p| (p * 1e6).round() as u32);
    per_million.ok_or_else(|| {
        Fault::error("`p` is how rare the unusual is, from 0.000001 to 1; 0.001 is one look in a thousand")
            .at(line.value.place)
    })
}

/// An example of a rule that learns: each of `usual` comes `every` so long for a time of `for`, and then the events of `then`, one
/// a second. One document, whose lengths of time are written in seconds.
///
/// # Errors
/// What its author can mend, and where.
pub(super) fn example(case: &Node<'_>) -> Result<Vec<serde_json::Value>, Fault> {
    let wrong = |message: &str| Fault::error(message.to_owned()).at(case.place);
    let shape = "each test of a rule that learns is a mapping of `usual`, `every`, `for` and `then`";
    let lines = case.map().ok_or_else(|| wrong(shape))?;
    if let Some(line) = lines.iter().find(|line| !["usual", "every", "for", "then", "kind"].contains(&&*line.key)) {
        return Err(Fault::error(format!("`{}` means nothing here; {shape}", line.key)).at(line.place));
    }
    let events = |key: &str| {
        let nodes = case.get(key).map_or(&[][..], |entry| entry.value.each());
        match nodes.iter().all(|node| node.map().is_some()) {
            true => Ok(nodes.iter().map(Node::json).collect::<Vec<_>>()),
            false => Err(wrong(&format!("`{key}` is a list of events"))),
        }
    };
    let seconds = |key: &str, default: Span| {
        let Some(entry) = case.get(key) else { return Ok(default.micros() / 1_000_000) };
        let text = entry.value.text().unwrap_or_default();
        let span: Result<Span, crate::time::TimeError> = text.parse();
        span.map(|span| span.micros() / 1_000_000)
            .map_err(|error| Fault::error(error.to_string()).at(entry.value.place))
    };
    let kind = case.get("kind").and_then(|entry| entry.value.text());
    Ok(vec![serde_json::json!({
        "kind": kind,
        "usual": events("usual")?,
        "every": seconds("every", Span::seconds(3_600))?.max(1),
        "for": seconds("for", Span::seconds(30 * 86_400))?,
        "then": events("then")?,
    })])
}
