//! A log group and how it fares, and which of several is asked next. Pure.

use std::time::Duration;

use engine::time::{Span, Timestamp};

use super::scan::LogGroup;

/// A group this far behind gets twice the requests of one that is not …
const BEHIND_SECONDS: i64 = 600;
/// … and none gets more than so many times as many.
const WEIGHT_MAX: i64 = 4;

/// One log group and how it fares.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) name: String,
    pub(super) group: LogGroup,
    /// Read because of how its name begins: it may go.
    pub(super) by_prefix: bool,
    /// The store knows where it was begun.
    pub(super) marked: bool,
    /// Not before this, after a failure.
    pub(super) not_before: Timestamp,
    /// The next wait after a failure; doubles until a page comes.
    pub(super) wait: Duration,
    /// Page tokens refused since the last complete scan: one that begins again and again must not do so in silence.
    pub(super) refusals: u32,
    /// Read to the end since the caller was last told that there is nothing now.
    pub(super) rested: bool,
    /// When it was asked last.
    pub(super) asked: Timestamp,
}

impl Reading {
    pub(super) fn new(name: String, group: LogGroup, by_prefix: bool, now: Timestamp, wait: Duration) -> Self {
        Self { name, group, by_prefix, marked: false, not_before: now, wait, refusals: 0, rested: false, asked: now }
    }

    /// When there is something to ask.
    pub(super) fn due(&self) -> Timestamp {
        self.group.due().max(self.not_before)
    }

    /// The clock was put back to `now`.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        self.group.hurry(now);
        self.not_before = self.not_before.min(now);
        self.asked = self.asked.min(now);
    }

    /// How urgent it is among those that are due: it grows with the wait, and faster with the distance to the present, so
    /// who is behind catches up and nobody starves.
    fn urgency(&self, now: Timestamp) -> i64 {
        let behind = now.since(self.group.reach()).micros() / 1_000_000 / BEHIND_SECONDS;
        let waited = now.since(self.asked).micros();
        waited.saturating_mul(behind.saturating_add(1).min(WEIGHT_MAX))
    }
}

/// The group to ask next, and when; nothing if there is none. Of those that are due alike it is the next one from `turn` on.
pub(super) fn next(readings: &[Reading], turn: usize, now: Timestamp) -> Option<(usize, Timestamp)> {
    let count = readings.len();
    let in_turn = || (0..count).map(|step| (turn + step) % count);
    let due = in_turn().filter(|place| readings[*place].due() <= now);
    let urgent = due.min_by_key(|place| std::cmp::Reverse(readings[*place].urgency(now)));
    if let Some(place) = urgent {
        return Some((place, now));
    }
    in_turn().map(|place| (place, readings[place].due())).min_by_key(|(_, due)| *due)
}

/// A length of time as the engine has it.
pub(super) fn span(duration: Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cloudwatch::scan::Windows;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    /// Groups that are due at once and were read up to these seconds.
    fn readings(reached: &[i64]) -> Vec<Reading> {
        let lengths = [600, 5, 300, 86_400].map(Span::seconds);
        let [overlap, poll, reconcile, audit] = lengths;
        let windows = Windows { overlap, poll, reconcile, audit, audit_ids_max: 0 };
        let group = |reached: &i64| {
            let group = LogGroup::resume(windows, second(*reached), second(0));
            Reading::new(reached.to_string(), group, false, second(0), Duration::from_secs(5))
        };
        reached.iter().map(group).collect()
    }

    /// How often each is asked in so many turns of a second each.
    fn asked(readings: &mut [Reading], now: i64, turns: i64) -> Vec<i64> {
        let mut asked = vec![0; readings.len()];
        let mut turn = 0;
        for now in now..now + turns {
            let (place, _) = next(readings, turn, second(now)).unwrap();
            readings[place].asked = second(now);
            asked[place] += 1;
            turn = (place + 1) % readings.len();
        }
        asked
    }

    #[test]
    fn groups_that_are_equally_far_take_turns() {
        assert_eq!(asked(&mut readings(&[10_000, 10_000, 10_000]), 10_001, 30), [10, 10, 10]);
    }

    #[test]
    fn who_is_behind_gets_more_and_nobody_starves() {
        let shares = asked(&mut readings(&[10_000, 9_400, 0]), 10_001, 70);
        assert!(shares[0] >= 7 && shares[0] < shares[1] && shares[1] < shares[2], "{shares:?}");
        assert!(shares[2] <= 5 * shares[0], "{shares:?}");
    }

    #[test]
    fn where_none_is_due_the_first_that_will_be_is_waited_for() {
        let mut readings = readings(&[10_000, 10_000]);
        readings[0].not_before = second(10_020);
        readings[1].not_before = second(10_010);
        assert_eq!(next(&readings, 0, second(10_001)), Some((1, second(10_010))));
        assert_eq!(next(&[], 0, second(1)), None);
    }
}
