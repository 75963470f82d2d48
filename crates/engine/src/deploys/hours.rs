//! When deploys are usual: days and hours where the people are, winter and summer.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::time::Timestamp;

/// Days and hours of a time zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "HoursText")]
pub struct Hours {
    zone: Tz,
    days: BTreeSet<u32>,
    from: NaiveTime,
    to: NaiveTime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursText {
    /// Name of the zone, as `Europe/Berlin`.
    zone: String,
    /// `mon` to `sun`. Default Monday to Friday.
    #[serde(default = "workdays")]
    days: Vec<String>,
    /// `08:00`.
    from: String,
    /// `18:00`, the first minute that is outside; before `from` it is of the next day.
    to: String,
}

/// Hours that cannot be meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HoursError {
    /// No such zone.
    #[error("{0:?} is no time zone such as Europe/Berlin or UTC")]
    Zone(String),
    /// No such day.
    #[error("{0:?} is no day; write mon, tue, wed, thu, fri, sat or sun")]
    Day(String),
    /// No such time.
    #[error("{0:?} is no time of day such as 08:00")]
    Time(String),
    /// Nothing lies between them.
    #[error("hours from {0} to {0} are none")]
    Empty(String),
}

fn workdays() -> Vec<String> {
    ["mon", "tue", "wed", "thu", "fri"].map(str::to_owned).into()
}

impl Hours {
    /// Whether a moment lies within.
    #[must_use]
    pub fn has(&self, time: Timestamp) -> bool {
        let Some(moment) = DateTime::from_timestamp_micros(time.micros()) else { return false };
        let local = moment.with_timezone(&self.zone);
        let is_day = |day: Weekday| self.days.contains(&day.num_days_from_monday());
        let clock = local.time();
        if self.from < self.to {
            return is_day(local.weekday()) && self.from <= clock && clock < self.to;
        }
        // Over midnight: what is before the end is of the day before.
        (clock >= self.from && is_day(local.weekday())) || (clock < self.to && is_day(local.weekday().pred()))
    }

    /// A moment as people there read it: `Sat 03:12 Europe/Berlin`.
    #[must_use]
    pub fn words(&self, time: Timestamp) -> String {
        let moment = DateTime::from_timestamp_micros(time.micros());
        moment.map_or_else(
            || time.to_string(),
            |moment| {
                let local = moment.with_timezone(&self.zone);
                format!("{} {} {}", local.weekday(), local.format("%H:%M"), self.zone.name())
            },
        )
    }
}

impl TryFrom<HoursText> for Hours {
    type Error = HoursError;

    fn try_from(text: HoursText) -> Result<Self, HoursError> {
        let zone = text.zone.parse().map_err(|_| HoursError::Zone(text.zone.clone()))?;
        let day = |name: &String| {
            let day: Result<Weekday, _> = name.parse();
            day.map(|day| day.num_days_from_monday()).map_err(|_| HoursError::Day(name.clone()))
        };
        let time = |text: &String| NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| HoursError::Time(text.clone()));
        let (from, to) = (time(&text.from)?, time(&text.to)?);
        if from == to {
            return Err(HoursError::Empty(text.from));
        }
        Ok(Self { zone, days: text.days.iter().map(day).collect::<Result<_, _>>()?, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &str, from: &str, to: &str) -> Hours {
        serde_json::from_value(serde_json::json!({
            "zone": "Europe/Berlin", "days": days.split(' ').collect::<Vec<_>>(), "from": from, "to": to,
        }))
        .unwrap()
    }

    #[test]
    fn hours_are_those_of_the_zone_in_winter_and_in_summer() {
        let work = hours("mon tue wed thu fri", "08:00", "18:00");
        for (time, expected, reason) in [
            ("2026-11-20T07:00:00Z", true, "08:00 in winter"),
            ("2026-11-20T06:59:59Z", false, "a second before"),
            ("2026-07-17T06:00:00Z", true, "08:00 in summer"),
            ("2026-11-20T17:00:00Z", false, "18:00 is outside"),
            ("2026-11-21T10:00:00Z", false, "a Saturday"),
        ] {
            assert_eq!(work.has(time.parse().unwrap()), expected, "{reason}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let night = hours("fri", "22:00", "04:00");
        for (time, expected, reason) in [
            ("2026-11-20T22:30:00Z", true, "Friday 23:30"),
            ("2026-11-21T02:00:00Z", true, "Saturday 03:00 of Friday's night"),
            ("2026-11-20T02:00:00Z", false, "Friday 03:00 is of Thursday's night"),
            ("2026-11-21T22:30:00Z", false, "Saturday 23:30"),
        ] {
            assert_eq!(night.has(time.parse().unwrap()), expected, "{reason}");
        }
        assert_eq!(night.words("2026-11-21T02:00:00Z".parse().unwrap()), "Sat 03:00 Europe/Berlin");
    }
}
