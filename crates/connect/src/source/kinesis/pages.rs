//! From what a look brought to batches: unpacked one record at a time, so that no more is held than one of them holds.

use std::collections::VecDeque;
use std::sync::Arc;

use super::request::{Page, Raw};
use super::shard::Place;
use super::unpack::unpack;
use crate::source::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Body, Gap, Mark, Record};

/// A look at one shard that was not handed over to its end.
#[derive(Debug)]
pub(super) struct Turn {
    shard: String,
    records: VecDeque<Raw>,
    /// What is left of the record in hand.
    parts: Option<Parts>,
    /// Up to where it was handed over.
    place: Place,
    /// Where it leaves the shard.
    end: Place,
    /// What is missing before it.
    gaps: Vec<Gap>,
    /// Whether its place must be kept though no record moves it.
    keep: bool,
}

/// The parts of one record.
#[derive(Debug)]
struct Parts {
    raw: Raw,
    /// With their numbers within the record.
    left: VecDeque<(usize, Body)>,
    /// One alone needs no number.
    alone: bool,
}

impl Turn {
    /// What `page` brought of `shard` behind `before`, up to `end`.
    pub(super) fn new(shard: &str, page: Page, before: Place, end: Place, gap: Option<Gap>) -> Self {
        let (records, keep, gaps) = (page.records, gap.is_some(), gap.into_iter().collect());
        Self { shard: shard.to_owned(), records, parts: None, place: before, end, gaps, keep }
    }

    /// The next batch; nothing if all was handed over. `others` are the shards beside this one.
    pub(super) fn batch<'n>(&mut self, others: impl Iterator<Item = &'n str>) -> Option<Batch> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            let Some(record) = self.next() else { break };
            bytes += record.body.len();
            records.push(record);
        }
        let is_over = self.records.is_empty() && self.parts.is_none();
        if is_over && self.place != self.end {
            // Records that held nothing are behind it, too.
            self.keep = true;
            self.place = self.end.clone();
        }
        if records.is_empty() && !self.keep {
            return None;
        }
        self.keep = false;
        let this: &str = &self.shard;
        let others = others.filter(|other| *other != this).map(Arc::from);
        let partitions = std::iter::once(Arc::from(this)).chain(others).collect();
        let mark = Mark([(self.shard.clone(), self.place.value())].into());
        Some(Batch { records, partitions, mark, gaps: std::mem::take(&mut self.gaps), ..Batch::default() })
    }

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(parts) = &mut self.parts {
                if let Some((number, body)) = parts.left.pop_front() {
                    let Raw { sequence, arrived, .. } = &parts.raw;
                    let position = match parts.alone {
                        true => format!("{}:{sequence}", self.shard),
                        false => format!("{}:{sequence}#{number}", self.shard),
                    };
                    let part = (!parts.left.is_empty()).then_some(number);
                    let read_ms = arrived.millis();
                    self.place = Place::After { sequence: Some(sequence.clone()), part, read_ms };
                    return Some(Record { position, body });
                }
                self.parts = None;
            }
            let raw = self.records.pop_front()?;
            let bodies = unpack(&raw.data);
            let alone = bodies.len() == 1;
            let handed = self.handed(&raw);
            let left = bodies.into_iter().enumerate().skip(handed).collect();
            self.parts = Some(Parts { raw, left, alone });
        }
    }

    /// Parts of this record that were handed over before a restart.
    fn handed(&self, raw: &Raw) -> usize {
        match &self.place {
            Place::After { sequence: Some(sequence), part: Some(part), .. } if *sequence == raw.sequence => part + 1,
            Place::After { .. } | Place::Beginning | Place::End => 0,
        }
    }
}
