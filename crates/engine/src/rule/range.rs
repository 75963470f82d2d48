//! Whether a number can be all that a condition asks of it.

use std::ops::RangeInclusive;

use super::{Comparison, Threshold};
use crate::detect::BILLIONTHS;

/// The numbers between two bounds, each of which belongs to them or not. In billionths.
struct Between {
    low: (i128, bool),
    high: (i128, bool),
}

impl Between {
    fn of(threshold: &Threshold) -> Self {
        let mut found = Self { low: (i128::MIN, true), high: (i128::MAX, true) };
        for &(comparison, number) in &threshold.asks {
            match comparison {
                Comparison::Above => found.above(number, false),
                Comparison::AtLeast => found.above(number, true),
                Comparison::Below => found.below(number, false),
                Comparison::AtMost => found.below(number, true),
                Comparison::Equal => {
                    found.above(number, true);
                    found.below(number, true);
                }
                Comparison::Unequal => {}
            }
        }
        found
    }

    fn above(&mut self, number: i128, with: bool) {
        if number > self.low.0 || number == self.low.0 && !with {
            self.low = (number, with);
        }
    }

    fn below(&mut self, number: i128, with: bool) {
        if number < self.high.0 || number == self.high.0 && !with {
            self.high = (number, with);
        }
    }
}

/// Whether any number is such.
pub(super) fn any_real(threshold: &Threshold) -> bool {
    let Between { low, high } = Between::of(threshold);
    low.0 < high.0 || low.0 == high.0 && low.1 && high.1 && !excluded(threshold, low.0)
}

/// Whether any whole number of these is such.
pub(super) fn any_whole(threshold: &Threshold, among: RangeInclusive<i128>) -> bool {
    let Between { low, high } = Between::of(threshold);
    let whole = low.0.div_euclid(BILLIONTHS);
    let low = if low.0.rem_euclid(BILLIONTHS) == 0 && low.1 { whole } else { whole + 1 };
    let whole = high.0.div_euclid(BILLIONTHS);
    let high = if high.0.rem_euclid(BILLIONTHS) == 0 && !high.1 { whole - 1 } else { whole };
    // One more than are excluded must be there.
    let tried = (low.max(*among.start())..=high.min(*among.end())).take(threshold.asks.len() + 1);
    tried.into_iter().any(|number| !excluded(threshold, number * BILLIONTHS))
}

fn excluded(threshold: &Threshold, number: i128) -> bool {
    threshold.asks.contains(&(Comparison::Unequal, number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_found_where_one_holds(asks in proptest::collection::vec((0..6_usize, -2..8_i128), 0..4)) {
            use Comparison::*;
            let comparisons = [Above, AtLeast, Below, AtMost, Equal, Unequal];
            let asks = asks.into_iter().map(|(comparison, half)| (comparisons[comparison], half * BILLIONTHS / 2)).collect();
            let threshold = Threshold { asks };
            let whole = (0..=3).any(|number: i128| threshold.holds(number * BILLIONTHS, 1));
            prop_assert_eq!(any_whole(&threshold, 0..=3), whole);
            // Quarters stand between all that is asked.
            let real = (-20..=40).any(|quarters: i128| threshold.holds(quarters * BILLIONTHS, 4));
            prop_assert_eq!(any_real(&threshold), real);
        }
    }
}
