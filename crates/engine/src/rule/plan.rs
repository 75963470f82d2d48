//! How the events of one log source are matched: which rules can match an event at all, and how to ask them.
//!
//! Of ten thousand rules a handful can match an event. A plan holds only the rules that read its log source,
//! finds the values of all their fields in one walk ([`super::found`]), all their literals in one pass over each
//! value ([`super::column`]), and asks only the rules for which a literal speaks ([`super::witness`]). Nothing
//! is cleared or allocated per rule: cost grows with the event and with what it holds.
//!
//! Not done: one automaton over the raw bytes, before parsing. Measured apart from this engine, with the literals of
//! all public rules it took 6.7 µs a CloudTrail record, and parsing it 0.8 µs.

use std::collections::HashMap;
use std::ops::Range;

use super::RuleNumber;
use super::column::{Atom, Column};
use super::condition::{PredicateNumber, Predicates, Program};
use super::facts::{self, Wanted};
use super::found::Tree;
use super::index::Detection;
use super::literal::{Literal, Literals, Where};
use super::located::Places;
use super::mapping::Synonyms;
use super::matcher::{Predicate, Subject, Test};
use super::steps::{Place, Questions, Steps};
use super::witness::{self, Witness, Witnesses};
use crate::event::Kind;
use crate::field::{FieldId, Fields};
use crate::hash::Seed;
use crate::lineage;
use crate::normalise::glance;

/// The rules of one log source, compiled together.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tree: Tree,
    /// The same, and what is read of an event that matched.
    pub(super) tree_with_facts: Tree,
    /// The fields that are asked for and have other names.
    pub(super) synonyms: Synonyms,
    /// The fields that are asked for and that no record needs to hold.
    pub(super) places: Places,
    /// The members that say what a record is.
    pub(super) members: Vec<FieldId>,
    /// The members that say what credentials it tells of.
    pub(super) notes: Vec<FieldId>,
    /// How many fields all rules have: the length of tables by field.
    pub(super) fields: usize,
    /// Whether any rule looks at all strings of a document.
    pub(super) strings: bool,
    pub(super) columns: Vec<(Subject, Where, Column)>,
    /// Columns whose literals call rules.
    pub(super) watched: Watched,
    /// Rules that are asked when a field is there at all.
    pub(super) present: Vec<(FieldId, Vec<u32>)>,
    /// Rules that are always asked.
    pub(super) always: Vec<u32>,
    /// By atom: the rules that it calls, in `called`.
    pub(super) calls: Vec<Range<u32>>,
    pub(super) called: Vec<u32>,
    pub(super) asks: Vec<Ask>,
    /// The atoms of all asks.
    pub(super) atoms: Vec<Atom>,
    /// The columns of all asks that are scanned only if they are asked for.
    pub(super) unwatched: Vec<u32>,
    pub(super) steps: Steps,
    pub(super) rules: Vec<(RuleNumber, Place)>,
}

/// Columns by the field that they look at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    columns: Vec<u32>,
    /// By field, and behind all fields for any string of a document: where its columns begin and end.
    fields: Vec<(u32, u32)>,
}

/// How a predicate is answered.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// By looking whether one of these atoms was found, after these columns were scanned, and then, if that is not
    /// enough, by asking the predicate itself.
    Literals { unwatched: Range<u32>, atoms: Range<u32>, then: Option<PredicateNumber> },
    /// By asking the predicate itself.
    Directly(PredicateNumber),
    /// The same, once it was looked up where the address is.
    Located(PredicateNumber),
}

/// A field that is there says very little: any literal says more.
const PRESENT_COST: u64 = 10_000;

/// What it costs to find out where an address is, beside other ways to answer.
const LOOK_UP_COST: u32 = 20;

/// A plan in the making.
#[derive(Default)]
struct Survey {
    /// By predicate of the rule set: its number in this plan.
    numbers: HashMap<PredicateNumber, u32, Seed>,
    asks: Vec<Ask>,
    atoms: Vec<Atom>,
    /// What each of these asks costs, and what must be there for it to be true.
    costs: Vec<u32>,
    witnesses: Vec<Option<Vec<Witness>>>,
    columns: HashMap<(Subject, Where), u32, Seed>,
    known: HashMap<(u32, Literal), Atom, Seed>,
    /// By atom: its column and literal, and how many predicates ask for it.
    literals: Vec<(u32, Literal)>,
    popularity: Vec<u64>,
    /// The fields whose values are looked up when they are asked for: no literal in a record speaks for them.
    places: Places,
}

impl Plan {
    pub(super) fn new<'d>(
        fields: &Fields,
        predicates: &Predicates,
        (kind, wanted): (Kind, &Wanted),
        synonyms: &Synonyms,
        detections: impl IntoIterator<Item = &'d Detection>,
    ) -> Self {
        let detections: Vec<&Detection> = detections.into_iter().collect();
        let all: Vec<FieldId> = (0..).map(FieldId).take(fields.len()).collect();
        let mut survey = Survey { places: Places::among(&all, kind, fields), ..Survey::default() };
        for detection in &detections {
            survey.visit(&detection.program, predicates);
        }
        let mut plan = Self { fields: fields.len(), ..Self::default() };
        let mut calls: Vec<Vec<u32>> = vec![Vec::new(); survey.literals.len()];
        let mut present: HashMap<FieldId, Vec<u32>, Seed> = HashMap::default();
        for (place, detection) in (0..).zip(&detections) {
            plan.rules.push((detection.rule, plan.steps.add(&detection.program, &survey)));
            match witness::of(&detection.program, &|number| survey.witnesses(number)) {
                None => plan.always.push(place),
                Some(witnesses) => {
                    for witness in witnesses.any {
                        match witness {
                            Witness::Literal(atom) => calls[atom.0 as usize].push(place),
                            Witness::Present(field) => present.entry(field).or_default().push(place),
                        }
                    }
                }
            }
        }
        plan.strings = survey.numbers.keys().any(|number| predicates.get(*number).subject == Subject::Anywhere);
        plan.present = present.into_iter().collect();
        plan.present.sort_unstable();
        plan.columns = survey.columns();
        let mut watched = vec![false; plan.columns.len()];
        for (atom, rules) in calls.into_iter().enumerate() {
            watched[survey.literals[atom].0 as usize] |= !rules.is_empty();
            let start = number(plan.called.len());
            plan.called.extend(rules);
            plan.calls.push(start..number(plan.called.len()));
        }
        plan.watch(&watched);
        let members = glance::members(kind);
        plan.members = members.iter().filter_map(|name| fields.known(name)).collect();
        let notes = lineage::glance::members(kind);
        plan.notes = notes.iter().filter_map(|name| fields.known(name)).collect();
        let asked = survey.fields(predicates);
        plan.synonyms = synonyms.only(&asked);
        plan.places = Places::among(&asked, kind, fields);
        let addresses = if plan.places.is_empty() { &[] } else { plan.places.addresses() };
        let tree = |more: &[FieldId]| {
            let walked = asked.iter().chain(&plan.members).chain(&plan.notes).chain(addresses).chain(more).copied();
            let walked = walked.chain(plan.synonyms.names());
            let mut tree = Tree::new(walked.map(|field| (field, fields.path(field))));
            tree.expect_others(plan.synonyms.names().map(|field| fields.path(field)));
            members.iter().chain(notes).for_each(|name| tree.expect_single(name));
            tree
        };
        (plan.tree, plan.tree_with_facts) = (tree(&[]), tree(wanted.fields()));
        facts::expect_single(kind, &mut plan.tree_with_facts);
        (plan.asks, plan.atoms) = (survey.asks, survey.atoms);
        plan.leave_out(&watched, &survey.literals);
        plan
    }

    /// Sorts the watched columns by field.
    fn watch(&mut self, watched: &[bool]) {
        let place = |subject| match subject {
            Subject::Field(field) => field.0 as usize,
            Subject::Anywhere => self.fields,
        };
        let columns = (0..).zip(&self.columns).zip(watched).filter(|(_, watched)| **watched);
        let mut columns: Vec<(usize, u32)> =
            columns.map(|((column, (subject, ..)), _)| (place(*subject), column)).collect();
        columns.sort_unstable();
        self.watched.columns = columns.iter().map(|(_, column)| *column).collect();
        self.watched.fields = vec![(0, 0); self.fields + 1];
        for (at, (field, _)) in (0..).zip(columns) {
            let (start, end) = &mut self.watched.fields[field];
            if *end == 0 {
                *start = at;
            }
            *end = at + 1;
        }
    }

    /// Tells each ask which of its columns nobody watches; `literals` has each atom's column.
    fn leave_out(&mut self, watched: &[bool], literals: &[(u32, Literal)]) {
        for ask in &mut self.asks {
            let Ask::Literals { unwatched, atoms, .. } = ask else { continue };
            let atoms = &self.atoms[atoms.start as usize..atoms.end as usize];
            let columns = atoms.iter().map(|atom| literals[atom.0 as usize].0);
            let mut columns: Vec<u32> = columns.filter(|column| !watched[*column as usize]).collect();
            columns.sort_unstable();
            columns.dedup();
            let start = number(self.unwatched.len());
            self.unwatched.extend(columns);
            *unwatched = start..number(self.unwatched.len());
        }
    }
}

impl Watched {
    /// The columns that look at any string of a document.
    pub(super) fn anywhere(&self) -> &[u32] {
        self.fields.len().checked_sub(1).map_or(&[], |last| self.of(FieldId(number(last))))
    }

    /// The columns of a field.
    pub(super) fn of(&self, field: FieldId) -> &[u32] {
        let (start, end) = self.fields[field.0 as usize];
        &self.columns[start as usize..end as usize]
    }
}

impl Survey {
    /// Takes in the predicates of a program.
    fn visit(&mut self, program: &Program, predicates: &Predicates) {
        match program {
            Program::Ask(number) => self.take(*number, predicates),
            Program::Not(part) => self.visit(part, predicates),
            Program::And(parts) | Program::Or(parts) | Program::AtLeast(_, parts) => {
                parts.iter().for_each(|part| self.visit(part, predicates));
            }
        }
    }

    fn take(&mut self, predicate: PredicateNumber, predicates: &Predicates) {
        let next = number(self.asks.len());
        if *self.numbers.entry(predicate).or_insert(next) != next {
            return;
        }
        let asked = predicates.get(predicate);
        if self.is_located(asked) {
            self.asks.push(Ask::Located(predicate));
            self.costs.push(LOOK_UP_COST);
            self.witnesses.push(None);
            return;
        }
        let Some(Literals { any, enough }) = Literals::of(&asked.test) else {
            self.asks.push(Ask::Directly(predicate));
            self.costs.push(if matches!(asked.test, Test::Regex(_) | Test::Glob(..)) { 3 } else { 2 });
            self.witnesses.push(match (asked.subject, &asked.test) {
                (_, Test::Null) | (Subject::Anywhere, _) => None,
                (Subject::Field(field), _) => Some(vec![Witness::Present(field)]),
            });
            return;
        };
        let start = number(self.atoms.len());
        for literal in any {
            let columns = number(self.columns.len());
            let column = *self.columns.entry((asked.subject, literal.position)).or_insert(columns);
            let atom = self.atom(column, literal);
            self.popularity[atom.0 as usize] += 1;
            self.atoms.push(atom);
        }
        let atoms = start..number(self.atoms.len());
        self.witnesses
            .push(Some(self.atoms[atoms.start as usize..].iter().map(|atom| Witness::Literal(*atom)).collect()));
        self.asks.push(Ask::Literals { unwatched: 0..0, atoms, then: (!enough).then_some(predicate) });
        self.costs.push(u32::from(!enough));
    }

    fn is_located(&self, asked: &Predicate) -> bool {
        let is = |field: FieldId| self.places.aspect(field).is_some();
        let other = if let Test::Field(other, ..) = asked.test { is(other) } else { false };
        other || matches!(asked.subject, Subject::Field(field) if is(field))
    }

    fn atom(&mut self, column: u32, literal: Literal) -> Atom {
        let next = Atom(number(self.literals.len()));
        let atom = *self.known.entry((column, literal.clone())).or_insert(next);
        if atom == next {
            self.literals.push((column, literal));
            self.popularity.push(0);
        }
        atom
    }

    fn witnesses(&self, predicate: PredicateNumber) -> Option<Witnesses> {
        let any = self.witnesses[self.number(predicate) as usize].clone()?;
        let cost = any.iter().map(|witness| self.rarity(*witness)).sum();
        Some(Witnesses { any, cost })
    }

    /// How often it will be met in vain, as far as rules tell: what many rules ask for is common, and so is what
    /// is short and may stand anywhere.
    fn rarity(&self, witness: Witness) -> u64 {
        let Witness::Literal(Atom(atom)) = witness else { return PRESENT_COST };
        let Literal { position, text } = &self.literals[atom as usize].1;
        let length = text.len().max(1) as u64;
        let short = match position {
            Where::Whole | Where::Number => 1,
            Where::Start | Where::End => 4 + 64 / length,
            Where::Inside | Where::Short => 8 + 1_024 / (length * length),
        };
        short + self.popularity[atom as usize]
    }

    fn columns(&self) -> Vec<(Subject, Where, Column)> {
        let mut columns: Vec<_> = self.columns.iter().map(|(key, place)| (*place, *key)).collect();
        columns.sort_unstable_by_key(|(place, _)| *place);
        let mut literals: Vec<Vec<(&str, Atom)>> = vec![Vec::new(); columns.len()];
        for (atom, (column, literal)) in (0..).map(Atom).zip(&self.literals) {
            literals[*column as usize].push((&literal.text, atom));
        }
        let column =
            |((_, (subject, position)), literals): (_, Vec<_>)| (subject, position, Column::new(position, &literals));
        columns.into_iter().zip(literals).map(column).collect()
    }

    /// Every field that some predicate looks at.
    fn fields(&self, predicates: &Predicates) -> Vec<FieldId> {
        let mut fields = Vec::new();
        for predicate in self.numbers.keys().map(|number| predicates.get(*number)) {
            if let Subject::Field(field) = predicate.subject {
                fields.push(field);
            }
            if let Test::Field(other, ..) = predicate.test {
                fields.push(other);
            }
        }
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

impl Questions for Survey {
    fn number(&self, predicate: PredicateNumber) -> u32 {
        self.numbers[&predicate]
    }

    fn cost(&self, predicate: PredicateNumber) -> u32 {
        self.costs[self.number(predicate) as usize]
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 of anything that rules hold fit into memory")
}
