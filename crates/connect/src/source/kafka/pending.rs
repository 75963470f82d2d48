//! Records on their way into one batch.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::group::Partition;
use crate::source::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Gap, HEAD_BYTES, Mark, Record, Refusal};

/// Longest record that is handed over whole.
const RECORD_BYTES_MAX: usize = 16 * 1_048_576;

/// What has been received and not yet handed over.
#[derive(Debug)]
pub(super) struct Pending {
    linger: Duration,
    records: Vec<(Partition, Record)>,
    bytes: usize,
    /// The next offset of each partition once these records are handled.
    ends: BTreeMap<Partition, i64>,
    gaps: Vec<Gap>,
    /// When the batch goes out even if it is not full; none while it is empty.
    due: Option<Instant>,
}

/// Where a record stands in its partition, written `offset~milliseconds`. A topic that is made anew counts from nought again,
/// and its records must not pass for those that stood there before: the time tells them apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamped {
    pub(super) offset: i64,
    pub(super) millis: Option<i64>,
}

impl fmt::Display for Stamped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis {
            Some(millis) => write!(out, "{}~{millis}", self.offset),
            None => write!(out, "{}", self.offset),
        }
    }
}

impl Pending {
    pub(super) fn new(linger: Duration) -> Self {
        Self { linger, records: Vec::new(), bytes: 0, ends: BTreeMap::new(), gaps: Vec::new(), due: None }
    }

    /// Adds one message. A tombstone carries no record, only an offset to get past.
    pub(super) fn add(&mut self, partition: Partition, place: Stamped, payload: Option<&[u8]>, now: Instant) {
        let offset = place.offset;
        self.due.get_or_insert(now + self.linger);
        self.ends.insert(partition.clone(), offset + 1);
        let Some(payload) = payload else { return };
        let body = if payload.len() > RECORD_BYTES_MAX {
            Body::Refused { head: payload[..HEAD_BYTES].to_vec(), reason: Refusal::TooLong }
        } else {
            Body::Whole(payload.to_vec().into())
        };
        self.bytes += payload.len();
        self.records.push((partition.clone(), Record { position: format!("{partition}@{place}"), body }));
    }

    /// Records are missing from the partition, which goes on with this offset.
    pub(super) fn miss(&mut self, partition: Partition, next: i64, gap: Gap, now: Instant) {
        self.due = Some(now);
        self.ends.insert(partition, next);
        self.gaps.push(gap);
    }

    /// Forgets what came from partitions that now belong to others: they read it again.
    pub(super) fn forget(&mut self, lost: &[Partition]) {
        self.ends.retain(|partition, _| !lost.contains(partition));
        self.records.retain(|(partition, _)| !lost.contains(partition));
        if self.ends.is_empty() {
            self.due = None;
        }
    }

    /// When the batch goes out at the latest; none while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The batch, if it is full or `now` is late enough.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch> {
        let full = self.records.len() >= BATCH_RECORDS_MAX || self.bytes >= BATCH_BYTES_MAX;
        if !full && self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.due = None;
        self.bytes = 0;
        let (mut records, mut partitions, mut partition_of) = (Vec::new(), Vec::<Partition>::new(), Vec::new());
        for (partition, record) in std::mem::take(&mut self.records) {
            let place = partitions.iter().position(|known| *known == partition).unwrap_or_else(|| {
                partitions.push(partition);
                partitions.len() - 1
            });
            records.push(record);
            partition_of.push(u16::try_from(place).expect("a batch holds fewer records than that"));
        }
        let partitions = partitions.iter().map(|partition| partition.to_string().into()).collect();
        let (ends, gaps) = (std::mem::take(&mut self.ends), std::mem::take(&mut self.gaps));
        let mark = ends.into_iter().map(|(partition, end)| (partition.to_string(), end.to_string())).collect();
        Some(Batch { records, partitions, partition_of, mark: Mark(mark), gaps, ..Batch::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> Partition {
        Partition { topic: "events".to_owned(), number }
    }

    fn at(offset: i64) -> Stamped {
        Stamped { offset, millis: Some(1_790_000_000_000 + offset) }
    }

    fn pending() -> (Pending, Instant) {
        (Pending::new(Duration::from_millis(100)), Instant::now())
    }

    #[test]
    fn a_batch_goes_out_when_it_is_full_or_has_waited_long_enough() {
        let (mut pending, now) = pending();
        pending.add(partition(0), at(0), Some(b"a"), now);
        assert!(pending.take(now).is_none());
        assert!(pending.take(now + Duration::from_millis(100)).is_some());
        for offset in 0..511 {
            pending.add(partition(0), at(offset), Some(b"a"), now);
        }
        assert!(pending.take(now).is_none());
        pending.add(partition(0), at(511), Some(b"a"), now);
        assert_eq!(pending.take(now).unwrap().records.len(), 512);
        pending.add(partition(0), at(512), Some(&[b'a'; BATCH_BYTES_MAX]), now);
        assert_eq!(pending.take(now).unwrap().records.len(), 1);
    }

    #[test]
    fn each_record_is_of_its_own_partition() {
        let (mut pending, now) = pending();
        for number in [7, 3, 7] {
            pending.add(partition(number), at(0), Some(b"a"), now);
        }
        let batch = pending.take(now + Duration::from_millis(100)).unwrap();
        let of: Vec<&str> = batch.partition_of.iter().map(|&place| &*batch.partitions[usize::from(place)]).collect();
        assert_eq!(of, ["events/7", "events/3", "events/7"]);
    }

    #[test]
    fn a_record_of_a_topic_that_was_made_anew_is_not_the_one_that_stood_there_before() {
        let (mut pending, now) = pending();
        pending.add(partition(0), at(0), Some(b"a"), now);
        pending.add(partition(0), Stamped { millis: Some(1_790_000_000_001), ..at(0) }, Some(b"a"), now);
        pending.add(partition(0), Stamped { millis: None, ..at(0) }, Some(b"a"), now);
        let records = pending.take(now + Duration::from_millis(100)).unwrap().records;
        let positions: Vec<&str> = records.iter().map(|record| record.position.as_str()).collect();
        assert_eq!(positions, ["events/0@0~1790000000000", "events/0@0~1790000000001", "events/0@0"]);
    }

    #[test]
    fn a_tombstone_is_no_record_but_its_offset_is_covered() {
        let (mut pending, now) = pending();
        pending.add(partition(3), at(41), None, now);
        let batch = pending.take(now + Duration::from_millis(100)).unwrap();
        assert!(batch.records.is_empty());
        assert_eq!(batch.mark.0, BTreeMap::from([("events/3".to_owned(), "42".to_owned())]));
    }

    #[test]
    fn what_came_from_a_lost_partition_is_neither_handed_over_nor_covered() {
        let (mut pending, now) = pending();
        pending.add(partition(0), at(7), Some(b"a"), now);
        pending.add(partition(1), at(8), Some(b"b"), now);
        pending.forget(&[partition(1)]);
        let batch = pending.take(now + Duration::from_millis(100)).unwrap();
        assert_eq!((batch.records.len(), batch.mark.0.len()), (1, 1));
        pending.add(partition(0), at(8), Some(b"a"), now);
        pending.forget(&[partition(0)]);
        assert!(pending.due().is_none());
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused_with_its_head() {
        let (mut pending, now) = pending();
        pending.add(partition(0), at(0), Some(&vec![b'a'; RECORD_BYTES_MAX + 1]), now);
        let batch = pending.take(now).unwrap();
        assert!(
            matches!(&batch.records[0].body, Body::Refused { head, reason: Refusal::TooLong } if head.len() == HEAD_BYTES)
        );
    }
}
