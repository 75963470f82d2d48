//! Parts of a date: what `hour`, `week` and their like take out of a value.

use super::leaf::Leaf;
use super::matcher::Relation;
use super::number::Number;
use crate::normalise::moment;
use chrono::{DateTime, Datelike, Timelike, Utc};

/// A part of a date, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TimePart {
    Minute,
    Hour,
    Day,
    /// Of the ISO calendar: week 1 holds the year's first Thursday.
    Week,
    Month,
    Year,
}

/// What must be true of the part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// It is one of these, which are sorted.
    OneOf(Vec<Number>),
    Compare(Relation, Number),
}

impl TimePart {
    /// The part of the date that this value is: RFC 3339 text, or a number since 1970.
    pub(super) fn of(self, value: &Leaf<'_>) -> Option<Number> {
        let time = match value {
            Leaf::Text(_) | Leaf::Escaped(_) | Leaf::Known(_) => value.with_text(moment::from_text)??,
            Leaf::Number(number) => moment::from_number(number)?,
            Leaf::Digits(digits) => moment::from_number(&digits.parse::<i64>().ok()?.into())?,
            Leaf::Long(_) | Leaf::Bool(_) | Leaf::Null | Leaf::Object => return None,
        };
        let moment = DateTime::<Utc>::from_timestamp_micros(time.micros())?;
        let part = match self {
            Self::Minute => moment.minute(),
            Self::Hour => moment.hour(),
            Self::Day => moment.day(),
            Self::Week => moment.iso_week().week(),
            Self::Month => moment.month(),
            Self::Year => return Some(Number::Whole(moment.year().into())),
        };
        Some(Number::Whole(part.into()))
    }

    /// The least and greatest number that it can be.
    pub(super) fn range(self) -> (i128, i128) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::Month => (1, 12),
            Self::Year => (1970, 2200),
        }
    }
}

impl Wanted {
    pub(super) fn holds(&self, part: Number) -> bool {
        match self {
            Self::OneOf(numbers) => numbers.binary_search(&part).is_ok(),
            Self::Compare(relation, bound) => relation.holds(part.cmp(bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_moment_in_utc() {
        use TimePart::*;
        for (json, part, number, reason) in [
            (r#""2024-08-08T23:59:01Z""#, Hour, Some(23), "an hour"),
            (r#""2024-08-08T23:59:01Z""#, Minute, Some(59), "a minute"),
            (r#""2024-08-09T01:30:00+02:00""#, Day, Some(8), "the day in UTC, not in its zone"),
            (r#""2024-12-30T00:00:00Z""#, Week, Some(1), "week 1 of the next year"),
            (r#""2024-12-30T00:00:00Z""#, Month, Some(12), "a month"),
            (r#""2024-12-30 10:00:00""#, Year, Some(2024), "without a zone it is UTC"),
            ("1700000000", Hour, Some(22), "seconds since 1970"),
            ("1700000000123", Hour, Some(22), "milliseconds"),
            (r#""soon""#, Hour, None, "no date"),
            ("null", Hour, None, "nothing"),
        ] {
            let value: sonic_rs::Value = sonic_rs::from_str(json).unwrap();
            assert_eq!(part.of(&Leaf::of(&value)), number.map(Number::Whole), "{json}: {reason}");
        }
    }
}
