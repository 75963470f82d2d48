//! Notes of a batch for the two ledgers beside the road, and where the events stand that they name.
//!
//! Few notes become evidence, and that shows later: until then the records of the batch are held, not copied. They share
//! its bytes, which go with the batch.

use std::collections::HashMap;

use connect::source::{Body, Record};
use engine::detect::Raw;
use engine::event::{Event, Kind, Uid};
use engine::lineage::Glimpse;
use engine::normalise::{Limits, normalise};
use engine::notes::{Notebook, Noted, Notes, Readers};
use engine::time::Timestamp;

use super::canonical;
use crate::archive::Kept;
use engine::alert::redact::redact;

/// Events that notes name, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Papers {
    by_id: HashMap<Box<str>, Paper>,
}

/// One of them.
#[derive(Clone, Debug)]
enum Paper {
    /// As it came.
    Record(Body),
    /// As it was cut out of a record of several.
    Event(Box<Event>),
}

impl Papers {
    /// The event of this id as the archive keeps it, if it came with this batch.
    pub(crate) fn kept(&self, kind: Kind, uid: &Uid, time: Timestamp) -> Option<Kept> {
        let json = match self.by_id.get(&*uid.id)? {
            Paper::Record(Body::Whole(body)) => canonical(body),
            Paper::Record(Body::Refused { .. }) => return None,
            Paper::Event(event) => sonic_rs::to_string(&event.raw).ok()?,
        };
        Some(Kept { kind, uid: uid.clone(), time, json: redact(&json).into_owned() })
    }
}

/// Where a worker takes notes of one batch.
pub(super) struct Desk {
    readers: Readers,
    notebook: Notebook,
    /// How many records the batch has: what is parsed is numbered behind them.
    records: usize,
    parsed: Vec<Event>,
}

impl Desk {
    pub(super) fn new(readers: Readers, records: usize) -> Self {
        Self { readers, notebook: Notebook::new(readers), records, parsed: Vec::new() }
    }

    /// What a glance has shown of the record of this number; if that may not be all, it is read in full.
    pub(super) fn note(&mut self, glimpse: Glimpse<'_>, raw: Raw<'_>, limits: &Limits, record: usize) {
        match glimpse {
            Glimpse::Nothing => {}
            Glimpse::Used(used) => self.notebook.see(&used, record),
            Glimpse::Whole if self.readers.any() => {
                let (mut events, mut rejects) = (Vec::new(), Vec::new());
                normalise(raw.format, raw.body, raw.position, limits, &mut events, &mut rejects);
                for event in &events {
                    self.notebook.read(event, record);
                }
            }
            Glimpse::Whole => {}
        }
    }

    /// An event that had to be parsed.
    pub(super) fn read(&mut self, event: Event) {
        if self.readers.any() && self.notebook.read(&event, self.records + self.parsed.len()) {
            self.parsed.push(event);
        }
    }

    pub(super) fn close(self, records: &[Record]) -> (Notes, Papers) {
        let Noted { notes, places } = self.notebook.close();
        let paper = |place: usize| match records.get(place) {
            Some(record) => Some(Paper::Record(record.body.clone())),
            None => self.parsed.get(place - self.records).map(|event| Paper::Event(Box::new(event.clone()))),
        };
        let by_id = places.into_iter().filter_map(|(id, place)| Some((id, paper(place)?))).collect();
        (notes, Papers { by_id })
    }
}
