//! Which rules can match this event at all.
//!
//! Of ten thousand rules a handful can match an event. Rules are looked up by log source, then by a value
//! that must be in the event ([`witness`]); only those found, and those of which nothing is known, are
//! asked.

use std::collections::{BTreeMap, HashMap};

use sonic_rs::{JsonValueTrait, Value};

use super::RuleNumber;
use super::condition::{Memo, Predicates, Program, Question};
use super::number::Number;
use super::text::{fold_into, with_text};
use super::witness::{self, Witness};
use crate::event::{Event, Kind, LogSource};
use crate::field::{FieldId, Fields};
use crate::hash::Seed;

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

/// The detections that read one kind of log, by their place in [`Index::detections`].
#[derive(Debug, Default)]
struct Plan {
    /// Those without a witness.
    always: Vec<u32>,
    fields: Vec<(FieldId, Values)>,
}

/// The detections that one field's values call for.
#[derive(Debug, Default)]
struct Values {
    /// Keys are rule text, so a fixed seed lets nobody prepare collisions.
    detections: HashMap<Box<str>, Vec<u32>, Seed>,
    /// No value longer than this is a key, whatever folding does to its length.
    bytes_max: usize,
}

/// Memory that matching reuses from event to event; one a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    memo: Memo,
    /// By detection: the generation in which it was last tried.
    tried: Vec<u32>,
    generation: u32,
    candidates: Vec<u32>,
    folded: String,
    found: Vec<RuleNumber>,
}

impl Index {
    pub(super) fn new(predicates: Predicates, detections: Vec<Detection>) -> Self {
        let mut index = Self { predicates, detections, plans: BTreeMap::new() };
        for kind in Kind::ALL {
            index.read_as(kind, &own(kind));
        }
        index
    }

    /// Lets events of `kind` be read by the rules of `log_source`, and by those that name none.
    pub(super) fn read_as(&mut self, kind: Kind, log_source: &LogSource) {
        self.plans.insert(kind, Plan::new(&self.detections, &self.predicates, log_source));
    }

    pub(super) fn matches<'s>(&self, fields: &Fields, event: &Event, scratch: &'s mut Scratch) -> &'s [RuleNumber] {
        scratch.found.clear();
        let Some(plan) = self.plans.get(&event.kind) else { return &scratch.found };
        scratch.start(self);
        plan.candidates(fields, &event.raw, scratch);
        let question = Question { predicates: &self.predicates, fields, document: &event.raw };
        for place in &scratch.candidates {
            let detection = &self.detections[*place as usize];
            if detection.program.holds(question, &mut scratch.memo) {
                scratch.found.push(detection.rule);
            }
        }
        scratch.found.sort_unstable();
        &scratch.found
    }
}

impl Plan {
    fn new(detections: &[Detection], predicates: &Predicates, log_source: &LogSource) -> Self {
        let admitted: Vec<(u32, &Program)> = (0..)
            .zip(detections)
            .filter(|(_, detection)| admits(&detection.log_source, log_source))
            .map(|(place, detection)| (place, &detection.program))
            .collect();
        // A value that many rules want tells little; of several witnesses the rarest is taken.
        let mut wanted: BTreeMap<Witness, usize> = BTreeMap::new();
        for (_, program) in &admitted {
            count(program, predicates, &mut wanted);
        }
        let cost = |witness: &Witness| wanted.get(witness).copied().unwrap_or(0);

        let mut plan = Self::default();
        let mut fields: BTreeMap<FieldId, Values> = BTreeMap::new();
        for (place, program) in admitted {
            let Some(witnesses) = witness::of(program, predicates, &cost) else {
                plan.always.push(place);
                continue;
            };
            for (field, text) in witnesses {
                let values = fields.entry(field).or_default();
                // A character of four bytes may fold to one of one byte, hardly to less.
                values.bytes_max = values.bytes_max.max(4 * text.len());
                values.detections.entry(text).or_default().push(place);
            }
        }
        plan.fields = fields.into_iter().collect();
        plan
    }

    /// Fills `scratch.candidates`, each once.
    fn candidates(&self, fields: &Fields, document: &Value, scratch: &mut Scratch) {
        for place in &self.always {
            scratch.add(*place);
        }
        for (field, values) in &self.fields {
            fields.path(*field).any(document, &mut |value| {
                values.look_up(value, scratch);
                false
            });
        }
    }
}

impl Values {
    fn look_up(&self, value: &Value, scratch: &mut Scratch) {
        with_text(value, |text| self.look_up_text(text, scratch));
        // 443.0 is the 443 that a rule may ask for.
        if value.is_f64()
            && let Some(number @ Number::Real(real)) = Number::of(value)
            && number == Number::Whole(real as i128)
        {
            self.look_up_text(&(real as i128).to_string(), scratch);
        }
    }

    fn look_up_text(&self, text: &str, scratch: &mut Scratch) {
        if text.len() > self.bytes_max {
            return;
        }
        fold_into(text, &mut scratch.folded);
        if let Some(places) = self.detections.get(scratch.folded.as_str()) {
            for place in places {
                scratch.add(*place);
            }
        }
    }
}

impl Scratch {
    fn start(&mut self, index: &Index) {
        self.memo.start(&index.predicates);
        self.candidates.clear();
        if self.tried.len() < index.detections.len() {
            self.tried.resize(index.detections.len(), 0);
        }
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.tried.fill(0);
            self.generation = 1;
        }
    }

    fn add(&mut self, place: u32) {
        let stamp = &mut self.tried[place as usize];
        if *stamp != self.generation {
            *stamp = self.generation;
            self.candidates.push(place);
        }
    }
}

/// The log source that events of a kind are of.
fn own(kind: Kind) -> LogSource {
    kind.log_source().map_or_else(LogSource::default, |(product, service)| LogSource {
        product: Some(product.to_owned()),
        service: Some(service.to_owned()),
        category: None,
    })
}

/// Whether events of any kind are of a log source that such a rule reads.
pub(super) fn is_fed(rule: &LogSource) -> bool {
    Kind::ALL.into_iter().any(|kind| admits(rule, &own(kind)))
}

/// Whether a rule reads events of this source: each part that the rule names, the source names too.
fn admits(rule: &LogSource, source: &LogSource) -> bool {
    let part = |rule: &Option<String>, source: &Option<String>| match (rule, source) {
        (None, _) => true,
        (Some(rule), Some(source)) => rule.eq_ignore_ascii_case(source),
        (Some(_), None) => false,
    };
    part(&rule.product, &source.product)
        && part(&rule.service, &source.service)
        && part(&rule.category, &source.category)
}

fn count(program: &Program, predicates: &Predicates, wanted: &mut BTreeMap<Witness, usize>) {
    match program {
        Program::Ask(_) => {
            for witness in witness::of(program, predicates, &|_| 0).unwrap_or_default() {
                *wanted.entry(witness).or_default() += 1;
            }
        }
        Program::And(parts) | Program::Or(parts) | Program::AtLeast(_, parts) => {
            for part in parts {
                count(part, predicates, wanted);
            }
        }
        Program::Not(_) => {}
    }
}
