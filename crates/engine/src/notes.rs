//! What a batch says of credentials and deploys, small enough to be journalled.
//!
//! Workers write it beside matching. What mints, ends or deploys is kept as it is; plain uses of one credential that differ
//! by time and event alone are folded into one trace of each day. A fold is exact: a ledger comes to the same whether it
//! takes uses one by one or folded, so neither batch borders nor the number of workers show.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::redact::label;
use crate::deploys::{Fact, facts};
use crate::event::{Event, Uid};
use crate::hash::Seed;
use crate::lineage::{About, Again, Mark, Said, Session, Trace, Usage, Used, traces};
use crate::time::{Span, Timestamp};

const DAY: Span = Span::seconds(86_400);

/// What was noted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Of credentials.
    pub traces: Vec<Trace>,
    /// Of deploys.
    pub facts: Vec<Fact>,
}

/// Who asks for notes. Nothing is read for a ledger that nobody keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// Whether credentials are followed.
    pub lineage: bool,
    /// Whether deploys are judged.
    pub deploys: bool,
}

/// Notes of one batch in the making.
#[derive(Debug, Default)]
pub struct Notebook {
    readers: Readers,
    notes: Notes,
    /// By all that uses share, where their trace stands.
    uses: HashMap<Box<[u8]>, usize, Seed>,
    key: Vec<u8>,
    /// By trace: the records of its first and last event, as whoever reads them numbers them.
    places: Vec<[usize; 2]>,
    fact_places: Vec<usize>,
}

/// A closed notebook.
#[derive(Debug, Default)]
pub struct Noted {
    /// What is journalled.
    pub notes: Notes,
    /// Where each event stood that a trace or fact names, by its id.
    pub places: HashMap<Box<str>, usize, Seed>,
}

impl Notes {
    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty() && self.facts.is_empty()
    }

    /// Times in the future are taken for `latest`; see [`Trace::clamp`].
    pub fn clamp(&mut self, latest: Timestamp) {
        self.traces.iter_mut().for_each(|trace| trace.clamp(latest));
        self.facts.iter_mut().for_each(|fact| fact.time = fact.time.min(latest));
    }
}

impl Readers {
    /// Whether anybody asks.
    #[must_use]
    pub fn any(self) -> bool {
        self.lineage || self.deploys
    }
}

impl Notebook {
    /// A blank one.
    #[must_use]
    pub fn new(readers: Readers) -> Self {
        Self { readers, ..Self::default() }
    }

    /// Takes note of a parsed event, and answers whether it says anything. `place` is where its record stands.
    pub fn read(&mut self, event: &Event, place: usize) -> bool {
        let mut says = false;
        if self.readers.lineage {
            let traces = traces(event);
            says |= !traces.is_empty();
            traces.into_iter().map(hidden).for_each(|trace| self.take(trace, place));
        }
        if self.readers.deploys {
            for fact in facts(event) {
                says = true;
                self.notes.facts.push(hidden(fact));
                self.fact_places.push(place);
            }
        }
        says
    }

    /// Takes note of a use that a glance has shown. Cost: one look-up in a map, unless it is the first of its day.
    pub fn see(&mut self, used: &Used<'_>, place: usize) {
        if !self.readers.lineage {
            return;
        }
        self.key.clear();
        let session = used.session.as_ref();
        let place_sort = used.place.map(|(sort, _)| sort.words());
        let parts = [
            Some(used.key),
            Some(used.action),
            used.network,
            used.holder,
            place_sort,
            used.place.map(|(_, name)| name),
            session.map(|session| session.principal),
            session.map(|session| session.created),
            session.and_then(|session| session.issuer),
            session.and_then(|session| session.source_identity),
        ];
        let flags = u8::from(used.failed) << 1 | u8::from(session.is_some_and(|session| session.is_shared));
        self.begin_key(0, flags, used.time);
        parts.iter().for_each(|part| put(&mut self.key, *part));
        match self.uses.get(self.key.as_slice()) {
            Some(&at) => fold(&mut self.notes.traces[at], used.time, || used.uid(), place, &mut self.places[at]),
            None => {
                let (id, mark, usage) = used.owned();
                let said = Said::Used(Box::new(usage));
                let mut trace = Trace { mark, about: About::Credential { id, alias: None, said } };
                hide(&mut trace);
                self.first(trace, place);
            }
        }
    }

    /// Ends the batch.
    #[must_use]
    pub fn close(self) -> Noted {
        let mut places = HashMap::default();
        for (trace, [first, last]) in self.notes.traces.iter().zip(&self.places) {
            places.insert(trace.mark.uid.id.as_str().into(), *first);
            if let About::Credential { said: Said::Used(usage), .. } = &trace.about
                && let Some(again) = &usage.again
            {
                places.insert(again.uid.id.as_str().into(), *last);
            }
        }
        for (fact, place) in self.notes.facts.iter().zip(&self.fact_places) {
            places.insert(fact.event.id.as_str().into(), *place);
        }
        Noted { notes: self.notes, places }
    }

    fn take(&mut self, trace: Trace, place: usize) {
        let About::Credential { id, alias, said: Said::Used(usage) } = &trace.about else {
            self.push(trace, place);
            return;
        };
        self.key.clear();
        let mark = &trace.mark;
        let (id, alias) = (id.clone(), alias.clone());
        let Usage { holder, session, place: given, renewed, again: _ } = &**usage;
        let created = session.as_ref().map(|session| session.created.to_string());
        let renewed = renewed.map(|renewed| renewed.to_string());
        let session = session.as_ref();
        let shared = session.is_some_and(|session| session.is_shared);
        let parts = [
            Some(mark.action.as_str()),
            mark.network.as_deref(),
            holder.as_deref(),
            given.as_ref().map(|place| place.sort.words()),
            given.as_ref().map(|place| place.name.as_str()),
            session.map(|session| session.principal.as_str()),
            created.as_deref(),
            session.and_then(|session| session.issuer.as_deref()),
            session.and_then(|session| session.source_identity.as_deref()),
            renewed.as_deref(),
        ];
        let flags = u8::from(mark.failed) << 1 | u8::from(shared);
        self.begin_key(1, flags, mark.time);
        for id in [Some(&id), alias.as_ref()] {
            put(&mut self.key, id.map(|id| id.sort.words()));
            put(&mut self.key, id.map(|id| &*id.text));
        }
        parts.iter().for_each(|part| put(&mut self.key, *part));
        match self.uses.get(self.key.as_slice()) {
            Some(&at) => {
                let uid = || mark.uid.clone();
                fold(&mut self.notes.traces[at], mark.time, uid, place, &mut self.places[at]);
            }
            None => self.first(trace, place),
        }
    }

    /// Keys of the two roads differ in their first byte, since they spell times differently.
    fn begin_key(&mut self, road: u8, flags: u8, time: Timestamp) {
        self.key.push(road);
        self.key.push(flags);
        self.key.extend(time.cell(DAY).to_le_bytes());
    }

    /// The first use of its sort.
    fn first(&mut self, trace: Trace, place: usize) {
        self.uses.insert(self.key.as_slice().into(), self.notes.traces.len());
        self.push(trace, place);
    }

    fn push(&mut self, trace: Trace, place: usize) {
        self.notes.traces.push(trace);
        self.places.push([place; 2]);
    }
}

fn labelled(uid: &Uid) -> Uid {
    Uid { origin: label(&uid.origin), id: label(&uid.id) }
}

/// Ids, names and addresses come from outside: a text that holds a secret is hidden, whichever it is, and two that were equal
/// still are, so that joins hold. What says nothing else than before is what nearly all do.
fn hidden<T: Serialize + DeserializeOwned>(note: T) -> T {
    fn hide(value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let hidden = label(text);
                let differs = hidden != *text;
                *text = hidden;
                differs
            }
            Value::Array(values) => values.iter_mut().fold(false, |differs, value| hide(value) | differs),
            Value::Object(fields) => fields.values_mut().fold(false, |differs, value| hide(value) | differs),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let Ok(mut value) = serde_json::to_value(&note) else { return note };
    match hide(&mut value) {
        true => serde_json::from_value(value).unwrap_or(note),
        false => note,
    }
}

/// The same of a use that a glance has shown.
fn hide(trace: &mut Trace) {
    let hide = |text: &mut String| *text = label(text);
    let Mark { uid, action, network, .. } = &mut trace.mark;
    *uid = labelled(uid);
    hide(action);
    network.iter_mut().for_each(hide);
    let About::Credential { id, said: Said::Used(usage), .. } = &mut trace.about else { return };
    id.text = label(&id.text).into();
    let Usage { holder, session, place, .. } = &mut **usage;
    holder.iter_mut().chain(place.iter_mut().map(|place| &mut place.name)).for_each(hide);
    if let Some(Session { principal, issuer, source_identity, .. }) = session {
        [issuer, source_identity].into_iter().flatten().chain([principal]).for_each(hide);
    }
}

fn put(key: &mut Vec<u8>, part: Option<&str>) {
    match part {
        None => key.push(0),
        Some(part) => {
            key.push(1);
            key.extend(part.len().to_le_bytes());
            key.extend(part.as_bytes());
        }
    }
}

/// One more use that differs by time and event alone. The first and the last are what is kept of them.
fn fold(trace: &mut Trace, time: Timestamp, uid: impl Fn() -> Uid, place: usize, places: &mut [usize; 2]) {
    let About::Credential { said: Said::Used(usage), .. } = &mut trace.about else { return };
    let mark = &mut trace.mark;
    let again = usage.again.get_or_insert_with(|| Again { times: 0, time: mark.time, uid: mark.uid.clone() });
    again.times += 1;
    if time < mark.time || (time == mark.time && labelled(&uid()) < mark.uid) {
        (mark.time, mark.uid, places[0]) = (time, labelled(&uid()), place);
    } else if time > again.time || (time == again.time && labelled(&uid()) > again.uid) {
        (again.time, again.uid, places[1]) = (time, labelled(&uid()), place);
    }
}

#[cfg(test)]
mod tests;
