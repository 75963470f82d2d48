//! Chance for one activity: names, ids and choices that follow from what the activity is, not from what came before.
//!
//! Each activity of a day draws from a number sequence of its own, so a story laid into the world, or one person more,
//! changes no byte of what all others do.

use crate::chance::Chance;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A sequence of choices.
#[derive(Clone, Debug)]
pub(super) struct Draw(Chance);

impl Draw {
    /// The sequence of one activity: what it is, whose, and which time it happens.
    pub(super) fn of(seed: u64, what: &str, whose: u64, which: u64) -> Self {
        // FNV-1a over the name, then one round of the generator for each part, so that near parts lie far apart.
        let name = what
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mixed = [name, whose, which].iter().fold(seed, |mixed, part| Chance::new(mixed ^ part).number());
        Self(Chance::new(mixed))
    }

    /// Below `bound`; zero if nothing is.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// From `low` up to `high`, both among them.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Below `bound`, as a place in a list.
    pub(super) fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(super) fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// One of them. The list is never empty.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.place(list.len())]
    }

    /// So many digits of base 16.
    pub(super) fn hex(&mut self, length: usize) -> String {
        self.letters(HEX, length)
    }

    /// So many letters of base 32, as AWS makes its ids.
    pub(super) fn base32(&mut self, length: usize) -> String {
        self.letters(BASE32, length)
    }

    /// So many letters of base 64.
    pub(super) fn base64(&mut self, length: usize) -> String {
        self.letters(BASE64, length)
    }

    /// A UUID of version 4.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.0.number(), self.0.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff,
        )
    }

    fn letters(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(*self.pick(alphabet))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_draws_the_same_whatever_else_happens() {
        let drawn = |whose| Draw::of(1, "deploy", whose, 3).uuid();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_ne!(Draw::of(1, "a", 0, 1).hex(8), Draw::of(1, "a", 1, 0).hex(8));
    }

    #[test]
    fn between_reaches_both_ends() {
        let mut draw = Draw::of(1, "ends", 0, 0);
        let drawn: Vec<u64> = (0..100).map(|_| draw.between(3, 5)).collect();
        assert!(drawn.contains(&3) && drawn.contains(&5) && drawn.iter().all(|number| (3..=5).contains(number)));
    }
}
