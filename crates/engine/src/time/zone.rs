//! A time zone by its name, for habits: people keep the hours of their clocks, winter and summer.

use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};

use super::Timestamp;

/// A zone of the IANA database, which is part of this program; UTC unless somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// A name that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no time zone such as Europe/Berlin or UTC")]
pub struct UnknownZone(String);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }
}

impl Zone {
    /// What a clock on the wall says at this moment, as if it were one of UTC.
    #[must_use]
    pub(crate) fn wall(self, time: Timestamp) -> Timestamp {
        let Some(moment) = DateTime::from_timestamp_micros(time.micros()) else { return time };
        let offset = self.0.offset_from_utc_datetime(&moment.naive_utc()).fix();
        Timestamp::from_micros(time.micros().saturating_add(i64::from(offset.local_minus_utc()) * 1_000_000))
    }
}

/// By its name.
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_in_berlin_is_nine_in_winter_and_in_summer() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        let wall = |zone: Zone, text: &str| zone.wall(moment(text));
        assert_eq!(wall(berlin, "2026-10-23T07:30:00Z"), moment("2026-10-23T09:30:00Z"));
        assert_eq!(wall(berlin, "2026-10-26T08:30:00Z"), moment("2026-10-26T09:30:00Z"));
        assert_eq!(wall(Zone::default(), "2026-10-26T08:30:00Z"), moment("2026-10-26T08:30:00Z"));
        assert_eq!("Berlin".parse::<Zone>(), Err(UnknownZone("Berlin".to_owned())));
    }
}
