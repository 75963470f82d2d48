//! `anomaly: {type: risk}`: a rule that reads no log but what other rules find, and adds it up for each actor, address, target or
//! account.

use std::collections::BTreeSet;

use super::anomaly;
use super::draft::{Draft, Source};
use super::load::{ByName, Compiled, base};
use super::nearest;
use super::own::known;
use super::place::{Fault, Place};
use super::yaml::{Entry, Node, Value};
use super::{Problem, RuleNumber, Severity};
use crate::detect::{Learning, Way};
use crate::time::{Span, Zone};

/// What is added up, and when it is an alert.
#[derive(Clone, Debug)]
pub struct Risk {
    /// What of the findings makes the key.
    pub by: Vec<Facet>,
    /// Rules whose findings count, in ascending order.
    pub feeds: Vec<RuleNumber>,
    /// After so long a finding counts half.
    pub half_life: Span,
    /// Less is never an alert, in thousandths.
    pub floor: u32,
    /// Unusual is what is at least as rare as so many findings in a million.
    pub per_million: u32,
    /// A key of which nothing was found for so long is forgotten.
    pub remember: Span,
    /// What goes on within so long is the same alert.
    pub quiet: Span,
}

/// What an alert says of itself, by which findings are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// Who did it. Of a role's session the role, unless the session bears a person's address.
    Actor,
    /// From where.
    Ip,
    /// To what.
    Target,
    /// In which account, organisation or project.
    Account,
}

/// The same, before rules have numbers.
pub(super) struct Asked {
    risk: Risk,
    /// Names and ids.
    rules: Vec<(String, Place)>,
    tags: Vec<String>,
    levels: Vec<Severity>,
    /// Whether those that it names raise alerts of their own as well.
    generate: bool,
}

const KEYS: [&str; 7] = ["type", "by", "of", "half_life", "floor", "p", "remember"];

const FACETS: [(&str, Facet); 4] =
    [("actor", Facet::Actor), ("ip", Facet::Ip), ("target", Facet::Target), ("account", Facet::Account)];

const HALF_LIFE: Span = Span::seconds(86_400);
/// One rule of level high and one of medium, with something to spare; a critical one alone is less.
const FLOOR: u32 = 7_000;
/// Whatever is found is rare already: one in twenty of it.
const PER_MILLION: u32 = 50_000;
/// After seven half-lives a hundredth is left.
const REMEMBER: Span = Span::seconds(7 * 86_400);
const QUIET: Span = Span::seconds(86_400);

impl Facet {
    /// As a rule writes it, and as alerts show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Ip => "ip",
            Self::Target => "target",
            Self::Account => "account",
        }
    }
}

impl Risk {
    /// What state needs of it.
    pub(crate) fn learning(&self) -> Learning {
        let &Self { half_life, floor, per_million, remember, .. } = self;
        Learning {
            way: Way::Risk,
            of: String::new(),
            peers: String::new(),
            learn: Span::default(),
            learn_count: 0,
            remember,
            window: half_life,
            per_million,
            floor,
            zone: Zone::default(),
        }
    }
}

/// Whether this document is such a rule: it stands beside no `detection`.
pub(super) fn is_one(document: &Node<'_>) -> bool {
    let way = document.get("anomaly").and_then(|entry| entry.value.get("type"));
    way.and_then(|way| way.value.text()) == Some("risk")
}

/// # Errors
/// What its author can mend, and where.
pub(super) fn read(entry: &Entry<'_>, document: &Node<'_>) -> Result<Asked, Fault> {
    known(entry, &KEYS)?;
    let by = match entry.value.get("by") {
        None => vec![Facet::Actor],
        Some(line) => line.value.each().iter().map(facet).collect::<Result<_, _>>()?,
    };
    let floor = match entry.value.get("floor") {
        None => FLOOR,
        Some(line) => thousandths(line).ok_or_else(|| {
            Fault::error("`floor` is the least sum that is an alert, a number up to 1000").at(line.value.place)
        })?,
    };
    let span = |key| anomaly::span(entry, key);
    let quiet = document.get("dedup").and_then(|entry| entry.value.get("period")).and_then(|line| line.value.text());
    let risk = Risk {
        by,
        feeds: Vec::new(),
        half_life: span("half_life")?.unwrap_or(HALF_LIFE),
        floor,
        per_million: if entry.value.get("p").is_some() { anomaly::per_million(entry)? } else { PER_MILLION },
        remember: span("remember")?.unwrap_or(REMEMBER),
        // What is wrong with it is told where `dedup` is read.
        quiet: quiet.and_then(|text| text.parse().ok()).unwrap_or(QUIET),
    };
    let asked = Asked { risk, rules: Vec::new(), tags: Vec::new(), levels: Vec::new(), generate: false };
    match entry.value.get("of") {
        None => Ok(asked),
        Some(of) => selection(of, asked),
    }
}

/// `{rules: […], tags: […], levels: […], generate: true}`
fn selection(of: &Entry<'_>, asked: Asked) -> Result<Asked, Fault> {
    known(of, &["rules", "tags", "levels", "generate"])?;
    let list = |key: &str| of.value.get(key).map_or(&[][..], |line| line.value.each());
    let texts = |key: &str| {
        let text = |node: &Node<'_>| match node.text() {
            Some(text) => Ok((text.to_owned(), node.place)),
            None => Err(Fault::error(format!("`{key}` is a list of texts")).at(node.place)),
        };
        list(key).iter().map(text).collect::<Result<Vec<_>, Fault>>()
    };
    let level = |(text, place): (String, Place)| {
        let names = Severity::ALL.map(Severity::name);
        Severity::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| {
            let hint = nearest::hint(&text, names);
            Fault::error(format!("`{text}` is no level; levels are {}{hint}", names.join(", "))).at(place)
        })
    };
    let generate = match of.value.get("generate") {
        None => false,
        Some(line) => match line.value.value {
            Value::Bool(generate) => generate,
            Value::Null | Value::Number(..) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                return Err(Fault::error("`generate` is true or false").at(line.value.place));
            }
        },
    };
    Ok(Asked {
        rules: texts("rules")?,
        tags: texts("tags")?.into_iter().map(|(tag, _)| tag).collect(),
        levels: texts("levels")?.into_iter().map(level).collect::<Result<_, _>>()?,
        generate,
        ..asked
    })
}

fn facet(node: &Node<'_>) -> Result<Facet, Fault> {
    let names = FACETS.map(|(name, _)| name);
    let text = node.text().unwrap_or_default();
    FACETS.into_iter().find(|(name, _)| *name == text).map(|(_, facet)| facet).ok_or_else(|| {
        let hint = nearest::hint(text, names);
        let message = format!("`{text}` is nothing to add up by; it is one of {}{hint}", names.join(", "));
        Fault::error(message).at(node.place)
    })
}

fn thousandths(line: &Entry<'_>) -> Option<u32> {
    let number = match &line.value.value {
        Value::Number(_, text) => text.parse::<f64>().ok(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    number.filter(|floor| (0.0..=1_000.0).contains(floor)).map(|floor| (floor * 1_000.0).round() as u32)
}

impl Asked {
    /// Whether a rule's findings count, of those that raise alerts.
    fn takes(&self, draft: &Draft<'_>) -> bool {
        let takes_all = self.rules.is_empty() && self.tags.is_empty() && self.levels.is_empty();
        takes_all || self.levels.contains(&draft.severity) || draft.tags.iter().any(|tag| self.tags.contains(tag))
    }
}

/// Finds the rules that each such rule is fed by. Those that it names raise no alerts of their own, unless it says
/// `generate: true`: they are added to `quiet`.
pub(super) fn join(
    drafts: &[Draft<'_>],
    named: &ByName<'_>,
    compiled: &mut [Option<Compiled>],
    quiet: &mut BTreeSet<usize>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut found: Vec<(usize, &Asked, BTreeSet<usize>)> = Vec::new();
    let mut generating = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for (place, draft) in drafts.iter().enumerate() {
        let Source::Risk(asked) = &draft.source else { continue };
        let find = |(name, at): &(String, Place)| {
            let found =
                base(name, draft.document.path, drafts, named).map_err(|message| Fault::error(message).at(*at))?;
            match (&drafts[found].source, &compiled[found]) {
                (Source::Risk(_), _) => Err(Fault::error(format!("`{name}` adds up findings itself")).at(*at)),
                (_, None) => Err(Fault::error(format!("rule `{name}` could not be loaded")).at(*at)),
                (_, Some(_)) => Ok(found),
            }
        };
        match asked.rules.iter().map(find).collect::<Result<BTreeSet<_>, _>>() {
            Ok(feeds) => {
                if asked.generate { &mut generating } else { &mut silent }.extend(feeds.iter().copied());
                found.push((place, asked, feeds));
            }
            Err(fault) => problems.push(draft.problem(fault)),
        }
    }
    quiet.extend(silent.difference(&generating));
    for (place, asked, mut feeds) in found {
        let speaks =
            |other: &usize| compiled[*other].is_some() && !quiet.contains(other) && asked.takes(&drafts[*other]);
        feeds.extend((0..drafts.len()).filter(speaks));
        compiled[place] = Some(Compiled::Risk(asked.risk.clone(), feeds.into_iter().collect()));
    }
    problems
}
