//! The keys that Lapwing adds to Sigma.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Tests;
use super::anomaly::{self, Draft};
use super::nearest;
use super::place::Fault;
use super::yaml::{Entry, Node, Value};
use crate::address::{Aspect, Ranges, Whereabouts};
use crate::field;
use crate::time::Span;

/// What a rule says to Lapwing alone.
pub(super) struct Own {
    pub(super) version: u32,
    pub(super) runbook: String,
    /// Field names and period.
    pub(super) dedup: Option<(Vec<String>, Span)>,
    pub(super) anomaly: Option<Draft>,
    pub(super) tests: Tests,
    /// Lints that it silences.
    pub(super) allow: Vec<String>,
}

/// Whose tests they are: a detection's are single events, a correlation's are lists of events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Detection,
    Correlation,
    /// A detection that learns: what is usual, and then some events.
    Learning,
    /// A rule that adds up what others find, with the examples of one that learns.
    Risk,
    /// Not one that raises alerts itself.
    Filter,
}

/// The keys that are read here.
pub(super) const KEYS: [&str; 6] = ["version", "runbook", "dedup", "anomaly", "tests", "lapwing"];

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(document: &Node<'_>, sort: Sort) -> Result<Own, Fault> {
    let version = document.get("version").map(version).transpose()?.unwrap_or(1);
    let runbook = match document.get("runbook") {
        None => String::new(),
        Some(entry) => match entry.value.text() {
            Some(text) => text.trim_end().to_owned(),
            None => return Err(Fault::error("`runbook` must be text").at(entry.value.place)),
        },
    };
    let dedup = document.get("dedup").map(dedup).transpose()?;
    let anomaly = match (document.get("anomaly"), sort) {
        (None, _) => None,
        (Some(_), Sort::Risk) if dedup.as_ref().is_some_and(|(names, _)| !names.is_empty()) => {
            return Err(Fault::error(
                "`dedup` of a rule that adds up has a `period` only; its alerts are grouped `by`",
            ));
        }
        (Some(_), Sort::Risk) => None,
        (Some(entry), Sort::Detection | Sort::Correlation | Sort::Learning | Sort::Filter) => {
            Some(anomaly::read(entry, sort, dedup.as_ref())?)
        }
    };
    let sort = if anomaly.is_some() { Sort::Learning } else { sort };
    let tests = document.get("tests").map(|entry| tests(entry, sort)).transpose()?.unwrap_or_default();
    let allow = document.get("lapwing").map(allow).transpose()?.unwrap_or_default();
    Ok(Own { version, runbook, dedup, anomaly, tests, allow })
}

fn version(entry: &Entry<'_>) -> Result<u32, Fault> {
    let wrong = || Fault::error("`version` must be a whole number").at(entry.value.place);
    match &entry.value.value {
        Value::Number(_, text) => text.parse().map_err(|_| wrong()),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => Err(wrong()),
    }
}

/// Refuses what a block of ours does not know: a misspelt key must not pass for one that is absent.
pub(super) fn known<'e, 'd>(entry: &'e Entry<'d>, keys: &[&str]) -> Result<&'e [Entry<'d>], Fault> {
    let wrong = || Fault::error(format!("`{}` is a mapping of `{}`", entry.key, keys.join("`, `")));
    let lines = entry.value.map().ok_or_else(|| wrong().at(entry.value.place))?;
    match lines.iter().find(|line| !keys.contains(&&*line.key)) {
        None => Ok(lines),
        Some(line) => {
            let hint = nearest::hint(&line.key, keys.iter().copied());
            let message = format!("`{}` means nothing in `{}`, which takes `{}`{hint}", line.key, entry.key, {
                keys.join("` and `")
            });
            Err(Fault::error(message).at(line.place))
        }
    }
}

fn dedup(entry: &Entry<'_>) -> Result<(Vec<String>, Span), Fault> {
    known(entry, &["group-by", "period"])?;
    let mut names = Vec::new();
    if let Some(group_by) = entry.value.get("group-by") {
        for node in group_by.value.each() {
            let name = node.text().ok_or_else(|| Fault::error("`group-by` is a list of fields").at(node.place))?;
            field::check(name).map_err(|message| Fault::error(message).at(node.place))?;
            names.push(name.to_owned());
        }
    }
    let Some(period) = entry.value.get("period") else {
        return Err(Fault::error("`period` is missing; write it as `1h`").at(entry.place));
    };
    let wrong = |message| Fault::error(message).at(period.value.place);
    let text = period.value.text().ok_or_else(|| wrong("`period` is a length of time such as `1h`".to_owned()))?;
    let period = text.parse().map_err(|error: crate::time::TimeError| wrong(error.to_string()))?;
    Ok((names, period))
}

fn tests(entry: &Entry<'_>, sort: Sort) -> Result<Tests, Fault> {
    known(entry, &["addresses", "match", "ignore"])?;
    let addresses = entry.value.get("addresses").map(addresses).transpose()?;
    let mut tests = Tests { addresses, ..Tests::default() };
    for key in ["match", "ignore"] {
        let cases = match entry.value.get(key) {
            None => continue,
            Some(Entry { value: Node { value: Value::List(cases), .. }, .. }) => cases,
            Some(other) => return Err(Fault::error(format!("`{key}` is a list of tests")).at(other.value.place)),
        };
        let list = if key == "match" { &mut tests.fires } else { &mut tests.ignores };
        for case in cases {
            list.push(events(case, sort)?);
            tests.lines.push(case.place.line as usize);
        }
    }
    Ok(tests)
}

/// What is known of addresses while the examples are tried: networks, and fields with their values.
fn addresses(entry: &Entry<'_>) -> Result<Arc<Ranges<Whereabouts>>, Fault> {
    let shape = "`addresses` is a mapping of networks such as `192.0.2.0/24`, each with fields such as `source.as.number: 64500`";
    let wrong = |place| Fault::error(shape).at(place);
    let mut networks = Vec::new();
    for line in entry.value.map().ok_or_else(|| wrong(entry.place))? {
        let network = line.key.parse::<IpNet>().or_else(|_| line.key.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| wrong(line.place))?;
        let mut known = Whereabouts::default();
        for field in line.value.map().ok_or_else(|| wrong(line.place))? {
            let names = Aspect::NAMES.map(|(name, _)| name);
            let aspect = Aspect::named(&field.key).ok_or_else(|| {
                let hint = nearest::hint(&field.key, names);
                Fault::error(format!("`{}` is none of {}{hint}", field.key, names.join(", "))).at(field.place)
            })?;
            match field.value.json() {
                serde_json::Value::String(text) => known.set(aspect, &text),
                serde_json::Value::Number(number) => known.set(aspect, &number.to_string()),
                serde_json::Value::Bool(true) => known.set(aspect, "true"),
                serde_json::Value::Bool(false) | serde_json::Value::Null => {}
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => return Err(wrong(field.place)),
            }
        }
        networks.push((network, known));
    }
    Ok(Arc::new(Ranges::new(networks)))
}

fn events(case: &Node<'_>, sort: Sort) -> Result<Vec<serde_json::Value>, Fault> {
    match (sort, &case.value) {
        (Sort::Learning | Sort::Risk, _) => anomaly::example(case),
        (Sort::Detection | Sort::Filter, Value::Map(_)) => Ok(vec![case.json()]),
        (Sort::Detection | Sort::Filter, _) => {
            Err(Fault::error("each test of a detection is one event, a mapping").at(case.place))
        }
        (Sort::Correlation, Value::List(events))
            if !events.is_empty() && events.iter().all(|event| event.map().is_some()) =>
        {
            Ok(events.iter().map(Node::json).collect())
        }
        (Sort::Correlation, _) => Err(Fault::error("each test of a correlation is a list of events").at(case.place)),
    }
}

/// The names of lints that find nothing here.
fn allow(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    known(entry, &["allow"])?;
    let names = entry.value.get("allow").map_or(&[][..], |names| names.value.each());
    let name = |node: &Node<'_>| match node.text() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Fault::error("`allow` is a list of the names that `lapwing check` prints").at(node.place)),
    };
    names.iter().map(name).collect()
}
