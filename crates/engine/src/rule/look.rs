//! One event, looked at by the rules of its log source: the hot loop.

use sonic_rs::Value;

use super::RuleNumber;
use super::column::Atom;
use super::condition::Predicates;
use super::facts::{Facts, Wanted, member};
use super::found::Found;
use super::leaf::Leaf;
use super::literal::Where;
use super::matcher::Subject;
use super::number::Number;
use super::plan::{Ask, Plan};
use super::skim;
use crate::event::Kind;
use crate::normalise::Format;
use crate::normalise::glance;
use crate::time::Timestamp;

/// Memory that matching reuses from event to event; one a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Found<'static>,
    /// Of events that matched.
    pub(super) facts: Found<'static>,
    marks: Marks,
    matched: Vec<RuleNumber>,
}

/// What is known of the event at hand. An entry counts if its stamp is the generation, so nothing is cleared
/// per event.
#[derive(Debug, Default)]
struct Marks {
    generation: u32,
    /// By column: whether it was scanned.
    scanned: Vec<u32>,
    /// By atom: whether it is there.
    hit: Vec<u32>,
    /// By rule of the plan: whether it is a candidate.
    tried: Vec<u32>,
    /// By ask: what was answered.
    answers: Vec<(u32, bool)>,
    candidates: Vec<u32>,
}

/// What a glance at a raw record shows.
#[derive(Debug)]
pub struct Glance<'s> {
    /// Which log it is of.
    pub kind: Kind,
    /// When it happened.
    pub time: Timestamp,
    /// The detection rules that match it, in ascending order.
    pub rules: &'s [RuleNumber],
    text: &'s str,
    wanted: &'s Wanted,
    memory: &'s mut Found<'static>,
}

impl Glance<'_> {
    /// A second look, at what is remembered of an event that matched; nothing if only the whole way can tell.
    pub(crate) fn recall<T>(&mut self, read: impl FnOnce(&Facts<'_, '_>) -> Option<T>) -> Option<T> {
        self.wanted.of_text(self.text, self.memory, read)
    }
}

struct Look<'p, 'e> {
    plan: &'p Plan,
    predicates: &'p Predicates,
    found: Found<'e>,
    marks: &'p mut Marks,
}

/// The rules of `plan` that match, in ascending order.
pub(super) fn matches<'s>(
    plan: &Plan,
    predicates: &Predicates,
    document: &Value,
    scratch: &'s mut Scratch,
) -> &'s [RuleNumber] {
    let mut found = Found::start(plan.fields, std::mem::take(&mut scratch.found));
    found.read(&plan.tree, plan.strings, document);
    scratch.found = decide(plan, predicates, found, scratch).forget();
    &scratch.matched
}

/// What a skim of a record's text shows, if it shows that the record is one event.
pub(super) fn glance<'s>(
    (plan, wanted): (&Plan, &'s Wanted),
    predicates: &Predicates,
    (format, kind): (Format, Kind),
    text: &'s str,
    scratch: &'s mut Scratch,
) -> Option<Glance<'s>> {
    let mut found = Found::start(plan.fields, std::mem::take(&mut scratch.found));
    let time = skim::skim(&plan.tree, plan.strings, text, &mut found)
        .and_then(|()| glance::time(format, kind, |number| member(&found, plan.members[number])));
    // A record that is unclear is not worth asking rules for: that is done when it was read.
    if time.is_some() {
        found = decide(plan, predicates, found, scratch);
    }
    scratch.found = found.forget();
    Some(Glance { kind, time: time?, rules: &scratch.matched, text, wanted, memory: &mut scratch.facts })
}

/// Fills `scratch.matched` from what was found of a document, and hands that back.
fn decide<'e>(plan: &Plan, predicates: &Predicates, found: Found<'e>, scratch: &mut Scratch) -> Found<'e> {
    let Scratch { marks, matched, .. } = scratch;
    matched.clear();
    marks.start(plan);
    let mut look = Look { plan, predicates, found, marks };
    look.call();
    for place in 0..look.marks.candidates.len() {
        let (rule, start) = plan.rules[look.marks.candidates[place] as usize];
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
            self.marks.call(*rule);
        }
        for (field, rules) in &self.plan.present {
            if self.found.exists(*field) {
                rules.iter().for_each(|rule| self.marks.call(*rule));
            }
        }
        for column in &self.plan.watched {
            self.scan(*column);
        }
    }

    /// Finds the literals of a column, once an event.
    fn scan(&mut self, place: u32) {
        let Self { plan, found, marks, .. } = self;
        if marks.scanned[place as usize] == marks.generation {
            return;
        }
        marks.scanned[place as usize] = marks.generation;
        let (subject, position, column) = &plan.columns[place as usize];
        let mut scan = |text: &str| column.scan(text, |atom| marks.hit(atom, plan));
        let field = match subject {
            Subject::Field(field) => *field,
            Subject::Anywhere => found.anywhere(),
        };
        if *position == Where::Number {
            let numbers = found.of(field).filter(|value| matches!(value, Leaf::Number(_) | Leaf::Digits(_)));
            numbers.filter_map(Number::of).filter_map(Number::whole).for_each(|whole| scan(&whole.to_string()));
        } else {
            found.folded(field, scan);
        }
    }

    fn answer(&mut self, ask: u32) -> bool {
        let (stamp, answer) = self.marks.answers[ask as usize];
        if stamp == self.marks.generation {
            return answer;
        }
        let answer = match &self.plan.asks[ask as usize] {
            Ask::Directly(predicate) => self.predicates.get(*predicate).holds(&self.found),
            Ask::Literals { atoms, then } => {
                let atoms = &self.plan.atoms[atoms.start as usize..atoms.end as usize];
                let is_hit = |(column, atom): &(u32, Atom)| {
                    self.scan(*column);
                    self.marks.hit[atom.0 as usize] == self.marks.generation
                };
                atoms.iter().any(is_hit)
                    && then.is_none_or(|predicate| self.predicates.get(predicate).holds(&self.found))
            }
        };
        self.marks.answers[ask as usize] = (self.marks.generation, answer);
        answer
    }
}

impl Marks {
    /// Forgets the last event and makes room for this plan.
    fn start(&mut self, plan: &Plan) {
        self.candidates.clear();
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            // Once in four thousand million events old stamps could look new.
            *self = Self { generation: 1, ..Self::default() };
        }
        let grow = |marks: &mut Vec<u32>, length: usize| marks.resize(marks.len().max(length), 0);
        grow(&mut self.scanned, plan.columns.len());
        grow(&mut self.hit, plan.calls.len());
        grow(&mut self.tried, plan.rules.len());
        let answers = self.answers.len().max(plan.asks.len());
        self.answers.resize(answers, (0, false));
    }

    fn hit(&mut self, atom: Atom, plan: &Plan) {
        let stamp = &mut self.hit[atom.0 as usize];
        if *stamp != self.generation {
            *stamp = self.generation;
            let calls = &plan.calls[atom.0 as usize];
            for rule in &plan.called[calls.start as usize..calls.end as usize] {
                self.call(*rule);
            }
        }
    }

    fn call(&mut self, rule: u32) {
        let stamp = &mut self.tried[rule as usize];
        if *stamp != self.generation {
            *stamp = self.generation;
            self.candidates.push(rule);
        }
    }
}
