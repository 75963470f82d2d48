//! Which rules read which logs, and a plan for each kind of log.

use std::collections::BTreeMap;

use super::RuleNumber;
use super::condition::{Predicates, Program};
use super::facts::Wanted;
use super::look::{self, Asked, Glance, Recall, Scratch};
use super::mapping::Mappings;
use super::plan::Plan;
use crate::address::Addresses;
use crate::event::{Event, Kind, Kinds, LogSource};
use crate::field::{FieldId, Fields};
use crate::normalise::{Format, Limits, glance};

/// Conditions of all detection rules and the ways to find them.
#[derive(Debug, Default)]
pub(super) struct Index {
    predicates: Predicates,
    detections: Vec<Detection>,
    plans: BTreeMap<Kind, Plan>,
    wanted: BTreeMap<Kind, Wanted>,
    /// The rules that events of each kind are read by.
    readers: BTreeMap<Kind, Vec<RuleNumber>>,
    /// The fields that are read by those who remember an event.
    remembered: Vec<FieldId>,
    mappings: Mappings,
}

/// A detection rule as the index knows it.
#[derive(Debug)]
pub(super) struct Detection {
    pub(super) rule: RuleNumber,
    pub(super) log_source: LogSource,
    pub(super) program: Program,
}

/// What is known of the parts that a log source leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It has none: a rule that asks for one reads other logs.
    Absent,
    /// It may have any: a rule that asks for one decides by its fields.
    Unknown,
}

impl Index {
    /// Of the fields of an event that matched, `remembered` are read by those who remember it.
    pub(super) fn new(
        predicates: Predicates,
        detections: Vec<Detection>,
        remembered: &[FieldId],
        mappings: &Mappings,
        fields: &Fields,
    ) -> Self {
        let (remembered, mappings) = (remembered.to_vec(), mappings.clone());
        let mut index = Self { predicates, detections, remembered, mappings, ..Self::default() };
        for kind in Kind::ALL {
            index.plan(kind, &own(kind), Silence::Absent, fields);
        }
        index
    }

    /// Lets events of `kind` be read by the rules of `log_source`, and by those that name none.
    pub(super) fn read_as(&mut self, kind: Kind, log_source: &LogSource, fields: &Fields) {
        self.plan(kind, log_source, Silence::Unknown, fields);
    }

    fn plan(&mut self, kind: Kind, source: &LogSource, silence: Silence, fields: &Fields) {
        let admitted = || self.detections.iter().filter(|detection| admits(&detection.log_source, source, silence));
        self.readers.insert(kind, admitted().map(|detection| detection.rule).collect());
        let synonyms = self.mappings.synonyms(mapped_as(kind, source), fields);
        let wanted = Wanted::new(kind, &self.remembered, &synonyms, fields);
        self.plans.insert(kind, Plan::new(fields, &self.predicates, (kind, &wanted), &synonyms, admitted()));
        self.wanted.insert(kind, wanted);
    }

    pub(super) fn glance<'s, 'r>(
        &self,
        (format, body, limits): (Format, &'r [u8], &Limits),
        addresses: &Addresses,
        scratch: &'s mut Scratch,
    ) -> Option<Glance<'s, 'r>> {
        let (kind, text) = glance::record(format, body, limits)?;
        let asked = Asked { predicates: &self.predicates, addresses };
        look::glance(self.plans.get(&kind)?, asked, (format, kind), text, scratch)
    }

    pub(super) fn glance_and_recall<'r, T>(
        &self,
        (format, body, limits): (Format, &'r [u8], &Limits),
        addresses: &Addresses,
        scratch: &mut Scratch,
        see: impl FnOnce(Glance<'_, 'r>, Recall<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let (kind, text) = glance::record(format, body, limits)?;
        let plan = (self.plans.get(&kind)?, self.wanted(kind)?);
        let asked = Asked { predicates: &self.predicates, addresses };
        look::glance_and_recall(plan, asked, (format, kind), text, scratch, see)
    }

    pub(super) fn wanted(&self, kind: Kind) -> Option<&Wanted> {
        self.wanted.get(&kind)
    }

    /// Kinds of log that this detection reads.
    pub(super) fn kinds(&self, detection: RuleNumber) -> Kinds {
        let read = self.readers.iter().filter(|(_, readers)| readers.binary_search(&detection).is_ok());
        read.map(|(kind, _)| *kind).collect()
    }

    pub(super) fn matches<'s>(
        &self,
        event: &Event,
        addresses: &Addresses,
        scratch: &'s mut Scratch,
    ) -> &'s [RuleNumber] {
        match self.plans.get(&event.kind) {
            Some(plan) => look::matches(plan, Asked { predicates: &self.predicates, addresses }, &event.raw, scratch),
            None => &[],
        }
    }
}

/// The log source that events of a kind are of.
pub(super) fn own(kind: Kind) -> LogSource {
    kind.log_source().map_or_else(LogSource::default, |(product, service)| LogSource {
        product: Some(product.to_owned()),
        service: Some(service.to_owned()),
        category: kind.category().map(str::to_owned),
    })
}

/// Whose mapping is for events of a kind that are read as this log source: plain JSON may be a log of another kind
/// in the form of another schema.
fn mapped_as(kind: Kind, source: &LogSource) -> Kind {
    let own = |kind| LogSource { category: None, ..own(kind) };
    let is = |other: &Kind| other.log_source().is_some() && includes(&own(*other), source);
    Kind::ALL.into_iter().find(is).unwrap_or(kind)
}

/// Whether events of any kind are of a log source that such a rule reads.
pub(super) fn is_fed(rule: &LogSource) -> bool {
    Kind::ALL.into_iter().any(|kind| admits(rule, &own(kind), Silence::Absent))
}

/// Whether logs of `narrow` are all among those of `wide`.
pub(super) fn includes(wide: &LogSource, narrow: &LogSource) -> bool {
    admits(wide, narrow, Silence::Absent)
}

/// Whether a rule reads events of this source: each part that the rule names, the source names too, or may have.
fn admits(rule: &LogSource, source: &LogSource, silence: Silence) -> bool {
    let part = |rule: &Option<String>, source: &Option<String>| match (rule, source) {
        (None, _) => true,
        (Some(rule), Some(source)) => rule.eq_ignore_ascii_case(source),
        (Some(_), None) => silence == Silence::Unknown,
    };
    part(&rule.product, &source.product)
        && part(&rule.service, &source.service)
        && part(&rule.category, &source.category)
}
