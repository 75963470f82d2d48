//! On which days a credential was used, as runs of days without a gap: what a long sleep is seen in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trace::Mark;
use crate::time::Span;

/// Runs that are kept; the oldest leave. A credential that is used by the week has one a week.
const RUNS_MAX: usize = 32;

const DAY: u32 = 86_400;

/// Days of use, by the first day of each run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Days(BTreeMap<i64, Run>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// Its last day.
    last: i64,
    /// Its first use.
    first: Mark,
}

impl Days {
    /// Takes in one use. Answers whether its day is new.
    pub(super) fn add(&mut self, mark: &Mark) -> bool {
        let day = mark.time.cell(Span::seconds(DAY));
        if let Some((_, run)) = self.0.range_mut(..=day).next_back()
            && run.last >= day
        {
            if *mark < run.first {
                run.first = mark.clone();
            }
            return false;
        }
        self.put(day, Run { last: day, first: mark.clone() });
        true
    }

    /// Takes in all of another one.
    pub(super) fn join(&mut self, other: Self) {
        for (start, run) in other.0 {
            self.put(start, run);
        }
    }

    /// A run, made one with those that it touches.
    fn put(&mut self, mut start: i64, mut run: Run) {
        if let Some((&before, known)) = self.0.range(..=start).next_back()
            && known.last >= start - 1
        {
            run.last = run.last.max(known.last);
            run.first = run.first.min(known.first.clone());
            start = before;
        }
        while let Some((&next, _)) = self.0.range(start + 1..=run.last + 1).next() {
            if let Some(known) = self.0.remove(&next) {
                run.last = run.last.max(known.last);
                run.first = run.first.min(known.first);
            }
        }
        self.0.insert(start, run);
        while self.0.len() > RUNS_MAX {
            self.0.pop_first();
        }
    }

    /// Each run's first use, with the days that lay between it and the run before; nothing for the first.
    pub(super) fn starts(&self) -> impl Iterator<Item = (&Mark, Option<i64>)> {
        let before = std::iter::once(None).chain(self.0.values().map(|run| Some(run.last)));
        self.0.iter().zip(before).map(|((start, run), before)| (&run.first, before.map(|last| start - last)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Uid;
    use crate::time::Timestamp;

    fn mark(day: i64) -> Mark {
        Mark {
            time: Timestamp::from_micros(day * i64::from(DAY) * 1_000_000),
            uid: Uid { origin: String::new(), id: day.to_string() },
            action: String::new(),
            network: None,
            failed: false,
        }
    }

    proptest! {
        #[test]
        fn days_are_the_same_in_any_order(
            (days, shuffled) in proptest::collection::vec(0_i64..60, 0..40)
                .prop_flat_map(|days| (Just(days.clone()), Just(days).prop_shuffle())),
        ) {
            let build = |days: &[i64]| {
                let mut all = Days::default();
                days.iter().for_each(|day| { all.add(&mark(*day)); });
                all
            };
            prop_assert_eq!(build(&days), build(&shuffled));
            let (mut first, second) = (build(&days[..days.len() / 2]), build(&days[days.len() / 2..]));
            first.join(second);
            prop_assert_eq!(first, build(&shuffled));
        }
    }

    #[test]
    fn a_gap_is_told_with_the_use_that_ended_it() {
        let mut days = Days::default();
        for day in [1, 2, 3, 100, 101] {
            days.add(&mark(day));
        }
        let found: Vec<_> = days.starts().map(|(mark, gap)| (mark.uid.id.clone(), gap)).collect();
        assert_eq!(found, [("1".to_owned(), None), ("100".to_owned(), Some(97))]);
    }
}
