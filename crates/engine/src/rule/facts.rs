//! What is remembered of an event that matched: its identity, what its facets are read from, and the values of the
//! fields that correlations group by and count.
//!
//! It is read in a walk of its own, over the document or, after a glance, over the text: in the walk that looks for
//! matches it would be read of every event, and most match nothing. Only while event after event matches one walk reads
//! both.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::found::{Found, Tree};
use super::leaf::Leaf;
use super::located::{Located, Places};
use super::mapping::Synonyms;
use super::skim;
use crate::address::Whereabouts;
use crate::event::{Event, Facets, Kind, Uid};
use crate::field::{FieldId, Fields};
use crate::lineage;
use crate::lineage::glance::Said;
use crate::normalise::glance::{self, Member};
use crate::normalise::{self, Members};
use crate::time::Timestamp;

/// What is read of the events of one kind of log.
#[derive(Debug)]
pub(super) struct Wanted {
    kind: Kind,
    tree: Tree,
    /// In ascending order, each once.
    all: Vec<FieldId>,
    /// Of the fields that are asked for; identity and facets are read by the vendor's own names.
    synonyms: Synonyms,
    uid: Vec<FieldId>,
    facets: Vec<FieldId>,
    /// Fields that no record needs to hold.
    places: Places,
    /// How many fields all rules have.
    fields: usize,
}

/// What was read of one event.
#[derive(Debug)]
pub(crate) struct Facts<'f, 'e> {
    wanted: &'f Wanted,
    found: &'f Found<'e>,
    /// What is known of the address that it came from.
    place: Option<Arc<Whereabouts>>,
}

/// Names that must stand among the fields of a rule set.
pub(super) fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
    let seen = glance::members(kind).iter().chain(lineage::glance::members(kind));
    seen.chain(glance::uid_members(kind)).chain(normalise::members(kind)).chain(normalise::addresses(kind)).copied()
}

/// Marks what an identity is read from.
pub(super) fn expect_single(kind: Kind, tree: &mut Tree) {
    glance::uid_members(kind).iter().for_each(|name| tree.expect_single(name));
}

impl Wanted {
    /// Besides what all events of the kind show, these fields are read.
    pub(super) fn new(kind: Kind, asked: &[FieldId], synonyms: &Synonyms, fields: &Fields) -> Self {
        let known = |names: &[&str]| names.iter().filter_map(|name| fields.known(name)).collect::<Vec<_>>();
        let (uid, facets) = (known(glance::uid_members(kind)), known(normalise::members(kind)));
        let synonyms = synonyms.only(asked);
        let places = Places::among(asked, kind, fields);
        let mut all = [asked, &uid, &facets, places.addresses()].concat();
        all.extend(synonyms.names());
        all.sort_unstable();
        all.dedup();
        let mut tree = Tree::new(all.iter().map(|field| (*field, fields.path(*field))));
        expect_single(kind, &mut tree);
        Self { kind, tree, all, synonyms, uid, facets, places, fields: fields.len() }
    }

    /// All that is read, for a walk that looks for more besides.
    pub(super) fn fields(&self) -> &[FieldId] {
        &self.all
    }

    /// What a walk over [`Self::fields`] has found.
    pub(super) fn facts<'f, 'e>(&'f self, found: &'f Found<'e>, mut located: Located<'_>) -> Facts<'f, 'e> {
        let place = self.places.of(found, &mut located);
        Facts { wanted: self, found, place }
    }

    /// Of a document.
    pub(super) fn of_document<T>(
        &self,
        event: &Event,
        located: Located<'_>,
        memory: &mut Found<'static>,
        read: impl FnOnce(&Facts<'_, '_>) -> T,
    ) -> T {
        let mut found = Found::start(self.fields, std::mem::take(memory));
        found.read(&self.tree, false, &event.raw);
        let answer = read(&self.facts(&found, located));
        *memory = found.forget();
        answer
    }

    /// Of a text; nothing if the parser has to look at it.
    pub(super) fn of_text<T>(
        &self,
        text: &str,
        located: Located<'_>,
        memory: &mut Found<'static>,
        read: impl FnOnce(&Facts<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let mut found = Found::start(self.fields, std::mem::take(memory));
        let whole = skim::skim(&self.tree, false, text, &mut found);
        let answer = whole.and_then(|()| read(&self.facts(&found, located)));
        *memory = found.forget();
        answer
    }
}

impl Facts<'_, '_> {
    /// Which event the record at `position` is; nothing if that takes a closer look.
    pub(crate) fn uid(&self, position: &str, time: Timestamp) -> Option<Uid> {
        glance::uid(self.wanted.kind, position, time, |number| member(self.found, self.wanted.uid[number]))
    }

    /// What it says in the words that all kinds share; of some kinds only the document itself tells.
    pub(crate) fn facets(&self, event: Option<&Event>) -> Facets<Cow<'_, str>> {
        normalise::facets_of(self.wanted.kind, self, event.map(|event| &event.raw))
    }

    /// What `read` makes of the texts that a field leads to, in document order, until it makes something.
    pub(crate) fn find<T>(&self, field: FieldId, mut read: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let name = self.wanted.synonyms.found_at(field, |name| self.found.holds(name));
        let said = self.found.own(name).find_map(|value| value.with_text(&mut read).flatten());
        if said.is_some() || self.found.holds(name) {
            return said;
        }
        read(self.place.as_ref()?.get(self.wanted.places.aspect(field)?)?)
    }

    /// The address that it came from.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.wanted.places.address(self.found)
    }

    /// What is known of that.
    pub(crate) fn place(&self) -> Option<&Whereabouts> {
        self.place.as_deref()
    }
}

impl Members for Facts<'_, '_> {
    fn text(&self, member: usize) -> Option<Cow<'_, str>> {
        self.found.own(self.wanted.facets[member]).find_map(|value| match value {
            Leaf::Text(text) => Some(Cow::Borrowed(*text)).filter(|text| !text.is_empty()),
            Leaf::Escaped(_) => value.with_text(|text| Cow::Owned(text.to_owned())),
            Leaf::Number(_)
            | Leaf::Digits(_)
            | Leaf::Long(_)
            | Leaf::Known(_)
            | Leaf::Bool(_)
            | Leaf::Null
            | Leaf::Object => None,
        })
    }
}

/// A member that says what a record is; one that stands there twice is not for a glance.
pub(super) fn member<'e>(found: &Found<'e>, field: FieldId) -> Member<'e> {
    let mut values = found.own(field);
    match (values.next(), values.next()) {
        (None, _) => Member::Absent,
        (Some(Leaf::Text(text)), None) => Member::Text(text),
        (Some(Leaf::Object), None) => Member::Object,
        _ => Member::Other,
    }
}

/// What one of those members says of credentials.
pub(super) fn said<'e>(found: &Found<'e>, field: FieldId) -> Said<'e> {
    let mut values = found.own(field);
    match (values.next(), values.next()) {
        (None, _) if found.exists(field) => Said::Other,
        (None, _) => Said::Nothing,
        (Some(Leaf::Text(text)), None) => Said::Text(text),
        (Some(Leaf::Bool(flag)), None) => Said::Flag(*flag),
        (Some(Leaf::Escaped(_)), _) | (_, Some(_)) => Said::Unclear,
        (
            Some(Leaf::Number(_) | Leaf::Digits(_) | Leaf::Long(_) | Leaf::Null | Leaf::Object | Leaf::Known(_)),
            None,
        ) => Said::Other,
    }
}
