//! How long things took, in little memory: buckets that are at most 1/64 of their value wide.

use std::time::Duration;

/// Values below this many microseconds have a bucket each; above, each doubling is cut into this many halves.
const FINE: u64 = 128;

/// Counts by length of time.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Histogram {
    /// Of all these times.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut histogram = Self::default();
        times.into_iter().for_each(|time| histogram.add(time));
        histogram
    }

    /// One more.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(time);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest, exactly.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The time that this share of all did not exceed, at most 1/64 too high. Zero if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (share * self.total as f64).ceil() as u64;
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= wanted && below > 0 {
                return Duration::from_micros(end(bucket)).min(self.longest);
            }
        }
        self.longest
    }
}

fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(FINE.trailing_zeros());
    let place = u64::from(shift) * (FINE / 2) + (micros >> shift);
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The highest value of a bucket.
fn end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < FINE {
        return bucket;
    }
    let shift = bucket / (FINE / 2) - 1;
    let high = bucket - shift * (FINE / 2);
    ((high + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_at_most_a_64th_above_it() {
        let mut value: u64 = 0;
        while value < 1 << 40 {
            let end = end(bucket(value));
            assert!(end >= value && end - value <= value / 64, "{value} lies in a bucket that ends at {end}");
            assert_eq!(bucket(end), bucket(value));
            assert_eq!(bucket(end + 1), bucket(value) + 1);
            value = value + 1 + value / 7;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let histogram = Histogram::of((1..=1_000).map(Duration::from_millis));
        for (share, wanted) in [(0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1_000)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e3;
            assert!((found - f64::from(wanted)).abs() <= f64::from(wanted) / 64.0, "{share}: {found}");
        }
        assert_eq!((histogram.count(), histogram.longest()), (1_000, Duration::from_secs(1)));
    }

    #[test]
    fn without_times_every_quantile_is_zero() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
    }
}
