//! `temporal_ordered`: which rules matched one after the other, in the order in which the correlation names them.
//!
//! Equal times are in any order that is asked for, as many logs write whole seconds; so an event that two of the
//! rules match stands for both.

use crate::time::Timestamp;

/// How many of the rules matched in their order after `from` and up to `until`, the others left out.
///
/// For each number of rules the earliest moment at which so many have matched in order; each rule in turn can
/// extend each of these by one.
pub(super) fn longest(times: &[Vec<Timestamp>], from: Timestamp, until: Timestamp) -> u64 {
    let mut earliest: Vec<Timestamp> = Vec::new();
    for seen in times {
        let start = seen.partition_point(|time| *time <= from);
        for length in (0..=earliest.len()).rev() {
            let after = match length.checked_sub(1) {
                None => start,
                Some(shorter) => start.max(seen.partition_point(|time| *time < earliest[shorter])),
            };
            let Some(&next) = seen.get(after).filter(|time| **time <= until) else { continue };
            match earliest.get_mut(length) {
                Some(known) => *known = next.min(*known),
                None => earliest.push(next),
            }
        }
    }
    earliest.len() as u64
}

/// The same of a closed window, of which all is known: events by time, each with the rule that it matched.
pub(super) fn longest_of(matches: impl Iterator<Item = (Timestamp, u64)>) -> u64 {
    let mut times: Vec<Vec<Timestamp>> = Vec::new();
    for (time, rule) in matches {
        let rule = usize::try_from(rule).unwrap_or(usize::MAX);
        if times.len() <= rule {
            times.resize(rule + 1, Vec::new());
        }
        times[rule].push(time);
    }
    longest(&times, Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(matches: &[(i64, u64)]) -> u64 {
        let mut sorted = matches.to_vec();
        sorted.sort_unstable();
        longest_of(sorted.into_iter().map(|(time, rule)| (Timestamp::from_micros(time), rule)))
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
