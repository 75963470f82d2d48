//! Distinct values, exactly while they are few and about after that.

use serde::{Deserialize, Serialize};

/// Up to here every value is known.
const EXACT_MAX: usize = 32;

/// Registers of the sketch that follows: an error of 6.5 %.
const REGISTERS: usize = 256;

/// Hashes of distinct values: 8 bytes each up to 32, then 256 in all. What is in it does not depend on the order in which it
/// came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Sketch {
    /// In ascending order.
    Exact(Vec<u64>),
    /// The longest run of zeros in each register (HyperLogLog).
    About(Vec<u8>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Sketch {
    /// Takes in a value by its hash.
    pub(super) fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(values) => match values.binary_search(&hash) {
                Ok(_) => {}
                Err(place) if values.len() < EXACT_MAX => values.insert(place, hash),
                Err(_) => {
                    let mut registers = vec![0; REGISTERS];
                    values.iter().for_each(|value| note(&mut registers, *value));
                    note(&mut registers, hash);
                    *self = Self::About(registers);
                }
            },
            Self::About(registers) => note(registers, hash),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::Exact(values) => u32::try_from(values.len()).unwrap_or(u32::MAX),
            Self::About(registers) => {
                let all = REGISTERS as f64;
                let sum: f64 = registers.iter().map(|run| libm::exp2(-f64::from(*run))).sum();
                let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
                let empty = registers.iter().filter(|run| **run == 0).count();
                let count = if raw < 2.5 * all && empty > 0 { all * libm::log(all / empty as f64) } else { raw };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is far below 2^32")]
                let whole = count.round() as u32;
                whole.max(EXACT_MAX as u32 + 1)
            }
        }
    }

    /// Bytes beside itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Exact(values) => values.len() * size_of::<u64>(),
            Self::About(registers) => registers.len(),
        }
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let register = (hash >> 56) as usize;
    let run = u8::try_from((hash << 8 | 0xff).leading_zeros() + 1).unwrap_or(u8::MAX);
    registers[register] = registers[register].max(run);
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;
    use crate::hash::Seed;

    #[test]
    fn few_values_are_counted_exactly_and_many_within_a_fifth_in_any_order() {
        let hash = |number: u32| Seed::default().hash_one(number);
        for count in [0, 1, 31, 32, 33, 100, 1_000, 50_000] {
            let (mut sketch, mut back) = (Sketch::default(), Sketch::default());
            (0..count).chain(0..count.min(40)).for_each(|number| sketch.add(hash(number)));
            (0..count).rev().for_each(|number| back.add(hash(number)));
            assert_eq!(sketch, back);
            let error = f64::from(sketch.count().abs_diff(count)) / f64::from(count.max(1));
            assert!(if count <= 32 { error == 0.0 } else { error < 0.2 }, "{count}: {}", sketch.count());
        }
    }
}
