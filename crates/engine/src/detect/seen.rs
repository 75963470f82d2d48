//! The moments at which one thing was seen: mostly one.

use crate::time::Timestamp;

/// Moments in order, each once.
#[derive(Clone, Debug, Default)]
pub(super) enum Times {
    /// None yet.
    #[default]
    Never,
    /// One, without memory of its own.
    Once(Timestamp),
    /// Several.
    Often(Vec<Timestamp>),
}

impl Times {
    fn slice(&self) -> &[Timestamp] {
        match self {
            Self::Never => &[],
            Self::Once(time) => std::slice::from_ref(time),
            Self::Often(times) => times,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slice().is_empty()
    }

    /// The last moment up to `now` and the first from it on; both are `now` if it was seen then.
    pub(super) fn around(&self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let times = self.slice();
        let place = times.partition_point(|time| *time <= now);
        let before = place.checked_sub(1).map(|before| times[before]);
        let after = if before == Some(now) { before } else { times.get(place).copied() };
        (before, after)
    }

    /// The first moment after `time`.
    pub(super) fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let times = self.slice();
        times.get(times.partition_point(|other| *other <= time)).copied()
    }

    /// Answers whether it is new.
    pub(super) fn insert(&mut self, time: Timestamp) -> bool {
        match self {
            Self::Never => *self = Self::Once(time),
            Self::Once(other) if *other == time => return false,
            Self::Once(other) => *self = Self::Often(vec![time.min(*other), time.max(*other)]),
            Self::Often(times) => {
                let place = times.partition_point(|other| *other < time);
                if times.get(place) == Some(&time) {
                    return false;
                }
                times.insert(place, time);
            }
        }
        true
    }

    /// Forgets what lies up to `border`.
    pub(super) fn forget(&mut self, border: Timestamp) {
        match self {
            Self::Never => {}
            Self::Once(time) if *time <= border => *self = Self::Never,
            Self::Once(_) => {}
            Self::Often(times) => drop(times.drain(..times.partition_point(|time| *time <= border))),
        }
    }
}
