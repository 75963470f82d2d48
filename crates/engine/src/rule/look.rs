//! One event, looked at by the rules of its log source: the hot loop.

use sonic_rs::Value;

use super::RuleNumber;
use super::column::Atom;
use super::condition::Predicates;
use super::facts::{Facts, Wanted, member, said};
use super::found::{Found, Tree};
use super::leaf::Leaf;
use super::literal::Where;
use super::located::Located;
use super::marks::Marks;
use super::matcher::Subject;
use super::number::Number;
use super::plan::{Ask, Plan};
use super::skim;
use crate::address::{Addresses, Cache};
use crate::event::Kind;
use crate::lineage::{self, Glimpse};
use crate::normalise::glance;
use crate::normalise::home;
use crate::normalise::{Format, Home};
use crate::time::Timestamp;

/// Memory that matching reuses from event to event; one a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Found<'static>,
    /// Of events that matched.
    pub(super) facts: Found<'static>,
    /// What is known of the addresses that came last.
    pub(super) known_addresses: Cache,
    /// Whether the event before matched.
    matches_come: bool,
    known: Known,
    matched: Vec<RuleNumber>,
}

/// What is known of the event at hand.
#[derive(Debug, Default)]
struct Known {
    /// Columns that were scanned.
    scanned: Marks,
    /// Atoms that are there.
    hit: Marks,
    /// Rules of the plan that are candidates.
    candidates: Marks,
    /// Asks that were answered, and those of them to which the answer is yes.
    answered: Marks,
    yes: Marks,
}

/// What a glance at a raw record shows.
#[derive(Debug)]
pub struct Glance<'s, 'r> {
    /// Which log it is of.
    pub kind: Kind,
    /// Where it is from.
    pub home: Home<'r>,
    /// When it happened.
    pub time: Timestamp,
    /// The detection rules that match it, in ascending order.
    pub rules: &'s [RuleNumber],
    /// What it says of credentials and deploys.
    pub glimpse: Glimpse<'r>,
}

/// A second look, at what is remembered of an event that matched.
#[derive(Debug)]
pub(crate) struct Recall<'s, 'e> {
    /// What was found in the first, if it read everything.
    found: Option<&'s Found<'e>>,
    text: &'e str,
    wanted: &'s Wanted,
    memory: &'s mut Found<'static>,
    located: Located<'s>,
}

impl Recall<'_, '_> {
    /// Nothing if only the whole way can tell.
    pub(crate) fn read<T>(self, read: impl FnOnce(&Facts<'_, '_>) -> Option<T>) -> Option<T> {
        match self.found {
            Some(found) => read(&self.wanted.facts(found, self.located)),
            None => self.wanted.of_text(self.text, self.located, self.memory, read),
        }
    }
}

/// What is asked, and whoever knows of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    pub(super) predicates: &'p Predicates,
    pub(super) addresses: &'p Addresses,
}

struct Look<'p, 'e> {
    plan: &'p Plan,
    predicates: &'p Predicates,
    found: Found<'e>,
    known: &'p mut Known,
    /// Nothing once it was looked up.
    located: Option<Located<'p>>,
}

/// The rules of `plan` that match, in ascending order.
pub(super) fn matches<'s>(
    plan: &Plan,
    asked: Asked<'_>,
    document: &Value,
    scratch: &'s mut Scratch,
) -> &'s [RuleNumber] {
    let mut found = Found::start(plan.fields, std::mem::take(&mut scratch.found));
    found.read(&plan.tree, plan.strings, document);
    scratch.found = decide(plan, asked, found, scratch).forget();
    &scratch.matched
}

/// What a skim of a record's text shows, if it shows that the record is one event.
pub(super) fn glance<'s, 'r>(
    plan: &Plan,
    asked: Asked<'_>,
    (format, kind): (Format, Kind),
    text: &'r str,
    scratch: &'s mut Scratch,
) -> Option<Glance<'s, 'r>> {
    let (clear, found) = skimmed(plan, &plan.tree, asked, (format, kind), text, scratch);
    let glimpse = clear.map(|(time, _)| glimpse(plan, kind, time, &found));
    scratch.found = found.forget();
    let ((time, home), glimpse) = clear.zip(glimpse)?;
    Some(Glance { kind, home, time, rules: &scratch.matched, glimpse })
}

/// The same, and more of an event that matched. Events that match come in runs: after one that did all is read in one
/// walk, after one that did not in two.
pub(super) fn glance_and_recall<'r, T>(
    (plan, wanted): (&Plan, &Wanted),
    asked: Asked<'_>,
    (format, kind): (Format, Kind),
    text: &'r str,
    scratch: &mut Scratch,
    see: impl FnOnce(Glance<'_, 'r>, Recall<'_, '_>) -> Option<T>,
) -> Option<T> {
    let at_once = scratch.matches_come;
    let tree = if at_once { &plan.tree_with_facts } else { &plan.tree };
    let (clear, found) = skimmed(plan, tree, asked, (format, kind), text, scratch);
    let Scratch { matched, facts, matches_come, known_addresses, .. } = scratch;
    let answer = clear.and_then(|(time, home)| {
        *matches_come = !matched.is_empty();
        let located = Located { addresses: asked.addresses, cache: known_addresses };
        let recall = Recall { found: at_once.then_some(&found), text, wanted, memory: facts, located };
        let glimpse = glimpse(plan, kind, time, &found);
        see(Glance { kind, home, time, rules: matched, glimpse }, recall)
    });
    scratch.found = found.forget();
    answer
}

/// What is seen of credentials on the way.
fn glimpse<'e>(plan: &Plan, kind: Kind, time: Timestamp, found: &Found<'e>) -> Glimpse<'e> {
    if kind != Kind::AwsCloudtrail {
        return Glimpse::Nothing;
    }
    lineage::glance::glimpse(time, |number| said(found, plan.notes[number]))
}

/// Skims with this tree and decides; time and home are missing if the record is to be read in full.
fn skimmed<'e>(
    plan: &Plan,
    tree: &Tree,
    asked: Asked<'_>,
    (format, kind): (Format, Kind),
    text: &'e str,
    scratch: &mut Scratch,
) -> (Option<(Timestamp, Home<'e>)>, Found<'e>) {
    let mut found = Found::start(plan.fields, std::mem::take(&mut scratch.found));
    let clear = skim::skim(tree, plan.strings, text, &mut found).and_then(|()| {
        let member = |number| member(&found, plan.members[number]);
        Some((glance::time(format, kind, member)?, home::glanced(kind, member)?))
    });
    // A record that is unclear is not worth asking rules for: that is done when it was read.
    if clear.is_some() {
        found = decide(plan, asked, found, scratch);
    }
    (clear, found)
}

/// Fills `scratch.matched` from what was found of a document, and hands that back.
fn decide<'e>(plan: &Plan, asked: Asked<'_>, mut found: Found<'e>, scratch: &mut Scratch) -> Found<'e> {
    let Scratch { known, matched, known_addresses, .. } = scratch;
    matched.clear();
    known.start(plan);
    found.stand_in(&plan.synonyms);
    if plan.strings {
        found.join_strings();
    }
    let Asked { predicates, addresses } = asked;
    let located = Some(Located { addresses, cache: known_addresses });
    let mut look = Look { plan, predicates, found, known, located };
    look.call();
    for place in 0..look.known.candidates.members().len() {
        let (rule, start) = plan.rules[look.known.candidates.members()[place] as usize];
        if plan.steps.run(start, |ask| look.answer(ask)) {
            matched.push(rule);
        }
    }
    matched.sort_unstable();
    look.found
}

impl Look<'_, '_> {
    /// Gathers the rules for which something speaks.
    fn call(&mut self) {
        for rule in &self.plan.always {
            self.known.candidates.insert(*rule);
        }
        for (field, rules) in &self.plan.present {
            if self.found.exists(*field) {
                rules.iter().for_each(|rule| _ = self.known.candidates.insert(*rule));
            }
        }
        // A record has few of the fields that rules name.
        for place in 0..self.found.present().len() {
            let field = self.found.present()[place];
            for column in self.plan.watched.of(field) {
                self.scan(*column);
            }
        }
        for column in self.plan.watched.anywhere() {
            self.scan(*column);
        }
    }

    /// Finds the literals of a column, once an event.
    fn scan(&mut self, place: u32) {
        let Self { plan, found, known, .. } = self;
        if !known.scanned.insert(place) {
            return;
        }
        let (subject, position, column) = &plan.columns[place as usize];
        let mut scan = |text: &[u8]| column.scan(text, |atom| known.hit(atom, plan));
        match (subject, position) {
            (Subject::Field(field), Where::Number) => found.of(*field).for_each(|value| match value {
                Leaf::Digits(digits) => scan(digits.as_bytes()),
                Leaf::Number(_) | Leaf::Long(_) => {
                    let whole = Number::of(value).and_then(Number::whole);
                    whole.into_iter().for_each(|whole| scan(whole.to_string().as_bytes()));
                }
                Leaf::Text(_) | Leaf::Escaped(_) | Leaf::Known(_) | Leaf::Bool(_) | Leaf::Null | Leaf::Object => {}
            }),
            (Subject::Field(field), _) => found.folded(*field, scan),
            (Subject::Anywhere, Where::Inside | Where::Short) => scan(found.joined()),
            (Subject::Anywhere, _) => found.each_joined(scan),
        }
    }

    /// Finds out where the event's address is, once an event.
    fn locate(&mut self) {
        let Some(mut located) = self.located.take() else { return };
        if let Some(known) = self.plan.places.of(&self.found, &mut located) {
            self.plan.places.fill(&known, &mut self.found);
        }
    }

    fn answer(&mut self, ask: u32) -> bool {
        if !self.known.answered.insert(ask) {
            return self.known.yes.holds(ask);
        }
        let answer = match &self.plan.asks[ask as usize] {
            Ask::Directly(predicate) => self.predicates.get(*predicate).holds(&self.found),
            Ask::Located(predicate) => {
                self.locate();
                self.predicates.get(*predicate).holds(&self.found)
            }
            Ask::Literals { unwatched, atoms, then } => {
                for column in &self.plan.unwatched[unwatched.start as usize..unwatched.end as usize] {
                    self.scan(*column);
                }
                let atoms = &self.plan.atoms[atoms.start as usize..atoms.end as usize];
                atoms.iter().any(|atom| self.known.hit.holds(atom.0))
                    && then.is_none_or(|predicate| self.predicates.get(predicate).holds(&self.found))
            }
        };
        if answer {
            self.known.yes.insert(ask);
        }
        answer
    }
}

impl Known {
    /// Forgets the last event and makes room for this plan.
    fn start(&mut self, plan: &Plan) {
        self.scanned.start(plan.columns.len());
        self.hit.start(plan.calls.len());
        self.candidates.start(plan.rules.len());
        self.answered.start(plan.asks.len());
        self.yes.start(plan.asks.len());
    }

    fn hit(&mut self, atom: Atom, plan: &Plan) {
        if self.hit.insert(atom.0) {
            let calls = &plan.calls[atom.0 as usize];
            for rule in &plan.called[calls.start as usize..calls.end as usize] {
                self.candidates.insert(*rule);
            }
        }
    }
}
