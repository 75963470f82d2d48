//! Whether a source works, and what keeps it from working.

use connect::source::{Remedy, SourceError};
use engine::time::{Span, Timestamp};

/// A failure that time may mend is a person's business after this long: brokers restart, networks are lost for a minute.
const TELL_AFTER: Span = Span::seconds(5 * 60);
/// One that only a person can mend is told when it has been met so often in a row: once may be a file that is being
/// replaced.
const TELL_AFTER_FAILURES: u64 = 2;

/// Whether a source works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It yields, or waits for more.
    Running,
    /// There will be no more.
    Finished,
    /// Its system fails.
    Failing,
}

/// Failures of the system behind a source, in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// When the first of them came.
    pub since: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// What the last of them said, with its causes.
    pub words: String,
    /// What would help against the last.
    remedy: Remedy,
}

impl Trouble {
    /// One failure more.
    pub(crate) fn after(before: Option<Self>, error: &SourceError, now: Timestamp) -> Self {
        let (since, failures) = before.map_or((now, 0), |before| (before.since, before.failures));
        Self { since, failures: failures + 1, words: chain(error), remedy: error.remedy }
    }

    /// Whether a person has to hear of it by now.
    pub(crate) fn is_for_people(&self, now: Timestamp) -> bool {
        let only_people_help = self.remedy == Remedy::Person && self.failures >= TELL_AFTER_FAILURES;
        only_people_help || now.since(self.since) >= TELL_AFTER
    }
}

/// What an error says, and what its causes say.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(remedy: Remedy) -> SourceError {
        SourceError { doing: "read".to_owned(), remedy, source: Some("denied".into()) }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    #[test]
    fn what_time_may_mend_is_told_after_minutes_and_what_only_people_mend_once_it_has_come_again() {
        let lost = Trouble::after(None, &error(Remedy::Wait), at(1));
        let lost = Trouble::after(Some(lost), &error(Remedy::Wait), at(2));
        assert_eq!((lost.since, lost.failures, lost.words.as_str()), (at(1), 2, "read: denied"));
        assert_eq!([at(5), at(6)].map(|now| lost.is_for_people(now)), [false, true]);

        let denied = Trouble::after(None, &error(Remedy::Person), at(1));
        assert!(!denied.is_for_people(at(1)));
        assert!(Trouble::after(Some(denied), &error(Remedy::Person), at(2)).is_for_people(at(2)));
    }
}
