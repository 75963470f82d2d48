//! One shard: how far it was read, and when it may be asked next. Pure: no network, no clock.

use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::source::aws::pace::Pace;

/// What AWS allows at a shard, all readers together, is five looks a second; one reader takes four.
const LOOKS_A_SECOND: f64 = 4.0;

/// How far a shard was handed over: its value in a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// Nothing of it yet.
    Beginning,
    /// Up to a record, a part of one, or a moment.
    After {
        /// The record; none if none came so far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequence: Option<String>,
        /// The last part of it that was handed over; none is all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<usize>,
        /// Milliseconds since the epoch up to which nothing is missing: when that record came to the stream, or when the
        /// stream last said how far behind it this is.
        read_ms: i64,
    },
    /// All of it: it is closed.
    End,
}

impl Place {
    /// The text of a mark.
    pub(super) fn value(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are always JSON")
    }

    /// Up to when nothing is missing.
    pub(super) fn read(&self) -> Option<Timestamp> {
        match self {
            Self::After { read_ms, .. } => Some(Timestamp::from_millis(*read_ms)),
            Self::Beginning | Self::End => None,
        }
    }
}

/// Where a request for records begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Where the last answer ended.
    Iterator(String),
    /// At the oldest record.
    Oldest,
    /// At a moment.
    Moment(Timestamp),
    /// At this record, of which parts were handed over.
    At(String),
    /// Behind this record.
    After(String),
}

/// What an answer said beside its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// When it was asked for.
    pub(super) asked: Timestamp,
    /// The sequence and the arrival of its last record.
    pub(super) last: Option<(String, Timestamp)>,
    /// Where the next answer begins; none says that the shard is closed and this was all.
    pub(super) next: Option<String>,
    /// How far behind the newest record it ends.
    pub(super) behind: Span,
}

/// A shard and how it fares.
#[derive(Debug)]
pub(super) struct Shard {
    /// Those that it came from: they are read before it.
    pub(super) parents: Vec<String>,
    /// Up to where it was read; what was handed over lies at it or before.
    pub(super) place: Place,
    /// Where the next answer begins, as long as the service remembers.
    iterator: Option<String>,
    pace: Pace,
    due: Timestamp,
    /// A request is on its way.
    pub(super) asked: bool,
    /// The next wait after a failure.
    wait: Span,
    /// Iterators refused in a row.
    expired: u32,
    /// Read up to the newest since the caller was last told that there is nothing now.
    pub(super) rested: bool,
    /// How far behind the newest it was at the last look.
    pub(super) behind: Span,
    /// Listings in a row that did not name it.
    pub(super) unlisted: u32,
}

impl Shard {
    /// Reads on from `place`.
    pub(super) fn new(parents: Vec<String>, place: Place) -> Self {
        Self {
            parents,
            place,
            iterator: None,
            pace: Pace::new(LOOKS_A_SECOND),
            due: Timestamp::default(),
            asked: false,
            wait: Span::default(),
            expired: 0,
            rested: false,
            behind: Span::default(),
            unlisted: 0,
        }
    }

    /// Whether all of it was read.
    pub(super) fn is_ended(&self) -> bool {
        self.place == Place::End
    }

    /// When it may be asked.
    pub(super) fn due(&self) -> Timestamp {
        self.due.max(self.pace.ready())
    }

    /// The clock was put back: nothing waits for a moment that it has left.
    pub(super) fn hurry(&mut self) {
        self.due = Timestamp::default();
        self.pace.hurry();
    }

    /// The next request; `start` is where a shard begins of which nothing was read.
    pub(super) fn ask(&mut self, start: Option<Timestamp>, now: Timestamp) -> From {
        self.asked = true;
        self.pace.spend(now);
        if let Some(iterator) = &self.iterator {
            return From::Iterator(iterator.clone());
        }
        match (&self.place, start) {
            (Place::After { sequence: Some(sequence), part: None, .. }, _) => From::After(sequence.clone()),
            (Place::After { sequence: Some(sequence), part: Some(_), .. }, _) => From::At(sequence.clone()),
            (Place::Beginning | Place::After { sequence: None, .. } | Place::End, None) => From::Oldest,
            (Place::Beginning | Place::After { sequence: None, .. } | Place::End, Some(start)) => From::Moment(start),
        }
    }

    /// Takes in an answer. What it brought is behind the place that was there before, which is answered.
    pub(super) fn take(&mut self, look: &Look, poll: Span) -> Place {
        self.asked = false;
        self.pace.answered();
        (self.wait, self.expired) = (Span::default(), 0);
        self.behind = look.behind;
        let before = self.place.clone();
        let reached = look.asked.minus(look.behind).millis();
        match (&look.next, &look.last) {
            (None, _) => self.place = Place::End,
            (Some(_), Some((sequence, arrived))) => {
                let read_ms = arrived.millis();
                self.place = Place::After { sequence: Some(sequence.clone()), part: None, read_ms };
            }
            (Some(_), None) => match &mut self.place {
                Place::Beginning => self.place = Place::After { sequence: None, part: None, read_ms: reached },
                Place::After { read_ms, .. } => *read_ms = reached.max(*read_ms),
                Place::End => {}
            },
        }
        self.iterator.clone_from(&look.next);
        let at_newest = look.behind == Span::default();
        self.rested |= at_newest;
        self.due = if at_newest { look.asked.plus(poll) } else { look.asked };
        before
    }

    /// Too many looks; how often in a row.
    pub(super) fn throttled(&mut self, now: Timestamp) -> u32 {
        self.asked = false;
        self.pace.refused(now)
    }

    /// The iterator is no longer known: the next request names the last record. How often in a row.
    pub(super) fn iterator_expired(&mut self) -> u32 {
        self.asked = false;
        self.iterator = None;
        self.expired = self.expired.saturating_add(1);
        self.expired
    }

    /// A request failed: the next one waits twice as long, from `least` to `most`.
    pub(super) fn failed(&mut self, now: Timestamp, least: Span, most: Span) {
        self.asked = false;
        self.iterator = None;
        self.rested = false;
        self.wait = least.max(self.wait.plus(self.wait)).min(most);
        self.due = now.plus(self.wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn after(sequence: &str, part: Option<usize>, read: i64) -> Place {
        Place::After { sequence: Some(sequence.to_owned()), part, read_ms: read * 1_000 }
    }

    fn look(asked: i64, last: Option<(&str, i64)>, behind: u32) -> Look {
        let last = last.map(|(sequence, arrived)| (sequence.to_owned(), second(arrived)));
        Look { asked: second(asked), last, next: Some(format!("from-{asked}")), behind: Span::seconds(behind) }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for (place, value) in [
            (Place::Beginning, r#""beginning""#),
            (Place::End, r#""end""#),
            (after("49", None, 7), r#"{"after":{"sequence":"49","read_ms":7000}}"#),
            (after("49", Some(3), 7), r#"{"after":{"sequence":"49","part":3,"read_ms":7000}}"#),
        ] {
            assert_eq!(place.value(), value);
            assert_eq!(serde_json::from_str::<Place>(value).unwrap(), place);
        }
    }

    #[test]
    fn a_request_goes_on_where_the_answer_ended_or_where_the_mark_says() {
        for (place, start, from) in [
            (Place::Beginning, None, From::Oldest),
            (Place::Beginning, Some(second(9)), From::Moment(second(9))),
            (after("49", None, 7), Some(second(9)), From::After("49".to_owned())),
            (after("49", Some(0), 7), None, From::At("49".to_owned())),
            (Place::After { sequence: None, part: None, read_ms: 7 }, None, From::Oldest),
        ] {
            assert_eq!(Shard::new(Vec::new(), place).ask(start, second(10)), from);
        }
        let mut shard = Shard::new(Vec::new(), Place::Beginning);
        shard.take(&look(10, Some(("50", 8)), 0), Span::seconds(1));
        assert_eq!(shard.ask(None, second(11)), From::Iterator("from-10".to_owned()));
        assert_eq!(shard.iterator_expired(), 1);
        assert_eq!(shard.ask(None, second(12)), From::After("50".to_owned()), "an iterator is used once");
    }

    #[test]
    fn a_shard_that_is_behind_is_asked_at_once_and_one_at_its_newest_each_poll() {
        let mut shard = Shard::new(Vec::new(), Place::Beginning);
        shard.ask(None, second(10));
        shard.take(&look(10, None, 60), Span::seconds(5));
        assert_eq!((shard.due(), shard.rested), (second(10).plus(Span::from_micros(250_000)), false));
        shard.take(&look(11, None, 0), Span::seconds(5));
        assert_eq!((shard.due(), shard.rested), (second(16), true));
    }

    #[test]
    fn an_empty_answer_says_up_to_when_nothing_is_missing() {
        let mut shard = Shard::new(Vec::new(), after("50", None, 8));
        assert_eq!(shard.take(&look(100, None, 30), Span::seconds(1)), after("50", None, 8));
        assert_eq!(shard.place, after("50", None, 70));
        shard.take(&look(101, None, 60), Span::seconds(1));
        assert_eq!(shard.place, after("50", None, 70), "never back");
    }

    #[test]
    fn throttling_slows_down_and_failures_wait_longer_each_time() {
        let mut shard = Shard::new(Vec::new(), Place::Beginning);
        shard.ask(None, second(10));
        shard.throttled(second(10));
        assert_eq!(shard.due(), second(10).plus(Span::from_micros(500_000)));
        let waits: Vec<i64> = (0..5)
            .map(|_| {
                shard.failed(second(100), Span::seconds(1), Span::seconds(5));
                shard.due().since(second(100)).micros() / 1_000_000
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
    }
}
