//! Days of the world: when they begin, which are weekends and holidays, and on which the odd things of real life happen.

use engine::time::{Span, Timestamp};

/// A day's number, from the first day of the world.
pub(super) type Day = u32;

/// The days of the world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    start: Timestamp,
    days: Day,
}

const DAY_SECONDS: u32 = 86_400;

impl Calendar {
    /// Whole days in UTC: a start within a day is moved to its beginning.
    pub(super) fn new(start: Timestamp, days: Day) -> Self {
        let width = Span::seconds(DAY_SECONDS);
        let start = Timestamp::from_micros(start.cell(width) * width.micros());
        Self { start, days }
    }

    pub(super) fn days(self) -> Day {
        self.days
    }

    /// When a day begins, in UTC.
    pub(super) fn begin(self, day: Day) -> Timestamp {
        self.start.plus(Span::from_micros(i64::from(day) * i64::from(DAY_SECONDS) * 1_000_000))
    }

    /// The day that a moment lies in; the first one for all that is before it.
    pub(super) fn day_of(self, time: Timestamp) -> Day {
        u32::try_from(time.since(self.start).micros() / (i64::from(DAY_SECONDS) * 1_000_000)).unwrap_or(0)
    }

    /// So many minutes into a day; minutes may go beyond its end.
    pub(super) fn at(self, day: Day, minutes: u64) -> Timestamp {
        self.begin(day).plus(minutes_of(minutes))
    }

    /// Monday is 0.
    pub(super) fn weekday(self, day: Day) -> u32 {
        // 1970 began on a Thursday.
        let since = self.begin(day).cell(Span::seconds(DAY_SECONDS)) + 3;
        u32::try_from(since.rem_euclid(7)).unwrap_or(0)
    }

    pub(super) fn is_weekend(self, day: Day) -> bool {
        self.weekday(day) >= 5
    }

    /// Weeks since the first day.
    pub(super) fn week(day: Day) -> u32 {
        day / 7
    }

    /// A day of a world of 30 days, at the same part of this one.
    pub(super) fn scaled(self, of_thirty: Day) -> Day {
        if self.days >= 30 { of_thirty } else { of_thirty * self.days / 30 }
    }

    /// The first Saturday from a day on.
    pub(super) fn saturday(self, from: Day) -> Day {
        from + (12 - self.weekday(from)) % 7
    }

    /// The first of a month?
    pub(super) fn is_first_of_month(self, day: Day) -> bool {
        self.begin(day).to_string().get(8..10) == Some("01")
    }
}

/// A length in minutes.
pub(super) fn minutes_of(minutes: u64) -> Span {
    Span::seconds(u32::try_from(minutes * 60).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        let calendar = Calendar::new("2026-09-07T10:00:00Z".parse().unwrap(), 30);
        assert_eq!(calendar.begin(0).to_string(), "2026-09-07T00:00:00.000000Z");
        assert_eq!((calendar.weekday(0), calendar.weekday(6)), (0, 6));
        assert!(calendar.is_weekend(5) && !calendar.is_weekend(7));
        assert_eq!(calendar.saturday(6), 12);
        assert_eq!((0..30).filter(|day| calendar.is_first_of_month(*day)).collect::<Vec<_>>(), [24]);
    }
}
