//! Hashing that two runs agree on and that an attacker cannot aim at.
//!
//! The standard library's maps draw their key from the machine, so their order differs from run to run.
//! [`Seed`] is SipHash-1-3 under a key of ours: collisions cannot be prepared without the key, and a saved
//! key gives the same map again. Order of iteration is still no order to print.

use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

/// The key of a map's hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(u64, u64);

/// SipHash-1-3 (Aumasson and Bernstein, 2012) in progress.
#[derive(Clone, Debug)]
pub struct Sip {
    state: [u64; 4],
    /// Bytes that do not fill a word yet, lowest first.
    tail: u64,
    filled: u32,
    length: u64,
}

impl Seed {
    /// A key from two words. Whoever knows them can prepare collisions.
    #[must_use]
    pub fn new(first: u64, second: u64) -> Self {
        Self(first, second)
    }
}

impl BuildHasher for Seed {
    type Hasher = Sip;

    fn build_hasher(&self) -> Sip {
        // The constants spell the algorithm's initial state, "somepseudorandomlygeneratedbytes".
        let state = [
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ];
        Sip { state, tail: 0, filled: 0, length: 0 }
    }
}

impl Hasher for Sip {
    fn write(&mut self, bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        // Whole words at once, put together with what is left of the write before.
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            absorb(&mut self.state, self.tail | word << (8 * self.filled));
            self.tail = word.checked_shr(64 - 8 * self.filled).unwrap_or(0);
            rest = after;
        }
        for byte in rest {
            self.tail |= u64::from(*byte) << (8 * self.filled);
            self.filled += 1;
            if self.filled == 8 {
                absorb(&mut self.state, self.tail);
                self.tail = 0;
                self.filled = 0;
            }
        }
    }

    fn finish(&self) -> u64 {
        let mut state = self.state;
        absorb(&mut state, self.tail | (self.length << 56));
        state[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut state);
        }
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_types, reason = "it is what we compare with, under a fixed key")]
    fn an_empty_key_hashes_as_the_standard_library_does_with_its_own() {
        // The default hasher is documented nowhere, but is SipHash-1-3 under the zero key today.
        for text in ["", "a", "1234567", "12345678", "123456789", "sts.amazonaws.com", "käse"] {
            let theirs = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(text);
            assert_eq!(Seed::default().hash_one(text), theirs, "{text:?}");
        }
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let whole = Seed::new(1, 2);
        let mut first = whole.build_hasher();
        first.write(b"requestParameters");
        let mut second = whole.build_hasher();
        second.write(b"req");
        second.write(b"uestParam");
        second.write(b"eters");
        assert_eq!(first.finish(), second.finish());
    }

    #[test]
    fn another_key_gives_another_hash() {
        assert_ne!(Seed::new(1, 2).hash_one("x"), Seed::new(1, 3).hash_one("x"));
    }
}
