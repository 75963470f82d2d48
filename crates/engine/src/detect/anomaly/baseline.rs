//! What a key's counts are usually like: by hour of the week, short and long remembered, and how unlikely a count is then.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// Six parts of four hours, on weekdays and at weekends: a habit shows in them after two weeks.
const BINS: usize = 12;
/// So many hours of a week each of them has: weekdays, weekends.
const BIN_HOURS: [f64; 2] = [20.0, 8.0];
const WEEK_HOURS: f64 = 168.0;

/// How long past counts weigh on: half after this. The short one follows a change, the long one shows a slow ramp.
const HALF_LIVES: [Span; 2] = [Span::seconds(7 * 86_400), Span::seconds(60 * 86_400)];

/// How many counts of one's own outweigh those of all others.
const PRIOR: f64 = 10.0;

/// A count teaches no more than the mean and so many standard deviations: an attack is not swallowed whole, and a change
/// that stays is learnt in the end.
const WINSOR: f64 = 4.0;

/// Bounds of the dispersion of a negative binomial, from wild to nearly Poisson.
const DISPERSION: (f64, f64) = (0.3, 1_000.0);

/// Decayed sums of counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

/// The counts of one key, in the windows in which it did something: 160 bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// Short and long.
    spans: [Moments; 2],
    /// How many windows and counts in each part of the week, long remembered.
    bins: [(f32, f32); BINS],
    /// The highest count that was taken for usual.
    pub(super) highest: u32,
    /// When the last window was.
    last: Timestamp,
}

/// How unusual a count is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Surprise {
    /// Tens of orders: 3 is one in a thousand, as the model has it. Only a rank.
    pub(super) score: f64,
    /// What was to be expected.
    pub(super) expected: f64,
    /// The long memory is more surprised than the short one, by much: the count has been growing slowly.
    pub(super) drifting: bool,
    /// How much of the score is the hour.
    pub(super) hour: f64,
}

impl Moments {
    fn decay(&mut self, factor: f64) {
        self.n *= factor;
        self.sum *= factor;
        self.squares *= factor;
    }

    fn learn(&mut self, count: f64) {
        self.n += 1.0;
        self.sum += count;
        self.squares += count * count;
    }

    /// Mean and variance, with those of all others as so many counts more.
    fn shrunk(&self, others: &Self) -> (f64, f64) {
        let &Self { n, sum, squares } = self;
        let prior = if others.n > 0.0 { PRIOR } else { 0.0 };
        let of = |value: f64| if others.n > 0.0 { value / others.n * prior } else { 0.0 };
        let all = (n + prior).max(1.0);
        let mean = (sum + of(others.sum)) / all;
        let second = (squares + of(others.squares)) / all;
        (mean, (second - mean * mean).max(0.0))
    }

    /// What is learnt of a count.
    pub(super) fn winsorised(&self, others: &Self, count: u32) -> f64 {
        let (mean, variance) = self.shrunk(others);
        // Somebody who always did the same may do a little more.
        f64::from(count).min(mean + WINSOR * variance.max(mean).max(1.0).sqrt())
    }

    /// Takes in a count of all keys together, which all weigh the same.
    pub(super) fn of_all(&mut self, count: f64, time: Span) {
        self.decay(decay(time, HALF_LIVES[1]));
        self.learn(count);
    }
}

impl Baseline {
    /// How unusual so many are in the window at `time`.
    pub(super) fn surprise(&self, others: &Moments, count: u32, time: Timestamp) -> Surprise {
        let bin = bin(time);
        let hour = self.hour(bin);
        let scores = self.spans.map(|span| {
            let (mean, variance) = span.shrunk(others);
            let mean = self.in_bin(bin, mean);
            // Of windows in which something happens: there is one at least.
            (tail(f64::from(count.saturating_sub(1)), (mean - 1.0).max(0.05), variance), mean)
        });
        let [(short, near), (long, far)] = scores;
        let (score, expected) = if long > short { (long, far) } else { (short, near) };
        Surprise { score: score + hour, expected, drifting: long > short + 3.0, hour }
    }

    /// Takes in the window at `time`. Answers what was learnt of it.
    pub(super) fn learn(&mut self, others: &Moments, count: u32, time: Timestamp) -> f64 {
        let passed = if self.last == Timestamp::EARLIEST { Span::default() } else { time.since(self.last) };
        let taught = self.spans[0].winsorised(others, count);
        for (span, half) in self.spans.iter_mut().zip(HALF_LIVES) {
            span.decay(decay(passed, half));
            span.learn(taught);
        }
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        let factor = decay(passed, HALF_LIVES[1]) as f32;
        for (windows, sum) in &mut self.bins {
            *windows *= factor;
            *sum *= factor;
        }
        let (windows, sum) = &mut self.bins[bin(time)];
        *windows += 1.0;
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        {
            *sum += taught as f32;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at most the count")]
        {
            self.highest = self.highest.max(taught.ceil() as u32);
        }
        self.last = self.last.max(time);
        taught
    }

    /// How unusual it is that anything happens in this part of the week. A key that is active around the clock is never
    /// surprising so, and one that is not known well hardly.
    fn hour(&self, bin: usize) -> f64 {
        let all: f64 = self.bins.iter().map(|(windows, _)| f64::from(*windows)).sum();
        let share = BIN_HOURS[bin / 6] / WEEK_HOURS;
        let ratio = (f64::from(self.bins[bin].0) / share + PRIOR) / (all + PRIOR);
        (-libm::log10(ratio)).max(0.0)
    }

    /// The mean in this part of the week, as far as it is known.
    fn in_bin(&self, bin: usize, mean: f64) -> f64 {
        let (windows, sum) = self.bins[bin];
        (f64::from(sum) + PRIOR * mean) / (f64::from(windows) + PRIOR)
    }
}

/// Which part of the week.
fn bin(time: Timestamp) -> usize {
    let hour = time.micros().div_euclid(3_600_000_000);
    // The epoch was a Thursday; counted from Monday.
    let day = (hour.div_euclid(24) + 3).rem_euclid(7);
    let part = hour.rem_euclid(24) / 4 + if day >= 5 { 6 } else { 0 };
    usize::try_from(part).unwrap_or_default() % BINS
}

/// What is left of a weight after so long.
fn decay(passed: Span, half_life: Span) -> f64 {
    libm::exp2(-(passed.micros() as f64) / half_life.micros() as f64)
}

/// `-log10` of the probability of at least so many, of a negative binomial with this mean and variance.
fn tail(count: f64, mean: f64, variance: f64) -> f64 {
    if count <= mean {
        return 0.0;
    }
    let size = (mean * mean / (variance - mean).max(1e-9)).clamp(DISPERSION.0, DISPERSION.1);
    // P(X >= k) = I_p(k, r), with p = mean / (mean + r).
    let p = mean / (mean + size);
    -ln_beta(p, count, size) / std::f64::consts::LN_10
}

/// The logarithm of the regularised incomplete beta function, by its continued fraction; for `x` below the mean of that beta
/// distribution, where it converges in a few steps.
fn ln_beta(x: f64, a: f64, b: f64) -> f64 {
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    let near = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / near(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..200 {
        let m = f64::from(step);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / near(1.0 + numerator * d);
            c = near(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-10 {
            break;
        }
    }
    front + libm::log(fraction.max(1e-300)) - libm::log(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn at(hour: i64) -> Timestamp {
        // 1970-01-05 was a Monday.
        Timestamp::from_micros((4 * 24 + hour) * HOUR)
    }

    /// A key that does `count` things each hour from 8 to 18 on weekdays, for so many weeks.
    fn office(weeks: i64, count: u32) -> Baseline {
        let mut baseline = Baseline::default();
        for hour in (0..weeks * 168).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24))) {
            baseline.learn(&Moments::default(), count, at(hour));
        }
        baseline
    }

    fn score(baseline: &Baseline, count: u32, hour: i64) -> f64 {
        baseline.surprise(&Moments::default(), count, at(hour)).score
    }

    #[test]
    fn the_tail_is_that_of_a_negative_binomial() {
        // By adding up the probabilities.
        let summed = |count: f64, mean: f64, variance: f64| {
            let size = mean * mean / (variance - mean);
            let p = mean / (mean + size);
            let ln = |k: f64| {
                libm::lgamma(k + size) - libm::lgamma(size) - libm::lgamma(k + 1.0)
                    + size * libm::log1p(-p)
                    + k * libm::log(p)
            };
            let mut sum = 0.0;
            for k in 0..20_000 {
                let k = f64::from(k);
                if k >= count {
                    sum += libm::exp(ln(k));
                }
            }
            -libm::log10(sum)
        };
        for (count, mean, variance) in [(5.0, 1.0, 2.0), (12.0, 4.0, 10.0), (300.0, 40.0, 900.0), (50.0, 5.0, 5.5)] {
            let (is, wanted) = (tail(count, mean, variance), summed(count, mean, variance));
            assert!((is - wanted).abs() < 1e-4 * wanted.max(1.0), "{count} {mean} {variance}: {is}, not {wanted}");
        }
        assert!(tail(1e6, 3.0, 6.0).is_finite());
    }

    #[test]
    fn more_than_usual_is_surprising_and_the_more_the_more() {
        let baseline = office(4, 5);
        let scores = [5, 8, 15, 50].map(|count| score(&baseline, count, 4 * 168 + 10));
        assert!(scores[0] < 1.0 && scores.is_sorted() && scores[3] > 6.0, "{scores:?}");
    }

    #[test]
    fn the_same_at_night_is_surprising_for_who_works_by_day_and_not_for_who_never_sleeps() {
        let night = 4 * 168 + 2;
        let by_day = score(&office(4, 5), 5, night);
        let mut always = Baseline::default();
        for hour in 0..4 * 168 {
            always.learn(&Moments::default(), 5, at(hour));
        }
        assert!(by_day > 1.0 && score(&always, 5, night) < 0.5, "{by_day}");
    }

    #[test]
    fn a_tenfold_level_that_stays_becomes_usual_and_one_burst_does_not() {
        let mut baseline = office(4, 10);
        let before = score(&baseline, 100, 4 * 168 + 10);
        baseline.learn(&Moments::default(), 100, at(4 * 168 + 9));
        assert!(score(&baseline, 100, 4 * 168 + 10) > before / 2.0, "one burst teaches little");
        let mut quiet = None;
        for hour in (4 * 168..20 * 168).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24))) {
            let said = baseline.surprise(&Moments::default(), 100, at(hour));
            if said.score < 1.0 {
                quiet.get_or_insert(hour / 168 - 4);
            }
            baseline.learn(&Moments::default(), 100, at(hour));
        }
        assert!(quiet.is_some_and(|weeks| weeks <= 12), "{quiet:?}");
    }

    #[test]
    fn a_ramp_that_doubles_each_week_is_surprising_before_it_is_eightfold() {
        let mut baseline = office(8, 10);
        let mut found = None;
        for week in 8_i64..14 {
            let count = 10 << (week - 7).min(6);
            for hour in
                (week * 168..(week + 1) * 168).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24)))
            {
                if score(&baseline, count, hour) > 3.0 {
                    found.get_or_insert(count / 10);
                }
                baseline.learn(&Moments::default(), count, at(hour));
            }
        }
        assert!(found.is_some_and(|times| times < 8), "{found:?}");
    }
}
