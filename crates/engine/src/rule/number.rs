//! Numbers that compare exactly, whole or not.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use sonic_rs::JsonNumberTrait;

use super::leaf::Leaf;

/// A number of a rule or an event. Whole numbers stay whole: 2^53 and its neighbour differ.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(i128),
    /// Never NaN; infinite where an event writes more than a real holds, such as `1e400`.
    Real(f64),
}

impl Number {
    /// The number that a value is, or whose text it holds.
    pub(super) fn of(value: &Leaf<'_>) -> Option<Self> {
        match value {
            Leaf::Text(_) | Leaf::Escaped(_) | Leaf::Digits(_) | Leaf::Known(_) => value.with_text(Self::parse)?,
            Leaf::Number(number) => Some(if let Some(whole) = number.as_i64() {
                Self::Whole(whole.into())
            } else if let Some(whole) = number.as_u64() {
                Self::Whole(whole.into())
            } else {
                Self::Real(number.as_f64()?)
            }),
            Leaf::Long(digits) => Some(match digits.parse() {
                Ok(whole) => Self::Whole(whole),
                // Rounds, or is infinite, but keeps the order.
                Err(_) => Self::Real(digits.parse().ok()?),
            }),
            Leaf::Bool(_) | Leaf::Null | Leaf::Object => None,
        }
    }

    /// The whole number that it is, whichever way it is written.
    pub(super) fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(whole) => Some(whole),
            #[expect(clippy::cast_possible_truncation, reason = "what does not fit is another number, and is refused")]
            Self::Real(real) => Some(real as i128).filter(|whole| Self::Whole(*whole) == self),
        }
    }

    /// The number that this text writes in decimals.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|real: &f64| real.is_finite()).map(Self::Real)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Equal numbers hash alike however they are kept: a whole real as the whole number that it is.
        match *self {
            Self::Whole(whole) => whole.hash(state),
            #[expect(clippy::cast_possible_truncation, reason = "saturates, and hashes need not differ")]
            Self::Real(real) => (real.floor() as i128).hash(state),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(&right),
            // No NaN, so only the two zeros differ from the order of numbers, and those must be equal.
            (Self::Real(left), Self::Real(right)) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
            (Self::Whole(left), Self::Real(right)) => whole_to_real(left, right),
            (Self::Real(left), Self::Whole(right)) => whole_to_real(right, left).reverse(),
        }
    }
}

fn whole_to_real(whole: i128, real: f64) -> Ordering {
    /// The first real beyond `i128`; the least of `i128` is a real itself.
    const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    let floor = real.floor();
    if floor >= BEYOND {
        return Ordering::Less;
    }
    if floor < -BEYOND {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds")]
    let floor_whole = floor as i128;
    whole.cmp(&floor_whole).then(if floor < real { Ordering::Less } else { Ordering::Equal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(json: &str) -> Number {
        Number::of(&Leaf::of(&sonic_rs::Deserializer::from_str(json).use_rawnumber().deserialize().unwrap())).unwrap()
    }

    #[test]
    fn numbers_compare_by_value_not_by_spelling() {
        for (left, right, order, reason) in [
            ("443", "443.0", Ordering::Equal, "a whole real is whole"),
            ("443", "\"443\"", Ordering::Equal, "text of a number is the number"),
            ("1", "1.5", Ordering::Less, "fraction above"),
            ("-1", "-1.5", Ordering::Greater, "fraction below zero"),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater, "beyond the precision of reals"),
            ("18446744073709551615", "1e300", Ordering::Less, "beyond every whole number"),
            ("170141183460469231731687303715884105727", "1.7014118346046923e38", Ordering::Less, "the border of i128"),
            ("\"170141183460469231731687303715884105727\"", "1e300", Ordering::Less, "beyond it"),
            ("\"-170141183460469231731687303715884105728\"", "-1e300", Ordering::Greater, "on the other side"),
            ("36893488147419103233", "36893488147419103232", Ordering::Greater, "beyond 64 bits"),
            ("1e400", "1e308", Ordering::Greater, "more than a real holds"),
            ("0.0", "-0.0", Ordering::Equal, "zero has no sign"),
        ] {
            assert_eq!(number(left).cmp(&number(right)), order, "{reason}");
            assert_eq!(number(right).cmp(&number(left)), order.reverse(), "{reason}");
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["", "inf", "NaN", "0x10", "1 2", "true"] {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
    }
}
