//! What RFC 3164 leaves out of its times: the zone, which is a setting, and the year, which the receiver's clock tells.

use chrono::{DateTime, Datelike, FixedOffset, Local, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Deserializer};

/// How far ahead of our clock a sender's may be, its zone included, before the date is taken for one of last year.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// Years back to the last 29 February, at most: 1900 and 2100 had none.
const YEARS_BACK_MAX: i32 = 8;

/// In which zone times without one are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// As this machine has it, its summer time included.
    Local,
    /// This far from UTC all year.
    Fixed(FixedOffset),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Fixed(Utc.fix())
    }
}

impl Zone {
    /// What a clock on the wall shows there.
    pub(super) fn local(self, moment: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Local => moment.with_timezone(&Local).naive_local(),
            Self::Fixed(offset) => moment.with_timezone(&offset).naive_local(),
        }
    }

    /// When a clock there shows this. Of an hour that comes twice the first is meant, and one that does not come at all
    /// is as if the clock had not been put forward.
    pub(super) fn moment(self, shown: NaiveDateTime) -> DateTime<Utc> {
        let found = |when: NaiveDateTime| match self {
            Self::Local => Local.from_local_datetime(&when).earliest().map(|moment| moment.to_utc()),
            Self::Fixed(offset) => offset.from_local_datetime(&when).earliest().map(|moment| moment.to_utc()),
        };
        let hour = TimeDelta::hours(1);
        found(shown).or_else(|| found(shown - hour).map(|moment| moment + hour)).unwrap_or_else(|| shown.and_utc())
    }
}

/// The year of a date without one: the latest in which it lies no more than a day ahead of what our clock shows.
pub(super) fn year((month, day, hour, minute, second): (u32, u32, u32, u32, u32), now: NaiveDateTime) -> i32 {
    let has_come = |year: &i32| {
        let date = NaiveDate::from_ymd_opt(*year, month, day).and_then(|date| date.and_hms_opt(hour, minute, second));
        date.is_some_and(|date| date <= now + AHEAD_MAX)
    };
    let next = now.year() + 1;
    (next - 1 - YEARS_BACK_MAX..=next).rev().find(has_come).unwrap_or(now.year())
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "local" => Ok(Self::Local),
            "utc" | "UTC" => Ok(Self::default()),
            offset => offset.parse().map(Self::Fixed).map_err(|_| {
                serde::de::Error::custom(format!("{text:?} is no zone: give `utc`, `local` or such as `\"+02:00\"`"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_date_is_of_the_latest_year_in_which_it_has_come() {
        for (now, date, expected, reason) in [
            ("2026-11-20T09:00:00", (11, 20, 8, 59, 0), 2026, "today"),
            ("2026-11-20T09:00:00", (11, 21, 8, 0, 0), 2026, "a clock that runs ahead, or another zone"),
            ("2026-11-20T09:00:00", (11, 22, 8, 0, 0), 2025, "what was sent late by almost a year"),
            ("2027-01-01T00:00:05", (12, 31, 23, 59, 58), 2026, "the border of the year"),
            ("2026-12-31T23:59:58", (1, 1, 0, 0, 5), 2027, "its other side"),
            ("2028-03-01T00:00:00", (2, 29, 12, 0, 0), 2028, "a leap day"),
            ("2027-03-01T00:00:00", (2, 29, 12, 0, 0), 2024, "one of no year but the last that had it"),
            ("2026-11-20T09:00:00", (13, 40, 9, 0, 0), 2026, "no date: the reader refuses it"),
        ] {
            assert_eq!(year(date, at(now)), expected, "{reason}");
        }
    }

    #[test]
    fn a_zone_is_a_word_or_a_distance_and_moves_the_clock() {
        let zone = |text: &str| serde_json::from_value::<Zone>(text.into());
        for (text, there) in
            [("utc", "2026-11-20T09:00:00"), ("+05:30", "2026-11-20T14:30:00"), ("-08:00", "2026-11-20T01:00:00")]
        {
            let zone = zone(text).unwrap();
            let moment = at("2026-11-20T09:00:00").and_utc();
            assert_eq!(zone.local(moment), at(there), "{text}");
            assert_eq!(zone.moment(at(there)), moment, "{text}");
        }
        assert_eq!(zone("local").unwrap(), Zone::Local);
        assert!(zone("Europe/Berlin").unwrap_err().to_string().contains("give `utc`, `local` or such as"));
    }
}
