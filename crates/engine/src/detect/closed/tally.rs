//! What a window comes to, kept while events come and go: one more costs a search, however many there are.

use std::collections::BTreeMap;

use super::ordered::Held;
use crate::detect::decimal::unpacked;
use crate::detect::shape::{Counted, Shape};
use crate::detect::{BILLIONTHS, sequence};
use crate::time::Timestamp;

/// What is kept of a window's marks.
#[derive(Debug)]
pub(super) enum Tally {
    /// Nothing: its events are counted.
    Events,
    /// Each mark, and how many events bring it.
    Marks(BTreeMap<u64, u32>),
    /// The sum of its numbers, and how many there are.
    Sum(i128, i128),
    /// Its numbers, for a percentile of them.
    Ranked(Ranked),
    /// By rule: the moments at which it matched.
    Moments(Vec<BTreeMap<Timestamp, u32>>),
}

/// Bytes that one mark takes here at most: a number and how often it occurs, in a tree that may be half empty.
pub(super) const MARK_BYTES: usize = 2 * size_of::<(i128, u32)>();

impl Tally {
    fn new(counted: &Counted) -> Self {
        match counted {
            Counted::Moments | Counted::Unusual | Counted::Events => Self::Events,
            Counted::Values(_) | Counted::Rules(_) => Self::Marks(BTreeMap::new()),
            Counted::Sum(_) | Counted::Average(_) => Self::Sum(0, 0),
            Counted::Percentile(_, rank) => Self::Ranked(Ranked::new(*rank)),
            Counted::Sequence => Self::Moments(Vec::new()),
        }
    }

    /// Of these events.
    pub(super) fn of<'h>(counted: &Counted, events: impl Iterator<Item = &'h Held>) -> Self {
        let mut tally = Self::new(counted);
        events.for_each(|event| tally.add(event.time, &event.marks));
        tally
    }

    /// An event of this time brings these marks.
    pub(super) fn add(&mut self, time: Timestamp, marks: &[u64]) {
        for &mark in marks {
            match self {
                Self::Events => {}
                Self::Marks(counts) => *counts.entry(mark).or_default() += 1,
                Self::Sum(sum, count) => (*sum, *count) = (*sum + unpacked(mark), *count + 1),
                Self::Ranked(ranked) => ranked.add(unpacked(mark)),
                Self::Moments(rules) => {
                    let rule = usize::try_from(mark).unwrap_or(usize::MAX);
                    if rules.len() <= rule {
                        rules.resize(rule + 1, BTreeMap::new());
                    }
                    *rules[rule].entry(time).or_default() += 1;
                }
            }
        }
    }

    /// An event of this time that brought these marks is no longer there.
    pub(super) fn subtract(&mut self, time: Timestamp, marks: &[u64]) {
        for &mark in marks {
            match self {
                Self::Events => {}
                Self::Marks(counts) => less(counts, mark),
                Self::Sum(sum, count) => (*sum, *count) = (*sum - unpacked(mark), *count - 1),
                Self::Ranked(ranked) => ranked.subtract(unpacked(mark)),
                Self::Moments(rules) => {
                    if let Some(moments) = usize::try_from(mark).ok().and_then(|rule| rules.get_mut(rule)) {
                        less(moments, time);
                    }
                }
            }
        }
    }

    /// What it comes to with so many events, if the condition holds: a whole number for what is counted, billionths for
    /// what is worked out, as an alert shows it.
    pub(super) fn verdict(&self, shape: &Shape, events: usize) -> Option<i128> {
        let (numerator, denominator) = self.measure(&shape.counted, events);
        shape.threshold.holds(numerator, denominator).then(|| match &shape.counted {
            Counted::Moments
            | Counted::Unusual
            | Counted::Events
            | Counted::Values(_)
            | Counted::Rules(None)
            | Counted::Sequence => numerator / BILLIONTHS,
            Counted::Rules(Some(_)) => self.matched().count_ones().into(),
            Counted::Sum(_) | Counted::Average(_) | Counted::Percentile(..) => numerator / denominator.max(1),
        })
    }

    /// What the rule measures, in billionths, as a ratio.
    fn measure(&self, counted: &Counted, events: usize) -> (i128, i128) {
        let whole = |count: usize| (count as i128 * BILLIONTHS, 1);
        match (self, counted) {
            (Self::Events, _) => whole(events),
            (Self::Marks(_), Counted::Rules(Some(formula))) => whole(usize::from(formula.holds(self.matched()))),
            (Self::Marks(counts), _) => whole(counts.len()),
            (Self::Sum(sum, count), Counted::Average(_)) => (*sum, *count),
            (Self::Sum(sum, _), _) => (*sum, 1),
            (Self::Ranked(ranked), _) => ranked.measure(),
            (Self::Moments(rules), _) => {
                let first = |rule: usize, from: Timestamp| rules[rule].range(from..).next().map(|(time, _)| *time);
                let length = sequence::longest_by(rules.len(), Timestamp::from_micros(i64::MIN), first);
                whole(usize::try_from(length).unwrap_or(usize::MAX))
            }
        }
    }

    /// Which rules matched, a bit each.
    fn matched(&self) -> u64 {
        match self {
            Self::Marks(counts) => counts.keys().fold(0, |bits, mark| bits | 1 << (mark & 63)),
            Self::Events | Self::Sum(..) | Self::Ranked(_) | Self::Moments(_) => 0,
        }
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// Numbers, parted where a percentile of them lies: below which `rank` percent of them are, between the two nearest
/// ones in proportion; the median for 50.
#[derive(Debug)]
pub(super) struct Ranked {
    rank: u8,
    /// Up to the nearest one below, and those above it; how many there are.
    low: Numbers,
    high: Numbers,
}

/// Numbers, and how often each is there.
#[derive(Debug, Default)]
struct Numbers {
    counts: BTreeMap<i128, u32>,
    len: usize,
}

impl Numbers {
    fn add(&mut self, number: i128) {
        *self.counts.entry(number).or_default() += 1;
        self.len += 1;
    }

    fn subtract(&mut self, number: i128) {
        less(&mut self.counts, number);
        self.len -= 1;
    }

    fn least(&self) -> Option<i128> {
        self.counts.first_key_value().map(|(number, _)| *number)
    }

    fn most(&self) -> Option<i128> {
        self.counts.last_key_value().map(|(number, _)| *number)
    }
}

impl Ranked {
    fn new(rank: u8) -> Self {
        Self { rank, low: Numbers::default(), high: Numbers::default() }
    }

    fn add(&mut self, number: i128) {
        if self.low.most().is_some_and(|most| number <= most) {
            self.low.add(number)
        } else {
            self.high.add(number)
        }
        self.part();
    }

    fn subtract(&mut self, number: i128) {
        if self.low.counts.contains_key(&number) {
            self.low.subtract(number)
        } else {
            self.high.subtract(number)
        }
        self.part();
    }

    /// The place of the nearest one below, and how many hundredths of the way to the next.
    fn place(&self) -> (usize, i128) {
        let hundredths = usize::from(self.rank) * (self.low.len + self.high.len).saturating_sub(1);
        (hundredths / 100, (hundredths % 100) as i128)
    }

    /// One more or one less moves the place by one at most.
    fn part(&mut self) {
        let low = (self.place().0 + 1).min(self.low.len + self.high.len);
        while self.low.len < low
            && let Some(least) = self.high.least()
        {
            self.high.subtract(least);
            self.low.add(least);
        }
        while self.low.len > low
            && let Some(most) = self.low.most()
        {
            self.low.subtract(most);
            self.high.add(most);
        }
    }

    /// As a ratio, so exact.
    fn measure(&self) -> (i128, i128) {
        let Some(low) = self.low.most() else { return (0, 100) };
        let high = self.high.least().unwrap_or(low);
        let (_, part) = self.place();
        (low * (100 - part) + high * part, 100)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same in the plainest way.
    fn percentile(numbers: &[i128], rank: u8) -> (i128, i128) {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        let hundredths = usize::from(rank) * numbers.len().saturating_sub(1);
        let (place, part) = (hundredths / 100, (hundredths % 100) as i128);
        let Some(&low) = numbers.get(place) else { return (0, 100) };
        let high = numbers.get(place + 1).copied().unwrap_or(low);
        (low * (100 - part) + high * part, 100)
    }

    proptest! {
        #[test]
        fn a_percentile_is_that_of_the_sorted_numbers_whichever_came_and_went(
            rank in 1u8..=100,
            moves in proptest::collection::vec((any::<bool>(), -9i128..9, any::<prop::sample::Index>()), 1..60),
        ) {
            let (mut ranked, mut numbers) = (Ranked::new(rank), Vec::new());
            for (comes, number, which) in moves {
                if comes || numbers.is_empty() {
                    ranked.add(number);
                    numbers.push(number);
                } else {
                    ranked.subtract(numbers.swap_remove(which.index(numbers.len())));
                }
                prop_assert_eq!(ranked.measure(), percentile(&numbers, rank));
            }
        }
    }
}
