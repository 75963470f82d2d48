//! Many literals against one text: which of them does it hold, begin with, end with or equal?
//!
//! Each question has the structure that answers it for all literals at once, so the cost grows with the text
//! and hardly with the number of rules.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use rustc_hash::FxBuildHasher;

use super::matcher::Position;

/// A literal's place among all that one plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Atom(pub(super) u32);

/// The literals that rules ask of one field, letter case aside.
#[derive(Debug, Default)]
pub(super) struct Column {
    whole: HashMap<Box<str>, Atom, FxBuildHasher>,
    /// No text longer than this equals a literal.
    whole_bytes_max: usize,
    starts: Affixes,
    ends: Affixes,
    inner: Option<(AhoCorasick, Vec<Atom>)>,
}

/// Literals as a tree of their bytes.
#[derive(Debug, Default)]
struct Affixes {
    nodes: Vec<Affix>,
}

#[derive(Debug, Default)]
struct Affix {
    atom: Option<Atom>,
    /// Sorted by byte.
    next: Vec<(u8, u32)>,
}

/// Up to so many bytes of literals a table of every state and byte is small enough to stay in the cache; above,
/// it would take most of the time and memory of loading rules (all public rules: 418 MB).
const TABLE_BYTES_MAX: usize = 2 << 10;

impl Column {
    /// Literals are folded.
    pub(super) fn new<'l>(literals: impl IntoIterator<Item = (Position, &'l str, Atom)>) -> Self {
        let mut column = Self::default();
        let (mut inner, mut atoms) = (Vec::new(), Vec::new());
        for (position, text, atom) in literals {
            match position {
                Position::Whole => {
                    column.whole_bytes_max = column.whole_bytes_max.max(text.len());
                    column.whole.insert(text.into(), atom);
                }
                Position::Start => column.starts.insert(text.bytes(), atom),
                Position::End => column.ends.insert(text.bytes().rev(), atom),
                Position::Anywhere => {
                    inner.push(text);
                    atoms.push(atom);
                }
            }
        }
        column.inner = (!inner.is_empty()).then(|| (automaton(&inner), atoms));
        column
    }

    /// Tells every literal that this folded text has, some more than once.
    pub(super) fn scan(&self, text: &str, mut hit: impl FnMut(Atom)) {
        if text.len() <= self.whole_bytes_max
            && let Some(atom) = self.whole.get(text)
        {
            hit(*atom);
        }
        self.starts.scan(text.bytes(), &mut hit);
        self.ends.scan(text.bytes().rev(), &mut hit);
        if let Some((automaton, atoms)) = &self.inner {
            for found in automaton.find_overlapping_iter(text) {
                hit(atoms[found.pattern().as_usize()]);
            }
        }
    }
}

fn automaton(literals: &[&str]) -> AhoCorasick {
    let small = literals.iter().map(|literal| literal.len()).sum::<usize>() <= TABLE_BYTES_MAX;
    AhoCorasick::builder()
        .kind(Some(if small { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA }))
        .build(literals)
        .expect("rules with 2^31 bytes of literals do not fit into memory")
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

    fn scan(&self, bytes: impl Iterator<Item = u8>, hit: &mut impl FnMut(Atom)) {
        let Some(mut node) = self.nodes.first() else { return };
        node.atom.into_iter().for_each(&mut *hit);
        for byte in bytes {
            let Some((_, child)) = node.next.iter().find(|(next, _)| *next == byte) else { return };
            node = &self.nodes[*child as usize];
            node.atom.into_iter().for_each(&mut *hit);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POSITIONS: [Position; 4] = [Position::Whole, Position::Anywhere, Position::Start, Position::End];

    proptest! {
        #[test]
        fn a_column_finds_what_one_by_one_finds(
            literals in proptest::collection::btree_set((0..4_usize, "[abä]{0,3}"), 0..12),
            text in "[abcä]{0,8}",
        ) {
            let literals: std::collections::BTreeSet<(usize, String)> = literals;
            // `Literal::new` says where the empty one stands.
            let literals: Vec<_> = literals.into_iter().filter(|(position, text)| *position == 0 || !text.is_empty()).collect();
            let atoms: Vec<_> = (0..).map(Atom).zip(&literals).collect();
            let column = Column::new(atoms.iter().map(|(atom, (position, text))| (POSITIONS[*position], text.as_str(), *atom)));
            let mut found = std::collections::BTreeSet::new();
            column.scan(&text, |atom| { found.insert(atom); });
            let holds = |position: &usize, literal: &str| match POSITIONS[*position] {
                Position::Whole => text == literal,
                Position::Anywhere => text.contains(literal),
                Position::Start => text.starts_with(literal),
                Position::End => text.ends_with(literal),
            };
            let expected = atoms.iter().filter(|(_, (position, literal))| holds(position, literal)).map(|(atom, _)| *atom);
            prop_assert_eq!(found.into_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
