//! Many literals against one text: which of them does it hold, begin with, end with or equal?
//!
//! Each question has the structure that answers it for all literals at once, so the cost grows with the text
//! and hardly with the number of rules.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::grams;
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
    Inside(grams::Long),
    /// Literals of one byte stand apart.
    Short(grams::Short, Vec<(u8, Atom)>),
}

/// Literals as a tree of their bytes.
#[derive(Debug, Default)]
pub(super) struct Affixes {
    /// The first is the root, which has many branches; the others have few.
    nodes: Vec<Affix>,
    /// By first byte: where the root leads, or 0 for nowhere.
    first: Vec<u32>,
}

#[derive(Debug, Default)]
struct Affix {
    atom: Option<Atom>,
    /// Sorted by byte.
    next: Vec<(u8, u32)>,
}

impl Column {
    /// Literals are folded, and in the position that [`super::literal::Literal::new`] gives them.
    pub(super) fn new(position: Where, literals: &[(&str, Atom)]) -> Self {
        match position {
            Where::Whole | Where::Number => {
                let longest = literals.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
                Self::Whole(literals.iter().map(|(text, atom)| (text.as_bytes().into(), *atom)).collect(), longest)
            }
            Where::Start => Self::Starts(literals.iter().map(|(text, atom)| (text.bytes(), *atom)).collect()),
            Where::End => Self::Ends(literals.iter().map(|(text, atom)| (text.bytes().rev(), *atom)).collect()),
            Where::Inside => Self::Inside(grams::Long::new(literals)),
            Where::Short => {
                let byte = |(text, atom): &(&str, Atom)| Some((*text.as_bytes().first_chunk::<1>()?, *atom));
                let (single, short): (Vec<_>, Vec<_>) = literals.iter().copied().partition(|(text, _)| text.len() == 1);
                let single = single.iter().filter_map(byte).map(|([byte], atom)| (byte, atom)).collect();
                Self::Short(grams::Short::new(&short), single)
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
            Self::Starts(literals) => literals.scan(text.iter().copied(), hit),
            Self::Ends(literals) => literals.scan(text.iter().rev().copied(), hit),
            Self::Inside(literals) => literals.scan(text, hit),
            Self::Short(literals, single) => {
                let there = single.iter().filter(|(byte, _)| text.contains(byte));
                there.for_each(|(_, atom)| hit(*atom));
                literals.scan(text, hit);
            }
        }
    }
}

impl<B: Iterator<Item = u8>> FromIterator<(B, Atom)> for Affixes {
    fn from_iter<T: IntoIterator<Item = (B, Atom)>>(literals: T) -> Self {
        let mut affixes = Self::default();
        literals.into_iter().for_each(|(bytes, atom)| affixes.insert(bytes, atom));
        affixes.first = vec![0; 256];
        for (byte, child) in affixes.nodes.first().into_iter().flat_map(|root| &root.next) {
            affixes.first[usize::from(*byte)] = *child;
        }
        affixes
    }
}

impl Affixes {
    fn insert(&mut self, bytes: impl Iterator<Item = u8>, atom: Atom) {
        if self.nodes.is_empty() {
            self.nodes.push(Affix::default());
        }
        let mut place = 0;
        for byte in bytes {
            let new = u32::try_from(self.nodes.len()).expect("fewer than 2^32 bytes of literals fit into memory");
            let next = &mut self.nodes[place].next;
            let child = match next.binary_search_by_key(&byte, |(byte, _)| *byte) {
                Ok(known) => next[known].1,
                Err(gap) => {
                    next.insert(gap, (byte, new));
                    self.nodes.push(Affix::default());
                    new
                }
            };
            place = child as usize;
        }
        self.nodes[place].atom = Some(atom);
    }

    fn scan(&self, mut bytes: impl Iterator<Item = u8>, mut hit: impl FnMut(Atom)) {
        let Some(root) = self.nodes.first() else { return };
        root.atom.into_iter().for_each(&mut hit);
        let Some(first) = bytes.next() else { return };
        let mut place = self.first[usize::from(first)];
        while place != 0 {
            let node = &self.nodes[place as usize];
            node.atom.into_iter().for_each(&mut hit);
            let Some(byte) = bytes.next() else { return };
            place = node.next.iter().find(|(next, _)| *next == byte).map_or(0, |(_, child)| *child);
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
