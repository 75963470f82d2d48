//! How fast requests may follow each other. The quota is the account's, shared with tools that we do not
//! know: refused, the rate halves; answered, it comes back little by little.

use engine::time::Timestamp;

use super::settings::Rate;

/// Answers that bring a rate from nothing back to the configured one.
const RECOVERY_ANSWERS: f64 = 60.0;

/// The slowest rate is this part of the configured one, so that a long refusal still ends.
const SLOWEST: f64 = 1.0 / 32.0;

/// The pace of one source.
#[derive(Debug)]
pub(super) struct Pace {
    most: f64,
    rate: f64,
    ready: Timestamp,
    /// Refusals since the last answer.
    refusals: u32,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { most: rate.a_second(), rate: rate.a_second(), ready: Timestamp::default(), refusals: 0 }
    }

    /// When the next request may be sent.
    pub(super) fn ready(&self) -> Timestamp {
        self.ready
    }

    /// A request is being sent.
    pub(super) fn spend(&mut self, now: Timestamp) {
        self.ready = Timestamp::from_micros(now.micros().saturating_add(self.gap_micros()));
    }

    /// A request was answered.
    pub(super) fn answered(&mut self) {
        self.refusals = 0;
        self.rate = (self.rate + self.most / RECOVERY_ANSWERS).min(self.most);
    }

    /// A request was refused for coming too soon; how often in a row.
    pub(super) fn refused(&mut self, now: Timestamp) -> u32 {
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
        let mut pace = Pace::new(Rate::try_from(2.0).unwrap());
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
        let mut pace = Pace::new(Rate::try_from(2.0).unwrap());
        for _ in 0..1_000 {
            pace.refused(Timestamp::default());
        }
        assert_eq!(gap_ms(&mut pace), 16_000);
    }
}
