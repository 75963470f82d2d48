//! How often a score as high as this one came before: a score of a model only ranks, its rank among the past ones is what a
//! threshold can be set on.
//!
//! A tail that a model promises is wrong by hundreds of times on real logs, where keys are active by fits and starts. So the
//! past scores of a rule are kept in bins, the older ones with less weight, and the p-value of a score is the share of them
//! that were at least as high (a conformal p-value).

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Bins of the logarithm of a score.
const BINS: usize = 1_024;

/// Scores up to here are told apart, by half a percent.
const SCORE_MAX: f64 = 400.0;

/// After so many scores a past one weighs half as much.
const HALF_LIFE: f64 = 20_000.0;

/// Weights grow instead of that all past ones shrink; before they lose digits they are all brought down.
const WEIGHT_MAX: f64 = 1e9;

/// After so many scores it is worked out again from where on ranks are worth working out: adding up the bins is what a rank
/// costs, and most scores are nothing unusual.
const FLOOR_EVERY: u32 = 256;

/// Ranks are worked out below so many times the limit; above that they are 1.
const WORTH: f64 = 20.0;

/// The scores of keys that are judged are the measure as soon as so many of them are to be expected below the limit.
const ENOUGH: f64 = 1.0;

/// How many of the looks that were judged had a rank below each of these shares. Each is ranked before it is learnt from, so
/// none of them was measured by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reliability {
    /// Looks that were judged and could be ranked.
    pub looks: u64,
    /// Those below each of [`Reliability::SHARES`].
    pub below: [u64; Reliability::SHARES.len()],
}

/// The past scores of a rule. Those of keys that are judged are kept beside all: a key that is only being learnt is surprised by
/// other things, and as soon as there are enough of the former they alone are the measure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Calibration {
    all: Scores,
    judged: Scores,
    reliability: Reliability,
}

/// Past scores.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scores {
    /// Weights by bin.
    bins: Vec<f64>,
    total: f64,
    /// What the next score weighs.
    weight: f64,
    /// Bins of the scores of one moment: none of them is measured by another, so their order makes no difference.
    pending: Vec<u16>,
    moment: Timestamp,
    /// The lowest bin whose rank is worked out, and how many scores ago that was found.
    floor: u16,
    floor_age: u32,
}

/// How unusual a score is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rank {
    /// The share of past scores that were at least as high; never 0, and 1 for what is nothing unusual at all.
    pub(super) p: f64,
    /// How many past scores that rests on, older ones counted less.
    pub(super) among: f64,
}

impl Reliability {
    /// The shares: four steps to ten times less.
    pub const SHARES: [f64; 9] = [1e-2, 5.62e-3, 3.16e-3, 1.78e-3, 1e-3, 5.62e-4, 3.16e-4, 1.78e-4, 1e-4];

    /// Past scores below which a rank says little.
    const AMONG_LEAST: f64 = 1_000.0;

    fn count(&mut self, rank: Rank) {
        if rank.among >= Self::AMONG_LEAST {
            self.looks += 1;
            for (below, share) in self.below.iter_mut().zip(Self::SHARES) {
                *below += u64::from(rank.p < share);
            }
        }
    }
}

impl Default for Scores {
    fn default() -> Self {
        let (pending, moment) = (Vec::new(), Timestamp::EARLIEST);
        let bins = vec![0.0; BINS];
        Self { bins, total: 0.0, weight: 1.0, pending, moment, floor: 0, floor_age: 0 }
    }
}

impl Calibration {
    /// Measures a score that belongs to this moment by those of earlier moments, and keeps it; `is_judged` if its key is known
    /// well enough.
    ///
    /// A score whose rank is below `limit` is kept as if it were just at the limit: else an attack that goes on would soon be
    /// the measure of what is usual.
    pub(super) fn rank(&mut self, score: f64, is_judged: bool, limit: f64, moment: Timestamp) -> Rank {
        let bin = bin(score);
        let Self { all, judged, reliability } = self;
        if !is_judged {
            return all.rank(bin, limit, moment);
        }
        let rank = judged.rank(bin, limit, moment);
        if rank.among * limit >= ENOUGH {
            reliability.count(rank);
            return rank;
        }
        all.rank(bin, limit, moment)
    }

    pub(super) fn reliability(&self) -> &Reliability {
        &self.reliability
    }

    /// The score whose rank is about the limit; 0 as long as nothing is known.
    pub(super) fn score_at(&self, limit: f64) -> f64 {
        let scores = if self.judged.past() * limit >= ENOUGH { &self.judged } else { &self.all };
        let place = if scores.total > 0.0 { scores.at_limit(limit, BINS - 1) } else { 0 };
        libm::expm1(place as f64 / (BINS as f64 - 1.0) * libm::log1p(SCORE_MAX))
    }
}

impl Scores {
    fn rank(&mut self, bin: usize, limit: f64, moment: Timestamp) -> Rank {
        if moment != self.moment {
            self.settle(limit);
            self.moment = moment;
        }
        let past = self.past();
        let is_low = bin < usize::from(self.floor);
        let p = if is_low { 1.0 } else { (1.0 + self.bins[bin..].iter().sum::<f64>() / self.weight) / (1.0 + past) };
        let rank = Rank { p, among: past };
        let kept = if rank.p < limit { self.at_limit(limit, bin) } else { bin };
        self.pending.push(u16::try_from(kept).unwrap_or(u16::MAX));
        rank
    }

    /// How many past scores there are, older ones counted less.
    fn past(&self) -> f64 {
        self.total / self.weight
    }

    /// The highest bin up to this one whose rank is not below the limit.
    fn at_limit(&self, limit: f64, bin: usize) -> usize {
        let (mut tail, least) = (0.0, (limit * (1.0 + self.past()) - 1.0) * self.weight);
        for (place, weight) in self.bins.iter().enumerate().rev() {
            tail += weight;
            if tail >= least && tail > 0.0 {
                return place.min(bin);
            }
        }
        bin
    }

    fn settle(&mut self, limit: f64) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.sort_unstable();
        for bin in self.pending.drain(..) {
            self.bins[usize::from(bin)] += self.weight;
            self.total += self.weight;
            self.weight *= growth();
            self.floor_age += 1;
        }
        if self.floor_age >= FLOOR_EVERY {
            self.floor_age = 0;
            let worth = limit * WORTH;
            // Where that is nearly all, every rank is worth it.
            self.floor = if worth < 0.9 { u16::try_from(self.at_limit(worth, BINS - 1)).unwrap_or(0) } else { 0 };
        }
        if self.weight > WEIGHT_MAX {
            self.bins.iter_mut().for_each(|bin| *bin /= self.weight);
            self.total /= self.weight;
            self.weight = 1.0;
        }
    }
}

/// How much more the next score weighs.
fn growth() -> f64 {
    libm::exp2(1.0 / HALF_LIFE)
}

fn bin(score: f64) -> usize {
    let part = libm::log1p(score.clamp(0.0, SCORE_MAX)) / libm::log1p(SCORE_MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to BINS")]
    let place = (part * (BINS as f64 - 1.0)) as usize;
    place.min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance, the same each time.
    fn chance(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How often the rank was below the limit, by the share of it that is expected.
    fn ratio(scores: impl Iterator<Item = f64>, limit: f64) -> f64 {
        let (mut calibration, mut below, mut tried) = (Calibration::default(), 0.0, 0.0);
        for (number, score) in (0_i64..).zip(scores) {
            let rank = calibration.rank(score, true, limit, Timestamp::from_millis(number));
            // A start without a past is not measured.
            if number > 20_000 {
                tried += 1.0;
                below += f64::from(rank.p < limit);
            }
        }
        below / (tried * limit)
    }

    #[test]
    fn whatever_the_scores_are_like_as_many_are_below_the_limit_as_it_says() {
        let mut state = 7;
        let even: Vec<f64> = (0..400_000).map(|_| chance(&mut state)).collect();
        for (name, of) in [
            ("exponential", (|chance| -libm::log(1.0 - chance)) as fn(f64) -> f64),
            ("normal", |chance| libm::sqrt(-libm::log(1.0 - chance)) * 9.0),
            ("heavy", |chance| libm::pow(1.0 - chance, -0.5)),
        ] {
            let ratio = ratio(even.iter().map(|chance| of(*chance)), 0.001);
            assert!((0.7..1.5).contains(&ratio), "{name}: {ratio}");
        }
    }

    #[test]
    fn an_attack_of_one_in_a_hundred_does_not_become_usual() {
        let (mut calibration, mut state, mut found) = (Calibration::default(), 3, 0);
        for number in 0..200_000_i64 {
            // It begins when something is known.
            let is_attack = number > 30_000 && number % 100 == 99;
            let score = if is_attack { 50.0 } else { -libm::log(1.0 - chance(&mut state)) };
            let rank = calibration.rank(score, true, 0.001, Timestamp::from_millis(number));
            found += i32::from(is_attack && rank.p < 0.001);
        }
        assert_eq!(found, 1_700);
    }

    #[test]
    fn a_limit_that_lets_nearly_everything_through_does() {
        for limit in [0.05, 0.1, 1.0] {
            let (mut calibration, mut state, mut below) = (Calibration::default(), 5, 0);
            for number in 0..4_000_i64 {
                let rank =
                    calibration.rank(-libm::log(1.0 - chance(&mut state)), true, limit, Timestamp::from_millis(number));
                below += i32::from(number >= 2_000 && rank.p <= limit);
            }
            assert!(f64::from(below) > 2_000.0 * limit * 0.7, "{limit}: {below}");
        }
    }

    #[test]
    fn scores_of_one_moment_are_not_measured_by_each_other_in_any_order() {
        let moment = Timestamp::from_millis(1);
        let ranks = |scores: &[f64]| {
            let mut calibration = Calibration::default();
            for score in scores {
                calibration.rank(*score, true, 0.001, moment);
            }
            calibration.rank(2.0, true, 0.001, Timestamp::from_millis(2))
        };
        assert_eq!(ranks(&[1.0, 3.0, 2.5]), ranks(&[2.5, 1.0, 3.0]));
        assert_eq!(Calibration::default().rank(9.0, true, 0.001, moment), Rank { p: 1.0, among: 0.0 });
    }
}
