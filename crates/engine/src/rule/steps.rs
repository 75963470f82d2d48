//! Conditions as steps that jump: ask, go on here if it is true and there if not.
//!
//! A walk over a tree of `and` and `or` would go back up after each answer; a step knows already where the
//! answer leads.

use super::condition::PredicateNumber;
use super::condition::Program;

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// The condition is true.
pub(super) const MATCH: Place = Place(u32::MAX);
/// It is not.
pub(super) const MISS: Place = Place(u32::MAX - 1);

/// The conditions of many rules, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Steps {
    list: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    /// What is asked, by the plan's own number.
    ask: u32,
    yes: Place,
    no: Place,
}

/// A plan's own numbers of predicates, and what asking costs: cheaper ones are asked first.
pub(super) trait Questions {
    fn number(&self, predicate: PredicateNumber) -> u32;
    fn cost(&self, predicate: PredicateNumber) -> u32;
}

impl Steps {
    /// Writes a program down; returns where it begins.
    pub(super) fn add(&mut self, program: &Program, questions: &impl Questions) -> Place {
        self.write(program, MATCH, MISS, questions)
    }

    /// Whether the condition that begins at `place` is true.
    pub(super) fn run(&self, mut place: Place, mut answer: impl FnMut(u32) -> bool) -> bool {
        while let Some(step) = self.list.get(place.0 as usize) {
            place = if answer(step.ask) { step.yes } else { step.no };
        }
        place == MATCH
    }

    /// Back to front, because a step names those that follow it.
    fn write(&mut self, program: &Program, yes: Place, no: Place, questions: &impl Questions) -> Place {
        match program {
            Program::Ask(predicate) => {
                let place = u32::try_from(self.list.len()).expect("fewer than 2^32 steps fit into memory");
                self.list.push(Step { ask: questions.number(*predicate), yes, no });
                Place(place)
            }
            Program::Not(part) => self.write(part, no, yes, questions),
            Program::And(parts) => {
                let parts = by_cost(parts, questions);
                parts.into_iter().rev().fold(yes, |next, part| self.write(part, next, no, questions))
            }
            Program::Or(parts) => {
                let parts = by_cost(parts, questions);
                parts.into_iter().rev().fold(no, |next, part| self.write(part, yes, next, questions))
            }
            Program::AtLeast(least, parts) => self.write_at_least(*least, parts, yes, no, questions),
        }
    }

    /// A part stands once for each number that may still be missing when it is reached.
    fn write_at_least(
        &mut self,
        least: u64,
        parts: &[Program],
        yes: Place,
        no: Place,
        questions: &impl Questions,
    ) -> Place {
        let least = usize::try_from(least).unwrap_or(usize::MAX);
        if least > parts.len() {
            return no;
        }
        // By how many are missing behind the part at hand.
        let mut behind = vec![no; least + 1];
        behind[0] = yes;
        for (place, part) in parts.iter().enumerate().rev() {
            // More than all parts up to here cannot have been true.
            for missing in (least.saturating_sub(place).max(1)..=least).rev() {
                behind[missing] = self.write(part, behind[missing - 1], behind[missing], questions);
            }
        }
        behind[least]
    }
}

fn by_cost<'p>(parts: &'p [Program], questions: &impl Questions) -> Vec<&'p Program> {
    let mut parts: Vec<&Program> = parts.iter().collect();
    parts.sort_by_key(|part| cost(part, questions));
    parts
}

fn cost(program: &Program, questions: &impl Questions) -> u32 {
    match program {
        Program::Ask(predicate) => questions.cost(*predicate),
        Program::Not(part) => cost(part, questions),
        Program::And(parts) | Program::Or(parts) | Program::AtLeast(_, parts) => {
            parts.iter().map(|part| cost(part, questions)).max().unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Plain;

    impl Questions for Plain {
        fn number(&self, predicate: PredicateNumber) -> u32 {
            predicate.0
        }

        fn cost(&self, predicate: PredicateNumber) -> u32 {
            predicate.0 % 3
        }
    }

    fn program() -> impl Strategy<Value = Program> {
        (0..6_u32).prop_map(|number| Program::Ask(PredicateNumber(number))).prop_recursive(4, 24, 5, |inner| {
            let parts = || proptest::collection::vec(inner.clone(), 0..5);
            prop_oneof![
                parts().prop_map(Program::And),
                parts().prop_map(Program::Or),
                inner.clone().prop_map(Program::not),
                (0..5_u64, parts()).prop_map(|(least, parts)| Program::AtLeast(least, parts)),
            ]
        })
    }

    fn holds(program: &Program, answers: u8) -> bool {
        let count = |parts: &[Program]| parts.iter().filter(|part| holds(part, answers)).count() as u64;
        match program {
            Program::Ask(number) => answers >> number.0 & 1 == 1,
            Program::Not(part) => !holds(part, answers),
            Program::And(parts) => count(parts) == parts.len() as u64,
            Program::Or(parts) => count(parts) > 0,
            Program::AtLeast(least, parts) => count(parts) >= *least,
        }
    }

    proptest! {
        #[test]
        fn steps_decide_as_the_condition_does(programs in proptest::collection::vec(program(), 1..4), answers in 0..64_u8) {
            let mut steps = Steps::default();
            let places: Vec<Place> = programs.iter().map(|program| steps.add(program, &Plain)).collect();
            for (program, place) in programs.iter().zip(places) {
                prop_assert_eq!(steps.run(place, |ask| answers >> ask & 1 == 1), holds(program, answers));
            }
        }
    }
}
