//! What must stand in an event before a rule can match it.

use super::column::Atom;
use super::condition::{PredicateNumber, Program};
use crate::field::FieldId;

/// One thing that an event must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Witness {
    /// This literal, in the field that it is asked of.
    Literal(Atom),
    /// Any value of this field.
    Present(FieldId),
}

/// Witnesses at least one of which is in every event that a program is true of.
#[derive(Clone, Debug)]
pub(super) struct Witnesses {
    pub(super) any: Vec<Witness>,
    /// The more it is, the more often one of them will be there in vain.
    pub(super) cost: u64,
}

/// The cheapest witnesses of a program, given those of each predicate; none if nothing can be said.
pub(super) fn of(program: &Program, known: &impl Fn(PredicateNumber) -> Option<Witnesses>) -> Option<Witnesses> {
    match program {
        Program::Ask(number) => known(*number),
        Program::And(parts) => parts.iter().filter_map(|part| of(part, known)).min_by_key(|found| found.cost),
        // One of the parts holds, so the witness of that one is there.
        Program::Or(parts) => union(parts.iter().map(|part| of(part, known)).collect::<Option<_>>()?),
        // If so many of all hold, one does of any that are too many to be the ones that do not.
        Program::AtLeast(least, parts) => {
            let spare = parts.len().checked_sub(usize::try_from(*least).ok()?)?;
            let mut found: Vec<Witnesses> = parts.iter().filter_map(|part| of(part, known)).collect();
            found.sort_by_key(|found| found.cost);
            let enough = *least > 0 && found.len() > spare;
            found.truncate(spare + 1);
            if enough { union(found) } else { None }
        }
        Program::Not(_) => None,
    }
}

fn union(parts: Vec<Witnesses>) -> Option<Witnesses> {
    let cost = parts.iter().map(|part| part.cost).sum();
    let mut any: Vec<Witness> = parts.into_iter().flat_map(|part| part.any).collect();
    any.sort_unstable();
    any.dedup();
    Some(Witnesses { any, cost })
}
