//! `temporal_ordered`: which rules matched one after the other, in the order in which the correlation names them.
//!
//! Equal times are in any order that is asked for, as many logs write whole seconds; so an event that two of the
//! rules match stands for both.

use crate::time::{Span, Timestamp};

/// How many of the rules matched in their order after `from` and up to `until`, the others left out.
pub(super) fn longest(times: &[Vec<Timestamp>], from: Timestamp, until: Timestamp) -> u64 {
    let first = |rule: usize, least: Timestamp| {
        let seen = &times[rule];
        seen.get(seen.partition_point(|time| *time < least)).copied().filter(|time| *time <= until)
    };
    longest_by(times.len(), from.plus(Span::from_micros(1)), first)
}

/// The same of so many rules from the moment `from` on; `first` knows the first moment from another one on at which a
/// rule matched.
///
/// For each number of rules the earliest moment at which so many have matched in order; each rule in turn can
/// extend each of these by one.
pub(super) fn longest_by(rules: usize, from: Timestamp, first: impl Fn(usize, Timestamp) -> Option<Timestamp>) -> u64 {
    let mut earliest: Vec<Timestamp> = Vec::new();
    for rule in 0..rules {
        for length in (0..=earliest.len()).rev() {
            let least = length.checked_sub(1).map_or(from, |shorter| from.max(earliest[shorter]));
            let Some(next) = first(rule, least) else { continue };
            match earliest.get_mut(length) {
                Some(known) => *known = next.min(*known),
                None => earliest.push(next),
            }
        }
    }
    earliest.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(matches: &[(i64, usize)]) -> u64 {
        let mut times = vec![Vec::new(); 3];
        for &(time, rule) in matches {
            times[rule].push(Timestamp::from_micros(time));
        }
        times.iter_mut().for_each(|times| times.sort_unstable());
        longest(&times, Timestamp::default(), Timestamp::from_micros(9))
    }

    #[test]
    fn rules_count_as_far_as_they_follow_each_other() {
        for (matches, length, reason) in [
            (&[(1, 0), (2, 1), (3, 2)][..], 3, "in order"),
            (&[(3, 0), (2, 1), (1, 2)], 1, "in the order that is not asked for"),
            (&[(1, 1), (2, 0), (3, 1)], 2, "a match that came too early harms nothing"),
            (&[(1, 0), (1, 1), (1, 2)], 3, "at one moment"),
            (&[(1, 0), (3, 2)], 2, "the one between is left out"),
            (&[(1, 2), (2, 0), (2, 2), (3, 1)], 2, "neither of the two third ones comes after the second"),
            (&[], 0, "nothing"),
        ] {
            assert_eq!(in_order(matches), length, "{reason}");
        }
    }
}
