//! How fast requests may follow each other. A quota is shared with tools that we do not know: refused, the rate halves;
//! answered, it comes back little by little.

use engine::time::Timestamp;

/// Answers that bring a rate from nothing back to the configured one.
const RECOVERY_ANSWERS: f64 = 60.0;

/// The slowest rate is this part of the configured one, so that a long refusal still ends.
const SLOWEST: f64 = 1.0 / 32.0;

/// The pace of requests that share a quota.
#[derive(Debug)]
pub(crate) struct Pace {
    most: f64,
    rate: f64,
    ready: Timestamp,
    /// Refusals since the last answer.
    refusals: u32,
}

impl Pace {
    /// At most so many requests a second.
    pub(crate) fn new(a_second: f64) -> Self {
        Self { most: a_second, rate: a_second, ready: Timestamp::default(), refusals: 0 }
    }

    /// Somebody shares it who asks for fewer.
    pub(crate) fn lower(&mut self, a_second: f64) {
        self.most = self.most.min(a_second);
        self.rate = self.rate.min(self.most);
    }

    /// When the next request may be sent.
    pub(crate) fn ready(&self) -> Timestamp {
        self.ready
    }

    /// The clock was put back: a request may be sent at once.
    pub(crate) fn hurry(&mut self) {
        self.ready = Timestamp::default();
    }

    /// A request is being sent.
    pub(crate) fn spend(&mut self, now: Timestamp) {
        self.ready = Timestamp::from_micros(now.micros().saturating_add(self.gap_micros()));
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self) {
        self.refusals = 0;
        self.rate = (self.rate + self.most / RECOVERY_ANSWERS).min(self.most);
    }

    /// A request was refused for coming too soon; how often in a row.
    pub(crate) fn refused(&mut self, now: Timestamp) -> u32 {
        self.refusals = self.refusals.saturating_add(1);
        self.rate = (self.rate / 2.0).max(self.most * SLOWEST);
        self.spend(now);
        self.refusals
    }

    fn gap_micros(&self) -> i64 {
        // Rates lie between 100 a second and 1/32 of the smallest f64 that people write: the cast saturates.
        (1_000_000.0 / self.rate) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap_ms(pace: &mut Pace) -> i64 {
        pace.spend(Timestamp::default());
        pace.ready().millis()
    }

    #[test]
    fn a_refusal_halves_the_rate_and_answers_restore_it_slowly() {
        let mut pace = Pace::new(2.0);
        assert_eq!(gap_ms(&mut pace), 500);
        pace.refused(Timestamp::default());
        assert_eq!(gap_ms(&mut pace), 1_000);
        for _ in 0..29 {
            pace.answered();
        }
        assert!(gap_ms(&mut pace) > 500);
        for _ in 0..2 {
            pace.answered();
        }
        assert_eq!(gap_ms(&mut pace), 500);
    }

    #[test]
    fn endless_refusals_never_stop_the_source_for_good() {
        let mut pace = Pace::new(2.0);
        for _ in 0..1_000 {
            pace.refused(Timestamp::default());
        }
        assert_eq!(gap_ms(&mut pace), 16_000);
    }

    #[test]
    fn whoever_asks_for_fewer_slows_all_that_share_it() {
        let mut pace = Pace::new(4.0);
        pace.lower(1.0);
        assert_eq!(gap_ms(&mut pace), 1_000);
        pace.lower(2.0);
        assert_eq!(gap_ms(&mut pace), 1_000);
    }
}
