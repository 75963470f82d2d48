//! The present. It enters here and nowhere else in a source that polls, so that tests move it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::time::Timestamp;

/// Tells the time and waits for it.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The wall's.
    Wall,
    /// A test's.
    Hand(Hand),
}

/// A clock that only moves when it is moved, or when somebody waits: waiting moves it to the end of the wait at once.
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Clock {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Hand(hand) => hand.now(),
        }
    }

    /// Returns once `moment` has come. Cancel-safe.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match self {
            Self::Wall => {
                let wait = moment.since(self.now()).micros();
                tokio::time::sleep(Duration::from_micros(u64::try_from(wait).unwrap_or(0))).await;
            }
            Self::Hand(hand) => {
                // Others get their turn first, as they would in a real wait.
                tokio::task::yield_now().await;
                hand.move_to(moment);
            }
        }
    }
}

/// Notices that a clock was put back: what was to be done at a moment that it has left would wait for hours.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    last: Timestamp,
}

impl Steps {
    /// Whether the clock shows less than it did at the last call.
    pub(crate) fn were_back(&mut self, now: Timestamp) -> bool {
        now < std::mem::replace(&mut self.last, now)
    }
}

impl Hand {
    /// A clock that stands at `moment`.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(moment.micros())))
    }

    /// Where it stands.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// Puts it back to `moment`, as a person or NTP may.
    #[cfg(test)]
    pub(crate) fn put_back(&self, moment: Timestamp) {
        self.0.fetch_min(moment.micros(), Ordering::SeqCst);
    }

    /// Moves it forward to `moment`; never back.
    pub fn move_to(&self, moment: Timestamp) {
        self.0.fetch_max(moment.micros(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_on_a_hand_moved_clock_takes_no_time_and_never_goes_back() {
        let hand = Hand::at(Timestamp::from_millis(1_000));
        let clock = Clock::Hand(hand.clone());
        clock.sleep_until(Timestamp::from_millis(3_600_000)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(3_600_000));
        clock.sleep_until(Timestamp::from_millis(5)).await;
        assert_eq!(hand.now(), Timestamp::from_millis(3_600_000));
    }

    #[test]
    fn a_step_back_is_noticed_once() {
        let mut steps = Steps::default();
        let noticed = [5, 5, 9, 3, 3, 4].map(|millis| steps.were_back(Timestamp::from_millis(millis)));
        assert_eq!(noticed, [false, false, false, true, false, false]);
    }
}
