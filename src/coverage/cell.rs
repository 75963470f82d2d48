//! One thing that should arrive: whether it does.
//!
//! Time is that in which we listened. While the service is down, or stands still because the disk refuses, nothing can be
//! heard, so that time counts as nobody's silence.

use engine::event::Kind;
use engine::time::{Span, Timestamp};

/// A gap that is usual, times this, is silence.
const PATIENCE: i64 = 3;
/// Less than that is no silence, where nobody says otherwise.
const SILENT_LEAST: Span = Span::seconds(3_600);
/// Who has been heard for less than this may have gaps that nobody knows yet …
const YOUNG: Span = Span::seconds(86_400);
/// … and is given as long.
const SILENT_YOUNG: Span = Span::seconds(86_400);
/// A gap that does not come again counts less from day to day: a third of it is left after this.
const FADES_IN: Span = Span::seconds(14 * 86_400);
/// What nobody expects and was not heard for so long leaves the list.
const STALE: Span = Span::seconds(30 * 86_400);

/// A kind of log, whose, and from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spot {
    /// The kind of log.
    pub kind: Kind,
    /// The account, organisation or project; of records that do not say so, their source.
    pub account: String,
    /// The region; empty means any.
    pub region: String,
}

impl Spot {
    /// As lists and records both come to it: Azure writes the same id in capitals here and without them there, and Vault
    /// ends a namespace with a slash that people leave out.
    pub(super) fn of(kind: Kind, account: &str, region: &str) -> Self {
        let (account, region) = (account.trim(), region.trim());
        let (account, region) = match kind {
            Kind::AzureActivity | Kind::AzureSignin | Kind::AzureAudit => {
                (account.to_ascii_lowercase(), region.to_ascii_lowercase())
            }
            Kind::VaultAudit => (account.trim_end_matches('/').to_owned(), region.to_owned()),
            _ => (account.to_owned(), region.to_owned()),
        };
        Self { kind, account, region }
    }
}

/// Whether something arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// It never came, and need not have yet.
    Waiting,
    /// It comes.
    Seen,
    /// It never came, and should have.
    Missing,
    /// It came and has stopped.
    Silent,
    /// It comes, and nobody expects it.
    Unexpected,
}

impl State {
    /// Every state, in the order of the documentation.
    pub(crate) const ALL: [Self; 5] = [Self::Seen, Self::Waiting, Self::Missing, Self::Silent, Self::Unexpected];

    /// Its name in the store, in metrics and in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Seen => "seen",
            Self::Missing => "missing",
            Self::Silent => "silent",
            Self::Unexpected => "unexpected",
        }
    }

    /// Of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether people are to hear of it.
    pub(crate) fn is_bad(self) -> bool {
        match self {
            Self::Missing | Self::Silent => true,
            Self::Waiting | Self::Seen | Self::Unexpected => false,
        }
    }
}

/// What is known of a spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// What people call the account; often nothing.
    pub name: String,
    /// Whether it is expected, and how.
    pub wanted: Option<Wanted>,
    /// What was heard; nothing before the first record.
    pub heard: Option<Heard>,
    /// As of the last look.
    pub state: State,
    /// What people were told, until it is settled.
    pub told: Option<Told>,
}

/// That something is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Since when, moved on by the time in which we did not listen.
    pub since: Timestamp,
    /// Silence that is an alert, if somebody said so.
    pub silent_after: Option<Span>,
}

/// When something was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// The same, moved on by the time in which we did not listen.
    pub quiet_from: Timestamp,
    /// The longest gap between two times, of late.
    pub usual: Span,
}

/// An alert about a spot that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// That it is missing, or silent.
    pub state: State,
    /// What makes it this time and no other: when it began to be waited for, or was last heard.
    pub anchor: Timestamp,
    /// When people were told.
    pub at: Timestamp,
}

impl Cell {
    /// One that is expected from now on.
    pub(super) fn wanted(name: &str, silent_after: Option<Span>, now: Timestamp) -> Self {
        let wanted = Some(Wanted { since: now, silent_after });
        Self { name: name.to_owned(), wanted, heard: None, state: State::Waiting, told: None }
    }

    /// One that nobody expects.
    pub(super) fn unexpected() -> Self {
        Self { name: String::new(), wanted: None, heard: None, state: State::Unexpected, told: None }
    }

    /// Whether it was heard since people were told of it.
    pub(super) fn speaks(&self, told: Told) -> bool {
        self.heard.is_some_and(|heard| told.state == State::Missing || heard.last > told.anchor)
    }

    /// Whether nobody expects it, and it was not heard for so long that nobody asks.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.wanted.is_none() && self.heard.is_some_and(|heard| now.since(heard.quiet_from) >= STALE)
    }

    /// A record of it was received and read.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard = Some(match self.heard {
            None => Heard { first: now, last: now, quiet_from: now, usual: Span::default() },
            Some(before) => {
                let gap = now.since(before.quiet_from).micros().max(0);
                let usual = gap.max(fade(before.usual.micros(), gap));
                let last = now.max(before.last);
                Heard { last, quiet_from: last, usual: Span::from_micros(usual), ..before }
            }
        });
    }

    /// For so long nobody listened.
    pub(super) fn pause(&mut self, length: Span) {
        if let Some(wanted) = &mut self.wanted {
            wanted.since = wanted.since.plus(length);
        }
        if let Some(heard) = &mut self.heard {
            heard.quiet_from = heard.quiet_from.plus(length);
        }
    }

    /// What it comes to now.
    pub(super) fn judge(&self, grace: Span, now: Timestamp) -> State {
        let Some(wanted) = self.wanted else { return State::Unexpected };
        match self.heard {
            None if now.since(wanted.since) >= grace => State::Missing,
            None => State::Waiting,
            Some(heard) if now.since(heard.quiet_from) >= self.patience(heard) => State::Silent,
            Some(_) => State::Seen,
        }
    }

    /// How long a silence has to be to be one.
    fn patience(&self, heard: Heard) -> Span {
        self.wanted.and_then(|wanted| wanted.silent_after).unwrap_or_else(|| {
            let least = if heard.last.since(heard.first) < YOUNG { SILENT_YOUNG } else { SILENT_LEAST };
            least.max(Span::from_micros(heard.usual.micros().saturating_mul(PATIENCE)))
        })
    }
}

/// A usual gap after so much time more: in whole numbers, so that every machine comes to the same.
fn fade(usual: i64, passed: i64) -> i64 {
    let all = i128::from(FADES_IN.micros());
    let left = (all - i128::from(passed)).max(0);
    i64::try_from(i128::from(usual) * left / all).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    /// Heard in each of these hours.
    fn heard(hours: &[i64]) -> Cell {
        let mut cell = Cell::wanted("", None, at(0));
        hours.iter().for_each(|hour| cell.hear(at(*hour)));
        cell
    }

    #[test]
    fn silence_is_measured_by_the_usual_gap_of_each() {
        let grace = Span::seconds(3_600);
        let busy: Vec<i64> = (0..48).collect();
        assert_eq!(heard(&busy).judge(grace, at(49)), State::Seen);
        assert_eq!(heard(&busy).judge(grace, at(50)), State::Silent, "three hours, where it spoke each hour");
        let daily = [0, 24, 48, 72];
        assert_eq!([143, 144].map(|hour| heard(&daily).judge(grace, at(hour))), [State::Seen, State::Silent]);
        assert_eq!([26, 27].map(|hour| heard(&[0, 1, 2, 3]).judge(grace, at(hour))), [State::Seen, State::Silent]);
    }

    #[test]
    fn a_long_gap_that_does_not_come_again_fades() {
        let mut cell = heard(&[0, 100]);
        (101..100 + 14 * 24).for_each(|hour| cell.hear(at(hour)));
        let usual = cell.heard.unwrap().usual;
        assert!(usual < Span::seconds(40 * 3_600) && usual > Span::seconds(3_600), "{usual:?}");
        (436..436 + 60 * 24).for_each(|hour| cell.hear(at(hour)));
        assert_eq!(cell.heard.unwrap().usual, Span::seconds(3_600));
    }

    #[test]
    fn what_never_came_is_missing_after_the_grace_and_what_is_said_of_silence_holds() {
        let mut cell = Cell::wanted("", Some(Span::seconds(60)), at(0));
        let grace = Span::seconds(7_200);
        assert_eq!([1, 2].map(|hour| cell.judge(grace, at(hour))), [State::Waiting, State::Missing]);
        cell.pause(Span::seconds(3_600));
        assert_eq!([2, 3].map(|hour| cell.judge(grace, at(hour))), [State::Waiting, State::Missing]);
        cell.hear(at(3));
        assert_eq!(cell.judge(grace, at(3).plus(Span::seconds(59))), State::Seen);
        assert_eq!(cell.judge(grace, at(3).plus(Span::seconds(60))), State::Silent);
    }
}
