//! Which rules read which logs, and a plan for each kind of log.

use std::collections::BTreeMap;

use super::RuleNumber;
use super::condition::{Predicates, Program};
use super::look::{self, Glance, Scratch};
use super::plan::Plan;
use crate::event::{Event, Kind, LogSource};
use crate::field::Fields;
use crate::normalise::{Format, Limits, glance};

/// Conditions of all detection rules and the ways to find them.
#[derive(Debug, Default)]
pub(super) struct Index {
    predicates: Predicates,
    detections: Vec<Detection>,
    plans: BTreeMap<Kind, Plan>,
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
    pub(super) fn new(predicates: Predicates, detections: Vec<Detection>, fields: &Fields) -> Self {
        let mut index = Self { predicates, detections, plans: BTreeMap::new() };
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
        let admitted = self.detections.iter().filter(|detection| admits(&detection.log_source, source, silence));
        self.plans.insert(kind, Plan::new(fields, &self.predicates, glance::members(kind), admitted));
    }

    pub(super) fn glance<'s>(
        &self,
        format: Format,
        body: &[u8],
        limits: &Limits,
        scratch: &'s mut Scratch,
    ) -> Option<Glance<'s>> {
        let (kind, text) = glance::record(format, body, limits)?;
        look::glance(self.plans.get(&kind)?, &self.predicates, (format, kind), text, scratch)
    }

    pub(super) fn matches<'s>(&self, event: &Event, scratch: &'s mut Scratch) -> &'s [RuleNumber] {
        match self.plans.get(&event.kind) {
            Some(plan) => look::matches(plan, &self.predicates, &event.raw, scratch),
            None => &[],
        }
    }
}

/// The log source that events of a kind are of.
pub(super) fn own(kind: Kind) -> LogSource {
    kind.log_source().map_or_else(LogSource::default, |(product, service)| LogSource {
        product: Some(product.to_owned()),
        service: Some(service.to_owned()),
        category: None,
    })
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
