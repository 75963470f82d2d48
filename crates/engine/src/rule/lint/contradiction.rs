//! Rules that can never match: a proof over the compiled condition.
//!
//! The condition is tried in every way to be true, each a list of facts about predicates. If every way holds two
//! facts that exclude each other, no event matches. What is not understood excludes nothing, so a rule is never
//! blamed wrongly, but for one thing: a field is taken to hold one value. In an array one element may be `x` and
//! another `y`; a rule that means that says `field|all: [x, y]`, and is left alone.

use std::cmp::Ordering;

use crate::field::{FieldId, Fields};
use crate::rule::condition::{PredicateNumber, Predicates, Program};
use crate::rule::matcher::{OneOf, Predicate, Relation, Subject, Test};
use crate::rule::number::Number;
use crate::rule::text::{Case, fold};

/// Steps of one proof. Public rules need a few dozen; a rule that needs more is taken to be able to match.
/// A step is also each comparison of one fact with another, and of one value with another.
const STEPS_MAX: usize = 200_000;

type Fact = (PredicateNumber, bool);

struct Proof<'p> {
    predicates: &'p Predicates,
    fields: &'p Fields,
    /// Names of fields that the rule takes for arrays.
    arrays: &'p [&'p str],
    facts: Vec<Fact>,
    steps: usize,
    /// Why the first way failed.
    reason: Option<String>,
}

/// What must still be true, or false.
#[derive(Clone, Copy)]
struct Goal<'p> {
    program: &'p Program,
    wanted: bool,
}

/// Why no event can match, if none can.
pub(super) fn never(program: &Program, predicates: &Predicates, fields: &Fields, arrays: &[&str]) -> Option<String> {
    let mut proof = Proof { predicates, fields, arrays, facts: Vec::new(), steps: 0, reason: None };
    if proof.possible(&mut vec![Goal { program, wanted: true }]) {
        return None;
    }
    proof.reason
}

impl<'p> Proof<'p> {
    /// Whether all goals can be reached together. Leaves `goals` and the facts as they were.
    fn possible(&mut self, goals: &mut Vec<Goal<'p>>) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return true;
        }
        let Some(goal) = goals.pop() else { return true };
        let possible = match (goal.program, goal.wanted) {
            (Program::Ask(number), wanted) => self.fact((*number, wanted), goals),
            (Program::Not(part), wanted) => self.with(&[Goal { program: part, wanted: !wanted }], goals),
            (Program::And(parts), true) | (Program::Or(parts), false) => {
                let all: Vec<Goal<'p>> =
                    parts.iter().rev().map(|program| Goal { program, wanted: goal.wanted }).collect();
                self.with(&all, goals)
            }
            (Program::And(parts), false) | (Program::Or(parts), true) => {
                parts.iter().any(|program| self.with(&[Goal { program, wanted: goal.wanted }], goals))
            }
            // Counted parts are taken to be as they must.
            (Program::AtLeast(..), _) => self.possible(goals),
        };
        goals.push(goal);
        possible
    }

    fn with(&mut self, more: &[Goal<'p>], goals: &mut Vec<Goal<'p>>) -> bool {
        let before = goals.len();
        goals.extend_from_slice(more);
        let possible = self.possible(goals);
        goals.truncate(before);
        possible
    }

    fn fact(&mut self, fact: Fact, goals: &mut Vec<Goal<'p>>) -> bool {
        let effort = |known: &Fact| 1 + self.effort(known.0).saturating_mul(self.effort(fact.0));
        self.steps = self.facts.iter().map(effort).fold(self.steps, usize::saturating_add);
        if self.steps > STEPS_MAX {
            return true;
        }
        if let Some(reason) = self.facts.iter().find_map(|known| self.exclude(*known, fact)) {
            self.reason.get_or_insert(reason);
            return false;
        }
        self.facts.push(fact);
        let possible = self.possible(goals);
        self.facts.pop();
        possible
    }

    /// How many values it takes to look at this predicate.
    fn effort(&self, number: PredicateNumber) -> usize {
        match &self.predicates.get(number).test {
            Test::OneOf(set) => set.texts.len(),
            Test::Contains(_, texts) | Test::StartsWith(_, texts) | Test::EndsWith(_, texts) => texts.len(),
            Test::Cidr(nets) => nets.len(),
            Test::Null
            | Test::Exists
            | Test::Glob(..)
            | Test::Regex(_)
            | Test::Compare(..)
            | Test::Time(..)
            | Test::Field(..) => 1,
        }
    }

    /// Why these two cannot both be.
    fn exclude(&self, left: Fact, right: Fact) -> Option<String> {
        let (one, other) = (self.predicates.get(left.0), self.predicates.get(right.0));
        let Subject::Field(field) = one.subject else {
            return (left.0 == right.0 && left.1 != right.1)
                .then(|| "a keyword must be there and not be there".to_owned());
        };
        if one.subject != other.subject {
            return None;
        }
        if left.0 == right.0 {
            return (left.1 != right.1).then(|| format!("what is asked of `{}` must be and not be", self.name(field)));
        }
        self.one_way(field, (one, left.1), (other, right.1))
            .or_else(|| self.one_way(field, (other, right.1), (one, left.1)))
    }

    fn name(&self, field: FieldId) -> &str {
        self.fields.path(field).name()
    }

    fn one_way(&self, field: FieldId, left: (&Predicate, bool), right: (&Predicate, bool)) -> Option<String> {
        let name = self.name(field);
        match (&left.0.test, left.1, &right.0.test, right.1) {
            (Test::Exists, false, Test::Null | Test::Exists, _) => None,
            (Test::Exists, false, _, true) => Some(format!("`{name}` must be absent and have a value")),
            (Test::Null, true, Test::Null | Test::Exists, _) => None,
            (Test::Null, true, _, true) => Some(format!("`{name}` must be null and have a value")),
            (_, true, _, true) if self.arrays.contains(&name) => None,
            (Test::OneOf(set), true, Test::OneOf(other), true) => {
                let shared = set.texts.iter().any(|text| has(other, set.case, text));
                (!shared).then(|| {
                    let (one, two) = (shown(set), shown(other));
                    format!("`{name}` cannot be {one} and {two} at once; if it is an array, write `{name}|all`")
                })
            }
            (Test::StartsWith(_, texts), true, Test::StartsWith(_, others), true) => {
                let fits = |text: &str, other: &str| text.starts_with(other) || other.starts_with(text);
                let fits = texts.iter().any(|text| others.iter().any(|other| fits(&fold(text), &fold(other))));
                (!fits).then(|| format!("`{name}` cannot start in both ways at once"))
            }
            (Test::OneOf(set), true, Test::OneOf(other), false) => {
                let numbers = set.numbers.iter().all(|number| other.numbers.contains(number));
                let covered = set.texts.iter().all(|text| has(other, set.case, text)) && set.case >= other.case;
                (covered && numbers).then(|| format!("`{name}` must be {} and is excluded", shown(set)))
            }
            // A number has other spellings than the one that stands among the texts.
            (Test::OneOf(set), true, test, wanted) if set.numbers.is_empty() => {
                let decided = set.texts.iter().all(|text| decides(test, set.case, text) == Some(!wanted));
                let verb = if wanted { "never fits" } else { "always fits what is excluded of" };
                decided.then(|| format!("`{name}` must be {}, which {verb} the other line of it", shown(set)))
            }
            (Test::Compare(relation, bound), true, Test::Compare(other, limit), true) => {
                empty((*relation, *bound), (*other, *limit)).then(|| format!("no number is in the range of `{name}`"))
            }
            _ => None,
        }
    }
}

/// Whether the other set holds this text, as far as letter case allows to say.
fn has(set: &OneOf, case: Case, text: &str) -> bool {
    let folded = set.case == Case::Ignored || case == Case::Ignored;
    let number = Number::parse(text);
    set.texts.iter().any(|other| {
        let same = if folded { fold(other) == fold(text) } else { **other == *text };
        same || number.is_some() && number == Number::parse(other)
    })
}

/// Whether a test is true of this value of a set, if letter case lets us say.
fn decides(test: &Test, case: Case, text: &str) -> Option<bool> {
    let theirs = match test {
        Test::Contains(theirs, _) | Test::StartsWith(theirs, _) | Test::EndsWith(theirs, _) | Test::Glob(theirs, _) => {
            *theirs
        }
        // An address has no letter case.
        Test::Cidr(_) => Case::Ignored,
        Test::Null
        | Test::Exists
        | Test::OneOf(_)
        | Test::Regex(_)
        | Test::Compare(..)
        | Test::Time(..)
        | Test::Field(..) => return None,
    };
    // A folded text says nothing about a test that minds letter case.
    (theirs == Case::Ignored || case == Case::Exact).then(|| test.holds_text(text))
}

fn empty(left: (Relation, Number), right: (Relation, Number)) -> bool {
    let lower = |relation: Relation| matches!(relation, Relation::Greater | Relation::AtLeast);
    let (low, high) = match (lower(left.0), lower(right.0)) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        (true, true) | (false, false) => return false,
    };
    match low.1.cmp(&high.1) {
        Ordering::Greater => true,
        Ordering::Equal => low.0 == Relation::Greater || high.0 == Relation::Less,
        Ordering::Less => false,
    }
}

/// The first values of a set.
fn shown(set: &OneOf) -> String {
    let mut text = set.texts.iter().take(3).map(|text| format!("`{text}`")).collect::<Vec<_>>().join(" or ");
    if set.texts.len() > 3 {
        text += " or others";
    }
    text
}
