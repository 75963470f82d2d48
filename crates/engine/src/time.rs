//! Event time: whole microseconds, because vendors stamp in anything from seconds to nanoseconds and
//! windows must compare exactly. Nothing here asks for the present.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod zone;

pub use zone::{UnknownZone, Zone};

const SECOND: i64 = 1_000_000;

/// Days from 1970-01-01 to 2201-01-01: 231 years, 56 of them leap years.
const DAYS_TO_2201: i64 = 231 * 365 + 56;

/// A moment, in microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 with six digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A length of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(i64);

/// Text that is no moment or no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimeError {
    /// Neither RFC 3339 nor within the years that can be represented.
    #[error("{0:?} is not an RFC 3339 time")]
    Timestamp(String),
    /// Not a number with one of the units `s m h d w`, or zero.
    #[error("{0:?} is not a length of time such as 30s, 10m, 1h or 7d")]
    Span(String),
}

impl Timestamp {
    /// The first moment that an event may have: the beginning of 1970.
    pub const EARLIEST: Self = Self(0);

    /// The last one: the end of 2200. In between every moment prints as four digits of year and reads back,
    /// whatever its zone was, and the arithmetic below is far from its limits.
    pub const LATEST: Self = Self(DAYS_TO_2201 * 86_400 * SECOND - 1);

    /// From microseconds since the epoch.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch, as CloudWatch and GitHub count. Saturates.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This moment moved later. Saturates.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This moment moved earlier. Saturates.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }

    /// The number of the cell of this `width` that holds the moment: what anchors a window's alert.
    #[must_use]
    pub fn cell(self, width: Span) -> i64 {
        self.0.div_euclid(width.0.max(1))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339; digits beyond the microsecond are cut.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Some(plain) = plain(text.as_bytes()) {
            return Ok(plain);
        }
        DateTime::parse_from_rfc3339(text)
            .map(|moment| Self(moment.timestamp_micros()))
            .map_err(|_| TimeError::Timestamp(text.to_owned()))
    }
}

/// `2026-11-20T09:14:03Z`, as most logs write it: read without trying every other spelling.
/// Nothing for any other spelling, and for what is no moment.
fn plain(text: &[u8]) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = text else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(**digit - b'0')))
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(Timestamp(day.and_hms_opt(hour, minute, second)?.and_utc().timestamp_micros()))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !(Self::EARLIEST..=Self::LATEST).contains(self) {
            return match DateTime::<Utc>::from_timestamp_micros(self.0) {
                Some(moment) => out.write_str(&moment.to_rfc3339_opts(SecondsFormat::Micros, true)),
                None => write!(out, "{}us", self.0),
            };
        }
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |places: std::ops::Range<usize>, mut number: i64| {
            for place in places.rev() {
                text[place] += u8::try_from(number % 10).expect("a digit");
                number /= 10;
            }
        };
        let (days, micros) = (self.0.div_euclid(86_400 * SECOND), self.0.rem_euclid(86_400 * SECOND));
        let (year, month, day) = date(days);
        put(0..4, year);
        put(5..7, month);
        put(8..10, day);
        put(11..13, micros / (3_600 * SECOND));
        put(14..16, micros / (60 * SECOND) % 60);
        put(17..19, micros / SECOND % 60);
        put(20..26, micros % SECOND);
        out.write_str(std::str::from_utf8(&text).expect("digits and signs"))
    }
}

/// Year, month and day of the day that lies so many days after 1970-01-01, between 1970 and 2200. Counted in
/// years that begin in March, so that the leap day is the last of its year: 30 ns instead of 400 for a timestamp,
/// and every event without an id of its own prints one.
fn date(days: i64) -> (i64, i64, i64) {
    // Days since 2000-03-01 less 400 years, which are 146,097 days.
    let days = days - 11_017 + 146_097;
    let century = (4 * days + 3) / 146_097;
    let of_century = days - century * 146_097 / 4;
    let year = (4 * of_century + 3) / 1_461;
    let of_year = of_century - year * 1_461 / 4;
    // Five months from March on have 153 days, again and again.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = 1_600 + 100 * century + year + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl Span {
    /// Whole seconds. Saturates.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds as i64 * SECOND)
    }

    /// From microseconds; negative ones are none.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.max(0))
    }

    /// This length and another one. Saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Its length in microseconds.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = TimeError;

    /// Sigma's notation: a whole number and one of `s m h d w`.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refuse = || TimeError::Span(text.to_owned());
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refuse)?;
        let scale = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(refuse()),
        };
        let number: i64 = number.parse::<u32>().map_err(|_| refuse())?.into();
        match number.checked_mul(scale * SECOND) {
            Some(micros) if micros > 0 => Ok(Self(micros)),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it: `10 min`, `1 h`, `90 s`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / SECOND;
        match seconds {
            _ if self.0 % SECOND != 0 => write!(out, "{} ms", self.0 / 1_000),
            s if s > 0 && s % 86_400 == 0 => write!(out, "{} d", s / 86_400),
            s if s > 0 && s % 3_600 == 0 => write!(out, "{} h", s / 3_600),
            s if s > 0 && s % 60 == 0 => write!(out, "{} min", s / 60),
            s => write!(out, "{s} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_moment_of_an_event_prints_and_reads_back(
            micros in Timestamp::EARLIEST.micros()..=Timestamp::LATEST.micros(),
        ) {
            let moment = Timestamp::from_micros(micros);
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
            let theirs = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(moment.to_string(), theirs.to_rfc3339_opts(SecondsFormat::Micros, true));
            prop_assert_eq!(moment.to_string().len(), "1970-01-01T00:00:00.000000Z".len());
        }
    }

    proptest! {
        #[test]
        fn a_plain_time_is_read_as_any_other(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z") {
            let by_chrono = DateTime::parse_from_rfc3339(&text).ok().map(|moment| moment.timestamp_micros());
            let read = text.parse::<Timestamp>().ok();
            prop_assert_eq!(read.map(Timestamp::micros), by_chrono, "{}", text);
            prop_assert!(plain(text.as_bytes()).is_none_or(|plain| read == Some(plain)));
        }
    }

    #[test]
    fn events_may_be_of_the_years_1970_to_2200() {
        assert_eq!(Timestamp::EARLIEST.to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::LATEST.to_string(), "2200-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_timestamp_reads_rfc_3339_and_prints_six_digits() {
        let moment: Timestamp = "2026-11-20T09:14:03.5+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-20T08:14:03.500000Z");
    }

    #[test]
    fn words_are_no_timestamp() {
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_span_reads_sigma_units_and_prints_the_largest() {
        for (text, printed) in [("90s", "90 s"), ("10m", "10 min"), ("1h", "1 h"), ("7d", "7 d"), ("2w", "14 d")] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), printed);
        }
        for bad in ["", "m", "0s", "-1m", "1.5h", "10x", "1M", "99999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cells_before_the_epoch_are_not_folded_onto_those_after() {
        let width = Span::seconds(60);
        assert_eq!(Timestamp::from_micros(-1).cell(width), -1);
        assert_eq!(Timestamp::from_micros(0).cell(width), 0);
    }
}
