//! How far each partition was read, handed over, and made durable, as next offsets.

use std::collections::BTreeMap;

use super::group::Partition;
use crate::source::Gap;

/// The offsets of one member of the group.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// The next record that is to come.
    expected: BTreeMap<Partition, i64>,
    /// Up to where batches went out that are not known to be durable.
    handed: BTreeMap<Partition, i64>,
    /// Durable, and the group was not told yet.
    owed: BTreeMap<Partition, i64>,
}

impl Offsets {
    /// Reading of this partition begins here.
    pub(super) fn begin(&mut self, partition: Partition, offset: i64) {
        self.expected.insert(partition, offset);
    }

    /// A record of this offset came.
    pub(super) fn came(&mut self, partition: &Partition, offset: i64) {
        match self.expected.get_mut(partition) {
            Some(expected) => *expected = offset + 1,
            None => drop(self.expected.insert(partition.clone(), offset + 1)),
        }
    }

    /// The next record that is to come of this partition.
    pub(super) fn expected(&self, partition: &Partition) -> Option<i64> {
        self.expected.get(partition).copied()
    }

    /// A batch that ends here went out.
    pub(super) fn hand(&mut self, partition: Partition, end: i64) {
        self.handed.insert(partition, end);
    }

    /// A batch that ends here is durable.
    pub(super) fn durable(&mut self, partition: Partition, end: i64) {
        if self.handed.get(&partition).is_some_and(|handed| *handed <= end) {
            self.handed.remove(&partition);
        }
        self.owed.insert(partition, end);
    }

    /// What the group has to be told.
    pub(super) fn owed(&self) -> &BTreeMap<Partition, i64> {
        &self.owed
    }

    /// The group knows this now.
    pub(super) fn told(&mut self, offsets: &BTreeMap<Partition, i64>) {
        self.owed.retain(|partition, end| offsets.get(partition) != Some(end));
    }

    /// Whether all that was handed over of this partition is durable and the group knows.
    pub(super) fn is_settled(&self, partition: &Partition) -> bool {
        !self.handed.contains_key(partition) && !self.owed.contains_key(partition)
    }

    /// This partition is another member's now.
    pub(super) fn forget(&mut self, partition: &Partition) {
        self.expected.remove(partition);
        self.handed.remove(partition);
        self.owed.remove(partition);
    }
}

/// What is missing of a partition that holds the records from `low` to before `high` and of which `expected` was to come
/// next; and where to go on.
pub(super) fn missing(partition: &Partition, expected: i64, low: i64, high: i64) -> Option<(Gap, i64)> {
    let what = if expected < low {
        format!(
            "{} records of {partition} (offsets {expected} to {}) were deleted before they were read: the retention of the \
             topic is shorter than the time for which nobody read it, or somebody deleted them",
            low - expected,
            low - 1
        )
    } else if expected > high {
        format!(
            "{partition} ends before offset {expected}, up to which it was read: the topic was made anew or its log was cut, \
             and what may have stood there is lost; it is read from its beginning"
        )
    } else {
        return None;
    };
    Some((Gap { id: format!("{partition}@{expected}..{low}"), what }, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> Partition {
        Partition { topic: "events".to_owned(), number }
    }

    #[test]
    fn a_partition_is_settled_once_all_that_was_handed_over_is_durable_and_the_group_knows() {
        let mut offsets = Offsets::default();
        assert!(offsets.is_settled(&partition(0)), "nothing came of it");
        offsets.hand(partition(0), 5);
        offsets.hand(partition(0), 9);
        offsets.durable(partition(0), 5);
        let first = offsets.owed().clone();
        offsets.durable(partition(0), 9);
        offsets.told(&first);
        assert!(!offsets.is_settled(&partition(0)), "the group knows of the first batch only");
        offsets.told(&offsets.owed().clone());
        assert!(offsets.is_settled(&partition(0)));
    }

    #[test]
    fn records_that_were_deleted_or_cut_are_missing_and_compaction_is_no_gap() {
        let missing = |expected, low, high| missing(&partition(3), expected, low, high).map(|(gap, on)| (gap.id, on));
        assert_eq!(missing(5, 0, 9), None, "what stands between is still to come");
        assert_eq!(missing(9, 0, 9), None, "all was read");
        assert_eq!(missing(5, 8, 9), Some(("events/3@5..8".to_owned(), 8)));
        assert_eq!(missing(50, 0, 9), Some(("events/3@50..0".to_owned(), 0)));
    }
}
