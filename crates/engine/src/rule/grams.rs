//! Thousands of literals in one text, by the few bytes that are rarest in each.
//!
//! Every literal is known by two of its grams (four bytes in a row), one byte apart: those that the fewest other
//! literals hold. Wherever it stands in a text, one of the two stands in an even place. So a pass looks at every
//! second gram of the text, in a small set of bits that stays in the nearest cache, and compares whole literals only
//! where a bit is set. Cost grows with the text and hardly with the number of literals. Short literals are known by grams
//! of two bytes; where all literals are long, four grams of eight bytes each are known, and every fourth place is looked at.
//!
//! Tried before: an Aho-Corasick automaton. Each step waits for the one before it, and with thousands of literals its
//! states do not fit into the nearest cache.

use std::collections::HashMap;

use super::column::Atom;
use crate::hash::Seed;

/// Literals, ready to be found in a text. They are known by grams of `BYTES` bytes, and a pass looks at every `STEP`th
/// place; so each must be at least `BYTES + STEP - 1` long.
#[derive(Debug)]
pub(super) struct Grams<const BYTES: usize, const STEP: usize> {
    /// Two bits of one word a gram, by its hash: whether some literal is known by such a gram.
    words: Vec<u64>,
    /// By the upper part of the same hash: where its entries begin in `entries`.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// All literals, one behind the other.
    text: Vec<u8>,
}

/// For literals of five bytes and more.
pub(super) type Long = Grams<4, 2>;
/// For literals of eleven bytes and more. Texts of hexadecimal digits hold most of what [`Long`] would know hashes by.
pub(super) type Wide = Grams<8, 4>;
/// For literals of three and four bytes.
pub(super) type Short = Grams<2, 2>;
/// For literals of two bytes.
pub(super) type Pairs = Grams<2, 1>;

#[derive(Clone, Copy, Debug)]
struct Entry {
    gram: u64,
    /// Where the gram stands in the literal.
    offset: u32,
    /// Where the literal stands in the text of all.
    start: u32,
    length: u32,
    atom: Atom,
}

/// Entries a word: one text gram in sixty-four then meets both of its bits by chance. With one bit a gram it was one in
/// sixteen, and each such chance looks up a table that is far larger.
const ENTRIES_A_WORD: usize = 4;

impl<const BYTES: usize, const STEP: usize> Grams<BYTES, STEP> {
    /// No literal may be shorter.
    pub(super) const LENGTH_MIN: usize = BYTES + STEP - 1;

    pub(super) fn new(literals: &[(&str, Atom)]) -> Self {
        let popularity = Self::popularity(literals);
        let entries = STEP * literals.len();
        let mut grams = Self {
            words: vec![0; entries.div_ceil(ENTRIES_A_WORD).next_power_of_two()],
            starts: vec![0; entries.next_power_of_two() + 1],
            entries: Vec::with_capacity(entries),
            text: Vec::new(),
        };
        for (literal, atom) in literals {
            let bytes = literal.as_bytes();
            let here: Vec<u64> = Self::of(bytes).collect();
            let choices = here.windows(STEP).enumerate();
            let rarest = choices.min_by_key(|(_, choice)| choice.iter().map(|gram| popularity[gram]).sum::<u32>());
            let (offset, choice) = rarest.expect("literals are long enough for their grams");
            let start = number(grams.text.len());
            grams.text.extend_from_slice(bytes);
            for (offset, gram) in (offset..).zip(choice) {
                let (word, bits) = grams.bits(*gram);
                grams.words[word] |= bits;
                let (offset, length) = (number(offset), number(bytes.len()));
                grams.entries.push(Entry { gram: *gram, offset, start, length, atom: *atom });
            }
        }
        let mut entries = std::mem::take(&mut grams.entries);
        entries.sort_unstable_by_key(|entry| (grams.slot(entry.gram), entry.gram, entry.atom));
        for entry in &entries {
            let slot = grams.slot(entry.gram);
            grams.starts[slot + 1] += 1;
        }
        for slot in 1..grams.starts.len() {
            grams.starts[slot] += grams.starts[slot - 1];
        }
        grams.entries = entries;
        grams
    }

    /// Tells every literal that the text contains, once for each place where it stands.
    pub(super) fn scan(&self, text: &[u8], mut hit: impl FnMut(Atom)) {
        if self.entries.is_empty() {
            return;
        }
        let mut rest = text;
        while let Some(bytes) = rest.first_chunk::<BYTES>() {
            let gram = gram(bytes);
            let (word, bits) = self.bits(gram);
            if self.words[word] & bits == bits {
                self.compare(text, text.len() - rest.len(), gram, &mut hit);
            }
            rest = rest.get(STEP..).unwrap_or_default();
        }
    }

    /// Apart from the loop around it, which so keeps what it needs in registers.
    #[inline(never)]
    fn compare(&self, text: &[u8], place: usize, gram: u64, hit: &mut impl FnMut(Atom)) {
        let slot = self.slot(gram);
        let entries = &self.entries[self.starts[slot] as usize..self.starts[slot + 1] as usize];
        for entry in entries.iter().filter(|entry| entry.gram == gram) {
            let literal = &self.text[entry.start as usize..][..entry.length as usize];
            let start = place.checked_sub(entry.offset as usize);
            if start.is_some_and(|start| text[start..].starts_with(literal)) {
                hit(entry.atom);
            }
        }
    }

    /// The word and the bits in it of a gram: the number of words is a power of two.
    fn bits(&self, gram: u64) -> (usize, u64) {
        let hash = hash(gram);
        ((hash >> 12) as usize & (self.words.len() - 1), 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }

    /// The slot of a gram: their number is a power of two, and one more ends the last.
    fn slot(&self, gram: u64) -> usize {
        (hash(gram) >> 16) as usize & (self.starts.len() - 2)
    }

    /// In how many literals each gram stands.
    fn popularity(literals: &[(&str, Atom)]) -> HashMap<u64, u32, Seed> {
        let mut popularity: HashMap<u64, u32, Seed> = HashMap::default();
        for (literal, _) in literals {
            for gram in Self::of(literal.as_bytes()) {
                *popularity.entry(gram).or_default() += 1;
            }
        }
        popularity
    }

    fn of(bytes: &[u8]) -> impl Iterator<Item = u64> {
        bytes.array_windows::<BYTES>().map(gram)
    }
}

fn gram<const BYTES: usize>(bytes: &[u8; BYTES]) -> u64 {
    // Shifted together byte by byte, a step of the loop in `scan` took 27 instructions; this takes 19.
    let mut word = [0; 8];
    word[..BYTES].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// The upper half of a product, to which all bytes have added.
fn hash(gram: u64) -> u64 {
    gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than 2^32 bytes of literals fit into memory")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn found<const BYTES: usize, const STEP: usize>(literals: &[(&str, Atom)], text: &str) -> BTreeSet<Atom> {
        let mut found = BTreeSet::new();
        Grams::<BYTES, STEP>::new(literals).scan(text.as_bytes(), |atom| {
            found.insert(atom);
        });
        found
    }

    proptest! {
        #[test]
        fn every_literal_is_found_wherever_it_stands(
            wide in proptest::collection::btree_set("[abä]{11,14}", 0..20),
            long in proptest::collection::btree_set("[abä]{5,8}", 0..40),
            short in proptest::collection::btree_set("[abc]{3,4}", 0..20),
            pairs in proptest::collection::btree_set("[abc]{2}", 0..5),
            text in "[abcä]{0,40}",
        ) {
            let atoms = |literals| -> Vec<(&str, Atom)> {
                let literals: &BTreeSet<String> = literals;
                literals.iter().map(String::as_str).zip((0..).map(Atom)).collect()
            };
            let expected = |literals: &[(&str, Atom)]| -> BTreeSet<Atom> {
                literals.iter().filter(|(literal, _)| text.contains(literal)).map(|(_, atom)| *atom).collect()
            };
            let (wide, long, short, pairs) = (atoms(&wide), atoms(&long), atoms(&short), atoms(&pairs));
            prop_assert_eq!(found::<8, 4>(&wide, &text), expected(&wide));
            prop_assert_eq!(found::<4, 2>(&long, &text), expected(&long));
            prop_assert_eq!(found::<2, 2>(&short, &text), expected(&short));
            prop_assert_eq!(found::<2, 1>(&pairs, &text), expected(&pairs));
        }
    }
}
