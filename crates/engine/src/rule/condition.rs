//! Boolean programs over shared predicates.

use std::collections::BTreeMap;

use sonic_rs::Value;

use super::matcher::Predicate;
use crate::field::Fields;

/// A rule's condition. `AND` of nothing is true, `OR` of nothing is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Ask(PredicateNumber),
    And(Vec<Program>),
    Or(Vec<Program>),
    Not(Box<Program>),
    /// At least so many of these.
    AtLeast(u64, Vec<Program>),
}

/// A predicate's place in [`Predicates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PredicateNumber(u32);

/// The predicates of all rules, each once.
#[derive(Debug, Default)]
pub(super) struct Predicates {
    list: Vec<Predicate>,
}

/// Predicates while rules are compiled: finds the number of one that is there already.
#[derive(Debug, Default)]
pub(super) struct Collector {
    numbers: BTreeMap<Predicate, u32>,
}

/// What this event answered so far.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// A predicate's answer counts if its stamp is the current generation, so nothing is cleared per event.
    answers: Vec<(u32, bool)>,
    generation: u32,
}

/// Everything that an answer depends on.
#[derive(Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) predicates: &'q Predicates,
    pub(super) fields: &'q Fields,
    pub(super) document: &'q Value,
}

impl Program {
    /// All of these.
    pub(super) fn all(mut parts: Vec<Self>) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Self::And(parts.into_iter().chain(last).collect()),
        }
    }

    /// Any of these.
    pub(super) fn any(mut parts: Vec<Self>) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Self::Or(parts.into_iter().chain(last).collect()),
        }
    }

    pub(super) fn not(part: Self) -> Self {
        Self::Not(Box::new(part))
    }

    /// Whether it is true of the document; asks no predicate twice.
    pub(super) fn holds(&self, question: Question<'_>, memo: &mut Memo) -> bool {
        match self {
            Self::Ask(number) => memo.answer(*number, question),
            Self::And(parts) => parts.iter().all(|part| part.holds(question, memo)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(question, memo)),
            Self::Not(part) => !part.holds(question, memo),
            Self::AtLeast(least, parts) => {
                let mut missing = *least;
                missing == 0
                    || parts.iter().any(|part| {
                        missing -= u64::from(part.holds(question, memo));
                        missing == 0
                    })
            }
        }
    }
}

impl Collector {
    /// A program that asks this predicate.
    pub(super) fn ask(&mut self, predicate: Predicate) -> Program {
        let next = u32::try_from(self.numbers.len()).expect("fewer than 2^32 predicates fit into memory");
        Program::Ask(PredicateNumber(*self.numbers.entry(predicate).or_insert(next)))
    }

    pub(super) fn finish(self) -> Predicates {
        let mut numbered: Vec<_> = self.numbers.into_iter().map(|(predicate, number)| (number, predicate)).collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        Predicates { list: numbered.into_iter().map(|(_, predicate)| predicate).collect() }
    }
}

impl Predicates {
    pub(super) fn get(&self, number: PredicateNumber) -> &Predicate {
        &self.list[number.0 as usize]
    }
}

impl Memo {
    /// Forgets the last event and makes room for these predicates.
    pub(super) fn start(&mut self, predicates: &Predicates) {
        if self.answers.len() < predicates.list.len() {
            self.answers.resize(predicates.list.len(), (0, false));
        }
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            // Once in four thousand million events old stamps could look new.
            self.answers.fill((0, false));
            self.generation = 1;
        }
    }

    fn answer(&mut self, number: PredicateNumber, question: Question<'_>) -> bool {
        let (stamp, answer) = self.answers[number.0 as usize];
        if stamp == self.generation {
            return answer;
        }
        let answer = question.predicates.get(number).holds(question.fields, question.document);
        self.answers[number.0 as usize] = (self.generation, answer);
        answer
    }
}
