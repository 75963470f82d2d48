//! What must stand in an event before a rule can match it.

use super::condition::{Predicates, Program};
use super::matcher::{Subject, Test};
use super::number::Number;
use super::text::fold;
use crate::field::FieldId;

/// One whole value of one field, folded.
pub(super) type Witness = (FieldId, Box<str>);

/// A set of witnesses at least one of which is in every event that the program is true of, the one of
/// least `cost` if there are several; none if nothing can be said.
pub(super) fn of(program: &Program, predicates: &Predicates, cost: &dyn Fn(&Witness) -> usize) -> Option<Vec<Witness>> {
    match program {
        Program::Ask(number) => {
            let predicate = predicates.get(*number);
            let (Subject::Field(field), Test::OneOf(set)) = (predicate.subject, &predicate.test) else {
                return None;
            };
            // A real has too many spellings to look up; a whole number has one, see `Values::look_up`.
            if set.numbers.iter().any(|number| matches!(number, Number::Real(_))) {
                return None;
            }
            // Folding finds what differs in case only too, which an exact rule will then refuse itself.
            Some(set.texts.iter().map(|text| (field, fold(text).into())).collect())
        }
        Program::And(parts) => {
            let choices = parts.iter().filter_map(|part| of(part, predicates, cost));
            choices.min_by_key(|witnesses| witnesses.iter().map(cost).sum::<usize>())
        }
        // One of the parts holds, so the witness of that one is there.
        Program::Or(parts) => union(parts, predicates, cost),
        Program::AtLeast(least, parts) if *least > 0 => union(parts, predicates, cost),
        Program::AtLeast(..) | Program::Not(_) => None,
    }
}

fn union(parts: &[Program], predicates: &Predicates, cost: &dyn Fn(&Witness) -> usize) -> Option<Vec<Witness>> {
    let each: Option<Vec<_>> = parts.iter().map(|part| of(part, predicates, cost)).collect();
    let mut all = each?.concat();
    all.sort_unstable();
    all.dedup();
    Some(all)
}
