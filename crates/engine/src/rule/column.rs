//! Many literals against one text: which of them does it hold, begin with, end with or equal?
//!
//! Each question has the structure that answers it for all literals at once, so the cost grows with the text
//! and hardly with the number of rules.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::affixes::{Affixes, Edge};
use super::grams::{Grams, Long, Pairs, Short, Wide};
use super::literal::Where;

/// A literal's place among all that one plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Atom(pub(super) u32);

/// The literals that rules ask of one field in one position, letter case aside.
#[derive(Debug)]
pub(super) enum Column {
    /// No text longer than the second equals a literal.
    Whole(HashMap<Box<[u8]>, Atom, FxBuildHasher>, usize),
    Starts(Affixes),
    Ends(Affixes),
    Inside(Long),
    /// As `Inside`, all of them long enough to be known by more bytes.
    Wide(Wide),
    /// Literals of one byte and of two bytes stand apart.
    Short(Short, Pairs, Vec<(u8, Atom)>),
}

impl Column {
    /// Literals are folded, and in the position that [`super::literal::Literal::new`] gives them.
    pub(super) fn new(position: Where, literals: &[(&str, Atom)]) -> Self {
        match position {
            Where::Whole | Where::Number => {
                let longest = literals.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
                Self::Whole(literals.iter().map(|(text, atom)| (text.as_bytes().into(), *atom)).collect(), longest)
            }
            Where::Start => Self::Starts(Affixes::new(Edge::Start, literals)),
            Where::End => Self::Ends(Affixes::new(Edge::End, literals)),
            Where::Inside if literals.iter().all(|(text, _)| text.len() >= Wide::LENGTH_MIN) => {
                Self::Wide(Grams::new(literals))
            }
            Where::Inside => Self::Inside(Grams::new(literals)),
            Where::Short => {
                let byte = |(text, atom): &(&str, Atom)| Some((*text.as_bytes().first_chunk::<1>()?, *atom));
                let of = |lengths: std::ops::RangeInclusive<usize>| -> Vec<(&str, Atom)> {
                    literals.iter().copied().filter(|(text, _)| lengths.contains(&text.len())).collect()
                };
                let single = of(1..=1).iter().filter_map(byte).map(|([byte], atom)| (byte, atom)).collect();
                Self::Short(Grams::new(&of(3..=usize::MAX)), Grams::new(&of(2..=2)), single)
            }
        }
    }

    /// Tells every literal that this folded text has, some more than once.
    pub(super) fn scan(&self, text: &[u8], mut hit: impl FnMut(Atom)) {
        match self {
            Self::Whole(literals, longest) if text.len() <= *longest => {
                literals.get(text).copied().into_iter().for_each(hit);
            }
            Self::Whole(..) => {}
            Self::Starts(literals) | Self::Ends(literals) => literals.scan(text, hit),
            Self::Inside(literals) => literals.scan(text, hit),
            Self::Wide(literals) => literals.scan(text, hit),
            Self::Short(literals, pairs, single) => {
                for (byte, atom) in single {
                    if text.contains(byte) {
                        hit(*atom);
                    }
                }
                pairs.scan(text, &mut hit);
                literals.scan(text, hit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        #[test]
        fn a_column_finds_what_one_by_one_finds(
            position in select(vec![Where::Whole, Where::Start, Where::End, Where::Inside, Where::Short]),
            literals in proptest::collection::btree_set("[abä]{0,6}", 0..12),
            text in "[abcä]{0,8}",
        ) {
            // As `Literal::new` hands them out.
            let literals = literals.iter().filter(|text| match position {
                Where::Whole | Where::Number | Where::Start => true,
                Where::End => !text.is_empty(),
                Where::Short => (1..5).contains(&text.len()),
                Where::Inside => text.len() >= 5,
            });
            let literals: Vec<(&str, Atom)> = literals.map(String::as_str).zip((0..).map(Atom)).collect();
            let mut found = BTreeSet::new();
            Column::new(position, &literals).scan(text.as_bytes(), |atom| { found.insert(atom); });
            let holds = |literal: &str| match position {
                Where::Whole | Where::Number => text == literal,
                Where::Inside | Where::Short => text.contains(literal),
                Where::Start => text.starts_with(literal),
                Where::End => text.ends_with(literal),
            };
            let expected = literals.iter().filter(|(literal, _)| holds(literal)).map(|(_, atom)| *atom);
            prop_assert_eq!(found, expected.collect::<BTreeSet<_>>());
        }
    }
}
